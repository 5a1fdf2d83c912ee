//! The wait list: tasks that wait for conditions, from the first message about them to their completion.
//!
//! | module | holds |
//! | --- | --- |
//! | `image` | views of the list's bytes, which are the same in all variants |
//! | `lock` | the word `busy`, with its edges |
//! | `source` | the ring's end as the drain sees it |
//! | `entries` | find, create, append, make room, remove |
//! | `drain` | from the ring into the list |
//! | `call` | one call: backends, the pass that polls and completes |
//! | `backend` | counter, SDMA record, URMA handle |
//! | `log` | messages that the list could not store yet |
//! | `side` | private state of a native list, in memory of the caller |
//! | `image_log` | the log of a list that has no side area |
//! | `index` | from tokens to entries |
//! | `private` | what `side` and the state of a list without one have in common |
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | `busy` | whoever takes or gives back the lock | everybody |
//! | `count` | the lock's holder | everybody, as a hint |
//! | entries, padding, side area | the lock's holder | the lock's holder |
//! | `mpsc_skipped_count` | producers | everybody |
//! | tail of the ring | the lock's holder | producers |
//!
//! # A task's states
//!
//! | state | entered by | left by |
//! | --- | --- | --- |
//! | held | a message that finds the list full | replay, once an entry is free |
//! | waiting | its first message that finds room | the sentinel |
//! | done, waiting | the sentinel | the last condition that holds |
//! | complete | the pass, or at once if it never waited | removal in the same step |
//!
//! # Failure exits
//!
//! A message that cannot be stored stays in the ring, with error 102 or 103; a condition that fails ends the pass with its
//! code and stays; a completion that fails ends the call and is tried again by the next one. Nothing waits, nothing
//! allocates, nothing panics.

mod backend;
mod call;
mod drain;
mod entries;
mod image;
mod image_log;
mod index;
pub(crate) mod lock;
mod log;
mod private;
mod side;
mod source;

#[cfg(all(test, loom, feature = "std"))]
mod loom_tests;
#[cfg(all(test, not(loom), feature = "std"))]
mod tests;

use crate::mailbox::layout::WaitList as Image;
use call::Call;
use image_log::{ImageLog, Owner};
use log::Log as _;
use private::{Bare, Private};

pub use backend::{COUNTER, ERROR_INVALID, LINE, Poll, SDMA_EVENT_RECORD, URMA_EVENT_HANDLE, Variant};
pub use call::{ERROR_OVERFLOW, ERROR_REGISTRATION, Failure, Outcome, Sink};
pub use drain::DEFAULT_BUDGET;
pub use image::{ConditionRef, EntryRef, ListRef};
pub use side::{MAX_OVERFLOW, SideArea, SideUse};
pub use source::{CONDITION, Message, NORMAL_DONE, NoSource, Source};

/// Bytes of a list.
pub const SIZE: usize = core::mem::size_of::<Image>();
/// Alignment that a list needs.
pub const ALIGN: usize = 8;

/// How a list is drained.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Which runtime it belongs to.
    pub variant: Variant,
    /// Messages per call; 0 is [`DEFAULT_BUDGET`].
    pub budget: u32,
    /// Entries are assigned by copying live conditions alone, so that unused slots of live entries can hold messages.
    /// Matters without a side area only.
    pub copy_keeps_rest: bool,
}

/// Makes the list empty and free. Nobody uses it meanwhile.
pub fn reset(list: ListRef, side: Option<SideUse<'_>>) {
    list.set_count(0);
    list.set_skipped(0);
    list.set_run(None);
    ImageLog::forget(list);
    if let Some(mut side) = side {
        side.reset();
    }
    lock::unlock(list.busy());
}

/// One attempt to become the consumer. No store if somebody else is.
#[inline(always)]
pub fn try_lock(list: ListRef) -> bool {
    lock::try_lock(list.busy())
}

/// Ends being the consumer.
#[inline(always)]
pub fn unlock(list: ListRef) {
    lock::unlock(list.busy());
}

/// Private state of a list without a side area, as the calls before left it.
fn open_bare(list: ListRef, source: &impl Source, mode: Mode) -> Bare {
    let owner = Owner { ring: source.identity(), run: source.run() };
    Bare::new(ImageLog::open(list, owner, source.tail(), mode.copy_keeps_rest))
}

fn drain_with<S: Source, K: Sink, P: Private>(
    list: ListRef,
    mode: Mode,
    source: &mut S,
    sink: &mut K,
    private: &mut P,
) -> Outcome {
    let mut call = Call::new(list, mode.variant, source, sink, private);
    call.drain(mode.budget);
    call.finish()
}

fn poll_with<S: Source, K: Sink, P: Private>(
    list: ListRef,
    mode: Mode,
    source: &mut S,
    sink: &mut K,
    private: &mut P,
) -> Outcome {
    let mut call = Call::new(list, mode.variant, source, sink, private);
    call.drain(mode.budget);
    if call.outcome.failure.is_none() {
        // What waited for a place gets it now rather than with the next call.
        if call.pass(false).is_ok_and(|removed| removed != 0) && call.private.log_ref().uncounted() != 0 {
            call.replay();
        }
    }
    call.finish()
}

/// Moves messages from the ring into the list. The lock is held.
pub fn drain<S: Source, K: Sink>(
    list: ListRef,
    side: Option<SideUse<'_>>,
    mode: Mode,
    source: &mut S,
    sink: &mut K,
) -> Outcome {
    if let Some(mut side) = side {
        return drain_with(list, mode, source, sink, &mut *side);
    }
    let mut bare = open_bare(list, source, mode);
    let outcome = drain_with(list, mode, source, sink, &mut bare);
    bare.log().close(source.tail());
    outcome
}

/// [`drain`], then one walk over the list that polls conditions and completes tasks. The lock is held. After a failure in
/// the drain nothing is polled.
pub fn poll<S: Source, K: Sink>(
    list: ListRef,
    side: Option<SideUse<'_>>,
    mode: Mode,
    source: &mut S,
    sink: &mut K,
) -> Outcome {
    if let Some(mut side) = side {
        return poll_with(list, mode, source, sink, &mut *side);
    }
    let mut bare = open_bare(list, source, mode);
    let outcome = poll_with(list, mode, source, sink, &mut bare);
    bare.log().close(source.tail());
    outcome
}

/// The first live entry that has `token`. The lock is held.
pub fn find(list: ListRef, side: Option<SideUse<'_>>, token: u64) -> Option<EntryRef> {
    match side {
        Some(mut side) => {
            side.enter(list);
            entries::find(list, &mut *side, token).map(|number| list.entry(number))
        }
        None => (0..list.count()).map(|number| list.entry(number)).find(|entry| entry.task_token() == token),
    }
}

/// Appends a condition to `entry`, which need not be in the list; false if there is no room. The lock is held.
pub fn append(list: ListRef, side: Option<SideUse<'_>>, entry: EntryRef, condition: &Message) -> bool {
    let number = list.number_of(entry.address());
    let appended = match (side, number) {
        (Some(mut side), Some(number)) => {
            side.enter(list);
            entries::append(&mut *side, number, entry, condition, true)
        }
        _ => {
            let (_, limit) = ImageLog::limits_of(list);
            let limit = if number.is_some() { limit } else { image::MAX_CONDITIONS };
            entries::append(&mut private::Limited::new(limit), 0, entry, condition, true)
        }
    };
    appended != entries::Appended::Full
}

/// Tasks and messages that wait, for a watchdog. The lock is held, or nothing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Live entries.
    pub tasks: u32,
    /// Messages held beside the list.
    pub parked: u32,
    /// Conditions that do not hold, those held included.
    pub conditions: u64,
    /// The task that has waited longest, without a side area one of those that wait. Meaningless if `tasks` is 0.
    pub oldest: u64,
    /// Refused attempts, as producers counted them.
    pub skipped: u64,
}

/// What waits. The lock is held, or nothing runs.
pub fn waiting(list: ListRef, side: Option<SideUse<'_>>) -> Waiting {
    let tasks = list.count();
    let conditions = (0..tasks).map(|number| u64::from(list.entry(number).waiting().max(0) as u32)).sum();
    let (oldest, parked) = match side {
        Some(mut side) => {
            side.enter(list);
            (side.oldest(), side.parked())
        }
        None => (0, ImageLog::held_in(list)),
    };
    let oldest = if tasks == 0 { 0 } else { list.entry(oldest).task_token() };
    Waiting { tasks: tasks as u32, parked: parked as u32, conditions, oldest, skipped: list.skipped() }
}

/// Tests a condition as a pass does, without changing it.
pub fn test<K: Sink>(variant: Variant, condition: ConditionRef, sink: &mut K) -> Poll {
    if condition.is_satisfied() {
        return Poll::Ready;
    }
    backend::poll(variant, condition, &mut |line, bytes| sink.invalidate(line, bytes))
}
