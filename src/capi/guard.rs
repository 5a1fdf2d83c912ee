//! The boundary: panics stop here, and a handle on which one was caught is poisoned.

use crate::status::Status;
use crate::sync::atomic::{AtomicBool, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Marks a handle as unusable after an internal error.
#[derive(Debug, Default)]
pub(super) struct Poison(AtomicBool);

impl Poison {
    /// Refuses calls on a poisoned handle.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Status> {
        // Relaxed: set once for good; a racing call fails by itself or not at all.
        if self.0.load(Ordering::Relaxed) {
            Err(Status::LANEPIPE_E_POISONED)
        } else {
            Ok(())
        }
    }

    /// Runs a cold entry point on the handle.
    pub(super) fn guard(&self, body: impl FnOnce() -> Result<(), Status>) -> Status {
        if let Err(status) = self.check() {
            return status;
        }
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(outcome) => status_of(outcome),
            Err(_) => {
                self.0.store(true, Ordering::Relaxed);
                Status::LANEPIPE_E_PANIC
            }
        }
    }
}

/// Runs a cold entry point that has no handle yet.
pub(super) fn guard(body: impl FnOnce() -> Result<(), Status>) -> Status {
    catch_unwind(AssertUnwindSafe(body)).map_or(Status::LANEPIPE_E_PANIC, status_of)
}

/// The status of an outcome.
#[inline]
pub(super) fn status_of(outcome: Result<(), Status>) -> Status {
    match outcome {
        Ok(()) => Status::LANEPIPE_OK,
        Err(status) => status,
    }
}
