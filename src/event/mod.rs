//! Event count: sleep until a condition that other threads make true, without a lock and without a system call while
//! nobody sleeps.
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | `epoch` (futex word; bit 0: closed, an event adds 2) | notifiers that see a waiter, `close`, `reopen` | waiters |
//! | `waiters` | waiters, each its own registration | notifiers |
//! | the condition | the caller's threads, before `notify` | waiters, through their closure |
//!
//! # States of a waiter
//!
//! *trying* (condition, then `spin` further tries) → *registered* (`waiters` counts it) → { *keyed* (`epoch` read) → W1
//! → *re-check* → *asleep* } repeated → *gone* (registration withdrawn, also when the condition panics). Asymmetric: one
//! more try between *asleep* and *keyed*.
//!
//! # Edges
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | N1 ↔ W1 | notifier: condition; SeqCst fence N1; `waiters` load | waiter: `waiters` add, `epoch` load; SeqCst fence W1; condition | one of them sees the other | `loom_event_weak_n1`, `loom_event_weak_w1` |
//! | X1 → W1 | `epoch` or in `close`, Release | `epoch` load before fence W1 | everything before `close` | `loom_event_weak_x1`, `loom_event_close_weak_w1` |
//! | X1 → X2 | `epoch` or in `close`, Release | `epoch` load in `is_closed`, Acquire | everything before `close` | `loom_event_weak_x2` |
//!
//! # Why no wake is lost
//!
//! SeqCst fences are totally ordered. If N1 precedes W1, the re-check after W1 sees the condition that was made true
//! before N1, and the waiter does not sleep. If W1 precedes N1, the load of `waiters` after N1 sees the registration
//! before W1 (any later value still counts it), so the notifier adds to `epoch` and wakes. The key does not contain that
//! addition: reading it before W1 would order N1 before W1. So the waiter either finds another epoch and does not sleep,
//! or sleeps before the addition and is found by the wake; the kernel compares and queues under one lock.
//!
//! A woken waiter re-reads the key. Either the key contains the addition that ended its sleep; then N1 precedes the next
//! W1, and the re-check sees the condition. Or it does not, and the kernel refuses to sleep on it. Hence additions to
//! `epoch`, all accesses to `waiters` and the load of the key can be relaxed: the fences order them, and no ordering is
//! taken from the kernel (`loom_event_wake_without_ordering`). The load of the key is followed by W1, which makes it
//! acquire what `close` released; only `is_closed`, which has no fence, needs an ordering of its own.
//!
//! # Asymmetric events
//!
//! A notification on a hot path mostly finds nobody, and its fence N1 is then all it costs. In an event made by
//! [`EventCount::asymmetric`] notifiers leave N1 out, and a waiter that is about to sleep follows its own fence W1 with
//! `membarrier` (Linux: `MEMBARRIER_CMD_PRIVATE_EXPEDITED`): before the call returns, every thread of the process has
//! executed a full fence at some point of its program. That point is N1. If it lies behind the stores that made the
//! condition true, the re-check sees them. If it lies before them, it lies before the load of `waiters` too, which
//! therefore sees the registration that preceded the call. The compiler keeps condition and load in this order.
//!
//! So a barrier is, towards each notifier, what W1 is towards N1, and the proof above holds word for word: it orders
//! pairs of N1 and W1 only, never two N1. The models run both sides with fences, by this axiom. What does *not* hold is an
//! order between N1 and any other fence: protocols that pair with N1 itself (`profiler.C1`) need symmetric events. W1 is
//! a fence in both kinds.
//!
//! [`EventCount::fence_notifiers`] makes an asymmetric event symmetric for a while, at rest: where a side sleeps often, its
//! barriers, each an interruption of every running thread, cost more than the fences that they save.
//!
//! Otherwise the kind is fixed when the event is made: asymmetric if the process could be registered for the call, else
//! symmetric (other platforms, feature `portable-wait`, old kernels, sandboxes). If the call is refused *later* (a sandbox
//! entered meanwhile), notifiers cannot be told, so the waiter takes care of itself: it stays registered, sleeps for a
//! millisecond at a time and looks again. A store that a notifier's processor still held back is visible by then.
//!
//! # Failure exits
//!
//! | exit | what holds |
//! | --- | --- |
//! | deadline passed | the condition was tried once more after the sleep ended |
//! | closed | the condition was tried once more after the closed bit was seen |
//! | spurious wake, signal, foreign event | the loop goes on with the same absolute deadline |
//! | condition panics | the registration is withdrawn |
//! | barrier refused | the sleep ends after a millisecond and the loop goes on |
//! | 2^31 events between key and sleep | not detected; it would take minutes inside a few instructions |

mod clock;
mod count;
#[cfg(all(target_os = "linux", not(feature = "portable-wait"), not(all(test, loom))))]
mod futex;
#[cfg(all(test, loom))]
mod model;
#[cfg(all(any(not(target_os = "linux"), feature = "portable-wait"), not(all(test, loom))))]
mod portable;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(target_os = "linux", not(feature = "portable-wait"), not(all(test, loom))))]
use futex::FutexWord;
#[cfg(all(test, loom))]
use model::FutexWord;
#[cfg(all(any(not(target_os = "linux"), feature = "portable-wait"), not(all(test, loom))))]
use portable::FutexWord;

pub use clock::{Deadline, now};
pub use count::{EventCount, WaitEnd};

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SleepEnd {
    /// A wake, a changed word, a signal, or nothing at all.
    Woken,
    /// The deadline passed.
    TimedOut,
}
