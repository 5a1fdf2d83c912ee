//! Single-producer/single-consumer rings with run-time capacity.
//!
//! | module | holds |
//! | --- | --- |
//! | `index` | the index protocol: claim, publish, available, release |
//! | `mark` | the marks that detect overlap, with a protocol of their own |
//! | `slots` | element memory and how models watch it |
//! | `body` | memory and indices of a ring of `T: Copy`, without its ends (`std`) |
//! | [`Ring`] | owned ring of `T: Copy` (`std`) |
//! | [`channel`] | the safe pair of ends over a `Ring` (`std`) |
//! | [`ByteRing`] | ring of elements of a run-time size in caller-owned memory; [`OwnedByteRing`] brings its own (`std`) |
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | `tail` | producer | consumer, observers |
//! | `head` | consumer | producer, observers |
//! | slots `[head, tail)` | nobody | consumer |
//! | slots `[tail, head + limit)` | producer | nobody |
//! | an end's own index, its copy of the far one | that end | that end |
//! | `limit`, `mask`, address of the slots | the constructor | everybody |
//!
//! Indices run freely over `u32` and are masked on use, so full and empty differ without a spare slot and any limit up
//! to [`MAX_CAPACITY`] is exact; storage is the next power of two. An end reads the far index only when its cached copy
//! does not satisfy the request. The copy is at most as new as the far index and far indices only grow, so a stale
//! copy means less room or fewer elements than there are, never more. One `u32` lap is no hazard: an end never runs
//! ahead of its cached copy by more than `limit`.
//!
//! # Edges
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | P1 → C1 | `tail` store, Release | `tail` load, Acquire | slot contents | `loom_ring_weak_p1`, `loom_ring_weak_c1` |
//! | C2 → P2 | `head` store, Release | `head` load, Acquire | end of the reads of a slot | `loom_ring_weak_c2`, `loom_ring_weak_p2` |
//!
//! # Failure exits
//!
//! A full or empty ring is a count of zero, never a wait. A panic in a caller's closure leaves the indices as they
//! were: nothing is published or released. Constructors report a `Status` and allocate fallibly.

#[cfg(feature = "std")]
mod body;
mod byte_header;
mod bytes;
#[cfg(feature = "std")]
mod channel;
mod copy;
mod index;
mod mark;
#[cfg(feature = "std")]
mod owned_bytes;
mod slots;
#[cfg(feature = "std")]
mod typed;

#[cfg(all(test, loom, feature = "std"))]
mod loom_tests;
#[cfg(all(test, not(loom), feature = "std"))]
mod tests;

pub use bytes::{BYTE_RING_ALIGN, ByteRing, ByteRuns, MAX_ELEMENT_SIZE};
#[cfg(feature = "std")]
pub use channel::{Consumer, Producer, channel};
#[cfg(feature = "std")]
pub(crate) use copy::{copy, store_pair};
pub use mark::EndGuard;
#[cfg(feature = "std")]
pub use owned_bytes::OwnedByteRing;
#[cfg(feature = "std")]
pub use typed::Ring;

/// Largest capacity of a ring, in elements.
pub const MAX_CAPACITY: usize = 1 << 24;
