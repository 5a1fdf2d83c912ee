// Recycled lanes and retired pools of the manager (contract 2.5.5).
#include "support.h"

#include <memory>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;
constexpr size_t kLaneCapacity = Manager::kRecycledQueueCapacity;

class Lanes : public LogTest {
  protected:
    Ptrs owned() {
        Ptrs released;
        manager.release_owned_buffers([&released](void *ptr) { released.push_back(ptr); });
        return released;
    }

    Manager manager;
};

TEST_F(Lanes, EachIsExactAndFirstInFirstOut) {
    for (int shard = 0; shard < 4; ++shard) {
        for (int kind = 0; kind < 3; ++kind) {
            for (uintptr_t round = 0; round < 9; ++round) {
                for (uintptr_t i = 0; i < kLaneCapacity; ++i) {
                    ASSERT_TRUE(manager.push_recycled(kind, fake(10 * round + i + 1), shard));
                    ASSERT_EQ(manager.recycled_count(kind, shard), i + 1);
                }
                for (uintptr_t i = 0; i < kLaneCapacity; ++i) {
                    ASSERT_EQ(manager.pop_recycled(kind, shard), fake(10 * round + i + 1));
                    ASSERT_EQ(manager.recycled_count(kind, shard), kLaneCapacity - 1 - i);
                }
                ASSERT_EQ(manager.pop_recycled(kind, shard), nullptr);
                // One step on, so that the next round begins elsewhere.
                ASSERT_TRUE(manager.push_recycled(kind, fake(1), shard));
                ASSERT_EQ(manager.pop_recycled(kind, shard), fake(1));
            }
        }
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Lanes, AreApartPerShardAndKind) {
    for (int shard = 0; shard < 4; ++shard) {
        for (int kind = 0; kind < 3; ++kind) {
            const uintptr_t name = static_cast<uintptr_t>(10 * shard + kind + 1);
            ASSERT_TRUE(manager.push_recycled(kind, fake(name), shard));
            ASSERT_TRUE(manager.push_recycled(kind, fake(name + 100), shard));
        }
    }
    for (int kind = 2; kind >= 0; --kind) {
        for (int shard = 3; shard >= 0; --shard) {
            const uintptr_t name = static_cast<uintptr_t>(10 * shard + kind + 1);
            EXPECT_EQ(manager.pop_recycled(kind, shard), fake(name));
            EXPECT_EQ(manager.pop_recycled(kind, shard), fake(name + 100));
            EXPECT_EQ(manager.pop_recycled(kind, shard), nullptr);
        }
    }
}

TEST_F(Lanes, AFullLaneRefusesWithAnError) {
    for (uintptr_t i = 0; i < kLaneCapacity; ++i) {
        ASSERT_TRUE(manager.push_recycled(1, fake(i + 1), 2));
    }
    expect_logged(Level::kError, "lane full", [this] { EXPECT_FALSE(manager.push_recycled(1, fake(9), 2)); });
    EXPECT_TRUE(manager.push_recycled(1, fake(10), 1));
    EXPECT_TRUE(manager.push_recycled(2, fake(11), 2));
    EXPECT_EQ(manager.pop_recycled(1, 2), fake(1));
    EXPECT_TRUE(manager.push_recycled(1, fake(12), 2));
    EXPECT_EQ(manager.recycled_count(1, 2), kLaneCapacity);
    // What was refused is nowhere.
    EXPECT_EQ(owned(), (Ptrs{fake(10), fake(2), fake(3), fake(12), fake(11)}));
}

// A null would look like "empty" and hide what is queued behind it.
TEST_F(Lanes, RefW25_NullIsRefusedWithAnError) {
    manager.push_recycled(0, fake(1), 0);
    expect_logged(Level::kError, "null buffer", [this] { EXPECT_FALSE(manager.push_recycled(0, nullptr, 0)); });
    EXPECT_EQ(manager.recycled_count(0, 0), 1u);
    manager.push_recycled(0, fake(2), 0);
    EXPECT_EQ(manager.pop_recycled(0, 0), fake(1));
    EXPECT_EQ(manager.pop_recycled(0, 0), fake(2));
}

TEST_F(Lanes, CountsSumOverLiveShardsOfOneKind) {
    EXPECT_TRUE(manager.recycled_empty());
    for (int shard = 0; shard < 4; ++shard) {
        for (int i = 0; i < shard; ++i) {
            manager.push_recycled(1, fake(1), shard);
        }
        EXPECT_EQ(manager.recycled_count(1, shard), static_cast<size_t>(shard));
    }
    manager.push_recycled(2, fake(2), 0);
    EXPECT_EQ(manager.recycled_count(1), 6u);
    EXPECT_EQ(manager.recycled_count(0), 0u);
    EXPECT_EQ(manager.recycled_count(2), 1u);
    EXPECT_FALSE(manager.recycled_empty());
    manager.set_shard_count(3);
    EXPECT_EQ(manager.recycled_count(1), 3u);
    manager.set_shard_count(1);
    EXPECT_EQ(manager.recycled_count(1), 0u);
    EXPECT_FALSE(manager.recycled_empty());
    EXPECT_EQ(manager.pop_recycled(2), fake(2));
    EXPECT_TRUE(manager.recycled_empty());
}

// Any single lane makes the difference, the last shard's last kind too.
TEST_F(Lanes, EmptinessLooksAtEveryLiveLane) {
    for (int shard = 0; shard < 4; ++shard) {
        for (int kind = 0; kind < 3; ++kind) {
            manager.push_recycled(kind, fake(1), shard);
            EXPECT_FALSE(manager.recycled_empty());
            manager.pop_recycled(kind, shard);
            EXPECT_TRUE(manager.recycled_empty());
        }
    }
    manager.retire_unqueued_buffer(0, fake(1));
    manager.notify_copy_done(fake(2), 0);
    manager.push_to_ready(info(fake(3)));
    EXPECT_TRUE(manager.recycled_empty());
}

TEST_F(Lanes, StartupTakesTheFirstHitOfTheLiveShards) {
    manager.push_recycled(1, fake(30), 3);
    manager.push_recycled(1, fake(10), 1);
    manager.push_recycled(1, fake(11), 1);
    manager.push_recycled(0, fake(99), 0);
    EXPECT_EQ(manager.pop_recycled_for_startup(1), fake(10));
    // Each call scans from shard 0 again.
    manager.push_recycled(1, fake(1), 0);
    EXPECT_EQ(manager.pop_recycled_for_startup(1), fake(1));
    EXPECT_EQ(manager.pop_recycled_for_startup(1), fake(11));
    manager.set_shard_count(3);
    EXPECT_EQ(manager.pop_recycled_for_startup(1), nullptr);
    manager.set_shard_count(4);
    EXPECT_EQ(manager.pop_recycled_for_startup(1), fake(30));
    EXPECT_EQ(manager.pop_recycled_for_startup(1), nullptr);
    EXPECT_EQ(manager.pop_recycled_for_startup(0), fake(99));
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Lanes, RetiredBuffersDoNotComeBackByThemselves) {
    for (uintptr_t i = 1; i <= 200; ++i) {
        ASSERT_TRUE(manager.retire_unqueued_buffer(2, fake(i), 1));
    }
    EXPECT_EQ(manager.pop_recycled(2, 1), nullptr);
    EXPECT_EQ(manager.pop_recycled_for_startup(2), nullptr);
    EXPECT_EQ(manager.recycled_count(2), 0u);
    EXPECT_EQ(manager.drain_done_into_recycled(), 0u);
    EXPECT_EQ(manager.pop_recycled(2, 1), nullptr);
    EXPECT_EQ(log_capture::total(), 0u);
    const Ptrs released = owned();
    ASSERT_EQ(released.size(), 200u);
    EXPECT_EQ(released.front(), fake(200));
    EXPECT_EQ(released.back(), fake(1));
}

TEST_F(Lanes, AnyThreadMayRetire) {
    constexpr uintptr_t kPerThread = 3000;
    std::vector<std::thread> threads;
    std::atomic<size_t> refused{0};
    for (uintptr_t t = 0; t < 4; ++t) {
        threads.emplace_back([this, &refused, t] {
            for (uintptr_t i = 0; i < kPerThread; ++i) {
                // All threads meet in the same pools.
                refused += manager.retire_unqueued_buffer(static_cast<int>(i % 3), fake(t * kPerThread + i + 1),
                                                          static_cast<int>(i % 2))
                               ? 0
                               : 1;
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(refused, 0u);
    Ptrs all = owned();
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all.size(), 4 * kPerThread);
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

// The lane's consumer polls its size while the producer works: what it counted is there.
TEST_F(Lanes, TheConsumerCanTrustItsCount) {
    constexpr uintptr_t kItems = 3000;
    std::thread producer([this] {
        for (uintptr_t i = 1; i <= kItems;) {
            if (manager.recycled_count(1, 2) < kLaneCapacity) {
                // The producer's own view is exact in this direction: no refusal, no message.
                EXPECT_TRUE(manager.push_recycled(1, fake(i), 2));
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
    });
    size_t too_large = 0;
    size_t misplaced = 0;
    for (uintptr_t i = 1; i <= kItems;) {
        size_t there = manager.recycled_count(1, 2);
        too_large += there > kLaneCapacity ? 1 : 0;
        if (there == 0) {
            std::this_thread::yield();
        }
        for (; there > 0; --there, ++i) {
            misplaced += manager.pop_recycled(1, 2) != fake(i) ? 1 : 0;
        }
    }
    producer.join();
    EXPECT_EQ(too_large, 0u);
    EXPECT_EQ(misplaced, 0u);
    EXPECT_EQ(log_capture::total(), 0u);
}

// Capacities are those of the Module, each ring its own, at the sizes of the existing subsystems.
template <typename Module> class Geometry : public ::testing::Test {};
using Subsystems = ::testing::Types<ChipSwimlaneLike<4>, ChipSwimlaneLike<5>, PmuLike<5>, ArgsDumpLike<4>,
                                    ArgsDumpLike<5>, DepGenLike<5>, PoolModule<1, 1, 1, 1, 1>, OddModule>;
TYPED_TEST_SUITE(Geometry, Subsystems);

TYPED_TEST(Geometry, AllRingsHoldWhatTheModuleSays) {
    using M = BufferPoolManager<TypeParam>;
    const auto manager = std::make_unique<M>();
    const int last_shard = M::kMaxCollectorShards - 1;
    const int last_kind = TypeParam::kBufferKinds - 1;
    for (int round = 0; round < 2; ++round) {
        size_t ready = 0;
        while (ready < 5000 && manager->push_to_ready(info(fake(ready + 1)), last_shard)) {
            ++ready;
        }
        EXPECT_EQ(ready, M::kReadyQueueCapacity);
        size_t done = 0;
        while (done < 5000 && manager->notify_copy_done(fake(done + 1), last_kind, last_shard)) {
            ++done;
        }
        EXPECT_EQ(done, M::kPoolQueueCapacity);
        for (int kind = 0; kind <= last_kind; ++kind) {
            size_t lane = 0;
            while (lane < 5000 && manager->push_recycled(kind, fake(lane + 1), last_shard)) {
                ++lane;
            }
            EXPECT_EQ(lane, M::kRecycledQueueCapacity);
            EXPECT_EQ(manager->recycled_count(kind), lane);
        }
        manager->release_owned_buffers([](void *) {});
        EXPECT_TRUE(manager->recycled_empty());
    }
}

} // namespace
