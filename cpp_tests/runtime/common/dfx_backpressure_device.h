// Words through which the device asks for, and the host opens and closes, the two gates of a subsystem.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_COMMON_DFX_BACKPRESSURE_DEVICE_H_
#define SRC_COMMON_PLATFORM_INCLUDE_COMMON_DFX_BACKPRESSURE_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

struct DfxBackpressureHeader {
    volatile uint32_t rq_freeze_active; // host: push gate closed
    volatile uint32_t rq_contended;     // device sets 1, host clears: a ready queue is full
    volatile uint32_t fq_freeze_active; // host: pop gate closed
    volatile uint32_t fq_contended;     // device sets 1, host clears: a free queue is empty
};

static_assert(sizeof(DfxBackpressureHeader) == 16 && alignof(DfxBackpressureHeader) == 4, "shared with the device");
static_assert(offsetof(DfxBackpressureHeader, rq_contended) == 4, "shared with the device");
static_assert(offsetof(DfxBackpressureHeader, fq_freeze_active) == 8, "shared with the device");
static_assert(offsetof(DfxBackpressureHeader, fq_contended) == 12, "shared with the device");
static_assert(std::is_standard_layout<DfxBackpressureHeader>::value, "shared with the device");

#endif // SRC_COMMON_PLATFORM_INCLUDE_COMMON_DFX_BACKPRESSURE_DEVICE_H_
