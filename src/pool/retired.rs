//! Buffers that nobody could pass on. Parking is the exit of a failure, so a lock is allowed.

use super::Buffer;
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, ColdMutex, Ordering};

struct Parked {
    /// One list per kind: a kind whose lanes are full must not stand in the way of another.
    circulable: Box<[Vec<Buffer>]>,
    quarantined: Vec<Buffer>,
}

/// The parking place of a pool.
pub(super) struct Retired {
    parked: ColdMutex<Parked>,
    // Length of each list. Lets the replenish thread look without the lock.
    circulable: Box<[AtomicU32]>,
}

impl Retired {
    pub(super) fn new(kinds: u32) -> Result<Self, Status> {
        Ok(Self {
            parked: ColdMutex::new(Parked {
                circulable: super::build(kinds, || Ok(Vec::new()))?,
                quarantined: Vec::new(),
            }),
            circulable: super::build(kinds, || Ok(AtomicU32::new(0)))?,
        })
    }

    /// Parks `buffer`; for good if `quarantined`. Fails only if storage cannot grow. The kind is in range.
    pub(super) fn park(&self, buffer: Buffer, quarantined: bool) -> Result<(), Status> {
        let mut parked = self.parked.lock();
        let list = if quarantined { &mut parked.quarantined } else { &mut parked.circulable[buffer.kind as usize] };
        list.try_reserve(1).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        list.push(buffer);
        if !quarantined {
            // Relaxed: a hint; the lock orders the list.
            self.circulable[buffer.kind as usize].store(list.len() as u32, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether there may be a buffer of `kind` to bring back. Any thread.
    pub(super) fn has_circulable(&self, kind: u32) -> bool {
        // Relaxed: a hint.
        self.circulable[kind as usize].load(Ordering::Relaxed) != 0
    }

    /// Takes the buffer of `kind` parked last that can be brought back.
    pub(super) fn take(&self, kind: u32) -> Option<Buffer> {
        let mut parked = self.parked.lock();
        let list = &mut parked.circulable[kind as usize];
        let buffer = list.pop();
        self.circulable[kind as usize].store(list.len() as u32, Ordering::Relaxed);
        buffer
    }

    /// Takes `buffer` out of quarantine; false if it is not there.
    pub(super) fn end_quarantine(&self, buffer: &Buffer) -> bool {
        let mut parked = self.parked.lock();
        let found = parked.quarantined.iter().rposition(|at| at == buffer);
        found.map(|at| parked.quarantined.remove(at)).is_some()
    }

    /// Runs `f` on every parked buffer; the flag says whether it is quarantined.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Buffer, bool)) {
        let parked = self.parked.lock();
        parked.circulable.iter().flatten().for_each(|buffer| f(buffer, false));
        parked.quarantined.iter().for_each(|buffer| f(buffer, true));
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut parked = self.parked.lock();
        parked.circulable.iter_mut().for_each(|list| *list = Vec::new());
        parked.quarantined = Vec::new();
        for count in &self.circulable {
            count.store(0, Ordering::Relaxed);
        }
    }
}
