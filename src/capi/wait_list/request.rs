//! A drain or a pass over list and mailbox.

use super::args::{list_at, side_at};
use super::callbacks::{Callbacks, callbacks};
use super::types::*;
use crate::capi::args::{check_place, check_sized};
use crate::capi::mailbox::lanepipe_mailbox_t;
use crate::mailbox::ends::Consumer;
use crate::mailbox::memory::RawMemory;
use crate::mailbox::transport::Transport;
use crate::mailbox::wait_list::{self, ListRef, Mode, NoSource, Outcome, SideUse};
use crate::status::Status;
use core::ffi::c_void;

/// Everything of a call that works on list and mailbox, checked.
pub(super) struct Request<'a> {
    list: ListRef,
    side: Option<SideUse<'a>>,
    callbacks: Callbacks,
    mode: Mode,
    result: *mut lanepipe_wait_result_t,
}

impl Request<'_> {
    /// Runs a drain or a pass.
    ///
    /// # Safety
    ///
    /// As for `lanepipe_wait_list_drain`; `mailbox` is aligned.
    pub(super) unsafe fn run(self, mailbox: *mut lanepipe_mailbox_t, polls: bool) -> Status {
        let Self { list, side, mut callbacks, mode, result } = self;
        let outcome = if mailbox.is_null() {
            run(list, side, mode, &mut NoSource, &mut callbacks, polls)
        } else {
            // SAFETY: aligned; the caller's contract.
            let transport = Transport::new(unsafe { RawMemory::new(mailbox.cast()) });
            run(list, side, mode, &mut Consumer::new(&transport, mailbox as u64), &mut callbacks, polls)
        };
        write_result(result, &outcome, callbacks.completed, callbacks.resolved);
        if outcome.overlap { Status::LANEPIPE_E_OVERLAP } else { Status::LANEPIPE_OK }
    }
}

#[inline(always)]
fn run<S: wait_list::Source>(
    list: ListRef,
    side: Option<SideUse<'_>>,
    mode: Mode,
    source: &mut S,
    callbacks: &mut Callbacks,
    polls: bool,
) -> Outcome {
    if polls {
        wait_list::poll(list, side, mode, source, callbacks)
    } else {
        wait_list::drain(list, side, mode, source, callbacks)
    }
}

pub(super) fn write_result(result: *mut lanepipe_wait_result_t, outcome: &Outcome, completed: i32, resolved: i32) {
    let failure = outcome.failure.unwrap_or_default();
    let values = lanepipe_wait_result_t {
        struct_size: size_of::<lanepipe_wait_result_t>() as u32,
        completed,
        resolved,
        drained: outcome.drained as i32,
        error: failure.error,
        ignored: outcome.ignored,
        parked: outcome.parked,
        more: u32::from(outcome.more),
        failed_slot: failure.slot as *mut c_void,
        failed_token: failure.token,
        failed_addr: failure.addr,
        failed_engine: failure.engine,
        failed_type: failure.completion_type,
    };
    // SAFETY: checked by whoever built the request.
    unsafe { result.write(values) };
}

/// # Safety
///
/// As for `lanepipe_wait_list_drain`.
pub(super) unsafe fn request<'a>(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
    mailbox: *mut lanepipe_mailbox_t,
    ops: *const lanepipe_wait_ops_t,
    release: *const lanepipe_wait_release_t,
    thread: i32,
    result: *mut lanepipe_wait_result_t,
) -> Result<Request<'a>, Status> {
    // SAFETY: the caller's contract.
    let list = unsafe { list_at(list)? };
    // SAFETY: the caller's contract.
    unsafe { check_sized(result)? };
    if !mailbox.is_null() {
        check_place(mailbox)?;
    }
    // SAFETY: the caller's contract.
    let (callbacks, mode) = unsafe { callbacks(ops, release, thread)? };
    // SAFETY: the caller's contract: under the lock. The area's contents are looked at once that is certain.
    let side = unsafe { side_at(side) }.inspect_err(|status| {
        if *status == Status::LANEPIPE_E_OVERLAP {
            write_result(result, &Outcome::default(), 0, 0);
        }
    })?;
    Ok(Request { list, side, callbacks, mode, result })
}
