// What a kernel registers, and what a poll of it gives (contract 2.6, 2.7).
#ifndef PTO_COMPLETION_TOKEN_H
#define PTO_COMPLETION_TOKEN_H

#include <cstdint>

struct CompletionToken {
    uint64_t addr;
    uint32_t expected_value;
    uint32_t engine;
    int32_t completion_type;
    uint64_t backend_cookie;
};

enum class CompletionPollState : uint8_t { PENDING = 0, READY = 1, FAILED = 2 };

struct CompletionPollResult {
    CompletionPollState state{CompletionPollState::PENDING};
    int32_t error_code{0};
};

#endif // PTO_COMPLETION_TOKEN_H
