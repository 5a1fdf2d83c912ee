// Stop, its time-outs, and repeated runs through the C interface.
#include "rig.h"

namespace {

using namespace capi;

// A burst before stop, a ready ring of one and a slow collector: everything arrives, in order.
TEST(Stop, DeliversABurstThroughARingOfOne) {
    Shape shape;
    shape.ready_slots = 128;
    shape.free_slots = 128;
    shape.batch_size = 128;
    shape.recycled_capacity = 128;
    shape.ready_capacity = 1;
    shape.collect_batch = 1;
    Rig rig(shape);
    rig.on_collect = [](uint32_t) { std::this_thread::sleep_for(std::chrono::milliseconds(30)); };
    rig.start();
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(rig.device.publish(0));
    rig.stop();
    EXPECT_EQ(rig.collected(), 100u);
    EXPECT_GE(rig.stats(0).ready_full, 1u);
    rig.expect_books();
    rig.expect_conserved();
}

TEST(Stop, DeliversWhatWasPublishedBeforeStart) {
    for (const Mode mode : {Mode::kIdentity, Mode::kShadow}) {
        Shape shape;
        shape.mode = mode;
        shape.queues = 3;
        shape.shards = 2;
        Rig rig(shape);
        rig.start();
        rig.stop();
        for (int round = 1; round <= 20; ++round) {
            for (uint32_t i = 0; i < 3; ++i)
                ASSERT_TRUE(rig.device.publish(i));
            rig.start();
            rig.stop();
            ASSERT_EQ(rig.collected(), 3u * round);
        }
        rig.expect_books();
        rig.expect_conserved();
    }
}

// A collector that does not return: stop says so and keeps everything; it can be finished later.
TEST(Stop, TimesOutAndFinishesLater) {
    Shape shape;
    shape.queues = 2;
    shape.shards = 2;
    Rig rig(shape);
    std::atomic<bool> blocked{true};
    rig.on_collect = [&](uint32_t shard) {
        while (blocked && shard == 1)
            std::this_thread::sleep_for(std::chrono::microseconds(100));
    };
    rig.start();
    ASSERT_TRUE(rig.device.publish(0));
    ASSERT_TRUE(rig.device.publish(1));
    Log &log = rig.pool.log;
    for (const uint64_t timeout : {uint64_t{0}, uint64_t{1000}, uint64_t{5000000}}) {
        log.clear();
        EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_profiler_stop(rig.profiler, timeout));
        EXPECT_GE(log.count(LANEPIPE_LOG_ERROR), 1u);
        EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_STOPPING});
        EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_profiler_destroy(rig.profiler));
        EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_pool_destroy(rig.pool.get()));
        EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_profiler_start(rig.profiler));
        EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_pool_set_shards(rig.pool.get(), 1));
        EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_pool_release_all(rig.pool.get(), nullptr, nullptr));
    }
    EXPECT_GE(rig.threads.alive, 1);
    blocked = false;
    rig.stop();
    EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_STOPPED});
    EXPECT_EQ(rig.threads.alive, 0);
    EXPECT_EQ(rig.collected(), 2u);
    rig.expect_books();
    rig.expect_conserved();
    rig.start();
    EXPECT_TRUE(rig.device.run(100));
    rig.stop();
    EXPECT_EQ(rig.collected(), 202u);
}

// A drain thread that blocks on a full ready ring while stop times out again and again loses nothing.
TEST(Stop, TimesOutWithAFullReadyRing) {
    Shape shape;
    shape.ready_capacity = 1;
    shape.collect_batch = 1;
    shape.free_slots = 32;
    shape.batch_size = 32;
    Rig rig(shape);
    std::atomic<bool> blocked{true};
    rig.on_collect = [&](uint32_t) {
        while (blocked)
            std::this_thread::sleep_for(std::chrono::microseconds(100));
    };
    rig.start();
    for (int i = 0; i < 30; ++i)
        ASSERT_TRUE(rig.device.publish(0));
    EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_profiler_stop(rig.profiler, 2000000));
    EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_profiler_stop(rig.profiler, 0));
    blocked = false;
    rig.stop();
    EXPECT_EQ(rig.collected(), 30u);
    rig.expect_conserved();
}

// Runs without traffic, over all shard counts: none of them costs a buffer.
TEST(Repeat, EmptyRunsKeepTheNumberOfBuffers) {
    for (const Mode mode : {Mode::kIdentity, Mode::kShadow}) {
        SCOPED_TRACE(name_of(mode));
        Shape shape;
        shape.mode = mode;
        shape.queues = 4;
        shape.kinds = 2;
        shape.instances_per_queue = 2;
        shape.warm_target = 2;
        shape.batch_size = 2;
        Rig rig(shape);
        uint64_t total = 0;
        for (int run = 0; run < 1000; ++run) {
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(rig.pool.get(), 1 + (run * 7) % 4));
            rig.start();
            // Lets the replenish thread do all that it may want to do.
            if (run < 8)
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            rig.stop();
            ASSERT_EQ(audit_of(rig.pool.get()).errors, 0u);
            if (run >= 8) {
                ASSERT_EQ(rig.total(), total) << "run " << run;
            }
            total = rig.total();
        }
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(rig.pool.get(), 4));
    }
}

// Runs with traffic, likewise: everything is delivered, and the pool keeps to its limit.
TEST(Repeat, RunsWithTrafficKeepToTheLimit) {
    for (const Mode mode : {Mode::kIdentity, Mode::kShadow}) {
        SCOPED_TRACE(name_of(mode));
        Shape shape;
        shape.mode = mode;
        shape.queues = 4;
        shape.kinds = 2;
        shape.instances_per_queue = 2;
        shape.shards = 4;
        shape.warm_target = 2;
        shape.batch_size = 2;
        shape.max_buffers = 64;
        Rig rig(shape);
        for (uint64_t run = 0; run < 1000; ++run) {
            ASSERT_STATUS(LANEPIPE_OK,
                          lanepipe_pool_set_shards(rig.pool.get(), 1 + static_cast<uint32_t>(run * 7) % 4));
            rig.start();
            ASSERT_TRUE(rig.device.run(20)) << "run " << run;
            rig.stop();
            ASSERT_EQ(rig.collected(), (run + 1) * 160) << "run " << run;
            ASSERT_EQ(audit_of(rig.pool.get()).errors, 0u);
            ASSERT_LE(rig.total(), 128u);
        }
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(rig.pool.get(), 4));
        rig.expect_books();
        rig.expect_conserved();
    }
}

} // namespace
