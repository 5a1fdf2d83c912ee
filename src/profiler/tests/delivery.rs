//! Random geometries and faults: everything is delivered once, in order, and accounted for.

use super::harness::Harness;
use super::world::Plan;
use proptest::prelude::*;

fn geometry() -> impl Strategy<Value = Plan> {
    let payload = prop::sample::select(vec![0u32, 8, 32, 40, 48]);
    let queues = (
        1u32..=4,
        1u32..=3,
        1u32..=2,
        1u32..=4,
        2u32..=9,
        prop::sample::select(vec![1u32, 2, 4, 8]),
    );
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

fn run(plan: Plan, count: u64) {
    let mut harness = Harness::new(plan);
    harness.start();
    harness.publish(count);
    harness.world.heal();
    harness.stop();
    harness.verify();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn everything_is_delivered_without_faults(plan in geometry()) {
        run(plan, 120);
    }
}
