//! Architectures of the C++ runtime, wherever the interface asks for one.

/// Architecture a2a3.
pub const LANEPIPE_ARCH_A2A3: u32 = 0;
/// Architecture a5.
pub const LANEPIPE_ARCH_A5: u32 = 1;
