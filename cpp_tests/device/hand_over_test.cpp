// Enqueue, claim, pops and switch (2.4.3 to 2.4.7): each step, each exit (2.6), what is accounted (2.7), which hooks
// are called and in which order (2.8).
#include "support.h"

#include <climits>

using namespace device_test;

namespace {

template <typename M> class HandOver : public ::testing::Test {
  protected:
    // What a failed call must leave alone, and hooks it must not call.
    void expect_silence() {
        EXPECT_TRUE(lane.record.effects().empty());
        EXPECT_EQ(lane.world.polls(), 0u);
    }

    Lane<M> lane;
};
using Modules = ::testing::Types<Volatile, Plain, Defaulted, Smallest>;
TYPED_TEST_SUITE(HandOver, Modules);

using Calls = std::vector<Call>;

// 2.4.3, steps 1 to 5 and 7; D2, D3, D4.
TYPED_TEST(HandOver, EnqueueWritesTheEntryThenTheTail) {
    auto &lane = this->lane;
    for (uint32_t turn = 0; turn < 3 * lane.kRing; ++turn) {
        const uint32_t tail = turn % lane.kRing;
        lane.place_ready(tail, tail);
        lane.record.clear();
        const auto *const buffer = lane.fresh();
        ASSERT_EQ(lane.enqueue(buffer, 1000 + turn), 0);
        ASSERT_EQ(lane.record.effects(), (Calls{call(Hook::kWrite, tail, address(buffer), 1000 + turn)}));
        EXPECT_EQ(lane.record.only(Hook::kWrite).shot.ready_tail, tail);
        EXPECT_EQ(lane.record.times(Hook::kHeader), 1u);
        EXPECT_EQ(lane.record.times(Hook::kReadyThread), 1u);
        EXPECT_EQ(lane.record.calls.size(), 3u);
        EXPECT_EQ(lane.header->queue_tails[lane.queue()], (tail + 1) % lane.kRing);
        EXPECT_EQ(lane.newest().pointer, address(buffer));
        EXPECT_EQ(lane.newest().seq, 1000 + turn);
        EXPECT_EQ(lane.pending(), 1u);
    }
    EXPECT_EQ(lane.flags().rq_contended, 0u);
}

// D4: the queues of other threads are theirs.
TYPED_TEST(HandOver, EnqueueStoresItsOwnTailAlone) {
    auto &lane = this->lane;
    for (int thread = 0; thread < kThreads; ++thread) {
        lane.context.thread = thread;
        for (int other = 0; other < kThreads; ++other) {
            lane.header->queue_tails[other] = lane.header->queue_heads[other] = 0;
        }
        ASSERT_EQ(lane.enqueue(lane.fresh(), 1), 0);
        for (int other = 0; other < kThreads; ++other) {
            EXPECT_EQ(lane.header->queue_tails[other], other == thread ? 1u : 0u);
            EXPECT_EQ(lane.header->queue_heads[other], 0u);
        }
    }
}

// D2: a ring of N takes N - 1.
TYPED_TEST(HandOver, ARingHoldsOneLessThanItsSize) {
    auto &lane = this->lane;
    for (uint32_t entry = 0; entry + 1 < lane.kRing; ++entry) {
        ASSERT_EQ(lane.enqueue(lane.fresh(), entry), 0);
        EXPECT_EQ(lane.flags().rq_contended, 0u);
    }
    EXPECT_EQ(lane.pending(), lane.kRing - 1);
    EXPECT_EQ(lane.enqueue(lane.fresh(), 99), -1);
    EXPECT_EQ(lane.pending(), lane.kRing - 1);
    for (uint32_t entry = 0; entry + 1 < lane.kRing; ++entry) {
        EXPECT_EQ(lane.take().seq, entry);
    }
}

// D21.
TYPED_TEST(HandOver, EnqueueRefusesANullHeader) {
    auto &lane = this->lane;
    lane.context.header = nullptr;
    const Unchanged<TypeParam> before(lane);
    EXPECT_EQ(lane.enqueue(lane.fresh(), 1), -1);
    before.check();
    this->expect_silence();
}

TYPED_TEST(HandOver, EnqueueRefusesIndicesOutOfRange) {
    auto &lane = this->lane;
    for (const int thread : {-1, INT_MIN, kThreads, kThreads + 1, INT_MAX}) {
        lane.context.thread = thread;
        const Unchanged<TypeParam> before(lane);
        EXPECT_EQ(lane.enqueue(lane.fresh(), 1), -1) << thread;
        before.check();
    }
    this->expect_silence();
}

// Step 2; 2.6, "RQ full for the whole budget".
TYPED_TEST(HandOver, EnqueueIntoAFullRingPublishesNothing) {
    auto &lane = this->lane;
    lane.fill_ready(1);
    const uint64_t start = lane.world.now;
    EXPECT_EQ(lane.enqueue(lane.fresh(), 1), -1);
    lane.expect_one_budget(start);
    EXPECT_TRUE(lane.record.effects().empty());
    EXPECT_EQ(lane.header->queue_tails[lane.queue()], 1u);
    EXPECT_EQ(lane.flags().rq_contended, 1u);
}

// Step 6; D16: the entry is there before the lane parks.
TYPED_TEST(HandOver, EnqueueInAFreezePublishesThenParks) {
    auto &lane = this->lane;
    lane.flags().rq_freeze_active = 1;
    int polls_with_entry = 0;
    lane.world.when([&] { return lane.pending() == 1; }, [&] { ++polls_with_entry; });
    lane.world.pause(3);
    lane.world.then([&] { (void)lane.take(); });
    lane.world.then([&] { lane.release(); });
    EXPECT_EQ(lane.enqueue(lane.fresh(), 7), 0);
    EXPECT_EQ(polls_with_entry, 1);
    EXPECT_TRUE(lane.world.script_done());
    EXPECT_GT(lane.world.hints, 0u);
    EXPECT_EQ(lane.flags().rq_contended, 0u);
    EXPECT_EQ(lane.flags().fq_contended, 0u);
}

// A push gate is no pop gate.
TYPED_TEST(HandOver, EnqueuePassesAClosedPopGate) {
    auto &lane = this->lane;
    lane.flags().fq_freeze_active = 1;
    lane.flags().fq_contended = 1;
    EXPECT_EQ(lane.enqueue(lane.fresh(), 7), 0);
    EXPECT_EQ(lane.world.hints, 0u);
    EXPECT_EQ(lane.flags().fq_contended, 1u);
}

// 2.4.4; D5, D6, D7, and the pairs of 2.8.
TYPED_TEST(HandOver, ClaimTakesSlotCountPointerInThisOrder) {
    using Engine = typename Lane<TypeParam>::Engine;
    auto &lane = this->lane;
    for (const uint32_t head : {0u, 1u, 2u, 7u, 0x80000000u, 0xfffffffeu, 0xffffffffu}) {
        lane.free_queue.head = lane.free_queue.tail = head;
        auto *const buffer = lane.give_fresh();
        auto *const old = lane.activate(5, 10);
        lane.record.clear();
        ASSERT_EQ(Engine::claim_free(lane.context, &lane.state, &lane.free_queue, head, 11), buffer);
        ASSERT_EQ(lane.record.calls, (Calls{call(Hook::kSetCount, address(buffer), 0),
                                            call(Hook::kSetCurrentPtr, address(buffer)), call(Hook::kSetCurrentSeq, 11),
                                            call(Hook::kPopSuccess, address(&lane.state), address(buffer), 0)}));
        const Shot reset = lane.record.calls[0].shot;
        EXPECT_EQ(reset.free_head, head + 1);
        EXPECT_EQ(reset.pointer, address(old));
        EXPECT_EQ(lane.record.calls[2].shot.pointer, address(buffer));
        EXPECT_EQ(lane.record.calls[3].shot.seq, 11u);
        EXPECT_EQ(lane.free_queue.head, head + 1);
        EXPECT_EQ(lane.free_queue.tail, head + 1);
        EXPECT_EQ(buffer->count, 0u);
        EXPECT_EQ(old->count, 5u);
        EXPECT_EQ(lane.flags().fq_contended, 0u);
    }
    EXPECT_EQ(lane.world.polls(), 0u);
}

// Step 4; 2.6, "FQ slot holds 0".
TYPED_TEST(HandOver, ClaimOfANullSlotConsumesIt) {
    using Engine = typename Lane<TypeParam>::Engine;
    auto &lane = this->lane;
    for (const uint32_t head : {0u, 0xffffffffu}) {
        lane.free_queue.head = lane.free_queue.tail = head;
        lane.give(nullptr);
        auto *const old = lane.activate(5, 10);
        lane.record.clear();
        EXPECT_EQ(Engine::claim_free(lane.context, &lane.state, &lane.free_queue, head, 11), nullptr);
        EXPECT_EQ(lane.record.calls, (Calls{call(Hook::kNullSlot, address(&lane.state))}));
        EXPECT_EQ(lane.record.calls[0].shot.free_head, head + 1);
        EXPECT_EQ(lane.free_queue.head, head + 1);
        EXPECT_EQ(lane.state.pointer, address(old));
        EXPECT_EQ(lane.state.seq, 10u);
        EXPECT_EQ(lane.state.dropped, 0u);
        EXPECT_EQ(old->count, 5u);
    }
}

// 2.4.5.
TYPED_TEST(HandOver, TryPopOfNothingIsSilent) {
    using Engine = typename Lane<TypeParam>::Engine;
    auto &lane = this->lane;
    EXPECT_EQ(Engine::try_pop_free(lane.context, nullptr, 1), nullptr);
    EXPECT_TRUE(lane.record.calls.empty());
    lane.state.free_queue = nullptr;
    EXPECT_EQ(lane.try_pop(1), nullptr);
    EXPECT_EQ(lane.record.calls, (Calls{call(Hook::kFreeQueue)}));
    EXPECT_EQ(lane.world.polls(), 0u);
}

// D17, also while a freeze is open.
TYPED_TEST(HandOver, TryPopOnAnEmptyQueueReturnsAtOnce) {
    auto &lane = this->lane;
    for (const uint32_t head : {0u, 3u, 0xffffffffu}) {
        for (uint32_t gates = 0; gates < 4; ++gates) {
            lane.free_queue.head = lane.free_queue.tail = head;
            lane.flags().fq_freeze_active = gates & 1;
            lane.flags().fq_contended = gates >> 1;
            lane.record.clear();
            const Unchanged<TypeParam> before(lane);
            EXPECT_EQ(lane.try_pop(1), nullptr);
            before.check();
            this->expect_silence();
            EXPECT_EQ(lane.record.calls, (Calls{call(Hook::kFreeQueue)}));
        }
    }
}

TYPED_TEST(HandOver, TryPopClaims) {
    auto &lane = this->lane;
    // It needs neither a header nor a queue index.
    lane.context.header = nullptr;
    lane.context.thread = -1;
    auto *const buffer = lane.give_fresh();
    EXPECT_EQ(lane.try_pop(42), buffer);
    EXPECT_EQ(lane.record.times(Hook::kHeader), 0u);
    EXPECT_EQ(lane.record.times(Hook::kFreeQueue), 1u);
    EXPECT_EQ(lane.record.times(Hook::kPopSuccess), 1u);
    EXPECT_EQ(lane.state.pointer, address(buffer));
    EXPECT_EQ(lane.state.seq, 42u);
    EXPECT_EQ(lane.world.polls(), 0u);
}

TYPED_TEST(HandOver, TryPopOfANullSlot) {
    auto &lane = this->lane;
    lane.give(nullptr);
    EXPECT_EQ(lane.try_pop(42), nullptr);
    EXPECT_EQ(lane.record.effects(), (Calls{call(Hook::kNullSlot, address(&lane.state))}));
    EXPECT_EQ(lane.free_queue.head, 1u);
    EXPECT_EQ(lane.state.seq, 0u);
}

// 2.4.6, step 1, and the null queue.
TYPED_TEST(HandOver, PopOfNothingIsSilent) {
    using Engine = typename Lane<TypeParam>::Engine;
    auto &lane = this->lane;
    EXPECT_EQ(Engine::pop_free(lane.context, nullptr, 1), nullptr);
    EXPECT_TRUE(lane.record.calls.empty());
    lane.state.free_queue = nullptr;
    const Unchanged<TypeParam> before(lane);
    EXPECT_EQ(lane.pop(1), nullptr);
    before.check();
    this->expect_silence();
}

TYPED_TEST(HandOver, PopClaimsWhatIsThere) {
    auto &lane = this->lane;
    auto *const buffer = lane.give_fresh();
    lane.flags().fq_freeze_active = 1;
    EXPECT_EQ(lane.pop(42), buffer);
    EXPECT_EQ(lane.record.times(Hook::kHeader), 1u);
    EXPECT_EQ(lane.record.times(Hook::kFreeQueue), 1u);
    EXPECT_EQ(lane.record.times(Hook::kReadyThread), 0u);
    EXPECT_EQ(lane.record.effects(), (Calls{call(Hook::kSetCount, address(buffer), 0),
                                            call(Hook::kSetCurrentPtr, address(buffer)), call(Hook::kSetCurrentSeq, 42),
                                            call(Hook::kPopSuccess, address(&lane.state), address(buffer), 0)}));
    EXPECT_EQ(lane.world.polls(), 0u);
}

TYPED_TEST(HandOver, PopWaitsForTheHost) {
    auto &lane = this->lane;
    typename TypeParam::Buffer *buffer = nullptr;
    lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
    lane.world.pause(3);
    lane.world.then([&] { buffer = lane.give_fresh(); });
    lane.world.then([&] { lane.release(); });
    EXPECT_EQ(lane.pop(9), buffer);
    EXPECT_NE(buffer, nullptr);
    EXPECT_EQ(lane.state.pointer, address(buffer));
    EXPECT_EQ(lane.state.seq, 9u);
    EXPECT_EQ(buffer->count, 0u);
}

// 2.6, "FQ empty, freeze open for the whole budget".
TYPED_TEST(HandOver, PopGivesUpInAFreeze) {
    auto &lane = this->lane;
    lane.world.when(lane.free_contended(), [&] { lane.freeze_free(); });
    const uint64_t start = lane.world.now;
    EXPECT_EQ(lane.pop(9), nullptr);
    lane.expect_one_budget(start);
    EXPECT_TRUE(lane.record.effects().empty());
    EXPECT_EQ(lane.free_queue.head, 0u);
    EXPECT_EQ(lane.state.pointer, 0u);
    EXPECT_EQ(lane.state.seq, 0u);
}

// Modules need not be visible outside their file, and may be instances of a template.
template <int Tag> struct Local : Toy<PlainShape, 3, 2, 500> {};

TEST(HandOverLocal, ModulesOfAFileHaveEnginesOfTheirOwn) {
    Lane<Local<1>> lane;
    auto *const next = lane.give_fresh();
    auto *const full = lane.activate(1, 1);
    profiling_device::DeviceProfilerEngine<Local<2>>::switch_buffer(lane.context, &lane.state);
    EXPECT_EQ(lane.newest().pointer, address(full));
    EXPECT_EQ(lane.state.pointer, address(next));
}

// The aliases are the module's types.
static_assert(std::is_same_v<Lane<Volatile>::Engine::Context, Volatile::Context>);
static_assert(std::is_same_v<Lane<Volatile>::Engine::DataHeader, Volatile::DataHeader>);
static_assert(std::is_same_v<Lane<Volatile>::Engine::State, Volatile::State>);
static_assert(std::is_same_v<Lane<Volatile>::Engine::FreeQueue, Volatile::FreeQueue>);
static_assert(std::is_same_v<Lane<Volatile>::Engine::Buffer, Volatile::Buffer>);

// Signatures as callers take them.
using Engine = Lane<Volatile>::Engine;
[[maybe_unused]] constexpr bool (*kWaitReady)(Volatile::DataHeader *, int, uint32_t *,
                                              uint32_t *) = &Engine::wait_for_ready_queue_space;
[[maybe_unused]] constexpr bool (*kWaitFree)(Volatile::DataHeader *, Volatile::FreeQueue *, uint32_t *,
                                             uint32_t *) = &Engine::wait_for_free_queue_entry;
[[maybe_unused]] constexpr int (*kEnqueue)(Volatile::Context, uint64_t, uint32_t) = &Engine::enqueue_ready;
[[maybe_unused]] constexpr Volatile::Buffer *(*kClaim)(Volatile::Context, Volatile::State *, Volatile::FreeQueue *,
                                                       uint32_t, uint32_t) = &Engine::claim_free;
[[maybe_unused]] constexpr Volatile::Buffer *(*kTryPop)(Volatile::Context, Volatile::State *,
                                                        uint32_t) = &Engine::try_pop_free;
[[maybe_unused]] constexpr Volatile::Buffer *(*kPop)(Volatile::Context, Volatile::State *,
                                                     uint32_t) = &Engine::pop_free;
[[maybe_unused]] constexpr void (*kSwitch)(Volatile::Context, Volatile::State *) = &Engine::switch_buffer;

} // namespace
