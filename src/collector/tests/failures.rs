//! What cannot be had leaves nothing behind; what cannot be copied is counted and comes back into circulation.

use super::cycle::{flush_counters, record_counters};
use super::rig::{Device, Reach, Rig, TestArch, WallClock, eventually, everywhere};
use crate::collector::{Collector, Of, Subsystem, Verdict};
use crate::device::pmu::Pmu;
use crate::event::Deadline;
use crate::layout::runtime::A5;
use crate::layout::runtime::a5::PmuRecord;
use crate::pool::MemoryOps;
use crate::pool::ledger::Place;
use crate::status::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

everywhere! {
    allocation = an_allocation_that_fails;
    threads = a_thread_that_cannot_be_made;
    conserved = every_buffer_is_in_one_place;
}

const ALL: [Subsystem; 5] =
    [Subsystem::Swimlane, Subsystem::Pmu, Subsystem::DepGen, Subsystem::ArgsDump, Subsystem::ScopeStats];

/// Whichever allocation of a creation fails, the others are given back.
fn an_allocation_that_fails<A: TestArch>(mode: Reach) {
    for subsystem in ALL {
        let make = |left: i64| {
            let device = Device::new(mode);
            device.allocations_left.store(left, Ordering::Relaxed);
            let (config, _, _) = Rig::config::<A>(&device, subsystem);
            (Collector::new(config), device)
        };
        let (made, device) = make(-1);
        assert!(made.is_ok());
        let allocations = i64::from(device.allocations.load(Ordering::Relaxed));
        drop(made);
        assert_eq!(device.live(), 0);
        for left in 0..allocations {
            let (made, device) = make(left);
            let problem = made.err().expect("made without memory");
            assert_eq!(problem.status, Status::LANEPIPE_E_NO_MEMORY, "{subsystem:?}, {left}: {problem:?}");
            assert_eq!(device.live(), 0, "{subsystem:?}, {left}");
        }
    }
}

/// Whichever thread cannot be made, the others end, and a later start works.
fn a_thread_that_cannot_be_made<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    // Three pairs, replenish and sentinel.
    for left in 0..8 {
        rig.factory.left.store(left, Ordering::Relaxed);
        assert_eq!(rig.collector().start(), Err(Status::LANEPIPE_E_THREAD), "{left}");
        assert_eq!(rig.factory.alive.load(Ordering::Relaxed), 0);
    }
    rig.factory.left.store(-1, Ordering::Relaxed);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 1, &[4], 1, 600);
    flush_counters(&pmu, 1, &[4]);
    rig.stop();
    rig.assert_whole();
    assert_eq!(rig.plain::<PmuRecord>(0, 4).len(), 600);
    rig.finish();
}

/// At rest the ledger and the queues agree, and every buffer that the device does not have is back.
fn every_buffer_is_in_one_place<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 0, &[0, 1], 1, 3000);
    rig.stop();
    rig.collector().recover().unwrap();
    let pool = &rig.collector().intake.pool;
    // SAFETY: no thread runs.
    let audit = unsafe { pool.audit() };
    assert_eq!(audit.errors, 0, "{audit:?}");
    for place in [Place::Drain, Place::Ready, Place::Collect, Place::Replenish, Place::Quarantined] {
        assert_eq!(audit.at(place), 0, "{place:?}");
    }
    let stream = &rig.collector().intake.module.streams[0];
    let most = u64::from(stream.instances * stream.max_buffers);
    assert!((u64::from(stream.instances * stream.buffers)..=most).contains(&audit.total()), "{audit:?}");
    rig.finish();
}

/// Contents that cannot be copied: the records are lost and counted as such, the buffers go on, and so does the rest.
#[test]
fn contents_that_cannot_be_copied() {
    let rig = Rig::new::<A5>(Reach::Shadow, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
    // Whole buffers fail; the last ones are smaller.
    rig.device.broken_size.store(512 * 64, Ordering::Relaxed);
    record_counters(&rig, &pmu, 0, &[0, 1], 1, 4000);
    flush_counters(&pmu, 0, &[0, 1]);
    rig.stop();
    let books = rig.books(Of::Instance(0, 0));
    assert_eq!((books.total, books.collected, books.lost, books.lost_buffers), (4000, 416, 3584, 7));
    assert_eq!((books.verdict, books.unaccounted), (Verdict::Balanced, 0));
    assert!(rig.lines.has(crate::log::WARN, "could not be copied"));
    assert!(rig.plain::<PmuRecord>(0, 0).iter().map(|record| record.task_id).eq(3585..=4000));
    rig.finish();
}

/// A count that cannot be read leaves records of unknown number unaccounted for; the buffer comes back.
#[test]
fn a_count_that_cannot_be_read() {
    let rig = Rig::new::<A5>(Reach::Shadow, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
    record_counters(&rig, &pmu, 0, &[0], 1, 10);
    let intake = &rig.collector().intake;
    let stream = &intake.module.streams[0];
    let current = rig.word64(stream.state_at(0) + stream.state.current).load(Ordering::Acquire);
    let known = intake.pool.resolve(current).unwrap();
    rig.device.broken.store(true, Ordering::Relaxed);
    // SAFETY: a buffer of the stream.
    let brought = unsafe { intake.bring(stream, &intake.accounts[0].taken, current, known.host) };
    assert_eq!(brought, (0, crate::collector::intake::LOST));
    assert_eq!(rig.collector().stop(Deadline::NEVER), Ok(()));
    assert_eq!(rig.collector().reconcile(), Err(Status::LANEPIPE_E_CALLBACK));
    assert_eq!(rig.collector().recover(), Err(Status::LANEPIPE_E_CALLBACK));
    rig.device.broken.store(false, Ordering::Relaxed);
    assert_eq!(rig.collector().recover(), Ok(10));
    let books = rig.books(Of::Instance(0, 0));
    assert_eq!((books.collected, books.lost_buffers, books.verdict), (10, 1, Verdict::Balanced));
    rig.finish();
}

/// An active buffer that cannot be copied stays with the device: the others are delivered, and another call goes on.
#[test]
fn an_active_buffer_that_cannot_be_copied() {
    let rig = Rig::new::<A5>(Reach::Shadow, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
    record_counters(&rig, &pmu, 0, &[0], 1, 10);
    record_counters(&rig, &pmu, 0, &[1], 1, 20);
    rig.stop();
    // The counts.
    rig.device.broken_size.store(4, Ordering::Relaxed);
    assert_eq!(rig.collector().reconcile(), Err(Status::LANEPIPE_E_CALLBACK));
    // The records of one buffer.
    rig.device.broken_size.store(10 * 64, Ordering::Relaxed);
    assert_eq!(rig.books(Of::All).unflushed, 30);
    for _ in 0..2 {
        assert_eq!(rig.collector().recover(), Err(Status::LANEPIPE_E_CALLBACK));
        let books = rig.books(Of::All);
        assert_eq!((books.recovered, books.unflushed, books.unaccounted), (20, 10, 10));
    }
    rig.device.broken_size.store(0, Ordering::Relaxed);
    assert_eq!(rig.collector().recover(), Ok(10));
    rig.assert_whole();
    rig.finish();
}

/// A link that fails for a while: entries stay, and come once it works, or by recovery.
#[test]
fn a_link_that_fails_for_a_while() {
    let rig = Rig::new::<A5>(Reach::Shadow, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
    rig.device.broken.store(true, Ordering::Relaxed);
    record_counters(&rig, &pmu, 0, &[0], 1, 700);
    flush_counters(&pmu, 0, &[0]);
    rig.device.broken.store(false, Ordering::Relaxed);
    eventually("collecting", || rig.collector().collected() == 700);
    rig.stop();
    rig.assert_whole();
    rig.finish();
}

/// As much is copied as there are records: not whole buffers, whose records nobody wrote.
#[test]
fn only_records_are_copied() {
    let rig = Rig::new::<A5>(Reach::Shadow, Subsystem::DepGen);
    rig.start();
    let mut clock = WallClock::new::<A5>();
    // SAFETY: the rig's region.
    let mut dep_gen = unsafe { crate::device::dep_gen::DepGen::<A5>::init(rig.base(), &mut clock) };
    dep_gen.set_orch_thread_idx(2);
    super::cycle::submit(&mut dep_gen, &mut clock, 1, 3);
    dep_gen.flush(&mut clock);
    rig.stop();
    assert_eq!(rig.collector().collected(), 1);
    // Words of queues and gates in every round, besides; a buffer has 4.8 million bytes.
    assert!(rig.device.copied_in.load(Ordering::Relaxed) < 1_000_000);
    rig.finish();
}

/// Two runs are two collectors, of which the second has nothing of the first.
#[test]
fn two_runs_in_a_row() {
    for mode in Reach::all() {
        for run in 0..2 {
            let rig = Rig::new::<A5>(mode, Subsystem::Pmu);
            rig.start();
            // SAFETY: the rig's region.
            let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
            record_counters(&rig, &pmu, 0, &[0], 1 + run * 1000, 600);
            flush_counters(&pmu, 0, &[0]);
            rig.stop();
            rig.assert_whole();
            let first = u64::from(1 + run * 1000);
            assert!(rig.plain::<PmuRecord>(0, 0).iter().map(|record| record.task_id).eq(first..first + 600));
            rig.finish();
        }
    }
}

/// One copy callback of two.
struct Half(Arc<Device>);

impl MemoryOps for Half {
    fn alloc(&self, size: usize) -> u64 {
        self.0.alloc(size)
    }
    fn registers(&self) -> bool {
        false
    }
    fn register(&self, _: u64, _: usize, _: i32) -> u64 {
        0
    }
    fn free(&self, dev: u64) {
        self.0.free(dev);
    }
    fn copies(&self) -> bool {
        true
    }
    fn copies_in(&self) -> bool {
        false
    }
    unsafe fn copy_to_device(&self, _: u64, _: *const u8, _: usize) -> bool {
        true
    }
    unsafe fn copy_from_device(&self, _: *mut u8, _: u64, _: usize) -> bool {
        false
    }
}

#[test]
fn half_a_link_is_refused() {
    let device = Device::new(Reach::Shadow);
    let (mut config, _, _) = Rig::config::<A5>(&device, Subsystem::Pmu);
    config.memory = Arc::new(Half(device.clone()));
    let problem = Collector::new(config).err().unwrap();
    assert_eq!((problem.status, device.live()), (Status::LANEPIPE_E_NULL, 0));
}

/// Of its addresses one is not aligned: that of an allocation, or the host's.
struct Odd {
    device: Arc<Device>,
    /// Allocations, and registrations, before that; below 0: none is.
    allocations: AtomicI64,
    registrations: AtomicI64,
}

impl MemoryOps for Odd {
    fn alloc(&self, size: usize) -> u64 {
        let skew = if self.allocations.fetch_sub(1, Ordering::Relaxed) == 0 { 8 } else { 0 };
        self.device.alloc(size + 64) + skew
    }
    fn registers(&self) -> bool {
        self.device.registers()
    }
    fn register(&self, dev: u64, size: usize, device_id: i32) -> u64 {
        let skew = if self.registrations.fetch_sub(1, Ordering::Relaxed) == 0 { 32 } else { 0 };
        self.device.register(dev, size + 64, device_id) + skew
    }
    fn free(&self, dev: u64) {
        self.device.free(dev / 64 * 64);
    }
    fn copies(&self) -> bool {
        self.device.copies()
    }
    unsafe fn copy_to_device(&self, dev: u64, source: *const u8, size: usize) -> bool {
        // SAFETY: forwarded.
        unsafe { self.device.copy_to_device(dev, source, size) }
    }
    unsafe fn copy_from_device(&self, destination: *mut u8, dev: u64, size: usize) -> bool {
        // SAFETY: forwarded.
        unsafe { self.device.copy_from_device(destination, dev, size) }
    }
}

/// Whichever block is not aligned, of buffers or else, creation is refused and everything given back.
#[test]
fn addresses_that_are_not_aligned() {
    for (mode, subsystem) in Reach::all().into_iter().flat_map(|mode| ALL.map(|subsystem| (mode, subsystem))) {
        let make = |allocations: i64, registrations: i64| {
            let device = Device::new(mode);
            let (mut config, _, _) = Rig::config::<A5>(&device, subsystem);
            let (allocations, registrations) = (allocations.into(), registrations.into());
            let odd = Arc::new(Odd { device: device.clone(), allocations, registrations });
            config.memory = odd.clone();
            let status = Collector::new(config).map(drop).map_err(|problem| problem.status);
            assert_eq!(device.live(), 0, "{mode:?}, {subsystem:?}");
            (status, [&odd.allocations, &odd.registrations].map(|count| -1 - count.load(Ordering::Relaxed)))
        };
        let (made, [allocations, registrations]) = make(-1, -1);
        assert_eq!(made, Ok(()));
        assert!(allocations > 1 && (registrations > 1) == (mode == Reach::Registered));
        for at in 0..allocations {
            assert_eq!(make(at, -1).0, Err(Status::LANEPIPE_E_MISALIGNED), "{mode:?}, {subsystem:?}, {at}");
        }
        for at in 0..registrations {
            assert_eq!(make(-1, at).0, Err(Status::LANEPIPE_E_MISALIGNED), "{mode:?}, {subsystem:?}, {at}");
        }
    }
}
