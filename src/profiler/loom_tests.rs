//! Models of what the threads of a run do to each other: stop, starved lanes, and the way of a done buffer.

use super::announce::{DrainBell, Progress};
use super::backpressure::{enter_lanes, order_hand_over};
use super::circulation::Circulation;
use super::run::StopFlag;
use crate::event::{Deadline, EventCount};
use crate::layout::{Direct, FreePort, Gate, LoomWords};
use crate::ring::Ring;
use crate::sync::Turn;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering, UnsafeCell};
use crate::sync::model::{check, must_fail};
use loom::thread;
use std::sync::Arc;

/// The device publishes, the stopper sees that and stops the run; the last pass must find the publication.
fn stop_model() {
    let tail = Arc::new(AtomicU32::new(0));
    let flag = Arc::new(StopFlag::new());
    let intake = {
        let (tail, flag) = (tail.clone(), flag.clone());
        thread::spawn(move || {
            while !flag.is_raised() {
                thread::yield_now();
            }
            assert_eq!(tail.load(Ordering::Acquire), 1, "the last pass missed a publication");
        })
    };
    let device = thread::spawn(move || tail.store(1, Ordering::Release));
    device.join().unwrap();
    flag.raise();
    intake.join().unwrap();
}

#[test]
fn loom_stop_sees_everything() {
    check(3, stop_model);
    must_fail("profiler.S1", 3, stop_model);
    must_fail("profiler.S2", 3, stop_model);
}

/// One lane of one shard: what drain, replenish and collect threads share.
struct Shard {
    circulation: Circulation,
    demand: AtomicU32,
    drain_event: EventCount,
    lane: Ring<u64>,
    ready: Ring<u64>,
    done: Ring<u64>,
}

impl Shard {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            circulation: Circulation::with_initial(vec![0].into(), 1),
            demand: AtomicU32::new(0),
            drain_event: EventCount::new(),
            lane: Ring::new(1).unwrap(),
            ready: Ring::new(1).unwrap(),
            done: Ring::new(1).unwrap(),
        })
    }

    /// The drain thread's way to a buffer for an empty free queue.
    fn drain(&self) -> u64 {
        let mut demanded = false;
        loop {
            // SAFETY: the model has one drain thread.
            if let Some(buffer) = unsafe { self.lane.pop() } {
                self.circulation.set_demand(&self.demand, u32::from(demanded), 0, false);
                return buffer;
            }
            if !demanded {
                self.circulation.set_demand(&self.demand, 0, 1, false);
                demanded = true;
            }
            let _ = self.drain_event.wait_until(Deadline::NEVER, 0, || (!self.lane.is_empty()).then_some(()));
        }
    }

    /// The replenish thread's way with one lane push.
    fn supply(&self, buffer: u64) {
        // SAFETY: the model has one replenish thread.
        assert!(unsafe { self.lane.push(&buffer) });
        self.circulation.order_push();
        if self.demand.load(Ordering::Relaxed) != 0 {
            self.drain_event.notify();
        }
    }

    /// The replenish thread's wait for a done buffer.
    fn await_done(&self) -> u64 {
        loop {
            let raised = self.circulation.raised();
            // SAFETY: the model has one replenish thread.
            if let Some(buffer) = unsafe { self.done.pop() } {
                return buffer;
            }
            let _ = self.circulation.event.wait_until(Deadline::NEVER, 0, || {
                (self.circulation.raised() != raised || !self.done.is_empty()).then_some(())
            });
        }
    }
}

/// A buffer comes to the lane while the drain thread finds it dry and goes to sleep: it must not sleep on.
fn starved_lane() {
    let shard = Shard::new();
    let drain = {
        let shard = shard.clone();
        thread::spawn(move || assert_eq!(shard.drain(), 7))
    };
    shard.supply(7);
    drain.join().unwrap();
}

#[test]
fn loom_starved_lane() {
    check(3, starved_lane);
    must_fail("profiler.Q1", 3, starved_lane);
}

/// A collect thread that sees no need to wake the replenish thread, and a drain thread that raises demand: one of the
/// two must make it find the done buffer.
fn done_while_starving() {
    let shard = Shard::new();
    let replenish = {
        let shard = shard.clone();
        thread::spawn(move || assert_eq!(shard.await_done(), 7))
    };
    let drain = {
        let shard = shard.clone();
        thread::spawn(move || shard.circulation.set_demand(&shard.demand, 0, 1, false))
    };
    // SAFETY: the model has one collect thread.
    assert!(unsafe { shard.done.push(&7) });
    shard.circulation.after_done(false);
    drain.join().unwrap();
    replenish.join().unwrap();
}

#[test]
fn loom_done_while_starving() {
    check(3, done_while_starving);
    must_fail("profiler.C1", 3, done_while_starving);
}

/// Demand is raised while the replenish thread looks for work: it must not sleep on what it has seen raised without having
/// seen what is demanded.
fn demand_raised() {
    let shard = Shard::new();
    let replenish = {
        let shard = shard.clone();
        thread::spawn(move || {
            loop {
                let raised = shard.circulation.raised();
                if shard.demand.load(Ordering::Relaxed) != 0 {
                    break;
                }
                let work = || (shard.circulation.raised() != raised).then_some(());
                let _ = shard.circulation.event.wait_until(Deadline::NEVER, 0, work);
            }
        })
    };
    shard.circulation.set_demand(&shard.demand, 0, 1, false);
    replenish.join().unwrap();
}

#[test]
fn loom_demand_raised() {
    check(3, demand_raised);
    must_fail("profiler.R1", 3, demand_raised);
    must_fail("profiler.R2", 3, demand_raised);
}

/// Whoever sees a lane's demand sees the buffers that its drain thread took before, and does not allocate beside them.
fn demand_after_entering() {
    let shard = Shard::new();
    let drain = {
        let shard = shard.clone();
        thread::spawn(move || {
            shard.circulation.enter(0, 0, 1);
            shard.circulation.set_demand(&shard.demand, 0, 1, true);
        })
    };
    if Circulation::demand(&shard.demand) != 0 {
        assert_eq!(shard.circulation.entered(0), 1, "demand was seen, what comes was not");
    }
    drain.join().unwrap();
}

#[test]
fn loom_demand_after_entering() {
    check(3, demand_after_entering);
    must_fail("profiler.D1", 3, demand_after_entering);
    must_fail("profiler.D2", 3, demand_after_entering);
}

/// The drain thread raises demand while it holds a buffer, wakes nobody for it, and delivers the buffer: when that one
/// comes by, it is for this lane.
fn starved_with_one_coming() {
    let shard = Shard::new();
    let replenish = {
        let shard = shard.clone();
        thread::spawn(move || {
            let buffer = shard.await_done();
            assert_eq!(Circulation::demand(&shard.demand), 1, "the buffer came before the demand");
            shard.supply(buffer);
        })
    };
    let collect = {
        let shard = shard.clone();
        thread::spawn(move || {
            let buffer = loop {
                // SAFETY: the model has one collect thread.
                match unsafe { shard.ready.pop() } {
                    Some(buffer) => break buffer,
                    None => thread::yield_now(),
                }
            };
            // SAFETY: as above.
            assert!(unsafe { shard.done.push(&buffer) });
            shard.circulation.after_done(true);
        })
    };
    shard.circulation.set_demand(&shard.demand, 0, 1, true);
    // SAFETY: the model has one drain thread, this one.
    assert!(unsafe { shard.ready.push(&7) });
    let _ = shard.drain_event.wait_until(Deadline::NEVER, 0, || (!shard.lane.is_empty()).then_some(()));
    // SAFETY: as above.
    assert_eq!(unsafe { shard.lane.pop() }, Some(7));
    collect.join().unwrap();
    replenish.join().unwrap();
}

#[test]
fn loom_starved_with_one_coming() {
    check(2, starved_with_one_coming);
    must_fail("ring.P1", 2, starved_with_one_coming);
}

/// One buffer from the collect thread through done ring and lane into a device free queue, while the drain thread
/// starves: the device gets it, once.
fn circulation() {
    let shard = Shard::new();
    let free = Arc::new(FreePort {
        head: AtomicU32::new(0),
        tail: AtomicU32::new(0),
        slots: LoomWords::new(1),
        slot_count: 1,
    });
    let replenish = {
        let shard = shard.clone();
        thread::spawn(move || {
            let buffer = shard.await_done();
            shard.supply(buffer);
        })
    };
    let drain = {
        let (shard, free) = (shard.clone(), free.clone());
        thread::spawn(move || {
            let buffer = shard.drain();
            free.write_slots(&Direct, 0, &[buffer]).unwrap();
            free.publish_tail(&Direct, 1).unwrap();
        })
    };
    // SAFETY: the model has one collect thread.
    assert!(unsafe { shard.done.push(&7) });
    shard.circulation.after_done(false);
    // The device.
    while free.tail.load(Ordering::Acquire) == 0 {
        thread::yield_now();
    }
    assert_eq!(free.slots.get(0), 7);
    drain.join().unwrap();
    replenish.join().unwrap();
    assert!(shard.lane.is_empty() && shard.done.is_empty());
    assert!(!shard.circulation.any_starving());
}

#[test]
fn loom_circulation() {
    check(2, circulation);
    must_fail("layout.F1", 2, circulation);
}

/// The device publishes three entries through a queue with one usable slot, so that every second tail looks alike; the
/// drain thread takes what it finds and sleeps in between. The sentinel must wake it for each. Device and sentinel are
/// one thread here: the device waits for its slot by what the sentinel sees.
fn sentinel_and_laps() {
    const CAPACITY: u32 = 2;
    const ENTRIES: u32 = 3;
    let tail = Arc::new(AtomicU32::new(0));
    let progress = Arc::new(Progress::new(0));
    let bell = Arc::new(DrainBell::new());
    let drain = {
        let (tail, progress, bell) = (tail.clone(), progress.clone(), bell.clone());
        thread::spawn(move || {
            let (mut taken, mut seen) = (0, 0);
            for _ in 0..ENTRIES {
                while tail.load(Ordering::Acquire) == taken {
                    let _ = bell.event.wait_until(Deadline::NEVER, 0, || bell.is_announced(&mut seen).then_some(()));
                }
                taken = (taken + 1) % CAPACITY;
                progress.set(taken);
            }
        })
    };
    for entry in 1..=ENTRIES {
        let next = entry % CAPACITY;
        tail.store(next, Ordering::Release);
        while progress.behind(next, CAPACITY) != 0 {
            bell.announce();
            thread::yield_now();
        }
    }
    drain.join().unwrap();
}

#[test]
fn loom_sentinel_and_laps() {
    check(2, sentinel_and_laps);
}

/// The driver of the gates hands a free queue over while the drain thread is awake or about to sleep: it takes it over.
fn hand_over() {
    let hungry = Arc::new(AtomicBool::new(false));
    let bell = Arc::new(DrainBell::new());
    let drain = {
        let (hungry, bell) = (hungry.clone(), bell.clone());
        thread::spawn(move || {
            let mut seen = 0;
            loop {
                if bell.is_handed_over(&mut seen) && hungry.load(Ordering::Relaxed) {
                    break;
                }
                let _ =
                    bell.event.wait_until(Deadline::NEVER, 0, || bell.is_handed_over(&mut seen.clone()).then_some(()));
            }
        })
    };
    hungry.store(true, Ordering::Relaxed);
    bell.hand_over();
    drain.join().unwrap();
}

#[test]
fn loom_hand_over() {
    check(3, hand_over);
    must_fail("profiler.H1", 3, hand_over);
    must_fail("profiler.H2", 3, hand_over);
}

/// What a drain thread and the driver of the gates share: a shut gate, the turn of the lanes, and a free queue.
struct Frozen {
    turn: Turn,
    gate: Gate<AtomicU32>,
    queue: UnsafeCell<u32>,
}

// SAFETY: the cell is only used under the hand-shake, which is what the model checks.
unsafe impl Sync for Frozen {}
// SAFETY: as above.
unsafe impl Send for Frozen {}

/// A drain thread tops up while the driver shuts the gate and refills: the free queue has one writer at any instant, and a
/// drain thread that gets its turn after the refill leaves the queue alone until the gate opens.
fn freeze_hand_shake() {
    let shared = Arc::new(Frozen {
        turn: Turn::new(),
        gate: Gate { freeze: AtomicU32::new(0), contended: AtomicU32::new(1) },
        queue: UnsafeCell::new(0),
    });
    let drain = {
        let shared = shared.clone();
        thread::spawn(move || {
            for _ in 0..2 {
                if shared.turn.take() {
                    if !shared.gate.is_frozen() {
                        // SAFETY: the turn makes this the only access.
                        shared.queue.with_mut(|queue| unsafe { *queue += 1 });
                    }
                    shared.turn.give_back();
                }
            }
        })
    };
    shared.gate.set_frozen::<LoomWords>(&Direct, true).unwrap();
    if shared.turn.take() {
        // SAFETY: as above.
        let refilled = shared.queue.with_mut(|queue| unsafe {
            *queue += 1;
            *queue
        });
        shared.turn.give_back();
        // The gate is shut: nobody else writes, with the turn or without.
        // SAFETY: that is what the model checks.
        shared.queue.with(|queue| assert_eq!(unsafe { *queue }, refilled, "a top-up within a freeze"));
    }
    drain.join().unwrap();
}

#[test]
fn loom_freeze_hand_shake() {
    check(3, freeze_hand_shake);
    must_fail("turn.T1", 3, freeze_hand_shake);
    must_fail("turn.T2", 3, freeze_hand_shake);
}

/// A drain thread comes for a free queue that it knows to be empty, while the driver ends a freeze: it gets its turn, or
/// the driver finds the queue empty and hands it over.
fn turned_away() {
    let turn = Arc::new(Turn::new());
    let gate = Arc::new(Gate { freeze: AtomicU32::new(1), contended: AtomicU32::new(0) });
    let fill = Arc::new(AtomicU32::new(1));
    assert!(turn.take());
    let drain = {
        let (turn, gate, fill) = (turn.clone(), gate.clone(), fill.clone());
        thread::spawn(move || {
            // The device's store, which the drain thread knows of by the entry that came after it.
            fill.store(0, Ordering::Relaxed);
            enter_lanes(&turn, || gate.is_frozen()).is_some()
        })
    };
    gate.set_frozen::<LoomWords>(&Direct, false).unwrap();
    turn.give_back();
    order_hand_over();
    let is_handed_over = fill.load(Ordering::Relaxed) == 0;
    assert!(drain.join().unwrap() || is_handed_over, "nobody sees to the free queue");
}

#[test]
fn loom_turned_away() {
    check(3, turned_away);
    must_fail("profiler.B1", 3, turned_away);
    must_fail("profiler.B2", 3, turned_away);
}
