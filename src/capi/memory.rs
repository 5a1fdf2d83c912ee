//! Memory callbacks and the shared region.

use super::args::Sized32;
use crate::pool::{MemoryContext, MemoryOps};
use core::ffi::c_void;

/// Allocates `size` bytes of device memory; null when there is none. Runs on the thread that calls an allocating
/// function, on the caller of `lanepipe_profiler_start` and on the replenish thread; never on a drain or collect thread.
pub type lanepipe_alloc_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, size: usize) -> *mut c_void>;

/// Makes `size` bytes at device address `dev` visible to the host and stores their host address. 0 is success. Threads as
/// for `lanepipe_alloc_fn_t`.
pub type lanepipe_register_fn_t = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        dev: *mut c_void,
        size: usize,
        device_id: i32,
        host: *mut *mut c_void,
    ) -> i32,
>;

/// Frees an allocation. The result is ignored. Threads as for `lanepipe_alloc_fn_t`.
pub type lanepipe_free_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, dev: *mut c_void) -> i32>;

/// Copies `size` bytes between device and host memory. 0 is success. Called from several threads at once.
pub type lanepipe_copy_fn_t = Option<
    unsafe extern "C" fn(context: *mut c_void, destination: *mut c_void, source: *const c_void, size: usize) -> i32,
>;

/// How the pool reaches device memory. Copied by the call that takes it; `context` must stay valid until the next such
/// call or the pool's destruction.
///
/// With shared virtual memory both copy callbacks are null and the host address of a buffer is where the device writes.
/// With host shadows both are set and every access to device memory goes through them. With one of them, transfers in its
/// direction copy and those in the other do nothing, for who drives a pool by hand; a profiler does not start then.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_memory_t {
    /// `sizeof(lanepipe_memory_t)`.
    pub struct_size: u32,
    /// Passed to `register_memory`.
    pub device_id: i32,
    /// Passed to every callback of this structure.
    pub context: *mut c_void,
    /// Null: the pool cannot allocate.
    pub alloc: lanepipe_alloc_fn_t,
    /// Null: the host address of an allocation is its device address.
    pub register_memory: lanepipe_register_fn_t,
    /// Null: allocations are never given back by the pool.
    pub free_memory: lanepipe_free_fn_t,
    /// Host to device. Null with shared virtual memory.
    pub copy_to_device: lanepipe_copy_fn_t,
    /// Device to host. Null with shared virtual memory.
    pub copy_from_device: lanepipe_copy_fn_t,
    /// Device address of the shared region that holds queues and free queues.
    pub shm_dev: *mut c_void,
    /// Host address of the shared region (its shadow where copy callbacks are set).
    pub shm_host: *mut c_void,
    /// Bytes in the shared region.
    pub shm_size: usize,
}

impl Sized32 for lanepipe_memory_t {}

// SAFETY: whoever passes the structure vouches that its callbacks may run on the threads they are documented for.
unsafe impl Send for lanepipe_memory_t {}
// SAFETY: as for `Send`.
unsafe impl Sync for lanepipe_memory_t {}

impl lanepipe_memory_t {
    /// The context that the pool works with.
    pub(super) fn context(&self) -> MemoryContext {
        MemoryContext {
            ops: Some(Box::new(*self)),
            device_id: self.device_id,
            shm_dev: self.shm_dev as u64,
            shm_host: self.shm_host as u64,
            shm_size: self.shm_size,
        }
    }
}

impl MemoryOps for lanepipe_memory_t {
    fn alloc(&self, size: usize) -> u64 {
        // SAFETY: the caller of the function that took the structure vouches for callbacks and context; so below.
        self.alloc.map_or(0, |alloc| unsafe { alloc(self.context, size) } as u64)
    }

    fn registers(&self) -> bool {
        self.register_memory.is_some()
    }

    fn register(&self, dev: u64, size: usize, device_id: i32) -> u64 {
        let mut host = core::ptr::null_mut();
        let Some(register) = self.register_memory else { return 0 };
        // SAFETY: as in `alloc`.
        match unsafe { register(self.context, dev as *mut c_void, size, device_id, &raw mut host) } {
            0 => host as u64,
            _ => 0,
        }
    }

    fn free(&self, dev: u64) {
        if let Some(free) = self.free_memory {
            // SAFETY: as in `alloc`.
            unsafe { free(self.context, dev as *mut c_void) };
        }
    }

    fn copies(&self) -> bool {
        self.copies_in() || self.copies_out()
    }

    fn copies_out(&self) -> bool {
        self.copy_to_device.is_some()
    }

    fn copies_in(&self) -> bool {
        self.copy_from_device.is_some()
    }

    unsafe fn copy_to_device(&self, dev: u64, source: *const u8, size: usize) -> bool {
        // SAFETY: as in `alloc`.
        self.copy_to_device
            .is_some_and(|copy| unsafe { copy(self.context, dev as *mut c_void, source.cast(), size) } == 0)
    }

    unsafe fn copy_from_device(&self, destination: *mut u8, dev: u64, size: usize) -> bool {
        // SAFETY: as in `alloc`.
        self.copy_from_device
            .is_some_and(|copy| unsafe { copy(self.context, destination.cast(), dev as *const c_void, size) } == 0)
    }
}
