// The reference pool with the geometry of bench::geometry(32), and a ready element of the same size: address, kind, id
// and 32 bytes of payload.
#ifndef LANEPIPE_TESTS_BENCH_REFERENCE_MODULE_H_
#define LANEPIPE_TESTS_BENCH_REFERENCE_MODULE_H_

#include "host/buffer_pool_manager.h"

#include <cstddef>
#include <cstdint>

namespace bench {

struct Payload {
    uint64_t words[4];
};

struct ReferenceModule {
    struct ReadyBufferInfo {
        void *dev_buffer_ptr;
        uint32_t kind;
        uint32_t id;
        Payload payload;
    };
    static constexpr int kBufferKinds = 4;
    static constexpr int kMaxCollectorThreads = 4;
    static constexpr size_t kReadyQueueSize = 1024;
    static constexpr size_t kHostPoolQueueSize = 1024;
};

using ReferencePool = profiling_common::BufferPoolManager<ReferenceModule>;
using ReferenceItem = ReferenceModule::ReadyBufferInfo;

} // namespace bench

#endif // LANEPIPE_TESTS_BENCH_REFERENCE_MODULE_H_
