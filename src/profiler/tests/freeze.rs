//! Common-mode backpressure: the gates shut and open as the contract says, and nothing is lost on the way.

use super::device::queued;
use super::harness::Harness;
use super::world::{Plan, mix, wait_for};
use crate::layout::Gates;
use crate::profiler::Instance;
use crate::profiler::backpressure::Backpressure;
use crate::profiler::replenish::Replenish;
use crate::profiler::sentinel::contended;
use crate::status::Status;
use crate::sync::{RawWord32, Word32};
use std::sync::atomic::Ordering;
use std::time::Duration;

fn common_mode() -> Plan {
    Plan { gates: true, ..Plan::default() }
}

fn frozen(gates: &Gates<RawWord32>) -> (bool, bool) {
    (gates.push.is_frozen(), gates.pop.is_frozen())
}

fn assert_open(harness: &Harness) {
    assert_eq!(frozen(&harness.world.device_gates()), (false, false), "a gate is left shut on the device");
    assert_eq!(frozen(&harness.world.host_gates()), (false, false), "a gate is left shut on the host");
}

/// Small rings and a slow collector shut the gates again and again; every entry arrives all the same.
#[test]
fn a_device_that_obeys_the_gates_loses_nothing() {
    for seed in 0..12 {
        let pick = |salt, choices: &[u32]| choices[mix(&[seed, salt]) as usize % choices.len()];
        let shards = pick(1, &[1, 2, 4]);
        let mut harness = Harness::new(Plan {
            seed,
            copies: seed % 2 == 1,
            merged_sentinel: seed % 3 == 0,
            eager: seed % 4 < 2,
            queues: 4,
            shards,
            instances_per_queue: pick(2, &[1, 2, 3]),
            device_ready: pick(3, &[2, 3, 8]),
            slots: pick(4, &[1, 2, 4]),
            host_ready: pick(5, &[1, 3, 8]),
            done: pick(6, &[1, 2, 8]),
            recycled: pick(7, &[1, 2, 16]),
            slow_collect: 200,
            ..common_mode()
        });
        harness.start();
        harness.publish(120);
        harness.stop();
        harness.verify();
        assert_open(&harness);
    }
}

/// The same while transfers fail, free queues and gate words included.
#[test]
fn failing_transfers_lose_nothing_in_common_mode() {
    for seed in 0..8 {
        let mut harness = Harness::new(Plan {
            seed,
            copies: true,
            merged_sentinel: seed % 2 == 0,
            queues: 2,
            shards: 1 + seed as u32 % 2,
            device_ready: 3,
            slots: 2,
            fail_read: 60,
            fail_write: 60,
            landing: seed % 3 == 0,
            refuse_block: 200,
            slow_collect: 100,
            ..common_mode()
        });
        harness.start();
        harness.publish(80);
        harness.world.heal();
        harness.publish(20);
        harness.stop();
        harness.verify();
        assert_open(&harness);
    }
}

/// A lane without a buffer signals; the gate stays shut for as long as the subsystem says no.
#[test]
fn the_subsystem_decides_when_the_gates_open() {
    for merged_sentinel in [false, true] {
        let mut harness = Harness::new(Plan { slots: 1, max_buffers: 1, merged_sentinel, ..common_mode() });
        harness.hooks.agreed.store(false, Ordering::Relaxed);
        harness.start();
        harness.hooks.hold(true);
        let hooks = harness.hooks.clone();
        let gates = harness.world.device_gates();
        std::thread::scope(|scope| {
            scope.spawn(|| harness.publish(2));
            wait_for("the pop gate", || gates.pop.is_frozen());
            hooks.hold(false);
            let refills = hooks.refreshed.load(Ordering::Relaxed);
            wait_for("two more refills", || hooks.refreshed.load(Ordering::Relaxed) >= refills + 2);
            assert!(gates.pop.is_frozen(), "the gate opened against the predicate");
            hooks.agreed.store(true, Ordering::Relaxed);
        });
        harness.stop();
        harness.verify();
        assert_open(&harness);
    }
}

/// A freeze waits for the drain threads, and so calls those that are behind itself: the sentinel may look much later.
#[test]
fn a_freeze_does_not_wait_for_the_sentinel() {
    let never = Duration::from_secs(100_000);
    let mut harness = Harness::new(Plan { queues: 2, shards: 2, poll_min: never, poll_max: never, ..common_mode() });
    harness.start();
    let run = harness.profiler.current_run().unwrap();
    wait_for("the sentinel's sleep", || run.sentinel_event.has_waiters());
    harness.publish(1);
    let gates = harness.world.device_gates();
    gates.pop.contended.store(1, Ordering::Relaxed);
    run.circulation.nudge();
    wait_for("the entries", || harness.totals().taken == 2);
    wait_for("open gates", || gates.pop.contended.load(Ordering::Relaxed) == 0 && !gates.pop.is_frozen());
    harness.stop();
    harness.verify();
    assert_open(&harness);
}

/// W17: a run that ends within a freeze opens the gates, whatever the predicate says.
#[test]
fn stop_opens_the_gates() {
    for copies in [false, true] {
        let mut harness = Harness::new(Plan { copies, ..common_mode() });
        harness.hooks.agreed.store(false, Ordering::Relaxed);
        harness.start();
        harness.publish(1);
        let gates = harness.world.device_gates();
        gates.push.contended.store(1, Ordering::Release);
        gates.pop.contended.store(1, Ordering::Release);
        wait_for("both gates", || frozen(&gates) == (true, true));
        harness.stop();
        assert_open(&harness);
        assert_eq!(gates.pop.contended.load(Ordering::Relaxed), 0);
        harness.verify();
    }
}

/// The same if the replenish thread is not there any more to do it.
#[test]
fn stop_opens_the_gates_that_a_panic_left_shut() {
    let mut harness = Harness::new(common_mode());
    harness.hooks.refresh_panics.store(true, Ordering::Relaxed);
    harness.start();
    harness.publish(1);
    let gates = harness.world.device_gates();
    gates.pop.contended.store(1, Ordering::Release);
    wait_for("the panic", || harness.profiler.fault().is_some_and(|fault| fault.status == Status::LANEPIPE_E_PANIC));
    assert_eq!(frozen(&gates), (false, true));
    harness.stop();
    assert_open(&harness);
    harness.verify();
}

/// A free queue that a drain thread is at may not be filled yet: the gates stay shut until the refill has seen it.
#[test]
fn a_freeze_waits_for_a_free_queue_in_use() {
    let harness = Harness::new(Plan { prefilled: true, merged_sentinel: true, ..common_mode() });
    harness.seed(0, 0, 4);
    let run = harness.profiler.new_run();
    let gates = harness.world.device_gates();
    gates.pop.contended.store(1, Ordering::Release);
    let mut replenish = Replenish::new(&run);
    let in_use = run.instances.enter(run.instances.get(0).unwrap()).unwrap();
    replenish.drive_gates(&run, true);
    assert_eq!(frozen(&gates), (false, true));
    drop(in_use);
    for _ in 0..3 {
        replenish.drive_gates(&run, true);
    }
    assert_eq!((frozen(&gates), queued(&harness.world.device_free(0)).len()), ((false, false), 4));
}

/// W17, second half: the freeze opens with a dry pool, and the lane's signal is used up. Once the allocator recovers the lane
/// gets its buffer, although nobody publishes.
#[test]
fn a_lane_that_a_freeze_left_empty_is_served_later() {
    for merged_sentinel in [false, true] {
        let mut harness = Harness::new(Plan { slots: 1, batch_size: 1, merged_sentinel, ..common_mode() });
        harness.world.refuse_all_blocks.store(true, Ordering::Relaxed);
        harness.start();
        let gates = harness.world.device_gates();
        let hooks = harness.hooks.clone();
        let world = harness.world.clone();
        std::thread::scope(|scope| {
            scope.spawn(|| harness.publish(1));
            wait_for("a refill", || hooks.refreshed.load(Ordering::Relaxed) >= 1);
            wait_for("the gate to open", || frozen(&gates) == (false, false));
            world.refuse_all_blocks.store(false, Ordering::Relaxed);
        });
        harness.stop();
        harness.verify();
    }
}

/// The same where nobody can tell whether the free queue is empty: neither the refill nor the hand-over can read its head.
#[test]
fn a_lane_that_a_freeze_could_not_look_at_is_served_later() {
    let mut harness = Harness::new(Plan { copies: true, slots: 1, ..common_mode() });
    harness.seed(0, 0, 3);
    harness.hooks.agreed.store(false, Ordering::Relaxed);
    harness.start();
    let gates = harness.world.device_gates();
    gates.pop.contended.store(1, Ordering::Release);
    wait_for("the pop gate", || gates.pop.is_frozen());
    harness.world.hide_heads.store(true, Ordering::Relaxed);
    let (hooks, world) = (harness.hooks.clone(), harness.world.clone());
    std::thread::scope(|scope| {
        scope.spawn(|| harness.publish(2));
        wait_for("the signal of the lane", || gates.pop.contended.load(Ordering::Relaxed) == 1);
        hooks.agreed.store(true, Ordering::Relaxed);
        // Once for the test's signal, once for the lane's.
        let used_up = || gates.pop.contended.load(Ordering::Relaxed) == 0 && frozen(&gates) == (false, false);
        wait_for("the gate to open twice", used_up);
        world.heal();
    });
    harness.stop();
    harness.verify();
}

/// The same where the lane has used up a buffer that the host does not know it gave: the refill's publication took effect, and
/// nobody was told.
#[test]
fn a_lane_that_used_what_was_in_doubt_is_served_later() {
    let mut harness = Harness::new(Plan { copies: true, slots: 1, ..common_mode() });
    harness.seed(0, 0, 4);
    harness.hooks.agreed.store(false, Ordering::Relaxed);
    harness.start();
    let gates = harness.world.device_gates();
    gates.pop.contended.store(1, Ordering::Release);
    wait_for("the pop gate", || gates.pop.is_frozen());
    let world = harness.world.clone();
    world.break_tails.store(true, Ordering::Relaxed);
    world.land_all.store(true, Ordering::Relaxed);
    world.hide_tails.store(true, Ordering::Relaxed);
    let (free, ready) = (world.device_free(0), world.device_ready(0));
    let tail = free.tail.load(Ordering::Acquire);
    let drained = || ready.head.load(Ordering::Acquire) == ready.tail.load(Ordering::Relaxed);
    let device = &mut harness.device[0];
    device.producers[0].2.left = 3;
    assert!(device.step(0), "no buffer at the start");
    wait_for("the publication in doubt", || free.tail.load(Ordering::Acquire) != tail);
    for step in ["hand over", "take what is in doubt", "hand that over"] {
        assert!(device.step(0), "{step}");
        wait_for("the drain thread", drained);
    }
    assert!(!device.step(0) && gates.pop.contended.load(Ordering::Relaxed) == 1);
    harness.hooks.agreed.store(true, Ordering::Relaxed);
    let used_up = || gates.pop.contended.load(Ordering::Relaxed) == 0 && frozen(&gates) == (false, false);
    wait_for("the signal to be used up", used_up);
    world.heal();
    let device = &mut harness.device[0];
    wait_for("a buffer", || device.step(0));
    assert!(device.step(0));
    harness.stop();
    harness.verify();
}

/// W16: a freeze word that could not be pushed is pushed again; the signal is cleared only once the gate is shut on the
/// device (H15, H20).
#[test]
fn a_freeze_word_that_could_not_be_pushed_is_repeated() {
    let harness = Harness::new(Plan { copies: true, ..common_mode() });
    harness.hooks.agreed.store(false, Ordering::Relaxed);
    harness.start();
    let (device, host) = (harness.world.device_gates(), harness.world.host_gates());
    harness.world.break_writes.store(true, Ordering::Relaxed);
    device.push.contended.store(1, Ordering::Release);
    wait_for("the gate on the host", || host.push.is_frozen());
    assert_eq!((device.push.freeze.load(Ordering::Relaxed), device.push.contended.load(Ordering::Relaxed)), (0, 1));
    harness.world.heal();
    wait_for("the gate on the device", || device.push.is_frozen());
    wait_for("the signal to be cleared", || device.push.contended.load(Ordering::Relaxed) == 0);
    harness.world.break_writes.store(true, Ordering::Relaxed);
    harness.hooks.agreed.store(true, Ordering::Relaxed);
    wait_for("the gate to open on the host", || !host.push.is_frozen());
    assert!(device.push.is_frozen());
    harness.world.heal();
    wait_for("the gate to open on the device", || !device.push.is_frozen());
    harness.stop();
    assert_open(&harness);
}

/// A freeze tick by hand that was begun and never ended (its caller was thrown out of the refill) keeps the lanes from nobody
/// who starts afterwards.
#[test]
fn a_tick_by_hand_that_was_never_ended_holds_up_no_run() {
    let mut harness = Harness::new(Plan { slots: 1, ..common_mode() });
    let gates = harness.world.host_gates();
    gates.pop.contended.store(1, Ordering::Release);
    let run = harness.profiler.new_run();
    let driver = Backpressure::new(&harness.pool, &gates, &run.link);
    assert_eq!(driver.begin(|| Ok(true)), Ok(Status::LANEPIPE_OK));
    harness.start();
    harness.publish(20);
    harness.stop();
    harness.verify();
    assert_open(&harness);
}

/// H16: the sentinel looks at the signals and leaves them alone. What it brought to the shadow the driver would push, if it
/// came between the driver's own store and its push.
#[test]
fn the_sentinel_does_not_touch_the_signals() {
    let harness = Harness::new(Plan { copies: true, ..common_mode() });
    let run = harness.profiler.new_run();
    let (device, host) = (harness.world.device_gates(), harness.world.host_gates());
    for gate in [device.push, device.pop] {
        gate.contended.store(1, Ordering::Release);
        assert!(contended(&run));
        gate.contended.store(0, Ordering::Release);
    }
    for gate in [host.push, host.pop] {
        assert_eq!(gate.contended.load(Ordering::Relaxed), 0, "a signal has come to the shadow");
    }
}

/// W18: a row whose index is out of range does not keep the gates shut for the others.
#[test]
fn a_corrupt_row_does_not_hold_the_others() {
    let harness = Harness::new(Plan { queues: 2, shards: 2, ..common_mode() });
    harness.start();
    let bad = harness.world.device_ready(1);
    bad.tail.store(1000, Ordering::Release);
    let gates = harness.world.device_gates();
    for _ in 0..3 {
        gates.pop.contended.store(1, Ordering::Release);
        wait_for("the signal to be taken", || gates.pop.contended.load(Ordering::Relaxed) == 0);
        wait_for("the gate to open", || !gates.pop.is_frozen());
    }
    bad.tail.store(0, Ordering::Release);
    harness.stop();
    assert_open(&harness);
}

/// An instance that the device brings into use later is served from then on; the same one again has the same index.
#[test]
fn instances_are_added_while_threads_run() {
    let mut harness = Harness::new(Plan { instances_per_queue: 3, known_instances: 1, ..common_mode() });
    harness.start();
    for number in 1..3 {
        let instance = Instance { free: harness.world.host_free(number), kind: 0, queue: 0, guess: false };
        assert_eq!(harness.profiler.add_instance(instance, 0), Ok(number));
        assert_eq!(harness.profiler.add_instance(instance, 0), Ok(number));
    }
    let foreign = Instance { free: harness.world.host_free(0), kind: 7, queue: 0, guess: false };
    assert_eq!(harness.profiler.add_instance(foreign, 0), Err(Status::LANEPIPE_E_INVALID));
    harness.publish(50);
    harness.stop();
    harness.verify();
}

/// Exactly the threads that the caller's factory is told of.
#[test]
fn a_merged_sentinel_needs_no_thread() {
    for (merged_sentinel, threads) in [(false, 2 * 3 + 2), (true, 2 * 3 + 1)] {
        let harness = Harness::new(Plan { queues: 3, shards: 3, merged_sentinel, ..Plan::default() });
        harness.start();
        assert_eq!(harness.hooks.alive.load(Ordering::Relaxed), threads);
        harness.stop();
    }
}

/// H34: one report per burst, none without traffic, and the collector goes on.
#[test]
fn a_shard_that_falls_silent_is_reported_once_per_burst() {
    let mut harness = Harness::new(Plan { queues: 2, shards: 2, idle_ns: 1_000_000, ..Plan::default() });
    harness.start();
    let reports = |harness: &Harness| harness.hooks.idle_reports.lock().unwrap().len();
    for burst in 1..=3 {
        harness.publish(1);
        wait_for("both reports", || reports(&harness) >= 2 * burst);
        // Long enough for a second report, if there were one.
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(reports(&harness), 2 * burst);
    }
    harness.stop();
    harness.verify();
}
