//! A device whose memory is addresses only, and pools on it.

use crate::log::Logger;
use crate::pool::{Buffer, MemoryContext, MemoryOps, Pool, PoolConfig};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How device memory is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Host address = device address.
    Identity,
    /// A registration call gives the host address.
    Register,
    /// Host shadows, kept up by copies.
    Shadow,
}

/// From a device address to its host address in [`Mode::Register`].
pub const HOST_OFFSET: u64 = 1 << 50;

#[derive(Debug, Default)]
pub struct DeviceState {
    next: u64,
    /// Handed out instead of fresh addresses, last first.
    pub reuse: Vec<u64>,
    /// Live allocations.
    pub blocks: BTreeMap<u64, usize>,
    /// What copies brought to the device.
    pub written: BTreeMap<u64, Vec<u8>>,
    /// Calls of `alloc`, of `register` and of `free`.
    pub calls: [u32; 3],
    pub fail_alloc: bool,
    pub fail_register: bool,
    pub fail_copy: bool,
}

#[derive(Clone)]
pub struct Device {
    pub mode: Mode,
    pub state: Arc<Mutex<DeviceState>>,
}

impl Device {
    pub fn new(mode: Mode) -> Self {
        let state = DeviceState { next: 0x10_0000, ..DeviceState::default() };
        Self { mode, state: Arc::new(Mutex::new(state)) }
    }

    pub fn with<R>(&self, f: impl FnOnce(&mut DeviceState) -> R) -> R {
        f(&mut self.state.lock().unwrap())
    }

    /// A pool on this device.
    pub fn pool(&self, config: PoolConfig) -> Pool {
        let pool = Pool::new(config).unwrap();
        pool.set_memory(MemoryContext { ops: Some(Box::new(self.clone())), ..MemoryContext::default() }).unwrap();
        pool
    }
}

impl MemoryOps for Device {
    fn alloc(&self, size: usize) -> u64 {
        self.with(|state| {
            state.calls[0] += 1;
            if state.fail_alloc {
                return 0;
            }
            let dev = state.reuse.pop().unwrap_or_else(|| {
                let dev = state.next;
                // A gap between blocks makes overruns visible.
                state.next += (size as u64).next_multiple_of(64) + 64;
                dev
            });
            assert_eq!(state.blocks.insert(dev, size), None, "an address is allocated twice");
            dev
        })
    }

    fn registers(&self) -> bool {
        self.mode == Mode::Register
    }

    fn register(&self, dev: u64, size: usize, device_id: i32) -> u64 {
        self.with(|state| {
            state.calls[1] += 1;
            assert_eq!((state.blocks.get(&dev), device_id), (Some(&size), -1));
            if state.fail_register { 0 } else { dev + HOST_OFFSET }
        })
    }

    fn free(&self, dev: u64) {
        self.with(|state| {
            state.calls[2] += 1;
            assert!(state.blocks.remove(&dev).is_some(), "freed twice or never allocated");
        });
    }

    fn copies(&self) -> bool {
        self.mode == Mode::Shadow
    }

    unsafe fn copy_to_device(&self, dev: u64, source: *const u8, size: usize) -> bool {
        // SAFETY: the caller vouches for `source`.
        let bytes = unsafe { std::slice::from_raw_parts(source, size) }.to_vec();
        self.with(|state| {
            if !state.fail_copy {
                state.written.insert(dev, bytes);
            }
            !state.fail_copy
        })
    }

    unsafe fn copy_from_device(&self, _destination: *mut u8, _dev: u64, _size: usize) -> bool {
        false
    }
}

/// A small pool; tests change what they need.
pub fn config() -> PoolConfig {
    PoolConfig {
        shards: 2,
        kinds: 2,
        payload_size: 0,
        ready_capacity: 4,
        done_capacity: 4,
        recycled_capacity: 4,
        strict: false,
        untracked: false,
        check_overlap: false,
        block_granularity: 1,
        block_align: 1,
        logger: Logger::default(),
    }
}

/// Everything in a lane, taken out.
pub fn drain_lane(pool: &Pool, shard: u32, kind: u32) -> Vec<Buffer> {
    pop_lane(pool, shard, kind, pool.recycled_len(shard, kind))
}

/// Up to `max` buffers from a lane.
pub fn pop_lane(pool: &Pool, shard: u32, kind: u32, max: usize) -> Vec<Buffer> {
    let mut out = vec![std::mem::MaybeUninit::uninit(); max];
    // SAFETY: the test is on one thread, which plays every role.
    let count = unsafe { pool.pop_recycled(shard, kind, &mut out) };
    // SAFETY: the first `count` elements are filled.
    out[..count].iter().map(|buffer| unsafe { buffer.assume_init() }).collect()
}

/// Up to `max` buffers from a done ring.
pub fn pop_done(pool: &Pool, shard: u32, max: usize) -> Vec<Buffer> {
    let mut out = vec![std::mem::MaybeUninit::uninit(); max];
    // SAFETY: as for `pop_lane`.
    let count = unsafe { pool.pop_done(shard, &mut out) };
    // SAFETY: as for `pop_lane`.
    out[..count].iter().map(|buffer| unsafe { buffer.assume_init() }).collect()
}
