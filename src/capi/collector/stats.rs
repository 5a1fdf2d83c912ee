//! Counters of the profiler inside, as `lanepipe_profiler_get_*`.

use super::{lanepipe_collector_t, on};
use crate::capi::args::{check, write_sized};
use crate::capi::profiler::{lanepipe_fault_t, lanepipe_gate_stats_t, lanepipe_queue_stats_t, lanepipe_shard_stats_t};
use crate::status::{Status, lanepipe_status_t};

/// Records collected so far. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_collected(
    collector: *const lanepipe_collector_t,
    records: *mut u64,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_collected", collector, |collector| {
        check(records)?;
        // SAFETY: checked, and the caller's contract.
        unsafe { *records = collector.collected() };
        Ok(())
    })
}

/// Counters of device ready queue `queue`; `copy_failed` stays 0, since the books tell what was lost. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_queue_stats(
    collector: *const lanepipe_collector_t,
    queue: u32,
    stats: *mut lanepipe_queue_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_queue_stats", collector, |collector| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(stats, || Ok(collector.queue_stats(queue).ok_or(Status::LANEPIPE_E_INVALID)?.into())) }
    })
}

/// Counters of shard `shard`. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_shard_stats(
    collector: *const lanepipe_collector_t,
    shard: u32,
    stats: *mut lanepipe_shard_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_shard_stats", collector, |collector| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(stats, || Ok(collector.shard_stats(shard).ok_or(Status::LANEPIPE_E_INVALID)?.into())) }
    })
}

/// Counters of the gates. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_gate_stats(
    collector: *const lanepipe_collector_t,
    stats: *mut lanepipe_gate_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_gate_stats", collector, |collector| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(stats, || Ok(collector.gate_stats().into())) }
    })
}

/// The last fault of a worker thread. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_fault(
    collector: *const lanepipe_collector_t,
    fault: *mut lanepipe_fault_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_fault", collector, |collector| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(fault, || Ok(collector.fault().into())) }
    })
}
