//! The swimlane: tasks as control threads and cores saw them, phases.

use super::{
    Caller, Kept, Kind, NoClock, Object, Of, caller, done, flushed, lanepipe_device_region_t, lanepipe_device_thread_t,
};
use super::{make_of, on_arch, status};
use crate::capi::args::{Sized32, array, check, sized};
use crate::device::swimlane::aicore::{Core, Dispatched};
use crate::device::swimlane::{Outcome, SchedPhase, Swimlane};
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, Arch};
use crate::status::{Status, lanepipe_status_t};

/// `lanepipe_swimlane_sched_phase_t::kind`: completions were looked for.
pub const LANEPIPE_SCHED_PHASE_COMPLETE: u32 = 0;
/// Tasks were dispatched.
pub const LANEPIPE_SCHED_PHASE_DISPATCH: u32 = 1;
/// Tasks were released.
pub const LANEPIPE_SCHED_PHASE_RELEASE: u32 = 2;
/// Dummy tasks were dealt with.
pub const LANEPIPE_SCHED_PHASE_DUMMY: u32 = 4;
/// Tasks were dispatched early.
pub const LANEPIPE_SCHED_PHASE_EARLY_DISPATCH: u32 = 5;
/// Dependencies were resolved.
pub const LANEPIPE_SCHED_PHASE_RESOLVE: u32 = 6;
/// A task that no core runs is complete.
pub const LANEPIPE_SCHED_PHASE_DUMMY_TASK: u32 = 7;
/// Work was drained.
pub const LANEPIPE_SCHED_PHASE_DRAIN: u32 = 8;
/// Preparation of a drain.
pub const LANEPIPE_SCHED_PHASE_DRAIN_PREPARE: u32 = 9;
/// Publication of a drain.
pub const LANEPIPE_SCHED_PHASE_DRAIN_PUBLISH: u32 = 10;
/// Asynchronous completions were polled.
pub const LANEPIPE_SCHED_PHASE_ASYNC_POLL: u32 = 11;
/// A task was skipped by its predicate.
pub const LANEPIPE_SCHED_PHASE_PREDICATED_SKIP: u32 = 12;
/// A graph was prepared.
pub const LANEPIPE_SCHED_PHASE_GRAPH_PREPARE: u32 = 13;

/// The swimlane of one launch. Memory of the caller, 8-aligned; all zero: off. Shared by the control threads.
#[repr(C)]
pub struct lanepipe_swimlane_t {
    /// Not for the caller.
    pub words: [u64; 16],
}

/// A core's own stream as its control thread keeps it, with the buffers that wait for the core's next acknowledgement. Made by
/// `lanepipe_swimlane_core_init`; used by the control thread that owns the core.
#[repr(C)]
pub struct lanepipe_swimlane_core_t {
    /// Number of the core.
    pub index: i32,
    /// Not for the caller.
    pub reserved: u32,
    /// Not for the caller.
    pub words: [u64; 11],
}

/// A phase of a scheduler thread. Times in ticks of the control processors' counter. Read during the call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_swimlane_sched_phase_t {
    /// `sizeof(lanepipe_swimlane_sched_phase_t)`.
    pub struct_size: u32,
    /// `LANEPIPE_SCHED_PHASE_*`.
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
    /// Not looked at.
    pub reserved: u32,
}

impl Sized32 for lanepipe_swimlane_sched_phase_t {}

type SwimlaneObject = Object<Swimlane<A2a3>, Swimlane<A5>>;

impl Kept for Swimlane<A2a3> {
    const KIND: Kind = Kind::Swimlane;
}

const _: () = {
    assert!(SwimlaneObject::SIZE <= size_of::<lanepipe_swimlane_t>());
    assert!(size_of::<Core>() == size_of::<lanepipe_swimlane_core_t>());
    assert!(core::mem::offset_of!(Core, index) == core::mem::offset_of!(lanepipe_swimlane_core_t, index));
    assert!(LANEPIPE_SCHED_PHASE_COMPLETE == SCHED_PHASE_COMPLETE);
    assert!(LANEPIPE_SCHED_PHASE_DISPATCH == SCHED_PHASE_DISPATCH);
    assert!(LANEPIPE_SCHED_PHASE_RELEASE == SCHED_PHASE_RELEASE);
    assert!(LANEPIPE_SCHED_PHASE_DUMMY == SCHED_PHASE_DUMMY);
    assert!(LANEPIPE_SCHED_PHASE_EARLY_DISPATCH == SCHED_PHASE_EARLY_DISPATCH);
    assert!(LANEPIPE_SCHED_PHASE_RESOLVE == SCHED_PHASE_RESOLVE);
    assert!(LANEPIPE_SCHED_PHASE_DUMMY_TASK == SCHED_PHASE_DUMMY_TASK);
    assert!(LANEPIPE_SCHED_PHASE_DRAIN == SCHED_PHASE_DRAIN);
    assert!(LANEPIPE_SCHED_PHASE_DRAIN_PREPARE == SCHED_PHASE_DRAIN_PREPARE);
    assert!(LANEPIPE_SCHED_PHASE_DRAIN_PUBLISH == SCHED_PHASE_DRAIN_PUBLISH);
    assert!(LANEPIPE_SCHED_PHASE_ASYNC_POLL == SCHED_PHASE_ASYNC_POLL);
    assert!(LANEPIPE_SCHED_PHASE_PREDICATED_SKIP == SCHED_PHASE_PREDICATED_SKIP);
    assert!(LANEPIPE_SCHED_PHASE_GRAPH_PREPARE == SCHED_PHASE_GRAPH_PREPARE);
};

fn is_phase(kind: u32) -> bool {
    kind <= LANEPIPE_SCHED_PHASE_GRAPH_PREPARE && kind != 3
}

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

/// Opens the phases of `sched_threads` scheduler threads (at most as many as the architecture has) and `orch_threads` (0 or 1)
/// orchestrators: takes the first buffer of each. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` for other counts,
/// `LANEPIPE_E_STATE`, and nothing touched, if they are open. The leader, once after `lanepipe_swimlane_init` and before any
/// thread uses the object; never blocks.
///
/// # Safety
///
/// `swimlane` is null or made by its init call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_init_phases(
    swimlane: *mut lanepipe_swimlane_t,
    sched_threads: u32,
    orch_threads: u32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { SwimlaneObject::live_mut(swimlane.cast())? };
        let most = match of {
            Of::A2a3(_) => A2a3::MAX_THREADS,
            Of::A5(_) => A5::MAX_THREADS,
        };
        if sched_threads > most || orch_threads > 1 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        let is_done = on_arch!(of, |swimlane| swimlane.init_phases(sched_threads, orch_threads, &mut NoClock));
        if is_done { Ok(()) } else { Err(Status::LANEPIPE_E_STATE) }
    };
    done(run())
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

/// The core acknowledged or finished a task: publishes the buffers that waited for it. `LANEPIPE_CLOSED` while off. After every
/// event of the core. Its control thread; blocks for up to the budget, and only if a buffer waited.
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
            on_arch!(of, |swimlane| swimlane.on_aicore_ack(thread, clock, core, reg_task_id));
            Ok(Status::LANEPIPE_OK)
        })
    }
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

/// Records a phase of the scheduler that `thread` is. `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED`: off, nothing was
/// counted. `LANEPIPE_E_INVALID`: no such kind, or the launch has no phases of this thread. Level 3 and above. The scheduler thread;
/// blocks for up to the budget per wait, and only when a buffer is full or missing.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `thread` null or the calling thread's, `phase` null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_record_sched_phase(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    phase: *const lanepipe_swimlane_sched_phase_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            let phase = sized(phase)?;
            if !is_phase(phase.kind) {
                return Err(Status::LANEPIPE_E_INVALID);
            }
            let phase = SchedPhase {
                kind: phase.kind,
                start_time: phase.start_time,
                end_time: phase.end_time,
                loop_iter: phase.loop_iter,
                tasks_processed: phase.tasks_processed,
                data: phase.data,
                shared_at_start: phase.shared_at_start,
                shared_at_end: phase.shared_at_end,
            };
            Ok(recorded(on_arch!(of, |swimlane| swimlane.record_sched_phase(thread, clock, &phase))))
        })
    }
}

/// Records submit `submit_idx` of the orchestrator that `thread` is; times in ticks of the control processors' counter.
/// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: the launch has no
/// phases of an orchestrator, or the thread has no index yet; nothing was counted. Level 4. The orchestrator; blocks for up to the
/// budget per wait, and only when a buffer is full or missing.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_record_orch_phase(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
    start_time: u64,
    end_time: u64,
    task_id: u64,
    submit_idx: u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            Ok(recorded(on_arch!(of, |swimlane| {
                swimlane.record_orch_phase(thread, clock, [start_time, end_time], task_id, submit_idx)
            })))
        })
    }
}

/// No core of `core_count` is assigned to a thread yet, in the region's header. Nothing without phases. `LANEPIPE_CLOSED` while
/// off, `LANEPIPE_E_INVALID` for more cores than the architecture has. One thread, before
/// `lanepipe_swimlane_write_core_assignments`; never blocks.
///
/// # Safety
///
/// `swimlane` is null or made by its init call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_init_core_assignments(
    swimlane: *mut lanepipe_swimlane_t,
    core_count: u32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { SwimlaneObject::live(swimlane.cast())? };
        let most = match of {
            Of::A2a3(_) => A2a3::MAX_CORES,
            Of::A5(_) => A5::MAX_CORES,
        };
        if core_count > most {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        on_arch!(of, |swimlane| swimlane.init_core_assignments(core_count));
        Ok(())
    };
    done(run())
}

/// The cores of a control thread, for the region's header; numbers out of range are passed over. Nothing without phases.
/// `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` for an index outside of the architecture's threads. One thread at a time; never
/// blocks.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `cores` null or readable for `core_count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_write_core_assignments(
    swimlane: *mut lanepipe_swimlane_t,
    thread_index: i32,
    cores: *const i32,
    core_count: u32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let (of, cores) = unsafe { (SwimlaneObject::live(swimlane.cast())?, array(cores, core_count as usize)?) };
        let threads = match of {
            Of::A2a3(_) => A2a3::MAX_THREADS,
            Of::A5(_) => A5::MAX_THREADS,
        };
        if !(0..threads as i32).contains(&thread_index) {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        on_arch!(of, |swimlane| swimlane.write_core_assignments(thread_index, cores));
        Ok(())
    };
    done(run())
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

/// Hands all that the core recorded to the host: `published` and `lost` (each may be null) records of it. `LANEPIPE_OK` if any was
/// published and none lost, `LANEPIPE_DROPPED` if any was counted as lost, `LANEPIPE_EMPTY` for none at all; the counts are written in
/// each of the three. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. The core's control thread, after the
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
            Ok(match (counts.published, counts.lost) {
                (0, 0) => Status::LANEPIPE_EMPTY,
                (_, 0) => Status::LANEPIPE_OK,
                _ => Status::LANEPIPE_DROPPED,
            })
        })
    }
}

/// Hands the phases of the scheduler that `thread` is to the host; as `lanepipe_swimlane_flush_tasks`.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_flush_sched_phases(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            Ok(flushed(on_arch!(of, |swimlane| swimlane.flush_sched_phases(thread, clock))))
        })
    }
}

/// Hands the submits of the orchestrator that `thread` is to the host; as `lanepipe_swimlane_flush_tasks`.
///
/// # Safety
///
/// `swimlane` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_swimlane_flush_orch_phases(
    swimlane: *mut lanepipe_swimlane_t,
    thread: *mut lanepipe_device_thread_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_thread(swimlane, thread, |of, Caller { thread, clock }| {
            Ok(flushed(on_arch!(of, |swimlane| swimlane.flush_orch_phases(thread, clock))))
        })
    }
}
