//! Where all buffers are.

use super::super::args::{Sized32, check_sized};
use super::{cold, lanepipe_pool_t};
use crate::pool::ledger::Place;
use crate::status::{Status, lanepipe_status_t};

/// Where all tracked buffers are. Exact at rest; while a profiler runs, a snapshot without a common instant.
#[repr(C)]
pub struct lanepipe_pool_audit_t {
    /// `sizeof(lanepipe_pool_audit_t)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Buffers tracked.
    pub total: u64,
    /// At the device, or with the caller.
    pub device: u64,
    /// Held by a drain thread.
    pub drain: u64,
    /// In ready rings.
    pub ready: u64,
    /// Held by a collect thread.
    pub collect: u64,
    /// In done rings.
    pub done: u64,
    /// Held by the replenish thread.
    pub replenish: u64,
    /// In recycled lanes.
    pub recycled: u64,
    /// Parked, to be brought back into circulation.
    pub retired: u64,
    /// Parked until teardown because their address cannot be trusted.
    pub quarantined: u64,
    /// Buffers found in no place, in a place other than the ledger's, or in two places. 0 in a sound pool.
    pub errors: u64,
}

impl Sized32 for lanepipe_pool_audit_t {}

/// Finds out where every tracked buffer is. `LANEPIPE_E_CONSERVATION`, with `*audit` written, if one is in no place or in
/// two. While a profiler runs the counts come from the ledger alone and `errors` is 0; otherwise no other thread may be
/// inside a call on a queue end.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_audit(
    pool: *const lanepipe_pool_t,
    audit: *mut lanepipe_pool_audit_t,
) -> lanepipe_status_t {
    cold("lanepipe_pool_audit", pool, |pool| {
        // SAFETY: the caller's contract.
        unsafe {
            check_sized(audit)?;
            let found = pool.audit();
            *audit = lanepipe_pool_audit_t {
                struct_size: size_of::<lanepipe_pool_audit_t>() as u32,
                reserved: 0,
                total: found.total(),
                device: found.at(Place::Device),
                drain: found.at(Place::Drain),
                ready: found.at(Place::Ready),
                collect: found.at(Place::Collect),
                done: found.at(Place::Done),
                replenish: found.at(Place::Replenish),
                recycled: found.at(Place::Recycled),
                retired: found.at(Place::Retired),
                quarantined: found.at(Place::Quarantined),
                errors: found.errors,
            };
            if found.errors == 0 { Ok(()) } else { Err(Status::LANEPIPE_E_CONSERVATION) }
        }
    })
}
