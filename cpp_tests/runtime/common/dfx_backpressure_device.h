// Words through which the device asks for, and the host opens and closes, the two gates of a subsystem, and how the
// device waits at them.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_COMMON_DFX_BACKPRESSURE_DEVICE_H_
#define SRC_COMMON_PLATFORM_INCLUDE_COMMON_DFX_BACKPRESSURE_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "aicpu/device_time.h"
#include "common/memory_barrier.h"

// Who included a definition before keeps it.
#if !defined(SPIN_WAIT_HINT) && defined(__has_include)
#if __has_include("spin_hint.h")
#include "spin_hint.h"
#endif
#endif
#ifndef SPIN_WAIT_HINT
#define SPIN_WAIT_HINT() ((void)0)
#endif

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

namespace dfx_backpressure {

// Parks while the push gate is closed; false once `timeout_cycles` have passed. Without a header there is no gate.
template <typename Header> inline bool push_freeze_barrier(const Header *header, uint64_t timeout_cycles) {
    if (header == nullptr) {
        return true;
    }
    const uint64_t start = get_sys_cnt_aicpu();
    while (header->backpressure.rq_freeze_active != 0) {
        if (get_sys_cnt_aicpu() - start >= timeout_cycles) {
            return false;
        }
        SPIN_WAIT_HINT();
    }
    rmb();
    return true;
}

// The same at the pop gate.
template <typename Header> inline bool pop_freeze_barrier(const Header *header, uint64_t timeout_cycles) {
    if (header == nullptr) {
        return true;
    }
    const uint64_t start = get_sys_cnt_aicpu();
    while (header->backpressure.fq_freeze_active != 0) {
        if (get_sys_cnt_aicpu() - start >= timeout_cycles) {
            return false;
        }
        SPIN_WAIT_HINT();
    }
    rmb();
    return true;
}

template <typename Header> inline void mark_rq_contended(Header *header, bool *signalled) {
    if (!*signalled && header != nullptr) {
        header->backpressure.rq_contended = 1;
        *signalled = true;
    }
}

template <typename Header> inline void mark_fq_contended(Header *header, bool *signalled) {
    if (!*signalled && header != nullptr) {
        header->backpressure.fq_contended = 1;
        *signalled = true;
    }
}

// Until the host has taken the signal and has released the freeze. `wait_start` is the caller's, so that several waits
// can share one budget.
template <typename Header>
inline bool wait_for_release(const Header *header, uint64_t wait_start, uint64_t timeout_cycles) {
    if (header == nullptr) {
        return true;
    }
    while (header->backpressure.fq_contended != 0 || header->backpressure.fq_freeze_active != 0) {
        if (get_sys_cnt_aicpu() - wait_start >= timeout_cycles) {
            return false;
        }
        SPIN_WAIT_HINT();
    }
    rmb();
    return true;
}

} // namespace dfx_backpressure

#endif // SRC_COMMON_PLATFORM_INCLUDE_COMMON_DFX_BACKPRESSURE_DEVICE_H_
