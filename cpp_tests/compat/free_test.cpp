// Who frees what, and how often (contract 2.5.6): malloc shadows, free_buffer, claims.
#include "support.h"

#include <cstdlib>
#include <memory>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;
using Op = Memory::Op;

class Free : public LogTest {
  protected:
    void SetUp() override {
        LogTest::SetUp();
        if (!Shadow::counted()) {
            GTEST_SKIP() << "free() is not redirected on this system";
        }
        use(memory.ops(*manager));
    }

    void use(MemoryOps ops) { manager->set_memory_context(std::move(ops), nullptr, nullptr, 0, 0); }

    // A block of `size` bytes whose host view is a shadow.
    void *shadowed_block(size_t size, const Shadow &shadow) {
        MemoryOps ops = memory.ops(*manager);
        ops.reg = [this, &shadow](void *, size_t, int, void **out) {
            *out = shadow.get();
            manager->add_malloc_shadow(shadow.get());
            return 0;
        };
        use(ops);
        void *out = nullptr;
        void *const dev = manager->alloc_and_register_block(size, &out);
        EXPECT_EQ(out, shadow.get());
        return dev;
    }

    Ptrs freed() const {
        Ptrs bases;
        for (const Memory::Call &call : memory.calls(Op::kFree)) {
            bases.push_back(const_cast<void *>(call.device));
        }
        return bases;
    }

    bool claim(void *ptr) {
        void *base = nullptr;
        return manager->claim_release_pointer(ptr, &base);
    }

    Memory memory{Sharing::kIdentity};
    std::unique_ptr<Manager> manager = std::make_unique<Manager>();
};

// Malloc shadows.

TEST_F(Free, ShadowsAreFreedOnceByClearing) {
    Shadow mapped;
    Shadow twice_added;
    Shadow twice_mapped;
    Shadow foreign;
    manager->add_malloc_shadow(nullptr);
    manager->add_malloc_shadow(mapped.get());
    manager->register_mapping(fake(1), mapped.get());
    manager->add_malloc_shadow(twice_added.get());
    manager->add_malloc_shadow(twice_added.get());
    manager->register_mapping(fake(2), twice_added.get());
    // Before it is added, and under two addresses.
    manager->register_mapping(fake(3), twice_mapped.get());
    manager->register_mapping(fake(4), twice_mapped.get());
    manager->add_malloc_shadow(twice_mapped.get());
    // A view made by hardware registration is mapped but never added.
    manager->register_mapping(fake(5), foreign.get());
    manager->clear_mappings();
    EXPECT_EQ(mapped.frees(), 1);
    EXPECT_EQ(twice_added.frees(), 1);
    EXPECT_EQ(twice_mapped.frees(), 1);
    EXPECT_EQ(foreign.frees(), 0);
    manager->clear_mappings();
    manager->release_all_owned([](void *) { ADD_FAILURE(); });
    manager.reset();
    EXPECT_EQ(mapped.frees(), 1);
    EXPECT_EQ(twice_added.frees(), 1);
    EXPECT_EQ(twice_mapped.frees(), 1);
    EXPECT_EQ(foreign.frees(), 0);
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Free, RefW23_ClearingFreesAShadowNoMappingRefersTo) {
    Shadow unmapped;
    manager->add_malloc_shadow(unmapped.get());
    manager->clear_mappings();
    EXPECT_EQ(unmapped.frees(), 1);
}

TEST_F(Free, RefW23_ClearingFreesAShadowWhoseMappingWasOverwritten) {
    Shadow overwritten;
    manager->add_malloc_shadow(overwritten.get());
    manager->register_mapping(fake(1), overwritten.get());
    manager->register_mapping(fake(1), fake(101));
    manager->clear_mappings();
    EXPECT_EQ(overwritten.frees(), 1);
}

TEST_F(Free, RefW23_ClearingFreesAShadowLeftByAFreedBuffer) {
    Shadow first;
    Shadow second;
    manager->add_malloc_shadow(first.get());
    manager->register_mapping(fake(1), first.get());
    manager->add_malloc_shadow(second.get());
    manager->register_mapping(fake(1), second.get());
    manager->free_buffer(fake(1));
    EXPECT_EQ(second.frees(), 1);
    EXPECT_EQ(first.frees(), 0);
    manager->clear_mappings();
    EXPECT_EQ(first.frees(), 1);
    EXPECT_EQ(second.frees(), 1);
}

// release_all_owned reaches the whole set, whatever the mappings say.
TEST_F(Free, ReleasingAllFreesEveryShadowOnce) {
    Shadow mapped;
    Shadow unmapped;
    Shadow overwritten;
    Shadow foreign;
    for (Shadow *shadow : {&mapped, &unmapped, &overwritten}) {
        manager->add_malloc_shadow(shadow->get());
        manager->add_malloc_shadow(shadow->get());
    }
    manager->register_mapping(fake(1), mapped.get());
    manager->register_mapping(fake(2), overwritten.get());
    manager->register_mapping(fake(2), foreign.get());
    manager->release_all_owned([&](void *) {
        // Device memory goes first: its release may still look at the shadow.
        EXPECT_EQ(mapped.frees() + unmapped.frees() + overwritten.frees(), 0);
    });
    EXPECT_EQ(mapped.frees(), 1);
    EXPECT_EQ(unmapped.frees(), 1);
    EXPECT_EQ(overwritten.frees(), 1);
    EXPECT_EQ(foreign.frees(), 0);
    manager->clear_mappings();
    manager.reset();
    EXPECT_EQ(mapped.frees(), 1);
    EXPECT_EQ(unmapped.frees(), 1);
}

// malloc may return the address of a freed shadow again: it counts anew each time it is added.
TEST_F(Free, AShadowAddressMayComeBack) {
    Shadow shadow;
    for (int round = 1; round <= 3; ++round) {
        manager->add_malloc_shadow(shadow.get());
        manager->register_mapping(fake(1), shadow.get());
        if (round == 1) {
            manager->free_buffer(fake(1));
        } else if (round == 2) {
            manager->clear_mappings();
        } else {
            manager->release_all_owned([](void *) {});
        }
        EXPECT_EQ(shadow.frees(), round);
    }
}

TEST_F(Free, QueuesDoNotTouchShadows) {
    Shadow shadow;
    manager->add_malloc_shadow(shadow.get());
    manager->register_mapping(fake(1), shadow.get());
    manager->push_recycled(0, fake(1));
    manager->release_owned_buffers([](void *) {});
    EXPECT_EQ(shadow.frees(), 0);
    EXPECT_EQ(manager->resolve_host_ptr(fake(1)), shadow.get());
    manager->clear_mappings();
    EXPECT_EQ(shadow.frees(), 1);
}

// Pointers that really come from malloc, released by the library's own call of free(): the address sanitizer sees any
// mismatch of allocators, any second release and any loss.
TEST_F(Free, RealMallocMemoryGoesBack) {
    for (uintptr_t i = 1; i <= 100; ++i) {
        void *const block = std::malloc(40 * i);
        manager->add_malloc_shadow(block);
        manager->register_mapping(fake(i), block);
    }
    for (uintptr_t i = 1; i <= 50; ++i) {
        manager->free_buffer(fake(2 * i));
    }
    manager->clear_mappings();
    void *const last = std::malloc(16);
    manager->add_malloc_shadow(last);
    manager->release_all_owned([](void *) { ADD_FAILURE(); });
}

// free_buffer.

TEST_F(Free, FreeingTheUnknownOrNullDoesNothing) {
    manager->register_mapping(fake(1), fake(101));
    manager->free_buffer(nullptr);
    manager->free_buffer(fake(2));
    manager->free_buffer(fake(101));
    manager->free_buffer(offset(fake(1), 1));
    EXPECT_TRUE(memory.calls().empty());
    EXPECT_EQ(manager->resolve_host_ptr(fake(1)), fake(101));
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Free, FreeingReleasesTheBufferThenItsShadow) {
    Shadow shadow;
    void *const dev = memory.alloc(64);
    MemoryOps ops = memory.ops(*manager);
    int frees_during_callback = -1;
    ops.free_ = [&](void *ptr) {
        frees_during_callback = shadow.frees();
        return memory.free(ptr);
    };
    use(ops);
    manager->add_malloc_shadow(shadow.get());
    manager->register_mapping(dev, shadow.get());
    manager->free_buffer(dev);
    EXPECT_EQ(freed(), Ptrs{dev});
    EXPECT_EQ(frees_during_callback, 0);
    EXPECT_EQ(shadow.frees(), 1);
    EXPECT_EQ(complaints(), 0u);
    EXPECT_EQ(manager->resolve_host_ptr(dev), nullptr);
    // Gone for good.
    manager->free_buffer(dev);
    EXPECT_EQ(freed().size(), 1u);
    EXPECT_FALSE(claim(dev));
    manager->clear_mappings();
    EXPECT_EQ(shadow.frees(), 1);
}

TEST_F(Free, AHostViewThatIsNoShadowIsLeftAlone) {
    Shadow foreign;
    void *const dev = memory.alloc(64);
    manager->register_mapping(dev, foreign.get());
    manager->free_buffer(dev);
    EXPECT_EQ(freed(), Ptrs{dev});
    EXPECT_EQ(foreign.frees(), 0);
}

TEST_F(Free, ABufferRegisteredWithoutAHostViewIsFreed) {
    void *const dev = memory.alloc(64);
    manager->register_mapping(dev, nullptr);
    manager->free_buffer(dev);
    EXPECT_EQ(freed(), Ptrs{dev});
}

TEST_F(Free, APieceFreesItsWholeBlockOnce) {
    Shadow shadow(512);
    void *const base = shadowed_block(512, shadow);
    manager->register_mapping(offset(base, 64), fake(105));
    manager->free_buffer(offset(base, 300));
    EXPECT_EQ(freed(), Ptrs{base});
    EXPECT_EQ(shadow.frees(), 1);
    // The range is gone, and so are its pieces; the mapping of another address inside stays.
    EXPECT_EQ(manager->resolve_host_ptr(base), nullptr);
    EXPECT_EQ(manager->resolve_host_ptr(offset(base, 300)), nullptr);
    EXPECT_EQ(manager->release_pointer_for(offset(base, 300)), offset(base, 300));
    EXPECT_EQ(manager->resolve_host_ptr(offset(base, 64)), fake(105));
    manager->free_buffer(base);
    manager->free_buffer(offset(base, 128));
    EXPECT_EQ(freed(), Ptrs{base});
    EXPECT_EQ(shadow.frees(), 1);
    // That mapping is an allocation of its own now.
    EXPECT_TRUE(claim(offset(base, 64)));
}

TEST_F(Free, PiecesOfABatchInAnyOrder) {
    ASSERT_EQ(manager->allocate_recycled_batch(0, 64, 3, 0), 3u);
    ASSERT_EQ(manager->allocate_recycled_batch(0, 64, 3, 1), 3u);
    Ptrs pieces;
    for (int shard = 1; shard >= 0; --shard) {
        while (void *ptr = manager->pop_recycled(0, shard)) {
            pieces.push_back(ptr);
        }
    }
    ASSERT_EQ(pieces.size(), 6u);
    for (const size_t i : {5, 0, 2, 4, 1, 3}) {
        manager->free_buffer(pieces[i]);
    }
    EXPECT_EQ(freed(), (Ptrs{pieces[3], pieces[0]}));
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_EQ(memory.bad_frees(), 0);
}

TEST_F(Free, TheCallbacksResultIsIgnored) {
    for (const int rc : {0, 1, -5}) {
        Shadow shadow;
        size_t calls = 0;
        MemoryOps ops;
        ops.free_ = [&calls, rc](void *) {
            ++calls;
            return rc;
        };
        use(ops);
        manager->add_malloc_shadow(shadow.get());
        manager->register_mapping(fake(1), shadow.get());
        manager->free_buffer(fake(1));
        EXPECT_EQ(calls, 1u);
        EXPECT_EQ(shadow.frees(), 1);
        manager->free_buffer(fake(1));
        EXPECT_EQ(calls, 1u);
    }
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Free, WithoutACallbackTheShadowStillGoes) {
    use(MemoryOps{});
    Shadow shadow;
    manager->add_malloc_shadow(shadow.get());
    manager->register_mapping(fake(1), shadow.get());
    manager->free_buffer(fake(1));
    EXPECT_EQ(shadow.frees(), 1);
    EXPECT_EQ(complaints(), 0u);
    EXPECT_EQ(manager->resolve_host_ptr(fake(1)), nullptr);
}

TEST_F(Free, WhatSomebodyElseClaimedStays) {
    Shadow shadow;
    void *const base = shadowed_block(256, shadow);
    ASSERT_TRUE(claim(offset(base, 64)));
    manager->free_buffer(base);
    manager->free_buffer(offset(base, 128));
    EXPECT_TRUE(freed().empty());
    EXPECT_EQ(shadow.frees(), 0);
    EXPECT_EQ(manager->resolve_host_ptr(base), shadow.get());
    EXPECT_EQ(complaints(), 0u);
    manager->clear_mappings();
    EXPECT_EQ(shadow.frees(), 1);
}

// The same address again, by hand and from the allocator, with another host view.
TEST_F(Free, AFreedAddressIsLikeNew) {
    memory.reuse_addresses(true);
    for (int round = 1; round <= 3; ++round) {
        Shadow shadow(256);
        void *const base = shadowed_block(256, shadow);
        EXPECT_EQ(manager->resolve_host_ptr(offset(base, 100)), offset(shadow.get(), 100));
        manager->free_buffer(offset(base, 100));
        EXPECT_EQ(shadow.frees(), 1);
        EXPECT_EQ(memory.live(), 0u);

        void *const by_hand = memory.alloc(256);
        EXPECT_EQ(by_hand, base);
        manager->register_mapping(by_hand, fake(101));
        EXPECT_EQ(manager->resolve_host_ptr(by_hand), fake(101));
        EXPECT_EQ(manager->release_pointer_for(offset(by_hand, 100)), offset(by_hand, 100));
        manager->free_buffer(by_hand);
        EXPECT_EQ(freed().size(), static_cast<size_t>(2 * round));
    }
    EXPECT_EQ(memory.bad_frees(), 0);
}

TEST_F(Free, OfManyThreadsOneFrees) {
    for (int round = 0; round < 50; ++round) {
        ASSERT_EQ(manager->allocate_recycled_batch(0, 64, 2, 0), 2u);
        void *const first = manager->pop_recycled(0, 0);
        void *const second = manager->pop_recycled(0, 0);
        std::vector<std::thread> threads;
        for (void *ptr : {first, second, first, second}) {
            threads.emplace_back([this, ptr] { manager->free_buffer(ptr); });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        ASSERT_EQ(freed().size(), static_cast<size_t>(round + 1));
        ASSERT_EQ(memory.live(), 0u);
    }
    EXPECT_EQ(memory.bad_frees(), 0);
}

// Claims.

TEST_F(Free, ClaimsNeedAnOutputAndATrackedPointer) {
    manager->register_mapping(fake(1), fake(101));
    EXPECT_FALSE(manager->claim_release_pointer(fake(1), nullptr));
    EXPECT_FALSE(manager->claim_release_pointer(nullptr, nullptr));
    void *base = fake(9);
    EXPECT_FALSE(manager->claim_release_pointer(nullptr, &base));
    EXPECT_EQ(base, nullptr);
    for (void *unknown : {fake(2), fake(101), offset(fake(1), 1)}) {
        base = fake(9);
        EXPECT_FALSE(manager->claim_release_pointer(unknown, &base));
        EXPECT_EQ(base, nullptr);
    }
    // None of that was the claim.
    EXPECT_TRUE(manager->claim_release_pointer(fake(1), &base));
    EXPECT_EQ(base, fake(1));
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Free, EachBaseIsClaimedOnce) {
    void *host = nullptr;
    void *const block = manager->alloc_and_register_block(256, &host);
    void *const other = manager->alloc_and_register_block(256, &host);
    manager->register_mapping(offset(block, 64), fake(101));
    void *base = nullptr;
    EXPECT_TRUE(manager->claim_release_pointer(offset(block, 128), &base));
    EXPECT_EQ(base, block);
    for (const size_t at : {0, 64, 128, 255}) {
        base = nullptr;
        EXPECT_FALSE(manager->claim_release_pointer(offset(block, at), &base));
        EXPECT_EQ(base, block);
    }
    base = fake(9);
    EXPECT_FALSE(manager->claim_release_pointer(offset(block, 256), &base));
    EXPECT_EQ(base, nullptr);
    EXPECT_TRUE(manager->claim_release_pointer(other, &base));
    EXPECT_EQ(base, other);
    // A claim changes nothing else.
    EXPECT_EQ(manager->resolve_host_ptr(block), block);
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Free, ANullHostIsTrackedForClaims) {
    manager->register_mapping(fake(1), nullptr);
    EXPECT_TRUE(claim(fake(1)));
    EXPECT_FALSE(claim(fake(1)));
}

TEST_F(Free, ClaimsLastUntilTheTablesAreCleared) {
    manager->register_mapping(fake(1), fake(101));
    ASSERT_TRUE(claim(fake(1)));
    // Neither another mapping of the address nor another context nor emptied queues end it.
    manager->register_mapping(fake(1), fake(102));
    use(memory.ops(*manager));
    manager->push_recycled(0, fake(1));
    manager->release_owned_buffers([](void *) {});
    manager->set_shard_count(2);
    EXPECT_FALSE(claim(fake(1)));
    manager->clear_mappings();
    EXPECT_FALSE(claim(fake(1)));
    manager->register_mapping(fake(1), fake(101));
    EXPECT_TRUE(claim(fake(1)));
    manager->release_all_owned([](void *) {});
    manager->register_mapping(fake(1), fake(101));
    EXPECT_TRUE(claim(fake(1)));
}

TEST_F(Free, OfManyThreadsOneClaims) {
    for (uintptr_t round = 1; round <= 300; ++round) {
        manager->register_mapping(fake(round), nullptr);
        std::atomic<int> claimed{0};
        std::atomic<bool> go{false};
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([this, round, &claimed, &go] {
                while (!go) {
                    std::this_thread::yield();
                }
                void *base = nullptr;
                claimed += manager->claim_release_pointer(fake(round), &base) ? 1 : 0;
                EXPECT_EQ(base, fake(round));
            });
        }
        go = true;
        for (std::thread &thread : threads) {
            thread.join();
        }
        ASSERT_EQ(claimed, 1);
    }
}

} // namespace
