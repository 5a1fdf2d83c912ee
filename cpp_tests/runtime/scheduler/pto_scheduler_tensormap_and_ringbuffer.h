// Included by pto_scheduler.h.
#ifndef PTO_SCHEDULER_TENSORMAP_AND_RINGBUFFER_H
#define PTO_SCHEDULER_TENSORMAP_AND_RINGBUFFER_H

struct CompletionStats {
    int32_t fanout_edges;
    int32_t tasks_enqueued;
    int32_t fanin_edges;
    bool mixed_task_completed;
};

// What a suite wants to hear of.
struct SchedulerObserver {
    void *context = nullptr;
    void (*completed)(void *context, PTO2TaskSlotState &slot, int thread) = nullptr;
    void (*released)(void *context, PTO2TaskSlotState &slot, int thread) = nullptr;
};

struct PTO2SchedulerState {
#if STANDIN_ARCH_A5
    static constexpr size_t kQueueBytes = 2304;
#else
    static constexpr size_t kQueueBytes = 2240;
#endif

    SchedulerObserver observer;
    // Stands for a scheduler whose inline completion can fail.
    bool refuse_inline;
    uint8_t queues[kQueueBytes - sizeof(SchedulerObserver) - sizeof(void *)];
    alignas(64) AsyncWaitList async_wait_list;

    void reset_for_reuse() { async_wait_list.reset_for_reuse(); }

#if SIMPLER_SCHED_PROFILING
    CompletionStats on_task_complete(PTO2TaskSlotState &slot_state, int thread_idx) {
        complete(slot_state, thread_idx);
        return CompletionStats{0, 0, 0, true};
    }
    int32_t on_task_release(PTO2TaskSlotState &slot_state, int32_t thread_idx) {
        return release(slot_state, thread_idx);
    }
#else
    uint32_t on_task_complete(PTO2TaskSlotState &slot_state) {
        complete(slot_state, -1);
        return 0;
    }
    int32_t on_task_release(PTO2TaskSlotState &slot_state) { return release(slot_state, -1); }
#endif

  private:
    void complete(PTO2TaskSlotState &slot_state, int thread_idx) {
        slot_state.lifecycle_flags.fetch_or(PTO2TaskSlotState::kCompletionDone, std::memory_order_acq_rel);
        slot_state.task_state.store(PTO2_TASK_COMPLETED, std::memory_order_release);
        if (observer.completed != nullptr) {
            observer.completed(observer.context, slot_state, thread_idx);
        }
    }

    int32_t release(PTO2TaskSlotState &slot_state, int thread_idx) {
        slot_state.task_state.store(PTO2_TASK_CONSUMED, std::memory_order_release);
        if (observer.released != nullptr) {
            observer.released(observer.context, slot_state, thread_idx);
        }
        return 0;
    }
};

// Last in, first out, until the array is empty.
#if SIMPLER_SCHED_PROFILING
inline void release_deferred(PTO2SchedulerState &sched, PTO2TaskSlotState **slots, int32_t &count, int thread_idx) {
    while (count > 0) {
        (void)sched.on_task_release(*slots[--count], thread_idx);
    }
}
#else
inline void release_deferred(PTO2SchedulerState &sched, PTO2TaskSlotState **slots, int32_t &count) {
    while (count > 0) {
        (void)sched.on_task_release(*slots[--count]);
    }
}
#endif

inline bool AsyncWaitList::try_inline_complete_locked(DrainCompletionSink &sink, PTO2TaskSlotState &slot_state) {
    if (sink.sched->refuse_inline) {
        return false;
    }
#if SIMPLER_SCHED_PROFILING
    (void)sink.sched->on_task_complete(slot_state, sink.thread_idx);
#else
    (void)sink.sched->on_task_complete(slot_state);
#endif
    if (*sink.deferred_release_count >= sink.deferred_release_capacity) {
#if SIMPLER_SCHED_PROFILING
        release_deferred(*sink.sched, sink.deferred_release_slot_states, *sink.deferred_release_count, sink.thread_idx);
#else
        release_deferred(*sink.sched, sink.deferred_release_slot_states, *sink.deferred_release_count);
#endif
    }
    sink.deferred_release_slot_states[(*sink.deferred_release_count)++] = &slot_state;
    ++sink.inline_completed;
    return true;
}

template <bool Profiling>
AsyncPollResult AsyncWaitList::poll_and_complete(AICoreCompletionMailbox *aicore_mailbox, PTO2SchedulerState *sched,
                                                 PTO2TaskSlotState **deferred_release_slot_states,
                                                 int32_t &deferred_release_count, int32_t deferred_release_capacity
#if SIMPLER_SCHED_PROFILING
                                                 ,
                                                 int thread_idx
#endif
) {
    AsyncPollResult result;
    if (!try_lock()) {
        return result;
    }
    DrainCompletionSink sink;
    sink.sched = sched;
    sink.deferred_release_slot_states = deferred_release_slot_states;
    sink.deferred_release_count = &deferred_release_count;
    sink.deferred_release_capacity = deferred_release_capacity;
#if SIMPLER_SCHED_PROFILING
    sink.thread_idx = thread_idx;
#endif
    int32_t drain_error = PTO2_ERROR_NONE;
    (void)drain_aicore_completion_mailbox_locked(aicore_mailbox, sink, drain_error);
    if (drain_error != PTO2_ERROR_NONE) {
        result.error_code = drain_error;
        unlock();
        return result;
    }
    result.completed += sink.inline_completed;

    for (int32_t i = count - 1; i >= 0; --i) {
        AsyncWaitEntry &entry = entries[i];
#if !STANDIN_ARCH_A5
        uintptr_t invalidated = 0;
#endif
        for (int32_t c = 0; c < entry.condition_count; ++c) {
            CompletionCondition &condition = entry.conditions[c];
            if (condition.satisfied) {
                continue;
            }
#if !STANDIN_ARCH_A5
            if (condition.completion_type == COMPLETION_TYPE_COUNTER && condition.counter_addr != nullptr) {
                const uintptr_t line = mailbox_cache_line(condition.counter_addr);
                if (line != invalidated) {
                    cache_invalidate_range(reinterpret_cast<const void *>(line), PTO2_ALIGN_SIZE);
                    invalidated = line;
                }
            }
#endif
            const CompletionPollResult poll = condition.test();
            if (poll.state == CompletionPollState::FAILED) {
                result.error_code = poll.error_code;
                result.failed_slot_state = entry.slot_state;
                unlock();
                return result;
            }
            if (poll.state == CompletionPollState::READY) {
                condition.satisfied = true;
                condition.retire();
                --entry.waiting_completion_count;
            }
        }
        if (!entry.normal_done || entry.waiting_completion_count > 0) {
            continue;
        }
#if SIMPLER_SCHED_PROFILING
        (void)sched->on_task_complete(*entry.slot_state, thread_idx);
#else
        (void)sched->on_task_complete(*entry.slot_state);
#endif
        if (deferred_release_count >= deferred_release_capacity) {
#if SIMPLER_SCHED_PROFILING
            release_deferred(*sched, deferred_release_slot_states, deferred_release_count, thread_idx);
#else
            release_deferred(*sched, deferred_release_slot_states, deferred_release_count);
#endif
        }
        deferred_release_slot_states[deferred_release_count++] = entry.slot_state;
        ++result.completed;
        if (i != count - 1) {
            entry = entries[count - 1];
        }
        --count;
    }
    unlock();
    return result;
}

#endif // PTO_SCHEDULER_TENSORMAP_AND_RINGBUFFER_H
