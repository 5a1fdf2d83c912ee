//! The event count: see the module's opening for the protocol and its proof.

use super::{FutexWord, SleepEnd, now};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{CachePadded, Edge, membarrier, relax};

/// Fence between registering and re-checking the condition.
const W1: Edge = Edge::new("event.W1", Ordering::SeqCst);
/// Fence between making the condition true and looking for waiters.
const N1: Edge = Edge::new("event.N1", Ordering::SeqCst);
/// Setting of the closed bit.
const X1: Edge = Edge::new("event.X1", Ordering::Release);
/// Load of the closed bit outside a wait.
const X2: Edge = Edge::new("event.X2", Ordering::Acquire);

/// Bit of `epoch` that says closed; events count above it.
const CLOSED: u32 = 1;
const EVENT: u32 = 2;

/// Longest sleep of a waiter whose barrier was refused, in nanoseconds: it looks for itself what a notifier may not have
/// told it.
const UNTOLD: u64 = 1_000_000;

/// Makes all threads of the process execute a fence; false if that is refused.
type Barrier = fn() -> bool;

/// Why a wait ended without its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitEnd {
    /// The deadline passed.
    TimedOut,
    /// The event count was closed.
    Closed,
}

#[derive(Debug)]
struct Words {
    epoch: FutexWord,
    waiters: AtomicU32,
    /// How waiters fence for the notifiers, in asymmetric events.
    barrier: Option<Barrier>,
    // Of `core` also in models: what follows is written at rest, or read by no protocol, so models need not explore it.
    /// Notifiers of an asymmetric event fence for themselves.
    fenced: core::sync::atomic::AtomicBool,
    sleeps: core::sync::atomic::AtomicU32,
    wakes: core::sync::atomic::AtomicU32,
}

/// Lets threads sleep until a condition holds that other threads make true.
///
/// Any number of threads may wait and notify at once. It must outlive every call of its methods: a notifier still looks
/// at it after its condition has become visible, so a waiter that is done must not free it while a notifier may be
/// inside [`EventCount::notify`] or [`EventCount::close`].
#[derive(Debug)]
pub struct EventCount {
    // On a line pair of its own: notifiers on hot paths only read it, and keep it cached.
    words: CachePadded<Words>,
}

impl Default for EventCount {
    fn default() -> Self {
        Self::new()
    }
}

/// A registration in `waiters`, withdrawn on every way out, a panic of the condition included.
struct Registration<'a>(&'a AtomicU32);

impl<'a> Registration<'a> {
    fn new(waiters: &'a AtomicU32) -> Self {
        // Relaxed: fence W1 orders it before the re-check.
        waiters.fetch_add(1, Ordering::Relaxed);
        Self(waiters)
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        // A model that finds a deadlock unwinds all its threads, and its objects can no longer be used.
        #[cfg(all(test, loom))]
        if std::thread::panicking() {
            return;
        }
        // Relaxed: a notifier that still counts this waiter makes a superfluous wake, nothing else.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl EventCount {
    /// An open event count without waiters.
    pub fn new() -> Self {
        Self::over(FutexWord::new(0), None)
    }

    /// As [`EventCount::new`], for notifiers that cannot afford a fence: where the platform lets a waiter fence for them,
    /// a notification that finds no waiter is one load, and going to sleep takes longer.
    pub fn asymmetric() -> Self {
        Self::over(FutexWord::new(0), membarrier::register().then_some(membarrier::barrier))
    }

    /// An open event count over a futex word that holds 0.
    pub(super) fn over(epoch: FutexWord, barrier: Option<Barrier>) -> Self {
        Self {
            words: CachePadded::new(Words {
                epoch,
                waiters: AtomicU32::new(0),
                barrier,
                fenced: core::sync::atomic::AtomicBool::new(barrier.is_none()),
                sleeps: core::sync::atomic::AtomicU32::new(0),
                wakes: core::sync::atomic::AtomicU32::new(0),
            }),
        }
    }

    /// Whether notifiers of an asymmetric event fence for themselves from now on, as those of others always do: for as long
    /// as sleeps are frequent, and notifications rare enough to afford it. Only while no thread waits or notifies, ordered
    /// by means of the caller.
    pub fn fence_notifiers(&self, fence: bool) {
        // Relaxed: the caller orders it against every other call.
        self.words.fenced.store(fence || self.words.barrier.is_none(), Ordering::Relaxed);
    }

    /// How waiters fence for the notifiers, if they have to.
    #[inline]
    fn barrier(&self) -> Option<Barrier> {
        // Relaxed: written at rest.
        if self.words.fenced.load(Ordering::Relaxed) { None } else { self.words.barrier }
    }

    /// Wakes every thread whose condition may have become true. The caller has made it true before, with stores of any
    /// ordering that the condition's loads accept. Any thread, never blocks; one fence and one load when nobody waits, of
    /// an asymmetric event one load.
    #[inline]
    pub fn notify(&self) {
        // [N1] SeqCst fence: pairs with [W1] (condition; N1; load waiters ‖ add to waiters; W1; load condition). In an
        // asymmetric event it is the waiter's barrier that makes this thread execute it, here or on one side of both
        // accesses, so only the compiler must keep their order.
        // Relaxed: written at rest.
        if self.words.fenced.load(Ordering::Relaxed) {
            N1.fence();
        } else {
            N1.light_fence();
        }
        // Relaxed: fence N1 orders it after the condition.
        if self.words.waiters.load(Ordering::Relaxed) != 0 {
            self.wake();
        }
    }

    // Out of line: the callers of `notify` need no frame for a system call they rarely make.
    #[cold]
    #[inline(never)]
    fn wake(&self) {
        // Relaxed: the sleepers learn from the fences, not from the epoch; see the module's proof.
        self.words.epoch.value.fetch_add(EVENT, Ordering::Relaxed);
        self.wake_all();
    }

    #[cold]
    fn wake_all(&self) {
        // Relaxed: statistics.
        self.words.wakes.fetch_add(1, Ordering::Relaxed);
        self.words.epoch.wake_all();
    }

    /// Ends every wait, now and until [`EventCount::reopen`]. Any thread, any number of times, never blocks.
    pub fn close(&self) {
        // [X1] Release: pairs with [W1] behind the load of the key, and with [X2]; who sees the bit sees what came
        // before.
        self.words.epoch.value.fetch_or(CLOSED, X1.order());
        self.wake_all();
    }

    /// Makes waiting possible again. Only while no thread waits, notifies or closes, ordered by means of the caller.
    pub fn reopen(&self) {
        // Relaxed: the caller orders it against every other call.
        self.words.epoch.value.fetch_and(!CLOSED, Ordering::Relaxed);
    }

    /// Whether the event count is closed. If so, everything before [`EventCount::close`] is visible. Any thread.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // [X2] Acquire: pairs with [X1].
        self.words.epoch.load(X2.order()) & CLOSED != 0
    }

    /// Whether a thread is registered as waiting, at some moment close to now. For tests and statistics.
    #[inline]
    pub fn has_waiters(&self) -> bool {
        // Relaxed: a hint.
        self.words.waiters.load(Ordering::Relaxed) != 0
    }

    /// How often a thread went to sleep here. For tests and statistics; wraps around.
    pub fn sleep_calls(&self) -> u32 {
        // Relaxed: statistics.
        self.words.sleeps.load(Ordering::Relaxed)
    }

    /// How often the operating system was asked to wake sleepers. For tests and statistics; wraps around.
    pub fn wake_calls(&self) -> u32 {
        // Relaxed: statistics.
        self.words.wakes.load(Ordering::Relaxed)
    }

    /// Waits until `condition` gives a value.
    ///
    /// Tries it at once, then `spin` times with a relax hint between, then sleeps between tries. `deadline` is in
    /// nanoseconds of [`now`](super::now), [`Deadline::NEVER`](super::Deadline::NEVER) for none; 0 never sleeps. Any
    /// thread; blocks.
    ///
    /// `condition` runs on the calling thread and must not wait on this event count. Whoever makes it true calls
    /// [`EventCount::notify`] afterwards.
    ///
    /// # Errors
    ///
    /// `TimedOut` and `Closed`, each after `condition` failed once more.
    #[inline]
    pub fn wait_until<R>(
        &self,
        deadline: u64,
        spin: u32,
        mut condition: impl FnMut() -> Option<R>,
    ) -> Result<R, WaitEnd> {
        if let Some(value) = condition() {
            return Ok(value);
        }
        for _ in 0..spin {
            relax();
            if let Some(value) = condition() {
                return Ok(value);
            }
        }
        self.wait_asleep(deadline, condition)
    }

    #[cold]
    fn wait_asleep<R>(&self, deadline: u64, mut condition: impl FnMut() -> Option<R>) -> Result<R, WaitEnd> {
        let (words, barrier) = (&*self.words, self.barrier());
        let _registration = Registration::new(&words.waiters);
        let mut timed_out = deadline == 0;
        loop {
            // Relaxed: fence W1 behind it makes it acquire what [X1] released, and keeps it before the re-check.
            let key = words.epoch.load(Ordering::Relaxed);
            // [W1] SeqCst fence: pairs with [N1]; as an acquire fence, with [X1].
            W1.fence();
            let mut limit = deadline;
            // [W1] Barrier: the fences N1 that notifiers leave out. Who will not sleep needs none of them.
            if let (Some(barrier), false) = (barrier, timed_out)
                && !barrier()
            {
                limit = deadline.min(now().saturating_add(UNTOLD));
            }
            if let Some(value) = condition() {
                return Ok(value);
            }
            if key & CLOSED != 0 {
                return Err(WaitEnd::Closed);
            }
            if timed_out {
                return Err(WaitEnd::TimedOut);
            }
            // Relaxed: statistics.
            words.sleeps.fetch_add(1, Ordering::Relaxed);
            timed_out = words.epoch.sleep(key, limit) == SleepEnd::TimedOut && limit == deadline;
            // Most sleeps end with the condition true, and then there is nothing to fence.
            if barrier.is_some()
                && let Some(value) = condition()
            {
                return Ok(value);
            }
        }
    }

    /// The futex word, for models that need time-outs and spurious wakes.
    #[cfg(all(test, loom))]
    pub(super) fn word(&self) -> &FutexWord {
        &self.words.epoch
    }
}
