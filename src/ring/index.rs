//! The index protocol, free of storage: two free-running words, and per end a cached copy of the far word.

use crate::sync::atomic::{AtomicU32, Ordering, UnsafeCell};
use crate::sync::{Edge, Word32};

/// `tail` store of the producer.
pub(super) const P1: Edge = Edge::new("ring.P1", Ordering::Release);
/// `head` load of the producer.
pub(super) const P2: Edge = Edge::new("ring.P2", Ordering::Acquire);
/// `tail` load of the consumer.
pub(super) const C1: Edge = Edge::new("ring.C1", Ordering::Acquire);
/// `head` store of the consumer.
pub(super) const C2: Edge = Edge::new("ring.C2", Ordering::Release);
/// Free slots for a producer at `tail`, at most `wanted`. Looks at the consumer's index only when the cached copy does
/// not leave room for `wanted`.
#[inline(always)]
fn free(tail: u32, cached_head: &mut u32, head: &impl Word32, limit: u32, wanted: u32) -> u32 {
    let mut free = limit.wrapping_sub(tail.wrapping_sub(*cached_head));
    if free < wanted {
        // [P2] Acquire: pairs with [C2]; the consumer is done with the slots it released before they are written.
        *cached_head = head.load(P2.order());
        free = limit.wrapping_sub(tail.wrapping_sub(*cached_head));
    }
    free.min(wanted)
}

/// Stored elements for a consumer at `head`, at most `wanted`. Looks at the producer's index only when the cached copy
/// does not cover `wanted`.
#[inline(always)]
fn stored(head: u32, cached_tail: &mut u32, tail: &impl Word32, wanted: u32) -> u32 {
    let mut stored = cached_tail.wrapping_sub(head);
    if stored < wanted {
        // [C1] Acquire: pairs with [P1]; the slots below the loaded tail hold their elements.
        *cached_tail = tail.load(C1.order());
        stored = cached_tail.wrapping_sub(head);
    }
    stored.min(wanted)
}

/// A run of consecutive indices, not yet masked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub start: u32,
    pub count: u32,
}

impl Run {
    /// The run as slots of a ring with `mask`: first slot, length up to the end of the storage, remainder at slot 0.
    #[inline(always)]
    pub fn split(self, mask: u32) -> (usize, usize, usize) {
        let slot = self.start & mask;
        let first = self.count.min(mask.wrapping_sub(slot).wrapping_add(1));
        (slot as usize, first as usize, self.count.wrapping_sub(first) as usize)
    }
}

/// What one end keeps for itself, apart from its published index.
#[derive(Debug)]
#[repr(C)]
struct Private {
    /// Latest far index seen. Only the end's owner touches it.
    cached: UnsafeCell<u32>,
    limit: u32,
    mask: u32,
}

impl Private {
    fn new(start: u32, limit: u32, mask: u32) -> Self {
        Self { cached: UnsafeCell::new(start), limit, mask }
    }
}

/// The producer's line: its index, its copy of the consumer's, and what it needs to find a slot.
#[derive(Debug)]
#[repr(C)]
pub(super) struct ProducerEnd {
    tail: AtomicU32,
    private: Private,
}

impl ProducerEnd {
    /// An end of an empty ring of `limit` elements whose indices start at `start`.
    pub fn new(start: u32, limit: u32, mask: u32) -> Self {
        Self { tail: AtomicU32::new(start), private: Private::new(start, limit, mask) }
    }

    #[inline(always)]
    pub fn mask(&self) -> u32 {
        self.private.mask
    }

    #[inline(always)]
    pub fn limit(&self) -> u32 {
        self.private.limit
    }

    /// Claims up to `wanted` free slots, `wanted <= limit`. They are the producer's until it publishes them.
    ///
    /// # Safety
    ///
    /// The caller is the producer, alone.
    #[inline(always)]
    pub unsafe fn claim(&self, far: &ConsumerEnd, wanted: u32) -> Run {
        // Relaxed: only the producer writes `tail`.
        let tail = self.tail.load(Ordering::Relaxed);
        let count = self.private.cached.with_mut(|cached| {
            // SAFETY: only the producer reaches this cell, and the caller is the producer.
            let cached = unsafe { &mut *cached };
            free(tail, cached, &far.head, self.private.limit, wanted)
        });
        Run { start: tail, count }
    }

    /// Makes the slots up to index `end` visible to the consumer.
    ///
    /// # Safety
    ///
    /// The caller is the producer, `end` lies within the run it claimed last, and it has written every slot below it.
    #[inline(always)]
    pub unsafe fn publish(&self, end: u32) {
        // [P1] Release: pairs with [C1]; the slot writes above happen before the consumer's reads.
        self.tail.store(end, P1.order());
    }
}

/// The consumer's line, the mirror of [`ProducerEnd`].
#[derive(Debug)]
#[repr(C)]
pub(super) struct ConsumerEnd {
    head: AtomicU32,
    private: Private,
}

impl ConsumerEnd {
    /// An end of an empty ring of `limit` elements whose indices start at `start`.
    pub fn new(start: u32, limit: u32, mask: u32) -> Self {
        Self { head: AtomicU32::new(start), private: Private::new(start, limit, mask) }
    }

    #[inline(always)]
    pub fn mask(&self) -> u32 {
        self.private.mask
    }

    #[inline(always)]
    pub fn limit(&self) -> u32 {
        self.private.limit
    }

    /// Up to `wanted` stored elements, `wanted <= limit`. They stay in the ring until the consumer releases them.
    ///
    /// # Safety
    ///
    /// The caller is the consumer, alone.
    #[inline(always)]
    pub unsafe fn available(&self, far: &ProducerEnd, wanted: u32) -> Run {
        // Relaxed: only the consumer writes `head`.
        let head = self.head.load(Ordering::Relaxed);
        let count = self.private.cached.with_mut(|cached| {
            // SAFETY: only the consumer reaches this cell, and the caller is the consumer.
            let cached = unsafe { &mut *cached };
            stored(head, cached, &far.tail, wanted)
        });
        Run { start: head, count }
    }

    /// Gives the slots below index `end` back to the producer.
    ///
    /// # Safety
    ///
    /// The caller is the consumer, `end` lies within the run it was granted last, and it no longer reads below it.
    #[inline(always)]
    pub unsafe fn release(&self, end: u32) {
        // [C2] Release: pairs with [P2]; the slot reads above happen before the producer's next writes.
        self.head.store(end, C2.order());
    }
}

/// Elements stored, from any thread: within `0..=limit` always, exact while neither end moves.
#[inline]
pub(super) fn length(producer: &ProducerEnd, consumer: &ConsumerEnd) -> u32 {
    // Relaxed: the number is a hint, nothing is read on the strength of it. The two loads are a torn snapshot: a newer
    // head gives a negative difference, a newer tail one above the limit; both are clamped.
    let head = consumer.head.load(Ordering::Relaxed);
    let tail = producer.tail.load(Ordering::Relaxed);
    let difference = tail.wrapping_sub(head);
    if difference > u32::MAX / 2 { 0 } else { difference.min(producer.private.limit) }
}

/// The stored run as seen at rest: no end is moving.
#[cfg(feature = "std")]
#[inline]
pub(super) fn at_rest(producer: &ProducerEnd, consumer: &ConsumerEnd) -> Run {
    // Relaxed, both: the caller orders the walk behind what the ends did.
    let tail = producer.tail.load(Ordering::Relaxed);
    let head = consumer.head.load(Ordering::Relaxed);
    Run { start: head, count: tail.wrapping_sub(head).min(producer.private.limit) }
}
