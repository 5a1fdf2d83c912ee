//! The transport: claim a ticket, fill its slot, publish it; and the consumer's way through the slots in ticket order.
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | `head`: tickets claimed | producers, by exchange; users at rest | producers, observers |
//! | `tail`: messages consumed | the consumer, by exchange; users at rest | everybody |
//! | slot of ticket p, `tail <= p < head`, unpublished | the producer that claimed p | nobody |
//! | the same, `seq == p + 1` | nobody | the consumer |
//! | every other slot | nobody | nobody |
//! | hint | producers | producers |
//! | stamp | the boot thread | the boot thread, the wait list |
//! | gap note and counters | consumers | observers |
//!
//! `head`, `tail` and the `seq` words are the whole truth: users move cursors by hand (a claim that nobody publishes,
//! `tail := head` at rest), and padding may hold anything. Cursors run freely over 64 bits and are compared by signed
//! difference.
//!
//! # Edges
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | P1 → C1 | `seq` store, Release | `seq` load, Acquire | payload | `loom_mailbox_weak_p1`, `loom_mailbox_weak_c1` |
//! | C2 → P2 | `tail` exchange, Release | `tail` load, Acquire | end of the reads of a slot | `loom_mailbox_weak_c2`, `loom_mailbox_weak_p2` |
//! | H1 → H2 | hint store, Release | hint load, Acquire | what P2 brought to the writer of the hint | `loom_mailbox_weak_h1`, `loom_mailbox_weak_h2` |
//!
//! The exchange on `head` is relaxed: it hands out tickets and carries nothing. If one push happens before another, its
//! exchange comes first in the modification order of `head`, so its ticket is smaller (contract M5).
//!
//! # The hint
//!
//! A producer must have acquired some `tail` value t with `head - t` below the capacity. Reading `tail` costs a transfer
//! of the line that the consumer writes. So a producer leaves beside `head`, before each exchange, what it knows: "when the
//! head becomes h, at most u tickets are taken", that is `t = h - u`. The next producer takes that instead of `tail` if it
//! is about the very head that it is about to exchange. It then reads the line of `head` only, which it must own anyway.
//!
//! A hint is good for one value of `head`, so one from another run or from before a user moved `head` says nothing, and
//! neither do zero or random bytes. One from earlier in the same run about the same head would be true: `tail` only grows.
//!
//! # Why no ticket is taken by fetch-add
//!
//! A producer that checked for room and then sleeps may add one after others have filled the ring by exchange, whatever
//! distance from the capacity its check demanded. Its claim would have to wait for a slot, and `head` would be out of its
//! bounds meanwhile. An exchange on a line that was fetched for writing costs what an addition costs. So there is no limit to
//! the number of producers; up to 256 are what is promised.
//!
//! # Consumers
//!
//! One at a time, and a change of the consumer is ordered by the caller. `tail` moves by exchange all the same: of two that
//! are at work at once one loses, gets nothing, counts the finding and reports it. Neither ever reads outside the ring.
//!
//! # Failure exits
//!
//! No function waits. A full or empty ring and a gap are statuses. A producer that dies between claim and publish leaves a
//! gap: nothing behind it is delivered, the other producers go on until the ring is full.

mod pop;
mod push;
mod start;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

pub use pop::Reader;

use super::memory::{Memory, RawMemory, word};
use super::padding;
use crate::sync::atomic::Ordering;
use crate::sync::{Edge, Word64};

/// `seq` store of a producer.
pub(super) const P1: Edge = Edge::new("mailbox.P1", Ordering::Release);
/// `tail` load of a producer.
pub(super) const P2: Edge = Edge::new("mailbox.P2", Ordering::Acquire);
/// `seq` load of the consumer.
pub(super) const C1: Edge = Edge::new("mailbox.C1", Ordering::Acquire);
/// `tail` exchange of the consumer.
pub(super) const C2: Edge = Edge::new("mailbox.C2", Ordering::Release);
/// Hint store of a producer.
pub(super) const H1: Edge = Edge::new("mailbox.H1", Ordering::Release);
/// Hint load of a producer.
pub(super) const H2: Edge = Edge::new("mailbox.H2", Ordering::Acquire);

/// Producers that are promised to work at once.
pub const MAX_PRODUCERS: usize = 256;

/// Most messages of one claim: the conditions of a slab and a sentinel.
pub const MAX_CLAIM: usize = super::layout::MAX_CONDITIONS + 1;

/// The transport over a view of a mailbox.
#[derive(Debug, Clone, Copy)]
pub struct Transport<M> {
    memory: M,
}

/// The transport over memory of the caller.
pub type RawTransport = Transport<RawMemory>;

/// What an observer sees of a mailbox. Torn while threads work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Tickets claimed.
    pub head: u64,
    /// Messages consumed.
    pub tail: u64,
    /// Tickets claimed and not consumed, within `0..=capacity`.
    pub pending: u32,
    /// Whether the oldest of them is claimed and not published.
    pub gap: bool,
    /// Gaps that the consumer met, each counted once.
    pub gaps: u32,
    /// How often a consumer found that another one had moved `tail`.
    pub overlaps: u32,
    /// Number of the run that [`Transport::init_empty`] began last; 0 if it never did here.
    pub run: u32,
}

/// How far `head` is ahead of `tail`; negative if `tail` was read later and more was claimed and consumed meanwhile.
#[inline(always)]
const fn ahead(head: u64, tail: u64) -> i64 {
    head.wrapping_sub(tail) as i64
}

impl<M: Memory> Transport<M> {
    /// The transport over `memory`.
    #[inline(always)]
    pub const fn new(memory: M) -> Self {
        Self { memory }
    }

    /// Whether tickets are claimed beyond what was consumed; true during a gap, too. Any thread; a hint, stores nothing.
    #[inline(always)]
    pub fn has_pending(&self) -> bool {
        // Relaxed, both: nothing is read on the strength of the answer.
        let tail = self.memory.word(word::TAIL).load(Ordering::Relaxed);
        let head = self.memory.word(word::HEAD).load(Ordering::Relaxed);
        ahead(head, tail) > 0
    }

    /// Messages consumed. Exact for the consumer; advisory for others.
    #[inline(always)]
    pub fn tail(&self) -> u64 {
        // Relaxed: the consumer's own word.
        self.memory.word(word::TAIL).load(Ordering::Relaxed)
    }

    /// What an observer sees. Any thread.
    pub fn stats(&self) -> Stats {
        // Relaxed, all: numbers for people.
        let load = |index| self.memory.word(index).load(Ordering::Relaxed);
        let (tail, head) = (load(word::TAIL), load(word::HEAD));
        let pending = ahead(head, tail).clamp(0, self.memory.capacity() as i64) as u32;
        let gap = pending != 0 && self.memory.seq(tail).load(Ordering::Relaxed) != tail.wrapping_add(1);
        Stats {
            head,
            tail,
            pending,
            gap,
            gaps: padding::count_of(load(word::GAPS)),
            overlaps: padding::count_of(load(word::OVERLAPS)),
            run: self.run().unwrap_or(0),
        }
    }
}
