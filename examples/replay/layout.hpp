// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Memory that the simulated device and the host share: records, buffers, queues and where they lie. Shaped like the
// swimlane subsystem of the C++ runtime: four kinds of buffers, one ready queue for each control thread, one free queue
// for each instance.
#ifndef REPLAY_LAYOUT_HPP_
#define REPLAY_LAYOUT_HPP_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "shared.hpp"

namespace replay {

enum Kind : uint32_t { kTask = 0, kSchedPhase = 1, kOrchPhase = 2, kAicore = 3 };
constexpr uint32_t kKinds = 4;
constexpr uint32_t kSlotCount = 4;

inline constexpr std::array<const char *, kKinds> kKindNames = {"task", "sched", "orch", "aicore"};

// Every record ends with its position in the instance's stream and a checksum over all bytes before the checksum, so
// that loss, duplication, reordering and torn copies all show.
struct TaskRecord {
    uint64_t dispatch;
    uint64_t finish;
    uint64_t token;
    uint32_t sequence;
    uint32_t checksum;
};

struct AicoreRecord {
    uint64_t start;
    uint64_t end;
    uint64_t token;
    uint32_t sequence;
    uint32_t checksum;
};

struct SchedRecord {
    uint64_t start;
    uint64_t end;
    uint32_t loop;
    uint32_t phase;
    uint32_t tasks;
    uint32_t hit;
    uint32_t miss;
    uint32_t reserved[5];
    uint32_t sequence;
    uint32_t checksum;
};

struct OrchRecord {
    uint64_t start;
    uint64_t end;
    uint64_t token;
    uint32_t sequence;
    uint32_t checksum;
};

static_assert(sizeof(TaskRecord) == 32 && sizeof(AicoreRecord) == 32 && sizeof(SchedRecord) == 64 &&
              sizeof(OrchRecord) == 32);

inline constexpr std::array<uint32_t, kKinds> kRecordSizes = {sizeof(TaskRecord), sizeof(SchedRecord),
                                                              sizeof(OrchRecord), sizeof(AicoreRecord)};

inline uint32_t record_checksum(uint32_t instance, const void *record, uint32_t record_size) {
    uint64_t hash = 0x9e3779b97f4a7c15u + instance;
    const auto *bytes = static_cast<const unsigned char *>(record);
    const auto mix = [&hash](uint64_t word) {
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    };
    uint32_t offset = 0;
    for (; offset + 8 <= record_size - 4; offset += 8) {
        uint64_t word;
        std::memcpy(&word, bytes + offset, sizeof(word));
        mix(word);
    }
    uint32_t last;
    std::memcpy(&last, bytes + offset, sizeof(last));
    mix(last);
    return static_cast<uint32_t>(hash);
}

// Stands at the beginning of each buffer, followed by the records.
struct BufferHeader {
    uint32_t count;
    uint32_t reserved[15];
};
static_assert(sizeof(BufferHeader) == 64);

inline size_t content_size(uint32_t kind, uint32_t records) {
    return sizeof(BufferHeader) + static_cast<size_t>(records) * kRecordSizes[kind];
}

struct ReadyEntry {
    uint32_t instance;
    uint32_t kind;
    uint64_t buffer_ptr;
    uint32_t buffer_sequence;
    uint32_t record_count;
    uint64_t published_ns;
};
static_assert(sizeof(ReadyEntry) == 32);

struct FreeQueue {
    uint64_t slots[kSlotCount];
    uint32_t head;
    uint32_t tail;
    uint32_t pad[22];
};
static_assert(sizeof(FreeQueue) == 128);

struct alignas(64) ActiveHead {
    uint64_t current_buf_ptr;
    uint32_t current_buf_sequence;
    uint32_t pad;
    uint64_t total_records;
    uint64_t dropped_records;
};
static_assert(sizeof(ActiveHead) == 64);

struct InstanceState {
    ActiveHead head;
    FreeQueue free_queue;
};
static_assert(sizeof(InstanceState) == 192);

struct Gates {
    uint32_t rq_freeze_active;
    uint32_t rq_contended;
    uint32_t fq_freeze_active;
    uint32_t fq_contended;
};

// Where things lie in the shared region, and which unit an instance belongs to. Instances are numbered task by core,
// AICore by core, scheduler phase by thread, orchestrator phase.
struct Region {
    uint32_t threads = 0;
    uint32_t cores = 0;
    uint32_t ready_slots = 0;

    uint32_t instances() const { return 2 * cores + threads + 1; }
    uint32_t task_instance(uint32_t core) const { return core; }
    uint32_t aicore_instance(uint32_t core) const { return cores + core; }
    uint32_t sched_instance(uint32_t thread) const { return 2 * cores + thread; }
    uint32_t orch_instance() const { return 2 * cores + threads; }

    uint32_t kind_of(uint32_t instance) const {
        return instance < cores                 ? kTask
               : instance < 2 * cores           ? kAicore
               : instance < 2 * cores + threads ? kSchedPhase
                                                : kOrchPhase;
    }

    // Core, thread or 0.
    uint32_t unit_of(uint32_t instance) const {
        return instance < cores                 ? instance
               : instance < 2 * cores           ? instance - cores
               : instance < 2 * cores + threads ? instance - 2 * cores
                                                : 0;
    }

    size_t heads_offset() const { return 64; }
    size_t tails_offset() const { return heads_offset() + kMaxThreads * sizeof(uint32_t); }
    size_t queues_offset() const { return tails_offset() + kMaxThreads * sizeof(uint32_t); }
    size_t instances_offset() const {
        const size_t end = queues_offset() + size_t{threads} * ready_slots * sizeof(ReadyEntry);
        return (end + 63) / 64 * 64;
    }
    size_t size() const { return instances_offset() + instances() * sizeof(InstanceState); }
};

// The region at one address: the device's own memory, or what the host sees of it.
class RegionView {
  public:
    RegionView() = default;
    RegionView(const Region &region, void *base) : region_(region), base_(static_cast<unsigned char *>(base)) {}

    Gates &gates() const { return *at<Gates>(0); }
    uint32_t &queue_head(uint32_t q) const { return at<uint32_t>(region_.heads_offset())[q]; }
    uint32_t &queue_tail(uint32_t q) const { return at<uint32_t>(region_.tails_offset())[q]; }
    ReadyEntry *queue(uint32_t q) const {
        return at<ReadyEntry>(region_.queues_offset()) + size_t{q} * region_.ready_slots;
    }
    InstanceState &instance(uint32_t i) const { return at<InstanceState>(region_.instances_offset())[i]; }

  private:
    template <typename T> T *at(size_t offset) const { return reinterpret_cast<T *>(base_ + offset); }

    Region region_;
    unsigned char *base_ = nullptr;
};

} // namespace replay

#endif // REPLAY_LAYOUT_HPP_
