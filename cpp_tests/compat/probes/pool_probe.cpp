// host/buffer_pool_manager.h alone and twice, on an include path whose only facility of the runtime is
// common/unified_log.h. Compiled without RTTI and exceptions; never linked.
#include "host/buffer_pool_manager.h"
#include "host/buffer_pool_manager.h"

#ifndef SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_
#error "a stray inclusion of the original would not be inert"
#endif
#if defined(PLATFORM_MAX_AICPU_THREADS) || defined(rmb) || defined(wmb)
#error "the pool needs no platform header"
#endif
#if !defined(LOG_ERROR) || !defined(LOG_WARN) || !defined(LOG_TIMING) || !defined(LOG_INFO) || !defined(LOG_DEBUG)
#error "users take the log macros from here"
#endif

// Standard headers that users lean on.
#ifdef __GLIBCXX__
#if !defined(_GLIBCXX_ALGORITHM) || !defined(_GLIBCXX_ARRAY) || !defined(_GLIBCXX_ATOMIC) ||                           \
    !defined(_GLIBCXX_CHRONO) || !defined(_GLIBCXX_CONDITION_VARIABLE) || !defined(_GLIBCXX_CSTDDEF) ||                \
    !defined(_GLIBCXX_CSTDINT) || !defined(_GLIBCXX_CSTDLIB) || !defined(_GLIBCXX_FUNCTIONAL) ||                       \
    !defined(_GLIBCXX_NUMERIC_LIMITS) || !defined(_GLIBCXX_MUTEX) || !defined(_GLIBCXX_THREAD) ||                      \
    !defined(_GLIBCXX_TYPE_TRAITS) || !defined(_GLIBCXX_UNORDERED_MAP) || !defined(_GLIBCXX_UNORDERED_SET) ||          \
    !defined(_GLIBCXX_UTILITY) || !defined(_GLIBCXX_VECTOR)
#error "a standard header is missing"
#endif
#endif

namespace compat_probe {

struct Info {
    void *dev_buffer_ptr;
};

// Header and entry types that are named and nothing more.
struct Module {
    struct DataHeader;
    struct ReadyEntry;
    using ReadyBufferInfo = Info;
    static constexpr int kBufferKinds = 1;
};

using Manager = profiling_common::BufferPoolManager<Module>;

// Names of 2.1 that this header declares, none of them twice.
[[maybe_unused]] profiling_common::ThreadFactory factory;
[[maybe_unused]] profiling_common::MemoryOps ops;
[[maybe_unused]] profiling_common::DoneInfo done;
[[maybe_unused]] profiling_common::RetiredPool retired;
static_assert(profiling_common::ProfilerModuleMaxCollectorThreads<Module>::value == 1, "");
static_assert(profiling_common::ProfilerModuleHostQueueCapacity<Module>::value == 1024, "");
static_assert(profiling_common::ProfilerModuleHostPoolQueueCapacity<Module>::value == 1024, "");
static_assert(profiling_common::ProfilerModuleHostRecycledQueueCapacity<Module>::value == 1024, "");

} // namespace compat_probe

// Every member, used or not.
template class profiling_common::SpscRing<void *, 3>;
template class profiling_common::BufferPoolManager<compat_probe::Module>;

int probe(compat_probe::Manager &manager) {
    int released = profiling_common::profiler_module_recycled_warm_target<compat_probe::Module>(0, 1);
    const auto release = [&released](void *) { ++released; };
    manager.release_owned_buffers(release);
    manager.release_all_owned(release);
    return released;
}
