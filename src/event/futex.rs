//! The Linux futex system call, private to the process.

use super::{Deadline, SleepEnd, now};
use crate::sync::atomic::{AtomicU32, Ordering};
use core::ptr;

/// A word that threads sleep on while it holds an expected value.
#[derive(Debug)]
pub(super) struct FutexWord {
    pub value: AtomicU32,
}

impl FutexWord {
    pub const fn new(value: u32) -> Self {
        Self { value: AtomicU32::new(value) }
    }

    /// Sleeps while the word is `expected`, until a wake or until `deadline`. May return early for no reason.
    pub fn sleep(&self, expected: u32, deadline: u64) -> SleepEnd {
        let time = libc::timespec {
            tv_sec: (deadline / 1_000_000_000) as libc::time_t,
            tv_nsec: (deadline % 1_000_000_000) as _,
        };
        let timeout = if deadline == Deadline::NEVER { ptr::null() } else { ptr::from_ref(&time) };
        // The bit-set form takes an absolute deadline of CLOCK_MONOTONIC, so a repeated sleep needs no new computation.
        // SAFETY: the word and the time outlive the call; the second word is unused by this operation.
        let result = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.value.as_ptr(),
                libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
                expected,
                timeout,
                ptr::null::<u32>(),
                libc::FUTEX_BITSET_MATCH_ANY,
            )
        };
        if result == 0 {
            return SleepEnd::Woken;
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::ETIMEDOUT) => SleepEnd::TimedOut,
            Some(libc::EAGAIN | libc::EINTR) => SleepEnd::Woken,
            // The kernel refuses to sleep (a sandbox, for instance): the caller's loop then polls.
            _ => {
                // SAFETY: the call has no arguments.
                unsafe { libc::sched_yield() };
                if deadline <= now() { SleepEnd::TimedOut } else { SleepEnd::Woken }
            }
        }
    }

    /// Wakes every thread that sleeps on the word.
    pub fn wake_all(&self) {
        // Only the address is used: the word may have been freed by a woken thread, which at worst wakes a stranger
        // spuriously.
        // SAFETY: the operation reads no memory of the process.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.value.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                libc::c_int::MAX,
            )
        };
    }

    /// The word, for accesses that neither sleep nor wake.
    #[inline(always)]
    pub fn load(&self, order: Ordering) -> u32 {
        self.value.load(order)
    }
}
