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
mod gates;
pub mod ledger;
mod memory;
mod ready;
mod retired;
pub(crate) mod routing;

pub use audit::Audit;
pub use buffer::Buffer;
pub(crate) use gates::{GateMemory, GatesMemory, LaneTurns};
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
    /// One per shard; see [`Pool::lane_turn`].
    lane_turns: Box<[CachePadded<Turn>]>,
    gates: GatesMemory,
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

    /// Stores elements in the ready ring of `shard` and wakes its consumer; returns how many fitted.
    ///
    /// # Safety
    ///
    /// The caller is the drain thread of the shard. `payloads` is readable for one payload per buffer.
    #[inline(always)]
    pub unsafe fn push_ready(&self, shard: u32, buffers: &[Buffer], payloads: *const u8) -> usize {
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Ready, at);
        // SAFETY: forwarded.
        let pushed = unsafe { self.ready(shard).push_noted(buffers, payloads, note) };
        self.note_kept(shard, buffers.get(pushed..).unwrap_or_default());
        pushed
    }

    /// As [`Pool::push_ready`], but waits for room up to `deadline`, nanoseconds of the monotonic clock.
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_ready`].
    pub unsafe fn wait_push_ready(&self, shard: u32, buffers: &[Buffer], payloads: *const u8, deadline: u64) -> usize {
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Ready, at);
        // SAFETY: forwarded.
        let pushed = unsafe { self.ready(shard).wait_push_noted(buffers, payloads, deadline, note) };
        self.note_kept(shard, buffers.get(pushed..).unwrap_or_default());
        pushed
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
    #[inline(always)]
    pub unsafe fn pop_ready(&self, shard: u32, buffers: *mut Buffer, payloads: *mut u8, max: usize) -> usize {
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Collect, at);
        // SAFETY: forwarded.
        unsafe { self.ready(shard).pop_noted(buffers, payloads, max, note) }
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
        let at = self.fold(shard);
        let note = |buffer: &Buffer| self.note(buffer, Place::Collect, at);
        // SAFETY: forwarded.
        unsafe { self.ready(shard).wait_pop_noted(buffers, payloads, max, deadline, note) }
    }

    /// The ready ring of `shard`, folded.
    #[inline(always)]
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
    #[inline(always)]
    pub(crate) fn note(&self, buffer: &Buffer, place: Place, shard: usize) {
        self.ledger.set(buffer.id, place, shard as u32, buffer.kind);
    }

    /// Checks the buffers that a caller hands in: kinds always, identity and place where the pool is strict.
    #[inline(always)]
    pub fn check_incoming(&self, buffers: &[Buffer]) -> Result<(), Status> {
        let kinds = self.config.kinds;
        let sound = |buffer: &Buffer| buffer.dev != 0 && buffer.kind < kinds;
        if !self.config.strict && buffers.iter().all(sound) {
            return Ok(());
        }
        self.check_each(buffers)
    }

    #[cold]
    fn check_each(&self, buffers: &[Buffer]) -> Result<(), Status> {
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
                    Some(entry) if entry.kind != buffer.kind => {
                        return self.refuse(Status::LANEPIPE_E_KIND, buffer);
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
    #[inline]
    pub unsafe fn push_done(&self, shard: u32, buffers: &[Buffer]) -> usize {
        let shard = self.fold(shard);
        // SAFETY: the caller is the ring's sole producer.
        let pushed = unsafe { self.give(&self.done[shard], buffers, Place::Done, shard) };
        for buffer in buffers.get(pushed..).unwrap_or_default() {
            self.note(buffer, Place::Collect, shard);
        }
        pushed
    }

    /// Takes buffers from the done ring of `shard`; returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the replenish thread.
    #[inline]
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
    #[inline]
    pub unsafe fn push_recycled(&self, shard: u32, buffer: &Buffer) -> bool {
        // SAFETY: forwarded.
        unsafe { self.push_recycled_run(self.fold(shard), buffer.kind, core::slice::from_ref(buffer)) == 1 }
    }

    /// Stores buffers of one kind in a lane, as many as fit and with one index change; returns how many.
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_recycled`].
    #[inline(always)]
    unsafe fn push_recycled_run(&self, shard: usize, kind: u32, buffers: &[Buffer]) -> usize {
        // SAFETY: the caller is the lane's sole producer.
        unsafe { self.give(&self.lane(shard, kind).recycled, buffers, Place::Recycled, shard) }
    }

    /// Takes buffers from a lane, oldest first; they count as at the device. Returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the drain thread of the shard, or the owner while no thread runs. The kind is in range.
    #[inline]
    pub unsafe fn pop_recycled(&self, shard: u32, kind: u32, out: &mut [MaybeUninit<Buffer>]) -> usize {
        let shard = self.fold(shard);
        // SAFETY: the caller is the lane's sole consumer.
        unsafe { self.take(&self.lane(shard, kind).recycled, out, Place::Device, shard) }
    }

    /// # Safety
    ///
    /// The caller is the sole consumer of `ring`.
    #[inline]
    unsafe fn take(&self, ring: &Ring<Buffer>, out: &mut [MaybeUninit<Buffer>], place: Place, shard: usize) -> usize {
        let to = out.as_mut_ptr().cast::<Buffer>();
        // SAFETY: forwarded; both runs together are at most as long as `out`.
        unsafe {
            ring.read_run(out.len(), |first, second| {
                self.pass(first, to, place, shard);
                if !second.is_empty() {
                    self.pass_wrapped(second, to.add(first.len()), place, shard);
                }
                first.len() + second.len()
            })
        }
    }

    /// Stores as many of `buffers` in `ring` as fit; returns how many.
    ///
    /// # Safety
    ///
    /// The caller is the sole producer of `ring`.
    #[inline]
    unsafe fn give(&self, ring: &Ring<Buffer>, buffers: &[Buffer], place: Place, shard: usize) -> usize {
        // SAFETY: forwarded; both runs together are at most as long as `buffers`, and both are filled.
        unsafe {
            ring.write_run(buffers.len(), |first, second| {
                let (head, tail) = buffers.split_at_unchecked(first.len());
                self.pass(head, first.as_mut_ptr().cast(), place, shard);
                if !second.is_empty() {
                    let tail = tail.get_unchecked(..second.len());
                    self.pass_wrapped(tail, second.as_mut_ptr().cast(), place, shard);
                }
                first.len() + second.len()
            })
        }
    }

    /// Copies `from` to `to` and writes down where the buffers are then. A caller that publishes them does so afterwards,
    /// because their next holder may move them on at once.
    ///
    /// # Safety
    ///
    /// `to` is writable for as many buffers as there are in `from`, and does not overlap it.
    #[inline(always)]
    unsafe fn pass(&self, from: &[Buffer], to: *mut Buffer, place: Place, shard: usize) {
        for (index, buffer) in from.iter().enumerate() {
            // SAFETY: forwarded.
            unsafe { to.add(index).copy_from_nonoverlapping(buffer, 1) };
            self.note(buffer, place, shard);
        }
    }

    /// [`Pool::pass`] for the rare second run, which need not make every caller longer.
    ///
    /// # Safety
    ///
    /// As there.
    #[cold]
    unsafe fn pass_wrapped(&self, from: &[Buffer], to: *mut Buffer, place: Place, shard: usize) {
        // SAFETY: forwarded.
        unsafe { self.pass(from, to, place, shard) };
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

    /// Refuses calls by hand on queue ends while the threads of a profiler hold them, in pools that check for overlap.
    pub(crate) fn require_own_ends(&self) -> Result<(), Status> {
        if self.config.check_overlap && self.running.is_taken() {
            self.logger().log(log::ERROR, format_args!("a queue end belongs to a thread of the running profiler"));
            return Err(Status::LANEPIPE_E_OWNER);
        }
        Ok(())
    }

    /// Guards of the queue ends for pools that check for overlap; `None` where they do not.
    #[inline(always)]
    pub(crate) fn enter<'a, G>(&self, enter: impl FnOnce() -> Option<G> + 'a) -> Result<Option<G>, Status> {
        if !self.config.check_overlap {
            return Ok(None);
        }
        self.require_own_ends()?;
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

/// One buffer at a time, the step that hot paths make most: no loop, no call and no frame on the way of success. All else
/// (no room, nothing there, an argument to refuse, a pool with checks) is left to the general forms, which find the queues
/// as they were.
impl Pool {
    /// The shard of an argument that needs no folding, in a pool that makes no optional checks.
    #[inline(always)]
    fn plain(&self, shard: u32) -> Option<usize> {
        if self.config.strict | self.config.check_overlap || shard >= self.live_shards() {
            return None;
        }
        Some(shard as usize)
    }

    #[inline(always)]
    fn is_sound(&self, buffer: &Buffer) -> bool {
        buffer.dev != 0 && buffer.kind < self.config.kinds
    }

    /// Whether the buffer is in the ready ring now, as by [`Pool::push_ready`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_ready`].
    #[inline(always)]
    pub(crate) unsafe fn push_ready_one(&self, shard: u32, buffer: Buffer, payload: *const u8) -> bool {
        let Some(at) = self.plain(shard) else {
            return false;
        };
        let (Some(ready), true) = (self.ready.get(at), self.is_sound(&buffer)) else {
            return false;
        };
        // SAFETY: forwarded.
        unsafe { ready.push_one(buffer, payload, |buffer| self.note(buffer, Place::Ready, at)) }
    }

    /// Whether a buffer was taken, as by [`Pool::pop_ready`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::pop_ready`] of one.
    #[inline(always)]
    pub(crate) unsafe fn pop_ready_one(&self, shard: u32, buffer: *mut Buffer, payload: *mut u8) -> bool {
        let Some(at) = self.plain(shard) else {
            return false;
        };
        let Some(ready) = self.ready.get(at) else {
            return false;
        };
        // SAFETY: forwarded.
        unsafe { ready.pop_one(buffer, payload, |buffer| self.note(buffer, Place::Collect, at)) }
    }

    /// Whether the buffer is in the done ring now, as by [`Pool::push_done`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::push_done`].
    #[inline(always)]
    pub(crate) unsafe fn push_done_one(&self, shard: u32, buffer: &Buffer) -> bool {
        let Some(at) = self.plain(shard) else {
            return false;
        };
        let (Some(ring), true) = (self.done.get(at), self.is_sound(buffer)) else {
            return false;
        };
        // Before the push: afterwards the consumer may have moved the buffer on. If the ring is full, the general form
        // writes the word again.
        self.note(buffer, Place::Done, at);
        // SAFETY: the caller is the ring's sole producer.
        unsafe { push_one(ring, buffer) }
    }

    /// Moves the only buffer of a done ring on, as [`Pool::recycle_done`]; `None` if there is not exactly one.
    ///
    /// # Safety
    ///
    /// As for [`Pool::recycle_done`].
    #[inline(always)]
    pub(crate) unsafe fn recycle_done_one(&self, shard: u32) -> Option<usize> {
        let at = self.plain(shard)?;
        let ring = self.done.get(at)?;
        if ring.len() != 1 {
            return None;
        }
        // SAFETY: the caller is the ring's sole consumer.
        let buffer = unsafe { pop_one(ring) }?;
        // Its word is written by the next step alone: the buffer is not seen in between but by an audit, which is only a
        // snapshot then.
        // SAFETY: forwarded.
        if unsafe { self.push_lane_one(at, buffer) } {
            return Some(1);
        }
        Some(self.retire_counted(shard, buffer))
    }

    /// # Safety
    ///
    /// The caller is the sole producer of the shard's lanes.
    #[inline(always)]
    unsafe fn push_lane_one(&self, at: usize, buffer: Buffer) -> bool {
        let Some(lane) = self.lanes.get(at * self.config.kinds as usize + buffer.kind as usize) else {
            return false;
        };
        // Before the push: afterwards the drain thread may have handed the buffer to the device. If the lane is full, the
        // caller finds another place.
        self.note(&buffer, Place::Recycled, at);
        // SAFETY: forwarded.
        unsafe { push_one(&lane.recycled, &buffer) }
    }

    #[cold]
    fn retire_counted(&self, shard: u32, buffer: Buffer) -> usize {
        usize::from(self.retire(shard, buffer).is_ok())
    }

    /// The oldest buffer of a lane, as by [`Pool::pop_recycled`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::pop_recycled`].
    #[inline(always)]
    pub(crate) unsafe fn pop_recycled_one(&self, shard: u32, kind: u32) -> Option<Buffer> {
        let at = self.plain(shard)?;
        if kind >= self.config.kinds {
            return None;
        }
        let lane = self.lanes.get(at * self.config.kinds as usize + kind as usize)?;
        // SAFETY: the caller is the lane's sole consumer.
        let buffer = unsafe { pop_one(&lane.recycled) }?;
        self.note(&buffer, Place::Device, at);
        Some(buffer)
    }
}

/// [`Ring::push`]; a closure of its own makes it part of every caller, and nothing is stored only to be loaded again.
///
/// # Safety
///
/// As there.
#[inline(always)]
unsafe fn push_one(ring: &Ring<Buffer>, buffer: &Buffer) -> bool {
    // SAFETY: forwarded; the closure fills as many slots as it tells.
    let pushed = unsafe {
        ring.write_run(1, |first, _| match first {
            [slot, ..] => {
                slot.write(*buffer);
                1
            }
            [] => 0,
        })
    };
    pushed != 0
}

/// [`Ring::pop`], likewise.
///
/// # Safety
///
/// As there.
#[inline(always)]
unsafe fn pop_one(ring: &Ring<Buffer>) -> Option<Buffer> {
    let mut taken = None;
    // SAFETY: forwarded.
    unsafe {
        ring.read_run(1, |first, _| {
            taken = first.first().copied();
            usize::from(taken.is_some())
        })
    };
    taken
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
