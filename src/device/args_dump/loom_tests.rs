//! Model of the arena: what the host still reads is not overwritten.

use super::acknowledged;
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
