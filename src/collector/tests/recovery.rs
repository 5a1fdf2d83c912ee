//! What was never handed over is delivered once, of every subsystem; what stayed in ready queues likewise; never twice.

use super::cycle::{argument, contents, payloads, record_counters, scopes, submit};
use super::rig::{Reach, Rig, TestArch, WallClock, everywhere};
use super::swimlane::{Simulated, init};
use crate::collector::{Of, RECOVERED, Subsystem, Verdict};
use crate::device::args_dump::ArgsDump;
use crate::device::dep_gen::DepGen;
use crate::device::lane::Thread;
use crate::device::pmu::Pmu;
use crate::device::scope_stats::ScopeStats;
use crate::device::swimlane::SchedPhase;
use crate::layout::runtime::a5::PmuRecord;
use crate::layout::runtime::common::*;
use crate::layout::runtime::constants::*;
use crate::status::Status;
use std::sync::atomic::Ordering;

everywhere! {
    counters = unflushed_counters;
    submits = unflushed_submits;
    scopes_of = unflushed_scopes;
    arguments = unflushed_arguments;
    swimlane = unflushed_streams;
    entries = entries_that_stayed_in_a_ready_queue;
    double = a_buffer_that_was_delivered_is_not_recovered;
}

/// Recovers `records`, of which the books knew; a second time there is nothing.
fn recover(rig: &Rig, records: u64) {
    assert_eq!(rig.books(Of::All).unflushed, records);
    assert!(rig.lines.has(crate::log::ERROR, "never handed over"));
    assert_eq!(rig.collector().recover(), Ok(records));
    assert_eq!(rig.collector().recover(), Ok(0));
    let books = rig.books(Of::All);
    assert_eq!((books.unflushed, books.recovered), (0, records));
    assert_eq!(rig.collector().start(), Err(Status::LANEPIPE_E_STATE));
}

/// How many of the records of an instance were recovered: the last ones.
fn recovered_tail<T: Copy>(rig: &Rig, kind: u32, instance: u32) -> (Vec<T>, usize) {
    let records = rig.records::<T>(kind, instance);
    let first = records.iter().position(|(_, flags)| *flags == RECOVERED).unwrap_or(records.len());
    assert!(records[first..].iter().all(|(_, flags)| *flags == RECOVERED));
    let tail = records.len() - first;
    (records.into_iter().map(|(record, _)| record).collect(), tail)
}

fn unflushed_counters<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 0, &[0, 2], 1, 600);
    rig.stop();
    recover(&rig, 2 * 88);
    rig.assert_whole();
    for core in [0, 2] {
        let (records, tail) = recovered_tail::<PmuRecord>(&rig, 0, core);
        assert!(records.iter().map(|record| record.task_id).eq(1..=600));
        assert_eq!(tail, 88);
    }
    rig.finish();
}

fn unflushed_submits<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::DepGen);
    rig.start();
    let mut clock = WallClock::new::<A>();
    // SAFETY: the rig's region.
    let mut dep_gen = unsafe { DepGen::<A>::init(rig.base(), &mut clock) };
    dep_gen.set_orch_thread_idx(2);
    (0..1100).for_each(|task| submit(&mut dep_gen, &mut clock, task, 2));
    rig.stop();
    recover(&rig, 76);
    rig.assert_whole();
    let (records, tail) = recovered_tail::<DepGenRecord>(&rig, 0, 0);
    assert!(records.iter().map(|record| record.task_id).eq(0..1100));
    assert_eq!(tail, 76);
    rig.finish();
}

fn unflushed_scopes<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::ScopeStats);
    rig.start();
    let mut clock = WallClock::new::<A>();
    // SAFETY: the rig's region.
    let mut stats = unsafe { ScopeStats::<A>::init(rig.base()) };
    stats.set_enabled(true);
    stats.set_orch_thread_idx(2);
    scopes(&mut stats, &mut clock, 0..300);
    rig.stop();
    recover(&rig, 88);
    rig.assert_whole();
    let (records, _) = recovered_tail::<ScopeStatsRecord>(&rig, 0, 0);
    assert!(records.iter().map(|record| record.task_start).eq((0..300).flat_map(|task| [task, task])));
    rig.finish();
}

/// With their payloads.
fn unflushed_arguments<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::ArgsDump);
    rig.start();
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(1));
    // SAFETY: the rig's region.
    let dump = unsafe { ArgsDump::<A>::init(rig.base(), 2, &mut clock) };
    for task in 0..5 {
        // SAFETY: the tensor is what `contents` gives.
        unsafe { dump.arg_record(&mut lane, &mut clock, &argument(task, &contents(1, task))) };
    }
    rig.stop();
    recover(&rig, 5);
    assert!(payloads(&rig, 1).into_iter().eq((0..5).map(|task| (task, Some(contents(1, task))))));
    assert_eq!(rig.books(Of::All).payloads, 5);
    rig.finish();
}

/// All four kinds; a core's buffer has no count, but the dispatches tell how far it can be filled.
fn unflushed_streams<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Swimlane);
    rig.start();
    let (swimlane, table) = init::<A>(&rig);
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(0));
    let mut core = Simulated::new(&table, 0);
    for task in 0..1030 {
        let token = core.run(&swimlane, &mut lane, &mut clock, false);
        swimlane.complete_task(&mut lane, &mut clock, 0, token, task, task);
    }
    for loop_iter in 0..7 {
        swimlane.record_sched_phase(&mut lane, &mut clock, &SchedPhase { loop_iter, ..SchedPhase::default() });
    }
    let mut orchestrator = Thread::new(2);
    for submit in 0..9 {
        swimlane.record_orch_phase(&mut orchestrator, &mut clock, [1, 2], 3, submit);
    }
    rig.stop();
    recover(&rig, 30 + 6 + 7 + 9);
    rig.assert_whole();
    let (records, tail) = recovered_tail::<ChipSwimlaneAicpuTaskRecord>(&rig, 0, 0);
    assert!(records.iter().map(|record| record.reg_task_id).eq(1..=1030));
    assert_eq!(tail, 30);
    let (records, tail) = recovered_tail::<ChipSwimlaneAicoreTaskRecord>(&rig, CHIP_SWIMLANE_KIND_AICORE_TASK, 0);
    assert!(records.iter().map(|record| record.start_time).eq(1..=1030));
    assert_eq!(tail, 6);
    assert_eq!(recovered_tail::<ChipSwimlaneAicpuSchedPhaseRecord>(&rig, 1, 0).1, 7);
    assert_eq!(recovered_tail::<ChipSwimlaneAicpuOrchPhaseRecord>(&rig, 2, 0).1, 9);
    rig.finish();
}

/// Entries that nobody took, because the collector was never started after them, come before the active buffer.
fn entries_that_stayed_in_a_ready_queue<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    rig.stop();
    record_counters(&rig, &pmu, 0, &[1], 1, 1200);
    assert_eq!(rig.collector().collected(), 0);
    assert_eq!(rig.collector().recover(), Ok(1200));
    assert_eq!(rig.collector().recover(), Ok(0));
    rig.assert_whole();
    let (records, tail) = recovered_tail::<PmuRecord>(&rig, 0, 1);
    assert!(records.iter().map(|record| record.task_id).eq(1..=1200));
    assert_eq!(tail, 1200);
    rig.finish();
}

/// DE W1: a lane that gave up at the push gate goes on with a buffer that it published. The ledger knows better.
fn a_buffer_that_was_delivered_is_not_recovered<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    let stream = &rig.collector().intake.module.streams[0];
    let current = rig.word64(stream.state_at(0) + stream.state.current);
    record_counters(&rig, &pmu, 0, &[0], 1, 10);
    let buffer = current.load(Ordering::Acquire);
    super::cycle::flush_counters(&pmu, 0, &[0]);
    rig.stop();
    assert_eq!(rig.collector().collected(), 10);
    current.store(buffer, Ordering::Release);
    assert_eq!(rig.books(Of::All).unflushed, 0);
    assert_eq!(rig.collector().recover(), Ok(0));
    assert_eq!((rig.collector().collected(), rig.books(Of::All).verdict), (10, Verdict::Balanced));
    rig.finish();
}

#[test]
fn nothing_is_read_or_booked_while_threads_run() {
    let rig = Rig::new::<crate::layout::runtime::A5>(Reach::Shared, Subsystem::DepGen);
    assert_eq!(rig.collector().books(Of::All), Err(Status::LANEPIPE_E_STATE));
    rig.start();
    assert_eq!(rig.collector().start(), Err(Status::LANEPIPE_E_STATE));
    assert_eq!(rig.collector().reconcile(), Err(Status::LANEPIPE_E_STATE));
    assert_eq!(rig.collector().recover(), Err(Status::LANEPIPE_E_STATE));
    // SAFETY: refused.
    assert!(unsafe { rig.collector().read(0, 0, 0) }.is_err_and(|status| status == Status::LANEPIPE_E_STATE));
    rig.stop();
    assert_eq!(rig.collector().reconcile(), Ok(()));
    assert_eq!(rig.collector().books(Of::Instance(0, 1)), Err(Status::LANEPIPE_E_INVALID));
    assert_eq!(rig.collector().books(Of::Kind(1)), Err(Status::LANEPIPE_E_INVALID));
    // SAFETY: nothing is started.
    assert!(unsafe { rig.collector().read(0, 0, 0) }.is_ok_and(|run| run.is_none()));
    rig.finish();
}
