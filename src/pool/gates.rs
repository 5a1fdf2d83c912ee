//! What a pool remembers for backpressure: whose turn it is to take from the lanes, and what the device was told.

use super::Pool;
use crate::sync::Turn;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// State of one gate between two ticks. Owned by the thread that drives the gates.
#[derive(Debug, Default)]
pub(crate) struct GateMemory {
    /// The last push of the freeze word failed: nobody knows what the device has.
    pub(crate) unconfirmed: AtomicBool,
    /// The contended word is still to be cleared, because the freeze word could not be pushed before it.
    pub(crate) owed: AtomicBool,
    /// The gate opened without the device ever having heard that it was shut, and is shut again and again by the same
    /// signal: nothing more is said until the device hears of it.
    pub(crate) unheard: AtomicBool,
    /// Failed pushes.
    pub(crate) failures: AtomicU32,
}

/// State of both gates.
#[derive(Debug, Default)]
pub(crate) struct GatesMemory {
    pub(crate) push: GateMemory,
    pub(crate) pop: GateMemory,
    /// A driver by hand is between the two halves of a tick and has the lanes' turns.
    pub(crate) refilling: AtomicBool,
}

/// The turns of all live shards' lanes, given back on every way out.
pub(crate) struct LaneTurns<'a>(&'a Pool);

impl LaneTurns<'_> {
    /// Leaves the turns taken; [`Pool::give_lanes_back`] ends that.
    pub(crate) fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for LaneTurns<'_> {
    fn drop(&mut self) {
        self.0.give_lanes_back();
    }
}

impl Pool {
    /// The turn of whoever takes from the lanes of `shard` to fill free queues: its drain thread for one top-up, or the
    /// driver of the gates for the refill of a freeze.
    pub(crate) fn lane_turn(&self, shard: u32) -> &Turn {
        &self.lane_turns[self.fold(shard)]
    }

    /// Takes the turns of all live shards, or none. Driver of the gates.
    pub(crate) fn take_lanes(&self) -> Option<LaneTurns<'_>> {
        let live = &self.lane_turns[..self.live_shards() as usize];
        let taken = live.iter().take_while(|turn| turn.take()).count();
        if taken == live.len() {
            return Some(LaneTurns(self));
        }
        live[..taken].iter().for_each(|turn| turn.give_back());
        None
    }

    /// Gives the turns of all live shards back. Whoever has them all.
    pub(crate) fn give_lanes_back(&self) {
        self.lane_turns[..self.live_shards() as usize].iter().for_each(|turn| turn.give_back());
    }

    /// Ends a tick by hand that was begun and never ended: no caller will end it any more. At rest.
    pub(crate) fn abandon_tick(&self) {
        // Relaxed: at rest.
        if self.gates.refilling.swap(false, Ordering::Relaxed) {
            self.give_lanes_back();
        }
    }

    /// What is remembered of the gates.
    pub(crate) fn gates(&self) -> &GatesMemory {
        &self.gates
    }
}
