//! Backpressure gates, driven by hand.

use super::args::{check, object};
use super::pool::{cold, lanepipe_pool_t};
use super::profiler::LANEPIPE_MAX_QUEUES;
use crate::layout::{D1, Gate, Gates, RawWords64};
use crate::pool::Pool;
use crate::profiler::backpressure::Backpressure;
use crate::profiler::shared_link::SharedLink;
use crate::status::{Status, lanepipe_status_t};
use crate::sync::atomic::Ordering;
use crate::sync::{RawWord32, Word32};

/// The words of the two backpressure gates, by host addresses inside the shared region. The device raises a contended word
/// when a lane finds its ready queue full (rq) or its free queue empty (fq); lanes park while a freeze word is set.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_gates_t {
    /// Freeze word of the push gate; written by the host only.
    pub rq_freeze: *mut u32,
    /// Contended word of the push gate; set by the device, cleared by the host.
    pub rq_contended: *mut u32,
    /// Freeze word of the pop gate.
    pub fq_freeze: *mut u32,
    /// Contended word of the pop gate.
    pub fq_contended: *mut u32,
}

impl lanepipe_gates_t {
    /// The views of the words.
    ///
    /// # Safety
    ///
    /// The addresses are null or those of words that stay valid as long as the views are used.
    pub(super) unsafe fn native(&self) -> Result<Gates<RawWord32>, Status> {
        for address in [self.rq_freeze, self.rq_contended, self.fq_freeze, self.fq_contended] {
            check(address)?;
        }
        // SAFETY: not null and aligned; the caller vouches for the rest.
        let word = |address| unsafe { RawWord32::new(address) };
        Ok(Gates {
            push: Gate { freeze: word(self.rq_freeze), contended: word(self.rq_contended) },
            pop: Gate { freeze: word(self.fq_freeze), contended: word(self.fq_contended) },
        })
    }
}

type Driver<'a> = Backpressure<'a, RawWord32, RawWords64, SharedLink>;

/// The first half of one tick of the freeze protocol, by hand: looks at both contended words, shuts gates, and tells what
/// the second half can be. `heads` and `tails` are the indices of `count` ready queues of `capacity` entries, 1 to
/// `LANEPIPE_MAX_QUEUES`, each an array inside the shared region; queues with an index out of range are left out.
///
/// `LANEPIPE_OK`: a gate is shut, the queues are drained, no top-up is under way and none can begin: fill all free queues
/// (`lanepipe_pool_refill`), then call `lanepipe_pool_end_freeze_tick`. `LANEPIPE_EMPTY`: no gate is shut.
/// `LANEPIPE_BUSY`: a gate is shut, and this tick can do no more. `LANEPIPE_E_STATE`: a tick has been begun and not ended.
/// The one thread that drives the gates; never blocks but in the copy callbacks.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_begin_freeze_tick(
    pool: *const lanepipe_pool_t,
    gates: *const lanepipe_gates_t,
    heads: *mut u32,
    tails: *mut u32,
    count: u32,
    capacity: u32,
) -> lanepipe_status_t {
    tick("lanepipe_pool_begin_freeze_tick", pool, gates, |driver, link| {
        check(heads)?;
        check(tails)?;
        if !(1..=LANEPIPE_MAX_QUEUES).contains(&count) || capacity == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        driver.begin(|| {
            let mut fresh = [0; LANEPIPE_MAX_QUEUES as usize];
            let fresh = &mut fresh[..count as usize];
            // SAFETY: the caller's contract.
            unsafe { link.load_run(tails, fresh, &D1)? };
            Ok(fresh.iter().enumerate().all(|(row, tail)| {
                // SAFETY: the caller's contract.
                let head = unsafe { RawWord32::new(heads.wrapping_add(row)) };
                // Relaxed: the host's own word; a head behind the tail keeps the gate shut for a tick more.
                let head = head.load(Ordering::Relaxed);
                head == *tail || head >= capacity || *tail >= capacity
            }))
        })
    })
}

/// The second half of a tick that the first half answered with `LANEPIPE_OK`: opens the gates if `published`, the number of
/// buffers that the refill published, is 0 and `release_ready` (not 0) says that the subsystem agrees. `LANEPIPE_OK`: the gates
/// are open; `LANEPIPE_BUSY`: they stay shut until a later tick; `LANEPIPE_E_STATE`: no first half. The same thread.
///
/// # Safety
///
/// Pointers are null or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_end_freeze_tick(
    pool: *const lanepipe_pool_t,
    gates: *const lanepipe_gates_t,
    published: u64,
    release_ready: u32,
) -> lanepipe_status_t {
    tick("lanepipe_pool_end_freeze_tick", pool, gates, |driver, _| driver.end(published, release_ready != 0))
}

/// Runs half a tick, whose outcome may be a normal status other than OK.
fn tick(
    call: &str,
    pool: *const lanepipe_pool_t,
    gates: *const lanepipe_gates_t,
    body: impl FnOnce(&Driver<'_>, &SharedLink) -> Result<Status, Status>,
) -> Status {
    cold(call, pool, |pool: &Pool| {
        // SAFETY: both callers require a valid pointer or null, to words that outlive the call.
        let gates = unsafe { object(gates)?.native()? };
        let link = SharedLink::new(pool.memory());
        match body(&Driver::new(pool, &gates, &link), &link)? {
            Status::LANEPIPE_OK => Ok(()),
            other => Err(other),
        }
    })
}
