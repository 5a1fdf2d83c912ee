// Slot states, error latch and what hangs off them (contract 2.9), as far as the mailbox and its users look at them.
#ifndef PTO_RUNTIME2_TYPES_H
#define PTO_RUNTIME2_TYPES_H

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "aicore_completion_mailbox.h"
#include "profiling_config.h"
#include "pto_completion_token.h"
#include "pto_constants.h"
#include "pto_runtime_status.h"
#include "pto_task_id.h"
#include "pto_types.h"
#include "runtime_variant.h"

typedef enum { PTO2_TASK_PENDING = 0, PTO2_TASK_COMPLETED = 1, PTO2_TASK_CONSUMED = 2 } PTO2TaskState;

struct PTO2TaskDescriptor {
    PTO2TaskId task_id;
    uint64_t kernel_id;
};

struct PTO2TaskPayload {
    uint64_t argument_count;
};

#if STANDIN_TENSORMAP_AND_RINGBUFFER

struct alignas(64) PTO2TaskSlotState {
    static constexpr uint8_t kReadyClaimed = 0x01;
    static constexpr uint8_t kCompletionDone = 0x02;
    static constexpr uint8_t kAnySubtaskDeferred = 0x04;
    static constexpr uint8_t kDispatchPropagated = 0x08;

    uint64_t reserved0[2];
    std::atomic<PTO2TaskState> task_state;
    uint32_t reserved1[3];
    PTO2TaskPayload *payload;
    PTO2TaskDescriptor *task;
    uint8_t reserved2[3];
    std::atomic<uint8_t> lifecycle_flags;
    uint8_t reserved3[4];
    std::atomic<int16_t> completed_subtasks;
    int16_t total_required_subtasks;
    uint8_t reserved4[4];

    void mark_any_subtask_deferred() { lifecycle_flags.fetch_or(kAnySubtaskDeferred, std::memory_order_release); }
    bool has_any_subtask_deferred() const {
        return (lifecycle_flags.load(std::memory_order_acquire) & kAnySubtaskDeferred) != 0;
    }
    void reset_for_reuse() {
        task_state.store(PTO2_TASK_PENDING, std::memory_order_relaxed);
        lifecycle_flags.store(0, std::memory_order_relaxed);
        completed_subtasks.store(0, std::memory_order_relaxed);
    }
};

static_assert(offsetof(PTO2TaskSlotState, task_state) == 16, "image");
static_assert(offsetof(PTO2TaskSlotState, payload) == 32, "image");
static_assert(offsetof(PTO2TaskSlotState, task) == 40, "image");
static_assert(offsetof(PTO2TaskSlotState, lifecycle_flags) == 51, "image");
static_assert(offsetof(PTO2TaskSlotState, completed_subtasks) == 56, "image");
static_assert(offsetof(PTO2TaskSlotState, total_required_subtasks) == 58, "image");

#else

// Signed distance in bytes from the field itself; 0 is null.
template <typename T> class PTO2RelativePtr {
  public:
    PTO2RelativePtr() = default;
    PTO2RelativePtr(const PTO2RelativePtr &) = delete;
    PTO2RelativePtr &operator=(const PTO2RelativePtr &) = delete;
    PTO2RelativePtr &operator=(T *target) {
        delta_ = target == nullptr
                     ? 0
                     : static_cast<int32_t>(reinterpret_cast<intptr_t>(target) - reinterpret_cast<intptr_t>(this));
        return *this;
    }
    T *get() const { return delta_ == 0 ? nullptr : reinterpret_cast<T *>(reinterpret_cast<intptr_t>(this) + delta_); }
    T *operator->() const { return get(); }
    T &operator*() const { return *get(); }
    friend bool operator==(const PTO2RelativePtr &pointer, std::nullptr_t) { return pointer.delta_ == 0; }
    friend bool operator!=(const PTO2RelativePtr &pointer, std::nullptr_t) { return pointer.delta_ != 0; }

  private:
    int32_t delta_;
};

enum : uint8_t { PTO2_TASK_KERNEL = 0, PTO2_TASK_DUMMY = 1, PTO2_TASK_GRAPH = 2, PTO2_TASK_GRAPH_NODE = 3 };

// What the nodes of one expanded graph share.
struct PTO2GraphRun {
    std::atomic<int32_t> nodes_left;
};

struct alignas(64) PTO2TaskSlotState {
    uint32_t reserved0;
    std::atomic<PTO2TaskState> task_state;
    PTO2RelativePtr<PTO2TaskPayload> payload;
    PTO2RelativePtr<PTO2TaskDescriptor> task;
    PTO2RelativePtr<PTO2GraphRun> graph;
    uint8_t reserved1[14];
    std::atomic<bool> any_subtask_deferred;
    uint8_t task_kind;
    std::atomic<int16_t> completed_subtasks;
    int16_t total_required_subtasks;
    uint8_t reserved2[24];

    void mark_any_subtask_deferred() { any_subtask_deferred.store(true, std::memory_order_release); }
    bool has_any_subtask_deferred() const { return any_subtask_deferred.load(std::memory_order_acquire); }
    void reset_for_reuse() {
        task_state.store(PTO2_TASK_PENDING, std::memory_order_relaxed);
        any_subtask_deferred.store(false, std::memory_order_relaxed);
        completed_subtasks.store(0, std::memory_order_relaxed);
    }
};

static_assert(offsetof(PTO2TaskSlotState, task_state) == 4, "image");
static_assert(offsetof(PTO2TaskSlotState, payload) == 8, "image");
static_assert(offsetof(PTO2TaskSlotState, task) == 12, "image");
static_assert(offsetof(PTO2TaskSlotState, any_subtask_deferred) == 34, "image");
static_assert(offsetof(PTO2TaskSlotState, task_kind) == 35, "image");
static_assert(offsetof(PTO2TaskSlotState, completed_subtasks) == 36, "image");
static_assert(offsetof(PTO2TaskSlotState, total_required_subtasks) == 38, "image");

#endif

static_assert(sizeof(PTO2TaskSlotState) == 64 && alignof(PTO2TaskSlotState) == 64, "image");

// Memory that the host reads after a run. The first error that is latched stays.
struct PTO2SharedMemoryHeader {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    uint8_t rings[784];
#else
    uint8_t rings[208];
#endif
    std::atomic<int32_t> orch_error_code;
    std::atomic<uint32_t> sched_error_bitmap;
    std::atomic<int32_t> sched_error_code;
    std::atomic<int32_t> sched_error_thread;
};

#if STANDIN_TENSORMAP_AND_RINGBUFFER
static_assert(offsetof(PTO2SharedMemoryHeader, sched_error_code) == 792, "image");
#else
static_assert(offsetof(PTO2SharedMemoryHeader, sched_error_code) == 216, "image");
#endif

#endif // PTO_RUNTIME2_TYPES_H
