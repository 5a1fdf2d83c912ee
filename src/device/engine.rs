//! The engine, compiled anew for each subsystem.

use super::module::Module;
use super::view::FreeView;
use super::wait::{Clock, GateOutcome, Refused, Spent, Wait};
use crate::sync::barrier::{rmb, wmb};

/// A subsystem's thread at work: its module and its clock.
#[derive(Debug)]
pub struct Engine<'a, M, C> {
    /// The subsystem.
    pub module: &'a mut M,
    /// Time and patience.
    pub clock: &'a mut C,
}

/// What a pop gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pop<B> {
    /// The new active buffer.
    Buffer(B),
    /// The slot held 0; it is consumed.
    NullSlot,
    /// Nothing; for [`Engine::try_pop`] with `None` because the queue is empty.
    Nothing(Option<Refused>),
}

impl<B: Copy> Pop<B> {
    /// The buffer, if there is one.
    #[inline(always)]
    pub fn buffer(self) -> Option<B> {
        match self {
            Self::Buffer(buffer) => Some(buffer),
            Self::NullSlot | Self::Nothing(_) => None,
        }
    }
}

/// What a switch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switched<B> {
    /// There was no active buffer.
    Nothing,
    /// The full buffer was not published; it is empty now and stays active.
    Kept(Refused),
    /// The full buffer is the host's; what is active now.
    Published(Option<B>),
}

/// What a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing was active, or it was empty and stays active.
    Nothing,
    /// The host has it; nothing is active.
    Published(GateOutcome),
    /// Its records are counted as lost; nothing is active.
    Lost(Refused),
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Written.
    Written,
    /// Counted as lost: there is no buffer, or none with room.
    Dropped,
}

impl<'a, M: Module, C: Clock> Engine<'a, M, C> {
    /// The engine of a thread.
    #[inline(always)]
    pub fn new(module: &'a mut M, clock: &'a mut C) -> Self {
        Self { module, clock }
    }

    /// Publishes a buffer in this thread's ready queue. On success it is the host's, even if the push gate did not open in
    /// time.
    #[inline(always)]
    pub fn enqueue(&mut self, address: u64, seq: u32) -> Result<GateOutcome, Refused> {
        self.enqueue_within(&mut Spent::default(), address, seq)
    }

    #[inline(always)]
    fn enqueue_within(&mut self, spent: &mut Spent, address: u64, seq: u32) -> Result<GateOutcome, Refused> {
        let ready = self.module.ready()?;
        let gates = self.module.gates();
        let slot = self.wait(spent, |wait| wait.ready(&ready, gates.as_ref()))?;
        self.module.write_entry(slot.tail, address, seq);
        ready.commit(slot);
        Ok(self.wait(spent, |wait| wait.push_gate(gates.as_ref())))
    }

    #[inline(always)]
    fn wait<R>(&mut self, spent: &mut Spent, operation: impl FnOnce(&mut Wait<'_, C>) -> R) -> R {
        let mut wait = Wait::resume(self.clock, self.module.latch(), self.module.budget(), *spent);
        let result = operation(&mut wait);
        *spent = wait.spent();
        result
    }

    /// Takes the slot at `head` and makes its buffer the active one, empty and with sequence number `next_seq`.
    #[inline(always)]
    fn claim(
        &mut self,
        state: M::State,
        free: &FreeView<M::Word, M::Slots>,
        head: u32,
        next_seq: u32,
    ) -> Pop<M::Buffer> {
        let address = free.take(head);
        if address == 0 {
            self.module.on_null_slot(state);
            return Pop::NullSlot;
        }
        let buffer = self.module.buffer(address);
        self.module.set_count(buffer, 0);
        // The host's look after the run: no active buffer has a count of its earlier life.
        wmb();
        self.module.set_current(state, address);
        self.module.set_seq(state, next_seq);
        self.module.on_popped(state, buffer);
        wmb();
        Pop::Buffer(buffer)
    }

    /// Takes a buffer if one is there. Never waits, signals nobody: the host may not run yet.
    #[inline(always)]
    pub fn try_pop(&mut self, state: M::State, next_seq: u32) -> Pop<M::Buffer> {
        let Some(free) = self.module.free(state) else { return Pop::Nothing(Some(Refused::NoQueue)) };
        match free.look() {
            Some(head) => self.claim(state, &free, head, next_seq),
            None => Pop::Nothing(None),
        }
    }

    /// Takes a buffer, and waits for one if need be.
    #[inline(always)]
    pub fn pop(&mut self, state: M::State, next_seq: u32) -> Pop<M::Buffer> {
        self.pop_within(&mut Spent::default(), state, next_seq)
    }

    #[inline(always)]
    fn pop_within(&mut self, spent: &mut Spent, state: M::State, next_seq: u32) -> Pop<M::Buffer> {
        let Some(free) = self.module.free(state) else { return Pop::Nothing(Some(Refused::NoQueue)) };
        let gates = self.module.gates();
        match self.wait(spent, |wait| wait.free(&free, gates.as_ref())) {
            Ok(head) => self.claim(state, &free, head, next_seq),
            Err(reason) => Pop::Nothing(Some(reason)),
        }
    }

    /// Hands the active buffer to the host and takes another. Publishing comes first, so that a pool of one buffer does.
    #[inline(always)]
    pub fn switch(&mut self, state: M::State) -> Switched<M::Buffer> {
        self.switch_within(&mut Spent::default(), state)
    }

    #[inline(always)]
    fn switch_within(&mut self, spent: &mut Spent, state: M::State) -> Switched<M::Buffer> {
        let address = self.module.current(state);
        if address == 0 {
            return Switched::Nothing;
        }
        let seq = self.module.seq(state);
        match self.enqueue_within(spent, address, seq) {
            Err(reason) => {
                self.give_up(state, address, reason);
                return Switched::Kept(reason);
            }
            Ok(gate) => self.note_gate(state, gate),
        }
        let next_seq = seq.wrapping_add(1);
        self.clear(state, next_seq);
        let new = match self.pop_within(spent, state, next_seq) {
            Pop::Buffer(buffer) => Some(buffer),
            Pop::NullSlot => {
                self.module.on_no_replacement(state, None);
                None
            }
            Pop::Nothing(reason) => {
                self.module.on_no_replacement(state, reason);
                None
            }
        };
        self.module.on_switched(state, new);
        Switched::Published(new)
    }

    /// The records of a buffer that was not published are lost; it is empty now.
    #[cold]
    fn give_up(&mut self, state: M::State, address: u64, reason: Refused) {
        let full = self.module.buffer(address);
        let count = self.module.count(full);
        self.module.account_dropped(state, count);
        self.module.on_enqueue_failed(state, full, reason);
        self.module.set_count(full, 0);
        // The host's look after the run: what is counted as lost is not found in the buffer, too.
        wmb();
    }

    /// Tells the module of a gate that a publication did not pass in time.
    #[inline(always)]
    pub(super) fn note_gate(&mut self, state: M::State, gate: GateOutcome) {
        match gate {
            GateOutcome::Passed => {}
            GateOutcome::TimedOut => self.module.on_gate_timeout(state, Refused::TimedOut),
            GateOutcome::HostGone => self.module.on_gate_timeout(state, Refused::HostGone),
        }
    }

    /// Nothing is active any more.
    #[inline(always)]
    fn clear(&mut self, state: M::State, next_seq: u32) {
        self.module.set_current(state, 0);
        self.module.set_seq(state, next_seq);
        self.module.on_cleared(state);
        wmb();
    }

    /// Hands an active buffer with records to the host. Nothing is active afterwards; the sequence number has advanced if it
    /// was published, since recording may go on. An empty one stays active.
    pub fn flush(&mut self, state: M::State) -> Flushed {
        rmb();
        let address = self.module.current(state);
        if address == 0 || self.module.count(self.module.buffer(address)) == 0 {
            return Flushed::Nothing;
        }
        let seq = self.module.seq(state);
        match self.enqueue(address, seq) {
            Ok(gate) => {
                self.note_gate(state, gate);
                self.clear(state, seq.wrapping_add(1));
                Flushed::Published(gate)
            }
            Err(reason) => {
                self.give_up(state, address, reason);
                self.clear(state, seq);
                Flushed::Lost(reason)
            }
        }
    }

    /// An active buffer with room for `need` more records, at most `capacity` in all, and its count. A buffer that has
    /// records and not enough room is switched; one that is empty is given as it is. All waits share one budget.
    #[inline(always)]
    pub fn room(&mut self, state: M::State, capacity: u32, need: u32) -> Option<(M::Buffer, u32)> {
        let spent = &mut Spent::default();
        if self.module.current(state) == 0 {
            let seq = self.module.seq(state);
            self.pop_within(spent, state, seq).buffer()?;
        }
        let buffer = self.module.buffer(self.module.current(state));
        let count = self.module.count(buffer);
        if count == 0 || need <= capacity.saturating_sub(count) {
            return Some((buffer, count));
        }
        if let Switched::Published(None) = self.switch_within(spent, state) {
            // The look of a lane that came away empty-handed: a slot that held 0 may have another behind it.
            let seq = self.module.seq(state);
            self.pop_within(spent, state, seq).buffer()?;
        }
        let buffer = self.module.buffer(self.module.current(state));
        Some((buffer, self.module.count(buffer)))
    }

    /// Appends one record: `write` gets the buffer and the record's index, below `capacity`. An attempt is counted in any
    /// case, and as lost if there is no buffer.
    #[inline(always)]
    pub fn record(&mut self, state: M::State, capacity: u32, write: impl FnOnce(&mut M, M::Buffer, u32)) -> Recorded {
        self.module.account_attempt(state);
        match self.room(state, capacity, 1) {
            Some((buffer, index)) if index < capacity => {
                write(self.module, buffer, index);
                // A host that finds the buffer unflushed after a failed run finds whole records.
                wmb();
                self.module.set_count(buffer, index.wrapping_add(1));
                Recorded::Written
            }
            _ => {
                self.module.account_dropped(state, 1);
                Recorded::Dropped
            }
        }
    }

    /// The first buffer of a run, if one is there, with sequence number 0; otherwise nothing is active. Never waits. What is
    /// remembered of an earlier run's host is forgotten.
    pub fn init(&mut self, state: M::State) -> Pop<M::Buffer> {
        if let Some(latch) = self.module.latch() {
            latch.clear();
        }
        let outcome = self.try_pop(state, 0);
        if outcome.buffer().is_none() {
            self.clear(state, 0);
        }
        outcome
    }

    /// The end of a run: flushes, and lets the module forget the state. An empty buffer stays active, for the host to find.
    pub fn finalize(&mut self, state: M::State) -> Flushed {
        let outcome = self.flush(state);
        self.module.on_finalized(state);
        outcome
    }
}
