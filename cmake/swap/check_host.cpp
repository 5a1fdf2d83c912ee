// Compiled into every target that lanepipe_swap() changes: shows that the target's include paths lead to lanepipe's
// headers. Compiles to nothing.
#if __cplusplus < 201703L
#error "lanepipe_swap: the target must be compiled as C++17"
#endif

#include "host/buffer_pool_manager.h"
#ifndef LANEPIPE_SWAPPED_BUFFER_POOL
#error "lanepipe_swap: host/buffer_pool_manager.h is not lanepipe's; another -iquote directory comes first"
#endif

// Defined by lanepipe_swap() if the target swaps PROFILER.
#ifdef SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_
#include "host/profiler_base.h"
#ifndef LANEPIPE_SWAPPED_PROFILER
#error "lanepipe_swap: host/profiler_base.h is not lanepipe's; another -iquote directory comes first"
#endif
#endif
