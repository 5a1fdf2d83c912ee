//! What the device drops is counted, and the equations hold: D26, D27, D28.

use super::cycle::{flush_counters, record_counters, submit};
use super::rig::{PmuAt, Reach, Rig, TestArch, WallClock, everywhere, publish_counters};
use crate::collector::{Of, Subsystem, Verdict};
use crate::device::dep_gen::{DepGen, Outcome, Submit};
use crate::device::lane::Thread;
use crate::device::pmu::{self, Pmu};
use crate::layout::runtime::A5;
use crate::layout::runtime::a5::PmuRecord;
use crate::layout::runtime::common::DepGenRecord;
use crate::status::Status;

everywhere! {
    dropped = a_device_without_a_host_drops;
    no_index = submits_before_the_queue_is_known;
}

/// With the host stopped the free queue runs dry, and waits run out: everything is either collected or dropped.
fn a_device_without_a_host_drops<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    rig.stop();
    let (mut clock, mut lane) = (WallClock::hasty::<A>(), Thread::new(0));
    let mut outcomes = [0u64; 2];
    for token in 1..=4000 {
        if A::RING.is_some() {
            publish_counters(&rig, 0, token, 1);
        }
        let task = pmu::Task { task_id: u64::from(token), func_id: 0, core_type: 0 };
        let mut at = PmuAt { thread: &mut lane, clock: &mut clock, core: 0, token };
        match A::record_pmu(&pmu, &mut at, task) {
            pmu::Outcome::Written => outcomes[0] += 1,
            pmu::Outcome::Dropped => outcomes[1] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(outcomes[1] > 0, "nothing was dropped");
    rig.collector().recover().unwrap();
    let books = rig.books(Of::Instance(0, 0));
    assert_eq!((books.total, books.collected, books.dropped), (4000, outcomes[0], outcomes[1]));
    assert_eq!((books.verdict, books.unaccounted), (Verdict::Balanced, 0));
    assert!(rig.lines.has(crate::log::WARN, "dropped by the device"));
    rig.finish();
}

/// D29: counted as attempts and as dropped.
fn submits_before_the_queue_is_known<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::DepGen);
    rig.start();
    let mut clock = WallClock::new::<A>();
    // SAFETY: the rig's region.
    let mut dep_gen = unsafe { DepGen::<A>::init(rig.base(), &mut clock) };
    let early = Submit {
        task_id: 1,
        in_manual_scope: false,
        early_dispatch: false,
        tensors: &[],
        arg_types: None,
        deps: &[],
        block_num: 1,
        kernel_ids: None,
    };
    assert_eq!(dep_gen.record_submit(&mut clock, &early), Outcome::NoIndex);
    dep_gen.set_orch_thread_idx(2);
    submit(&mut dep_gen, &mut clock, 2, 700);
    dep_gen.flush(&mut clock);
    rig.stop();
    let books = rig.books(Of::All);
    assert_eq!((books.total, books.dropped, books.overflow, books.collected), (2, 1, 2, 3));
    assert_eq!(books.verdict, Verdict::Balanced);
    assert_eq!(rig.plain::<DepGenRecord>(0, 0).len(), 3);
    rig.finish();
}

/// D27: a core that leaves no slot is a mismatch, which is an error of its own.
#[test]
fn mismatches_of_a5_are_told_apart() {
    for mode in Reach::all() {
        let rig = Rig::new::<A5>(mode, Subsystem::Pmu);
        rig.start();
        let (mut clock, mut lane) = (WallClock::new::<A5>(), Thread::new(1));
        // SAFETY: the rig's region.
        let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut clock) };
        for token in 1..=100 {
            if token % 4 != 0 {
                publish_counters(&rig, 3, token, 1);
            }
            let task = pmu::Task { task_id: u64::from(token), func_id: 0, core_type: 0 };
            pmu.complete_record(&mut lane, &mut clock, 3, token, task);
        }
        flush_counters(&pmu, 1, &[3]);
        rig.stop();
        let books = rig.books(Of::Instance(0, 3));
        assert_eq!((books.total, books.collected, books.mismatch), (100, 75, 25));
        assert_eq!((books.verdict, books.unaccounted), (Verdict::Balanced, 0));
        assert!(rig.lines.has(crate::log::ERROR, "in time"));
        rig.finish();
    }
}

/// A total that nothing explains is told.
#[test]
fn what_is_missing_is_unaccounted_for() {
    let rig = Rig::new::<A5>(Reach::Shared, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
    record_counters(&rig, &pmu, 0, &[0, 1], 1, 20);
    flush_counters(&pmu, 0, &[0, 1]);
    rig.stop();
    let stream = &rig.collector().intake.module.streams[0];
    let total = rig.word32(stream.state_at(1) + stream.state.total.unwrap());
    let dropped = rig.word32(stream.state_at(1) + stream.state.dropped);
    total.store(25, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(rig.books(Of::Instance(0, 1)).unaccounted, 5);
    assert_eq!(rig.books(Of::Instance(0, 0)).verdict, Verdict::Balanced);
    assert_eq!(rig.books(Of::All).verdict, Verdict::Unbalanced);
    assert!(rig.lines.has(crate::log::WARN, "5 are unaccounted for"));
    // Counters wrap at 2^32, and the difference with them.
    total.store(20u32.wrapping_add(7), std::sync::atomic::Ordering::Relaxed);
    dropped.store(7, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(rig.books(Of::All).verdict, Verdict::Balanced);
    total.store(3, std::sync::atomic::Ordering::Relaxed);
    dropped.store(3u32.wrapping_sub(20), std::sync::atomic::Ordering::Relaxed);
    assert_eq!(rig.books(Of::All).verdict, Verdict::Balanced);
    rig.finish();
}

/// Beyond the limit records are counted, not stored; the books balance all the same.
#[test]
fn the_store_has_a_limit() {
    let rig = Rig::with::<A5>(Reach::Shadow, Subsystem::Pmu, |config| config.max_stored_bytes = 600 * 64);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
    record_counters(&rig, &pmu, 0, &[0], 1, 1100);
    flush_counters(&pmu, 0, &[0]);
    rig.stop();
    let books = rig.books(Of::All);
    // The second buffer of 512 does not fit, the rest of 76 does.
    assert_eq!((books.collected, books.not_stored, books.verdict), (1100, 512, Verdict::Balanced));
    let kept = rig.plain::<PmuRecord>(0, 0);
    assert!(kept.iter().map(|record| record.task_id).eq((1..=512).chain(1025..=1100)));
    assert_eq!(rig.collector().start(), Ok::<(), Status>(()));
    rig.stop();
    rig.finish();
}

/// The first run that does not fit leaves a line, however many records it has.
#[test]
fn what_is_not_stored_is_told() {
    let rig = Rig::with::<A5>(Reach::Shared, Subsystem::Pmu, |config| config.max_stored_bytes = 512 * 64);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A5>::init(rig.base(), 6, &mut WallClock::new::<A5>()) };
    record_counters(&rig, &pmu, 0, &[0], 1, 600);
    flush_counters(&pmu, 0, &[0]);
    rig.stop();
    assert!(rig.lines.has(crate::log::WARN, "the limit is reached"));
    assert_eq!(rig.books(Of::All).not_stored, 88);
    assert!(rig.lines.has(crate::log::WARN, "88 records were not stored"));
    rig.finish();
}
