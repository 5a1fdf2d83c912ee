// pto_async_wait.h alone and twice: what it supplies without anything before it (B3).
#include "pto_async_wait.h"
#include "pto_async_wait.h"

static_assert(sizeof(AsyncWaitList) == 198680, "list");
static_assert(sizeof(std::size_t) == 8 && sizeof(LocalContext) == 48, "intrinsic.h");
static_assert(PTO2_ERROR_ASYNC_REGISTRATION_FAILED == 103, "pto_runtime_status.h");
#if STANDIN_TENSORMAP_AND_RINGBUFFER
static_assert(sizeof(AsyncWaitList::DrainCompletionSink) == (SIMPLER_SCHED_PROFILING ? 40 : 32), "profiling_config.h");
#else
static_assert(sizeof(AsyncWaitList::DrainCompletionSink) == 24, "profiling_config.h");
#endif

PTO2SchedulerState *sched_of(AsyncWaitList::DrainCompletionSink &sink) { return sink.sched; }
CompletionStats *nothing() { return nullptr; }
CompletionPollResult test(const CompletionCondition &condition) { return condition.test(); }
CompletionPollResult record(uint64_t addr) { return poll_sdma_post_done_record(addr, 1); }
void invalidate(const void *addr) { cache_invalidate_range(addr, PTO2_ALIGN_SIZE); }
#ifdef COMPLETION_TYPE_URMA_EVENT_HANDLE
uint64_t handle() { return pto2::urma_backend::encode_urma_event_handle(1, 2); }
#endif
