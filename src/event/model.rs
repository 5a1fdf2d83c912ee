//! The futex of loom models: compare and block under one mutex, as the kernel does under its bucket lock.

use super::{Deadline, SleepEnd};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::relax;
use loom::sync::{Condvar, Mutex};

/// A word that threads sleep on while it holds an expected value.
#[derive(Debug)]
pub(super) struct FutexWord {
    pub value: AtomicU32,
    bucket: Mutex<Bucket>,
    changed: Condvar,
    /// Sleepers only watch the word, with relaxed loads, and get no ordering from the mutex.
    watching: bool,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Wakes so far: a sleeper goes on when the number changes.
    wakes: u32,
    /// Time has passed every deadline.
    expired: bool,
}

impl FutexWord {
    pub fn new(value: u32) -> Self {
        Self {
            value: AtomicU32::new(value),
            bucket: Mutex::new(Bucket::default()),
            changed: Condvar::new(),
            watching: false,
        }
    }

    /// A word whose sleepers learn nothing but its value: no ordering comes with a wake.
    pub fn watching(value: u32) -> Self {
        Self { watching: true, ..Self::new(value) }
    }

    /// Sleeps while the word is `expected`, until a wake or, with a finite deadline, until the model's time has passed.
    pub fn sleep(&self, expected: u32, deadline: u64) -> SleepEnd {
        if self.watching {
            // Relaxed: the kernel's comparison orders nothing for the program.
            while self.value.load(Ordering::Relaxed) == expected {
                relax();
            }
            return SleepEnd::Woken;
        }
        let mut bucket = self.bucket.lock().unwrap();
        // Relaxed: a model may see a value as old as the mutex allows, which is what the kernel promises.
        if self.value.load(Ordering::Relaxed) != expected {
            return SleepEnd::Woken;
        }
        let before = bucket.wakes;
        while bucket.wakes == before {
            if bucket.expired && deadline != Deadline::NEVER {
                return SleepEnd::TimedOut;
            }
            bucket = self.changed.wait(bucket).unwrap();
        }
        SleepEnd::Woken
    }

    /// Wakes every thread that sleeps on the word. Without a change of the word it is a spurious wake.
    pub fn wake_all(&self) {
        if self.watching {
            return;
        }
        let mut bucket = self.bucket.lock().unwrap();
        bucket.wakes = bucket.wakes.wrapping_add(1);
        self.changed.notify_all();
    }

    /// Lets time pass every finite deadline, now or at any later sleep.
    pub fn expire(&self) {
        let mut bucket = self.bucket.lock().unwrap();
        bucket.expired = true;
        self.changed.notify_all();
    }

    /// The word, for accesses that neither sleep nor wake.
    pub fn load(&self, order: Ordering) -> u32 {
        self.value.load(order)
    }
}
