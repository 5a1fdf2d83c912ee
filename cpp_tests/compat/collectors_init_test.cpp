// Collectors before and after their runs (contract, appendix C): initialised, failed half way at every step, finalised,
// never started.
#include "collectors_test.h"

using namespace collectors;

namespace {

template <typename T> class CollectorsInit : public ::testing::Test {
  protected:
    CollectorsInit() { size_divisor() = 64; }
    ~CollectorsInit() override { size_divisor() = 1; }

    static Config small() {
        Config config;
        config.threads = 3;
        config.cores = 4;
        config.buffers_per_instance = T::C::Module::kSlotCount + 1;
        return config;
    }
};
TYPED_TEST_SUITE(CollectorsInit, AllCases, CaseName);

TYPED_TEST(CollectorsInit, PreparedButNeverStarted) {
    Harness<TypeParam> h;
    ASSERT_TRUE(h.initialize(this->small()));
    EXPECT_TRUE(h.collector->is_initialized());
    EXPECT_FALSE(h.initialize(this->small())) << "initialised already";
    EXPECT_EQ(h.collector->manager().shared_mem_dev(), nullptr);
    h.collector->stop();
    h.collector->reconcile_counters();
    h.collector->finalize();
    EXPECT_FALSE(h.collector->is_initialized());
    h.collector->finalize();
    h.expect_sound_frees();
    if (!TypeParam::kLeaksOnRef) {
        h.expect_nothing_left();
    }
    EXPECT_EQ(compat::errors(), 0u);
}

TYPED_TEST(CollectorsInit, NeverInitialised) {
    Harness<TypeParam> h;
    h.start();
    EXPECT_EQ(h.threads.created(), 0);
    h.collector->stop();
    h.collector->finalize();
    EXPECT_FALSE(h.collector->is_initialized());
    EXPECT_EQ(h.memory.calls().size(), 0u);
}

TYPED_TEST(CollectorsInit, StartAfterFinaliseIsANoOp) {
    Harness<TypeParam> h;
    ASSERT_TRUE(h.initialize(this->small()));
    h.start();
    h.collector->stop();
    h.collector->reconcile_counters();
    h.collector->finalize();
    h.threads.restart_count();
    h.start();
    EXPECT_EQ(h.threads.created(), 0);
    h.collector->stop();
    h.expect_sound_frees();
}

// Surplus buffers lie in the lane of the shard that owns their instance, wherever the thread number folds it.
TYPED_TEST(CollectorsInit, SurplusBuffersLieInTheLaneOfTheirShard) {
    Harness<TypeParam> h;
    ASSERT_TRUE(h.initialize(this->small()));
    const auto &manager = h.collector->manager();
    std::vector<size_t> lanes;
    for (int shard = 0; shard < manager.shard_count(); ++shard) {
        lanes.push_back(manager.recycled_count(0, shard));
    }
    std::vector<size_t> expected;
    if (std::is_same<typename TypeParam::C, ArgsDump>::value) {
        expected = {1, 1, 1};
    } else if (manager.shard_count() == 1) {
        expected = {1};
    } else {
        expected = {3, 1, 0};
    }
    EXPECT_EQ(lanes, expected);
}

// The k-th call of a callback fails, once and for good, for every k until init succeeds in spite of it.
template <typename TypeParam, typename Arm> void fail_at_every_step(const Config &config, const Arm &arm) {
    bool succeeded = false;
    for (int k = 1; !succeeded; ++k) {
        for (const bool for_good : {false, true}) {
            Harness<TypeParam> h;
            arm(h.memory, k, for_good ? compat::Fault::kForGood : 1);
            const bool initialized = h.initialize(config);
            succeeded = succeeded || initialized;
            h.memory.alloc_fault.disarm();
            h.memory.reg_fault.disarm();
            h.memory.null_reg_fault.disarm();
            h.memory.to_fault.disarm();
            if (!initialized) {
                if (TypeParam::kGuarded) {
                    EXPECT_EQ(h.memory.live(), 0u) << "step " << k;
                    EXPECT_FALSE(h.collector->is_initialized());
                    h.start();
                    EXPECT_EQ(h.threads.created(), 0);
                    h.collector->stop();
                } else if (h.collector->is_initialized()) {
                    // Half initialised, and the owner starts it all the same.
                    h.start();
                    h.collector->stop();
                    EXPECT_EQ(h.threads.alive(), 0);
                }
                h.collector->finalize();
                // A second attempt finds nothing of the first.
                ASSERT_TRUE(h.initialize(config)) << "step " << k;
            }
            h.collector->finalize();
            h.expect_sound_frees();
            if (!TypeParam::kLeaksOnRef) {
                h.expect_nothing_left();
            }
        }
        ASSERT_LT(k, 1000);
    }
}

TYPED_TEST(CollectorsInit, AnAllocationFails) {
    fail_at_every_step<TypeParam>(this->small(),
                                  [](Memory &memory, int k, int count) { memory.alloc_fault.arm(k, count); });
}

TYPED_TEST(CollectorsInit, ARegistrationFails) {
    fail_at_every_step<TypeParam>(this->small(),
                                  [](Memory &memory, int k, int count) { memory.reg_fault.arm(k, count); });
}

TYPED_TEST(CollectorsInit, ARegistrationGivesNull) {
    fail_at_every_step<TypeParam>(this->small(),
                                  [](Memory &memory, int k, int count) { memory.null_reg_fault.arm(k, count); });
}

TYPED_TEST(CollectorsInit, ACopyFails) {
    fail_at_every_step<TypeParam>(this->small(),
                                  [](Memory &memory, int k, int count) { memory.to_fault.arm(k, count); });
}

// An allocator that gives the freed addresses again must not meet leftovers of the run before.
TYPED_TEST(CollectorsInit, TheSameAddressesAgain) {
    Harness<TypeParam> h;
    h.memory.reuse_addresses(true);
    for (int run = 0; run < 4; ++run) {
        Config config = this->small();
        config.threads = 1 + run % 3;
        ASSERT_TRUE(h.initialize(config));
        h.start();
        h.collector->stop();
        h.collector->reconcile_counters();
        h.collector->finalize();
        h.expect_sound_frees();
    }
    EXPECT_EQ(compat::errors(), 0u);
}

// W22, PMU only.

template <typename T> class CollectorsPmu : public CollectorsInit<T> {};
using PmuCases =
    ::testing::Types<PmuCase<Pmu::Style::kRaw, Sharing::kIdentity>, PmuCase<Pmu::Style::kRaw, Sharing::kMapped>,
                     PmuCase<Pmu::Style::kPaired, Sharing::kShadow>>;
TYPED_TEST_SUITE(CollectorsPmu, PmuCases, CaseName);

TYPED_TEST(CollectorsPmu, RefW22RegionAndStagingRingsAreReleased) {
    Harness<TypeParam> h;
    for (int run = 0; run < 3; ++run) {
        ASSERT_TRUE(h.initialize(this->small()));
        if (run != 1) {
            h.start();
            h.collector->stop();
            h.collector->reconcile_counters();
        }
        h.collector->finalize();
        h.collector->finalize();
        h.expect_nothing_left();
    }
}

} // namespace
