// Pipelines under load: tiny rings, free queues that run dry, gates that open, allocation at run time, transfers that
// fail. At the end each buffer is in one place and each record is accounted for (contract, section 7).
#include "pipeline.h"

using namespace profiling_common;
using compat::errors;
using sim::Delivery;
using sim::eventually;
using sim::kRows;
using sim::Memory;
using sim::Sharing;
using sim::Verdict;

namespace {

// Geometries.

template <typename M> class PressureShapes : public ::testing::Test {};
using Shapes =
    ::testing::Types<sim::Module<2, kRows, 8, 7, 5, 4>, sim::Module<1, 1, 2, 1, 1, 1>, sim::Module<3, 3, 3, 5, 1, 3>,
                     sim::Module<4, kRows, 5, 3, 5, 5>, sim::Module<2, 2, 7, 5, 3, 4, sim::ShuffledLayout>>;
TYPED_TEST_SUITE(PressureShapes, Shapes);

// No device thread starves, nothing comes twice or out of order, and each buffer is in one place at the end: H1 to H5,
// H9, H14, H19, H21.
TYPED_TEST(PressureShapes, RefSkipW2EveryRecordComesOnceAndEveryBufferIsKept) {
    for (const Sharing sharing : {Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow}) {
        for (const int threads : {1, kRows}) {
            sim::Pipeline<sim::ShardCollector<TypeParam>, TypeParam> p(sharing, threads, size_t{64} << 20);
            p.supply(2);
            p.start();
            EXPECT_TRUE(p.play(400));
            p.stop();
            p.expect_delivered(std::vector<uint64_t>(static_cast<size_t>(threads), 400));
            std::map<void *, int> kinds;
            for (const Delivery &d : p.collector->record.deliveries()) {
                EXPECT_EQ(kinds.emplace(d.dev_ptr, d.kind).first->second, d.kind);
            }
            for (int kind = 0; kind < TypeParam::kBufferKinds; ++kind) {
                for (int q = 0; q < threads; ++q) {
                    EXPECT_LE(p.free_fill(kind, q), TypeParam::kSlotCount);
                }
            }
            p.expect_conserved();
        }
    }
}

// Nobody starts a pipeline here: plain threads of the owner play all roles on a manager of their own.
template <typename M> void by_hand(Sharing sharing) {
    using Algorithms = ProfilerAlgorithms<M>;
    sim::Bed<M> bed(sharing);
    const int shards = bed.manager->shard_count();
    Algorithms::proactive_replenish(*bed.manager, bed.host);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int shard = 0; shard < shards; ++shard) {
        threads.emplace_back([&, shard] {
            const auto drain = [&] {
                for (int q = shard; q < kRows; q += shards) {
                    sim::ReadyEntry entry{};
                    while (Algorithms::try_pop_aicpu_entry(*bed.manager, bed.host, q, entry, true)) {
                        Algorithms::process_entry(*bed.manager, bed.host, q, entry);
                    }
                }
            };
            while (!stop) {
                drain();
                std::this_thread::yield();
            }
            drain();
        });
    }
    std::vector<uint64_t> next(kRows, 0);
    std::atomic<uint64_t> collected{0};
    for (int shard = 0; shard < shards; ++shard) {
        threads.emplace_back([&, shard] {
            sim::ReadyInfo info{};
            while (!stop || collected < kRows * uint64_t{300}) {
                if (!bed.manager->wait_pop_ready(info, std::chrono::milliseconds(5), shard)) {
                    continue;
                }
                EXPECT_EQ(info.sequence,
                          sim::DeviceThread<M>::first_sequence(static_cast<int>(info.queue)) + next[info.queue]++);
                EXPECT_TRUE(sim::is_filled(info.host_buffer_ptr, sim::buffer_size(info.kind), info.sequence));
                if (!bed.manager->notify_copy_done(info.dev_buffer_ptr, info.kind, shard)) {
                    EXPECT_TRUE(bed.manager->retire_unqueued_buffer(info.kind, info.dev_buffer_ptr, shard));
                }
                ++collected;
            }
        });
    }
    threads.emplace_back([&] {
        while (!stop) {
            bed.manager->drain_done_into_recycled();
            Algorithms::replenish_recycled_pools(*bed.manager, bed.host);
            bed.tick();
            std::this_thread::yield();
        }
    });
    std::vector<std::unique_ptr<sim::DeviceThread<M>>> device;
    for (int q = 0; q < kRows; ++q) {
        device.push_back(std::make_unique<sim::DeviceThread<M>>(bed, q, 300));
    }
    std::vector<void *> held;
    for (auto &thread : device) {
        EXPECT_TRUE(thread->finish());
        held.insert(held.end(), thread->held().begin(), thread->held().end());
    }
    EXPECT_TRUE(eventually([&] { return collected == kRows * uint64_t{300}; }));
    stop = true;
    collected = kRows * uint64_t{300};
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(next, std::vector<uint64_t>(kRows, 300));
    bed.expect_conserved(held);
}

TYPED_TEST(PressureShapes, RefSkipW2PlainThreadsOnAManagerThatNobodyStarted) {
    for (const Sharing sharing : {Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow}) {
        by_hand<TypeParam>(sharing);
    }
}

// Faults.

class Pressure : public ::testing::TestWithParam<Sharing> {};
INSTANTIATE_TEST_SUITE_P(All, Pressure, ::testing::Values(Sharing::kIdentity, Sharing::kMapped, Sharing::kShadow),
                         compat::SharingName());

class PressureCopied : public Pressure {};
INSTANTIATE_TEST_SUITE_P(All, PressureCopied, ::testing::Values(Sharing::kShadow), compat::SharingName());

using Module = sim::OddModule;
using Pipeline = sim::Pipeline<sim::ShardCollector<Module>, Module>;

// Every n-th transfer of a kind fails. Entries are retried; only contents that could not be copied cost their record.
void run_with_faults(Sharing sharing, const char *what, int every, Verdict verdict) {
    Pipeline p(sharing, kRows, size_t{64} << 20);
    p.supply(6);
    for (int k = every; k < 4000; k += every) {
        p.fail(what, k, k, verdict);
    }
    p.start();
    constexpr uint64_t kRecords = 200;
    EXPECT_TRUE(p.play(kRecords));
    // What failed to the end of the run is retried in a quiet one.
    p.stop();
    p.heal();
    p.start();
    p.stop();
    std::vector<uint64_t> next(kRows, 0);
    std::vector<uint64_t> delivered(kRows, 0);
    for (const Delivery &d : p.collector->record.deliveries()) {
        const uint64_t sequence = d.sequence - sim::DeviceThread<Module>::first_sequence(static_cast<int>(d.queue));
        EXPECT_GE(sequence, next[d.queue]) << "twice or out of order";
        next[d.queue] = sequence + 1;
        ++delivered[d.queue];
        EXPECT_TRUE(d.intact);
    }
    const bool contents = std::string(what) == "<buffer";
    for (const uint64_t count : delivered) {
        if (contents) {
            EXPECT_GE(count, kRecords / 2);
        } else {
            EXPECT_EQ(count, kRecords);
        }
    }
    p.expect_conserved();
}

TEST_P(PressureCopied, RefSkipW10FailingHeadPushesCostNothing) {
    run_with_faults(GetParam(), ">head", 7, Verdict::kFail);
    run_with_faults(GetParam(), ">head", 5, Verdict::kLand);
}
TEST_P(PressureCopied, RefSkipW2FailingReadsOfQueuesCostNothing) {
    run_with_faults(GetParam(), "<tail", 7, Verdict::kFail);
    run_with_faults(GetParam(), "<entry", 7, Verdict::kFail);
    run_with_faults(GetParam(), "<free_head", 7, Verdict::kFail);
}
TEST_P(PressureCopied, RefSkipW34FailingPushesOfFreeQueuesCostNothing) {
    run_with_faults(GetParam(), ">slot", 11, Verdict::kFail);
    run_with_faults(GetParam(), ">free_tail", 11, Verdict::kFail);
    run_with_faults(GetParam(), ">free_tail", 11, Verdict::kLand);
}
TEST_P(PressureCopied, RefSkipW16FailingPushesOfGatesCostNothing) {
    run_with_faults(GetParam(), ">rq", 2, Verdict::kFail);
    run_with_faults(GetParam(), ">fq", 2, Verdict::kFail);
    run_with_faults(GetParam(), ">fq", 3, Verdict::kLand);
    run_with_faults(GetParam(), "<fqC", 2, Verdict::kFail);
}
TEST_P(PressureCopied, RefSkipW3FailingContentsCostTheirRecordOnly) {
    run_with_faults(GetParam(), "<buffer", 9, Verdict::kFail);
}

TEST_P(Pressure, RefSkipW1AnAllocatorThatFailsNowAndThenIsNoHarm) {
    for (const int period : {2, 3}) {
        Pipeline p(GetParam(), kRows, size_t{64} << 20);
        std::atomic<int> calls{0};
        p.collector->set_memory_context(
            [&](size_t size) { return ++calls % period == 0 ? p.memory.alloc(size) : nullptr; }, p.register_callback(),
            p.free_callback(), p.to_device(), p.from_device(), p.dev_address, p.host, sizeof(*p.host), 0);
        p.start();
        EXPECT_TRUE(p.play(200));
        p.stop();
        p.expect_delivered(std::vector<uint64_t>(kRows, 200));
        p.expect_conserved();
    }
}

// Odd situations.

// A lane that leaves an open push gate keeps a buffer that it has published, and may publish it again. Whatever is in
// it then, nothing is touched out of bounds, nobody hangs, and each allocation is freed once at the end.
TEST_P(Pressure, RefSkipW2ADeviceThatGivesUpAtTheGateIsSurvived) {
    Pipeline p(GetParam(), kRows, size_t{64} << 20);
    p.supply(4);
    std::atomic<int> asked{0};
    // Freezes last longer than the device waits.
    p.collector->release_ready = [&] { return ++asked % 64 == 0; };
    p.start();
    Pipeline::Limits limits;
    limits.parked = 20;
    limits.full = 200;
    EXPECT_TRUE(p.play(500, limits));
    p.stop();
    EXPECT_EQ(p.threads.alive(), 0);
    const auto release = [&](void *ptr) { p.collector->release_one_buffer(ptr, nullptr, p.free_callback()); };
    for (void *ptr : p.locate()) {
        release(ptr);
    }
    EXPECT_EQ(p.memory.bad_frees(), 0);
    for (const Delivery &d : p.collector->record.deliveries()) {
        EXPECT_TRUE(d.mapped);
    }
}

// One free queue named for all ready queues, with as many drain threads: top-ups must not corrupt it (1.5).
struct SharedTag;
struct SharedQueue : sim::Module<1, kRows, 8, 64, 64, 4, sim::CommonLayout, SharedTag> {
    static std::optional<EntrySite<SharedQueue>> resolve_entry(void *, DataHeader *header, int q,
                                                               const ReadyEntry &entry) {
        EntrySite<SharedQueue> site;
        site.kind = 0;
        site.free_queue = &header->free_queues[0][0];
        site.buffer_size = sim::buffer_size(0);
        site.info = ReadyBufferInfo{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)),
                                    nullptr,
                                    entry.sequence,
                                    0,
                                    static_cast<uint32_t>(q),
                                    0};
        return site;
    }
    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        for (int name = 0; name < kRows; ++name) {
            cb(0, &header->free_queues[0][0], sim::buffer_size(0));
        }
    }
};

TEST_P(Pressure, RefSkipW2OneFreeQueueForAllDrainThreadsStaysSound) {
    sim::Pipeline<sim::ShardCollector<SharedQueue>, SharedQueue> p(GetParam(), kRows, size_t{64} << 20);
    for (int shard = 0; shard < kRows; ++shard) {
        for (int i = 0; i < 8; ++i) {
            void *view = nullptr;
            void *const buffer = p.collector->alloc_paired_buffer(sim::buffer_size(0), &view);
            ASSERT_TRUE(p.collector->manager().push_recycled(0, buffer, shard));
        }
    }
    p.start();
    // One consumer of the free queue, which publishes on all ready queues in turn.
    std::vector<uint64_t> published(kRows, 0);
    bool stuck = false;
    for (int i = 0; i < 2000 && !stuck; ++i) {
        const int q = i % kRows;
        void *buffer = nullptr;
        stuck = !eventually([&] {
            buffer = p.take_free(0, 0);
            if (buffer == nullptr) {
                sim::store(p.dev->backpressure.fq_contended, 1);
            }
            return buffer != nullptr;
        });
        EXPECT_LE(p.free_fill(0, 0), 4u);
        stuck =
            stuck || !eventually([&] {
                return p.publish(q, buffer, 0, 0,
                                 sim::DeviceThread<SharedQueue>::first_sequence(q) + published[static_cast<size_t>(q)]);
            });
        published[static_cast<size_t>(q)] += stuck ? 0 : 1;
    }
    EXPECT_FALSE(stuck);
    p.stop();
    p.expect_delivered(published);
    p.expect_conserved();
}

// Rejected entries between sound ones: the sound ones come, and the rejected buffers wait for the teardown.
TEST_P(Pressure, RefSkipW3RejectedEntriesDoNotDisturbTheOthers) {
    Pipeline p(GetParam(), 1, size_t{64} << 20);
    p.supply(8);
    p.start();
    std::set<void *> rejected;
    uint64_t published = 0;
    for (int i = 0; i < 200; ++i) {
        const bool reject = i % 50 == 7;
        void *buffer = nullptr;
        ASSERT_TRUE(eventually([&] {
            buffer = p.take_free(0, 0);
            if (buffer == nullptr) {
                sim::store(p.dev->backpressure.fq_contended, 1);
            }
            return buffer != nullptr;
        }));
        EXPECT_EQ(rejected.count(buffer), 0u) << "a rejected buffer was published";
        ASSERT_TRUE(eventually([&] { return p.publish(0, buffer, 0, 0, published, reject ? sim::kReject : 0); }));
        if (reject) {
            rejected.insert(buffer);
        } else {
            ++published;
        }
    }
    p.stop();
    p.expect_delivered({published});
    EXPECT_EQ(rejected.size(), 4u);
    p.expect_conserved();
}

// A Module whose kind_of is out of range loses neither its head nor the delivery.
struct WrongKindTag;
struct WrongKind : sim::Module<2, 1, 8, 16, 16, 4, sim::CommonLayout, WrongKindTag> {
    static std::optional<EntrySite<WrongKind>> resolve_entry(void *, DataHeader *header, int q,
                                                             const ReadyEntry &entry) {
        EntrySite<WrongKind> site;
        site.kind = 0;
        site.free_queue = &header->free_queues[0][0];
        site.buffer_size = sim::buffer_size(0);
        site.info = ReadyBufferInfo{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)),
                                    nullptr,
                                    entry.sequence,
                                    0,
                                    static_cast<uint32_t>(q),
                                    0};
        return site;
    }
    static int kind_of(const ReadyBufferInfo &info) { return info.sequence % 2 == 0 ? 1000000 : -1; }
};

TEST_P(Pressure, RefSkipW25AKindOfOutOfRangeIsSurvived) {
    sim::Pipeline<sim::ShardCollector<WrongKind>, WrongKind> p(GetParam(), 1);
    p.supply(6);
    p.start();
    EXPECT_EQ(p.burst(0), 4u);
    p.stop();
    EXPECT_EQ(p.collector->record.total(), 4u);
    EXPECT_GE(errors(), 1u);
}

// All traffic on one lane: what is in flight at most bounds the pool, however long it runs.
TEST_P(Pressure, RefSkipW5OneBusyLaneDoesNotGrowThePool) {
    using M = sim::Module<1, kRows, 8, 7, 16, 4>;
    sim::Pipeline<sim::ShardCollector<M>, M> p(GetParam(), kRows, size_t{64} << 20);
    M::warm_target[0] = 2;
    p.start();
    sim::DeviceThread<M> busy(p, 0, 3000);
    EXPECT_TRUE(busy.finish());
    p.stop();
    std::vector<uint64_t> counts(kRows, 0);
    counts[0] = 3000;
    p.expect_delivered(counts);
    size_t bytes = 0;
    for (const Memory::Call &call : p.memory.calls(Memory::Op::kAlloc)) {
        bytes += call.failed ? 0 : call.size;
    }
    // Free queues and lanes of all shards, the rings of one, and a block for each of them.
    constexpr size_t kBound = kRows * (4 + 16) + 7 + 8 + 7 + 4 * 8;
    EXPECT_LE(bytes / 128, kBound);
}

} // namespace
