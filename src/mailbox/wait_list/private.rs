//! What the list's code keeps beside the public fields, in two shapes: the side area of a native list, and what little
//! there is without one.

use super::image::{EntryRef, ListRef, MAX_CONDITIONS, MAX_ENTRIES};
use super::image_log::ImageLog;
use super::index::Index;
use super::log::{Log, Parked};
use core::ops::Range;

/// Conditions of one entry that want a poll.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    /// Those that do not hold yet, one bit each.
    pub(super) unsatisfied: u64,
    /// Those among them whose poll can neither fail nor have effects.
    pub(super) plain: u64,
    /// The one that was not ready last time.
    pub(super) hint: u32,
}

/// Private state of a list during one call.
pub(super) trait Private {
    type Log: Log;
    /// Whether the ring must not look empty while messages of tasks without an entry are held, because the caller
    /// decides by ring and count alone whether to call again.
    const HOLDS_BACK: bool;

    fn index(&mut self) -> &mut Index;
    fn log(&mut self) -> &mut Self::Log;
    fn log_ref(&self) -> &Self::Log;
    /// Entries at most.
    fn entry_limit(&self) -> usize;
    /// Conditions of an entry at most.
    fn condition_limit(&self) -> usize;
    /// Position behind a message that is applied and still in the ring.
    fn applied(&self) -> Option<u64> {
        None
    }
    fn set_applied(&mut self, _position: Option<u64>) {}
    /// Brings the state in step with public fields that others may have written.
    fn enter(&mut self, _list: ListRef) {}
    /// The list belongs to a new run and is empty.
    fn restart(&mut self) {}
    /// Entry `entry` was created.
    fn created(&mut self, _entry: usize) {}
    /// Condition `condition` of `entry` was appended.
    fn appended(&mut self, _entry: usize, _image: EntryRef, _condition: usize, _plain: bool) {}
    /// The entry of the task `token` and how many conditions it has, for a run of more; `None` if that takes a closer look.
    #[inline(always)]
    fn run(&mut self, list: ListRef, token: u64) -> Option<(usize, usize)> {
        let count = list.count();
        let has = move |number| number < count && list.entry(number).task_token() == token;
        let number = self.index().probe(token, has)?;
        // A count that cannot be is large.
        Some((number, list.entry(number).condition_count() as u32 as usize))
    }
    /// `count` conditions were appended to the `first` ones of `entry`; `are_plain` only if all of them are. What the public
    /// fields do not say of it waits for [`Private::settle`].
    #[inline(always)]
    fn ran(&mut self, list: ListRef, entry: usize, first: usize, count: usize, _are_plain: bool) {
        let image = list.entry(entry);
        image.set_condition_count((first + count) as i32);
        image.set_waiting(image.waiting().saturating_add(count as i32));
    }
    /// Brings the public fields in step with all runs.
    fn settle(&mut self, _list: ListRef) {}
    /// The conditions of `entry` were moved.
    fn rearranged(&mut self, _entry: usize, _image: EntryRef) {}
    /// Condition `condition` of `entry` holds.
    fn satisfied(&mut self, _entry: usize, _condition: usize) {}
    /// Condition `condition` of `entry` was not ready.
    fn pending(&mut self, _entry: usize, _condition: usize) {}
    fn wanted(&mut self, _entry: usize, image: EntryRef) -> Wanted {
        // Every condition is tested in each pass, as the C++ runtime does.
        Wanted { unsatisfied: scan(image, 0..image.conditions()).0, plain: 0, hint: 0 }
    }
    /// `entry` was removed and `last` has taken its place.
    fn removed(&mut self, _entry: usize, _last: usize) {}
    /// The entry that a walk from the oldest on meets after `done` others that stayed.
    fn at(&self, done: usize, count: usize) -> usize {
        count.wrapping_sub(done + 1) & (MAX_ENTRIES - 1)
    }
    /// Whether the task was completed lately.
    fn was_retired(&self, _token: u64) -> bool {
        false
    }
    /// The task is complete.
    fn retired(&mut self, _token: u64) {}
}

/// Unsatisfied conditions of `image` among those `numbers`, and the plain ones of these.
pub(super) fn scan(image: EntryRef, numbers: Range<usize>) -> (u64, u64) {
    let (mut unsatisfied, mut plain) = (0u64, 0u64);
    for number in numbers {
        let condition = image.condition(number);
        if !condition.is_satisfied() {
            unsatisfied |= 1 << (number & (MAX_CONDITIONS - 1));
            let kind = condition.completion_type();
            let is_plain =
                super::backend::is_plain(kind, condition.counter_addr(), condition.addr(), condition.backend_cookie());
            plain |= u64::from(is_plain) << (number & (MAX_CONDITIONS - 1));
        }
    }
    (unsatisfied, plain)
}

/// Private state of a list without a side area. The index lives for one call.
#[derive(Debug)]
pub(super) struct Bare {
    index: Index,
    log: ImageLog,
}

impl Bare {
    pub(super) fn new(log: ImageLog) -> Self {
        Self { index: Index::new(), log }
    }
}

impl Private for Bare {
    type Log = ImageLog;
    const HOLDS_BACK: bool = true;

    fn index(&mut self) -> &mut Index {
        &mut self.index
    }
    fn log(&mut self) -> &mut ImageLog {
        &mut self.log
    }
    fn log_ref(&self) -> &ImageLog {
        &self.log
    }
    fn entry_limit(&self) -> usize {
        self.log.entry_limit()
    }
    fn condition_limit(&self) -> usize {
        self.log.condition_limit()
    }
    fn applied(&self) -> Option<u64> {
        self.log.applied()
    }
    fn set_applied(&mut self, position: Option<u64>) {
        self.log.set_applied(position);
    }
    fn restart(&mut self) {
        self.log.erase();
    }
}

/// Private state of an entry that is looked at alone: how many conditions it takes.
#[derive(Debug)]
pub(super) struct Limited {
    index: Index,
    log: NoLog,
    limit: usize,
}

impl Limited {
    pub(super) fn new(limit: usize) -> Self {
        Self { index: Index::new(), log: NoLog, limit }
    }
}

/// Holds nothing.
#[derive(Debug)]
pub(super) struct NoLog;

impl Log for NoLog {
    fn len(&self) -> usize {
        0
    }
    fn uncounted(&self) -> usize {
        0
    }
    fn get(&self, _: usize) -> Option<Parked> {
        None
    }
    fn push(&mut self, _: Parked) -> bool {
        false
    }
    fn set(&mut self, _: usize, _: Parked) {}
    fn truncate(&mut self, _: usize, _: usize) {}
}

impl Private for Limited {
    type Log = NoLog;
    const HOLDS_BACK: bool = false;

    fn index(&mut self) -> &mut Index {
        &mut self.index
    }
    fn log(&mut self) -> &mut NoLog {
        &mut self.log
    }
    fn log_ref(&self) -> &NoLog {
        &self.log
    }
    fn entry_limit(&self) -> usize {
        MAX_ENTRIES
    }
    fn condition_limit(&self) -> usize {
        self.limit
    }
}
