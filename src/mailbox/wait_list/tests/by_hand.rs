//! Who edits the public fields of the list between calls or from a callback, and who consumes beside the list: the side
//! area is verified against what stands there, so a list with one comes to the same as a list without.

use super::support::*;
use crate::mailbox::ends::Consumer;
use crate::mailbox::layout::*;
use crate::mailbox::memory::RawMemory;
use crate::mailbox::transport::Transport;
use crate::mailbox::wait_list::*;

/// The C++ runtime's pass removes an entry by copying the last one into its place.
#[test]
fn an_entry_that_a_callback_has_moved_gets_its_messages() {
    for mut lists in Lists::both() {
        let mut world = World::new(8);
        let mut ring = Ring::of([1, 2, 3].map(|token| world.counter(token, 0, 1)));
        lists.drain(&mut ring, &mut world);
        ring.messages.extend([done(9, 0x1009), world.counter(3, 1, 1), done(3, 0x1003)]);
        let mode = lists.mode;
        let (list, side) = lists.parts();
        let mut remover = Editor::new(|| {
            let last = list.count() - 1;
            list.entry(0).copy_from(list.entry(last));
            list.set_count(last);
        });
        assert_eq!(drain(list, side, mode, &mut ring, &mut remover).drained, 3);
        let moved = list.entry(0);
        assert_eq!((list.count(), moved.task_token()), (2, 3));
        assert_eq!((moved.condition_count(), moved.waiting(), moved.is_normal_done()), (2, 2, true));
    }
}

#[test]
fn an_entry_that_a_callback_has_added_is_polled() {
    for mut lists in Lists::both() {
        let mut world = World::new(8);
        let mut ring = Ring::of([world.counter(1, 0, 1), done(9, 0x1009), world.counter(5, 2, 1), done(5, 0x1005)]);
        let mode = lists.mode;
        let (list, side) = lists.parts();
        let first = world.counter(5, 1, 1);
        let mut adder = Editor::new(|| {
            let entry = list.entry(list.count());
            entry.set_task_token(5);
            entry.set_slot_state(0x1005);
            entry.set_condition_count(0);
            entry.set_waiting(0);
            entry.set_normal_done_byte(0);
            list.set_count(list.count() + 1);
            assert!(append(list, None, entry, &first));
        });
        world.set(1, 1);
        world.set(2, 1);
        // In the pass of the same call.
        poll(list, side, mode, &mut ring, &mut adder);
        assert_eq!(adder.completed, [0x1009, 0x1005]);
    }
}

#[test]
fn conditions_that_are_dropped_by_hand_are_not_polled_after_an_append() {
    for mut lists in Lists::both() {
        lists.foreign = false;
        let mut world = World::new(8);
        let mut ring = Ring::of((0..3).map(|at| world.counter(1, at, 1)).chain([done(1, 0x1001)]));
        lists.drain(&mut ring, &mut world);
        world.set(0, 1);
        world.set(1, 1);
        lists.poll(&mut ring, &mut world);
        let entry = lists.list().entry(0);
        entry.condition(0).write(&world.counter(1, 4, 1).words());
        entry.set_condition_count(1);
        entry.set_waiting(1);
        let appended = world.counter(1, 5, 1);
        let (list, side) = lists.parts();
        assert!(append(list, side, entry, &appended));
        // The dropped one, then the appended one: the first still waits.
        for ready in [2, 5] {
            world.set(ready, 1);
            lists.poll(&mut ring, &mut world);
            assert!(entry.waiting() > 0 && world.completed.is_empty());
        }
        world.set(4, 1);
        lists.poll(&mut ring, &mut world);
        assert_eq!(world.completed, [0x1001]);
    }
}

#[test]
fn a_held_condition_does_not_bring_dropped_ones_back() {
    for mut lists in Lists::both() {
        lists.foreign = false;
        let mut world = World::new(80);
        let mut ring = Ring::of((0..65).map(|at| world.counter(1, at, 1)).chain([done(1, 0x1001)]));
        lists.drain(&mut ring, &mut world);
        let entry = lists.list().entry(0);
        entry.set_condition_count(1);
        entry.set_waiting(2);
        world.set(10, 1);
        world.set(11, 1);
        lists.poll(&mut ring, &mut world);
        assert_eq!((entry.waiting(), world.completed.len()), (2, 0));
    }
}

#[test]
fn a_condition_that_is_written_anew_by_hand_is_polled() {
    for mut lists in Lists::both() {
        lists.foreign = false;
        let mut world = World::new(8);
        let mut ring = Ring::of([world.counter(1, 0, 1), world.counter(1, 1, 1)]);
        lists.drain(&mut ring, &mut world);
        world.set(0, 1);
        lists.poll(&mut ring, &mut world);
        let entry = lists.list().entry(0);
        entry.condition(0).write(&world.counter(1, 2, 1).words());
        entry.set_waiting(2);
        entry.set_normal_done_byte(1);
        entry.set_slot_state(0x1001);
        (0..8).for_each(|at| world.set(at, 1));
        for _ in 0..3 {
            lists.poll(&mut ring, &mut world);
        }
        assert_eq!(world.completed, [0x1001]);
    }
}

/// How many conditions there are does not tell that one of them is another one now.
#[test]
fn conditions_that_are_exchanged_by_hand_count_from_the_next_pass_on() {
    for is_malformed in [false, true] {
        for mut lists in Lists::both() {
            lists.foreign = false;
            let mut world = World::new(8);
            let mut ring = Ring::of([world.counter(1, 0, 1), world.counter(1, 1, 1), done(1, 0x1001)]);
            lists.drain(&mut ring, &mut world);
            world.set(0, 1);
            lists.poll(&mut ring, &mut world);
            let entry = lists.list().entry(0);
            let exchanged = world.counter(1, 2, 1);
            let addr = if is_malformed { 0 } else { exchanged.addr };
            entry.condition(0).write(&Message { addr, ..exchanged }.words());
            entry.set_waiting(2);
            let appended = world.counter(1, 3, 1);
            let (list, side) = lists.parts();
            assert!(append(list, side, entry, &appended));
            if is_malformed {
                let failure = lists.poll(&mut ring, &mut world).failure.unwrap();
                assert_eq!((failure.error, failure.addr), (ERROR_INVALID, 0));
            } else {
                (1..4).for_each(|at| world.set(at, 1));
                lists.poll(&mut ring, &mut world);
                assert_eq!(world.completed, [0x1001], "all of them hold");
            }
        }
    }
}

#[test]
fn a_list_that_is_edited_while_a_pass_completes_a_task_loses_that_task_only() {
    /// What is done, and the slots of the tasks that are left.
    type Edit = (fn(ListRef), &'static [u64]);
    let edits: [Edit; 3] = [
        // Another task is added; the last one is moved over the first; the task itself is removed.
        (
            |list| {
                let added = list.entry(list.count());
                added.copy_from(list.entry(0));
                added.set_task_token(5);
                added.set_slot_state(0x1005);
                list.set_count(list.count() + 1);
            },
            &[0x1001, 0x1003, 0x1005],
        ),
        (
            |list| {
                list.entry(0).copy_from(list.entry(2));
                list.set_count(2);
            },
            &[0x1003],
        ),
        (
            |list| {
                list.entry(1).copy_from(list.entry(2));
                list.set_count(2);
            },
            &[0x1001, 0x1003],
        ),
    ];
    for (edit, left) in edits {
        for mut lists in Lists::both() {
            let mut world = World::new(8);
            let mut ring = Ring::of([(1, 0), (9, 1), (3, 0)].map(|(token, at)| world.counter(token, at, 1)));
            ring.messages.extend([1, 9, 3].map(|token| done(token, 0x1000 + token)));
            lists.drain(&mut ring, &mut world);
            world.set(1, 1);
            let (mode, list) = (lists.mode, lists.list());
            let mut editor = Editor::new(|| edit(list));
            poll(list, lists.parts().1, mode, &mut ring, &mut editor);
            assert_eq!((editor.completed.as_slice(), list.count()), (&[0x1009][..], left.len()));
            world.set(0, 1);
            for _ in 0..2 {
                poll(list, lists.parts().1, mode, &mut ring, &mut editor);
            }
            editor.completed[1..].sort_unstable();
            assert_eq!((&editor.completed[1..], list.count()), (left, 0));
        }
    }
}

/// A mailbox whose messages a second consumer takes just before the list consumes.
struct Robbed<'a> {
    transport: &'a Transport<RawMemory>,
    consumer: Consumer<'a, RawMemory>,
    armed: bool,
}

impl Source for Robbed<'_> {
    fn tail(&self) -> u64 {
        self.consumer.tail()
    }
    fn peek(&mut self, offset: u32) -> Option<Message> {
        self.consumer.peek(offset)
    }
    fn consume(&mut self, count: u32) -> bool {
        if std::mem::take(&mut self.armed) {
            while self.transport.try_pop().is_ok() {}
        }
        self.consumer.consume(count)
    }
    fn run(&self) -> Option<u32> {
        None
    }
    fn identity(&self) -> u64 {
        64
    }
}

#[test]
fn who_lost_its_messages_to_another_consumer_consumes_no_more() {
    for mut lists in Lists::both() {
        let mut memory = vec![0u64; MAILBOX_SIZE / 8];
        // SAFETY: the memory is a whole mailbox, and outlives the transport.
        let transport = Transport::new(unsafe { RawMemory::new(memory.as_mut_ptr().cast()) });
        let mut world = World::new(8);
        assert!(transport.push(&world.counter(1, 0, 1)) && transport.push(&done(9, 0x1009)));
        let consumer = Consumer::new(&transport, 64);
        let mut robbed = Robbed { transport: &transport, consumer, armed: true };
        let mode = lists.mode;
        let (list, side) = lists.parts();
        let outcome = drain(list, side, mode, &mut robbed, &mut world);
        assert!(outcome.overlap);
        assert_eq!((outcome.drained, world.completed.len()), (0, 0), "the other one has them");
        assert_eq!(transport.tail(), 2);
        assert!(transport.push(&world.counter(1, 0, 1)), "the ring is empty");
    }
}

/// Something that code which knows the public fields only may do between two calls.
fn edit(random: &mut Random, lists: &mut Lists, world: &World, token: &mut u64) {
    let list = lists.list();
    let condition = |random: &mut Random| {
        let at = random.below(40) as usize;
        match random.below(4) {
            0 => world.record(0, at, 1),
            _ => world.counter(0, at, 1),
        }
    };
    let count = list.count();
    let entry = list.entry(random.below(count.max(1) as u64) as usize);
    let kind = random.below(9);
    if kind == 0 && count < 20 {
        *token += 1;
        let added = list.entry(count);
        added.set_task_token(*token);
        added.set_slot_state(0x1000 + *token);
        added.set_normal_done_byte(random.below(2) as u8);
        let conditions = random.below(4) as usize;
        (0..conditions).for_each(|at| added.condition(at).write(&condition(random).words()));
        added.set_condition_count(conditions as i32);
        added.set_waiting(conditions as i32);
        list.set_count(count + 1);
        return;
    }
    if count == 0 {
        return;
    }
    let conditions = entry.conditions();
    let at = random.below(conditions.max(1) as u64) as usize;
    let add = |random: &mut Random, entry: EntryRef| {
        let at = entry.conditions();
        if at < 64 {
            entry.condition(at).write(&condition(random).words());
            entry.set_condition_count(at as i32 + 1);
            entry.set_waiting(entry.waiting() + 1);
        }
    };
    let drop_one = |entry: EntryRef| {
        if !entry.condition(at).is_satisfied() {
            entry.set_waiting(entry.waiting() - 1);
        }
        (at + 1..conditions).for_each(|from| entry.condition(from - 1).copy_from(entry.condition(from)));
        entry.set_condition_count(conditions as i32 - 1);
    };
    match kind {
        1 => {
            entry.copy_from(list.entry(count - 1));
            list.set_count(count - 1);
        }
        2 => add(random, entry),
        3 if conditions > 0 => drop_one(entry),
        4 if conditions > 0 => {
            drop_one(entry);
            add(random, entry);
        }
        5 if conditions > 0 => {
            if entry.condition(at).is_satisfied() {
                entry.set_waiting(entry.waiting() + 1);
            }
            entry.condition(at).write(&condition(random).words());
        }
        6 if conditions > 0 && !entry.condition(at).is_satisfied() => {
            entry.condition(at).set_satisfied_byte(1);
            entry.condition(at).set_retired_byte(1);
            entry.set_waiting(entry.waiting() - 1);
        }
        7 => {
            let other = list.entry(random.below(count as u64) as usize);
            let token = entry.task_token();
            entry.set_task_token(other.task_token());
            other.set_task_token(token);
        }
        8 => {
            let appended = condition(random);
            let side = if random.below(2) == 0 { lists.parts().1 } else { None };
            append(list, side, entry, &appended);
        }
        _ => {}
    }
}

#[test]
fn a_pass_goes_by_the_public_fields_whatever_was_edited() {
    for seed in 0..100 {
        for mut lists in Lists::both() {
            lists.foreign = false;
            let mut random = Random(seed);
            let mut world = World::new(40);
            let mut ring = Ring::default();
            let mut token = 0;
            for step in 0..60 {
                for _ in 0..random.below(4) {
                    let of = if random.below(2) == 0 { token + 1 } else { random.below(token + 1) };
                    token = token.max(of);
                    let is_live = (0..lists.list().count()).any(|at| lists.list().entry(at).task_token() == of);
                    match random.below(6) {
                        0 if is_live => ring.push(done(of, 0x1000 + of)),
                        1 => ring.push(world.record(of, random.below(40) as usize, 1)),
                        _ => ring.push(world.counter(of, random.below(40) as usize, 1)),
                    }
                }
                if random.below(2) == 0 {
                    lists.drain(&mut ring, &mut world);
                }
                for _ in 0..random.below(3) {
                    edit(&mut random, &mut lists, &world, &mut token);
                }
                lists.drain(&mut ring, &mut world);
                for _ in 0..random.below(6) {
                    let at = random.below(40) as usize;
                    world.set(at, 1);
                    world.set_record(at, 1);
                }
                if random.below(4) == 0 {
                    (0..40).for_each(|at| world.set(at, 0));
                    (0..40).for_each(|at| world.set_record(at, 0));
                }
                let list = lists.list();
                let is_ready = |entry: EntryRef, world: &mut World| {
                    let found = (0..entry.conditions()).filter(|at| {
                        let condition = entry.condition(*at);
                        !condition.is_satisfied() && test(Variant::A2T, condition, world) == Poll::Ready
                    });
                    entry.is_normal_done() && entry.waiting() - found.count() as i32 <= 0
                };
                let mut expected: Vec<u64> = (0..list.count())
                    .map(|at| list.entry(at))
                    .filter(|entry| is_ready(*entry, &mut world))
                    .map(|entry| entry.slot_state())
                    .collect();
                let before = world.completed.len();
                lists.poll(&mut ring, &mut world);
                let mut completed = world.completed[before..].to_vec();
                expected.sort_unstable();
                completed.sort_unstable();
                assert_eq!(completed, expected, "seed {seed}, step {step}, {}", lists.area().is_some());
            }
        }
    }
}
