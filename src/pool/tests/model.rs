//! Random operations by hand against queues in the plainest form, with an audit after every step.

use super::ops::{Op, Shape, op, shape};
use super::routing::expected as expected_lane;
use super::support::{Device, Mode, config, pop_done, pop_lane};
use crate::event::WaitEnd;
use crate::pool::ledger::Place;
use crate::pool::{Buffer, Looks, Pool, PoolConfig};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// The pool and what it should hold.
struct World {
    shape: Shape,
    device: Device,
    pool: Pool,
    live: u32,
    ready: Vec<VecDeque<(Buffer, Vec<u8>)>>,
    done: Vec<VecDeque<Buffer>>,
    /// By shard, then kind.
    lanes: Vec<Vec<VecDeque<Buffer>>>,
    /// By shard, in the order of parking; quarantined or not.
    parked: Vec<(usize, Buffer, bool)>,
    /// Buffers in no queue, oldest first.
    hand: VecDeque<Buffer>,
    /// Where the pool thinks the buffers in hand are.
    places: BTreeMap<u32, Place>,
    warm: Vec<u32>,
    demand: Vec<Vec<u32>>,
    total: u64,
    stamp: u8,
}

impl World {
    fn new(shape: Shape) -> Self {
        let device = Device::new(shape.mode);
        let pool = device.pool(PoolConfig {
            shards: shape.shards,
            kinds: shape.kinds,
            payload_size: shape.payload_size,
            ready_capacity: shape.ready,
            done_capacity: shape.done,
            recycled_capacity: shape.recycled,
            ..config()
        });
        let (shards, kinds) = (shape.shards as usize, shape.kinds as usize);
        Self {
            live: shape.shards,
            ready: vec![VecDeque::new(); shards],
            done: vec![VecDeque::new(); shards],
            lanes: vec![vec![VecDeque::new(); kinds]; shards],
            parked: Vec::new(),
            hand: VecDeque::new(),
            places: BTreeMap::new(),
            warm: vec![0; kinds],
            demand: vec![vec![0; kinds]; shards],
            total: 0,
            stamp: 0,
            shape,
            device,
            pool,
        }
    }

    fn fold(&self, shard: u32) -> usize {
        (shard % self.live) as usize
    }

    fn take_hand(&mut self, count: usize) -> Vec<Buffer> {
        self.hand.drain(..count.min(self.hand.len())).collect()
    }

    fn give_hand(&mut self, buffers: impl IntoIterator<Item = Buffer>, place: Place) {
        for buffer in buffers {
            self.places.insert(buffer.id, place);
            self.hand.push_back(buffer);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::PushReady { shard, count, wait } => self.push_ready(shard, count, wait),
            Op::PopReady { shard, max, wait } => self.pop_ready(shard, max, wait),
            Op::PushDone { shard, count } => {
                let buffers = self.take_hand(count);
                // SAFETY: one thread plays every role.
                let pushed = unsafe { self.pool.push_done(shard, &buffers) };
                let at = self.fold(shard);
                assert_eq!(pushed, buffers.len().min(self.shape.done as usize - self.done[at].len()));
                self.done[at].extend(&buffers[..pushed]);
                self.give_hand(buffers[pushed..].iter().copied(), Place::Collect);
            }
            Op::PopDone { shard, max } => {
                let at = self.fold(shard);
                let ring = &mut self.done[at];
                let expected: Vec<_> = ring.drain(..max.min(ring.len())).collect();
                assert_eq!(pop_done(&self.pool, shard, max), expected);
                self.give_hand(expected, Place::Replenish);
            }
            Op::PushRecycled { shard } => {
                let Some(buffer) = self.hand.pop_front() else { return };
                let at = self.fold(shard);
                let lane = &mut self.lanes[at][buffer.kind as usize];
                let fits = lane.len() < self.shape.recycled as usize;
                // SAFETY: one thread plays every role.
                assert_eq!(unsafe { self.pool.push_recycled(shard, &buffer) }, fits);
                if fits {
                    lane.push_back(buffer);
                } else {
                    self.hand.push_back(buffer);
                }
            }
            Op::PopRecycled { shard, kind, max } => {
                let kind = kind % self.shape.kinds;
                let at = self.fold(shard);
                let lane = &mut self.lanes[at][kind as usize];
                let expected: Vec<_> = lane.drain(..max.min(lane.len())).collect();
                assert_eq!(pop_lane(&self.pool, shard, kind, max), expected);
                self.give_hand(expected, Place::Device);
            }
            Op::Retire { shard } => {
                let Some(buffer) = self.hand.pop_front() else { return };
                assert_eq!(self.pool.retire(shard, buffer), Ok(()));
                self.parked.push((self.fold(shard), buffer, false));
            }
            Op::Quarantine { shard } => {
                let Some(buffer) = self.hand.pop_front() else { return };
                assert_eq!(self.pool.quarantine(shard, buffer), Ok(()));
                self.parked.push((self.fold(shard), buffer, true));
            }
            Op::TakeRetired { shard, kind } => {
                let kind = kind % self.shape.kinds;
                let at = shard.map(|shard| self.fold(shard));
                let fits = |(shard, buffer, quarantined): &(usize, Buffer, bool)| {
                    at.is_none_or(|at| at == *shard) && buffer.kind == kind && !quarantined
                };
                let newest = self.parked.iter().rposition(fits).map(|at| self.parked.remove(at).1);
                assert_eq!(self.pool.take_retired(shard, kind), newest);
                self.give_hand(newest, Place::Replenish);
            }
            Op::RecycleAll => self.recycle_all(),
            Op::RecycleOne { shard } => {
                let at = self.fold(shard);
                let buffers = std::mem::take(&mut self.done[at]);
                // SAFETY: one thread plays every role.
                let routed = unsafe { self.pool.recycle_done(shard) };
                let (placed, parked) = (buffers.len(), self.parked.len());
                for buffer in buffers {
                    self.place(at, buffer);
                }
                assert_eq!((routed.placed, routed.parked), (placed, self.parked.len() - parked));
            }
            Op::Recirculate => self.recirculate(),
            Op::ReleaseQueued => self.release_queued(),
            Op::Allocate { kind, count, shard, failure } => {
                self.allocate(kind % self.shape.kinds, count, shard, failure)
            }
            Op::Register { kind } => {
                let kind = kind % self.shape.kinds;
                let dev = 0xf000_0000 + self.total * 64;
                let id = self.pool.register(dev, dev, kind).unwrap();
                // The same address again is the same buffer.
                assert_eq!(self.pool.register(dev, dev, kind), Ok(id));
                self.total += 1;
                self.give_hand([Buffer { dev, kind, id }], Place::Device);
            }
            Op::SetLive { shards } => {
                let legal = (1..=self.shape.shards).contains(&shards);
                assert_eq!(self.pool.set_live_shards(shards).is_ok(), legal);
                if legal {
                    self.live = shards;
                }
                assert_eq!(self.pool.live_shards(), self.live);
            }
            Op::SetWarm { kind, target } => {
                let kind = kind % self.shape.kinds;
                self.pool.set_warm_target(kind, target).unwrap();
                self.warm[kind as usize] = target;
            }
            Op::SetDemand { shard, kind, demand } => {
                let (shard, kind) = (self.fold(shard), kind % self.shape.kinds);
                self.pool.demand(shard, kind).store(demand, Ordering::Relaxed);
                self.demand[shard][kind as usize] = demand;
            }
        }
    }

    fn push_ready(&mut self, shard: u32, count: usize, wait: bool) {
        let buffers = self.take_hand(count);
        let size = self.shape.payload_size as usize;
        let payloads: Vec<Vec<u8>> = buffers
            .iter()
            .map(|_| {
                self.stamp = self.stamp.wrapping_add(1);
                (0..size).map(|index| self.stamp ^ index as u8).collect()
            })
            .collect();
        let bytes = payloads.concat();
        // SAFETY: `bytes` holds a payload per buffer.
        let pushed = unsafe {
            if wait {
                self.pool.wait_push_ready(shard, &buffers, bytes.as_ptr(), 0)
            } else {
                self.pool.push_ready(shard, &buffers, bytes.as_ptr())
            }
        };
        let at = self.fold(shard);
        let room = self.shape.ready as usize - self.ready[at].len();
        assert_eq!(pushed, buffers.len().min(room));
        self.ready[at].extend(buffers[..pushed].iter().copied().zip(payloads));
        self.give_hand(buffers[pushed..].iter().copied(), Place::Drain);
    }

    fn pop_ready(&mut self, shard: u32, max: usize, wait: bool) {
        let size = self.shape.payload_size as usize;
        let mut buffers = vec![Buffer { dev: 0, kind: 0, id: 0 }; max];
        let mut payloads = vec![0u8; max * size];
        let (to, bytes) = (buffers.as_mut_ptr(), payloads.as_mut_ptr());
        let at = self.fold(shard);
        let count = max.min(self.ready[at].len());
        // SAFETY: there is room for `max` elements.
        if wait {
            // SAFETY: one thread plays every role.
            let popped = unsafe { self.pool.wait_pop_ready(shard, to, bytes, max, 0, Looks::Many) };
            assert_eq!(popped, if count == 0 { Err(WaitEnd::TimedOut) } else { Ok(count) });
        } else {
            // SAFETY: one thread plays every role.
            assert_eq!(unsafe { self.pool.pop_ready(shard, to, bytes, max) }, count);
        }
        let expected: Vec<_> = self.ready[at].drain(..count).collect();
        for (index, (buffer, payload)) in expected.iter().enumerate() {
            assert_eq!((buffers[index], &payloads[index * size..][..size]), (*buffer, &payload[..]));
        }
        self.give_hand(expected.into_iter().map(|(buffer, _)| buffer), Place::Collect);
    }

    /// Puts a buffer into its lane of one shard or parks it.
    fn place(&mut self, shard: usize, buffer: Buffer) {
        let lane = &mut self.lanes[shard][buffer.kind as usize];
        if lane.len() < self.shape.recycled as usize {
            lane.push_back(buffer);
        } else {
            self.parked.push((shard, buffer, false));
        }
    }

    fn route(&self, buffer: &Buffer, origin: usize) -> Option<usize> {
        let kind = buffer.kind as usize;
        let live = self.live as usize;
        let lens: Vec<_> = self.lanes[..live].iter().map(|lanes| lanes[kind].len()).collect();
        let demand: Vec<_> = self.demand[..live].iter().map(|demand| demand[kind]).collect();
        expected_lane(&lens, &demand, self.warm[kind] as usize, self.shape.recycled as usize, origin)
    }

    fn recycle_all(&mut self) {
        let mut placed = Vec::new();
        // SAFETY: one thread plays every role.
        let routed = unsafe { self.pool.recycle_all_done(|buffer, shard| placed.push((*buffer, shard))) };
        let mut expected = Vec::new();
        let mut touched = 0;
        for origin in 0..self.live as usize {
            for buffer in std::mem::take(&mut self.done[origin]) {
                let target = self.route(&buffer, origin);
                match target {
                    Some(shard) => {
                        touched |= 1 << shard;
                        self.lanes[shard][buffer.kind as usize].push_back(buffer);
                    }
                    None => self.parked.push((origin, buffer, false)),
                }
                expected.push((buffer, target));
            }
        }
        assert_eq!(placed, expected);
        assert_eq!((routed.placed, routed.touched), (expected.len(), touched));
    }

    fn recirculate(&mut self) {
        let mut placed = Vec::new();
        // SAFETY: one thread plays every role.
        let routed = unsafe { self.pool.recirculate(|buffer, shard| placed.push((*buffer, shard))) };
        let mut touched = 0;
        for (buffer, shard) in &placed {
            let shard = shard.expect("what cannot move is not moved");
            touched |= 1 << shard;
            assert_eq!(Some(shard), self.route(buffer, 0));
            let at = self.parked.iter().rposition(|(_, parked, out)| parked.kind == buffer.kind && !out);
            let newest = self.parked.remove(at.expect("a buffer came back that was not parked"));
            assert_eq!(newest.1, *buffer);
            self.lanes[shard][buffer.kind as usize].push_back(*buffer);
        }
        assert_eq!((routed.placed, routed.touched), (placed.len(), touched));
        // Whatever is still parked finds no room.
        assert!(self.parked.iter().all(|(_, buffer, out)| *out || self.route(buffer, 0).is_none()));
    }

    fn release_queued(&mut self) {
        let mut queued: Vec<Buffer> = self.lanes.iter_mut().flatten().flat_map(std::mem::take).collect();
        let mut parked: Vec<_> = std::mem::take(&mut self.parked).into_iter().rev().collect();
        parked.sort_by_key(|(shard, buffer, _)| (*shard, buffer.kind));
        queued.extend(parked.into_iter().map(|(_, buffer, _)| buffer));
        queued.extend(self.done.iter_mut().flat_map(std::mem::take));
        queued.extend(self.ready.iter_mut().flat_map(std::mem::take).map(|(buffer, _)| buffer));
        let mut expected = Vec::new();
        for buffer in &queued {
            let block = self.device.with(|state| {
                let block = state.blocks.range(..=buffer.dev).next_back();
                block.filter(|(base, size)| buffer.dev - **base < **size as u64).map(|(base, _)| *base)
            });
            let base = block.unwrap_or(buffer.dev);
            if !expected.contains(&base) {
                expected.push(base);
            }
        }
        let mut released = Vec::new();
        // SAFETY: no other thread uses the pool.
        assert_eq!(unsafe { self.pool.release_queued(|base| released.push(base)) }, Ok(()));
        assert_eq!(released, expected);
        self.give_hand(queued, Place::Device);
    }

    fn allocate(&mut self, kind: u32, count: u32, shard: Option<u32>, failure: u8) {
        self.device.with(|state| {
            state.fail_alloc = failure == 0;
            state.fail_register = failure == 1;
            state.fail_copy = failure == 2;
        });
        let before = self.device.with(|state| state.blocks.len());
        // SAFETY: one thread plays every role.
        let placed = unsafe { self.pool.allocate(kind, 100, count, shard) };
        let fails = match failure {
            0 => Some(Status::LANEPIPE_E_NO_MEMORY),
            1 if self.shape.mode == Mode::Register => Some(Status::LANEPIPE_E_CALLBACK),
            2 if self.shape.mode == Mode::Shadow => Some(Status::LANEPIPE_E_CALLBACK),
            _ => None,
        };
        if let Some(status) = fails {
            assert_eq!(placed, Err(status));
            assert_eq!(self.device.with(|state| state.blocks.len()), before, "a failed block was kept");
            return;
        }
        assert_eq!(placed, Ok(count as usize));
        let (base, size) = self.device.with(|state| {
            let (base, size) = state.blocks.last_key_value().unwrap();
            (*base, *size)
        });
        assert_eq!(size, count as usize * 128);
        for index in 0..count {
            let dev = base + u64::from(index) * 128;
            let known = self.pool.resolve(dev).unwrap();
            let buffer = Buffer { dev, kind, id: known.id };
            self.total += 1;
            let shard = self.fold(shard.unwrap_or(index));
            self.place(shard, buffer);
        }
    }

    fn check(&self) {
        // SAFETY: no other thread uses the pool.
        let audit = unsafe { self.pool.audit() };
        assert_eq!((audit.errors, audit.total()), (0, self.total));
        let in_hand = |place| self.hand.iter().filter(|buffer| self.places[&buffer.id] == place).count();
        let lanes = self.lanes.iter().flatten().map(VecDeque::len).sum();
        let quarantined = self.parked.iter().filter(|(_, _, quarantined)| *quarantined).count();
        for (place, count) in [
            (Place::Gone, 0),
            (Place::Device, in_hand(Place::Device)),
            (Place::Drain, in_hand(Place::Drain)),
            (Place::Ready, self.ready.iter().map(VecDeque::len).sum()),
            (Place::Collect, in_hand(Place::Collect)),
            (Place::Done, self.done.iter().map(VecDeque::len).sum()),
            (Place::Replenish, in_hand(Place::Replenish)),
            (Place::Recycled, lanes),
            (Place::Retired, self.parked.len() - quarantined),
            (Place::Quarantined, quarantined),
        ] {
            assert_eq!(audit.at(place), count as u64, "{place:?}");
        }
        for shard in 0..self.live {
            let at = shard as usize;
            assert_eq!(self.pool.ready(shard).len(), self.ready[at].len());
            assert_eq!(self.pool.ready(shard).is_empty(), self.ready[at].is_empty());
            assert_eq!(self.pool.done_len(shard), self.done[at].len());
            for kind in 0..self.shape.kinds {
                assert_eq!(self.pool.recycled_len(shard, kind), self.lanes[at][kind as usize].len());
            }
        }
        let tracked: u32 = (0..self.shape.kinds).map(|kind| self.pool.tracked(kind)).sum();
        assert_eq!(u64::from(tracked), self.total - quarantined as u64);
        for kind in 0..self.shape.kinds as usize {
            let live: usize = self.lanes[..self.live as usize].iter().map(|lanes| lanes[kind].len()).sum();
            assert_eq!(self.pool.recycled_total(kind as u32), live);
        }
        let any_done = self.done[..self.live as usize].iter().any(|ring| !ring.is_empty());
        assert_eq!(self.pool.any_done(), any_done);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_buffer_is_where_the_model_has_it(shape in shape(), ops in prop::collection::vec(op(), 1..160)) {
        let mut world = World::new(shape);
        for op in &ops {
            world.apply(op);
            world.check();
        }
    }
}
