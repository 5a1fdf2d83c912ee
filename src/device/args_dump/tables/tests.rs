//! Tables of masks and scalars: DE 1.9, W21.

use super::{SCALARS, Stored, TASKS, Tables, words_of};
use crate::device::rig::Memory;
use crate::layout::{RawWords64, Words64};
use crate::sync::Word64;
use crate::sync::atomic::Ordering;
use proptest::prelude::*;
use std::collections::HashMap;
use std::thread;

struct Rig(Memory, usize);

impl Rig {
    fn new(tasks: usize) -> Self {
        Self(Memory::new(words_of(tasks) * 8), tasks)
    }

    fn tables(&mut self) -> Tables<RawWords64> {
        let first = std::ptr::with_exposed_provenance_mut(self.0.address() as usize);
        // SAFETY: the rig's memory holds so many words, and outlives the tables in each test.
        Tables::new(unsafe { RawWords64::new(first, words_of(self.1)) }, self.1)
    }
}

/// Zero memory is a pair of empty tables; a mask of 0 and no scalars say nothing, and leave what is there alone.
#[test]
fn entries_and_what_says_nothing() {
    let mut rig = Rig::new(TASKS);
    let tables = rig.tables();
    assert_eq!((tables.mask(0), tables.scalars_of(0)), (None, None));
    for task in [0, 7, u64::MAX - 1] {
        assert_eq!(tables.set_mask(task, 0, 9), Stored::Ignored);
        assert_eq!(tables.mask(task), None);
        assert_eq!(tables.set_mask(task, task | 1, 4), Stored::Stored);
        assert_eq!(tables.set_mask(task, 0, 9), Stored::Ignored);
        assert_eq!(tables.mask(task), Some([task | 1, 4]));
        assert_eq!(tables.set_mask(task, 2, 0), Stored::Stored);
        assert_eq!(tables.mask(task), Some([2, 0]));
        assert_eq!(tables.scalars_of(task), None);
    }
    let all: Vec<u8> = (1..=SCALARS as u8).collect();
    assert_eq!(tables.set_scalars(7, &[]), Stored::Ignored);
    assert_eq!(tables.set_scalars(7, &[0; SCALARS + 1]), Stored::Refused);
    assert_eq!(tables.scalars_of(7), None);
    assert_eq!(tables.set_scalars(7, &all), Stored::Stored);
    assert_eq!(tables.scalars_of(7), Some((32, all.try_into().unwrap())));
    assert_eq!(tables.set_scalars(7, &[5, 6]), Stored::Stored);
    let (count, dtypes) = tables.scalars_of(7).unwrap();
    assert_eq!((count, &dtypes[..3]), (2, &[5, 6, 0][..]));
    // The key that says that a place is free.
    assert_eq!(tables.set_mask(u64::MAX, 1, 1), Stored::Refused);
    assert_eq!((tables.mask(u64::MAX), tables.scalars_of(u64::MAX)), (None, None));
}

/// The first place is the low half of `id ^ id >> 32`, modulo the size; then one after the other, around the end.
#[test]
fn places() {
    let mut rig = Rig::new(TASKS);
    let tables = rig.tables();
    let id = 0x0000_0003_0000_7ffc_u64;
    let key_at = |slot: usize| tables.words.with(8 + slot * 3, |key| key.load(Ordering::Relaxed));
    tables.set_mask(id, 1, 0);
    assert_eq!(key_at(0x7fff), id + 1);
    tables.set_mask(0x7fff, 1, 0);
    assert_eq!(key_at(0), 0x8000);
    tables.set_mask(0, 1, 0);
    assert_eq!(key_at(1), 1);
    assert_eq!(tables.mask(0x7fff), Some([1, 0]));
}

#[test]
fn a_full_table_refuses_and_keeps_what_it_has() {
    let mut rig = Rig::new(4);
    let tables = rig.tables();
    for task in 10..14 {
        assert_eq!(tables.set_mask(task, task, 0), Stored::Stored);
    }
    assert_eq!(tables.set_mask(14, 1, 0), Stored::Full);
    assert_eq!(tables.mask(14), None);
    assert_eq!(tables.set_mask(12, 99, 1), Stored::Stored);
    assert_eq!(tables.mask(12), Some([99, 1]));
    assert_eq!(tables.set_scalars(14, &[1]), Stored::Stored, "the other table has places");
}

/// W21: each run empties the tables once, whoever calls.
#[test]
fn a_run_begins_once() {
    let mut rig = Rig::new(TASKS);
    let tables = rig.tables();
    assert!(tables.begin(1));
    tables.set_mask(5, 1, 2);
    tables.set_scalars(5, &[3]);
    assert!(tables.begin(1));
    assert_eq!(tables.mask(5), Some([1, 2]));
    assert!(tables.begin(2));
    assert_eq!((tables.mask(5), tables.scalars_of(5)), (None, None));
    // Somebody who is at it, or never ended.
    tables.words.with(0, |state| state.store(3 << 1 | 1, Ordering::Relaxed));
    assert!(!tables.begin(3));
    assert!(!tables.begin(4));
}

#[test]
fn several_threads_store() {
    const EACH: u64 = if cfg!(miri) { 8 } else { 2000 };
    let mut rig = Rig::new(TASKS);
    let tables = rig.tables();
    thread::scope(|scope| {
        for first in 0..4 {
            scope.spawn(move || {
                for task in (0..EACH).map(|task| task * 4 + first) {
                    // Many tasks have one place.
                    let task = (task % 64) | task << 40;
                    assert_eq!(tables.set_mask(task, task + 1, task + 2), Stored::Stored);
                    assert_eq!(tables.mask(task), Some([task + 1, task + 2]));
                }
            });
        }
    });
}

proptest! {
    #[test]
    fn as_a_map(steps in prop::collection::vec((0u64..24, 0u64..3, any::<u64>()), 0..200)) {
        let mut rig = Rig::new(16);
        let tables = rig.tables();
        let mut model = HashMap::new();
        for (task, mask, flags) in steps {
            let task = task << 32 | task >> 1;
            let wanted = match () {
                () if mask == 0 => Stored::Ignored,
                () if model.len() == 16 && !model.contains_key(&task) => Stored::Full,
                () => {
                    model.insert(task, [mask, flags]);
                    Stored::Stored
                }
            };
            prop_assert_eq!(tables.set_mask(task, mask, flags), wanted);
            prop_assert_eq!(tables.mask(task), model.get(&task).copied());
        }
        for (task, entry) in &model {
            prop_assert_eq!(tables.mask(*task), Some(*entry));
        }
    }
}
