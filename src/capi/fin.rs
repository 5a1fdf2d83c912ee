//! The producers' half of the completion mailbox: what a scheduler does when a subtask has ended.

use super::args::{Sized32, check, check_place, check_sized, sized};
use super::mailbox::lanepipe_mailbox_t;
use super::status::status;
use crate::mailbox::ends::Pusher;
use crate::mailbox::fin::{self, Fin, FinCounts, FinError, SlabRef, SlotRef, Task};
use crate::mailbox::layout::Variant;
use crate::mailbox::memory::RawMemory;
use crate::mailbox::transport::Transport;
use crate::status::{Status, lanepipe_status_t};
use crate::sync::relax;
use core::ffi::c_void;

/// Other subtasks of the task are to come.
pub const LANEPIPE_FIN_NOT_LAST: u32 = 0;
/// The last subtask; nothing is deferred, the caller completes the task.
pub const LANEPIPE_FIN_LAST_INLINE: u32 = 1;
/// The last subtask; the task is the consumer's, the caller does not touch it any more.
pub const LANEPIPE_FIN_HANDED_OVER: u32 = 2;

/// A question about a slot; 0 is no.
pub type lanepipe_fin_ask_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, slot: *mut c_void) -> i32>;
/// The token of a slot's task.
pub type lanepipe_fin_token_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, slot: *mut c_void) -> u64>;
/// Marks a slot.
pub type lanepipe_fin_mark_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, slot: *mut c_void)>;
/// A question about the run; 0 is no.
pub type lanepipe_fin_run_fn_t = Option<unsafe extern "C" fn(context: *mut c_void) -> i32>;
/// Passes a moment.
pub type lanepipe_fin_spin_fn_t = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// What is known of slots, and what a full ring is waited for with. The functions about slots may be null: then the fields
/// of the variant's `PTO2TaskSlotState` are used. Read during the call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_fin_ops_t {
    /// `sizeof(lanepipe_fin_ops_t)`.
    pub struct_size: u32,
    /// One of `LANEPIPE_VARIANT_*`.
    pub variant: u32,
    /// Passed to the functions.
    pub context: *mut c_void,
    /// Whether the slot has a payload.
    pub has_payload: lanepipe_fin_ask_fn_t,
    /// The task's token.
    pub token: lanepipe_fin_token_fn_t,
    /// Sets the slot's deferred flag.
    pub mark_deferred: lanepipe_fin_mark_fn_t,
    /// Whether it is set.
    pub is_deferred: lanepipe_fin_ask_fn_t,
    /// Counts a subtask, with acquire and release in one operation; whether it was the last.
    pub subtask_done: lanepipe_fin_ask_fn_t,
    /// Whether the task has one subtask only; null: no. Then its sentinel goes out with its conditions.
    pub is_sole: lanepipe_fin_ask_fn_t,
    /// Whether the run is over; null: no. Asked while the ring is full.
    pub should_abort: lanepipe_fin_run_fn_t,
    /// Makes room in a full ring, for instance by `lanepipe_wait_list_drain` under the list's lock or by
    /// `lanepipe_wait_list_poll`; whether it may have. The wait is no call on the list, so that both run; unless the wait
    /// itself is in a callback of the list. May be null.
    pub help: lanepipe_fin_run_fn_t,
    /// Passes a moment; null: a hint to the processor.
    pub spin: lanepipe_fin_spin_fn_t,
}

/// What became of a subtask.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_fin_result_t {
    /// `sizeof(lanepipe_fin_result_t)`, set by the caller.
    pub struct_size: u32,
    /// One of `LANEPIPE_FIN_*`; meaningful with `LANEPIPE_OK`.
    pub outcome: u32,
    /// The error to latch, or 0.
    pub error: i32,
    /// Messages pushed.
    pub pushed: u32,
    /// Messages that a full ring refused at first.
    pub skipped: u32,
    /// Always 0.
    pub reserved: u32,
}

impl Sized32 for lanepipe_fin_ops_t {}
impl Sized32 for lanepipe_fin_result_t {}

struct Callbacks {
    ops: lanepipe_fin_ops_t,
    slot: *mut c_void,
    fields: SlotRef,
}

impl Callbacks {
    fn ask(&self, function: lanepipe_fin_ask_fn_t) -> Option<bool> {
        // SAFETY: the caller vouches for its functions.
        function.map(|function| unsafe { function(self.ops.context, self.slot) } != 0)
    }

    fn ask_run(&self, function: lanepipe_fin_run_fn_t) -> bool {
        // SAFETY: the caller vouches for its functions.
        function.is_some_and(|function| unsafe { function(self.ops.context) } != 0)
    }
}

impl Task for Callbacks {
    fn has_payload(&mut self) -> bool {
        self.ask(self.ops.has_payload).unwrap_or_else(|| self.fields.has_payload())
    }
    fn token(&mut self) -> u64 {
        match self.ops.token {
            // SAFETY: the caller vouches for its functions.
            Some(token) => unsafe { token(self.ops.context, self.slot) },
            None => self.fields.token(),
        }
    }
    fn slot(&self) -> u64 {
        self.slot as u64
    }
    fn mark_deferred(&mut self) {
        match self.ops.mark_deferred {
            // SAFETY: the caller vouches for its functions.
            Some(mark) => unsafe { mark(self.ops.context, self.slot) },
            None => self.fields.mark_deferred(),
        }
    }
    fn is_deferred(&mut self) -> bool {
        self.ask(self.ops.is_deferred).unwrap_or_else(|| self.fields.is_deferred())
    }
    fn is_sole(&mut self) -> bool {
        self.ask(self.ops.is_sole).unwrap_or(false)
    }
    fn subtask_done(&mut self) -> bool {
        self.ask(self.ops.subtask_done).unwrap_or_else(|| self.fields.subtask_done())
    }
    fn should_abort(&mut self) -> bool {
        self.ask_run(self.ops.should_abort)
    }
    fn help(&mut self) -> bool {
        self.ask_run(self.ops.help)
    }
    fn spin(&mut self) {
        match self.ops.spin {
            // SAFETY: the caller vouches for its functions.
            Some(spin) => unsafe { spin(self.ops.context) },
            None => relax(),
        }
    }
}

/// One subtask of the task at `slot` has ended; `slab` (a `DeferredCompletionSlab`) is that of its core and buffer, made
/// visible by the caller's barrier. Its conditions are pushed, the subtask is counted, the last one hands the task over.
///
/// `LANEPIPE_OK` with `result->outcome`. `LANEPIPE_E_CORRUPT` if the slab holds an error or more conditions than it can: nothing
/// was counted or pushed, `result->error` is what to latch. `LANEPIPE_E_NULL` with `result->error` 103 if a task defers and
/// `mailbox` is null. `LANEPIPE_CLOSED` if `should_abort` said so. Any thread, for one subtask once; waits while the ring is
/// full.
///
/// # Safety
///
/// `mailbox` is null or a mailbox, `slab` null or a slab. `ops` is null or readable, `result` null or writable. Functions are
/// callable; `slot` is what they expect, or a slot state of the variant.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_fin_subtask(
    mailbox: *mut lanepipe_mailbox_t,
    ops: *const lanepipe_fin_ops_t,
    slot: *mut c_void,
    slab: *mut c_void,
    result: *mut lanepipe_fin_result_t,
) -> lanepipe_status_t {
    let run = || {
        // The functions may do what they like with the structure.
        // SAFETY: the caller's contract.
        let ops = *unsafe { sized(ops)? };
        // SAFETY: the caller's contract.
        unsafe { check_sized(result)? };
        check_place(slab)?;
        if !mailbox.is_null() {
            check_place(mailbox)?;
        }
        let variant = Variant::from_number(ops.variant).ok_or(Status::LANEPIPE_E_INVALID)?;
        let uses_fields = ops.has_payload.is_none()
            || ops.token.is_none()
            || ops.mark_deferred.is_none()
            || ops.is_deferred.is_none()
            || ops.subtask_done.is_none();
        if uses_fields {
            check_place(slot)?
        } else {
            check(slot.cast::<u8>())?
        }
        // SAFETY: used where the caller passes a slot state.
        let fields = unsafe { SlotRef::new(slot, variant) };
        let mut task = Callbacks { ops, slot, fields };
        let mut counts = FinCounts::default();
        // SAFETY: aligned; the caller's contract.
        let slab = unsafe { SlabRef::new(slab.cast()) };
        let outcome = if mailbox.is_null() {
            fin::subtask(None::<&mut Pusher<'_, RawMemory>>, &mut task, slab, &mut counts)
        } else {
            // SAFETY: aligned; the caller's contract.
            let transport = Transport::new(unsafe { RawMemory::new(mailbox.cast()) });
            fin::subtask(Some(&mut Pusher(&transport)), &mut task, slab, &mut counts)
        };
        let (status, outcome, error) = match outcome {
            Ok(Fin::NotLast) => (Status::LANEPIPE_OK, LANEPIPE_FIN_NOT_LAST, 0),
            Ok(Fin::LastInline) => (Status::LANEPIPE_OK, LANEPIPE_FIN_LAST_INLINE, 0),
            Ok(Fin::HandedOver) => (Status::LANEPIPE_OK, LANEPIPE_FIN_HANDED_OVER, 0),
            Err(FinError::Slab(error)) => (Status::LANEPIPE_E_CORRUPT, LANEPIPE_FIN_NOT_LAST, error),
            Err(FinError::NoMailbox) => (Status::LANEPIPE_E_NULL, LANEPIPE_FIN_NOT_LAST, fin::ERROR_REGISTRATION),
            Err(FinError::Aborted) => (Status::LANEPIPE_CLOSED, LANEPIPE_FIN_NOT_LAST, 0),
        };
        let values = lanepipe_fin_result_t {
            struct_size: size_of::<lanepipe_fin_result_t>() as u32,
            outcome,
            error,
            pushed: counts.pushed,
            skipped: counts.skipped,
            reserved: 0,
        };
        // SAFETY: checked; the caller's contract.
        unsafe { result.write(values) };
        Ok(status)
    };
    status(run())
}
