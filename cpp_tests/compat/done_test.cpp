// Done rings and how buffers get from them into lanes (contract 2.5.3).
#include "support.h"

#include <memory>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;
constexpr size_t kDoneCapacity = Manager::kPoolQueueCapacity;
constexpr size_t kLaneCapacity = Manager::kRecycledQueueCapacity;

class Done : public LogTest {
  protected:
    void SetUp() override {
        LogTest::SetUp();
        OddModule::reset();
    }

    Ptrs lane(int kind, int shard) {
        Ptrs content;
        while (void *ptr = manager.pop_recycled(kind, shard)) {
            content.push_back(ptr);
        }
        return content;
    }

    Ptrs owned() {
        Ptrs released;
        manager.release_owned_buffers([&released](void *ptr) { released.push_back(ptr); });
        return released;
    }

    Manager manager;
};

TEST_F(Done, EachRingIsExactAndFirstInFirstOut) {
    static_assert(kDoneCapacity != Manager::kReadyQueueCapacity && kDoneCapacity != kLaneCapacity, "");
    for (int shard = 0; shard < 4; ++shard) {
        for (uintptr_t round = 0; round < 9; ++round) {
            for (uintptr_t i = 0; i < kDoneCapacity; ++i) {
                ASSERT_TRUE(manager.notify_copy_done(fake(i + 1 + round), static_cast<int>(i % 3), shard));
            }
            for (uintptr_t i = 0; i < kDoneCapacity; ++i) {
                DoneInfo done{};
                ASSERT_TRUE(manager.try_pop_done(done, shard));
                ASSERT_EQ(done.dev_ptr, fake(i + 1 + round));
                ASSERT_EQ(done.kind, static_cast<int>(i % 3));
            }
            DoneInfo untouched{fake(9), 8};
            ASSERT_FALSE(manager.try_pop_done(untouched, shard));
            ASSERT_EQ(untouched.dev_ptr, fake(9));
            ASSERT_EQ(untouched.kind, 8);
        }
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Done, AFullRingRefusesWithAnError) {
    for (uintptr_t i = 0; i < kDoneCapacity; ++i) {
        ASSERT_TRUE(manager.notify_copy_done(fake(i + 1), 0, 1));
    }
    expect_logged(Level::kError, "done ring full", [this] { EXPECT_FALSE(manager.notify_copy_done(fake(99), 0, 1)); });
    // The caller still owns what was refused, and the other shards have room.
    EXPECT_TRUE(manager.notify_copy_done(fake(50), 0, 2));
    DoneInfo done{};
    EXPECT_TRUE(manager.try_pop_done(done, 1));
    EXPECT_TRUE(manager.notify_copy_done(fake(8), 0, 1));
    const Ptrs rest = owned();
    EXPECT_EQ(rest, (Ptrs{fake(2), fake(3), fake(4), fake(5), fake(6), fake(7), fake(8), fake(50)}));
}

TEST_F(Done, RefW25_NullIsRefusedLikeAFullRing) {
    expect_logged(Level::kError, "null buffer", [this] { EXPECT_FALSE(manager.notify_copy_done(nullptr, 0, 1)); });
    EXPECT_EQ(manager.drain_done_into_recycled(), 0u);
    EXPECT_EQ(manager.recycled_count(0), 0u);
}

// One shard.

TEST_F(Done, DrainingOneShardKeepsOrderKindAndShard) {
    // A watermark elsewhere must not matter here.
    OddModule::warm_target[0] = 3;
    manager.notify_copy_done(fake(1), 0, 2);
    manager.notify_copy_done(fake(2), 1, 2);
    manager.notify_copy_done(fake(3), 0, 2);
    manager.notify_copy_done(fake(4), 2, 2);
    manager.notify_copy_done(fake(5), 0, 1);
    EXPECT_EQ(manager.drain_done_into_recycled(2), 4u);
    EXPECT_EQ(lane(0, 2), (Ptrs{fake(1), fake(3)}));
    EXPECT_EQ(lane(1, 2), Ptrs{fake(2)});
    EXPECT_EQ(lane(2, 2), Ptrs{fake(4)});
    EXPECT_TRUE(manager.recycled_empty());
    EXPECT_EQ(manager.drain_done_into_recycled(2), 0u);
    EXPECT_EQ(manager.drain_done_into_recycled(1), 1u);
    EXPECT_EQ(lane(0, 1), Ptrs{fake(5)});
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Done, DrainingOneShardParksWhatItsLaneCannotHold) {
    for (uintptr_t i = 1; i <= 5; ++i) {
        manager.notify_copy_done(fake(i), 0, 1);
    }
    manager.notify_copy_done(fake(6), 1, 1);
    expect_logged(Level::kError, "lane full", [this] { EXPECT_EQ(manager.drain_done_into_recycled(1), 6u); });
    EXPECT_EQ(manager.recycled_count(0), kLaneCapacity);
    EXPECT_EQ(lane(0, 1), (Ptrs{fake(1), fake(2), fake(3)}));
    EXPECT_EQ(lane(1, 1), Ptrs{fake(6)});
    // Retired pools are left newest first; none of this went to another shard.
    EXPECT_EQ(owned(), (Ptrs{fake(5), fake(4)}));
}

TEST_F(Done, ParkedBuffersComeBehindTheLanesOfAllShards) {
    for (uintptr_t i = 1; i <= 4; ++i) {
        manager.notify_copy_done(fake(i), 2, 0);
    }
    manager.push_recycled(0, fake(9), 3);
    manager.drain_done_into_recycled(0);
    EXPECT_EQ(owned(), (Ptrs{fake(1), fake(2), fake(3), fake(9), fake(4)}));
}

// No duplicate detection: the same pointer twice is in two places.
TEST_F(Done, TheSamePointerTwiceIsPlacedTwice) {
    manager.notify_copy_done(fake(1), 0, 0);
    manager.notify_copy_done(fake(1), 0, 0);
    EXPECT_EQ(manager.drain_done_into_recycled(0), 2u);
    EXPECT_EQ(lane(0, 0), (Ptrs{fake(1), fake(1)}));
}

TEST_F(Done, ABufferNobodyMappedIsAcceptedToo) {
    manager.notify_copy_done(fake(4242), 0, 0);
    manager.notify_copy_done(reinterpret_cast<void *>(uintptr_t{3}), 0, 0);
    EXPECT_EQ(manager.drain_done_into_recycled(), 2u);
    EXPECT_EQ(lane(0, 0), (Ptrs{fake(4242), reinterpret_cast<void *>(uintptr_t{3})}));
    EXPECT_EQ(log_capture::total(), 0u);
}

// All shards.

TEST_F(Done, DrainingAllVisitsLiveShardsAscendingEachUntilEmpty) {
    // One lane is wanted, so its order shows the order of the visits.
    manager.set_shard_count(3);
    OddModule::warm_target[0] = 3;
    manager.push_recycled(0, fake(91), 1);
    manager.push_recycled(0, fake(92), 1);
    manager.push_recycled(0, fake(93), 1);
    manager.push_recycled(0, fake(94), 2);
    manager.push_recycled(0, fake(95), 2);
    manager.push_recycled(0, fake(96), 2);
    manager.notify_copy_done(fake(3), 0, 2);
    manager.notify_copy_done(fake(1), 0, 1);
    manager.notify_copy_done(fake(2), 0, 1);
    EXPECT_EQ(manager.drain_done_into_recycled(), 3u);
    EXPECT_EQ(lane(0, 0), (Ptrs{fake(1), fake(2), fake(3)}));
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Done, DrainingAllLeavesNonLiveRingsAndFillsNoNonLiveLane) {
    manager.notify_copy_done(fake(1), 0, 3);
    manager.set_shard_count(2);
    OddModule::warm_target[0] = 3;
    for (uintptr_t i = 0; i < 4; ++i) {
        manager.notify_copy_done(fake(10 + i), 0, 0);
    }
    EXPECT_EQ(manager.drain_done_into_recycled(), 4u);
    EXPECT_EQ(manager.recycled_count(0), 4u);
    // The Module is asked with the live count.
    EXPECT_EQ(OddModule::seen_shard_count, 2);
    manager.set_shard_count(4);
    EXPECT_EQ(manager.recycled_count(0, 2) + manager.recycled_count(0, 3), 0u);
    EXPECT_EQ(manager.drain_done_into_recycled(), 1u);
}

// With no room in any live lane the buffer is parked at its origin.
TEST_F(Done, WhatFitsNowhereIsParkedAtItsOrigin) {
    for (const int target : {0, 2, 100}) {
        OddModule::warm_target[0] = target;
        Manager fresh;
        fresh.set_shard_count(2);
        for (uintptr_t i = 0; i < kLaneCapacity; ++i) {
            fresh.push_recycled(0, fake(10 + i), 0);
            fresh.push_recycled(0, fake(20 + i), 1);
        }
        fresh.retire_unqueued_buffer(0, fake(7), 0);
        fresh.notify_copy_done(fake(1), 0, 1);
        expect_logged(Level::kError, "no room", [&fresh] { EXPECT_EQ(fresh.drain_done_into_recycled(), 1u); });
        Ptrs released;
        fresh.release_owned_buffers([&released](void *ptr) { released.push_back(ptr); });
        EXPECT_EQ(released, (Ptrs{fake(10), fake(11), fake(12), fake(20), fake(21), fake(22), fake(7), fake(1)}));
    }
}

// Origin and target without room, but other lanes have some: either may be used, nothing may be lost or cross kinds.
TEST_F(Done, AFullOriginLosesNothing) {
    for (uintptr_t i = 0; i < kLaneCapacity; ++i) {
        manager.push_recycled(0, fake(10 + i), 1);
    }
    manager.notify_copy_done(fake(1), 0, 1);
    manager.notify_copy_done(fake(2), 0, 1);
    EXPECT_EQ(manager.drain_done_into_recycled(), 2u);
    EXPECT_EQ(manager.recycled_count(1) + manager.recycled_count(2), 0u);
    Ptrs all = owned();
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, (Ptrs{fake(1), fake(2), fake(10), fake(11), fake(12)}));
}

// The producer of a done ring, its consumer and the consumers of the lanes at work at once.
TEST_F(Done, CollectorsReplenishAndDrainsRunConcurrently) {
    constexpr uintptr_t kPerShard = 1000;
    std::atomic<bool> finished{false};
    std::vector<std::thread> threads;
    std::vector<Ptrs> taken(4);
    std::atomic<int> working{4};
    for (int shard = 0; shard < 4; ++shard) {
        threads.emplace_back([this, shard, &working] {
            for (uintptr_t i = 0; i < kPerShard;) {
                void *const ptr = fake(static_cast<uintptr_t>(shard) * kPerShard + i + 1);
                if (manager.notify_copy_done(ptr, static_cast<int>(i % 3), shard)) {
                    ++i;
                } else {
                    std::this_thread::yield();
                }
            }
            --working;
        });
        threads.emplace_back([this, shard, &finished, &mine = taken[static_cast<size_t>(shard)]] {
            for (;;) {
                const bool last = finished;
                bool found = false;
                for (int kind = 0; kind < 3; ++kind) {
                    while (void *ptr = manager.pop_recycled(kind, shard)) {
                        mine.push_back(ptr);
                        found = true;
                    }
                }
                if (!found && last) {
                    return;
                }
                std::this_thread::yield();
            }
        });
    }
    OddModule::warm_target[1] = 2;
    size_t placed = 0;
    while (placed < 4 * kPerShard) {
        const bool last = working == 0;
        const size_t now = manager.drain_done_into_recycled();
        placed += now;
        if (last && now == 0) {
            break;
        }
        std::this_thread::yield();
    }
    finished = true;
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(placed, 4 * kPerShard);
    Ptrs all = owned();
    for (const Ptrs &some : taken) {
        all.insert(all.end(), some.begin(), some.end());
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all.size(), 4 * kPerShard);
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

} // namespace
