//! Words, views, padding, barriers and the ordering table: what every protocol is written in.

pub mod atomic;
pub mod barrier;
mod edge;
#[cfg(all(test, loom))]
pub(crate) mod model;
mod turn;
mod word;

pub use crossbeam_utils::CachePadded;
pub use edge::Edge;
pub use turn::{Held, Turn};
pub use word::{RawWord32, RawWord64, Word32, Word64};

/// Tells the processor that the caller spins. Under a loom model it yields to the other threads instead.
#[inline(always)]
pub fn relax() {
    #[cfg(all(test, loom))]
    loom::thread::yield_now();
    #[cfg(not(all(test, loom)))]
    core::hint::spin_loop();
}
