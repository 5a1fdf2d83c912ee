//! The link to shared memory in production: direct with shared virtual memory, by copies with host shadows.

use crate::layout::Words64;
use crate::layout::{Direct, Link, RawWords64};
use crate::pool::MemoryContext;
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::barrier::{rmb, wmb};
use crate::sync::{Edge, RawWord32, Word32, Word64};
use std::sync::Arc;

/// Reaches device words as the memory context says. Copies land in memory of the calling thread, and what it goes by is what
/// landed there: a stale value that another thread brings to the shadow harms nobody. The shadow is brought up to date all
/// the same, for those who look at it at rest. Words that the host writes are pushed from the shadow.
#[derive(Debug, Clone)]
pub(crate) struct SharedLink {
    memory: Arc<MemoryContext>,
    copies_in: bool,
    copies_out: bool,
}

impl SharedLink {
    pub(crate) fn new(memory: Arc<MemoryContext>) -> Self {
        Self { copies_in: memory.copies_in(), copies_out: memory.copies_out(), memory }
    }

    pub(crate) fn memory(&self) -> &MemoryContext {
        &self.memory
    }

    /// Brings an array of words that the device writes, with one transfer where memory is copied.
    ///
    /// # Safety
    ///
    /// The words from `first` on meet the requirements of [`RawWord32::new`], as many as `out` has elements.
    pub(crate) unsafe fn load_run(&self, first: *mut u32, out: &mut [u32], edge: &Edge) -> Result<(), Status> {
        if self.copies_in {
            // SAFETY: the landing place is `out`.
            unsafe { self.memory.read_shared(first as u64, out.as_mut_ptr().cast(), size_of_val(out))? };
            edge.fence();
            rmb();
            return Ok(());
        }
        for (offset, value) in out.iter_mut().enumerate() {
            // SAFETY: forwarded.
            *value = unsafe { RawWord32::new(first.wrapping_add(offset)) }.load(edge.order());
        }
        rmb();
        Ok(())
    }
}

impl Link<RawWord32, RawWords64> for SharedLink {
    #[inline]
    fn load(&self, word: &RawWord32, edge: &Edge) -> Result<u32, Status> {
        let value = self.peek(word, edge)?;
        if self.copies_in {
            // Relaxed: see above.
            word.store(value, Ordering::Relaxed);
        }
        Ok(value)
    }

    #[inline]
    fn peek(&self, word: &RawWord32, edge: &Edge) -> Result<u32, Status> {
        if !self.copies_in {
            return Link::<RawWord32, RawWords64>::load(&Direct, word, edge);
        }
        let mut value = 0u32;
        // SAFETY: the landing place is four bytes long.
        unsafe { self.memory.read_shared(word.address() as u64, (&raw mut value).cast(), size_of::<u32>())? };
        edge.fence();
        rmb();
        Ok(value)
    }

    #[inline]
    fn store(&self, word: &RawWord32, value: u32, edge: &Edge) -> Result<(), Status> {
        if !self.copies_out {
            return Link::<RawWord32, RawWords64>::store(&Direct, word, value, edge);
        }
        // Relaxed, here and below: one thread at a time writes the word, and who else looks at it takes either value.
        let before = word.load(Ordering::Relaxed);
        word.store(value, Ordering::Relaxed);
        wmb();
        edge.fence();
        let address = word.address();
        // SAFETY: the source is the word.
        let outcome = unsafe { self.memory.write_shared(address as u64, address.cast(), size_of::<u32>()) };
        if outcome.is_err() {
            word.store(before, Ordering::Relaxed);
        }
        outcome
    }

    #[inline]
    fn load_words(&self, words: &RawWords64, first: usize, out: &mut [u64]) -> Result<(), Status> {
        if !self.copies_in {
            return Link::<RawWord32, RawWords64>::load_words(&Direct, words, first, out);
        }
        let host = words.address(first) as u64;
        // SAFETY: the landing place is `out`.
        unsafe { self.memory.read_shared(host, out.as_mut_ptr().cast(), size_of_val(out)) }
    }

    #[inline]
    fn store_words(&self, words: &RawWords64, first: usize, values: &[u64]) -> Result<(), Status> {
        if !self.copies_out {
            return Link::<RawWord32, RawWords64>::store_words(&Direct, words, first, values);
        }
        for (offset, value) in values.iter().enumerate() {
            // Relaxed: as for `store`.
            words.with(first + offset, |word| word.store(*value, Ordering::Relaxed));
        }
        let address = words.address(first);
        // SAFETY: the source is the words.
        unsafe { self.memory.write_shared(address as u64, address.cast(), size_of_val(values)) }
    }
}
