// Host ready rings (contract 2.5.2). Waits end on what the other side does, never on how long something takes; where a
// lost wake-up is what a case looks for, it would cost far more than the whole case otherwise lasts.
#include "support.h"

#include <time.h>

#include <memory>
#include <random>

using namespace profiling_common;
using namespace compat;
using std::chrono::milliseconds;

namespace {

using Clock = std::chrono::steady_clock;
using Manager = BufferPoolManager<OddModule>;
constexpr uint64_t kCapacity = Manager::kReadyQueueCapacity;
constexpr milliseconds kHour{3600 * 1000};

class Ready : public LogTest {
  protected:
    ReadyInfo numbered(uint64_t sequence) { return info(fake(sequence + 1), sequence); }

    // Pops without waiting; -1 if there is nothing.
    int64_t next(int shard = 0) {
        ReadyInfo out{};
        return manager.try_pop_ready(out, shard) ? static_cast<int64_t>(out.sequence) : -1;
    }

    Manager manager;
};

TEST_F(Ready, EachRingIsExactAndFirstInFirstOut) {
    for (int shard = 0; shard < 4; ++shard) {
        // More rounds than any power-of-two storage has slots.
        for (uint64_t round = 0; round < 9; ++round) {
            for (uint64_t i = 0; i < kCapacity; ++i) {
                ASSERT_TRUE(manager.push_to_ready(numbered(10 * round + i), shard));
            }
            for (uint64_t i = 0; i < kCapacity; ++i) {
                ASSERT_EQ(next(shard), static_cast<int64_t>(10 * round + i));
            }
            ASSERT_EQ(next(shard), -1);
            // One step on, so that the next round begins elsewhere.
            ASSERT_TRUE(manager.push_to_ready(numbered(9), shard));
            ASSERT_EQ(next(shard), 9);
        }
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Ready, AFullRingRefusesWithAnErrorAndStoresNothing) {
    for (uint64_t i = 0; i < kCapacity; ++i) {
        ASSERT_TRUE(manager.push_to_ready(numbered(i), 2));
    }
    expect_logged(Level::kError, "ready ring full", [this] { EXPECT_FALSE(manager.push_to_ready(numbered(99), 2)); });
    EXPECT_FALSE(manager.push_to_ready(numbered(98), 2));
    // Other shards have room, and this one has again after a pop.
    EXPECT_TRUE(manager.push_to_ready(numbered(50), 1));
    EXPECT_EQ(next(2), 0);
    EXPECT_TRUE(manager.push_to_ready(numbered(kCapacity), 2));
    for (uint64_t i = 1; i <= kCapacity; ++i) {
        EXPECT_EQ(next(2), static_cast<int64_t>(i));
    }
    EXPECT_EQ(next(2), -1);
    EXPECT_EQ(next(1), 50);
}

TEST_F(Ready, EmptyRingsGiveNothingAndLeaveTheOutputAlone) {
    manager.push_to_ready(numbered(1), 1);
    ReadyInfo out = numbered(77);
    EXPECT_FALSE(manager.try_pop_ready(out, 0));
    EXPECT_FALSE(manager.wait_pop_ready(out, milliseconds(0), 0));
    EXPECT_FALSE(manager.wait_pop_ready(out, milliseconds(-1), 0));
    EXPECT_FALSE(manager.wait_pop_ready(out, milliseconds::min(), 0));
    EXPECT_FALSE(manager.wait_pop_ready(out, milliseconds(3), 0));
    EXPECT_EQ(out.sequence, 77u);
    EXPECT_EQ(out.dev_buffer_ptr, fake(78));
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Ready, WaitingTakesWhatIsThereWhateverTheTimeout) {
    for (const milliseconds timeout :
         {milliseconds(0), milliseconds(-5), milliseconds::min(), milliseconds(1), kHour, milliseconds::max()}) {
        manager.push_to_ready(numbered(5), 3);
        ReadyInfo out{};
        ASSERT_TRUE(manager.wait_pop_ready(out, timeout, 3)) << timeout.count();
        ASSERT_EQ(out.sequence, 5u);
    }
}

// Without a bound in the callee a consumer would see an item of another shard, or sleep on although its own came.
TEST_F(Ready, OnlyTheOwnShardEndsAWait) {
    for (const milliseconds timeout : {kHour, milliseconds::max()}) {
        std::atomic<uint64_t> got{0};
        std::thread consumer([this, timeout, &got] {
            ReadyInfo out{};
            if (manager.wait_pop_ready(out, timeout, 1)) {
                got = out.sequence;
            }
        });
        for (int i = 0; i < 20; ++i) {
            manager.push_to_ready(numbered(3), 2);
            std::this_thread::sleep_for(milliseconds(1));
            EXPECT_EQ(next(2), 3);
            EXPECT_EQ(got, 0u);
        }
        manager.push_to_ready(numbered(4), 1);
        consumer.join();
        EXPECT_EQ(got, 4u);
    }
}

TEST_F(Ready, AnEmptyWaitEndsFalse) {
    ReadyInfo out{};
    const auto start = Clock::now();
    EXPECT_FALSE(manager.wait_pop_ready(out, milliseconds(30), 0));
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(20));
}

// Blocking push.

TEST_F(Ready, ABlockingPushWithRoomStoresAtOnce) {
    for (uint64_t i = 0; i < kCapacity; ++i) {
        manager.wait_push_to_ready(numbered(i), 2);
    }
    for (uint64_t i = 0; i < kCapacity; ++i) {
        EXPECT_EQ(next(2), static_cast<int64_t>(i));
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

enum class Taking { kTry, kWait };

class BlockedPush : public Ready, public ::testing::WithParamInterface<Taking> {
  protected:
    uint64_t take(int shard) {
        ReadyInfo out{};
        const bool taken =
            GetParam() == Taking::kTry ? manager.try_pop_ready(out, shard) : manager.wait_pop_ready(out, kHour, shard);
        EXPECT_TRUE(taken);
        return out.sequence;
    }
};

// It returns after the item is stored, neither before nor without a pop; it drops, reorders and logs nothing.
TEST_P(BlockedPush, WaitsForAPopAndKeepsTheOrder) {
    constexpr int kShard = 3;
    for (uint64_t i = 0; i < kCapacity; ++i) {
        manager.push_to_ready(numbered(i), kShard);
    }
    std::atomic<uint64_t> stored{kCapacity};
    std::atomic<bool> began{false};
    std::thread producer([this, &stored, &began] {
        for (uint64_t i = kCapacity; i < kCapacity + 20; ++i) {
            began = true;
            manager.wait_push_to_ready(numbered(i), kShard);
            stored = i + 1;
        }
    });
    ASSERT_TRUE(eventually([&began] { return began.load(); }));
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(stored, kCapacity);
    for (uint64_t i = 0; i < 20; ++i) {
        EXPECT_EQ(take(kShard), i);
        // Exactly one more fits.
        ASSERT_TRUE(eventually([&stored, i] { return stored == kCapacity + i + 1; }));
    }
    producer.join();
    for (uint64_t i = 20; i < kCapacity + 20; ++i) {
        EXPECT_EQ(take(kShard), i);
    }
    EXPECT_EQ(next(kShard), -1);
    EXPECT_EQ(log_capture::total(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Pops, BlockedPush, ::testing::Values(Taking::kTry, Taking::kWait),
                         [](const ::testing::TestParamInfo<Taking> &param) {
                             return param.param == Taking::kTry ? "Try" : "Wait";
                         });

// Two producers cannot be: but one producer per shard may wait at once, and a pop must wake the right one.
TEST_F(Ready, EachShardWakesItsOwnProducer) {
    std::array<std::atomic<bool>, 4> stored{};
    std::vector<std::thread> producers;
    for (int shard = 0; shard < 4; ++shard) {
        for (uint64_t i = 0; i < kCapacity; ++i) {
            manager.push_to_ready(numbered(i), shard);
        }
        producers.emplace_back([this, &stored, shard] {
            manager.wait_push_to_ready(numbered(100 + static_cast<uint64_t>(shard)), shard);
            stored[static_cast<size_t>(shard)] = true;
        });
    }
    for (const int shard : {2, 0, 3, 1}) {
        std::this_thread::sleep_for(milliseconds(5));
        EXPECT_FALSE(stored[static_cast<size_t>(shard)]);
        EXPECT_EQ(next(shard), 0);
        EXPECT_TRUE(eventually([&stored, shard] { return stored[static_cast<size_t>(shard)].load(); }));
    }
    for (std::thread &producer : producers) {
        producer.join();
    }
}

// Hand-offs.

// A ring of one: every hand-off needs the other side, both ways, and each side sleeps over and over. With a tick of
// 100 ms instead of a wake-up this would take 200 s.
TEST(ReadyHandOff, TwoThousandNeedNoTick) {
    using Tight = PoolModule<1, 1, 1, 1, 1>;
    constexpr uint64_t kItems = 2000;
    BufferPoolManager<Tight> manager;
    const auto start = Clock::now();
    std::thread producer([&manager] {
        for (uint64_t i = 0; i < kItems; ++i) {
            manager.wait_push_to_ready(info(fake(i + 1), i));
        }
    });
    uint64_t misplaced = 0;
    for (uint64_t i = 0; i < kItems; ++i) {
        ReadyInfo out{};
        while (!manager.wait_pop_ready(out, milliseconds(1000))) {
        }
        misplaced += out.sequence != i ? 1 : 0;
    }
    producer.join();
    EXPECT_EQ(misplaced, 0u);
    EXPECT_LT(Clock::now() - start, kItems * milliseconds(50));
}

// Ping and pong over two shards, one item in flight, with pauses that sweep the instant between the waiter's last look
// and its sleep. A lost wake-up leaves its waiter asleep for 30 s; no load on the machine makes a single wait that
// long.
TEST(ReadyHandOff, RefSkipW6_NoWakeUpIsLost) {
    using Pair = PoolModule<1, 2, 1, 1, 1>;
    constexpr uint64_t kRounds = 10000;
    static constexpr milliseconds kWait{30000};
    BufferPoolManager<Pair> manager;
    const auto pause = [](uint64_t seed) {
        for (uint64_t spin = (seed * 2654435761u >> 8) % 600; spin > 0; --spin) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
    };
    std::atomic<uint64_t> lost{0};
    const auto wait = [&manager, &lost](ReadyInfo &item, int shard) {
        const auto start = Clock::now();
        const bool popped = manager.wait_pop_ready(item, kWait, shard);
        lost += popped && Clock::now() - start < kWait ? 0 : 1;
    };
    std::thread echo([&manager, &pause, &wait] {
        ReadyInfo item{};
        for (uint64_t i = 0; i < kRounds; ++i) {
            wait(item, 0);
            pause(3 * i);
            manager.wait_push_to_ready(item, 1);
        }
    });
    uint64_t misplaced = 0;
    for (uint64_t i = 0; i < kRounds; ++i) {
        pause(i);
        manager.wait_push_to_ready(info(fake(1), i), 0);
        ReadyInfo item{};
        wait(item, 1);
        misplaced += item.sequence != i ? 1 : 0;
    }
    echo.join();
    EXPECT_EQ(lost, 0u);
    EXPECT_EQ(misplaced, 0u);
}

// Producers and consumers of all shards at once, in a ring smaller than the bursts: each shard's stream stays whole.
TEST(ReadyHandOff, ShardsRunSideBySide) {
    constexpr uint64_t kItems = 1000;
    Manager manager;
    log_capture::reset();
    std::vector<std::thread> threads;
    std::atomic<uint64_t> misplaced{0};
    for (int shard = 0; shard < 4; ++shard) {
        threads.emplace_back([&manager, shard] {
            std::minstd_rand random(static_cast<unsigned>(shard) + 1);
            for (uint64_t i = 0; i < kItems; ++i) {
                const uint64_t tagged = i * 4 + static_cast<uint64_t>(shard);
                manager.wait_push_to_ready(info(fake(1), tagged), shard);
                if (random() % 16 == 0) {
                    std::this_thread::yield();
                }
            }
        });
        threads.emplace_back([&manager, &misplaced, shard] {
            for (uint64_t i = 0; i < kItems;) {
                ReadyInfo out{};
                const bool waits = i % 3 != 0;
                if (waits ? manager.wait_pop_ready(out, kHour, shard) : manager.try_pop_ready(out, shard)) {
                    misplaced += out.sequence != i * 4 + static_cast<uint64_t>(shard) ? 1 : 0;
                    ++i;
                } else if (!waits) {
                    std::this_thread::yield();
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(misplaced, 0u);
    EXPECT_EQ(log_capture::total(), 0u);
}

// Cost of waiting.

double thread_cpu_seconds() {
    timespec spent{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

// CPU time of the waiting thread itself, which does not depend on what else the machine does.
TEST_F(Ready, WaitingUsesNoCpu) {
    const double before = thread_cpu_seconds();
    ReadyInfo out{};
    EXPECT_FALSE(manager.wait_pop_ready(out, milliseconds(600), 0));
    EXPECT_LT(thread_cpu_seconds() - before, 0.2);

    for (uint64_t i = 0; i < kCapacity; ++i) {
        manager.push_to_ready(numbered(i), 0);
    }
    std::atomic<bool> began{false};
    double blocked = 0;
    std::thread producer([this, &began, &blocked] {
        const double start = thread_cpu_seconds();
        began = true;
        manager.wait_push_to_ready(numbered(kCapacity), 0);
        blocked = thread_cpu_seconds() - start;
    });
    ASSERT_TRUE(eventually([&began] { return began.load(); }));
    std::this_thread::sleep_for(milliseconds(600));
    EXPECT_EQ(next(), 0);
    producer.join();
    EXPECT_LT(blocked, 0.2);
}

} // namespace
