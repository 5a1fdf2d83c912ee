//! The host's ends of the two device queues.

use super::link::{Link, Words64};
use super::rmb;
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{Edge, Word32, Word64};

/// Load of a ready tail.
pub(crate) const D1: Edge = Edge::new("layout.D1", Ordering::Acquire);
const D2: Edge = Edge::new("layout.D2", Ordering::Release);
const F1: Edge = Edge::new("layout.F1", Ordering::Release);
const F2: Edge = Edge::new("layout.F2", Ordering::Acquire);

/// The consumer end of a device ready queue. One thread at a time uses it: the drain thread of the queue's shard.
#[derive(Debug, Clone, Copy)]
pub struct ReadyPort<W, S> {
    /// Written by the host only.
    pub head: W,
    /// Written by the device only.
    pub tail: W,
    /// `capacity * entry_words` words.
    pub entries: S,
    /// Modulus of the indices, at least 1. One slot stays empty, so that a queue of one never holds an entry.
    pub capacity: u32,
    /// Words from one entry to the next.
    pub entry_words: u32,
}

impl<W: Word32, S: Words64> ReadyPort<W, S> {
    /// The device's tail, unchecked: it may hold anything.
    #[inline]
    pub fn tail(&self, link: &impl Link<W, S>) -> Result<u32, Status> {
        // [D1] Acquire: pairs with the device's release of the tail.
        link.load(&self.tail, &D1)
    }

    /// The tail as the host's memory has it, which may lag behind the device's where memory is copied; unchecked.
    #[inline]
    pub fn known_tail(&self) -> u32 {
        // [D1] Acquire: pairs with the device's release of the tail.
        let tail = self.tail.load(D1.order());
        rmb();
        tail
    }

    /// Copies `out.len() / entry_words` entries from index `first` on, wrapping at the end of the queue. `first` is below
    /// the capacity and the count at most the capacity.
    #[inline]
    pub fn read_entries(&self, link: &impl Link<W, S>, first: u32, out: &mut [u64]) -> Result<(), Status> {
        let words = self.entry_words as usize;
        let start = first as usize * words;
        let run = out.len().min(self.capacity as usize * words - start);
        let (head, wrapped) = out.split_at_mut(run);
        link.load_words(&self.entries, start, head)?;
        if !wrapped.is_empty() {
            link.load_words(&self.entries, 0, wrapped)?;
        }
        Ok(())
    }

    /// Gives the slots before `head` back to the device. All reads of them are complete.
    #[inline]
    pub fn publish_head(&self, link: &impl Link<W, S>, head: u32) -> Result<(), Status> {
        // [D2] Release: pairs with the device's acquire of the head before it fills a slot again.
        link.store(&self.head, head, &D2)
    }

    /// Writes the host's own head word without telling the device, for the next run to start from. Only for a link that
    /// failed to publish `head`.
    pub fn keep_head(&self, head: u32) {
        // Relaxed: only the host's threads look at it, one run after the other.
        self.head.store(head, Ordering::Relaxed);
    }

    /// The host's own head word. At rest, or the queue's consumer; to others it may be old.
    pub fn own_head(&self) -> u32 {
        // Relaxed: only the host writes the head.
        self.head.load(Ordering::Relaxed)
    }
}

/// The producer end of a device free queue. One thread at a time uses it: whoever has the free queue's turn, or the owner
/// while no thread runs.
#[derive(Debug, Clone, Copy)]
pub struct FreePort<W, S> {
    /// Written by the device only.
    pub head: W,
    /// Written by the host only.
    pub tail: W,
    /// `slot_count` words.
    pub slots: S,
    /// At least 1. The slot of a counter is its remainder, which is seamless where the counters wrap only for powers of two.
    pub slot_count: u32,
}

impl<W: Word32, S: Words64> FreePort<W, S> {
    /// The device's head, unchecked: it may hold anything.
    #[inline]
    pub fn head(&self, link: &impl Link<W, S>) -> Result<u32, Status> {
        // [F2] Acquire: pairs with the device's release of the head after it read the slot.
        link.load(&self.head, &F2)
    }

    /// Whether the device surely has a buffer left in it. Not if the head cannot be read, nor if it is ahead of what the host
    /// knows to be published: then a publication of which nobody was told took effect, and is used up.
    pub fn surely_holds(&self, link: &impl Link<W, S>) -> bool {
        self.head(link).is_ok_and(|head| (1..=self.slot_count).contains(&self.own_tail().wrapping_sub(head)))
    }

    /// Index of the slot of a counter.
    #[inline]
    fn slot(&self, counter: u32) -> usize {
        // Powers of two are what devices have, and a division takes longer.
        let index =
            if self.slot_count.is_power_of_two() { counter & (self.slot_count - 1) } else { counter % self.slot_count };
        index as usize
    }

    /// Writes buffer addresses to the slots from counter `tail` on; at most `slot_count` of them, all free.
    #[inline]
    pub fn write_slots(&self, link: &impl Link<W, S>, tail: u32, buffers: &[u64]) -> Result<(), Status> {
        let (mut tail, mut rest) = (tail, buffers);
        while !rest.is_empty() {
            let start = self.slot(tail);
            // Where the counters wrap, the remainder need not go on with the next slot.
            let run = rest.len().min(self.slot_count as usize - start).min((u32::MAX - tail) as usize + 1);
            let (now, later) = rest.split_at(run);
            link.store_words(&self.slots, start, now)?;
            tail = tail.wrapping_add(run as u32);
            rest = later;
        }
        Ok(())
    }

    /// Hands the slots before `tail` to the device.
    #[inline]
    pub fn publish_tail(&self, link: &impl Link<W, S>, tail: u32) -> Result<(), Status> {
        // [F1] Release: pairs with the device's acquire of the tail before it reads the slots.
        link.store(&self.tail, tail, &F1)
    }

    /// Asks the device's memory for the tail: tells whether a publication that reported failure took effect.
    pub fn published_tail(&self, link: &impl Link<W, S>) -> Result<u32, Status> {
        link.load(&self.tail, &F2)
    }

    /// Writes the host's own tail word after a publication that reported failure turned out to have taken effect.
    pub fn keep_tail(&self, tail: u32) {
        // Relaxed: as for `own_tail`; the device has the word already.
        self.tail.store(tail, Ordering::Relaxed);
    }

    /// The host's own tail word. Whoever may write it.
    pub fn own_tail(&self) -> u32 {
        // Relaxed: only the host writes the tail.
        self.tail.load(Ordering::Relaxed)
    }

    /// The host's own copies of the slots from counter `tail` on. Whoever may write them.
    pub fn own_slots(&self, tail: u32, out: &mut [u64]) {
        for (counter, value) in (0..).map(|offset| tail.wrapping_add(offset)).zip(out) {
            // Relaxed, here and below: as for `own_tail`.
            *value = self.slots.with(self.slot(counter), |word| word.load(Ordering::Relaxed));
        }
    }

    /// Puts back what [`FreePort::own_slots`] found, after a publication that failed.
    pub fn keep_slots(&self, tail: u32, values: &[u64]) {
        for (counter, value) in (0..).map(|offset| tail.wrapping_add(offset)).zip(values) {
            self.slots.with(self.slot(counter), |word| word.store(*value, Ordering::Relaxed));
        }
    }
}
