//! Model of the ready hand-off with stop.

use super::{Buffer, ReadyQueue};
use crate::event::{Deadline, WaitEnd};
use crate::sync::model::{check, must_fail};
use loom::thread;
use std::sync::Arc;

const NONE: Buffer = Buffer { dev: 0, kind: 0, id: 0 };

/// The drain thread pushes two elements through a ring of one, both sides blocking, and ends; then the owner closes the
/// ring. The collect thread must get both elements with their payloads, in order, and end.
fn handoff_with_stop() {
    let queue = Arc::new(ReadyQueue::new(1, 8).unwrap());
    let collect = {
        let queue = queue.clone();
        thread::spawn(move || {
            for expected in 1..=2u64 {
                let (mut buffer, mut payload) = (NONE, 0u64);
                // SAFETY: the model has one collect thread; there is room for one element.
                let popped = unsafe { queue.wait_pop(&raw mut buffer, (&raw mut payload).cast(), 1, Deadline::NEVER) };
                assert_eq!(popped, Ok(1));
                assert_eq!((buffer.dev, payload), (expected, expected << 32));
            }
            let (mut buffer, mut payload) = (NONE, 0u64);
            // SAFETY: as above.
            let popped = unsafe { queue.wait_pop(&raw mut buffer, (&raw mut payload).cast(), 1, Deadline::NEVER) };
            assert_eq!(popped, Err(WaitEnd::Closed));
        })
    };
    for value in 1..=2u64 {
        let payload = value << 32;
        // SAFETY: the model has one drain thread; there is one payload.
        let pushed =
            unsafe { queue.wait_push(&[Buffer { dev: value, ..NONE }], (&raw const payload).cast(), Deadline::NEVER) };
        assert_eq!(pushed, 1);
    }
    queue.close();
    collect.join().unwrap();
}

#[test]
fn loom_ready_handoff_with_stop() {
    check(2, handoff_with_stop);
    must_fail("event.N1", 2, handoff_with_stop);
    must_fail("event.W1", 2, handoff_with_stop);
}
