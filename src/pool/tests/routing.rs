//! Routing of returned buffers, against the contract's rule written down once more.

use super::support::{Device, Mode, config, drain_lane};
use crate::pool::{Buffer, Pool, PoolConfig};
use crate::sync::atomic::Ordering;
use proptest::prelude::*;

/// The contract's deficit-first rule: visit the shards after the origin, the origin last; the first one with the
/// largest deficit below the target wins; without a deficit, the origin.
fn deficit_first(lens: &[usize], target: usize, origin: usize) -> usize {
    let order: Vec<usize> = (origin + 1..lens.len()).chain(0..=origin).collect();
    let deficit = |shard: usize| target.saturating_sub(lens[shard]);
    let largest = order.iter().map(|shard| deficit(*shard)).max().unwrap();
    if largest == 0 {
        return origin;
    }
    order.into_iter().find(|shard| deficit(*shard) == largest).unwrap()
}

/// Where a buffer from `origin` goes: the nearest shard after the origin whose demand its lane cannot meet, else by
/// deficit, else any lane with room from the origin on, else nowhere. Counts at most as much demand as a lane can hold.
pub fn expected(lens: &[usize], demand: &[u32], target: usize, capacity: usize, origin: usize) -> Option<usize> {
    let live = lens.len();
    let unmet = |shard: &usize| lens[*shard] < (demand[*shard] as usize).min(capacity);
    let starved = (1..=live).map(|step| (origin + step) % live).find(unmet);
    let wanted = starved.unwrap_or_else(|| deficit_first(lens, target.min(capacity), origin));
    let rest = (0..live).map(|step| (origin + step) % live);
    std::iter::once(wanted).chain(rest).find(|shard| lens[*shard] < capacity)
}

fn lens(pool: &Pool, kind: u32) -> Vec<usize> {
    (0..pool.live_shards()).map(|shard| pool.recycled_len(shard, kind)).collect()
}

fn pool_with_fills(shards: u32, capacity: u32, fills: &[u32], kind: u32) -> Pool {
    let pool = Device::new(Mode::Identity).pool(PoolConfig {
        shards,
        recycled_capacity: capacity,
        done_capacity: 64,
        ..config()
    });
    for (shard, fill) in (0..shards).zip(fills) {
        if *fill != 0 {
            // SAFETY: one thread plays every role.
            let placed = unsafe { pool.allocate(kind, 64, *fill, Some(shard)) };
            assert_eq!(placed, Ok(*fill as usize));
        }
    }
    pool
}

fn return_one(pool: &Pool, origin: u32, kind: u32, number: u32) -> Option<usize> {
    let dev = 0xd000_0000 + u64::from(number) * 64;
    let id = pool.register(dev, dev, kind).unwrap();
    // SAFETY: one thread plays every role.
    assert_eq!(unsafe { pool.push_done(origin, &[Buffer { dev, kind, id }]) }, 1);
    let mut went = None;
    let mut calls = 0;
    // SAFETY: as above.
    let routed = unsafe {
        pool.recycle_all_done(|buffer, shard| {
            assert_eq!(buffer.dev, dev);
            went = shard;
            calls += 1;
        })
    };
    assert_eq!((routed.placed, calls), (1, 1));
    assert_eq!(routed.touched, went.map_or(0, |shard| 1 << shard));
    went
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn returned_buffers_go_where_the_contract_says(
        fills in prop::collection::vec(0u32..=5, 1..=6),
        capacity in 5u32..=9,
        target in 0u32..=12,
        origins in prop::collection::vec(0u32..6, 1..=24),
        kind in 0u32..2,
    ) {
        let shards = fills.len() as u32;
        let pool = pool_with_fills(shards, capacity, &fills, kind);
        pool.set_warm_target(kind, target).unwrap();
        for (number, origin) in (0..).zip(origins) {
            let origin = origin % shards;
            let before = lens(&pool, kind);
            let wanted = deficit_first(&before, target.min(capacity) as usize, origin as usize);
            let went = return_one(&pool, origin, kind, number);
            if before[wanted] < capacity as usize {
                prop_assert_eq!(went, Some(wanted), "fills {:?}", before);
            } else {
                // The contract allows any live lane with room before parking.
                let room = before.iter().any(|len| *len < capacity as usize);
                prop_assert_eq!(went.is_some(), room, "fills {:?}", before);
            }
        }
        // SAFETY: no other thread uses the pool.
        prop_assert_eq!(unsafe { pool.audit() }.errors, 0);
    }

    #[test]
    fn demand_comes_before_deficits(
        fills in prop::collection::vec(0u32..=3, 1..=5),
        demand in prop::collection::vec(0u32..=6, 5),
        target in 0u32..=4,
        origins in prop::collection::vec(0u32..5, 1..=20),
    ) {
        let (shards, capacity) = (fills.len() as u32, 4);
        let pool = pool_with_fills(shards, capacity, &fills, 1);
        pool.set_warm_target(1, target).unwrap();
        let demand = &demand[..shards as usize];
        for (shard, count) in demand.iter().enumerate() {
            pool.demand(shard, 1).store(*count, Ordering::Relaxed);
        }
        for (number, origin) in (0..).zip(origins) {
            let origin = origin % shards;
            let before = lens(&pool, 1);
            let went = return_one(&pool, origin, 1, number);
            let expected = expected(&before, demand, target as usize, capacity as usize, origin as usize);
            prop_assert_eq!(went, expected, "fills {:?}, demand {:?}, origin {}", before, demand, origin);
        }
    }
}

/// Buffers are scarce and every one that a shard gets comes back from it: no starved shard waits for ever, however
/// large the demand of the others is.
#[test]
fn small_demand_is_served_beside_large_demand() {
    let pool = pool_with_fills(3, 4, &[0, 0, 0], 0);
    let demand = [4u32, 4, 1];
    for (shard, count) in demand.iter().enumerate() {
        pool.demand(shard, 0).store(*count, Ordering::Relaxed);
    }
    let mut got = [0; 3];
    let mut origin = 0;
    for number in 0..30 {
        origin = return_one(&pool, origin, 0, number).unwrap() as u32;
        got[origin as usize] += 1;
        assert_eq!(drain_lane(&pool, origin, 0).len(), 1);
    }
    assert_eq!(got, [10, 10, 10]);
}

/// H23: enough returned buffers fill all deficits, so nothing is left to allocate.
#[test]
fn returned_buffers_fill_all_deficits() {
    let pool = pool_with_fills(4, 8, &[0, 3, 1, 0], 0);
    pool.set_warm_target(0, 3).unwrap();
    for number in 0..8 {
        return_one(&pool, 2, 0, number);
    }
    assert_eq!(lens(&pool, 0), [3, 3, 3, 3]);
}

/// A parked buffer of one kind must not stand in the way of another kind.
#[test]
fn a_parked_buffer_of_another_kind_is_not_in_the_way() {
    let pool = pool_with_fills(2, 2, &[2, 2], 0);
    let parked = |number: u64, kind| {
        let dev = 0xe000_0000 + number * 64;
        let id = pool.register(dev, dev, kind).unwrap();
        pool.retire(0, Buffer { dev, kind, id }).unwrap();
    };
    parked(0, 1);
    parked(1, 0);
    let mut moved = Vec::new();
    // SAFETY: one thread plays every role.
    let routed = unsafe { pool.recirculate(|buffer, shard| moved.push((buffer.kind, shard))) };
    assert_eq!((routed.placed, moved), (1, vec![(1, Some(0))]));
    // Nothing can move now, and the caller must see that.
    // SAFETY: as above.
    let routed = unsafe { pool.recirculate(|_, _| panic!("nothing moves")) };
    assert_eq!((routed.placed, routed.touched), (0, 0));
    // SAFETY: as above.
    assert_eq!(unsafe { pool.audit() }.errors, 0);
}
