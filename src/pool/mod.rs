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
pub mod ledger;
mod memory;
mod ready;
mod retired;
pub(crate) mod routing;

pub use audit::Audit;
pub use buffer::Buffer;
pub use memory::{MemoryContext, MemoryOps};
pub use ready::ReadyQueue;

use crate::event::WaitEnd;
use crate::log::{self, Logger};
use crate::ring::Ring;
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, ColdMutex, Ordering};
use crate::sync::{CachePadded, Turn};
use address_map::{AddressMap, Resolved};
use blocks::Blocks;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use ledger::{Ledger, Place};
use retired::Retired;
use std::sync::Arc;

/// Most shards.
pub const MAX_SHARDS: u32 = 64;
/// Most kinds.
pub const MAX_KINDS: u32 = 64;
/// Largest payload in bytes.
pub const MAX_PAYLOAD: u32 = 256;
/// Largest ring capacity.
pub const MAX_RING_CAPACITY: u32 = 1 << 20;

/// Geometry of a pool.
#[derive(Debug)]
pub struct PoolConfig {
    /// Shards, 1 to [`MAX_SHARDS`].
    pub shards: u32,
    /// Kinds, 1 to [`MAX_KINDS`].
    pub kinds: u32,
    /// Payload bytes of a ready element, a multiple of 8 up to [`MAX_PAYLOAD`].
    pub payload_size: u32,
    /// Elements of a ready ring, 1 to [`MAX_RING_CAPACITY`].
    pub ready_capacity: u32,
    /// Elements of a done ring, likewise.
    pub done_capacity: u32,
    /// Elements of a lane, likewise.
    pub recycled_capacity: u32,
    /// Refuse unknown pointers and buffers that are in a queue already.
    pub strict: bool,
    /// Detect two threads inside calls of one queue end.
    pub check_overlap: bool,
    /// Blocks are multiples of this many bytes; a power of two.
    pub block_granularity: usize,
    /// Where messages go.
    pub logger: Logger,
}

/// Why a configuration is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The status that the caller gets.
    pub status: Status,
    /// What is wrong.
    pub what: &'static str,
}

/// A range check with its text.
pub(crate) fn require(sound: bool, what: &'static str) -> Result<(), Problem> {
    if sound { Ok(()) } else { Err(Problem { status: Status::LANEPIPE_E_INVALID, what }) }
}

impl PoolConfig {
    /// Checks all ranges.
    ///
    /// # Errors
    ///
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), Problem> {
        let capacities = 1..=MAX_RING_CAPACITY;
        require((1..=MAX_SHARDS).contains(&self.shards), "shards is not in 1 to LANEPIPE_MAX_SHARDS")?;
        require((1..=MAX_KINDS).contains(&self.kinds), "kinds is not in 1 to LANEPIPE_MAX_KINDS")?;
        require(capacities.contains(&self.ready_capacity), "ready_capacity is out of range")?;
        require(capacities.contains(&self.done_capacity), "done_capacity is out of range")?;
        require(capacities.contains(&self.recycled_capacity), "recycled_capacity is out of range")?;
        require(self.payload_size <= MAX_PAYLOAD, "payload_size is above LANEPIPE_MAX_PAYLOAD")?;
        require(self.payload_size.is_multiple_of(8), "payload_size is not a multiple of 8")?;
        require(self.block_granularity.is_power_of_two(), "block_granularity is not a power of two")
    }
}

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
    /// Tracked buffers per kind; written under the lock of the block table.
    tracked: Box<[AtomicU32]>,
    retired: Retired,
    ledger: Ledger,
    // Cleared only by `release_all`, which no lookup may overlap.
    map: UnsafeCell<AddressMap>,
    blocks: ColdMutex<Blocks>,
    memory: ColdMutex<Arc<MemoryContext>>,
    running: Turn,
}

// SAFETY: everything inside is shared by atomics or locks but for `map`, which is only mutated by `release_all` under its
// contract that no other thread uses the pool.
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
            retired: Retired::new(config.kinds)?,
            ledger: Ledger::new()?,
            map: UnsafeCell::new(AddressMap::new()?),
            blocks: ColdMutex::new(Blocks::default()),
            memory: ColdMutex::new(Arc::new(MemoryContext::default())),
            running: Turn::new(),
            config,
        })
    }

    /// The geometry.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Where messages go.
    pub fn logger(&self) -> &Logger {
        &self.config.logger
    }

    /// Live shards. Any thread.
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

    /// Sets how many buffers a lane of `kind` is kept at. At rest only.
    pub fn set_warm_target(&self, kind: u32, target: u32) -> Result<(), Status> {
        self.require_rest()?;
        self.check_kind(kind)?;
        self.store_warm_target(kind, target);
        Ok(())
    }

    /// As [`Pool::set_warm_target`] for a kind in range, by the owner who is about to start threads.
    pub(crate) fn store_warm_target(&self, kind: u32, target: u32) {
        // Relaxed: changes only at rest.
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

    pub(crate) fn check_kind(&self, kind: u32) -> Result<(), Status> {
        if kind < self.config.kinds { Ok(()) } else { Err(Status::LANEPIPE_E_KIND) }
    }

    /// The index of a shard argument, folded by the live count.
    pub fn fold(&self, shard: u32) -> usize {
        (shard % self.live_shards()) as usize
    }

    fn lane(&self, shard: usize, kind: u32) -> &Lane {
        &self.lanes[shard * self.config.kinds as usize + kind as usize]
    }

    /// Stores elements in the ready ring of `shard` and wakes its consumer; returns how many fitted.
    ///
    /// # Safety
    ///
    /// The caller is the drain thread of the shard. `payloads` is readable for one payload per buffer.
    #[inline]
    pub unsafe fn push_ready(&self, shard: u32, buffers: &[Buffer], payloads: *const u8) -> usize {
        self.note_ready(shard, buffers);
        // SAFETY: forwarded.
        let pushed = unsafe { self.ready(shard).push(buffers, payloads) };
        self.note_kept(shard, buffers.get(pushed..).unwrap_or_default());
        pushed
    }

    /// As [`Pool::push_ready`], but waits for room up to `deadline`, nanoseconds of the monotonic clock.
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_ready`].
    pub unsafe fn wait_push_ready(&self, shard: u32, buffers: &[Buffer], payloads: *const u8, deadline: u64) -> usize {
        self.note_ready(shard, buffers);
        // SAFETY: forwarded.
        let pushed = unsafe { self.ready(shard).wait_push(buffers, payloads, deadline) };
        self.note_kept(shard, buffers.get(pushed..).unwrap_or_default());
        pushed
    }

    /// Before a push: afterwards the collect thread may have moved the buffers on.
    #[inline]
    fn note_ready(&self, shard: u32, buffers: &[Buffer]) {
        let shard = self.fold(shard);
        for buffer in buffers {
            self.note(buffer, Place::Ready, shard);
        }
    }

    /// What was not pushed is still with the drain thread.
    #[inline]
    fn note_kept(&self, shard: u32, buffers: &[Buffer]) {
        for buffer in buffers {
            self.note(buffer, Place::Drain, self.fold(shard));
        }
    }

    /// Takes up to `max` elements from the ready ring of `shard` and wakes a waiting producer; returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the collect thread of the shard. `buffers` is writable for `max` elements, `payloads` for as many
    /// payloads.
    #[inline]
    pub unsafe fn pop_ready(&self, shard: u32, buffers: *mut Buffer, payloads: *mut u8, max: usize) -> usize {
        // SAFETY: forwarded.
        unsafe {
            let count = self.ready(shard).pop(buffers, payloads, max);
            self.note_collected(shard, buffers, count);
            count
        }
    }

    /// As [`Pool::pop_ready`], but waits for the first element up to `deadline`.
    ///
    /// # Errors
    ///
    /// As for [`ReadyQueue::wait_pop`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::pop_ready`].
    pub unsafe fn wait_pop_ready(
        &self,
        shard: u32,
        buffers: *mut Buffer,
        payloads: *mut u8,
        max: usize,
        deadline: u64,
    ) -> Result<usize, WaitEnd> {
        // SAFETY: forwarded.
        unsafe {
            let count = self.ready(shard).wait_pop(buffers, payloads, max, deadline)?;
            self.note_collected(shard, buffers, count);
            Ok(count)
        }
    }

    /// # Safety
    ///
    /// `buffers` holds `count` elements.
    #[inline]
    unsafe fn note_collected(&self, shard: u32, buffers: *const Buffer, count: usize) {
        let shard = self.fold(shard);
        for index in 0..count {
            // SAFETY: forwarded.
            self.note(unsafe { &*buffers.add(index) }, Place::Collect, shard);
        }
    }

    /// The ready ring of `shard`, folded.
    pub fn ready(&self, shard: u32) -> &ReadyQueue {
        &self.ready[self.fold(shard)]
    }

    pub(crate) fn map(&self) -> &AddressMap {
        // SAFETY: the map is mutated only by `release_all`, whose contract excludes concurrent use of the pool.
        unsafe { &*self.map.get() }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Host address and identity of a device address, interior ones included. Lock-free, any thread.
    pub fn resolve(&self, dev: u64) -> Option<Resolved> {
        self.map().resolve(dev)
    }

    /// Writes down that `buffer` is at `place` of `shard`.
    #[inline]
    pub(crate) fn note(&self, buffer: &Buffer, place: Place, shard: usize) {
        self.ledger.set(buffer.id, place, shard as u32, buffer.kind);
    }

    /// Checks the buffers that a caller hands in: kinds always, identity and place where the pool is strict.
    pub fn check_incoming(&self, buffers: &[Buffer]) -> Result<(), Status> {
        for (position, buffer) in buffers.iter().enumerate() {
            if buffer.dev == 0 {
                return self.refuse(Status::LANEPIPE_E_INVALID, buffer);
            }
            if buffer.kind >= self.config.kinds {
                return self.refuse(Status::LANEPIPE_E_KIND, buffer);
            }
            if self.config.strict {
                let is_twin = |other: &Buffer| other.id == buffer.id;
                match self.ledger.get(buffer.id) {
                    // Id 0 is no buffer's: the address is unknown, or inside a block.
                    _ if buffer.id == 0 || self.resolve(buffer.dev).is_none_or(|known| known.id != buffer.id) => {
                        return self.refuse(Status::LANEPIPE_E_UNKNOWN_POINTER, buffer);
                    }
                    Some(entry) if entry.place.is_queue() || buffers[..position].iter().any(is_twin) => {
                        return self.refuse(Status::LANEPIPE_E_DUPLICATE, buffer);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn refuse(&self, status: Status, buffer: &Buffer) -> Result<(), Status> {
        self.logger().log(log::ERROR, format_args!("{buffer} refused: {status:?}"));
        Err(status)
    }

    /// Stores buffers in the done ring of `shard` and returns how many fitted.
    ///
    /// # Safety
    ///
    /// The caller is the collect thread of the shard.
    pub unsafe fn push_done(&self, shard: u32, buffers: &[Buffer]) -> usize {
        let shard = self.fold(shard);
        let ring = &self.done[shard];
        // Before the push: afterwards the consumer may have moved the buffer on.
        for buffer in buffers {
            self.note(buffer, Place::Done, shard);
        }
        // SAFETY: the caller is the ring's sole producer.
        let pushed = unsafe { ring.push_slice(buffers) };
        for buffer in &buffers[pushed..] {
            self.note(buffer, Place::Collect, shard);
        }
        pushed
    }

    /// Takes buffers from the done ring of `shard`; returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the replenish thread.
    pub unsafe fn pop_done(&self, shard: u32, out: &mut [MaybeUninit<Buffer>]) -> usize {
        let shard = self.fold(shard);
        // SAFETY: the caller is the ring's sole consumer.
        unsafe { self.take(&self.done[shard], out, Place::Replenish, shard) }
    }

    /// Whether any live done ring holds a buffer. Replenish thread.
    pub(crate) fn any_done(&self) -> bool {
        self.done[..self.live_shards() as usize].iter().any(|ring| !ring.is_empty())
    }

    /// Buffers in the done ring of `shard`. Any thread, advisory.
    pub fn done_len(&self, shard: u32) -> usize {
        self.done[self.fold(shard)].len()
    }

    /// Stores one buffer in the lane of its kind; false if the lane is full.
    ///
    /// # Safety
    ///
    /// The caller is the replenish thread, or the owner while no thread runs. The kind is in range.
    pub unsafe fn push_recycled(&self, shard: u32, buffer: &Buffer) -> bool {
        let shard = self.fold(shard);
        let before = self.ledger.get(buffer.id);
        // Before the push: afterwards the drain thread may have handed the buffer to the device.
        self.note(buffer, Place::Recycled, shard);
        // SAFETY: the caller is the lane's sole producer.
        let pushed = unsafe { self.lane(shard, buffer.kind).recycled.push(buffer) };
        if let (false, Some(entry)) = (pushed, before) {
            self.note(buffer, entry.place, entry.shard as usize);
        }
        pushed
    }

    /// Takes buffers from a lane, oldest first; they count as at the device. Returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the drain thread of the shard, or the owner while no thread runs. The kind is in range.
    pub unsafe fn pop_recycled(&self, shard: u32, kind: u32, out: &mut [MaybeUninit<Buffer>]) -> usize {
        let shard = self.fold(shard);
        // SAFETY: the caller is the lane's sole consumer.
        unsafe { self.take(&self.lane(shard, kind).recycled, out, Place::Device, shard) }
    }

    /// # Safety
    ///
    /// The caller is the sole consumer of `ring`.
    unsafe fn take(&self, ring: &Ring<Buffer>, out: &mut [MaybeUninit<Buffer>], place: Place, shard: usize) -> usize {
        // SAFETY: forwarded.
        let count = unsafe { ring.pop_slice(out) };
        for buffer in &out[..count] {
            // SAFETY: `pop_slice` filled the first `count` elements.
            self.note(unsafe { buffer.assume_init_ref() }, place, shard);
        }
        count
    }

    /// Buffers in one lane. Any thread; exact at rest.
    pub fn recycled_len(&self, shard: u32, kind: u32) -> usize {
        self.lane(self.fold(shard), kind).recycled.len()
    }

    /// Buffers in the lanes of `kind` of all live shards. Any thread; exact at rest.
    pub fn recycled_total(&self, kind: u32) -> usize {
        (0..self.live_shards()).map(|shard| self.recycled_len(shard, kind)).sum()
    }

    /// Parks a buffer that could not be passed on. Any thread; takes a lock.
    pub fn retire(&self, shard: u32, buffer: Buffer) -> Result<(), Status> {
        self.note(&buffer, Place::Retired, self.fold(shard));
        self.retired.park(buffer, false)
    }

    /// Parks a buffer whose address cannot be trusted; it only waits for teardown. Any thread; takes a lock.
    pub(crate) fn quarantine(&self, shard: u32, buffer: Buffer) -> Result<(), Status> {
        self.note(&buffer, Place::Quarantined, self.fold(shard));
        self.retired.park(buffer, true)
    }

    /// Buffers of `kind` that the pool tracks. Any thread.
    pub fn tracked(&self, kind: u32) -> u32 {
        // Relaxed: a count.
        self.tracked[kind as usize].load(Ordering::Relaxed)
    }

    /// The demand word of a lane.
    pub(crate) fn demand(&self, shard: usize, kind: u32) -> &AtomicU32 {
        &self.lane(shard, kind).demand
    }

    /// Guards of the queue ends for pools that check for overlap; `None` where they do not.
    pub(crate) fn enter<'a, G>(&self, enter: impl FnOnce() -> Option<G> + 'a) -> Result<Option<G>, Status> {
        if !self.config.check_overlap {
            return Ok(None);
        }
        match enter() {
            Some(guard) => Ok(Some(guard)),
            None => {
                self.logger().log(log::ERROR, format_args!("two threads are inside calls of one queue end"));
                Err(Status::LANEPIPE_E_OVERLAP)
            }
        }
    }

    /// The done ring of `shard`, for guards.
    pub(crate) fn done_ring(&self, shard: u32) -> &Ring<Buffer> {
        &self.done[self.fold(shard)]
    }

    /// The lane (`shard`, `kind`), for guards. The kind is in range.
    pub(crate) fn lane_ring(&self, shard: u32, kind: u32) -> &Ring<Buffer> {
        &self.lane(self.fold(shard), kind).recycled
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
