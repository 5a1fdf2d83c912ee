//! Architecture a2a3.

use super::common::{
    DepGenReadyQueueEntry, DfxBackpressureHeader, DumpReadyQueueEntry, PmuFreeQueue, PmuReadyQueueEntry,
    ReadyQueueEntry, ScopeStatsReadyQueueEntry,
};
use super::describe::{constants, structs};

constants! {
    PLATFORM_MAX_AICPU_THREADS: u32 = 4;
    PLATFORM_MAX_CORES: u32 = 72;
    PLATFORM_MAX_PHYSICAL_CORES: u32 = 25;
    PLATFORM_PROF_READYQUEUE_SIZE: u32 = 992;
    PLATFORM_PMU_READYQUEUE_SIZE: u32 = 144;
    PLATFORM_DUMP_READYQUEUE_SIZE: u32 = 64;
    PLATFORM_PROF_SYS_CNT_FREQ: u32 = 50000000;
    PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES: u64 = 1500000000;
    PMU_COUNTER_COUNT_A2A3: u32 = 8;
    REG_MMIO_PMU_CTRL_0_OFFSET: u32 = 512;
    REG_MMIO_PMU_CNT0_OFFSET: u32 = 528;
    REG_MMIO_PMU_CNT1_OFFSET: u32 = 536;
    REG_MMIO_PMU_CNT2_OFFSET: u32 = 544;
    REG_MMIO_PMU_CNT3_OFFSET: u32 = 552;
    REG_MMIO_PMU_CNT4_OFFSET: u32 = 560;
    REG_MMIO_PMU_CNT5_OFFSET: u32 = 568;
    REG_MMIO_PMU_CNT6_OFFSET: u32 = 576;
    REG_MMIO_PMU_CNT7_OFFSET: u32 = 584;
    REG_MMIO_PMU_CNT_TOTAL0_OFFSET: u32 = 592;
    REG_MMIO_PMU_CNT_TOTAL1_OFFSET: u32 = 596;
    REG_MMIO_PMU_START_CYC0_OFFSET: u32 = 672;
    REG_MMIO_PMU_START_CYC1_OFFSET: u32 = 676;
    REG_MMIO_PMU_STOP_CYC0_OFFSET: u32 = 680;
    REG_MMIO_PMU_STOP_CYC1_OFFSET: u32 = 684;
    REG_MMIO_PMU_CNT0_IDX_OFFSET: u32 = 4736;
    REG_MMIO_PMU_CNT1_IDX_OFFSET: u32 = 4740;
    REG_MMIO_PMU_CNT2_IDX_OFFSET: u32 = 4744;
    REG_MMIO_PMU_CNT3_IDX_OFFSET: u32 = 4748;
    REG_MMIO_PMU_CNT4_IDX_OFFSET: u32 = 4752;
    REG_MMIO_PMU_CNT5_IDX_OFFSET: u32 = 4756;
    REG_MMIO_PMU_CNT6_IDX_OFFSET: u32 = 4760;
    REG_MMIO_PMU_CNT7_IDX_OFFSET: u32 = 4764;
    REG_MMIO_PMU_CTRL_0_ENABLE_VAL: u32 = 7;
}

/// Event types of the counters and the selectors of each.
pub const PMU_EVENTS: [(u32, [u32; 8]); 7] = [
    (1, [73, 74, 75, 76, 77, 78, 79, 0]),
    (2, [8, 10, 9, 11, 12, 13, 85, 84]),
    (4, [21, 22, 49, 50, 15, 16, 18, 19]),
    (5, [27, 28, 33, 34, 39, 40, 0, 0]),
    (6, [100, 101, 102, 0, 0, 0, 0, 0]),
    (7, [61, 16, 19, 62, 67, 68, 55, 56]),
    (8, [1280, 1282, 1284, 1286, 1288, 1290, 0, 0]),
];

structs! {
    /// Head of the swimlane's region.
    ChipSwimlaneDataHeader: size 127168, align 64 {
        queues: [[ReadyQueueEntry; 992]; 4] = 0,
        queue_heads: [u32; 4] = 126976,
        queue_tails: [u32; 4] = 126992,
        num_cores: u32 = 127008,
        chip_swimlane_level: u32 = 127012,
        num_sched_phase_threads: u32 = 127016,
        num_orch_phase_threads: u32 = 127020,
        num_phase_cores: u32 = 127024,
        core_to_thread: [i8; 72] = 127028,
        backpressure: DfxBackpressureHeader = 127100,
    }
    /// Events of one type and their names.
    PmuEventConfig: size 96, align 8 {
        event_ids: [u32; 8] = 0,
        counter_names: [u64; 8] = 32,
    }
    /// Counters of one task; also a slot of a core's staging ring.
    PmuRecord: size 64, align 64 {
        task_id: u64 = 0,
        func_id: u32 = 8,
        core_type: u32 = 12,
        pmu_total_cycles: u64 = 16,
        pmu_counters: [u32; 8] = 24,
    }
    /// Buffer of counters.
    PmuBuffer: size 32832, align 64 {
        records: [PmuRecord; 512] = 0,
        count: u32 = 32768,
    }
    /// State of a core.
    PmuBufferState: size 192, align 64 {
        free_queue: PmuFreeQueue = 0,
        current_buf_ptr: u64 = 128,
        current_buf_seq: u32 = 136,
        dropped_record_count: u32 = 140,
        total_record_count: u32 = 144,
        pad: [u32; 11] = 148,
    }
    /// Head of the counters' region.
    PmuDataHeader: size 18496, align 64 {
        queues: [[PmuReadyQueueEntry; 144]; 4] = 0,
        queue_heads: [u32; 4] = 18432,
        queue_tails: [u32; 4] = 18448,
        num_cores: u32 = 18464,
        event_type: u32 = 18468,
        backpressure: DfxBackpressureHeader = 18472,
    }
    /// Head of the submits' region.
    DepGenDataHeader: size 1088, align 64 {
        queues: [[DepGenReadyQueueEntry; 8]; 4] = 0,
        queue_heads: [u32; 4] = 1024,
        queue_tails: [u32; 4] = 1040,
        num_instances: u32 = 1056,
        backpressure: DfxBackpressureHeader = 1060,
    }
    /// Head of the scopes' region.
    ScopeStatsDataHeader: size 1152, align 64 {
        queues: [[ScopeStatsReadyQueueEntry; 8]; 4] = 0,
        queue_heads: [u32; 4] = 1024,
        queue_tails: [u32; 4] = 1040,
        num_instances: u32 = 1056,
        backpressure: DfxBackpressureHeader = 1060,
        task_window_cap: [i32; 4] = 1076,
        dep_pool_cap: [i32; 4] = 1092,
        heap_cap: [u64; 4] = 1112,
        tensormap_cap: i32 = 1144,
        fatal_latched: u32 = 1148,
    }
    /// Head of the dumps' region.
    DumpDataHeader: size 8320, align 64 {
        queues: [[DumpReadyQueueEntry; 64]; 4] = 0,
        queue_heads: [u32; 4] = 8192,
        queue_tails: [u32; 4] = 8208,
        num_dump_threads: u32 = 8224,
        records_per_buffer: u32 = 8228,
        arena_size_per_thread: u64 = 8232,
        magic: u32 = 8240,
        dump_args_level: u32 = 8244,
        backpressure: DfxBackpressureHeader = 8248,
    }
    /// Launch arguments as the device gets them.
    KernelArgs: size 96, align 8 {
        runtime_args: u64 = 0,
        regs: u64 = 8,
        ffts_base_addr: u64 = 16,
        dump_data_base: u64 = 24,
        chip_swimlane_data_base: u64 = 32,
        pmu_data_base: u64 = 40,
        pmu_reg_addrs: u64 = 48,
        dep_gen_data_base: u64 = 56,
        scope_stats_data_base: u64 = 64,
        chip_swimlane_aicore_rotation_table: u64 = 72,
        device_wall_data_base: u64 = 80,
        enable_profiling_flag: u32 = 88,
    }
}
