//! Views of a mailbox's memory: what the transport is written over.

use super::layout::{ALIGN, CAPACITY, Words};
use crate::sync::atomic::Ordering;
use crate::sync::{RawWord64, SharedWord64, Word64, prefetch_to_read, prefetch_to_write};
use core::ptr;

/// Keeps the compiler from what it knows of a variable that goes round a loop: of several that go in step it would make more,
/// and run out of registers. No instruction.
macro_rules! forget_origin {
    ($variable:ident) => {
        #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
        #[allow(clippy::pointers_in_nomem_asm_block, reason = "nothing is executed")]
        // SAFETY: nothing is executed, and the value stays.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) $variable, options(pure, nomem, nostack, preserves_flags));
        }
        #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
        {
            $variable = core::convert::identity($variable);
        }
    };
}
pub(super) use forget_origin;

/// The words in front of the ring, by their place: two lines of eight.
pub mod word {
    /// Tickets claimed.
    pub const HEAD: usize = 0;
    /// Messages consumed.
    pub const TAIL: usize = 8;
    /// Padding, consumer: ticket of the last gap met.
    pub const GAP: usize = 9;
    /// Padding, consumer: number of gaps met.
    pub const GAPS: usize = 10;
    /// Padding, consumers that found another one at work: how often.
    pub const OVERLAPS: usize = 11;
    /// Padding, boot thread: run number under a signature.
    pub const STAMP: usize = 12;
    /// Padding, boot thread: first ticket of this life of the memory.
    pub const FIRST: usize = 13;
    /// Padding, boot thread: checksum of both.
    pub const STAMP_CHECK: usize = 14;
    /// How many there are.
    pub const COUNT: usize = 16;
}

/// Memory of a mailbox. Slots are named by ticket and repeat every [`Memory::capacity`] tickets.
pub trait Memory {
    /// A word that threads share.
    type Word<'a>: SharedWord64
    where
        Self: 'a;

    /// A slot, as a walk through the ring keeps it at hand.
    type Slot<'a>: Slot
    where
        Self: 'a;

    /// The slot of `ticket`.
    fn slot(&self, ticket: u64) -> Self::Slot<'_>;
    /// Number of slots, a power of two, at most [`CAPACITY`].
    fn capacity(&self) -> u64;
    /// A word in front of the ring; `index` is one of [`word`].
    fn word(&self, index: usize) -> Self::Word<'_>;
    /// The `seq` word of the slot of `ticket`.
    fn seq(&self, ticket: u64) -> Self::Word<'_>;
    /// Writes the payload of the slot of `ticket`. Ordered against readers by the protocol.
    fn write(&self, ticket: u64, payload: &Words);
    /// Reads the payload of the slot of `ticket`. Two consumers at once, which is misuse, may read what is being written.
    fn read(&self, ticket: u64) -> Words;
    /// Sets everything to zero. Nobody else uses the memory.
    fn clear(&self);
    /// Says that the caller is about to write to the cursor line of producers.
    fn prefetch_head(&self) {}
    /// Says that the caller is about to read the slot of `ticket`.
    fn prefetch_to_read(&self, ticket: u64) {
        let _ = ticket;
    }
}

/// One slot of a mailbox, in a value that no store through another pointer can change.
pub trait Slot {
    /// The `seq` word.
    fn seq(&self) -> impl SharedWord64;
    /// Word `index` of the payload; as for [`Memory::read`].
    fn payload(&self, index: usize) -> u64;
    /// The slot that lies behind it in memory, not that of the next ticket; nothing at the ring's end.
    fn behind(self) -> Self;
    /// Says that the caller is about to read the slot `distance` behind, which need not be there.
    fn prefetch(&self, distance: usize) {
        let _ = distance;
    }
}

/// A mailbox at a raw address.
#[derive(Debug, Clone, Copy)]
pub struct RawMemory(*mut u64);

// SAFETY: the view only makes atomic accesses but for `clear`, and `new`'s caller vouches for the memory.
unsafe impl Send for RawMemory {}
// SAFETY: as for `Send`.
unsafe impl Sync for RawMemory {}

const SLOT_WORDS: usize = 8;
const MASK: u64 = CAPACITY as u64 - 1;

impl RawMemory {
    /// The mailbox at `address`.
    ///
    /// # Safety
    ///
    /// `address` is 8-byte aligned and readable and writable for `MAILBOX_SIZE` bytes for as long as the view is used. All
    /// concurrent accesses to cursors, `seq` words and the padding of the two cursor lines are atomic and 8 bytes wide.
    #[inline(always)]
    pub unsafe fn new(address: *mut u8) -> Self {
        debug_assert!(address.addr().is_multiple_of(ALIGN));
        Self(address.cast())
    }

    #[inline(always)]
    fn at(&self, index: usize) -> RawWord64 {
        // SAFETY: callers give indices below 16 or of a masked slot, all inside the mailbox that `new`'s caller vouches for.
        unsafe { RawWord64::new(self.0.add(index)) }
    }

    #[inline(always)]
    fn slot_index(ticket: u64) -> usize {
        word::COUNT + (ticket & MASK) as usize * SLOT_WORDS
    }
}

impl Memory for RawMemory {
    type Word<'a> = RawWord64;
    type Slot<'a> = RawSlot;

    #[inline(always)]
    fn slot(&self, ticket: u64) -> RawSlot {
        RawSlot(self.0.wrapping_add(Self::slot_index(ticket)))
    }

    #[inline(always)]
    fn capacity(&self) -> u64 {
        CAPACITY as u64
    }

    #[inline(always)]
    fn word(&self, index: usize) -> RawWord64 {
        debug_assert!(index < word::COUNT);
        self.at(index)
    }

    #[inline(always)]
    fn seq(&self, ticket: u64) -> RawWord64 {
        self.at(Self::slot_index(ticket))
    }

    #[inline(always)]
    fn write(&self, ticket: u64, payload: &Words) {
        let first = Self::slot_index(ticket) + 1;
        for (offset, value) in payload.iter().enumerate() {
            // Relaxed: published by `seq`. Single words, so that no access needs more than 8-byte alignment.
            self.at(first + offset).store(*value, Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn read(&self, ticket: u64) -> Words {
        let first = Self::slot_index(ticket) + 1;
        // Relaxed: published by `seq`.
        core::array::from_fn(|offset| self.at(first + offset).load(Ordering::Relaxed))
    }

    fn clear(&self) {
        // SAFETY: the mailbox's own bytes, which nobody else uses now.
        unsafe { ptr::write_bytes(self.0, 0, word::COUNT + CAPACITY * SLOT_WORDS) };
    }

    #[inline(always)]
    fn prefetch_head(&self) {
        prefetch_to_write(self.0);
    }

    #[inline(always)]
    fn prefetch_to_read(&self, ticket: u64) {
        prefetch_to_read(self.0.wrapping_add(Self::slot_index(ticket)));
    }
}

/// A slot of a [`RawMemory`], or what lies behind the last one and is not accessed.
#[derive(Debug, Clone, Copy)]
pub struct RawSlot(*mut u64);

impl RawSlot {
    #[inline(always)]
    fn at(&self, index: usize) -> RawWord64 {
        // SAFETY: a word of the slot, which lies inside the mailbox that `RawMemory::new`'s caller vouches for.
        unsafe { RawWord64::new(self.0.wrapping_add(index)) }
    }
}

impl Slot for RawSlot {
    #[inline(always)]
    fn seq(&self) -> impl SharedWord64 {
        self.at(0)
    }

    #[inline(always)]
    fn payload(&self, index: usize) -> u64 {
        // Relaxed: published by `seq`.
        self.at(1 + index).load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn behind(self) -> Self {
        let mut next = self.0.wrapping_add(SLOT_WORDS);
        forget_origin!(next);
        Self(next)
    }

    #[inline(always)]
    fn prefetch(&self, distance: usize) {
        prefetch_to_read(self.0.wrapping_add(distance * SLOT_WORDS));
    }
}
