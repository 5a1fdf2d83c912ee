//! Creation, destruction, geometry.

use super::super::args::{Sized32, check, object, sized};
use super::super::failure::{fail, problem};
use super::super::guard::{Poison, guard};
use super::super::log::lanepipe_log_sink_t;
use super::super::memory::lanepipe_memory_t;
use super::super::status::lanepipe_error_t;
use super::{cold, hot, lanepipe_pool_t, write};
use crate::pool::{Pool, PoolConfig, Problem};
use crate::status::{Status, lanepipe_status_t};
use std::sync::Arc;

/// Pool flag: pointers unknown to the pool and buffers that are already in another place are refused.
pub const LANEPIPE_POOL_STRICT: u32 = 1;
/// Pool flag: calls that push to or pop from one queue end detect another thread inside such a call of the same end and
/// are refused then (`LANEPIPE_E_OVERLAP`), and calls by hand on ends that threads of a running profiler hold are refused
/// (`LANEPIPE_E_OWNER`). Costs one atomic exchange per call.
pub const LANEPIPE_POOL_CHECK_OVERLAP: u32 = 2;
/// Pool flag: buffers have no identity. Their ids are 0, the ledger and the audit see none of them, any address that
/// resolves is as good as any other, and a buffer that is in two places goes unnoticed. Not with `LANEPIPE_POOL_STRICT`.
pub const LANEPIPE_POOL_UNTRACKED: u32 = 4;

/// Geometry of a pool, fixed for its life but for the number of live shards.
#[repr(C)]
pub struct lanepipe_pool_config_t {
    /// `sizeof(lanepipe_pool_config_t)`.
    pub struct_size: u32,
    /// Shards, 1 to `LANEPIPE_MAX_SHARDS`. All are live until `lanepipe_pool_set_shards`.
    pub shards: u32,
    /// Buffer kinds, 1 to `LANEPIPE_MAX_KINDS`.
    pub kinds: u32,
    /// Bytes of caller payload in a ready element, 0 to `LANEPIPE_MAX_PAYLOAD`, a multiple of 8. 32 and 40 are fastest.
    pub payload_size: u32,
    /// Elements in each ready ring, 1 to `LANEPIPE_MAX_RING_CAPACITY`; the limit is exact. The same holds for the next two.
    pub ready_capacity: u32,
    /// Elements in each done ring.
    pub done_capacity: u32,
    /// Elements in each recycled lane.
    pub recycled_capacity: u32,
    /// `LANEPIPE_POOL_*` flags.
    pub flags: u32,
    /// Blocks are allocated in multiples of this many bytes, a power of two; 0 is 64.
    pub block_granularity: usize,
    /// Where messages go; a zeroed sink keeps the pool silent.
    pub log: lanepipe_log_sink_t,
}

impl Sized32 for lanepipe_pool_config_t {}

impl lanepipe_pool_config_t {
    fn native(&self) -> Result<PoolConfig, Problem> {
        let refused = |what| Problem { status: Status::LANEPIPE_E_INVALID, what };
        if self.flags & !(LANEPIPE_POOL_STRICT | LANEPIPE_POOL_CHECK_OVERLAP | LANEPIPE_POOL_UNTRACKED) != 0 {
            return Err(refused("flags has bits that are not LANEPIPE_POOL_* flags"));
        }
        let logger = self
            .log
            .logger()
            .map_err(|_| refused("log.max_level is above LANEPIPE_LOG_DEBUG or log.reserved is not 0"))?;
        Ok(PoolConfig {
            shards: self.shards,
            kinds: self.kinds,
            payload_size: self.payload_size,
            ready_capacity: self.ready_capacity,
            done_capacity: self.done_capacity,
            recycled_capacity: self.recycled_capacity,
            strict: self.flags & LANEPIPE_POOL_STRICT != 0,
            untracked: self.flags & LANEPIPE_POOL_UNTRACKED != 0,
            check_overlap: self.flags & LANEPIPE_POOL_CHECK_OVERLAP != 0,
            block_granularity: if self.block_granularity == 0 { 64 } else { self.block_granularity },
            block_align: 1,
            logger,
        })
    }
}

/// Creates a pool.
///
/// `config` is copied. `error` may be null; else its `struct_size` is set by the caller. On success `*pool` is owned by
/// the caller, who ends it with `lanepipe_pool_destroy`. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_create(
    config: *const lanepipe_pool_config_t,
    error: *mut lanepipe_error_t,
    pool: *mut *mut lanepipe_pool_t,
) -> lanepipe_status_t {
    guard(|| {
        // SAFETY: the caller's contract.
        unsafe {
            let refuse = |problem| Err(fail(error, problem, None));
            let config = match check(pool).and_then(|()| sized(config)) {
                Ok(config) => config,
                Err(status) => return refuse(problem(status)),
            };
            let config = match config.native() {
                Ok(config) => config,
                Err(problem) => return refuse(problem),
            };
            if let Err(problem) = config.check() {
                return Err(fail(error, problem, Some(&config.logger)));
            }
            match Pool::new(config) {
                Ok(made) => {
                    *pool = Box::into_raw(Box::new(lanepipe_pool_t { pool: Arc::new(made), poison: Poison::default() }))
                }
                Err(status) => return refuse(problem(status)),
            }
        }
        Ok(())
    })
}

/// Destroys a pool; calls no callback and leaves device memory alone. Null is allowed. `LANEPIPE_BUSY` while a profiler
/// uses it. No other thread may be inside a call.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_destroy(pool: *mut lanepipe_pool_t) -> lanepipe_status_t {
    if pool.is_null() {
        return Status::LANEPIPE_OK;
    }
    guard(|| {
        // SAFETY: the caller's contract.
        let handle = unsafe { object(pool)? };
        if Arc::strong_count(&handle.pool) > 1 {
            return Err(Status::LANEPIPE_BUSY);
        }
        // SAFETY: made by `lanepipe_pool_create`, and the caller gives it up.
        drop(unsafe { Box::from_raw(pool) });
        Ok(())
    })
}

/// Sets how the pool reaches device memory; mappings and queues stay. Only while no profiler runs on the pool.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_set_memory(
    pool: *mut lanepipe_pool_t,
    memory: *const lanepipe_memory_t,
) -> lanepipe_status_t {
    cold("lanepipe_pool_set_memory", pool, |pool| {
        // SAFETY: the caller's contract.
        pool.set_memory(unsafe { sized(memory)? }.context())
    })
}

/// Sets the number of live shards, 1 to the configured number; shard arguments of other calls fold modulo this number. Only
/// while no other thread uses the pool.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_set_shards(pool: *mut lanepipe_pool_t, shards: u32) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    cold("lanepipe_pool_set_shards", pool, |pool| pool.set_live_shards(shards))
}

/// Number of live shards. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_get_shards(pool: *const lanepipe_pool_t, shards: *mut u32) -> lanepipe_status_t {
    hot("lanepipe_pool_get_shards", pool, |pool| {
        // SAFETY: the caller's contract.
        unsafe { write(shards, pool.live_shards()) }
    })
}

/// Sets how many buffers of `kind` each lane is to hold: a done buffer that is routed (`lanepipe_pool_recycle_done` with
/// `LANEPIPE_ALL_SHARDS`) goes where most are missing. 0, the default: back to its own shard. More than a lane holds counts
/// as what it holds. Any thread, also while others route; `lanepipe_profiler_start` sets it from its own configuration.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_set_warm_target(
    pool: *const lanepipe_pool_t,
    kind: u32,
    target: u32,
) -> lanepipe_status_t {
    hot("lanepipe_pool_set_warm_target", pool, |pool| pool.set_warm_target(kind, target))
}
