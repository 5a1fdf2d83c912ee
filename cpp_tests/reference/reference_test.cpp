// Checks the reference headers on toy modules. Only behaviour that the C++ runtime has is asserted: where it breaks an
// invariant (W1..W34), the case is left out. Nothing here depends on how long something takes; waits end on counts.
#include "toy_pipeline.h"

#include "host/buffer_pool_manager.h"
#include "host/profiler_base.h"
#include "log_capture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using namespace profiling_common;
using log_capture::Level;

namespace {

size_t errors() { return log_capture::count(Level::kError); }
size_t warnings() { return log_capture::count(Level::kWarn); }

// A device pointer that is never dereferenced.
void *fake(uintptr_t n) { return reinterpret_cast<void *>(n * 0x1000); }

uintptr_t address(const void *ptr) { return reinterpret_cast<uintptr_t>(ptr); }

// Waits for something another thread is bound to do. The limit only keeps a broken build from hanging.
template <typename Condition> bool eventually(const Condition &condition) {
    for (int i = 0; i < 20000; ++i) {
        if (condition()) {
            return true;
        }
        if (i < 1000) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    return condition();
}

class LogTest : public ::testing::Test {
  protected:
    void SetUp() override {
        log_capture::reset();
        toy::Knobs<1>::reset();
        toy::Knobs<2>::reset();
    }
};

// SpscRing.

template <typename Capacity> class SpscRingTest : public ::testing::Test {};
using Capacities = ::testing::Types<std::integral_constant<size_t, 1>, std::integral_constant<size_t, 3>,
                                    std::integral_constant<size_t, 5>, std::integral_constant<size_t, 992>>;

struct CapacityName {
    template <typename Capacity> static std::string GetName(int) { return std::to_string(Capacity::value); }
};
TYPED_TEST_SUITE(SpscRingTest, Capacities, CapacityName);

TYPED_TEST(SpscRingTest, HoldsExactlyItsCapacity) {
    constexpr size_t kCapacity = TypeParam::value;
    auto ring = std::make_unique<SpscRing<size_t, kCapacity>>();
    EXPECT_TRUE(ring->empty());
    for (size_t i = 0; i < kCapacity; ++i) {
        EXPECT_FALSE(ring->full());
        ASSERT_TRUE(ring->push(i));
        EXPECT_EQ(ring->size(), i + 1);
    }
    EXPECT_TRUE(ring->full());
    EXPECT_FALSE(ring->push(4711));
    for (size_t i = 0; i < kCapacity; ++i) {
        size_t out = 4712;
        ASSERT_TRUE(ring->pop(out));
        EXPECT_EQ(out, i);
    }
    size_t untouched = 4713;
    EXPECT_FALSE(ring->pop(untouched));
    EXPECT_EQ(untouched, 4713u);
    EXPECT_TRUE(ring->empty());
}

TYPED_TEST(SpscRingTest, KeepsOrderOverManyLaps) {
    constexpr size_t kCapacity = TypeParam::value;
    auto ring = std::make_unique<SpscRing<size_t, kCapacity>>();
    size_t pushed = 0;
    size_t popped = 0;
    for (size_t lap = 0; lap < 100; ++lap) {
        for (size_t i = 0; i < 1 + lap % kCapacity; ++i) {
            pushed += ring->push(pushed) ? 1 : 0;
        }
        for (size_t i = 0; i < 1 + (lap * 7) % kCapacity; ++i) {
            size_t out = 0;
            if (ring->pop(out)) {
                ASSERT_EQ(out, popped);
                ++popped;
            }
        }
        ASSERT_EQ(ring->size(), pushed - popped);
    }
}

TYPED_TEST(SpscRingTest, ClearLeavesRoomForAll) {
    constexpr size_t kCapacity = TypeParam::value;
    auto ring = std::make_unique<SpscRing<size_t, kCapacity>>();
    for (int round = 0; round < 2; ++round) {
        for (size_t i = 0; i < kCapacity; ++i) {
            ASSERT_TRUE(ring->push(i));
        }
        ring->clear();
        EXPECT_TRUE(ring->empty());
    }
}

TEST(SpscRingThreads, HandsOverEverythingInOrder) {
    constexpr size_t kItems = 100000;
    SpscRing<size_t, 5> ring;
    std::thread producer([&ring] {
        for (size_t i = 0; i < kItems;) {
            if (ring.push(i)) {
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
    });
    size_t next = 0;
    size_t misplaced = 0;
    while (next < kItems) {
        size_t out = 0;
        if (ring.pop(out)) {
            misplaced += out != next ? 1 : 0;
            ++next;
        } else {
            std::this_thread::yield();
        }
    }
    producer.join();
    EXPECT_EQ(misplaced, 0u);
    EXPECT_TRUE(ring.empty());
}

// RetiredPool.

TEST(RetiredPoolTest, IsLastInFirstOutAndGrows) {
    RetiredPool pool;
    void *out = nullptr;
    EXPECT_FALSE(pool.pop(out));
    for (uintptr_t i = 1; i <= 1000; ++i) {
        ASSERT_TRUE(pool.push(fake(i)));
    }
    EXPECT_EQ(pool.size(), 1000u);
    for (uintptr_t i = 1000; i >= 1; --i) {
        ASSERT_TRUE(pool.pop(out));
        ASSERT_EQ(out, fake(i));
    }
    EXPECT_TRUE(pool.empty());
}

TEST(RetiredPoolTest, ClearForgets) {
    RetiredPool pool;
    pool.push(fake(1));
    pool.clear();
    EXPECT_TRUE(pool.empty());
    void *out = nullptr;
    EXPECT_FALSE(pool.pop(out));
}

// Traits.

struct BareInfo {
    void *dev_buffer_ptr;
};

struct BareModule {
    struct DataHeader;
    struct ReadyEntry;
    using ReadyBufferInfo = BareInfo;
    static constexpr int kBufferKinds = 1;
};

struct ZeroModule : BareModule {
    static constexpr uint32_t kReadyQueueSize = 0;
    static constexpr uint32_t kHostPoolQueueSize = 0;
    static constexpr uint32_t kHostRecycledQueueSize = 0;
};

struct PoolOnlyModule : BareModule {
    static constexpr uint32_t kHostPoolQueueSize = 24;
};

struct OneArgTargetModule : BareModule {
    static int recycled_warm_target(int kind) { return 10 + kind; }
};

struct BothTargetsModule : BareModule {
    static int recycled_warm_target(int kind) { return kind; }
    static int recycled_warm_target(int kind, int shard_count) { return 100 * kind + shard_count; }
};

TEST(Traits, DefaultsOfABareModule) {
    using Manager = BufferPoolManager<BareModule>;
    static_assert(ProfilerModuleMaxCollectorThreads<BareModule>::value == 1, "");
    static_assert(Manager::kMaxCollectorShards == 1, "");
    static_assert(Manager::kReadyQueueCapacity == 1024, "");
    static_assert(Manager::kPoolQueueCapacity == 1024, "");
    static_assert(Manager::kRecycledQueueCapacity == 1024, "");
    static_assert(ProfilerModuleHostRecycledQueueCapacity<PoolOnlyModule>::value == 24, "");
    auto manager = std::make_unique<Manager>();
    EXPECT_TRUE(manager->push_to_ready(BareInfo{fake(1)}));
    size_t released = 0;
    manager->release_owned_buffers([&released](void *) { ++released; });
    EXPECT_EQ(released, 1u);
}

TEST(Traits, ZeroSizesBecomeOne) {
    static_assert(ProfilerModuleHostQueueCapacity<ZeroModule>::value == 1, "");
    static_assert(ProfilerModuleHostPoolQueueCapacity<ZeroModule>::value == 1, "");
    static_assert(ProfilerModuleHostRecycledQueueCapacity<ZeroModule>::value == 1, "");
    BufferPoolManager<ZeroModule> manager;
    EXPECT_TRUE(manager.notify_copy_done(fake(1), 0));
    EXPECT_FALSE(manager.notify_copy_done(fake(2), 0));
}

TEST(Traits, CapacitiesComeFromTheModule) {
    using Manager = BufferPoolManager<toy::Module>;
    static_assert(Manager::kReadyQueueCapacity == 8, "");
    static_assert(Manager::kHostQueueCapacity == 8, "");
    static_assert(Manager::kPoolQueueCapacity == 7, "");
    static_assert(Manager::kRecycledQueueCapacity == 5, "");
    static_assert(Manager::kMaxCollectorShards == PLATFORM_MAX_AICPU_THREADS, "");
    static_assert(!std::is_copy_constructible<Manager>::value, "");
    static_assert(!std::is_move_constructible<Manager>::value, "");
}

TEST(Traits, WarmTargetPrefersTheTwoArgumentForm) {
    EXPECT_EQ(profiler_module_recycled_warm_target<BareModule>(3, 4), 0);
    EXPECT_EQ(profiler_module_recycled_warm_target<OneArgTargetModule>(3, 4), 13);
    EXPECT_EQ(profiler_module_recycled_warm_target<BothTargetsModule>(3, 4), 304);
}

TEST(Traits, ShardAwareCollectorIsSeenFromOutside) {
    struct One {
        void on_buffer_collected(const BareInfo &) {}
    };
    struct Two {
        void on_buffer_collected(const BareInfo &, int) {}
    };
    struct Both {
        void on_buffer_collected(const BareInfo &) {}
        void on_buffer_collected(const BareInfo &, int) {}
    };
    class Hidden {
        void on_buffer_collected(const BareInfo &, int) {}
    };
    EXPECT_FALSE((ProfilerDerivedShardAwareCollector<One, BareInfo>::value));
    EXPECT_TRUE((ProfilerDerivedShardAwareCollector<Two, BareInfo>::value));
    EXPECT_TRUE((ProfilerDerivedShardAwareCollector<Both, BareInfo>::value));
    EXPECT_FALSE((ProfilerDerivedShardAwareCollector<Hidden, BareInfo>::value));
}

// Manager: queues and lanes.

class ManagerTest : public LogTest {
  protected:
    using Manager = BufferPoolManager<toy::Module>;
    static constexpr int kMax = Manager::kMaxCollectorShards;

    // Operations on plain memory; `reg` is identity unless told otherwise.
    MemoryOps identity_ops() {
        MemoryOps ops;
        ops.alloc = [this](size_t size) { return memory_.alloc(size); };
        ops.free_ = [this](void *ptr) { return memory_.free(ptr); };
        ops.reg = [](void *dev, size_t, int, void **host) {
            *host = dev;
            return 0;
        };
        return ops;
    }

    void use(MemoryOps ops) { mgr_->set_memory_context(std::move(ops), nullptr, nullptr, 0, 3); }

    std::vector<void *> lane(int kind, int shard) {
        std::vector<void *> content;
        while (void *ptr = mgr_->pop_recycled(kind, shard)) {
            content.push_back(ptr);
        }
        return content;
    }

    std::vector<void *> owned() {
        std::vector<void *> content;
        mgr_->release_owned_buffers([&content](void *ptr) { content.push_back(ptr); });
        return content;
    }

    static toy::ReadyInfo info(uintptr_t n) { return toy::ReadyInfo{fake(n), nullptr, 0, 0, n}; }

    toy::DeviceMemory memory_;
    std::unique_ptr<Manager> mgr_ = std::make_unique<Manager>();
};

using Ptrs = std::vector<void *>;

TEST_F(ManagerTest, StartsWithDefaults) {
    EXPECT_EQ(mgr_->shared_mem_dev(), nullptr);
    EXPECT_EQ(mgr_->shared_mem_host(), nullptr);
    EXPECT_EQ(mgr_->device_id(), -1);
    EXPECT_EQ(mgr_->shard_count(), kMax);
    EXPECT_TRUE(mgr_->recycled_empty());
}

TEST_F(ManagerTest, MemoryContextReplacesValuesAndKeepsMappings) {
    mgr_->register_mapping(fake(1), fake(2));
    mgr_->set_memory_context(MemoryOps{}, fake(3), fake(4), 64, 7);
    EXPECT_EQ(mgr_->shared_mem_dev(), fake(3));
    EXPECT_EQ(mgr_->shared_mem_host(), fake(4));
    EXPECT_EQ(mgr_->device_id(), 7);
    mgr_->set_memory_context(MemoryOps{}, nullptr, nullptr, 0, 8);
    EXPECT_EQ(mgr_->shared_mem_dev(), nullptr);
    EXPECT_EQ(mgr_->device_id(), 8);
    EXPECT_EQ(mgr_->resolve_host_ptr(fake(1)), fake(2));
}

TEST_F(ManagerTest, ShardCountIsClampedWithAnError) {
    mgr_->set_shard_count(2);
    EXPECT_EQ(mgr_->shard_count(), 2);
    EXPECT_EQ(errors(), 0u);
    mgr_->set_shard_count(0);
    EXPECT_EQ(mgr_->shard_count(), 1);
    EXPECT_EQ(errors(), 1u);
    mgr_->set_shard_count(kMax + 1);
    EXPECT_EQ(mgr_->shard_count(), kMax);
    EXPECT_EQ(errors(), 2u);
}

TEST_F(ManagerTest, ShardIndicesFoldByTheLiveCount) {
    mgr_->set_shard_count(3);
    mgr_->push_recycled(0, fake(1), 3);
    mgr_->push_recycled(0, fake(2), -5);
    mgr_->push_recycled(0, fake(3), 7);
    EXPECT_EQ(lane(0, 0), (Ptrs{fake(1), fake(2)}));
    EXPECT_EQ(lane(0, 4), (Ptrs{fake(3)}));
    EXPECT_EQ(errors(), 0u);
}

TEST_F(ManagerTest, NonLiveLanesAreNeitherCountedNorPopped) {
    mgr_->push_recycled(1, fake(1), kMax - 1);
    mgr_->set_shard_count(kMax - 1);
    EXPECT_EQ(mgr_->recycled_count(1), 0u);
    EXPECT_TRUE(mgr_->recycled_empty());
    EXPECT_EQ(mgr_->pop_recycled(1, kMax - 1), nullptr);
    EXPECT_EQ(mgr_->pop_recycled_for_startup(1), nullptr);
    EXPECT_EQ(owned(), (Ptrs{fake(1)}));
}

TEST_F(ManagerTest, ReadyRingIsExactAndFifo) {
    for (uintptr_t i = 1; i <= Manager::kReadyQueueCapacity; ++i) {
        ASSERT_TRUE(mgr_->push_to_ready(info(i), 1));
    }
    EXPECT_FALSE(mgr_->push_to_ready(info(99), 1));
    EXPECT_EQ(errors(), 1u);
    EXPECT_TRUE(mgr_->push_to_ready(info(50), 0));
    toy::ReadyInfo out{};
    for (uintptr_t i = 1; i <= Manager::kReadyQueueCapacity; ++i) {
        ASSERT_TRUE(mgr_->try_pop_ready(out, 1));
        EXPECT_EQ(out.dev_buffer_ptr, fake(i));
    }
    EXPECT_FALSE(mgr_->try_pop_ready(out, 1));
}

TEST_F(ManagerTest, WaitPopWithoutTimeLooksAndReturns) {
    toy::ReadyInfo out{};
    EXPECT_FALSE(mgr_->wait_pop_ready(out, std::chrono::milliseconds(0)));
    EXPECT_FALSE(mgr_->wait_pop_ready(out, std::chrono::milliseconds(-1)));
    EXPECT_FALSE(mgr_->wait_pop_ready(out, std::chrono::milliseconds(1)));
    mgr_->push_to_ready(info(1));
    EXPECT_TRUE(mgr_->wait_pop_ready(out, std::chrono::milliseconds(0)));
    EXPECT_EQ(out.sequence, 1u);
}

TEST_F(ManagerTest, WaitPopReceivesFromAnotherThread) {
    std::thread producer([this] {
        for (uintptr_t i = 1; i <= 100; ++i) {
            mgr_->wait_push_to_ready(info(i), 2);
        }
    });
    for (uintptr_t i = 1; i <= 100; ++i) {
        toy::ReadyInfo out{};
        while (!mgr_->wait_pop_ready(out, std::chrono::milliseconds::max(), 2)) {
        }
        EXPECT_EQ(out.sequence, i);
    }
    producer.join();
    EXPECT_EQ(errors(), 0u);
}

TEST_F(ManagerTest, WaitPushBlocksUntilThereIsRoom) {
    for (uintptr_t i = 1; i <= Manager::kReadyQueueCapacity; ++i) {
        mgr_->wait_push_to_ready(info(i));
    }
    std::atomic<bool> stored{false};
    std::thread producer([this, &stored] {
        mgr_->wait_push_to_ready(info(100));
        stored = true;
    });
    std::this_thread::yield();
    EXPECT_FALSE(stored);
    toy::ReadyInfo out{};
    ASSERT_TRUE(mgr_->try_pop_ready(out));
    producer.join();
    EXPECT_TRUE(stored);
    std::vector<uint64_t> sequences;
    while (mgr_->try_pop_ready(out)) {
        sequences.push_back(out.sequence);
    }
    EXPECT_EQ(sequences, (std::vector<uint64_t>{2, 3, 4, 5, 6, 7, 8, 100}));
    EXPECT_EQ(errors(), 0u);
}

TEST_F(ManagerTest, DoneRingIsExactAndFifo) {
    for (uintptr_t i = 1; i <= Manager::kPoolQueueCapacity; ++i) {
        ASSERT_TRUE(mgr_->notify_copy_done(fake(i), 1, 0));
    }
    EXPECT_FALSE(mgr_->notify_copy_done(fake(99), 1, 0));
    EXPECT_EQ(errors(), 1u);
    for (uintptr_t i = 1; i <= Manager::kPoolQueueCapacity; ++i) {
        DoneInfo done{};
        ASSERT_TRUE(mgr_->try_pop_done(done, 0));
        EXPECT_EQ(done.dev_ptr, fake(i));
        EXPECT_EQ(done.kind, 1);
    }
    DoneInfo done{};
    EXPECT_FALSE(mgr_->try_pop_done(done));
}

TEST_F(ManagerTest, LanesAreSeparatePerShardAndKind) {
    for (uintptr_t i = 1; i <= Manager::kRecycledQueueCapacity; ++i) {
        ASSERT_TRUE(mgr_->push_recycled(0, fake(i), 1));
    }
    EXPECT_FALSE(mgr_->push_recycled(0, fake(90), 1));
    EXPECT_EQ(errors(), 1u);
    EXPECT_TRUE(mgr_->push_recycled(1, fake(91), 1));
    EXPECT_TRUE(mgr_->push_recycled(0, fake(92), 2));
    EXPECT_EQ(mgr_->recycled_count(0, 1), 5u);
    EXPECT_EQ(mgr_->recycled_count(0), 6u);
    EXPECT_EQ(mgr_->recycled_count(1), 1u);
    EXPECT_FALSE(mgr_->recycled_empty());
    EXPECT_EQ(lane(0, 1), (Ptrs{fake(1), fake(2), fake(3), fake(4), fake(5)}));
}

TEST_F(ManagerTest, StartupPopScansShardsInOrder) {
    mgr_->push_recycled(0, fake(3), 2);
    mgr_->push_recycled(0, fake(1), 0);
    mgr_->push_recycled(0, fake(2), 1);
    EXPECT_EQ(mgr_->pop_recycled_for_startup(0), fake(1));
    EXPECT_EQ(mgr_->pop_recycled_for_startup(0), fake(2));
    EXPECT_EQ(mgr_->pop_recycled_for_startup(0), fake(3));
    EXPECT_EQ(mgr_->pop_recycled_for_startup(0), nullptr);
}

TEST_F(ManagerTest, DrainOfOneDoneRingKeepsTheShard) {
    toy::Knobs<2>::warm_target[0] = 3;
    for (uintptr_t i = 1; i <= 7; ++i) {
        mgr_->notify_copy_done(fake(i), 0, 1);
    }
    mgr_->notify_copy_done(fake(20), 0, 2);
    EXPECT_EQ(mgr_->drain_done_into_recycled(1), 7u);
    EXPECT_EQ(errors(), 2u);
    EXPECT_EQ(lane(0, 1), (Ptrs{fake(1), fake(2), fake(3), fake(4), fake(5)}));
    // The two that found the lane full are parked, newest first on the way out; the other done ring is untouched.
    EXPECT_EQ(owned(), (Ptrs{fake(7), fake(6), fake(20)}));
}

// Manager: deficit routing.

class RoutingTest : public ManagerTest {
  protected:
    void fill(int shard, int count) {
        for (int i = 0; i < count; ++i) {
            ASSERT_TRUE(mgr_->push_recycled(0, fake(next_++), shard));
        }
    }

    // Sends one buffer home from `origin` and returns the shard it went to.
    int route_from(int origin) {
        std::vector<size_t> before;
        for (int shard = 0; shard < mgr_->shard_count(); ++shard) {
            before.push_back(mgr_->recycled_count(0, shard));
        }
        mgr_->notify_copy_done(fake(next_++), 0, origin);
        EXPECT_EQ(mgr_->drain_done_into_recycled(), 1u);
        for (int shard = 0; shard < mgr_->shard_count(); ++shard) {
            if (mgr_->recycled_count(0, shard) > before[static_cast<size_t>(shard)]) {
                return shard;
            }
        }
        return -1;
    }

    void SetUp() override {
        ManagerTest::SetUp();
        mgr_->set_shard_count(4);
    }

    uintptr_t next_ = 1;
};

TEST_F(RoutingTest, WithoutWatermarkTheOriginGetsIt) {
    EXPECT_EQ(route_from(2), 2);
    toy::Knobs<2>::warm_target[0] = -1;
    EXPECT_EQ(route_from(3), 3);
}

TEST_F(RoutingTest, LargestDeficitWins) {
    toy::Knobs<2>::warm_target[0] = 4;
    fill(0, 3);
    fill(1, 2);
    fill(2, 1);
    fill(3, 2);
    EXPECT_EQ(route_from(0), 2);
    EXPECT_EQ(toy::Knobs<2>::last_shard_count, 4);
}

TEST_F(RoutingTest, TiesGoToTheFirstAfterTheOrigin) {
    toy::Knobs<2>::warm_target[0] = 2;
    fill(1, 1);
    fill(2, 1);
    fill(3, 1);
    fill(0, 1);
    EXPECT_EQ(route_from(1), 2);
    EXPECT_EQ(route_from(1), 3);
    EXPECT_EQ(route_from(1), 0);
    EXPECT_EQ(route_from(1), 1);
}

TEST_F(RoutingTest, OriginWinsOnlyStrictly) {
    toy::Knobs<2>::warm_target[0] = 3;
    fill(0, 2);
    fill(1, 1);
    fill(2, 2);
    fill(3, 2);
    EXPECT_EQ(route_from(1), 1);
    // Now all lanes miss one.
    EXPECT_EQ(route_from(1), 2);
}

TEST_F(RoutingTest, WithoutDeficitTheOriginGetsIt) {
    toy::Knobs<2>::warm_target[0] = 1;
    for (int shard = 0; shard < 4; ++shard) {
        fill(shard, 1);
    }
    EXPECT_EQ(route_from(3), 3);
    EXPECT_EQ(route_from(0), 0);
}

TEST_F(RoutingTest, WatermarkIsClampedToTheLane) {
    toy::Knobs<2>::warm_target[0] = 1000;
    fill(1, 5);
    fill(2, 5);
    fill(3, 4);
    fill(0, 5);
    EXPECT_EQ(route_from(0), 3);
    EXPECT_EQ(errors(), 0u);
    EXPECT_EQ(route_from(0), -1);
    EXPECT_GE(errors(), 1u);
}

TEST_F(RoutingTest, OverflowIsRetiredAtTheOrigin) {
    mgr_->set_shard_count(2);
    fill(1, 5);
    mgr_->notify_copy_done(fake(100), 0, 1);
    EXPECT_EQ(mgr_->drain_done_into_recycled(), 1u);
    EXPECT_EQ(mgr_->recycled_count(0), 5u);
    EXPECT_EQ(owned().back(), fake(100));
}

TEST_F(RoutingTest, NonLiveShardsGetNothing) {
    mgr_->set_shard_count(2);
    toy::Knobs<2>::warm_target[0] = 2;
    for (uintptr_t i = 0; i < 4; ++i) {
        mgr_->notify_copy_done(fake(i + 1), 0, 0);
    }
    EXPECT_EQ(mgr_->drain_done_into_recycled(), 4u);
    EXPECT_EQ(mgr_->recycled_count(0, 0), 2u);
    EXPECT_EQ(mgr_->recycled_count(0, 1), 2u);
}

// Manager: allocation and address.
// tables

TEST_F(ManagerTest, BatchIsOneBlockCarvedAtMultiplesOf64) {
    use(identity_ops());
    EXPECT_EQ(mgr_->allocate_recycled_batch(1, 65, 3, 2), 3u);
    EXPECT_EQ(memory_.sizes(), (std::vector<size_t>{3 * 128}));
    const Ptrs got = lane(1, 2);
    ASSERT_EQ(got.size(), 3u);
    EXPECT_EQ(address(got[1]) - address(got[0]), 128u);
    EXPECT_EQ(address(got[2]) - address(got[1]), 128u);
    EXPECT_EQ(mgr_->release_pointer_for(got[2]), got[0]);
}

TEST_F(ManagerTest, BatchWithoutShardIsDealtRoundRobin) {
    use(identity_ops());
    mgr_->set_shard_count(3);
    EXPECT_EQ(mgr_->allocate_recycled_batch(0, 64, 7), 7u);
    EXPECT_EQ(mgr_->recycled_count(0, 0), 3u);
    EXPECT_EQ(mgr_->recycled_count(0, 1), 2u);
    EXPECT_EQ(mgr_->recycled_count(0, 2), 2u);
}

TEST_F(ManagerTest, BatchSurplusIsRetiredAndCounted) {
    use(identity_ops());
    EXPECT_EQ(mgr_->allocate_recycled_batch(0, 64, 8, 0), 8u);
    EXPECT_EQ(mgr_->recycled_count(0, 0), 5u);
    EXPECT_EQ(owned().size(), 1u);
}

TEST_F(ManagerTest, BatchRefusesNothingAndOverflow) {
    use(identity_ops());
    EXPECT_EQ(mgr_->allocate_recycled_batch(0, 64, 0), 0u);
    EXPECT_EQ(mgr_->allocate_recycled_batch(0, 64, -1), 0u);
    EXPECT_EQ(mgr_->allocate_recycled_batch(0, 0, 4), 0u);
    EXPECT_EQ(errors(), 0u);
    constexpr size_t kHuge = std::numeric_limits<size_t>::max();
    EXPECT_EQ(mgr_->allocate_recycled_batch(0, kHuge - 10, 1), 0u);
    EXPECT_EQ(mgr_->allocate_recycled_batch(0, kHuge / 2, 4), 0u);
    EXPECT_EQ(errors(), 2u);
    EXPECT_TRUE(memory_.sizes().empty());
}

TEST_F(ManagerTest, FailedRegistrationFreesTheBlock) {
    for (const int rc : {7, 0}) {
        MemoryOps ops = identity_ops();
        ops.reg = [rc](void *dev, size_t, int device_id, void **host) {
            EXPECT_EQ(device_id, 3);
            *host = rc == 0 ? nullptr : dev;
            return rc;
        };
        use(ops);
        void *host = fake(1);
        EXPECT_EQ(mgr_->alloc_and_register_block(256, &host), nullptr);
        EXPECT_EQ(host, nullptr);
        EXPECT_EQ(mgr_->allocate_recycled_batch(0, 64, 2), 0u);
    }
    EXPECT_EQ(memory_.live(), 0u);
    EXPECT_GE(errors(), 4u);
}

TEST_F(ManagerTest, FailedAllocationIsSilent) {
    use(identity_ops());
    memory_.alloc_fault.arm(1);
    void *host = fake(1);
    EXPECT_EQ(mgr_->alloc_and_register_block(256, &host), nullptr);
    EXPECT_EQ(host, nullptr);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(ManagerTest, ResolvePrefersTheExactMapping) {
    use(identity_ops());
    void *host = nullptr;
    char *dev = static_cast<char *>(mgr_->alloc_and_register_block(256, &host));
    ASSERT_EQ(host, dev);
    mgr_->register_mapping(dev + 64, fake(5));
    mgr_->register_mapping(dev + 128, nullptr);
    EXPECT_EQ(mgr_->resolve_host_ptr(dev + 64), fake(5));
    EXPECT_EQ(mgr_->resolve_host_ptr(dev + 65), dev + 65);
    EXPECT_EQ(mgr_->resolve_host_ptr(dev + 128), nullptr);
    EXPECT_EQ(mgr_->resolve_host_ptr(dev + 255), dev + 255);
    EXPECT_EQ(errors(), 0u);
    EXPECT_EQ(mgr_->resolve_host_ptr(dev + 256), nullptr);
    EXPECT_EQ(mgr_->resolve_host_ptr(nullptr), nullptr);
    EXPECT_EQ(errors(), 2u);
    // The base lookup asks the ranges first.
    EXPECT_EQ(mgr_->release_pointer_for(dev + 64), dev);
}

TEST_F(ManagerTest, ReleasePointerOfTheUnknownIsItself) {
    EXPECT_EQ(mgr_->release_pointer_for(fake(1)), fake(1));
    EXPECT_EQ(mgr_->release_pointer_for(nullptr), nullptr);
}

TEST_F(ManagerTest, ClaimSucceedsOncePerBase) {
    use(identity_ops());
    void *host = nullptr;
    char *dev = static_cast<char *>(mgr_->alloc_and_register_block(256, &host));
    void *out = fake(9);
    EXPECT_FALSE(mgr_->claim_release_pointer(dev, nullptr));
    EXPECT_FALSE(mgr_->claim_release_pointer(nullptr, &out));
    EXPECT_EQ(out, nullptr);
    out = fake(9);
    EXPECT_FALSE(mgr_->claim_release_pointer(fake(1), &out));
    EXPECT_EQ(out, nullptr);
    EXPECT_TRUE(mgr_->claim_release_pointer(dev + 64, &out));
    EXPECT_EQ(out, dev);
    out = nullptr;
    EXPECT_FALSE(mgr_->claim_release_pointer(dev + 128, &out));
    EXPECT_EQ(out, dev);
    mgr_->register_mapping(fake(2), nullptr);
    EXPECT_TRUE(mgr_->claim_release_pointer(fake(2), &out));
    EXPECT_EQ(out, fake(2));
    mgr_->clear_mappings();
    EXPECT_FALSE(mgr_->claim_release_pointer(dev, &out));
    mgr_->register_mapping(dev, host);
    EXPECT_TRUE(mgr_->claim_release_pointer(dev, &out));
}

TEST_F(ManagerTest, FreeBufferTakesTheWholeBlockOnce) {
    MemoryOps ops = identity_ops();
    ops.reg = [this](void *, size_t size, int, void **host) {
        *host = std::malloc(size);
        mgr_->add_malloc_shadow(*host);
        return 0;
    };
    use(ops);
    void *host = nullptr;
    char *dev = static_cast<char *>(mgr_->alloc_and_register_block(256, &host));
    mgr_->register_mapping(dev + 64, fake(5));
    mgr_->free_buffer(dev + 128);
    EXPECT_EQ(memory_.live(), 0u);
    mgr_->free_buffer(dev);
    mgr_->free_buffer(nullptr);
    mgr_->free_buffer(fake(1));
    EXPECT_EQ(memory_.bad_frees(), 0);
    EXPECT_EQ(mgr_->resolve_host_ptr(dev + 64), fake(5));
    EXPECT_EQ(mgr_->resolve_host_ptr(dev + 65), nullptr);
}

TEST_F(ManagerTest, FreedAddressCanBeRegisteredAndFreedAgain) {
    std::vector<void *> freed;
    MemoryOps ops = identity_ops();
    ops.free_ = [&freed](void *ptr) {
        freed.push_back(ptr);
        return 1;
    };
    use(ops);
    for (int round = 0; round < 2; ++round) {
        mgr_->register_mapping(fake(1), fake(2));
        mgr_->free_buffer(fake(1));
    }
    EXPECT_EQ(freed, (Ptrs{fake(1), fake(1)}));
}

TEST_F(ManagerTest, FreeBufferRespectsAForeignClaim) {
    use(identity_ops());
    void *host = nullptr;
    void *dev = mgr_->alloc_and_register_block(64, &host);
    void *out = nullptr;
    ASSERT_TRUE(mgr_->claim_release_pointer(dev, &out));
    mgr_->free_buffer(dev);
    EXPECT_EQ(memory_.live(), 1u);
    EXPECT_EQ(mgr_->resolve_host_ptr(dev), dev);
}

// Manager: release.

TEST_F(ManagerTest, ReleaseOwnedReportsEachBaseOnceInOrder) {
    use(identity_ops());
    void *host = nullptr;
    char *block = static_cast<char *>(mgr_->alloc_and_register_block(256, &host));
    mgr_->push_recycled(1, fake(11), 0);
    mgr_->push_recycled(0, fake(10), 0);
    mgr_->push_recycled(0, block + 64, 1);
    mgr_->push_recycled(0, block, 2);
    mgr_->retire_unqueued_buffer(0, fake(20), 0);
    mgr_->retire_unqueued_buffer(0, fake(21), 0);
    mgr_->retire_unqueued_buffer(0, nullptr, 0);
    mgr_->notify_copy_done(block + 128, 0, 0);
    mgr_->notify_copy_done(fake(30), 0, 0);
    mgr_->push_to_ready(info(40), 1);
    mgr_->push_to_ready(info(10), 2);
    EXPECT_EQ(owned(), (Ptrs{fake(10), fake(11), block, fake(21), fake(20), fake(30), fake(40)}));
    EXPECT_EQ(owned(), Ptrs{});
    // Mappings and claims are untouched.
    EXPECT_EQ(mgr_->resolve_host_ptr(block), block);
    void *out = nullptr;
    EXPECT_TRUE(mgr_->claim_release_pointer(block, &out));
}

TEST_F(ManagerTest, ReleaseFunctionMayReenter) {
    use(identity_ops());
    ASSERT_EQ(mgr_->allocate_recycled_batch(0, 64, 3, 0), 3u);
    size_t claims = 0;
    mgr_->release_owned_buffers([this, &claims](void *ptr) {
        void *base = nullptr;
        claims += mgr_->claim_release_pointer(ptr, &base) ? 1 : 0;
        EXPECT_EQ(mgr_->release_pointer_for(ptr), ptr);
        EXPECT_EQ(mgr_->resolve_host_ptr(ptr), ptr);
    });
    EXPECT_EQ(claims, 1u);
}

TEST_F(ManagerTest, ReleaseAllOwnedReachesEveryMappingAscending) {
    use(identity_ops());
    mgr_->register_mapping(fake(3), nullptr);
    mgr_->register_mapping(fake(1), fake(50));
    mgr_->register_mapping(nullptr, fake(51));
    void *shadow = std::malloc(16);
    mgr_->add_malloc_shadow(shadow);
    mgr_->add_malloc_shadow(shadow);
    mgr_->add_malloc_shadow(nullptr);
    mgr_->register_mapping(fake(2), shadow);
    void *host = nullptr;
    char *block = static_cast<char *>(mgr_->alloc_and_register_block(256, &host));
    mgr_->register_mapping(block + 64, block + 64);
    void *out = nullptr;
    mgr_->claim_release_pointer(fake(1), &out);
    mgr_->push_recycled(0, fake(70), 0);

    Ptrs released;
    mgr_->release_all_owned([&released](void *ptr) { released.push_back(ptr); });
    Ptrs expected{fake(1), fake(2), fake(3), block};
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(released, expected);
    EXPECT_TRUE(mgr_->recycled_empty());
    released.clear();
    mgr_->release_all_owned([&released](void *ptr) { released.push_back(ptr); });
    EXPECT_EQ(released, Ptrs{});
    EXPECT_EQ(owned(), Ptrs{});
}

TEST_F(ManagerTest, ClearMappingsForgetsWithoutDeviceCallbacks) {
    use(identity_ops());
    void *host = nullptr;
    void *dev = mgr_->alloc_and_register_block(64, &host);
    void *shadow = std::malloc(16);
    mgr_->add_malloc_shadow(shadow);
    mgr_->register_mapping(fake(1), shadow);
    mgr_->register_mapping(fake(2), shadow);
    mgr_->clear_mappings();
    mgr_->clear_mappings();
    EXPECT_EQ(memory_.live(), 1u);
    EXPECT_EQ(mgr_->resolve_host_ptr(dev), nullptr);
    EXPECT_EQ(mgr_->resolve_host_ptr(fake(1)), nullptr);
}

TEST_F(ManagerTest, DestructorCallsNothing) {
    use(identity_ops());
    ASSERT_EQ(mgr_->allocate_recycled_batch(0, 64, 2, 0), 2u);
    mgr_.reset();
    EXPECT_EQ(memory_.live(), 1u);
}

// Manager: transfers.

class TransferTest : public ManagerTest {
  protected:
    MemoryOps copying_ops() {
        MemoryOps ops;
        ops.copy_to_device = [this](void *dst, const void *src, size_t size) {
            calls_.push_back({dst, src, size});
            return rc_;
        };
        ops.copy_from_device = ops.copy_to_device;
        return ops;
    }

    struct Call {
        const void *dst;
        const void *src;
        size_t size;
    };

    static constexpr size_t kSize = 256;
    char *const dev_ = static_cast<char *>(fake(1));
    char *const host_ = static_cast<char *>(fake(2));
    std::vector<Call> calls_;
    int rc_ = 0;
};

TEST_F(TransferTest, NothingHappensWithoutMemoryOrCallbacks) {
    const auto touch_all = [this] {
        EXPECT_EQ(mgr_->mirror_shm_from_device(), 0);
        EXPECT_EQ(mgr_->write_range_to_device(host_ + 4096, 4), 0);
        EXPECT_EQ(mgr_->read_range_from_device(host_ + 4096, 4), 0);
    };
    mgr_->set_memory_context(copying_ops(), nullptr, host_, kSize, 0);
    touch_all();
    mgr_->set_memory_context(copying_ops(), dev_, nullptr, kSize, 0);
    touch_all();
    mgr_->set_memory_context(copying_ops(), dev_, host_, 0, 0);
    touch_all();
    mgr_->set_memory_context(MemoryOps{}, dev_, host_, kSize, 0);
    touch_all();
    EXPECT_EQ(mgr_->copy_buffer_from_device(host_, dev_, 4), 0);
    EXPECT_EQ(mgr_->copy_buffer_to_device(dev_, host_, 4), 0);
    EXPECT_TRUE(calls_.empty());
    EXPECT_EQ(errors(), 0u);
}

TEST_F(TransferTest, FieldsKeepTheirOffset) {
    mgr_->set_memory_context(copying_ops(), dev_, host_, kSize, 0);
    EXPECT_EQ(mgr_->write_range_to_device(host_ + 252, 4), 0);
    EXPECT_EQ(mgr_->read_range_from_device(host_ + 8, 16), 0);
    EXPECT_EQ(mgr_->mirror_shm_from_device(), 0);
    ASSERT_EQ(calls_.size(), 3u);
    EXPECT_EQ(calls_[0].dst, dev_ + 252);
    EXPECT_EQ(calls_[0].src, host_ + 252);
    EXPECT_EQ(calls_[1].dst, host_ + 8);
    EXPECT_EQ(calls_[1].src, dev_ + 8);
    EXPECT_EQ(calls_[1].size, 16u);
    EXPECT_EQ(calls_[2].size, kSize);
    rc_ = -9;
    EXPECT_EQ(mgr_->write_range_to_device(host_, 4), -9);
    EXPECT_EQ(mgr_->read_range_from_device(host_, 4), -9);
    EXPECT_EQ(mgr_->mirror_shm_from_device(), -9);
    EXPECT_EQ(errors(), 0u);
}

TEST_F(TransferTest, RangesOutsideAreRejected) {
    mgr_->set_memory_context(copying_ops(), dev_, host_, kSize, 0);
    constexpr size_t kHuge = std::numeric_limits<size_t>::max();
    const struct {
        char *field;
        size_t size;
    } bad[] = {{host_ - 4, 4},     {host_ - 2, 4},     {host_ + 254, 4},       {host_ + 256, 1},
               {host_, kSize + 1}, {host_ + 8, kHuge}, {host_ + 8, kHuge - 8}, {dev_, 4}};
    for (const auto &range : bad) {
        EXPECT_EQ(mgr_->write_range_to_device(range.field, range.size), -1);
        EXPECT_EQ(mgr_->read_range_from_device(range.field, range.size), -1);
    }
    EXPECT_TRUE(calls_.empty());
    EXPECT_EQ(errors(), 2 * std::size(bad));
}

TEST_F(TransferTest, BufferCopiesDoNotNeedTheRegion) {
    mgr_->set_memory_context(copying_ops(), nullptr, nullptr, 0, 0);
    rc_ = 4;
    EXPECT_EQ(mgr_->copy_buffer_from_device(fake(8), fake(9), 10), 4);
    EXPECT_EQ(mgr_->copy_buffer_to_device(fake(10), fake(11), 12), 4);
    ASSERT_EQ(calls_.size(), 2u);
    EXPECT_EQ(calls_[0].dst, fake(8));
    EXPECT_EQ(calls_[1].src, fake(11));
    EXPECT_EQ(calls_[1].size, 12u);
}

// InitRollbackGuard.

TEST_F(ManagerTest, RollbackReleasesDirectPointersThenTheManager) {
    Ptrs released;
    const auto release = [&released](void *ptr) {
        released.push_back(ptr);
        return 0;
    };
    mgr_->register_mapping(fake(2), nullptr);
    mgr_->register_mapping(fake(1), nullptr);
    {
        InitRollbackGuard<Manager> guard(*mgr_, release);
        guard.add_direct_ptr(fake(9));
        guard.add_direct_ptr(nullptr);
        guard.add_direct_ptr(fake(8));
    }
    EXPECT_EQ(released, (Ptrs{fake(9), fake(8), fake(1), fake(2)}));
}

TEST_F(ManagerTest, CommitDisarmsTheRollback) {
    size_t released = 0;
    mgr_->register_mapping(fake(1), fake(2));
    {
        InitRollbackGuard<Manager> guard(*mgr_, [&released](void *) {
            ++released;
            return 0;
        });
        guard.add_direct_ptr(fake(9));
        guard.commit();
    }
    EXPECT_EQ(released, 0u);
    EXPECT_EQ(mgr_->resolve_host_ptr(fake(1)), fake(2));
}

TEST_F(ManagerTest, RollbackWithoutReleaseFunctionStillClears) {
    void *shadow = std::malloc(16);
    mgr_->add_malloc_shadow(shadow);
    mgr_->register_mapping(fake(1), shadow);
    {
        InitRollbackGuard<Manager> guard(*mgr_, nullptr);
        guard.add_direct_ptr(fake(9));
    }
    EXPECT_EQ(mgr_->resolve_host_ptr(fake(1)), nullptr);
}

// Algorithms, driven by hand, no.
// threads

template <typename Module> class AlgorithmFixture : public ::testing::TestWithParam<toy::Sharing> {
  protected:
    using Manager = BufferPoolManager<Module>;
    using Algorithms = ProfilerAlgorithms<Module>;

    AlgorithmFixture() : region_(GetParam()) {}

    void SetUp() override {
        toy::Knobs<Module::kBufferKinds>::reset();
        MemoryOps ops;
        ops.alloc = [this](size_t size) { return region_.memory.alloc(size); };
        ops.free_ = [this](void *ptr) { return region_.memory.free(ptr); };
        ops.reg = [this](void *dev, size_t size, int, void **host) {
            *host = host_view(dev, size);
            return 0;
        };
        ops.copy_to_device = region_.copy_to_device();
        ops.copy_from_device = region_.copy_from_device();
        mgr_->set_memory_context(ops, region_.dev, region_.host, sizeof(*region_.dev), 0);
        log_capture::reset();
    }

    void TearDown() override { mgr_->clear_mappings(); }

    void *host_view(void *dev, size_t size) {
        if (!region_.shadowed()) {
            return dev;
        }
        void *host = std::calloc(1, size);
        mgr_->add_malloc_shadow(host);
        return host;
    }

    void *new_buffer() {
        void *dev = region_.memory.alloc(sizeof(toy::Buffer));
        mgr_->register_mapping(dev, host_view(dev, sizeof(toy::Buffer)));
        return dev;
    }

    Ptrs seed_lane(int kind, int shard, int count) {
        Ptrs seeded;
        for (int i = 0; i < count; ++i) {
            seeded.push_back(new_buffer());
            EXPECT_TRUE(mgr_->push_recycled(kind, seeded.back(), shard));
        }
        return seeded;
    }

    // Publishes a fresh buffer on queue q as the device would.
    toy::Buffer *publish(int q, uint64_t sequence, int kind = 0, int instance = -1) {
        auto *buffer = static_cast<toy::Buffer *>(new_buffer());
        toy::DeviceLane<Module> lane(region_.dev, q, kind, instance < 0 ? q : instance);
        EXPECT_TRUE(lane.publish(buffer, sequence));
        return buffer;
    }

    bool pop(int q, toy::ReadyEntry &out, bool refresh = true) {
        return Algorithms::try_pop_aicpu_entry(*mgr_, region_.host, q, out, refresh);
    }

    // Pops and processes one entry.
    bool step(int q) {
        toy::ReadyEntry entry{};
        if (!pop(q, entry)) {
            return false;
        }
        Algorithms::process_entry(*mgr_, region_.host, q, entry);
        return true;
    }

    // What the device would find in a free queue.
    Ptrs device_free(int kind, int instance) const {
        const toy::FreeQueue &fq = region_.dev->free_queues[kind][instance];
        Ptrs content;
        for (uint32_t i = fq.head; i != fq.tail; ++i) {
            content.push_back(reinterpret_cast<void *>(static_cast<uintptr_t>(fq.buffer_ptrs[i % toy::kSlots])));
        }
        return content;
    }

    toy::FreeQueue &host_free(int kind, int instance) { return region_.host->free_queues[kind][instance]; }

    size_t allocations() const { return region_.memory.sizes().size(); }

    bool knows(void *buffer) {
        bool found = false;
        mgr_->release_owned_buffers([&found, buffer](void *ptr) { found = found || ptr == buffer; });
        return found;
    }

    toy::Region<Module> region_;
    std::unique_ptr<Manager> mgr_ = std::make_unique<Manager>();
};

std::string sharing_name(const ::testing::TestParamInfo<toy::Sharing> &info) {
    return info.param == toy::Sharing::kSvm ? "Svm" : "Shadow";
}

const auto kBothSharings = ::testing::Values(toy::Sharing::kSvm, toy::Sharing::kShadow);

class PopTest : public AlgorithmFixture<toy::Module> {};
INSTANTIATE_TEST_SUITE_P(Reference, PopTest, kBothSharings, sharing_name);

TEST_P(PopTest, TakesEntriesInOrderOverManyLaps) {
    toy::ReadyEntry out{};
    EXPECT_FALSE(pop(1, out));
    uint64_t next = 1;
    for (uint64_t sequence = 1; sequence <= 50; ++sequence) {
        void *buffer = publish(1, sequence);
        if (sequence % 7 != 0) {
            continue;
        }
        for (; next <= sequence; ++next) {
            ASSERT_TRUE(pop(1, out));
            EXPECT_EQ(out.sequence, next);
        }
        EXPECT_EQ(out.buffer_ptr, address(buffer));
        ASSERT_FALSE(pop(1, out));
    }
    EXPECT_EQ(region_.dev->queue_heads[1], 49 % toy::kReadySize);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(PopTest, InvalidIndicesAreReportedAndLeftAlone) {
    toy::ReadyEntry out{};
    region_.dev->queue_tails[0] = toy::kReadySize;
    EXPECT_FALSE(pop(0, out));
    EXPECT_EQ(errors(), 1u);
    region_.dev->queue_tails[0] = 1;
    region_.dev->queue_heads[0] = 0xffffffffu;
    region_.host->queue_heads[0] = 0xffffffffu;
    EXPECT_FALSE(pop(0, out));
    EXPECT_EQ(errors(), 2u);
    EXPECT_EQ(region_.dev->queue_heads[0], 0xffffffffu);
}

TEST_P(PopTest, NullEntryIsNotYetPublished) {
    toy::DeviceLane<toy::Module> lane(region_.dev, 0, 0, 0);
    ASSERT_TRUE(lane.publish(nullptr, 1));
    toy::ReadyEntry out{};
    EXPECT_FALSE(pop(0, out));
    EXPECT_EQ(region_.dev->queue_heads[0], 0u);
    void *late = new_buffer();
    region_.dev->queues[0][0].buffer_ptr = address(late);
    EXPECT_TRUE(pop(0, out));
    EXPECT_EQ(out.buffer_ptr, address(late));
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(PopTest, WithoutRefreshTheShadowIndicesCount) {
    publish(0, 1);
    toy::ReadyEntry out{};
    EXPECT_EQ(pop(0, out, false), !region_.shadowed());
    region_.host->queue_tails[0] = region_.dev->queue_tails[0];
    EXPECT_EQ(pop(0, out, false), region_.shadowed());
    EXPECT_EQ(out.sequence, 1u);
}

class PopShadowTest : public PopTest {};
INSTANTIATE_TEST_SUITE_P(Reference, PopShadowTest, ::testing::Values(toy::Sharing::kShadow), sharing_name);

TEST_P(PopShadowTest, AnyFailedTransferLeavesTheEntryQueued) {
    publish(0, 1);
    publish(0, 2);
    toy::ReadyEntry out{};
    for (int k = 1; k <= 3; ++k) {
        region_.from_fault.arm(k);
        EXPECT_FALSE(pop(0, out)) << "read " << k;
        EXPECT_EQ(errors(), static_cast<size_t>(k));
    }
    region_.from_fault.disarm();
    region_.to_fault.arm(1);
    EXPECT_FALSE(pop(0, out));
    EXPECT_EQ(errors(), 4u);
    EXPECT_EQ(region_.host->queue_heads[0], 0u);
    EXPECT_TRUE(pop(0, out));
    EXPECT_EQ(out.sequence, 1u);
    EXPECT_TRUE(pop(0, out));
    EXPECT_EQ(out.sequence, 2u);
    EXPECT_FALSE(pop(0, out));
}

TEST_P(PopShadowTest, OnlyTheHeadIsPushed) {
    publish(2, 1);
    toy::ReadyEntry out{};
    region_.forget_pushes();
    ASSERT_TRUE(pop(2, out));
    const std::vector<std::pair<ptrdiff_t, size_t>> expected{{region_.offset(&region_.host->queue_heads[2]), 4}};
    EXPECT_EQ(region_.pushes(), expected);
}

class ProcessTest : public AlgorithmFixture<toy::Module> {};
INSTANTIATE_TEST_SUITE_P(Reference, ProcessTest, kBothSharings, sharing_name);

TEST_P(ProcessTest, DeliversContentsAndRefillsTheOrigin) {
    const Ptrs empties = seed_lane(1, 2, 2);
    seed_lane(0, 2, 1);
    seed_lane(1, 1, 1);
    void *buffer = publish(2, 77, 1, 0);
    ASSERT_TRUE(step(2));
    toy::ReadyInfo info{};
    ASSERT_TRUE(mgr_->try_pop_ready(info, 2));
    EXPECT_EQ(info.dev_buffer_ptr, buffer);
    EXPECT_EQ(info.host_buffer_ptr, mgr_->resolve_host_ptr(buffer));
    EXPECT_EQ(static_cast<toy::Buffer *>(info.host_buffer_ptr)->sequence, 77u);
    EXPECT_EQ(static_cast<toy::Buffer *>(info.host_buffer_ptr)->queue, 2u);
    EXPECT_EQ(info.kind, 1);
    // Own lane only: the other shard's and the other kind's buffers stay, and nothing is allocated.
    EXPECT_EQ(device_free(1, 0), empties);
    EXPECT_EQ(mgr_->recycled_count(0, 2), 1u);
    EXPECT_EQ(mgr_->recycled_count(1, 1), 1u);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(ProcessTest, NeverAllocates) {
    publish(0, 1);
    const size_t before = allocations();
    ASSERT_TRUE(step(0));
    EXPECT_EQ(allocations(), before);
    EXPECT_TRUE(device_free(0, 0).empty());
}

TEST_P(ProcessTest, StopsRefillingAtFull) {
    seed_lane(0, 0, 5);
    publish(0, 1);
    ASSERT_TRUE(step(0));
    EXPECT_EQ(device_free(0, 0).size(), toy::kSlots);
    EXPECT_EQ(mgr_->recycled_count(0, 0), 1u);
}

TEST_P(ProcessTest, RejectedEntriesAreNotDelivered) {
    publish(0, 1);
    region_.dev->queues[0][0].kind = 9;
    EXPECT_TRUE(step(0));
    publish(0, 2);
    region_.dev->queues[0][1].buffer_ptr = 0x40;
    EXPECT_TRUE(step(0));
    EXPECT_EQ(errors(), 1u);
    publish(0, 3);
    EXPECT_TRUE(step(0));
    toy::ReadyInfo info{};
    ASSERT_TRUE(mgr_->try_pop_ready(info));
    EXPECT_EQ(info.sequence, 3u);
    EXPECT_FALSE(mgr_->try_pop_ready(info));
}

TEST_P(ProcessTest, AFreezeSuspendsTheRefillButNotTheDelivery) {
    seed_lane(0, 0, 3);
    for (int gate = 0; gate < 2; ++gate) {
        region_.host->backpressure.rq_freeze_active = gate == 0 ? 1 : 0;
        region_.host->backpressure.fq_freeze_active = gate == 1 ? 1 : 0;
        publish(0, 1);
        ASSERT_TRUE(step(0));
        toy::ReadyInfo info{};
        EXPECT_TRUE(mgr_->try_pop_ready(info));
        EXPECT_TRUE(device_free(0, 0).empty());
    }
    EXPECT_EQ(mgr_->recycled_count(0, 0), 3u);
}

class ProcessShadowTest : public ProcessTest {};
INSTANTIATE_TEST_SUITE_P(Reference, ProcessShadowTest, ::testing::Values(toy::Sharing::kShadow), sharing_name);

TEST_P(ProcessShadowTest, FailedContentCopyIsNotDelivered) {
    publish(0, 1);
    publish(0, 2);
    toy::ReadyEntry entry{};
    ASSERT_TRUE(pop(0, entry));
    region_.from_fault.arm(1);
    Algorithms::process_entry(*mgr_, region_.host, 0, entry);
    EXPECT_EQ(errors(), 1u);
    ASSERT_TRUE(step(0));
    toy::ReadyInfo info{};
    ASSERT_TRUE(mgr_->try_pop_ready(info));
    EXPECT_EQ(info.sequence, 2u);
}

TEST_P(ProcessShadowTest, FailedSlotOrTailPushRollsBackAndRetires) {
    // Pushes of a top-up: slot, tail. A failed one means not landed here.
    for (int k = 1; k <= 2; ++k) {
        SCOPED_TRACE(k);
        const Ptrs empties = seed_lane(0, 0, 1);
        publish(0, 1);
        toy::ReadyEntry entry{};
        ASSERT_TRUE(pop(0, entry));
        const uint64_t old_slot = host_free(0, 0).buffer_ptrs[0];
        region_.to_fault.arm(k);
        log_capture::reset();
        Algorithms::process_entry(*mgr_, region_.host, 0, entry);
        EXPECT_GE(errors(), 1u);
        EXPECT_EQ(host_free(0, 0).tail, 0u);
        EXPECT_EQ(host_free(0, 0).buffer_ptrs[0], old_slot);
        EXPECT_TRUE(device_free(0, 0).empty());
        EXPECT_EQ(mgr_->recycled_count(0, 0), 0u);
        toy::ReadyInfo info{};
        EXPECT_TRUE(mgr_->try_pop_ready(info));
        EXPECT_TRUE(knows(empties[0]));
    }
}

TEST_P(ProcessShadowTest, PartialRefillKeepsWhatWasPublished) {
    const Ptrs empties = seed_lane(0, 0, 3);
    publish(0, 1);
    toy::ReadyEntry entry{};
    ASSERT_TRUE(pop(0, entry));
    region_.to_fault.arm(3);
    Algorithms::process_entry(*mgr_, region_.host, 0, entry);
    EXPECT_EQ(device_free(0, 0), (Ptrs{empties[0]}));
    EXPECT_EQ(mgr_->pop_recycled(0, 0), empties[2]);
    EXPECT_TRUE(knows(empties[1]));
}

TEST_P(ProcessShadowTest, UnreadableHeadCountsAsFull) {
    seed_lane(0, 0, 3);
    publish(0, 1);
    toy::ReadyEntry entry{};
    ASSERT_TRUE(pop(0, entry));
    // Reads of process_entry: the contents, then the head of the free queue.
    region_.from_fault.arm(2);
    Algorithms::process_entry(*mgr_, region_.host, 0, entry);
    EXPECT_EQ(errors(), 1u);
    EXPECT_TRUE(device_free(0, 0).empty());
    EXPECT_EQ(mgr_->recycled_count(0, 0), 3u);
    toy::ReadyInfo info{};
    EXPECT_TRUE(mgr_->try_pop_ready(info));
}

TEST_P(ProcessShadowTest, HeadThatFailsBeforeTheSlotRetiresTheBuffer) {
    const Ptrs empties = seed_lane(0, 0, 1);
    publish(0, 1);
    toy::ReadyEntry entry{};
    ASSERT_TRUE(pop(0, entry));
    region_.from_fault.arm(3);
    Algorithms::process_entry(*mgr_, region_.host, 0, entry);
    EXPECT_GE(errors(), 1u);
    EXPECT_TRUE(device_free(0, 0).empty());
    EXPECT_EQ(mgr_->recycled_count(0, 0), 0u);
    EXPECT_TRUE(knows(empties[0]));
}

TEST_P(ProcessShadowTest, PushesOnlySlotAndTail) {
    seed_lane(0, 0, 1);
    publish(0, 1);
    toy::ReadyEntry entry{};
    ASSERT_TRUE(pop(0, entry));
    region_.forget_pushes();
    Algorithms::process_entry(*mgr_, region_.host, 0, entry);
    const std::vector<std::pair<ptrdiff_t, size_t>> expected{{region_.offset(&host_free(0, 0).buffer_ptrs[0]), 8},
                                                             {region_.offset(&host_free(0, 0).tail), 4}};
    EXPECT_EQ(region_.pushes(), expected);
}

class ReplenishTest : public AlgorithmFixture<toy::Module> {
  protected:
    uint64_t fill_queues() { return Algorithms::replenish_free_queues(*mgr_, region_.host); }
    uint64_t fill_lanes() { return Algorithms::replenish_recycled_pools(*mgr_, region_.host); }
};
INSTANTIATE_TEST_SUITE_P(Reference, ReplenishTest, kBothSharings, sharing_name);

TEST_P(ReplenishTest, FillsEveryInstanceFromLanesBeforeAllocating) {
    toy::Knobs<2>::batch = 4;
    const Ptrs pooled = seed_lane(0, 1, 2);
    const size_t before = allocations();
    const size_t slots = toy::kInstances * toy::kSlots;
    EXPECT_EQ(fill_queues(), 2 * slots);
    // Kind 0 misses two buffers less, but blocks come in fours.
    EXPECT_EQ(allocations() - before, (slots - 2 + 3) / 4 + slots / 4);
    std::set<void *> distinct;
    for (int kind = 0; kind < 2; ++kind) {
        for (int i = 0; i < toy::kInstances; ++i) {
            const Ptrs content = device_free(kind, i);
            EXPECT_EQ(content.size(), toy::kSlots);
            distinct.insert(content.begin(), content.end());
        }
    }
    EXPECT_EQ(distinct.size(), 2 * slots);
    EXPECT_EQ(device_free(0, 0)[0], pooled[0]);
    EXPECT_EQ(device_free(0, 0)[1], pooled[1]);
    EXPECT_EQ(fill_queues(), 0u);
    EXPECT_EQ(toy::Knobs<2>::metadata_refreshes, 2);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(ReplenishTest, CountersWrapAt32Bits) {
    for (auto *header : {region_.dev, region_.host}) {
        header->free_queues[0][0].head = 0xfffffffeu;
        header->free_queues[0][0].tail = 0xffffffffu;
        header->live_instances = 1;
    }
    const Ptrs pooled = seed_lane(0, 0, 3);
    seed_lane(1, 0, 4);
    EXPECT_EQ(fill_queues(), 7u);
    EXPECT_EQ(region_.dev->free_queues[0][0].tail, 2u);
    const Ptrs content = device_free(0, 0);
    ASSERT_EQ(content.size(), toy::kSlots);
    EXPECT_EQ(Ptrs(content.begin() + 1, content.end()), pooled);
}

TEST_P(ReplenishTest, DryAllocatorLeavesTheRest) {
    region_.memory.alloc_fault.arm(1, 1000);
    seed_lane(0, 0, 0);
    EXPECT_EQ(fill_queues(), 0u);
    region_.memory.alloc_fault.disarm();
    EXPECT_GT(fill_queues(), 0u);
}

TEST_P(ReplenishTest, MetadataHookDecidesTheInstances) {
    region_.host->live_instances = region_.shadowed() ? 0 : 2;
    region_.dev->live_instances = 2;
    EXPECT_EQ(fill_queues(), 2 * 2 * toy::kSlots);
}

TEST_P(ReplenishTest, LaneAtItsTargetCostsNothing) {
    toy::Knobs<2>::warm_target[0] = 2;
    mgr_->set_shard_count(2);
    seed_lane(0, 0, 2);
    seed_lane(0, 1, 3);
    const size_t before = allocations();
    EXPECT_EQ(fill_lanes(), 0u);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(toy::Knobs<2>::last_shard_count, 2);
    EXPECT_EQ(toy::Knobs<2>::metadata_refreshes, 0);
}

TEST_P(ReplenishTest, SmallGapStillAllocatesAFullRound) {
    toy::Knobs<2>::warm_target[0] = 1;
    mgr_->set_shard_count(2);
    seed_lane(0, 1, 1);
    const size_t before = allocations();
    EXPECT_EQ(fill_lanes(), toy::kSlots);
    EXPECT_EQ(allocations(), before + 1);
    EXPECT_EQ(mgr_->recycled_count(0, 0), toy::kSlots);
    EXPECT_EQ(mgr_->recycled_count(0, 1), 1u);
    EXPECT_EQ(mgr_->recycled_count(1), 0u);
}

TEST_P(ReplenishTest, LargeGapIsOneAllocationAndTheTargetIsClamped) {
    toy::Knobs<2>::warm_target[1] = 100;
    mgr_->set_shard_count(1);
    const size_t before = allocations();
    EXPECT_EQ(fill_lanes(), 5u);
    EXPECT_EQ(allocations(), before + 1);
    EXPECT_EQ(mgr_->recycled_count(1, 0), 5u);
    EXPECT_EQ(warnings(), 1u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(ReplenishTest, KindsWithoutInstancesAreSkipped) {
    toy::Knobs<2>::warm_target[0] = 2;
    region_.host->live_instances = 0;
    EXPECT_EQ(fill_lanes(), 0u);
}

TEST_P(ReplenishTest, ReturnedBuffersComeBeforeAllocation) {
    toy::Knobs<2>::warm_target[0] = 1;
    mgr_->set_shard_count(4);
    for (int i = 0; i < 4; ++i) {
        mgr_->notify_copy_done(new_buffer(), 0, 3);
    }
    const size_t before = allocations();
    EXPECT_EQ(mgr_->drain_done_into_recycled(), 4u);
    EXPECT_EQ(fill_lanes(), 0u);
    EXPECT_EQ(allocations(), before);
}

TEST_P(ReplenishTest, ProactiveDoesQueuesThenLanes) {
    toy::Knobs<2>::warm_target[0] = 4;
    mgr_->set_shard_count(1);
    const uint64_t total = Algorithms::proactive_replenish(*mgr_, region_.host);
    EXPECT_EQ(total, 2 * toy::kInstances * toy::kSlots + 4);
    EXPECT_EQ(mgr_->recycled_count(0, 0), 4u);
}

class FreezeTest : public AlgorithmFixture<toy::Module> {
  protected:
    void SetUp() override {
        AlgorithmFixture<toy::Module>::SetUp();
        for (auto *header : {region_.dev, region_.host}) {
            header->live_instances = 1;
        }
        seed_lane(1, 0, toy::kSlots);
        seed_lane(0, 0, toy::kSlots);
        ASSERT_EQ(Algorithms::replenish_free_queues(*mgr_, region_.host), 2 * toy::kSlots);
        log_capture::reset();
    }

    void tick(bool extra = true) { Algorithms::update_backpressure_freeze(*mgr_, region_.host, extra); }

    void take_one_free() { region_.dev->free_queues[0][0].head = region_.dev->free_queues[0][0].head + 1; }

    // Both gates as the device sees them.
    std::pair<uint32_t, uint32_t> gates() const {
        return {region_.dev->backpressure.rq_freeze_active, region_.dev->backpressure.fq_freeze_active};
    }

    using Gates = std::pair<uint32_t, uint32_t>;
};
INSTANTIATE_TEST_SUITE_P(Reference, FreezeTest, kBothSharings, sharing_name);

TEST_P(FreezeTest, IdleDoesNothing) {
    region_.forget_pushes();
    publish(0, 1);
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
    EXPECT_TRUE(region_.pushes().empty());
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(FreezeTest, EachGateOpensOnItsOwnWord) {
    publish(0, 1);
    region_.dev->backpressure.rq_contended = 1;
    tick();
    EXPECT_EQ(gates(), (Gates{1, 0}));
    EXPECT_EQ(region_.dev->backpressure.rq_contended, 0u);
    EXPECT_EQ(warnings(), 1u);
    region_.dev->backpressure.fq_contended = 1;
    tick();
    EXPECT_EQ(gates(), (Gates{1, 1}));
    EXPECT_EQ(region_.dev->backpressure.fq_contended, 0u);
    EXPECT_EQ(warnings(), 2u);
}

TEST_P(FreezeTest, LateContentionStaysAndReopens) {
    publish(0, 1);
    region_.dev->backpressure.fq_contended = 1;
    tick();
    region_.dev->backpressure.fq_contended = 1;
    tick();
    EXPECT_EQ(region_.dev->backpressure.fq_contended, 1u);
    EXPECT_EQ(warnings(), 1u);
    ASSERT_TRUE(step(0));
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
    EXPECT_EQ(warnings(), 2u);
    EXPECT_EQ(region_.dev->backpressure.fq_contended, 1u);
    publish(0, 2);
    tick();
    EXPECT_EQ(gates(), (Gates{0, 1}));
    EXPECT_EQ(region_.dev->backpressure.fq_contended, 0u);
}

TEST_P(FreezeTest, HoldsWhileEntriesAreQueued) {
    publish(0, 1);
    region_.dev->backpressure.rq_contended = 1;
    for (int i = 0; i < 3; ++i) {
        tick();
        EXPECT_EQ(gates(), (Gates{1, 0}));
    }
    ASSERT_TRUE(step(0));
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
}

TEST_P(FreezeTest, RefillsBeforeItReleases) {
    take_one_free();
    take_one_free();
    region_.dev->backpressure.fq_contended = 1;
    tick();
    EXPECT_EQ(gates(), (Gates{0, 1}));
    EXPECT_EQ(device_free(0, 0).size(), toy::kSlots);
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
    EXPECT_EQ(warnings(), 2u);
}

TEST_P(FreezeTest, WithNothingToRefillOneCallOpensAndReleases) {
    region_.dev->backpressure.rq_contended = 1;
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
    EXPECT_EQ(warnings(), 2u);
}

TEST_P(FreezeTest, DryAllocatorDoesNotHoldTheRelease) {
    take_one_free();
    region_.memory.alloc_fault.arm(1, 1000);
    region_.dev->backpressure.fq_contended = 1;
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
    EXPECT_EQ(device_free(0, 0).size(), toy::kSlots - 1);
}

TEST_P(FreezeTest, SubsystemPredicateHoldsTheRelease) {
    region_.dev->backpressure.fq_contended = 1;
    tick(false);
    tick(false);
    EXPECT_EQ(gates(), (Gates{0, 1}));
    // Both gates leave in the same tick.
    region_.dev->backpressure.rq_contended = 1;
    tick(false);
    EXPECT_EQ(gates(), (Gates{1, 1}));
    tick(true);
    EXPECT_EQ(gates(), (Gates{0, 0}));
    EXPECT_EQ(warnings(), 3u);
}

class FreezeShadowTest : public FreezeTest {};
INSTANTIATE_TEST_SUITE_P(Reference, FreezeShadowTest, ::testing::Values(toy::Sharing::kShadow), sharing_name);

TEST_P(FreezeShadowTest, FreezeIsPushedBeforeContentionIsCleared) {
    region_.forget_pushes();
    region_.dev->backpressure.fq_contended = 1;
    tick();
    const auto &bp = region_.host->backpressure;
    const std::vector<std::pair<ptrdiff_t, size_t>> expected{{region_.offset(&bp.fq_freeze_active), 4},
                                                             {region_.offset(&bp.fq_contended), 4},
                                                             {region_.offset(&bp.fq_freeze_active), 4}};
    EXPECT_EQ(region_.pushes(), expected);
}

TEST_P(FreezeShadowTest, UnreadableContentionDoesNotOpen) {
    region_.dev->backpressure.rq_contended = 1;
    region_.from_fault.arm(1);
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
    EXPECT_EQ(warnings(), 0u);
    publish(0, 1);
    tick();
    EXPECT_EQ(gates(), (Gates{1, 0}));
}

TEST_P(FreezeShadowTest, UnreadableTailsHoldTheRelease) {
    region_.dev->backpressure.rq_contended = 1;
    // Reads of an opening tick: both contended words, then the tails.
    region_.from_fault.arm(3);
    tick();
    EXPECT_EQ(gates(), (Gates{1, 0}));
    region_.from_fault.disarm();
    tick();
    EXPECT_EQ(gates(), (Gates{0, 0}));
}

// ProfilerBase.
// lifecycle

// Collects what it is given; the framework protects one shard's record with the serial calls of that shard (H10).
class ToyProfiler : public ProfilerBase<ToyProfiler, toy::WideModule> {
  public:
    static constexpr int kIdleTimeoutSec = 0;
    static constexpr const char *kSubsystemName = "ToyProfiler";

    struct Delivery {
        uint32_t queue;
        uint64_t sequence;
        uint64_t content;
    };

    ~ToyProfiler() { stop(); }

    void on_buffer_collected(const ReadyBufferInfo &info, int shard) {
        const auto *buffer = static_cast<const toy::Buffer *>(info.host_buffer_ptr);
        deliveries[shard].push_back({info.queue, info.sequence, buffer->sequence});
        collected[info.queue].fetch_add(1);
        total.fetch_add(1);
    }

    using ProfilerBase::alloc_paired_buffer;
    using ProfilerBase::release_one_buffer;

    bool complete() const { return execution_complete_.load(); }
    bool has_shm() const { return shm_host_ != nullptr || shm_dev_ != nullptr; }

    std::vector<Delivery> deliveries[toy::kQueues];
    std::atomic<uint64_t> collected[toy::kQueues] = {};
    std::atomic<uint64_t> total{0};
};

class LifecycleTest : public ::testing::TestWithParam<toy::Sharing> {
  protected:
    static constexpr uint32_t kBuffersPerQueue = 16;

    LifecycleTest() : region_(GetParam()), profiler_(std::make_unique<ToyProfiler>()) {}

    void SetUp() override {
        toy::Knobs<1>::reset();
        log_capture::reset();
    }

    void TearDown() override {
        profiler_->stop();
        profiler_->manager().clear_mappings();
    }

    void stash_context(bool with_shm = true) {
        profiler_->set_memory_context([this](size_t size) { return region_.memory.alloc(size); }, nullptr,
                                      [this](void *ptr) { return region_.memory.free(ptr); }, region_.copy_to_device(),
                                      region_.copy_from_device(), with_shm ? region_.dev : nullptr,
                                      with_shm ? region_.host : nullptr, sizeof(*region_.dev), 0);
    }

    // As collectors do it: shard count first, then the first buffers of a queue straight into its free queue and the
    // rest into the lane of its shard. (start() would take all of them from lane 0 first: W27.)
    void init(int threads, bool prefill = true) {
        threads_ = threads;
        profiler_->set_aicpu_thread_num(threads);
        stash_context();
        for (auto *header : {region_.dev, region_.host}) {
            header->live_instances = static_cast<uint32_t>(threads);
        }
        for (int q = 0; q < threads; ++q) {
            for (uint32_t i = 0; i < kBuffersPerQueue; ++i) {
                void *host = nullptr;
                void *dev = profiler_->alloc_paired_buffer(sizeof(toy::Buffer), &host);
                ASSERT_NE(dev, nullptr);
                if (prefill && i < toy::kSlots) {
                    for (auto *header : {region_.dev, region_.host}) {
                        header->free_queues[0][q].buffer_ptrs[i] = address(dev);
                        header->free_queues[0][q].tail = i + 1;
                    }
                } else {
                    ASSERT_TRUE(profiler_->manager().push_recycled(0, dev, q));
                }
            }
        }
    }

    // Plays device thread q for `count` buffers. It publishes only while the lane can replace what is in flight: a
    // queue that runs empty without any gate has nobody to refill it (W17), and the gates are tested by hand.
    void play(int q, uint64_t count) {
        toy::DeviceLane<toy::WideModule> lane(region_.dev, q, 0, q);
        for (uint64_t sequence = 0; sequence < count; ++sequence) {
            const bool replaceable = eventually([this, q] {
                // Collected first: entries in flight can only have become fewer when the lane is read.
                const uint64_t in_flight = published_[q] - profiler_->collected[q];
                return profiler_->manager().recycled_count(0, q) > in_flight;
            });
            ++published_[q];
            toy::Buffer *buffer = nullptr;
            const bool taken = eventually([&lane, &buffer] { return (buffer = lane.take_free()) != nullptr; });
            ASSERT_TRUE(replaceable && taken) << "queue " << q << " starves at " << sequence;
            ASSERT_TRUE(eventually([&] { return lane.publish(buffer, sequence); })) << "queue " << q << " is stuck";
        }
    }

    // Publishes one free queue's worth without waiting for anybody; the ready queue must be empty.
    uint64_t burst(int q) {
        toy::DeviceLane<toy::WideModule> lane(region_.dev, q, 0, q);
        uint64_t sequence = 0;
        while (sequence < toy::kSlots) {
            toy::Buffer *buffer = lane.take_free();
            if (buffer == nullptr) {
                break;
            }
            EXPECT_TRUE(lane.publish(buffer, sequence++));
        }
        return sequence;
    }

    // Every queue's sequence complete and in order, in the shard it belongs to, with the contents of its buffer.
    void expect_complete(uint64_t per_queue) {
        const uint32_t shards = static_cast<uint32_t>(profiler_->manager().shard_count());
        std::vector<uint64_t> next(toy::kQueues, 0);
        for (uint32_t shard = 0; shard < toy::kQueues; ++shard) {
            for (const ToyProfiler::Delivery &d : profiler_->deliveries[shard]) {
                ASSERT_EQ(d.queue % shards, shard);
                ASSERT_EQ(d.sequence, next[d.queue]++);
                ASSERT_EQ(d.content, d.sequence);
            }
        }
        for (int q = 0; q < threads_; ++q) {
            EXPECT_EQ(next[static_cast<size_t>(q)], per_queue);
        }
    }

    // Where every buffer of the pool is after stop: host queues and device free queues, none twice.
    std::multiset<void *> account() {
        std::multiset<void *> pool;
        profiler_->manager().release_owned_buffers([&pool](void *ptr) { pool.insert(ptr); });
        for (int q = 0; q < threads_; ++q) {
            toy::DeviceLane<toy::WideModule> lane(region_.dev, q, 0, q);
            while (toy::Buffer *buffer = lane.take_free()) {
                pool.insert(buffer);
            }
        }
        return pool;
    }

    toy::Region<toy::WideModule> region_;
    std::unique_ptr<ToyProfiler> profiler_;
    std::atomic<uint64_t> published_[toy::kQueues] = {};
    int threads_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Reference, LifecycleTest, kBothSharings, sharing_name);

TEST_P(LifecycleTest, WithoutSharedMemoryStartDoesNothing) {
    stash_context(false);
    profiler_->start(nullptr);
    EXPECT_EQ(profiler_->manager().device_id(), -1);
    profiler_->stop();
    profiler_->stop();
    EXPECT_TRUE(profiler_->complete());
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(LifecycleTest, UnsetThreadNumberWarnsAndUsesTheMaximum) {
    stash_context();
    std::atomic<int> threads{0};
    profiler_->start([&threads](std::function<void()> body) {
        ++threads;
        return std::thread(std::move(body));
    });
    EXPECT_EQ(threads, 2 * PLATFORM_MAX_AICPU_THREADS + 1);
    EXPECT_EQ(warnings(), 1u);
    EXPECT_FALSE(profiler_->complete());
    profiler_->stop();
    EXPECT_TRUE(profiler_->complete());
    EXPECT_EQ(errors(), 0u);
}

TEST_P(LifecycleTest, InvalidThreadNumbersStartNothing) {
    for (const int threads : {0, -3, PLATFORM_MAX_AICPU_THREADS + 1}) {
        profiler_->set_aicpu_thread_num(threads);
        stash_context();
        log_capture::reset();
        profiler_->start([](std::function<void()> body) {
            ADD_FAILURE() << "thread created";
            return std::thread(std::move(body));
        });
        EXPECT_EQ(errors(), 1u);
        EXPECT_EQ(profiler_->manager().shared_mem_dev(), nullptr);
    }
}

TEST_P(LifecycleTest, StartPublishesTheContextAndFillsTheQueues) {
    init(2, false);
    EXPECT_EQ(profiler_->manager().shard_count(), 2);
    EXPECT_EQ(profiler_->manager().shared_mem_dev(), nullptr);
    profiler_->start(nullptr);
    EXPECT_EQ(profiler_->manager().shared_mem_dev(), region_.dev);
    EXPECT_EQ(profiler_->manager().shared_mem_host(), region_.host);
    profiler_->stop();
    EXPECT_EQ(region_.dev->free_queues[0][0].tail, toy::kSlots);
    EXPECT_EQ(region_.dev->free_queues[0][1].tail, toy::kSlots);
    EXPECT_EQ(profiler_->manager().recycled_count(0), 2u * (kBuffersPerQueue - toy::kSlots));
}

TEST_P(LifecycleTest, DeliversEverythingOnceAndKeepsThePool) {
    constexpr uint64_t kPerQueue = 300;
    init(PLATFORM_MAX_AICPU_THREADS);
    const size_t allocations = region_.memory.sizes().size();
    profiler_->start(nullptr);
    std::vector<std::thread> device;
    for (int q = 0; q < threads_; ++q) {
        device.emplace_back([this, q] { play(q, kPerQueue); });
    }
    for (std::thread &thread : device) {
        thread.join();
    }
    profiler_->stop();
    expect_complete(kPerQueue);
    EXPECT_EQ(region_.memory.sizes().size(), allocations);
    const std::multiset<void *> pool = account();
    EXPECT_EQ(pool.size(), static_cast<size_t>(threads_) * kBuffersPerQueue);
    EXPECT_EQ(std::set<void *>(pool.begin(), pool.end()).size(), pool.size());
}

TEST_P(LifecycleTest, StopDeliversWhatWasPublishedBefore) {
    init(PLATFORM_MAX_AICPU_THREADS);
    uint64_t published = 0;
    for (int round = 0; round < 3; ++round) {
        profiler_->start(nullptr);
        for (int q = 0; q < threads_; ++q) {
            published += burst(q);
        }
        profiler_->stop();
        EXPECT_EQ(profiler_->total, published);
        for (int q = 0; q < threads_; ++q) {
            EXPECT_EQ(region_.dev->queue_heads[q], region_.dev->queue_tails[q]);
        }
    }
    EXPECT_EQ(published, 3u * static_cast<uint64_t>(threads_) * toy::kSlots);
}

TEST_P(LifecycleTest, StartsAgainAfterStop) {
    init(1);
    for (int round = 0; round < 3; ++round) {
        profiler_->start(nullptr);
        play(0, 20);
        profiler_->stop();
    }
    EXPECT_EQ(profiler_->total, 60u);
}

TEST_P(LifecycleTest, NothingRunsAfterStop) {
    init(2);
    profiler_->start(nullptr);
    profiler_->stop();
    const int reads = region_.from_fault.calls();
    const int writes = region_.to_fault.calls();
    toy::DeviceLane<toy::WideModule> lane(region_.dev, 0, 0, 0);
    ASSERT_TRUE(lane.publish(lane.take_free(), 1));
    std::this_thread::yield();
    EXPECT_EQ(region_.from_fault.calls(), reads);
    EXPECT_EQ(region_.to_fault.calls(), writes);
    EXPECT_EQ(profiler_->total, 0u);
}

TEST_P(LifecycleTest, IdleTimeoutReportsOncePerBurstAndTheThreadLives) {
    init(1);
    profiler_->start(nullptr);
    for (uint64_t round = 1; round <= 2; ++round) {
        play(0, 1);
        EXPECT_TRUE(eventually([round] { return errors() == round; }));
        EXPECT_EQ(profiler_->total, round);
    }
    profiler_->stop();
    EXPECT_EQ(errors(), 2u);
}

TEST_P(LifecycleTest, SilentRunReportsNothing) {
    init(2);
    profiler_->start(nullptr);
    profiler_->stop();
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(LifecycleTest, ClearedContextMakesStartANoOp) {
    init(1);
    profiler_->clear_memory_context();
    profiler_->clear_memory_context();
    EXPECT_FALSE(profiler_->has_shm());
    profiler_->start(nullptr);
    EXPECT_EQ(profiler_->manager().shared_mem_dev(), nullptr);
}

TEST_P(LifecycleTest, PairedBufferIsZeroedOnTheDeviceOnlyWithAShadow) {
    profiler_->set_memory_context(
        [this](size_t size) {
            void *ptr = region_.memory.alloc(size);
            static_cast<char *>(ptr)[0] = 1;
            return ptr;
        },
        nullptr, [this](void *ptr) { return region_.memory.free(ptr); }, region_.copy_to_device(),
        region_.copy_from_device(), nullptr, nullptr, 0, 0);
    void *host = nullptr;
    void *dev = profiler_->alloc_paired_buffer(64, &host);
    ASSERT_NE(dev, nullptr);
    EXPECT_EQ(host == dev, !region_.shadowed());
    EXPECT_EQ(static_cast<char *>(dev)[0], region_.shadowed() ? 0 : 1);
    EXPECT_EQ(profiler_->manager().resolve_host_ptr(dev), host);
    EXPECT_EQ(profiler_->alloc_paired_buffer(64, nullptr), nullptr);
}

TEST_P(LifecycleTest, FailedPairingReleasesTheBuffer) {
    void *host = &host;
    EXPECT_EQ(profiler_->alloc_paired_buffer(64, &host), nullptr);
    EXPECT_EQ(host, nullptr);
    stash_context(false);
    region_.memory.alloc_fault.arm(1);
    host = &host;
    EXPECT_EQ(profiler_->alloc_paired_buffer(64, &host), nullptr);
    EXPECT_EQ(host, nullptr);
    EXPECT_EQ(log_capture::total(), 0u);
    const size_t live = region_.memory.live();
    region_.to_fault.arm(1);
    void *dev = profiler_->alloc_paired_buffer(64, &host);
    EXPECT_EQ(dev == nullptr, region_.shadowed());
    EXPECT_EQ(errors(), region_.shadowed() ? 1u : 0u);
    EXPECT_EQ(region_.memory.live(), live + (region_.shadowed() ? 0 : 1));
}

TEST_P(LifecycleTest, RegistrationTakesPrecedence) {
    profiler_->set_memory_context([this](size_t size) { return region_.memory.alloc(size); },
                                  [](void *dev, size_t size, int device_id, void **host) {
                                      *host = size == 64 ? static_cast<char *>(dev) + device_id : nullptr;
                                      return size == 65 ? 1 : 0;
                                  },
                                  [this](void *ptr) { return region_.memory.free(ptr); }, region_.copy_to_device(),
                                  region_.copy_from_device(), nullptr, nullptr, 0, 16);
    void *host = nullptr;
    const size_t live = region_.memory.live();
    EXPECT_EQ(profiler_->alloc_paired_buffer(65, &host), nullptr);
    EXPECT_EQ(profiler_->alloc_paired_buffer(66, &host), nullptr);
    EXPECT_EQ(errors(), 2u);
    EXPECT_EQ(region_.memory.live(), live);
    void *dev = profiler_->alloc_paired_buffer(64, &host);
    ASSERT_NE(dev, nullptr);
    EXPECT_EQ(host, static_cast<char *>(dev) + 16);
}

std::vector<std::pair<void *, int>> g_unregistered;

int record_unregister(void *ptr, int device_id) {
    g_unregistered.push_back({ptr, device_id});
    return g_unregistered.size() == 1 ? 1 : 0;
}

TEST_P(LifecycleTest, ReleaseOneBufferFreesEachBaseOnce) {
    g_unregistered.clear();
    init(1);
    profiler_->start(nullptr);
    profiler_->stop();
    void *host = nullptr;
    char *block = static_cast<char *>(profiler_->manager().alloc_and_register_block(256, &host));
    void *single = profiler_->alloc_paired_buffer(64, &host);
    const size_t live = region_.memory.live();
    const ProfFreeCallback free_cb = [this](void *ptr) { return region_.memory.free(ptr); };
    for (void *ptr : Ptrs{nullptr, fake(1), block + 64, block, block + 128, single, single}) {
        profiler_->release_one_buffer(ptr, record_unregister, free_cb);
    }
    EXPECT_EQ(region_.memory.live(), live - 2);
    EXPECT_EQ(region_.memory.bad_frees(), 0);
    const std::vector<std::pair<void *, int>> expected{{block, 0}, {single, 0}};
    EXPECT_EQ(g_unregistered, expected);
    // The first unregister failed; it is reported and does not keep the memory.
    EXPECT_EQ(errors(), 1u);
    profiler_->release_one_buffer(block, nullptr, nullptr);
}

} // namespace
