// Deficit-first routing (contract 2.5.4) against a model of its four rules, over every small case.
#include "support.h"

#include <climits>
#include <memory>
#include <random>

using namespace profiling_common;
using namespace compat;

namespace {

constexpr int kCapacity = 3;
constexpr int kKind = 1;
using Module = PoolModule<2, 4, 4, 32, kCapacity>;
using Manager = BufferPoolManager<Module>;
using Fill = std::vector<int>; // buffers per live lane

// Where a buffer from `origin` goes.
int model_target(const Fill &fill, int warm_target, int origin) {
    const int n = static_cast<int>(fill.size());
    if (warm_target <= 0) {
        return origin;
    }
    const int wanted = std::min(warm_target, kCapacity);
    int best = origin;
    int best_deficit = 0;
    for (int step = 1; step <= n; ++step) {
        const int shard = (origin + step) % n;
        const int deficit = std::max(0, wanted - fill[static_cast<size_t>(shard)]);
        if (deficit > best_deficit) {
            best_deficit = deficit;
            best = shard;
        }
    }
    return best;
}

std::string describe(const Fill &fill, int warm_target, int origin) {
    std::string text = "fill";
    for (const int count : fill) {
        text += " " + std::to_string(count);
    }
    return text + ", warm target " + std::to_string(warm_target) + ", origin " + std::to_string(origin);
}

class Routing : public ::testing::Test {
  protected:
    void SetUp() override { Module::reset(); }

    void fill_lanes(const Fill &fill) {
        for (int shard = 0; shard < static_cast<int>(fill.size()); ++shard) {
            while (manager.pop_recycled(kKind, shard) != nullptr) {
            }
            for (int i = 0; i < fill[static_cast<size_t>(shard)]; ++i) {
                ASSERT_TRUE(manager.push_recycled(kKind, fake(static_cast<uintptr_t>(100 * shard + i + 1)), shard));
            }
        }
    }

    Fill counts(int n) const {
        Fill fill;
        for (int shard = 0; shard < n; ++shard) {
            fill.push_back(static_cast<int>(manager.recycled_count(kKind, shard)));
        }
        return fill;
    }

    Manager manager;
};

// 4 + 4^2 + 4^3 + 4^4 fills, all origins, warm targets around 0 and the capacity: about 9,000 cases. Cases without room
// in the chosen lane are those in which the origin is full and nobody has a deficit; done_test.cpp has them.
TEST_F(Routing, EverySmallCaseFollowsTheRules) {
    size_t cases = 0;
    for (int n = 1; n <= Manager::kMaxCollectorShards; ++n) {
        manager.set_shard_count(n);
        size_t fills = 1;
        for (int i = 0; i < n; ++i) {
            fills *= kCapacity + 1;
        }
        for (size_t code = 0; code < fills; ++code) {
            Fill fill;
            for (size_t rest = code, shard = 0; shard < static_cast<size_t>(n); ++shard, rest /= kCapacity + 1) {
                fill.push_back(static_cast<int>(rest % (kCapacity + 1)));
            }
            for (const int warm_target : {INT_MIN, -1, 0, 1, 2, 3, 4, INT_MAX}) {
                for (int origin = 0; origin < n; ++origin) {
                    Module::warm_target[kKind] = warm_target;
                    const int target = model_target(fill, warm_target, origin);
                    if (fill[static_cast<size_t>(target)] == kCapacity) {
                        continue;
                    }
                    ASSERT_NO_FATAL_FAILURE(fill_lanes(fill));
                    ASSERT_TRUE(manager.notify_copy_done(fake(9999), kKind, origin));
                    ASSERT_EQ(manager.drain_done_into_recycled(), 1u);
                    Fill expected = fill;
                    ++expected[static_cast<size_t>(target)];
                    ASSERT_EQ(counts(n), expected) << describe(fill, warm_target, origin);
                    ++cases;
                }
            }
        }
    }
    EXPECT_GT(cases, 7000u);
}

// The buffer lands behind what the lane held, and the other kind's lanes have no say.
TEST_F(Routing, TheBufferIsAppendedAndKindsAreApart) {
    Module::warm_target[kKind] = 2;
    Module::warm_target[0] = 3;
    manager.push_recycled(kKind, fake(1), 2);
    for (const int shard : {0, 1, 3}) {
        manager.push_recycled(kKind, fake(10), shard);
        manager.push_recycled(kKind, fake(11), shard);
    }
    manager.notify_copy_done(fake(5), kKind, 0);
    EXPECT_EQ(manager.drain_done_into_recycled(), 1u);
    EXPECT_EQ(manager.pop_recycled(kKind, 2), fake(1));
    EXPECT_EQ(manager.pop_recycled(kKind, 2), fake(5));
    EXPECT_EQ(manager.recycled_count(0), 0u);
}

// Sizes are read again for every buffer and the rotation starts afresh at each origin: whole bursts from several rings
// match the model buffer by buffer.
TEST_F(Routing, BurstsFollowTheRulesBufferByBuffer) {
    std::mt19937 random(11);
    for (int round = 0; round < 3000; ++round) {
        const int n = 1 + static_cast<int>(random() % 4);
        manager.set_shard_count(n);
        const int warm_target = static_cast<int>(random() % 5) - 1;
        Module::warm_target[kKind] = warm_target;
        Fill fill;
        for (int shard = 0; shard < n; ++shard) {
            fill.push_back(static_cast<int>(random() % (kCapacity + 1)));
        }
        ASSERT_NO_FATAL_FAILURE(fill_lanes(fill));
        std::vector<Ptrs> expected(static_cast<size_t>(n));
        for (int shard = 0; shard < n; ++shard) {
            for (int i = 0; i < fill[static_cast<size_t>(shard)]; ++i) {
                expected[static_cast<size_t>(shard)].push_back(fake(static_cast<uintptr_t>(100 * shard + i + 1)));
            }
        }
        uintptr_t name = 1000;
        size_t sent = 0;
        for (int origin = 0; origin < n; ++origin) {
            for (size_t burst = random() % 4; burst > 0; --burst) {
                Fill now;
                for (const Ptrs &lane : expected) {
                    now.push_back(static_cast<int>(lane.size()));
                }
                Ptrs &lane = expected[static_cast<size_t>(model_target(now, warm_target, origin))];
                if (lane.size() == kCapacity) {
                    break;
                }
                lane.push_back(fake(name));
                ASSERT_TRUE(manager.notify_copy_done(fake(name++), kKind, origin));
                ++sent;
            }
        }
        ASSERT_EQ(manager.drain_done_into_recycled(), sent);
        for (int shard = 0; shard < n; ++shard) {
            Ptrs lane;
            while (void *ptr = manager.pop_recycled(kKind, shard)) {
                lane.push_back(ptr);
            }
            ASSERT_EQ(lane, expected[static_cast<size_t>(shard)]) << "round " << round << ", shard " << shard;
        }
    }
}

struct PlainModule : BareModule {
    static constexpr int kMaxCollectorThreads = 4;
    static constexpr uint32_t kHostRecycledQueueSize = 8;
};

// A Module without a watermark, and one whose watermark depends on the live count alone.
TEST_F(Routing, WithoutAWatermarkEverythingStaysAtItsOrigin) {
    BufferPoolManager<PlainModule> plain;
    for (int origin = 0; origin < 4; ++origin) {
        for (uintptr_t i = 0; i < 3; ++i) {
            plain.notify_copy_done(fake(10 * static_cast<uintptr_t>(origin) + i + 1), 0, origin);
        }
    }
    EXPECT_EQ(plain.drain_done_into_recycled(), 12u);
    for (int origin = 0; origin < 4; ++origin) {
        EXPECT_EQ(plain.recycled_count(0, origin), 3u);
    }
}

struct LiveCountModule : BareModule {
    static constexpr int kMaxCollectorThreads = 4;
    static constexpr uint32_t kHostRecycledQueueSize = 8;
    static int recycled_warm_target(int, int shard_count) { return shard_count == 3 ? 2 : 0; }
};

TEST_F(Routing, TheModuleIsAskedWithTheLiveCount) {
    for (const int n : {4, 3, 2}) {
        BufferPoolManager<LiveCountModule> asked;
        asked.set_shard_count(n);
        asked.notify_copy_done(fake(1), 0, 0);
        EXPECT_EQ(asked.drain_done_into_recycled(), 1u);
        EXPECT_EQ(asked.recycled_count(0, n == 3 ? 1 : 0), 1u) << n;
    }
}

} // namespace
