//! Where collected records lie: per instance a list of what its buffers held.
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | an instance's list | the collect thread of its shard; the owner at rest | the owner at rest |
//! | bytes stored | all of these, each adding what it is about to store | the same |
//!
//! All buffers of an instance come by one ready queue, and so through one shard: no list has two writers. Start creates
//! the threads and stop joins them, which orders both columns.

use super::output::{Payload, Records};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

/// Records start at multiples of this, as they do in a buffer.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct RecordLine([u8; 64]);

/// Records of one buffer.
struct Chunk {
    head: Head,
    lines: Box<[RecordLine]>,
    payloads: Box<[Payload]>,
    /// What `payloads` point into.
    _bytes: Box<[u8]>,
}

#[derive(Clone, Copy)]
struct Head {
    kind: u32,
    instance: u32,
    shard: u32,
    seq: u32,
    flags: u32,
    count: u32,
    record_size: u32,
}

impl Chunk {
    /// A copy of `records`; `None` if memory is short.
    fn of(records: &Records<'_>) -> Option<Self> {
        let Records { kind, instance, shard, seq, flags, count, record_size, data, payloads } = *records;
        let size = records.size();
        let mut lines = Vec::new();
        lines.try_reserve_exact(size.div_ceil(64)).ok()?;
        lines.resize(size.div_ceil(64), RecordLine([0; 64]));
        // SAFETY: the run has that many bytes, and the lines have room for them.
        unsafe { ptr::copy_nonoverlapping(data, lines.as_mut_ptr().cast::<u8>(), size) };
        let mut kept = Vec::<u8>::new();
        kept.try_reserve_exact(payload_bytes(payloads)).ok()?;
        let mut places = Vec::new();
        places.try_reserve_exact(payloads.len()).ok()?;
        for payload in payloads.iter().filter(|payload| !payload.data.is_null()) {
            let size = payload.size as usize;
            // SAFETY: who hands payloads over vouches for their bytes; there is room for the bytes of all.
            unsafe {
                ptr::copy_nonoverlapping(payload.data, kept.as_mut_ptr().add(kept.len()), size);
                kept.set_len(kept.len() + size);
            }
        }
        let kept = kept.into_boxed_slice();
        let mut at = kept.as_ptr();
        places.extend(payloads.iter().map(|payload| match payload.data.is_null() {
            true => Payload { data: ptr::null(), ..*payload },
            false => {
                let data = at;
                at = at.wrapping_add(payload.size as usize);
                Payload { data, ..*payload }
            }
        }));
        let head = Head { kind, instance, shard, seq, flags, count, record_size };
        Some(Self { head, lines: lines.into(), payloads: places.into(), _bytes: kept })
    }

    fn records(&self) -> Records<'_> {
        let Head { kind, instance, shard, seq, flags, count, record_size } = self.head;
        let data = self.lines.as_ptr().cast::<u8>();
        Records { kind, instance, shard, seq, flags, count, record_size, data, payloads: &self.payloads }
    }
}

/// Bytes of payloads that are there.
fn payload_bytes(payloads: &[Payload]) -> usize {
    payloads.iter().filter(|payload| !payload.data.is_null()).map(|payload| payload.size as usize).sum()
}

/// The lists of all instances.
pub(super) struct Store {
    lists: Box<[UnsafeCell<Vec<Chunk>>]>,
    stored: AtomicU64,
    most: u64,
}

// SAFETY: a list has one writer at a time and no reader meanwhile: see the module documentation.
unsafe impl Sync for Store {}
// SAFETY: lists are owned and bound to no thread.
unsafe impl Send for Store {}

impl Store {
    /// For `instances` instances, up to `most` bytes in all.
    pub(super) fn new(instances: usize, most: u64) -> Self {
        Self { lists: (0..instances).map(|_| UnsafeCell::default()).collect(), stored: AtomicU64::new(0), most }
    }

    /// Keeps a copy of a run of instance `number`; false if that is beyond the limit or memory is short.
    ///
    /// # Safety
    ///
    /// The caller is the collect thread of the instance's shard, or the owner while no thread runs.
    pub(super) unsafe fn keep(&self, number: u32, records: &Records<'_>) -> bool {
        let Some(list) = self.lists.get(number as usize) else { return false };
        let bytes = (records.size() + payload_bytes(records.payloads)) as u64;
        // Relaxed, here and below: a sum that carries nothing.
        let before = self.stored.fetch_add(bytes, Ordering::Relaxed);
        // SAFETY: the caller is the list's only user.
        let list = unsafe { &mut *list.get() };
        let fits = before.saturating_add(bytes) <= self.most;
        if fits
            && list.try_reserve(1).is_ok()
            && let Some(chunk) = Chunk::of(records)
        {
            list.push(chunk);
            return true;
        }
        self.stored.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    /// Run `position` of instance `number`.
    ///
    /// # Safety
    ///
    /// No thread runs while the result is used, and nothing is kept.
    pub(super) unsafe fn get(&self, number: u32, position: u64) -> Option<Records<'_>> {
        // SAFETY: the caller's contract.
        let list = unsafe { &*self.lists.get(number as usize)?.get() };
        list.get(usize::try_from(position).ok()?).map(Chunk::records)
    }
}
