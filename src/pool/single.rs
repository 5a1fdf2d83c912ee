//! One buffer at a time, the step that hot paths make most: no loop, no call and no frame on the way of success. All else
//! (no room, nothing there, an argument to refuse, a pool with checks) is left to the general forms, which find the queues
//! as they were.

use super::ledger::Place;
use super::{Buffer, Pool};

impl Pool {
    /// The shard of an argument that needs no folding, in a pool that makes no optional checks.
    #[inline(always)]
    fn plain(&self, shard: u32) -> Option<usize> {
        if self.config.strict | self.config.check_overlap || shard >= self.live_shards() {
            return None;
        }
        Some(shard as usize)
    }

    #[inline(always)]
    fn is_sound(&self, buffer: &Buffer) -> bool {
        buffer.dev != 0 && buffer.kind < self.config.kinds
    }

    /// Whether the buffer is in the ready ring now, as by [`Pool::push_ready`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_ready`].
    #[inline(always)]
    pub(crate) unsafe fn push_ready_one(&self, shard: u32, buffer: Buffer, payload: *const u8) -> bool {
        let Some(at) = self.plain(shard) else {
            return false;
        };
        let (Some(ready), true) = (self.ready.get(at), self.is_sound(&buffer)) else {
            return false;
        };
        // SAFETY: forwarded.
        unsafe { ready.push_one(buffer, payload, |buffer| self.note(buffer, Place::Ready, at)) }
    }

    /// Whether a buffer was taken, as by [`Pool::pop_ready`] of one. `waits`: the caller would rather wait than come back with
    /// nothing.
    ///
    /// # Safety
    ///
    /// As for [`Pool::pop_ready`] of one.
    #[inline(always)]
    pub(crate) unsafe fn pop_ready_one(&self, shard: u32, buffer: *mut Buffer, payload: *mut u8, waits: bool) -> bool {
        let Some(at) = self.plain(shard) else {
            return false;
        };
        let Some(ready) = self.ready.get(at) else {
            return false;
        };
        // SAFETY: forwarded.
        unsafe {
            if waits {
                ready.give_head_start();
            }
            ready.pop_one(buffer, payload, |buffer| self.note(buffer, Place::Collect, at))
        }
    }

    /// Whether the buffer is in the done ring now, as by [`Pool::push_done`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_done`].
    #[inline(always)]
    pub(crate) unsafe fn push_done_one(&self, shard: u32, buffer: &Buffer) -> bool {
        let Some(at) = self.plain(shard) else {
            return false;
        };
        let (Some(ring), true) = (self.done.get(at), self.is_sound(buffer)) else {
            return false;
        };
        // Before the push: afterwards the consumer may have moved the buffer on. If the ring is full, the general form
        // writes the word again.
        self.note(buffer, Place::Done, at);
        // SAFETY: the caller is the ring's sole producer.
        unsafe { ring.push(buffer) }
    }

    /// Moves the only buffer of a done ring on, as [`Pool::recycle_done`]; `None` if there is not exactly one.
    ///
    /// # Safety
    ///
    /// As for [`Pool::recycle_done`].
    #[inline(always)]
    pub(crate) unsafe fn recycle_done_one(&self, shard: u32) -> Option<usize> {
        let at = self.plain(shard)?;
        let ring = self.done.get(at)?;
        if ring.len() != 1 {
            return None;
        }
        // SAFETY: the caller is the ring's sole consumer.
        let buffer = unsafe { ring.pop() }?;
        // Its word is written by the next step alone: the buffer is not seen in between but by an audit, which is only a
        // snapshot then.
        // SAFETY: forwarded.
        if unsafe { self.push_lane_one(at, buffer) } {
            return Some(1);
        }
        Some(self.retire_counted(shard, buffer))
    }

    /// # Safety
    ///
    /// The caller is the sole producer of the shard's lanes.
    #[inline(always)]
    unsafe fn push_lane_one(&self, at: usize, buffer: Buffer) -> bool {
        let Some(lane) = self.lanes.get(at * self.config.kinds as usize + buffer.kind as usize) else {
            return false;
        };
        // Before the push: afterwards the drain thread may have handed the buffer to the device. If the lane is full, the
        // caller finds another place.
        self.note(&buffer, Place::Recycled, at);
        // SAFETY: forwarded.
        unsafe { lane.recycled.push(&buffer) }
    }

    #[cold]
    fn retire_counted(&self, shard: u32, buffer: Buffer) -> usize {
        self.report_parked(1);
        usize::from(self.retire(shard, buffer).is_ok())
    }

    /// The oldest buffer of a lane, as by [`Pool::pop_recycled`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::pop_recycled`].
    #[inline(always)]
    pub(crate) unsafe fn pop_recycled_one(&self, shard: u32, kind: u32) -> Option<Buffer> {
        let at = self.plain(shard)?;
        if kind >= self.config.kinds {
            return None;
        }
        let lane = self.lanes.get(at * self.config.kinds as usize + kind as usize)?;
        // SAFETY: the caller is the lane's sole consumer.
        let buffer = unsafe { lane.recycled.pop() }?;
        self.note(&buffer, Place::Device, at);
        Some(buffer)
    }
}
