//! The producers' half in a model: two subtasks of one task, a consumer, and the ring that the transport promises: tickets in
//! the modification order of one word.

use super::{Fin, FinCounts, FinWord, Producer, SlabEntries, SlabRef, Task, count_subtask, subtask};
use crate::mailbox::layout::Slab;
use crate::sync::model::{check, must_fail};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;

/// A count of subtasks. Loom has no 16-bit atomic.
struct Counter(AtomicU32);

impl FinWord for Counter {
    fn increment(&self, order: Ordering) -> i16 {
        self.0.fetch_add(1, order) as i16
    }
}

struct World {
    counter: Counter,
    deferred: AtomicBool,
    /// Tickets handed out.
    head: AtomicU32,
    /// What ticket holds: 1 a condition, 2 the sentinel.
    slots: [AtomicU32; 3],
}

impl World {
    fn push(&self, kind: u32) {
        // Relaxed, all: the transport's claim orders nothing by itself.
        let ticket = self.head.fetch_add(1, Ordering::Relaxed);
        self.slots[ticket as usize].store(kind, Ordering::Relaxed);
    }
}

struct Ends<'a>(&'a World);

impl Producer for Ends<'_> {
    fn push_conditions(&mut self, _: u64, entries: SlabEntries, _: Option<u64>) -> u32 {
        (0..entries.count()).for_each(|_| self.0.push(1));
        entries.count()
    }
    fn push_normal_done(&mut self, _: u64, _: u64) -> bool {
        self.0.push(2);
        true
    }
}

impl Task for Ends<'_> {
    fn has_payload(&mut self) -> bool {
        true
    }
    fn token(&mut self) -> u64 {
        1
    }
    fn slot(&self) -> u64 {
        64
    }
    fn mark_deferred(&mut self) {
        self.0.deferred.store(true, Ordering::Relaxed);
    }
    fn is_deferred(&mut self) -> bool {
        self.0.deferred.load(Ordering::Relaxed)
    }
    fn is_sole(&mut self) -> bool {
        false
    }
    fn subtask_done(&mut self) -> bool {
        count_subtask(&self.0.counter, 2)
    }
    fn should_abort(&mut self) -> bool {
        false
    }
    fn help(&mut self) -> bool {
        false
    }
    fn spin(&mut self) {}
}

/// One subtask has a condition, the other none: whoever counts last finds the mark and pushes the sentinel.
fn conditions_before_sentinel() {
    let world = Arc::new(World {
        counter: Counter(AtomicU32::new(0)),
        deferred: AtomicBool::new(false),
        head: AtomicU32::new(0),
        slots: [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)],
    });
    let threads: Vec<_> = [1, 0]
        .into_iter()
        .map(|count| {
            let world = world.clone();
            thread::spawn(move || {
                // SAFETY: a slab is numbers only.
                let mut slab: Box<Slab> = Box::new(unsafe { std::mem::zeroed() });
                slab.count = count;
                // SAFETY: a slab of this thread's.
                let slab = unsafe { SlabRef::new(&raw mut *slab) };
                subtask(Some(&mut Ends(&world)), &mut Ends(&world), slab, &mut FinCounts::default()).unwrap()
            })
        })
        .collect();
    let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let handed = outcomes.iter().filter(|outcome| **outcome == Fin::HandedOver).count();
    assert_eq!(handed, 1, "{outcomes:?}");
    let kinds: Vec<u32> = world.slots.iter().map(|slot| slot.load(Ordering::Relaxed)).collect();
    assert_eq!(kinds, [1, 2, 0]);
}

#[test]
fn loom_fin_conditions_before_sentinel() {
    check(3, conditions_before_sentinel);
    must_fail("fin.F1", 3, conditions_before_sentinel);
}
