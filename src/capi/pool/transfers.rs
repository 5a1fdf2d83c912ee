//! Transfers of the shared region.

use super::super::args::check;
use super::{cold, lanepipe_pool_t};
use crate::status::lanepipe_status_t;
use core::ffi::c_void;

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
