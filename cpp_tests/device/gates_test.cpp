// The gates: device primitives (3.2), who parks where and for how long (3.3), the four states (3.5).
#include "support.h"

using namespace device_test;

namespace {

using M = Volatile;
using Barrier = platform_hooks::Barrier;

class Primitives : public ::testing::Test {
  protected:
    Primitives() {
        lane.world.on_barrier = [this](Barrier barrier) { barriers.push_back(barrier); };
    }
    bool push(uint64_t budget) {
        const M::DataHeader *const header = lane.header;
        return dfx_backpressure::push_freeze_barrier(header, budget);
    }
    bool pop(uint64_t budget) {
        const M::DataHeader *const header = lane.header;
        return dfx_backpressure::pop_freeze_barrier(header, budget);
    }
    bool release(uint64_t start, uint64_t budget) {
        const M::DataHeader *const header = lane.header;
        return dfx_backpressure::wait_for_release(header, start, budget);
    }

    Lane<M> lane;
    std::vector<Barrier> barriers;
};

// D19.
TEST_F(Primitives, WithoutAHeaderThereIsNoGate) {
    const M::DataHeader *const none = nullptr;
    EXPECT_TRUE(dfx_backpressure::push_freeze_barrier(none, 10));
    EXPECT_TRUE(dfx_backpressure::pop_freeze_barrier(none, 10));
    EXPECT_TRUE(dfx_backpressure::wait_for_release(none, 0, 0));
    M::DataHeader *const nowhere = nullptr;
    bool signalled = false;
    dfx_backpressure::mark_rq_contended(nowhere, &signalled);
    dfx_backpressure::mark_fq_contended(nowhere, &signalled);
    EXPECT_FALSE(signalled);
    EXPECT_EQ(lane.world.polls(), 0u);
}

TEST_F(Primitives, AnOpenGateCostsOneClockOneBarrier) {
    lane.flags().rq_contended = lane.flags().fq_contended = lane.flags().fq_freeze_active = 1;
    EXPECT_TRUE(push(0));
    EXPECT_EQ(lane.world.reads, 1u);
    EXPECT_EQ(barriers, std::vector<Barrier>{Barrier::kRead});
    lane.flags().rq_freeze_active = 1;
    lane.flags().fq_freeze_active = 0;
    EXPECT_TRUE(pop(0));
    EXPECT_EQ(lane.world.reads, 2u);
    EXPECT_EQ(lane.world.hints, 0u);
    EXPECT_EQ(barriers, (std::vector<Barrier>{Barrier::kRead, Barrier::kRead}));
}

TEST_F(Primitives, AClosedGateParksUntilItOpens) {
    for (const bool pushing : {true, false}) {
        (pushing ? lane.flags().rq_freeze_active : lane.flags().fq_freeze_active) = 1;
        const uint64_t hints = lane.world.hints;
        lane.world.pause(5);
        lane.world.then([&] { lane.release(); });
        EXPECT_TRUE(pushing ? push(M::kBackpressureWaitCycles) : pop(M::kBackpressureWaitCycles));
        EXPECT_TRUE(lane.world.script_done());
        EXPECT_GT(lane.world.hints, hints);
    }
}

TEST_F(Primitives, AClosedGateHasABudget) {
    for (const bool pushing : {true, false}) {
        for (const uint64_t budget : {UINT64_C(0), UINT64_C(1), UINT64_C(1000), kLongBudget}) {
            lane.release();
            (pushing ? lane.flags().rq_freeze_active : lane.flags().fq_freeze_active) = 1;
            lane.world.step = budget / 10 + 1;
            const uint64_t start = lane.world.now;
            EXPECT_FALSE(pushing ? push(budget) : pop(budget));
            EXPECT_GE(lane.world.now - start, budget);
            EXPECT_LE(lane.world.now - start, budget + 2 * lane.world.step);
        }
    }
}

TEST_F(Primitives, SignalsAreRaisedOncePerWait) {
    bool signalled = false;
    dfx_backpressure::mark_rq_contended(lane.header, &signalled);
    EXPECT_TRUE(signalled);
    EXPECT_EQ(lane.flags().rq_contended, 1u);
    EXPECT_EQ(lane.flags().fq_contended, 0u);
    lane.flags().rq_contended = 0;
    dfx_backpressure::mark_rq_contended(lane.header, &signalled);
    EXPECT_EQ(lane.flags().rq_contended, 0u);
    signalled = false;
    dfx_backpressure::mark_fq_contended(lane.header, &signalled);
    EXPECT_TRUE(signalled);
    EXPECT_EQ(lane.flags().fq_contended, 1u);
    EXPECT_EQ(lane.flags().rq_contended, 0u);
    lane.flags().fq_contended = 0;
    dfx_backpressure::mark_fq_contended(lane.header, &signalled);
    EXPECT_EQ(lane.flags().fq_contended, 0u);
}

TEST_F(Primitives, ReleaseNeedsBothFlagsDown) {
    EXPECT_TRUE(release(0, 0));
    EXPECT_EQ(lane.world.reads, 0u);
    EXPECT_EQ(barriers, std::vector<Barrier>{Barrier::kRead});
    lane.flags().rq_contended = lane.flags().rq_freeze_active = 1;
    EXPECT_TRUE(release(0, 0));
    for (int flags = 1; flags < 4; ++flags) {
        lane.flags().fq_contended = flags & 1;
        lane.flags().fq_freeze_active = flags >> 1;
        EXPECT_FALSE(release(lane.world.now, 0));
        EXPECT_FALSE(release(lane.world.now, 100));
        lane.world.pause(3);
        lane.world.then([&] { lane.freeze_free(); });
        lane.world.pause(3);
        lane.world.then([&] { lane.release(); });
        EXPECT_TRUE(release(lane.world.now, UINT64_MAX));
        EXPECT_TRUE(lane.world.script_done());
    }
}

// D20.
TEST_F(Primitives, ReleaseMeasuresFromTheStartOfItsCaller) {
    lane.flags().fq_freeze_active = 1;
    lane.world.step = 10;
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(release(start, 100));
    EXPECT_EQ(lane.world.now - start, 100u);
    EXPECT_FALSE(release(start, 100));
    EXPECT_EQ(lane.world.now - start, 110u);
    EXPECT_FALSE(release(start - 1000, 1000));
    EXPECT_EQ(lane.world.now - start, 120u);
}

// Flags are words: whatever is not 0 is up.
TEST_F(Primitives, AnyValueButZeroCloses) {
    for (const uint32_t value : {2u, 0x100u, 0x80000000u}) {
        lane.flags().rq_freeze_active = lane.flags().fq_freeze_active = value;
        EXPECT_FALSE(push(10));
        EXPECT_FALSE(pop(10));
        EXPECT_FALSE(release(lane.world.now, 10));
    }
}

// 3.5 for a lane that publishes, with room in its queue.
TEST(PushGate, ParksInAFreezeAlone) {
    for (uint32_t contended = 0; contended < 2; ++contended) {
        for (uint32_t freeze = 0; freeze < 2; ++freeze) {
            Lane<M> lane;
            lane.flags().rq_contended = contended;
            lane.flags().rq_freeze_active = freeze;
            if (freeze != 0) {
                lane.world.pause(6);
                lane.world.then([&] { lane.release(); });
            }
            EXPECT_EQ(lane.enqueue(lane.fresh(), 1), 0);
            EXPECT_EQ(lane.world.hints != 0, freeze != 0);
            EXPECT_TRUE(lane.world.script_done());
            // Another lane's signal is not this lane's to clear.
            EXPECT_EQ(lane.flags().rq_contended, contended);
            EXPECT_EQ(lane.flags().rq_freeze_active, 0u);
        }
    }
}

// 3.5 for the leader of the push gate, through all its states.
TEST(PushGate, TheLeaderGoesThroughTheFreezeItAskedFor) {
    Lane<M> lane;
    lane.fill_ready(3);
    std::vector<std::pair<uint32_t, uint32_t>> states;
    lane.world.host = [&] {
        const std::pair<uint32_t, uint32_t> state{lane.flags().rq_contended, lane.flags().rq_freeze_active};
        if (states.empty() || states.back() != state) {
            states.push_back(state);
        }
    };
    lane.world.when(lane.ready_contended(), [&] { lane.flags().rq_freeze_active = 1; });
    lane.world.then([&] { lane.flags().rq_contended = 0; });
    lane.world.pause(2);
    lane.world.then([&] { lane.place_ready(3, 3); });
    lane.world.when([&] { return lane.pending() == 1; }, [&] { (void)lane.take(); });
    lane.world.pause(2);
    lane.world.then([&] { lane.release(); });
    auto *const buffer = lane.fresh();
    EXPECT_EQ(lane.enqueue(buffer, 8), 0);
    EXPECT_TRUE(lane.world.script_done());
    if (!states.empty() && states.front() == std::make_pair(0u, 0u)) {
        states.erase(states.begin()); // Before the signal.
    }
    if (!states.empty() && states.back() == std::make_pair(0u, 0u)) {
        states.pop_back(); // After the release.
    }
    EXPECT_EQ(states, (std::vector<std::pair<uint32_t, uint32_t>>{{1, 0}, {1, 1}, {0, 1}}));
    EXPECT_EQ(lane.flags().rq_contended, 0u);
}

// 3.3: every lane that publishes parks, whoever asked for the freeze.
TEST(PushGate, OtherLanesParkBehindTheLeader) {
    Lane<M> lane;
    lane.flags().rq_freeze_active = 1;
    for (int thread = 0; thread < kThreads; ++thread) {
        lane.context.thread = thread;
        const uint64_t hints = lane.world.hints;
        lane.world.pause(4);
        lane.world.then([&] { lane.flags().rq_freeze_active = 0; });
        EXPECT_EQ(lane.enqueue(lane.fresh(), 1), 0);
        EXPECT_GT(lane.world.hints, hints);
        EXPECT_EQ(lane.header->queue_tails[thread], 1u);
        lane.flags().rq_freeze_active = 1;
    }
    EXPECT_EQ(lane.flags().rq_contended, 0u);
}

// 3.3: what a lane has waited for room does not end it at the gate as long as both together are within the budget.
TEST(PushGate, RoomAndGateWithinOneBudget) {
    Lane<M> lane;
    lane.world.step = M::kBackpressureWaitCycles / 100;
    lane.fill_ready();
    const uint64_t start = lane.world.now;
    const auto after = [&](uint64_t ticks) {
        return [&lane, start, ticks] { return lane.world.now - start >= ticks; };
    };
    lane.world.when(lane.ready_contended(), [&] { lane.freeze_ready(); });
    lane.world.when(after(500), [&] { lane.place_ready(0, 0); });
    lane.world.when(after(900), [&] { lane.release(); });
    EXPECT_EQ(lane.enqueue(lane.fresh(), 1), 0);
    EXPECT_TRUE(lane.world.script_done());
}

// Beyond one budget either is right: the gate's own budget, or one for both. The entry is there in any case.
TEST(PushGate, RoomAndGateBeyondOneBudget) {
    Lane<M> lane;
    lane.world.step = M::kBackpressureWaitCycles / 100;
    lane.fill_ready();
    const uint64_t start = lane.world.now;
    const auto after = [&](uint64_t ticks) {
        return [&lane, start, ticks] { return lane.world.now - start >= ticks; };
    };
    lane.world.when(lane.ready_contended(), [&] { lane.freeze_ready(); });
    lane.world.when(after(800), [&] { lane.place_ready(0, 0); });
    lane.world.when(after(1500), [&] { lane.release(); });
    (void)lane.enqueue(lane.fresh(), 1);
    EXPECT_EQ(lane.pending(), 1u);
    EXPECT_GE(lane.world.now - start, 1000u);
    EXPECT_LE(lane.world.now - start, 1600u);
}

// 2.6: a freeze that is not released. Whatever is returned (W1), the entry is visible and stays the only one.
TEST(PushGate, AHostThatDiesInAFreeze) {
    Lane<M> lane;
    lane.flags().rq_freeze_active = 1;
    const uint64_t start = lane.world.now;
    auto *const buffer = lane.fresh();
    (void)lane.enqueue(buffer, 5);
    lane.expect_one_budget(start);
    EXPECT_EQ(lane.pending(), 1u);
    EXPECT_EQ(lane.newest().pointer, address(buffer));
    EXPECT_EQ(lane.flags().rq_freeze_active, 1u);
}

// 3.5 for a lane whose free queue is empty.
TEST(PopGate, ParksInAFreezeAlone) {
    for (uint32_t contended = 0; contended < 2; ++contended) {
        for (uint32_t freeze = 0; freeze < 2; ++freeze) {
            Lane<M> lane;
            lane.flags().fq_contended = contended;
            lane.flags().fq_freeze_active = freeze;
            lane.world.pause(3);
            lane.world.when(freeze != 0 ? std::function<bool()>([] { return true; }) : lane.free_contended(),
                            [&] { lane.freeze_free(); });
            lane.world.pause(3);
            lane.world.then([&] { lane.give_fresh(); });
            lane.world.then([&] { lane.release(); });
            EXPECT_TRUE(lane.wait_free());
            EXPECT_GT(lane.world.hints, 0u);
            EXPECT_EQ(lane.flags().rq_contended, 0u);
        }
    }
}

// 3.3, D15: a lane with a slot left passes.
TEST(PopGate, ALaneWithASlotPasses) {
    Lane<M> lane;
    lane.flags().fq_freeze_active = 1;
    auto *const full = lane.activate(2, 1);
    auto *const next = lane.give_fresh();
    lane.switch_buffer();
    EXPECT_EQ(lane.state.pointer, address(next));
    EXPECT_EQ(lane.newest().pointer, address(full));
    EXPECT_EQ(lane.world.hints, 0u);
}

// A freeze that opens and closes again and again, within one budget.
TEST(PopGate, AFlappingFreeze) {
    Lane<M> lane;
    lane.world.step = M::kBackpressureWaitCycles / 1000;
    lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
    for (int flap = 0; flap < 10; ++flap) {
        lane.world.pause(3);
        lane.world.then([&] { lane.release(); });
        lane.world.pause(3);
        lane.world.then([&] { lane.freeze_free(); });
    }
    lane.world.then([&] {
        lane.give_fresh();
        lane.release();
    });
    EXPECT_TRUE(lane.wait_free());
    EXPECT_TRUE(lane.world.script_done());
}

// Beyond one budget a lane may go on, because each freeze has a new one, or give up, because the host gave it nothing
// for as long as it may wait (W2). It never gives up before.
TEST(PopGate, AFlappingFreezeBeyondOneBudget) {
    Lane<M> lane;
    lane.world.step = M::kBackpressureWaitCycles / 50;
    const uint64_t start = lane.world.now;
    lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
    for (int flap = 0; flap < 40; ++flap) {
        lane.world.pause(3);
        lane.world.then([&] { lane.release(); });
        lane.world.then([&] { lane.freeze_free(); });
    }
    lane.world.then([&] {
        lane.give_fresh();
        lane.release();
    });
    if (lane.wait_free()) {
        EXPECT_TRUE(lane.world.script_done());
    } else {
        EXPECT_GE(lane.world.now - start, M::kBackpressureWaitCycles);
        EXPECT_EQ(lane.head, lane.kUntouched);
    }
}

// A signal that nobody has taken yet keeps nobody from what is there, and is not the device's to take back.
TEST(Leftover, ASignalOfAnEarlierWaitHoldsNobodyUp) {
    Lane<M> lane;
    lane.flags().rq_contended = lane.flags().fq_contended = 1;
    lane.activate(1, 1);
    auto *const next = lane.give_fresh();
    lane.switch_buffer();
    EXPECT_EQ(lane.state.pointer, address(next));
    EXPECT_EQ(lane.world.hints, 0u);
    EXPECT_EQ(lane.flags().rq_contended, 1u);
    EXPECT_EQ(lane.flags().fq_contended, 1u);
}

// It opens a freeze that nobody needs, and lanes come out of it.
TEST(Leftover, AFreezeForNothingEnds) {
    Lane<M> lane;
    lane.flags().rq_contended = lane.flags().fq_contended = 1;
    lane.freeze_ready();
    lane.freeze_free();
    lane.activate(1, 1);
    auto *const next = lane.give_fresh();
    lane.world.when([&] { return lane.pending() == 1; }, [&] { (void)lane.take(); });
    lane.world.pause(3);
    lane.world.then([&] { lane.release(); });
    lane.switch_buffer();
    EXPECT_EQ(lane.state.pointer, address(next));
    EXPECT_EQ(lane.flags().rq_contended, 0u);
    EXPECT_EQ(lane.flags().fq_contended, 0u);
}

} // namespace
