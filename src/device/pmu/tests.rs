//! Counters: DE 1.7, 4.1, the rows of 5.1 to 5.3, and the books.

use super::registers::{Core, Programs, Registers};
use super::{Outcome, Pmu, PmuArch, PmuForm, Task};
use crate::device::engine::Flushed;
use crate::device::lane::{At, Thread};
use crate::device::rig::{Entry, Host, Memory, TestClock, active, books, count, record};
use crate::device::wait::GateOutcome;
use crate::layout::runtime::{A2a3, A5, Arch, a2a3, a5};
use std::collections::BTreeMap;
use std::mem::offset_of;

const TASK: Task = Task { task_id: 0x1234_5678_9ABC, func_id: 7, core_type: 1 };

/// A register file; counters count up by one per read.
#[derive(Default)]
struct File {
    cells: BTreeMap<(u64, u32), u32>,
    log: Vec<(u32, Option<u32>)>,
}

impl Registers for File {
    fn read(&mut self, base: u64, offset: u32) -> u32 {
        self.log.push((offset, None));
        *self.cells.entry((base, offset)).or_default()
    }
    fn write(&mut self, base: u64, offset: u32, value: u32) {
        self.log.push((offset, Some(value)));
        self.cells.insert((base, offset), value);
    }
}

struct Rig<A: PmuArch> {
    _memory: Memory,
    rings: Vec<Memory>,
    buffers: Vec<Memory>,
    host: Host,
    arch: std::marker::PhantomData<A>,
}

impl<A: PmuArch> Rig<A> {
    /// Three cores, of which each has `buffers` buffers in its free queue.
    fn new(buffers: usize) -> Self {
        let mut memory = Memory::new(A::PMU.size + 3 * A::STATE.size);
        let host = Host { base: memory.address() };
        let mut rig = Self { _memory: memory, rings: Vec::new(), buffers: Vec::new(), host, arch: Default::default() };
        for core in 0..3 {
            for _ in 0..buffers {
                rig.give(core);
            }
        }
        rig
    }

    fn state(&self, core: usize) -> At {
        self.host.state::<PmuForm<A>>(0, core)
    }

    fn give(&mut self, core: usize) -> u64 {
        let mut buffer = Memory::new(size_of::<a5::PmuBuffer>());
        let address = buffer.address();
        self.host.give::<PmuForm<A>>(self.state(core), address);
        self.buffers.push(buffer);
        address
    }

    /// A staging ring with stale contents.
    fn ring(&mut self, core: usize) -> *mut a5::PmuRecord {
        let mut ring = Memory::new(size_of::<a5::PmuAicoreRing>());
        let address = ring.address();
        self.state(core).at(offset_of!(a5::PmuBufferState, aicore_ring_ptr)).store64(address);
        self.rings.push(ring);
        At(address as usize).pointer()
    }

    fn init(&self, clock: &mut TestClock) -> Pmu<A> {
        // SAFETY: the rig's memory is a region of three cores.
        unsafe { Pmu::init(self.host.base, 3, clock) }
    }
}

/// The core's side: DE 4.1, producer.
fn core_writes(ring: *mut a5::PmuRecord, token: u32, value: u32) {
    let slot = ring.wrapping_add(token as usize % 2);
    // SAFETY: the ring has two slots.
    unsafe {
        (*slot).pmu_counters = [value; 10];
        (*slot).pmu_total_cycles = u64::from(value) << 33 | 5;
        (*slot).task_id = u64::from(token);
    }
}

/// 1.7: total first, record at `count`, caller's identity, counters of the slot; func_id and core_type are the caller's.
#[test]
fn a5_record_comes_from_the_ring() {
    let mut rig = Rig::<A5>::new(1);
    let ring = rig.ring(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let pmu = rig.init(&mut clock);
    let mut thread = Thread::new(2);
    for token in 1..=4 {
        core_writes(ring, token, 100 + token);
        assert_eq!(pmu.complete_record(&mut thread, &mut clock, 1, token, TASK), Outcome::Written);
    }
    let (buffer, seq) = active::<PmuForm<A5>>(rig.state(1));
    assert_eq!((count::<PmuForm<A5>>(buffer), seq), (4, 0));
    for index in 0..4 {
        let record: a5::PmuRecord = record::<PmuForm<A5>, _>(buffer, index);
        assert_eq!((record.task_id, record.func_id, record.core_type), (TASK.task_id, 7, 1));
        assert_eq!(record.pmu_counters, [101 + index; 10]);
        assert_eq!(record.pmu_total_cycles, u64::from(101 + index) << 33 | 5);
    }
    assert_eq!(books::<PmuForm<A5>>(rig.state(1)), (4, 0));
    assert_eq!(clock.relaxed, 0);
    // 5.2: flush publishes buffer and number, leaves no pointer.
    assert_eq!(pmu.flush(&mut thread, &mut clock, 1), Some(Flushed::Published(GateOutcome::Passed)));
    assert_eq!(rig.host.take::<PmuForm<A5>>(2), [Entry { instance: 1, kind: 0, address: buffer, seq: 0 }]);
    assert_eq!(active::<PmuForm<A5>>(rig.state(1)), (0, 1));
}

/// D37, 4.1 (3): slot by parity, low half compared; a mismatch has its own counter, and takes no buffer.
#[test]
fn a5_mismatch_is_no_drop() {
    let mut rig = Rig::<A5>::new(1);
    let ring = rig.ring(0);
    core_writes(ring, 2, 9);
    core_writes(ring, 1, 9);
    let mut clock = TestClock::new(A5::BUDGET);
    // W26: what an earlier run left does not match.
    let pmu = rig.init(&mut clock);
    let mut thread = Thread::new(0);
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 1, TASK), Outcome::Mismatch);
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 2, TASK), Outcome::Mismatch);
    core_writes(ring, 3, 9);
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 5, TASK), Outcome::Mismatch);
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 4, TASK), Outcome::Mismatch);
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 3, TASK), Outcome::Written);
    let state = rig.state(0);
    let mismatch = state.at(offset_of!(a5::PmuBufferState, mismatch_record_count)).load32();
    assert_eq!((books::<PmuForm<A5>>(state), mismatch), ((5, 0), 4));
    assert_eq!(thread.losses, Default::default());
}

/// D27, 4.1 (2): without a ring a task is a drop; without a buffer, too; the sum is the total. 1.7: a full buffer is
/// switched by the next record.
#[test]
fn a5_books_balance() {
    let mut rig = Rig::<A5>::new(2);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut thread = Thread::new(0);
    let state = rig.state(0);
    {
        let pmu = rig.init(&mut clock);
        assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 1, TASK), Outcome::Dropped);
        assert_eq!(thread.losses.refused, 1);
    }
    let ring = rig.ring(0);
    let pmu = Pmu::<A5> { ..rig.init(&mut clock) };
    let mut collected = 0;
    for token in 2..=1200u32 {
        if token % 7 != 0 {
            core_writes(ring, token, 1);
        }
        pmu.complete_record(&mut thread, &mut clock, 0, token, TASK);
        for entry in rig.host.take::<PmuForm<A5>>(0) {
            assert_eq!(count::<PmuForm<A5>>(entry.address), 512);
            collected += 512;
        }
        rig.host.serve_signals::<PmuForm<A5>>();
    }
    pmu.flush(&mut thread, &mut clock, 0);
    for entry in rig.host.take::<PmuForm<A5>>(0) {
        collected += count::<PmuForm<A5>>(entry.address);
    }
    let (total, dropped) = books::<PmuForm<A5>>(state);
    let mismatch = state.at(offset_of!(a5::PmuBufferState, mismatch_record_count)).load32();
    assert_eq!(total, 1200);
    assert_eq!(mismatch, 1200 / 7);
    assert!(dropped > 100, "the pool of two buffers was used up");
    assert_eq!(collected + dropped + mismatch, total);
    assert_eq!(thread.losses.no_buffer + thread.losses.refused, dropped);
}

/// 1.7 for a2a3, D26: counters are read over registers; a core without registers is not counted.
#[test]
fn a2a3_reads_registers() {
    let rig = Rig::<A2a3>::new(1);
    let mut clock = TestClock::new(A2a3::BUDGET);
    let pmu = rig.init(&mut clock);
    let (mut thread, mut file) = (Thread::new(3), File::default());
    let (core, bare) = (Core::new(2, 0x4000), Core::new(1, 0));
    for (index, offset) in A2a3::COUNTERS.iter().enumerate() {
        file.cells.insert((0x4000, *offset), 50 + index as u32);
    }
    file.cells.insert((0x4000, A2a3::TOTAL[0]), 4);
    file.cells.insert((0x4000, A2a3::TOTAL[1]), 1);
    assert_eq!(pmu.record_task(&mut thread, &mut clock, &mut file, &bare, TASK), Outcome::Ignored);
    assert_eq!(pmu.record_task(&mut thread, &mut clock, &mut file, &core, TASK), Outcome::Written);
    assert_eq!(file.log.len(), 10);
    let state = rig.state(2);
    let (buffer, _) = active::<PmuForm<A2a3>>(state);
    let record: a2a3::PmuRecord = record::<PmuForm<A2a3>, _>(buffer, 0);
    assert_eq!(record.pmu_counters, [50, 51, 52, 53, 54, 55, 56, 57]);
    assert_eq!((record.pmu_total_cycles, record.task_id), (1 << 32 | 4, TASK.task_id));
    assert_eq!(books::<PmuForm<A2a3>>(rig.state(1)), (0, 0));
    assert_eq!(books::<PmuForm<A2a3>>(state), (1, 0));
    // No registers are read for a record without a place.
    let (empty, mut thread) = (Rig::<A2a3>::new(0), Thread::new(0));
    let pmu = empty.init(&mut clock);
    assert_eq!(pmu.record_task(&mut thread, &mut clock, &mut file, &core, TASK), Outcome::Dropped);
    assert_eq!(file.log.len(), 10);
    assert_eq!(books::<PmuForm<A2a3>>(empty.state(2)), (1, 1));
}

/// Only a5 has staging rings: what lies in the place of their address on a2a3 is counters.
#[test]
fn counters_of_a2a3_are_no_address() {
    let rig = Rig::<A2a3>::new(1);
    let dropped = rig.state(0).at(offset_of!(a2a3::PmuBufferState, dropped_record_count));
    assert_eq!(
        offset_of!(a5::PmuBufferState, aicore_ring_ptr) + 4,
        offset_of!(a2a3::PmuBufferState, dropped_record_count)
    );
    dropped.write(1u32);
    rig.init(&mut TestClock::new(A2a3::BUDGET));
    assert_eq!(books::<PmuForm<A2a3>>(rig.state(0)), (0, 1));
}

/// 2.4.7: a switch that finds the ready queue full for its budget keeps the buffer and counts its records; D23, D31.
#[test]
fn full_ready_queue_costs_the_records() {
    let mut rig = Rig::<A5>::new(2);
    let ring = rig.ring(0);
    let mut clock = TestClock::new(A5::BUDGET);
    let pmu = rig.init(&mut clock);
    let mut thread = Thread::new(1);
    rig.host.fill_ready::<PmuForm<A5>>(1);
    let state = rig.state(0);
    let before = active::<PmuForm<A5>>(state);
    for token in 1..=513u32 {
        core_writes(ring, token, 1);
        assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, token, TASK), Outcome::Written);
    }
    assert!(clock.relaxed > 0);
    assert_eq!(active::<PmuForm<A5>>(state), before);
    assert_eq!((books::<PmuForm<A5>>(state), count::<PmuForm<A5>>(before.0)), ((513, 512), 1));
    assert_eq!(thread.losses.no_room, 512);
    // The host is taken for dead: the flush waits for it less, and loses what it has.
    let waited = clock.relaxed;
    assert!(matches!(pmu.flush(&mut thread, &mut clock, 0), Some(Flushed::Lost(_))));
    assert!(clock.relaxed < waited + waited / 2);
    assert_eq!((books::<PmuForm<A5>>(state), active::<PmuForm<A5>>(state).0), ((513, 513), 0));
    assert_eq!(thread.losses.host_gone, 1);
}

/// 5.1, 5.4, W16, W19, W20: a zero slot is consumed and nothing more; cores beyond the launch's are refused; a later launch
/// knows nothing of an earlier one; off records nothing.
#[test]
fn init_and_ranges() {
    let mut rig = Rig::<A5>::new(0);
    rig.host.give::<PmuForm<A5>>(rig.state(0), 0);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut pmu = rig.init(&mut clock);
    assert_eq!(active::<PmuForm<A5>>(rig.state(0)), (0, 0));
    assert_eq!(rig.host.free::<PmuForm<A5>>(rig.state(0)), 0);
    assert_eq!(clock.relaxed, 0);
    let mut thread = Thread::new(0);
    for core in [-1, 3, 108, i32::MAX, i32::MIN] {
        assert_eq!(pmu.complete_record(&mut thread, &mut clock, core, 1, TASK), Outcome::Ignored);
        assert_eq!(pmu.flush(&mut thread, &mut clock, core), None);
    }
    let ring = rig.ring(2);
    core_writes(ring, 1, 1);
    // A launch with fewer cores: the third is not touched any more.
    // SAFETY: the rig's memory.
    pmu = unsafe { Pmu::init(rig.host.base, 2, &mut clock) };
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 2, 1, TASK), Outcome::Ignored);
    pmu = Pmu::off();
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 1, TASK), Outcome::Ignored);
    assert_eq!(books::<PmuForm<A5>>(rig.state(0)), (0, 0));
    // SAFETY: a null region.
    pmu = unsafe { Pmu::init(0, 3, &mut clock) };
    assert_eq!(pmu.complete_record(&mut thread, &mut clock, 0, 1, TASK), Outcome::Ignored);
}

/// Appendix C and 5.3: selectors, clear, range, enable; restored once, and nothing before.
#[test]
fn registers_are_programmed_and_restored() {
    fn check<A: Programs>(controls: &[u32]) {
        let (mut file, mut core) = (File::default(), Core::new(0, 0x1000));
        for (offset, _) in A::CONTROLS {
            file.cells.insert((0x1000, *offset), 0x55);
        }
        core.restore::<A>(&mut file);
        assert!(file.log.is_empty());
        assert!(core.program::<A>(&mut file, 99));
        let events = A::events(2).unwrap();
        let wanted: Vec<_> = (A::SELECTORS.iter().zip(events).map(|(offset, event)| (*offset, Some(*event))))
            .chain(A::COUNTERS.iter().chain(&A::TOTAL).map(|offset| (*offset, None)))
            .chain(A::RANGE.into_iter().zip([Some(0), Some(0), Some(u32::MAX), Some(u32::MAX)]))
            .chain(A::CONTROLS.iter().map(|(offset, _)| (*offset, None)))
            .chain(A::CONTROLS.iter().zip(controls).map(|((offset, _), value)| (*offset, Some(*value))))
            .collect();
        assert_eq!(file.log, wanted);
        file.log.clear();
        assert!(!core.program::<A>(&mut file, 1));
        assert!(file.log.is_empty());
        core.restore::<A>(&mut file);
        core.restore::<A>(&mut file);
        assert_eq!(file.log, A::CONTROLS.iter().map(|(offset, _)| (*offset, Some(0x55))).collect::<Vec<_>>());
        let mut bare = Core::new(0, 0);
        file.log.clear();
        assert!(!bare.program::<A>(&mut file, 2));
        bare.restore::<A>(&mut file);
        assert!(file.log.is_empty());
    }
    check::<A2a3>(&[7]);
    check::<A5>(&[7, 1]);
    assert_eq!(A2a3::SELECTORS.len(), A2a3::PMU_COUNTERS);
    assert_eq!(A5::COUNTERS.len(), A5::PMU_COUNTERS);
}
