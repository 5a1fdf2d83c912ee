// Scheduler's side of an SDMA transfer: a shared, monotonic record of finished posts (contract 3.7).
#ifndef BACKEND_SDMA_SDMA_COMPLETION_SCHEDULER_H
#define BACKEND_SDMA_SDMA_COMPLETION_SCHEDULER_H

#include <cstdint>

#include "aicpu/platform_regs.h"
#include "pto_completion_token.h"
#include "pto_constants.h"
#include "pto_runtime_status.h"
#include "runtime_variant.h"

#if !STANDIN_ARCH_A5
inline uintptr_t sdma_completion_cache_line(const volatile void *addr) {
    return reinterpret_cast<uintptr_t>(addr) & ~static_cast<uintptr_t>(PTO2_ALIGN_SIZE - 1);
}
#endif

inline CompletionPollResult poll_sdma_post_done_record(uint64_t record_addr, uint64_t expected_post_id) {
    if (record_addr == 0 || expected_post_id == 0) {
        return {CompletionPollState::FAILED, PTO2_ERROR_ASYNC_COMPLETION_INVALID};
    }
    const auto *record = reinterpret_cast<const uint64_t *>(static_cast<uintptr_t>(record_addr));
#if !STANDIN_ARCH_A5
    cache_invalidate_range(reinterpret_cast<const void *>(sdma_completion_cache_line(record)), PTO2_ALIGN_SIZE);
#endif
    const uint64_t done = __atomic_load_n(record, __ATOMIC_ACQUIRE);
    return {done >= expected_post_id ? CompletionPollState::READY : CompletionPollState::PENDING, PTO2_ERROR_NONE};
}

// The record is shared by all transfers of the queue and only counts up: it must not be cleared.
inline void retire_sdma_post_done_record(uint64_t, uint64_t) {}

#endif // BACKEND_SDMA_SDMA_COMPLETION_SCHEDULER_H
