//! The built-in backends: a counter in memory, the record of an SDMA queue, the handle of a URMA transfer.
//!
//! | type | ready when | side effects of a poll |
//! | --- | --- | --- |
//! | counter | the 32-bit word reaches the threshold, unsigned | none |
//! | SDMA event record | the 64-bit word reaches the post id, unsigned | none |
//! | URMA event handle (A5T) | the completion queue has passed the handle's position | consumes the queue's entries |
//!
//! Words belong to devices and peers: each is read by one acquire load, so that what was transferred before it is visible
//! to whoever completes the task.

use super::image::ConditionRef;
pub use crate::mailbox::layout::{
    TYPE_COUNTER as COUNTER, TYPE_SDMA_EVENT_RECORD as SDMA_EVENT_RECORD, TYPE_URMA_EVENT_HANDLE as URMA_EVENT_HANDLE,
    Variant,
};
use crate::sync::atomic::{Ordering, fence};
use crate::sync::{RawWord32, RawWord64, Word32, Word64};

/// The condition is malformed or has failed.
pub const ERROR_INVALID: i32 = 101;

/// Bytes of a cache line of the device.
pub const LINE: usize = 64;

/// What a poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// Not yet.
    Pending,
    /// It holds.
    Ready,
    /// It never will; the error code.
    Failed(i32),
}

impl Variant {
    /// Whether a poll pass drops a counter's line before it reads the counter.
    pub const fn invalidates_counters(self) -> bool {
        !matches!(self, Self::A5T)
    }

    /// Whether the poll of an SDMA record drops its line first.
    pub const fn invalidates_records(self) -> bool {
        !self.is_a5()
    }
}

const INVALID: Poll = Poll::Failed(ERROR_INVALID);

fn reached(holds: bool) -> Poll {
    if holds { Poll::Ready } else { Poll::Pending }
}

/// Whether a poll of the condition can neither fail nor have effects: then nobody misses it if it is left out.
pub(super) fn is_plain(kind: i32, counter_addr: u64, addr: u64, cookie: u64) -> bool {
    match kind {
        COUNTER => counter_addr != 0 && counter_addr.is_multiple_of(4),
        SDMA_EVENT_RECORD => addr != 0 && addr.is_multiple_of(8) && cookie != 0,
        _ => false,
    }
}

/// Polls an unsatisfied condition with the backend of its type. `invalidate` drops a line of the device's cache.
pub(super) fn poll(variant: Variant, condition: ConditionRef, invalidate: &mut impl FnMut(u64, usize)) -> Poll {
    match condition.completion_type() {
        COUNTER => counter(condition.counter_addr(), condition.expected_value()),
        SDMA_EVENT_RECORD => {
            let (addr, post) = (condition.addr(), condition.backend_cookie());
            if addr != 0 && variant.invalidates_records() {
                invalidate(addr & !(LINE as u64 - 1), LINE);
            }
            record(addr, post)
        }
        URMA_EVENT_HANDLE if variant.backends() > URMA_EVENT_HANDLE => {
            let outcome = urma(condition.addr(), condition.backend_cookie(), invalidate);
            if let Poll::Failed(_) = outcome {
                // The failed entry of the completion queue is consumed: a second poll must not find success behind it.
                condition.set_backend_cookie(0);
            }
            outcome
        }
        _ => INVALID,
    }
}

#[inline(always)]
fn counter(addr: u64, expected: u32) -> Poll {
    if addr == 0 || !addr.is_multiple_of(4) {
        return INVALID;
    }
    reached(load32(addr) >= expected)
}

#[inline(always)]
fn record(addr: u64, post: u64) -> Poll {
    if addr == 0 || post == 0 || !addr.is_multiple_of(8) {
        return INVALID;
    }
    reached(load64(addr) >= post)
}

#[inline(always)]
fn load32(addr: u64) -> u32 {
    // SAFETY: aligned; whoever registered the condition vouches for the word until the task is complete.
    let word = unsafe { RawWord32::new(addr as *mut u32) };
    // Acquire: pairs with the release, or the device barrier, of whoever wrote the word.
    word.load(Ordering::Acquire)
}

#[inline(always)]
fn load64(addr: u64) -> u64 {
    // SAFETY: as above.
    let word = unsafe { RawWord64::new(addr as *mut u64) };
    // Acquire: as above.
    word.load(Ordering::Acquire)
}

fn store32(addr: u64, value: u32) {
    // SAFETY: as above; the lock's holder is the only consumer of the queue.
    let word = unsafe { RawWord32::new(addr as *mut u32) };
    // Release, then a full barrier: the device reads the word; entries were read before.
    word.store(value, Ordering::Release);
    fence(Ordering::SeqCst);
}

/// A completion queue of a URMA workspace.
struct Queue {
    buf: u64,
    shift: u32,
    depth: u32,
    tail: u64,
    db: u64,
}

impl Queue {
    /// The completion queue whose context is at `context`.
    fn read(context: u64) -> Option<Self> {
        let queue = Self {
            buf: load64(context.wrapping_add(8)),
            shift: load32(context.wrapping_add(16)),
            depth: load32(context.wrapping_add(20)),
            tail: load64(context.wrapping_add(32)),
            db: load64(context.wrapping_add(48)),
        };
        let sound = queue.buf != 0
            && queue.buf.is_multiple_of(4)
            && queue.tail != 0
            && queue.tail.is_multiple_of(4)
            && queue.db.is_multiple_of(4)
            && queue.shift <= 12
            && queue.depth.is_power_of_two();
        sound.then_some(queue)
    }
}

const HEADER_BYTES: usize = 56;
const CQ_BYTES: u64 = 56;
const WQ_BYTES: u64 = 64;
const OWNER_BIT: u32 = 1 << 2;

/// Whether position `a` is at `b` or past it.
fn is_past(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 >= 0
}

/// Walks the completion queue up to the handle's position and gives what it has passed back to the device.
fn urma(handle: u64, workspace: u64, invalidate: &mut impl FnMut(u64, usize)) -> Poll {
    if handle == 0 {
        return Poll::Ready;
    }
    if workspace == 0 || !workspace.is_multiple_of(8) {
        return INVALID;
    }
    let (rank, target) = ((handle >> 32) as u32, handle as u32);
    if target == 0 {
        return Poll::Ready;
    }
    invalidate(workspace, HEADER_BYTES);
    let (queues, ranks) = (load32(workspace), load32(workspace.wrapping_add(8)));
    let (sq, scq) = (load64(workspace.wrapping_add(16)), load64(workspace.wrapping_add(32)));
    if queues == 0 || rank >= ranks || sq == 0 || scq == 0 || !(sq | scq).is_multiple_of(8) {
        return INVALID;
    }
    let index = u64::from(rank).wrapping_mul(u64::from(queues));
    let cq_context = scq.wrapping_add(index.wrapping_mul(CQ_BYTES));
    let wq_context = sq.wrapping_add(index.wrapping_mul(WQ_BYTES));
    invalidate(cq_context, CQ_BYTES as usize);
    invalidate(wq_context, WQ_BYTES as usize);
    let Some(cq) = Queue::read(cq_context) else { return INVALID };
    let work_tail = load64(wq_context.wrapping_add(32));
    let first = load32(cq.tail);
    if is_past(first, target) {
        return Poll::Ready;
    }
    let mut outcome = Poll::Pending;
    let mut position = first;
    // The queue holds `depth` entries at most; a target further ahead is met by a later poll.
    for _ in 0..cq.depth {
        if is_past(position, target) {
            break;
        }
        let entry = cq.buf.wrapping_add(u64::from(position & (cq.depth - 1)) << cq.shift);
        invalidate(entry & !(LINE as u64 - 1), LINE);
        if !entry.is_multiple_of(4) {
            return INVALID;
        }
        let word = load32(entry);
        let parity = (position >> cq.depth.trailing_zeros()) & 1;
        if u32::from(word & OWNER_BIT != 0) == parity {
            break;
        }
        position = position.wrapping_add(1);
        if (word >> 16) & 0xffff != 0 {
            outcome = INVALID;
            break;
        }
    }
    if position != first {
        store32(cq.tail, position);
        if cq.db != 0 {
            store32(cq.db, position & 0x00ff_ffff);
        }
        if work_tail != 0 && work_tail.is_multiple_of(4) {
            store32(work_tail, position);
        }
    }
    if outcome == Poll::Pending { reached(is_past(position, target)) } else { outcome }
}
