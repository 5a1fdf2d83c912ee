// Collectors at work (contract, appendix C, section 7): by hand on one thread, started, restarted, reconciled,
// finalised. At the end every record is accounted for and every block is back.
#include "collectors_test.h"

using namespace collectors;

namespace {

// Buffers of 14 records, arenas of 256.
class Scaled {
  public:
    Scaled() { size_divisor() = 65536; }
    ~Scaled() { size_divisor() = 1; }
};

template <typename T> Config config_of(int threads, int surplus, int cores = 6) {
    Config config;
    config.threads = threads;
    config.cores = cores;
    config.buffers_per_instance = static_cast<int>(T::C::Module::kSlotCount) + surplus;
    return config;
}

template <typename T> void finalize(Harness<T> &h) {
    h.collector->finalize();
    h.expect_sound_frees();
    if (!T::kLeaksOnRef) {
        h.expect_nothing_left();
    }
}

template <typename T> class Collectors : public ::testing::Test { Scaled scaled_; };
TYPED_TEST_SUITE(Collectors, AllCases, CaseName);

TYPED_TEST(Collectors, ByHandOnOneThread) {
    for (int threads = 1; threads <= kThreads; ++threads) {
        Harness<TypeParam> h;
        ASSERT_TRUE(h.initialize(config_of<TypeParam>(threads, 2)));
        h.lend_context();
        h.launch();
        const size_t blocks = h.memory.live();
        constexpr uint64_t kRecords = 200;
        for (uint64_t i = 0; i < kRecords; ++i) {
            for (auto &producer : h.producers) {
                ASSERT_EQ(producer->step(), producer->instances().size()) << "an instance starves";
            }
            if (i % 3 == 0) {
                h.pump();
            }
        }
        h.pump();
        EXPECT_EQ(h.memory.live(), blocks);
        h.collector->reconcile_counters();
        h.expect_balanced(kRecords);
        EXPECT_EQ(compat::complaints(), 0u);
        finalize(h);
    }
}

// A flush of partly filled buffers at the end, as at an exact multiple of the buffer size: nothing is left over then.
TYPED_TEST(Collectors, FlushedBuffersLeaveNothingOver) {
    for (const uint64_t records : {uint64_t{1}, uint64_t{13}, uint64_t{14}, uint64_t{15}, uint64_t{28}}) {
        Harness<TypeParam> h;
        ASSERT_TRUE(h.initialize(config_of<TypeParam>(2, 2)));
        h.lend_context();
        h.launch();
        for (uint64_t i = 0; i < records; ++i) {
            for (auto &producer : h.producers) {
                ASSERT_EQ(producer->step(), producer->instances().size());
            }
        }
        for (auto &producer : h.producers) {
            producer->flush();
        }
        h.pump();
        h.collector->reconcile_counters();
        EXPECT_EQ(h.collector->account().left_over, 0u);
        h.expect_balanced(records);
        finalize(h);
    }
}

// A run without traffic costs no buffer, however often.
TYPED_TEST(Collectors, EmptyRunsKeepThePool) {
    Harness<TypeParam> h;
    ASSERT_TRUE(h.initialize(config_of<TypeParam>(2, 1)));
    h.launch();
    h.start();
    h.collector->stop();
    h.collector->reconcile_counters();
    const size_t blocks = h.memory.live();
    const size_t allocations = h.memory.count(Memory::Op::kAlloc);
    for (int run = 0; run < 20; ++run) {
        h.threads.restart_count();
        h.start();
        EXPECT_EQ(h.threads.created(), 2 * h.collector->manager().shard_count() + 1);
        h.collector->stop();
        h.collector->reconcile_counters();
        EXPECT_EQ(h.threads.alive(), 0);
    }
    EXPECT_EQ(h.memory.live(), blocks);
    EXPECT_EQ(h.memory.count(Memory::Op::kAlloc), allocations);
    h.expect_balanced(0);
    finalize(h);
}

// The device ends with corrupt words; teardown stays within bounds and frees nothing twice.
TYPED_TEST(Collectors, CorruptDeviceWordsAtTheEnd) {
    for (const uint32_t bad : {0u, 1u, 7u, 0x7fffffffu, 0xffffffffu}) {
        Harness<TypeParam> h;
        ASSERT_TRUE(h.initialize(config_of<TypeParam>(2, 2)));
        h.start();
        h.launch();
        h.collector->stop();
        for (auto &producer : h.producers) {
            for (auto *instance : producer->instances()) {
                instance->free_queue.head = bad;
                instance->current_buffer = bad == 7 ? instance->free_queue.buffer_ptrs[0] : bad;
            }
        }
        h.collector->reconcile_counters();
        h.collector->finalize();
        h.expect_sound_frees();
    }
}

// A buffer that is both queued and current is recovered and freed once.
TYPED_TEST(Collectors, ABufferThatIsQueuedAndCurrentIsFreedOnce) {
    Harness<TypeParam> h;
    ASSERT_TRUE(h.initialize(config_of<TypeParam>(2, 1)));
    h.launch();
    h.start();
    h.collector->stop();
    for (auto &producer : h.producers) {
        for (auto *instance : producer->instances()) {
            instance->current_buffer = instance->free_queue.buffer_ptrs[instance->free_queue.head % 4];
        }
    }
    h.collector->reconcile_counters();
    finalize(h);
}

// Started, unpressed.

// Without watermarks above the supply nothing is allocated at run time, and without marks there is no freeze.
template <typename T> class CollectorsCalm : public Collectors<T> {};
using CalmCases =
    ::testing::Types<PmuCase<Pmu::Style::kRaw, Sharing::kIdentity>, PmuCase<Pmu::Style::kRaw, Sharing::kMapped>,
                     PmuCase<Pmu::Style::kPaired, Sharing::kShadow>, Case<ArgsDump, Sharing::kIdentity>,
                     Case<ArgsDump, Sharing::kMapped>, Case<ArgsDump, Sharing::kShadow>,
                     Case<DepGen, Sharing::kIdentity>, Case<DepGen, Sharing::kMapped>, Case<DepGen, Sharing::kShadow>,
                     Case<ScopeStats, Sharing::kIdentity>, Case<ScopeStats, Sharing::kMapped>,
                     Case<ScopeStats, Sharing::kShadow>>;
TYPED_TEST_SUITE(CollectorsCalm, CalmCases, CaseName);

TYPED_TEST(CollectorsCalm, RunsAndRestarts) {
    for (int threads = 1; threads <= kThreads; threads += kThreads - 1) {
        Harness<TypeParam> h;
        // 100 records are seven buffers. Three times as many, because a start fills all free queues from lane 0 first.
        constexpr int kSurplus = std::min(24, static_cast<int>(TypeParam::C::Module::kHostRecycledQueueSize) - 4);
        ASSERT_TRUE(h.initialize(config_of<TypeParam>(threads, kSurplus)));
        h.launch();
        size_t allocations = 0;
        for (uint64_t run = 1; run <= 2; ++run) {
            h.start();
            // The first start serves lanes that own no instance.
            allocations = run == 1 ? h.memory.count(Memory::Op::kAlloc) : allocations;
            EXPECT_TRUE(h.play(100, false));
            h.collector->stop();
            h.collector->reconcile_counters();
            h.expect_balanced(100 * run);
            EXPECT_GT(h.collector->account().left_over, 0u);
        }
        EXPECT_EQ(h.memory.count(Memory::Op::kAlloc), allocations);
        EXPECT_EQ(compat::complaints(), 0u);
        finalize(h);
    }
}

// Under pressure.

// No surplus, marks, watermarks, freezes, allocation at run time, thread numbers and levels that change from run to
// run.
TYPED_TEST(Collectors, RefSkipW1UnderPressureEveryRecordIsAccountedFor) {
    for (int threads = 1; threads <= kThreads; ++threads) {
        Harness<TypeParam> h;
        ASSERT_TRUE(h.initialize(config_of<TypeParam>(threads, 0)));
        h.launch();
        for (uint64_t run = 1; run <= 2; ++run) {
            h.start();
            EXPECT_TRUE(h.play(600));
            h.collector->stop();
            h.collector->reconcile_counters();
            h.expect_balanced(600 * run);
        }
        EXPECT_EQ(compat::errors(), 0u);
        finalize(h);
    }
}

TYPED_TEST(Collectors, RefSkipW1AThousandRunsWithOtherThreadsAndLevels) {
    Harness<TypeParam> h;
    for (int run = 0; run < 1000; ++run) {
        Config config = config_of<TypeParam>(1 + run % kThreads, run % 2, 1 + run % 7);
        config.level = 1 + run % 3;
        ASSERT_TRUE(h.initialize(config));
        if (run % 10 != 9) {
            h.launch();
            h.start();
            EXPECT_TRUE(h.play(run % 5 == 4 ? 0 : 40));
            h.collector->stop();
            h.collector->reconcile_counters();
            EXPECT_EQ(h.collector->account().mismatches, 0u);
        }
        h.collector->finalize();
        EXPECT_EQ(h.memory.live(), 0u) << "run " << run;
        h.memory.forget_calls();
        h.producers.clear();
        h.collector = TypeParam::make();
    }
    h.expect_nothing_left();
    EXPECT_EQ(compat::errors(), 0u);
}

// The pool does not grow for ever: what the first runs allocated serves the later ones.
TYPED_TEST(Collectors, RefSkipW5ThePoolStopsGrowing) {
    Harness<TypeParam> h;
    ASSERT_TRUE(h.initialize(config_of<TypeParam>(2, 0)));
    h.launch();
    std::vector<size_t> live;
    for (int run = 0; run < 12; ++run) {
        h.start();
        EXPECT_TRUE(h.play(200));
        h.collector->stop();
        h.collector->reconcile_counters();
        live.push_back(h.memory.live());
    }
    // Ready ring, done ring, free queue and lanes of all shards at once are more than can be in flight.
    using M = typename TypeParam::C::Module;
    EXPECT_LE(live.back() - live.front(), size_t{2} * M::kReadyQueueSize + 16);
    finalize(h);
}

// ArgsDump's arena starts anew only when all its payloads are on disk.
template <typename T> class CollectorsArgsDump : public Collectors<T> {};
using ArgsDumpCases = ::testing::Types<Case<ArgsDump, Sharing::kIdentity>, Case<ArgsDump, Sharing::kMapped>,
                                       Case<ArgsDump, Sharing::kShadow>>;
TYPED_TEST_SUITE(CollectorsArgsDump, ArgsDumpCases, CaseName);

TYPED_TEST(CollectorsArgsDump, RefSkipW2AFullArenaWaitsForTheDisk) {
    Harness<TypeParam> h;
    ASSERT_TRUE(h.initialize(config_of<TypeParam>(kThreads, 4)));
    h.launch();
    h.start();
    // Five arenas' worth.
    EXPECT_TRUE(h.play(5 * 256));
    h.collector->stop();
    h.collector->reconcile_counters();
    h.expect_balanced(5 * 256);
    EXPECT_GE(h.collector->releases(), 4u);
    finalize(h);
}

// True buffer sizes.

template <typename T> class CollectorsTrueSize : public ::testing::Test {};
using TrueSizeCases =
    ::testing::Types<Case<ChipSwimlane, Sharing::kIdentity>, Case<ChipSwimlane, Sharing::kShadow>,
                     PmuCase<Pmu::Style::kRaw, Sharing::kMapped>, PmuCase<Pmu::Style::kPaired, Sharing::kShadow>,
                     Case<DepGen, Sharing::kShadow>, Case<ScopeStats, Sharing::kIdentity>>;
TYPED_TEST_SUITE(CollectorsTrueSize, TrueSizeCases, CaseName);

TYPED_TEST(CollectorsTrueSize, AllCoresStartAndStop) {
    Harness<TypeParam> h(size_t{1} << 30);
    ASSERT_TRUE(h.initialize(config_of<TypeParam>(kThreads, 1, kCores)));
    h.launch();
    h.start();
    EXPECT_TRUE(h.play(10, false));
    h.collector->stop();
    h.collector->reconcile_counters();
    h.expect_balanced(10);
    finalize(h);
}

} // namespace
