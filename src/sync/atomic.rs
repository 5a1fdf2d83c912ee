//! The atomics and cells of memory that lanepipe owns: `core`'s in production, loom's in a model.

#[cfg(all(test, loom))]
mod imp {
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::Mutex as RawMutex;
    pub use loom::sync::MutexGuard;
    pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
}

#[cfg(not(all(test, loom)))]
mod imp {
    pub use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
    #[cfg(feature = "std")]
    pub use std::sync::Mutex as RawMutex;
    #[cfg(feature = "std")]
    pub use std::sync::MutexGuard;

    /// `core::cell::UnsafeCell` with loom's access methods, so that models see every access.
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        #[inline(always)]
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        /// Runs `f` on a pointer for reading.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Runs `f` on a pointer for writing.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

pub use core::sync::atomic::Ordering;
pub use imp::*;

/// A mutex for cold paths only. A panic of a holder does not poison it: every critical section leaves its data valid
/// at each step.
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct ColdMutex<T>(RawMutex<T>);

#[cfg(feature = "std")]
impl<T> ColdMutex<T> {
    /// A mutex around `value`.
    pub fn new(value: T) -> Self {
        Self(RawMutex::new(value))
    }

    /// Blocks until the mutex is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

#[cfg(feature = "std")]
impl<T: Default> Default for ColdMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
