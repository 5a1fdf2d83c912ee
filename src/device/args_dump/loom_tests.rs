//! Models of the arena (what the host still reads is not overwritten) and of the tables of masks.

use super::acknowledged;
use super::tables::{Stored, Tables, words_of};
use crate::layout::LoomWords;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::model::{check, must_fail};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

fn arena_model() {
    let completed = Arc::new(AtomicU64::new(0));
    let arena = Arc::new(UnsafeCell::new(1u32));
    let host = {
        let (completed, arena) = (completed.clone(), arena.clone());
        thread::spawn(move || {
            // SAFETY: the model checks that the lane does not write yet.
            assert_eq!(arena.with(|payload| unsafe { *payload }), 1);
            // The host's side, in the C++ runtime: a release after the payload is on its way.
            completed.store(1, Ordering::Release);
        })
    };
    while !acknowledged(&*completed, 1) {
        thread::yield_now();
    }
    // SAFETY: the model checks that the host has read it.
    arena.with_mut(|payload| unsafe { *payload = 2 });
    host.join().unwrap();
}

#[test]
fn loom_args_dump_arena() {
    check(3, arena_model);
    must_fail("args_dump.A1", 3, arena_model);
}

fn two_tasks() -> Arc<Tables<LoomWords>> {
    Arc::new(Tables::new(LoomWords::new(words_of(2)), 2))
}

/// Two threads store for tasks with one place; a third looks at one of them. What it sees of an entry is whole, and both are there
/// in the end.
fn entry_model() {
    let tables = two_tasks();
    let setters = [0, 2].map(|task| {
        let tables = tables.clone();
        thread::spawn(move || assert_eq!(tables.set_mask(task, 1, task + 7), Stored::Stored))
    });
    // A thread of its own: loom never shows the thread that made an object its first value again.
    let looker = {
        let tables = tables.clone();
        thread::spawn(move || {
            if let Some(entry) = tables.mask(2) {
                assert_eq!(entry, [1, 9]);
            }
        })
    };
    for thread in setters.into_iter().chain([looker]) {
        thread.join().unwrap();
    }
    assert_eq!((tables.mask(0), tables.mask(2)), (Some([1, 7]), Some([1, 9])));
}

#[test]
fn loom_dump_tables_entry() {
    check(3, entry_model);
    must_fail("dump_tables.T1", 3, entry_model);
    must_fail("dump_tables.T2", 3, entry_model);
}

/// Whoever is told that the run has begun finds nothing of the one before, and loses nothing that it stores.
fn begin_model() {
    let tables = two_tasks();
    assert!(tables.begin(1));
    assert_eq!(tables.set_mask(1, 1, 1), Stored::Stored);
    let other = {
        let tables = tables.clone();
        thread::spawn(move || {
            if tables.begin(2) {
                assert_eq!(tables.mask(1), None);
                assert_eq!(tables.set_mask(0, 5, 6), Stored::Stored);
                assert_eq!(tables.mask(0), Some([5, 6]));
            }
        })
    };
    if tables.begin(2) {
        assert_eq!(tables.mask(1), None);
    }
    other.join().unwrap();
}

#[test]
fn loom_dump_tables_begin() {
    check(3, begin_model);
    must_fail("dump_tables.B1", 3, begin_model);
    must_fail("dump_tables.B2", 3, begin_model);
}
