//! The four streams of the swimlane: what threads and cores record arrives once, per level; W11, W13.

use super::rig::{Reach, Rig, TestArch, WallClock, everywhere};
use crate::collector::{Of, Subsystem, Verdict};
use crate::device::lane::Thread;
use crate::device::swimlane::aicore::Core;
use crate::device::swimlane::head::{ActiveHead, CoreLocal};
use crate::device::swimlane::{SchedPhase, Swimlane};
use crate::layout::runtime::common::*;
use crate::layout::runtime::constants::*;
use crate::sync::{RawWord32, RawWord64};
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::{AtomicU64, Ordering};

everywhere! {
    level_4 = all_streams;
    level_1 = records_of_an_earlier_use_do_not_come_again;
    unwritten = slots_without_a_record_are_no_records;
    recovered = records_with_holes_are_recovered;
    restarted = a_core_that_lost_its_buffer_is_unaccounted_for;
}

/// A core and the control thread that owns it.
pub(super) struct Simulated {
    pub(super) core: Core,
    local: CoreLocal,
    head: ActiveHead<RawWord32, RawWord64>,
    pub(super) next: u32,
}

impl Simulated {
    /// By the entry of the rotation table.
    pub(super) fn new(table: &[u64], core: i32) -> Self {
        let head = table[core as usize] as usize;
        // SAFETY: the device's initialiser put the address of the core's head there.
        let head = unsafe {
            ActiveHead {
                address: RawWord64::new(with_exposed_provenance_mut(head)),
                seq: RawWord32::new(with_exposed_provenance_mut(head + 8)),
            }
        };
        Self { core: Core::new(core), local: CoreLocal::default(), head, next: 1 }
    }

    /// Dispatches, runs and acknowledges one task, whose record the core writes unless `silent`; its token.
    pub(super) fn run<A: TestArch>(
        &mut self,
        swimlane: &Swimlane<A>,
        thread: &mut Thread,
        clock: &mut WallClock,
        silent: bool,
    ) -> u32 {
        let token = self.next;
        self.next += 1;
        swimlane.on_aicore_dispatch(thread, clock, &mut self.core, token);
        let slot = self.local.reserve(Some(&self.head));
        swimlane.on_aicore_ack(thread, clock, &mut self.core, token);
        if let Some((buffer, index)) = slot.filter(|_| !silent) {
            let record = buffer as usize + index as usize * size_of::<ChipSwimlaneAicoreTaskRecord>();
            for (word, value) in [u64::from(token), u64::from(token) + 5, u64::from(token) << 8].into_iter().enumerate()
            {
                // SAFETY: a record of the core's buffer.
                let place = unsafe { AtomicU64::from_ptr(with_exposed_provenance_mut(record + word * 8)) };
                place.store(value, Ordering::Release);
            }
        }
        token
    }
}

/// The device's initialisers at the collector's region, with the rotation table.
pub(super) fn init<A: TestArch>(rig: &Rig) -> (Swimlane<A>, Vec<u64>) {
    let site = rig.collector().site();
    let mut table = vec![0; site.table_count as usize];
    let mut clock = WallClock::new::<A>();
    // SAFETY: the rig's region.
    let mut swimlane = unsafe { Swimlane::<A>::init(site.base, 6, Some(&mut table), &mut clock) };
    if swimlane.level() >= CHIP_SWIMLANE_LEVEL_SCHED_PHASES {
        swimlane.init_phases(2, 1, &mut clock);
    }
    (swimlane, table)
}

/// 2600 tasks on each of two cores, 20,000 phases, 17,000 submits: each stream fills buffers and ends in the middle of one.
fn all_streams<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Swimlane);
    rig.start();
    let (swimlane, table) = init::<A>(&rig);
    let tasks = 2600;
    std::thread::scope(|scope| {
        for (thread, core) in [(0, 1), (1, 4)] {
            let (swimlane, table) = (&swimlane, &table);
            scope.spawn(move || {
                let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(thread));
                let mut at = Simulated::new(table, core);
                for task in 0..tasks {
                    let token = at.run(swimlane, &mut lane, &mut clock, false);
                    swimlane.complete_task(&mut lane, &mut clock, core, token, u64::from(task), u64::from(task) + 9);
                }
                for iteration in 0..20_000 {
                    let phase = SchedPhase { loop_iter: iteration, ..SchedPhase::default() };
                    swimlane.record_sched_phase(&mut lane, &mut clock, &phase);
                }
                swimlane.flush_tasks(&mut lane, &mut clock, core);
                swimlane.flush_core(&mut lane, &mut clock, &mut at.core);
                swimlane.flush_sched_phases(&mut lane, &mut clock);
            });
        }
        scope.spawn(|| {
            let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(2));
            for submit in 0..17_000 {
                swimlane.record_orch_phase(&mut lane, &mut clock, [1, 2], u64::from(submit), submit);
            }
            swimlane.flush_orch_phases(&mut lane, &mut clock);
        });
    });
    rig.stop();
    rig.assert_whole();
    for core in [1, 4] {
        let found = rig.plain::<ChipSwimlaneAicpuTaskRecord>(CHIP_SWIMLANE_KIND_AICPU_TASK, core);
        assert!(found.iter().map(|record| record.reg_task_id).eq(1..=tasks));
        let found = rig.plain::<ChipSwimlaneAicoreTaskRecord>(CHIP_SWIMLANE_KIND_AICORE_TASK, core);
        assert!(found.iter().map(|record| record.start_time).eq(1..=u64::from(tasks)));
    }
    for thread in [0, 1] {
        let found = rig.plain::<ChipSwimlaneAicpuSchedPhaseRecord>(CHIP_SWIMLANE_KIND_AICPU_SCHED_PHASE, thread);
        assert!(found.iter().map(|record| record.loop_iter).eq(0..20_000));
    }
    let found = rig.plain::<ChipSwimlaneAicpuOrchPhaseRecord>(CHIP_SWIMLANE_KIND_AICPU_ORCH_PHASE, 0);
    assert!(found.iter().map(|record| record.submit_idx).eq(0..17_000));
    assert_eq!(rig.collector().books(Of::Kind(3)).unwrap().total, u64::from(2 * tasks));
    rig.finish();
}

/// W13: a device that stamps whole buffers, as the C++ runtime does at level 1, has the records of an earlier use in them
/// unless the host cleared them.
fn records_of_an_earlier_use_do_not_come_again<A: TestArch>(mode: Reach) {
    let rig = Rig::with::<A>(mode, Subsystem::Swimlane, |config| {
        config.level = CHIP_SWIMLANE_LEVEL_AICORE_TIMING;
        config.buffers = 2;
        config.max_buffers = 2;
        config.cores = 1;
    });
    rig.start();
    let site = rig.collector().site();
    let mut clock = WallClock::new::<A>();
    let mut table = [0];
    // SAFETY: the rig's region.
    let swimlane = unsafe { Swimlane::<A>::init(site.base, 1, Some(&mut table), &mut clock) };
    let (mut lane, mut core) = (Thread::new(0), Simulated::new(&table, 0));
    let tasks = 5 * 1024 + 3;
    for _ in 0..tasks {
        core.run(&swimlane, &mut lane, &mut clock, false);
    }
    // The last buffer, of which three slots are in use.
    let state = rig.collector().intake.module.streams[3].state_at(0);
    let active = rig.word64(state).load(Ordering::Acquire);
    swimlane.flush_core(&mut lane, &mut clock, &mut core.core).unwrap();
    rig.stop();
    let found = rig.plain::<ChipSwimlaneAicoreTaskRecord>(CHIP_SWIMLANE_KIND_AICORE_TASK, 0);
    assert!(found.iter().map(|record| record.start_time).eq(1..=tasks));
    // What the device would stamp: the whole of each buffer.
    let stale = (3..1024).filter(|slot| {
        let record = active as usize + slot * size_of::<ChipSwimlaneAicoreTaskRecord>();
        // SAFETY: a record of a buffer of the collector.
        unsafe { with_exposed_provenance_mut::<u64>(record).read() != 0 }
    });
    assert_eq!(stale.count(), 0, "records of an earlier use are still there");
    rig.finish();
}

/// Slots that were dispatched and that no record came to are counted apart, and what follows them is kept.
fn slots_without_a_record_are_no_records<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Swimlane);
    rig.start();
    let (swimlane, table) = init::<A>(&rig);
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(0));
    let mut core = Simulated::new(&table, 0);
    let silent = |token: u32| token.is_multiple_of(10) || (101..=120).contains(&token);
    for token in 1..=1500 {
        core.run(&swimlane, &mut lane, &mut clock, silent(token));
    }
    swimlane.flush_core(&mut lane, &mut clock, &mut core.core);
    rig.stop();
    let expected: Vec<u64> = (1..=1500).filter(|token| !silent(*token)).map(u64::from).collect();
    let found = rig.plain::<ChipSwimlaneAicoreTaskRecord>(CHIP_SWIMLANE_KIND_AICORE_TASK, 0);
    assert!(found.iter().map(|record| record.start_time).eq(expected.iter().copied()));
    let books = rig.books(Of::Instance(CHIP_SWIMLANE_KIND_AICORE_TASK, 0));
    let empty = 1500 - expected.len() as u64;
    assert_eq!((books.total, books.collected, books.empty), (1500, expected.len() as u64, empty));
    // W11: a core that left no record is a loss, and the books say so.
    assert_eq!((books.verdict, books.unaccounted), (Verdict::Unbalanced, empty as i64));
    assert!(rig.lines.has(crate::log::WARN, "unaccounted"));
    rig.finish();
}

/// W11: buffers that wait for their gate when the device ends are nowhere to be found; the dispatches tell of them.
fn a_core_that_lost_its_buffer_is_unaccounted_for<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Swimlane);
    rig.start();
    let (swimlane, table) = init::<A>(&rig);
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(0));
    let mut core = Simulated::new(&table, 0);
    for _ in 0..1024 {
        core.run(&swimlane, &mut lane, &mut clock, false);
    }
    swimlane.on_aicore_dispatch(&mut lane, &mut clock, &mut core.core, 1025);
    assert_eq!(core.core.deferred(), 1);
    rig.stop();
    // The active buffer is a fresh one.
    assert_eq!(rig.books(Of::All).unflushed, 0);
    assert_eq!(rig.collector().recover(), Ok(0));
    let books = rig.books(Of::Instance(CHIP_SWIMLANE_KIND_AICORE_TASK, 0));
    assert_eq!((books.total, books.collected, books.unaccounted), (1025, 0, 1025));
    assert_eq!((books.empty, books.unflushed), (0, 0));
    rig.finish();
}

/// What is in a core's last buffer is what has a record: slots before and between count as nothing.
fn records_with_holes_are_recovered<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Swimlane);
    rig.start();
    let (swimlane, table) = init::<A>(&rig);
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(0));
    let mut core = Simulated::new(&table, 0);
    let silent = |token: u32| [1, 4, 5].contains(&token);
    for token in 1..=10 {
        core.run(&swimlane, &mut lane, &mut clock, silent(token));
    }
    rig.stop();
    assert_eq!(rig.books(Of::All).unflushed, 7);
    assert_eq!(rig.collector().recover(), Ok(7));
    assert_eq!(rig.collector().recover(), Ok(0));
    let books = rig.books(Of::Instance(CHIP_SWIMLANE_KIND_AICORE_TASK, 0));
    assert_eq!((books.collected, books.empty, books.unflushed, books.unaccounted), (7, 0, 0, 3));
    let found = rig.records::<ChipSwimlaneAicoreTaskRecord>(CHIP_SWIMLANE_KIND_AICORE_TASK, 0);
    let expected = (1..=10).filter(|token| !silent(*token)).map(u64::from);
    assert!(found.iter().map(|(record, _)| record.start_time).eq(expected));
    rig.finish();
}
