//! The last fault of a worker thread: a record that any thread writes and any thread reads, without a lock.

use super::Role;
use crate::status::Status;
use crate::sync::atomic::{AtomicU64, Ordering};

/// What went wrong last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub status: Status,
    /// Role of the thread.
    pub role: Role,
    /// Queue for the drain role, shard for others.
    pub index: u32,
    /// Device address or index concerned.
    pub value: u64,
    /// Faults so far.
    pub count: u64,
}

/// The record. `head` packs count, status, role and index into one word, so they belong together; `value` may be that of
/// a neighbouring fault when two threads fail at once.
#[derive(Debug, Default)]
pub(super) struct FaultRecord {
    head: AtomicU64,
    value: AtomicU64,
}

const COUNT_SHIFT: u32 = 32;

impl FaultRecord {
    /// Notes a fault and returns how many there have been.
    pub(super) fn note(&self, status: Status, role: Role, index: u32, value: u64) -> u64 {
        // Relaxed throughout: the record stands for itself.
        self.value.store(value, Ordering::Relaxed);
        let detail =
            u64::from((status as i32).unsigned_abs() & 0xff) | (role as u64) << 8 | u64::from(index & 0xffff) << 16;
        let advance = |head: u64| Some((head >> COUNT_SHIFT).wrapping_add(1) << COUNT_SHIFT | detail);
        let before = self.head.fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance).unwrap_or(0);
        (before >> COUNT_SHIFT) + 1
    }

    /// The last fault; `None` if there was none.
    pub(super) fn read(&self) -> Option<Fault> {
        let head = self.head.load(Ordering::Relaxed);
        let count = head >> COUNT_SHIFT;
        if count == 0 {
            return None;
        }
        let role = match head >> 8 & 0xff {
            0 => Role::Sentinel,
            1 => Role::Drain,
            2 => Role::Replenish,
            _ => Role::Collect,
        };
        Some(Fault {
            status: Status::failure((head & 0xff) as i32),
            role,
            index: (head >> 16 & 0xffff) as u32,
            value: self.value.load(Ordering::Relaxed),
            count,
        })
    }
}
