//! Barriers of the device contract. They come on top of acquire and release where the contract has them; no proof
//! leans on them.

/// Orders earlier loads of device memory before later accesses: `dsb ld` on aarch64, a compiler barrier elsewhere.
#[inline(always)]
pub fn rmb() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier instruction has no operands and touches no memory.
    unsafe {
        core::arch::asm!("dsb ld", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "aarch64"))]
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// Orders earlier stores to device memory before later ones: `dsb st` on aarch64, a compiler barrier elsewhere.
#[inline(always)]
pub fn wmb() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier instruction has no operands and touches no memory.
    unsafe {
        core::arch::asm!("dsb st", options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "aarch64"))]
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}
