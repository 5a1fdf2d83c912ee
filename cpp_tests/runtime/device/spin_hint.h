// The relax hint that the suites of the device engine listen to.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_AICPU_SPIN_HINT_H_
#define SRC_COMMON_PLATFORM_INCLUDE_AICPU_SPIN_HINT_H_

#include "platform_hooks.h"

#define PLATFORM_SCHEDULER_TIMEOUT_MS 10000

#define SPIN_WAIT_HINT() platform_hooks::hint()

#endif // SRC_COMMON_PLATFORM_INCLUDE_AICPU_SPIN_HINT_H_
