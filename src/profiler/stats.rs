//! Counters. Each has one writing thread at a time, so an increment is a load and a store.

use crate::sync::CachePadded;
use crate::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer and any readers.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `count` and returns the new value.
    #[inline]
    pub(crate) fn add(&self, count: u64) -> u64 {
        // Relaxed: one writer; readers take a snapshot.
        let value = self.0.load(Ordering::Relaxed).wrapping_add(count);
        self.0.store(value, Ordering::Relaxed);
        value
    }

    /// Raises the counter to `value` if it is below.
    #[inline]
    pub(super) fn raise(&self, value: u64) {
        // Relaxed: as for `add`.
        if self.0.load(Ordering::Relaxed) < value {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident, $(#[$snapshot_doc:meta])* $snapshot:ident { $($(#[$field_doc:meta])* $field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name {
            $(pub(super) $field: Counter,)*
        }

        $(#[$snapshot_doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $snapshot {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        impl $name {
            pub(super) fn snapshot(&self) -> $snapshot {
                $snapshot { $($field: self.$field.get(),)* }
            }
        }
    };
}

counters!(
    /// Written by the drain thread of the queue's shard.
    QueueCounters,
    /// Counters of one device ready queue.
    QueueStats {
        /// Entries taken.
        taken,
        /// Entries passed to the ready ring.
        delivered,
        /// Entries refused.
        rejected,
        /// Entries whose contents could not be copied.
        copy_failed,
        /// Buffers put into free queues.
        refilled,
        /// Times a free queue was left empty because its lane was.
        starved,
        /// Times the ready ring was full.
        ready_full,
        /// Failed transfers of queue words.
        transfer_failed,
        /// Scans that found indices out of range.
        corrupt,
        /// Most elements that the ready ring held right after one of the queue's was added.
        ready_peak,
    }
);

counters!(
    /// The first three are written by the collect thread of the shard, the others by the replenish thread.
    ShardCounters,
    /// Counters of one shard.
    ShardStats {
        /// Elements collected.
        collected,
        /// Calls of `collect`.
        collect_calls,
        /// Buffers retired because the done ring was full.
        done_full,
        /// Buffers put into the shard's lanes.
        recycled,
        /// Buffers allocated for the shard's lanes.
        allocated,
    }
);

counters!(
    /// Written by the replenish thread.
    GateCounters,
    /// Counters of the gates.
    GateStats {
        /// Freezes: times that no gate was shut and then one was.
        freezes,
        /// Nanoseconds in freezes that have ended.
        frozen_ns,
        /// Buffers put into free queues within freezes.
        refilled,
        /// Refills of one free queue that failed.
        refill_failed,
        /// Failed pushes of gate words.
        push_failed,
    }
);

/// All counters of a profiler.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) queues: Box<[CachePadded<QueueCounters>]>,
    pub(super) shards: Box<[CachePadded<ShardCounters>]>,
    pub(super) gates: CachePadded<GateCounters>,
}

impl Stats {
    pub(super) fn new(queues: usize, shards: usize) -> Self {
        Self {
            queues: (0..queues).map(|_| CachePadded::default()).collect(),
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
            gates: CachePadded::default(),
        }
    }
}
