//! The words of the two backpressure gates.
//!
//! A device lane that finds its ready queue full raises `contended` of the push gate, one that finds its free queue empty
//! that of the pop gate; lanes park while `freeze` of a gate is set. The device writes `contended = 1`, the host
//! `contended = 0` and all of `freeze`.

use super::link::{Link, Words64};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{Edge, Word32};

const G1: Edge = Edge::new("layout.G1", Ordering::Release);
const G2: Edge = Edge::new("layout.G2", Ordering::Release);
const G3: Edge = Edge::new("layout.G3", Ordering::Acquire);

/// One gate.
#[derive(Debug, Clone, Copy)]
pub struct Gate<W> {
    /// Written by the host only, by the thread that drives the gates.
    pub freeze: W,
    /// Raised by the device, cleared by the host.
    pub contended: W,
}

/// Both gates of a shared region.
#[derive(Debug, Clone, Copy)]
pub struct Gates<W> {
    /// Lanes that wait for room in a ready queue, and all that have just published.
    pub push: Gate<W>,
    /// Lanes that wait for a free buffer.
    pub pop: Gate<W>,
}

impl<W: Word32> Gate<W> {
    /// Whether the host holds the gate shut. Exact for the thread that drives the gates, and for a drain thread that has
    /// its lanes' turn.
    pub fn is_frozen(&self) -> bool {
        // Relaxed: the driver's own word; to a drain thread the turn carries it.
        self.freeze.load(Ordering::Relaxed) != 0
    }

    /// Whether the device has raised the signal. Driver.
    pub fn is_contended<S: Words64>(&self, link: &impl Link<W, S>) -> Result<bool, Status> {
        // [G3] Acquire: pairs with the device's release of the word; what the lane published before is visible.
        Ok(link.load(&self.contended, &G3)? != 0)
    }

    /// [`Gate::is_contended`] for any other thread: a stale signal that it left in the host's memory would be what the driver
    /// then pushes.
    pub fn peek_contended<S: Words64>(&self, link: &impl Link<W, S>) -> Result<bool, Status> {
        // [G3] Acquire: as above.
        Ok(link.peek(&self.contended, &G3)? != 0)
    }

    /// Shuts or opens the gate. The host's own word has the new value even if the device could not be told.
    pub fn set_frozen<S: Words64>(&self, link: &impl Link<W, S>, frozen: bool) -> Result<(), Status> {
        let value = u32::from(frozen);
        // [G2] Release, both: pairs with the device's acquire of the word; refills are visible before the gate opens.
        self.freeze.store(value, G2.order());
        link.store(&self.freeze, value, &G2)
    }

    /// Clears the signal. The gate is shut before, so that the device sees one of the two at any time.
    pub fn clear_contended<S: Words64>(&self, link: &impl Link<W, S>) -> Result<(), Status> {
        // [G1] Release: pairs with the device's acquire of the word; who sees it cleared sees the gate shut.
        link.store(&self.contended, 0, &G1)
    }
}

impl<W: Word32> Gates<W> {
    /// Whether one of the gates is shut; see [`Gate::is_frozen`].
    pub fn any_frozen(&self) -> bool {
        self.push.is_frozen() || self.pop.is_frozen()
    }
}
