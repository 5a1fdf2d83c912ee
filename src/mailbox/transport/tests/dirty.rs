//! Starts on memory that holds anything, and padding that says anything.

use super::*;
use crate::status::Status;

const FULL: u64 = CAPACITY as u64;

/// Words of padding: those of the two cursor lines and the last two of each slot.
fn padding() -> impl Iterator<Item = usize> {
    let front = (1..8).chain(9..16);
    front.chain((0..CAPACITY).flat_map(|slot| [16 + slot * 8 + 6, 16 + slot * 8 + 7]))
}

/// What memory may hold before a start.
fn patterns() -> Vec<(&'static str, Vec<u64>)> {
    let mut seed = 4;
    let mut all: Vec<(&'static str, Vec<u64>)> = vec![
        ("zero", vec![0; WORDS]),
        ("ones", vec![u64::MAX; WORDS]),
        ("alternating", vec![0xaaaa_aaaa_aaaa_aaaa; WORDS]),
        ("counting", (0..WORDS as u64).collect()),
        ("random", (0..WORDS).map(|_| random(&mut seed)).collect()),
    ];
    // Every slot looks published: in this lap, in the next, in one of a user's cursors.
    for (name, first, head) in [("this lap", 1, 0), ("next lap", FULL + 1, 0), ("published", 1, FULL)] {
        let mut words = vec![0; WORDS];
        words[word::HEAD] = head;
        for slot in 0..CAPACITY {
            words[16 + slot * 8] = slot as u64 + first;
        }
        all.push((name, words));
    }
    // The second run of our own that ended anywhere, as it was and with cursors or slots changed behind its back.
    let mut image = Image::new();
    let ring = image.transport();
    assert!(!ring.init_empty() && ring.init_empty());
    for number in 0..3 * FULL + 100 {
        while !ring.push(&message(1, number)) {
            assert!(ring.pop_batch(1000, |_, _| ()).is_ok());
        }
    }
    let run = image.words().to_vec();
    let change = |index: usize, value| {
        let mut words = run.clone();
        words[index] = value;
        words
    };
    all.push(("a run", run.clone()));
    all.push(("a run with the head moved back", change(word::HEAD, 5)));
    all.push(("a run with the head moved on", change(word::HEAD, run[word::HEAD] + FULL)));
    all.push(("a run with the tail before the head", change(word::TAIL, run[word::HEAD] + 1)));
    all.push(("a run with the tail far behind", change(word::TAIL, 0)));
    for index in [word::STAMP, word::FIRST, word::STAMP_CHECK] {
        all.push(("a run without its stamp", change(index, 0)));
        all.push(("a run with a damaged stamp", change(index, run[index] ^ 1 << 40)));
    }
    all.push(("a run that has gone too far", change(word::HEAD, run[word::HEAD] + (1 << 40))));
    let next = run[word::HEAD];
    for offset in [0, 1, 6] {
        let slot = 16 + ((next + offset) & (FULL - 1)) as usize * 8;
        all.push(("a run with a message to come", change(slot, next + offset + 1)));
    }
    let mut words = run.clone();
    words[16..].fill(next + 1);
    all.push(("a run with other slots", words));
    all
}

/// An empty ring in every respect: with a gap whose slot holds anything, full at 4096, through several laps.
fn require_usable(name: &str, ring: &RawTransport) {
    let stats = ring.stats();
    assert_eq!((stats.pending, stats.gap, stats.head), (0, false, stats.tail), "{name}");
    assert!(!ring.has_pending(), "{name}");
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_EMPTY), "{name}");
    for lap in 0..3 {
        // A claim by hand in front of each message, published later.
        for number in 0..FULL / 2 {
            let ticket = get(ring, word::HEAD);
            set(ring, word::HEAD, ticket + 1);
            assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN), "{name}: lap {lap}, {number}");
            assert!(ring.push(&message(lap, number)));
            assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN), "{name}: lap {lap}, {number}");
            ring.memory.write(ticket, &message(99, number).words());
            ring.memory.seq(ticket).store(ticket + 1, Ordering::Relaxed);
            assert_eq!(ring.try_pop(), Ok(message(99, number)));
            assert_eq!(ring.try_pop(), Ok(message(lap, number)));
        }
        for number in 0..FULL {
            assert!(ring.push(&message(lap, number)), "{name}: lap {lap}, {number}");
        }
        assert!(!ring.push(&message(lap, FULL)), "{name}");
        let mut expected = 0;
        while ring.has_pending() {
            let taken = ring.pop_batch(100, |index, view| assert_eq!(view, message(lap, expected + index as u64)));
            expected += taken.unwrap() as u64;
        }
        assert_eq!(expected, FULL, "{name}");
    }
}

#[test]
fn init_empty_makes_a_ring_of_any_bytes() {
    for (name, words) in patterns() {
        for offset in [0, 1, 2, 5] {
            let mut image = Image::at(offset);
            image.words().copy_from_slice(&words);
            let ring = image.transport();
            assert_eq!(ring.init_empty(), name == "a run", "{name}");
            if name != "a run" {
                assert_eq!(get(&ring, word::HEAD), 0, "{name}");
                assert!((0..FULL).all(|ticket| ring.memory.seq(ticket).load(Ordering::Relaxed) == 0), "{name}");
            }
            assert_eq!(get(&ring, word::HEAD), get(&ring, word::TAIL), "{name}");
            require_usable(name, &ring);
        }
    }
}

/// Only the words that the contract lists are set by hand; the padding is what it was.
#[test]
fn setting_the_listed_words_is_enough() {
    for (name, words) in patterns() {
        for start in [0, 1, 4095, 1 << 33] {
            let mut image = Image::new();
            image.words().copy_from_slice(&words);
            let ring = image.transport();
            set(&ring, word::HEAD, start);
            set(&ring, word::TAIL, start);
            (0..FULL).for_each(|ticket| ring.memory.seq(ticket).store(0, Ordering::Relaxed));
            require_usable(name, &ring);
        }
    }
}

/// The same with nothing but claims by hand up to the full ring: nothing that another run has left makes room.
#[test]
fn a_ring_claimed_by_hand_is_full_whatever_the_padding_says() {
    for (name, words) in patterns() {
        for jump in [FULL, FULL - 1] {
            let mut image = Image::new();
            image.words().copy_from_slice(&words);
            let ring = image.transport();
            set(&ring, word::HEAD, jump);
            set(&ring, word::TAIL, 0);
            (0..FULL).for_each(|ticket| ring.memory.seq(ticket).store(0, Ordering::Relaxed));
            let run: Vec<_> = (0..3).map(|number| message(1, number).words()).collect();
            assert_eq!(ring.push_run(&run) as u64, FULL - jump, "{name}");
            assert!(!ring.push(&message(1, 0)), "{name}");
            assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN), "{name}");
        }
    }
}

/// A second start on the same memory clears nothing: its tickets begin beyond all that the first run can have left, and a
/// number of its own says so.
#[test]
fn a_start_on_memory_that_is_known_goes_on_counting() {
    let mut image = Image::new();
    let ring = image.transport();
    assert!(!ring.init_empty());
    let first = ring.run().unwrap();
    assert!(ring.init_empty(), "without a push between");
    assert_eq!(ring.run(), Some(first.wrapping_add(1).max(1)));
    let mut head = get(&ring, word::HEAD);
    for left in [1, 5, FULL - 1, FULL] {
        for number in 0..FULL {
            assert!(ring.push(&message(1, number)));
        }
        for _ in 0..FULL - left {
            assert!(ring.try_pop().is_ok());
        }
        let run = ring.run().unwrap();
        assert!(ring.init_empty());
        assert_ne!(ring.run(), Some(run));
        let next = get(&ring, word::HEAD);
        assert_eq!((next % FULL, get(&ring, word::TAIL)), (0, next));
        assert!(next > head + FULL, "{next} {head}");
        head = next;
    }
    require_usable("known", &ring);
    // Claims by hand, and what was published in them.
    let head = get(&ring, word::HEAD);
    set(&ring, word::HEAD, head + 3);
    ring.memory.seq(head + 1).store(head + 2, Ordering::Relaxed);
    assert!(ring.init_empty());
    require_usable("claimed by hand", &ring);
    // A head that was moved back, to where slots hold messages to come.
    set(&ring, word::HEAD, get(&ring, word::HEAD) - 3);
    set(&ring, word::TAIL, get(&ring, word::HEAD));
    assert!(!ring.init_empty());
    assert_eq!((get(&ring, word::HEAD), get(&ring, word::TAIL)), (0, 0));
    require_usable("cleared", &ring);
}

/// Numbers of different starts differ even if nothing of the earlier one is left.
#[test]
fn runs_are_told_apart() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..16 {
        let mut image = Image::new();
        let ring = image.transport();
        ring.init_empty();
        seen.insert(ring.run().unwrap());
    }
    assert!(seen.len() > 14, "{seen:?}");
}

/// All counters and notes in padding are believed only with their checksum.
#[test]
fn garbage_in_padding_is_no_statistic() {
    let mut image = Image::new();
    let ring = image.transport();
    for value in [0, 1, 77, u64::MAX, 0x0000_0001_0000_0001] {
        padding().for_each(|index| image.words()[index] = value);
        let stats = ring.stats();
        assert_eq!((stats.gaps, stats.overlaps, stats.run), (0, 0, 0), "{value:#x}");
    }
    set(&ring, word::HEAD, 1);
    assert_eq!(ring.try_pop(), Err(Status::LANEPIPE_AGAIN));
    assert_eq!(ring.stats().gaps, 1);
}

/// A stamp with a bit or two wrong is none, and neither is what garbage looks like.
#[test]
fn damaged_stamps_say_nothing() {
    use crate::mailbox::padding::{Start, stamp, start_of};
    let mut seed = 9;
    for value in [0, 1, u64::MAX, 0xaaaa_aaaa_aaaa_aaaa] {
        assert_eq!(start_of([value; 3]), None);
    }
    for first in [0, 1 << 40, u64::MAX << 40, random(&mut seed)] {
        let start = Start { run: random(&mut seed) as u32, first };
        let words = stamp(start);
        assert_eq!(start_of(words), Some(start));
        let flip = |words: [u64; 3], bit: usize| {
            let mut words = words;
            words[bit / 64] ^= 1 << (bit % 64);
            words
        };
        for bit in 0..192 {
            assert_eq!(start_of(flip(words, bit)), None, "{bit}");
            for other in 0..bit {
                assert_eq!(start_of(flip(flip(words, bit), other)), None, "{bit} {other}");
            }
        }
    }
}
