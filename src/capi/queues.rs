//! The device's queues as the caller describes them.

use super::args::check;
use crate::layout::{FreePort, RawWords64, ReadyPort};
use crate::pool::Problem;
use crate::profiler::{Free, ReadyQueueConfig};
use crate::status::Status;
use crate::sync::RawWord32;
use core::ffi::c_void;

/// A device ready queue, by host addresses inside the shared region. Indices run modulo `capacity`; one slot stays empty, so
/// that a queue of capacity 1 never holds an entry.
#[repr(C)]
pub struct lanepipe_ready_queue_t {
    /// First entry.
    pub entries: *mut c_void,
    /// Next entry to take; written by the host only.
    pub head: *mut u32,
    /// Next entry to fill; written by the device only.
    pub tail: *mut u32,
    /// Modulus of the indices, 1 or more.
    pub capacity: u32,
    /// Bytes from one entry to the next, a multiple of 8 up to 256.
    pub entry_size: u32,
    /// Offset of the 64-bit buffer address in an entry, a multiple of 8.
    pub pointer_offset: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// A device free queue, by host addresses inside the shared region. Counters grow without bound and wrap at 2^32; the slot of
/// a counter is its remainder modulo `slot_count`, so that only with a power of two the wrap passes unseen.
#[repr(C)]
pub struct lanepipe_free_queue_t {
    /// Next slot to take; written by the device only.
    pub head: *mut u32,
    /// Next slot to fill; written by the host only.
    pub tail: *mut u32,
    /// Buffer addresses.
    pub slots: *mut u64,
    /// Slots, 1 or more.
    pub slot_count: u32,
    /// Must be 0.
    pub reserved: u32,
}

pub(super) fn refusal(status: Status, what: &'static str) -> Problem {
    Problem { status, what }
}

/// A later version may give the field a meaning, which must not meet chance values.
pub(super) fn check_reserved(reserved: u32) -> Result<(), Problem> {
    if reserved == 0 { Ok(()) } else { Err(refusal(Status::LANEPIPE_E_INVALID, "a reserved field is not 0")) }
}

fn check_word<T>(address: *const T) -> Result<(), Problem> {
    check(address).map_err(|status| refusal(status, "the address of a queue word is null or not aligned"))
}

impl lanepipe_ready_queue_t {
    /// The host's end.
    pub(super) fn native(&self) -> Result<ReadyQueueConfig, Problem> {
        check_reserved(self.reserved)?;
        check_word(self.head)?;
        check_word(self.tail)?;
        check_word(self.entries.cast::<u64>())?;
        if !self.entry_size.is_multiple_of(8) || !self.pointer_offset.is_multiple_of(8) {
            let what = "a ready queue's entry_size or pointer_offset is not a multiple of 8";
            return Err(refusal(Status::LANEPIPE_E_INVALID, what));
        }
        let entry_words = self.entry_size / 8;
        let words = self.capacity as usize * entry_words as usize;
        // SAFETY: the creator of the profiler vouches for the words of the shared region while it exists.
        let port = unsafe {
            ReadyPort {
                head: RawWord32::new(self.head),
                tail: RawWord32::new(self.tail),
                entries: RawWords64::new(self.entries.cast(), words),
                capacity: self.capacity,
                entry_words,
            }
        };
        Ok(ReadyQueueConfig { port, pointer_word: self.pointer_offset / 8 })
    }
}

impl lanepipe_free_queue_t {
    /// The host's end.
    pub(super) fn native(&self) -> Result<Free, Problem> {
        check_reserved(self.reserved)?;
        check_word(self.head)?;
        check_word(self.tail)?;
        check_word(self.slots)?;
        // SAFETY: as for ready queues.
        Ok(unsafe {
            FreePort {
                head: RawWord32::new(self.head),
                tail: RawWord32::new(self.tail),
                slots: RawWords64::new(self.slots, self.slot_count as usize),
                slot_count: self.slot_count,
            }
        })
    }
}
