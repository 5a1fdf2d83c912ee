//! Loom models of the event count, and for every edge a model that fails without it.

use super::{Deadline, EventCount, FutexWord, WaitEnd};
use crate::ring::Ring;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::model::{check, must_fail};
use crate::sync::relax;
use loom::sync::Arc;
use loom::thread;

const PREEMPTIONS: usize = 3;
/// Any finite deadline: it passes when the model says so.
const FINITE: u64 = 1;

/// An event count and the condition it announces. All accesses to the condition are relaxed: what the waiter learns, it
/// learns from the event count.
struct Shared {
    event: EventCount,
    value: AtomicU32,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { event: EventCount::new(), value: AtomicU32::new(0) })
    }

    /// With a futex that gives no ordering on waking.
    fn watching() -> Arc<Self> {
        Arc::new(Self { event: EventCount::over(FutexWord::watching(0), None), value: AtomicU32::new(0) })
    }

    fn announce(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
        self.event.notify();
    }

    fn wait_for(&self, value: u32, deadline: u64) -> Result<(), WaitEnd> {
        self.event.wait_until(deadline, 0, || (self.value.load(Ordering::Relaxed) >= value).then_some(()))
    }
}

fn spawn(shared: &Arc<Shared>, body: impl FnOnce(&Shared) + 'static) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || body(&shared))
}

fn one_wake() {
    let shared = Shared::new();
    let notifier = spawn(&shared, Shared::announce);
    assert_eq!(shared.wait_for(1, Deadline::NEVER), Ok(()));
    notifier.join().unwrap();
    assert!(!shared.event.has_waiters());
}

/// The re-check after a wake stands on the fences alone.
fn wake_without_ordering() {
    let shared = Shared::watching();
    let notifiers = [spawn(&shared, Shared::announce), spawn(&shared, Shared::announce)];
    assert_eq!(shared.wait_for(2, Deadline::NEVER), Ok(()));
    notifiers.into_iter().for_each(|notifier| notifier.join().unwrap());
}

/// The waiter is woken, finds half of its condition, and sleeps again.
fn two_notifiers() {
    let shared = Shared::new();
    let notifiers = [spawn(&shared, Shared::announce), spawn(&shared, Shared::announce)];
    assert_eq!(shared.wait_for(2, Deadline::NEVER), Ok(()));
    notifiers.into_iter().for_each(|notifier| notifier.join().unwrap());
}

fn two_waiters() {
    let shared = Shared::new();
    let waiter = spawn(&shared, |shared| assert_eq!(shared.wait_for(1, Deadline::NEVER), Ok(())));
    let notifier = spawn(&shared, Shared::announce);
    assert_eq!(shared.wait_for(1, Deadline::NEVER), Ok(()));
    waiter.join().unwrap();
    notifier.join().unwrap();
}

fn spurious_wake() {
    let shared = Shared::new();
    let stranger = spawn(&shared, |shared| shared.event.word().wake_all());
    let notifier = spawn(&shared, Shared::announce);
    assert_eq!(shared.wait_for(1, Deadline::NEVER), Ok(()));
    stranger.join().unwrap();
    notifier.join().unwrap();
}

fn time_out_against_wake() {
    let shared = Shared::new();
    let clock = spawn(&shared, |shared| shared.event.word().expire());
    let notifier = spawn(&shared, Shared::announce);
    let first = shared.wait_for(1, FINITE);
    assert!(matches!(first, Ok(()) | Err(WaitEnd::TimedOut)));
    // A wait that timed out has used nothing up.
    assert_eq!(shared.wait_for(1, Deadline::NEVER), Ok(()));
    clock.join().unwrap();
    notifier.join().unwrap();
}

fn close_against_wait() {
    let shared = Shared::new();
    let closer = spawn(&shared, |shared| shared.event.close());
    assert_eq!(shared.wait_for(1, Deadline::NEVER), Err(WaitEnd::Closed));
    closer.join().unwrap();
}

/// The closer made the condition true without a notification: whoever sees the closed bit sees that.
fn value_before_close() {
    let shared = Shared::new();
    let closer = spawn(&shared, |shared| {
        shared.value.store(1, Ordering::Relaxed);
        shared.event.close();
    });
    assert_eq!(shared.wait_for(1, Deadline::NEVER), Ok(()));
    closer.join().unwrap();
}

/// As `value_before_close`, with an event after the closing whose relaxed addition the waiter may read instead.
fn value_before_close_and_event() {
    let shared = Shared::new();
    let closer = spawn(&shared, |shared| {
        shared.value.store(1, Ordering::Relaxed);
        shared.event.close();
    });
    let notifier = spawn(&shared, |shared| shared.event.notify());
    assert_eq!(shared.wait_for(1, Deadline::NEVER), Ok(()));
    closer.join().unwrap();
    notifier.join().unwrap();
}

fn value_before_is_closed() {
    let shared = Shared::new();
    let closer = spawn(&shared, |shared| {
        shared.value.store(1, Ordering::Relaxed);
        shared.event.close();
    });
    while !shared.event.is_closed() {
        relax();
    }
    assert_eq!(shared.value.load(Ordering::Relaxed), 1);
    closer.join().unwrap();
}

/// A ring of one element with a blocking producer and a blocking consumer: two kinds of waiter on two event counts.
fn two_kinds_of_waiter() {
    struct Hop {
        ring: Ring<u32>,
        items: EventCount,
        space: EventCount,
    }
    const COUNT: u32 = 3;
    let hop = Arc::new(Hop { ring: Ring::new(1).unwrap(), items: EventCount::new(), space: EventCount::new() });
    let producer = Arc::clone(&hop);
    let thread = thread::spawn(move || {
        for value in 0..COUNT {
            // SAFETY: the only producer.
            let push = || unsafe { producer.ring.push(&value) }.then_some(());
            assert_eq!(producer.space.wait_until(Deadline::NEVER, 0, push), Ok(()));
            producer.items.notify();
        }
    });
    for value in 0..COUNT {
        // SAFETY: the only consumer.
        let pop = || unsafe { hop.ring.pop() };
        assert_eq!(hop.items.wait_until(Deadline::NEVER, 0, pop), Ok(value));
        hop.space.notify();
    }
    thread.join().unwrap();
}

#[test]
fn loom_event_one_wake() {
    check(PREEMPTIONS, one_wake);
}

#[test]
fn loom_event_wake_without_ordering() {
    check(PREEMPTIONS, wake_without_ordering);
}

#[test]
fn loom_event_two_notifiers() {
    check(PREEMPTIONS, two_notifiers);
}

#[test]
fn loom_event_two_waiters() {
    check(PREEMPTIONS, two_waiters);
}

#[test]
fn loom_event_spurious_wake() {
    check(PREEMPTIONS, spurious_wake);
}

#[test]
fn loom_event_time_out_against_wake() {
    check(PREEMPTIONS, time_out_against_wake);
}

#[test]
fn loom_event_close_against_wait() {
    check(PREEMPTIONS, close_against_wait);
}

#[test]
fn loom_event_value_before_close() {
    check(PREEMPTIONS, value_before_close);
}

#[test]
fn loom_event_value_before_close_and_event() {
    check(PREEMPTIONS, value_before_close_and_event);
}

#[test]
fn loom_event_value_before_is_closed() {
    check(PREEMPTIONS, value_before_is_closed);
}

#[test]
fn loom_event_two_kinds_of_waiter() {
    check(PREEMPTIONS, two_kinds_of_waiter);
}

#[test]
fn loom_event_weak_n1() {
    must_fail("event.N1", PREEMPTIONS, one_wake);
}

#[test]
fn loom_event_weak_w1() {
    must_fail("event.W1", PREEMPTIONS, one_wake);
}

#[test]
fn loom_event_close_weak_w1() {
    must_fail("event.W1", PREEMPTIONS, value_before_close);
}

#[test]
fn loom_event_weak_x1() {
    must_fail("event.X1", PREEMPTIONS, value_before_close);
}

#[test]
fn loom_event_weak_x2() {
    must_fail("event.X2", PREEMPTIONS, value_before_is_closed);
}
