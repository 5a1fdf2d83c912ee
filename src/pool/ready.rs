//! The ready hand-off: a ring of buffers with payloads, and an event count for each side that can wait.
//!
//! Owners: the drain thread of the shard pushes, the collect thread pops. A producer that finds the ring full waits on
//! `space`, a consumer that finds it empty waits on `items`; each side notifies the other's event after it moved its
//! index, so no wake-up is lost (edges of [`crate::event`]). Closing `items` ends the consumer once the ring is empty.

use super::Buffer;
use crate::event::{EventCount, WaitEnd};
use crate::ring::OwnedByteRing;
use crate::status::Status;
use core::ptr;

/// Looks at the ring before a sleep; a sleep and its wake-up cost some microseconds. Models go to sleep at once.
const SPIN: u32 = if cfg!(all(test, loom)) { 0 } else { 32 };

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
            items: EventCount::new(),
            space: EventCount::new(),
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
    #[inline]
    pub unsafe fn push(&self, buffers: &[Buffer], payloads: *const u8) -> usize {
        // SAFETY: forwarded.
        let pushed = unsafe { self.store(buffers, payloads) };
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
        let mut stored = 0;
        while stored < buffers.len() {
            let outcome = self.space.wait_until(deadline, SPIN, || {
                // SAFETY: forwarded; the payloads of the stored elements are skipped.
                let more = unsafe { self.push(&buffers[stored..], payloads.wrapping_add(stored * self.payload_size)) };
                (more != 0).then_some(more)
            });
            match outcome {
                Ok(more) => stored += more,
                Err(_) => break,
            }
        }
        stored
    }

    /// Takes up to `buffers.len()` elements and wakes a waiting producer; returns how many. Never blocks.
    ///
    /// # Safety
    ///
    /// The caller is the collect thread of the shard. `buffers` is writable for `max` elements, `payloads` for as many
    /// payloads.
    #[inline]
    pub unsafe fn pop(&self, buffers: *mut Buffer, payloads: *mut u8, max: usize) -> usize {
        // SAFETY: forwarded.
        let popped = unsafe { self.load(buffers, payloads, max) };
        if popped != 0 {
            self.space.notify();
        }
        popped
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
        self.items.wait_until(deadline, SPIN, || {
            // SAFETY: forwarded.
            let popped = unsafe { self.pop(buffers, payloads, max) };
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
    #[inline]
    unsafe fn store(&self, buffers: &[Buffer], payloads: *const u8) -> usize {
        // SAFETY: the caller is the ring's sole producer until `publish`.
        unsafe {
            let runs = self.ring.claim(buffers.len());
            let (first, second) = buffers[..runs.count()].split_at(runs.first_count);
            self.fill(runs.first, first, payloads);
            self.fill(runs.second, second, payloads.wrapping_add(first.len() * self.payload_size));
            self.ring.publish(runs.count());
            runs.count()
        }
    }

    /// # Safety
    ///
    /// As for [`ReadyQueue::pop`].
    #[inline]
    unsafe fn load(&self, buffers: *mut Buffer, payloads: *mut u8, max: usize) -> usize {
        // SAFETY: the caller is the ring's sole consumer until `release`, and vouches for the room.
        unsafe {
            let runs = self.ring.front(max);
            let count = runs.count();
            if count != 0 {
                self.drain(runs.first, runs.first_count, buffers, payloads);
                let payloads = payloads.wrapping_add(runs.first_count * self.payload_size);
                self.drain(runs.second, runs.second_count, buffers.wrapping_add(runs.first_count), payloads);
                self.ring.release(count);
            }
            count
        }
    }

    /// # Safety
    ///
    /// `slots` has room for `buffers.len()` elements; `payloads` is readable for as many payloads.
    #[inline(always)]
    unsafe fn fill(&self, slots: *mut u8, buffers: &[Buffer], payloads: *const u8) {
        // SAFETY: forwarded; a known size makes each copy a few moves.
        unsafe {
            match self.payload_size {
                32 => fill::<32>(slots, buffers, payloads),
                40 => fill::<40>(slots, buffers, payloads),
                size => {
                    for (index, buffer) in buffers.iter().enumerate() {
                        let slot = slots.add(index * (HEADER + size));
                        ptr::write_unaligned(slot.cast(), *buffer);
                        if size != 0 {
                            ptr::copy_nonoverlapping(payloads.add(index * size), slot.add(HEADER), size);
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// `slots` holds `count` elements; `buffers` and `payloads` have room for as many.
    #[inline(always)]
    unsafe fn drain(&self, slots: *const u8, count: usize, buffers: *mut Buffer, payloads: *mut u8) {
        // SAFETY: forwarded.
        unsafe {
            match self.payload_size {
                32 => drain::<32>(slots, count, buffers, payloads),
                40 => drain::<40>(slots, count, buffers, payloads),
                size => {
                    for index in 0..count {
                        let slot = slots.add(index * (HEADER + size));
                        buffers.add(index).write(ptr::read_unaligned(slot.cast()));
                        if size != 0 {
                            ptr::copy_nonoverlapping(slot.add(HEADER), payloads.add(index * size), size);
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
///
/// As for [`ReadyQueue::fill`].
#[inline(always)]
unsafe fn fill<const SIZE: usize>(slots: *mut u8, buffers: &[Buffer], payloads: *const u8) {
    for (index, buffer) in buffers.iter().enumerate() {
        // SAFETY: forwarded.
        unsafe {
            let slot = slots.add(index * (HEADER + SIZE));
            ptr::write_unaligned(slot.cast(), *buffer);
            ptr::copy_nonoverlapping(payloads.add(index * SIZE), slot.add(HEADER), SIZE);
        }
    }
}

/// # Safety
///
/// As for [`ReadyQueue::drain`].
#[inline(always)]
unsafe fn drain<const SIZE: usize>(slots: *const u8, count: usize, buffers: *mut Buffer, payloads: *mut u8) {
    for index in 0..count {
        // SAFETY: forwarded.
        unsafe {
            let slot = slots.add(index * (HEADER + SIZE));
            buffers.add(index).write(ptr::read_unaligned(slot.cast()));
            ptr::copy_nonoverlapping(slot.add(HEADER), payloads.add(index * SIZE), SIZE);
        }
    }
}
