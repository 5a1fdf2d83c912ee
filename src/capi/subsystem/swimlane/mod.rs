//! The swimlane: tasks as control threads saw them. A core's own stream is in [`stream`], phases in [`phases`].

mod phases;
mod stream;

use super::{
    Caller, Kept, Kind, NoClock, Object, Of, caller, done, flushed, lanepipe_device_region_t, lanepipe_device_thread_t,
};
use super::{make_of, on_arch, status};
use crate::capi::args::check;
use crate::device::swimlane::{Outcome, Swimlane};
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, Arch};
use crate::status::{Status, lanepipe_status_t};

/// The swimlane of one launch. Memory of the caller, 8-aligned; all zero: off. Shared by the control threads.
#[repr(C)]
pub struct lanepipe_swimlane_t {
    /// Not for the caller.
    pub words: [u64; 16],
}

type SwimlaneObject = Object<Swimlane<A2a3>, Swimlane<A5>>;

impl Kept for Swimlane<A2a3> {
    const KIND: Kind = Kind::Swimlane;
}

const _: () = assert!(SwimlaneObject::SIZE <= size_of::<lanepipe_swimlane_t>());

fn recorded(outcome: Outcome) -> lanepipe_status_t {
    match outcome {
        Outcome::Written => Status::LANEPIPE_OK,
        Outcome::Dropped => Status::LANEPIPE_DROPPED,
        Outcome::Ignored => Status::LANEPIPE_E_INVALID,
    }
}

/// Begins a launch: takes the first buffers of `core_count` cores, and the level; fills `table` (one word per core, or null)
/// with the addresses of the cores' heads. There are no phases yet. Whatever the object held is forgotten. After a failure the
/// object is off and the table as it was: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED` (a table that is not null
/// is aligned even for no cores), `LANEPIPE_E_INVALID` for another architecture or too many cores. The leader, before any
/// thread uses the object and before the cores look at the table; never blocks.
///
/// # Safety
///
/// `swimlane` is null or writable, `region` null or readable, `table` null or writable for `core_count` words. As long as the
/// object is used, the region and all it names are memory of the subsystem's layout, which everybody else accesses as the C++
/// runtime does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_init(
    swimlane: *mut lanepipe_swimlane_t,
    region: *const lanepipe_device_region_t,
    core_count: u32,
    table: *mut u64,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        unsafe { SwimlaneObject::close(swimlane.cast())? };
        // No architecture has more cores than these; the rest is refused below.
        let count = core_count.min(A2a3::MAX_CORES.max(A5::MAX_CORES)) as usize;
        let table = if table.is_null() {
            None
        } else {
            check(table)?;
            // SAFETY: checked; the caller's contract.
            Some(unsafe { core::slice::from_raw_parts_mut(table, count) })
        };
        // SAFETY: the caller's contract.
        unsafe {
            SwimlaneObject::open(swimlane.cast(), region, |arch, base| {
                make_of!(arch, Swimlane::init(base, core_count, table, &mut NoClock))
            })
        }
    };
    done(run())
}

/// The end of a launch: off. The leader, after the last call; never blocks.
///
/// # Safety
///
/// `swimlane` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_finalize(swimlane: *mut lanepipe_swimlane_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { SwimlaneObject::close(swimlane.cast()) })
}

/// The level that the region's header had at the start: 0 off, 1 the cores' stream, 2 tasks, 3 phases of the schedulers, 4 of the
/// orchestrator, each with those below. 0 while off. The record calls do not look at it. Any thread; never blocks.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `level` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_level(
    swimlane: *const lanepipe_swimlane_t,
    level: *mut u32,
) -> lanepipe_status_t {
    let run = || {
        check(level)?;
        // SAFETY: the caller's contract.
        let found = match unsafe { SwimlaneObject::live(swimlane.cast()) } {
            Ok(of) => on_arch!(of, |swimlane| swimlane.level()),
            Err(Status::LANEPIPE_CLOSED) => CHIP_SWIMLANE_LEVEL_DISABLED,
            Err(status) => return Err(status),
        };
        // SAFETY: checked; the caller's contract.
        unsafe { level.write(found) };
        Ok(())
    };
    done(run())
}

/// Runs `work` for a control thread.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
#[inline(always)]
unsafe fn with_thread(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    work: impl FnOnce(Of<&Swimlane<A2a3>, &Swimlane<A5>>, &mut Caller<'_>) -> Result<lanepipe_status_t, Status>,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let (of, mut caller) = unsafe { (SwimlaneObject::live(swimlane.cast())?, caller(thread)?) };
        work(of, &mut caller)
    };
    status(run())
}

/// Records a finished task of `core` as its control thread saw it; times in ticks of the control processors' counter. Hands the
/// buffer over if that filled it. `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED`: off, nothing was counted.
/// `LANEPIPE_E_INVALID`: no such core. Level 2 and above. The core's control thread; blocks for up to the budget per wait, and only
/// when a buffer is full or missing.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_complete_task(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    core: i32,
    reg_task_id: u32,
    dispatch_time: u64,
    finish_time: u64,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            Ok(recorded(on_arch!(of, |swimlane| {
                swimlane.complete_task(thread, clock, core, reg_task_id, dispatch_time, finish_time)
            })))
        })
    }
}

/// Hands the tasks of `core` to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active. `LANEPIPE_DROPPED`: counted as
/// lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. The core's control thread, at the end of its loop;
/// blocks for up to the budget. The core's own stream has `lanepipe_swimlane_flush_core`.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_flush_tasks(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    core: i32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            Ok(flushed(on_arch!(of, |swimlane| swimlane.flush_tasks(thread, clock, core))))
        })
    }
}
