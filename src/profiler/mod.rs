//! The profiler: the threads that carry buffers from device ready queues to the collector and back.
//!
//! Owners, n = live shards:
//!
//! | thread | count | owns |
//! | --- | --- | --- |
//! | sentinel | 1 | nothing: reads all ready tails and wakes drain threads |
//! | drain s | n | the host's ends of ready queues q = s, s+n, ... and of their instances' free queues; producer of ready ring s; consumer of the lanes of s |
//! | replenish | 1 | consumer of all done rings; producer of all lanes; the only allocator |
//! | collect s | n | consumer of ready ring s; producer of done ring s |
//!
//! Who sleeps where, and who wakes it, is in `docs/threads.md`. Two decisions skip a wake-up and therefore need fences on
//! both sides; the other side of each is `event.W1`, the fence of a thread about to sleep:
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `profiler.Q1` | replenish: lane push; fence; load demand | drain: store demand; `event.W1`; look at the lane | a buffer for a starved lane | `loom_starved_lane` |
//! | `profiler.S1` | stopper: release of the stop flag | `profiler.S2` | the device's publications before stop | `loom_stop_sees_everything` |
//! | `profiler.S2` | `profiler.S1` | intake thread: acquire of the stop flag | the same | `loom_stop_sees_everything` |
//! | `profiler.R1` | raiser of demand, or who parks a buffer: release of the count of raises | `profiler.R2` | the demand, the parked buffer | `loom_demand_raised` |
//! | `profiler.R2` | `profiler.R1` | replenish: acquire of the count, before it looks for work | the same | `loom_demand_raised` |
//! | `profiler.D1` | drain: buffers entered; release of the lane's demand | `profiler.D2` | the number of buffers that come back | `loom_demand_after_entering` |
//! | `profiler.D2` | `profiler.D1` | replenish: acquire of the demand, before it counts what comes back | the same | `loom_demand_after_entering` |
//! | `profiler.H1` | replenish: release of the count of hand-overs | `profiler.H2` | marks of the free queues handed over | `loom_hand_over` |
//! | `profiler.H2` | `profiler.H1` | drain: acquire of the count, before it looks for marks | the same | `loom_hand_over` |
//! | `profiler.C1` | collect: done push; fence; load starving | drain: store starving; `event.N1`; replenish: `event.W1`; look at the done rings | a done buffer while a lane starves | `loom_done_while_starving` |
//!
//! States: stopped → running → stopping → stopped. In *stopping* intake ends first (drain threads make a last pass over
//! what the device had published), then replenish, then collect threads once their ring is empty. A stop that times out
//! leaves the profiler in *stopping*; a later one goes on where it ended.

mod announce;
pub(crate) mod backpressure;
mod circulation;
mod collect;
mod config;
mod drain;
mod fault;
mod instances;
mod lifecycle;
#[cfg(all(test, loom))]
mod loom_tests;
mod pace;
mod patience;
mod refill;
mod replenish;
mod route;
mod run;
mod sentinel;
pub(crate) mod shared_link;
mod stats;
pub(crate) mod steps;
mod table;

pub use config::{
    ANY_QUEUE, Config, DEFAULT_POLL_MAX_NS, DEFAULT_POLL_MIN_NS, DEFAULT_QUIET_NS, Entry, Free, Hooks, Instance,
    KindConfig, MAX_COLLECT, MAX_ENTRIES, MAX_ENTRY_WORDS, MAX_INSTANCES, MAX_QUEUES, NO_FREE_QUEUE, REJECT, Ready,
    ReadyQueueConfig, Role, Site, ThreadBody,
};
pub use fault::Fault;
pub use lifecycle::{Profiler, State};
pub use route::Route;
pub(crate) use stats::Counter;
pub use stats::{GateStats, QueueStats, ShardStats};

#[cfg(all(test, not(loom)))]
mod tests;
