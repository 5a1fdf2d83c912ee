//! The clock of all deadlines.

use core::time::Duration;

/// Deadlines: nanoseconds of the monotonic clock ([`now`]), as plain `u64`.
#[derive(Debug)]
pub struct Deadline;

/// cbindgen:ignore
impl Deadline {
    /// No deadline.
    pub const NEVER: u64 = u64::MAX;

    /// `duration` from now, [`Deadline::NEVER`] when that is out of range.
    pub fn after(duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).map_or(Self::NEVER, |duration| now().saturating_add(duration))
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`. Any thread, never blocks, no system call where the platform has a fast clock.
#[cfg(all(unix, not(all(test, loom))))]
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the out-pointer is a local. The call cannot fail: every supported platform has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Nanoseconds of a monotonic clock that starts with the first call. Any thread, never blocks.
#[cfg(all(not(unix), not(all(test, loom))))]
pub fn now() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

/// Time stands still in a model: sleeps time out when the model says so.
#[cfg(all(test, loom))]
pub fn now() -> u64 {
    0
}
