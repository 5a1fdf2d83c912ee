// Kernel side of the slab (contract 3.8).
#ifndef PTO_ASYNC_KERNEL_API_H
#define PTO_ASYNC_KERNEL_API_H

#include <atomic>
#include <cstdint>

#include "intrinsic.h"
#include "pto_completion_token.h"
#include "pto_runtime_status.h"

namespace pto {
namespace comm {

enum class NotifyOp : uint8_t { Set, AtomicAdd };

} // namespace comm
} // namespace pto

inline AsyncCtx get_async_ctx(__gm__ int64_t *args) {
    const auto *context = reinterpret_cast<const LocalContext *>(static_cast<intptr_t>(args[kLocalContextArg]));
    return context->async_ctx;
}

inline bool async_ctx_is_deferred(const AsyncCtx &context) { return context.task_token.is_valid(); }

// Writes back what the kernel wrote, before the register event that ends the subtask.
inline void flush_completion_slab(AsyncCtx &) { std::atomic_thread_fence(std::memory_order_release); }

inline bool register_completion_condition(AsyncCtx &context, const CompletionToken &token) {
    if (!async_ctx_is_deferred(context) || context.completion_count == nullptr ||
        context.completion_error_code == nullptr || context.completion_entries == nullptr) {
        return false;
    }
    const uint32_t place = *context.completion_count;
    if (place >= context.completion_capacity) {
        *context.completion_error_code = PTO2_ERROR_ASYNC_WAIT_OVERFLOW;
        return false;
    }
    volatile __gm__ DeferredCompletionEntry &entry = context.completion_entries[place];
    entry.addr = token.addr;
    entry.backend_cookie = token.backend_cookie;
    entry.expected_value = token.expected_value;
    entry.engine = token.engine;
    entry.completion_type = token.completion_type;
    entry._pad = 0;
    *context.completion_count = place + 1;
    return true;
}

inline void save_expected_notification_counter(AsyncCtx &context, volatile __gm__ void *counter_addr,
                                               uint32_t expected_value) {
    const auto addr = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(counter_addr));
    (void)register_completion_condition(
        context, CompletionToken{addr, expected_value, COMPLETION_ENGINE_SDMA, COMPLETION_TYPE_COUNTER, 0});
    flush_completion_slab(context);
}

// A transfer that runs on some of the device's queues.
struct SdmaRequest {
    bool session_ok;
    uint32_t engine;
    uint64_t handle;
    uint64_t queues;
    uint64_t record_base;
    uint64_t record_stride;
    const uint64_t *post_ids;
};

inline bool send_request_entry(AsyncCtx &context, const SdmaRequest &request) {
    if (!request.session_ok || request.engine != COMPLETION_ENGINE_SDMA || request.record_base == 0) {
        *context.completion_error_code = PTO2_ERROR_ASYNC_COMPLETION_INVALID;
        return false;
    }
    if (request.handle == 0) {
        return true;
    }
    for (uint64_t queue = 0; queue < request.queues; ++queue) {
        const CompletionToken token{request.record_base + queue * request.record_stride, 0, COMPLETION_ENGINE_SDMA,
                                    COMPLETION_TYPE_SDMA_EVENT_RECORD, request.post_ids[queue]};
        if (!register_completion_condition(context, token)) {
            return false;
        }
    }
    flush_completion_slab(context);
    return true;
}

// What a remote peer does to a counter of ours.
inline void send_notification(volatile __gm__ void *remote_counter_addr, int32_t value, pto::comm::NotifyOp op) {
    auto *counter = static_cast<volatile uint32_t *>(remote_counter_addr);
    if (op == pto::comm::NotifyOp::Set) {
        __atomic_store_n(counter, static_cast<uint32_t>(value), __ATOMIC_RELEASE);
    } else {
        (void)__atomic_fetch_add(counter, static_cast<uint32_t>(value), __ATOMIC_RELEASE);
    }
}

#endif // PTO_ASYNC_KERNEL_API_H
