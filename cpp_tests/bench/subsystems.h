// Geometry of the C++ runtime's five subsystems as a pipeline sees them: kinds, queues, producers, buffers, and how
// fast the device fills them when it floods.
#ifndef LANEPIPE_TESTS_BENCH_SUBSYSTEMS_H_
#define LANEPIPE_TESTS_BENCH_SUBSYSTEMS_H_

#include "common/platform_config.h"

#include <cstddef>
#include <cstdint>

namespace bench {

constexpr uint32_t kRows = PLATFORM_MAX_AICPU_THREADS;

// A producer on the device: its kind, and the control thread that publishes for it.
struct Producer {
    int kind;
    uint32_t row;
};

#if defined(RUNTIME_ARCH_A5)
constexpr uint32_t kCores = 108;
constexpr const char *kArch = "a5";
constexpr bool kShadowed = true;
#else
constexpr uint32_t kCores = 72;
constexpr const char *kArch = "a2a3";
constexpr bool kShadowed = false;
#endif

// The cores of a cluster belong to one control thread. Every control thread schedules, the last one orchestrates too.
constexpr uint32_t row_of_core(uint32_t core, uint32_t rows) { return core / 3 % rows; }

// Events per second of one producer when the device floods.
constexpr double kTaskRate = 105e3;
constexpr double kSchedRate = 288e3;
constexpr double kSubmitRate = 1.31e6;

// Two kinds per core, one with a producer for each control thread, and one of the orchestrator.
struct SwimlaneGeometry {
#if defined(RUNTIME_ARCH_A5)
    static constexpr uint32_t kReady = 1456;
    static constexpr size_t kDone = 1366;
    static constexpr size_t kLane = 864;
#else
    static constexpr uint32_t kReady = 992;
    static constexpr size_t kDone = 920;
    static constexpr size_t kLane = 576;
#endif
    static constexpr uint32_t kSlots = 4;
    static constexpr int kKinds = 4;
    static constexpr uint32_t kInstances = 2 * (kCores + kRows);
    static constexpr uint32_t kMostRows = kRows;
    static constexpr const char *kName = "ChipSwimlane";
    static constexpr size_t buffer_size(int kind) {
        constexpr size_t sizes[kKinds] = {32064, 1048640, 524352, 32832};
        return sizes[kind];
    }
    static constexpr int batch_size(int kind) {
        constexpr int sizes[kKinds] = {4, 2, 4, 1};
        return sizes[kind];
    }
    static constexpr int warm_target(int kind, int shards) {
        const int cores = (static_cast<int>(kCores) + shards - 1) / shards;
        return kind == 0 ? 2 * cores : kind == 3 ? 1 : 0;
    }
    // In the order of the subsystem's enumeration: task, AICore, scheduler phase, orchestrator phase.
    static constexpr Producer producer(uint32_t instance, uint32_t rows) {
        if (instance < 2 * kCores) {
            return {instance < kCores ? 0 : 3, row_of_core(instance % kCores, rows)};
        }
        const uint32_t place = instance - 2 * kCores;
        return place < kRows ? Producer{1, place % rows} : Producer{2, rows - 1};
    }
    // Buffers per second; of the orchestrator's producers only the first is in use.
    static constexpr double flood(uint32_t instance) {
        if (instance < 2 * kCores) {
            return instance < kCores ? kTaskRate / 1000 : kTaskRate / 1024;
        }
        const uint32_t place = instance - 2 * kCores;
        return place < kRows ? kSchedRate / 16384 : place == kRows ? kSubmitRate / 16384 : 0;
    }
};

// One producer per core.
struct PmuGeometry {
#if defined(RUNTIME_ARCH_A5)
    static constexpr uint32_t kReady = 216;
#else
    static constexpr uint32_t kReady = 144;
#endif
    static constexpr size_t kDone = kReady;
    static constexpr size_t kLane = kReady;
    static constexpr uint32_t kSlots = 4;
    static constexpr int kKinds = 1;
    static constexpr uint32_t kInstances = kCores;
    static constexpr uint32_t kMostRows = kRows;
    static constexpr const char *kName = "PMU";
    static constexpr size_t buffer_size(int) { return 32832; }
    static constexpr int batch_size(int) { return 1; }
    static constexpr int warm_target(int, int) { return 1; }
    static constexpr Producer producer(uint32_t instance, uint32_t rows) { return {0, row_of_core(instance, rows)}; }
    static constexpr double flood(uint32_t) { return kTaskRate / 512; }
};

// One producer per control thread. An argument is dumped for each task of the thread's cores.
struct ArgsDumpGeometry {
    static constexpr uint32_t kReady = 16 * kRows;
    static constexpr size_t kDone = 8 * kRows;
    static constexpr size_t kLane = 8 * kRows;
    static constexpr uint32_t kSlots = 4;
    static constexpr int kKinds = 1;
    static constexpr uint32_t kInstances = kRows;
    static constexpr uint32_t kMostRows = kRows;
    static constexpr const char *kName = "ArgsDump";
    static constexpr size_t buffer_size(int) { return 32832; }
    static constexpr int batch_size(int) { return 4; }
    static constexpr int warm_target(int, int) { return 0; }
    static constexpr Producer producer(uint32_t instance, uint32_t rows) { return {0, instance % rows}; }
    static constexpr double flood(uint32_t) { return kTaskRate * kCores / kRows / 256; }
};

// One producer, the orchestrator, and one shard.
struct OrchestratorGeometry {
    static constexpr uint32_t kReady = 8;
    static constexpr size_t kDone = 4 * kRows;
    static constexpr size_t kLane = 4 * kRows;
    static constexpr int kKinds = 1;
    static constexpr uint32_t kInstances = 1;
    static constexpr uint32_t kMostRows = 1;
    static constexpr int batch_size(int) { return 1; }
    static constexpr int warm_target(int, int) { return 0; }
    static constexpr Producer producer(uint32_t, uint32_t) { return {0, 0}; }
};

struct DepGenGeometry : OrchestratorGeometry {
    static constexpr uint32_t kSlots = 4;
    static constexpr const char *kName = "DepGen";
    static constexpr size_t buffer_size(int) { return 4784192; }
    static constexpr double flood(uint32_t) { return kSubmitRate / 1024; }
};

// With a scope for each two submits.
struct ScopeStatsGeometry : OrchestratorGeometry {
    static constexpr uint32_t kSlots = 8;
    static constexpr const char *kName = "ScopeStats";
    static constexpr size_t buffer_size(int) { return 41024; }
    static constexpr double flood(uint32_t) { return kSubmitRate / 512; }
};

} // namespace bench

#endif // LANEPIPE_TESTS_BENCH_SUBSYSTEMS_H_
