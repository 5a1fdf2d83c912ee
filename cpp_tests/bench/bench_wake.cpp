// Wake of a sleeping collector by push_ready, against a bare futex wake: time from the waker's call to the sleeper's
// return.

#include "bench.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using bench::require;

constexpr uint32_t kRounds = 400;
// Long enough for the sleeper to be inside the kernel.
constexpr auto kSettle = std::chrono::microseconds(100);

// `sleep(round)` blocks until `wake(round)`. The sleeper says when it is about to sleep; the waker then lets it settle.
template <typename Sleep, typename Wake> double latency(Sleep &&sleep, Wake &&wake) {
    std::atomic<uint32_t> about_to_sleep{0};
    std::atomic<uint32_t> awake{0};
    std::atomic<uint64_t> sent{0};
    std::vector<double> times;
    times.reserve(kRounds);
    const auto waker = [&] {
        for (uint32_t round = 1; round <= kRounds; ++round) {
            while (about_to_sleep.load(std::memory_order_acquire) != round) {
                std::this_thread::yield();
            }
            std::this_thread::sleep_for(kSettle);
            sent.store(bench::now_ns(), std::memory_order_release);
            wake(round);
            while (awake.load(std::memory_order_acquire) != round) {
                std::this_thread::yield();
            }
        }
    };
    const auto sleeper = [&] {
        for (uint32_t round = 1; round <= kRounds; ++round) {
            about_to_sleep.store(round, std::memory_order_release);
            sleep(round);
            times.push_back(static_cast<double>(bench::now_ns() - sent.load(std::memory_order_acquire)));
            awake.store(round, std::memory_order_release);
        }
    };
    (void)bench::two_threads(waker, sleeper);
    return bench::median(times);
}

double bare() {
    std::atomic<uint32_t> word{0};
    const auto futex = [&word](int operation, uint32_t value) {
        return syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), operation | FUTEX_PRIVATE_FLAG, value, nullptr,
                       nullptr, 0);
    };
    return latency(
        [&](uint32_t round) {
            while (word.load(std::memory_order_acquire) != round) {
                (void)futex(FUTEX_WAIT, round - 1);
            }
        },
        [&](uint32_t round) {
            word.store(round, std::memory_order_release);
            (void)futex(FUTEX_WAKE, 1);
        });
}

double pool_wake(const bench::Pool &pool, const lanepipe_buffer_t &buffer, uint64_t timeout_ns) {
    return latency(
        [&](uint32_t) {
            lanepipe_buffer_t taken{};
            uint64_t payload[4];
            size_t count = 0;
            lanepipe_status_t status;
            do {
                status = lanepipe_pool_wait_pop_ready(pool.get(), 0, &taken, payload, 1, timeout_ns, &count);
            } while (status == LANEPIPE_TIMED_OUT);
            require(status == LANEPIPE_OK && taken.dev == buffer.dev, "wait_pop_ready");
        },
        [&](uint32_t round) {
            const uint64_t payload[4] = {round, 0, 0, 0};
            size_t pushed = 0;
            bench::require_ok(lanepipe_pool_push_ready(pool.get(), 0, &buffer, payload, 1, &pushed), "push_ready");
        });
}

} // namespace

int main() {
    const bench::Pool pool(bench::geometry(32));
    const std::vector<lanepipe_buffer_t> buffers = pool.tracked(1);
    constexpr uint64_t kLimit = 100000000;
    const std::vector<bench::Samples> times = bench::interleave(
        "wake", "ns",
        {
            {"wait_pop_ready, no time limit", [&] { return pool_wake(pool, buffers[0], LANEPIPE_FOREVER); }},
            {"wait_pop_ready, 100 ms", [&] { return pool_wake(pool, buffers[0], kLimit); }},
            {"bare futex", bare},
        });
    pool.require_balance();
    bench::compare_times("capi_wake_ns", times[0], times[2]);
    bench::compare_times("capi_wake_timed_ns", times[1], times[2]);
    return 0;
}
