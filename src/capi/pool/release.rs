//! Giving device memory back.

use super::super::args::check;
use super::{ask, cold, lanepipe_pool_t, write};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;

/// Releases the allocation at device address `base`.
pub type lanepipe_release_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, base: *mut c_void)>;

/// The base of the allocation that `dev` belongs to: of the block that contains it, or itself if it was registered alone.
/// `LANEPIPE_E_UNKNOWN_POINTER` if the pool knows no such address; that is an answer and leaves no line. Lock-free, any
/// thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_get_base(
    pool: *const lanepipe_pool_t,
    dev: *const c_void,
    base: *mut *mut c_void,
) -> lanepipe_status_t {
    ask("lanepipe_pool_get_base", pool, |pool| {
        check(base)?;
        let Some(found) = pool.base_of(dev as u64) else {
            return Ok(Status::LANEPIPE_E_UNKNOWN_POINTER);
        };
        // SAFETY: the caller's contract.
        unsafe { write(base, found as *mut c_void)? };
        Ok(Status::LANEPIPE_OK)
    })
}

/// Claims the allocation that `dev` belongs to for release: of all who try, with whatever address inside it, one gets
/// `LANEPIPE_OK`, the others `LANEPIPE_E_DUPLICATE`. `*base` is written in both cases. The claim stays until the address is
/// allocated anew or mapped by `lanepipe_pool_map_block`, or all mappings are forgotten.
/// `LANEPIPE_E_UNKNOWN_POINTER` if the pool knows no such address. Both refusals are answers and leave no line. Any thread;
/// takes a lock.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_claim(
    pool: *const lanepipe_pool_t,
    dev: *const c_void,
    base: *mut *mut c_void,
) -> lanepipe_status_t {
    ask("lanepipe_pool_claim", pool, |pool| {
        check(base)?;
        let (found, first) = match pool.claim_base(dev as u64) {
            Err(Status::LANEPIPE_E_UNKNOWN_POINTER) => return Ok(Status::LANEPIPE_E_UNKNOWN_POINTER),
            claimed => claimed?,
        };
        // SAFETY: the caller's contract.
        unsafe { write(base, found as *mut c_void)? };
        Ok(if first { Status::LANEPIPE_OK } else { Status::LANEPIPE_E_DUPLICATE })
    })
}

/// Hands host memory from `malloc` over to the pool, which frees it once: with the allocation whose host address it is
/// (`lanepipe_pool_free`), or in `lanepipe_pool_clear_mappings` or `lanepipe_pool_release_all`; `lanepipe_pool_destroy`
/// leaves it alone. The same memory again changes nothing. Any thread; takes a lock.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_adopt_shadow(
    pool: *const lanepipe_pool_t,
    host: *mut c_void,
) -> lanepipe_status_t {
    cold("lanepipe_pool_adopt_shadow", pool, |pool| {
        check(host.cast::<u8>())?;
        // SAFETY: the caller's contract.
        unsafe { pool.adopt_shadow(host as u64) }
    })
}

/// Claims the allocation that `dev` belongs to, forgets what is mapped at its base, calls `free_memory` of the memory
/// context, if set, with the base, and frees its shadow. Addresses registered inside it stay known.
/// `LANEPIPE_E_DUPLICATE`, and nothing done, if it was claimed before; `LANEPIPE_E_UNKNOWN_POINTER` if the pool knows no
/// such address. Both are answers and leave no line. Afterwards the address may be allocated or registered again. Any
/// thread, also while a profiler runs; nobody uses the allocation.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_free(pool: *const lanepipe_pool_t, dev: *mut c_void) -> lanepipe_status_t {
    ask("lanepipe_pool_free", pool, |pool| match pool.free(dev as u64) {
        Ok(true) => Ok(Status::LANEPIPE_OK),
        Ok(false) => Ok(Status::LANEPIPE_E_DUPLICATE),
        Err(Status::LANEPIPE_E_UNKNOWN_POINTER) => Ok(Status::LANEPIPE_E_UNKNOWN_POINTER),
        Err(status) => Err(status),
    })
}

/// Empties all queues of all configured shards and calls `release` once with the base of each distinct allocation that a
/// buffer in one of them belongs to, or with its own address if the pool does not know it. In the order in which they are
/// met: lanes by shard and kind, oldest first; parked buffers by shard and kind, newest first; done rings; ready rings.
/// Mappings, claims and shadows stay. `release` may be null; it runs with no lock held and may call
/// `lanepipe_pool_get_base`, `lanepipe_pool_claim` and `lanepipe_pool_resolve`. Only while no other thread uses the pool.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_release_queued(
    pool: *mut lanepipe_pool_t,
    release: lanepipe_release_fn_t,
    context: *mut c_void,
) -> lanepipe_status_t {
    cold("lanepipe_pool_release_queued", pool, |pool| {
        // SAFETY: the caller's contract: no other thread uses the pool.
        unsafe { pool.release_queued(|base| release_with(release, context, base)) }
    })
}

/// Empties all queues, calls `release` once for each distinct allocation that the pool knows, in ascending order and
/// whatever was claimed, then frees all shadows and forgets all mappings. `release` as for
/// `lanepipe_pool_release_queued`. Only while no other thread uses the pool.
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
        // SAFETY: the caller's contract: no other thread uses the pool.
        unsafe { pool.release_all(|base| release_with(release, context, base)) }
    })
}

/// # Safety
///
/// Function and context are as `lanepipe_pool_release_queued` wants them.
unsafe fn release_with(release: lanepipe_release_fn_t, context: *mut c_void, base: u64) {
    if let Some(release) = release {
        // SAFETY: forwarded.
        unsafe { release(context, base as *mut c_void) };
    }
}

/// Frees all shadows and forgets mappings, claims and identities; for device memory that is freed already. Calls nothing.
/// `LANEPIPE_E_STATE` if a queue of a tracked pool holds a buffer. Only while no other thread uses the pool.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_clear_mappings(pool: *mut lanepipe_pool_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract: no other thread uses the pool.
    cold("lanepipe_pool_clear_mappings", pool, |pool| unsafe { pool.clear_mappings() })
}
