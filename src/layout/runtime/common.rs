//! Structures that both architectures have alike.

use super::describe::structs;

structs! {
    /// Words of the two gates of a region.
    DfxBackpressureHeader: size 16, align 4 {
        rq_freeze_active: u32 = 0,
        rq_contended: u32 = 4,
        fq_freeze_active: u32 = 8,
        fq_contended: u32 = 12,
    }
    /// A task as its control thread saw it; times in ticks of the control processor's counter.
    ChipSwimlaneAicpuTaskRecord: size 32, align 32 {
        dispatch_time: u64 = 0,
        finish_time: u64 = 8,
        reg_task_id: u32 = 16,
    }
    /// A task as its core saw it. A `start_time` of 0 is no record.
    ChipSwimlaneAicoreTaskRecord: size 32, align 32 {
        start_time: u64 = 0,
        end_time: u64 = 8,
        task_token_raw: u64 = 16,
        reg_task_id: u32 = 24,
        receive_to_start_cycles: u32 = 28,
    }
    /// One phase of a scheduler thread. `phase_data` is two words: hits and misses, or a task id's low and high half.
    ChipSwimlaneAicpuSchedPhaseRecord: size 64, align 8 {
        start_time: u64 = 0,
        end_time: u64 = 8,
        loop_iter: u32 = 16,
        kind: u32 = 20,
        tasks_processed: u32 = 24,
        phase_data: [u32; 2] = 28,
        shared_depth_at_start: [i16; 3] = 36,
        shared_depth_at_end: [i16; 3] = 42,
        _pad: [u32; 4] = 48,
    }
    /// One submit of the orchestrator.
    ChipSwimlaneAicpuOrchPhaseRecord: size 32, align 8 {
        start_time: u64 = 0,
        end_time: u64 = 8,
        task_id: u64 = 16,
        submit_idx: u32 = 24,
        _pad: u32 = 28,
    }
    /// One phase of the host; times in nanoseconds.
    HostPhaseRecord: size 40, align 8 {
        start_ns: u64 = 0,
        end_ns: u64 = 8,
        payload: u64 = 16,
        kind: u32 = 24,
        index: u32 = 28,
        thread_id: u32 = 32,
        _pad: u32 = 36,
    }
    /// Buffer of the task stream.
    ChipSwimlaneAicpuTaskBuffer: size 32064, align 64 {
        records: [ChipSwimlaneAicpuTaskRecord; 1000] = 0,
        count: u32 = 32000,
    }
    /// Buffer of the core stream.
    ChipSwimlaneAicoreTaskBuffer: size 32832, align 64 {
        records: [ChipSwimlaneAicoreTaskRecord; 1024] = 0,
        count: u32 = 32768,
    }
    /// Buffer of a scheduler's phases.
    ChipSwimlaneAicpuSchedPhaseBuffer: size 1048640, align 64 {
        records: [ChipSwimlaneAicpuSchedPhaseRecord; 16384] = 0,
        count: u32 = 1048576,
    }
    /// Buffer of the orchestrator's phases.
    ChipSwimlaneAicpuOrchPhaseBuffer: size 524352, align 64 {
        records: [ChipSwimlaneAicpuOrchPhaseRecord; 16384] = 0,
        count: u32 = 524288,
    }
    /// Buffer of the host's phases.
    HostPhaseRecordBuffer: size 20544, align 64 {
        records: [HostPhaseRecord; 512] = 0,
        count: u32 = 20480,
    }
    /// Free queue of a pool.
    ChipSwimlaneFreeQueue: size 128, align 64 {
        buffer_ptrs: [u64; 4] = 0,
        head: u32 = 32,
        tail: u32 = 36,
        pad: [u32; 13] = 40,
    }
    /// The line that names a pool's active buffer; of a core's pool the core reads it.
    ChipSwimlaneActiveHead: size 64, align 64 {
        current_buf_ptr: u64 = 0,
        current_buf_seq: u32 = 8,
        total_record_count: u32 = 12,
        dropped_record_count: u32 = 16,
        pad: [u32; 11] = 20,
    }
    /// State of a core's task stream.
    ChipSwimlaneAicpuTaskPool: size 192, align 64 {
        head: ChipSwimlaneActiveHead = 0,
        free_queue: ChipSwimlaneFreeQueue = 64,
    }
    /// State of a core's own stream.
    ChipSwimlaneAicoreTaskPool: size 192, align 64 {
        head: ChipSwimlaneActiveHead = 0,
        free_queue: ChipSwimlaneFreeQueue = 64,
    }
    /// State of a scheduler thread's phases.
    ChipSwimlaneAicpuSchedPhasePool: size 192, align 64 {
        head: ChipSwimlaneActiveHead = 0,
        free_queue: ChipSwimlaneFreeQueue = 64,
    }
    /// State of the orchestrator's phases.
    ChipSwimlaneAicpuOrchPhasePool: size 192, align 64 {
        head: ChipSwimlaneActiveHead = 0,
        free_queue: ChipSwimlaneFreeQueue = 64,
    }
    /// Ready entry of the swimlane; its kind tells the four streams apart.
    ReadyQueueEntry: size 32, align 32 {
        core_index: u32 = 0,
        kind: u32 = 4,
        buffer_ptr: u64 = 8,
        buffer_seq: u32 = 16,
        pad: u32 = 20,
    }
    /// Free queue of a core.
    PmuFreeQueue: size 128, align 64 {
        buffer_ptrs: [u64; 4] = 0,
        head: u32 = 32,
        tail: u32 = 36,
        pad: [u32; 22] = 40,
    }
    /// Ready entry.
    PmuReadyQueueEntry: size 32, align 32 {
        core_index: u32 = 0,
        pad0: u32 = 4,
        buffer_ptr: u64 = 8,
        buffer_seq: u32 = 16,
        pad1: u32 = 20,
    }
    /// One submit; first slot of its chain.
    DepGenRecord: size 4672, align 64 {
        task_id: u64 = 0,
        flags: u32 = 8,
        tensor_count: u16 = 12,
        explicit_dep_count: u16 = 14,
        explicit_deps: [u64; 64] = 16,
        arg_types: [u8; 32] = 528,
        kernel_id: [i32; 3] = 560,
        block_num: u32 = 572,
        tensors: [[u8; 128]; 32] = 576,
    }
    /// A further slot of a chain: more dependencies of the same submit.
    DepGenOverflowRecord: size 4672, align 64 {
        task_id: u64 = 0,
        flags: u32 = 8,
        dep_count: u16 = 12,
        _reserved: u16 = 14,
        deps: [u64; 582] = 16,
    }
    /// Buffer of submits.
    DepGenBuffer: size 4784192, align 64 {
        count: u32 = 0,
        _pad0: [u32; 15] = 4,
        records: [DepGenRecord; 1024] = 64,
    }
    /// Free queue.
    DepGenFreeQueue: size 128, align 64 {
        buffer_ptrs: [u64; 4] = 0,
        head: u32 = 32,
        tail: u32 = 36,
        _pad: [u32; 22] = 40,
    }
    /// The state.
    DepGenBufferState: size 192, align 64 {
        free_queue: DepGenFreeQueue = 0,
        current_buf_ptr: u64 = 128,
        current_buf_seq: u32 = 136,
        dropped_record_count: u32 = 140,
        total_record_count: u32 = 144,
        total_overflow_record_count: u32 = 148,
        _pad: [u32; 10] = 152,
    }
    /// Ready entry.
    DepGenReadyQueueEntry: size 32, align 32 {
        instance_index: u32 = 0,
        _pad0: u32 = 4,
        buffer_ptr: u64 = 8,
        buffer_seq: u32 = 16,
        _pad1: u32 = 20,
    }
    /// Begin or end of a scope. The name ends with a zero byte; what follows it is unspecified.
    ScopeStatsRecord: size 80, align 8 {
        site_file_basename: [u8; 32] = 0,
        heap_start: u64 = 32,
        heap_end: u64 = 40,
        site_line: i32 = 48,
        task_start: i32 = 52,
        task_end: i32 = 56,
        dep_pool_start: i32 = 60,
        dep_pool_end: i32 = 64,
        tensormap_used: i32 = 68,
        depth: i16 = 72,
        ring_id: i16 = 74,
        phase: i16 = 76,
        _pad: i16 = 78,
    }
    /// Buffer of scopes.
    ScopeStatsBuffer: size 41024, align 64 {
        count: u32 = 0,
        _pad0: [u32; 15] = 4,
        records: [ScopeStatsRecord; 512] = 64,
    }
    /// Free queue.
    ScopeStatsFreeQueue: size 128, align 64 {
        buffer_ptrs: [u64; 8] = 0,
        head: u32 = 64,
        tail: u32 = 68,
        _pad: [u32; 14] = 72,
    }
    /// The state.
    ScopeStatsBufferState: size 192, align 64 {
        free_queue: ScopeStatsFreeQueue = 0,
        current_buf_ptr: u64 = 128,
        current_buf_seq: u32 = 136,
        dropped_record_count: u32 = 140,
        total_record_count: u32 = 144,
        _pad: [u32; 11] = 148,
    }
    /// Ready entry.
    ScopeStatsReadyQueueEntry: size 32, align 32 {
        instance_index: u32 = 0,
        _pad0: u32 = 4,
        buffer_ptr: u64 = 8,
        buffer_seq: u32 = 16,
        _pad1: u32 = 20,
    }
    /// What is to be dumped of a task.
    ArgsDumpTaskMetadata: size 32, align 8 {
        dump_arg_mask: u64 = 0,
        dump_arg_flags: u64 = 8,
        scalar_dtypes: [u8; 16] = 16,
    }
    /// One dumped argument; its payload lies in the thread's arena.
    ArgsDumpRecord: size 128, align 64 {
        task_id: u64 = 0,
        role: u8 = 8,
        stage: u8 = 9,
        ndims: u8 = 10,
        arg_index: u32 = 12,
        dtype: u8 = 16,
        truncated: u8 = 17,
        is_contiguous: u8 = 18,
        pad0_align: u8 = 19,
        payload_offset: u64 = 24,
        payload_size: u64 = 32,
        scalar_value: u64 = 40,
        kind: u8 = 48,
        flags: u8 = 49,
        func_ids: [u16; 3] = 50,
        func_count: u8 = 56,
        pad0: [u8; 7] = 57,
        start_offset: u64 = 64,
        strides: [u32; 5] = 72,
        shapes: [u32; 5] = 92,
    }
    /// Buffer of arguments.
    DumpMetaBuffer: size 32832, align 64 {
        records: [ArgsDumpRecord; 256] = 0,
        count: u32 = 32768,
    }
    /// Free queue of a thread.
    DumpFreeQueue: size 128, align 64 {
        buffer_ptrs: [u64; 4] = 0,
        head: u32 = 32,
        tail: u32 = 36,
        pad: [u32; 22] = 40,
    }
    /// State of a thread, with its arena and its watermarks.
    DumpBufferState: size 256, align 64 {
        free_queue: DumpFreeQueue = 0,
        current_buf_ptr: u64 = 128,
        current_buf_seq: u32 = 136,
        pad0: u32 = 140,
        arena_base: u64 = 144,
        arena_size: u64 = 152,
        arena_write_offset: u64 = 160,
        published_payload_count: u64 = 168,
        completed_payload_count: u64 = 176,
        dropped_record_count: u32 = 184,
        pad1: [u8; 68] = 188,
    }
    /// Ready entry.
    DumpReadyQueueEntry: size 32, align 32 {
        thread_index: u32 = 0,
        pad0: u32 = 4,
        buffer_ptr: u64 = 8,
        buffer_seq: u32 = 16,
        pad1: u32 = 20,
    }
    /// An argument as the scheduler describes it.
    ArgsDumpInfo: size 104, align 8 {
        task_id: u64 = 0,
        role: u8 = 8,
        stage: u8 = 9,
        dtype: u8 = 10,
        ndims: u8 = 11,
        arg_index: u32 = 12,
        buffer_addr: u64 = 16,
        scalar_value: u64 = 24,
        func_ids: [i32; 3] = 32,
        func_count: i32 = 44,
        kind: u8 = 48,
        flags: u8 = 49,
        capture_payload: u8 = 50,
        pad: [u8; 5] = 51,
        start_offset: u64 = 56,
        shapes: [u32; 5] = 64,
        strides: [u32; 5] = 84,
    }
    /// A phase of the control processor, in ticks.
    AicpuPhaseRecord: size 16, align 8 {
        start_cycle: u64 = 0,
        end_cycle: u64 = 8,
    }
    /// Head of the phase buffer.
    DevicePhaseBufferHeader: size 16, align 8 {
        task_timing_tail_used: u64 = 0,
        reserved: u64 = 8,
    }
    /// Times of one task, in ticks.
    TaskTimingRecord: size 16, align 8 {
        dispatch_cycle: u64 = 0,
        finish_cycle: u64 = 8,
    }
    /// Swimlane buffer on its way through the host.
    ReadyBufferInfo: size 40, align 8 {
        r#type: u32 = 0,
        index: u32 = 4,
        slot_idx: u32 = 8,
        dev_buffer_ptr: u64 = 16,
        host_buffer_ptr: u64 = 24,
        buffer_seq: u32 = 32,
    }
    /// Counter buffer on its way through the host.
    PmuReadyBufferInfo: size 32, align 8 {
        core_index: u32 = 0,
        thread_index: u32 = 4,
        dev_buffer_ptr: u64 = 8,
        host_buffer_ptr: u64 = 16,
        buffer_seq: u32 = 24,
    }
    /// Submit buffer on its way through the host.
    DepGenReadyBufferInfo: size 32, align 8 {
        instance_index: u32 = 0,
        thread_index: u32 = 4,
        dev_buffer_ptr: u64 = 8,
        host_buffer_ptr: u64 = 16,
        buffer_seq: u32 = 24,
    }
    /// Scope buffer on its way through the host.
    ScopeStatsReadyBufferInfo: size 32, align 8 {
        instance_index: u32 = 0,
        thread_index: u32 = 4,
        dev_buffer_ptr: u64 = 8,
        host_buffer_ptr: u64 = 16,
        buffer_seq: u32 = 24,
    }
    /// Argument buffer on its way through the host.
    DumpReadyBufferInfo: size 32, align 8 {
        thread_index: u32 = 0,
        dev_buffer_ptr: u64 = 8,
        host_buffer_ptr: u64 = 16,
        buffer_seq: u32 = 24,
    }
    /// What a core keeps of its stream.
    ChipSwimlaneAicoreLocalState: size 16, align 8 {
        cached_buf: u64 = 0,
        cached_buf_seq: u32 = 8,
        slot_within_buf: u32 = 12,
    }
}
