//! The memory and the indices of a ring of `T: Copy`, without its ends: whoever calls brings the private state of one.

use super::MAX_CAPACITY;
use super::index::{Bounds, Near, Run, at_rest, length};
use super::slots::{Storage, Tracker};
use crate::status::Status;
use crate::sync::CachePadded;
use crate::sync::atomic::AtomicU32;
use core::mem::MaybeUninit;
use std::alloc::Layout;

/// What both ends of a ring reach. Methods that play a role take the private state of its end and are inlined into those of
/// [`Ring`](super::Ring), [`Producer`](super::Producer) and [`Consumer`](super::Consumer), which document them.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Body<T: Copy> {
    tail: CachePadded<AtomicU32>,
    head: CachePadded<AtomicU32>,
    slots: *mut T,
    bounds: Bounds,
    tracker: Tracker,
    // Owns what `slots` points to.
    _storage: Storage,
}

// SAFETY: elements travel between threads, which `T: Send` allows; every access to shared state is atomic or belongs to
// one role, and the unsafe methods require that each role has one owner.
unsafe impl<T: Copy + Send> Send for Body<T> {}
// SAFETY: as for `Send`; the safe methods only load atomics.
unsafe impl<T: Copy + Send> Sync for Body<T> {}

impl<T: Copy> Body<T> {
    /// An empty ring of `capacity` elements with both indices at `start`.
    pub fn new(capacity: usize, start: u32) -> Result<Self, Status> {
        if capacity == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        if capacity > MAX_CAPACITY {
            return Err(Status::LANEPIPE_E_TOO_LARGE);
        }
        let physical = capacity.next_power_of_two();
        let layout = Layout::array::<T>(physical).map_err(|_| Status::LANEPIPE_E_TOO_LARGE)?;
        let storage = Storage::new(layout)?;
        Ok(Self {
            tail: CachePadded::new(AtomicU32::new(start)),
            head: CachePadded::new(AtomicU32::new(start)),
            slots: storage.content().cast(),
            bounds: Bounds { limit: capacity as u32, mask: physical as u32 - 1 },
            tracker: Tracker::new(physical),
            _storage: storage,
        })
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        self.bounds.limit as usize
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        length(&self.tail, &self.head, self.bounds.limit) as usize
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only producer.
    #[inline(always)]
    pub unsafe fn push(&self, near: &mut Near, value: &T) -> bool {
        let Some(index) = near.claim_one(&*self.head, self.bounds.limit) else {
            return false;
        };
        let slot = (index & self.bounds.mask) as usize;
        self.tracker.write(slot, 1);
        // SAFETY: a masked index is within the storage, and the claim makes the slot the producer's.
        unsafe { self.slots.add(slot).write(*value) };
        near.publish(&*self.tail, index.wrapping_add(1));
        true
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only producer.
    #[inline]
    pub unsafe fn push_slice(&self, near: &mut Near, values: &[T]) -> usize {
        let copy = |first: &mut [MaybeUninit<T>], second: &mut [MaybeUninit<T>]| {
            let (head, tail) = (values.as_ptr(), first.len());
            // SAFETY: both runs together are at most `values.len()` long, and the ring's memory is not the slice's.
            unsafe { head.copy_to_nonoverlapping(first.as_mut_ptr().cast(), first.len()) };
            if !second.is_empty() {
                // SAFETY: as above, behind the elements of the first run.
                unsafe { head.add(tail).copy_to_nonoverlapping(second.as_mut_ptr().cast(), second.len()) };
            }
            first.len() + second.len()
        };
        // SAFETY: the caller plays the producer, and `copy` fills both runs.
        unsafe { self.write_run(near, values.len(), copy) }
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only producer; `fill` initialises as many elements as it returns.
    #[inline]
    pub unsafe fn write_run(
        &self,
        near: &mut Near,
        max: usize,
        fill: impl FnOnce(&mut [MaybeUninit<T>], &mut [MaybeUninit<T>]) -> usize,
    ) -> usize {
        let run = near.claim(&*self.head, self.bounds.limit, max.min(MAX_CAPACITY) as u32);
        if run.count == 0 {
            return 0;
        }
        let (slot, first, second) = run.split(self.bounds.mask);
        self.tracker.write(slot, first);
        self.tracker.write(0, second);
        // SAFETY: the first run ends with the storage at the latest; the claim makes its slots the producer's.
        let first = unsafe { core::slice::from_raw_parts_mut(self.slots.add(slot).cast(), first) };
        // SAFETY: the second run starts the storage and ends before the first one, since a claim is at most `limit`.
        let second = unsafe { core::slice::from_raw_parts_mut(self.slots.cast(), second) };
        let written = fill(first, second).min(run.count as usize);
        near.publish(&*self.tail, run.start.wrapping_add(written as u32));
        written
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only consumer.
    #[inline(always)]
    pub unsafe fn pop(&self, near: &mut Near) -> Option<T> {
        // SAFETY: as promised to this function.
        let (index, value) = unsafe { self.front(near) }?;
        near.release(&*self.head, index.wrapping_add(1));
        Some(value)
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only consumer.
    #[inline(always)]
    pub unsafe fn peek(&self, near: &mut Near) -> Option<T> {
        // SAFETY: as promised to this function.
        unsafe { self.front(near) }.map(|(_, value)| value)
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only consumer.
    #[inline(always)]
    unsafe fn front(&self, near: &mut Near) -> Option<(u32, T)> {
        let index = near.front_one(&*self.tail)?;
        let slot = (index & self.bounds.mask) as usize;
        self.tracker.read(slot, 1);
        // SAFETY: a masked index is within the storage, and the slot of a stored element is the consumer's.
        Some((index, unsafe { self.slots.add(slot).read() }))
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only consumer.
    #[inline]
    pub unsafe fn pop_slice(&self, near: &mut Near, values: &mut [MaybeUninit<T>]) -> usize {
        let max = values.len();
        let to = values.as_mut_ptr().cast::<T>();
        let copy = |first: &[T], second: &[T]| {
            // SAFETY: both runs together are at most `max` long, and the ring's memory is not the slice's.
            unsafe { to.copy_from_nonoverlapping(first.as_ptr(), first.len()) };
            if !second.is_empty() {
                // SAFETY: as above, behind the elements of the first run.
                unsafe { to.add(first.len()).copy_from_nonoverlapping(second.as_ptr(), second.len()) };
            }
            first.len() + second.len()
        };
        // SAFETY: the caller plays the consumer.
        unsafe { self.read_run(near, max, copy) }
    }

    /// # Safety
    ///
    /// `near` is the private state of the ring's only consumer.
    #[inline]
    pub unsafe fn read_run(&self, near: &mut Near, max: usize, take: impl FnOnce(&[T], &[T]) -> usize) -> usize {
        let run = near.front(&*self.tail, self.bounds.limit, max.min(MAX_CAPACITY) as u32);
        if run.count == 0 {
            return 0;
        }
        // SAFETY: the slots hold elements and stay the consumer's until the release below.
        let (first, second) = unsafe { self.runs(run) };
        let taken = take(first, second).min(run.count as usize);
        near.release(&*self.head, run.start.wrapping_add(taken as u32));
        taken
    }

    /// # Safety
    ///
    /// The ring is at rest: no thread plays a role during the call, and what they did before is ordered before it.
    pub unsafe fn for_each(&self, visit: impl FnMut(&T)) {
        let run = at_rest(&self.tail, &self.head, self.bounds.limit);
        // SAFETY: the slots between the indices hold elements, and nobody moves them during the call.
        let (first, second) = unsafe { self.runs(run) };
        first.iter().chain(second).for_each(visit);
    }

    /// # Safety
    ///
    /// Every slot of `run` holds an element and is not written during `'_`.
    #[inline(always)]
    unsafe fn runs(&self, run: Run) -> (&[T], &[T]) {
        let (slot, first, second) = run.split(self.bounds.mask);
        self.tracker.read(slot, first);
        self.tracker.read(0, second);
        // SAFETY: the first run ends with the storage at the latest; the caller vouches for its elements.
        let first = unsafe { core::slice::from_raw_parts(self.slots.add(slot), first) };
        // SAFETY: the second run starts the storage; the caller vouches for its elements.
        let second = unsafe { core::slice::from_raw_parts(self.slots, second) };
        (first, second)
    }
}

// The published indices have line pairs of their own.
#[cfg(not(all(test, loom)))]
const _: () = {
    assert!(core::mem::offset_of!(Body<u64>, head) >= 64);
    assert!(core::mem::offset_of!(Body<u64>, slots) >= core::mem::offset_of!(Body<u64>, head) + 64);
};
