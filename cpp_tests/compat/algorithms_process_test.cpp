// process_entry, step by step (contract, 3.6): what is delivered, what is not, and where the buffer is then.
#include "device.h"

using namespace profiling_common;
using compat::errors;
using compat::expect_logged;
using log_capture::Level;
using sim::Bed;
using sim::eventually;
using sim::kRows;
using sim::OddModule;
using sim::ReadyEntry;
using sim::ReadyInfo;
using sim::Sharing;
using sim::Trace;

namespace {

using Ptrs = std::vector<void *>;
using Places = std::multiset<void *>;

class AlgorithmsProcess : public ::testing::TestWithParam<Sharing> {
  protected:
    // The entries of a ready ring, which is emptied.
    static std::vector<ReadyInfo> delivered(Bed<OddModule> &bed, int shard) {
        std::vector<ReadyInfo> infos;
        ReadyInfo info{};
        while (bed.manager->try_pop_ready(info, shard)) {
            infos.push_back(info);
        }
        return infos;
    }

    // Expects that nothing was delivered to any shard.
    static void expect_nothing_delivered(Bed<OddModule> &bed) {
        for (int shard = 0; shard < kRows; ++shard) {
            EXPECT_TRUE(delivered(bed, shard).empty());
        }
    }

    // Parks a marker in each retired pool; afterwards the order of release tells in which pool `ptr` lies: its (shard,
    // kind), or (-1, -1) if it is in none.
    static std::pair<int, int> retired_at(Bed<OddModule> &bed, void *ptr) {
        std::map<void *, std::pair<int, int>> markers;
        for (int shard = 0; shard < kRows; ++shard) {
            for (int kind = 0; kind < OddModule::kBufferKinds; ++kind) {
                void *const marker = compat::fake(0x900000u + static_cast<uintptr_t>(16 * shard + kind));
                EXPECT_TRUE(bed.manager->retire_unqueued_buffer(kind, marker, shard));
                markers[marker] = {shard, kind};
            }
        }
        std::pair<int, int> pool{-1, -1};
        std::pair<int, int> found{-1, -1};
        // Newest first: the marker of a pool comes before what was parked earlier.
        bed.manager->release_owned_buffers([&](void *released) {
            const auto marker = markers.find(released);
            if (marker != markers.end()) {
                pool = marker->second;
            } else if (released == ptr) {
                found = pool;
            }
        });
        return found;
    }

    Bed<OddModule> bed_{GetParam()};
};
const auto kAll = ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow);
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsProcess, kAll, compat::SharingName());

class AlgorithmsProcessCopied : public AlgorithmsProcess {};
INSTANTIATE_TEST_SUITE_P(All, AlgorithmsProcessCopied, ::testing::Values(Sharing::kShadow), compat::SharingName());

// 3.3, 4.8: the kind is asked for on collector threads only, which alone may look into the buffer.
TEST_P(AlgorithmsProcess, NobodyAsksForTheKindOnTheWayIn) {
    Bed<OddModule> bed(GetParam());
    bed.publish_new(0, 1);
    int asked = 0;
    OddModule::observer = [&asked](sim::ModuleCall call) { asked += call == sim::ModuleCall::kKindOf ? 1 : 0; };
    ReadyEntry entry{};
    ASSERT_TRUE(bed.pop(0, entry));
    bed.process(0, entry);
    ASSERT_TRUE(bed.manager->push_to_ready(ReadyInfo{compat::fake(1), nullptr, 7, 1, 0, 0}, 0));
    bed.manager->wait_push_to_ready(ReadyInfo{compat::fake(2), nullptr, 8, 1, 0, 0}, 0);
    OddModule::observer = nullptr;
    EXPECT_EQ(asked, 0);
    const std::vector<ReadyInfo> infos = delivered(bed, 0);
    ASSERT_EQ(infos.size(), 3u);
    EXPECT_EQ(infos[1].sequence, 7u);
    EXPECT_EQ(infos[2].kind, 1);
}

TEST_P(AlgorithmsProcess, DeliversTheBufferWithItsContents) {
    for (int q = 0; q < kRows; ++q) {
        for (int kind = 0; kind < OddModule::kBufferKinds; ++kind) {
            void *const buffer = bed_.new_buffer(kind);
            bed_.process(q, bed_.entry_of(buffer, kind, q, 42));
            const std::vector<ReadyInfo> infos = delivered(bed_, q);
            ASSERT_EQ(infos.size(), 1u);
            EXPECT_EQ(infos[0].dev_buffer_ptr, buffer);
            ASSERT_NE(infos[0].host_buffer_ptr, nullptr);
            EXPECT_EQ(infos[0].host_buffer_ptr, bed_.manager->resolve_host_ptr(buffer));
            EXPECT_EQ(infos[0].sequence, 42u);
            EXPECT_EQ(infos[0].kind, kind);
            EXPECT_EQ(infos[0].queue, static_cast<uint32_t>(q));
            EXPECT_TRUE(sim::is_filled(infos[0].host_buffer_ptr, sim::buffer_size(kind), 42));
        }
    }
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_P(AlgorithmsProcess, ReadyRingAndLaneFoldByTheLiveCount) {
    Bed<OddModule> bed(GetParam(), 2);
    const Ptrs lane = bed.seed(0, 1, 1);
    void *const buffer = bed.new_buffer();
    bed.process(3, bed.entry_of(buffer, 0, 3, 1));
    EXPECT_EQ(bed.free_content(0, 3), lane);
    EXPECT_TRUE(delivered(bed, 0).empty());
    EXPECT_EQ(delivered(bed, 1).size(), 1u);
    bed.expect_conserved({buffer});
}

TEST_P(AlgorithmsProcess, OneRingKeepsTheOrderOfItsEntries) {
    for (uint64_t i = 0; i < 5; ++i) {
        bed_.process(1, bed_.entry_of(bed_.new_buffer(), 0, 1, i));
    }
    const std::vector<ReadyInfo> infos = delivered(bed_, 1);
    ASSERT_EQ(infos.size(), 5u);
    for (uint64_t i = 0; i < 5; ++i) {
        EXPECT_EQ(infos[i].sequence, i);
    }
}

TEST_P(AlgorithmsProcess, TopsUpTheOriginFromItsLaneOldestFirst) {
    const Ptrs lane = bed_.seed(1, 2, 5);
    const Ptrs others[] = {bed_.seed(0, 2, 2), bed_.seed(1, 0, 2), bed_.seed(1, 1, 2), bed_.seed(1, 3, 2)};
    bed_.process(2, bed_.entry_of(bed_.new_buffer(1), 1, 2, 1));
    EXPECT_EQ(bed_.free_content(1, 2), Ptrs(lane.begin(), lane.begin() + 4));
    EXPECT_EQ(bed_.manager->recycled_count(1, 2), 1u);
    EXPECT_EQ(bed_.manager->recycled_count(0, 2), others[0].size());
    for (int shard : {0, 1, 3}) {
        EXPECT_EQ(bed_.manager->recycled_count(1, shard), 2u);
    }
    for (int instance = 0; instance < kRows; ++instance) {
        EXPECT_EQ(bed_.free_fill(0, instance), 0u);
        EXPECT_EQ(bed_.free_fill(1, instance), instance == 2 ? 4u : 0u);
    }
}

TEST_P(AlgorithmsProcess, NeverAllocates) {
    void *const buffer = bed_.new_buffer();
    bed_.seed(0, 0, 3);
    const size_t before = bed_.allocations();
    bed_.process(2, bed_.entry_of(buffer, 0, 2, 1));
    EXPECT_EQ(bed_.allocations(), before);
    EXPECT_EQ(bed_.free_fill(0, 2), 0u);
    EXPECT_EQ(delivered(bed_, 2).size(), 1u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(AlgorithmsProcess, PartialTopUpIsFine) {
    bed_.set_free_counters(0, 0, 7, 8);
    bed_.seed(0, 0, 2);
    bed_.process(0, bed_.entry_of(bed_.new_buffer(), 0, 0, 1));
    EXPECT_EQ(bed_.free_fill(0, 0), 3u);
    EXPECT_EQ(delivered(bed_, 0).size(), 1u);
    EXPECT_EQ(errors(), 0u);
}

TEST_P(AlgorithmsProcess, AnOpenFreezeSuspendsTheTopUpAlone) {
    for (const bool push_gate : {false, true}) {
        Bed<OddModule> bed(GetParam());
        bed.set(
            [push_gate](auto &h) -> auto & {
                return push_gate ? h.backpressure.rq_freeze_active : h.backpressure.fq_freeze_active;
            },
            1);
        bed.seed(0, 0, 2);
        bed.process(0, bed.entry_of(bed.new_buffer(), 0, 0, 1));
        EXPECT_EQ(bed.free_fill(0, 0), 0u);
        EXPECT_EQ(bed.manager->recycled_count(0, 0), 2u);
        EXPECT_EQ(delivered(bed, 0).size(), 1u);
        bed.set(
            [push_gate](auto &h) -> auto & {
                return push_gate ? h.backpressure.rq_freeze_active : h.backpressure.fq_freeze_active;
            },
            0);
        bed.process(0, bed.entry_of(bed.new_buffer(), 0, 0, 2));
        EXPECT_EQ(bed.free_fill(0, 0), 2u);
    }
}

TEST_P(AlgorithmsProcess, ContendedWordsDoNotSuspendTheTopUp) {
    bed_.set(
        [](auto &h) -> auto & { return h.backpressure.rq_contended; }, 1);
    bed_.set(
        [](auto &h) -> auto & { return h.backpressure.fq_contended; }, 1);
    bed_.seed(0, 0, 1);
    bed_.process(0, bed_.entry_of(bed_.new_buffer(), 0, 0, 1));
    EXPECT_EQ(bed_.free_fill(0, 0), 1u);
    EXPECT_EQ(sim::load(bed_.dev->backpressure.rq_contended), 1u);
    EXPECT_EQ(sim::load(bed_.dev->backpressure.fq_contended), 1u);
}

// Step 4 before step 5: the device gets its replacement although the collector is slow, and the push keeps the order.
TEST_P(AlgorithmsProcess, TopsUpBeforeItWaitsForRoom) {
    for (uint64_t i = 0; i < OddModule::kReadyQueueSize; ++i) {
        bed_.process(0, bed_.entry_of(bed_.new_buffer(), 0, 0, i));
    }
    bed_.seed(0, 0, 1);
    const ReadyEntry last = bed_.entry_of(bed_.new_buffer(), 0, 0, OddModule::kReadyQueueSize);
    std::atomic<bool> returned{false};
    std::thread drain([&] {
        bed_.process(0, last);
        returned = true;
    });
    EXPECT_TRUE(eventually([this] { return bed_.free_fill(0, 0) == 1; }));
    EXPECT_FALSE(returned);
    uint64_t next = 0;
    EXPECT_TRUE(eventually([&] {
        ReadyInfo info{};
        while (bed_.manager->try_pop_ready(info, 0)) {
            EXPECT_EQ(info.sequence, next++);
        }
        return next == OddModule::kReadyQueueSize + 1;
    }));
    drain.join();
    EXPECT_EQ(errors(), 0u);
}

// Rejected entries.

TEST_P(AlgorithmsProcess, WithoutASiteNothingIsDeliveredOrToppedUp) {
    bed_.seed(0, 0, 2);
    bed_.process(0, bed_.entry_of(bed_.new_buffer(), 0, 0, 1, sim::kReject));
    expect_nothing_delivered(bed_);
    EXPECT_EQ(bed_.free_fill(0, 0), 0u);
    EXPECT_EQ(bed_.manager->recycled_count(0, 0), 2u);
}

TEST_P(AlgorithmsProcess, WithoutAHostAddressNothingIsDelivered) {
    bed_.process(0, bed_.entry_of(compat::fake(0xabc), 0, 0, 1, sim::kRawKind));
    EXPECT_GE(errors(), 1u);
    expect_nothing_delivered(bed_);
    // Nothing is known about the pointer, so it enters no queue.
    EXPECT_EQ(bed_.locate(), Places{});
}

TEST_P(AlgorithmsProcess, AnUnknownPointerWithoutASiteEntersNoQueue) {
    bed_.process(0, bed_.entry_of(compat::fake(0xabc), 0, 0, 1, sim::kReject));
    expect_nothing_delivered(bed_);
    EXPECT_EQ(bed_.locate(), Places{});
}

TEST_P(AlgorithmsProcess, RefW3ABufferWithoutASiteWaitsForTeardownUnderKindZero) {
    Bed<OddModule> bed(GetParam(), 2);
    void *const buffer = bed.new_buffer(1);
    bed.process(3, bed.entry_of(buffer, 1, 3, 1, sim::kReject));
    EXPECT_EQ(bed.manager->recycled_count(0) + bed.manager->recycled_count(1), 0u);
    EXPECT_EQ(retired_at(bed, buffer), std::make_pair(1, 0));
}

TEST_P(AlgorithmsProcess, RefW3ABufferWithoutAHostAddressWaitsForTeardownUnderItsKind) {
    Bed<OddModule> bed(GetParam(), 2);
    void *const buffer = bed.memory.alloc(sim::buffer_size(1));
    bed.manager->register_mapping(buffer, nullptr);
    bed.process(3, bed.entry_of(buffer, 1, 3, 1, sim::kRawKind));
    expect_nothing_delivered(bed);
    EXPECT_EQ(retired_at(bed, buffer), std::make_pair(1, 1));
}

// The site is known, so the device gets a replacement; not the rejected buffer itself, which may lie elsewhere too.
TEST_P(AlgorithmsProcess, RefW3TheOriginOfAnUnresolvableEntryIsToppedUp) {
    const Ptrs lane = bed_.seed(0, 0, 1);
    bed_.process(0, bed_.entry_of(compat::fake(0xabc), 0, 0, 1, sim::kRawKind));
    expect_nothing_delivered(bed_);
    EXPECT_EQ(bed_.free_content(0, 0), lane);
}

TEST_P(AlgorithmsProcess, RefW3ARejectedBufferIsNeverPublishedAgain) {
    void *const without_site = bed_.new_buffer();
    void *const without_view = bed_.memory.alloc(sim::buffer_size(0));
    bed_.pool.insert(without_view);
    bed_.manager->register_mapping(without_view, nullptr);
    bed_.process(0, bed_.entry_of(without_site, 0, 0, 1, sim::kReject));
    bed_.process(0, bed_.entry_of(without_view, 0, 0, 2, sim::kRawKind));
    // More demand than the lanes can meet.
    bed_.seed(0, 0, 2);
    OddModule::warm_target[0] = 2;
    for (int pass = 0; pass < 5; ++pass) {
        bed_.manager->drain_done_into_recycled();
        bed_.refill();
        ProfilerAlgorithms<OddModule>::replenish_recycled_pools(*bed_.manager, bed_.host);
        for (int i = 0; i < kRows; ++i) {
            while (void *taken = bed_.take_free(0, i)) {
                EXPECT_NE(taken, without_site);
                EXPECT_NE(taken, without_view);
            }
        }
    }
    const Places left = bed_.take_host_content();
    EXPECT_EQ(left.count(without_site), 1u);
    EXPECT_EQ(left.count(without_view), 1u);
}

TEST_P(AlgorithmsProcess, RefSkipW25KindsOutOfRangeCountAsNoSite) {
    for (const int kind : {-1, 2, 3, 1000000, INT32_MAX, INT32_MIN}) {
        Bed<OddModule> bed(GetParam());
        bed.seed(0, 0, 2);
        void *const buffer = bed.new_buffer();
        ReadyEntry entry = bed.entry_of(buffer, 0, 0, 1);
        entry.kind = kind;
        entry.flags = sim::kRawKind;
        expect_logged(Level::kError, "kind out of range", [&] { bed.process(0, entry); });
        expect_nothing_delivered(bed);
        EXPECT_EQ(bed.free_fill(0, 0), 0u);
        EXPECT_EQ(bed.manager->recycled_count(0, 0), 2u);
        EXPECT_EQ(retired_at(bed, buffer), std::make_pair(0, 0));
    }
}

TEST_P(AlgorithmsProcess, RefSkipW25WithoutAFreeQueueTheBufferIsDelivered) {
    bed_.seed(0, 0, 2);
    void *const buffer = bed_.new_buffer();
    ReadyEntry entry = bed_.entry_of(buffer, 0, 0, 9);
    entry.flags = sim::kNoFreeQueue;
    bed_.process(0, entry);
    EXPECT_EQ(bed_.manager->recycled_count(0, 0), 2u);
    const std::vector<ReadyInfo> infos = delivered(bed_, 0);
    ASSERT_EQ(infos.size(), 1u);
    EXPECT_EQ(infos[0].dev_buffer_ptr, buffer);
}

// Content copies.

TEST_P(AlgorithmsProcessCopied, TheContentsAreCopiedOnceAndBeforeTheTopUp) {
    bed_.seed(1, 0, 1);
    void *const buffer = bed_.new_buffer(1);
    const ReadyEntry entry = bed_.entry_of(buffer, 1, 0, 1);
    size_t pulled = 0;
    bed_.before_transfer([&](const sim::Transfer &transfer) {
        if (!transfer.to_device && transfer.name == "<buffer") {
            EXPECT_GE(compat::address(transfer.device), compat::address(buffer));
            EXPECT_LE(compat::address(transfer.device) + transfer.size, compat::address(buffer) + sim::buffer_size(1));
            pulled += transfer.size;
            EXPECT_EQ(bed_.free_fill(1, 0), 0u);
        }
    });
    bed_.record();
    bed_.process(0, entry);
    EXPECT_EQ(pulled, sim::buffer_size(1));
    EXPECT_EQ(bed_.count(bed_.trace(), ">buffer"), 0u);
    EXPECT_EQ(bed_.free_fill(1, 0), 1u);
}

TEST_P(AlgorithmsProcessCopied, WhatIsNotCopiedIsNotDelivered) {
    void *const buffer = bed_.new_buffer();
    const ReadyEntry entry = bed_.entry_of(buffer, 0, 0, 1);
    bed_.fail("<buffer");
    expect_logged(Level::kError, "content copy", [&] { bed_.process(0, entry); });
    expect_nothing_delivered(bed_);
}

// Sound but undelivered: the buffer may serve as an empty one or wait, but it is somewhere.
TEST_P(AlgorithmsProcessCopied, RefW3AnUncopiedBufferStaysInThePool) {
    for (const int lane : {0, 1, 4, 5}) {
        Bed<OddModule> bed(GetParam());
        bed.seed(0, 0, lane);
        const ReadyEntry entry = bed.entry_of(bed.new_buffer(), 0, 0, 1);
        bed.fail_for_good("<buffer");
        bed.process(0, entry);
        expect_nothing_delivered(bed);
        bed.expect_conserved();
    }
}

TEST_P(AlgorithmsProcessCopied, RefW3TheOriginOfAnUncopiedEntryIsToppedUp) {
    bed_.seed(0, 0, 4);
    const ReadyEntry entry = bed_.entry_of(bed_.new_buffer(), 0, 0, 1);
    bed_.fail("<buffer");
    bed_.process(0, entry);
    EXPECT_EQ(bed_.free_fill(0, 0), 4u);
}

// A drain thread is not the producer of its lanes.
TEST_P(AlgorithmsProcessCopied, AnUncopiedBufferIsNotPushedToTheLane) {
    const ReadyEntry entry = bed_.entry_of(bed_.new_buffer(), 0, 0, 1);
    bed_.set(
        [](auto &h) -> auto & { return h.backpressure.fq_freeze_active; }, 1);
    bed_.fail("<buffer");
    bed_.process(0, entry);
    EXPECT_TRUE(bed_.manager->recycled_empty());
    EXPECT_EQ(bed_.free_fill(0, 0), 0u);
}

TEST_P(AlgorithmsProcessCopied, RefW3AFailedCopyIsParkedUnderKindAndShard) {
    Bed<OddModule> bed(GetParam(), 2);
    void *const buffer = bed.new_buffer(1);
    const ReadyEntry entry = bed.entry_of(buffer, 1, 3, 1);
    bed.set(
        [](auto &h) -> auto & { return h.backpressure.rq_freeze_active; }, 1);
    bed.fail("<buffer");
    bed.process(3, entry);
    EXPECT_EQ(retired_at(bed, buffer), std::make_pair(1, 1));
}

// Only the words of 3.4 are pushed, each alone.
TEST_P(AlgorithmsProcessCopied, PushesOnlySlotsAndTail) {
    bed_.seed(0, 0, 4);
    const ReadyEntry entry = bed_.entry_of(bed_.new_buffer(), 0, 0, 1);
    bed_.record();
    bed_.process(0, entry);
    const Trace pushes = bed_.pushes();
    EXPECT_EQ(bed_.count(pushes, ">slot[0][0]") + bed_.count(pushes, ">free_tail[0][0]"), pushes.size());
    EXPECT_GE(bed_.count(pushes, ">free_tail[0][0]"), 1u);
    EXPECT_EQ(bed_.dev->free_queues[0][0].tail, 4u);
}

// Other geometries.

template <typename M> class AlgorithmsProcessShapes : public ::testing::Test {};
using Shapes =
    ::testing::Types<sim::Module<1, 1, 2, 1, 1, 1>, sim::Module<3, 3, 3, 5, 1, 3>, sim::Module<4, kRows, 5, 3, 5, 5>,
                     sim::Module<2, kRows, 7, 5, 3, 4, sim::ShuffledLayout>>;
TYPED_TEST_SUITE(AlgorithmsProcessShapes, Shapes);

// Each buffer that the device publishes comes out at the right shard, and the lane's buffers go round.
TYPED_TEST(AlgorithmsProcessShapes, BuffersOfEveryKindGoRound) {
    for (const Sharing sharing : {Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow}) {
        Bed<TypeParam> bed(sharing);
        const int shards = bed.manager->shard_count();
        std::map<void *, int> kind_of;
        for (int kind = 0; kind < TypeParam::kBufferKinds; ++kind) {
            for (int q = 0; q < kRows; ++q) {
                for (uint32_t slot = 0; slot < TypeParam::kSlotCount; ++slot) {
                    void *const buffer = bed.new_buffer(kind);
                    kind_of[buffer] = kind;
                    bed.dev->free_queues[kind][q].buffer_ptrs[slot] = compat::address(buffer);
                    bed.host->free_queues[kind][q].buffer_ptrs[slot] = compat::address(buffer);
                }
                bed.set_free_counters(kind, q, 0, TypeParam::kSlotCount);
            }
        }
        uint64_t sequence = 0;
        for (int round = 0; round < 10; ++round) {
            for (int kind = 0; kind < TypeParam::kBufferKinds; ++kind) {
                for (int q = 0; q < kRows; ++q) {
                    void *const buffer = bed.take_free(kind, q);
                    ASSERT_NE(buffer, nullptr);
                    ASSERT_EQ(kind_of[buffer], kind);
                    ASSERT_TRUE(bed.publish(q, buffer, kind, q, ++sequence));
                    ReadyEntry entry{};
                    ASSERT_TRUE(bed.pop(q, entry));
                    bed.process(q, entry);
                    ReadyInfo info{};
                    ASSERT_TRUE(bed.manager->try_pop_ready(info, q % shards));
                    ASSERT_EQ(info.dev_buffer_ptr, buffer);
                    ASSERT_TRUE(sim::is_filled(info.host_buffer_ptr, sim::buffer_size(kind), sequence));
                    ASSERT_TRUE(bed.manager->notify_copy_done(buffer, kind, q % shards));
                    ASSERT_EQ(bed.manager->drain_done_into_recycled(), 1u);
                    // Only the queue it came from has room.
                    ASSERT_EQ(bed.refill(), 1u);
                }
            }
        }
        EXPECT_EQ(bed.allocations(), kind_of.size());
        EXPECT_EQ(errors(), 0u);
        bed.expect_conserved();
    }
}

} // namespace
