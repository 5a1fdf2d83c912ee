//! The ordering table. An [`Edge`] names one end of a synchronises-with relation; each protocol module lists its edges
//! in its opening documentation and looks every ordering up in the constants declared there. A model can weaken one
//! edge by name at run time, so one build serves the positive and all negative models.

use core::sync::atomic::Ordering;

/// One labelled ordering of a protocol.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    label: &'static str,
    order: Ordering,
}

impl Edge {
    /// The edge `label` ("module.name") with the ordering it needs.
    pub const fn new(label: &'static str, order: Ordering) -> Self {
        Self { label, order }
    }

    /// The label.
    pub const fn label(&self) -> &'static str {
        self.label
    }

    /// The ordering for an access; `Relaxed` while a model weakens this edge.
    #[inline(always)]
    pub fn order(&self) -> Ordering {
        #[cfg(all(test, loom))]
        if super::model::is_weakened(self.label) {
            return Ordering::Relaxed;
        }
        self.order
    }

    /// A fence of this ordering; nothing while a model weakens this edge.
    #[inline(always)]
    pub fn fence(&self) {
        #[cfg(all(test, loom))]
        if super::model::is_weakened(self.label) {
            return;
        }
        super::atomic::fence(self.order);
    }

    /// The light side of an asymmetric pair whose other side is [`membarrier`](super::membarrier). Only the compiler keeps
    /// the order of what stands around it; the processor does once the other side asks for it. In a model it is a fence.
    #[inline(always)]
    pub fn light_fence(&self) {
        #[cfg(all(test, loom))]
        self.fence();
        #[cfg(not(all(test, loom)))]
        core::sync::atomic::compiler_fence(self.order);
    }
}
