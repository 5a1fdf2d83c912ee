//! Views of the wait list's memory image.
//!
//! All fields but `busy` and `count` belong to whoever has the lock and are accessed plainly, through pointers: the
//! memory may be 8-aligned only, and no reference to it is ever made. Beyond the live ranges it holds garbage.

use crate::mailbox::layout::{Condition, TYPE_COUNTER, WaitEntry, WaitList, Words};
use crate::sync::atomic::Ordering;
use core::ffi::c_void;
use core::sync::atomic::AtomicI32;

/// Entries of a list.
pub(super) const MAX_ENTRIES: usize = super::index::ENTRIES;
/// Conditions of an entry.
pub(super) const MAX_CONDITIONS: usize = 64;

/// Getters and setters of plain fields.
macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $field:ident as $type:ty;)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub fn $get(self) -> $type {
                // SAFETY: inside the image that the view's maker vouches for; the lock's holder accesses it.
                unsafe { (&raw const (*self.0).$field).cast::<$type>().read() }
            }
            #[doc = concat!("Writes what [`Self::", stringify!($get), "`] reads.")]
            #[inline(always)]
            pub fn $set(self, value: $type) {
                // SAFETY: as above.
                unsafe { (&raw mut (*self.0).$field).cast::<$type>().write(value) }
            }
        )*
    };
}

/// One condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConditionRef(*mut Condition);

impl ConditionRef {
    /// A view of the condition at `address`.
    ///
    /// # Safety
    ///
    /// `address` is 8-aligned, and readable and writable for the condition's 48 bytes while the view is used; nobody else
    /// accesses it meanwhile.
    pub const unsafe fn new(address: *mut c_void) -> Self {
        Self(address.cast())
    }

    /// The address.
    pub const fn address(self) -> *mut c_void {
        self.0.cast()
    }

    fields! {
        /// Four bytes of any value, not a checked enumeration.
        engine, set_engine: engine as u32;
        /// Any value.
        completion_type, set_completion_type: completion_type as i32;
        /// 0 or 1, as a byte: the image may hold garbage.
        satisfied_byte, set_satisfied_byte: satisfied as u8;
        /// As above.
        retired_byte, set_retired_byte: retired as u8;
        /// Address of the counter, 0 for all types but counters.
        counter_addr, set_counter_addr: counter_addr as u64;
        /// What the message carried.
        addr, set_addr: addr as u64;
        /// What the message carried.
        backend_cookie, set_backend_cookie: backend_cookie as u64;
        /// What the message carried.
        expected_value, set_expected_value: expected_value as u32;
    }

    /// Writes all eight fields as a condition that does not hold yet; `words` are those of its message.
    #[inline(always)]
    pub(super) fn write(self, &[_, addr, cookie, threshold, kind]: &Words) {
        self.start(threshold >> 32 | kind << 32);
        self.set_counter_addr(if kind as i32 == TYPE_COUNTER { addr } else { 0 });
        self.set_addr(addr);
        self.set_backend_cookie(cookie);
        self.set_expected_value(threshold as u32);
    }

    /// As [`ConditionRef::write`], for a counter; each word of the message is read right before it is written, so that few
    /// are at hand at once. The counter's address.
    #[inline(always)]
    pub(super) fn write_counter(self, message: impl Fn(usize) -> u64) -> u64 {
        let addr = message(1);
        self.set_counter_addr(addr);
        self.set_addr(addr);
        self.set_backend_cookie(message(2));
        let threshold = message(3);
        self.set_expected_value(threshold as u32);
        self.start(threshold >> 32 | (TYPE_COUNTER as u64) << 32);
        addr
    }

    /// Writes type and engine at once, which the message has in the other order, and that the condition does not hold.
    #[inline(always)]
    fn start(self, engine_and_type: u64) {
        // SAFETY: the first eight bytes, then two more that are 2-aligned, of the condition that `new`'s caller vouches for.
        unsafe { self.0.cast::<u64>().write(engine_and_type) };
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0).satisfied).cast::<u16>().write(0) };
    }

    /// The condition that lies behind it; nothing at the array's end.
    #[inline(always)]
    pub(super) fn behind(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Whether the condition holds and is not looked at again.
    #[inline(always)]
    pub fn is_satisfied(self) -> bool {
        self.satisfied_byte() != 0
    }

    /// Copies the eight fields; the padding stays as it is.
    pub(super) fn copy_from(self, other: Self) {
        self.set_engine(other.engine());
        self.set_completion_type(other.completion_type());
        self.set_satisfied_byte(other.satisfied_byte());
        self.set_retired_byte(other.retired_byte());
        self.set_counter_addr(other.counter_addr());
        self.set_addr(other.addr());
        self.set_backend_cookie(other.backend_cookie());
        self.set_expected_value(other.expected_value());
    }
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef(*mut WaitEntry);

impl EntryRef {
    /// A view of the entry at `address`.
    ///
    /// # Safety
    ///
    /// As for [`ConditionRef::new`], for the entry's 3104 bytes.
    pub const unsafe fn new(address: *mut c_void) -> Self {
        Self(address.cast())
    }

    /// The address.
    pub const fn address(self) -> *mut c_void {
        self.0.cast()
    }

    fields! {
        /// The slot's address, 0 while the sentinel has not come.
        slot_state, set_slot_state: slot_state as u64;
        /// The task.
        task_token, set_task_token: task_token as u64;
        /// Live conditions as the image says; see [`EntryRef::conditions`].
        condition_count, set_condition_count: condition_count as i32;
        /// Conditions that do not hold yet, those held privately included.
        waiting, set_waiting: waiting_completion_count as i32;
        /// 0 or 1, as a byte.
        normal_done_byte, set_normal_done_byte: normal_done as u8;
    }

    /// Whether the sentinel has come.
    #[inline(always)]
    pub fn is_normal_done(self) -> bool {
        self.normal_done_byte() != 0
    }

    /// Live conditions; a count that cannot be is taken as the nearest one.
    #[inline(always)]
    pub fn conditions(self) -> usize {
        self.condition_count().clamp(0, MAX_CONDITIONS as i32) as usize
    }

    /// Condition `index`, folded into the array.
    #[inline(always)]
    pub fn condition(self, index: usize) -> ConditionRef {
        let offset = core::mem::offset_of!(WaitEntry, conditions)
            + (index & (MAX_CONDITIONS - 1)) * core::mem::size_of::<Condition>();
        ConditionRef(self.0.cast::<u8>().wrapping_add(offset).cast())
    }

    /// Whether nothing but the sentinel keeps it: all its conditions hold.
    #[inline(always)]
    pub fn is_complete(self) -> bool {
        self.is_normal_done() && self.waiting() <= 0
    }

    /// Copies what is live. What lies beyond the live conditions stays as it is.
    pub(super) fn copy_from(self, other: Self) {
        self.set_slot_state(other.slot_state());
        self.set_task_token(other.task_token());
        let conditions = other.conditions();
        for index in 0..conditions {
            self.condition(index).copy_from(other.condition(index));
        }
        self.set_condition_count(conditions as i32);
        self.set_waiting(other.waiting());
        self.set_normal_done_byte(other.normal_done_byte());
    }
}

/// A wait list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListRef(*mut WaitList);

impl ListRef {
    /// A view of the list at `address`.
    ///
    /// # Safety
    ///
    /// `address` is 8-aligned, and readable and writable for the list's 198,680 bytes while the view is used. Everybody
    /// else accesses `busy`, `count` and `mpsc_skipped_count` by single accesses of their width, and the rest only while
    /// having the lock, or at rest.
    pub const unsafe fn new(address: *mut c_void) -> Self {
        Self(address.cast())
    }

    /// The address.
    pub const fn address(self) -> *mut c_void {
        self.0.cast()
    }

    /// The lock's word.
    #[inline(always)]
    pub(super) fn busy(&self) -> &AtomicI32 {
        // SAFETY: inside the image that the view's maker vouches for, 4-aligned; accessed atomically by everybody.
        unsafe { AtomicI32::from_ptr((&raw mut (*self.0).busy).cast()) }
    }

    /// Live entries, for whoever asks: a hint without the lock. A count that cannot be is none.
    #[inline(always)]
    pub fn count(self) -> usize {
        // Relaxed: to the lock's holder the lock carries it; to others it is a hint.
        let count = self.count_word().load(Ordering::Relaxed);
        if (0..=MAX_ENTRIES as i32).contains(&count) { count as usize } else { 0 }
    }

    #[inline(always)]
    fn count_word(&self) -> &AtomicI32 {
        // SAFETY: as for `busy`; readers of the C++ side read the four bytes at once.
        unsafe { AtomicI32::from_ptr((&raw mut (*self.0).count).cast()) }
    }

    /// Sets the number of live entries.
    #[inline(always)]
    pub(super) fn set_count(self, count: usize) {
        // Relaxed: as above.
        self.count_word().store(count as i32, Ordering::Relaxed);
    }

    /// Clears a count that cannot be.
    pub(super) fn repair_count(self) {
        if self.count() == 0 {
            self.set_count(0);
        }
    }

    /// Refused attempts, as producers counted them.
    pub fn skipped(self) -> u64 {
        // SAFETY: as for `busy`.
        let word = unsafe { core::sync::atomic::AtomicU64::from_ptr((&raw mut (*self.0).mpsc_skipped_count).cast()) };
        // Relaxed, here and below: a statistic.
        word.load(Ordering::Relaxed)
    }

    /// Adds to the refused attempts, or clears them.
    pub(super) fn set_skipped(self, count: u64) {
        // SAFETY: as for `busy`.
        let word = unsafe { core::sync::atomic::AtomicU64::from_ptr((&raw mut (*self.0).mpsc_skipped_count).cast()) };
        word.store(count, Ordering::Relaxed);
    }

    /// Entry `index`, folded into the array.
    #[inline(always)]
    pub fn entry(self, index: usize) -> EntryRef {
        let offset =
            core::mem::offset_of!(WaitList, entries) + (index & (MAX_ENTRIES - 1)) * core::mem::size_of::<WaitEntry>();
        EntryRef(self.0.cast::<u8>().wrapping_add(offset).cast())
    }

    /// Number of the entry at `address`, if it is a live one.
    pub(super) fn number_of(self, address: *mut c_void) -> Option<usize> {
        let first = self.entry(0).address() as usize;
        let offset = (address as usize).checked_sub(first)?;
        let size = core::mem::size_of::<WaitEntry>();
        let number = offset / size;
        (offset.is_multiple_of(size) && number < self.count()).then_some(number)
    }

    /// The two words of padding that hold the copy of the run number: behind `busy` and behind `count`.
    fn padding(self, offset: usize) -> *mut u32 {
        self.0.cast::<u8>().wrapping_add(offset).cast()
    }

    /// The list's copy of the run number; `None` if the padding does not hold one.
    pub(super) fn run(self) -> Option<u32> {
        // SAFETY: inside the image, 4-aligned; the lock's holder alone accesses it.
        let run = unsafe { self.padding(PAD_BEHIND_BUSY).read() };
        // SAFETY: as above.
        let check = unsafe { self.padding(PAD_BEHIND_COUNT).read() };
        (check == run_check(run)).then_some(run)
    }

    /// Sets the copy of the run number; `None` leaves none.
    pub(super) fn set_run(self, run: Option<u32>) {
        let (run, check) = run.map_or((0, 0), |run| (run, run_check(run)));
        // SAFETY: as above.
        unsafe { self.padding(PAD_BEHIND_BUSY).write(run) };
        // SAFETY: as above.
        unsafe { self.padding(PAD_BEHIND_COUNT).write(check) };
    }
}

const PAD_BEHIND_BUSY: usize = core::mem::offset_of!(WaitList, busy) + 4;
const PAD_BEHIND_COUNT: usize = core::mem::offset_of!(WaitList, count) + 4;

/// What must stand beside a run number; never 0 beside 0.
fn run_check(run: u32) -> u32 {
    let mixed = (u64::from(run) ^ 0x6c70_5f72_756e_2d31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32 | 1
}
