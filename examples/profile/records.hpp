// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The five subsystems, their streams of records, and the records as they lie in buffers.
#ifndef PROFILE_RECORDS_HPP_
#define PROFILE_RECORDS_HPP_

#include <array>
#include <cstddef>
#include <cstdint>

#include "lanepipe/lanepipe.h"

#include "run_file.hpp"
#include "streams.hpp"

namespace profile {

// Clock, device memory, recorded runs and streams are those of all demonstrators.
using namespace demo;

constexpr uint32_t kSubsystems = 5;
inline constexpr std::array<const char *, kSubsystems> kSubsystemNames = {"swimlane", "pmu", "dep_gen", "args_dump",
                                                                          "scope_stats"};
static_assert(LANEPIPE_SUBSYSTEM_SWIMLANE == 0 && LANEPIPE_SUBSYSTEM_PMU == 1 && LANEPIPE_SUBSYSTEM_DEP_GEN == 2 &&
              LANEPIPE_SUBSYSTEM_ARGS_DUMP == 3 && LANEPIPE_SUBSYSTEM_SCOPE_STATS == 4);

// One kind of records of one subsystem. The swimlane has four, in the order of its kinds.
enum Flow : uint32_t { kTask, kSched, kOrch, kAicore, kPmu, kDepGen, kArgsDump, kScopeStats };
constexpr uint32_t kFlows = 8;
static_assert(LANEPIPE_KIND_AICPU_TASK == kTask && LANEPIPE_KIND_SCHED_PHASE == kSched &&
              LANEPIPE_KIND_ORCH_PHASE == kOrch && LANEPIPE_KIND_AICORE_TASK == kAicore);

inline constexpr std::array<const char *, kFlows> kFlowNames = {"task", "sched",   "orch",      "aicore",
                                                                "pmu",  "dep_gen", "args_dump", "scope_stats"};

constexpr uint32_t subsystem_of(uint32_t flow) { return flow < kPmu ? LANEPIPE_SUBSYSTEM_SWIMLANE : flow - kAicore; }
constexpr uint32_t kind_of(uint32_t flow) { return flow < kPmu ? flow : 0; }
constexpr uint32_t flow_of(uint32_t subsystem, uint32_t kind) {
    return subsystem == LANEPIPE_SUBSYSTEM_SWIMLANE ? kind : kAicore + subsystem;
}
static_assert(subsystem_of(kPmu) == LANEPIPE_SUBSYSTEM_PMU &&
              flow_of(LANEPIPE_SUBSYSTEM_SCOPE_STATS, 0) == kScopeStats);

// Whether a core, and not a control thread, is an instance.
constexpr bool is_per_core(uint32_t flow) { return flow == kTask || flow == kAicore || flow == kPmu; }

struct TaskRecord {
    uint64_t dispatch;
    uint64_t finish;
    uint32_t reg;
    uint32_t pad[3];
};

struct AicoreRecord {
    uint64_t start;
    uint64_t end;
    uint64_t token;
    uint32_t reg;
    uint32_t receive_to_start;
};

struct SchedRecord {
    uint64_t start;
    uint64_t end;
    uint32_t loop;
    uint32_t kind;
    uint32_t tasks;
    uint32_t data[2];
    int16_t shared_at_start[3];
    int16_t shared_at_end[3];
    uint32_t pad[4];
};

struct OrchRecord {
    uint64_t start;
    uint64_t end;
    uint64_t token;
    uint32_t submit;
    uint32_t pad;
};

// The last two counters exist on a5 only.
struct PmuRecord {
    uint64_t token;
    uint32_t function;
    uint32_t core_type;
    uint64_t cycles;
    uint32_t counters[10];
};

struct DepGenRecord {
    uint64_t token;
    uint32_t flags;
    uint16_t tensors;
    uint16_t deps;
    uint64_t explicit_deps[64];
    uint8_t arg_types[32];
    int32_t kernels[3];
    uint32_t blocks;
    uint8_t tensor[32][128];
};

struct DepGenOverflow {
    uint64_t token;
    uint32_t flags;
    uint16_t deps;
    uint16_t reserved;
    uint64_t explicit_deps[582];
};

struct ArgsDumpRecord {
    uint64_t token;
    uint8_t role;
    uint8_t stage;
    uint8_t dims;
    uint8_t pad0;
    uint32_t argument;
    uint8_t type;
    uint8_t truncated;
    uint8_t contiguous;
    uint8_t pad1[5];
    uint64_t payload_offset;
    uint64_t payload_size;
    uint64_t scalar;
    uint8_t kind;
    uint8_t flags;
    uint16_t functions[3];
    uint8_t function_count;
    uint8_t pad2[7];
    uint64_t start_offset;
    uint32_t strides[5];
    uint32_t shapes[5];
    uint32_t pad3[4];
};

struct ScopeRecord {
    char file[32];
    uint64_t heap_start;
    uint64_t heap_end;
    int32_t line;
    int32_t task_start;
    int32_t task_end;
    int32_t dep_pool_start;
    int32_t dep_pool_end;
    int32_t tensormap_used;
    int16_t depth;
    int16_t ring;
    int16_t phase;
    int16_t pad;
};

static_assert(sizeof(TaskRecord) == 32 && sizeof(AicoreRecord) == 32 && sizeof(SchedRecord) == 64 &&
              offsetof(SchedRecord, shared_at_start) == 36 && sizeof(OrchRecord) == 32 && sizeof(PmuRecord) == 64 &&
              sizeof(DepGenRecord) == 4672 && offsetof(DepGenRecord, tensor) == 576 && sizeof(DepGenOverflow) == 4672 &&
              sizeof(ArgsDumpRecord) == 128 && offsetof(ArgsDumpRecord, payload_offset) == 24 &&
              offsetof(ArgsDumpRecord, start_offset) == 64 && sizeof(ScopeRecord) == 80);

inline constexpr std::array<uint32_t, kFlows> kRecordSizes = {
    sizeof(TaskRecord), sizeof(SchedRecord),  sizeof(OrchRecord),     sizeof(AicoreRecord),
    sizeof(PmuRecord),  sizeof(DepGenRecord), sizeof(ArgsDumpRecord), sizeof(ScopeRecord)};

constexpr uint32_t kDepGenBaseDeps = 64;
constexpr uint32_t kDepGenOverflowDeps = 582;
constexpr uint32_t kDepGenHasOverflow = 2;
constexpr uint32_t kDepGenIsOverflow = 4;
constexpr uint32_t kDepGenLastOverflow = 8;

} // namespace profile

#endif // PROFILE_RECORDS_HPP_
