//! The host half of a subsystem: one collector owns the shared region, the pool, the profiler, the buffers and the records of
//! one subsystem for one run.
//!
//! | module | holds |
//! | --- | --- |
//! | `config` | what a collector is made of |
//! | `describe` | a subsystem's kinds, instances and words, from the device side's forms |
//! | `memory`, `region` | device memory and what the host writes there before a run |
//! | `intake`, `hooks` | from ready entries to records |
//! | `payloads`, `acknowledge` | contents of dumped arguments, and when an arena may be written anew |
//! | `output`, `store`, `account` | where records go, and what is counted |
//! | `snapshot`, `books`, `recover` | after the run |
//!
//! # States
//!
//! *made* → (start) *running* → (stop) *stopped* → (start again, or recover) ... → *ended* → gone. Reconciling and reading
//! happen while stopped, or before the first start, or once ended. A further run has a further collector: the contract gives
//! each launch regions of its own, and a buffer that the device still holds somewhere only comes back with all of them.
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | region, but for the words of queues and gates | owner, before the run | device |
//! | words of queues and gates | as in `profiler` | as there |
//! | acknowledged payloads | replenish thread | device |
//! | stores, accounts | drain and collect thread of the instance's shard; owner at rest | owner at rest |

mod account;
mod acknowledge;
mod books;
mod config;
mod describe;
mod hooks;
mod intake;
#[cfg(all(test, loom))]
mod loom_tests;
mod memory;
mod output;
mod payloads;
mod recover;
mod region;
mod snapshot;
mod store;
#[cfg(all(test, not(loom)))]
mod tests;

pub use books::{Books, Of, Verdict};
pub use config::{Chip, Config, MAX_ARENA, MAX_BUFFERS, STORED_BYTES, Subsystem, Threads};
pub use output::{Output, Payload, RECOVERED, Records};

use crate::layout::runtime::constants::*;
use crate::log::Logger;
use crate::pool::{Pool, PoolConfig, Problem};
use crate::profiler::{self, Fault, GateStats, KindConfig, Profiler, QueueStats, Route, ShardStats, State};
use crate::status::Status;
use crate::sync::atomic::{AtomicBool, ColdMutex, Ordering};
use crate::sync::{CachePadded, Turn};
use books::Ledgers;
use core::fmt;
use describe::{Module, Place, Stream};
use hooks::Callbacks;
use intake::{Account, Intake};
use memory::ALIGN;
use region::Region;
use std::sync::Arc;
use store::Store;

/// One kind, for who reads its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Instances that are served; 0 at a level that does not record it.
    pub instances: u32,
    /// Bytes of a record.
    pub record_size: u32,
    /// Records of a buffer.
    pub capacity: u32,
    /// Bytes of a buffer.
    pub buffer_size: usize,
}

/// Where the device finds the region: numbers for the launch arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Bit of `enable_profiling_flag`.
    pub flag: u32,
    /// Device address.
    pub base: u64,
    /// Host address: the same bytes, or the shadow.
    pub host: u64,
    /// Bytes.
    pub size: usize,
    /// Device address of the table of addresses per core, 0 if the subsystem has none.
    pub table: u64,
    /// Entries of the table.
    pub table_count: u32,
}

/// The host half of a subsystem. See the module documentation.
pub struct Collector {
    // First: its drop stops the threads, which use everything below.
    profiler: Profiler,
    intake: Arc<Intake>,
    books: ColdMutex<Option<Ledgers>>,
    /// Recovery took buffers out of the device's hands: the run cannot go on.
    ended: AtomicBool,
    /// Taken while a thread is inside start, recovery, reconciliation or read. Stop does not take it: threads must be ended
    /// whatever goes on, and the profiler has a turn of its own.
    busy: Turn,
    region: Region,
    subsystem: Subsystem,
    cores: u32,
    // Last of those that free memory: the pool's blocks go when all else is gone.
    _blocks: PoolBlocks,
}

/// Gives the pool's allocations back when it is dropped.
struct PoolBlocks(Arc<Pool>);

impl Drop for PoolBlocks {
    fn drop(&mut self) {
        let memory = self.0.memory();
        // SAFETY: whoever drops this is the last user: no thread runs.
        let _ = unsafe {
            self.0.release_all(|base| {
                if let Some(ops) = &memory.ops {
                    ops.free(base);
                }
            })
        };
    }
}

impl Collector {
    /// Allocates everything for a run and writes the region. Any thread. Nothing is started.
    ///
    /// # Errors
    ///
    /// What is out of range or could not be had; everything is given back then.
    pub fn new(mut config: Config) -> Result<Self, Problem> {
        config.settle()?;
        let memory = &config.memory;
        if memory.copies_in() != memory.copies_out() {
            return Err(Problem {
                status: Status::LANEPIPE_E_NULL,
                what: "one copy callback is set, the other is not",
            });
        }
        let module = Module::new(&config);
        let short = |status| Problem { status, what: "the collector could not be made" };
        let pool = Arc::new(Pool::new(pool_config(&mut config, &module)).map_err(short)?);
        let blocks = PoolBlocks(pool.clone());
        let (region, arenas, memory) = Region::new(&config, &module, &pool)?;
        preallocate(&module, &pool)?;
        let instances = module.places.len();
        let intake = Arc::new(Intake {
            // SAFETY: the region lives as long as the collector, and the device's half of the contract is the caller's word.
            gates: unsafe { module.gates(region.host) },
            routes: module.places.iter().map(|place| Route::new(place.queue, place.guess)).collect(),
            accounts: (0..instances).map(|_| Account::default()).collect(),
            nameless: (0..config.threads).map(|_| CachePadded::default()).collect(),
            positions: (0..config.threads).map(|_| Default::default()).collect(),
            arenas,
            store: Store::new(instances, config.max_stored_bytes),
            output: config.output.take(),
            host: region.host,
            pool: pool.clone(),
            memory,
            module,
        });
        let (subsystem, cores) = (config.subsystem, config.cores);
        let profiler = Profiler::new(pool, profiler_config(config, &intake)).map_err(short)?;
        Ok(Self {
            profiler,
            intake,
            books: ColdMutex::new(None),
            ended: AtomicBool::new(false),
            busy: Turn::new(),
            region,
            subsystem,
            cores,
            _blocks: blocks,
        })
    }

    /// Where the device finds the region. Any thread.
    pub fn site(&self) -> Site {
        let Region { dev, host, size, ref table, .. } = self.region;
        Site {
            flag: match self.subsystem {
                Subsystem::Swimlane => SIMPLER_DFX_FLAG_CHIP_SWIMLANE,
                Subsystem::Pmu => SIMPLER_DFX_FLAG_PMU,
                Subsystem::DepGen => SIMPLER_DFX_FLAG_DEP_GEN,
                Subsystem::ArgsDump => SIMPLER_DFX_FLAG_DUMP_ARGS,
                Subsystem::ScopeStats => SIMPLER_DFX_FLAG_SCOPE_STATS,
            },
            base: dev,
            host,
            size,
            table: table.as_ref().map_or(0, |table| table.dev),
            table_count: table.as_ref().map_or(0, |_| self.cores),
        }
    }

    /// Fills the free queues and starts the threads, as [`Profiler::start`]. Owner thread.
    ///
    /// # Errors
    ///
    /// Those of the profiler; `LANEPIPE_E_STATE` after recovery; `LANEPIPE_BUSY` while another thread reconciles or recovers.
    pub fn start(&self) -> Result<(), Status> {
        let _inside = self.busy.enter().ok_or(Status::LANEPIPE_BUSY)?;
        // Relaxed: the turn orders it.
        if self.ended.load(Ordering::Relaxed) {
            return Err(Status::LANEPIPE_E_STATE);
        }
        if self.profiler.state() == State::Stopped {
            self.intake.routes.iter().for_each(Route::reopen);
        }
        self.profiler.start()
    }

    /// Delivers what the device published before the call, then ends and joins all threads, as [`Profiler::stop`]. The
    /// device is quiet. Owner thread.
    ///
    /// # Errors
    ///
    /// Those of the profiler; `LANEPIPE_BUSY` is among them, while another thread is inside start or stop.
    pub fn stop(&self, deadline: u64) -> Result<(), Status> {
        self.profiler.stop(deadline)
    }

    /// Runs `body` while no thread runs and none is started.
    fn at_rest<R>(&self, body: impl FnOnce() -> Result<R, Status>) -> Result<R, Status> {
        let _inside = self.busy.enter().ok_or(Status::LANEPIPE_BUSY)?;
        if self.profiler.state() != State::Stopped {
            return Err(Status::LANEPIPE_E_STATE);
        }
        body()
    }

    /// There is no further start.
    fn end(&self) {
        // Relaxed: the turn orders it.
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Stored records: run `position` of an instance, from 0 on in the order in which they came; `None` beyond the last.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` while threads run; `LANEPIPE_E_INVALID` for an instance that there is not; `LANEPIPE_BUSY` while
    /// another thread is inside a call of this sort.
    ///
    /// # Safety
    ///
    /// While the result is used nobody starts the collector or recovers.
    pub unsafe fn read(&self, kind: u32, instance: u32, position: u64) -> Result<Option<Records<'_>>, Status> {
        self.at_rest(|| {
            let number = self.intake.module.instance(kind, instance).ok_or(Status::LANEPIPE_E_INVALID)?;
            // SAFETY: at rest, and the caller's contract.
            Ok(unsafe { self.intake.store.get(number, position) })
        })
    }

    /// A kind of the subsystem. Any thread.
    pub fn kind(&self, kind: u32) -> Option<Kind> {
        let stream = self.intake.module.streams.get(kind as usize)?;
        Some(Kind {
            instances: stream.instances,
            record_size: stream.record as u32,
            capacity: stream.capacity,
            buffer_size: stream.buffer_size,
        })
    }

    /// Records collected so far. Any thread.
    pub fn collected(&self) -> u64 {
        self.intake.accounts.iter().map(|account| account.collected.records.get()).sum()
    }

    /// The state. Any thread.
    pub fn state(&self) -> State {
        self.profiler.state()
    }

    /// Counters of a ready queue. Any thread; so are the others.
    pub fn queue_stats(&self, queue: u32) -> Option<QueueStats> {
        self.profiler.queue_stats(queue)
    }

    /// Counters of a shard.
    pub fn shard_stats(&self, shard: u32) -> Option<ShardStats> {
        self.profiler.shard_stats(shard)
    }

    /// Counters of the gates.
    pub fn gate_stats(&self) -> GateStats {
        self.profiler.gate_stats()
    }

    /// The last fault of a worker thread.
    pub fn fault(&self) -> Option<Fault> {
        self.profiler.fault()
    }

    /// Where messages go.
    pub fn logger(&self) -> &Logger {
        self.intake.pool.logger()
    }

    fn log(&self, level: u32, message: fmt::Arguments<'_>) {
        self.logger().log(level, message);
    }
}

/// A pool whose queues hold every buffer that there may be.
fn pool_config(config: &mut Config, module: &Module) -> PoolConfig {
    let most = |stream: &Stream| stream.instances * stream.max_buffers;
    let all: u32 = module.streams.iter().map(most).sum();
    PoolConfig {
        shards: config.shards,
        kinds: module.streams.len() as u32,
        payload_size: size_of::<intake::Parcel>() as u32,
        ready_capacity: all.max(1),
        done_capacity: all.max(1),
        recycled_capacity: module.streams.iter().map(most).max().unwrap_or(0).max(1),
        strict: false,
        untracked: false,
        check_overlap: false,
        block_granularity: ALIGN as usize,
        block_align: ALIGN,
        logger: core::mem::take(&mut config.logger),
    }
}

/// Allocates the buffers that the C++ runtime has before a run, one block per kind and shard.
fn preallocate(module: &Module, pool: &Pool) -> Result<(), Problem> {
    for (kind, stream) in (0u32..).zip(&module.streams) {
        for shard in 0..pool.live_shards() {
            let of_shard = |place: &&Place| place.kind == kind && place.queue % pool.live_shards() == shard;
            let instances = module.places.iter().filter(of_shard).count() as u32;
            if instances == 0 {
                continue;
            }
            let count = instances * stream.buffers;
            // SAFETY: no thread runs yet.
            unsafe { pool.allocate(kind, stream.buffer_size, count, Some(shard)) }
                .map_err(|status| Problem { status, what: "the buffers could not be allocated" })?;
        }
    }
    Ok(())
}

/// The profiler of a collector.
fn profiler_config(config: Config, intake: &Arc<Intake>) -> profiler::Config {
    let module = &intake.module;
    let kind = |stream: &Stream| KindConfig {
        buffer_size: stream.buffer_size,
        batch_size: (stream.buffers / 2).max(1),
        warm_target: 0,
        max_buffers: stream.instances * stream.max_buffers,
    };
    profiler::Config {
        // SAFETY: the region lives as long as the collector, and the device's half of the contract is the caller's word.
        queues: unsafe { module.queues(intake.host, config.threads) },
        // SAFETY: as above.
        instances: unsafe { module.instances(intake.host) },
        max_instances: module.places.len() as u32,
        kinds: module.streams.iter().map(kind).collect(),
        collect_batch: 1,
        poll_min_ns: profiler::DEFAULT_POLL_MIN_NS,
        poll_max_ns: profiler::DEFAULT_POLL_MAX_NS,
        quiet_ns: profiler::DEFAULT_QUIET_NS,
        idle_ns: 0,
        copy_tries: 1,
        gates: Some(intake.gates),
        merged_sentinel: config.merged_sentinel,
        prefilled: false,
        eager: false,
        hooks: Box::new(Callbacks::new(intake.clone(), config.factory)),
    }
}
