//! Grow-only store of records with stable addresses.

use super::MAX_MAPPINGS;
use crate::status::Status;
use crate::sync::atomic::{AtomicPtr, Ordering};
use core::ptr;
use std::alloc::Layout;

/// Chunk k holds 2^(first + k) records, so this many hold `MAX_MAPPINGS` even if the first holds one.
const CHUNKS: usize = MAX_MAPPINGS.ilog2() as usize + 1;

/// Records by index, in chunks that double and never move.
pub(super) struct Store<T> {
    chunks: [AtomicPtr<T>; CHUNKS],
    first_bits: u32,
}

/// The writer's side: guarded by the map's mutex.
pub(super) struct StoreWriter {
    pub(super) len: usize,
}

impl<T> Store<T> {
    pub(super) fn new(first_bits: u32) -> (Self, StoreWriter) {
        let chunks = core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        (Self { chunks, first_bits }, StoreWriter { len: 0 })
    }

    /// Chunk of a record and its place there.
    #[inline(always)]
    fn locate(&self, index: usize) -> (usize, usize) {
        let shifted = index + (1 << self.first_bits);
        let bits = shifted.ilog2();
        ((bits - self.first_bits) as usize, shifted - (1 << bits))
    }

    fn layout(&self, chunk: usize) -> Option<Layout> {
        Layout::array::<T>(1 << (self.first_bits as usize + chunk)).ok()
    }

    /// The record at `index`; null if its chunk does not exist.
    #[inline(always)]
    pub(super) fn get(&self, index: u32) -> *mut T {
        let (chunk, place) = self.locate(index as usize);
        // Relaxed: the edge that published the record, or a newer one that leads here, published the chunk.
        match self.chunks.get(chunk).map(|chunk| chunk.load(Ordering::Relaxed)) {
            // SAFETY: `locate` gives a place inside the chunk.
            Some(records) if !records.is_null() => unsafe { records.add(place) },
            _ => ptr::null_mut(),
        }
    }

    /// Makes sure that the next `push` finds room.
    pub(super) fn reserve(&self, writer: &StoreWriter) -> Result<(), Status> {
        if writer.len >= MAX_MAPPINGS {
            return Err(Status::LANEPIPE_E_TOO_LARGE);
        }
        let (chunk, _) = self.locate(writer.len);
        let pointer = self.chunks.get(chunk).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        // Relaxed: the writer follows the store through the mutex.
        if !pointer.load(Ordering::Relaxed).is_null() {
            return Ok(());
        }
        let layout = self.layout(chunk).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        // SAFETY: records are not zero-sized, and a chunk has at least one.
        let records = unsafe { std::alloc::alloc(layout) }.cast::<T>();
        if records.is_null() {
            return Err(Status::LANEPIPE_E_NO_MEMORY);
        }
        // Relaxed: published together with the first record of the chunk.
        pointer.store(records, Ordering::Relaxed);
        Ok(())
    }

    /// Index of the next record.
    pub(super) fn next_index(&self, writer: &StoreWriter) -> u32 {
        writer.len as u32
    }

    /// Adds a record; `reserve` has made room for it.
    pub(super) fn push(&self, writer: &mut StoreWriter, record: T) -> *mut T {
        let place = self.get(writer.len as u32);
        assert!(!place.is_null(), "room was reserved");
        // SAFETY: the chunk exists, and nobody has a pointer to records from `len` on.
        unsafe { place.write(record) };
        writer.len += 1;
        place
    }

    /// Bytes of all chunks.
    pub(super) fn memory(&self) -> usize {
        // Relaxed: the writer follows the stores through the mutex.
        let exists = |chunk: &usize| !self.chunks[*chunk].load(Ordering::Relaxed).is_null();
        (0..CHUNKS).filter(exists).filter_map(|chunk| Some(self.layout(chunk)?.size())).sum()
    }

    /// Frees all records.
    ///
    /// # Safety
    ///
    /// Exclusive access, and no pointer to a record is used again.
    pub(super) unsafe fn clear(&self, writer: &mut StoreWriter) {
        for index in 0..writer.len {
            // SAFETY: records below `len` are initialised; the caller gives them up.
            unsafe { ptr::drop_in_place(self.get(index as u32)) };
        }
        writer.len = 0;
        for (chunk, pointer) in self.chunks.iter().enumerate() {
            // Relaxed, both: exclusive access.
            let records = pointer.load(Ordering::Relaxed);
            if let (false, Some(layout)) = (records.is_null(), self.layout(chunk)) {
                // SAFETY: allocated with this layout, and forgotten in the next statement.
                unsafe { std::alloc::dealloc(records.cast(), layout) };
            }
            pointer.store(ptr::null_mut(), Ordering::Relaxed);
        }
    }
}
