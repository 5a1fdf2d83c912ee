//! Submits: DE 1.8, D28 to D31, the rows of 5.1 to 5.3.

use super::{DepGen, DepGenForm, Outcome, Submit, records_needed_for};
use crate::device::engine::Flushed;
use crate::device::lane::{At, Losses};
use crate::device::rig::{Entry, Single, TestClock, active, books, count, record};
use crate::device::wait::GateOutcome;
use crate::layout::runtime::common::{DepGenBufferState, DepGenOverflowRecord, DepGenRecord};
use crate::layout::runtime::{A2a3, A5, Arch};
use std::mem::offset_of;

type Form = DepGenForm<A5>;

type Rig = Single<Form>;

impl Rig {
    fn overflow(&self) -> u32 {
        self.state().at(offset_of!(DepGenBufferState, total_overflow_record_count)).load32()
    }

    fn init(&self, clock: &mut TestClock, index: i32) -> DepGen<A5> {
        // SAFETY: the rig's memory is a region.
        let mut dep_gen = unsafe { DepGen::init(self.host.base, clock) };
        dep_gen.set_orch_thread_idx(index);
        dep_gen
    }
}

fn submit(deps: &[u64]) -> Submit<'_> {
    Submit {
        task_id: 77,
        in_manual_scope: false,
        early_dispatch: false,
        tensors: &[],
        arg_types: None,
        deps,
        block_num: 1,
        kernel_ids: None,
    }
}

#[test]
fn slots_of_a_chain() {
    for (deps, slots) in [(0, 1), (64, 1), (65, 2), (646, 2), (647, 3), (u64::MAX, 1 + (u64::MAX - 64).div_ceil(582))] {
        assert_eq!(records_needed_for(deps), slots, "{deps}");
    }
}

/// Step 10: every field of the base slot; what is beyond the stored counts stays as it was.
#[test]
fn base_slot() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut dep_gen = rig.init(&mut clock, 4);
    let (buffer, _) = active::<Form>(rig.state());
    At(buffer as usize).at(64 + offset_of!(DepGenRecord, arg_types) + 3).write(0xEEu8);
    let tensors = [[1u8; 128], [2; 128]];
    let outcome = dep_gen.record_submit(
        &mut clock,
        &Submit {
            task_id: 5,
            in_manual_scope: true,
            early_dispatch: true,
            tensors: &[Some(&tensors[0]), None, Some(&tensors[1])],
            arg_types: Some(&[7, 8, 9, 10]),
            deps: &[11, 12],
            block_num: 0,
            kernel_ids: Some([1, 2, 3]),
        },
    );
    assert_eq!(outcome, Outcome::Written);
    let slot: DepGenRecord = record::<Form, _>(buffer, 0);
    assert_eq!((slot.task_id, slot.flags, slot.tensor_count, slot.explicit_dep_count), (5, 17, 3, 2));
    assert_eq!((slot.explicit_deps[..2].to_vec(), slot.arg_types[..4].to_vec()), (vec![11, 12], vec![7, 8, 9, 0xEE]));
    assert_eq!((slot.kernel_id, slot.block_num), ([1, 2, 3], 1));
    assert_eq!(slot.tensors[0], [1; 128]);
    assert_eq!(slot.tensors[1], [0; 128]);
    assert_eq!(slot.tensors[2], [2; 128]);
    // Step 9: more tensors than a slot has; null kernels.
    let many = [None; 40];
    let too_many = Submit { tensors: &many, arg_types: Some(&[3; 40]), block_num: 9, ..submit(&[]) };
    assert_eq!(dep_gen.record_submit(&mut clock, &too_many), Outcome::Truncated);
    let most = Submit { tensors: &many[..32], ..too_many };
    assert_eq!(dep_gen.record_submit(&mut clock, &most), Outcome::Written);
    assert_eq!(dep_gen.thread.losses, Losses { truncated: 1, ..Losses::default() });
    let slot: DepGenRecord = record::<Form, _>(buffer, 1);
    assert_eq!((slot.tensor_count, slot.kernel_id, slot.block_num, slot.flags), (32, [-1; 3], 9, 0));
    assert_eq!(slot.kernel_id[0], -1);
}

/// D28, step 10 and 11: overflow slots follow in order, the last one is marked, one count covers the chain.
#[test]
fn chain_is_contiguous() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut dep_gen = rig.init(&mut clock, 4);
    let deps: Vec<u64> = (1000..1000 + 64 + 582 + 5).collect();
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&deps)), Outcome::Written);
    let (buffer, _) = active::<Form>(rig.state());
    assert_eq!((count::<Form>(buffer), rig.overflow()), (3, 2));
    let base: DepGenRecord = record::<Form, _>(buffer, 0);
    assert_eq!((base.flags, base.explicit_dep_count), (2, 64));
    let mut found = base.explicit_deps.to_vec();
    for (index, flags, size) in [(1, 4, 582), (2, 12, 5)] {
        let slot: DepGenOverflowRecord = record::<Form, _>(buffer, index);
        assert_eq!((slot.task_id, slot.flags, slot.dep_count, slot._reserved), (77, flags, size, 0));
        found.extend(&slot.deps[..size as usize]);
    }
    assert_eq!(found, deps);
    assert_eq!(books::<Form>(rig.state()), (1, 0));
}

/// D29: before the index is known a submit costs one total and one drop, nothing else. D30: after it the record stands at the
/// old count, and flush publishes the buffer and leaves none.
#[test]
fn orchestrator_index() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut dep_gen = rig.init(&mut clock, -1);
    let (buffer, _) = active::<Form>(rig.state());
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&[1; 100])), Outcome::NoIndex);
    assert_eq!((books::<Form>(rig.state()), rig.overflow(), count::<Form>(buffer)), ((1, 1), 0, 0));
    assert_eq!(active::<Form>(rig.state()), (buffer, 0));
    assert!((0..5).all(|thread| rig.host.take::<Form>(thread).is_empty()));
    assert_eq!(dep_gen.thread.losses.refused, 1);
    dep_gen.set_orch_thread_idx(4);
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&[2])), Outcome::Written);
    assert_eq!(count::<Form>(buffer), 1);
    assert_eq!(dep_gen.flush(&mut clock), Some(Flushed::Published(GateOutcome::Passed)));
    assert_eq!(rig.host.take::<Form>(4), [Entry { instance: 0, kind: 0, address: buffer, seq: 0 }]);
    assert_eq!(active::<Form>(rig.state()), (0, 1));
    // 5.3: finalize forgets region and index, with or without a run.
    dep_gen.finalize();
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&[2])), Outcome::Ignored);
    assert_eq!((dep_gen.flush(&mut clock), dep_gen.thread.index), (None, -1));
    assert_eq!(books::<Form>(rig.state()), (2, 1));
}

/// Step 6: a chain that does not fit switches a buffer that has records; one that fits exactly does not.
#[test]
fn chain_that_does_not_fit_switches() {
    let rig = Rig::new(2);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut dep_gen = rig.init(&mut clock, 0);
    for _ in 0..1021 {
        dep_gen.record_submit(&mut clock, &submit(&[]));
    }
    let deps = vec![3; 64 + 582 * 2];
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&deps)), Outcome::Written);
    let (first, _) = active::<Form>(rig.state());
    assert_eq!(count::<Form>(first), 1024);
    assert!(rig.host.take::<Form>(0).is_empty());
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&deps)), Outcome::Written);
    assert_eq!(rig.host.take::<Form>(0), [Entry { instance: 0, kind: 0, address: first, seq: 0 }]);
    let (second, seq) = active::<Form>(rig.state());
    assert_eq!((count::<Form>(second), seq), (3, 1));
    // D28 over both buffers.
    let (total, dropped) = books::<Form>(rig.state());
    assert_eq!(1024 + 3 + dropped, total + rig.overflow());
}

/// Steps 7 and 8: a chain larger than any buffer is shortened to what fits one, and takes all of it.
#[test]
fn chain_larger_than_a_buffer() {
    let rig = Rig::new(2);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut dep_gen = rig.init(&mut clock, 0);
    dep_gen.record_submit(&mut clock, &submit(&[]));
    let deps: Vec<u64> = (0..64 + 582 * 1023 + 1).collect();
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&deps)), Outcome::Truncated);
    assert_eq!(rig.host.take::<Form>(0).len(), 1);
    let (buffer, _) = active::<Form>(rig.state());
    assert_eq!((count::<Form>(buffer), rig.overflow()), (1024, 1023));
    let last: DepGenOverflowRecord = record::<Form, _>(buffer, 1023);
    assert_eq!((last.flags, last.dep_count), (12, 582));
    assert_eq!(last.deps[581], 64 + 582 * 1023 - 1);
    assert_eq!(dep_gen.thread.losses.truncated, 1);
}

/// Step 5 and the exits of 2.6: no buffer within the budget; a host that stays silent is waited for less (W7), and a
/// buffer that comes is taken at once.
#[test]
fn no_buffer() {
    let mut rig = Rig::new(0);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut dep_gen = rig.init(&mut clock, 0);
    assert_eq!((clock.relaxed, active::<Form>(rig.state())), (0, (0, 0)));
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&[])), Outcome::Dropped);
    assert!(clock.relaxed >= 40);
    let waited = clock.relaxed;
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&[])), Outcome::Dropped);
    assert!(clock.relaxed < waited + waited / 2);
    assert_eq!(books::<Form>(rig.state()), (2, 2));
    assert_eq!(dep_gen.thread.losses.no_buffer, 2);
    rig.give();
    assert_eq!(dep_gen.record_submit(&mut clock, &submit(&[])), Outcome::Written);
}

/// A failed switch: the records are lost, the buffer is used again, and the submit that wanted it is recorded.
#[test]
fn switch_without_room() {
    let rig = Rig::new(1);
    let mut clock = TestClock::new(A5::BUDGET);
    let mut dep_gen = rig.init(&mut clock, 3);
    rig.host.fill_ready::<Form>(3);
    for _ in 0..1025 {
        assert_eq!(dep_gen.record_submit(&mut clock, &submit(&[])), Outcome::Written);
    }
    assert_eq!((books::<Form>(rig.state()), dep_gen.thread.losses.no_room), ((1025, 1024), 1024));
    // D31: a flush that fails leaves no buffer either.
    assert!(matches!(dep_gen.flush(&mut clock), Some(Flushed::Lost(_))));
    assert_eq!((books::<Form>(rig.state()), active::<Form>(rig.state()).0), ((1025, 1025), 0));
}

/// A2a3 has another header and the same states.
#[test]
fn a2a3_header() {
    let rig = Single::<DepGenForm<A2a3>>::new(1);
    let mut clock = TestClock::new(A2a3::BUDGET);
    // SAFETY: the rig's memory is a region.
    let mut dep_gen = unsafe { DepGen::<A2a3>::init(rig.host.base, &mut clock) };
    for index in [3, 4] {
        dep_gen.set_orch_thread_idx(index);
        dep_gen.record_submit(&mut clock, &submit(&[]));
        let flushed = dep_gen.flush(&mut clock);
        assert_eq!(flushed == Some(Flushed::Published(GateOutcome::Passed)), index == 3, "{flushed:?}");
        if index == 3 {
            let taken = rig.host.take::<DepGenForm<A2a3>>(3);
            assert_eq!(taken.len(), 1);
            rig.host.give::<DepGenForm<A2a3>>(rig.state(), taken[0].address);
        }
    }
    assert_eq!(dep_gen.thread.losses.no_queue, 1);
}
