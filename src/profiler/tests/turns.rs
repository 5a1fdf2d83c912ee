//! Turns: who is turned away leaves the turn with its owner.

use super::device::queued;
use super::harness::Harness;
use super::world::{BUFFER_SIZE, Plan};
use crate::profiler::backpressure::enter_lanes;
use crate::profiler::config::KindConfig;
use crate::profiler::instances::Instances;
use crate::profiler::shared_link::SharedLink;
use crate::profiler::{Config, Instance, MAX_INSTANCES, Profiler};
use crate::sync::{Turn, Word32};
use std::sync::Barrier;
use std::sync::atomic::Ordering;

/// H19: a drain thread that finds the lanes with the driver of the gates does not give the driver's turn back.
#[test]
fn lanes_stay_with_the_driver_when_a_drain_thread_is_turned_away() {
    let harness = Harness::new(Plan { shards: 2, queues: 2, ..Plan::default() });
    harness.start();
    let run = harness.profiler.current_run().unwrap();
    let driver = loop {
        // A drain thread may be at its first top-up.
        if let Some(turns) = harness.pool.take_lanes() {
            break turns;
        }
    };
    for _ in 0..2 {
        assert!(run.lanes_of(0).is_none());
        assert!(harness.pool.lane_turn(0).is_taken(), "the driver's turn was given away");
    }
    drop(driver);
    harness.stop();
}

/// The same for a free queue that two instances name.
#[test]
fn a_free_queue_stays_with_its_owner_when_an_alias_is_turned_away() {
    let harness = Harness::new(Plan { kinds: 2, ..Plan::default() });
    let kind = || KindConfig { buffer_size: 64, batch_size: 1, warm_target: 0, max_buffers: 0 };
    let instances = Instances::new(MAX_INSTANCES, &[kind(), kind()], true).unwrap();
    for kind in 0..2 {
        let instance = Instance { free: harness.world.host_free(0), kind, queue: 0, guess: false };
        assert_eq!(instances.add(instance, 0), Ok(kind));
    }
    let served = |index| instances.get(index).unwrap();
    let owner = instances.enter(served(0)).unwrap();
    for _ in 0..2 {
        assert!(instances.enter(served(0)).is_none());
        assert!(instances.enter(served(1)).is_none());
    }
    drop(owner);
    assert!(instances.enter(served(1)).is_some());
}

/// What one instance of a free queue leaves in doubt is settled by whichever comes next: no buffer is lost or published twice.
#[test]
fn a_doubt_is_one_of_all_aliases() {
    for (lands, second, is_taken) in
        [false, true].into_iter().flat_map(|lands| [(lands, 1, false), (lands, 2, false), (lands, 2, true)])
    {
        let plan = Plan { compat: true, copies: true, kinds: 2, slots: 4, batch_size: 8, ..Plan::default() };
        let harness = Harness::new(plan);
        let kind = || KindConfig { buffer_size: BUFFER_SIZE, batch_size: 1, warm_target: 0, max_buffers: 0 };
        let instances = Instances::new(2, &[kind(), kind()], true).unwrap();
        for kind in 0..2 {
            let instance = Instance { free: harness.world.host_free(0), kind, queue: 0, guess: false };
            assert_eq!(instances.add(instance, BUFFER_SIZE), Ok(kind));
            harness.seed(0, kind, 8);
        }
        let link = SharedLink::new(harness.pool.memory());
        let top_up = |kind, most| {
            let served = instances.get(kind).unwrap();
            // SAFETY: no other thread uses the queue or the lanes.
            unsafe { instances.enter(served).unwrap().top_up(&harness.pool, &link, kind, 0, most) }
        };
        let world = &harness.world;
        world.land_all.store(lands, Ordering::Relaxed);
        // Both are settled.
        (0..2).for_each(|kind| _ = top_up(kind, 0));
        world.break_tails.store(true, Ordering::Relaxed);
        world.hide_tails.store(true, Ordering::Relaxed);
        top_up(0, 1);
        world.heal();
        top_up(1, second);
        let free = world.device_free(0);
        if is_taken {
            free.head.store(free.head.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
        for kind in [0, 1, 0, 1] {
            top_up(kind, 4);
        }
        let mut known = queued(&free);
        assert_eq!(known.len(), 4, "the queue is served");
        known.extend(harness.pool.queued_buffers().iter().map(|buffer| buffer.dev));
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len() as u32 + u32::from(is_taken), world.buffers_given.load(Ordering::Relaxed));
    }
}

/// Threads name the same new instances at once, as drain threads and the refresh of a freeze do: all get the same indices, and
/// who has an index finds the size of its buffers.
#[test]
fn instances_that_several_threads_add_are_added_once() {
    const INSTANCES: u32 = 64;
    let harness = Harness::new(Plan { instances_per_queue: INSTANCES, ..Plan::default() });
    let kinds: Vec<_> =
        (0..INSTANCES).map(|_| KindConfig { buffer_size: 0, batch_size: 1, warm_target: 0, max_buffers: 0 }).collect();
    for round in 0..400 {
        let instances = Instances::new(INSTANCES, &kinds, round % 2 == 0).unwrap();
        let barrier = Barrier::new(3);
        let add = || {
            barrier.wait();
            for number in 0..INSTANCES {
                let instance = Instance { free: harness.world.host_free(number), kind: number, queue: 0, guess: false };
                assert_eq!(instances.add(instance, 64), Ok(number));
                assert_eq!((instances.buffer_size(number), instances.slot_count(number)), (64, 4));
            }
        };
        std::thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(add))));
    }
}

/// The size of its buffers may be told after the instance.
#[test]
fn a_size_that_is_told_later_counts() {
    let harness = Harness::new(Plan::default());
    let kind = KindConfig { buffer_size: 0, batch_size: 1, warm_target: 0, max_buffers: 0 };
    let instances = Instances::new(1, &[kind], false).unwrap();
    let instance = Instance { free: harness.world.host_free(0), kind: 0, queue: 0, guess: false };
    for (size, known) in [(0, 0), (64, 64), (128, 64)] {
        assert_eq!(instances.add(instance, size), Ok(0));
        assert_eq!(instances.buffer_size(0), known);
    }
}

/// An instance that is named twice has one index, and those after it would have others than the caller counts.
#[test]
fn an_instance_may_be_named_once_only() {
    for compat in [false, true] {
        let harness = Harness::new(Plan { compat, instances_per_queue: 2, ..Plan::default() });
        let config = Harness::config(&harness.world, &harness.hooks);
        let instances = [config.instances[0], config.instances[0], config.instances[1]];
        let config = Config { instances: instances.into(), max_instances: 3, ..config };
        assert!(Profiler::new(harness.pool.clone(), config).is_err());
    }
}

/// While a gate is shut the lanes are not a drain thread's, though nobody has their turn.
#[test]
fn a_drain_thread_gets_no_lanes_while_a_gate_is_shut() {
    let turn = Turn::new();
    assert!(enter_lanes(&turn, || true).is_none());
    assert!(!turn.is_taken());
    assert!(enter_lanes(&turn, || false).is_some());
}
