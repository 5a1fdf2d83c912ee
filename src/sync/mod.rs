//! Words, views, padding, barriers and the ordering table: what every protocol is written in.

pub mod atomic;
pub mod barrier;
mod edge;
#[cfg(all(target_os = "linux", feature = "std", not(feature = "portable-wait"), not(all(test, loom))))]
pub mod membarrier;
#[cfg(all(test, loom))]
pub(crate) mod model;
mod turn;
mod word;

pub use crossbeam_utils::CachePadded;
pub use edge::Edge;
pub use turn::{Held, Turn};
pub use word::{RawWord32, RawWord64, SharedWord64, Word32, Word64};

/// Where no thread can fence for another.
#[cfg(not(all(target_os = "linux", feature = "std", not(feature = "portable-wait"), not(all(test, loom)))))]
pub mod membarrier {
    /// Whether the process may call [`barrier`].
    pub fn register() -> bool {
        false
    }

    /// Never succeeds.
    pub fn barrier() -> bool {
        false
    }
}

/// What tells the calling thread from all others that live in the process; 0 where that is not to be had in one
/// instruction.
#[inline(always)]
pub fn thread_mark() -> usize {
    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64", feature = "std"))]
    {
        let mark;
        // SAFETY: the first word of the thread's control block is its own address; nothing is written.
        unsafe {
            core::arch::asm!("mov {}, qword ptr fs:[0]", out(reg) mark, options(pure, readonly, nostack, preserves_flags))
        };
        mark
    }
    #[cfg(all(target_os = "linux", target_arch = "aarch64", feature = "std"))]
    {
        let mark;
        // SAFETY: reads the thread's pointer register.
        unsafe { core::arch::asm!("mrs {}, tpidr_el0", out(reg) mark, options(pure, nomem, nostack, preserves_flags)) };
        mark
    }
    #[cfg(not(all(
        target_os = "linux",
        any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "aarch64"),
        feature = "std"
    )))]
    0
}

/// Tells the processor that the caller spins. Under a loom model it yields to the other threads instead.
#[inline(always)]
pub fn relax() {
    #[cfg(all(test, loom))]
    loom::thread::yield_now();
    #[cfg(not(all(test, loom)))]
    core::hint::spin_loop();
}

/// Lets other threads run that wait for a processor: what the caller waits for may be theirs to do. Under a loom model as
/// [`relax`].
#[cfg(feature = "std")]
pub fn step_aside() {
    #[cfg(all(test, loom))]
    loom::thread::yield_now();
    #[cfg(not(all(test, loom)))]
    std::thread::yield_now();
}

/// Asks for a line to read.
#[inline(always)]
pub fn prefetch_to_read<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch touches no memory that the program could see, and faults nowhere.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = address;
}

/// Asks for a line in a state that allows writing: one transfer instead of one to read and one to own.
#[inline(always)]
pub fn prefetch_to_write<T>(address: *mut T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch touches no memory that the program could see, and faults nowhere.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = address;
}
