//! The profiler: threads that carry buffers from device ready queues to the collector and back to device free queues.

use super::args::{Sized32, array, check, check_sized, object, sized};
use super::failure::{fail, problem};
use super::guard::{Poison, guard, report};
use super::pool::{LANEPIPE_MAX_KINDS, deadline, lanepipe_buffer_t, lanepipe_pool_t};
use super::status::lanepipe_error_t;
use crate::layout::{FreePort, RawWords64, ReadyPort};
use crate::pool::{Buffer, Pool, Problem};
use crate::profiler::{
    self, Config, Entry, Free, Hooks, Instance, KindConfig, Profiler, ReadyQueueConfig, Role, Site, State, ThreadBody,
};
use crate::status::{Status, lanepipe_status_t};
use crate::sync::RawWord32;
use core::ffi::c_void;
use std::sync::Arc;

/// Most device ready queues.
pub const LANEPIPE_MAX_QUEUES: u32 = 64;
/// Most instances (free queues).
pub const LANEPIPE_MAX_INSTANCES: u32 = 1 << 16;
/// Most entries in one `resolve` call.
pub const LANEPIPE_MAX_ENTRIES: u32 = 8;
/// Most elements in one `collect` call.
pub const LANEPIPE_MAX_COLLECT: u32 = 64;
/// As `lanepipe_site_t::instance`: the entry is not acceptable.
pub const LANEPIPE_REJECT: u32 = u32::MAX;

/// Role of a thread: polls device words, one per profiler.
pub const LANEPIPE_ROLE_SENTINEL: u32 = 0;
/// Role of a thread: device ready queues to ready ring, one per shard.
pub const LANEPIPE_ROLE_DRAIN: u32 = 1;
/// Role of a thread: done rings to recycled lanes, and allocation, one per profiler.
pub const LANEPIPE_ROLE_REPLENISH: u32 = 2;
/// Role of a thread: ready ring to the collect callback, one per shard.
pub const LANEPIPE_ROLE_COLLECT: u32 = 3;

/// A device ready queue, by host addresses inside the shared region. Indices run modulo `capacity`; one slot stays empty, so
/// that a queue of capacity 1 never holds an entry.
#[repr(C)]
pub struct lanepipe_ready_queue_t {
    /// First entry.
    pub entries: *mut c_void,
    /// Next entry to take; written by the host only.
    pub head: *mut u32,
    /// Next entry to fill; written by the device only.
    pub tail: *mut u32,
    /// Modulus of the indices, 1 or more.
    pub capacity: u32,
    /// Bytes from one entry to the next, a multiple of 8 up to 256.
    pub entry_size: u32,
    /// Offset of the 64-bit buffer address in an entry, a multiple of 8.
    pub pointer_offset: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// A device free queue, by host addresses inside the shared region. Counters grow without bound and wrap at 2^32; the slot of
/// a counter is its remainder modulo `slot_count`, so that only with a power of two the wrap passes unseen.
#[repr(C)]
pub struct lanepipe_free_queue_t {
    /// Next slot to take; written by the device only.
    pub head: *mut u32,
    /// Next slot to fill; written by the host only.
    pub tail: *mut u32,
    /// Buffer addresses.
    pub slots: *mut u64,
    /// Slots, 1 or more.
    pub slot_count: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// A producer of buffers on the device: one free queue, one kind, one ready queue for the whole run.
#[repr(C)]
pub struct lanepipe_instance_t {
    /// Its free queue.
    pub free_queue: lanepipe_free_queue_t,
    /// Its kind.
    pub kind: u32,
    /// The ready queue on which it publishes.
    pub queue: u32,
}

/// A buffer kind.
#[repr(C)]
pub struct lanepipe_kind_t {
    /// Bytes of a buffer; no more than any buffer of the kind has, whoever allocated it.
    pub buffer_size: usize,
    /// Buffers in one allocated block, 1 or more.
    pub batch_size: u32,
    /// Buffers below which a lane is refilled by allocation; 0: never.
    pub warm_target: u32,
    /// Buffers of this kind beyond which none is allocated; 0: no limit. Buffers are only allocated while none of the kind
    /// is on its way back.
    pub max_buffers: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// An entry of a device ready queue as `resolve` sees it.
#[repr(C)]
pub struct lanepipe_entry_t {
    /// The entry's bytes, a private copy.
    pub bytes: *const c_void,
    /// Device address of the buffer.
    pub dev: *mut c_void,
    /// Host address of the buffer. Null: the address is not that of a buffer at the device, and the entry is rejected
    /// whatever the answer; an instance in the answer still gets its free queue refilled.
    pub host: *mut c_void,
    /// Kind under which the pool knows the buffer; `UINT32_MAX` if it does not.
    pub kind: u32,
    /// Identity in the ledger, 0 if unknown.
    pub id: u32,
}

/// What `resolve` answers for an entry.
#[repr(C)]
pub struct lanepipe_site_t {
    /// Index of the instance that published the entry, or `LANEPIPE_REJECT`, which it is preset to.
    pub instance: u32,
    /// Must be left 0.
    pub reserved: u32,
    /// Bytes of contents to bring to the host before the buffer is collected, up to the kind's `buffer_size`.
    pub content_size: usize,
    /// Points at zeroed memory of the pool's payload size, to be filled by the callback.
    pub payload: *mut c_void,
}

/// Interprets `count` entries of device ready queue `queue`. Drain thread of the queue's shard. Must not block, throw, or
/// start, stop or destroy its profiler.
pub type lanepipe_resolve_fn_t = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        queue: u32,
        entries: *const lanepipe_entry_t,
        count: usize,
        sites: *mut lanepipe_site_t,
    ),
>;

/// Takes `count` buffers with their payloads (back to back). Collect thread of `shard`: calls with one shard never
/// overlap. May block; the buffers go back into circulation when it returns. Must not throw, or start, stop or destroy
/// its profiler.
pub type lanepipe_collect_fn_t = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        shard: u32,
        buffers: *const lanepipe_buffer_t,
        payloads: *const c_void,
        count: usize,
    ),
>;

/// Body of a thread of lanepipe. Never unwinds.
pub type lanepipe_thread_entry_fn_t = Option<unsafe extern "C" fn(argument: *mut c_void)>;

/// Creates a thread that calls `entry(argument)` once, and stores a handle for `join`. 0 is success. Called by the thread
/// that calls `lanepipe_profiler_start`.
pub type lanepipe_thread_create_fn_t = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        role: u32,
        index: u32,
        entry: lanepipe_thread_entry_fn_t,
        argument: *mut c_void,
        thread: *mut *mut c_void,
    ) -> i32,
>;

/// Waits for a thread whose `entry` has returned or is about to; it returns only after the thread has ended. Called by the thread that calls `lanepipe_profiler_stop`
/// or a failing `lanepipe_profiler_start`.
pub type lanepipe_thread_join_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, thread: *mut c_void)>;

/// What a profiler is made of. Copied; the arrays are copied too.
#[repr(C)]
pub struct lanepipe_profiler_config_t {
    /// `sizeof(lanepipe_profiler_config_t)`.
    pub struct_size: u32,
    /// Device ready queues, 1 to `LANEPIPE_MAX_QUEUES`. Queue q belongs to shard q modulo the pool's live shards.
    pub queue_count: u32,
    /// Instances, 1 to `LANEPIPE_MAX_INSTANCES`.
    pub instance_count: u32,
    /// Kinds; those of the pool.
    pub kind_count: u32,
    /// Most elements in one `collect` call, 1 to `LANEPIPE_MAX_COLLECT`; 0 is 1.
    pub collect_batch: u32,
    /// Must be 0.
    pub reserved: u32,
    /// `queue_count` ready queues.
    pub queues: *const lanepipe_ready_queue_t,
    /// `instance_count` instances.
    pub instances: *const lanepipe_instance_t,
    /// `kind_count` kinds.
    pub kinds: *const lanepipe_kind_t,
    /// Shortest polling interval in nanoseconds; 0 is 50,000.
    pub poll_min_ns: u64,
    /// Longest polling interval in nanoseconds, reached after `quiet_ns` without traffic; 0 is 1,000,000.
    pub poll_max_ns: u64,
    /// Silence before the polling interval grows, in nanoseconds; 0 is 100,000,000.
    pub quiet_ns: u64,
    /// Passed to `resolve` and `collect`. Must stay valid until the profiler is destroyed.
    pub context: *mut c_void,
    /// Interprets entries.
    pub resolve: lanepipe_resolve_fn_t,
    /// Takes buffers.
    pub collect: lanepipe_collect_fn_t,
    /// Passed to the thread factory. Must stay valid until the profiler is destroyed.
    pub thread_context: *mut c_void,
    /// The thread factory.
    pub thread_create: lanepipe_thread_create_fn_t,
    /// Its counterpart.
    pub thread_join: lanepipe_thread_join_fn_t,
}

/// State of a profiler: never started, or stopped.
pub const LANEPIPE_PROFILER_STOPPED: u32 = 0;
/// State of a profiler: threads run.
pub const LANEPIPE_PROFILER_RUNNING: u32 = 1;
/// State of a profiler: a stop began and has not finished.
pub const LANEPIPE_PROFILER_STOPPING: u32 = 2;

/// Counters of one device ready queue and what became of its entries. They grow from creation on; read while threads run
/// they are a snapshot without a common instant.
#[repr(C)]
pub struct lanepipe_queue_stats_t {
    /// `sizeof(lanepipe_queue_stats_t)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Entries taken from the queue.
    pub taken: u64,
    /// Entries passed to the ready ring.
    pub delivered: u64,
    /// Entries refused by `resolve`, with an unknown address, or published twice.
    pub rejected: u64,
    /// Entries whose contents could not be copied for good.
    pub copy_failed: u64,
    /// Buffers put into free queues.
    pub refilled: u64,
    /// Times a free queue was left empty because its lane was.
    pub starved: u64,
    /// Times the ready ring was full.
    pub ready_full: u64,
    /// Failed transfers of queue words, retried.
    pub transfer_failed: u64,
    /// Scans that found indices out of range.
    pub corrupt: u64,
}

/// Counters of one shard's collect side and of the pipeline as a whole.
#[repr(C)]
pub struct lanepipe_shard_stats_t {
    /// `sizeof(lanepipe_shard_stats_t)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Elements collected.
    pub collected: u64,
    /// Calls of `collect`.
    pub collect_calls: u64,
    /// Buffers retired because the done ring was full.
    pub done_full: u64,
    /// Buffers put into this shard's lanes.
    pub recycled: u64,
    /// Buffers that the replenish thread allocated for this shard's lanes.
    pub allocated: u64,
}

/// The last fault of a worker thread.
#[repr(C)]
pub struct lanepipe_fault_t {
    /// `sizeof(lanepipe_fault_t)`.
    pub struct_size: u32,
    /// What happened (a `lanepipe_status_t`), 0 if nothing ever did.
    pub status: i32,
    /// `LANEPIPE_ROLE_*` of the thread.
    pub role: u32,
    /// Queue for the drain role, shard for others.
    pub index: u32,
    /// Device address or index concerned, or 0.
    pub value: u64,
    /// Faults so far.
    pub count: u64,
}

/// Creates a profiler on `pool`, which must outlive it. Nothing is started. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_create(
    pool: *mut lanepipe_pool_t,
    config: *const lanepipe_profiler_config_t,
    error: *mut lanepipe_error_t,
    profiler: *mut *mut lanepipe_profiler_t,
) -> lanepipe_status_t {
    guard(|| {
        // SAFETY: the caller's contract.
        unsafe {
            let pool = match object(pool) {
                Ok(handle) => &handle.pool,
                Err(status) => return Err(fail(error, problem(status), None)),
            };
            let refuse = |problem| Err(fail(error, problem, Some(pool.logger())));
            let config = match check(profiler).and_then(|()| sized(config)) {
                Ok(config) => config,
                Err(status) => return refuse(problem(status)),
            };
            let config = match config.native() {
                Ok(config) => config,
                Err(problem) => return refuse(problem),
            };
            if let Err(problem) = config.check(pool) {
                return refuse(problem);
            }
            match Profiler::new(pool.clone(), config) {
                Ok(made) => {
                    *profiler = Box::into_raw(Box::new(lanepipe_profiler_t {
                        profiler: made,
                        pool: pool.clone(),
                        poison: Poison::default(),
                    }))
                }
                Err(status) => return refuse(problem(status)),
            }
        }
        Ok(())
    })
}

/// Fills every free queue, from the lanes of its shard or else from new blocks, as far as allocator and `max_buffers` allow;
/// then starts the threads: one collect per live shard, replenish, one drain per live shard, sentinel. On
/// failure none is left running: `LANEPIPE_E_STATE` if it runs or is stopping or another profiler runs on the pool,
/// `LANEPIPE_BUSY` while another thread is inside start or stop, `LANEPIPE_E_CORRUPT` if a ready head is out of range,
/// `LANEPIPE_E_INVALID` if memory is copied and a queue is not inside the shared region, `LANEPIPE_E_THREAD` if the factory
/// fails, `LANEPIPE_E_NO_MEMORY`. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_start(profiler: *mut lanepipe_profiler_t) -> lanepipe_status_t {
    on("lanepipe_profiler_start", profiler, Profiler::start)
}

/// Delivers every entry that the device published before the call, then ends and joins all threads. The device must be
/// quiet. `LANEPIPE_TIMED_OUT` after `timeout_ns` nanoseconds (`LANEPIPE_FOREVER`: no limit): the profiler stays in
/// stopping, keeps its memory, and a later stop may finish. Success on a profiler that does not run. `LANEPIPE_BUSY` while
/// another thread is inside start or stop. Works on a poisoned profiler too. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_stop(
    profiler: *mut lanepipe_profiler_t,
    timeout_ns: u64,
) -> lanepipe_status_t {
    // Not through the poison: threads must be ended whatever happened before.
    run("lanepipe_profiler_stop", profiler, |handle| guard(|| handle.profiler.stop(deadline(timeout_ns))))
}

/// Destroys a profiler that does not run. Null is allowed. `LANEPIPE_BUSY` while threads run. Owner thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_destroy(profiler: *mut lanepipe_profiler_t) -> lanepipe_status_t {
    if profiler.is_null() {
        return Status::LANEPIPE_OK;
    }
    guard(|| {
        // SAFETY: the caller's contract.
        let handle = unsafe { object(profiler)? };
        if handle.profiler.state() != State::Stopped {
            return Err(Status::LANEPIPE_BUSY);
        }
        // SAFETY: made by `lanepipe_profiler_create`, and the caller gives it up.
        drop(unsafe { Box::from_raw(profiler) });
        Ok(())
    })
}

/// `LANEPIPE_PROFILER_*` state. Any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_state(
    profiler: *const lanepipe_profiler_t,
    state: *mut u32,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_state", profiler, |profiler| {
        check(state)?;
        // SAFETY: checked, and the caller's contract.
        unsafe { *state = profiler.state() as u32 };
        Ok(())
    })
}

/// Counters of device ready queue `queue`. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_queue_stats(
    profiler: *const lanepipe_profiler_t,
    queue: u32,
    stats: *mut lanepipe_queue_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_queue_stats", profiler, |profiler| {
        // SAFETY: the caller's contract.
        unsafe { check_sized(stats)? };
        let found = profiler.queue_stats(queue).ok_or(Status::LANEPIPE_E_INVALID)?;
        // SAFETY: checked.
        unsafe {
            *stats = lanepipe_queue_stats_t {
                struct_size: size_of::<lanepipe_queue_stats_t>() as u32,
                reserved: 0,
                taken: found.taken,
                delivered: found.delivered,
                rejected: found.rejected,
                copy_failed: found.copy_failed,
                refilled: found.refilled,
                starved: found.starved,
                ready_full: found.ready_full,
                transfer_failed: found.transfer_failed,
                corrupt: found.corrupt,
            };
        }
        Ok(())
    })
}

/// Counters of shard `shard`. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_shard_stats(
    profiler: *const lanepipe_profiler_t,
    shard: u32,
    stats: *mut lanepipe_shard_stats_t,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_shard_stats", profiler, |profiler| {
        // SAFETY: the caller's contract.
        unsafe { check_sized(stats)? };
        let found = profiler.shard_stats(shard).ok_or(Status::LANEPIPE_E_INVALID)?;
        // SAFETY: checked.
        unsafe {
            *stats = lanepipe_shard_stats_t {
                struct_size: size_of::<lanepipe_shard_stats_t>() as u32,
                reserved: 0,
                collected: found.collected,
                collect_calls: found.collect_calls,
                done_full: found.done_full,
                recycled: found.recycled,
                allocated: found.allocated,
            };
        }
        Ok(())
    })
}

/// The last fault of a worker thread. Lock-free, any thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_profiler_get_fault(
    profiler: *const lanepipe_profiler_t,
    fault: *mut lanepipe_fault_t,
) -> lanepipe_status_t {
    on("lanepipe_profiler_get_fault", profiler, |profiler| {
        // SAFETY: the caller's contract.
        unsafe { check_sized(fault)? };
        let found = profiler.fault();
        // SAFETY: checked.
        unsafe {
            *fault = lanepipe_fault_t {
                struct_size: size_of::<lanepipe_fault_t>() as u32,
                status: found.map_or(0, |found| found.status as i32),
                role: found.map_or(0, |found| found.role as u32),
                index: found.map_or(0, |found| found.index),
                value: found.map_or(0, |found| found.value),
                count: found.map_or(0, |found| found.count),
            };
        }
        Ok(())
    })
}

/// A profiler. Opaque.
pub struct lanepipe_profiler_t {
    profiler: Profiler,
    pool: Arc<Pool>,
    poison: Poison,
}

const _: () = {
    assert!(size_of::<lanepipe_entry_t>() == size_of::<Entry>() && size_of::<lanepipe_site_t>() == size_of::<Site>());
    assert!(LANEPIPE_MAX_QUEUES == profiler::MAX_QUEUES && LANEPIPE_MAX_INSTANCES == profiler::MAX_INSTANCES);
    assert!(LANEPIPE_MAX_ENTRIES as usize == profiler::MAX_ENTRIES && LANEPIPE_MAX_COLLECT == profiler::MAX_COLLECT);
    assert!(LANEPIPE_REJECT == profiler::REJECT);
    assert!(LANEPIPE_ROLE_SENTINEL == Role::Sentinel as u32 && LANEPIPE_ROLE_DRAIN == Role::Drain as u32);
    assert!(LANEPIPE_ROLE_REPLENISH == Role::Replenish as u32 && LANEPIPE_ROLE_COLLECT == Role::Collect as u32);
    assert!(LANEPIPE_PROFILER_STOPPED == State::Stopped as u32 && LANEPIPE_PROFILER_RUNNING == State::Running as u32);
    assert!(LANEPIPE_PROFILER_STOPPING == State::Stopping as u32);
};

impl Sized32 for lanepipe_profiler_config_t {}
impl Sized32 for lanepipe_queue_stats_t {}
impl Sized32 for lanepipe_shard_stats_t {}
impl Sized32 for lanepipe_fault_t {}

/// Callbacks with their contexts.
struct Callbacks {
    context: *mut c_void,
    resolve: unsafe extern "C" fn(*mut c_void, u32, *const lanepipe_entry_t, usize, *mut lanepipe_site_t),
    collect: unsafe extern "C" fn(*mut c_void, u32, *const lanepipe_buffer_t, *const c_void, usize),
    thread_context: *mut c_void,
    thread_create:
        unsafe extern "C" fn(*mut c_void, u32, u32, lanepipe_thread_entry_fn_t, *mut c_void, *mut *mut c_void) -> i32,
    thread_join: unsafe extern "C" fn(*mut c_void, *mut c_void),
}

// SAFETY: whoever passes callbacks vouches that they may run on the threads they are documented for.
unsafe impl Send for Callbacks {}
// SAFETY: as for `Send`.
unsafe impl Sync for Callbacks {}

/// Body of every thread.
///
/// # Safety
///
/// `argument` is what `Callbacks::spawn` passed with this function, used once.
unsafe extern "C" fn thread_entry(argument: *mut c_void) {
    // SAFETY: the factory's contract.
    let body = unsafe { Box::from_raw(argument.cast::<ThreadBody>()) };
    body.run();
}

impl Hooks for Callbacks {
    fn resolve(&self, queue: u32, entries: &[Entry], sites: &mut [Site]) {
        // SAFETY: the layouts agree; the creator of the profiler vouches for the callback; so below.
        unsafe {
            (self.resolve)(self.context, queue, entries.as_ptr().cast(), entries.len(), sites.as_mut_ptr().cast());
        }
    }

    fn collect(&self, shard: u32, buffers: &[Buffer], payloads: *const u8) {
        // SAFETY: as above.
        unsafe { (self.collect)(self.context, shard, buffers.as_ptr().cast(), payloads.cast(), buffers.len()) };
    }

    fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize> {
        let argument = Box::into_raw(Box::new(body));
        let mut thread = core::ptr::null_mut();
        // SAFETY: as above.
        let outcome = unsafe {
            (self.thread_create)(
                self.thread_context,
                role as u32,
                index,
                Some(thread_entry),
                argument.cast(),
                &raw mut thread,
            )
        };
        if outcome != 0 {
            // SAFETY: a factory that fails has not called the entry and never will.
            drop(unsafe { Box::from_raw(argument) });
            return None;
        }
        Some(thread as usize)
    }

    fn join(&self, thread: usize) {
        // SAFETY: as above.
        unsafe { (self.thread_join)(self.thread_context, thread as *mut c_void) };
    }
}

fn refusal(status: Status, what: &'static str) -> Problem {
    Problem { status, what }
}

fn or_default(value: u64, default: u64) -> u64 {
    if value == 0 { default } else { value }
}

impl lanepipe_profiler_config_t {
    /// # Safety
    ///
    /// The arrays are as long as their counts say.
    unsafe fn native(&self) -> Result<Config, Problem> {
        let null = |what| move || refusal(Status::LANEPIPE_E_NULL, what);
        let missing = |what| move |status| refusal(status, what);
        let hooks = Callbacks {
            context: self.context,
            resolve: self.resolve.ok_or_else(null("resolve is null"))?,
            collect: self.collect.ok_or_else(null("collect is null"))?,
            thread_context: self.thread_context,
            thread_create: self.thread_create.ok_or_else(null("thread_create is null"))?,
            thread_join: self.thread_join.ok_or_else(null("thread_join is null"))?,
        };
        if self.queue_count > LANEPIPE_MAX_QUEUES
            || self.instance_count > LANEPIPE_MAX_INSTANCES
            || self.kind_count > LANEPIPE_MAX_KINDS
        {
            return Err(refusal(
                Status::LANEPIPE_E_TOO_LARGE,
                "queue_count, instance_count or kind_count is above its cap",
            ));
        }
        check_reserved(self.reserved)?;
        // SAFETY: forwarded.
        let (queues, instances, kinds) = unsafe {
            (
                array(self.queues, self.queue_count as usize).map_err(missing("queues is null or not aligned"))?,
                array(self.instances, self.instance_count as usize)
                    .map_err(missing("instances is null or not aligned"))?,
                array(self.kinds, self.kind_count as usize).map_err(missing("kinds is null or not aligned"))?,
            )
        };
        Ok(Config {
            queues: queues.iter().map(lanepipe_ready_queue_t::native).collect::<Result<_, _>>()?,
            instances: instances.iter().map(lanepipe_instance_t::native).collect::<Result<_, _>>()?,
            kinds: kinds.iter().map(lanepipe_kind_t::native).collect::<Result<_, _>>()?,
            collect_batch: self.collect_batch.max(1) as usize,
            poll_min_ns: or_default(self.poll_min_ns, 50_000),
            poll_max_ns: or_default(self.poll_max_ns, 1_000_000),
            quiet_ns: or_default(self.quiet_ns, 100_000_000),
            hooks: Box::new(hooks),
        })
    }
}

/// A later version may give the field a meaning, which must not meet chance values.
fn check_reserved(reserved: u32) -> Result<(), Problem> {
    if reserved == 0 { Ok(()) } else { Err(refusal(Status::LANEPIPE_E_INVALID, "a reserved field is not 0")) }
}

fn check_word<T>(address: *const T) -> Result<(), Problem> {
    check(address).map_err(|status| refusal(status, "the address of a queue word is null or not aligned"))
}

impl lanepipe_ready_queue_t {
    pub(super) fn native(&self) -> Result<ReadyQueueConfig, Problem> {
        check_reserved(self.reserved)?;
        check_word(self.head)?;
        check_word(self.tail)?;
        check_word(self.entries.cast::<u64>())?;
        if !self.entry_size.is_multiple_of(8) || !self.pointer_offset.is_multiple_of(8) {
            let what = "a ready queue's entry_size or pointer_offset is not a multiple of 8";
            return Err(refusal(Status::LANEPIPE_E_INVALID, what));
        }
        let entry_words = self.entry_size / 8;
        let words = self.capacity as usize * entry_words as usize;
        // SAFETY: the creator of the profiler vouches for the words of the shared region while it exists.
        let port = unsafe {
            ReadyPort {
                head: RawWord32::new(self.head),
                tail: RawWord32::new(self.tail),
                entries: RawWords64::new(self.entries.cast(), words),
                capacity: self.capacity,
                entry_words,
            }
        };
        Ok(ReadyQueueConfig { port, pointer_word: self.pointer_offset / 8 })
    }
}

impl lanepipe_free_queue_t {
    pub(super) fn native(&self) -> Result<Free, Problem> {
        check_reserved(self.reserved)?;
        check_word(self.head)?;
        check_word(self.tail)?;
        check_word(self.slots)?;
        // SAFETY: as for ready queues.
        Ok(unsafe {
            FreePort {
                head: RawWord32::new(self.head),
                tail: RawWord32::new(self.tail),
                slots: RawWords64::new(self.slots, self.slot_count as usize),
                slot_count: self.slot_count,
            }
        })
    }
}

impl lanepipe_instance_t {
    fn native(&self) -> Result<Instance, Problem> {
        Ok(Instance { free: self.free_queue.native()?, kind: self.kind, queue: self.queue })
    }
}

impl lanepipe_kind_t {
    fn native(&self) -> Result<KindConfig, Problem> {
        check_reserved(self.reserved)?;
        Ok(KindConfig {
            buffer_size: self.buffer_size,
            batch_size: self.batch_size,
            warm_target: self.warm_target,
            max_buffers: self.max_buffers,
        })
    }
}

/// Runs a call on a profiler that is not poisoned.
fn on(call: &str, profiler: *const lanepipe_profiler_t, body: impl FnOnce(&Profiler) -> Result<(), Status>) -> Status {
    run(call, profiler, |handle| handle.poison.guard(|| body(&handle.profiler)))
}

/// Runs a call and reports its failure.
fn run(call: &str, profiler: *const lanepipe_profiler_t, body: impl FnOnce(&lanepipe_profiler_t) -> Status) -> Status {
    // SAFETY: every function of this section requires a live profiler or null.
    let (status, logger) = match unsafe { object(profiler) } {
        Ok(handle) => (body(handle), Some(handle.pool.logger())),
        Err(status) => (status, None),
    };
    if status != Status::LANEPIPE_OK {
        report(call, status, logger);
    }
    status
}
