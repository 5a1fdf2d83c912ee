// Included by pto_scheduler.h.
#ifndef PTO_SCHEDULER_HOST_BUILD_GRAPH_H
#define PTO_SCHEDULER_HOST_BUILD_GRAPH_H

struct TaskCompletionOutcome {
    uint32_t fanout_edges{0};
    int32_t stream_tasks_completed{0};
    int32_t error_code{0};
};

// What a suite wants to hear of.
struct SchedulerObserver {
    void *context = nullptr;
    void (*completed)(void *context, PTO2TaskSlotState &slot, int thread) = nullptr;
};

struct PTO2SchedulerState {
    static constexpr size_t kQueueBytes = 1856;

    SchedulerObserver observer;
    uint8_t queues[kQueueBytes - sizeof(SchedulerObserver)];
    alignas(64) AsyncWaitList async_wait_list;

    // Writes every queue, and leaves the wait list as the memory was (W21).
    void init_queues() {
        for (uint8_t &byte : queues) {
            byte = 0;
        }
    }

#if SIMPLER_SCHED_PROFILING
    TaskCompletionOutcome complete_task(PTO2TaskSlotState &slot_state, int thread_idx) {
        return complete(slot_state, thread_idx);
    }
#else
    TaskCompletionOutcome complete_task(PTO2TaskSlotState &slot_state) { return complete(slot_state, -1); }
#endif

  private:
    TaskCompletionOutcome complete(PTO2TaskSlotState &slot_state, int thread_idx) {
        TaskCompletionOutcome outcome;
        outcome.stream_tasks_completed = 1;
        if (slot_state.task_kind == PTO2_TASK_GRAPH_NODE) {
            if (slot_state.graph == nullptr) {
                outcome.stream_tasks_completed = 0;
                outcome.error_code = PTO2_ERROR_INVALID_ARGS;
                return outcome;
            }
            const bool last = slot_state.graph->nodes_left.fetch_sub(1, std::memory_order_acq_rel) == 1;
            outcome.stream_tasks_completed = last ? 1 : 0;
        }
        slot_state.task_state.store(PTO2_TASK_COMPLETED, std::memory_order_release);
        if (observer.completed != nullptr) {
            observer.completed(observer.context, slot_state, thread_idx);
        }
        return outcome;
    }
};

inline bool AsyncWaitList::try_inline_complete_locked(DrainCompletionSink &sink, PTO2TaskSlotState &slot_state) {
#if SIMPLER_SCHED_PROFILING
    const TaskCompletionOutcome outcome = sink.sched->complete_task(slot_state, sink.thread_idx);
#else
    const TaskCompletionOutcome outcome = sink.sched->complete_task(slot_state);
#endif
    if (outcome.error_code != PTO2_ERROR_NONE) {
        sink.error_code = outcome.error_code;
        return false;
    }
    sink.inline_completed += outcome.stream_tasks_completed;
    ++sink.inline_resolved;
    return true;
}

template <bool Profiling>
AsyncPollResult AsyncWaitList::poll_and_complete(AICoreCompletionMailbox *aicore_mailbox, PTO2SchedulerState *sched
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
    result.resolved += sink.inline_resolved;

    for (int32_t i = count - 1; i >= 0; --i) {
        AsyncWaitEntry &entry = entries[i];
        uintptr_t invalidated = 0;
        for (int32_t c = 0; c < entry.condition_count; ++c) {
            CompletionCondition &condition = entry.conditions[c];
            if (condition.satisfied) {
                continue;
            }
            if (condition.completion_type == COMPLETION_TYPE_COUNTER && condition.counter_addr != nullptr) {
                const uintptr_t line = mailbox_cache_line(condition.counter_addr);
                if (line != invalidated) {
                    cache_invalidate_range(reinterpret_cast<const void *>(line), PTO2_ALIGN_SIZE);
                    invalidated = line;
                }
            }
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
        const TaskCompletionOutcome outcome = sched->complete_task(*entry.slot_state, thread_idx);
#else
        const TaskCompletionOutcome outcome = sched->complete_task(*entry.slot_state);
#endif
        if (outcome.error_code != PTO2_ERROR_NONE) {
            result.error_code = outcome.error_code;
            result.failed_slot_state = entry.slot_state;
            unlock();
            return result;
        }
        result.completed += outcome.stream_tasks_completed;
        ++result.resolved;
        if (i != count - 1) {
            entry = entries[count - 1];
        }
        --count;
    }
    unlock();
    return result;
}

#endif // PTO_SCHEDULER_HOST_BUILD_GRAPH_H
