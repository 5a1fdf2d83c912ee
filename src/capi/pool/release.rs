//! Giving device memory back.

use super::{cold, lanepipe_pool_t};
use crate::status::lanepipe_status_t;
use core::ffi::c_void;

/// Releases the allocation at device address `base`.
pub type lanepipe_release_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, base: *mut c_void)>;

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
