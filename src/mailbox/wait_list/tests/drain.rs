use super::support::*;
use crate::mailbox::wait_list::*;

#[test]
fn conditions_of_a_task_make_an_entry_in_their_order() {
    for mut lists in Lists::both() {
        let mut world = World::passive();
        let record = world.record(9, 1, 3);
        let mut ring = Ring::of([world.counter(9, 0, 1), record, world.counter(8, 2, 5)]);
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.drained, outcome.failure), (3, None));
        let list = lists.list();
        assert_eq!(list.count(), 2);
        let entry = list.entry(0);
        assert_eq!((entry.task_token(), entry.slot_state(), entry.waiting()), (9, 0, 2));
        assert!(!entry.is_normal_done());
        let (first, second) = (entry.condition(0), entry.condition(1));
        assert_eq!((first.completion_type(), first.engine(), first.expected_value()), (COUNTER, 7, 1));
        assert_eq!(first.counter_addr(), first.addr());
        assert_eq!((second.counter_addr(), second.addr(), second.backend_cookie()), (0, record.addr, 3));
        assert_eq!((first.satisfied_byte(), first.retired_byte()), (0, 0));
        assert_eq!(list.entry(1).task_token(), 8);
    }
}

#[test]
fn a_lone_sentinel_makes_an_entry_if_nobody_completes() {
    for mut lists in Lists::both() {
        let mut world = World::passive();
        let mut ring = Ring::of([done(3, 0x40)]);
        assert_eq!(lists.drain(&mut ring, &mut world).drained, 1);
        let entry = lists.list().entry(0);
        assert_eq!((entry.conditions(), entry.waiting(), entry.slot_state()), (0, 0, 0x40));
        assert!(entry.is_normal_done());
        assert_eq!(world.completed, []);
    }
}

#[test]
fn a_lone_sentinel_is_completed_at_once() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        let mut ring = Ring::of([done(3, 0x40), done(4, 0x80)]);
        assert_eq!(lists.drain(&mut ring, &mut world).drained, 2);
        assert_eq!(world.completed, [0x40, 0x80]);
        assert_eq!(lists.list().count(), 0);
    }
}

#[test]
fn the_first_slot_is_kept() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        let mut ring = Ring::of([world.counter(3, 0, 1), done(3, 0x40), done(3, 0x80)]);
        assert_eq!(lists.drain(&mut ring, &mut world).drained, 3);
        assert_eq!(lists.list().entry(0).slot_state(), 0x40);
    }
}

#[test]
fn any_token_is_as_good_as_another() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        let tokens = [0, u64::MAX, 1 << 63, 0x100_0000_0001];
        let mut ring = Ring::default();
        tokens.iter().for_each(|token| ring.push(world.counter(*token, 0, 1)));
        tokens.iter().for_each(|token| ring.push(done(*token, token.wrapping_add(2))));
        assert_eq!(lists.drain(&mut ring, &mut world).drained, 8);
        assert_eq!(lists.list().count(), 4);
        world.set(0, 1);
        lists.poll(&mut ring, &mut world);
        world.completed.sort_unstable();
        let mut slots = tokens.map(|token| token.wrapping_add(2));
        slots.sort_unstable();
        assert_eq!(world.completed, slots);
    }
}

#[test]
fn what_cannot_be_stored_stays_and_the_error_repeats() {
    for mut lists in Lists::both() {
        for (bad, token) in [
            (Message { kind: 2, task_token: 5, addr: 1, ..Message::default() }, 5),
            (done(6, 0), 6),
            (Message { kind: u32::MAX, task_token: 7, addr: 1, ..Message::default() }, 7),
        ] {
            let mut world = World::new(1);
            let mut ring = Ring::of([done(1, 0x40), bad, done(2, 0x80)]);
            for turn in 1..=3 {
                let outcome = lists.drain(&mut ring, &mut world);
                let failure = outcome.failure.unwrap();
                assert_eq!((failure.error, failure.token), (ERROR_REGISTRATION, token));
                assert_eq!(ring.tail, 1, "turn {turn}");
                assert_eq!(world.reports.len(), turn);
            }
            assert_eq!(world.completed, [0x40], "nothing overtakes it");
            let (list, side) = lists.parts();
            reset(list, side);
        }
    }
}

#[test]
fn a_sentinel_without_a_slot_is_refused_for_a_known_task_too() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        let mut ring = Ring::of([world.counter(6, 0, 1), done(6, 0)]);
        assert_eq!(lists.drain(&mut ring, &mut world).failure.unwrap().error, ERROR_REGISTRATION);
        assert!(!lists.list().entry(0).is_normal_done());
    }
}

#[test]
fn a_completion_that_fails_stops_the_drain_and_is_tried_again() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        world.failing = vec![0x80];
        let mut ring = Ring::of([done(1, 0x40), done(2, 0x80), done(3, 0xc0)]);
        for _ in 0..2 {
            let outcome = lists.drain(&mut ring, &mut world);
            let failure = outcome.failure.unwrap();
            assert_eq!((failure.error, failure.token, failure.slot), (5, 2, 0x80));
            assert_eq!((ring.tail, world.completed.as_slice()), (1, [0x40].as_slice()));
        }
        world.failing.clear();
        assert_eq!(lists.drain(&mut ring, &mut world).drained, 2);
        assert_eq!(world.completed, [0x40, 0x80, 0xc0]);
    }
}

#[test]
fn a_gap_ends_the_drain_without_an_error() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        let mut ring = Ring::of([done(1, 0x40), done(2, 0x80)]);
        ring.gap = Some(1);
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.drained, outcome.failure, outcome.more), (1, None, false));
        ring.gap = None;
        assert_eq!(lists.drain(&mut ring, &mut world).drained, 1);
    }
}

#[test]
fn a_budget_is_exact_and_the_tail_moves_in_runs() {
    for mut lists in Lists::both() {
        let mut world = World::passive();
        let mut ring = Ring::default();
        (0..640).for_each(|number| ring.push(world.counter(number % 10, 0, 1)));
        lists.mode.budget = 100;
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.drained, outcome.more, ring.consumes), (100, true, 2));
        lists.mode.budget = 0;
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.drained, outcome.more), (540, false));
        assert_eq!(ring.longest, 64);
    }
}

#[test]
fn a_list_made_by_hand_is_honoured() {
    for mut lists in Lists::both() {
        let mut world = World::new(2);
        let list = lists.list();
        let entry = list.entry(0);
        entry.set_task_token(77);
        entry.set_slot_state(0x40);
        entry.set_condition_count(0);
        entry.set_waiting(0);
        entry.set_normal_done_byte(1);
        list.set_count(1);
        let mut ring = Ring::of([world.counter(77, 0, 1)]);
        assert_eq!(lists.drain(&mut ring, &mut world).drained, 1);
        assert_eq!((list.count(), entry.conditions(), entry.waiting()), (1, 1, 1));
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, []);
        world.set(0, 1);
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, [0x40]);
        assert_eq!(list.count(), 0);
    }
}

#[test]
fn entries_that_move_behind_the_list_are_found() {
    for mut lists in Lists::both() {
        let mut world = World::passive();
        let mut ring = Ring::of((0..6).map(|token| world.counter(token, 0, 1)));
        lists.drain(&mut ring, &mut world);
        // Somebody swaps two tokens: the number of entries stays.
        let list = lists.list();
        list.entry(1).set_task_token(4);
        list.entry(4).set_task_token(1);
        ring.push(world.counter(4, 1, 9));
        lists.drain(&mut ring, &mut world);
        assert_eq!((list.count(), list.entry(1).conditions(), list.entry(4).conditions()), (6, 2, 1));
        // Somebody removes one.
        list.entry(0).copy_from(list.entry(5));
        list.set_count(5);
        ring.push(world.counter(5, 1, 9));
        ring.push(world.counter(0, 1, 9));
        lists.drain(&mut ring, &mut world);
        assert_eq!((list.count(), list.entry(0).conditions()), (6, 2));
        assert_eq!(list.entry(5).task_token(), 0);
    }
}

#[test]
fn of_equal_tokens_the_first_is_found() {
    for mut lists in Lists::both() {
        let mut world = World::passive();
        let list = lists.list();
        for number in 0..3 {
            let entry = list.entry(number);
            entry.set_task_token(if number == 0 { 1 } else { 2 });
            entry.set_condition_count(0);
            entry.set_waiting(0);
            entry.set_normal_done_byte(0);
        }
        list.set_count(3);
        let mut ring = Ring::of([world.counter(2, 0, 1), world.counter(2, 0, 2)]);
        let outcome = {
            let mode = lists.mode;
            let (list, side) = lists.parts();
            drain(list, side, mode, &mut ring, &mut world)
        };
        assert_eq!(outcome.drained, 2);
        assert_eq!((list.entry(1).conditions(), list.entry(2).conditions()), (2, 0));
    }
}

#[test]
fn garbage_in_the_header_is_an_empty_free_list() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        for garbage in [-1, 65, i32::MIN, i32::MAX] {
            let list = lists.list();
            list.set_count(garbage as usize);
            assert_eq!(list.count(), 0);
            list.busy().store(garbage, std::sync::atomic::Ordering::Relaxed);
            assert!(try_lock(list));
            assert!(!try_lock(list));
            let mut ring = Ring::of([world.counter(1, 0, 1)]);
            lists.drain(&mut ring, &mut world);
            assert_eq!(list.count(), 1);
            unlock(list);
            let (list, side) = lists.parts();
            reset(list, side);
        }
    }
}

#[test]
fn entries_of_an_earlier_run_are_dropped() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        let mut ring = Ring::of([world.counter(1, 0, 1)]);
        ring.run = Some(11);
        lists.drain(&mut ring, &mut world);
        assert_eq!(lists.list().count(), 1);
        // The same run goes on.
        ring.push(world.counter(2, 0, 1));
        lists.drain(&mut ring, &mut world);
        assert_eq!(lists.list().count(), 2);
        // The next one finds them.
        ring.run = Some(12);
        ring.push(done(2, 0x40));
        lists.drain(&mut ring, &mut world);
        assert_eq!(lists.list().count(), 0);
        assert_eq!(world.completed, [0x40]);
        // A list that knows no run keeps what it has.
        let list = lists.list();
        list.set_run(None);
        let entry = list.entry(0);
        entry.set_task_token(5);
        entry.set_condition_count(0);
        entry.set_waiting(1);
        list.set_count(1);
        ring.run = Some(13);
        lists.drain(&mut ring, &mut world);
        assert_eq!(list.count(), 1);
    }
}

#[test]
fn late_messages_of_a_completed_task_are_ignored_natively() {
    let mut lists = Lists::native();
    let mut world = World::new(1);
    world.set(0, 1);
    let mut ring = Ring::of([world.counter(1, 0, 1), done(1, 0x40), done(2, 0x80)]);
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.completed, [0x80, 0x40]);
    for message in [done(1, 0x40), done(2, 0x80), world.counter(1, 0, 1), world.counter(2, 0, 1)] {
        ring.push(message);
    }
    let outcome = lists.poll(&mut ring, &mut world);
    assert_eq!((outcome.drained, outcome.ignored), (4, 4));
    assert_eq!((world.completed.len(), lists.list().count()), (2, 0));
}

#[test]
fn the_oldest_task_and_the_number_of_conditions_are_told() {
    let mut lists = Lists::native();
    let mut world = World::new(4);
    let mut ring = Ring::of((0..4).map(|token| world.counter(10 + token, token as usize, 1)));
    ring.push(world.counter(12, 0, 5));
    ring.push(done(10, 0x40));
    lists.poll(&mut ring, &mut world);
    let waiting = lists.waiting();
    assert_eq!((waiting.tasks, waiting.conditions, waiting.oldest), (4, 5, 10));
    world.set(0, 1);
    lists.poll(&mut ring, &mut world);
    assert_eq!(lists.waiting().oldest, 11, "the last entry went to the place of the first");
}

#[test]
fn nothing_happens_without_a_ring() {
    for mut lists in Lists::both() {
        let mut world = World::new(1);
        let mode = lists.mode;
        let mut ring = Ring::of([world.counter(1, 0, 1), done(1, 0x40)]);
        lists.drain(&mut ring, &mut world);
        world.set(0, 1);
        let (list, side) = lists.parts();
        let outcome = drain(list, side, mode, &mut NoSource, &mut world);
        assert_eq!((outcome.drained, outcome.failure, list.count()), (0, None, 1));
        let (list, side) = lists.parts();
        poll(list, side, mode, &mut NoSource, &mut world);
        assert_eq!(world.completed, [0x40], "a pass polls all the same");
    }
}
