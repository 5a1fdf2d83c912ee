//! Staging ring of a core: the core leaves what it measured of a task in a slot, its control thread takes it from there.
//!
//! The ring lies at one address for the whole run, which each side is told once. The slot of a task is its 32-bit id modulo
//! the number of slots; one word of the slot holds the id and is stored last. The control thread copies a slot only if
//! it holds the id that it asks for. Any other id is a *mismatch*: the core did not publish what it should have; that is a
//! broken promise and no lack of room, so it has a counter of its own, and
//! `collected + dropped + mismatch == total` ([`Books`]).
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | slot, its id word | the core ([`CoreSide`], or `staging_ring.h` there) | the core's control thread ([`ControlSide`]) |
//! | all id words, before the run | whoever prepares the run ([`clear`]) | both |
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `staging.P1` | core's release of the id word | `staging.C1` | the rest of the slot | `loom_staging_publish` |
//! | `staging.C1` | control thread's acquire of the id word | | the rest of the slot | `loom_staging_publish` |
//! | caller's | control thread dispatches task `n + slots` | core begins it | the slot was read | `loom_staging_publish` (its dispatch word) |
//!
//! The last edge is not the ring's: a control thread dispatches task `n + slots` to the core only after it took task `n`.
//! Two slots do where at most two tasks of a core are in flight.
//!
//! With a number of slots that is no power of two, ids on both sides of the wrap at 2^32 may share a slot although they are
//! close; runs end before.

#[cfg(all(test, loom))]
mod loom_tests;
mod slots;
#[cfg(all(test, not(loom)))]
mod tests;

pub use slots::{IdWidth, RawSlots, Refusal, SlotForm, Slots};

use crate::sync::Edge;
use crate::sync::atomic::Ordering;
use crate::sync::barrier::{rmb, wmb};

const P1: Edge = Edge::new("staging.P1", Ordering::Release);
const C1: Edge = Edge::new("staging.C1", Ordering::Acquire);

/// What a control thread found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The record of the task; it was copied.
    Record,
    /// Another task's, or none: nothing was copied.
    Mismatch,
}

/// The slot of task `id`. Not called for a ring without slots, of which there is none.
#[inline(always)]
fn slot_of(id: u32, count: u32) -> u32 {
    // Constant for the usual two slots once inlined; elsewhere a division per task.
    if count.is_power_of_two() { id & (count - 1) } else { id.checked_rem(count).unwrap_or(0) }
}

/// The core's side, for simulation. One thread.
#[derive(Debug, Clone, Copy)]
pub struct CoreSide<S>(pub S);

impl<S: Slots> CoreSide<S> {
    /// Publishes the record of task `id`: words of the slot, without regard to what `record` has in place of the id. What
    /// is short of a slot leaves the rest of it as it is.
    #[inline(always)]
    pub fn publish(&self, id: u32, record: &[u64]) {
        let slot = slot_of(id, self.0.count());
        self.0.store(slot, record);
        wmb();
        // [P1] Release: pairs with [C1]; carries the slot.
        self.0.store_id(slot, id, P1.order());
    }
}

/// The control thread's side. One thread: the one that owns the core.
#[derive(Debug, Clone, Copy)]
pub struct ControlSide<S>(pub S);

impl<S: Slots> ControlSide<S> {
    /// Whether the slot of task `id` holds it.
    #[inline(always)]
    pub fn holds(&self, id: u32) -> bool {
        // [C1] Acquire: pairs with [P1]; the slot follows.
        self.0.load_id(slot_of(id, self.0.count()), C1.order()) == id
    }

    /// Copies the record of task `id` to `out`: as many words of the slot as fit.
    #[inline(always)]
    pub fn take(&self, id: u32, out: &mut [u64]) -> Take {
        if !self.holds(id) {
            return Take::Mismatch;
        }
        rmb();
        self.0.load(slot_of(id, self.0.count()), out);
        Take::Record
    }
}

/// Gives every slot an id that never belongs there, so that what an earlier run left matches no task. Before the run; with
/// one slot only the id `u32::MAX` would still match.
pub fn clear<S: Slots>(slots: &S) {
    let count = slots.count();
    for slot in 0..count {
        let foreign = if count == 1 { u32::MAX } else { slot.wrapping_add(1) };
        // Relaxed: the run starts afterwards.
        slots.store_id(slot, foreign, Ordering::Relaxed);
    }
    wmb();
}

/// What became of a core's tasks. Counters wrap at 2^32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Tasks that were asked for.
    pub total: u32,
    /// Records that were copied to where they are kept.
    pub collected: u32,
    /// Tasks without a ring, or whose record had no place.
    pub dropped: u32,
    /// Tasks that their slot did not hold.
    pub mismatch: u32,
}

/// How a task is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booked {
    /// Copied.
    Collected,
    /// No ring, or no place.
    Dropped,
    /// Not in its slot.
    Mismatch,
}

impl Books {
    /// Takes task `id` from the ring, if there is one, to `out`, if there is one, and counts it. A task that its slot does
    /// not hold is a mismatch even if its record would have no place.
    #[inline(always)]
    pub fn take<S: Slots>(&mut self, ring: Option<ControlSide<S>>, id: u32, out: Option<&mut [u64]>) -> Booked {
        self.total = self.total.wrapping_add(1);
        let booked = match (ring, out) {
            (None, _) => Booked::Dropped,
            (Some(ring), Some(out)) => match ring.take(id, out) {
                Take::Record => Booked::Collected,
                Take::Mismatch => Booked::Mismatch,
            },
            (Some(ring), None) if ring.holds(id) => Booked::Dropped,
            (Some(_), None) => Booked::Mismatch,
        };
        let counter = match booked {
            Booked::Collected => &mut self.collected,
            Booked::Dropped => &mut self.dropped,
            Booked::Mismatch => &mut self.mismatch,
        };
        *counter = counter.wrapping_add(1);
        booked
    }

    /// `collected + dropped + mismatch == total`.
    pub fn is_balanced(&self) -> bool {
        self.collected.wrapping_add(self.dropped).wrapping_add(self.mismatch) == self.total
    }
}
