//! Models of the transport: the production code over a ring of a few slots.

use super::super::layout::{MsgView, SlabEntry, Words};
use super::super::memory::{Memory, Slot, word};
use super::{P1, Target, Transport};
use crate::status::Status;
use crate::sync::SharedWord64;
use crate::sync::atomic::{AtomicU64, Ordering, UnsafeCell};
use crate::sync::model::{check, must_fail};
use crate::sync::relax;
use loom::thread;
use std::sync::Arc;

const PREEMPTIONS: usize = 2;

/// Payload of a slot: a cell, whose accesses the protocol must order; or words, where a test lets them overlap.
#[derive(Debug)]
enum Payload {
    Cell(UnsafeCell<Words>),
    Words([AtomicU64; 5]),
}

#[derive(Debug)]
struct LoomMemory {
    words: Vec<AtomicU64>,
    seqs: Vec<AtomicU64>,
    payloads: Vec<Payload>,
}

impl LoomMemory {
    fn with(capacity: usize, start: u64, payload: impl Fn() -> Payload) -> Self {
        let words: Vec<_> = (0..word::COUNT).map(|_| AtomicU64::new(0)).collect();
        let memory = Self {
            words,
            seqs: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            payloads: (0..capacity).map(|_| payload()).collect(),
        };
        for index in [word::HEAD, word::TAIL] {
            memory.words[index].store(start, Ordering::Relaxed);
        }
        for ticket in (0..capacity as u64).map(|offset| start.wrapping_add(offset)) {
            let before = ticket.wrapping_add(1).wrapping_sub(capacity as u64);
            memory.seq(ticket).store(before, Ordering::Relaxed);
        }
        memory
    }

    fn number(&self, ticket: u64) -> usize {
        (ticket & (self.seqs.len() as u64 - 1)) as usize
    }
}

impl Memory for LoomMemory {
    type Word<'a> = &'a AtomicU64;
    type Slot<'a> = LoomSlot<'a>;

    fn slot(&self, ticket: u64) -> LoomSlot<'_> {
        LoomSlot(self, ticket)
    }

    fn capacity(&self) -> u64 {
        self.seqs.len() as u64
    }
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.words[index]
    }
    fn seq(&self, ticket: u64) -> &AtomicU64 {
        &self.seqs[self.number(ticket)]
    }
    fn write(&self, ticket: u64, payload: &Words) {
        match &self.payloads[self.number(ticket)] {
            // SAFETY: the model checks that nobody else reaches the cell.
            Payload::Cell(cell) => cell.with_mut(|place| unsafe { *place = *payload }),
            Payload::Words(words) => {
                words.iter().zip(payload).for_each(|(word, value)| word.store(*value, Ordering::Relaxed));
            }
        }
    }
    fn read(&self, ticket: u64) -> Words {
        match &self.payloads[self.number(ticket)] {
            // SAFETY: the model checks that nobody writes the cell.
            Payload::Cell(cell) => cell.with(|place| unsafe { *place }),
            Payload::Words(words) => core::array::from_fn(|index| words[index].load(Ordering::Relaxed)),
        }
    }
    fn clear(&self) {
        self.words.iter().chain(&self.seqs).for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

struct LoomSlot<'a>(&'a LoomMemory, u64);

impl Slot for LoomSlot<'_> {
    fn seq(&self) -> impl SharedWord64 {
        self.0.seq(self.1)
    }
    fn payload(&self, index: usize) -> u64 {
        self.0.read(self.1)[index]
    }
    fn behind(self) -> Self {
        Self(self.0, self.1.wrapping_add(1))
    }
}

// SAFETY: words are atomic, and the model checks every access to a cell.
unsafe impl Send for LoomMemory {}
// SAFETY: as for `Send`.
unsafe impl Sync for LoomMemory {}

type Ring = Arc<Transport<LoomMemory>>;

fn ring(capacity: usize, start: u64) -> Ring {
    let cell = || Payload::Cell(UnsafeCell::new([0; 5]));
    Arc::new(Transport::new(LoomMemory::with(capacity, start, cell)))
}

/// Message `number` of task `token`. All fields say the same.
fn message(token: u64, number: u64) -> MsgView {
    let entry = SlabEntry {
        addr: number,
        backend_cookie: number ^ token,
        expected_value: number as u32,
        engine: token as u32,
        completion_type: number as i32,
        pad: 0,
    };
    MsgView::condition(token, entry)
}

fn require_whole(seen: &MsgView) {
    assert_eq!(*seen, message(seen.task_token, seen.addr));
}

fn push_until_taken(ring: &Ring, message: MsgView) {
    while !ring.push(&message) {
        relax();
    }
}

/// Takes `count` messages one at a time.
fn pop_all(ring: &Ring, count: usize) -> Vec<MsgView> {
    let mut seen = Vec::new();
    while seen.len() < count {
        match ring.try_pop() {
            Ok(message) => seen.push(message),
            Err(Status::LANEPIPE_EMPTY | Status::LANEPIPE_AGAIN) => relax(),
            Err(status) => panic!("{status:?}"),
        }
    }
    seen
}

fn require_order(seen: &[MsgView], tokens: &[u64]) {
    for token in tokens {
        let numbers: Vec<_> = seen.iter().filter(|seen| seen.task_token == *token).map(|seen| seen.addr).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}

/// One producer, `count` messages through `capacity` slots.
fn stream(capacity: usize, start: u64, count: u64) -> impl Fn() + Send + Sync {
    move || {
        let ring = ring(capacity, start);
        let consumer = {
            let ring = ring.clone();
            thread::spawn(move || pop_all(&ring, count as usize))
        };
        (0..count).for_each(|number| push_until_taken(&ring, message(1, number)));
        let seen = consumer.join().unwrap();
        seen.iter().for_each(require_whole);
        require_order(&seen, &[1]);
    }
}

/// Two producers and a consumer; the tickets go past the end of the ring and past 2^64.
fn two_producers() {
    let ring = ring(2, u64::MAX - 1);
    let producers: Vec<_> = [(1, 2), (2, 1)]
        .map(|(token, count)| {
            let ring = ring.clone();
            thread::spawn(move || (0..count).for_each(|number| push_until_taken(&ring, message(token, number))))
        })
        .into();
    let seen = pop_all(&ring, 3);
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    seen.iter().for_each(require_whole);
    require_order(&seen, &[1, 2]);
    assert!(!ring.has_pending() && ring.try_pop() == Err(Status::LANEPIPE_EMPTY));
}

/// A claim of three against single ones: its messages stand together.
fn slab_against_single() {
    let ring = ring(4, u64::MAX - 2);
    let slab = {
        let ring = ring.clone();
        thread::spawn(move || ring.push_run(&[0, 1, 2].map(|number| message(1, number).words())))
    };
    let single = {
        let ring = ring.clone();
        thread::spawn(move || ring.push(&message(2, 0)))
    };
    let mut seen = pop_all(&ring, 1);
    assert_eq!(slab.join().unwrap(), 3);
    assert!(single.join().unwrap());
    assert_eq!(ring.pop_batch(4, |_, message| seen.push(message)), Ok(3));
    seen.iter().for_each(require_whole);
    let first = seen.iter().position(|seen| seen.task_token == 1).unwrap();
    assert_eq!([0, 1, 2].map(|offset| seen[first + offset].task_token), [1; 3]);
    require_order(&seen, &[1]);
}

/// A claim that nobody has published holds up what is behind it, and only that.
fn gap() {
    let ring = ring(2, 0);
    ring.memory.word(word::HEAD).store(1, Ordering::Relaxed);
    let producer = {
        let ring = ring.clone();
        thread::spawn(move || {
            assert!(ring.push(&message(2, 0)));
            assert!(!ring.push(&message(2, 1)), "two tickets are out");
        })
    };
    assert!(ring.has_pending());
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN));
    producer.join().unwrap();
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN));
    assert_eq!(ring.stats().gaps, 1);
    ring.memory.write(0, &message(1, 0).words());
    ring.memory.seq(0).store(1, P1.order());
    assert_eq!(pop_all(&ring, 2), [message(1, 0), message(2, 0)]);
}

/// Two producers push twice each into two slots, of which a consumer may free one. A refusal is never wrong.
fn full() {
    let ring = ring(2, 0);
    let producers: Vec<_> = [1, 2]
        .map(|token| {
            let ring = ring.clone();
            thread::spawn(move || (0..2).filter(|number| ring.push(&message(token, *number))).count())
        })
        .into();
    let popped = usize::from(ring.try_pop().is_ok());
    let pushed: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
    assert!((2..=2 + popped).contains(&pushed), "{pushed} pushed, {popped} popped");
    let stats = ring.stats();
    assert_eq!((stats.head, stats.tail, stats.pending as usize), (pushed as u64, popped as u64, pushed - popped));
    assert_eq!(ring.pop_batch(4, |_, seen| require_whole(&seen)), Ok(pushed - popped));
}

/// The same with one slot kept free all the time: no refusal at all.
fn never_full() {
    let ring = ring(4, 0);
    let producers: Vec<_> = [1, 2]
        .map(|token| {
            let ring = ring.clone();
            thread::spawn(move || {
                assert!(ring.push(&message(token, 0)) && (token == 2 || ring.push(&message(token, 1))))
            })
        })
        .into();
    let _ = ring.try_pop();
    producers.into_iter().for_each(|producer| producer.join().unwrap());
}

/// What a run leaves, an unpublished claim included, is gone in the next.
fn discard() {
    let ring = ring(2, 0);
    let producer = {
        let ring = ring.clone();
        thread::spawn(move || ring.push(&message(1, 0)))
    };
    let popped = ring.try_pop().is_ok();
    assert!(producer.join().unwrap());
    if !popped {
        let head = ring.memory.word(word::HEAD);
        head.store(head.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
    ring.discard();
    assert!(!ring.has_pending());
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
    let producer = {
        let ring = ring.clone();
        thread::spawn(move || ring.push_run(&[message(2, 0).words(), message(2, 1).words(), message(2, 2).words()]))
    };
    assert_eq!(producer.join().unwrap(), 2, "both slots are free");
    assert_eq!(pop_all(&ring, 2), [message(2, 0), message(2, 1)]);
}

/// Two subtasks push what they defer and count themselves; the last one pushes the sentinel, which comes out last.
fn causality() {
    let ring = ring(4, 0);
    let counter = Arc::new(AtomicU64::new(0));
    let subtasks: Vec<_> = [1, 2]
        .map(|number| {
            let (ring, counter) = (ring.clone(), counter.clone());
            thread::spawn(move || {
                assert_eq!(ring.push_run(&[message(7, number).words()]), 1);
                if counter.fetch_add(1, Ordering::AcqRel) == 1 {
                    assert!(ring.push(&MsgView::normal_done(7, 0x40)));
                }
            })
        })
        .into();
    let seen = pop_all(&ring, 3);
    subtasks.into_iter().for_each(|subtask| subtask.join().unwrap());
    assert_eq!(seen[2], MsgView::normal_done(7, 0x40));
}

/// Two consumers at once, while a slot is used again. Nobody gets what somebody else has, or a mix.
fn two_consumers() {
    let words = || Payload::Words(core::array::from_fn(|_| AtomicU64::new(0)));
    let ring = Arc::new(Transport::new(LoomMemory::with(1, 0, words)));
    assert!(ring.push(&message(1, 0)));
    let consumers: Vec<_> = [(); 2]
        .map(|()| {
            let ring = ring.clone();
            thread::spawn(move || [ring.try_pop(), ring.try_pop()])
        })
        .into();
    let pushed = ring.push(&message(1, 1));
    let results: Vec<_> = consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect();
    let mut seen: Vec<_> = results.iter().filter_map(|result| result.ok()).collect();
    seen.extend(ring.try_pop());
    seen.iter().for_each(require_whole);
    let mut numbers: Vec<_> = seen.iter().map(|seen| seen.addr).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, if pushed { vec![0, 1] } else { vec![0] });
    let overlaps = results.iter().filter(|result| **result == Err(Status::LANEPIPE_E_OVERLAP)).count();
    assert_eq!(ring.stats().overlaps as usize, overlaps);
}

/// The ring is full, the consumer frees it. Two producers write slots that the consumer has read.
fn freed() {
    let ring = ring(2, 0);
    assert_eq!(ring.push_run(&[message(1, 0).words(), message(1, 1).words()]), 2);
    let consumer = {
        let ring = ring.clone();
        thread::spawn(move || ring.pop_batch(2, |_, seen| require_whole(&seen)))
    };
    let producers: Vec<_> = [2, 3]
        .map(|token| {
            let ring = ring.clone();
            thread::spawn(move || ring.push(&message(token, 0)))
        })
        .into();
    assert_eq!(consumer.join().unwrap(), Ok(2));
    let pushed = producers.into_iter().map(|producer| usize::from(producer.join().unwrap())).sum::<usize>();
    let mut count = 0;
    let status = ring.pop_batch(2, |_, seen| {
        require_whole(&seen);
        count += 1;
    });
    assert_eq!(count, pushed);
    assert_eq!(status, if pushed == 0 { Err(Status::LANEPIPE_EMPTY) } else { Ok(pushed) });
}

/// One of two slots is free whenever somebody pushes: a thread consumes and pushes, another one pushes. Neither is refused,
/// however old the tail is that it sees beside the head.
fn exact() {
    let ring = ring(2, 0);
    assert!(ring.push(&message(1, 0)));
    let both = {
        let ring = ring.clone();
        thread::spawn(move || {
            assert!(ring.try_pop().is_ok());
            assert!(ring.push(&message(2, 0)));
        })
    };
    let other = {
        let ring = ring.clone();
        thread::spawn(move || assert!(ring.push(&message(3, 0))))
    };
    both.join().unwrap();
    other.join().unwrap();
    assert_eq!(ring.pop_batch(4, |_, seen| require_whole(&seen)), Ok(2));
}

/// What a walk shows: runs of conditions, one task after the other.
#[derive(Default)]
struct Walked {
    messages: Vec<MsgView>,
    runs: u64,
}

impl Target for Walked {
    fn begin(&mut self, _: u64) -> u64 {
        64
    }
    fn store(&mut self, message: impl Fn(usize) -> u64) -> bool {
        self.messages.push(MsgView::from_words(core::array::from_fn(message)));
        true
    }
    fn end(&mut self, count: u64) {
        self.runs += count;
    }
    fn other(&mut self, _: impl Fn(usize) -> u64) -> bool {
        false
    }
}

/// A walk while a producer publishes what one claim took, and then fills slots that the walk has left.
fn walk() {
    let ring = ring(2, 0);
    let producer = {
        let ring = ring.clone();
        thread::spawn(move || {
            assert_eq!(ring.push_run(&[message(1, 0).words(), message(1, 1).words()]), 2);
            u64::from(ring.push(&message(2, 0)))
        })
    };
    let mut seen = 0;
    let mut turn = |most| {
        let mut walked = Walked::default();
        let mut reader = ring.reader();
        let count = reader.walk(0, most, &mut walked);
        assert_eq!((walked.messages.len() as u64, walked.runs), (count, count));
        for found in walked.messages {
            assert_eq!(found, if seen < 2 { message(1, seen) } else { message(2, 0) });
            seen += 1;
        }
        reader.seek(count);
        assert_eq!(reader.release(), Ok(count as usize));
        seen
    };
    turn(1);
    turn(2);
    let pushed = producer.join().unwrap() + 2;
    while turn(2) < pushed {}
}

#[test]
fn loom_mailbox_publish() {
    check(3, stream(2, 0, 2));
}

#[test]
fn loom_mailbox_wrap() {
    check(3, stream(1, u64::MAX, 3));
}

#[test]
fn loom_mailbox_two_producers() {
    check(PREEMPTIONS, two_producers);
}

#[test]
fn loom_mailbox_slab_against_single() {
    check(PREEMPTIONS, slab_against_single);
}

#[test]
fn loom_mailbox_walk() {
    check(PREEMPTIONS, walk);
    must_fail("mailbox.P1", PREEMPTIONS, walk);
    must_fail("mailbox.C1", PREEMPTIONS, walk);
    must_fail("mailbox.C2", PREEMPTIONS, walk);
}

#[test]
fn loom_mailbox_gap() {
    check(3, gap);
}

#[test]
fn loom_mailbox_full() {
    check(PREEMPTIONS, full);
}

#[test]
fn loom_mailbox_never_full() {
    check(PREEMPTIONS, never_full);
}

#[test]
fn loom_mailbox_discard() {
    check(3, discard);
}

#[test]
fn loom_mailbox_causality() {
    check(PREEMPTIONS, causality);
}

#[test]
fn loom_mailbox_two_consumers() {
    check(PREEMPTIONS, two_consumers);
}

#[test]
fn loom_mailbox_freed() {
    check(PREEMPTIONS, freed);
}

#[test]
fn loom_mailbox_exact() {
    check(PREEMPTIONS, exact);
}

#[test]
fn loom_mailbox_weak_p1() {
    must_fail("mailbox.P1", PREEMPTIONS, stream(2, 0, 2));
}

#[test]
fn loom_mailbox_weak_c1() {
    must_fail("mailbox.C1", PREEMPTIONS, stream(2, 0, 2));
}

#[test]
fn loom_mailbox_weak_c2() {
    must_fail("mailbox.C2", PREEMPTIONS, stream(1, 0, 2));
}

#[test]
fn loom_mailbox_weak_p2() {
    must_fail("mailbox.P2", PREEMPTIONS, stream(1, 0, 2));
}

#[test]
fn loom_mailbox_weak_p3() {
    must_fail("mailbox.P3", PREEMPTIONS, exact);
}

#[test]
fn loom_mailbox_weak_p4() {
    must_fail("mailbox.P4", PREEMPTIONS, exact);
}
