//! The transport's rules, one thread.

use super::*;
use crate::mailbox::layout::{KIND_CONDITION, KIND_NORMAL_DONE, MAX_CONDITIONS};
use crate::mailbox::transport::{MAX_CLAIM, Target};
use crate::status::Status;

const FULL: u64 = CAPACITY as u64;

fn fill(ring: &RawTransport, count: u64) {
    (0..count).for_each(|number| assert!(ring.push(&message(1, number)), "{number}"));
}

fn drain(ring: &RawTransport, expected: u64) {
    for number in 0..expected {
        assert_eq!(ring.try_pop(), Ok(message(1, number)));
    }
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
    assert!(!ring.has_pending());
}

#[test]
fn zero_memory_is_an_empty_ring() {
    let mut image = Image::new();
    let ring = image.transport();
    assert!(!ring.has_pending());
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
    assert_eq!(ring.pop_batch(8, |_, _| panic!()), Err(Status::LANEPIPE_EMPTY));
    let stats = ring.stats();
    assert_eq!((stats.head, stats.tail, stats.pending, stats.gap, stats.run), (0, 0, 0, false, 0));
    fill(&ring, 3);
    drain(&ring, 3);
}

/// 4096 fit, from any position and by any way of pushing, and a refused push of any kind changes nothing.
#[test]
fn capacity_is_exact() {
    for start in [0, 1, 77, FULL - 1, FULL, 3 * FULL + 5] {
        let mut image = Image::new();
        let ring = image.transport();
        for number in 0..start {
            assert!(ring.push(&message(1, number)));
            assert_eq!(ring.try_pop(), Ok(message(1, number)));
        }
        fill(&ring, FULL);
        let before = snapshot(&ring);
        let run = [message(1, 0).words(), message(1, 1).words()];
        for _ in 0..3 {
            assert!(!ring.push(&message(1, 0)));
            assert!(!ring.push(&MsgView::normal_done(1, 8)));
            assert_eq!(ring.push_run(&run), 0);
        }
        assert_eq!(snapshot(&ring), before);
        assert_eq!(ring.stats().pending as u64, FULL);
        // One place, one more.
        assert_eq!(ring.try_pop(), Ok(message(1, 0)));
        assert_eq!(ring.push_run(&run), 1);
        assert!(!ring.push(&message(1, 0)));
    }
}

/// Each message of a claim that does not fit whole is a prefix of it.
#[test]
fn claims_push_a_prefix() {
    for room in 0..=5 {
        let mut image = Image::new();
        let ring = image.transport();
        fill(&ring, FULL - room);
        let run: Vec<_> = (0..4).map(|number| message(2, number).words()).collect();
        let pushed = ring.push_run(&run);
        assert_eq!(pushed as u64, room.min(4));
        for number in 0..FULL - room {
            assert_eq!(ring.try_pop(), Ok(message(1, number)));
        }
        for number in 0..pushed as u64 {
            assert_eq!(ring.try_pop(), Ok(message(2, number)));
        }
        assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
        assert_eq!(ring.push_run(&[]), 0);
    }
}

#[test]
fn slabs_go_through_whole_or_from_where_they_stopped() {
    let mut image = Image::new();
    let ring = image.transport();
    let entry = |number: u64| {
        let view = message(9, number);
        SlabEntry {
            addr: view.addr,
            backend_cookie: view.backend_cookie,
            expected_value: view.expected_value,
            engine: view.engine,
            completion_type: view.completion_type,
            // Not 0, as a writer leaves it: it must not become the kind.
            pad: 0xffff_ffff,
        }
    };
    let entries: Vec<_> = (0..MAX_CONDITIONS as u64).map(entry).collect();
    let push = |from: usize, count, slot| {
        // SAFETY: there are `MAX_CONDITIONS` entries, and no test asks for more but from the first on.
        unsafe { ring.push_slab(9, entries[from..].as_ptr(), count, slot) }
    };
    let require = |first: u64, end: u64, sentinel: bool| {
        for number in first..end {
            assert_eq!(ring.try_pop(), Ok(message(9, number)));
        }
        if sentinel {
            let done = ring.try_pop().unwrap();
            assert_eq!(done, MsgView::normal_done(9, 0x1234));
            assert_eq!(done.kind, KIND_NORMAL_DONE);
        }
        assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
    };
    assert_eq!(push(0, 3, None), 3);
    require(0, 3, false);
    assert_eq!(push(0, MAX_CONDITIONS, Some(0x1234)), MAX_CLAIM);
    require(0, MAX_CONDITIONS as u64, true);
    // More than a slab has is never read.
    assert_eq!(push(0, 1000, None), MAX_CONDITIONS);
    require(0, MAX_CONDITIONS as u64, false);
    assert_eq!(push(2, 3, Some(0x1234)), 4);
    require(2, 5, true);
    assert_eq!(push(5, 0, Some(0x1234)), 1);
    require(0, 0, true);
    assert_eq!(push(0, 0, None), 0);
    // Two places for three conditions and a sentinel, then the rest.
    let claimed = get(&ring, word::HEAD) + FULL - 2;
    set(&ring, word::HEAD, claimed);
    assert_eq!(push(0, 3, Some(0x1234)), 2);
    set(&ring, word::TAIL, claimed);
    assert_eq!(push(2, 1, Some(0x1234)), 2);
    require(0, 3, true);
}

/// Slots can be walked without popping, and keep their message until they are used again.
#[test]
fn slots_hold_their_message_until_the_next_lap() {
    let mut image = Image::new();
    let ring = image.transport();
    for lap in 0..3 {
        for number in 0..FULL {
            assert!(ring.push(&message(lap, number)));
        }
        for number in 0..FULL {
            let ticket = lap * FULL + number;
            assert_eq!(ring.memory.seq(ticket).load(Ordering::Relaxed), ticket + 1);
            assert_eq!(MsgView::from_words(ring.memory.read(ticket)), message(lap, number));
        }
        let mut seen = 0;
        while let Ok(count) = ring.pop_batch(1000, |_, _| ()) {
            seen += count as u64;
        }
        assert_eq!(seen, FULL);
        assert_eq!(ring.memory.seq(lap * FULL).load(Ordering::Relaxed), lap * FULL + 1);
    }
}

/// A claim by hand: pending, nothing to pop, pushes go on until all tickets are out; its publication delivers everything.
/// So does a producer that died between claim and publication.
#[test]
fn gap_holds_up_what_is_behind_it() {
    let mut image = Image::new();
    let ring = image.transport();
    set(&ring, word::HEAD, 1);
    assert!(ring.has_pending());
    let before = snapshot(&ring);
    for _ in 0..4 {
        assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN));
        assert_eq!(ring.pop_batch(4, |_, _| panic!()), Err(Status::LANEPIPE_AGAIN));
    }
    assert_eq!(snapshot(&ring), before);
    let stats = ring.stats();
    assert_eq!((stats.gap, stats.gaps), (true, 1), "a gap counts once however often it is met");
    fill(&ring, FULL - 1);
    assert!(!ring.push(&message(1, 0)));
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN));
    ring.memory.write(0, &message(2, 2).words());
    ring.memory.seq(0).store(1, Ordering::Relaxed);
    assert!(!ring.stats().gap);
    assert_eq!(ring.try_pop(), Ok(message(2, 2)));
    drain(&ring, FULL - 1);
    // Another one behind messages that are there.
    fill(&ring, 2);
    set(&ring, word::HEAD, get(&ring, word::HEAD) + 1);
    let mut seen = Vec::new();
    assert_eq!(ring.pop_batch(8, |_, view| seen.push(view)), Ok(2));
    assert_eq!(seen, [message(1, 0), message(1, 1)]);
    assert_eq!(ring.pop_batch(8, |_, _| panic!()), Err(Status::LANEPIPE_AGAIN));
    assert_eq!(ring.stats().gaps, 2);
}

#[test]
fn discard_empties_whatever_was_there() {
    let mut image = Image::new();
    let ring = image.transport();
    for round in 0..5u64 {
        fill(&ring, 100 * round);
        set(&ring, word::HEAD, get(&ring, word::HEAD) + round);
        ring.discard();
        assert!(!ring.has_pending());
        assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
        fill(&ring, FULL);
        assert!(!ring.push(&message(1, 0)));
        drain(&ring, FULL);
    }
}

/// From shortly before 2^64 on everything is as elsewhere; slots have the `seq` of the lap before, or none.
#[test]
fn cursors_wrap() {
    for used in [false, true] {
        for back in [1, 2, 5, FULL, FULL + 3] {
            let mut image = Image::new();
            let ring = image.transport();
            let start = 0u64.wrapping_sub(back);
            set(&ring, word::HEAD, start);
            set(&ring, word::TAIL, start);
            for ticket in (0..FULL).map(|offset| start.wrapping_add(offset)) {
                let before = if used { ticket.wrapping_add(1).wrapping_sub(FULL) } else { 0 };
                ring.memory.seq(ticket).store(before, Ordering::Relaxed);
            }
            for _ in 0..2 {
                assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
                for number in 0..7 {
                    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY));
                    assert!(ring.push(&message(1, number)));
                    assert!(ring.has_pending());
                    assert_eq!(ring.try_pop(), Ok(message(1, number)));
                    assert!(!ring.has_pending());
                }
                fill(&ring, FULL);
                assert!(!ring.push(&message(1, 0)));
                drain(&ring, FULL);
            }
            let moved = get(&ring, word::HEAD);
            assert!(moved < 3 * FULL, "{moved} is behind the wrap");
        }
    }
}

/// A reader shows messages that stay where they are until it releases them.
#[test]
fn peeking_consumes_nothing() {
    let mut image = Image::new();
    let ring = image.transport();
    fill(&ring, 5);
    let mut reader = ring.reader();
    for number in 0..3 {
        assert_eq!(reader.peek(), Some(message(1, number)));
        assert_eq!(reader.peek(), Some(message(1, number)));
        reader.take();
    }
    assert_eq!(reader.taken(), 3);
    drop(reader);
    assert_eq!(ring.stats().pending, 5);
    let mut reader = ring.reader();
    reader.take();
    reader.take();
    assert_eq!(reader.release(), Ok(2));
    assert_eq!(ring.reader().release(), Ok(0));
    let mut reader = ring.reader();
    for number in 2..5 {
        assert_eq!(reader.peek(), Some(message(1, number)));
        reader.take();
    }
    assert_eq!(reader.peek(), None);
    assert_eq!(reader.why(), Status::LANEPIPE_EMPTY);
    assert_eq!(reader.release(), Ok(3));
}

#[test]
fn batches_take_what_is_asked_for() {
    let mut image = Image::new();
    let ring = image.transport();
    fill(&ring, FULL);
    let mut expected = 0;
    for max in [1, 7, 64, 1000, usize::MAX] {
        let taken = ring.pop_batch(max, |index, view| {
            assert_eq!(view, message(1, expected + index as u64));
        });
        let taken = taken.unwrap() as u64;
        assert_eq!(taken, (max as u64).min(FULL - expected));
        expected += taken;
        assert_eq!(get(&ring, word::TAIL), expected);
    }
    assert_eq!(ring.pop_batch(0, |_, _| panic!()), Ok(0));
}

/// The second of two consumers that read the same message gets nothing but a finding.
#[test]
fn second_consumer_is_found_out() {
    let mut image = Image::new();
    let ring = image.transport();
    fill(&ring, 4);
    let mut slow = ring.reader();
    slow.peek().unwrap();
    slow.take();
    assert_eq!(ring.pop_batch(2, |_, _| ()), Ok(2));
    assert_eq!(slow.release(), Err(Status::LANEPIPE_E_OVERLAP));
    assert_eq!(ring.stats().overlaps, 1);
    assert_eq!(ring.try_pop(), Ok(message(1, 2)));
    assert_eq!(ring.stats().pending, 1);
}

/// Any value goes through as it is, whatever the fields mean.
#[test]
fn values_are_carried_verbatim() {
    let mut image = Image::new();
    let ring = image.transport();
    for bits in [0, 1, u64::MAX, 0x8000_0000_8000_0000, 0x7fff_ffff_0000_0001] {
        let view = MsgView {
            task_token: bits,
            addr: bits,
            backend_cookie: bits,
            expected_value: bits as u32,
            engine: (bits >> 32) as u32,
            completion_type: bits as i32,
            kind: (bits >> 32) as u32,
        };
        assert!(ring.push(&view));
        assert_eq!(ring.try_pop(), Ok(view));
    }
    assert_eq!(MsgView::default().task_token, u64::MAX);
}

/// What a walk shows, and what it is told to take.
#[derive(Default)]
struct Seen {
    room: u64,
    refused: Option<u64>,
    takes_others: bool,
    begun: Vec<u64>,
    ended: Vec<u64>,
    messages: Vec<MsgView>,
}

impl Target for Seen {
    fn begin(&mut self, token: u64) -> u64 {
        if self.refused == Some(token) {
            return 0;
        }
        self.begun.push(token);
        self.room
    }
    fn store(&mut self, message: impl Fn(usize) -> u64) -> bool {
        let message = MsgView::from_words(core::array::from_fn(message));
        assert_eq!(Some(&message.task_token), self.begun.last());
        let is_condition = message.kind == KIND_CONDITION;
        if is_condition {
            self.messages.push(message);
        }
        is_condition
    }
    fn end(&mut self, count: u64) {
        assert_ne!(count, 0);
        self.ended.push(count);
    }
    fn other(&mut self, message: impl Fn(usize) -> u64) -> bool {
        if self.takes_others {
            self.messages.push(MsgView::from_words(core::array::from_fn(message)));
        }
        self.takes_others
    }
}

/// A walk takes messages in order, those of one task together, up to one that is not wanted, a gap, the number asked for, or the
/// ring's end.
#[test]
fn a_walk_ends_where_something_else_begins() {
    for start in [0, FULL - 2, 5 * FULL - 9] {
        let mut image = Image::new();
        let ring = image.transport();
        // Each slot still holds a condition of the lap before.
        for index in [word::HEAD, word::TAIL] {
            set(&ring, index, start.wrapping_sub(FULL));
        }
        (0..FULL).for_each(|number| assert!(ring.push(&message(3, number))));
        assert_eq!(ring.pop_batch(CAPACITY, |_, _| ()), Ok(CAPACITY));
        let mut messages: Vec<_> = (0..4).map(|number| message(1, number)).collect();
        messages.extend([message(2, 0), message(2, 1), MsgView::normal_done(2, 64), message(3, 0)]);
        assert!(messages.iter().all(|message| ring.push(message)));
        let gap = get(&ring, word::HEAD);
        set(&ring, word::HEAD, gap + 1);
        assert!(ring.push(&message(3, 2)));
        let reader = ring.reader();
        let to_end = if start == FULL - 2 { 2 } else { 9 };
        let walk = |offset: u64, most, mut seen: Seen| {
            let count = reader.walk(offset, most, &mut seen) as usize;
            assert_eq!(seen.messages, messages[offset as usize..][..count]);
            assert!(count as u64 <= most);
            (count, seen)
        };
        let all = || Seen { room: 64, takes_others: true, ..Seen::default() };
        let (count, seen) = walk(0, 64, all());
        assert_eq!(count, to_end.min(8));
        assert_eq!(seen.ended, if to_end == 2 { vec![2] } else { vec![4, 2, 1] });
        let from = if to_end == 2 { 2 } else { 0 };
        let left = 4 - from as usize;
        assert_eq!(walk(from, 64, all()).0, left + 4, "up to the gap");
        assert_eq!(walk(from, 64, Seen { takes_others: false, ..all() }).0, left + 2, "up to the sentinel");
        assert_eq!(walk(from, 64, Seen { refused: Some(2), ..all() }).0, left, "up to a task that is not wanted");
        assert_eq!(walk(from, 3, all()).0, 3.min(left + 4));
        assert_eq!(walk(from, 0, all()).0, 0);
        let (count, seen) = walk(from, 64, Seen { room: 1, ..all() });
        assert_eq!(
            (count, seen.begun[1], seen.ended[0]),
            (left + 4, if left > 1 { 1 } else { 2 }, 1),
            "each begins a run"
        );
        assert_eq!(walk(8, 64, all()).0, 0, "a gap");
        assert_eq!(walk(6, 64, Seen { takes_others: false, ..all() }).0, 0);
        assert_eq!(ring.stats().pending, 10, "looking changes nothing");
    }
}

/// The last tickets of all are left to `peek`, which alone knows what ticket 0 - 1 means.
#[test]
fn a_walk_does_not_come_to_the_last_tickets() {
    for left in [1, 3, 64, 65, 66, 70] {
        let mut image = Image::new();
        let ring = image.transport();
        let start = 0u64.wrapping_sub(left);
        for index in [word::HEAD, word::TAIL] {
            set(&ring, index, start);
        }
        assert!((0..70).all(|number| ring.push(&message(1, number))));
        let mut seen = Seen { room: 64, ..Seen::default() };
        assert_eq!(ring.reader().walk(0, 64, &mut seen), left.saturating_sub(65).min(64), "{left}");
        assert_eq!(ring.pop_batch(100, |_, _| ()), Ok(70));
    }
}
