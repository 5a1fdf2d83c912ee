//! What stands in front of the slots of a byte ring, and the checks of sizes and addresses.

use super::MAX_CAPACITY;
use super::bytes::{BYTE_RING_ALIGN, MAX_ELEMENT_SIZE};
use super::index::{Bounds, End};
use super::slots::{GUARD, Tracker};
use crate::status::Status;
use crate::sync::atomic::AtomicU32;
use core::ptr::NonNull;

/// First word of an initialised ring: "lpByteR" and the version of the layout.
pub(super) const MAGIC: u64 = 0x6c70_4279_7465_5204;

/// `value` in the first 64 bytes of a line pair. The content of two neighbours is 128 bytes apart, so that it falls on
/// different line pairs wherever 64-byte aligned memory starts.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Line<T> {
    pub value: T,
    pub fill: [u8; 64],
}

impl<T> Line<T> {
    pub const fn new(value: T) -> Self {
        Self { value, fill: [0; 64] }
    }
}

/// Written by `init`, read-only afterwards.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Shape {
    pub magic: u64,
    pub size: u64,
    pub capacity: u32,
    pub element_size: u32,
    pub tracker: Tracker,
}

/// What an end needs to find a slot, on its own line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct EndShape {
    pub bounds: Bounds,
    pub element_size: u32,
}

/// The start of the memory; the slots follow it directly.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Header {
    pub shape: Line<Shape>,
    pub tail: Line<AtomicU32>,
    pub head: Line<AtomicU32>,
    pub producer: End<EndShape>,
    pub consumer: End<EndShape>,
    pub guard: [u8; GUARD],
}

#[cfg(not(all(test, loom)))]
const _: () = {
    assert!(size_of::<Line<AtomicU32>>() == GUARD && size_of::<End<EndShape>>() == GUARD && size_of::<Shape>() <= 64);
    assert!(size_of::<Header>() == 6 * GUARD && core::mem::align_of::<Header>() == BYTE_RING_ALIGN);
};

/// What `capacity` and `element_size` say about a ring, when they are in range.
pub(super) fn check_shape(capacity: u32, element_size: u32) -> Result<(u32, usize), Status> {
    if capacity == 0 || element_size == 0 {
        return Err(Status::LANEPIPE_E_INVALID);
    }
    if capacity as usize > MAX_CAPACITY || element_size as usize > MAX_ELEMENT_SIZE {
        return Err(Status::LANEPIPE_E_TOO_LARGE);
    }
    // The caps keep both of these far from overflow.
    let mask = mask_of(capacity);
    let slots = (mask as usize).wrapping_add(1);
    let Some(bytes) = slots.checked_mul(element_size as usize) else {
        return Err(Status::LANEPIPE_E_TOO_LARGE);
    };
    let Some(bytes) = bytes.checked_next_multiple_of(BYTE_RING_ALIGN) else {
        return Err(Status::LANEPIPE_E_TOO_LARGE);
    };
    match bytes.checked_add(size_of::<Header>() + GUARD) {
        Some(size) => Ok((mask, size)),
        None => Err(Status::LANEPIPE_E_TOO_LARGE),
    }
}

/// The mask of the smallest power of two that is not below `capacity`.
#[inline]
fn mask_of(capacity: u32) -> u32 {
    match capacity.wrapping_sub(1) {
        0 => 0,
        below => u32::MAX >> below.leading_zeros(),
    }
}

pub(super) fn check_address(mem: *mut u8) -> Result<NonNull<Header>, Status> {
    match NonNull::new(mem.cast::<Header>()) {
        None => Err(Status::LANEPIPE_E_NULL),
        Some(header) if !header.is_aligned() => Err(Status::LANEPIPE_E_MISALIGNED),
        Some(header) => Ok(header),
    }
}
