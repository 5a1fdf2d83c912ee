//! What the steps by hand remember of a device queue from one call to the next. Such calls bring views that live as long as
//! the call, so a queue is known by the address of the word that only the host writes. A run that ends in doubt about a
//! queue leaves that here too.
//!
//! Records are found without a lock and stay until the pool forgets its buffers. Queues beyond the table share one record:
//! they then turn each other away more often than they need to, and repeat each other's messages.

use super::ledger::Place;
use super::{Buffer, Pool, build};
use crate::sync::Turn;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, ColdMutex, Ordering};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Records in the table, a power of two.
const RECORDS: usize = 1 << 11;
/// Records that are looked at for one address.
const PROBES: usize = 64;

/// The record of one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueNote {
    address: AtomicUsize,
    /// Had by whoever writes the free queue.
    pub(crate) turn: Turn,
    /// Whether there is a [`Doubt`]. Owner of the turn.
    in_doubt: AtomicBool,
    /// The fault that was reported last, 0 if the queue has been sound since.
    fault: AtomicU32,
}

/// A publication to a free queue of which nobody knows whether it took effect.
#[derive(Debug)]
pub(crate) struct Doubt {
    /// The tail if it did.
    pub(crate) tail: u32,
    /// The buffers, which are quarantined.
    pub(crate) buffers: Vec<Buffer>,
}

#[derive(Default)]
pub(super) struct QueueNotes {
    /// Made at first use: most pools only serve a profiler, whose threads keep their state themselves.
    table: OnceLock<Box<[QueueNote]>>,
    shared: QueueNote,
    doubts: ColdMutex<BTreeMap<usize, Doubt>>,
}

impl QueueNotes {
    fn of(&self, address: usize) -> &QueueNote {
        let table = self.table.get_or_init(|| build(RECORDS as u32, || Ok(QueueNote::default())).unwrap_or_default());
        // Multiplication by an odd constant; the upper half depends on every bit of the address.
        let start = ((address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        for probe in 0..PROBES.min(table.len()) {
            let note = &table[(start + probe) % RECORDS];
            // Relaxed: a record starts as zeros, and its own words order what they carry.
            let found = note.address.load(Ordering::Relaxed);
            let claim = || note.address.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed);
            if found == address || found == 0 && claim().map_or_else(|other| other == address, |_| true) {
                return note;
            }
        }
        &self.shared
    }

    /// Forgets everything. Nobody uses the pool.
    pub(super) fn clear(&self) {
        self.doubts.lock().clear();
        for note in self.table.get().into_iter().flatten().chain([&self.shared]) {
            // Relaxed: nobody else looks.
            note.address.store(0, Ordering::Relaxed);
            note.in_doubt.store(false, Ordering::Relaxed);
            note.fault.store(0, Ordering::Relaxed);
        }
    }
}

impl QueueNote {
    /// Whether `fault`, not 0, is another one than the queue had at the last look: whether to report it.
    pub(crate) fn is_news(&self, fault: u32) -> bool {
        // Relaxed, here and below: decides about messages only.
        self.fault.swap(fault, Ordering::Relaxed) != fault
    }

    /// Notes that the queue has no fault.
    #[inline]
    pub(crate) fn note_sound(&self) {
        if self.fault.load(Ordering::Relaxed) != 0 {
            self.fault.store(0, Ordering::Relaxed);
        }
    }
}

impl Pool {
    /// The record of the queue whose host-written word is at `address`, which is not 0. Any thread, lock-free.
    pub(crate) fn queue_note(&self, address: usize) -> &QueueNote {
        self.notes.of(address)
    }

    /// Remembers a publication in doubt. Owner of the queue's turn.
    #[cold]
    pub(crate) fn note_doubt(&self, note: &QueueNote, address: usize, doubt: Doubt) {
        self.notes.doubts.lock().insert(address, doubt);
        // Relaxed: the turn orders it.
        note.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Whether the last publication is in doubt. Owner of the queue's turn.
    #[inline]
    pub(crate) fn is_in_doubt(&self, note: &QueueNote, address: usize) -> bool {
        // Relaxed: as above.
        note.in_doubt.load(Ordering::Relaxed) && self.notes.doubts.lock().contains_key(&address)
    }

    /// Takes the publication in doubt to the queue at `address`, if there is one, for the caller to clear up. Its buffers are out
    /// of quarantine, and count as at the device. Owner of the queue's turn.
    #[cold]
    pub(crate) fn adopt_doubt(&self, address: usize) -> Vec<Buffer> {
        if !self.notes.doubts.lock().contains_key(&address) {
            return Vec::new();
        }
        let Some(Doubt { mut buffers, .. }) = self.take_doubt(self.queue_note(address), address) else {
            return Vec::new();
        };
        buffers.retain(|buffer| self.end_quarantine(buffer));
        buffers.iter().for_each(|buffer| self.note(buffer, Place::Device, 0));
        buffers
    }

    /// Takes the publication in doubt, which the caller has cleared up. Owner of the queue's turn.
    #[cold]
    pub(crate) fn take_doubt(&self, note: &QueueNote, address: usize) -> Option<Doubt> {
        let doubt = self.notes.doubts.lock().remove(&address);
        if !core::ptr::eq(note, &raw const self.notes.shared) {
            // Relaxed: as above. The shared record may stand for other doubts.
            note.in_doubt.store(false, Ordering::Relaxed);
        }
        doubt
    }
}
