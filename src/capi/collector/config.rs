//! What a collector is made of.

use super::records::{Sink, lanepipe_collector_sink_fn_t};
use crate::capi::args::{Sized32, array, check_sized};
use crate::capi::failure::problem;
use crate::capi::log::lanepipe_log_sink_t;
use crate::capi::memory::lanepipe_memory_t;
use crate::capi::profiler::{Factory, lanepipe_thread_create_fn_t, lanepipe_thread_join_fn_t};
use crate::capi::queues::{check_reserved, refusal};
use crate::collector::{self, Chip, Config, Output, Subsystem, Threads};
use crate::pool::Problem;
use crate::profiler::{Role, ThreadBody};
use crate::status::Status;
use core::ffi::c_void;
use std::sync::Arc;

/// Largest arena of one thread in bytes.
pub const LANEPIPE_COLLECTOR_MAX_ARENA: u64 = 4_294_967_296;
/// Most buffers of one instance.
pub const LANEPIPE_COLLECTOR_MAX_BUFFERS: u32 = 1 << 12;
/// Collector flag: the replenish thread polls device words too, and there is no sentinel thread.
pub const LANEPIPE_COLLECTOR_MERGED_SENTINEL: u32 = 1;

const _: () = {
    assert!(LANEPIPE_COLLECTOR_MAX_ARENA == collector::MAX_ARENA);
    assert!(LANEPIPE_COLLECTOR_MAX_BUFFERS == collector::MAX_BUFFERS);
};

/// What a collector is made of. Copied; the array is copied too.
#[repr(C)]
pub struct lanepipe_collector_config_t {
    /// `sizeof(lanepipe_collector_config_t)`.
    pub struct_size: u32,
    /// `LANEPIPE_SUBSYSTEM_*`.
    pub subsystem: u32,
    /// `LANEPIPE_ARCH_*`.
    pub arch: u32,
    /// Cores, for swimlane and counters: 1 to the most of the architecture; the number that the device is told. Else not
    /// looked at.
    pub cores: u32,
    /// Control threads, the orchestrator included: ready queues in use, 1 to the most of the architecture.
    pub threads: u32,
    /// Of these, scheduler threads, which are the first; 0: all.
    pub scheduler_threads: u32,
    /// Ready queue of the orchestrator plus 1; 0: that of the last thread.
    pub orchestrator: u32,
    /// Swimlane: 1 to 4 (`ChipSwimlaneLevel`). Arguments: 1 to 3 (`DumpArgsLevel`). Else 0.
    pub level: u32,
    /// Counters: `PmuEventType`; 0: the default. Else not looked at.
    pub event_type: u32,
    /// Pairs of drain and collect threads, up to `threads`; 0: `threads`, or 1 where one thread produces everything.
    pub shards: u32,
    /// Buffers per instance that creation allocates, up to `LANEPIPE_COLLECTOR_MAX_BUFFERS`; 0: as the C++ runtime. Start
    /// allocates more until the free queues are full or the most is reached.
    pub buffers_per_instance: u32,
    /// Buffers per instance at most, likewise; 0: twice as many as creation allocates. A kind's instances share the limit,
    /// so that where there are several it is no less than one can hold: the slots of its free queue and an active buffer,
    /// and in the cores' stream three more that wait for a core.
    pub max_buffers_per_instance: u32,
    /// `LANEPIPE_COLLECTOR_*` flags.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
    /// For swimlane and counters, else not looked at: the ready queue of the thread that owns each core, `cores` entries
    /// below `threads`; a core's entries are refused on any other queue. Null: core c is taken to belong to scheduler
    /// thread c / 3 modulo their number, until its first entry of a run tells.
    pub core_to_thread: *const u32,
    /// Arguments: bytes of a thread's arena, a multiple of 64 up to `LANEPIPE_COLLECTOR_MAX_ARENA`; 0: 128 MiB.
    pub arena_size: u64,
    /// Records and payloads beyond this many bytes are counted and not stored; 0: 1 GiB.
    pub max_stored_bytes: u64,
    /// How device memory is reached. The collector allocates the shared region, so `shm_dev`, `shm_host` and `shm_size` are 0.
    pub memory: lanepipe_memory_t,
    /// Where messages go.
    pub log: lanepipe_log_sink_t,
    /// Takes records. Null: they are stored, to be read by `lanepipe_collector_read`.
    pub sink: lanepipe_collector_sink_fn_t,
    /// Passed to `sink`. Must stay valid until the collector is destroyed.
    pub sink_context: *mut c_void,
    /// Passed to the thread factory. Must stay valid until the collector is destroyed.
    pub thread_context: *mut c_void,
    /// The thread factory, as a profiler's.
    pub thread_create: lanepipe_thread_create_fn_t,
    /// Its counterpart.
    pub thread_join: lanepipe_thread_join_fn_t,
}

impl Sized32 for lanepipe_collector_config_t {}

impl Threads for Factory {
    fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize> {
        Factory::spawn(self, role, index, body)
    }
    fn join(&self, thread: usize) {
        Factory::join(self, thread);
    }
}

impl lanepipe_collector_config_t {
    /// # Safety
    ///
    /// The array, where it is looked at, is as long as `cores` says.
    pub(super) unsafe fn native(&self) -> Result<Config, Problem> {
        let invalid = |what| refusal(Status::LANEPIPE_E_INVALID, what);
        let subsystem =
            [Subsystem::Swimlane, Subsystem::Pmu, Subsystem::DepGen, Subsystem::ArgsDump, Subsystem::ScopeStats];
        let subsystem = subsystem.get(self.subsystem as usize).copied();
        let chip = [Chip::A2a3, Chip::A5].get(self.arch as usize).copied();
        check_reserved(self.reserved)?;
        if self.flags & !LANEPIPE_COLLECTOR_MERGED_SENTINEL != 0 {
            return Err(invalid("flags has bits that are not LANEPIPE_COLLECTOR_* flags"));
        }
        // SAFETY: the structure is whole.
        unsafe { check_sized(&raw const self.memory) }.map_err(problem)?;
        if !self.memory.shm_dev.is_null() || !self.memory.shm_host.is_null() || self.memory.shm_size != 0 {
            return Err(invalid("memory names a shared region, which the collector allocates"));
        }
        if self.memory.alloc.is_none() {
            return Err(refusal(Status::LANEPIPE_E_NULL, "memory.alloc is null"));
        }
        let subsystem = subsystem.ok_or_else(|| invalid("subsystem is not a LANEPIPE_SUBSYSTEM_*"))?;
        let chip = chip.ok_or_else(|| invalid("arch is not a LANEPIPE_ARCH_*"))?;
        // Not looked at where there are no cores; a number of cores that is out of range is refused with the others.
        let is_read = subsystem.is_per_core() && self.cores <= chip.limits().1 && !self.core_to_thread.is_null();
        let cores = if is_read { self.cores } else { 0 };
        // SAFETY: the caller's contract.
        let core_to_thread = unsafe { array(self.core_to_thread, cores as usize) };
        let output = self.sink.map(|take| -> Box<dyn Output> { Box::new(Sink { take, context: self.sink_context }) });
        Ok(Config {
            subsystem,
            chip,
            cores: self.cores,
            threads: self.threads,
            scheduler_threads: self.scheduler_threads,
            orchestrator: if self.orchestrator == 0 { self.threads } else { self.orchestrator }.saturating_sub(1),
            level: self.level,
            event_type: self.event_type,
            shards: self.shards,
            buffers: self.buffers_per_instance,
            max_buffers: self.max_buffers_per_instance,
            merged_sentinel: self.flags & LANEPIPE_COLLECTOR_MERGED_SENTINEL != 0,
            core_to_thread: core_to_thread.map_err(|status| refusal(status, "core_to_thread is not aligned"))?.into(),
            arena_size: self.arena_size,
            max_stored_bytes: self.max_stored_bytes,
            memory: Arc::new(self.memory),
            device_id: self.memory.device_id,
            output,
            factory: Box::new(Factory::new(self.thread_context, self.thread_create, self.thread_join)?),
            logger: self.log.logger().map_err(|status| refusal(status, "log is out of range"))?,
        })
    }
}
