//! Architecture a5.

use super::common::{
    DepGenReadyQueueEntry, DfxBackpressureHeader, DumpReadyQueueEntry, PmuFreeQueue, PmuReadyQueueEntry,
    ReadyQueueEntry, ScopeStatsReadyQueueEntry,
};
use super::describe::{constants, structs};

constants! {
    PLATFORM_MAX_AICPU_THREADS: u32 = 5;
    PLATFORM_MAX_CORES: u32 = 108;
    PLATFORM_MAX_PHYSICAL_CORES: u32 = 36;
    PLATFORM_PROF_READYQUEUE_SIZE: u32 = 1456;
    PLATFORM_PMU_READYQUEUE_SIZE: u32 = 216;
    PLATFORM_DUMP_READYQUEUE_SIZE: u32 = 80;
    PLATFORM_PROF_SYS_CNT_FREQ: u32 = 1000000000;
    PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES: u64 = 30000000000;
    PLATFORM_PMU_AICORE_RING_SIZE: u32 = 2;
    PMU_COUNTER_COUNT_A5: u32 = 10;
    REG_MMIO_PMU_CTRL_0_OFFSET: u32 = 16896;
    REG_MMIO_PMU_CTRL_1_OFFSET: u32 = 9216;
    REG_MMIO_PMU_CNT0_OFFSET: u32 = 16912;
    REG_MMIO_PMU_CNT1_OFFSET: u32 = 16920;
    REG_MMIO_PMU_CNT2_OFFSET: u32 = 16928;
    REG_MMIO_PMU_CNT3_OFFSET: u32 = 16936;
    REG_MMIO_PMU_CNT4_OFFSET: u32 = 16944;
    REG_MMIO_PMU_CNT5_OFFSET: u32 = 16952;
    REG_MMIO_PMU_CNT6_OFFSET: u32 = 16960;
    REG_MMIO_PMU_CNT7_OFFSET: u32 = 16968;
    REG_MMIO_PMU_CNT8_OFFSET: u32 = 16976;
    REG_MMIO_PMU_CNT9_OFFSET: u32 = 16980;
    REG_MMIO_PMU_CNT_TOTAL0_OFFSET: u32 = 16992;
    REG_MMIO_PMU_CNT_TOTAL1_OFFSET: u32 = 16996;
    REG_MMIO_PMU_START_CYC0_OFFSET: u32 = 17056;
    REG_MMIO_PMU_START_CYC1_OFFSET: u32 = 17060;
    REG_MMIO_PMU_STOP_CYC0_OFFSET: u32 = 17064;
    REG_MMIO_PMU_STOP_CYC1_OFFSET: u32 = 17068;
    REG_MMIO_PMU_CNT0_IDX_OFFSET: u32 = 9472;
    REG_MMIO_PMU_CNT1_IDX_OFFSET: u32 = 9476;
    REG_MMIO_PMU_CNT2_IDX_OFFSET: u32 = 9480;
    REG_MMIO_PMU_CNT3_IDX_OFFSET: u32 = 9484;
    REG_MMIO_PMU_CNT4_IDX_OFFSET: u32 = 9488;
    REG_MMIO_PMU_CNT5_IDX_OFFSET: u32 = 9492;
    REG_MMIO_PMU_CNT6_IDX_OFFSET: u32 = 9496;
    REG_MMIO_PMU_CNT7_IDX_OFFSET: u32 = 9500;
    REG_MMIO_PMU_CNT8_IDX_OFFSET: u32 = 9504;
    REG_MMIO_PMU_CNT9_IDX_OFFSET: u32 = 9508;
    REG_MMIO_PMU_CTRL_0_ENABLE_VAL: u32 = 7;
    REG_MMIO_PMU_CTRL_1_ENABLE_VAL: u32 = 1;
}

/// Event types of the counters and the selectors of each.
pub const PMU_EVENTS: [(u32, [u32; 10]); 7] = [
    (1, [803, 804, 0, 0, 0, 0, 0, 0, 0, 0]),
    (2, [1281, 769, 1, 1793, 514, 515, 52, 53, 1812, 0]),
    (4, [0, 0, 1024, 1025, 1391, 1393, 1392, 1394, 1799, 1801]),
    (5, [772, 1795, 774, 1797, 1810, 778, 776, 0, 0, 0]),
    (6, [13654, 13632, 13570, 13608, 0, 0, 0, 0, 0, 0]),
    (7, [3, 5, 1804, 518, 516, 1393, 1394, 0, 0, 0]),
    (8, [1060, 1061, 1062, 1066, 1067, 1068, 0, 0, 0, 0]),
];

structs! {
    /// Head of the swimlane's region.
    ChipSwimlaneDataHeader: size 233152, align 64 {
        queues: [[ReadyQueueEntry; 1456]; 5] = 0,
        queue_heads: [u32; 5] = 232960,
        queue_tails: [u32; 5] = 232980,
        num_cores: u32 = 233000,
        chip_swimlane_level: u32 = 233004,
        num_sched_phase_threads: u32 = 233008,
        num_orch_phase_threads: u32 = 233012,
        num_phase_cores: u32 = 233016,
        core_to_thread: [i8; 108] = 233020,
        backpressure: DfxBackpressureHeader = 233128,
    }
    /// Events of one type and their names.
    PmuEventConfig: size 120, align 8 {
        event_ids: [u32; 10] = 0,
        counter_names: [u64; 10] = 40,
    }
    /// Counters of one task; also a slot of a core's staging ring.
    PmuRecord: size 64, align 64 {
        task_id: u64 = 0,
        func_id: u32 = 8,
        core_type: u32 = 12,
        pmu_total_cycles: u64 = 16,
        pmu_counters: [u32; 10] = 24,
    }
    /// Staging ring of a core.
    PmuAicoreRing: size 128, align 64 {
        dual_issue_slots: [PmuRecord; 2] = 0,
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
        aicore_ring_ptr: u64 = 136,
        current_buf_seq: u32 = 144,
        total_record_count: u32 = 148,
        dropped_record_count: u32 = 152,
        mismatch_record_count: u32 = 156,
        pad: [u32; 8] = 160,
    }
    /// Head of the counters' region.
    PmuDataHeader: size 34688, align 64 {
        queues: [[PmuReadyQueueEntry; 216]; 5] = 0,
        queue_heads: [u32; 5] = 34560,
        queue_tails: [u32; 5] = 34580,
        num_cores: u32 = 34600,
        event_type: u32 = 34604,
        backpressure: DfxBackpressureHeader = 34608,
        pad: [u32; 2] = 34624,
    }
    /// Head of the submits' region.
    DepGenDataHeader: size 1344, align 64 {
        queues: [[DepGenReadyQueueEntry; 8]; 5] = 0,
        queue_heads: [u32; 5] = 1280,
        queue_tails: [u32; 5] = 1300,
        num_instances: u32 = 1320,
        backpressure: DfxBackpressureHeader = 1324,
    }
    /// Head of the scopes' region.
    ScopeStatsDataHeader: size 1472, align 64 {
        queues: [[ScopeStatsReadyQueueEntry; 8]; 5] = 0,
        queue_heads: [u32; 5] = 1280,
        queue_tails: [u32; 5] = 1300,
        num_instances: u32 = 1320,
        backpressure: DfxBackpressureHeader = 1324,
        task_window_cap: [i32; 4] = 1340,
        dep_pool_cap: [i32; 4] = 1356,
        heap_cap: [u64; 4] = 1376,
        tensormap_cap: i32 = 1408,
        fatal_latched: u32 = 1412,
    }
    /// Head of the dumps' region.
    DumpDataHeader: size 12928, align 64 {
        queues: [[DumpReadyQueueEntry; 80]; 5] = 0,
        queue_heads: [u32; 5] = 12800,
        queue_tails: [u32; 5] = 12820,
        num_dump_threads: u32 = 12840,
        records_per_buffer: u32 = 12844,
        arena_size_per_thread: u64 = 12848,
        magic: u32 = 12856,
        dump_args_level: u32 = 12860,
        backpressure: DfxBackpressureHeader = 12864,
    }
    /// Launch arguments as the device gets them.
    KernelArgs: size 88, align 8 {
        runtime_args: u64 = 0,
        regs: u64 = 8,
        dump_data_base: u64 = 16,
        chip_swimlane_data_base: u64 = 24,
        pmu_data_base: u64 = 32,
        dep_gen_data_base: u64 = 40,
        chip_swimlane_aicore_rotation_table: u64 = 48,
        aicore_pmu_ring_addrs: u64 = 56,
        scope_stats_data_base: u64 = 64,
        device_wall_data_base: u64 = 72,
        enable_profiling_flag: u32 = 80,
        force_simt_anchor: u32 = 84,
    }
}
