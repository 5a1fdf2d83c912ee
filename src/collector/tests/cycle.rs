//! One cycle per subsystem: every record arrives once and in the order of its instance, and the books balance.

use super::rig::{PmuAt, Reach, Rig, TestArch, WallClock, everywhere, publish_counters};
use crate::collector::{Of, Output, Records, Subsystem, Verdict};
use crate::device::args_dump::ArgsDump;
use crate::device::dep_gen::{DepGen, Submit};
use crate::device::lane::Thread;
use crate::device::pmu::{self, Pmu};
use crate::device::scope_stats::{Sample, ScopeStats};
use crate::layout::runtime::a5::PmuRecord;
use crate::layout::runtime::common::{ArgsDumpInfo, ArgsDumpRecord, DepGenRecord, ScopeStatsRecord};
use crate::layout::runtime::constants::ARGS_DUMP_KIND_TENSOR;
use std::sync::Mutex;

everywhere! {
    counters = counters_of_all_cores;
    submits = submits_with_chains;
    scopes = scopes_of_the_orchestrator;
    arguments = arguments_with_payloads;
    again = a_run_goes_on_after_a_stop;
    owners = cores_belong_to_whom_they_publish_with;
    crowd = one_core_gets_buffers_though_the_others_hold_theirs;
}

/// Records `count` tasks of each core of `thread`; tokens and tasks go on from `first`.
pub(super) fn record_counters<A: TestArch>(
    rig: &Rig,
    pmu: &Pmu<A>,
    thread: i32,
    cores: &[u32],
    first: u32,
    count: u32,
) {
    let mut clock = WallClock::new::<A>();
    let mut lane = Thread::new(thread);
    for token in first..first + count {
        for core in cores {
            publish_if_staged::<A>(rig, *core, token);
            let task = pmu::Task { task_id: u64::from(token), func_id: *core, core_type: 1 };
            let mut at = PmuAt { thread: &mut lane, clock: &mut clock, core: *core as i32, token };
            assert_eq!(A::record_pmu(pmu, &mut at, task), pmu::Outcome::Written);
        }
    }
}

fn publish_if_staged<A: TestArch>(rig: &Rig, core: u32, token: u32) {
    if A::RING.is_some() {
        publish_counters(rig, core, token, u64::from(token) * 3);
    }
}

pub(super) fn flush_counters<A: TestArch>(pmu: &Pmu<A>, thread: i32, cores: &[u32]) {
    let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(thread));
    for core in cores {
        pmu.flush(&mut lane, &mut clock, *core as i32).unwrap();
    }
}

/// Cores of each scheduler thread: three in a row by turns.
const CORES: [&[u32]; 2] = [&[0, 1, 2], &[3, 4, 5]];

fn counters_of_all_cores<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    let count = 1500;
    std::thread::scope(|scope| {
        for (thread, cores) in (0..).zip(CORES) {
            let (rig, pmu) = (&rig, &pmu);
            scope.spawn(move || {
                record_counters(rig, pmu, thread, cores, 1, count);
                flush_counters(pmu, thread, cores);
            });
        }
    });
    rig.stop();
    assert_eq!(rig.collector().recover(), Ok(0));
    rig.assert_whole();
    for core in 0..6 {
        let records = rig.plain::<PmuRecord>(0, core);
        assert!(records.iter().map(|record| record.task_id).eq(1..=u64::from(count)), "core {core}");
        assert!(records.iter().all(|record| record.func_id == core));
        if A::RING.is_some() {
            assert!(records.iter().all(|record| record.pmu_total_cycles == record.task_id * 3));
        }
        let books = rig.collector().books(Of::Instance(0, core)).unwrap();
        assert_eq!((books.total, books.collected), (u64::from(count), u64::from(count)));
    }
    rig.finish();
}

pub(super) fn submit(dep_gen: &mut DepGen<impl TestArch>, clock: &mut WallClock, task_id: u64, deps: usize) {
    let deps: Vec<u64> = (0..deps as u64).map(|dep| task_id * 10_000 + dep).collect();
    let submit = Submit {
        task_id,
        in_manual_scope: false,
        early_dispatch: false,
        tensors: &[],
        arg_types: None,
        deps: &deps,
        block_num: 1,
        kernel_ids: None,
    };
    assert_eq!(dep_gen.record_submit(clock, &submit), crate::device::dep_gen::Outcome::Written);
}

fn submits_with_chains<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::DepGen);
    rig.start();
    let mut clock = WallClock::new::<A>();
    // SAFETY: the rig's region.
    let mut dep_gen = unsafe { DepGen::<A>::init(rig.base(), &mut clock) };
    dep_gen.set_orch_thread_idx(2);
    for task in 0..2500 {
        // Every seventh has two slots more.
        submit(&mut dep_gen, &mut clock, task, if task % 7 == 0 { 700 } else { 3 });
    }
    dep_gen.flush(&mut clock);
    rig.stop();
    rig.assert_whole();
    let records = rig.plain::<DepGenRecord>(0, 0);
    let slots: Vec<u64> = (0..2500).flat_map(|task| vec![task; if task % 7 == 0 { 3 } else { 1 }]).collect();
    assert!(records.iter().map(|record| record.task_id).eq(slots.iter().copied()));
    let books = rig.collector().books(Of::Kind(0)).unwrap();
    assert_eq!((books.total, books.overflow), (2500, 2 * 358));
    assert_eq!(books.collected, slots.len() as u64);
    rig.finish();
}

pub(super) fn scopes<A: TestArch>(stats: &mut ScopeStats<'_, A>, clock: &mut WallClock, range: std::ops::Range<i32>) {
    for task in range {
        let sample = Sample { task_start: task, ..Sample::default() };
        assert_eq!(stats.begin(clock, &sample), crate::device::scope_stats::Outcome::Written);
        assert_eq!(stats.end(clock, &sample), crate::device::scope_stats::Outcome::Written);
    }
}

fn scopes_of_the_orchestrator<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::ScopeStats);
    rig.start();
    let mut clock = WallClock::new::<A>();
    // SAFETY: the rig's region.
    let mut stats = unsafe { ScopeStats::<A>::init(rig.base()) };
    stats.set_enabled(true);
    stats.set_orch_thread_idx(2);
    scopes(&mut stats, &mut clock, 0..4000);
    stats.flush(&mut clock);
    rig.stop();
    rig.assert_whole();
    let records = rig.plain::<ScopeStatsRecord>(0, 0);
    let expected = (0..4000).flat_map(|task| [(task, 0), (task, 1)]);
    assert!(records.iter().map(|record| (record.task_start, record.phase)).eq(expected));
    rig.finish();
}

/// An argument whose contents are `bytes`.
pub(super) fn argument(task_id: u64, bytes: &[u8]) -> ArgsDumpInfo {
    ArgsDumpInfo {
        task_id,
        role: 1,
        stage: 1,
        dtype: 5,
        ndims: 1,
        arg_index: 0,
        buffer_addr: bytes.as_ptr().expose_provenance() as u64,
        scalar_value: 0,
        func_ids: [1, 2, 3],
        func_count: 1,
        kind: ARGS_DUMP_KIND_TENSOR as u8,
        flags: 0,
        capture_payload: 1,
        pad: [0; 5],
        start_offset: 0,
        shapes: [bytes.len() as u32, 0, 0, 0, 0],
        strides: [1, 0, 0, 0, 0],
    }
}

/// What argument `task` of `thread` holds.
pub(super) fn contents(thread: i32, task: u64) -> Vec<u8> {
    let size = 1 + (task * 37 + thread as u64) % 300;
    (0..size).map(|byte| (byte + task * 7 + thread as u64) as u8).collect()
}

/// Stored payloads of a thread with the tasks they belong to.
pub(super) fn payloads(rig: &Rig, thread: u32) -> Vec<(u64, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for position in 0.. {
        // SAFETY: nothing is started meanwhile.
        let Some(run) = unsafe { rig.collector().read(0, thread, position) }.unwrap() else { break };
        assert_eq!(run.payloads.len(), run.count as usize);
        for (index, payload) in run.payloads.iter().enumerate() {
            // SAFETY: a record of the run; a payload that is there.
            let (record, bytes) = unsafe {
                let record = run.data.cast::<ArgsDumpRecord>().add(index).read();
                let bytes = (!payload.data.is_null())
                    .then(|| std::slice::from_raw_parts(payload.data, payload.size as usize).to_vec());
                (record, bytes)
            };
            assert_eq!(payload.size, record.payload_size);
            found.push((record.task_id, bytes));
        }
    }
    found
}

/// The arena is a small part of what passes through it, so that it wraps again and again.
fn arguments_with_payloads<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::ArgsDump);
    rig.start();
    // SAFETY: the rig's region.
    let dump = unsafe { ArgsDump::<A>::init(rig.base(), 2, &mut WallClock::new::<A>()) };
    let count = 600;
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let dump = &dump;
            scope.spawn(move || {
                let (mut clock, mut lane) = (WallClock::new::<A>(), Thread::new(thread));
                for task in 0..count {
                    let bytes = contents(thread, task);
                    // SAFETY: the tensor is `bytes`.
                    let outcome = unsafe { dump.arg_record(&mut lane, &mut clock, &argument(task, &bytes)) };
                    assert_eq!(outcome, crate::device::args_dump::Outcome::Written, "task {task}");
                }
                dump.flush(&mut lane, &mut clock).unwrap();
            });
        }
    });
    rig.stop();
    let books = rig.books(Of::All);
    assert_eq!((books.verdict, books.dropped, books.collected), (Verdict::None, 0, 2 * count));
    assert_eq!((books.payloads, books.payloads_lost), (2 * count, 0));
    for thread in 0..2 {
        let expected = (0..count).map(|task| (task, Some(contents(thread, task))));
        assert!(payloads(&rig, thread as u32).into_iter().eq(expected), "thread {thread}");
    }
    assert!(rig.collector().gate_stats().freezes > 20, "the arena did not wrap");
    rig.finish();
}

/// Stop and start on one region: nothing is lost, nothing comes twice.
fn a_run_goes_on_after_a_stop<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 0, CORES[0], 1, 700);
    rig.stop();
    let books = rig.books(Of::All);
    assert_eq!((books.total, books.collected, books.unflushed), (2100, 3 * 512, 3 * 188));
    rig.start();
    record_counters(&rig, &pmu, 0, CORES[0], 701, 700);
    flush_counters(&pmu, 0, CORES[0]);
    rig.stop();
    rig.assert_whole();
    for core in CORES[0] {
        assert!(rig.plain::<PmuRecord>(0, *core).iter().map(|record| record.task_id).eq(1..=1400));
    }
    rig.finish();
}

/// Without a map, a core's records come from whichever thread it belongs to in a run, of whatever shard.
fn cores_belong_to_whom_they_publish_with<A: TestArch>(mode: Reach) {
    let rig = Rig::new::<A>(mode, Subsystem::Pmu);
    let mut pmu = Pmu::<A>::off();
    for (run, owners) in [[1, 0], [2, 1], [0, 1]].into_iter().enumerate() {
        rig.start();
        if run == 0 {
            // SAFETY: the rig's region.
            pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
        }
        std::thread::scope(|scope| {
            for (thread, cores) in owners.into_iter().zip(CORES) {
                let (rig, pmu) = (&rig, &pmu);
                scope.spawn(move || {
                    record_counters(rig, pmu, thread, cores, run as u32 * 2600 + 1, 2600);
                    flush_counters(pmu, thread, cores);
                });
            }
        });
        rig.stop();
        rig.assert_whole();
    }
    for core in 0..6 {
        assert!(rig.plain::<PmuRecord>(0, core).iter().map(|record| record.task_id).eq(1..=3 * 2600), "core {core}");
    }
    rig.finish();
}

/// DE 3.7, W4: free queues that are full and that nobody empties do not leave the rest too few buffers.
fn one_core_gets_buffers_though_the_others_hold_theirs<A: TestArch>(mode: Reach) {
    let rig = Rig::with::<A>(mode, Subsystem::Pmu, |config| (config.buffers, config.max_buffers) = (1, 1));
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    for (thread, cores) in (0..).zip(CORES) {
        record_counters(&rig, &pmu, thread, cores, 1, 2600);
    }
    record_counters(&rig, &pmu, 1, &[5], 2601, 6000);
    for (thread, cores) in (0..).zip(CORES) {
        flush_counters(&pmu, thread, cores);
    }
    rig.stop();
    rig.assert_whole();
    assert_eq!(rig.plain::<PmuRecord>(0, 5).len(), 8600);
    rig.finish();
}

/// Notes what comes, in the place of the store.
struct Listener(std::sync::Arc<Mutex<Vec<(u32, u32, u32)>>>);

impl Output for Listener {
    fn take(&self, records: &Records<'_>) {
        self.0.lock().unwrap().push((records.instance, records.seq, records.count));
    }
}

#[test]
fn an_output_takes_the_place_of_the_store() {
    type A = crate::layout::runtime::A5;
    let heard = std::sync::Arc::new(Mutex::new(Vec::new()));
    let rig =
        Rig::with::<A>(Reach::Shadow, Subsystem::Pmu, |config| config.output = Some(Box::new(Listener(heard.clone()))));
    rig.start();
    // SAFETY: the rig's region.
    let pmu = unsafe { Pmu::<A>::init(rig.base(), 6, &mut WallClock::new::<A>()) };
    record_counters(&rig, &pmu, 0, &[1], 1, 1100);
    flush_counters(&pmu, 0, &[1]);
    rig.stop();
    rig.assert_whole();
    assert_eq!(*heard.lock().unwrap(), [(1, 0, 512), (1, 1, 512), (1, 2, 76)]);
    assert!(rig.plain::<PmuRecord>(0, 1).is_empty());
    rig.finish();
}
