//! A profiler on a simulated device, and what must hold once it has stopped.

use super::device::{DeviceQueue, HostHooks, SharedHooks, queued};
use super::world::{BUFFER_SIZE, PATIENCE, Plan, World};
use crate::event::Deadline;
use crate::log::Logger;
use crate::pool::ledger::Place;
use crate::pool::{Audit, Buffer, Pool, PoolConfig};
use crate::profiler::{Config, Instance, KindConfig, Profiler, QueueStats, ReadyQueueConfig, steps};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct Harness {
    // First: its drop stops the threads, which use everything below.
    pub profiler: Profiler,
    pub hooks: Arc<HostHooks>,
    pub pool: Arc<Pool>,
    pub world: Arc<World>,
    pub device: Vec<DeviceQueue>,
}

impl Harness {
    pub fn new(plan: Plan) -> Self {
        let world = World::new(plan);
        let pool = Self::pool(&world);
        let hooks = Arc::new(HostHooks::new(&world, &pool));
        let config = Self::config(&world, &hooks);
        Self {
            profiler: Profiler::new(pool.clone(), config).unwrap(),
            device: (0..world.plan.queues).map(|number| DeviceQueue::new(&world, &pool, number)).collect(),
            hooks,
            pool,
            world,
        }
    }

    fn pool(world: &Arc<World>) -> Arc<Pool> {
        let plan = &world.plan;
        let pool = Pool::new(PoolConfig {
            shards: plan.shards,
            kinds: plan.kinds,
            payload_size: plan.payload_size,
            ready_capacity: plan.host_ready,
            done_capacity: plan.done,
            recycled_capacity: plan.recycled,
            strict: false,
            untracked: plan.compat,
            check_overlap: false,
            block_granularity: 1,
            block_align: 1,
            logger: Logger::default(),
        });
        let pool = Arc::new(pool.unwrap());
        pool.set_memory(world.context()).unwrap();
        pool
    }

    /// What a profiler of the plan is made of.
    pub fn config(world: &Arc<World>, hooks: &Arc<HostHooks>) -> Config {
        let plan = &world.plan;
        let queue = |number| ReadyQueueConfig { port: world.host_ready(number), pointer_word: 0 };
        let instance = |number| Instance {
            free: world.host_free(number),
            kind: plan.kind_of(number),
            queue: if plan.compat { 0 } else { plan.queue_of(number) },
            guess: false,
        };
        let kind = |_| KindConfig {
            buffer_size: BUFFER_SIZE,
            batch_size: plan.batch_size,
            warm_target: plan.warm_target,
            max_buffers: plan.max_buffers,
        };
        let known = if plan.known_instances == 0 { plan.instances() } else { plan.known_instances };
        Config {
            queues: (0..plan.queues).map(queue).collect(),
            instances: (0..known).map(instance).collect(),
            max_instances: plan.instances(),
            kinds: (0..plan.kinds).map(kind).collect(),
            collect_batch: plan.collect_batch,
            poll_min_ns: plan.poll_min.as_nanos() as u64,
            poll_max_ns: plan.poll_max.as_nanos() as u64,
            quiet_ns: 1_000_000,
            idle_ns: plan.idle_ns,
            copy_tries: if plan.compat { 1 } else { 3 },
            gates: plan.gates.then(|| world.host_gates()),
            merged_sentinel: plan.merged_sentinel || plan.compat,
            prefilled: plan.prefilled || plan.compat,
            eager: plan.eager || plan.compat,
            hooks: Box::new(SharedHooks(hooks.clone())),
        }
    }

    /// Seeds a lane with `count` buffers, by hand.
    pub fn seed(&self, shard: u32, kind: u32, count: u32) {
        // SAFETY: no thread runs yet.
        let placed = unsafe { self.pool.allocate(kind, BUFFER_SIZE, count, Some(shard)) };
        assert_eq!(placed, Ok(count as usize));
    }

    pub fn start(&self) {
        if self.world.plan.compat {
            self.fill_by_hand();
        }
        self.profiler.start().unwrap();
    }

    /// Fills the free queues with the steps by hand.
    pub fn fill_by_hand(&self) {
        let plan = &self.world.plan;
        for number in 0..plan.instances() {
            let (free, kind) = (self.world.host_free(number), plan.kind_of(number));
            // SAFETY: no thread runs.
            unsafe { steps::refill(&self.pool, &free, kind, BUFFER_SIZE, plan.batch_size) };
        }
    }

    /// All device threads publish `count` entries per instance.
    pub fn publish(&mut self, count: u64) {
        std::thread::scope(|scope| {
            for queue in &mut self.device {
                scope.spawn(move || queue.publish(count));
            }
        });
        self.world.assert_content();
    }

    pub fn stop(&self) {
        let deadline = Deadline::after(PATIENCE);
        assert_eq!(self.profiler.stop(deadline), Ok(()), "stop hangs");
        assert_eq!(self.hooks.alive.load(Ordering::Relaxed), 0, "a thread outlives stop");
    }

    pub fn published(&self) -> u64 {
        let producers = self.device.iter().flat_map(|queue| &queue.producers);
        producers.map(|(_, _, producer)| producer.sequence).sum::<u64>() + self.nulls()
    }

    pub fn nulls(&self) -> u64 {
        self.device.iter().map(|queue| queue.nulls).sum()
    }

    pub fn totals(&self) -> QueueStats {
        let mut totals = QueueStats::default();
        for queue in 0..self.world.plan.queues {
            let stats = self.profiler.queue_stats(queue).unwrap();
            totals.taken += stats.taken;
            totals.delivered += stats.delivered;
            totals.rejected += stats.rejected;
            totals.copy_failed += stats.copy_failed;
            totals.refilled += stats.refilled;
            totals.starved += stats.starved;
            totals.ready_full += stats.ready_full;
            totals.transfer_failed += stats.transfer_failed;
            totals.corrupt += stats.corrupt;
        }
        totals
    }

    /// Everything that holds after a stop with a device that is quiet and a link that works.
    pub fn verify(&self) {
        self.world.assert_content();
        let totals = self.totals();
        let collected: u64 =
            (0..self.world.plan.shards).map(|shard| self.profiler.shard_stats(shard).unwrap().collected).sum();
        let delivered: usize = self.world.delivered.lock().unwrap().iter().map(Vec::len).sum();
        let rejected = self.world.rejected.lock().unwrap().len() as u64 + self.nulls();
        assert_eq!(totals.taken, self.published(), "stop left entries behind: {totals:?}");
        assert_eq!(totals.taken, totals.delivered + totals.rejected + totals.copy_failed);
        assert_eq!((totals.delivered, collected), (delivered as u64, delivered as u64));
        assert_eq!(totals.rejected, rejected);
        self.verify_books();
    }

    /// No buffer is in two places or in the hands of a thread.
    pub fn verify_conservation(&self) -> Audit {
        // SAFETY: no thread runs.
        let audit = unsafe { self.pool.audit() };
        assert_eq!(audit.errors, 0, "{audit:?}");
        for place in [Place::Drain, Place::Ready, Place::Collect, Place::Replenish] {
            assert_eq!(audit.at(place), 0, "{place:?}");
        }
        audit
    }

    /// Every buffer is in one place.
    pub fn verify_books(&self) {
        let audit = self.verify_conservation();
        let mut at_device = BTreeSet::new();
        for queue in &self.device {
            assert_eq!(queue.pending(), [], "entries are not acknowledged");
            for (instance, free, producer) in &queue.producers {
                for dev in queued(free).into_iter().chain(producer.current) {
                    assert!(at_device.insert(dev), "{dev:#x} is at the device twice");
                    if self.world.plan.compat {
                        continue;
                    }
                    let kind = self.world.plan.kind_of(*instance);
                    let known = self.pool.ledger().get(self.pool.resolve(dev).unwrap().id).unwrap();
                    assert_eq!((known.place, known.kind), (Place::Device, kind), "{dev:#x}");
                }
            }
        }
        if self.world.plan.compat {
            let mut all = at_device;
            for buffer in self.pool.queued_buffers() {
                assert!(all.insert(buffer.dev), "{buffer} is in two places");
            }
            assert_eq!(all.len() as u32, self.world.buffers_given.load(Ordering::Relaxed), "buffers are lost");
        } else {
            assert_eq!(audit.at(Place::Device), at_device.len() as u64, "{audit:?}");
        }
        for shard in 0..self.world.plan.shards {
            for kind in 0..self.world.plan.kinds {
                assert_eq!(self.pool.demand(shard as usize, kind).load(Ordering::Relaxed), 0);
            }
        }
    }

    /// A buffer of kind 0 that the test itself brings along.
    pub fn foreign(&self, words: &mut [u64]) -> Buffer {
        let dev = words.as_mut_ptr() as u64;
        let id = self.pool.register(dev, dev, 0).unwrap();
        Buffer { dev, kind: 0, id }
    }

    pub fn set_shards(&self, shards: u32) {
        assert_eq!(self.pool.set_live_shards(shards), Ok::<(), Status>(()));
    }
}
