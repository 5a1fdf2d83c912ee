//! The owned ring of `T: Copy`.

use super::body::Body;
use super::index::End;
use super::mark::{EndGuard, Mark};
use crate::status::Status;
use crate::sync::CachePadded;
use core::mem::MaybeUninit;

/// A ring that owns its memory and holds both ends.
///
/// Each end has one owner: at any time at most one thread plays the producer and at most one the consumer; one thread
/// may play both. A role moves between threads only with a hand-over that orders the two (a join, a lock, a channel).
/// The methods that play a role are unsafe and name it; [`channel`](super::channel()) is the safe form. No method
/// blocks.
#[derive(Debug)]
#[repr(C)]
pub struct Ring<T: Copy> {
    body: Body<T>,
    producer: CachePadded<End<()>>,
    consumer: CachePadded<End<()>>,
}

// SAFETY: as for `Body`; the private state of an end is reached by its role alone.
unsafe impl<T: Copy + Send> Send for Ring<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Copy + Send> Sync for Ring<T> {}

impl<T: Copy> Ring<T> {
    /// An empty ring that holds exactly `capacity` elements.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_INVALID`: `capacity` is 0. `LANEPIPE_E_TOO_LARGE`: it is above
    /// [`MAX_CAPACITY`](super::MAX_CAPACITY) or the size in bytes overflows. `LANEPIPE_E_NO_MEMORY`: the allocator refused.
    pub fn new(capacity: usize) -> Result<Self, Status> {
        Self::with_start(capacity, 0)
    }

    /// As [`Ring::new`], with both indices at `start`.
    pub(super) fn with_start(capacity: usize, start: u32) -> Result<Self, Status> {
        let end = || CachePadded::new(End::new(start, (), Mark::private()));
        Ok(Self { body: Body::new(capacity, start)?, producer: end(), consumer: end() })
    }

    /// Elements the ring can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.body.capacity()
    }

    /// Elements stored. From any thread and never above the capacity; exact while neither end moves, advisory
    /// otherwise. The producer may rely on it as an upper bound, the consumer as a lower bound.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.body.len()
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
        // SAFETY: the caller plays the producer.
        unsafe { self.producer.near(|near| self.body.push(near, value)) }
    }

    /// Stores as many of `values` as fit, in order, with one index change; returns how many.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone.
    #[inline]
    pub unsafe fn push_slice(&self, values: &[T]) -> usize {
        // SAFETY: the caller plays the producer.
        unsafe { self.producer.near(|near| self.body.push_slice(near, values)) }
    }

    /// Offers up to `max` free slots as two contiguous runs (the second one follows the first and is often empty) and
    /// publishes as many elements as `fill` returns, counted through both runs; returns how many. `fill` is not called
    /// when there is no room.
    ///
    /// # Safety
    ///
    /// The caller plays the producer, alone, also within `fill`, which makes no call of this end; `fill` initialises as many
    /// elements as it returns.
    #[inline]
    pub unsafe fn write_run(
        &self,
        max: usize,
        fill: impl FnOnce(&mut [MaybeUninit<T>], &mut [MaybeUninit<T>]) -> usize,
    ) -> usize {
        // SAFETY: the caller plays the producer and vouches for `fill`.
        unsafe { self.producer.near(|near| self.body.write_run(near, max, fill)) }
    }

    /// Takes the oldest element; `None` when the ring is empty, which takes a fraction of a microsecond the first time: the
    /// producer gets ahead meanwhile.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline(always)]
    pub unsafe fn pop(&self) -> Option<T> {
        // SAFETY: the caller plays the consumer.
        unsafe { self.consumer.near(|near| self.body.pop(near)) }
    }

    /// The oldest element, left in the ring; `None` when the ring is empty.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline]
    pub unsafe fn peek(&self) -> Option<T> {
        // SAFETY: the caller plays the consumer.
        unsafe { self.consumer.near(|near| self.body.peek(near)) }
    }

    /// Takes up to `values.len()` elements in order into the front of `values`, with one index change; returns how
    /// many.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone.
    #[inline]
    pub unsafe fn pop_slice(&self, values: &mut [MaybeUninit<T>]) -> usize {
        // SAFETY: the caller plays the consumer.
        unsafe { self.consumer.near(|near| self.body.pop_slice(near, values)) }
    }

    /// Shows up to `max` of the oldest elements as two contiguous runs (the second one follows the first and is often
    /// empty) and removes as many as `take` returns, counted through both runs; returns how many. `take` is not called
    /// when the ring is empty.
    ///
    /// # Safety
    ///
    /// The caller plays the consumer, alone, also within `take`, which makes no call of this end.
    #[inline]
    pub unsafe fn read_run(&self, max: usize, take: impl FnOnce(&[T], &[T]) -> usize) -> usize {
        // SAFETY: the caller plays the consumer.
        unsafe { self.consumer.near(|near| self.body.read_run(near, max, take)) }
    }

    /// Shows every stored element to `visit`, oldest first, and leaves it in the ring.
    ///
    /// # Safety
    ///
    /// The ring is at rest: no thread plays a role during the call, and what they did before is ordered before it.
    pub unsafe fn for_each(&self, visit: impl FnMut(&T)) {
        // SAFETY: as promised to this function.
        unsafe { self.body.for_each(visit) }
    }
}

// What an end keeps to itself fits a line pair.
#[cfg(not(all(test, loom)))]
const _: () = assert!(core::mem::size_of::<End<()>>() <= 128);
