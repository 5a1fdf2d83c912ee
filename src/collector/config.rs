//! What a collector is made of.

use super::output::Output;
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5, Arch};
use crate::log::Logger;
use crate::pool::{MemoryOps, Problem, require};
use crate::profiler::{Role, ThreadBody};
use std::sync::Arc;

/// Largest arena of one thread in bytes.
pub const MAX_ARENA: u64 = 1 << 32;
/// Most buffers of one instance.
pub const MAX_BUFFERS: u32 = 1 << 12;
/// Bytes that are stored where the configuration names no limit.
pub const STORED_BYTES: u64 = 1 << 30;

/// A subsystem.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subsystem {
    /// Tasks and phases.
    Swimlane = 0,
    /// Performance counters.
    Pmu = 1,
    /// Submits and their dependencies.
    DepGen = 2,
    /// Arguments.
    ArgsDump = 3,
    /// Scopes.
    ScopeStats = 4,
}

impl Subsystem {
    /// Whether it has instances per core.
    pub fn is_per_core(self) -> bool {
        matches!(self, Self::Swimlane | Self::Pmu)
    }
}

/// An architecture.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chip {
    /// a2a3.
    A2a3 = 0,
    /// a5.
    A5 = 1,
}

impl Chip {
    /// Most control threads and most cores.
    pub fn limits(self) -> (u32, u32) {
        match self {
            Self::A2a3 => (A2a3::MAX_THREADS, A2a3::MAX_CORES),
            Self::A5 => (A5::MAX_THREADS, A5::MAX_CORES),
        }
    }
}

/// Creates and joins the threads, as the profiler's hooks of the same names.
pub trait Threads: Send + Sync {
    /// Creates a thread that runs `body`; returns a handle for `join`. Thread of the starter.
    fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize>;
    /// Waits for the end of a thread. Thread of the stopper.
    fn join(&self, thread: usize);
}

/// A collector's configuration. Numbers that say so may be 0 for what the C++ runtime has.
pub struct Config {
    /// The subsystem.
    pub subsystem: Subsystem,
    /// The architecture.
    pub chip: Chip,
    /// Cores, for swimlane and counters; 1 to the most there are.
    pub cores: u32,
    /// Control threads, the orchestrator included: ready queues in use, 1 to the most there are.
    pub threads: u32,
    /// Of these, scheduler threads, the first ones; 0: all.
    pub scheduler_threads: u32,
    /// Ready queue of the orchestrator.
    pub orchestrator: u32,
    /// Level of swimlane or arguments; else 0.
    pub level: u32,
    /// Event type of the counters; 0: the default.
    pub event_type: u32,
    /// Pairs of drain and collect threads; 0: as many as threads, or as the subsystem makes use of.
    pub shards: u32,
    /// Buffers per instance that creation allocates; 0: as many as the C++ runtime has. Start allocates more until the free
    /// queues are full or the most is reached.
    pub buffers: u32,
    /// Buffers per instance at most; 0: twice as many as creation allocates. No fewer than an instance can hold, where there are
    /// several.
    pub max_buffers: u32,
    /// The replenish thread polls, and there is no sentinel thread.
    pub merged_sentinel: bool,
    /// The thread that owns each core, on whose ready queue alone its entries are taken. Empty: core c is taken to belong to
    /// scheduler thread c / 3 modulo their number, until its first entry of a run tells.
    pub core_to_thread: Box<[u32]>,
    /// Bytes of a thread's arena; 0: as the C++ runtime.
    pub arena_size: u64,
    /// Records and payloads beyond this many bytes are counted and not stored; 0: [`STORED_BYTES`].
    pub max_stored_bytes: u64,
    /// How device memory is reached.
    pub memory: Arc<dyn MemoryOps>,
    /// Passed to the registration of memory.
    pub device_id: i32,
    /// Takes records; `None`: they are stored.
    pub output: Option<Box<dyn Output>>,
    /// The thread factory.
    pub factory: Box<dyn Threads>,
    /// Where messages go.
    pub logger: Logger,
}

impl Config {
    /// Checks all ranges, and puts in what 0 stands for.
    ///
    /// # Errors
    ///
    /// The first value that is out of range.
    pub(super) fn settle(&mut self) -> Result<(), Problem> {
        let (threads, cores) = self.chip.limits();
        let per_core = self.subsystem.is_per_core();
        require((1..=threads).contains(&self.threads), "threads is not in 1 to the most of the architecture")?;
        require(!per_core || (1..=cores).contains(&self.cores), "cores is not in 1 to the most of the architecture")?;
        require(self.scheduler_threads <= self.threads, "scheduler_threads is above threads")?;
        require(self.orchestrator < self.threads, "orchestrator is not below threads")?;
        let levels = match self.subsystem {
            Subsystem::Swimlane => CHIP_SWIMLANE_LEVEL_AICORE_TIMING..=CHIP_SWIMLANE_LEVEL_ORCH_PHASES,
            Subsystem::ArgsDump => DUMP_ARGS_LEVEL_PARTIAL..=DUMP_ARGS_LEVEL_HYBRID,
            _ => 0..=0,
        };
        require(levels.contains(&self.level), "level is not one that the subsystem records at")?;
        let most_shards = match self.subsystem {
            Subsystem::DepGen => DEP_GEN_MAX_COLLECTOR_THREADS,
            Subsystem::ScopeStats => SCOPE_STATS_MAX_COLLECTOR_THREADS,
            _ => threads,
        };
        require(self.shards <= self.threads, "shards is above threads")?;
        require(
            self.buffers <= MAX_BUFFERS && self.max_buffers <= MAX_BUFFERS,
            "buffers per instance are above the cap",
        )?;
        require(
            self.max_buffers == 0 || self.max_buffers >= self.buffers,
            "max_buffers_per_instance is below buffers_per_instance",
        )?;
        let map = &self.core_to_thread;
        require(map.is_empty() || map.len() == self.cores as usize, "core_to_thread has not one entry per core")?;
        require(map.iter().all(|thread| *thread < self.threads), "core_to_thread names a thread that there is not")?;
        require(self.arena_size <= MAX_ARENA, "arena_size is above LANEPIPE_COLLECTOR_MAX_ARENA")?;
        require(self.arena_size.is_multiple_of(64), "arena_size is not a multiple of 64")?;
        if self.scheduler_threads == 0 {
            self.scheduler_threads = self.threads;
        }
        if self.shards == 0 {
            self.shards = self.threads.min(most_shards);
        }
        if self.arena_size == 0 {
            self.arena_size = DUMP_ARENA_BYTES_PER_THREAD;
        }
        if self.max_stored_bytes == 0 {
            self.max_stored_bytes = STORED_BYTES;
        }
        if self.event_type == 0 {
            self.event_type = PMU_EVENT_TYPE_DEFAULT;
        }
        Ok(())
    }

    /// The thread that owns `core`.
    pub(super) fn thread_of(&self, core: u32) -> u32 {
        let mapped = self.core_to_thread.get(core as usize).copied();
        mapped.unwrap_or_else(|| (core / 3).checked_rem(self.scheduler_threads).unwrap_or(0))
    }
}
