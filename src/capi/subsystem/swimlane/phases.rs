//! Phases of the schedulers and of the orchestrator, and which core is whose.

use super::super::{Caller, NoClock, Of, done, flushed, lanepipe_device_thread_t, on_arch};
use super::{SwimlaneObject, lanepipe_swimlane_t, recorded, with_thread};
use crate::capi::args::{Sized32, array, sized};
use crate::device::swimlane::SchedPhase;
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

const _: () = {
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
