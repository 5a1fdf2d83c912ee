//! The producers' half: what happens when a subtask's kernel has ended.
//!
//! # Order of effects
//!
//! 1. A task without payload, or whose slab lists nothing, goes straight to 4: the mailbox is not touched.
//! 2. The slab's error, then its count are checked; a bad one ends the call before anything is counted or pushed.
//! 3. The task is marked as deferred, its conditions are pushed in slab order, the slab's count is cleared.
//! 4. The subtask is counted. Whoever counts the last one finds the mark of any earlier one.
//! 5. The last one of a marked task pushes the sentinel. From then on the task is the consumer's: nothing of it is read
//!    any more, and its token was read before.
//!
//! # Edges
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `fin.F1` → `fin.F1` | count of a subtask, AcqRel | count of a later one, AcqRel | the mark, and that the conditions' tickets lie before the sentinel's | `loom_fin_conditions_before_sentinel` |
//!
//! The mark itself and the slab need no ordering of their own: each lies between the count's two halves, and the slab was
//! made visible by the caller's barrier after it read the core's register.
//!
//! # Failure exits
//!
//! A full ring is waited for: `should_abort` ends the wait, `help` may make room. Conditions pushed by then stay in the ring of
//! a run that is over. An abort among the conditions leaves the slab as it was and the subtask uncounted, unless it is its
//! task's only one; one that finds the sentinel alone left to push finds the subtask counted.

mod slot;

#[cfg(all(test, loom, feature = "std"))]
mod loom_tests;
#[cfg(all(test, not(loom), feature = "std"))]
mod tests;

use super::layout::{MAX_CONDITIONS, Slab, SlabEntry};

pub use slot::{FinWord, SlotRef, count_subtask};

/// Conditions cannot be registered: too many in a slab, or nowhere to put them.
pub const ERROR_REGISTRATION: i32 = super::wait_list::ERROR_REGISTRATION;

/// A producer's end of the mailbox.
pub trait Producer {
    /// Pushes a prefix of conditions of task `token`, in order, and behind the last of them the sentinel if its slot is
    /// given; how many messages. They are read before room is claimed.
    fn push_conditions(&mut self, token: u64, entries: SlabEntries, sentinel: Option<u64>) -> u32;
    /// Pushes the sentinel; false if the ring is full.
    fn push_normal_done(&mut self, token: u64, slot: u64) -> bool;
}

/// What is known of the task, and what its run wants done while a ring is full.
pub trait Task {
    /// Whether the slot has a payload: without one it defers nothing.
    fn has_payload(&mut self) -> bool;
    /// The task's token.
    fn token(&mut self) -> u64;
    /// Address of the slot state, which the sentinel carries.
    fn slot(&self) -> u64;
    /// Marks that a subtask registered conditions.
    fn mark_deferred(&mut self);
    /// Whether one did. Called by whoever counted the last subtask.
    fn is_deferred(&mut self) -> bool;
    /// Whether the task has one subtask only, so that its sentinel may follow its conditions at once.
    fn is_sole(&mut self) -> bool;
    /// Counts a subtask, acquire and release in one; whether it was the last.
    fn subtask_done(&mut self) -> bool;
    /// Whether the run is over. Asked whenever the ring is full.
    fn should_abort(&mut self) -> bool;
    /// Makes room if it can, for instance by a drain; whether it may have.
    fn help(&mut self) -> bool;
    /// Passes a moment.
    fn spin(&mut self);
}

/// What is to be done with the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fin {
    /// Other subtasks are to come.
    NotLast,
    /// The caller completes it: nothing is deferred.
    LastInline,
    /// The consumer completes it.
    HandedOver,
}

/// Why a subtask was not counted, or the task not handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinError {
    /// The kernel's error, or 103 for a count that cannot be. Nothing has happened.
    Slab(i32),
    /// A task defers and there is no mailbox.
    NoMailbox,
    /// The run is over.
    Aborted,
}

/// What was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FinCounts {
    /// Messages pushed.
    pub pushed: u32,
    /// Messages that were refused at first.
    pub skipped: u32,
}

/// Entries of a slab, from one on.
#[derive(Debug, Clone, Copy)]
pub struct SlabEntries {
    first: *const SlabEntry,
    count: u32,
}

impl SlabEntries {
    /// Address of the first.
    pub const fn first(self) -> *const SlabEntry {
        self.first
    }

    /// How many, at most 64.
    pub const fn count(self) -> u32 {
        self.count
    }

    fn skip(self, count: u32) -> Self {
        let count = count.min(self.count);
        Self { first: self.first.wrapping_add(count as usize), count: self.count - count }
    }
}

/// A slab.
#[derive(Debug, Clone, Copy)]
pub struct SlabRef(*mut Slab);

impl SlabRef {
    /// The slab at `address`.
    ///
    /// # Safety
    ///
    /// `address` is 8-aligned and readable and writable for a slab; its kernel has ended, and the caller's barrier has
    /// made visible what it wrote.
    pub const unsafe fn new(address: *mut Slab) -> Self {
        Self(address)
    }

    fn error(self) -> i32 {
        // SAFETY: inside the slab. Volatile: the kernel's memory.
        unsafe { (&raw const (*self.0).error_code).read_volatile() }
    }

    fn count(self) -> u32 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.0).count).read_volatile() }
    }

    fn clear(self) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0).count).write_volatile(0) };
    }

    fn entries(self, count: u32) -> SlabEntries {
        let first = self.0.cast::<u8>().wrapping_add(core::mem::offset_of!(Slab, entries));
        SlabEntries { first: first.cast_const().cast(), count }
    }
}

/// Waits until `push`, which says how many of `left` messages it took, has taken all.
fn push_all<T: Task>(
    task: &mut T,
    counts: &mut FinCounts,
    mut left: u32,
    mut push: impl FnMut(u32) -> u32,
) -> Result<(), FinError> {
    let mut refused = 0;
    let mut done = 0;
    loop {
        let taken = push(done).min(left);
        done += taken;
        left -= taken;
        counts.pushed += taken;
        if left == 0 {
            counts.skipped += refused;
            return Ok(());
        }
        // Messages are counted, not attempts: all that are left now have been refused, and were before if any was.
        refused = refused.max(left);
        if task.should_abort() {
            counts.skipped += refused;
            return Err(FinError::Aborted);
        }
        if !task.help() {
            task.spin();
        }
    }
}

/// One subtask has ended; `slab` is that of its core and buffer.
pub fn subtask<P: Producer, T: Task>(
    mut mailbox: Option<&mut P>,
    task: &mut T,
    slab: SlabRef,
    counts: &mut FinCounts,
) -> Result<Fin, FinError> {
    let has_payload = task.has_payload();
    let mut identity = (0, 0);
    if has_payload {
        let error = slab.error();
        if error != 0 {
            return Err(FinError::Slab(error));
        }
        let count = slab.count();
        if count > MAX_CONDITIONS as u32 {
            return Err(FinError::Slab(ERROR_REGISTRATION));
        }
        // Read while the task is certainly the caller's.
        identity = (task.token(), task.slot());
        if count != 0 {
            let Some(mailbox) = mailbox.as_mut() else { return Err(FinError::NoMailbox) };
            task.mark_deferred();
            if task.is_sole() {
                return sole_subtask(*mailbox, task, slab, count, identity, counts);
            }
            let entries = slab.entries(count);
            push_all(task, counts, count, |done| mailbox.push_conditions(identity.0, entries.skip(done), None))?;
            slab.clear();
        }
    }
    if !task.subtask_done() {
        return Ok(Fin::NotLast);
    }
    if !has_payload || !task.is_deferred() {
        return Ok(Fin::LastInline);
    }
    let Some(mailbox) = mailbox else { return Err(FinError::NoMailbox) };
    push_all(task, counts, 1, |_| u32::from(mailbox.push_normal_done(identity.0, identity.1)))?;
    Ok(Fin::HandedOver)
}

/// The only subtask of a task: conditions and sentinel go out together. It is counted before, since with the sentinel
/// the task is the consumer's; no other subtask looks at the count, so that nothing depends on its place.
fn sole_subtask<P: Producer, T: Task>(
    mailbox: &mut P,
    task: &mut T,
    slab: SlabRef,
    count: u32,
    (token, slot): (u64, u64),
    counts: &mut FinCounts,
) -> Result<Fin, FinError> {
    task.subtask_done();
    let entries = slab.entries(count);
    push_all(task, counts, count + 1, |done| mailbox.push_conditions(token, entries.skip(done), Some(slot)))?;
    slab.clear();
    Ok(Fin::HandedOver)
}
