//! Progress: accesses to the shared memory are counted, and others push between any two of a call.

use super::*;
use crate::mailbox::layout::Words;
use crate::mailbox::memory::RawSlot;
use crate::status::Status;
use crate::sync::{RawWord64, SharedWord64};
use std::cell::Cell;

const FULL: u64 = CAPACITY as u64;

/// More accesses than any call may need. A call that waits comes here instead of hanging the test.
const TOO_MANY: u32 = 100_000;

/// Memory that counts accesses. `rivals` pushes of somebody else come in between, each right before an exchange of `head`.
struct Counted {
    memory: RawMemory,
    accesses: Cell<u32>,
    rivals: Cell<u64>,
}

struct CountedWord<'a> {
    word: RawWord64,
    of: &'a Counted,
    is_head: bool,
}

impl Counted {
    fn count(&self) {
        self.accesses.set(self.accesses.get() + 1);
        assert!(self.accesses.get() < TOO_MANY, "the call waits for somebody else");
    }

    fn counted(&self, word: RawWord64, is_head: bool) -> CountedWord<'_> {
        CountedWord { word, of: self, is_head }
    }
}

impl Word64 for CountedWord<'_> {
    fn load(&self, order: Ordering) -> u64 {
        self.of.count();
        self.word.load(order)
    }
    fn store(&self, value: u64, order: Ordering) {
        self.of.count();
        self.word.store(value, order);
    }
}

impl SharedWord64 for CountedWord<'_> {
    fn compare_exchange(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.of.count();
        let rivals = self.of.rivals.get();
        if self.is_head && rivals != 0 {
            self.of.rivals.set(rivals - 1);
            assert!(Transport::new(self.of.memory).push(&message(9, rivals)));
        }
        self.word.compare_exchange(current, new, success, failure)
    }
}

impl Memory for Counted {
    type Word<'a> = CountedWord<'a>;
    type Slot<'a> = RawSlot;

    fn slot(&self, ticket: u64) -> RawSlot {
        self.memory.slot(ticket)
    }
    fn capacity(&self) -> u64 {
        self.memory.capacity()
    }
    fn word(&self, index: usize) -> CountedWord<'_> {
        self.counted(self.memory.word(index), index == word::HEAD)
    }
    fn seq(&self, ticket: u64) -> CountedWord<'_> {
        self.counted(self.memory.seq(ticket), false)
    }
    fn write(&self, ticket: u64, payload: &Words) {
        self.count();
        self.memory.write(ticket, payload);
    }
    fn read(&self, ticket: u64) -> Words {
        self.count();
        self.memory.read(ticket)
    }
    fn clear(&self) {
        self.memory.clear();
    }
}

fn counted(ring: &RawTransport) -> Transport<Counted> {
    Transport::new(Counted { memory: ring.memory, accesses: Cell::new(0), rivals: Cell::new(0) })
}

/// Accesses that `call` makes.
fn accesses<R>(ring: &Transport<Counted>, call: impl FnOnce(&Transport<Counted>) -> R) -> (R, u32) {
    let before = ring.memory.accesses.get();
    let result = call(ring);
    (result, ring.memory.accesses.get() - before)
}

/// What it makes others spend is bounded by what they get done: each exchange that a push loses is a message of somebody
/// else. A push waits for no publication, and for no consumer.
#[test]
fn a_push_loses_only_to_others_that_push() {
    let mut image = Image::new();
    let raw = image.transport();
    let ring = counted(&raw);
    // A producer that never publishes stands in front of all of them.
    set(&raw, word::HEAD, 1);
    for rivals in [0, 1, 2, 7, 100] {
        let before = get(&raw, word::HEAD);
        ring.memory.rivals.set(rivals);
        let (pushed, alone) = accesses(&ring, |ring| ring.push(&message(1, rivals)));
        assert!(pushed);
        assert_eq!(get(&raw, word::HEAD), before + rivals + 1, "each rival has pushed once");
        assert!(u64::from(alone) <= 8 * (rivals + 1), "{alone} accesses with {rivals} rivals");
        ring.memory.rivals.set(rivals);
        let run: Vec<_> = (0..5).map(|number| message(2, number).words()).collect();
        let (pushed, together) = accesses(&ring, |ring| ring.push_run(&run));
        assert_eq!(pushed, 5);
        assert!(u64::from(together) <= 8 * (rivals + 1) + 8, "{together} accesses with {rivals} rivals");
    }
    // Nor does a refusal wait.
    while raw.push(&message(1, 0)) {}
    let (pushed, refused) = accesses(&ring, |ring| ring.push(&message(1, 0)));
    assert!(!pushed && refused <= 16, "{refused} accesses");
}

/// In every state of the ring: empty, gap, one message, full.
#[test]
fn a_pop_takes_a_bounded_number_of_steps() {
    let mut image = Image::new();
    let raw = image.transport();
    let ring = counted(&raw);
    let require = |expected: Result<MsgView, Status>| {
        let (popped, steps) = accesses(&ring, |ring| ring.try_pop());
        assert_eq!(popped, expected);
        assert!(steps <= 12, "{steps} accesses for {expected:?}");
        let (_, steps) = accesses(&ring, |ring| ring.has_pending());
        assert_eq!(steps, 2);
    };
    let batch = |expected: Result<usize, Status>| {
        let (popped, steps) = accesses(&ring, |ring| ring.pop_batch(usize::MAX, |_, _| ()));
        assert_eq!(popped, expected);
        assert!(u64::from(steps) <= 12 + 4 * popped.unwrap_or(0) as u64, "{steps} accesses for {expected:?}");
    };
    require(Err(Status::LANEPIPE_EMPTY));
    batch(Err(Status::LANEPIPE_EMPTY));
    assert!(raw.push(&message(1, 1)));
    require(Ok(message(1, 1)));
    set(&raw, word::HEAD, 2);
    assert!(raw.push(&message(1, 2)));
    for _ in 0..3 {
        require(Err(Status::LANEPIPE_AGAIN));
        batch(Err(Status::LANEPIPE_AGAIN));
    }
    while raw.push(&message(1, 3)) {}
    require(Err(Status::LANEPIPE_AGAIN));
    raw.memory.write(1, &message(1, 0).words());
    raw.memory.seq(1).store(2, Ordering::Relaxed);
    require(Ok(message(1, 0)));
    batch(Ok(CAPACITY - 1));
}

/// A producer goes on where it stopped: as many calls as there are messages deliver everything behind it, or one batch.
#[test]
fn a_backlog_comes_out_once_the_producer_resumes() {
    for (meets, in_batches) in [(0, false), (1, false), (5, true), (1, true)] {
        let mut image = Image::new();
        let ring = image.transport();
        for lap in 0..3 {
            let stopped = get(&ring, word::HEAD);
            set(&ring, word::HEAD, stopped + 1);
            (1..FULL).for_each(|number| assert!(ring.push(&message(lap, number))));
            for _ in 0..meets {
                assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN));
            }
            ring.memory.write(stopped, &message(lap, 0).words());
            ring.memory.seq(stopped).store(stopped + 1, Ordering::Release);
            let mut number = 0;
            let mut see = |seen: MsgView| {
                assert_eq!(seen, message(lap, number));
                number += 1;
            };
            if in_batches {
                assert_eq!(ring.pop_batch(CAPACITY, |_, seen| see(seen)), Ok(CAPACITY));
            } else {
                (0..FULL).for_each(|_| see(ring.try_pop().unwrap()));
            }
            assert_eq!(number, FULL);
            assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
        }
    }
}
