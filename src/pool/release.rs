//! The end of allocations: claims, freeing, and what remains when nothing is used any more.
//!
//! A *claim* is a mark on an allocation base: whoever sets it frees the allocation, whatever piece of it he holds. Marks
//! stay until the address is allocated anew, freed by [`Pool::free`], or all mappings are forgotten. Callbacks run with
//! no lock held.

use super::memory::Shadow;
use super::{Buffer, Place, Pool};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use core::ffi::c_void;
use std::collections::{HashMap, HashSet};

/// Bookkeeping of the cold path, behind the lock of the writers.
#[derive(Default)]
pub(super) struct Blocks {
    /// By device address; the shadow where the pool made one.
    shadows: HashMap<u64, Shadow>,
    /// Host memory of `malloc` that was handed over.
    adopted: HashSet<u64>,
    /// Claimed bases, each with the ticket of its claim.
    claims: HashMap<u64, u64>,
    next_claim: u64,
}

impl Blocks {
    /// Makes room for one more shadow.
    pub(super) fn reserve_shadow(&mut self) -> Result<(), Status> {
        self.shadows.try_reserve(1).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)
    }

    /// A fresh allocation at `base`; there is room for its shadow.
    pub(super) fn renew(&mut self, base: u64, shadow: Option<Shadow>) {
        self.claims.remove(&base);
        self.shadows.remove(&base);
        self.shadows.extend(shadow.map(|shadow| (base, shadow)));
    }

    /// Claims `base` and returns the ticket; `None` if it is claimed already.
    fn claim(&mut self, base: u64) -> Result<Option<u64>, Status> {
        if self.claims.contains_key(&base) {
            return Ok(None);
        }
        self.claims.try_reserve(1).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        self.next_claim += 1;
        self.claims.insert(base, self.next_claim);
        Ok(Some(self.next_claim))
    }

    /// Takes the claim with that ticket back; one that somebody else made since stays.
    fn disclaim(&mut self, base: u64, ticket: u64) {
        if self.claims.get(&base) == Some(&ticket) {
            self.claims.remove(&base);
        }
    }

    /// Gives all adopted memory back.
    fn free_adopted(&mut self) {
        for host in self.adopted.drain() {
            // SAFETY: `Pool::adopt_shadow` took it over, and it left the set just now.
            unsafe { free_adopted(host) };
        }
    }
}

/// # Safety
///
/// `host` came from `malloc`, belongs to the pool, and is in its set no more.
unsafe fn free_adopted(host: u64) {
    // SAFETY: forwarded.
    unsafe { libc::free(host as *mut c_void) };
}

/// The ids of what is mapped at one address: of an exact mapping, and of a block that begins there.
pub(super) struct Ids {
    exact: u32,
    first: u32,
    count: u32,
}

impl Pool {
    /// The ids that end with the allocation at `base`. The caller holds the lock of the block table.
    pub(super) fn ids_at(&self, base: u64) -> Ids {
        let exact = self.map().exact(base).map_or(0, |exact| exact.id);
        match self.map().block_of(base).filter(|block| block.base == base) {
            Some(block) => Ids { exact, first: block.first_id, count: block.count },
            None => Ids { exact, first: 0, count: 0 },
        }
    }

    /// Ends ids for good. The caller holds the lock of the block table.
    pub(super) fn end_ids(&self, ids: &Ids) {
        for id in (ids.first..ids.first + ids.count).chain([ids.exact]) {
            if let Some(entry) = self.ledger.end(id).filter(|entry| entry.place != Place::Quarantined) {
                self.tracked[entry.kind as usize].fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Base of the allocation that `dev` belongs to, itself if it stands alone; `None` if the pool does not know it.
    /// Lock-free, any thread.
    pub fn base_of(&self, dev: u64) -> Option<u64> {
        if dev == 0 {
            return None;
        }
        self.map().range_base(dev).or_else(|| self.map().contains_exact(dev).then_some(dev))
    }

    /// Claims the allocation that `dev` belongs to. Returns its base, and whether nobody had claimed it before. Any
    /// thread; takes the lock of the block table.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_UNKNOWN_POINTER`, `LANEPIPE_E_NO_MEMORY`.
    pub fn claim_base(&self, dev: u64) -> Result<(u64, bool), Status> {
        let mut blocks = self.blocks.lock();
        let base = self.base_of(dev).ok_or(Status::LANEPIPE_E_UNKNOWN_POINTER)?;
        Ok((base, blocks.claim(base)?.is_some()))
    }

    /// Takes over memory of `malloc`, to be freed once: with the allocation whose host address it is, or when all
    /// mappings are forgotten. The same memory again changes nothing. Any thread; takes the lock of the block table.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_NO_MEMORY`; the memory stays the caller's then.
    ///
    /// # Safety
    ///
    /// `host` came from `malloc`, is not null, and nobody else frees it.
    pub unsafe fn adopt_shadow(&self, host: u64) -> Result<(), Status> {
        let mut blocks = self.blocks.lock();
        blocks.adopted.try_reserve(1).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        blocks.adopted.insert(host);
        Ok(())
    }

    /// Frees the allocation that `dev` belongs to: forgets what is mapped at its base, gives it back to the device
    /// allocator, and frees its shadow. Other addresses that were registered inside it stay known. Returns whether it was
    /// freed here: not if somebody claimed it before. Any thread; nobody uses the allocation.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_UNKNOWN_POINTER`, `LANEPIPE_E_NO_MEMORY`.
    pub fn free(&self, dev: u64) -> Result<bool, Status> {
        let mut blocks = self.blocks.lock();
        let base = self.base_of(dev).ok_or(Status::LANEPIPE_E_UNKNOWN_POINTER)?;
        let Some(ticket) = blocks.claim(base)? else {
            return Ok(false);
        };
        let map = self.map();
        // Both: an exact mapping may have been overwritten since.
        let exact = map.exact(base).map(|exact| exact.host);
        let block = map.block_of(base).filter(|block| block.base == base).map(|block| block.host);
        self.end_ids(&self.ids_at(base));
        map.remove_exact(base);
        map.remove_ranges_at(base);
        let shadow = blocks.shadows.remove(&base);
        let adopted = [exact, block].map(|host| host.filter(|host| blocks.adopted.remove(host)));
        drop(blocks);
        if let Some(ops) = &self.memory().ops {
            ops.free(base);
        }
        self.blocks.lock().disclaim(base, ticket);
        drop(shadow);
        for host in adopted.into_iter().flatten() {
            // SAFETY: adopted, and out of the set.
            unsafe { free_adopted(host) };
        }
        Ok(true)
    }

    /// Empties all queues and calls `release` once with the base of each distinct allocation that a buffer in one of them
    /// belongs to, or its own address if the pool does not know it: lanes by shard and kind, the oldest first; parked
    /// buffers likewise, the newest first; done rings; ready rings. Mappings, claims and shadows stay as they are.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` while threads run; `LANEPIPE_E_NO_MEMORY`, and nothing is done.
    ///
    /// # Safety
    ///
    /// No other thread uses the pool.
    pub unsafe fn release_queued(&self, release: impl FnMut(u64)) -> Result<(), Status> {
        self.require_rest()?;
        let count = self.queued();
        let mut bases = Vec::new();
        let mut met = HashSet::new();
        bases.try_reserve_exact(count).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        met.try_reserve(count).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        // All bases first: `release` may change what the pool knows of them.
        let mut meet = |buffer: &Buffer| {
            if let Some(entry) = self.ledger.get(buffer.id).filter(|entry| entry.place == Place::Quarantined) {
                // With the caller it is a buffer as any other.
                self.tracked[entry.kind as usize].fetch_add(1, Ordering::Relaxed);
            }
            self.note(buffer, Place::Device, 0);
            let base = self.base_of(buffer.dev).unwrap_or(buffer.dev);
            if base != 0 && met.insert(base) {
                bases.push(base);
            }
        };
        // SAFETY: nobody else uses the pool; likewise below.
        self.lanes.iter().for_each(|lane| unsafe { lane.recycled.for_each(&mut meet) });
        self.retired.for_each_newest_first(&mut meet);
        // SAFETY: as above.
        self.done.iter().for_each(|ring| unsafe { ring.for_each(&mut meet) });
        // SAFETY: as above.
        self.ready.iter().for_each(|ring| unsafe { ring.for_each(&mut meet) });
        // SAFETY: as above.
        unsafe { self.discard_queued() };
        bases.into_iter().for_each(release);
        Ok(())
    }

    /// Empties all queues, calls `release` once for each distinct allocation that the pool knows, in ascending order and
    /// whatever was claimed, then frees all shadows and forgets all mappings. `release` may look addresses up.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` while threads run.
    ///
    /// # Safety
    ///
    /// No other thread uses the pool.
    pub unsafe fn release_all(&self, release: impl FnMut(u64)) -> Result<(), Status> {
        self.require_rest()?;
        // SAFETY: forwarded.
        unsafe { self.discard_queued() };
        self.map().for_each_base(release);
        // SAFETY: forwarded.
        unsafe { self.forget() };
        Ok(())
    }

    /// Frees all shadows and forgets mappings, claims and identities; the device's allocations are the caller's business.
    /// A tracked pool must have empty queues: a buffer in one would lose its identity.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` while threads run, or for a tracked buffer in a queue.
    ///
    /// # Safety
    ///
    /// No other thread uses the pool.
    pub unsafe fn clear_mappings(&self) -> Result<(), Status> {
        self.require_rest()?;
        if !self.config.untracked && self.queued() != 0 {
            return Err(Status::LANEPIPE_E_STATE);
        }
        // SAFETY: forwarded.
        unsafe { self.forget() };
        Ok(())
    }

    /// Buffers in all queues of the pool. At rest.
    fn queued(&self) -> usize {
        let lanes: usize = self.lanes.iter().map(|lane| lane.recycled.len()).sum();
        let done: usize = self.done.iter().map(|ring| ring.len()).sum();
        let ready: usize = self.ready.iter().map(|ring| ring.len()).sum();
        lanes + done + ready + self.retired.len()
    }

    /// # Safety
    ///
    /// No other thread uses the pool.
    unsafe fn discard_queued(&self) {
        for ring in &self.ready {
            // SAFETY: nobody else uses the pool.
            unsafe { ring.clear() };
        }
        for ring in self.done.iter().chain(self.lanes.iter().map(|lane| &lane.recycled)) {
            // SAFETY: as above.
            while unsafe { ring.pop() }.is_some() {}
        }
        self.retired.clear();
        self.notes.clear();
    }

    /// # Safety
    ///
    /// No other thread uses the pool.
    unsafe fn forget(&self) {
        let mut blocks = core::mem::take(&mut *self.blocks.lock());
        blocks.free_adopted();
        for lane in &self.lanes {
            lane.demand.store(0, Ordering::Relaxed);
        }
        for tracked in &self.tracked {
            tracked.store(0, Ordering::Relaxed);
        }
        self.ledger.reset();
        // SAFETY: nobody else uses the pool, so no lookup holds the map.
        unsafe { (*self.map.get()).clear() };
    }
}
