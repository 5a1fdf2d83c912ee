// host/profiler_base.h alone and twice, with everything instantiated that a collector uses. Compiled without RTTI and
// exceptions; never linked.
#include "host/profiler_base.h"
#include "host/profiler_base.h"
#include "host/buffer_pool_manager.h"

#if !defined(SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_) ||                                                     \
    !defined(SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_)
#error "a stray inclusion of the originals would not be inert"
#endif
#if !defined(rmb) || !defined(wmb) || !defined(OUT_OF_ORDER_STORE_BARRIER) || !defined(LOG_ERROR)
#error "users take barriers and log macros from here"
#endif
#ifdef __GLIBCXX__
#if !defined(_GLIBCXX_CSTRING) || !defined(_GLIBCXX_OPTIONAL)
#error "a standard header is missing"
#endif
#endif
static_assert(PLATFORM_MAX_AICPU_THREADS >= 4, "common/platform_config.h");

#include "toy_pipeline.h"

namespace compat_probe {

using Module = toy::Module;
using Manager = profiling_common::BufferPoolManager<Module>;
using Algorithms = profiling_common::ProfilerAlgorithms<Module>;

struct Collector : profiling_common::ProfilerBase<Collector, Module> {
    using Base = profiling_common::ProfilerBase<Collector, Module>;
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "Probe";

    ~Collector() { stop(); }

    void on_buffer_collected(const toy::ReadyInfo &, int) {}

    bool init() {
        profiling_common::InitRollbackGuard<decltype(manager_)> guard(manager_, free_cb_);
        void *host = nullptr;
        guard.add_direct_ptr(alloc_paired_buffer(64, &host));
        guard.commit();
        execution_complete_.store(false, std::memory_order_release);
        return shm_host_ != nullptr && profiling_copy_to_device_or_null() == nullptr;
    }

    void finalise() { release_one_buffer(shm_dev_, nullptr, free_cb_); }
};

} // namespace compat_probe

template class profiling_common::BufferPoolManager<compat_probe::Module>;

uint64_t probe(compat_probe::Collector &collector, toy::Module::DataHeader *header) {
    using namespace compat_probe;
    Manager &manager = collector.manager();
    toy::ReadyEntry entry{};
    collector.set_aicpu_thread_num(2);
    collector.set_memory_context(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0, 0);
    if (collector.init()) {
        collector.start(nullptr);
    }
    collector.stop();
    collector.finalise();
    collector.clear_memory_context();
    if (Algorithms::try_pop_aicpu_entry(manager, header, 0, entry)) {
        Algorithms::process_entry(manager, header, 0, entry);
    }
    Algorithms::update_backpressure_freeze(manager, header, collector.backpressure_release_ready());
    return Algorithms::proactive_replenish(manager, header) + Algorithms::replenish_free_queues(manager, header) +
           Algorithms::replenish_recycled_pools(manager, header);
}
