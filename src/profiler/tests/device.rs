//! The device half of both queues, as the contract describes it, and the host's callbacks.

use super::world::{BUFFER_SIZE, ENTRY_WORDS, PATIENCE, World, mix, set_role};
use crate::layout::{Gate, Gates, Words64};
use crate::pool::ledger::Place;
use crate::pool::{Buffer, Pool};
use crate::profiler::{Entry, Free, Hooks, Ready, Role, Site, ThreadBody};
use crate::sync::{RawWord32, Word32, Word64};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CONTENT_WORDS: usize = BUFFER_SIZE / 8;

/// One producer on the device.
#[derive(Debug, Clone, Default)]
pub struct Producer {
    pub current: Option<u64>,
    /// Sequence number of its next entry.
    pub sequence: u64,
    /// Entries still to be published.
    pub left: u64,
}

/// The control thread of one ready queue, with its instances. Lives across runs.
pub struct DeviceQueue {
    world: Arc<World>,
    pool: Arc<Pool>,
    number: u32,
    ready: Ready,
    /// By position: instance `number + position * queues`.
    pub producers: Vec<(u32, Free, Producer)>,
    steps: u64,
    pub nulls: u64,
    gates: Gates<RawWord32>,
    /// The last step published, so the push gate may hold the lane.
    published: bool,
    /// The signal of the wait for room has been raised; likewise of each producer's wait for a buffer.
    waits_for_room: bool,
    waits_for_buffer: Vec<bool>,
    /// Waits for a buffer that raised the signal.
    pub signals: u64,
}

impl DeviceQueue {
    pub fn new(world: &Arc<World>, pool: &Arc<Pool>, number: u32) -> Self {
        let instances = (0..world.plan.instances()).filter(|instance| world.plan.queue_of(*instance) == number);
        Self {
            ready: world.device_ready(number),
            producers: instances.map(|instance| (instance, world.device_free(instance), Producer::default())).collect(),
            world: world.clone(),
            pool: pool.clone(),
            number,
            steps: 0,
            nulls: 0,
            gates: world.device_gates(),
            published: false,
            waits_for_room: false,
            waits_for_buffer: vec![false; world.plan.instances_per_queue as usize],
            signals: 0,
        }
    }

    /// Whether a gate holds the lane of producer `position`.
    fn is_parked(&mut self, position: usize) -> bool {
        if !self.world.plan.gates {
            return false;
        }
        self.published &= self.gates.push.freeze.load(Ordering::Acquire) != 0;
        self.published || self.waits_for_buffer[position] && self.gates.pop.freeze.load(Ordering::Acquire) != 0
    }

    fn signal(&mut self, gate: Gate<RawWord32>) {
        if self.world.plan.gates {
            self.signals += 1;
            gate.contended.store(1, Ordering::Release);
        }
    }

    /// Publishes `count` entries of each instance, in random turns.
    pub fn publish(&mut self, count: u64) {
        for (_, _, producer) in &mut self.producers {
            producer.left += count;
        }
        let mut progress = Instant::now();
        let mut waits = 0;
        while self.producers.iter().any(|(_, _, producer)| producer.left != 0) {
            self.steps += 1;
            let turn = mix(&[self.world.plan.seed, 1, u64::from(self.number), self.steps]) as usize;
            if self.step(turn % self.producers.len()) {
                (progress, waits) = (Instant::now(), 0);
            } else if progress.elapsed() > PATIENCE {
                let (number, left) = (self.number, &self.producers);
                let left: Vec<_> = left.iter().map(|(instance, _, producer)| (instance, producer)).collect();
                let pool = &self.pool;
                let mut places = BTreeMap::new();
                pool.ledger().for_each(|_, at| *places.entry((at.kind, at.place as u8, at.shard)).or_insert(0) += 1);
                self.world
                    .complain(format!("queue {number} hangs: {left:?}; buffers by (kind, place, shard): {places:?}"));
                return;
            } else {
                waits += 1;
                if waits < 100 {
                    std::thread::yield_now();
                } else {
                    std::thread::sleep(Duration::from_micros(20));
                }
            }
        }
    }

    /// Each producer takes the buffer that it is going to publish next.
    pub fn take_up(&mut self) {
        for position in 0..self.producers.len() {
            self.producers[position].2.left += 1;
            assert!(self.step(position) && self.producers[position].2.current.is_some());
        }
    }

    /// Lets one producer do what it can; whether it did anything.
    pub fn step(&mut self, position: usize) -> bool {
        if self.is_parked(position) {
            return false;
        }
        let tail = self.ready.tail.load(Ordering::Relaxed);
        let next = (tail + 1) % self.ready.capacity;
        let (instance, free, producer) = &mut self.producers[position];
        let instance = *instance;
        if producer.left == 0 {
            return false;
        }
        let Some(dev) = producer.current else {
            producer.current = take(&self.world, &self.pool, instance, free);
            let took = producer.current.is_some();
            if !took && !self.waits_for_buffer[position] {
                self.signal(self.gates.pop);
            }
            self.waits_for_buffer[position] = !took;
            return took;
        };
        if self.ready.head.load(Ordering::Acquire) == next {
            if !std::mem::replace(&mut self.waits_for_room, true) {
                self.signal(self.gates.push);
            }
            return false;
        }
        self.waits_for_room = false;
        let (_, _, producer) = &mut self.producers[position];
        let chance = mix(&[self.world.plan.seed, 2, u64::from(self.number), self.steps]) % 1000;
        let is_null = chance < self.world.plan.null_entries;
        let sequence = producer.sequence;
        if !is_null {
            for (index, value) in content(instance, sequence).into_iter().enumerate() {
                // SAFETY: the device owns the buffer, which is this large.
                let word = unsafe { AtomicU64::from_ptr(self.world.memory_at(dev).add(index)) };
                word.store(value, Ordering::Relaxed);
            }
            self.world.with_device.lock().unwrap().remove(&dev);
            producer.current = None;
            producer.sequence += 1;
            producer.left -= 1;
        }
        self.nulls += u64::from(is_null);
        let entry =
            [if is_null { 0 } else { dev }, u64::from(instance), sequence, mix(&[u64::from(instance), sequence])];
        for (index, value) in entry.into_iter().enumerate() {
            let at = (tail * ENTRY_WORDS) as usize + index;
            self.ready.entries.with(at, |word| word.store(value, Ordering::Relaxed));
        }
        self.ready.tail.store(next, Ordering::Release);
        self.published = true;
        true
    }

    /// Entries that the host has not acknowledged.
    pub fn pending(&self) -> Vec<u64> {
        let (mut at, tail) = (self.ready.head.load(Ordering::Acquire), self.ready.tail.load(Ordering::Relaxed));
        let mut pending = Vec::new();
        while at != tail {
            let address = |word: &<crate::layout::RawWords64 as Words64>::Word| word.load(Ordering::Relaxed);
            pending.push(self.ready.entries.with((at * ENTRY_WORDS) as usize, address));
            at = (at + 1) % self.ready.capacity;
        }
        pending
    }
}

/// Buffers that the host has put into a free queue and the device has not taken.
pub fn queued(free: &Free) -> Vec<u64> {
    let (mut at, tail) = (free.head.load(Ordering::Relaxed), free.tail.load(Ordering::Acquire));
    assert!(tail.wrapping_sub(at) <= free.slot_count, "a free queue holds more than its slots");
    let mut queued = Vec::new();
    while at != tail {
        let slot = (at % free.slot_count) as usize;
        queued.push(free.slots.with(slot, |word| word.load(Ordering::Relaxed)));
        at = at.wrapping_add(1);
    }
    queued
}

/// Takes a buffer from a free queue.
fn take(world: &World, pool: &Pool, instance: u32, free: &Free) -> Option<u64> {
    let head = free.head.load(Ordering::Relaxed);
    let tail = free.tail.load(Ordering::Acquire);
    let fill = tail.wrapping_sub(head);
    if fill > free.slot_count {
        world.complain(format!("free queue {instance}: head {head}, tail {tail}"));
        return None;
    }
    if fill == 0 {
        return None;
    }
    let slot = (head % free.slot_count) as usize;
    let dev = free.slots.with(slot, |word| word.load(Ordering::Relaxed));
    free.head.store(head.wrapping_add(1), Ordering::Release);
    let known = pool.resolve(dev).and_then(|known| pool.ledger().get(known.id));
    let kind = world.plan.kind_of(instance);
    let is_mine = known.is_some_and(|entry| (entry.place, entry.kind) == (Place::Device, kind));
    world.require(is_mine || world.plan.compat, || {
        format!("instance {instance} of kind {kind} got {dev:#x}, which is {known:?}")
    });
    let is_new = world.with_device.lock().unwrap().insert(dev);
    world.require(is_new, || format!("{dev:#x} was handed out twice"));
    Some(dev)
}

/// What a device buffer holds.
fn content(instance: u32, sequence: u64) -> [u64; CONTENT_WORDS] {
    let mut words = [0; CONTENT_WORDS];
    words[..2].copy_from_slice(&[u64::from(instance), sequence]);
    for index in 2..CONTENT_WORDS {
        words[index] = mix(&[words[0], sequence, index as u64]);
    }
    words
}

/// The host's callbacks.
pub struct HostHooks {
    pub world: Arc<World>,
    pub pool: Arc<Pool>,
    /// Thread creations until one fails; none if negative.
    pub spawns_left: AtomicU32,
    pub threads: Mutex<Vec<Option<JoinHandle<()>>>>,
    pub alive: AtomicU32,
    /// Collectors wait while this is set.
    pub held: Mutex<bool>,
    pub release: Condvar,
    pub waiting: AtomicU32,
    inside: Vec<AtomicBool>,
    calls: AtomicU64,
    /// What the subsystem says about opening the gates.
    pub agreed: AtomicBool,
    /// Freezes that came to their refill.
    pub refreshed: AtomicU32,
    /// The next refresh panics.
    pub refresh_panics: AtomicBool,
    /// A queue whose entries make `resolve` panic.
    pub resolve_panics: AtomicU32,
    /// Instances publish on whatever queue they like.
    pub any_queue: AtomicBool,
    /// Times that the end of what an earlier run left was told.
    pub left_over_calls: AtomicU32,
    /// Shards that were reported idle.
    pub idle_reports: Mutex<Vec<u32>>,
}

impl HostHooks {
    pub fn new(world: &Arc<World>, pool: &Arc<Pool>) -> Self {
        Self {
            spawns_left: AtomicU32::new(u32::MAX),
            threads: Mutex::default(),
            alive: AtomicU32::new(0),
            held: Mutex::new(false),
            release: Condvar::new(),
            waiting: AtomicU32::new(0),
            inside: (0..64).map(|_| AtomicBool::new(false)).collect(),
            calls: AtomicU64::new(0),
            agreed: AtomicBool::new(true),
            refreshed: AtomicU32::new(0),
            refresh_panics: AtomicBool::new(false),
            resolve_panics: AtomicU32::new(u32::MAX),
            any_queue: AtomicBool::new(false),
            left_over_calls: AtomicU32::new(0),
            idle_reports: Mutex::default(),
            world: world.clone(),
            pool: pool.clone(),
        }
    }

    /// Makes all collectors wait inside their next call, or lets them go on.
    pub fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.release.notify_all();
    }

    fn answer(&self, queue: u32, entry: &Entry, site: &mut Site) {
        let (world, plan) = (&self.world, &self.world.plan);
        // SAFETY: an entry is that long.
        let words: [u64; ENTRY_WORDS as usize] = unsafe { entry.bytes.cast::<[u64; 4]>().read_unaligned() };
        let (instance, sequence) = (words[1] as u32, words[2]);
        let sound = instance < plan.instances()
            && (self.any_queue.load(Ordering::Relaxed) || plan.queue_of(instance) == queue)
            && words[3] == mix(&[words[1], sequence])
            && words[0] == entry.dev;
        world.require(sound, || format!("entry {words:x?} of queue {queue} is torn"));
        if !sound {
            return;
        }
        if entry.dev == 0 {
            site.instance = instance;
            return;
        }
        {
            let mut seen = world.seen.lock().unwrap();
            let next = &mut seen[instance as usize];
            world.require(*next == sequence, || format!("instance {instance}: entry {sequence} instead of {next}"));
            *next = sequence + 1;
        }
        world.require(entry.host != 0, || format!("{:#x} is not known", entry.dev));
        let lot = mix(&[plan.seed, 3, u64::from(instance), sequence]);
        site.instance = instance;
        site.content_size = BUFFER_SIZE;
        if lot % 1000 < plan.reject {
            world.rejected.lock().unwrap().insert((instance, sequence));
            match lot / 1000 % 3 {
                0 => site.instance = crate::profiler::REJECT,
                1 => site.instance = plan.instances(),
                // Whoever is not asked to keep books goes by the answer.
                _ if plan.compat => site.instance = crate::profiler::REJECT,
                _ => site.content_size = BUFFER_SIZE + 8,
            }
        }
        for word in 0..plan.payload_size as u64 / 8 {
            // SAFETY: the payload is that long.
            unsafe {
                let at = site.payload.cast::<u64>().add(word as usize);
                self.world.require(at.read_unaligned() == 0, || "a payload is not zeroed".to_owned());
                at.write_unaligned(mix(&[u64::from(instance), sequence, word]));
            }
        }
    }

    fn take(&self, shard: u32, buffer: &Buffer, payload: *const u8) {
        let (world, plan) = (&self.world, &self.world.plan);
        if plan.compat && buffer.dev == 0 {
            return;
        }
        let Some(known) = self.pool.resolve(buffer.dev).filter(|known| known.id == buffer.id) else {
            return world.complain(format!("{buffer} was collected and is not known"));
        };
        let word = |index: usize| {
            // SAFETY: the host address is that of a whole buffer.
            unsafe { AtomicU64::from_ptr((known.host as *mut u64).add(index)) }.load(Ordering::Relaxed)
        };
        let words: [u64; CONTENT_WORDS] = std::array::from_fn(word);
        let (instance, sequence) = (words[0] as u32, words[1]);
        if instance >= plan.instances() || words != content(instance, sequence) {
            return world.complain(format!("{buffer} holds {words:x?}"));
        }
        let place = self.pool.ledger().get(buffer.id).map(|entry| entry.place);
        let is_held = plan.compat || place == Some(Place::Collect);
        world.require(is_held, || format!("{buffer} is collected, but {place:?}"));
        world.require(plan.kind_of(instance) == buffer.kind, || format!("{buffer} of instance {instance}"));
        let is_its_shard = plan.queue_of(instance) % self.pool.live_shards() == shard;
        world.require(is_its_shard || self.any_queue.load(Ordering::Relaxed), || {
            format!("instance {instance} was collected by shard {shard}")
        });
        for index in 0..plan.payload_size as u64 / 8 {
            // SAFETY: the payload is that long.
            let value = unsafe { payload.cast::<u64>().add(index as usize).read_unaligned() };
            world.require(value == mix(&[u64::from(instance), sequence, index]), || {
                format!("payload word {index} of instance {instance}, {sequence}")
            });
        }
        let refused = world.rejected.lock().unwrap().contains(&(instance, sequence));
        world.require(!refused, || format!("instance {instance}: rejected entry {sequence} was delivered"));
        let delivered = &mut world.delivered.lock().unwrap()[instance as usize];
        let last = delivered.last().copied();
        world.require(last.is_none_or(|last| last < sequence), || {
            format!("instance {instance}: {sequence} was delivered after {last:?}")
        });
        delivered.push(sequence);
    }
}

/// The hooks as the profiler takes them; the test keeps its own reference.
pub struct SharedHooks(pub Arc<HostHooks>);

impl Hooks for SharedHooks {
    fn left_over_taken(&self) {
        self.0.left_over_calls.fetch_add(1, Ordering::Relaxed);
    }

    fn resolve(&self, queue: u32, entries: &[Entry], sites: &mut [Site]) {
        assert_ne!(self.0.resolve_panics.load(Ordering::Relaxed), queue, "the module fails");
        for (entry, site) in entries.iter().zip(sites) {
            self.0.answer(queue, entry, site);
        }
    }

    fn collect(&self, shard: u32, buffers: &[Buffer], payloads: *const u8) {
        let hooks = &self.0;
        let plan = &hooks.world.plan;
        let overlaps = hooks.inside[shard as usize].swap(true, Ordering::Relaxed);
        hooks.world.require(!overlaps, || format!("collect calls of shard {shard} overlap"));
        hooks.waiting.fetch_add(1, Ordering::Relaxed);
        let mut held = hooks.held.lock().unwrap();
        while *held {
            held = hooks.release.wait(held).unwrap();
        }
        drop(held);
        hooks.waiting.fetch_sub(1, Ordering::Relaxed);
        for (index, buffer) in buffers.iter().enumerate() {
            hooks.take(shard, buffer, payloads.wrapping_add(index * plan.payload_size as usize));
        }
        let lot = mix(&[plan.seed, 4, hooks.calls.fetch_add(1, Ordering::Relaxed)]);
        if plan.slow_collect != 0 && lot.is_multiple_of(4) {
            std::thread::sleep(Duration::from_micros(lot / 4 % plan.slow_collect));
        }
        hooks.inside[shard as usize].store(false, Ordering::Relaxed);
    }

    fn kind_of(&self, _: u32, buffer: &Buffer, _: *const u8) -> u32 {
        let plan = &self.0.world.plan;
        if plan.changes_kinds { (buffer.kind + 1) % plan.kinds } else { buffer.kind }
    }

    fn release_ready(&self) -> bool {
        self.0.agreed.load(Ordering::Relaxed)
    }

    fn refresh(&self) {
        self.0.refreshed.fetch_add(1, Ordering::Relaxed);
        assert!(!self.0.refresh_panics.load(Ordering::Relaxed), "a refresh that panics");
    }

    fn idle(&self, shard: u32) {
        self.0.idle_reports.lock().unwrap().push(shard);
    }

    fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize> {
        let hooks = self.0.clone();
        if hooks.spawns_left.fetch_sub(1, Ordering::Relaxed) == 0 {
            return None;
        }
        hooks.alive.fetch_add(1, Ordering::Relaxed);
        let thread = std::thread::Builder::new().name(format!("{role:?}{index}"));
        let thread = thread.spawn(move || {
            set_role(role);
            body.run();
            hooks.alive.fetch_sub(1, Ordering::Relaxed);
        });
        let mut threads = self.0.threads.lock().unwrap();
        threads.push(thread.ok());
        threads.last()?.as_ref()?;
        Some(threads.len() - 1)
    }

    fn join(&self, thread: usize) {
        let handle = self.0.threads.lock().unwrap()[thread].take();
        handle.expect("joined twice").join().unwrap();
    }
}
