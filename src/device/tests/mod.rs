//! The engine on a toy subsystem. The host's part is played in the pauses of the waits.

mod engine;
mod latch;
mod support;
mod wait;
