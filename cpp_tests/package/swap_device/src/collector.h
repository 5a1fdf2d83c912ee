// A subsystem with one instance: numbers in buffers.
#ifndef COLLECTOR_H_
#define COLLECTOR_H_

#include <cstdint>

#include "common/dfx_backpressure_device.h"
#include "common/platform_config.h"

constexpr uint32_t kRecords = 16;
constexpr uint32_t kReadySize = 4;
constexpr uint32_t kSlots = 4;

struct NumberBuffer {
    uint32_t count;
    uint32_t numbers[kRecords];
};

struct NumberEntry {
    uint64_t buffer_ptr;
    uint32_t buffer_seq;
};

struct NumberHeader {
    NumberEntry queues[PLATFORM_MAX_AICPU_THREADS][kReadySize];
    volatile uint32_t queue_heads[PLATFORM_MAX_AICPU_THREADS];
    volatile uint32_t queue_tails[PLATFORM_MAX_AICPU_THREADS];
    DfxBackpressureHeader backpressure;
};

struct NumberFreeQueue {
    volatile uint64_t buffer_ptrs[kSlots];
    volatile uint32_t head;
    volatile uint32_t tail;
};

struct NumberState {
    NumberFreeQueue free_queue;
    uint64_t current_buf_ptr;
    uint32_t current_buf_seq;
    uint32_t total;
    uint32_t dropped;
};

// Appends a number on thread 1.
void record_number(NumberHeader &header, NumberState &state, uint32_t number);

// Hands over what is left.
void flush_numbers(NumberHeader &header, NumberState &state);

// Whose engine the library has.
const char *collector_engine_by();

#endif // COLLECTOR_H_
