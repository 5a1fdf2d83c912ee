//! The ledger: one word per buffer that says where it is. Whoever moves a buffer writes its word, before the move
//! publishes the buffer to its next holder; so every word has one writer at a time and needs no ordering of its own.
//! Only the device can make two threads hold one buffer, by publishing it on two queues: [`Ledger::claim`] lets one win.

use crate::status::Status;
use crate::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use core::ptr;

/// Where a buffer is.
#[repr(u8)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Released; the id is not in use.
    Gone = 0,
    /// At the device, or with the caller.
    Device = 1,
    /// Held by a drain thread.
    Drain = 2,
    /// In a ready ring.
    Ready = 3,
    /// Held by a collect thread.
    Collect = 4,
    /// In a done ring.
    Done = 5,
    /// Held by the replenish thread.
    Replenish = 6,
    /// In a recycled lane.
    Recycled = 7,
    /// Parked, to be brought back.
    Retired = 8,
    /// Parked until teardown.
    Quarantined = 9,
}

/// Number of places.
pub const PLACES: usize = 10;

impl Place {
    const ALL: [Self; PLACES] = [
        Self::Gone,
        Self::Device,
        Self::Drain,
        Self::Ready,
        Self::Collect,
        Self::Done,
        Self::Replenish,
        Self::Recycled,
        Self::Retired,
        Self::Quarantined,
    ];

    /// Whether a buffer there sits in one of the pool's queues.
    pub const fn is_queue(self) -> bool {
        matches!(self, Self::Ready | Self::Done | Self::Recycled | Self::Retired | Self::Quarantined)
    }
}

/// A ledger word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub place: Place,
    /// Of which shard.
    pub shard: u32,
    /// The buffer's kind.
    pub kind: u32,
}

impl Entry {
    const fn pack(place: Place, shard: u32, kind: u32) -> u32 {
        place as u32 | (shard & 0xff) << 8 | (kind & 0xff) << 16
    }

    fn unpack(word: u32) -> Self {
        // Only `pack` makes words, so the place is in range.
        let place = Place::ALL[(word & 0xff) as usize % PLACES];
        Self { place, shard: word >> 8 & 0xff, kind: word >> 16 & 0xff }
    }
}

const SEGMENT_BITS: u32 = 12;
const SEGMENT_WORDS: usize = 1 << SEGMENT_BITS;
const SEGMENTS: usize = 1024;
/// Most buffers a ledger can track.
pub const MAX_BUFFERS: u32 = (SEGMENTS * SEGMENT_WORDS) as u32 - 1;

type Segment = [AtomicU32; SEGMENT_WORDS];

/// The ledger. Ids start at 1; segments appear as ids are reserved and stay until the ledger is dropped.
pub struct Ledger {
    segments: Box<[AtomicPtr<Segment>]>,
    // Ids below this are reserved.
    next: AtomicU32,
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Result<Self, Status> {
        let segments = super::build(SEGMENTS as u32, || Ok(AtomicPtr::new(ptr::null_mut())))?;
        Ok(Self { segments, next: AtomicU32::new(1) })
    }

    fn word(&self, id: u32) -> Option<&AtomicU32> {
        // Relaxed: an id reaches another thread through a release/acquire pair of the queue or map that carries it, and
        // the segment was stored before the id was given out.
        let segment = self.segments.get((id >> SEGMENT_BITS) as usize)?.load(Ordering::Relaxed);
        // SAFETY: a non-null segment was leaked by `reserve` and lives until the ledger is dropped.
        unsafe { segment.as_ref() }.map(|segment| &segment[id as usize & (SEGMENT_WORDS - 1)])
    }

    /// Writes down where buffer `id` is. Id 0 and ids never reserved are ignored.
    #[inline]
    pub fn set(&self, id: u32, place: Place, shard: u32, kind: u32) {
        if id != 0
            && let Some(word) = self.word(id)
        {
            // Relaxed: see the module documentation.
            word.store(Entry::pack(place, shard, kind), Ordering::Relaxed);
        }
    }

    /// Moves buffer `id` from the device to `place` of `shard` and returns its kind, if it is at the device. Of two threads
    /// that try at once, one succeeds.
    #[inline]
    pub fn claim(&self, id: u32, place: Place, shard: u32) -> Option<u32> {
        if id == 0 {
            return None;
        }
        let word = self.word(id)?;
        // Relaxed: see the module documentation.
        let found = word.load(Ordering::Relaxed);
        let entry = Entry::unpack(found);
        let claimed = Entry::pack(place, shard, entry.kind);
        let won = entry.place == Place::Device
            && word.compare_exchange(found, claimed, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        won.then_some(entry.kind)
    }

    /// Where buffer `id` is; `None` for id 0 and ids never reserved.
    #[inline]
    pub fn get(&self, id: u32) -> Option<Entry> {
        if id == 0 {
            return None;
        }
        // Relaxed: see the module documentation.
        self.word(id).map(|word| Entry::unpack(word.load(Ordering::Relaxed)))
    }

    /// Reserves `count` consecutive ids of `kind`, all at the device, and returns the first. The caller holds the lock of
    /// the block table.
    pub fn reserve(&self, count: u32, kind: u32) -> Result<u32, Status> {
        let first = self.next.load(Ordering::Relaxed);
        let end = first.checked_add(count).filter(|end| *end <= MAX_BUFFERS).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        for index in (first >> SEGMENT_BITS)..=((end - 1) >> SEGMENT_BITS) {
            let slot = &self.segments[index as usize];
            if slot.load(Ordering::Relaxed).is_null() {
                slot.store(Self::allocate_segment()?, Ordering::Relaxed);
            }
        }
        for id in first..end {
            self.set(id, Place::Device, 0, kind);
        }
        self.next.store(end, Ordering::Relaxed);
        Ok(first)
    }

    /// Takes back the last reservation, of `count` ids from `first` on, none of which was given out. The caller still
    /// holds the lock under which it reserved them.
    pub fn unreserve(&self, first: u32, count: u32) {
        for id in first..first + count {
            self.set(id, Place::Gone, 0, 0);
        }
        self.next.store(first, Ordering::Relaxed);
    }

    fn allocate_segment() -> Result<*mut Segment, Status> {
        let words = super::build(SEGMENT_WORDS as u32, || Ok(AtomicU32::new(0)))?;
        Ok(Box::into_raw(words).cast())
    }

    /// Runs `f` on every reserved id that is not gone.
    pub fn for_each(&self, mut f: impl FnMut(u32, Entry)) {
        for id in 1..self.next.load(Ordering::Relaxed) {
            if let Some(entry) = self.get(id).filter(|entry| entry.place != Place::Gone) {
                f(id, entry);
            }
        }
    }

    /// Forgets all ids. At rest only.
    pub fn reset(&self) {
        for id in 1..self.next.load(Ordering::Relaxed) {
            self.set(id, Place::Gone, 0, 0);
        }
        self.next.store(1, Ordering::Relaxed);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        for slot in &self.segments {
            let segment = slot.load(Ordering::Relaxed);
            if !segment.is_null() {
                // SAFETY: `reserve` stored it from a boxed slice of `SEGMENT_WORDS` words, and nobody else frees it.
                drop(unsafe {
                    Box::from_raw(ptr::slice_from_raw_parts_mut(segment.cast::<AtomicU32>(), SEGMENT_WORDS))
                });
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_round_trip() {
        let ledger = Ledger::new().unwrap();
        let first = ledger.reserve(5000, 3).unwrap();
        assert_eq!(first, 1);
        for id in [1, 4095, 4096, 5000] {
            assert_eq!(ledger.get(id), Some(Entry { place: Place::Device, shard: 0, kind: 3 }));
            ledger.set(id, Place::Quarantined, 63, 63);
            assert_eq!(ledger.get(id), Some(Entry { place: Place::Quarantined, shard: 63, kind: 63 }));
        }
    }

    #[test]
    fn a_buffer_at_the_device_is_claimed_once() {
        let ledger = Ledger::new().unwrap();
        let id = ledger.reserve(1, 5).unwrap();
        assert_eq!(ledger.claim(id, Place::Drain, 2), Some(5));
        assert_eq!(ledger.claim(id, Place::Drain, 3), None);
        let entry = Entry { place: Place::Drain, shard: 2, kind: 5 };
        assert_eq!(ledger.get(id), Some(entry));
        assert_eq!(ledger.claim(0, Place::Drain, 0), None);
    }

    #[test]
    fn foreign_ids_are_ignored() {
        let ledger = Ledger::new().unwrap();
        for id in [0, 1, 4096, u32::MAX] {
            ledger.set(id, Place::Done, 1, 1);
            assert_eq!(ledger.get(id), None);
        }
    }

    #[test]
    fn ids_are_limited() {
        let ledger = Ledger::new().unwrap();
        assert_eq!(ledger.reserve(u32::MAX, 0), Err(Status::LANEPIPE_E_TOO_LARGE));
        assert_eq!(ledger.reserve(MAX_BUFFERS, 0), Err(Status::LANEPIPE_E_TOO_LARGE));
        assert_eq!(ledger.reserve(10, 0), Ok(1));
    }
}
