// "aicpu/profiler_device_engine.h" of a target that swaps DEVICE_ENGINE: with -iquote on
// include/lanepipe/swap/device_engine it is found before any -I is looked at. LANEPIPE_SWAPPED_DEVICE_ENGINE tells that
// lanepipe's header is the one in use.
#ifndef LANEPIPE_SWAPPED_DEVICE_ENGINE
#define LANEPIPE_SWAPPED_DEVICE_ENGINE

#include <lanepipe/compat/aicpu/profiler_device_engine.h>

#ifndef LANEPIPE_COMPAT_DEVICE_ENGINE_H_
#error "lanepipe: the C++ runtime's own aicpu/profiler_device_engine.h was included first"
#endif

#endif // LANEPIPE_SWAPPED_DEVICE_ENGINE
