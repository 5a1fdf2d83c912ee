//! Claims, freeing, and pools whose buffers have no identity.

use super::support::{Device, Mode, config, drain_lane, pop_done};
use crate::pool::ledger::Place;
use crate::pool::{Buffer, Pool, PoolConfig};
use crate::status::Status;

const UNKNOWN: Status = Status::LANEPIPE_E_UNKNOWN_POINTER;

fn untracked(device: &Device) -> Pool {
    device.pool(PoolConfig { untracked: true, ..config() })
}

/// One that nothing gives memory back from.
fn bare() -> Pool {
    Pool::new(PoolConfig { untracked: true, ..config() }).unwrap()
}

fn malloc() -> u64 {
    // SAFETY: a plain allocation.
    let host = unsafe { libc::malloc(64) } as u64;
    assert_ne!(host, 0);
    host
}

fn adopt(pool: &Pool, host: u64) {
    // SAFETY: from `malloc`, and nobody else frees it.
    unsafe { pool.adopt_shadow(host) }.unwrap();
}

fn clear(pool: &Pool) -> Result<(), Status> {
    // SAFETY: no other thread uses the pool.
    unsafe { pool.clear_mappings() }
}

#[test]
fn an_allocation_is_claimed_once_whatever_piece_is_shown() {
    let device = Device::new(Mode::Identity);
    for pool in [device.pool(config()), untracked(&device)] {
        // SAFETY: one thread plays every role.
        assert_eq!(unsafe { pool.allocate(0, 64, 4, Some(0)) }, Ok(4));
        let base = drain_lane(&pool, 0, 0)[0].dev;
        pool.register(0x9000, 0x9000, 0).unwrap();
        for dev in [base, base + 1, base + 255] {
            assert_eq!(pool.base_of(dev), Some(base));
        }
        assert_eq!(pool.claim_base(base + 64), Ok((base, true)));
        assert_eq!(pool.claim_base(base), Ok((base, false)));
        assert_eq!(pool.claim_base(base + 255), Ok((base, false)));
        assert_eq!(pool.claim_base(0x9000), Ok((0x9000, true)));
        // Neither looking nor registering again takes the mark away.
        pool.register(0x9000, 0x9000, 0).unwrap();
        assert_eq!(pool.claim_base(0x9000), Ok((0x9000, false)));
        for dev in [0, base + 256, 0x9001] {
            assert_eq!((pool.base_of(dev), pool.claim_base(dev)), (None, Err(UNKNOWN)));
        }
        assert_eq!(pool.free(base + 64), Ok(false), "somebody else frees it");
        device.with(|state| assert_eq!(state.calls[2], 0));
    }
}

/// Whatever ends an allocation, the address may come back and is as good as new.
#[test]
fn a_claim_ends_with_the_allocation() {
    let device = Device::new(Mode::Identity);
    let pool = device.pool(config());
    let (base, _) = pool.allocate_block(256).unwrap();
    assert_eq!(pool.claim_base(base), Ok((base, true)));
    // Given back to the allocator behind the pool's back, and allocated again.
    device.with(|state| {
        state.blocks.remove(&base);
        state.reuse.push(base);
    });
    assert_eq!(pool.allocate_block(128).unwrap().0, base);
    assert_eq!(pool.resolve(base + 128), None, "the earlier block is gone");
    assert_eq!(pool.claim_base(base + 1), Ok((base, true)));
    pool.map_block(base, 0x7000, 0).unwrap();
    assert_eq!(pool.claim_base(base), Ok((base, true)));
    assert_eq!(clear(&pool), Ok(()));
    assert_eq!(pool.claim_base(base), Err(UNKNOWN));
    pool.map_block(base, 0x7000, 64).unwrap();
    assert_eq!(pool.claim_base(base + 63), Ok((base, true)));
}

#[test]
fn freeing_a_piece_frees_its_block_and_nothing_else() {
    for mode in [Mode::Identity, Mode::Register, Mode::Shadow] {
        let device = Device::new(mode);
        let pool = device.pool(config());
        // SAFETY: one thread plays every role; likewise below.
        unsafe { assert_eq!((pool.allocate(1, 64, 3, Some(0)), pool.allocate(1, 64, 2, Some(0))), (Ok(3), Ok(2))) };
        let buffers = drain_lane(&pool, 0, 1);
        let base = buffers[0].dev;
        pool.register(base + 32, 0x5555, 0).unwrap();
        assert_eq!(pool.tracked(1), 5);
        assert_eq!(pool.free(buffers[2].dev), Ok(true));
        device.with(|state| assert_eq!((state.blocks.len(), state.calls[2]), (1, 1)));
        assert_eq!((pool.resolve(base), pool.resolve(base + 64)), (None, None));
        assert_eq!(pool.resolve(base + 32).unwrap().host, 0x5555, "an address registered inside stays");
        assert_eq!(pool.ledger().get(buffers[0].id).unwrap().place, Place::Gone);
        assert_eq!((pool.free(base), pool.free(0)), (Err(UNKNOWN), Err(UNKNOWN)));
        assert_eq!((pool.tracked(0), pool.tracked(1)), (1, 2));
        // The address comes back.
        device.with(|state| state.reuse.push(base));
        assert_eq!(pool.allocate_block(256).unwrap().0, base);
        assert_eq!(pool.free(base + 255), Ok(true));
        // SAFETY: as above.
        let audit = unsafe { pool.audit() };
        assert_eq!((audit.errors, audit.total()), (0, 3));
    }
}

/// The callback of an allocator may hand the address out again before `free` is through.
#[test]
fn a_claim_made_during_free_stays() {
    struct Reentrant(std::sync::Mutex<Option<std::sync::Arc<Pool>>>);
    impl crate::pool::MemoryOps for Reentrant {
        fn alloc(&self, _: usize) -> u64 {
            0x4000
        }
        fn registers(&self) -> bool {
            false
        }
        fn register(&self, _: u64, _: usize, _: i32) -> u64 {
            0
        }
        fn free(&self, dev: u64) {
            let pool = self.0.lock().unwrap().take().unwrap();
            assert_eq!(pool.base_of(dev), None);
            pool.map_block(dev, 0x8000, 64).unwrap();
            assert_eq!(pool.claim_base(dev), Ok((dev, true)));
        }
        fn copies(&self) -> bool {
            false
        }
        unsafe fn copy_to_device(&self, _: u64, _: *const u8, _: usize) -> bool {
            false
        }
        unsafe fn copy_from_device(&self, _: *mut u8, _: u64, _: usize) -> bool {
            false
        }
    }
    let pool = std::sync::Arc::new(Pool::new(config()).unwrap());
    let ops = Reentrant(std::sync::Mutex::new(Some(pool.clone())));
    pool.set_memory(crate::pool::MemoryContext { ops: Some(Box::new(ops)), ..Default::default() }).unwrap();
    let (base, _) = pool.allocate_block(64).unwrap();
    assert_eq!(pool.free(base), Ok(true));
    assert_eq!(pool.claim_base(base), Ok((base, false)));
    assert_eq!(pool.resolve(base).unwrap().host, 0x8000);
}

/// Double frees and leaks show under the address sanitizer and to the heap's own checks.
#[test]
fn adopted_memory_is_freed_once() {
    let pool = bare();
    let [own, replaced, stray] = [malloc(), malloc(), malloc()];
    for host in [own, own, replaced, stray] {
        adopt(&pool, host);
    }
    pool.register(0x1000, own, 0).unwrap();
    pool.register(0x2000, replaced, 0).unwrap();
    pool.register(0x2000, 0x9999, 0).unwrap();
    assert_eq!((pool.free(0x1000), pool.free(0x1000)), (Ok(true), Err(UNKNOWN)));
    assert_eq!(pool.free(0x2000), Ok(true));
    assert_eq!((clear(&pool), clear(&pool)), (Ok(()), Ok(())));
    let again = malloc();
    adopt(&pool, again);
    // SAFETY: no other thread uses the pool.
    assert_eq!(unsafe { pool.release_all(|_| panic!("nothing is mapped")) }, Ok(()));
    // A destroyed pool leaves it alone.
    let last = malloc();
    adopt(&pool, last);
    drop(pool);
    // SAFETY: the pool is gone and did not free it.
    unsafe { libc::free(last as *mut _) };
}

/// Both shadows of an allocation whose mapping was overwritten go with it.
#[test]
fn freeing_finds_the_shadow_behind_an_overwritten_mapping() {
    let pool = bare();
    let [first, second] = [malloc(), malloc()];
    pool.map_block(0x1000, first, 64).unwrap();
    pool.register(0x1000, second, 0).unwrap();
    adopt(&pool, first);
    adopt(&pool, second);
    assert_eq!(pool.free(0x1020), Ok(true));
    assert_eq!(clear(&pool), Ok(()));
}

#[test]
fn untracked_buffers_have_no_identity() {
    let device = Device::new(Mode::Register);
    let pool = untracked(&device);
    assert_eq!(pool.register(0, 0x77, 1), Ok(0));
    assert_eq!(pool.register(0x1000, 0, 1), Ok(0));
    assert_eq!(pool.resolve(0).unwrap().host, 0x77);
    assert_eq!(pool.resolve(0x1000).unwrap().host, 0);
    assert_eq!(pool.register(0x1000, 0x88, 9), Err(Status::LANEPIPE_E_KIND));
    assert_eq!(pool.register(0x1000, 0x88, 0), Ok(0));
    assert_eq!(pool.resolve(0x1000).unwrap().host, 0x88);
    // Any number, in two places at once, with ids that mean nothing.
    let buffer = Buffer { dev: 0x1000, kind: 1, id: 77 };
    // SAFETY: one thread plays every role.
    unsafe {
        assert_eq!(pool.allocate(1, 100, 3, None), Ok(3));
        assert!(drain_lane(&pool, 0, 1).iter().all(|buffer| buffer.id == 0));
        assert_eq!(pool.check_incoming(&[buffer, buffer]), Ok(()));
        assert_eq!(pool.push_done(0, &[buffer, buffer]), 2);
        assert!(pool.push_recycled(1, &buffer));
        pool.retire(0, buffer).unwrap();
        pool.quarantine(0, buffer).unwrap();
        let audit = pool.audit();
        assert_eq!((audit.errors, audit.total()), (0, 0));
    }
    assert_eq!(pool.tracked(1), 0);
    // Only a ready ring takes an element without a buffer.
    let none = Buffer { dev: 0, kind: 1, id: 0 };
    assert_eq!(pool.check_incoming(&[none]), Err(Status::LANEPIPE_E_INVALID));
    assert_eq!(pool.check_ready(&[none]), Ok(()));
    assert_eq!(pool.check_ready(&[Buffer { kind: 2, ..none }]), Err(Status::LANEPIPE_E_KIND));
    assert_eq!(device.pool(config()).check_ready(&[none]), Err(Status::LANEPIPE_E_INVALID));
}

#[test]
fn a_quarantined_buffer_makes_room_for_another() {
    let device = Device::new(Mode::Identity);
    let pool = device.pool(config());
    // SAFETY: one thread plays every role.
    assert_eq!(unsafe { pool.allocate(0, 64, 3, Some(0)) }, Ok(3));
    let buffers = drain_lane(&pool, 0, 0);
    pool.quarantine(0, buffers[0]).unwrap();
    assert_eq!(pool.tracked(0), 2);
    pool.retire(0, buffers[1]).unwrap();
    assert_eq!(pool.tracked(0), 2);
    assert_eq!(pool.free(buffers[0].dev), Ok(true));
    assert_eq!(pool.tracked(0), 0);
}

#[test]
fn mappings_of_a_tracked_pool_stay_while_buffers_are_queued() {
    let device = Device::new(Mode::Shadow);
    let pool = device.pool(config());
    // SAFETY: one thread plays every role.
    assert_eq!(unsafe { pool.allocate(0, 64, 2, Some(0)) }, Ok(2));
    assert_eq!(clear(&pool), Err(Status::LANEPIPE_E_STATE));
    let mut bases = Vec::new();
    // SAFETY: as above.
    unsafe { pool.release_queued(|base| bases.push(base)) }.unwrap();
    assert_eq!(bases.len(), 1);
    assert_eq!(clear(&pool), Ok(()));
    // SAFETY: as above.
    assert_eq!((unsafe { pool.audit() }.total(), pool.resolve(bases[0])), (0, None));
    device.with(|state| assert_eq!(state.calls[2], 0, "the device memory is the caller's"));
}

#[test]
fn mappings_stay_while_threads_run() {
    let pool = bare();
    pool.register(0x1000, 0x1000, 0).unwrap();
    assert!(pool.begin_run());
    assert_eq!(clear(&pool), Err(Status::LANEPIPE_E_STATE));
    // SAFETY: no other thread uses the pool.
    let refused = unsafe { pool.release_queued(|_| panic!("released under a run")) };
    assert_eq!(refused, Err(Status::LANEPIPE_E_STATE));
    assert_eq!(pool.set_warm_target(0, 3), Ok(()), "routing may change under a run");
    assert_eq!(pool.map_block(0x2000, 0x2000, 64), Ok(()));
    assert_eq!(pool.free(0x1000), Ok(true));
    pool.end_run();
    assert_eq!(clear(&pool), Ok(()));
}

/// The callback may ask, and a base comes once however many of its pieces are queued.
#[test]
fn queued_buffers_are_released_in_the_order_of_the_queues() {
    let device = Device::new(Mode::Identity);
    let pool = untracked(&device);
    let at = |dev: u64, kind| Buffer { dev, kind, id: 0 };
    pool.map_block(0x1000, 0x1000, 0x100).unwrap();
    // SAFETY: one thread plays every role.
    unsafe {
        assert_eq!(pool.push_ready(0, &[at(0x60, 0), at(0, 0), at(0x20, 0)], std::ptr::null()), 3);
        assert_eq!(pool.push_done(1, &[at(0x50, 1), at(0x1080, 0)]), 2);
        pool.retire(1, at(0x40, 0)).unwrap();
        pool.quarantine(1, at(0x41, 0)).unwrap();
        pool.retire(1, at(0x42, 0)).unwrap();
        pool.retire(0, at(0x43, 1)).unwrap();
        assert!(pool.push_recycled(1, &at(0x30, 0)));
        assert!(pool.push_recycled(0, &at(0x20, 1)));
        assert!(pool.push_recycled(0, &at(0x1040, 0)));
        assert!(pool.push_recycled(0, &at(0x10, 0)));
        // What is not live is visited too.
        pool.set_live_shards(1).unwrap();
        let mut bases = Vec::new();
        pool.release_queued(|base| {
            let _ = (pool.claim_base(base), pool.resolve(base));
            bases.push(base);
        })
        .unwrap();
        assert_eq!(bases, [0x1000, 0x10, 0x20, 0x30, 0x43, 0x42, 0x41, 0x40, 0x50, 0x60]);
        pool.release_queued(|_| panic!("the queues are empty")).unwrap();
    }
    assert_eq!(pop_done(&pool, 0, 4), []);
    assert_eq!(pool.claim_base(0x1000), Ok((0x1000, false)), "mappings and claims stay");
}
