// Compiled into every target that swaps DEVICE_ENGINE: shows that the target's include paths lead to lanepipe's header.
// Compiles to nothing.
#if __cplusplus < 201703L
#error "lanepipe_swap: the target must be compiled as C++17"
#endif

#include "aicpu/profiler_device_engine.h"
#ifndef LANEPIPE_SWAPPED_DEVICE_ENGINE
#error "lanepipe_swap: aicpu/profiler_device_engine.h is not lanepipe's; another -iquote directory comes first"
#endif
