// The two waits (2.4.1, 2.4.2), each step and each exit.
#include "support.h"

#include <climits>

using namespace device_test;

namespace {

template <typename M> class Waits : public ::testing::Test {
  protected:
    Lane<M> lane;
};
using Modules = ::testing::Types<Volatile, Plain, Defaulted, Smallest>;
TYPED_TEST_SUITE(Waits, Modules);

// Step 1; D21.
TYPED_TEST(Waits, ReadyRefusesANullHeader) {
    using Engine = typename Lane<TypeParam>::Engine;
    uint32_t tail = 5;
    uint32_t head = 6;
    EXPECT_FALSE(Engine::wait_for_ready_queue_space(nullptr, 0, &tail, &head));
    EXPECT_EQ(tail, 5u);
    EXPECT_EQ(head, 6u);
    EXPECT_EQ(this->lane.world.reads, 0u);
}

TYPED_TEST(Waits, ReadyRefusesIndicesOutOfRange) {
    for (const int thread : {-1, INT_MIN, kThreads, kThreads + 1, INT_MAX}) {
        this->lane.context.thread = thread;
        const Unchanged<TypeParam> before(this->lane);
        EXPECT_FALSE(this->lane.wait_ready()) << thread;
        before.check();
    }
    EXPECT_EQ(this->lane.tail, this->lane.kUntouched);
    EXPECT_EQ(this->lane.head, this->lane.kUntouched);
    EXPECT_EQ(this->lane.world.polls(), 0u);
}

TYPED_TEST(Waits, ReadyKnowsEveryIndexInRange) {
    for (int thread = 0; thread < kThreads; ++thread) {
        this->lane.context.thread = thread;
        this->lane.place_ready(0, thread % 2 == 0 ? 0 : this->lane.kRing - 2);
        EXPECT_TRUE(this->lane.wait_ready()) << thread;
        EXPECT_EQ(this->lane.tail, this->lane.header->queue_tails[thread]);
    }
}

// Steps 3 and 4; D1, D2, D16: room is room wherever it lies and whatever the gates say.
TYPED_TEST(Waits, ReadyFindsRoomAtOnceWhateverTheGatesSay) {
    auto &lane = this->lane;
    for (uint32_t tail = 0; tail < lane.kRing; ++tail) {
        for (uint32_t head = 0; head < lane.kRing; ++head) {
            if ((tail + 1) % lane.kRing == head) {
                continue;
            }
            for (uint32_t gates = 0; gates < 16; ++gates) {
                lane.place_ready(head, tail);
                lane.flags().rq_freeze_active = gates & 1;
                lane.flags().rq_contended = (gates >> 1) & 1;
                lane.flags().fq_freeze_active = (gates >> 2) & 1;
                lane.flags().fq_contended = (gates >> 3) & 1;
                lane.tail = lane.head = lane.kUntouched;
                const Unchanged<TypeParam> before(lane);
                const uint64_t polls = lane.world.polls();
                ASSERT_TRUE(lane.wait_ready());
                ASSERT_EQ(lane.tail, tail);
                ASSERT_EQ(lane.head, head);
                ASSERT_LE(lane.world.polls() - polls, 1u);
                before.check();
            }
        }
    }
}

// Steps 5 and 7: signals once, relaxes between looks, and is served.
TYPED_TEST(Waits, ReadySignalsOnceAndIsServed) {
    auto &lane = this->lane;
    for (uint32_t tail = 0; tail < lane.kRing; ++tail) {
        lane.fill_ready(tail);
        const uint64_t hints = lane.world.hints;
        int raised = 0;
        lane.world.when(lane.ready_contended(), [&] {
            ++raised;
            lane.freeze_ready();
        });
        lane.world.pause(4);
        lane.world.then([&] {
            raised += lane.flags().rq_contended != 0;
            lane.header->queue_heads[lane.queue()] = (lane.header->queue_heads[lane.queue()] + 1) % lane.kRing;
        });
        ASSERT_TRUE(lane.wait_ready());
        ASSERT_TRUE(lane.world.script_done());
        EXPECT_EQ(raised, 1);
        EXPECT_GT(lane.world.hints, hints);
        EXPECT_EQ(lane.tail, tail);
        EXPECT_EQ(lane.head, (tail + 2) % lane.kRing);
        EXPECT_EQ(lane.flags().rq_contended, 0u);
        EXPECT_EQ(lane.flags().rq_freeze_active, 1u);
        EXPECT_EQ(lane.flags().fq_contended, 0u);
        lane.release();
    }
}

// Step 6.
TYPED_TEST(Waits, ReadyGivesUpAfterItsBudget) {
    auto &lane = this->lane;
    lane.fill_ready(1);
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_ready());
    lane.expect_one_budget(start);
    EXPECT_EQ(lane.flags().rq_contended, 1u);
    EXPECT_EQ(lane.flags().rq_freeze_active, 0u);
    EXPECT_EQ(lane.flags().fq_contended, 0u);
    EXPECT_EQ(lane.header->queue_tails[lane.queue()], 1u);
    EXPECT_EQ(lane.tail, lane.kUntouched);
    EXPECT_EQ(lane.head, lane.kUntouched);
}

TYPED_TEST(Waits, ReadyGivesUpInAFreezeToo) {
    auto &lane = this->lane;
    lane.fill_ready();
    lane.flags().rq_freeze_active = 1;
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_ready());
    lane.expect_one_budget(start);
    EXPECT_EQ(lane.flags().rq_freeze_active, 1u);
}

// Differences of the clock are unsigned.
TYPED_TEST(Waits, ReadyMeasuresAcrossTheWrapOfTheClock) {
    auto &lane = this->lane;
    lane.fill_ready();
    lane.world.now = 0 - 4 * lane.world.step;
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_ready());
    lane.expect_one_budget(start);
}

TYPED_TEST(Waits, ReadyIsServedAcrossTheWrapOfTheClock) {
    auto &lane = this->lane;
    lane.fill_ready();
    lane.world.now = 0 - 3 * lane.world.step;
    lane.world.pause(5);
    lane.world.then([&] { lane.place_ready(0, 0); });
    EXPECT_TRUE(lane.wait_ready());
}

// A queue that is served in the last moment is used, however late it is.
TYPED_TEST(Waits, ReadyLooksAtTheQueueBeforeTheClock) {
    auto &lane = this->lane;
    lane.fill_ready();
    lane.world.when(lane.ready_contended(), [&] {
        lane.world.now += lane.kBudget - 3 * lane.world.step;
        lane.place_ready(0, 0);
    });
    EXPECT_TRUE(lane.wait_ready());
}

// 2.4.2, step 1.
TYPED_TEST(Waits, FreeRefusesANullQueue) {
    using Engine = typename Lane<TypeParam>::Engine;
    auto &lane = this->lane;
    const Unchanged<TypeParam> before(lane);
    EXPECT_FALSE(Engine::wait_for_free_queue_entry(lane.header, nullptr, &lane.head, &lane.tail));
    EXPECT_FALSE(Engine::wait_for_free_queue_entry(nullptr, nullptr, &lane.head, &lane.tail));
    before.check();
    EXPECT_EQ(lane.tail, lane.kUntouched);
    EXPECT_EQ(lane.head, lane.kUntouched);
    EXPECT_EQ(lane.world.polls(), 0u);
}

// Step 3; D5, D15; the counters run through 2^32.
TYPED_TEST(Waits, FreeFindsAnEntryAtOnceWhateverTheGatesSay) {
    using Engine = typename Lane<TypeParam>::Engine;
    auto &lane = this->lane;
    for (const uint32_t head : {0u, 1u, 5u, 0x7fffffffu, 0xfffffffeu, 0xffffffffu}) {
        for (uint32_t filled = 1; filled <= lane.kSlots; ++filled) {
            for (uint32_t gates = 0; gates < 16; ++gates) {
                lane.free_queue.head = head;
                lane.free_queue.tail = head + filled;
                lane.flags().rq_freeze_active = gates & 1;
                lane.flags().rq_contended = (gates >> 1) & 1;
                lane.flags().fq_freeze_active = (gates >> 2) & 1;
                lane.flags().fq_contended = (gates >> 3) & 1;
                const Unchanged<TypeParam> before(lane);
                ASSERT_TRUE(lane.wait_free());
                ASSERT_EQ(lane.head, head);
                ASSERT_EQ(lane.tail, head + filled);
                lane.head = lane.tail = lane.kUntouched;
                ASSERT_TRUE(Engine::wait_for_free_queue_entry(nullptr, &lane.free_queue, &lane.head, &lane.tail));
                ASSERT_EQ(lane.head, head);
                ASSERT_EQ(lane.tail, head + filled);
                before.check();
            }
        }
    }
    EXPECT_EQ(lane.world.polls(), 0u);
}

// Steps 4 to 6.
TYPED_TEST(Waits, FreeSignalsAndIsServed) {
    auto &lane = this->lane;
    for (const uint32_t head : {0u, 3u, 0xffffffffu}) {
        lane.free_queue.head = lane.free_queue.tail = head;
        lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
        lane.world.pause(4);
        lane.world.then([&] { lane.give_fresh(); });
        lane.world.pause(2);
        lane.world.then([&] { lane.release(); });
        ASSERT_TRUE(lane.wait_free());
        EXPECT_EQ(lane.head, head);
        EXPECT_EQ(lane.tail, head + 1);
        EXPECT_EQ(lane.flags().fq_contended, 0u);
        EXPECT_EQ(lane.flags().rq_contended, 0u);
        // Who did not wait for the release has no business with the rest of the script.
        while (!lane.world.script_done()) {
            (void)get_sys_cnt_aicpu();
        }
    }
}

// The entry may come without any freeze.
TYPED_TEST(Waits, FreeIsServedWithoutAFreeze) {
    auto &lane = this->lane;
    lane.world.pause(5);
    lane.world.then([&] { lane.give_fresh(); });
    EXPECT_TRUE(lane.wait_free());
    EXPECT_EQ(lane.flags().fq_contended, 1u);
}

// Step 5; 2.6: a freeze that stays open.
TYPED_TEST(Waits, FreeGivesUpInAFreezeThatStaysOpen) {
    auto &lane = this->lane;
    lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_free());
    lane.expect_one_budget(start);
    EXPECT_EQ(lane.flags().fq_freeze_active, 1u);
    EXPECT_EQ(lane.flags().rq_contended, 0u);
    EXPECT_EQ(lane.tail, lane.kUntouched);
    EXPECT_EQ(lane.head, lane.kUntouched);
}

TYPED_TEST(Waits, FreeGivesUpInAFreezeThatWasOpenBefore) {
    auto &lane = this->lane;
    lane.flags().fq_freeze_active = 1;
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_free());
    lane.expect_one_budget(start);
}

TYPED_TEST(Waits, FreeMeasuresAcrossTheWrapOfTheClock) {
    auto &lane = this->lane;
    lane.flags().fq_freeze_active = 1;
    lane.world.now = 0 - 4 * lane.world.step;
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_free());
    lane.expect_one_budget(start);
}

// The other gate's freeze is no matter here.
TYPED_TEST(Waits, FreeIgnoresThePushGate) {
    auto &lane = this->lane;
    lane.flags().rq_freeze_active = 1;
    lane.world.when(lane.free_contended(), [&] { lane.give_fresh(); });
    EXPECT_TRUE(lane.wait_free());
    EXPECT_EQ(lane.flags().rq_freeze_active, 1u);
    EXPECT_EQ(lane.flags().rq_contended, 0u);
}

// A budget of 0 gives one look at the queue.
TEST(WaitsWithoutBudget, ReadyTakesOneLook) {
    Lane<Impatient> lane;
    lane.fill_ready();
    EXPECT_FALSE(lane.wait_ready());
    EXPECT_LE(lane.world.reads, 2u);
    EXPECT_EQ(lane.world.hints, 0u);
    EXPECT_EQ(lane.flags().rq_contended, 1u);
    EXPECT_EQ(lane.tail, lane.kUntouched);
}

TEST(WaitsWithoutBudget, ReadyFindsRoom) {
    Lane<Impatient> lane;
    lane.flags().rq_freeze_active = 1;
    EXPECT_TRUE(lane.wait_ready());
    EXPECT_EQ(lane.tail, 0u);
    EXPECT_EQ(lane.flags().rq_contended, 0u);
}

TEST(WaitsWithoutBudget, FreeGivesUpInAFreeze) {
    Lane<Impatient> lane;
    lane.flags().fq_freeze_active = 1;
    EXPECT_FALSE(lane.wait_free());
    EXPECT_LE(lane.world.reads, 3u);
}

TEST(WaitsWithoutBudget, FreeFindsAnEntry) {
    Lane<Impatient> lane;
    lane.flags().fq_freeze_active = 1;
    lane.give_fresh();
    EXPECT_TRUE(lane.wait_free());
    EXPECT_EQ(lane.world.polls(), 0u);
}

// 30 s do not fit 32 bits on a5: neither bound may be cut off.
TEST(WaitsLong, TheBudgetIsSixtyFourBitsWide) {
    Lane<Toy<VolatileShape, 4, 4, kLongBudget>> lane;
    if (kThreads == 5) {
        EXPECT_GT(kLongBudget, UINT64_C(0xffffffff));
    }
    lane.world.step = kLongBudget / 100;
    lane.fill_ready();
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_ready());
    lane.expect_one_budget(start);
}

// Low halves that would end a wait at once.
using Wide = Toy<VolatileShape, 4, 4, (uint64_t{1} << 33) + 7>;

TEST(WaitsLong, ReadyKeepsBothHalvesOfTheBudget) {
    Lane<Wide> lane;
    lane.fill_ready();
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_ready());
    lane.expect_one_budget(start);
}

TEST(WaitsLong, FreeKeepsBothHalvesOfTheBudget) {
    Lane<Wide> lane;
    lane.flags().fq_freeze_active = 1;
    const uint64_t start = lane.world.now;
    EXPECT_FALSE(lane.wait_free());
    lane.expect_one_budget(start);
}

TEST(WaitsLong, ThePushGateKeepsBothHalvesOfTheBudget) {
    Lane<Wide> lane;
    lane.flags().rq_freeze_active = 1;
    const uint64_t start = lane.world.now;
    (void)lane.enqueue(lane.fresh(), 1);
    lane.expect_one_budget(start);
}

TEST(WaitsLong, TheWidestBudgetNeverEnds) {
    Lane<Toy<VolatileShape, 4, 4, UINT64_MAX>> lane;
    lane.world.step = UINT64_MAX / 1000;
    lane.fill_ready();
    lane.world.pause(500);
    lane.world.then([&] { lane.place_ready(0, 0); });
    EXPECT_TRUE(lane.wait_ready());
}

} // namespace
