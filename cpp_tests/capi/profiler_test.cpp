// The whole pipeline through the C interface against a simulated device: delivery, order, books, conservation.
#include "rig.h"

namespace {

using namespace capi;

struct Case {
    const char *name;
    Mode mode;
    uint32_t queues, instances_per_queue, kinds, shards;
    uint32_t ready_slots, free_slots, collect_batch, first_counter;
    uint32_t payload;
};

const Case kCases[] = {
    {"one", Mode::kIdentity, 1, 1, 1, 1, 8, 4, 1, 0, 32},
    {"two_shards", Mode::kIdentity, 2, 2, 2, 2, 16, 4, 4, 0, 40},
    {"folded", Mode::kIdentity, 4, 3, 3, 3, 16, 8, 64, 0xfffffff0, 32},
    {"four_by_four", Mode::kIdentity, 4, 4, 2, 4, 64, 4, 8, 0xffffffff, 64},
    {"registered", Mode::kRegistered, 3, 2, 3, 2, 16, 8, 4, 7, 256},
    {"shadow", Mode::kShadow, 1, 1, 1, 1, 8, 4, 1, 0xfffffffe, 32},
    {"shadow_folded", Mode::kShadow, 4, 2, 2, 3, 16, 4, 4, 0, 40},
    {"shadow_two_slots", Mode::kShadow, 2, 1, 2, 2, 2, 1, 2, 5, 32},
};

class Delivery : public testing::TestWithParam<Case> {};

TEST_P(Delivery, IsExactlyOnceAndInOrder) {
    const Case &at = GetParam();
    Shape shape;
    shape.mode = at.mode;
    shape.queues = at.queues;
    shape.instances_per_queue = at.instances_per_queue;
    shape.kinds = at.kinds;
    shape.shards = at.shards;
    shape.ready_slots = at.ready_slots;
    shape.free_slots = at.free_slots;
    shape.collect_batch = at.collect_batch;
    shape.first_counter = at.first_counter;
    shape.payload_size = at.payload;
    Rig rig(shape);
    rig.start();
    const uint64_t each = 3000 / rig.device.instances.size();
    EXPECT_TRUE(rig.device.run(each));
    rig.stop();
    for (uint32_t i = 0; i < rig.device.instances.size(); ++i)
        EXPECT_EQ(rig.collected(i), each);
    rig.expect_books();
    for (uint32_t q = 0; q < shape.queues; ++q) {
        const lanepipe_queue_stats_t stats = rig.stats(q);
        EXPECT_EQ(stats.delivered, each * at.instances_per_queue);
        EXPECT_EQ(stats.rejected + stats.copy_failed + stats.transfer_failed + stats.corrupt, 0u);
    }
    const lanepipe_pool_audit_t audit = rig.expect_conserved();
    EXPECT_EQ(audit.quarantined, 0u);
    const lanepipe_fault_t fault = rig.fault();
    EXPECT_EQ(fault.status, LANEPIPE_OK);
    EXPECT_EQ(fault.count, 0u);
    EXPECT_EQ(rig.pool.log.text(), "") << "a fault-free run is quiet";
    EXPECT_EQ(rig.threads.alive, 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Delivery, testing::ValuesIn(kCases),
                         [](const auto &info) { return std::string(info.param.name); });

// Start leaves no slot of a free queue empty that the allocator could have filled, however small its blocks are.
TEST(Start, FillsTheFreeQueues) {
    for (const uint32_t batch : {1u, 2u, 3u, 8u}) {
        SCOPED_TRACE(batch);
        Shape shape;
        shape.kinds = 2;
        shape.instances_per_queue = 2;
        shape.free_slots = 8;
        shape.batch_size = batch;
        Rig rig(shape);
        rig.start();
        for (const Device::Instance &at : rig.device.instances)
            EXPECT_EQ(load(at.tail) - *at.head, 8u);
        rig.stop();
        rig.expect_conserved();
    }
}

TEST(Start, KeepsToTheLimitOfBuffers) {
    for (const uint32_t most : {1u, 3u, 5u}) {
        SCOPED_TRACE(most);
        Shape shape;
        shape.batch_size = 4;
        shape.max_buffers = most;
        shape.warm_target = 16;
        Rig rig(shape);
        rig.start();
        EXPECT_TRUE(rig.device.run(200));
        rig.stop();
        EXPECT_EQ(rig.total(), most) << "max_buffers is a limit, and what it allows is allocated";
        EXPECT_EQ(rig.collected(), 200u);
        rig.expect_conserved();
    }
}

TEST(Warm, LanesReachTheirTarget) {
    Shape shape;
    shape.queues = 2;
    shape.shards = 2;
    shape.kinds = 2;
    shape.instances_per_queue = 2;
    shape.warm_target = 10;
    shape.batch_size = 2;
    Rig rig(shape);
    rig.start();
    EXPECT_TRUE(eventually([&] {
        for (uint32_t s = 0; s < 2; ++s)
            for (uint32_t k = 0; k < 2; ++k)
                if (rig.pool.recycled(s, k) < 10)
                    return false;
        return true;
    }));
    rig.stop();
    rig.expect_conserved();
    for (uint32_t s = 0; s < 2; ++s)
        EXPECT_GE(rig.shard_stats(s).allocated, 20u);
}

// Warm targets above the lanes' capacity mean full lanes.
TEST(Warm, TargetIsClampedToTheCapacity) {
    Shape shape;
    shape.recycled_capacity = 3;
    shape.warm_target = 1000;
    Rig rig(shape);
    rig.start();
    EXPECT_TRUE(eventually([&] { return rig.pool.recycled(0) == 3; }));
    EXPECT_TRUE(rig.device.run(500));
    rig.stop();
    EXPECT_EQ(rig.collected(), 500u);
    rig.expect_conserved();
}

// A created profiler gives the pool its warm targets; returned buffers then go where the deficit is largest, ties to
// the first shard after the origin, and the origin comes last.
TEST(Routing, GoesWhereTheDeficitIsLargest) {
    Shape shape;
    shape.shards = 3;
    shape.warm_target = 4;
    Rig rig(shape);
    rig.create();
    uint64_t next = 1;
    const auto give_back = [&](uint32_t origin, size_t buffers) {
        size_t count = 0;
        for (size_t i = 0; i < buffers; ++i) {
            const lanepipe_buffer_t buffer = untracked(next++);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(rig.pool.get(), origin, &buffer, 1, &count));
        }
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_recycle_done(rig.pool.get(), LANEPIPE_ALL_SHARDS, &count));
        EXPECT_EQ(count, buffers);
    };
    const auto lanes = [&] {
        return std::vector<size_t>{rig.pool.recycled(0), rig.pool.recycled(1), rig.pool.recycled(2)};
    };
    using Lanes = std::vector<size_t>;
    give_back(0, 1);
    EXPECT_EQ(lanes(), (Lanes{0, 1, 0})) << "a tie goes to the first after the origin";
    give_back(0, 1);
    EXPECT_EQ(lanes(), (Lanes{0, 1, 1}));
    give_back(0, 1);
    EXPECT_EQ(lanes(), (Lanes{1, 1, 1})) << "the origin wins by a strictly larger deficit";
    give_back(2, 1);
    EXPECT_EQ(lanes(), (Lanes{2, 1, 1}));
    give_back(2, 1);
    EXPECT_EQ(lanes(), (Lanes{2, 2, 1})) << "1 and 2 tie; 1 comes before the origin 2";
    give_back(1, 7);
    EXPECT_EQ(lanes(), (Lanes{4, 4, 4}));
    give_back(1, 3);
    EXPECT_EQ(lanes(), (Lanes{4, 7, 4})) << "without a deficit a buffer stays";
}

// One buffer for the whole pipeline: it is published, collected, recycled and refilled thousands of times.
TEST(OneBuffer, RotatesForEver) {
    for (const Mode mode : {Mode::kIdentity, Mode::kShadow}) {
        SCOPED_TRACE(name_of(mode));
        Shape shape;
        shape.mode = mode;
        shape.ready_slots = 2;
        shape.free_slots = 1;
        shape.batch_size = 1;
        shape.max_buffers = 1;
        shape.ready_capacity = shape.done_capacity = shape.recycled_capacity = 1;
        Rig rig(shape);
        rig.start();
        EXPECT_TRUE(rig.device.run(3000));
        rig.stop();
        EXPECT_EQ(rig.collected(), 3000u);
        EXPECT_EQ(rig.memory.allocs, 1u);
        EXPECT_EQ(rig.expect_conserved().total, 1u);
        rig.expect_books();
    }
}

// The same where a missed wake-up would not be made good by a timer: it is one hour away.
TEST(OneBuffer, RotatesWithoutATick) {
    Shape shape;
    shape.queues = 2;
    shape.shards = 2;
    shape.ready_slots = 2;
    shape.free_slots = 1;
    shape.batch_size = 1;
    shape.max_buffers = 1;
    shape.poll_max_ns = 3600000000000;
    Rig rig(shape);
    rig.start();
    for (int round = 0; round < 500; ++round)
        ASSERT_TRUE(eventually([&] { return rig.device.publish(0) || rig.device.publish(1); })) << "round " << round;
    rig.stop();
    EXPECT_EQ(rig.collected(), 500u);
    EXPECT_EQ(rig.expect_conserved().total, 1u);
}

// Four instances of one kind share one buffer over two shards: each of those that wait gets it in its turn.
TEST(OneBuffer, ReachesEveryStarvingInstance) {
    Shape shape;
    shape.queues = 4;
    shape.shards = 2;
    shape.ready_slots = 2;
    shape.free_slots = 1;
    shape.batch_size = 1;
    shape.max_buffers = 1;
    Rig rig(shape);
    rig.start();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    bool all = false;
    while (!all && std::chrono::steady_clock::now() < end) {
        all = true;
        for (uint32_t i = 0; i < 4; ++i) {
            rig.device.publish(i);
            all = all && rig.device.instances[i].sequence >= 50;
        }
        std::this_thread::yield();
    }
    for (uint32_t i = 0; i < 4; ++i)
        EXPECT_GE(rig.device.instances[i].sequence, 50u) << "instance " << i << " waits while others are served";
    rig.stop();
    EXPECT_EQ(rig.expect_conserved().total, 1u);
    rig.expect_books();
}

// The allocator gives nothing for a while, at start and later; then the pipeline goes on without being asked again.
TEST(DryAllocator, RecoversOnceMemoryIsThere) {
    for (const Mode mode : {Mode::kIdentity, Mode::kShadow}) {
        SCOPED_TRACE(name_of(mode));
        Shape shape;
        shape.mode = mode;
        shape.batch_size = 1;
        shape.max_buffers = 1;
        shape.free_slots = 1;
        Rig rig(shape);
        rig.memory.failing_allocs = 20;
        rig.start();
        EXPECT_TRUE(rig.device.run(100));
        EXPECT_EQ(rig.memory.failing_allocs, 0);
        rig.stop();
        EXPECT_EQ(rig.collected(), 100u);
        EXPECT_EQ(rig.expect_conserved().total, 1u);
        EXPECT_GE(rig.stats(0).starved + 1, 1u);
        EXPECT_TRUE(eventually([&] { return rig.pool.log.count(LANEPIPE_LOG_WARN) >= 1; }))
            << "an allocation that fails is told";
    }
}

// Buffers that the host holds in a shard that is not live cannot come back; they must not keep others from coming.
TEST(DryAllocator, RecoversWithBuffersInShardsThatAreNotLive) {
    Shape shape;
    shape.shards = 2;
    shape.batch_size = 1;
    Rig rig(shape);
    const lanepipe_buffer_t aside = rig.pool.enroll(0x1000);
    size_t count = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(rig.pool.get(), 1, &aside, 1, &count));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(rig.pool.get(), 1));
    rig.memory.failing_allocs = 5;
    rig.start();
    EXPECT_TRUE(rig.device.run(10));
    rig.stop();
    EXPECT_EQ(rig.collected(), 10u);
    lanepipe_buffer_t out{};
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(rig.pool.get(), 2));
    // Released by the case, not by the arena.
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_done(rig.pool.get(), 1, &out, 1, &count));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(
                                   rig.pool.get(),
                                   [](void *self, void *base) {
                                       if (base != reinterpret_cast<void *>(0x1000))
                                           static_cast<Memory *>(self)->release(base);
                                   },
                                   &rig.memory));
}

// All traffic on one lane, with nothing to keep warm: what was allocated by then is enough for ever.
TEST(Skew, AllocatesNothingAfterWarmUp) {
    Shape shape;
    shape.queues = 4;
    shape.kinds = 2;
    shape.instances_per_queue = 2;
    shape.shards = 4;
    Rig rig(shape);
    rig.start();
    EXPECT_TRUE(rig.device.run(20));
    EXPECT_TRUE(rig.device.run(500, {1}));
    // Instances that still wait for a buffer get theirs, if need be from a block of their own.
    EXPECT_TRUE(eventually([&] { return rig.device.is_supplied(); }));
    const uint64_t total = rig.total();
    const size_t allocs = rig.memory.allocs;
    EXPECT_TRUE(rig.device.run(5000, {1}));
    EXPECT_EQ(rig.memory.allocs, allocs);
    rig.stop();
    EXPECT_EQ(rig.total(), total);
    EXPECT_EQ(rig.collected(1), 5520u);
    rig.expect_conserved();
}

// With warm lanes the pool grows until the busy lane stays warm with all its buffers on their way, and no further.
TEST(Skew, GrowthIsBoundedByWhatCanBeOnItsWay) {
    Shape shape;
    shape.queues = 4;
    shape.shards = 4;
    shape.warm_target = 4;
    shape.batch_size = 4;
    shape.ready_capacity = shape.done_capacity = 4;
    shape.collect_batch = 1;
    Rig rig(shape);
    std::atomic<int> delay{0};
    rig.on_collect = [&](uint32_t) {
        if (++delay % 16 == 0)
            std::this_thread::sleep_for(std::chrono::microseconds(200));
    };
    rig.start();
    EXPECT_TRUE(rig.device.run(8000, {0}));
    rig.stop();
    // At the device, with drain, ready ring, collect, done ring and replenish threads; then four warm lanes.
    constexpr uint64_t kOnTheWay = 5 + 8 + 4 + 1 + 4 + 4;
    // Three idle instances hold a block each.
    EXPECT_LE(rig.total(), kOnTheWay + 4 * 4 + 3 * 4 + shape.batch_size - 1);
    EXPECT_EQ(rig.collected(0), 8000u);
    rig.expect_conserved();
}

// Batches larger than the done ring: what does not fit is parked and comes back into circulation.
TEST(DoneRing, FullRingLosesNothing) {
    Shape shape;
    shape.free_slots = 16;
    shape.batch_size = 16;
    shape.max_buffers = 16;
    shape.done_capacity = 1;
    shape.collect_batch = 16;
    Rig rig(shape);
    std::atomic<bool> blocked{true};
    rig.on_collect = [&](uint32_t) {
        while (blocked)
            std::this_thread::sleep_for(std::chrono::microseconds(50));
    };
    rig.start();
    // The first call takes what is there; meanwhile a batch gathers behind it.
    for (int i = 0; i < 16; ++i)
        ASSERT_TRUE(rig.device.publish(0));
    EXPECT_TRUE(eventually([&] { return rig.stats(0).delivered == 16; }));
    blocked = false;
    EXPECT_TRUE(rig.device.run(2000));
    rig.stop();
    EXPECT_EQ(rig.collected(), 2016u);
    EXPECT_GE(rig.shard_stats(0).done_full, 1u);
    EXPECT_GT(rig.largest_batch, 1u);
    rig.expect_books();
    EXPECT_EQ(rig.expect_conserved().total, 16u);
}

// A lane starves while all buffers are with a blocked collector; when they come back it gets one without further
// traffic on its queue.
TEST(Skew, StarvedLaneRecoversWithoutFurtherTraffic) {
    for (uint32_t starved = 0; starved < 2; ++starved) {
        Shape shape;
        shape.queues = 2;
        shape.shards = 2;
        shape.free_slots = 1;
        shape.batch_size = 1;
        shape.max_buffers = 2;
        Rig rig(shape);
        std::atomic<bool> blocked{true};
        rig.on_collect = [&](uint32_t) {
            while (blocked)
                std::this_thread::sleep_for(std::chrono::microseconds(50));
        };
        rig.start();
        // One buffer each; both go to the host, and no instance has another.
        ASSERT_TRUE(rig.device.publish(0));
        ASSERT_TRUE(rig.device.publish(1));
        EXPECT_TRUE(eventually([&] { return rig.stats(0).taken + rig.stats(1).taken == 2; }));
        EXPECT_TRUE(eventually([&] { return rig.stats(0).starved + rig.stats(1).starved == 2; }));
        blocked = false;
        for (int round = 0; round < 100; ++round)
            ASSERT_TRUE(eventually([&] { return rig.device.publish(starved); })) << round;
        rig.stop();
        EXPECT_EQ(rig.collected(), 102u);
        EXPECT_EQ(rig.expect_conserved().total, 2u);
    }
}

} // namespace
