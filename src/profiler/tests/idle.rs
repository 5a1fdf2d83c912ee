//! Who has nothing to do sleeps. Measured in polls of the sentinel and in counts of copies and sleeps, not in time.

use super::harness::Harness;
use super::world::{Plan, wait_for};
use crate::pool::ledger::Place;
use crate::profiler::Role;
use crate::profiler::run::Run;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn plan() -> Plan {
    Plan { copies: true, poll_min: Duration::from_millis(1), poll_max: Duration::from_millis(1), ..Plan::default() }
}

fn run_of(harness: &Harness) -> Arc<Run> {
    harness.profiler.current_run().unwrap()
}

/// Lets the sentinel poll `count` times.
fn polls(run: &Run, count: u32) {
    let before = run.sentinel_event.sleep_calls();
    wait_for("polls", || run.sentinel_event.sleep_calls().wrapping_sub(before) >= count);
}

fn all_asleep(run: &Run) -> bool {
    run.circulation.event.has_waiters() && run.drain_bells.iter().all(|bell| bell.event.has_waiters())
}

/// Without a futex, words share their place to sleep, and tests that run at once wake each other's threads; those look
/// and sleep again.
pub(super) const SLEEPS_ARE_EXACT: bool = cfg!(all(target_os = "linux", not(feature = "portable-wait")));

/// Sleeps of the replenish and the drain threads.
fn sleeps(run: &Run) -> (u32, u32) {
    let drains = run.drain_bells.iter().map(|bell| bell.event.sleep_calls());
    (run.circulation.event.sleep_calls(), drains.sum())
}

/// Nobody wakes up while the sentinel polls.
fn assert_sleeps_on(harness: &Harness) {
    let run = run_of(harness);
    wait_for("sleep", || all_asleep(&run));
    // Wake-ups that are under way.
    polls(&run, 5);
    wait_for("sleep", || all_asleep(&run));
    let copies = |role| harness.world.copies_by(role);
    let before = (copies(Role::Drain), copies(Role::Replenish));
    let slept = sleeps(&run);
    polls(&run, 30);
    assert_eq!((copies(Role::Drain), copies(Role::Replenish)), before);
    assert!(!SLEEPS_ARE_EXACT || sleeps(&run) == slept, "{slept:?} became {:?}", sleeps(&run));
}

#[test]
fn threads_without_work_sleep() {
    let mut harness = Harness::new(Plan { queues: 3, shards: 2, warm_target: 2, ..plan() });
    harness.start();
    assert_sleeps_on(&harness);
    harness.publish(50);
    wait_for("the last entry", || harness.totals().taken == 150);
    assert_sleeps_on(&harness);
    // A sentinel without traffic reads one word per queue and poll.
    let run = run_of(&harness);
    let (polled, copied) = (run.sentinel_event.sleep_calls(), harness.world.copies_by(Role::Sentinel));
    polls(&run, 20);
    let polled = run.sentinel_event.sleep_calls().wrapping_sub(polled);
    let copied = harness.world.copies_by(Role::Sentinel) - copied;
    assert!(copied <= (polled + 1) * 3, "{copied} copies in {polled} polls");
    harness.stop();
    harness.verify();
}

/// As long as a lane holds half of what it is to hold, done buffers gather, and nobody is woken for each.
#[test]
fn well_stocked_lanes_wake_nobody() {
    let mut harness = Harness::new(Plan { warm_target: 16, recycled: 16, done: 64, ..plan() });
    harness.start();
    let run = run_of(&harness);
    wait_for("a warm lane", || harness.pool.recycled_len(0, 0) == 16);
    wait_for("sleep", || all_asleep(&run));
    let woken = run.circulation.event.wake_calls();
    let collect = |harness: &mut Harness, count: u64| {
        harness.publish(count);
        let totals = || harness.totals();
        wait_for("the entries", || totals().delivered == totals().taken && harness.pool.ready(0).is_empty());
        wait_for("a collector that waits", || harness.pool.ready(0).is_empty() && all_asleep(&run));
    };
    collect(&mut harness, 3);
    wait_for("done buffers", || harness.pool.done_len(0) == 3);
    assert!(!SLEEPS_ARE_EXACT || run.circulation.event.wake_calls() == woken, "the replenish thread was woken");
    // Nor are they forgotten.
    collect(&mut harness, 10);
    wait_for("buffers that come back", || harness.pool.recycled_len(0, 0) > 8);
    harness.stop();
    harness.verify();
}

/// Parked buffers that find no room are no work.
#[test]
fn parked_buffers_keep_nobody_awake() {
    let mut harness = Harness::new(Plan { kinds: 2, instances_per_queue: 2, recycled: 1, ..plan() });
    harness.seed(0, 0, 9);
    harness.seed(0, 1, 9);
    harness.start();
    assert_sleeps_on(&harness);
    harness.publish(50);
    wait_for("the last entry", || harness.totals().taken == 100);
    assert_sleeps_on(&harness);
    harness.stop();
    harness.verify();
    // SAFETY: no thread runs.
    let audit = unsafe { harness.pool.audit() };
    assert!(audit.at(Place::Retired) != 0, "nothing is parked");
}

/// A full ready ring in front of a collector that hangs.
#[test]
fn a_drain_thread_waits_asleep_for_a_slow_collector() {
    let mut harness = Harness::new(Plan { host_ready: 1, collect_batch: 1, slots: 8, batch_size: 8, ..plan() });
    harness.start();
    harness.hooks.hold(true);
    harness.publish(7);
    wait_for("a full ring", || harness.totals().ready_full != 0);
    let run = run_of(&harness);
    polls(&run, 5);
    let before = (harness.world.copies_by(Role::Drain), harness.totals().taken);
    polls(&run, 20);
    assert_eq!((harness.world.copies_by(Role::Drain), harness.totals().taken), before);
    harness.hooks.hold(false);
    harness.stop();
    harness.verify();
}

/// Transfers that keep failing are tried again at the polling interval: some copies per sleep, not a stream of them.
#[test]
fn failing_transfers_do_not_make_threads_spin() {
    for writes in [false, true] {
        let mut harness = Harness::new(Plan { slots: 8, batch_size: 8, ..plan() });
        harness.start();
        harness.publish(2);
        wait_for("the first entries", || harness.totals().taken == 2);
        let world = &harness.world;
        let broken = if writes { &world.break_writes } else { &world.break_reads };
        broken.store(true, Ordering::Relaxed);
        harness.publish(2);
        let run = run_of(&harness);
        // Where tails cannot be read, it is the sentinel that fails; the drain thread sleeps.
        let faults = || harness.profiler.fault().map_or(0, |fault| fault.count);
        let failed = faults();
        wait_for("failures", || faults() > failed + 3);
        let (before, copied) = (sleeps(&run).1, harness.world.copies_by(Role::Drain));
        polls(&run, 30);
        // In this order: what happens between the two looks makes the bound wider.
        let copied = harness.world.copies_by(Role::Drain) - copied;
        let slept = sleeps(&run).1.wrapping_sub(before);
        assert!(copied <= (slept + 1) * 8, "{copied} copies in {slept} sleeps");
        harness.world.heal();
        harness.publish(20);
        harness.stop();
        harness.verify();
    }
}

/// A dry allocator and a lane that starves: one try per interval.
#[test]
fn a_dry_allocator_is_not_asked_in_a_stream() {
    let mut harness = Harness::new(Plan { reject: 1000, slots: 1, batch_size: 1, ..plan() });
    harness.start();
    harness.world.refuse_all_blocks.store(true, Ordering::Relaxed);
    harness.publish(1);
    let run = run_of(&harness);
    wait_for("a starved lane", || run.circulation.any_starving());
    let world = harness.world.clone();
    let refused = || world.blocks_refused.load(Ordering::Relaxed);
    let (before, asked) = (sleeps(&run).0, refused());
    wait_for("more tries", || refused() >= asked + 20);
    let asked = refused() - asked;
    let slept = sleeps(&run).0.wrapping_sub(before);
    assert!(asked <= (slept + 1) * 2, "{asked} tries in {slept} sleeps");
    harness.world.heal();
    harness.publish(3);
    harness.stop();
    harness.verify();
}

/// An index that is out of range for good wakes its drain thread once.
#[test]
fn an_impossible_tail_keeps_nobody_awake() {
    let mut harness = Harness::new(plan());
    harness.start();
    harness.publish(5);
    wait_for("the entries", || harness.totals().taken == 5);
    let tail = harness.world.device_ready(0).tail;
    use crate::sync::Word32;
    let sound = tail.load(Ordering::Relaxed);
    tail.store(1000, Ordering::Relaxed);
    wait_for("the report", || harness.totals().corrupt != 0);
    assert_sleeps_on(&harness);
    tail.store(sound, Ordering::Relaxed);
    harness.stop();
    harness.verify();
}
