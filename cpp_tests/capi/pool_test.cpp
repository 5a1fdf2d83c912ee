// Queues of a pool through the C interface: capacities, order, payloads, folding, routing, audit.
#include "support.h"

namespace {

using namespace capi;

// Payload bytes that tell element, position and size apart.
void fill(std::vector<unsigned char> &payloads, uint64_t first, size_t count, size_t size) {
    payloads.resize(count * size);
    for (size_t i = 0; i < payloads.size(); ++i)
        payloads[i] = static_cast<unsigned char>((first + i / std::max<size_t>(size, 1)) * 31 + i % 251 + size);
}

struct Ready {
    Pool &pool;
    uint32_t shard = 0;
    uint64_t pushed = 0; // next number to push
    uint64_t popped = 0; // next number expected

    size_t size() const { return pool.config().payload_size; }

    lanepipe_status_t push(size_t count, size_t want) {
        std::vector<lanepipe_buffer_t> buffers;
        for (size_t i = 0; i < count; ++i)
            buffers.push_back(untracked(pushed + i + 1, static_cast<uint32_t>((pushed + i) % 2)));
        std::vector<unsigned char> payloads;
        std::vector<unsigned char> one;
        for (size_t i = 0; i < count; ++i) {
            fill(one, pushed + i, 1, size());
            payloads.insert(payloads.end(), one.begin(), one.end());
        }
        size_t stored = kUntouched;
        const lanepipe_status_t status =
            lanepipe_pool_push_ready(pool.get(), shard, buffers.data(), payloads.data(), count, &stored);
        EXPECT_EQ(stored, want);
        pushed += stored;
        return status;
    }

    lanepipe_status_t pop(size_t max, size_t want) {
        std::vector<lanepipe_buffer_t> buffers(max);
        std::vector<unsigned char> payloads(max * size() + 1, 0xee);
        size_t count = kUntouched;
        const lanepipe_status_t status =
            lanepipe_pool_pop_ready(pool.get(), shard, buffers.data(), payloads.data(), max, &count);
        EXPECT_EQ(count, want);
        std::vector<unsigned char> one;
        for (size_t i = 0; i < std::min(count, max); ++i, ++popped) {
            EXPECT_EQ(address_of(buffers[i]), (popped + 1) * 64);
            EXPECT_EQ(buffers[i].kind, popped % 2);
            fill(one, popped, 1, size());
            EXPECT_TRUE(std::equal(one.begin(), one.end(), payloads.begin() + static_cast<long>(i * size())));
        }
        EXPECT_EQ(payloads[std::min(count, max) * size()], 0xee) << "written beyond the elements";
        return status;
    }
};

class ReadyRing : public testing::TestWithParam<std::tuple<uint32_t, uint32_t>> {};

TEST_P(ReadyRing, HoldsExactlyItsCapacityInOrder) {
    const auto [capacity, payload] = GetParam();
    lanepipe_pool_config_t config = pool_config();
    config.ready_capacity = capacity;
    config.payload_size = payload;
    Pool pool(config);
    Ready ready{pool, 1};
    EXPECT_STATUS(LANEPIPE_EMPTY, ready.pop(4, 0));
    // One by one, twice, so that the second round stands at another offset.
    for (int round = 0; round < 2; ++round) {
        for (uint32_t i = 0; i < capacity; ++i)
            ASSERT_STATUS(LANEPIPE_OK, ready.push(1, 1));
        ASSERT_STATUS(LANEPIPE_FULL, ready.push(1, 0));
        ASSERT_STATUS(LANEPIPE_FULL, ready.push(3, 0));
        for (uint32_t i = 0; i < capacity; ++i)
            ASSERT_STATUS(LANEPIPE_OK, ready.pop(1, 1));
        ASSERT_STATUS(LANEPIPE_EMPTY, ready.pop(1, 0));
    }
    // In batches at every offset of the storage.
    for (uint32_t step = 0; step < 2 * std::min(capacity, 200u) + 3; ++step) {
        ASSERT_STATUS(LANEPIPE_FULL, ready.push(capacity + 1, capacity));
        ASSERT_STATUS(LANEPIPE_OK, ready.pop(1, 1));
        ASSERT_STATUS(LANEPIPE_FULL, ready.push(2, 1));
        ASSERT_STATUS(LANEPIPE_OK, ready.pop(capacity + 5, capacity));
        ASSERT_STATUS(LANEPIPE_OK, ready.push(1, 1));
        ASSERT_STATUS(LANEPIPE_OK, ready.pop(1, 1));
    }
    EXPECT_EQ(pool.log.text(), "");
}

INSTANTIATE_TEST_SUITE_P(Sizes, ReadyRing,
                         testing::Combine(testing::Values(1, 3, 5, 992, 1456), testing::Values(0, 8, 32, 40, 256)));

class Capacity : public testing::TestWithParam<uint32_t> {};

TEST_P(Capacity, DoneRingIsExact) {
    const uint32_t capacity = GetParam();
    lanepipe_pool_config_t config = pool_config();
    config.done_capacity = capacity;
    Pool pool(config);
    uint64_t pushed = 0;
    uint64_t popped = 0;
    for (int round = 0; round < 7; ++round) {
        std::vector<lanepipe_buffer_t> buffers;
        for (uint32_t i = 0; i < capacity + 2; ++i)
            buffers.push_back(untracked(pushed + i + 1));
        size_t count = kUntouched;
        ASSERT_STATUS(LANEPIPE_FULL, lanepipe_pool_push_done(pool.get(), 0, buffers.data(), buffers.size(), &count));
        ASSERT_EQ(count, capacity);
        ASSERT_STATUS(LANEPIPE_FULL, lanepipe_pool_push_done(pool.get(), 0, buffers.data(), 1, &count));
        ASSERT_EQ(count, 0u);
        pushed += capacity;
        std::vector<lanepipe_buffer_t> out(capacity + 2);
        for (uint32_t left = capacity; left > 0; left -= static_cast<uint32_t>(count)) {
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_done(pool.get(), 0, out.data(), 3, &count));
            ASSERT_EQ(count, std::min(left, 3u));
            for (size_t i = 0; i < count; ++i)
                ASSERT_EQ(address_of(out[i]), ++popped * 64);
        }
        ASSERT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_done(pool.get(), 0, out.data(), 1, &count));
        ASSERT_EQ(count, 0u);
        // Shifts the next round in the storage.
        const lanepipe_buffer_t extra = untracked(++pushed);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, &extra, 1, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_done(pool.get(), 0, out.data(), 1, &count));
        ++popped;
    }
}

TEST_P(Capacity, LanesAreExactAndApart) {
    const uint32_t capacity = GetParam();
    lanepipe_pool_config_t config = pool_config();
    config.recycled_capacity = capacity;
    Pool pool(config);
    size_t count = 0;
    for (uint32_t shard = 0; shard < 2; ++shard)
        for (uint32_t kind = 0; kind < 2; ++kind) {
            std::vector<lanepipe_buffer_t> buffers;
            for (uint32_t i = 0; i < capacity + 1; ++i)
                buffers.push_back(untracked(10000 * (shard * 2 + kind + 1) + i, kind));
            ASSERT_STATUS(LANEPIPE_FULL,
                          lanepipe_pool_push_recycled(pool.get(), shard, buffers.data(), buffers.size(), &count));
            ASSERT_EQ(count, capacity);
        }
    EXPECT_EQ(pool.recycled(LANEPIPE_ALL_SHARDS, 0), 2 * capacity);
    for (uint32_t shard = 0; shard < 2; ++shard)
        for (uint32_t kind = 0; kind < 2; ++kind) {
            EXPECT_EQ(pool.recycled(shard, kind), capacity);
            std::vector<lanepipe_buffer_t> out(capacity + 1);
            ASSERT_STATUS(LANEPIPE_OK,
                          lanepipe_pool_pop_recycled(pool.get(), shard, kind, out.data(), out.size(), &count));
            ASSERT_EQ(count, capacity);
            for (uint32_t i = 0; i < capacity; ++i) {
                ASSERT_EQ(address_of(out[i]), (10000 * (shard * 2 + kind + 1) + i) * 64);
                ASSERT_EQ(out[i].kind, kind);
            }
            EXPECT_EQ(pool.recycled(shard, kind), 0u);
        }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Capacity, testing::Values(1, 3, 5, 992, 1456));

// A batch of several kinds stops at the first full lane; what stands before it is stored.
TEST(PoolLanes, MixedBatchStopsAtTheFirstFullLane) {
    lanepipe_pool_config_t config = pool_config();
    config.recycled_capacity = 1;
    Pool pool(config);
    const lanepipe_buffer_t buffers[] = {untracked(1, 0), untracked(2, 1), untracked(3, 1), untracked(4, 0)};
    size_t count = kUntouched;
    EXPECT_STATUS(LANEPIPE_FULL, lanepipe_pool_push_recycled(pool.get(), 0, buffers, 4, &count));
    EXPECT_EQ(count, 2u);
    EXPECT_EQ(pool.recycled(0, 0), 1u);
    EXPECT_EQ(pool.recycled(0, 1), 1u);
}

TEST(PoolShards, IndicesFoldByTheLiveCount) {
    lanepipe_pool_config_t config = pool_config();
    config.shards = 4;
    Pool pool(config);
    size_t count = 0;
    lanepipe_buffer_t out{};
    for (uint32_t live = 1; live <= 4; ++live) {
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(pool.get(), live));
        uint32_t shards = 0;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_get_shards(pool.get(), &shards));
        EXPECT_EQ(shards, live);
        for (uint32_t index = 0; index < 9; ++index) {
            const lanepipe_buffer_t buffer = untracked(100 + index);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), index, &buffer, nullptr, 1, &count));
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_ready(pool.get(), index % live, &out, nullptr, 1, &count));
            EXPECT_EQ(out.dev, buffer.dev);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), index % live, &buffer, 1, &count));
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_done(pool.get(), index, &out, 1, &count));
            EXPECT_EQ(out.dev, buffer.dev);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), index, &buffer, 1, &count));
            EXPECT_EQ(pool.recycled(index % live), 1u);
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), index, 0, &out, 1, &count));
            EXPECT_EQ(out.dev, buffer.dev);
        }
    }
}

// Lanes that are not live keep what they hold; it is not counted, not lost, and there again later.
TEST(PoolShards, LanesThatAreNotLiveKeepTheirBuffers) {
    lanepipe_pool_config_t config = pool_config();
    config.shards = 3;
    Pool pool(config);
    size_t count = 0;
    for (uint32_t shard = 0; shard < 3; ++shard) {
        const lanepipe_buffer_t buffer = pool.enroll(0x1000 * (shard + 1));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), shard, &buffer, 1, &count));
    }
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(pool.get(), 1));
    EXPECT_EQ(pool.recycled(LANEPIPE_ALL_SHARDS), 1u);
    EXPECT_EQ(pool.recycled(2), 1u) << "shard 2 folds to 0";
    EXPECT_EQ(audit_of(pool.get()).recycled, 3u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(pool.get(), 3));
    EXPECT_EQ(pool.recycled(LANEPIPE_ALL_SHARDS), 3u);
}

TEST(RecycleDone, OneShardGoesToItsOwnLanesAndParksTheRest) {
    lanepipe_pool_config_t config = pool_config();
    config.recycled_capacity = 2;
    Pool pool(config);
    size_t count = 0;
    for (uint64_t i = 1; i <= 4; ++i) {
        const lanepipe_buffer_t buffer = pool.enroll(0x1000 * i, i == 4 ? 1 : 0);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 1, &buffer, 1, &count));
    }
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), 0, &count));
    EXPECT_EQ(count, 0u) << "the other shard's ring";
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), 1, &count));
    EXPECT_EQ(count, 4u);
    EXPECT_EQ(pool.recycled(0, 0) + pool.recycled(0, 1), 0u);
    EXPECT_EQ(pool.recycled(1, 0), 2u);
    EXPECT_EQ(pool.recycled(1, 1), 1u);
    const lanepipe_pool_audit_t audit = audit_of(pool.get());
    EXPECT_EQ(audit.recycled, 3u);
    EXPECT_EQ(audit.retired, 1u);
    lanepipe_buffer_t out[2];
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), 1, 0, out, 2, &count));
    EXPECT_EQ(address_of(out[0]), 0x1000u);
    EXPECT_EQ(address_of(out[1]), 0x2000u);
}

TEST(RecycleDone, AllKeepsTheOriginWhereNothingIsWanted) {
    lanepipe_pool_config_t config = pool_config();
    config.shards = 3;
    Pool pool(config);
    size_t count = 0;
    for (uint32_t shard = 0; shard < 3; ++shard)
        for (uint64_t i = 0; i <= shard; ++i) {
            const lanepipe_buffer_t buffer = pool.enroll(0x1000 * (shard + 1) + 0x40 * i);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), shard, &buffer, 1, &count));
        }
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), LANEPIPE_ALL_SHARDS, &count));
    EXPECT_EQ(count, 6u);
    for (uint32_t shard = 0; shard < 3; ++shard)
        EXPECT_EQ(pool.recycled(shard), shard + 1);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), LANEPIPE_ALL_SHARDS, &count));
    EXPECT_EQ(count, 0u);
}

// With a full lane at the target nothing is lost: another live lane or the parking place takes the buffer.
TEST(RecycleDone, AllLosesNothingWhenLanesAreFull) {
    lanepipe_pool_config_t config = pool_config();
    config.recycled_capacity = 1;
    Pool pool(config);
    size_t count = 0;
    for (uint64_t i = 1; i <= 5; ++i) {
        const lanepipe_buffer_t buffer = pool.enroll(0x1000 * i);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, &buffer, 1, &count));
    }
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(pool.get(), LANEPIPE_ALL_SHARDS, &count));
    EXPECT_EQ(count, 5u);
    const lanepipe_pool_audit_t audit = audit_of(pool.get());
    EXPECT_EQ(audit.recycled + audit.retired, 5u);
    EXPECT_GE(audit.recycled, 1u);
}

TEST(Audit, KnowsEveryPlaceThatACallReaches) {
    Pool pool;
    size_t count = 0;
    lanepipe_buffer_t buffer = pool.enroll(0x1000, 1);
    EXPECT_EQ(audit_of(pool.get()).device, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 1, &buffer, nullptr, 1, &count));
    EXPECT_EQ(audit_of(pool.get()).ready, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_ready(pool.get(), 1, &buffer, nullptr, 1, &count));
    EXPECT_EQ(audit_of(pool.get()).collect, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 1, &buffer, 1, &count));
    EXPECT_EQ(audit_of(pool.get()).done, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_done(pool.get(), 1, &buffer, 1, &count));
    EXPECT_EQ(audit_of(pool.get()).replenish, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), 0, &buffer, 1, &count));
    EXPECT_EQ(audit_of(pool.get()).recycled, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), 0, 1, &buffer, 1, &count));
    EXPECT_EQ(audit_of(pool.get()).device, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool.get(), 0, &buffer));
    EXPECT_EQ(audit_of(pool.get()).retired, 1u);
    EXPECT_EQ(buffer.kind, 1u);
    EXPECT_NE(buffer.id, 0u);
}

// A lenient pool takes a buffer twice; the audit is what finds it.
TEST(Audit, FindsPlantedErrors) {
    const auto planted = [](auto &&plant) {
        Pool pool;
        const lanepipe_buffer_t buffer = pool.enroll(0x1000);
        const lanepipe_buffer_t sound = pool.enroll(0x2000);
        size_t count = 0;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), 0, &sound, 1, &count));
        plant(pool.get(), buffer);
        const lanepipe_pool_audit_t audit = audit_of(pool.get(), LANEPIPE_E_CONSERVATION);
        EXPECT_GE(audit.errors, 1u);
        EXPECT_EQ(audit.total, 2u);
    };
    size_t count = 0;
    planted([&](auto *pool, const auto &buffer) { // twice in one lane
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 0, &buffer, 1, &count));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 0, &buffer, 1, &count));
    });
    planted([&](auto *pool, const auto &buffer) { // in two lanes
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 0, &buffer, 1, &count));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 1, &buffer, 1, &count));
    });
    planted([&](auto *pool, const auto &buffer) { // in a done ring and a ready ring
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool, 0, &buffer, 1, &count));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool, 0, &buffer, nullptr, 1, &count));
    });
    planted([&](auto *pool, const auto &buffer) { // parked twice
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool, 0, &buffer));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool, 1, &buffer));
    });
    planted([&](auto *pool, const auto &buffer) { // in the lane of another kind
        lanepipe_buffer_t other = buffer;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 0, &buffer, 1, &count));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool, 0, 0, &other, 1, &count));
        other.kind = 1;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 0, &other, 1, &count));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 0, &buffer, 1, &count));
    });
    planted([&](auto *pool, const auto &buffer) { // taken out once of two places
        lanepipe_buffer_t out{};
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool, 1, &buffer, 1, &count));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool, 1, &buffer, 1, &count));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_done(pool, 1, &out, 1, &count));
    });
}

} // namespace
