//! A host in small for the subsystems' tests: a region, its free queues, its ready queues, and a clock that runs only when
//! somebody waits.

use super::lane::{At, Form};
use super::wait::Clock;
use crate::layout::runtime::common::{DfxBackpressureHeader, ReadyQueueEntry};
use std::marker::PhantomData;
use std::mem::offset_of;

#[repr(align(64))]
#[derive(Clone, Copy)]
#[expect(dead_code, reason = "only its address is used")]
struct CacheLine([u64; 8]);

/// Zeroed memory, 64-aligned.
pub(super) struct Memory(Vec<CacheLine>);

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        Self(vec![CacheLine([0; 8]); bytes.div_ceil(64)])
    }

    pub(super) fn address(&mut self) -> u64 {
        self.0.as_mut_ptr().expose_provenance() as u64
    }
}

/// What a lane published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) instance: u32,
    pub(super) kind: u32,
    pub(super) address: u64,
    pub(super) seq: u32,
}

/// A clock whose ticks are the polls of those who wait; `host` runs at each of them.
pub(super) struct TestClock<'a> {
    pub(super) now: u64,
    pub(super) tick: u64,
    pub(super) relaxed: u32,
    pub(super) host: Box<dyn FnMut(u32) + 'a>,
}

impl<'a> TestClock<'a> {
    /// A poll takes a fortieth of a budget of 30 s on either architecture.
    pub(super) fn new(budget: u64) -> Self {
        Self { now: 1000, tick: budget / 40, relaxed: 0, host: Box::new(|_| {}) }
    }

    pub(super) fn with_host(budget: u64, host: impl FnMut(u32) + 'a) -> Self {
        Self { host: Box::new(host), ..Self::new(budget) }
    }
}

impl Clock for TestClock<'_> {
    fn now(&mut self) -> u64 {
        self.now
    }
    fn relax(&mut self) {
        self.now += self.tick;
        self.relaxed += 1;
        (self.host)(self.relaxed);
    }
}

/// The host's view of one region; `Copy`, so that a clock's host may use it while a lane does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host {
    pub(super) base: u64,
}

impl Host {
    pub(super) fn at(self, bytes: usize) -> At {
        At(self.base as usize).at(bytes)
    }

    /// State `instance` of a stream whose states start `pools` bytes behind the header's end.
    pub(super) fn state<F: Form>(self, pools: usize, instance: usize) -> At {
        self.at(F::HEADER.size + pools + instance * F::STATE.size)
    }

    /// Puts a buffer into a free queue.
    pub(super) fn give<F: Form>(self, state: At, buffer: u64) {
        let queue = state.at(F::STATE.free);
        let indices = queue.at(F::STATE.slots as usize * 8);
        let tail = indices.at(4).load32();
        assert!(tail.wrapping_sub(indices.load32()) < F::STATE.slots, "the free queue is full");
        queue.at((tail % F::STATE.slots) as usize * 8).store64(buffer);
        indices.at(4).store32(tail.wrapping_add(1));
    }

    /// Buffers in a free queue.
    pub(super) fn free<F: Form>(self, state: At) -> u32 {
        let indices = state.at(F::STATE.free + F::STATE.slots as usize * 8);
        indices.at(4).load32().wrapping_sub(indices.load32())
    }

    /// Takes all that a thread published.
    pub(super) fn take<F: Form>(self, thread: usize) -> Vec<Entry> {
        let (heads, tails) = (self.at(F::HEADER.heads + thread * 4), self.at(F::HEADER.tails + thread * 4));
        let mut entries = Vec::new();
        while heads.load32() != tails.load32() {
            let head = heads.load32();
            let index = thread * F::HEADER.ready_size as usize + head as usize;
            let entry = self.at(index * size_of::<ReadyQueueEntry>());
            entries.push(Entry {
                instance: entry.at(offset_of!(ReadyQueueEntry, core_index)).load32(),
                kind: entry.at(offset_of!(ReadyQueueEntry, kind)).load32(),
                address: entry.at(offset_of!(ReadyQueueEntry, buffer_ptr)).load64(),
                seq: entry.at(offset_of!(ReadyQueueEntry, buffer_seq)).load32(),
            });
            heads.store32((head + 1) % F::HEADER.ready_size);
        }
        entries
    }

    /// Makes a thread's ready queue full, for a host that takes nothing.
    pub(super) fn fill_ready<F: Form>(self, thread: usize) {
        let (heads, tails) = (self.at(F::HEADER.heads + thread * 4), self.at(F::HEADER.tails + thread * 4));
        heads.store32((tails.load32() + 1) % F::HEADER.ready_size);
    }

    /// Makes it empty again, whatever is in it.
    pub(super) fn empty_ready<F: Form>(self, thread: usize) {
        let (heads, tails) = (self.at(F::HEADER.heads + thread * 4), self.at(F::HEADER.tails + thread * 4));
        heads.store32(tails.load32());
    }

    /// The gates' words, as the block has them.
    pub(super) fn gates<F: Form>(self) -> [At; 4] {
        let gates = self.at(F::HEADER.gates);
        [
            offset_of!(DfxBackpressureHeader, rq_freeze_active),
            offset_of!(DfxBackpressureHeader, rq_contended),
            offset_of!(DfxBackpressureHeader, fq_freeze_active),
            offset_of!(DfxBackpressureHeader, fq_contended),
        ]
        .map(|offset| gates.at(offset))
    }

    /// What the host does with a signal in one tick that finds all it needs.
    pub(super) fn serve_signals<F: Form>(self) {
        let [_, push, _, pop] = self.gates::<F>();
        push.store32(0);
        pop.store32(0);
    }
}

/// The region of a stream with one instance, and its buffers.
pub(super) struct Single<F> {
    _memory: Memory,
    buffers: Vec<Memory>,
    pub(super) host: Host,
    form: PhantomData<F>,
}

impl<F: Form> Single<F> {
    /// With `buffers` buffers in the free queue.
    pub(super) fn new(buffers: usize) -> Self {
        let mut memory = Memory::new(F::HEADER.size + F::STATE.size);
        let host = Host { base: memory.address() };
        let mut rig = Self { _memory: memory, buffers: Vec::new(), host, form: PhantomData };
        for _ in 0..buffers {
            rig.give();
        }
        rig
    }

    /// Puts one more into the free queue.
    pub(super) fn give(&mut self) -> u64 {
        let records = F::RECORDS + F::CAPACITY as usize * F::RECORD;
        let mut buffer = Memory::new(records.max(F::COUNT + size_of::<u32>()));
        let address = buffer.address();
        self.host.give::<F>(self.state(), address);
        self.buffers.push(buffer);
        address
    }

    pub(super) fn state(&self) -> At {
        self.host.state::<F>(0, 0)
    }
}

/// Total (0 without one) and dropped of a state.
pub(super) fn books<F: Form>(state: At) -> (u32, u32) {
    (F::STATE.total.map_or(0, |total| state.at(total).load32()), state.at(F::STATE.dropped).load32())
}

/// The active buffer and its sequence number.
pub(super) fn active<F: Form>(state: At) -> (u64, u32) {
    (state.at(F::STATE.current).load64(), state.at(F::STATE.seq).load32())
}

/// Records in a buffer.
pub(super) fn count<F: Form>(buffer: u64) -> u32 {
    At(buffer as usize).at(F::COUNT).load32()
}

/// Record `index` of a buffer.
pub(super) fn record<F: Form, T: Copy>(buffer: u64, index: u32) -> T {
    At(buffer as usize).at(F::RECORDS + index as usize * F::RECORD).read()
}
