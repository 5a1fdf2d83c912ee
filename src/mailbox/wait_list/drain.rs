//! From the ring into the list.
//!
//! A message is looked at, stored, and only then consumed. What cannot be stored stays at the head of the ring: nothing
//! behind it can overtake it, and the error repeats.

use super::call::{Call, ERROR_OVERFLOW, ERROR_REGISTRATION, Sink};
use super::entries::{self, Appended, Runs};
use super::log::{Log, Parked};
use super::private::Private;
use super::source::{CONDITION, Message, NORMAL_DONE, Source};

/// Messages consumed with one store of the tail.
const RUN: u32 = 64;
/// Messages of a call whose budget is 0.
pub const DEFAULT_BUDGET: u32 = 4096;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Stored, held, or done with.
    Applied,
    /// There is no room now, but there will be.
    Wait,
    /// It cannot be stored.
    Refused(i32),
    /// A failure has been told already.
    Failed,
}

impl<S: Source, K: Sink, P: Private> Call<'_, S, K, P> {
    /// Drains up to `budget` messages.
    pub(super) fn drain(&mut self, budget: u32) {
        let budget = if budget == 0 { DEFAULT_BUDGET } else { budget };
        if self.private.log_ref().len() != 0 && !self.replay() {
            return;
        }
        // Whether the message at the head was applied by an earlier call.
        let tail = self.source.tail();
        let mut applied = self.private.applied() == Some(tail.wrapping_add(1));
        self.private.set_applied(None);
        while self.outcome.drained + self.taken < budget && !self.outcome.overlap {
            if !applied {
                let most = (budget - self.outcome.drained - self.taken).min(RUN - self.taken);
                let appended = self.append_runs(most);
                self.taken += appended;
                if appended == most {
                    if self.taken >= RUN {
                        self.consume();
                    }
                    continue;
                }
                self.private.settle(self.list);
            }
            let Some(message) = self.source.peek(self.taken) else {
                self.source.note_end();
                break;
            };
            if !applied {
                match self.apply(&message) {
                    Step::Applied => {}
                    Step::Wait => {
                        self.outcome.more = true;
                        break;
                    }
                    Step::Refused(error) => {
                        self.refuse(error, &message);
                        break;
                    }
                    Step::Failed => break,
                }
            }
            applied = false;
            if P::HOLDS_BACK && self.is_last_for_held() {
                self.consume();
                if !self.outcome.overlap {
                    self.private.set_applied(Some(self.source.tail().wrapping_add(1)));
                    self.outcome.more = true;
                }
                return;
            }
            self.taken += 1;
            if self.taken >= RUN {
                self.consume();
            }
        }
        self.private.settle(self.list);
        self.outcome.more |= self.outcome.drained + self.taken >= budget;
        self.consume();
    }

    /// Stores the messages at hand that are conditions of tasks with an entry that has room, `most` at most. How many there
    /// were. This is where nearly all messages go.
    #[inline(never)]
    fn append_runs(&mut self, most: u32) -> u32 {
        if P::HOLDS_BACK && self.private.log_ref().uncounted() != 0 {
            return 0;
        }
        let mut runs = Runs::new(self.list, self.private);
        let count = self.source.walk(self.taken, most, &mut runs);
        self.may_complete |= runs.sentinels;
        count
    }

    /// Whether messages of tasks without an entry are held and the message at hand is the ring's last.
    #[inline(always)]
    fn is_last_for_held(&mut self) -> bool {
        self.private.log_ref().uncounted() != 0 && self.source.peek(self.taken + 1).is_none()
    }

    #[inline(always)]
    fn apply(&mut self, message: &Message) -> Step {
        match message.kind {
            CONDITION => match entries::find(self.list, self.private, message.task_token) {
                Some(number) => self.condition(number, message),
                None => self.without_entry(message),
            },
            NORMAL_DONE => {
                if message.addr == 0 {
                    return Step::Refused(ERROR_REGISTRATION);
                }
                match entries::find(self.list, self.private, message.task_token) {
                    Some(number) => {
                        self.sentinel(number, message);
                        Step::Applied
                    }
                    None => self.without_entry(message),
                }
            }
            _ => Step::Refused(ERROR_REGISTRATION),
        }
    }

    fn sentinel(&mut self, number: usize, message: &Message) {
        entries::sentinel(self.list.entry(number), message.addr);
        self.may_complete = true;
    }

    #[inline(always)]
    fn condition(&mut self, number: usize, message: &Message) -> Step {
        let entry = self.list.entry(number);
        match entries::append(self.private, number, entry, message, true) {
            Appended::Stored | Appended::Merged => Step::Applied,
            Appended::Full => self.hold_condition(number, message),
        }
    }

    /// Holds a condition of an entry that is full. The entry waits for it.
    #[cold]
    fn hold_condition(&mut self, number: usize, message: &Message) -> Step {
        if !self.private.log().push(Parked { message: *message, counted: true }) {
            return self.without_room(ERROR_REGISTRATION);
        }
        let entry = self.list.entry(number);
        entry.set_waiting(entry.waiting().saturating_add(1));
        Step::Applied
    }

    /// The first message of a task, or a sentinel without conditions.
    #[inline(never)]
    fn without_entry(&mut self, message: &Message) -> Step {
        if self.private.was_retired(message.task_token) {
            self.outcome.ignored += 1;
            return Step::Applied;
        }
        let can_complete = self.may_complete && self.sink.completes();
        if message.kind == CONDITION && !can_complete && self.is_full() {
            // Whether others of its task are held makes no difference, and takes time to find out.
            return self.hold(message);
        }
        let held = self.private.log_ref().len();
        let is_held = held != 0 && self.private.log_ref().holds(message.task_token, held);
        if message.kind == NORMAL_DONE && self.sink.completes() && !is_held {
            return self.complete_at_once(message);
        }
        if !is_held {
            if self.create(message) {
                return Step::Applied;
            }
            if can_complete {
                if !self.complete_what_holds() {
                    return Step::Failed;
                }
                if self.create_or_join(message) {
                    return Step::Applied;
                }
            }
        }
        self.hold(message)
    }

    /// A sentinel whose task registered no condition.
    fn complete_at_once(&mut self, message: &Message) -> Step {
        self.consume();
        if self.outcome.overlap {
            return Step::Failed;
        }
        match self.sink.complete(message.addr) {
            Ok(()) => {
                self.private.retired(message.task_token);
                Step::Applied
            }
            Err(error) => Step::Refused(error),
        }
    }

    /// Gives the task of `message` an entry and stores the message there.
    fn create(&mut self, message: &Message) -> bool {
        let is_sentinel = message.kind == NORMAL_DONE;
        let slot = if is_sentinel { message.addr } else { 0 };
        let Some(number) = entries::create(self.list, self.private, message.task_token, slot, is_sentinel) else {
            return false;
        };
        self.may_complete |= is_sentinel;
        if !is_sentinel {
            let entry = self.list.entry(number);
            entries::append(self.private, number, entry, message, true);
        }
        true
    }

    /// As [`Call::create`], for a task that may have got an entry meanwhile.
    fn create_or_join(&mut self, message: &Message) -> bool {
        match entries::find(self.list, self.private, message.task_token) {
            Some(number) if message.kind == NORMAL_DONE => {
                self.sentinel(number, message);
                true
            }
            Some(number) => self.condition(number, message) == Step::Applied,
            None => {
                let held = self.private.log_ref().len();
                !self.private.log_ref().holds(message.task_token, held) && self.create(message)
            }
        }
    }

    /// Completes entries whose conditions hold, and lets held messages have their places; false after a failure.
    #[cold]
    fn complete_what_holds(&mut self) -> bool {
        self.consume();
        if self.outcome.overlap {
            return false;
        }
        self.may_complete = false;
        match self.pass(true) {
            Err(_) => false,
            Ok(0) => true,
            Ok(_) => self.replay(),
        }
    }

    /// Holds a message of a task that gets no entry.
    #[cold]
    fn hold(&mut self, message: &Message) -> Step {
        // A message that stays in the ring says by itself that there is work.
        let stays = P::HOLDS_BACK && self.source.peek(self.taken + 1).is_none();
        if stays {
            return Step::Wait;
        }
        if self.private.log().push(Parked { message: *message, counted: false }) {
            return Step::Applied;
        }
        self.without_room(ERROR_OVERFLOW)
    }

    /// A message fits nowhere. That is an error for good if the sentinels of all entries are still to come: they may lie behind
    /// it.
    fn without_room(&self, error: i32) -> Step {
        let will_shrink = (0..self.list.count()).any(|number| self.list.entry(number).is_normal_done());
        if will_shrink { Step::Wait } else { Step::Refused(error) }
    }

    /// Whether no task gets an entry now.
    fn is_full(&self) -> bool {
        self.list.count() >= self.private.entry_limit()
    }

    /// Stores held messages that there is room for, oldest first; false after a failure.
    #[cold]
    #[inline(never)]
    pub(super) fn replay(&mut self) -> bool {
        let held = self.private.log_ref().len();
        let (mut kept, mut uncounted) = (0, 0);
        let mut full = 0u64;
        let mut failed = false;
        if (0..held).any(|index| self.private.log_ref().get(index).is_none()) {
            // Somebody wrote over it. The task it belonged to would never complete, or complete too early: nothing goes on,
            // so that the error repeats.
            self.refuse(ERROR_REGISTRATION, &Message::default());
            return false;
        }
        for index in 0..held {
            let Some(mut parked) = self.private.log_ref().get(index) else { continue };
            if !failed && self.replay_one(&mut parked, kept, &mut full, &mut failed) {
                continue;
            }
            self.private.log().set(kept, parked);
            kept += 1;
            uncounted += usize::from(!parked.counted);
        }
        self.private.log().truncate(kept, uncounted);
        !failed
    }

    /// Stores one held message; false if it has to stay. `kept` older ones do.
    fn replay_one(&mut self, parked: &mut Parked, kept: usize, full: &mut u64, failed: &mut bool) -> bool {
        let message = parked.message;
        let entry = entries::find(self.list, self.private, message.task_token);
        if message.kind == NORMAL_DONE {
            if let Some(number) = entry {
                self.sentinel(number, &message);
                return true;
            }
            let completes = self.sink.completes();
            if !completes && self.is_full() || self.private.log_ref().holds(message.task_token, kept) {
                return false;
            }
            if completes {
                return match self.complete_at_once(&message) {
                    Step::Applied => true,
                    Step::Refused(error) => {
                        self.refuse(error, &message);
                        *failed = true;
                        false
                    }
                    _ => false,
                };
            }
            return self.create(&message);
        }
        match entry {
            Some(number) => {
                let bit = 1u64 << (number & 63);
                if *full & bit == 0 {
                    let image = self.list.entry(number);
                    if entries::append(self.private, number, image, &message, !parked.counted) != Appended::Full {
                        return true;
                    }
                    *full |= bit;
                    if !parked.counted {
                        parked.counted = true;
                        image.set_waiting(image.waiting().saturating_add(1));
                    }
                } else if !parked.counted {
                    let image = self.list.entry(number);
                    parked.counted = true;
                    image.set_waiting(image.waiting().saturating_add(1));
                }
                false
            }
            // The entry that waited for it was removed by somebody else.
            None if parked.counted => {
                self.outcome.ignored += 1;
                true
            }
            None => !self.is_full() && !self.private.log_ref().holds(message.task_token, kept) && self.create(&message),
        }
    }
}
