//! Reports of failed creations: the caller's error record and a log line.

use super::args::{Sized32, check_sized};
use super::log::global_log;
use super::status::{LANEPIPE_ERROR_MESSAGE_SIZE, lanepipe_error_t};
use crate::log;
use crate::pool::Problem;
use crate::status::Status;
use core::ffi::c_char;
use core::fmt;

/// Writes the detail of a failed creation, if the caller wants it, and logs it.
///
/// # Safety
///
/// `error` is null or writable for its `struct_size`.
pub(super) unsafe fn fail(error: *mut lanepipe_error_t, problem: Problem, logger: Option<&log::Logger>) -> Status {
    // SAFETY: forwarded.
    if unsafe { check_sized(error) }.is_ok() {
        // SAFETY: checked.
        let error = unsafe { &mut *error };
        error.status = problem.status as i32;
        error.system_error = 0;
        error.reserved = 0;
        error.message.fill(0);
        // The last byte stays 0.
        for (to, from) in error.message.iter_mut().zip(problem.what.bytes().take(LANEPIPE_ERROR_MESSAGE_SIZE - 1)) {
            *to = from as c_char;
        }
    }
    let message: fmt::Arguments<'_> = format_args!("creation failed: {} ({:?})", problem.what, problem.status);
    match logger {
        Some(logger) => logger.log(log::ERROR, message),
        None => global_log(log::ERROR, message),
    }
    problem.status
}

impl Sized32 for lanepipe_error_t {}

/// A problem without further words.
pub(super) fn problem(status: Status) -> Problem {
    let what = match status {
        Status::LANEPIPE_E_NULL => "a required pointer or callback is null",
        Status::LANEPIPE_E_STRUCT_SIZE => "struct_size is not one that this library knows",
        Status::LANEPIPE_E_MISALIGNED => "an address is not aligned",
        Status::LANEPIPE_E_NO_MEMORY => "memory is short",
        Status::LANEPIPE_E_STATE => "the pool is in use",
        _ => "refused",
    };
    Problem { status, what }
}
