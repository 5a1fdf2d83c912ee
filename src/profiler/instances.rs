//! The free queues that a profiler serves. More can be added while it runs.
//!
//! A free queue is written by one thread at a time: whoever has its turn. A module may name one free queue under several
//! kinds or for several ready queues; all of these instances share one turn and one state of the queue, whose publications
//! are in doubt for all of them. The ledger of a tracked pool has one kind per queue, so such aliases are refused there.

use super::config::{ANY_QUEUE, Instance, KindConfig};
use super::refill::FreeQueue;
use super::route::Route;
use super::table::Table;
use crate::pool::address_map::AddressMap;
use crate::status::Status;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::sync::{Held, Turn};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

/// No further instance of the same free queue.
const NONE: u32 = u32::MAX;

/// One instance and the host's end of its free queue.
pub(super) struct Served {
    pub(super) instance: Instance,
    route: Route,
    /// The first instance of the same free queue, whose turn and state count.
    first: u32,
    /// The next instance of the same free queue.
    next: AtomicU32,
    turn: Turn,
    /// The driver of the gates left the free queue empty: the drain thread is to see to it.
    hungry: AtomicBool,
    free: UnsafeCell<FreeQueue>,
}

// SAFETY: `free` is used with the turn only.
unsafe impl Sync for Served {}

impl Served {
    /// The ready queue on which it publishes, or the guess.
    pub(super) fn queue(&self) -> u32 {
        self.route.queue()
    }

    /// Whether it is the first, or only, instance of its free queue, whose index is `index`.
    pub(super) fn is_first(&self, index: u32) -> bool {
        self.first == index
    }

    /// Which ready queue it publishes on. Until that is known any shard can serve the instance, and that of the guess does.
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Hands the free queue to its drain thread as standing empty. Driver of the gates.
    pub(super) fn mark_hungry(&self) {
        // Relaxed: the hand-over that follows carries it (`profiler.H1`), at start the creation of the drain thread.
        self.hungry.store(true, Ordering::Relaxed);
    }

    /// Whether it was handed over since the last call. Drain thread.
    pub(super) fn take_hungry(&self) -> bool {
        // Relaxed: as above.
        self.hungry.load(Ordering::Relaxed) && self.hungry.swap(false, Ordering::Relaxed)
    }
}

/// The free queue of an instance, while the caller has its turn.
pub(super) struct FreeTurn<'a> {
    free: *mut FreeQueue,
    _turn: Held<'a>,
}

impl Deref for FreeTurn<'_> {
    type Target = FreeQueue;
    fn deref(&self) -> &FreeQueue {
        // SAFETY: whoever has the turn is the only user.
        unsafe { &*self.free }
    }
}

impl DerefMut for FreeTurn<'_> {
    fn deref_mut(&mut self) -> &mut FreeQueue {
        // SAFETY: as for `deref`.
        unsafe { &mut *self.free }
    }
}

/// All instances of a profiler.
pub(super) struct Instances {
    table: Table<Served>,
    /// Address of a tail word to the index, plus 1, of the first instance of the free queue.
    by_tail: AddressMap,
    /// Bytes of a buffer, per kind; 0 until an instance tells.
    buffer_sizes: Box<[AtomicUsize]>,
    /// Slots of a free queue, per kind; 0 until there is an instance.
    slot_counts: Box<[AtomicU32]>,
    aliases: bool,
}

impl Instances {
    /// No instances yet, up to `most`; `aliases` allows several of one free queue.
    pub(super) fn new(most: u32, kinds: &[KindConfig], aliases: bool) -> Result<Self, Status> {
        Ok(Self {
            table: Table::new(most)?,
            by_tail: AddressMap::new()?,
            buffer_sizes: kinds.iter().map(|kind| AtomicUsize::new(kind.buffer_size)).collect(),
            slot_counts: kinds.iter().map(|_| AtomicU32::new(0)).collect(),
            aliases,
        })
    }

    /// Instances so far.
    pub(super) fn len(&self) -> u32 {
        self.table.len()
    }

    /// Instance `index`. Any thread, lock-free.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&Served> {
        self.table.get(index)
    }

    /// All instances with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Served)> {
        (0u32..).zip(self.table.iter())
    }

    /// The turn of a free queue and the queue; `None` if another thread has it.
    #[inline]
    pub(super) fn enter<'a>(&'a self, served: &'a Served) -> Option<FreeTurn<'a>> {
        // One state for all instances of the queue: a doubt of one is a doubt of all.
        let first = self.get(served.first)?;
        let turn = first.turn.enter()?;
        Some(FreeTurn { free: first.free.get(), _turn: turn })
    }

    /// Bytes of a buffer of `kind`; 0 if no instance has told.
    pub(super) fn buffer_size(&self, kind: u32) -> usize {
        // Relaxed: a number that is set once.
        self.buffer_sizes.get(kind as usize).map_or(0, |size| size.load(Ordering::Relaxed))
    }

    /// Slots of a free queue of `kind`; 0 without an instance.
    pub(super) fn slot_count(&self, kind: u32) -> u32 {
        // Relaxed: as above.
        self.slot_counts.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Adds an instance, whose numbers are in range, unless it is there already, and returns its index. `buffer_size` counts
    /// if the kind has none yet. Any thread; takes a lock when it adds.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_DUPLICATE` for a second instance of a free queue where aliases are not allowed, `LANEPIPE_E_TOO_LARGE` if
    /// there is no room, `LANEPIPE_E_NO_MEMORY`.
    pub(super) fn add(&self, instance: Instance, buffer_size: usize) -> Result<u32, Status> {
        let tail = instance.free.tail.address() as u64;
        if let Some(found) = self.find(tail, instance.kind) {
            if let Some(served) = self.get(found).filter(|_| instance.queue != ANY_QUEUE) {
                served.route.settle(instance.queue);
            }
            self.learn_size(&instance, buffer_size);
            return Ok(found);
        }
        // One that another thread adds right now may be the same: that is seen under the lock.
        let first = self.first_of(tail).and_then(|first| self.get(first));
        if !self.aliases && first.is_some_and(|first| first.instance.kind != instance.kind) {
            return Err(Status::LANEPIPE_E_DUPLICATE);
        }
        self.table.find_or_add(
            || self.find(tail, instance.kind),
            |index| {
                // Known before it can be read: who looks it up in between takes the lock, and finds it there.
                let first = match self.first_of(tail) {
                    Some(_) if !self.aliases => return Err(Status::LANEPIPE_E_DUPLICATE),
                    Some(first) => self.link_alias(first, index),
                    None => {
                        self.by_tail.insert_exact(tail, 0, index + 1)?;
                        index
                    }
                };
                // Before the index is known: an entry of the instance is measured by it.
                self.learn_size(&instance, buffer_size);
                Ok(Served {
                    instance,
                    route: match instance.queue {
                        ANY_QUEUE => Route::new(0, true),
                        queue => Route::new(queue, instance.guess),
                    },
                    first,
                    next: AtomicU32::new(NONE),
                    turn: Turn::new(),
                    hungry: AtomicBool::new(false),
                    free: UnsafeCell::new(FreeQueue::new(instance.free, self.aliases)),
                })
            },
        )
    }

    /// Notes the sizes of the kind of `instance` that are not known yet.
    fn learn_size(&self, instance: &Instance, buffer_size: usize) {
        let kind = instance.kind as usize;
        if let (Some(size), Some(slots)) = (self.buffer_sizes.get(kind), self.slot_counts.get(kind)) {
            // Relaxed: numbers that are set once, before the index of the first instance is known.
            if size.load(Ordering::Relaxed) == 0 {
                let _ = size.compare_exchange(0, buffer_size, Ordering::Relaxed, Ordering::Relaxed);
            }
            if slots.load(Ordering::Relaxed) == 0 {
                let _ = slots.compare_exchange(0, instance.free.slot_count, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// Index of the first instance of the free queue with that tail word, which may be about to be added.
    fn first_of(&self, tail: u64) -> Option<u32> {
        self.by_tail.resolve(tail)?.id.checked_sub(1)
    }

    /// Appends `index` to the instances of the free queue whose first is `first`, which it returns. Under the table's lock.
    fn link_alias(&self, first: u32, index: u32) -> u32 {
        let mut at = self.get(first);
        while let Some(earlier) = at {
            // Relaxed: what a link leads to is read through the table's length.
            match earlier.next.load(Ordering::Relaxed) {
                NONE => {
                    earlier.next.store(index, Ordering::Relaxed);
                    break;
                }
                next => at = self.get(next),
            }
        }
        first
    }

    fn find(&self, tail: u64, kind: u32) -> Option<u32> {
        let mut index = self.first_of(tail)?;
        loop {
            let served = self.get(index)?;
            if served.instance.kind == kind {
                return Some(index);
            }
            // Relaxed: as in `link`.
            index = served.next.load(Ordering::Relaxed);
        }
    }
}
