//! Models of both device hand-offs: the host's ends as in production, the device as the contract describes it.

use super::{Direct, FreePort, Gate, ReadyPort, Words64};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::model::{check, must_fail};
use loom::thread;
use std::sync::Arc;

/// Words of a model.
pub(crate) struct LoomWords(Vec<AtomicU64>);

impl LoomWords {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn set(&self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::Relaxed)
    }
}

impl Words64 for LoomWords {
    type Word = AtomicU64;
    fn with<R>(&self, index: usize, f: impl FnOnce(&AtomicU64) -> R) -> R {
        f(&self.0[index])
    }
}

fn ready_queue(capacity: u32) -> Arc<ReadyPort<AtomicU32, LoomWords>> {
    Arc::new(ReadyPort {
        head: AtomicU32::new(0),
        tail: AtomicU32::new(0),
        entries: LoomWords::new(capacity as usize),
        capacity,
        entry_words: 1,
    })
}

fn free_queue(slot_count: u32) -> Arc<FreePort<AtomicU32, LoomWords>> {
    Arc::new(FreePort {
        head: AtomicU32::new(0),
        tail: AtomicU32::new(0),
        slots: LoomWords::new(slot_count as usize),
        slot_count,
    })
}

/// The device publishes `count` entries, waiting for a slot where it must; the host takes each and gives its slot back.
/// Every entry must arrive once and unharmed.
fn ready_model(capacity: u32, count: u64) {
    let queue = ready_queue(capacity);
    // A thread of its own: loom never shows the thread that made an object its first value again.
    let host = {
        let queue = queue.clone();
        thread::spawn(move || {
            let mut head = 0;
            for expected in 1..=count {
                while queue.tail(&Direct) == Ok(head) {
                    thread::yield_now();
                }
                let mut entry = [0];
                queue.read_entries(&Direct, head, &mut entry).unwrap();
                assert_eq!(entry[0], expected);
                head = (head + 1) % queue.capacity;
                queue.publish_head(&Direct, head).unwrap();
            }
        })
    };
    for value in 1..=count {
        let tail = queue.tail.load(Ordering::Relaxed);
        let next = (tail + 1) % queue.capacity;
        while queue.head.load(Ordering::Acquire) == next {
            thread::yield_now();
        }
        queue.entries.0[tail as usize].store(value, Ordering::Relaxed);
        queue.tail.store(next, Ordering::Release);
    }
    host.join().unwrap();
}

#[test]
fn loom_ready_entries() {
    check(3, || ready_model(3, 2));
    must_fail("layout.D1", 3, || ready_model(3, 2));
}

/// A slot is filled again only after its entry was read. Loom does not explore a load that takes effect after a later
/// store of its thread, so the entry is a cell here, whose accesses must be ordered.
fn ready_slot_reuse() {
    let queue = ready_queue(2);
    let entry = loom::sync::Arc::new(loom::cell::UnsafeCell::new(1u64));
    queue.tail.store(1, Ordering::Relaxed);
    let device = {
        let (queue, entry) = (queue.clone(), entry.clone());
        thread::spawn(move || {
            while queue.head.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            // SAFETY: the model checks that the host has read it.
            entry.with_mut(|value| unsafe { *value = 2 });
        })
    };
    // SAFETY: the model checks that the device does not write yet.
    assert_eq!(entry.with(|value| unsafe { *value }), 1);
    queue.publish_head(&Direct, 1).unwrap();
    device.join().unwrap();
}

#[test]
fn loom_ready_slot_reuse() {
    check(3, ready_slot_reuse);
    must_fail("layout.D2", 3, ready_slot_reuse);
}

/// The host hands out `count` buffers through a few slots; the device takes them in order.
fn free_model(slots: u32, count: u64) {
    let queue = free_queue(slots);
    let device = {
        let queue = queue.clone();
        thread::spawn(move || {
            for expected in 1..=count {
                let head = queue.head.load(Ordering::Relaxed);
                while queue.tail.load(Ordering::Acquire) == head {
                    thread::yield_now();
                }
                assert_eq!(queue.slots.get((head % slots) as usize), expected);
                queue.head.store(head + 1, Ordering::Release);
            }
        })
    };
    for (tail, value) in (0..).zip(1..=count) {
        while tail - queue.head(&Direct).unwrap() == slots {
            thread::yield_now();
        }
        queue.write_slots(&Direct, tail, &[value]).unwrap();
        queue.publish_tail(&Direct, tail + 1).unwrap();
    }
    device.join().unwrap();
}

#[test]
fn loom_free_slots() {
    check(3, || free_model(2, 3));
    check(2, || free_model(3, 4));
    must_fail("layout.F1", 3, || free_model(2, 3));
}

/// A slot is overwritten only after the device read it; the slot is a cell for the reason given above.
fn free_slot_reuse() {
    let queue = free_queue(1);
    let slot = loom::sync::Arc::new(loom::cell::UnsafeCell::new(1u64));
    queue.tail.store(1, Ordering::Relaxed);
    let device = {
        let (queue, slot) = (queue.clone(), slot.clone());
        thread::spawn(move || {
            // SAFETY: the model checks that the host does not write yet.
            assert_eq!(slot.with(|value| unsafe { *value }), 1);
            queue.head.store(1, Ordering::Release);
        })
    };
    while queue.head(&Direct) == Ok(0) {
        thread::yield_now();
    }
    // SAFETY: the model checks that the device has read it.
    slot.with_mut(|value| unsafe { *value = 2 });
    device.join().unwrap();
}

#[test]
fn loom_free_slot_reuse() {
    check(3, free_slot_reuse);
    must_fail("layout.F2", 3, free_slot_reuse);
}

fn gate(contended: u32, frozen: u32) -> Arc<Gate<AtomicU32>> {
    Arc::new(Gate { freeze: AtomicU32::new(frozen), contended: AtomicU32::new(contended) })
}

/// The host shuts the gate and clears the signal; a lane that polls both words never finds both down.
fn gate_model() {
    let gate = gate(1, 0);
    let lane = {
        let gate = gate.clone();
        thread::spawn(move || {
            let contended = gate.contended.load(Ordering::Acquire) != 0;
            assert!(contended || gate.freeze.load(Ordering::Acquire) != 0, "(0, 0) between signal and release");
        })
    };
    gate.set_frozen::<LoomWords>(&Direct, true).unwrap();
    gate.clear_contended::<LoomWords>(&Direct).unwrap();
    lane.join().unwrap();
}

#[test]
fn loom_gate_no_gap() {
    check(3, gate_model);
    must_fail("layout.G1", 3, gate_model);
}

/// The host fills the free queue and opens the gate; a parked lane finds the buffer.
fn release_model() {
    let (gate, queue) = (gate(0, 1), free_queue(1));
    let lane = {
        let (gate, queue) = (gate.clone(), queue.clone());
        thread::spawn(move || {
            if gate.freeze.load(Ordering::Acquire) == 0 {
                assert_eq!(queue.tail.load(Ordering::Relaxed), 1, "the gate opened before the refill");
            }
        })
    };
    queue.publish_tail(&Direct, 1).unwrap();
    gate.set_frozen::<LoomWords>(&Direct, false).unwrap();
    lane.join().unwrap();
}

#[test]
fn loom_gate_opens_after_refill() {
    check(3, release_model);
    must_fail("layout.G2", 3, release_model);
}

/// A lane publishes and raises the signal; a host that sees the signal finds the queue not drained.
fn signal_model() {
    let (gate, queue) = (gate(0, 0), ready_queue(2));
    let host = {
        let (gate, queue) = (gate.clone(), queue.clone());
        thread::spawn(move || {
            if gate.is_contended::<LoomWords>(&Direct) == Ok(true) {
                assert_eq!(queue.tail.load(Ordering::Relaxed), 1, "the signal overtook the entry");
            }
        })
    };
    queue.tail.store(1, Ordering::Release);
    gate.contended.store(1, Ordering::Release);
    host.join().unwrap();
}

#[test]
fn loom_gate_signal() {
    check(3, signal_model);
    must_fail("layout.G3", 3, signal_model);
}
