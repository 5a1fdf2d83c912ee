//! The safe pair of ends over an owned ring.

use super::body::Body;
use super::index::Near;
use crate::status::Status;
use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use std::sync::Arc;

/// The producer end of a [`channel`]. Moves between threads; one thread uses it at a time. No method blocks.
#[derive(Debug)]
pub struct Producer<T: Copy> {
    body: Arc<Body<T>>,
    near: Near,
    // Not `Sync`: the end is one role.
    role: PhantomData<Cell<()>>,
}

/// The consumer end of a [`channel`]. Moves between threads; one thread uses it at a time. No method blocks.
#[derive(Debug)]
pub struct Consumer<T: Copy> {
    body: Arc<Body<T>>,
    near: Near,
    // Not `Sync`: the end is one role.
    role: PhantomData<Cell<()>>,
}

/// The two ends of a new ring that holds exactly `capacity` elements. The memory goes when both ends are dropped.
///
/// # Errors
///
/// As [`Ring::new`](super::Ring::new).
pub fn channel<T: Copy>(capacity: usize) -> Result<(Producer<T>, Consumer<T>), Status> {
    let (body, near) = (Arc::new(Body::new(capacity, 0)?), Near::new(0));
    Ok((Producer { body: Arc::clone(&body), near, role: PhantomData }, Consumer { body, near, role: PhantomData }))
}

impl<T: Copy> Producer<T> {
    /// Elements the ring can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.body.capacity()
    }

    /// Elements stored, as an upper bound: the consumer may have taken more by now.
    #[inline]
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether [`Producer::len`] is 0.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Producer::len`] is the capacity.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Stores `value`; `false` when the ring is full.
    #[inline]
    pub fn push(&mut self, value: T) -> bool {
        // SAFETY: this object is the only producer of its ring, and it is borrowed exclusively.
        unsafe { self.body.push(&mut self.near, &value) }
    }

    /// Stores as many of `values` as fit, in order, with one index change; returns how many.
    #[inline]
    pub fn push_slice(&mut self, values: &[T]) -> usize {
        // SAFETY: this object is the only producer of its ring, and it is borrowed exclusively.
        unsafe { self.body.push_slice(&mut self.near, values) }
    }

    /// Stores elements of `values`, at most `max` and as many as fit, with one index change; returns how many. Takes no
    /// element from the iterator that it does not store.
    #[inline]
    pub fn push_from(&mut self, max: usize, values: impl IntoIterator<Item = T>) -> usize {
        let fill = |first: &mut [MaybeUninit<T>], second: &mut [MaybeUninit<T>]| {
            let mut values = values.into_iter();
            let mut count = 0;
            for slot in first.iter_mut().chain(second) {
                let Some(value) = values.next() else { break };
                slot.write(value);
                count += 1;
            }
            count
        };
        // SAFETY: `fill` initialises as many elements as it returns.
        unsafe { self.write_run(max, fill) }
    }

    /// Offers up to `max` free slots as two contiguous runs (the second one follows the first and is often empty) and
    /// publishes as many elements as `fill` returns, counted through both runs; returns how many. `fill` is not called
    /// when there is no room.
    ///
    /// # Safety
    ///
    /// `fill` initialises as many elements as it returns.
    #[inline]
    pub unsafe fn write_run(
        &mut self,
        max: usize,
        fill: impl FnOnce(&mut [MaybeUninit<T>], &mut [MaybeUninit<T>]) -> usize,
    ) -> usize {
        // SAFETY: this object is the only producer of its ring and borrowed exclusively, so `fill` cannot reach it; the
        // caller vouches for the elements.
        unsafe { self.body.write_run(&mut self.near, max, fill) }
    }
}

impl<T: Copy> Consumer<T> {
    /// Elements the ring can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.body.capacity()
    }

    /// Elements stored, as a lower bound: the producer may have added more by now.
    #[inline]
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether [`Consumer::len`] is 0.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the oldest element; `None` when the ring is empty, which takes a fraction of a microsecond the first time: the
    /// producer gets ahead meanwhile.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        // SAFETY: this object is the only consumer of its ring, and it is borrowed exclusively.
        unsafe { self.body.pop(&mut self.near) }
    }

    /// The oldest element, left in the ring; `None` when the ring is empty.
    #[inline]
    pub fn peek(&mut self) -> Option<T> {
        // SAFETY: this object is the only consumer of its ring, and it is borrowed exclusively.
        unsafe { self.body.peek(&mut self.near) }
    }

    /// Takes up to `values.len()` elements in order into the front of `values`, with one index change; returns how
    /// many.
    #[inline]
    pub fn pop_slice(&mut self, values: &mut [MaybeUninit<T>]) -> usize {
        // SAFETY: this object is the only consumer of its ring, and it is borrowed exclusively.
        unsafe { self.body.pop_slice(&mut self.near, values) }
    }

    /// Shows up to `max` of the oldest elements as two contiguous runs (the second one follows the first and is often
    /// empty) and removes as many as `take` returns, counted through both runs; returns how many. `take` is not called
    /// when the ring is empty.
    #[inline]
    pub fn read_run(&mut self, max: usize, take: impl FnOnce(&[T], &[T]) -> usize) -> usize {
        // SAFETY: this object is the only consumer of its ring and borrowed exclusively, so `take` cannot reach it.
        unsafe { self.body.read_run(&mut self.near, max, take) }
    }
}
