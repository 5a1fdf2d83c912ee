//! The architectures as types, for code that is compiled once for each.

use super::{a2a3, a5, common, constants};
use core::mem::offset_of;

/// Where the words of a subsystem's header lie, and how many there are. Offsets in bytes from the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLayout {
    /// Size of the header: instance states follow it.
    pub size: usize,
    /// Ready queues, one per control thread.
    pub threads: u32,
    /// Entries of a ready queue.
    pub ready_size: u32,
    /// Heads of the ready queues.
    pub heads: usize,
    /// Tails of the ready queues.
    pub tails: usize,
    /// [`common::DfxBackpressureHeader`].
    pub gates: usize,
}

macro_rules! header {
    ($arch:ident, $header:ident, $ready:expr) => {{
        assert!(offset_of!($arch::$header, queues) == 0);
        HeaderLayout {
            size: size_of::<$arch::$header>(),
            threads: $arch::PLATFORM_MAX_AICPU_THREADS,
            ready_size: $ready,
            heads: offset_of!($arch::$header, queue_heads),
            tails: offset_of!($arch::$header, queue_tails),
            gates: offset_of!($arch::$header, backpressure),
        }
    }};
}

/// An architecture.
pub trait Arch: 'static {
    /// Ready queues of every header, and the most control threads.
    const MAX_THREADS: u32;
    /// Most cores.
    const MAX_CORES: u32;
    /// Budget of a wait, in ticks of the control processors' counter: 30 s.
    const BUDGET: u64;
    /// Counters of a [`PmuRecord`](a2a3::PmuRecord).
    const PMU_COUNTERS: usize;
    /// Swimlane.
    const SWIMLANE: HeaderLayout;
    /// Performance counters.
    const PMU: HeaderLayout;
    /// Submits and their dependencies.
    const DEP_GEN: HeaderLayout;
    /// Arguments.
    const ARGS_DUMP: HeaderLayout;
    /// Scopes.
    const SCOPE_STATS: HeaderLayout;
}

/// Architecture a2a3.
#[derive(Debug, Clone, Copy)]
pub enum A2a3 {}

/// Architecture a5.
#[derive(Debug, Clone, Copy)]
pub enum A5 {}

macro_rules! arch {
    ($name:ident, $arch:ident, $counters:expr) => {
        impl Arch for $name {
            const MAX_THREADS: u32 = $arch::PLATFORM_MAX_AICPU_THREADS;
            const MAX_CORES: u32 = $arch::PLATFORM_MAX_CORES;
            const BUDGET: u64 = $arch::PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES;
            const PMU_COUNTERS: usize = $counters as usize;
            const SWIMLANE: HeaderLayout = header!($arch, ChipSwimlaneDataHeader, $arch::PLATFORM_PROF_READYQUEUE_SIZE);
            const PMU: HeaderLayout = header!($arch, PmuDataHeader, $arch::PLATFORM_PMU_READYQUEUE_SIZE);
            const DEP_GEN: HeaderLayout = header!($arch, DepGenDataHeader, constants::PLATFORM_DEP_GEN_READYQUEUE_SIZE);
            const ARGS_DUMP: HeaderLayout = header!($arch, DumpDataHeader, $arch::PLATFORM_DUMP_READYQUEUE_SIZE);
            const SCOPE_STATS: HeaderLayout =
                header!($arch, ScopeStatsDataHeader, constants::PLATFORM_SCOPE_STATS_READYQUEUE_SIZE);
        }
    };
}

arch!(A2a3, a2a3, a2a3::PMU_COUNTER_COUNT_A2A3);
arch!(A5, a5, a5::PMU_COUNTER_COUNT_A5);

// Ready entries of all subsystems are alike, and so are the first fields of their free queues but for the number of slots.
const _: () = {
    assert!(size_of::<common::ReadyQueueEntry>() == size_of::<common::DumpReadyQueueEntry>());
    assert!(offset_of!(common::ReadyQueueEntry, buffer_ptr) == offset_of!(common::PmuReadyQueueEntry, buffer_ptr));
    assert!(offset_of!(common::ReadyQueueEntry, buffer_seq) == offset_of!(common::PmuReadyQueueEntry, buffer_seq));
};
