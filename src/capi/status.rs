//! Status codes and the error detail record.

use crate::status::lanepipe_status_t;
use core::ffi::c_char;

/// What a call returns that was not refused on the way, or was.
#[inline(always)]
pub(super) fn status(outcome: Result<lanepipe_status_t, lanepipe_status_t>) -> lanepipe_status_t {
    match outcome {
        Ok(status) | Err(status) => status,
    }
}

/// The same of a call that has one good outcome.
#[inline(always)]
pub(super) fn done(outcome: Result<(), lanepipe_status_t>) -> lanepipe_status_t {
    status(outcome.map(|()| lanepipe_status_t::LANEPIPE_OK))
}

/// Name of a status, for instance `"LANEPIPE_E_NULL"`.
///
/// `status`: any value; unknown ones give `"LANEPIPE_E_UNKNOWN_STATUS"`. Returns a static string. Any thread, never
/// blocks.
#[unsafe(no_mangle)]
pub extern "C" fn lanepipe_status_name(status: i32) -> *const c_char {
    name_of(status).as_ptr()
}

macro_rules! status_names {
    ($($name:ident),* $(,)?) => {
        const fn name_of(status: i32) -> &'static core::ffi::CStr {
            $(
                if status == lanepipe_status_t::$name as i32 {
                    const NAME: &core::ffi::CStr =
                        match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => c"",
                        };
                    return NAME;
                }
            )*
            c"LANEPIPE_E_UNKNOWN_STATUS"
        }
    };
}

status_names!(
    LANEPIPE_OK,
    LANEPIPE_FULL,
    LANEPIPE_EMPTY,
    LANEPIPE_TIMED_OUT,
    LANEPIPE_CLOSED,
    LANEPIPE_BUSY,
    LANEPIPE_AGAIN,
    LANEPIPE_DROPPED,
    LANEPIPE_MISMATCH,
    LANEPIPE_E_NULL,
    LANEPIPE_E_INVALID,
    LANEPIPE_E_STRUCT_SIZE,
    LANEPIPE_E_MISALIGNED,
    LANEPIPE_E_TOO_LARGE,
    LANEPIPE_E_NO_MEMORY,
    LANEPIPE_E_STATE,
    LANEPIPE_E_OVERLAP,
    LANEPIPE_E_OWNER,
    LANEPIPE_E_KIND,
    LANEPIPE_E_UNKNOWN_POINTER,
    LANEPIPE_E_DUPLICATE,
    LANEPIPE_E_CORRUPT,
    LANEPIPE_E_CALLBACK,
    LANEPIPE_E_SYSTEM,
    LANEPIPE_E_THREAD,
    LANEPIPE_E_UNSUPPORTED,
    LANEPIPE_E_VERSION,
    LANEPIPE_E_CONSERVATION,
    LANEPIPE_E_PANIC,
    LANEPIPE_E_POISONED,
);

/// Length of `lanepipe_error_t::message` in bytes, terminator included.
#[cfg(feature = "std")]
pub const LANEPIPE_ERROR_MESSAGE_SIZE: usize = 240;

/// Detail of a failed call that creates an object. Owned and zeroed by the caller, who sets `struct_size`.
#[cfg(feature = "std")]
#[repr(C)]
#[derive(Debug)]
pub struct lanepipe_error_t {
    /// `sizeof(lanepipe_error_t)`, set by the caller.
    pub struct_size: u32,
    /// Status that the call returned (a `lanepipe_status_t`).
    pub status: i32,
    /// Error number of the operating system, or 0.
    pub system_error: i32,
    /// Always 0.
    pub reserved: u32,
    /// What was wrong, as terminated UTF-8 text.
    pub message: [c_char; LANEPIPE_ERROR_MESSAGE_SIZE],
}
