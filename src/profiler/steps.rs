//! The steps of drain and replenish threads, one call at a time, for whoever drives a pipeline by hand.
//!
//! Each call is given views of the words that it works on and keeps nothing but the pool's note of the queue. The host's
//! own words are the truth: the ready head, the free tail and the slots are read from the host's memory and never brought back
//! from the device. The edges are those of [`crate::layout`].
//!
//! | step | owner | publishes | after a failed push |
//! | --- | --- | --- | --- |
//! | [`take_entry`] | drain thread of the queue's shard | ready head | the head is as before: the next call returns the same entry, whether or not the device has seen the head |
//! | [`top_up`] | drain thread of the shard; has the turns of the shard's lanes and of the free queue | slots, then free tail | the tail is read back: if it has moved, the buffers are published; if not, one is parked and the others stay in their lane |
//! | [`refill`] | the owner, or the replenish thread between the halves of a freeze tick; has the turn of the free queue | the same | the same |
//!
//! If the tail cannot be read back either, the buffers may be at the device and may not: they are quarantined, and the next
//! step on the queue first reads the tail again, and publishes them if they are not. No step waits for a turn.

use super::config::{Free, MAX_ENTRY_WORDS, ReadyQueueConfig};
use super::shared_link::SharedLink;
use crate::layout::{FreePort, Link, ReadyPort, Words64};
use crate::log;
use crate::pool::ledger::Place;
use crate::pool::{Buffer, Doubt, Pool, QueueNote};
use crate::status::Status;
use crate::sync::Word32;
use core::fmt;

/// Buffers published with one tail store at most.
const BATCH: usize = 16;

/// What can be wrong with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Ready indices out of range.
    Indices {
        head: u32,
        tail: u32,
    },
    ReadyTail(Status),
    Entry(Status),
    ReadyHead(Status),
    FreeHead(Status),
    /// A free head ahead of the tail, or too far behind it.
    Fill {
        head: u32,
        tail: u32,
    },
    Slots(Status),
    FreeTail(Status),
    /// The tail of a publication in doubt cannot be read.
    Unsettled(Status),
    /// A block cannot have the size that is asked for.
    Block(Status),
}

impl Fault {
    fn status(self) -> Status {
        match self {
            Self::Indices { .. } | Self::Fill { .. } => Status::LANEPIPE_E_CORRUPT,
            Self::ReadyTail(status)
            | Self::Entry(status)
            | Self::ReadyHead(status)
            | Self::FreeHead(status)
            | Self::Slots(status)
            | Self::FreeTail(status)
            | Self::Unsettled(status)
            | Self::Block(status) => status,
        }
    }

    /// The sort of fault; not 0.
    fn number(self) -> u32 {
        match self {
            Self::Indices { .. } => 1,
            Self::ReadyTail(_) => 2,
            Self::Entry(_) => 3,
            Self::ReadyHead(_) => 4,
            Self::FreeHead(_) => 5,
            Self::Fill { .. } => 6,
            Self::Slots(_) => 7,
            Self::FreeTail(_) => 8,
            Self::Unsettled(_) => 9,
            Self::Block(_) => 10,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indices { head, tail } => write!(f, "invalid indices, head {head}, tail {tail}"),
            Self::ReadyTail(_) => f.write_str("the tail cannot be read"),
            Self::Entry(_) => f.write_str("the entry cannot be read"),
            Self::ReadyHead(_) => f.write_str("the head cannot be pushed"),
            Self::FreeHead(_) => f.write_str("the head cannot be read"),
            Self::Fill { head, tail } => write!(f, "invalid indices, head {head}, tail {tail}"),
            Self::Slots(_) => f.write_str("a buffer could not be returned to it: the slot cannot be pushed"),
            Self::FreeTail(_) => f.write_str("a buffer could not be returned to it: the tail cannot be pushed"),
            Self::Unsettled(_) => f.write_str("whether it got its last buffers is unknown: the tail cannot be read"),
            Self::Block(_) => f.write_str("no block for it can be allocated"),
        }
    }
}

/// Reports a fault that the queue did not have at the last look.
#[cold]
fn report(pool: &Pool, note: &QueueNote, queue: fmt::Arguments<'_>, fault: Fault) -> Status {
    let status = fault.status();
    if note.is_news(fault.number()) {
        pool.logger().log(log::ERROR, format_args!("{queue}: {fault}: {status:?}"));
    }
    status
}

/// Takes the oldest entry of a ready queue. `refresh`: the tail is brought from the device first. `number` is for messages.
///
/// # Errors
///
/// `LANEPIPE_EMPTY`; `LANEPIPE_AGAIN` while the entry has no address; `LANEPIPE_E_CORRUPT` for indices out of range;
/// `LANEPIPE_E_INVALID` if `entry` has not the size of one; the status of a failed transfer.
pub(crate) fn take_entry(
    pool: &Pool,
    queue: &ReadyQueueConfig,
    number: u32,
    refresh: bool,
    entry: &mut [u64],
) -> Result<(), Status> {
    let port = &queue.port;
    let sound = entry.len() == port.entry_words as usize && (queue.pointer_word as usize) < entry.len();
    if !sound || entry.len() > MAX_ENTRY_WORDS {
        return Err(Status::LANEPIPE_E_INVALID);
    }
    let link = SharedLink::new(pool.memory());
    let note = pool.queue_note(port.head.address() as usize);
    match take(port, &link, queue.pointer_word as usize, refresh, entry) {
        Ok(outcome) => {
            note.note_sound();
            outcome
        }
        Err(fault) => Err(report(pool, note, format_args!("ready queue {number}"), fault)),
    }
}

fn take<W: Word32, S: Words64>(
    port: &ReadyPort<W, S>,
    link: &impl Link<W, S>,
    pointer_word: usize,
    refresh: bool,
    entry: &mut [u64],
) -> Result<Result<(), Status>, Fault> {
    let tail = if refresh { port.tail(link).map_err(Fault::ReadyTail)? } else { port.known_tail() };
    let head = port.own_head();
    if head >= port.capacity || tail >= port.capacity {
        return Err(Fault::Indices { head, tail });
    }
    if head == tail {
        return Ok(Err(Status::LANEPIPE_EMPTY));
    }
    port.read_entries(link, head, entry).map_err(Fault::Entry)?;
    if entry[pointer_word] == 0 {
        return Ok(Err(Status::LANEPIPE_AGAIN));
    }
    port.publish_head(link, (head + 1) % port.capacity).map_err(Fault::ReadyHead)?;
    Ok(Ok(()))
}

/// What a step on a free queue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Supplied {
    /// Buffers published, also before a failure.
    pub(crate) published: usize,
    /// `LANEPIPE_OK` also if the lane is dry or the queue full; `LANEPIPE_BUSY` if it was not this caller's turn.
    pub(crate) status: Status,
}

impl Supplied {
    const BUSY: Self = Self { published: 0, status: Status::LANEPIPE_BUSY };
}

/// Fills a free queue from the lane (`shard`, `kind`), if neither gate is shut by the time that it is this caller's turn.
///
/// # Safety
///
/// The caller is the drain thread of the shard. The kind is in range.
pub(crate) unsafe fn top_up(
    pool: &Pool,
    port: &Free,
    is_frozen: impl FnOnce() -> bool,
    kind: u32,
    shard: u32,
) -> Supplied {
    let Some(_lanes) = pool.lane_turn(shard).enter() else { return Supplied::BUSY };
    // Not before the turn: see `super::backpressure`.
    if is_frozen() {
        return Supplied::BUSY;
    }
    let link = SharedLink::new(pool.memory());
    supply(pool, port, port.tail.address() as usize, &link, kind, shard, |max, take| {
        // SAFETY: the caller is the lane's sole consumer, but for the refill of a freeze, which the turn excludes.
        Ok(unsafe { pool.offer_recycled(shard, kind, max, take) })
    })
}

/// Fills a free queue from the lanes of all live shards, then from parked buffers, then from blocks of `batch_size` buffers.
///
/// # Safety
///
/// The caller is the owner while no thread runs, or the replenish thread while it has the turns of all lanes. The kind is
/// in range.
pub(crate) unsafe fn refill(pool: &Pool, port: &Free, kind: u32, buffer_size: usize, batch_size: u32) -> Supplied {
    let link = SharedLink::new(pool.memory());
    supply(pool, port, port.tail.address() as usize, &link, kind, 0, |max, take| {
        for has_allocated in [false, true] {
            for shard in 0..pool.live_shards() {
                // SAFETY: nobody else takes from lanes.
                let taken = unsafe { pool.offer_recycled(shard, kind, max, &mut *take) };
                if taken != 0 {
                    return Ok(taken);
                }
            }
            if let Some(buffer) = pool.take_retired(None, kind) {
                pool.note(&buffer, Place::Device, 0);
                return Ok(take(&[buffer]));
            }
            if has_allocated || buffer_size == 0 || batch_size == 0 {
                break;
            }
            // SAFETY: the caller is the sole producer of lanes.
            match unsafe { pool.allocate(kind, buffer_size, batch_size, None) } {
                Ok(_) => {}
                Err(status @ (Status::LANEPIPE_E_TOO_LARGE | Status::LANEPIPE_E_INVALID)) => return Err(status),
                // Dry; a failure of the allocator has been reported.
                Err(_) => break,
            }
        }
        Ok(0)
    })
}

/// Publishes what `offer` shows until the queue is full or `offer` has nothing. `offer` shows up to so many buffers to a
/// function that tells how many it has taken.
fn supply<W: Word32, S: Words64>(
    pool: &Pool,
    port: &FreePort<W, S>,
    address: usize,
    link: &impl Link<W, S>,
    kind: u32,
    shard: u32,
    mut offer: impl FnMut(usize, &mut dyn FnMut(&[Buffer]) -> usize) -> Result<usize, Status>,
) -> Supplied {
    let note = pool.queue_note(address);
    let Some(_turn) = note.turn.enter() else { return Supplied::BUSY };
    let queue = FreeQueue { pool, port, address, link, note, shard };
    let mut published = 0;
    let outcome = queue.settle().and_then(|own| {
        let mut room = queue.park_on_failure(&own, queue.room())?;
        // What it nearly got before comes first.
        let (now, later) = own.split_at(room.min(own.len()));
        queue.park(later);
        for batch in now.chunks(BATCH) {
            if let Err((fault, taken)) = queue.publish(batch) {
                queue.park(&now[published + taken..]);
                return Err(fault);
            }
            published += batch.len();
            room -= batch.len();
        }
        while room != 0 {
            let mut failed = None;
            let taken = offer(room.min(BATCH), &mut |buffers| match queue.publish(buffers) {
                Ok(()) => buffers.len(),
                Err((fault, taken)) => {
                    failed = Some(fault);
                    taken
                }
            });
            if let Some(fault) = failed {
                return Err(fault);
            }
            match taken.map_err(Fault::Block)? {
                0 => break,
                taken => {
                    published += taken;
                    room -= taken;
                }
            }
        }
        Ok(())
    });
    let status = match outcome {
        Ok(()) => {
            note.note_sound();
            Status::LANEPIPE_OK
        }
        Err(fault) => report(pool, note, format_args!("a free queue of kind {kind}, shard {shard}"), fault),
    };
    Supplied { published, status }
}

/// A free queue in the hands of whoever has its turn.
struct FreeQueue<'a, W, S, L> {
    pool: &'a Pool,
    port: &'a FreePort<W, S>,
    address: usize,
    link: &'a L,
    note: &'a QueueNote,
    /// Where buffers are parked.
    shard: u32,
}

impl<W: Word32, S: Words64, L: Link<W, S>> FreeQueue<'_, W, S, L> {
    /// Slots that are free.
    fn room(&self) -> Result<usize, Fault> {
        let head = self.port.head(self.link).map_err(Fault::FreeHead)?;
        let tail = self.port.own_tail();
        match self.port.slot_count.checked_sub(tail.wrapping_sub(head)) {
            Some(room) => Ok(room as usize),
            None => Err(Fault::Fill { head, tail }),
        }
    }

    /// Publishes the buffers, or takes as many of them from the first on as it tells with the fault.
    fn publish(&self, buffers: &[Buffer]) -> Result<(), (Fault, usize)> {
        let (mut addresses, mut old_slots) = ([0; BATCH], [0; BATCH]);
        let count = buffers.len().min(BATCH);
        let (addresses, old_slots) = (&mut addresses[..count], &mut old_slots[..count]);
        for (address, buffer) in addresses.iter_mut().zip(buffers) {
            *address = buffer.dev;
        }
        let before = self.port.own_tail();
        let tail = before.wrapping_add(count as u32);
        self.port.own_slots(before, old_slots);
        if let Err(status) = self.port.write_slots(self.link, before, addresses) {
            self.port.keep_slots(before, old_slots);
            self.park(&buffers[..1]);
            return Err((Fault::Slots(status), 1));
        }
        let Err(status) = self.port.publish_tail(self.link, tail) else { return Ok(()) };
        let found = self.port.published_tail(self.link);
        if found == Ok(tail) {
            self.port.keep_tail(tail);
            return Ok(());
        }
        self.port.keep_tail(before);
        self.port.keep_slots(before, old_slots);
        if found.is_ok() {
            self.park(&buffers[..1]);
            return Err((Fault::FreeTail(status), 1));
        }
        for buffer in buffers {
            // Parking fails only when memory is out; the ledger has the buffer as quarantined all the same.
            let _ = self.pool.quarantine(self.shard, *buffer);
        }
        self.pool.note_doubt(self.note, self.address, Doubt { tail, buffers: buffers.to_vec() });
        Err((Fault::FreeTail(status), count))
    }

    /// Finds out whether a publication in doubt took effect. If it did not, its buffers are the caller's.
    fn settle(&self) -> Result<Vec<Buffer>, Fault> {
        if !self.pool.is_in_doubt(self.note, self.address) {
            return Ok(Vec::new());
        }
        let before = self.port.own_tail();
        let found = self.port.published_tail(self.link).map_err(Fault::Unsettled)?;
        let Some(Doubt { tail, mut buffers }) = self.pool.take_doubt(self.note, self.address) else {
            return Ok(Vec::new());
        };
        let landed = found == tail;
        self.port.keep_tail(if landed { found } else { before });
        // One that was released meanwhile is nobody's.
        buffers.retain(|buffer| self.pool.end_quarantine(buffer));
        for buffer in &buffers {
            // At the device, or about to be.
            self.pool.note(buffer, Place::Device, self.pool.fold(self.shard));
        }
        if landed {
            buffers.clear();
        }
        Ok(buffers)
    }

    /// Parks the caller's buffers if `outcome` is a failure.
    fn park_on_failure<T>(&self, own: &[Buffer], outcome: Result<T, Fault>) -> Result<T, Fault> {
        if outcome.is_err() {
            self.park(own);
        }
        outcome
    }

    /// Parks buffers, for the replenish thread to bring back.
    fn park(&self, buffers: &[Buffer]) {
        for buffer in buffers {
            // Parking fails only when memory is out; the ledger has the buffer as retired all the same.
            let _ = self.pool.retire(self.shard, *buffer);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
