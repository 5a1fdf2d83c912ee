// replenish_free_queues, replenish_recycled_pools and proactive_replenish (contract, 3.8).
#include "device.h"

using namespace profiling_common;
using compat::errors;
using compat::expect_logged;
using compat::warnings;
using log_capture::Level;
using sim::Bed;
using sim::kRows;
using sim::ModuleCall;
using sim::Sharing;
using sim::Trace;

namespace {

struct Tag;
using Module = sim::Module<3, kRows, 8, 7, 24, 4, sim::CommonLayout, Tag>;
using Algorithms = ProfilerAlgorithms<Module>;
constexpr size_t kLane = Module::kHostRecycledQueueSize;

class AlgorithmsReplenish : public ::testing::TestWithParam<Sharing> {
  protected:
    uint64_t pools(Bed<Module> &bed) { return Algorithms::replenish_recycled_pools(*bed.manager, bed.host); }

    // Byte counts of the allocations that `act` makes.
    template <typename Act> std::vector<size_t> allocated_by(Bed<Module> &bed, const Act &act) {
        const size_t before = bed.allocations();
        act();
        std::vector<size_t> sizes;
        for (const compat::Memory::Call &call : bed.memory.calls(compat::Memory::Op::kAlloc)) {
            sizes.push_back(call.size);
        }
        sizes.erase(sizes.begin(), sizes.begin() + static_cast<ptrdiff_t>(before));
        return sizes;
    }

    static size_t stride(int kind) { return (sim::buffer_size(kind) + 63) / 64 * 64; }
};
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsReplenish,
                         ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

TEST_P(AlgorithmsReplenish, WithoutWatermarkNothingIsAllocated) {
    Bed<Module> bed(GetParam());
    Module::warm_target[1] = -3;
    EXPECT_TRUE(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 0u); }).empty());
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(AlgorithmsReplenish, ASmallGapAllocatesOneRoundOfSlots) {
    Bed<Module> bed(GetParam(), 2);
    Module::warm_target[1] = 6;
    bed.seed(1, 0, 5);
    bed.seed(1, 1, 6);
    EXPECT_EQ(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 4u); }), std::vector<size_t>{4 * stride(1)});
    EXPECT_EQ(bed.manager->recycled_count(1, 0), 9u);
    EXPECT_EQ(bed.manager->recycled_count(1, 1), 6u);
    // At or above its target a lane costs nothing.
    EXPECT_TRUE(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 0u); }).empty());
}

TEST_P(AlgorithmsReplenish, ALargeGapIsClosedInOneAllocation) {
    Bed<Module> bed(GetParam(), 1);
    Module::warm_target[2] = 20;
    bed.seed(2, 0, 3);
    EXPECT_EQ(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 17u); }), std::vector<size_t>{17 * stride(2)});
    EXPECT_EQ(bed.manager->recycled_count(2, 0), 20u);
}

TEST_P(AlgorithmsReplenish, KindsThenShardsAscendingEachIntoItsOwnLane) {
    Bed<Module> bed(GetParam(), 3);
    Module::warm_target[0] = 5;
    Module::warm_target[1] = 0;
    Module::warm_target[2] = 7;
    bed.seed(0, 1, 5);
    const std::vector<size_t> expected{5 * stride(0), 5 * stride(0), 7 * stride(2), 7 * stride(2), 7 * stride(2)};
    EXPECT_EQ(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 31u); }), expected);
    for (int shard = 0; shard < 3; ++shard) {
        EXPECT_EQ(bed.manager->recycled_count(0, shard), 5u);
        EXPECT_EQ(bed.manager->recycled_count(1, shard), 0u);
        EXPECT_EQ(bed.manager->recycled_count(2, shard), 7u);
    }
    // Kinds are never mixed: each lane's buffers have the stride of their kind.
    void *const first = bed.manager->pop_recycled(2, 0);
    void *const second = bed.manager->pop_recycled(2, 0);
    EXPECT_EQ(compat::address(second) - compat::address(first), stride(2));
}

TEST_P(AlgorithmsReplenish, LanesThatAreNotLiveAreNotTouchedAndTheModuleLearnsTheCount) {
    Bed<Module> bed(GetParam(), 2);
    Module::warm_target[0] = 4;
    EXPECT_EQ(pools(bed), 8u);
    EXPECT_EQ(Module::seen_shard_count, 2);
    bed.manager->set_shard_count(kRows);
    EXPECT_EQ(bed.manager->recycled_count(0, 2), 0u);
    EXPECT_EQ(bed.manager->recycled_count(0, 3), 0u);
}

TEST_P(AlgorithmsReplenish, ATargetAboveTheLaneIsClampedWithAWarning) {
    Bed<Module> bed(GetParam(), 1);
    Module::warm_target[0] = 1000;
    expect_logged(Level::kWarn, "watermark above the lane", [&] { EXPECT_EQ(pools(bed), kLane); });
    EXPECT_EQ(bed.manager->recycled_count(0, 0), kLane);
    EXPECT_TRUE(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 0u); }).empty());
}

TEST_P(AlgorithmsReplenish, ATargetEqualToTheLaneNeedsNoWarning) {
    Bed<Module> bed(GetParam(), 1);
    Module::warm_target[0] = static_cast<int>(kLane);
    EXPECT_EQ(pools(bed), kLane);
    EXPECT_EQ(warnings(), 0u);
}

// The block may exceed what the lane can hold by less than a round of slots; the rest is parked, not lost.
TEST_P(AlgorithmsReplenish, WhatDoesNotFitIsParkedAndCounted) {
    Bed<Module> bed(GetParam(), 1);
    Module::warm_target[0] = static_cast<int>(kLane);
    bed.seed(0, 0, static_cast<int>(kLane) - 1);
    EXPECT_EQ(pools(bed), 4u);
    EXPECT_EQ(bed.manager->recycled_count(0, 0), kLane);
}

TEST_P(AlgorithmsReplenish, KindsWithoutAnInstanceAreSkipped) {
    Bed<Module> bed(GetParam());
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 0);
    Module::warm_target[0] = 4;
    EXPECT_TRUE(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 0u); }).empty());
}

TEST_P(AlgorithmsReplenish, AFailedAllocationDoesNotStopTheOthers) {
    Bed<Module> bed(GetParam(), 3);
    Module::warm_target[0] = 4;
    bed.memory.alloc_fault.arm(2);
    EXPECT_EQ(pools(bed), 8u);
    EXPECT_EQ(bed.manager->recycled_count(0, 1), 0u);
    EXPECT_EQ(bed.manager->recycled_count(0, 2), 4u);
    bed.memory.reg_fault.arm(1);
    expect_logged(Level::kError, "registration", [&] { EXPECT_EQ(pools(bed), 0u); });
    EXPECT_EQ(pools(bed), 4u);
}

TEST_P(AlgorithmsReplenish, PoolsLeaveQueuesMetadataAndBatchSizeAlone) {
    Bed<Module> bed(GetParam());
    Module::warm_target[0] = 4;
    std::vector<ModuleCall> calls;
    Module::observer = [&calls](ModuleCall call) { calls.push_back(call); };
    bed.record();
    pools(bed);
    EXPECT_EQ(bed.trace(), Trace{});
    EXPECT_EQ(std::count(calls.begin(), calls.end(), ModuleCall::kMetadata), 0);
    EXPECT_EQ(std::count(calls.begin(), calls.end(), ModuleCall::kBatchSize), 0);
    EXPECT_EQ(std::count(calls.begin(), calls.end(), ModuleCall::kForEachInstance), 1);
    EXPECT_EQ(bed.free_fill(0, 0), 0u);
    Module::observer = nullptr;
}

// H23: what came back closes the gaps before anything is allocated.
TEST_P(AlgorithmsReplenish, ReturnedBuffersComeBeforeAllocation) {
    Bed<Module> bed(GetParam(), 3);
    Module::warm_target[0] = 2;
    for (int i = 0; i < 6; ++i) {
        ASSERT_TRUE(bed.manager->notify_copy_done(bed.new_buffer(), 0, 0));
    }
    EXPECT_EQ(bed.manager->drain_done_into_recycled(), 6u);
    EXPECT_TRUE(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 0u); }).empty());
    for (int shard = 0; shard < 3; ++shard) {
        EXPECT_EQ(bed.manager->recycled_count(0, shard), 2u);
    }
}

// H24, over many random states.
TEST_P(AlgorithmsReplenish, AfterAPassEveryLiveLaneHoldsItsTarget) {
    uint32_t random = 12345;
    const auto next = [&random](uint32_t bound) {
        random = random * 1664525u + 1013904223u;
        return (random >> 8) % bound;
    };
    for (int round = 0; round < 20; ++round) {
        Bed<Module> bed(GetParam(), 1 + static_cast<int>(next(kRows)));
        for (int &target : Module::warm_target) {
            target = static_cast<int>(next(30)) - 2;
        }
        for (int kind = 0; kind < 3; ++kind) {
            for (int shard = 0; shard < bed.manager->shard_count(); ++shard) {
                bed.seed(kind, shard, static_cast<int>(next(kLane)));
            }
        }
        pools(bed);
        for (int kind = 0; kind < 3; ++kind) {
            for (int shard = 0; shard < bed.manager->shard_count(); ++shard) {
                EXPECT_GE(static_cast<int>(bed.manager->recycled_count(kind, shard)),
                          std::min(Module::warm_target[kind], static_cast<int>(kLane)));
            }
        }
        EXPECT_TRUE(allocated_by(bed, [&] { EXPECT_EQ(pools(bed), 0u); }).empty());
    }
}

// Free queues.

TEST_P(AlgorithmsReplenish, TheMetadataHookComesFirstAndOnce) {
    Bed<Module> bed(GetParam());
    std::vector<ModuleCall> calls;
    Module::observer = [&calls](ModuleCall call) { calls.push_back(call); };
    sim::store(bed.dev->live_instances, 1);
    EXPECT_EQ(bed.refill(), 12u);
    Module::observer = nullptr;
    ASSERT_GE(calls.size(), 2u);
    EXPECT_EQ(calls[0], ModuleCall::kMetadata);
    EXPECT_EQ(calls[1], ModuleCall::kForEachInstance);
    EXPECT_EQ(std::count(calls.begin(), calls.end(), ModuleCall::kMetadata), 1);
    EXPECT_EQ(std::count(calls.begin(), calls.end(), ModuleCall::kForEachInstance), 1);
    EXPECT_EQ(bed.free_fill(2, 0), 4u);
    EXPECT_EQ(bed.free_fill(0, 1), 0u);
}

TEST_P(AlgorithmsReplenish, QueuesAreServedInTheOrderOfTheirEnumeration) {
    Bed<Module> bed(GetParam());
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 2);
    const std::vector<void *> lane = bed.seed(0, 3, 6);
    bed.memory.alloc_fault.arm(1, compat::Fault::kForGood);
    EXPECT_EQ(bed.refill(), 6u);
    EXPECT_EQ(bed.free_content(0, 0), std::vector<void *>(lane.begin(), lane.begin() + 4));
    EXPECT_EQ(bed.free_content(0, 1), std::vector<void *>(lane.begin() + 4, lane.end()));
}

TEST_P(AlgorithmsReplenish, QueuesLeaveWatermarksAlone) {
    Bed<Module> bed(GetParam());
    Module::warm_target[0] = 10;
    bed.refill();
    EXPECT_EQ(bed.manager->recycled_count(0), 0u);
}

TEST_P(AlgorithmsReplenish, ProactiveDoesQueuesThenPoolsAndReturnsTheSum) {
    Bed<Module> bed(GetParam(), 2);
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 1);
    Module::warm_target[1] = 5;
    bed.seed(1, 0, 5);
    // The queue takes four of the lane, which is then below its target.
    EXPECT_EQ(Algorithms::proactive_replenish(*bed.manager, bed.host), 12u + 4 + 5);
    EXPECT_EQ(bed.manager->recycled_count(1, 0), 5u);
    EXPECT_EQ(bed.manager->recycled_count(1, 1), 5u);
    EXPECT_EQ(Algorithms::proactive_replenish(*bed.manager, bed.host), 0u);
}

// Odd instances.

// Calls back with whatever the test lists, and declares only what replenishing needs.
struct Listed {
    struct FreeQueue {
        volatile uint32_t head;
        volatile uint32_t tail;
        volatile uint64_t buffer_ptrs[2];
    };
    struct DataHeader {
        FreeQueue queues[4];
    };
    struct ReadyEntry;
    using ReadyBufferInfo = compat::ReadyInfo;
    static constexpr int kBufferKinds = 2;
    static constexpr uint32_t kSlotCount = 2;
    static constexpr const char *kSubsystemName = "Listed";

    struct Instance {
        int kind;
        int queue;
        size_t size;
    };
    static inline std::vector<Instance> instances;

    static int recycled_warm_target(int kind) { return kind == 0 ? 3 : 1; }
    static int batch_size(int) { return 1; }
    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        for (const Instance &instance : instances) {
            cb(instance.kind, &header->queues[instance.queue], instance.size);
        }
    }
};

class AlgorithmsInstances : public ::testing::Test {
  protected:
    AlgorithmsInstances() {
        manager_->set_memory_context(memory_.ops(*manager_), header_.get(), header_.get(), sizeof(*header_), 0);
        log_capture::reset();
    }

    std::vector<size_t> sizes() const {
        std::vector<size_t> sizes;
        for (const compat::Memory::Call &call : memory_.calls(compat::Memory::Op::kAlloc)) {
            sizes.push_back(call.size);
        }
        return sizes;
    }

    compat::Memory memory_{Sharing::kIdentity};
    std::unique_ptr<Listed::DataHeader> header_ = std::make_unique<Listed::DataHeader>();
    std::unique_ptr<BufferPoolManager<Listed>> manager_ = std::make_unique<BufferPoolManager<Listed>>();
};

TEST_F(AlgorithmsInstances, TheFirstSizeOfAKindThatIsNotZeroCounts) {
    Listed::instances = {{1, 0, 0}, {1, 1, 100}, {0, 2, 50}, {1, 3, 200}};
    EXPECT_EQ(ProfilerAlgorithms<Listed>::replenish_recycled_pools(*manager_, header_.get()), 5u);
    EXPECT_EQ(sizes(), (std::vector<size_t>{3 * 64, 2 * 128}));
}

TEST_F(AlgorithmsInstances, PoolsIgnoreKindsOutOfRange) {
    Listed::instances = {{-1, 0, 64}, {2, 1, 64}, {INT32_MAX, 2, 64}, {INT32_MIN, 3, 64}};
    EXPECT_EQ(ProfilerAlgorithms<Listed>::replenish_recycled_pools(*manager_, header_.get()), 0u);
    EXPECT_TRUE(sizes().empty());
}

TEST_F(AlgorithmsInstances, RefSkipW25QueuesOfKindsOutOfRangeGetNothing) {
    Listed::instances = {{-1, 0, 64}, {2, 1, 64}, {1, 2, 64}, {INT32_MAX, 3, 64}};
    EXPECT_EQ(ProfilerAlgorithms<Listed>::replenish_free_queues(*manager_, header_.get()), 2u);
    EXPECT_GE(errors(), 1u);
    EXPECT_EQ(header_->queues[0].tail, 0u);
    EXPECT_EQ(header_->queues[1].tail, 0u);
    EXPECT_EQ(header_->queues[2].tail, 2u);
    EXPECT_EQ(header_->queues[3].tail, 0u);
}

TEST_F(AlgorithmsInstances, TheOneArgumentWatermarkAndNoMetadataHookWork) {
    Listed::instances = {{0, 0, 64}};
    EXPECT_EQ(ProfilerAlgorithms<Listed>::proactive_replenish(*manager_, header_.get()), 5u);
    EXPECT_EQ(manager_->recycled_count(0, 0), 3u);
}

TEST_F(AlgorithmsInstances, AQueueOfSizeZeroGetsNothing) {
    Listed::instances = {{0, 0, 0}};
    EXPECT_EQ(ProfilerAlgorithms<Listed>::replenish_free_queues(*manager_, header_.get()), 0u);
    EXPECT_TRUE(sizes().empty());
}

} // namespace
