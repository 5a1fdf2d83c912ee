//! The ring of elements whose size is known at run time, in memory of the caller.

use super::MAX_CAPACITY;
use super::byte_header::{EndShape, Header, Line, MAGIC, Shape, check_address, check_shape};
use super::copy::copy;
use super::index::{Bounds, End, Near, length};
use super::mark::{EndGuard, Mark};
use super::slots::{GUARD, Tracker};
use crate::status::Status;
use crate::sync::atomic::AtomicU32;
use core::ptr::NonNull;

/// Alignment that a [`ByteRing`] requires of its memory, in bytes.
pub const BYTE_RING_ALIGN: usize = 64;

/// Largest element of a [`ByteRing`], in bytes.
pub const MAX_ELEMENT_SIZE: usize = 4096;

/// Two contiguous runs of elements; the second one follows the first in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRuns {
    /// First element of the first run.
    pub first: *mut u8,
    /// Elements in the first run.
    pub first_count: usize,
    /// First element of the second run.
    pub second: *mut u8,
    /// Elements in the second run, often 0.
    pub second_count: usize,
}

impl ByteRuns {
    /// Elements in both runs.
    #[inline]
    pub fn count(&self) -> usize {
        self.first_count.wrapping_add(self.second_count)
    }
}

/// A handle of a ring that lies in memory of the caller: header, slots, guard line. Copies are the same ring.
///
/// The memory belongs to the caller, who keeps it readable, writable and otherwise untouched as long as a handle is
/// used. Roles are as for [`Ring`](super::Ring): one producer and one consumer at a time, handed over only with
/// synchronisation. No method blocks, allocates or panics.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct ByteRing {
    header: NonNull<Header>,
}

// SAFETY: a handle is an address; every access to shared state behind it is atomic or belongs to one role, and the
// unsafe methods require that each role has one owner.
unsafe impl Send for ByteRing {}
// SAFETY: as for `Send`; the safe methods only load atomics and what never changes.
unsafe impl Sync for ByteRing {}

/// A count as a number of indices. More than that is more than any ring holds.
#[inline(always)]
fn cap(count: usize) -> u32 {
    count.min(MAX_CAPACITY) as u32
}

impl ByteRing {
    /// Bytes of memory that a ring of `capacity` elements of `element_size` bytes takes; `None` when either is 0 or
    /// above its cap ([`MAX_CAPACITY`](super::MAX_CAPACITY), [`MAX_ELEMENT_SIZE`]).
    pub fn required_size(capacity: u32, element_size: u32) -> Option<usize> {
        check_shape(capacity, element_size).ok().map(|(_, size)| size)
    }

    /// Makes an empty ring in the `len` bytes at `mem`, whatever they hold. Attaching elsewhere must be ordered after
    /// this by means of the caller.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_NULL`: `mem` is null. `LANEPIPE_E_MISALIGNED`: it is not aligned to [`BYTE_RING_ALIGN`].
    /// `LANEPIPE_E_INVALID`: a count is 0, or `len` is below [`ByteRing::required_size`]. `LANEPIPE_E_TOO_LARGE`: a
    /// count is above its cap.
    ///
    /// # Safety
    ///
    /// The `len` bytes at `mem` are the caller's to write, and nobody else accesses them during the call.
    pub unsafe fn init(mem: *mut u8, len: usize, capacity: u32, element_size: u32) -> Result<Self, Status> {
        // SAFETY: as promised to this function.
        unsafe { Self::init_at(mem, len, capacity, element_size, 0, Mark::new) }
    }

    /// As [`ByteRing::init`], in memory that no other process maps: checked calls are cheaper. The first such ring of a
    /// process with several threads takes some milliseconds.
    ///
    /// # Errors
    ///
    /// As for [`ByteRing::init`].
    ///
    /// # Safety
    ///
    /// As for [`ByteRing::init`], and the memory is private to the process.
    #[cfg(feature = "std")]
    pub unsafe fn init_private(mem: *mut u8, len: usize, capacity: u32, element_size: u32) -> Result<Self, Status> {
        // SAFETY: as promised to this function.
        unsafe { Self::init_at(mem, len, capacity, element_size, 0, Mark::private) }
    }

    /// As [`ByteRing::init`], with both indices at `start` and marks by `mark`.
    ///
    /// # Safety
    ///
    /// As for [`ByteRing::init`].
    pub(super) unsafe fn init_at(
        mem: *mut u8,
        len: usize,
        capacity: u32,
        element_size: u32,
        start: u32,
        mark: fn() -> Mark,
    ) -> Result<Self, Status> {
        let header = check_address(mem)?;
        let (mask, size) = check_shape(capacity, element_size)?;
        if len < size {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        let ends = EndShape { bounds: Bounds { limit: capacity, mask }, element_size };
        let tracker = Tracker::new((mask as usize).wrapping_add(1));
        let value = Header {
            shape: Line::new(Shape { magic: MAGIC, size: size as u64, capacity, element_size, tracker }),
            tail: Line::new(AtomicU32::new(start)),
            head: Line::new(AtomicU32::new(start)),
            producer: End::new(start, ends, mark()),
            consumer: End::new(start, ends, mark()),
            guard: [0; GUARD],
        };
        // SAFETY: the memory is the caller's, aligned and large enough, and nobody else accesses it.
        unsafe { header.write(value) };
        Ok(Self { header })
    }

    /// The ring that [`ByteRing::init`] made at `mem`. Stateless: attaching has no effect on the ring, and a handle
    /// needs no release.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_NULL` and `LANEPIPE_E_MISALIGNED` as for `init`. `LANEPIPE_E_CORRUPT`: there is no consistent ring.
    ///
    /// # Safety
    ///
    /// `mem` is null, or the bytes of a header there, 768, are readable; if they hold a consistent ring, the caller owns all of its
    /// memory. No `init` of the same memory runs.
    pub unsafe fn attach(mem: *mut u8) -> Result<Self, Status> {
        let ring = Self { header: check_address(mem)? };
        let header = ring.header();
        let shape = &header.shape.value;
        if shape.magic != MAGIC {
            return Err(Status::LANEPIPE_E_CORRUPT);
        }
        let Ok((mask, size)) = check_shape(shape.capacity, shape.element_size) else {
            return Err(Status::LANEPIPE_E_CORRUPT);
        };
        let bounds = Bounds { limit: shape.capacity, mask };
        let ends = EndShape { bounds, element_size: shape.element_size };
        let consistent = shape.size == size as u64 && header.producer.shape == ends && header.consumer.shape == ends;
        if consistent { Ok(ring) } else { Err(Status::LANEPIPE_E_CORRUPT) }
    }

    /// As [`ByteRing::attach`], for memory whose length is known.
    ///
    /// # Errors
    ///
    /// As for `attach`, and `LANEPIPE_E_INVALID` when `len` is below the size of the ring there.
    ///
    /// # Safety
    ///
    /// The `len` bytes at `mem` are readable and the caller's, or `mem` is null. No `init` of the same memory runs.
    pub unsafe fn attach_within(mem: *mut u8, len: usize) -> Result<Self, Status> {
        check_address(mem)?;
        if len < size_of::<Header>() {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        // SAFETY: the header lies within the caller's memory; a ring that does not is not handed out below.
        let ring = unsafe { Self::attach(mem) }?;
        if ring.header().shape.value.size > len as u64 { Err(Status::LANEPIPE_E_INVALID) } else { Ok(ring) }
    }

    /// The ring at an address that [`ByteRing::as_ptr`] gave.
    ///
    /// # Safety
    ///
    /// There is a ring at `mem`, initialised and still there.
    #[inline(always)]
    pub const unsafe fn at(mem: NonNull<u8>) -> Self {
        Self { header: mem.cast() }
    }

    /// The start of the ring's memory.
    #[inline(always)]
    pub const fn as_ptr(&self) -> *mut u8 {
        self.header.as_ptr().cast()
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: a handle is only made over an aligned header in memory that outlives it; everything in the header is
        // atomic, in a cell of one role, or never written again.
        unsafe { self.header.as_ref() }
    }

    #[inline(always)]
    fn slots(&self) -> *mut u8 {
        // SAFETY: the slots follow the header in the same memory.
        unsafe { self.header.as_ptr().add(1).cast() }
    }

    /// Elements the ring can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.header().shape.value.capacity as usize
    }

    /// Bytes in an element.
    #[inline]
    pub fn element_size(&self) -> usize {
        self.header().shape.value.element_size as usize
    }

    /// Elements stored, as [`Ring::len`](super::Ring::len).
    #[inline(always)]
    pub fn len(&self) -> usize {
        let header = self.header();
        length(&header.tail.value, &header.head.value, header.shape.value.capacity) as usize
    }

    /// Whether [`ByteRing::len`] is 0.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Marks the producer end as in use; `None` when another checked call is inside it.
    #[inline]
    pub fn enter_producer(&self) -> Option<EndGuard<'_>> {
        self.header().producer.mark.enter()
    }

    /// Marks the consumer end as in use; `None` when another checked call is inside it.
    #[inline]
    pub fn enter_consumer(&self) -> Option<EndGuard<'_>> {
        self.header().consumer.mark.enter()
    }

    /// Stores as many of the `count` elements at `src` as fit, in order, with one index change; returns how many.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone. `src` is readable for `count` elements and not in the ring's memory.
    #[inline]
    pub unsafe fn push_n(&self, src: *const u8, count: usize) -> usize {
        let header = self.header();
        let EndShape { bounds, element_size } = header.producer.shape;
        let size = element_size as usize;
        let store = |near: &mut Near| {
            let run = near.claim(&header.head.value, bounds.limit, cap(count));
            if run.count == 0 {
                return 0;
            }
            let (slot, first, second) = run.split(bounds.mask);
            self.track_write(slot, first, second);
            // SAFETY: the claimed slots are the producer's and the first run ends with the storage at the latest.
            unsafe { copy(src, self.slots().add(slot.wrapping_mul(size)), first.wrapping_mul(size)) };
            if second != 0 {
                // SAFETY: as above; the second run starts the storage.
                unsafe { copy(src.add(first.wrapping_mul(size)), self.slots(), second.wrapping_mul(size)) };
            }
            near.publish(&header.tail.value, run.start.wrapping_add(run.count));
            run.count as usize
        };
        // SAFETY: the caller plays the producer.
        unsafe { header.producer.near(store) }
    }

    /// Takes up to `max` elements, oldest first, into the memory at `dst`, with one index change; returns how many.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone. `dst` is writable for `max` elements and not in the ring's memory.
    #[inline]
    pub unsafe fn pop_n(&self, dst: *mut u8, max: usize) -> usize {
        let header = self.header();
        let EndShape { bounds, element_size } = header.consumer.shape;
        let size = element_size as usize;
        let take = |near: &mut Near| {
            let run = near.front(&header.tail.value, bounds.limit, cap(max));
            if run.count == 0 {
                return 0;
            }
            let (slot, first, second) = run.split(bounds.mask);
            self.track_read(slot, first, second);
            // SAFETY: the slots hold elements of the consumer's and the first run ends with the storage at the latest.
            unsafe { copy(self.slots().add(slot.wrapping_mul(size)), dst, first.wrapping_mul(size)) };
            if second != 0 {
                // SAFETY: as above; the second run starts the storage.
                unsafe { copy(self.slots(), dst.add(first.wrapping_mul(size)), second.wrapping_mul(size)) };
            }
            near.release(&header.head.value, run.start.wrapping_add(run.count));
            run.count as usize
        };
        // SAFETY: the caller plays the consumer.
        unsafe { header.consumer.near(take) }
    }

    /// Up to `max` free slots, for the producer to fill in place and to make visible with [`ByteRing::publish`].
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone, until it has published.
    #[inline(always)]
    pub unsafe fn claim(&self, max: usize) -> ByteRuns {
        let header = self.header();
        let EndShape { bounds, element_size } = header.producer.shape;
        let claim = |near: &mut Near| near.claim(&header.head.value, bounds.limit, cap(max));
        // SAFETY: the caller plays the producer.
        let (slot, first, second) = unsafe { header.producer.near(claim) }.split(bounds.mask);
        self.track_write(slot, first, second);
        self.runs(slot, first, second, element_size)
    }

    /// Stores the element that `fill` writes into the slot it is given; false, without a call, when the ring is full.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone, also within `fill`, which makes no call of this end and writes the whole slot.
    #[inline(always)]
    pub unsafe fn write_one(&self, fill: impl FnOnce(*mut u8)) -> bool {
        let header = self.header();
        let EndShape { bounds, element_size } = header.producer.shape;
        let store = |near: &mut Near| {
            let Some(index) = near.claim_one(&header.head.value, bounds.limit) else {
                return false;
            };
            let slot = (index & bounds.mask) as usize;
            self.track_write(slot, 1, 0);
            fill(self.slot(slot, element_size));
            near.publish(&header.tail.value, index.wrapping_add(1));
            true
        };
        // SAFETY: the caller plays the producer.
        unsafe { header.producer.near(store) }
    }

    /// Makes the first `count` elements of the last claim visible to the consumer.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone; the last claim covers `count` elements, and they are written.
    #[inline(always)]
    pub unsafe fn publish(&self, count: usize) {
        let header = self.header();
        let publish = |near: &mut Near| near.publish(&header.tail.value, near.own().wrapping_add(count as u32));
        // SAFETY: the caller plays the producer.
        unsafe { header.producer.near(publish) };
    }

    /// Up to `max` of the oldest elements, for the consumer to read in place and to give back with
    /// [`ByteRing::release`].
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone, until it has released.
    #[inline(always)]
    pub unsafe fn front(&self, max: usize) -> ByteRuns {
        let header = self.header();
        let EndShape { bounds, element_size } = header.consumer.shape;
        let front = |near: &mut Near| near.front(&header.tail.value, bounds.limit, cap(max));
        // SAFETY: the caller plays the consumer.
        let (slot, first, second) = unsafe { header.consumer.near(front) }.split(bounds.mask);
        self.track_read(slot, first, second);
        self.runs(slot, first, second, element_size)
    }

    /// Takes the oldest element, which `take` reads where it lies; false, without a call, when the ring is empty.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone, also within `take`, which makes no call of this end.
    #[inline(always)]
    pub unsafe fn read_one(&self, take: impl FnOnce(*const u8)) -> bool {
        let header = self.header();
        let EndShape { bounds, element_size } = header.consumer.shape;
        let load = |near: &mut Near| {
            let Some(index) = near.front_one(&header.tail.value) else {
                return false;
            };
            let slot = (index & bounds.mask) as usize;
            self.track_read(slot, 1, 0);
            take(self.slot(slot, element_size));
            near.release(&header.head.value, index.wrapping_add(1));
            true
        };
        // SAFETY: the caller plays the consumer.
        unsafe { header.consumer.near(load) }
    }

    /// Whether the consumer knows of an element without another look at the producer's index.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline(always)]
    pub unsafe fn is_front_known(&self) -> bool {
        // SAFETY: the caller plays the consumer.
        unsafe { self.header().consumer.near(|near| near.is_known()) }
    }

    /// Gives the slots of the `count` oldest elements back to the producer.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone; the last `front` covers `count` elements, and they are no longer read.
    #[inline(always)]
    pub unsafe fn release(&self, count: usize) {
        let header = self.header();
        let release = |near: &mut Near| near.release(&header.head.value, near.own().wrapping_add(count as u32));
        // SAFETY: the caller plays the consumer.
        unsafe { header.consumer.near(release) };
    }

    #[inline(always)]
    fn track_write(&self, slot: usize, first: usize, second: usize) {
        let tracker = &self.header().shape.value.tracker;
        tracker.write(slot, first);
        tracker.write(0, second);
    }

    #[inline(always)]
    fn track_read(&self, slot: usize, first: usize, second: usize) {
        let tracker = &self.header().shape.value.tracker;
        tracker.read(slot, first);
        tracker.read(0, second);
    }

    #[inline(always)]
    fn runs(&self, slot: usize, first_count: usize, second_count: usize, element_size: u32) -> ByteRuns {
        ByteRuns { first: self.slot(slot, element_size), first_count, second: self.slots(), second_count }
    }

    /// The memory of a masked slot.
    #[inline(always)]
    fn slot(&self, slot: usize, element_size: u32) -> *mut u8 {
        // SAFETY: a masked slot is within the storage.
        unsafe { self.slots().add(slot.wrapping_mul(element_size as usize)) }
    }
}
