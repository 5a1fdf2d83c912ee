//! Counters and the last fault.

use super::{lanepipe_profiler_t, on};
use crate::capi::args::{Sized32, write_sized};
use crate::profiler::{Fault, GateStats, QueueStats, ShardStats};
use crate::status::{Status, lanepipe_status_t};

/// Counters of one device ready queue and what became of its entries. They grow from creation on; read while threads run
/// they are a snapshot without a common instant.
#[repr(C)]
pub struct lanepipe_queue_stats_t {
    /// `sizeof(lanepipe_queue_stats_t)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Entries taken from the queue.
    pub taken: u64,
    /// Entries passed to the ready ring.
    pub delivered: u64,
    /// Entries refused by `resolve`, with an unknown address, or published twice.
    pub rejected: u64,
    /// Entries whose contents could not be copied for good.
    pub copy_failed: u64,
    /// Buffers put into free queues.
    pub refilled: u64,
    /// Times a free queue was left empty because its lane was.
    pub starved: u64,
    /// Times the ready ring was full.
    pub ready_full: u64,
    /// Failed transfers of queue words, retried.
    pub transfer_failed: u64,
    /// Scans that found indices out of range.
    pub corrupt: u64,
    /// Most elements that the ready ring held right after one of the queue's was added.
    pub ready_peak: u64,
}

/// Counters of one shard's collect side and of the pipeline as a whole.
#[repr(C)]
pub struct lanepipe_shard_stats_t {
    /// `sizeof(lanepipe_shard_stats_t)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Elements collected.
    pub collected: u64,
    /// Calls of `collect`.
    pub collect_calls: u64,
    /// Buffers retired because the done ring was full.
    pub done_full: u64,
    /// Buffers put into this shard's lanes.
    pub recycled: u64,
    /// Buffers that the replenish thread allocated for this shard's lanes.
    pub allocated: u64,
}

/// Counters of the backpressure gates; all 0 without `LANEPIPE_BACKPRESSURE_COMMON`.
#[repr(C)]
pub struct lanepipe_gate_stats_t {
    /// `sizeof(lanepipe_gate_stats_t)`.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Freezes: times that no gate was shut and then one was.
    pub freezes: u64,
    /// Nanoseconds in freezes that have ended.
    pub frozen_ns: u64,
    /// Buffers put into free queues within freezes.
    pub refilled: u64,
    /// Refills of one free queue that failed.
    pub refill_failed: u64,
    /// Failed pushes of gate words.
    pub push_failed: u64,
}

/// The last fault of a worker thread.
#[repr(C)]
pub struct lanepipe_fault_t {
    /// `sizeof(lanepipe_fault_t)`.
    pub struct_size: u32,
    /// What happened (a `lanepipe_status_t`), 0 if nothing ever did.
    pub status: i32,
    /// `LANEPIPE_ROLE_*` of the thread.
    pub role: u32,
    /// Queue for the drain role, shard for others.
    pub index: u32,
    /// Device address or index concerned, or 0.
    pub value: u64,
    /// Faults so far.
    pub count: u64,
}

/// Counters of device ready queue `queue`. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_queue_stats(
    profiler: *const lanepipe_profiler_t,
    queue: u32,
    stats: *mut lanepipe_queue_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_queue_stats", profiler, |profiler| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(stats, || Ok(profiler.queue_stats(queue).ok_or(Status::LANEPIPE_E_INVALID)?.into())) }
    })
}

impl From<QueueStats> for lanepipe_queue_stats_t {
    fn from(found: QueueStats) -> Self {
        Self {
            struct_size: size_of::<lanepipe_queue_stats_t>() as u32,
            reserved: 0,
            taken: found.taken,
            delivered: found.delivered,
            rejected: found.rejected,
            copy_failed: found.copy_failed,
            refilled: found.refilled,
            starved: found.starved,
            ready_full: found.ready_full,
            transfer_failed: found.transfer_failed,
            corrupt: found.corrupt,
            ready_peak: found.ready_peak,
        }
    }
}

/// Counters of shard `shard`. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_shard_stats(
    profiler: *const lanepipe_profiler_t,
    shard: u32,
    stats: *mut lanepipe_shard_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_shard_stats", profiler, |profiler| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(stats, || Ok(profiler.shard_stats(shard).ok_or(Status::LANEPIPE_E_INVALID)?.into())) }
    })
}

impl From<ShardStats> for lanepipe_shard_stats_t {
    fn from(found: ShardStats) -> Self {
        Self {
            struct_size: size_of::<lanepipe_shard_stats_t>() as u32,
            reserved: 0,
            collected: found.collected,
            collect_calls: found.collect_calls,
            done_full: found.done_full,
            recycled: found.recycled,
            allocated: found.allocated,
        }
    }
}

/// Counters of the gates. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_gate_stats(
    profiler: *const lanepipe_profiler_t,
    stats: *mut lanepipe_gate_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_gate_stats", profiler, |profiler| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(stats, || Ok(profiler.gate_stats().into())) }
    })
}

impl From<GateStats> for lanepipe_gate_stats_t {
    fn from(found: GateStats) -> Self {
        Self {
            struct_size: size_of::<lanepipe_gate_stats_t>() as u32,
            reserved: 0,
            freezes: found.freezes,
            frozen_ns: found.frozen_ns,
            refilled: found.refilled,
            refill_failed: found.refill_failed,
            push_failed: found.push_failed,
        }
    }
}

/// The last fault of a worker thread. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_fault(
    profiler: *const lanepipe_profiler_t,
    fault: *mut lanepipe_fault_t,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_fault", profiler, |profiler| {
        // SAFETY: the caller's contract.
        unsafe { write_sized(fault, || Ok(profiler.fault().into())) }
    })
}

impl From<Option<Fault>> for lanepipe_fault_t {
    fn from(found: Option<Fault>) -> Self {
        Self {
            struct_size: size_of::<lanepipe_fault_t>() as u32,
            status: found.map_or(0, |found| found.status as i32),
            role: found.map_or(0, |found| found.role as u32),
            index: found.map_or(0, |found| found.index),
            value: found.map_or(0, |found| found.value),
            count: found.map_or(0, |found| found.count),
        }
    }
}

impl Sized32 for lanepipe_queue_stats_t {}
impl Sized32 for lanepipe_shard_stats_t {}
impl Sized32 for lanepipe_fault_t {}
impl Sized32 for lanepipe_gate_stats_t {}
