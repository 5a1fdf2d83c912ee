// The header behind everything it brings along, twice over, with a relax hint of the includer's.
#define SPIN_WAIT_HINT() includers_hint()
static inline void includers_hint() {}

#include "common/platform_config.h"
#include "common/memory_barrier.h"
#include "common/dfx_backpressure_device.h"
#include "aicpu/device_time.h"
#include "common/unified_log.h"

#include "alone_probe.cpp"

#ifndef OUT_OF_ORDER_STORE_BARRIER
#error "common/memory_barrier.h"
#endif
