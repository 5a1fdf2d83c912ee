use super::support::*;
use crate::mailbox::wait_list::*;

#[test]
fn a_task_completes_once_when_its_sentinel_and_all_conditions_are_there() {
    for mut lists in Lists::both() {
        let mut world = World::new(3);
        let mut ring = Ring::of([world.counter(1, 0, 1), world.record(1, 1, 4), world.counter(1, 2, 2)]);
        world.set(0, 1);
        lists.poll(&mut ring, &mut world);
        assert_eq!(lists.list().entry(0).waiting(), 2, "tested before the sentinel");
        ring.push(done(1, 0x40));
        world.set_record(1, 3);
        lists.poll(&mut ring, &mut world);
        world.set(2, 2);
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, []);
        world.set_record(1, 4);
        lists.poll(&mut ring, &mut world);
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, [0x40]);
        assert_eq!(world.retired.len(), 3, "each once");
        assert_eq!(lists.list().count(), 0);
    }
}

#[test]
fn conditions_that_hold_are_not_polled_again() {
    let mut lists = Lists::native();
    let mut world = World::new(2);
    world.own_poll = Some(|condition| if condition.expected_value() == 1 { Poll::Ready } else { Poll::Pending });
    let mut ring = Ring::of([world.counter(1, 0, 1), world.counter(1, 1, 2)]);
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.polls, 2);
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.polls, 3);
    assert_eq!(world.retired.len(), 1);
}

#[test]
fn every_condition_with_effects_is_polled_in_each_pass() {
    let mut lists = Lists::native();
    let mut world = World::new(2);
    world.own_poll = Some(|_| Poll::Pending);
    let mut ring = Ring::of((0..5).map(|_| world.counter(1, 0, 1)));
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.polls, 5);
}

#[test]
fn one_plain_condition_that_is_not_ready_is_enough() {
    let mut lists = Lists::native();
    lists.mode.variant = Variant::A2T;
    let mut world = World::new(4096);
    let mut ring = Ring::of((0..8).map(|index| world.counter(1, index * 64, 1)));
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.invalidated.len(), 1);
    // The ready ones before it do not hold it up for ever.
    (0..7).for_each(|index| world.set(index * 64, 1));
    world.invalidated.clear();
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.invalidated.len(), 8);
    assert_eq!(world.retired.len(), 7);
    world.invalidated.clear();
    lists.poll(&mut ring, &mut world);
    assert_eq!(world.invalidated.len(), 1);
}

#[test]
fn a_failed_condition_is_found_behind_one_that_is_not_ready() {
    for mut lists in Lists::both() {
        lists.mode.variant = Variant::A2H;
        let mut world = World::new(2);
        let broken = Message { completion_type: 9, addr: 0x1234, ..world.counter(1, 0, 1) };
        let mut ring = Ring::of([world.counter(1, 0, 1), broken, done(1, 0x40)]);
        let mode = lists.mode;
        for _ in 0..2 {
            let (list, side) = lists.parts();
            let outcome = poll(list, side, mode, &mut ring, &mut world);
            let failure = outcome.failure.unwrap();
            assert_eq!((failure.error, failure.token, failure.slot, failure.addr), (101, 1, 0x40, 0x1234));
            assert_eq!((failure.engine, failure.completion_type), (7, 9));
            assert_eq!(list.count(), 1);
        }
        assert_eq!(world.reports.len(), 2);
    }
}

#[test]
fn a_completion_that_fails_keeps_the_entry_and_the_counts() {
    let mut lists = Lists::native();
    let mut world = World::new(1);
    world.set(0, 1);
    world.failing = vec![0x80];
    let mut ring = Ring::default();
    for token in 1..=3 {
        ring.push(world.counter(token, 0, 1));
        ring.push(done(token, token * 0x40));
    }
    let outcome = lists.poll(&mut ring, &mut world);
    assert_eq!(outcome.failure.map(|failure| (failure.error, failure.token)), Some((5, 2)));
    assert_eq!(world.completed, [0x40], "oldest first");
    world.failing.clear();
    assert_eq!(lists.poll(&mut ring, &mut world).failure, None);
    assert_eq!(world.completed, [0x40, 0x80, 0xc0]);
    assert_eq!(world.retired.len(), 3);
}

#[test]
fn an_entry_without_a_slot_is_an_error_and_no_crash() {
    let mut lists = Lists::native();
    let mut world = World::new(1);
    let entry = lists.list().entry(0);
    entry.set_task_token(1);
    entry.set_slot_state(0);
    entry.set_condition_count(0);
    entry.set_waiting(0);
    entry.set_normal_done_byte(1);
    lists.list().set_count(1);
    let outcome = lists.poll(&mut Ring::default(), &mut world);
    assert_eq!(outcome.failure.unwrap().error, ERROR_REGISTRATION);
    assert_eq!(world.completed, []);
}

#[test]
fn the_oldest_task_completes_first() {
    let mut lists = Lists::native();
    let mut world = World::new(64);
    let mut ring = Ring::default();
    for token in 0..64 {
        ring.push(world.counter(token, token as usize, 1));
        ring.push(done(token, 0x40 + token));
    }
    // Removals shuffle the entries; their order is kept.
    for index in [3, 60, 0, 31] {
        world.set(index, 1);
        lists.poll(&mut ring, &mut world);
    }
    (0..64).for_each(|index| world.set(index, 1));
    lists.poll(&mut ring, &mut world);
    let expected: Vec<u64> =
        [3, 60, 0, 31].into_iter().chain((0..64).filter(|token| ![3, 60, 0, 31].contains(token))).collect();
    assert_eq!(world.completed.iter().map(|slot| slot - 0x40).collect::<Vec<_>>(), expected);
}

#[test]
fn a_line_is_invalidated_once_per_entry_and_in_three_variants() {
    for variant in Variant::ALL {
        let mut lists = Lists::new(None, 0);
        lists.mode.variant = variant;
        let mut world = World::new(256);
        let base = (world.counters.as_ptr() as usize).next_multiple_of(64) - world.counters.as_ptr() as usize;
        let first = base / 4;
        let mut ring = Ring::of([first, first + 1, first + 16, first].map(|index| world.counter(1, index, 1)));
        let mode = lists.mode;
        let (list, side) = lists.parts();
        poll(list, side, mode, &mut ring, &mut world);
        let lines: Vec<usize> = world.invalidated.iter().map(|line| (*line as usize - base) % 4096 / 64).collect();
        let expected = if variant == Variant::A5T { 0 } else { 3 };
        assert_eq!(lines.len(), expected, "{variant:?}");
    }
}

/// Runs of conditions between polls; in each place there may be one that fails, which no pending one before it hides.
#[test]
fn a_failed_condition_is_found_in_any_place_of_a_run() {
    let broken: [fn(Message) -> Message; 5] = [
        |message| Message { addr: 0, ..message },
        |message| Message { addr: message.addr + 2, ..message },
        |message| Message { completion_type: SDMA_EVENT_RECORD, backend_cookie: 0, ..message },
        |message| Message { completion_type: URMA_EVENT_HANDLE, backend_cookie: 0, ..message },
        |message| Message { completion_type: -1, ..message },
    ];
    for broken in broken {
        for place in 0..9 {
            for mut lists in Lists::both() {
                lists.mode.variant = Variant::A2H;
                let mut world = World::new(16);
                let mut ring = Ring::default();
                for index in 0..9 {
                    let pending = if index % 4 == 3 { world.record(1, index, 1) } else { world.counter(1, index, 1) };
                    ring.push(if index == place { broken(pending) } else { pending });
                    // Runs of three, the second of which comes behind a pass.
                    if index % 3 == 2 {
                        ring.push(world.counter(2, 15, 1));
                    }
                    if index % 4 != 0 || index == 0 {
                        continue;
                    }
                    let mode = lists.mode;
                    let (list, side) = lists.parts();
                    let failure = poll(list, side, mode, &mut ring, &mut world).failure;
                    let expected = (place <= index).then_some((ERROR_INVALID, 1));
                    assert_eq!(failure.map(|failure| (failure.error, failure.token)), expected);
                }
            }
        }
    }
}
