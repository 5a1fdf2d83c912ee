// The end of allocations through the C interface: claims, freeing, queues and tables that are emptied; parked buffers;
// and pools whose buffers have no identity.
#include "support.h"

#include <malloc.h>

namespace {

using namespace capi;

lanepipe_pool_config_t untracked_config() {
    lanepipe_pool_config_t config = pool_config();
    config.flags = LANEPIPE_POOL_UNTRACKED;
    config.block_granularity = 1;
    return config;
}

lanepipe_resolved_t resolve(const lanepipe_pool_t *pool, const void *dev) {
    lanepipe_resolved_t resolved{};
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_resolve(pool, &dev, 1, &resolved));
    return resolved;
}

void *at(uint64_t address) { return reinterpret_cast<void *>(address); }

struct Release {
    const lanepipe_pool_t *pool;
    std::vector<void *> bases;

    // Asks back, as a callback may.
    static void call(void *self, void *base) {
        auto &release = *static_cast<Release *>(self);
        void *found = nullptr;
        EXPECT_GE(lanepipe_pool_claim(release.pool, base, &found), LANEPIPE_E_DUPLICATE);
        (void)lanepipe_pool_get_base(release.pool, base, &found);
        (void)resolve(release.pool, base);
        release.bases.push_back(base);
    }
};

// Pool with a registered block of four buffers.
class Claims : public testing::Test {
  protected:
    void SetUp() override {
        pool.use(memory);
        size_t count = 0;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 100, 4, 0, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), 0, 0, buffers, 4, &count));
        ASSERT_EQ(count, 4u);
    }
    void TearDown() override {
        const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
        EXPECT_EQ(memory.live_blocks(), 0u);
        EXPECT_EQ(memory.unknown_frees, 0u);
    }

    Memory memory{Mode::kShadow};
    Pool pool;
    lanepipe_buffer_t buffers[4] = {};
};

TEST_F(Claims, OneOfAllPiecesWins) {
    void *base = nullptr;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_get_base(pool.get(), buffers[3].dev, &base));
    EXPECT_EQ(base, buffers[0].dev);
    base = nullptr;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_claim(pool.get(), buffers[2].dev, &base));
    EXPECT_EQ(base, buffers[0].dev);
    for (const lanepipe_buffer_t &buffer : buffers) {
        base = nullptr;
        EXPECT_STATUS(LANEPIPE_E_DUPLICATE, lanepipe_pool_claim(pool.get(), buffer.dev, &base));
        EXPECT_EQ(base, buffers[0].dev);
        EXPECT_STATUS(LANEPIPE_E_DUPLICATE, lanepipe_pool_free(pool.get(), buffer.dev));
    }
    EXPECT_EQ(memory.frees, 0u);
    EXPECT_EQ(pool.log.text(), "") << "a question left a line";
}

TEST_F(Claims, UnknownAddressesAreAnswered) {
    for (void *dev : {static_cast<void *>(nullptr), at(8)}) {
        void *base = at(kUntouched);
        EXPECT_STATUS(LANEPIPE_E_UNKNOWN_POINTER, lanepipe_pool_get_base(pool.get(), dev, &base));
        EXPECT_STATUS(LANEPIPE_E_UNKNOWN_POINTER, lanepipe_pool_claim(pool.get(), dev, &base));
        EXPECT_STATUS(LANEPIPE_E_UNKNOWN_POINTER, lanepipe_pool_free(pool.get(), dev));
        EXPECT_EQ(base, at(kUntouched));
    }
    EXPECT_EQ(pool.log.text(), "");
}

TEST_F(Claims, FreeingAPieceFreesTheBlock) {
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_free(pool.get(), buffers[1].dev));
    EXPECT_EQ(memory.frees, 1u);
    EXPECT_EQ(memory.live_blocks(), 0u);
    EXPECT_EQ(resolve(pool.get(), buffers[0].dev).known, 0u);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
    EXPECT_STATUS(LANEPIPE_E_UNKNOWN_POINTER, lanepipe_pool_free(pool.get(), buffers[1].dev));
    // The address is as good as new.
    char host = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_map_block(pool.get(), buffers[0].dev, &host, 1));
    void *base = nullptr;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_claim(pool.get(), buffers[0].dev, &base));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_map_block(pool.get(), buffers[0].dev, &host, 0));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_claim(pool.get(), buffers[0].dev, &base));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_clear_mappings(pool.get()));
}

// Many threads, one winner per allocation.
TEST_F(Claims, RacingThreadsFreeOnce) {
    std::atomic<int> won{0};
    std::vector<std::thread> threads;
    for (const lanepipe_buffer_t &buffer : buffers)
        threads.emplace_back([&, buffer] {
            if (lanepipe_pool_free(pool.get(), buffer.dev) == LANEPIPE_OK)
                won.fetch_add(1);
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(memory.frees, 1u);
}

// What malloc gave is freed by whichever of the three comes first; the sanitizers and the count watch.
TEST(AdoptShadow, EndsOnceWithWhateverEndsTheMapping) {
    const auto cycle = [] {
        Pool pool(untracked_config());
        for (int i = 0; i < 4; ++i) {
            void *host = std::malloc(64 * 1024);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_adopt_shadow(pool.get(), host));
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_adopt_shadow(pool.get(), host));
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_register(pool.get(), at(0x1000), host, 0, nullptr));
        }
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_free(pool.get(), at(0x1000)));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_clear_mappings(pool.get()));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_clear_mappings(pool.get()));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_adopt_shadow(pool.get(), std::malloc(64 * 1024)));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), nullptr, nullptr));
        void *kept = std::malloc(8);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_adopt_shadow(pool.get(), kept));
        return kept;
    };
    std::free(cycle());
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 100; ++i)
        std::free(cycle());
    EXPECT_LE(mallinfo2().uordblks, before + 64 * 1024);
}

TEST(ReleaseQueued, FollowsTheOrderOfTheQueues) {
    Pool pool(untracked_config());
    size_t count = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_map_block(pool.get(), at(0x1000), at(0x1000), 0x100));
    const auto ready = [&](uint32_t shard, uint64_t dev) {
        const lanepipe_buffer_t buffer{at(dev), 0, 0};
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), shard, &buffer, nullptr, 1, &count));
    };
    const auto done = [&](uint32_t shard, uint64_t dev) {
        const lanepipe_buffer_t buffer{at(dev), 1, 0};
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), shard, &buffer, 1, &count));
    };
    const auto lane = [&](uint32_t shard, uint32_t kind, uint64_t dev) {
        const lanepipe_buffer_t buffer{at(dev), kind, 0};
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), shard, &buffer, 1, &count));
    };
    const auto park = [&](uint32_t shard, uint32_t kind, uint64_t dev, bool trusted) {
        const lanepipe_buffer_t buffer{at(dev), kind, 0};
        ASSERT_STATUS(LANEPIPE_OK, trusted ? lanepipe_pool_retire(pool.get(), shard, &buffer)
                                           : lanepipe_pool_quarantine(pool.get(), shard, &buffer));
    };
    ready(1, 0xa0);
    ready(0, 0x90);
    ready(0, 0); // an element without a buffer
    done(1, 0x80);
    done(0, 0x70);
    park(1, 0, 0x60, true);
    park(0, 1, 0x50, true);
    park(0, 0, 0x42, true);
    park(0, 0, 0x41, false);
    park(0, 0, 0x40, true);
    lane(1, 0, 0x30);
    lane(0, 1, 0x20);
    lane(0, 0, 0x10);
    lane(0, 0, 0x1040);
    park(1, 1, 0x1080, true);
    lane(1, 1, 0x10);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(pool.get(), 1));
    Release release{pool.get(), {}};
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_queued(pool.get(), &Release::call, &release));
    const std::vector<void *> want{at(0x10), at(0x1000), at(0x20), at(0x30), at(0x40), at(0x41), at(0x42),
                                   at(0x50), at(0x60),   at(0x70), at(0x80), at(0x90), at(0xa0)};
    EXPECT_EQ(release.bases, want);
    release.bases.clear();
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_queued(pool.get(), &Release::call, &release));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_queued(pool.get(), nullptr, nullptr));
    EXPECT_TRUE(release.bases.empty());
    EXPECT_EQ(resolve(pool.get(), at(0x1010)).known, 1u) << "mappings stay";
}

TEST(ReleaseAll, IgnoresClaims) {
    Pool pool(untracked_config());
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_map_block(pool.get(), at(0x2000), at(0x2000), 64));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_register(pool.get(), at(0x1000), nullptr, 0, nullptr));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_register(pool.get(), nullptr, at(8), 0, nullptr));
    void *base = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_claim(pool.get(), at(0x2001), &base));
    Release release{pool.get(), {}};
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), &Release::call, &release));
    EXPECT_EQ(release.bases, (std::vector<void *>{at(0x1000), at(0x2000)}));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_map_block(pool.get(), at(0x2000), at(0x2000), 64));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_claim(pool.get(), at(0x2001), &base)) << "claims end with the mappings";
}

TEST(ClearMappings, WantsEmptyQueuesOfATrackedPool) {
    Pool pool;
    const lanepipe_buffer_t buffer = pool.enroll(0x1000);
    size_t count = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), 0, &buffer, 1, &count));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_STATE, lanepipe_pool_clear_mappings(pool.get()));
    EXPECT_EQ(resolve(pool.get(), buffer.dev).known, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_release_queued(pool.get(), nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_clear_mappings(pool.get()));
    EXPECT_EQ(resolve(pool.get(), buffer.dev).known, 0u);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
}

TEST(Untracked, BuffersHaveNoIdentity) {
    Memory memory;
    Pool pool(untracked_config());
    pool.use(memory);
    size_t count = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 1, 100, 2, 0, &count));
    EXPECT_EQ(memory.asked(), std::vector<size_t>{256}) << "exactly what the buffers take";
    lanepipe_buffer_t buffers[2] = {};
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), 0, 1, buffers, 2, &count));
    EXPECT_EQ(buffers[0].id, 0u);
    uint32_t id = 77;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_register(pool.get(), buffers[0].dev, at(0x99), 0, &id));
    EXPECT_EQ(id, 0u);
    EXPECT_EQ(resolve(pool.get(), buffers[0].dev).host, at(0x99));
    // Twice in one call, under ids that mean nothing.
    lanepipe_buffer_t twice[2] = {buffers[0], buffers[0]};
    twice[1].id = UINT32_MAX;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, twice, 2, &count));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), 0, &count));
    EXPECT_EQ(pool.recycled(0, 1), 2u);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_free(pool.get(), buffers[1].dev));
    EXPECT_EQ(memory.live_blocks(), 0u);
}

TEST(Parked, NewestFirstAndNeverTheQuarantinedOnes) {
    Pool pool;
    const lanepipe_buffer_t a = pool.enroll(0x1000);
    const lanepipe_buffer_t b = pool.enroll(0x2000);
    const lanepipe_buffer_t c = pool.enroll(0x3000);
    const lanepipe_buffer_t bad = pool.enroll(0x4000);
    lanepipe_buffer_t out{};
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_take_retired(pool.get(), 0, 0, &out));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool.get(), 1, &a));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool.get(), 0, &b));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool.get(), 1, &c));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_quarantine(pool.get(), 1, &bad));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_take_retired(pool.get(), LANEPIPE_ALL_SHARDS, 1, &out));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_take_retired(pool.get(), LANEPIPE_ALL_SHARDS, 0, &out));
    EXPECT_EQ(out.dev, c.dev);
    EXPECT_EQ(out.id, c.id);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_take_retired(pool.get(), 3, 0, &out));
    EXPECT_EQ(out.dev, a.dev) << "the shard folds";
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_take_retired(pool.get(), 1, 0, &out));
    size_t placed = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_recirculate(pool.get(), &placed));
    EXPECT_EQ(placed, 1u);
    EXPECT_EQ(pool.recycled(LANEPIPE_ALL_SHARDS), 1u);
    const lanepipe_pool_audit_t audit = audit_of(pool.get());
    EXPECT_EQ(audit.replenish, 2u);
    EXPECT_EQ(audit.quarantined, 1u);
}

TEST(WarmTarget, SteersDoneBuffers) {
    Pool pool;
    size_t count = 0;
    const auto return_one = [&](uint64_t dev) {
        const lanepipe_buffer_t buffer = pool.enroll(dev);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, &buffer, 1, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), LANEPIPE_ALL_SHARDS, &count));
        ASSERT_EQ(count, 1u);
    };
    return_one(0x1000);
    EXPECT_EQ(pool.recycled(0), 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_warm_target(pool.get(), 0, UINT32_MAX));
    return_one(0x2000);
    EXPECT_EQ(pool.recycled(1), 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_warm_target(pool.get(), 0, 0));
    return_one(0x3000);
    EXPECT_EQ(pool.recycled(0), 2u);
    EXPECT_EQ(pool.log.text(), "");
}

TEST(RecycleDone, SaysWhenLanesAreFull) {
    lanepipe_pool_config_t config = pool_config();
    config.recycled_capacity = 1;
    for (const uint32_t shard : {0u, LANEPIPE_ALL_SHARDS})
        for (const int buffers : {2, 4}) {
            Pool pool(config);
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(pool.get(), 1));
            size_t count = 0;
            for (int i = 0; i < buffers; ++i) {
                const lanepipe_buffer_t buffer = pool.enroll(0x1000u * static_cast<unsigned>(i + 1));
                ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, &buffer, 1, &count));
                if (i == 0) {
                    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), 0, &count));
                }
            }
            EXPECT_EQ(pool.log.text(), "");
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), shard, &count));
            EXPECT_EQ(count, static_cast<size_t>(buffers - 1));
            EXPECT_EQ(pool.log.count(LANEPIPE_LOG_ERROR), 1u) << pool.log.text();
        }
}

} // namespace
