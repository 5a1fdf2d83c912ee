//! Random streams of calls against a queue, with cursors moved by hand and padding overwritten between calls.

use super::*;
use crate::mailbox::layout::Words;
use crate::status::Status;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy)]
enum Step {
    Push,
    PushMany(u16),
    Run(u8),
    Slab(u8, bool),
    Pop,
    Batch(u16),
    Peek(u8),
    Claim(u8),
    Publish,
    Discard,
    Init,
    Scramble(u8, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Push),
        3 => (0..2500u16).prop_map(Step::PushMany),
        6 => (0..=70u8).prop_map(Step::Run),
        6 => (0..=64u8, any::<bool>()).prop_map(|(count, done)| Step::Slab(count, done)),
        6 => Just(Step::Pop),
        3 => (0..3000u16).prop_map(Step::Batch),
        2 => (1..20u8).prop_map(Step::Peek),
        1 => (1..4u8).prop_map(Step::Claim),
        2 => Just(Step::Publish),
        1 => Just(Step::Discard),
        1 => Just(Step::Init),
        8 => (0..4u8, any::<u64>()).prop_map(|(way, seed)| Step::Scramble(way, seed)),
    ];
    prop::collection::vec(step, 1..120)
}

/// What the ring must hold: for each ticket that is out its message, or none while it is not published.
struct World {
    image: Image,
    ring: RawTransport,
    tickets: VecDeque<Option<MsgView>>,
    tail: u64,
    number: u64,
    /// Padding of the cursor lines as it was earlier in the run.
    stale: Vec<u64>,
}

impl World {
    fn new(offset: usize, start: u64) -> Self {
        let mut image = Image::at(offset);
        let ring = image.transport();
        for index in [word::HEAD, word::TAIL] {
            set(&ring, index, start);
        }
        Self { image, ring, tickets: VecDeque::new(), tail: start, number: 0, stale: vec![0; 16] }
    }

    fn room(&self) -> usize {
        CAPACITY - self.tickets.len()
    }

    fn next(&mut self) -> MsgView {
        self.number += 1;
        message(self.number % 7, self.number)
    }

    fn ready(&self) -> usize {
        self.tickets.iter().take_while(|message| message.is_some()).count()
    }

    fn why(&self) -> Status {
        if self.tickets.is_empty() { Status::LANEPIPE_EMPTY } else { Status::LANEPIPE_AGAIN }
    }

    fn push(&mut self) {
        let message = self.next();
        let room = self.room() > 0;
        assert_eq!(self.ring.push(&message), room);
        if room {
            self.tickets.push_back(Some(message));
        }
    }

    fn pushed(&mut self, messages: &[MsgView], count: usize) {
        assert_eq!(count, self.room().min(messages.len()));
        self.tickets.extend(messages[..count].iter().copied().map(Some));
    }

    fn take(&mut self, seen: &[MsgView]) {
        for view in seen {
            assert_eq!(self.tickets.pop_front().unwrap(), Some(*view));
            self.tail = self.tail.wrapping_add(1);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push => self.push(),
            Step::PushMany(count) => (0..count).for_each(|_| self.push()),
            Step::Run(count) => {
                let messages: Vec<_> = (0..count.min(65)).map(|_| self.next()).collect();
                let words: Vec<Words> = messages.iter().map(MsgView::words).collect();
                let count = self.ring.push_run(&words);
                self.pushed(&messages, count);
            }
            Step::Slab(count, done) => {
                let token = self.number;
                let entries: Vec<_> = (0..count)
                    .map(|_| {
                        let view = self.next();
                        SlabEntry {
                            addr: view.addr,
                            backend_cookie: view.backend_cookie,
                            expected_value: view.expected_value,
                            engine: view.engine,
                            completion_type: view.completion_type,
                            pad: 7,
                        }
                    })
                    .collect();
                let mut messages: Vec<_> = entries.iter().map(|entry| MsgView::condition(token, *entry)).collect();
                let slot = done.then_some(0x40);
                messages.extend(slot.map(|slot| MsgView::normal_done(token, slot)));
                // SAFETY: there are that many entries.
                let count = unsafe { self.ring.push_slab(token, entries.as_ptr(), entries.len(), slot) };
                self.pushed(&messages, count);
            }
            Step::Pop => {
                let expected = self.tickets.front().copied().flatten().ok_or(self.why());
                assert_eq!(self.ring.try_pop(), expected);
                self.take(expected.ok().as_slice());
            }
            Step::Batch(max) => {
                let mut seen = Vec::new();
                let taken = self.ring.pop_batch(max.into(), |_, view| seen.push(view));
                let ready = self.ready().min(max.into());
                assert_eq!(taken, if ready == 0 && max != 0 { Err(self.why()) } else { Ok(ready) });
                assert_eq!(seen.len(), ready);
                self.take(&seen);
            }
            Step::Peek(count) => {
                let mut reader = self.ring.reader();
                for expected in self.tickets.iter().take(self.ready()).take(count.into()) {
                    assert_eq!(reader.peek(), *expected);
                    reader.take();
                }
            }
            Step::Claim(count) => {
                let count = usize::from(count).min(self.room());
                let head = get(&self.ring, word::HEAD).wrapping_add(count as u64);
                set(&self.ring, word::HEAD, head);
                self.tickets.extend(vec![None; count]);
            }
            Step::Publish => {
                let Some(index) = self.tickets.iter().rposition(Option::is_none) else { return };
                let (message, ticket) = (self.next(), self.tail.wrapping_add(index as u64));
                self.ring.memory.write(ticket, &message.words());
                self.ring.memory.seq(ticket).store(ticket.wrapping_add(1), Ordering::Relaxed);
                self.tickets[index] = Some(message);
            }
            Step::Discard => {
                self.ring.discard();
                self.tail = self.tail.wrapping_add(self.tickets.len() as u64);
                self.tickets.clear();
            }
            Step::Init => {
                let kept = self.ring.init_empty();
                let tail = get(&self.ring, word::TAIL);
                let head = self.tail.wrapping_add(self.tickets.len() as u64);
                assert!(if kept { tail.wrapping_sub(head) < 1 << 41 } else { tail == 0 });
                self.tail = tail;
                self.tickets.clear();
                self.stale = vec![0; 16];
            }
            Step::Scramble(way, seed) => self.scramble(way, seed),
        }
    }

    /// Overwrites padding: with zero or random bits, or what stood there earlier in the run.
    fn scramble(&mut self, way: u8, mut seed: u64) {
        let stale = self.stale.clone();
        let words = self.image.words();
        self.stale = words[..16].to_vec();
        for index in (1..8).chain(9..16) {
            words[index] = match way {
                0 => 0,
                1 => random(&mut seed),
                2 => stale[index],
                _ => words[index] ^ (1 << (seed % 64)),
            };
        }
        for slot in 0..CAPACITY {
            words[16 + slot * 8 + 6] = random(&mut seed);
            words[16 + slot * 8 + 7] = 0;
        }
    }

    fn check(&mut self) {
        let stats = self.ring.stats();
        assert_eq!(stats.tail, self.tail);
        assert_eq!(stats.head, self.tail.wrapping_add(self.tickets.len() as u64));
        assert_eq!(self.ring.has_pending(), !self.tickets.is_empty());
        assert_eq!(stats.gap, matches!(self.tickets.front(), Some(None)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_stream_is_that_of_a_queue(
        offset in 0..8usize,
        start in prop_oneof![Just(0), Just(0u64.wrapping_sub(9000)), 1..1u64 << 40],
        steps in steps(),
    ) {
        let mut world = World::new(offset, start);
        for step in steps {
            world.step(step);
            world.check();
        }
        // What is left comes out once everything is published.
        while world.tickets.iter().any(Option::is_none) {
            world.step(Step::Publish);
        }
        world.step(Step::Batch(u16::MAX));
        assert!(world.tickets.is_empty());
    }
}
