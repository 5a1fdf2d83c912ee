// Memory of a mailbox, and rounds in which several producers push at once.
#ifndef LANEPIPE_TESTS_BENCH_MAILBOX_MAILBOX_H_
#define LANEPIPE_TESTS_BENCH_MAILBOX_MAILBOX_H_

#include "bench/bench.h"
#include "bench/mailbox/side.h"

#include <cstring>
#include <memory>

namespace bench_mailbox {

class Memory {
  public:
    Memory() : bytes_(std::make_unique<unsigned char[]>(kSize + 63)) {}

    void *get() const {
        return reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(bytes_.get()) + 63) & ~uintptr_t{63});
    }
    lanepipe_mailbox_t *handle() const { return static_cast<lanepipe_mailbox_t *>(get()); }
    void fill(int byte) const { std::memset(get(), byte, kSize); }

  private:
    std::unique_ptr<unsigned char[]> bytes_;
};

// One way of pushing: `messages` messages, a multiple of kConditions + 1, none of which may be refused for good.
using Push = std::function<void(const Memory &, uint64_t token, uint64_t messages)>;

inline uint64_t share_of(unsigned producers) { return kCapacity / producers / (kConditions + 1) * (kConditions + 1); }

inline uint64_t rounds() { return bench::setting("LANEPIPE_BENCH_ROUNDS", 300); }

// Pops `messages` messages, the same way for every way of pushing.
inline void pop_all(const Memory &memory, uint64_t messages) {
    static lanepipe_message_t place[256];
    for (uint64_t popped = 0; popped < messages;) {
        uint32_t taken = 0;
        if (lanepipe_mailbox_pop_batch(memory.handle(), place, sizeof place / sizeof *place, &taken) == LANEPIPE_OK) {
            popped += taken;
        } else {
            std::this_thread::yield();
        }
    }
}

// Nanoseconds per message with `producers` threads that push a ring's worth between them, all from one moment on, and
// nobody who pops meanwhile; the median of many rounds, so that a thread that is put off spoils one of them.
inline double burst(const Memory &memory, unsigned producers, const Push &push) {
    const uint64_t share = share_of(producers);
    std::atomic<unsigned> present{0};
    std::atomic<unsigned> pushed{0};
    std::atomic<uint64_t> started{0};
    std::atomic<uint64_t> ended{0};
    uint64_t start = 0;
    std::vector<double> times;
    const auto until = [](const std::atomic<uint64_t> &round, uint64_t mine) {
        for (unsigned spins = 0; round.load(std::memory_order_acquire) < mine; ++spins) {
            spins < 1000 ? bench::relax() : std::this_thread::yield();
        }
    };
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            bench::pin(producer);
            for (uint64_t mine = 1; mine <= rounds(); ++mine) {
                if (present.fetch_add(1, std::memory_order_acq_rel) + 1 == producers) {
                    present.store(0, std::memory_order_relaxed);
                    start = bench::now_ns();
                    started.store(mine, std::memory_order_release);
                } else {
                    until(started, mine);
                }
                push(memory, uint64_t{producer} << 32, share);
                if (pushed.fetch_add(1, std::memory_order_acq_rel) + 1 == producers) {
                    times.push_back(static_cast<double>(bench::now_ns() - start) /
                                    static_cast<double>(share * producers));
                    pushed.store(0, std::memory_order_relaxed);
                    pop_all(memory, share * producers);
                    ended.store(mine, std::memory_order_release);
                } else {
                    until(ended, mine);
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    return bench::median(times);
}

// The same while one more thread pops what is there.
inline double stream(const Memory &memory, unsigned producers, const Push &push) {
    const uint64_t share = share_of(producers);
    std::atomic<uint64_t> round{0};
    std::atomic<unsigned> pushed{0};
    std::atomic<uint64_t> end{0};
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            bench::pin(producer + 1);
            for (uint64_t mine = 1; mine <= rounds(); ++mine) {
                while (round.load(std::memory_order_acquire) < mine) {
                    std::this_thread::yield();
                }
                push(memory, uint64_t{producer} << 32, share);
                if (pushed.fetch_add(1, std::memory_order_acq_rel) + 1 == producers) {
                    end.store(bench::now_ns(), std::memory_order_release);
                }
            }
        });
    }
    bench::pin(0);
    std::vector<double> times;
    for (uint64_t mine = 1; mine <= rounds(); ++mine) {
        pushed.store(0, std::memory_order_relaxed);
        end.store(0, std::memory_order_relaxed);
        const uint64_t start = bench::now_ns();
        round.store(mine, std::memory_order_release);
        pop_all(memory, share * producers);
        while (end.load(std::memory_order_acquire) == 0) {
            std::this_thread::yield();
        }
        times.push_back(static_cast<double>(end.load() - start) / static_cast<double>(share * producers));
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    return bench::median(times);
}

} // namespace bench_mailbox

#endif // LANEPIPE_TESTS_BENCH_MAILBOX_MAILBOX_H_
