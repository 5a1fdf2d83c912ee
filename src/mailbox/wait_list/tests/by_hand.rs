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
        drain(list, side, mode, &mut ring, &mut adder);
        world.set(1, 1);
        world.set(2, 1);
        poll(list, lists.parts().1, mode, &mut ring, &mut adder);
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
