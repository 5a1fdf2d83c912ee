//! The ready hand-off: a ring of buffers with payloads, and an event count for each side that can wait.
//!
//! Owners: the drain thread of the shard pushes, the collect thread pops. A producer that finds the ring full waits on
//! `space`, a consumer that finds it empty waits on `items`; each side notifies the other's event after it moved its
//! index, so no wake-up is lost (edges of [`crate::event`]). Both events are asymmetric where the platform allows: a hop that
//! finds nobody asleep costs no fence. While a profiler runs they are not: its hops are whole batches, which do not notice a
//! fence, and its threads sleep often. Closing `items` ends the consumer once the ring is empty.

use super::Buffer;
use crate::event::{EventCount, WaitEnd};
use crate::ring::{OwnedByteRing, copy, store_pair};
use crate::status::Status;
use crate::sync::{relax, step_aside};
use core::ptr;

/// Looks at the ring before a sleep, which with its wake-up costs some microseconds, each with the hints that follow it.
/// The time between two looks doubles: each look takes the line of the other side's index away from it, and a side that
/// comes back to more than one element makes up for the wait. Models go to sleep at once.
const LOOKS: &[u32] = if cfg!(all(test, loom)) { &[] } else { &[1, 2, 4, 8, 16, 32, TURN, TURN, TURN, TURN] };
/// In place of hints: the other threads have their turn. Where there are more threads than processors, the other side comes
/// to many elements in the meantime, and nobody needs to be woken.
const TURN: u32 = 0;

/// Hints before the first look of a consumer that takes one element at a time and knows of none: one that looks at once
/// finds a single new element each time, and fights for the lines of index and slot that the producer is writing to.
const HEAD_START: u32 = if cfg!(all(test, loom)) { 0 } else { 32 };

/// What a wait does before it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// It looks at the ring for some microseconds.
    Many,
    /// It looks once.
    One,
}

const HEADER: usize = size_of::<Buffer>();

/// The ready ring of one shard.
pub struct ReadyQueue {
    ring: OwnedByteRing,
    payload_size: usize,
    items: EventCount,
    space: EventCount,
}

impl ReadyQueue {
    pub(super) fn new(capacity: u32, payload_size: u32) -> Result<Self, Status> {
        Ok(Self {
            ring: OwnedByteRing::new(capacity, HEADER as u32 + payload_size)?,
            payload_size: payload_size as usize,
            items: EventCount::asymmetric(),
            space: EventCount::asymmetric(),
        })
    }

    /// Elements stored. Any thread, advisory.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether nothing is stored. Any thread; `false` is reliable for the consumer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ring, for guards.
    pub(crate) fn ring(&self) -> &OwnedByteRing {
        &self.ring
    }

    /// Stores as many elements as fit and wakes the consumer; returns how many. Never blocks.
    ///
    /// # Safety
    ///
    /// The caller is the drain thread of the shard. `payloads` is readable for one payload per buffer.
    #[inline(always)]
    pub unsafe fn push(&self, buffers: &[Buffer], payloads: *const u8) -> usize {
        // SAFETY: forwarded.
        unsafe { self.push_noted(buffers, payloads, |_| ()) }
    }

    /// As [`ReadyQueue::push`]; `note` sees each buffer that is stored, before the collect thread can.
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::push`].
    #[inline(always)]
    pub(super) unsafe fn push_noted(
        &self,
        buffers: &[Buffer],
        payloads: *const u8,
        note: impl Fn(&Buffer) + Copy,
    ) -> usize {
        // SAFETY: forwarded.
        let pushed = unsafe { self.store(buffers, payloads, note) };
        if pushed != 0 {
            self.items.notify();
        }
        pushed
    }

    /// Stores all elements, waiting for room up to `deadline` (nanoseconds of the monotonic clock); returns how many were
    /// stored, all of them unless the deadline passed.
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::push`].
    pub unsafe fn wait_push(&self, buffers: &[Buffer], payloads: *const u8, deadline: u64) -> usize {
        // SAFETY: forwarded.
        unsafe { self.wait_push_noted(buffers, payloads, deadline, |_| ()) }
    }

    /// As [`ReadyQueue::wait_push`], with the `note` of [`ReadyQueue::push_noted`].
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::push`].
    pub(super) unsafe fn wait_push_noted(
        &self,
        buffers: &[Buffer],
        payloads: *const u8,
        deadline: u64,
        note: impl Fn(&Buffer) + Copy,
    ) -> usize {
        let mut stored = 0;
        while stored < buffers.len() {
            let outcome = wait(&self.space, deadline, Looks::Many, || {
                let rest = buffers.get(stored..).unwrap_or_default();
                // SAFETY: forwarded; the payloads of the stored elements are skipped.
                let more = unsafe { self.push_noted(rest, payloads.wrapping_add(stored * self.payload_size), note) };
                (more != 0).then_some(more)
            });
            match outcome {
                Ok(more) => stored += more,
                Err(_) => break,
            }
        }
        stored
    }

    /// [`ReadyQueue::push_noted`] of one buffer; false, and nothing done, if the ring is full or the payload of a size
    /// without a short copy.
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::push`].
    #[inline(always)]
    pub(super) unsafe fn push_one(&self, buffer: Buffer, payload: *const u8, note: impl Fn(&Buffer)) -> bool {
        let size = self.payload_size;
        if size != 32 && size != 40 {
            return false;
        }
        let fill = |slot: *mut u8| {
            // SAFETY: an element is the buffer and the payload, of which the caller vouches for as many bytes.
            unsafe {
                let to = slot.add(HEADER);
                match size {
                    32 => copy(payload, to, 32),
                    _ => copy(payload, to, 40),
                }
                note(&buffer);
                store_pair(slot, buffer.words());
            }
        };
        // SAFETY: the caller is the ring's sole producer, and `fill` writes the whole element.
        if !unsafe { self.ring.write_one(fill) } {
            return false;
        }
        self.items.notify();
        true
    }

    /// Takes up to `buffers.len()` elements and wakes a waiting producer; returns how many. Never blocks.
    ///
    /// # Safety
    ///
    /// The caller is the collect thread of the shard. `buffers` is writable for `max` elements, `payloads` for as many
    /// payloads.
    #[inline(always)]
    pub unsafe fn pop(&self, buffers: *mut Buffer, payloads: *mut u8, max: usize) -> usize {
        // SAFETY: forwarded.
        unsafe { self.pop_noted(buffers, payloads, max, |_| ()) }
    }

    /// As [`ReadyQueue::pop`]; `note` sees each buffer that is taken.
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::pop`].
    #[inline(always)]
    pub(super) unsafe fn pop_noted(
        &self,
        buffers: *mut Buffer,
        payloads: *mut u8,
        max: usize,
        note: impl Fn(&Buffer) + Copy,
    ) -> usize {
        // SAFETY: forwarded.
        let popped = unsafe { self.load(buffers, payloads, max, note) };
        if popped != 0 {
            self.space.notify();
        }
        popped
    }

    /// [`ReadyQueue::pop_noted`] of one buffer; false, and nothing done, if the ring is empty or the payload of a size
    /// without a short copy.
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::pop`].
    #[inline(always)]
    pub(super) unsafe fn pop_one(&self, buffer: *mut Buffer, payload: *mut u8, note: impl Fn(&Buffer)) -> bool {
        let size = self.payload_size;
        if size != 32 && size != 40 {
            return false;
        }
        let take = |slot: *const u8| {
            // SAFETY: an element is the buffer and the payload, for which the caller vouches for the room.
            unsafe {
                let from = slot.add(HEADER);
                match size {
                    32 => copy(from, payload, 32),
                    _ => copy(from, payload, 40),
                }
                // The whole buffer as one move: the caller's next step loads it so.
                ptr::copy_nonoverlapping(slot, buffer.cast(), HEADER);
            }
        };
        // SAFETY: the caller is the ring's sole consumer.
        if !unsafe { self.ring.read_one(take) } {
            return false;
        }
        self.space.notify();
        // Behind the fence, which would wait for this store: the producer wrote the same line not long ago.
        // SAFETY: filled above.
        note(unsafe { &*buffer });
        true
    }

    /// For a consumer that would rather wait than come back with nothing: gives the producer a head start, unless an element is
    /// known without a look.
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::pop`].
    #[inline(always)]
    pub(super) unsafe fn give_head_start(&self) {
        // SAFETY: the caller is the ring's sole consumer.
        if !unsafe { self.ring.is_front_known() } {
            (0..HEAD_START).for_each(|_| relax());
        }
    }

    /// As [`ReadyQueue::pop`], but waits for the first element up to `deadline`.
    ///
    /// # Errors
    ///
    /// The ring was empty when the deadline passed, or it is closed and empty.
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::pop`].
    pub unsafe fn wait_pop(
        &self,
        buffers: *mut Buffer,
        payloads: *mut u8,
        max: usize,
        deadline: u64,
    ) -> Result<usize, WaitEnd> {
        // SAFETY: forwarded.
        unsafe { self.wait_pop_noted(buffers, payloads, max, (deadline, Looks::Many), |_| ()) }
    }

    /// As [`ReadyQueue::wait_pop`], with the `note` of [`ReadyQueue::pop_noted`].
    ///
    /// # Errors
    ///
    /// As for [`ReadyQueue::wait_pop`].
    ///
    /// # Safety
    ///
    /// As for [`ReadyQueue::pop`].
    pub(super) unsafe fn wait_pop_noted(
        &self,
        buffers: *mut Buffer,
        payloads: *mut u8,
        max: usize,
        (deadline, looks): (u64, Looks),
        note: impl Fn(&Buffer) + Copy,
    ) -> Result<usize, WaitEnd> {
        wait(&self.items, deadline, looks, || {
            // SAFETY: forwarded.
            let popped = unsafe { self.pop_noted(buffers, payloads, max, note) };
            (popped != 0).then_some(popped)
        })
    }

    /// Ends waiting consumers once the ring is empty. The producer has stopped.
    pub fn close(&self) {
        self.items.close();
    }

    /// Takes [`ReadyQueue::close`] back. At rest only.
    pub fn reopen(&self) {
        self.items.reopen();
    }

    /// Whether both sides fence at each hop rather than before each sleep. At rest only.
    pub fn fence_hops(&self, fence: bool) {
        self.items.fence_notifiers(fence);
        self.space.fence_notifiers(fence);
    }

    /// Runs `f` on every element. At rest only.
    ///
    /// # Safety
    ///
    /// No other thread uses the ring.
    pub(super) unsafe fn for_each(&self, mut f: impl FnMut(&Buffer)) {
        // SAFETY: at rest the caller may play the consumer; nothing is released.
        let runs = unsafe { self.ring.front(usize::MAX) };
        let size = self.ring.element_size();
        for (first, count) in [(runs.first, runs.first_count), (runs.second, runs.second_count)] {
            for index in 0..count {
                // SAFETY: the run holds `count` elements of `size` bytes, each starting with a `Buffer`.
                f(&unsafe { ptr::read_unaligned(first.add(index * size).cast::<Buffer>()) });
            }
        }
    }

    /// Empties the ring. At rest only.
    ///
    /// # Safety
    ///
    /// No other thread uses the ring.
    pub(super) unsafe fn clear(&self) {
        // SAFETY: at rest the caller may play the consumer.
        unsafe {
            let count = self.ring.front(usize::MAX).count();
            self.ring.release(count);
        }
    }

    /// # Safety
    ///
    /// As for [`ReadyQueue::push`].
    #[inline(always)]
    unsafe fn store(&self, buffers: &[Buffer], payloads: *const u8, note: impl Fn(&Buffer) + Copy) -> usize {
        // SAFETY: the caller is the ring's sole producer until `publish`; the runs are at most `buffers.len()` long.
        unsafe {
            let runs = self.ring.claim(buffers.len());
            let (source, first) = (buffers.as_ptr(), runs.first_count);
            self.fill(runs.first, source, payloads, first, note);
            if runs.second_count != 0 {
                let payloads = payloads.wrapping_add(first * self.payload_size);
                self.fill_wrapped(runs.second, source.wrapping_add(first), payloads, runs.second_count, note);
            }
            self.ring.publish(runs.count());
            runs.count()
        }
    }

    /// # Safety
    ///
    /// As for [`ReadyQueue::pop`].
    #[inline(always)]
    unsafe fn load(&self, buffers: *mut Buffer, payloads: *mut u8, max: usize, note: impl Fn(&Buffer) + Copy) -> usize {
        // SAFETY: the caller is the ring's sole consumer until `release`, and vouches for the room.
        unsafe {
            let runs = self.ring.front(max);
            let (count, first) = (runs.count(), runs.first_count);
            if count == 0 {
                return 0;
            }
            self.drain(runs.first, buffers, payloads, first, note);
            if runs.second_count != 0 {
                let payloads = payloads.wrapping_add(first * self.payload_size);
                self.drain_wrapped(runs.second, buffers.wrapping_add(first), payloads, runs.second_count, note);
            }
            self.ring.release(count);
            count
        }
    }

    /// Fills slots.
    ///
    /// # Safety
    ///
    /// `slots` has room for `count` elements; `buffers` and `payloads` hold as many.
    #[inline(always)]
    unsafe fn fill(
        &self,
        slots: *mut u8,
        buffers: *const Buffer,
        payloads: *const u8,
        count: usize,
        note: impl Fn(&Buffer),
    ) {
        // SAFETY: forwarded. A constant size makes each copy a few moves.
        unsafe {
            match self.payload_size {
                32 => fill(32, slots, buffers, payloads, count, note),
                40 => fill(40, slots, buffers, payloads, count, note),
                size => fill(size, slots, buffers, payloads, count, note),
            }
        }
    }

    /// [`ReadyQueue::fill`] for the rare second run, which need not make its caller longer.
    ///
    /// # Safety
    ///
    /// As there.
    #[cold]
    unsafe fn fill_wrapped(
        &self,
        slots: *mut u8,
        buffers: *const Buffer,
        payloads: *const u8,
        count: usize,
        note: impl Fn(&Buffer),
    ) {
        // SAFETY: forwarded.
        unsafe { self.fill(slots, buffers, payloads, count, note) };
    }

    /// Empties slots.
    ///
    /// # Safety
    ///
    /// `slots` holds `count` elements; `buffers` and `payloads` have room for as many.
    #[inline(always)]
    unsafe fn drain(
        &self,
        slots: *const u8,
        buffers: *mut Buffer,
        payloads: *mut u8,
        count: usize,
        note: impl Fn(&Buffer),
    ) {
        // SAFETY: forwarded.
        unsafe {
            match self.payload_size {
                32 => drain(32, slots, buffers, payloads, count, note),
                40 => drain(40, slots, buffers, payloads, count, note),
                size => drain(size, slots, buffers, payloads, count, note),
            }
        }
    }

    /// [`ReadyQueue::drain`] for the second run, likewise.
    ///
    /// # Safety
    ///
    /// As there.
    #[cold]
    unsafe fn drain_wrapped(
        &self,
        slots: *const u8,
        buffers: *mut Buffer,
        payloads: *mut u8,
        count: usize,
        note: impl Fn(&Buffer),
    ) {
        // SAFETY: forwarded.
        unsafe { self.drain(slots, buffers, payloads, count, note) };
    }
}

/// Waits on `event` until `condition` gives a value, after a few looks without sleeping.
#[inline]
fn wait<R>(
    event: &EventCount,
    deadline: u64,
    looks: Looks,
    mut condition: impl FnMut() -> Option<R>,
) -> Result<R, WaitEnd> {
    for hints in LOOKS.iter().filter(|_| looks == Looks::Many) {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if *hints == TURN {
            step_aside();
        }
        for _ in 0..*hints {
            relax();
        }
    }
    event.wait_until(deadline, 0, condition)
}

/// # Safety
///
/// As for [`ReadyQueue::fill`]; `size` is the size of a payload.
#[inline(always)]
unsafe fn fill(
    size: usize,
    slots: *mut u8,
    buffers: *const Buffer,
    payloads: *const u8,
    count: usize,
    note: impl Fn(&Buffer),
) {
    for index in 0..count {
        // SAFETY: forwarded.
        unsafe {
            let (slot, buffer) = (slots.add(index * (HEADER + size)), buffers.add(index));
            note(&*buffer);
            copy(buffer.cast(), slot, HEADER);
            if size != 0 {
                copy(payloads.add(index * size), slot.add(HEADER), size);
            }
        }
    }
}

/// # Safety
///
/// As for [`ReadyQueue::drain`]; `size` is the size of a payload.
#[inline(always)]
unsafe fn drain(
    size: usize,
    slots: *const u8,
    buffers: *mut Buffer,
    payloads: *mut u8,
    count: usize,
    note: impl Fn(&Buffer),
) {
    for index in 0..count {
        // SAFETY: forwarded. Whole buffers are moved as one, so that the next load of one need not wait for several
        // stores.
        unsafe {
            let (slot, buffer) = (slots.add(index * (HEADER + size)), buffers.add(index));
            ptr::copy_nonoverlapping(slot, buffer.cast(), HEADER);
            note(&*buffer);
            if size != 0 {
                ptr::copy_nonoverlapping(slot.add(HEADER), payloads.add(index * size), size);
            }
        }
    }
}
