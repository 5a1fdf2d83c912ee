//! The device engine: the steps by which a lane hands full buffers to the host and takes empty ones. The caller writes its
//! entries and keeps its states between the steps.

use super::args::{Sized32, check, sized};
use crate::device::view::{FreeView, GateView, RawHeads, ReadySlot, ReadyView};
use crate::device::wait::{Clock, GateOutcome, Latch, Refused, Spent, Wait};
use crate::layout::{Gate, RawWords64};
use crate::status::{Status, lanepipe_status_t};
use crate::sync::{RawWord32, relax};
use core::ffi::c_void;

/// `lanepipe_device_wait_t::state`: nothing was waited for yet.
pub const LANEPIPE_DEVICE_WAIT_FRESH: u32 = 0;
/// The budget runs since `lanepipe_device_wait_t::start`.
pub const LANEPIPE_DEVICE_WAIT_RUNNING: u32 = 1;
/// It is used up: every further wait is one look.
pub const LANEPIPE_DEVICE_WAIT_TIMED_OUT: u32 = 2;
/// The same after less than the budget, because the host is taken for dead.
pub const LANEPIPE_DEVICE_WAIT_HOST_GONE: u32 = 3;

/// What the state of a running wait holds above `LANEPIPE_DEVICE_WAIT_*`: waits in vain that the host was known for.
const STRIKE: u32 = 0x100;

/// Ticks of a monotonic clock; may wrap.
pub type lanepipe_device_now_fn_t = Option<unsafe extern "C" fn(context: *mut c_void) -> u64>;
/// Passes a moment.
pub type lanepipe_device_relax_fn_t = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// A lane's end of a ready queue. Words in shared memory, 4-aligned; read during a call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_ready_t {
    /// `sizeof(lanepipe_device_ready_t)`.
    pub struct_size: u32,
    /// Entries of the ring, at least 2; one less can be pending.
    pub size: u32,
    /// Written by the host.
    pub head: *mut u32,
    /// Written by the lane.
    pub tail: *mut u32,
}

/// A lane's end of a free queue. Words in shared memory, aligned to their size; read during a call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_free_t {
    /// `sizeof(lanepipe_device_free_t)`.
    pub struct_size: u32,
    /// Slots, a power of two.
    pub slot_count: u32,
    /// Written by the lane.
    pub head: *mut u32,
    /// Written by the host.
    pub tail: *mut u32,
    /// Written by the host.
    pub slots: *mut u64,
}

/// The gates of a shared region. Words in shared memory, 4-aligned; read during a call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_gates_t {
    /// `sizeof(lanepipe_device_gates_t)`.
    pub struct_size: u32,
    /// Words at `heads`; 0: none.
    pub head_count: u32,
    /// Heads of the region's ready queues, by which a host is seen to be alive; may be null with `head_count` 0.
    pub heads: *mut u32,
    /// `rq_freeze_active`.
    pub push_freeze: *mut u32,
    /// `rq_contended`.
    pub push_contended: *mut u32,
    /// `fq_freeze_active`.
    pub pop_freeze: *mut u32,
    /// `fq_contended`.
    pub pop_contended: *mut u32,
}

/// What all lanes of a region remember of a host that let a wait time out. All zero: nothing. Aligned to 8, shared between
/// threads, used by the library only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_latch_t {
    /// Not for the caller.
    pub key: u64,
    /// Not for the caller.
    pub print: u64,
    /// Not for the caller.
    pub since: u64,
}

/// One budget of time, for all waits of one operation. Set by the caller before the first, one thread's.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_wait_t {
    /// `sizeof(lanepipe_device_wait_t)`.
    pub struct_size: u32,
    /// One of `LANEPIPE_DEVICE_WAIT_*` in the low byte, kept by the calls; `LANEPIPE_DEVICE_WAIT_FRESH` at first.
    pub state: u32,
    /// Ticks of `now`; 0: one look.
    pub budget: u64,
    /// When the budget began, by `now`. Kept by the calls, unless the caller begins with `LANEPIPE_DEVICE_WAIT_RUNNING`.
    pub start: u64,
    /// Passed to the functions.
    pub context: *mut c_void,
    /// The clock; read at the first look in vain and every few looks after it. Not null.
    pub now: lanepipe_device_now_fn_t,
    /// Called once between two looks; null: a hint to the processor.
    pub relax: lanepipe_device_relax_fn_t,
    /// The memory of a dead host, by which each further wait in vain has an eighth of the patience of the one before, as
    /// long as the host shows no sign of life; null: each budget is waited for whole.
    pub latch: *mut lanepipe_device_latch_t,
}

const _: () = {
    assert!(size_of::<lanepipe_device_latch_t>() == size_of::<Latch>());
    assert!(align_of::<lanepipe_device_latch_t>() == align_of::<Latch>());
};

type Made<T> = Result<T, lanepipe_status_t>;

impl Sized32 for lanepipe_device_ready_t {}
impl Sized32 for lanepipe_device_free_t {}
impl Sized32 for lanepipe_device_gates_t {}
impl Sized32 for lanepipe_device_wait_t {}

/// # Safety
///
/// `address` is a word in shared memory, or null, or misaligned.
#[inline(always)]
unsafe fn word(address: *mut u32) -> Made<RawWord32> {
    check(address)?;
    // SAFETY: aligned; the caller's contract.
    Ok(unsafe { RawWord32::new(address) })
}

/// # Safety
///
/// `ready` is null or readable, and its words are as described.
#[inline(always)]
unsafe fn ready_view(ready: *const lanepipe_device_ready_t) -> Made<ReadyView<RawWord32>> {
    // SAFETY: the caller's contract.
    let ready = unsafe { sized(ready) }?;
    // SAFETY: the caller's contract.
    let (head, tail) = unsafe { (word(ready.head)?, word(ready.tail)?) };
    ReadyView::new(head, tail, ready.size).ok_or(Status::LANEPIPE_E_INVALID)
}

/// # Safety
///
/// `free` is null or readable, and its words are as described.
#[inline(always)]
unsafe fn free_view(free: *const lanepipe_device_free_t) -> Made<FreeView<RawWord32, RawWords64>> {
    // SAFETY: the caller's contract.
    let free = unsafe { sized(free) }?;
    // SAFETY: the caller's contract.
    let (head, tail) = unsafe { (word(free.head)?, word(free.tail)?) };
    check(free.slots)?;
    // SAFETY: aligned; the caller's contract.
    let slots = unsafe { RawWords64::new(free.slots, free.slot_count as usize) };
    FreeView::new(head, tail, slots, free.slot_count).ok_or(Status::LANEPIPE_E_INVALID)
}

/// # Safety
///
/// `gates` is null or readable, and its words are as described.
#[inline(always)]
unsafe fn gate_view(gates: *const lanepipe_device_gates_t) -> Made<Option<GateView<RawWord32>>> {
    if gates.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's contract.
    let gates = unsafe { sized(gates) }?;
    // SAFETY: the caller's contract.
    let push = unsafe { Gate { freeze: word(gates.push_freeze)?, contended: word(gates.push_contended)? } };
    // SAFETY: the caller's contract.
    let pop = unsafe { Gate { freeze: word(gates.pop_freeze)?, contended: word(gates.pop_contended)? } };
    let heads = if gates.head_count == 0 {
        RawHeads::NONE
    } else {
        check(gates.heads)?;
        // SAFETY: aligned; the caller's contract.
        unsafe { RawHeads::new(gates.heads, gates.head_count) }
    };
    Ok(Some(GateView::new(push, pop, heads, gates.push_freeze as u64)))
}

/// The caller's clock.
pub(super) struct Callbacks {
    pub(super) context: *mut c_void,
    pub(super) now: unsafe extern "C" fn(*mut c_void) -> u64,
    pub(super) relax: lanepipe_device_relax_fn_t,
}

impl Clock for Callbacks {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        // SAFETY: the caller vouches for its functions.
        unsafe { (self.now)(self.context) }
    }
    #[inline(always)]
    fn relax(&mut self) {
        match self.relax {
            // SAFETY: the caller vouches for its functions.
            Some(relax) => unsafe { relax(self.context) },
            None => relax(),
        }
    }
}

/// Runs `operation` with the caller's budget, and writes back how much of it is gone.
///
/// # Safety
///
/// `wait` is null or readable and writable, and what it names is as described.
#[inline(always)]
unsafe fn with_wait<R>(
    wait: *mut lanepipe_device_wait_t,
    operation: impl FnOnce(&mut Wait<'_, Callbacks>) -> R,
) -> Made<R> {
    // SAFETY: the caller's contract.
    let values = *unsafe { sized(wait) }?;
    let Some(now) = values.now else { return Err(Status::LANEPIPE_E_NULL) };
    let (state, strikes) = (values.state % STRIKE, values.state / STRIKE);
    let spent = match state {
        LANEPIPE_DEVICE_WAIT_FRESH => Spent::default(),
        LANEPIPE_DEVICE_WAIT_RUNNING => Spent::since(values.start).with_strikes(strikes),
        LANEPIPE_DEVICE_WAIT_TIMED_OUT => Spent::ended(values.start, Refused::TimedOut),
        LANEPIPE_DEVICE_WAIT_HOST_GONE => Spent::ended(values.start, Refused::HostGone),
        _ => return Err(Status::LANEPIPE_E_INVALID),
    };
    let latch = if values.latch.is_null() {
        None
    } else {
        check(values.latch)?;
        // SAFETY: aligned, of the same layout, and used through atomics only.
        Some(unsafe { &*values.latch.cast::<Latch>() })
    };
    let mut callbacks = Callbacks { context: values.context, now, relax: values.relax };
    let mut running = Wait::resume(&mut callbacks, latch, values.budget, spent);
    let result = operation(&mut running);
    let spent = running.spent();
    let state = match (spent.over(), spent.start()) {
        (Some(Refused::HostGone), _) => LANEPIPE_DEVICE_WAIT_HOST_GONE,
        (Some(_), _) => LANEPIPE_DEVICE_WAIT_TIMED_OUT,
        (None, Some(_)) => LANEPIPE_DEVICE_WAIT_RUNNING + STRIKE * spent.strikes(),
        (None, None) => LANEPIPE_DEVICE_WAIT_FRESH,
    };
    // SAFETY: checked; the caller's contract.
    unsafe {
        (&raw mut (*wait).state).write(state);
        (&raw mut (*wait).start).write(spent.start().unwrap_or(values.start));
    }
    Ok(result)
}

/// The status of a wait that ended so.
fn refused(reason: Refused) -> lanepipe_status_t {
    match reason {
        Refused::TimedOut | Refused::HostGone => Status::LANEPIPE_TIMED_OUT,
        Refused::NoHeader | Refused::NoQueue => Status::LANEPIPE_E_NULL,
        Refused::BadIndex => Status::LANEPIPE_E_INVALID,
    }
}

/// First half of a publication: waits for room in the ready queue, whatever the push gate says, and gives the index of the
/// entry to be filled, below `size`, and the head that was seen (`head` may be null). While there is no room the push gate's
/// signal is raised, if neither signal nor freeze is up. `LANEPIPE_TIMED_OUT` when the budget is over, with `wait->state`
/// telling why: nothing is published then. `gates` may be null: then nobody is told. The lane's thread; blocks for up to
/// the budget.
///
/// # Safety
///
/// `ready`, `gates` and `wait` are null or as described; `tail` is null or writable, `head` likewise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_ready_begin(
    ready: *const lanepipe_device_ready_t,
    gates: *const lanepipe_device_gates_t,
    wait: *mut lanepipe_device_wait_t,
    tail: *mut u32,
    head: *mut u32,
) -> lanepipe_status_t {
    let run = || {
        check(tail)?;
        // SAFETY: the caller's contract.
        let (ready, gates) = unsafe { (ready_view(ready)?, gate_view(gates)?) };
        // SAFETY: the caller's contract.
        let slot = unsafe { with_wait(wait, |wait| wait.ready(&ready, gates.as_ref())) }?.map_err(refused)?;
        // SAFETY: checked; the caller's contract.
        unsafe { tail.write(slot.tail) };
        if !head.is_null() {
            // SAFETY: the caller's contract.
            unsafe { head.write_unaligned(slot.head) };
        }
        Ok(())
    };
    status_of(run())
}

/// Second half: publishes the entry at `tail`, which `lanepipe_device_ready_begin` gave and the caller has filled. The buffer
/// is the host's from here on. To be followed by `lanepipe_device_push_gate`. `LANEPIPE_E_INVALID` if `tail` is not below
/// `size`. The lane's thread; never blocks.
///
/// # Safety
///
/// `ready` is null or as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_ready_commit(
    ready: *const lanepipe_device_ready_t,
    tail: u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    match unsafe { ready_view(ready) } {
        Ok(view) if tail < view.size() => {
            view.commit(ReadySlot { tail, head: 0 });
            Status::LANEPIPE_OK
        }
        Ok(_) => Status::LANEPIPE_E_INVALID,
        Err(status) => status,
    }
}

/// Waits while the push gate is shut. `LANEPIPE_TIMED_OUT` when the budget is over, with `wait->state` telling why; what was
/// published is the host's all the same. `LANEPIPE_OK` without gates. The lane's thread; blocks for up to the budget.
///
/// # Safety
///
/// `gates` and `wait` are null or as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_push_gate(
    gates: *const lanepipe_device_gates_t,
    wait: *mut lanepipe_device_wait_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let gates = unsafe { gate_view(gates) }?;
        // SAFETY: the caller's contract.
        match unsafe { with_wait(wait, |wait| wait.push_gate(gates.as_ref())) }? {
            GateOutcome::Passed => Ok(()),
            GateOutcome::TimedOut | GateOutcome::HostGone => Err(Status::LANEPIPE_TIMED_OUT),
        }
    };
    status_of(run())
}

/// Looks for a slot in the free queue: `LANEPIPE_OK` and its index, or `LANEPIPE_EMPTY`. Raises no signal: for the start, when
/// the host may not run yet. The lane's thread; never blocks.
///
/// # Safety
///
/// `free` is null or as described, `head` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_free_look(
    free: *const lanepipe_device_free_t,
    head: *mut u32,
) -> lanepipe_status_t {
    let run = || {
        check(head)?;
        // SAFETY: the caller's contract.
        let found = unsafe { free_view(free) }?.look().ok_or(Status::LANEPIPE_EMPTY)?;
        // SAFETY: checked; the caller's contract.
        unsafe { head.write(found) };
        Ok(())
    };
    status_of(run())
}

/// Waits for a slot in the free queue and gives its index, and the tail that was seen (`tail` may be null). A slot that is
/// there is given whatever the pop gate says. While there is none the gate's signal is raised, if neither signal nor freeze
/// is up, and a shut gate is waited for. `LANEPIPE_TIMED_OUT` when the budget is over, with `wait->state` telling why.
/// `LANEPIPE_E_NULL` at once if the queue is empty and `gates` is null, since nobody could be told. The lane's thread;
/// blocks for up to the budget.
///
/// # Safety
///
/// `free`, `gates` and `wait` are null or as described; `head` is null or writable, `tail` likewise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_free_begin(
    free: *const lanepipe_device_free_t,
    gates: *const lanepipe_device_gates_t,
    wait: *mut lanepipe_device_wait_t,
    head: *mut u32,
    tail: *mut u32,
) -> lanepipe_status_t {
    let run = || {
        check(head)?;
        // SAFETY: the caller's contract.
        let (free, gates) = unsafe { (free_view(free)?, gate_view(gates)?) };
        // SAFETY: the caller's contract.
        let found = unsafe { with_wait(wait, |wait| wait.free(&free, gates.as_ref())) }?.map_err(refused)?;
        // SAFETY: checked; the caller's contract.
        unsafe { head.write(found) };
        if !tail.is_null() {
            // SAFETY: the caller's contract.
            unsafe { tail.write_unaligned(free.tail()) };
        }
        Ok(())
    };
    status_of(run())
}

/// Takes the slot at index `head`, which one of the two calls above gave: the buffer's address, or 0 if the host put none
/// there. The slot is the host's from here on. The lane's thread; never blocks.
///
/// # Safety
///
/// `free` is null or as described, `buffer` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_free_take(
    free: *const lanepipe_device_free_t,
    head: u32,
    buffer: *mut u64,
) -> lanepipe_status_t {
    let run = || {
        check(buffer)?;
        // SAFETY: the caller's contract.
        let address = unsafe { free_view(free) }?.take(head);
        // SAFETY: checked; the caller's contract.
        unsafe { buffer.write(address) };
        Ok(())
    };
    status_of(run())
}

/// Raises the pop gate's signal for something other than a free buffer; `lanepipe_device_release` waits for the answer, with the
/// same budget. Nothing without gates. Any thread of the device; never blocks.
///
/// # Safety
///
/// `gates` and `wait` are null or as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_request_release(
    gates: *const lanepipe_device_gates_t,
    wait: *mut lanepipe_device_wait_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let gates = unsafe { gate_view(gates) }?;
        // SAFETY: the caller's contract.
        unsafe { with_wait(wait, |wait| wait.request_release(gates.as_ref())) }
    };
    status_of(run())
}

/// Waits until the pop gate is open and its signal is down. Several waits can share a budget that began at a time of the
/// caller's: set `wait->start` and `LANEPIPE_DEVICE_WAIT_RUNNING`. `LANEPIPE_TIMED_OUT` when it is over; `LANEPIPE_OK` without
/// gates. Any thread of the device; blocks for up to the budget.
///
/// # Safety
///
/// `gates` and `wait` are null or as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_release(
    gates: *const lanepipe_device_gates_t,
    wait: *mut lanepipe_device_wait_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let gates = unsafe { gate_view(gates) }?;
        // SAFETY: the caller's contract.
        unsafe { with_wait(wait, |wait| wait.release(gates.as_ref())) }?.map_err(refused)
    };
    status_of(run())
}

/// Forgets a host that was taken for dead: for the start of a run. Any thread; never blocks.
///
/// # Safety
///
/// `latch` is null or as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_device_latch_clear(latch: *mut lanepipe_device_latch_t) -> lanepipe_status_t {
    match check(latch) {
        Ok(()) => {
            // SAFETY: aligned, of the same layout, and used through atomics only.
            unsafe { &*latch.cast::<Latch>() }.clear();
            Status::LANEPIPE_OK
        }
        Err(status) => status,
    }
}

#[inline(always)]
fn status_of(outcome: Made<()>) -> lanepipe_status_t {
    match outcome {
        Ok(()) => Status::LANEPIPE_OK,
        Err(status) => status,
    }
}
