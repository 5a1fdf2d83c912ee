// "host/profiler_base.h" of a target that swaps PROFILER: with -iquote on include/lanepipe/swap/profiler it is found
// before any -I is looked at. LANEPIPE_SWAPPED_PROFILER tells that lanepipe's header is the one in use.
#ifndef LANEPIPE_SWAPPED_PROFILER
#define LANEPIPE_SWAPPED_PROFILER

// As in the header of the pool, which has to be lanepipe's too.
#if defined(SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_)
#if SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_ + 0 != 1
#error "lanepipe: the C++ runtime's own host/profiler_base.h was included first"
#endif
#undef SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_
#endif

#include "host/buffer_pool_manager.h"
#ifndef LANEPIPE_SWAPPED_BUFFER_POOL
#error "lanepipe: host/profiler_base.h is lanepipe's, host/buffer_pool_manager.h is not; swap both"
#endif

#include <lanepipe/compat/host/profiler_base.h>

#endif // LANEPIPE_SWAPPED_PROFILER
