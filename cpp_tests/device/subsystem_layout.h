// Shared structures of the five subsystems as far as an engine touches them, in both architectures. Records are opaque
// where their fields do not matter.
#ifndef LANEPIPE_TESTS_DEVICE_SUBSYSTEM_LAYOUT_H_
#define LANEPIPE_TESTS_DEVICE_SUBSYSTEM_LAYOUT_H_

#include "common/dfx_backpressure_device.h"
#include "common/platform_config.h"

#include <cstddef>
#include <cstdint>

namespace subsystems {

inline constexpr size_t kThreads = PLATFORM_MAX_AICPU_THREADS;
inline constexpr bool kA5 = kThreads == 5;

template <size_t Size, size_t Align> struct alignas(Align) Record { uint64_t words[Size / 8]; };

// Count behind the records, or on a line before them.
template <typename R, uint32_t Capacity> struct alignas(64) CountLast {
    using RecordType = R;
    static constexpr uint32_t kCapacity = Capacity;
    R records[Capacity];
    volatile uint32_t count;
};
template <typename R, uint32_t Capacity> struct alignas(64) CountFirst {
    using RecordType = R;
    static constexpr uint32_t kCapacity = Capacity;
    volatile uint32_t count;
    uint32_t pad0[15];
    R records[Capacity];
};

template <uint32_t Slots> struct alignas(64) FreeQueueOf {
    volatile uint64_t buffer_ptrs[Slots];
    volatile uint32_t head;
    volatile uint32_t tail;
    uint32_t pad[13];
};
static_assert(sizeof(FreeQueueOf<4>) == 128 && offsetof(FreeQueueOf<4>, head) == 32);
static_assert(sizeof(FreeQueueOf<8>) == 128 && offsetof(FreeQueueOf<8>, tail) == 68);

struct alignas(32) Entry {
    uint32_t index;
    uint32_t kind; // Padding but for the swimlane.
    uint64_t buffer_ptr;
    uint32_t buffer_seq;
    uint32_t pad;
};
static_assert(sizeof(Entry) == 32 && offsetof(Entry, buffer_ptr) == 8 && offsetof(Entry, buffer_seq) == 16);

// ChipSwimlane.

enum class Kind : uint32_t { kAicpuTask = 0, kAicpuSchedPhase = 1, kAicpuOrchPhase = 2, kAicoreTask = 3 };

struct SwimlaneHeader {
    static constexpr uint32_t kReadySize = kA5 ? 1456 : 992;
    alignas(64) Entry queues[kThreads][kReadySize];
    volatile uint32_t queue_heads[kThreads];
    volatile uint32_t queue_tails[kThreads];
    uint32_t num_cores;
    uint32_t chip_swimlane_level;
    uint32_t num_sched_phase_threads;
    uint32_t num_orch_phase_threads;
    uint32_t num_phase_cores;
    int8_t core_to_thread[PLATFORM_MAX_CORES];
    DfxBackpressureHeader backpressure;
};
static_assert(sizeof(SwimlaneHeader) == (kA5 ? 233152 : 127168));
static_assert(offsetof(SwimlaneHeader, queue_heads) == (kA5 ? 232960 : 126976));
static_assert(offsetof(SwimlaneHeader, queue_tails) == (kA5 ? 232980 : 126992));
static_assert(offsetof(SwimlaneHeader, backpressure) == (kA5 ? 233128 : 127100));

struct alignas(64) SwimlaneHead {
    volatile uint64_t current_buf_ptr;
    volatile uint32_t current_buf_seq;
    volatile uint32_t total_record_count;
    volatile uint32_t dropped_record_count;
};
struct SwimlanePool {
    SwimlaneHead head;
    FreeQueueOf<4> free_queue;
};
static_assert(sizeof(SwimlanePool) == 192 && offsetof(SwimlanePool, free_queue) == 64);

using TaskBuffer = CountLast<Record<32, 32>, 1000>;
using SchedBuffer = CountLast<Record<64, 8>, 16384>;
using OrchBuffer = CountLast<Record<32, 8>, 16384>;
using AicoreBuffer = CountLast<Record<32, 32>, 1024>;
static_assert(sizeof(TaskBuffer) == 32064 && offsetof(TaskBuffer, count) == 32000);
static_assert(sizeof(SchedBuffer) == 1048640 && sizeof(OrchBuffer) == 524352 && sizeof(AicoreBuffer) == 32832);

// PMU.

struct PmuHeader {
    static constexpr uint32_t kReadySize = kA5 ? 216 : 144;
    alignas(64) Entry queues[kThreads][kReadySize];
    volatile uint32_t queue_heads[kThreads];
    volatile uint32_t queue_tails[kThreads];
    uint32_t num_cores;
    uint32_t event_type;
    DfxBackpressureHeader backpressure;
    uint32_t pad[kA5 ? 2 : 1]; // On a5 it opens a line.
};
static_assert(sizeof(PmuHeader) == (kA5 ? 34688 : 18496));
static_assert(offsetof(PmuHeader, queue_heads) == (kA5 ? 34560 : 18432));
static_assert(offsetof(PmuHeader, backpressure) == (kA5 ? 34608 : 18472));

#if defined(RUNTIME_ARCH_A5)
struct alignas(64) PmuState {
    FreeQueueOf<4> free_queue;
    volatile uint64_t current_buf_ptr;
    volatile uint64_t aicore_ring_ptr;
    volatile uint32_t current_buf_seq;
    volatile uint32_t total_record_count;
    volatile uint32_t dropped_record_count;
    volatile uint32_t mismatch_record_count;
};
static_assert(offsetof(PmuState, current_buf_seq) == 144 && offsetof(PmuState, mismatch_record_count) == 156);
#else
struct alignas(64) PmuState {
    FreeQueueOf<4> free_queue;
    volatile uint64_t current_buf_ptr;
    volatile uint32_t current_buf_seq;
    volatile uint32_t dropped_record_count;
    volatile uint32_t total_record_count;
};
static_assert(offsetof(PmuState, current_buf_seq) == 136 && offsetof(PmuState, total_record_count) == 144);
#endif
static_assert(sizeof(PmuState) == 192 && offsetof(PmuState, current_buf_ptr) == 128);

using PmuBuffer = CountLast<Record<64, 64>, 512>;
static_assert(sizeof(PmuBuffer) == 32832);

// DepGen.

struct DepGenHeader {
    static constexpr uint32_t kReadySize = 8;
    alignas(64) Entry queues[kThreads][kReadySize];
    volatile uint32_t queue_heads[kThreads];
    volatile uint32_t queue_tails[kThreads];
    uint32_t num_instances;
    DfxBackpressureHeader backpressure;
};
static_assert(sizeof(DepGenHeader) == (kA5 ? 1344 : 1088));
static_assert(offsetof(DepGenHeader, backpressure) == (kA5 ? 1324 : 1060));

struct alignas(64) DepGenState {
    FreeQueueOf<4> free_queue;
    volatile uint64_t current_buf_ptr;
    volatile uint32_t current_buf_seq;
    volatile uint32_t dropped_record_count;
    volatile uint32_t total_record_count;
    volatile uint32_t total_overflow_record_count;
};
static_assert(sizeof(DepGenState) == 192 && offsetof(DepGenState, total_overflow_record_count) == 148);

using DepGenBuffer = CountFirst<Record<4672, 64>, 1024>;
static_assert(sizeof(DepGenBuffer) == 4784192 && offsetof(DepGenBuffer, records) == 64);

// ArgsDump.

struct DumpHeader {
    static constexpr uint32_t kReadySize = kA5 ? 80 : 64;
    alignas(64) Entry queues[kThreads][kReadySize];
    volatile uint32_t queue_heads[kThreads];
    volatile uint32_t queue_tails[kThreads];
    uint32_t num_dump_threads;
    uint32_t records_per_buffer;
    uint64_t arena_size_per_thread;
    uint32_t magic;
    uint32_t dump_args_level;
    DfxBackpressureHeader backpressure;
};
static_assert(sizeof(DumpHeader) == (kA5 ? 12928 : 8320));
static_assert(offsetof(DumpHeader, backpressure) == (kA5 ? 12864 : 8248));

struct alignas(64) DumpState {
    FreeQueueOf<4> free_queue;
    volatile uint64_t current_buf_ptr;
    volatile uint32_t current_buf_seq;
    uint32_t pad0;
    volatile uint64_t arena_base;
    volatile uint64_t arena_size;
    volatile uint64_t arena_write_offset;
    volatile uint64_t published_payload_count;
    volatile uint64_t completed_payload_count;
    volatile uint32_t dropped_record_count;
    uint8_t pad1[68];
};
static_assert(sizeof(DumpState) == 256 && offsetof(DumpState, published_payload_count) == 168);
static_assert(offsetof(DumpState, dropped_record_count) == 184);

struct alignas(64) DumpRecord {
    uint64_t words[4];
    uint64_t payload_size;
    uint64_t scalar_value;
    uint8_t kind; // 0: tensor
    uint8_t rest[79];
};
static_assert(sizeof(DumpRecord) == 128 && offsetof(DumpRecord, payload_size) == 32 &&
              offsetof(DumpRecord, kind) == 48);
using DumpBuffer = CountLast<DumpRecord, 256>;
static_assert(sizeof(DumpBuffer) == 32832);

// ScopeStats.

struct ScopeStatsHeader {
    static constexpr uint32_t kReadySize = 8;
    alignas(64) Entry queues[kThreads][kReadySize];
    volatile uint32_t queue_heads[kThreads];
    volatile uint32_t queue_tails[kThreads];
    uint32_t num_instances;
    DfxBackpressureHeader backpressure;
    int32_t task_window_cap[4];
    int32_t dep_pool_cap[4];
    uint64_t heap_cap[4];
    int32_t tensormap_cap;
    volatile uint32_t fatal_latched;
};
static_assert(sizeof(ScopeStatsHeader) == (kA5 ? 1472 : 1152));
static_assert(offsetof(ScopeStatsHeader, backpressure) == (kA5 ? 1324 : 1060));
static_assert(offsetof(ScopeStatsHeader, fatal_latched) == (kA5 ? 1412 : 1148));

struct alignas(64) ScopeStatsState {
    FreeQueueOf<8> free_queue;
    volatile uint64_t current_buf_ptr;
    volatile uint32_t current_buf_seq;
    volatile uint32_t dropped_record_count;
    volatile uint32_t total_record_count;
};
static_assert(sizeof(ScopeStatsState) == 192 && offsetof(ScopeStatsState, total_record_count) == 144);

using ScopeStatsBuffer = CountFirst<Record<80, 8>, 512>;
static_assert(sizeof(ScopeStatsBuffer) == 41024);

} // namespace subsystems

#endif // LANEPIPE_TESTS_DEVICE_SUBSYSTEM_LAYOUT_H_
