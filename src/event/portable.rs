//! Sleeping through std's mutex and condition variable, where there is no futex. A static table of buckets hashed by
//! address: nothing per thread, nothing to tear down.

use super::{Deadline, SleepEnd, now};
use crate::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard};

struct Bucket {
    lock: Mutex<()>,
    changed: Condvar,
}

const BUCKETS: usize = 64;

// Words that share a bucket wake each other's sleepers, who look and sleep again.
static TABLE: [Bucket; BUCKETS] = [const { Bucket { lock: Mutex::new(()), changed: Condvar::new() } }; BUCKETS];

impl Bucket {
    fn lock(&self) -> MutexGuard<'_, ()> {
        // The mutex guards no data, so a panic of a holder leaves nothing broken.
        self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A word that threads sleep on while it holds an expected value.
#[derive(Debug)]
pub(super) struct FutexWord {
    pub value: AtomicU32,
}

impl FutexWord {
    pub const fn new(value: u32) -> Self {
        Self { value: AtomicU32::new(value) }
    }

    fn bucket(&self) -> &'static Bucket {
        // Words live on lines of their own: the bits above the line pair vary, a multiplication spreads them.
        let hash = (self.value.as_ptr().addr() as u64 >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &TABLE[(hash >> 58) as usize % BUCKETS]
    }

    /// Sleeps while the word is `expected`, until a wake or until `deadline`. May return early for no reason.
    pub fn sleep(&self, expected: u32, deadline: u64) -> SleepEnd {
        let bucket = self.bucket();
        let guard = bucket.lock();
        // Relaxed: the waker changes the word before it takes the lock. If it held the lock before, the change is
        // visible here; otherwise its wake comes after this thread sleeps.
        if self.value.load(Ordering::Relaxed) != expected {
            return SleepEnd::Woken;
        }
        if deadline == Deadline::NEVER {
            drop(bucket.changed.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner()));
            return SleepEnd::Woken;
        }
        let left = deadline.saturating_sub(now());
        if left == 0 {
            return SleepEnd::TimedOut;
        }
        let slept = bucket.changed.wait_timeout(guard, Duration::from_nanos(left));
        let (_guard, result) = slept.unwrap_or_else(|poisoned| poisoned.into_inner());
        if result.timed_out() { SleepEnd::TimedOut } else { SleepEnd::Woken }
    }

    /// Wakes every thread that sleeps on the word.
    pub fn wake_all(&self) {
        let bucket = self.bucket();
        drop(bucket.lock());
        bucket.changed.notify_all();
    }

    /// The word, for accesses that neither sleep nor wake.
    #[inline(always)]
    pub fn load(&self, order: Ordering) -> u32 {
        self.value.load(order)
    }
}
