// Free types, aliases and macros (contract 2.1, 2.2): what users name must have the exact shape they rely on.
#include "host/profiler_base.h"
#include "support.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using namespace profiling_common;
using namespace compat;

namespace {

// Plain functions stand for every message text; the macros must exist, accept a literal alone and with arguments.
TEST(LogMacros, EachReachesItsFunction) {
    log_capture::reset();
    LOG_ERROR("plain");
    LOG_WARN("with %d", 1);
    LOG_TIMING("with %s", "text");
    LOG_INFO("100%%");
    LOG_DEBUG("%zu", sizeof(int));
    for (const Level level : {Level::kError, Level::kWarn, Level::kTiming, Level::kInfo, Level::kDebug}) {
        EXPECT_EQ(log_capture::count(level), 1u);
    }
    EXPECT_TRUE(log_capture::contains(Level::kWarn, "with 1"));
}

// Function-like macros: a facade that declared functions of these names would not compile here.
#if !defined(rmb) || !defined(wmb) || !defined(OUT_OF_ORDER_STORE_BARRIER)
#error "host/profiler_base.h brings the barriers of common/memory_barrier.h"
#endif

TEST(Barriers, AreStatements) {
    rmb();
    wmb();
    OUT_OF_ORDER_STORE_BARRIER();
}

TEST(RuntimeHeaders, HaveTheShapesUsersRelyOn) {
    using ToDevice = int (*)(volatile void *, const void *, size_t);
    using FromDevice = int (*)(volatile void *, const volatile void *, size_t);
    static_assert(std::is_same<decltype(&profiling_copy_to_device), ToDevice>::value, "");
    static_assert(std::is_same<decltype(&profiling_copy_from_device), FromDevice>::value, "");
    static_assert(std::is_same<decltype(profiling_copy_to_device_or_null()),
                               std::function<int(void *, const void *, size_t)>>::value,
                  "");
    static_assert(std::is_same<decltype(profiling_copy_from_device_or_null()),
                               std::function<int(void *, const void *, size_t)>>::value,
                  "");
    static_assert(std::is_same<decltype(PLATFORM_MAX_AICPU_THREADS), const int>::value, "");
    static_assert(PLATFORM_MAX_AICPU_THREADS == 4 || PLATFORM_MAX_AICPU_THREADS == 5, "");
    MemoryOps ops;
    ops.copy_to_device = profiling_copy_to_device_for_ops;
    ops.copy_from_device = profiling_copy_from_device_for_ops;
    char from[8] = "abcdefg";
    char to[8] = {};
    EXPECT_EQ(ops.copy_to_device(to, from, sizeof(from)), 0);
    EXPECT_STREQ(to, from);
}

TEST(ThreadFactoryType, EmptyMeansPlainThreads) {
    static_assert(std::is_same<ThreadFactory, std::function<std::thread(std::function<void()>)>>::value, "");
    const ThreadFactory none = nullptr;
    EXPECT_FALSE(none);
    const ThreadFactory some = [](std::function<void()> body) { return std::thread(std::move(body)); };
    bool ran = false;
    some([&ran] { ran = true; }).join();
    EXPECT_TRUE(ran);
}

TEST(MemoryOpsType, HasFiveEmptyCallbacksInOrder) {
    MemoryOps ops;
    auto &[alloc, reg, free_, to_device, from_device] = ops;
    static_assert(std::is_same<decltype(alloc), std::function<void *(size_t)>>::value, "");
    static_assert(std::is_same<decltype(reg), std::function<int(void *, size_t, int, void **)>>::value, "");
    static_assert(std::is_same<decltype(free_), std::function<int(void *)>>::value, "");
    static_assert(std::is_same<decltype(to_device), std::function<int(void *, const void *, size_t)>>::value, "");
    static_assert(std::is_same<decltype(from_device), std::function<int(void *, const void *, size_t)>>::value, "");
    EXPECT_EQ(&alloc, &ops.alloc);
    EXPECT_EQ(&reg, &ops.reg);
    EXPECT_EQ(&free_, &ops.free_);
    EXPECT_EQ(&to_device, &ops.copy_to_device);
    EXPECT_EQ(&from_device, &ops.copy_from_device);
    EXPECT_FALSE(ops.alloc || ops.reg || ops.free_ || ops.copy_to_device || ops.copy_from_device);
}

TEST(MemoryOpsType, MembersAreAssignedSinglyAndTheWholeMoves) {
    static_assert(std::is_move_constructible<MemoryOps>::value && std::is_move_assignable<MemoryOps>::value, "");
    static_assert(std::is_copy_constructible<MemoryOps>::value, "");
    MemoryOps ops;
    ops.alloc = [](size_t size) { return fake(size); };
    const MemoryOps moved = std::move(ops);
    EXPECT_EQ(moved.alloc(3), fake(3));
    EXPECT_FALSE(moved.free_);
}

TEST(DoneInfoType, IsAnAggregateOfPointerAndKind) {
    static_assert(std::is_aggregate<DoneInfo>::value && std::is_trivially_copyable<DoneInfo>::value, "");
    const DoneInfo none{};
    EXPECT_EQ(none.dev_ptr, nullptr);
    EXPECT_EQ(none.kind, 0);
    const DoneInfo some{fake(1), 2};
    const auto &[dev_ptr, kind] = some;
    static_assert(std::is_same<decltype(dev_ptr), void *const>::value, "");
    static_assert(std::is_same<decltype(kind), const int>::value, "");
    EXPECT_EQ(dev_ptr, fake(1));
    EXPECT_EQ(kind, 2);
}

TEST(CallbackAliases, AreComparedWithNull) {
    static_assert(std::is_same<ProfAllocCallback, std::function<void *(size_t)>>::value, "");
    static_assert(std::is_same<ProfRegisterCallback, int (*)(void *, size_t, int, void **)>::value, "");
    static_assert(std::is_same<ProfUnregisterCallback, int (*)(void *, int)>::value, "");
    static_assert(std::is_same<ProfFreeCallback, std::function<int(void *)>>::value, "");
    const ProfAllocCallback alloc = nullptr;
    const ProfFreeCallback release = nullptr;
    EXPECT_TRUE(alloc == nullptr);
    EXPECT_TRUE(release == nullptr);
}

// A Module names EntrySite of itself, inside an optional, while it is incomplete.
struct SiteModule {
    struct FreeQueue {
        int unused;
    };
    struct ReadyBufferInfo {
        void *dev_buffer_ptr;
        void *host_buffer_ptr;
        int extra;
    };
    static std::optional<EntrySite<SiteModule>> braces(FreeQueue *queue) {
        return EntrySite<SiteModule>{3, queue, 96, ReadyBufferInfo{fake(1), fake(2), 7}};
    }
    static std::optional<EntrySite<SiteModule>> fields(FreeQueue *queue) {
        EntrySite<SiteModule> site;
        site.kind = 3;
        site.free_queue = queue;
        site.buffer_size = 96;
        site.info = ReadyBufferInfo{fake(1), fake(2), 7};
        return site;
    }
};

TEST(EntrySiteType, IsAnAggregateInOrder) {
    using Site = EntrySite<SiteModule>;
    static_assert(std::is_aggregate<Site>::value && std::is_default_constructible<Site>::value, "");
    SiteModule::FreeQueue queue{};
    for (const auto &made : {SiteModule::braces(&queue), SiteModule::fields(&queue)}) {
        ASSERT_TRUE(made.has_value());
        const auto &[kind, free_queue, buffer_size, ready] = *made;
        static_assert(std::is_same<decltype(kind), const int>::value, "");
        static_assert(std::is_same<decltype(free_queue), SiteModule::FreeQueue *const>::value, "");
        static_assert(std::is_same<decltype(buffer_size), const size_t>::value, "");
        static_assert(std::is_same<decltype(ready), const SiteModule::ReadyBufferInfo>::value, "");
        EXPECT_EQ(kind, 3);
        EXPECT_EQ(free_queue, &queue);
        EXPECT_EQ(buffer_size, 96u);
        EXPECT_EQ(ready.extra, 7);
    }
}

// ProfilerDerivedShardAwareCollector.

struct OneArgument {
    void on_buffer_collected(const BareInfo &) {}
};
struct TwoArguments {
    void on_buffer_collected(const BareInfo &, int) {}
};
struct BothForms {
    void on_buffer_collected(const BareInfo &) {}
    void on_buffer_collected(const BareInfo &, int) {}
};
struct NoForm {};
class PrivateForm {
    void on_buffer_collected(const BareInfo &, int) {}

  public:
    void silence() { on_buffer_collected(BareInfo{}, 0); }
};
class ProtectedForm {
  protected:
    void on_buffer_collected(const BareInfo &, int) {}
};
struct Inherits : TwoArguments {};
struct DefaultedShard {
    void on_buffer_collected(const BareInfo &, int = 0) {}
};
struct StaticForm {
    static void on_buffer_collected(const BareInfo &, int) {}
};
struct ConstReturning {
    bool on_buffer_collected(const BareInfo &, int) const { return true; }
};
struct NonConstReference {
    void on_buffer_collected(BareInfo &, int) {}
};
struct OtherInfo {
    void on_buffer_collected(const ReadyInfo &, int) {}
};

template <typename Derived> constexpr bool shard_aware() {
    return ProfilerDerivedShardAwareCollector<Derived, BareInfo>::value;
}

TEST(ShardAwareTrait, AsksForTheTwoArgumentFormFromOutside) {
    EXPECT_FALSE(shard_aware<OneArgument>());
    EXPECT_TRUE(shard_aware<TwoArguments>());
    EXPECT_TRUE(shard_aware<BothForms>());
    EXPECT_FALSE(shard_aware<NoForm>());
    EXPECT_FALSE(shard_aware<PrivateForm>());
    EXPECT_FALSE(shard_aware<ProtectedForm>());
    EXPECT_TRUE(shard_aware<Inherits>());
    EXPECT_TRUE(shard_aware<DefaultedShard>());
    EXPECT_TRUE(shard_aware<StaticForm>());
    EXPECT_TRUE(shard_aware<ConstReturning>());
    EXPECT_FALSE(shard_aware<NonConstReference>());
    EXPECT_FALSE(shard_aware<OtherInfo>());
}

// Named at class scope with an incomplete Derived, evaluated in a member function, as ProfilerBase does.
template <typename Derived> struct Base {
    bool aware() const { return ProfilerDerivedShardAwareCollector<Derived, BareInfo>::value; }
};
struct LateOne : Base<LateOne> {
    void on_buffer_collected(const BareInfo &) {}
};
struct LateTwo : Base<LateTwo> {
    void on_buffer_collected(const BareInfo &, int) {}
};

TEST(ShardAwareTrait, IsEvaluatedWhereDerivedIsComplete) {
    EXPECT_FALSE(LateOne().aware());
    EXPECT_TRUE(LateTwo().aware());
}

TEST(ShardAwareTrait, HasAThirdDefaultedParameter) {
    static_assert(std::is_same<ProfilerDerivedShardAwareCollector<TwoArguments, BareInfo>,
                               ProfilerDerivedShardAwareCollector<TwoArguments, BareInfo, void>>::value,
                  "");
    static_assert(
        std::is_same<decltype(ProfilerDerivedShardAwareCollector<TwoArguments, BareInfo>::value), const bool>::value,
        "");
}

} // namespace
