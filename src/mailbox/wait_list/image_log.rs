//! The log of a list without a side area: it lies in slots of `conditions[]` that nothing else uses.
//!
//! A zone of `height` rows (entries, from the last one up) and `width` columns (conditions, from the last one up) is
//! private while messages are held. Either whole entries beyond the live ones, and then no entry is created there; or, on a
//! full list, the last columns of all entries, and then no condition is appended there. The slot in the corner holds the
//! mark, the others one message each.
//!
//! Code that knows nothing of it removes entries by assignment of the last one. That touches no entry beyond the live
//! ones; columns are used only if the caller says that its assignment copies live conditions alone. Whatever else happens
//! to the memory, mark and messages carry check sums over their contents and place, and the mark names ring, run and
//! position of the ring it belongs to: contents of another life are nothing. A corner that is live, or holds anything but
//! a mark, is not the log's and is left as it is.
//!
//! Messages of tasks without an entry are held only while the ring is not empty, so the tail stands where the last call
//! left it. If it does not, somebody moved it by hand. What was drained stays held all the same, unless the list was emptied,
//! too: then both begin anew.

use super::image::{ListRef, MAX_CONDITIONS, MAX_ENTRIES};
use super::log::{Log, Parked, Slot, WORDS, check_of, pack, unpack};

/// Most entries taken from a list that is not full.
const MAX_HEIGHT: usize = 16;

/// The state that the mark describes, and where it belongs to.
#[derive(Debug)]
pub(super) struct ImageLog {
    list: ListRef,
    owner: Owner,
    columns: bool,
    len: usize,
    uncounted: usize,
    width: usize,
    height: usize,
    /// Position behind the message that was applied and left in the ring, and whether there is one.
    applied: Option<u64>,
    marked: bool,
}

/// What a mark is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) ring: u64,
    pub(super) run: Option<u32>,
}

impl ImageLog {
    /// The log of `list` as its mark has it, if the mark belongs to `owner` and the ring has gone on to `tail`; else an
    /// empty one. `columns`: entries are assigned without touching what lies beyond their live conditions.
    pub(super) fn open(list: ListRef, owner: Owner, tail: u64, columns: bool) -> Self {
        let mut log =
            Self { list, owner, columns, len: 0, uncounted: 0, width: 0, height: 0, applied: None, marked: false };
        if owner.ring == 0 {
            return log;
        }
        let Some(mark) = log.mark() else { return log };
        if !log.adopt(&mark, tail) {
            log.erase();
        }
        log
    }

    /// The mark, if the corner holds one.
    fn mark(&self) -> Option<Slot> {
        if self.is_corner_live() {
            return None;
        }
        let mark = self.read(0);
        (mark[0] == check_of(&mark[1..], 0)).then_some(mark)
    }

    /// Whether the corner is a live condition.
    fn is_corner_live(&self) -> bool {
        self.list.count() == MAX_ENTRIES && self.list.entry(MAX_ENTRIES - 1).conditions() == MAX_CONDITIONS
    }

    /// Forgets what `list` holds, for whatever ring.
    pub(super) fn forget(list: ListRef) {
        let mut log = Self::peek(list);
        if log.marked {
            log.erase();
        }
    }

    /// The mark's contents, whomever they belong to.
    fn peek(list: ListRef) -> Self {
        let owner = Owner { ring: 0, run: None };
        let mut log = Self {
            list,
            owner,
            columns: false,
            len: 0,
            uncounted: 0,
            width: 0,
            height: 0,
            applied: None,
            marked: false,
        };
        if let Some([_, _, _, applied, shape, _]) = log.mark() {
            (log.width, log.height) = dimensions(shape);
            log.len = (shape >> 16 & 0xffff) as usize;
            log.applied = (shape >> 48 & 1 != 0).then_some(applied);
            log.marked = true;
        }
        log
    }

    /// Entries that are not private, and conditions of an entry that are not, by the mark alone.
    pub(super) fn limits_of(list: ListRef) -> (usize, usize) {
        let log = Self::peek(list);
        (log.entry_limit(), log.condition_limit())
    }

    /// Messages held, by the mark alone.
    pub(super) fn held_in(list: ListRef) -> usize {
        Self::peek(list).len
    }

    fn adopt(&mut self, mark: &Slot, tail: u64) -> bool {
        let [_, ring, run, applied, shape, at] = *mark;
        if ring != self.owner.ring || run != run_word(self.owner.run) {
            return false;
        }
        // The ring has not gone back behind where the mark was left.
        if (tail.wrapping_sub(at) as i64) < 0 {
            return false;
        }
        (self.width, self.height) = dimensions(shape);
        (self.len, self.uncounted) = ((shape >> 16 & 0xffff) as usize, (shape >> 32 & 0xffff) as usize);
        self.applied = (shape >> 48 & 1 != 0).then_some(applied);
        self.marked = true;
        let sound = self.width.min(self.height) > 0 && self.len <= self.capacity() && self.uncounted <= self.len;
        if !sound {
            (self.len, self.uncounted, self.applied) = (0, 0, None);
        } else if tail != at {
            self.applied = None;
            // On an empty list nobody is in their way, so that they would not be held.
            if self.list.count() == 0 {
                self.drop_uncounted();
            }
        }
        sound
    }

    /// Forgets messages of tasks without an entry.
    #[cold]
    fn drop_uncounted(&mut self) {
        let mut kept = 0;
        for index in 0..self.len {
            let Some(parked) = self.get(index).filter(|parked| parked.counted) else { continue };
            self.set(kept, parked);
            kept += 1;
        }
        self.truncate(kept, 0);
    }

    /// Leaves the mark as the next [`ImageLog::open`] needs it.
    pub(super) fn close(&mut self, tail: u64) {
        if self.len == 0 && self.applied.is_none() {
            // Nothing is private any more: what was the corner may be live.
            if self.marked && !self.is_corner_live() {
                self.erase();
            }
            return;
        }
        let shape = self.width as u64
            | (self.height as u64) << 8
            | (self.len as u64) << 16
            | (self.uncounted as u64) << 32
            | u64::from(self.applied.is_some()) << 48;
        let mut mark: Slot = [0, self.owner.ring, run_word(self.owner.run), self.applied.unwrap_or(0), shape, tail];
        mark[0] = check_of(&mark[1..], 0);
        self.write(0, &mark);
        self.marked = true;
    }

    /// Forgets what is held.
    pub(super) fn erase(&mut self) {
        self.write(0, &[0; WORDS]);
        (self.len, self.uncounted, self.applied, self.marked) = (0, 0, None, false);
        (self.width, self.height) = (0, 0);
    }

    /// Position behind the message that is applied and still in the ring.
    pub(super) fn applied(&self) -> Option<u64> {
        self.applied
    }

    /// Sets what [`ImageLog::applied`] gives.
    pub(super) fn set_applied(&mut self, position: Option<u64>) {
        self.applied = position;
    }

    /// Whether the zone, or at least its corner, is in use.
    fn is_private(&self) -> bool {
        self.len != 0 || self.applied.is_some()
    }

    /// Live entries end here.
    pub(super) fn entry_limit(&self) -> usize {
        if self.is_private() && self.width == MAX_CONDITIONS {
            MAX_ENTRIES.saturating_sub(self.height)
        } else {
            MAX_ENTRIES
        }
    }

    /// Live conditions of an entry end here.
    pub(super) fn condition_limit(&self) -> usize {
        if self.is_private() && self.height == MAX_ENTRIES {
            MAX_CONDITIONS.saturating_sub(self.width)
        } else {
            MAX_CONDITIONS
        }
    }

    fn has_room(&mut self) -> bool {
        if self.len == 0 {
            if self.owner.ring == 0 {
                return false;
            }
            self.choose();
        }
        self.len < self.capacity()
    }

    fn capacity(&self) -> usize {
        (self.width * self.height).saturating_sub(1)
    }

    /// Chooses the zone while nothing is held.
    fn choose(&mut self) {
        let count = self.list.count();
        let widest = (0..count).map(|entry| self.list.entry(entry).conditions()).max().unwrap_or(0);
        (self.width, self.height) = if count < MAX_ENTRIES {
            (MAX_CONDITIONS, (MAX_ENTRIES - count).min(MAX_HEIGHT))
        } else if self.columns && widest < MAX_CONDITIONS {
            // Half of what is unused is left for conditions to come.
            ((MAX_CONDITIONS - widest).div_ceil(2), MAX_ENTRIES)
        } else {
            (0, 0)
        };
    }

    /// Where slot `index` of the zone lies, counted from the corner.
    fn place(&self, index: usize) -> *mut u64 {
        let width = self.width.max(1);
        let row = (MAX_ENTRIES - 1).wrapping_sub(index / width);
        let column = (MAX_CONDITIONS - 1).wrapping_sub(index % width);
        self.list.entry(row).condition(column).address().cast()
    }

    fn read(&self, index: usize) -> Slot {
        let place = self.place(index);
        let mut slot = [0; WORDS];
        for (offset, word) in slot.iter_mut().enumerate() {
            // SAFETY: one of the list's condition slots, 8-aligned; the lock's holder alone accesses it.
            *word = unsafe { place.add(offset).read() };
        }
        slot
    }

    fn write(&self, index: usize, slot: &Slot) {
        let place = self.place(index);
        for (offset, word) in slot.iter().enumerate() {
            // SAFETY: as above, and outside of what is live.
            unsafe { place.add(offset).write(*word) };
        }
    }
}

fn run_word(run: Option<u32>) -> u64 {
    run.map_or(0, |run| u64::from(run) | 1 << 32)
}

fn dimensions(shape: u64) -> (usize, usize) {
    let (width, height) = ((shape & 0xff) as usize, (shape >> 8 & 0xff) as usize);
    if width <= MAX_CONDITIONS && height <= MAX_ENTRIES { (width, height) } else { (0, 0) }
}

impl Log for ImageLog {
    fn len(&self) -> usize {
        self.len
    }

    fn uncounted(&self) -> usize {
        self.uncounted
    }

    fn get(&self, index: usize) -> Option<Parked> {
        unpack(index, &self.read(index + 1))
    }

    fn push(&mut self, parked: Parked) -> bool {
        if !self.has_room() {
            return false;
        }
        let index = self.len;
        self.len += 1;
        self.uncounted += usize::from(!parked.counted);
        self.set(index, parked);
        true
    }

    fn set(&mut self, index: usize, parked: Parked) {
        self.write(index + 1, &pack(index, &parked));
    }

    fn truncate(&mut self, len: usize, uncounted: usize) {
        self.len = len.min(self.len);
        self.uncounted = uncounted.min(self.len);
    }
}
