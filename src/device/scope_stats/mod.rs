//! Begin and end of every scope of the orchestrator, one instance; `collected + dropped == total`.
//!
//! The orchestrator owns everything here. Heap positions are unrolled: an offset plus the capacity for each wrap that was
//! reported, so that they never decrease per ring and side.

#[cfg(all(test, not(loom)))]
mod tests;

use super::engine::{Engine, Flushed, Recorded};
use super::lane::{At, Form, Lane, Launch, Region, StateLayout, Thread};
use super::module::Module;
use super::wait::Clock;
use crate::layout::runtime::common::{ScopeStatsBuffer, ScopeStatsBufferState, ScopeStatsRecord};
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, Arch, HeaderLayout, a2a3, a5};
use crate::sync::barrier::wmb;
use core::marker::PhantomData;
use core::mem::offset_of;

const RINGS: usize = PTO2_SCOPE_STATS_MAX_RING_DEPTH as usize;
const DEPTHS: usize = PTO2_SCOPE_STATS_MAX_SCOPE_DEPTH as usize;
const NAME: usize = 32;

/// Where the header's capacities lie.
pub trait ScopeArch: Arch {
    /// Task window, dependency pool, heap (per ring), tensor map, latch of a fatal error.
    const CAPACITIES: [usize; 5];
}

macro_rules! scope_arch {
    ($name:ident, $module:ident) => {
        impl ScopeArch for $name {
            const CAPACITIES: [usize; 5] = [
                offset_of!($module::ScopeStatsDataHeader, task_window_cap),
                offset_of!($module::ScopeStatsDataHeader, dep_pool_cap),
                offset_of!($module::ScopeStatsDataHeader, heap_cap),
                offset_of!($module::ScopeStatsDataHeader, tensormap_cap),
                offset_of!($module::ScopeStatsDataHeader, fatal_latched),
            ];
        }
    };
}

scope_arch!(A2a3, a2a3);
scope_arch!(A5, a5);

/// The stream of scopes.
#[derive(Debug)]
pub struct ScopeForm<A>(PhantomData<A>);

impl<A: Arch> Form for ScopeForm<A> {
    const HEADER: HeaderLayout = A::SCOPE_STATS;
    const STATE: StateLayout = StateLayout {
        size: size_of::<ScopeStatsBufferState>(),
        free: offset_of!(ScopeStatsBufferState, free_queue),
        slots: PLATFORM_SCOPE_STATS_SLOT_COUNT,
        current: offset_of!(ScopeStatsBufferState, current_buf_ptr),
        seq: offset_of!(ScopeStatsBufferState, current_buf_seq),
        total: Some(offset_of!(ScopeStatsBufferState, total_record_count)),
        dropped: offset_of!(ScopeStatsBufferState, dropped_record_count),
    };
    const COUNT: usize = offset_of!(ScopeStatsBuffer, count);
    const RECORDS: usize = offset_of!(ScopeStatsBuffer, records);
    const RECORD: usize = size_of::<ScopeStatsRecord>();
    const CAPACITY: u32 = PLATFORM_SCOPE_STATS_RECORDS_PER_BUFFER;
}

/// Where in the source a scope stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Site<'s> {
    /// Path of the file; what follows its last `/` or `\` is stored, at most 31 bytes. `None` is stored as `(unknown)`.
    pub file: Option<&'s [u8]>,
    /// Line.
    pub line: i32,
}

/// Which side of a heap wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that allocates: `heap_end`.
    Alloc,
    /// The end that reclaims: `heap_start`.
    Reclaim,
}

/// What a scope's begin or end reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Ring of the scope.
    pub ring_id: i32,
    /// First task.
    pub task_start: i32,
    /// End of the tasks.
    pub task_end: i32,
    /// Offset in the heap up to which memory is reclaimed, in bytes.
    pub heap_start: u64,
    /// Offset in the heap up to which memory is allocated, in bytes.
    pub heap_end: u64,
    /// First entry of the dependency pool.
    pub dep_pool_start: i32,
    /// End of its entries.
    pub dep_pool_end: i32,
    /// Entries of the tensor map in use.
    pub tensormap_used: i32,
}

/// What became of a begin or an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was counted: off, too deep, or an end without a begin.
    Ignored,
    /// Recorded.
    Written,
    /// Counted as lost: there is no buffer.
    Dropped,
    /// Counted as lost: the orchestrator's ready queue is not known yet.
    NoIndex,
}

/// The scopes of one run. The orchestrator's. `'s` is how long the files' names live.
#[derive(Debug)]
pub struct ScopeStats<'s, A> {
    region: Option<Region>,
    enabled: bool,
    /// The orchestrator, whose index is below 0 until it is known.
    pub thread: Thread,
    pending: Site<'s>,
    /// Scopes that are open and recorded.
    open: usize,
    /// Scopes that are open beyond the greatest depth.
    suppressed: u32,
    sites: [Site<'s>; DEPTHS],
    rings: [i32; DEPTHS],
    /// Wraps per ring: reclaim, alloc.
    wraps: [[u64; 2]; RINGS],
    arch: PhantomData<A>,
}

impl<'s, A: ScopeArch> ScopeStats<'s, A> {
    /// Off: nothing is recorded, and nothing of an earlier run is known.
    pub const fn off() -> Self {
        Self {
            region: None,
            enabled: false,
            thread: Thread::new(-1),
            pending: Site { file: None, line: 0 },
            open: 0,
            suppressed: 0,
            sites: [Site { file: None, line: 0 }; DEPTHS],
            rings: [0; DEPTHS],
            wraps: [[0; 2]; RINGS],
            arch: PhantomData,
        }
    }

    /// The region at `base`, enabled. The first buffer is taken by the first record; shared memory is left alone. The
    /// orchestrator's index is not known afterwards. Off for a base of 0.
    ///
    /// # Safety
    ///
    /// As for [`Region::new`].
    pub unsafe fn init(base: u64) -> Self {
        // SAFETY: the caller's contract.
        let region = unsafe { Region::new(base, A::BUDGET) };
        Self { enabled: region.is_some(), region, ..Self::off() }
    }

    /// Whether scopes are recorded. Capacities and flushes do not depend on it.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled && self.region.is_some();
    }

    /// Whether scopes are recorded.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The orchestrator's ready queue.
    pub fn set_orch_thread_idx(&mut self, index: i32) {
        self.thread.index = index;
    }

    /// Site of the next scope that begins and is recorded.
    pub fn set_pending_site(&mut self, site: Site<'s>) {
        self.pending = site;
    }

    /// Depth of the innermost recorded scope; -1 outside any.
    pub fn depth(&self) -> i32 {
        self.open as i32 - 1
    }

    fn capacity(&self, which: usize) -> Option<At> {
        Some(self.region.as_ref()?.header().at(A::CAPACITIES[which]))
    }

    /// Capacities of a ring: tasks, heap bytes, dependencies. Another ring than 0..=3 is ignored.
    pub fn set_ring_capacity(&self, ring: i32, tasks: i32, heap: u64, deps: i32) {
        let Some(ring) = ring_index(ring) else { return };
        let (Some(task_caps), Some(dep_caps), Some(heap_caps)) = (self.capacity(0), self.capacity(1), self.capacity(2))
        else {
            return;
        };
        task_caps.at(ring * 4).store32(tasks as u32);
        heap_caps.at(ring * 8).store64(heap);
        dep_caps.at(ring * 4).store32(deps as u32);
    }

    /// Entries of the tensor map.
    pub fn set_tensormap_capacity(&self, entries: i32) {
        if let Some(place) = self.capacity(3) {
            place.store32(entries as u32);
        }
    }

    /// A scope begins. Beyond 64 open scopes nothing is recorded, but the end is counted. Waits for the host at most for
    /// the budget, and only when a buffer is full or missing.
    pub fn begin(&mut self, clock: &mut impl Clock, sample: &Sample) -> Outcome {
        if !self.enabled {
            return Outcome::Ignored;
        }
        let (Some(site), Some(ring)) = (self.sites.get_mut(self.open), self.rings.get_mut(self.open)) else {
            self.suppressed = self.suppressed.saturating_add(1);
            return Outcome::Ignored;
        };
        *site = core::mem::take(&mut self.pending);
        *ring = sample.ring_id;
        self.open += 1;
        self.append(clock, sample, SCOPE_STATS_PHASE_BEGIN)
    }

    /// The innermost scope ends; as [`ScopeStats::begin`].
    pub fn end(&mut self, clock: &mut impl Clock, sample: &Sample) -> Outcome {
        if !self.enabled || self.open == 0 {
            return Outcome::Ignored;
        }
        if self.suppressed != 0 {
            self.suppressed -= 1;
            return Outcome::Ignored;
        }
        let outcome = self.append(clock, sample, SCOPE_STATS_PHASE_END);
        self.open -= 1;
        if let Some(site) = self.sites.get_mut(self.open) {
            *site = Site::default();
        }
        outcome
    }

    /// The heap of the innermost scope's ring wrapped. Ignored outside any scope, and for another ring than 0..=3.
    pub fn note_heap_wrap(&mut self, side: Side) {
        if !self.enabled {
            return;
        }
        let innermost = self.open.checked_sub(1).and_then(|depth| self.rings.get(depth)).copied();
        let wraps = innermost.and_then(ring_index).and_then(|ring| self.wraps.get_mut(ring));
        if let Some([reclaim, alloc]) = wraps {
            let count = if side == Side::Alloc { alloc } else { reclaim };
            *count = count.wrapping_add(1);
        }
    }

    fn append(&mut self, clock: &mut impl Clock, sample: &Sample, phase: u32) -> Outcome {
        let depth = self.open.saturating_sub(1);
        let site = self.sites.get(depth).copied().unwrap_or_default();
        let Some(region) = self.region.as_ref() else { return Outcome::Ignored };
        let state = region.header().at(A::SCOPE_STATS.size);
        let mut heap = [sample.heap_start, sample.heap_end];
        if let Some((ring, wraps)) = ring_index(sample.ring_id).and_then(|ring| Some((ring, self.wraps.get(ring)?))) {
            let capacity = region.header().at(A::CAPACITIES[2] + ring * 8).load64();
            for (position, wraps) in heap.iter_mut().zip(wraps) {
                *position = position.wrapping_add(wraps.wrapping_mul(capacity));
            }
        }
        let mut lane = Lane::<ScopeForm<A>>::new(region, &mut self.thread, 0, state);
        if lane.thread.index < 0 {
            lane.account_attempt(state);
            lane.refuse_one();
            return Outcome::NoIndex;
        }
        let recorded = lane.append(clock, |record| {
            record.at(offset_of!(ScopeStatsRecord, site_file_basename)).write(stored_name(site.file));
            record.at(offset_of!(ScopeStatsRecord, heap_start)).write(heap);
            record.at(offset_of!(ScopeStatsRecord, site_line)).write([
                site.line,
                sample.task_start,
                sample.task_end,
                sample.dep_pool_start,
                sample.dep_pool_end,
                sample.tensormap_used,
            ]);
            record.at(offset_of!(ScopeStatsRecord, depth)).write([
                depth as i16,
                sample.ring_id as i16,
                phase as i16,
                0,
            ]);
        });
        match recorded {
            Recorded::Written => Outcome::Written,
            Recorded::Dropped => Outcome::Dropped,
        }
    }

    /// Hands what is recorded to the host; may be called again. `None` without a region.
    pub fn flush(&mut self, clock: &mut impl Clock) -> Option<Flushed> {
        let region = self.region.as_ref()?;
        let state = region.header().at(A::SCOPE_STATS.size);
        let mut lane = Lane::<ScopeForm<A>>::new(region, &mut self.thread, 0, state);
        Some(Engine::new(&mut lane, clock).flush(state))
    }

    /// A fatal error: tells the host and flushes. `None` while off.
    pub fn on_fatal(&mut self, clock: &mut impl Clock) -> Option<Flushed> {
        if !self.enabled {
            return None;
        }
        self.capacity(4)?.store32(1);
        wmb();
        self.flush(clock)
    }
}

impl<A: ScopeArch> Launch for ScopeStats<'_, A> {
    fn region(&mut self) -> Option<&mut Region> {
        self.region.as_mut()
    }
}

// Fields of a record that are written together lie together.
const _: () = {
    assert!(offset_of!(ScopeStatsRecord, heap_end) == offset_of!(ScopeStatsRecord, heap_start) + 8);
    assert!(offset_of!(ScopeStatsRecord, tensormap_used) == offset_of!(ScopeStatsRecord, site_line) + 20);
    assert!(offset_of!(ScopeStatsRecord, _pad) == offset_of!(ScopeStatsRecord, depth) + 6);
};

fn ring_index(ring: i32) -> Option<usize> {
    usize::try_from(ring).ok().filter(|ring| *ring < RINGS)
}

/// The name as a record has it, computed anew each time: a text that another library has at the same address is another.
fn stored_name(file: Option<&[u8]>) -> [u8; NAME] {
    let path = file.unwrap_or(b"(unknown)");
    let base = path.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or(path);
    let mut name = [0; NAME];
    for (place, byte) in name.iter_mut().zip(base.iter().take(NAME - 1)) {
        *place = *byte;
    }
    name
}
