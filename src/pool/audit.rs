//! The audit: proves at rest that every buffer is in exactly one place.

use super::ledger::{Entry, PLACES, Place};
use super::{Buffer, Pool};
use std::collections::BTreeMap;

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
        let mut found = Found::default();
        for (shard, ring) in self.ready.iter().enumerate() {
            // SAFETY: forwarded; likewise below.
            unsafe { ring.for_each(|buffer| found.add(buffer, Place::Ready, shard)) };
        }
        for (shard, ring) in self.done.iter().enumerate() {
            // SAFETY: as above.
            unsafe { ring.for_each(|buffer| found.add(buffer, Place::Done, shard)) };
        }
        let kinds = self.config.kinds as usize;
        for (index, lane) in self.lanes.iter().enumerate() {
            // SAFETY: as above.
            unsafe { lane.recycled.for_each(|buffer| found.add(buffer, Place::Recycled, index / kinds)) };
        }
        self.retired.for_each(|buffer, quarantined| {
            let place = if quarantined { Place::Quarantined } else { Place::Retired };
            let shard = self.ledger.get(buffer.id).map_or(0, |entry| entry.shard as usize);
            found.add(buffer, place, shard);
        });
        let mut audit = Audit::default();
        self.ledger.for_each(|id, entry| {
            audit.places[entry.place as usize] += 1;
            let seen = found.queues.remove(&id);
            let agrees = match seen {
                Some(seen) => seen == entry,
                None => !entry.place.is_queue(),
            };
            audit.errors += u64::from(!agrees);
        });
        // What is left over is in a queue but not in the ledger.
        audit.errors += found.queues.len() as u64 + found.repeated;
        audit
    }

    fn snapshot(&self) -> Audit {
        let mut audit = Audit::default();
        self.ledger.for_each(|_, entry| audit.places[entry.place as usize] += 1);
        audit
    }
}

#[derive(Default)]
struct Found {
    queues: BTreeMap<u32, Entry>,
    repeated: u64,
}

impl Found {
    fn add(&mut self, buffer: &Buffer, place: Place, shard: usize) {
        // Untracked buffers have no identity to compare.
        if buffer.id == 0 {
            return;
        }
        let entry = Entry { place, shard: shard as u32, kind: buffer.kind };
        if self.queues.insert(buffer.id, entry).is_some() {
            self.repeated += 1;
        }
    }
}
