//! After a run: recovery and the books.

use super::{lanepipe_collector_t, on};
use crate::capi::args::{Sized32, check, write_sized};
use crate::collector::{Books, Of, Verdict};
use crate::status::lanepipe_status_t;

/// Verdict: the layout has no total to compare with.
pub const LANEPIPE_BOOKS_NONE: u32 = 0;
/// Verdict: everything is accounted for.
pub const LANEPIPE_BOOKS_BALANCED: u32 = 1;
/// Verdict: of one instance at least, something is not.
pub const LANEPIPE_BOOKS_UNBALANCED: u32 = 2;
/// As a kind argument: the sum over all kinds.
pub const LANEPIPE_ALL_KINDS: u32 = u32::MAX;
/// As an instance argument: the sum over all instances.
pub const LANEPIPE_ALL_INSTANCES: u32 = u32::MAX;

const _: () = {
    assert!(LANEPIPE_BOOKS_NONE == Verdict::None as u32 && LANEPIPE_BOOKS_BALANCED == Verdict::Balanced as u32);
    assert!(LANEPIPE_BOOKS_UNBALANCED == Verdict::Unbalanced as u32);
};

/// The books of one instance, or of several together: `collected + lost + dropped + mismatch == total + overflow`, modulo
/// 2^32 per instance, since the device's counters wrap. Records unless it says otherwise.
#[repr(C)]
pub struct lanepipe_books_t {
    /// `sizeof(lanepipe_books_t)`.
    pub struct_size: u32,
    /// `LANEPIPE_BOOKS_*`.
    pub verdict: u32,
    /// Device: attempts. Cores' stream: dispatches. 0 where there is no such counter (arguments).
    pub total: u64,
    /// Device: not recorded.
    pub dropped: u64,
    /// Device: not left by the core in time (counters, a5).
    pub mismatch: u64,
    /// Device: slots beyond the first of a submit, which `total` does not count.
    pub overflow: u64,
    /// Brought to the host, recovered ones included.
    pub collected: u64,
    /// Of these, brought by `lanepipe_collector_recover`.
    pub recovered: u64,
    /// Of those collected, not stored: beyond `max_stored_bytes`, or memory was short.
    pub not_stored: u64,
    /// Handed over by the device, but not to be copied.
    pub lost: u64,
    /// Buffers of these, and those whose count could not be read.
    pub lost_buffers: u64,
    /// Buffers whose count was above what they hold.
    pub clamped: u64,
    /// Slots of a core's buffers without a record, those of recovered buffers aside. Not collected.
    pub empty: u64,
    /// Ready entries refused: an index, kind or address that cannot be, a foreign ready queue, or published twice. Only in
    /// the sum over everything are those that name no instance, those on a foreign queue, and those with a bad address or kind
    /// of an instance whose queue was not known yet.
    pub rejected: u64,
    /// In active buffers: neither handed over nor recovered.
    pub unflushed: u64,
    /// Payloads brought to the host.
    pub payloads: u64,
    /// Payloads that were not.
    pub payloads_lost: u64,
    /// The right side of the equation less the left one.
    pub unaccounted: i64,
}

impl Sized32 for lanepipe_books_t {}

impl From<Books> for lanepipe_books_t {
    fn from(books: Books) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            verdict: books.verdict as u32,
            total: books.total,
            dropped: books.dropped,
            mismatch: books.mismatch,
            overflow: books.overflow,
            collected: books.collected,
            recovered: books.recovered,
            not_stored: books.not_stored,
            lost: books.lost,
            lost_buffers: books.lost_buffers,
            clamped: books.clamped,
            empty: books.empty,
            rejected: books.rejected,
            unflushed: books.unflushed,
            payloads: books.payloads,
            payloads_lost: books.payloads_lost,
            unaccounted: books.unaccounted,
        }
    }
}

/// Collects what the device never handed over: entries left in ready queues after failed transfers, then the records in
/// active buffers. Each once, whatever was collected before; a second call finds nothing more. Stores how many records this
/// call brought in `records`, unless that is null. The device must be quiet, and the run is over: no start afterwards.
/// `LANEPIPE_E_STATE` while threads run, `LANEPIPE_BUSY` while another thread is inside start, recover, reconcile or read,
/// `LANEPIPE_E_CALLBACK` if the region or an active buffer cannot be copied: what could be delivered has been, and another
/// call may go on. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_recover(
    collector: *mut lanepipe_collector_t,
    records: *mut u64,
) -> lanepipe_status_t {
    on("lanepipe_collector_recover", collector, |collector| {
        if !records.is_null() {
            check(records)?;
        }
        let recovered = collector.recover()?;
        if !records.is_null() {
            // SAFETY: checked, and the caller's contract.
            unsafe { *records = recovered };
        }
        Ok(())
    })
}

/// Reads the device's counters and makes the books, any number of times; messages tell what the run lost. The device must
/// be quiet. `LANEPIPE_E_STATE` while threads run, `LANEPIPE_BUSY` as for `lanepipe_collector_recover`,
/// `LANEPIPE_E_CALLBACK` if the region or an active buffer cannot be copied, `LANEPIPE_E_NO_MEMORY`: earlier books stay.
/// Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_reconcile(collector: *mut lanepipe_collector_t) -> lanepipe_status_t {
    on("lanepipe_collector_reconcile", collector, |collector| collector.reconcile())
}

/// What the last `lanepipe_collector_reconcile` found, of one instance, or summed up over `LANEPIPE_ALL_INSTANCES` of a kind
/// or `LANEPIPE_ALL_KINDS`. `LANEPIPE_E_STATE` before the first, `LANEPIPE_E_INVALID` for an instance that there is not. Any
/// thread; takes a lock.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_collector_get_books(
    collector: *const lanepipe_collector_t,
    kind: u32,
    instance: u32,
    books: *mut lanepipe_books_t,
) -> lanepipe_status_t {
    on("lanepipe_collector_get_books", collector, |collector| {
        let of = match (kind, instance) {
            (LANEPIPE_ALL_KINDS, _) => Of::All,
            (kind, LANEPIPE_ALL_INSTANCES) => Of::Kind(kind),
            (kind, instance) => Of::Instance(kind, instance),
        };
        // SAFETY: the caller's contract.
        unsafe { write_sized(books, || collector.books(of).map(Into::into)) }
    })
}
