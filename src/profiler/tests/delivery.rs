//! Random geometries and faults: everything is delivered once, in order, and accounted for.

use super::harness::Harness;
use super::world::{Plan, wait_for};
use proptest::prelude::*;

fn geometry() -> impl Strategy<Value = Plan> {
    let payload = prop::sample::select(vec![0u32, 8, 32, 40, 48]);
    let queues = (1u32..=4, 1u32..=3, 1u32..=2, 1u32..=4, 2u32..=9, prop::sample::select(vec![1u32, 2, 4, 8]));
    let host = (1u32..=8, 1u32..=8, 1u32..=16, payload, 1usize..=8);
    let supply = (1u32..=4, 0u32..=4, 0u32..=1);
    let starts = (prop::sample::select(vec![0u32, 7, u32::MAX - 3, u32::MAX]), 0u32..9);
    (any::<u64>(), any::<bool>(), queues, host, supply, starts, 0u64..300).prop_map(
        |(seed, copies, queues, host, supply, starts, slow_collect)| Plan {
            seed,
            copies,
            queues: queues.0,
            instances_per_queue: queues.1,
            kinds: queues.2,
            shards: queues.3,
            device_ready: queues.4,
            slots: queues.5,
            host_ready: host.0,
            done: host.1,
            recycled: host.2,
            payload_size: host.3,
            collect_batch: host.4,
            batch_size: supply.0,
            warm_target: supply.1,
            // No fewer than there are producers: each keeps one.
            max_buffers: supply.2 * (queues.0 * queues.1 * 2 + 2),
            first_counter: starts.0,
            first_index: starts.1 % queues.4,
            slow_collect,
            ..Plan::default()
        },
    )
}

/// What goes wrong, and how often.
fn with_faults() -> impl Strategy<Value = Plan> {
    let rates = (0u64..300, 0u64..300, 0u64..200, 0u64..400, 0u64..20);
    (geometry(), rates, 1u32..=5, any::<bool>()).prop_map(
        |(plan, (fail_read, fail_write, reject, refuse_block, null_entries), burst, landing)| Plan {
            fail_read,
            fail_write,
            reject,
            refuse_block,
            null_entries,
            burst,
            landing,
            // Rejected buffers are set aside, and others must be allowed to take their place.
            max_buffers: 0,
            ..plan
        },
    )
}

fn run(plan: Plan, count: u64) {
    let mut harness = Harness::new(plan);
    harness.start();
    harness.publish(count);
    harness.world.heal();
    harness.stop();
    harness.verify();
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        // A case is a run of threads: it is not worth shrinking.
        max_shrink_iters: 0,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn everything_is_delivered_without_faults(plan in geometry()) {
        run(plan, 120);
    }

    #[test]
    fn everything_is_accounted_for_under_faults(plan in with_faults()) {
        run(plan, 60);
    }

    /// Runs on one pool, each with other shards than the one before. What one run cannot deliver the next one finds.
    #[test]
    fn runs_follow_each_other(
        plan in with_faults(),
        shards in prop::collection::vec(1u32..=4, 2..=5),
        heal in any::<bool>(),
        compat in any::<bool>(),
        gates in any::<bool>(),
    ) {
        let mut harness = Harness::new(Plan { compat, gates: gates || compat, ..plan });
        let last = shards.len() - 1;
        for (run, shards) in shards.into_iter().enumerate() {
            harness.set_shards(1 + (shards - 1) % harness.world.plan.shards);
            harness.world.healed.store(false, std::sync::atomic::Ordering::Relaxed);
            harness.start();
            harness.publish(20);
            if heal || run == last {
                harness.world.heal();
            }
            harness.stop();
            if heal || run == last {
                harness.verify();
            }
        }
    }
}

/// Wake-ups: nothing moves unless the sentinel notices, and indices are back where they were after two entries.
#[test]
fn a_lap_between_two_polls_is_noticed() {
    for device_ready in [2, 3] {
        run(
            Plan {
                device_ready,
                slots: 8,
                batch_size: 8,
                poll_min: std::time::Duration::from_millis(2),
                poll_max: std::time::Duration::from_millis(2),
                ..Plan::default()
            },
            200,
        );
    }
}

/// A thousand runs without traffic: the pool stays as it is.
#[test]
fn idle_runs_cost_no_buffers() {
    let mut harness = Harness::new(Plan { queues: 2, shards: 2, warm_target: 2, ..Plan::default() });
    harness.start();
    harness.publish(20);
    harness.stop();
    harness.start();
    wait_for("the watermarks", || harness.pool.recycled_total(0) >= 2 * 2);
    harness.stop();
    let tracked = harness.pool.tracked(0);
    for _ in 0..200 {
        harness.start();
        harness.stop();
    }
    harness.verify();
    assert_eq!(harness.pool.tracked(0), tracked);
}
