//! The sentinel: the one who polls. It only reads device words, and wakes the threads that have work. It has a thread of its
//! own, or the replenish thread does its work between its own.

use super::announce::{DrainBell, distance};
use super::config::Role;
use super::pace::{Found, Pace, Stock};
use super::run::Run;
use crate::event::now;
use crate::layout::{Gates, RawWords64};
use crate::status::Status;
use crate::sync::RawWord32;

/// What the sentinel remembers from poll to poll.
pub(super) struct Sentinel {
    pace: Pace,
    failures: u64,
    /// Of the producers of each queue.
    stocks: Box<[Stock]>,
    /// The tails as the last poll saw them: a drain thread that is awake leaves nothing behind, however fast entries come.
    tails: Box<[u32]>,
    /// Tails out of range, or of a queue whose head is, which no drain thread ever catches up with: announced once.
    corrupt: Box<[Option<u32>]>,
}

impl Sentinel {
    pub(super) fn new(run: &Run) -> Self {
        let config = &run.config;
        let mut stocks: Box<[Stock]> = vec![Stock::default(); config.queues.len()].into();
        for (_, served) in run.instances.iter() {
            if let Some(stock) = stocks.get_mut(served.queue() as usize) {
                stock.add(served.instance.free.slot_count);
            }
        }
        Self {
            pace: Pace::new(config.poll_min_ns, config.poll_max_ns, config.quiet_ns, now()),
            failures: 0,
            stocks,
            tails: config.queues.iter().map(|queue| queue.port.own_head()).collect(),
            corrupt: vec![None; run.config.queues.len()].into(),
        }
    }

    /// The thread.
    pub(super) fn run(mut self, run: &Run) {
        tighten_timer_slack();
        while !run.intake_stopped() {
            let mut deadline = self.poll(run);
            if contended(run) {
                run.circulation.nudge();
                deadline = deadline.min(now().saturating_add(run.config.poll_min_ns));
            }
            let _ = run.sentinel_event.wait_until(deadline, 0, || run.intake_stopped().then_some(()));
        }
    }

    /// Announces what drain threads have not taken yet; returns when to poll again.
    pub(super) fn poll(&mut self, run: &Run) -> u64 {
        let config = &run.config;
        let mut behind = 0u64;
        let mut found = Found::Nothing;
        for (number, queue) in config.queues.iter().enumerate() {
            let (capacity, progress) = (queue.port.capacity, &run.progress[number]);
            let shard = number % run.shards as usize;
            let announce = match queue.port.tail(&run.link) {
                Ok(tail) if tail < capacity && progress.is_possible(capacity) => {
                    let left = progress.behind(tail, capacity);
                    let came = distance(core::mem::replace(&mut self.tails[number], tail), tail, capacity);
                    let entries = left.max(came);
                    let is_asleep = run.drain_bells[shard].event.has_waiters();
                    let stock = self.stocks[number];
                    found = found.max(if is_asleep { Found::of(entries, stock) } else { Found::awake(entries) });
                    left != 0
                }
                Ok(tail) => self.corrupt[number].replace(tail) != Some(tail),
                Err(status) => {
                    self.failures += 1;
                    report(run, status, number as u32, self.failures);
                    false
                }
            };
            behind |= u64::from(announce) << shard;
        }
        run.bells_of(behind).for_each(DrainBell::announce);
        // A collect thread that is inside a slow call tells nobody of the buffers that it has done before.
        if run.circulation.any_starving() && run.pool.any_done() {
            run.circulation.event.notify();
        }
        if behind != 0 && found == Found::Nothing {
            // What cannot be counted.
            found = Found::Much;
        }
        let time = now();
        time.saturating_add(self.pace.next(time, found))
    }
}

/// Whether the device asks for a gate to be shut.
pub(super) fn contended(run: &Run) -> bool {
    let asks = |gates: &Gates<RawWord32>| {
        let gates = [&gates.push, &gates.pop];
        gates.iter().any(|gate| gate.peek_contended::<RawWords64>(&run.link) == Ok(true))
    };
    run.config.gates.as_ref().is_some_and(asks)
}

#[cold]
fn report(run: &Run, status: Status, queue: u32, count: u64) {
    run.report(status, Role::Sentinel, queue, 0, count, "the tail of a ready queue could not be read");
}

/// Lets the sleep end close to its deadline instead of up to 50 us later. Affects the calling thread only, which is the
/// profiler's own.
pub(super) fn tighten_timer_slack() {
    #[cfg(all(target_os = "linux", not(loom)))]
    // SAFETY: this operation of `prctl` takes a number and no pointer.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_000 as libc::c_ulong);
    }
}
