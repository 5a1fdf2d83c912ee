//! How the sentinel tells a drain thread that its queues have entries.
//!
//! Ready indices run modulo the queue's capacity, so a tail that looks as it did at the last poll proves nothing: a whole
//! lap may lie between. The sentinel therefore compares each tail with how far the drain thread has come, and announces
//! whatever differs, again at every poll until the drain thread has caught up.

use crate::event::EventCount;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{CachePadded, Edge};

const H1: Edge = Edge::new("profiler.H1", Ordering::Release);
const H2: Edge = Edge::new("profiler.H2", Ordering::Acquire);

/// Entries from index `from` to index `to` of a queue of `capacity` entries.
pub(super) fn distance(from: u32, to: u32, capacity: u32) -> u32 {
    if to >= from { to - from } else { capacity.saturating_sub(from).saturating_add(to) }
}

/// How far a drain thread has come in one ready queue: the index of the next entry that it takes.
#[derive(Debug)]
pub(super) struct Progress(CachePadded<AtomicU32>);

impl Progress {
    pub(super) fn new(taken: u32) -> Self {
        Self(CachePadded::new(AtomicU32::new(taken)))
    }

    /// Drain thread of the queue's shard.
    #[inline]
    pub(super) fn set(&self, taken: u32) {
        // Relaxed: the sentinel may see it late; it then announces too much, or at the next poll.
        self.0.store(taken, Ordering::Relaxed);
    }

    /// Entries before `tail` that the drain thread has not taken, in a queue of `capacity` entries; both are possible indices.
    /// Sentinel.
    #[inline]
    pub(super) fn behind(&self, tail: u32, capacity: u32) -> u32 {
        distance(self.0.load(Ordering::Relaxed), tail, capacity)
    }

    /// Whether the drain thread has an index of a queue of `capacity` entries at all: it may have found an impossible one.
    #[inline]
    pub(super) fn is_possible(&self, capacity: u32) -> bool {
        self.0.load(Ordering::Relaxed) < capacity
    }
}

/// Where the drain thread of a shard sleeps, and what it is told.
#[derive(Debug)]
pub(super) struct DrainBell {
    pub(super) event: EventCount,
    announcements: AtomicU32,
    requests: AtomicU32,
    hand_overs: AtomicU32,
}

impl DrainBell {
    pub(super) fn new() -> Self {
        Self {
            event: EventCount::new(),
            announcements: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            hand_overs: AtomicU32::new(0),
        }
    }

    /// Announces entries. Sentinel.
    pub(super) fn announce(&self) {
        // Relaxed: only the sentinel writes; the event orders it before the drain thread's look.
        let count = self.announcements.load(Ordering::Relaxed);
        self.announcements.store(count.wrapping_add(1), Ordering::Relaxed);
        self.event.notify();
    }

    /// Whether there was an announcement since the call before. Drain thread, which keeps `seen`.
    pub(super) fn is_announced(&self, seen: &mut u32) -> bool {
        // Relaxed: the event orders the announcement before this look.
        let count = self.announcements.load(Ordering::Relaxed);
        core::mem::replace(seen, count) != count
    }

    /// Asks for buffers in lanes of the shard that another shard starves for. Replenish thread.
    pub(super) fn request(&self) {
        // Relaxed: as in `announce`; only the replenish thread writes.
        let count = self.requests.load(Ordering::Relaxed);
        self.requests.store(count.wrapping_add(1), Ordering::Relaxed);
        self.event.notify();
    }

    /// Whether there was a request since the call before. Drain thread, which keeps `seen`.
    pub(super) fn is_requested(&self, seen: &mut u32) -> bool {
        // Relaxed: as in `is_announced`.
        let count = self.requests.load(Ordering::Relaxed);
        core::mem::replace(seen, count) != count
    }

    /// Hands over free queues of the shard that a freeze left empty. Replenish thread.
    pub(super) fn hand_over(&self) {
        // Relaxed: only the replenish thread writes.
        let count = self.hand_overs.load(Ordering::Relaxed);
        // [H1] Release: pairs with [H2]. Unlike an announcement this is not repeated: who counts it in sees what it is about.
        self.hand_overs.store(count.wrapping_add(1), H1.order());
        self.event.notify();
    }

    /// Whether there was a hand-over since the call before. Drain thread, which keeps `seen`.
    pub(super) fn is_handed_over(&self, seen: &mut u32) -> bool {
        // [H2] Acquire: pairs with [H1].
        let count = self.hand_overs.load(H2.order());
        core::mem::replace(seen, count) != count
    }
}
