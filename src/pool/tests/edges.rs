//! Refusals, limits and failing callbacks.

use super::support::{Device, Mode, config, drain_lane, pop_lane};
use crate::pool::{Buffer, MemoryContext, Pool, PoolConfig};
use crate::status::Status;

fn strict_pool() -> Pool {
    Device::new(Mode::Identity).pool(PoolConfig { strict: true, ..config() })
}

fn registered(pool: &Pool, dev: u64, kind: u32) -> Buffer {
    let id = pool.register(dev, dev, kind).unwrap();
    Buffer { dev, kind, id }
}

#[test]
fn null_and_foreign_kinds_are_refused_always() {
    for pool in [Device::new(Mode::Identity).pool(config()), strict_pool()] {
        let good = registered(&pool, 0x1000, 1);
        assert_eq!(pool.check_incoming(&[good]), Ok(()));
        let null = Buffer { dev: 0, ..good };
        assert_eq!(pool.check_incoming(&[good, null]), Err(Status::LANEPIPE_E_INVALID));
        for kind in [2, 63, u32::MAX] {
            assert_eq!(pool.check_incoming(&[Buffer { kind, ..good }]), Err(Status::LANEPIPE_E_KIND));
            assert_eq!(pool.register(0x2000, 0x2000, kind), Err(Status::LANEPIPE_E_KIND));
            assert_eq!(pool.set_warm_target(kind, 1), Err(Status::LANEPIPE_E_KIND));
            // SAFETY: one thread plays every role.
            let placed = unsafe { pool.allocate(kind, 64, 1, None) };
            assert_eq!(placed, Err(Status::LANEPIPE_E_KIND));
        }
        assert_eq!(pool.register(0, 0x1000, 0), Err(Status::LANEPIPE_E_INVALID));
    }
}

#[test]
fn a_lenient_pool_takes_what_it_does_not_know() {
    let pool = Device::new(Mode::Identity).pool(config());
    let foreign = Buffer { dev: 0x77, kind: 0, id: 0 };
    assert_eq!(pool.check_incoming(&[foreign, foreign]), Ok(()));
    // SAFETY: one thread plays every role.
    unsafe {
        assert_eq!(pool.push_done(0, &[foreign]), 1);
        assert_eq!(pool.recycle_done(0).placed, 1);
        assert_eq!(pool.audit().errors, 0);
    }
    assert_eq!(drain_lane(&pool, 0, 0), [foreign]);
}

#[test]
fn a_strict_pool_refuses_unknown_pointers() {
    let pool = strict_pool();
    let good = registered(&pool, 0x1000, 0);
    // SAFETY: one thread plays every role.
    assert_eq!(unsafe { pool.allocate(0, 128, 1, Some(0)) }, Ok(1));
    let carved = drain_lane(&pool, 0, 0)[0];
    assert_eq!(pool.check_incoming(&[good, carved]), Ok(()));
    let foreign = [
        Buffer { dev: 0x1001, ..good },
        Buffer { id: good.id + 1, ..good },
        Buffer { id: 0, ..good },
        Buffer { dev: 0x2000, kind: 0, id: 0 },
        // Inside a block, but not where a buffer starts.
        Buffer { dev: carved.dev + 64, kind: 0, id: 0 },
        Buffer { dev: carved.dev, ..good },
    ];
    for buffer in foreign {
        let refused = pool.check_incoming(&[buffer]);
        assert_eq!(refused, Err(Status::LANEPIPE_E_UNKNOWN_POINTER), "{buffer}");
    }
}

#[test]
fn a_strict_pool_refuses_buffers_that_are_in_a_queue() {
    let pool = strict_pool();
    let good = registered(&pool, 0x1000, 0);
    let duplicate = Err(Status::LANEPIPE_E_DUPLICATE);
    assert_eq!(pool.check_incoming(&[good, good]), duplicate, "twice in one call");
    // SAFETY: one thread plays every role; likewise below.
    unsafe {
        assert_eq!(pool.push_ready(0, &[good], std::ptr::null()), 1);
        assert_eq!(pool.check_incoming(&[good]), duplicate);
        let mut out = good;
        assert_eq!(pool.pop_ready(0, &raw mut out, std::ptr::null_mut(), 1), 1);
        assert_eq!(pool.check_incoming(&[good]), Ok(()));
        assert_eq!(pool.push_done(0, &[good]), 1);
        assert_eq!(pool.check_incoming(&[good]), duplicate);
        assert_eq!(pool.recycle_done(0).placed, 1);
        assert_eq!(pool.check_incoming(&[good]), duplicate);
        assert_eq!(drain_lane(&pool, 0, 0), [good]);
        assert_eq!(pool.check_incoming(&[good]), Ok(()));
        pool.retire(0, good).unwrap();
        assert_eq!(pool.check_incoming(&[good]), duplicate);
        assert_eq!(pool.recirculate(|_, _| ()).placed, 1);
        pool.quarantine(0, pop_lane(&pool, 0, 0, 1)[0]).unwrap();
        assert_eq!(pool.check_incoming(&[good]), duplicate);
    }
}

#[test]
fn allocation_refuses_zero_and_overflow_before_it_calls_anybody() {
    let device = Device::new(Mode::Shadow);
    let pool = device.pool(PoolConfig { block_granularity: 1 << 21, ..config() });
    let too_large = Err(Status::LANEPIPE_E_TOO_LARGE);
    // SAFETY: one thread plays every role; likewise below.
    unsafe {
        assert_eq!(pool.allocate(0, 0, 1, None), Err(Status::LANEPIPE_E_INVALID));
        assert_eq!(pool.allocate(0, 1, 0, None), Err(Status::LANEPIPE_E_INVALID));
        assert_eq!(pool.allocate_block(0), Err(Status::LANEPIPE_E_INVALID));
        // Rounding up to the alignment of a buffer overflows; then the product; then rounding up to a block.
        assert_eq!(pool.allocate(0, usize::MAX - 62, 1, None), too_large);
        assert_eq!(pool.allocate(0, usize::MAX / 4 + 1, 4, None), too_large);
        assert_eq!(pool.allocate(0, usize::MAX - 127, 1, None), too_large);
        assert_eq!(pool.allocate_block(usize::MAX), Err(Status::LANEPIPE_E_TOO_LARGE));
    }
    assert_eq!(device.with(|state| state.calls), [0, 0, 0]);
    // What only the shadow cannot hold goes back to the device.
    // SAFETY: as above.
    assert_eq!(unsafe { pool.allocate(0, 1 << 63, 1, None) }, too_large);
    assert_eq!(device.with(|state| (state.calls, state.blocks.len())), ([1, 0, 1], 0));
    assert_eq!(pool.tracked(0), 0);
}

/// An allocator may answer anything. What cannot be mapped leaves no trace in the books.
#[test]
fn a_block_that_cannot_be_mapped_is_not_counted() {
    let device = Device::new(Mode::Identity);
    let pool = device.pool(config());
    device.with(|state| state.reuse = vec![u64::MAX - 127]);
    // SAFETY: one thread plays every role; likewise below.
    let placed = unsafe { pool.allocate(0, 64, 4, None) };
    assert_eq!(placed, Err(Status::LANEPIPE_E_INVALID));
    assert_eq!(device.with(|state| state.blocks.len()), 0);
    assert_eq!(pool.tracked(0), 0);
    // SAFETY: as above.
    unsafe {
        assert_eq!(pool.audit().total(), 0);
        assert_eq!(pool.allocate(0, 64, 4, None), Ok(4));
        let audit = pool.audit();
        assert_eq!((audit.errors, audit.total(), pool.tracked(0)), (0, 4, 4));
    }
}

#[test]
fn without_an_allocator_nothing_is_allocated() {
    let pool = Pool::new(config()).unwrap();
    // SAFETY: one thread plays every role.
    assert_eq!(unsafe { pool.allocate(0, 64, 1, None) }, Err(Status::LANEPIPE_E_STATE));
    pool.set_memory(MemoryContext::default()).unwrap();
    assert_eq!(pool.allocate_block(64), Err(Status::LANEPIPE_E_STATE));
}

#[test]
fn what_does_not_fit_a_lane_is_parked() {
    let device = Device::new(Mode::Identity);
    let pool = device.pool(config());
    // SAFETY: one thread plays every role; likewise below.
    unsafe {
        assert_eq!(pool.allocate(0, 64, 11, None), Ok(11));
        assert_eq!((pool.recycled_len(0, 0), pool.recycled_len(1, 0)), (4, 4));
        let audit = pool.audit();
        assert_eq!((audit.errors, audit.at(crate::pool::ledger::Place::Retired)), (0, 3));
        drain_lane(&pool, 1, 0);
        assert_eq!(pool.recirculate(|_, _| ()).placed, 3);
        assert_eq!(pool.recycled_len(1, 0), 3);
        assert_eq!(pool.audit().errors, 0);
    }
}

#[test]
fn configurations_out_of_range_are_refused() {
    let refused = |config: PoolConfig| assert_eq!(Pool::new(config).err(), Some(Status::LANEPIPE_E_INVALID));
    for count in [0, 65, u32::MAX] {
        refused(PoolConfig { shards: count, ..config() });
        refused(PoolConfig { kinds: count, ..config() });
    }
    for capacity in [0, (1 << 20) + 1, u32::MAX] {
        refused(PoolConfig { ready_capacity: capacity, ..config() });
        refused(PoolConfig { done_capacity: capacity, ..config() });
        refused(PoolConfig { recycled_capacity: capacity, ..config() });
    }
    for payload_size in [4, 12, 1032, u32::MAX] {
        refused(PoolConfig { payload_size, ..config() });
    }
    refused(PoolConfig { block_granularity: 0, ..config() });
    refused(PoolConfig { block_granularity: 3, ..config() });
    refused(PoolConfig { strict: true, untracked: true, ..config() });
}

#[test]
fn one_call_at_a_time_is_inside_a_checked_end() {
    let pool = Device::new(Mode::Identity).pool(PoolConfig { check_overlap: true, ..config() });
    let inside = pool.enter(|| pool.done_ring(0).enter_producer()).unwrap();
    assert!(inside.is_some());
    let second = pool.enter(|| pool.done_ring(0).enter_producer());
    assert_eq!(second.err(), Some(Status::LANEPIPE_E_OVERLAP));
    assert!(pool.enter(|| pool.done_ring(0).enter_consumer()).is_ok());
    assert!(pool.enter(|| pool.lane_ring(0, 1).enter_consumer()).is_ok());
    drop(inside);
    assert!(pool.enter(|| pool.done_ring(0).enter_producer()).is_ok());
    let lenient = Device::new(Mode::Identity).pool(config());
    assert!(lenient.enter(|| lenient.done_ring(0).enter_producer()).unwrap().is_none());
}

/// The audit is only worth something if it finds what is wrong.
#[test]
fn the_audit_finds_buffers_in_two_places_and_in_the_wrong_one() {
    let pool = Device::new(Mode::Identity).pool(config());
    let buffers: Vec<Buffer> = (1..=3).map(|number| registered(&pool, number * 0x1000, 0)).collect();
    // SAFETY: one thread plays every role; likewise below.
    let errors = || unsafe { pool.audit() }.errors;
    // SAFETY: as above.
    unsafe {
        assert_eq!(pool.push_done(0, &buffers[..2]), 2);
        assert_eq!(errors(), 0);
        // In a lane and in a done ring: seen twice, and once not where the ledger has it.
        assert!(pool.push_recycled(1, &buffers[0]));
        assert!(errors() != 0);
        assert_eq!(drain_lane(&pool, 1, 0), [buffers[0]]);
        // In a done ring, but with the device according to the ledger.
        assert_eq!(errors(), 1);
        assert_eq!(pool.recycle_done(0).placed, 2);
        assert_eq!(errors(), 0);
        // Under a foreign kind.
        assert_eq!(pool.push_done(0, &[Buffer { kind: 1, ..buffers[2] }]), 1);
        assert_eq!(errors(), 0, "the ledger goes by what it was told");
        assert_eq!(pool.recycle_done(0).placed, 1);
        // In no queue, though the ledger says so.
        assert_eq!(drain_lane(&pool, 0, 0).len(), 2);
        pool.note(&buffers[0], crate::pool::ledger::Place::Retired, 0);
    }
    assert_eq!(errors(), 1);
}
