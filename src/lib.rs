//! Lock-free single-producer/single-consumer buffer pipeline behind a C ABI.
//!
//! Floors, lowest first; a module uses only floors below its own, and [`capi`] is the only one that says
//! `extern "C"`:
//!
//! | floor | holds |
//! | --- | --- |
//! | [`status`] | the status enumeration |
//! | [`sync`] | words and views, cache padding, relax hint, barriers, the ordering table |
//! | [`layout`] | shared-memory structs of the C++ runtime and views of them |
//! | [`ring`] | SPSC ring: run-time capacity, exact logical limit, batches |
//! | [`mailbox`] | completion mailbox and wait list |
//! | [`device`] | device engine: hands full buffers to the host, takes empty ones |
//! | [`event`] | event count on a futex (`std`) |
//! | [`pool`] | lanes, blocks, address map, ledger, audit (`std`) |
//! | [`profiler`] | drain, sentinel, replenish, collect, start and stop (`std`) |
//! | [`collector`] | the host half of a subsystem: region, buffers, records, books (`std`) |
//! | [`capi`] | the C ABI |
//!
//! Feature `std` (default) is the host library; without it the crate is `no_std`, allocation-free and panic-free.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

pub mod capi;
#[cfg(feature = "std")]
pub mod collector;
pub mod device;
#[cfg(feature = "std")]
pub mod event;
pub mod layout;
#[cfg(feature = "std")]
pub mod log;
pub mod mailbox;
#[cfg(feature = "std")]
pub mod pool;
#[cfg(feature = "std")]
pub mod profiler;
pub mod ring;
pub mod status;
pub mod sync;

// The device archive is linked into programs that bring no Rust runtime: a panic, which no exported path can reach,
// goes to the platform's hook.
#[cfg(not(any(feature = "std", test)))]
mod device_panic {
    unsafe extern "C" {
        /// Supplied by the device image: called if the library meets an internal error, which no function can reach.
        fn lanepipe_device_abort() -> !;
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo) -> ! {
        // SAFETY: the hook takes no arguments and does not return.
        unsafe { lanepipe_device_abort() }
    }
}
