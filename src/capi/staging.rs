//! The control thread's side of a staging ring. The core's side is `lanepipe/staging_ring.h`.

use super::args::{Sized32, check, sized};
use crate::device::staging::{Booked, Books, ControlSide, IdWidth, RawSlots, Refusal, SlotForm, clear};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;

/// A core's staging ring: an address that stays for the whole run, and the form of its slots. Read during a call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_staging_ring_t {
    /// `sizeof(lanepipe_staging_ring_t)`.
    pub struct_size: u32,
    /// Slots, at least 1. Two do for at most two tasks in flight.
    pub slot_count: u32,
    /// Bytes of a slot, a multiple of 8.
    pub slot_size: u32,
    /// Where a slot's id word is, in bytes.
    pub id_offset: u32,
    /// Bytes of the id word: 4 or 8. Of 8 the low half is compared.
    pub id_size: u32,
    /// The slots, 8-aligned; null: the core has no ring.
    pub slots: *mut c_void,
}

impl Sized32 for lanepipe_staging_ring_t {}

/// What became of a core's tasks: `collected + dropped + mismatch == total`. Owned by the control thread; counters wrap at
/// 2^32.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_staging_books_t {
    /// Tasks that were asked for.
    pub total: u32,
    /// Records that were copied.
    pub collected: u32,
    /// Tasks without a ring, or without a place for the record.
    pub dropped: u32,
    /// Tasks that their slot did not hold: the core did not publish them.
    pub mismatch: u32,
}

/// The ring; `None` if there is none.
///
/// # Safety
///
/// `ring` is null or readable, and describes slots as [`RawSlots::new`] needs them.
unsafe fn view(ring: *const lanepipe_staging_ring_t) -> Result<(Option<RawSlots>, u32), Status> {
    // SAFETY: the caller's contract.
    let ring = unsafe { sized(ring)? };
    let id_width = match ring.id_size {
        4 => IdWidth::W32,
        8 => IdWidth::W64,
        _ => return Err(Status::LANEPIPE_E_INVALID),
    };
    let form = SlotForm { size: ring.slot_size, id_offset: ring.id_offset, id_width };
    // SAFETY: the caller's contract.
    match unsafe { RawSlots::new(ring.slots.cast(), ring.slot_count, form) } {
        Ok(slots) => Ok((Some(slots), ring.slot_size)),
        Err(Refusal::Null) => Ok((None, ring.slot_size)),
        Err(Refusal::Misaligned) => Err(Status::LANEPIPE_E_MISALIGNED),
        Err(Refusal::Empty | Refusal::Form) => Err(Status::LANEPIPE_E_INVALID),
    }
}

/// Gives every slot an id that matches no task, whatever an earlier run left there. Before the run, any thread. A null
/// `slots` is `LANEPIPE_E_NULL`.
///
/// # Safety
///
/// `ring` is null or readable; its slots are writable memory of `slot_count * slot_size` bytes that nobody uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_staging_ring_clear(ring: *const lanepipe_staging_ring_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    match unsafe { view(ring) } {
        Ok((Some(slots), _)) => {
            clear(&slots);
            Status::LANEPIPE_OK
        }
        Ok((None, _)) => Status::LANEPIPE_E_NULL,
        Err(status) => status,
    }
}

/// Takes the record of task `id` and counts it in `books`. The core's control thread, after it saw the task finished and
/// before it dispatches another for the same slot. Never waits.
///
/// `LANEPIPE_OK`: all of the slot was copied to `out`, which may be unaligned. `LANEPIPE_MISMATCH`: the slot does not hold
/// the task; nothing was copied. `LANEPIPE_DROPPED`: there are no slots, or `out` is null and the slot
/// holds the task. Any other status: nothing was
/// counted.
///
/// # Safety
///
/// `ring` is null or readable; its slots are memory of `slot_count * slot_size` bytes shared with the core as
/// `staging_ring.h` says. `out` is null or writable for `slot_size` bytes, `books` null or readable and writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_staging_ring_take(
    ring: *const lanepipe_staging_ring_t,
    id: u32,
    books: *mut lanepipe_staging_books_t,
    out: *mut c_void,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    let (slots, size) = match unsafe { view(ring) } {
        Ok(view) => view,
        Err(status) => return status,
    };
    if let Err(status) = check(books) {
        return status;
    }
    // SAFETY: aligned; the caller's contract.
    let before = unsafe { books.read() };
    let mut kept =
        Books { total: before.total, collected: before.collected, dropped: before.dropped, mismatch: before.mismatch };
    let no_words: Option<&mut [u64]> = if out.is_null() { None } else { Some(&mut []) };
    let booked = kept.take(slots.map(ControlSide), id, no_words);
    if let (Booked::Collected, Some(slots)) = (booked, slots) {
        for index in 0..size / 8 {
            let word = slots.word_of(id, index);
            // SAFETY: inside the caller's `slot_size` bytes.
            unsafe { out.cast::<u64>().wrapping_add(index as usize).write_unaligned(word) };
        }
    }
    // SAFETY: aligned; the caller's contract.
    unsafe {
        books.write(lanepipe_staging_books_t {
            total: kept.total,
            collected: kept.collected,
            dropped: kept.dropped,
            mismatch: kept.mismatch,
        });
    }
    match booked {
        Booked::Collected => Status::LANEPIPE_OK,
        Booked::Dropped => Status::LANEPIPE_DROPPED,
        Booked::Mismatch => Status::LANEPIPE_MISMATCH,
    }
}
