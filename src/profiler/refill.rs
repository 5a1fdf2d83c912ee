//! Topping up device free queues from a lane. One writer per free queue: the drain thread of its instance's shard, or
//! the owner before threads start.

use super::config::Free;
use super::shared_link::SharedLink;
use crate::pool::{Buffer, Pool};
use crate::status::Status;
use core::mem::MaybeUninit;

/// Buffers published with one tail store at most.
const BATCH: usize = 16;

/// The host's private view of one free queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct FreeQueue {
    port: Free,
    kind: u32,
    /// What the tail word holds. The word itself is only written, never trusted.
    tail: u32,
    /// Buffers of a publication of which nobody knows whether it took effect.
    doubtful: u32,
}

/// What a top-up did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refill {
    /// Buffers were published, or there was no room.
    Done(u32),
    /// The free queue stands empty and the lane is dry.
    Starved,
    /// A transfer failed; so many buffers taken from the lane are parked, to be brought back.
    Failed(Status, u32),
    /// The device's head is impossible.
    Corrupt(u32),
}

impl FreeQueue {
    pub(super) fn new(port: Free, kind: u32) -> Self {
        Self {
            port,
            kind,
            tail: port.own_tail(),
            doubtful: 0,
        }
    }

    pub(super) fn kind(&self) -> u32 {
        self.kind
    }

    /// Publishes up to `most` buffers from the lane (`shard`, kind).
    ///
    /// # Safety
    ///
    /// The caller is the sole writer of the free queue and the sole consumer of the lane.
    pub(super) unsafe fn top_up(&mut self, pool: &Pool, link: &SharedLink, shard: u32, most: u32) -> Refill {
        if let Err(status) = self.settle(link) {
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
            let count = unsafe { pool.pop_recycled(shard, self.kind, &mut buffers[..want]) };
            if count == 0 {
                break;
            }
            // SAFETY: `pop_recycled` filled the first `count` elements.
            let buffers = buffers.map(|buffer| unsafe { buffer.assume_init() });
            if let Err(status) = self.publish(link, &buffers[..count]) {
                let doubtful = self.doubtful != 0;
                park(pool, shard, &buffers[..count], doubtful);
                return Refill::Failed(status, if doubtful { 0 } else { count as u32 });
            }
            published += count as u32;
            room -= count as u32;
        }
        if published == 0 && fill == 0 && most != 0 {
            Refill::Starved
        } else {
            Refill::Done(published)
        }
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
                Ok(found) if found == tail => {}
                Ok(_) => return Err(status),
                Err(_) => {
                    self.doubtful = buffers.len() as u32;
                    return Err(status);
                }
            }
        }
        self.tail = tail;
        Ok(())
    }

    /// Resolves a doubtful publication. Its buffers are quarantined either way: they may be at the device.
    fn settle(&mut self, link: &SharedLink) -> Result<(), Status> {
        if self.doubtful == 0 {
            return Ok(());
        }
        let found = self.port.published_tail(link)?;
        let landed = self.tail.wrapping_add(self.doubtful);
        if found == landed {
            self.tail = landed;
        }
        self.doubtful = 0;
        Ok(())
    }
}

/// Parks buffers that were taken from a lane and not published.
#[cold]
fn park(pool: &Pool, shard: u32, buffers: &[Buffer], doubtful: bool) {
    for buffer in buffers {
        // Parking fails only when memory is out; the ledger has the buffer as retired all the same.
        let _ = if doubtful {
            pool.quarantine(shard, *buffer)
        } else {
            pool.retire(shard, *buffer)
        };
    }
}
