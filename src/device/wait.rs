//! Waits of a lane. One [`Wait`] is one budget: a switch passes the same one to all its waits.

use super::view::{FreeView, GateView, ReadySlot, ReadyView, Signal, is_frozen, raise, signal};
use crate::layout::Words64;
use crate::sync::Word32;
use crate::sync::barrier::rmb;
use core::sync::atomic::{AtomicU64, Ordering};

/// Polls between two readings of the clock, which may cost a division on the device.
pub const POLLS_PER_READING: u32 = 16;

/// Time and patience.
pub trait Clock {
    /// Ticks; monotonic, may wrap. Not called while nothing is waited for.
    fn now(&mut self) -> u64;
    /// Passes a moment. Called once between two polls.
    fn relax(&mut self);
}

/// Why nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The subsystem has no header yet.
    NoHeader,
    /// The index of the ready queue is out of range.
    BadIndex,
    /// There is no such queue, or it has a size that no queue has.
    NoQueue,
    /// The budget is used up.
    TimedOut,
    /// As [`Refused::TimedOut`], after less than the budget: an earlier wait timed out and the host has shown no sign of
    /// life since.
    HostGone,
}

/// How a publication passed the push gate. The buffer is the host's either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateOutcome {
    /// It was open, or opened in time.
    Passed,
    /// It stayed shut for the rest of the budget.
    TimedOut,
    /// The same after less than the budget: the host is taken for dead.
    HostGone,
}

/// What is remembered of a host that let a wait time out: how its words stood then. While they stand so, each further wait
/// has an eighth of the patience of the one before, so that a dead host costs little more than one budget in all, and one
/// that looks dead, as memory used again may, is still waited for. For all lanes of a subsystem; zero bytes are an empty
/// one. Its words are relaxed: a mixture of two lanes' notes costs a wait.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Latch {
    key: AtomicU64,
    /// Sum of the heads above, then [`NOTED`], waits in vain, flags; 0: nothing.
    print: AtomicU64,
    /// When the wait was over. A clock that stands before that is another run's.
    since: AtomicU64,
}

const NOTED: u64 = 1 << 31;
const STRIKE: u64 = 1 << 8;
const STRIKES: u64 = 0x1f * STRIKE;
/// Patience halves so often with each wait in vain.
const HALVINGS: u32 = 3;
const FREEZES: u64 = 0b0011;
const SIGNALS: u64 = 0b1100;

impl Latch {
    /// An empty one.
    pub const fn new() -> Self {
        Self { key: AtomicU64::new(0), print: AtomicU64::new(0), since: AtomicU64::new(0) }
    }

    /// Whether a host is taken for dead.
    pub fn is_set(&self) -> bool {
        self.print.load(Ordering::Relaxed) != 0
    }

    /// Forgets it.
    pub fn clear(&self) {
        if self.is_set() {
            self.print.store(0, Ordering::Relaxed);
        }
    }

    fn clear_for<W: Word32>(&self, gates: &GateView<W>) {
        if self.key.load(Ordering::Relaxed) == gates.key {
            self.clear();
        }
    }

    fn print<W: Word32>(gates: &GateView<W>) -> u64 {
        (u64::from(gates.heads.sum()) << 32) | NOTED | u64::from(gates.flags())
    }

    /// Notes how the words stand after a wait in vain that was the `strikes`-th.
    fn set<W: Word32>(&self, gates: &GateView<W>, strikes: u32, now: u64) {
        let print = Self::print(gates);
        let strikes = (u64::from(strikes) * STRIKE).min(STRIKES);
        self.since.store(now, Ordering::Relaxed);
        self.key.store(gates.key, Ordering::Relaxed);
        self.print.store(print | strikes, Ordering::Relaxed);
    }

    /// How many waits in vain the host of these gates is known for. Forgets it if it shows a sign of life.
    fn strikes<W: Word32>(&self, gates: &GateView<W>, clock: &mut impl Clock) -> u32 {
        let noted = self.print.load(Ordering::Relaxed);
        if noted == 0 || self.key.load(Ordering::Relaxed) != gates.key {
            return 0;
        }
        let strikes = noted & STRIKES;
        let now = Self::print(gates) | strikes;
        // Lanes raise signals, the host alone does all else.
        let lives = (noted ^ now) & !SIGNALS != 0 || noted & !now & SIGNALS != 0;
        if lives || (clock.now().wrapping_sub(self.since.load(Ordering::Relaxed)) as i64) < 0 {
            self.clear();
            return 0;
        }
        if noted != now {
            self.print.store(now, Ordering::Relaxed);
        }
        (strikes / STRIKE) as u32
    }
}

const _: () = assert!(NOTED > STRIKES && STRIKE > (FREEZES | SIGNALS) && NOTED < 1 << 32);

/// A budget of time for one or several waits, counted from the first look in vain.
#[derive(Debug)]
pub struct Wait<'a, C> {
    clock: &'a mut C,
    latch: Option<&'a Latch>,
    budget: u64,
    spent: Spent,
}

/// How much of a budget is used: what a caller keeps between the steps of one switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    start: Option<u64>,
    polls: u32,
    /// The latch was looked at.
    asked: bool,
    /// Waits in vain that the host was known for then.
    strikes: u32,
    /// Why every further wait is one look.
    over: Option<Refused>,
}

impl Spent {
    /// A budget that has been running since `start`.
    pub const fn since(start: u64) -> Self {
        Self { start: Some(start), polls: POLLS_PER_READING - 1, asked: false, strikes: 0, over: None }
    }

    /// When it began, if it has.
    pub const fn start(&self) -> Option<u64> {
        self.start
    }

    /// Why it is over, if it is.
    pub const fn over(&self) -> Option<Refused> {
        self.over
    }

    /// A budget that began at `start` and is over.
    pub const fn ended(start: u64, reason: Refused) -> Self {
        Self { start: Some(start), polls: 0, asked: true, strikes: 0, over: Some(reason) }
    }

    /// The same for a host that was known for `strikes` waits in vain when it began.
    pub const fn with_strikes(self, strikes: u32) -> Self {
        Self { asked: self.asked || strikes != 0, strikes, ..self }
    }

    /// Waits in vain that the host was known for when it began.
    pub const fn strikes(&self) -> u32 {
        self.strikes
    }
}

impl<'a, C: Clock> Wait<'a, C> {
    /// A budget of `budget` ticks of `clock`; 0 gives every queue one look.
    #[inline(always)]
    pub fn new(clock: &'a mut C, latch: Option<&'a Latch>, budget: u64) -> Self {
        Self::resume(clock, latch, budget, Spent::default())
    }

    /// A budget of which `spent` is gone.
    #[inline(always)]
    pub fn resume(clock: &'a mut C, latch: Option<&'a Latch>, budget: u64, spent: Spent) -> Self {
        Self { clock, latch, budget, spent }
    }

    /// What is gone of it.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// Looks once whether the host is taken for dead. Before the lane raises a signal: that would hide that the host has
    /// cleared the last one.
    fn ask<W: Word32>(&mut self, gates: Option<&GateView<W>>) {
        if !self.spent.asked && self.spent.over.is_none() {
            self.spent.asked = true;
            if let (Some(latch), Some(gates)) = (self.latch, gates) {
                self.spent.strikes = latch.strikes(gates, self.clock);
            }
        }
    }

    /// Ticks that this budget has.
    fn patience(&self) -> u64 {
        self.budget.checked_shr(HALVINGS * self.spent.strikes).unwrap_or(0)
    }

    /// The budget is over.
    fn time_out<W: Word32>(&mut self, gates: Option<&GateView<W>>, now: u64) -> Result<(), Refused> {
        if let (Some(latch), Some(gates)) = (self.latch, gates) {
            latch.set(gates, self.spent.strikes + 1, now);
        }
        self.end(if self.spent.strikes == 0 { Refused::TimedOut } else { Refused::HostGone })
    }

    /// Passes a moment, unless the budget is over.
    fn go_on<W: Word32>(&mut self, gates: Option<&GateView<W>>) -> Result<(), Refused> {
        if let Some(reason) = self.spent.over {
            return Err(reason);
        }
        if self.budget == 0 {
            return self.end(Refused::TimedOut);
        }
        if self.patience() == 0 {
            return self.end(Refused::HostGone);
        }
        let Some(start) = self.spent.start else {
            self.spent.start = Some(self.clock.now());
            self.clock.relax();
            return Ok(());
        };
        self.spent.polls = self.spent.polls.wrapping_add(1);
        if self.spent.polls >= POLLS_PER_READING {
            self.spent.polls = 0;
            let now = self.clock.now();
            if now.wrapping_sub(start) >= self.patience() {
                return self.time_out(gates, now);
            }
        }
        self.clock.relax();
        Ok(())
    }

    fn end(&mut self, reason: Refused) -> Result<(), Refused> {
        self.spent.over = Some(reason);
        Err(reason)
    }

    /// What was waited for has come: the host lives.
    fn is_served<W: Word32>(&mut self, gates: Option<&GateView<W>>) {
        self.spent.strikes = 0;
        if let (Some(latch), Some(gates)) = (self.latch, gates) {
            latch.clear_for(gates);
        }
    }

    /// Waits for room in `ready`, whatever the push gate says.
    #[inline(always)]
    pub fn ready<W: Word32>(
        &mut self,
        ready: &ReadyView<W>,
        gates: Option<&GateView<W>>,
    ) -> Result<ReadySlot, Refused> {
        match ready.look() {
            Some(slot) => Ok(slot),
            None => self.ready_slow(ready, gates),
        }
    }

    /// [`Wait::ready`] after a look in vain.
    #[cold]
    #[inline(never)]
    pub fn ready_slow<W: Word32>(
        &mut self,
        ready: &ReadyView<W>,
        gates: Option<&GateView<W>>,
    ) -> Result<ReadySlot, Refused> {
        self.ask(gates);
        loop {
            // Before the queue is looked at: see the module's documentation on the signal.
            let seen = gates.map(|gates| signal(&gates.push));
            if let Some(slot) = ready.look() {
                self.is_served(gates);
                return Ok(slot);
            }
            if let (Some(Signal::Idle), Some(gates)) = (seen, gates) {
                raise(&gates.push);
            }
            self.go_on(gates)?;
        }
    }

    /// Waits for a slot in `free`: its index. Without gates the host could not be told, and an empty queue is refused at once.
    #[inline(always)]
    pub fn free<W: Word32, S: Words64>(
        &mut self,
        free: &FreeView<W, S>,
        gates: Option<&GateView<W>>,
    ) -> Result<u32, Refused> {
        match free.look() {
            Some(head) => Ok(head),
            None => self.free_slow(free, gates),
        }
    }

    /// [`Wait::free`] after a look in vain.
    #[cold]
    #[inline(never)]
    pub fn free_slow<W: Word32, S: Words64>(
        &mut self,
        free: &FreeView<W, S>,
        gates: Option<&GateView<W>>,
    ) -> Result<u32, Refused> {
        let Some(gates) = gates else { return Err(Refused::NoHeader) };
        self.ask(Some(gates));
        loop {
            match signal(&gates.pop) {
                // Parked: what the refill puts there is looked at when the gate opens.
                Signal::Frozen => {}
                seen => {
                    rmb();
                    if let Some(head) = free.look() {
                        self.is_served(Some(gates));
                        return Ok(head);
                    }
                    if seen == Signal::Idle {
                        raise(&gates.pop);
                    }
                }
            }
            self.go_on(Some(gates))?;
        }
    }

    /// Waits while the push gate is shut. What was published is the host's, however this ends.
    #[inline(always)]
    pub fn push_gate<W: Word32>(&mut self, gates: Option<&GateView<W>>) -> GateOutcome {
        let Some(gates) = gates else { return GateOutcome::Passed };
        if is_frozen(&gates.push) {
            return self.push_gate_slow(gates);
        }
        rmb();
        GateOutcome::Passed
    }

    /// [`Wait::push_gate`] of a gate that was seen shut.
    #[cold]
    #[inline(never)]
    pub fn push_gate_slow<W: Word32>(&mut self, gates: &GateView<W>) -> GateOutcome {
        self.ask(Some(gates));
        while is_frozen(&gates.push) {
            match self.go_on(Some(gates)) {
                Ok(()) => {}
                Err(Refused::HostGone) => return GateOutcome::HostGone,
                Err(_) => return GateOutcome::TimedOut,
            }
        }
        rmb();
        self.is_served(Some(gates));
        GateOutcome::Passed
    }

    /// Waits until the pop gate is open and its signal is down: the host has dealt with what was signalled.
    pub fn release<W: Word32>(&mut self, gates: Option<&GateView<W>>) -> Result<(), Refused> {
        let Some(gates) = gates else { return Ok(()) };
        self.ask(Some(gates));
        while signal(&gates.pop) != Signal::Idle {
            self.go_on(Some(gates))?;
        }
        rmb();
        self.is_served(Some(gates));
        Ok(())
    }

    /// Raises the pop gate's signal for something that is not a free buffer, to be followed by [`Wait::release`].
    pub fn request_release<W: Word32>(&mut self, gates: Option<&GateView<W>>) {
        if let Some(gates) = gates {
            self.ask(Some(gates));
            raise(&gates.pop);
        }
    }

    /// Waits until `is_done` says so, with what is left of the budget.
    pub fn until<W: Word32>(
        &mut self,
        gates: Option<&GateView<W>>,
        mut is_done: impl FnMut() -> bool,
    ) -> Result<(), Refused> {
        self.ask(gates);
        while !is_done() {
            self.go_on(gates)?;
        }
        rmb();
        Ok(())
    }
}
