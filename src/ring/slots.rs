//! Element memory: fallible storage with guard lines, and the tracker through which models see slot accesses.

#[cfg(all(test, loom))]
use crate::sync::atomic::UnsafeCell;

/// Bytes between slots and foreign data: one line pair, so that adjacent-line prefetch of a neighbour never pulls a slot.
pub(super) const GUARD: usize = 128;

/// Tells a loom model which slots an end touches; nothing in production. Slot memory itself stays plain, so models and
/// production run the same copies.
#[derive(Debug)]
pub(super) struct Tracker {
    #[cfg(all(test, loom))]
    cells: Vec<UnsafeCell<()>>,
}

impl Tracker {
    /// A tracker of `slots` slots.
    #[inline(always)]
    pub fn new(slots: usize) -> Self {
        #[cfg(not(all(test, loom)))]
        let _ = slots;
        Self {
            #[cfg(all(test, loom))]
            cells: (0..slots).map(|_| UnsafeCell::new(())).collect(),
        }
    }

    /// `count` slots from `slot` are about to be written.
    #[inline(always)]
    pub fn write(&self, slot: usize, count: usize) {
        #[cfg(not(all(test, loom)))]
        let _ = (slot, count);
        #[cfg(all(test, loom))]
        self.cells[slot..slot + count].iter().for_each(|cell| cell.with_mut(|_| ()));
    }

    /// `count` slots from `slot` are about to be read.
    #[inline(always)]
    pub fn read(&self, slot: usize, count: usize) {
        #[cfg(not(all(test, loom)))]
        let _ = (slot, count);
        #[cfg(all(test, loom))]
        self.cells[slot..slot + count].iter().for_each(|cell| cell.with(|_| ()));
    }
}

#[cfg(feature = "std")]
pub(super) use owned::Storage;

#[cfg(feature = "std")]
mod owned {
    use super::GUARD;
    use crate::status::Status;
    use core::ptr::NonNull;
    use std::alloc::{Layout, alloc, dealloc};

    /// Uninitialised memory of an owned ring, line-aligned, with a guard before and after.
    #[derive(Debug)]
    pub(in crate::ring) struct Storage {
        base: NonNull<u8>,
        layout: Layout,
        guard: usize,
    }

    impl Storage {
        /// Memory for `content`. Never aborts: `LANEPIPE_E_TOO_LARGE` when the size overflows, `LANEPIPE_E_NO_MEMORY`
        /// when the allocator refuses.
        pub fn new(content: Layout) -> Result<Self, Status> {
            let align = content.align().max(GUARD);
            let size = content.size().checked_add(2 * align).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
            let layout = Layout::from_size_align(size, align).map_err(|_| Status::LANEPIPE_E_TOO_LARGE)?;
            // SAFETY: the layout holds two guards and so is not empty.
            let base = unsafe { alloc(layout) };
            let base = NonNull::new(base).ok_or(Status::LANEPIPE_E_NO_MEMORY)?;
            Ok(Self { base, layout, guard: align })
        }

        /// Start of the content.
        pub fn content(&self) -> *mut u8 {
            // SAFETY: the allocation starts with a guard of this size.
            unsafe { self.base.as_ptr().add(self.guard) }
        }
    }

    impl Drop for Storage {
        fn drop(&mut self) {
            // SAFETY: `new` allocated this memory with this layout.
            unsafe { dealloc(self.base.as_ptr(), self.layout) }
        }
    }

    // SAFETY: plain memory that the ring around it hands out by role.
    unsafe impl Send for Storage {}
    // SAFETY: as for `Send`; the storage itself is only read after construction.
    unsafe impl Sync for Storage {}
}
