//! The sentinel: the one thread that polls. It only reads device words, and wakes the drain threads that have work.

use super::config::Role;
use super::run::Run;
use crate::event::now;
use crate::status::Status;
use crate::sync::atomic::Ordering;

pub(super) fn run(run: &Run) {
    tighten_timer_slack();
    let config = &run.config;
    let mut interval = config.poll_min_ns;
    let mut last_change = now();
    let mut failures = 0;
    while !run.intake_stopped() {
        let mut changed = 0u64;
        for (number, queue) in config.queues.iter().enumerate() {
            match queue.port.tail(&run.link) {
                Ok(tail) => {
                    let announced = &run.announced[number];
                    // Relaxed: written here only; the drain event orders it before the drain thread's look.
                    if announced.load(Ordering::Relaxed) != tail {
                        announced.store(tail, Ordering::Relaxed);
                        changed |= 1 << (number as u32 % run.shards);
                    }
                }
                Err(status) => {
                    failures += 1;
                    report(run, status, number as u32, failures);
                }
            }
        }
        for (shard, event) in run.drain_events.iter().enumerate() {
            if changed & 1 << shard != 0 {
                event.notify();
            }
        }
        let time = now();
        if changed != 0 {
            last_change = time;
            interval = config.poll_min_ns;
        } else if time.saturating_sub(last_change) > config.quiet_ns {
            interval = interval.saturating_mul(2).min(config.poll_max_ns);
        }
        let deadline = time.saturating_add(interval);
        let _ = run
            .sentinel_event
            .wait_until(deadline, 0, || run.intake_stopped().then_some(()));
    }
}

#[cold]
fn report(run: &Run, status: Status, queue: u32, count: u64) {
    run.report(
        status,
        Role::Sentinel,
        queue,
        0,
        count,
        "the tail of a ready queue could not be read",
    );
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
