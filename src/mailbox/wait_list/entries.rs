//! Entries and conditions: find, create, append, make room, remove.

use super::backend;
use super::image::{ConditionRef, EntryRef, ListRef, MAX_CONDITIONS, MAX_ENTRIES};
use super::private::Private;
use super::source::{CONDITION, Message, NORMAL_DONE, Target};
use crate::mailbox::layout::Words;

/// What became of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appended {
    /// It lies in the array.
    Stored,
    /// An equal one stands for it.
    Merged,
    /// The array is full of conditions that are all needed.
    Full,
}

/// The live entry that has `token`: the first one.
#[inline(always)]
pub(super) fn find<P: Private>(list: ListRef, private: &mut P, token: u64) -> Option<usize> {
    let count = list.count();
    if let Some(entry) = private.index().find(token) {
        if entry < count && list.entry(entry).task_token() == token {
            return Some(entry);
        }
        // Entries were moved behind the index.
        private.index().clear();
        private.enter(list);
    }
    find_beyond(list, private, token, count)
}

/// As [`find`], among the entries that the index does not know yet.
fn find_beyond<P: Private>(list: ListRef, private: &mut P, token: u64, count: usize) -> Option<usize> {
    if private.index().len() > count {
        private.index().clear();
    }
    if private.index().len() != count {
        private.enter(list);
    }
    let known = private.index().find(token);
    if known.is_some() {
        return known;
    }
    for entry in private.index().len()..count {
        let other = list.entry(entry).task_token();
        private.index().push(other);
        if other == token {
            return Some(entry);
        }
    }
    None
}

/// Appends an entry without conditions; `None` if the list is full. Nobody has found the token.
pub(super) fn create<P: Private>(list: ListRef, private: &mut P, token: u64, slot: u64, done: bool) -> Option<usize> {
    let number = list.count();
    if number >= private.entry_limit() {
        return None;
    }
    let entry = list.entry(number);
    entry.set_slot_state(slot);
    entry.set_task_token(token);
    entry.set_condition_count(0);
    entry.set_waiting(0);
    entry.set_normal_done_byte(u8::from(done));
    list.set_count(number + 1);
    if private.index().len() == number {
        private.index().push(token);
    }
    private.created(number);
    Some(number)
}

/// Appends a condition to entry `number`. `counts`: the waiting count goes up by one, unless it is merged.
#[inline(always)]
pub(super) fn append<P: Private>(
    private: &mut P,
    number: usize,
    entry: EntryRef,
    message: &Message,
    counts: bool,
) -> Appended {
    let mut at = entry.conditions();
    if at >= private.condition_limit() {
        match make_room(private, number, entry, message, counts) {
            Some(room) => at = room,
            None if merge(entry, message, counts) => {
                // The one that stands for both may be invalid now.
                private.rearranged(number, entry);
                return Appended::Merged;
            }
            None => return Appended::Full,
        }
    }
    let plain = write(entry.condition(at), &message.words());
    entry.set_condition_count(at as i32 + 1);
    if counts {
        entry.set_waiting(entry.waiting().saturating_add(1));
    }
    private.appended(number, entry, at, plain);
    Appended::Stored
}

/// Writes all fields of a condition. Whether it is plain.
#[inline(always)]
fn write(place: ConditionRef, words: &Words) -> bool {
    place.write(words);
    let &[_, addr, cookie, _, kind] = words;
    backend::is_plain(kind as i32, addr, addr, cookie)
}

/// Appends conditions that tasks with an entry get, a run of one task at once: the counts are written once. Whatever is not plain
/// sailing ends the walk before anything of that run is stored: a task that the index does not lead to, an array that is full.
pub(super) struct Runs<'a, P> {
    list: ListRef,
    private: &'a mut P,
    /// Conditions of an entry at most.
    limit: usize,
    /// Number of the run's entry, and the conditions it had before.
    number: usize,
    start: usize,
    /// Where the next condition goes.
    place: ConditionRef,
    /// Whether a sentinel came.
    pub(super) sentinels: bool,
    /// One of the bits [`ODD`] is set once a condition is not certain to be plain.
    odd: u64,
}

/// Set in an address less 4 if the address is 0 or not a multiple of 4. Those above 2^63 count among them, which costs a look.
const ODD: u64 = 1 << 63 | 3;

/// Last word of a condition on a counter.
const COUNTER_CONDITION: u64 = (CONDITION as u64) << 32 | backend::COUNTER as u64;

impl<'a, P: Private> Runs<'a, P> {
    #[inline(always)]
    pub(super) fn new(list: ListRef, private: &'a mut P) -> Self {
        let (limit, place) = (private.condition_limit(), list.entry(0).condition(0));
        Self { list, private, limit, number: 0, start: 0, place, sentinels: false, odd: 0 }
    }
}

impl<P: Private> Target for Runs<'_, P> {
    #[inline(always)]
    fn begin(&mut self, token: u64) -> u64 {
        let Some((number, start)) = self.private.run(self.list, token) else { return 0 };
        if start >= self.limit {
            return 0;
        }
        (self.number, self.start, self.odd) = (number, start, 0);
        self.place = self.list.entry(number).condition(start);
        // Stores wait for one line after the other. What they fill, or soon will, is asked for at once.
        (self.limit - start) as u64
    }

    #[inline(always)]
    fn store(&mut self, message: impl Fn(usize) -> u64) -> bool {
        let kind = message(4);
        if kind == COUNTER_CONDITION {
            self.odd |= self.place.write_counter(message).wrapping_sub(4);
        } else if kind >> 32 == u64::from(CONDITION) {
            let plain = write(self.place, &core::array::from_fn(message));
            self.odd |= u64::from(!plain);
        } else {
            return false;
        }
        self.place = self.place.behind();
        true
    }

    #[inline(always)]
    fn end(&mut self, count: u64) {
        self.private.ran(self.list, self.number, self.start, count as usize, self.odd & ODD == 0);
    }

    #[inline(always)]
    fn other(&mut self, message: impl Fn(usize) -> u64) -> bool {
        let slot = message(1);
        let is_sentinel = message(4) >> 32 == u64::from(NORMAL_DONE) && slot != 0;
        if is_sentinel {
            sentinel(self.list.entry(self.number), slot);
            self.sentinels = true;
        }
        is_sentinel
    }
}

/// The sentinel of the task of `entry`.
#[inline(always)]
pub(super) fn sentinel(entry: EntryRef, slot: u64) {
    if entry.slot_state() == 0 {
        entry.set_slot_state(slot);
    }
    entry.set_normal_done_byte(1);
}

/// Drops conditions that hold, then those that another one includes. The number of those left, if that is fewer than
/// the array takes.
#[cold]
#[inline(never)]
fn make_room<P: Private>(
    private: &mut P,
    number: usize,
    entry: EntryRef,
    message: &Message,
    first_try: bool,
) -> Option<usize> {
    let limit = private.condition_limit();
    let left = drop_satisfied(entry);
    private.rearranged(number, entry);
    if left < limit {
        return Some(left);
    }
    // A condition that waits in the log was compared when it came.
    if !first_try || find_equal(entry, message).is_some() {
        return None;
    }
    let left = drop_included(entry);
    private.rearranged(number, entry);
    (left < limit).then_some(left)
}

/// Closes up what is not satisfied, in its order.
pub(super) fn drop_satisfied(entry: EntryRef) -> usize {
    let mut kept = 0;
    for from in 0..entry.conditions() {
        let condition = entry.condition(from);
        if condition.is_satisfied() {
            continue;
        }
        if kept != from {
            entry.condition(kept).copy_from(condition);
        }
        kept += 1;
    }
    entry.set_condition_count(kept as i32);
    kept
}

/// Whether conditions of the type can stand for each other.
fn is_monotonic(kind: i32) -> bool {
    matches!(kind, backend::COUNTER | backend::SDMA_EVENT_RECORD)
}

fn find_equal(entry: EntryRef, message: &Message) -> Option<usize> {
    if !is_monotonic(message.completion_type) {
        return None;
    }
    (0..entry.conditions()).find(|number| {
        let condition = entry.condition(*number);
        !condition.is_satisfied()
            && condition.completion_type() == message.completion_type
            && condition.addr() == message.addr
            && condition.counter_addr() == if message.completion_type == backend::COUNTER { message.addr } else { 0 }
    })
}

/// Lets an unsatisfied condition of the same word stand for `message` too, by the larger of both values. If the message
/// was in the waiting count already, it is taken out.
#[cold]
#[inline(never)]
fn merge(entry: EntryRef, message: &Message, counts: bool) -> bool {
    let Some(number) = find_equal(entry, message) else { return false };
    raise(entry, number, message.expected_value, message.backend_cookie);
    if !counts {
        entry.set_waiting(entry.waiting().saturating_sub(1));
    }
    true
}

/// Raises the threshold or post id of a condition. A post id of 0 makes a record invalid and stays.
fn raise(entry: EntryRef, number: usize, expected: u32, cookie: u64) {
    let condition = entry.condition(number);
    condition.set_expected_value(condition.expected_value().max(expected));
    let known = condition.backend_cookie();
    if condition.completion_type() == backend::SDMA_EVENT_RECORD && (known == 0 || cookie == 0) {
        condition.set_backend_cookie(0);
    } else {
        condition.set_backend_cookie(known.max(cookie));
    }
}

/// Lets the first of equal conditions stand for the others.
fn drop_included(entry: EntryRef) -> usize {
    let mut kept = 0;
    for from in 0..entry.conditions() {
        let condition = entry.condition(from);
        let first = (0..kept).find(|number| {
            let other = entry.condition(*number);
            is_monotonic(condition.completion_type())
                && other.completion_type() == condition.completion_type()
                && other.addr() == condition.addr()
                && other.counter_addr() == condition.counter_addr()
        });
        if let Some(first) = first {
            raise(entry, first, condition.expected_value(), condition.backend_cookie());
            entry.set_waiting(entry.waiting().saturating_sub(1));
            continue;
        }
        if kept != from {
            entry.condition(kept).copy_from(condition);
        }
        kept += 1;
    }
    entry.set_condition_count(kept as i32);
    kept
}

/// Removes entry `number`; the last one takes its place.
pub(super) fn remove<P: Private>(list: ListRef, private: &mut P, number: usize) {
    let Some(last) = list.count().checked_sub(1) else { return };
    let token = list.entry(number).task_token();
    if number != last {
        list.entry(number).copy_from(list.entry(last));
    }
    list.set_count(last);
    if private.index().len() == last + 1 {
        private.index().swap_remove(number);
    } else {
        private.index().clear();
    }
    private.removed(number, last);
    private.retired(token);
}

const _: () = assert!(MAX_CONDITIONS == 64 && MAX_ENTRIES == 64);
