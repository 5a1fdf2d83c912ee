//! In-use marks: what detects two threads inside checked calls of one end.
//!
//! An exchange per call would do, and is what a mark in foreign memory makes. But it waits for every store that the thread
//! made before, and those to a ring are on lines that the other side has: it doubles what a small batch costs. A mark in
//! memory of the process therefore *leans* to one thread, whose calls make no exchange, until another thread comes.
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | `taken` | whoever makes a call that the mark does not lean to | the same |
//! | `leaning`: the thread whose calls are light and the number of its flag; or the number of the next flag | holders of `taken` | everybody |
//! | `inside[n]` | the thread that the mark leant to when flag n was given out | holders of `taken`, that thread |
//!
//! # Edges
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | M2 → M1 | flag or `taken` given back, Release | `taken` swap, flag loads, Acquire | an end's private state, between checked callers | `loom_ring_weak_m1`, `loom_ring_weak_m2` |
//! | M3 ↔ M4 | light call: flag set; light fence M3; `leaning` load | other call: `leaning` cleared; fence and barrier M4; flag loads | one of them sees the other | `loom_ring_weak_m3`, `loom_ring_weak_m4` |
//!
//! # Why two threads are never inside
//!
//! Two calls that exchange exclude each other by `taken`. A light call L against a call T that has taken the mark: if M3
//! precedes M4, T sees L's flag and is turned away, or sees it given back, and then everything L did (M2 → M1). If M4
//! precedes M3, L sees that the mark leans to it no longer, takes its flag back without having touched the end, and goes
//! the way of T. Only the first T after a light call needs M4: later ones come after it by `taken`.
//!
//! A thread that lost the mark may still set its flag for a moment. So a flag is given out once, and when there are none
//! left the mark leans to nobody. Who sees such a flag is turned away although the end is free: two threads *are* in calls
//! of one end then.
//!
//! The barrier M4 may be refused by a sandbox that was entered after the ring was made. Then T waits for a millisecond: what
//! L stored before is visible by then, and what L loads afterwards is new.

use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::sync::{Edge, thread_mark};

/// Swap that takes a mark, and loads of flags.
const M1: Edge = Edge::new("ring.M1", Ordering::Acquire);
/// Store that gives a mark or a flag back.
const M2: Edge = Edge::new("ring.M2", Ordering::Release);
/// Light fence between a flag and the look whom the mark leans to.
const M3: Edge = Edge::new("ring.M3", Ordering::SeqCst);
/// Barrier between taking a mark from the thread it leans to and the look at its flag.
const M4: Edge = Edge::new("ring.M4", Ordering::SeqCst);

/// How often a mark leans to another thread. A power of two: the numbers of flags stand in low bits of `leaning`.
const FLAGS: usize = 4;

/// The in-use mark of an end, away from its index, which the other side reads.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Mark {
    leaning: AtomicUsize,
    inside: [AtomicU32; FLAGS],
    taken: AtomicU32,
}

impl Mark {
    /// The mark of an end that nobody is inside, in memory that processes may share.
    pub fn new() -> Self {
        Self::with_flags(false)
    }

    /// The same in memory of this process alone.
    #[cfg(feature = "std")]
    pub fn private() -> Self {
        Self::with_flags(crate::sync::membarrier::register() && thread_mark() != 0)
    }

    pub(super) fn with_flags(leans: bool) -> Self {
        Self {
            leaning: AtomicUsize::new(if leans { 0 } else { FLAGS }),
            inside: core::array::from_fn(|_| AtomicU32::new(0)),
            taken: AtomicU32::new(0),
        }
    }

    /// See [`EndGuard`].
    #[inline(always)]
    pub fn enter(&self) -> Option<EndGuard<'_>> {
        self.enter_as(thread_mark())
    }

    /// [`Mark::enter`] of the thread `me`: its [`thread_mark`].
    #[inline(always)]
    pub(super) fn enter_as(&self, me: usize) -> Option<EndGuard<'_>> {
        // Relaxed: only this thread makes the mark lean away from nobody to itself.
        let leaning = self.leaning.load(Ordering::Relaxed);
        // The mark of a thread is a multiple of 64 and not 0, so the difference is small only if the mark leans to it.
        if let Some(flag) = self.inside.get(leaning ^ me) {
            // Relaxed: this thread's own.
            if flag.load(Ordering::Relaxed) != 0 {
                return None;
            }
            // Relaxed: M3 orders it before the second look.
            flag.store(1, Ordering::Relaxed);
            // [M3] Light fence: pairs with [M4].
            M3.light_fence();
            // Relaxed: ordered by M3.
            if self.leaning.load(Ordering::Relaxed) == leaning {
                return Some(EndGuard { word: flag });
            }
            // Relaxed: nothing was done under this flag.
            flag.store(0, Ordering::Relaxed);
        }
        self.take(me)
    }

    #[inline(never)]
    fn take(&self, me: usize) -> Option<EndGuard<'_>> {
        // [M1] Acquire: pairs with [M2]; the private state that the previous checked caller left is visible.
        if self.taken.swap(1, M1.order()) != 0 {
            return None;
        }
        let guard = EndGuard { word: &self.taken };
        // Relaxed, like the stores below: only who has the mark writes it, and [M1] and [M2] order those.
        let leaning = self.leaning.load(Ordering::Relaxed);
        let mut next = leaning;
        if leaning > FLAGS {
            next = leaning % FLAGS + 1;
            self.leaning.store(next, Ordering::Relaxed);
            // [M4] Barrier: pairs with [M3].
            M4.fence();
            barrier();
        }
        // [M1] Acquire: pairs with [M2]; a thread that the mark leant to has left, and what it did is visible.
        if self.inside.iter().any(|flag| flag.load(M1.order()) != 0) {
            return None;
        }
        let Some(flag) = self.inside.get(next) else {
            return Some(guard);
        };
        // Relaxed: made visible by the release of `taken`.
        flag.store(1, Ordering::Relaxed);
        self.leaning.store(me | next, Ordering::Relaxed);
        Some(EndGuard { word: flag })
    }
}

#[cfg(feature = "std")]
fn barrier() {
    #[cfg(not(all(test, loom)))]
    if !crate::sync::membarrier::barrier() {
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
}

/// Marks of the device library lean to nobody.
#[cfg(not(feature = "std"))]
fn barrier() {}

/// Proof that no other checked call is inside the same end of a ring; leaving is dropping it.
///
/// Checked callers that all hold the guard around their calls exclude each other and see each other's effects.
#[derive(Debug)]
#[must_use = "the end is marked only while the guard lives"]
pub struct EndGuard<'a> {
    word: &'a AtomicU32,
}

impl Drop for EndGuard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // [M2] Release: pairs with [M1].
        self.word.store(0, M2.order());
    }
}
