//! Device memory of a collector: the callbacks, shared by the pool and by what lies outside of it, and blocks of its own.

use super::describe::address;
use crate::pool::{MemoryContext, MemoryOps, Problem};
use crate::status::Status;
use std::sync::Arc;

/// Alignment of everything that lies in device memory.
pub(super) const ALIGN: u64 = 64;

/// The callbacks for the pool. What it allocates is zero: where the pool makes shadows it sees to that, else this does, since
/// a slot of a core's buffer that was never written must read as none.
struct Zeroing(Arc<dyn MemoryOps>);

impl MemoryOps for Zeroing {
    fn alloc(&self, size: usize) -> u64 {
        let dev = self.0.alloc(size);
        if dev != 0 && !self.0.registers() && !self.0.copies() {
            zero(dev, size);
        }
        dev
    }
    fn registers(&self) -> bool {
        self.0.registers()
    }
    fn register(&self, dev: u64, size: usize, device_id: i32) -> u64 {
        let host = self.0.register(dev, size, device_id);
        if host == 0 {
            return 0;
        }
        zero(host, size);
        // SAFETY: what the host sees and the device's memory both have this size.
        let written = !self.copies_out() || unsafe { self.copy_to_device(dev, address::<u8>(host, 0), size) };
        if written { host } else { 0 }
    }
    fn free(&self, dev: u64) {
        self.0.free(dev);
    }
    fn copies(&self) -> bool {
        self.0.copies()
    }
    fn copies_out(&self) -> bool {
        self.0.copies_out()
    }
    fn copies_in(&self) -> bool {
        self.0.copies_in()
    }
    unsafe fn copy_to_device(&self, dev: u64, source: *const u8, size: usize) -> bool {
        // SAFETY: forwarded.
        unsafe { self.0.copy_to_device(dev, source, size) }
    }
    unsafe fn copy_from_device(&self, destination: *mut u8, dev: u64, size: usize) -> bool {
        // SAFETY: forwarded.
        unsafe { self.0.copy_from_device(destination, dev, size) }
    }
}

/// Zeroes fresh memory that the host sees at `host`.
fn zero(host: u64, size: usize) {
    // SAFETY: the allocator, or the registration, gave these bytes to the caller just now.
    unsafe { address::<u8>(host, 0).write_bytes(0, size) };
}

/// The pool's view of the memory, with the shared region where there is one already: device address, host address, size.
pub(super) fn context(ops: &Arc<dyn MemoryOps>, device_id: i32, region: (u64, u64, usize)) -> MemoryContext {
    let (shm_dev, shm_host, shm_size) = region;
    MemoryContext { ops: Some(Box::new(Zeroing(ops.clone()))), device_id, shm_dev, shm_host, shm_size }
}

/// Refuses an address that the structures cannot lie at.
fn check_aligned(address: u64) -> Result<(), Problem> {
    if address.is_multiple_of(ALIGN) {
        return Ok(());
    }
    Err(Problem { status: Status::LANEPIPE_E_MISALIGNED, what: "an allocation is not aligned to 64 bytes" })
}

/// A block of device memory outside the pool. Freed when it is dropped.
pub(super) struct Block {
    ops: Arc<dyn MemoryOps>,
    /// Device address.
    pub(super) dev: u64,
    /// Host address of the same bytes; 0 where memory is only reached by copies.
    host: u64,
    size: usize,
}

impl Block {
    /// `size` bytes, more than 0, of any contents.
    pub(super) fn new(ops: &Arc<dyn MemoryOps>, device_id: i32, size: usize) -> Result<Self, Problem> {
        let no_memory = Problem { status: Status::LANEPIPE_E_NO_MEMORY, what: "device memory is short" };
        let dev = ops.alloc(size);
        if dev == 0 {
            return Err(no_memory);
        }
        let mut block = Self { ops: ops.clone(), dev, host: 0, size };
        // Where memory is copied, a registration makes a shadow, which a block has no use for.
        if !ops.copies() {
            block.host = if ops.registers() { ops.register(dev, size, device_id) } else { dev };
            if block.host == 0 {
                let what = "device memory could not be registered";
                return Err(Problem { status: Status::LANEPIPE_E_CALLBACK, what });
            }
        }
        check_aligned(dev)?;
        Ok(block)
    }

    /// Writes all of it, before the device sees it.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Problem> {
        debug_assert!(bytes.len() == self.size);
        if self.host != 0 {
            // SAFETY: the block is `size` bytes long and not shared yet.
            unsafe {
                let to = address::<u8>(self.host, 0);
                to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len().min(self.size));
            }
            return Ok(());
        }
        // SAFETY: as above.
        if unsafe { self.ops.copy_to_device(self.dev, bytes.as_ptr(), bytes.len().min(self.size)) } {
            return Ok(());
        }
        Err(Problem { status: Status::LANEPIPE_E_CALLBACK, what: "memory could not be copied to the device" })
    }

    /// Bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Host address of `size` bytes at `offset`, where the host sees them at all.
    pub(super) fn host_at(&self, offset: usize, size: usize) -> Option<*const u8> {
        self.contains(offset, size).then_some(())?;
        (self.host != 0).then(|| address::<u8>(self.host, offset).cast_const())
    }

    /// Copies `size` bytes at `offset` to the host; false on failure.
    ///
    /// # Safety
    ///
    /// `out` is writable for `size` bytes.
    pub(super) unsafe fn read(&self, offset: usize, out: *mut u8, size: usize) -> bool {
        // SAFETY: inside the block; the landing place by the caller's contract.
        self.contains(offset, size) && unsafe { self.ops.copy_from_device(out, self.dev + offset as u64, size) }
    }

    fn contains(&self, offset: usize, size: usize) -> bool {
        offset.checked_add(size).is_some_and(|end| end <= self.size)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.ops.free(self.dev);
    }
}
