//! The ready rings.

use super::super::args::{array, check, check_array};
use super::{deadline, hot, lanepipe_buffer_t, lanepipe_pool_t, single};
use crate::event::WaitEnd;
use crate::pool::{Buffer, Looks, Pool};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;

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
    match unsafe { pool.wait_pop_ready(shard, buffers, payloads, max, deadline(timeout_ns), Looks::Many) } {
        Ok(popped) => Ok(popped),
        Err(WaitEnd::TimedOut) => Err(Status::LANEPIPE_TIMED_OUT),
        Err(WaitEnd::Closed) => Err(Status::LANEPIPE_CLOSED),
    }
}

/// # Safety
///
/// `buffers` is null or readable for `count` elements, `payloads` for as many payloads, `pushed` null or writable.
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
    check(pushed)?;
    // SAFETY: forwarded; both structures have one layout.
    let buffers = unsafe { array(buffers.cast::<Buffer>(), count)? };
    pool.check_ready(buffers)?;
    Ok((buffers, payloads.cast()))
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

/// Stores up to `count` elements in the ready ring of `shard` and wakes its consumer. Drain thread of the shard; never
/// blocks. `payloads` holds `count` payloads back to back and may be null if the payload size is 0. `*pushed` is written
/// on `LANEPIPE_OK` and `LANEPIPE_FULL` (fewer than `count` fit). In an untracked pool `dev` of an element may be null.
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
        && unsafe { pool.pop_ready_one(shard, buffers.cast(), payloads.cast(), false) }
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
        && unsafe { pool.pop_ready_one(shard, buffers.cast(), payloads.cast(), true) }
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
