//! The ring element.

use core::fmt;

/// A buffer on its way through the pool.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Device address.
    pub dev: u64,
    /// Kind.
    pub kind: u32,
    /// Identity in the ledger; 0 = untracked.
    pub id: u32,
}

impl Buffer {
    /// The buffer as it lies in memory, in words.
    #[inline(always)]
    pub(super) const fn words(&self) -> [u64; 2] {
        // SAFETY: any bits are a word.
        [self.dev, unsafe { core::mem::transmute::<[u32; 2], u64>([self.kind, self.id]) }]
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffer {:#x} (kind {}, id {})", self.dev, self.kind, self.id)
    }
}
