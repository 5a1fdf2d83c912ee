//! More tasks than entries, more conditions than slots.

use super::support::*;
use crate::mailbox::wait_list::*;

/// Conditions and sentinels of tasks `[first, last)`, each with a counter of its own.
fn tasks(world: &World, first: u64, last: u64) -> Vec<Message> {
    (first..last).map(|token| world.counter(token, token as usize, 1)).collect()
}

fn sentinels(first: u64, last: u64) -> Vec<Message> {
    (first..last).map(|token| done(token, 0x1000 + token)).collect()
}

fn completed(world: &World) -> Vec<u64> {
    let mut slots: Vec<u64> = world.completed.iter().map(|slot| slot - 0x1000).collect();
    slots.sort_unstable();
    slots
}

#[test]
fn the_65th_task_waits_beside_the_list() {
    for mut lists in Lists::both() {
        let mut world = World::new(200);
        let mut ring = Ring::of(tasks(&world, 0, 100));
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.failure, lists.list().count()), (None, 64));
        assert_eq!(outcome.parked + ring.messages.len() as u32, 36);
        sentinels(0, 100).into_iter().for_each(|message| ring.push(message));
        lists.drain(&mut ring, &mut world);
        assert_eq!((lists.list().count(), world.completed.len()), (64, 0));
        // Nothing is completed before its own condition holds.
        (70..80).for_each(|index| world.set(index, 1));
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, []);
        (0..64).for_each(|index| world.set(index, 1));
        let mut rounds = 0;
        while lists.gate(&ring) && world.completed.len() < 74 {
            lists.poll(&mut ring, &mut world);
            rounds += 1;
            assert!(rounds < 10, "{} completed", world.completed.len());
        }
        assert_eq!(completed(&world), (0..64).chain(70..80).collect::<Vec<_>>());
        (64..100).for_each(|index| world.set(index, 1));
        while lists.gate(&ring) {
            lists.poll(&mut ring, &mut world);
            rounds += 1;
            assert!(rounds < 20);
        }
        assert_eq!(completed(&world), (0..100).collect::<Vec<_>>());
        assert_eq!(world.retired.len(), 100);
    }
}

#[test]
fn a_full_list_completes_what_holds_before_it_holds_messages_back() {
    for mut lists in Lists::both() {
        let mut world = World::new(70);
        let mut ring = Ring::of(tasks(&world, 0, 64).into_iter().chain(sentinels(0, 64)));
        (0..64).for_each(|index| world.set(index, 1));
        // All in one drain: at the 65th task the conditions of the others hold already.
        tasks(&world, 64, 70).into_iter().for_each(|message| ring.push(message));
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.drained, outcome.parked, outcome.failure), (134, 0, None));
        assert_eq!(completed(&world), (0..64).collect::<Vec<_>>());
        assert_eq!(lists.list().count(), 6);
    }
}

#[test]
fn with_an_empty_sink_nothing_is_completed() {
    for mut lists in Lists::both() {
        let mut world = World::new(70);
        world.completes = false;
        (0..70).for_each(|index| world.set(index, 1));
        let mut ring = Ring::of(tasks(&world, 0, 70).into_iter().chain(sentinels(0, 70)));
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.failure, lists.list().count()), (None, 64));
        world.completes = true;
        let mut rounds = 0;
        while lists.gate(&ring) {
            lists.poll(&mut ring, &mut world);
            rounds += 1;
            assert!(rounds < 10);
        }
        assert_eq!(completed(&world), (0..70).collect::<Vec<_>>());
    }
}

#[test]
fn without_room_anywhere_the_message_stays() {
    let mut lists = Lists::new(Some(2), 0);
    let mut world = World::new(70);
    let mut ring = Ring::of(tasks(&world, 0, 70));
    for _ in 0..2 {
        let outcome = lists.drain(&mut ring, &mut world);
        let failure = outcome.failure.unwrap();
        assert_eq!((failure.error, failure.token, ring.tail, outcome.parked), (ERROR_OVERFLOW, 66, 66, 2));
    }
    // A sentinel among those that wait: it will make room, so that waiting for it is no error.
    lists.list().entry(5).set_normal_done_byte(1);
    lists.list().entry(5).set_slot_state(0x1005);
    let outcome = lists.drain(&mut ring, &mut world);
    assert_eq!((outcome.failure, outcome.more, ring.tail), (None, true, 66));
    world.set(5, 1);
    let outcome = lists.poll(&mut ring, &mut world);
    assert_eq!(world.completed, [0x1005]);
    assert_eq!(outcome.failure.map(|failure| failure.token), Some(67));
}

#[test]
fn columns_are_used_only_where_assignment_keeps_them() {
    for keeps in [false, true] {
        let mut lists = Lists::compat();
        lists.mode.copy_keeps_rest = keeps;
        let mut world = World::new(70);
        let mut ring = Ring::of(tasks(&world, 0, 68));
        let outcome = lists.drain(&mut ring, &mut world);
        if keeps {
            assert_eq!((outcome.failure, ring.tail), (None, 67), "the last one keeps the gate open");
        } else {
            assert_eq!((outcome.failure.unwrap().error, ring.tail), (ERROR_OVERFLOW, 64));
        }
    }
}

#[test]
fn a_task_may_have_more_conditions_than_an_entry() {
    for mut lists in Lists::both() {
        let mut world = World::new(1000);
        let mut ring = Ring::of((0..150).map(|index| world.counter(9, index, 1)));
        ring.push(done(9, 0x1009));
        ring.push(world.counter(10, 999, 1));
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.drained, outcome.failure, outcome.parked), (152, None, 86));
        let entry = lists.list().entry(0);
        assert_eq!((entry.conditions(), entry.waiting()), (64, 150));
        (0..150).filter(|index| *index != 120).for_each(|index| world.set(index, 1));
        for _ in 0..5 {
            lists.poll(&mut ring, &mut world);
        }
        assert_eq!(world.completed, []);
        assert_eq!(world.retired.len() as i32 + entry.waiting(), 150);
        world.set(120, 1);
        lists.poll(&mut ring, &mut world);
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, [0x1009]);
        assert_eq!((world.retired.len(), lists.list().count()), (150, 1));
    }
}

#[test]
fn equal_conditions_are_merged_and_the_larger_value_counts() {
    for mut lists in Lists::both() {
        let mut world = World::new(100);
        // 62 of their own, two of one counter, two of one record, then more of both.
        let mut ring = Ring::of((0..61).map(|index| world.counter(9, index, 1)));
        ring.push(world.counter(9, 70, 3));
        ring.push(world.counter(9, 70, 8));
        ring.push(world.record(9, 1, 5));
        assert_eq!(lists.drain(&mut ring, &mut world).parked, 0);
        assert_eq!(lists.list().entry(0).conditions(), 64);
        ring.push(world.record(9, 1, 9));
        ring.push(world.record(9, 1, 2));
        ring.push(world.counter(9, 80, 1));
        ring.push(world.counter(9, 70, 6));
        ring.push(done(9, 0x1009));
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.failure, outcome.parked), (None, 0));
        let entry = lists.list().entry(0);
        assert_eq!((entry.conditions(), entry.waiting()), (64, 64));
        (0..61).for_each(|index| world.set(index, 1));
        world.set(80, 1);
        world.set(70, 7);
        world.set_record(1, 8);
        lists.poll(&mut ring, &mut world);
        lists.poll(&mut ring, &mut world);
        assert!(entry.waiting() >= 2);
        world.set(70, 8);
        lists.poll(&mut ring, &mut world);
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, []);
        world.set_record(1, 9);
        lists.poll(&mut ring, &mut world);
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, [0x1009]);
    }
}

#[test]
fn direct_appends_make_room_and_then_refuse() {
    for mut lists in Lists::both() {
        let world = World::new(100);
        let entry = lists.list().entry(0);
        entry.set_task_token(1);
        entry.set_condition_count(0);
        entry.set_waiting(0);
        entry.set_normal_done_byte(0);
        lists.list().set_count(1);
        let mut add = |message: Message| {
            let (list, side) = lists.parts();
            append(list, side, entry, &message)
        };
        assert!((0..64).all(|index| add(world.counter(1, index, 1))));
        assert!(!add(world.counter(1, 70, 1)));
        assert_eq!((entry.conditions(), entry.waiting()), (64, 64));
        entry.condition(3).set_satisfied_byte(1);
        entry.condition(3).set_retired_byte(1);
        entry.set_waiting(63);
        assert!(add(world.counter(1, 70, 1)));
        assert_eq!((entry.conditions(), entry.waiting()), (64, 64));
        assert_eq!(entry.condition(63).addr(), world.counter(1, 70, 1).addr);
        assert_eq!(entry.condition(3).addr(), world.counter(1, 4, 1).addr, "order is kept");
    }
}

#[test]
fn the_ring_never_looks_empty_while_tasks_wait_for_an_entry() {
    let mut lists = Lists::compat();
    let mut world = World::new(200);
    let mut ring = Ring::of(tasks(&world, 0, 80));
    sentinels(0, 80).into_iter().for_each(|message| ring.push(message));
    let outcome = lists.drain(&mut ring, &mut world);
    assert_eq!((outcome.failure, ring.messages.len()), (None, 1), "the last message is applied and stays");
    assert!(outcome.parked > 0);
    // The list empties behind the drain's back.
    (0..64).for_each(|index| world.set(index, 1));
    lists.foreign_pass(&mut world);
    assert_eq!(lists.list().count(), 0);
    assert!(!ring.messages.is_empty());
    (0..80).for_each(|index| world.set(index, 1));
    for _ in 0..3 {
        lists.poll(&mut ring, &mut world);
    }
    assert_eq!(completed(&world), (0..80).collect::<Vec<_>>(), "each once, the one that stayed too");
    assert!(ring.messages.is_empty());
}

#[test]
fn held_messages_of_another_ring_or_run_are_nothing() {
    let mut lists = Lists::compat();
    let mut world = World::new(200);
    let mut ring = Ring::of(tasks(&world, 0, 80));
    ring.run = Some(1);
    lists.drain(&mut ring, &mut world);
    assert!(lists.waiting().parked > 0);
    let mut next = Ring { run: Some(2), tail: 500, ..Ring::default() };
    next.push(done(500, 0x1500));
    let outcome = lists.drain(&mut next, &mut world);
    assert_eq!((outcome.failure, outcome.parked, lists.list().count()), (None, 0, 0));
    assert_eq!(world.completed, [0x1500]);
}

#[test]
fn held_messages_that_somebody_wrote_over_are_an_error() {
    let mut lists = Lists::compat();
    let mut world = World::new(200);
    let mut ring = Ring::of(tasks(&world, 0, 80));
    lists.drain(&mut ring, &mut world);
    let victim = lists.list().entry(63).condition(61);
    victim.set_addr(victim.addr() ^ 1);
    let outcome = lists.drain(&mut ring, &mut world);
    assert_eq!(outcome.failure.unwrap().error, ERROR_REGISTRATION);
}

#[test]
fn an_entry_created_by_hand_does_not_disturb_held_conditions() {
    let mut lists = Lists::compat();
    let mut world = World::new(200);
    let mut ring = Ring::of((0..100).map(|index| world.counter(9, index, 1)));
    ring.push(done(9, 0x1009));
    lists.drain(&mut ring, &mut world);
    // Entries beyond the live ones hold messages; new tasks take what is left and wait for the rest.
    tasks(&world, 100, 170).into_iter().for_each(|message| ring.push(message));
    sentinels(100, 170).into_iter().for_each(|message| ring.push(message));
    lists.drain(&mut ring, &mut world);
    (0..200).for_each(|index| world.set(index, 1));
    let mut rounds = 0;
    while lists.gate(&ring) {
        let outcome = lists.poll(&mut ring, &mut world);
        assert_eq!(outcome.failure, None);
        rounds += 1;
        assert!(rounds < 20);
    }
    assert_eq!(completed(&world).len(), 71);
}

#[test]
fn a_condition_waits_for_room_that_will_come() {
    for mut lists in [Lists::new(Some(0), 0), Lists::compat()] {
        lists.foreign = false;
        let mut world = World::new(80);
        let mut ring = Ring::of((0..64).map(|index| world.counter(1, index, 1)));
        for token in 2..=64 {
            ring.push(world.counter(token, 70, 1));
            ring.push(done(token, 0x1000 + token));
        }
        ring.push(world.counter(1, 64, 1));
        ring.push(done(1, 0x1001));
        (0..80).for_each(|index| world.set(index, 1));
        for _ in 0..4 {
            assert_eq!(lists.poll(&mut ring, &mut world).failure, None);
        }
        assert_eq!(completed(&world), (1..=64).collect::<Vec<_>>());
    }
}

#[test]
fn a_condition_that_nothing_makes_room_for_is_an_error() {
    let mut lists = Lists::new(Some(0), 0);
    let mut world = World::new(80);
    let mut ring = Ring::of((0..65).map(|index| world.counter(1, index, 1)));
    ring.push(done(1, 0x1001));
    for _ in 0..3 {
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!(outcome.failure.map(|failure| (failure.error, failure.token)), Some((ERROR_REGISTRATION, 1)));
    }
    assert_eq!(ring.messages.len(), 2);
}

#[test]
fn a_message_that_stays_for_what_is_held_is_told() {
    let mut lists = Lists::compat();
    let mut world = World::new(80);
    let mut ring = Ring::of((0..64).map(|token| world.counter(token, 0, 1)));
    ring.push(world.counter(100, 0, 1));
    ring.push(world.counter(3, 1, 1));
    for _ in 0..3 {
        assert!(lists.drain(&mut ring, &mut world).more);
        assert_eq!(ring.messages.len(), 1);
    }
}

/// A look at what is held for each message that is held would not end within the time that a test has.
#[test]
fn a_call_looks_at_each_held_message_once() {
    const TASKS: u64 = 15_000;
    let mut lists = Lists::new(Some(1 << 15), 0);
    let mut world = World::new(8);
    let mut ring = Ring::of((0..64).map(|token| world.counter(token, 0, 1)));
    for token in 100..100 + TASKS {
        ring.push(world.counter(token, 0, 1));
        ring.push(done(token, 0x10000 + token));
    }
    while !ring.messages.is_empty() {
        lists.drain(&mut ring, &mut world);
    }
    for _ in 0..100 {
        let outcome = lists.poll(&mut ring, &mut world);
        assert_eq!((outcome.failure, u64::from(outcome.parked)), (None, 2 * TASKS));
    }
}
