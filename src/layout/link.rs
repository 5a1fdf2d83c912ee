//! Links: how the host reaches device words. [`Direct`] is shared virtual memory, or a model; links with host shadows copy.

use super::{rmb, wmb};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{Edge, RawWord64, Word32, Word64};

/// An array of 64-bit words in shared memory.
pub trait Words64 {
    /// One of the words.
    type Word: Word64;
    /// Runs `f` on word `index`, which is inside the array.
    fn with<R>(&self, index: usize, f: impl FnOnce(&Self::Word) -> R) -> R;
}

impl<S: Words64> Words64 for &S {
    type Word = S::Word;
    #[inline(always)]
    fn with<R>(&self, index: usize, f: impl FnOnce(&S::Word) -> R) -> R {
        (**self).with(index, f)
    }
}

/// An array of 64-bit words at a raw address.
#[derive(Debug, Clone, Copy)]
pub struct RawWords64 {
    first: *mut u64,
    len: usize,
}

impl RawWords64 {
    /// The array of `len` words that starts at `first`.
    ///
    /// # Safety
    ///
    /// Every word in it meets the requirements of [`RawWord64::new`] for as long as the view is used.
    pub const unsafe fn new(first: *mut u64, len: usize) -> Self {
        Self { first, len }
    }

    /// Address of word `index`.
    pub const fn address(&self, index: usize) -> *mut u64 {
        self.first.wrapping_add(index)
    }
}

// SAFETY: the view only makes atomic accesses, and `new`'s caller vouches for the memory.
unsafe impl Send for RawWords64 {}
// SAFETY: as for `Send`.
unsafe impl Sync for RawWords64 {}

impl Words64 for RawWords64 {
    type Word = RawWord64;
    #[inline(always)]
    fn with<R>(&self, index: usize, f: impl FnOnce(&RawWord64) -> R) -> R {
        // Ports compute indices modulo the capacity that sized this array.
        debug_assert!(index < self.len);
        // SAFETY: the index is inside the array, whose words `new`'s caller vouches for.
        f(&unsafe { RawWord64::new(self.address(index)) })
    }
}

/// How the host reaches words shared with the device. Calls on one link may come from several threads at once. After a
/// failed [`Link::store`] the host's own word is as before; the device may have the new one all the same.
pub trait Link<W: Word32, S: Words64> {
    /// Brings a word that the device writes to the host; `edge` orders what follows.
    fn load(&self, word: &W, edge: &Edge) -> Result<u32, Status>;
    /// As [`Link::load`], but leaves the host's memory as it is: for a thread that looks at a word which another thread of the
    /// host publishes from there.
    fn peek(&self, word: &W, edge: &Edge) -> Result<u32, Status> {
        self.load(word, edge)
    }
    /// Publishes a word that the host writes; `edge` orders what came before.
    fn store(&self, word: &W, value: u32, edge: &Edge) -> Result<(), Status>;
    /// Brings `out.len()` words from index `first` on to the host. The caller has seen them published.
    fn load_words(&self, words: &S, first: usize, out: &mut [u64]) -> Result<(), Status>;
    /// Writes `values` from index `first` on. The caller publishes them afterwards.
    fn store_words(&self, words: &S, first: usize, values: &[u64]) -> Result<(), Status>;
}

/// Shared virtual memory: the words are where the device writes them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Direct;

impl<W: Word32, S: Words64> Link<W, S> for Direct {
    #[inline(always)]
    fn load(&self, word: &W, edge: &Edge) -> Result<u32, Status> {
        let value = word.load(edge.order());
        rmb();
        Ok(value)
    }

    #[inline(always)]
    fn store(&self, word: &W, value: u32, edge: &Edge) -> Result<(), Status> {
        wmb();
        word.store(value, edge.order());
        Ok(())
    }

    #[inline(always)]
    fn load_words(&self, words: &S, first: usize, out: &mut [u64]) -> Result<(), Status> {
        for (offset, value) in out.iter_mut().enumerate() {
            // Relaxed: published by the index word that the caller acquired before.
            *value = words.with(first + offset, |word| word.load(Ordering::Relaxed));
        }
        Ok(())
    }

    #[inline(always)]
    fn store_words(&self, words: &S, first: usize, values: &[u64]) -> Result<(), Status> {
        for (offset, value) in values.iter().enumerate() {
            // Relaxed: published by the index word that the caller releases afterwards.
            words.with(first + offset, |word| word.store(*value, Ordering::Relaxed));
        }
        Ok(())
    }
}
