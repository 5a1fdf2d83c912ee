//! Waits: what ends them, what they signal, how long they last.

use super::support::*;
use crate::device::wait::{POLLS_PER_READING, Spent};
use crate::device::{FreeView, GateOutcome, ReadyView, Refused, Wait};
use crate::layout::RawWords64;
use crate::sync::RawWord32;
use std::cell::Cell;

#[test]
fn a_ring_holds_one_less_than_its_size_and_indices_stay_inside() {
    for start in 0..SIZE {
        let region = Region::default();
        set(&region.heads[0], start);
        set(&region.tails[0], start);
        let view = region.ready(0);
        for pending in 0..SIZE - 1 {
            let slot = view.look().expect("room");
            assert_eq!((slot.tail, slot.head), ((start + pending) % SIZE, start));
            view.commit(slot);
            assert_eq!(get(&region.tails[0]), (start + pending + 1) % SIZE);
        }
        assert_eq!(view.look(), None);
        set(&region.heads[0], (start + 1) % SIZE);
        assert!(view.look().is_some());
    }
}

#[test]
fn views_refuse_sizes_that_no_queue_has() {
    let word = std::sync::atomic::AtomicU32::new(0);
    // SAFETY: never accessed.
    let (word, slots) = unsafe { (RawWord32::new(word.as_ptr()), RawWords64::new(std::ptr::dangling_mut(), 8)) };
    for size in 0..=3 {
        assert_eq!(ReadyView::new(word, word, size).is_some(), size >= 2);
    }
    for count in 0..=9 {
        assert_eq!(FreeView::new(word, word, slots, count).is_some(), [1, 2, 4, 8].contains(&count));
    }
}

#[test]
fn free_indices_wrap_without_a_jump() {
    let region = Region::default();
    set(&region.free_head, u32::MAX - 2);
    set(&region.free_tail, u32::MAX - 2);
    let view = region.free();
    for buffer in 1..=8 {
        assert_eq!(view.look(), None);
        region.put(buffer);
        assert_eq!(view.take(view.look().unwrap()), buffer);
    }
    assert_eq!(get(&region.free_head), 5);
}

#[test]
fn open_ways_cost_no_reading_of_the_clock() {
    let region = Region::default();
    // Whatever the freezes say: a slot that is there may be used.
    set(&region.flags[FQ_FREEZE], 1);
    region.put(1);
    let mut clock = no_wait();
    assert!(wait(&mut clock).ready(&region.ready(0), Some(&region.gates())).is_ok());
    assert_eq!(wait(&mut clock).free(&region.free(), Some(&region.gates())), Ok(0));
    assert_eq!(wait(&mut clock).push_gate(Some(&region.gates())), GateOutcome::Passed);
    set(&region.flags[FQ_FREEZE], 0);
    assert_eq!(wait(&mut clock).release(Some(&region.gates())), Ok(()));
    assert_eq!((clock.readings, region.flags()), (0, [0; 4]));
}

#[test]
fn without_gates_barriers_are_open_and_an_empty_queue_is_refused_at_once() {
    let region = Region::default();
    let mut clock = no_wait();
    assert_eq!(wait(&mut clock).push_gate::<RawWord32>(None), GateOutcome::Passed);
    assert_eq!(wait(&mut clock).release::<RawWord32>(None), Ok(()));
    assert_eq!(wait(&mut clock).free(&region.free(), None), Err(Refused::NoHeader));
    region.put(5);
    assert_eq!(wait(&mut clock).free(&region.free(), None), Ok(0));
    wait(&mut clock).request_release::<RawWord32>(None);
}

#[test]
fn a_full_ready_queue_is_signalled_and_waited_for() {
    let region = Region::default();
    region.fill_ready(0);
    let mut clock = Script::new(|pause| {
        assert_eq!(region.flags(), [0, 1, 0, 0]);
        if pause == 40 {
            region.take(0);
        }
    });
    let slot = wait(&mut clock).ready(&region.ready(0), Some(&region.gates())).unwrap();
    assert_eq!((slot.tail, slot.head), (SIZE - 1, 1));
    assert_eq!(clock.pauses, 40);
}

#[test]
fn a_frozen_push_gate_lets_the_lane_use_the_room_that_comes() {
    let region = Region::default();
    region.fill_ready(0);
    set(&region.flags[RQ_FREEZE], 1);
    let mut clock = Script::new(|_| {
        region.take(0);
    });
    assert!(wait(&mut clock).ready(&region.ready(0), Some(&region.gates())).is_ok());
    assert_eq!((clock.pauses, region.flags()), (1, [1, 0, 0, 0]));
}

#[test]
fn every_wait_ends_with_the_budget_and_reads_the_clock_rarely() {
    type Op = fn(&Region, &mut Script<fn(u32)>) -> Result<(), Refused>;
    let ops: [(Op, [u32; 4], [u32; 4]); 6] = [
        (|r, c| wait(c).ready(&r.ready(0), Some(&r.gates())).map(drop), [0; 4], [0, 1, 0, 0]),
        (|r, c| wait(c).ready(&r.ready(0), None).map(drop), [0; 4], [0; 4]),
        (|r, c| wait(c).free(&r.free(), Some(&r.gates())).map(drop), [0; 4], [0, 0, 0, 1]),
        (|r, c| wait(c).free(&r.free(), Some(&r.gates())).map(drop), [0, 0, 1, 0], [0, 0, 1, 0]),
        (|r, c| wait(c).release(Some(&r.gates())), [0, 0, 0, 1], [0, 0, 0, 1]),
        (|r, c| wait(c).until(Some(&r.gates()), || false), [0; 4], [0; 4]),
    ];
    for (number, (op, before, after)) in ops.into_iter().enumerate() {
        let region = Region::default();
        region.fill_ready(0);
        (0..4).for_each(|at| set(&region.flags[at], before[at]));
        let mut clock = dead();
        assert_eq!(op(&region, &mut clock), Err(Refused::TimedOut), "{number}");
        assert_eq!(region.flags(), after, "{number}");
        assert!((BUDGET as u32..=BUDGET as u32 + POLLS_PER_READING).contains(&clock.pauses), "{number}");
        assert!(clock.readings <= 2 + clock.pauses / POLLS_PER_READING, "{number}");
    }
    let region = Region::default();
    set(&region.flags[RQ_FREEZE], 1);
    assert_eq!(wait(&mut dead()).push_gate(Some(&region.gates())), GateOutcome::TimedOut);
}

#[test]
fn a_budget_of_nothing_is_one_look() {
    let region = Region::default();
    region.fill_ready(0);
    let mut clock = no_wait();
    let mut none = Wait::new(&mut clock, None, 0);
    assert_eq!(none.ready(&region.ready(0), Some(&region.gates())), Err(Refused::TimedOut));
    assert_eq!(none.free(&region.free(), Some(&region.gates())), Err(Refused::TimedOut));
    assert_eq!(none.release(Some(&region.gates())), Err(Refused::TimedOut));
    set(&region.flags[RQ_FREEZE], 1);
    assert_eq!(none.push_gate(Some(&region.gates())), GateOutcome::TimedOut);
    assert_eq!(region.flags(), [1, 1, 0, 1]);
    // What can be had at once is had all the same.
    region.take(0);
    region.put(1);
    assert!(none.ready(&region.ready(0), Some(&region.gates())).is_ok());
    assert!(none.free(&region.free(), Some(&region.gates())).is_ok());
    assert_eq!(clock.readings, 0);
}

#[test]
fn the_clock_may_wrap_during_a_wait() {
    let region = Region::default();
    let mut clock = dead();
    clock.time = u64::MAX - 5;
    assert_eq!(wait(&mut clock).free(&region.free(), Some(&region.gates())), Err(Refused::TimedOut));
    assert!(clock.pauses >= BUDGET as u32);
}

#[test]
fn a_release_is_measured_from_the_callers_start() {
    let region = Region::default();
    set(&region.flags[FQ_FREEZE], 1);
    let release = |clock: &mut Script<fn(u32)>, start, budget| {
        Wait::resume(clock, None, budget, Spent::since(start)).release(Some(&region.gates()))
    };
    let mut clock = dead();
    clock.time = 700;
    // Used up before the wait began.
    assert_eq!(release(&mut clock, 200, 500), Err(Refused::TimedOut));
    assert_eq!(clock.pauses, 0);
    // 100 ticks are left of it.
    assert_eq!(release(&mut clock, 200, 600), Err(Refused::TimedOut));
    assert!((100..100 + POLLS_PER_READING).contains(&clock.pauses));
}

#[test]
fn a_release_needs_both_words_down() {
    let region = Region::default();
    let steps = Cell::new(0);
    wait(&mut no_wait()).request_release(Some(&region.gates()));
    let mut clock = Script::new(|pause| match pause {
        3 => tick(&region, || true),
        // Another lane asks during the freeze: it is opened again at once.
        5 => set(&region.flags[FQ_CONTENDED], 1),
        7 => tick(&region, || false),
        9 => assert_eq!(region.flags(), [0, 0, 0, 1]),
        10 => tick(&region, || true),
        12 => {
            steps.set(1);
            tick(&region, || false);
        }
        _ => {}
    });
    assert_eq!(wait(&mut clock).release(Some(&region.gates())), Ok(()));
    assert_eq!((clock.pauses, steps.get()), (12, 1));
}

#[test]
fn a_lane_that_is_passed_over_signals_again() {
    let region = Region::default();
    // The host opens and shuts the gate between two looks, and has nothing to give; later it has.
    let raised = Cell::new(0);
    let mut clock = Script::new(|pause| {
        raised.set(raised.get() + get(&region.flags[FQ_CONTENDED]));
        match pause {
            0..5 => tick(&region, || false),
            5 => {
                let mut given = false;
                tick(&region, || {
                    !std::mem::replace(&mut given, true) && {
                        region.put(9);
                        true
                    }
                });
                set(&region.flags[FQ_FREEZE], 0);
            }
            _ => panic!("got nothing"),
        }
    });
    assert_eq!(wait(&mut clock).free(&region.free(), Some(&region.gates())), Ok(0));
    // One signal per freeze.
    assert_eq!((clock.pauses, raised.get()), (5, 5));
    assert_eq!(region.flags(), [0; 4]);
}

#[test]
fn nothing_is_signalled_in_a_freeze_or_beside_a_signal() {
    let region = Region::default();
    set(&region.flags[FQ_FREEZE], 1);
    let mut clock = Script::new(|pause| {
        assert_eq!(get(&region.flags[FQ_CONTENDED]), u32::from(pause > 3));
        match pause {
            // Opens without a buffer for this lane.
            3 => set(&region.flags[FQ_FREEZE], 0),
            6 => region.put(1),
            _ => {}
        }
    });
    assert_eq!(wait(&mut clock).free(&region.free(), Some(&region.gates())), Ok(0));
    assert_eq!(clock.pauses, 6);
}

#[test]
fn a_parked_lane_takes_its_buffer_when_the_gate_opens() {
    let region = Region::default();
    set(&region.flags[FQ_FREEZE], 1);
    let mut clock = Script::new(|pause| match pause {
        2 => region.put(1),
        4 => set(&region.flags[FQ_FREEZE], 0),
        _ => {}
    });
    assert_eq!(wait(&mut clock).free(&region.free(), Some(&region.gates())), Ok(0));
    assert_eq!((clock.pauses, region.flags()), (4, [0; 4]));
}
