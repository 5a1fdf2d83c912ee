// Wait list of deferred tasks. Written from the completion-mailbox contract ("3.n", "Wn") in the way the C++ runtime
// works today, known weaknesses included. Included by the variants' pto_async_wait.h, which say what differs:
//   REFERENCE_WAIT_RELEASES      completed slots go to a release array, and there is a reset_for_reuse()
//   REFERENCE_WAIT_URMA          a third type of condition
//   REFERENCE_WAIT_CACHE_LINE    mailbox_cache_line()
#if !defined(REFERENCE_WAIT_RELEASES) || !defined(REFERENCE_WAIT_URMA) || !defined(REFERENCE_WAIT_CACHE_LINE)
#error "include the variant's pto_async_wait.h"
#endif

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "aicpu/platform_regs.h"
#include "backend/sdma/sdma_completion_scheduler.h"
#if REFERENCE_WAIT_URMA
#include "backend/urma/urma_completion_scheduler.h"
#endif
#include "intrinsic.h"
#include "aicore_completion_mailbox.h"
#include "pto_completion_token.h"
#include "pto_runtime2_types.h"

struct PTO2SchedulerState;
struct CompletionStats;

inline constexpr int32_t MAX_ASYNC_WAITS = 64;

#if REFERENCE_WAIT_CACHE_LINE
inline uintptr_t mailbox_cache_line(const volatile void *addr) {
    return reinterpret_cast<uintptr_t>(addr) & ~static_cast<uintptr_t>(PTO2_ALIGN_SIZE - 1);
}
#endif

struct CompletionCondition;

using CompletionPollFn = CompletionPollResult (*)(const CompletionCondition &);
using CompletionRetireFn = void (*)(CompletionCondition &);

struct CompletionBackendOps {
    CompletionPollFn poll;
    CompletionRetireFn retire;
};

struct CompletionCondition {
    AsyncEngine engine{ASYNC_ENGINE_SDMA};
    int32_t completion_type{COMPLETION_TYPE_COUNTER};
    bool satisfied{false};
    bool retired{false};
    volatile uint32_t *counter_addr{nullptr};
    uint64_t addr{0};
    uint64_t backend_cookie{0};
    uint32_t expected_value{0};

    CompletionPollResult test() const;
    void retire();
};

inline CompletionPollResult counter_poll_op(const CompletionCondition &condition) {
    if (condition.counter_addr == nullptr) {
        return {CompletionPollState::FAILED, PTO2_ERROR_ASYNC_COMPLETION_INVALID};
    }
    const bool ready = *condition.counter_addr >= condition.expected_value;
    return {ready ? CompletionPollState::READY : CompletionPollState::PENDING, PTO2_ERROR_NONE};
}

inline void counter_retire_op(CompletionCondition &) {}

inline CompletionPollResult sdma_event_record_poll_op(const CompletionCondition &condition) {
    return poll_sdma_post_done_record(condition.addr, condition.backend_cookie);
}

inline void sdma_event_record_retire_op(CompletionCondition &condition) {
    retire_sdma_post_done_record(condition.addr, condition.backend_cookie);
}

#if REFERENCE_WAIT_URMA
inline CompletionPollResult urma_event_handle_poll_op(const CompletionCondition &condition) {
    return pto2::urma_backend::poll_urma_event_handle(condition.addr, condition.backend_cookie);
}

inline void urma_event_handle_retire_op(CompletionCondition &condition) {
    pto2::urma_backend::retire_urma_event_handle(condition.addr, condition.backend_cookie);
}
#endif

inline const CompletionBackendOps *completion_backend_ops_for(int completion_type) {
    static constexpr CompletionBackendOps kOps[] = {
        {counter_poll_op, counter_retire_op},
        {sdma_event_record_poll_op, sdma_event_record_retire_op},
#if REFERENCE_WAIT_URMA
        {urma_event_handle_poll_op, urma_event_handle_retire_op},
#endif
    };
    constexpr int kCount = static_cast<int>(sizeof(kOps) / sizeof(kOps[0]));
    return completion_type >= 0 && completion_type < kCount ? &kOps[completion_type] : nullptr;
}

inline CompletionPollResult CompletionCondition::test() const {
    if (satisfied) {
        return {CompletionPollState::READY, PTO2_ERROR_NONE};
    }
    const CompletionBackendOps *const ops = completion_backend_ops_for(completion_type);
    if (ops == nullptr) {
        return {CompletionPollState::FAILED, PTO2_ERROR_ASYNC_COMPLETION_INVALID};
    }
    return ops->poll(*this);
}

inline void CompletionCondition::retire() {
    if (retired) {
        return;
    }
    const CompletionBackendOps *const ops = completion_backend_ops_for(completion_type);
    if (ops != nullptr && ops->retire != nullptr) {
        ops->retire(*this);
    }
    retired = true;
}

inline const char *async_engine_name(AsyncEngine engine) {
    switch (engine) {
    case ASYNC_ENGINE_SDMA:
        return "SDMA";
    case ASYNC_ENGINE_ROCE:
        return "ROCE";
    case ASYNC_ENGINE_URMA:
        return "URMA";
    case ASYNC_ENGINE_CCU:
        return "CCU";
    default:
        return "UNKNOWN";
    }
}

struct AsyncWaitEntry {
    PTO2TaskSlotState *slot_state{nullptr};
    PTO2TaskId task_token{PTO2TaskId::invalid()};
    CompletionCondition conditions[MAX_COMPLETIONS_PER_TASK];
    int32_t condition_count{0};
    int32_t waiting_completion_count{0};
    bool normal_done{false};
};

struct AsyncPollResult {
    int32_t completed{0};
#if !REFERENCE_WAIT_RELEASES
    int32_t resolved{0};
#endif
    int32_t error_code{0};
    PTO2TaskSlotState *failed_slot_state{nullptr};
};

// Touched by the holder of `busy` alone, `busy` and the statistic excepted.
struct AsyncWaitList {
    struct DrainCompletionSink {
        PTO2SchedulerState *sched{nullptr};
#if REFERENCE_WAIT_RELEASES
        PTO2TaskSlotState **deferred_release_slot_states{nullptr};
        int32_t *deferred_release_count{nullptr};
        int32_t deferred_release_capacity{0};
#endif
        int32_t inline_completed{0};
#if !REFERENCE_WAIT_RELEASES
        int32_t inline_resolved{0};
        int32_t error_code{0};
#endif
#if SIMPLER_SCHED_PROFILING
        int32_t thread_idx{0};
#endif

        bool can_inline_complete() const { return sched != nullptr; }
    };

    std::atomic<int32_t> busy{0};
    AsyncWaitEntry entries[MAX_ASYNC_WAITS];
    int32_t count{0};
    std::atomic<uint64_t> mpsc_skipped_count{0};

#if REFERENCE_WAIT_RELEASES
    void reset_for_reuse() {
        busy.store(0, std::memory_order_relaxed);
        count = 0;
        mpsc_skipped_count.store(0, std::memory_order_relaxed);
    }
#endif

    bool try_lock() {
        int32_t expected = 0;
        return busy.compare_exchange_strong(expected, 1, std::memory_order_acquire, std::memory_order_relaxed);
    }

    void unlock() { busy.store(0, std::memory_order_release); }

    AsyncWaitEntry *find_entry_by_token(PTO2TaskId token) {
        for (int32_t i = 0; i < count; ++i) {
            if (entries[i].task_token == token) {
                return &entries[i];
            }
        }
        return nullptr;
    }

    // Counts the message that fails, which is consumed like the others (W13).
    int32_t drain_aicore_completion_mailbox_locked(AICoreCompletionMailbox *aicore_mailbox, DrainCompletionSink &sink,
                                                   int32_t &error_code) {
        error_code = PTO2_ERROR_NONE;
        if (aicore_mailbox == nullptr) {
            return 0;
        }
        int32_t drained = 0;
        AICoreCompletionMsgView message;
        while (aicore_mailbox->try_pop(message)) {
            ++drained;
            AsyncWaitEntry *entry = find_entry_by_token(message.task_token);
            if (message.kind == MSG_KIND_CONDITION) {
                if (entry == nullptr) {
                    if (count >= MAX_ASYNC_WAITS) {
                        error_code = PTO2_ERROR_ASYNC_WAIT_OVERFLOW;
                        return drained;
                    }
                    entry = add_entry(message.task_token, nullptr, false);
                }
                if (!append_condition_locked(*entry, message.addr, message.backend_cookie, message.expected_value,
                                             static_cast<AsyncEngine>(message.engine), message.completion_type,
                                             error_code)) {
                    return drained;
                }
            } else if (message.kind == MSG_KIND_TASK_NORMAL_DONE) {
                auto *const slot_state = reinterpret_cast<PTO2TaskSlotState *>(static_cast<uintptr_t>(message.addr));
                if (entry != nullptr) {
                    if (entry->slot_state == nullptr) {
                        entry->slot_state = slot_state;
                    }
                    entry->normal_done = true;
                } else if (sink.can_inline_complete()) {
#if REFERENCE_WAIT_RELEASES
                    (void)try_inline_complete_locked(sink, *slot_state);
#else
                    if (!try_inline_complete_locked(sink, *slot_state)) {
                        error_code = sink.error_code;
                        return drained;
                    }
#endif
                } else {
                    if (count >= MAX_ASYNC_WAITS) {
                        error_code = PTO2_ERROR_ASYNC_WAIT_OVERFLOW;
                        return drained;
                    }
                    (void)add_entry(message.task_token, slot_state, true);
                }
            } else {
                error_code = PTO2_ERROR_ASYNC_REGISTRATION_FAILED;
                return drained;
            }
        }
        return drained;
    }

    bool append_condition_locked(AsyncWaitEntry &entry, uint64_t addr, uint64_t backend_cookie, uint32_t expected_value,
                                 AsyncEngine engine, int32_t completion_type, int32_t &error_code) {
        if (entry.condition_count >= MAX_COMPLETIONS_PER_TASK) {
            error_code = PTO2_ERROR_ASYNC_REGISTRATION_FAILED;
            return false;
        }
        CompletionCondition &condition = entry.conditions[entry.condition_count++];
        condition.engine = engine;
        condition.completion_type = completion_type;
        condition.satisfied = false;
        condition.retired = false;
        condition.counter_addr = completion_type == COMPLETION_TYPE_COUNTER
                                     ? reinterpret_cast<volatile uint32_t *>(static_cast<uintptr_t>(addr))
                                     : nullptr;
        condition.addr = addr;
        condition.backend_cookie = backend_cookie;
        condition.expected_value = expected_value;
        ++entry.waiting_completion_count;
        return true;
    }

    bool try_inline_complete_locked(DrainCompletionSink &sink, PTO2TaskSlotState &slot_state);

    template <bool Profiling>
    AsyncPollResult poll_and_complete(AICoreCompletionMailbox *aicore_mailbox, PTO2SchedulerState *sched
#if REFERENCE_WAIT_RELEASES
                                      ,
                                      PTO2TaskSlotState **deferred_release_slot_states, int32_t &deferred_release_count,
                                      int32_t deferred_release_capacity
#endif
#if SIMPLER_SCHED_PROFILING
                                      ,
                                      int thread_idx
#endif
    );

    AsyncWaitEntry *add_entry(PTO2TaskId token, PTO2TaskSlotState *slot_state, bool normal_done) {
        AsyncWaitEntry &entry = entries[count++];
        entry.slot_state = slot_state;
        entry.task_token = token;
        entry.condition_count = 0;
        entry.waiting_completion_count = 0;
        entry.normal_done = normal_done;
        return &entry;
    }
};

static_assert(sizeof(CompletionCondition) == 48, "image");
static_assert(sizeof(AsyncWaitEntry) == 3104, "image");
static_assert(sizeof(AsyncWaitList) == 198680, "image");

#undef REFERENCE_WAIT_RELEASES
#undef REFERENCE_WAIT_URMA
#undef REFERENCE_WAIT_CACHE_LINE
