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
//! | P3 → P4 | `head` exchange, Release | `head` load before a refusal, Acquire | the tail by which there was room | `loom_mailbox_weak_p3`, `loom_mailbox_weak_p4` |
//!
//! Of tickets and payload the exchange on `head` carries nothing. If one push happens before another, its exchange comes
//! first in the modification order of `head`, so its ticket is smaller (contract M5).
//!
//! # Why producers read the tail
//!
//! A producer must have acquired some `tail` value t with `head - t` below the capacity. Reading it costs a transfer of the
//! line whenever the consumer has written it since. A copy beside `head` would spare that: but padding may hold anything,
//! users move both cursors, backwards too, and a copy that is checked against the head has to be written with every claim,
//! in the line that producers fight for. That costs more than it saves.
//!
//! # A refusal is exact
//!
//! The tail is read before the head, so their difference is too large if the consumer moves on between. A full ring is
//! one whose tail is the same before and after the head was read. Where loads pass each other that takes the edge P3 → P4:
//! the head may be one that was claimed by a later tail than the one at hand.
//!
//! # Starts
//!
//! [`Transport::init_empty`] stamps the padding of the tail's line with the first ticket of this life of the memory, and takes
//! the next life's tickets from far ahead: no `seq` that an earlier life has left, wherever it lies, is one of a ticket to
//! come. So nobody has to look at the slots, and nothing that producers or users do to `head` in the meantime matters as
//! long as it stays within the life's range; if it does not, or the stamp is not whole, everything is cleared.
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

pub use pop::{Reader, Target};

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
/// `head` exchange of a producer.
pub(super) const P3: Edge = Edge::new("mailbox.P3", Ordering::Release);
/// `head` load of a producer that may refuse.
pub(super) const P4: Edge = Edge::new("mailbox.P4", Ordering::Acquire);

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
