//! Words: 32- and 64-bit cells that protocols are written over. A word is an atomic of lanepipe's own memory, a raw
//! address in memory shared with a device, or a loom object.

use super::atomic;
use core::sync::atomic::Ordering;

macro_rules! word {
    ($(#[$doc:meta])* $trait:ident, $int:ty, $atomic:ident, $(#[$raw_doc:meta])* $raw:ident) => {
        $(#[$doc])*
        pub trait $trait {
            /// Loads the word.
            fn load(&self, order: Ordering) -> $int;
            /// Stores `value`.
            fn store(&self, value: $int, order: Ordering);
        }

        impl $trait for atomic::$atomic {
            #[inline(always)]
            fn load(&self, order: Ordering) -> $int {
                self.load(order)
            }
            #[inline(always)]
            fn store(&self, value: $int, order: Ordering) {
                self.store(value, order)
            }
        }

        $(#[$raw_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(transparent)]
        pub struct $raw(*mut $int);

        impl $raw {
            /// A word at `address`.
            ///
            /// # Safety
            ///
            /// `address` is aligned, and stays readable and writable for as long as the view is used; every concurrent
            /// access to it is a single access of this width.
            #[inline(always)]
            pub const unsafe fn new(address: *mut $int) -> Self {
                Self(address)
            }

            /// The address.
            #[inline(always)]
            pub const fn address(&self) -> *mut $int {
                self.0
            }

            #[inline(always)]
            fn atomic(&self) -> &core::sync::atomic::$atomic {
                // SAFETY: `new`'s caller vouches for alignment, lifetime and access width; the reference lives for one
                // access and is to an atomic, which may change under it.
                unsafe { core::sync::atomic::$atomic::from_ptr(self.0) }
            }
        }

        // SAFETY: the view only makes atomic accesses, and `new`'s caller vouches for the memory.
        unsafe impl Send for $raw {}
        // SAFETY: as for `Send`.
        unsafe impl Sync for $raw {}

        impl $trait for $raw {
            #[inline(always)]
            fn load(&self, order: Ordering) -> $int {
                self.atomic().load(order)
            }
            #[inline(always)]
            fn store(&self, value: $int, order: Ordering) {
                self.atomic().store(value, order)
            }
        }
    };
}

/// A 64-bit word that several threads write.
pub trait SharedWord64: Word64 {
    /// Stores `new` if the word holds `current`; otherwise gives what it holds.
    fn compare_exchange(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;
}

impl SharedWord64 for atomic::AtomicU64 {
    #[inline(always)]
    fn compare_exchange(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.compare_exchange(current, new, success, failure)
    }
}

impl SharedWord64 for RawWord64 {
    #[inline(always)]
    fn compare_exchange(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        self.atomic().compare_exchange(current, new, success, failure)
    }
}

impl<W: Word32> Word32 for &W {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u32 {
        (**self).load(order)
    }
    #[inline(always)]
    fn store(&self, value: u32, order: Ordering) {
        (**self).store(value, order)
    }
}

impl<W: Word64> Word64 for &W {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u64 {
        (**self).load(order)
    }
    #[inline(always)]
    fn store(&self, value: u64, order: Ordering) {
        (**self).store(value, order)
    }
}

impl<W: SharedWord64> SharedWord64 for &W {
    #[inline(always)]
    fn compare_exchange(&self, current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64> {
        (**self).compare_exchange(current, new, success, failure)
    }
}

word!(
    /// A 32-bit word that one protocol shares between threads or with a device.
    Word32, u32, AtomicU32,
    /// A 32-bit word at a raw address, never turned into a reference to shared memory that outlives one access.
    RawWord32
);
word!(
    /// A 64-bit word that one protocol shares between threads or with a device.
    Word64, u64, AtomicU64,
    /// A 64-bit word at a raw address, never turned into a reference to shared memory that outlives one access.
    RawWord64
);
