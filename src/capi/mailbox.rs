//! The completion mailbox: bounded ring of messages from many producers to one consumer, in memory of the caller.

use super::args::{Sized32, check, check_array, check_place, write_sized};
use super::status::{done, status};
use super::version::LANEPIPE_ABI_VERSION;
use crate::mailbox::layout::{self, MsgView, SlabEntry};
use crate::mailbox::memory::RawMemory;
use crate::mailbox::transport::{self, RawTransport, Transport};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;

/// Bytes of a mailbox.
pub const LANEPIPE_MAILBOX_SIZE: usize = 262_272;
/// Alignment of a mailbox in bytes. The C++ runtime declares 64; 64 keep producers and consumer on lines of their own.
pub const LANEPIPE_MAILBOX_ALIGN: usize = 8;
/// Messages that a mailbox holds.
pub const LANEPIPE_MAILBOX_CAPACITY: u32 = 4096;
/// Producers that may push at once.
pub const LANEPIPE_MAILBOX_MAX_PRODUCERS: u32 = 256;
/// Most conditions of one slab, and of one call.
pub const LANEPIPE_SLAB_CAPACITY: u32 = 64;
/// `kind` of a message that carries a condition.
pub const LANEPIPE_MESSAGE_CONDITION: u32 = 0;
/// `kind` of the message that ends a task's conditions.
pub const LANEPIPE_MESSAGE_NORMAL_DONE: u32 = 1;

/// A completion mailbox in memory of the caller, with the layout of the C++ runtime's `AICoreCompletionMailbox`. Opaque.
pub struct lanepipe_mailbox_t {
    _opaque: u8,
}

/// A message, with the layout of the C++ runtime's `AICoreCompletionMsgView`. All values are carried as they are.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_message_t {
    /// Id of the task.
    pub task_token: u64,
    /// Counter, record or handle; of `LANEPIPE_MESSAGE_NORMAL_DONE` the address of the slot state.
    pub addr: u64,
    /// Value of the backend.
    pub backend_cookie: u64,
    /// Threshold.
    pub expected_value: u32,
    /// Engine.
    pub engine: u32,
    /// Selects the backend.
    pub completion_type: i32,
    /// `LANEPIPE_MESSAGE_CONDITION` or `LANEPIPE_MESSAGE_NORMAL_DONE`; whatever stands in the slot.
    pub kind: u32,
}

/// A condition as a kernel lists it, with the layout of the C++ runtime's `DeferredCompletionEntry`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_slab_entry_t {
    /// Counter, record or handle.
    pub addr: u64,
    /// Value of the backend.
    pub backend_cookie: u64,
    /// Threshold.
    pub expected_value: u32,
    /// Engine.
    pub engine: u32,
    /// Selects the backend.
    pub completion_type: i32,
    /// Not looked at.
    pub reserved: u32,
}

/// What an observer sees of a mailbox. Exact at rest.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_mailbox_stats_t {
    /// `sizeof(lanepipe_mailbox_stats_t)`, set by the caller.
    pub struct_size: u32,
    /// Tickets that are claimed and not consumed, 0 to `LANEPIPE_MAILBOX_CAPACITY`.
    pub pending: u32,
    /// Tickets claimed.
    pub head: u64,
    /// Messages consumed.
    pub tail: u64,
    /// 1 if the oldest ticket is claimed and not published: nothing can be popped until its producer goes on. Else 0.
    pub gap: u32,
    /// Such tickets that the consumer met, since the memory was cleared.
    pub gaps: u32,
    /// How often a consumer found another one at work (`LANEPIPE_E_OVERLAP`), since the memory was cleared.
    pub overlaps: u32,
    /// Number of the run that `lanepipe_mailbox_init_empty` began last; 0 if none.
    pub run: u32,
}

const _: () = {
    use core::mem::offset_of;
    assert!(LANEPIPE_MAILBOX_SIZE == layout::MAILBOX_SIZE && LANEPIPE_MAILBOX_ALIGN == layout::ALIGN);
    assert!(LANEPIPE_MAILBOX_CAPACITY as usize == layout::CAPACITY);
    assert!(LANEPIPE_MAILBOX_MAX_PRODUCERS as usize == transport::MAX_PRODUCERS);
    assert!(LANEPIPE_SLAB_CAPACITY as usize == layout::MAX_CONDITIONS);
    assert!(LANEPIPE_MESSAGE_CONDITION == layout::KIND_CONDITION);
    assert!(LANEPIPE_MESSAGE_NORMAL_DONE == layout::KIND_NORMAL_DONE);
    assert!(size_of::<lanepipe_message_t>() == size_of::<MsgView>());
    assert!(offset_of!(lanepipe_message_t, kind) == offset_of!(MsgView, kind));
    assert!(size_of::<lanepipe_slab_entry_t>() == size_of::<SlabEntry>());
    assert!(offset_of!(lanepipe_slab_entry_t, completion_type) == offset_of!(SlabEntry, completion_type));
};

impl Sized32 for lanepipe_mailbox_stats_t {}

/// # Safety
///
/// `mailbox` is null or has `LANEPIPE_MAILBOX_SIZE` bytes of memory.
#[inline(always)]
unsafe fn transport(mailbox: *mut lanepipe_mailbox_t) -> Result<RawTransport, lanepipe_status_t> {
    check_place(mailbox)?;
    // SAFETY: aligned; the caller vouches for the memory.
    Ok(Transport::new(unsafe { RawMemory::new(mailbox.cast()) }))
}

/// Bytes of a mailbox: `LANEPIPE_MAILBOX_SIZE`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lanepipe_mailbox_size() -> usize {
    LANEPIPE_MAILBOX_SIZE
}

/// Alignment that the C++ runtime declares for a mailbox, in bytes: reserve by it. `LANEPIPE_MAILBOX_ALIGN` is enough to use
/// one. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lanepipe_mailbox_align() -> usize {
    layout::DECLARED_ALIGN
}

/// Messages that a mailbox holds: `LANEPIPE_MAILBOX_CAPACITY`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lanepipe_mailbox_capacity() -> u32 {
    LANEPIPE_MAILBOX_CAPACITY
}

/// Gives `length` bytes at `memory` the type of a mailbox, for the version `abi_version` (`LANEPIPE_ABI_VERSION` of the
/// caller's header) of this interface. Looks at no byte of the memory, which stays the caller's; its contents are those of a
/// mailbox, all zero, or are made such with `lanepipe_mailbox_init_empty`. `LANEPIPE_E_VERSION` if the library is of another
/// version, `LANEPIPE_E_MISALIGNED` below `LANEPIPE_MAILBOX_ALIGN`, `LANEPIPE_E_INVALID` if `length` is below
/// `LANEPIPE_MAILBOX_SIZE`. Any thread; never blocks.
///
/// # Safety
///
/// `mailbox` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_attach(
    memory: *mut c_void,
    length: usize,
    abi_version: u32,
    mailbox: *mut *mut lanepipe_mailbox_t,
) -> lanepipe_status_t {
    if abi_version != LANEPIPE_ABI_VERSION {
        return Status::LANEPIPE_E_VERSION;
    }
    let run = || {
        check(mailbox)?;
        check_place(memory)?;
        if length < LANEPIPE_MAILBOX_SIZE {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        // SAFETY: checked; the caller's contract.
        unsafe { *mailbox = memory.cast() };
        Ok(())
    };
    done(run())
}

/// Makes an empty mailbox of any bytes, in well under a microsecond if the memory proves to have been one made by this call
/// (then the tickets go on, from well beyond the last one), otherwise by clearing all of it. Boot thread: nobody else uses
/// the mailbox, and the caller publishes the start to other threads. Never blocks.
///
/// # Safety
///
/// `mailbox` is null or has `LANEPIPE_MAILBOX_SIZE` bytes of writable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_init_empty(mailbox: *mut lanepipe_mailbox_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { transport(mailbox) }.map(|transport| {
        transport.init_empty();
    }))
}

/// Discards everything that was not consumed, claims that nobody published included. Boot thread, as for
/// `lanepipe_mailbox_init_empty`. Never blocks.
///
/// # Safety
///
/// `mailbox` is null or a mailbox.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_discard(mailbox: *mut lanepipe_mailbox_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { transport(mailbox) }.map(|transport| transport.discard()))
}

/// `LANEPIPE_OK` if messages are pending, published or not; `LANEPIPE_EMPTY` otherwise. A hint. Stores nothing. Any thread;
/// never blocks.
///
/// # Safety
///
/// `mailbox` is null or a mailbox.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_has_pending(mailbox: *mut lanepipe_mailbox_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    match unsafe { transport(mailbox) } {
        Ok(transport) if transport.has_pending() => Status::LANEPIPE_OK,
        Ok(_) => Status::LANEPIPE_EMPTY,
        Err(status) => status,
    }
}

fn pushed(room: bool) -> lanepipe_status_t {
    if room { Status::LANEPIPE_OK } else { Status::LANEPIPE_FULL }
}

/// Publishes a condition of a task. `LANEPIPE_FULL` if there is no room, without any effect. Any thread, at most
/// `LANEPIPE_MAILBOX_MAX_PRODUCERS` at once; lock-free.
///
/// # Safety
///
/// `mailbox` is null or a mailbox.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_try_push_condition(
    mailbox: *mut lanepipe_mailbox_t,
    task_token: u64,
    addr: u64,
    backend_cookie: u64,
    expected_value: u32,
    engine: u32,
    completion_type: i32,
) -> lanepipe_status_t {
    let entry = SlabEntry { addr, backend_cookie, expected_value, engine, completion_type, pad: 0 };
    // SAFETY: the caller's contract.
    match unsafe { transport(mailbox) } {
        Ok(transport) if transport.push_at_once(&MsgView::condition(task_token, entry)) => Status::LANEPIPE_OK,
        // With the same arguments in the same places: the way that is taken almost always saves no register.
        // SAFETY: checked by `transport`.
        Ok(_) => unsafe {
            push_condition(mailbox, task_token, addr, backend_cookie, expected_value, engine, completion_type)
        },
        Err(status) => status,
    }
}

/// # Safety
///
/// `mailbox` is a mailbox.
#[inline(never)]
unsafe extern "C" fn push_condition(
    mailbox: *mut lanepipe_mailbox_t,
    task_token: u64,
    addr: u64,
    backend_cookie: u64,
    expected_value: u32,
    engine: u32,
    completion_type: i32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    let transport = Transport::new(unsafe { RawMemory::new(mailbox.cast()) });
    let entry = SlabEntry { addr, backend_cookie, expected_value, engine, completion_type, pad: 0 };
    pushed(transport.push_anyhow(&MsgView::condition(task_token, entry)))
}

/// Publishes the message that ends a task's conditions, which carries the address of its slot state. Otherwise as
/// `lanepipe_mailbox_try_push_condition`.
///
/// # Safety
///
/// `mailbox` is null or a mailbox.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_try_push_normal_done(
    mailbox: *mut lanepipe_mailbox_t,
    task_token: u64,
    slot_state_addr: u64,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    match unsafe { transport(mailbox) } {
        Ok(transport) => pushed(transport.push(&MsgView::normal_done(task_token, slot_state_addr))),
        Err(status) => status,
    }
}

/// # Safety
///
/// As for the calls below.
#[inline(always)]
unsafe fn push_slab(
    mailbox: *mut lanepipe_mailbox_t,
    task_token: u64,
    entries: *const lanepipe_slab_entry_t,
    count: u32,
    slot_state_addr: Option<u64>,
    pushed: *mut u32,
) -> Result<lanepipe_status_t, Status> {
    check(pushed)?;
    check_array(entries, count as usize)?;
    if count > LANEPIPE_SLAB_CAPACITY {
        return Err(Status::LANEPIPE_E_TOO_LARGE);
    }
    // SAFETY: the caller's contract.
    let transport = unsafe { transport(mailbox)? };
    // SAFETY: checked; the caller vouches for `count` entries.
    let stored = unsafe { transport.push_slab(task_token, entries.cast(), count as usize, slot_state_addr) };
    // SAFETY: checked; the caller's contract.
    unsafe { *pushed = stored as u32 };
    let wanted = count as usize + usize::from(slot_state_addr.is_some());
    Ok(if stored < wanted { Status::LANEPIPE_FULL } else { Status::LANEPIPE_OK })
}

/// Publishes conditions of a task, `count` (at most `LANEPIPE_SLAB_CAPACITY`) at `entries`, in order under consecutive
/// tickets that one exchange takes. `*pushed` is written on `LANEPIPE_OK` and on `LANEPIPE_FULL`, when only as many of the
/// first ones fitted: go on behind them. `entries` may be memory that a device writes; each is read once. Otherwise as
/// `lanepipe_mailbox_try_push_condition`.
///
/// # Safety
///
/// `mailbox` is null or a mailbox, `entries` null or readable for `count` elements, `pushed` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_try_push_entries(
    mailbox: *mut lanepipe_mailbox_t,
    task_token: u64,
    entries: *const lanepipe_slab_entry_t,
    count: u32,
    pushed: *mut u32,
) -> lanepipe_status_t {
    // SAFETY: forwarded.
    status(unsafe { push_slab(mailbox, task_token, entries, count, None, pushed) })
}

/// As `lanepipe_mailbox_try_push_entries`, with the message that ends the task's conditions behind them, under the same
/// exchange: for a task that has no other subtask. `*pushed` counts it, so that the call is repeated with what is left of
/// `entries`, and none of them, until it gives `LANEPIPE_OK`.
///
/// # Safety
///
/// As for `lanepipe_mailbox_try_push_entries`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_try_push_task(
    mailbox: *mut lanepipe_mailbox_t,
    task_token: u64,
    entries: *const lanepipe_slab_entry_t,
    count: u32,
    slot_state_addr: u64,
    pushed: *mut u32,
) -> lanepipe_status_t {
    // SAFETY: forwarded.
    status(unsafe { push_slab(mailbox, task_token, entries, count, Some(slot_state_addr), pushed) })
}

/// Copies the oldest message and leaves it where it is. `*message` is written on `LANEPIPE_OK` only; otherwise as
/// `lanepipe_mailbox_try_pop`.
///
/// # Safety
///
/// `mailbox` is null or a mailbox, `message` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_peek(
    mailbox: *mut lanepipe_mailbox_t,
    message: *mut lanepipe_message_t,
) -> lanepipe_status_t {
    let run = || {
        check(message)?;
        // SAFETY: the caller's contract.
        let transport = unsafe { transport(mailbox)? };
        let reader = transport.reader();
        let view = reader.peek().ok_or_else(|| reader.why())?;
        // SAFETY: checked; the caller's contract.
        unsafe { message.cast::<MsgView>().write(view) };
        Ok(())
    };
    done(run())
}

/// Takes the oldest message. `*message` is written on `LANEPIPE_OK` only. `LANEPIPE_EMPTY` if there is none, `LANEPIPE_AGAIN`
/// if the oldest is claimed by a producer and not published yet, `LANEPIPE_E_OVERLAP` if another thread consumes at the same
/// time, which is misuse: this call has taken nothing then. Consumer: one thread at a time, the same until it is handed over
/// with synchronisation. Wait-free.
///
/// # Safety
///
/// `mailbox` is null or a mailbox, `message` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_try_pop(
    mailbox: *mut lanepipe_mailbox_t,
    message: *mut lanepipe_message_t,
) -> lanepipe_status_t {
    let run = || {
        check(message)?;
        // SAFETY: the caller's contract.
        let view = unsafe { transport(mailbox)? }.try_pop()?;
        // SAFETY: checked; the caller's contract.
        unsafe { message.cast::<MsgView>().write(view) };
        Ok(())
    };
    done(run())
}

/// Takes up to `max` messages in order, until there is none or one is not published yet, and gives all their slots back at
/// once. `*popped` is written on `LANEPIPE_OK` only, when it is at least 1 unless `max` is 0. The memory at `messages` may be
/// written beyond `*popped` and on any outcome. Otherwise as `lanepipe_mailbox_try_pop`.
///
/// # Safety
///
/// `mailbox` is null or a mailbox, `messages` null or writable for `max` elements, `popped` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_pop_batch(
    mailbox: *mut lanepipe_mailbox_t,
    messages: *mut lanepipe_message_t,
    max: u32,
    popped: *mut u32,
) -> lanepipe_status_t {
    let run = || {
        check(popped)?;
        check_array(messages, max as usize)?;
        // SAFETY: the caller's contract.
        let transport = unsafe { transport(mailbox)? };
        let messages = messages.cast::<MsgView>();
        let count = transport.pop_batch(max as usize, |index, view| {
            // SAFETY: the index is below `max`; the caller vouches for as many elements.
            unsafe { messages.add(index).write(view) };
        })?;
        // SAFETY: checked; the caller's contract.
        unsafe { *popped = count as u32 };
        Ok(())
    };
    done(run())
}

/// What an observer sees. `*stats` has its `struct_size` set. Any thread; never blocks.
///
/// # Safety
///
/// `mailbox` is null or a mailbox, `stats` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_mailbox_get_stats(
    mailbox: *mut lanepipe_mailbox_t,
    stats: *mut lanepipe_mailbox_stats_t,
) -> lanepipe_status_t {
    let seen = || {
        // SAFETY: the caller's contract.
        let seen = unsafe { transport(mailbox)? }.stats();
        Ok(lanepipe_mailbox_stats_t {
            struct_size: size_of::<lanepipe_mailbox_stats_t>() as u32,
            pending: seen.pending,
            head: seen.head,
            tail: seen.tail,
            gap: u32::from(seen.gap),
            gaps: seen.gaps,
            overlaps: seen.overlaps,
            run: seen.run,
        })
    };
    // SAFETY: the caller's contract.
    done(unsafe { write_sized(stats, seen) })
}
