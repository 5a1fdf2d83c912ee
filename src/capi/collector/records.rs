//! Records: to a callback, or read from the store.

use super::{lanepipe_collector_t, on};
use crate::capi::args::{Sized32, write_sized};
use crate::collector::{Output, Payload, RECOVERED, Records};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;
use core::ptr;

/// Flag of records: of a buffer that the device never handed over, or that was left in a ready queue.
pub const LANEPIPE_RECORDS_RECOVERED: u32 = 1;

/// Contents of a dumped argument.
#[repr(C)]
pub struct lanepipe_payload_t {
    /// The bytes; null: there are none, or they were lost.
    pub data: *const c_void,
    /// Their number, as the record has it; 0: there are none.
    pub size: u64,
}

const _: () = {
    assert!(size_of::<lanepipe_payload_t>() == size_of::<Payload>());
    assert!(LANEPIPE_RECORDS_RECOVERED == RECOVERED);
};

/// A run of records of one buffer, in the order in which they were written. Slots of a core's buffer without a record (a
/// `start_time` of 0) are left out: a buffer with holes comes in several runs.
#[repr(C)]
pub struct lanepipe_records_t {
    /// `sizeof(lanepipe_records_t)`.
    pub struct_size: u32,
    /// Kind.
    pub kind: u32,
    /// Core or thread within the kind; else 0.
    pub instance: u32,
    /// Shard that collected them.
    pub shard: u32,
    /// Sequence number of the buffer.
    pub buffer_seq: u32,
    /// `LANEPIPE_RECORDS_*` flags.
    pub flags: u32,
    /// How many, 1 or more.
    pub count: u32,
    /// Bytes from one record to the next.
    pub record_size: u32,
    /// `count` records, aligned to 8; to 64 if they were stored.
    pub records: *const c_void,
    /// Arguments: the contents of each of the `count` records. Else null.
    pub payloads: *const lanepipe_payload_t,
}

impl Sized32 for lanepipe_records_t {}

impl From<&Records<'_>> for lanepipe_records_t {
    fn from(run: &Records<'_>) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            kind: run.kind,
            instance: run.instance,
            shard: run.shard,
            buffer_seq: run.seq,
            flags: run.flags,
            count: run.count,
            record_size: run.record_size,
            records: run.data.cast(),
            payloads: if run.payloads.is_empty() { ptr::null() } else { run.payloads.as_ptr().cast() },
        }
    }
}

/// Takes a run of records, which is valid during the call. Collect thread of the shard: calls for one instance never
/// overlap, and come in the order of its buffers. For recovered records the caller of `lanepipe_collector_recover`. May
/// block; the buffer goes back into circulation when it returns. Must not throw, or call the collector but for its counters.
pub type lanepipe_collector_sink_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, records: *const lanepipe_records_t)>;

/// The caller's sink.
pub(super) struct Sink {
    pub(super) take: unsafe extern "C" fn(*mut c_void, *const lanepipe_records_t),
    pub(super) context: *mut c_void,
}

// SAFETY: whoever passes the sink vouches that it may be called on the threads it is documented for.
unsafe impl Send for Sink {}
// SAFETY: as for `Send`.
unsafe impl Sync for Sink {}

impl Output for Sink {
    fn take(&self, records: &Records<'_>) {
        let records = lanepipe_records_t::from(records);
        // SAFETY: whoever passed the sink vouches for it.
        unsafe { (self.take)(self.context, &raw const records) };
    }
}

/// Run `position` of the stored records of an instance, from 0 on in the order in which they came; `LANEPIPE_EMPTY` beyond
/// the last. The records stay valid until the collector is started or destroyed. `LANEPIPE_E_STATE` while threads run,
/// `LANEPIPE_E_INVALID` for an instance that there is not, `LANEPIPE_BUSY` while another thread is inside start, recover,
/// reconcile or read. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_read(
    collector: *const lanepipe_collector_t,
    kind: u32,
    instance: u32,
    position: u64,
    records: *mut lanepipe_records_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_read", collector, |collector| {
        // SAFETY: the caller's contract; likewise below.
        let run = || unsafe { collector.read(kind, instance, position) }?.ok_or(Status::LANEPIPE_EMPTY);
        // SAFETY: as above.
        unsafe { write_sized(records, || run().map(|run| (&run).into())) }
    })
}

/// A kind of a subsystem.
#[repr(C)]
pub struct lanepipe_kind_info_t {
    /// `sizeof(lanepipe_kind_info_t)`.
    pub struct_size: u32,
    /// Instances that are collected; 0 at a level that does not record the kind.
    pub instances: u32,
    /// Bytes of a record.
    pub record_size: u32,
    /// Records of a buffer.
    pub capacity: u32,
    /// Bytes of a buffer.
    pub buffer_size: u64,
}

impl Sized32 for lanepipe_kind_info_t {}

/// What the collector knows of a kind. `LANEPIPE_E_INVALID` for one that there is not. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_kind(
    collector: *const lanepipe_collector_t,
    kind: u32,
    info: *mut lanepipe_kind_info_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_kind", collector, |collector| {
        let value = || {
            let found = collector.kind(kind).ok_or(Status::LANEPIPE_E_INVALID)?;
            Ok(lanepipe_kind_info_t {
                struct_size: size_of::<lanepipe_kind_info_t>() as u32,
                instances: found.instances,
                record_size: found.record_size,
                capacity: found.capacity,
                buffer_size: found.buffer_size as u64,
            })
        };
        // SAFETY: the caller's contract.
        unsafe { write_sized(info, value) }
    })
}
