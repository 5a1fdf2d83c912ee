//! The lock of a wait list: the word `busy`, 0 or 1. Whoever has it is the consumer; nobody waits for it.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `wait_list.L1` → `wait_list.L2` | unlock, Release | try_lock, Acquire | the whole list, the ring's tail | `loom_wait_list_lock` |
//!
//! A losing attempt reads the word and stores nothing. A value that is neither 0 nor 1 is what memory held that nobody
//! initialised; it counts as free.

use crate::sync::Edge;
use crate::sync::atomic::Ordering;

const L1: Edge = Edge::new("wait_list.L1", Ordering::Release);
const L2: Edge = Edge::new("wait_list.L2", Ordering::Acquire);

const FREE: i32 = 0;
const TAKEN: i32 = 1;

/// The word: an atomic of the image, or loom's.
pub(crate) trait LockWord {
    fn load(&self, order: Ordering) -> i32;
    fn store(&self, value: i32, order: Ordering);
    fn exchange(&self, from: i32, to: i32, success: Ordering) -> bool;
}

macro_rules! lock_word {
    ($atomic:ty) => {
        impl LockWord for $atomic {
            #[inline(always)]
            fn load(&self, order: Ordering) -> i32 {
                self.load(order)
            }
            #[inline(always)]
            fn store(&self, value: i32, order: Ordering) {
                self.store(value, order)
            }
            #[inline(always)]
            fn exchange(&self, from: i32, to: i32, success: Ordering) -> bool {
                self.compare_exchange(from, to, success, Ordering::Relaxed).is_ok()
            }
        }
    };
}

lock_word!(core::sync::atomic::AtomicI32);
#[cfg(all(test, loom))]
lock_word!(loom::sync::atomic::AtomicI32);

/// One attempt to take the lock.
#[inline(always)]
pub(crate) fn try_lock(word: &impl LockWord) -> bool {
    // Relaxed: a guess, which the exchange validates; whoever loses leaves the line shared.
    let seen = word.load(Ordering::Relaxed);
    // [L2] Acquire: pairs with [L1].
    seen != TAKEN && word.exchange(seen, TAKEN, L2.order())
}

/// Gives the lock back.
#[inline(always)]
pub(crate) fn unlock(word: &impl LockWord) {
    // [L1] Release: pairs with [L2].
    word.store(FREE, L1.order());
}
