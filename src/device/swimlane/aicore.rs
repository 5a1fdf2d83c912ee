//! The stream that a core writes itself: the control thread rotates its buffers.
//!
//! A buffer that is used up is *deferred*: the last record of it may still be on its way. It is published when the core
//! acknowledges the first task that was dispatched after the rotation (its *gate*): a core runs one task after the other, so
//! that all records before are in place. The next rotation, or the flush, publishes it otherwise.
//!
//! | state of a buffer | ends by |
//! | --- | --- |
//! | active: named by the head | rotation at the dispatch after the one that used it up; flush |
//! | deferred, in order of sequence numbers | the gate's acknowledgement, the next rotation, flush |
//! | the host's | its free queue |
//!
//! A rotation that finds no buffer within the budget lets go of the old one all the same: the head names none, the gate's
//! acknowledgement frees the old buffer for the host, and each dispatch looks again. What the core cannot record meanwhile is
//! counted as lost at the flush: dispatches less published records.
//!
//! A buffer that the flush cannot publish is counted as lost and stays deferred. Whatever publishes it later, another flush for
//! instance, takes its records out of the count again.

use super::super::engine::Engine;
use super::super::lane::{At, Lane, Thread};
use super::super::module::Module;
use super::super::wait::{Clock, Refused, Wait};
use super::head::{ActiveHead, CAPACITY};
use super::{Swimlane, SwimlaneArch, TaskPool};
use crate::layout::runtime::A2a3;
use crate::layout::runtime::common::{
    ChipSwimlaneActiveHead, ChipSwimlaneAicoreTaskBuffer, ChipSwimlaneAicoreTaskRecord,
};
use crate::sync::barrier::wmb;
use crate::sync::{RawWord32, RawWord64};
use core::mem::offset_of;

/// Deferred buffers of a core: a rotation waits until one of them was published.
pub const DEFERRED: usize = 3;

/// Places for them: a flush in vain leaves the active one, too.
const PLACES: usize = DEFERRED + 1;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Deferred {
    address: u64,
    seq: u32,
    gate: u32,
    records: u32,
    /// Why a flush counted its records as lost, as [`Deferred::give_up`] notes it; 0: none has.
    lost: u32,
}

impl Deferred {
    const NONE: Self = Self { address: 0, seq: 0, gate: 0, records: 0, lost: 0 };

    fn give_up(&mut self, reason: Refused) {
        self.lost = match reason {
            Refused::TimedOut => 1,
            Refused::HostGone => 2,
            Refused::NoHeader | Refused::BadIndex | Refused::NoQueue => 3,
        };
    }

    fn given_up(&self) -> Option<Refused> {
        match self.lost {
            0 => None,
            1 => Some(Refused::TimedOut),
            2 => Some(Refused::HostGone),
            _ => Some(Refused::NoQueue),
        }
    }
}

/// A core's stream as its control thread keeps it. Made anew for each run, by [`Core::new`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Core {
    /// Number of the core.
    pub index: i32,
    /// Tasks that were dispatched.
    dispatches: u32,
    /// Of these, before the active buffer became so.
    before_active: u32,
    /// Dispatches that are accounted for: published, or counted as lost.
    settled: u32,
    deferred: [Deferred; PLACES],
    deferred_count: usize,
}

impl Core {
    /// Core `index` at the beginning of a run.
    pub const fn new(index: i32) -> Self {
        let deferred = [Deferred::NONE; PLACES];
        Self { index, dispatches: 0, before_active: 0, settled: 0, deferred, deferred_count: 0 }
    }

    /// Buffers that wait for their gate, or that could not be published.
    pub fn deferred(&self) -> usize {
        self.deferred_count
    }
}

/// What a dispatch did to the core's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatched {
    /// Nothing was counted: off, or there is no such core.
    Ignored,
    /// The task has a place in the active buffer.
    Counted,
    /// It is the first in another buffer.
    Rotated,
    /// The core has no place for it.
    NoBuffer,
}

/// What an acknowledgement did to the core's deferred buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// Off, or there is no such core.
    Ignored,
    /// None waits for it any more.
    Through,
    /// Some could not be published, and wait on. Nothing is lost.
    Kept,
}

/// What a flush of a core's stream did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreFlushed {
    /// Records that were published by it, with those that an earlier flush had counted as lost.
    pub published: u32,
    /// Records of this run that are lost and were counted as such by it.
    pub lost: u32,
}

pub(super) fn head_of(state: At) -> ActiveHead<RawWord32, RawWord64> {
    ActiveHead {
        address: state.at(offset_of!(ChipSwimlaneActiveHead, current_buf_ptr)).word64(),
        seq: state.at(offset_of!(ChipSwimlaneActiveHead, current_buf_seq)).word32(),
    }
}

/// The head at `address`, which a rotation table names; `None` for 0 and for an address that is none.
///
/// # Safety
///
/// `address` is 0 or that of a head of a region that is in use.
pub unsafe fn head_at(address: u64) -> Option<ActiveHead<RawWord32, RawWord64>> {
    let is_head = address != 0 && address.is_multiple_of(align_of::<ChipSwimlaneActiveHead>() as u64);
    is_head.then(|| head_of(At(address as usize)))
}

/// A task as its core saw it. Times in ticks of the core's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AicoreTask {
    /// Identity of the task.
    pub token: u64,
    /// What joins it with the control thread's record.
    pub reg_task_id: u32,
    /// When the core saw the dispatch.
    pub receive_time: u64,
    /// Begin; not 0.
    pub start_time: u64,
    /// End.
    pub end_time: u64,
}

/// Address of record `slot` of `buffer`, as [`CoreLocal::reserve`](super::head::CoreLocal::reserve) gives them.
pub fn record_at(buffer: u64, slot: u32) -> u64 {
    Lane::<TaskPool<A2a3, 3>>::record(buffer, slot).0 as u64
}

/// Writes the record at an address of [`record_at`]. The core, after it told that the task is finished and before it
/// acknowledges the next one.
///
/// # Safety
///
/// The record was reserved in this run and not committed yet.
pub unsafe fn commit(record: u64, task: &AicoreTask) {
    let record = At(record as usize);
    record.at(offset_of!(ChipSwimlaneAicoreTaskRecord, start_time)).write([task.start_time, task.end_time, task.token]);
    let waited = task.start_time.wrapping_sub(task.receive_time) as u32;
    record.at(offset_of!(ChipSwimlaneAicoreTaskRecord, reg_task_id)).write([task.reg_task_id, waited]);
    wmb();
}

// Fields of a record that are written together lie together.
const _: () = {
    assert!(offset_of!(ChipSwimlaneAicoreTaskRecord, start_time) == 0);
    assert!(offset_of!(ChipSwimlaneAicoreTaskRecord, task_token_raw) == 16);
    assert!(offset_of!(ChipSwimlaneAicoreTaskRecord, receive_to_start_cycles) == 28);
};

fn reset_count(buffer: u64, count: u32) {
    At(buffer as usize).at(offset_of!(ChipSwimlaneAicoreTaskBuffer, count)).store32(count);
}

impl<A: SwimlaneArch> Swimlane<A> {
    fn core_lane<'a>(&'a self, thread: &'a mut Thread, core: i32) -> Option<Lane<'a, TaskPool<A, 3>>> {
        let core = self.core_in_range(core)?;
        let state = self.region.as_ref()?.header().at(self.aicore_pools() + core as usize * super::POOL);
        Some(Lane::new(self.region.as_ref()?, thread, core, state))
    }

    /// The first buffer of a core, if one is there, in the order that the core needs. Never waits.
    pub(super) fn init_core(&self, core: i32) {
        let mut thread = Thread::new(-1);
        let Some(mut lane) = self.core_lane(&mut thread, core) else { return };
        let state = lane.state;
        let free = lane.free(state);
        let address = free.and_then(|free| Some(free.take(free.look()?))).unwrap_or(0);
        if address != 0 {
            lane.set_count(address, 0);
        }
        head_of(state).publish(address, 0);
    }

    /// A task is about to be dispatched to the core: before the register is written. Rotates the core's buffers if the active
    /// one is used up; only then it waits for the host, at most for the budget. A core that has no buffer looks for one at each
    /// dispatch, without waiting.
    pub fn on_aicore_dispatch(
        &self,
        thread: &mut Thread,
        clock: &mut impl Clock,
        core: &mut Core,
        reg_task_id: u32,
    ) -> Dispatched {
        let Some(mut lane) = self.core_lane(thread, core.index) else { return Dispatched::Ignored };
        let state = lane.state;
        let has_buffer = lane.current(state) != 0;
        let in_active = core.dispatches.wrapping_sub(core.before_active);
        let outcome = if has_buffer && in_active < CAPACITY {
            Dispatched::Counted
        } else {
            rotate(&mut lane, clock, core, reg_task_id)
        };
        core.dispatches = core.dispatches.wrapping_add(1);
        lane.account_attempt(state);
        outcome
    }

    /// The core acknowledged or finished a task: publishes the buffers whose gate it is. After every event of the core; does
    /// not depend on the level.
    pub fn on_aicore_ack(
        &self,
        thread: &mut Thread,
        clock: &mut impl Clock,
        core: &mut Core,
        reg_task_id: u32,
    ) -> Acknowledged {
        let Some(mut lane) = self.core_lane(thread, core.index) else { return Acknowledged::Ignored };
        let waiting = core.deferred.get(..core.deferred_count).unwrap_or(&[]);
        let Some(last) = waiting.iter().rposition(|deferred| deferred.gate == reg_task_id) else {
            return Acknowledged::Through;
        };
        match publish_deferred(&mut lane, clock, core, last + 1, true) {
            (_, Ok(())) => Acknowledged::Through,
            (_, Err(_)) => Acknowledged::Kept,
        }
    }

    /// Hands all that the core recorded to the host, the active buffer with as many records as tasks were dispatched into it.
    /// Nothing is active afterwards unless nothing was dispatched into it. After the core's last acknowledgement, that of the
    /// exit: nothing else proves that the last record is in place. What cannot be handed over is counted as lost and stays
    /// deferred. `None` while off, or without such a core.
    pub fn flush_core(&self, thread: &mut Thread, clock: &mut impl Clock, core: &mut Core) -> Option<CoreFlushed> {
        let mut lane = self.core_lane(thread, core.index)?;
        let state = lane.state;
        let (address, seq) = (lane.current(state), lane.seq(state));
        let records = core.dispatches.wrapping_sub(core.before_active).min(CAPACITY);
        let is_used = address != 0 && records != 0;
        if is_used && let Some(place) = core.deferred.get_mut(core.deferred_count) {
            // It waits for no event; one that has this gate does no harm.
            *place = Deferred { address, seq, records, ..Deferred::NONE };
            core.deferred_count += 1;
        }
        let (published, outcome) = publish_deferred(&mut lane, clock, core, PLACES, true);
        if is_used {
            head_of(state).publish(0, seq.wrapping_add(1));
            core.before_active = core.dispatches;
        }
        let pending = if lane.current(state) != 0 { core.dispatches.wrapping_sub(core.before_active) } else { 0 };
        let lost = core.dispatches.wrapping_sub(pending).wrapping_sub(core.settled);
        if lost != 0 {
            let mut kept: u32 = 0;
            if let Err(reason) = outcome {
                let waiting = core.deferred.iter_mut().take(core.deferred_count);
                for deferred in waiting.filter(|deferred| deferred.given_up().is_none()) {
                    deferred.give_up(reason);
                    kept = kept.wrapping_add(deferred.records);
                }
                lane.thread.losses.unpublished(reason, kept);
            }
            lane.account_dropped(state, lost);
            lane.thread.losses.no_buffer = lane.thread.losses.no_buffer.wrapping_add(lost.wrapping_sub(kept));
            core.settled = core.settled.wrapping_add(lost);
            wmb();
        }
        Some(CoreFlushed { published, lost })
    }
}

/// Publishes the first `count` deferred buffers in their order; stops at the first that cannot be. How many records that were.
/// `waits`: for room, at most for the budget each.
fn publish_deferred<A: SwimlaneArch>(
    lane: &mut Lane<'_, TaskPool<A, 3>>,
    clock: &mut impl Clock,
    core: &mut Core,
    count: usize,
    waits: bool,
) -> (u32, Result<(), Refused>) {
    let (mut done, mut published, mut outcome) = (0, 0u32, Ok(()));
    for deferred in core.deferred.iter().take(count.min(core.deferred_count)) {
        if !waits && lane.ready().is_ok_and(|ready| ready.look().is_none()) {
            outcome = Err(Refused::TimedOut);
            break;
        }
        reset_count(deferred.address, deferred.records);
        wmb();
        outcome = enqueue(lane, clock, deferred.address, deferred.seq);
        if outcome.is_err() {
            break;
        }
        match deferred.given_up() {
            None => core.settled = core.settled.wrapping_add(deferred.records),
            Some(reason) => {
                lane.account_dropped(lane.state, deferred.records.wrapping_neg());
                lane.thread.losses.published_late(reason, deferred.records);
                wmb();
            }
        }
        published = published.wrapping_add(deferred.records);
        done += 1;
    }
    core.deferred.rotate_left(done.min(PLACES));
    core.deferred_count -= done;
    (published, outcome)
}

/// Publishes a buffer; a gate that does not open in time is noted.
fn enqueue<A: SwimlaneArch>(
    lane: &mut Lane<'_, TaskPool<A, 3>>,
    clock: &mut impl Clock,
    address: u64,
    seq: u32,
) -> Result<(), Refused> {
    let state = lane.state;
    let mut engine = Engine::new(lane, clock);
    let gate = engine.enqueue(address, seq)?;
    engine.note_gate(state, gate);
    Ok(())
}

/// Another buffer for the core, whose active one is used up or missing.
#[cold]
fn rotate<A: SwimlaneArch>(
    lane: &mut Lane<'_, TaskPool<A, 3>>,
    clock: &mut impl Clock,
    core: &mut Core,
    gate: u32,
) -> Dispatched {
    let state = lane.state;
    let (old, seq) = (lane.current(state), lane.seq(state));
    // A further dispatch finds what the first one has waited for in vain, and the scheduler has other cores.
    let waits = old != 0 && core.dispatches.wrapping_sub(core.before_active) == CAPACITY;
    // The tasks of earlier gates are long through; the host may need these buffers to have one for this core.
    let _ = publish_deferred(lane, clock, core, PLACES, waits);
    if core.deferred_count >= DEFERRED {
        return Dispatched::NoBuffer;
    }
    let mut address = 0;
    if let Some(free) = lane.free(state) {
        let gates = lane.gates();
        let budget = if waits { lane.budget() } else { 0 };
        let head = Wait::new(clock, lane.latch(), budget).free(&free, gates.as_ref());
        if let Ok(head) = head {
            // A slot that holds no buffer is used up, too.
            address = free.take(head);
            if address == 0 {
                lane.on_null_slot(state);
            }
        }
    }
    if old != 0 {
        if let Some(place) = core.deferred.get_mut(core.deferred_count) {
            *place = Deferred { address: old, seq, gate, records: CAPACITY, lost: 0 };
            core.deferred_count += 1;
        }
    } else if address == 0 {
        return Dispatched::NoBuffer;
    }
    if address != 0 {
        lane.set_count(address, 0);
    }
    head_of(state).publish(address, seq.wrapping_add(1));
    core.before_active = core.dispatches;
    if address == 0 { Dispatched::NoBuffer } else { Dispatched::Rotated }
}
