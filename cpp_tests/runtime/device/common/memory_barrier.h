// The barriers of the runtime, which the suites of the device engine listen to.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_COMMON_MEMORY_BARRIER_H_
#define SRC_COMMON_PLATFORM_INCLUDE_COMMON_MEMORY_BARRIER_H_

#include "platform_hooks.h"

#if defined(__aarch64__)
#define STANDIN_RMB() __asm__ __volatile__("dsb ld" ::: "memory")
#define STANDIN_WMB() __asm__ __volatile__("dsb st" ::: "memory")
#define OUT_OF_ORDER_STORE_BARRIER() __asm__ __volatile__("dmb ishst" ::: "memory")
#else
#define STANDIN_RMB() __asm__ __volatile__("" ::: "memory")
#define STANDIN_WMB() __asm__ __volatile__("" ::: "memory")
#define OUT_OF_ORDER_STORE_BARRIER() __asm__ __volatile__("" ::: "memory")
#endif

#define rmb()                                                                                                          \
    do {                                                                                                               \
        STANDIN_RMB();                                                                                                 \
        platform_hooks::barrier(platform_hooks::Barrier::kRead);                                                       \
    } while (false)
#define wmb()                                                                                                          \
    do {                                                                                                               \
        STANDIN_WMB();                                                                                                 \
        platform_hooks::barrier(platform_hooks::Barrier::kWrite);                                                      \
    } while (false)

#endif // SRC_COMMON_PLATFORM_INCLUDE_COMMON_MEMORY_BARRIER_H_
