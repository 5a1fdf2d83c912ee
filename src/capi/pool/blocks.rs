//! Device memory and what is known of addresses.

use super::super::args::{array, check, check_array};
use super::{LANEPIPE_ALL_SHARDS, cold, hot, lanepipe_pool_t, write};
use crate::status::lanepipe_status_t;
use core::ffi::c_void;

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

/// Makes memory known that the caller allocated and registered himself, as `lanepipe_pool_allocate_block` does with its
/// own: `dev`, and the `size` bytes from there on (0: the address alone). What was known of an earlier allocation at `dev`
/// is forgotten, a claim included. `host` may be null: the address counts as known and resolves to null. Any thread, also
/// while a profiler runs; takes the lock of the writers, which readers never wait for.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_map_block(
    pool: *const lanepipe_pool_t,
    dev: *mut c_void,
    host: *mut c_void,
    size: usize,
) -> lanepipe_status_t {
    cold("lanepipe_pool_map_block", pool, |pool| {
        check(dev.cast::<u8>())?;
        pool.map_block(dev as u64, host as u64, size)
    })
}

/// Makes a buffer that the caller allocated known to the pool, as being at the device. `id` may be null. An earlier mapping
/// of the address is overwritten; the buffer keeps its identity. In an untracked pool `*id` becomes 0, and any `dev` will
/// do, null too. Any thread, also while a profiler runs; takes the lock of the writers, which readers never wait for.
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
        let dev = unsafe { array(dev.cast::<u64>(), count)? };
        pool.resolve_each(dev, |index, found| {
            let answer = lanepipe_resolved_t {
                host: found.map_or(0, |found| found.host) as *mut c_void,
                id: found.map_or(0, |found| found.id),
                known: u32::from(found.is_some()),
            };
            // SAFETY: the caller vouches for `count` elements.
            unsafe { resolved.add(index).write(answer) };
        });
        Ok(())
    })
}
