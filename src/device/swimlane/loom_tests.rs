//! Model of a core's head: a rotation beside a core that reserves.

use super::head::{ActiveHead, CoreLocal};
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sync::model::{check, must_fail};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// The core sees the old buffer, or the new one with its count reset; a new number never comes with the old address.
fn head_model() {
    let head = Arc::new(ActiveHead { address: AtomicU64::new(1), seq: AtomicU32::new(0) });
    let count = Arc::new(UnsafeCell::new(7u32));
    let core = {
        let (head, count) = (head.clone(), count.clone());
        thread::spawn(move || {
            let mut local = CoreLocal::default();
            for _ in 0..2 {
                let before = local;
                let (buffer, _) = local.reserve(Some(&*head)).unwrap();
                if buffer == 2 && local.is_seq(1) {
                    // SAFETY: the model checks that the reset came before.
                    assert_eq!(count.with(|count| unsafe { *count }), 0);
                }
                assert!(!local.is_seq(1) || buffer == 2, "{before:?} {local:?}");
            }
        })
    };
    // SAFETY: the model checks that the core does not look yet.
    count.with_mut(|count| unsafe { *count = 0 });
    head.publish(2, 1);
    core.join().unwrap();
}

#[test]
fn loom_swimlane_head() {
    check(3, head_model);
    must_fail("swimlane.H1", 3, head_model);
    must_fail("swimlane.C1", 3, head_model);
}
