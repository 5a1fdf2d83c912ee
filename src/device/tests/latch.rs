//! The memory of a dead host.

use super::support::*;
use crate::device::wait::POLLS_PER_READING;
use crate::device::{Engine, GateOutcome, Latch, Pop, Refused, Switched, Wait};

/// A region whose host let a lane wait in vain for a free buffer.
fn abandoned<'a>(region: &'a Region, latch: &'a Latch) {
    let gates = region.gates();
    let outcome = Wait::new(&mut dead(), Some(latch), BUDGET).free(&region.free(), Some(&gates));
    assert_eq!(outcome, Err(Refused::TimedOut));
    assert!(latch.is_set());
}

#[test]
fn after_a_time_out_patience_shrinks() {
    let (region, latch) = (Region::default(), Latch::new());
    abandoned(&region, &latch);
    region.fill_ready(0);
    let (mut patience, mut time) = (BUDGET as u32, 2 * BUDGET);
    for _ in 0..40 {
        patience /= 8;
        let mut clock = dead();
        clock.time = time;
        let mut wait = Wait::new(&mut clock, Some(&latch), BUDGET);
        assert_eq!(wait.free(&region.free(), Some(&region.gates())), Err(Refused::HostGone));
        // The lane's own signal is no sign of the host.
        assert_eq!(wait.ready(&region.ready(0), Some(&region.gates())), Err(Refused::HostGone));
        assert_eq!(region.flags(), [0, 1, 0, 1]);
        assert_eq!(wait.release(Some(&region.gates())), Err(Refused::HostGone));
        assert!((patience..=patience + POLLS_PER_READING).contains(&clock.pauses), "{} of {patience}", clock.pauses);
        // One to see that the clock has not gone back.
        assert_eq!(clock.readings == 1, patience == 0);
        time = clock.time;
    }
}

/// Memory that is used again may look as a dead host left it.
#[test]
fn a_host_that_is_late_after_a_time_out_is_waited_for() {
    let (region, latch) = (Region::default(), Latch::new());
    abandoned(&region, &latch);
    let mut clock = Script::new(|pause| {
        if pause == BUDGET as u32 / 8 - 1 {
            region.put(1);
        }
    });
    clock.time = 2 * BUDGET;
    assert!(Wait::new(&mut clock, Some(&latch), BUDGET).free(&region.free(), Some(&region.gates())).is_ok());
    assert!(!latch.is_set());
}

#[test]
fn each_word_that_only_the_host_writes_shows_its_life() {
    let signs: [fn(&Region); 5] = [
        |region| set(&region.flags[FQ_CONTENDED], 0),
        |region| set(&region.flags[FQ_FREEZE], 1),
        |region| set(&region.flags[RQ_FREEZE], 1),
        |region| set(&region.heads[1], 1),
        |region| region.put(3),
    ];
    for (number, sign) in signs.into_iter().enumerate() {
        let (region, latch) = (Region::default(), Latch::new());
        abandoned(&region, &latch);
        sign(&region);
        let mut clock = dead();
        clock.time = 2 * BUDGET;
        let outcome = Wait::new(&mut clock, Some(&latch), BUDGET).free(&region.free(), Some(&region.gates()));
        let taken = number == 4;
        assert_eq!(outcome, if taken { Ok(0) } else { Err(Refused::TimedOut) }, "{number}");
        assert_eq!(clock.pauses == 0, taken, "{number}");
    }
}

#[test]
fn what_is_served_after_a_time_out_restores_the_patience() {
    let (region, latch) = (Region::default(), Latch::new());
    abandoned(&region, &latch);
    set(&region.flags[RQ_FREEZE], 0);
    let mut clock = Script::new(|pause| {
        if pause == 2 {
            region.put(1);
            set(&region.flags[RQ_FREEZE], 1);
        }
    });
    clock.time = 2 * BUDGET;
    let mut wait = Wait::new(&mut clock, Some(&latch), BUDGET);
    assert!(wait.free(&region.free(), Some(&region.gates())).is_ok());
    assert_eq!(wait.push_gate(Some(&region.gates())), GateOutcome::TimedOut);
    assert!(clock.pauses >= BUDGET as u32);
}

#[test]
fn a_clock_that_has_gone_back_is_another_runs() {
    let (region, latch) = (Region::default(), Latch::new());
    abandoned(&region, &latch);
    let mut clock = dead();
    let outcome = Wait::new(&mut clock, Some(&latch), BUDGET).free(&region.free(), Some(&region.gates()));
    assert_eq!(outcome, Err(Refused::TimedOut));
    assert!(clock.pauses >= BUDGET as u32);
}

#[test]
fn what_comes_in_time_clears_it() {
    let (region, latch) = (Region::default(), Latch::new());
    abandoned(&region, &latch);
    set(&region.flags[FQ_CONTENDED], 0);
    let mut clock = Script::new(|pause| {
        if pause == 2 {
            region.put(1);
        }
    });
    assert!(Wait::new(&mut clock, Some(&latch), BUDGET).free(&region.free(), Some(&region.gates())).is_ok());
    assert!(!latch.is_set());
}

#[test]
fn another_regions_host_is_another() {
    let (region, other, latch) = (Region::default(), Region::default(), Latch::new());
    abandoned(&region, &latch);
    let mut clock = dead();
    let outcome = Wait::new(&mut clock, Some(&latch), BUDGET).free(&other.free(), Some(&other.gates()));
    assert_eq!(outcome, Err(Refused::TimedOut));
    assert!(clock.pauses >= BUDGET as u32);
}

#[test]
fn a_budget_of_nothing_says_nothing_about_the_host() {
    let (region, latch) = (Region::default(), Latch::new());
    let outcome = Wait::new(&mut no_wait(), Some(&latch), 0).free(&region.free(), Some(&region.gates()));
    assert_eq!(outcome, Err(Refused::TimedOut));
    assert!(!latch.is_set());
}

#[test]
fn a_switch_waits_for_one_budget_in_all_and_the_next_for_less() {
    let (region, latch) = (Region::default(), Latch::new());
    set(&region.flags[RQ_FREEZE], 1);
    let mut toy = Toy { latch: Some(&latch), ..Toy::new(&region) };
    region.activate(1, 7);
    let mut clock = dead();
    let mut engine = Engine::new(&mut toy, &mut clock);
    // The gate takes the budget, the free queue gets one look.
    assert_eq!(engine.switch(()), Switched::Published(None));
    let pauses = engine.clock.pauses;
    assert!(pauses < BUDGET as u32 + 20);
    region.activate(2, 3);
    assert_eq!(engine.switch(()), Switched::Published(None));
    assert_eq!(engine.pop((), 9), Pop::Nothing(Some(Refused::HostGone)));
    assert!(engine.clock.pauses < pauses + BUDGET as u32 / 4);
    assert_eq!(region.take(0), Some((1, 0)));
    assert_eq!(region.take(0), Some((2, 1)));
    assert_eq!(get(&region.dropped), 0);
    // The host took what lay there: it is waited for again.
    assert_eq!(engine.enqueue(3, 2), Ok(GateOutcome::TimedOut));
    assert!(engine.clock.pauses > pauses + BUDGET as u32);
}
