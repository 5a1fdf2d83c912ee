//! A thread of one of the five subsystems, as the engine sees it: regions, states and buffers in raw memory, in the C++
//! runtime's layout.

use super::engine::{Engine, Flushed, Recorded};
use super::module::Module;
use super::view::{FreeView, GateView, RawHeads, ReadyView};
use super::wait::{Clock, Latch, Refused};
use crate::layout::runtime::HeaderLayout;
use crate::layout::runtime::common::{DfxBackpressureHeader, ReadyQueueEntry};
use crate::layout::{Gate, RawWords64};
use crate::sync::atomic::Ordering;
use crate::sync::{RawWord32, RawWord64, Word32, Word64};
use core::marker::PhantomData;
use core::mem::offset_of;

/// Where the words of a state lie, in bytes from the state.
#[derive(Debug, Clone, Copy)]
pub struct StateLayout {
    /// From one state to the next.
    pub size: usize,
    /// The free queue: slots, then head, then tail.
    pub free: usize,
    /// Slots of the free queue.
    pub slots: u32,
    /// Address of the active buffer.
    pub current: usize,
    /// Its sequence number.
    pub seq: usize,
    /// Records that were to be written, where there is such a counter.
    pub total: Option<usize>,
    /// Records that were not.
    pub dropped: usize,
}

/// What tells one stream of records from the others.
pub trait Form: 'static {
    /// The region's header.
    const HEADER: HeaderLayout;
    /// The states.
    const STATE: StateLayout;
    /// Offset of `count` in a buffer.
    const COUNT: usize;
    /// Offset of the first record.
    const RECORDS: usize;
    /// Size of a record.
    const RECORD: usize;
    /// Records of a buffer.
    const CAPACITY: u32;
    /// `kind` of a ready entry, where it has one.
    const KIND: Option<u32> = None;
    /// Whether the counter of lost records stays at its end instead of wrapping.
    const SATURATES: bool = false;

    /// The entry of a buffer is about to be filled.
    fn before_entry(lane: &mut Lane<'_, Self>, buffer: u64)
    where
        Self: Sized,
    {
        let _ = (lane, buffer);
    }
}

/// A region of shared memory for the length of one run, and what all its lanes know of its host.
#[derive(Debug)]
pub struct Region {
    base: usize,
    budget: u64,
    latch: Latch,
}

/// Words and records at an address of a region. All accesses rest on the promise of [`Region::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub(super) usize);

impl At {
    /// `bytes` further on.
    #[inline(always)]
    pub(super) fn at(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    #[inline(always)]
    pub(super) fn pointer<T>(self) -> *mut T {
        core::ptr::with_exposed_provenance_mut(self.0)
    }

    #[inline(always)]
    pub(super) fn word32(self) -> RawWord32 {
        // SAFETY: a word of the region or of one of its buffers, by the promise of `Region::new`.
        unsafe { RawWord32::new(self.pointer()) }
    }

    #[inline(always)]
    pub(super) fn word64(self) -> RawWord64 {
        // SAFETY: as for `word32`.
        unsafe { RawWord64::new(self.pointer()) }
    }

    /// Relaxed: a word of the lane's own, or one that another access orders.
    #[inline(always)]
    pub(super) fn load32(self) -> u32 {
        self.word32().load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn store32(self, value: u32) {
        // Relaxed: as for `load32`; the ready tail publishes.
        self.word32().store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn load64(self) -> u64 {
        self.word64().load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(super) fn store64(self, value: u64) {
        self.word64().store(value, Ordering::Relaxed);
    }

    /// Adds to a counter that wraps.
    #[inline(always)]
    pub(super) fn add32(self, value: u32) {
        self.store32(self.load32().wrapping_add(value));
    }

    /// Writes part of a record that is not published.
    #[inline(always)]
    pub(super) fn write<T: Copy>(self, value: T) {
        // SAFETY: inside a record of a buffer that is the lane's, by the promise of `Region::new`; aligned, since records
        // are.
        unsafe { self.pointer::<T>().write(value) }
    }

    /// Reads what the host wrote before the run.
    #[inline(always)]
    pub(super) fn read<T: Copy>(self) -> T {
        // SAFETY: inside the region, which holds plain integers.
        unsafe { self.pointer::<T>().read() }
    }

    /// Copies bytes into a record that is not published.
    #[inline(always)]
    pub(super) fn write_bytes(self, bytes: &[u8]) {
        // SAFETY: inside a record of a buffer that is the lane's; the source is the caller's, which lies elsewhere.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.pointer(), bytes.len()) }
    }
}

impl Region {
    /// The region at `base`; `None` for 0. A wait takes at most `budget` ticks of the lanes' clock.
    ///
    /// # Safety
    ///
    /// As long as the region is used: from `base` on lies what the subsystem's layout says, 64-aligned, for as many
    /// instances as it is told; what free queues and states name are buffers of the form; everybody else accesses all that
    /// as the contract has it; and one thread at a time uses an index of a thread or an instance, with one value of its state.
    pub unsafe fn new(base: u64, budget: u64) -> Option<Self> {
        (base != 0).then_some(Self { base: base as usize, budget, latch: Latch::new() })
    }

    /// The header.
    #[inline(always)]
    pub(super) fn header(&self) -> At {
        At(self.base)
    }

    /// The budget of a wait.
    #[inline(always)]
    pub(super) fn budget(&self) -> u64 {
        self.budget
    }

    /// The memory of a dead host.
    #[inline(always)]
    pub(super) fn latch(&self) -> &Latch {
        &self.latch
    }

    /// The gates.
    pub(super) fn gates<F: Form>(&self) -> GateView<RawWord32> {
        let gates = self.header().at(F::HEADER.gates);
        let word = |offset| gates.at(offset).word32();
        let push = Gate {
            freeze: word(offset_of!(DfxBackpressureHeader, rq_freeze_active)),
            contended: word(offset_of!(DfxBackpressureHeader, rq_contended)),
        };
        let pop = Gate {
            freeze: word(offset_of!(DfxBackpressureHeader, fq_freeze_active)),
            contended: word(offset_of!(DfxBackpressureHeader, fq_contended)),
        };
        // SAFETY: the heads are words of the region.
        let heads = unsafe { RawHeads::new(self.header().at(F::HEADER.heads).pointer(), F::HEADER.threads) };
        GateView::new(push, pop, heads, self.base as u64)
    }
}

/// A subsystem's value for one launch.
pub trait Launch {
    /// Its region; `None` while it is off.
    fn region(&mut self) -> Option<&mut Region>;

    /// Whether it has a region.
    fn is_on(&mut self) -> bool {
        self.region().is_some()
    }

    /// A wait takes at most `ticks` of the lanes' clock, not the architecture's 30 s; 0: one look. Before any thread records.
    fn set_budget(&mut self, ticks: u64) {
        if let Some(region) = self.region() {
            region.budget = ticks;
        }
    }
}

/// Why records of one thread were lost, and what else went wrong; counted here because the shared counters have one number
/// for all of it. Counters wrap.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records of buffers that found no room in the ready queue in time.
    pub no_room: u32,
    /// Records of buffers that were not offered because the host is taken for dead.
    pub host_gone: u32,
    /// Records of buffers for which there is no ready queue: the thread's index is missing or out of range.
    pub no_queue: u32,
    /// Records for which there was no buffer.
    pub no_buffer: u32,
    /// Records refused before they had a buffer: no orchestrator index, no room in the arena.
    pub refused: u32,
    /// Records that were shortened. They are not lost.
    pub truncated: u32,
    /// Publications that the push gate did not let go on in time. Nothing is lost.
    pub gate_timeouts: u32,
    /// Slots of free queues that held no buffer. Nothing is lost.
    pub null_slots: u32,
}

impl Losses {
    /// Where the records of a buffer that was not published are counted.
    fn of_unpublished(&mut self, reason: Refused) -> &mut u32 {
        match reason {
            Refused::TimedOut => &mut self.no_room,
            Refused::HostGone => &mut self.host_gone,
            Refused::NoHeader | Refused::BadIndex | Refused::NoQueue => &mut self.no_queue,
        }
    }

    /// Counts the records of a buffer that was not published.
    pub(super) fn unpublished(&mut self, reason: Refused, count: u32) {
        let counter = self.of_unpublished(reason);
        *counter = counter.wrapping_add(count);
    }

    /// Takes the records back of a buffer that is published after all.
    pub(super) fn published_late(&mut self, reason: Refused, count: u32) {
        let counter = self.of_unpublished(reason);
        *counter = counter.wrapping_sub(count);
    }
}

/// A control thread: the ready queue it fills, and its losses. One thread's.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Thread {
    /// Index of its ready queue; below 0 or too large: it has none.
    pub index: i32,
    /// What it lost.
    pub losses: Losses,
}

impl Thread {
    /// The thread with ready queue `index`.
    pub const fn new(index: i32) -> Self {
        Self {
            index,
            losses: Losses {
                no_room: 0,
                host_gone: 0,
                no_queue: 0,
                no_buffer: 0,
                refused: 0,
                truncated: 0,
                gate_timeouts: 0,
                null_slots: 0,
            },
        }
    }
}

/// One thread at one instance of a stream.
#[derive(Debug)]
pub struct Lane<'a, F> {
    pub(super) region: &'a Region,
    pub(super) thread: &'a mut Thread,
    /// Index of the instance, for the ready entry.
    pub(super) instance: u32,
    pub(super) state: At,
    form: PhantomData<F>,
}

impl<'a, F: Form> Lane<'a, F> {
    /// `thread` at the instance with that index and state.
    #[inline(always)]
    pub(super) fn new(region: &'a Region, thread: &'a mut Thread, instance: u32, state: At) -> Self {
        Self { region, thread, instance, state, form: PhantomData }
    }

    /// Record `index` of a buffer.
    #[inline(always)]
    pub(super) fn record(buffer: u64, index: u32) -> At {
        At(buffer as usize).at(F::RECORDS + index as usize * F::RECORD)
    }

    /// Appends a record that `fill` writes; one that is lost has found no buffer. Waits as [`Engine::record`].
    #[inline(always)]
    pub(super) fn append(&mut self, clock: &mut impl Clock, fill: impl FnOnce(At)) -> Recorded {
        let state = self.state;
        let recorded =
            Engine::new(self, clock).record(state, F::CAPACITY, |_, buffer, index| fill(Self::record(buffer, index)));
        if recorded == Recorded::Dropped {
            self.thread.losses.no_buffer = self.thread.losses.no_buffer.wrapping_add(1);
        }
        recorded
    }

    /// Hands what is recorded to the host, as [`Engine::flush`].
    pub(super) fn flush(&mut self, clock: &mut impl Clock) -> Flushed {
        let state = self.state;
        Engine::new(self, clock).flush(state)
    }

    /// Counts one record as lost for want of a buffer.
    #[inline(always)]
    pub(super) fn drop_one(&mut self) {
        self.account_dropped(self.state, 1);
        self.thread.losses.no_buffer = self.thread.losses.no_buffer.wrapping_add(1);
    }

    /// Counts one record as refused.
    pub(super) fn refuse_one(&mut self) {
        self.account_dropped(self.state, 1);
        self.thread.losses.refused = self.thread.losses.refused.wrapping_add(1);
    }
}

impl<F: Form> Module for Lane<'_, F> {
    type Word = RawWord32;
    type Slots = RawWords64;
    type State = At;
    type Buffer = u64;

    #[inline(always)]
    fn budget(&self) -> u64 {
        self.region.budget
    }

    #[inline(always)]
    fn latch(&self) -> Option<&Latch> {
        Some(&self.region.latch)
    }

    #[inline(always)]
    fn ready(&self) -> Result<ReadyView<RawWord32>, Refused> {
        let index = u32::try_from(self.thread.index).map_err(|_| Refused::BadIndex)?;
        if index >= F::HEADER.threads {
            return Err(Refused::BadIndex);
        }
        let word = |array: usize| self.region.header().at(array + index as usize * 4).word32();
        ReadyView::new(word(F::HEADER.heads), word(F::HEADER.tails), F::HEADER.ready_size).ok_or(Refused::NoQueue)
    }

    #[inline(always)]
    fn gates(&self) -> Option<GateView<RawWord32>> {
        Some(self.region.gates::<F>())
    }

    #[inline(always)]
    fn free(&self, state: At) -> Option<FreeView<RawWord32, RawWords64>> {
        let queue = state.at(F::STATE.free);
        let indices = queue.at(F::STATE.slots as usize * 8);
        // SAFETY: words of the state.
        let slots = unsafe { RawWords64::new(queue.pointer(), F::STATE.slots as usize) };
        FreeView::new(indices.word32(), indices.at(4).word32(), slots, F::STATE.slots)
    }

    #[inline(always)]
    fn current(&self, state: At) -> u64 {
        state.at(F::STATE.current).load64()
    }

    #[inline(always)]
    fn set_current(&mut self, state: At, address: u64) {
        state.at(F::STATE.current).store64(address);
    }

    #[inline(always)]
    fn seq(&self, state: At) -> u32 {
        state.at(F::STATE.seq).load32()
    }

    #[inline(always)]
    fn set_seq(&mut self, state: At, seq: u32) {
        state.at(F::STATE.seq).store32(seq);
    }

    #[inline(always)]
    fn buffer(&self, address: u64) -> u64 {
        address
    }

    #[inline(always)]
    fn count(&self, buffer: u64) -> u32 {
        At(buffer as usize).at(F::COUNT).load32()
    }

    #[inline(always)]
    fn set_count(&mut self, buffer: u64, count: u32) {
        At(buffer as usize).at(F::COUNT).store32(count);
    }

    #[inline(always)]
    fn write_entry(&mut self, tail: u32, address: u64, seq: u32) {
        F::before_entry(self, address);
        // In range: `ready` has checked it.
        let queue = self.thread.index as usize * F::HEADER.ready_size as usize;
        let entry = self.region.header().at((queue + tail as usize) * size_of::<ReadyQueueEntry>());
        entry.at(offset_of!(ReadyQueueEntry, core_index)).store32(self.instance);
        if let Some(kind) = F::KIND {
            entry.at(offset_of!(ReadyQueueEntry, kind)).store32(kind);
        }
        entry.at(offset_of!(ReadyQueueEntry, buffer_ptr)).store64(address);
        entry.at(offset_of!(ReadyQueueEntry, buffer_seq)).store32(seq);
    }

    #[inline(always)]
    fn account_attempt(&mut self, state: At) {
        if let Some(total) = F::STATE.total {
            state.at(total).add32(1);
        }
    }

    #[inline(always)]
    fn account_dropped(&mut self, state: At, count: u32) {
        let word = state.at(F::STATE.dropped);
        if F::SATURATES {
            word.store32(word.load32().saturating_add(count));
        } else {
            word.add32(count);
        }
    }

    fn on_null_slot(&mut self, _: At) {
        self.thread.losses.null_slots = self.thread.losses.null_slots.wrapping_add(1);
    }

    fn on_enqueue_failed(&mut self, _: At, full: u64, reason: Refused) {
        let count = self.count(full);
        self.thread.losses.unpublished(reason, count);
    }

    fn on_gate_timeout(&mut self, _: At, _: Refused) {
        self.thread.losses.gate_timeouts = self.thread.losses.gate_timeouts.wrapping_add(1);
    }
}
