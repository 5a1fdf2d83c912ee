//! The collect thread of a shard: ready ring to the collect callback to done ring.

use super::patience::Patience;
use super::run::Run;
use crate::event::{Deadline, WaitEnd, now};
use crate::pool::{Buffer, Looks};

/// Done buffers that gather before the replenish thread is woken without need.
const WAKE_AT: usize = 32;
/// A batch that took no longer to collect, in nanoseconds, lets a starved lane wait for the next one that is there already.
const FAST: u64 = 10_000;

pub(super) fn run(run: &Run, shard: u32) {
    let pool = &run.pool;
    let most = run.config.collect_batch;
    let ring = pool.ready(shard);
    let stats = &run.stats.shards[shard as usize];
    let mut buffers = vec![Buffer { dev: 0, kind: 0, id: 0 }; most];
    let mut payloads = vec![0u64; most * pool.config().payload_size as usize / size_of::<u64>()];
    let wake_at = WAKE_AT.min(pool.config().done_capacity as usize / 2);
    let payload_size = pool.config().payload_size as usize;
    // When the shard counts as idle; never before its first buffer.
    let mut idle_at = Deadline::NEVER;
    let mut patience = Patience::default();
    loop {
        let looks = if !ring.is_empty() || patience.wait() { Looks::Many } else { Looks::One };
        let payloads = payloads.as_mut_ptr().cast::<u8>();
        // SAFETY: this is the shard's collect thread; there is room for `most` elements.
        let taken = unsafe { pool.wait_pop_ready(shard, buffers.as_mut_ptr(), payloads, most, idle_at, looks) };
        let count = match taken {
            Ok(count) => count,
            Err(WaitEnd::Closed) => return,
            Err(WaitEnd::TimedOut) => {
                run.config.hooks.idle(shard);
                idle_at = Deadline::NEVER;
                continue;
            }
        };
        patience.worked(count);
        let batch = &mut buffers[..count];
        // Only where somebody starves is it worth a look at the clock.
        let begun = run.circulation.any_starving().then(now);
        run.config.hooks.collect(shard, batch, payloads);
        stats.collected.add(count as u64);
        stats.collect_calls.add(1);
        for (position, buffer) in batch.iter_mut().enumerate() {
            let payload = payloads.wrapping_add(position * payload_size).cast_const();
            let kind = run.config.hooks.kind_of(shard, buffer, payload);
            if kind != buffer.kind && pool.check_kind(kind).is_ok() {
                run.circulation.convert(buffer.kind, kind);
                pool.change_kind(buffer, kind);
            }
        }
        let batch = if batch.iter().all(|buffer| buffer.dev != 0) { batch } else { without_empty(batch) };
        // SAFETY: this is the shard's collect thread.
        let pushed = unsafe { pool.push_done(shard, batch) };
        for buffer in &batch[pushed..] {
            // Full: the replenish thread finds it among the parked. Parking fails only when memory is out.
            let _ = pool.retire(shard, *buffer);
            stats.done_full.add(1);
            run.circulation.nudge();
        }
        let (last, low) = (ring.is_empty(), || batch.iter().any(|buffer| pool.is_low(shard, buffer.kind)));
        let urgent = pushed < batch.len() || pool.done_len(shard) >= wake_at || (last && low());
        let fast = begun.is_some_and(|begun| now().saturating_sub(begun) <= FAST);
        if urgent || last || !fast {
            run.circulation.after_done(urgent);
        }
        if run.config.idle_ns != 0 {
            idle_at = now().saturating_add(run.config.idle_ns);
        }
    }
}

/// The elements with a buffer, in order. An untracked pool lets others in too, which have nothing to bring back.
#[cold]
fn without_empty(batch: &mut [Buffer]) -> &mut [Buffer] {
    let mut kept = 0;
    for index in 0..batch.len() {
        if batch[index].dev != 0 {
            batch[kept] = batch[index];
            kept += 1;
        }
    }
    &mut batch[..kept]
}
