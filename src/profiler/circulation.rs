//! How done buffers find their way to a lane that starves: the words that drain, collect and replenish threads share.
//!
//! A drain thread whose lane is dry while a free queue stands empty raises demand: it stores the lane's demand word, then
//! notifies the replenish thread, and before it sleeps it looks at the lane once more. The replenish thread serves
//! demand first and notifies the drain thread of every lane with demand that it pushed to ([`Circulation::order_push`]).
//! A collect thread does not notify for every done buffer: only when enough have gathered, when its ring is empty and their
//! lane is low, or when some lane starves ([`Circulation::after_done`]), and even then not before it has collected what
//! else is there, as long as that goes fast. Before it sleeps it looks for starving lanes in any case; and while it is inside a
//! slow call, the sentinel tells the replenish thread of done buffers that a starving lane is waiting for.

use super::stats::Counter;
use crate::event::EventCount;
use crate::pool::Pool;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::{CachePadded, Edge};

const D1: Edge = Edge::new("profiler.D1", Ordering::Release);
const D2: Edge = Edge::new("profiler.D2", Ordering::Acquire);
const Q1: Edge = Edge::new("profiler.Q1", Ordering::SeqCst);
const C1: Edge = Edge::new("profiler.C1", Ordering::SeqCst);
const R1: Edge = Edge::new("profiler.R1", Ordering::Release);
const R2: Edge = Edge::new("profiler.R2", Ordering::Acquire);

/// Shared words of the circulation of one run.
pub(super) struct Circulation {
    /// The replenish thread sleeps here. Symmetric: `profiler.C1` pairs with the fence of its notifiers.
    pub(super) event: EventCount,
    /// Ends the replenish thread.
    stopped: AtomicBool,
    /// Free queues that stand empty for want of a buffer, over all shards.
    starving: CachePadded<AtomicU32>,
    /// Grows whenever a drain thread raises demand or somebody parks a buffer.
    raised: AtomicU32,
    /// Buffers that left the device's side, per (shard, kind); written by the shard's drain thread.
    entered: Box<[Counter]>,
    /// Buffers that were on their way to a lane when the run began, per kind.
    initial: Box<[u64]>,
    /// Buffers that became the kind on their way, less those that were it and became another; written by collect threads.
    /// Wraps around.
    converted: Box<[AtomicU64]>,
}

impl Circulation {
    /// Of a run that is about to start: no thread uses a queue end.
    pub(super) fn new(pool: &Pool, shards: u32) -> Self {
        // A drain thread that ended by a panic left its own.
        for shard in 0..pool.config().shards {
            for kind in 0..pool.config().kinds {
                pool.demand(shard as usize, kind).store(0, Ordering::Relaxed);
            }
        }
        // SAFETY: as documented.
        let initial = unsafe { pool.on_their_way() };
        let lanes = shards as usize * initial.len();
        Self::with_initial(initial, lanes)
    }

    pub(super) fn with_initial(initial: Box<[u64]>, lanes: usize) -> Self {
        Self {
            event: EventCount::new(),
            stopped: AtomicBool::new(false),
            starving: CachePadded::new(AtomicU32::new(0)),
            raised: AtomicU32::new(0),
            entered: (0..lanes).map(|_| Counter::default()).collect(),
            converted: initial.iter().map(|_| AtomicU64::new(0)).collect(),
            initial,
        }
    }

    fn kinds(&self) -> usize {
        self.initial.len()
    }

    /// Notes that `count` buffers of `kind` left the device's side. Drain thread of `shard`.
    pub(super) fn enter(&self, shard: u32, kind: u32, count: u64) {
        self.entered[shard as usize * self.kinds() + kind as usize].add(count);
    }

    /// Notes that a buffer which entered as one kind comes back as another. Collect threads.
    #[cold]
    pub(super) fn convert(&self, from: u32, to: u32) {
        // Relaxed: the done ring that the buffer goes to orders them.
        self.converted[from as usize].fetch_sub(1, Ordering::Relaxed);
        self.converted[to as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A lane's demand. Who sees it raised finds in [`Circulation::entered`] what the drain thread had taken before.
    /// Replenish thread.
    pub(super) fn demand(word: &AtomicU32) -> u32 {
        // [D2] Acquire: pairs with [D1].
        word.load(D2.order())
    }

    /// Buffers of `kind` that ever were in host hands in this run. Replenish thread; exact for the lanes whose demand it has
    /// loaded before.
    pub(super) fn entered(&self, kind: u32) -> u64 {
        let lanes = self.entered.iter().skip(kind as usize).step_by(self.kinds());
        let entered = self.initial[kind as usize] + lanes.map(Counter::get).sum::<u64>();
        // One that has become another kind may be seen before it is seen to enter.
        let converted = self.converted[kind as usize].load(Ordering::Relaxed).cast_signed();
        entered.saturating_add_signed(converted)
    }

    /// Sets the demand of a lane from `before` to `now` free queues, and wakes the replenish thread if it grew, unless a
    /// buffer of the lane's kind is `coming`: one that the caller delivers afterwards, and that brings the demand to the
    /// replenish thread's notice when it gets there. Drain thread of the lane's shard.
    pub(super) fn set_demand(&self, demand: &AtomicU32, before: u32, now: u32, coming: bool) {
        // `event.N1` orders these before the look at the waiters, and `event.W1` before this thread's own
        // last look at the lane. A coming buffer passes three rings, whose edges order them before the thread that routes it.
        // [D1] Release: pairs with [D2].
        demand.store(now, D1.order());
        if now > before {
            self.starving.fetch_add(now - before, Ordering::Relaxed);
            if !coming {
                self.raise();
            }
        } else {
            self.starving.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Makes the replenish thread look at the parked buffers. Drain and collect threads.
    #[cold]
    pub(super) fn nudge(&self) {
        self.raise();
    }

    fn raise(&self) {
        // [R1] Release: pairs with [R2]; who counts this one in sees the demand and the parked buffers that it stands for.
        self.raised.fetch_add(1, R1.order());
        self.event.notify();
    }

    /// To be called between a push to a lane and the look at its demand word. Replenish thread.
    #[inline]
    pub(super) fn order_push(&self) {
        // [Q1] SeqCst fence: Dekker with `event.W1` of the drain thread.
        Q1.fence();
    }

    /// To be called after a push to a done ring; wakes the replenish thread if `urgent` or if a lane starves. Collect
    /// threads.
    #[inline]
    pub(super) fn after_done(&self, urgent: bool) {
        // [C1] SeqCst fence: Dekker with `event.N1` of the drain thread that raises demand, and through it with
        // `event.W1` of the replenish thread.
        C1.fence();
        // Relaxed: ordered by the fence.
        if urgent || self.starving.load(Ordering::Relaxed) != 0 {
            self.event.notify();
        }
    }

    /// Whether a lane starves. Any thread, a hint.
    pub(super) fn any_starving(&self) -> bool {
        self.starving.load(Ordering::Relaxed) != 0
    }

    /// Whether more lanes starve than the `own` ones of a shard. Any thread, a hint.
    pub(super) fn starves_beyond(&self, own: u32) -> bool {
        self.starving.load(Ordering::Relaxed) > own
    }

    /// How often there was demand or a parked buffer to look at. Replenish thread, which looks afterwards and before a sleep
    /// compares.
    pub(super) fn raised(&self) -> u32 {
        // [R2] Acquire: pairs with [R1]; a sleep on this number misses nothing that it stands for.
        self.raised.load(R2.order())
    }

    /// Ends the replenish thread.
    pub(super) fn stop(&self) {
        // Relaxed: carries nothing; the event orders it before the thread's last look.
        self.stopped.store(true, Ordering::Relaxed);
        self.event.notify();
    }

    pub(super) fn stopped(&self) -> bool {
        // Relaxed: see `stop`.
        self.stopped.load(Ordering::Relaxed)
    }
}
