// What the benchmarks share: pinned threads, interleaved repetitions, and the lines that scripts/bench.py reads.
#ifndef LANEPIPE_TESTS_BENCH_BENCH_H_
#define LANEPIPE_TESTS_BENCH_BENCH_H_

#include <lanepipe/lanepipe.h>

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

inline uint64_t now_ns() {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count());
}

// Processor time of the calling thread: what one thread does alone is measured without what others do meanwhile.
inline uint64_t thread_ns() {
    timespec time{};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1000000000U + static_cast<uint64_t>(time.tv_nsec);
}

// A benchmark that does not do what it claims to measure has no figure: it ends with a message and exit code 1.
inline void require(bool holds, const char *what) {
    if (!holds) {
        std::fprintf(stderr, "benchmark: %s\n", what);
        std::exit(1);
    }
}

inline void require_ok(lanepipe_status_t status, const char *what) {
    if (status != LANEPIPE_OK) {
        std::fprintf(stderr, "benchmark: %s: %s\n", what, lanepipe_status_name(status));
        std::exit(1);
    }
}

// Binds the calling thread to one processor. A refusal leaves it unbound, which only makes the figures noisier.
inline void pin(unsigned core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core % std::max(1U, std::thread::hardware_concurrency()), &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#endif
}

// Keeps the compiler from dropping a computation.
template <typename T> void keep(const T &value) { __asm__ __volatile__("" : : "g"(&value) : "memory"); }

// The number in environment variable `name`, `standard` without one.
inline uint64_t setting(const char *name, uint64_t standard) {
    const char *text = std::getenv(name);
    const uint64_t value = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
    return value == 0 ? standard : value;
}

using Samples = std::vector<double>;

inline double median(Samples values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// One way of doing the thing that is measured; `run` gives one sample.
struct Side {
    std::string name;
    std::function<double()> run;
};

// Runs all sides in turns, so that a slow spell of the machine hits all of them, prints their medians, and gives each
// one's samples. The order turns round from one repetition to the next. LANEPIPE_BENCH_REPS sets the number of
// repetitions.
inline std::vector<Samples> interleave(const char *title, const char *unit, const std::vector<Side> &sides) {
    const uint64_t repetitions = setting("LANEPIPE_BENCH_REPS", 11);
    std::vector<Samples> samples(sides.size());
    for (const Side &side : sides) {
        (void)side.run(); // Warms caches and page tables.
    }
    for (uint64_t repetition = 0; repetition < repetitions; ++repetition) {
        for (size_t step = 0; step < sides.size(); ++step) {
            const size_t index = repetition % 2 == 0 ? step : sides.size() - 1 - step;
            samples[index].push_back(sides[index].run());
        }
    }
    for (size_t index = 0; index < sides.size(); ++index) {
        const auto range = std::minmax_element(samples[index].begin(), samples[index].end());
        std::printf("%s: %-34s %10.1f %s (%.1f to %.1f)\n", title, sides[index].name.c_str(), median(samples[index]),
                    unit, *range.first, *range.second);
    }
    return samples;
}

// The median of the ratios within each repetition: the machine's speed changes by more than what is to be told apart.
inline double median_ratio(const Samples &over, const Samples &under) {
    Samples ratios;
    for (size_t repetition = 0; repetition < over.size(); ++repetition) {
        ratios.push_back(over[repetition] / under[repetition]);
    }
    return median(ratios);
}

// Print a comparison for scripts/bench.py, which knows the targets: a ratio above 1 is in lanepipe's favour.
inline void compare_rates(const char *name, double ours, double theirs) {
    std::printf("bench %s %.2f %.2f %.3f\n", name, ours, theirs, ours / theirs);
}

inline void compare_times(const char *name, double ours, double theirs) {
    std::printf("bench %s %.2f %.2f %.3f\n", name, ours, theirs, theirs / ours);
}

// The same of two sides of `interleave`.
inline void compare_rates(const char *name, const Samples &ours, const Samples &theirs) {
    std::printf("bench %s %.2f %.2f %.3f\n", name, median(ours), median(theirs), median_ratio(ours, theirs));
}

inline void compare_times(const char *name, const Samples &ours, const Samples &theirs) {
    std::printf("bench %s %.2f %.2f %.3f\n", name, median(ours), median(theirs), median_ratio(theirs, ours));
}

// Runs `first` on processor 0 and `second` on processor 1, both from one moment on, and gives the seconds from then
// until both have ended.
template <typename First, typename Second> double two_threads(First &&first, Second &&second) {
    std::atomic<unsigned> present{0};
    const auto meet = [&present] {
        present.fetch_add(1);
        while (present.load() < 2) {
            relax();
        }
    };
    uint64_t start = 0;
    std::thread other([&] {
        pin(0);
        meet();
        first();
    });
    std::thread self([&] {
        pin(1);
        meet();
        start = now_ns();
        second();
    });
    other.join();
    self.join();
    return static_cast<double>(now_ns() - start) * 1e-9;
}

// Addresses of buffers that nothing in a benchmark reads through.
inline void *made_up_address(size_t index) {
    return reinterpret_cast<void *>(uintptr_t{0x7000000000} + index * 0x8000);
}

// A pool that ends with its scope.
class Pool {
  public:
    explicit Pool(const lanepipe_pool_config_t &config) {
        lanepipe_error_t error{};
        error.struct_size = sizeof error;
        const lanepipe_status_t status = lanepipe_pool_create(&config, &error, &pool_);
        require_ok(status, error.message);
    }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;
    ~Pool() { (void)lanepipe_pool_destroy(pool_); }

    lanepipe_pool_t *get() const { return pool_; }

    // Tracked buffers at made-up addresses.
    std::vector<lanepipe_buffer_t> tracked(size_t count, uint32_t kind = 0) const {
        std::vector<lanepipe_buffer_t> buffers(count);
        for (size_t index = 0; index < count; ++index) {
            lanepipe_buffer_t &buffer = buffers[index];
            buffer.dev = made_up_address(index);
            buffer.kind = kind;
            require_ok(lanepipe_pool_register(pool_, buffer.dev, buffer.dev, kind, &buffer.id), "register");
        }
        return buffers;
    }

    // Every buffer is in one place after a run, or the figure is that of a broken pool.
    void require_balance() const {
        lanepipe_pool_audit_t audit{};
        audit.struct_size = sizeof audit;
        require_ok(lanepipe_pool_audit(pool_, &audit), "audit");
    }

  private:
    lanepipe_pool_t *pool_ = nullptr;
};

// A geometry of the size that the C++ runtime compiles in.
inline lanepipe_pool_config_t geometry(uint32_t payload_size) {
    lanepipe_pool_config_t config{};
    config.struct_size = sizeof config;
    config.shards = 4;
    config.kinds = 4;
    config.payload_size = payload_size;
    config.ready_capacity = 1024;
    config.done_capacity = 1024;
    config.recycled_capacity = 1024;
    return config;
}

} // namespace bench

#endif // LANEPIPE_TESTS_BENCH_BENCH_H_
