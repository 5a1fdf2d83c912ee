//! As the C++ runtime's own headers use the library: see [`Plan::compat`].

use super::harness::Harness;
use super::world::{Plan, mix};

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
