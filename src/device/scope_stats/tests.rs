//! Scopes: DE 1.10, D26, D39, W22, W23, W40, the rows of 5.1 and 5.2.

use super::{Outcome, Sample, ScopeForm, ScopeStats, Side, Site};
use crate::device::engine::Flushed;
use crate::device::rig::{Entry, Single, TestClock, active, books, count, record};
use crate::device::wait::GateOutcome;
use crate::layout::runtime::common::ScopeStatsRecord;
use crate::layout::runtime::{A5, Arch, a5};
use std::mem::offset_of;

type Form = ScopeForm<A5>;

type Rig = Single<Form>;

impl Rig {
    fn init<'s>(&self) -> ScopeStats<'s, A5> {
        // SAFETY: the rig's memory is a region.
        let mut stats = unsafe { ScopeStats::init(self.host.base) };
        stats.set_orch_thread_idx(4);
        stats
    }

    fn records(&self) -> Vec<ScopeStatsRecord> {
        let (buffer, _) = active::<Form>(self.state());
        (0..count::<Form>(buffer)).map(|index| record::<Form, _>(buffer, index)).collect()
    }
}

fn on_ring(ring_id: i32) -> Sample {
    Sample { ring_id, ..Sample::default() }
}

fn name(record: &ScopeStatsRecord) -> &str {
    let end = record.site_file_basename.iter().position(|byte| *byte == 0).unwrap();
    std::str::from_utf8(&record.site_file_basename[..end]).unwrap()
}

/// Every field; begin and end carry depth and site of their scope; a begin consumes the pending site.
#[test]
fn begin_and_end() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut stats = rig.init();
    assert_eq!((stats.depth(), active::<Form>(rig.state())), (-1, (0, 0)));
    stats.set_pending_site(Site { file: Some(b"a/b\\outer.cpp"), line: 10 });
    let sample = Sample {
        ring_id: 2,
        task_start: 1,
        task_end: 2,
        heap_start: 3,
        heap_end: 4,
        dep_pool_start: 5,
        dep_pool_end: 6,
        tensormap_used: 7,
    };
    assert_eq!(stats.begin(&mut clock, &sample), Outcome::Written);
    assert_eq!(stats.begin(&mut clock, &on_ring(9)), Outcome::Written);
    assert_eq!(stats.depth(), 1);
    stats.end(&mut clock, &on_ring(9));
    stats.end(&mut clock, &sample);
    assert_eq!(stats.end(&mut clock, &sample), Outcome::Ignored);
    let records = rig.records();
    let first = &records[0];
    assert_eq!((name(first), first.site_line, first.depth, first.ring_id, first.phase), ("outer.cpp", 10, 0, 2, 0));
    assert_eq!((first.task_start, first.task_end, first.heap_start, first.heap_end), (1, 2, 3, 4));
    assert_eq!((first.dep_pool_start, first.dep_pool_end, first.tensormap_used, first._pad), (5, 6, 7, 0));
    assert_eq!((name(&records[1]), records[1].site_line, records[1].depth, records[1].ring_id), ("(unknown)", 0, 1, 9));
    assert_eq!((name(&records[2]), records[2].phase, records[2].depth), ("(unknown)", 1, 1));
    assert_eq!((name(&records[3]), records[3].site_line, records[3].phase, records[3].depth), ("outer.cpp", 10, 1, 0));
    assert_eq!(books::<Form>(rig.state()), (4, 0));
}

/// The name: 31 bytes at most, a zero behind; computed from the text each time (W40).
#[test]
fn names() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let long = [b'x'; 50];
    let mut stats = rig.init();
    for file in [&long[..], b"", b"dir/", b"plain"] {
        stats.set_pending_site(Site { file: Some(file), line: 1 });
        stats.begin(&mut clock, &on_ring(0));
        stats.end(&mut clock, &on_ring(0));
    }
    let names: Vec<_> = rig.records().iter().step_by(2).map(|record| name(record).to_owned()).collect();
    assert_eq!(names, ["x".repeat(31), String::new(), String::new(), "plain".into()]);
    // The same place in memory with another text in it, in a later launch.
    for text in [*b"first.cpp", *b"other.cpp"] {
        let mut stats = rig.init();
        stats.set_pending_site(Site { file: Some(&text), line: 1 });
        stats.begin(&mut clock, &on_ring(0));
        assert_eq!(name(rig.records().last().unwrap()).as_bytes(), text);
    }
}

/// W23: scopes beyond the greatest depth are not recorded, and their ends close nothing else.
#[test]
fn too_deep() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut stats = rig.init();
    for depth in 0..70 {
        stats.set_pending_site(Site { file: Some(b"f"), line: depth });
        let outcome = stats.begin(&mut clock, &on_ring(0));
        assert_eq!(outcome, if depth < 64 { Outcome::Written } else { Outcome::Ignored });
    }
    assert_eq!(stats.depth(), 63);
    for depth in (0..70).rev() {
        let outcome = stats.end(&mut clock, &on_ring(0));
        assert_eq!(outcome, if depth < 64 { Outcome::Written } else { Outcome::Ignored });
        if depth < 64 {
            let last = *rig.records().last().unwrap();
            assert_eq!((last.depth, last.site_line, last.phase), (depth as i16, depth, 1));
        }
    }
    assert_eq!((stats.depth(), stats.end(&mut clock, &on_ring(0))), (-1, Outcome::Ignored));
    // The site of a begin that was not recorded is the next one's.
    stats.begin(&mut clock, &on_ring(0));
    assert_eq!(rig.records().last().unwrap().site_line, 69);
}

/// D39: heap positions never decrease, per ring and side; wraps count for the innermost scope's ring, samples for their own.
#[test]
fn heap_is_unrolled() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut stats = rig.init();
    stats.note_heap_wrap(Side::Alloc);
    stats.set_ring_capacity(1, 10, 1000, 20);
    stats.set_ring_capacity(4, 1, 1, 1);
    stats.set_ring_capacity(-1, 1, 1, 1);
    stats.set_tensormap_capacity(33);
    let cap = |field: usize, index: usize| rig.host.at(field + index * 4).load32();
    assert_eq!(cap(offset_of!(a5::ScopeStatsDataHeader, task_window_cap), 1), 10);
    assert_eq!(cap(offset_of!(a5::ScopeStatsDataHeader, dep_pool_cap), 1), 20);
    assert_eq!(cap(offset_of!(a5::ScopeStatsDataHeader, tensormap_cap), 0), 33);
    stats.begin(&mut clock, &on_ring(1));
    let (mut alloc, mut reclaim) = (0u64, 0u64);
    let mut seed = 7u64;
    for _ in 0..100 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (more, less) = (seed >> 40 & 511, seed >> 50 & 255);
        for (side, position, step) in [(Side::Alloc, &mut alloc, more), (Side::Reclaim, &mut reclaim, less)] {
            if (*position + step) / 1000 != *position / 1000 {
                stats.note_heap_wrap(side);
            }
            *position += step;
        }
        let sample = Sample { heap_start: reclaim % 1000, heap_end: alloc % 1000, ..on_ring(1) };
        stats.begin(&mut clock, &sample);
        stats.end(&mut clock, &sample);
        let last = *rig.records().last().unwrap();
        assert_eq!((last.heap_start, last.heap_end), (reclaim, alloc));
    }
    assert!(alloc > 10_000 && reclaim > 5000);
    // Another ring has its own wraps, and a ring out of range none.
    for ring in [0, 7, -1] {
        stats.begin(&mut clock, &on_ring(ring));
        stats.note_heap_wrap(Side::Alloc);
        stats.end(&mut clock, &Sample { heap_end: 5, ..on_ring(ring) });
        assert_eq!(rig.records().last().unwrap().heap_end, 5, "no capacity, or no such ring");
    }
}

/// W22: without the orchestrator's index a record is counted as lost, and the index does not survive the launch.
#[test]
fn orchestrator_index() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut stats = rig.init();
    stats.begin(&mut clock, &on_ring(0));
    // SAFETY: the rig's memory.
    stats = unsafe { ScopeStats::init(rig.host.base) };
    assert_eq!((stats.depth(), stats.begin(&mut clock, &on_ring(0))), (-1, Outcome::NoIndex));
    assert_eq!((books::<Form>(rig.state()), stats.thread.losses.refused), ((2, 1), 1));
    assert_eq!(rig.records().len(), 1);
    stats.set_orch_thread_idx(0);
    assert_eq!(stats.end(&mut clock, &on_ring(0)), Outcome::Written);
}

/// D26: what is collected and what is dropped is the total; a full buffer is switched by the next record.
#[test]
fn books_balance() {
    let rig = Rig::new(2);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut stats = rig.init();
    let mut collected = 0;
    for _ in 0..700 {
        stats.begin(&mut clock, &on_ring(0));
        stats.end(&mut clock, &on_ring(0));
        collected += rig.host.take::<Form>(4).iter().map(|entry| count::<Form>(entry.address)).sum::<u32>();
    }
    assert_eq!(books::<Form>(rig.state()), (1400, 1400 - 1024));
    assert_eq!((collected, stats.thread.losses.no_buffer), (1024, 1400 - 1024));
    assert_eq!(active::<Form>(rig.state()), (0, 2));
}

/// 5.2 and the fatal path: flush twice; the number advances between them (W17), an empty buffer stays.
#[test]
fn fatal_then_exit() {
    let rig = Rig::new(2);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut stats = rig.init();
    stats.begin(&mut clock, &on_ring(0));
    let latched = rig.host.at(offset_of!(a5::ScopeStatsDataHeader, fatal_latched));
    assert_eq!((latched.load32(), stats.on_fatal(&mut clock)), (0, Some(Flushed::Published(GateOutcome::Passed))));
    assert_eq!(latched.load32(), 1);
    stats.end(&mut clock, &on_ring(0));
    assert!(matches!(stats.flush(&mut clock), Some(Flushed::Published(_))));
    assert_eq!(stats.flush(&mut clock), Some(Flushed::Nothing));
    let seqs: Vec<_> = rig.host.take::<Form>(4).iter().map(|Entry { seq, .. }| *seq).collect();
    assert_eq!(seqs, [0, 1]);
}

/// Off, or disabled: nothing is counted; capacities are written all the same.
#[test]
fn disabled() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut stats = rig.init();
    stats.set_enabled(false);
    stats.set_pending_site(Site { file: Some(b"kept"), line: 3 });
    stats.set_ring_capacity(0, 1, 2, 3);
    assert_eq!(stats.begin(&mut clock, &on_ring(0)), Outcome::Ignored);
    assert_eq!((stats.end(&mut clock, &on_ring(0)), stats.on_fatal(&mut clock)), (Outcome::Ignored, None));
    assert_eq!((books::<Form>(rig.state()), stats.depth()), ((0, 0), -1));
    stats.set_enabled(true);
    stats.begin(&mut clock, &on_ring(0));
    assert_eq!(name(&rig.records()[0]), "kept");
    let mut stats = ScopeStats::<A5>::off();
    stats.set_enabled(true);
    assert_eq!((stats.begin(&mut clock, &on_ring(0)), stats.flush(&mut clock)), (Outcome::Ignored, None));
    stats.set_ring_capacity(0, 1, 2, 3);
}
