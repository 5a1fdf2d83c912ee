//! Memory and histories that private state must not be misled by.

use super::support::*;
use crate::mailbox::wait_list::*;

/// The bytes of condition `index` of entry `number`.
fn words(lists: &mut Lists, number: usize, index: usize) -> [u64; 6] {
    let address = lists.list().entry(number).condition(index).address().cast::<[u64; 6]>();
    // SAFETY: a condition of the image.
    unsafe { address.read() }
}

/// Fills the list with 64 tasks, the last of which has 64 conditions, and none of them its sentinel.
fn full_list(world: &World) -> Vec<Message> {
    let first = (0..63).map(|token| world.record(token, token as usize, 1));
    first.chain((0..64).map(|index| world.record(63, 63 + index, 1))).collect()
}

#[test]
fn the_last_condition_of_a_full_list_stays() {
    for mut lists in Lists::both() {
        let mut world = World::new(200);
        let mut ring = Ring::of(full_list(&world));
        lists.drain(&mut ring, &mut world);
        assert_eq!((lists.list().count(), lists.list().entry(63).conditions()), (64, 64));
        let before = words(&mut lists, 63, 63);
        for _ in 0..2 {
            let outcome = lists.poll(&mut ring, &mut world);
            assert_eq!((outcome.failure, lists.list().count()), (None, 64));
        }
        assert_eq!(words(&mut lists, 63, 63), before);
        (0..64).for_each(|token| ring.push(done(token, 0x1000 + token)));
        (0..126).for_each(|index| world.set_record(index, 1));
        lists.poll(&mut ring, &mut world);
        assert_eq!((lists.list().count(), world.completed.len()), (1, 63));
        world.set_record(126, 1);
        lists.poll(&mut ring, &mut world);
        assert_eq!((lists.list().count(), world.completed.len()), (0, 64));
    }
}

#[test]
fn what_becomes_live_while_the_log_empties_stays() {
    for mut lists in Lists::both() {
        let mut world = World::new(300);
        // One condition more than an entry takes is held.
        let mut ring = Ring::of((0..65).map(|index| world.counter(100, 200 + index, 1)));
        assert_eq!(lists.drain(&mut ring, &mut world).parked, 1);
        world.set(200, 1);
        lists.foreign_pass(&mut world);
        // It gets its place, and the same drain fills the list to its last slot.
        let others = full_list(&world).into_iter().filter(|message| message.task_token != 0);
        others.for_each(|message| ring.push(message));
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!((outcome.failure, outcome.parked, lists.list().count()), (None, 0, 64));
        let last = lists.list().entry(63).condition(63);
        assert_eq!((last.completion_type(), last.addr()), (SDMA_EVENT_RECORD, world.record(0, 126, 1).addr));
        let outcome = lists.poll(&mut ring, &mut world);
        assert_eq!(outcome.failure, None);
    }
}

#[test]
fn a_reset_leaves_entries_alone() {
    for mut lists in Lists::both() {
        let before = words(&mut lists, 63, 63);
        let (list, side) = lists.parts();
        reset(list, side);
        assert_eq!(before, [0xa5a5_a5a5_a5a5_a5a5; 6]);
        assert_eq!(words(&mut lists, 63, 63), before);
    }
}

/// What the contract asks of an initialisation by hand: three words of the list, and `tail := head`.
#[test]
fn nothing_is_held_over_a_start_by_hand() {
    let mut lists = Lists::compat();
    let mut world = World::new(100);
    let mut ring = Ring::of((0..67).map(|token| world.counter(token, token as usize, 1)));
    // A task without entry whose sentinel is held behind its condition; the last message stays in the ring.
    ring.push(done(64, 0x1064));
    ring.push(world.counter(90, 90, 1));
    assert_eq!(lists.drain(&mut ring, &mut world).failure, None);
    assert!(lists.waiting().parked != 0);
    // The run is aborted.
    ring.tail += ring.messages.len() as u64;
    ring.messages.clear();
    lists.list().set_count(0);
    lists.list().set_skipped(0);
    (0..100).for_each(|index| world.set(index, 1));
    for _ in 0..3 {
        let outcome = lists.poll(&mut ring, &mut world);
        assert_eq!((outcome.failure, outcome.parked, lists.list().count()), (None, 0, 0));
    }
    assert_eq!(world.completed, []);
}

/// The last message was applied and stays in the ring: remembered in a slot that appends must not take.
#[test]
fn a_direct_append_does_not_make_a_sentinel_count_twice() {
    let mut lists = Lists::compat();
    lists.foreign = false;
    let mut world = World::new(200);
    let mut ring = Ring::of((0..65).map(|token| world.counter(token, token as usize, 1)));
    ring.push(done(0, 0x1000));
    lists.drain(&mut ring, &mut world);
    assert_eq!((ring.messages.len(), lists.waiting().parked), (1, 1));
    world.set(0, 1);
    lists.poll(&mut ring, &mut world);
    assert_eq!((ring.messages.len(), lists.list().count(), world.completed.as_slice()), (1, 64, &[0x1000][..]));
    for index in 0..64 {
        let entry = lists.list().entry(63);
        let condition = world.counter(entry.task_token(), 100 + index, 1);
        append(lists.list(), None, entry, &condition);
    }
    lists.drain(&mut ring, &mut world);
    assert_eq!((ring.messages.len(), world.completed.as_slice()), (0, &[0x1000][..]));
}

#[test]
fn an_entry_that_is_another_task_by_hand_is_found() {
    let mut lists = Lists::native();
    let mut world = World::new(8);
    let mut ring = Ring::of([world.counter(1, 0, 1)]);
    lists.drain(&mut ring, &mut world);
    // The user writes another task over the entry.
    lists.list().entry(0).set_task_token(2);
    ring.push(done(2, 0x1002));
    lists.drain(&mut ring, &mut world);
    assert_eq!(world.completed, []);
    assert!(lists.list().entry(0).is_normal_done());
}

#[test]
fn a_condition_that_holds_by_hand_is_not_polled() {
    let mut lists = Lists::native();
    let mut world = World::new(8);
    let mut ring = Ring::of([world.counter(1, 0, 1), world.counter(1, 1, 1), done(1, 0x1001)]);
    lists.drain(&mut ring, &mut world);
    let entry = lists.list().entry(0);
    entry.condition(0).set_satisfied_byte(1);
    entry.condition(0).set_retired_byte(1);
    entry.set_waiting(1);
    world.set(0, 1);
    lists.poll(&mut ring, &mut world);
    assert_eq!((world.completed.as_slice(), world.polls), (&[][..], 0));
    world.set(1, 1);
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.completed, [0x1001]);
}

#[test]
fn a_held_message_that_is_lost_stops_everything() {
    let mut lists = Lists::compat();
    let mut world = World::new(100);
    let mut ring = Ring::of((0..65).map(|token| world.counter(token, token as usize, 1)));
    ring.push(done(64, 0x1064));
    (0..64).for_each(|token| ring.push(done(token, 0x1000 + token)));
    lists.drain(&mut ring, &mut world);
    let held = lists.list().entry(63).condition(62);
    held.set_addr(held.addr() ^ 1);
    (0..64).for_each(|index| world.set(index, 1));
    for _ in 0..3 {
        let outcome = lists.drain(&mut ring, &mut world);
        assert_eq!(outcome.failure.map(|failure| failure.error), Some(ERROR_REGISTRATION));
        lists.foreign_pass(&mut world);
    }
    assert!(!world.completed.contains(&0x1064));
}

/// The number of conditions is kept beside the list while a call appends; what stands in the list when it begins counts.
#[test]
fn conditions_that_are_dropped_by_hand_are_not_counted_again() {
    for known in [0, 1, 3, -5] {
        for mut lists in Lists::both() {
            let mut world = World::new(8);
            let mut ring = Ring::of((0..2).map(|index| world.counter(1, index, 1)));
            lists.drain(&mut ring, &mut world);
            let entry = lists.list().entry(0);
            // A third condition is written, the second one is dropped, or there are none.
            let third = world.counter(1, 2, 1);
            entry.condition(2).write(&third.words());
            entry.set_condition_count(known);
            entry.set_waiting(known.max(0));
            (5..7).for_each(|index| ring.push(world.counter(1, index, 1)));
            ring.push(done(1, 0x1001));
            lists.drain(&mut ring, &mut world);
            assert_eq!((entry.condition_count(), entry.waiting()), (known.max(0) + 2, known.max(0) + 2));
            let last = [4, 5].map(|index| world.counter(1, index + 1, 1).addr);
            let kept = known.max(0) as usize;
            assert_eq!([kept, kept + 1].map(|index| entry.condition(index).addr()), last);
            for index in [0, 1, 2, 5] {
                world.set(index, 1);
                lists.poll(&mut ring, &mut world);
            }
            assert_eq!(world.completed, []);
            world.set(6, 1);
            lists.poll(&mut ring, &mut world);
            assert_eq!(world.completed, [0x1001], "{known}");
        }
    }
}

#[test]
fn a_list_that_changes_while_a_task_completes_is_looked_at_again() {
    for mut lists in Lists::both() {
        let mut world = World::new(8);
        let mut ring = Ring::of([1, 2].map(|token| world.counter(token, 0, 1)));
        lists.drain(&mut ring, &mut world);
        // A run before and a run behind a task that completes at once.
        let run = |token| [2, 3, 4].map(|index| world.counter(token, index, 1));
        ring.messages.extend(run(1).into_iter().chain(run(2)).chain([done(9, 0x1009)]).chain(run(1)));
        let mode = lists.mode;
        let (list, side) = lists.parts();
        let added = world.counter(0, 5, 1);
        // Swaps the first two tasks and adds a condition to each.
        let mut meddler = Editor::new(|| {
            let (first, second) = (list.entry(0), list.entry(1));
            let token = first.task_token();
            first.set_task_token(second.task_token());
            second.set_task_token(token);
            for entry in [first, second] {
                append(list, None, entry, &added);
            }
        });
        let outcome = drain(list, side, mode, &mut ring, &mut meddler);
        assert_eq!((outcome.drained, outcome.failure), (10, None));
        assert_eq!([0, 1].map(|number| list.entry(number).task_token()), [2, 1]);
        assert_eq!([0, 1].map(|number| list.entry(number).condition_count()), [5, 8]);
        assert_eq!([0, 1].map(|number| list.entry(number).waiting()), [5, 8]);
        assert_eq!(list.entry(1).condition(7).addr(), world.counter(1, 4, 1).addr);
    }
}
