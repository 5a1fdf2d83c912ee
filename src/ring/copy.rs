//! Copies of elements into and out of slots.

use core::mem::MaybeUninit;

/// Longest copy that moves without a call, which would cost as much again.
const SHORT: usize = 512;
/// What moves at once of a longer element or run.
const BLOCK: usize = 64;

/// Copies `bytes` bytes, an element or several.
///
/// # Safety
///
/// As for `copy_nonoverlapping` of `bytes` bytes.
#[inline(always)]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    if bytes > SHORT || !bytes.is_multiple_of(8) {
        // SAFETY: the caller's contract.
        return unsafe { from.copy_to_nonoverlapping(to, bytes) };
    }
    let mut done = 0_usize;
    while done.wrapping_add(BLOCK) <= bytes {
        // SAFETY: the block ends within `bytes`.
        unsafe { from.add(done).copy_to_nonoverlapping(to.add(done), BLOCK) };
        done = done.wrapping_add(BLOCK);
    }
    // SAFETY: what is left ends with `bytes`.
    unsafe { copy_words(from.add(done), to.add(done), bytes.wrapping_sub(done) / 8) };
}

/// Copies `words` words of 8 bytes that the caller may have stored just before. A load wider than the stores that it
/// overlaps waits until they, and all stores before them, have left the processor's store buffer: those into the line of a
/// slot that the other side had last take longer than all the rest of a hop.
///
/// # Safety
///
/// As for `copy_nonoverlapping` of `8 * words` bytes.
#[inline(always)]
unsafe fn copy_words(from: *const u8, to: *mut u8, words: usize) {
    if !from.addr().is_multiple_of(8) {
        // SAFETY: the caller's contract.
        return unsafe { from.copy_to_nonoverlapping(to, words.wrapping_mul(8)) };
    }
    let (from, to) = (from.cast::<MaybeUninit<u64>>(), to.cast::<MaybeUninit<u64>>());
    for word in 0..words {
        // SAFETY: within the bytes that the caller vouches for, and aligned. Volatile, so that loads are not made one.
        unsafe { to.add(word).write_unaligned(from.add(word).read_volatile()) };
    }
}

/// Stores two words as one where that takes an instruction: who loads both at once, on the same thread and soon, need not wait
/// until two stores have left the processor's store buffer.
///
/// # Safety
///
/// `to` is writable for 16 bytes.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) unsafe fn store_pair(to: *mut u8, words: [u64; 2]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_mm_set_epi64x, _mm_storeu_si128};
        let [low, high] = words;
        // SAFETY: the caller's contract; every such processor has these instructions.
        unsafe { _mm_storeu_si128(to.cast(), _mm_set_epi64x(high.cast_signed(), low.cast_signed())) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    // SAFETY: the caller's contract.
    unsafe {
        to.cast::<[u64; 2]>().write_unaligned(words);
    }
}
