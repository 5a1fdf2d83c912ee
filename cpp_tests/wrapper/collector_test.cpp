// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The collector of the C++ wrapper: types and forwarding; what the library does is tested elsewhere.
#include "lanepipe/collector.hpp"

#include "collector/device.h"

namespace {

using lanepipe::Collector;

static_assert(!std::is_copy_constructible_v<Collector> && std::is_nothrow_move_constructible_v<Collector>);

struct Listener {
    void take(const lanepipe_records_t &records) { count += records.count; }
    uint32_t count = 0;
};

lanepipe::CollectorConfig config_of(const collector::Rig &rig) {
    lanepipe::CollectorConfig config;
    EXPECT_EQ(config.struct_size, sizeof(lanepipe_collector_config_t));
    EXPECT_EQ(config.memory.struct_size, sizeof(lanepipe_memory_t));
    static_cast<lanepipe_collector_config_t &>(config) = rig.config;
    return config;
}

TEST(CollectorWrapper, ForwardsEverything) {
    collector::Rig rig(LANEPIPE_SUBSYSTEM_PMU);
    lanepipe::ThreadFactory threads;
    Collector made;
    EXPECT_FALSE(made);
    EXPECT_EQ(made.start(), LANEPIPE_E_NULL);
    EXPECT_TRUE(made.destroy().ok());
    lanepipe::Error error;
    ASSERT_TRUE(Collector::create(config_of(rig), threads, made, &error).ok()) << error.message();
    Collector at = std::move(made);
    EXPECT_FALSE(made);
    lanepipe::CollectorRegion region;
    ASSERT_TRUE(at.get_region(region).ok());
    ASSERT_TRUE(at.start().ok());
    uint32_t state = 0;
    EXPECT_TRUE(at.get_state(state).ok());
    EXPECT_EQ(state, LANEPIPE_PROFILER_RUNNING);
    EXPECT_EQ(at.destroy(), LANEPIPE_BUSY);
    collector::Producer producer(rig.memory, region.base, collector::kPmu);
    producer.take();
    producer.record(3);
    producer.publish();
    producer.take();
    producer.record(2);
    ASSERT_TRUE(at.stop(std::chrono::seconds(60)).ok());
    uint64_t recovered = 0;
    EXPECT_TRUE(at.recover(&recovered).ok());
    EXPECT_EQ(recovered, 2u);
    ASSERT_TRUE(at.reconcile().ok());
    lanepipe::Books books;
    ASSERT_TRUE(at.get_books(books).ok());
    EXPECT_EQ(books.collected, 5u);
    EXPECT_EQ(books.verdict, LANEPIPE_BOOKS_BALANCED);
    EXPECT_TRUE(at.get_books(books, 0, 1).ok());
    EXPECT_EQ(books.collected, 0u);
    std::vector<uint32_t> counts;
    EXPECT_TRUE(at.for_each(0, 0, [&](const lanepipe_records_t &run) { counts.push_back(run.count); }).ok());
    EXPECT_EQ(counts, (std::vector<uint32_t>{3, 2}));
    EXPECT_EQ(at.for_each(0, 9, [](const lanepipe_records_t &) {}), LANEPIPE_E_INVALID);
    uint64_t collected = 0;
    EXPECT_TRUE(at.get_collected(collected).ok());
    EXPECT_EQ(collected, 5u);
    lanepipe::KindInfo kind;
    EXPECT_TRUE(at.get_kind(0, kind).ok());
    EXPECT_EQ(kind.capacity, 512u);
    lanepipe::QueueStats queue;
    lanepipe::ShardStats shard;
    lanepipe::GateStats gates;
    lanepipe::Fault fault;
    EXPECT_TRUE(at.get_queue_stats(0, queue).ok());
    EXPECT_EQ(queue.delivered, 1u);
    EXPECT_TRUE(at.get_shard_stats(0, shard).ok());
    EXPECT_EQ(shard.collected, 1u);
    EXPECT_TRUE(at.get_gate_stats(gates).ok());
    EXPECT_TRUE(at.get_fault(fault).ok());
    EXPECT_EQ(fault.status, LANEPIPE_OK);
    EXPECT_TRUE(at.destroy().ok());
    EXPECT_FALSE(at);
}

TEST(CollectorWrapper, BindsASink) {
    collector::Rig rig(LANEPIPE_SUBSYSTEM_PMU);
    lanepipe::ThreadFactory threads;
    Listener listener;
    Collector at;
    ASSERT_TRUE(Collector::create(config_of(rig), threads, listener, at).ok());
    lanepipe::CollectorRegion region;
    ASSERT_TRUE(at.get_region(region).ok());
    ASSERT_TRUE(at.start().ok());
    collector::Producer producer(rig.memory, region.base, collector::kPmu);
    producer.take();
    producer.record(7);
    producer.publish();
    ASSERT_TRUE(at.stop().ok());
    EXPECT_EQ(listener.count, 7u);
}

TEST(CollectorWrapper, LeavesItsTargetAloneOnFailure) {
    collector::Rig rig(LANEPIPE_SUBSYSTEM_PMU);
    lanepipe::ThreadFactory threads;
    Collector at;
    lanepipe::CollectorConfig config = config_of(rig);
    config.threads = 0;
    lanepipe::Error error;
    EXPECT_EQ(Collector::create(config, threads, at, &error), LANEPIPE_E_INVALID);
    EXPECT_FALSE(at);
    EXPECT_NE(std::string(error.message()).find("threads"), std::string::npos);
}

} // namespace
