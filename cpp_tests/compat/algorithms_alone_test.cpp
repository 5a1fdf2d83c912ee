// Each algorithm instantiates alone: Modules and headers that lack every member which table 3.3 does not list for it.
#include "support.h"

#include <optional>

#include "common/dfx_backpressure_device.h"
#include "host/profiler_base.h"

using namespace profiling_common;
using compat::BareInfo;
using compat::Memory;
using compat::Sharing;

namespace {

struct Entry {
    uint64_t buffer_ptr;
};

struct Info {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
};

struct FreeQueue {
    volatile uint32_t head;
    volatile uint32_t tail;
    volatile uint64_t buffer_ptrs[2];
};

template <typename M> struct Alone {
    using Manager = BufferPoolManager<M>;
    using Header = typename M::DataHeader;

    Alone() {
        manager->set_memory_context(memory.ops(*manager), header.get(), header.get(), sizeof(Header), 0);
        log_capture::reset();
    }

    void *buffer() {
        void *const ptr = memory.alloc(64);
        manager->register_mapping(ptr, ptr);
        return ptr;
    }

    Memory memory{Sharing::kIdentity};
    std::unique_ptr<Header> header = std::make_unique<Header>();
    std::unique_ptr<Manager> manager = std::make_unique<Manager>();
};

// No FreeQueue beyond the name, no slots, no resolve_entry, no backpressure block. The info has a device pointer only.
struct PopModule {
    struct FreeQueue;
    struct DataHeader {
        volatile uint32_t queue_heads[PLATFORM_MAX_AICPU_THREADS];
        volatile uint32_t queue_tails[PLATFORM_MAX_AICPU_THREADS];
        Entry queues[PLATFORM_MAX_AICPU_THREADS][4];
    };
    using ReadyEntry = Entry;
    using ReadyBufferInfo = BareInfo;
    static constexpr int kBufferKinds = 2;
    static constexpr uint32_t kReadyQueueSize = 4;
    static constexpr const char *kSubsystemName = "Pop";
};

TEST(AlgorithmsAlone, TryPop) {
    Alone<PopModule> alone;
    alone.header->queues[1][0].buffer_ptr = 0x40;
    alone.header->queue_tails[1] = 1;
    Entry entry{};
    ASSERT_TRUE(ProfilerAlgorithms<PopModule>::try_pop_aicpu_entry(*alone.manager, alone.header.get(), 1, entry));
    EXPECT_EQ(entry.buffer_ptr, 0x40u);
    EXPECT_FALSE(
        ProfilerAlgorithms<PopModule>::try_pop_aicpu_entry(*alone.manager, alone.header.get(), 1, entry, true));
}

// An entry whose pointer is narrower than what the header says elsewhere, and which is no multiple of a word.
struct WideEntry {
    uint16_t tag;
    uint64_t buffer_ptr;
    unsigned char rest[21];
};

struct WideEntryModule : PopModule {
    using ReadyEntry = WideEntry;
    struct DataHeader {
        WideEntry queues[PLATFORM_MAX_AICPU_THREADS][4];
        volatile uint32_t queue_tails[PLATFORM_MAX_AICPU_THREADS];
        volatile uint32_t queue_heads[PLATFORM_MAX_AICPU_THREADS];
    };
};

TEST(AlgorithmsAlone, TheWholeEntryIsCopied) {
    Alone<WideEntryModule> alone;
    WideEntry &queued = alone.header->queues[0][0];
    queued.tag = 0x1234;
    queued.buffer_ptr = 0x40;
    std::fill(std::begin(queued.rest), std::end(queued.rest), static_cast<unsigned char>(0x5a));
    alone.header->queue_tails[0] = 1;
    WideEntry entry{};
    ASSERT_TRUE(ProfilerAlgorithms<WideEntryModule>::try_pop_aicpu_entry(*alone.manager, alone.header.get(), 0, entry));
    EXPECT_EQ(entry.tag, 0x1234);
    EXPECT_EQ(std::count(std::begin(entry.rest), std::end(entry.rest), 0x5a), 21);
}

// No ready queues, no ready-queue size, no enumeration of instances.
struct ProcessModule {
    using FreeQueue = ::FreeQueue;
    struct DataHeader {
        DfxBackpressureHeader backpressure;
        FreeQueue queue;
    };
    using ReadyEntry = Entry;
    using ReadyBufferInfo = Info;
    static constexpr int kBufferKinds = 1;
    static constexpr uint32_t kSlotCount = 2;
    static constexpr const char *kSubsystemName = "Process";
    static int batch_size(int) { return 1; }
    static std::optional<EntrySite<ProcessModule>> resolve_entry(void *, DataHeader *header, int, const Entry &entry) {
        EntrySite<ProcessModule> site;
        site.kind = 0;
        site.free_queue = &header->queue;
        site.buffer_size = 64;
        site.info = Info{reinterpret_cast<void *>(entry.buffer_ptr), nullptr};
        return site;
    }
};

TEST(AlgorithmsAlone, ProcessEntry) {
    Alone<ProcessModule> alone;
    void *const buffer = alone.buffer();
    void *const spare = alone.buffer();
    ASSERT_TRUE(alone.manager->push_recycled(0, spare));
    ProfilerAlgorithms<ProcessModule>::process_entry(*alone.manager, alone.header.get(), 0,
                                                     Entry{compat::address(buffer)});
    Info info{};
    ASSERT_TRUE(alone.manager->try_pop_ready(info));
    EXPECT_EQ(info.dev_buffer_ptr, buffer);
    EXPECT_EQ(info.host_buffer_ptr, buffer);
    EXPECT_EQ(alone.header->queue.tail, 1u);
    EXPECT_EQ(alone.header->queue.buffer_ptrs[0], compat::address(spare));
    EXPECT_EQ(log_capture::total(), 0u);
}

// Free queues, wherever they are: no backpressure block, no ready queues, no resolve_entry.
struct FillModule {
    using FreeQueue = ::FreeQueue;
    struct DataHeader {
        FreeQueue queue;
    };
    struct ReadyEntry;
    using ReadyBufferInfo = BareInfo;
    static constexpr int kBufferKinds = 1;
    static constexpr uint32_t kSlotCount = 2;
    static constexpr const char *kSubsystemName = "Fill";
    static constexpr int batch_size(int) { return 3; }
    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb cb) {
        cb(0, &header->queue, size_t{40});
    }
};

TEST(AlgorithmsAlone, ReplenishFreeQueues) {
    Alone<FillModule> alone;
    EXPECT_EQ(ProfilerAlgorithms<FillModule>::replenish_free_queues(*alone.manager, alone.header.get()), 2u);
    EXPECT_EQ(alone.header->queue.tail, 2u);
    EXPECT_EQ(alone.manager->recycled_count(0), 1u);
}

// No batch size.
struct PoolsModule {
    using FreeQueue = ::FreeQueue;
    struct DataHeader {
        FreeQueue queue;
    };
    struct ReadyEntry;
    using ReadyBufferInfo = BareInfo;
    static constexpr int kBufferKinds = 1;
    static constexpr uint32_t kSlotCount = 2;
    static constexpr const char *kSubsystemName = "Pools";
    static constexpr int recycled_warm_target(int, int) { return 1; }
    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        std::forward<Cb>(cb)(0, &header->queue, size_t{40});
    }
};

TEST(AlgorithmsAlone, ReplenishRecycledPools) {
    Alone<PoolsModule> alone;
    EXPECT_EQ(ProfilerAlgorithms<PoolsModule>::replenish_recycled_pools(*alone.manager, alone.header.get()), 2u);
    EXPECT_EQ(alone.manager->recycled_count(0), 2u);
    EXPECT_EQ(alone.header->queue.tail, 0u);
}

TEST(AlgorithmsAlone, ProactiveReplenish) {
    Alone<FillModule> alone;
    EXPECT_EQ(ProfilerAlgorithms<FillModule>::proactive_replenish(*alone.manager, alone.header.get()), 2u);
}

// Indices without queues, and neither resolve_entry nor a ready-queue size.
struct FreezeModule {
    using FreeQueue = ::FreeQueue;
    struct DataHeader {
        volatile uint32_t queue_tails[PLATFORM_MAX_AICPU_THREADS];
        FreeQueue queue;
        DfxBackpressureHeader backpressure;
        volatile uint32_t queue_heads[PLATFORM_MAX_AICPU_THREADS];
    };
    struct ReadyEntry;
    using ReadyBufferInfo = BareInfo;
    static constexpr int kBufferKinds = 1;
    static constexpr uint32_t kSlotCount = 2;
    static constexpr const char *kSubsystemName = "Freeze";
    static int batch_size(int) { return 1; }
    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        cb(0, &header->queue, size_t{40});
    }
};

TEST(AlgorithmsAlone, UpdateBackpressureFreeze) {
    Alone<FreezeModule> alone;
    alone.header->backpressure.fq_contended = 1;
    ProfilerAlgorithms<FreezeModule>::update_backpressure_freeze(*alone.manager, alone.header.get());
    EXPECT_EQ(alone.header->backpressure.fq_freeze_active, 1u);
    EXPECT_EQ(alone.header->backpressure.fq_contended, 0u);
    EXPECT_EQ(alone.header->queue.tail, 2u);
    ProfilerAlgorithms<FreezeModule>::update_backpressure_freeze(*alone.manager, alone.header.get());
    EXPECT_EQ(alone.header->backpressure.fq_freeze_active, 0u);
}

// The aliases, and that the algorithms of a Module are there without an object of it.
TEST(AlgorithmsAlone, Aliases) {
    using Algorithms = ProfilerAlgorithms<ProcessModule>;
    static_assert(std::is_same<Algorithms::DataHeader, ProcessModule::DataHeader>::value, "");
    static_assert(std::is_same<Algorithms::ReadyEntry, Entry>::value, "");
    static_assert(std::is_same<Algorithms::ReadyBufferInfo, Info>::value, "");
    static_assert(std::is_same<Algorithms::FreeQueue, FreeQueue>::value, "");
}

} // namespace
