//! The sentinel: the one thread that polls. It only reads device words, and wakes the drain threads that have work.

use super::config::Role;
use super::run::Run;
use crate::event::now;
use crate::status::Status;

pub(super) fn run(run: &Run) {
    tighten_timer_slack();
    let config = &run.config;
    let mut interval = config.poll_min_ns;
    let mut last_traffic = now();
    let mut failures = 0;
    // Tails out of range, which no drain thread ever catches up with: announced once.
    let mut corrupt = vec![None; config.queues.len()];
    while !run.intake_stopped() {
        let mut behind = 0u64;
        for (number, (queue, corrupt)) in config.queues.iter().zip(&mut corrupt).enumerate() {
            let announce = match queue.port.tail(&run.link) {
                Ok(tail) if tail < queue.port.capacity => run.progress[number].is_behind(tail),
                Ok(tail) => corrupt.replace(tail) != Some(tail),
                Err(status) => {
                    failures += 1;
                    report(run, status, number as u32, failures);
                    false
                }
            };
            behind |= u64::from(announce) << (number as u32 % run.shards);
        }
        for (shard, bell) in run.drain_bells.iter().enumerate() {
            if behind & 1 << shard != 0 {
                bell.announce();
            }
        }
        let time = now();
        if behind != 0 {
            last_traffic = time;
            interval = config.poll_min_ns;
        } else if time.saturating_sub(last_traffic) > config.quiet_ns {
            interval = interval.saturating_mul(2).min(config.poll_max_ns);
        }
        let deadline = time.saturating_add(interval);
        let _ = run.sentinel_event.wait_until(deadline, 0, || run.intake_stopped().then_some(()));
    }
}

#[cold]
fn report(run: &Run, status: Status, queue: u32, count: u64) {
    run.report(status, Role::Sentinel, queue, 0, count, "the tail of a ready queue could not be read");
}

/// Lets the sleep end close to its deadline instead of up to 50 us later. Affects the calling thread only, which is the
/// profiler's own.
fn tighten_timer_slack() {
    #[cfg(all(target_os = "linux", not(loom)))]
    // SAFETY: this operation of `prctl` takes a number and no pointer.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_000 as libc::c_ulong);
    }
}
