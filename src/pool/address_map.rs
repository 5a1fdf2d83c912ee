//! Address map: device address -> host address and buffer id.
//!
//! Lookups are wait-free: no lock, no retry, no wait for a writer. Registration and removal share one mutex.
//!
//! Two open-addressing hash tables from keys to record pointers, in buckets of one cache line, at most half full:
//!
//! * *exact*: keyed by address. Address 0, the key of an empty slot, has a slot of its own.
//! * *ranges*: a range of size S is of class `c = max(6, floor(log2 S))` and is entered under each granule of 2^c bytes
//!   that it touches, at most three. A lookup probes one granule per class in use. Ranges that share a granule form a
//!   chain, newest first, through links in their records: two when ranges of 64 bytes or more do not overlap.
//!
//! Of overlapping ranges the newest one that contains the address wins, whatever the classes. A range ends all earlier
//! ones at the same base: an allocator hands out an address again only after the earlier block is gone.
//!
//! # Memory
//!
//! A reader may stand in anything that was ever published, so nothing is freed or reused for another address before
//! [`AddressMap::clear`], which takes exclusive access. Tables grow by at least doubling, so superseded tables together
//! are smaller than the current one. Removal leaves the key of the slot behind; the next growth drops it. A new record
//! is taken for each range, for each new exact address, and when an overwrite changes an id.
//!
//! # Edges
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | M1 -> M2 | store of the table pointer (Release) | its load by a reader (Acquire) | the slots of a grown table | `loom_map_growth_edges` |
//! | M3 -> M4 | store of a slot's record pointer (Release) | its load by a reader (Acquire) | the record, and all older ones of its chain | `loom_map_exact_edges`, `loom_map_range_edges`, `loom_map_null_edges` |
//!
//! Everything else is relaxed:
//!
//! * *Keys* carry nothing: what is read through a slot is read through its record pointer, and a key seen without its
//!   record is a mapping not made yet. The *class word* carries nothing for the same reason.
//! * *Links* and *chunk pointers*: a link leads to an older record, published before the record that holds the link;
//!   the M3 -> M4 edge of the latter covers both. Links that change under a reader skip records, never add one.
//! * *The host of an exact record* changes in place and carries nothing; the id does not, so every pair that a reader
//!   can see was stored.
//! * *A mapping made before its address is handed over* is found because the hand-over is itself a release/acquire
//!   pair: the stores to table pointer, slot, link and class word happen before the lookup, which cannot read older
//!   values of them (`loom_map_handed_over*`).
//! * *The writer's own loads* follow earlier stores through the mutex.

mod exact;
#[cfg(all(test, loom))]
mod loom_tests;
mod ranges;
mod records;
mod table;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::status::Status;
use crate::sync::Edge;
use crate::sync::atomic::{ColdMutex, Ordering};
use exact::{ExactIndex, ExactWriter};
use ranges::{RangeIndex, RangeWriter};

/// The table pointer: the slots of a grown table.
const M1: Edge = Edge::new("map.M1", Ordering::Release);
const M2: Edge = Edge::new("map.M2", Ordering::Acquire);
/// A slot's record pointer: the record.
const M3: Edge = Edge::new("map.M3", Ordering::Release);
const M4: Edge = Edge::new("map.M4", Ordering::Acquire);

/// Most records of each sort, exact and range, between two clears.
pub const MAX_MAPPINGS: usize = 1 << 24;

/// A found mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// Host address; 0 where null was registered.
    pub host: u64,
    /// Buffer id; 0 where the address is no buffer's first byte.
    pub id: u32,
}

/// One block: `[base, base + size)`, of which `count` buffers start `stride` bytes apart from `base` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Device address of the first byte.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// Host address of the first byte.
    pub host: u64,
    /// Id of the first buffer.
    pub first_id: u32,
    /// Bytes from one buffer to the next; may be 0 for a single buffer.
    pub stride: u64,
    /// Buffers; 0 for a block without tracked buffers.
    pub count: u32,
}

/// What a live range says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Device address of the first byte.
    pub base: u64,
    /// Host address of the first byte.
    pub host: u64,
    /// Id of the first buffer.
    pub first_id: u32,
    /// Buffers.
    pub count: u32,
}

struct Writer {
    exact: ExactWriter,
    ranges: RangeWriter,
}

/// Device address -> host address and buffer id. See the module documentation.
pub struct AddressMap {
    exact: ExactIndex,
    ranges: RangeIndex,
    writer: ColdMutex<Writer>,
}

/// Lookups of a batch that are under way at once.
const GROUP: usize = 8;
/// Log2 of the buckets that a table starts with.
const INITIAL_TABLE_BITS: u32 = 6;
/// Log2 of the records in the first chunk of a record store.
const INITIAL_CHUNK_BITS: u32 = 6;

impl AddressMap {
    /// An empty map. Fails with `LANEPIPE_E_NO_MEMORY`.
    pub fn new() -> Result<Self, Status> {
        Self::with_bits(INITIAL_TABLE_BITS, INITIAL_CHUNK_BITS)
    }

    /// An empty map whose tables start with 2^`table_bits` buckets and whose record stores with 2^`chunk_bits` records.
    fn with_bits(table_bits: u32, chunk_bits: u32) -> Result<Self, Status> {
        let (exact, mut exact_writer) = ExactIndex::new(table_bits, chunk_bits)?;
        match RangeIndex::new(table_bits, chunk_bits) {
            Ok((ranges, range_writer)) => {
                let writer = ColdMutex::new(Writer { exact: exact_writer, ranges: range_writer });
                Ok(Self { exact, ranges, writer })
            }
            Err(status) => {
                exact.release(&mut exact_writer);
                Err(status)
            }
        }
    }

    /// Host address and buffer id of `dev`: the exact mapping, else the newest range that contains `dev`. The id is the
    /// exact mapping's unless that is 0, else the range's.
    #[inline]
    pub fn resolve(&self, dev: u64) -> Option<Resolved> {
        match self.exact.find(dev) {
            Some(found) if found.id != 0 => Some(found),
            Some(Resolved { host, .. }) => {
                let id = self.ranges.find(dev).map_or(0, |range| range.id_at(dev));
                Some(Resolved { host, id })
            }
            None => {
                let range = self.ranges.find(dev)?;
                Some(Resolved { host: range.host_at(dev), id: range.id_at(dev) })
            }
        }
    }

    /// The host address alone: spares the second search where an exact mapping has no id.
    #[inline]
    pub fn resolve_host(&self, dev: u64) -> Option<u64> {
        match self.exact.find(dev) {
            Some(found) => Some(found.host),
            None => self.ranges.find(dev).map(|range| range.host_at(dev)),
        }
    }

    /// [`resolve`](Self::resolve) of each of `devs`, whose number `visit` gets with the answer.
    #[inline]
    pub fn resolve_each(&self, devs: &[u64], mut visit: impl FnMut(usize, Option<Resolved>)) {
        if let [dev] = devs {
            return visit(0, self.resolve(*dev));
        }
        for (group, devs) in devs.chunks(GROUP).enumerate() {
            // The lines of all are on their way while the first is looked for.
            for dev in devs {
                self.exact.prefetch(*dev);
                self.ranges.prefetch(*dev);
            }
            for (place, dev) in devs.iter().enumerate() {
                visit(group * GROUP + place, self.resolve(*dev));
            }
        }
    }

    /// Base of the newest live range that contains `dev`.
    #[inline]
    pub fn range_base(&self, dev: u64) -> Option<u64> {
        self.ranges.find(dev).map(|range| range.base)
    }

    /// The newest live range that contains `dev`.
    pub fn block_of(&self, dev: u64) -> Option<Block> {
        self.ranges.find(dev).map(|range| range.block())
    }

    /// Bytes of memory at `dev`, if it is known by a range alone. How much belongs to an exact mapping nobody has told.
    pub fn rest_of_range(&self, dev: u64) -> Option<u64> {
        if self.contains_exact(dev) {
            return None;
        }
        self.ranges.find(dev).map(|range| range.rest_at(dev))
    }

    /// The exact mapping of `dev`.
    pub fn exact(&self, dev: u64) -> Option<Resolved> {
        self.exact.find(dev)
    }

    /// Whether `dev` has an exact mapping.
    #[inline]
    pub fn contains_exact(&self, dev: u64) -> bool {
        self.exact.find(dev).is_some()
    }

    /// Maps `dev` to `host`, in place of an earlier exact mapping of `dev`. Fails with `LANEPIPE_E_NO_MEMORY` or
    /// `LANEPIPE_E_TOO_LARGE` and changes nothing then.
    pub fn insert_exact(&self, dev: u64, host: u64, id: u32) -> Result<(), Status> {
        self.exact.insert(&mut self.writer.lock().exact, dev, host, id)
    }

    /// Adds `range`; live ranges at the same base end. Fails with `LANEPIPE_E_INVALID` when the size is 0, an end
    /// overflows, or a buffer starts outside, with `LANEPIPE_E_NO_MEMORY` or `LANEPIPE_E_TOO_LARGE`, and changes nothing
    /// then.
    pub fn insert_range(&self, range: Range) -> Result<(), Status> {
        self.ranges.insert(&mut self.writer.lock().ranges, range)
    }

    /// Ends the exact mapping of `dev` and tells whether there was one.
    pub fn remove_exact(&self, dev: u64) -> bool {
        self.exact.remove(&mut self.writer.lock().exact, dev)
    }

    /// Ends all live ranges with that base and returns their number.
    pub fn remove_ranges_at(&self, base: u64) -> usize {
        self.ranges.remove_at(&mut self.writer.lock().ranges, base)
    }

    /// Calls `visit` with each distinct allocation base, ascending, null skipped: the bases of all live ranges, and of
    /// each exact mapping the base of the range that contains it or else its address. `visit` may call the map.
    ///
    /// Works on a snapshot. Without memory for one, each step looks for the next base in the map as it is by then.
    pub fn for_each_base(&self, mut visit: impl FnMut(u64)) {
        if let Some(bases) = self.snapshot() {
            bases.into_iter().for_each(visit);
            return;
        }
        let mut last = 0;
        while let Some(next) = self.next_base(last) {
            visit(next);
            last = next;
        }
    }

    /// All distinct bases but null, ascending; `None` without memory.
    fn snapshot(&self) -> Option<Vec<u64>> {
        let writer = self.writer.lock();
        let mut count = 0_usize;
        self.visit_bases(&writer, |_| count += 1);
        let mut bases = Vec::new();
        bases.try_reserve_exact(count).ok()?;
        self.visit_bases(&writer, |base| bases.push(base));
        drop(writer);
        bases.sort_unstable();
        bases.dedup();
        Some(bases)
    }

    /// Lowest base above `last`.
    fn next_base(&self, last: u64) -> Option<u64> {
        let writer = self.writer.lock();
        let mut next = None;
        self.visit_bases(&writer, |base| {
            if base > last && next.is_none_or(|best| base < best) {
                next = Some(base);
            }
        });
        next
    }

    /// Calls `visit` with all bases but null, in no order and with repetitions. The writer's lock is held.
    fn visit_bases(&self, _writer: &Writer, mut visit: impl FnMut(u64)) {
        let mut skip_null = |base| {
            if base != 0 {
                visit(base);
            }
        };
        self.ranges.for_each_live(|range| skip_null(range.base));
        self.exact.for_each_live(|dev| skip_null(self.range_base(dev).unwrap_or(dev)));
    }

    /// Forgets everything and frees all but the first tables.
    pub fn clear(&mut self) {
        let mut writer = self.writer.lock();
        self.exact.clear(&mut writer.exact);
        self.ranges.clear(&mut writer.ranges);
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        let writer = self.writer.lock();
        self.exact.memory(&writer.exact) + self.ranges.memory(&writer.ranges)
    }
}

impl Drop for AddressMap {
    fn drop(&mut self) {
        let mut writer = self.writer.lock();
        self.exact.release(&mut writer.exact);
        self.ranges.release(&mut writer.ranges);
    }
}

impl core::fmt::Debug for AddressMap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AddressMap").finish_non_exhaustive()
    }
}
