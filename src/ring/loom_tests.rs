//! Loom models of the rings, and for every edge a model that fails without it.

use super::mark::Mark;
use super::{OwnedByteRing, Ring};
use crate::sync::atomic::UnsafeCell;
use crate::sync::model::{check, must_fail};
use crate::sync::relax;
use core::mem::MaybeUninit;
use loom::sync::Arc;
use loom::thread;

const PREEMPTIONS: usize = 3;

fn pop(ring: &Ring<u32>) -> u32 {
    loop {
        // SAFETY: each model pops on one thread only.
        if let Some(value) = unsafe { ring.pop() } {
            return value;
        }
        relax();
    }
}

fn push(ring: &Ring<u32>, value: u32) {
    // SAFETY: each model pushes on one thread only.
    while !unsafe { ring.push(&value) } {
        relax();
    }
}

/// `count` elements one by one through `capacity` slots, indices starting at `start`.
fn stream(capacity: usize, start: u32, count: u32) -> impl Fn() + Send + Sync + 'static {
    move || {
        let ring = Arc::new(Ring::with_start(capacity, start).unwrap());
        let producer = Arc::clone(&ring);
        let thread = thread::spawn(move || (0..count).for_each(|value| push(&producer, value)));
        (0..count).for_each(|value| assert_eq!(pop(&ring), value));
        thread.join().unwrap();
        assert!(ring.is_empty());
    }
}

/// Batches of two through a ring of three that starts one slot before the end of its storage.
fn batches() {
    let ring = Arc::new(Ring::with_start(3, u32::MAX).unwrap());
    let producer = Arc::clone(&ring);
    let thread = thread::spawn(move || {
        let values = [0, 1, 2, 3];
        let mut sent = 0;
        while sent < values.len() {
            let end = (sent + 2).min(values.len());
            // SAFETY: the only producer.
            let count = unsafe { producer.push_slice(&values[sent..end]) };
            sent += count;
            if count == 0 {
                relax();
            }
        }
    });
    let mut expected = 0;
    while expected < 4 {
        let mut taken = [MaybeUninit::uninit(); 2];
        // SAFETY: the only consumer.
        let count = unsafe { ring.pop_slice(&mut taken) };
        for value in &taken[..count] {
            // SAFETY: `pop_slice` initialised the front.
            assert_eq!(unsafe { value.assume_init() }, expected);
            expected += 1;
        }
        if count == 0 {
            relax();
        }
    }
    thread.join().unwrap();
}

/// A producer that never waits, a consumer, and an observer of the length.
fn limit() {
    let ring = Arc::new(Ring::with_start(3, u32::MAX - 1).unwrap());
    let producer = Arc::clone(&ring);
    let producer = thread::spawn(move || {
        // SAFETY: the only producer.
        let stored = unsafe { producer.push_slice(&[0, 1, 2, 3, 4]) };
        assert_eq!(stored, 3);
        // SAFETY: the only producer.
        u32::from(unsafe { producer.push(&3) })
    });
    let observer = Arc::clone(&ring);
    let observer = thread::spawn(move || assert!(observer.len() <= 3));
    // SAFETY: the only consumer.
    let popped = unsafe { ring.pop() };
    assert!(matches!(popped, None | Some(0)));
    let more = producer.join().unwrap();
    observer.join().unwrap();
    assert!(more == 0 || popped.is_some());
    assert_eq!(ring.len() as u32, 3 + more - u32::from(popped.is_some()));
}

/// Two threads that play the producer without any synchronisation but the mark.
fn marked() {
    let ring = Arc::new(Ring::new(4).unwrap());
    let attempt = |ring: &Ring<u32>, value: u32| match ring.enter_producer() {
        None => 0,
        // SAFETY: the guard excludes the other thread.
        Some(_guard) => usize::from(unsafe { ring.push(&value) }),
    };
    let other = Arc::clone(&ring);
    let thread = thread::spawn(move || attempt(&other, 1));
    let stored = attempt(&ring, 2) + thread.join().unwrap();
    assert!(stored >= 1);
    assert_eq!(ring.len(), stored);
}

/// A mark that leans, and what it guards.
struct Marked(Mark, UnsafeCell<u32>);

// SAFETY: the cell is only used by who is inside the mark, which is what the models check.
unsafe impl Sync for Marked {}
// SAFETY: as above.
unsafe impl Send for Marked {}

impl Marked {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mark::with_flags(true), UnsafeCell::new(0)))
    }

    /// Counts a call of thread number `thread`; 0 if it is turned away.
    fn call(&self, thread: usize) -> u32 {
        let Some(_guard) = self.0.enter_as(thread * 64) else {
            return 0;
        };
        // SAFETY: the guard keeps the other threads out.
        self.1.with_mut(|count| unsafe { *count += 1 });
        1
    }

    fn require(&self, calls: u32) {
        // SAFETY: all other threads have been joined.
        self.1.with(|count| assert_eq!(unsafe { *count }, calls));
    }
}

/// The thread that the mark leans to and a stranger.
fn light_against_stranger() {
    let marked = Marked::new();
    let other = Arc::clone(&marked);
    let calls = marked.call(1);
    assert_eq!(calls, 1);
    let thread = thread::spawn(move || other.call(2));
    let calls = calls + marked.call(1);
    marked.require(calls + thread.join().unwrap());
}

/// The stranger comes twice, and the second time the mark may lean to it.
fn mark_changes_hands() {
    let marked = Marked::new();
    let other = Arc::clone(&marked);
    let calls = marked.call(1);
    let thread = thread::spawn(move || other.call(2) + other.call(2));
    let calls = calls + marked.call(1);
    marked.require(calls + thread.join().unwrap());
}

/// Two strangers at once.
fn two_strangers() {
    let marked = Marked::new();
    let calls = marked.call(1);
    let threads = [2, 3].map(|number| {
        let marked = Arc::clone(&marked);
        thread::spawn(move || marked.call(number))
    });
    let calls = calls + marked.call(1);
    let others: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    marked.require(calls + others);
}

/// Five elements of 3 bytes through a byte ring of 3, two at a time.
fn bytes() {
    let ring = Arc::new(OwnedByteRing::new(3, 3).unwrap());
    let producer = Arc::clone(&ring);
    let thread = thread::spawn(move || {
        let elements = [[0u8; 3], [1; 3], [2; 3], [3; 3], [4; 3]];
        let mut sent = 0;
        while sent < elements.len() {
            let rest = &elements[sent..(sent + 2).min(elements.len())];
            // SAFETY: the only producer, and the source has as many elements.
            let count = unsafe { producer.push_n(rest.as_ptr().cast(), rest.len()) };
            sent += count;
            if count == 0 {
                relax();
            }
        }
    });
    let mut expected = 0u8;
    while expected < 5 {
        let mut taken = [[0xffu8; 3]; 2];
        // SAFETY: the only consumer, and the destination has room for as many elements.
        let count = unsafe { ring.pop_n(taken.as_mut_ptr().cast(), taken.len()) };
        for element in &taken[..count] {
            assert_eq!(*element, [expected; 3]);
            expected += 1;
        }
        if count == 0 {
            relax();
        }
    }
    thread.join().unwrap();
}

#[test]
fn loom_ring_publish() {
    check(PREEMPTIONS, stream(2, 0, 2));
}

#[test]
fn loom_ring_wrap_capacity_1() {
    check(PREEMPTIONS, stream(1, u32::MAX, 3));
}

#[test]
fn loom_ring_wrap_capacity_3() {
    check(PREEMPTIONS, stream(3, u32::MAX - 2, 5));
}

#[test]
fn loom_ring_batches() {
    check(PREEMPTIONS, batches);
}

#[test]
fn loom_ring_exact_limit() {
    check(PREEMPTIONS, limit);
}

#[test]
fn loom_ring_mark() {
    check(PREEMPTIONS, marked);
}

#[test]
fn loom_ring_mark_light_against_stranger() {
    check(PREEMPTIONS, light_against_stranger);
}

#[test]
fn loom_ring_mark_changes_hands() {
    check(PREEMPTIONS, mark_changes_hands);
}

#[test]
fn loom_ring_mark_two_strangers() {
    check(PREEMPTIONS, two_strangers);
}

#[test]
fn loom_ring_bytes() {
    check(PREEMPTIONS, bytes);
}

#[test]
fn loom_ring_weak_p1() {
    must_fail("ring.P1", PREEMPTIONS, stream(2, 0, 2));
}

#[test]
fn loom_ring_weak_c1() {
    must_fail("ring.C1", PREEMPTIONS, stream(2, 0, 2));
}

#[test]
fn loom_ring_weak_c2() {
    must_fail("ring.C2", PREEMPTIONS, stream(1, u32::MAX, 3));
}

#[test]
fn loom_ring_weak_p2() {
    must_fail("ring.P2", PREEMPTIONS, stream(1, u32::MAX, 3));
}

#[test]
fn loom_ring_weak_m1() {
    must_fail("ring.M1", PREEMPTIONS, marked);
}

#[test]
fn loom_ring_weak_m2() {
    must_fail("ring.M2", PREEMPTIONS, marked);
}

#[test]
fn loom_ring_light_weak_m1() {
    must_fail("ring.M1", PREEMPTIONS, light_against_stranger);
}

#[test]
fn loom_ring_light_weak_m2() {
    must_fail("ring.M2", PREEMPTIONS, light_against_stranger);
}

#[test]
fn loom_ring_weak_m3() {
    must_fail("ring.M3", PREEMPTIONS, light_against_stranger);
}

#[test]
fn loom_ring_weak_m4() {
    must_fail("ring.M4", PREEMPTIONS, light_against_stranger);
}
