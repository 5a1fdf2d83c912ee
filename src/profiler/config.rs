//! What a profiler is made of, and the callbacks of the embedding program.

use crate::layout::{FreePort, Gates, RawWords64, ReadyPort};
use crate::pool::{Buffer, Pool, Problem, require};
use crate::status::Status;
use crate::sync::RawWord32;

/// Most device ready queues.
pub const MAX_QUEUES: u32 = 64;
/// Most instances.
pub const MAX_INSTANCES: u32 = 1 << 16;
/// Most entries in one `resolve` call: so many are taken before their head is pushed.
pub const MAX_ENTRIES: usize = 8;
/// Longest entry in 64-bit words.
pub const MAX_ENTRY_WORDS: usize = 32;
/// Most elements in one `collect` call.
pub const MAX_COLLECT: u32 = 64;
/// As [`Site::instance`]: the entry is not acceptable.
pub const REJECT: u32 = u32::MAX;
/// As [`Site::instance`]: the entry is acceptable, and there is no free queue to fill. Untracked pools only.
pub const NO_FREE_QUEUE: u32 = u32::MAX - 1;
/// As [`Instance::queue`]: not known yet, that of the first entry counts. Untracked pools only.
pub const ANY_QUEUE: u32 = u32::MAX;

/// Shortest polling interval in nanoseconds, where a user names none.
pub const DEFAULT_POLL_MIN_NS: u64 = 50_000;
/// Longest polling interval in nanoseconds, likewise.
pub const DEFAULT_POLL_MAX_NS: u64 = 2_000_000;
/// Silence in nanoseconds before the interval grows, likewise.
pub const DEFAULT_QUIET_NS: u64 = 100_000_000;

/// The consumer end of a device ready queue in production.
pub type Ready = ReadyPort<RawWord32, RawWords64>;
/// The producer end of a device free queue in production.
pub type Free = FreePort<RawWord32, RawWords64>;

/// A device ready queue.
#[derive(Debug, Clone, Copy)]
pub struct ReadyQueueConfig {
    /// The host's end.
    pub port: Ready,
    /// Word of the buffer address in an entry.
    pub pointer_word: u32,
}

/// A producer of buffers on the device.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    /// The host's end of its free queue.
    pub free: Free,
    /// Kind of its buffers.
    pub kind: u32,
    /// The ready queue on which it publishes, or [`ANY_QUEUE`].
    pub queue: u32,
    /// The queue is a guess: that of the first entry of a run counts. Until then the shard of the guess serves it.
    pub guess: bool,
}

/// A buffer kind.
#[derive(Debug, Clone, Copy)]
pub struct KindConfig {
    /// Bytes of a buffer.
    pub buffer_size: usize,
    /// Buffers in one allocated block.
    pub batch_size: u32,
    /// Lanes below this are refilled by allocation; 0: never.
    pub warm_target: u32,
    /// Buffers beyond which none is allocated; 0: no limit.
    pub max_buffers: u32,
}

/// Everything but the pool.
pub struct Config {
    /// Device ready queues; queue q belongs to shard q modulo the live shards.
    pub queues: Box<[ReadyQueueConfig]>,
    /// Instances known from the start.
    pub instances: Box<[Instance]>,
    /// Most instances, those added later included.
    pub max_instances: u32,
    /// One per kind of the pool.
    pub kinds: Box<[KindConfig]>,
    /// Most elements in one `collect` call.
    pub collect_batch: usize,
    /// Shortest polling interval in nanoseconds.
    pub poll_min_ns: u64,
    /// Longest polling interval in nanoseconds.
    pub poll_max_ns: u64,
    /// Silence before the interval grows, in nanoseconds.
    pub quiet_ns: u64,
    /// Time after a shard's last buffer at which `idle` is called, once per burst; 0: never.
    pub idle_ns: u64,
    /// Tries of a failing contents copy, 1 or more.
    pub copy_tries: u32,
    /// The gates of common-mode backpressure; `None`: no gate is driven.
    pub gates: Option<Gates<RawWord32>>,
    /// The replenish thread does the sentinel's work, and there is no sentinel thread.
    pub merged_sentinel: bool,
    /// Start leaves the free queues as they are.
    pub prefilled: bool,
    /// A lane below its watermark is filled by allocation whatever is on its way back, with a free queue's worth at least.
    pub eager: bool,
    /// The callbacks.
    pub hooks: Box<dyn Hooks>,
}

impl Config {
    /// Checks all ranges against `pool`.
    ///
    /// # Errors
    ///
    /// The first value that is out of range.
    pub fn check(&self, pool: &Pool) -> Result<(), Problem> {
        let queues = self.queues.len();
        require((1..=MAX_QUEUES as usize).contains(&queues), "queue_count is not in 1 to LANEPIPE_MAX_QUEUES")?;
        let most = 1..=MAX_INSTANCES;
        require(
            most.contains(&self.max_instances),
            "instance_count and max_instances are 0, or above LANEPIPE_MAX_INSTANCES",
        )?;
        require(self.instances.len() <= self.max_instances as usize, "instance_count is above max_instances")?;
        require(self.copy_tries != 0, "copy_tries is 0")?;
        require(self.kinds.len() == pool.config().kinds as usize, "there is not one kind for each kind of the pool")?;
        let batches = 1..=MAX_COLLECT as usize;
        require(batches.contains(&self.collect_batch), "collect_batch is not in 1 to LANEPIPE_MAX_COLLECT")?;
        require(self.poll_min_ns != 0 && self.poll_min_ns <= self.poll_max_ns, "poll_min_ns is above poll_max_ns")?;
        for kind in &self.kinds {
            let may_come_later = self.instances.len() < self.max_instances as usize;
            require(kind.buffer_size != 0 || may_come_later, "a kind has buffer_size 0")?;
            require(kind.batch_size != 0 || pool.config().untracked, "a kind has batch_size 0")?;
        }
        for queue in &self.queues {
            let words = queue.port.entry_words;
            require((1..=1 << 20).contains(&queue.port.capacity), "a ready queue's capacity is out of range")?;
            require((1..=MAX_ENTRY_WORDS as u32).contains(&words), "a ready queue's entry_size is out of range")?;
            require(queue.pointer_word < words, "a ready queue's pointer_offset is outside the entry")?;
        }
        // Two ends of one queue would each keep an index of their own.
        let heads = self.queues.iter().map(|queue| queue.port.head.address() as usize);
        require(all_differ(heads)?, "two ready queues have one head")?;
        if !pool.config().untracked {
            let tails = self.instances.iter().map(|instance| instance.free.tail.address() as usize);
            require(all_differ(tails)?, "two instances have one free queue")?;
        }
        let untracked = pool.config().untracked;
        self.instances.iter().try_for_each(|instance| self.check_instance(instance, untracked))
    }

    /// Checks the numbers of one instance; `untracked` tells what sort of pool it is for.
    ///
    /// # Errors
    ///
    /// The first value that is out of range.
    pub fn check_instance(&self, instance: &Instance, untracked: bool) -> Result<(), Problem> {
        let slots = instance.free.slot_count;
        require((instance.kind as usize) < self.kinds.len(), "an instance's kind is out of range")?;
        let queue_is_open = untracked && instance.queue == ANY_QUEUE;
        require(queue_is_open || (instance.queue as usize) < self.queues.len(), "an instance's queue is out of range")?;
        require((1..=1 << 16).contains(&slots), "a free queue's slot_count is out of range")
    }
}

/// Whether no two of the addresses are equal.
fn all_differ(addresses: impl ExactSizeIterator<Item = usize>) -> Result<bool, Problem> {
    let mut sorted = Vec::new();
    let short = |_| Problem { status: Status::LANEPIPE_E_NO_MEMORY, what: "memory is short" };
    sorted.try_reserve_exact(addresses.len()).map_err(short)?;
    sorted.extend(addresses);
    sorted.sort_unstable();
    Ok(sorted.windows(2).all(|pair| pair[0] != pair[1]))
}

/// Role of a thread.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Polls device words.
    Sentinel = 0,
    /// Device ready queues to ready ring.
    Drain = 1,
    /// Done rings to lanes, and allocation.
    Replenish = 2,
    /// Ready ring to the collect callback.
    Collect = 3,
}

/// An entry of a device ready queue.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// A private copy of its bytes.
    pub bytes: *const u8,
    /// Device address of the buffer.
    pub dev: u64,
    /// Host address of the buffer; 0 if the address is not that of a buffer at the device.
    pub host: u64,
    /// Kind under which the pool knows the buffer.
    pub kind: u32,
    /// Identity in the ledger, 0 if unknown.
    pub id: u32,
}

/// What `resolve` answers.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Index of the instance that published the entry, [`REJECT`] or [`NO_FREE_QUEUE`].
    pub instance: u32,
    /// Kind of an entry of [`NO_FREE_QUEUE`].
    pub kind: u32,
    /// Bytes of contents to bring to the host.
    pub content_size: usize,
    /// Zeroed memory of the pool's payload size, to be filled.
    pub payload: *mut u8,
    /// Device address of the buffer, preset to the entry's. Another one counts in untracked pools only.
    pub dev: u64,
}

/// What a thread of the profiler runs.
pub struct ThreadBody(Box<dyn FnOnce() + Send>);

impl ThreadBody {
    pub(super) fn new(body: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(body))
    }

    /// Runs the thread to its end. Never unwinds.
    pub fn run(self) {
        (self.0)();
    }
}

/// Callbacks of the embedding program.
pub trait Hooks: Send + Sync {
    /// Interprets entries of ready queue `queue`; sites are preset to [`REJECT`]. Drain thread of the queue's shard.
    fn resolve(&self, queue: u32, entries: &[Entry], sites: &mut [Site]);
    /// Takes buffers with their payloads, back to back. Collect thread of `shard`.
    fn collect(&self, shard: u32, buffers: &[Buffer], payloads: *const u8);
    /// The kind under which a collected buffer returns. Collect thread of `shard`.
    fn kind_of(&self, shard: u32, buffer: &Buffer, payload: *const u8) -> u32;
    /// Whether the subsystem agrees that the gates open. Replenish thread.
    fn release_ready(&self) -> bool;
    /// Makes instances known that the device has added. Replenish thread, before the refill of a freeze.
    fn refresh(&self);
    /// All entries that an earlier run left were resolved: what was learnt of guessed queues from them does not hold. A drain
    /// thread, while no other resolves.
    fn left_over_taken(&self) {}
    /// Nothing has come for a while since the last buffer. Collect thread of `shard`.
    fn idle(&self, shard: u32);
    /// Creates a thread that runs `body`; returns a handle for `join`. Thread of the starter.
    fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize>;
    /// Waits for the end of a thread. Thread of the stopper.
    fn join(&self, thread: usize);
}
