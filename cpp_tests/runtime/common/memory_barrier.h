// Barriers of the runtime. On aarch64 the other side may be device memory, which `dmb` alone does not cover for
// completion, hence `dsb` for rmb and wmb; elsewhere the hardware order is strong enough and only the compiler is held.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_COMMON_MEMORY_BARRIER_H_
#define SRC_COMMON_PLATFORM_INCLUDE_COMMON_MEMORY_BARRIER_H_

#if defined(__aarch64__)
#define rmb() __asm__ __volatile__("dsb ld" ::: "memory")
#define wmb() __asm__ __volatile__("dsb st" ::: "memory")
#define OUT_OF_ORDER_STORE_BARRIER() __asm__ __volatile__("dmb ishst" ::: "memory")
#else
#define rmb() __asm__ __volatile__("" ::: "memory")
#define wmb() __asm__ __volatile__("" ::: "memory")
#define OUT_OF_ORDER_STORE_BARRIER() __asm__ __volatile__("" ::: "memory")
#endif

#endif // SRC_COMMON_PLATFORM_INCLUDE_COMMON_MEMORY_BARRIER_H_
