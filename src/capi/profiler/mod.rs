//! The profiler: threads that carry buffers from device ready queues to the collector and back to device free queues.

mod callbacks;

mod config;

mod stats;

pub(super) use callbacks::Factory;
pub(super) use config::{LANEPIPE_MAX_QUEUES, lanepipe_thread_create_fn_t, lanepipe_thread_join_fn_t};
pub(super) use stats::{lanepipe_fault_t, lanepipe_gate_stats_t, lanepipe_queue_stats_t, lanepipe_shard_stats_t};

use super::args::{check, object, sized};
use super::failure::{fail, problem};
use super::guard::{Poison, guard, report};
use super::pool::{deadline, lanepipe_pool_t};
use super::status::lanepipe_error_t;
use crate::pool::Pool;
use crate::profiler::{Profiler, State};
use crate::status::{Status, lanepipe_status_t};
use config::{lanepipe_instance_t, lanepipe_profiler_config_t};
use std::sync::Arc;

/// State of a profiler: never started, or stopped.
pub const LANEPIPE_PROFILER_STOPPED: u32 = 0;
/// State of a profiler: threads run.
pub const LANEPIPE_PROFILER_RUNNING: u32 = 1;
/// State of a profiler: a stop began and has not finished.
pub const LANEPIPE_PROFILER_STOPPING: u32 = 2;

/// Creates a profiler on `pool`, which must outlive it. Nothing is started. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_create(
    pool: *mut lanepipe_pool_t,
    config: *const lanepipe_profiler_config_t,
    error: *mut lanepipe_error_t,
    profiler: *mut *mut lanepipe_profiler_t,
) -> lanepipe_status_t {
    guard(|| {
        // SAFETY: the caller's contract.
        unsafe {
            let pool = match object(pool) {
                Ok(handle) => &handle.pool,
                Err(status) => return Err(fail(error, problem(status), None)),
            };
            let refuse = |problem| Err(fail(error, problem, Some(pool.logger())));
            let config = match check(profiler).and_then(|()| sized(config)) {
                Ok(config) => config,
                Err(status) => return refuse(problem(status)),
            };
            let config = match config.native() {
                Ok(config) => config,
                Err(problem) => return refuse(problem),
            };
            if let Err(problem) = config.check(pool) {
                return refuse(problem);
            }
            match Profiler::new(pool.clone(), config) {
                Ok(made) => {
                    *profiler = Box::into_raw(Box::new(lanepipe_profiler_t {
                        profiler: made,
                        pool: pool.clone(),
                        poison: Poison::default(),
                    }))
                }
                Err(status) => return refuse(problem(status)),
            }
        }
        Ok(())
    })
}

/// Makes an instance known, while threads run too, and stores its index for `resolve` to answer; that of an instance known
/// already if free queue and kind are the same. `buffer_size` counts if the kind has none. A running profiler fills the free
/// queue when the instance first publishes, or in the next freeze. Any thread, `resolve` and `refresh` included; locks when
/// it adds.
///
/// `LANEPIPE_E_INVALID` for numbers out of range; `LANEPIPE_E_DUPLICATE` for a free queue known under another kind, unless
/// the pool is untracked; `LANEPIPE_E_TOO_LARGE` beyond `max_instances`; `LANEPIPE_E_NO_MEMORY`.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_add_instance(
    profiler: *mut lanepipe_profiler_t,
    instance: *const lanepipe_instance_t,
    buffer_size: usize,
    index: *mut u32,
) -> lanepipe_status_t {
    on("lanepipe_profiler_add_instance", profiler, |profiler| {
        check(index)?;
        // SAFETY: the caller's contract.
        let instance = unsafe { object(instance)? }.native().map_err(|problem| problem.status)?;
        let found = profiler.add_instance(instance, buffer_size)?;
        // SAFETY: checked, and the caller's contract.
        unsafe { *index = found };
        Ok(())
    })
}

/// Fills every free queue, from the lanes of its shard or else from new blocks, as far as allocator and `max_buffers` allow
/// (unless `LANEPIPE_PROFILER_PREFILLED`); then starts the threads: one drain per live shard, replenish, one collect per live
/// shard, sentinel (unless `LANEPIPE_PROFILER_MERGED_SENTINEL`). None works before all have been created. On
/// failure none is left running: `LANEPIPE_E_STATE` if it runs or is stopping or another profiler runs on the pool,
/// `LANEPIPE_BUSY` while another thread is inside start or stop, `LANEPIPE_E_CORRUPT` if a ready head is out of range,
/// `LANEPIPE_E_INVALID` if memory is copied and a queue is not inside the shared region, `LANEPIPE_E_THREAD` if the factory
/// fails, `LANEPIPE_E_NO_MEMORY`. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_start(profiler: *mut lanepipe_profiler_t) -> lanepipe_status_t {
    on("lanepipe_profiler_start", profiler, Profiler::start)
}

/// Delivers every entry that the device published before the call, then ends and joins all threads. The device must be
/// quiet. `LANEPIPE_TIMED_OUT` after `timeout_ns` nanoseconds (`LANEPIPE_FOREVER`: no limit): the profiler stays in
/// stopping, keeps its memory, and a later stop may finish. Success on a profiler that does not run. `LANEPIPE_BUSY` while
/// another thread is inside start or stop. Works on a poisoned profiler too. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_stop(
    profiler: *mut lanepipe_profiler_t,
    timeout_ns: u64,
) -> lanepipe_status_t {
    // Not through the poison: threads must be ended whatever happened before.
    run("lanepipe_profiler_stop", profiler, |handle| guard(|| handle.profiler.stop(deadline(timeout_ns))))
}

/// Destroys a profiler that does not run. Null is allowed. `LANEPIPE_BUSY` while threads run. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_destroy(profiler: *mut lanepipe_profiler_t) -> lanepipe_status_t {
    if profiler.is_null() {
        return Status::LANEPIPE_OK;
    }
    guard(|| {
        // SAFETY: the caller's contract.
        let handle = unsafe { object(profiler)? };
        if handle.profiler.state() != State::Stopped {
            return Err(Status::LANEPIPE_BUSY);
        }
        // SAFETY: made by `lanepipe_profiler_create`, and the caller gives it up.
        drop(unsafe { Box::from_raw(profiler) });
        Ok(())
    })
}

/// `LANEPIPE_PROFILER_*` state. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_state(
    profiler: *const lanepipe_profiler_t,
    state: *mut u32,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_state", profiler, |profiler| {
        check(state)?;
        // SAFETY: checked, and the caller's contract.
        unsafe { *state = profiler.state() as u32 };
        Ok(())
    })
}

/// A profiler. Opaque.
pub struct lanepipe_profiler_t {
    profiler: Profiler,
    pool: Arc<Pool>,
    poison: Poison,
}

const _: () = {
    assert!(LANEPIPE_PROFILER_STOPPED == State::Stopped as u32 && LANEPIPE_PROFILER_RUNNING == State::Running as u32);
    assert!(LANEPIPE_PROFILER_STOPPING == State::Stopping as u32);
};

/// Runs a call on a profiler that is not poisoned.
fn on(call: &str, profiler: *const lanepipe_profiler_t, body: impl FnOnce(&Profiler) -> Result<(), Status>) -> Status {
    run(call, profiler, |handle| handle.poison.guard(|| body(&handle.profiler)))
}

/// Runs a call and reports its failure.
fn run(call: &str, profiler: *const lanepipe_profiler_t, body: impl FnOnce(&lanepipe_profiler_t) -> Status) -> Status {
    // SAFETY: every function of this section requires a live profiler or null.
    let (status, logger) = match unsafe { object(profiler) } {
        Ok(handle) => (body(handle), Some(handle.pool.logger())),
        Err(status) => (status, None),
    };
    if status != Status::LANEPIPE_OK {
        report(call, status, logger);
    }
    status
}
