//! Buffers that nobody could pass on. Parking is the exit of a failure, so a lock is allowed.

use super::Buffer;
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, ColdMutex, Ordering};

#[derive(Default)]
struct Parked {
    circulable: Vec<Buffer>,
    quarantined: Vec<Buffer>,
}

/// The parking place of a pool.
pub(super) struct Retired {
    parked: ColdMutex<Parked>,
    // Lets the replenish thread look without the lock.
    circulable: AtomicU32,
}

impl Retired {
    pub(super) fn new() -> Self {
        Self {
            parked: ColdMutex::new(Parked::default()),
            circulable: AtomicU32::new(0),
        }
    }

    /// Parks `buffer`; for good if `quarantined`. Fails only if storage cannot grow.
    pub(super) fn park(&self, buffer: Buffer, quarantined: bool) -> Result<(), Status> {
        let mut parked = self.parked.lock();
        let list = if quarantined {
            &mut parked.quarantined
        } else {
            &mut parked.circulable
        };
        list.try_reserve(1).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        list.push(buffer);
        // Relaxed: a hint; the lock orders the list.
        self.circulable.store(parked.circulable.len() as u32, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there may be something to bring back. Any thread.
    pub(super) fn has_circulable(&self) -> bool {
        // Relaxed: a hint.
        self.circulable.load(Ordering::Relaxed) != 0
    }

    /// Takes the buffer parked last that can be brought back.
    pub(super) fn take(&self) -> Option<Buffer> {
        let mut parked = self.parked.lock();
        let buffer = parked.circulable.pop();
        self.circulable.store(parked.circulable.len() as u32, Ordering::Relaxed);
        buffer
    }

    /// Runs `f` on every parked buffer; the flag says whether it is quarantined.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Buffer, bool)) {
        let parked = self.parked.lock();
        parked.circulable.iter().for_each(|buffer| f(buffer, false));
        parked.quarantined.iter().for_each(|buffer| f(buffer, true));
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.parked.lock() = Parked::default();
        self.circulable.store(0, Ordering::Relaxed);
    }
}
