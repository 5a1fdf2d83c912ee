//! Collectors driven by the device subsystems over plain memory: both architectures, shared memory and shadows.

mod corrupt;
mod cycle;
mod describe;
mod dump;
mod failures;
mod losses;
mod recovery;
mod rig;
mod swimlane;
