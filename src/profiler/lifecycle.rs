//! Start and stop.

use super::collect;
use super::config::{Config, Instance, Role, ThreadBody};
use super::drain::Drain;
use super::fault::{Fault, FaultRecord};
use super::instances::{Instances, Served};
use super::refill::Refill;
use super::replenish::{self, Replenish};
use super::run::Run;
use super::sentinel::Sentinel;
use super::shared_link::SharedLink;
use super::stats::{GateStats, QueueStats, ShardStats, Stats};
use crate::event::Deadline;
use crate::layout::RawWords64;
use crate::log;
use crate::pool::Pool;
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, ColdMutex, Ordering};
use crate::sync::{RawWord32, Turn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// State of a profiler.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never started, or stopped.
    Stopped = 0,
    /// Threads run.
    Running = 1,
    /// A stop began and has not finished.
    Stopping = 2,
}

/// Threads end in this order; a role is joined when all its threads have ended.
const STOP_ORDER: [Role; 4] = [Role::Sentinel, Role::Drain, Role::Replenish, Role::Collect];

/// The threads of a run and how far its stop has come.
struct Active {
    run: Arc<Run>,
    threads: Vec<(Role, usize)>,
    /// Position in [`STOP_ORDER`] of the role that is ended next.
    phase: usize,
}

/// A profiler on a pool. See the module documentation.
pub struct Profiler {
    pool: Arc<Pool>,
    config: Arc<Config>,
    stats: Arc<Stats>,
    fault: Arc<FaultRecord>,
    instances: Arc<Instances>,
    active: ColdMutex<Option<Active>>,
    state: AtomicU32,
    /// Taken while a thread is inside start or stop. The state is for display and orders nothing.
    busy: Turn,
}

impl Profiler {
    /// A profiler that does not run.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_INVALID` for a configuration out of range, `LANEPIPE_E_DUPLICATE` for an instance that is in it twice,
    /// `LANEPIPE_E_NO_MEMORY`.
    pub fn new(pool: Arc<Pool>, config: Config) -> Result<Self, Status> {
        config.check(&pool).map_err(|problem| problem.status)?;
        for (kind, at) in (0u32..).zip(&config.kinds) {
            pool.set_warm_target(kind, at.warm_target)?;
        }
        let instances = Instances::new(config.max_instances, &config.kinds, pool.config().untracked)?;
        for (position, instance) in (0u32..).zip(&config.instances) {
            // Positions are the indices that the caller answers with.
            if instances.add(*instance, 0)? != position {
                return Err(Status::LANEPIPE_E_DUPLICATE);
            }
        }
        Ok(Self {
            instances: Arc::new(instances),
            stats: Arc::new(Stats::new(config.queues.len(), pool.config().shards as usize)),
            config: Arc::new(config),
            fault: Arc::default(),
            active: ColdMutex::new(None),
            state: AtomicU32::new(State::Stopped as u32),
            busy: Turn::new(),
            pool,
        })
    }

    /// The state. Any thread.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            1 => State::Running,
            2 => State::Stopping,
            _ => State::Stopped,
        }
    }

    /// Makes an instance known, while threads run too, and returns its index; that of an instance known already, if the free
    /// queue and the kind are the same. `buffer_size` counts if the kind has none. Any thread; locks when it adds.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_INVALID` for numbers out of range, `LANEPIPE_E_DUPLICATE` for a free queue that a tracked pool's profiler
    /// knows under another kind, `LANEPIPE_E_TOO_LARGE` beyond `max_instances`, `LANEPIPE_E_NO_MEMORY`.
    pub fn add_instance(&self, instance: Instance, buffer_size: usize) -> Result<u32, Status> {
        self.config.check_instance(&instance, self.pool.config().untracked).map_err(|problem| problem.status)?;
        self.instances.add(instance, buffer_size)
    }

    /// Counters of a ready queue. Any thread.
    pub fn queue_stats(&self, queue: u32) -> Option<QueueStats> {
        self.stats.queues.get(queue as usize).map(|counters| counters.snapshot())
    }

    /// Counters of a shard. Any thread.
    pub fn shard_stats(&self, shard: u32) -> Option<ShardStats> {
        self.stats.shards.get(shard as usize).map(|counters| counters.snapshot())
    }

    /// Counters of the gates. Any thread.
    pub fn gate_stats(&self) -> GateStats {
        self.stats.gates.snapshot()
    }

    /// The last fault of a worker thread. Any thread.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.read()
    }

    /// Fills the free queues and starts the threads. Owner thread.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` if it runs or is stopping, or another profiler runs on the pool; `LANEPIPE_BUSY` while another
    /// thread is inside start or stop; `LANEPIPE_E_CORRUPT` if the head of a ready queue is out of range;
    /// `LANEPIPE_E_THREAD` if the factory fails (nothing is left running).
    pub fn start(&self) -> Result<(), Status> {
        let _inside = self.enter()?;
        // An untracked pool's owner knows its region by the run-time's own conventions; what is wrong there shows later.
        if !self.pool.config().untracked {
            self.check_heads()?;
            self.check_region()?;
        }
        if self.active.lock().is_some() || !self.pool.begin_run() {
            self.pool.logger().log(log::ERROR, format_args!("start of a profiler that runs, or on a pool in use"));
            return Err(Status::LANEPIPE_E_STATE);
        }
        self.pool.abandon_tick();
        for (number, served) in self.instances.iter() {
            served.route().reopen();
            if served.is_first(number)
                && let Some(mut free) = self.instances.enter(served)
            {
                free.renew(&self.pool);
            }
        }
        for (kind, at) in (0u32..).zip(&self.config.kinds) {
            // Another profiler on the pool may have set its own.
            self.pool.store_warm_target(kind, at.warm_target);
        }
        // Before the run takes stock of the buffers that are on their way.
        if !self.config.prefilled {
            self.fill_free_queues();
        } else if self.config.gates.is_none() {
            self.hand_over_empty();
        }
        let run = Arc::new(self.new_run());
        for shard in 0..run.shards {
            self.pool.ready(shard).fence_hops(true);
        }
        let mut starting = Active { run, threads: Vec::new(), phase: 0 };
        let spawned = self.spawn_all(&mut starting);
        starting.run.give_order(spawned.is_ok());
        if let Err(status) = spawned {
            self.pool.logger().log(log::ERROR, format_args!("start failed: {status:?}"));
            // Only threads that were started are waited for, and none of them can be kept.
            self.finish(&mut starting, Deadline::NEVER);
            // There may have been no replenish thread to do it.
            replenish::conclude(&starting.run);
            self.end(&starting);
            return Err(status);
        }
        *self.active.lock() = Some(starting);
        self.state.store(State::Running as u32, Ordering::Relaxed);
        Ok(())
    }

    /// Delivers what the device published before the call, ends and joins all threads. Owner thread.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_TIMED_OUT` if `deadline` (nanoseconds of the monotonic clock) passed first; the profiler stays in
    /// stopping. `LANEPIPE_BUSY` while another thread is inside start or stop.
    pub fn stop(&self, deadline: u64) -> Result<(), Status> {
        let _inside = self.enter()?;
        let Some(mut stopping) = self.active.lock().take() else {
            return Ok(());
        };
        self.state.store(State::Stopping as u32, Ordering::Relaxed);
        if !self.finish(&mut stopping, deadline) {
            let role = STOP_ORDER[stopping.phase];
            self.pool.logger().log(log::ERROR, format_args!("stop timed out waiting for a {role:?} thread"));
            *self.active.lock() = Some(stopping);
            return Err(Status::LANEPIPE_TIMED_OUT);
        }
        self.end(&stopping);
        self.state.store(State::Stopped as u32, Ordering::Relaxed);
        Ok(())
    }

    /// What the threads of the current run share.
    #[cfg(all(test, not(loom)))]
    pub(super) fn current_run(&self) -> Option<Arc<Run>> {
        self.active.lock().as_ref().map(|active| active.run.clone())
    }

    /// What the threads of a run will share; none of them exists.
    pub(super) fn new_run(&self) -> Run {
        let Self { pool, config, stats, fault, instances, .. } = self;
        Run::new(pool.clone(), config.clone(), stats.clone(), fault.clone(), instances.clone())
    }

    fn check_heads(&self) -> Result<(), Status> {
        let mut queues = self.config.queues.iter();
        if let Some(bad) = queues.position(|queue| queue.port.own_head() >= queue.port.capacity) {
            self.pool.logger().log(log::ERROR, format_args!("start: the head of ready queue {bad} is out of range"));
            return Err(Status::LANEPIPE_E_CORRUPT);
        }
        Ok(())
    }

    /// Where memory is copied, every queue word must lie in the shared region.
    fn check_region(&self) -> Result<(), Status> {
        let memory = self.pool.memory();
        if memory.copies_in() != memory.copies_out() {
            self.pool.logger().log(log::ERROR, format_args!("start: one copy callback is set, the other is not"));
            return Err(Status::LANEPIPE_E_NULL);
        }
        if !memory.copies() {
            return Ok(());
        }
        let inside = |address: usize, size: usize| memory.device_address(address as u64, size).is_some();
        let word = |word: &RawWord32| inside(word.address() as usize, size_of::<u32>());
        let words = |words: &RawWords64, count: usize| inside(words.address(0) as usize, count * size_of::<u64>());
        let sound = memory.shm_dev != 0
            && memory.shm_host != 0
            && self.config.queues.iter().map(|queue| &queue.port).all(|port| {
                let entries = port.capacity as usize * port.entry_words as usize;
                word(&port.head) && word(&port.tail) && words(&port.entries, entries)
            })
            && self
                .instances
                .iter()
                .map(|(_, served)| &served.instance.free)
                .all(|port| word(&port.head) && word(&port.tail) && words(&port.slots, port.slot_count as usize));
        if sound {
            return Ok(());
        }
        let what = format_args!("start: a queue is not inside the shared region");
        self.pool.logger().log(log::ERROR, what);
        Err(Status::LANEPIPE_E_INVALID)
    }

    /// Makes the pool ready for the next run.
    fn end(&self, ended: &Active) {
        for shard in 0..ended.run.shards {
            self.pool.ready(shard).reopen();
            self.pool.ready(shard).fence_hops(false);
        }
        self.pool.end_run();
    }

    fn enter(&self) -> Result<Inside<'_>, Status> {
        if self.busy.take() { Ok(Inside(&self.busy)) } else { Err(Status::LANEPIPE_BUSY) }
    }

    /// Tops up every free queue from the lanes, allocating where they are dry. What stays empty is left to its drain thread.
    fn fill_free_queues(&self) {
        let link = SharedLink::new(self.pool.memory());
        // What an earlier run left on its way comes before anything new.
        // SAFETY: no thread runs yet, so this one may play every role.
        unsafe {
            self.pool.recycle_all_done(|_, _| ());
            self.pool.recirculate(|_, _| ());
        }
        for (number, served) in self.instances.iter() {
            match self.fill(&link, served) {
                Refill::Done(_) => {}
                Refill::Starved | Refill::Failed(..) => served.mark_hungry(),
                // Asks for nothing: who knows what it has.
                Refill::Corrupt(head) => {
                    let count = self.stats.queues[served.queue() as usize].corrupt.add(1);
                    let what = format_args!("start: head {head} of the free queue of instance {number} is impossible");
                    self.pool.logger().log_occurrence(log::ERROR, count, what);
                }
            }
        }
    }

    /// Leaves free queues that stand empty to their drain threads: without gates the device has no way to ask.
    fn hand_over_empty(&self) {
        let link = SharedLink::new(self.pool.memory());
        for (_, served) in self.instances.iter() {
            if !served.instance.free.surely_holds(&link) {
                served.mark_hungry();
            }
        }
    }

    fn fill(&self, link: &SharedLink, served: &Served) -> Refill {
        let kind = served.instance.kind;
        let shard = served.queue() % self.pool.live_shards();
        let config = &self.config.kinds[kind as usize];
        let size = self.instances.buffer_size(kind);
        let Some(mut free) = self.instances.enter(served) else {
            return Refill::Done(0);
        };
        let outcome = loop {
            // SAFETY: no thread runs yet, so this one may play every role.
            let refill = unsafe { free.top_up(&self.pool, link, kind, shard, u32::MAX) };
            let allowance = match config.max_buffers {
                0 => u32::MAX,
                most => most.saturating_sub(self.pool.tracked(kind)),
            };
            let count = config.batch_size.min(allowance);
            let short = match refill {
                Refill::Starved => true,
                Refill::Done(_) => free.room(link).is_ok_and(|room| room != 0),
                Refill::Failed(..) | Refill::Corrupt(_) => false,
            };
            if !short || count == 0 || size == 0 {
                break refill;
            }
            // A block larger than its lane left the rest parked.
            // SAFETY: as above.
            if unsafe { self.pool.recirculate(|_, _| ()) }.placed != 0 {
                continue;
            }
            // SAFETY: as above.
            if unsafe { self.pool.allocate(kind, size, count, Some(shard)) }.is_err() {
                break refill;
            }
        };
        // The run takes stock of them itself.
        free.take_parked();
        outcome
    }

    fn spawn_all(&self, starting: &mut Active) -> Result<(), Status> {
        let run = starting.run.clone();
        starting.threads.try_reserve_exact(2 + 2 * run.shards as usize).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        // None works before all are there: a drain thread without its collect thread could not end.
        for shard in 0..run.shards {
            let drain = Drain::new(&run, shard);
            self.spawn(starting, Role::Drain, shard, move |run| drain.run(run))?;
        }
        let replenish = Replenish::new(&run);
        self.spawn(starting, Role::Replenish, 0, move |run| replenish.run(run))?;
        for shard in 0..run.shards {
            self.spawn(starting, Role::Collect, shard, move |run| collect::run(run, shard))?;
        }
        if !self.config.merged_sentinel {
            let sentinel = Sentinel::new(&run);
            self.spawn(starting, Role::Sentinel, 0, move |run| sentinel.run(run))?;
        }
        Ok(())
    }

    fn spawn(
        &self,
        starting: &mut Active,
        role: Role,
        index: u32,
        body: impl FnOnce(&Run) + Send + 'static,
    ) -> Result<(), Status> {
        let run = starting.run.clone();
        let body = ThreadBody::new(move || {
            // The boundary of the thread: a panic ends the thread and is reported, and stop does not wait for it, though it may
            // for a drain thread that finds no room in the ring of a collect thread that ended so. Callbacks in C cannot panic.
            if run.await_order() && catch_unwind(AssertUnwindSafe(|| body(&run))).is_err() {
                run.note_panic(role, index);
                run.report(Status::LANEPIPE_E_PANIC, role, index, 0, 1, "internal error");
            }
            run.note_exit(role);
        });
        let thread = self.config.hooks.spawn(role, index, body).ok_or(Status::LANEPIPE_E_THREAD)?;
        starting.threads.push((role, thread));
        Ok(())
    }

    /// Ends and joins the threads role by role; false if `deadline` passed first.
    fn finish(&self, active: &mut Active, deadline: u64) -> bool {
        let run = active.run.clone();
        while let Some(role) = STOP_ORDER.get(active.phase).copied() {
            match role {
                Role::Sentinel | Role::Drain => run.stop_intake(),
                Role::Replenish => run.circulation.stop(),
                Role::Collect => (0..run.shards).for_each(|shard| self.pool.ready(shard).close()),
            }
            let started = active.threads.iter().filter(|(at, _)| *at == role).count() as u32;
            if !run.wait_exit(role, started, deadline) {
                return false;
            }
            active.threads.retain(|(at, thread)| {
                if *at == role {
                    self.config.hooks.join(*thread);
                }
                *at != role
            });
            active.phase += 1;
        }
        if run.is_unconcluded() {
            replenish::conclude(&run);
        }
        true
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        // Threads hold callbacks whose context may go with the profiler.
        let _ = self.stop(Deadline::NEVER);
    }
}

/// Marks a thread inside start or stop.
struct Inside<'a>(&'a Turn);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}
