//! The swimlane's streams of the control threads: DE 1.6, D26, W18, W20, W41, the rows of 5.1 and 5.2.

mod aicore;
mod rig;

use super::{Outcome, SchedPhase, Swimlane, TaskPool};
use crate::device::engine::Flushed;
use crate::device::lane::Thread;
use crate::device::rig::{Entry, TestClock, active, books, count, record};
use crate::device::wait::GateOutcome;
use crate::layout::runtime::common::{
    ChipSwimlaneAicpuOrchPhaseRecord, ChipSwimlaneAicpuSchedPhaseRecord, ChipSwimlaneAicpuTaskRecord,
};
use crate::layout::runtime::constants::{SCHED_PHASE_DUMMY_TASK, SCHED_PHASE_GRAPH_PREPARE};
use crate::layout::runtime::{A5, Arch, a5};
use rig::Rig;
use std::mem::offset_of;

type Task = TaskPool<A5, 0>;
type Sched = TaskPool<A5, 1>;
type Orch = TaskPool<A5, 2>;

fn phase(kind: u32) -> SchedPhase {
    SchedPhase {
        kind,
        start_time: 10,
        end_time: 20,
        loop_iter: 3,
        tasks_processed: 4,
        data: [5, 6],
        shared_at_start: [1, 2, 3],
        shared_at_end: [4, 5, -6],
    }
}

/// `complete_task`: the record that fills a buffer switches it at once.
#[test]
fn tasks() {
    let rig = Rig::new(4);
    for _ in 0..2 {
        rig.give::<Task>(1);
    }
    let mut clock = TestClock::new(A5::BUDGET);
    let swimlane = rig.init(&mut clock);
    let mut thread = Thread::new(2);
    let state = rig.state::<Task>(1);
    let (first, _) = active::<Task>(state);
    for id in 0..1000 {
        assert!(rig.host.take::<Task>(2).is_empty());
        let outcome =
            swimlane.complete_task(&mut thread, &mut clock, 1, id, u64::from(id) * 10, u64::from(id) * 10 + 5);
        assert_eq!(outcome, Outcome::Written);
    }
    assert_eq!(rig.host.take::<Task>(2), [Entry { instance: 1, kind: 0, address: first, seq: 0 }]);
    assert_eq!(count::<Task>(first), 1000);
    let last: ChipSwimlaneAicpuTaskRecord = record::<Task, _>(first, 999);
    assert_eq!((last.reg_task_id, last.dispatch_time, last.finish_time), (999, 9990, 9995));
    let (second, seq) = active::<Task>(state);
    assert_eq!((count::<Task>(second), seq), (0, 1));
    // D26, with a pool that is used up.
    for id in 0..1500 {
        let expected = if id < 1000 { Outcome::Written } else { Outcome::Dropped };
        assert_eq!(swimlane.complete_task(&mut thread, &mut clock, 1, id, 1, 2), expected);
    }
    assert_eq!((books::<Task>(state), thread.losses.no_buffer), ((2500, 500), 500));
    assert_eq!(rig.host.take::<Task>(2).len(), 1);
    // A buffer that comes is taken by the next record, with the number that follows.
    rig.give::<Task>(1);
    assert_eq!(swimlane.complete_task(&mut thread, &mut clock, 1, 7, 1, 2), Outcome::Written);
    let (third, seq) = active::<Task>(state);
    assert_eq!(seq, 2);
    assert_eq!(swimlane.flush_tasks(&mut thread, &mut clock, 1), Some(Flushed::Published(GateOutcome::Passed)));
    assert_eq!(rig.host.take::<Task>(2), [Entry { instance: 1, kind: 0, address: third, seq: 2 }]);
    assert_eq!(active::<Task>(state), (0, 3));
}

/// Phases: every field, instance and kind of the ready entry; a full buffer is switched by the next record.
#[test]
fn phases() {
    let rig = Rig::new(4);
    for _ in 0..2 {
        rig.give::<Sched>(3);
        rig.give::<Orch>(0);
    }
    let mut clock = TestClock::new(A5::BUDGET);
    let mut swimlane = rig.init(&mut clock);
    let (mut thread, mut orch) = (Thread::new(3), Thread::new(4));
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &phase(1)), Outcome::Ignored);
    assert!(swimlane.init_phases(4, 1, &mut clock));
    assert!(!swimlane.init_phases(1, 0, &mut clock));
    assert_eq!((books::<Sched>(rig.state::<Sched>(3)), clock.relaxed), ((0, 0), 0));
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &phase(1)), Outcome::Written);
    let dummy = SchedPhase::of_task(SCHED_PHASE_DUMMY_TASK, 9, 9, 2, 0xA_0000_000B, 1);
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &dummy), Outcome::Written);
    let graph = SchedPhase::of_task(SCHED_PHASE_GRAPH_PREPARE, 1, 2, 2, 3, 44);
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &graph), Outcome::Written);
    let (buffer, _) = active::<Sched>(rig.state::<Sched>(3));
    let first: ChipSwimlaneAicpuSchedPhaseRecord = record::<Sched, _>(buffer, 0);
    assert_eq!((first.kind, first.start_time, first.end_time, first.loop_iter), (1, 10, 20, 3));
    assert_eq!((first.tasks_processed, first.phase_data), (4, [5, 6]));
    assert_eq!((first.shared_depth_at_start, first.shared_depth_at_end), ([1, 2, 3], [4, 5, -6]));
    let second: ChipSwimlaneAicpuSchedPhaseRecord = record::<Sched, _>(buffer, 1);
    assert_eq!((second.kind, second.start_time, second.end_time, second.phase_data), (7, 9, 9, [0xB, 0xA]));
    let third: ChipSwimlaneAicpuSchedPhaseRecord = record::<Sched, _>(buffer, 2);
    assert_eq!((third.kind, third.tasks_processed, third.shared_depth_at_end), (13, 44, [0; 3]));
    for _ in 3..16384 {
        swimlane.record_sched_phase(&mut thread, &mut clock, &phase(1));
    }
    assert!(rig.host.take::<Sched>(3).is_empty());
    swimlane.record_sched_phase(&mut thread, &mut clock, &phase(1));
    assert_eq!(rig.host.take::<Sched>(3), [Entry { instance: 3, kind: 1, address: buffer, seq: 0 }]);
    swimlane.flush_sched_phases(&mut thread, &mut clock);
    assert_eq!(rig.host.take::<Sched>(3)[0].seq, 1);
    assert_eq!(books::<Sched>(rig.state::<Sched>(3)), (16385, 0));
    // The orchestrator's.
    assert_eq!(swimlane.record_orch_phase(&mut Thread::new(-1), &mut clock, [1, 2], 3, 4), Outcome::Ignored);
    assert_eq!(books::<Orch>(rig.state::<Orch>(0)), (0, 0));
    assert_eq!(swimlane.record_orch_phase(&mut orch, &mut clock, [1, 2], 3, 4), Outcome::Written);
    let (buffer, _) = active::<Orch>(rig.state::<Orch>(0));
    let record: ChipSwimlaneAicpuOrchPhaseRecord = record::<Orch, _>(buffer, 0);
    assert_eq!((record.start_time, record.end_time, record.task_id, record.submit_idx), (1, 2, 3, 4));
    swimlane.flush_orch_phases(&mut orch, &mut clock);
    assert_eq!(rig.host.take::<Orch>(4), [Entry { instance: 0, kind: 2, address: buffer, seq: 0 }]);
}

/// W18: a flush with an empty buffer keeps it; the next record goes there, and no other buffer is popped.
#[test]
fn empty_phase_buffer_stays() {
    let rig = Rig::new(4);
    rig.give::<Sched>(0);
    rig.give::<Sched>(0);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut swimlane = rig.init(&mut clock);
    swimlane.init_phases(1, 0, &mut clock);
    let mut thread = Thread::new(0);
    let state = rig.state::<Sched>(0);
    let (buffer, _) = active::<Sched>(state);
    assert_eq!(swimlane.flush_sched_phases(&mut thread, &mut clock), Some(Flushed::Nothing));
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &phase(0)), Outcome::Written);
    assert_eq!((active::<Sched>(state), count::<Sched>(buffer)), ((buffer, 0), 1));
    assert_eq!(rig.host.free::<Sched>(state), 1);
}

/// W19, W20, W41: ranges of threads and cores; a launch without the swimlane reports level 0 and records nothing.
#[test]
fn ranges_and_later_launches() {
    let rig = Rig::new(4);
    rig.give::<Task>(3);
    rig.give::<Sched>(4);
    rig.give::<Orch>(0);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut swimlane = rig.init(&mut clock);
    swimlane.init_phases(99, 3, &mut clock);
    assert_eq!(swimlane.level(), 4);
    let mut thread = Thread::new(0);
    for core in [-1, 4, 108, i32::MAX] {
        assert_eq!(swimlane.complete_task(&mut thread, &mut clock, core, 1, 1, 1), Outcome::Ignored);
        assert_eq!(swimlane.flush_tasks(&mut thread, &mut clock, core), None);
    }
    for index in [-1, 5, 1000] {
        thread.index = index;
        assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &phase(0)), Outcome::Ignored);
        assert_eq!(swimlane.flush_sched_phases(&mut thread, &mut clock), None);
    }
    thread.index = 4;
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &phase(0)), Outcome::Written);
    // Fewer cores: the same pools lie elsewhere, and none beyond them is known.
    // SAFETY: the rig's memory has room for four.
    swimlane = unsafe { Swimlane::init(rig.host.base, 3, None, &mut clock) };
    assert_eq!(swimlane.complete_task(&mut thread, &mut clock, 3, 1, 1, 1), Outcome::Ignored);
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &phase(0)), Outcome::Ignored, "phases are over");
    swimlane = Swimlane::off();
    assert_eq!(swimlane.level(), 0);
    swimlane.init_phases(4, 1, &mut clock);
    assert_eq!(swimlane.complete_task(&mut thread, &mut clock, 0, 1, 1, 1), Outcome::Ignored);
    assert_eq!(swimlane.record_sched_phase(&mut thread, &mut clock, &phase(0)), Outcome::Ignored);
    assert_eq!(swimlane.record_orch_phase(&mut thread, &mut clock, [1, 2], 3, 4), Outcome::Ignored);
    // SAFETY: refused.
    let refused = unsafe { Swimlane::<A5>::init(rig.host.base, 109, None, &mut clock) };
    assert_eq!(refused.level(), 0);
}

/// 5.1, W16: first buffers, heads in the table, a zero slot, an empty queue.
#[test]
fn init() {
    let rig = Rig::new(4);
    rig.give::<Task>(0);
    rig.host.give::<Task>(rig.state::<Task>(1), 0);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut table = [0; 5];
    // SAFETY: the rig's memory.
    let swimlane = unsafe { Swimlane::<A5>::init(rig.host.base, 4, Some(&mut table), &mut clock) };
    for (core, address) in table.iter().take(4).enumerate() {
        assert_eq!(*address, rig.state::<TaskPool<A5, 3>>(core).0 as u64);
    }
    assert_eq!(table[4], 0);
    assert_ne!(active::<Task>(rig.state::<Task>(0)).0, 0);
    for core in 1..4 {
        assert_eq!(active::<Task>(rig.state::<Task>(core)), (0, 0));
    }
    assert_eq!((rig.host.free::<Task>(rig.state::<Task>(1)), clock.relaxed), (0, 0));
    assert_eq!(swimlane.level(), 4);
}

/// Core assignments: only with phases, only cores that a chip has.
#[test]
fn core_assignments() {
    let rig = Rig::new(4);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut swimlane = rig.init(&mut clock);
    let at = |core: usize| rig.host.at(offset_of!(a5::ChipSwimlaneDataHeader, core_to_thread) + core).read::<i8>();
    let word = |offset: usize| rig.host.at(offset).load32();
    swimlane.write_core_assignments(1, &[0]);
    swimlane.init_core_assignments(4);
    assert_eq!((at(0), word(offset_of!(a5::ChipSwimlaneDataHeader, num_phase_cores))), (0, 0));
    swimlane.init_phases(3, 1, &mut clock);
    assert_eq!(word(offset_of!(a5::ChipSwimlaneDataHeader, num_sched_phase_threads)), 3);
    assert_eq!(word(offset_of!(a5::ChipSwimlaneDataHeader, num_orch_phase_threads)), 1);
    assert!((0..108).all(|core| at(core) == -1));
    swimlane.init_core_assignments(4);
    swimlane.write_core_assignments(2, &[0, 3, -1, 108, 107]);
    assert_eq!((at(0), at(1), at(3), at(107)), (2, -1, 2, 2));
    assert_eq!(word(offset_of!(a5::ChipSwimlaneDataHeader, num_phase_cores)), 4);
    assert_eq!(word(offset_of!(a5::ChipSwimlaneDataHeader, backpressure)), 0, "nothing behind the last core");
}
