//! What the threads of one run share.

use super::announce::{DrainBell, Progress};
use super::backpressure::enter_lanes;
use super::circulation::Circulation;
use super::config::{Config, Ready, ReadyQueueConfig, Role};
use super::fault::FaultRecord;
use super::instances::{Instances, Served};
use super::replenish::LAST_TRIES;
use super::shared_link::SharedLink;
use super::stats::Stats;
use crate::event::{Deadline, EventCount};
use crate::log;
use crate::pool::Pool;
use crate::status::Status;
use crate::sync::atomic::{AtomicBool, AtomicU32, ColdMutex, Ordering};
use crate::sync::{CachePadded, Edge, Held};
use std::sync::Arc;

const S1: Edge = Edge::new("profiler.S1", Ordering::Release);
const S2: Edge = Edge::new("profiler.S2", Ordering::Acquire);

/// Tells the intake threads to make their last pass, and carries what the stopper has seen.
pub(super) struct StopFlag(AtomicBool);

impl StopFlag {
    pub(super) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    pub(super) fn raise(&self) {
        // [S1] Release: pairs with [S2]; the device's last publication happens before the last pass.
        self.0.store(true, S1.order());
    }

    pub(super) fn is_raised(&self) -> bool {
        // [S2] Acquire: pairs with [S1].
        self.0.load(S2.order())
    }
}

/// Not all threads have been created.
const WAIT: u32 = 0;
/// All threads have been created.
const WORK: u32 = 1;
/// One could not be created, so that the others have nothing to do.
const GIVE_UP: u32 = 2;

/// State of one run, from start to stop.
pub(super) struct Run {
    pub(super) pool: Arc<Pool>,
    pub(super) config: Arc<Config>,
    pub(super) stats: Arc<Stats>,
    pub(super) fault: Arc<FaultRecord>,
    pub(super) instances: Arc<Instances>,
    pub(super) link: SharedLink,
    /// Live shards; fixed for the run.
    pub(super) shards: u32,
    /// One per ready queue.
    pub(super) progress: Box<[Progress]>,
    /// One per shard: the drain thread sleeps here.
    pub(super) drain_bells: Box<[CachePadded<DrainBell>]>,
    pub(super) sentinel_event: EventCount,
    /// The replenish thread sleeps here, and what it goes by.
    pub(super) circulation: Circulation,
    /// By ready queue, where instances have guessed ones: the index behind the entries that an earlier run left there.
    left_over: Box<[Option<u32>]>,
    /// Shards whose drain threads may still have some of them to take, a bit each.
    taking_left_over: ColdMutex<u64>,
    /// Ends the sentinel and the drain threads.
    intake_stopped: StopFlag,
    /// Whether the threads may work: [`WAIT`], [`WORK`] or [`GIVE_UP`].
    order: AtomicU32,
    /// Threads sleep here until all have been created.
    order_event: EventCount,
    /// Threads that have ended, by role.
    exited: [AtomicU32; 4],
    /// The stopper sleeps here.
    exit_event: EventCount,
    /// The replenish thread ended by a panic, and left what ends a run to the stopper.
    unconcluded: AtomicBool,
}

/// The tail of a ready queue for who has no later look at it; `None` if it is out of range, or cannot be read in some tries.
pub(super) fn last_tail(port: &Ready, link: &SharedLink) -> Option<u32> {
    let tail = (0..LAST_TRIES).find_map(|_| port.tail(link).ok());
    tail.filter(|tail| *tail < port.capacity)
}

impl Run {
    pub(super) fn new(
        pool: Arc<Pool>,
        config: Arc<Config>,
        stats: Arc<Stats>,
        fault: Arc<FaultRecord>,
        instances: Arc<Instances>,
    ) -> Self {
        let shards = pool.live_shards();
        let link = SharedLink::new(pool.memory());
        let guesses = !pool.config().untracked && instances.iter().any(|(_, served)| served.instance.guess);
        let end =
            |queue: &ReadyQueueConfig| last_tail(&queue.port, &link).filter(|tail| *tail != queue.port.own_head());
        let left_over: Box<[_]> = if guesses { config.queues.iter().map(end).collect() } else { Box::default() };
        let is_any_left = left_over.iter().any(Option::is_some);
        Self {
            left_over,
            taking_left_over: ColdMutex::new(if is_any_left { u64::MAX >> (64 - shards) } else { 0 }),
            link,
            progress: config.queues.iter().map(|queue| Progress::new(queue.port.own_head())).collect(),
            drain_bells: (0..shards).map(|_| CachePadded::new(DrainBell::new())).collect(),
            sentinel_event: EventCount::new(),
            circulation: Circulation::new(&pool, shards),
            intake_stopped: StopFlag::new(),
            order: AtomicU32::new(WAIT),
            order_event: EventCount::new(),
            exited: Default::default(),
            exit_event: EventCount::new(),
            unconcluded: AtomicBool::new(false),
            shards,
            pool,
            config,
            stats,
            fault,
            instances,
        }
    }

    /// Lets the threads work, now that all are there, or sends them home. Starter.
    pub(super) fn give_order(&self, complete: bool) {
        // Relaxed, here and below: carries nothing; the event orders it before the threads' last look.
        self.order.store(if complete { WORK } else { GIVE_UP }, Ordering::Relaxed);
        self.order_event.notify();
    }

    /// Waits for the starter's order; whether there is work. A thread of the run.
    pub(super) fn await_order(&self) -> bool {
        let given = || Some(self.order.load(Ordering::Relaxed)).filter(|order| *order != WAIT);
        self.order_event.wait_until(Deadline::NEVER, 0, given) == Ok(WORK)
    }

    /// The index behind the entries that an earlier run left in ready queue `queue`, if there are any. It is known only where
    /// instances have guessed queues.
    pub(super) fn left_over(&self, queue: u32) -> Option<u32> {
        self.left_over.get(queue as usize).copied().flatten()
    }

    /// Whether an earlier run left entries.
    pub(super) fn is_any_left_over(&self) -> bool {
        self.left_over.iter().any(Option::is_some)
    }

    /// A drain thread has taken what an earlier run left in its queues: the last one makes guesses of the routes again, and lets
    /// all go on. Waits for it.
    pub(super) fn left_over_taken(&self, shard: u32) {
        self.left_over_done(shard);
        // Relaxed: carries nothing. The end of the intake does not count: the last pass must not take entries of this run
        // before those that were left either.
        let collect_ended = || self.exited[Role::Collect as usize].load(Ordering::Relaxed) != 0;
        let over = || (*self.taking_left_over.lock() == 0 || collect_ended()).then_some(());
        let _ = self.order_event.wait_until(Deadline::NEVER, 0, over);
    }

    /// The drain thread of `shard` takes no more of what an earlier run left: it is through, or has ended by a panic. Once only
    /// counts.
    fn left_over_done(&self, shard: u32) {
        let mut taking = self.taking_left_over.lock();
        let is_last = *taking == 1 << shard;
        if !is_last {
            *taking &= !(1 << shard);
        }
        drop(taking);
        if is_last {
            // No lock is held while a hook runs.
            self.instances.iter().for_each(|(_, served)| served.route().reopen());
            let hook = || self.config.hooks.left_over_taken();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(hook));
            *self.taking_left_over.lock() = 0;
            if outcome.is_err() {
                self.report(Status::LANEPIPE_E_PANIC, Role::Drain, shard, 0, 1, "internal error");
            }
        }
        self.order_event.notify();
    }

    /// Ends the sentinel and the drain threads. The stopper has seen the device's last publication.
    pub(super) fn stop_intake(&self) {
        self.intake_stopped.raise();
        self.sentinel_event.notify();
        self.drain_bells.iter().for_each(|bell| bell.event.notify());
    }

    /// Whether intake is to end.
    pub(super) fn intake_stopped(&self) -> bool {
        self.intake_stopped.is_raised()
    }

    /// Whether a gate is shut and free queues are the driver's. Exact for a drain thread that has its lanes' turn.
    pub(super) fn is_frozen(&self) -> bool {
        self.config.gates.as_ref().is_some_and(|gates| gates.any_frozen())
    }

    /// The lanes of `shard` for its drain thread to take from; `None` while they belong to the driver of the gates.
    pub(super) fn lanes_of(&self, shard: u32) -> Option<Held<'_>> {
        enter_lanes(self.pool.lane_turn(shard), || self.is_frozen())
    }

    /// The shard whose drain thread serves `instance`.
    pub(super) fn shard_of(&self, instance: &Served) -> u32 {
        instance.queue() % self.shards
    }

    /// The bells of the drain threads of `shards`, one bit each.
    pub(super) fn bells_of(&self, shards: u64) -> impl Iterator<Item = &DrainBell> {
        let bells = self.drain_bells.iter().enumerate();
        bells.filter(move |(shard, _)| shards & 1 << shard != 0).map(|(_, bell)| &**bell)
    }

    /// Notes that a thread of `role` is about to end.
    pub(super) fn note_exit(&self, role: Role) {
        // Relaxed: only tells that a join will not block long; the join orders memory.
        self.exited[role as usize].fetch_add(1, Ordering::Relaxed);
        self.exit_event.notify();
        self.order_event.notify();
    }

    /// A thread of `role` ended by a panic.
    pub(super) fn note_panic(&self, role: Role, index: u32) {
        if role == Role::Drain {
            self.left_over_done(index);
        }
        if role == Role::Replenish {
            // Relaxed, here and below: the join orders it.
            self.unconcluded.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the replenish thread left the run's conclusion to the stopper, who has joined it.
    pub(super) fn is_unconcluded(&self) -> bool {
        self.unconcluded.load(Ordering::Relaxed)
    }

    /// Waits until `count` threads of `role` have ended; false if `deadline` passed first.
    pub(super) fn wait_exit(&self, role: Role, count: u32, deadline: u64) -> bool {
        let exited = &self.exited[role as usize];
        self.exit_event.wait_until(deadline, 0, || (exited.load(Ordering::Relaxed) >= count).then_some(())).is_ok()
    }

    /// Notes and reports a fault; the `count`th of its sort.
    #[cold]
    pub(super) fn report(&self, status: Status, role: Role, index: u32, value: u64, count: u64, what: &str) {
        self.fault.note(status, role, index, value);
        self.pool.logger().log_occurrence(
            log::ERROR,
            count,
            format_args!("{role:?} {index}: {what} ({value:#x}): {status:?}"),
        );
    }
}
