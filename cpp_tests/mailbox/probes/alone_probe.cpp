// A user that supplies the scheduler's half itself: the two members and the state are left to it (B4).
#include "pto_async_wait.h"

struct PTO2SchedulerState {
    int completed;
};

bool AsyncWaitList::try_inline_complete_locked(DrainCompletionSink &sink, PTO2TaskSlotState &) {
    ++sink.sched->completed;
    return true;
}

template <bool Profiling>
AsyncPollResult AsyncWaitList::poll_and_complete(AICoreCompletionMailbox *aicore_mailbox, PTO2SchedulerState *sched
#if STANDIN_TENSORMAP_AND_RINGBUFFER
                                                 ,
                                                 PTO2TaskSlotState **deferred_release_slot_states,
                                                 int32_t &deferred_release_count, int32_t deferred_release_capacity
#endif
#if SIMPLER_SCHED_PROFILING
                                                 ,
                                                 int thread_idx
#endif
) {
    AsyncPollResult result{};
    DrainCompletionSink sink{};
    sink.sched = sched;
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    sink.deferred_release_slot_states = deferred_release_slot_states;
    sink.deferred_release_count = &deferred_release_count;
    sink.deferred_release_capacity = deferred_release_capacity;
#endif
#if SIMPLER_SCHED_PROFILING
    sink.thread_idx = thread_idx;
#endif
    (void)drain_aicore_completion_mailbox_locked(aicore_mailbox, sink, result.error_code);
    return result;
}

#if STANDIN_TENSORMAP_AND_RINGBUFFER
#if SIMPLER_SCHED_PROFILING
template AsyncPollResult AsyncWaitList::poll_and_complete<false>(AICoreCompletionMailbox *, PTO2SchedulerState *,
                                                                 PTO2TaskSlotState **, int32_t &, int32_t, int);
#else
template AsyncPollResult AsyncWaitList::poll_and_complete<false>(AICoreCompletionMailbox *, PTO2SchedulerState *,
                                                                 PTO2TaskSlotState **, int32_t &, int32_t);
#endif
#else
#if SIMPLER_SCHED_PROFILING
template AsyncPollResult AsyncWaitList::poll_and_complete<false>(AICoreCompletionMailbox *, PTO2SchedulerState *, int);
#else
template AsyncPollResult AsyncWaitList::poll_and_complete<false>(AICoreCompletionMailbox *, PTO2SchedulerState *);
#endif
#endif
