//! What is counted on the way, per instance.
//!
//! | counter | written by |
//! | --- | --- |
//! | entries and what became of their contents | the drain thread of the instance's shard |
//! | records and what became of them | the collect thread of that shard |
//!
//! The owner plays both roles at rest.

use crate::profiler::Counter;

/// Written by the drain thread.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Records whose contents could not be copied.
    pub(super) lost: Counter,
    /// Buffers of such records, and buffers whose count could not be read.
    pub(super) lost_buffers: Counter,
    /// Buffers whose count was above what they hold.
    pub(super) clamped: Counter,
    /// Entries refused that name the instance.
    pub(super) rejected: Counter,
}

/// Written by the collect thread.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// Records brought to the host.
    pub(super) records: Counter,
    /// Of these, those that [`recover`](super::Collector::recover) brought.
    pub(super) recovered: Counter,
    /// Of these, those that the store refused.
    pub(super) not_stored: Counter,
    /// Runs of those.
    pub(super) refused_runs: Counter,
    /// Slots of a core's buffers without a record, those of recovered buffers aside.
    pub(super) empty: Counter,
    /// Payloads brought to the host.
    pub(super) payloads: Counter,
    /// Payloads that were not where the record says, or could not be copied.
    pub(super) payloads_lost: Counter,
    /// Buffers with such payloads.
    pub(super) torn: Counter,
    /// Buffers that could not be cleared for their next use.
    pub(super) uncleared: Counter,
}
