// update_backpressure_freeze: every row of the state machine (contract, 5), driven by hand.
#include "device.h"

using namespace profiling_common;
using compat::errors;
using compat::warnings;
using sim::Bed;
using sim::kRows;
using sim::load;
using sim::ModuleCall;
using sim::OddModule;
using sim::Sharing;
using sim::store;
using sim::Trace;
using sim::Verdict;

namespace {

enum class Gate { kPush, kPop };

// One gate of a bed, chosen by the parameter; the other one stays closed unless a case opens it.
class Freeze : public ::testing::TestWithParam<std::tuple<Sharing, Gate>> {
  protected:
    using TestBed = Bed<OddModule>;

    Freeze() : bed_(std::get<0>(GetParam())), gate_(std::get<1>(GetParam())) { bed_.refill(); }

    static volatile uint32_t &freeze_word(DfxBackpressureHeader &gates, Gate gate) {
        return gate == Gate::kPush ? gates.rq_freeze_active : gates.fq_freeze_active;
    }
    static volatile uint32_t &contended_word(DfxBackpressureHeader &gates, Gate gate) {
        return gate == Gate::kPush ? gates.rq_contended : gates.fq_contended;
    }

    // The words of a gate as the device sees them.
    uint32_t f(Gate gate) { return load(freeze_word(bed_.dev->backpressure, gate)); }
    uint32_t c(Gate gate) { return load(contended_word(bed_.dev->backpressure, gate)); }
    uint32_t f() { return f(gate_); }
    uint32_t c() { return c(gate_); }
    uint32_t host_f() { return load(freeze_word(bed_.host->backpressure, gate_)); }

    void contend(Gate gate) { store(contended_word(bed_.dev->backpressure, gate), 1); }
    void contend() { contend(gate_); }
    Gate other() const { return gate_ == Gate::kPush ? Gate::kPop : Gate::kPush; }

    std::string freeze_name() const { return gate_ == Gate::kPush ? "rqF" : "fqF"; }
    std::string contended_name() const { return gate_ == Gate::kPush ? "rqC" : "fqC"; }

    // Opens the gate and leaves it open.
    void open() {
        contend();
        bed_.tick(false);
        ASSERT_EQ(f(), 1u);
        ASSERT_EQ(c(), 0u);
        log_capture::reset();
    }

    // Lets a refill find something to do.
    void starve() {
        held_.push_back(bed_.take_free(0, 0));
        ASSERT_NE(held_.back(), nullptr);
    }

    TestBed bed_;
    const Gate gate_;
    std::vector<void *> held_; // what starve() took
};
std::string name_of(const ::testing::TestParamInfo<std::tuple<Sharing, Gate>> &info) {
    return std::string(compat::name_of(std::get<0>(info.param))) +
           (std::get<1>(info.param) == Gate::kPush ? "PushGate" : "PopGate");
}
const auto kGates = ::testing::Values(Gate::kPush, Gate::kPop);
INSTANTIATE_TEST_SUITE_P(All, Freeze,
                         ::testing::Combine(::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                                            kGates),
                         name_of);

class FreezeCopied : public Freeze {};
INSTANTIATE_TEST_SUITE_P(All, FreezeCopied, ::testing::Combine(::testing::Values(Sharing::kShadow), kGates), name_of);

// Rows 1 and 2.

TEST_P(Freeze, Row1ContentionOpensTheGateAndIsAcknowledged) {
    starve();
    contend();
    bed_.tick();
    EXPECT_EQ(f(), 1u);
    EXPECT_EQ(c(), 0u);
    EXPECT_EQ(host_f(), 1u);
    EXPECT_EQ(f(other()), 0u);
    EXPECT_EQ(c(other()), 0u);
    EXPECT_EQ(warnings(), 1u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(Freeze, Row1AnyNonZeroWordIsContention) {
    starve();
    store(contended_word(bed_.dev->backpressure, gate_), 0x80000000u);
    bed_.tick();
    EXPECT_EQ(f(), 1u);
    EXPECT_EQ(c(), 0u);
}

TEST_P(Freeze, Row1TheOtherGateIsNotTouched) {
    starve();
    contend();
    bed_.record();
    bed_.tick();
    const std::string name = gate_ == Gate::kPush ? ">fq" : ">rq";
    EXPECT_EQ(bed_.count(bed_.trace(), name), 0u);
}

TEST_P(FreezeCopied, Row1TheFreezeIsPushedBeforeTheContentionIsCleared) {
    starve();
    contend();
    bed_.record();
    bed_.tick(false);
    const Trace pushes = bed_.pushes();
    ASSERT_GE(pushes.size(), 2u);
    EXPECT_EQ(pushes[0], ">" + freeze_name() + "=1");
    EXPECT_EQ(pushes[1], ">" + contended_name() + "=0");
}

// No transfer carries more than a word of its own, here over a whole freeze.
TEST_P(FreezeCopied, AllPushesAreNarrow) {
    starve();
    contend();
    bed_.record();
    for (int i = 0; i < 4; ++i) {
        bed_.tick();
    }
    EXPECT_EQ(f(), 0u);
    for (const std::string &push : bed_.pushes()) {
        EXPECT_TRUE(sim::is_narrow_push(push)) << push;
    }
}

TEST_P(Freeze, Row1aWithoutContentionNothingHappens) {
    starve();
    bed_.record();
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
    }
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(bed_.pushes(), Trace{});
    EXPECT_EQ(bed_.free_fill(0, 0), 3u);
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(FreezeCopied, Row1aAnUnreadableContentionDoesNotOpen) {
    contend();
    bed_.fail("<" + contended_name());
    bed_.record();
    bed_.tick();
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(c(), 1u);
    EXPECT_EQ(bed_.pushes(), Trace{});
    bed_.tick(false);
    EXPECT_EQ(f(), 1u);
}

// The shadow's own copy of the contended word is no source.
TEST_P(FreezeCopied, Row1aAStaleContentionOfTheShadowDoesNotOpen) {
    store(contended_word(bed_.host->backpressure, gate_), 1);
    bed_.tick();
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(warnings(), 0u);
}

TEST_P(Freeze, Row1bLateContentionStaysAndOpensTheGateAgain) {
    open();
    contend();
    bed_.tick(false);
    EXPECT_EQ(c(), 1u);
    EXPECT_EQ(warnings(), 0u);
    bed_.tick();
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(c(), 1u);
    bed_.tick(false);
    EXPECT_EQ(f(), 1u);
    EXPECT_EQ(c(), 0u);
}

TEST_P(FreezeCopied, Row1bAnOpenGateDoesNotReadItsContention) {
    open();
    bed_.record();
    bed_.tick(false);
    EXPECT_EQ(bed_.count(bed_.trace(), "<" + contended_name()), 0u);
}

TEST_P(Freeze, BothGatesOpenInOneTick) {
    contend(Gate::kPush);
    contend(Gate::kPop);
    bed_.tick(false);
    EXPECT_EQ(f(Gate::kPush), 1u);
    EXPECT_EQ(f(Gate::kPop), 1u);
    EXPECT_EQ(c(Gate::kPush), 0u);
    EXPECT_EQ(c(Gate::kPop), 0u);
    EXPECT_EQ(warnings(), 2u);
}

TEST_P(Freeze, TheSecondGateMayOpenLater) {
    open();
    contend(other());
    bed_.tick(false);
    EXPECT_EQ(f(), 1u);
    EXPECT_EQ(f(other()), 1u);
    EXPECT_EQ(warnings(), 1u);
}

// Row 3.

TEST_P(FreezeCopied, Row3AnIdleTickCostsTwoReads) {
    bed_.record();
    bed_.tick();
    EXPECT_EQ(bed_.pushes(), Trace{});
    EXPECT_LE(bed_.trace().size(), 2u);
}

TEST_P(Freeze, Row3AnIdleTickRefillsNothing) {
    starve();
    OddModule::observer = [](ModuleCall) { ADD_FAILURE() << "the Module is asked"; };
    bed_.tick();
    OddModule::observer = nullptr;
}

// Rows 4, 5, 6.

TEST_P(FreezeCopied, Row4UnreadableTailsKeepItOpen) {
    open();
    starve();
    bed_.fail("<tail");
    bed_.record();
    bed_.tick();
    EXPECT_EQ(f(), 1u);
    EXPECT_EQ(bed_.pushes(), Trace{});
    bed_.heal();
    bed_.tick();
    bed_.tick();
    EXPECT_EQ(f(), 0u);
}

TEST_P(Freeze, Row5AnyQueueThatIsNotDrainedKeepsItOpen) {
    open();
    starve();
    for (int row = 0; row < kRows; ++row) {
        void *const buffer = bed_.new_buffer();
        ASSERT_TRUE(bed_.publish(row, buffer, 0, row, 1));
        bed_.record();
        for (int i = 0; i < 3; ++i) {
            bed_.tick();
        }
        EXPECT_EQ(f(), 1u) << row;
        EXPECT_EQ(bed_.pushes(), Trace{}) << row;
        EXPECT_EQ(bed_.free_fill(0, 0), 3u) << "refilled before the queues are drained";
        sim::ReadyEntry entry{};
        ASSERT_TRUE(bed_.pop(row, entry));
    }
    bed_.tick();
    bed_.tick();
    EXPECT_EQ(f(), 0u);
}

// The heads are the host's own words; the device's copies may lag behind.
TEST_P(FreezeCopied, Row5TheOwnHeadsCountNotTheDevicesCopies) {
    open();
    bed_.host->queue_heads[1] = 3;
    bed_.dev->queue_tails[1] = 3;
    bed_.dev->queue_heads[1] = 0;
    bed_.record();
    bed_.tick();
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(bed_.count(bed_.trace(), "<head"), 0u);
}

TEST_P(Freeze, Row6RefillsAndStaysOpenUntilAPassPublishesNothing) {
    open();
    starve();
    starve();
    bed_.tick();
    EXPECT_EQ(bed_.free_fill(0, 0), 4u);
    EXPECT_EQ(f(), 1u);
    EXPECT_EQ(warnings(), 0u);
    bed_.tick();
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(warnings(), 1u);
    bed_.expect_conserved(held_);
}

TEST_P(Freeze, Row6EveryInstanceOfEveryKindIsRefilled) {
    open();
    for (int kind = 0; kind < 2; ++kind) {
        for (int i = 0; i < kRows; ++i) {
            ASSERT_TRUE(bed_.manager->push_recycled(kind, bed_.take_free(kind, i), i));
        }
    }
    const size_t before = bed_.allocations();
    bed_.tick();
    for (int kind = 0; kind < 2; ++kind) {
        for (int i = 0; i < kRows; ++i) {
            EXPECT_EQ(bed_.free_fill(kind, i), 4u);
        }
    }
    EXPECT_EQ(bed_.allocations(), before);
    bed_.expect_conserved();
}

TEST_P(Freeze, Row6TheMetadataHookIsCalledBeforeTheRefill) {
    open();
    const int before = OddModule::metadata_calls;
    bed_.tick();
    EXPECT_EQ(OddModule::metadata_calls, before + 1);
}

// Dry pool and dry allocator: what is attainable is there, so the freeze ends.
TEST_P(Freeze, Row6AnAllocatorThatFailsDoesNotHoldTheRelease) {
    starve();
    contend();
    bed_.memory.alloc_fault.arm(1, compat::Fault::kForGood);
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
    }
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(bed_.free_fill(0, 0), 3u);
}

TEST_P(FreezeCopied, Row6AnUnreadableFreeHeadDoesNotHoldTheRelease) {
    starve();
    contend();
    bed_.fail_for_good("<free_head[0][0]");
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
    }
    EXPECT_EQ(f(), 0u);
    EXPECT_GE(errors(), 1u);
}

// Rows 7 and 8.

TEST_P(Freeze, Row7ThePredicateHoldsTheReleaseButNotTheRefill) {
    open();
    starve();
    for (int i = 0; i < 5; ++i) {
        bed_.tick(false);
    }
    EXPECT_EQ(f(), 1u);
    EXPECT_EQ(bed_.free_fill(0, 0), 4u);
    EXPECT_EQ(warnings(), 0u);
    bed_.tick(true);
    EXPECT_EQ(f(), 0u);
}

TEST_P(Freeze, Row7ThePredicateIsTrueUnlessGiven) {
    contend();
    ProfilerAlgorithms<OddModule>::update_backpressure_freeze(*bed_.manager, bed_.host);
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(c(), 0u);
    EXPECT_EQ(warnings(), 2u);
}

TEST_P(Freeze, Row8OneCallOpensAndReleasesWhenNothingIsToBeDone) {
    contend();
    bed_.tick();
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(host_f(), 0u);
    EXPECT_EQ(c(), 0u);
    EXPECT_EQ(warnings(), 2u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(Freeze, Row8BothGatesAreReleasedInOneTickWithOneWarning) {
    open();
    contend(other());
    bed_.tick(false);
    log_capture::reset();
    bed_.tick();
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(f(other()), 0u);
    EXPECT_EQ(warnings(), 1u);
}

TEST_P(FreezeCopied, Row8FreeQueuesAreFullBeforeTheReleaseIsVisible) {
    starve();
    contend();
    bool released = false;
    bed_.before_transfer([&](const sim::Transfer &transfer) {
        if (transfer.name == ">" + freeze_name() + "=0") {
            released = true;
            for (int i = 0; i < kRows; ++i) {
                EXPECT_EQ(bed_.free_fill(0, i), 4u);
                EXPECT_EQ(bed_.free_fill(1, i), 4u);
            }
        }
    });
    bed_.tick();
    bed_.tick();
    EXPECT_TRUE(released);
}

// H20: from the device's mark until the release the pair never reads (0, 0).
TEST_P(FreezeCopied, NoGapBetweenMarkAndRelease) {
    starve();
    contend();
    bool released = false;
    const auto check = [&](const sim::Transfer &transfer) {
        released = released || transfer.name == ">" + freeze_name() + "=0";
        if (!released) {
            EXPECT_NE(f() + c(), 0u) << transfer.name;
        }
    };
    bed_.before_transfer(check);
    bed_.after_transfer(check);
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
        EXPECT_TRUE(released || f() + c() != 0);
    }
    EXPECT_TRUE(released);
}

// The device's side of a release: C = 1 raised while frozen is not swallowed by it.
TEST_P(Freeze, EveryMarkIsServedInTheEnd) {
    for (int round = 0; round < 20; ++round) {
        contend();
        for (int i = 0; i < 4 && f() + c() != 0; ++i) {
            if (round % 3 == i) {
                contend();
            }
            bed_.tick(i % 2 == 0 || i == 3);
        }
        for (int i = 0; i < 3; ++i) {
            bed_.tick();
        }
        ASSERT_EQ(f(), 0u);
        ASSERT_EQ(c(), 0u);
    }
}

// W16: failed word pushes.

// The device is not parked until it sees the freeze, so its mark must stay and the push be repeated.
TEST_P(FreezeCopied, RefW16AFreezeThatCouldNotBePushedIsPushedAgain) {
    for (const int failures : {1, 2, 5}) {
        starve();
        contend();
        bed_.fail(">" + freeze_name() + "=1", 1, failures);
        int ticks = 0;
        while (f() == 0 && ticks < failures + 3) {
            bed_.tick(false);
            ++ticks;
            EXPECT_NE(f() + c(), 0u) << "mark cleared although the device does not see the freeze";
        }
        EXPECT_EQ(f(), 1u);
        bed_.heal();
        for (int i = 0; i < 4; ++i) {
            bed_.tick();
        }
        EXPECT_EQ(f(), 0u);
        EXPECT_EQ(c(), 0u);
        EXPECT_EQ(bed_.free_fill(0, 0), 4u);
    }
}

TEST_P(FreezeCopied, RefW16AReleaseThatCouldNotBePushedIsPushedAgain) {
    for (const int failures : {1, 2, 5}) {
        contend();
        bed_.fail(">" + freeze_name() + "=0", 1, failures);
        int ticks = 0;
        do {
            bed_.tick();
            ++ticks;
        } while (f() != 0 && ticks < failures + 3);
        EXPECT_EQ(f(), 0u);
        EXPECT_EQ(host_f(), 0u);
        bed_.heal();
        // Closed for good, and it opens as before.
        bed_.record();
        bed_.tick();
        EXPECT_EQ(bed_.pushes(), Trace{});
    }
}

TEST_P(FreezeCopied, RefW16APushThatLandedAndReportedFailureDoesNoHarm) {
    for (const char *value : {"=1", "=0"}) {
        starve();
        contend();
        bed_.fail(">" + freeze_name() + value, 1, 1, Verdict::kLand);
        bed_.record();
        for (int i = 0; i < 5; ++i) {
            bed_.tick();
        }
        EXPECT_EQ(f(), 0u);
        EXPECT_EQ(c(), 0u);
        EXPECT_EQ(bed_.free_fill(0, 0), 4u);
        // It was repeated, or read back.
        EXPECT_GE(
            bed_.count(bed_.pushes(), ">" + freeze_name() + value) + bed_.count(bed_.trace(), "<" + freeze_name()), 2u);
        bed_.heal();
    }
}

// Reported once per change of a gate, not once per tick.
TEST_P(FreezeCopied, ALastingPushFailureDoesNotFloodTheLog) {
    contend();
    bed_.fail_for_good(">" + freeze_name());
    for (int i = 0; i < 200; ++i) {
        bed_.tick(false);
    }
    EXPECT_LE(log_capture::total(), 10u);
}

// A contended word that could not be cleared costs one freeze more, nothing else.
TEST_P(FreezeCopied, AMarkThatCouldNotBeClearedOnlyOpensAgain) {
    contend();
    bed_.fail(">" + contended_name());
    for (int i = 0; i < 5; ++i) {
        bed_.tick();
    }
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(c(), 0u);
}

// A Module that throws leaves the gate shut for that tick only.
TEST_P(Freeze, AnExceptionInATickDoesNotOutliveIt) {
    starve();
    contend();
    OddModule::observer = [](ModuleCall call) {
        if (call == ModuleCall::kForEachInstance) {
            throw std::runtime_error("the Module fails");
        }
    };
    EXPECT_THROW(bed_.tick(), std::runtime_error);
    OddModule::observer = nullptr;
    EXPECT_EQ(f(), 1u);
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
    }
    EXPECT_EQ(f(), 0u);
    EXPECT_EQ(bed_.free_fill(0, 0), OddModule::kSlotCount);
}

// Whatever fails once: the machine ends where it should, nothing is lost or published twice.
TEST_P(FreezeCopied, FailureAtAnyCallEndsClosedAndComplete) {
    for (const char *direction : {"<", ">"}) {
        for (int k = 1; k <= 30; ++k) {
            Bed<OddModule> bed(Sharing::kShadow);
            bed.refill();
            for (int kind = 0; kind < 2; ++kind) {
                ASSERT_TRUE(bed.manager->push_recycled(kind, bed.take_free(kind, 1), 2));
                ASSERT_TRUE(bed.manager->push_recycled(kind, bed.take_free(kind, 2), 0));
            }
            store(contended_word(bed.dev->backpressure, gate_), 1);
            bed.fail(direction, k, k);
            for (int i = 0; i < 6; ++i) {
                bed.tick();
                // As a lane does that still finds its queue empty.
                if (load(bed.dev->backpressure.fq_freeze_active) == 0 && bed.free_fill(0, 2) < 4) {
                    store(contended_word(bed.dev->backpressure, gate_), 1);
                }
            }
            bed.heal();
            for (int i = 0; i < 3; ++i) {
                bed.tick();
            }
            EXPECT_EQ(load(bed.host->backpressure.rq_freeze_active), 0u) << direction << k;
            EXPECT_EQ(load(bed.host->backpressure.fq_freeze_active), 0u) << direction << k;
            EXPECT_EQ(bed.free_fill(0, 2), 4u) << direction << k;
            bed.expect_conserved();
        }
    }
}

} // namespace
