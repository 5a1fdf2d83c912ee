//! The caller's functions, and where it collects completed slots.

use super::types::*;
use crate::capi::args::{check, check_sized};
use crate::mailbox::layout::Variant;
use crate::mailbox::wait_list::{ConditionRef, Failure, Mode, Poll, Sink};
use crate::status::Status;
use core::ffi::c_void;
use core::ptr::null_mut;

/// Callbacks of the caller and what they count.
pub(super) struct Callbacks {
    pub(super) ops: lanepipe_wait_ops_t,
    release: Option<lanepipe_wait_release_t>,
    thread: i32,
    pub(super) completed: i32,
    pub(super) resolved: i32,
}

impl Callbacks {
    fn release_now(&self, slot: *mut c_void) {
        if let Some(release) = self.ops.release {
            // SAFETY: the caller vouches for its functions.
            unsafe { release(self.ops.context, slot, self.thread) };
        }
    }

    /// Collects a completed slot.
    fn collect(&self, slot: *mut c_void) {
        let Some(place) = self.release.filter(|place| place.capacity > 0) else { return self.release_now(slot) };
        // SAFETY: checked for null; the caller's contract.
        let mut count = unsafe { place.count.read() }.clamp(0, place.capacity);
        if count == place.capacity {
            while count > 0 {
                count -= 1;
                // SAFETY: below the capacity, and was written.
                let oldest = unsafe { place.slots.wrapping_add(count as usize).read() };
                self.release_now(oldest);
            }
        }
        // SAFETY: below the capacity.
        unsafe { place.slots.wrapping_add(count as usize).write(slot) };
        // SAFETY: as above.
        unsafe { place.count.write(count + 1) };
    }
}

impl Sink for Callbacks {
    fn completes(&self) -> bool {
        self.ops.complete.is_some()
    }

    fn complete(&mut self, slot: u64) -> Result<(), i32> {
        let Some(complete) = self.ops.complete else { return Err(LANEPIPE_WAIT_ERROR_REGISTRATION) };
        let slot = slot as *mut c_void;
        let mut stream_done = 0;
        // SAFETY: the caller vouches for its functions.
        let error = unsafe { complete(self.ops.context, slot, self.thread, &raw mut stream_done) };
        if error != 0 {
            return Err(error);
        }
        self.completed = self.completed.saturating_add(stream_done);
        self.resolved = self.resolved.saturating_add(1);
        if self.ops.release.is_some() {
            self.collect(slot);
        }
        Ok(())
    }

    fn poll(&mut self, condition: ConditionRef) -> Option<Poll> {
        let poll = self.ops.poll?;
        let mut error = 0;
        // SAFETY: the caller vouches for its functions.
        let state = unsafe { poll(self.ops.context, condition.address(), &raw mut error) };
        Some(match state {
            LANEPIPE_WAIT_PENDING => Poll::Pending,
            LANEPIPE_WAIT_READY => Poll::Ready,
            _ => Poll::Failed(if error == 0 { LANEPIPE_WAIT_ERROR_INVALID } else { error }),
        })
    }

    #[inline(always)]
    fn polls(&self) -> bool {
        self.ops.poll.is_some()
    }

    fn retire(&mut self, condition: ConditionRef) {
        if let Some(retire) = self.ops.retire {
            // SAFETY: the caller vouches for its functions.
            unsafe { retire(self.ops.context, condition.address()) };
        }
    }

    fn invalidate(&mut self, line: u64, bytes: usize) {
        if let Some(invalidate) = self.ops.invalidate {
            // SAFETY: the caller vouches for its functions.
            unsafe { invalidate(self.ops.context, line as usize, bytes) };
        }
    }

    fn report(&mut self, failure: &Failure) {
        if let Some(report) = self.ops.report {
            let Failure { error, token, addr, engine, completion_type, .. } = *failure;
            // SAFETY: the caller vouches for its functions.
            unsafe { report(self.ops.context, error, token, addr, engine, completion_type) };
        }
    }
}

/// # Safety
///
/// As for `lanepipe_wait_list_drain`.
pub(super) unsafe fn callbacks(
    ops: *const lanepipe_wait_ops_t,
    release: *const lanepipe_wait_release_t,
    thread: i32,
) -> Result<(Callbacks, Mode), Status> {
    let ops = if ops.is_null() {
        lanepipe_wait_ops_t {
            struct_size: 0,
            variant: LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER,
            flags: 0,
            budget: 0,
            context: null_mut(),
            complete: None,
            release: None,
            poll: None,
            retire: None,
            invalidate: None,
            report: None,
        }
    } else {
        // SAFETY: the caller's contract.
        unsafe { check_sized(ops)? };
        // SAFETY: checked; the caller's contract.
        unsafe { ops.read() }
    };
    let Some(variant) = Variant::from_number(ops.variant) else { return Err(Status::LANEPIPE_E_INVALID) };
    if ops.flags & !LANEPIPE_WAIT_COPY_KEEPS_REST != 0 {
        return Err(Status::LANEPIPE_E_INVALID);
    }
    let release = if release.is_null() {
        None
    } else {
        check(release)?;
        // SAFETY: checked; the caller's contract.
        let place = unsafe { release.read() };
        if place.reserved != 0 || place.capacity < 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        Some(place).filter(|place| !place.slots.is_null() && !place.count.is_null())
    };
    let mode = Mode { variant, budget: ops.budget, copy_keeps_rest: ops.flags & LANEPIPE_WAIT_COPY_KEEPS_REST != 0 };
    Ok((Callbacks { ops, release, thread, completed: 0, resolved: 0 }, mode))
}
