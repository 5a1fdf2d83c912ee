//! The replenish thread: the only mover from done rings to lanes, and the only allocator.

use super::run::Run;
use crate::event::{Deadline, now};
use crate::log;
use crate::pool::Buffer;
use crate::sync::atomic::Ordering;

pub(super) struct Replenish {
    /// Buffers that went back to a lane, per kind.
    returned: Box<[u64]>,
    /// Allocations that failed.
    failures: u64,
}

impl Replenish {
    pub(super) fn new(run: &Run) -> Self {
        Self { returned: vec![0; run.config.kinds.len()].into(), failures: 0 }
    }

    /// The thread.
    pub(super) fn run(mut self, run: &Run) {
        while !run.circulation.stopped() {
            let raised = run.circulation.raised();
            let moved = self.recycle(run);
            let allocated = self.allocate(run);
            if moved || allocated {
                continue;
            }
            // A starved lane whose buffers do not come back is tried again: the allocator may have recovered.
            let unmet = run.circulation.any_starving();
            let deadline = if unmet { now().saturating_add(run.config.poll_max_ns) } else { Deadline::NEVER };
            let _ = run.circulation.event.wait_until(deadline, 0, || {
                let work = run.circulation.stopped() || run.circulation.raised() != raised || run.pool.any_done();
                work.then_some(())
            });
        }
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
        done.placed + parked.placed != 0
    }

    /// Allocates where a lane is below its warm target or starves, unless buffers that are in host hands will come back
    /// and fill the gap: balance comes before growth.
    fn allocate(&mut self, run: &Run) -> bool {
        let mut allocated = false;
        for (kind, config) in (0u32..).zip(&run.config.kinds) {
            let in_flight = run.circulation.entered(kind).saturating_sub(self.returned[kind as usize]);
            let in_lanes = run.pool.recycled_total(kind) as u64;
            let warm = u64::from(config.warm_target) * u64::from(run.shards);
            for shard in 0..run.shards {
                let present = run.pool.recycled_len(shard, kind) as u32;
                let demand = run.pool.demand(shard as usize, kind).load(Ordering::Relaxed);
                let capacity = run.pool.config().recycled_capacity;
                let target = config.warm_target.min(capacity);
                let wanted = if present < target && in_lanes + in_flight < warm {
                    (target - present).max(config.batch_size)
                } else if demand > present && in_flight == 0 {
                    config.batch_size
                } else {
                    continue;
                };
                let wanted = wanted.min(capacity - present).min(allowance(run, kind));
                if wanted != 0 && self.allocate_block(run, kind, shard, wanted) {
                    allocated = true;
                } else if demand > present {
                    request(run, kind);
                }
            }
        }
        allocated
    }

    fn allocate_block(&mut self, run: &Run, kind: u32, shard: u32, count: u32) -> bool {
        let size = run.config.kinds[kind as usize].buffer_size;
        // SAFETY: this is the replenish thread.
        match unsafe { run.pool.allocate(kind, size, count, Some(shard)) } {
            Ok(placed) => {
                run.stats.shards[shard as usize].allocated.add(placed as u64);
                wake_starving(run, 1 << shard);
                placed != 0
            }
            Err(status) => {
                self.failures += 1;
                let what = format_args!("no block for kind {kind} of shard {shard}: {status:?}");
                run.pool.logger().log_occurrence(log::WARN, self.failures, what);
                false
            }
        }
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
