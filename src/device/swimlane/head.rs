//! The line by which a control thread tells a core its buffer: address and sequence number.
//!
//! The control thread stores the address, then the number; the core reads the number, then the address, and only if the
//! number is another one. So a core never uses a new number with an old address. An address that is newer than the number
//! is possible in between; the core, whose next task is dispatched afterwards, sees both then.

use crate::layout::runtime::constants::PLATFORM_AICORE_BUFFER_SIZE;
use crate::sync::atomic::Ordering;
use crate::sync::barrier::{rmb, wmb};
use crate::sync::{Edge, Word32, Word64};

const H1: Edge = Edge::new("swimlane.H1", Ordering::Release);
const C1: Edge = Edge::new("swimlane.C1", Ordering::Acquire);

/// Records of a core's buffer.
pub const CAPACITY: u32 = PLATFORM_AICORE_BUFFER_SIZE;

/// The two words. Written by the control thread that owns the core.
#[derive(Debug, Clone, Copy)]
pub struct ActiveHead<W, D> {
    /// Address of the buffer; 0: none.
    pub address: D,
    /// Its sequence number.
    pub seq: W,
}

impl<W: Word32, D: Word64> ActiveHead<W, D> {
    /// Makes the buffer at `address`, which is empty, or none if it is 0, the core's.
    #[inline(always)]
    pub fn publish(&self, address: u64, seq: u32) {
        wmb();
        // Relaxed: published by the number.
        self.address.store(address, Ordering::Relaxed);
        wmb();
        // [H1] Release: pairs with [C1]; carries the address and the buffer's count.
        self.seq.store(seq, H1.order());
        wmb();
    }
}

/// What a core keeps: the twin of the core's code, for simulation. One thread.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreLocal {
    cached: u64,
    cached_seq: u32,
    slot: u32,
}

impl Default for CoreLocal {
    fn default() -> Self {
        Self { cached: 0, cached_seq: u32::MAX, slot: 0 }
    }
}

impl CoreLocal {
    /// Whether the cached number is `seq`.
    #[cfg(all(test, loom))]
    pub(super) fn is_seq(&self, seq: u32) -> bool {
        self.cached_seq == seq
    }

    /// Reserves a record before the task is acknowledged: address of the buffer and index of the record. `None` without a
    /// head, without a buffer, or if the buffer is used up.
    #[inline(always)]
    pub fn reserve<W: Word32, D: Word64>(&mut self, head: Option<&ActiveHead<W, D>>) -> Option<(u64, u32)> {
        let head = head?;
        // [C1] Acquire: pairs with [H1]; the address that is read next is at least as new.
        let seq = head.seq.load(C1.order());
        if seq != self.cached_seq {
            rmb();
            // Relaxed: published by the number.
            *self = Self { cached: head.address.load(Ordering::Relaxed), cached_seq: seq, slot: 0 };
        }
        if self.cached == 0 || self.slot >= CAPACITY {
            return None;
        }
        let slot = self.slot;
        self.slot += 1;
        Some((self.cached, slot))
    }
}
