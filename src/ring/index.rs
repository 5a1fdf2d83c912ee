//! The index protocol, free of storage: two free-running words that both sides read, and what each end keeps to itself.

use super::mark::Mark;
use crate::sync::atomic::{AtomicU32, Ordering, UnsafeCell};
use crate::sync::{Edge, Word32, relax};

/// `tail` store of the producer.
pub(super) const P1: Edge = Edge::new("ring.P1", Ordering::Release);
/// `head` load of the producer.
pub(super) const P2: Edge = Edge::new("ring.P2", Ordering::Acquire);
/// `tail` load of the consumer.
pub(super) const C1: Edge = Edge::new("ring.C1", Ordering::Acquire);
/// `head` store of the consumer.
pub(super) const C2: Edge = Edge::new("ring.C2", Ordering::Release);

/// Hints by which a consumer of single elements falls back, a fraction of a microsecond.
const FALL_BACK: u32 = if cfg!(all(test, loom)) { 0 } else { 16 };

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

/// What a ring's capacity says about indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Bounds {
    /// Most elements.
    pub limit: u32,
    /// Slots, a power of two, less 1.
    pub mask: u32,
}

/// What the owner of an end keeps to itself, where the other side never looks: polling of a published index then takes
/// nothing away that the owner works with.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Near {
    /// The end's own index, as last published.
    own: u32,
    /// Latest far index seen.
    far: u32,
    /// Consumer: not 0 if the latest look found nothing. Any bits are a number, in memory that processes may share.
    caught_up: u32,
}

impl Near {
    /// An end of an empty ring whose indices start at `start`.
    pub const fn new(start: u32) -> Self {
        Self { own: start, far: start, caught_up: 0 }
    }

    /// Producer: the index of a free slot, which is its own until it publishes. Looks at the consumer's `head` only when
    /// the copy shows a full ring.
    #[inline(always)]
    pub fn claim_one(&mut self, head: &impl Word32, limit: u32) -> Option<u32> {
        if self.own.wrapping_sub(self.far) == limit {
            // [P2] Acquire: pairs with [C2]; the consumer is done with the slots it released before they are written.
            self.far = head.load(P2.order());
            if self.own.wrapping_sub(self.far) == limit {
                return None;
            }
        }
        Some(self.own)
    }

    /// Producer: claims up to `wanted` free slots, as [`Near::claim_one`]. Looks at `head` only when the copy does not leave
    /// room for `wanted`.
    #[inline(always)]
    pub fn claim(&mut self, head: &impl Word32, limit: u32, wanted: u32) -> Run {
        let wanted = wanted.min(limit);
        let mut free = limit.wrapping_sub(self.own.wrapping_sub(self.far));
        if free < wanted {
            // [P2] Acquire: pairs with [C2], as above.
            self.far = head.load(P2.order());
            free = limit.wrapping_sub(self.own.wrapping_sub(self.far));
        }
        Run { start: self.own, count: free.min(wanted) }
    }

    /// Producer: makes the slots below index `end`, claimed and written, visible to the consumer.
    #[inline(always)]
    pub fn publish(&mut self, tail: &impl Word32, end: u32) {
        self.own = end;
        // [P1] Release: pairs with [C1]; the slot writes above happen before the consumer's reads.
        tail.store(end, P1.order());
    }

    /// Consumer: the index of the oldest element, which stays in the ring until it is released. Looks at the producer's
    /// `tail` only when the copy shows an empty ring, and falls back when it has just caught up.
    #[inline(always)]
    pub fn front_one(&mut self, tail: &impl Word32) -> Option<u32> {
        if self.own == self.far {
            // [C1] Acquire: pairs with [P1]; the slots below the loaded tail hold their elements.
            self.far = tail.load(C1.order());
            if self.own == self.far {
                self.fall_back();
                return None;
            }
            self.caught_up = 0;
        }
        Some(self.own)
    }

    /// Leaves the lines of index and slot to the producer for a moment, once each time the consumer catches up with it: a
    /// consumer that looks again at once finds a single element each time, and both wait for those lines.
    #[inline(always)]
    fn fall_back(&mut self) {
        if self.caught_up == 0 {
            self.caught_up = 1;
            (0..FALL_BACK).for_each(|_| relax());
        }
    }

    /// Consumer: up to `wanted` of the oldest elements, as [`Near::front_one`]. Looks at `tail` only when the copy does not
    /// cover `wanted`.
    #[inline(always)]
    pub fn front(&mut self, tail: &impl Word32, limit: u32, wanted: u32) -> Run {
        let wanted = wanted.min(limit);
        let mut stored = self.far.wrapping_sub(self.own);
        if stored < wanted {
            // [C1] Acquire: pairs with [P1], as above.
            self.far = tail.load(C1.order());
            stored = self.far.wrapping_sub(self.own);
        }
        Run { start: self.own, count: stored.min(wanted) }
    }

    /// Consumer: gives the slots below index `end`, no longer read, back to the producer.
    #[inline(always)]
    pub fn release(&mut self, head: &impl Word32, end: u32) {
        self.own = end;
        // [C2] Release: pairs with [P2]; the slot reads above happen before the producer's next writes.
        head.store(end, C2.order());
    }

    /// Consumer: whether the copy covers an element.
    #[inline(always)]
    pub const fn is_known(&self) -> bool {
        self.own != self.far
    }

    /// The next index of this end.
    #[inline(always)]
    pub const fn own(&self) -> u32 {
        self.own
    }
}

/// An end that lies in the ring: its private state, what never changes, and the mark of who is inside.
#[derive(Debug)]
#[repr(C)]
pub(super) struct End<S> {
    near: UnsafeCell<Near>,
    pub shape: S,
    pub mark: Mark,
}

impl<S> End<S> {
    pub fn new(start: u32, shape: S, mark: Mark) -> Self {
        Self { near: UnsafeCell::new(Near::new(start)), shape, mark }
    }

    /// The private state.
    ///
    /// # Safety
    ///
    /// The caller plays the role of this end, alone, and is not inside `body` of another call.
    #[inline(always)]
    pub unsafe fn near<R>(&self, body: impl FnOnce(&mut Near) -> R) -> R {
        self.near.with_mut(|near| {
            // SAFETY: only the end's role reaches this cell, and the caller plays it, alone.
            body(unsafe { &mut *near })
        })
    }
}

/// Elements stored, from any thread: within `0..=limit` always, exact while neither end moves.
#[inline]
pub(super) fn length(tail: &AtomicU32, head: &AtomicU32, limit: u32) -> u32 {
    // Relaxed: the number is a hint, nothing is read on the strength of it. The two loads are a torn snapshot: a newer
    // head gives a negative difference, a newer tail one above the limit; both are clamped.
    let head = head.load(Ordering::Relaxed);
    let tail = tail.load(Ordering::Relaxed);
    let difference = tail.wrapping_sub(head);
    if difference > u32::MAX / 2 { 0 } else { difference.min(limit) }
}

/// The stored run as seen at rest: no end is moving.
#[cfg(feature = "std")]
#[inline]
pub(super) fn at_rest(tail: &AtomicU32, head: &AtomicU32, limit: u32) -> Run {
    // Relaxed, both: the caller orders the walk behind what the ends did.
    let tail = tail.load(Ordering::Relaxed);
    let head = head.load(Ordering::Relaxed);
    Run { start: head, count: tail.wrapping_sub(head).min(limit) }
}
