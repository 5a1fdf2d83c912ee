// What kernels are handed (contract 2.6), and the address-space qualifier that only device compilers know.
#ifndef INTRINSIC_H
#define INTRINSIC_H

#include <cstdint>

#include "aicore_completion_mailbox_types.h"
#include "pto_task_id.h"
#include "runtime_variant.h"

#ifndef __gm__
#define __gm__
#endif

struct AsyncCtx {
    volatile __gm__ uint32_t *completion_count;
    volatile __gm__ int32_t *completion_error_code;
    volatile __gm__ DeferredCompletionEntry *completion_entries;
    uint32_t completion_capacity;
    PTO2TaskId task_token;
};

struct LocalContext {
#if STANDIN_ARCH_A5
    int32_t s_block_idx;
    int32_t s_block_num;
#else
    int32_t block_idx;
    int32_t block_num;
#endif
    AsyncCtx async_ctx;
};

// Argument slot in which a kernel finds the address of its LocalContext.
inline constexpr int kLocalContextArg = 48;

#endif // INTRINSIC_H
