// Allocation of blocks and their carving into buffers (contract 2.5.6).
#include "support.h"

#include <limits>
#include <memory>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;
using Op = Memory::Op;
constexpr size_t kLaneCapacity = Manager::kRecycledQueueCapacity;
constexpr size_t kHuge = std::numeric_limits<size_t>::max();
constexpr int kDevice = 6;

class Block : public LogTest, public ::testing::WithParamInterface<Sharing> {
  protected:
    Block() : memory(GetParam()) { manager.set_memory_context(memory.ops(manager), nullptr, nullptr, 0, kDevice); }

    ~Block() override { manager.clear_mappings(); }

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

    Memory memory;
    Manager manager;
};

INSTANTIATE_TEST_SUITE_P(Modes, Block, ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         SharingName());

// alloc_and_register_block.

TEST_P(Block, IsMappedExactlyAndAsARange) {
    void *host = nullptr;
    void *const dev = manager.alloc_and_register_block(200, &host);
    ASSERT_NE(dev, nullptr);
    const auto calls = memory.calls();
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[0].op, Op::kAlloc);
    EXPECT_EQ(calls[0].size, 200u);
    EXPECT_EQ(calls[0].device, dev);
    EXPECT_EQ(calls[1].op, Op::kReg);
    EXPECT_EQ(calls[1].device, dev);
    EXPECT_EQ(calls[1].size, 200u);
    EXPECT_EQ(calls[1].device_id, kDevice);
    EXPECT_EQ(calls[1].host, host);
    for (const size_t at : {size_t{0}, size_t{1}, size_t{64}, size_t{199}}) {
        EXPECT_EQ(manager.resolve_host_ptr(offset(dev, at)), offset(host, at));
        EXPECT_EQ(manager.release_pointer_for(offset(dev, at)), dev);
    }
    EXPECT_EQ(log_capture::total(), 0u);
    EXPECT_EQ(manager.resolve_host_ptr(offset(dev, 200)), nullptr);
    // The exact mapping is one of its own: overwriting it leaves the range.
    manager.register_mapping(dev, fake(1));
    EXPECT_EQ(manager.resolve_host_ptr(dev), fake(1));
    EXPECT_EQ(manager.resolve_host_ptr(offset(dev, 1)), offset(host, 1));
    manager.register_mapping(dev, host);
}

TEST_P(Block, AllocatesAsOftenAsItIsAsked) {
    Ptrs blocks;
    for (size_t size = 1; size <= 50; ++size) {
        void *host = nullptr;
        void *const dev = manager.alloc_and_register_block(size, &host);
        ASSERT_NE(dev, nullptr);
        blocks.push_back(dev);
    }
    EXPECT_EQ(memory.count(Op::kAlloc), 50u);
    EXPECT_EQ(memory.count(Op::kReg), 50u);
    for (size_t i = 0; i < blocks.size(); ++i) {
        EXPECT_EQ(manager.release_pointer_for(offset(blocks[i], i)), blocks[i]);
    }
}

TEST_P(Block, FailedAllocationIsSilent) {
    memory.alloc_fault.arm(1);
    void *host = fake(1);
    expect_silent("allocation returned null", [&] { EXPECT_EQ(manager.alloc_and_register_block(64, &host), nullptr); });
    EXPECT_EQ(host, nullptr);
    EXPECT_EQ(memory.calls().size(), 1u);
}

// A failing return code, and the success that brings no pointer.
TEST_P(Block, FailedRegistrationFreesTheBlockAndMapsNothing) {
    for (Fault *const fault : {&memory.reg_fault, &memory.null_reg_fault}) {
        Manager fresh;
        fresh.set_memory_context(memory.ops(fresh), nullptr, nullptr, 0, kDevice);
        memory.forget_calls();
        fault->arm(1);
        void *host = fake(1);
        expect_logged(Level::kError, "registration failed",
                      [&] { EXPECT_EQ(fresh.alloc_and_register_block(64, &host), nullptr); });
        fault->disarm();
        EXPECT_EQ(host, nullptr);
        const auto calls = memory.calls();
        ASSERT_EQ(calls.size(), 3u);
        EXPECT_EQ(calls[2].op, Op::kFree);
        EXPECT_EQ(calls[2].device, calls[0].device);
        void *const dev = const_cast<void *>(calls[0].device);
        EXPECT_EQ(fresh.resolve_host_ptr(dev), nullptr);
        EXPECT_EQ(fresh.resolve_host_ptr(offset(dev, 1)), nullptr);
        void *base = nullptr;
        EXPECT_FALSE(fresh.claim_release_pointer(dev, &base));
        size_t released = 0;
        fresh.release_all_owned([&released](void *) { ++released; });
        EXPECT_EQ(released, 0u);
    }
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_EQ(memory.bad_frees(), 0);
}

TEST_P(Block, ANonZeroCodeFailsEvenWithAPointer) {
    for (const int rc : {1, -1, 507000}) {
        MemoryOps ops = memory.ops(manager);
        ops.reg = [rc](void *dev, size_t, int, void **host) {
            *host = dev;
            return rc;
        };
        manager.set_memory_context(ops, nullptr, nullptr, 0, kDevice);
        void *host = fake(1);
        EXPECT_EQ(manager.alloc_and_register_block(64, &host), nullptr);
        EXPECT_EQ(host, nullptr);
        EXPECT_EQ(memory.live(), 0u);
    }
    EXPECT_GE(errors(), 1u);
}

TEST_P(Block, FailedRegistrationWithoutAFreeCallback) {
    MemoryOps ops = memory.ops(manager);
    ops.free_ = nullptr;
    manager.set_memory_context(ops, nullptr, nullptr, 0, kDevice);
    memory.reg_fault.arm(1);
    void *host = fake(1);
    EXPECT_EQ(manager.alloc_and_register_block(64, &host), nullptr);
    EXPECT_EQ(host, nullptr);
    EXPECT_EQ(memory.live(), 1u);
}

TEST_P(Block, RefW25_MissingCallbacksFailWithAnError) {
    for (const bool without_alloc : {true, false}) {
        Manager fresh;
        MemoryOps ops = memory.ops(fresh);
        if (without_alloc) {
            ops.alloc = nullptr;
        } else {
            ops.reg = nullptr;
        }
        fresh.set_memory_context(ops, nullptr, nullptr, 0, kDevice);
        void *host = fake(1);
        expect_logged(Level::kError, "callback missing",
                      [&] { EXPECT_EQ(fresh.alloc_and_register_block(64, &host), nullptr); });
        EXPECT_EQ(host, nullptr);
        EXPECT_EQ(fresh.allocate_recycled_batch(0, 64, 2), 0u);
        EXPECT_EQ(memory.live(), 0u);
    }
    Manager unset;
    EXPECT_EQ(unset.allocate_recycled_batch(0, 64, 2), 0u);
}

TEST_P(Block, RefSkipW25_NullOutputFailsWithAnError) {
    expect_logged(Level::kError, "null output",
                  [this] { EXPECT_EQ(manager.alloc_and_register_block(64, nullptr), nullptr); });
    EXPECT_EQ(memory.live(), 0u);
}

// allocate_recycled_batch.

TEST_P(Block, BatchIsOneAllocationAndOneRegistrationInStridesOf64) {
    const struct {
        size_t size;
        size_t stride;
    } cases[] = {{1, 64}, {63, 64}, {64, 64}, {65, 128}, {128, 128}, {1000, 1024}};
    for (const auto &c : cases) {
        memory.forget_calls();
        ASSERT_EQ(manager.allocate_recycled_batch(1, c.size, 3, 2), 3u) << c.size;
        const auto allocations = memory.calls(Op::kAlloc);
        const auto registrations = memory.calls(Op::kReg);
        ASSERT_EQ(allocations.size(), 1u);
        ASSERT_EQ(registrations.size(), 1u);
        EXPECT_EQ(allocations[0].size, 3 * c.stride);
        EXPECT_EQ(registrations[0].size, 3 * c.stride);
        EXPECT_EQ(registrations[0].device_id, kDevice);
        EXPECT_EQ(registrations[0].device, allocations[0].device);
        void *const base = const_cast<void *>(allocations[0].device);
        void *const host = const_cast<void *>(registrations[0].host);
        EXPECT_EQ(lane(1, 2), (Ptrs{base, offset(base, c.stride), offset(base, 2 * c.stride)}));
        for (size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(manager.resolve_host_ptr(offset(base, i * c.stride)), offset(host, i * c.stride));
            EXPECT_EQ(manager.release_pointer_for(offset(base, i * c.stride)), base);
        }
    }
    EXPECT_EQ(memory.count(Op::kFree), 0u);
    EXPECT_EQ(log_capture::total(), 0u);
}

// The base comes from the allocator as it is; only distances are multiples of 64.
TEST_P(Block, BatchTakesAnUnalignedBase) {
    MemoryOps ops = memory.ops(manager);
    ops.alloc = [this](size_t size) { return offset(memory.alloc(size + 8), 8); };
    manager.set_memory_context(ops, nullptr, nullptr, 0, kDevice);
    ASSERT_EQ(manager.allocate_recycled_batch(0, 100, 2, 1), 2u);
    const Ptrs pieces = lane(0, 1);
    EXPECT_EQ(address(pieces[0]) % 64, 8u);
    EXPECT_EQ(pieces[1], offset(pieces[0], 128));
}

TEST_P(Block, BatchIsDealtRoundRobinOverLiveShards) {
    for (int n = 1; n <= 4; ++n) {
        manager.set_shard_count(n);
        const int count = 2 * n + 1;
        memory.forget_calls();
        for (const int index : {-1, -9}) {
            ASSERT_EQ(manager.allocate_recycled_batch(0, 64, count, index), static_cast<size_t>(count));
            void *const base = const_cast<void *>(memory.calls(Op::kAlloc).back().device);
            for (int shard = 0; shard < n; ++shard) {
                Ptrs expected;
                for (int i = shard; i < count; i += n) {
                    expected.push_back(offset(base, 64 * static_cast<size_t>(i)));
                }
                EXPECT_EQ(lane(0, shard), expected) << "shard " << shard << " of " << n;
            }
        }
        manager.set_shard_count(4);
        EXPECT_TRUE(manager.recycled_empty());
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(Block, BatchIsDealtByDefault) {
    ASSERT_EQ(manager.allocate_recycled_batch(2, 64, 4), 4u);
    for (int shard = 0; shard < 4; ++shard) {
        EXPECT_EQ(manager.recycled_count(2, shard), 1u);
    }
}

TEST_P(Block, BatchForOneShardFoldsItsIndex) {
    manager.set_shard_count(3);
    ASSERT_EQ(manager.allocate_recycled_batch(2, 64, 2, 7), 2u);
    EXPECT_EQ(manager.recycled_count(2, 1), 2u);
    EXPECT_EQ(manager.recycled_count(2), 2u);
    ASSERT_EQ(manager.allocate_recycled_batch(2, 64, 1, 0), 1u);
    EXPECT_EQ(manager.recycled_count(2, 0), 1u);
}

// What the lane of its shard cannot hold is parked there, and counts as placed.
TEST_P(Block, BatchBeyondTheLanesIsParkedAndCounted) {
    ASSERT_EQ(manager.allocate_recycled_batch(0, 64, 10, 1), 10u);
    EXPECT_EQ(manager.recycled_count(0, 1), kLaneCapacity);
    EXPECT_EQ(manager.recycled_count(0), kLaneCapacity);
    void *const base = const_cast<void *>(memory.calls(Op::kAlloc).back().device);
    EXPECT_EQ(lane(0, 1), (Ptrs{base, offset(base, 64), offset(base, 128)}));
    // Full lanes from the start: all of the batch is parked.
    for (uintptr_t i = 0; i < kLaneCapacity; ++i) {
        manager.push_recycled(1, fake(i + 1), 3);
    }
    EXPECT_EQ(manager.allocate_recycled_batch(1, 64, 4, 3), 4u);
    void *const parked = const_cast<void *>(memory.calls(Op::kAlloc).back().device);
    Ptrs expected{fake(1), fake(2), fake(3), base, parked};
    EXPECT_EQ(owned(), expected);
    EXPECT_EQ(memory.live(), 2u);
}

TEST_P(Block, BatchDealtOverFullLanesCountsAll) {
    EXPECT_EQ(manager.allocate_recycled_batch(0, 64, 100), 100u);
    EXPECT_EQ(manager.recycled_count(0), 4 * kLaneCapacity);
    EXPECT_EQ(memory.count(Op::kAlloc), 1u);
    size_t pieces = 0;
    for (int shard = 0; shard < 4; ++shard) {
        pieces += lane(0, shard).size();
    }
    EXPECT_EQ(pieces, 4 * kLaneCapacity);
    EXPECT_EQ(owned().size(), 1u);
}

TEST_P(Block, BatchOfNothingDoesNothing) {
    expect_silent("nothing asked", [this] {
        EXPECT_EQ(manager.allocate_recycled_batch(0, 64, 0), 0u);
        EXPECT_EQ(manager.allocate_recycled_batch(0, 64, -1, 2), 0u);
        EXPECT_EQ(manager.allocate_recycled_batch(0, 64, std::numeric_limits<int>::min()), 0u);
        EXPECT_EQ(manager.allocate_recycled_batch(0, 0, 4), 0u);
        EXPECT_EQ(manager.allocate_recycled_batch(0, 0, 0, 1), 0u);
    });
    EXPECT_TRUE(memory.calls().empty());
}

TEST_P(Block, BatchSizesThatOverflowAreRefused) {
    const struct {
        size_t size;
        int count;
    } cases[] = {{kHuge, 1},      {kHuge - 62, 1}, // rounding up overflows
                 {kHuge - 63, 2},                  // the largest stride, twice
                 {kHuge / 2, 4},  {kHuge / 2 + 1, 2}, {(size_t{1} << 40) + 1, std::numeric_limits<int>::max()}};
    for (const auto &c : cases) {
        Manager fresh;
        fresh.set_memory_context(memory.ops(fresh), nullptr, nullptr, 0, kDevice);
        expect_logged(Level::kError, "overflow",
                      [&] { EXPECT_EQ(fresh.allocate_recycled_batch(0, c.size, c.count), 0u); });
    }
    EXPECT_TRUE(memory.calls().empty());
}

// Just below the limit the request is legal and goes to the allocator, which has nothing of that size.
TEST_P(Block, BatchJustBelowOverflowIsAsked) {
    EXPECT_EQ(manager.allocate_recycled_batch(0, kHuge - 63, 1), 0u);
    EXPECT_EQ(manager.allocate_recycled_batch(0, kHuge / 2 - 68, 2), 0u);
    const auto calls = memory.calls();
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[0].size, kHuge - 63);
    EXPECT_EQ(calls[1].size, kHuge - 127);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(Block, BatchWithoutMemoryPlacesNothing) {
    memory.alloc_fault.arm(1);
    expect_silent("allocation returned null", [this] { EXPECT_EQ(manager.allocate_recycled_batch(0, 64, 2), 0u); });
    for (Fault *const fault : {&memory.reg_fault, &memory.null_reg_fault}) {
        fault->arm(1);
        EXPECT_EQ(manager.allocate_recycled_batch(0, 64, 2), 0u);
        fault->disarm();
    }
    EXPECT_GE(errors(), 1u);
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_TRUE(manager.recycled_empty());
    EXPECT_EQ(manager.allocate_recycled_batch(0, 64, 2), 2u);
}

} // namespace
