//! A subsystem as the host's pipeline sees it, derived from the forms that the device side has: kinds, instances, where
//! their words lie, and how an entry names them.

use super::config::{Chip, Config, Subsystem};
use crate::device::args_dump::DumpForm;
use crate::device::dep_gen::DepGenForm;
use crate::device::lane::{Form, StateLayout};
use crate::device::pmu::{PmuArch, PmuForm};
use crate::device::scope_stats::ScopeForm;
use crate::device::swimlane::TaskPool;
use crate::device::swimlane::aicore::DEFERRED;
use crate::layout::runtime::common::*;
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, Arch, HeaderLayout, a5};
use crate::layout::{Gate, Gates, RawWords64};
use crate::profiler::{Free, Instance, Ready, ReadyQueueConfig};
use crate::sync::RawWord32;
use core::mem::offset_of;
use core::ptr::with_exposed_provenance_mut;

/// Words of a ready entry.
pub(super) const ENTRY_WORDS: u32 = (size_of::<ReadyQueueEntry>() / size_of::<u64>()) as u32;
/// Word of the buffer's address.
pub(super) const POINTER_WORD: u32 = (offset_of!(ReadyQueueEntry, buffer_ptr) / size_of::<u64>()) as u32;

/// What a kind has beyond the common shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing.
    None,
    /// The core writes the records: one whose first word, its begin, is 0 is none.
    Holes,
    /// Records name payloads in the instance's arena.
    Payloads,
}

/// Whose the instances of a kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Core,
    Thread,
    Orchestrator,
}

/// One kind of buffers and its instances.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    pub(super) name: &'static str,
    /// Words of a state.
    pub(super) state: StateLayout,
    /// The first state, in bytes from the header.
    pub(super) states: usize,
    /// Offset of a buffer's `count`.
    pub(super) count: usize,
    /// Offset of its first record.
    pub(super) records: usize,
    /// Bytes of a record.
    pub(super) record: usize,
    /// Records of a buffer.
    pub(super) capacity: u32,
    /// Bytes of a buffer.
    pub(super) buffer_size: usize,
    /// Offset in a state of the counter of records that a core did not leave in time.
    pub(super) mismatch: Option<usize>,
    /// Offset in a state of the counter of slots beyond the first of a chain.
    pub(super) overflow: Option<usize>,
    pub(super) special: Special,
    /// Instances that are served.
    pub(super) instances: u32,
    /// Number of the first among all instances.
    pub(super) first: u32,
    /// Buffers per instance before a run.
    pub(super) buffers: u32,
    /// Buffers per instance at most.
    pub(super) max_buffers: u32,
    owner: Owner,
}

impl Stream {
    fn of<F: Form, B>(name: &'static str, owner: Owner, buffers: u32) -> Self {
        Self {
            name,
            state: F::STATE,
            states: F::HEADER.size,
            count: F::COUNT,
            records: F::RECORDS,
            record: F::RECORD,
            capacity: F::CAPACITY,
            buffer_size: size_of::<B>(),
            mismatch: None,
            overflow: None,
            special: Special::None,
            instances: 0,
            first: 0,
            buffers,
            max_buffers: 0,
            owner,
        }
    }

    /// Most buffers that an instance can have on the device: in its free queue, active, and such as wait for a core.
    fn holdings(&self) -> u32 {
        let deferred = if self.special == Special::Holes { DEFERRED as u32 } else { 0 };
        self.state.slots + 1 + deferred
    }

    /// State `instance`, in bytes from the header.
    pub(super) fn state_at(&self, instance: u32) -> usize {
        self.states + instance as usize * self.state.size
    }

    fn queue_of(&self, config: &Config, instance: u32) -> u32 {
        match self.owner {
            Owner::Core => config.thread_of(instance),
            Owner::Thread => instance,
            Owner::Orchestrator => config.orchestrator,
        }
    }
}

/// One instance: its kind, and which of the kind's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: u32,
    pub(super) index: u32,
    /// The ready queue on which it publishes.
    pub(super) queue: u32,
    /// That is a guess.
    pub(super) guess: bool,
}

/// A subsystem.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) header: HeaderLayout,
    /// By kind.
    pub(super) streams: Box<[Stream]>,
    /// All instances that are served, by number.
    pub(super) places: Box<[Place]>,
    /// Whether an entry names its kind.
    names_kind: bool,
    /// Bytes of the region.
    pub(super) region_size: usize,
}

impl Module {
    /// The subsystem of a settled configuration.
    pub(super) fn new(config: &Config) -> Self {
        match config.chip {
            Chip::A2a3 => Self::of::<A2a3>(config),
            Chip::A5 => Self::of::<A5>(config),
        }
    }

    fn of<A: PmuArch>(config: &Config) -> Self {
        let (header, streams, region_size) = match config.subsystem {
            Subsystem::Swimlane => swimlane::<A>(config),
            Subsystem::Pmu => {
                let mut stream =
                    Stream::of::<PmuForm<A>, a5::PmuBuffer>("pmu", Owner::Core, PLATFORM_PMU_BUFFERS_PER_CORE);
                stream.mismatch = A::RING.map(|_| offset_of!(a5::PmuBufferState, mismatch_record_count));
                one(A::PMU, stream, config.cores)
            }
            Subsystem::DepGen => {
                let buffers = PLATFORM_DEP_GEN_BUFFERS_PER_INSTANCE;
                let mut stream = Stream::of::<DepGenForm<A>, DepGenBuffer>("dep_gen", Owner::Orchestrator, buffers);
                stream.overflow = Some(offset_of!(DepGenBufferState, total_overflow_record_count));
                one(A::DEP_GEN, stream, 1)
            }
            Subsystem::ArgsDump => {
                let buffers = PLATFORM_DUMP_BUFFERS_PER_THREAD;
                let mut stream = Stream::of::<DumpForm<A>, DumpMetaBuffer>("args_dump", Owner::Thread, buffers);
                stream.special = Special::Payloads;
                one(A::ARGS_DUMP, stream, config.scheduler_threads)
            }
            Subsystem::ScopeStats => {
                let buffers = PLATFORM_SCOPE_STATS_BUFFERS_PER_INSTANCE;
                let stream = Stream::of::<ScopeForm<A>, ScopeStatsBuffer>("scope_stats", Owner::Orchestrator, buffers);
                one(A::SCOPE_STATS, stream, 1)
            }
        };
        Self::number(config, header, streams, region_size)
    }

    /// Numbers the instances, and puts in what the configuration says.
    fn number(config: &Config, header: HeaderLayout, mut streams: Box<[Stream]>, region_size: usize) -> Self {
        let mut places = Vec::new();
        for (kind, stream) in (0u32..).zip(&mut streams) {
            stream.first = places.len() as u32;
            if config.buffers != 0 {
                stream.buffers = config.buffers;
            }
            let most = if config.max_buffers == 0 { 2 * stream.buffers } else { config.max_buffers };
            // Instances share what there is: with fewer buffers than they can hold, some would leave others none.
            let least = if stream.instances > 1 { stream.holdings() } else { 1 };
            stream.max_buffers = most.max(least).max(stream.buffers);
            places.extend((0..stream.instances).map(|index| Place {
                kind,
                index,
                queue: stream.queue_of(config, index),
                guess: stream.owner == Owner::Core && config.core_to_thread.is_empty(),
            }));
        }
        Self { header, names_kind: streams.len() > 1, streams, places: places.into(), region_size }
    }

    /// Kind of an instance.
    pub(super) fn stream(&self, number: u32) -> Option<(&Place, &Stream)> {
        let place = self.places.get(number as usize)?;
        Some((place, self.streams.get(place.kind as usize)?))
    }

    /// Number of instance `index` of `kind`.
    pub(super) fn instance(&self, kind: u32, index: u32) -> Option<u32> {
        let stream = self.streams.get(kind as usize)?;
        (index < stream.instances).then(|| stream.first + index)
    }

    /// What a ready entry says: its instance, if there is one, and its sequence number. Everything in it may be anything.
    pub(super) fn decode(&self, entry: &[u64; ENTRY_WORDS as usize]) -> (Option<u32>, u32) {
        let half = |offset: usize| (entry[offset / 8] >> (offset % 8 * 8)) as u32;
        let index = half(offset_of!(ReadyQueueEntry, core_index));
        // Where there is one kind, its place is padding, which is never trusted.
        let kind = if self.names_kind { half(offset_of!(ReadyQueueEntry, kind)) } else { 0 };
        (self.instance(kind, index), half(offset_of!(ReadyQueueEntry, buffer_seq)))
    }

    /// The host's end of ready queue `queue` of the region at `host`.
    ///
    /// # Safety
    ///
    /// A region of this layout lies there, in which all accesses are as the contract has them, as long as the end is used.
    pub(super) unsafe fn ready(&self, host: u64, queue: u32) -> Ready {
        let HeaderLayout { heads, tails, ready_size, .. } = self.header;
        let first = queue as usize * ready_size as usize * size_of::<ReadyQueueEntry>();
        // SAFETY: inside the header, aligned as it is; the caller's contract.
        unsafe {
            Ready {
                head: word(host, heads + queue as usize * 4),
                tail: word(host, tails + queue as usize * 4),
                entries: RawWords64::new(address(host, first), (ready_size * ENTRY_WORDS) as usize),
                capacity: ready_size,
                entry_words: ENTRY_WORDS,
            }
        }
    }

    /// All ready queues that are in use, as the profiler takes them.
    ///
    /// # Safety
    ///
    /// As for [`Module::ready`].
    pub(super) unsafe fn queues(&self, host: u64, threads: u32) -> Box<[ReadyQueueConfig]> {
        // SAFETY: forwarded.
        let queue = |queue| ReadyQueueConfig { port: unsafe { self.ready(host, queue) }, pointer_word: POINTER_WORD };
        (0..threads).map(queue).collect()
    }

    /// All instances, as the profiler takes them.
    ///
    /// # Safety
    ///
    /// As for [`Module::ready`].
    pub(super) unsafe fn instances(&self, host: u64) -> Box<[Instance]> {
        let instance = |place: &Place| {
            let stream = &self.streams[place.kind as usize];
            let StateLayout { free, slots, .. } = stream.state;
            let queue = stream.state_at(place.index) + free;
            let indices = queue + slots as usize * 8;
            // SAFETY: inside the state, aligned as it is; the caller's contract.
            let free = unsafe {
                Free {
                    head: word(host, indices),
                    tail: word(host, indices + 4),
                    slots: RawWords64::new(address(host, queue), slots as usize),
                    slot_count: slots,
                }
            };
            Instance { free, kind: place.kind, queue: place.queue, guess: place.guess }
        };
        self.places.iter().map(instance).collect()
    }

    /// The gates.
    ///
    /// # Safety
    ///
    /// As for [`Module::ready`].
    pub(super) unsafe fn gates(&self, host: u64) -> Gates<RawWord32> {
        // SAFETY: inside the header, aligned as it is; the caller's contract.
        let word = |offset| unsafe { word(host, self.header.gates + offset) };
        Gates {
            push: Gate {
                freeze: word(offset_of!(DfxBackpressureHeader, rq_freeze_active)),
                contended: word(offset_of!(DfxBackpressureHeader, rq_contended)),
            },
            pop: Gate {
                freeze: word(offset_of!(DfxBackpressureHeader, fq_freeze_active)),
                contended: word(offset_of!(DfxBackpressureHeader, fq_contended)),
            },
        }
    }
}

/// A pointer into the region at `host`.
pub(super) fn address<T>(host: u64, offset: usize) -> *mut T {
    with_exposed_provenance_mut(host as usize + offset)
}

/// # Safety
///
/// As for [`RawWord32::new`].
unsafe fn word(host: u64, offset: usize) -> RawWord32 {
    // SAFETY: forwarded.
    unsafe { RawWord32::new(address(host, offset)) }
}

type Parts = (HeaderLayout, Box<[Stream]>, usize);

/// A subsystem of one kind.
fn one(header: HeaderLayout, mut stream: Stream, instances: u32) -> Parts {
    stream.instances = instances;
    (header, Box::new([stream]), stream.state_at(instances))
}

/// The four streams; each stands at its kind.
fn swimlane<A: Arch>(config: &Config) -> Parts {
    const SCHED: u32 = CHIP_SWIMLANE_KIND_AICPU_SCHED_PHASE;
    const ORCH: u32 = CHIP_SWIMLANE_KIND_AICPU_ORCH_PHASE;
    const CORE: u32 = CHIP_SWIMLANE_KIND_AICORE_TASK;
    const { assert!(CHIP_SWIMLANE_KIND_AICPU_TASK == 0 && SCHED == 1 && ORCH == 2 && CORE == 3) };
    let mut streams = [
        Stream::of::<TaskPool<A, 0>, ChipSwimlaneAicpuTaskBuffer>(
            "swimlane task",
            Owner::Core,
            PLATFORM_PROF_BUFFERS_PER_CORE,
        ),
        Stream::of::<TaskPool<A, SCHED>, ChipSwimlaneAicpuSchedPhaseBuffer>(
            "swimlane scheduler phase",
            Owner::Thread,
            PLATFORM_PROF_SCHED_BUFFERS_PER_THREAD,
        ),
        Stream::of::<TaskPool<A, ORCH>, ChipSwimlaneAicpuOrchPhaseBuffer>(
            "swimlane orchestrator phase",
            Owner::Orchestrator,
            PLATFORM_PROF_ORCH_BUFFERS_PER_THREAD,
        ),
        Stream::of::<TaskPool<A, CORE>, ChipSwimlaneAicoreTaskBuffer>(
            "swimlane core task",
            Owner::Core,
            PLATFORM_AICORE_BUFFERS_PER_CORE,
        ),
    ];
    // The order of the states differs from that of the kinds, and the phases have room for the most threads there are.
    let [task, sched, orch, core] = &mut streams;
    core.states = task.state_at(config.cores);
    sched.states = core.state_at(config.cores);
    orch.states = sched.state_at(A::MAX_THREADS);
    let size = orch.state_at(A::MAX_THREADS);
    // The device's init takes buffers of both task streams at every level, and of both phases from theirs on.
    task.instances = config.cores;
    core.instances = config.cores;
    core.special = Special::Holes;
    if config.level >= CHIP_SWIMLANE_LEVEL_SCHED_PHASES {
        sched.instances = config.scheduler_threads;
        orch.instances = 1;
    }
    (A::SWIMLANE, Box::new(streams), size)
}

const _: () = assert!(offset_of!(ChipSwimlaneAicoreTaskRecord, start_time) == 0);
