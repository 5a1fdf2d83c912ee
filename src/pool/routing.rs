//! Routing: where returned buffers go.

use super::{Buffer, Pool};
use crate::sync::atomic::Ordering;
use core::mem::MaybeUninit;

/// Done buffers taken at a time.
const BATCH: usize = 32;

/// What one routing pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Routed {
    /// Buffers placed, in lanes or parked.
    pub placed: usize,
    /// How many of those were parked, because no lane had room.
    pub parked: usize,
    /// Bit s is set if a lane of shard s got a buffer.
    pub touched: u64,
}

impl Pool {
    /// Moves all done buffers of the live shards into lanes, each where it is wanted most; what fits nowhere is parked.
    ///
    /// # Safety
    ///
    /// The caller is the replenish thread, or the owner while no thread runs.
    pub unsafe fn recycle_all_done(&self, mut on_placed: impl FnMut(&Buffer, Option<usize>)) -> Routed {
        let mut routed = Routed::default();
        for shard in 0..self.live_shards() {
            // SAFETY: forwarded.
            unsafe { self.recycle_ring(shard, &mut routed, &mut on_placed) };
        }
        routed
    }

    /// Moves the done buffers of one shard into its own lanes; what does not fit is parked.
    ///
    /// # Safety
    ///
    /// As for [`Pool::recycle_all_done`].
    pub unsafe fn recycle_done(&self, shard: u32) -> Routed {
        let shard = self.fold(shard);
        let mut routed = Routed::default();
        // SAFETY: forwarded.
        unsafe {
            self.for_each_done(shard as u32, |batch| {
                // Neighbours are mostly of one kind, and share an index change of its lane.
                for run in batch.chunk_by(|one, next| one.kind == next.kind) {
                    let kind = run.first().map_or(0, |buffer| buffer.kind);
                    let stored = self.push_recycled_run(shard, kind, run);
                    routed.placed += stored;
                    routed.touched |= u64::from(stored != 0) << shard;
                    for buffer in run.get(stored..).unwrap_or_default() {
                        self.park(shard as u32, buffer, &mut routed);
                    }
                }
            });
        }
        routed
    }

    /// Buffers per kind that the threads of a run bring back to a lane: in ready and done rings of live shards, and parked.
    /// Not what lies with other shards or with the owner, or waits for teardown.
    ///
    /// # Safety
    ///
    /// No other thread uses a queue end.
    pub(crate) unsafe fn on_their_way(&self) -> Box<[u64]> {
        let mut counts = vec![0; self.config.kinds as usize];
        // An element without a buffer brings none back.
        let mut count = |buffer: &Buffer| counts[buffer.kind as usize] += u64::from(buffer.dev != 0);
        for shard in 0..self.live_shards() as usize {
            // SAFETY: forwarded.
            unsafe {
                self.ready[shard].for_each(&mut count);
                self.done[shard].for_each(&mut count);
            }
        }
        self.retired.for_each(|_, buffer, quarantined| {
            if !quarantined {
                count(buffer);
            }
        });
        counts.into()
    }

    #[cold]
    pub(super) fn park(&self, shard: u32, buffer: &Buffer, routed: &mut Routed) {
        if self.retire(shard, *buffer).is_ok() {
            routed.placed += 1;
            routed.parked += 1;
        }
    }

    /// Brings parked buffers back into lanes that have room; what finds none stays parked and is not counted.
    ///
    /// # Safety
    ///
    /// As for [`Pool::recycle_all_done`].
    pub unsafe fn recirculate(&self, mut on_placed: impl FnMut(&Buffer, Option<usize>)) -> Routed {
        let mut routed = Routed::default();
        for kind in 0..self.config.kinds {
            while self.retired.has_circulable(kind) && self.has_room(kind) {
                let Some(buffer) = self.take_retired(None, kind) else { break };
                // SAFETY: forwarded. The lanes only lose buffers to others, so one of them takes this one.
                let target = unsafe { self.route(&buffer, 0, &mut routed) };
                routed.placed += 1;
                on_placed(&buffer, target);
            }
        }
        routed
    }

    /// Whether some live lane of `kind` can take a buffer. Reliable in this direction for the lanes' producer.
    fn has_room(&self, kind: u32) -> bool {
        let capacity = self.config.recycled_capacity as usize;
        (0..self.live_shards() as usize).any(|shard| self.lane(shard, kind).recycled.len() < capacity)
    }

    /// # Safety
    ///
    /// As for [`Pool::recycle_all_done`].
    unsafe fn recycle_ring(&self, shard: u32, routed: &mut Routed, on_placed: &mut impl FnMut(&Buffer, Option<usize>)) {
        // SAFETY: forwarded.
        unsafe {
            self.for_each_done(shard, |batch| {
                for buffer in batch {
                    let target = self.route(buffer, shard as usize, routed);
                    match target {
                        Some(_) => routed.placed += 1,
                        None => self.park(shard, buffer, routed),
                    }
                    on_placed(buffer, target);
                }
            });
        }
    }

    /// # Safety
    ///
    /// As for [`Pool::recycle_all_done`].
    #[inline(always)]
    unsafe fn for_each_done(&self, shard: u32, mut f: impl FnMut(&[Buffer])) {
        let mut batch = [MaybeUninit::<Buffer>::uninit(); BATCH];
        loop {
            let present = self.done_len(shard);
            if present == 0 {
                return;
            }
            // Never more than there are: a single one takes a short cut, and a ring that fills meanwhile ends the loop.
            let (room, _) = batch.split_at_mut(present.min(BATCH));
            // SAFETY: forwarded.
            let count = unsafe { self.pop_done(shard, room) };
            // SAFETY: `pop_done` filled the first `count` elements.
            f(unsafe { core::slice::from_raw_parts(batch.as_ptr().cast(), count) });
            if count < BATCH {
                return;
            }
        }
    }

    /// Places one buffer: where demand is, else where the deficit is largest, else at its origin, else in any lane with
    /// room. Returns the shard whose lane took it.
    ///
    /// # Safety
    ///
    /// As for [`Pool::recycle_all_done`].
    #[inline(always)]
    unsafe fn route(&self, buffer: &Buffer, origin: usize, routed: &mut Routed) -> Option<usize> {
        let wanted = self.target(buffer.kind, origin);
        // SAFETY: the caller is the lanes' sole producer.
        let taken_by = if unsafe { self.push_recycled(wanted as u32, buffer) } {
            Some(wanted)
        } else {
            // SAFETY: as above.
            unsafe { self.route_elsewhere(buffer, origin, wanted) }
        };
        routed.touched |= taken_by.map_or(0, |shard| 1 << shard);
        taken_by
    }

    /// The rest of `route`, once the lane of shard `full` has refused the buffer.
    ///
    /// # Safety
    ///
    /// As for [`Pool::recycle_all_done`].
    #[cold]
    unsafe fn route_elsewhere(&self, buffer: &Buffer, origin: usize, full: usize) -> Option<usize> {
        let live = self.live_shards() as usize;
        (origin..live)
            .chain(0..origin)
            // SAFETY: the caller is the lanes' sole producer.
            .find(|shard| *shard != full && unsafe { self.push_recycled(*shard as u32, buffer) })
    }

    /// The shard whose lane of `kind` wants a buffer most. Unmet demand comes first, then the largest deficit below the
    /// warm target; ties go to the first shard after the origin, and the origin itself comes last. All demand ties: by
    /// size, a shard whose demand is always the larger one would keep every buffer.
    #[inline(always)]
    fn target(&self, kind: u32, origin: usize) -> usize {
        let live = self.live_shards() as usize;
        // Relaxed: only a preference.
        let warm = self.warm_target(kind) as usize;
        let capacity = self.config.recycled_capacity as usize;
        let mut best = (0, origin);
        for shard in (origin + 1..live).chain(0..=origin) {
            // Relaxed: only a preference.
            let demand = self.demand(shard, kind).load(Ordering::Relaxed) as usize;
            if demand == 0 && warm == 0 {
                continue;
            }
            let present = self.lane(shard, kind).recycled.len();
            let weight = if demand.min(capacity) > present { usize::MAX } else { warm.saturating_sub(present) };
            if weight > best.0 {
                best = (weight, shard);
            }
        }
        best.1
    }
}
