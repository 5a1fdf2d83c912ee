// try_pop_aicpu_entry, step by step (contract, 3.5).
#include "device.h"

using namespace profiling_common;
using compat::errors;
using compat::expect_logged;
using compat::expect_silent;
using log_capture::Level;
using sim::Bed;
using sim::kForGood;
using sim::kRows;
using sim::OddModule;
using sim::ReadyEntry;
using sim::Sharing;
using sim::Trace;
using sim::Verdict;

namespace {

constexpr uint32_t kN = OddModule::kReadyQueueSize;

class AlgorithmsPop : public ::testing::TestWithParam<Sharing> {
  protected:
    // Pops until the queue is dry for `tries` calls in a row; the sequence numbers in the order of their arrival.
    std::vector<uint64_t> pop_all(int q, int tries) {
        std::vector<uint64_t> popped;
        for (int idle = 0; idle < tries;) {
            ReadyEntry entry{};
            if (bed_.pop(q, entry)) {
                popped.push_back(entry.sequence);
                idle = 0;
            } else {
                ++idle;
            }
        }
        return popped;
    }

    Bed<OddModule> bed_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsPop, ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

class AlgorithmsPopCopied : public AlgorithmsPop {};
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsPopCopied, ::testing::Values(Sharing::kShadow), compat::SharingName());

TEST_P(AlgorithmsPop, EmptyQueueIsSilentlyFalse) {
    ReadyEntry entry{};
    expect_silent("empty", [&] {
        for (int q = 0; q < kRows; ++q) {
            EXPECT_FALSE(bed_.pop(q, entry));
        }
    });
}

TEST_P(AlgorithmsPop, EntriesComeInOrderOverManyLapsAndRowsAreSeparate) {
    uint64_t published[kRows] = {};
    uint64_t popped[kRows] = {};
    void *const buffer = bed_.new_buffer();
    for (uint32_t lap = 0; lap < 5 * kN; ++lap) {
        for (int q = 0; q < kRows; ++q) {
            // A different number per row and lap, up to a full queue.
            for (uint32_t i = 0; i < 1 + (lap + static_cast<uint32_t>(q)) % kN; ++i) {
                published[q] += bed_.publish(q, buffer, 0, q, published[q]) ? 1 : 0;
            }
        }
        for (int q = 0; q < kRows; ++q) {
            for (uint32_t i = 0; i < 1 + lap % (kN - 1); ++i) {
                ReadyEntry entry{};
                if (!bed_.pop(q, entry)) {
                    EXPECT_EQ(popped[q], published[q]);
                    break;
                }
                ASSERT_EQ(entry.sequence, popped[q]++);
                ASSERT_EQ(entry.instance, static_cast<uint32_t>(q));
                ASSERT_EQ(entry.buffer_ptr, compat::address(buffer));
                ASSERT_EQ(bed_.dev->queue_heads[q], popped[q] % kN);
                ASSERT_EQ(bed_.host->queue_heads[q], popped[q] % kN);
            }
        }
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(AlgorithmsPop, AFullQueueIsEmptiedToTheLastEntry) {
    void *const buffer = bed_.new_buffer();
    for (uint64_t i = 0; i < kN - 1; ++i) {
        ASSERT_TRUE(bed_.publish(1, buffer, 0, 1, i));
    }
    ASSERT_FALSE(bed_.publish(1, buffer, 0, 1, 99));
    EXPECT_EQ(pop_all(1, 2).size(), kN - 1);
}

TEST_P(AlgorithmsPop, InvalidIndicesAreReportedAndLeftAlone) {
    for (const uint32_t bad : {kN, kN + 1, 0x80000000u, 0xffffffffu}) {
        for (const bool head : {false, true}) {
            Bed<OddModule> bed(GetParam());
            bed.publish_new(0, 7);
            bed.set(
                [head](auto &h) -> auto & { return head ? h.queue_heads[0] : h.queue_tails[0]; }, bad);
            ReadyEntry entry{};
            bed.record();
            expect_logged(Level::kError, "index outside the ring", [&] { EXPECT_FALSE(bed.pop(0, entry)); });
            EXPECT_EQ(bed.pushes(), Trace{});
            EXPECT_EQ(bed.host->queue_heads[0], head ? bad : 0u);
            EXPECT_EQ(bed.dev->queue_heads[0], head ? bad : 0u);
            // Sound again, the queue goes on where it was.
            bed.set(
                [](auto &h) -> auto & { return h.queue_heads[0]; }, 0);
            bed.set(
                [](auto &h) -> auto & { return h.queue_tails[0]; }, 1);
            ASSERT_TRUE(bed.pop(0, entry));
            EXPECT_EQ(entry.sequence, 7u);
        }
    }
}

TEST_P(AlgorithmsPop, ANullEntryIsNotThereYet) {
    bed_.publish_new(0, 1);
    const uint64_t pointer = bed_.dev->queues[0][0].buffer_ptr;
    bed_.dev->queues[0][0].buffer_ptr = 0;
    ReadyEntry entry{};
    expect_silent("null entry", [&] {
        EXPECT_FALSE(bed_.pop(0, entry));
        EXPECT_FALSE(bed_.pop(0, entry));
    });
    EXPECT_EQ(bed_.host->queue_heads[0], 0u);
    EXPECT_EQ(bed_.dev->queue_heads[0], 0u);
    bed_.dev->queues[0][0].buffer_ptr = pointer;
    ASSERT_TRUE(bed_.pop(0, entry));
    EXPECT_EQ(entry.buffer_ptr, pointer);
}

TEST_P(AlgorithmsPop, WithoutRefreshTheIndicesAreUsedAsTheyAre) {
    bed_.publish_new(0, 5);
    ReadyEntry entry{};
    bed_.record();
    if (bed_.shadowed()) {
        // The mirror does not know the new tail yet.
        EXPECT_FALSE(bed_.pop(0, entry, false));
        EXPECT_EQ(bed_.trace(), Trace{});
        bed_.host->queue_tails[0] = 1;
    }
    ASSERT_TRUE(bed_.pop(0, entry, false));
    EXPECT_EQ(entry.sequence, 5u);
    if (bed_.shadowed()) {
        EXPECT_EQ(bed_.trace(), (Trace{"<entry[0][0]", ">head[0]=1"}));
    }
    EXPECT_EQ(bed_.dev->queue_heads[0], 1u);
}

TEST_P(AlgorithmsPop, RefreshIsOffUnlessAskedFor) {
    bed_.publish_new(0, 5);
    ReadyEntry entry{};
    const bool found = Bed<OddModule>::Algorithms::try_pop_aicpu_entry(*bed_.manager, bed_.host, 0, entry);
    EXPECT_EQ(found, !bed_.shadowed());
}

// Transfers.

// Entry after tail and before head; the only word pushed is the own head.
TEST_P(AlgorithmsPopCopied, TailThenEntryThenHead) {
    for (int q = 0; q < kRows; ++q) {
        bed_.publish_new(q, 3);
        bed_.record();
        ReadyEntry entry{};
        ASSERT_TRUE(bed_.pop(q, entry));
        const std::string row = "[" + std::to_string(q) + "]";
        const Trace trace = bed_.trace();
        EXPECT_LT(bed_.position(trace, "<tail" + row), bed_.position(trace, "<entry" + row + "[0]"));
        EXPECT_LT(bed_.position(trace, "<entry" + row + "[0]"), bed_.position(trace, ">head" + row));
        EXPECT_EQ(bed_.pushes(), Trace{">head" + row + "=1"});
        EXPECT_LE(trace.size(), 4u);
    }
}

TEST_P(AlgorithmsPopCopied, RefW10TheOwnHeadIsNotReadBack) {
    bed_.publish_new(2, 3);
    bed_.record();
    ReadyEntry entry{};
    ASSERT_TRUE(bed_.pop(2, entry));
    EXPECT_EQ(bed_.trace(), (Trace{"<tail[2]", "<entry[2][0]", ">head[2]=1"}));
}

TEST_P(AlgorithmsPopCopied, AnEmptyPollPushesNothingAndReadsNoEntry) {
    bed_.record();
    ReadyEntry entry{};
    EXPECT_FALSE(bed_.pop(0, entry));
    EXPECT_EQ(bed_.count(bed_.trace(), ">"), 0u);
    EXPECT_EQ(bed_.count(bed_.trace(), "<entry"), 0u);
    EXPECT_LE(bed_.trace().size(), 2u);
}

// The mirror may hold anything where an entry will be: the entry is fetched after the tail.
TEST_P(AlgorithmsPopCopied, AStaleEntryOfTheMirrorIsNotBelieved) {
    bed_.publish_new(0, 8);
    bed_.host->queues[0][0] = ReadyEntry{0xdead0000, 1, 3, 77, 0};
    ReadyEntry entry{};
    ASSERT_TRUE(bed_.pop(0, entry));
    EXPECT_EQ(entry.sequence, 8u);
    EXPECT_EQ(entry.buffer_ptr, bed_.dev->queues[0][0].buffer_ptr);
}

// The tail arrives before the entry does: what the entry transfer carries decides, not the mirror.
TEST_P(AlgorithmsPopCopied, ATornMirrorIsNotDelivered) {
    bed_.publish_new(0, 8);
    const ReadyEntry whole = bed_.dev->queues[0][0];
    bed_.host->queues[0][0] = ReadyEntry{0xdead0000, 1, 3, 77, 0};
    bed_.put_entry(0, 0, ReadyEntry{0, 1, 3, 77, 0});
    ReadyEntry entry{};
    EXPECT_FALSE(bed_.pop(0, entry));
    EXPECT_EQ(bed_.host->queue_heads[0], 0u);
    bed_.put_entry(0, 0, whole);
    ASSERT_TRUE(bed_.pop(0, entry));
    EXPECT_EQ(entry.sequence, 8u);
}

// As soon as the device sees the head it may reuse the slot.
TEST_P(AlgorithmsPopCopied, TheEntryIsReadBeforeTheHeadIsVisible) {
    bed_.publish_new(0, 8);
    bed_.before_transfer([this](const sim::Transfer &transfer) {
        if (transfer.name == ">head[0]=1") {
            bed_.put_entry(0, 0, ReadyEntry{0xdead0000, 1, 3, 77, 0});
            bed_.host->queues[0][0] = ReadyEntry{0xdead0000, 1, 3, 77, 0};
        }
    });
    ReadyEntry entry{};
    ASSERT_TRUE(bed_.pop(0, entry));
    EXPECT_EQ(entry.sequence, 8u);
    EXPECT_NE(entry.buffer_ptr, 0xdead0000u);
}

TEST_P(AlgorithmsPopCopied, OnlyHeadsInsideTheRingArePushed) {
    bed_.record();
    for (uint64_t i = 0; i < 3 * kN; ++i) {
        bed_.publish_new(0, i);
        ReadyEntry entry{};
        ASSERT_TRUE(bed_.pop(0, entry));
    }
    Trace expected;
    for (uint64_t i = 1; i <= 3 * kN; ++i) {
        expected.push_back(">head[0]=" + std::to_string(i % kN));
    }
    EXPECT_EQ(bed_.pushes(), expected);
}

// Failures.

TEST_P(AlgorithmsPopCopied, EachFailedTransferLeavesTheEntryQueued) {
    for (const char *what : {"<tail[0]", "<entry[0]", ">head[0]"}) {
        Bed<OddModule> bed(GetParam());
        bed.publish_new(0, 4);
        bed.fail(what);
        ReadyEntry entry{};
        expect_logged(Level::kError, what, [&] { EXPECT_FALSE(bed.pop(0, entry)); });
        EXPECT_EQ(bed.host->queue_heads[0], 0u) << what;
        EXPECT_EQ(bed.dev->queue_heads[0], 0u) << what;
        ASSERT_TRUE(bed.pop(0, entry)) << what;
        EXPECT_EQ(entry.sequence, 4u) << what;
        EXPECT_EQ(bed.dev->queue_heads[0], 1u) << what;
        EXPECT_FALSE(bed.pop(0, entry)) << what;
    }
}

// Whichever call fails, once: each entry once, in order.
TEST_P(AlgorithmsPopCopied, FailureAtAnyCallCostsNoEntry) {
    for (const char *direction : {"<", ">"}) {
        for (int k = 1; k <= 16; ++k) {
            Bed<OddModule> bed(GetParam());
            std::vector<uint64_t> expected;
            for (uint64_t i = 0; i < 5; ++i) {
                bed.publish_new(0, i);
                expected.push_back(i);
            }
            bed.fail(direction, k, k);
            std::vector<uint64_t> popped;
            for (int call = 0; call < 7; ++call) {
                ReadyEntry entry{};
                if (bed.pop(0, entry)) {
                    popped.push_back(entry.sequence);
                }
            }
            EXPECT_EQ(popped, expected) << direction << k;
            EXPECT_EQ(bed.dev->queue_heads[0], 5u);
        }
    }
}

TEST_P(AlgorithmsPopCopied, WhatFailsForGoodDeliversNothingUntilItIsHealed) {
    for (const char *what : {"<", ">", "<entry", "<tail", ">head"}) {
        Bed<OddModule> bed(GetParam());
        bed.publish_new(0, 1);
        bed.publish_new(0, 2);
        bed.fail_for_good(what);
        ReadyEntry entry{};
        for (int i = 0; i < 10; ++i) {
            EXPECT_FALSE(bed.pop(0, entry)) << what;
        }
        EXPECT_GE(errors(), 1u) << what;
        bed.heal();
        ASSERT_TRUE(bed.pop(0, entry)) << what;
        EXPECT_EQ(entry.sequence, 1u);
        ASSERT_TRUE(bed.pop(0, entry)) << what;
        EXPECT_EQ(entry.sequence, 2u);
    }
}

// H13: the push took effect although it reported failure. The entry comes with a later call, none twice.
TEST_P(AlgorithmsPopCopied, RefW10AHeadPushThatLandedDoesNotSkipTheEntry) {
    for (int k = 1; k <= 4; ++k) {
        for (int failures = 1; failures <= 3; ++failures) {
            Bed<OddModule> bed(GetParam());
            std::vector<uint64_t> expected;
            for (uint64_t i = 0; i < 5; ++i) {
                bed.publish_new(0, i);
                expected.push_back(i);
            }
            bed.fail(">head[0]", k, k + failures - 1, Verdict::kLand);
            std::vector<uint64_t> popped;
            for (int call = 0; call < 5 + failures; ++call) {
                ReadyEntry entry{};
                if (bed.pop(0, entry)) {
                    popped.push_back(entry.sequence);
                }
            }
            EXPECT_EQ(popped, expected) << k << ", " << failures << " times";
            EXPECT_EQ(bed.dev->queue_heads[0], 5u);
            EXPECT_EQ(bed.host->queue_heads[0], 5u);
        }
    }
}

// The device's copy of the head is no source: whatever it says, the host goes on where it was.
TEST_P(AlgorithmsPopCopied, RefW10TheDeviceCopyOfTheHeadIsIgnored) {
    for (uint64_t i = 0; i < 4; ++i) {
        bed_.publish_new(0, i);
    }
    bed_.dev->queue_heads[0] = 3;
    for (uint64_t i = 0; i < 4; ++i) {
        ReadyEntry entry{};
        ASSERT_TRUE(bed_.pop(0, entry));
        EXPECT_EQ(entry.sequence, i);
    }
}

// Other geometries.

template <typename M> class AlgorithmsPopShapes : public ::testing::Test {};
using Shapes =
    ::testing::Types<sim::Module<1, 1, 1, 1, 1, 1>, sim::Module<1, 2, 2, 1, 1, 1>, sim::Module<3, 3, 3, 5, 1, 3>,
                     sim::Module<4, kRows, 5, 3, 5, 5>, sim::Module<2, kRows, 7, 5, 3, 4, sim::ShuffledLayout>>;
TYPED_TEST_SUITE(AlgorithmsPopShapes, Shapes);

TYPED_TEST(AlgorithmsPopShapes, HoldsOneLessThanItsSizeAndWraps) {
    for (const Sharing sharing : {Sharing::kIdentity, Sharing::kShadow}) {
        constexpr uint32_t kSize = TypeParam::kReadyQueueSize;
        Bed<TypeParam> bed(sharing);
        void *const buffer = bed.new_buffer();
        uint64_t published = 0;
        uint64_t popped = 0;
        for (int lap = 0; lap < 20; ++lap) {
            uint32_t held = 0;
            while (bed.publish(0, buffer, 0, 0, published)) {
                ++published;
                ++held;
            }
            EXPECT_EQ(held, kSize - 1);
            ReadyEntry entry{};
            while (bed.pop(0, entry)) {
                ASSERT_EQ(entry.sequence, popped++);
                ASSERT_LT(bed.dev->queue_heads[0], kSize);
            }
            EXPECT_EQ(popped, published);
        }
        EXPECT_EQ(log_capture::total(), 0u);
    }
}

} // namespace
