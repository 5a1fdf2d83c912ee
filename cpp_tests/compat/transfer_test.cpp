// Transfers between shadow and device (contract 2.5.7): order of the checks, addresses, byte counts, return codes.
#include "support.h"

#include <climits>
#include <cstring>
#include <limits>
#include <mutex>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<BareModule>;
constexpr size_t kSize = 256;
constexpr size_t kHuge = std::numeric_limits<size_t>::max();

class Transfer : public LogTest {
  protected:
    enum class Way { kTo, kFrom };

    struct Call {
        Way way;
        const void *dst;
        const void *src;
        size_t size;

        bool operator==(const Call &other) const {
            return way == other.way && dst == other.dst && src == other.src && size == other.size;
        }
    };

    MemoryOps ops() {
        MemoryOps made;
        made.copy_to_device = [this](void *dst, const void *src, size_t size) {
            calls.push_back({Way::kTo, dst, src, size});
            return to_rc;
        };
        made.copy_from_device = [this](void *dst, const void *src, size_t size) {
            calls.push_back({Way::kFrom, dst, src, size});
            return from_rc;
        };
        return made;
    }

    void use(void *device, void *shadow, size_t size) { manager.set_memory_context(ops(), device, shadow, size, 0); }

    // The two directions of a range transfer.
    void expect_ranges(const void *field, size_t size, int rc) {
        EXPECT_EQ(manager.write_range_to_device(field, size), rc);
        EXPECT_EQ(manager.read_range_from_device(const_cast<void *>(field), size), rc);
    }

    void *const dev = fake(1);
    void *const host = fake(2);
    std::vector<Call> calls;
    int to_rc = 0;
    int from_rc = 0;
    Manager manager;
};

TEST_F(Transfer, NothingHappensBeforeAContext) {
    expect_ranges(host, 4, 0);
    EXPECT_EQ(manager.mirror_shm_from_device(), 0);
    EXPECT_EQ(manager.copy_buffer_from_device(host, dev, 4), 0);
    EXPECT_EQ(manager.copy_buffer_to_device(dev, host, 4), 0);
    EXPECT_EQ(log_capture::total(), 0u);
}

// A missing region is looked at before the range: a field anywhere is fine then.
TEST_F(Transfer, WithoutARegionRangesAreNoOps) {
    const struct {
        void *dev;
        void *host;
        size_t size;
    } regions[] = {{nullptr, host, kSize}, {dev, nullptr, kSize}, {dev, host, 0}, {nullptr, nullptr, 0}};
    for (const auto &region : regions) {
        use(region.dev, region.host, region.size);
        for (void *field : {host, offset(host, 4096), fake(0)}) {
            expect_ranges(field, 4, 0);
        }
        EXPECT_EQ(manager.mirror_shm_from_device(), 0);
    }
    EXPECT_TRUE(calls.empty());
    EXPECT_EQ(log_capture::total(), 0u);
}

// So is a missing callback; each direction has its own.
TEST_F(Transfer, WithoutACallbackItsDirectionIsANoOp) {
    MemoryOps only_to = ops();
    only_to.copy_from_device = nullptr;
    manager.set_memory_context(only_to, dev, host, kSize, 0);
    expect_silent("no copy from the device", [this] {
        EXPECT_EQ(manager.read_range_from_device(host, 4), 0);
        EXPECT_EQ(manager.read_range_from_device(offset(host, 4096), 4), 0);
        EXPECT_EQ(manager.mirror_shm_from_device(), 0);
        EXPECT_EQ(manager.copy_buffer_from_device(host, dev, 4), 0);
    });
    EXPECT_TRUE(calls.empty());
    EXPECT_EQ(manager.write_range_to_device(host, 4), 0);
    EXPECT_EQ(manager.copy_buffer_to_device(dev, host, 4), 0);
    EXPECT_EQ(calls.size(), 2u);

    calls.clear();
    MemoryOps only_from = ops();
    only_from.copy_to_device = nullptr;
    manager.set_memory_context(only_from, dev, host, kSize, 0);
    expect_silent("no copy to the device", [this] {
        EXPECT_EQ(manager.write_range_to_device(host, 4), 0);
        EXPECT_EQ(manager.write_range_to_device(offset(host, 4096), 4), 0);
        EXPECT_EQ(manager.copy_buffer_to_device(dev, host, 4), 0);
    });
    EXPECT_TRUE(calls.empty());
    EXPECT_EQ(manager.read_range_from_device(host, 4), 0);
    EXPECT_EQ(manager.mirror_shm_from_device(), 0);
    EXPECT_EQ(manager.copy_buffer_from_device(host, dev, 4), 0);
    EXPECT_EQ(calls.size(), 3u);
}

// On SVM no byte is copied by any of the five.
TEST_F(Transfer, SharedMemoryCopiesNothing) {
    manager.set_memory_context(MemoryOps{}, dev, host, kSize, 0);
    expect_silent("SVM", [this] {
        expect_ranges(host, 4, 0);
        expect_ranges(offset(host, 4096), 4, 0);
        EXPECT_EQ(manager.mirror_shm_from_device(), 0);
        EXPECT_EQ(manager.copy_buffer_from_device(fake(5), fake(6), 64), 0);
        EXPECT_EQ(manager.copy_buffer_to_device(fake(5), fake(6), 64), 0);
    });
}

TEST_F(Transfer, AFieldGoesToTheSameOffset) {
    use(dev, host, kSize);
    const struct {
        size_t at;
        size_t size;
    } fields[] = {{0, 1}, {0, 4}, {8, 8}, {13, 3}, {252, 4}, {255, 1}, {0, kSize}, {1, kSize - 1}};
    for (const auto &field : fields) {
        calls.clear();
        expect_ranges(offset(host, field.at), field.size, 0);
        ASSERT_EQ(calls.size(), 2u);
        EXPECT_EQ(calls[0], (Call{Way::kTo, offset(dev, field.at), offset(host, field.at), field.size}));
        EXPECT_EQ(calls[1], (Call{Way::kFrom, offset(host, field.at), offset(dev, field.at), field.size}));
    }
    calls.clear();
    EXPECT_EQ(manager.mirror_shm_from_device(), 0);
    ASSERT_EQ(calls.size(), 1u);
    EXPECT_EQ(calls[0], (Call{Way::kFrom, host, dev, kSize}));
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Transfer, VolatileFieldsAreTaken) {
    use(dev, host, kSize);
    volatile uint32_t *const field = static_cast<volatile uint32_t *>(host) + 3;
    EXPECT_EQ(manager.write_range_to_device(field, sizeof(*field)), 0);
    EXPECT_EQ(manager.read_range_from_device(field, sizeof(*field)), 0);
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[0].dst, offset(dev, 12));
}

TEST_F(Transfer, RangesOutsideAreRefusedWithAnError) {
    const struct {
        void *field;
        size_t size;
    } bad[] = {{offset(host, kHuge), 1},     // one byte before
               {offset(host, kHuge - 3), 4}, // up to the start
               {offset(host, kHuge - 1), 4}, // across the start
               {offset(host, 254), 4},       // across the end
               {offset(host, kSize), 1},     // at the end
               {host, kSize + 1},            // all and one more
               {dev, 4},                     // the device's own address
               {nullptr, 4},                 // nowhere
               {offset(host, 8), kHuge},     // sums that wrap
               {offset(host, 8), kHuge - 8},
               {offset(host, 8), kHuge - address(host) - 7},
               {offset(host, 8), kHuge - address(host) - 8},
               {reinterpret_cast<void *>(kHuge), 1},
               {reinterpret_cast<void *>(kHuge - 3), address(host) + 8}};
    for (const auto &range : bad) {
        Manager fresh;
        fresh.set_memory_context(ops(), dev, host, kSize, 0);
        expect_logged(Level::kError, "outside, to the device",
                      [&] { EXPECT_EQ(fresh.write_range_to_device(range.field, range.size), -1); });
        Manager another;
        another.set_memory_context(ops(), dev, host, kSize, 0);
        expect_logged(Level::kError, "outside, from the device",
                      [&] { EXPECT_EQ(another.read_range_from_device(range.field, range.size), -1); });
    }
    EXPECT_TRUE(calls.empty());
}

// A region that ends with the address space has no end address.
TEST_F(Transfer, ARegionAtTheTopOfTheAddressSpace) {
    void *const top = reinterpret_cast<void *>(uintptr_t{0} - kSize);
    use(dev, top, kSize);
    expect_ranges(offset(top, kSize - 4), 4, 0);
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[0].dst, offset(dev, kSize - 4));
    expect_ranges(offset(top, kSize - 4), 5, -1);
    expect_ranges(offset(top, kHuge), 4, -1);
    EXPECT_EQ(calls.size(), 2u);
}

TEST_F(Transfer, AnEmptyRangeInsideSucceeds) {
    use(dev, host, kSize);
    expect_ranges(offset(host, 16), 0, 0);
    // Calling through is as good as not calling.
    EXPECT_TRUE(calls.empty() || calls.size() == 2u);
    for (const Call &call : calls) {
        EXPECT_EQ(call.size, 0u);
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Transfer, ReturnCodesPassThrough) {
    use(dev, host, kSize);
    for (const int rc : {0, 1, -1, 5, -5, INT_MAX, INT_MIN}) {
        to_rc = rc;
        from_rc = rc == INT_MIN ? INT_MAX : -rc;
        EXPECT_EQ(manager.write_range_to_device(host, 4), to_rc);
        EXPECT_EQ(manager.read_range_from_device(host, 4), from_rc);
        EXPECT_EQ(manager.mirror_shm_from_device(), from_rc);
        EXPECT_EQ(manager.copy_buffer_to_device(fake(3), fake(4), 8), to_rc);
        EXPECT_EQ(manager.copy_buffer_from_device(fake(3), fake(4), 8), from_rc);
    }
    // A failing copy is the caller's to report.
    EXPECT_EQ(complaints(), 0u);
}

TEST_F(Transfer, BufferCopiesNeedNoRegion) {
    use(nullptr, nullptr, 0);
    EXPECT_EQ(manager.copy_buffer_from_device(fake(8), fake(9), 10), 0);
    EXPECT_EQ(manager.copy_buffer_to_device(fake(10), fake(11), 4784192), 0);
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[0], (Call{Way::kFrom, fake(8), fake(9), 10}));
    EXPECT_EQ(calls[1], (Call{Way::kTo, fake(10), fake(11), 4784192}));
    // Nor a mapping, nor a region that contains them.
    use(dev, host, kSize);
    EXPECT_EQ(manager.copy_buffer_from_device(offset(host, kSize), offset(dev, kSize), 99), 0);
    EXPECT_EQ(calls.size(), 3u);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Transfer, TheRegionIsTheLatestOne) {
    use(dev, host, kSize);
    use(fake(11), fake(12), 16);
    expect_ranges(offset(fake(12), 12), 4, 0);
    EXPECT_EQ(calls.size(), 2u);
    expect_ranges(offset(host, 12), 4, -1);
    expect_ranges(offset(fake(12), 14), 4, -1);
    EXPECT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[0].dst, offset(fake(11), 12));
}

// Real bytes through memory the host cannot touch otherwise: only the field changes on either side.
TEST_F(Transfer, OnlyTheFieldIsCopied) {
    Memory memory(Sharing::kShadow);
    alignas(8) unsigned char shadow[kSize];
    void *const region = memory.alloc(kSize);
    unsigned char *const device = memory.bytes<unsigned char>(region);
    Manager shadowed;
    shadowed.set_memory_context(memory.ops(shadowed), region, shadow, kSize, 0);
    std::memset(shadow, 0x11, kSize);
    std::memset(device, 0x22, kSize);
    EXPECT_EQ(shadowed.write_range_to_device(shadow + 40, 8), 0);
    EXPECT_EQ(shadowed.read_range_from_device(shadow + 100, 4), 0);
    for (size_t i = 0; i < kSize; ++i) {
        ASSERT_EQ(device[i], i >= 40 && i < 48 ? 0x11 : 0x22) << i;
        ASSERT_EQ(shadow[i], i >= 100 && i < 104 ? 0x22 : 0x11) << i;
    }
    EXPECT_EQ(shadowed.mirror_shm_from_device(), 0);
    EXPECT_EQ(std::memcmp(shadow, device, kSize), 0);
}

// Framework threads copy concurrently, and none of them waits for another's copy.
TEST_F(Transfer, ConcurrentCallsRunSideBySide) {
    constexpr int kThreads = 3;
    std::atomic<int> inside{0};
    std::atomic<int> met{0};
    MemoryOps meeting;
    meeting.copy_from_device = [&](void *, const void *, size_t) {
        ++inside;
        met += eventually([&inside] { return inside >= kThreads; }) ? 1 : 0;
        return 0;
    };
    manager.set_memory_context(meeting, dev, host, kSize, 0);
    std::vector<std::thread> threads;
    threads.emplace_back([this] { manager.read_range_from_device(host, 4); });
    threads.emplace_back([this] { manager.copy_buffer_from_device(host, dev, 4); });
    threads.emplace_back([this] { manager.mirror_shm_from_device(); });
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(met, kThreads);
}

} // namespace
