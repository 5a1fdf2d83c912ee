// The part of the slab's declarations that all variants share (contract 2.1, 2.6).
#ifndef STANDIN_COMPLETION_SLAB_H_
#define STANDIN_COMPLETION_SLAB_H_

#include <cstdint>

#define COMPLETION_ENGINE_SDMA 0u
#define COMPLETION_ENGINE_ROCE 1u
#define COMPLETION_ENGINE_URMA 2u
#define COMPLETION_ENGINE_CCU 3u

#define COMPLETION_TYPE_COUNTER 0
#define COMPLETION_TYPE_SDMA_EVENT_RECORD 1

inline constexpr int32_t MAX_COMPLETIONS_PER_TASK = 64;

struct DeferredCompletionEntry {
    uint64_t addr;
    uint64_t backend_cookie;
    uint32_t expected_value;
    uint32_t engine;
    int32_t completion_type;
    uint32_t _pad;
};

struct alignas(64) DeferredCompletionSlab {
    volatile uint32_t count;
    volatile int32_t error_code;
    DeferredCompletionEntry entries[MAX_COMPLETIONS_PER_TASK];
};

#endif // STANDIN_COMPLETION_SLAB_H_
