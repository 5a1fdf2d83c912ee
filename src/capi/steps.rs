//! The steps of drain and replenish threads by hand: one entry out of a device ready queue, buffers into a device free
//! queue.

use super::args::{check, check_array, object};
use super::backpressure::lanepipe_gates_t;
use super::pool::{cold, lanepipe_pool_t};
use super::queues::{lanepipe_free_queue_t, lanepipe_ready_queue_t};
use crate::pool::{Pool, Problem};
use crate::profiler::steps::{self, Supplied};
use crate::profiler::{Free, MAX_ENTRY_WORDS};
use crate::status::{Status, lanepipe_status_t};
use crate::sync::atomic::Ordering;
use crate::sync::{RawWord32, Word32};
use core::ffi::c_void;
use core::slice;

/// Flag of `lanepipe_pool_take_entry`: the tail is brought from the device first. Without it the host's copy is good enough.
pub const LANEPIPE_STEP_REFRESH: u32 = 1;

/// Takes the oldest entry of a device ready queue and gives its slot back to the device; `entry` gets its bytes. `number` is
/// for messages. With host shadows queue words go through the copy callbacks.
///
/// `LANEPIPE_EMPTY`: there is none. `LANEPIPE_AGAIN`: the next one has no address yet. `LANEPIPE_E_CORRUPT`: an index is out
/// of range. `LANEPIPE_E_CALLBACK`: a transfer failed, the entry stays queued, and the next call returns it even if the
/// device has seen the head all the same. `entry` is meaningful on `LANEPIPE_OK` only. A fault that lasts from call to call is
/// reported once. Drain thread of the queue's shard; never blocks but in the copy callbacks.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_take_entry(
    pool: *const lanepipe_pool_t,
    queue: *const lanepipe_ready_queue_t,
    number: u32,
    flags: u32,
    entry: *mut c_void,
) -> lanepipe_status_t {
    step("lanepipe_pool_take_entry", pool, |pool| {
        // SAFETY: the caller's contract.
        let view = unsafe { object(queue)? };
        let native = view.native().map_err(|problem| problem.status)?;
        let words = native.port.entry_words as usize;
        check_array(entry.cast::<u64>(), words)?;
        pool.require_own_ends()?;
        let sound = (1..=MAX_ENTRY_WORDS).contains(&words) && native.pointer_word < native.port.entry_words;
        if !sound || native.port.capacity == 0 || flags & !LANEPIPE_STEP_REFRESH != 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        // SAFETY: checked; the caller vouches for `entry_size` bytes.
        let entry = unsafe { slice::from_raw_parts_mut(entry.cast(), words) };
        let outcome = steps::take_entry(pool, &native, number, flags & LANEPIPE_STEP_REFRESH != 0, entry);
        Ok(outcome.err().unwrap_or(Status::LANEPIPE_OK))
    })
}

/// Fills a device free queue from the lane (`shard`, `kind`) until it is full or the lane dry; `*published` counts the buffers
/// and is written on every status but those of bad arguments. `gates` may be null, and so may its contended words.
///
/// `LANEPIPE_OK`. `LANEPIPE_BUSY`, nothing published: a gate is shut, or another thread takes from the shard's lanes or fills
/// the queue. `LANEPIPE_E_CALLBACK`: a transfer failed; what could not be published is parked. `LANEPIPE_E_CORRUPT`: the
/// device's head is impossible. A fault that lasts from call to call is reported once. Drain thread of the shard; never
/// blocks but in the copy callbacks, never allocates.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_top_up(
    pool: *const lanepipe_pool_t,
    queue: *const lanepipe_free_queue_t,
    gates: *const lanepipe_gates_t,
    kind: u32,
    shard: u32,
    published: *mut usize,
) -> lanepipe_status_t {
    step("lanepipe_pool_top_up", pool, |pool| {
        let free = free_queue(pool, queue, kind, published)?;
        let freeze_words = if gates.is_null() {
            [core::ptr::null_mut(); 2]
        } else {
            // SAFETY: the caller's contract.
            let gates = unsafe { object(gates)? };
            check(gates.rq_freeze)?;
            check(gates.fq_freeze)?;
            [gates.rq_freeze, gates.fq_freeze]
        };
        let is_frozen = || {
            let is_set = |word: *mut u32| {
                // Relaxed: the turn of the lanes carries the words to whoever finds it free.
                // SAFETY: checked, and the caller's contract.
                !word.is_null() && unsafe { RawWord32::new(word) }.load(Ordering::Relaxed) != 0
            };
            freeze_words.into_iter().any(is_set)
        };
        // SAFETY: the caller's contract.
        Ok(unsafe { report(steps::top_up(pool, &free, is_frozen, kind, shard), published) })
    })
}

/// Fills a device free queue from the lanes of all live shards, else with parked buffers, else with blocks of `batch_size`
/// buffers of `buffer_size` bytes (either 0: none are allocated), until it is full or nothing can be had. `*published` and
/// the status are as for `lanepipe_pool_top_up`. The owner while no thread runs, or the replenish thread between
/// `lanepipe_pool_begin_freeze_tick` and `lanepipe_pool_end_freeze_tick`.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_refill(
    pool: *const lanepipe_pool_t,
    queue: *const lanepipe_free_queue_t,
    kind: u32,
    buffer_size: usize,
    batch_size: u32,
    published: *mut usize,
) -> lanepipe_status_t {
    step("lanepipe_pool_refill", pool, |pool| {
        let free = free_queue(pool, queue, kind, published)?;
        // SAFETY: the caller's contract.
        Ok(unsafe { report(steps::refill(pool, &free, kind, buffer_size, batch_size), published) })
    })
}

/// The arguments that both steps on free queues share.
fn free_queue(
    pool: &Pool,
    queue: *const lanepipe_free_queue_t,
    kind: u32,
    published: *mut usize,
) -> Result<Free, Status> {
    check(published)?;
    pool.check_kind(kind)?;
    pool.require_own_ends()?;
    // SAFETY: both callers require a valid pointer or null.
    let free = unsafe { object(queue)? }.native().map_err(|problem: Problem| problem.status)?;
    if free.slot_count == 0 { Err(Status::LANEPIPE_E_INVALID) } else { Ok(free) }
}

/// # Safety
///
/// `published` is writable.
unsafe fn report(supplied: Supplied, published: *mut usize) -> Status {
    // SAFETY: forwarded.
    unsafe { *published = supplied.published };
    supplied.status
}

/// Runs a step whose own outcome, failures included, needs no further report.
fn step(call: &str, pool: *const lanepipe_pool_t, body: impl FnOnce(&Pool) -> Result<Status, Status>) -> Status {
    let mut outcome = Status::LANEPIPE_OK;
    let status = cold(call, pool, |pool| body(pool).map(|done| outcome = done));
    if status == Status::LANEPIPE_OK { outcome } else { status }
}
