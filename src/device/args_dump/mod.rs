//! Arguments of tasks: one record per argument, the contents of tensors in an arena per control thread.
//!
//! The arena is a circular store. Its write cursor grows without bound; a payload lies at the cursor modulo the arena's
//! size and never crosses its end. Before the cursor enters the arena anew, the thread publishes its records, asks the host
//! for a release and waits, with one budget for all of it, until the host has acknowledged every payload that the thread
//! published. Each thread has watermarks of its own: payloads published, payloads completed.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | host's → `args_dump.A1` | completed payloads, Release | [`acknowledged`], Acquire | the host has read the payloads | `loom_args_dump_arena` |
//!
//! The number of published payloads needs no edge: the ready tail that covers the entry carries it (`device.R1`).
//!
//! Which arguments of a task are marked stands in [`tables`], what follows from that in [`selection`].

#[cfg(all(test, loom))]
mod loom_tests;
mod payload;
pub mod selection;
pub mod tables;
#[cfg(all(test, not(loom)))]
mod tests;

use super::engine::{Engine, Flushed, Switched};
use super::lane::{At, Form, Lane, Launch, Region, StateLayout, Thread};
use super::module::Module;
use super::wait::{Clock, Wait};
use crate::layout::runtime::common::{ArgsDumpInfo, ArgsDumpRecord, DumpBufferState, DumpMetaBuffer};
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, Arch, HeaderLayout, a2a3, a5};
use crate::sync::atomic::Ordering;
use crate::sync::barrier::wmb;
use crate::sync::{Edge, Word64};
use core::marker::PhantomData;
use core::mem::offset_of;

const A1: Edge = Edge::new("args_dump.A1", Ordering::Acquire);

const CAPACITY: u32 = PLATFORM_DUMP_RECORDS_PER_BUFFER;
const DIMS: usize = PLATFORM_DUMP_MAX_DIMS as usize;

/// Where the level lies.
pub trait DumpArch: Arch {
    /// In bytes from the header.
    const LEVEL: usize;
}

impl DumpArch for A2a3 {
    const LEVEL: usize = offset_of!(a2a3::DumpDataHeader, dump_args_level);
}

impl DumpArch for A5 {
    const LEVEL: usize = offset_of!(a5::DumpDataHeader, dump_args_level);
}

/// The stream of arguments.
#[derive(Debug)]
pub struct DumpForm<A>(PhantomData<A>);

impl<A: Arch> Form for DumpForm<A> {
    const HEADER: HeaderLayout = A::ARGS_DUMP;
    const STATE: StateLayout = StateLayout {
        size: size_of::<DumpBufferState>(),
        free: offset_of!(DumpBufferState, free_queue),
        slots: PLATFORM_DUMP_SLOT_COUNT,
        current: offset_of!(DumpBufferState, current_buf_ptr),
        seq: offset_of!(DumpBufferState, current_buf_seq),
        total: None,
        dropped: offset_of!(DumpBufferState, dropped_record_count),
    };
    const COUNT: usize = offset_of!(DumpMetaBuffer, count);
    const RECORDS: usize = offset_of!(DumpMetaBuffer, records);
    const RECORD: usize = size_of::<ArgsDumpRecord>();
    const CAPACITY: u32 = CAPACITY;
    const SATURATES: bool = true;

    /// Raises the watermark of published payloads, before the entry is there: a host that has seen the entry has seen it.
    #[inline(always)]
    fn before_entry(lane: &mut Lane<'_, Self>, buffer: u64) {
        let records = lane.count(buffer).min(CAPACITY);
        let has_payload = |index: &u32| {
            let record = Lane::<Self>::record(buffer, *index);
            let kind: u8 = record.at(offset_of!(ArgsDumpRecord, kind)).read();
            u32::from(kind) == ARGS_DUMP_KIND_TENSOR
                && record.at(offset_of!(ArgsDumpRecord, payload_size)).read::<u64>() > 0
        };
        let payloads = (0..records).filter(has_payload).count() as u64;
        let word = lane.state.at(offset_of!(DumpBufferState, published_payload_count));
        word.store64(word.load64().wrapping_add(payloads));
        wmb();
    }
}

/// Whether the host has acknowledged `target` payloads: `completed` is its watermark.
pub fn acknowledged(completed: &impl Word64, target: u64) -> bool {
    // [A1] Acquire: pairs with the host's release; it has read the payloads that are overwritten next.
    completed.load(A1.order()) >= target
}

/// What became of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was counted: off, or there is no such thread.
    Ignored,
    /// Recorded.
    Written,
    /// Counted as lost: there is no buffer.
    Dropped,
    /// Counted as lost: the arena was not released in time.
    NoArena,
}

/// The arguments of one run. Shared by the control threads.
#[derive(Debug)]
pub struct ArgsDump<A> {
    region: Option<Region>,
    threads: u32,
    level: u32,
    arch: PhantomData<A>,
}

impl<A: DumpArch> ArgsDump<A> {
    /// Off: nothing is recorded, and no region of an earlier run is known.
    pub const fn off() -> Self {
        Self { region: None, threads: 0, level: DUMP_ARGS_LEVEL_OFF, arch: PhantomData }
    }

    /// The region at `base` for `threads` control threads: takes the first buffer of each and the level. Never waits. Off for a
    /// base of 0, and for a count outside of 1 to the most there are.
    ///
    /// # Safety
    ///
    /// As for [`Region::new`]; each thread's arena is writable memory that only the thread writes.
    pub unsafe fn init(base: u64, threads: u32, clock: &mut impl Clock) -> Self {
        if threads == 0 || threads > A::MAX_THREADS {
            return Self::off();
        }
        // SAFETY: the caller's contract.
        let region = unsafe { Region::new(base, A::BUDGET) };
        let level = region.as_ref().map_or(DUMP_ARGS_LEVEL_OFF, |region| region.header().at(A::LEVEL).load32());
        let dump = Self { region, threads, level, arch: PhantomData };
        for index in 0..threads {
            let mut thread = Thread::new(index as i32);
            if let Some(mut lane) = dump.lane(&mut thread) {
                let state = lane.state;
                Engine::new(&mut lane, clock).init(state);
            }
        }
        dump
    }

    /// One of `DUMP_ARGS_LEVEL_*`, as the host set it before [`ArgsDump::init`]; off while off.
    pub fn level(&self) -> u32 {
        self.level
    }

    fn lane<'a>(&'a self, thread: &'a mut Thread) -> Option<Lane<'a, DumpForm<A>>> {
        let region = self.region.as_ref()?;
        let index = u32::try_from(thread.index).ok().filter(|index| *index < self.threads)?;
        let state = region.header().at(A::ARGS_DUMP.size + index as usize * size_of::<DumpBufferState>());
        Some(Lane::new(region, thread, index, state))
    }

    /// Records an argument of a task, with its contents if it is a tensor whose contents are wanted. Waits for the host at most
    /// for the budget per wait, and only when a buffer is full or missing or the arena is.
    ///
    /// # Safety
    ///
    /// The tensor that `info` describes is readable: every element that its shape and strides reach from `buffer_addr` on,
    /// none of it in the arena.
    pub unsafe fn arg_record(&self, thread: &mut Thread, clock: &mut impl Clock, info: &ArgsDumpInfo) -> Outcome {
        let Some(mut lane) = self.lane(thread) else { return Outcome::Ignored };
        let state = lane.state;
        if Engine::new(&mut lane, clock).room(state, CAPACITY, 1).is_none() {
            lane.drop_one();
            return Outcome::Dropped;
        }
        let arena_size = state.at(offset_of!(DumpBufferState, arena_size)).load64();
        let wants_contents = u32::from(info.kind) == ARGS_DUMP_KIND_TENSOR
            && (self.level != DUMP_ARGS_LEVEL_HYBRID || info.capture_payload != 0);
        let full = if wants_contents { payload::size(info) } else { 0 };
        let is_truncated = full > arena_size;
        let size = if is_truncated { arena_size / 2 } else { full };
        if !reserve(&mut lane, clock, arena_size, size) {
            lane.refuse_one();
            return Outcome::NoArena;
        }
        // Of a buffer that the arena's barrier published nothing is left.
        let room = Engine::new(&mut lane, clock).room(state, CAPACITY, 1);
        let Some((buffer, index)) = room.filter(|(_, count)| *count < CAPACITY) else {
            lane.drop_one();
            return Outcome::Dropped;
        };
        let cursor = state.at(offset_of!(DumpBufferState, arena_write_offset));
        let offset = cursor.load64();
        cursor.store64(offset.wrapping_add(size));
        if size != 0 {
            let arena = state.at(offset_of!(DumpBufferState, arena_base)).load64();
            // `reserve` keeps the payload inside the arena, whose size is not 0.
            let place = At(arena as usize).at(offset.checked_rem(arena_size).unwrap_or(0) as usize);
            // SAFETY: the tensor by the caller's contract, the place is inside the thread's arena.
            unsafe { payload::copy(info, place.pointer(), size) };
        }
        wmb();
        if is_truncated {
            lane.thread.losses.truncated = lane.thread.losses.truncated.wrapping_add(1);
        }
        write_record(Lane::<DumpForm<A>>::record(buffer, index), info, offset, size, is_truncated);
        // The host may recover a buffer that is never published: no count without its record.
        wmb();
        lane.set_count(buffer, index.wrapping_add(1));
        wmb();
        Outcome::Written
    }

    /// Hands what the thread has recorded to the host. `None` while off, or without such a thread.
    pub fn flush(&self, thread: &mut Thread, clock: &mut impl Clock) -> Option<Flushed> {
        let mut lane = self.lane(thread)?;
        Some(lane.flush(clock))
    }
}

impl<A: DumpArch> Launch for ArgsDump<A> {
    fn region(&mut self) -> Option<&mut Region> {
        self.region.as_mut()
    }
}

/// Makes room for `size` bytes at the arena's cursor; whether there is.
fn reserve<A: DumpArch>(lane: &mut Lane<'_, DumpForm<A>>, clock: &mut impl Clock, arena_size: u64, size: u64) -> bool {
    if size == 0 {
        return true;
    }
    if size > arena_size {
        return false;
    }
    let state = lane.state;
    let cursor = state.at(offset_of!(DumpBufferState, arena_write_offset));
    let offset = cursor.load64();
    let inside = offset.checked_rem(arena_size).unwrap_or(0);
    let starts_anew = offset != 0 && inside == 0;
    if !starts_anew && size <= arena_size - inside {
        return true;
    }
    let current = lane.current(state);
    if current != 0
        && lane.count(current) != 0
        && let Switched::Kept(_) = Engine::new(lane, clock).switch(state)
    {
        return false;
    }
    let target = state.at(offset_of!(DumpBufferState, published_payload_count)).load64();
    let completed = state.at(offset_of!(DumpBufferState, completed_payload_count)).word64();
    let gates = lane.region.gates::<DumpForm<A>>();
    // One budget for the release and the acknowledgement.
    let mut wait = Wait::new(clock, Some(lane.region.latch()), lane.region.budget());
    wait.request_release(Some(&gates));
    let released = wait.release(Some(&gates));
    if released.and_then(|()| wait.until(Some(&gates), || acknowledged(&completed, target))).is_err() {
        return false;
    }
    if inside != 0 {
        cursor.store64(offset.wrapping_add(arena_size - inside));
    }
    true
}

fn write_record(record: At, info: &ArgsDumpInfo, offset: u64, size: u64, is_truncated: bool) {
    macro_rules! fields {
        ($($field:ident = $value:expr;)*) => {
            $(record.at(offset_of!(ArgsDumpRecord, $field)).write($value);)*
        };
    }
    let is_tensor = u32::from(info.kind) == ARGS_DUMP_KIND_TENSOR;
    fields! {
        task_id = info.task_id;
        role = info.role;
        stage = info.stage;
        ndims = info.ndims;
        arg_index = info.arg_index;
        dtype = info.dtype;
        truncated = u8::from(is_truncated);
        is_contiguous = u8::from(payload::is_contiguous(info));
        payload_offset = offset;
        payload_size = size;
        scalar_value = if is_tensor { 0 } else { info.scalar_value };
        kind = info.kind;
        flags = info.flags;
        func_count = info.func_count as u8;
        start_offset = info.start_offset;
    }
    let functions = record.at(offset_of!(ArgsDumpRecord, func_ids));
    for (index, id) in info.func_ids.iter().enumerate().take(info.func_count.max(0) as usize) {
        functions.at(index * 2).write(*id as u16);
    }
    let dims = usize::from(info.ndims).min(DIMS);
    for (index, (stride, shape)) in info.strides.iter().zip(&info.shapes).enumerate().take(dims) {
        record.at(offset_of!(ArgsDumpRecord, strides) + index * 4).write(*stride);
        record.at(offset_of!(ArgsDumpRecord, shapes) + index * 4).write(*shape);
    }
}
