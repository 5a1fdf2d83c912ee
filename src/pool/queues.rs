//! Pushing to and popping from the queues.

use super::ledger::Place;
use super::{Buffer, Looks, Pool, ReadyQueue};
use crate::event::WaitEnd;
use crate::ring::Ring;
use core::mem::MaybeUninit;

impl Pool {
    /// Stores elements in the ready ring of `shard` and wakes its consumer; returns how many fitted.
    ///
    /// # Safety
    ///
    /// The caller is the drain thread of the shard. `payloads` is readable for one payload per buffer.
    #[inline(always)]
    pub unsafe fn push_ready(&self, shard: u32, buffers: &[Buffer], payloads: *const u8) -> usize {
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Ready, at);
        // SAFETY: forwarded.
        let pushed = unsafe { self.ready(shard).push_noted(buffers, payloads, note) };
        self.note_kept(shard, buffers.get(pushed..).unwrap_or_default());
        pushed
    }

    /// As [`Pool::push_ready`], but waits for room up to `deadline`, nanoseconds of the monotonic clock.
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_ready`].
    pub unsafe fn wait_push_ready(&self, shard: u32, buffers: &[Buffer], payloads: *const u8, deadline: u64) -> usize {
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Ready, at);
        // SAFETY: forwarded.
        let pushed = unsafe { self.ready(shard).wait_push_noted(buffers, payloads, deadline, note) };
        self.note_kept(shard, buffers.get(pushed..).unwrap_or_default());
        pushed
    }

    /// What was not pushed is still with the drain thread.
    #[inline]
    fn note_kept(&self, shard: u32, buffers: &[Buffer]) {
        for buffer in buffers {
            self.note(buffer, Place::Drain, self.fold(shard));
        }
    }

    /// Takes up to `max` elements from the ready ring of `shard` and wakes a waiting producer; returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the collect thread of the shard. `buffers` is writable for `max` elements, `payloads` for as many
    /// payloads.
    #[inline(always)]
    pub unsafe fn pop_ready(&self, shard: u32, buffers: *mut Buffer, payloads: *mut u8, max: usize) -> usize {
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Collect, at);
        // SAFETY: forwarded.
        unsafe { self.ready(shard).pop_noted(buffers, payloads, max, note) }
    }

    /// As [`Pool::pop_ready`], but waits for the first element up to `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`ReadyQueue::wait_pop`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::pop_ready`].
    pub unsafe fn wait_pop_ready(
        &self,
        shard: u32,
        buffers: *mut Buffer,
        payloads: *mut u8,
        max: usize,
        deadline: u64,
        looks: Looks,
    ) -> Result<usize, WaitEnd> {
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Collect, at);
        // SAFETY: forwarded.
        unsafe { self.ready(shard).wait_pop_noted(buffers, payloads, max, (deadline, looks), note) }
    }

    /// The ready ring of `shard`, folded.
    #[inline(always)]
    pub fn ready(&self, shard: u32) -> &ReadyQueue {
        &self.ready[self.fold(shard)]
    }

    /// Stores buffers in the done ring of `shard` and returns how many fitted.
    ///
    /// # Safety
    ///
    /// The caller is the collect thread of the shard.
    #[inline]
    pub unsafe fn push_done(&self, shard: u32, buffers: &[Buffer]) -> usize {
        let shard = self.fold(shard);
        // SAFETY: the caller is the ring's sole producer.
        let pushed = unsafe { self.give(&self.done[shard], buffers, Place::Done, shard) };
        for buffer in buffers.get(pushed..).unwrap_or_default() {
            self.note(buffer, Place::Collect, shard);
        }
        pushed
    }

    /// Takes buffers from the done ring of `shard`; returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the replenish thread.
    #[inline]
    pub unsafe fn pop_done(&self, shard: u32, out: &mut [MaybeUninit<Buffer>]) -> usize {
        let shard = self.fold(shard);
        // SAFETY: the caller is the ring's sole consumer.
        unsafe { self.take(&self.done[shard], out, Place::Replenish, shard) }
    }

    /// Whether any live done ring holds a buffer. Reliable for the replenish thread, advisory for others.
    pub(crate) fn any_done(&self) -> bool {
        self.done[..self.live_shards() as usize].iter().any(|ring| !ring.is_empty())
    }

    /// Buffers in the done ring of `shard`. Any thread, advisory.
    pub fn done_len(&self, shard: u32) -> usize {
        self.done[self.fold(shard)].len()
    }

    /// Stores one buffer in the lane of its kind; false if the lane is full.
    ///
    /// # Safety
    ///
    /// The caller is the replenish thread, or the owner while no thread runs. The kind is in range.
    #[inline]
    pub unsafe fn push_recycled(&self, shard: u32, buffer: &Buffer) -> bool {
        // SAFETY: forwarded.
        unsafe { self.push_recycled_run(self.fold(shard), buffer.kind, core::slice::from_ref(buffer)) == 1 }
    }

    /// Stores buffers of one kind in a lane, as many as fit and with one index change; returns how many.
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_recycled`].
    #[inline(always)]
    pub(super) unsafe fn push_recycled_run(&self, shard: usize, kind: u32, buffers: &[Buffer]) -> usize {
        // SAFETY: the caller is the lane's sole producer.
        unsafe { self.give(&self.lane(shard, kind).recycled, buffers, Place::Recycled, shard) }
    }

    /// Takes buffers from a lane, oldest first; they count as at the device. Returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the drain thread of the shard, or the owner while no thread runs. The kind is in range.
    #[inline]
    pub unsafe fn pop_recycled(&self, shard: u32, kind: u32, out: &mut [MaybeUninit<Buffer>]) -> usize {
        let shard = self.fold(shard);
        // SAFETY: the caller is the lane's sole consumer.
        unsafe { self.take(&self.lane(shard, kind).recycled, out, Place::Device, shard) }
    }

    /// Shows up to `max` buffers of a lane, oldest first, to `take`, which tells how many it has taken from the first on;
    /// they count as at the device. Returns that number; 0 also if the lane is dry. What is not taken stays where it is.
    ///
    /// # Safety
    ///
    /// The caller is the lane's sole consumer, alone, also within `take`. The kind is in range.
    pub(crate) unsafe fn offer_recycled(
        &self,
        shard: u32,
        kind: u32,
        max: usize,
        take: impl FnOnce(&[Buffer]) -> usize,
    ) -> usize {
        let shard = self.fold(shard);
        let offer = |buffers: &[Buffer], _: &[Buffer]| {
            // Before they are given away: afterwards their next holder may have moved them on.
            buffers.iter().for_each(|buffer| self.note(buffer, Place::Device, shard));
            let taken = take(buffers);
            let kept = buffers.get(taken..).unwrap_or_default();
            kept.iter().for_each(|buffer| self.note(buffer, Place::Recycled, shard));
            taken
        };
        // SAFETY: forwarded.
        unsafe { self.lane(shard, kind).recycled.read_run(max, offer) }
    }

    /// # Safety
    ///
    /// The caller is the sole consumer of `ring`.
    #[inline]
    unsafe fn take(&self, ring: &Ring<Buffer>, out: &mut [MaybeUninit<Buffer>], place: Place, shard: usize) -> usize {
        let to = out.as_mut_ptr().cast::<Buffer>();
        // SAFETY: forwarded; both runs together are at most as long as `out`.
        unsafe {
            ring.read_run(out.len(), |first, second| {
                self.pass(first, to, place, shard);
                if !second.is_empty() {
                    self.pass_wrapped(second, to.add(first.len()), place, shard);
                }
                first.len() + second.len()
            })
        }
    }

    /// Stores as many of `buffers` in `ring` as fit; returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the sole producer of `ring`.
    #[inline]
    unsafe fn give(&self, ring: &Ring<Buffer>, buffers: &[Buffer], place: Place, shard: usize) -> usize {
        // SAFETY: forwarded; both runs together are at most as long as `buffers`, and both are filled.
        unsafe {
            ring.write_run(buffers.len(), |first, second| {
                let (head, tail) = buffers.split_at_unchecked(first.len());
                self.pass(head, first.as_mut_ptr().cast(), place, shard);
                if !second.is_empty() {
                    let tail = tail.get_unchecked(..second.len());
                    self.pass_wrapped(tail, second.as_mut_ptr().cast(), place, shard);
                }
                first.len() + second.len()
            })
        }
    }

    /// Copies `from` to `to` and writes down where the buffers are then. A caller that publishes them does so afterwards,
    /// because their next holder may move them on at once.
    ///
    /// # Safety
    ///
    /// `to` is writable for as many buffers as there are in `from`, and does not overlap it.
    #[inline(always)]
    unsafe fn pass(&self, from: &[Buffer], to: *mut Buffer, place: Place, shard: usize) {
        for (index, buffer) in from.iter().enumerate() {
            // SAFETY: forwarded.
            unsafe { to.add(index).copy_from_nonoverlapping(buffer, 1) };
            self.note(buffer, place, shard);
        }
    }

    /// [`Pool::pass`] for the rare second run, which need not make every caller longer.
    ///
    /// # Safety
    ///
    /// As there.
    #[cold]
    unsafe fn pass_wrapped(&self, from: &[Buffer], to: *mut Buffer, place: Place, shard: usize) {
        // SAFETY: forwarded.
        unsafe { self.pass(from, to, place, shard) };
    }

    /// Buffers in one lane. Any thread; exact at rest.
    pub fn recycled_len(&self, shard: u32, kind: u32) -> usize {
        self.lane(self.fold(shard), kind).recycled.len()
    }

    /// Buffers in the lanes of `kind` of all live shards. Any thread; exact at rest.
    pub fn recycled_total(&self, kind: u32) -> usize {
        (0..self.live_shards()).map(|shard| self.recycled_len(shard, kind)).sum()
    }

    /// Whether a lane holds less than half of what it is to hold, or nothing. Any thread, advisory.
    pub(crate) fn is_low(&self, shard: u32, kind: u32) -> bool {
        self.recycled_len(shard, kind) < (self.warm_target(kind) as usize / 2).max(1)
    }
}
