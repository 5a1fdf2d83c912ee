// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A profiler through the C++ wrapper: handler, thread factory, ownership.
#include "lanepipe/lanepipe.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using lanepipe::Pool;
using lanepipe::Profiler;
using lanepipe::Status;

struct Payload {
    uint64_t *host;
    uint64_t value;
};

struct Entry {
    uint64_t buffer;
    uint64_t value;
};

constexpr uint32_t kQueueSlots = 4;
constexpr uint32_t kFreeSlots = 4;

// Queue, free queue and buffers of one producer, in memory that both sides share.
struct Region {
    Entry entries[kQueueSlots];
    uint64_t slots[kFreeSlots];
    uint32_t head;
    uint32_t tail;
    uint32_t free_head;
    uint32_t free_tail;
};

struct Heap {
    std::mutex mutex;
    std::set<void *> live;

    void *alloc(size_t size) {
        void *block = std::aligned_alloc(64, (size + 63) / 64 * 64);
        const std::lock_guard<std::mutex> lock(mutex);
        live.insert(block);
        return block;
    }
    int32_t free_memory(void *block) {
        const std::lock_guard<std::mutex> lock(mutex);
        live.erase(block);
        std::free(block);
        return 0;
    }
};

// Checks that what arrives is what was published.
struct Handler {
    std::vector<uint64_t> values;
    uint64_t wrong = 0;
    std::atomic<uint64_t> refused{0};

    void resolve(uint32_t queue, const lanepipe_entry_t *entries, size_t count, lanepipe::Sites<Payload> sites) {
        EXPECT_EQ(queue, 0u);
        EXPECT_EQ(sites.size(), count);
        for (size_t i = 0; i < count; ++i) {
            Entry entry;
            std::memcpy(&entry, entries[i].bytes, sizeof(entry));
            if (entry.value == UINT64_MAX) {
                ++refused; // left without an answer on purpose
                continue;
            }
            sites.accept(i, 0, sizeof(uint64_t), Payload{static_cast<uint64_t *>(entries[i].host), entry.value});
        }
    }

    void collect(uint32_t shard, const lanepipe_buffer_t *buffers, const Payload *payloads, size_t count) {
        EXPECT_EQ(shard, 0u);
        for (size_t i = 0; i < count; ++i) {
            wrong += *payloads[i].host != payloads[i].value || buffers[i].dev != payloads[i].host;
            values.push_back(payloads[i].value);
        }
    }
};

struct Sink {
    std::mutex mutex;
    std::vector<std::string> lines;

    void write(uint32_t, const char *message) {
        const std::lock_guard<std::mutex> lock(mutex);
        lines.emplace_back(message);
    }
};

struct Marker {
    std::mutex *mutex;
    std::map<uint32_t, int> *roles;

    template <typename Body> void operator()(uint32_t role, uint32_t, Body &&body) const {
        {
            const std::lock_guard<std::mutex> lock(*mutex);
            ++(*roles)[role];
        }
        body();
    }
};

class WrapperProfiler : public ::testing::Test {
  protected:
    void SetUp() override {
        lanepipe::PoolConfig config;
        config.shards = 1;
        config.kinds = 1;
        config.ready_capacity = 8;
        config.done_capacity = 8;
        config.recycled_capacity = 8;
        config.log = lanepipe::log_sink(sink);
        ASSERT_EQ(Pool<Payload>::create(config, pool), Status());
        lanepipe::Memory memory = lanepipe::memory_of(heap);
        memory.shm_dev = &region;
        memory.shm_host = &region;
        memory.shm_size = sizeof(region);
        ASSERT_EQ(pool.set_memory(memory), Status());
        size_t placed = 0;
        ASSERT_EQ(pool.allocate(0, sizeof(uint64_t), 6, 0, placed), Status());

        queue.entries = region.entries;
        queue.head = &region.head;
        queue.tail = &region.tail;
        queue.capacity = kQueueSlots;
        queue.entry_size = sizeof(Entry);
        instance.free_queue = lanepipe_free_queue_t{&region.free_head, &region.free_tail, region.slots, kFreeSlots, 0};
        kind.buffer_size = sizeof(uint64_t);
        kind.batch_size = 1;
        profiler_config.queue_count = 1;
        profiler_config.instance_count = 1;
        profiler_config.kind_count = 1;
        profiler_config.queues = &queue;
        profiler_config.instances = &instance;
        profiler_config.kinds = &kind;
    }

    void TearDown() override {
        ASSERT_EQ(pool.release_all([this](void *base) { (void)heap.free_memory(base); }), Status());
        EXPECT_TRUE(heap.live.empty());
    }

    // One buffer with `value`, published as the device does it; waits for a free buffer and a free slot.
    void produce(uint64_t value) {
        while (__atomic_load_n(&region.free_tail, __ATOMIC_ACQUIRE) == region.free_head ||
               (region.tail + 1) % kQueueSlots == __atomic_load_n(&region.head, __ATOMIC_ACQUIRE)) {
            std::this_thread::yield();
        }
        const uint64_t buffer = __atomic_load_n(&region.slots[region.free_head % kFreeSlots], __ATOMIC_ACQUIRE);
        __atomic_store_n(&region.free_head, region.free_head + 1, __ATOMIC_RELEASE);
        *reinterpret_cast<uint64_t *>(static_cast<uintptr_t>(buffer)) = value;
        region.entries[region.tail] = Entry{buffer, value};
        __atomic_store_n(&region.tail, (region.tail + 1) % kQueueSlots, __ATOMIC_RELEASE);
    }

    Sink sink;
    Heap heap;
    Region region{};
    lanepipe_ready_queue_t queue{};
    lanepipe_instance_t instance{};
    lanepipe_kind_t kind{};
    lanepipe::ProfilerConfig profiler_config;
    Handler handler;
    lanepipe::ThreadFactory threads;
    Pool<Payload> pool;
};

TEST_F(WrapperProfiler, DeliversTypedPayloadsInOrderAcrossRestarts) {
    Profiler profiler;
    ASSERT_EQ(Profiler::create(pool, profiler_config, handler, threads, profiler), Status());
    uint64_t next = 0;
    for (int round = 0; round < 3; ++round) {
        ASSERT_EQ(profiler.start(), Status());
        EXPECT_EQ(profiler.start(), LANEPIPE_E_STATE);
        uint32_t state = 99;
        ASSERT_EQ(profiler.get_state(state), Status());
        EXPECT_EQ(state, static_cast<uint32_t>(LANEPIPE_PROFILER_RUNNING));
        for (int i = 0; i < 500; ++i) {
            produce(next++);
        }
        ASSERT_EQ(profiler.stop(), Status());
        ASSERT_EQ(handler.values.size(), next);
    }
    for (uint64_t i = 0; i < next; ++i) {
        ASSERT_EQ(handler.values[i], i);
    }
    EXPECT_EQ(handler.wrong, 0u);
    lanepipe::QueueStats queue_stats;
    ASSERT_EQ(profiler.get_queue_stats(0, queue_stats), Status());
    EXPECT_EQ(queue_stats.delivered, next);
    lanepipe::ShardStats shard_stats;
    ASSERT_EQ(profiler.get_shard_stats(0, shard_stats), Status());
    EXPECT_EQ(shard_stats.collected, next);
    EXPECT_EQ(profiler.get_queue_stats(1, queue_stats), LANEPIPE_E_INVALID);
    lanepipe::Fault fault;
    ASSERT_EQ(profiler.get_fault(fault), Status());
    EXPECT_EQ(fault.count, 0u);
    EXPECT_EQ(profiler.destroy(), Status());
    EXPECT_FALSE(profiler);
}

TEST_F(WrapperProfiler, RejectsEntriesThatTheHandlerDoesNotAnswer) {
    Profiler profiler;
    ASSERT_EQ(Profiler::create(pool, profiler_config, handler, threads, profiler), Status());
    ASSERT_EQ(profiler.start(), Status());
    produce(1);
    produce(UINT64_MAX);
    produce(2);
    ASSERT_EQ(profiler.stop(), Status());
    EXPECT_EQ(handler.values, (std::vector<uint64_t>{1, 2}));
    EXPECT_GE(handler.refused.load(), 1u);
    lanepipe::QueueStats stats;
    ASSERT_EQ(profiler.get_queue_stats(0, stats), Status());
    EXPECT_EQ(stats.rejected, 1u);
}

TEST_F(WrapperProfiler, DestructionStopsIt) {
    {
        Profiler profiler;
        ASSERT_EQ(Profiler::create(pool, profiler_config, handler, threads, profiler), Status());
        ASSERT_EQ(profiler.start(), Status());
        produce(7);
        EXPECT_EQ(pool.destroy(), LANEPIPE_BUSY);
        EXPECT_EQ(profiler.destroy(), LANEPIPE_BUSY);
        Profiler moved(std::move(profiler));
        EXPECT_FALSE(profiler);
        EXPECT_EQ(profiler.start(), LANEPIPE_E_NULL);
    }
    EXPECT_EQ(handler.values, std::vector<uint64_t>{7});
}

TEST_F(WrapperProfiler, FactoryRunsEachThreadInsideTheCallersFrame) {
    std::mutex mutex;
    std::map<uint32_t, int> roles;
    lanepipe::BasicThreadFactory<Marker> marked(Marker{&mutex, &roles});
    Profiler profiler;
    ASSERT_EQ(Profiler::create(pool, profiler_config, handler, marked, profiler), Status());
    ASSERT_EQ(profiler.start(), Status());
    ASSERT_EQ(profiler.stop(std::chrono::seconds(60)), Status());
    EXPECT_EQ(roles[LANEPIPE_ROLE_DRAIN], 1);
    EXPECT_EQ(roles[LANEPIPE_ROLE_COLLECT], 1);
    EXPECT_EQ(roles[LANEPIPE_ROLE_REPLENISH], 1);
    EXPECT_EQ(roles[LANEPIPE_ROLE_SENTINEL], 1);
}

TEST_F(WrapperProfiler, FailingFactoryLeavesNothingBehind) {
    struct Failing {
        lanepipe::ThreadFactory real;
        int left = 2;
        int live = 0;

        int32_t create(uint32_t role, uint32_t index, lanepipe_thread_entry_fn_t entry, void *argument, void **thread) {
            if (left-- == 0) {
                return -1;
            }
            ++live;
            return real.create(role, index, entry, argument, thread);
        }
        void join(void *thread) {
            --live;
            real.join(thread);
        }
    } failing;
    Profiler profiler;
    ASSERT_EQ(Profiler::create(pool, profiler_config, handler, failing, profiler), Status());
    EXPECT_EQ(profiler.start(), LANEPIPE_E_THREAD);
    EXPECT_EQ(failing.live, 0);
    failing.left = 1000;
    EXPECT_EQ(profiler.start(), Status());
    EXPECT_EQ(profiler.stop(), Status());
    EXPECT_EQ(failing.live, 0);
}

TEST_F(WrapperProfiler, RefusalHasADetailAndALogLine) {
    profiler_config.queue_count = 0;
    Profiler profiler;
    lanepipe::Error error;
    const Status status = Profiler::create(pool, profiler_config, handler, threads, profiler, &error);
    EXPECT_TRUE(status.failed());
    EXPECT_EQ(error.status(), status);
    EXPECT_NE(error.message()[0], '\0');
    EXPECT_FALSE(profiler);
    EXPECT_FALSE(sink.lines.empty());
}

// A handler with every optional member.
struct FullHandler : Handler {
    lanepipe::Profiler *profiler = nullptr;
    const lanepipe_instance_t *late = nullptr;
    std::atomic<uint32_t> kinds{0};
    std::atomic<uint32_t> asked{0};
    std::atomic<uint32_t> refreshed{0};
    std::atomic<uint32_t> silent{0};

    uint32_t kind_of(uint32_t shard, const lanepipe_buffer_t &buffer, const Payload &payload) {
        EXPECT_EQ(shard, 0u);
        EXPECT_EQ(payload.host, buffer.dev);
        ++kinds;
        return buffer.kind;
    }
    bool release_ready() {
        ++asked;
        return true;
    }
    void refresh() {
        uint32_t index = 99;
        EXPECT_EQ(profiler->add_instance(*late, 0, index), Status());
        EXPECT_EQ(index, 0u);
        ++refreshed;
    }
    void idle(uint32_t shard) {
        EXPECT_EQ(shard, 0u);
        ++silent;
    }
};

// The gates shut when the device asks, and open again; the optional members of the handler are called.
TEST_F(WrapperProfiler, CommonModeCallsTheOptionalMembers) {
    uint32_t words[4] = {};
    profiler_config.backpressure = LANEPIPE_BACKPRESSURE_COMMON;
    profiler_config.gates = lanepipe_gates_t{&words[0], &words[1], &words[2], &words[3]};
    profiler_config.flags = LANEPIPE_PROFILER_MERGED_SENTINEL;
    profiler_config.instance_count = 0;
    profiler_config.max_instances = 4;
    profiler_config.idle_ns = 1'000'000;
    Profiler profiler;
    FullHandler full;
    full.profiler = &profiler;
    full.late = &instance;
    ASSERT_EQ(Profiler::create(pool, profiler_config, full, threads, profiler), Status());
    ASSERT_EQ(profiler.start(), Status());
    // Nobody has told of the instance yet: the freeze's refresh does, and its refill gives the first buffers.
    __atomic_store_n(&words[3], 1, __ATOMIC_RELEASE);
    produce(1);
    while (__atomic_load_n(&words[2], __ATOMIC_ACQUIRE) != 0 || full.silent == 0) {
        std::this_thread::yield();
    }
    EXPECT_EQ(__atomic_load_n(&words[3], __ATOMIC_ACQUIRE), 0u);
    ASSERT_EQ(profiler.stop(), Status());
    EXPECT_EQ(full.values, std::vector<uint64_t>{1});
    EXPECT_EQ(full.kinds, 1u);
    EXPECT_GE(full.refreshed, 1u);
    EXPECT_GE(full.asked, full.refreshed);
    lanepipe::GateStats stats;
    ASSERT_EQ(profiler.get_gate_stats(stats), Status());
    EXPECT_EQ(stats.freezes, 1u);
    EXPECT_GE(stats.refilled, 4u);
    EXPECT_GT(stats.frozen_ns, 0u);
    EXPECT_EQ(stats.push_failed + stats.refill_failed, 0u);
}

} // namespace
