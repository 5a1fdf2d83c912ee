//! The engine's operations: what they leave behind and which hooks they call, in order.

use super::support::*;
use crate::device::{Engine, Flushed, GateOutcome, Pop, Recorded, Refused, Switched};
use std::sync::atomic::Ordering;

const CAPACITY: u32 = 3;

fn current(region: &Region) -> u64 {
    region.current.load(Ordering::SeqCst)
}

#[test]
fn a_switch_publishes_takes_and_numbers() {
    let region = Region::default();
    region.put(2);
    region.activate(1, 5);
    set(&region.counts[2], 99);
    set(&region.seq, u32::MAX);
    let mut toy = Toy::new(&region);
    assert_eq!(Engine::new(&mut toy, &mut no_wait()).switch(()), Switched::Published(Some(2)));
    let calls =
        ["entry 0 1 4294967295", "current 0", "cleared", "count 2 0", "current 2", "popped 2", "switched Some(2)"];
    assert_eq!(toy.calls, calls);
    assert_eq!((current(&region), get(&region.seq), region.count(2)), (2, 0, 0));
    assert_eq!((get(&region.tails[0]), get(&region.free_head)), (1, 1));
    // The host finds the count of the buffer it got.
    assert_eq!((region.take(0), region.count(1)), (Some((1, u32::MAX)), 5));
    assert_eq!(region.flags(), [0; 4]);
}

#[test]
fn an_empty_active_buffer_is_switched_and_none_is_not() {
    let region = Region::default();
    let mut toy = Toy::new(&region);
    let mut clock = no_wait();
    assert_eq!(Engine::new(&mut toy, &mut clock).switch(()), Switched::Nothing);
    assert!(toy.calls.is_empty());
    region.put(2);
    region.activate(1, 0);
    assert_eq!(Engine::new(&mut toy, &mut clock).switch(()), Switched::Published(Some(2)));
}

#[test]
fn a_switch_without_replacement_leaves_nothing_active_and_a_later_pop_recovers() {
    let region = Region::default();
    region.activate(1, 5);
    set(&region.flags[FQ_FREEZE], 1);
    let mut toy = Toy::new(&region);
    assert_eq!(Engine::new(&mut toy, &mut dead()).switch(()), Switched::Published(None));
    let calls = ["entry 0 1 0", "current 0", "cleared", "no replacement Some(TimedOut)", "switched None"];
    assert_eq!(toy.calls, calls);
    assert_eq!((current(&region), get(&region.seq), get(&region.tails[0])), (0, 1, 1));
    assert_eq!((region.count(1), get(&region.dropped), region.flags()), (5, 0, [0, 0, 1, 0]));
    // Whatever the gate says.
    region.put(4);
    set(&region.counts[4], 7);
    assert_eq!(Engine::new(&mut toy, &mut no_wait()).pop((), 1), Pop::Buffer(4));
    assert_eq!((current(&region), get(&region.seq), region.count(4)), (4, 1, 0));
}

#[test]
fn a_switch_that_cannot_publish_keeps_the_buffer_and_loses_its_records() {
    let region = Region::default();
    region.put(2);
    region.activate(1, 5);
    region.fill_ready(0);
    set(&region.seq, 8);
    let mut toy = Toy::new(&region);
    assert_eq!(Engine::new(&mut toy, &mut dead()).switch(()), Switched::Kept(Refused::TimedOut));
    assert_eq!(toy.calls, ["dropped 5", "failed 1 with 5 TimedOut", "count 1 0"]);
    assert_eq!((current(&region), get(&region.seq), region.count(1)), (1, 8, 0));
    assert_eq!((get(&region.tails[0]), get(&region.free_head), region.flags()), (SIZE - 1, 0, [0, 1, 0, 0]));
}

#[test]
fn what_has_no_queue_is_refused_untouched() {
    for reason in [Refused::NoHeader, Refused::BadIndex] {
        let region = Region::default();
        region.activate(1, 5);
        let mut toy = Toy { lane: Err(reason), has_gates: false, ..Toy::new(&region) };
        let mut clock = no_wait();
        assert_eq!(Engine::new(&mut toy, &mut clock).enqueue(1, 0), Err(reason));
        assert!(toy.calls.is_empty());
        assert_eq!(Engine::new(&mut toy, &mut clock).switch(()), Switched::Kept(reason));
        assert_eq!(toy.calls, ["dropped 5".to_owned(), format!("failed 1 with 5 {reason:?}"), "count 1 0".into()]);
        assert_eq!((clock.readings, region.flags()), (0, [0; 4]));
        assert_eq!(Engine::new(&mut toy, &mut clock).pop((), 0), Pop::Nothing(Some(Refused::NoHeader)));
        toy.has_free = false;
        assert_eq!(Engine::new(&mut toy, &mut clock).pop((), 0), Pop::Nothing(Some(Refused::NoQueue)));
        assert_eq!(Engine::new(&mut toy, &mut clock).try_pop((), 0), Pop::Nothing(Some(Refused::NoQueue)));
    }
}

#[test]
fn a_published_buffer_is_the_hosts_though_the_gate_stays_shut() {
    let region = Region::default();
    region.put(2);
    region.activate(1, 5);
    set(&region.flags[RQ_FREEZE], 1);
    let mut toy = Toy::new(&region);
    assert_eq!(Engine::new(&mut toy, &mut dead()).switch(()), Switched::Published(Some(2)));
    assert!(toy.calls.contains(&"gate TimedOut".to_owned()));
    assert_eq!((region.take(0), region.count(1), get(&region.dropped)), (Some((1, 0)), 5, 0));
    assert_eq!((current(&region), get(&region.seq)), (2, 1));
}

#[test]
fn a_publication_in_a_freeze_parks_behind_its_entry() {
    let region = Region::default();
    set(&region.flags[RQ_FREEZE], 1);
    let mut toy = Toy::new(&region);
    let mut clock = Script::new(|pause| {
        assert_eq!(get(&region.tails[0]), 1);
        if pause == 20 {
            assert_eq!(region.take(0), Some((6, 3)));
            tick(&region, || false);
        }
    });
    assert_eq!(Engine::new(&mut toy, &mut clock).enqueue(6, 3), Ok(GateOutcome::Passed));
    assert_eq!((clock.pauses, region.flags()), (20, [0; 4]));
}

#[test]
fn a_slot_without_a_buffer_is_consumed() {
    let region = Region::default();
    region.put(0);
    let mut toy = Toy::new(&region);
    assert_eq!(Engine::new(&mut toy, &mut no_wait()).try_pop((), 4), Pop::NullSlot);
    assert_eq!(toy.calls, ["null slot"]);
    assert_eq!((get(&region.free_head), current(&region), get(&region.seq)), (1, 0, 0));
    // In a switch nothing is active afterwards.
    region.put(0);
    region.activate(1, 5);
    toy.calls.clear();
    assert_eq!(Engine::new(&mut toy, &mut no_wait()).switch(()), Switched::Published(None));
    let calls = ["entry 0 1 0", "current 0", "cleared", "null slot", "no replacement None", "switched None"];
    assert_eq!(toy.calls, calls);
}

#[test]
fn a_try_changes_nothing_while_the_queue_is_empty() {
    let region = Region::default();
    set(&region.seq, 6);
    let mut toy = Toy::new(&region);
    assert_eq!(Engine::new(&mut toy, &mut no_wait()).try_pop((), 4), Pop::Nothing(None));
    assert!(toy.calls.is_empty());
    assert_eq!((region.flags(), get(&region.seq), current(&region)), ([0; 4], 6, 0));
}

#[test]
fn a_pool_of_one_buffer_goes_round() {
    let region = Region::default();
    region.activate(1, 5);
    let mut toy = Toy::new(&region);
    let mut clock = Script::new(|_| {
        while let Some((buffer, _)) = region.take(0) {
            region.put(buffer);
        }
    });
    for _ in 0..20 {
        assert_eq!(Engine::new(&mut toy, &mut clock).switch(()), Switched::Published(Some(1)));
    }
    assert_eq!((clock.pauses, get(&region.seq)), (20, 20));
}

#[test]
fn a_flush_publishes_what_is_there_and_numbers_on() {
    let region = Region::default();
    let mut toy = Toy::new(&region);
    let mut clock = no_wait();
    assert_eq!(Engine::new(&mut toy, &mut clock).flush(()), Flushed::Nothing);
    region.activate(1, 0);
    assert_eq!(Engine::new(&mut toy, &mut clock).flush(()), Flushed::Nothing);
    assert_eq!((toy.calls.len(), current(&region)), (0, 1));
    region.activate(1, 2);
    assert_eq!(Engine::new(&mut toy, &mut clock).flush(()), Flushed::Published(GateOutcome::Passed));
    assert_eq!(toy.calls, ["entry 0 1 0", "current 0", "cleared"]);
    assert_eq!((current(&region), get(&region.seq), region.take(0)), (0, 1, Some((1, 0))));
    // Recording goes on after it, under another number.
    region.put(2);
    assert_eq!(Engine::new(&mut toy, &mut clock).record((), CAPACITY, |_, _, _| {}), Recorded::Written);
    assert_eq!(Engine::new(&mut toy, &mut clock).finalize(()), Flushed::Published(GateOutcome::Passed));
    assert_eq!((region.take(0), toy.calls.last().map(String::as_str)), (Some((2, 1)), Some("finalized")));
}

#[test]
fn a_flush_in_vain_counts_its_records_as_lost_and_leaves_nothing_active() {
    let region = Region::default();
    region.activate(1, 2);
    region.fill_ready(0);
    let mut toy = Toy::new(&region);
    assert_eq!(Engine::new(&mut toy, &mut dead()).flush(()), Flushed::Lost(Refused::TimedOut));
    assert_eq!(toy.calls, ["dropped 2", "failed 1 with 2 TimedOut", "count 1 0", "current 0", "cleared"]);
    assert_eq!((current(&region), get(&region.seq), region.count(1)), (0, 0, 0));
}

#[test]
fn a_run_begins_with_a_buffer_or_none_and_never_waits() {
    let region = Region::default();
    let mut toy = Toy::new(&region);
    let mut clock = no_wait();
    region.activate(5, 1);
    set(&region.seq, 7);
    assert_eq!(Engine::new(&mut toy, &mut clock).init(()), Pop::Nothing(None));
    assert_eq!((current(&region), get(&region.seq), region.flags()), (0, 0, [0; 4]));
    region.put(0);
    assert_eq!(Engine::new(&mut toy, &mut clock).init(()), Pop::NullSlot);
    region.put(3);
    assert_eq!(Engine::new(&mut toy, &mut clock).init(()), Pop::Buffer(3));
    assert_eq!((current(&region), get(&region.seq)), (3, 0));
}

#[test]
fn every_record_is_published_or_counted_as_lost() {
    let region = Region::default();
    let mut toy = Toy { budget: 0, ..Toy::new(&region) };
    let (mut written, mut seen, mut free) = (0, 0, (1..6).collect::<Vec<u64>>());
    // The host sleeps through some of it.
    for number in 0..400u32 {
        let outcome = Engine::new(&mut toy, &mut no_wait()).record((), CAPACITY, |toy, buffer, index| {
            assert_eq!(index, toy.region.count(buffer));
            assert!(index < CAPACITY);
        });
        written += u32::from(outcome == Recorded::Written);
        if number / 50 % 2 == 0 {
            while let Some((buffer, _)) = region.take(0) {
                seen += region.count(buffer);
                free.push(buffer);
            }
            while get(&region.free_tail).wrapping_sub(get(&region.free_head)) < SLOTS {
                let Some(buffer) = free.pop() else { break };
                region.put(buffer);
            }
        }
    }
    let _ = Engine::new(&mut toy, &mut no_wait()).flush(());
    while let Some((buffer, _)) = region.take(0) {
        seen += region.count(buffer);
    }
    let (attempts, dropped) = (get(&region.attempts), get(&region.dropped));
    assert_eq!((attempts, seen + dropped), (400, 400));
    assert!(dropped > 0 && written > 200);
}

#[test]
fn a_chain_gets_a_buffer_it_fits_in_or_an_empty_one() {
    let region = Region::default();
    let mut toy = Toy::new(&region);
    region.activate(1, 2);
    region.put(2);
    region.put(3);
    let mut room = |need| Engine::new(&mut toy, &mut no_wait()).room((), 4, need);
    assert_eq!(room(2), Some((1, 2)));
    assert_eq!(room(3), Some((2, 0)));
    assert_eq!(room(9), Some((2, 0)));
    assert_eq!((region.take(0), region.take(0)), (Some((1, 0)), None));
}

#[test]
fn a_record_looks_behind_a_slot_without_a_buffer() {
    let region = Region::default();
    let mut toy = Toy::new(&region);
    region.activate(1, CAPACITY);
    region.put(0);
    region.put(2);
    let outcome = Engine::new(&mut toy, &mut no_wait()).record((), CAPACITY, |_, buffer, index| {
        assert_eq!((buffer, index), (2, 0));
    });
    assert_eq!((outcome, get(&region.dropped)), (Recorded::Written, 0));
}
