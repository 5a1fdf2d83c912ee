//! The owned ring of `T: Copy`.

use super::MAX_CAPACITY;
use super::index::{ConsumerEnd, ProducerEnd, Run, at_rest, length};
use super::mark::{EndGuard, Mark};
use super::slots::{Storage, Tracker};
use crate::status::Status;
use crate::sync::CachePadded;
use core::mem::MaybeUninit;
use std::alloc::Layout;

#[derive(Debug)]
#[repr(C)]
struct ProducerSide<T> {
    end: ProducerEnd,
    slots: *mut T,
    mark: Mark,
}

#[derive(Debug)]
#[repr(C)]
struct ConsumerSide<T> {
    end: ConsumerEnd,
    slots: *mut T,
    mark: Mark,
}

/// A ring that owns its memory and holds both ends.
///
/// Each end has one owner: at any time at most one thread plays the producer and at most one the consumer; one thread
/// may play both. A role moves between threads only with a hand-over that orders the two (a join, a lock, a channel).
/// The methods that play a role are unsafe and name it; [`channel`](super::channel()) is the safe form. No method
/// blocks.
#[derive(Debug)]
#[repr(C)]
pub struct Ring<T: Copy> {
    producer: CachePadded<ProducerSide<T>>,
    consumer: CachePadded<ConsumerSide<T>>,
    tracker: Tracker,
    // Owns what `slots` of both sides point to.
    _storage: Storage,
}

// SAFETY: elements travel between threads, which `T: Send` allows; every access to shared state is atomic or belongs to
// one role, and the unsafe methods require that each role has one owner.
unsafe impl<T: Copy + Send> Send for Ring<T> {}
// SAFETY: as for `Send`; the safe methods only load atomics.
unsafe impl<T: Copy + Send> Sync for Ring<T> {}

impl<T: Copy> Ring<T> {
    /// An empty ring that holds exactly `capacity` elements.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_INVALID`: `capacity` is 0. `LANEPIPE_E_TOO_LARGE`: it is above [`MAX_CAPACITY`] or the size in bytes
    /// overflows. `LANEPIPE_E_NO_MEMORY`: the allocator refused.
    pub fn new(capacity: usize) -> Result<Self, Status> {
        Self::with_start(capacity, 0)
    }

    /// As [`Ring::new`], with both indices at `start`.
    pub(super) fn with_start(capacity: usize, start: u32) -> Result<Self, Status> {
        if capacity == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        if capacity > MAX_CAPACITY {
            return Err(Status::LANEPIPE_E_TOO_LARGE);
        }
        let physical = capacity.next_power_of_two();
        let layout = Layout::array::<T>(physical).map_err(|_| Status::LANEPIPE_E_TOO_LARGE)?;
        let storage = Storage::new(layout)?;
        let slots = storage.content().cast::<T>();
        let (limit, mask) = (capacity as u32, physical as u32 - 1);
        Ok(Self {
            producer: CachePadded::new(ProducerSide {
                end: ProducerEnd::new(start, limit, mask),
                slots,
                mark: Mark::private(),
            }),
            consumer: CachePadded::new(ConsumerSide {
                end: ConsumerEnd::new(start, limit, mask),
                slots,
                mark: Mark::private(),
            }),
            tracker: Tracker::new(physical),
            _storage: storage,
        })
    }

    /// Elements the ring can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.producer.end.limit() as usize
    }

    /// Elements stored. From any thread and never above the capacity; exact while neither end moves, advisory
    /// otherwise. The producer may rely on it as an upper bound, the consumer as a lower bound.
    #[inline(always)]
    pub fn len(&self) -> usize {
        length(&self.producer.end, &self.consumer.end) as usize
    }

    /// Whether [`Ring::len`] is 0.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Ring::len`] is the capacity.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Marks the producer end as in use; `None` when another checked call is inside it.
    #[inline]
    pub fn enter_producer(&self) -> Option<EndGuard<'_>> {
        self.producer.mark.enter()
    }

    /// Marks the consumer end as in use; `None` when another checked call is inside it.
    #[inline]
    pub fn enter_consumer(&self) -> Option<EndGuard<'_>> {
        self.consumer.mark.enter()
    }

    /// Stores `value`; `false` when the ring is full.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone.
    #[inline(always)]
    pub unsafe fn push(&self, value: &T) -> bool {
        let side = &*self.producer;
        // SAFETY: the caller plays the producer.
        let run = unsafe { side.end.claim(&self.consumer.end, 1) };
        if run.count == 0 {
            return false;
        }
        let slot = (run.start & side.end.mask()) as usize;
        self.tracker.write(slot, 1);
        // SAFETY: a masked index is within the storage, and the claim makes the slot the producer's.
        unsafe { side.slots.add(slot).write(*value) };
        // SAFETY: the caller plays the producer, and the one claimed slot is written.
        unsafe { side.end.publish(run.start.wrapping_add(1)) };
        true
    }

    /// Stores as many of `values` as fit, in order, with one index change; returns how many.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone.
    #[inline]
    pub unsafe fn push_slice(&self, values: &[T]) -> usize {
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
        unsafe { self.write_run(values.len(), copy) }
    }

    /// Offers up to `max` free slots as two contiguous runs (the second one follows the first and is often empty) and
    /// publishes as many elements as `fill` returns, counted through both runs; returns how many. `fill` is not called
    /// when there is no room.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone, also within `fill`; `fill` initialises as many elements as it returns.
    #[inline]
    pub unsafe fn write_run(
        &self,
        max: usize,
        fill: impl FnOnce(&mut [MaybeUninit<T>], &mut [MaybeUninit<T>]) -> usize,
    ) -> usize {
        let side = &*self.producer;
        let wanted = max.min(side.end.limit() as usize) as u32;
        // SAFETY: the caller plays the producer.
        let run = unsafe { side.end.claim(&self.consumer.end, wanted) };
        if run.count == 0 {
            return 0;
        }
        let (slot, first, second) = run.split(side.end.mask());
        self.tracker.write(slot, first);
        self.tracker.write(0, second);
        // SAFETY: the first run ends with the storage at the latest; the claim makes its slots the producer's.
        let first = unsafe { core::slice::from_raw_parts_mut(side.slots.add(slot).cast(), first) };
        // SAFETY: the second run starts the storage and ends before the first one, since a claim is at most `limit`.
        let second = unsafe { core::slice::from_raw_parts_mut(side.slots.cast(), second) };
        let written = fill(first, second).min(run.count as usize) as u32;
        // SAFETY: the caller plays the producer, and `fill` has written the slots below the new index.
        unsafe { side.end.publish(run.start.wrapping_add(written)) };
        written as usize
    }

    /// Takes the oldest element; `None` when the ring is empty.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline(always)]
    pub unsafe fn pop(&self) -> Option<T> {
        // SAFETY: the caller plays the consumer.
        let (run, value) = unsafe { self.front() }?;
        // SAFETY: the caller plays the consumer, and the element of the one granted slot is copied out.
        unsafe { self.consumer.end.release(run.start.wrapping_add(1)) };
        Some(value)
    }

    /// The oldest element, left in the ring; `None` when the ring is empty.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline]
    pub unsafe fn peek(&self) -> Option<T> {
        // SAFETY: the caller plays the consumer.
        unsafe { self.front() }.map(|(_, value)| value)
    }

    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline(always)]
    unsafe fn front(&self) -> Option<(Run, T)> {
        let side = &*self.consumer;
        // SAFETY: the caller plays the consumer.
        let run = unsafe { side.end.available(&self.producer.end, 1) };
        if run.count == 0 {
            return None;
        }
        let slot = (run.start & side.end.mask()) as usize;
        self.tracker.read(slot, 1);
        // SAFETY: a masked index is within the storage, and a granted slot holds an element.
        Some((run, unsafe { side.slots.add(slot).read() }))
    }

    /// Takes up to `values.len()` elements in order into the front of `values`, with one index change; returns how
    /// many.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline]
    pub unsafe fn pop_slice(&self, values: &mut [MaybeUninit<T>]) -> usize {
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
        unsafe { self.read_run(max, copy) }
    }

    /// Shows up to `max` of the oldest elements as two contiguous runs (the second one follows the first and is often
    /// empty) and removes as many as `take` returns, counted through both runs; returns how many. `take` is not called
    /// when the ring is empty.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone, also within `take`.
    #[inline]
    pub unsafe fn read_run(&self, max: usize, take: impl FnOnce(&[T], &[T]) -> usize) -> usize {
        let side = &*self.consumer;
        let wanted = max.min(side.end.limit() as usize) as u32;
        // SAFETY: the caller plays the consumer.
        let run = unsafe { side.end.available(&self.producer.end, wanted) };
        if run.count == 0 {
            return 0;
        }
        // SAFETY: the granted slots hold elements and stay the consumer's until the release below.
        let (first, second) = unsafe { self.runs(run) };
        let taken = take(first, second).min(run.count as usize) as u32;
        // SAFETY: the caller plays the consumer, and the slices die here.
        unsafe { side.end.release(run.start.wrapping_add(taken)) };
        taken as usize
    }

    /// Shows every stored element to `visit`, oldest first, and leaves it in the ring.
    ///
    /// # Safety
    ///
    /// The ring is at rest: no thread plays a role during the call, and what they did before is ordered before it.
    pub unsafe fn for_each(&self, visit: impl FnMut(&T)) {
        let run = at_rest(&self.producer.end, &self.consumer.end);
        // SAFETY: the slots between the indices hold elements, and nobody moves them during the call.
        let (first, second) = unsafe { self.runs(run) };
        first.iter().chain(second).for_each(visit);
    }

    /// # Safety
    ///
    /// Every slot of `run` holds an element and is not written during `'_`.
    #[inline(always)]
    unsafe fn runs(&self, run: Run) -> (&[T], &[T]) {
        let side = &*self.consumer;
        let (slot, first, second) = run.split(side.end.mask());
        self.tracker.read(slot, first);
        self.tracker.read(0, second);
        // SAFETY: the first run ends with the storage at the latest; the caller vouches for its elements.
        let first = unsafe { core::slice::from_raw_parts(side.slots.add(slot), first) };
        // SAFETY: the second run starts the storage; the caller vouches for its elements.
        let second = unsafe { core::slice::from_raw_parts(side.slots, second) };
        (first, second)
    }
}

// One line pair per end, and nothing else on it.
#[cfg(not(all(test, loom)))]
const _: () = {
    assert!(core::mem::offset_of!(Ring<u64>, consumer) >= 64);
    assert!(core::mem::size_of::<ProducerSide<u64>>() <= 128 && core::mem::size_of::<ConsumerSide<u64>>() <= 128);
};
