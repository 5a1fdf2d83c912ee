//! What the device writes may be anything: it is refused and counted, and the rest goes on.

use super::cycle::{flush_counters, record_counters};
use super::rig::{Reach, Rig, TestArch, WallClock, everywhere};
use crate::collector::{Config, Of, Subsystem, Verdict};
use crate::device::pmu::Pmu;
use crate::layout::runtime::a5::PmuRecord;
use crate::layout::runtime::common::{PmuReadyQueueEntry, ReadyQueueEntry};
use std::mem::offset_of;
use std::sync::atomic::Ordering;

everywhere! {
    entries = entries_of_every_sort;
    counts = a_count_above_the_capacity;
    stray = an_entry_at_rest_does_not_settle_a_queue;
    left_over = an_entry_of_the_last_run_does_not_settle_a_queue;
    wild = words_at_rest_that_make_no_sense;
}

/// Publishes an entry on a ready queue in the device's place.
fn publish(rig: &Rig, queue: u32, index: u32, kind: u32, address: u64) {
    let header = rig.collector().intake.module.header;
    let tail = rig.word32(header.tails + queue as usize * 4);
    let at = tail.load(Ordering::Acquire);
    let entry = (queue * header.ready_size + at) as usize * size_of::<ReadyQueueEntry>();
    rig.word32(entry + offset_of!(ReadyQueueEntry, core_index)).store(index, Ordering::Relaxed);
    rig.word32(entry + offset_of!(ReadyQueueEntry, kind)).store(kind, Ordering::Relaxed);
    rig.word64(entry + offset_of!(ReadyQueueEntry, buffer_ptr)).store(address, Ordering::Relaxed);
    rig.word32(entry + offset_of!(PmuReadyQueueEntry, buffer_seq)).store(77, Ordering::Relaxed);
    tail.store((at + 1) % header.ready_size, Ordering::Release);
}

/// The active buffer of a core.
fn active(rig: &Rig, core: u32) -> u64 {
    let stream = &rig.collector().intake.module.streams[0];
    rig.word64(stream.state_at(core) + stream.state.current).load(Ordering::Acquire)
}

/// Indices, queues, addresses, buffers that were published already: refused, and what is sound arrives.
fn entries_of_every_sort<A: TestArch>(mode: Reach) {
    let map = |config: &mut Config| config.core_to_thread = [0, 0, 0, 1, 1, 1].into();
    let rig = Rig::with::<A>(mode, Subsystem::Pmu, map);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 0, &[0, 1], 1, 700);
    flush_counters(&pmu, 0, &[1]);
    // No instance: too large an index, one of another queue.
    publish(&rig, 0, 6, 0, active(&rig, 0));
    publish(&rig, 0, u32::MAX, 0, active(&rig, 0));
    publish(&rig, 0, 3, 0, active(&rig, 0));
    // An instance, but no buffer: unknown, odd, inside of one, the region itself.
    for address in [8, 0x1234_5677, active(&rig, 0) + 64, rig.base(), u64::MAX] {
        publish(&rig, 0, 2, 0, address);
    }
    super::rig::eventually("taking", || rig.collector().queue_stats(0).unwrap().rejected >= 5);
    rig.stop();
    let books = rig.books(Of::Instance(0, 2));
    assert_eq!((books.rejected, books.collected), (5, 0));
    // Those three name an address that is a buffer at the device, so the pool parks it: one, the first time.
    let all = rig.books(Of::All);
    assert_eq!(all.rejected, 5 + 3);
    assert!(rig.lines.has(crate::log::WARN, "named no instance"));
    assert!(rig.plain::<PmuRecord>(0, 1).iter().map(|record| record.task_id).eq(1..=700));
    assert!(rig.plain::<PmuRecord>(0, 0).iter().map(|record| record.task_id).eq(1..=512));
    // The active buffer of core 0 was taken out of circulation by what claimed to be its publication.
    assert_eq!((all.unflushed, rig.collector().recover()), (0, Ok(0)));
    assert_eq!(rig.books(Of::Instance(0, 0)).unaccounted, 188);
    // The books are those of the last reconciliation.
    rig.collector().intake.refused(0);
    assert_eq!(rig.collector().books(Of::All).unwrap().rejected, all.rejected);
    assert_eq!(rig.books(Of::All).rejected, all.rejected + 1);
    rig.finish();
}

/// While a core's queue is a guess, an entry with a bad address says nothing about it, and those that come are taken.
fn an_entry_at_rest_does_not_settle_a_queue<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    rig.stop();
    for address in [8, u64::MAX, rig.base()] {
        publish(&rig, 0, 3, 0, address);
    }
    record_counters(&rig, &pmu, 1, &[3], 1, 700);
    // Now it is known.
    publish(&rig, 1, 3, 0, 8);
    publish(&rig, 2, 3, 0, active(&rig, 3));
    assert_eq!(rig.collector().recover(), Ok(700));
    assert_eq!((rig.books(Of::Instance(0, 3)).rejected, rig.books(Of::All).rejected), (1, 5));
    assert_eq!(rig.books(Of::All).verdict, Verdict::Balanced);
    rig.finish();
}

/// 512 records at most are in a buffer, whatever it says; the books do not balance then.
fn a_count_above_the_capacity<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 0, &[0], 1, 3);
    let count = active(&rig, 0) as usize + rig.collector().intake.module.streams[0].count;
    for value in [513, u32::MAX] {
        // SAFETY: the count of the active buffer, whose lane is this test.
        let word = unsafe { std::sync::atomic::AtomicU32::from_ptr(std::ptr::with_exposed_provenance_mut(count)) };
        word.store(value, Ordering::Release);
        if value == u32::MAX {
            flush_counters(&pmu, 0, &[0]);
        }
    }
    rig.stop();
    let books = rig.books(Of::Instance(0, 0));
    assert_eq!((books.collected, books.clamped), (512, 1));
    assert_eq!((books.verdict, books.unaccounted), (Verdict::Unbalanced, 3 - 512));
    rig.finish();
}

/// After the run: a tail that no queue has, an active buffer that there is not, and one of another core.
fn words_at_rest_that_make_no_sense<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 0, &[0, 1, 2], 1, 5);
    let (own, other) = (active(&rig, 0), active(&rig, 1));
    rig.stop();
    let (header, stream) = (rig.collector().intake.module.header, rig.collector().intake.module.streams[0]);
    let current = |core| rig.word64(stream.state_at(core) + stream.state.current);
    rig.word32(header.tails).store(header.ready_size, Ordering::Relaxed);
    rig.word32(header.tails + 4).store(u32::MAX, Ordering::Relaxed);
    current(0).store(own + 8, Ordering::Relaxed);
    current(2).store(u64::MAX, Ordering::Relaxed);
    // Core 3 claims core 1's buffer as well: one of them has it.
    current(3).store(other, Ordering::Relaxed);
    assert_eq!(rig.collector().recover(), Ok(5));
    let books = rig.books(Of::All);
    assert_eq!((books.recovered, books.unaccounted, books.unflushed), (5, 10, 0));
    rig.finish();
}

/// What the run before left in a ready queue says nothing about the queue of the core in this one.
fn an_entry_of_the_last_run_does_not_settle_a_queue<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    rig.stop();
    // A full buffer on queue 0 that no run has taken.
    record_counters(&rig, &pmu, 0, &[3], 1, 513);
    rig.start();
    record_counters(&rig, &pmu, 1, &[3], 514, 2000);
    flush_counters(&pmu, 1, &[3]);
    rig.stop();
    let books = rig.books(Of::All);
    assert_eq!((books.rejected, books.collected, books.verdict), (0, 2513, Verdict::Balanced), "{books:?}");
    rig.finish();
}
