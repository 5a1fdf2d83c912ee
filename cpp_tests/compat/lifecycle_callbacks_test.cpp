// Which callbacks run where (contract, 4.8), which ones a running pipeline uses (4.2), what it transfers (H16, H17,
// H18), and how it ends a freeze.
#include "pipeline.h"

using namespace profiling_common;
using compat::errors;
using sim::eventually;
using sim::kRows;
using sim::load;
using sim::Memory;
using sim::ModuleCall;
using sim::Sharing;
using sim::store;
using sim::WideModule;

namespace {

using Collector = sim::ShardCollector<WideModule>;
using Pipeline = sim::Pipeline<Collector, WideModule>;

enum class Role { kOwner, kDrain, kReplenish, kCollect };

class LifecycleCallbacks : public ::testing::TestWithParam<Sharing> {
  protected:
    // The role of the running thread in a pipeline of n shards.
    static Role role(int n) {
        const int index = sim::factory_index();
        return index < 0 ? Role::kOwner : index < n ? Role::kDrain : index == n ? Role::kReplenish : Role::kCollect;
    }

    void note(const char *callback, int n) {
        std::lock_guard<std::mutex> lock(mutex_);
        roles_[callback].insert(role(n));
    }

    std::set<Role> roles(const char *callback) {
        std::lock_guard<std::mutex> lock(mutex_);
        return roles_[callback];
    }

    void expect_only(const char *callback, const std::set<Role> &allowed) {
        for (const Role role : roles(callback)) {
            EXPECT_EQ(allowed.count(role), 1u) << callback << " in role " << static_cast<int>(role);
        }
    }

    std::mutex mutex_;
    std::map<std::string, std::set<Role>> roles_;
};
INSTANTIATE_TEST_SUITE_P(All, LifecycleCallbacks,
                         ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

class LifecycleCallbacksCopied : public LifecycleCallbacks {};
INSTANTIATE_TEST_SUITE_P(All, LifecycleCallbacksCopied, ::testing::Values(Sharing::kShadow), compat::SharingName());

using TwoKinds = sim::Module<2, kRows, 8, 64, 64, 4>;

// One round of everything: a burst, then contention with a lane below its watermark, so that a running pipeline
// allocates.
TEST_P(LifecycleCallbacks, EachRunsOnItsThreadsAlone) {
    sim::Pipeline<sim::ShardCollector<TwoKinds>, TwoKinds> p(GetParam(), 2);
    constexpr int n = 2;
    p.supply(5);
    p.collector->set_memory_context(
        [&](size_t size) {
            note("alloc", n);
            return p.memory.alloc(size);
        },
        p.register_callback(),
        [&](void *ptr) {
            note("free", n);
            return p.memory.free(ptr);
        },
        p.to_device(), p.from_device(), p.dev_address, p.host, sizeof(*p.host), 0);
    TwoKinds::observer = [&](ModuleCall call) {
        static const std::map<ModuleCall, const char *> kNames = {
            {ModuleCall::kResolve, "resolve"},   {ModuleCall::kForEachInstance, "instances"},
            {ModuleCall::kBatchSize, "batch"},   {ModuleCall::kWarmTarget, "target"},
            {ModuleCall::kMetadata, "metadata"}, {ModuleCall::kKindOf, "kind_of"}};
        note(kNames.at(call), n);
    };
    p.before_transfer(
        [&](const sim::Transfer &transfer) { note(transfer.to_device ? "to_device" : "from_device", n); });
    p.collector->record.hook = [&](const sim::ReadyInfo &, int) { note("collected", n); };
    p.collector->release_ready = [&] {
        note("predicate", n);
        return true;
    };
    TwoKinds::warm_target[0] = 1;
    p.start();
    EXPECT_EQ(p.burst(0), 4u);
    EXPECT_EQ(p.burst(1), 4u);
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 8; }));
    // A failed registration of the running pipeline frees on the thread that allocated.
    const size_t allocated = p.memory.count(Memory::Op::kAlloc);
    p.memory.reg_fault.arm(1);
    while (p.take_free(1, 0) != nullptr) {
    }
    store(p.dev->backpressure.fq_contended, 1);
    EXPECT_TRUE(eventually([&] {
        return p.free_fill(1, 0) == 4 && load(p.dev->backpressure.fq_freeze_active) == 0 &&
               load(p.dev->backpressure.fq_contended) == 0;
    }));
    EXPECT_GT(p.memory.count(Memory::Op::kAlloc), allocated) << "the case needs an allocation at run time";
    p.stop();

    expect_only("alloc", {Role::kOwner, Role::kReplenish});
    expect_only("free", {Role::kOwner, Role::kReplenish});
    expect_only("to_device", {Role::kOwner, Role::kDrain, Role::kReplenish});
    expect_only("from_device", {Role::kOwner, Role::kDrain, Role::kReplenish});
    expect_only("resolve", {Role::kDrain});
    for (const char *callback : {"instances", "batch", "target", "metadata"}) {
        expect_only(callback, {Role::kOwner, Role::kReplenish});
    }
    EXPECT_EQ(roles("kind_of"), std::set<Role>{Role::kCollect});
    EXPECT_EQ(roles("collected"), std::set<Role>{Role::kCollect});
    EXPECT_EQ(roles("predicate"), std::set<Role>{Role::kReplenish});
    EXPECT_EQ(roles("resolve"), std::set<Role>{Role::kDrain});
    EXPECT_EQ(roles("alloc").count(Role::kReplenish), 1u);
}

// A single-kind Module need not have kind_of, and where it is there it is not asked.
TEST_P(LifecycleCallbacks, KindOfIsNotAskedForOneKind) {
    Pipeline p(GetParam(), 1);
    p.supply(8);
    std::atomic<int> asked{0};
    WideModule::observer = [&](ModuleCall call) { asked += call == ModuleCall::kKindOf ? 1 : 0; };
    p.start();
    p.burst(0);
    p.stop();
    EXPECT_EQ(p.collector->record.total(), 4u);
    EXPECT_EQ(asked, 0);
}

// Callbacks are copied at start: what is stashed later counts from the next start.
TEST_P(LifecycleCallbacks, ARunningPipelineKeepsTheCallbacksOfItsStart) {
    for (const bool clear : {false, true}) {
        Pipeline p(GetParam(), 1);
        std::atomic<int> old_calls{0};
        std::atomic<int> new_calls{0};
        const auto counted = [&](std::atomic<int> &calls) {
            return [&calls, &p](size_t size) {
                ++calls;
                return p.memory.alloc(size);
            };
        };
        p.collector->set_memory_context(counted(old_calls), p.register_callback(), p.free_callback(), p.to_device(),
                                        p.from_device(), p.dev_address, p.host, sizeof(*p.host), 0);
        p.start();
        const int at_start = old_calls;
        EXPECT_GT(at_start, 0);
        if (!clear) {
            p.collector->set_memory_context(counted(new_calls), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0,
                                            -1);
        }
        for (int i = 0; i < 4; ++i) {
            ASSERT_NE(p.take_free(0, 0), nullptr);
        }
        store(p.dev->backpressure.fq_contended, 1);
        EXPECT_TRUE(eventually([&] { return p.free_fill(0, 0) == 4; }));
        p.stop();
        EXPECT_GT(old_calls, at_start);
        EXPECT_EQ(new_calls, 0);
        if (!clear) {
            p.collector->set_memory_context(counted(new_calls), p.register_callback(), p.free_callback(), p.to_device(),
                                            p.from_device(), p.dev_address, p.host, sizeof(*p.host), 0);
            ASSERT_NE(p.take_free(0, 0), nullptr);
            p.start();
            p.stop();
            EXPECT_GT(new_calls, 0);
        }
    }
}

// Blocks that the pipeline allocates get their host view by the same three strategies as paired buffers.
TEST_P(LifecycleCallbacks, BlocksOfAStartAreRegisteredByTheirStrategy) {
    Pipeline p(GetParam(), 1);
    p.start();
    const std::vector<void *> blocks = p.free_content(0, 0);
    p.stop();
    ASSERT_EQ(blocks.size(), 4u);
    for (void *block : blocks) {
        void *const view = p.collector->manager().resolve_host_ptr(block);
        ASSERT_NE(view, nullptr);
        if (GetParam() == Sharing::kIdentity) {
            EXPECT_EQ(view, block);
        } else if (GetParam() == Sharing::kMapped) {
            EXPECT_EQ(view, p.real(block));
        } else {
            EXPECT_NE(view, block);
            EXPECT_NE(view, p.real(block));
        }
    }
    EXPECT_EQ(p.memory.count(Memory::Op::kReg), GetParam() == Sharing::kMapped ? 4u : 0u);
}

TEST_P(LifecycleCallbacksCopied, ABlockIsZeroedOnTheDeviceAndAFailureGivesItBack) {
    Pipeline p(GetParam(), 1);
    p.fail(">buffer", 2, 2);
    const size_t live = p.memory.live();
    p.start();
    EXPECT_EQ(p.free_fill(0, 0), 1u);
    EXPECT_GE(errors(), 1u);
    EXPECT_EQ(p.memory.live(), live + 1);
    EXPECT_EQ(p.memory.bad_frees(), 0);
    p.stop();
    const void *const block = p.free_content(0, 0).at(0);
    const auto *words = p.real<const uint64_t>(const_cast<void *>(block));
    for (size_t i = 0; i < sim::buffer_size(0) / sizeof(uint64_t); ++i) {
        EXPECT_EQ(words[i], 0u);
    }
}

// Transfers.

// H16: a whole run with freezes pushes narrow words only, freeze words from one thread, and no stale device word.
TEST_P(LifecycleCallbacksCopied, ARunPushesNarrowWordsOnlyAndGatesFromOneThread) {
    Pipeline p(GetParam(), 3);
    p.supply(6);
    std::mutex mutex;
    std::set<std::string> wide;
    std::set<int> gate_writers;
    std::map<int, std::set<int>> head_writers;
    std::atomic<int> head_out_of_range{0};
    p.before_transfer([&](const sim::Transfer &transfer) {
        if (!transfer.to_device || transfer.name == ">buffer") {
            return;
        }
        std::lock_guard<std::mutex> lock(mutex);
        if (!sim::is_narrow_push(transfer.name)) {
            wide.insert(transfer.name);
        }
        if (transfer.name[1] == 'r' || transfer.name.compare(1, 2, "fq") == 0) {
            gate_writers.insert(sim::factory_index());
        }
        if (transfer.name.compare(1, 5, "head[") == 0) {
            head_writers[std::stoi(transfer.name.substr(6))].insert(sim::factory_index());
            head_out_of_range += std::stoul(transfer.name.substr(transfer.name.find('=') + 1)) >= 8 ? 1 : 0;
        }
    });
    p.start();
    for (int round = 1; round <= 5; ++round) {
        std::vector<void *> taken;
        for (int q = 0; q < 3; ++q) {
            p.burst(q, static_cast<uint64_t>(round) * 100);
        }
        store(p.dev->backpressure.fq_contended, 1);
        store(p.dev->backpressure.rq_contended, 1);
        EXPECT_TRUE(eventually([&] {
            const auto &gates = p.dev->backpressure;
            return load(gates.fq_contended) + load(gates.fq_freeze_active) + load(gates.rq_contended) +
                       load(gates.rq_freeze_active) ==
                   0;
        }));
    }
    p.stop();
    EXPECT_EQ(wide, std::set<std::string>{});
    EXPECT_EQ(gate_writers, std::set<int>{3});
    EXPECT_EQ(head_out_of_range, 0);
    for (int q = 0; q < 3; ++q) {
        EXPECT_EQ(head_writers[q], std::set<int>{q});
    }
}

// H19: while a gate is shut only the replenish thread writes free queues, whatever the drain threads bring in.
TEST_P(LifecycleCallbacksCopied, OnlyTheReplenishThreadWritesFreeQueuesInAFreeze) {
    constexpr int n = 2;
    Pipeline p(GetParam(), n);
    p.supply(6);
    std::atomic<bool> ready{false};
    p.collector->release_ready = [&] { return ready.load(); };
    p.before_transfer([&](const sim::Transfer &transfer) {
        if (transfer.name.compare(0, 10, ">free_tail") == 0 && load(p.dev->backpressure.fq_freeze_active) != 0) {
            note("free tail", n);
        }
    });
    p.start();
    store(p.dev->backpressure.fq_contended, 1);
    EXPECT_TRUE(eventually([&] { return load(p.dev->backpressure.fq_freeze_active) == 1; }));
    std::vector<uint64_t> counts(n, 0);
    for (int round = 0; round < 10; ++round) {
        for (int q = 0; q < n; ++q) {
            // The ready queue has room for less than a free queue's worth, unless the drain thread is quick.
            const uint64_t published = p.burst(q, counts[static_cast<size_t>(q)]);
            EXPECT_NE(published, 0u);
            counts[static_cast<size_t>(q)] += published;
        }
        EXPECT_TRUE(eventually([&] { return p.free_fill(0, 0) == 4 && p.free_fill(0, 1) == 4; }));
    }
    ready = true;
    EXPECT_TRUE(eventually([&] { return load(p.dev->backpressure.fq_freeze_active) == 0; }));
    p.stop();
    EXPECT_EQ(roles("free tail"), std::set<Role>{Role::kReplenish});
    p.expect_delivered(counts);
}

// H17, for the two platforms whose host reads device memory.
TEST_P(LifecycleCallbacks, WithoutCopyCallbacksNothingIsCopied) {
    if (GetParam() == Sharing::kShadow) {
        return;
    }
    Pipeline p(GetParam(), 2);
    p.supply(6);
    p.start();
    p.burst(0);
    store(p.dev->backpressure.fq_contended, 1);
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 4; }));
    p.stop();
    p.expect_delivered({4, 0});
    EXPECT_EQ(p.memory.count(Memory::Op::kToDevice) + p.memory.count(Memory::Op::kFromDevice), 0u);
}

// Predicate.

// Asked on every tick, freeze or not, before the state machine of that tick; the freeze waits for it.
TEST_P(LifecycleCallbacks, ThePredicateHoldsTheReleaseAndIsAskedInIdleToo) {
    Pipeline p(GetParam(), 1);
    p.supply(4);
    std::atomic<bool> ready{false};
    p.collector->release_ready = [&] { return ready.load(); };
    p.start();
    EXPECT_TRUE(eventually([&] { return p.collector->predicate_calls > 0; }));
    store(p.dev->backpressure.rq_contended, 1);
    EXPECT_TRUE(eventually([&] { return load(p.dev->backpressure.rq_freeze_active) == 1; }));
    const uint64_t asked = p.collector->predicate_calls;
    EXPECT_TRUE(eventually([&] { return p.collector->predicate_calls > asked + 20; }));
    EXPECT_EQ(load(p.dev->backpressure.rq_freeze_active), 1u);
    ready = true;
    EXPECT_TRUE(eventually([&] { return load(p.dev->backpressure.rq_freeze_active) == 0; }));
    p.stop();
    EXPECT_EQ(compat::warnings(), 2u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(LifecycleCallbacks, WithoutAPredicateAFreezeEndsOnItsOwn) {
    sim::Pipeline<sim::PlainCollector<WideModule>, WideModule> p(GetParam(), 1);
    p.supply(4);
    p.start();
    store(p.dev->backpressure.fq_contended, 1);
    EXPECT_TRUE(eventually([&] {
        return load(p.dev->backpressure.fq_contended) == 0 && load(p.dev->backpressure.fq_freeze_active) == 0;
    }));
    p.stop();
}

// W17, W18, W19, W5.

// A gate that is open when stop comes is closed, whatever the predicate says; the contended word is the device's.
TEST_P(LifecycleCallbacks, RefW17StopClosesAnOpenFreeze) {
    for (const bool push_gate : {false, true}) {
        Pipeline p(GetParam(), 1);
        p.supply(4);
        p.collector->release_ready = [] { return false; };
        const auto freeze = [&](auto &header) {
            return load(push_gate ? header.backpressure.rq_freeze_active : header.backpressure.fq_freeze_active);
        };
        auto &contended = push_gate ? p.dev->backpressure.rq_contended : p.dev->backpressure.fq_contended;
        p.start();
        store(contended, 1);
        // The signal is cleared behind the freeze.
        EXPECT_TRUE(eventually([&] { return freeze(*p.dev) == 1 && load(contended) == 0; }));
        store(contended, 1);
        p.stop();
        EXPECT_EQ(freeze(*p.dev), 0u);
        EXPECT_EQ(freeze(*p.host), 0u);
        EXPECT_EQ(load(contended), 1u);
    }
}

// Looks of eventually(), a millisecond apart after the first thousand: what must happen has happened by then, and what
// does not happen on the references costs a case no more.
constexpr int kEnough = 3000;

// A row that belongs to no live thread holds nothing up.
TEST_P(LifecycleCallbacks, RefW18AForeignRowDoesNotHoldTheRelease) {
    Pipeline p(GetParam(), 1);
    p.supply(4);
    p.set(
        [](auto &h) -> auto & { return h.queue_tails[kRows - 1]; }, 5);
    p.start();
    store(p.dev->backpressure.rq_contended, 1);
    EXPECT_TRUE(eventually([&] { return load(p.dev->backpressure.rq_contended) == 0; }));
    const uint64_t opened = p.collector->predicate_calls;
    eventually(
        [&] { return load(p.dev->backpressure.rq_freeze_active) == 0 || p.collector->predicate_calls > opened + 500; });
    EXPECT_EQ(load(p.dev->backpressure.rq_freeze_active), 0u);
    p.stop();
}

// A live row that is corrupt, and has been reported, holds nothing up either.
TEST_P(LifecycleCallbacks, RefW18ABrokenRowDoesNotHoldTheRelease) {
    Pipeline p(GetParam(), 2);
    p.supply(4);
    p.set(
        [](auto &h) -> auto & { return h.queue_tails[1]; }, 4711);
    p.start();
    EXPECT_TRUE(eventually([] { return errors() > 0; }));
    store(p.dev->backpressure.rq_contended, 1);
    EXPECT_TRUE(eventually([&] { return load(p.dev->backpressure.rq_contended) == 0; }));
    const uint64_t opened = p.collector->predicate_calls;
    eventually(
        [&] { return load(p.dev->backpressure.rq_freeze_active) == 0 || p.collector->predicate_calls > opened + 500; });
    EXPECT_EQ(load(p.dev->backpressure.rq_freeze_active), 0u);
    p.stop();
}

// A lasting condition is reported, but not on every poll.
TEST_P(LifecycleCallbacksCopied, RefW19CorruptIndicesDoNotFloodTheLog) {
    Pipeline p(GetParam(), 1);
    p.supply(4);
    p.set(
        [](auto &h) -> auto & { return h.queue_tails[0]; }, 4711);
    std::atomic<int> polls{0};
    p.before_transfer([&](const sim::Transfer &transfer) { polls += transfer.name == "<tail[0]" ? 1 : 0; });
    p.start();
    EXPECT_TRUE(eventually([&] { return polls > 300 && errors() > 0; }));
    p.stop();
    EXPECT_GE(errors(), 1u);
    EXPECT_LE(errors(), 100u);
}

// One of the start-up warnings, and no more of it while the pipeline polls.
TEST_P(LifecycleCallbacks, AWatermarkAboveTheLaneIsWarnedOfAndClamped) {
    using Small = sim::Module<1, 1, 8, 8, 4, 4>;
    sim::Pipeline<sim::ShardCollector<Small>, Small> p(GetParam(), 1);
    Small::warm_target[0] = 100;
    p.start();
    p.stop();
    EXPECT_GE(compat::warnings(), 1u);
    EXPECT_EQ(p.collector->manager().recycled_count(0, 0), 4u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(LifecycleCallbacks, RefW19AWatermarkAboveTheLaneDoesNotFloodTheLog) {
    using Small = sim::Module<1, 1, 8, 8, 4, 4>;
    sim::Pipeline<sim::ShardCollector<Small>, Small> p(GetParam(), 1);
    Small::warm_target[0] = 100;
    p.start();
    EXPECT_TRUE(eventually([&] { return p.collector->predicate_calls > 200; }));
    p.stop();
    EXPECT_GE(compat::warnings(), 1u);
    EXPECT_LE(compat::warnings(), 20u);
}

// One buffer, and an allocator that returns null for a while: the lane goes on once a buffer comes back.
TEST_P(LifecycleCallbacks, RefSkipW17ALaneThatRanDryGoesOnWhenABufferComesBack) {
    Pipeline p(GetParam(), 1);
    p.supply(1);
    p.memory.alloc_fault.arm(1, compat::Fault::kForGood);
    p.collector->record.hook = [](const sim::ReadyInfo &, int) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    };
    p.start();
    EXPECT_TRUE(p.play(50));
    p.memory.alloc_fault.disarm();
    p.stop();
    // An allocator that returns null is no news.
    EXPECT_EQ(compat::errors(), 0u);
    EXPECT_FALSE(log_capture::contains(log_capture::Level::kWarn, "no block"));
    p.expect_delivered({50});
    p.expect_conserved();
}

TEST_P(LifecycleCallbacks, RefSkipW17AnAllocatorThatRecoversServesTheLane) {
    Pipeline p(GetParam(), 1);
    p.memory.alloc_fault.arm(1, 40);
    p.start();
    EXPECT_EQ(p.free_fill(0, 0), 0u);
    EXPECT_TRUE(p.play(20));
    p.stop();
    p.expect_delivered({20});
    p.expect_conserved();
}

// A buffer that is parked for a passing reason comes back into circulation instead of being replaced.
TEST_P(LifecycleCallbacksCopied, RefW5AParkedBufferServesAgain) {
    Pipeline p(GetParam(), 1);
    p.supply(6);
    // The first contents cannot be copied; the pool cannot grow.
    p.memory.alloc_fault.arm(1, compat::Fault::kForGood);
    p.fail("<buffer", 1, 6);
    std::set<void *> delivered;
    p.collector->record.hook = [&](const sim::ReadyInfo &info, int) { delivered.insert(info.dev_buffer_ptr); };
    p.start();
    uint64_t published = 0;
    int looks = 0;
    const bool all = eventually([&] {
        published += p.burst(0, published);
        if (p.free_fill(0, 0) == 0) {
            store(p.dev->backpressure.fq_contended, 1);
        }
        return p.collector->record.total() >= 30 || ++looks > 2 * kEnough;
    });
    p.stop();
    EXPECT_TRUE(all);
    EXPECT_GE(p.collector->record.total(), 30u);
    EXPECT_EQ(delivered.size(), 6u);
    p.memory.alloc_fault.disarm();
    p.expect_conserved();
}

} // namespace
