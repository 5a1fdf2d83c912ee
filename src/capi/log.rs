//! Log sinks.

use super::args::object;
use super::guard::guard;
use crate::log::{self, Logger, Sink, with_text};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::{CStr, c_char, c_void};
use core::fmt;
use std::sync::{Mutex, PoisonError};

/// Level of failures and misuse.
pub const LANEPIPE_LOG_ERROR: u32 = 1;
/// Level of conditions that the library handles and a maintainer may want to know of.
pub const LANEPIPE_LOG_WARN: u32 = 2;
/// Level of normal, rare events.
pub const LANEPIPE_LOG_INFO: u32 = 3;
/// Level of details.
pub const LANEPIPE_LOG_DEBUG: u32 = 4;

const _: () = assert!(
    LANEPIPE_LOG_ERROR == log::ERROR
        && LANEPIPE_LOG_WARN == log::WARN
        && LANEPIPE_LOG_INFO == log::INFO
        && LANEPIPE_LOG_DEBUG == log::DEBUG
);

/// Takes one message: terminated UTF-8 text without line end, valid during the call. Called from any thread that uses the
/// object, several at once, never with a lock held and never on a fault-free hot path.
pub type lanepipe_log_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, level: u32, message: *const c_char)>;

/// Where messages go.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_log_sink_t {
    /// The function; null: no messages.
    pub write: lanepipe_log_fn_t,
    /// Passed to `write`. Must stay valid as long as the sink is in use.
    pub context: *mut c_void,
    /// Messages above this level are not made. 0 to `LANEPIPE_LOG_DEBUG`.
    pub max_level: u32,
    /// Must be 0.
    pub reserved: u32,
}

// SAFETY: whoever installs a sink vouches that it may be called from any thread.
unsafe impl Send for lanepipe_log_sink_t {}
// SAFETY: as for `Send`.
unsafe impl Sync for lanepipe_log_sink_t {}

impl Sink for lanepipe_log_sink_t {
    fn write(&self, level: u32, message: &CStr) {
        if let Some(write) = self.write {
            // SAFETY: the installer vouches for function and context.
            unsafe { write(self.context, level, message.as_ptr()) };
        }
    }
}

impl lanepipe_log_sink_t {
    /// A logger on this sink.
    pub(super) fn logger(&self) -> Result<Logger, Status> {
        if self.max_level > LANEPIPE_LOG_DEBUG || self.reserved != 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        Ok(if self.write.is_some() { Logger::new(Box::new(*self), self.max_level) } else { Logger::default() })
    }
}

static GLOBAL: Mutex<Option<lanepipe_log_sink_t>> = Mutex::new(None);

/// Sends a message about a failure before a handle exists.
pub(super) fn global_log(level: u32, message: fmt::Arguments<'_>) {
    // Copied out: the sink is called without the lock.
    let sink = *GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sink) = sink.filter(|sink| level <= sink.max_level) {
        with_text(message, |text| sink.write(level, text));
    }
}

/// Sets the sink for failures before a handle exists. Null takes it back. Any thread; the earlier sink may still be in
/// use by calls that began before. Never blocks for long.
///
/// # Safety
///
/// `sink` is null or points at a sink whose function and context are valid as long as it is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_log_set_global(sink: *const lanepipe_log_sink_t) -> lanepipe_status_t {
    guard(|| {
        let sink = if sink.is_null() {
            None
        } else {
            // SAFETY: the caller's contract.
            let sink = unsafe { object(sink)? };
            sink.logger()?;
            Some(*sink)
        };
        *GLOBAL.lock().unwrap_or_else(PoisonError::into_inner) = sink;
        Ok(())
    })
}
