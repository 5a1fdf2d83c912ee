//! Cursors and slots changed by hand, behind what an earlier life has left.

use super::*;

const FULL: u64 = CAPACITY as u64;

/// Messages of the current lap are delivered again after `tail` was stored backwards; the ring is as full as the cursors say.
#[test]
fn a_tail_that_was_moved_back_counts() {
    let mut image = Image::new();
    let ring = image.transport();
    for number in 0..FULL + 1 {
        assert!(ring.push(&message(1, number)));
        assert_eq!(ring.try_pop(), Ok(message(1, number)));
    }
    set(&ring, word::TAIL, 1);
    assert!(!ring.push(&message(1, 0)), "{:?}", ring.stats());
    for number in 1..FULL + 1 {
        assert_eq!(ring.try_pop(), Ok(message(1, number)));
    }
}

/// The words that an initialiser has to write are written, padding is what a former life left, and a user makes claims.
#[test]
fn padding_of_a_former_life_says_nothing_about_claims_by_hand() {
    let mut image = Image::new();
    let ring = image.transport();
    for number in 0..100 {
        assert!(ring.push(&message(1, number)));
        assert_eq!(ring.try_pop(), Ok(message(1, number)));
    }
    set(&ring, word::HEAD, 0);
    set(&ring, word::TAIL, 0);
    (0..FULL).for_each(|ticket| ring.memory.seq(ticket).store(0, Ordering::Relaxed));
    set(&ring, word::HEAD, 101);
    let mut pushed = 0;
    while ring.push(&message(2, pushed)) {
        pushed += 1;
        assert!(pushed <= FULL - 101, "{:?}", ring.stats());
    }
    assert_eq!(pushed, FULL - 101);
}

/// A stale publication of one slot, behind a start that found the ring as it had left it.
#[test]
fn a_former_seq_anywhere_is_no_message_after_a_start() {
    for slot in [0, 7, 8, 100, FULL - 1] {
        let mut image = Image::new();
        let ring = image.transport();
        ring.init_empty();
        ring.memory.seq(slot).store(slot + 1, Ordering::Relaxed);
        ring.init_empty();
        let head = get(&ring, word::HEAD);
        set(&ring, word::HEAD, head + slot + 1);
        set(&ring, word::TAIL, head + slot);
        assert!(ring.try_pop().is_err(), "slot {slot}");
    }
}

/// Claims by hand that nobody has published, the head moved back before some that somebody has: after the next start none of
/// those slots holds a message.
#[test]
fn a_head_that_was_moved_back_leaves_nothing_to_come() {
    for back in [1, 20, 100, FULL - 1] {
        for unpublished in [0, 8, 64] {
            let mut image = Image::new();
            let ring = image.transport();
            ring.init_empty();
            ring.init_empty();
            let first = get(&ring, word::HEAD);
            set(&ring, word::HEAD, first + FULL);
            for ticket in (first + FULL - back..first + FULL).skip(unpublished) {
                ring.memory.seq(ticket).store(ticket + 1, Ordering::Relaxed);
            }
            set(&ring, word::HEAD, first + FULL - back);
            ring.init_empty();
            let start = get(&ring, word::HEAD);
            assert_eq!(get(&ring, word::TAIL), start);
            for ticket in start..start + 2 * FULL {
                set(&ring, word::HEAD, ticket + 1);
                set(&ring, word::TAIL, ticket);
                assert!(ring.try_pop().is_err(), "{back} back, {unpublished} unpublished");
            }
        }
    }
}

/// Padding that was saved in an earlier life and comes back vouches for nothing in a later one.
#[test]
fn a_stamp_of_an_earlier_life_is_none() {
    let mut image = Image::new();
    let ring = image.transport();
    let stamp = [word::STAMP, word::FIRST, word::STAMP_CHECK];
    ring.init_empty();
    let old = stamp.map(|index| get(&ring, index));
    assert!(ring.init_empty());
    assert!(ring.push(&message(1, 0)));
    stamp.into_iter().zip(old).for_each(|(index, value)| set(&ring, index, value));
    assert!(!ring.init_empty());
    assert_eq!((get(&ring, word::HEAD), get(&ring, word::TAIL)), (0, 0));
    // And the other way round: a stamp that survived while the cursors began again.
    assert!(ring.init_empty());
    set(&ring, word::HEAD, 0);
    set(&ring, word::TAIL, 0);
    assert!(!ring.init_empty());
}

/// The last life is followed by the first, on cleared slots.
#[test]
fn lives_wrap_by_clearing() {
    use crate::mailbox::padding::{Start, stamp};
    let mut image = Image::new();
    let ring = image.transport();
    let first = u64::MAX << 40;
    let words = [first; 2].into_iter().chain(stamp(Start { run: 7, first }));
    for (index, value) in [word::HEAD, word::TAIL, word::STAMP, word::FIRST, word::STAMP_CHECK].into_iter().zip(words) {
        set(&ring, index, value);
    }
    assert_eq!(ring.run(), Some(7));
    assert!(ring.push(&message(1, 0)));
    assert!(!ring.init_empty());
    assert_eq!((get(&ring, word::HEAD), ring.memory.seq(0).load(Ordering::Relaxed)), (0, 0));
}
