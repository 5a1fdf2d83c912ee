// Configuration, folding and arguments out of range (contract 2.5.1).
#include "support.h"

#include <climits>
#include <memory>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;

class Config : public LogTest {
  protected:
    void SetUp() override {
        LogTest::SetUp();
        OddModule::reset();
    }

    Manager manager;
};

TEST_F(Config, DefaultsBeforeAnyCall) {
    EXPECT_EQ(manager.shard_count(), Manager::kMaxCollectorShards);
    EXPECT_EQ(manager.shared_mem_dev(), nullptr);
    EXPECT_EQ(manager.shared_mem_host(), nullptr);
    EXPECT_EQ(manager.device_id(), -1);
    // None of this is a memory context: users learn from shared_mem_dev() whether a start ever happened.
    manager.set_shard_count(2);
    manager.register_mapping(fake(1), fake(2));
    manager.push_recycled(0, fake(3));
    EXPECT_EQ(manager.shared_mem_dev(), nullptr);
    EXPECT_EQ(manager.shared_mem_host(), nullptr);
    EXPECT_EQ(manager.device_id(), -1);
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Config, MemoryContextIsReplacedAsAWhole) {
    manager.set_memory_context(MemoryOps{}, fake(1), fake(2), 4096, 7);
    EXPECT_EQ(manager.shared_mem_dev(), fake(1));
    EXPECT_EQ(manager.shared_mem_host(), fake(2));
    EXPECT_EQ(manager.device_id(), 7);
    manager.set_memory_context(MemoryOps{}, fake(3), fake(4), 4096, 0);
    EXPECT_EQ(manager.shared_mem_dev(), fake(3));
    EXPECT_EQ(manager.shared_mem_host(), fake(4));
    EXPECT_EQ(manager.device_id(), 0);
    manager.set_memory_context(MemoryOps{}, nullptr, nullptr, 0, -1);
    EXPECT_EQ(manager.shared_mem_dev(), nullptr);
    EXPECT_EQ(manager.shared_mem_host(), nullptr);
    EXPECT_EQ(manager.device_id(), -1);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Config, LaterCallbacksReplaceEarlierOnes) {
    Memory first(Sharing::kIdentity);
    Memory second(Sharing::kMapped);
    manager.set_memory_context(first.ops(manager), nullptr, nullptr, 0, 1);
    manager.set_memory_context(second.ops(manager), nullptr, nullptr, 0, 2);
    EXPECT_EQ(manager.allocate_recycled_batch(0, 64, 1), 1u);
    EXPECT_TRUE(first.calls().empty());
    const auto registrations = second.calls(Memory::Op::kReg);
    ASSERT_EQ(registrations.size(), 1u);
    EXPECT_EQ(registrations[0].device_id, 2);
    // Callbacks that are gone are not called either.
    size_t copies = 0;
    MemoryOps copying;
    copying.copy_to_device = [&copies](void *, const void *, size_t) { return static_cast<int>(++copies); };
    manager.set_memory_context(copying, fake(1), fake(2), 64, 0);
    EXPECT_EQ(manager.copy_buffer_to_device(fake(3), fake(4), 8), 1);
    manager.set_memory_context(MemoryOps{}, fake(1), fake(2), 64, 0);
    EXPECT_EQ(manager.copy_buffer_to_device(fake(3), fake(4), 8), 0);
    EXPECT_EQ(copies, 1u);
}

TEST_F(Config, MemoryContextLeavesMappingsAndQueuesAlone) {
    manager.register_mapping(fake(1), fake(2));
    manager.register_mapping(fake(3), nullptr);
    void *base = nullptr;
    ASSERT_TRUE(manager.claim_release_pointer(fake(3), &base));
    manager.push_recycled(1, fake(4), 2);
    manager.push_to_ready(info(fake(5)), 3);
    manager.notify_copy_done(fake(6), 2, 1);
    for (int round = 0; round < 3; ++round) {
        manager.set_memory_context(MemoryOps{}, fake(10), fake(11), 64, round);
    }
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), fake(2));
    EXPECT_FALSE(manager.claim_release_pointer(fake(3), &base));
    EXPECT_EQ(base, fake(3));
    EXPECT_EQ(manager.pop_recycled(1, 2), fake(4));
    ReadyInfo ready{};
    EXPECT_TRUE(manager.try_pop_ready(ready, 3));
    EXPECT_EQ(ready.dev_buffer_ptr, fake(5));
    DoneInfo done{};
    EXPECT_TRUE(manager.try_pop_done(done, 1));
    EXPECT_EQ(done.dev_ptr, fake(6));
    EXPECT_EQ(manager.shard_count(), Manager::kMaxCollectorShards);
}

TEST_F(Config, ShardCountsInRangeAreTakenSilently) {
    for (const int n : {1, 2, 3, 4, 1, 4}) {
        manager.set_shard_count(n);
        EXPECT_EQ(manager.shard_count(), n);
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Config, ShardCountsOutOfRangeAreClampedWithAnError) {
    const struct {
        int given;
        int taken;
    } cases[] = {{0, 1}, {-1, 1}, {INT_MIN, 1}, {5, 4}, {INT_MAX, 4}};
    for (const auto &c : cases) {
        Manager fresh;
        fresh.set_shard_count(2);
        expect_logged(Level::kError, "clamped", [&] { fresh.set_shard_count(c.given); });
        EXPECT_EQ(fresh.shard_count(), c.taken) << c.given;
    }
    BufferPoolManager<BareModule> single;
    expect_logged(Level::kError, "clamped", [&] { single.set_shard_count(2); });
    EXPECT_EQ(single.shard_count(), 1);
}

// Negative indices are shard 0, all others the index modulo the live count, in every function that takes one.
TEST_F(Config, IndicesFoldByTheLiveCountEverywhere) {
    for (int n = 1; n <= Manager::kMaxCollectorShards; ++n) {
        for (const int index : {INT_MIN, -7, -1, 0, 1, 2, 3, 4, 5, 6, 7, 1000003, INT_MAX}) {
            Manager fresh;
            fresh.set_shard_count(n);
            const int shard = index < 0 ? 0 : index % n;
            EXPECT_TRUE(fresh.push_recycled(1, fake(1), index));
            EXPECT_EQ(fresh.recycled_count(1, shard), 1u);
            EXPECT_EQ(fresh.recycled_count(1, index), 1u);
            EXPECT_EQ(fresh.pop_recycled(1, shard), fake(1));
            EXPECT_TRUE(fresh.push_recycled(1, fake(2), shard));
            EXPECT_EQ(fresh.pop_recycled(1, index), fake(2));

            ReadyInfo ready{};
            EXPECT_TRUE(fresh.push_to_ready(info(fake(3)), index));
            fresh.wait_push_to_ready(info(fake(4)), index);
            EXPECT_TRUE(fresh.try_pop_ready(ready, shard));
            EXPECT_EQ(ready.dev_buffer_ptr, fake(3));
            EXPECT_TRUE(fresh.wait_pop_ready(ready, std::chrono::milliseconds(0), shard));
            EXPECT_EQ(ready.dev_buffer_ptr, fake(4));
            EXPECT_TRUE(fresh.push_to_ready(info(fake(5)), shard));
            EXPECT_TRUE(fresh.push_to_ready(info(fake(6)), shard));
            EXPECT_TRUE(fresh.try_pop_ready(ready, index));
            EXPECT_TRUE(fresh.wait_pop_ready(ready, std::chrono::milliseconds(0), index));
            EXPECT_EQ(ready.dev_buffer_ptr, fake(6));

            DoneInfo done{};
            EXPECT_TRUE(fresh.notify_copy_done(fake(7), 2, index));
            EXPECT_TRUE(fresh.notify_copy_done(fake(8), 2, shard));
            EXPECT_TRUE(fresh.try_pop_done(done, index));
            EXPECT_EQ(done.dev_ptr, fake(7));
            EXPECT_EQ(fresh.drain_done_into_recycled(index), 1u);
            EXPECT_EQ(fresh.recycled_count(2, shard), 1u);
        }
    }
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Config, ShardZeroIsTheDefault) {
    manager.push_to_ready(info(fake(1)));
    manager.wait_push_to_ready(info(fake(2)));
    ReadyInfo ready{};
    EXPECT_FALSE(manager.try_pop_ready(ready, 1));
    EXPECT_TRUE(manager.try_pop_ready(ready));
    EXPECT_TRUE(manager.wait_pop_ready(ready, std::chrono::milliseconds(0)));
    EXPECT_EQ(ready.dev_buffer_ptr, fake(2));
    manager.notify_copy_done(fake(3), 0);
    DoneInfo done{};
    EXPECT_FALSE(manager.try_pop_done(done, 1));
    EXPECT_TRUE(manager.try_pop_done(done));
    manager.push_recycled(0, fake(4));
    EXPECT_EQ(manager.recycled_count(0, 0), 1u);
    EXPECT_EQ(manager.pop_recycled(0), fake(4));
    manager.retire_unqueued_buffer(0, fake(5));
    manager.retire_unqueued_buffer(0, fake(6), 1);
    Ptrs released;
    manager.release_owned_buffers([&released](void *ptr) { released.push_back(ptr); });
    EXPECT_EQ(released, (Ptrs{fake(5), fake(6)}));
}

// Results that users ignore; with [[nodiscard]] this would not compile.
TEST_F(Config, SomeResultsMayBeIgnored) {
    manager.notify_copy_done(fake(1), 0);
    manager.push_recycled(0, fake(2));
    manager.retire_unqueued_buffer(0, fake(3));
    void *base = nullptr;
    manager.claim_release_pointer(fake(4), &base);
    EXPECT_EQ(manager.drain_done_into_recycled(), 1u);
}

TEST_F(Config, NonLiveLanesKeepTheirContentsButAreNotCounted) {
    for (int shard = 0; shard < 4; ++shard) {
        ASSERT_TRUE(manager.push_recycled(0, fake(static_cast<uintptr_t>(shard) + 1), shard));
    }
    manager.set_shard_count(2);
    EXPECT_EQ(manager.recycled_count(0), 2u);
    EXPECT_EQ(manager.pop_recycled(0, 2), fake(1));
    EXPECT_EQ(manager.pop_recycled(0, 3), fake(2));
    EXPECT_EQ(manager.pop_recycled(0, 2), nullptr);
    EXPECT_EQ(manager.pop_recycled_for_startup(0), nullptr);
    EXPECT_TRUE(manager.recycled_empty());
    manager.set_shard_count(3);
    EXPECT_FALSE(manager.recycled_empty());
    EXPECT_EQ(manager.pop_recycled(0, 2), fake(3));
    manager.set_shard_count(4);
    EXPECT_EQ(manager.pop_recycled_for_startup(0), fake(4));
}

TEST_F(Config, NonLiveRingsKeepTheirContentsToo) {
    manager.push_to_ready(info(fake(1)), 3);
    manager.notify_copy_done(fake(2), 0, 3);
    manager.set_shard_count(3);
    ReadyInfo ready{};
    DoneInfo done{};
    EXPECT_FALSE(manager.try_pop_ready(ready, 3));
    EXPECT_FALSE(manager.try_pop_done(done, 3));
    EXPECT_EQ(manager.drain_done_into_recycled(), 0u);
    manager.set_shard_count(4);
    EXPECT_TRUE(manager.try_pop_ready(ready, 3));
    EXPECT_EQ(manager.drain_done_into_recycled(), 1u);
    EXPECT_EQ(manager.pop_recycled(0, 3), fake(2));
}

// Kinds out of range.

class BadKind : public LogTest, public ::testing::WithParamInterface<int> {
  protected:
    // Neighbours in memory of whatever a bad index would hit; they must look the same afterwards.
    void fill() {
        for (int kind = 0; kind < OddModule::kBufferKinds; ++kind) {
            for (int shard = 0; shard < 4; ++shard) {
                manager->push_recycled(kind, fake(static_cast<uintptr_t>(10 * (kind + 1) + shard)), shard);
            }
        }
    }

    void expect_untouched() {
        for (int kind = 0; kind < OddModule::kBufferKinds; ++kind) {
            for (int shard = 0; shard < 4; ++shard) {
                ASSERT_EQ(manager->recycled_count(kind, shard), 1u);
                ASSERT_EQ(manager->pop_recycled(kind, shard), fake(static_cast<uintptr_t>(10 * (kind + 1) + shard)));
            }
        }
        size_t owned = 0;
        manager->release_owned_buffers([&owned](void *) { ++owned; });
        EXPECT_EQ(owned, 0u);
    }

    template <typename Act> void expect_failure(const char *what, const Act &act) {
        manager = std::make_unique<Manager>();
        fill();
        expect_logged(Level::kError, what, act);
        expect_untouched();
    }

    std::unique_ptr<Manager> manager;
};

TEST_P(BadKind, RefSkipW25_FailsWithAnErrorAndTouchesNothing) {
    const int kind = GetParam();
    // With a flat table of lanes a bad kind of one shard is a good kind of its neighbour.
    for (const int shard : {-1, 0, 1, 3, 9}) {
        expect_failure("push_recycled", [&] { EXPECT_FALSE(manager->push_recycled(kind, fake(1), shard)); });
        expect_failure("pop_recycled", [&] { EXPECT_EQ(manager->pop_recycled(kind, shard), nullptr); });
        expect_failure("retire", [&] { EXPECT_FALSE(manager->retire_unqueued_buffer(kind, fake(1), shard)); });
        expect_failure("notify_copy_done", [&] { EXPECT_FALSE(manager->notify_copy_done(fake(1), kind, shard)); });
        expect_failure("count of a lane", [&] { EXPECT_EQ(manager->recycled_count(kind, shard), 0u); });
        expect_failure("batch", [&] {
            Memory memory(Sharing::kIdentity);
            manager->set_memory_context(memory.ops(*manager), nullptr, nullptr, 0, 0);
            EXPECT_EQ(manager->allocate_recycled_batch(kind, 64, 2, shard), 0u);
            EXPECT_EQ(memory.live(), 0u);
            manager->set_memory_context(MemoryOps{}, nullptr, nullptr, 0, 0);
        });
    }
    expect_failure("startup", [&] { EXPECT_EQ(manager->pop_recycled_for_startup(kind), nullptr); });
    expect_failure("count of a kind", [&] { EXPECT_EQ(manager->recycled_count(kind), 0u); });
}

INSTANTIATE_TEST_SUITE_P(Kinds, BadKind,
                         ::testing::Values(INT_MIN, -1, OddModule::kBufferKinds, OddModule::kBufferKinds + 1, 64, 4096,
                                           INT_MAX),
                         [](const ::testing::TestParamInfo<int> &param) {
                             return param.param < 0 ? "Minus" + std::to_string(-static_cast<long long>(param.param))
                                                    : std::to_string(param.param);
                         });

} // namespace
