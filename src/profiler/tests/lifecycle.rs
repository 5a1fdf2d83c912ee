//! Start, stop, and their failures.

use super::device::queued;
use super::harness::Harness;
use super::world::{BUFFER_SIZE, PATIENCE, Plan, mix, wait_for};
use crate::event::Deadline;
use crate::layout::Words64;
use crate::profiler::{Config, Instance, Profiler, State};
use crate::status::Status;
use crate::sync::{Word32, Word64};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The factory fails at its k-th thread, with more entries published than the host can hold: nothing is left running,
/// and the next start delivers what the failed one took or left.
#[test]
fn a_factory_that_fails_leaves_nothing_running() {
    for copies in [false, true] {
        // Two drain, two collect, one replenish thread and the sentinel.
        for created in 0..6 {
            let mut harness = Harness::new(Plan {
                copies,
                queues: 2,
                shards: 2,
                host_ready: 1,
                slots: 8,
                batch_size: 8,
                ..Plan::default()
            });
            harness.start();
            harness.stop();
            harness.publish(7);
            harness.hooks.spawns_left.store(created, Ordering::Relaxed);
            assert_eq!(harness.profiler.start(), Err(Status::LANEPIPE_E_THREAD), "{created}");
            assert_eq!(harness.hooks.alive.load(Ordering::Relaxed), 0);
            assert_eq!(harness.profiler.state(), State::Stopped);
            let joined = harness.hooks.threads.lock().unwrap().iter().all(Option::is_none);
            assert!(joined, "a thread was not joined");
            harness.verify_conservation();
            harness.hooks.spawns_left.store(u32::MAX, Ordering::Relaxed);
            harness.start();
            harness.publish(20);
            harness.stop();
            harness.verify();
        }
    }
}

/// A collector that hangs makes stop time out, as often as it is tried; then it goes on where it ended.
#[test]
fn a_stop_that_timed_out_can_be_resumed() {
    for host_ready in [1, 8] {
        let mut harness =
            Harness::new(Plan { host_ready, collect_batch: 1, slots: 8, batch_size: 8, ..Plan::default() });
        harness.start();
        assert_eq!(harness.profiler.state(), State::Running);
        harness.hooks.hold(true);
        harness.publish(7);
        wait_for("the collector", || harness.hooks.waiting.load(Ordering::Relaxed) == 1);
        for deadline in [0, Deadline::after(Duration::from_millis(5))] {
            assert_eq!(harness.profiler.stop(deadline), Err(Status::LANEPIPE_TIMED_OUT));
            assert_eq!(harness.profiler.state(), State::Stopping);
            assert_eq!(harness.profiler.start(), Err(Status::LANEPIPE_E_STATE));
            assert_eq!(harness.pool.set_live_shards(1), Err(Status::LANEPIPE_E_STATE));
        }
        harness.hooks.hold(false);
        harness.stop();
        assert_eq!(harness.profiler.state(), State::Stopped);
        harness.verify();
        harness.start();
        harness.publish(30);
        harness.stop();
        harness.verify();
    }
}

/// A burst at stop that is larger than ready ring and done ring, with a slow collector: everything arrives, in order.
#[test]
fn a_burst_at_stop_is_delivered() {
    for copies in [false, true] {
        let mut harness = Harness::new(Plan {
            copies,
            queues: 2,
            shards: 2,
            device_ready: 64,
            slots: 64,
            batch_size: 64,
            recycled: 64,
            host_ready: 1,
            done: 1,
            collect_batch: 1,
            slow_collect: 500,
            ..Plan::default()
        });
        harness.start();
        harness.publish(60);
        harness.stop();
        harness.verify();
        let delivered = harness.world.delivered.lock().unwrap();
        assert!(delivered.iter().all(|sequence| sequence.iter().copied().eq(0..60)));
    }
}

#[test]
fn calls_out_of_turn_are_refused() {
    let harness = Harness::new(Plan::default());
    // Never started: nothing to stop, as often as one likes.
    harness.stop();
    harness.stop();
    harness.start();
    let tracked = harness.pool.tracked(0);
    assert_eq!(harness.profiler.start(), Err(Status::LANEPIPE_E_STATE));
    assert_eq!(harness.pool.tracked(0), tracked, "a refused start has touched the pool");
    // SAFETY: refused before it touches anything.
    let released = unsafe { harness.pool.release_all(|_| ()) };
    assert_eq!(released, Err(Status::LANEPIPE_E_STATE));
    harness.stop();
    harness.verify();
}

/// Stop may come from a thread other than the one that started, while others look on.
#[test]
fn only_one_thread_is_inside_start_or_stop() {
    let harness = Harness::new(Plan::default());
    for _ in 0..20 {
        let outcomes = std::thread::scope(|scope| {
            let start = || harness.profiler.start();
            let threads = [scope.spawn(start), scope.spawn(start)];
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let outcome = harness.profiler.stop(Deadline::after(PATIENCE));
                    assert!(matches!(outcome, Ok(()) | Err(Status::LANEPIPE_BUSY)), "{outcome:?}");
                });
            }
        });
        harness.stop();
    }
    harness.verify();
}

/// A drain thread that ends by a panic at what an earlier run left has done its part of it: the others go on, and what they learnt
/// from those entries does not hold.
#[test]
fn a_panic_at_left_over_entries_holds_up_nobody() {
    let mut harness = Harness::new(Plan { queues: 3, shards: 3, ..Plan::default() });
    let config = Harness::config(&harness.world, &harness.hooks);
    let instances = config.instances.iter().map(|instance| Instance { guess: true, ..*instance }).collect();
    harness.profiler = Profiler::new(harness.pool.clone(), Config { instances, ..config }).unwrap();
    harness.hooks.any_queue.store(true, Ordering::Relaxed);
    let world = harness.world.clone();
    let take = |instance: u32| {
        let free = world.device_free(instance);
        wait_for("a buffer", || !queued(&free).is_empty());
        let dev = queued(&free)[0];
        free.head.store(free.head.load(Ordering::Relaxed) + 1, Ordering::Release);
        dev
    };
    let publish = |queue: u32, dev: u64, instance: u64, sequence: u64| {
        for index in 0..BUFFER_SIZE / 8 {
            let value = [instance, sequence].get(index).copied();
            // SAFETY: a word of the buffer, which is the device's.
            unsafe { *world.memory_at(dev).add(index) = value.unwrap_or(mix(&[instance, sequence, index as u64])) };
        }
        let ready = world.device_ready(queue);
        for (index, value) in [dev, instance, sequence, mix(&[instance, sequence])].into_iter().enumerate() {
            ready.entries.with(index, |word| word.store(value, Ordering::Relaxed));
        }
        ready.tail.store(1, Ordering::Release);
    };
    harness.start();
    let (first, second, other) = (take(0), take(0), take(1));
    harness.stop();
    publish(0, first, 0, 0);
    publish(1, other, 1, 0);
    harness.hooks.resolve_panics.store(1, Ordering::Relaxed);
    harness.start();
    wait_for("the panic", || harness.profiler.fault().is_some_and(|fault| fault.status == Status::LANEPIPE_E_PANIC));
    wait_for("the left-over entry", || harness.totals().taken == 1);
    publish(2, second, 0, 1);
    wait_for("the entry of the run", || harness.totals().taken == 2);
    harness.stop();
    world.assert_content();
    assert_eq!((harness.totals().rejected, harness.hooks.left_over_calls.load(Ordering::Relaxed)), (0, 1));
}
