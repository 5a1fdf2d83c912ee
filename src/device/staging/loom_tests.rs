//! Model of the staging ring: a core and its control thread, with the registers between them as words of their own.

use super::{ControlSide, CoreSide, Slots, Take, clear};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::model::{check, must_fail};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Payloads are cells: the model fails on accesses that are not ordered.
struct ModelSlots(Vec<(AtomicU32, UnsafeCell<u64>)>);

impl Slots for &ModelSlots {
    fn count(&self) -> u32 {
        self.0.len() as u32
    }
    fn load_id(&self, slot: u32, order: Ordering) -> u32 {
        self.0[slot as usize].0.load(order)
    }
    fn store_id(&self, slot: u32, id: u32, order: Ordering) {
        self.0[slot as usize].0.store(id, order);
    }
    fn load(&self, slot: u32, out: &mut [u64]) {
        // SAFETY: the model checks that nobody writes.
        out[0] = self.0[slot as usize].1.with(|value| unsafe { *value });
    }
    fn store(&self, slot: u32, words: &[u64]) {
        // SAFETY: the model checks that nobody else is there.
        self.0[slot as usize].1.with_mut(|value| unsafe { *value = words[0] });
    }
}

/// `count` tasks through `slots` slots. The finish word is relaxed, so that the ring's own edges have to carry the records.
fn publish_model(slots: u32, count: u32) {
    let ring = Arc::new(ModelSlots((0..slots).map(|_| (AtomicU32::new(0), UnsafeCell::new(0))).collect()));
    clear(&&*ring);
    let dispatched = Arc::new(AtomicU32::new(0));
    let core = {
        let (ring, dispatched) = (ring.clone(), dispatched.clone());
        thread::spawn(move || {
            for id in 1..=count {
                while dispatched.load(Ordering::Acquire) < id {
                    thread::yield_now();
                }
                CoreSide(&*ring).publish(id, &[u64::from(id) * 10]);
            }
        })
    };
    let mut out = [0];
    dispatched.store(slots.min(count), Ordering::Release);
    for id in 1..=count {
        while ControlSide(&*ring).take(id, &mut out) == Take::Mismatch {
            thread::yield_now();
        }
        assert_eq!(out[0], u64::from(id) * 10);
        // The caller's edge: the next task for this slot starts after the slot was read.
        dispatched.store((id + slots).min(count), Ordering::Release);
    }
    core.join().unwrap();
}

#[test]
fn loom_staging_publish() {
    check(3, || publish_model(1, 2));
    check(2, || publish_model(2, 3));
    must_fail("staging.P1", 2, || publish_model(1, 2));
    must_fail("staging.C1", 2, || publish_model(1, 2));
}
