// Traits of a Module and the static part of BufferPoolManager (contract 2.3, 2.4), from modules that define nothing
// beyond the minimum to the geometry of the existing subsystems.
#include "support.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

using namespace profiling_common;
using namespace compat;

namespace {

struct ZeroModule : BareModule {
    static constexpr uint32_t kReadyQueueSize = 0;
    static constexpr uint32_t kHostPoolQueueSize = 0;
    static constexpr uint32_t kHostRecycledQueueSize = 0;
};

struct PoolOnlyModule : BareModule {
    static constexpr uint32_t kHostPoolQueueSize = 24;
};

struct ZeroPoolOnlyModule : BareModule {
    static constexpr uint32_t kHostPoolQueueSize = 0;
};

struct LaneOnlyModule : BareModule {
    static constexpr uint32_t kHostRecycledQueueSize = 6;
};

struct AllModule : BareModule {
    static constexpr int kMaxCollectorThreads = 3;
    static constexpr uint32_t kReadyQueueSize = 11;
    static constexpr uint32_t kHostPoolQueueSize = 12;
    static constexpr uint32_t kHostRecycledQueueSize = 13;
};

// Other integral types than the usual ones, enumerators included.
struct OddlyTypedModule : BareModule {
    static constexpr short kMaxCollectorThreads = 2;
    static constexpr uint64_t kReadyQueueSize = 5;
    static constexpr int kHostPoolQueueSize = 9;
    enum : unsigned char { kHostRecycledQueueSize = 7 };
};

template <typename Module, int Shards, size_t Ready, size_t Pool, size_t Lane> constexpr bool geometry_is() {
    using Manager = BufferPoolManager<Module>;
    static_assert(ProfilerModuleMaxCollectorThreads<Module>::value == Shards, "shards");
    static_assert(ProfilerModuleHostQueueCapacity<Module>::value == Ready, "ready ring");
    static_assert(ProfilerModuleHostPoolQueueCapacity<Module>::value == Pool, "done ring");
    static_assert(ProfilerModuleHostRecycledQueueCapacity<Module>::value == Lane, "lane");
    static_assert(Manager::kMaxCollectorShards == Shards, "shards");
    static_assert(Manager::kReadyQueueCapacity == Ready, "ready ring");
    static_assert(Manager::kHostQueueCapacity == Ready, "ready ring");
    static_assert(Manager::kPoolQueueCapacity == Pool, "done ring");
    static_assert(Manager::kRecycledQueueCapacity == Lane, "lane");
    return true;
}

static_assert(geometry_is<BareModule, 1, 1024, 1024, 1024>(), "");
static_assert(geometry_is<ZeroModule, 1, 1, 1, 1>(), "");
static_assert(geometry_is<PoolOnlyModule, 1, 1024, 24, 24>(), "");
static_assert(geometry_is<ZeroPoolOnlyModule, 1, 1024, 1, 1>(), "");
static_assert(geometry_is<LaneOnlyModule, 1, 1024, 1024, 6>(), "");
static_assert(geometry_is<AllModule, 3, 11, 12, 13>(), "");
static_assert(geometry_is<OddlyTypedModule, 2, 5, 9, 7>(), "");
static_assert(geometry_is<ChipSwimlaneLike<4>, 4, 992, 920, 576>(), "");
static_assert(geometry_is<ChipSwimlaneLike<5>, 5, 1456, 1366, 864>(), "");

static_assert(std::is_same<decltype(ProfilerModuleMaxCollectorThreads<AllModule>::value), const int>::value, "");
static_assert(std::is_same<decltype(ProfilerModuleHostQueueCapacity<AllModule>::value), const size_t>::value, "");
static_assert(std::is_same<decltype(ProfilerModuleHostPoolQueueCapacity<AllModule>::value), const size_t>::value, "");
static_assert(std::is_same<decltype(ProfilerModuleHostRecycledQueueCapacity<AllModule>::value), const size_t>::value,
              "");
static_assert(std::is_same<decltype(BufferPoolManager<AllModule>::kMaxCollectorShards), const int>::value, "");
static_assert(std::is_same<decltype(BufferPoolManager<AllModule>::kReadyQueueCapacity), const size_t>::value, "");
static_assert(std::is_same<decltype(BufferPoolManager<AllModule>::kHostQueueCapacity), const size_t>::value, "");
static_assert(std::is_same<decltype(BufferPoolManager<AllModule>::kPoolQueueCapacity), const size_t>::value, "");
static_assert(std::is_same<decltype(BufferPoolManager<AllModule>::kRecycledQueueCapacity), const size_t>::value, "");

// The second parameter of the detection traits is a defaulted type.
template <template <typename, typename> class Trait> constexpr bool has_defaulted_second() {
    return Trait<AllModule, void>::value == 3 || Trait<AllModule, void>::value >= 11;
}
static_assert(has_defaulted_second<ProfilerModuleMaxCollectorThreads>(), "");
static_assert(has_defaulted_second<ProfilerModuleHostQueueCapacity>(), "");
static_assert(has_defaulted_second<ProfilerModuleHostPoolQueueCapacity>(), "");
static_assert(has_defaulted_second<ProfilerModuleHostRecycledQueueCapacity>(), "");

// Warm target.

struct OneArgTarget : BareModule {
    static int recycled_warm_target(int kind) { return 10 + kind; }
};
struct TwoArgTarget : BareModule {
    static int recycled_warm_target(int kind, int shard_count) { return 100 * kind + shard_count; }
};
struct BothTargets : BareModule {
    static int recycled_warm_target(int) { return -1; }
    static int recycled_warm_target(int kind, int shard_count) { return 100 * kind + shard_count; }
};
struct DefaultedTarget : BareModule {
    static constexpr int recycled_warm_target(int kind, int shard_count = 50) { return 100 * kind + shard_count; }
};
struct ConvertingTarget : BareModule {
    static short recycled_warm_target(long kind, unsigned shard_count) noexcept {
        return static_cast<short>(100 * kind + static_cast<long>(shard_count));
    }
};
struct UnrelatedTarget : BareModule {
    static int recycled_warm_target(const char *, int, int) { return 9; }
};

TEST(WarmTarget, TwoArgumentsThenOneThenNone) {
    EXPECT_EQ(profiler_module_recycled_warm_target<BareModule>(3, 4), 0);
    EXPECT_EQ(profiler_module_recycled_warm_target<OneArgTarget>(3, 4), 13);
    EXPECT_EQ(profiler_module_recycled_warm_target<TwoArgTarget>(3, 4), 304);
    EXPECT_EQ(profiler_module_recycled_warm_target<BothTargets>(3, 4), 304);
    EXPECT_EQ(profiler_module_recycled_warm_target<DefaultedTarget>(3, 4), 304);
    EXPECT_EQ(profiler_module_recycled_warm_target<ConvertingTarget>(3, 4), 304);
    EXPECT_EQ(profiler_module_recycled_warm_target<UnrelatedTarget>(3, 4), 0);
    static_assert(std::is_same<decltype(profiler_module_recycled_warm_target<ConvertingTarget>(1, 1)), int>::value, "");
}

TEST(WarmTarget, HelperRanksByItsLastParameter) {
    EXPECT_EQ(profiler_module_recycled_warm_target_impl<BothTargets>(3, 4, 0), 304);
    EXPECT_EQ(profiler_module_recycled_warm_target_impl<OneArgTarget>(3, 4, 0), 13);
    EXPECT_EQ(profiler_module_recycled_warm_target_impl<BareModule>(3, 4, 0), 0);
}

// What the class asks for.

// Every function of the manager on a module without anything optional, its header and entry types incomplete.
TEST(MinimalModule, EveryFunctionCompilesAndWorks) {
    using Manager = BufferPoolManager<BareModule>;
    static_assert(std::is_same<Manager::ReadyBufferInfo, BareInfo>::value, "");
    Memory memory(Sharing::kIdentity);
    auto manager = std::make_unique<Manager>();
    manager->set_memory_context(memory.ops(*manager), fake(1), fake(2), 64, 5);
    manager->set_shard_count(1);
    const Manager &constant = *manager;
    EXPECT_EQ(constant.shard_count(), 1);
    EXPECT_EQ(constant.shared_mem_dev(), fake(1));
    EXPECT_EQ(constant.shared_mem_host(), fake(2));
    EXPECT_EQ(constant.device_id(), 5);

    BareInfo out{};
    EXPECT_TRUE(manager->push_to_ready(BareInfo{fake(3)}));
    manager->wait_push_to_ready(BareInfo{fake(4)});
    EXPECT_TRUE(manager->try_pop_ready(out));
    EXPECT_EQ(out.dev_buffer_ptr, fake(3));
    EXPECT_TRUE(manager->wait_pop_ready(out, std::chrono::milliseconds(0)));
    EXPECT_EQ(out.dev_buffer_ptr, fake(4));

    DoneInfo done{};
    EXPECT_TRUE(manager->notify_copy_done(fake(5), 0));
    EXPECT_TRUE(manager->try_pop_done(done));
    EXPECT_EQ(manager->drain_done_into_recycled(), 0u);
    EXPECT_EQ(manager->drain_done_into_recycled(0), 0u);
    EXPECT_TRUE(manager->push_recycled(0, fake(6)));
    EXPECT_EQ(manager->pop_recycled(0), fake(6));
    EXPECT_EQ(manager->pop_recycled_for_startup(0), nullptr);
    EXPECT_TRUE(manager->retire_unqueued_buffer(0, fake(7)));
    EXPECT_EQ(constant.recycled_count(0), 0u);
    EXPECT_EQ(constant.recycled_count(0, 0), 0u);
    EXPECT_TRUE(constant.recycled_empty());
    EXPECT_EQ(manager->allocate_recycled_batch(0, 10, 2), 2u);
    void *host = nullptr;
    void *const block = manager->alloc_and_register_block(10, &host);
    EXPECT_EQ(constant.resolve_host_ptr(block), host);
    EXPECT_EQ(constant.release_pointer_for(offset(block, 9)), block);
    void *base = nullptr;
    EXPECT_TRUE(manager->claim_release_pointer(block, &base));
    manager->register_mapping(fake(8), nullptr);
    manager->free_buffer(fake(9));
    manager->add_malloc_shadow(nullptr);
    EXPECT_EQ(manager->mirror_shm_from_device(), 0);
    EXPECT_EQ(manager->write_range_to_device(fake(2), 4), 0);
    EXPECT_EQ(manager->read_range_from_device(fake(2), 4), 0);
    EXPECT_EQ(manager->copy_buffer_from_device(fake(2), fake(1), 4), 0);
    EXPECT_EQ(manager->copy_buffer_to_device(fake(1), fake(2), 4), 0);
    size_t owned = 0;
    manager->release_owned_buffers([&owned](void *) { ++owned; });
    EXPECT_EQ(owned, 2u);
    manager->clear_mappings();
    manager->release_all_owned([](void *) { ADD_FAILURE(); });
    EXPECT_EQ(errors(), 0u);
}

TEST(MinimalModule, ZeroCapacitiesBecomeOne) {
    BufferPoolManager<ZeroModule> manager;
    EXPECT_TRUE(manager.push_to_ready(BareInfo{fake(1)}));
    EXPECT_FALSE(manager.push_to_ready(BareInfo{fake(2)}));
    EXPECT_TRUE(manager.notify_copy_done(fake(3), 0));
    EXPECT_FALSE(manager.notify_copy_done(fake(4), 0));
    EXPECT_TRUE(manager.push_recycled(0, fake(5)));
    EXPECT_FALSE(manager.push_recycled(0, fake(6)));
}

// The pointer may be of any type that converts to void *, anywhere in the info; the info may have any size, be aligned
// strictly and have members that only copy-assign.
struct Typed {
    char payload[184];
    struct Record *dev_buffer_ptr;
    char tail[8];
};
struct Handle {
    void *ptr;
    operator void *() const { return ptr; }
};
struct Convertible {
    uint32_t words[2];
    Handle dev_buffer_ptr;
};
struct alignas(32) Wide {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
    uint64_t words[2];
};
struct Sized40 {
    uint64_t words[3];
    void *host_buffer_ptr;
    void *dev_buffer_ptr;
};
template <typename Info> struct InfoModule {
    struct DataHeader;
    struct ReadyEntry;
    using ReadyBufferInfo = Info;
    static constexpr int kBufferKinds = 2;
    static constexpr uint32_t kReadyQueueSize = 3;
};

template <typename Info> class InfoShapes : public ::testing::Test {};
using Infos = ::testing::Types<BareInfo, Typed, Convertible, Wide, Sized40>;
TYPED_TEST_SUITE(InfoShapes, Infos);

template <typename Info> void set_pointer(Info &ready, void *ptr) { ready.dev_buffer_ptr = {ptr}; }
void set_pointer(Typed &ready, void *ptr) { ready.dev_buffer_ptr = static_cast<Record *>(ptr); }

TYPED_TEST(InfoShapes, EveryByteArrivesAndThePointerIsReleased) {
    BufferPoolManager<InfoModule<TypeParam>> manager;
    const auto make = [](unsigned seed) {
        TypeParam ready;
        for (size_t i = 0; i < sizeof(ready); ++i) {
            reinterpret_cast<unsigned char *>(&ready)[i] = static_cast<unsigned char>(seed * 31 + i);
        }
        return ready;
    };
    // More laps than the ring has slots.
    for (unsigned seed = 0; seed < 10; ++seed) {
        const TypeParam in = make(seed);
        ASSERT_TRUE(manager.push_to_ready(in));
        TypeParam out{};
        ASSERT_TRUE(manager.try_pop_ready(out));
        static_assert(std::has_unique_object_representations<TypeParam>::value, "no padding, all bytes count");
        EXPECT_EQ(std::memcmp(&in, &out, sizeof(in)), 0);
        EXPECT_EQ(static_cast<void *>(out.dev_buffer_ptr), static_cast<void *>(in.dev_buffer_ptr));
    }
    TypeParam ready = make(1);
    set_pointer(ready, fake(77));
    manager.push_to_ready(ready);
    Ptrs released;
    manager.release_owned_buffers([&released](void *ptr) { released.push_back(ptr); });
    EXPECT_EQ(released, Ptrs{fake(77)});
}

// Construction, destruction.

using Odd = BufferPoolManager<OddModule>;

TEST(Construction, TakesNoArgumentsAndIsNeitherCopiedNorMoved) {
    static_assert(std::is_default_constructible<Odd>::value, "");
    static_assert(!std::is_copy_constructible<Odd>::value && !std::is_copy_assignable<Odd>::value, "");
    static_assert(!std::is_move_constructible<Odd>::value && !std::is_move_assignable<Odd>::value, "");
    static_assert(std::is_object<Odd>::value, "");
    // As a member of a class with nothing but a default constructor.
    struct Owner {
        BufferPoolManager<BareModule> manager_;
    };
    const auto owner = std::make_unique<Owner>();
    EXPECT_EQ(owner->manager_.shard_count(), 1);
}

TEST(Construction, RefW31_TheObjectFitsOnASmallStack) {
    EXPECT_LE(sizeof(BufferPoolManager<ChipSwimlaneLike<4>>), size_t{16} << 10);
    EXPECT_LE(sizeof(BufferPoolManager<ChipSwimlaneLike<5>>), size_t{16} << 10);
}

TEST(Construction, LogsNothingAndCallsNothing) {
    expect_silent("construction and destruction", [] {
        Odd manager;
        Odd second;
    });
}

// The owner may still hold host views, and its callbacks may be gone already.
TEST(Destruction, LeavesDeviceMemoryAndShadowsAlone) {
    Memory memory(Sharing::kMapped);
    Shadow shadow;
    Shadow unmapped;
    {
        Odd manager;
        manager.set_memory_context(memory.ops(manager), fake(1), fake(2), 64, 0);
        ASSERT_EQ(manager.allocate_recycled_batch(0, 64, 6), 6u);
        manager.add_malloc_shadow(shadow.get());
        manager.add_malloc_shadow(unmapped.get());
        manager.register_mapping(fake(3), shadow.get());
        manager.push_to_ready(info(fake(4)));
        manager.notify_copy_done(fake(5), 1);
        manager.retire_unqueued_buffer(2, fake(6));
        memory.forget_calls();
        log_capture::reset();
    }
    EXPECT_TRUE(memory.calls().empty());
    EXPECT_EQ(memory.live(), 1u);
    EXPECT_EQ(shadow.frees(), 0);
    EXPECT_EQ(unmapped.frees(), 0);
    EXPECT_EQ(complaints(), 0u);
}

// Callbacks own what they capture; nothing of it survives the manager, and a new context drops the old one.
TEST(Destruction, DropsTheCallbacks) {
    const auto token = std::make_shared<int>(0);
    const auto ops = [&token] {
        MemoryOps made;
        made.alloc = [token](size_t) -> void * { return nullptr; };
        made.copy_to_device = [token](void *, const void *, size_t) { return *token; };
        return made;
    };
    {
        Odd manager;
        manager.set_memory_context(ops(), nullptr, nullptr, 0, 0);
        EXPECT_GT(token.use_count(), 1);
        manager.set_memory_context(MemoryOps{}, nullptr, nullptr, 0, 0);
        EXPECT_EQ(token.use_count(), 1);
        manager.set_memory_context(ops(), nullptr, nullptr, 0, 0);
    }
    EXPECT_EQ(token.use_count(), 1);
}

// Many managers one after another and side by side: a handle, thread or descriptor leaked per manager would end this.
TEST(Construction, ManyManagersAreIndependent) {
    std::vector<std::unique_ptr<Odd>> managers;
    for (uintptr_t i = 0; i < 2000; ++i) {
        managers.push_back(std::make_unique<Odd>());
        managers.back()->push_recycled(0, fake(i + 1));
        if (i % 4 != 0) {
            managers.erase(managers.begin() + static_cast<ptrdiff_t>(i % managers.size()));
        }
    }
    Ptrs seen;
    for (const auto &manager : managers) {
        void *const ptr = manager->pop_recycled(0);
        EXPECT_NE(ptr, nullptr);
        EXPECT_EQ(manager->pop_recycled(0), nullptr);
        seen.push_back(ptr);
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end());
}

} // namespace
