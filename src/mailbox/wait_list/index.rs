//! From a token to the entry that has it: a hash over a compact copy of the tokens.
//!
//! The copy is a hint. Who follows it compares the entry's own token, and starts over if the two differ: entries may be
//! moved or written by code that knows nothing of the index.

/// Entries of a list, and the most that an index holds.
pub(super) const ENTRIES: usize = 64;
/// Twice the entries, so that probe runs stay short.
const SLOTS: usize = 128;
const MASK: usize = SLOTS - 1;
/// No entry.
const FREE: u8 = u8::MAX;

/// The first slot to look at for `token`.
#[inline(always)]
fn home(token: u64) -> usize {
    (token.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize & MASK
}

/// Tokens of the entries `[0, len)` and where to find each. Of equal tokens it knows the one that was added first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Index {
    tokens: [u64; ENTRIES],
    slots: [u8; SLOTS],
    len: u32,
    last: u32,
}

impl Index {
    /// Knows no entry.
    #[inline]
    pub(super) const fn new() -> Self {
        Self { tokens: [0; ENTRIES], slots: [FREE; SLOTS], len: 0, last: 0 }
    }

    /// Forgets all entries.
    pub(super) fn clear(&mut self) {
        self.slots = [FREE; SLOTS];
        self.len = 0;
        self.last = 0;
    }

    /// How many entries it knows.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    fn token(&self, entry: usize) -> u64 {
        self.tokens.get(entry).copied().unwrap_or(0)
    }

    /// Whether it knows `entry` under `token`.
    #[inline(always)]
    pub(super) fn is_at(&self, entry: usize, token: u64) -> bool {
        entry < self.len() && self.token(entry) == token
    }

    /// The slot that names an entry with `token`, or the free one where the search ends.
    #[inline(always)]
    fn slot(&self, token: u64) -> usize {
        let mut slot = home(token);
        // A free slot exists: there are twice as many as entries.
        for _ in 0..SLOTS {
            let entry = self.slots[slot & MASK];
            if entry == FREE || self.token(entry as usize) == token {
                break;
            }
            slot = (slot + 1) & MASK;
        }
        slot & MASK
    }

    /// The entry that it knows under `token`.
    #[inline(always)]
    pub(super) fn find(&mut self, token: u64) -> Option<usize> {
        // Messages of one slab are adjacent.
        let last = self.last as usize;
        if last < self.len() && self.token(last) == token {
            return Some(last);
        }
        let entry = self.slots[self.slot(token)];
        if entry == FREE {
            return None;
        }
        self.last = u32::from(entry);
        Some(entry as usize)
    }

    /// The first entry on the way to `token` that `has` it. Stores nothing, and looks at no token itself.
    #[inline(always)]
    pub(super) fn probe(&self, token: u64, has: impl Fn(usize) -> bool) -> Option<usize> {
        let first = usize::from(self.slots[home(token)]);
        if has(first) {
            return Some(first);
        }
        self.probe_on(token, has)
    }

    /// As [`Index::probe`], behind the first slot.
    #[inline(never)]
    fn probe_on(&self, token: u64, has: impl Fn(usize) -> bool) -> Option<usize> {
        let mut slot = home(token);
        // As in `slot`.
        for _ in 1..SLOTS {
            if self.slots[slot] == FREE {
                break;
            }
            slot = (slot + 1) & MASK;
            let entry = usize::from(self.slots[slot]);
            if has(entry) {
                return Some(entry);
            }
        }
        None
    }

    /// As [`Index::find`] for many tokens in turn, each another one; stores nothing.
    #[inline(always)]
    pub(super) fn known(&self, token: u64) -> Option<usize> {
        let mut entry = usize::from(self.slots[home(token)]);
        if self.tokens.get(entry).is_none_or(|other| *other != token) {
            entry = self.known_behind(token);
        }
        (entry < ENTRIES).then_some(entry)
    }

    /// As [`Index::known`], for a token that is not in its first slot; `FREE` for none.
    #[cold]
    #[inline(never)]
    fn known_behind(&self, token: u64) -> usize {
        usize::from(self.slots[self.slot(token)])
    }

    /// Appends entry `len()`, which has `token`; nothing if it is full.
    #[inline]
    pub(super) fn push(&mut self, token: u64) {
        let entry = self.len();
        let Some(place) = self.tokens.get_mut(entry) else { return };
        *place = token;
        self.len += 1;
        let slot = self.slot(token);
        if self.slots[slot] == FREE {
            self.slots[slot] = entry as u8;
            self.last = entry as u32;
        }
    }

    /// Removes `entry` and gives its number to the last one.
    pub(super) fn swap_remove(&mut self, entry: usize) {
        let Some(last) = self.len().checked_sub(1).filter(|last| entry <= *last) else { return };
        let (removed, moved) = (self.token(entry), self.token(last));
        if self.token_is_doubled() {
            self.tokens[entry & (ENTRIES - 1)] = moved;
            self.len = last as u32;
            self.rebuild();
            return;
        }
        self.unlink(self.slot(removed));
        self.len = last as u32;
        if entry != last {
            let slot = self.slot(moved);
            self.tokens[entry & (ENTRIES - 1)] = moved;
            self.slots[slot] = entry as u8;
        }
    }

    /// Whether fewer slots than entries are taken, because tokens are not distinct.
    fn token_is_doubled(&self) -> bool {
        self.slots.iter().filter(|slot| **slot != FREE).count() != self.len()
    }

    fn rebuild(&mut self) {
        let len = self.len();
        self.clear();
        for entry in 0..len {
            self.push(self.token(entry));
        }
    }

    /// Frees `slot` and closes the gap in the probe runs behind it.
    fn unlink(&mut self, slot: usize) {
        let mut hole = slot;
        let mut next = slot;
        for _ in 0..SLOTS {
            next = (next + 1) & MASK;
            let entry = self.slots[next];
            if entry == FREE {
                break;
            }
            let want = home(self.token(entry as usize));
            // It may move to the hole unless its home lies behind the hole.
            if (next.wrapping_sub(want) & MASK) >= (next.wrapping_sub(hole) & MASK) {
                self.slots[hole & MASK] = entry;
                hole = next;
            }
        }
        self.slots[hole & MASK] = FREE;
    }
}
