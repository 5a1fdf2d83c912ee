// Weaknesses of the C++ runtime that 7.2 lists, and what an engine that has their remedies does instead.
#include "support.h"

#include <csignal>
#include <sys/time.h>
#include <unistd.h>

using namespace device_test;

namespace {

using M = Volatile;

class Cures : public ::testing::Test {
  protected:
    // Ends the process once the processor has been busy for `seconds`, where a loop gives no other sign of life.
    static void end_after(int seconds) {
        (void)std::signal(SIGVTALRM, [](int) { _exit(1); });
        itimerval timer{};
        timer.it_value.tv_sec = seconds;
        ASSERT_EQ(setitimer(ITIMER_VIRTUAL, &timer, nullptr), 0);
    }
    static void end_no_more() {
        const itimerval timer{};
        (void)setitimer(ITIMER_VIRTUAL, &timer, nullptr);
    }

    Lane<M> lane;
};

// W1: what is published is the host's, whatever happens at the gate afterwards.

TEST_F(Cures, RefW1ATimeoutAtThePushGateIsNoFailureToPublish) {
    lane.flags().rq_freeze_active = 1;
    EXPECT_EQ(lane.enqueue(lane.fresh(), 5), 0);
    EXPECT_EQ(lane.pending(), 1u);
}

TEST_F(Cures, RefW1ASwitchLetsGoOfWhatItPublished) {
    auto *const full = lane.activate(3, 20);
    auto *const next = lane.give_fresh();
    lane.flags().rq_freeze_active = 1;
    lane.switch_buffer();
    EXPECT_EQ(lane.pending(), 1u);
    EXPECT_EQ(lane.newest().pointer, address(full));
    EXPECT_EQ(full->count, 3u);
    EXPECT_EQ(lane.state.dropped, 0u);
    EXPECT_EQ(lane.state.pointer, address(next));
    EXPECT_EQ(lane.state.seq, 21u);
    EXPECT_EQ(lane.record.times(Hook::kEnqueueFailed), 0u);
    EXPECT_EQ(lane.record.times(Hook::kComplete), 1u);
}

// D10, D11.
TEST_F(Cures, RefW1NothingIsPublishedTwice) {
    lane.activate(3, 20);
    lane.give_fresh();
    lane.give_fresh();
    lane.flags().rq_freeze_active = 1;
    lane.switch_buffer();
    const ReadyEntry first = lane.newest();
    lane.release();
    lane.switch_buffer();
    EXPECT_EQ(lane.pending(), 2u);
    EXPECT_NE(lane.newest().pointer, first.pointer);
    EXPECT_NE(lane.newest().seq, first.seq);
}

// W2: a host that never opens the freeze.

TEST_F(Cures, RefW2APopFromADeadHostEnds) {
    const uint64_t start = lane.world.now;
    EXPECT_EQ(lane.pop(3), nullptr);
    lane.expect_one_budget(start);
    EXPECT_EQ(lane.flags().fq_contended, 1u);
    EXPECT_TRUE(lane.record.effects().empty());
}

TEST_F(Cures, RefW2ASwitchWithADeadHostEnds) {
    auto *const full = lane.activate(3, 20);
    lane.switch_buffer();
    EXPECT_EQ(lane.newest().pointer, address(full));
    EXPECT_EQ(lane.record.times(Hook::kNoReplacement), 1u);
    EXPECT_EQ(lane.record.only(Hook::kComplete).arguments[1], 0u);
    EXPECT_EQ(lane.state.pointer, 0u);
    EXPECT_EQ(lane.state.seq, 21u);
}

TEST_F(Cures, RefW2AWaitWithoutAFreezeRelaxes) {
    lane.world.pause(8);
    lane.world.then([&] { lane.give_fresh(); });
    EXPECT_TRUE(lane.wait_free());
    EXPECT_GT(lane.world.hints, 0u);
}

TEST_F(Cures, RefW2FreezesThatBringNothingEnd) {
    const uint64_t start = lane.world.now;
    lane.world.step = M::kBackpressureWaitCycles / 100;
    lane.world.host = [&] {
        if (lane.flags().fq_freeze_active != 0) {
            lane.release();
        } else if (lane.flags().fq_contended != 0) {
            lane.freeze_free();
        }
    };
    EXPECT_FALSE(lane.wait_free());
    EXPECT_GE(lane.world.now - start, M::kBackpressureWaitCycles);
}

// A budget of 0 is one look.
TEST_F(Cures, RefW2WithoutABudgetAPopEndsAtOnce) {
    Lane<Impatient> impatient;
    EXPECT_EQ(impatient.pop(1), nullptr);
    EXPECT_LE(impatient.world.reads, 4u);
}

// W3: no header, no signal, no end.

TEST_F(Cures, RefW3AWaitWithoutAHeaderEnds) {
    end_after(1);
    EXPECT_FALSE(Lane<M>::Engine::wait_for_free_queue_entry(nullptr, &lane.free_queue, &lane.head, &lane.tail));
    EXPECT_EQ(lane.head, lane.kUntouched);
    end_no_more();
}

TEST_F(Cures, RefW3APopWithoutAHeaderEnds) {
    end_after(1);
    lane.context.header = nullptr;
    EXPECT_EQ(lane.pop(1), nullptr);
    EXPECT_TRUE(lane.record.effects().empty());
    end_no_more();
}

// W4: a freeze that brought nothing is asked for again.

TEST_F(Cures, RefW4ALaneAsksAgainAfterAFreezeThatBroughtNothing) {
    lane.world.step = 1;
    constexpr int kDroughts = 5;
    for (int drought = 0; drought < kDroughts; ++drought) {
        lane.world.when(lane.free_contended(), [&] {
            // Opened, consumed and released in one tick.
            lane.freeze_free();
            lane.release();
        });
    }
    lane.world.when(lane.free_contended(), [&] {
        lane.freeze_free();
        lane.give_fresh();
        lane.release();
    });
    EXPECT_TRUE(lane.wait_free());
    EXPECT_TRUE(lane.world.script_done());
    EXPECT_EQ(lane.flags().fq_contended, 0u);
}

TEST_F(Cures, RefW4AlsoAfterAFreezeThatLasted) {
    lane.world.step = 1;
    for (int drought = 0; drought < 3; ++drought) {
        lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
        lane.world.pause(6);
        lane.world.then([&] { lane.release(); });
    }
    lane.world.when(lane.free_contended(), [&] {
        lane.freeze_free();
        lane.give_fresh();
        lane.release();
    });
    EXPECT_TRUE(lane.wait_free());
}

// D18: once per freeze, not once per look.
TEST_F(Cures, W4ALaneAsksOncePerFreeze) {
    lane.world.step = 1;
    int raised = 0;
    int freezes = 0;
    bool held = false;
    int age = 0;
    lane.world.host = [&] {
        if (lane.flags().fq_contended != 0) {
            raised += 1;
            lane.freeze_free();
            freezes += held ? 0 : 1;
            held = true;
        }
        // In the end a buffer comes, whether or not it was asked for.
        if (++age % 9 == 0) {
            if (age > 100) {
                if (lane.free_queue.head == lane.free_queue.tail) {
                    lane.give_fresh();
                }
            }
            lane.release();
            held = false;
        }
    };
    EXPECT_TRUE(lane.wait_free());
    EXPECT_GE(raised, 1);
    EXPECT_EQ(raised, freezes);
}

// A pool of one buffer whose collector is slow: the lane goes on as soon as the buffer is back.
TEST_F(Cures, RefW4APoolOfOneBufferWithASlowCollector) {
    lane.world.step = 1;
    auto *const only = lane.activate(0, 0);
    bool away = false;
    int droughts = 0;
    lane.world.host = [&] {
        if (lane.pending() != 0) {
            (void)lane.take();
            away = true;
            droughts = 0;
        }
        if (lane.flags().fq_contended != 0) {
            lane.freeze_free();
            // Comes back only to who asks a third time.
            if (away && ++droughts == 3) {
                lane.give(only);
                away = false;
            }
            lane.release();
        }
    };
    for (uint32_t turn = 1; turn <= 20; ++turn) {
        only->count = 4;
        lane.switch_buffer();
        ASSERT_EQ(lane.state.pointer, address(only));
        ASSERT_EQ(lane.state.seq, turn);
    }
    EXPECT_EQ(lane.state.dropped, 0u);
}

// W5: a signal in a freeze would open the next one.

TEST_F(Cures, RefW5ALaneThatIsServedInAFreezeLeavesNoSignalAtThePushGate) {
    lane.fill_ready();
    lane.flags().rq_freeze_active = 1;
    lane.world.pause(4);
    lane.world.then([&] { lane.place_ready(0, 0); });
    lane.world.pause(2);
    lane.world.then([&] { lane.release(); });
    EXPECT_EQ(lane.enqueue(lane.fresh(), 1), 0);
    EXPECT_EQ(lane.flags().rq_contended, 0u);
}

TEST_F(Cures, RefW5ALaneThatIsServedInAFreezeLeavesNoSignalAtThePopGate) {
    lane.flags().fq_freeze_active = 1;
    lane.world.pause(4);
    lane.world.then([&] {
        lane.give_fresh();
        lane.release();
    });
    EXPECT_TRUE(lane.wait_free());
    EXPECT_EQ(lane.flags().fq_contended, 0u);
}

// But who comes out of a freeze as needy as before must be heard.
TEST_F(Cures, W5WhoComesOutOfAFreezeUnservedIsHeardAtThePopGate) {
    lane.world.step = 1;
    lane.flags().fq_freeze_active = 1;
    lane.world.pause(4);
    lane.world.then([&] { lane.release(); });
    lane.world.when(lane.free_contended(), [&] {
        lane.freeze_free();
        lane.give_fresh();
        lane.release();
    });
    EXPECT_TRUE(lane.wait_free());
    EXPECT_TRUE(lane.world.script_done());
}

TEST_F(Cures, W5WhoComesOutOfAFreezeUnservedIsHeardAtThePushGate) {
    lane.world.step = 1;
    lane.fill_ready();
    lane.flags().rq_freeze_active = 1;
    lane.world.pause(4);
    lane.world.then([&] { lane.release(); });
    lane.world.when(lane.ready_contended(), [&] {
        lane.freeze_ready();
        lane.place_ready(0, 0);
        lane.release();
    });
    EXPECT_TRUE(lane.wait_ready());
    EXPECT_TRUE(lane.world.script_done());
}

// W7: a host that was found dead is not waited for again.

// Whether the patience with it ends or shrinks, all later switches together cost less than the first.
TEST_F(Cures, RefW7LaterSwitchesDoNotWaitForADeadHost) {
    lane.world.step = 1;
    lane.activate(3, 20);
    lane.fill_ready();
    lane.switch_buffer();
    const uint64_t start = lane.world.now;
    auto *const full = reinterpret_cast<M::Buffer *>(lane.state.pointer);
    for (int again = 0; again < 8; ++again) {
        full->count = 4;
        lane.switch_buffer();
    }
    EXPECT_LT(lane.world.now - start, M::kBackpressureWaitCycles);
    EXPECT_EQ(lane.state.dropped, 3u + 8u * 4u);
}

TEST_F(Cures, RefW7ASwitchHasOneBudget) {
    lane.world.step = M::kBackpressureWaitCycles / 100;
    lane.activate(3, 20);
    lane.fill_ready();
    const uint64_t start = lane.world.now;
    lane.world.when(lane.ready_contended(), [&] { lane.freeze_ready(); });
    lane.world.when([&] { return lane.world.now - start >= 900; },
                    [&] {
                        lane.place_ready(0, 0);
                        lane.flags().fq_freeze_active = 1;
                    });
    lane.switch_buffer();
    EXPECT_EQ(lane.pending(), 1u);
    lane.expect_one_budget(start);
}

// A host that comes back is noticed.
TEST_F(Cures, W7AHostThatComesBackIsNoticed) {
    lane.activate(3, 20);
    lane.fill_ready();
    lane.switch_buffer();
    EXPECT_EQ(lane.state.dropped, 3u);
    // Back: it opens the freeze that was asked for, empties the ring, releases.
    lane.freeze_ready();
    lane.place_ready(0, 0);
    auto *const next = lane.give_fresh();
    lane.release();
    auto *const full = reinterpret_cast<M::Buffer *>(lane.state.pointer);
    full->count = 4;
    lane.switch_buffer();
    EXPECT_EQ(lane.state.dropped, 3u);
    EXPECT_EQ(lane.state.pointer, address(next));
    EXPECT_EQ(lane.newest().pointer, address(full));

    // From now on it is waited for as before.
    lane.fill_ready(5);
    lane.give_fresh();
    lane.world.when(lane.ready_contended(), [&] { lane.freeze_ready(); });
    lane.world.pause(3);
    lane.world.then([&] {
        lane.place_ready(5, 5);
        lane.release();
    });
    next->count = 4;
    lane.switch_buffer();
    EXPECT_EQ(lane.state.dropped, 3u);
    EXPECT_EQ(lane.newest().pointer, address(next));
}

// What was learned of a host is forgotten with its run: the next one has the same addresses, and a host that lives.
TEST_F(Cures, W7ANewRunAtTheSameAddresses) {
    lane.activate(3, 20);
    lane.fill_ready();
    lane.switch_buffer();
    lane.state.pointer = 0;
    lane.state.seq = lane.state.dropped = 0;
    lane.place_ready(0, 0);
    lane.release();
    lane.flags().rq_contended = lane.flags().fq_contended = 0;
    auto *const first = lane.give_fresh();
    ASSERT_EQ(lane.try_pop(0), first);
    lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
    lane.world.pause(4);
    lane.world.then([&] {
        (void)lane.take();
        lane.give(first);
        lane.release();
    });
    lane.switch_buffer();
    EXPECT_EQ(lane.state.pointer, address(first));
    EXPECT_EQ(lane.state.seq, 1u);
}

// A lane that found the host dead says nothing about another subsystem's.
TEST_F(Cures, W7AnotherHeaderHasAnotherHost) {
    lane.activate(3, 20);
    lane.fill_ready();
    lane.switch_buffer();
    Lane<M> other;
    other.activate(3, 20);
    other.fill_ready();
    other.give_fresh();
    other.world.pause(4);
    other.world.then([&] { other.place_ready(0, 0); });
    other.switch_buffer();
    EXPECT_EQ(other.state.dropped, 0u);
    EXPECT_EQ(other.pending(), 1u);
}

// W8: the clock is for waits.

TEST_F(Cures, RefW8AnOpenSwitchDoesNotReadTheClock) {
    lane.activate(3, 20);
    lane.give_fresh();
    lane.switch_buffer();
    EXPECT_EQ(lane.pending(), 1u);
    EXPECT_EQ(lane.world.reads, 0u);
}

} // namespace
