// Blocks, mappings and release of a pool through the C interface, and its waits.
#include "support.h"

#include <malloc.h>

namespace {

using namespace capi;

lanepipe_resolved_t resolve(const Pool &pool, uint64_t dev) {
    const void *address = reinterpret_cast<const void *>(dev);
    lanepipe_resolved_t resolved{reinterpret_cast<void *>(kUntouched), 77, 77};
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_resolve(pool.get(), &address, 1, &resolved));
    return resolved;
}

class Blocks : public testing::TestWithParam<Mode> {};

// One allocation and one registration, carved at the rounded stride, in order.
TEST_P(Blocks, AreCarvedAtTheRoundedStride) {
    for (const size_t size : {1, 63, 64, 65, 200, 4096}) {
        Memory memory(GetParam());
        Pool pool;
        pool.use(memory);
        size_t placed = 0;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 1, size, 5, 1, &placed));
        EXPECT_EQ(placed, 5u);
        const size_t stride = (size + 63) / 64 * 64;
        EXPECT_EQ(memory.asked(), std::vector<size_t>{5 * stride});
        lanepipe_buffer_t buffers[6];
        size_t count = 0;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), 1, 1, buffers, 6, &count));
        ASSERT_EQ(count, 5u);
        const uint64_t base = address_of(buffers[0]);
        const auto host = reinterpret_cast<uint64_t>(resolve(pool, base).host);
        std::set<uint32_t> ids;
        for (size_t i = 0; i < count; ++i) {
            EXPECT_EQ(address_of(buffers[i]), base + i * stride);
            EXPECT_EQ(buffers[i].kind, 1u);
            EXPECT_TRUE(ids.insert(buffers[i].id).second);
            const lanepipe_resolved_t resolved = resolve(pool, address_of(buffers[i]));
            EXPECT_EQ(resolved.known, 1u);
            EXPECT_EQ(resolved.id, buffers[i].id);
            EXPECT_EQ(reinterpret_cast<uint64_t>(resolved.host), host + i * stride);
            // Interior and unaligned addresses follow, without an identity.
            const lanepipe_resolved_t inside = resolve(pool, address_of(buffers[i]) + size - 1);
            EXPECT_EQ(reinterpret_cast<uint64_t>(inside.host), host + i * stride + size - 1);
            if (size > 1) {
                EXPECT_EQ(inside.id, 0u);
            }
        }
        EXPECT_EQ(resolve(pool, base + 5 * stride - 1).known, 1u);
        EXPECT_EQ(resolve(pool, base + 5 * stride).known, 0u) << "the end is exclusive";
        EXPECT_EQ(resolve(pool, base + 5 * stride).host, nullptr);
        EXPECT_EQ(resolve(pool, base - 1).known, 0u);
        if (GetParam() == Mode::kIdentity) {
            EXPECT_EQ(host, base);
        } else {
            EXPECT_NE(host, base);
        }
        if (GetParam() == Mode::kShadow) {
            const auto *bytes = reinterpret_cast<const char *>(host);
            EXPECT_TRUE(std::all_of(bytes, bytes + 5 * stride, [](char byte) { return byte == 0; }));
            EXPECT_EQ(memory.at_device(base)[5 * stride - 1], 0) << "zeros are pushed to the device";
            EXPECT_EQ(memory.wide_writes, 0u);
        }
        const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
        EXPECT_EQ(memory.live_blocks(), 0u);
        EXPECT_EQ(memory.unknown_frees, 0u);
    }
}

TEST_P(Blocks, OutsideTheLanesAreNoBuffers) {
    Memory memory(GetParam());
    Pool pool;
    pool.use(memory);
    void *dev = nullptr;
    void *host = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate_block(pool.get(), 100, &dev, &host));
    const lanepipe_resolved_t inside = resolve(pool, reinterpret_cast<uint64_t>(dev) + 99);
    EXPECT_EQ(inside.host, static_cast<char *>(host) + 99);
    EXPECT_EQ(inside.id, 0u);
    EXPECT_EQ(resolve(pool, reinterpret_cast<uint64_t>(dev)).id, 0u);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
    const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
    EXPECT_EQ(memory.live_blocks(), 0u);
}

// Allocation and release over and over: nothing gathers, in the pool or in the process.
TEST_P(Blocks, AThousandCyclesUseConstantMemory) {
    Memory memory(GetParam());
    Pool pool;
    pool.use(memory);
    const auto cycle = [&] {
        size_t placed = 0;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 1000, 7, LANEPIPE_ALL_SHARDS, &placed));
        const lanepipe_buffer_t buffer = pool.enroll(0x1000);
        size_t count = 0;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 0, &buffer, nullptr, 1, &count));
        ASSERT_EQ(audit_of(pool.get()).total, 8u);
        const auto release = [](void *self, void *base) {
            if (base != reinterpret_cast<void *>(0x1000))
                static_cast<Memory *>(self)->release(base);
        };
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
        ASSERT_EQ(audit_of(pool.get()).total, 0u);
        ASSERT_EQ(pool.recycled(LANEPIPE_ALL_SHARDS), 0u);
    };
    for (int i = 0; i < 100; ++i)
        cycle();
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 1000; ++i)
        cycle();
    EXPECT_EQ(memory.live_blocks(), 0u);
    EXPECT_EQ(memory.unknown_frees, 0u);
    // The test's own record of allocations grows; nothing else does.
    EXPECT_LE(mallinfo2().uordblks, before + 64 * 1024);
}

INSTANTIATE_TEST_SUITE_P(Modes, Blocks, testing::Values(Mode::kIdentity, Mode::kRegistered, Mode::kShadow),
                         [](const auto &info) { return std::string(name_of(info.param)); });

TEST(Allocate, DealsRoundRobinAndParksWhatDoesNotFit) {
    Memory memory;
    lanepipe_pool_config_t config = pool_config();
    config.shards = 3;
    config.recycled_capacity = 3;
    Pool pool(config);
    pool.use(memory);
    size_t placed = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 64, 7, LANEPIPE_ALL_SHARDS, &placed));
    EXPECT_EQ(placed, 7u);
    EXPECT_EQ(pool.recycled(0), 3u);
    EXPECT_EQ(pool.recycled(1), 2u);
    EXPECT_EQ(pool.recycled(2), 2u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 64, 4, 0, &placed));
    EXPECT_EQ(placed, 4u);
    const lanepipe_pool_audit_t audit = audit_of(pool.get());
    EXPECT_EQ(audit.recycled, 7u);
    EXPECT_EQ(audit.retired, 4u);
    const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
}

TEST(Allocate, RoundsBlocksToTheGranularity) {
    Memory memory;
    lanepipe_pool_config_t config = pool_config();
    config.block_granularity = 65536;
    Pool pool(config);
    pool.use(memory);
    size_t placed = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 100, 3, 0, &placed));
    EXPECT_EQ(placed, 3u);
    void *dev = nullptr;
    void *host = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate_block(pool.get(), 65537, &dev, &host));
    EXPECT_EQ(memory.asked(), (std::vector<size_t>{65536, 131072}));
    const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
}

TEST(Register, KeepsTheIdentityOfAnAddress) {
    Pool pool;
    const lanepipe_buffer_t buffer = pool.enroll(0x1000);
    EXPECT_NE(buffer.id, 0u);
    char other = 0;
    uint32_t id = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_register(pool.get(), buffer.dev, &other, 0, &id));
    EXPECT_EQ(id, buffer.id);
    EXPECT_EQ(resolve(pool, 0x1000).host, &other) << "the newest host address counts";
    EXPECT_EQ(resolve(pool, 0x1001).known, 0u);
    EXPECT_EQ(audit_of(pool.get()).total, 1u);
    EXPECT_STATUS(LANEPIPE_OK,
                  lanepipe_pool_register(pool.get(), reinterpret_cast<void *>(0x2000), &other, 0, nullptr));
    EXPECT_EQ(audit_of(pool.get()).total, 2u);
    EXPECT_NE(resolve(pool, 0x2000).id, id);
}

// An exact mapping beats the block that contains it.
TEST(Register, BeatsTheBlock) {
    Memory memory;
    Pool pool;
    pool.use(memory);
    void *dev = nullptr;
    void *host = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate_block(pool.get(), 256, &dev, &host));
    char other = 0;
    auto *inside = static_cast<char *>(dev) + 64;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_register(pool.get(), inside, &other, 0, nullptr));
    EXPECT_EQ(resolve(pool, reinterpret_cast<uint64_t>(inside)).host, &other);
    EXPECT_EQ(resolve(pool, reinterpret_cast<uint64_t>(inside) + 1).host, static_cast<char *>(host) + 65);
    const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
}

// Lookups while another thread adds mappings: what was registered before is found, whole.
TEST(Register, MayRunBesideLookups) {
    Pool pool;
    std::atomic<uint64_t> known{0};
    std::thread writer([&] {
        for (uint64_t i = 1; i <= 20000; ++i) {
            auto *dev = reinterpret_cast<void *>(i * 64);
            ASSERT_STATUS(LANEPIPE_OK,
                          lanepipe_pool_register(pool.get(), dev, reinterpret_cast<void *>(i * 64 + 1), 0, nullptr));
            known.store(i, std::memory_order_release);
        }
    });
    uint64_t seed = 1;
    while (known.load(std::memory_order_acquire) < 20000) {
        const uint64_t limit = known.load(std::memory_order_acquire);
        if (limit == 0)
            continue;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const uint64_t i = 1 + (seed >> 33) % limit;
        const lanepipe_resolved_t resolved = resolve(pool, i * 64);
        ASSERT_EQ(resolved.known, 1u);
        ASSERT_EQ(reinterpret_cast<uint64_t>(resolved.host), i * 64 + 1);
        ASSERT_NE(resolved.id, 0u);
    }
    writer.join();
    EXPECT_EQ(audit_of(pool.get()).total, 20000u);
}

TEST(Release, CallsEachBaseOnceAscendingWhereverBuffersAre) {
    Memory memory;
    Pool pool;
    pool.use(memory);
    size_t placed = 0;
    for (int i = 0; i < 5; ++i)
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 64, 3, LANEPIPE_ALL_SHARDS, &placed));
    // Some leave the pool, some are parked, one is in two queues.
    lanepipe_buffer_t out[4];
    size_t count = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), 0, 0, out, 4, &count));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 0, out, nullptr, 1, &count));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, out, 2, &count));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool.get(), 0, &out[2]));
    const lanepipe_buffer_t own = pool.enroll(0x40);
    struct Seen {
        const lanepipe_pool_t *pool;
        std::vector<uint64_t> bases;
    } seen{pool.get(), {}};
    const auto release = [](void *context, void *base) {
        auto &seen = *static_cast<Seen *>(context);
        seen.bases.push_back(reinterpret_cast<uint64_t>(base));
        // The callback may look addresses up.
        lanepipe_resolved_t resolved{};
        const void *address = base;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_resolve(seen.pool, &address, 1, &resolved));
        EXPECT_EQ(resolved.known, 1u);
    };
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &seen));
    EXPECT_EQ(seen.bases.size(), 6u);
    EXPECT_TRUE(std::is_sorted(seen.bases.begin(), seen.bases.end()));
    EXPECT_TRUE(std::adjacent_find(seen.bases.begin(), seen.bases.end()) == seen.bases.end());
    EXPECT_EQ(seen.bases.front(), address_of(own));
    seen.bases.clear();
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &seen));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), nullptr, nullptr));
    EXPECT_TRUE(seen.bases.empty());
    EXPECT_EQ(resolve(pool, 0x40).known, 0u);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_ready(pool.get(), 0, out, nullptr, 4, &count));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_done(pool.get(), 0, out, 4, &count));
    EXPECT_EQ(pool.recycled(LANEPIPE_ALL_SHARDS), 0u);
    // The pool is as good as new.
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 1, 64, 2, 0, &placed));
    EXPECT_EQ(audit_of(pool.get()).recycled, 2u);
}

TEST(Shared, CopiesNarrowlyOrNotAtAll) {
    Memory shadow(Mode::kShadow, 4096);
    Pool pool;
    pool.use(shadow);
    shadow.allow_write(shadow.shm_device() + 8, 4);
    std::memcpy(shadow.shm_host() + 8, "ABCD", 4);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_write_shared(pool.get(), shadow.shm_host() + 8, 4));
    EXPECT_EQ(std::memcmp(shadow.shm_device() + 8, "ABCD", 4), 0);
    std::memcpy(shadow.shm_device() + 4092, "EFGH", 4);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_read_shared(pool.get(), shadow.shm_host() + 4092, 4));
    EXPECT_EQ(std::memcmp(shadow.shm_host() + 4092, "EFGH", 4), 0);
    EXPECT_EQ(shadow.wide_writes, 0u);
    Memory shared(Mode::kIdentity, 4096);
    pool.use(shared);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_write_shared(pool.get(), shared.shm_host(), 4));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_read_shared(pool.get(), shared.shm_host(), 4));
    EXPECT_EQ(shared.copies, 0);
}

TEST(Waits, EndAtADeadlineInThePast) {
    lanepipe_pool_config_t config = pool_config();
    config.ready_capacity = 2;
    Pool pool(config);
    lanepipe_buffer_t buffers[3] = {untracked(1), untracked(2), untracked(3)};
    lanepipe_buffer_t out{};
    size_t count = kUntouched;
    for (const uint64_t timeout : {0, 1, 1000}) {
        EXPECT_STATUS(LANEPIPE_TIMED_OUT,
                      lanepipe_pool_wait_pop_ready(pool.get(), 0, &out, nullptr, 1, timeout, &count));
        EXPECT_EQ(count, kUntouched);
    }
    EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_pool_wait_push_ready(pool.get(), 0, buffers, nullptr, 3, 0, &count));
    EXPECT_EQ(count, 2u) << "what fitted is stored and counted";
    EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_pool_wait_push_ready(pool.get(), 0, buffers, nullptr, 1, 1000, &count));
    EXPECT_EQ(count, 0u);
    // With something to do the limit does not matter.
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_wait_pop_ready(pool.get(), 0, &out, nullptr, 1, 0, &count));
    EXPECT_EQ(count, 1u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_wait_push_ready(pool.get(), 0, &buffers[2], nullptr, 1, 0, &count));
    EXPECT_EQ(count, 1u);
}

// Both waits without a limit, over a ring of one: each element needs both wake-ups.
TEST(Waits, ReleaseEachOther) {
    for (const uint32_t capacity : {1, 3}) {
        lanepipe_pool_config_t config = pool_config();
        config.ready_capacity = capacity;
        config.payload_size = 8;
        Pool pool(config);
        constexpr uint64_t kElements = 20000;
        std::thread producer([&] {
            uint64_t next = 0;
            while (next < kElements) {
                lanepipe_buffer_t buffers[4];
                uint64_t payloads[4];
                const size_t batch = std::min<size_t>(1 + next % 4, kElements - next);
                for (size_t i = 0; i < batch; ++i) {
                    buffers[i] = untracked(next + i + 1);
                    payloads[i] = (next + i) * 3;
                }
                size_t count = 0;
                ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_wait_push_ready(pool.get(), 0, buffers, payloads, batch,
                                                                         LANEPIPE_FOREVER, &count));
                ASSERT_EQ(count, batch);
                next += count;
            }
        });
        uint64_t next = 0;
        while (next < kElements) {
            lanepipe_buffer_t buffers[2];
            uint64_t payloads[2];
            size_t count = 0;
            ASSERT_STATUS(LANEPIPE_OK,
                          lanepipe_pool_wait_pop_ready(pool.get(), 0, buffers, payloads, 2, LANEPIPE_FOREVER, &count));
            for (size_t i = 0; i < count; ++i, ++next) {
                ASSERT_EQ(address_of(buffers[i]), (next + 1) * 64);
                ASSERT_EQ(payloads[i], next * 3);
            }
        }
        producer.join();
    }
}

} // namespace
