// What a scheduler thread does about one ended subtask, and its poll of the wait list (contract 4.1 to 4.3).
#ifndef SCHEDULER_LOOP_H
#define SCHEDULER_LOOP_H

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "aicore_completion_mailbox.h"
#include "pto_async_wait.h"
#include "pto_runtime2.h"

#ifndef SPIN_WAIT_HINT
#define SPIN_WAIT_HINT() std::this_thread::yield()
#endif

inline bool on_subtask_complete(PTO2TaskSlotState &slot_state) {
    const int16_t before = slot_state.completed_subtasks.fetch_add(1, std::memory_order_acq_rel);
    return before + 1 == slot_state.total_required_subtasks;
}

#if STANDIN_TENSORMAP_AND_RINGBUFFER

// Slots that one thread has completed and not yet released.
struct DeferredReleases {
    static constexpr int32_t kCapacity = 256;
    PTO2TaskSlotState *slots[kCapacity];
    int32_t count = 0;
};

#else

// Finished tasks on their way from one thread to P: one producer, one consumer.
struct FinishedQueue {
    static constexpr uint32_t kCapacity = 1024;
    PTO2TaskSlotState *slots[kCapacity];
    std::atomic<uint32_t> pushed{0};
    std::atomic<uint32_t> popped{0};

    bool push(PTO2TaskSlotState &slot_state) {
        const uint32_t at = pushed.load(std::memory_order_relaxed);
        if (at - popped.load(std::memory_order_acquire) >= kCapacity) {
            return false;
        }
        slots[at % kCapacity] = &slot_state;
        pushed.store(at + 1, std::memory_order_release);
        return true;
    }
    PTO2TaskSlotState *pop() {
        const uint32_t at = popped.load(std::memory_order_relaxed);
        if (at == pushed.load(std::memory_order_acquire)) {
            return nullptr;
        }
        PTO2TaskSlotState *const slot_state = slots[at % kCapacity];
        popped.store(at + 1, std::memory_order_release);
        return slot_state;
    }
};

#endif

// The subtask has ended, and the register read that said so was followed by a load barrier.
inline void complete_slot_task(PTO2Runtime *runtime, PTO2TaskSlotState &slot_state, DeferredCompletionSlab *slab,
                               int thread_idx,
#if STANDIN_TENSORMAP_AND_RINGBUFFER
                               int32_t &completed_this_turn, PTO2TaskSlotState *deferred_release_slot_states[],
                               int32_t &deferred_release_count
#else
                               FinishedQueue &finished
#endif
) {
    AICoreCompletionMailbox *const mailbox = runtime != nullptr ? runtime->aicore_mailbox : nullptr;
    if (slot_state.payload != nullptr) {
        const int32_t slab_error = slab->error_code;
        const uint32_t conditions = slab->count;
        if (slab_error != PTO2_ERROR_NONE) {
            latch_sched_error(*runtime, slab_error, thread_idx);
            return;
        }
        if (conditions > static_cast<uint32_t>(MAX_COMPLETIONS_PER_TASK)) {
            latch_sched_error(*runtime, PTO2_ERROR_ASYNC_REGISTRATION_FAILED, thread_idx);
            return;
        }
        if (conditions > 0) {
            slot_state.mark_any_subtask_deferred();
            for (uint32_t i = 0; i < conditions; ++i) {
                const volatile DeferredCompletionEntry &entry = slab->entries[i];
                while (!mailbox->try_push_condition(slot_state.task->task_id, entry.addr, entry.backend_cookie,
                                                    entry.expected_value, entry.engine, entry.completion_type)) {
                    scheduler_of(*runtime).async_wait_list.mpsc_skipped_count.fetch_add(1, std::memory_order_relaxed);
                    SPIN_WAIT_HINT();
                }
            }
            slab->count = 0;
        }
    }
    if (!on_subtask_complete(slot_state)) {
        return;
    }
    if (slot_state.payload != nullptr && slot_state.has_any_subtask_deferred()) {
        while (!mailbox->try_push_normal_done(slot_state.task->task_id,
                                              static_cast<uint64_t>(reinterpret_cast<uintptr_t>(&slot_state)))) {
            scheduler_of(*runtime).async_wait_list.mpsc_skipped_count.fetch_add(1, std::memory_order_relaxed);
            SPIN_WAIT_HINT();
        }
        return;
    }
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    PTO2SchedulerState &scheduler = scheduler_of(*runtime);
#if SIMPLER_SCHED_PROFILING
    (void)scheduler.on_task_complete(slot_state, thread_idx);
#else
    (void)scheduler.on_task_complete(slot_state);
#endif
    if (deferred_release_count >= DeferredReleases::kCapacity) {
#if SIMPLER_SCHED_PROFILING
        release_deferred(scheduler, deferred_release_slot_states, deferred_release_count, thread_idx);
#else
        release_deferred(scheduler, deferred_release_slot_states, deferred_release_count);
#endif
    }
    deferred_release_slot_states[deferred_release_count++] = &slot_state;
    ++completed_this_turn;
#else
    while (!finished.push(slot_state)) {
        SPIN_WAIT_HINT();
    }
#endif
}

// Read without the lock, on each iteration of the loop.
inline bool async_poll_is_due(PTO2Runtime *runtime) {
    return runtime != nullptr && runtime->aicore_mailbox != nullptr &&
           (scheduler_of(*runtime).async_wait_list.count > 0 || runtime->aicore_mailbox->has_pending());
}

#endif // SCHEDULER_LOOP_H
