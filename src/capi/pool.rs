//! The pool: buffers, lanes, blocks, mappings, audit.

use super::args::{Sized32, array, check, check_array, check_sized, object, sized};
use super::failure::{fail, problem};
use super::guard::{Poison, guard, report, status_of};
use super::log::lanepipe_log_sink_t;
use super::memory::lanepipe_memory_t;
use super::status::lanepipe_error_t;
use crate::event::{Deadline, WaitEnd, now};
use crate::pool::ledger::Place;
use crate::pool::{self, Buffer, Pool, PoolConfig, Problem};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;
use std::sync::Arc;

/// Most shards a pool can have.
pub const LANEPIPE_MAX_SHARDS: u32 = 64;
/// Most buffer kinds a pool can have.
pub const LANEPIPE_MAX_KINDS: u32 = 64;
/// Largest payload of a ready element in bytes.
pub const LANEPIPE_MAX_PAYLOAD: u32 = 256;
/// Largest ring capacity.
pub const LANEPIPE_MAX_RING_CAPACITY: u32 = 1 << 20;
/// As a shard argument: all live shards, or dealt round robin.
pub const LANEPIPE_ALL_SHARDS: u32 = u32::MAX;
/// As a time limit: none.
pub const LANEPIPE_FOREVER: u64 = u64::MAX;

/// Pool flag: pointers unknown to the pool and buffers that are already in another place are refused.
pub const LANEPIPE_POOL_STRICT: u32 = 1;
/// Pool flag: calls that push to or pop from one queue end detect another thread inside such a call of the same end and
/// are refused then (`LANEPIPE_E_OVERLAP`), and calls by hand on ends that threads of a running profiler hold are refused
/// (`LANEPIPE_E_OWNER`). Costs one atomic exchange per call.
pub const LANEPIPE_POOL_CHECK_OVERLAP: u32 = 2;

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

/// A buffer on its way through the pool.
#[repr(C)]
pub struct lanepipe_buffer_t {
    /// Device address.
    pub dev: *mut c_void,
    /// Kind, below the pool's `kinds`.
    pub kind: u32,
    /// Identity in the ledger, as `lanepipe_pool_register` or `lanepipe_pool_resolve` tell it; 0: not tracked.
    pub id: u32,
}

/// A pool. Opaque.
pub struct lanepipe_pool_t {
    pub(super) pool: Arc<Pool>,
    poison: Poison,
}

const _: () = {
    assert!(
        size_of::<lanepipe_buffer_t>() == size_of::<Buffer>()
            && align_of::<lanepipe_buffer_t>() == align_of::<Buffer>()
    );
    assert!(LANEPIPE_MAX_SHARDS == pool::MAX_SHARDS && LANEPIPE_MAX_KINDS == pool::MAX_KINDS);
    assert!(LANEPIPE_MAX_PAYLOAD == pool::MAX_PAYLOAD && LANEPIPE_MAX_RING_CAPACITY == pool::MAX_RING_CAPACITY);
    assert!(LANEPIPE_FOREVER == Deadline::NEVER);
};

impl Sized32 for lanepipe_pool_config_t {}
impl Sized32 for lanepipe_pool_audit_t {}

impl lanepipe_pool_config_t {
    fn native(&self) -> Result<PoolConfig, Problem> {
        let refused = |what| Problem { status: Status::LANEPIPE_E_INVALID, what };
        if self.flags & !(LANEPIPE_POOL_STRICT | LANEPIPE_POOL_CHECK_OVERLAP) != 0 {
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
            check_overlap: self.flags & LANEPIPE_POOL_CHECK_OVERLAP != 0,
            block_granularity: if self.block_granularity == 0 { 64 } else { self.block_granularity },
            logger,
        })
    }
}

/// Runs a call that may take a lock or allocate.
pub(super) fn cold(call: &str, pool: *const lanepipe_pool_t, body: impl FnOnce(&Pool) -> Result<(), Status>) -> Status {
    // SAFETY: every function of this section requires a live pool or null.
    let (status, logger) = match unsafe { object(pool) } {
        Ok(handle) => (handle.poison.guard(|| body(&handle.pool)), Some(handle.pool.logger())),
        Err(status) => (status, None),
    };
    if status != Status::LANEPIPE_OK {
        report(call, status, logger);
    }
    status
}

/// The pool, if nothing stands in the way of a call for one buffer with these pointers; the general form of the call
/// finds out what does.
#[inline(always)]
fn single<'a>(pool: *const lanepipe_pool_t, buffer: *const lanepipe_buffer_t, count: *const usize) -> Option<&'a Pool> {
    if pool.is_null() || buffer.is_null() || count.is_null() {
        return None;
    }
    // One test for three addresses.
    const { assert!(align_of::<lanepipe_pool_t>() == 8 && align_of::<lanepipe_buffer_t>() == 8 && align_of::<usize>() == 8) };
    if !(pool.addr() | buffer.addr() | count.addr()).is_multiple_of(8) {
        return None;
    }
    // SAFETY: not null, aligned; every function of this section requires a live pool or null.
    let handle = unsafe { &*pool };
    if handle.poison.check().is_err() {
        return None;
    }
    Some(&handle.pool)
}

/// Runs a call of a hot path, which cannot panic.
#[inline(always)]
fn hot(call: &str, pool: *const lanepipe_pool_t, body: impl FnOnce(&Pool) -> Result<(), Status>) -> Status {
    // SAFETY: every function of this section requires a live pool or null.
    let handle = unsafe { object(pool) };
    let outcome = handle.and_then(|handle| {
        handle.poison.check()?;
        body(&handle.pool)
    });
    let status = status_of(outcome);
    if (status as i32) < 0 {
        report(call, status, handle.ok().map(|handle| handle.pool.logger()));
    }
    status
}

/// The deadline of a time limit in nanoseconds.
pub(super) fn deadline(timeout_ns: u64) -> u64 {
    if timeout_ns == LANEPIPE_FOREVER { Deadline::NEVER } else { now().saturating_add(timeout_ns) }
}

/// The wait of `lanepipe_pool_wait_push_ready` for room. Out of line, so that only a wait reads the clock.
///
/// # Safety
///
/// As for [`Pool::wait_push_ready`].
#[inline(never)]
unsafe fn wait_push_rest(pool: &Pool, shard: u32, rest: &[Buffer], payloads: *const u8, timeout_ns: u64) -> usize {
    // SAFETY: forwarded.
    unsafe { pool.wait_push_ready(shard, rest, payloads, deadline(timeout_ns)) }
}

/// The wait of `lanepipe_pool_wait_pop_ready` for an element. Out of line, so that only a wait reads the clock.
///
/// # Safety
///
/// As for [`Pool::wait_pop_ready`].
#[inline(never)]
unsafe fn wait_pop_first(
    pool: &Pool,
    shard: u32,
    buffers: *mut Buffer,
    payloads: *mut u8,
    max: usize,
    timeout_ns: u64,
) -> Result<usize, Status> {
    // SAFETY: forwarded.
    match unsafe { pool.wait_pop_ready(shard, buffers, payloads, max, deadline(timeout_ns)) } {
        Ok(popped) => Ok(popped),
        Err(WaitEnd::TimedOut) => Err(Status::LANEPIPE_TIMED_OUT),
        Err(WaitEnd::Closed) => Err(Status::LANEPIPE_CLOSED),
    }
}

/// # Safety
///
/// `out` is null or writable.
unsafe fn write<T>(out: *mut T, value: T) -> Result<(), Status> {
    check(out)?;
    // SAFETY: checked; the caller vouches for the rest.
    unsafe { out.write(value) };
    Ok(())
}

/// # Safety
///
/// `buffers` is null or readable for `count` elements, `pushed` null or writable.
#[inline(always)]
unsafe fn incoming_buffers<'a>(
    pool: &Pool,
    buffers: *const lanepipe_buffer_t,
    count: usize,
    pushed: *mut usize,
) -> Result<&'a [Buffer], Status> {
    check(pushed)?;
    // SAFETY: forwarded; both structures have one layout.
    let buffers = unsafe { array(buffers.cast::<Buffer>(), count)? };
    pool.check_incoming(buffers)?;
    Ok(buffers)
}

/// # Safety
///
/// As for [`incoming_buffers`], and `payloads` is null or readable for `count` payloads.
#[inline(always)]
unsafe fn incoming<'a>(
    pool: &Pool,
    buffers: *const lanepipe_buffer_t,
    payloads: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> Result<(&'a [Buffer], *const u8), Status> {
    if payloads.is_null() && pool.config().payload_size != 0 && count != 0 {
        return Err(Status::LANEPIPE_E_NULL);
    }
    // SAFETY: forwarded.
    Ok((unsafe { incoming_buffers(pool, buffers, count, pushed)? }, payloads.cast()))
}

/// # Safety
///
/// `buffers` is null or writable for `max` elements, `count` null or writable.
#[inline(always)]
unsafe fn outgoing_buffers<'a>(
    buffers: *mut lanepipe_buffer_t,
    max: usize,
    count: *mut usize,
) -> Result<&'a mut [MaybeUninit<Buffer>], Status> {
    check(count)?;
    check_array(buffers, max)?;
    if max == 0 {
        return Ok(&mut []);
    }
    // SAFETY: forwarded; both structures have one layout.
    Ok(unsafe { slice::from_raw_parts_mut(buffers.cast(), max) })
}

/// # Safety
///
/// As for [`outgoing_buffers`], and `payloads` is null or writable for `max` payloads.
#[inline(always)]
unsafe fn outgoing(
    pool: &Pool,
    buffers: *mut lanepipe_buffer_t,
    payloads: *mut c_void,
    max: usize,
    count: *mut usize,
) -> Result<(), Status> {
    check(count)?;
    check_array(buffers, max)?;
    let payloads_missing = payloads.is_null() && pool.config().payload_size != 0 && max != 0;
    if payloads_missing { Err(Status::LANEPIPE_E_NULL) } else { Ok(()) }
}

/// Releases the allocation at device address `base`.
pub type lanepipe_release_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, base: *mut c_void)>;

/// What the pool knows of an address.
#[repr(C)]
pub struct lanepipe_resolved_t {
    /// Host address; null if the pool knows none.
    pub host: *mut c_void,
    /// Identity in the ledger, 0 if the address is not that of a tracked buffer.
    pub id: u32,
    /// 1 if the address is known, else 0.
    pub known: u32,
}

/// Where all tracked buffers are. Exact at rest; while a profiler runs, a snapshot without a common instant.
#[repr(C)]
pub struct lanepipe_pool_audit_t {
    /// `sizeof(lanepipe_pool_audit_t)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Buffers tracked.
    pub total: u64,
    /// At the device, or with the caller.
    pub device: u64,
    /// Held by a drain thread.
    pub drain: u64,
    /// In ready rings.
    pub ready: u64,
    /// Held by a collect thread.
    pub collect: u64,
    /// In done rings.
    pub done: u64,
    /// Held by the replenish thread.
    pub replenish: u64,
    /// In recycled lanes.
    pub recycled: u64,
    /// Parked, to be brought back into circulation.
    pub retired: u64,
    /// Parked until teardown because their address cannot be trusted.
    pub quarantined: u64,
    /// Buffers found in no place, in a place other than the ledger's, or in two places. 0 in a sound pool.
    pub errors: u64,
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
        pool.set_memory(unsafe { sized(memory)? }.context()?)
    })
}

/// Sets the number of live shards, 1 to the configured number; shard arguments of other calls fold modulo this number. Only while no other thread uses the pool.
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

/// Stores up to `count` elements in the ready ring of `shard` and wakes its consumer. Drain thread of the shard; never
/// blocks. `payloads` holds `count` payloads back to back and may be null if the payload size is 0. `*pushed` is written
/// on `LANEPIPE_OK` and `LANEPIPE_FULL` (fewer than `count` fit).
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_push_ready(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    payloads: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    if count == 1
        && let Some(pool) = single(pool, buffers, pushed)
        && !payloads.is_null()
        // SAFETY: checked, and the caller's contract; it is the drain thread of the shard.
        && unsafe { pool.push_ready_one(shard, buffers.cast::<Buffer>().read(), payloads.cast()) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *pushed = 1 };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { push_ready_any(pool, shard, buffers, payloads, count, pushed) }
}

/// `lanepipe_pool_push_ready` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn push_ready_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    payloads: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_push_ready", pool, |pool| {
        // SAFETY: the caller's contract; it is the drain thread of the shard.
        unsafe {
            let (buffers, payloads) = incoming(pool, buffers, payloads, count, pushed)?;
            let _inside = pool.enter(|| pool.ready(shard).ring().enter_producer())?;
            *pushed = pool.push_ready(shard, buffers, payloads);
            if *pushed < count { Err(Status::LANEPIPE_FULL) } else { Ok(()) }
        }
    })
}

/// As `lanepipe_pool_push_ready`, but waits for room up to `timeout_ns` nanoseconds (`LANEPIPE_FOREVER`: no limit).
/// `*pushed` is also written on `LANEPIPE_TIMED_OUT`.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_wait_push_ready(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    payloads: *const c_void,
    count: usize,
    timeout_ns: u64,
    pushed: *mut usize,
) -> lanepipe_status_t {
    if count == 1
        && let Some(pool) = single(pool, buffers, pushed)
        && !payloads.is_null()
        // SAFETY: checked, and the caller's contract; it is the drain thread of the shard.
        && unsafe { pool.push_ready_one(shard, buffers.cast::<Buffer>().read(), payloads.cast()) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *pushed = 1 };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { wait_push_ready_any(pool, shard, buffers, payloads, count, timeout_ns, pushed) }
}

/// `lanepipe_pool_wait_push_ready` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn wait_push_ready_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    payloads: *const c_void,
    count: usize,
    timeout_ns: u64,
    pushed: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_wait_push_ready", pool, |pool| {
        // SAFETY: the caller's contract; it is the drain thread of the shard.
        unsafe {
            let (buffers, payloads) = incoming(pool, buffers, payloads, count, pushed)?;
            let _inside = pool.enter(|| pool.ready(shard).ring().enter_producer())?;
            let mut stored = pool.push_ready(shard, buffers, payloads);
            if let Some(rest) = buffers.get(stored..).filter(|rest| !rest.is_empty()) {
                let payloads = payloads.wrapping_add(stored * pool.config().payload_size as usize);
                stored += wait_push_rest(pool, shard, rest, payloads, timeout_ns);
            }
            *pushed = stored;
            if stored < count { Err(Status::LANEPIPE_TIMED_OUT) } else { Ok(()) }
        }
    })
}

/// Takes up to `max` elements, oldest first, from the ready ring of `shard` and wakes a waiting producer. Collect thread
/// of the shard; never blocks. `LANEPIPE_EMPTY` if there is none. `*count` is written on `LANEPIPE_OK` and
/// `LANEPIPE_EMPTY`.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_pop_ready(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *mut lanepipe_buffer_t,
    payloads: *mut c_void,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    if max == 1
        && let Some(pool) = single(pool, buffers, count)
        && !payloads.is_null()
        // SAFETY: checked, and the caller's contract; it is the collect thread of the shard.
        && unsafe { pool.pop_ready_one(shard, buffers.cast(), payloads.cast()) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *count = 1 };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { pop_ready_any(pool, shard, buffers, payloads, max, count) }
}

/// `lanepipe_pool_pop_ready` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn pop_ready_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *mut lanepipe_buffer_t,
    payloads: *mut c_void,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_pop_ready", pool, |pool| {
        // SAFETY: the caller's contract; it is the collect thread of the shard.
        unsafe {
            outgoing(pool, buffers, payloads, max, count)?;
            let _inside = pool.enter(|| pool.ready(shard).ring().enter_consumer())?;
            *count = pool.pop_ready(shard, buffers.cast(), payloads.cast(), max);
            if *count == 0 { Err(Status::LANEPIPE_EMPTY) } else { Ok(()) }
        }
    })
}

/// As `lanepipe_pool_pop_ready`, but waits for the first element up to `timeout_ns` nanoseconds. `LANEPIPE_TIMED_OUT`
/// only if the ring was empty at return.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_wait_pop_ready(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *mut lanepipe_buffer_t,
    payloads: *mut c_void,
    max: usize,
    timeout_ns: u64,
    count: *mut usize,
) -> lanepipe_status_t {
    if max == 1
        && let Some(pool) = single(pool, buffers, count)
        && !payloads.is_null()
        // SAFETY: checked, and the caller's contract; it is the collect thread of the shard.
        && unsafe { pool.pop_ready_one(shard, buffers.cast(), payloads.cast()) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *count = 1 };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { wait_pop_ready_any(pool, shard, buffers, payloads, max, timeout_ns, count) }
}

/// `lanepipe_pool_wait_pop_ready` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn wait_pop_ready_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *mut lanepipe_buffer_t,
    payloads: *mut c_void,
    max: usize,
    timeout_ns: u64,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_wait_pop_ready", pool, |pool| {
        // SAFETY: the caller's contract; it is the collect thread of the shard.
        unsafe {
            outgoing(pool, buffers, payloads, max, count)?;
            if max == 0 {
                return Err(Status::LANEPIPE_E_INVALID);
            }
            let _inside = pool.enter(|| pool.ready(shard).ring().enter_consumer())?;
            let popped = pool.pop_ready(shard, buffers.cast(), payloads.cast(), max);
            *count = if popped != 0 {
                popped
            } else {
                wait_pop_first(pool, shard, buffers.cast(), payloads.cast(), max, timeout_ns)?
            };
            Ok(())
        }
    })
}

/// Stores up to `count` buffers in the done ring of `shard`. Collect thread of the shard; never blocks.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_push_done(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    if count == 1
        && let Some(pool) = single(pool, buffers, pushed)
        // SAFETY: checked, and the caller's contract; it is the collect thread of the shard.
        && unsafe { pool.push_done_one(shard, &*buffers.cast()) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *pushed = 1 };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { push_done_any(pool, shard, buffers, count, pushed) }
}

/// `lanepipe_pool_push_done` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn push_done_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_push_done", pool, |pool| {
        // SAFETY: the caller's contract; it is the collect thread of the shard.
        unsafe {
            let buffers = incoming_buffers(pool, buffers, count, pushed)?;
            let _inside = pool.enter(|| pool.done_ring(shard).enter_producer())?;
            *pushed = pool.push_done(shard, buffers);
            if *pushed < count { Err(Status::LANEPIPE_FULL) } else { Ok(()) }
        }
    })
}

/// Takes up to `max` buffers, oldest first, from the done ring of `shard`. Replenish thread; never blocks.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_pop_done(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *mut lanepipe_buffer_t,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_pop_done", pool, |pool| {
        // SAFETY: the caller's contract; it is the replenish thread.
        unsafe {
            let out = outgoing_buffers(buffers, max, count)?;
            let _inside = pool.enter(|| pool.done_ring(shard).enter_consumer())?;
            *count = pool.pop_done(shard, out);
            if *count == 0 { Err(Status::LANEPIPE_EMPTY) } else { Ok(()) }
        }
    })
}

/// Moves all done buffers into recycled lanes. With `LANEPIPE_ALL_SHARDS` each goes where the deficit is largest, with a
/// shard only that ring is emptied into the shard's own lanes. What fits nowhere is retired. `*moved` counts both.
/// Replenish thread; never blocks on a hot-path thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_recycle_done(
    pool: *const lanepipe_pool_t,
    shard: u32,
    moved: *mut usize,
) -> lanepipe_status_t {
    if let Some(pool) = single(pool, NonNull::dangling().as_ptr(), moved)
        // SAFETY: the caller's contract; it is the replenish thread.
        && let Some(one) = unsafe { pool.recycle_done_one(shard) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *moved = one };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { recycle_done_any(pool, shard, moved) }
}

/// `lanepipe_pool_recycle_done` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn recycle_done_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    moved: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_recycle_done", pool, |pool| {
        check(moved)?;
        pool.require_own_ends()?;
        // SAFETY: the caller's contract; it is the replenish thread.
        unsafe {
            *moved = match shard {
                LANEPIPE_ALL_SHARDS => pool.recycle_all_done(|_, _| ()).placed,
                shard => pool.recycle_done(shard),
            };
        }
        Ok(())
    })
}

/// Stores up to `count` buffers in the recycled lanes of `shard`, each in the lane of its kind; stops at the first whose
/// lane is full. Replenish thread, or the owner before start.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_push_recycled(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_push_recycled", pool, |pool| {
        // SAFETY: the caller's contract; it is the replenish thread, or the owner while no thread runs.
        unsafe {
            let buffers = incoming_buffers(pool, buffers, count, pushed)?;
            let mut stored = 0;
            for buffer in buffers {
                let inside = pool.enter(|| pool.lane_ring(shard, buffer.kind).enter_producer());
                // What was stored before the overlap showed stays stored, so it is counted.
                if stored != 0 || inside.is_ok() {
                    *pushed = stored;
                }
                let _inside = inside?;
                if !pool.push_recycled(shard, buffer) {
                    return Err(Status::LANEPIPE_FULL);
                }
                stored += 1;
            }
            *pushed = stored;
        }
        Ok(())
    })
}

/// Takes up to `max` buffers, oldest first, from the recycled lane (`shard`, `kind`). Drain thread of the shard. Never
/// blocks.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_pop_recycled(
    pool: *const lanepipe_pool_t,
    shard: u32,
    kind: u32,
    buffers: *mut lanepipe_buffer_t,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    if max == 1
        && let Some(pool) = single(pool, buffers, count)
        // SAFETY: the caller's contract; it is the drain thread of the shard.
        && let Some(buffer) = unsafe { pool.pop_recycled_one(shard, kind) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe {
            buffers.cast::<Buffer>().write(buffer);
            *count = 1;
        }
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { pop_recycled_any(pool, shard, kind, buffers, max, count) }
}

/// `lanepipe_pool_pop_recycled` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn pop_recycled_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    kind: u32,
    buffers: *mut lanepipe_buffer_t,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_pop_recycled", pool, |pool| {
        // SAFETY: the caller's contract; it is the drain thread of the shard, or the owner while no thread runs.
        unsafe {
            let out = outgoing_buffers(buffers, max, count)?;
            pool.check_kind(kind)?;
            let _inside = pool.enter(|| pool.lane_ring(shard, kind).enter_consumer())?;
            *count = pool.pop_recycled(shard, kind, out);
            if *count == 0 { Err(Status::LANEPIPE_EMPTY) } else { Ok(()) }
        }
    })
}

/// Parks a buffer that could not be passed on; the replenish thread brings it back. Any thread; takes a lock.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_retire(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffer: *const lanepipe_buffer_t,
) -> lanepipe_status_t {
    cold("lanepipe_pool_retire", pool, |pool| {
        let mut unused = 0;
        // SAFETY: the caller's contract.
        let buffers = unsafe { incoming_buffers(pool, buffer, 1, &raw mut unused)? };
        pool.retire(shard, buffers[0])
    })
}

/// Buffers in the recycled lane (`shard`, `kind`); `LANEPIPE_ALL_SHARDS` sums the live shards. Any thread; exact at rest.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_get_recycled(
    pool: *const lanepipe_pool_t,
    shard: u32,
    kind: u32,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_get_recycled", pool, |pool| {
        pool.check_kind(kind)?;
        let present = match shard {
            LANEPIPE_ALL_SHARDS => pool.recycled_total(kind),
            shard => pool.recycled_len(shard, kind),
        };
        // SAFETY: the caller's contract.
        unsafe { write(count, present) }
    })
}

/// Allocates and registers one block of `count` buffers of `buffer_size` bytes, carves it at a stride of `buffer_size`
/// rounded up to 64, and puts the buffers into the lanes of `shard` (`LANEPIPE_ALL_SHARDS`: dealt round robin), or parks
/// them where a lane is full. `*placed` counts both. Replenish thread, or the owner before start.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_allocate(
    pool: *const lanepipe_pool_t,
    kind: u32,
    buffer_size: usize,
    count: u32,
    shard: u32,
    placed: *mut usize,
) -> lanepipe_status_t {
    cold("lanepipe_pool_allocate", pool, |pool| {
        check(placed)?;
        pool.require_own_ends()?;
        let shard = (shard != LANEPIPE_ALL_SHARDS).then_some(shard);
        // SAFETY: the caller's contract; it is the replenish thread, or the owner while no thread runs.
        unsafe { write(placed, pool.allocate(kind, buffer_size, count, shard)?) }
    })
}

/// Allocates and registers one block outside the lanes. Replenish thread, or the owner before start.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_allocate_block(
    pool: *const lanepipe_pool_t,
    size: usize,
    dev: *mut *mut c_void,
    host: *mut *mut c_void,
) -> lanepipe_status_t {
    cold("lanepipe_pool_allocate_block", pool, |pool| {
        check(dev)?;
        check(host)?;
        let (block_dev, block_host) = pool.allocate_block(size)?;
        // SAFETY: the caller's contract.
        unsafe {
            *dev = block_dev as *mut c_void;
            *host = block_host as *mut c_void;
        }
        Ok(())
    })
}

/// Makes a buffer that the caller allocated known to the pool, as being at the device. `id` may be null. Any thread, also
/// while a profiler runs; takes the lock of the writers, which readers never wait for.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_register(
    pool: *const lanepipe_pool_t,
    dev: *mut c_void,
    host: *mut c_void,
    kind: u32,
    id: *mut u32,
) -> lanepipe_status_t {
    cold("lanepipe_pool_register", pool, |pool| {
        if !id.is_null() {
            check(id)?;
        }
        let known = pool.register(dev as u64, host as u64, kind)?;
        if !id.is_null() {
            // SAFETY: the caller's contract.
            unsafe { write(id, known)? };
        }
        Ok(())
    })
}

/// Host addresses and identities of `count` device addresses, interior ones included. Lock-free, any thread. Unknown
/// addresses are reported in `resolved`, not by the status.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_resolve(
    pool: *const lanepipe_pool_t,
    dev: *const *const c_void,
    count: usize,
    resolved: *mut lanepipe_resolved_t,
) -> lanepipe_status_t {
    hot("lanepipe_pool_resolve", pool, |pool| {
        check_array(resolved, count)?;
        // SAFETY: the caller's contract.
        let dev = unsafe { array(dev, count)? };
        for (index, dev) in dev.iter().enumerate() {
            let found = pool.resolve(*dev as u64);
            let answer = lanepipe_resolved_t {
                host: found.map_or(0, |found| found.host) as *mut c_void,
                id: found.map_or(0, |found| found.id),
                known: u32::from(found.is_some()),
            };
            // SAFETY: the caller vouches for `count` elements.
            unsafe { resolved.add(index).write(answer) };
        }
        Ok(())
    })
}

/// Calls `release` once for each distinct allocation that the pool knows, in ascending order, then forgets all mappings
/// and empties all queues. `release` may be null. Only while no other thread uses the pool.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_release_all(
    pool: *mut lanepipe_pool_t,
    release: lanepipe_release_fn_t,
    context: *mut c_void,
) -> lanepipe_status_t {
    cold("lanepipe_pool_release_all", pool, |pool| {
        let free = |base: u64| {
            if let Some(release) = release {
                // SAFETY: the caller vouches for function and context.
                unsafe { release(context, base as *mut c_void) };
            }
        };
        // SAFETY: the caller's contract: no other thread uses the pool.
        unsafe { pool.release_all(free) }
    })
}

/// Copies `size` bytes at `host_field` in the shadow of the shared region to the device. Does nothing with shared virtual
/// memory.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_write_shared(
    pool: *const lanepipe_pool_t,
    host_field: *const c_void,
    size: usize,
) -> lanepipe_status_t {
    cold("lanepipe_pool_write_shared", pool, |pool| {
        check(host_field.cast::<u8>())?;
        // SAFETY: the caller's contract.
        unsafe { pool.memory().write_shared(host_field as u64, host_field.cast(), size) }
    })
}

/// Copies `size` bytes of the shared region from the device to its shadow at `host_field`. Does nothing with shared
/// virtual memory.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_read_shared(
    pool: *const lanepipe_pool_t,
    host_field: *mut c_void,
    size: usize,
) -> lanepipe_status_t {
    cold("lanepipe_pool_read_shared", pool, |pool| {
        check(host_field.cast::<u8>())?;
        // SAFETY: the caller's contract.
        unsafe { pool.memory().read_shared(host_field as u64, host_field.cast(), size) }
    })
}

/// Finds out where every tracked buffer is. `LANEPIPE_E_CONSERVATION`, with `*audit` written, if one is in no place or in
/// two. While a profiler runs the counts come from the ledger alone and `errors` is 0; otherwise no other thread may be
/// inside a call on a queue end.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_audit(
    pool: *const lanepipe_pool_t,
    audit: *mut lanepipe_pool_audit_t,
) -> lanepipe_status_t {
    cold("lanepipe_pool_audit", pool, |pool| {
        // SAFETY: the caller's contract.
        unsafe {
            check_sized(audit)?;
            let found = pool.audit();
            *audit = lanepipe_pool_audit_t {
                struct_size: size_of::<lanepipe_pool_audit_t>() as u32,
                reserved: 0,
                total: found.total(),
                device: found.at(Place::Device),
                drain: found.at(Place::Drain),
                ready: found.at(Place::Ready),
                collect: found.at(Place::Collect),
                done: found.at(Place::Done),
                replenish: found.at(Place::Replenish),
                recycled: found.at(Place::Recycled),
                retired: found.at(Place::Retired),
                quarantined: found.at(Place::Quarantined),
                errors: found.errors,
            };
            if found.errors == 0 { Ok(()) } else { Err(Status::LANEPIPE_E_CONSERVATION) }
        }
    })
}
