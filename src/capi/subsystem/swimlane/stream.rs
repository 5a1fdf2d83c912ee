//! A core's own stream, as its control thread keeps it.

use super::super::{Caller, Of, done, lanepipe_device_thread_t, on_arch};
use super::{lanepipe_swimlane_t, with_thread};
use crate::capi::args::check;
use crate::device::swimlane::aicore::{Acknowledged, Core, Dispatched};
use crate::status::{Status, lanepipe_status_t};

/// A core's own stream as its control thread keeps it, with the buffers that wait for the core's next acknowledgement. Made by
/// `lanepipe_swimlane_core_init`; used by the control thread that owns the core.
#[repr(C)]
pub struct lanepipe_swimlane_core_t {
    /// Number of the core.
    pub index: i32,
    /// Not for the caller.
    pub reserved: u32,
    /// Not for the caller.
    pub words: [u64; 14],
}

const _: () = {
    assert!(size_of::<Core>() == size_of::<lanepipe_swimlane_core_t>());
    assert!(core::mem::offset_of!(Core, index) == core::mem::offset_of!(lanepipe_swimlane_core_t, index));
};

/// A core's stream at the beginning of a launch. Never blocks.
///
/// # Safety
///
/// `core` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_core_init(
    core: *mut lanepipe_swimlane_core_t,
    index: i32,
) -> lanepipe_status_t {
    done(check(core).map(|()| {
        // SAFETY: checked; the caller's contract.
        unsafe { core.cast::<Core>().write(Core::new(index)) }
    }))
}

/// # Safety
///
/// `core` is null or made by its init call, and its thread's.
#[inline(always)]
unsafe fn core_of<'a>(core: *mut lanepipe_swimlane_core_t) -> Result<&'a mut Core, Status> {
    check(core)?;
    // SAFETY: checked; all fields are integers, whatever they hold.
    Ok(unsafe { &mut *core.cast::<Core>() })
}

/// A task is about to be dispatched to the core: before the register is written. Rotates the core's buffers if the active one is
/// used up. `LANEPIPE_DROPPED`: the core has no place for the task's record, which the flush counts as lost. `LANEPIPE_CLOSED`:
/// off, nothing was counted. `LANEPIPE_E_INVALID`: no such core. The core's control thread; blocks for up to the budget per wait,
/// and only for a rotation.
///
/// # Safety
///
/// `swimlane` and `core` are null or made by their init calls, `thread` is null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_on_aicore_dispatch(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    core: *mut lanepipe_swimlane_core_t,
    reg_task_id: u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            let core = core_of(core)?;
            Ok(match on_arch!(of, |swimlane| swimlane.on_aicore_dispatch(thread, clock, core, reg_task_id)) {
                Dispatched::Counted | Dispatched::Rotated => Status::LANEPIPE_OK,
                Dispatched::NoBuffer => Status::LANEPIPE_DROPPED,
                Dispatched::Ignored => Status::LANEPIPE_E_INVALID,
            })
        })
    }
}

/// The core acknowledged or finished a task: publishes the buffers that waited for it. `LANEPIPE_FULL`: one found no room and waits
/// on, nothing is lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. After every event of the core. Its
/// control thread; blocks for up to the budget, and only if a buffer waited.
///
/// # Safety
///
/// As for `lanepipe_swimlane_on_aicore_dispatch`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_on_aicore_ack(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    core: *mut lanepipe_swimlane_core_t,
    reg_task_id: u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            let core = core_of(core)?;
            Ok(match on_arch!(of, |swimlane| swimlane.on_aicore_ack(thread, clock, core, reg_task_id)) {
                Acknowledged::Through => Status::LANEPIPE_OK,
                Acknowledged::Kept => Status::LANEPIPE_FULL,
                Acknowledged::Ignored => Status::LANEPIPE_E_INVALID,
            })
        })
    }
}

/// Hands all that the core recorded to the host: `published` and `lost` (each may be null) records of it. `LANEPIPE_OK` if any was
/// published and none lost, `LANEPIPE_DROPPED` if any was counted as lost, `LANEPIPE_EMPTY` for none at all; the counts are written in
/// each of the three. A buffer that finds no room is counted as lost and kept: a further call hands it over if there is room then,
/// takes it out of the count of lost records and adds it to `published`; until then it returns `LANEPIPE_DROPPED`.
/// `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. The core's control thread, after the
/// core acknowledged its exit: nothing else proves that the last record is in place. Blocks for up to the budget per buffer.
///
/// # Safety
///
/// `swimlane` and `core` are null or made by their init calls, `thread` is null or the calling thread's, `published` and `lost`
/// null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_flush_core(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    core: *mut lanepipe_swimlane_core_t,
    published: *mut u32,
    lost: *mut u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            let core = core_of(core)?;
            let counts = on_arch!(of, |swimlane| swimlane.flush_core(thread, clock, core));
            let counts = counts.ok_or(Status::LANEPIPE_E_INVALID)?;
            for (place, count) in [(published, counts.published), (lost, counts.lost)] {
                if !place.is_null() {
                    place.write_unaligned(count);
                }
            }
            Ok(match (counts.published, counts.lost, core.deferred()) {
                (0, 0, 0) => Status::LANEPIPE_EMPTY,
                (_, 0, 0) => Status::LANEPIPE_OK,
                _ => Status::LANEPIPE_DROPPED,
            })
        })
    }
}
