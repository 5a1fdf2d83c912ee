//! What the host writes before a run: the words of the header, addresses of arenas and rings, and the tables of addresses.

use super::config::{Chip, Config, Subsystem};
use super::describe::{Module, address};
use super::memory::{Block, context};
use crate::layout::runtime::common::DumpBufferState;
use crate::layout::runtime::constants::{ARGS_DUMP_MAGIC, PLATFORM_DUMP_RECORDS_PER_BUFFER};
use crate::layout::runtime::{a2a3, a5};
use crate::pool::{MemoryContext, Pool, Problem};
use crate::status::Status;
use core::mem::offset_of;
use std::sync::Arc;

/// The shared region and what the device finds by it. Blocks outside the pool are freed when this is dropped.
pub(super) struct Region {
    pub(super) dev: u64,
    pub(super) host: u64,
    pub(super) size: usize,
    /// Addresses per core, for the launch arguments.
    pub(super) table: Option<Block>,
    /// Staging rings of the cores.
    _rings: Option<Block>,
}

/// A region and the arenas of its threads.
type Made = (Region, Box<[Block]>, Arc<MemoryContext>);

impl Region {
    /// Allocates the region in `pool`, and what belongs to it, and writes all of it.
    ///
    /// # Errors
    ///
    /// What could not be had; blocks of the pool stay there, the others are given back.
    pub(super) fn new(config: &Config, module: &Module, pool: &Pool) -> Result<Made, Problem> {
        let refused = |status| Problem { status, what: "the shared region could not be allocated" };
        pool.set_memory(context(&config.memory, config.device_id, (0, 0, 0))).map_err(refused)?;
        let size = module.region_size;
        let (dev, host) = pool.allocate_block(size).map_err(refused)?;
        pool.set_memory(context(&config.memory, config.device_id, (dev, host, size))).map_err(refused)?;
        let block = |size| Block::new(&config.memory, config.device_id, size);
        let cores = config.cores as usize;
        let mut arenas = Vec::new();
        let mut region = Self { dev, host, size, table: None, _rings: None };
        region.write_header(config);
        match (config.subsystem, config.chip) {
            (Subsystem::ArgsDump, _) => {
                for stream in &module.streams {
                    for thread in 0..stream.instances {
                        let arena = block(config.arena_size as usize)?;
                        let state = stream.state_at(thread);
                        region.put64(state + offset_of!(DumpBufferState, arena_base), arena.dev);
                        region.put64(state + offset_of!(DumpBufferState, arena_size), config.arena_size);
                        arenas.push(arena);
                    }
                }
            }
            (Subsystem::Swimlane, _) => {
                // The device fills it.
                let table = block(cores * size_of::<u64>())?;
                table.write(&vec![0; cores * size_of::<u64>()])?;
                region.table = Some(table);
            }
            (Subsystem::Pmu, Chip::A5) => {
                const RING: usize = size_of::<a5::PmuAicoreRing>();
                let rings = block(cores * RING)?;
                rings.write(&vec![0; cores * RING])?;
                let address = |core: usize| rings.dev + (core * RING) as u64;
                for core in 0..cores {
                    let state = module.streams[0].state_at(core as u32);
                    region.put64(state + offset_of!(a5::PmuBufferState, aicore_ring_ptr), address(core));
                }
                let table = block(cores * size_of::<u64>())?;
                table.write(&(0..cores).flat_map(|core| address(core).to_ne_bytes()).collect::<Vec<_>>())?;
                region.table = Some(table);
                region._rings = Some(rings);
            }
            _ => {}
        }
        let memory = pool.memory();
        let bytes = address::<u8>(host, 0).cast_const();
        // SAFETY: the region's own bytes.
        unsafe { memory.write_shared(host, bytes, size) }.map_err(|_| Problem {
            status: Status::LANEPIPE_E_CALLBACK,
            what: "the shared region could not be copied to the device",
        })?;
        Ok((region, arenas.into(), memory))
    }

    fn write_header(&self, config: &Config) {
        macro_rules! words {
            ($header:ident { $($field:ident = $value:expr),* }) => {
                match config.chip {
                    Chip::A2a3 => { $(self.put32(offset_of!(a2a3::$header, $field), $value);)* }
                    Chip::A5 => { $(self.put32(offset_of!(a5::$header, $field), $value);)* }
                }
            };
        }
        match config.subsystem {
            Subsystem::Swimlane => {
                words!(ChipSwimlaneDataHeader { num_cores = config.cores, chip_swimlane_level = config.level });
            }
            Subsystem::Pmu => words!(PmuDataHeader { num_cores = config.cores, event_type = config.event_type }),
            Subsystem::DepGen => words!(DepGenDataHeader { num_instances = 1 }),
            Subsystem::ScopeStats => words!(ScopeStatsDataHeader { num_instances = 1 }),
            Subsystem::ArgsDump => {
                words!(DumpDataHeader {
                    num_dump_threads = config.scheduler_threads,
                    records_per_buffer = PLATFORM_DUMP_RECORDS_PER_BUFFER,
                    magic = ARGS_DUMP_MAGIC,
                    dump_args_level = config.level
                });
                let at = match config.chip {
                    Chip::A2a3 => offset_of!(a2a3::DumpDataHeader, arena_size_per_thread),
                    Chip::A5 => offset_of!(a5::DumpDataHeader, arena_size_per_thread),
                };
                self.put64(at, config.arena_size);
            }
        }
    }

    fn put32(&self, offset: usize, value: u32) {
        // SAFETY: inside the region, aligned as it is, and not shared yet.
        unsafe { address::<u32>(self.host, offset).write(value) };
    }

    fn put64(&self, offset: usize, value: u64) {
        // SAFETY: as above.
        unsafe { address::<u64>(self.host, offset).write(value) };
    }
}
