//! The ledger: one word per buffer that says where it is. Whoever moves a buffer writes its word, before the move
//! publishes the buffer to its next holder; so every word has one writer at a time and needs no ordering of its own.
//! Only the device can make two threads hold one buffer, by publishing it on two queues: [`Ledger::claim`] lets one win.

use crate::status::Status;
use core::ptr;
// Of `core` also in models: no protocol reads the words, so models need not explore them.
use core::sync::atomic::{AtomicU32, Ordering};
use std::alloc::{Layout, alloc_zeroed};

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

/// Set in a word while an audit runs that has seen the buffer.
const SEEN: u32 = 1 << 31;

impl Entry {
    /// The shard is below 256; of the kind, only the low 8 bits come back.
    const fn pack(place: Place, shard: u32, kind: u32) -> u32 {
        place as u32 | shard << 8 | kind << 16
    }

    fn unpack(word: u32) -> Self {
        // Only `pack` makes words, so the place is in range.
        let place = Place::ALL[(word & 0xff) as usize % PLACES];
        Self { place, shard: word >> 8 & 0xff, kind: word >> 16 & 0xff }
    }
}

/// Most buffers a ledger can track.
pub const MAX_BUFFERS: u32 = (1 << 22) - 1;

/// The ledger. Ids start at 1.
pub struct Ledger {
    // A word for every possible id, that of id 1 first; none if nothing is tracked. The system provides the memory as it
    // is first used, and an access is one store: each hop of each buffer makes one.
    words: Box<[AtomicU32]>,
    // Ids below this are reserved.
    next: AtomicU32,
    // The highest `next` ever.
    known: AtomicU32,
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Result<Self, Status> {
        let layout = Layout::array::<AtomicU32>(MAX_BUFFERS as usize).map_err(|_| Status::LANEPIPE_E_TOO_LARGE)?;
        // SAFETY: the layout is not empty.
        let words = unsafe { alloc_zeroed(layout) }.cast::<AtomicU32>();
        if words.is_null() {
            return Err(Status::LANEPIPE_E_NO_MEMORY);
        }
        let words = ptr::slice_from_raw_parts_mut(words, MAX_BUFFERS as usize);
        // SAFETY: allocated as such a slice is; zero is a valid word.
        Ok(Self::with(unsafe { Box::from_raw(words) }))
    }

    /// A ledger that tracks nothing: there is no id.
    pub fn untracked() -> Self {
        Self::with(Box::default())
    }

    fn with(words: Box<[AtomicU32]>) -> Self {
        Self { words, next: AtomicU32::new(1), known: AtomicU32::new(1) }
    }

    /// The word of an id that may never have been reserved; `None` for 0 and for what cannot be an id.
    #[inline(always)]
    fn word(&self, id: u32) -> Option<&AtomicU32> {
        self.words.get(id.wrapping_sub(1) as usize)
    }

    /// Writes down where buffer `id` is. Id 0 is ignored, and so is what is written for ids never reserved.
    #[inline(always)]
    pub fn set(&self, id: u32, place: Place, shard: u32, kind: u32) {
        if let Some(word) = self.word(id) {
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

    /// Ends id `id` for good: its buffer was released. Returns what was known of it, if it was in use.
    pub fn end(&self, id: u32) -> Option<Entry> {
        let entry = self.get(id).filter(|entry| entry.place != Place::Gone)?;
        self.set(id, Place::Gone, 0, 0);
        Some(entry)
    }

    /// Marks id `id` as seen by an audit; tells whether it was marked already. At rest only.
    pub(super) fn mark(&self, id: u32) -> bool {
        // Relaxed: see the module documentation.
        self.word(id).is_some_and(|word| word.fetch_or(SEEN, Ordering::Relaxed) & SEEN != 0)
    }

    /// Takes the mark of id `id` away; tells whether there was one. At rest only.
    pub(super) fn unmark(&self, id: u32) -> bool {
        // Relaxed: see the module documentation.
        self.word(id).is_some_and(|word| word.fetch_and(!SEEN, Ordering::Relaxed) & SEEN != 0)
    }

    /// Where buffer `id` is; `None` for id 0 and ids never reserved.
    #[inline]
    pub fn get(&self, id: u32) -> Option<Entry> {
        // Relaxed, both: see the module documentation. What brought the id also brought the mark behind it.
        if id >= self.known.load(Ordering::Relaxed) {
            return None;
        }
        self.word(id).map(|word| Entry::unpack(word.load(Ordering::Relaxed)))
    }

    /// Reserves `count` consecutive ids of `kind`, all at the device, and returns the first. The caller holds the lock of
    /// the block table.
    pub fn reserve(&self, count: u32, kind: u32) -> Result<u32, Status> {
        let first = self.next.load(Ordering::Relaxed);
        let fits = |end: &u32| *end as usize <= self.words.len();
        let end = first.checked_add(count).filter(fits).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        for id in first..end {
            self.set(id, Place::Device, 0, kind);
        }
        self.next.store(end, Ordering::Relaxed);
        self.known.fetch_max(end, Ordering::Relaxed);
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
    fn an_ended_id_is_known_no_more() {
        let ledger = Ledger::new().unwrap();
        let id = ledger.reserve(2, 1).unwrap();
        ledger.set(id, Place::Recycled, 3, 1);
        assert_eq!(ledger.end(id), Some(Entry { place: Place::Recycled, shard: 3, kind: 1 }));
        assert_eq!((ledger.end(id), ledger.end(0), ledger.end(7)), (None, None, None));
        let mut rest = Vec::new();
        ledger.for_each(|id, _| rest.push(id));
        assert_eq!(rest, [id + 1]);
    }

    #[test]
    fn a_mark_leaves_the_entry_alone() {
        let ledger = Ledger::new().unwrap();
        let id = ledger.reserve(1, 63).unwrap();
        let entry = ledger.get(id);
        assert!(!ledger.mark(id) && ledger.mark(id));
        assert_eq!(ledger.get(id), entry);
        assert!(ledger.unmark(id) && !ledger.unmark(id));
        assert!(!ledger.mark(0) && !ledger.unmark(0));
    }

    #[test]
    fn an_untracked_ledger_knows_no_id() {
        let ledger = Ledger::untracked();
        assert_eq!(ledger.reserve(1, 0), Err(Status::LANEPIPE_E_TOO_LARGE));
        for id in [0, 1, MAX_BUFFERS, u32::MAX] {
            ledger.set(id, Place::Ready, 0, 0);
            assert_eq!((ledger.get(id), ledger.claim(id, Place::Drain, 0)), (None, None));
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
