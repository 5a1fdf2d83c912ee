// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Types, ownership and forwarding of the C++ wrapper: what the library does is tested elsewhere.
#include "lanepipe/lanepipe.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "second_include.hpp"

namespace {

using lanepipe::Pool;
using lanepipe::Status;
using lanepipe::Timeout;

struct Payload {
    uint64_t sequence;
    uint64_t instance;
    uint64_t words[2];
};

static_assert(lanepipe::payload_size<Payload>() == 32);
static_assert(lanepipe::payload_size<lanepipe::NoPayload>() == 0);
static_assert(std::is_nothrow_move_constructible_v<Pool<Payload>> && std::is_nothrow_move_assignable_v<Pool<Payload>>);
static_assert(!std::is_copy_constructible_v<Pool<Payload>> && !std::is_copy_assignable_v<Pool<Payload>>);
static_assert(std::is_nothrow_move_constructible_v<lanepipe::Profiler> &&
              !std::is_copy_constructible_v<lanepipe::Profiler>);
static_assert(sizeof(Pool<Payload>) == sizeof(void *) && sizeof(lanepipe::Profiler) == sizeof(void *));
static_assert(sizeof(lanepipe::PoolConfig) == sizeof(lanepipe_pool_config_t));
static_assert(Status(LANEPIPE_OK).ok() && !Status(LANEPIPE_OK).failed());
static_assert(!Status(LANEPIPE_FULL).ok() && !Status(LANEPIPE_FULL).failed());
static_assert(Status(LANEPIPE_E_NULL).failed() && Status(LANEPIPE_E_NULL) != LANEPIPE_E_KIND);
static_assert(Timeout(std::chrono::milliseconds(2)).ns() == 2000000);
static_assert(Timeout(std::chrono::milliseconds(-2)).ns() == 0);
static_assert(Timeout::forever().ns() == LANEPIPE_FOREVER);

// Device memory that is host memory.
struct Heap {
    std::set<void *> live;

    ~Heap() {
        for (void *block : live) {
            std::free(block);
        }
    }
    void *alloc(size_t size) {
        void *block = std::aligned_alloc(64, (size + 63) / 64 * 64);
        live.insert(block);
        return block;
    }
    int32_t free_memory(void *block) {
        live.erase(block);
        std::free(block);
        return 0;
    }
};

lanepipe::PoolConfig small_config() {
    lanepipe::PoolConfig config;
    config.shards = 2;
    config.kinds = 2;
    config.ready_capacity = 3;
    config.done_capacity = 8;
    config.recycled_capacity = 8;
    return config;
}

class WrapperPool : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ((Pool<Payload>::create(small_config(), pool)), Status());
        ASSERT_TRUE(pool);
        ASSERT_EQ(pool.set_memory(lanepipe::memory_of(heap)), Status());
    }

    Heap heap;
    Pool<Payload> pool;
};

TEST(WrapperStatus, HasTheNamesOfTheCInterface) {
    EXPECT_STREQ(Status().name(), "LANEPIPE_OK");
    EXPECT_STREQ(Status(LANEPIPE_E_CONSERVATION).name(), "LANEPIPE_E_CONSERVATION");
    EXPECT_STREQ(Status(static_cast<lanepipe_status_t>(-12345)).name(), "LANEPIPE_E_UNKNOWN_STATUS");
}

TEST(WrapperVersion, Matches) {
    EXPECT_TRUE(lanepipe::abi_matches());
    EXPECT_EQ(lanepipe_abi_version(), static_cast<uint32_t>(LANEPIPE_ABI_VERSION));
    EXPECT_FALSE(std::string(lanepipe::version()).empty());
}

TEST(WrapperPoolCreate, RefusalHasADetailAndKeepsTheOldPool) {
    Pool<> pool;
    lanepipe::PoolConfig config = small_config();
    ASSERT_TRUE(Pool<>::create(config, pool).ok());
    const lanepipe_pool_t *before = pool.capi();
    config.kinds = LANEPIPE_MAX_KINDS + 1;
    lanepipe::Error error;
    const Status status = Pool<>::create(config, pool, &error);
    EXPECT_TRUE(status.failed());
    EXPECT_EQ(error.status(), status);
    EXPECT_NE(std::string(error.message()), "");
    EXPECT_EQ(pool.capi(), before);
}

TEST(WrapperPoolCreate, WorksFromAnotherTranslationUnit) {
    EXPECT_TRUE(wrapper_test::create_elsewhere(small_config()).ok());
}

TEST(WrapperPoolCreate, EmptyPoolRefusesCallsWithoutHarm) {
    Pool<Payload> pool;
    EXPECT_FALSE(pool);
    uint32_t shards = 7;
    EXPECT_EQ(pool.get_shards(shards), LANEPIPE_E_NULL);
    EXPECT_EQ(shards, 7u);
    size_t count = 0;
    EXPECT_EQ(pool.pop_done(0, nullptr, 1, count), LANEPIPE_E_NULL);
    EXPECT_TRUE(pool.destroy().ok());
}

TEST_F(WrapperPool, MovesItsHandle) {
    lanepipe_pool_t *raw = pool.capi();
    Pool<Payload> other(std::move(pool));
    EXPECT_FALSE(pool);
    EXPECT_EQ(other.capi(), raw);
    pool = std::move(other);
    EXPECT_EQ(pool.capi(), raw);
    Pool<Payload> &self = pool;
    pool = std::move(self);
    EXPECT_EQ(pool.capi(), raw);
    Pool<Payload> third;
    ASSERT_TRUE((Pool<Payload>::create(small_config(), third)).ok());
    pool = std::move(third);
    EXPECT_NE(pool.capi(), nullptr);
    EXPECT_FALSE(third);
}

TEST_F(WrapperPool, SetsShards) {
    uint32_t shards = 0;
    ASSERT_TRUE(pool.get_shards(shards).ok());
    EXPECT_EQ(shards, 2u);
    ASSERT_TRUE(pool.set_shards(1).ok());
    ASSERT_TRUE(pool.get_shards(shards).ok());
    EXPECT_EQ(shards, 1u);
    EXPECT_EQ(pool.set_shards(3), LANEPIPE_E_INVALID);
}

TEST_F(WrapperPool, CarriesTypedPayloadsInBatches) {
    size_t placed = 0;
    ASSERT_TRUE(pool.allocate(1, 100, 4, 0, placed).ok());
    ASSERT_EQ(placed, 4u);
    lanepipe_buffer_t buffers[4] = {};
    size_t count = 0;
    ASSERT_TRUE(pool.pop_recycled(0, 1, buffers, 4, count).ok());
    ASSERT_EQ(count, 4u);

    Payload payloads[4] = {};
    for (uint64_t i = 0; i < 4; ++i) {
        payloads[i] = Payload{i, 100 + i, {i * i, ~i}};
    }
    size_t pushed = 0;
    EXPECT_EQ(pool.push_ready(0, buffers, payloads, 4, pushed), LANEPIPE_FULL);
    EXPECT_EQ(pushed, 3u);
    EXPECT_EQ(pool.push_ready(0, buffers + 3, payloads + 3, 1, std::chrono::milliseconds(1), pushed),
              LANEPIPE_TIMED_OUT);
    EXPECT_EQ(pushed, 0u);

    lanepipe_buffer_t popped[4] = {};
    Payload seen[4] = {};
    ASSERT_TRUE(pool.pop_ready(0, popped, seen, 4, count).ok());
    ASSERT_EQ(count, 3u);
    for (uint64_t i = 0; i < 3; ++i) {
        EXPECT_EQ(popped[i].dev, buffers[i].dev);
        EXPECT_EQ(popped[i].kind, 1u);
        EXPECT_EQ(seen[i].sequence, i);
        EXPECT_EQ(seen[i].instance, 100 + i);
        EXPECT_EQ(seen[i].words[1], ~i);
    }
    EXPECT_EQ(pool.pop_ready(0, popped, seen, 4, count), LANEPIPE_EMPTY);
    EXPECT_EQ(pool.pop_ready(0, popped, seen, 4, std::chrono::milliseconds(1), count), LANEPIPE_TIMED_OUT);

    ASSERT_TRUE(pool.push_done(0, buffers, 3, pushed).ok());
    size_t moved = 0;
    ASSERT_TRUE(pool.recycle_done(0, moved).ok());
    EXPECT_EQ(moved, 3u);
    ASSERT_TRUE(pool.get_recycled(0, 1, count).ok());
    EXPECT_EQ(count, 3u);
    ASSERT_TRUE(pool.push_recycled(0, buffers + 3, 1, pushed).ok());
    EXPECT_EQ(pushed, 1u);
    lanepipe::Audit audit;
    ASSERT_TRUE(pool.audit(audit).ok());
    EXPECT_EQ(audit.total, 4u);
    EXPECT_EQ(audit.recycled, 4u);
    ASSERT_TRUE(pool.release_all([this](void *base) { (void)heap.free_memory(base); }).ok());
}

TEST_F(WrapperPool, ResolvesAndReleases) {
    void *dev = nullptr;
    void *host = nullptr;
    ASSERT_TRUE(pool.allocate_block(256, dev, host).ok());
    EXPECT_EQ(dev, host);
    uint32_t id = 0;
    ASSERT_TRUE(pool.register_buffer(dev, host, 0, &id).ok());
    EXPECT_NE(id, 0u);
    int unknown = 0;
    const void *asked[] = {dev, static_cast<char *>(dev) + 8, &unknown};
    lanepipe_resolved_t resolved[3] = {};
    ASSERT_TRUE(pool.resolve(asked, 3, resolved).ok());
    EXPECT_EQ(resolved[0].host, host);
    EXPECT_EQ(resolved[0].id, id);
    EXPECT_EQ(resolved[1].host, static_cast<char *>(host) + 8);
    EXPECT_EQ(resolved[2].known, 0u);

    ASSERT_TRUE(pool.retire(0, lanepipe_buffer_t{dev, 0, id}).ok());
    std::vector<void *> released;
    const auto release = [&released, this](void *base) {
        released.push_back(base);
        (void)heap.free_memory(base);
    };
    ASSERT_TRUE(pool.release_all(release).ok());
    EXPECT_EQ(released, std::vector<void *>{dev});
    ASSERT_TRUE(pool.release_all(release).ok());
    EXPECT_EQ(released.size(), 1u);
    EXPECT_TRUE(heap.live.empty());
}

TEST_F(WrapperPool, EndsAllocations) {
    void *dev = nullptr;
    void *host = nullptr;
    void *base = nullptr;
    ASSERT_TRUE(pool.allocate_block(256, dev, host).ok());
    void *const inside = static_cast<char *>(dev) + 8;
    ASSERT_TRUE(pool.get_base(inside, base).ok());
    EXPECT_EQ(base, dev);
    ASSERT_TRUE(pool.free(inside).ok());
    EXPECT_EQ(pool.free(inside), LANEPIPE_E_UNKNOWN_POINTER);
    EXPECT_TRUE(heap.live.empty());
    int own = 0;
    ASSERT_TRUE(pool.map_block(&own, &own, sizeof own).ok());
    ASSERT_TRUE(pool.claim(&own, base).ok());
    EXPECT_EQ(pool.claim(&own, base), LANEPIPE_E_DUPLICATE);
    EXPECT_EQ(base, &own);
    ASSERT_TRUE(pool.adopt_shadow(std::malloc(8)).ok());
    ASSERT_TRUE(pool.clear_mappings().ok());
    EXPECT_EQ(pool.get_base(&own, base), LANEPIPE_E_UNKNOWN_POINTER);
}

TEST_F(WrapperPool, ParksAndReleasesWhatIsQueued) {
    int memory[2] = {};
    const lanepipe_buffer_t buffers[] = {{&memory[0], 0, 0}, {&memory[1], 0, 0}};
    ASSERT_TRUE(pool.retire(0, buffers[0]).ok());
    ASSERT_TRUE(pool.quarantine(0, buffers[1]).ok());
    lanepipe_buffer_t taken = {};
    ASSERT_TRUE(pool.take_retired(LANEPIPE_ALL_SHARDS, 0, taken).ok());
    EXPECT_EQ(taken.dev, buffers[0].dev);
    EXPECT_EQ(pool.take_retired(LANEPIPE_ALL_SHARDS, 0, taken), LANEPIPE_EMPTY);
    ASSERT_TRUE(pool.retire(0, buffers[0]).ok());
    size_t placed = 0;
    ASSERT_TRUE(pool.set_warm_target(0, 1).ok());
    ASSERT_TRUE(pool.recirculate(placed).ok());
    EXPECT_EQ(placed, 1u);
    std::vector<void *> released;
    ASSERT_TRUE(pool.release_queued([&released](void *base) { released.push_back(base); }).ok());
    EXPECT_EQ(released, (std::vector<void *>{buffers[0].dev, buffers[1].dev}));
}

TEST_F(WrapperPool, SharedRangesAreNoOpsWithSharedMemory) {
    uint64_t word = 1;
    EXPECT_TRUE(pool.write_shared(&word, sizeof(word)).ok());
    EXPECT_TRUE(pool.read_shared(&word, sizeof(word)).ok());
    EXPECT_EQ(word, 1u);
}

TEST(WrapperMemory, TakesTheCallbacksThatTheDeviceHas) {
    Heap heap;
    const lanepipe::Memory memory = lanepipe::memory_of(heap);
    EXPECT_EQ(memory.struct_size, sizeof(lanepipe_memory_t));
    EXPECT_NE(memory.alloc, nullptr);
    EXPECT_NE(memory.free_memory, nullptr);
    EXPECT_EQ(memory.register_memory, nullptr);
    EXPECT_EQ(memory.copy_to_device, nullptr);
    EXPECT_EQ(memory.copy_from_device, nullptr);
}

struct Lines {
    std::vector<std::string> lines;
    void write(uint32_t, const char *message) { lines.emplace_back(message); }
};

TEST(WrapperLog, GlobalSinkReceivesRefusals) {
    Lines sink;
    const lanepipe_log_sink_t raw = lanepipe::log_sink(sink, LANEPIPE_LOG_DEBUG);
    ASSERT_TRUE(lanepipe::set_global_log(&raw).ok());
    // Of a structure of unknown size not even the sink can be used.
    lanepipe::PoolConfig config = small_config();
    config.struct_size = 1;
    Pool<> pool;
    EXPECT_EQ(Pool<>::create(config, pool), LANEPIPE_E_STRUCT_SIZE);
    EXPECT_FALSE(sink.lines.empty());
    ASSERT_TRUE(lanepipe::set_global_log(nullptr).ok());
    const size_t before = sink.lines.size();
    EXPECT_TRUE(Pool<>::create(config, pool).failed());
    EXPECT_EQ(sink.lines.size(), before);
}

} // namespace
