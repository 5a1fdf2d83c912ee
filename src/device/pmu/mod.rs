//! Performance counters of every task, one instance per core.
//!
//! On a2a3 the control thread reads the counters over registers when it sees a task finished ([`Pmu::record_task`]). On a5 the
//! core leaves them in its staging ring and the control thread takes them from there ([`Pmu::complete_record`]):
//! `collected + dropped + mismatch == total`.
//!
//! All state is in [`Pmu`], which [`Pmu::init`] makes anew for a run, in one [`Thread`] per control thread and one
//! [`registers::Core`] per core. A core is recorded by one thread at a time: the one that owns it.

pub mod registers;
#[cfg(all(test, not(loom)))]
mod tests;

use super::engine::{Engine, Flushed, Recorded};
use super::lane::{At, Form, Lane, Launch, Region, StateLayout, Thread};
use super::staging::{ControlSide, IdWidth, RawSlots, SlotForm, clear};
use super::wait::Clock;
use crate::layout::runtime::{A2a3, A5, Arch, HeaderLayout, a2a3, a5, constants};
use crate::sync::barrier::{rmb, wmb};
use core::marker::PhantomData;
use core::mem::offset_of;

macro_rules! state {
    ($arch:ident) => {
        StateLayout {
            size: size_of::<$arch::PmuBufferState>(),
            free: offset_of!($arch::PmuBufferState, free_queue),
            slots: constants::PLATFORM_PMU_SLOT_COUNT,
            current: offset_of!($arch::PmuBufferState, current_buf_ptr),
            seq: offset_of!($arch::PmuBufferState, current_buf_seq),
            total: Some(offset_of!($arch::PmuBufferState, total_record_count)),
            dropped: offset_of!($arch::PmuBufferState, dropped_record_count),
        }
    };
}

/// What the two forms have different.
pub trait PmuArch: Arch + registers::Programs {
    /// State of a core.
    const STATE: StateLayout;
    /// Where it holds the address of the core's staging ring, if cores have one.
    const RING: Option<usize>;
    /// Where the header holds the type of the events, in bytes.
    const EVENT_TYPE: usize;
}

impl PmuArch for A2a3 {
    const STATE: StateLayout = state!(a2a3);
    const RING: Option<usize> = None;
    const EVENT_TYPE: usize = offset_of!(a2a3::PmuDataHeader, event_type);
}

impl PmuArch for A5 {
    const STATE: StateLayout = state!(a5);
    const RING: Option<usize> = Some(offset_of!(a5::PmuBufferState, aicore_ring_ptr));
    const EVENT_TYPE: usize = offset_of!(a5::PmuDataHeader, event_type);
}

/// The stream of counters.
#[derive(Debug)]
pub struct PmuForm<A>(PhantomData<A>);

impl<A: PmuArch> Form for PmuForm<A> {
    const HEADER: HeaderLayout = A::PMU;
    const STATE: StateLayout = A::STATE;
    const COUNT: usize = offset_of!(a5::PmuBuffer, count);
    const RECORDS: usize = offset_of!(a5::PmuBuffer, records);
    const RECORD: usize = size_of::<a5::PmuRecord>();
    const CAPACITY: u32 = constants::PLATFORM_PMU_RECORDS_PER_BUFFER;
}

// Both architectures have the same record but for the number of counters, which come last.
const _: () = {
    assert!(size_of::<a2a3::PmuRecord>() == size_of::<a5::PmuRecord>());
    assert!(size_of::<a2a3::PmuBuffer>() == size_of::<a5::PmuBuffer>());
    assert!(offset_of!(a2a3::PmuBuffer, count) == offset_of!(a5::PmuBuffer, count));
    assert!(offset_of!(a2a3::PmuRecord, pmu_counters) == offset_of!(a5::PmuRecord, pmu_counters));
    assert!(offset_of!(a2a3::PmuRecord, pmu_total_cycles) == offset_of!(a5::PmuRecord, pmu_total_cycles));
};

/// A task whose counters are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Identity of the task.
    pub task_id: u64,
    /// Function that it ran.
    pub func_id: u32,
    /// `CORE_TYPE_*`.
    pub core_type: u32,
}

/// What became of a task's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was counted: the subsystem is off, or there is no such core.
    Ignored,
    /// Recorded.
    Written,
    /// Counted as lost.
    Dropped,
    /// The core had not published them (a5).
    Mismatch,
}

impl From<Recorded> for Outcome {
    fn from(recorded: Recorded) -> Self {
        match recorded {
            Recorded::Written => Self::Written,
            Recorded::Dropped => Self::Dropped,
        }
    }
}

/// The counters of one run. Shared by the control threads.
#[derive(Debug)]
pub struct Pmu<A> {
    region: Option<Region>,
    cores: u32,
    arch: PhantomData<A>,
}

impl<A: PmuArch> Pmu<A> {
    /// Off: nothing is recorded, and no region of an earlier run is known.
    pub const fn off() -> Self {
        Self { region: None, cores: 0, arch: PhantomData }
    }

    /// The region at `base` for `cores` cores: takes the first buffer of each, and clears their staging rings. Never waits. Off
    /// for a base of 0. Cores beyond the most that a chip has, and beyond `cores`, are refused afterwards.
    ///
    /// # Safety
    ///
    /// As for [`Region::new`]; the staging rings, too, are memory of their form.
    pub unsafe fn init(base: u64, cores: u32, clock: &mut impl Clock) -> Self {
        // SAFETY: the caller's contract.
        let region = unsafe { Region::new(base, A::BUDGET) };
        let pmu = Self { cores: cores.min(A::MAX_CORES), region, arch: PhantomData };
        for core in 0..pmu.cores {
            let mut thread = Thread::new(-1);
            if let Some(mut lane) = pmu.lane(&mut thread, core as i32) {
                let state = lane.state;
                Engine::new(&mut lane, clock).init(state);
                if let Some(ring) = ring::<A>(state) {
                    clear(&ring);
                }
            }
        }
        pmu
    }

    /// Type of the events that the host wants, as it set it before [`Pmu::init`]. `None` while off.
    pub fn event_type(&self) -> Option<u32> {
        Some(self.region.as_ref()?.header().at(A::EVENT_TYPE).load32())
    }

    fn lane<'a>(&'a self, thread: &'a mut Thread, core: i32) -> Option<Lane<'a, PmuForm<A>>> {
        let region = self.region.as_ref()?;
        let core = u32::try_from(core).ok().filter(|core| *core < self.cores)?;
        let state = region.header().at(A::PMU.size + core as usize * A::STATE.size);
        Some(Lane::new(region, thread, core, state))
    }

    /// Hands what `core` has recorded to the host; nothing is active afterwards unless it was empty. `None` without a region or
    /// without such a core. The thread that owns the core, at the end of its loop.
    pub fn flush(&self, thread: &mut Thread, clock: &mut impl Clock, core: i32) -> Option<Flushed> {
        let mut lane = self.lane(thread, core)?;
        Some(lane.flush(clock))
    }

    /// Appends a record whose counters `fill` writes.
    fn append(lane: &mut Lane<'_, PmuForm<A>>, clock: &mut impl Clock, task: Task, fill: impl FnOnce(At)) -> Outcome {
        let recorded = lane.append(clock, |record| {
            record.at(offset_of!(a5::PmuRecord, task_id)).write(task.task_id);
            record.at(offset_of!(a5::PmuRecord, func_id)).write(task.func_id);
            record.at(offset_of!(a5::PmuRecord, core_type)).write(task.core_type);
            fill(record);
        });
        recorded.into()
    }
}

impl<A: PmuArch> Launch for Pmu<A> {
    fn region(&mut self) -> Option<&mut Region> {
        self.region.as_mut()
    }
}

impl Pmu<A2a3> {
    /// Records a finished task of `core` with the counters that its registers show now. They are read only if there is a place
    /// for them. Waits for the host at most for the budget, and only when a buffer is full or missing. A core without registers
    /// is not counted.
    pub fn record_task(
        &self,
        thread: &mut Thread,
        clock: &mut impl Clock,
        registers: &mut impl registers::Registers,
        core: &registers::Core,
        task: Task,
    ) -> Outcome {
        if core.base == 0 {
            return Outcome::Ignored;
        }
        let Some(mut lane) = self.lane(thread, core.index) else { return Outcome::Ignored };
        Self::append(&mut lane, clock, task, |record| {
            let counters: [u32; a2a3::PMU_COUNTER_COUNT_A2A3 as usize] =
                registers::counters::<A2a3, _>(registers, core);
            let cycles = registers::cycles::<A2a3>(registers, core);
            record.at(offset_of!(a2a3::PmuRecord, pmu_total_cycles)).write(cycles);
            record.at(offset_of!(a2a3::PmuRecord, pmu_counters)).write(counters);
        })
    }
}

/// The staging ring of a core, whose address the host put into the state before the run.
fn ring<A: PmuArch>(state: At) -> Option<RawSlots> {
    let address = state.at(A::RING?).load64();
    let form = SlotForm {
        size: size_of::<a5::PmuRecord>() as u32,
        id_offset: offset_of!(a5::PmuRecord, task_id) as u32,
        id_width: IdWidth::W64,
    };
    // SAFETY: the ring of the core, by the promise of `Pmu::init`.
    unsafe { RawSlots::new(At(address as usize).pointer(), a5::PLATFORM_PMU_AICORE_RING_SIZE, form) }.ok()
}

impl Pmu<A5> {
    /// Records a finished task of `core` from the core's staging ring, whose slot holds `reg_task_id` or is a mismatch. Waits as
    /// [`Pmu::record_task`]. The thread has seen the task finished, and dispatches the next one for the slot afterwards.
    pub fn complete_record(
        &self,
        thread: &mut Thread,
        clock: &mut impl Clock,
        core: i32,
        reg_task_id: u32,
        task: Task,
    ) -> Outcome {
        use super::module::Module;
        let Some(mut lane) = self.lane(thread, core) else { return Outcome::Ignored };
        let state = lane.state;
        let Some(ring) = ring::<A5>(state) else {
            lane.account_attempt(state);
            lane.account_dropped(state, 1);
            lane.thread.losses.refused = lane.thread.losses.refused.wrapping_add(1);
            wmb();
            return Outcome::Dropped;
        };
        if !ControlSide(ring).holds(reg_task_id) {
            lane.account_attempt(state);
            state.at(offset_of!(a5::PmuBufferState, mismatch_record_count)).add32(1);
            wmb();
            return Outcome::Mismatch;
        }
        rmb();
        Self::append(&mut lane, clock, task, |record| {
            const FIRST: usize = offset_of!(a5::PmuRecord, pmu_total_cycles);
            // The total and the counters; the rest of the slot the core does not write.
            for offset in (FIRST..size_of::<a5::PmuRecord>()).step_by(8) {
                record.at(offset).write(ring.word_of(reg_task_id, (offset / 8) as u32));
            }
        })
    }
}
