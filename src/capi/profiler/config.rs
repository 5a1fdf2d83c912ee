//! What a profiler is made of.

use super::callbacks::{Callbacks, Factory};
use crate::capi::args::{Sized32, array};
use crate::capi::backpressure::lanepipe_gates_t;
use crate::capi::pool::{LANEPIPE_MAX_KINDS, lanepipe_buffer_t};
use crate::capi::queues::{check_reserved, lanepipe_free_queue_t, lanepipe_ready_queue_t, refusal};
use crate::pool::Problem;
use crate::profiler::{self, Config, Entry, Instance, KindConfig, Role, Site};
use crate::status::Status;
use core::ffi::c_void;

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
/// As `lanepipe_site_t::instance`: the entry is acceptable, but there is no free queue to fill. Untracked pools only.
pub const LANEPIPE_NO_FREE_QUEUE: u32 = u32::MAX - 1;
/// As `lanepipe_instance_t::queue`: not known yet; that of its first entry counts. Untracked pools only.
pub const LANEPIPE_ANY_QUEUE: u32 = u32::MAX;

/// Role of a thread: polls device words, one per profiler.
pub const LANEPIPE_ROLE_SENTINEL: u32 = 0;
/// Role of a thread: device ready queues to ready ring, one per shard.
pub const LANEPIPE_ROLE_DRAIN: u32 = 1;
/// Role of a thread: done rings to recycled lanes, and allocation, one per profiler.
pub const LANEPIPE_ROLE_REPLENISH: u32 = 2;
/// Role of a thread: ready ring to the collect callback, one per shard.
pub const LANEPIPE_ROLE_COLLECT: u32 = 3;

/// Backpressure: no gate is driven; a lane waits for a buffer, and demand words bring one.
pub const LANEPIPE_BACKPRESSURE_NONE: u32 = 0;
/// Backpressure: the freeze protocol. All lanes of the device park while one is out of room or buffers, until the ready
/// queues are drained and every free queue is full again.
pub const LANEPIPE_BACKPRESSURE_COMMON: u32 = 1;

/// Profiler flag: the replenish thread polls device words too, and there is no sentinel thread.
pub const LANEPIPE_PROFILER_MERGED_SENTINEL: u32 = 1;
/// Profiler flag: start leaves the free queues as they are.
pub const LANEPIPE_PROFILER_PREFILLED: u32 = 2;
/// Profiler flag: a lane below its watermark is filled by allocation at once, whatever is on its way back, and with at
/// least as many buffers as a free queue has slots.
pub const LANEPIPE_PROFILER_EAGER: u32 = 4;

/// A producer of buffers on the device: one free queue, one kind, one ready queue for the whole run.
#[repr(C)]
pub struct lanepipe_instance_t {
    /// Its free queue.
    pub free_queue: lanepipe_free_queue_t,
    /// Its kind.
    pub kind: u32,
    /// The ready queue on which it publishes, or `LANEPIPE_ANY_QUEUE`.
    pub queue: u32,
}

/// A buffer kind.
#[repr(C)]
pub struct lanepipe_kind_t {
    /// Bytes of a buffer; no more than any buffer of the kind has, whoever allocated it. 0 if an instance that is added later
    /// is to tell.
    pub buffer_size: usize,
    /// Buffers in one allocated block, 1 or more; with an untracked pool 0 is allowed, and only watermarks allocate then.
    pub batch_size: u32,
    /// Buffers below which a lane is refilled by allocation; 0: never.
    pub warm_target: u32,
    /// Buffers of this kind beyond which none is allocated; 0: no limit. Unless the profiler is eager, buffers are only
    /// allocated while none of the kind is on its way back.
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
    /// Index of the instance that published the entry, `LANEPIPE_REJECT`, which it is preset to, or `LANEPIPE_NO_FREE_QUEUE`.
    pub instance: u32,
    /// Kind of the buffer with `LANEPIPE_NO_FREE_QUEUE`; else not looked at.
    pub kind: u32,
    /// Bytes of contents to bring to the host before the buffer is collected, up to the kind's `buffer_size`.
    pub content_size: usize,
    /// Points at zeroed memory of the pool's payload size, to be filled by the callback.
    pub payload: *mut c_void,
    /// Device address of the buffer, preset to the entry's. In an untracked pool the callback may name another one.
    pub dev: *mut c_void,
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

/// Names the kind under which a collected buffer returns; one out of range counts as the kind it came with. Collect thread
/// of `shard`, after `collect`. Must not throw.
pub type lanepipe_kind_of_fn_t = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        shard: u32,
        buffer: *const lanepipe_buffer_t,
        payload: *const c_void,
    ) -> u32,
>;

/// Says (not 0) that the gates may open as far as the subsystem is concerned. Replenish thread, in every round, freeze or
/// not. Must not block or throw.
pub type lanepipe_release_ready_fn_t = Option<unsafe extern "C" fn(context: *mut c_void) -> u32>;

/// Adds instances. Replenish thread, before the refill of a freeze. Must not block or throw.
pub type lanepipe_refresh_fn_t = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// Learns that nothing has come for `idle_ns` since the last buffer; once per burst. Collect thread of `shard`. Must not
/// throw.
pub type lanepipe_idle_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, shard: u32)>;

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

/// Waits for a thread whose `entry` has returned or is about to; it returns only after the thread has ended.
/// Called by the thread that calls `lanepipe_profiler_stop` or a failing `lanepipe_profiler_start`, for the sentinel first,
/// then for drain threads, replenish and collect threads, each role once all its threads are about to end.
pub type lanepipe_thread_join_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, thread: *mut c_void)>;

/// What a profiler is made of. Copied; the arrays are copied too.
#[repr(C)]
pub struct lanepipe_profiler_config_t {
    /// `sizeof(lanepipe_profiler_config_t)`.
    pub struct_size: u32,
    /// Device ready queues, 1 to `LANEPIPE_MAX_QUEUES`. Queue q belongs to shard q modulo the pool's live shards.
    pub queue_count: u32,
    /// Instances known from the start, 0 to `max_instances`.
    pub instance_count: u32,
    /// Kinds; those of the pool.
    pub kind_count: u32,
    /// Most elements in one `collect` call, 1 to `LANEPIPE_MAX_COLLECT`; 0 is 1.
    pub collect_batch: u32,
    /// `LANEPIPE_PROFILER_*` flags.
    pub flags: u32,
    /// Most instances, those added later included, up to `LANEPIPE_MAX_INSTANCES`; 0 is `instance_count`. Room costs address
    /// space only.
    pub max_instances: u32,
    /// Tries of a failing contents copy before the buffer goes back without being collected; 0 is 3.
    pub copy_tries: u32,
    /// `LANEPIPE_BACKPRESSURE_*` policy.
    pub backpressure: u32,
    /// Must be 0.
    pub reserved: u32,
    /// `queue_count` ready queues.
    pub queues: *const lanepipe_ready_queue_t,
    /// `instance_count` instances.
    pub instances: *const lanepipe_instance_t,
    /// `kind_count` kinds.
    pub kinds: *const lanepipe_kind_t,
    /// Shortest polling interval in nanoseconds, for entries that come singly or fast; 0 is 50,000. In steady traffic that leaves
    /// the device most of its buffers it grows up to four times that, to no more than 250,000 and the longest.
    pub poll_min_ns: u64,
    /// Longest polling interval in nanoseconds, reached after `quiet_ns` without traffic; 0 is 2,000,000.
    pub poll_max_ns: u64,
    /// Silence before the polling interval grows, in nanoseconds; 0 is 100,000,000.
    pub quiet_ns: u64,
    /// Time after a shard's last buffer at which `idle` is called, in nanoseconds; 0: never.
    pub idle_ns: u64,
    /// The gates that `LANEPIPE_BACKPRESSURE_COMMON` drives; else not looked at.
    pub gates: lanepipe_gates_t,
    /// Passed to every callback of this structure but the thread factory. Must stay valid until the profiler is destroyed.
    pub context: *mut c_void,
    /// Interprets entries.
    pub resolve: lanepipe_resolve_fn_t,
    /// Takes buffers.
    pub collect: lanepipe_collect_fn_t,
    /// Names the kind under which a collected buffer returns. Null: the kind it came with.
    pub kind_of: lanepipe_kind_of_fn_t,
    /// Says whether the subsystem agrees that the gates open. Null: it always does.
    pub release_ready: lanepipe_release_ready_fn_t,
    /// Adds instances that the device has brought into use (`lanepipe_profiler_add_instance`). Null: there are none.
    pub refresh: lanepipe_refresh_fn_t,
    /// Learns that a shard has fallen silent. Null: nobody.
    pub idle: lanepipe_idle_fn_t,
    /// Passed to the thread factory. Must stay valid until the profiler is destroyed.
    pub thread_context: *mut c_void,
    /// The thread factory.
    pub thread_create: lanepipe_thread_create_fn_t,
    /// Its counterpart.
    pub thread_join: lanepipe_thread_join_fn_t,
}

const FLAGS: u32 = LANEPIPE_PROFILER_MERGED_SENTINEL | LANEPIPE_PROFILER_PREFILLED | LANEPIPE_PROFILER_EAGER;

const _: () = {
    assert!(size_of::<lanepipe_entry_t>() == size_of::<Entry>() && size_of::<lanepipe_site_t>() == size_of::<Site>());
    assert!(LANEPIPE_MAX_QUEUES == profiler::MAX_QUEUES && LANEPIPE_MAX_INSTANCES == profiler::MAX_INSTANCES);
    assert!(LANEPIPE_MAX_ENTRIES as usize == profiler::MAX_ENTRIES && LANEPIPE_MAX_COLLECT == profiler::MAX_COLLECT);
    assert!(LANEPIPE_REJECT == profiler::REJECT && LANEPIPE_NO_FREE_QUEUE == profiler::NO_FREE_QUEUE);
    assert!(LANEPIPE_ANY_QUEUE == profiler::ANY_QUEUE);
    assert!(LANEPIPE_ROLE_SENTINEL == Role::Sentinel as u32 && LANEPIPE_ROLE_DRAIN == Role::Drain as u32);
    assert!(LANEPIPE_ROLE_REPLENISH == Role::Replenish as u32 && LANEPIPE_ROLE_COLLECT == Role::Collect as u32);
};

impl Sized32 for lanepipe_profiler_config_t {}

fn or_default(value: u64, default: u64) -> u64 {
    if value == 0 { default } else { value }
}

impl lanepipe_profiler_config_t {
    /// # Safety
    ///
    /// The arrays are as long as their counts say.
    pub(super) unsafe fn native(&self) -> Result<Config, Problem> {
        let null = |what| move || refusal(Status::LANEPIPE_E_NULL, what);
        let missing = |what| move |status| refusal(status, what);
        let hooks = Callbacks {
            context: self.context,
            resolve: self.resolve.ok_or_else(null("resolve is null"))?,
            collect: self.collect.ok_or_else(null("collect is null"))?,
            kind_of: self.kind_of,
            release_ready: self.release_ready,
            refresh: self.refresh,
            idle: self.idle,
            factory: Factory::new(self.thread_context, self.thread_create, self.thread_join)?,
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
        if self.flags & !FLAGS != 0 {
            return Err(refusal(Status::LANEPIPE_E_INVALID, "flags has bits that are not LANEPIPE_PROFILER_* flags"));
        }
        let gates = match self.backpressure {
            LANEPIPE_BACKPRESSURE_NONE => None,
            LANEPIPE_BACKPRESSURE_COMMON => {
                // SAFETY: the creator of the profiler vouches for the words of the shared region while it exists.
                let gates = unsafe { self.gates.native() };
                Some(gates.map_err(missing("a gate word is null or not aligned"))?)
            }
            _ => {
                return Err(refusal(
                    Status::LANEPIPE_E_INVALID,
                    "backpressure is not a LANEPIPE_BACKPRESSURE_* policy",
                ));
            }
        };
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
            max_instances: if self.max_instances == 0 { self.instance_count } else { self.max_instances },
            collect_batch: self.collect_batch.max(1) as usize,
            poll_min_ns: or_default(self.poll_min_ns, profiler::DEFAULT_POLL_MIN_NS),
            poll_max_ns: or_default(self.poll_max_ns, profiler::DEFAULT_POLL_MAX_NS),
            quiet_ns: or_default(self.quiet_ns, profiler::DEFAULT_QUIET_NS),
            idle_ns: self.idle_ns,
            copy_tries: if self.copy_tries == 0 { 3 } else { self.copy_tries },
            gates,
            merged_sentinel: self.flags & LANEPIPE_PROFILER_MERGED_SENTINEL != 0,
            prefilled: self.flags & LANEPIPE_PROFILER_PREFILLED != 0,
            eager: self.flags & LANEPIPE_PROFILER_EAGER != 0,
            hooks: Box::new(hooks),
        })
    }
}

impl lanepipe_instance_t {
    pub(super) fn native(&self) -> Result<Instance, Problem> {
        Ok(Instance { free: self.free_queue.native()?, kind: self.kind, queue: self.queue, guess: false })
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
