//! The byte ring that owns its memory.

use super::byte_header::check_shape;
use super::bytes::ByteRing;
use super::slots::{GUARD, Storage};
use crate::status::Status;
use std::alloc::Layout;

/// A [`ByteRing`] with memory of its own.
#[derive(Debug)]
pub struct OwnedByteRing {
    ring: ByteRing,
    // Owns the memory behind `ring`.
    _storage: Storage,
}

impl OwnedByteRing {
    /// An empty ring of `capacity` elements of `element_size` bytes.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_INVALID` and `LANEPIPE_E_TOO_LARGE` as for [`ByteRing::init`]; `LANEPIPE_E_NO_MEMORY`: the allocator
    /// refused.
    pub fn new(capacity: u32, element_size: u32) -> Result<Self, Status> {
        let (_, size) = check_shape(capacity, element_size)?;
        let layout = Layout::from_size_align(size, GUARD).map_err(|_| Status::LANEPIPE_E_TOO_LARGE)?;
        let storage = Storage::new(layout)?;
        // SAFETY: the storage is fresh, nobody else's, private, and `size` bytes long.
        let ring = unsafe { ByteRing::init_private(storage.content(), size, capacity, element_size) }?;
        Ok(Self { ring, _storage: storage })
    }
}

impl core::ops::Deref for OwnedByteRing {
    type Target = ByteRing;

    #[inline(always)]
    fn deref(&self) -> &ByteRing {
        &self.ring
    }
}
