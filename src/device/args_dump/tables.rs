//! What is to be dumped of a task: its arguments' masks, and the types of its scalars. Two open-addressed tables in memory of the
//! caller, zero at first; nothing is allocated.
//!
//! An entry's place is claimed by its key, for good; its contents appear with its last word, which is never 0. Several threads
//! may store and look at once. Two of them that store for the same task, or one that stores anew what another looks at, leave
//! whole words but maybe not all of one of them: who submits a task stores before it tells the others of the task.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `dump_tables.T1` | release of an entry's last word | `dump_tables.T2` | the other words | `loom_dump_tables_entry` |
//! | `dump_tables.T2` | acquire of it | | the same | `loom_dump_tables_entry` |
//! | `dump_tables.B1` | release of the run's number | `dump_tables.B2` | the tables are empty | `loom_dump_tables_begin` |
//! | `dump_tables.B2` | acquire of it | | the same | `loom_dump_tables_begin` |
//!
//! Keys need no edge. Who finds a place taken goes on to the next one; whoever is told of the entry there finds it taken, too,
//! since reads of one word do not go back.

#[cfg(all(test, not(loom)))]
mod tests;

use crate::layout::Words64;
use crate::sync::atomic::Ordering;
use crate::sync::{Edge, SharedWord64, Word64};

const T1: Edge = Edge::new("dump_tables.T1", Ordering::Release);
const T2: Edge = Edge::new("dump_tables.T2", Ordering::Acquire);
const B1: Edge = Edge::new("dump_tables.B1", Ordering::Release);
const B2: Edge = Edge::new("dump_tables.B2", Ordering::Acquire);

/// Tasks that each of the C++ runtime's tables holds.
pub const TASKS: usize = 32768;
/// Most scalars of a task.
pub const SCALARS: usize = 32;

/// Words before the tables: the first one is the run's.
const HEAD: usize = 8;
/// Words of an entry: key, last word, the others.
const MASK_ENTRY: usize = 2 + 1;
const SCALAR_ENTRY: usize = 2 + SCALARS / 8;
/// Of the run's word: somebody is clearing the tables.
const BUSY: u64 = 1;

/// Words of both tables for `tasks` tasks.
pub const fn words_of(tasks: usize) -> usize {
    HEAD + tasks * (MASK_ENTRY + SCALAR_ENTRY)
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there.
    Stored,
    /// It says nothing and is not kept; one that the task has stays.
    Ignored,
    /// There is no place for another task.
    Full,
    /// More scalars than a task has, or an id that no task has.
    Refused,
}

/// Both tables, for as many tasks as they were made for.
#[derive(Debug, Clone, Copy)]
pub struct Tables<S> {
    words: S,
    tasks: usize,
}

impl<S: Words64<Word: SharedWord64>> Tables<S> {
    /// The tables in [`words_of`] `tasks` words; `tasks` is not 0.
    pub const fn new(words: S, tasks: usize) -> Self {
        Self { words, tasks }
    }

    /// Empties the tables once per run, whose number is not 0: false while another thread is at it. Nobody stores or looks before
    /// it has seen true. A thread that clears is not waited for.
    pub fn begin(&self, run: u32) -> bool {
        let number = u64::from(run) << 1;
        self.words.with(0, |state| {
            // [B2] Acquire: pairs with [B1]; the tables are empty.
            let seen = state.load(B2.order());
            if seen & BUSY != 0 || seen == number {
                return seen == number;
            }
            // Relaxed on failure: another thread has it.
            if state.compare_exchange(seen, number | BUSY, B2.order(), Ordering::Relaxed).is_err() {
                return false;
            }
            self.masks().clear();
            self.scalars().clear();
            // [B1] Release: pairs with [B2]; carries the empty tables.
            state.store(number, B1.order());
            true
        })
    }

    fn masks(&self) -> Table<'_, S, MASK_ENTRY> {
        Table { words: &self.words, first: HEAD, tasks: self.tasks }
    }

    fn scalars(&self) -> Table<'_, S, SCALAR_ENTRY> {
        Table { words: &self.words, first: HEAD + self.tasks * MASK_ENTRY, tasks: self.tasks }
    }

    /// Stores the masks of a task's arguments: which are dumped, and their flags. A mask of 0 says nothing.
    pub fn set_mask(&self, task: u64, mask: u64, flags: u64) -> Stored {
        if mask == 0 {
            return Stored::Ignored;
        }
        self.masks().set(task, mask, &[flags])
    }

    /// Mask and flags of a task.
    pub fn mask(&self, task: u64) -> Option<[u64; 2]> {
        let mut flags = [0];
        let mask = self.masks().get(task, &mut flags)?;
        Some([mask, flags[0]])
    }

    /// Stores the types of a task's scalars, at most [`SCALARS`]. None say nothing.
    pub fn set_scalars(&self, task: u64, dtypes: &[u8]) -> Stored {
        if dtypes.is_empty() {
            return Stored::Ignored;
        }
        if dtypes.len() > SCALARS {
            return Stored::Refused;
        }
        let mut packed = [0; SCALARS / 8];
        for (word, bytes) in packed.iter_mut().zip(dtypes.chunks(8)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        self.scalars().set(task, dtypes.len() as u64, &packed)
    }

    /// Number and types of a task's scalars.
    pub fn scalars_of(&self, task: u64) -> Option<(u32, [u8; SCALARS])> {
        let mut packed = [0; SCALARS / 8];
        let count = self.scalars().get(task, &mut packed)?;
        let mut dtypes = [0; SCALARS];
        for (bytes, word) in dtypes.chunks_mut(8).zip(packed) {
            for (byte, value) in bytes.iter_mut().zip(word.to_le_bytes()) {
                *byte = value;
            }
        }
        Some((count.min(SCALARS as u64) as u32, dtypes))
    }
}

/// One table: `ENTRY` words per task.
struct Table<'a, S, const ENTRY: usize> {
    words: &'a S,
    first: usize,
    tasks: usize,
}

impl<S: Words64<Word: SharedWord64>, const ENTRY: usize> Table<'_, S, ENTRY> {
    /// Places from a task's own one on, each once.
    fn places(&self, task: u64) -> impl Iterator<Item = usize> {
        let own = (task ^ task >> 32) as u32 as usize;
        let (first, tasks) = (self.first, self.tasks);
        // `tasks` is not 0.
        (0..tasks).map(move |step| first + own.wrapping_add(step).checked_rem(tasks).unwrap_or(0) * ENTRY)
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.words.with(index, |word| word.load(order))
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        self.words.with(index, |word| word.store(value, order));
    }

    fn clear(&self) {
        for place in (0..self.tasks).map(|task| self.first + task * ENTRY) {
            // Relaxed: the run's number publishes.
            self.store(place, 0, Ordering::Relaxed);
            self.store(place + 1, 0, Ordering::Relaxed);
        }
    }

    /// Stores `last`, which is not 0, and the other words.
    fn set(&self, task: u64, last: u64, others: &[u64]) -> Stored {
        // The key of a place that is free is 0.
        let key = task.wrapping_add(1);
        if key == 0 {
            return Stored::Refused;
        }
        for place in self.places(task) {
            // Relaxed: see the module's documentation on keys.
            let mut found = self.load(place, Ordering::Relaxed);
            if found == 0 {
                let claimed =
                    self.words.with(place, |word| word.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed));
                found = claimed.map_or_else(|found| found, |_| key);
            }
            if found == key {
                for (index, value) in (place + 2..).zip(others) {
                    // Relaxed: published by the last word.
                    self.store(index, *value, Ordering::Relaxed);
                }
                // [T1] Release: pairs with [T2]; carries the other words.
                self.store(place + 1, last, T1.order());
                return Stored::Stored;
            }
        }
        Stored::Full
    }

    /// The last word, with the others in `others`.
    fn get(&self, task: u64, others: &mut [u64]) -> Option<u64> {
        let key = task.wrapping_add(1);
        for place in self.places(task) {
            // Relaxed: as in `set`.
            let found = self.load(place, Ordering::Relaxed);
            if found == 0 {
                return None;
            }
            if found == key {
                // [T2] Acquire: pairs with [T1]; the other words are there.
                let last = self.load(place + 1, T2.order());
                for (index, value) in (place + 2..).zip(others) {
                    // Relaxed: as in `set`.
                    *value = self.load(index, Ordering::Relaxed);
                }
                return (last != 0).then_some(last);
            }
        }
        None
    }
}
