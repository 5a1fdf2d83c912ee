//! The side area of a native list: memory of the caller beside the image, with everything that makes the list fast and
//! lets it hold more than the image can.
//!
//! It is used under the list's lock. Between calls only functions of this module change the list; if public fields were
//! written by hand all the same, a count that differs, a token that differs, a number of conditions that differs, a condition
//! appended by itself, or a task that waits although none of its conditions does makes the state of that entry, or all of it,
//! be taken from the public fields again.
//!
//! While a call appends runs of conditions it counts them here alone: the public counts of an entry lie in a line of their own.
//! They follow before anything else looks at them, at the end of the call at the latest.
//!
//! One call at a time works on an area. The word that tells an area from other memory also says whether one does, so that a
//! call from within a callback is refused for no more than two stores per call. It lies apart from what the call has to itself.
//!
//! # An area that somebody wrote over
//!
//! Where the messages lie follows from the address in each call; how many there are and can be carries a check sum over that
//! address, too, and so does each message. What tells of the list is a hint: numbers are folded, the order is a permutation or is
//! made anew, and only live conditions of live entries are looked at. So nothing outside of list and area is touched. Hints
//! that are wrong and do not show it cost more: a task that the index has lost is a task without an entry.

use super::image::{EntryRef, ListRef, MAX_CONDITIONS, MAX_ENTRIES};
use super::index::Index;
use super::log::{Log, Parked, Slot, check_of, pack, unpack};
use super::private::{Private, Wanted, scan};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use core::mem::{align_of, size_of};
use core::ops::{Deref, DerefMut, Range};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

/// Most messages that a side area holds.
pub const MAX_OVERFLOW: u32 = 1 << 20;
/// An area that no call works on.
const FREE: u64 = 0x6c61_6e65_7369_6465;
/// An area that a call works on.
const IN_USE: u64 = !FREE;
/// Tasks remembered after their completion, each in the place that its token gives it.
const REMEMBERED: usize = 256;
const MASK: usize = MAX_ENTRIES - 1;

/// Memory of a side area, followed by its messages.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct SideArea {
    mark: AtomicU64,
    side: Side,
}

/// What a side area holds.
#[derive(Debug)]
#[repr(C)]
pub struct Side {
    log: SideLog,
    index: Index,
    /// Entry numbers, oldest first.
    order: [u8; MAX_ENTRIES],
    unsatisfied: [u64; MAX_ENTRIES],
    plain: [u64; MAX_ENTRIES],
    hint: [u8; MAX_ENTRIES],
    /// Conditions of each entry.
    conditions: [u8; MAX_ENTRIES],
    /// Those among them that have their bits in `unsatisfied` and `plain`; the others are plain and do not hold.
    marked: [u8; MAX_ENTRIES],
    /// Entries whose public counts are behind `conditions`, one bit each; none between calls.
    ahead: u64,
    /// Not 0: completed tasks are remembered.
    remembers: u8,
    retired: [u64; REMEMBERED],
    occupied: [u64; REMEMBERED / 64],
}

/// Messages behind the side area.
#[derive(Debug)]
#[repr(C)]
pub(super) struct SideLog {
    /// Where the call found them.
    slots: *mut Slot,
    capacity: u32,
    len: u32,
    uncounted: u32,
    /// Over all of the above.
    check: u64,
}

// SAFETY: the slots are part of the side area, which one thread at a time uses.
unsafe impl Send for SideLog {}

/// A side area in the use of one call, which ends when it is dropped.
#[derive(Debug)]
pub struct SideUse<'a> {
    mark: &'a AtomicU64,
    side: &'a mut Side,
}

impl Deref for SideUse<'_> {
    type Target = Side;

    #[inline(always)]
    fn deref(&self) -> &Side {
        self.side
    }
}

impl DerefMut for SideUse<'_> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Side {
        self.side
    }
}

impl Drop for SideUse<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Relaxed: as in `SideArea::enter`.
        self.mark.store(FREE, Ordering::Relaxed);
    }
}

impl SideArea {
    /// Bytes of an area that holds `overflow` messages; `None` above [`MAX_OVERFLOW`].
    pub fn required_size(overflow: u32) -> Option<usize> {
        const { assert!(size_of::<Self>().is_multiple_of(align_of::<Slot>())) };
        (overflow <= MAX_OVERFLOW).then(|| size_of::<Self>() + overflow as usize * size_of::<Slot>())
    }

    /// Makes an area in `length` bytes at `memory`, aligned to 64. `remembers`: completed tasks are remembered for a while.
    ///
    /// # Safety
    ///
    /// `memory` is null or writable for `length` bytes, and nobody else uses it while the area is.
    pub unsafe fn init(
        memory: *mut u8,
        length: usize,
        overflow: u32,
        remembers: bool,
    ) -> Result<NonNull<Self>, Status> {
        let Some(place) = NonNull::new(memory.cast::<Self>()) else { return Err(Status::LANEPIPE_E_NULL) };
        if !place.is_aligned() {
            return Err(Status::LANEPIPE_E_MISALIGNED);
        }
        let Some(size) = Self::required_size(overflow) else { return Err(Status::LANEPIPE_E_TOO_LARGE) };
        if length < size {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        let mut log =
            SideLog { slots: Self::slots_of(place.as_ptr()), capacity: overflow, len: 0, uncounted: 0, check: 0 };
        log.seal();
        let side = Side {
            log,
            index: Index::new(),
            order: [0; MAX_ENTRIES],
            unsatisfied: [0; MAX_ENTRIES],
            plain: [0; MAX_ENTRIES],
            hint: [0; MAX_ENTRIES],
            conditions: [0; MAX_ENTRIES],
            marked: [0; MAX_ENTRIES],
            ahead: 0,
            remembers: u8::from(remembers),
            retired: [0; REMEMBERED],
            occupied: [0; REMEMBERED / 64],
        };
        // SAFETY: not null, aligned, large enough; the caller's contract.
        unsafe { place.write(Self { mark: AtomicU64::new(FREE), side }) };
        Ok(place)
    }

    /// Where the messages of the area at `place` lie.
    #[inline(always)]
    fn slots_of(place: *mut Self) -> *mut Slot {
        place.wrapping_add(1).cast()
    }

    /// Takes the area at `address` for one call; `LANEPIPE_E_OVERLAP` if another one works on it, `LANEPIPE_E_CORRUPT` if it is none
    /// or somebody wrote over what its messages depend on.
    ///
    /// # Safety
    ///
    /// `address` is null or readable as a side area; if it is one, the caller has the list's lock for `'a`.
    #[inline]
    pub unsafe fn enter<'a>(address: *mut Self) -> Result<SideUse<'a>, Status> {
        let Some(place) = NonNull::new(address) else { return Err(Status::LANEPIPE_E_NULL) };
        if !place.is_aligned() {
            return Err(Status::LANEPIPE_E_MISALIGNED);
        }
        // SAFETY: not null, aligned; the caller's contract. Nobody has the mark to itself.
        let mark = unsafe { &(*place.as_ptr()).mark };
        // Relaxed: whoever has the lock is alone, so that a call found here is one that this thread is in.
        match mark.load(Ordering::Relaxed) {
            FREE => {}
            IN_USE => return Err(Status::LANEPIPE_E_OVERLAP),
            _ => return Err(Status::LANEPIPE_E_CORRUPT),
        }
        // SAFETY: an area, which the lock's holder alone uses, and of its calls only this one by the mark.
        let side = unsafe { &mut (*place.as_ptr()).side };
        side.log.slots = Self::slots_of(place.as_ptr());
        if side.log.check != side.log.sum() || side.ahead != 0 {
            return Err(Status::LANEPIPE_E_CORRUPT);
        }
        // Relaxed: as for the load.
        mark.store(IN_USE, Ordering::Relaxed);
        Ok(SideUse { mark, side })
    }
}

impl Side {
    /// Messages held.
    pub fn parked(&self) -> usize {
        self.log.len as usize
    }

    /// The number of the entry that was created first.
    pub(super) fn oldest(&self) -> usize {
        self.order[0] as usize & MASK
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.log.truncate(0, 0);
        self.index.clear();
        self.occupied = [0; REMEMBERED / 64];
    }

    #[cold]
    #[inline(never)]
    fn rescan(&mut self, entry: usize, image: EntryRef) {
        let (unsatisfied, plain) = scan(image, 0..image.conditions());
        self.unsatisfied[entry & MASK] = unsatisfied;
        self.plain[entry & MASK] = plain;
        self.conditions[entry & MASK] = image.conditions() as u8;
        self.marked[entry & MASK] = image.conditions() as u8;
        self.hint[entry & MASK] = 0;
    }

    /// The conditions of `entry` are counted here alone from now on, until [`Private::settle`]; false if it is not the task's. What
    /// the public fields say is compared once: nobody else is called before that.
    #[cold]
    #[inline(never)]
    fn go_ahead(&mut self, list: ListRef, entry: usize, token: u64) -> bool {
        let image = list.entry(entry);
        if entry >= list.count() || image.task_token() != token {
            return false;
        }
        if i32::from(self.conditions[entry & MASK]) != image.condition_count() {
            image.set_condition_count(image.conditions() as i32);
            self.rescan(entry, image);
        }
        self.ahead |= 1 << (entry & MASK);
        true
    }

    /// Sets the bits of conditions that were appended since: they are plain, and none of them holds.
    #[inline(always)]
    fn mark(&mut self, entry: usize) {
        let (first, end) = (self.marked[entry & MASK], self.conditions[entry & MASK]);
        if first < end {
            let bits = first_bits((end - first).into()) << (first & MASK as u8);
            self.unsatisfied[entry & MASK] |= bits;
            self.plain[entry & MASK] |= bits;
            self.marked[entry & MASK] = end;
        }
    }

    /// As [`Side::mark`], if not all of the `last` are plain.
    #[cold]
    #[inline(never)]
    fn mark_run(&mut self, entry: usize, image: EntryRef, last: Range<usize>) {
        self.mark(entry);
        let (unsatisfied, plain) = scan(image, last);
        self.plain[entry & MASK] &= plain | !unsatisfied;
    }

    fn place_of(token: u64) -> usize {
        (token.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize & (REMEMBERED - 1)
    }
}

impl Private for Side {
    type Log = SideLog;
    const HOLDS_BACK: bool = false;

    fn index(&mut self) -> &mut Index {
        &mut self.index
    }
    fn log(&mut self) -> &mut SideLog {
        &mut self.log
    }
    fn log_ref(&self) -> &SideLog {
        &self.log
    }
    fn entry_limit(&self) -> usize {
        MAX_ENTRIES
    }
    fn condition_limit(&self) -> usize {
        MAX_CONDITIONS
    }

    fn enter(&mut self, list: ListRef) {
        let count = list.count();
        let ordered = self.order.iter().take(count).fold(0u64, |seen, entry| seen | 1 << (entry & MASK as u8));
        let is_known = |entry| self.index.is_at(entry, list.entry(entry).task_token());
        if self.index.len() == count && ordered == first_bits(count) && (0..count).all(is_known) {
            return;
        }
        self.index.clear();
        for entry in 0..count {
            let image = list.entry(entry);
            self.index.push(image.task_token());
            self.order[entry & MASK] = entry as u8;
            self.rescan(entry, image);
        }
    }

    fn restart(&mut self) {
        self.reset();
    }

    #[inline(always)]
    fn created(&mut self, entry: usize) {
        self.order[entry & MASK] = entry as u8;
        self.unsatisfied[entry & MASK] = 0;
        self.plain[entry & MASK] = 0;
        self.conditions[entry & MASK] = 0;
        self.marked[entry & MASK] = 0;
        self.hint[entry & MASK] = 0;
    }

    #[inline(always)]
    fn appended(&mut self, entry: usize, image: EntryRef, condition: usize, plain: bool) {
        if condition != 0 {
            // Not part of a run: those before it may have been exchanged by hand, which their number does not tell.
            return self.rescan(entry, image);
        }
        self.unsatisfied[entry & MASK] = 1;
        self.plain[entry & MASK] = u64::from(plain);
        self.conditions[entry & MASK] = 1;
        self.marked[entry & MASK] = 1;
    }

    #[inline(always)]
    fn run(&mut self, list: ListRef, token: u64) -> Option<(usize, usize)> {
        let entry = self.index.known(token)?;
        if self.ahead >> (entry & MASK) & 1 == 0 && !self.go_ahead(list, entry, token) {
            return None;
        }
        Some((entry, usize::from(self.conditions[entry & MASK])))
    }

    #[inline(always)]
    fn ran(&mut self, list: ListRef, entry: usize, first: usize, count: usize, are_plain: bool) {
        self.conditions[entry & MASK] = (first + count) as u8;
        if !are_plain {
            self.mark_run(entry, list.entry(entry), first..first + count);
        }
    }

    #[inline]
    fn settle(&mut self, list: ListRef) {
        while self.ahead != 0 {
            let entry = self.ahead.trailing_zeros() as usize;
            self.ahead &= self.ahead - 1;
            let image = list.entry(entry);
            let conditions = i32::from(self.conditions[entry & MASK]);
            let more = conditions - image.condition_count();
            image.set_condition_count(conditions);
            image.set_waiting(image.waiting().saturating_add(more));
        }
    }

    fn rearranged(&mut self, entry: usize, image: EntryRef) {
        self.rescan(entry, image);
    }

    #[inline(always)]
    fn satisfied(&mut self, entry: usize, condition: usize) {
        self.unsatisfied[entry & MASK] &= !(1u64 << (condition & MASK));
    }

    #[inline(always)]
    fn pending(&mut self, entry: usize, condition: usize) {
        self.hint[entry & MASK] = condition as u8;
    }

    #[inline(always)]
    fn wanted(&mut self, entry: usize, image: EntryRef) -> Wanted {
        if self.conditions[entry & MASK] as usize != image.conditions() {
            self.rescan(entry, image);
        }
        self.mark(entry);
        let unsatisfied = self.unsatisfied[entry & MASK] & first_bits(image.conditions());
        Wanted {
            unsatisfied,
            plain: self.plain[entry & MASK] & unsatisfied,
            hint: u32::from(self.hint[entry & MASK]) & MASK as u32,
        }
    }

    fn removed(&mut self, entry: usize, last: usize) {
        // The order closes up, and the last entry goes by another number.
        let mut kept = 0;
        for from in 0..=last {
            let number = self.order[from & MASK] as usize & MASK;
            if number == entry {
                continue;
            }
            self.order[kept & MASK] = if number == last { entry } else { number } as u8;
            kept += 1;
        }
        if entry != last {
            self.unsatisfied[entry & MASK] = self.unsatisfied[last & MASK];
            self.plain[entry & MASK] = self.plain[last & MASK];
            self.conditions[entry & MASK] = self.conditions[last & MASK];
            self.marked[entry & MASK] = self.marked[last & MASK];
            self.hint[entry & MASK] = self.hint[last & MASK];
        }
    }

    #[inline(always)]
    fn at(&self, done: usize, _: usize) -> usize {
        self.order[done & MASK] as usize & MASK
    }

    fn was_retired(&self, token: u64) -> bool {
        let place = Self::place_of(token);
        self.occupied[place / 64] >> (place % 64) & 1 != 0 && self.retired[place] == token
    }

    fn retired(&mut self, token: u64) {
        if self.remembers != 0 {
            let place = Self::place_of(token);
            self.occupied[place / 64] |= 1 << (place % 64);
            self.retired[place] = token;
        }
    }
}

/// The lowest `count` bits, of 64 at most.
#[inline(always)]
fn first_bits(count: usize) -> u64 {
    if count < MAX_ENTRIES { !(u64::MAX << count) } else { u64::MAX }
}

impl SideLog {
    fn has_room(&mut self) -> bool {
        self.len < self.capacity
    }

    fn slot(&self, index: usize) -> Option<*mut Slot> {
        (index < self.capacity as usize).then(|| self.slots.wrapping_add(index))
    }

    /// The check sum that belongs to the counts, for slots that lie here.
    #[inline(always)]
    fn sum(&self) -> u64 {
        let counts = u64::from(self.len) | u64::from(self.uncounted) << 32;
        check_of(&[counts, self.capacity.into()], self.slots as u64)
    }

    fn seal(&mut self) {
        self.check = self.sum();
    }
}

impl Log for SideLog {
    fn len(&self) -> usize {
        self.len as usize
    }

    fn uncounted(&self) -> usize {
        self.uncounted as usize
    }

    fn get(&self, index: usize) -> Option<Parked> {
        let slot = self.slot(index).filter(|_| index < self.len())?;
        // SAFETY: one of the area's slots.
        unpack(index, &unsafe { slot.read() })
    }

    fn push(&mut self, parked: Parked) -> bool {
        if !self.has_room() {
            return false;
        }
        self.len += 1;
        self.uncounted += u32::from(!parked.counted);
        self.seal();
        self.set(self.len() - 1, parked);
        true
    }

    fn set(&mut self, index: usize, parked: Parked) {
        if let Some(slot) = self.slot(index) {
            // SAFETY: one of the area's slots.
            unsafe { slot.write(pack(index, &parked)) };
        }
    }

    fn truncate(&mut self, len: usize, uncounted: usize) {
        self.len = self.len.min(len as u32);
        self.uncounted = self.len.min(uncounted as u32);
        self.seal();
    }

    fn holds(&self, token: u64, len: usize) -> bool {
        // The check sums are left to those who use what the messages say.
        // SAFETY: one of the area's slots; a slot's first word is the token.
        (0..len.min(self.len()))
            .rev()
            .filter_map(|index| self.slot(index))
            .any(|slot| unsafe { slot.cast::<u64>().read() } == token)
    }
}
