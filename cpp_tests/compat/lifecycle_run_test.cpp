// Traffic through started pipelines (contract, 4.3, 4.4, section 7): what is delivered, where, in which order, and that
// nothing is lost when stop comes at a bad moment.
#include "pipeline.h"

using namespace profiling_common;
using compat::errors;
using log_capture::Level;
using sim::Delivery;
using sim::eventually;
using sim::kRows;
using sim::load;
using sim::Sharing;
using sim::WideModule;

namespace {

using Collector = sim::ShardCollector<WideModule>;
using Pipeline = sim::Pipeline<Collector, WideModule>;

class LifecycleRun : public ::testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(All, LifecycleRun, ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

class LifecycleRunCopied : public LifecycleRun {};
INSTANTIATE_TEST_SUITE_P(All, LifecycleRunCopied, ::testing::Values(Sharing::kShadow), compat::SharingName());

// H4, H5, H10, H11, H12, H38 and the circulation of the whole pool, for every thread number.
TEST_P(LifecycleRun, EverythingIsDeliveredOnceInOrderAndIntact) {
    for (int n = 1; n <= kRows; ++n) {
        Pipeline p(GetParam(), n);
        p.supply(24);
        p.start();
        ASSERT_TRUE(p.play(300, p.paced()));
        p.stop();
        p.expect_delivered(std::vector<uint64_t>(static_cast<size_t>(n), 300));
        EXPECT_EQ(p.collector->plain_calls, 0);
        EXPECT_EQ(log_capture::total(), 0u);
        EXPECT_EQ(p.memory.count(sim::Memory::Op::kAlloc), p.pool.size());
        p.expect_conserved();
    }
}

TEST_P(LifecycleRun, OneThreadPerShardAndNoOtherCollects) {
    Pipeline p(GetParam());
    p.supply(24);
    p.start();
    ASSERT_TRUE(p.play(50, p.paced()));
    p.stop();
    std::map<int, std::set<int>> threads;
    for (const Delivery &d : p.collector->record.deliveries()) {
        threads[d.shard].insert(d.factory_index);
    }
    ASSERT_EQ(threads.size(), static_cast<size_t>(kRows));
    for (const auto &shard : threads) {
        EXPECT_EQ(shard.second, std::set<int>{kRows + 1 + shard.first});
    }
}

TEST_P(LifecycleRun, FewerShardsThanQueuesFoldThem) {
    using TwoShards = sim::Module<1, 2, 8, 256, 256, 4>;
    sim::Pipeline<sim::ShardCollector<TwoShards>, TwoShards> p(GetParam());
    p.supply(24);
    p.start();
    EXPECT_EQ(p.threads.created(), 5);
    ASSERT_TRUE(p.play(100, p.paced()));
    p.stop();
    p.expect_delivered(std::vector<uint64_t>(kRows, 100));
    p.expect_conserved();
}

TEST_P(LifecycleRun, ThePlainCallbackOfASingleShardGetsEverything) {
    using Single = sim::Module<1, 1, 8, 128, 128, 4>;
    sim::Pipeline<sim::PlainCollector<Single>, Single> p(GetParam());
    p.supply(24);
    p.start();
    ASSERT_TRUE(p.play(100, p.paced()));
    p.stop();
    p.expect_delivered(std::vector<uint64_t>(kRows, 100));
    p.expect_conserved();
}

TEST_P(LifecycleRun, RestartsGoOnWhereTheDeviceIs) {
    Pipeline p(GetParam(), 2);
    p.supply(24);
    for (int run = 0; run < 5; ++run) {
        p.start();
        ASSERT_TRUE(p.play(40, p.paced()));
        p.stop();
        p.expect_delivered({40, 40});
        p.collector->record.forget();
        p.restart_pacing();
    }
    EXPECT_EQ(errors(), 0u);
    p.expect_conserved();
}

// H11: a buffer goes nowhere before its callback has returned, however often the replenish thread looks for work.
TEST_P(LifecycleRun, ABufferIsBackOnlyAfterItsCallback) {
    Pipeline p(GetParam(), 1);
    p.supply(4);
    std::atomic<int> calls{0};
    std::atomic<size_t> back_early{0};
    p.collector->record.hook = [&](const sim::ReadyInfo &, int) {
        if (calls++ != 0) {
            return;
        }
        const uint64_t asked = p.collector->predicate_calls;
        EXPECT_TRUE(eventually([&] { return p.collector->predicate_calls > asked + 3; }));
        back_early = p.collector->manager().recycled_count(0, 0) + p.free_fill(0, 0);
    };
    p.start();
    // The whole pool: nothing is in a lane or a free queue unless it comes back.
    EXPECT_EQ(p.burst(0), 4u);
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 4; }));
    p.stop();
    EXPECT_EQ(back_early, 0u);
    p.expect_delivered({4});
}

// H38: a lane that runs dry is an everyday matter. In the C++ runtime nobody serves it once its device waits.
TEST_P(LifecycleRun, RefSkipW17ALaneThatRunsDryIsNoNews) {
    Pipeline p(GetParam(), 1);
    p.supply(4);
    std::atomic<bool> go_on{false};
    p.collector->record.hook = [&](const sim::ReadyInfo &, int) {
        EXPECT_TRUE(eventually([&] { return go_on.load(); }));
    };
    p.start();
    uint64_t published = 0;
    for (int round = 0; round < 5; ++round) {
        go_on = false;
        const uint64_t now = p.burst(0, published);
        EXPECT_NE(now, 0u);
        published += now;
        // The drain thread has looked for buffers by then, and found at most what it did not need before.
        EXPECT_TRUE(eventually([&] { return load(p.dev->queue_heads[0]) == load(p.dev->queue_tails[0]); }));
        const uint64_t asked = p.collector->predicate_calls;
        EXPECT_TRUE(eventually([&] { return p.collector->predicate_calls > asked + 3; }));
        go_on = true;
        EXPECT_TRUE(eventually([&] { return p.collector->record.total() == published && p.free_fill(0, 0) != 0; }));
    }
    p.stop();
    EXPECT_EQ(log_capture::total(), 0u);
    p.expect_delivered({published});
    p.expect_conserved();
}

// ----------------------------------------------------------------------------------------------------- bursts at stop

// All that was published before stop() is delivered, in order, whatever the size of the ready ring.
template <uint32_t Ready, int Shards> void burst_at_stop(Sharing sharing) {
    using M = sim::Module<1, Shards, Ready, 256, 256, 4>;
    sim::Pipeline<sim::ShardCollector<M>, M> p(sharing);
    p.supply(4);
    p.collector->record.hook = [](const sim::ReadyInfo &, int) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    for (int run = 0; run < 4; ++run) {
        std::vector<uint64_t> counts;
        for (int q = 0; q < kRows; ++q) {
            counts.push_back(p.burst(q));
            EXPECT_EQ(counts.back(), std::min<uint64_t>(4, Ready - 1));
        }
        p.start();
        p.stop();
        EXPECT_EQ(p.threads.alive(), 0);
        p.expect_delivered(counts);
        for (int q = 0; q < kRows; ++q) {
            EXPECT_TRUE(p.ready_content(q).empty());
        }
        sim::ReadyInfo left{};
        for (int shard = 0; shard < Shards; ++shard) {
            EXPECT_FALSE(p.collector->manager().try_pop_ready(left, shard));
        }
        p.collector->record.forget();
        // What came back fills the queues again.
        p.collector->manager().drain_done_into_recycled();
    }
    EXPECT_EQ(errors(), 0u);
    p.expect_conserved();
}

TEST_P(LifecycleRun, ABurstAtStopIsDeliveredThroughARingOfTwo) { burst_at_stop<2, 1>(GetParam()); }
TEST_P(LifecycleRun, ABurstAtStopIsDeliveredThroughARingOfThree) { burst_at_stop<3, 1>(GetParam()); }
TEST_P(LifecycleRun, ABurstAtStopIsDeliveredThroughARingOfEight) { burst_at_stop<8, 1>(GetParam()); }
TEST_P(LifecycleRun, ABurstAtStopIsDeliveredOnAllShards) { burst_at_stop<3, kRows>(GetParam()); }

// The collector holds its first buffer until stop is called, and takes its time with the next ones. By then the ready
// ring is full, the drain thread waits for room, and the rest of the burst is still queued at the device.
TEST_P(LifecycleRun, ASlowCollectorAtStopLosesNothing) {
    using M = sim::Module<1, 1, 8, 256, 256, 4>;
    sim::Pipeline<sim::ShardCollector<M>, M> p(GetParam());
    p.supply(8);
    std::atomic<bool> stopping{false};
    std::atomic<int> calls{0};
    p.collector->record.hook = [&](const sim::ReadyInfo &, int) {
        eventually([&] { return stopping.load(); });
        std::this_thread::sleep_for(std::chrono::milliseconds(++calls <= 3 ? 30 : 1));
    };
    p.start();
    std::vector<uint64_t> counts;
    for (int q = 0; q < kRows; ++q) {
        counts.push_back(p.burst(q));
        EXPECT_EQ(counts.back(), 4u);
    }
    EXPECT_EQ(p.collector->record.total(), 0u);
    stopping = true;
    p.stop();
    p.expect_delivered(counts);
    EXPECT_EQ(errors(), 0u);
    p.expect_conserved();
}

// The burst is published while the framework runs, and stop comes at once.
TEST_P(LifecycleRun, StopRightAfterABurst) {
    Pipeline p(GetParam());
    p.supply(24);
    std::vector<uint64_t> counts(kRows, 0);
    for (int run = 0; run < 10; ++run) {
        p.start();
        for (int q = 0; q < kRows; ++q) {
            counts[static_cast<size_t>(q)] += p.burst(q, counts[static_cast<size_t>(q)]);
        }
        p.stop();
        p.expect_delivered(counts);
    }
    for (const uint64_t count : counts) {
        // More where a buffer came back before the burst was over.
        EXPECT_GE(count, 40u);
    }
    EXPECT_EQ(errors(), 0u);
    p.expect_conserved();
}

// No collector thread outlives stop, and none of its calls.
TEST_P(LifecycleRun, NothingRunsAfterStop) {
    Pipeline p(GetParam());
    p.supply(8);
    std::atomic<bool> stopped{false};
    std::atomic<int> late{0};
    const auto check = [&] { late += stopped ? 1 : 0; };
    WideModule::observer = [&](sim::ModuleCall) { check(); };
    p.collector->record.hook = [&](const sim::ReadyInfo &, int) { check(); };
    p.collector->release_ready = [&] {
        check();
        return true;
    };
    p.before_transfer([&](const sim::Transfer &) { check(); });
    for (int run = 0; run < 5; ++run) {
        stopped = false;
        p.start();
        for (int q = 0; q < kRows; ++q) {
            p.burst(q);
        }
        p.stop();
        stopped = true;
        EXPECT_EQ(p.threads.alive(), 0);
        std::this_thread::yield();
    }
    EXPECT_EQ(late, 0);
}

// W8: a device that never pauses must not keep stop from ending. What it published before the call is delivered.
TEST_P(LifecycleRun, RefSkipW8StopEndsAlthoughTheDeviceGoesOn) {
    Pipeline p(GetParam(), 2);
    p.supply(64);
    p.start();
    std::vector<std::unique_ptr<sim::DeviceThread<WideModule>>> device;
    for (int q = 0; q < 2; ++q) {
        device.push_back(std::make_unique<sim::DeviceThread<WideModule>>(p, q, UINT64_MAX));
    }
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() > 500; }));
    const uint64_t before[] = {device[0]->published(), device[1]->published()};
    p.stop();
    uint64_t delivered[2] = {};
    for (const Delivery &d : p.collector->record.deliveries()) {
        ++delivered[d.queue];
    }
    EXPECT_GE(delivered[0], before[0]);
    EXPECT_GE(delivered[1], before[1]);
}

// W4: more buffers in flight than the done ring holds, and nobody who empties it in time.
TEST_P(LifecycleRun, RefW4AFullDoneRingLosesNoBuffer) {
    using M = sim::Module<1, 1, 16, 2, 256, 8>;
    sim::Pipeline<sim::ShardCollector<M>, M> p(GetParam(), 1);
    p.supply(8);
    // The last ones are collected after the replenish thread has been joined.
    p.collector->record.hook = [&](const sim::ReadyInfo &info, int) {
        if (info.sequence == 0) {
            eventually([&] { return p.threads.alive() == 1; });
        }
    };
    p.start();
    EXPECT_EQ(p.burst(0), 8u);
    p.stop();
    p.expect_delivered({8});
    p.expect_conserved();
}

// Entries whose transfers keep failing stay queued, and stop does not wait for them; the others are delivered.
TEST_P(LifecycleRunCopied, StopDoesNotWaitForEntriesThatCannotBeRead) {
    Pipeline p(GetParam(), 2);
    p.supply(8);
    p.start();
    p.fail_for_good("<entry[1]");
    EXPECT_EQ(p.burst(0), 4u);
    EXPECT_EQ(p.burst(1), 4u);
    p.stop();
    EXPECT_EQ(p.threads.alive(), 0);
    p.expect_delivered({4, 0});
    EXPECT_GE(errors(), 1u);
    EXPECT_EQ(p.ready_content(1).size(), 4u);
    p.expect_conserved();
    // Readable again, they are delivered by the next run.
    p.heal();
    p.start();
    p.stop();
    p.expect_delivered({4, 4});
}

// A null entry is not there yet; it must not keep stop from ending.
TEST_P(LifecycleRun, StopDoesNotWaitForANullEntry) {
    Pipeline p(GetParam(), 2);
    p.supply(8);
    ASSERT_TRUE(p.publish(1, nullptr, 0, 1, 0));
    p.start();
    EXPECT_EQ(p.burst(0), 4u);
    p.stop();
    EXPECT_EQ(p.threads.alive(), 0);
    EXPECT_EQ(p.collector->record.total(), 4u);
}

// ---------------------------------------------------------------------------------------------------- idle timeout

class LifecycleIdle : public LifecycleRun {};
INSTANTIATE_TEST_SUITE_P(All, LifecycleIdle, ::testing::Values(Sharing::kIdentity), compat::SharingName());

// H34. A burst is one buffer, because a longer one may be torn apart on a busy machine. The sleeps only give a wrong
// report the time to come.
TEST_P(LifecycleIdle, EachBurstIsReportedOnceAndTheCollectorGoesOn) {
    sim::Pipeline<sim::ShardCollector<WideModule, 0>, WideModule> p(GetParam(), 2);
    p.supply(8);
    const auto burst = [&p](int q, uint64_t number) {
        void *const buffer = p.take_free(0, q);
        ASSERT_NE(buffer, nullptr);
        ASSERT_TRUE(p.publish(q, buffer, 0, q, sim::DeviceThread<WideModule>::first_sequence(q) + number));
    };
    p.start();
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    EXPECT_EQ(log_capture::total(), 0u) << "silent so far";
    for (uint64_t number = 0; number < 3; ++number) {
        burst(0, number);
        EXPECT_TRUE(eventually([&] { return errors() == number + 1; }));
        std::this_thread::sleep_for(std::chrono::milliseconds(250));
        EXPECT_EQ(errors(), number + 1);
    }
    // The other collector has a burst of its own.
    burst(1, 0);
    EXPECT_TRUE(eventually([] { return errors() == 4; }));
    p.stop();
    EXPECT_EQ(errors(), 4u);
    p.expect_delivered({3, 1});
}

TEST_P(LifecycleIdle, WithoutTrafficOrBeforeTheTimeNothingIsReported) {
    Pipeline p(GetParam(), 1);
    p.supply(8);
    p.start();
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    EXPECT_EQ(p.burst(0), 4u);
    std::this_thread::sleep_for(std::chrono::milliseconds(350));
    p.stop();
    EXPECT_EQ(log_capture::total(), 0u);
    p.expect_delivered({4});
}

} // namespace
