//! Fields of a slot state, for callers that bring no functions of their own.

use crate::mailbox::layout::Variant;
use crate::sync::Edge;
use crate::sync::atomic::Ordering;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicI16, AtomicU8};

const F1: Edge = Edge::new("fin.F1", Ordering::AcqRel);

/// A count of subtasks: 16 bits of a slot state, or loom's.
pub trait FinWord {
    /// Adds one; the value before.
    fn increment(&self, order: Ordering) -> i16;
}

impl FinWord for AtomicI16 {
    #[inline(always)]
    fn increment(&self, order: Ordering) -> i16 {
        self.fetch_add(1, order)
    }
}

/// Counts a subtask; whether it was number `total`.
#[inline(always)]
pub fn count_subtask(word: &impl FinWord, total: i16) -> bool {
    // [F1] AcqRel: pairs with itself. Earlier subtasks' marks and claims of tickets come to whoever counts the last.
    word.increment(F1.order()).wrapping_add(1) == total
}

/// Bit of family T's flag byte.
const DEFERRED: u8 = 0x04;

/// A slot state of the C++ runtime.
#[derive(Debug, Clone, Copy)]
pub struct SlotRef {
    address: *mut u8,
    variant: Variant,
}

impl SlotRef {
    /// The slot state at `address`.
    ///
    /// # Safety
    ///
    /// `address` is 8-aligned and holds a slot state of `variant` as long as the view is used; other threads access its
    /// counters and flags atomically.
    pub const unsafe fn new(address: *mut c_void, variant: Variant) -> Self {
        Self { address: address.cast(), variant }
    }

    /// The address.
    pub fn address(self) -> u64 {
        self.address as u64
    }

    fn at<T>(self, ringbuffer: usize, graph: usize) -> *mut T {
        self.address.wrapping_add(if self.variant.is_ringbuffer() { ringbuffer } else { graph }).cast()
    }

    /// Reads the pointer at one of two offsets: raw in family T, in family H 32 bits relative to their own address.
    fn pointer(self, ringbuffer: usize, graph: usize) -> *mut u8 {
        if self.variant.is_ringbuffer() {
            // SAFETY: a field of the slot; `new`'s caller vouches for it.
            return unsafe { self.at::<*mut u8>(ringbuffer, graph).read() };
        }
        let field: *mut i32 = self.at(ringbuffer, graph);
        // SAFETY: as above.
        let delta = unsafe { field.read() };
        if delta == 0 { core::ptr::null_mut() } else { field.cast::<u8>().wrapping_offset(delta as isize) }
    }

    /// Whether the slot has a payload.
    pub fn has_payload(self) -> bool {
        !self.pointer(32, 8).is_null()
    }

    /// The token: first word of the task's descriptor; 0 without one.
    pub fn token(self) -> u64 {
        let task = self.pointer(40, 12);
        // SAFETY: a descriptor starts with the task's id; not null.
        if task.is_null() { 0 } else { unsafe { task.cast::<u64>().read_unaligned() } }
    }

    /// Sets the deferred flag.
    pub fn mark_deferred(self) {
        // Relaxed, here and below: the count of subtasks lies between.
        if self.variant.is_ringbuffer() {
            // SAFETY: the flag byte of the slot, which others change atomically.
            unsafe { AtomicU8::from_ptr(self.at(51, 34)) }.fetch_or(DEFERRED, Ordering::Relaxed);
        } else {
            // SAFETY: the flag of the slot.
            unsafe { AtomicBool::from_ptr(self.at(51, 34)) }.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the deferred flag is set.
    pub fn is_deferred(self) -> bool {
        // SAFETY: the flag byte of the slot, in both families.
        let byte = unsafe { AtomicU8::from_ptr(self.at(51, 34)) }.load(Ordering::Relaxed);
        if self.variant.is_ringbuffer() { byte & DEFERRED != 0 } else { byte != 0 }
    }

    /// Counts a subtask; whether it was the last.
    pub fn subtask_done(self) -> bool {
        // SAFETY: a field of the slot, written before the task was dispatched.
        let total = unsafe { self.at::<i16>(58, 38).read() };
        // SAFETY: the counter of the slot, which others change atomically.
        count_subtask(unsafe { AtomicI16::from_ptr(self.at(56, 36)) }, total)
    }
}
