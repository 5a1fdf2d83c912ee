//! Structures and constants of the C++ runtime's five profiling subsystems, per architecture.
//!
//! The types give sizes, offsets and element types for raw pointers. What they describe is shared memory: it is reached
//! through words at addresses, never through a reference. Device addresses are 64-bit integers, enumerations are the integer
//! that carries them, and fields of the C++ runtime that are volatile are plain here.
//!
//! `data/layouts.json` is the truth: a test compares all of it, and the compiler what is declared.

pub mod a2a3;
pub mod a5;
mod arch;
pub mod common;
pub mod constants;
mod describe;
#[cfg(test)]
mod json;
#[cfg(test)]
mod tests;

pub use arch::{A2a3, A5, Arch, HeaderLayout};
