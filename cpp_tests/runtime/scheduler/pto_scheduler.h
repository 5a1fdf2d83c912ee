// The scheduler, as far as deferred completion goes through it: completion and release of a task, and the two members
// of the wait list that are defined outside the list's own header (contract 3.4, 3.6, 4.3).
#ifndef PTO_SCHEDULER_H
#define PTO_SCHEDULER_H

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pto_async_wait.h"
#include "pto_runtime2_types.h"

#if STANDIN_TENSORMAP_AND_RINGBUFFER
#include "pto_scheduler_tensormap_and_ringbuffer.h"
#else
#include "pto_scheduler_host_build_graph.h"
#endif

#endif // PTO_SCHEDULER_H
