// InitRollbackGuard (contract 2.6).
#include "host/profiler_base.h"
#include "support.h"

#include <memory>
#include <optional>
#include <type_traits>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;
using Guard = InitRollbackGuard<Manager>;

class Rollback : public LogTest {
  protected:
    Guard::ReleaseFn release() {
        return [this](void *ptr) {
            released.push_back(ptr);
            return 0;
        };
    }

    Ptrs released;
    Manager manager;
};

TEST_F(Rollback, Shape) {
    static_assert(std::is_same<Guard::ReleaseFn, std::function<int(void *)>>::value, "");
    static_assert(std::is_constructible<Guard, Manager &, Guard::ReleaseFn>::value, "");
    static_assert(!std::is_copy_constructible<Guard>::value && !std::is_copy_assignable<Guard>::value, "");
    // As a member function of a collector writes it.
    struct Owner {
        Manager manager_;
        void init(size_t &count) {
            InitRollbackGuard<decltype(manager_)> guard(manager_, [&count](void *) {
                ++count;
                return 0;
            });
            guard.add_direct_ptr(fake(1));
        }
    };
    size_t count = 0;
    std::make_unique<Owner>()->init(count);
    EXPECT_EQ(count, 1u);
}

TEST_F(Rollback, WithoutCommitDirectPointersThenEverythingMapped) {
    Shadow shadow;
    manager.add_malloc_shadow(shadow.get());
    manager.register_mapping(fake(3), shadow.get());
    manager.register_mapping(fake(1), nullptr);
    manager.push_recycled(0, fake(3));
    manager.push_recycled(0, fake(50));
    {
        Guard guard(manager, release());
        guard.add_direct_ptr(fake(9));
        guard.add_direct_ptr(nullptr);
        guard.add_direct_ptr(fake(2));
        guard.add_direct_ptr(fake(7));
        // Mappings made while the guard is armed belong to it as well.
        manager.register_mapping(fake(2000), nullptr);
        EXPECT_TRUE(released.empty());
        EXPECT_EQ(shadow.frees(), 0);
    }
    EXPECT_EQ(released, (Ptrs{fake(9), fake(2), fake(7), fake(1), fake(3), fake(2000)}));
    if (Shadow::counted()) {
        EXPECT_EQ(shadow.frees(), 1);
    }
    EXPECT_TRUE(manager.recycled_empty());
    EXPECT_EQ(manager.resolve_host_ptr(fake(3)), nullptr);
    // Nothing is left for a finalise after the failed init.
    released.clear();
    manager.release_owned_buffers(release());
    manager.release_all_owned(release());
    EXPECT_TRUE(released.empty());
}

TEST_F(Rollback, CommitDisarms) {
    Shadow shadow;
    manager.add_malloc_shadow(shadow.get());
    manager.register_mapping(fake(1), shadow.get());
    manager.push_recycled(0, fake(1));
    {
        Guard guard(manager, release());
        guard.add_direct_ptr(fake(9));
        guard.commit();
    }
    EXPECT_TRUE(released.empty());
    EXPECT_EQ(shadow.frees(), 0);
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), shadow.get());
    EXPECT_EQ(manager.recycled_count(0), 1u);
    manager.clear_mappings();
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Rollback, CommitIsForGood) {
    {
        Guard guard(manager, release());
        guard.commit();
        guard.commit();
        manager.register_mapping(fake(1), nullptr);
    }
    EXPECT_TRUE(released.empty());
}

TEST_F(Rollback, AnEmptyGuardReleasesWhatIsMapped) {
    manager.register_mapping(fake(1), nullptr);
    { Guard guard(manager, release()); }
    EXPECT_EQ(released, Ptrs{fake(1)});
    { Guard guard(manager, release()); }
    EXPECT_EQ(released, Ptrs{fake(1)});
}

// The shadows are the manager's to free even if nobody can release device memory.
TEST_F(Rollback, WithoutAReleaseFunctionShadowsStillGo) {
    Shadow shadow;
    manager.add_malloc_shadow(shadow.get());
    manager.register_mapping(fake(1), shadow.get());
    manager.push_recycled(0, fake(1));
    {
        Guard guard(manager, nullptr);
        guard.add_direct_ptr(fake(9));
    }
    if (Shadow::counted()) {
        EXPECT_EQ(shadow.frees(), 1);
    }
    EXPECT_EQ(complaints(), 0u);
    EXPECT_TRUE(manager.recycled_empty());
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), nullptr);
}

TEST_F(Rollback, TheReleaseFunctionsResultIsIgnored) {
    manager.register_mapping(fake(1), nullptr);
    manager.register_mapping(fake(2), nullptr);
    size_t calls = 0;
    {
        Guard guard(manager, [&calls](void *) {
            ++calls;
            return -5;
        });
        guard.add_direct_ptr(fake(9));
        guard.add_direct_ptr(fake(8));
    }
    EXPECT_EQ(calls, 4u);
}

TEST_F(Rollback, TheReleaseFunctionMayAskTheManager) {
    manager.register_mapping(fake(1), fake(101));
    {
        Guard guard(manager, [this](void *ptr) {
            void *base = nullptr;
            released.push_back(ptr);
            EXPECT_EQ(manager.claim_release_pointer(ptr, &base), ptr == fake(1));
            EXPECT_EQ(manager.release_pointer_for(ptr), ptr);
            return 0;
        });
        guard.add_direct_ptr(fake(9));
    }
    EXPECT_EQ(released, (Ptrs{fake(9), fake(1)}));
}

// A block that was carved is released once, claims do not matter.
TEST_F(Rollback, BlocksGoOnce) {
    Memory memory(Sharing::kMapped);
    manager.set_memory_context(memory.ops(manager), nullptr, nullptr, 0, 0);
    ASSERT_EQ(manager.allocate_recycled_batch(0, 100, 5), 5u);
    ASSERT_EQ(manager.allocate_recycled_batch(1, 100, 2), 2u);
    void *base = nullptr;
    ASSERT_TRUE(manager.claim_release_pointer(manager.pop_recycled(0), &base));
    void *const direct = memory.alloc(64);
    {
        Guard guard(manager, [&memory](void *ptr) {
            memory.unregister(ptr, 0);
            return memory.free(ptr);
        });
        guard.add_direct_ptr(direct);
    }
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_EQ(memory.bad_frees(), 0);
    EXPECT_EQ(memory.frees_while_mapped(), 0);
}

// With the fix of W22 committed direct pointers are tracked like a mapping to null, so that a later release through the
// manager reaches them.
TEST_F(Rollback, RefW22_CommitMakesDirectPointersTracked) {
    {
        Guard guard(manager, release());
        guard.add_direct_ptr(fake(9));
        guard.add_direct_ptr(fake(8));
        guard.commit();
    }
    void *base = nullptr;
    EXPECT_TRUE(manager.claim_release_pointer(fake(9), &base));
    EXPECT_EQ(base, fake(9));
    EXPECT_TRUE(manager.claim_release_pointer(fake(8), &base));
    EXPECT_EQ(manager.resolve_host_ptr(fake(9)), nullptr);
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Rollback, CommittedNullsAreNotTracked) {
    {
        Guard guard(manager, release());
        guard.add_direct_ptr(nullptr);
        guard.commit();
    }
    void *base = fake(1);
    EXPECT_FALSE(manager.claim_release_pointer(nullptr, &base));
    size_t bases = 0;
    manager.release_all_owned([&bases](void *) { ++bases; });
    EXPECT_EQ(bases, 0u);
}

} // namespace
