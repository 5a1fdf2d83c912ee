//! The wait list of the completion mailbox: tasks that wait for conditions, in memory of the caller.

use super::mailbox::lanepipe_mailbox_t;
use crate::mailbox::ends::Consumer;
use crate::mailbox::layout::Variant;
use crate::mailbox::memory::RawMemory;
use crate::mailbox::transport::Transport;
use crate::mailbox::wait_list::{
    self, ALIGN, ConditionRef, EntryRef, Failure, ListRef, Message, Mode, NoSource, Outcome, Poll, SIZE, Side, Sink,
};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;
use core::ptr::null_mut;

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
    assert!(LANEPIPE_WAIT_SIDE_ALIGN == align_of::<Side>());
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
/// list, which is then changed by functions of this section alone.
pub struct lanepipe_wait_side_t {
    _opaque: u8,
}

/// Completes the task whose slot state is at `slot`. 0, or an error code, after which the task stays. `*stream_done` is 0
/// before and says how many host tasks that completed. Runs under the list's lock.
pub type lanepipe_wait_complete_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, slot: *mut c_void, thread: i32, stream_done: *mut i32) -> i32>;
/// Releases a completed slot. Runs under the list's lock.
pub type lanepipe_wait_release_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, slot: *mut c_void, thread: i32)>;
/// Polls a condition (`CompletionCondition`): `LANEPIPE_WAIT_PENDING`, `_READY`, or `_FAILED` with `*error` set.
pub type lanepipe_wait_poll_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, condition: *const c_void, error: *mut i32) -> i32>;
/// Retires a condition that holds; once per condition.
pub type lanepipe_wait_retire_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, condition: *mut c_void)>;
/// Drops `bytes` of the device's cache from `line` on.
pub type lanepipe_wait_invalidate_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, line: usize, bytes: usize)>;
/// Tells of a failure and of the task and condition or message that it is about.
pub type lanepipe_wait_report_fn_t = Option<
    unsafe extern "C" fn(context: *mut c_void, error: i32, token: u64, addr: u64, engine: u32, completion_type: i32),
>;

/// What a list is used with. Read during the call only.
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

fn check<T>(pointer: *const T, align: usize) -> Result<(), Status> {
    if pointer.is_null() {
        Err(Status::LANEPIPE_E_NULL)
    } else if !(pointer as usize).is_multiple_of(align) {
        Err(Status::LANEPIPE_E_MISALIGNED)
    } else {
        Ok(())
    }
}

/// Checks a structure that starts with its size.
///
/// # Safety
///
/// `pointer` is null or readable for its `struct_size`.
unsafe fn check_sized<T>(pointer: *const T) -> Result<(), Status> {
    check(pointer, align_of::<T>())?;
    // SAFETY: every such structure starts with its size.
    let size = unsafe { pointer.cast::<u32>().read() };
    if size as usize == size_of::<T>() { Ok(()) } else { Err(Status::LANEPIPE_E_STRUCT_SIZE) }
}

/// # Safety
///
/// `list` is null or a wait list.
unsafe fn list_at(list: *mut lanepipe_wait_list_t) -> Result<ListRef, Status> {
    check(list, ALIGN)?;
    // SAFETY: aligned; the caller's contract.
    Ok(unsafe { ListRef::new(list.cast()) })
}

/// # Safety
///
/// `side` is null or a side area whose list the caller has locked.
unsafe fn side_at<'a>(side: *mut lanepipe_wait_side_t) -> Result<Option<&'a mut Side>, Status> {
    if side.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's contract.
    unsafe { Side::at(side.cast()) }.map(Some)
}

/// Callbacks of the caller and what they count.
struct Callbacks {
    ops: lanepipe_wait_ops_t,
    release: Option<lanepipe_wait_release_t>,
    thread: i32,
    completed: i32,
    resolved: i32,
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
unsafe fn callbacks(
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
        check(release, align_of::<lanepipe_wait_release_t>())?;
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

/// Everything of a call that works on list and mailbox, checked.
struct Request<'a> {
    list: ListRef,
    side: Option<&'a mut Side>,
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
    unsafe fn run(self, mailbox: *mut lanepipe_mailbox_t, polls: bool) -> Status {
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
    side: Option<&mut Side>,
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

fn write_result(result: *mut lanepipe_wait_result_t, outcome: &Outcome, completed: i32, resolved: i32) {
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
unsafe fn request<'a>(
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
        check(mailbox, ALIGN)?;
    }
    // SAFETY: the caller's contract.
    let (callbacks, mode) = unsafe { callbacks(ops, release, thread)? };
    // SAFETY: the caller's contract: under the lock. The area's contents are looked at once that is certain.
    let side = unsafe { side_at(side)? };
    Ok(Request { list, side, callbacks, mode, result })
}

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
    if let Err(status) = check(size, align_of::<usize>()) {
        return status;
    }
    let Some(required) = Side::required_size(overflow) else { return Status::LANEPIPE_E_TOO_LARGE };
    // SAFETY: checked; the caller's contract.
    unsafe { size.write(required) };
    Status::LANEPIPE_OK
}

/// Makes a side area in `length` bytes at `memory`, which is aligned to `LANEPIPE_WAIT_SIDE_ALIGN` and stays the caller's.
/// It holds up to `overflow` messages. `flags` is `LANEPIPE_WAIT_TOKENS_COME_BACK` or 0: then messages of tasks that were
/// completed lately are dropped and counted. Any thread; nobody else uses the memory.
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
    match unsafe { Side::init(memory.cast(), length, overflow, remembers) } {
        Ok(made) => {
            // SAFETY: not null; the caller's contract.
            unsafe { side.write(made.as_ptr().cast()) };
            Status::LANEPIPE_OK
        }
        Err(status) => status,
    }
}

/// Makes the list empty and free, and forgets what its side area (may be null) holds. For memory of any contents. Nobody else
/// uses the list; the caller publishes the start.
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
    let list = match unsafe { list_at(list) } {
        Ok(list) => list,
        Err(status) => return status,
    };
    // SAFETY: the caller's contract.
    let side = match unsafe { side_at(side) } {
        Ok(side) => side,
        Err(status) => return status,
    };
    wait_list::reset(list, side);
    Status::LANEPIPE_OK
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
    match unsafe { list_at(list) } {
        Ok(list) if wait_list::try_lock(list) => Status::LANEPIPE_OK,
        Ok(_) => Status::LANEPIPE_BUSY,
        Err(status) => status,
    }
}

/// Ends being the list's consumer. Whoever has the lock; wait-free.
///
/// # Safety
///
/// `list` is null or a wait list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_wait_list_unlock(list: *mut lanepipe_wait_list_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    match unsafe { list_at(list) } {
        Ok(list) => {
            wait_list::unlock(list);
            Status::LANEPIPE_OK
        }
        Err(status) => status,
    }
}

/// Finds the first live entry of task `token`: its address (`AsyncWaitEntry`), or `LANEPIPE_EMPTY`. `side` is the list's side
/// area or null. Whoever has the lock; wait-free.
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
    // SAFETY: the caller's contract.
    let list = match unsafe { list_at(list) } {
        Ok(list) => list,
        Err(status) => return status,
    };
    // SAFETY: the caller's contract.
    let side = match unsafe { side_at(side) } {
        Ok(side) => side,
        Err(status) => return status,
    };
    let Some(found) = wait_list::find(list, side, token) else { return Status::LANEPIPE_EMPTY };
    // SAFETY: not null; the caller's contract.
    unsafe { entry.write(found.address()) };
    Status::LANEPIPE_OK
}

/// Appends a condition to `entry` (an `AsyncWaitEntry`, of the list or apart), `*error` 0; or `LANEPIPE_FULL` with `*error`
/// 103. In a full entry conditions that hold are dropped and those that include each other merged. Whoever has the lock.
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
    if let Err(status) = check(entry, ALIGN).and(check(error, align_of::<i32>())) {
        return status;
    }
    // SAFETY: the caller's contract.
    let list = match unsafe { list_at(list) } {
        Ok(list) => list,
        Err(status) => return status,
    };
    // SAFETY: the caller's contract.
    let side = match unsafe { side_at(side) } {
        Ok(side) => side,
        Err(status) => return status,
    };
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
    if stored { Status::LANEPIPE_OK } else { Status::LANEPIPE_FULL }
}

/// Moves messages from `mailbox` into `list`. `side` is the list's side area, or null: then the list's own unused slots
/// hold what it has no room for. `mailbox` may be null: nothing is drained. `ops` may be null: nothing is completed.
/// `release` may be null. `thread` is passed to the functions.
///
/// A message that cannot be stored stays in the ring; `result->error` says why, and does so again in the next call.
/// `LANEPIPE_OK` whenever the call ran; `LANEPIPE_E_OVERLAP` if another consumer was at work on the ring, with `*result` written,
/// too. Whoever has the lock; at most `ops->budget` messages, never blocks.
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
    match unsafe { request(list, side, mailbox, ops, release, thread, result) } {
        // SAFETY: the caller's contract.
        Ok(request) => unsafe { request.run(mailbox, false) },
        Err(status) => status,
    }
}

/// Tries the lock, drains as `lanepipe_wait_list_drain` does, polls the conditions of all tasks once, completes those that
/// have everything, and unlocks. `LANEPIPE_BUSY` if somebody else has the lock: all counts of `*result` are 0. A failure of
/// the drain ends the call before anything is polled; counts are kept. Any thread; never blocks.
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
    // SAFETY: the caller's contract.
    let locked = match unsafe { list_at(list) } {
        Ok(locked) => locked,
        Err(status) => return status,
    };
    // SAFETY: the caller's contract.
    if let Err(status) = unsafe { check_sized(result) } {
        return status;
    }
    if !wait_list::try_lock(locked) {
        write_result(result, &Outcome::default(), 0, 0);
        return Status::LANEPIPE_BUSY;
    }
    // SAFETY: the caller's contract; the lock is held.
    let status = match unsafe { request(list, side, mailbox, ops, release, thread, result) } {
        // SAFETY: as above.
        Ok(request) => unsafe { request.run(mailbox, true) },
        Err(status) => status,
    };
    wait_list::unlock(locked);
    status
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
    if let Err(status) = check(condition, ALIGN).and(check(state, 4)).and(check(error, 4)) {
        return status;
    }
    let Some(variant) = Variant::from_number(variant) else { return Status::LANEPIPE_E_INVALID };
    // SAFETY: null is fine; nothing is read.
    let (mut callbacks, _) = match unsafe { callbacks(null_mut(), null_mut(), 0) } {
        Ok(callbacks) => callbacks,
        Err(status) => return status,
    };
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
    Status::LANEPIPE_OK
}

/// What waits, for a watchdog that must not take a task's wait for a hang. `side` is the list's side area or null. Whoever
/// has the lock, or at rest.
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
    // SAFETY: the caller's contract.
    let list = match unsafe { list_at(list) } {
        Ok(list) => list,
        Err(status) => return status,
    };
    // SAFETY: the caller's contract.
    if let Err(status) = unsafe { check_sized(info) } {
        return status;
    }
    // SAFETY: the caller's contract.
    let side = match unsafe { side_at(side) } {
        Ok(side) => side,
        Err(status) => return status,
    };
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
    Status::LANEPIPE_OK
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
    if let Err(status) = check(tasks, align_of::<u32>()) {
        return status;
    }
    // SAFETY: the caller's contract.
    match unsafe { list_at(list) } {
        Ok(list) => {
            // SAFETY: checked; the caller's contract.
            unsafe { tasks.write(list.count() as u32) };
            Status::LANEPIPE_OK
        }
        Err(status) => status,
    }
}
