//! Blocks: device allocations, registered once and carved into buffers.

use super::address_map::Range;
use super::memory::Shadow;
use super::routing::Routed;
use super::{Buffer, MemoryContext, Pool};
use crate::log;
use crate::status::Status;
use crate::sync::atomic::Ordering;

/// Buffers in a block start at multiples of this.
const BUFFER_ALIGN: usize = 64;

/// A block that is mapped.
struct Mapped {
    dev: u64,
    host: u64,
    first_id: u32,
}

impl Pool {
    /// Allocates one block of `count` buffers of `buffer_size` bytes and puts them into the lanes of `shard`, or deals
    /// them round robin over the live shards if it is `None`. A buffer whose lane is full is retired. Returns how many
    /// were placed.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_KIND`, `LANEPIPE_E_INVALID` (a zero), `LANEPIPE_E_TOO_LARGE` (overflow), `LANEPIPE_E_NO_MEMORY`,
    /// `LANEPIPE_E_CALLBACK` (registration failed), `LANEPIPE_E_STATE` (no allocator), `LANEPIPE_E_MISALIGNED` (an address is
    /// not a multiple of [`PoolConfig::block_align`](super::PoolConfig::block_align)).
    ///
    /// # Safety
    ///
    /// The caller is the replenish thread, or the owner while no thread runs.
    pub unsafe fn allocate(
        &self,
        kind: u32,
        buffer_size: usize,
        count: u32,
        shard: Option<u32>,
    ) -> Result<usize, Status> {
        // SAFETY: forwarded.
        unsafe { self.allocate_routed(kind, buffer_size, count, shard) }.map(|routed| routed.placed)
    }

    /// As [`Pool::allocate`], and tells how many were parked and whose lanes got one.
    ///
    /// # Errors
    ///
    /// As for [`Pool::allocate`].
    ///
    /// # Safety
    ///
    /// As for [`Pool::allocate`].
    pub(crate) unsafe fn allocate_routed(
        &self,
        kind: u32,
        buffer_size: usize,
        count: u32,
        shard: Option<u32>,
    ) -> Result<Routed, Status> {
        self.check_kind(kind)?;
        if buffer_size == 0 || count == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        let stride = buffer_size.checked_next_multiple_of(BUFFER_ALIGN).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        let size = stride.checked_mul(count as usize).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        let block = self.new_block(size, stride, count, kind)?;
        let mut routed = Routed::default();
        for index in 0..count {
            let dev = block.dev + u64::from(index) * stride as u64;
            let id = if block.first_id == 0 { 0 } else { block.first_id + index };
            let buffer = Buffer { dev, kind, id };
            let shard = shard.unwrap_or(index);
            // SAFETY: the caller is the lanes' sole producer.
            if unsafe { self.push_recycled(shard, &buffer) } {
                routed.placed += 1;
                routed.touched |= 1 << self.fold(shard);
            } else {
                self.park(shard, &buffer, &mut routed);
            }
        }
        Ok(routed)
    }

    /// Allocates and maps one block outside the lanes; returns its device and host address.
    ///
    /// # Errors
    ///
    /// As for [`Pool::allocate`].
    pub fn allocate_block(&self, size: usize) -> Result<(u64, u64), Status> {
        if size == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        let block = self.new_block(size, size, 0, 0)?;
        Ok((block.dev, block.host))
    }

    /// Makes memory known that somebody else allocated and registered: its address, and the `size` bytes from there on
    /// unless that is 0. What was known of an earlier allocation at the address is forgotten, a claim included.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_INVALID` (null, or an end overflows); `LANEPIPE_E_NO_MEMORY`, `LANEPIPE_E_TOO_LARGE` (tables full).
    pub fn map_block(&self, dev: u64, host: u64, size: usize) -> Result<(), Status> {
        if dev == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        let block = Range { base: dev, size: size as u64, host, first_id: 0, stride: size as u64, count: 0 };
        self.enter_block(block, 0, None).map(|_| ())
    }

    /// Makes a buffer that somebody else allocated known, as being at the device; returns its id. An untracked pool gives
    /// none and takes any address, null too.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_KIND`; `LANEPIPE_E_INVALID` (null); `LANEPIPE_E_NO_MEMORY`, `LANEPIPE_E_TOO_LARGE` (tables full).
    pub fn register(&self, dev: u64, host: u64, kind: u32) -> Result<u32, Status> {
        self.check_kind(kind)?;
        if self.config.untracked {
            return self.map().insert_exact(dev, host, 0).map(|()| 0);
        }
        if dev == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        let _writers = self.blocks.lock();
        // The same address again keeps its identity: a buffer is counted once.
        let known = self.resolve(dev).map_or(0, |known| known.id);
        if known != 0 {
            self.map().insert_exact(dev, host, known)?;
            return Ok(known);
        }
        self.with_ids(1, kind, |id| self.map().insert_exact(dev, host, id))
    }

    fn new_block(&self, size: usize, stride: usize, count: u32, kind: u32) -> Result<Mapped, Status> {
        let size = size.checked_next_multiple_of(self.config.block_granularity).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        let memory = self.memory();
        let ops = memory.ops.as_deref().ok_or(Status::LANEPIPE_E_STATE)?;
        let dev = ops.alloc(size);
        if dev == 0 {
            return Err(Status::LANEPIPE_E_NO_MEMORY);
        }
        let check_aligned = |address: u64| {
            let aligned = address.is_multiple_of(self.config.block_align);
            aligned.then_some(()).ok_or(Status::LANEPIPE_E_MISALIGNED)
        };
        let mapped = check_aligned(dev).and_then(|()| self.pair(&memory, dev, size)).and_then(|(host, shadow)| {
            check_aligned(host)?;
            let block = Range { base: dev, size: size as u64, host, first_id: 0, stride: stride as u64, count };
            let first_id = self.enter_block(block, kind, shadow)?;
            Ok(Mapped { dev, host, first_id })
        });
        if let Err(status) = mapped {
            ops.free(dev);
            self.logger().log(log::ERROR, format_args!("a block of {size} bytes could not be mapped: {status:?}"));
        }
        mapped
    }

    /// Makes a block known and returns the id of its first buffer, 0 if it has none.
    fn enter_block(&self, block: Range, kind: u32, shadow: Option<Shadow>) -> Result<u32, Status> {
        let mut blocks = self.blocks.lock();
        if shadow.is_some() {
            blocks.reserve_shadow()?;
        }
        let earlier = self.ids_at(block.base);
        let first_id = self.with_ids(block.count, kind, |first_id| {
            let map = self.map();
            if block.size != 0 {
                map.insert_range(Range { first_id, ..block })?;
            }
            // Beside the range, because an exact mapping that an earlier allocation left would win over it.
            let entered = map.insert_exact(block.base, block.host, first_id);
            if entered.is_err() {
                map.remove_ranges_at(block.base);
            }
            entered
        })?;
        // An allocator hands out an address again only after what lay there is gone.
        self.end_ids(&earlier);
        blocks.renew(block.base, shadow);
        Ok(first_id)
    }

    /// Reserves `count` ids, makes them known by `map` and returns the first, 0 if there are none; without a trace if
    /// `map` fails. The caller holds the lock of the block table.
    fn with_ids(&self, count: u32, kind: u32, map: impl FnOnce(u32) -> Result<(), Status>) -> Result<u32, Status> {
        if count == 0 || self.config.untracked {
            return map(0).map(|()| 0);
        }
        let first = self.ledger.reserve(count, kind)?;
        match map(first) {
            Ok(()) => {
                self.tracked[kind as usize].fetch_add(count, Ordering::Relaxed);
                Ok(first)
            }
            Err(status) => {
                self.ledger.unreserve(first, count);
                Err(status)
            }
        }
    }

    /// Finds the host address of fresh device memory: registered, else a zeroed shadow, else the same address.
    fn pair(&self, memory: &MemoryContext, dev: u64, size: usize) -> Result<(u64, Option<Shadow>), Status> {
        let Some(ops) = memory.ops.as_deref() else {
            return Err(Status::LANEPIPE_E_STATE);
        };
        if ops.registers() {
            return match ops.register(dev, size, memory.device_id) {
                0 => Err(Status::LANEPIPE_E_CALLBACK),
                host => Ok((host, None)),
            };
        }
        if !ops.copies() {
            return Ok((dev, None));
        }
        let shadow = Shadow::new(size)?;
        // SAFETY: the shadow is `size` bytes long, and so is the allocation at `dev`.
        if ops.copies_out() && !unsafe { ops.copy_to_device(dev, shadow.address(), size) } {
            return Err(Status::LANEPIPE_E_CALLBACK);
        }
        Ok((shadow.address() as u64, Some(shadow)))
    }
}
