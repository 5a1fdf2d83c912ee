// What the headers refuse at compile time: with all values 1 this compiles, with any of them 0 it must not.
#include "host/buffer_pool_manager.h"

struct Module {
    struct DataHeader;
    struct ReadyEntry;
    struct ReadyBufferInfo {
        void *dev_buffer_ptr;
    };
    static constexpr int kBufferKinds = PROBE_KINDS;
    static constexpr int kMaxCollectorThreads = PROBE_SHARDS;
};

profiling_common::SpscRing<int, PROBE_CAPACITY> ring;
profiling_common::BufferPoolManager<Module> manager;
