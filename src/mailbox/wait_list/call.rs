//! One call on a list: what it works on and what came of it.

use super::backend::{self, LINE, Poll, Variant};
use super::entries;
use super::image::{ConditionRef, EntryRef, ListRef};
use super::log::Log;
use super::private::Private;
use super::source::{Message, Source};

/// A list is full and so is what holds messages for later.
pub const ERROR_OVERFLOW: i32 = 102;
/// A condition could not be registered, or a message makes no sense.
pub const ERROR_REGISTRATION: i32 = 103;

/// What a list is used with: completion, backends, reports.
///
/// Called in the midst of a call: none of these enters the list's side area, or drains or polls a list that has none.
pub trait Sink {
    /// Whether [`Sink::complete`] does anything; if not, entries wait for somebody who completes them.
    fn completes(&self) -> bool;
    /// Completes the task whose slot state is at `slot`, which is not 0; an error code if that failed.
    fn complete(&mut self, slot: u64) -> Result<(), i32>;
    /// Polls a condition in place of the built-in backends; `None` leaves it to them.
    fn poll(&mut self, condition: ConditionRef) -> Option<Poll> {
        let _ = condition;
        None
    }
    /// Whether [`Sink::poll`] ever does.
    fn polls(&self) -> bool {
        false
    }
    /// Retires a condition that holds.
    fn retire(&mut self, condition: ConditionRef);
    /// Drops lines of the device's cache.
    fn invalidate(&mut self, line: u64, bytes: usize);
    /// Tells of a failure.
    fn report(&mut self, failure: &Failure);
}

/// The first failure of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failure {
    /// 101 to 103, or what the completion gave.
    pub error: i32,
    /// The task.
    pub token: u64,
    /// Its slot, 0 if unknown.
    pub slot: u64,
    /// The condition, or the message.
    pub addr: u64,
    /// The condition, or the message.
    pub engine: u32,
    /// The condition, or the message.
    pub completion_type: i32,
}

impl Failure {
    fn of_message(error: i32, message: &Message) -> Self {
        let slot = if message.kind == super::source::NORMAL_DONE { message.addr } else { 0 };
        Self {
            error,
            token: message.task_token,
            slot,
            addr: message.addr,
            engine: message.engine,
            completion_type: message.completion_type,
        }
    }

    fn of_condition(error: i32, entry: EntryRef, condition: ConditionRef) -> Self {
        Self {
            error,
            token: entry.task_token(),
            slot: entry.slot_state(),
            addr: condition.addr(),
            engine: condition.engine(),
            completion_type: condition.completion_type(),
        }
    }

    fn of_entry(error: i32, entry: EntryRef) -> Self {
        Self { error, token: entry.task_token(), slot: entry.slot_state(), ..Self::default() }
    }
}

/// What a call did, besides what the sink counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Messages consumed: the movement of the ring's tail.
    pub drained: u32,
    /// Late and doubled messages of tasks that are complete.
    pub ignored: u32,
    /// Messages held beside the list afterwards.
    pub parked: u32,
    /// Whether messages were left in the ring, because of the budget or for want of room.
    pub more: bool,
    /// Whether another consumer was at work, against the contract: messages may have been applied twice.
    pub overlap: bool,
    /// The first failure.
    pub failure: Option<Failure>,
}

/// Everything that a call works on. The lock is held.
pub(super) struct Call<'a, S, K, P> {
    pub(super) list: ListRef,
    pub(super) variant: Variant,
    pub(super) source: &'a mut S,
    pub(super) sink: &'a mut K,
    pub(super) private: &'a mut P,
    pub(super) outcome: Outcome,
    /// Messages applied and not consumed yet.
    pub(super) taken: u32,
    /// Whether an entry may have become complete since all were looked at.
    pub(super) may_complete: bool,
}

impl<'a, S: Source, K: Sink, P: Private> Call<'a, S, K, P> {
    pub(super) fn new(list: ListRef, variant: Variant, source: &'a mut S, sink: &'a mut K, private: &'a mut P) -> Self {
        list.repair_count();
        let mut call =
            Self { list, variant, source, sink, private, outcome: Outcome::default(), taken: 0, may_complete: true };
        call.follow_run();
        call.private.enter(list);
        call
    }

    /// A list that is left over from a run before the ring's is emptied.
    fn follow_run(&mut self) {
        let Some(run) = self.source.run() else { return };
        match self.list.run() {
            Some(known) if known == run => return,
            Some(_) => {
                self.list.set_count(0);
                self.private.restart();
            }
            // Who knows nothing of the run clears nothing: the list may be made by hand.
            None => {}
        }
        self.list.set_run(Some(run));
    }

    #[cold]
    #[inline(never)]
    pub(super) fn fail(&mut self, failure: Failure) -> Failure {
        // Whoever is told finds no message in the ring that the list has as well.
        self.consume();
        self.sink.report(&failure);
        self.outcome.failure.get_or_insert(failure);
        failure
    }

    #[cold]
    pub(super) fn refuse(&mut self, error: i32, message: &Message) {
        self.fail(Failure::of_message(error, message));
    }

    /// Consumes what was applied. Before anything that may take long, too: producers get their room.
    #[inline(always)]
    pub(super) fn consume(&mut self) {
        if self.taken != 0 {
            if self.source.consume(self.taken) {
                self.outcome.drained += self.taken;
            } else {
                self.outcome.overlap = true;
            }
            self.taken = 0;
        }
    }

    /// Walks the list once, oldest entries first where the order is known: polls, completes, removes. `complete_only`:
    /// entries whose sentinel has not come are left alone.
    pub(super) fn pass(&mut self, complete_only: bool) -> Result<u32, Failure> {
        let mut stayed = 0;
        let mut removed = 0;
        while stayed < self.list.count() {
            let number = self.private.at(stayed, self.list.count());
            let entry = self.list.entry(number);
            if complete_only && !entry.is_normal_done() {
                stayed += 1;
                continue;
            }
            self.poll_entry(number, entry)?;
            if !entry.is_complete() || !self.sink.completes() {
                stayed += 1;
                continue;
            }
            let (slot, token, count) = (entry.slot_state(), entry.task_token(), self.list.count());
            let completed = if slot == 0 { Err(ERROR_REGISTRATION) } else { self.sink.complete(slot) };
            if let Err(error) = completed {
                return Err(self.fail(Failure::of_entry(error, entry)));
            }
            removed += 1;
            if self.list.count() != count || entry.task_token() != token {
                self.remove_moved(token);
                break;
            }
            entries::remove(self.list, self.private, number);
        }
        Ok(removed)
    }

    /// Removes the task `token`, which is complete, from a list that was edited while it was completed.
    #[cold]
    fn remove_moved(&mut self, token: u64) {
        if let Some(number) = entries::find(self.list, self.private, token) {
            entries::remove(self.list, self.private, number);
        }
    }

    /// Polls the conditions of an entry that do not hold yet.
    #[inline(always)]
    fn poll_entry(&mut self, number: usize, entry: EntryRef) -> Result<(), Failure> {
        if self.poll_known(number, entry)? || entry.waiting() <= 0 {
            return Ok(());
        }
        self.poll_rearranged(number, entry)
    }

    /// None that is known keeps the task: it waits for one that is held, or for one that was written by hand.
    #[cold]
    #[inline(never)]
    fn poll_rearranged(&mut self, number: usize, entry: EntryRef) -> Result<(), Failure> {
        self.private.rearranged(number, entry);
        self.poll_known(number, entry).map(|_| ())
    }

    /// Polls the conditions of an entry that are known and do not hold yet; true if one still does not.
    #[inline(always)]
    fn poll_known(&mut self, number: usize, entry: EntryRef) -> Result<bool, Failure> {
        let wanted = self.private.wanted(number, entry);
        // A caller's poll may have effects.
        let plain = if self.sink.polls() { 0 } else { wanted.plain };
        let mut line = 0;
        let mut rest = wanted.unsatisfied & !plain;
        let mut waits = false;
        while rest != 0 {
            let condition = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            waits |= !self.poll_condition(number, entry, condition, &mut line)?;
        }
        // One of these that is not ready is enough to keep the task: the others would change nothing. The one that was not
        // ready last time comes first.
        let mut rest = plain;
        if rest >> wanted.hint & 1 != 0 {
            rest &= !(1 << wanted.hint);
            if !self.poll_condition(number, entry, wanted.hint as usize, &mut line)? {
                return Ok(true);
            }
        }
        while rest != 0 {
            let condition = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if !self.poll_condition(number, entry, condition, &mut line)? {
                self.private.pending(number, condition);
                return Ok(true);
            }
        }
        Ok(waits)
    }

    /// Polls one condition, unless it held before; true if it holds now. `line` is the line of the counter that was invalidated last.
    #[inline(always)]
    fn poll_condition(
        &mut self,
        number: usize,
        entry: EntryRef,
        condition: usize,
        line: &mut u64,
    ) -> Result<bool, Failure> {
        let image = entry.condition(condition);
        if image.is_satisfied() {
            // Somebody else found that out, and counted it.
            self.private.satisfied(number, condition);
            return Ok(true);
        }
        let counter = image.counter_addr();
        if self.variant.invalidates_counters() && image.completion_type() == backend::COUNTER && counter != 0 {
            let of = counter & !(LINE as u64 - 1);
            if of != *line {
                self.sink.invalidate(of, LINE);
                *line = of;
            }
        }
        let polled = if self.sink.polls() { self.sink.poll(image) } else { None };
        let outcome = match polled {
            Some(outcome) => outcome,
            None => backend::poll(self.variant, image, &mut |line, bytes| self.sink.invalidate(line, bytes)),
        };
        match outcome {
            Poll::Pending => Ok(false),
            Poll::Ready => {
                image.set_satisfied_byte(1);
                if image.retired_byte() == 0 {
                    self.sink.retire(image);
                    image.set_retired_byte(1);
                }
                entry.set_waiting(entry.waiting().saturating_sub(1));
                self.private.satisfied(number, condition);
                Ok(true)
            }
            Poll::Failed(error) => Err(self.fail(Failure::of_condition(error, entry, image))),
        }
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.consume();
        self.outcome.parked = self.private.log_ref().len() as u32;
        self.outcome
    }
}
