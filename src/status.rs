//! The status enumeration: defined once, the same names in C, C++ and Rust.

// The variants keep their C spelling.
#![allow(non_camel_case_types)]

/// Outcome of every call. 0 is success, positive values are normal outcomes, negative ones misuse or failure. Numbers
/// are fixed for ever; new ones are only added.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum lanepipe_status_t {
    /// Done.
    LANEPIPE_OK = 0,
    /// No room; nothing was stored beyond the count reported.
    LANEPIPE_FULL = 1,
    /// Nothing there.
    LANEPIPE_EMPTY = 2,
    /// The time limit passed first.
    LANEPIPE_TIMED_OUT = 3,
    /// The object was closed; what it still held has been taken.
    LANEPIPE_CLOSED = 4,
    /// The object is in use and the call can be repeated later.
    LANEPIPE_BUSY = 5,
    /// An element is claimed but not published yet; repeat later.
    LANEPIPE_AGAIN = 6,
    /// A record was dropped and counted.
    LANEPIPE_DROPPED = 7,
    /// A record did not belong to the expected owner and was counted as such.
    LANEPIPE_MISMATCH = 8,
    /// A required pointer or callback is null.
    LANEPIPE_E_NULL = -1,
    /// An argument is out of its range.
    LANEPIPE_E_INVALID = -2,
    /// `struct_size` is smaller than the first version of the structure, or not a size this library knows.
    LANEPIPE_E_STRUCT_SIZE = -3,
    /// An address is not aligned as required.
    LANEPIPE_E_MISALIGNED = -4,
    /// A size or count is above its cap, or a size computation overflows.
    LANEPIPE_E_TOO_LARGE = -5,
    /// Memory could not be allocated.
    LANEPIPE_E_NO_MEMORY = -6,
    /// The object is not in a state that allows the call.
    LANEPIPE_E_STATE = -7,
    /// Two threads were inside calls of one queue end at once.
    LANEPIPE_E_OVERLAP = -8,
    /// The queue end belongs to another thread now.
    LANEPIPE_E_OWNER = -9,
    /// The kind is out of range.
    LANEPIPE_E_KIND = -10,
    /// The pointer is unknown to the pool.
    LANEPIPE_E_UNKNOWN_POINTER = -11,
    /// The buffer is already in another place.
    LANEPIPE_E_DUPLICATE = -12,
    /// Foreign memory holds a value that it cannot hold.
    LANEPIPE_E_CORRUPT = -13,
    /// A callback of the caller reported failure.
    LANEPIPE_E_CALLBACK = -14,
    /// The operating system refused; `lanepipe_error_t::system_error` has the number.
    LANEPIPE_E_SYSTEM = -15,
    /// The thread factory did not deliver a thread.
    LANEPIPE_E_THREAD = -16,
    /// Not available in this build or on this platform.
    LANEPIPE_E_UNSUPPORTED = -17,
    /// Header and library have different ABI versions.
    LANEPIPE_E_VERSION = -18,
    /// An audit found a buffer in no place or in more than one.
    LANEPIPE_E_CONSERVATION = -19,
    /// An internal error was caught at the boundary; the object is poisoned.
    LANEPIPE_E_PANIC = -20,
    /// An earlier `LANEPIPE_E_PANIC` left the object unusable; it can only be destroyed.
    LANEPIPE_E_POISONED = -21,
}

/// The status under the name that Rust code uses.
pub type Status = lanepipe_status_t;

impl lanepipe_status_t {
    /// Whether the call did what it was asked to.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::LANEPIPE_OK)
    }

    /// The failure with number `-magnitude`; `LANEPIPE_OK` if there is none.
    pub const fn failure(magnitude: i32) -> Self {
        const FAILURES: [lanepipe_status_t; 21] = {
            use lanepipe_status_t::*;
            [
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
            ]
        };
        if magnitude < 1 || magnitude > FAILURES.len() as i32 {
            Self::LANEPIPE_OK
        } else {
            FAILURES[magnitude as usize - 1]
        }
    }

    /// Whether the status reports misuse or failure.
    pub const fn is_error(self) -> bool {
        (self as i32) < 0
    }
}
