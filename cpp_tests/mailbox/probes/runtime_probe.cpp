// The runtime's own order of inclusion: types first, then the scheduler, then its loop.
#include "pto_runtime2_types.h"
#include "pto_async_kernel_api.h"
#include "scheduler_loop.h"

static_assert(sizeof(AICoreCompletionMailbox) == 262272, "ring");
#if STANDIN_TENSORMAP_AND_RINGBUFFER
static_assert(offsetof(PTO2SchedulerState, async_wait_list) == (STANDIN_ARCH_A5 ? 2304 : 2240), "list");
#else
static_assert(offsetof(PTO2SchedulerState, async_wait_list) == 1856, "list");
#endif
