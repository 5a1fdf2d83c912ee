// One cycle per kind through the C interface, with the device's words written by hand: full buffers, an active one, the
// books.
#include "device.h"

#include <tuple>

namespace {

using namespace collector;
using capi::Mode;

constexpr Mode kModes[] = {Mode::kIdentity, Mode::kRegistered, Mode::kShadow};

class Cycle : public testing::TestWithParam<std::tuple<Layout, Mode>> {};

// Stored records of instance 0, as numbers with the flags of their run.
std::vector<std::pair<uint64_t, uint32_t>> stored(const Rig &rig, const Layout &layout) {
    std::vector<std::pair<uint64_t, uint32_t>> found;
    lanepipe_records_t run{};
    run.struct_size = sizeof run;
    for (uint64_t position = 0;; ++position) {
        const lanepipe_status_t status = lanepipe_collector_read(rig.collector, layout.kind, 0, position, &run);
        if (status == LANEPIPE_EMPTY)
            return found;
        EXPECT_STATUS(LANEPIPE_OK, status);
        if (status != LANEPIPE_OK)
            return found;
        EXPECT_EQ(run.kind, layout.kind);
        EXPECT_EQ(run.instance, 0u);
        EXPECT_EQ(run.record_size, layout.record);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(run.records) % 64, 0u);
        EXPECT_EQ(run.payloads != nullptr, layout.subsystem == LANEPIPE_SUBSYSTEM_ARGS_DUMP);
        for (uint32_t i = 0; i < run.count; ++i) {
            uint64_t number = 0;
            std::memcpy(&number, static_cast<const char *>(run.records) + i * layout.record, sizeof number);
            found.emplace_back(number, run.flags);
        }
    }
}

TEST_P(Cycle, EveryRecordArrivesOnce) {
    const auto &[layout, mode] = GetParam();
    Rig rig(layout.subsystem, mode);
    rig.create();
    lanepipe_kind_info_t kind{};
    kind.struct_size = sizeof kind;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_get_kind(rig.collector, layout.kind, &kind));
    EXPECT_EQ(kind.record_size, layout.record);
    EXPECT_GE(kind.instances, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_start(rig.collector));
    Producer producer(rig.memory, rig.region().base, layout);
    // More buffers than there are at the beginning.
    uint64_t records = 0;
    for (uint32_t buffer = 0; buffer < 20; ++buffer) {
        producer.take();
        producer.record(buffer + 1);
        producer.publish();
        records += buffer + 1;
    }
    producer.take();
    producer.record(5);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_stop(rig.collector, LANEPIPE_FOREVER));

    lanepipe_books_t books = rig.books(layout.kind, 0);
    EXPECT_EQ(books.collected, records);
    EXPECT_EQ(books.unflushed, 5u);
    uint64_t recovered = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_recover(rig.collector, &recovered));
    EXPECT_EQ(recovered, 5u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_recover(rig.collector, &recovered));
    EXPECT_EQ(recovered, 0u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_recover(rig.collector, nullptr));
    books = rig.books();
    const bool counts = layout.total != kNoTotal;
    EXPECT_EQ(books.verdict, counts ? LANEPIPE_BOOKS_BALANCED : LANEPIPE_BOOKS_NONE);
    EXPECT_EQ(books.total, counts ? records + 5 : 0);
    EXPECT_EQ(books.collected, records + 5);
    EXPECT_EQ(books.unaccounted, 0);
    EXPECT_EQ(books.rejected + books.lost + books.not_stored + books.clamped + books.unflushed, 0u);

    const auto found = stored(rig, layout);
    ASSERT_EQ(found.size(), records + 5);
    for (uint64_t i = 0; i < found.size(); ++i) {
        ASSERT_EQ(found[i].first, i + 1);
        ASSERT_EQ(found[i].second, i < records ? 0u : LANEPIPE_RECORDS_RECOVERED);
    }
    uint64_t collected = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_get_collected(rig.collector, &collected));
    EXPECT_EQ(collected, records + 5);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Cycle, testing::Combine(testing::ValuesIn(kLayouts), testing::ValuesIn(kModes)),
                         [](const auto &info) {
                             return std::string(std::get<0>(info.param).name) + "_" +
                                    capi::name_of(std::get<1>(info.param));
                         });

// The contents of an argument come with its record, from the thread's arena.
TEST(Payloads, ComeWithTheirRecords) {
    for (const Mode mode : kModes) {
        Rig rig(LANEPIPE_SUBSYSTEM_ARGS_DUMP, mode);
        rig.create();
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_start(rig.collector));
        Producer producer(rig.memory, rig.region().base, kDump);
        const auto arena = producer.state<uint64_t>(144);
        ASSERT_EQ(producer.state<uint64_t>(152), 4096u);
        std::memcpy(rig.memory.at_device(arena + 100), "contents", 8);
        producer.take();
        producer.record(3);
        producer.field<uint64_t>(1, 24) = 4096 + 100; // offset: the second lap
        producer.field<uint64_t>(1, 32) = 8;
        producer.field<uint64_t>(2, 24) = 4090; // leaves the arena
        producer.field<uint64_t>(2, 32) = 8;
        producer.publish();
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_stop(rig.collector, LANEPIPE_FOREVER));
        lanepipe_records_t run{};
        run.struct_size = sizeof run;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_read(rig.collector, 0, 0, 0, &run));
        ASSERT_EQ(run.count, 3u);
        EXPECT_EQ(run.payloads[0].data, nullptr);
        EXPECT_EQ(run.payloads[0].size, 0u);
        ASSERT_NE(run.payloads[1].data, nullptr);
        EXPECT_EQ(std::memcmp(run.payloads[1].data, "contents", 8), 0);
        EXPECT_EQ(run.payloads[2].data, nullptr);
        EXPECT_EQ(run.payloads[2].size, 8u);
        const lanepipe_books_t books = rig.books();
        EXPECT_EQ(books.payloads, 1u);
        EXPECT_EQ(books.payloads_lost, 1u);
    }
}

// A sink takes the place of the store.
TEST(Sink, TakesRecordsInOrder) {
    struct Heard {
        std::vector<uint32_t> seqs, counts;
    } heard;
    Rig rig(LANEPIPE_SUBSYSTEM_PMU);
    rig.config.sink_context = &heard;
    rig.config.sink = [](void *context, const lanepipe_records_t *records) {
        auto &heard = *static_cast<Heard *>(context);
        EXPECT_EQ(records->struct_size, sizeof *records);
        heard.seqs.push_back(records->buffer_seq);
        heard.counts.push_back(records->count);
    };
    rig.create();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_start(rig.collector));
    Producer producer(rig.memory, rig.region().base, kPmu);
    for (const uint32_t count : {4u, 1u, 3u}) {
        producer.take();
        producer.record(count);
        producer.publish();
    }
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_stop(rig.collector, LANEPIPE_FOREVER));
    EXPECT_EQ(heard.seqs, (std::vector<uint32_t>{0, 1, 2}));
    EXPECT_EQ(heard.counts, (std::vector<uint32_t>{4, 1, 3}));
    lanepipe_records_t run{};
    run.struct_size = sizeof run;
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_collector_read(rig.collector, 0, 0, 0, &run));
}

// What the launch arguments need: the flag, the table of the rings on the device.
TEST(Region, NamesWhatTheDeviceNeeds) {
    for (const Mode mode : kModes) {
        Rig rig(LANEPIPE_SUBSYSTEM_PMU, mode);
        rig.create();
        const lanepipe_collector_region_t region = rig.region();
        EXPECT_EQ(region.profiling_flag, 4u);
        EXPECT_EQ(region.size, 34688u + 2 * 192);
        EXPECT_EQ(region.base % 64, 0u);
        ASSERT_EQ(region.table_count, 2u);
        const uint64_t *table = rig.memory.at_device<uint64_t>(region.table);
        Producer producer(rig.memory, region.base, kPmu);
        EXPECT_EQ(producer.state<uint64_t>(136), table[0]);
        EXPECT_EQ(table[1], table[0] + 128);
        for (uint32_t i = 0; i < 256; ++i)
            ASSERT_EQ(*rig.memory.at_device(table[0] + i), 0) << "a ring is not cleared";
    }
}

// Entries that name no instance, and such as name no buffer; these count for the instance once its queue is known.
TEST(Entries, AreRefusedAndCounted) {
    Rig rig(LANEPIPE_SUBSYSTEM_SWIMLANE, Mode::kShadow);
    rig.create();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_start(rig.collector));
    Producer producer(rig.memory, rig.region().base, kTask);
    producer.take();
    producer.record(2);
    producer.entry(0, 2, LANEPIPE_KIND_AICPU_TASK, 0x1000, 0);
    producer.entry(0, 0, 4, 0x1000, 0);
    producer.entry(1, 0, LANEPIPE_KIND_AICPU_TASK, 0x1000, 0);
    producer.entry(0, 0, LANEPIPE_KIND_AICPU_TASK, 0x1000, 0);
    producer.publish();
    producer.entry(0, 0, LANEPIPE_KIND_AICPU_TASK, 0x1000, 0);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_stop(rig.collector, LANEPIPE_FOREVER));
    EXPECT_EQ(rig.books(LANEPIPE_KIND_AICPU_TASK, 0).rejected, 1u);
    const lanepipe_books_t books = rig.books();
    EXPECT_EQ(books.rejected, 5u);
    EXPECT_EQ(books.collected, 2u);
    EXPECT_EQ(books.verdict, LANEPIPE_BOOKS_BALANCED);
}

} // namespace
