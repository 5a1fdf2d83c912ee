//! The geometry of a pool and its limits.

use crate::log::Logger;
use crate::status::Status;

/// Most shards.
pub const MAX_SHARDS: u32 = 64;
/// Most kinds.
pub const MAX_KINDS: u32 = 64;
/// Largest payload in bytes.
pub const MAX_PAYLOAD: u32 = 1024;
/// Largest ring capacity.
pub const MAX_RING_CAPACITY: u32 = 1 << 20;

/// Geometry of a pool.
#[derive(Debug)]
pub struct PoolConfig {
    /// Shards, 1 to [`MAX_SHARDS`].
    pub shards: u32,
    /// Kinds, 1 to [`MAX_KINDS`].
    pub kinds: u32,
    /// Payload bytes of a ready element, a multiple of 8 up to [`MAX_PAYLOAD`].
    pub payload_size: u32,
    /// Elements of a ready ring, 1 to [`MAX_RING_CAPACITY`].
    pub ready_capacity: u32,
    /// Elements of a done ring, likewise.
    pub done_capacity: u32,
    /// Elements of a lane, likewise.
    pub recycled_capacity: u32,
    /// Refuse unknown pointers and buffers that are in a queue already.
    pub strict: bool,
    /// Buffers have no identity: no ids, nothing in the ledger, any address that resolves is as good as any other.
    pub untracked: bool,
    /// Detect two threads inside calls of one queue end.
    pub check_overlap: bool,
    /// Blocks are multiples of this many bytes; a power of two.
    pub block_granularity: usize,
    /// Device and host addresses of blocks are multiples of this; a power of two; 1: any will do.
    pub block_align: u64,
    /// Where messages go.
    pub logger: Logger,
}

/// Why a configuration is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The status that the caller gets.
    pub status: Status,
    /// What is wrong.
    pub what: &'static str,
}

/// A range check with its text.
pub(crate) fn require(sound: bool, what: &'static str) -> Result<(), Problem> {
    if sound { Ok(()) } else { Err(Problem { status: Status::LANEPIPE_E_INVALID, what }) }
}

impl PoolConfig {
    /// Checks all ranges.
    ///
    /// # Errors
    ///
    /// The first value that is out of range.
    pub fn check(&self) -> Result<(), Problem> {
        let capacities = 1..=MAX_RING_CAPACITY;
        require((1..=MAX_SHARDS).contains(&self.shards), "shards is not in 1 to LANEPIPE_MAX_SHARDS")?;
        require((1..=MAX_KINDS).contains(&self.kinds), "kinds is not in 1 to LANEPIPE_MAX_KINDS")?;
        require(capacities.contains(&self.ready_capacity), "ready_capacity is out of range")?;
        require(capacities.contains(&self.done_capacity), "done_capacity is out of range")?;
        require(capacities.contains(&self.recycled_capacity), "recycled_capacity is out of range")?;
        require(self.payload_size <= MAX_PAYLOAD, "payload_size is above LANEPIPE_MAX_PAYLOAD")?;
        require(self.payload_size.is_multiple_of(8), "payload_size is not a multiple of 8")?;
        require(self.block_granularity.is_power_of_two(), "block_granularity is not a power of two")?;
        require(self.block_align.is_power_of_two(), "block_align is not a power of two")?;
        require(!(self.strict && self.untracked), "LANEPIPE_POOL_STRICT needs the identities of tracked buffers")
    }
}
