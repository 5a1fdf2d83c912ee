//! Submits of the orchestrator and what they depend on: a chain of slots per submit, one instance.
//!
//! A chain is a base slot and as many overflow slots as its dependencies need. It lies in one buffer without gaps and
//! appears there by one store of the buffer's count. The orchestrator owns everything here;
//! `collected slots + dropped == total + total_overflow`.

#[cfg(all(test, not(loom)))]
mod tests;

use super::engine::{Engine, Flushed};
use super::lane::{At, Form, Lane, Launch, Region, StateLayout, Thread};
use super::module::Module;
use super::wait::Clock;
use crate::layout::runtime::common::{DepGenBuffer, DepGenBufferState, DepGenOverflowRecord, DepGenRecord};
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{Arch, HeaderLayout};
use crate::sync::barrier::{rmb, wmb};
use core::marker::PhantomData;
use core::mem::offset_of;

/// Dependencies of a base slot.
const BASE: usize = DEP_GEN_MAX_EXPLICIT_DEPS as usize;
/// Dependencies of an overflow slot.
const OVERFLOW: usize = DEP_GEN_OVERFLOW_DEPS_PER_RECORD as usize;
const SLOTS: u32 = PLATFORM_DEP_GEN_RECORDS_PER_BUFFER;
const TENSORS: usize = CORE_MAX_TENSOR_ARGS as usize;
const TENSOR: usize = DEP_GEN_TENSOR_SIZE as usize;

const _: () = assert!(size_of::<DepGenRecord>() == size_of::<DepGenOverflowRecord>());

/// The stream of submits.
#[derive(Debug)]
pub struct DepGenForm<A>(PhantomData<A>);

impl<A: Arch> Form for DepGenForm<A> {
    const HEADER: HeaderLayout = A::DEP_GEN;
    const STATE: StateLayout = StateLayout {
        size: size_of::<DepGenBufferState>(),
        free: offset_of!(DepGenBufferState, free_queue),
        slots: PLATFORM_DEP_GEN_SLOT_COUNT,
        current: offset_of!(DepGenBufferState, current_buf_ptr),
        seq: offset_of!(DepGenBufferState, current_buf_seq),
        total: Some(offset_of!(DepGenBufferState, total_record_count)),
        dropped: offset_of!(DepGenBufferState, dropped_record_count),
    };
    const COUNT: usize = offset_of!(DepGenBuffer, count);
    const RECORDS: usize = offset_of!(DepGenBuffer, records);
    const RECORD: usize = size_of::<DepGenRecord>();
    const CAPACITY: u32 = SLOTS;
}

/// Slots that a submit with `deps` dependencies takes.
pub const fn records_needed_for(deps: u64) -> u64 {
    if deps <= BASE as u64 { 1 } else { 1 + (deps - BASE as u64).div_ceil(OVERFLOW as u64) }
}

/// A submit as the orchestrator describes it.
#[derive(Debug, Clone, Copy)]
pub struct Submit<'a> {
    /// Identity of the task.
    pub task_id: u64,
    /// Submitted in a manual scope.
    pub in_manual_scope: bool,
    /// Dispatched early.
    pub early_dispatch: bool,
    /// One entry per tensor, at most 32 are kept; `None` is stored as zeros.
    pub tensors: &'a [Option<&'a [u8; TENSOR]>],
    /// One byte per tensor; `None`, or what is missing, leaves the slot's bytes as they are.
    pub arg_types: Option<&'a [u8]>,
    /// What the task depends on.
    pub deps: &'a [u64],
    /// Blocks; below 1 is stored as 1.
    pub block_num: i32,
    /// Kernels; `None` is stored as -1 each.
    pub kernel_ids: Option<[i32; 3]>,
}

/// What became of a submit. The application does not notice any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was counted: the subsystem is off.
    Ignored,
    /// All of it is recorded.
    Written,
    /// Recorded with as many dependencies as a buffer holds, and as many tensors as a record does.
    Truncated,
    /// Counted as lost: there is no buffer.
    Dropped,
    /// Counted as lost: the orchestrator's ready queue is not known yet.
    NoIndex,
}

/// The submits of one run. The orchestrator's.
#[derive(Debug)]
pub struct DepGen<A> {
    region: Option<Region>,
    /// The orchestrator, whose index is below 0 until it is known.
    pub thread: Thread,
    arch: PhantomData<A>,
}

impl<A: Arch> DepGen<A> {
    /// Off: nothing is recorded, and nothing of an earlier run is known.
    pub const fn off() -> Self {
        Self { region: None, thread: Thread::new(-1), arch: PhantomData }
    }

    /// The region at `base`: takes the first buffer if one is there. Never waits. The orchestrator's index is not known
    /// afterwards. Off for a base of 0.
    ///
    /// # Safety
    ///
    /// As for [`Region::new`].
    pub unsafe fn init(base: u64, clock: &mut impl Clock) -> Self {
        // SAFETY: the caller's contract.
        let region = unsafe { Region::new(base, A::BUDGET) };
        let mut dep_gen = Self { region, ..Self::off() };
        if let Some(mut lane) = dep_gen.lane() {
            let state = lane.state;
            Engine::new(&mut lane, clock).init(state);
        }
        dep_gen
    }

    /// The orchestrator's ready queue.
    pub fn set_orch_thread_idx(&mut self, index: i32) {
        self.thread.index = index;
    }

    fn lane(&mut self) -> Option<Lane<'_, DepGenForm<A>>> {
        let region = self.region.as_ref()?;
        let state = region.header().at(A::DEP_GEN.size);
        Some(Lane::new(region, &mut self.thread, 0, state))
    }

    /// Records a submit. Waits for the host at most for the budget, and only when a buffer is full or missing.
    pub fn record_submit(&mut self, clock: &mut impl Clock, submit: &Submit<'_>) -> Outcome {
        let Some(mut lane) = self.lane() else { return Outcome::Ignored };
        let state = lane.state;
        lane.account_attempt(state);
        if lane.thread.index < 0 {
            lane.refuse_one();
            wmb();
            return Outcome::NoIndex;
        }
        rmb();
        // More than a buffer holds asks for all of one.
        let wanted = records_needed_for(submit.deps.len() as u64).min(u64::from(SLOTS) + 1) as u32;
        let room = Engine::new(&mut lane, clock).room(state, SLOTS, wanted);
        let Some((buffer, first)) = room.filter(|(_, count)| *count < SLOTS) else {
            lane.drop_one();
            wmb();
            return Outcome::Dropped;
        };
        let room = SLOTS - first;
        let (slots, deps) = if wanted <= room {
            (wanted, submit.deps)
        } else {
            let kept = BASE + (room as usize - 1) * OVERFLOW;
            (room, submit.deps.get(..kept).unwrap_or(submit.deps))
        };
        let (base, rest) = deps.split_at(deps.len().min(BASE));
        write_base(Lane::<DepGenForm<A>>::record(buffer, first), submit, base, slots > 1);
        let end = first + slots;
        for (index, deps) in (first + 1..).zip(rest.chunks(OVERFLOW)) {
            write_overflow(Lane::<DepGenForm<A>>::record(buffer, index), submit.task_id, deps, index + 1 == end);
        }
        if slots > 1 {
            state.at(offset_of!(DepGenBufferState, total_overflow_record_count)).add32(slots - 1);
        }
        // All slots of the chain appear at once, after what is in them.
        wmb();
        lane.set_count(buffer, end);
        wmb();
        if slots == wanted && submit.tensors.len() <= TENSORS {
            return Outcome::Written;
        }
        lane.thread.losses.truncated = lane.thread.losses.truncated.wrapping_add(1);
        Outcome::Truncated
    }

    /// Hands what is recorded to the host. `None` while off.
    pub fn flush(&mut self, clock: &mut impl Clock) -> Option<Flushed> {
        let mut lane = self.lane()?;
        Some(lane.flush(clock))
    }

    /// The end of a launch, whether the subsystem was on or not: off.
    pub fn finalize(&mut self) {
        *self = Self::off();
    }
}

impl<A: Arch> Launch for DepGen<A> {
    fn region(&mut self) -> Option<&mut Region> {
        self.region.as_mut()
    }
}

fn write_base(slot: At, submit: &Submit<'_>, deps: &[u64], has_overflow: bool) {
    let flag = |on: bool, bit: u32| if on { bit } else { 0 };
    let flags = flag(submit.in_manual_scope, DEP_GEN_FLAG_IN_MANUAL_SCOPE)
        | flag(has_overflow, DEP_GEN_FLAG_HAS_OVERFLOW)
        | flag(submit.early_dispatch, DEP_GEN_FLAG_EARLY_DISPATCH);
    let tensors = submit.tensors.get(..TENSORS).unwrap_or(submit.tensors);
    slot.at(offset_of!(DepGenRecord, task_id)).write(submit.task_id);
    slot.at(offset_of!(DepGenRecord, flags)).write(flags);
    slot.at(offset_of!(DepGenRecord, tensor_count)).write(tensors.len() as u16);
    slot.at(offset_of!(DepGenRecord, explicit_dep_count)).write(deps.len() as u16);
    write_deps(slot.at(offset_of!(DepGenRecord, explicit_deps)), deps);
    if let Some(types) = submit.arg_types {
        slot.at(offset_of!(DepGenRecord, arg_types)).write_bytes(types.get(..tensors.len()).unwrap_or(types));
    }
    slot.at(offset_of!(DepGenRecord, kernel_id)).write(submit.kernel_ids.unwrap_or([-1; 3]));
    slot.at(offset_of!(DepGenRecord, block_num)).write(submit.block_num.max(1) as u32);
    for (index, tensor) in tensors.iter().enumerate() {
        let place = slot.at(offset_of!(DepGenRecord, tensors) + index * TENSOR);
        place.write_bytes(tensor.unwrap_or(&[0; TENSOR]));
    }
}

fn write_overflow(slot: At, task_id: u64, deps: &[u64], is_last: bool) {
    let last = if is_last { DEP_GEN_FLAG_LAST_OVERFLOW } else { 0 };
    slot.at(offset_of!(DepGenOverflowRecord, task_id)).write(task_id);
    slot.at(offset_of!(DepGenOverflowRecord, flags)).write(DEP_GEN_FLAG_OVERFLOW | last);
    slot.at(offset_of!(DepGenOverflowRecord, dep_count)).write(deps.len() as u16);
    slot.at(offset_of!(DepGenOverflowRecord, _reserved)).write(0u16);
    write_deps(slot.at(offset_of!(DepGenOverflowRecord, deps)), deps);
}

fn write_deps(place: At, deps: &[u64]) {
    for (index, dep) in deps.iter().enumerate() {
        place.at(index * 8).write(*dep);
    }
}
