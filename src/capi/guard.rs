//! The boundary: panics stop here, and a handle on which one was caught is poisoned.

use super::log::global_log;
use crate::log::{self, Logger};
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
        if self.0.load(Ordering::Relaxed) { Err(Status::LANEPIPE_E_POISONED) } else { Ok(()) }
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

/// Leaves a line about a call that was refused or failed: with the handle's sink, or with the global one where there is
/// no handle. That memory is short is for the caller to report: an allocator that runs dry may be nothing unusual.
#[cold]
#[inline(never)]
pub(super) fn report(call: &str, status: Status, logger: Option<&Logger>) {
    if status as i32 >= 0 || status == Status::LANEPIPE_E_NO_MEMORY {
        return;
    }
    let message = format_args!("{call}: {status:?}");
    match logger {
        Some(logger) => logger.log(log::ERROR, message),
        None => global_log(log::ERROR, message),
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
