// The switch (2.4.7): each step, each exit (2.6), what is accounted (2.7), which hooks are called and in which order
// (2.8).
#include "support.h"

using namespace device_test;

namespace {

template <typename M> class Switch : public ::testing::Test {
  protected:
    Lane<M> lane;
};
using Modules = ::testing::Types<Volatile, Plain, Defaulted, Smallest>;
TYPED_TEST_SUITE(Switch, Modules);

using Calls = std::vector<Call>;

// 2.4.7, steps 1 and 2; D22.
TYPED_TEST(Switch, OfANullStateCallsNothing) {
    using Engine = typename Lane<TypeParam>::Engine;
    auto &lane = this->lane;
    const Unchanged<TypeParam> before(lane);
    Engine::switch_buffer(lane.context, nullptr);
    before.check();
    EXPECT_TRUE(lane.record.calls.empty());
    EXPECT_EQ(lane.world.polls(), 0u);
}

TYPED_TEST(Switch, WithoutABufferAsksForItsPointerAlone) {
    auto &lane = this->lane;
    lane.give_fresh();
    lane.state.seq = 4;
    const Unchanged<TypeParam> before(lane);
    lane.switch_buffer();
    before.check();
    EXPECT_EQ(lane.record.calls, (Calls{call(Hook::kCurrentPtr)}));
    EXPECT_EQ(lane.world.polls(), 0u);
}

// Steps 3 and 5 to 7; D9, D11, D12, and the switch column of 2.8.
TYPED_TEST(Switch, WithAReplacement) {
    auto &lane = this->lane;
    for (const uint32_t seq : {0u, 1u, 41u, 0x7fffffffu, 0xfffffffeu, 0xffffffffu}) {
        for (const uint32_t count : {0u, 1u, 4u}) { // An empty buffer is switched, too.
            const uint32_t head = seq;
            lane.free_queue.head = lane.free_queue.tail = head;
            lane.place_ready(0, 0);
            auto *const next = lane.give_fresh();
            auto *const full = lane.activate(count, seq);
            lane.record.clear();
            lane.switch_buffer();
            const uint64_t state = address(&lane.state);
            ASSERT_EQ(lane.record.effects(),
                      (Calls{call(Hook::kWrite, 0, address(full), seq), call(Hook::kSetCurrentPtr, 0),
                             call(Hook::kSetCurrentSeq, seq + 1), call(Hook::kCleared, state),
                             call(Hook::kSetCount, address(next), 0), call(Hook::kSetCurrentPtr, address(next)),
                             call(Hook::kSetCurrentSeq, seq + 1), call(Hook::kPopSuccess, state, address(next), 0),
                             call(Hook::kComplete, state, address(next))}));
            const std::vector<Call> calls = lane.record.effects();
            EXPECT_EQ(calls[0].shot.ready_tail, 0u);
            EXPECT_EQ(calls[0].shot.pointer, address(full));
            EXPECT_EQ(calls[1].shot.ready_tail, 1u);
            EXPECT_EQ(calls[3].shot.pointer, 0u);
            EXPECT_EQ(calls[3].shot.seq, seq + 1);
            EXPECT_EQ(calls[3].shot.free_head, head);
            EXPECT_EQ(calls[4].shot.free_head, head + 1);
            EXPECT_EQ(lane.newest().pointer, address(full));
            EXPECT_EQ(lane.newest().seq, seq);
            EXPECT_EQ(lane.pending(), 1u);
            EXPECT_EQ(lane.free_queue.head, head + 1);
            EXPECT_EQ(lane.state.pointer, address(next));
            EXPECT_EQ(lane.state.seq, seq + 1);
            EXPECT_EQ(lane.state.dropped, 0u);
            EXPECT_EQ(next->count, 0u);
            EXPECT_EQ(full->count, count);
            EXPECT_EQ(lane.flags().rq_contended, 0u);
            EXPECT_EQ(lane.flags().fq_contended, 0u);
            EXPECT_GE(lane.record.times(Hook::kHeader), 1u);
            EXPECT_LE(lane.record.times(Hook::kHeader), 2u);
            EXPECT_EQ(lane.record.times(Hook::kReadyThread), 1u);
            EXPECT_EQ(lane.record.times(Hook::kFreeQueue), 1u);
            EXPECT_GE(lane.record.times(Hook::kCurrentPtr), 1u);
            EXPECT_GE(lane.record.times(Hook::kCurrentSeq), 1u);
        }
    }
    EXPECT_EQ(lane.world.hints, 0u);
}

// D13, D14: without a replacement, then recovery.
TYPED_TEST(Switch, WithoutAReplacementAndRecovery) {
    auto &lane = this->lane;
    auto *const full = lane.activate(3, 20);
    lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
    lane.switch_buffer();
    const uint64_t state = address(&lane.state);
    EXPECT_EQ(lane.record.effects(), (Calls{call(Hook::kWrite, 0, address(full), 20), call(Hook::kSetCurrentPtr, 0),
                                            call(Hook::kSetCurrentSeq, 21), call(Hook::kCleared, state),
                                            call(Hook::kNoReplacement, state), call(Hook::kComplete, state, 0)}));
    EXPECT_EQ(lane.pending(), 1u);
    EXPECT_EQ(lane.newest().pointer, address(full));
    EXPECT_EQ(lane.state.pointer, 0u);
    EXPECT_EQ(lane.state.seq, 21u);
    EXPECT_EQ(lane.state.dropped, 0u);
    EXPECT_EQ(full->count, 3u);

    // Nothing to switch until there is one again.
    lane.record.clear();
    lane.switch_buffer();
    EXPECT_EQ(lane.record.calls, (Calls{call(Hook::kCurrentPtr)}));

    // The host comes back before the lane asks again.
    (void)lane.take();
    auto *const next = lane.give_fresh();
    lane.release();
    EXPECT_EQ(lane.pop(lane.state.seq), next);
    EXPECT_EQ(lane.state.pointer, address(next));
    EXPECT_EQ(lane.state.seq, 21u);
    EXPECT_EQ(next->count, 0u);
    lane.place_ready(0, 0);
    lane.give_fresh();
    lane.switch_buffer();
    EXPECT_EQ(lane.newest().pointer, address(next));
    EXPECT_EQ(lane.newest().seq, 21u);
    EXPECT_EQ(lane.state.seq, 22u);
}

// A null slot is no replacement.
TYPED_TEST(Switch, OntoANullSlot) {
    auto &lane = this->lane;
    auto *const full = lane.activate(3, 20);
    lane.give(nullptr);
    lane.switch_buffer();
    const uint64_t state = address(&lane.state);
    EXPECT_EQ(lane.record.effects(),
              (Calls{call(Hook::kWrite, 0, address(full), 20), call(Hook::kSetCurrentPtr, 0),
                     call(Hook::kSetCurrentSeq, 21), call(Hook::kCleared, state), call(Hook::kNullSlot, state),
                     call(Hook::kNoReplacement, state), call(Hook::kComplete, state, 0)}));
    EXPECT_EQ(lane.free_queue.head, 1u);
    EXPECT_EQ(lane.state.pointer, 0u);
    EXPECT_EQ(lane.state.seq, 21u);
    EXPECT_EQ(lane.state.dropped, 0u);
}

TYPED_TEST(Switch, WithoutAFreeQueue) {
    auto &lane = this->lane;
    lane.activate(3, 20);
    lane.state.free_queue = nullptr;
    lane.switch_buffer();
    EXPECT_EQ(lane.record.times(Hook::kNoReplacement), 1u);
    EXPECT_EQ(lane.record.times(Hook::kComplete), 1u);
    EXPECT_EQ(lane.pending(), 1u);
    EXPECT_EQ(lane.state.seq, 21u);
}

// Step 4; D9, D23, 2.7: the loss is counted, told, then forgotten, and the buffer goes on.
TYPED_TEST(Switch, ThatCannotPublish) {
    auto &lane = this->lane;
    for (const uint32_t count : {0u, 1u, 4u, 0xffffffffu}) {
        lane.fill_ready();
        lane.give_fresh();
        auto *const full = lane.activate(count, 20);
        const uint32_t dropped = lane.state.dropped;
        const uint32_t head = lane.free_queue.head;
        lane.record.clear();
        lane.switch_buffer();
        const uint64_t state = address(&lane.state);
        ASSERT_EQ(lane.record.effects(),
                  (Calls{call(Hook::kDropped, state, count), call(Hook::kEnqueueFailed, state, address(full), count),
                         call(Hook::kSetCount, address(full), 0)}));
        EXPECT_EQ(full->count, 0u);
        EXPECT_EQ(lane.state.dropped, dropped + count);
        EXPECT_EQ(lane.state.pointer, address(full));
        EXPECT_EQ(lane.state.seq, 20u);
        EXPECT_EQ(lane.free_queue.head, head);
        EXPECT_EQ(lane.header->queue_tails[lane.queue()], 0u);
        EXPECT_EQ(lane.record.times(Hook::kFreeQueue), 0u);
        lane.free_queue.tail = head;
    }
    // The same buffer under the same number, once there is room.
    lane.place_ready(0, 0);
    lane.give_fresh();
    const uint64_t full = lane.state.pointer;
    lane.switch_buffer();
    EXPECT_EQ(lane.newest().pointer, full);
    EXPECT_EQ(lane.newest().seq, 20u);
}

TYPED_TEST(Switch, WithANullHeaderOrABadIndexLosesTheRecords) {
    auto &lane = this->lane;
    lane.give_fresh();
    for (int fault = 0; fault < 3; ++fault) {
        lane.context.header = fault == 0 ? nullptr : lane.header;
        lane.context.thread = fault == 0 ? 0 : fault == 1 ? -1 : kThreads;
        auto *const full = lane.activate(4, 20);
        lane.record.clear();
        const uint32_t dropped = lane.state.dropped;
        lane.switch_buffer();
        EXPECT_EQ(lane.record.effects().size(), 3u);
        EXPECT_EQ(lane.state.dropped, dropped + 4);
        EXPECT_EQ(full->count, 0u);
        EXPECT_EQ(lane.state.pointer, address(full));
        EXPECT_EQ(lane.state.seq, 20u);
    }
    EXPECT_EQ(lane.free_queue.head, 0u);
    EXPECT_EQ(lane.header->queue_tails[0], 0u);
    EXPECT_EQ(lane.world.polls(), 0u);
}

// Publishing precedes acquiring: a pool of one buffer goes round for ever.
TYPED_TEST(Switch, APoolOfOneBufferGoesRound) {
    auto &lane = this->lane;
    auto *const only = lane.activate(0, 0xfffffff0u);
    lane.world.host = [&] {
        if (lane.flags().fq_contended != 0) {
            lane.freeze_free();
        }
        if (lane.pending() != 0) {
            EXPECT_EQ(lane.take().pointer, address(only));
            lane.give(only);
        } else {
            lane.release();
        }
    };
    for (uint32_t turn = 0; turn < 100; ++turn) {
        only->count = 4;
        lane.switch_buffer();
        ASSERT_EQ(lane.state.pointer, address(only));
        ASSERT_EQ(lane.state.seq, 0xfffffff0u + turn + 1);
        ASSERT_EQ(only->count, 0u);
    }
    EXPECT_EQ(lane.state.dropped, 0u);
    EXPECT_EQ(lane.record.times(Hook::kNoReplacement), 0u);
}

} // namespace
