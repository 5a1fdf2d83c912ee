//! Models of the list's lock.

use super::lock;
use crate::sync::atomic::{AtomicU32, UnsafeCell};
use crate::sync::model::{check, must_fail};
use loom::sync::Arc;
use loom::sync::atomic::AtomicI32;
use loom::thread;

struct Locked {
    busy: AtomicI32,
    list: UnsafeCell<u32>,
    turns: AtomicU32,
}

// SAFETY: the model checks that the cell's accesses are ordered.
unsafe impl Send for Locked {}
// SAFETY: as above.
unsafe impl Sync for Locked {}

/// Threads that get the lock find what its holder before wrote; who loses does nothing.
fn holders(initial: i32) {
    let locked = Arc::new(Locked { busy: AtomicI32::new(initial), list: UnsafeCell::new(0), turns: AtomicU32::new(0) });
    let turn = |locked: &Locked| {
        if lock::try_lock(&locked.busy) {
            // SAFETY: the model checks it.
            let turns = locked.list.with_mut(|list| unsafe {
                *list += 1;
                *list
            });
            // Relaxed: written under the lock only.
            assert_eq!(locked.turns.load(loom::sync::atomic::Ordering::Relaxed) + 1, turns);
            locked.turns.store(turns, loom::sync::atomic::Ordering::Relaxed);
            lock::unlock(&locked.busy);
        }
    };
    let others: Vec<_> = (0..2)
        .map(|_| {
            let locked = locked.clone();
            thread::spawn(move || turn(&locked))
        })
        .collect();
    for other in others {
        other.join().unwrap();
    }
}

#[test]
fn loom_wait_list_lock() {
    check(3, || holders(0));
    check(3, || holders(-77));
    must_fail("wait_list.L1", 3, || holders(0));
    must_fail("wait_list.L2", 3, || holders(0));
}
