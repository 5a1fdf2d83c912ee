//! Scarce buffers: whoever starves is served, by whatever comes back or may be allocated.

use super::harness::Harness;
use super::world::{BUFFER_SIZE, Plan, wait_for};
use crate::layout::Words64;
use crate::pool::Buffer;
use crate::pool::ledger::Place;
use crate::status::Status;
use crate::sync::{Word32, Word64};
use std::sync::atomic::Ordering;

fn one_buffer(copies: bool) -> Plan {
    Plan { copies, slots: 1, batch_size: 1, max_buffers: 1, ..Plan::default() }
}

#[test]
fn a_pool_of_one_buffer_rotates() {
    for copies in [false, true] {
        for (slots, recycled, slow_collect) in [(1, 1, 0), (4, 16, 200)] {
            let mut harness = Harness::new(Plan { slots, recycled, slow_collect, ..one_buffer(copies) });
            harness.start();
            // The allocator has nothing more to give.
            harness.world.refuse_all_blocks.store(true, Ordering::Relaxed);
            harness.publish(200);
            harness.stop();
            harness.verify();
            assert_eq!(harness.pool.tracked(0), 1);
        }
    }
}

/// The one that starved first is served first: otherwise whoever publishes last keeps the only buffer for itself.
#[test]
fn starved_instances_take_turns() {
    let mut harness = Harness::new(Plan { instances_per_queue: 3, ..one_buffer(false) });
    harness.start();
    harness.publish(40);
    harness.stop();
    harness.verify();
    assert_eq!(harness.pool.tracked(0), 1);
}

/// The same over shards: the only buffer goes round.
#[test]
fn starved_shards_take_turns() {
    let mut harness = Harness::new(Plan { queues: 3, shards: 3, ..one_buffer(false) });
    harness.start();
    // Who raises demand late would be passed over once, and one who is ahead keeps the buffer in the end.
    let demand = |shard| harness.pool.demand(shard, 0).load(Ordering::Relaxed);
    wait_for("demand", || demand(1) == 1 && demand(2) == 1);
    harness.publish(40);
    harness.stop();
    harness.verify();
    assert_eq!(harness.pool.tracked(0), 1);
}

/// All buffers are with the collector, the device waits and publishes nothing: once they come back, it goes on.
#[test]
fn a_starved_lane_recovers_without_more_traffic() {
    for copies in [false, true] {
        let mut harness = Harness::new(Plan { copies, slots: 2, collect_batch: 1, max_buffers: 2, ..Plan::default() });
        harness.start();
        harness.hooks.hold(true);
        std::thread::scope(|scope| {
            let device = &mut harness.device[0];
            scope.spawn(move || device.publish(6));
            let run = harness.profiler.current_run().unwrap();
            wait_for("a starved lane", || run.circulation.any_starving());
            harness.hooks.hold(false);
        });
        harness.stop();
        harness.verify();
        assert_eq!(harness.pool.tracked(0), 2);
    }
}

/// All spare buffers lie in the lane of one shard, and none may be allocated: the others starve until it shares.
#[test]
fn spare_buffers_reach_a_starved_shard() {
    let plan = Plan { queues: 2, shards: 2, slots: 1, max_buffers: 4, ..Plan::default() };
    let mut harness = Harness::new(plan);
    // SAFETY: no thread runs yet.
    unsafe { harness.pool.allocate(0, BUFFER_SIZE, 4, Some(1)) }.unwrap();
    harness.start();
    harness.publish(40);
    harness.stop();
    harness.verify();
    assert_eq!(harness.pool.tracked(0), 4);
}

/// The same while other buffers are with a collector that takes its time: who starves does not wait for those.
#[test]
fn spare_buffers_reach_a_starved_shard_before_a_slow_collector_returns() {
    let plan = Plan { queues: 2, shards: 2, slots: 1, max_buffers: 5, ..Plan::default() };
    let mut harness = Harness::new(plan);
    harness.seed(0, 0, 1);
    harness.seed(1, 0, 4);
    harness.start();
    harness.hooks.hold(true);
    let run = harness.profiler.current_run().unwrap();
    for _ in 0..4 {
        wait_for("sleep", || run.drain_bells[1].event.has_waiters());
        harness.device[0].publish(1);
    }
    harness.hooks.hold(false);
    harness.world.assert_content();
    harness.stop();
    harness.verify();
    assert_eq!(harness.pool.tracked(0), 5);
}

/// The allocator is dry when the lane starves and recovers later; nothing else happens.
#[test]
fn a_starved_lane_is_served_once_the_allocator_recovers() {
    let mut harness = Harness::new(Plan { reject: 1000, ..Plan::default() });
    harness.world.refuse_all_blocks.store(true, Ordering::Relaxed);
    harness.start();
    let refused = harness.world.blocks_refused.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        let device = &mut harness.device[0];
        scope.spawn(move || device.publish(6));
        let world = &harness.world;
        wait_for("more tries", || world.blocks_refused.load(Ordering::Relaxed) > refused + 3);
        world.heal();
    });
    harness.stop();
    harness.verify();
}

/// Every entry is rejected, its buffer set aside: the free queue is refilled all the same, even if the answer does not
/// say whose it is.
#[test]
fn rejected_entries_do_not_starve_their_instance() {
    let mut harness =
        Harness::new(Plan { reject: 1000, slots: 1, batch_size: 1, instances_per_queue: 3, ..Plan::default() });
    harness.start();
    harness.publish(12);
    harness.stop();
    harness.verify();
}

/// Buffers that no thread of the run will bring back do not count as coming back.
#[test]
fn buffers_of_other_shards_do_not_hold_up_allocation() {
    let mut harness = Harness::new(Plan { shards: 2, slots: 1, batch_size: 1, reject: 1000, ..Plan::default() });
    let mut words = [[0u64; 16]; 3];
    let buffers: Vec<Buffer> = words.iter_mut().map(|words| harness.foreign(words)).collect();
    // SAFETY: no thread runs yet.
    unsafe {
        assert_eq!(harness.pool.push_ready(1, &buffers[..1], [0u64].as_ptr().cast()), 1);
        assert_eq!(harness.pool.push_done(1, &buffers[1..]), 2);
        let (mut buffer, mut payload) = (buffers[0], 0u64);
        // A buffer in the hands of the owner.
        assert_eq!(harness.pool.pop_ready(1, &raw mut buffer, (&raw mut payload).cast(), 1), 1);
    }
    harness.set_shards(1);
    harness.start();
    harness.publish(8);
    harness.stop();
    harness.world.assert_content();
    // SAFETY: no thread runs.
    let audit = unsafe { harness.pool.audit() };
    assert_eq!((audit.errors, audit.at(Place::Done), audit.at(Place::Collect)), (0, 2, 1));
}

/// What is parked while start fills the free queues comes back, so nothing is allocated in its place.
#[test]
fn a_start_that_parks_buffers_does_not_make_the_pool_grow() {
    let mut harness = Harness::new(Plan { slots: 1, batch_size: 6, recycled: 2, ..Plan::default() });
    harness.start();
    harness.publish(200);
    harness.stop();
    harness.verify();
    assert_eq!(harness.pool.tracked(0), 6);
}

/// Start leaves free queues as they are: one that is empty then has nobody to ask for it but the device, which cannot without
/// gates.
#[test]
fn a_free_queue_that_start_leaves_empty_is_served_later() {
    for gates in [false, true] {
        let mut harness = Harness::new(Plan { prefilled: true, gates, queues: 2, shards: 2, ..Plan::default() });
        harness.start();
        harness.publish(20);
        harness.stop();
        harness.verify();
    }
}

/// Buffers return under another kind than they came with: none of the first is on its way then, and each counts as what it is.
#[test]
fn buffers_that_change_their_kind_do_not_hold_up_allocation() {
    for compat in [false, true] {
        let mut harness = Harness::new(Plan {
            compat,
            kinds: 2,
            instances_per_queue: 2,
            changes_kinds: true,
            slots: 1,
            batch_size: 1,
            max_buffers: 30,
            recycled: 64,
            ..Plan::default()
        });
        harness.start();
        let (_, _, producer) = &mut harness.device[0].producers[0];
        producer.left = 20;
        harness.publish(0);
        harness.stop();
        harness.verify();
        if !compat {
            let mut kinds = [0; 2];
            harness.pool.ledger().for_each(|_, at| kinds[at.kind as usize] += 1);
            assert_eq!(kinds, [harness.pool.tracked(0), harness.pool.tracked(1)]);
        }
    }
}

#[test]
fn the_limit_of_buffers_is_exact() {
    let mut harness = Harness::new(Plan {
        slots: 1,
        batch_size: 4,
        max_buffers: 6,
        instances_per_queue: 4,
        recycled: 2,
        ..Plan::default()
    });
    harness.start();
    harness.publish(50);
    harness.stop();
    harness.verify();
    assert!(harness.pool.tracked(0) <= 6, "{}", harness.pool.tracked(0));
}

/// A watermark is kept, from whatever comes back first, and traffic on one lane settles without further allocation.
#[test]
fn traffic_settles_on_a_constant_pool() {
    let mut harness = Harness::new(Plan { queues: 2, shards: 2, warm_target: 3, ..Plan::default() });
    harness.start();
    harness.publish(300);
    let settled = harness.pool.tracked(0);
    harness.publish(300);
    harness.stop();
    harness.verify();
    let grown = harness.pool.tracked(0) - settled;
    assert!(grown <= 8, "{settled} buffers became {}", settled + grown);
}

/// A starved lane gets what lies in the done ring, whatever the collect thread that put it there is at now.
#[test]
fn a_slow_collector_strands_no_done_buffers() {
    let plan = Plan { done: 64, recycled: 16, collect_batch: 1, max_buffers: 9, ..Plan::default() };
    let mut harness = Harness::new(Plan { warm_target: 0, ..plan });
    harness.seed(0, 0, 9);
    harness.start();
    let collected = |harness: &Harness| harness.profiler.shard_stats(0).unwrap().collected;
    // One by one, so that the lane is never low and nobody is woken.
    while harness.pool.recycled_len(0, 0) > 1 {
        let before = collected(&harness);
        harness.publish(1);
        wait_for("a collected buffer", || collected(&harness) > before);
    }
    harness.hooks.hold(true);
    let (before, hooks) = (harness.totals().taken, harness.hooks.clone());
    harness.publish(7);
    wait_for("all entries", || harness.totals().taken == before + 7);
    hooks.hold(false);
    harness.stop();
    harness.verify();
}

/// A free queue whose head cannot be read keeps no buffer from a lane that could use it.
#[test]
fn a_free_queue_that_cannot_be_read_hoards_nothing() {
    for buffers in [1, 3] {
        let plan = Plan { copies: true, queues: 2, shards: 2, slots: 1, batch_size: 1, ..Plan::default() };
        let mut harness = Harness::new(Plan { max_buffers: buffers, ..plan });
        harness.world.hide_head_of.store(0, Ordering::Relaxed);
        harness.start();
        wait_for("demand", || harness.pool.demand(0, 0).load(Ordering::Relaxed) == 1);
        harness.device[1].publish(10);
        harness.stop();
        harness.world.assert_content();
    }
}

/// An element without a buffer, as somebody may push it by hand, is nothing that a starved lane could wait for.
#[test]
fn an_element_without_a_buffer_brings_none_back() {
    let plan = Plan { compat: true, slots: 1, batch_size: 1, reject: 1000, ..Plan::default() };
    let mut harness = Harness::new(plan);
    let elements = [Buffer { dev: 0, kind: 0, id: 0 }];
    // SAFETY: no thread runs yet; the payload is one word.
    assert_eq!(unsafe { harness.pool.push_ready(0, &elements, [0_u64].as_ptr().cast()) }, 1);
    harness.start();
    harness.device[0].publish(6);
    harness.stop();
    harness.world.assert_content();
}

/// Demand of a drain thread that ended by a panic ends with its run.
#[test]
fn a_run_begins_without_demand() {
    let plan = Plan { queues: 2, shards: 2, slots: 1, batch_size: 1, max_buffers: 4, ..Plan::default() };
    let harness = Harness::new(Plan { instances_per_queue: 2, ..plan });
    harness.world.refuse_all_blocks.store(true, Ordering::Relaxed);
    harness.start();
    wait_for("demand", || harness.pool.demand(0, 0).load(Ordering::Relaxed) == 2);
    harness.hooks.resolve_panics.store(0, Ordering::Relaxed);
    let ready = harness.world.device_ready(0);
    ready.entries.with(0, |word| word.store(0x7777_0000, Ordering::Relaxed));
    ready.tail.store(1, Ordering::Release);
    wait_for("the panic", || harness.profiler.fault().is_some_and(|fault| fault.status == Status::LANEPIPE_E_PANIC));
    harness.stop();
    drop(harness.profiler.new_run());
    assert_eq!([0, 1].map(|shard| harness.pool.demand(shard, 0).load(Ordering::Relaxed)), [0, 0]);
}
