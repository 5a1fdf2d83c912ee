//! The acknowledgement of payloads: when a thread may write its arena anew (DE 3.6).
//!
//! A thread that comes to the end of its arena publishes its records, asks for a freeze and waits until the host has
//! acknowledged as many payloads as it has published. While a gate is shut, the replenish thread finds each thread in one of
//! these states, in which the gates may open for it:
//!
//! * as many payloads were read as were published: they are acknowledged;
//! * its active buffer has records: it does not wait for its arena, and will ask for a freeze of its own when it does;
//! * nothing that was published is still on its way, so that what is missing will never come: an entry was refused, or its
//!   contents were lost, and nobody knows how many payloads it had; or an index of the queue is out of range, and nothing
//!   is taken from it any more. They are acknowledged, or each later lap of the arena would wait for them in vain.
//!
//! A thread raises the number before it stores the entry. So the words are read in this order, each acquired: the number;
//! the active buffer and its count; the tail of the ready queue, up to which all entries were looked at; the buffers that
//! are done, which are all that were taken. If the number includes payloads whose entry the tail does not cover, the thread
//! still has its records. Where stores overtake each other and the number is acknowledged too early, the thread asks for
//! another freeze before it uses the arena, and the entry comes before that freeze ends.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `collector.P1` | collect: payloads read, Release | `collector.P2` | the payloads were read | `loom_collector_acknowledgement` |
//! | `collector.P2` | `collector.P1` | replenish: payloads read, Acquire | the same | `loom_collector_acknowledgement` |
//! | `collector.A1` | replenish: acknowledged payloads, Release | `args_dump.A1` | the same | `loom_collector_acknowledgement` |
//! | `collector.T1` | drain: entries looked at, Release | `collector.T2` | buffers taken | `loom_collector_taken` |
//! | `collector.T2` | `collector.T1` | replenish: entries looked at, Acquire | the same | `loom_collector_taken` |

use super::describe::{Stream, address};
use super::intake::Intake;
use crate::layout::runtime::common::DumpBufferState;
use crate::pool::MemoryContext;
use crate::profiler::shared_link::SharedLink;
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::barrier::{rmb, wmb};
use crate::sync::{Edge, RawWord64, Word64};
use core::mem::offset_of;

const P1: Edge = Edge::new("collector.P1", Ordering::Release);
const P2: Edge = Edge::new("collector.P2", Ordering::Acquire);
const A1: Edge = Edge::new("collector.A1", Ordering::Release);
const T1: Edge = Edge::new("collector.T1", Ordering::Release);
const T2: Edge = Edge::new("collector.T2", Ordering::Acquire);

/// How far the host is with the buffers of an instance.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Buffers taken from the ready queue. Written by the drain thread.
    taken: AtomicU64,
    /// Buffers delivered. Written by the collect thread, as is the next.
    done: AtomicU64,
    /// Payloads in them.
    payloads: AtomicU64,
}

impl Progress {
    /// The drain thread took a buffer.
    pub(super) fn note_taken(&self) {
        // Relaxed, both: one writer; [T1] of the queue's position carries it.
        self.taken.store(self.taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The collect thread is done with a buffer, whose payloads were so many.
    pub(super) fn note_done(&self, payloads: u64) {
        // Relaxed: one writer.
        let (read, done) = (self.payloads.load(Ordering::Relaxed), self.done.load(Ordering::Relaxed));
        // [P1] Release, both: pairs with [P2]; the payloads were read.
        self.payloads.store(read.wrapping_add(payloads), P1.order());
        self.done.store(done + 1, P1.order());
    }

    /// Payloads read.
    pub(super) fn payloads(&self) -> u64 {
        // [P2] Acquire: pairs with [P1].
        self.payloads.load(P2.order())
    }

    /// Whether all buffers taken are done. After the position of their ready queue.
    pub(super) fn is_even(&self) -> bool {
        // Relaxed: [T2] of the queue's position brought it.
        let taken = self.taken.load(Ordering::Relaxed);
        // [P2] Acquire: pairs with [P1].
        self.done.load(P2.order()) == taken
    }
}

/// Index behind the last entry of a ready queue that was looked at.
#[derive(Debug, Default)]
pub(super) struct Position(AtomicU32);

impl Position {
    /// The drain thread looked at `count` entries of a queue of `size`.
    pub(super) fn advance(&self, count: u32, size: u32) {
        // Relaxed: one writer.
        let index = (self.0.load(Ordering::Relaxed) + count).checked_rem(size).unwrap_or(0);
        // [T1] Release: pairs with [T2]; the buffers taken are noted.
        self.0.store(index, T1.order());
    }

    /// The index.
    pub(super) fn get(&self) -> u32 {
        // [T2] Acquire: pairs with [T1].
        self.0.load(T2.order())
    }
}

/// Tells the device that the payloads before `count` were read.
pub(super) fn publish(completed: &impl Word64, count: u64) {
    wmb();
    // [A1] Release: pairs with the lane's acquire; the payloads were read.
    completed.store(count, A1.order());
}

/// How a thread with payloads stands.
enum Standing {
    /// So many payloads were read, or will never be.
    Settled(u64),
    /// It does not wait for its arena.
    Recording,
}

impl Intake {
    /// Whether the subsystem agrees that the gates open; acknowledges payloads. Replenish thread.
    pub(super) fn release_ready(&self, stream: &Stream) -> bool {
        if !self.gates.any_frozen() {
            // As the C++ runtime answers.
            return false;
        }
        let link = SharedLink::new(self.memory.clone());
        // Each for itself, whatever becomes of the others.
        (stream.first..stream.first + stream.instances)
            .map(|number| match self.standing(stream, number, &link) {
                Some(Standing::Settled(count)) => self.acknowledge(stream, number, count).is_ok(),
                Some(Standing::Recording) => true,
                None => false,
            })
            .fold(true, |agreed, thread| agreed & thread)
    }

    /// How a thread stands; `None` while something is on its way, or cannot be read.
    fn standing(&self, stream: &Stream, number: u32, link: &SharedLink) -> Option<Standing> {
        let place = self.module.places.get(number as usize)?;
        let state = stream.state_at(place.index);
        let published = self.load64(state + offset_of!(DumpBufferState, published_payload_count))?;
        let progress = &self.accounts.get(number as usize)?.progress;
        if progress.payloads() == published {
            return Some(Standing::Settled(published));
        }
        let current = self.load64(state + stream.state.current)?;
        // One that the pool does not know is refused when it comes.
        if let Some(known) = self.pool.resolve(current).filter(|known| known.id != 0) {
            // SAFETY: a buffer that the pool knows; the word is inside, and may be old.
            if unsafe { self.count_of(stream, current, known.host) }? != 0 {
                return Some(Standing::Recording);
            }
        }
        P2.fence();
        rmb();
        // SAFETY: the collector's region.
        let port = unsafe { self.module.ready(self.host, place.queue) };
        let tail = port.tail(link).ok()?;
        let looked_at = self.positions.get(place.queue as usize)?.get();
        // By indices that no queue has nothing more comes.
        let is_over = tail >= port.capacity || port.own_head() >= port.capacity;
        ((looked_at == tail || is_over) && progress.is_even()).then_some(Standing::Settled(published))
    }

    fn acknowledge(&self, stream: &Stream, number: u32, count: u64) -> Result<(), Status> {
        let place = self.module.places.get(number as usize).ok_or(Status::LANEPIPE_E_INVALID)?;
        let at = stream.state_at(place.index) + offset_of!(DumpBufferState, completed_payload_count);
        let place = address::<u64>(self.host, at);
        // SAFETY: a word of the collector's region.
        publish(&unsafe { RawWord64::new(place) }, count);
        // SAFETY: the source is the word.
        unsafe { self.memory.write_shared(place as u64, place.cast::<u8>().cast_const(), size_of::<u64>()) }
    }

    /// A word of the region that the device writes.
    fn load64(&self, at: usize) -> Option<u64> {
        let place = address::<u64>(self.host, at);
        load(&self.memory, place)
    }
}

/// A word of the shared region that the device writes; what follows is ordered behind it. `None` if it cannot be had.
fn load(memory: &MemoryContext, place: *mut u64) -> Option<u64> {
    if !memory.copies_in() {
        // SAFETY: a word of the collector's region.
        let word = unsafe { RawWord64::new(place) };
        // [P2] Acquire, here of a word of the device: what is looked at next is looked at later.
        let value = word.load(P2.order());
        rmb();
        return Some(value);
    }
    let mut value = 0u64;
    // SAFETY: the landing place is eight bytes long.
    unsafe { memory.read_shared(place as u64, (&raw mut value).cast(), size_of::<u64>()) }.ok()?;
    P2.fence();
    rmb();
    Some(value)
}
