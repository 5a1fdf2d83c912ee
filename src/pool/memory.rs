//! How the host reaches device memory.

use crate::status::Status;
use core::fmt;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// Callbacks of the embedding program. Copies run on several threads at once; the others on the owner's and the replenish
/// thread.
pub trait MemoryOps: Send + Sync {
    /// Allocates device memory; 0 if there is none.
    fn alloc(&self, size: usize) -> u64;
    /// Whether [`MemoryOps::register`] does something; if not, the host address is the device address or a shadow.
    fn registers(&self) -> bool;
    /// Makes device memory visible to the host; the host address, or 0 on failure.
    fn register(&self, dev: u64, size: usize, device_id: i32) -> u64;
    /// Frees an allocation.
    fn free(&self, dev: u64);
    /// Whether device memory is only reached by copies.
    fn copies(&self) -> bool;
    /// Whether [`MemoryOps::copy_to_device`] does something. An embedding program that drives a pool by hand may install
    /// one direction only.
    fn copies_out(&self) -> bool {
        self.copies()
    }
    /// Whether [`MemoryOps::copy_from_device`] does something.
    fn copies_in(&self) -> bool {
        self.copies()
    }
    /// Host to device; false on failure.
    ///
    /// # Safety
    ///
    /// `source` is readable for `size` bytes; `dev` is device memory of that size.
    unsafe fn copy_to_device(&self, dev: u64, source: *const u8, size: usize) -> bool;
    /// Device to host; false on failure.
    ///
    /// # Safety
    ///
    /// `destination` is writable for `size` bytes; `dev` is device memory of that size.
    unsafe fn copy_from_device(&self, destination: *mut u8, dev: u64, size: usize) -> bool;
}

/// Callbacks and the shared region.
pub struct MemoryContext {
    /// The callbacks; without any, memory is shared and the pool cannot allocate.
    pub ops: Option<Box<dyn MemoryOps>>,
    /// Passed to `register`.
    pub device_id: i32,
    /// Device address of the shared region.
    pub shm_dev: u64,
    /// Host address of the shared region.
    pub shm_host: u64,
    /// Its size in bytes.
    pub shm_size: usize,
}

impl Default for MemoryContext {
    fn default() -> Self {
        Self { ops: None, device_id: -1, shm_dev: 0, shm_host: 0, shm_size: 0 }
    }
}

impl MemoryContext {
    /// Whether device memory is only reached by copies.
    pub fn copies(&self) -> bool {
        self.ops.as_ref().is_some_and(|ops| ops.copies())
    }

    /// Whether the host's words reach the device by copies. Without a shared region there is nothing to copy: the host's words
    /// are all; likewise below.
    pub fn copies_out(&self) -> bool {
        self.has_region() && self.ops.as_ref().is_some_and(|ops| ops.copies_out())
    }

    /// Whether the device's words reach the host by copies.
    pub fn copies_in(&self) -> bool {
        self.has_region() && self.ops.as_ref().is_some_and(|ops| ops.copies_in())
    }

    /// Device address of `size` bytes at host address `host` inside the shared region.
    pub fn device_address(&self, host: u64, size: usize) -> Option<u64> {
        let offset = host.checked_sub(self.shm_host)?;
        let end = offset.checked_add(size as u64)?;
        (end <= self.shm_size as u64).then(|| self.shm_dev.wrapping_add(offset))
    }

    fn has_region(&self) -> bool {
        self.shm_dev != 0 && self.shm_host != 0 && self.shm_size != 0
    }

    fn transfer(&self, copies: bool, host: u64, size: usize) -> Result<Option<(&dyn MemoryOps, u64)>, Status> {
        match &self.ops {
            Some(ops) if copies => {
                let dev = self.device_address(host, size).ok_or(Status::LANEPIPE_E_INVALID)?;
                Ok(Some((ops.as_ref(), dev)))
            }
            _ => Ok(None),
        }
    }

    /// Copies `size` bytes from `source` to the part of the shared region that the host sees at `host_field`; nothing to
    /// do where memory is shared.
    ///
    /// # Safety
    ///
    /// `source` is readable for `size` bytes.
    pub unsafe fn write_shared(&self, host_field: u64, source: *const u8, size: usize) -> Result<(), Status> {
        match self.transfer(self.copies_out(), host_field, size)? {
            // SAFETY: forwarded; the device range lies in the shared region.
            Some((ops, dev)) => unsafe { ops.copy_to_device(dev, source, size) },
            None => true,
        }
        .then_some(())
        .ok_or(Status::LANEPIPE_E_CALLBACK)
    }

    /// Copies `size` bytes of the shared region that the shadow holds at `host_field` from the device to `destination`;
    /// nothing to do where memory is shared.
    ///
    /// # Safety
    ///
    /// `destination` is writable for `size` bytes.
    pub unsafe fn read_shared(&self, host_field: u64, destination: *mut u8, size: usize) -> Result<(), Status> {
        match self.transfer(self.copies_in(), host_field, size)? {
            // SAFETY: forwarded; the device range lies in the shared region.
            Some((ops, dev)) => unsafe { ops.copy_from_device(destination, dev, size) },
            None => true,
        }
        .then_some(())
        .ok_or(Status::LANEPIPE_E_CALLBACK)
    }

    /// Brings `size` bytes of a buffer's contents to its host address; nothing to do where memory is shared.
    ///
    /// # Safety
    ///
    /// `host` is writable for `size` bytes.
    pub unsafe fn pull(&self, host: *mut u8, dev: u64, size: usize) -> Result<(), Status> {
        match &self.ops {
            // SAFETY: forwarded.
            Some(ops) if ops.copies_in() && size != 0 => unsafe { ops.copy_from_device(host, dev, size) },
            _ => true,
        }
        .then_some(())
        .ok_or(Status::LANEPIPE_E_CALLBACK)
    }
}

impl fmt::Debug for MemoryContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryContext")
            .field("device_id", &self.device_id)
            .field("shm_dev", &self.shm_dev)
            .field("shm_host", &self.shm_host)
            .field("shm_size", &self.shm_size)
            .finish_non_exhaustive()
    }
}

/// Zeroed host memory that stands for device memory.
pub(super) struct Shadow {
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is owned and not bound to a thread.
unsafe impl Send for Shadow {}

impl Shadow {
    pub(super) fn new(size: usize) -> Result<Self, Status> {
        let layout = Layout::from_size_align(size.max(1), 64).map_err(|_| Status::LANEPIPE_E_TOO_LARGE)?;
        // SAFETY: the layout's size is not zero.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Status::LANEPIPE_E_NO_MEMORY)?;
        Ok(Self { memory, layout })
    }

    pub(super) fn address(&self) -> *mut u8 {
        self.memory.as_ptr()
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}
