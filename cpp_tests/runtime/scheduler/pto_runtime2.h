// The runtime object and its start (contract 4.4).
#ifndef PTO_RUNTIME2_H
#define PTO_RUNTIME2_H

#include <atomic>
#include <cstdint>

#include "aicore_completion_mailbox.h"
#include "pto_runtime2_types.h"
#include "pto_scheduler.h"

struct PTO2Runtime {
    AICoreCompletionMailbox *aicore_mailbox;
    PTO2SharedMemoryHeader *shared;
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    PTO2SchedulerState scheduler;
#else
    PTO2SchedulerState *scheduler;
#endif
    std::atomic<bool> ready;
    std::atomic<bool> run_completed;
    std::atomic<int32_t> completed_tasks;
};

inline PTO2SchedulerState &scheduler_of(PTO2Runtime &runtime) {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    return runtime.scheduler;
#else
    return *runtime.scheduler;
#endif
}

// One thread, before any producer or consumer runs.
inline void boot_runtime(PTO2Runtime &runtime, AICoreCompletionMailbox *mailbox, PTO2SharedMemoryHeader *shared
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
                         ,
                         PTO2SchedulerState *scheduler
#endif
) {
    runtime.aicore_mailbox = mailbox;
    runtime.shared = shared;
    runtime.run_completed.store(false, std::memory_order_relaxed);
    runtime.completed_tasks.store(0, std::memory_order_relaxed);
    shared->sched_error_bitmap.store(0, std::memory_order_relaxed);
    shared->sched_error_code.store(PTO2_ERROR_NONE, std::memory_order_relaxed);
    shared->sched_error_thread.store(-1, std::memory_order_relaxed);
    shared->orch_error_code.store(PTO2_ERROR_NONE, std::memory_order_relaxed);
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    runtime.scheduler.reset_for_reuse();
    mailbox->tail.store(mailbox->head.load(std::memory_order_acquire), std::memory_order_release);
#else
    runtime.scheduler = scheduler;
    scheduler->init_queues();
    mailbox->init_empty();
#endif
    runtime.ready.store(true, std::memory_order_release);
}

// The first code stays.
inline void latch_sched_error(PTO2Runtime &runtime, int32_t code, int thread_idx) {
    int32_t expected = PTO2_ERROR_NONE;
    if (runtime.shared->sched_error_code.compare_exchange_strong(expected, code, std::memory_order_acq_rel)) {
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
        runtime.shared->sched_error_thread.store(thread_idx, std::memory_order_relaxed);
        runtime.shared->sched_error_bitmap.fetch_or(1u << thread_idx, std::memory_order_relaxed);
#endif
    }
    (void)thread_idx;
    runtime.run_completed.store(true, std::memory_order_release);
}

// What the host reports: the orchestrator's code before the scheduler's, negated when positive.
inline int32_t run_result(const PTO2SharedMemoryHeader &shared) {
    const int32_t orch = shared.orch_error_code.load(std::memory_order_acquire);
    const int32_t code = orch != 0 ? orch : shared.sched_error_code.load(std::memory_order_acquire);
    return code > 0 ? -code : code;
}

#endif // PTO_RUNTIME2_H
