//! The audit: proves at rest that every buffer is in exactly one place.

use super::ledger::{Entry, PLACES, Place};
use super::{Buffer, Pool};

/// Where all tracked buffers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Audit {
    /// Buffers per [`Place`], by the ledger.
    pub places: [u64; PLACES],
    /// Buffers found in no place, in a place other than the ledger's, or twice.
    pub errors: u64,
}

impl Audit {
    /// Buffers at `place`.
    pub fn at(&self, place: Place) -> u64 {
        self.places[place as usize]
    }

    /// All tracked buffers.
    pub fn total(&self) -> u64 {
        self.places.iter().sum()
    }
}

impl Pool {
    /// Compares the ledger with what the queues hold. A proof at rest; while a profiler runs, counts from the ledger alone,
    /// without a common instant and without comparison.
    ///
    /// # Safety
    ///
    /// Threads run on the pool by a profiler, or no other thread uses a queue end.
    pub unsafe fn audit(&self) -> Audit {
        if self.require_rest().is_err() {
            return self.snapshot();
        }
        // One audit at a time: each marks in the ledger what it has seen.
        let _one = self.blocks.lock();
        let mut errors = 0;
        let mut see = |buffer: &Buffer, place, shard: usize| errors += u64::from(!self.see(buffer, place, shard));
        for (shard, ring) in self.ready.iter().enumerate() {
            // SAFETY: forwarded; likewise below.
            unsafe { ring.for_each(|buffer| see(buffer, Place::Ready, shard)) };
        }
        for (shard, ring) in self.done.iter().enumerate() {
            // SAFETY: as above.
            unsafe { ring.for_each(|buffer| see(buffer, Place::Done, shard)) };
        }
        let kinds = self.config.kinds as usize;
        for (index, lane) in self.lanes.iter().enumerate() {
            // SAFETY: as above.
            unsafe { lane.recycled.for_each(|buffer| see(buffer, Place::Recycled, index / kinds)) };
        }
        self.retired.for_each(|shard, buffer, quarantined| {
            see(buffer, if quarantined { Place::Quarantined } else { Place::Retired }, shard);
        });
        let mut audit = self.snapshot();
        self.ledger.for_each(|id, entry| {
            errors += u64::from(!self.ledger.unmark(id) && entry.place.is_queue());
        });
        audit.errors = errors;
        audit
    }

    /// Whether a buffer found at `place` of `shard` is there by the ledger too, and was not found before.
    fn see(&self, buffer: &Buffer, place: Place, shard: usize) -> bool {
        // Untracked buffers have no identity to compare.
        if buffer.id == 0 || self.config.untracked {
            return true;
        }
        let found = Entry { place, shard: shard as u32, kind: buffer.kind };
        match self.ledger.get(buffer.id) {
            Some(entry) if entry.place != Place::Gone => !self.ledger.mark(buffer.id) && entry == found,
            _ => false,
        }
    }

    fn snapshot(&self) -> Audit {
        let mut audit = Audit::default();
        self.ledger.for_each(|_, entry| audit.places[entry.place as usize] += 1);
        audit
    }
}
