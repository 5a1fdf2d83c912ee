//! The wait list of the completion mailbox: tasks that wait for conditions, in memory of the caller.

mod args;
mod callbacks;
mod request;
mod types;

use super::args::{check, check_place, check_sized};
use super::mailbox::lanepipe_mailbox_t;
use super::status::{done, status};
use crate::mailbox::layout::Variant;
use crate::mailbox::wait_list::{self, ConditionRef, EntryRef, Message, Outcome, Poll, SideArea};
use crate::status::{Status, lanepipe_status_t};
use args::{list_at, list_with_side, side_at};
use callbacks::callbacks;
use core::ffi::c_void;
use core::ptr::null_mut;
use request::{request, write_result};
use types::*;

/// Bytes of a wait list: `LANEPIPE_WAIT_LIST_SIZE`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lanepipe_wait_list_size() -> usize {
    LANEPIPE_WAIT_LIST_SIZE
}

/// Bytes of a side area that holds `overflow` messages, 0 to `LANEPIPE_WAIT_MAX_OVERFLOW`. Any thread.
///
/// # Safety
///
/// `size` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_side_required_size(overflow: u32, size: *mut usize) -> lanepipe_status_t {
    let run = || {
        check(size)?;
        let required = SideArea::required_size(overflow).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        // SAFETY: checked; the caller's contract.
        unsafe { size.write(required) };
        Ok(())
    };
    done(run())
}

/// Makes a side area in `length` bytes at `memory`, which is aligned to `LANEPIPE_WAIT_SIDE_ALIGN` and stays the caller's.
/// It holds up to `overflow` messages. `flags` is `LANEPIPE_WAIT_TOKENS_COME_BACK` or 0: then messages of tasks that were
/// completed lately are dropped and counted. Any thread; nobody else uses the memory, and no call is in it.
///
/// # Safety
///
/// `memory` is null or writable for `length` bytes; `side` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_side_init(
    memory: *mut c_void,
    length: usize,
    overflow: u32,
    flags: u32,
    side: *mut *mut lanepipe_wait_side_t,
) -> lanepipe_status_t {
    if side.is_null() {
        return Status::LANEPIPE_E_NULL;
    }
    if flags & !LANEPIPE_WAIT_TOKENS_COME_BACK != 0 {
        return Status::LANEPIPE_E_INVALID;
    }
    let remembers = flags & LANEPIPE_WAIT_TOKENS_COME_BACK == 0;
    // SAFETY: the caller's contract.
    done(unsafe { SideArea::init(memory.cast(), length, overflow, remembers) }.map(|made| {
        // SAFETY: not null; the caller's contract.
        unsafe { side.write(made.as_ptr().cast()) }
    }))
}

/// Makes the list empty and free, and forgets what its side area (may be null) holds. For memory of any contents. Nobody else
/// uses the list; the caller publishes the start. From within a callback `LANEPIPE_E_OVERLAP`, as all calls with a side area.
///
/// # Safety
///
/// `list` is null or has `LANEPIPE_WAIT_LIST_SIZE` bytes; `side` is null or a side area.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_reset(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { list_with_side(list, side) }.map(|(list, side)| wait_list::reset(list, side)))
}

/// One attempt to become the list's consumer: `LANEPIPE_OK`, or `LANEPIPE_BUSY`, in which case nothing was stored. A lock
/// word that is neither 0 nor 1 counts as free. Any thread; wait-free.
///
/// # Safety
///
/// `list` is null or a wait list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_try_lock(list: *mut lanepipe_wait_list_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    status(unsafe { list_at(list) }.map(|list| match wait_list::try_lock(list) {
        true => Status::LANEPIPE_OK,
        false => Status::LANEPIPE_BUSY,
    }))
}

/// Ends being the list's consumer. Whoever has the lock, not from within a callback; wait-free.
///
/// # Safety
///
/// `list` is null or a wait list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_unlock(list: *mut lanepipe_wait_list_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { list_at(list) }.map(wait_list::unlock))
}

/// Finds the first live entry of task `token`: its address (`AsyncWaitEntry`), or `LANEPIPE_EMPTY`. `side` is the list's side
/// area or null. From within a callback `LANEPIPE_E_OVERLAP` with a side area. Whoever has the lock; wait-free.
///
/// # Safety
///
/// `list` is null or a wait list, `side` null or its side area, `entry` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_find(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
    token: u64,
    entry: *mut *mut c_void,
) -> lanepipe_status_t {
    if entry.is_null() {
        return Status::LANEPIPE_E_NULL;
    }
    let run = || {
        // SAFETY: the caller's contract.
        let (list, side) = unsafe { list_with_side(list, side)? };
        let found = wait_list::find(list, side, token).ok_or(Status::LANEPIPE_EMPTY)?;
        // SAFETY: not null; the caller's contract.
        unsafe { entry.write(found.address()) };
        Ok(())
    };
    done(run())
}

/// Appends a condition to `entry` (an `AsyncWaitEntry`, of the list or apart), `*error` 0; or `LANEPIPE_FULL` with `*error`
/// 103. In a full entry conditions that hold are dropped and those that include each other merged. From within a callback
/// `LANEPIPE_E_OVERLAP` with a side area; without one it is not called there. Whoever has the lock.
///
/// # Safety
///
/// `list` is null or a wait list, `side` null or its side area, `entry` null or an entry, `error` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_append(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
    entry: *mut c_void,
    addr: u64,
    backend_cookie: u64,
    expected_value: u32,
    engine: u32,
    completion_type: i32,
    error: *mut i32,
) -> lanepipe_status_t {
    let run = || {
        check_place(entry)?;
        check(error)?;
        // SAFETY: the caller's contract.
        let (list, side) = unsafe { list_with_side(list, side)? };
        // SAFETY: aligned; the caller's contract.
        let entry = unsafe { EntryRef::new(entry) };
        let condition = Message {
            task_token: 0,
            addr,
            backend_cookie,
            expected_value,
            engine,
            completion_type,
            kind: wait_list::CONDITION,
        };
        let stored = wait_list::append(list, side, entry, &condition);
        // SAFETY: checked; the caller's contract.
        unsafe { error.write(if stored { 0 } else { LANEPIPE_WAIT_ERROR_REGISTRATION }) };
        Ok(if stored { Status::LANEPIPE_OK } else { Status::LANEPIPE_FULL })
    };
    status(run())
}

/// Moves messages from `mailbox` into `list`. `side` is the list's side area, or null: then the list's own unused slots
/// hold what it has no room for. `mailbox` may be null: nothing is drained. `ops` may be null: nothing is completed.
/// `release` may be null. `thread` is passed to the functions.
///
/// A message that cannot be stored stays in the ring; `result->error` says why, and does so again in the next call.
/// `LANEPIPE_OK` whenever the call ran; `LANEPIPE_E_OVERLAP` if another consumer was at work on the ring, with `*result` written,
/// too. From within a callback of a call with the same side area it does nothing: `LANEPIPE_E_OVERLAP`, all counts of `*result`
/// are 0; without a side area it is not called there. Whoever has the lock; at most `ops->budget` messages, never blocks.
///
/// # Safety
///
/// `list` is null or a wait list, `side` null or its side area, `mailbox` null or a mailbox. Structures are null or
/// readable, `result` null or writable. Functions are callable; addresses in conditions are those of live words.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_drain(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
    mailbox: *mut lanepipe_mailbox_t,
    ops: *const lanepipe_wait_ops_t,
    release: *const lanepipe_wait_release_t,
    thread: i32,
    result: *mut lanepipe_wait_result_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    status(unsafe {
        request(list, side, mailbox, ops, release, thread, result).map(|request| request.run(mailbox, false))
    })
}

/// Tries the lock, drains as `lanepipe_wait_list_drain` does, polls the conditions of all tasks once, completes those that
/// have everything, and unlocks. `LANEPIPE_BUSY` if somebody else has the lock: all counts of `*result` are 0. A failure of
/// the drain ends the call before anything is polled; counts are kept. From within a callback it is `LANEPIPE_BUSY`, too: the
/// lock is held. Any thread; never blocks.
///
/// # Safety
///
/// As for `lanepipe_wait_list_drain`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_poll(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
    mailbox: *mut lanepipe_mailbox_t,
    ops: *const lanepipe_wait_ops_t,
    release: *const lanepipe_wait_release_t,
    thread: i32,
    result: *mut lanepipe_wait_result_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let locked = unsafe { list_at(list)? };
        // SAFETY: the caller's contract.
        unsafe { check_sized(result)? };
        if !wait_list::try_lock(locked) {
            write_result(result, &Outcome::default(), 0, 0);
            return Ok(Status::LANEPIPE_BUSY);
        }
        // SAFETY: the caller's contract; the lock is held.
        let outcome = unsafe {
            request(list, side, mailbox, ops, release, thread, result).map(|request| request.run(mailbox, true))
        };
        wait_list::unlock(locked);
        outcome
    };
    status(run())
}

/// Tests a condition (`CompletionCondition`) with the built-in backends of `variant`: `*state` is `LANEPIPE_WAIT_PENDING`,
/// `_READY` or `_FAILED`, then with `*error`. `invalidate` may be null. Whoever has the lock.
///
/// # Safety
///
/// `condition` is null or a condition whose words live; the other pointers are null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_test_condition(
    variant: u32,
    condition: *mut c_void,
    invalidate: lanepipe_wait_invalidate_fn_t,
    context: *mut c_void,
    state: *mut i32,
    error: *mut i32,
) -> lanepipe_status_t {
    let run = || {
        check_place(condition)?;
        check(state)?;
        check(error)?;
        let variant = Variant::from_number(variant).ok_or(Status::LANEPIPE_E_INVALID)?;
        // SAFETY: null is fine; nothing is read.
        let (mut callbacks, _) = unsafe { callbacks(null_mut(), null_mut(), 0)? };
        callbacks.ops.invalidate = invalidate;
        callbacks.ops.context = context;
        // SAFETY: aligned; the caller's contract.
        let condition = unsafe { ConditionRef::new(condition) };
        let (found, code) = match wait_list::test(variant, condition, &mut callbacks) {
            Poll::Pending => (LANEPIPE_WAIT_PENDING, 0),
            Poll::Ready => (LANEPIPE_WAIT_READY, 0),
            Poll::Failed(code) => (LANEPIPE_WAIT_FAILED, code),
        };
        // SAFETY: checked; the caller's contract.
        unsafe { state.write(found) };
        // SAFETY: as above.
        unsafe { error.write(code) };
        Ok(())
    };
    done(run())
}

/// What waits, for a watchdog that must not take a task's wait for a hang. `side` is the list's side area or null. Whoever
/// has the lock, or at rest; from within a callback `LANEPIPE_E_OVERLAP` with a side area.
///
/// # Safety
///
/// `list` is null or a wait list, `side` null or its side area, `info` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_get_info(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
    info: *mut lanepipe_wait_info_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let list = unsafe { list_at(list)? };
        // SAFETY: the caller's contract.
        unsafe { check_sized(info)? };
        // SAFETY: the caller's contract.
        let side = unsafe { side_at(side)? };
        let waiting = wait_list::waiting(list, side);
        let values = lanepipe_wait_info_t {
            struct_size: size_of::<lanepipe_wait_info_t>() as u32,
            tasks: waiting.tasks,
            conditions: waiting.conditions,
            oldest_token: waiting.oldest,
            parked: waiting.parked,
            reserved: 0,
            skipped: waiting.skipped,
        };
        // SAFETY: checked; the caller's contract.
        unsafe { info.write(values) };
        Ok(())
    };
    done(run())
}

/// Tasks in the list, for a gate. Any thread, a hint without the lock; wait-free.
///
/// # Safety
///
/// `list` is null or a wait list, `tasks` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_get_count(
    list: *mut lanepipe_wait_list_t,
    tasks: *mut u32,
) -> lanepipe_status_t {
    let run = || {
        check(tasks)?;
        // SAFETY: the caller's contract.
        let list = unsafe { list_at(list)? };
        // SAFETY: checked; the caller's contract.
        unsafe { tasks.write(list.count() as u32) };
        Ok(())
    };
    done(run())
}
