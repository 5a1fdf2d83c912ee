//! When every task was dispatched, ran and finished, and what schedulers and orchestrator did meanwhile: four streams.
//!
//! | stream | instance | written by | level from |
//! | --- | --- | --- | --- |
//! | tasks as the control thread saw them | core | the thread that owns the core | 2 |
//! | phases of a scheduler | control thread | that thread | 3 |
//! | phases of the orchestrator | one | the orchestrator | 4 |
//! | tasks as the core saw them ([`aicore`]) | core | the core; its control thread rotates buffers | 1 |
//!
//! In each of the first three `collected + dropped == total`; in the fourth `total` is the number of dispatches, and what was
//! not published is counted as dropped at the flush.
//!
//! All state is in [`Swimlane`], made anew for a run by [`Swimlane::init`], in one [`Thread`] per control thread and one
//! [`aicore::Core`] per core. A launch without the swimlane uses [`Swimlane::off`]: level 0, and nothing is recorded.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `swimlane.H1` | control thread's release of a head's sequence number | `swimlane.C1` | address and count of the buffer | `loom_swimlane_head` |
//! | `swimlane.C1` | core's acquire of the number | | the same | `loom_swimlane_head` |

pub mod aicore;
pub mod head;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use super::engine::{Engine, Flushed, Recorded};
use super::lane::{At, Form, Lane, Launch, Region, StateLayout, Thread};
use super::module::Module;
use super::wait::Clock;
use crate::layout::runtime::common::*;
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, Arch, HeaderLayout, a2a3, a5};
use crate::sync::barrier::wmb;
use core::marker::PhantomData;
use core::mem::offset_of;

/// Size of a pool, of whatever stream.
const POOL: usize = size_of::<ChipSwimlaneAicpuTaskPool>();

/// Where the header's words lie.
pub trait SwimlaneArch: Arch {
    /// Level, scheduler threads, orchestrators, cores of the assignment, the assignment: in bytes from the header.
    const WORDS: [usize; 5];
}

macro_rules! swimlane_arch {
    ($name:ident, $module:ident) => {
        impl SwimlaneArch for $name {
            const WORDS: [usize; 5] = [
                offset_of!($module::ChipSwimlaneDataHeader, chip_swimlane_level),
                offset_of!($module::ChipSwimlaneDataHeader, num_sched_phase_threads),
                offset_of!($module::ChipSwimlaneDataHeader, num_orch_phase_threads),
                offset_of!($module::ChipSwimlaneDataHeader, num_phase_cores),
                offset_of!($module::ChipSwimlaneDataHeader, core_to_thread),
            ];
        }
    };
}

swimlane_arch!(A2a3, a2a3);
swimlane_arch!(A5, a5);

/// The stream of kind `KIND`, one of `CHIP_SWIMLANE_KIND_*`.
#[derive(Debug)]
pub struct TaskPool<A, const KIND: u32>(PhantomData<A>);

const fn pick(kind: u32, each: [usize; 4]) -> usize {
    each[kind as usize]
}

impl<A: Arch, const KIND: u32> Form for TaskPool<A, KIND> {
    const HEADER: HeaderLayout = A::SWIMLANE;
    const STATE: StateLayout = StateLayout {
        size: POOL,
        free: offset_of!(ChipSwimlaneAicpuTaskPool, free_queue),
        slots: PLATFORM_PROF_SLOT_COUNT,
        current: offset_of!(ChipSwimlaneActiveHead, current_buf_ptr),
        seq: offset_of!(ChipSwimlaneActiveHead, current_buf_seq),
        total: Some(offset_of!(ChipSwimlaneActiveHead, total_record_count)),
        dropped: offset_of!(ChipSwimlaneActiveHead, dropped_record_count),
    };
    const COUNT: usize = pick(
        KIND,
        [
            offset_of!(ChipSwimlaneAicpuTaskBuffer, count),
            offset_of!(ChipSwimlaneAicpuSchedPhaseBuffer, count),
            offset_of!(ChipSwimlaneAicpuOrchPhaseBuffer, count),
            offset_of!(ChipSwimlaneAicoreTaskBuffer, count),
        ],
    );
    const RECORDS: usize = 0;
    const RECORD: usize = pick(
        KIND,
        [
            size_of::<ChipSwimlaneAicpuTaskRecord>(),
            size_of::<ChipSwimlaneAicpuSchedPhaseRecord>(),
            size_of::<ChipSwimlaneAicpuOrchPhaseRecord>(),
            size_of::<ChipSwimlaneAicoreTaskRecord>(),
        ],
    );
    const CAPACITY: u32 = [
        PLATFORM_PROF_BUFFER_SIZE,
        PLATFORM_PHASE_RECORDS_PER_THREAD,
        PLATFORM_PHASE_RECORDS_PER_THREAD,
        PLATFORM_AICORE_BUFFER_SIZE,
    ][KIND as usize];
    const KIND: Option<u32> = Some(KIND);
}

const _: () = {
    assert!(offset_of!(ChipSwimlaneAicpuTaskPool, head) == 0);
    assert!(offset_of!(ChipSwimlaneAicpuTaskBuffer, records) == 0);
    assert!(CHIP_SWIMLANE_KIND_AICPU_TASK == 0 && CHIP_SWIMLANE_KIND_AICORE_TASK == 3);
};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was counted: off, or there is no such instance.
    Ignored,
    /// Recorded.
    Written,
    /// Counted as lost.
    Dropped,
}

/// A phase of a scheduler thread. Times in ticks of the control processors' counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedPhase {
    /// `SCHED_PHASE_*`.
    pub kind: u32,
    /// Begin.
    pub start_time: u64,
    /// End.
    pub end_time: u64,
    /// Round of the scheduler's loop.
    pub loop_iter: u32,
    /// Tasks that it dealt with.
    pub tasks_processed: u32,
    /// Hits and misses, or the low and the high half of a task's id.
    pub data: [u32; 2],
    /// Depths of the shared queues at the begin.
    pub shared_at_start: [i16; 3],
    /// And at the end.
    pub shared_at_end: [i16; 3],
}

impl SchedPhase {
    /// A task of `kind` that took no time, or the preparation of a graph with `tasks_processed` nodes.
    pub const fn of_task(
        kind: u32,
        start_time: u64,
        end_time: u64,
        loop_iter: u32,
        task_id: u64,
        tasks_processed: u32,
    ) -> Self {
        let data = [task_id as u32, (task_id >> 32) as u32];
        Self {
            kind,
            start_time,
            end_time,
            loop_iter,
            tasks_processed,
            data,
            shared_at_start: [0; 3],
            shared_at_end: [0; 3],
        }
    }
}

/// The swimlane of one run. Shared by the control threads.
#[derive(Debug)]
pub struct Swimlane<A> {
    region: Option<Region>,
    cores: u32,
    level: u32,
    sched_threads: u32,
    orch_threads: u32,
    has_phases: bool,
    arch: PhantomData<A>,
}

impl<A: SwimlaneArch> Swimlane<A> {
    /// Off: level 0, and no region of an earlier run is known.
    pub const fn off() -> Self {
        Self {
            region: None,
            cores: 0,
            level: CHIP_SWIMLANE_LEVEL_DISABLED,
            sched_threads: 0,
            orch_threads: 0,
            has_phases: false,
            arch: PhantomData,
        }
    }

    /// The region at `base` for `cores` cores: takes the first buffers and the level, and fills `table` (one address per core)
    /// with the addresses of the cores' heads. Never waits. There are no phases yet. Off for a base of 0, and for more cores
    /// than a chip has.
    ///
    /// # Safety
    ///
    /// As for [`Region::new`].
    pub unsafe fn init(base: u64, cores: u32, table: Option<&mut [u64]>, clock: &mut impl Clock) -> Self {
        if cores > A::MAX_CORES {
            return Self::off();
        }
        // SAFETY: the caller's contract.
        let Some(region) = (unsafe { Region::new(base, A::BUDGET) }) else { return Self::off() };
        let level = region.header().at(A::WORDS[0]).load32();
        let swimlane = Self { region: Some(region), cores, level, ..Self::off() };
        for core in 0..cores as i32 {
            let mut thread = Thread::new(-1);
            if let Some(mut lane) = swimlane.task_lane(&mut thread, core) {
                let state = lane.state;
                Engine::new(&mut lane, clock).init(state);
            }
            swimlane.init_core(core);
        }
        for (core, place) in table.into_iter().flatten().enumerate().take(cores as usize) {
            *place = base + (swimlane.aicore_pools() + core * POOL) as u64;
        }
        wmb();
        swimlane
    }

    /// Opens the phases: `sched_threads` pools, at most as many as there are control threads, and `orch_threads`, at most
    /// one; takes the first buffer of each. Never waits. Before any thread records. False, and nothing happens, while off and
    /// if they are open: the buffers that they have would be lost.
    pub fn init_phases(&mut self, sched_threads: u32, orch_threads: u32, clock: &mut impl Clock) -> bool {
        let (Some(header), false) = (self.region.as_ref().map(Region::header), self.has_phases) else { return false };
        header.at(A::WORDS[1]).store32(sched_threads);
        header.at(A::WORDS[2]).store32(orch_threads);
        header.at(A::WORDS[3]).store32(0);
        for core in 0..A::MAX_CORES as usize {
            header.at(A::WORDS[4] + core).write(-1i8);
        }
        self.sched_threads = sched_threads.min(A::MAX_THREADS);
        self.orch_threads = orch_threads.min(1);
        self.has_phases = true;
        for index in 0..self.sched_threads as i32 {
            let mut thread = Thread::new(index);
            if let Some(mut lane) = self.sched_lane(&mut thread) {
                let state = lane.state;
                Engine::new(&mut lane, clock).init(state);
            }
        }
        let mut thread = Thread::new(0);
        if let Some(mut lane) = self.orch_lane(&mut thread) {
            let state = lane.state;
            Engine::new(&mut lane, clock).init(state);
        }
        wmb();
        true
    }

    /// One of `CHIP_SWIMLANE_LEVEL_*`, as the host set it before [`Swimlane::init`]; 0 while off.
    pub fn level(&self) -> u32 {
        self.level
    }

    fn core_in_range(&self, core: i32) -> Option<u32> {
        u32::try_from(core).ok().filter(|core| *core < self.cores)
    }

    fn aicore_pools(&self) -> usize {
        A::SWIMLANE.size + self.cores as usize * POOL
    }

    fn sched_pools(&self) -> usize {
        self.aicore_pools() + self.cores as usize * POOL
    }

    fn lane<'a, const KIND: u32>(
        &'a self,
        thread: &'a mut Thread,
        pools: usize,
        instance: u32,
    ) -> Option<Lane<'a, TaskPool<A, KIND>>> {
        let region = self.region.as_ref()?;
        let state = region.header().at(pools + instance as usize * POOL);
        Some(Lane::new(region, thread, instance, state))
    }

    fn task_lane<'a>(&'a self, thread: &'a mut Thread, core: i32) -> Option<Lane<'a, TaskPool<A, 0>>> {
        let core = self.core_in_range(core)?;
        self.lane(thread, A::SWIMLANE.size, core)
    }

    fn sched_lane<'a>(&'a self, thread: &'a mut Thread) -> Option<Lane<'a, TaskPool<A, 1>>> {
        let index = u32::try_from(thread.index).ok().filter(|index| *index < self.sched_threads)?;
        self.lane(thread, self.sched_pools(), index)
    }

    fn orch_lane<'a>(&'a self, thread: &'a mut Thread) -> Option<Lane<'a, TaskPool<A, 2>>> {
        if self.orch_threads == 0 || thread.index < 0 {
            return None;
        }
        self.lane(thread, self.sched_pools() + A::MAX_THREADS as usize * POOL, 0)
    }

    /// Records a finished task of `core`, and hands the buffer over if that filled it. Waits for the host at most for the
    /// budget, and only when a buffer is full or missing. Level 2 and above.
    pub fn complete_task(
        &self,
        thread: &mut Thread,
        clock: &mut impl Clock,
        core: i32,
        reg_task_id: u32,
        dispatch_time: u64,
        finish_time: u64,
    ) -> Outcome {
        let Some(mut lane) = self.task_lane(thread, core) else { return Outcome::Ignored };
        let state = lane.state;
        let outcome = append(&mut lane, clock, |record| {
            record.at(offset_of!(ChipSwimlaneAicpuTaskRecord, dispatch_time)).write(dispatch_time);
            record.at(offset_of!(ChipSwimlaneAicpuTaskRecord, finish_time)).write(finish_time);
            record.at(offset_of!(ChipSwimlaneAicpuTaskRecord, reg_task_id)).write(reg_task_id);
        });
        if outcome == Outcome::Written && lane.count(lane.current(state)) >= TaskPool::<A, 0>::CAPACITY {
            Engine::new(&mut lane, clock).switch(state);
        }
        outcome
    }

    /// Records a phase of the scheduler that `thread` is; as [`Swimlane::complete_task`], but a full buffer is handed over by
    /// the next record. Level 3 and above.
    pub fn record_sched_phase(&self, thread: &mut Thread, clock: &mut impl Clock, phase: &SchedPhase) -> Outcome {
        let Some(mut lane) = self.sched_lane(thread) else { return Outcome::Ignored };
        append(&mut lane, clock, |record| {
            macro_rules! fields {
                ($($field:ident = $value:expr;)*) => {
                    $(record.at(offset_of!(ChipSwimlaneAicpuSchedPhaseRecord, $field)).write($value);)*
                };
            }
            fields! {
                start_time = phase.start_time;
                end_time = phase.end_time;
                loop_iter = phase.loop_iter;
                kind = phase.kind;
                tasks_processed = phase.tasks_processed;
                phase_data = phase.data;
                shared_depth_at_start = phase.shared_at_start;
                shared_depth_at_end = phase.shared_at_end;
            }
        })
    }

    /// Records a submit of the orchestrator, whose thread has its ready queue's index; ignored while that is below 0. Level 4.
    pub fn record_orch_phase(
        &self,
        thread: &mut Thread,
        clock: &mut impl Clock,
        times: [u64; 2],
        task_id: u64,
        submit_idx: u32,
    ) -> Outcome {
        let Some(mut lane) = self.orch_lane(thread) else { return Outcome::Ignored };
        append(&mut lane, clock, |record| {
            record.at(offset_of!(ChipSwimlaneAicpuOrchPhaseRecord, start_time)).write(times);
            record.at(offset_of!(ChipSwimlaneAicpuOrchPhaseRecord, task_id)).write(task_id);
            record.at(offset_of!(ChipSwimlaneAicpuOrchPhaseRecord, submit_idx)).write(submit_idx);
        })
    }

    /// No core is assigned to any thread of `total` cores yet. Without phases nothing happens.
    pub fn init_core_assignments(&self, total: u32) {
        if let (Some(region), true) = (&self.region, self.has_phases) {
            for core in 0..A::MAX_CORES as usize {
                region.header().at(A::WORDS[4] + core).write(-1i8);
            }
            region.header().at(A::WORDS[3]).store32(total);
            wmb();
        }
    }

    /// The cores of a control thread; numbers out of range are passed over. Without phases nothing happens.
    pub fn write_core_assignments(&self, thread_idx: i32, cores: &[i32]) {
        if let (Some(region), true) = (&self.region, self.has_phases) {
            for core in cores.iter().filter(|core| (0..A::MAX_CORES as i32).contains(core)) {
                region.header().at(A::WORDS[4] + *core as usize).write(thread_idx as i8);
            }
            wmb();
        }
    }

    /// Hands the tasks of `core` to the host. `None` while off, or without such a core. The core's own stream has
    /// [`Swimlane::flush_core`].
    pub fn flush_tasks(&self, thread: &mut Thread, clock: &mut impl Clock, core: i32) -> Option<Flushed> {
        let mut lane = self.task_lane(thread, core)?;
        Some(lane.flush(clock))
    }

    /// Hands the phases of the scheduler that `thread` is to the host. An empty buffer stays active.
    pub fn flush_sched_phases(&self, thread: &mut Thread, clock: &mut impl Clock) -> Option<Flushed> {
        let mut lane = self.sched_lane(thread)?;
        Some(lane.flush(clock))
    }

    /// Hands the submits of the orchestrator to the host. An empty buffer stays active.
    pub fn flush_orch_phases(&self, thread: &mut Thread, clock: &mut impl Clock) -> Option<Flushed> {
        let mut lane = self.orch_lane(thread)?;
        Some(lane.flush(clock))
    }
}

impl<A: SwimlaneArch> Launch for Swimlane<A> {
    fn region(&mut self) -> Option<&mut Region> {
        self.region.as_mut()
    }
}

const _: () = assert!(offset_of!(ChipSwimlaneAicpuOrchPhaseRecord, end_time) == 8);

/// Appends a record that `fill` writes.
#[inline(always)]
fn append<A: Arch, const KIND: u32>(
    lane: &mut Lane<'_, TaskPool<A, KIND>>,
    clock: &mut impl Clock,
    fill: impl FnOnce(At),
) -> Outcome {
    match lane.append(clock, fill) {
        Recorded::Written => Outcome::Written,
        Recorded::Dropped => Outcome::Dropped,
    }
}
