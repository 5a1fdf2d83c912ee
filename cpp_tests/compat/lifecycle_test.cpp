// set_aicpu_thread_num, start and stop without traffic (contract, 4.1, 4.2, 4.4): defaults, refusals, threads,
// restarts.
#include "pipeline.h"

using namespace profiling_common;
using compat::errors;
using compat::expect_logged;
using compat::expect_silent;
using compat::warnings;
using log_capture::Level;
using sim::eventually;
using sim::kRows;
using sim::ModuleCall;
using sim::Sharing;
using sim::WideModule;

namespace {

using Collector = sim::ShardCollector<WideModule>;
using Plain = sim::PlainCollector<WideModule>;
using Pipeline = sim::Pipeline<Collector, WideModule>;

// Shape, defaults.

TEST(LifecycleShape, MembersHaveTheNamesAndTypesThatUsersRelyOn) {
    using P = Plain;
    static_assert(std::is_same<decltype(P::manager_), BufferPoolManager<WideModule>>::value, "");
    static_assert(std::is_same<decltype(P::execution_complete_), std::atomic<bool>>::value, "");
    static_assert(std::is_same<decltype(P::shm_host_), void *>::value, "");
    static_assert(std::is_same<decltype(P::shm_dev_), void *>::value, "");
    static_assert(std::is_same<decltype(P::shm_size_), size_t>::value, "");
    static_assert(std::is_same<decltype(P::device_id_), int>::value, "");
    static_assert(std::is_same<decltype(P::alloc_cb_), ProfAllocCallback>::value, "");
    static_assert(std::is_same<decltype(P::register_cb_), ProfRegisterCallback>::value, "");
    static_assert(std::is_same<decltype(P::free_cb_), ProfFreeCallback>::value, "");
    static_assert(std::is_same<decltype(P::copy_to_device_), std::function<int(void *, const void *, size_t)>>::value,
                  "");
    static_assert(std::is_same<decltype(P::copy_from_device_), std::function<int(void *, const void *, size_t)>>::value,
                  "");
    static_assert(std::is_same<decltype(P::queue_count_), int>::value, "");
    static_assert(std::is_same<decltype(P::shard_count_), int>::value, "");
    static_assert(std::is_same<decltype(P::thread_num_set_), bool>::value, "");
    static_assert(std::is_same<P::Manager, BufferPoolManager<WideModule>>::value, "");
    static_assert(std::is_same<P::DataHeader, WideModule::DataHeader>::value, "");
    static_assert(std::is_same<P::ReadyEntry, sim::ReadyEntry>::value, "");
    static_assert(std::is_same<P::ReadyBufferInfo, sim::ReadyInfo>::value, "");
    static_assert(!std::is_copy_constructible<P>::value && !std::is_copy_assignable<P>::value, "");
    static_assert(!std::is_polymorphic<P>::value, "");
    static_assert(!std::is_default_constructible<ProfilerBase<Plain, WideModule>>::value, "only for Derived");
    static_assert(decltype(P::manager_)::kRecycledQueueCapacity == 256, "");
}

TEST(LifecycleShape, Defaults) {
    log_capture::reset();
    auto p = std::make_unique<Plain>();
    EXPECT_FALSE(p->execution_complete_);
    EXPECT_EQ(p->shm_host_, nullptr);
    EXPECT_EQ(p->shm_dev_, nullptr);
    EXPECT_EQ(p->shm_size_, 0u);
    EXPECT_EQ(p->device_id_, -1);
    EXPECT_EQ(p->alloc_cb_, nullptr);
    EXPECT_EQ(p->register_cb_, nullptr);
    EXPECT_EQ(p->free_cb_, nullptr);
    EXPECT_FALSE(p->copy_to_device_);
    EXPECT_FALSE(p->copy_from_device_);
    EXPECT_EQ(p->queue_count_, PLATFORM_MAX_AICPU_THREADS);
    EXPECT_EQ(p->shard_count_, Plain::Manager::kMaxCollectorShards);
    EXPECT_FALSE(p->thread_num_set_);
    EXPECT_TRUE(p->backpressure_release_ready());
    EXPECT_EQ(p->manager().shared_mem_dev(), nullptr);
    EXPECT_EQ(p->manager().shared_mem_host(), nullptr);
    EXPECT_EQ(p->manager().device_id(), -1);
    EXPECT_EQ(p->manager().shard_count(), Plain::Manager::kMaxCollectorShards);
    const Plain &constant = *p;
    EXPECT_EQ(&constant.manager(), &p->manager());
    p->execution_complete_.store(false, std::memory_order_release);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST(LifecycleShape, TheThreadNumberIsVisibleAtOnce) {
    for (int n = 1; n <= kRows; ++n) {
        auto p = std::make_unique<Plain>();
        p->set_aicpu_thread_num(n);
        EXPECT_EQ(p->queue_count_, n);
        EXPECT_EQ(p->shard_count_, n);
        EXPECT_EQ(p->manager().shard_count(), n);
        EXPECT_TRUE(p->thread_num_set_);
    }
}

TEST(LifecycleShape, ASubsystemWithOneShardFoldsAllQueuesIntoIt) {
    using Single = sim::Module<1, 1, 8, 16, 16, 4>;
    auto p = std::make_unique<sim::PlainCollector<Single>>();
    p->set_aicpu_thread_num(kRows);
    EXPECT_EQ(p->queue_count_, kRows);
    EXPECT_EQ(p->shard_count_, 1);
    EXPECT_EQ(p->manager().shard_count(), 1);
}

// The clamping is the manager's; start refuses later.
TEST(LifecycleShape, ThreadNumbersBelowOneAreClampedForTheManagerWithAnError) {
    for (const int n : {0, -1, INT32_MIN}) {
        auto p = std::make_unique<Plain>();
        expect_logged(Level::kError, "thread number", [&] { p->set_aicpu_thread_num(n); });
        EXPECT_EQ(p->manager().shard_count(), 1);
        EXPECT_EQ(p->queue_count_, n);
    }
}

// start.

class Lifecycle : public ::testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(All, Lifecycle, ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

TEST_P(Lifecycle, WithoutSharedMemoryStartIsASilentNoOp) {
    Pipeline p(GetParam());
    p.stash(false);
    expect_silent("start", [&] { p.start(); });
    EXPECT_EQ(p.threads.created(), 0);
    EXPECT_EQ(p.collector->manager().shared_mem_dev(), nullptr);
    EXPECT_EQ(p.collector->manager().device_id(), -1);
    EXPECT_EQ(p.memory.calls().size(), 0u);
}

TEST_P(Lifecycle, AClearedContextMakesStartANoOp) {
    Pipeline p(GetParam());
    p.collector->clear_memory_context();
    p.collector->clear_memory_context();
    expect_silent("start", [&] { p.start(); });
    EXPECT_EQ(p.threads.created(), 0);
    EXPECT_EQ(p.collector->alloc_cb_, nullptr);
    EXPECT_EQ(p.collector->free_cb_, nullptr);
    EXPECT_EQ(p.collector->register_cb_, nullptr);
    EXPECT_FALSE(p.collector->copy_to_device_);
    EXPECT_FALSE(p.collector->copy_from_device_);
    EXPECT_EQ(p.collector->shm_host_, nullptr);
    EXPECT_EQ(p.collector->shm_dev_, nullptr);
    EXPECT_EQ(p.collector->shm_size_, 0u);
    EXPECT_EQ(p.collector->device_id_, -1);
}

TEST_P(Lifecycle, AStashAloneIsInvisibleToTheManager) {
    Pipeline p(GetParam());
    EXPECT_EQ(p.collector->shm_host_, p.host);
    EXPECT_EQ(p.collector->manager().shared_mem_host(), nullptr);
    EXPECT_EQ(p.collector->manager().shared_mem_dev(), nullptr);
    p.start();
    EXPECT_EQ(p.collector->manager().shared_mem_host(), p.host);
    EXPECT_EQ(p.collector->manager().shared_mem_dev(), p.dev_address);
    EXPECT_EQ(p.collector->manager().device_id(), 0);
    p.stop();
    EXPECT_EQ(p.collector->manager().shared_mem_dev(), p.dev_address);
}

TEST_P(Lifecycle, ThreadCountsFollowTheThreadNumber) {
    for (int n = 1; n <= kRows; ++n) {
        Pipeline p(GetParam(), n);
        p.start();
        EXPECT_EQ(p.threads.created(), 2 * n + 1);
        EXPECT_EQ(p.threads.alive(), 2 * n + 1);
        p.stop();
        EXPECT_EQ(p.threads.created(), 2 * n + 1);
        EXPECT_EQ(p.threads.alive(), 0);
        EXPECT_EQ(errors() + warnings(), 0u);
    }
}

TEST_P(Lifecycle, ASingleShardSubsystemHasThreeThreads) {
    using Single = sim::Module<1, 1, 8, 16, 16, 4>;
    sim::Pipeline<sim::PlainCollector<Single>, Single> p(GetParam());
    p.start();
    EXPECT_EQ(p.threads.created(), 3);
    p.stop();
    EXPECT_EQ(p.threads.alive(), 0);
}

TEST_P(Lifecycle, AnUnsetThreadNumberWarnsAndUsesTheDefaults) {
    Pipeline p(GetParam());
    auto fresh = std::make_unique<Collector>();
    p.collector.swap(fresh);
    p.stash();
    expect_logged(Level::kWarn, "thread number never set", [&] { p.start(); });
    EXPECT_EQ(p.threads.created(), 2 * kRows + 1);
    p.stop();
}

TEST_P(Lifecycle, InvalidThreadNumbersStartNothing) {
    for (const int n : {0, -1, kRows + 1, 1000}) {
        Pipeline p(GetParam());
        p.collector->set_aicpu_thread_num(n);
        expect_logged(Level::kError, "thread number", [&] { p.start(); });
        EXPECT_EQ(p.threads.created(), 0) << n;
        EXPECT_EQ(p.collector->manager().shared_mem_host(), nullptr) << n;
        EXPECT_EQ(p.memory.calls().size(), 0u) << n;
        p.stop();
        // A valid number repairs it.
        p.collector->set_aicpu_thread_num(1);
        p.start();
        EXPECT_EQ(p.threads.created(), 3);
        p.stop();
    }
}

TEST_P(Lifecycle, AShardCountThatTheOwnerBrokeIsRefused) {
    for (const int n : {0, kRows + 1}) {
        Pipeline p(GetParam());
        p.collector->shard_count_ = n;
        expect_logged(Level::kError, "shard count", [&] { p.start(); });
        EXPECT_EQ(p.threads.created(), 0);
    }
}

// Free queues and lanes are filled when start returns, by the caller, before any thread exists.
TEST_P(Lifecycle, TheCallerFillsQueuesAndLanesFirst) {
    Pipeline p(GetParam(), 2);
    WideModule::warm_target[0] = 3;
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<bool> foreign{false};
    std::atomic<int> early_calls{0};
    WideModule::observer = [&](ModuleCall call) {
        if (call == ModuleCall::kBatchSize && p.threads.created() == 0) {
            ++early_calls;
            foreign = foreign || std::this_thread::get_id() != caller;
        }
    };
    p.start();
    EXPECT_GT(early_calls, 0);
    EXPECT_FALSE(foreign);
    EXPECT_EQ(p.free_fill(0, 0), 4u);
    EXPECT_EQ(p.free_fill(0, 1), 4u);
    EXPECT_GE(p.collector->manager().recycled_count(0, 0), 3u);
    EXPECT_GE(p.collector->manager().recycled_count(0, 1), 3u);
    p.stop();
}

// A dry allocator at start is no error: lanes stay empty, threads run.
TEST_P(Lifecycle, StartSurvivesAnAllocatorThatReturnsNull) {
    Pipeline p(GetParam(), 1);
    p.memory.alloc_fault.arm(1, compat::Fault::kForGood);
    p.start();
    EXPECT_EQ(p.threads.created(), 3);
    EXPECT_EQ(p.free_fill(0, 0), 0u);
    p.stop();
}

// W33: a collector whose init failed half way may have written shm_host_ itself.
TEST_P(Lifecycle, RefSkipW33StartWithoutAnAllocatorDoesNotCrash) {
    Pipeline p(GetParam(), 1);
    p.collector->clear_memory_context();
    p.collector->shm_host_ = p.host;
    p.start();
    p.stop();
    EXPECT_EQ(p.threads.alive(), 0);
}

TEST_P(Lifecycle, AnEmptyFactoryMeansPlainThreads) {
    Pipeline p(GetParam(), 2);
    p.supply(6);
    p.collector->start(nullptr);
    EXPECT_EQ(p.burst(0), 4u);
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 4; }));
    p.stop();
    p.collector->start(ThreadFactory());
    p.stop();
    EXPECT_EQ(errors(), 0u);
}

// Positions in the factory: drain threads, the replenish thread, collectors.
TEST_P(Lifecycle, ThreadsAreMadeInTheOrderOfTheirRoles) {
    Pipeline p(GetParam(), 3);
    std::mutex mutex;
    std::map<std::string, std::set<int>> by_role;
    const auto note = [&](const char *role) {
        std::lock_guard<std::mutex> lock(mutex);
        by_role[role].insert(sim::factory_index());
    };
    WideModule::observer = [&](ModuleCall call) {
        if (call == ModuleCall::kResolve) {
            note("drain");
        }
    };
    p.collector->release_ready = [&] {
        note("replenish");
        return true;
    };
    p.collector->record.hook = [&](const sim::ReadyInfo &, int) { note("collect"); };
    p.supply(6);
    p.start();
    for (int q = 0; q < 3; ++q) {
        EXPECT_EQ(p.burst(q), 4u);
    }
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 12; }));
    EXPECT_TRUE(eventually([&] {
        std::lock_guard<std::mutex> lock(mutex);
        return by_role["replenish"].size() == 1;
    }));
    p.stop();
    EXPECT_EQ(by_role["drain"], (std::set<int>{0, 1, 2}));
    EXPECT_EQ(by_role["replenish"], (std::set<int>{3}));
    EXPECT_EQ(by_role["collect"], (std::set<int>{4, 5, 6}));
}

// W20.

TEST_P(Lifecycle, RefSkipW20ASecondStartIsRefused) {
    Pipeline p(GetParam(), 2);
    p.supply(6);
    p.start();
    expect_logged(Level::kError, "second start", [&] { p.start(); });
    EXPECT_EQ(p.threads.created(), 5);
    EXPECT_EQ(p.threads.alive(), 5);
    EXPECT_EQ(p.burst(1), 4u);
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 4; }));
    p.stop();
    EXPECT_EQ(p.threads.alive(), 0);
    p.expect_delivered({0, 4});
    p.start();
    EXPECT_EQ(p.threads.created(), 10);
    p.stop();
}

TEST_P(Lifecycle, RefSkipW20AFactoryThatThrowsLeavesNothingRunning) {
    for (int n = 1; n <= kRows; n += kRows - 1) {
        for (int j = 0; j < 2 * n + 1; ++j) {
            Pipeline p(GetParam(), n);
            p.supply(6);
            p.threads.fail_at(j);
            EXPECT_THROW(p.start(), std::runtime_error) << j;
            EXPECT_EQ(p.threads.created(), j);
            EXPECT_EQ(p.threads.alive(), 0) << j;
            p.stop();
            // The next attempt works and nothing was lost.
            p.threads.fail_at(-1);
            p.threads.restart_count();
            p.start();
            EXPECT_EQ(p.threads.created(), 2 * n + 1);
            EXPECT_EQ(p.burst(0), 4u);
            EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 4; }));
            p.stop();
            p.held.clear();
            p.expect_conserved();
        }
    }
}

// A factory may also give back a thread that is none.
TEST_P(Lifecycle, RefSkipW20AFactoryWithoutAThreadLeavesNothingRunning) {
    Pipeline p(GetParam(), 1);
    std::atomic<int> calls{0};
    const ThreadFactory factory = p.threads.factory();
    try {
        p.collector->start(
            [&](std::function<void()> body) { return ++calls == 2 ? std::thread() : factory(std::move(body)); });
    } catch (const std::exception &) {
    }
    p.stop();
    EXPECT_EQ(p.threads.alive(), 0);
}

// stop.

TEST_P(Lifecycle, StopWithoutStartOnlySetsTheFlags) {
    Pipeline p(GetParam());
    expect_silent("stop", [&] {
        p.stop();
        p.stop();
    });
    EXPECT_TRUE(p.collector->execution_complete_);
    EXPECT_EQ(p.memory.calls().size(), 0u);
    auto never_touched = std::make_unique<Collector>();
    never_touched->stop();
    never_touched->manager().clear_mappings();
}

TEST_P(Lifecycle, CompletionIsTrueFromStopToTheNextStart) {
    Pipeline p(GetParam(), 1);
    p.start();
    EXPECT_FALSE(p.collector->execution_complete_);
    p.stop();
    EXPECT_TRUE(p.collector->execution_complete_);
    p.stop();
    EXPECT_TRUE(p.collector->execution_complete_);
    p.start();
    EXPECT_FALSE(p.collector->execution_complete_);
    p.stop();
}

TEST_P(Lifecycle, TheDestructorOfTheDerivedClassStops) {
    Pipeline p(GetParam(), 2);
    p.supply(6);
    p.start();
    EXPECT_EQ(p.burst(0), 4u);
    p.collector.reset();
    EXPECT_EQ(p.threads.alive(), 0);
}

TEST_P(Lifecycle, ManyRestartsWithOtherThreadNumbersKeepThePool) {
    Pipeline p(GetParam());
    p.supply(6);
    const size_t allocations = p.memory.count(sim::Memory::Op::kAlloc);
    for (int run = 0; run < 30; ++run) {
        const int n = 1 + run % kRows;
        p.collector->set_aicpu_thread_num(n);
        p.threads.restart_count();
        p.start();
        EXPECT_EQ(p.threads.created(), 2 * n + 1);
        p.stop();
        ASSERT_EQ(p.threads.alive(), 0);
    }
    EXPECT_EQ(p.memory.count(sim::Memory::Op::kAlloc), allocations);
    EXPECT_EQ(errors(), 0u);
    p.expect_conserved();
}

// An idle collector that waits out a tick of 100 ms from its start makes each of these pairs take longer. A busy
// machine may delay some of them, but not most.
TEST_P(Lifecycle, RefW7AnIdlePipelineStopsPromptly) {
    int prompt = 0;
    constexpr int kRuns = 20;
    Pipeline p(GetParam(), 2);
    for (int i = 0; i < kRuns; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        p.start();
        p.stop();
        prompt += std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(80) ? 1 : 0;
    }
    EXPECT_GE(prompt, kRuns / 4);
}

} // namespace
