// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The collector's checks, and the demonstrator's small parts: what is wrong must show.
#include "replay/collector.hpp"
#include "common/histogram.hpp"
#include "replay/load.hpp"
#include "replay/options.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace replay {
namespace {

constexpr uint32_t kCapacity = 8;

class ReplayCollector : public ::testing::Test {
  protected:
    ReplayCollector() : collector_(config(), load(), trace_) {}

    static Region region() {
        Region region;
        region.threads = 2;
        region.cores = 3;
        region.ready_slots = 8;
        return region;
    }

    static Load load() {
        Load load;
        load.core_to_thread = {0, 0, 1};
        return load;
    }

    static Collector::Config config() {
        Collector::Config config;
        config.region = region();
        config.shards = 2;
        for (uint32_t &capacity : config.capacities) {
            capacity = kCapacity;
        }
        return config;
    }

    // A buffer of task records of core 1 with the given sequence numbers.
    static std::vector<unsigned char> buffer(const std::vector<uint32_t> &sequences) {
        std::vector<unsigned char> bytes(content_size(kTask, kCapacity));
        BufferHeader header{};
        header.count = static_cast<uint32_t>(sequences.size());
        std::memcpy(bytes.data(), &header, sizeof(header));
        for (size_t i = 0; i < sequences.size(); ++i) {
            TaskRecord record{10, 20, 30, sequences[i], 0};
            record.checksum = record_checksum(1, &record, sizeof(record));
            std::memcpy(bytes.data() + content_size(kTask, static_cast<uint32_t>(i)), &record, sizeof(record));
        }
        return bytes;
    }

    void collect(std::vector<unsigned char> bytes, uint32_t records) {
        const lanepipe_buffer_t raw{bytes.data(), kTask, 1};
        const Payload payload{bytes.data(), 0, 1, records, 0, 0};
        collector_.collect(0, &raw, &payload, 1);
    }

    const CollectedBooks &books() { return collector_.books(1); }

    uint32_t resolve(uint32_t queue, const ReadyEntry &entry, uint32_t kind) {
        lanepipe_entry_t seen{};
        seen.bytes = &entry;
        seen.kind = kind;
        lanepipe_site_t site{};
        Payload payload{};
        site.payload = &payload;
        collector_.resolve(queue, &seen, 1, lanepipe::Sites<Payload>(&site, 1));
        return site.instance;
    }

    Trace trace_;
    Collector collector_;
};

TEST_F(ReplayCollector, AcceptsRecordsInOrder) {
    collect(buffer({0, 1, 2}), 3);
    collect(buffer({3}), 1);
    EXPECT_EQ(books().records, 4u);
    EXPECT_EQ(books().buffers, 2u);
    EXPECT_EQ(books().missing + books().mismatch + books().repeated, 0u);
    EXPECT_EQ(collector_.latency().count(), 2u);
}

TEST_F(ReplayCollector, SeesGaps) {
    collect(buffer({0, 1}), 2);
    collect(buffer({5, 7}), 2);
    EXPECT_EQ(books().records, 4u);
    EXPECT_EQ(books().missing, 4u);
    EXPECT_EQ(books().next, 8u);
}

TEST_F(ReplayCollector, SeesBuffersThatComeTwiceOrOutOfOrder) {
    collect(buffer({2, 3}), 2);
    collect(buffer({0, 1}), 2);
    collect(buffer({2, 3}), 2);
    EXPECT_EQ(books().records, 2u);
    EXPECT_EQ(books().repeated, 4u);
}

TEST_F(ReplayCollector, SeesDamage) {
    std::vector<unsigned char> damaged = buffer({0, 1, 2});
    damaged[content_size(kTask, 1) + 5] ^= 1;
    collect(damaged, 3);
    EXPECT_EQ(books().records, 2u);
    EXPECT_EQ(books().mismatch, 1u);
    EXPECT_EQ(books().missing, 0u);
}

TEST_F(ReplayCollector, SeesACountThatDiffersFromTheEntry) {
    collect(buffer({0, 1, 2}), 2);
    EXPECT_EQ(books().records, 0u);
    EXPECT_EQ(books().mismatch, 2u);
}

TEST_F(ReplayCollector, SeesARecordOfAnotherInstance) {
    std::vector<unsigned char> other = buffer({0});
    TaskRecord record{10, 20, 30, 0, 0};
    record.checksum = record_checksum(0, &record, sizeof(record));
    std::memcpy(other.data() + content_size(kTask, 0), &record, sizeof(record));
    collect(other, 1);
    EXPECT_EQ(books().mismatch, 1u);
}

TEST_F(ReplayCollector, RejectsEntriesThatMakeNoSense) {
    const ReadyEntry good{2, kTask, 4096, 0, 3, 0};
    EXPECT_EQ(resolve(1, good, kTask), 2u);
    EXPECT_EQ(resolve(0, good, kTask), LANEPIPE_REJECT); // another thread's core
    EXPECT_EQ(resolve(1, good, kAicore), LANEPIPE_REJECT);
    ReadyEntry bad = good;
    bad.instance = region().instances();
    EXPECT_EQ(resolve(1, bad, kTask), LANEPIPE_REJECT);
    bad = good;
    bad.kind = kAicore;
    EXPECT_EQ(resolve(1, bad, kAicore), LANEPIPE_REJECT);
    bad = good;
    bad.record_count = kCapacity + 1;
    EXPECT_EQ(resolve(1, bad, kTask), LANEPIPE_REJECT);
    bad.record_count = 0;
    EXPECT_EQ(resolve(1, bad, kTask), LANEPIPE_REJECT);
    EXPECT_EQ(collector_.malformed(), 6u);
}

TEST(ReplayRegion, NumbersInstances) {
    Region region;
    region.threads = 4;
    region.cores = 24;
    region.ready_slots = 992;
    EXPECT_EQ(region.instances(), 53u);
    EXPECT_EQ(region.kind_of(23), static_cast<uint32_t>(kTask));
    EXPECT_EQ(region.kind_of(24), static_cast<uint32_t>(kAicore));
    EXPECT_EQ(region.kind_of(region.sched_instance(3)), static_cast<uint32_t>(kSchedPhase));
    EXPECT_EQ(region.unit_of(region.sched_instance(3)), 3u);
    EXPECT_EQ(region.kind_of(region.orch_instance()), static_cast<uint32_t>(kOrchPhase));
    EXPECT_EQ(region.unit_of(region.aicore_instance(7)), 7u);
    EXPECT_EQ(region.instances_offset() % 64, 0u);
    EXPECT_GE(region.size(), 4u * 992 * 32 + 53 * 192);
}

TEST(ReplayHistogram, QuantilesAreWithinAClass) {
    Histogram histogram;
    EXPECT_EQ(histogram.quantile(0.5), 0u);
    for (uint64_t i = 1; i <= 100000; ++i) {
        histogram.add(i);
    }
    EXPECT_NEAR(static_cast<double>(histogram.quantile(0.5)), 50000, 1700);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(0.99)), 99000, 3200);
    EXPECT_EQ(histogram.max(), 100000u);
    EXPECT_LE(histogram.quantile(1.0), 100000u);
    Histogram other;
    other.add(UINT64_MAX);
    other.add(0);
    histogram.add(other);
    EXPECT_EQ(histogram.count(), 100002u);
    EXPECT_EQ(histogram.quantile(1.0), UINT64_MAX);
}

TEST(ReplayLoad, SyntheticSharesAddUp) {
    Options options;
    options.synthetic = true;
    options.events = 12345;
    Load load = synthetic_load(options);
    ASSERT_EQ(load.sources.size(), 4u);
    uint64_t total = 0;
    uint64_t records = 0;
    for (auto &source : load.sources) {
        Event event;
        uint64_t last = 0;
        while (source->next(event)) {
            EXPECT_GE(event.recorded_at(), event.start);
            EXPECT_LE(event.start, event.end);
            last = std::max(last, event.recorded_at());
            ++total;
            records += event.type == Event::kTaskEvent ? 2 : 1;
        }
    }
    EXPECT_EQ(total, 12345u);
    EXPECT_EQ(records, load.planned_records);
}

TEST(ReplayOptions, TakesValuesInBothForms) {
    Options options;
    std::string error;
    ASSERT_TRUE(
        parse_options({"--loops=3", "--memory", "shadow", "run_a", "--fail-copy=5+7", "run_b"}, options, error));
    EXPECT_EQ(options.loops, 3u);
    EXPECT_EQ(options.memory, Options::kShadow);
    EXPECT_EQ(options.fail_copy, 5u);
    EXPECT_EQ(options.fail_copy_count, 7u);
    EXPECT_EQ(options.runs, (std::vector<std::string>{"run_a", "run_b"}));
    EXPECT_EQ(options.records_per_buffer, 16u);
    Options synthetic;
    ASSERT_TRUE(parse_options({"--synthetic"}, synthetic, error));
    EXPECT_EQ(synthetic.records_per_buffer, 0u);
}

} // namespace
} // namespace replay
