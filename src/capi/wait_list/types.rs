//! Constants and structures of the wait list.

use crate::capi::args::Sized32;
use crate::mailbox::layout::Variant;
use crate::mailbox::wait_list::{self, ALIGN, SIZE, SideArea};
use core::ffi::c_void;

/// a2a3, tensormap_and_ringbuffer.
pub const LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER: u32 = 0;
/// a2a3, host_build_graph.
pub const LANEPIPE_VARIANT_A2A3_HOST_BUILD_GRAPH: u32 = 1;
/// a5, tensormap_and_ringbuffer.
pub const LANEPIPE_VARIANT_A5_TENSORMAP_AND_RINGBUFFER: u32 = 2;
/// a5, host_build_graph.
pub const LANEPIPE_VARIANT_A5_HOST_BUILD_GRAPH: u32 = 3;

/// Bytes of a wait list.
pub const LANEPIPE_WAIT_LIST_SIZE: usize = 198_680;
/// Alignment of a wait list in bytes.
pub const LANEPIPE_WAIT_LIST_ALIGN: usize = 8;
/// Alignment of a side area in bytes.
pub const LANEPIPE_WAIT_SIDE_ALIGN: usize = 64;
/// Most messages that a side area holds for tasks and conditions that the list has no room for.
pub const LANEPIPE_WAIT_MAX_OVERFLOW: u32 = 1 << 20;

/// Flag of `lanepipe_wait_ops_t`, for a list without a side area: whoever assigns one entry to another copies its live
/// conditions and leaves the other slots as they are, so that unused slots of live entries may hold messages.
pub const LANEPIPE_WAIT_COPY_KEEPS_REST: u32 = 1;
/// Flag of `lanepipe_wait_side_init`: completed tasks are not remembered, because tokens come back in one run.
pub const LANEPIPE_WAIT_TOKENS_COME_BACK: u32 = 1;

/// Result of a poll: not yet.
pub const LANEPIPE_WAIT_PENDING: i32 = 0;
/// Result of a poll: the condition holds.
pub const LANEPIPE_WAIT_READY: i32 = 1;
/// Result of a poll: it never will.
pub const LANEPIPE_WAIT_FAILED: i32 = 2;

/// The condition is malformed or has failed.
pub const LANEPIPE_WAIT_ERROR_INVALID: i32 = 101;
/// Neither the list nor what holds messages for it has room.
pub const LANEPIPE_WAIT_ERROR_OVERFLOW: i32 = 102;
/// A condition could not be registered, or a message makes no sense.
pub const LANEPIPE_WAIT_ERROR_REGISTRATION: i32 = 103;

const _: () = {
    assert!(LANEPIPE_WAIT_LIST_SIZE == SIZE && LANEPIPE_WAIT_LIST_ALIGN == ALIGN);
    assert!(LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER == Variant::A2T as u32);
    assert!(LANEPIPE_VARIANT_A2A3_HOST_BUILD_GRAPH == Variant::A2H as u32);
    assert!(LANEPIPE_VARIANT_A5_TENSORMAP_AND_RINGBUFFER == Variant::A5T as u32);
    assert!(LANEPIPE_VARIANT_A5_HOST_BUILD_GRAPH == Variant::A5H as u32);
    assert!(LANEPIPE_WAIT_SIDE_ALIGN == align_of::<SideArea>());
    assert!(LANEPIPE_WAIT_MAX_OVERFLOW == wait_list::MAX_OVERFLOW);
    assert!(LANEPIPE_WAIT_ERROR_INVALID == wait_list::ERROR_INVALID);
    assert!(LANEPIPE_WAIT_ERROR_OVERFLOW == wait_list::ERROR_OVERFLOW);
    assert!(LANEPIPE_WAIT_ERROR_REGISTRATION == wait_list::ERROR_REGISTRATION);
};

/// A wait list in memory of the caller, with the layout of the C++ runtime's `AsyncWaitList`. Opaque.
pub struct lanepipe_wait_list_t {
    _opaque: u8,
}

/// A side area of a wait list: what makes a list fast and lets it hold more. Opaque, in memory of the caller. Belongs to one
/// list, which is then changed by functions of this section alone. One call at a time is in it: whoever calls from within a
/// callback gets `LANEPIPE_E_OVERLAP`, and nothing has happened.
///
/// Each call looks whether somebody else has written over the area. Where its messages lie follows from the address that is
/// passed; how many there are and can be carries a check sum: if that is wrong, or the area was copied from elsewhere, each call
/// gives `LANEPIPE_E_CORRUPT` and does nothing, until the area is made anew. A message in it that is not what was put there is
/// error 103 in each drain. What the area knows of the list is compared with the public fields, and no access leaves list and
/// area for it. Not looked for are bytes that change while a call runs, and wrong entries of the tables that find a token or tell
/// which conditions wait: for those, tasks may wait for ever or be taken for others.
pub struct lanepipe_wait_side_t {
    _opaque: u8,
}

/// Completes the task whose slot state is at `slot`. 0, or an error code, after which the task stays. `*stream_done` is 0
/// before and says how many host tasks that completed. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
pub type lanepipe_wait_complete_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, slot: *mut c_void, thread: i32, stream_done: *mut i32) -> i32>;
/// Releases a completed slot. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
pub type lanepipe_wait_release_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, slot: *mut c_void, thread: i32)>;
/// Polls a condition (`CompletionCondition`): `LANEPIPE_WAIT_PENDING`, `_READY`, or `_FAILED` with `*error` set. Runs under the
/// list's lock; what it may call: `lanepipe_wait_ops_t`.
pub type lanepipe_wait_poll_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, condition: *const c_void, error: *mut i32) -> i32>;
/// Retires a condition that holds; once per condition. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
pub type lanepipe_wait_retire_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, condition: *mut c_void)>;
/// Drops `bytes` of the device's cache from `line` on. Runs under the list's lock; what it may call: `lanepipe_wait_ops_t`.
pub type lanepipe_wait_invalidate_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, line: usize, bytes: usize)>;
/// Tells of a failure and of the task and condition or message that it is about. Runs under the list's lock; what it may call:
/// `lanepipe_wait_ops_t`.
pub type lanepipe_wait_report_fn_t = Option<
    unsafe extern "C" fn(context: *mut c_void, error: i32, token: u64, addr: u64, engine: u32, completion_type: i32),
>;

/// What a list is used with. Read during the call only.
///
/// The functions run in the midst of a call, on its thread. The list is in use then: calls that are given its side area give
/// `LANEPIPE_E_OVERLAP` and do nothing, `lanepipe_wait_list_poll` and `_try_lock` give `LANEPIPE_BUSY`. Pushes into the mailbox,
/// `lanepipe_wait_list_get_count`, `lanepipe_wait_test_condition` and calls on other lists work as ever. A list without a side
/// area has no place for such a mark: of the calls for whoever has the lock, only `lanepipe_wait_list_find` and `_get_info` may
/// be made there, and the caller sees to it. No function unlocks the list, takes messages from its mailbox, makes its side area
/// anew, waits for room in the ring (`lanepipe_fin_subtask`: nobody drains meanwhile), or leaves by an exception or `longjmp`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_wait_ops_t {
    /// `sizeof(lanepipe_wait_ops_t)`.
    pub struct_size: u32,
    /// One of `LANEPIPE_VARIANT_*`.
    pub variant: u32,
    /// `LANEPIPE_WAIT_COPY_KEEPS_REST` or 0.
    pub flags: u32,
    /// Messages drained per call at most; 0 is 4096.
    pub budget: u32,
    /// Passed to the functions.
    pub context: *mut c_void,
    /// Null: nothing is completed, entries wait for somebody who completes them.
    pub complete: lanepipe_wait_complete_fn_t,
    /// Null: completed slots are not collected for release.
    pub release: lanepipe_wait_release_fn_t,
    /// Null: the built-in backends of the variant.
    pub poll: lanepipe_wait_poll_fn_t,
    /// May be null.
    pub retire: lanepipe_wait_retire_fn_t,
    /// May be null.
    pub invalidate: lanepipe_wait_invalidate_fn_t,
    /// May be null.
    pub report: lanepipe_wait_report_fn_t,
}

/// Where completed slots are collected for a later release by the caller. Full, it is emptied on the spot through
/// `lanepipe_wait_ops_t::release`, last in, first out. With capacity 0 or null pointers a slot is released at once.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_wait_release_t {
    /// Room for `capacity` slots.
    pub slots: *mut *mut c_void,
    /// Slots collected.
    pub count: *mut i32,
    /// 0 or more.
    pub capacity: i32,
    /// Must be 0.
    pub reserved: u32,
}

/// What a drain or a pass did.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_wait_result_t {
    /// `sizeof(lanepipe_wait_result_t)`, set by the caller.
    pub struct_size: u32,
    /// Host tasks completed: the sum of `stream_done`.
    pub completed: i32,
    /// Tasks completed, nodes inside of graphs included.
    pub resolved: i32,
    /// Messages consumed.
    pub drained: i32,
    /// 0, `LANEPIPE_WAIT_ERROR_*`, or what `complete` or `poll` gave.
    pub error: i32,
    /// Messages of completed tasks that were dropped.
    pub ignored: u32,
    /// Messages that are held beside the list.
    pub parked: u32,
    /// 1 if messages may have been left in the ring, because of the budget or for want of room; else 0.
    pub more: u32,
    /// Slot of the first failure, or null.
    pub failed_slot: *mut c_void,
    /// Token of the first failure.
    pub failed_token: u64,
    /// Address of the first failure's condition.
    pub failed_addr: u64,
    /// Engine of the first failure's condition.
    pub failed_engine: u32,
    /// Type of the first failure's condition.
    pub failed_type: i32,
}

/// What waits.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_wait_info_t {
    /// `sizeof(lanepipe_wait_info_t)`, set by the caller.
    pub struct_size: u32,
    /// Tasks in the list.
    pub tasks: u32,
    /// Conditions that do not hold yet.
    pub conditions: u64,
    /// Token of the task that has waited longest, without a side area of one that waits; 0 if `tasks` is 0.
    pub oldest_token: u64,
    /// Messages that are held beside the list.
    pub parked: u32,
    /// Always 0.
    pub reserved: u32,
    /// Refused attempts, as producers counted them in the list.
    pub skipped: u64,
}

impl Sized32 for lanepipe_wait_ops_t {}
impl Sized32 for lanepipe_wait_result_t {}
impl Sized32 for lanepipe_wait_info_t {}
