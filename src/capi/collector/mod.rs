//! The collector: the host half of one subsystem for one run.

mod config;

mod records;

mod books;

mod stats;

use super::args::{Sized32, check, object, sized, write_sized};
use super::failure::{fail, problem};
use super::guard::{Poison, guard, report};
use super::pool::deadline;
use super::status::lanepipe_error_t;
use crate::collector::{Chip, Collector, Subsystem};
use crate::profiler::State;
use crate::status::{Status, lanepipe_status_t};
use config::lanepipe_collector_config_t;
use core::ffi::c_void;

/// Subsystem: tasks and phases. Its kinds are `LANEPIPE_KIND_*`; every other subsystem has one kind, 0.
pub const LANEPIPE_SUBSYSTEM_SWIMLANE: u32 = 0;
/// Subsystem: performance counters; an instance per core.
pub const LANEPIPE_SUBSYSTEM_PMU: u32 = 1;
/// Subsystem: submits and their dependencies; one instance.
pub const LANEPIPE_SUBSYSTEM_DEP_GEN: u32 = 2;
/// Subsystem: arguments and their contents; an instance per scheduler thread.
pub const LANEPIPE_SUBSYSTEM_ARGS_DUMP: u32 = 3;
/// Subsystem: scopes; one instance.
pub const LANEPIPE_SUBSYSTEM_SCOPE_STATS: u32 = 4;

/// Kind of the swimlane: tasks as the control thread saw them; an instance per core.
pub const LANEPIPE_KIND_AICPU_TASK: u32 = 0;
/// Kind of the swimlane: phases of a scheduler; an instance per scheduler thread, from level 3 on.
pub const LANEPIPE_KIND_SCHED_PHASE: u32 = 1;
/// Kind of the swimlane: phases of the orchestrator; one instance, from level 3 on.
pub const LANEPIPE_KIND_ORCH_PHASE: u32 = 2;
/// Kind of the swimlane: tasks as the core saw them; an instance per core.
pub const LANEPIPE_KIND_AICORE_TASK: u32 = 3;

const _: () = {
    assert!(
        LANEPIPE_SUBSYSTEM_SWIMLANE == Subsystem::Swimlane as u32 && LANEPIPE_SUBSYSTEM_PMU == Subsystem::Pmu as u32
    );
    assert!(LANEPIPE_SUBSYSTEM_DEP_GEN == Subsystem::DepGen as u32);
    assert!(LANEPIPE_SUBSYSTEM_ARGS_DUMP == Subsystem::ArgsDump as u32);
    assert!(LANEPIPE_SUBSYSTEM_SCOPE_STATS == Subsystem::ScopeStats as u32);
    assert!(super::arch::LANEPIPE_ARCH_A2A3 == Chip::A2a3 as u32 && super::arch::LANEPIPE_ARCH_A5 == Chip::A5 as u32);
    use crate::layout::runtime::constants::*;
    assert!(LANEPIPE_KIND_AICPU_TASK == CHIP_SWIMLANE_KIND_AICPU_TASK);
    assert!(LANEPIPE_KIND_SCHED_PHASE == CHIP_SWIMLANE_KIND_AICPU_SCHED_PHASE);
    assert!(LANEPIPE_KIND_ORCH_PHASE == CHIP_SWIMLANE_KIND_AICPU_ORCH_PHASE);
    assert!(LANEPIPE_KIND_AICORE_TASK == CHIP_SWIMLANE_KIND_AICORE_TASK);
};

/// Where the device finds a subsystem: what goes into its launch arguments.
#[repr(C)]
pub struct lanepipe_collector_region_t {
    /// `sizeof(lanepipe_collector_region_t)`.
    pub struct_size: u32,
    /// Bit of `KernelArgs::enable_profiling_flag`.
    pub profiling_flag: u32,
    /// Device address of the region: one of the `*_data_base` fields.
    pub base: u64,
    /// Bytes of the region.
    pub size: u64,
    /// Host address of the region: the same bytes, or the shadow where memory is copied.
    pub host: *mut c_void,
    /// Device address of `chip_swimlane_aicore_rotation_table` (filled by the device), or on a5 of `aicore_pmu_ring_addrs`
    /// (filled already); else 0.
    pub table: u64,
    /// 64-bit entries of the table: the cores.
    pub table_count: u64,
}

impl Sized32 for lanepipe_collector_region_t {}

/// Allocates the shared region, the buffers, and arenas, staging rings or tables where the subsystem has them, and writes the
/// region on the device, too. Nothing is started. One collector serves one run; a further run has a further one. Allocates
/// and copies; any thread.
///
/// `LANEPIPE_E_INVALID` for a value out of range, `LANEPIPE_E_NULL` for a missing callback, `LANEPIPE_E_MISALIGNED` for an
/// allocation that is not aligned to 64 bytes, `LANEPIPE_E_NO_MEMORY`, `LANEPIPE_E_TOO_LARGE`, `LANEPIPE_E_CALLBACK`;
/// everything is given back then, and `error`, unless it is null, tells more.
///
/// # Safety
///
/// Pointers are null or valid as described. What the configuration names stays valid until the collector is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_create(
    config: *const lanepipe_collector_config_t,
    error: *mut lanepipe_error_t,
    collector: *mut *mut lanepipe_collector_t,
) -> lanepipe_status_t {
    guard(|| {
        // SAFETY: the caller's contract.
        unsafe {
            let made = check(collector)
                .and_then(|()| sized(config))
                .map_err(problem)
                .and_then(|config| config.native())
                .and_then(Collector::new);
            match made {
                Ok(made) => {
                    *collector =
                        Box::into_raw(Box::new(lanepipe_collector_t { collector: made, poison: Poison::default() }));
                    Ok(())
                }
                Err(problem) => Err(fail(error, problem, None)),
            }
        }
    })
}

/// Where the device finds the subsystem. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_region(
    collector: *const lanepipe_collector_t,
    region: *mut lanepipe_collector_region_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_region", collector, |collector| {
        let value = || {
            let site = collector.site();
            Ok(lanepipe_collector_region_t {
                struct_size: size_of::<lanepipe_collector_region_t>() as u32,
                profiling_flag: site.flag,
                base: site.base,
                size: site.size as u64,
                host: site.host as *mut c_void,
                table: site.table,
                table_count: u64::from(site.table_count),
            })
        };
        // SAFETY: the caller's contract.
        unsafe { write_sized(region, value) }
    })
}

/// Fills the free queues and starts the threads, as `lanepipe_profiler_start` does; the device's initialisers run afterwards.
/// After a stop it goes on with the same region. `LANEPIPE_E_STATE` while it runs, and once
/// `lanepipe_collector_recover` was called; `LANEPIPE_BUSY` while another thread is inside start, stop, recover or reconcile;
/// `LANEPIPE_E_THREAD` if the factory fails, `LANEPIPE_E_CORRUPT` for a ready head that is out of range, and
/// `LANEPIPE_E_NO_MEMORY`: nothing is left running. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_start(collector: *mut lanepipe_collector_t) -> lanepipe_status_t {
    on("lanepipe_collector_start", collector, Collector::start)
}

/// Collects every entry that the device published before the call, then ends and joins all threads, as
/// `lanepipe_profiler_stop` does. The device must be quiet. `LANEPIPE_TIMED_OUT` after `timeout_ns` nanoseconds
/// (`LANEPIPE_FOREVER`: no limit): a later stop may finish. `LANEPIPE_BUSY` while another thread is inside start or stop.
/// Success on a collector that does not run. Works on a poisoned collector too. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_stop(
    collector: *mut lanepipe_collector_t,
    timeout_ns: u64,
) -> lanepipe_status_t {
    // Not through the poison: threads must be ended whatever happened before.
    run("lanepipe_collector_stop", collector, |handle| guard(|| handle.collector.stop(deadline(timeout_ns))))
}

/// `LANEPIPE_PROFILER_*` state. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_state(
    collector: *const lanepipe_collector_t,
    state: *mut u32,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_state", collector, |collector| {
        check(state)?;
        // SAFETY: checked, and the caller's contract.
        unsafe { *state = collector.state() as u32 };
        Ok(())
    })
}

/// Gives back everything: threads are gone already, records, buffers, region. The device must not use any of it any more.
/// Null is allowed. `LANEPIPE_BUSY` while threads run. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_destroy(collector: *mut lanepipe_collector_t) -> lanepipe_status_t {
    if collector.is_null() {
        return Status::LANEPIPE_OK;
    }
    guard(|| {
        // SAFETY: the caller's contract.
        let handle = unsafe { object(collector)? };
        if handle.collector.state() != State::Stopped {
            return Err(Status::LANEPIPE_BUSY);
        }
        // SAFETY: made by `lanepipe_collector_create`, and the caller gives it up.
        drop(unsafe { Box::from_raw(collector) });
        Ok(())
    })
}

/// A collector. Opaque.
pub struct lanepipe_collector_t {
    collector: Collector,
    poison: Poison,
}

/// Runs a call on a collector that is not poisoned.
fn on(
    call: &str,
    collector: *const lanepipe_collector_t,
    body: impl FnOnce(&Collector) -> Result<(), Status>,
) -> Status {
    run(call, collector, |handle| handle.poison.guard(|| body(&handle.collector)))
}

/// Runs a call and reports its failure.
fn run(
    call: &str,
    collector: *const lanepipe_collector_t,
    body: impl FnOnce(&lanepipe_collector_t) -> Status,
) -> Status {
    // SAFETY: every function of this section requires a live collector or null.
    let (status, logger) = match unsafe { object(collector) } {
        Ok(handle) => (body(handle), Some(handle.collector.logger())),
        Err(status) => (status, None),
    };
    if status != Status::LANEPIPE_OK {
        report(call, status, logger);
    }
    status
}
