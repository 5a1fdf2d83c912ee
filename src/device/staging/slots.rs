//! Slots of a staging ring: in raw memory, or of a model.

use crate::sync::atomic::Ordering;
use crate::sync::{RawWord32, RawWord64, Word32, Word64};

/// The slots of one ring.
pub trait Slots {
    /// How many; at least 1.
    fn count(&self) -> u32;
    /// The low half of the id word of `slot`, which is below the count.
    fn load_id(&self, slot: u32, order: Ordering) -> u32;
    /// Stores the id word.
    fn store_id(&self, slot: u32, id: u32, order: Ordering);
    /// Copies the first words of `slot`, as many as there are and fit.
    fn load(&self, slot: u32, out: &mut [u64]);
    /// Stores the first words of `slot`, all but the id word's.
    fn store(&self, slot: u32, words: &[u64]);
}

/// Width of the id word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdWidth {
    /// 32 bits.
    W32,
    /// 64 bits, of which the low half counts; the core stores 0 above.
    W64,
}

/// What a slot looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotForm {
    /// Bytes from one slot to the next: a multiple of 8. One cache line lets the core write a slot back at once.
    pub size: u32,
    /// Where the id word is, in bytes from the start of the slot.
    pub id_offset: u32,
    /// Its width.
    pub id_width: IdWidth,
}

/// Why there is no ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its address is 0.
    Null,
    /// Its address is no multiple of 8.
    Misaligned,
    /// It has no slots.
    Empty,
    /// A slot's size is 0 or no multiple of 8, or the id word is not aligned or not inside.
    Form,
}

/// Slots in raw memory.
#[derive(Debug, Clone, Copy)]
pub struct RawSlots {
    first: *mut u8,
    count: u32,
    form: SlotForm,
}

// SAFETY: the view only makes atomic accesses, and `new`'s caller vouches for the memory.
unsafe impl Send for RawSlots {}
// SAFETY: as for `Send`.
unsafe impl Sync for RawSlots {}

impl RawSlots {
    /// The `count` slots from `first` on.
    ///
    /// # Safety
    ///
    /// Unless it is refused, that memory is readable and writable for as long as the view is used, and accessed by others
    /// only as the ring's protocol has it.
    pub unsafe fn new(first: *mut u8, count: u32, form: SlotForm) -> Result<Self, Refusal> {
        let width = match form.id_width {
            IdWidth::W32 => 4,
            IdWidth::W64 => 8,
        };
        if first.is_null() {
            Err(Refusal::Null)
        } else if !(first as usize).is_multiple_of(8) {
            Err(Refusal::Misaligned)
        } else if count == 0 {
            Err(Refusal::Empty)
        } else if form.size == 0
            || !form.size.is_multiple_of(8)
            || !form.id_offset.is_multiple_of(width)
            || u64::from(form.id_offset) + u64::from(width) > u64::from(form.size)
        {
            Err(Refusal::Form)
        } else {
            Ok(Self { first, count, form })
        }
    }

    /// A slot that does not exist is the first.
    #[inline(always)]
    fn slot(&self, slot: u32) -> *mut u8 {
        let slot = if slot < self.count { slot } else { 0 };
        self.first.wrapping_add(slot as usize * self.form.size as usize)
    }

    #[inline(always)]
    fn word(&self, slot: u32, index: usize) -> RawWord64 {
        let index = if index < self.words() { index } else { 0 };
        // SAFETY: inside the slot, which `new`'s caller vouches for; both are multiples of 8.
        unsafe { RawWord64::new(self.slot(slot).wrapping_add(index * 8).cast()) }
    }

    #[inline(always)]
    fn id(&self, slot: u32) -> *mut u8 {
        self.slot(slot).wrapping_add(self.form.id_offset as usize)
    }

    /// Word `index` of the slot of task `id`, for who has seen that it holds the task; the first beyond the slot's words.
    #[inline(always)]
    pub fn word_of(&self, id: u32, index: u32) -> u64 {
        // Relaxed: published by the id word.
        self.word(super::slot_of(id, self.count), index as usize).load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn words(&self) -> usize {
        self.form.size as usize / 8
    }
}

impl Slots for RawSlots {
    #[inline(always)]
    fn count(&self) -> u32 {
        self.count
    }

    #[inline(always)]
    fn load_id(&self, slot: u32, order: Ordering) -> u32 {
        match self.form.id_width {
            // SAFETY: aligned and inside the slot, as `new` checks.
            IdWidth::W32 => unsafe { RawWord32::new(self.id(slot).cast()) }.load(order),
            // SAFETY: as above.
            IdWidth::W64 => unsafe { RawWord64::new(self.id(slot).cast()) }.load(order) as u32,
        }
    }

    #[inline(always)]
    fn store_id(&self, slot: u32, id: u32, order: Ordering) {
        match self.form.id_width {
            // SAFETY: aligned and inside the slot, as `new` checks.
            IdWidth::W32 => unsafe { RawWord32::new(self.id(slot).cast()) }.store(id, order),
            // SAFETY: as above.
            IdWidth::W64 => unsafe { RawWord64::new(self.id(slot).cast()) }.store(u64::from(id), order),
        }
    }

    #[inline(always)]
    fn load(&self, slot: u32, out: &mut [u64]) {
        for (index, value) in out.iter_mut().enumerate().take(self.words()) {
            // Relaxed: published by the id word.
            *value = self.word(slot, index).load(Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn store(&self, slot: u32, words: &[u64]) {
        let id_word = self.form.id_offset as usize / 8;
        for (index, value) in words.iter().enumerate().take(self.words()) {
            if index != id_word {
                // Relaxed, here and below: published by the id word.
                self.word(slot, index).store(*value, Ordering::Relaxed);
            } else if self.form.id_width == IdWidth::W32 {
                // The other half of the id's word is payload.
                let low = self.form.id_offset.is_multiple_of(8);
                let (offset, half) = if low { (4, (*value >> 32) as u32) } else { (0, *value as u32) };
                let address = self.slot(slot).wrapping_add(index * 8 + offset);
                // SAFETY: inside the slot, aligned to 4.
                unsafe { RawWord32::new(address.cast()) }.store(half, Ordering::Relaxed);
            }
        }
    }
}
