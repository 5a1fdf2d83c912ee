//! What the simulated device and the host share in a test: memory, faults, and the books of both sides.

use crate::layout::{FreePort, Gate, Gates, RawWords64, ReadyPort};
use crate::pool::{MemoryContext, MemoryOps};
use crate::profiler::{Free, Ready, Role};
use crate::sync::RawWord32;
use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Device addresses are this far from where the memory is, where the host has no business there.
const DEVICE_OFFSET: u64 = 1 << 60;
/// A wait that takes longer is a hang.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a buffer.
pub const BUFFER_SIZE: usize = 128;
/// Words of a ready entry: buffer, instance, sequence number, check.
pub const ENTRY_WORDS: u32 = 4;

/// Geometry and faults of one test.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Reached by copies into shadows, not directly.
    pub copies: bool,
    pub queues: u32,
    pub instances_per_queue: u32,
    pub kinds: u32,
    pub shards: u32,
    pub device_ready: u32,
    pub slots: u32,
    pub host_ready: u32,
    pub done: u32,
    pub recycled: u32,
    pub payload_size: u32,
    pub collect_batch: usize,
    pub batch_size: u32,
    pub warm_target: u32,
    pub max_buffers: u32,
    /// Where free-queue counters start.
    pub first_counter: u32,
    /// Where ready indices start.
    pub first_index: u32,
    /// Failing copies from and to the device, entries rejected, blocks refused: in a thousand calls.
    pub fail_read: u64,
    pub fail_write: u64,
    pub reject: u64,
    pub refuse_block: u64,
    /// Published entries without an address, in a thousand.
    pub null_entries: u64,
    /// Calls in a row that fail once one does.
    pub burst: u32,
    /// A failing write takes effect now and then.
    pub landing: bool,
    /// The collector sleeps up to so many microseconds now and then.
    pub slow_collect: u64,
    pub poll_min: Duration,
    pub poll_max: Duration,
    /// Common-mode backpressure, which the device obeys.
    pub gates: bool,
    /// The replenish thread polls.
    pub merged_sentinel: bool,
    pub eager: bool,
    /// Start leaves the free queues as they are.
    pub prefilled: bool,
    pub idle_ns: u64,
    /// Instances that the profiler knows from the start; 0: all.
    pub known_instances: u32,
    /// As the C++ runtime's own headers use the library: an untracked pool, all flags, free queues filled by hand before each
    /// start, and instances of which only the first entry tells the ready queue.
    pub compat: bool,
    /// A collected buffer returns under the next kind.
    pub changes_kinds: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            copies: false,
            queues: 1,
            instances_per_queue: 1,
            kinds: 1,
            shards: 1,
            device_ready: 8,
            slots: 4,
            host_ready: 8,
            done: 8,
            recycled: 16,
            payload_size: 8,
            collect_batch: 4,
            batch_size: 2,
            warm_target: 0,
            max_buffers: 0,
            first_counter: 0,
            first_index: 0,
            fail_read: 0,
            fail_write: 0,
            reject: 0,
            refuse_block: 0,
            null_entries: 0,
            burst: 1,
            landing: false,
            slow_collect: 0,
            poll_min: Duration::from_micros(50),
            poll_max: Duration::from_millis(1),
            gates: false,
            merged_sentinel: false,
            eager: false,
            prefilled: false,
            idle_ns: 0,
            known_instances: 0,
            compat: false,
            changes_kinds: false,
        }
    }
}

impl Plan {
    pub fn instances(&self) -> u32 {
        self.queues * self.instances_per_queue
    }

    pub fn queue_of(&self, instance: u32) -> u32 {
        instance % self.queues
    }

    pub fn kind_of(&self, instance: u32) -> u32 {
        instance / self.queues % self.kinds
    }

    /// 64-bit words before the words of queue `queue`; the words of the instances follow those of the queues.
    fn queue_words(&self) -> usize {
        2 + (self.device_ready * ENTRY_WORDS) as usize
    }

    fn instance_words(&self) -> usize {
        2 + self.slots as usize
    }

    /// 64-bit words before those of the gates.
    fn gate_words(&self) -> usize {
        self.queues as usize * self.queue_words() + self.instances() as usize * self.instance_words()
    }

    fn words(&self) -> usize {
        self.gate_words() + 4
    }
}

/// A number that depends on all arguments, evenly spread.
pub fn mix(values: &[u64]) -> u64 {
    values.iter().fold(0x9e37_79b9_7f4a_7c15, |state, value| {
        let mut mixed = state ^ value.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    })
}

thread_local! {
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
}

/// Notes the role of the calling thread, by which copies are counted.
pub fn set_role(role: Role) {
    ROLE.set(Some(role));
}

#[derive(Default)]
struct Faults {
    calls: u64,
    burst_left: u32,
}

/// See the module documentation.
pub struct World {
    pub plan: Plan,
    device: Box<[AtomicU64]>,
    shadow: Box<[AtomicU64]>,
    blocks: Mutex<Vec<Box<[AtomicU64]>>>,
    faults: Mutex<Faults>,
    /// No fault is injected any more.
    pub healed: AtomicBool,
    /// Every write fails, and takes effect or not.
    pub break_writes: AtomicBool,
    /// Writes that fail still take effect.
    pub land_all: AtomicBool,
    /// Every read fails.
    pub break_reads: AtomicBool,
    /// Writes of free-queue tails fail.
    pub break_tails: AtomicBool,
    /// Reads of free-queue tails fail.
    pub hide_tails: AtomicBool,
    /// Reads of free-queue heads fail.
    pub hide_heads: AtomicBool,
    /// The same of one instance.
    pub hide_head_of: AtomicU32,
    /// Copies by role; the last is everybody else.
    copies: [AtomicU32; 5],
    pub blocks_given: AtomicU32,
    /// Buffers in them.
    pub buffers_given: AtomicU32,
    pub blocks_refused: AtomicU32,
    pub refuse_all_blocks: AtomicBool,
    /// Buffers that the device took from free queues and has not published.
    pub with_device: Mutex<BTreeSet<u64>>,
    /// Next sequence number that `resolve` must see, by instance.
    pub seen: Mutex<Vec<u64>>,
    /// Delivered sequence numbers, by instance.
    pub delivered: Mutex<Vec<Vec<u64>>>,
    pub rejected: Mutex<HashSet<(u32, u64)>>,
    complaints: Mutex<Vec<String>>,
}

fn zeroed(words: usize) -> Box<[AtomicU64]> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

impl World {
    pub fn new(plan: Plan) -> Arc<Self> {
        let instances = plan.instances() as usize;
        let world = Self {
            device: zeroed(plan.words()),
            shadow: zeroed(plan.words()),
            blocks: Mutex::default(),
            faults: Mutex::default(),
            healed: AtomicBool::new(false),
            break_writes: AtomicBool::new(false),
            land_all: AtomicBool::new(false),
            break_reads: AtomicBool::new(false),
            break_tails: AtomicBool::new(false),
            hide_tails: AtomicBool::new(false),
            hide_heads: AtomicBool::new(false),
            hide_head_of: AtomicU32::new(u32::MAX),
            copies: Default::default(),
            blocks_given: AtomicU32::new(0),
            buffers_given: AtomicU32::new(0),
            blocks_refused: AtomicU32::new(0),
            refuse_all_blocks: AtomicBool::new(false),
            with_device: Mutex::default(),
            seen: Mutex::new(vec![0; instances]),
            delivered: Mutex::new(vec![Vec::new(); instances]),
            rejected: Mutex::default(),
            complaints: Mutex::default(),
            plan,
        };
        for region in [&world.device, &world.shadow] {
            for queue in 0..world.plan.queues {
                let port = world.ready_at(region, queue);
                port_store(&port.head, world.plan.first_index);
                port_store(&port.tail, world.plan.first_index);
            }
            for instance in 0..world.plan.instances() {
                let port = world.free_at(region, instance);
                port_store(&port.head, world.plan.first_counter);
                port_store(&port.tail, world.plan.first_counter);
            }
        }
        Arc::new(world)
    }

    fn ready_at(&self, region: &[AtomicU64], queue: u32) -> Ready {
        let base = self.plan.queue_words() * queue as usize;
        let words = (self.plan.device_ready * ENTRY_WORDS) as usize;
        // SAFETY: the words lie in the region, which lives as long as the world; so do all users of the port.
        unsafe {
            ReadyPort {
                head: RawWord32::new(region[base].as_ptr().cast()),
                tail: RawWord32::new(region[base + 1].as_ptr().cast()),
                entries: RawWords64::new(region[base + 2].as_ptr(), words),
                capacity: self.plan.device_ready,
                entry_words: ENTRY_WORDS,
            }
        }
    }

    fn free_at(&self, region: &[AtomicU64], instance: u32) -> Free {
        let base = self.plan.queue_words() * self.plan.queues as usize + self.plan.instance_words() * instance as usize;
        // SAFETY: as for `ready_at`.
        unsafe {
            FreePort {
                head: RawWord32::new(region[base].as_ptr().cast()),
                tail: RawWord32::new(region[base + 1].as_ptr().cast()),
                slots: RawWords64::new(region[base + 2].as_ptr(), self.plan.slots as usize),
                slot_count: self.plan.slots,
            }
        }
    }

    fn gates_at(&self, region: &[AtomicU64]) -> Gates<RawWord32> {
        let base = self.plan.gate_words();
        // SAFETY: as for `ready_at`.
        let word = |index: usize| unsafe { RawWord32::new(region[base + index].as_ptr().cast()) };
        let gate = |index| Gate { freeze: word(index), contended: word(index + 1) };
        Gates { push: gate(0), pop: gate(2) }
    }

    pub fn host_gates(&self) -> Gates<RawWord32> {
        self.gates_at(self.host_region())
    }

    pub fn device_gates(&self) -> Gates<RawWord32> {
        self.gates_at(&self.device)
    }

    fn host_region(&self) -> &[AtomicU64] {
        if self.plan.copies { &self.shadow } else { &self.device }
    }

    pub fn host_ready(&self, queue: u32) -> Ready {
        self.ready_at(self.host_region(), queue)
    }

    pub fn host_free(&self, instance: u32) -> Free {
        self.free_at(self.host_region(), instance)
    }

    pub fn device_ready(&self, queue: u32) -> Ready {
        self.ready_at(&self.device, queue)
    }

    pub fn device_free(&self, instance: u32) -> Free {
        self.free_at(&self.device, instance)
    }

    fn offset(&self) -> u64 {
        if self.plan.copies { DEVICE_OFFSET } else { 0 }
    }

    /// Words of device memory at a device address.
    pub fn memory_at(&self, dev: u64) -> *mut u64 {
        dev.wrapping_sub(self.offset()) as *mut u64
    }

    pub fn context(self: &Arc<Self>) -> MemoryContext {
        MemoryContext {
            ops: Some(Box::new(Ops(self.clone()))),
            device_id: 0,
            shm_dev: self.device.as_ptr() as u64 + self.offset(),
            shm_host: self.host_region().as_ptr() as u64,
            shm_size: self.plan.words() * 8,
        }
    }

    /// Writes down what is wrong. Threads of the profiler cannot panic: stop would wait for what they held.
    pub fn complain(&self, text: String) {
        self.complaints.lock().unwrap().push(text);
    }

    pub fn require(&self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.complain(text());
        }
    }

    pub fn assert_content(&self) {
        let complaints = self.complaints.lock().unwrap();
        assert!(complaints.is_empty(), "{:#?}", &complaints[..complaints.len().min(10)]);
    }

    pub fn copies_by(&self, role: Role) -> u32 {
        self.copies[role as usize].load(Ordering::Relaxed)
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
        let transfers = [&self.break_writes, &self.break_reads, &self.break_tails, &self.hide_tails, &self.hide_heads];
        for flag in transfers.into_iter().chain([&self.refuse_all_blocks]) {
            flag.store(false, Ordering::Relaxed);
        }
    }

    /// Whether a call that fails `permille` times in a thousand fails now.
    fn fails(&self, permille: u64, burst: u32) -> bool {
        if permille == 0 || self.healed.load(Ordering::Relaxed) {
            return false;
        }
        let mut faults = self.faults.lock().unwrap();
        faults.calls += 1;
        if faults.burst_left != 0 {
            faults.burst_left -= 1;
            return true;
        }
        let fails = mix(&[self.plan.seed, faults.calls]) % 1000 < permille;
        if fails {
            faults.burst_left = burst - 1;
        }
        fails
    }

    fn is_tail(&self, dev: u64) -> bool {
        let tail = |instance| self.device_free(instance).tail.address().cast();
        (0..self.plan.instances()).any(|instance| tail(instance) == self.memory_at(dev))
    }

    fn is_hidden_head(&self, dev: u64) -> bool {
        let (all, one) = (self.hide_heads.load(Ordering::Relaxed), self.hide_head_of.load(Ordering::Relaxed));
        let head = |instance| self.device_free(instance).head.address().cast();
        (0..self.plan.instances()).any(|instance| (all || instance == one) && head(instance) == self.memory_at(dev))
    }

    fn count_copy(&self) {
        let index = ROLE.get().map_or(4, |role| role as usize);
        self.copies[index].fetch_add(1, Ordering::Relaxed);
    }
}

fn port_store(word: &RawWord32, value: u32) {
    use crate::sync::Word32;
    word.store(value, Ordering::Relaxed);
}

/// Waits until `condition` holds; a wait beyond [`PATIENCE`] is a failure.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Copies like a device link does: word by word.
///
/// # Safety
///
/// Both are valid for `size` bytes, 4 or a multiple of 8, and aligned to 4 or 8.
unsafe fn copy_words(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: the caller vouches for both sides; all concurrent accesses are atomic ones of the same width.
    unsafe {
        if size == 4 {
            let word = AtomicU32::from_ptr(from.cast_mut().cast()).load(Ordering::Relaxed);
            AtomicU32::from_ptr(to.cast()).store(word, Ordering::Relaxed);
            return;
        }
        assert_eq!(size % 8, 0);
        for index in 0..size / 8 {
            let word = AtomicU64::from_ptr(from.cast_mut().cast::<u64>().add(index)).load(Ordering::Relaxed);
            AtomicU64::from_ptr(to.cast::<u64>().add(index)).store(word, Ordering::Relaxed);
        }
    }
}

/// The memory callbacks.
struct Ops(Arc<World>);

impl MemoryOps for Ops {
    fn alloc(&self, size: usize) -> u64 {
        let world = &self.0;
        let refused = world.refuse_all_blocks.load(Ordering::Relaxed) || world.fails(world.plan.refuse_block, 8);
        if refused {
            world.blocks_refused.fetch_add(1, Ordering::Relaxed);
            return 0;
        }
        world.blocks_given.fetch_add(1, Ordering::Relaxed);
        let block = zeroed(size.div_ceil(8));
        let address = block.as_ptr() as u64;
        world.buffers_given.fetch_add((size / BUFFER_SIZE) as u32, Ordering::Relaxed);
        world.blocks.lock().unwrap().push(block);
        address + world.offset()
    }

    fn registers(&self) -> bool {
        false
    }

    fn register(&self, _dev: u64, _size: usize, _device_id: i32) -> u64 {
        0
    }

    fn free(&self, dev: u64) {
        let world = &self.0;
        let memory = world.memory_at(dev) as u64;
        let size = world
            .blocks
            .lock()
            .unwrap()
            .iter()
            .find(|block| block.as_ptr() as u64 == memory)
            .map_or(0, |b| b.len() * 8);
        world.buffers_given.fetch_sub((size / BUFFER_SIZE) as u32, Ordering::Relaxed);
    }

    fn copies(&self) -> bool {
        self.0.plan.copies
    }

    unsafe fn copy_to_device(&self, dev: u64, source: *const u8, size: usize) -> bool {
        let world = &self.0;
        world.count_copy();
        let broken = world.break_writes.load(Ordering::Relaxed)
            || world.break_tails.load(Ordering::Relaxed) && world.is_tail(dev);
        let fails = broken || world.fails(world.plan.fail_write, world.plan.burst);
        let lands = !fails
            || world.land_all.load(Ordering::Relaxed)
            || (!broken && world.plan.landing && mix(&[dev, size as u64]).is_multiple_of(2));
        if lands {
            // SAFETY: the caller vouches for both sides.
            unsafe { copy_words(world.memory_at(dev).cast(), source, size) };
        }
        !fails
    }

    unsafe fn copy_from_device(&self, destination: *mut u8, dev: u64, size: usize) -> bool {
        let world = &self.0;
        world.count_copy();
        let broken = world.break_reads.load(Ordering::Relaxed)
            || world.hide_tails.load(Ordering::Relaxed) && world.is_tail(dev)
            || world.is_hidden_head(dev);
        if broken || world.fails(world.plan.fail_read, world.plan.burst) {
            return false;
        }
        // SAFETY: the caller vouches for both sides.
        unsafe { copy_words(destination, world.memory_at(dev).cast(), size) };
        true
    }
}
