//! Models of the hand-offs between a lane, as in production, and the host's ends, as in production too.

use super::{Clock, FreeView, GateView, RawHeads, ReadyView, Refused, Wait};
use crate::layout::{Direct, FreePort, Gate, LoomWords, ReadyPort};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::model::{check, must_fail};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Never out of time.
struct Patient;

impl Clock for Patient {
    fn now(&mut self) -> u64 {
        0
    }
    fn relax(&mut self) {
        thread::yield_now();
    }
}

/// A shared region: a ready queue of three entries, a free queue of two slots, gates, and what a model wants carried.
struct Region {
    ready: ReadyPort<AtomicU32, LoomWords>,
    free: FreePort<AtomicU32, LoomWords>,
    push: Gate<AtomicU32>,
    pop: Gate<AtomicU32>,
    payload: AtomicU32,
    cell: UnsafeCell<u64>,
}

const SIZE: u32 = 3;
const SLOTS: u32 = 2;

impl Region {
    fn new(contended: u32, frozen: u32) -> Arc<Self> {
        let word = AtomicU32::new;
        let gate = || Gate { freeze: word(frozen), contended: word(contended) };
        Arc::new(Self {
            ready: ReadyPort {
                head: word(0),
                tail: word(0),
                entries: LoomWords::new(SIZE as usize),
                capacity: SIZE,
                entry_words: 1,
            },
            free: FreePort { head: word(0), tail: word(0), slots: LoomWords::new(SLOTS as usize), slot_count: SLOTS },
            push: gate(),
            pop: gate(),
            payload: word(0),
            cell: UnsafeCell::new(1),
        })
    }

    fn ready_view(&self) -> ReadyView<&AtomicU32> {
        ReadyView::new(&self.ready.head, &self.ready.tail, SIZE).unwrap()
    }

    fn free_view(&self) -> FreeView<&AtomicU32, &LoomWords> {
        FreeView::new(&self.free.head, &self.free.tail, &self.free.slots, SLOTS).unwrap()
    }

    fn gates(&self) -> GateView<&AtomicU32> {
        fn view(gate: &Gate<AtomicU32>) -> Gate<&AtomicU32> {
            Gate { freeze: &gate.freeze, contended: &gate.contended }
        }
        GateView::new(view(&self.push), view(&self.pop), RawHeads::NONE, 1)
    }

    /// The host's half of one gate, until it has shut and opened it once.
    fn freeze_once(gate: &Gate<AtomicU32>, refill: impl FnOnce()) {
        while gate.is_contended::<LoomWords>(&Direct) != Ok(true) {
            thread::yield_now();
        }
        gate.set_frozen::<LoomWords>(&Direct, true).unwrap();
        gate.clear_contended::<LoomWords>(&Direct).unwrap();
        refill();
        gate.set_frozen::<LoomWords>(&Direct, false).unwrap();
    }

    fn put(&self, tail: u32, buffer: u64) {
        self.free.write_slots(&Direct, tail, &[buffer]).unwrap();
        self.free.publish_tail(&Direct, tail + 1).unwrap();
    }
}

/// Runs the lane in a thread of its own beside the host: loom never shows the thread that made an object its first value
/// again.
fn beside(region: &Arc<Region>, lane: impl FnOnce(&Region) + Send + 'static, host: impl FnOnce(&Region)) {
    let lane = {
        let region = region.clone();
        thread::spawn(move || lane(&region))
    };
    host(region);
    lane.join().unwrap();
}

/// Three entries through a ring that holds two: each arrives once and whole.
fn ready_model() {
    let region = Region::new(0, 0);
    let host = {
        let region = region.clone();
        thread::spawn(move || {
            let mut head = 0;
            for expected in 1..=3 {
                while region.ready.tail(&Direct) == Ok(head) {
                    thread::yield_now();
                }
                let mut entry = [0];
                region.ready.read_entries(&Direct, head, &mut entry).unwrap();
                assert_eq!(entry[0], expected);
                head = (head + 1) % SIZE;
                region.ready.publish_head(&Direct, head).unwrap();
            }
        })
    };
    let (view, gates) = (region.ready_view(), region.gates());
    for value in 1..=3u64 {
        let slot = Wait::new(&mut Patient, None, 1).ready(&view, Some(&gates)).unwrap();
        region.ready.entries.set(slot.tail as usize, value);
        view.commit(slot);
    }
    host.join().unwrap();
}

#[test]
fn loom_device_ready() {
    check(2, ready_model);
    must_fail("device.R1", 2, ready_model);
}

/// An entry is filled again only after the host read it. Loom does not explore a load that takes effect after a later store
/// of its thread, so the entry is a cell, whose accesses must be ordered.
fn ready_reuse() {
    let region = Region::new(0, 0);
    region.ready.tail.store(2, Ordering::Relaxed);
    let lane = |region: &Region| {
        Wait::new(&mut Patient, None, 1).ready(&region.ready_view(), Some(&region.gates())).unwrap();
        // SAFETY: the model checks that the host has read it.
        region.cell.with_mut(|value| unsafe { *value = 2 });
    };
    beside(&region, lane, |region| {
        // SAFETY: the model checks that the lane does not write yet.
        assert_eq!(region.cell.with(|value| unsafe { *value }), 1);
        region.ready.publish_head(&Direct, 1).unwrap();
    });
}

#[test]
fn loom_device_ready_reuse() {
    check(3, ready_reuse);
    must_fail("device.R2", 3, ready_reuse);
}

/// Three buffers through two slots, in order.
fn free_model() {
    let lane = |region: &Region| {
        let (view, gates) = (region.free_view(), region.gates());
        for expected in 1..=3 {
            let head = Wait::new(&mut Patient, None, 1).free(&view, Some(&gates)).unwrap();
            assert_eq!(view.take(head), expected);
        }
    };
    beside(&Region::new(0, 0), lane, |region| {
        for (tail, buffer) in (0..).zip(1..=3) {
            while tail - region.free.head(&Direct).unwrap() == SLOTS {
                thread::yield_now();
            }
            region.put(tail, buffer);
        }
    });
}

#[test]
fn loom_device_free() {
    check(2, free_model);
    must_fail("device.F1", 2, free_model);
}

/// A slot is filled again only after the lane read it; the slot is a cell for the reason given above.
fn free_reuse() {
    let region = Region::new(0, 0);
    region.put(0, 1);
    let lane = |region: &Region| {
        let view = region.free_view();
        let head = view.look().unwrap();
        // SAFETY: the model checks that the host does not write yet.
        assert_eq!(region.cell.with(|value| unsafe { *value }), 1);
        view.take(head);
    };
    beside(&region, lane, |region| {
        while region.free.head(&Direct) == Ok(0) {
            thread::yield_now();
        }
        // SAFETY: the model checks that the lane has read it.
        region.cell.with_mut(|value| unsafe { *value = 2 });
    });
}

#[test]
fn loom_device_free_reuse() {
    check(3, free_reuse);
    must_fail("device.F2", 3, free_reuse);
}

/// Whoever waits for a release comes through only when the host has shut the gate, done what was asked, and opened it: signal
/// and freeze are never both seen down before. The signal is up from the start: loom does not show a word's old value to
/// a thread that has seen it before it yielded.
fn release_model() {
    let lane = |region: &Region| {
        Wait::new(&mut Patient, None, 1).release(Some(&region.gates())).unwrap();
        // Relaxed: carried by the gate.
        assert_eq!(region.payload.load(Ordering::Relaxed), 1, "(0, 0) between signal and release");
    };
    let region = Region::new(1, 0);
    beside(&region, lane, |region| {
        Region::freeze_once(&region.pop, || region.payload.store(1, Ordering::Relaxed));
    });
}

#[test]
fn loom_device_release() {
    check(3, release_model);
    must_fail("device.G1", 3, release_model);
}

/// A lane that was parked finds the refill when the gate opens, and signals no more.
fn refilled_model() {
    let region = Region::new(0, 1);
    let lane = |region: &Region| {
        Wait::new(&mut Patient, None, 1).free(&region.free_view(), Some(&region.gates())).unwrap();
        assert_eq!(region.pop.contended.load(Ordering::Relaxed), 0, "signalled with a buffer there");
    };
    beside(&region, lane, |region| {
        region.put(0, 1);
        region.pop.set_frozen::<LoomWords>(&Direct, false).unwrap();
    });
}

#[test]
fn loom_device_refilled() {
    check(3, refilled_model);
    must_fail("device.G2", 3, refilled_model);
}

/// A host that sees a lane's signal finds what the lane published before.
fn signal_model() {
    let host_sees = |region: &Region| {
        if region.pop.is_contended::<LoomWords>(&Direct) == Ok(true) {
            assert_eq!(region.ready.tail.load(Ordering::Relaxed), 1, "the signal overtook the entry");
        }
    };
    beside(&Region::new(0, 0), host_sees, |region| {
        let view = region.ready_view();
        let slot = view.look().unwrap();
        view.commit(slot);
        let outcome = Wait::new(&mut Patient, None, 0).free(&region.free_view(), Some(&region.gates()));
        assert_eq!(outcome, Err(Refused::TimedOut));
    });
}

#[test]
fn loom_device_signal() {
    check(3, signal_model);
    must_fail("device.G3", 3, signal_model);
}

/// The same from the request on.
#[test]
fn loom_device_request_and_release() {
    check(3, || {
        let lane = |region: &Region| {
            let mut patient = Patient;
            let mut wait = Wait::new(&mut patient, None, 1);
            wait.request_release(Some(&region.gates()));
            wait.release(Some(&region.gates())).unwrap();
            assert_eq!(region.payload.load(Ordering::Relaxed), 1, "(0, 0) between signal and release");
        };
        beside(&Region::new(0, 0), lane, |region| {
            Region::freeze_once(&region.pop, || region.payload.store(1, Ordering::Relaxed));
        });
    });
}

/// The host has nothing in the first freeze, which it may open and shut between two looks of the lane: the lane signals
/// again, and gets what the second one brings.
#[test]
fn loom_device_signals_again() {
    check(2, || {
        let lane = |region: &Region| {
            let head = Wait::new(&mut Patient, None, 1).free(&region.free_view(), Some(&region.gates())).unwrap();
            assert_eq!(region.free_view().take(head), 7);
        };
        beside(&Region::new(0, 0), lane, |region| {
            Region::freeze_once(&region.pop, || {});
            Region::freeze_once(&region.pop, || region.put(0, 7));
        });
    });
}
