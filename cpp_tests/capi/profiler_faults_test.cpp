// Faults of the device and of the copies: counted, told, and kept to the queue where they are.
#include "rig.h"

#include "death_test_style.h"

#include <unistd.h>

namespace {

using namespace capi;

struct CopyFault {
    const char *name;
    int64_t count;
    bool lands; // the copy takes effect and reports failure all the same
};

class CopyFaults : public testing::TestWithParam<CopyFault> {};

// Call k fails, whatever it is for: every record is delivered once or charged once, and no buffer is lost.
TEST_P(CopyFaults, AtAnyCallLoseNothing) {
    uint64_t charged = 0;
    for (int64_t k = 0; k < 60; ++k) {
        SCOPED_TRACE(k);
        Shape shape;
        shape.mode = Mode::kShadow;
        shape.queues = 2;
        shape.shards = 2;
        shape.free_slots = 2;
        shape.batch_size = 3;
        shape.max_buffers = 6;
        Rig rig(shape);
        rig.gaps_allowed = true;
        rig.memory.first_failing_copy = k;
        rig.memory.failing_copies = GetParam().count;
        rig.memory.failing_copies_land = GetParam().lands;
        rig.start();
        ASSERT_TRUE(rig.device.run(20)) << rig.pool.log.text();
        rig.stop();
        const uint64_t lost = rig.stats(0).copy_failed + rig.stats(1).copy_failed;
        EXPECT_EQ(rig.collected() + lost, 40u) << rig.pool.log.text();
        EXPECT_LE(lost, static_cast<uint64_t>(GetParam().count));
        EXPECT_EQ(rig.stats(0).rejected + rig.stats(1).rejected, 0u) << rig.pool.log.text();
        rig.expect_books();
        const lanepipe_pool_audit_t audit = rig.expect_conserved();
        EXPECT_EQ(audit.quarantined, 0u) << "a sound buffer is out of circulation\n" << rig.pool.log.text();
        EXPECT_EQ(rig.memory.frees + rig.memory.live_blocks(), rig.memory.allocs);
        charged += lost;
        if (HasFailure())
            return;
    }
    if (GetParam().count == 1) {
        EXPECT_EQ(charged, 0u) << "one failure of a contents copy is retried";
    }
}

// The same with the writes of the host only, which are what the device sees.
TEST_P(CopyFaults, AtAnyWriteLoseNothing) {
    for (int64_t k = 0; k < 40; ++k) {
        SCOPED_TRACE(k);
        Shape shape;
        shape.mode = Mode::kShadow;
        shape.free_slots = 2;
        shape.batch_size = 2;
        shape.max_buffers = 2;
        Rig rig(shape);
        rig.memory.selected = [](const void *, size_t, bool outward) { return outward; };
        rig.memory.first_failing_copy = k;
        rig.memory.failing_copies = GetParam().count;
        rig.memory.failing_copies_land = GetParam().lands;
        rig.start();
        ASSERT_TRUE(rig.device.run(30)) << rig.pool.log.text();
        rig.stop();
        EXPECT_EQ(rig.collected(), 30u) << rig.pool.log.text();
        rig.expect_books();
        EXPECT_EQ(rig.expect_conserved().quarantined, 0u) << rig.pool.log.text();
        if (HasFailure())
            return;
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CopyFaults,
                         testing::Values(CopyFault{"once", 1, false}, CopyFault{"five_times", 5, false},
                                         CopyFault{"once_but_lands", 1, true},
                                         CopyFault{"five_times_but_lands", 5, true}),
                         [](const auto &info) { return std::string(info.param.name); });

// Nobody can tell whether a tail store took effect, as reading it back fails too. Once the link is sound again the only
// buffer goes on, whether it landed or not.
TEST(CopyFaultsOnATail, LeaveTheOnlyBufferInCirculation) {
    for (const bool lands : {false, true})
        for (const int64_t failures : {1, 2, 3, 5}) {
            SCOPED_TRACE(testing::Message() << failures << " failures, lands: " << lands);
            Shape shape;
            shape.mode = Mode::kShadow;
            shape.ready_slots = 2;
            shape.free_slots = 1;
            shape.batch_size = 1;
            shape.max_buffers = 1;
            Rig rig(shape);
            const uint32_t *tail = rig.device.instances[0].tail;
            rig.memory.selected = [tail](const void *dev, size_t, bool) { return dev == tail; };
            rig.memory.first_failing_copy = 5;
            rig.memory.failing_copies = failures;
            rig.memory.failing_copies_land = lands;
            rig.start();
            EXPECT_TRUE(rig.device.run(20)) << rig.pool.log.text();
            rig.stop();
            EXPECT_EQ(rig.collected(), 20u);
            rig.expect_books();
            EXPECT_EQ(rig.expect_conserved().total, 1u);
            if (HasFailure())
                return;
        }
}

// Selects the copies of contents.
void select_contents(Memory &memory) {
    memory.selected = [&memory](const void *dev, size_t, bool outward) {
        const auto *at = static_cast<const char *>(dev);
        const bool in_region = at >= memory.shm_device() && at < memory.shm_device() + 256 * 1024;
        return !outward && !in_region;
    };
}

TEST(CopyFaultsOfContents, AreRetriedAtOnce) {
    for (int64_t k = 0; k < 10; ++k) {
        Shape shape;
        shape.mode = Mode::kShadow;
        Rig rig(shape);
        select_contents(rig.memory);
        rig.memory.first_failing_copy = k;
        rig.memory.failing_copies = 1;
        rig.start();
        EXPECT_TRUE(rig.device.run(20));
        rig.stop();
        EXPECT_EQ(rig.collected(), 20u);
        EXPECT_EQ(rig.stats(0).copy_failed, 0u);
        rig.expect_books();
        rig.expect_conserved();
    }
}

// Contents of one buffer that cannot be copied for good: charged once, told, and the buffer is used again.
TEST(CopyFaultsOfContents, AreChargedOnce) {
    Shape shape;
    shape.mode = Mode::kShadow;
    Rig rig(shape);
    select_contents(rig.memory);
    rig.memory.first_failing_copy = 3;
    rig.memory.failing_copies = 10;
    rig.gaps_allowed = true;
    rig.start();
    EXPECT_TRUE(rig.device.run(100));
    rig.stop();
    const lanepipe_queue_stats_t stats = rig.stats(0);
    EXPECT_GE(stats.copy_failed, 1u);
    EXPECT_LE(stats.copy_failed, 10u);
    EXPECT_EQ(rig.collected() + stats.copy_failed, 100u);
    EXPECT_EQ(stats.transfer_failed, 0u);
    const lanepipe_fault_t fault = rig.fault();
    EXPECT_EQ(fault.status, LANEPIPE_E_CALLBACK);
    EXPECT_EQ(fault.role, uint32_t{LANEPIPE_ROLE_DRAIN});
    EXPECT_EQ(fault.index, 0u);
    EXPECT_NE(fault.value, 0u);
    EXPECT_GE(fault.count, stats.copy_failed);
    EXPECT_TRUE(eventually([&] { return rig.pool.log.count(LANEPIPE_LOG_ERROR) >= 1; }));
    rig.expect_books();
    EXPECT_EQ(rig.expect_conserved().quarantined, 0u);
}

Shape two_queues(Mode mode) {
    Shape shape;
    shape.mode = mode;
    shape.queues = 2;
    shape.kinds = 2;
    shape.instances_per_queue = 2;
    shape.shards = 1;
    // Lanes with a reserve: every top-up fills its queue, so that each publication leads to the next.
    shape.warm_target = 16;
    return shape;
}

// Instances 0 and 1 publish on queue 0, 2 and 3 on queue 1; the fault is on queue 0.
class Corruption : public testing::TestWithParam<Mode> {
  protected:
    Rig rig{two_queues(GetParam())};

    void expect_other_queue_goes_on() {
        EXPECT_TRUE(rig.device.run(100, {2, 3}));
        const uint64_t published = rig.device.instances[2].sequence + rig.device.instances[3].sequence;
        EXPECT_TRUE(eventually([&] { return rig.collected(2) + rig.collected(3) == published; }));
    }

    // The counter that a test waits for grows before the record and the log line are written.
    void expect_fault(uint64_t value) {
        EXPECT_TRUE(eventually([&] { return rig.pool.log.count(LANEPIPE_LOG_ERROR) >= 1; }));
        const lanepipe_fault_t fault = rig.fault();
        EXPECT_EQ(fault.status, LANEPIPE_E_CORRUPT);
        EXPECT_EQ(fault.role, uint32_t{LANEPIPE_ROLE_DRAIN});
        EXPECT_EQ(fault.index, 0u);
        EXPECT_EQ(fault.value, value);
        EXPECT_GE(fault.count, 1u);
    }

    Entry publish_and_keep(uint32_t instance) {
        Device::Instance &at = rig.device.instances[instance];
        at.current = rig.device.pop_free(at);
        if (at.current == 0) {
            ADD_FAILURE() << "the free queue is empty";
            return {};
        }
        const Entry entry = rig.device.fill(instance);
        EXPECT_TRUE(rig.device.push_entry(at.queue, entry));
        at.current = 0;
        ++at.sequence;
        return entry;
    }
};

TEST_P(Corruption, TailOutOfRange) {
    rig.start();
    uint32_t *tail = rig.device.queues[0].tail;
    for (const uint32_t bad : {64u, 65u, 0x80000000u, UINT32_MAX}) {
        SCOPED_TRACE(bad);
        const uint32_t sound = *tail;
        const uint64_t counted = rig.stats(0).corrupt;
        store(tail, bad);
        EXPECT_TRUE(eventually([&] { return rig.stats(0).corrupt > counted; }));
        expect_fault(bad);
        expect_other_queue_goes_on();
        store(tail, sound);
        EXPECT_TRUE(rig.device.run(20, {0, 1})) << "once it is sound again the queue goes on";
    }
    EXPECT_TRUE(rig.wait_collected(4u * (200 + 40)));
    store(tail, UINT32_MAX);
    rig.stop();
    store(tail, load(rig.device.queues[0].head));
    EXPECT_EQ(rig.collected(), 4u * (200 + 40));
    rig.expect_books();
    rig.expect_conserved();
}

TEST_P(Corruption, EntryWithoutAnAddress) {
    rig.start();
    EXPECT_TRUE(rig.device.run(10));
    const Entry nothing{};
    ASSERT_TRUE(rig.device.push_entry(0, nothing));
    EXPECT_TRUE(rig.device.run(10, {0, 1})) << "entries behind it are reached";
    expect_other_queue_goes_on();
    rig.stop();
    EXPECT_EQ(rig.collected(), 40u + 20 + 200);
    EXPECT_EQ(rig.stats(0).rejected, 1u);
    rig.expect_books();
    EXPECT_EQ(rig.expect_conserved().quarantined, 0u);
}

TEST_P(Corruption, UnknownAddresses) {
    rig.start();
    EXPECT_TRUE(rig.device.run(10));
    const uint64_t known = rig.device.instances[0].slots[0];
    uint64_t rejected = 0;
    for (const uint64_t address : {uint64_t{8}, uint64_t{0x1234567890}, UINT64_MAX, known + 8, known - 1}) {
        SCOPED_TRACE(address);
        const uint64_t sequence = rig.device.instances[0].sequence;
        ASSERT_TRUE(rig.device.push_entry(0, {sequence, address, 0, 3, check_of(sequence, address, 0)}));
        ++rejected;
        EXPECT_TRUE(eventually([&] { return rig.stats(0).rejected == rejected; }));
        expect_fault(address);
        expect_other_queue_goes_on();
        EXPECT_TRUE(rig.device.run(10, {0, 1}));
    }
    rig.stop();
    EXPECT_EQ(rig.collected(), 40u + 5 * 220);
    EXPECT_EQ(rig.stats(0).rejected, rejected);
    rig.expect_books();
    EXPECT_EQ(rig.expect_conserved().quarantined, 0u);
}

TEST_P(Corruption, SameAddressPublishedTwice) {
    std::atomic<bool> blocked{true};
    rig.on_collect = [&](uint32_t) {
        while (blocked)
            std::this_thread::sleep_for(std::chrono::microseconds(50));
    };
    rig.start();
    const Entry entry = publish_and_keep(0);
    ASSERT_TRUE(rig.device.push_entry(0, entry));
    EXPECT_TRUE(eventually([&] { return rig.stats(0).rejected == 1; })) << "the host has the buffer already";
    // On another queue it is no better.
    Entry foreign = entry;
    foreign.instance = 2;
    foreign.check = check_of(foreign.sequence, foreign.buffer, 2);
    ASSERT_TRUE(rig.device.push_entry(1, foreign));
    EXPECT_TRUE(eventually([&] { return rig.stats(1).rejected == 1; }));
    blocked = false;
    EXPECT_TRUE(rig.wait_collected(1));
    expect_other_queue_goes_on();
    EXPECT_TRUE(rig.device.run(10, {0, 1}));
    rig.stop();
    EXPECT_EQ(rig.collected(), 1u + 200 + 20);
    rig.expect_books();
    EXPECT_EQ(rig.expect_conserved().quarantined, 0u);
}

TEST_P(Corruption, FreeQueueHeadImpossible) {
    rig.start();
    EXPECT_TRUE(rig.device.run(10));
    Device::Instance &at = rig.device.instances[0];
    uint64_t published = 10;
    // Ahead of the tail, or more behind it than there are slots.
    for (const uint32_t off : {1u, 5u, 0x80000000u, 0u - 5u}) {
        SCOPED_TRACE(off);
        const uint64_t counted = rig.stats(0).corrupt;
        // Some must be left, or nothing makes the host look again later. A publication has the queue topped up.
        ASSERT_TRUE(eventually([&] {
            const uint32_t filled = load(at.tail) - *at.head;
            published += filled < 2 && rig.device.publish(0) ? 1 : 0;
            return filled >= 2;
        }));
        at.current = rig.device.pop_free(at);
        const uint32_t sound = *at.head;
        const uint32_t bad = load(at.tail) + off;
        store(at.head, bad);
        // Makes the host look.
        ASSERT_TRUE(rig.device.publish(0));
        EXPECT_TRUE(eventually([&] { return rig.stats(0).corrupt > counted; }));
        expect_fault(bad);
        store(at.head, sound);
        expect_other_queue_goes_on();
        ASSERT_TRUE(rig.device.run(10, {0, 1}));
        published += 11;
    }
    rig.stop();
    EXPECT_EQ(rig.collected(0), published);
    rig.expect_books();
    rig.expect_conserved();
}

struct BadAnswer {
    const char *name;
    void (*spoil)(lanepipe_site_t &);
};

TEST_P(Corruption, AnswersThatDoNotFit) {
    const BadAnswer answers[] = {
        {"rejected", [](lanepipe_site_t &site) { site.instance = LANEPIPE_REJECT; }},
        {"instance of another queue", [](lanepipe_site_t &site) { site.instance = 2; }},
        {"instance of another kind", [](lanepipe_site_t &site) { site.instance = 1; }},
        {"no such instance", [](lanepipe_site_t &site) { site.instance = 4; }},
        {"contents beyond the buffer", [](lanepipe_site_t &site) { site.content_size = 257; }},
        {"absurd contents", [](lanepipe_site_t &site) { site.content_size = SIZE_MAX; }},
    };
    uint64_t bad_sequence = 0;
    const BadAnswer *answer = nullptr;
    rig.on_resolve = [&](const lanepipe_entry_t &entry, lanepipe_site_t &site) {
        Entry own;
        std::memcpy(&own, entry.bytes, sizeof own);
        if (own.instance == 0 && own.sequence == bad_sequence && answer != nullptr)
            answer->spoil(site);
    };
    uint64_t quarantined = 0;
    for (const BadAnswer &at : answers) {
        SCOPED_TRACE(at.name);
        answer = &at;
        bad_sequence = rig.device.instances[0].sequence + 5;
        rig.may_lack.insert({0, bad_sequence});
        rig.start();
        EXPECT_TRUE(rig.device.run(10, {0, 1}));
        expect_other_queue_goes_on();
        rig.stop();
        ++quarantined;
        EXPECT_EQ(rig.stats(0).rejected, quarantined);
        rig.expect_books();
        EXPECT_EQ(rig.expect_conserved().quarantined, quarantined);
    }
    EXPECT_EQ(rig.collected(0), 60u - quarantined);
    EXPECT_EQ(rig.collected(1), 60u);
}

// An entry that names the wrong instance, or none, was published by one that has no other buffer. It must get one.
TEST(WrongAnswer, DoesNotStarveTheInstanceThatPublished) {
    const BadAnswer answers[] = {
        {"rejected", [](lanepipe_site_t &site) { site.instance = LANEPIPE_REJECT; }},
        {"instance of another queue", [](lanepipe_site_t &site) { site.instance = 2; }},
        {"instance of another kind", [](lanepipe_site_t &site) { site.instance = 1; }},
        {"no such instance", [](lanepipe_site_t &site) { site.instance = 4; }},
    };
    for (const BadAnswer &answer : answers) {
        SCOPED_TRACE(answer.name);
        Shape shape = two_queues(Mode::kIdentity);
        shape.warm_target = 0;
        shape.free_slots = 1;
        shape.batch_size = 1;
        Rig rig(shape);
        rig.may_lack.insert({0, 0});
        rig.on_resolve = [&](const lanepipe_entry_t &entry, lanepipe_site_t &site) {
            Entry own;
            std::memcpy(&own, entry.bytes, sizeof own);
            if (own.instance == 0 && own.sequence == 0)
                answer.spoil(site);
        };
        rig.start();
        ASSERT_TRUE(rig.device.publish(0));
        EXPECT_TRUE(eventually([&] { return rig.stats(0).rejected == 1; }));
        bool served = false;
        for (int tries = 0; tries < 2000 && !served; ++tries) {
            served = rig.device.publish(0);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        EXPECT_TRUE(served) << "no buffer in two seconds";
        rig.stop();
        rig.expect_books();
    }
}

INSTANTIATE_TEST_SUITE_P(Modes, Corruption, testing::Values(Mode::kIdentity, Mode::kShadow),
                         [](const auto &info) { return std::string(name_of(info.param)); });

// The host's own index as found at start is device memory like any other: what it holds is not trusted.
TEST(CorruptionDeathTest, HeadOutOfRangeAtStart) {
    death_test::in_new_process();
    for (const uint32_t bad : {64u, 0x80000000u, UINT32_MAX - 15}) {
        const auto scenario = [bad] {
            alarm(20);
            Rig rig(two_queues(Mode::kIdentity));
            *rig.device.queues[0].head = bad;
            rig.create();
            rig.threads.reset();
            const lanepipe_status_t status = lanepipe_profiler_start(rig.profiler);
            if (status == LANEPIPE_OK) {
                store(rig.device.queues[0].tail, 3u);
                EXPECT_TRUE(eventually([&] { return rig.stats(0).corrupt >= 1 || rig.stats(0).taken >= 1; }));
                EXPECT_TRUE(rig.device.run(100, {2, 3}));
                rig.stop();
                EXPECT_EQ(rig.collected(2) + rig.collected(3), 200u);
            } else {
                EXPECT_STATUS(LANEPIPE_E_CORRUPT, status);
            }
            std::_Exit(testing::Test::HasFailure() ? 1 : 0);
        };
        EXPECT_EXIT(scenario(), testing::ExitedWithCode(0), "") << bad;
    }
}

// Two queues of two shards publish the same buffers at the same time: each is delivered once, whoever comes first.
TEST(CorruptionRace, SameAddressesOnTwoShards) {
    Shape shape;
    shape.queues = 2;
    shape.shards = 2;
    shape.free_slots = 32;
    shape.batch_size = 32;
    Rig rig(shape);
    rig.gaps_allowed = true;
    rig.contents_checked = false;
    rig.start();
    rig.stop();
    uint64_t entries = 0;
    uint64_t buffers = 0;
    for (int round = 0; round < 300; ++round) {
        Device::Instance &first = rig.device.instances[0];
        Device::Instance &second = rig.device.instances[1];
        for (int i = 0; i < 8; ++i) {
            const uint64_t buffer = rig.device.pop_free(first);
            if (buffer == 0)
                break;
            ASSERT_TRUE(rig.device.push_entry(0, {first.sequence, buffer, 0, 2, check_of(first.sequence, buffer, 0)}));
            ASSERT_TRUE(
                rig.device.push_entry(1, {second.sequence, buffer, 1, 2, check_of(second.sequence, buffer, 1)}));
            ++first.sequence;
            ++second.sequence;
            entries += 2;
            ++buffers;
        }
        rig.start();
        rig.stop();
        ASSERT_EQ(rig.collected(), buffers) << "round " << round;
        ASSERT_EQ(audit_of(rig.pool.get()).errors, 0u) << "round " << round;
    }
    EXPECT_EQ(rig.stats(0).rejected + rig.stats(1).rejected, entries - buffers);
    rig.expect_books();
}

} // namespace
