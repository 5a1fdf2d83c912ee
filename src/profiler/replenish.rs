//! The replenish thread: the only mover from done rings to lanes, and the only allocator. It also drives the gates, and
//! does the sentinel's work where there is no sentinel thread.

use super::announce::DrainBell;
use super::backpressure::{Backpressure, order_hand_over};
use super::circulation::Circulation;
use super::config::Role;
use super::instances::Served;
use super::patience::Patience;
use super::refill::Refill;
use super::run::Run;
use super::sentinel::{Sentinel, tighten_timer_slack};
use super::shared_link::SharedLink;
use crate::event::{Deadline, now};
use crate::layout::RawWords64;
use crate::log;
use crate::pool::Buffer;
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{RawWord32, step_aside};

type Driver<'a> = Backpressure<'a, RawWord32, RawWords64, SharedLink>;

/// Tries of transfers at the end of a run.
pub(super) const LAST_TRIES: u32 = 3;

/// Rounds without work before a sleep in dense traffic, each after the other threads had their turn.
const IDLE_ROUNDS: u32 = 4;

/// From tick to tick of the gates while the device waits for them, in nanoseconds; doubles up to the shortest polling
/// interval as long as nothing changes.
const FREEZE_TICK_NS: u64 = 10_000;

/// From round to round of an eager profiler at the latest, in nanoseconds.
const EAGER_ROUND_NS: u64 = 10_000_000;

/// What a tick of the gates leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tick {
    /// Nothing.
    Idle,
    /// The next tick is due soon.
    Busy,
    /// The next tick is due at once: one that follows a refill before the device has used any of it opens the gates.
    Refilled,
}

pub(super) struct Replenish {
    /// Buffers that went back to a lane, per kind.
    returned: Box<[u64]>,
    /// Buffers that this thread parked, out of a lane or a new block, per kind; they come back as those that entered.
    parked: Box<[u64]>,
    /// Allocations that failed.
    failures: u64,
    /// When the freeze began that is on.
    frozen_since: Option<u64>,
    /// Until the next tick of the gates.
    freeze_pause: u64,
    /// The shards that a freeze waits for, and the tails of their queues, as of the last tick.
    behind: Behind,
    sentinel: Option<Sentinel>,
    patience: Patience,
    /// The predicate of the subsystem has to be asked in every round.
    drives_gates: bool,
}

impl Replenish {
    pub(super) fn new(run: &Run) -> Self {
        Self {
            returned: vec![0; run.config.kinds.len()].into(),
            parked: vec![0; run.config.kinds.len()].into(),
            failures: 0,
            frozen_since: None,
            freeze_pause: FREEZE_TICK_NS,
            behind: Behind::default(),
            sentinel: run.config.merged_sentinel.then(|| Sentinel::new(run)),
            patience: Patience::default(),
            drives_gates: run.config.gates.is_some(),
        }
    }

    /// The thread.
    pub(super) fn run(mut self, run: &Run) {
        if self.sentinel.is_some() || self.drives_gates {
            tighten_timer_slack();
        }
        let (mut idle_rounds, mut most) = (0, 0);
        while !run.circulation.stopped() {
            let raised = run.circulation.raised();
            let next_poll = self.sentinel.as_mut().map_or(Deadline::NEVER, |sentinel| sentinel.poll(run));
            let moved = self.recycle(run);
            let again = self.allocate(run);
            // In every round, freeze or not: the subsystem may count on it.
            let agreed = run.config.hooks.release_ready();
            let gates = if self.drives_gates { self.drive_gates(run, agreed) } else { Tick::Idle };
            if moved || again || gates == Tick::Refilled {
                idle_rounds = 0;
                continue;
            }
            if idle_rounds == 0 {
                // In a freeze the device waits for this thread: it is not to stand back behind the others.
                most = if self.patience.wait() && gates == Tick::Idle { IDLE_ROUNDS } else { 0 };
            }
            if idle_rounds < most {
                idle_rounds += 1;
                step_aside();
                continue;
            }
            let mut deadline = next_poll;
            if gates == Tick::Busy {
                let pause = self.freeze_pause.min(run.config.poll_min_ns);
                deadline = deadline.min(now().saturating_add(pause));
                self.freeze_pause = pause.saturating_mul(2);
            }
            // A starved lane whose buffers do not come back is tried again: the allocator may have recovered.
            if run.circulation.any_starving() {
                deadline = deadline.min(now().saturating_add(run.config.poll_max_ns));
            }
            // Watermarks and instances may change, and nothing but a look tells.
            if run.config.eager {
                deadline = deadline.min(now().saturating_add(EAGER_ROUND_NS));
            }
            let _ = run.circulation.event.wait_until(deadline, 0, || {
                let work = run.circulation.stopped() || run.circulation.raised() != raised || run.pool.any_done();
                work.then_some(())
            });
        }
        conclude(run);
    }

    /// Moves done and parked buffers to lanes and wakes the drain threads of starved ones.
    fn recycle(&mut self, run: &Run) -> bool {
        let returned = &mut self.returned;
        let mut placed = |buffer: &Buffer, shard: Option<usize>| {
            if let Some(shard) = shard {
                returned[buffer.kind as usize] += 1;
                run.stats.shards[shard].recycled.add(1);
            }
        };
        // SAFETY: this is the replenish thread.
        let done = unsafe { run.pool.recycle_all_done(&mut placed) };
        // SAFETY: as above.
        let parked = unsafe { run.pool.recirculate(&mut placed) };
        wake_starving(run, done.touched | parked.touched);
        let placed = done.placed + parked.placed;
        self.patience.worked(placed);
        placed != 0
    }

    /// Allocates where a lane is below its warm target or starves. Unless the profiler is eager, buffers that are in host
    /// hands will come back and fill the gap: balance comes before growth. Whether another round is due.
    fn allocate(&mut self, run: &Run) -> bool {
        let mut again = false;
        for (kind, config) in (0u32..).zip(&run.config.kinds) {
            if run.instances.buffer_size(kind) == 0 {
                continue;
            }
            let in_lanes = run.pool.recycled_total(kind) as u64;
            let target = run.pool.warm_target(kind);
            let warm = u64::from(target) * u64::from(run.shards);
            let capacity = run.pool.config().recycled_capacity;
            let target = target.min(capacity);
            let least = if run.config.eager { run.instances.slot_count(kind) } else { config.batch_size };
            for shard in 0..run.shards {
                let present = run.pool.recycled_len(shard, kind) as u32;
                let demand = Circulation::demand(run.pool.demand(shard as usize, kind));
                let wanted = if present < target && (run.config.eager || in_lanes + self.in_flight(run, kind) < warm) {
                    (target - present).max(least)
                } else if demand > present && self.in_flight(run, kind) == 0 {
                    config.batch_size
                } else {
                    0
                };
                // The lane has lost a buffer since parked ones found no room: they come first, or they would become ever more.
                if wanted != 0 && present < capacity && run.pool.has_parked(kind) {
                    again = true;
                    continue;
                }
                // What is too much for the lane is parked, and comes back when there is room.
                let room = if run.config.eager { wanted } else { capacity - present };
                let wanted = wanted.min(room).min(allowance(run, kind));
                if wanted != 0 && self.allocate_block(run, kind, Some(shard), wanted) {
                    again = true;
                } else if demand > present {
                    // Not only when nothing is on its way: a collector may take its time.
                    request(run, kind);
                }
            }
        }
        again
    }

    /// Buffers of `kind` that will come back to a lane.
    fn in_flight(&self, run: &Run, kind: u32) -> u64 {
        let entered = run.circulation.entered(kind) + self.parked[kind as usize];
        entered.saturating_sub(self.returned[kind as usize])
    }

    fn allocate_block(&mut self, run: &Run, kind: u32, shard: Option<u32>, count: u32) -> bool {
        // SAFETY: this is the replenish thread.
        match unsafe { run.pool.allocate_routed(kind, run.instances.buffer_size(kind), count, shard) } {
            Ok(routed) => {
                self.parked[kind as usize] += routed.parked as u64;
                run.stats.shards[shard.unwrap_or(0) as usize].allocated.add(routed.placed as u64);
                wake_starving(run, routed.touched);
                routed.placed != 0
            }
            Err(status) => {
                self.failures += 1;
                // In an untracked pool what went wrong was logged where it did, and a refusal is no news.
                if !run.pool.config().untracked {
                    let what = format_args!("no block for kind {kind}: {status:?}");
                    run.pool.logger().log_occurrence(log::WARN, self.failures, what);
                }
                false
            }
        }
    }

    /// One tick of the gates.
    pub(super) fn drive_gates(&mut self, run: &Run, agreed: bool) -> Tick {
        let Some(gates) = &run.config.gates else {
            return Tick::Idle;
        };
        let driver = Backpressure::new(&run.pool, gates, &run.link);
        let stats = &run.stats.gates;
        let mut published = 0;
        if driver.tend() {
            if self.frozen_since.is_none() {
                self.frozen_since = Some(now());
                stats.freezes.add(1);
            }
            let behind = Behind::of(run);
            if behind != self.behind {
                self.freeze_pause = FREEZE_TICK_NS;
                // The device waits, and the sentinel may come to them only later.
                run.bells_of(behind.shards).for_each(DrainBell::request);
            }
            if behind.shards == 0 {
                published = self.refill_all(run, &driver, agreed);
            }
            self.behind = behind;
        }
        if !gates.any_frozen()
            && let Some(since) = self.frozen_since.take()
        {
            stats.frozen_ns.add(now().saturating_sub(since));
        }
        stats.push_failed.raise(driver.failures());
        let tick = match driver.is_busy() {
            true if published != 0 => Tick::Refilled,
            true => Tick::Busy,
            false => Tick::Idle,
        };
        if tick != Tick::Busy {
            self.freeze_pause = FREEZE_TICK_NS;
        }
        tick
    }

    /// The refill of a freeze; opens the gates if there is nothing left to refill. Returns what it published.
    fn refill_all(&mut self, run: &Run, driver: &Driver<'_>, agreed: bool) -> u64 {
        let Some(turns) = driver.take_lanes() else {
            return 0;
        };
        run.config.hooks.refresh();
        let (mut published, mut complete) = (0, true);
        for (_, served) in run.instances.iter() {
            match self.refill(run, served) {
                Some(more) => published += more,
                // Somebody is at it: nobody knows yet what it can get.
                None => complete = false,
            }
        }
        run.stats.gates.refilled.add(published);
        if published != 0 || !agreed || !complete {
            return published;
        }
        driver.open();
        drop(turns);
        hand_over_empty(run);
        wake_starving(run, u64::MAX);
        0
    }

    /// Fills a free queue from its own shard's lane, then from the others', then from parked buffers, then from new blocks.
    /// The driver of the gates, with all turns.
    fn refill(&mut self, run: &Run, served: &Served) -> Option<u64> {
        let (kind, own) = (served.instance.kind, run.shard_of(served));
        let mut total = 0;
        let mut free = run.instances.enter(served)?;
        loop {
            for shard in (own..run.shards).chain(0..own) {
                if shard != own && run.pool.recycled_len(shard, kind) == 0 {
                    continue;
                }
                // SAFETY: with all turns this is the sole writer of the free queue and the sole consumer of all lanes.
                let refill = unsafe { free.top_up(&run.pool, &run.link, kind, shard, u32::MAX) };
                free.take_parked().iter().for_each(|kind| self.parked[*kind as usize] += 1);
                let (status, published, value) = match refill {
                    Refill::Done(published) => {
                        total += u64::from(published);
                        continue;
                    }
                    Refill::Starved => continue,
                    Refill::Failed(status, published) => (status, published, 0),
                    Refill::Corrupt(head) => (Status::LANEPIPE_E_CORRUPT, 0, head),
                };
                let count = run.stats.gates.refill_failed.add(1);
                let what = "a free queue could not be filled within a freeze";
                let (queue, value) = (served.queue(), u64::from(value));
                run.report(status, Role::Replenish, queue, value, count, what);
                return Some(total + u64::from(published));
            }
            if free.room(&run.link).is_ok_and(|room| room == 0) {
                return Some(total);
            }
            if self.recycle(run) {
                continue;
            }
            let count = run.config.kinds[kind as usize].batch_size.min(allowance(run, kind));
            if count == 0 || run.instances.buffer_size(kind) == 0 || !self.allocate_block(run, kind, None, count) {
                return Some(total);
            }
        }
    }
}

/// What a freeze still waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Behind {
    /// Shards with live ready queues that hold entries which the host has not acknowledged, or cannot be read. Queues with an
    /// index out of range do not count: they never would be drained.
    shards: u64,
    /// Changes with the tails of these queues.
    tails: u64,
}

impl Behind {
    fn of(run: &Run) -> Self {
        let mut behind = Self::default();
        for (number, queue) in (0u32..).zip(&run.config.queues) {
            let (head, capacity) = (queue.port.own_head(), queue.port.capacity);
            let tail = queue.port.tail(&run.link);
            if !tail.is_ok_and(|tail| head == tail || head >= capacity || tail >= capacity) {
                behind.shards |= 1 << (number % run.shards);
                behind.tails =
                    behind.tails.wrapping_mul(0x1_0000_0001).wrapping_add(u64::from(tail.unwrap_or(u32::MAX)));
            }
        }
        behind
    }
}

/// Tells the drain threads of the free queues that stay empty, or may: the device's signal is used up, so they see to them.
fn hand_over_empty(run: &Run) {
    order_hand_over();
    let mut shards = 0u64;
    for (_, served) in run.instances.iter() {
        // One whose head cannot be read is the likeliest of all: its refill has failed.
        if served.instance.free.surely_holds(&run.link) {
            continue;
        }
        served.mark_hungry();
        shards |= 1 << run.shard_of(served);
    }
    run.bells_of(shards).for_each(DrainBell::hand_over);
}

/// Ends a run, once all drain threads have ended: settles what is in doubt and opens the gates.
pub(super) fn conclude(run: &Run) {
    for (_, served) in run.instances.iter() {
        if let Some(mut free) = run.instances.enter(served) {
            free.conclude(&run.pool, &run.link, run.shard_of(served), LAST_TRIES);
        }
    }
    if let Some(gates) = &run.config.gates {
        Backpressure::new(&run.pool, gates, &run.link).conclude(LAST_TRIES);
    }
}

/// Wakes the drain threads of the shards in `touched` that have demand.
fn wake_starving(run: &Run, touched: u64) {
    if touched == 0 {
        return;
    }
    run.circulation.order_push();
    for shard in 0..run.shards {
        // Relaxed: ordered by the fence.
        let demand = |kind| run.pool.demand(shard as usize, kind).load(Ordering::Relaxed);
        if touched & 1 << shard != 0 && (0..run.config.kinds.len() as u32).any(|kind| demand(kind) != 0) {
            run.drain_bells[shard as usize].event.notify();
        }
    }
}

/// Asks the drain threads for buffers of `kind` that lie in their lanes.
fn request(run: &Run, kind: u32) {
    for shard in (0..run.shards).filter(|shard| run.pool.recycled_len(*shard, kind) != 0) {
        run.drain_bells[shard as usize].request();
    }
}

/// Buffers of `kind` that may still be allocated.
fn allowance(run: &Run, kind: u32) -> u32 {
    match run.config.kinds[kind as usize].max_buffers {
        0 => u32::MAX,
        most => most.saturating_sub(run.pool.tracked(kind)),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Replenish;
    use crate::pool::Buffer;
    use crate::profiler::tests::harness::Harness;
    use crate::profiler::tests::world::Plan;
    use core::mem::MaybeUninit;

    /// Takes a buffer from the only lane.
    fn pop(harness: &Harness) -> Buffer {
        let mut buffer = [MaybeUninit::uninit()];
        // SAFETY: no thread runs; the element is filled.
        unsafe {
            assert_eq!(harness.pool.pop_recycled(0, 0, &mut buffer), 1);
            buffer[0].assume_init()
        }
    }

    /// What is on its way back is counted, wherever it lies: otherwise a starved lane gets new buffers in its place.
    #[test]
    fn buffers_on_their_way_are_counted() {
        for compat in [false, true] {
            let harness = Harness::new(Plan { compat, recycled: 1, ..Plan::default() });
            // One in the lane, one parked; then one done, one ready, and one parked by a new block.
            harness.seed(0, 0, 2);
            let (done, ready) = (pop(&harness), harness.pool.take_retired(None, 0).unwrap());
            // SAFETY: no thread runs.
            unsafe {
                assert_eq!(harness.pool.push_done(0, &[done]), 1);
                assert_eq!(harness.pool.push_ready(0, &[ready], [0u64].as_ptr().cast()), 1);
            }
            harness.seed(0, 0, 2);
            let run = harness.profiler.new_run();
            let mut replenish = Replenish::new(&run);
            assert_eq!(replenish.in_flight(&run, 0), 3, "at the start");
            pop(&harness);
            assert!(replenish.recycle(&run));
            assert_eq!(replenish.in_flight(&run, 0), 2, "one has come to the lane");
            assert!(replenish.allocate_block(&run, 0, Some(0), 3));
            assert_eq!(replenish.in_flight(&run, 0), 5, "a block of which nothing fits into the lane");
            for left in (1..5).rev() {
                pop(&harness);
                assert!(replenish.recycle(&run));
                assert_eq!(replenish.in_flight(&run, 0), left);
            }
            assert_eq!(harness.pool.tracked(0), if compat { 0 } else { 7 });
        }
    }
}
