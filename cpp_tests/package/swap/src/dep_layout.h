// What the simulated device and the host share: one kind of buffer, one instance, one ready queue in use.
#ifndef DEP_LAYOUT_H_
#define DEP_LAYOUT_H_

#include <cstdint>

#include "common/dfx_backpressure_device.h"
#include "common/platform_config.h"

constexpr uint32_t kDepRecords = 62;
constexpr uint32_t kDepReadySize = 8;
constexpr uint32_t kDepSlots = 4;

struct DepBuffer {
    uint32_t count;
    uint32_t pad;
    uint64_t records[kDepRecords];
};

struct DepEntry {
    uint64_t buffer_ptr;
    uint64_t sequence;
    uint64_t pad[2];
};

struct DepFreeQueue {
    volatile uint64_t buffer_ptrs[kDepSlots];
    volatile uint32_t head;
    volatile uint32_t tail;
};

struct DepHeader {
    DfxBackpressureHeader backpressure;
    volatile uint32_t queue_heads[PLATFORM_MAX_AICPU_THREADS];
    volatile uint32_t queue_tails[PLATFORM_MAX_AICPU_THREADS];
    DepEntry queues[PLATFORM_MAX_AICPU_THREADS][kDepReadySize];
    DepFreeQueue free_queue;
    volatile uint64_t current_buffer;
    volatile uint32_t total_records;
    volatile uint32_t dropped_records;
};

#endif // DEP_LAYOUT_H_
