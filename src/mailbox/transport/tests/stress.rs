//! Threads: several producers against one consumer, and misuse by two consumers. Bounded by counts.

use super::*;
use crate::status::Status;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

/// Set when the thread that has one ends, also by a failed assertion: others must not wait for it.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Yields where the machine has fewer processors than the test has threads.
fn wait(over: &AtomicBool) {
    assert!(!over.load(Ordering::Relaxed), "nobody is left to wait for");
    thread::yield_now();
}

/// `producers` threads push `count` messages each, alone, in runs and as slabs; everything comes out once, whole and in
/// order, and nobody is refused while less than the ring is out.
fn run(producers: u64, count: u64, offset: usize, bounded: bool) {
    let mut image = Image::at(offset);
    let ring = image.transport();
    assert!(!ring.init_empty());
    let taken = AtomicU64::new(0);
    let sent = AtomicU64::new(0);
    let (over, failed) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let _ends = Ends(&over);
        for token in 0..producers {
            let (taken, sent, over, failed) = (&taken, &sent, &over, &failed);
            scope.spawn(move || {
                let ends = Ends(failed);
                let mut number = 0;
                while number < count {
                    let size = 1 + (number ^ token) % 5;
                    let size = size.min(count - number);
                    if bounded {
                        // At most 64 are out.
                        let mut out = sent.load(Ordering::Relaxed);
                        loop {
                            // Less than nothing if `out` is an old one, which the exchange finds out.
                            if (out + size).saturating_sub(taken.load(Ordering::Acquire)) > 64 {
                                wait(over);
                                out = sent.load(Ordering::Relaxed);
                            } else if let Err(moved) =
                                sent.compare_exchange(out, out + size, Ordering::Relaxed, Ordering::Relaxed)
                            {
                                out = moved;
                            } else {
                                break;
                            }
                        }
                    }
                    let messages: Vec<_> =
                        (number..number + size).map(|number| message(token, number).words()).collect();
                    let mut rest = &messages[..];
                    while !rest.is_empty() {
                        let pushed = match rest {
                            [one] => usize::from(ring.push(&MsgView::from_words(*one))),
                            run => ring.push_run(run),
                        };
                        assert!(!bounded || pushed == rest.len(), "refused while 64 were out");
                        rest = &rest[pushed..];
                        if pushed == 0 {
                            wait(over);
                        }
                    }
                    number += size;
                }
                core::mem::forget(ends);
            });
        }
        let mut next = vec![0; producers as usize];
        let mut total = 0;
        while total < producers * count {
            let before = total;
            let mut see = |view: MsgView| {
                let expected = &mut next[view.task_token as usize];
                assert_eq!(view, message(view.task_token, *expected));
                *expected += 1;
                total += 1;
            };
            let outcome = if before % 3 == 0 {
                ring.try_pop().map(see)
            } else {
                ring.pop_batch(100, |_, view| see(view)).map(|_| ())
            };
            match outcome {
                Ok(()) => taken.store(total, Ordering::Release),
                Err(Status::LANEPIPE_EMPTY | Status::LANEPIPE_AGAIN) => wait(&failed),
                Err(status) => panic!("{status:?}"),
            }
            // The bounds of the ring, each from the side that makes it sharp.
            let head = get(&ring, word::HEAD);
            assert!(head.wrapping_sub(get(&ring, word::TAIL)) as i64 <= CAPACITY as i64);
        }
        assert!(!ring.has_pending());
    });
    assert_eq!(ring.stats().overlaps, 0);
}

#[test]
fn producers_lose_and_double_nothing() {
    for producers in [1, 2, 4] {
        run(producers, 40_000, producers as usize, false);
    }
}

#[test]
fn nobody_is_refused_while_there_is_room() {
    for producers in [2, 4] {
        run(producers, 40_000, 0, true);
    }
}

/// Three would-be consumers: nothing comes twice or mixed, nothing is lost, and each finding is counted.
#[test]
fn would_be_consumers_share_nothing() {
    const COUNT: u64 = 30_000;
    let mut image = Image::new();
    let ring = image.transport();
    let over = AtomicBool::new(false);
    let failed = AtomicBool::new(false);
    let (mut seen, mut findings) = (Vec::new(), 0);
    thread::scope(|scope| {
        let ends = Ends(&over);
        let consumers: Vec<_> = (0..3)
            .map(|batch| {
                let (over, failed) = (&over, &failed);
                scope.spawn(move || {
                    let ends = Ends(failed);
                    let (mut seen, mut findings) = (Vec::new(), 0u32);
                    loop {
                        let last = over.load(Ordering::Acquire);
                        let mut got = Vec::new();
                        match ring.pop_batch(1 + 3 * batch, |_, view| got.push(view)) {
                            Ok(_) => seen.append(&mut got),
                            Err(Status::LANEPIPE_E_OVERLAP) => findings += 1,
                            Err(_) if last => {
                                core::mem::forget(ends);
                                return (seen, findings);
                            }
                            Err(_) => wait(failed),
                        }
                    }
                })
            })
            .collect();
        for number in 0..COUNT {
            while !ring.push(&message(1, number)) {
                wait(&failed);
            }
        }
        drop(ends);
        for consumer in consumers {
            let (mut views, count) = consumer.join().unwrap();
            assert!(views.is_sorted_by_key(|view| view.addr));
            seen.append(&mut views);
            findings += count;
        }
    });
    seen.sort_by_key(|view| view.addr);
    assert!((0..COUNT).eq(seen.iter().map(|view| view.addr)));
    assert!(seen.iter().all(|view| *view == message(1, view.addr)));
    assert_eq!(ring.stats().overlaps, findings);
}
