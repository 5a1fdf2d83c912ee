//! The states of a region as they are at rest, read with one transfer where memory is copied.

use super::describe::address;
use super::intake::Intake;
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::barrier::rmb;
use crate::sync::{RawWord64, Word64};

/// A private copy of the words behind the header.
pub(super) struct Snapshot {
    words: Vec<u64>,
    /// Offset of the first in the region.
    first: usize,
}

impl Snapshot {
    /// The states as they are now. The device is quiet.
    pub(super) fn take(intake: &Intake) -> Result<Self, Status> {
        let first = intake.module.header.size;
        let count = (intake.module.region_size - first) / size_of::<u64>();
        let mut words = Vec::new();
        words.try_reserve_exact(count).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        if intake.memory.copies_in() {
            words.resize(count, 0u64);
            let size = count * size_of::<u64>();
            // SAFETY: the landing place has this size.
            unsafe { intake.memory.read_shared(intake.host + first as u64, words.as_mut_ptr().cast(), size)? };
        } else {
            rmb();
            words.extend((0..count).map(|index| {
                // SAFETY: a word of the collector's region, which is aligned.
                let word = unsafe { RawWord64::new(address(intake.host, first + index * size_of::<u64>())) };
                // Relaxed: who says that the device is quiet has seen it end.
                word.load(Ordering::Relaxed)
            }));
        }
        Ok(Self { words, first })
    }

    /// The 64-bit word at an offset of the region, behind its header.
    pub(super) fn word64(&self, offset: usize) -> u64 {
        self.words.get((offset - self.first) / size_of::<u64>()).copied().unwrap_or(0)
    }

    /// The 32-bit word at an offset.
    pub(super) fn word32(&self, offset: usize) -> u32 {
        let bytes = self.word64(offset).to_ne_bytes();
        let half = offset % size_of::<u64>();
        u32::from_ne_bytes([bytes[half], bytes[half + 1], bytes[half + 2], bytes[half + 3]])
    }
}
