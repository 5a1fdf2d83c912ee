//! Unit tests of the event count. No test decides by how long something took.

use super::{Deadline, EventCount, WaitEnd, now};
use crate::ring::channel;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

fn wait_for_waiter(event: &EventCount) {
    while !event.has_waiters() {
        thread::yield_now();
    }
}

#[test]
fn a_true_condition_needs_no_registration() {
    let event = EventCount::new();
    assert_eq!(event.wait_until(0, 0, || Some(5)), Ok(5));
    event.close();
    assert_eq!(event.wait_until(Deadline::NEVER, 3, || Some(6)), Ok(6));
    assert_eq!(event.sleep_calls(), 0);
}

#[test]
fn spinning_comes_before_sleeping() {
    let event = EventCount::new();
    let mut tries = 0;
    let result = event.wait_until(Deadline::NEVER, 10, || {
        tries += 1;
        (tries == 11).then_some(tries)
    });
    assert_eq!(result, Ok(11));
    assert_eq!(event.sleep_calls(), 0);
}

#[test]
fn a_deadline_in_the_past_times_out() {
    let event = EventCount::new();
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

#[test]
fn a_deadline_of_zero_never_sleeps() {
    let event = EventCount::new();
    assert_eq!(event.wait_until(0, 0, || None::<()>), Err(WaitEnd::TimedOut));
    assert_eq!(event.sleep_calls(), 0);
}

#[test]
fn a_sleep_ends_at_its_deadline() {
    let event = EventCount::new();
    let deadline = Deadline::after(Duration::from_millis(5));
    assert_eq!(event.wait_until(deadline, 0, || None::<()>), Err(WaitEnd::TimedOut));
    assert!(now() >= deadline);
    assert!(event.sleep_calls() >= 1);
}

#[test]
fn the_value_wins_over_the_time_out() {
    let event = EventCount::new();
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

#[test]
fn no_system_call_when_nobody_sleeps() {
    let event = EventCount::new();
    (0..1000).for_each(|_| event.notify());
    assert_eq!((event.wake_calls(), event.sleep_calls()), (0, 0));
    // A waiter that has come and gone leaves no trace.
    assert_eq!(event.wait_until(0, 0, || None::<()>), Err(WaitEnd::TimedOut));
    (0..1000).for_each(|_| event.notify());
    assert_eq!(event.wake_calls(), 0);
}

#[test]
fn a_sleeper_is_woken_with_one_call() {
    let event = EventCount::new();
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

#[test]
fn close_ends_every_wait() {
    let event = EventCount::new();
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

#[test]
fn a_panic_of_the_condition_withdraws_the_registration() {
    let event = EventCount::new();
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

#[test]
fn many_waiters_on_one_event() {
    const WAITERS: u32 = 4;
    const ROUNDS: u32 = 500;
    let event = EventCount::new();
    let back = EventCount::new();
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

#[test]
fn blocking_hand_over_through_a_small_ring() {
    const COUNT: u64 = 20_000;
    let (mut producer, mut consumer) = channel::<u64>(3).unwrap();
    let (items, space) = (EventCount::new(), EventCount::new());
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
