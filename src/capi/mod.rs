//! The C ABI: one file per section of the header. Thin over the native modules; the only place that says `extern "C"`.

// Names of the C interface keep their C spelling.
#![allow(non_camel_case_types)]

mod arch;
mod args;
#[cfg(feature = "std")]
mod backpressure;
mod device;
#[cfg(feature = "std")]
mod failure;
mod fin;
#[cfg(feature = "std")]
mod guard;
#[cfg(feature = "std")]
mod log;
mod mailbox;
#[cfg(feature = "std")]
mod memory;
#[cfg(feature = "std")]
mod pool;
#[cfg(feature = "std")]
mod profiler;
#[cfg(feature = "std")]
mod queues;
mod ring;
mod staging;
mod status;
#[cfg(feature = "std")]
mod steps;
mod subsystem;
mod version;
mod wait_list;

// After what it is made of, as the header has it: the empty line keeps rustfmt from sorting it in.
#[cfg(feature = "std")]
mod collector;
