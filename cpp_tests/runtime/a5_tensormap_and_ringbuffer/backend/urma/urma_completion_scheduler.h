// Scheduler's side of an RDMA transfer: walks a completion queue up to the entry that a handle names (contract 3.7).
#ifndef BACKEND_URMA_URMA_COMPLETION_SCHEDULER_H
#define BACKEND_URMA_URMA_COMPLETION_SCHEDULER_H

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "aicpu/platform_regs.h"
#include "pto_completion_token.h"
#include "pto_constants.h"
#include "pto_runtime_status.h"

namespace pto2 {
namespace urma_backend {

struct WorkspaceHeader {
    uint32_t qp_num;
    uint32_t local_token_id;
    uint32_t rank_count;
    uint32_t reserved;
    uint64_t sq_ptr;
    uint64_t rq_ptr;
    uint64_t scq_ptr;
    uint64_t rcq_ptr;
    uint64_t mem_ptr;
};
static_assert(sizeof(WorkspaceHeader) == 56, "written by the communication library");

struct CompletionQueueContext {
    uint32_t cqn;
    uint32_t reserved0;
    uint64_t buf_addr;
    uint32_t cqe_shift_size;
    uint32_t depth;
    uint64_t head_addr;
    uint64_t tail_addr;
    uint32_t db_mode;
    uint32_t reserved1;
    uint64_t db_addr;
};
static_assert(sizeof(CompletionQueueContext) == 56, "written by the communication library");

struct WorkQueueContext {
    uint32_t wqn;
    uint32_t reserved0;
    uint64_t buf_addr;
    uint32_t wqe_shift_size;
    uint32_t depth;
    uint64_t head_addr;
    uint64_t tail_addr;
    uint32_t db_mode;
    uint32_t reserved1;
    uint64_t db_addr;
    uint64_t sl;
};
static_assert(sizeof(WorkQueueContext) == 64, "written by the communication library");

inline constexpr uint32_t kMaxShift = 12;
inline constexpr uint32_t kOwnerShift = 2;
inline constexpr uint32_t kDoorbellMask = 0xFFFFFF;

inline uint64_t encode_urma_event_handle(uint32_t remote_rank, uint32_t target_head) {
    return (static_cast<uint64_t>(remote_rank) << 32) | target_head;
}

inline void decode_urma_event_handle(uint64_t event_handle, uint32_t &remote_rank, uint32_t &target_head) {
    remote_rank = static_cast<uint32_t>(event_handle >> 32);
    target_head = static_cast<uint32_t>(event_handle);
}

template <typename Word> Word load_acquire(uint64_t addr) {
    return __atomic_load_n(reinterpret_cast<const Word *>(static_cast<uintptr_t>(addr)), __ATOMIC_ACQUIRE);
}

inline void store_release(uint64_t addr, uint32_t value) {
    __atomic_store_n(reinterpret_cast<uint32_t *>(static_cast<uintptr_t>(addr)), value, __ATOMIC_RELEASE);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

inline void invalidate(uint64_t addr, size_t size) {
    cache_invalidate_range(reinterpret_cast<const void *>(static_cast<uintptr_t>(addr)), size);
}

inline bool reached(uint32_t position, uint32_t target) { return static_cast<int32_t>(position - target) >= 0; }

inline void write_back(const CompletionQueueContext &cq, const WorkQueueContext &wq, uint32_t tail) {
    store_release(cq.tail_addr, tail);
    if (cq.db_addr != 0) {
        store_release(cq.db_addr, tail & kDoorbellMask);
    }
    if (wq.tail_addr != 0) {
        store_release(wq.tail_addr, tail);
    }
}

inline CompletionPollResult poll_urma_event_handle(uint64_t event_handle, uint64_t workspace_addr) {
    const CompletionPollResult ready{CompletionPollState::READY, PTO2_ERROR_NONE};
    const CompletionPollResult invalid{CompletionPollState::FAILED, PTO2_ERROR_ASYNC_COMPLETION_INVALID};
    if (event_handle == 0) {
        return ready;
    }
    if (workspace_addr == 0) {
        return invalid;
    }
    uint32_t remote_rank = 0;
    uint32_t target_head = 0;
    decode_urma_event_handle(event_handle, remote_rank, target_head);
    if (target_head == 0) {
        return ready;
    }

    invalidate(workspace_addr, sizeof(WorkspaceHeader));
    const auto qp_num = load_acquire<uint32_t>(workspace_addr + offsetof(WorkspaceHeader, qp_num));
    const auto rank_count = load_acquire<uint32_t>(workspace_addr + offsetof(WorkspaceHeader, rank_count));
    const auto sq_ptr = load_acquire<uint64_t>(workspace_addr + offsetof(WorkspaceHeader, sq_ptr));
    const auto scq_ptr = load_acquire<uint64_t>(workspace_addr + offsetof(WorkspaceHeader, scq_ptr));
    if (qp_num == 0 || remote_rank >= rank_count || sq_ptr == 0 || scq_ptr == 0) {
        return invalid;
    }

    const uint64_t index = static_cast<uint64_t>(remote_rank) * qp_num;
    const uint64_t cq_addr = scq_ptr + index * sizeof(CompletionQueueContext);
    const uint64_t wq_addr = sq_ptr + index * sizeof(WorkQueueContext);
    invalidate(cq_addr, sizeof(CompletionQueueContext));
    invalidate(wq_addr, sizeof(WorkQueueContext));
    const auto cq = *reinterpret_cast<const CompletionQueueContext *>(static_cast<uintptr_t>(cq_addr));
    const auto wq = *reinterpret_cast<const WorkQueueContext *>(static_cast<uintptr_t>(wq_addr));
    if (cq.buf_addr == 0 || cq.tail_addr == 0 || cq.cqe_shift_size > kMaxShift || cq.depth == 0 ||
        (cq.depth & (cq.depth - 1)) != 0) {
        return invalid;
    }

    const auto first = load_acquire<uint32_t>(cq.tail_addr);
    uint32_t position = first;
    while (!reached(position, target_head)) {
        const uint64_t entry =
            cq.buf_addr + (uint64_t{1} << cq.cqe_shift_size) * static_cast<uint64_t>(position & (cq.depth - 1));
        invalidate(entry, sizeof(uint32_t));
        const auto word = load_acquire<uint32_t>(entry);
        const uint32_t owner = (word >> kOwnerShift) & 1;
        if (owner == ((position / cq.depth) & 1)) {
            break;
        }
        ++position;
        if (((word >> 24) & 0xFF) != 0 || ((word >> 16) & 0xFF) != 0) {
            write_back(cq, wq, position);
            return invalid;
        }
    }
    if (position != first) {
        write_back(cq, wq, position);
    }
    return reached(position, target_head) ? ready : CompletionPollResult{};
}

inline void retire_urma_event_handle(uint64_t, uint64_t) {}

} // namespace urma_backend
} // namespace pto2

#endif // BACKEND_URMA_URMA_COMPLETION_SCHEDULER_H
