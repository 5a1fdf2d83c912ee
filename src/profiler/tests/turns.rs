//! Turns: who is turned away leaves the turn with its owner.

use super::harness::Harness;
use super::world::Plan;
use crate::profiler::config::KindConfig;
use crate::profiler::instances::Instances;
use crate::profiler::{Instance, MAX_INSTANCES};

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
        let instance = Instance { free: harness.world.host_free(0), kind, queue: 0 };
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
