//! A core of the swimlane, for simulation: what the core itself does on hardware.

use super::{done, status};
use crate::capi::args::check;
use crate::device::swimlane::aicore::{AicoreTask, commit, head_at, record_at};
use crate::device::swimlane::head::CoreLocal;
use crate::layout::runtime::common::{
    ChipSwimlaneActiveHead, ChipSwimlaneAicoreLocalState, ChipSwimlaneAicoreTaskRecord,
};
use crate::status::{Status, lanepipe_status_t};

/// What a core keeps of its stream, with the layout of the C++ runtime's `ChipSwimlaneAicoreLocalState`. Made by
/// `lanepipe_swimlane_aicore_init`; the core's.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_swimlane_aicore_t {
    /// Buffer that it fills; 0: none.
    pub cached_buf: u64,
    /// Its sequence number.
    pub cached_buf_seq: u32,
    /// Records that are reserved in it.
    pub slot_within_buf: u32,
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<lanepipe_swimlane_aicore_t>() == size_of::<CoreLocal>());
    assert!(size_of::<lanepipe_swimlane_aicore_t>() == size_of::<ChipSwimlaneAicoreLocalState>());
    assert!(
        offset_of!(lanepipe_swimlane_aicore_t, cached_buf_seq)
            == offset_of!(ChipSwimlaneAicoreLocalState, cached_buf_seq)
    );
    assert!(
        offset_of!(lanepipe_swimlane_aicore_t, slot_within_buf)
            == offset_of!(ChipSwimlaneAicoreLocalState, slot_within_buf)
    );
};

/// A core at the beginning of a launch. Never blocks.
///
/// # Safety
///
/// `aicore` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_aicore_init(aicore: *mut lanepipe_swimlane_aicore_t) -> lanepipe_status_t {
    done(check(aicore).map(|()| {
        // SAFETY: checked; the caller's contract.
        unsafe { aicore.cast::<CoreLocal>().write(CoreLocal::default()) }
    }))
}

/// Reserves the record of a task that the core has received, before it acknowledges it: `record` is its address. `head` is what
/// the table of `lanepipe_swimlane_init` holds for the core. `LANEPIPE_EMPTY`: there is no head, no buffer, or no room in it;
/// `record` is 0 then. `LANEPIPE_E_MISALIGNED`: one of the addresses is none, and `record` is as it was. The core; never
/// blocks.
///
/// # Safety
///
/// `aicore` is null or made by its init call; `head` is 0 or the address of a head of a region that is in use; `record` is null
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_aicore_reserve(
    aicore: *mut lanepipe_swimlane_aicore_t,
    head: u64,
    record: *mut u64,
) -> lanepipe_status_t {
    let run = || {
        check(aicore)?;
        check(record)?;
        if !head.is_multiple_of(align_of::<ChipSwimlaneActiveHead>() as u64) {
            return Err(Status::LANEPIPE_E_MISALIGNED);
        }
        // SAFETY: checked, all its fields are integers; the caller's contract.
        let local = unsafe { &mut *aicore.cast::<CoreLocal>() };
        // SAFETY: the caller's contract.
        let reserved = local.reserve(unsafe { head_at(head) }.as_ref());
        // SAFETY: checked; the caller's contract.
        unsafe { record.write(reserved.map_or(0, |(buffer, slot)| record_at(buffer, slot))) };
        Ok(if reserved.is_some() { Status::LANEPIPE_OK } else { Status::LANEPIPE_EMPTY })
    };
    status(run())
}

/// Writes a reserved record; times in ticks of the core's counter, `start_time` not 0, or the host takes it for no record.
/// `LANEPIPE_EMPTY` for a `record` of 0. The core, after it told that the task is finished and before it acknowledges the next one;
/// never blocks.
///
/// # Safety
///
/// `record` is 0, or was reserved in this launch and not committed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_aicore_commit(
    record: u64,
    task_token: u64,
    reg_task_id: u32,
    receive_time: u64,
    start_time: u64,
    end_time: u64,
) -> lanepipe_status_t {
    if record == 0 {
        return Status::LANEPIPE_EMPTY;
    }
    if !record.is_multiple_of(align_of::<ChipSwimlaneAicoreTaskRecord>() as u64) {
        return Status::LANEPIPE_E_MISALIGNED;
    }
    // SAFETY: the caller's contract.
    unsafe { commit(record, &AicoreTask { token: task_token, reg_task_id, receive_time, start_time, end_time }) };
    Status::LANEPIPE_OK
}
