//! A turn that one owner at a time has. Nobody waits for it: who finds it taken is turned away.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `turn.T1` → `turn.T2` | [`Turn::give_back`], Release | [`Turn::take`], Acquire | what the earlier owner did | `loom_turn` |

use super::Edge;
use super::atomic::{AtomicBool, Ordering};

const T1: Edge = Edge::new("turn.T1", Ordering::Release);
const T2: Edge = Edge::new("turn.T2", Ordering::Acquire);

/// Whether somebody has the turn.
#[derive(Debug)]
pub struct Turn(AtomicBool);

impl Turn {
    /// Nobody has the turn.
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Takes the turn; false if somebody has it.
    pub fn take(&self) -> bool {
        // [T2] Acquire: pairs with [T1].
        !self.0.swap(true, T2.order())
    }

    /// Takes the turn until the guard is dropped; `None` if somebody has it.
    pub fn enter(&self) -> Option<Held<'_>> {
        self.take().then(|| Held(self))
    }

    /// Gives the turn back. Its owner.
    pub fn give_back(&self) {
        // [T1] Release: pairs with [T2].
        self.0.store(false, T1.order());
    }

    /// Whether somebody has the turn. Exact for whoever could take it; else advisory.
    pub fn is_taken(&self) -> bool {
        // Relaxed: carries nothing.
        self.0.load(Ordering::Relaxed)
    }
}

/// A turn that somebody has.
#[derive(Debug)]
pub struct Held<'a>(&'a Turn);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Turn;
    use crate::sync::atomic::UnsafeCell;
    use crate::sync::model::{check, must_fail};
    use loom::thread;
    use std::sync::Arc;

    /// What an owner of the turn works on.
    struct Work(Turn, UnsafeCell<u32>);

    // SAFETY: the cell is only used by whoever has the turn, which is what the model checks.
    unsafe impl Sync for Work {}
    // SAFETY: as above.
    unsafe impl Send for Work {}

    /// Two owners, each of which counts when it gets the turn; neither sees half of the other's work.
    fn two_owners() {
        let turn = Arc::new(Work(Turn::new(), UnsafeCell::new(0)));
        let other = {
            let turn = turn.clone();
            thread::spawn(move || work(&turn.0, &turn.1))
        };
        work(&turn.0, &turn.1);
        other.join().unwrap();
    }

    fn work(turn: &Turn, count: &UnsafeCell<u32>) {
        if turn.take() {
            // SAFETY: the turn makes this the only access.
            count.with_mut(|count| unsafe { *count += 1 });
            turn.give_back();
        }
    }

    #[test]
    fn loom_turn() {
        check(3, two_owners);
        must_fail("turn.T1", 3, two_owners);
        must_fail("turn.T2", 3, two_owners);
    }
}
