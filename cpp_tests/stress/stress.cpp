// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Pools and rings under load, every role played by a thread of the test. Bounded by counts.
#include "lanepipe/lanepipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace {

struct Heap {
    std::set<void *> live;

    static void *alloc(void *context, size_t size) {
        void *block = std::aligned_alloc(64, (size + 63) / 64 * 64);
        static_cast<Heap *>(context)->live.insert(block);
        return block;
    }
    static void release(void *context, void *block) {
        static_cast<Heap *>(context)->live.erase(block);
        std::free(block);
    }
};

struct Payload {
    uint64_t sequence;
    uint64_t check;
    uint64_t rest[2];
};

uint64_t mix(uint64_t value) {
    value ^= value >> 31;
    return value * 0x9e3779b97f4a7c15u;
}

// One drain and one collect thread per shard and a replenish thread pass a fixed set of buffers around.
class Circulation {
  public:
    Circulation(uint32_t shards, uint32_t capacity, uint32_t buffers, uint64_t hops)
        : shards_(shards), buffers_(buffers), hops_(hops) {
        lanepipe_pool_config_t config{};
        config.struct_size = sizeof(config);
        config.shards = shards;
        config.kinds = 1;
        config.payload_size = sizeof(Payload);
        config.ready_capacity = capacity;
        config.done_capacity = capacity;
        config.recycled_capacity = buffers;
        EXPECT_EQ(lanepipe_pool_create(&config, nullptr, &pool_), LANEPIPE_OK);
        lanepipe_memory_t memory{};
        memory.struct_size = sizeof(memory);
        memory.context = &heap_;
        memory.alloc = Heap::alloc;
        EXPECT_EQ(lanepipe_pool_set_memory(pool_, &memory), LANEPIPE_OK);
        size_t placed = 0;
        EXPECT_EQ(lanepipe_pool_allocate(pool_, 0, 64, buffers, LANEPIPE_ALL_SHARDS, &placed), LANEPIPE_OK);
        EXPECT_EQ(placed, buffers);
    }

    ~Circulation() {
        EXPECT_EQ(lanepipe_pool_release_all(pool_, Heap::release, &heap_), LANEPIPE_OK);
        EXPECT_EQ(lanepipe_pool_destroy(pool_), LANEPIPE_OK);
        EXPECT_TRUE(heap_.live.empty());
    }

    void run(uint32_t seed) {
        std::vector<std::thread> threads;
        for (uint32_t shard = 0; shard < shards_; ++shard) {
            threads.emplace_back([=] { drain(shard, seed + shard); });
            threads.emplace_back([=] { collect(shard, seed + 100 + shard); });
        }
        std::thread replenish([=] {
            while (collectors_ended_.load(std::memory_order_acquire) < shards_) {
                recycle();
            }
            recycle();
        });
        for (std::thread &thread : threads) {
            thread.join();
        }
        replenish.join();
        lanepipe_pool_audit_t audit{};
        audit.struct_size = sizeof(audit);
        EXPECT_EQ(lanepipe_pool_audit(pool_, &audit), LANEPIPE_OK);
        EXPECT_EQ(audit.total, buffers_);
        EXPECT_EQ(audit.recycled + audit.retired, buffers_);
    }

  private:
    void recycle() {
        size_t moved = 0;
        EXPECT_EQ(lanepipe_pool_recycle_done(pool_, LANEPIPE_ALL_SHARDS, &moved), LANEPIPE_OK);
        if (moved == 0) {
            std::this_thread::yield();
        }
    }

    void drain(uint32_t shard, uint32_t seed) {
        std::minstd_rand random(seed);
        std::vector<lanepipe_buffer_t> buffers(16);
        std::vector<Payload> payloads(16);
        for (uint64_t next = 0; next < hops_;) {
            const size_t want = std::min<uint64_t>(1 + random() % buffers.size(), hops_ - next);
            size_t count = 0;
            if (lanepipe_pool_pop_recycled(pool_, shard, 0, buffers.data(), want, &count) == LANEPIPE_EMPTY) {
                std::this_thread::yield();
                continue;
            }
            for (size_t i = 0; i < count; ++i, ++next) {
                payloads[i] = Payload{next, mix(next), {shard, 0}};
                *static_cast<uint64_t *>(buffers[i].dev) = mix(next + shard);
            }
            size_t pushed = 0;
            ASSERT_EQ(lanepipe_pool_wait_push_ready(pool_, shard, buffers.data(), payloads.data(), count,
                                                    LANEPIPE_FOREVER, &pushed),
                      LANEPIPE_OK);
            ASSERT_EQ(pushed, count);
        }
    }

    void collect(uint32_t shard, uint32_t seed) {
        std::minstd_rand random(seed);
        std::vector<lanepipe_buffer_t> buffers(16);
        std::vector<Payload> payloads(16);
        for (uint64_t next = 0; next < hops_;) {
            size_t count = 0;
            ASSERT_EQ(lanepipe_pool_wait_pop_ready(pool_, shard, buffers.data(), payloads.data(),
                                                   1 + random() % buffers.size(), LANEPIPE_FOREVER, &count),
                      LANEPIPE_OK);
            for (size_t i = 0; i < count; ++i, ++next) {
                ASSERT_EQ(payloads[i].sequence, next);
                ASSERT_EQ(payloads[i].check, mix(next));
                ASSERT_EQ(payloads[i].rest[0], shard);
                ASSERT_EQ(*static_cast<uint64_t *>(buffers[i].dev), mix(next + shard));
            }
            for (size_t done = 0; done < count;) {
                size_t pushed = 0;
                if (lanepipe_pool_push_done(pool_, shard, &buffers[done], count - done, &pushed) == LANEPIPE_FULL) {
                    std::this_thread::yield();
                }
                done += pushed;
            }
        }
        collectors_ended_.fetch_add(1, std::memory_order_release);
    }

    Heap heap_;
    lanepipe_pool_t *pool_ = nullptr;
    uint32_t shards_;
    uint32_t buffers_;
    uint64_t hops_;
    std::atomic<uint32_t> collectors_ended_{0};
};

TEST(Stress, BuffersCirculateThroughTinyRings) {
    Circulation circulation(2, 1, 4, 20000);
    circulation.run(1);
}

TEST(Stress, BuffersCirculateThroughOddCapacities) {
    Circulation circulation(3, 5, 17, 40000);
    circulation.run(2);
    Circulation wide(1, 992, 300, 200000);
    wide.run(3);
}

TEST(Stress, OneBufferRotates) {
    Circulation circulation(1, 3, 1, 20000);
    circulation.run(4);
}

TEST(Stress, RingKeepsOrder) {
    lanepipe_ring_producer_t *producer = nullptr;
    lanepipe_ring_consumer_t *consumer = nullptr;
    ASSERT_EQ(lanepipe_ring_create(37, sizeof(uint64_t), &producer, &consumer), LANEPIPE_OK);
    constexpr uint64_t kCount = 2000000;
    std::thread writer([&] {
        std::minstd_rand random(5);
        std::vector<uint64_t> values(64);
        for (uint64_t next = 0; next < kCount;) {
            const size_t want = std::min<uint64_t>(1 + random() % values.size(), kCount - next);
            for (size_t i = 0; i < want; ++i) {
                values[i] = next + i;
            }
            size_t pushed = 0;
            if (lanepipe_ring_push(producer, values.data(), want, &pushed) == LANEPIPE_FULL) {
                std::this_thread::yield();
            }
            next += pushed;
        }
    });
    std::minstd_rand random(6);
    std::vector<uint64_t> values(64);
    uint64_t wrong = 0;
    for (uint64_t next = 0; next < kCount;) {
        size_t popped = 0;
        if (lanepipe_ring_pop(consumer, values.data(), 1 + random() % values.size(), &popped) == LANEPIPE_EMPTY) {
            std::this_thread::yield();
        }
        for (size_t i = 0; i < popped; ++i, ++next) {
            wrong += values[i] != next;
        }
    }
    writer.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(lanepipe_ring_destroy(producer, consumer), LANEPIPE_OK);
}

} // namespace
