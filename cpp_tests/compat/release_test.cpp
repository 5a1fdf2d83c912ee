// Teardown of the manager (contract 2.5.8): what is released, in which order, how often.
#include "support.h"

#include <cstdlib>
#include <functional>
#include <memory>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;
constexpr size_t kLaneCapacity = Manager::kRecycledQueueCapacity;

class Release : public LogTest {
  protected:
    void SetUp() override {
        LogTest::SetUp();
        OddModule::reset();
        manager.set_memory_context(memory.ops(manager), nullptr, nullptr, 0, 0);
    }

    Ptrs owned() {
        Ptrs released;
        manager.release_owned_buffers([&released](void *ptr) { released.push_back(ptr); });
        return released;
    }

    Ptrs all() {
        Ptrs released;
        manager.release_all_owned([&released](void *ptr) { released.push_back(ptr); });
        return released;
    }

    void *block(size_t size) {
        void *host = nullptr;
        return manager.alloc_and_register_block(size, &host);
    }

    bool queues_are_empty() {
        ReadyInfo ready{};
        DoneInfo done{};
        for (int shard = 0; shard < manager.shard_count(); ++shard) {
            if (manager.try_pop_ready(ready, shard) || manager.try_pop_done(done, shard)) {
                return false;
            }
        }
        return manager.recycled_empty();
    }

    Memory memory{Sharing::kIdentity};
    Manager manager;
};

// release_owned_buffers.

// Every place of every shard holds buffers; two shards are not live any more by then.
TEST_F(Release, OwnedBuffersComeInOrderFromAllShards) {
    Ptrs expected;
    uintptr_t name = 1;
    for (int shard = 0; shard < 4; ++shard) {
        for (int kind = 0; kind < 3; ++kind) {
            for (size_t i = 0; i < kLaneCapacity; ++i) {
                ASSERT_TRUE(manager.push_recycled(kind, fake(name), shard));
                expected.push_back(fake(name++));
            }
        }
    }
    for (int shard = 0; shard < 4; ++shard) {
        for (int kind = 0; kind < 3; ++kind) {
            ASSERT_TRUE(manager.retire_unqueued_buffer(kind, fake(name), shard));
            ASSERT_TRUE(manager.retire_unqueued_buffer(kind, fake(name + 1), shard));
            expected.push_back(fake(name + 1));
            expected.push_back(fake(name));
            name += 2;
        }
    }
    for (int shard = 0; shard < 4; ++shard) {
        for (int i = 0; i < 3; ++i) {
            ASSERT_TRUE(manager.notify_copy_done(fake(name), i, shard));
            expected.push_back(fake(name++));
        }
    }
    for (int shard = 0; shard < 4; ++shard) {
        for (int i = 0; i < 3; ++i) {
            ASSERT_TRUE(manager.push_to_ready(info(fake(name)), shard));
            expected.push_back(fake(name++));
        }
    }
    manager.set_shard_count(2);
    EXPECT_EQ(owned(), expected);
    EXPECT_EQ(owned(), Ptrs{});
    manager.set_shard_count(4);
    EXPECT_TRUE(queues_are_empty());
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Release, OwnedBuffersAreReportedByBaseAndOnce) {
    void *const first = block(256);
    void *const second = block(256);
    // First met as a piece in a lane, then in every other place.
    manager.push_recycled(1, offset(second, 64), 0);
    manager.push_recycled(0, offset(first, 128), 1);
    manager.push_recycled(0, fake(1), 1);
    manager.push_recycled(2, fake(1), 2);
    manager.retire_unqueued_buffer(0, first, 0);
    manager.retire_unqueued_buffer(0, fake(1), 0);
    manager.retire_unqueued_buffer(0, fake(2), 0);
    manager.notify_copy_done(second, 1, 0);
    manager.notify_copy_done(offset(first, 192), 0, 0);
    manager.notify_copy_done(fake(3), 0, 0);
    manager.push_to_ready(info(offset(second, 192)), 0);
    manager.push_to_ready(info(fake(2)), 0);
    manager.push_to_ready(info(fake(4)), 0);
    EXPECT_EQ(owned(), (Ptrs{second, first, fake(1), fake(2), fake(3), fake(4)}));
    // Once per call, not once for ever.
    manager.push_recycled(0, offset(first, 64), 0);
    EXPECT_EQ(owned(), Ptrs{first});
}

TEST_F(Release, OwnedBuffersAreReportedDespiteClaimsAndTablesStay) {
    void *const base = block(256);
    manager.register_mapping(fake(1), fake(101));
    void *out = nullptr;
    ASSERT_TRUE(manager.claim_release_pointer(base, &out));
    manager.push_recycled(0, offset(base, 64));
    manager.push_recycled(0, fake(1));
    EXPECT_EQ(owned(), (Ptrs{base, fake(1)}));
    EXPECT_EQ(manager.resolve_host_ptr(offset(base, 64)), offset(base, 64));
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), fake(101));
    EXPECT_FALSE(manager.claim_release_pointer(base, &out));
    EXPECT_TRUE(manager.claim_release_pointer(fake(1), &out));
    // The callbacks of the memory context have no part in it.
    EXPECT_EQ(memory.count(Memory::Op::kFree), 0u);
}

TEST_F(Release, NullsAreSkipped) {
    manager.push_to_ready(info(nullptr));
    manager.retire_unqueued_buffer(0, nullptr);
    manager.push_to_ready(info(fake(1)));
    EXPECT_EQ(owned(), Ptrs{fake(1)});
    EXPECT_EQ(owned(), Ptrs{});
}

TEST_F(Release, RingsAreFullyUsableAfterwards) {
    for (int round = 0; round < 3; ++round) {
        for (uintptr_t i = 0; i < kLaneCapacity; ++i) {
            ASSERT_TRUE(manager.push_recycled(0, fake(i + 1)));
        }
        for (uintptr_t i = 0; i < Manager::kReadyQueueCapacity; ++i) {
            ASSERT_TRUE(manager.push_to_ready(info(fake(i + 1))));
        }
        for (uintptr_t i = 0; i < Manager::kPoolQueueCapacity; ++i) {
            ASSERT_TRUE(manager.notify_copy_done(fake(i + 1), 0));
        }
        if (round == 1) {
            all();
        } else {
            EXPECT_EQ(owned().size(), Manager::kPoolQueueCapacity);
        }
    }
}

// Re-entrancy.

TEST_F(Release, TheCallbackMayAskTheManager) {
    ASSERT_EQ(manager.allocate_recycled_batch(0, 64, 3, 0), 3u);
    ASSERT_EQ(manager.allocate_recycled_batch(1, 64, 2, 1), 2u);
    manager.push_recycled(2, fake(1));
    size_t claims = 0;
    size_t calls = 0;
    manager.release_owned_buffers([&](void *ptr) {
        ++calls;
        void *base = fake(9);
        claims += manager.claim_release_pointer(ptr, &base) ? 1 : 0;
        EXPECT_EQ(base, ptr == fake(1) ? nullptr : ptr);
        EXPECT_EQ(manager.release_pointer_for(ptr), ptr);
        EXPECT_EQ(manager.resolve_host_ptr(ptr), ptr == fake(1) ? nullptr : ptr);
        EXPECT_EQ(manager.recycled_count(2), 0u + manager.recycled_count(2, 0));
    });
    EXPECT_EQ(calls, 3u);
    EXPECT_EQ(claims, 2u);
}

// As collectors do it: claim inside, free the base, each block once whatever mix of pieces is met.
TEST_F(Release, ClaimAndFreeInsideReleasesEachBlockOnce) {
    ASSERT_EQ(manager.allocate_recycled_batch(0, 64, 7), 7u);
    ASSERT_EQ(manager.allocate_recycled_batch(1, 100, 3, 2), 3u);
    void *const held = manager.pop_recycled(1, 2);
    const auto release = [this](void *ptr) {
        void *base = nullptr;
        if (manager.claim_release_pointer(ptr, &base)) {
            memory.free(base);
        }
    };
    // A piece from a free queue before, another after, repeats in between.
    release(held);
    manager.release_owned_buffers(release);
    release(held);
    manager.release_owned_buffers(release);
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_EQ(memory.bad_frees(), 0);
    manager.clear_mappings();
    EXPECT_EQ(manager.resolve_host_ptr(held), nullptr);
}

TEST_F(Release, FreeBufferInsideReleasesEachBlockOnce) {
    ASSERT_EQ(manager.allocate_recycled_batch(0, 64, 7), 7u);
    ASSERT_EQ(manager.allocate_recycled_batch(1, 64, 3, 2), 3u);
    manager.release_owned_buffers([this](void *ptr) { manager.free_buffer(ptr); });
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_EQ(memory.bad_frees(), 0);
}

TEST_F(Release, AnyCallableWillDo) {
    static size_t calls;
    calls = 0;
    struct Functor {
        int operator()(void *) const {
            ++calls;
            return -1;
        }
    };
    const auto again = [this] { manager.push_recycled(0, fake(1)); };
    again();
    manager.release_owned_buffers(Functor());
    again();
    manager.release_owned_buffers(std::function<int(void *)>(Functor()));
    again();
    manager.release_owned_buffers(+[](void *) { ++calls; });
    again();
    manager.release_owned_buffers([](const void *) {
        ++calls;
        return "ignored";
    });
    EXPECT_EQ(calls, 4u);
    manager.register_mapping(fake(1), nullptr);
    manager.release_all_owned(Functor());
    EXPECT_EQ(calls, 5u);
}

// release_all_owned.

TEST_F(Release, AllOwnedReachesEveryMappingAscending) {
    void *const high = reinterpret_cast<void *>(~uintptr_t{0} - 0xfff);
    void *const upper_half = reinterpret_cast<void *>(uintptr_t{1} << 63);
    void *const first = block(256);
    void *const second = block(64);
    ASSERT_LT(address(first), address(second));
    manager.register_mapping(offset(first, 64), fake(101));
    manager.register_mapping(offset(second, 63), nullptr);
    manager.register_mapping(fake(3), nullptr);
    manager.register_mapping(high, fake(102));
    manager.register_mapping(fake(1), fake(103));
    manager.register_mapping(upper_half, fake(104));
    manager.register_mapping(nullptr, fake(105));
    manager.register_mapping(fake(2), fake(106));
    manager.register_mapping(fake(2), fake(107));
    // Neither claimed nor sitting in a queue makes a difference; what was never mapped is not reported.
    void *out = nullptr;
    ASSERT_TRUE(manager.claim_release_pointer(fake(2), &out));
    ASSERT_TRUE(manager.claim_release_pointer(first, &out));
    manager.push_recycled(0, first);
    manager.push_recycled(0, fake(70));
    EXPECT_EQ(all(), (Ptrs{fake(1), fake(2), fake(3), first, second, upper_half, high}));
    EXPECT_EQ(memory.count(Memory::Op::kFree), 0u);
    EXPECT_EQ(complaints(), 0u);

    EXPECT_EQ(all(), Ptrs{});
    EXPECT_EQ(owned(), Ptrs{});
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(offset(first, 1)), nullptr);
    manager.register_mapping(fake(2), nullptr);
    EXPECT_TRUE(manager.claim_release_pointer(fake(2), &out));
}

// Buffers that sit in device free queues are in no queue of the host, but in the table.
TEST_F(Release, AllOwnedReachesBuffersOutsideTheQueues) {
    ASSERT_EQ(manager.allocate_recycled_batch(0, 64, 3, 0), 3u);
    ASSERT_EQ(manager.allocate_recycled_batch(1, 64, 3, 0), 3u);
    for (int kind = 0; kind < 2; ++kind) {
        while (manager.pop_recycled(kind, 0) != nullptr) {
        }
    }
    manager.release_all_owned([this](void *ptr) { memory.free(ptr); });
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_EQ(memory.bad_frees(), 0);
}

TEST_F(Release, AllOwnedDiscardsQueuesFirstOnAllShards) {
    for (int shard = 0; shard < 4; ++shard) {
        manager.push_recycled(2, fake(1), shard);
        manager.retire_unqueued_buffer(1, fake(2), shard);
        manager.notify_copy_done(fake(3), 0, shard);
        manager.push_to_ready(info(fake(4)), shard);
    }
    manager.register_mapping(fake(5), fake(105));
    manager.set_shard_count(1);
    size_t calls = 0;
    manager.release_all_owned([&](void *ptr) {
        ++calls;
        EXPECT_TRUE(manager.recycled_empty());
        // The tables are still there for the callback.
        void *base = nullptr;
        EXPECT_EQ(manager.resolve_host_ptr(ptr), fake(105));
        EXPECT_TRUE(manager.claim_release_pointer(ptr, &base));
        EXPECT_EQ(manager.release_pointer_for(ptr), ptr);
    });
    EXPECT_EQ(calls, 1u);
    manager.set_shard_count(4);
    EXPECT_TRUE(queues_are_empty());
    EXPECT_EQ(owned(), Ptrs{});
}

// clear_mappings.

TEST_F(Release, ClearingForgetsTablesAndCallsNothing) {
    void *const base = block(256);
    manager.register_mapping(fake(1), fake(101));
    manager.push_recycled(0, offset(base, 64));
    manager.notify_copy_done(fake(1), 0);
    memory.forget_calls();
    manager.clear_mappings();
    manager.clear_mappings();
    EXPECT_TRUE(memory.calls().empty());
    EXPECT_EQ(memory.live(), 1u);
    EXPECT_EQ(complaints(), 0u);
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(base), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(offset(base, 64)), nullptr);
    void *out = fake(9);
    EXPECT_FALSE(manager.claim_release_pointer(base, &out));
    EXPECT_EQ(out, nullptr);
    EXPECT_EQ(all(), Ptrs{});
}

// Queues are no mappings: their contents stay, now untracked and passed as they are.
TEST_F(Release, ClearingLeavesTheQueues) {
    void *const base = block(256);
    manager.push_recycled(0, offset(base, 64));
    manager.push_recycled(0, offset(base, 128));
    manager.clear_mappings();
    EXPECT_EQ(manager.recycled_count(0), 2u);
    EXPECT_EQ(owned(), (Ptrs{offset(base, 64), offset(base, 128)}));
}

TEST_F(Release, EmptyManagersReleaseNothing) {
    Manager fresh;
    expect_silent("nothing to release", [&fresh] {
        for (int i = 0; i < 2; ++i) {
            fresh.release_owned_buffers([](void *) { ADD_FAILURE(); });
            fresh.clear_mappings();
            fresh.release_all_owned([](void *) { ADD_FAILURE(); });
        }
    });
}

// Init and finalise, again and again on one manager, with an allocator that returns the same addresses.
TEST_F(Release, AddressesMayComeBackAfterEveryKindOfTeardown) {
    memory.reuse_addresses(true);
    Ptrs first_round;
    for (int round = 0; round < 9; ++round) {
        ASSERT_EQ(manager.allocate_recycled_batch(0, 64, 8), 8u);
        ASSERT_EQ(manager.allocate_recycled_batch(1, 96, 2, 1), 2u);
        Ptrs pieces;
        for (int shard = 0; shard < 4; ++shard) {
            pieces.push_back(manager.pop_recycled(0, shard));
            EXPECT_EQ(manager.resolve_host_ptr(pieces.back()), pieces.back());
        }
        if (round == 0) {
            first_round = pieces;
        }
        EXPECT_EQ(pieces, first_round);
        const auto release = [this](void *ptr) {
            void *base = nullptr;
            if (manager.claim_release_pointer(ptr, &base)) {
                memory.free(base);
            }
        };
        switch (round % 3) {
        case 0:
            for (void *piece : pieces) {
                release(piece);
            }
            manager.release_owned_buffers(release);
            manager.clear_mappings();
            break;
        case 1:
            manager.release_all_owned([this](void *ptr) { memory.free(ptr); });
            break;
        default:
            for (void *piece : pieces) {
                manager.free_buffer(piece);
            }
            manager.release_owned_buffers([this](void *ptr) { manager.free_buffer(ptr); });
            break;
        }
        ASSERT_EQ(memory.live(), 0u) << round;
        ASSERT_EQ(memory.bad_frees(), 0) << round;
    }
}

} // namespace
