//! A region, a subsystem that notes its hooks, and a clock whose pauses a script fills.

use crate::device::{Clock, FreeView, GateView, Latch, Module, RawHeads, ReadyView, Refused, Wait};
use crate::layout::{Gate, RawWords64};
use crate::sync::{RawWord32, Word32};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub(super) const SIZE: u32 = 4;
pub(super) const SLOTS: u32 = 4;
pub(super) const LANES: usize = 2;
pub(super) const BUDGET: u64 = 1000;

/// Device memory. Buffers are named by 1, 2, ...: their address is that number.
#[derive(Default)]
pub(super) struct Region {
    pub heads: [AtomicU32; LANES],
    pub tails: [AtomicU32; LANES],
    /// `rq_freeze_active`, `rq_contended`, `fq_freeze_active`, `fq_contended`.
    pub flags: [AtomicU32; 4],
    pub entries: [[AtomicU64; SIZE as usize]; LANES],
    pub seqs: [[AtomicU32; SIZE as usize]; LANES],
    pub slots: [AtomicU64; SLOTS as usize],
    pub free_head: AtomicU32,
    pub free_tail: AtomicU32,
    pub current: AtomicU64,
    pub seq: AtomicU32,
    pub counts: [AtomicU32; 16],
    pub attempts: AtomicU32,
    pub dropped: AtomicU32,
}

pub(super) const RQ_FREEZE: usize = 0;
pub(super) const RQ_CONTENDED: usize = 1;
pub(super) const FQ_FREEZE: usize = 2;
pub(super) const FQ_CONTENDED: usize = 3;

fn word(atomic: &AtomicU32) -> RawWord32 {
    // SAFETY: an atomic of a region that outlives the test's views.
    unsafe { RawWord32::new(atomic.as_ptr()) }
}

pub(super) fn get(atomic: &AtomicU32) -> u32 {
    atomic.load(Ordering::SeqCst)
}

pub(super) fn set(atomic: &AtomicU32, value: u32) {
    atomic.store(value, Ordering::SeqCst);
}

impl Region {
    pub fn ready(&self, lane: usize) -> ReadyView<RawWord32> {
        ReadyView::new(word(&self.heads[lane]), word(&self.tails[lane]), SIZE).unwrap()
    }

    pub fn free(&self) -> FreeView<RawWord32, RawWords64> {
        // SAFETY: words of a region that outlives the test's views.
        let slots = unsafe { RawWords64::new(self.slots[0].as_ptr(), SLOTS as usize) };
        FreeView::new(word(&self.free_head), word(&self.free_tail), slots, SLOTS).unwrap()
    }

    pub fn gates(&self) -> GateView<RawWord32> {
        let gate = |at: usize| Gate { freeze: word(&self.flags[at]), contended: word(&self.flags[at + 1]) };
        // SAFETY: words of a region that outlives the test's views.
        let heads = unsafe { RawHeads::new(self.heads[0].as_ptr(), LANES as u32) };
        GateView::new(gate(RQ_FREEZE), gate(FQ_FREEZE), heads, self as *const Self as u64)
    }

    pub fn flags(&self) -> [u32; 4] {
        [0, 1, 2, 3].map(|at| get(&self.flags[at]))
    }

    /// The host hands out a buffer.
    pub fn put(&self, buffer: u64) {
        let tail = get(&self.free_tail);
        self.slots[(tail % SLOTS) as usize].store(buffer, Ordering::SeqCst);
        set(&self.free_tail, tail.wrapping_add(1));
    }

    /// The host takes an entry: buffer and sequence number.
    pub fn take(&self, lane: usize) -> Option<(u64, u32)> {
        let (head, tail) = (get(&self.heads[lane]), get(&self.tails[lane]));
        assert!(head < SIZE && tail < SIZE);
        if head == tail {
            return None;
        }
        let at = head as usize;
        let entry = (self.entries[lane][at].load(Ordering::SeqCst), get(&self.seqs[lane][at]));
        set(&self.heads[lane], (head + 1) % SIZE);
        Some(entry)
    }

    /// A lane whose ready queue is full.
    pub fn fill_ready(&self, lane: usize) {
        set(&self.tails[lane], (get(&self.heads[lane]) + SIZE - 1) % SIZE);
    }

    /// Buffer `buffer` is active and holds `count` records.
    pub fn activate(&self, buffer: u64, count: u32) {
        self.current.store(buffer, Ordering::SeqCst);
        set(&self.counts[buffer as usize], count);
    }

    pub fn count(&self, buffer: u64) -> u32 {
        get(&self.counts[buffer as usize])
    }
}

/// One lane's context. Notes every hook.
pub(super) struct Toy<'a> {
    pub region: &'a Region,
    pub lane: Result<usize, Refused>,
    pub has_gates: bool,
    pub has_free: bool,
    pub budget: u64,
    pub latch: Option<&'a Latch>,
    pub calls: Vec<String>,
}

impl<'a> Toy<'a> {
    pub fn new(region: &'a Region) -> Self {
        Self { region, lane: Ok(0), has_gates: true, has_free: true, budget: BUDGET, latch: None, calls: Vec::new() }
    }

    fn note(&mut self, call: String) {
        self.calls.push(call);
    }
}

impl Module for Toy<'_> {
    type Word = RawWord32;
    type Slots = RawWords64;
    type State = ();
    type Buffer = u64;

    fn budget(&self) -> u64 {
        self.budget
    }
    fn latch(&self) -> Option<&Latch> {
        self.latch
    }
    fn ready(&self) -> Result<ReadyView<RawWord32>, Refused> {
        self.lane.map(|lane| self.region.ready(lane))
    }
    fn gates(&self) -> Option<GateView<RawWord32>> {
        self.has_gates.then(|| self.region.gates())
    }
    fn free(&self, (): ()) -> Option<FreeView<RawWord32, RawWords64>> {
        self.has_free.then(|| self.region.free())
    }
    fn current(&self, (): ()) -> u64 {
        self.region.current.load(Ordering::SeqCst)
    }
    fn set_current(&mut self, (): (), address: u64) {
        self.note(format!("current {address}"));
        self.region.current.store(address, Ordering::SeqCst);
    }
    fn seq(&self, (): ()) -> u32 {
        get(&self.region.seq)
    }
    fn set_seq(&mut self, (): (), seq: u32) {
        set(&self.region.seq, seq);
    }
    fn buffer(&self, address: u64) -> u64 {
        address
    }
    fn count(&self, buffer: u64) -> u32 {
        self.region.count(buffer)
    }
    fn set_count(&mut self, buffer: u64, count: u32) {
        self.note(format!("count {buffer} {count}"));
        set(&self.region.counts[buffer as usize], count);
    }
    fn write_entry(&mut self, tail: u32, address: u64, seq: u32) {
        let lane = self.lane.unwrap();
        assert_eq!(get(&self.region.tails[lane]), tail, "the tail covers an entry that is not filled");
        self.note(format!("entry {tail} {address} {seq}"));
        self.region.entries[lane][tail as usize].store(address, Ordering::SeqCst);
        set(&self.region.seqs[lane][tail as usize], seq);
    }
    fn account_attempt(&mut self, (): ()) {
        self.region.attempts.fetch_add(1, Ordering::SeqCst);
    }
    fn account_dropped(&mut self, (): (), count: u32) {
        self.note(format!("dropped {count}"));
        self.region.dropped.fetch_add(count, Ordering::SeqCst);
    }
    fn on_popped(&mut self, (): (), buffer: u64) {
        assert_eq!(self.count(buffer), 0, "an active buffer has an old count");
        self.note(format!("popped {buffer}"));
    }
    fn on_cleared(&mut self, (): ()) {
        self.note("cleared".into());
    }
    fn on_no_replacement(&mut self, (): (), reason: Option<Refused>) {
        self.note(format!("no replacement {reason:?}"));
    }
    fn on_null_slot(&mut self, (): ()) {
        self.note("null slot".into());
    }
    fn on_enqueue_failed(&mut self, (): (), full: u64, reason: Refused) {
        self.note(format!("failed {full} with {} {reason:?}", self.count(full)));
    }
    fn on_gate_timeout(&mut self, (): (), reason: Refused) {
        self.note(format!("gate {reason:?}"));
    }
    fn on_finalized(&mut self, (): ()) {
        self.note("finalized".into());
    }
    fn on_switched(&mut self, (): (), new: Option<u64>) {
        self.note(format!("switched {new:?}"));
    }
}

/// A clock that goes on by one tick per pause, and runs a script in each: its argument is the pause's number, from 1 on.
pub(super) struct Script<F> {
    pub time: u64,
    pub readings: u32,
    pub pauses: u32,
    script: F,
}

impl<F: FnMut(u32)> Script<F> {
    pub fn new(script: F) -> Self {
        Self { time: 0, readings: 0, pauses: 0, script }
    }
}

impl<F: FnMut(u32)> Clock for Script<F> {
    fn now(&mut self) -> u64 {
        self.readings += 1;
        self.time
    }
    fn relax(&mut self) {
        self.time = self.time.wrapping_add(1);
        self.pauses += 1;
        assert!(self.pauses < 100_000, "nobody ends this wait");
        (self.script)(self.pauses);
    }
}

/// Nothing is waited for.
pub(super) fn no_wait() -> Script<fn(u32)> {
    Script::new(|_| panic!("waited"))
}

/// The host is dead.
pub(super) fn dead() -> Script<fn(u32)> {
    Script::new(|_| {})
}

pub(super) fn wait<C: Clock>(clock: &mut C) -> Wait<'_, C> {
    Wait::new(clock, None, BUDGET)
}

/// A host as the protocol has it: one tick of its state machine per call.
pub(super) fn tick(region: &Region, mut refill: impl FnMut() -> bool) {
    for (freeze, contended) in [(RQ_FREEZE, RQ_CONTENDED), (FQ_FREEZE, FQ_CONTENDED)] {
        if get(&region.flags[freeze]) == 0 && word(&region.flags[contended]).load(Ordering::SeqCst) != 0 {
            set(&region.flags[freeze], 1);
            set(&region.flags[contended], 0);
        }
    }
    if get(&region.flags[RQ_FREEZE]) == 0 && get(&region.flags[FQ_FREEZE]) == 0 {
        return;
    }
    if (0..LANES).any(|lane| get(&region.heads[lane]) != get(&region.tails[lane])) || refill() {
        return;
    }
    set(&region.flags[RQ_FREEZE], 0);
    set(&region.flags[FQ_FREEZE], 0);
}
