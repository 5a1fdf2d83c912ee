// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The wait list of all four variants: layouts and names of the C++ runtime's pto_async_wait.h, whose drain is
// lanepipe's. The poll pass and the inline completion are defined by the scheduler's header. Included by a variant's
// header only, which sets LANEPIPE_COMPAT_VARIANT to one of LANEPIPE_VARIANT_*.
#ifndef LANEPIPE_COMPAT_MAILBOX_WAIT_LIST_H_
#define LANEPIPE_COMPAT_MAILBOX_WAIT_LIST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <lanepipe/lanepipe.h>

#define LANEPIPE_COMPAT_RINGBUFFER                                                                                     \
    (LANEPIPE_COMPAT_VARIANT == LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER ||                                      \
     LANEPIPE_COMPAT_VARIANT == LANEPIPE_VARIANT_A5_TENSORMAP_AND_RINGBUFFER)
#define LANEPIPE_COMPAT_URMA (LANEPIPE_COMPAT_VARIANT == LANEPIPE_VARIANT_A5_TENSORMAP_AND_RINGBUFFER)

#include "aicpu/platform_regs.h"
#include "backend/sdma/sdma_completion_scheduler.h"
#if LANEPIPE_COMPAT_URMA
#include "backend/urma/urma_completion_scheduler.h"
#endif
#include "aicore_completion_mailbox.h"
#include "intrinsic.h"
#include "pto_completion_token.h"
#include "pto_runtime2_types.h"

#ifndef LANEPIPE_COMPAT_MAILBOX_TRANSPORT_H_
#error "lanepipe: pto_async_wait.h is lanepipe's, aicore_completion_mailbox.h is not; swap both"
#endif

struct PTO2SchedulerState;
struct CompletionStats;

inline constexpr int32_t MAX_ASYNC_WAITS = 64;

#if !LANEPIPE_COMPAT_URMA
// The address rounded down to its cache line.
inline uintptr_t mailbox_cache_line(const volatile void *addr) {
    return reinterpret_cast<uintptr_t>(addr) & ~static_cast<uintptr_t>(PTO2_ALIGN_SIZE - 1);
}
#endif

// One condition of a waiting task.
struct CompletionCondition {
    AsyncEngine engine{ASYNC_ENGINE_SDMA};
    int32_t completion_type{COMPLETION_TYPE_COUNTER};
    bool satisfied{false};
    bool retired{false};
    volatile uint32_t *counter_addr{nullptr};
    uint64_t addr{0};
    uint64_t backend_cookie{0};
    uint32_t expected_value{0};

    // Whether it holds. Consumer.
    CompletionPollResult test() const;
    // Once, when it turned out to hold. Consumer.
    void retire();
};

using CompletionPollFn = CompletionPollResult (*)(const CompletionCondition &);
using CompletionRetireFn = void (*)(CompletionCondition &);

struct CompletionBackendOps {
    CompletionPollFn poll;
    CompletionRetireFn retire;
};

inline CompletionPollResult counter_poll_op(const CompletionCondition &condition) {
    if (condition.counter_addr == nullptr) {
        return {CompletionPollState::FAILED, PTO2_ERROR_ASYNC_COMPLETION_INVALID};
    }
    // Acquire: what the counter announces is visible to whom the completion releases.
    const uint32_t value = __atomic_load_n(condition.counter_addr, __ATOMIC_ACQUIRE);
    const bool ready = value >= condition.expected_value;
    return {ready ? CompletionPollState::READY : CompletionPollState::PENDING, PTO2_ERROR_NONE};
}

inline void counter_retire_op(CompletionCondition &) {}

inline CompletionPollResult sdma_event_record_poll_op(const CompletionCondition &condition) {
    return poll_sdma_post_done_record(condition.addr, condition.backend_cookie);
}

inline void sdma_event_record_retire_op(CompletionCondition &condition) {
    retire_sdma_post_done_record(condition.addr, condition.backend_cookie);
}

#if LANEPIPE_COMPAT_URMA
inline CompletionPollResult urma_event_handle_poll_op(const CompletionCondition &condition) {
    return pto2::urma_backend::poll_urma_event_handle(condition.addr, condition.backend_cookie);
}

inline void urma_event_handle_retire_op(CompletionCondition &condition) {
    pto2::urma_backend::retire_urma_event_handle(condition.addr, condition.backend_cookie);
}
#endif

// The backend of a type, null if it has none.
inline const CompletionBackendOps *completion_backend_ops_for(int completion_type) {
    static constexpr CompletionBackendOps kOps[] = {
        {counter_poll_op, counter_retire_op},
        {sdma_event_record_poll_op, sdma_event_record_retire_op},
#if LANEPIPE_COMPAT_URMA
        {urma_event_handle_poll_op, urma_event_handle_retire_op},
#endif
    };
    constexpr int kCount = sizeof kOps / sizeof *kOps;
    return completion_type >= 0 && completion_type < kCount ? &kOps[completion_type] : nullptr;
}

inline CompletionPollResult CompletionCondition::test() const {
    if (satisfied) {
        return {CompletionPollState::READY, PTO2_ERROR_NONE};
    }
    // Most conditions are counters: no indirect call for them.
    if (completion_type == COMPLETION_TYPE_COUNTER) {
        return counter_poll_op(*this);
    }
    const CompletionBackendOps *ops = completion_backend_ops_for(completion_type);
    if (ops == nullptr) {
        return {CompletionPollState::FAILED, PTO2_ERROR_ASYNC_COMPLETION_INVALID};
    }
    return ops->poll(*this);
}

inline void CompletionCondition::retire() {
    if (retired) {
        return;
    }
    if (const CompletionBackendOps *ops = completion_backend_ops_for(completion_type)) {
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

// One waiting task.
struct AsyncWaitEntry {
    PTO2TaskSlotState *slot_state{nullptr};
    PTO2TaskId task_token{PTO2TaskId::invalid()};
    CompletionCondition conditions[MAX_COMPLETIONS_PER_TASK];
    int32_t condition_count{0};
    int32_t waiting_completion_count{0};
    bool normal_done{false};

    AsyncWaitEntry() = default;
    AsyncWaitEntry(const AsyncWaitEntry &) = default;

    // Copies what is live and touches nothing else: behind the live conditions lie messages that the drain holds.
    AsyncWaitEntry &operator=(const AsyncWaitEntry &other) {
        slot_state = other.slot_state;
        task_token = other.task_token;
        for (int32_t at = 0; at < other.condition_count && at < MAX_COMPLETIONS_PER_TASK; ++at) {
            conditions[at] = other.conditions[at];
        }
        condition_count = other.condition_count;
        waiting_completion_count = other.waiting_completion_count;
        normal_done = other.normal_done;
        return *this;
    }
};

struct AsyncPollResult {
    int32_t completed{0};
#if !LANEPIPE_COMPAT_RINGBUFFER
    int32_t resolved{0};
#endif
    int32_t error_code{0};
    PTO2TaskSlotState *failed_slot_state{nullptr};
};

// Tasks that wait for conditions. All but try_lock() and reset_for_reuse() are for whoever holds the lock.
struct AsyncWaitList {
    // What the library keeps in padding is that of another list where memory is used again: a new one has none.
    std::atomic<int32_t> busy{0};
    uint32_t lanepipe_padding_before_entries{0};
    AsyncWaitEntry entries[MAX_ASYNC_WAITS];
    int32_t count{0};
    uint32_t lanepipe_padding_before_skipped{0};
    std::atomic<uint64_t> mpsc_skipped_count{0};

    struct DrainCompletionSink {
        PTO2SchedulerState *sched{nullptr};
#if LANEPIPE_COMPAT_RINGBUFFER
        PTO2TaskSlotState **deferred_release_slot_states{nullptr};
        int32_t *deferred_release_count{nullptr};
        int32_t deferred_release_capacity{0};
        int32_t inline_completed{0};
#else
        int32_t inline_completed{0};
        int32_t inline_resolved{0};
        int32_t error_code{0};
#endif
#if SIMPLER_SCHED_PROFILING
        int32_t thread_idx{0};
#endif

        bool can_inline_complete() const { return sched != nullptr; }
    };

    // Empty and free, whatever the bytes were. While nobody else uses the list; the caller publishes the start.
    void reset_for_reuse() { lanepipe_wait_list_reset(lanepipe_list(), nullptr); }

    // One attempt. Values that are neither 0 nor 1 are free: nobody stores them.
    bool try_lock() {
        int32_t seen = busy.load(std::memory_order_relaxed);
        // [wait_list.L2] Acquire: pairs with [wait_list.L1].
        return seen != 1 && busy.compare_exchange_strong(seen, 1, std::memory_order_acquire, std::memory_order_relaxed);
    }

    // [wait_list.L1] Release: pairs with [wait_list.L2].
    void unlock() { busy.store(0, std::memory_order_release); }

    AsyncWaitEntry *find_entry_by_token(PTO2TaskId token) {
        for (int32_t at = 0; at < count && at < MAX_ASYNC_WAITS; ++at) {
            if (entries[at].task_token == token) {
                return &entries[at];
            }
        }
        return nullptr;
    }

    // Moves messages into the list; gives how far the mailbox's tail has moved.
    int32_t drain_aicore_completion_mailbox_locked(AICoreCompletionMailbox *aicore_mailbox, DrainCompletionSink &sink,
                                                   int32_t &error_code) {
        error_code = 0;
        if (aicore_mailbox == nullptr) {
            if (count < 0 || count > MAX_ASYNC_WAITS) {
                count = 0;
            }
            return 0;
        }
        Draining draining{this, &sink};
        lanepipe_wait_ops_t ops{};
        ops.struct_size = sizeof ops;
        ops.variant = LANEPIPE_COMPAT_VARIANT;
        ops.flags = LANEPIPE_WAIT_COPY_KEEPS_REST;
        ops.context = &draining;
        ops.complete = sink.can_inline_complete() ? Draining::complete : nullptr;
        ops.poll = Draining::poll;
        ops.retire = Draining::retire;
#if !LANEPIPE_COMPAT_URMA
        ops.invalidate = Draining::invalidate;
#endif
        lanepipe_wait_result_t result{};
        result.struct_size = sizeof result;
        lanepipe_wait_list_drain(lanepipe_list(), nullptr, reinterpret_cast<lanepipe_mailbox_t *>(aicore_mailbox), &ops,
                                 nullptr, 0, &result);
        error_code = result.error;
        return result.drained;
    }

    // False, and 103 in `error_code`, if the entry has no room left.
    bool append_condition_locked(AsyncWaitEntry &entry, uint64_t addr, uint64_t backend_cookie, uint32_t expected_value,
                                 AsyncEngine engine, int32_t completion_type, int32_t &error_code) {
        // Any 32 bits may stand in the enumeration.
        uint32_t engine_bits = 0;
        static_assert(sizeof engine == sizeof engine_bits, "layout");
        __builtin_memcpy(&engine_bits, &engine, sizeof engine_bits);
        int32_t error = 0;
        const lanepipe_status_t status =
            lanepipe_wait_list_append(lanepipe_list(), nullptr, &entry, addr, backend_cookie, expected_value,
                                      engine_bits, completion_type, &error);
        if (status != LANEPIPE_OK) {
            error_code = error;
        }
        return status == LANEPIPE_OK;
    }

    // Defined by the scheduler's header.
    bool try_inline_complete_locked(DrainCompletionSink &sink, PTO2TaskSlotState &slot_state);

#if LANEPIPE_COMPAT_RINGBUFFER
    template <bool Profiling>
    AsyncPollResult poll_and_complete(AICoreCompletionMailbox *aicore_mailbox, PTO2SchedulerState *sched,
                                      PTO2TaskSlotState **deferred_release_slot_states, int32_t &deferred_release_count,
                                      int32_t deferred_release_capacity
#if SIMPLER_SCHED_PROFILING
                                      ,
                                      int thread_idx
#endif
    );
#else
    template <bool Profiling>
    AsyncPollResult poll_and_complete(AICoreCompletionMailbox *aicore_mailbox, PTO2SchedulerState *sched
#if SIMPLER_SCHED_PROFILING
                                      ,
                                      int thread_idx
#endif
    );
#endif

    lanepipe_wait_list_t *lanepipe_list() { return reinterpret_cast<lanepipe_wait_list_t *>(this); }

    // What the drain calls back.
    struct Draining {
        AsyncWaitList *list;
        DrainCompletionSink *sink;

        static int32_t complete(void *context, void *slot, int32_t, int32_t *) {
            auto *draining = static_cast<Draining *>(context);
            if (draining->list->try_inline_complete_locked(*draining->sink, *static_cast<PTO2TaskSlotState *>(slot))) {
                return 0;
            }
#if !LANEPIPE_COMPAT_RINGBUFFER
            if (draining->sink->error_code != 0) {
                return draining->sink->error_code;
            }
#endif
            return PTO2_ERROR_ASYNC_REGISTRATION_FAILED;
        }

        static int32_t poll(void *, const void *condition, int32_t *error) {
            const CompletionPollResult result = static_cast<const CompletionCondition *>(condition)->test();
            *error = result.error_code;
            return static_cast<int32_t>(result.state);
        }

        static void retire(void *, void *condition) { static_cast<CompletionCondition *>(condition)->retire(); }

        static void invalidate(void *, uintptr_t line, size_t bytes) {
            cache_invalidate_range(reinterpret_cast<const void *>(line), bytes);
        }
    };
};

static_assert(sizeof(CompletionPollResult) == 8 && sizeof(CompletionBackendOps) == 16, "layout");
static_assert(sizeof(CompletionCondition) == 48 && alignof(CompletionCondition) == 8, "layout");
static_assert(offsetof(CompletionCondition, completion_type) == 4 && offsetof(CompletionCondition, satisfied) == 8 &&
                  offsetof(CompletionCondition, retired) == 9 && offsetof(CompletionCondition, counter_addr) == 16 &&
                  offsetof(CompletionCondition, addr) == 24 && offsetof(CompletionCondition, backend_cookie) == 32 &&
                  offsetof(CompletionCondition, expected_value) == 40,
              "layout");
static_assert(sizeof(AsyncWaitEntry) == 3104 && alignof(AsyncWaitEntry) == 8, "layout");
static_assert(offsetof(AsyncWaitEntry, task_token) == 8 && offsetof(AsyncWaitEntry, conditions) == 16 &&
                  offsetof(AsyncWaitEntry, condition_count) == 3088 &&
                  offsetof(AsyncWaitEntry, waiting_completion_count) == 3092 &&
                  offsetof(AsyncWaitEntry, normal_done) == 3096,
              "layout");
static_assert(sizeof(AsyncWaitList) == 198680 && alignof(AsyncWaitList) == 8, "layout");
static_assert(offsetof(AsyncWaitList, entries) == 8 && offsetof(AsyncWaitList, count) == 198664 &&
                  offsetof(AsyncWaitList, mpsc_skipped_count) == 198672,
              "layout");
static_assert(sizeof(AsyncPollResult) == (LANEPIPE_COMPAT_RINGBUFFER ? 16 : 24), "layout");

#endif // LANEPIPE_COMPAT_MAILBOX_WAIT_LIST_H_
