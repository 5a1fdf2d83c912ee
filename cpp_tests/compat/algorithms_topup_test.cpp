// Topping up a free queue (contract, 3.7), in the form of a drain thread and in that of startup and freeze.
#include "device.h"

using namespace profiling_common;
using compat::errors;
using compat::expect_logged;
using log_capture::Level;
using sim::Bed;
using sim::kForGood;
using sim::kRows;
using sim::OddModule;
using sim::Sharing;
using sim::Trace;
using sim::Verdict;

namespace {

using Ptrs = std::vector<void *>;
constexpr uint32_t kSlots = OddModule::kSlotCount;

enum class Form { kDrain, kRefill };

// Free queue (0, 0) and lane (0, 0), topped up by either form; no other instance.
class QueueBed : public Bed<OddModule> {
  public:
    QueueBed(Sharing sharing, Form form) : Bed<OddModule>(sharing), form_(form), carrier_(new_buffer()) {
        set(
            [](auto &h) -> auto & { return h.live_instances; }, 1);
    }

    // One top-up without allocation. A drain thread does it while it processes an entry, whose buffer is then taken
    // back.
    void top_up() {
        memory.alloc_fault.arm(1, compat::Fault::kForGood);
        if (form_ == Form::kRefill) {
            refill();
        } else {
            process(0, entry_of(carrier_, 0, 0, 1));
            sim::ReadyInfo info{};
            EXPECT_TRUE(manager->try_pop_ready(info, 0));
        }
        memory.alloc_fault.disarm();
    }

    void *carrier() const { return carrier_; }

    // Each buffer is in one place. Attempts to allocate do not count, they failed.
    void expect_all_there() { expect_conserved({carrier_}); }

  private:
    const Form form_;
    void *const carrier_;
};

class AlgorithmsTopUp : public ::testing::TestWithParam<std::tuple<Sharing, Form>> {
  protected:
    static std::unique_ptr<QueueBed> make_bed() {
        return std::make_unique<QueueBed>(std::get<0>(GetParam()), std::get<1>(GetParam()));
    }
};
std::string name_of(const ::testing::TestParamInfo<std::tuple<Sharing, Form>> &info) {
    return std::string(compat::name_of(std::get<0>(info.param))) +
           (std::get<1>(info.param) == Form::kDrain ? "Drain" : "Refill");
}
const auto kForms = ::testing::Values(Form::kDrain, Form::kRefill);
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsTopUp,
                         ::testing::Combine(::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                                            kForms),
                         name_of);

class AlgorithmsTopUpCopied : public AlgorithmsTopUp {};
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsTopUpCopied, ::testing::Combine(::testing::Values(Sharing::kShadow), kForms),
                         name_of);

TEST_P(AlgorithmsTopUp, FillsUpToTheSlotCountOldestFirst) {
    for (uint32_t filled = 0; filled <= kSlots; ++filled) {
        auto bed = make_bed();
        const Ptrs present = bed->seed(0, 0, static_cast<int>(filled));
        bed->top_up();
        ASSERT_EQ(bed->free_content(0, 0), present);
        const Ptrs lane = bed->seed(0, 0, 5);
        bed->top_up();
        Ptrs expected = present;
        expected.insert(expected.end(), lane.begin(), lane.begin() + (kSlots - filled));
        EXPECT_EQ(bed->free_content(0, 0), expected);
        EXPECT_EQ(bed->manager->recycled_count(0, 0), 5 - (kSlots - filled));
        bed->expect_all_there();
    }
}

TEST_P(AlgorithmsTopUp, AFullQueueIsLeftAlone) {
    auto bed = make_bed();
    bed->seed(0, 0, 4);
    bed->top_up();
    bed->seed(0, 0, 2);
    bed->record();
    bed->top_up();
    EXPECT_EQ(bed->pushes(), Trace{});
    EXPECT_EQ(bed->manager->recycled_count(0, 0), 2u);
}

TEST_P(AlgorithmsTopUp, CountersWrapAt32Bits) {
    auto bed = make_bed();
    for (const uint32_t start : {0xfffffffdu, 0xfffffffeu, 0xffffffffu}) {
        bed->set_free_counters(0, 0, start, start + 1);
        bed->seed(0, 0, 3);
        bed->top_up();
        EXPECT_EQ(bed->dev->free_queues[0][0].tail, start + 4);
        EXPECT_EQ(bed->host->free_queues[0][0].tail, start + 4);
        EXPECT_EQ(bed->free_fill(0, 0), kSlots);
    }
    EXPECT_EQ(errors(), 0u);
}

// Whatever the device and the host did before, never more than the slots hold (H14).
TEST_P(AlgorithmsTopUp, TheFillNeverExceedsTheSlots) {
    auto bed = make_bed();
    uint32_t tail = 0;
    for (uint32_t i = 0; i < 50; ++i) {
        bed->seed(0, 0, static_cast<int>(5 - bed->manager->recycled_count(0, 0)));
        bed->top_up();
        ASSERT_EQ(bed->free_fill(0, 0), kSlots);
        ASSERT_GE(bed->dev->free_queues[0][0].tail, tail);
        tail = bed->dev->free_queues[0][0].tail;
        for (uint32_t taken = 0; taken < i % (kSlots + 1); ++taken) {
            ASSERT_NE(bed->take_free(0, 0), nullptr);
        }
    }
    EXPECT_EQ(errors(), 0u);
}

// A head that the device has corrupted, ahead of the tail or far behind it: the queue counts as full.
TEST_P(AlgorithmsTopUp, ACorruptHeadCountsAsFull) {
    for (const uint32_t head : {3u, 11u, 0x7fffffffu, 0xfffffff0u}) {
        auto bed = make_bed();
        bed->seed(0, 0, 2);
        bed->set_free_counters(0, 0, head, 2);
        bed->record();
        bed->top_up();
        EXPECT_EQ(bed->pushes(), Trace{}) << head;
        EXPECT_EQ(bed->manager->recycled_count(0, 0), 2u) << head;
        // Sound again, it goes on.
        bed->set_free_counters(0, 0, 0, 2);
        bed->top_up();
        EXPECT_EQ(bed->free_fill(0, 0), kSlots);
    }
}

// Transfers.

// At each push of the tail the slots below it hold their pointers already, on the device.
TEST_P(AlgorithmsTopUpCopied, SlotsAreVisibleBeforeTheTail) {
    auto bed = make_bed();
    const Ptrs lane = bed->seed(0, 0, 4);
    size_t tails = 0;
    bed->before_transfer([&](const sim::Transfer &transfer) {
        if (transfer.name.compare(0, 11, ">free_tail[") == 0) {
            const uint32_t next = static_cast<uint32_t>(std::stoul(transfer.name.substr(transfer.name.find('=') + 1)));
            for (uint32_t i = bed->dev->free_queues[0][0].tail; i != next; ++i) {
                EXPECT_EQ(bed->dev->free_queues[0][0].buffer_ptrs[i % kSlots], compat::address(lane.at(i)));
            }
            ++tails;
        }
    });
    bed->top_up();
    EXPECT_GE(tails, 1u);
    EXPECT_EQ(bed->free_content(0, 0), lane);
}

// A stale copy of what the device owns is never pushed, here the head.
TEST_P(AlgorithmsTopUpCopied, OnlySlotsAndTailOfTheQueueArePushed) {
    auto bed = make_bed();
    bed->seed(0, 0, 3);
    bed->dev->free_queues[0][0].head = 10;
    bed->dev->free_queues[0][0].tail = 12;
    bed->host->free_queues[0][0].head = 9;
    bed->host->free_queues[0][0].tail = 12;
    bed->record();
    bed->top_up();
    const Trace pushes = bed->pushes();
    EXPECT_EQ(bed->count(pushes, ">slot[0][0]") + bed->count(pushes, ">free_tail[0][0]"), pushes.size());
    EXPECT_EQ(bed->dev->free_queues[0][0].head, 10u);
    EXPECT_EQ(bed->dev->free_queues[0][0].tail, 14u);
    EXPECT_GE(bed->count(bed->trace(), "<free_head[0][0]"), 1u);
}

TEST_P(AlgorithmsTopUpCopied, AtMostFourTransfersPerBuffer) {
    for (int buffers = 0; buffers <= 4; ++buffers) {
        auto bed = make_bed();
        bed->seed(0, 0, buffers);
        bed->record();
        bed->top_up();
        size_t transfers = 0;
        for (const char *name : {"<free_head[0]", "<free_tail[0]", ">slot[0]", ">free_tail[0]"}) {
            transfers += bed->count(bed->trace(), name);
        }
        EXPECT_LE(transfers, 4u * static_cast<size_t>(buffers) + 1);
        EXPECT_GE(transfers, buffers == 0 ? 1u : 3u);
    }
}

// Failures.

TEST_P(AlgorithmsTopUpCopied, AnUnreadableHeadCountsAsFull) {
    auto bed = make_bed();
    const Ptrs lane = bed->seed(0, 0, 2);
    bed->fail("<free_head[0][0]");
    expect_logged(Level::kError, "head of a free queue", [&] { bed->top_up(); });
    EXPECT_EQ(bed->free_fill(0, 0), 0u);
    EXPECT_EQ(bed->manager->recycled_count(0, 0), 2u);
    bed->heal();
    bed->top_up();
    EXPECT_EQ(bed->free_content(0, 0), lane);
}

TEST_P(AlgorithmsTopUpCopied, AFailedSlotPushParksTheBuffer) {
    auto bed = make_bed();
    bed->seed(0, 0, 1);
    bed->host->free_queues[0][0].buffer_ptrs[0] = 0x1234;
    bed->fail(">slot[0][0]");
    expect_logged(Level::kError, "slot push", [&] { bed->top_up(); });
    EXPECT_EQ(bed->dev->free_queues[0][0].tail, 0u);
    EXPECT_EQ(bed->host->free_queues[0][0].tail, 0u);
    EXPECT_EQ(bed->host->free_queues[0][0].buffer_ptrs[0], 0x1234u);
    EXPECT_EQ(bed->manager->recycled_count(0, 0), 0u);
    bed->expect_all_there();
}

TEST_P(AlgorithmsTopUpCopied, AFailedTailPushParksTheBuffer) {
    auto bed = make_bed();
    bed->seed(0, 0, 1);
    bed->host->free_queues[0][0].buffer_ptrs[0] = 0x1234;
    bed->fail(">free_tail[0][0]");
    expect_logged(Level::kError, "tail push", [&] { bed->top_up(); });
    EXPECT_EQ(bed->dev->free_queues[0][0].tail, 0u);
    EXPECT_EQ(bed->host->free_queues[0][0].tail, 0u);
    EXPECT_EQ(bed->host->free_queues[0][0].buffer_ptrs[0], 0x1234u);
    EXPECT_EQ(bed->manager->recycled_count(0, 0), 0u);
    bed->expect_all_there();
}

// Whichever transfer fails, once or for good: what was published stays, the rest is somewhere, none is twice.
TEST_P(AlgorithmsTopUpCopied, FailureAtAnyCallKeepsEveryBuffer) {
    for (const char *direction : {"<free", ">free", ">slot", ">"}) {
        for (int k = 1; k <= 10; ++k) {
            for (const int last : {k, k + 1, kForGood}) {
                auto bed = make_bed();
                bed->seed(0, 0, 5);
                bed->fail(direction, k, last);
                bed->top_up();
                const uint32_t published = bed->dev->free_queues[0][0].tail;
                EXPECT_LE(published, kSlots);
                EXPECT_EQ(bed->host->free_queues[0][0].tail, published);
                if (published < kSlots) {
                    EXPECT_GE(errors(), 1u) << direction << k;
                }
                bed->heal();
                bed->top_up();
                EXPECT_GE(bed->free_fill(0, 0), published);
                bed->expect_all_there();
                log_capture::reset();
            }
        }
    }
}

// A push that failed on the way leaves a slot above the tail, which the device never looks at.
TEST_P(AlgorithmsTopUpCopied, AFailedSlotPushThatLandedIsHarmless) {
    auto bed = make_bed();
    bed->seed(0, 0, 2);
    bed->fail(">slot[0][0]", 1, 1, Verdict::kLand);
    bed->top_up();
    EXPECT_EQ(bed->free_fill(0, 0), 0u);
    bed->top_up();
    EXPECT_GE(bed->free_fill(0, 0), 1u);
    bed->expect_all_there();
}

TEST_P(AlgorithmsTopUpCopied, RefW34ATailPushThatLandedIsAPublication) {
    for (int k = 1; k <= 4; ++k) {
        auto bed = make_bed();
        bed->seed(0, 0, 5);
        bed->fail(">free_tail[0][0]", k, k, Verdict::kLand);
        bed->top_up();
        EXPECT_EQ(bed->host->free_queues[0][0].tail, bed->dev->free_queues[0][0].tail);
        bed->heal();
        bed->top_up();
        EXPECT_EQ(bed->free_fill(0, 0), kSlots);
        // Nothing is counted wrong when the device goes on.
        for (int round = 0; round < 3; ++round) {
            void *const taken = bed->take_free(0, 0);
            ASSERT_NE(taken, nullptr);
            ASSERT_TRUE(bed->manager->push_recycled(0, taken, 0));
            bed->top_up();
            EXPECT_EQ(bed->free_fill(0, 0), kSlots);
        }
        bed->expect_all_there();
    }
}

// The push landed, but nobody can tell. Until the tail is readable again the buffer enters no lane; then the queue goes
// on, although the device took the buffer meanwhile.
TEST_P(AlgorithmsTopUpCopied, RefW34AnUnreadableTailIsReadAgainBeforeTheNextTopUp) {
    for (const bool taken_meanwhile : {false, true}) {
        auto bed = make_bed();
        const Ptrs lane = bed->seed(0, 0, 5);
        bed->fail(">free_tail[0][0]", 1, 1, Verdict::kLand);
        bed->fail_for_good("<free_tail[0][0]");
        bed->top_up();
        EXPECT_GE(errors(), 1u);
        Ptrs held_by_device{bed->carrier()};
        if (taken_meanwhile) {
            held_by_device.push_back(bed->take_free(0, 0));
            EXPECT_EQ(held_by_device.back(), lane[0]);
        }
        // Still unreadable: nothing may be published.
        bed->record();
        bed->top_up();
        EXPECT_EQ(bed->pushes(), Trace{});
        bed->heal();
        bed->top_up();
        EXPECT_EQ(bed->free_fill(0, 0), kSlots);
        std::set<void *> seen(held_by_device.begin(), held_by_device.end());
        for (void *ptr : bed->free_content(0, 0)) {
            EXPECT_TRUE(seen.insert(ptr).second) << "published twice";
        }
        // Not in a lane either; the host may still know of it for the teardown.
        while (void *ptr = bed->manager->pop_recycled(0, 0)) {
            EXPECT_TRUE(seen.insert(ptr).second) << "in a lane and at the device";
        }
    }
}

// The push did not land, and nobody can tell. The buffer is not lost for the teardown, and the queue goes on.
TEST_P(AlgorithmsTopUpCopied, AnUnreadableTailThatDidNotLandCostsNothing) {
    auto bed = make_bed();
    bed->seed(0, 0, 5);
    bed->fail(">free_tail[0][0]");
    bed->fail_for_good("<free_tail[0][0]");
    bed->top_up();
    bed->heal();
    bed->top_up();
    EXPECT_EQ(bed->free_fill(0, 0), kSlots);
    bed->expect_all_there();
}

// A doubt about one queue is no doubt about another.
TEST_P(AlgorithmsTopUpCopied, OtherQueuesGoOnMeanwhile) {
    auto bed = make_bed();
    bed->seed(0, 0, 1);
    bed->fail(">free_tail[0][0]", 1, 1, Verdict::kLand);
    bed->fail_for_good("<free_tail[0][0]");
    bed->top_up();
    bed->seed(0, 1, 4);
    bed->process(1, bed->entry_of(bed->new_buffer(), 0, 1, 1));
    EXPECT_EQ(bed->free_fill(0, 1), kSlots);
}

// Startup and freeze form.

class AlgorithmsRefill : public ::testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsRefill,
                         ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

TEST_P(AlgorithmsRefill, TakesLiveLanesFromTheLowestShardOnBeforeItAllocates) {
    Bed<OddModule> bed(GetParam(), 3);
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 1);
    Ptrs lanes[3];
    for (int shard : {2, 1, 0}) {
        lanes[shard] = bed.seed(0, shard, 1);
    }
    const size_t before = bed.allocations();
    // Kind 1 has no buffer anywhere.
    bed.memory.alloc_fault.arm(2, compat::Fault::kForGood);
    EXPECT_EQ(bed.refill(), 4u);
    const Ptrs content = bed.free_content(0, 0);
    ASSERT_EQ(content.size(), 4u);
    for (int shard = 0; shard < 3; ++shard) {
        EXPECT_EQ(content[static_cast<size_t>(shard)], lanes[shard][0]);
    }
    // The fourth is new; then the allocator fails and kind 1 gets none.
    EXPECT_EQ(bed.allocations() - before, 2u);
    EXPECT_EQ(bed.free_fill(1, 0), 0u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(AlgorithmsRefill, LanesThatAreNotLiveAreNotTouched) {
    Bed<OddModule> bed(GetParam());
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 1);
    bed.seed(0, kRows - 1, 2);
    bed.manager->set_shard_count(kRows - 1);
    bed.memory.alloc_fault.arm(1, compat::Fault::kForGood);
    EXPECT_EQ(bed.refill(), 0u);
    bed.manager->set_shard_count(kRows);
    EXPECT_EQ(bed.manager->recycled_count(0, kRows - 1), 2u);
}

TEST_P(AlgorithmsRefill, AllocatesBlocksOfTheBatchSizeAndDealsThemOverTheLanes) {
    Bed<OddModule> bed(GetParam());
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 1);
    OddModule::batch[0] = 3;
    OddModule::batch[1] = 6;
    const size_t before = bed.allocations();
    EXPECT_EQ(bed.refill(), 8u);
    const auto calls = bed.memory.calls(compat::Memory::Op::kAlloc);
    // Kind 0 takes two blocks of three for four slots, kind 1 one block of six.
    ASSERT_EQ(calls.size() - before, 3u);
    EXPECT_EQ(calls[before].size, 3u * 128);
    EXPECT_EQ(calls[before + 1].size, 3u * 128);
    EXPECT_EQ(calls[before + 2].size, 6u * 256);
    EXPECT_EQ(bed.manager->recycled_count(0), 2u);
    EXPECT_EQ(bed.manager->recycled_count(1), 2u);
    for (int kind = 0; kind < 2; ++kind) {
        for (void *ptr : bed.free_content(kind, 0)) {
            EXPECT_NE(bed.manager->resolve_host_ptr(ptr), nullptr);
        }
    }
}

TEST_P(AlgorithmsRefill, EveryInstanceIsServedAndTheSumReturned) {
    Bed<OddModule> bed(GetParam());
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 3);
    EXPECT_EQ(bed.refill(), 2u * 3 * kSlots);
    EXPECT_EQ(bed.free_fill(1, 2), kSlots);
    EXPECT_EQ(bed.free_fill(0, 3), 0u);
    EXPECT_EQ(bed.refill(), 0u);
    bed.take_free(1, 2);
    EXPECT_EQ(bed.refill(), 1u);
}

TEST_P(AlgorithmsRefill, ADryAllocatorLeavesTheRest) {
    Bed<OddModule> bed(GetParam());
    bed.set(
        [](auto &h) -> auto & { return h.live_instances; }, 2);
    bed.memory.alloc_fault.arm(4, compat::Fault::kForGood);
    EXPECT_EQ(bed.refill(), 3u);
    EXPECT_EQ(bed.free_fill(0, 0), 3u);
    bed.memory.alloc_fault.disarm();
    EXPECT_EQ(bed.refill(), 13u);
    bed.expect_conserved();
}

TEST_P(AlgorithmsRefill, AFailedRegistrationLeavesTheRestAndNoBlock) {
    for (const bool null : {false, true}) {
        Bed<OddModule> bed(GetParam());
        bed.set(
            [](auto &h) -> auto & { return h.live_instances; }, 1);
        (null ? bed.memory.null_reg_fault : bed.memory.reg_fault).arm(1, compat::Fault::kForGood);
        const size_t live = bed.memory.live();
        expect_logged(Level::kError, "registration", [&] { EXPECT_EQ(bed.refill(), 0u); });
        EXPECT_EQ(bed.memory.live(), live);
        EXPECT_EQ(bed.memory.bad_frees(), 0);
    }
}

struct Twice : OddModule {
    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        for (int name = 0; name < 2; ++name) {
            cb(name, &header->free_queues[0][0], sim::buffer_size(name));
        }
    }
};

// As the runtime's own suite has it: two names for one free queue.
TEST_P(AlgorithmsRefill, AQueueNamedTwiceIsFilledOnce) {
    Bed<Twice> bed(GetParam());
    EXPECT_EQ(bed.refill(), kSlots);
    EXPECT_EQ(bed.free_fill(0, 0), kSlots);
    bed.expect_conserved();
}

template <typename M> class AlgorithmsTopUpShapes : public ::testing::Test {};
using Shapes =
    ::testing::Types<sim::Module<1, 1, 2, 1, 1, 1>, sim::Module<3, 3, 3, 5, 1, 3>, sim::Module<4, kRows, 5, 3, 5, 5>,
                     sim::Module<1, 1, 8, 16, 16, 8>, sim::Module<2, kRows, 7, 5, 3, 4, sim::ShuffledLayout>>;
TYPED_TEST_SUITE(AlgorithmsTopUpShapes, Shapes);

// Slot = counter modulo slot count; the device finds the buffers in the order in which they were published.
TYPED_TEST(AlgorithmsTopUpShapes, AnySlotCountGoesRound) {
    for (const Sharing sharing : {Sharing::kIdentity, Sharing::kShadow}) {
        Bed<TypeParam> bed(sharing);
        EXPECT_EQ(bed.refill(), static_cast<uint64_t>(TypeParam::kBufferKinds) * kRows * TypeParam::kSlotCount);
        for (uint32_t round = 0; round < 4 * TypeParam::kSlotCount; ++round) {
            for (int kind = 0; kind < TypeParam::kBufferKinds; ++kind) {
                void *const taken = bed.take_free(kind, 0);
                ASSERT_NE(taken, nullptr);
                ASSERT_TRUE(bed.manager->push_recycled(kind, taken, 0));
                ASSERT_EQ(bed.refill(), 1u);
                ASSERT_EQ(bed.free_content(kind, 0).size(), TypeParam::kSlotCount);
                ASSERT_EQ(bed.free_content(kind, 0).back(), taken);
            }
        }
        EXPECT_EQ(errors(), 0u);
        bed.expect_conserved();
    }
}

} // namespace
