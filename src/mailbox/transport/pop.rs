//! The consumer.

use super::super::layout::{KIND_CONDITION, MsgView, Words};
use super::super::memory::{Memory, word};
use super::super::padding;
use super::{C1, C2, Transport, ahead};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{SharedWord64, Word64};

/// Slots that are fetched ahead of the one that is read.
const AHEAD: u64 = 4;

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
    /// number, which is 0 only if `max` is. Statuses as for [`Transport::try_pop`]; after `LANEPIPE_E_OVERLAP` what was handed to `sink` is
    /// not the caller's. Consumer; wait-free.
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

/// The message of `ticket`, if it is published and a condition.
#[inline(always)]
fn condition<M: Memory>(memory: &M, ticket: u64) -> Option<Words> {
    // [C1] Acquire: as in `Reader::peek`, which alone knows what ticket 0 - 1 means.
    let published = ticket.wrapping_add(1);
    if memory.seq(ticket).load(C1.order()) != published || published == 0 {
        return None;
    }
    let words = memory.read(ticket);
    (words[4] >> 32 == u64::from(KIND_CONDITION)).then_some(words)
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
        memory.prefetch_to_read(self.next.wrapping_add(AHEAD));
        Some(MsgView::from_words(memory.read(self.next)))
    }

    /// Passes over the message that [`Reader::peek`] showed; not before [`Reader::taken`] has reached the capacity.
    #[inline(always)]
    pub fn take(&mut self) {
        self.next = self.next.wrapping_add(1);
    }

    /// Token of the condition `offset` behind the first message of the run; `None` if there is none or it is another message.
    #[inline(always)]
    pub fn condition_at(&self, offset: u64) -> Option<u64> {
        condition(&self.transport.memory, self.start.wrapping_add(offset)).map(|[token, ..]| token)
    }

    /// Shows the conditions of the task `token` from `offset` on to `store`, up to the first message that is something else, and
    /// `most` at most. How many there were.
    #[inline(always)]
    pub fn conditions(&self, offset: u64, most: u64, token: u64, mut store: impl FnMut(u64, &Words)) -> u64 {
        let memory = self.transport.memory.view();
        let first = self.start.wrapping_add(offset);
        let mut count = 0;
        while count < most {
            let ticket = first.wrapping_add(count);
            let Some(words) = condition(&memory, ticket).filter(|words| words[0] == token) else { break };
            memory.prefetch_to_read(ticket.wrapping_add(AHEAD));
            store(count, &words);
            count += 1;
        }
        count
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
