//! Unit tests of the event count. No test decides by how long something took.

use super::{Deadline, EventCount, FutexWord, WaitEnd, now};
use crate::ring::channel;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Makes an event of the kind under test.
type Make = fn() -> EventCount;

macro_rules! suite {
    ($kind:ident, $make:expr, [$($name:ident),* $(,)?]) => {
        mod $kind {
            use super::*;
            $(
                #[test]
                fn $name() {
                    super::$name($make);
                }
            )*
        }
    };
}

/// Every case for every kind of event.
macro_rules! suites {
    ($names:tt) => {
        suite!(symmetric, EventCount::new, $names);
        suite!(asymmetric, EventCount::asymmetric, $names);
        suite!(fenced, fenced, $names);
        suite!(refused, || EventCount::over(FutexWord::new(0), Some(|| false)), $names);
    };
}

/// An asymmetric event whose notifiers fence for themselves.
fn fenced() -> EventCount {
    let event = EventCount::asymmetric();
    event.fence_notifiers(true);
    event
}

suites!([
    a_true_condition_needs_no_registration,
    spinning_comes_before_sleeping,
    a_deadline_in_the_past_times_out,
    a_deadline_of_zero_never_sleeps,
    a_sleep_ends_at_its_deadline,
    the_value_wins_over_the_time_out,
    no_system_call_when_nobody_sleeps,
    a_sleeper_is_woken_with_one_call,
    close_ends_every_wait,
    a_panic_of_the_condition_withdraws_the_registration,
    many_waiters_on_one_event,
    blocking_hand_over_through_a_small_ring,
    a_volley_loses_no_wake,
    a_store_on_its_way_is_not_missed,
]);

fn wait_for_waiter(event: &EventCount) {
    while !event.has_waiters() {
        thread::yield_now();
    }
}

fn a_true_condition_needs_no_registration(make: Make) {
    let event = make();
    assert_eq!(event.wait_until(0, 0, || Some(5)), Ok(5));
    event.close();
    assert_eq!(event.wait_until(Deadline::NEVER, 3, || Some(6)), Ok(6));
    assert_eq!(event.sleep_calls(), 0);
}

fn spinning_comes_before_sleeping(make: Make) {
    let event = make();
    let mut tries = 0;
    let result = event.wait_until(Deadline::NEVER, 10, || {
        tries += 1;
        (tries == 11).then_some(tries)
    });
    assert_eq!(result, Ok(11));
    assert_eq!(event.sleep_calls(), 0);
}

fn a_deadline_in_the_past_times_out(make: Make) {
    let event = make();
    for deadline in [0, 1, now()] {
        let mut tries = 0;
        let result = event.wait_until(deadline, 0, || {
            tries += 1;
            None::<()>
        });
        assert_eq!(result, Err(WaitEnd::TimedOut));
        assert!(tries >= 2, "the condition is tried again after the time-out");
        assert!(!event.has_waiters());
    }
}

fn a_deadline_of_zero_never_sleeps(make: Make) {
    let event = make();
    assert_eq!(event.wait_until(0, 0, || None::<()>), Err(WaitEnd::TimedOut));
    assert_eq!(event.sleep_calls(), 0);
}

fn a_sleep_ends_at_its_deadline(make: Make) {
    let event = make();
    let deadline = Deadline::after(Duration::from_millis(5));
    assert_eq!(event.wait_until(deadline, 0, || None::<()>), Err(WaitEnd::TimedOut));
    assert!(now() >= deadline);
    assert!(event.sleep_calls() >= 1);
}

fn the_value_wins_over_the_time_out(make: Make) {
    let event = make();
    let mut tries = 0;
    // The first try and the one after registering fail, the one after the time-out succeeds.
    let result = event.wait_until(1, 0, || {
        tries += 1;
        (tries > 2).then_some(())
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn deadlines_saturate() {
    assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    assert_eq!(Deadline::after(Duration::from_nanos(u64::MAX)), Deadline::NEVER);
    let before = now();
    assert!(Deadline::after(Duration::from_secs(1)) >= before + 1_000_000_000);
}

fn no_system_call_when_nobody_sleeps(make: Make) {
    let event = make();
    (0..1000).for_each(|_| event.notify());
    assert_eq!((event.wake_calls(), event.sleep_calls()), (0, 0));
    // A waiter that has come and gone leaves no trace.
    assert_eq!(event.wait_until(0, 0, || None::<()>), Err(WaitEnd::TimedOut));
    (0..1000).for_each(|_| event.notify());
    assert_eq!(event.wake_calls(), 0);
}

fn a_sleeper_is_woken_with_one_call(make: Make) {
    let event = make();
    let ready = AtomicBool::new(false);
    thread::scope(|scope| {
        let waiter =
            scope.spawn(|| event.wait_until(Deadline::NEVER, 0, || ready.load(Ordering::Relaxed).then_some(7)));
        wait_for_waiter(&event);
        ready.store(true, Ordering::Relaxed);
        event.notify();
        assert_eq!(waiter.join().unwrap(), Ok(7));
    });
    // The waiter may have seen the condition by itself before the notification.
    assert!(event.wake_calls() <= 1);
    assert!(!event.has_waiters());
}

fn close_ends_every_wait(make: Make) {
    let event = make();
    thread::scope(|scope| {
        let event = &event;
        let waiters = [Deadline::NEVER, Deadline::after(Duration::from_secs(3600))]
            .map(|deadline| scope.spawn(move || event.wait_until(deadline, 0, || None::<()>)));
        wait_for_waiter(event);
        event.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(WaitEnd::Closed));
        }
    });
    assert!(event.is_closed());
    assert_eq!(event.wait_until(Deadline::NEVER, 0, || None::<()>), Err(WaitEnd::Closed));
    event.reopen();
    assert!(!event.is_closed());
    assert_eq!(event.wait_until(1, 0, || None::<()>), Err(WaitEnd::TimedOut));
}

fn a_panic_of_the_condition_withdraws_the_registration(make: Make) {
    let event = make();
    let mut tries = 0;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        event.wait_until(Deadline::NEVER, 0, || {
            tries += 1;
            if tries == 2 { panic!("in the condition") } else { None::<()> }
        })
    }));
    assert!(outcome.is_err());
    assert!(!event.has_waiters());
}

fn many_waiters_on_one_event(make: Make) {
    const WAITERS: u32 = 4;
    const ROUNDS: u32 = 500;
    let event = make();
    let back = make();
    let round = AtomicU32::new(0);
    let arrived = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                for number in 1..=ROUNDS {
                    let reached = || (round.load(Ordering::Relaxed) >= number).then_some(());
                    event.wait_until(Deadline::NEVER, 0, reached).unwrap();
                    arrived.fetch_add(1, Ordering::Relaxed);
                    back.notify();
                }
            });
        }
        for number in 1..=ROUNDS {
            round.store(number, Ordering::Relaxed);
            event.notify();
            let all = || (arrived.load(Ordering::Relaxed) == WAITERS * number).then_some(());
            back.wait_until(Deadline::NEVER, 0, all).unwrap();
        }
    });
}

fn blocking_hand_over_through_a_small_ring(make: Make) {
    const COUNT: u64 = 20_000;
    let (mut producer, mut consumer) = channel::<u64>(3).unwrap();
    let (items, space) = (make(), make());
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 0..COUNT {
                let spin = (value % 3) as u32;
                space.wait_until(Deadline::NEVER, spin, || producer.push(value).then_some(())).unwrap();
                items.notify();
            }
            items.close();
        });
        for value in 0..COUNT {
            assert_eq!(items.wait_until(Deadline::NEVER, 1, || consumer.pop()), Ok(value));
            space.notify();
        }
        assert_eq!(items.wait_until(Deadline::NEVER, 0, || consumer.pop()), Err(WaitEnd::Closed));
    });
}

/// A flag each way and nothing else: a lost wake leaves both sides asleep.
fn a_volley_loses_no_wake(make: Make) {
    const ROUNDS: u32 = 20_000;
    let (there, back) = (make(), make());
    let (ball, returned) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                let reached = || (ball.load(Ordering::Relaxed) == round).then_some(());
                there.wait_until(Deadline::NEVER, round % 5, reached).unwrap();
                returned.store(round, Ordering::Relaxed);
                back.notify();
            }
        });
        for round in 1..=ROUNDS {
            ball.store(round, Ordering::Relaxed);
            there.notify();
            let reached = || (returned.load(Ordering::Relaxed) == round).then_some(());
            back.wait_until(Deadline::NEVER, round % 7, reached).unwrap();
        }
    });
}

/// The condition waits in the notifier's store buffer, behind stores that miss the cache, while `notify` already looks for
/// waiters.
fn a_store_on_its_way_is_not_missed(make: Make) {
    const ROUNDS: u32 = 5_000;
    const LINES: usize = 1 << 16;
    let event = make();
    let (met, value) = (AtomicU32::new(0), AtomicU32::new(0));
    let far: Vec<[AtomicU32; 16]> = (0..LINES).map(|_| Default::default()).collect();
    let meet = |round: u32| {
        met.fetch_add(1, Ordering::AcqRel);
        for spins in 0.. {
            if met.load(Ordering::Acquire) >= 2 * round {
                break;
            }
            // The other side may be waiting for this processor.
            if spins < 1000 { std::hint::spin_loop() } else { thread::yield_now() }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut place = 1;
            for round in 1..=ROUNDS {
                meet(round);
                for _ in 0..24 {
                    place = (place * 5 + 12345) % LINES;
                    far[place][0].store(round, Ordering::Relaxed);
                }
                value.store(round, Ordering::Relaxed);
                event.notify();
            }
        });
        for round in 1..=ROUNDS {
            meet(round);
            let reached = || (value.load(Ordering::Relaxed) >= round).then_some(());
            event.wait_until(Deadline::NEVER, 0, reached).unwrap();
        }
    });
}

/// How often the waiter below asked for a barrier.
static BARRIERS: AtomicU32 = AtomicU32::new(0);

#[test]
fn only_a_waiter_that_will_sleep_makes_a_barrier() {
    let event = EventCount::over(
        FutexWord::new(0),
        Some(|| {
            BARRIERS.fetch_add(1, Ordering::Relaxed);
            true
        }),
    );
    event.notify();
    assert_eq!(event.wait_until(Deadline::NEVER, 0, || Some(1)), Ok(1));
    assert_eq!(event.wait_until(0, 3, || None::<()>), Err(WaitEnd::TimedOut));
    assert_eq!(BARRIERS.load(Ordering::Relaxed), 0);
    let mut tries = 0;
    let at_the_re_check = || {
        tries += 1;
        (tries == 2).then_some(2)
    };
    assert_eq!(event.wait_until(Deadline::NEVER, 0, at_the_re_check), Ok(2));
    assert_eq!(BARRIERS.load(Ordering::Relaxed), 1);
    // None where notifiers fence for themselves.
    for (fence, barriers) in [(true, 1), (false, 2)] {
        event.fence_notifiers(fence);
        let mut tries = 0;
        let at_the_re_check = || {
            tries += 1;
            (tries == 2).then_some(())
        };
        assert_eq!(event.wait_until(Deadline::NEVER, 0, at_the_re_check), Ok(()));
        assert_eq!(BARRIERS.load(Ordering::Relaxed), barriers);
    }
}

#[test]
fn a_waiter_without_a_barrier_looks_for_itself() {
    let event = EventCount::over(FutexWord::new(0), Some(|| false));
    let mut tries = 0;
    // Nobody notifies.
    let result = event.wait_until(Deadline::NEVER, 0, || {
        tries += 1;
        (tries == 6).then_some(tries)
    });
    assert_eq!(result, Ok(6));
    assert!(event.sleep_calls() >= 1);
}
