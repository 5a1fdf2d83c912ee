//! The consumer.

use super::super::layout::MsgView;
use super::super::memory::{Memory, Slot, forget_origin, word};
use super::super::padding;
use super::{C1, C2, Transport, ahead};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{SharedWord64, Word64};

/// Slots that are fetched ahead of the one that is read.
const AHEAD: usize = 4;

/// Most conditions that a [`Target`] takes at once.
pub const MAX_ROOM: u64 = super::super::layout::MAX_CONDITIONS as u64;

/// Where a walk puts messages.
pub trait Target {
    /// Messages of the task `token` follow: how many conditions it takes, up to [`MAX_ROOM`]; 0 ends the walk.
    fn begin(&mut self, token: u64) -> u64;
    /// Takes the next message, whose words `message` reads, if it is a condition; else false.
    fn store(&mut self, message: impl Fn(usize) -> u64) -> bool;
    /// These were all conditions in a row, `count` and at least one.
    fn end(&mut self, count: u64);
    /// Takes the next message, which is no condition; false if it does not.
    fn other(&mut self, message: impl Fn(usize) -> u64) -> bool;
}

/// A run of messages that its consumer has looked at and not yet released. They stay in the ring, and are seen again by the
/// next reader, until [`Reader::release`].
#[derive(Debug)]
#[must_use = "messages that were taken stay in the ring until they are released"]
pub struct Reader<'a, M> {
    transport: &'a Transport<M>,
    start: u64,
    next: u64,
}

impl<M: Memory> Transport<M> {
    /// Begins to read at the oldest message. Consumer.
    #[inline(always)]
    pub fn reader(&self) -> Reader<'_, M> {
        // Relaxed: only the consumer moves it, and a change of the consumer is ordered by the caller.
        let start = self.memory.word(word::TAIL).load(Ordering::Relaxed);
        Reader { transport: self, start, next: start }
    }

    /// Takes the oldest message. `LANEPIPE_EMPTY` if nothing is claimed, `LANEPIPE_AGAIN` if the oldest ticket is not
    /// published yet; neither stores anything but, once for each gap, the count of gaps. `LANEPIPE_E_OVERLAP` if another
    /// consumer took it first. Consumer; wait-free.
    #[inline(always)]
    pub fn try_pop(&self) -> Result<MsgView, Status> {
        let mut reader = self.reader();
        let Some(message) = reader.peek() else {
            return Err(reader.why());
        };
        reader.take();
        match reader.release() {
            Ok(_) => Ok(message),
            Err(status) => Err(status),
        }
    }

    /// Takes up to `max` messages in ticket order, up to the first gap, and releases them with one exchange. Gives their
    /// number, which is 0 only if `max` is. Statuses as for [`Transport::try_pop`]; after `LANEPIPE_E_OVERLAP` what was handed
    /// to `sink` is not the caller's. Consumer; wait-free.
    #[inline(always)]
    pub fn pop_batch(&self, max: usize, mut sink: impl FnMut(usize, MsgView)) -> Result<usize, Status> {
        let mut reader = self.reader();
        // More are never there, and a reader must not come round to what it has not released.
        let max = max.min(self.memory.capacity() as usize);
        let mut count = 0;
        while count < max {
            let Some(message) = reader.peek() else { break };
            sink(count, message);
            reader.take();
            count += 1;
        }
        if count == 0 && max != 0 {
            return Err(reader.why());
        }
        reader.release()
    }

    /// Notes a gap, once.
    #[cold]
    fn note_gap(&self, ticket: u64) {
        let note = padding::gap(ticket);
        // Relaxed, all: statistics.
        if self.memory.word(word::GAP).load(Ordering::Relaxed) != note {
            self.memory.word(word::GAP).store(note, Ordering::Relaxed);
            self.add(word::GAPS);
        }
    }

    /// Adds one to a counter in padding, from any number of threads.
    #[cold]
    fn add(&self, index: usize) {
        let counter = self.memory.word(index);
        // Relaxed, all: statistics.
        let mut old = counter.load(Ordering::Relaxed);
        loop {
            let new = padding::count(padding::count_of(old).saturating_add(1));
            match counter.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(moved) => old = moved,
            }
        }
    }
}

/// Whether `slot` holds the message that is published as `published`, which is not 0.
#[inline(always)]
fn is_published(slot: &impl Slot, published: u64) -> bool {
    // [C1] Acquire: as in `Reader::peek`.
    slot.seq().load(C1.order()) == published
}

impl<M: Memory> Reader<'_, M> {
    /// The next message, if it is published. Looking changes nothing.
    #[inline(always)]
    pub fn peek(&self) -> Option<MsgView> {
        let memory = &self.transport.memory;
        // Exactly this ticket: an older generation is smaller, and nothing greater is this message.
        // [C1] Acquire: pairs with [P1]; the payload is there.
        let published = self.next.wrapping_add(1);
        if memory.seq(self.next).load(C1.order()) != published {
            return None;
        }
        // The last ticket of all publishes what a slot holds that was never used.
        if published == 0 && !self.is_claimed() {
            return None;
        }
        memory.prefetch_to_read(self.next.wrapping_add(AHEAD as u64));
        Some(MsgView::from_words(memory.read(self.next)))
    }

    /// Passes over the message that [`Reader::peek`] showed; not before [`Reader::taken`] has reached the capacity.
    #[inline(always)]
    pub fn take(&mut self) {
        self.next = self.next.wrapping_add(1);
    }

    /// Shows the messages from `offset` on to `target`, up to the first that it does not take, and `most` at most. How many it
    /// took. May stop early: nothing is said of the message that comes next.
    #[inline(always)]
    pub fn walk(&self, offset: u64, most: u64, target: &mut impl Target) -> u64 {
        let memory = &self.transport.memory;
        let first = self.start.wrapping_add(offset);
        // Up to the ring's end. The last tickets of all are left to `peek`: numbers do not wrap here.
        let to_end = memory.capacity() - (first & (memory.capacity() - 1));
        let most = most.min(to_end).min((u64::MAX - MAX_ROOM).saturating_sub(first));
        // What `seq` has to be, which counts the messages, too.
        let begin = first.wrapping_add(1);
        let end = begin.wrapping_add(most);
        let mut published = begin;
        let mut slot = memory.slot(first);
        while published != end && is_published(&slot, published) {
            let token = slot.payload(0);
            let room = target.begin(token);
            if room == 0 {
                break;
            }
            debug_assert!(room <= MAX_ROOM);
            let from = published;
            let run_end = end.min(from.wrapping_add(room));
            loop {
                slot.prefetch(AHEAD);
                if !target.store(|index| slot.payload(index)) {
                    break;
                }
                slot = slot.behind();
                published = published.wrapping_add(1);
                forget_origin!(published);
                if published == run_end || !is_published(&slot, published) || slot.payload(0) != token {
                    break;
                }
            }
            if published != from {
                target.end(published.wrapping_sub(from));
            } else if target.other(|index| slot.payload(index)) {
                slot = slot.behind();
                published = published.wrapping_add(1);
            } else {
                break;
            }
        }
        published.wrapping_sub(begin)
    }

    /// Has passed over `count` messages, all of which [`Reader::peek`] has shown.
    #[inline(always)]
    pub fn seek(&mut self, count: u64) {
        self.next = self.start.wrapping_add(count);
    }

    /// Messages passed over.
    #[inline(always)]
    pub fn taken(&self) -> u64 {
        self.next.wrapping_sub(self.start)
    }

    /// Whether the next ticket is claimed, as far as a glance shows.
    #[inline(always)]
    fn is_claimed(&self) -> bool {
        // Relaxed: an older head makes the ring look empty.
        ahead(self.transport.memory.word(word::HEAD).load(Ordering::Relaxed), self.next) > 0
    }

    /// Why there is no message: `LANEPIPE_EMPTY`, or `LANEPIPE_AGAIN` during a gap, which is noted once.
    #[inline(always)]
    pub fn why(&self) -> Status {
        if !self.is_claimed() {
            return Status::LANEPIPE_EMPTY;
        }
        // Published since: no gap.
        if self.transport.memory.seq(self.next).load(Ordering::Relaxed) != self.next.wrapping_add(1) {
            self.transport.note_gap(self.next);
        }
        Status::LANEPIPE_AGAIN
    }

    /// Gives the slots of the messages that were passed over back to the producers, with one exchange, and says how many they
    /// were. `LANEPIPE_E_OVERLAP` if somebody else has moved the tail meanwhile: nothing was released, and somebody else
    /// has these messages, too.
    #[inline(always)]
    pub fn release(self) -> Result<usize, Status> {
        let taken = self.taken();
        if taken == 0 {
            return Ok(0);
        }
        let tail = self.transport.memory.word(word::TAIL);
        // [C2] Release: pairs with [P2]; the reads of the slots come before the writes of the next producer.
        match tail.compare_exchange(self.start, self.next, C2.order(), Ordering::Relaxed) {
            Ok(_) => Ok(taken as usize),
            Err(_) => {
                self.transport.add(word::OVERLAPS);
                Err(Status::LANEPIPE_E_OVERLAP)
            }
        }
    }
}
