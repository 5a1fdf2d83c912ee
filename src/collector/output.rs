//! Records on their way out of a collector.

/// Contents of a dumped argument.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// The bytes; null: there are none, or they were lost.
    pub data: *const u8,
    /// Their number, as the record has it.
    pub size: u64,
}

// SAFETY: a payload is read only, by whoever has what it points into.
unsafe impl Send for Payload {}
// SAFETY: as for `Send`.
unsafe impl Sync for Payload {}

/// The records come from a buffer that the device never handed over, or that the host had left in a ready queue.
pub const RECOVERED: u32 = 1;

/// A run of records of one buffer, in the order in which they were written.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    /// Kind.
    pub kind: u32,
    /// Which of the kind's instances.
    pub instance: u32,
    /// Shard that collected them.
    pub shard: u32,
    /// Sequence number of the buffer.
    pub seq: u32,
    /// [`RECOVERED`].
    pub flags: u32,
    /// How many.
    pub count: u32,
    /// Bytes from one to the next.
    pub record_size: u32,
    /// `count * record_size` bytes, aligned to 8. Memory that a device has written: not for references.
    pub data: *const u8,
    /// One per record, if the subsystem has payloads; else empty.
    pub payloads: &'a [Payload],
}

impl Records<'_> {
    /// Bytes of the run.
    pub fn size(&self) -> usize {
        self.count as usize * self.record_size as usize
    }
}

/// Takes records in the place of a store.
pub trait Output: Send + Sync {
    /// Takes a run. Collect thread of the shard; owner for recovered ones.
    fn take(&self, records: &Records<'_>);
}
