//! Payloads that cannot be had, and the arena that goes on all the same: DE 3.6, D38, W36.

use super::cycle::{argument, contents, payloads};
use super::rig::{Reach, Rig, TestArch, WallClock, eventually, everywhere};
use crate::collector::{Of, Subsystem};
use crate::device::args_dump::{ArgsDump, Outcome};
use crate::device::lane::Thread;
use crate::layout::runtime::common::{ArgsDumpRecord, DumpBufferState, DumpReadyQueueEntry};
use crate::layout::runtime::{A2a3, A5};
use std::mem::offset_of;
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::Ordering;

everywhere! {
    lost_entry = an_entry_that_is_refused_does_not_stop_the_arena;
    bad_spans = payloads_that_are_nowhere;
    scalars = records_without_payloads;
}

/// An entry of the thread whose buffer the host never gets: its payloads are published and will never be read.
fn lose_an_entry(rig: &Rig) {
    let (header, stream) = (rig.collector().intake.module.header, rig.collector().intake.module.streams[0]);
    let published = rig.word64(stream.state_at(0) + offset_of!(DumpBufferState, published_payload_count));
    published.fetch_add(3, Ordering::Release);
    let tail = rig.word32(header.tails);
    let at = tail.load(Ordering::Acquire);
    let entry = at as usize * size_of::<DumpReadyQueueEntry>();
    rig.word32(entry).store(0, Ordering::Relaxed);
    rig.word64(entry + offset_of!(DumpReadyQueueEntry, buffer_ptr)).store(0xBAD0, Ordering::Relaxed);
    tail.store((at + 1) % header.ready_size, Ordering::Release);
}

/// W36: each later lap passes, with the acknowledgement of what was lost, and nothing of what follows is lost. The other
/// thread, which has records and does not wait, holds nobody up.
fn an_entry_that_is_refused_does_not_stop_the_arena<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::ArgsDump);
    rig.start();
    let mut clock = WallClock::new::<A>();
    // SAFETY: the rig's region.
    let dump = unsafe { ArgsDump::<A>::init(rig.base(), 2, &mut clock) };
    let mut lanes = [Thread::new(0), Thread::new(1)];
    let record = |lane: &mut Thread, clock: &mut WallClock, task| {
        let bytes = contents(lane.index, task);
        // SAFETY: the tensor is `bytes`.
        let outcome = unsafe { dump.arg_record(lane, clock, &argument(task, &bytes)) };
        assert_eq!(outcome, Outcome::Written, "task {task}");
    };
    record(&mut lanes[1], &mut clock, 0);
    let begun = std::time::Instant::now();
    for task in 0..300 {
        if task == 50 || task == 51 || task == 200 {
            lose_an_entry(&rig);
        }
        record(&mut lanes[0], &mut clock, task);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(25), "a wait ran out");
    dump.flush(&mut lanes[0], &mut clock).unwrap();
    rig.stop();
    let books = rig.books(Of::Instance(0, 0));
    assert_eq!((books.rejected, books.collected, books.payloads_lost), (3, 300, 0));
    assert!(payloads(&rig, 0).into_iter().eq((0..300).map(|task| (task, Some(contents(0, task))))));
    // Nothing of the other thread, which was not asked, and whose arena was not given away.
    let state = rig.collector().intake.module.streams[0].state_at(1);
    let completed = rig.word64(state + offset_of!(DumpBufferState, completed_payload_count));
    assert_eq!(completed.load(Ordering::Relaxed), 0);
    rig.finish();
}

/// The thread's payloads are acknowledged only once they were read: an entry that is on its way holds the gates.
#[test]
fn what_is_on_its_way_is_waited_for() {
    for mode in Reach::all() {
        let rig = Rig::new::<A5>(mode, Subsystem::ArgsDump);
        let intake = &rig.collector().intake;
        let stream = &intake.module.streams[0];
        let (published, completed, current) = (
            rig.word64(stream.state_at(0) + offset_of!(DumpBufferState, published_payload_count)),
            rig.word64(stream.state_at(0) + offset_of!(DumpBufferState, completed_payload_count)),
            rig.word64(stream.state_at(0) + stream.state.current),
        );
        // Nobody is asked while no gate is shut.
        assert!(!intake.release_ready(stream));
        // The host's own word, by which it goes.
        intake.gates.pop.set_frozen::<crate::layout::RawWords64>(&crate::layout::Direct, true).unwrap();
        assert!(intake.release_ready(stream));
        published.store(4, Ordering::Relaxed);
        rig.word32(intake.module.header.tails).store(1, Ordering::Release);
        assert!(!intake.release_ready(stream));
        assert_eq!(completed.load(Ordering::Relaxed), 0);
        // The entry was looked at and taken, but is not done.
        intake.accounts[0].progress.note_taken();
        intake.positions[0].advance(1, intake.module.header.ready_size);
        assert!(!intake.release_ready(stream));
        // Done, with fewer payloads than were published.
        intake.accounts[0].progress.note_done(3);
        assert!(intake.release_ready(stream));
        assert_eq!(completed.load(Ordering::Relaxed), 4);
        // A thread that has records is about to publish, or not: it is not answered, and holds nobody up.
        published.store(9, Ordering::Relaxed);
        let mut buffer = [std::mem::MaybeUninit::uninit()];
        // SAFETY: no thread runs; one element is filled.
        let active = unsafe {
            assert_eq!(intake.pool.pop_recycled(0, 0, &mut buffer), 1);
            buffer[0].assume_init().dev
        };
        current.store(active, Ordering::Relaxed);
        // SAFETY: the count of a buffer of the collector.
        let count = unsafe {
            std::sync::atomic::AtomicU32::from_ptr(with_exposed_provenance_mut(active as usize + stream.count))
        };
        count.store(1, Ordering::Relaxed);
        assert!(intake.release_ready(stream));
        assert_eq!(completed.load(Ordering::Relaxed), 4);
        count.store(0, Ordering::Relaxed);
        assert!(intake.release_ready(stream));
        assert_eq!(completed.load(Ordering::Relaxed), 9);
        rig.finish();
    }
}

/// From a queue whose indices are impossible nothing more comes: once what was taken is done the gates may open.
#[test]
fn an_index_out_of_range_does_not_hold_the_gates() {
    for mode in Reach::all() {
        for of_head in [false, true] {
            let rig = Rig::new::<A5>(mode, Subsystem::ArgsDump);
            let intake = &rig.collector().intake;
            let stream = &intake.module.streams[0];
            let word = |offset| rig.word64(stream.state_at(0) + offset);
            intake.gates.pop.set_frozen::<crate::layout::RawWords64>(&crate::layout::Direct, true).unwrap();
            word(offset_of!(DumpBufferState, published_payload_count)).store(4, Ordering::Relaxed);
            let tail = rig.word32(intake.module.header.tails);
            tail.store(1, Ordering::Release);
            assert!(!intake.release_ready(stream));
            if of_head {
                // SAFETY: the rig's region.
                unsafe { intake.module.ready(intake.host, 0) }.keep_head(intake.module.header.ready_size);
            } else {
                tail.store(intake.module.header.ready_size, Ordering::Release);
            }
            intake.accounts[0].progress.note_taken();
            assert!(!intake.release_ready(stream));
            intake.accounts[0].progress.note_done(1);
            assert!(intake.release_ready(stream));
            let completed = word(offset_of!(DumpBufferState, completed_payload_count));
            assert_eq!(completed.load(Ordering::Relaxed), 4);
            rig.finish();
        }
    }
}

/// Spans that leave the arena, and more in one buffer than an arena holds; the records come all the same.
fn payloads_that_are_nowhere<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::ArgsDump);
    rig.start();
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(0));
    // SAFETY: the rig's region.
    let dump = unsafe { ArgsDump::<A>::init(rig.base(), 2, &mut clock) };
    for task in 0..6 {
        // SAFETY: the tensor is what `contents` gives.
        unsafe { dump.arg_record(&mut lane, &mut clock, &argument(task, &contents(0, task))) };
    }
    let stream = &rig.collector().intake.module.streams[0];
    let buffer = rig.word64(stream.state_at(0) + stream.state.current).load(Ordering::Acquire) as usize;
    let span = |index: usize| -> [*mut u64; 2] {
        let record = buffer + index * size_of::<ArgsDumpRecord>();
        [offset_of!(ArgsDumpRecord, payload_offset), offset_of!(ArgsDumpRecord, payload_size)]
            .map(|field| with_exposed_provenance_mut(record + field))
    };
    for (index, offset, size) in [(1, 4096 - 8, 9), (2, u64::MAX, 2), (3, 0, 4097), (4, 0, u64::MAX), (5, 0, 4096)] {
        let [at, length] = span(index);
        // SAFETY: fields of a record of the active buffer, whose lane is this test.
        unsafe {
            at.write(offset);
            length.write(size);
        }
    }
    dump.flush(&mut lane, &mut clock).unwrap();
    rig.stop();
    let books = rig.books(Of::Instance(0, 0));
    // The last one is as large as an arena, which has no room for it beside the first.
    assert_eq!((books.collected, books.payloads, books.payloads_lost), (6, 1, 5));
    let expected = (0..6).map(|task| (task, (task == 0).then(|| contents(0, 0))));
    assert!(payloads(&rig, 0).into_iter().eq(expected));
    rig.finish();
}

/// A scalar has no payload, and none is counted.
fn records_without_payloads<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::ArgsDump);
    rig.start();
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(0));
    // SAFETY: the rig's region.
    let dump = unsafe { ArgsDump::<A>::init(rig.base(), 2, &mut clock) };
    for task in 0..300 {
        let mut scalar = argument(task, &[]);
        (scalar.kind, scalar.scalar_value) = (1, task);
        // SAFETY: there is no tensor.
        unsafe { dump.arg_record(&mut lane, &mut clock, &scalar) };
    }
    dump.flush(&mut lane, &mut clock).unwrap();
    rig.stop();
    let found = rig.plain::<ArgsDumpRecord>(0, 0);
    assert!(found.iter().map(|record| record.scalar_value).eq(0..300));
    let books = rig.books(Of::All);
    assert_eq!((books.payloads, books.payloads_lost), (0, 0));
    rig.finish();
}

/// A run in which thread 0 dumps `count` tensors of 555 bytes, all of whose records arrive.
fn dump_tensors(rig: &Rig, count: u64) {
    rig.start();
    let (mut clock, mut lane) = (WallClock::new::<A2a3>(), Thread::new(0));
    // SAFETY: the rig's region.
    let dump = unsafe { ArgsDump::<A2a3>::init(rig.base(), 2, &mut clock) };
    let bytes = vec![7; 555];
    for task in 0..count {
        // SAFETY: the tensor is `bytes`.
        let outcome = unsafe { dump.arg_record(&mut lane, &mut clock, &argument(task, &bytes)) };
        assert_eq!(outcome, Outcome::Written);
    }
    dump.flush(&mut lane, &mut clock).unwrap();
    eventually("collecting", || rig.collector().collected() == count);
    rig.stop();
}

/// A payload is copied again after a failure, as all contents are.
#[test]
fn a_payload_whose_copy_fails_once_comes_all_the_same() {
    let rig = Rig::new::<A2a3>(Reach::Shadow, Subsystem::ArgsDump);
    rig.device.broken_once.store(555, Ordering::Relaxed);
    dump_tensors(&rig, 1);
    assert_eq!(rig.device.broken_once.load(Ordering::Relaxed), 0, "no copy has failed");
    let books = rig.books(Of::All);
    assert_eq!((books.payloads, books.payloads_lost), (1, 0));
}

/// Payloads whose copy fails are told apart from their records, and are acknowledged.
#[test]
fn payloads_that_cannot_be_copied() {
    let rig = Rig::new::<A2a3>(Reach::Shadow, Subsystem::ArgsDump);
    rig.device.broken_size.store(555, Ordering::Relaxed);
    dump_tensors(&rig, 40);
    let books = rig.books(Of::All);
    assert_eq!((books.collected, books.payloads, books.payloads_lost), (40, 0, 40));
    assert!(payloads(&rig, 0).iter().all(|(_, bytes)| bytes.is_none()));
    assert!(rig.lines.has(crate::log::WARN, "payloads of arguments"));
    assert!(rig.lines.has(crate::log::WARN, "40 payloads were lost"));
    rig.finish();
}
