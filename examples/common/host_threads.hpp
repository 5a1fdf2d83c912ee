// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Threads of the pipeline, with what each has cost when it ends.
#ifndef DEMO_HOST_THREADS_HPP_
#define DEMO_HOST_THREADS_HPP_

#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

#include "lanepipe/lanepipe.hpp"

#include "clock.hpp"

namespace demo {

inline constexpr std::array<const char *, 4> kRoleNames = {"sentinel", "drain", "replenish", "collect"};
static_assert(LANEPIPE_ROLE_SENTINEL == 0 && LANEPIPE_ROLE_DRAIN == 1 && LANEPIPE_ROLE_REPLENISH == 2 &&
              LANEPIPE_ROLE_COLLECT == 3);

struct ThreadUsage {
    uint32_t role = 0;
    uint32_t index = 0;
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;
    uint64_t cpu_ns = 0;
    uint64_t voluntary_switches = 0;
    uint64_t involuntary_switches = 0;
};

class ThreadUsages {
  public:
    void add(const ThreadUsage &usage) {
        const std::lock_guard<std::mutex> lock(mutex_);
        usages_.push_back(usage);
    }

    // After all threads are gone.
    const std::vector<ThreadUsage> &all() const { return usages_; }

  private:
    std::mutex mutex_;
    std::vector<ThreadUsage> usages_;
};

// Wraps the body of each thread. A real host would bind its device context here.
struct Measure {
    ThreadUsages *usages = nullptr;

    template <typename Body> void operator()(uint32_t role, uint32_t index, Body &&body) const {
        ThreadUsage usage;
        usage.role = role;
        usage.index = index;
        usage.begin_ns = now_ns();
        body();
        usage.end_ns = now_ns();
        usage.cpu_ns = thread_cpu_ns();
#if defined(RUSAGE_THREAD)
        rusage spent{};
        getrusage(RUSAGE_THREAD, &spent);
        usage.voluntary_switches = static_cast<uint64_t>(spent.ru_nvcsw);
        usage.involuntary_switches = static_cast<uint64_t>(spent.ru_nivcsw);
#endif
        usages->add(usage);
    }
};

using HostThreads = lanepipe::BasicThreadFactory<Measure>;

} // namespace demo

#endif // DEMO_HOST_THREADS_HPP_
