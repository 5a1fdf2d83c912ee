//! A table that grows at its end while threads read it. Elements never move and are never removed.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `profiler.A1` → `profiler.A2` | store of the length, Release | load of the length, Acquire | the element | `loom_table_growth` |

use crate::status::Status;
use crate::sync::Edge;
use crate::sync::atomic::{AtomicU32, ColdMutex, Ordering, UnsafeCell};
use core::mem::MaybeUninit;

const A1: Edge = Edge::new("profiler.A1", Ordering::Release);
const A2: Edge = Edge::new("profiler.A2", Ordering::Acquire);

/// See the module documentation.
pub(super) struct Table<T> {
    // Elements below `len` are initialised. What lies above costs address space only.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    len: AtomicU32,
    writer: ColdMutex<()>,
}

// SAFETY: elements are shared by reference, and given up by `drop` alone.
unsafe impl<T: Send + Sync> Sync for Table<T> {}
// SAFETY: the table owns its elements.
unsafe impl<T: Send> Send for Table<T> {}

impl<T> Table<T> {
    /// An empty table for up to `capacity` elements.
    pub(super) fn new(capacity: u32) -> Result<Self, Status> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity as usize).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        slots.extend((0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())));
        Ok(Self { slots: slots.into(), len: AtomicU32::new(0), writer: ColdMutex::new(()) })
    }

    /// Elements. Any thread.
    pub(super) fn len(&self) -> u32 {
        // [A2] Acquire: pairs with [A1].
        self.len.load(A2.order())
    }

    /// Element `index`. Any thread, lock-free.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        if index >= self.len() {
            return None;
        }
        // SAFETY: elements below the length are initialised and not written again.
        self.slots.get(index as usize).map(|slot| slot.with(|element| unsafe { (*element).assume_init_ref() }))
    }

    /// All elements that are there now.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Adds what `make` gives for the next index, unless `find` finds that it is there already; returns its index. Any
    /// thread; takes a lock, under which both run.
    pub(super) fn find_or_add(
        &self,
        find: impl FnOnce() -> Option<u32>,
        make: impl FnOnce(u32) -> Result<T, Status>,
    ) -> Result<u32, Status> {
        let _writer = self.writer.lock();
        if let Some(found) = find() {
            return Ok(found);
        }
        // Relaxed: the writers' lock orders it.
        let index = self.len.load(Ordering::Relaxed);
        let slot = self.slots.get(index as usize).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        let element = make(index)?;
        // SAFETY: nobody reads a slot at or above the length, and the lock makes this the only writer.
        slot.with_mut(|slot| unsafe { (*slot).write(element) });
        // [A1] Release: pairs with [A2].
        self.len.store(index + 1, A1.order());
        Ok(index)
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // Relaxed: the table is not shared any more.
        let len = self.len.load(Ordering::Relaxed);
        for slot in &self.slots[..len as usize] {
            // SAFETY: elements below the length are initialised, and nobody uses them any more.
            slot.with_mut(|element| unsafe { (*element).assume_init_drop() });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn elements_are_found_added_once_and_dropped() {
        let counted = Arc::new(());
        let table = Table::new(2).unwrap();
        let add = |value: u32| {
            let find = || table.iter().position(|(at, _)| *at == value).map(|index| index as u32);
            table.find_or_add(find, |_| Ok((value, counted.clone())))
        };
        assert_eq!(add(7), Ok(0));
        assert_eq!(add(8), Ok(1));
        assert_eq!(add(7), Ok(0));
        assert_eq!(add(9), Err(Status::LANEPIPE_E_TOO_LARGE));
        assert_eq!(table.get(1).map(|(value, _)| *value), Some(8));
        assert!(table.get(2).is_none() && table.len() == 2);
        assert_eq!(Arc::strong_count(&counted), 3);
        drop(table);
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn a_refused_element_leaves_no_trace() {
        let table = Table::<u32>::new(1).unwrap();
        assert_eq!(table.find_or_add(|| None, |_| Err(Status::LANEPIPE_E_KIND)), Err(Status::LANEPIPE_E_KIND));
        assert_eq!(table.len(), 0);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Table;
    use crate::sync::model::{check, must_fail};
    use loom::thread;
    use std::sync::Arc;

    /// A reader that sees an element sees it whole.
    fn growth() {
        let table = Arc::new(Table::new(1).unwrap());
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                if let Some(value) = table.get(0) {
                    assert_eq!(*value, 7);
                }
            })
        };
        assert_eq!(table.find_or_add(|| None, |_| Ok(7)), Ok(0));
        reader.join().unwrap();
    }

    #[test]
    fn loom_table_growth() {
        check(3, growth);
        must_fail("profiler.A1", 3, growth);
        must_fail("profiler.A2", 3, growth);
    }
}
