//! Tests of the profiler against a simulated device with threads of its own.

mod compat;
mod delivery;
mod device;
mod faults;
mod freeze;
pub(super) mod harness;
mod idle;
mod lifecycle;
mod supply;
mod turns;
pub(super) mod world;
