//! As the C++ runtime's own headers use the library: see [`Plan::compat`].

use super::device::queued;
use super::harness::Harness;
use super::idle::SLEEPS_ARE_EXACT;
use super::world::{BUFFER_SIZE, Plan, mix, wait_for};
use crate::layout::Words64;
use crate::pool::Buffer;
use crate::profiler::Instance;
use crate::sync::{Word32, Word64};
use std::sync::atomic::Ordering;

fn plan(seed: u64) -> Plan {
    let pick = |salt, choices: &[u32]| choices[mix(&[seed, salt]) as usize % choices.len()];
    Plan {
        seed,
        compat: true,
        gates: true,
        copies: seed % 2 == 1,
        queues: 4,
        kinds: pick(0, &[1, 2]),
        shards: pick(1, &[1, 2, 4]),
        instances_per_queue: pick(2, &[1, 2, 4]),
        device_ready: pick(3, &[2, 3, 8]),
        slots: pick(4, &[1, 2, 4]),
        host_ready: pick(5, &[1, 3, 8]),
        done: pick(6, &[1, 2, 8]),
        recycled: pick(7, &[1, 2, 16]),
        warm_target: pick(8, &[0, 1, 3]),
        batch_size: pick(9, &[1, 4]),
        slow_collect: 200,
        collect_batch: 1,
        ..Plan::default()
    }
}

#[test]
fn nothing_is_lost() {
    for seed in 0..16 {
        let mut harness = Harness::new(plan(seed));
        for _ in 0..2 {
            harness.start();
            harness.publish(60);
            harness.stop();
            harness.verify();
        }
    }
}

#[test]
fn nothing_is_lost_while_transfers_fail() {
    for seed in 0..16 {
        let mut harness = Harness::new(Plan {
            copies: true,
            fail_read: 60,
            fail_write: 60,
            landing: seed % 3 == 0,
            refuse_block: 200,
            reject: 50,
            ..plan(seed)
        });
        harness.start();
        harness.publish(40);
        harness.world.heal();
        harness.publish(10);
        harness.stop();
        harness.verify();
    }
}

/// W5: a saturated pipeline with tiny rings does not grow without bound, whatever is parked on the way.
#[test]
fn a_saturated_pipeline_stops_growing() {
    let mut harness = Harness::new(Plan {
        compat: true,
        gates: true,
        queues: 4,
        shards: 4,
        instances_per_queue: 4,
        slots: 4,
        host_ready: 8,
        done: 7,
        recycled: 5,
        warm_target: 5,
        batch_size: 4,
        collect_batch: 1,
        slow_collect: 50,
        ..Plan::default()
    });
    harness.start();
    let given = |harness: &Harness| harness.world.buffers_given.load(Ordering::Relaxed);
    harness.publish(1000);
    let settled = given(&harness);
    harness.publish(5000);
    let grown = given(&harness) - settled;
    harness.stop();
    harness.verify();
    // Every place that can hold a buffer may come to hold one.
    assert!(grown < 100, "{settled} buffers became {}", settled + grown);
}

/// W25: an element without a buffer, which somebody has put into a ready ring, is collected and goes nowhere: in a lane it would
/// become a slot without a buffer.
#[test]
fn elements_without_a_buffer_enter_no_lane() {
    let mut harness = Harness::new(Plan { compat: true, gates: true, ..Plan::default() });
    let elements = [Buffer { dev: 0, kind: 0, id: 0 }; 3];
    // SAFETY: no thread runs.
    assert_eq!(unsafe { harness.pool.push_ready(0, &elements, [0u64; 3].as_ptr().cast()) }, 3);
    harness.start();
    harness.publish(20);
    harness.stop();
    assert_eq!(harness.profiler.shard_stats(0).unwrap().collected, 23);
    harness.verify_books();
}

/// An address that the device made up is inside a block and known as such; its contents would reach beyond the block's end.
#[test]
fn contents_beyond_the_end_of_a_block_are_not_copied() {
    let harness = Harness::new(Plan { compat: true, copies: true, slots: 1, batch_size: 1, ..Plan::default() });
    harness.start();
    let (_, free, _) = &harness.device[0].producers[0];
    let dev = queued(free)[0];
    let ready = harness.world.device_ready(0);
    let entry = [dev + BUFFER_SIZE as u64 / 2, 0, 0, mix(&[0, 0])];
    for (index, value) in entry.into_iter().enumerate() {
        ready.entries.with(index, |word| word.store(value, Ordering::Relaxed));
    }
    ready.tail.store(1, Ordering::Release);
    wait_for("the entry", || harness.totals().taken == 1);
    harness.stop();
    assert_eq!(harness.totals().rejected, 1);
}

/// W34 from one owner of a free queue to the next: a publication in doubt at the end of a run is settled by the steps by hand,
/// and one in doubt by hand is settled by the run.
#[test]
fn a_publication_in_doubt_is_settled_by_whoever_comes_next() {
    for (lands, by_hand) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut harness = Harness::new(Plan { compat: true, copies: true, slots: 2, batch_size: 8, ..Plan::default() });
        harness.start();
        harness.publish(1);
        wait_for("the first refill", || harness.totals().refilled == 1);
        let world = harness.world.clone();
        let break_tails = || {
            world.land_all.store(lands, Ordering::Relaxed);
            world.break_tails.store(true, Ordering::Relaxed);
            world.hide_tails.store(true, Ordering::Relaxed);
        };
        if !by_hand {
            break_tails();
        }
        harness.publish(1);
        if !by_hand {
            wait_for("the failure", || harness.totals().transfer_failed != 0);
        }
        if lands && !by_hand {
            // The device takes what the host is in doubt of.
            harness.publish(2);
        }
        harness.stop();
        if by_hand {
            // Room for what is then in doubt.
            harness.publish(1);
            break_tails();
            harness.fill_by_hand();
            world.heal();
            harness.profiler.start().unwrap();
            harness.publish(20);
            harness.stop();
        }
        world.heal();
        for _ in 0..2 {
            harness.start();
            harness.publish(20);
            harness.stop();
        }
        harness.verify();
    }
}

/// The pool's owner is not asked about heads. One that is out of range wakes its drain thread once, and the other queue goes on.
#[test]
fn an_impossible_head_keeps_nobody_awake() {
    let mut harness = Harness::new(Plan { compat: true, gates: true, queues: 2, ..Plan::default() });
    let head = harness.world.host_ready(0).head;
    head.store(1000, Ordering::Relaxed);
    harness.start();
    harness.device[1].publish(20);
    wait_for("the report", || harness.totals().corrupt != 0 && harness.totals().taken == 20);
    let run = harness.profiler.current_run().unwrap();
    let polls = || run.circulation.event.sleep_calls();
    let wait_polls = |count| {
        let before = polls();
        wait_for("polls", || polls().wrapping_sub(before) >= count);
    };
    let bell = &run.drain_bells[0].event;
    wait_for("sleep", || bell.has_waiters());
    // Wake-ups that are under way.
    wait_polls(5);
    wait_for("sleep", || bell.has_waiters());
    let before = bell.sleep_calls();
    wait_polls(30);
    // On a busy machine one or two may still belong to what came before.
    let slept = bell.sleep_calls().wrapping_sub(before);
    assert!(!SLEEPS_ARE_EXACT || slept <= 2, "{slept} sleeps in 30 polls");
    harness.stop();
    harness.world.assert_content();
}

/// The device has scribbled over the tail of a free queue, which is the host's: the host's own word stays what it goes by.
#[test]
fn a_tail_that_is_not_the_hosts_is_not_taken_over() {
    let mut harness = Harness::new(Plan { compat: true, copies: true, batch_size: 8, ..Plan::default() });
    harness.fill_by_hand();
    harness.publish(1);
    let (host, device) = (harness.world.host_free(0), harness.world.device_free(0));
    device.tail.store(0x7777_0000, Ordering::Release);
    harness.profiler.start().unwrap();
    wait_for("the refill", || harness.totals().refilled == 1);
    assert_eq!((host.tail.load(Ordering::Relaxed), device.tail.load(Ordering::Acquire)), (5, 5));
    harness.publish(20);
    harness.stop();
    harness.verify();
}

/// The same for a free queue that the run comes to know when it is under way.
#[test]
fn a_publication_in_doubt_by_hand_is_settled_for_an_instance_that_is_added_later() {
    for lands in [false, true] {
        let plan = Plan { compat: true, copies: true, instances_per_queue: 2, known_instances: 1, ..Plan::default() };
        let mut harness = Harness::new(Plan { slots: 2, batch_size: 8, ..plan });
        harness.fill_by_hand();
        // Makes room. An entry of an instance that the run does not know yet would be rejected.
        harness.device[0].take_up();
        harness.world.land_all.store(lands, Ordering::Relaxed);
        harness.world.break_tails.store(true, Ordering::Relaxed);
        harness.world.hide_tails.store(true, Ordering::Relaxed);
        harness.fill_by_hand();
        harness.world.heal();
        harness.profiler.start().unwrap();
        let instance = Instance { free: harness.world.host_free(1), kind: 0, queue: 0, guess: false };
        assert_eq!(harness.profiler.add_instance(instance, 0), Ok(1));
        harness.publish(20);
        harness.stop();
        for _ in 0..2 {
            harness.start();
            harness.publish(20);
            harness.stop();
        }
        harness.verify();
    }
}
