//! Topping up device free queues from a lane. One writer per free queue at a time: whoever has its turn, which is a drain
//! thread (of any shard, until the instance's is known), the driver of the gates within a freeze, or the owner before
//! threads start.

use super::config::Free;
use super::shared_link::SharedLink;
use crate::pool::ledger::Place;
use crate::pool::{Buffer, Doubt, Pool};
use crate::status::Status;
use core::mem::MaybeUninit;
use core::slice;

/// Buffers published with one tail store at most.
const BATCH: usize = 16;

/// The host's private view of one free queue.
#[derive(Debug, Clone)]
pub(super) struct FreeQueue {
    port: Free,
    /// What the tail word holds. The word itself is only written, and read where a publication is in doubt.
    tail: u32,
    /// Whether the tail word is to be read before the next publication: the last one reported failure, or this is the
    /// first one of a run and an earlier run may have ended in doubt.
    unsettled: bool,
    /// Buffers of a publication of which nobody knows whether it took effect. They may be at the device, so the ledger
    /// has them there, and an entry that the device publishes with one of them is as good as any.
    doubtful: Vec<Buffer>,
    /// Kinds of the buffers parked since the last [`FreeQueue::take_parked`].
    parked: Vec<u32>,
    /// The free queue may be known under other instances too: the tail word is read before every publication.
    shared: bool,
}

/// What a top-up did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refill {
    /// Buffers were published, or there was no room.
    Done(u32),
    /// The free queue stands empty and the lane is dry.
    Starved,
    /// A transfer failed after so many buffers were published.
    Failed(Status, u32),
    /// The device's head is impossible.
    Corrupt(u32),
}

impl FreeQueue {
    pub(super) fn new(port: Free, shared: bool) -> Self {
        Self { port, tail: port.own_tail(), unsettled: true, doubtful: Vec::new(), parked: Vec::new(), shared }
    }

    /// Makes ready for a run: what the words hold now counts, and what steps by hand or an earlier run left in doubt.
    pub(super) fn renew(&mut self, pool: &Pool) {
        *self = Self::new(self.port, self.shared);
        self.doubtful = pool.adopt_doubt(self.address());
    }

    /// Slots that are free, by what the device says now.
    pub(super) fn room(&self, link: &SharedLink) -> Result<u32, Status> {
        let fill = self.tail.wrapping_sub(self.port.head(link)?);
        Ok(self.port.slot_count.saturating_sub(fill))
    }

    /// Whether a publication is in doubt.
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// The kinds of the buffers that were parked since the last call.
    pub(super) fn take_parked(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.parked)
    }

    /// Publishes up to `most` buffers from the lane (`shard`, kind).
    ///
    /// # Safety
    ///
    /// The caller is the sole writer of the free queue and the sole consumer of the lane.
    pub(super) unsafe fn top_up(&mut self, pool: &Pool, link: &SharedLink, kind: u32, shard: u32, most: u32) -> Refill {
        if self.shared && self.doubtful.is_empty() {
            self.tail = self.port.own_tail();
        }
        if let Err(status) = self.settle(pool, link, shard) {
            return Refill::Failed(status, 0);
        }
        let head = match self.port.head(link) {
            Ok(head) => head,
            Err(status) => return Refill::Failed(status, 0),
        };
        let fill = self.tail.wrapping_sub(head);
        if fill > self.port.slot_count {
            return Refill::Corrupt(head);
        }
        let mut room = (self.port.slot_count - fill).min(most);
        let mut published = 0;
        while room != 0 {
            let mut buffers = [MaybeUninit::uninit(); BATCH];
            let want = BATCH.min(room as usize);
            // SAFETY: the caller is the lane's sole consumer.
            let count = unsafe { pool.pop_recycled(shard, kind, &mut buffers[..want]) };
            if count == 0 {
                break;
            }
            // SAFETY: `pop_recycled` filled the first `count` elements.
            let buffers = unsafe { slice::from_raw_parts(buffers.as_ptr().cast::<Buffer>(), count) };
            if let Err(status) = self.publish(link, buffers) {
                if self.doubtful.is_empty() {
                    self.park(pool, shard, buffers);
                }
                return Refill::Failed(status, published);
            }
            published += count as u32;
            room -= count as u32;
        }
        if published == 0 && fill == 0 { Refill::Starved } else { Refill::Done(published) }
    }

    /// Slots before tail. After a failed tail store, finds out whether it took effect all the same.
    fn publish(&mut self, link: &SharedLink, buffers: &[Buffer]) -> Result<(), Status> {
        let mut addresses = [0; BATCH];
        for (address, buffer) in addresses.iter_mut().zip(buffers) {
            *address = buffer.dev;
        }
        self.port.write_slots(link, self.tail, &addresses[..buffers.len()])?;
        let tail = self.tail.wrapping_add(buffers.len() as u32);
        if let Err(status) = self.port.publish_tail(link, tail) {
            match self.port.published_tail(link) {
                Ok(found) if found == tail => self.port.keep_tail(tail),
                Ok(_) => {
                    self.port.keep_tail(self.tail);
                    return Err(status);
                }
                Err(_) => {
                    self.doubtful.extend_from_slice(buffers);
                    self.unsettled = true;
                    return Err(status);
                }
            }
        }
        self.tail = tail;
        Ok(())
    }

    /// Finds out whether a doubtful publication took effect. If it did not, its buffers are parked.
    fn settle(&mut self, pool: &Pool, link: &SharedLink, shard: u32) -> Result<(), Status> {
        if !self.unsettled {
            return Ok(());
        }
        if self.doubtful.is_empty() {
            // Of an instance that was added during the run: whoever settled its doubt later would hand its buffers out again.
            self.doubtful = pool.adopt_doubt(self.address());
        }
        let found = self.port.published_tail(link)?;
        let moved = found.wrapping_sub(self.tail);
        let landed = match self.doubtful.len() as u32 {
            // A word that moved by more than the slots was not moved by an earlier run.
            0 => moved <= self.port.slot_count,
            doubtful => moved == doubtful,
        };
        let mut doubtful = core::mem::take(&mut self.doubtful);
        // One that the device has published since is in other hands, whatever the word says.
        doubtful.retain(|buffer| is_at_device(pool, buffer));
        if landed && moved != 0 {
            self.tail = found;
        } else {
            self.park(pool, shard, &doubtful);
        }
        // What the device had there need not be what it was given.
        self.port.keep_tail(self.tail);
        self.unsettled = false;
        Ok(())
    }

    /// Settles at the end of a run. What stays in doubt waits for teardown, or for whoever writes the queue next.
    pub(super) fn conclude(&mut self, pool: &Pool, link: &SharedLink, shard: u32, tries: u32) {
        if self.doubtful.is_empty() || (0..tries).any(|_| self.settle(pool, link, shard).is_ok()) {
            return;
        }
        let tail = self.tail.wrapping_add(self.doubtful.len() as u32);
        let mut buffers = core::mem::take(&mut self.doubtful);
        // The device has published one of them, so it was given all.
        if !buffers.iter().all(|buffer| is_at_device(pool, buffer)) {
            buffers.clear();
        }
        for buffer in &buffers {
            // Parking fails only when memory is out; the ledger has the buffer as quarantined all the same.
            let _ = pool.quarantine(shard, *buffer);
        }
        // Steps by hand must not go by the host's own tail word.
        pool.note_doubt(pool.queue_note(self.address()), self.address(), Doubt { tail, buffers });
    }

    /// By which the pool knows the queue.
    fn address(&self) -> usize {
        self.port.tail.address() as usize
    }

    /// Parks buffers that were taken from the lane and not published.
    #[cold]
    fn park(&mut self, pool: &Pool, shard: u32, buffers: &[Buffer]) {
        self.parked.extend(buffers.iter().map(|buffer| buffer.kind));
        for buffer in buffers {
            // Parking fails only when memory is out; the ledger has the buffer as retired all the same.
            let _ = pool.retire(shard, *buffer);
        }
    }
}

/// Whether the buffer is at the device as far as anybody knows.
fn is_at_device(pool: &Pool, buffer: &Buffer) -> bool {
    pool.ledger().get(buffer.id).is_none_or(|at| at.place == Place::Device)
}
