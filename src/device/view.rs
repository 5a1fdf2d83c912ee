//! The lane's ends of both queues and the words of the gates.

use crate::layout::{Gate, Words64};
use crate::sync::atomic::Ordering;
use crate::sync::barrier::{rmb, wmb};
use crate::sync::{Edge, RawWord32, Word32, Word64};

const R1: Edge = Edge::new("device.R1", Ordering::Release);
const R2: Edge = Edge::new("device.R2", Ordering::Acquire);
const F1: Edge = Edge::new("device.F1", Ordering::Acquire);
const F2: Edge = Edge::new("device.F2", Ordering::Release);
const G1: Edge = Edge::new("device.G1", Ordering::Acquire);
const G2: Edge = Edge::new("device.G2", Ordering::Acquire);
const G3: Edge = Edge::new("device.G3", Ordering::Release);

/// The producer's end of a ready queue: a ring of `size` entries, of which `size - 1` can be pending.
#[derive(Debug, Clone, Copy)]
pub struct ReadyView<W> {
    head: W,
    tail: W,
    size: u32,
}

/// An entry that the lane may fill: the one at `tail`, while the head stands at `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadySlot {
    /// Index of the entry, below the ring's size.
    pub tail: u32,
    /// The host's head when there was room.
    pub head: u32,
}

impl<W: Word32> ReadyView<W> {
    /// A ring of `size` entries; `None` for a size below 2, which holds nothing.
    #[inline(always)]
    pub fn new(head: W, tail: W, size: u32) -> Option<Self> {
        (size >= 2).then_some(Self { head, tail, size })
    }

    /// Entries of the ring.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The index behind `tail`.
    #[inline(always)]
    fn after(&self, tail: u32) -> u32 {
        let next = tail.wrapping_add(1);
        if next >= self.size { 0 } else { next }
    }

    /// The entry to be filled next, if there is room. The lane.
    #[inline(always)]
    pub fn look(&self) -> Option<ReadySlot> {
        // Relaxed: only the lane writes it.
        let tail = self.tail.load(Ordering::Relaxed);
        // [R2] Acquire: pairs with [layout.D2]; the host has read the entry that is filled next.
        let head = self.head.load(R2.order());
        (self.after(tail) != head).then_some(ReadySlot { tail, head })
    }

    /// Publishes the entry of `slot`, which is filled. The lane.
    #[inline(always)]
    pub fn commit(&self, slot: ReadySlot) {
        wmb();
        // [R1] Release: pairs with [layout.D1]; carries the entry, the records and their count.
        self.tail.store(self.after(slot.tail), R1.order());
    }
}

/// The consumer's end of a free queue. Indices run freely; the slot of an index is its remainder by the number of slots.
#[derive(Debug, Clone, Copy)]
pub struct FreeView<W, S> {
    head: W,
    tail: W,
    slots: S,
    mask: u32,
}

impl<W: Word32, S: Words64> FreeView<W, S> {
    /// A queue over the `slot_count` words of `slots`; `None` unless that is a power of two: with any other number the slot
    /// of an index would jump where the indices wrap.
    #[inline(always)]
    pub fn new(head: W, tail: W, slots: S, slot_count: u32) -> Option<Self> {
        slot_count.is_power_of_two().then_some(Self { head, tail, slots, mask: slot_count.wrapping_sub(1) })
    }

    /// Index of the oldest slot, if there is one. The lane.
    #[inline(always)]
    pub fn look(&self) -> Option<u32> {
        // Relaxed: only the lane writes it.
        let head = self.head.load(Ordering::Relaxed);
        // [F1] Acquire: pairs with [layout.F1] before the slot is read.
        if self.tail.load(F1.order()) == head {
            return None;
        }
        rmb();
        Some(head)
    }

    /// The host's tail, as [`FreeView::look`] sees it.
    #[inline(always)]
    pub fn tail(&self) -> u32 {
        // Relaxed: for who has just looked.
        self.tail.load(Ordering::Relaxed)
    }

    /// Takes the slot at index `head`, which [`FreeView::look`] gave: the buffer's address, or 0. The lane.
    #[inline(always)]
    pub fn take(&self, head: u32) -> u64 {
        // Relaxed: the tail was acquired.
        let address = self.slots.with((head & self.mask) as usize, |word| word.load(Ordering::Relaxed));
        rmb();
        // [F2] Release: pairs with [layout.F2]; the slot was read.
        self.head.store(head.wrapping_add(1), F2.order());
        address
    }
}

/// The heads of a subsystem's ready queues, looked at only to learn whether the host is alive.
#[derive(Debug, Clone, Copy)]
pub struct RawHeads {
    first: *mut u32,
    count: u32,
}

impl RawHeads {
    /// No heads.
    pub const NONE: Self = Self { first: core::ptr::null_mut(), count: 0 };

    /// The `count` words that start at `first`.
    ///
    /// # Safety
    ///
    /// Each of them meets the requirements of [`RawWord32::new`] for as long as the view is used.
    #[inline(always)]
    pub const unsafe fn new(first: *mut u32, count: u32) -> Self {
        Self { first, count }
    }

    /// Their sum, modulo 2^32: another one means that the host has moved a head.
    pub(super) fn sum(&self) -> u32 {
        (0..self.count as usize).fold(0, |sum: u32, index| {
            // SAFETY: inside the array, which `new`'s caller vouches for.
            let word = unsafe { RawWord32::new(self.first.wrapping_add(index)) };
            // Relaxed: nothing is read on the strength of it.
            sum.wrapping_add(word.load(Ordering::Relaxed))
        })
    }
}

/// The gates of one shared region as its lanes see them.
#[derive(Debug, Clone, Copy)]
pub struct GateView<W> {
    pub(super) push: Gate<W>,
    pub(super) pop: Gate<W>,
    pub(super) heads: RawHeads,
    pub(super) key: u64,
}

/// What a lane that waits saw of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Open, and nobody waits: the lane's to raise.
    Idle,
    /// Raised; the host is going to shut the gate.
    Raised,
    /// Shut.
    Frozen,
}

impl<W: Word32> GateView<W> {
    /// The gates of the region that `key` tells from all others, for instance by its address; not 0. `heads` are the
    /// region's ready heads.
    #[inline(always)]
    pub fn new(push: Gate<W>, pop: Gate<W>, heads: RawHeads, key: u64) -> Self {
        Self { push, pop, heads, key }
    }

    /// The four flags as bits, both freezes before both signals.
    pub(super) fn flags(&self) -> u32 {
        // Relaxed: nothing is read on the strength of it.
        let bit = |word: &W, shift: u32| u32::from(word.load(Ordering::Relaxed) != 0) << shift;
        bit(&self.push.freeze, 0)
            | bit(&self.pop.freeze, 1)
            | bit(&self.push.contended, 2)
            | bit(&self.pop.contended, 3)
    }
}

/// Whether the gate is shut.
#[inline(always)]
pub(super) fn is_frozen<W: Word32>(gate: &Gate<W>) -> bool {
    // [G2] Acquire: pairs with [layout.G2]; who sees the gate open sees the refills.
    gate.freeze.load(G2.order()) != 0
}

/// Signal, then freeze: in the other order a lane could see neither while the host goes from one to the other.
pub(super) fn signal<W: Word32>(gate: &Gate<W>) -> Signal {
    // [G1] Acquire: pairs with [layout.G1]; who sees the signal cleared sees the gate that was shut before.
    let raised = gate.contended.load(G1.order()) != 0;
    if is_frozen(gate) {
        Signal::Frozen
    } else if raised {
        Signal::Raised
    } else {
        Signal::Idle
    }
}

/// Raises the signal.
pub(super) fn raise<W: Word32>(gate: &Gate<W>) {
    // [G3] Release: pairs with [layout.G3]; what the lane published comes first.
    gate.contended.store(1, G3.order());
}
