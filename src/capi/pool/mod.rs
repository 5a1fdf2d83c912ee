//! The pool, one file per subject; what they share stands here.

// In the order of the header; an empty line between two keeps rustfmt from sorting them.
mod handle;

mod ready;

mod lanes;

mod blocks;

mod transfers;

mod release;

mod audit;

use super::args::{array, check, check_array, object};
use super::guard::{Poison, report, status_of};
use crate::event::{Deadline, now};
use crate::pool::{self, Buffer, Pool};
use crate::status::Status;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::slice;
use std::sync::Arc;

/// Most shards a pool can have.
pub const LANEPIPE_MAX_SHARDS: u32 = 64;
/// Most buffer kinds a pool can have.
pub const LANEPIPE_MAX_KINDS: u32 = 64;
/// Largest payload of a ready element in bytes.
pub const LANEPIPE_MAX_PAYLOAD: u32 = 1024;
/// Largest ring capacity.
pub const LANEPIPE_MAX_RING_CAPACITY: u32 = 1 << 20;
/// As a shard argument: all live shards, or dealt round robin.
pub const LANEPIPE_ALL_SHARDS: u32 = u32::MAX;
/// As a time limit: none.
pub const LANEPIPE_FOREVER: u64 = u64::MAX;

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

/// [`cold`] for a call that answers a question: `body` gives the answer as a status, which is no failure whatever its sign
/// and leaves no line.
fn ask(call: &str, pool: *const lanepipe_pool_t, body: impl FnOnce(&Pool) -> Result<Status, Status>) -> Status {
    let mut answer = Status::LANEPIPE_OK;
    let status = cold(call, pool, |pool| {
        answer = body(pool)?;
        Ok(())
    });
    if status == Status::LANEPIPE_OK { answer } else { status }
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
