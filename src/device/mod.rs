//! Device engine: hands full buffers to the host and takes empty ones, on the thread that fills them.
//!
//! | module | holds |
//! | --- | --- |
//! | [`view`] | the ends of both queues and the words of the gates, made of addresses |
//! | [`wait`] | waits: one budget on an injected clock, the gates' signals, the memory of a dead host |
//! | [`module`] | what a subsystem tells the engine |
//! | [`engine`] | enqueue, pop, switch, flush, record, init, finalize over a subsystem |
//! | [`staging`] | the ring through which a core hands over one record per task |
//! | [`lane`] | a subsystem's thread over raw memory: regions, states, buffers, reasons of losses |
//! | [`pmu`], [`dep_gen`], [`args_dump`], [`scope_stats`], [`swimlane`] | the five subsystems |
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | ready entry, ready tail | the lane: one thread per ready queue | host; the lane |
//! | ready head | host | the lane |
//! | free slots, free tail | host | the lane that owns the instance |
//! | free head | that lane | host |
//! | `contended` | any lane sets 1, the host clears | both |
//! | `freeze` | host | all lanes |
//! | active buffer, its sequence number, counters | the lane | host, after the run |
//! | [`wait::Latch`] | lanes of one subsystem, relaxed | the same |
//!
//! # Edges
//!
//! The other ends are the host's, in [`layout`](crate::layout); its tables call them `layout.*`.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `device.R1` → `layout.D1` | ready tail, Release | host's tail, Acquire | entry, records and `count` | `loom_device_ready` |
//! | `layout.D2` → `device.R2` | host's head, Release | ready head, Acquire | the host has read the entry that is written next | `loom_device_ready_reuse` |
//! | `layout.F1` → `device.F1` | host's tail, Release | free tail, Acquire | the slots | `loom_device_free` |
//! | `device.F2` → `layout.F2` | free head, Release | host's head, Acquire | the lane has read the slot | `loom_device_free_reuse` |
//! | `layout.G1` → `device.G1` | signal cleared, Release | `contended`, Acquire | the gate was shut before: no (0, 0) in between | `loom_device_release` |
//! | `layout.G2` → `device.G2` | gate opened, Release | `freeze`, Acquire | the refills | `loom_device_refilled` |
//! | `device.G3` → `layout.G3` | signal raised, Release | host's `contended`, Acquire | what the lane published | `loom_device_signal` |
//!
//! # The signal
//!
//! A lane that finds its queue without room, or without a buffer, looks at `contended`, then `freeze`, then at the queue once
//! more. It raises the signal if both words are 0 and the queue is as before, and only then. So
//!
//! * nothing is raised while a gate is shut, or while a signal is pending that will shut it: either way the host looks at every
//!   queue after the lane's look (it clears the signal after it shut the gate and before it refills);
//! * a lane whose gate opened again without a buffer for it finds both words 0 and raises the signal anew, even if the gate
//!   was shut and opened between two looks;
//! * between two stores of one lane lies a freeze, since the host clears a signal in one only.
//!
//! # Failure exits
//!
//! | exit | what holds |
//! | --- | --- |
//! | no header, index out of range, no queue | nothing was touched, the clock not read |
//! | no room within the budget | nothing was published; the buffer stays the lane's |
//! | push gate shut for the budget | the buffer is the host's; the gate's time-out is told apart |
//! | no buffer within the budget, or the pop gate shut for all of it | the lane has no buffer |
//! | a slot that holds 0 | the slot is consumed |
//! | the host is taken for dead | each wait has an eighth of the patience of the one before, until a word that the host writes has changed |

pub mod args_dump;
pub mod dep_gen;
pub mod engine;
pub mod lane;
#[cfg(all(test, loom, feature = "std"))]
mod loom_tests;
pub mod module;
pub mod pmu;
#[cfg(all(test, not(loom)))]
mod rig;
pub mod scope_stats;
pub mod staging;
pub mod swimlane;
#[cfg(all(test, not(loom), feature = "std"))]
mod tests;
pub mod view;
pub mod wait;

pub use engine::{Engine, Flushed, Pop, Recorded, Switched};
pub use module::Module;
pub use view::{FreeView, GateView, RawHeads, ReadySlot, ReadyView};
pub use wait::{Clock, GateOutcome, Latch, Refused, Wait};
