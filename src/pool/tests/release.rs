//! The end of all buffers, and what may follow it.

use super::support::{Device, HOST_OFFSET, Mode, config, drain_lane};
use crate::pool::ledger::Place;
use crate::pool::{Buffer, Pool};
use crate::status::Status;
use crate::sync::atomic::Ordering;

/// Buffers in every sort of place, some of one block in several.
fn scattered(pool: &Pool) {
    // SAFETY: one thread plays every role; likewise below.
    unsafe {
        assert_eq!(pool.allocate(0, 64, 6, None), Ok(6));
        assert_eq!(pool.allocate(1, 200, 3, Some(1)), Ok(3));
        let taken = drain_lane(pool, 0, 0);
        assert_eq!(pool.push_ready(0, &taken[..1], std::ptr::null()), 1);
        assert_eq!(pool.push_done(1, &taken[1..2]), 1);
        pool.retire(0, taken[2]).unwrap();
        pool.quarantine(0, drain_lane(pool, 1, 1)[0]).unwrap();
    }
    for dev in [0x9000_0000, 0x8000_0000] {
        pool.register(dev, dev, 0).unwrap();
    }
    pool.allocate_block(4096).unwrap();
}

#[test]
fn release_visits_each_allocation_once_in_ascending_order() {
    for mode in [Mode::Identity, Mode::Register, Mode::Shadow] {
        let device = Device::new(mode);
        let pool = device.pool(config());
        scattered(&pool);
        let mut expected: Vec<u64> = device.with(|state| state.blocks.keys().copied().collect());
        expected.extend([0x8000_0000, 0x9000_0000]);
        expected.sort_unstable();
        let mut released = Vec::new();
        // SAFETY: no other thread uses the pool.
        let outcome = unsafe {
            pool.release_all(|base| {
                // Lookups are still possible while it runs.
                assert!(pool.resolve(base).is_some());
                released.push(base);
            })
        };
        assert_eq!((outcome, released), (Ok(()), expected));
        assert_empty(&pool);
        // A second one has nothing to do.
        // SAFETY: as above.
        assert_eq!(unsafe { pool.release_all(|_| panic!("released twice")) }, Ok(()));
    }
}

fn assert_empty(pool: &Pool) {
    // SAFETY: no other thread uses the pool.
    let audit = unsafe { pool.audit() };
    assert_eq!((audit.errors, audit.total()), (0, 0));
    for shard in 0..2 {
        assert_eq!((pool.ready(shard).len(), pool.done_len(shard)), (0, 0));
        for kind in 0..2 {
            assert_eq!((pool.recycled_len(shard, kind), pool.tracked(kind)), (0, 0));
            assert_eq!(pool.demand(shard as usize, kind).load(Ordering::Relaxed), 0);
        }
    }
    assert!(pool.resolve(0x8000_0000).is_none() && pool.resolve(0x10_0000).is_none());
}

#[test]
fn addresses_may_be_used_again_after_release() {
    for mode in [Mode::Identity, Mode::Register, Mode::Shadow] {
        let device = Device::new(mode);
        let pool = device.pool(config());
        for round in 0..3 {
            scattered(&pool);
            let mut bases = Vec::new();
            // SAFETY: no other thread uses the pool.
            unsafe { pool.release_all(|base| bases.push(base)) }.unwrap();
            device.with(|state| {
                assert_eq!(state.blocks.len(), 3, "round {round}");
                state.reuse = std::mem::take(&mut state.blocks).into_keys().collect();
            });
        }
        // An old identity resolves to nothing.
        let stale = Buffer { dev: 0x10_0000, kind: 0, id: 1 };
        assert_eq!(pool.ledger().get(stale.id).map(|entry| entry.place), Some(Place::Gone));
    }
}

#[test]
fn release_waits_for_the_end_of_a_run() {
    let device = Device::new(Mode::Identity);
    let pool = device.pool(config());
    scattered(&pool);
    assert!(pool.begin_run());
    assert!(!pool.begin_run(), "two runs on one pool");
    // SAFETY: no other thread uses the pool.
    let refused = unsafe { pool.release_all(|_| panic!("released under a run")) };
    assert_eq!(refused, Err(Status::LANEPIPE_E_STATE));
    assert_eq!(pool.set_live_shards(1), Err(Status::LANEPIPE_E_STATE));
    assert_eq!(pool.set_memory(crate::pool::MemoryContext::default()), Err(Status::LANEPIPE_E_STATE));
    pool.end_run();
    // SAFETY: as above.
    assert_eq!(unsafe { pool.release_all(|_| ()) }, Ok(()));
}

#[test]
fn shadows_are_zeroed_and_pushed() {
    let device = Device::new(Mode::Shadow);
    let pool = device.pool(crate::pool::PoolConfig { block_granularity: 4096, ..config() });
    // SAFETY: one thread plays every role.
    assert_eq!(unsafe { pool.allocate(0, 100, 3, Some(0)) }, Ok(3));
    let (base, written) = device.with(|state| {
        let (base, written) = state.written.first_key_value().unwrap();
        (*base, written.clone())
    });
    assert_eq!(device.with(|state| state.blocks[&base]), 4096);
    assert_eq!(written, vec![0; 4096]);
    for (index, buffer) in (0..).zip(drain_lane(&pool, 0, 0)) {
        assert_eq!(buffer.dev, base + index * 128);
        let host = pool.resolve(buffer.dev).unwrap().host;
        assert_ne!(host, buffer.dev);
        // SAFETY: the shadow of the block is 4096 bytes long.
        let bytes = unsafe { std::slice::from_raw_parts(host as *const u8, 128) };
        assert_eq!(bytes, [0; 128]);
    }
    let host = |dev| pool.resolve(dev).unwrap().host;
    assert_eq!(host(base + 130), host(base) + 130);
    assert!(pool.resolve(base + 4096).is_none());
}

#[test]
fn registration_gives_the_host_address() {
    let device = Device::new(Mode::Register);
    let pool = device.pool(config());
    // SAFETY: one thread plays every role.
    assert_eq!(unsafe { pool.allocate(0, 1, 2, Some(0)) }, Ok(2));
    for buffer in drain_lane(&pool, 0, 0) {
        assert_eq!(pool.resolve(buffer.dev).unwrap().host, buffer.dev + HOST_OFFSET);
    }
    assert_eq!(device.with(|state| state.calls), [1, 1, 0]);
}
