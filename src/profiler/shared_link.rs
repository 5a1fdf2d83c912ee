//! The link to shared memory in production: direct with shared virtual memory, by copies with host shadows.

use crate::layout::Words64;
use crate::layout::{Direct, Link, RawWords64};
use crate::pool::MemoryContext;
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::barrier::{rmb, wmb};
use crate::sync::{Edge, RawWord32, Word32, Word64};
use std::sync::Arc;

/// Reaches device words as the memory context says. Copies land in memory of the calling thread, never in the shadow,
/// so threads do not overwrite each other's fresh values with stale ones.
#[derive(Debug, Clone)]
pub(crate) struct SharedLink {
    memory: Arc<MemoryContext>,
    copies: bool,
}

impl SharedLink {
    pub(crate) fn new(memory: Arc<MemoryContext>) -> Self {
        Self { copies: memory.copies(), memory }
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
        if self.copies {
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
        if !self.copies {
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
        if !self.copies {
            return Link::<RawWord32, RawWords64>::store(&Direct, word, value, edge);
        }
        wmb();
        edge.fence();
        // SAFETY: the source is four bytes long.
        unsafe { self.memory.write_shared(word.address() as u64, (&raw const value).cast(), size_of::<u32>())? };
        // Relaxed: the shadow of a host word is read by the host at rest only.
        word.store(value, Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    fn load_words(&self, words: &RawWords64, first: usize, out: &mut [u64]) -> Result<(), Status> {
        if !self.copies {
            return Link::<RawWord32, RawWords64>::load_words(&Direct, words, first, out);
        }
        let host = words.address(first) as u64;
        // SAFETY: the landing place is `out`.
        unsafe { self.memory.read_shared(host, out.as_mut_ptr().cast(), size_of_val(out)) }
    }

    #[inline]
    fn store_words(&self, words: &RawWords64, first: usize, values: &[u64]) -> Result<(), Status> {
        if !self.copies {
            return Link::<RawWord32, RawWords64>::store_words(&Direct, words, first, values);
        }
        let host = words.address(first) as u64;
        // SAFETY: the source is `values`.
        unsafe { self.memory.write_shared(host, values.as_ptr().cast(), size_of_val(values))? };
        for (offset, value) in values.iter().enumerate() {
            // Relaxed: as for `store`.
            words.with(first + offset, |word| word.store(*value, Ordering::Relaxed));
        }
        Ok(())
    }
}
