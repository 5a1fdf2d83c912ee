//! Callbacks that call the list they are called from.

use super::support::*;
use crate::mailbox::wait_list::*;
use crate::status::Status;

/// A sink that tries to enter the side area in each of its functions, and would drain and append there.
struct Nested {
    area: *mut SideArea,
    list: ListRef,
    refused: [u32; 5],
    entered: u32,
    completed: Vec<u64>,
    ready: u32,
    pending: Vec<Message>,
}

impl Nested {
    fn new(lists: &mut Lists) -> Self {
        let (area, list) = (lists.area().unwrap(), lists.list());
        Self { area, list, refused: [0; 5], entered: 0, completed: Vec::new(), ready: 0, pending: Vec::new() }
    }

    fn call(&mut self, from: usize) {
        // SAFETY: the list's area; this thread has the lock.
        match unsafe { SideArea::enter(self.area) } {
            Ok(side) => {
                self.entered += 1;
                let mode = Mode { variant: Variant::A2T, budget: 0, copy_keeps_rest: false };
                let mut ring = Ring::of(std::mem::take(&mut self.pending));
                drain(self.list, Some(side), mode, &mut ring, &mut World::new(1));
            }
            Err(status) => {
                assert_eq!(status, Status::LANEPIPE_E_OVERLAP);
                self.refused[from] += 1;
            }
        }
    }
}

impl Sink for Nested {
    fn completes(&self) -> bool {
        true
    }
    fn complete(&mut self, slot: u64) -> Result<(), i32> {
        self.completed.push(slot);
        self.call(0);
        Ok(())
    }
    fn poll(&mut self, _: ConditionRef) -> Option<Poll> {
        self.call(1);
        self.ready = self.ready.saturating_sub(1);
        Some(if self.ready == 0 { Poll::Pending } else { Poll::Ready })
    }
    fn polls(&self) -> bool {
        true
    }
    fn retire(&mut self, _: ConditionRef) {
        self.call(2);
    }
    fn invalidate(&mut self, _: u64, _: usize) {
        self.call(3);
    }
    fn report(&mut self, _: &Failure) {
        self.call(4);
    }
}

#[test]
fn a_call_from_within_a_callback_is_refused_and_changes_nothing() {
    let mut lists = Lists::native();
    let world = World::new(80);
    let mut nested = Nested::new(&mut lists);
    // 63 conditions that wait, and as many messages as would make the drain close up the array.
    let mut ring = Ring::of((0..64).map(|at| world.counter(1, at, 1)));
    ring.messages.extend([done(1, 0x1001), done(2, 0x1002), done(3, 0)]);
    nested.pending = (64..80).map(|at| world.counter(1, at, 1)).collect();
    let mode = lists.mode;
    let (list, side) = lists.parts();
    let outcome = drain(list, side, mode, &mut ring, &mut nested);
    assert_eq!((outcome.drained, outcome.failure.unwrap().error), (66, ERROR_REGISTRATION));
    assert_eq!((nested.refused[0], nested.refused[4], nested.entered), (1, 1, 0));
    ring.messages.clear();
    nested.ready = 4;
    let (list, side) = lists.parts();
    poll(list, side, mode, &mut ring, &mut nested);
    let entry = list.entry(0);
    assert_eq!((entry.condition_count(), entry.waiting()), (64, 61), "three held");
    assert!((0..64).all(|at| (entry.condition(at).retired_byte() != 0) == (at < 3)));
    nested.ready = 100;
    let (list, side) = lists.parts();
    poll(list, side, mode, &mut ring, &mut nested);
    assert_eq!((list.count(), nested.completed.as_slice()), (0, &[0x1002, 0x1001][..]));
    assert!(nested.refused.iter().all(|refused| *refused != 0), "{:?}", nested.refused);
    assert_eq!(nested.entered, 0);
}

#[test]
fn an_area_is_free_behind_each_call() {
    let mut lists = Lists::native();
    let mut world = World::new(8);
    let area = lists.area().unwrap();
    // SAFETY: the list's area; nobody else uses it.
    let enter = || unsafe { SideArea::enter(area) };
    let mut ring = Ring::of([world.counter(1, 0, 1)]);
    lists.drain(&mut ring, &mut world);
    lists.poll(&mut ring, &mut world);
    lists.waiting();
    let inside = enter().unwrap();
    assert_eq!(enter().unwrap_err(), Status::LANEPIPE_E_OVERLAP);
    drop(inside);
    assert!(enter().is_ok());
}

/// What is in the ring when a failure is told is not in the list.
#[test]
fn messages_are_consumed_before_a_failure_is_told() {
    struct Teller<'a>(&'a std::cell::Cell<u64>, Vec<u64>);
    impl Sink for Teller<'_> {
        fn completes(&self) -> bool {
            false
        }
        fn complete(&mut self, _: u64) -> Result<(), i32> {
            Ok(())
        }
        fn retire(&mut self, _: ConditionRef) {}
        fn invalidate(&mut self, _: u64, _: usize) {}
        fn report(&mut self, _: &Failure) {
            self.1.push(self.0.get());
        }
    }
    struct Shown<'a>(Ring, &'a std::cell::Cell<u64>);
    impl Source for Shown<'_> {
        fn tail(&self) -> u64 {
            self.0.tail()
        }
        fn peek(&mut self, offset: u32) -> Option<Message> {
            self.0.peek(offset)
        }
        fn consume(&mut self, count: u32) -> bool {
            self.1.set(self.1.get() + u64::from(count));
            self.0.consume(count)
        }
        fn run(&self) -> Option<u32> {
            None
        }
        fn identity(&self) -> u64 {
            64
        }
    }
    for mut lists in Lists::both() {
        let world = World::new(8);
        let consumed = std::cell::Cell::new(0);
        let mut ring =
            Shown(Ring::of([0, 1, 2].map(|at| world.counter(1, at, 1)).into_iter().chain([done(1, 0)])), &consumed);
        let mut teller = Teller(&consumed, Vec::new());
        let mode = lists.mode;
        let (list, side) = lists.parts();
        assert_eq!(drain(list, side, mode, &mut ring, &mut teller).drained, 3);
        assert_eq!(teller.1, [3]);
    }
}
