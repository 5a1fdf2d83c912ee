//! Models of the acknowledgement: an arena is written anew only after its payloads were read, and a buffer that was taken
//! does not go unseen.

use super::acknowledge::{Position, Progress, publish};
use crate::device::args_dump::acknowledged;
use crate::sync::atomic::AtomicU64;
use crate::sync::model::{check, must_fail};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

struct Arena {
    payload: UnsafeCell<u32>,
    progress: Progress,
    completed: AtomicU64,
}

// SAFETY: the cell is used by whoever the protocol gives it to, which is what the model checks.
unsafe impl Sync for Arena {}
// SAFETY: as above.
unsafe impl Send for Arena {}

/// Collect thread, replenish thread and the lane that waits for its arena.
fn acknowledgement() {
    let arena =
        Arc::new(Arena { payload: UnsafeCell::new(1), progress: Progress::default(), completed: AtomicU64::new(0) });
    let collect = {
        let arena = arena.clone();
        thread::spawn(move || {
            // SAFETY: the model checks that the lane does not write yet.
            assert_eq!(arena.payload.with(|payload| unsafe { *payload }), 1);
            arena.progress.note_done(1);
        })
    };
    let replenish = {
        let arena = arena.clone();
        thread::spawn(move || {
            // One look is what a tick has; the lane waits for a later one otherwise.
            if arena.progress.payloads() == 1 {
                publish(&arena.completed, 1);
            }
        })
    };
    if acknowledged(&arena.completed, 1) {
        // SAFETY: the model checks that the payload was read.
        arena.payload.with_mut(|payload| unsafe { *payload = 2 });
    }
    collect.join().unwrap();
    replenish.join().unwrap();
}

#[test]
fn loom_collector_acknowledgement() {
    check(3, acknowledgement);
    must_fail("collector.P1", 3, acknowledgement);
    must_fail("collector.P2", 3, acknowledgement);
    must_fail("collector.A1", 3, acknowledgement);
}

struct Queue {
    progress: Progress,
    position: Position,
    /// Stands for what the drain thread noted of the buffer that it took.
    noted: UnsafeCell<u32>,
}

// SAFETY: the cell is read by whoever has seen the position, which is what the model checks.
unsafe impl Sync for Queue {}
// SAFETY: as above.
unsafe impl Send for Queue {}

/// Drain thread and replenish thread: who sees that an entry was looked at sees that its buffer was taken.
fn taken() {
    let queue =
        Arc::new(Queue { progress: Progress::default(), position: Position::default(), noted: UnsafeCell::new(0) });
    let drain = {
        let queue = queue.clone();
        thread::spawn(move || {
            // SAFETY: the model checks that nobody reads yet.
            queue.noted.with_mut(|noted| unsafe { *noted = 1 });
            queue.progress.note_taken();
            queue.position.advance(1, 8);
        })
    };
    while queue.position.get() != 1 {
        thread::yield_now();
    }
    // SAFETY: the model checks that it was written before.
    assert_eq!(queue.noted.with(|noted| unsafe { *noted }), 1);
    assert!(!queue.progress.is_even());
    drain.join().unwrap();
}

#[test]
fn loom_collector_taken() {
    check(3, taken);
    must_fail("collector.T1", 3, taken);
    must_fail("collector.T2", 3, taken);
}
