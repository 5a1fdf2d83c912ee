//! Memory shared with a device: its words, the links that reach them, and the two queues of the pipeline.
//!
//! Indices of a *ready queue* run modulo its capacity and one slot stays empty; the device writes entries and the tail,
//! the host the head. Counters of a *free queue* grow without bound and wrap at 2^32; the host writes slots and the tail,
//! the device the head.
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `layout.D1` | device's release of the ready tail | [`ReadyPort::tail`] acquire | entries, buffer contents | `loom_ready_entries` |
//! | `layout.D2` | [`ReadyPort::publish_head`] release | device's acquire of the ready head | entry reads are done | `loom_ready_slot_reuse` |
//! | `layout.F1` | [`FreePort::publish_tail`] release | device's acquire of the free tail | slot contents | `loom_free_slots` |
//! | `layout.F2` | device's release of the free head | [`FreePort::head`] acquire | slot reads are done | `loom_free_slot_reuse` |
//! | `layout.G1` | [`Gate::clear_contended`] release | device's acquire of the contended word | the gate is shut | `loom_gate_no_gap` |
//! | `layout.G2` | [`Gate::set_frozen`] release | device's acquire of the freeze word | refills | `loom_gate_opens_after_refill` |
//! | `layout.G3` | device's release of the contended word | [`Gate::is_contended`] acquire | what the lane published before | `loom_gate_signal` |
//!
//! The barriers of the contract ([`rmb`], [`wmb`]) stand beside the edges; no proof leans on them.

mod gates;
mod link;
#[cfg(all(test, loom))]
mod loom_tests;
mod port;
pub mod runtime;

pub use gates::{Gate, Gates};
pub use link::{Direct, Link, RawWords64, Words64};
#[cfg(all(test, loom))]
pub(crate) use loom_tests::LoomWords;
#[cfg(feature = "std")]
pub(crate) use port::D1;
pub use port::{FreePort, ReadyPort};

use crate::sync::barrier::{rmb, wmb};
