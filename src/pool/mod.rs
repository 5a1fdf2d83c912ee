//! The pool: where buffers are while the host has them.
//!
//! Each shard has a ready ring, a done ring and one recycled lane per kind, every one single-producer/single-consumer:
//!
//! | queue | producer | consumer |
//! | --- | --- | --- |
//! | ready ring s | drain thread s | collect thread s |
//! | done ring s | collect thread s | replenish thread |
//! | lane (s, kind) | replenish thread | drain thread s |
//! | retired | any (locked, cold) | replenish thread |
//!
//! Before threads start and after they have stopped one thread may play every role. What crosses from one queue to the
//! next is a [`Buffer`]; a [`ledger`] word per buffer says where it is, and [`Pool::audit`] proves it at rest.

pub mod address_map;
mod audit;
mod blocks;
mod buffer;
mod checks;
mod config;
mod gates;
pub mod ledger;
mod memory;
mod notes;
mod queues;
mod ready;
mod release;
mod retired;
pub(crate) mod routing;
mod single;

pub use audit::Audit;
pub use buffer::Buffer;
pub(crate) use config::require;
pub use config::{MAX_KINDS, MAX_PAYLOAD, MAX_RING_CAPACITY, MAX_SHARDS, PoolConfig, Problem};
pub(crate) use gates::{GateMemory, GatesMemory, LaneTurns};
pub use memory::{MemoryContext, MemoryOps};
pub(crate) use notes::{Doubt, QueueNote};
pub use ready::{Looks, ReadyQueue};

use crate::log::Logger;
use crate::ring::Ring;
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, ColdMutex, Ordering};
use crate::sync::{CachePadded, Turn};
use address_map::{AddressMap, Resolved};
use core::cell::UnsafeCell;
use ledger::{Ledger, Place};
use release::Blocks;
use retired::Retired;
use std::sync::Arc;

/// What is private to one (shard, kind).
struct Lane {
    recycled: Ring<Buffer>,
    /// Free queues of the shard that stand empty for want of this kind. Written by the drain thread, served by replenish.
    demand: CachePadded<AtomicU32>,
}

/// A pool of device buffers. See the module documentation for which thread may call what.
pub struct Pool {
    config: PoolConfig,
    live_shards: AtomicU32,
    ready: Box<[ReadyQueue]>,
    done: Box<[Ring<Buffer>]>,
    lanes: Box<[Lane]>,
    warm_targets: Box<[AtomicU32]>,
    /// Tracked buffers per kind that are of use: the quarantined ones are not.
    tracked: Box<[AtomicU32]>,
    retired: Retired,
    ledger: Ledger,
    // Cleared only by `release_all` and `clear_mappings`, which no lookup may overlap.
    map: UnsafeCell<AddressMap>,
    blocks: ColdMutex<Blocks>,
    memory: ColdMutex<Arc<MemoryContext>>,
    running: Turn,
    notes: notes::QueueNotes,
    /// One per shard; see [`Pool::lane_turn`].
    lane_turns: Box<[CachePadded<Turn>]>,
    gates: GatesMemory,
}

// SAFETY: everything inside is shared by atomics or locks but for `map`, which is only mutated by `release_all` and
// `clear_mappings` under their contract that no other thread uses the pool.
unsafe impl Sync for Pool {}
// SAFETY: nothing inside is bound to a thread.
unsafe impl Send for Pool {}

impl Pool {
    /// Creates a pool; all shards are live.
    pub fn new(config: PoolConfig) -> Result<Self, Status> {
        config.check().map_err(|problem| problem.status)?;
        let lanes = config.shards * config.kinds;
        Ok(Self {
            live_shards: AtomicU32::new(config.shards),
            ready: build(config.shards, || ReadyQueue::new(config.ready_capacity, config.payload_size))?,
            done: build(config.shards, || Ring::new(config.done_capacity as usize))?,
            lanes: build(lanes, || {
                let recycled = Ring::new(config.recycled_capacity as usize)?;
                Ok(Lane { recycled, demand: CachePadded::new(AtomicU32::new(0)) })
            })?,
            warm_targets: build(config.kinds, || Ok(AtomicU32::new(0)))?,
            tracked: build(config.kinds, || Ok(AtomicU32::new(0)))?,
            retired: Retired::new(config.shards, config.kinds)?,
            ledger: if config.untracked { Ledger::untracked() } else { Ledger::new()? },
            map: UnsafeCell::new(AddressMap::new()?),
            blocks: ColdMutex::new(Blocks::default()),
            memory: ColdMutex::new(Arc::new(MemoryContext::default())),
            running: Turn::new(),
            notes: notes::QueueNotes::default(),
            lane_turns: build(config.shards, || Ok(CachePadded::new(Turn::new())))?,
            gates: GatesMemory::default(),
            config,
        })
    }

    /// The geometry.
    #[inline(always)]
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Where messages go.
    pub fn logger(&self) -> &Logger {
        &self.config.logger
    }

    /// Live shards. Any thread.
    #[inline(always)]
    pub fn live_shards(&self) -> u32 {
        // Relaxed: changes only at rest.
        self.live_shards.load(Ordering::Relaxed)
    }

    /// Sets the number of live shards. At rest only.
    pub fn set_live_shards(&self, shards: u32) -> Result<(), Status> {
        self.require_rest()?;
        if !(1..=self.config.shards).contains(&shards) {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        self.live_shards.store(shards, Ordering::Relaxed);
        Ok(())
    }

    /// Sets how many buffers a lane of `kind` is kept at when buffers are routed. Any thread; the next buffer goes by it.
    pub fn set_warm_target(&self, kind: u32, target: u32) -> Result<(), Status> {
        self.check_kind(kind)?;
        self.store_warm_target(kind, target);
        Ok(())
    }

    /// How many buffers of `kind` a lane is to hold. Any thread.
    pub(crate) fn warm_target(&self, kind: u32) -> u32 {
        // Relaxed: a number by itself.
        self.warm_targets[kind as usize].load(Ordering::Relaxed)
    }

    /// As [`Pool::set_warm_target`] for a kind in range.
    pub(crate) fn store_warm_target(&self, kind: u32, target: u32) {
        // Relaxed: carries nothing.
        self.warm_targets[kind as usize].store(target.min(self.config.recycled_capacity), Ordering::Relaxed);
    }

    /// Sets how device memory is reached. At rest only.
    pub fn set_memory(&self, memory: MemoryContext) -> Result<(), Status> {
        self.require_rest()?;
        *self.memory.lock() = Arc::new(memory);
        Ok(())
    }

    /// How device memory is reached.
    pub fn memory(&self) -> Arc<MemoryContext> {
        self.memory.lock().clone()
    }

    /// Marks the pool as used by running threads; false if it is already.
    pub(crate) fn begin_run(&self) -> bool {
        self.running.take()
    }

    /// The counterpart of [`Pool::begin_run`], after all threads have been joined.
    pub(crate) fn end_run(&self) {
        self.running.give_back();
    }

    fn require_rest(&self) -> Result<(), Status> {
        if self.running.is_taken() { Err(Status::LANEPIPE_E_STATE) } else { Ok(()) }
    }

    #[inline(always)]
    pub(crate) fn check_kind(&self, kind: u32) -> Result<(), Status> {
        if kind < self.config.kinds { Ok(()) } else { Err(Status::LANEPIPE_E_KIND) }
    }

    /// The index of a shard argument, folded by the live count.
    #[inline(always)]
    pub fn fold(&self, shard: u32) -> usize {
        let live = self.live_shards();
        if shard < live { shard as usize } else { Self::fold_foreign(shard, live) }
    }

    /// Out of line: a division takes longer than what hot paths do between two of them.
    #[cold]
    fn fold_foreign(shard: u32, live: u32) -> usize {
        shard.checked_rem(live).unwrap_or_default() as usize
    }

    #[inline(always)]
    fn lane(&self, shard: usize, kind: u32) -> &Lane {
        &self.lanes[shard * self.config.kinds as usize + kind as usize]
    }

    pub(crate) fn map(&self) -> &AddressMap {
        // SAFETY: the map is mutated only by `release_all` and `clear_mappings`, whose contract excludes concurrent use of
        // the pool.
        unsafe { &*self.map.get() }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Host address and identity of a device address, interior ones included. Lock-free, any thread.
    pub fn resolve(&self, dev: u64) -> Option<Resolved> {
        if self.config.untracked {
            return self.map().resolve_host(dev).map(|host| Resolved { host, id: 0 });
        }
        self.map().resolve(dev)
    }

    /// [`resolve`](Self::resolve) of each of `devs`, whose number `visit` gets with the answer. Lock-free, any thread.
    pub fn resolve_each(&self, devs: &[u64], mut visit: impl FnMut(usize, Option<Resolved>)) {
        if self.config.untracked {
            devs.iter().enumerate().for_each(|(index, dev)| visit(index, self.resolve(*dev)));
        } else {
            self.map().resolve_each(devs, visit);
        }
    }

    /// Whether `size` bytes at a known address are inside its block, as far as the pool can tell. Lock-free, any thread.
    pub(crate) fn is_inside(&self, dev: u64, size: usize) -> bool {
        self.map().rest_of_range(dev).is_none_or(|rest| size as u64 <= rest)
    }

    /// Writes down that `buffer` is at `place` of `shard`.
    #[inline(always)]
    pub(crate) fn note(&self, buffer: &Buffer, place: Place, shard: usize) {
        self.ledger.set(buffer.id, place, shard as u32, buffer.kind);
    }

    /// Parks a buffer that could not be passed on. Any thread; takes a lock.
    pub fn retire(&self, shard: u32, buffer: Buffer) -> Result<(), Status> {
        let shard = self.fold(shard);
        self.note(&buffer, Place::Retired, shard);
        self.retired.park(shard, buffer, false)
    }

    /// Parks a buffer whose address cannot be trusted; it only waits for teardown. Any thread; takes a lock.
    pub fn quarantine(&self, shard: u32, buffer: Buffer) -> Result<(), Status> {
        let shard = self.fold(shard);
        let known = self.ledger.get(buffer.id);
        self.note(&buffer, Place::Quarantined, shard);
        if let Some(entry) = known.filter(|entry| !matches!(entry.place, Place::Gone | Place::Quarantined)) {
            self.tracked[entry.kind as usize].fetch_sub(1, Ordering::Relaxed);
        }
        self.retired.park(shard, buffer, true)
    }

    /// Takes the buffer of `kind` out that was parked last and can be brought back, of one shard or of all; it counts as
    /// held by the replenish thread. Any thread; takes a lock.
    pub fn take_retired(&self, shard: Option<u32>, kind: u32) -> Option<Buffer> {
        if !self.retired.has_circulable(kind) {
            return None;
        }
        let shard = shard.map(|shard| self.fold(shard));
        let buffer = self.retired.take(shard, kind)?;
        self.note(&buffer, Place::Replenish, shard.unwrap_or(0));
        Some(buffer)
    }

    /// Whether there may be a parked buffer of `kind` that can be brought back. Any thread.
    pub(crate) fn has_parked(&self, kind: u32) -> bool {
        self.retired.has_circulable(kind)
    }

    /// Ends the quarantine of a buffer whose whereabouts are known after all; false if it is not in quarantine. Any thread;
    /// takes a lock.
    pub(crate) fn end_quarantine(&self, buffer: &Buffer) -> bool {
        let found = self.retired.end_quarantine(buffer);
        if found && self.ledger.get(buffer.id).is_some() {
            self.tracked[buffer.kind as usize].fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Makes a buffer one of another kind, which is in range. Whoever holds it; any thread.
    #[cold]
    pub(crate) fn change_kind(&self, buffer: &mut Buffer, kind: u32) {
        if let Some(entry) = self.ledger.get(buffer.id) {
            self.tracked[entry.kind as usize].fetch_sub(1, Ordering::Relaxed);
            self.tracked[kind as usize].fetch_add(1, Ordering::Relaxed);
            self.ledger.set(buffer.id, entry.place, entry.shard, kind);
        }
        buffer.kind = kind;
    }

    /// Buffers of `kind` that the pool tracks and has a use for: not the quarantined ones. Any thread.
    pub fn tracked(&self, kind: u32) -> u32 {
        // Relaxed: a count.
        self.tracked[kind as usize].load(Ordering::Relaxed)
    }

    /// All buffers in the pool's queues. No thread runs.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn queued_buffers(&self) -> Vec<Buffer> {
        let mut buffers = Vec::new();
        // SAFETY: tests call this at rest; likewise below.
        self.ready.iter().for_each(|ring| unsafe { ring.for_each(|buffer| buffers.push(*buffer)) });
        for ring in self.done.iter().chain(self.lanes.iter().map(|lane| &lane.recycled)) {
            // SAFETY: as above.
            unsafe { ring.for_each(|buffer| buffers.push(*buffer)) };
        }
        self.retired.for_each(|_, buffer, _| buffers.push(*buffer));
        buffers
    }

    /// The demand word of a lane.
    pub(crate) fn demand(&self, shard: usize, kind: u32) -> &AtomicU32 {
        &self.lane(shard, kind).demand
    }
}

/// Builds a fixed array without aborting when memory is short.
fn build<T>(count: u32, mut make: impl FnMut() -> Result<T, Status>) -> Result<Box<[T]>, Status> {
    let mut items = Vec::new();
    items.try_reserve_exact(count as usize).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
    for _ in 0..count {
        items.push(make()?);
    }
    Ok(items.into_boxed_slice())
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
