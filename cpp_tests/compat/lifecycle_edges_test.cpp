// Edges of a started pipeline: sites without a free queue, collectors that hang, owners that forget to stop.
#include "pipeline.h"

#include "death_test_style.h"

namespace {

using compat::eventually;
using compat::Level;
using compat::Sharing;
using sim::kRows;
using Module = sim::WideModule;
using Collector = sim::ShardCollector<Module>;
using Pipeline = sim::Pipeline<Collector, Module>;

class LifecycleEdges : public ::testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(All, LifecycleEdges, ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

// 3.6: step 4 is skipped, the rest is not.
TEST_P(LifecycleEdges, RefSkipW25AnEntryWithoutAFreeQueueIsDelivered) {
    Pipeline p(GetParam(), 2);
    p.supply(4);
    p.start();
    void *const buffer = p.take_free(0, 1);
    ASSERT_NE(buffer, nullptr);
    sim::fill(p.real(buffer), sim::buffer_size(0), 7);
    ASSERT_TRUE(p.publish(1, buffer, 0, 1, 7, sim::kNoFreeQueue));
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 1; }));
    EXPECT_TRUE(eventually([&] { return p.collector->manager().recycled_count(0) == 1; })) << "it circulates";
    p.stop();
    const auto deliveries = p.collector->record.deliveries();
    ASSERT_EQ(deliveries.size(), 1u);
    EXPECT_EQ(deliveries[0].dev_ptr, buffer);
    EXPECT_TRUE(deliveries[0].intact && deliveries[0].mapped);
    EXPECT_EQ(p.free_fill(0, 1), Module::kSlotCount - 1) << "nobody knows whose it was";
}

// 4.4: an entry whose pointer is still to come stays queued, and is delivered by a later run.
TEST_P(LifecycleEdges, StopLeavesANullEntryForTheNextRun) {
    Pipeline p(GetParam(), 2);
    p.supply(4);
    p.start();
    void *const buffer = p.take_free(0, 1);
    ASSERT_NE(buffer, nullptr);
    sim::fill(p.real(buffer), sim::buffer_size(0), 7);
    ASSERT_TRUE(p.publish(1, nullptr, 0, 1, 7));
    p.stop();
    EXPECT_EQ(p.dev->queue_heads[1], 0u);
    EXPECT_EQ(p.collector->record.total(), 0u);
    p.dev->queues[1][0].buffer_ptr = compat::address(buffer);
    p.start();
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 1; }));
    p.stop();
    EXPECT_EQ(p.dev->queue_heads[1], 1u);
}

// A factory binds its thread to the device first, and may end it if that fails.
TEST_P(LifecycleEdges, AThreadThatNeverRanItsBodyDoesNotHoldStop) {
    for (int lost = 0; lost < 5; ++lost) {
        Pipeline p(GetParam(), 2);
        p.supply(4);
        int created = 0;
        p.collector->start([&created, lost](std::function<void()> body) {
            const bool runs = created++ != lost;
            return std::thread([runs, body = std::move(body)] {
                if (runs) {
                    body();
                }
            });
        });
        EXPECT_EQ(created, 5);
        EXPECT_EQ(p.burst(1), 4u);
        p.stop();
        EXPECT_TRUE(p.collector->execution_complete_);
    }
}

// 4.3: watermarks and instances count as they are in each round.
TEST_P(LifecycleEdges, WatermarksAndInstancesMayComeWhileItRuns) {
    Pipeline p(GetParam(), 2);
    const auto set_live = [&p](uint32_t count) {
        sim::store(p.dev->live_instances, count);
        sim::store(p.host->live_instances, count);
    };
    set_live(0);
    p.start();
    EXPECT_EQ(p.collector->manager().recycled_count(0), 0u);
    Module::warm_target[0] = 3;
    set_live(2);
    EXPECT_TRUE(eventually([&] {
        return p.collector->manager().recycled_count(0, 0) >= 3 && p.collector->manager().recycled_count(0, 1) >= 3;
    }));
    p.stop();
}

// 2.2: what is pulled of a buffer is not what a buffer takes.
TEST_P(LifecycleEdges, ABlockHasWholeBuffersThoughLessIsPulled) {
    Pipeline p(GetParam(), 1);
    sim::store(p.dev->live_instances, 0u);
    sim::store(p.host->live_instances, 0u);
    Module::content_size = 8;
    Module::batch[0] = 2;
    p.start();
    void *view = nullptr;
    void *const buffer = p.collector->alloc_paired_buffer(sim::buffer_size(0), &view);
    ASSERT_NE(buffer, nullptr);
    ASSERT_TRUE(p.publish(0, buffer, 0, 0, 0));
    EXPECT_TRUE(eventually([&] { return p.collector->record.total() == 1; }));
    const size_t before = p.memory.calls(sim::Memory::Op::kAlloc).size();
    sim::store(p.dev->live_instances, 1u);
    sim::store(p.host->live_instances, 1u);
    sim::store(p.dev->backpressure.fq_contended, 1u);
    EXPECT_TRUE(eventually([&] { return p.free_fill(0, 0) == Module::kSlotCount; }));
    p.stop();
    const auto calls = p.memory.calls(sim::Memory::Op::kAlloc);
    ASSERT_GT(calls.size(), before);
    for (size_t i = before; i < calls.size(); ++i) {
        EXPECT_GE(calls[i].size, 2 * sim::buffer_size(0));
    }
}

// 4.4 waits on, as it must; the owner learns for whom.
TEST(LifecycleEdgesAlone, RefW8AStopThatWaitsNamesTheCollector) {
    Pipeline p(Sharing::kIdentity, 2);
    std::atomic<bool> let_go{false};
    p.collector->record.hook = [&](const sim::ReadyInfo &, int) {
        while (!let_go) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    };
    p.supply(4);
    p.start();
    EXPECT_EQ(p.burst(1), 4u);
    log_capture::reset();
    std::thread owner([&] { p.stop(); });
    EXPECT_TRUE(eventually([&] { return log_capture::contains(Level::kError, "collector"); }));
    EXPECT_TRUE(log_capture::contains(Level::kError, Collector::kSubsystemName));
    EXPECT_TRUE(log_capture::contains(Level::kError, "shard 1"));
    let_go = true;
    owner.join();
    EXPECT_EQ(p.collector->record.total(), 4u);
}

struct Forgetful : profiling_common::ProfilerBase<Forgetful, Module> {
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = "Forgetful";
    void on_buffer_collected(const sim::ReadyInfo &) {}
};

// The base cannot stop threads that call a collector which is gone; it must not let them run on.
TEST(LifecycleEdgesDeathTest, ADestructorThatForgetsStopEndsTheProcess) {
    death_test::in_new_process();
    EXPECT_DEATH(
        {
            Pipeline p(Sharing::kIdentity, 1);
            Forgetful forgetful;
            forgetful.set_aicpu_thread_num(1);
            forgetful.set_memory_context(p.alloc_callback(), nullptr, p.free_callback(), nullptr, nullptr,
                                         p.dev_address, p.host, sizeof(*p.host), 0);
            forgetful.start(nullptr);
        },
        "");
}

// The trace of a rollback with a function that undoes registrations, if the guard takes one.
template <typename Manager> std::string rollback_trace(Manager &manager) {
    using Guard = profiling_common::InitRollbackGuard<Manager>;
    using Function = typename Guard::ReleaseFn;
    std::string trace;
    if constexpr (std::is_constructible<Guard, Manager &, Function, Function>::value) {
        const auto append = [&trace](const char *text) {
            return [&trace, text](void *ptr) {
                trace += text + std::to_string(compat::address(ptr));
                return 0;
            };
        };
        Guard guard(manager, append(" free "), append(" unregister "));
        manager.register_mapping(reinterpret_cast<void *>(64), reinterpret_cast<void *>(640));
        guard.add_direct_ptr(reinterpret_cast<void *>(32));
    }
    return trace;
}

// New users get what the old signature has no room for.
TEST(LifecycleEdgesAlone, RefW24ARollbackUnregistersBeforeItFrees) {
    profiling_common::BufferPoolManager<Module> manager;
    EXPECT_EQ(rollback_trace(manager), " unregister 32 free 32 unregister 64 free 64");
}

} // namespace
