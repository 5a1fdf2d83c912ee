// DepGen and ScopeStats through the C interface: DE 1.8, 1.10, 5.1 to 5.3, D28 to D31, D39; W22, W23, W40, W41.
#include "support.h"

#include <array>
#include <string>

namespace {

using namespace subsystems;

struct DepRegion {
    DepGenHeader header;
    DepGenState state;
};

class DepGen : public testing::Test {
  protected:
    DepGen() {
        submit.struct_size = sizeof submit;
        submit.task_id = 11;
    }
    void begin() {
        const lanepipe_device_region_t described = region_of(&region->header);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_dep_gen_init(&dep_gen, &described));
    }
    uint64_t give() { return buffers.give(region->state.free_queue); }
    lanepipe_status_t record() { return lanepipe_dep_gen_record_submit(&dep_gen, &thread, &submit); }

    std::unique_ptr<DepRegion> region = std::make_unique<DepRegion>();
    Buffers<DepGenBuffer> buffers;
    lanepipe_dep_gen_t dep_gen{};
    lanepipe_dep_gen_submit_t submit{};
    Thread thread{3};
};

// D28: base slot and overflow slot of one submit, and what they hold.
TEST_F(DepGen, AChainOfSlots) {
    const uint64_t buffer = give();
    begin();
    std::vector<uint64_t> deps(65);
    for (size_t dep = 0; dep < deps.size(); ++dep)
        deps[dep] = 100 + dep;
    std::array<uint8_t, 128> tensor;
    tensor.fill(0xab);
    const void *tensors[] = {tensor.data(), nullptr};
    const uint8_t types[] = {1, 2};
    const int32_t kernels[] = {4, 5, 6};
    submit.flags = LANEPIPE_DEP_GEN_MANUAL_SCOPE | LANEPIPE_DEP_GEN_EARLY_DISPATCH;
    submit.tensors = tensors;
    submit.tensor_count = 2;
    submit.arg_types = types;
    submit.deps = deps.data();
    submit.dep_count = static_cast<int32_t>(deps.size());
    submit.kernel_ids = kernels;
    submit.block_num = -3;
    ASSERT_STATUS(LANEPIPE_OK, record());
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_dep_gen_flush(&dep_gen, &thread));
    const std::vector<Entry> entries = take(region->header, 3);
    ASSERT_EQ(entries.size(), 1u);
    expect_entry(entries[0], 0, buffer, 0);
    const auto &stored = buffer_at<DepGenBuffer>(buffer);
    ASSERT_EQ(stored.count, 2u);
    EXPECT_EQ(field<uint64_t>(stored.records[0], 0), 11u);
    EXPECT_EQ(field<uint32_t>(stored.records[0], 8), 1u | 2u | 16u);
    EXPECT_EQ(field<uint16_t>(stored.records[0], 12), 2u);
    EXPECT_EQ(field<uint16_t>(stored.records[0], 14), 64u);
    EXPECT_EQ(field<uint64_t>(stored.records[0], 16 + 63 * 8), 163u);
    EXPECT_EQ(field<uint8_t>(stored.records[0], 529), 2u);
    EXPECT_EQ(field<int32_t>(stored.records[0], 568), 6);
    EXPECT_EQ(field<uint32_t>(stored.records[0], 572), 1u);
    EXPECT_EQ(field<uint8_t>(stored.records[0], 576 + 127), 0xabu);
    EXPECT_EQ(field<uint8_t>(stored.records[0], 576 + 128), 0u);
    EXPECT_EQ(field<uint32_t>(stored.records[1], 8), 4u | 8u);
    EXPECT_EQ(field<uint64_t>(stored.records[1], 16), 164u);
    EXPECT_EQ(region->state.total_record_count, 1u);
    EXPECT_EQ(region->state.total_overflow_record_count, 1u);
}

// What is missing is stored as the contract says; counts below 0 are none.
TEST_F(DepGen, NothingIsGiven) {
    const uint64_t buffer = give();
    begin();
    submit.tensor_count = -1;
    submit.dep_count = -1;
    ASSERT_STATUS(LANEPIPE_OK, record());
    // Too many tensors, without an array of them.
    submit.tensor_count = 40;
    submit.dep_count = 9;
    ASSERT_STATUS(LANEPIPE_OK, record());
    EXPECT_EQ(thread.losses.truncated, 1u);
    const auto &stored = buffer_at<DepGenBuffer>(buffer);
    EXPECT_EQ(field<uint16_t>(stored.records[0], 12), 0u);
    EXPECT_EQ(field<int32_t>(stored.records[0], 560), -1);
    EXPECT_EQ(field<uint16_t>(stored.records[1], 12), 32u);
    EXPECT_EQ(field<uint16_t>(stored.records[1], 14), 0u);
}

// A chain longer than a buffer is shortened, not lost; it takes a buffer of its own.
TEST_F(DepGen, AChainThatNoBufferHolds) {
    const uint64_t first = give();
    const uint64_t second = give();
    begin();
    ASSERT_STATUS(LANEPIPE_OK, record());
    std::vector<uint64_t> deps(64 + 1024 * 582, 1);
    submit.deps = deps.data();
    submit.dep_count = static_cast<int32_t>(deps.size());
    ASSERT_STATUS(LANEPIPE_OK, record());
    EXPECT_EQ(thread.losses.truncated, 1u);
    EXPECT_EQ(thread.lost(), 0u);
    expect_entry(take(region->header, 3).at(0), 0, first, 0);
    EXPECT_EQ(buffer_at<DepGenBuffer>(second).count, 1024u);
    EXPECT_EQ(region->state.total_overflow_record_count, 1023u);
    // The next one switches.
    give();
    submit.dep_count = 0;
    ASSERT_STATUS(LANEPIPE_OK, record());
    expect_entry(take(region->header, 3).at(0), 0, second, 1);
}

// D29, D30.
TEST_F(DepGen, BeforeTheOrchestratorHasAnIndex) {
    const uint64_t buffer = give();
    begin();
    thread.index = -1;
    EXPECT_STATUS(LANEPIPE_DROPPED, record());
    EXPECT_EQ(thread.losses.refused, 1u);
    EXPECT_EQ(region->state.total_record_count, 1u);
    EXPECT_EQ(region->state.dropped_record_count, 1u);
    EXPECT_EQ(buffer_at<DepGenBuffer>(buffer).count, 0u);
    thread.index = 0;
    EXPECT_STATUS(LANEPIPE_OK, record());
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_dep_gen_flush(&dep_gen, &thread));
    EXPECT_EQ(region->state.current_buf_ptr, 0u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_dep_gen_flush(&dep_gen, &thread));
    expect_entry(take(region->header, 0).at(0), 0, buffer, 0);
}

TEST_F(DepGen, NoBufferAndNoRoom) {
    begin();
    EXPECT_STATUS(LANEPIPE_DROPPED, record());
    EXPECT_EQ(thread.losses.no_buffer, 1u);
    region->header.backpressure.fq_contended = 0;
    give();
    ASSERT_STATUS(LANEPIPE_OK, record());
    fill(region->header, 3);
    EXPECT_STATUS(LANEPIPE_DROPPED, lanepipe_dep_gen_flush(&dep_gen, &thread));
    EXPECT_EQ(thread.losses.no_room + thread.losses.host_gone, 1u);
    EXPECT_EQ(region->state.dropped_record_count, 2u);
}

TEST_F(DepGen, BadInput) {
    lanepipe_device_region_t bad = region_of(&region->header);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_init(nullptr, &bad));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_init(&dep_gen, nullptr));
    bad.arch = 9;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_dep_gen_init(&dep_gen, &bad));
    bad = region_of(&region->header);
    bad.struct_size = 0;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_dep_gen_init(&dep_gen, &bad));
    bad = region_of<DepGenHeader>(nullptr);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_init(&dep_gen, &bad));
    EXPECT_STATUS(LANEPIPE_CLOSED, record());
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_dep_gen_flush(&dep_gen, &thread));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_dep_gen_finalize(&dep_gen));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_finalize(nullptr));

    begin();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_record_submit(nullptr, &thread, &submit));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_record_submit(&dep_gen, nullptr, &submit));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_record_submit(&dep_gen, &thread, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_dep_gen_flush(nullptr, &thread));
    submit.flags = 4;
    EXPECT_STATUS(LANEPIPE_E_INVALID, record());
    submit.flags = 0;
    submit.reserved = 1;
    EXPECT_STATUS(LANEPIPE_E_INVALID, record());
    submit.reserved = 0;
    submit.struct_size += 8;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, record());
    submit.struct_size = sizeof submit;
    uint64_t deps[2] = {};
    submit.deps = reinterpret_cast<const uint64_t *>(address(deps) + 1);
    submit.dep_count = 1;
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, record());
    EXPECT_EQ(region->state.total_record_count, 0u);
    dep_gen.words[0] = 1;
    EXPECT_STATUS(LANEPIPE_E_STATE, record());
}

struct ScopeRegion {
    ScopeStatsHeader header;
    ScopeStatsState state;
};

class Scopes : public testing::Test {
  protected:
    Scopes() {
        sample.struct_size = sizeof sample;
        sample.reserved = 9; // Not looked at.
    }
    void begin_launch() {
        const lanepipe_device_region_t described = region_of(&region->header);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_init(&scopes, &described));
    }
    uint64_t give() { return buffers.give(region->state.free_queue); }
    lanepipe_status_t begin() { return lanepipe_scope_stats_begin(&scopes, &thread, &sample); }
    lanepipe_status_t end() { return lanepipe_scope_stats_end(&scopes, &thread, &sample); }
    int32_t depth() {
        int32_t found = 99;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_depth(&scopes, &found));
        return found;
    }

    std::unique_ptr<ScopeRegion> region = std::make_unique<ScopeRegion>();
    Buffers<ScopeStatsBuffer> buffers;
    lanepipe_scope_stats_t scopes{};
    lanepipe_scope_sample_t sample{};
    Thread thread{1};
};

TEST_F(Scopes, RecordsSwitchAndFlush) {
    const uint64_t first = give();
    const uint64_t second = give();
    begin_launch();
    EXPECT_EQ(region->state.current_buf_ptr, 0u) << "the first record takes the buffer";
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_set_ring_capacity(&scopes, 2, 10, 1000, 30));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_set_tensormap_capacity(&scopes, 77));
    EXPECT_EQ(region->header.task_window_cap[2], 10);
    EXPECT_EQ(region->header.heap_cap[2], 1000u);
    EXPECT_EQ(region->header.dep_pool_cap[2], 30);
    EXPECT_EQ(region->header.tensormap_cap, 77);
    sample = {sizeof sample, 2, 1, 2, 3, 4, 5, 6, 7, 0};
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_set_pending_site(&scopes, "/src/dir\\model.cpp", 42));
    ASSERT_STATUS(LANEPIPE_OK, begin());
    EXPECT_EQ(depth(), 0);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_note_heap_wrap(&scopes, LANEPIPE_HEAP_SIDE_ALLOC));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_note_heap_wrap(&scopes, LANEPIPE_HEAP_SIDE_ALLOC));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_note_heap_wrap(&scopes, LANEPIPE_HEAP_SIDE_RECLAIM));
    ASSERT_STATUS(LANEPIPE_OK, end());
    EXPECT_EQ(depth(), -1);
    EXPECT_STATUS(LANEPIPE_EMPTY, end());
    const auto &records = buffer_at<ScopeStatsBuffer>(first).records;
    EXPECT_STREQ(reinterpret_cast<const char *>(&records[0]), "model.cpp");
    EXPECT_EQ(field<uint64_t>(records[0], 32), 3u);
    EXPECT_EQ(field<uint64_t>(records[0], 40), 4u);
    EXPECT_EQ(field<int32_t>(records[0], 48), 42);
    EXPECT_EQ(field<int32_t>(records[0], 52), 1);
    EXPECT_EQ(field<int32_t>(records[0], 68), 7);
    EXPECT_EQ(field<int16_t>(records[0], 72), 0);
    EXPECT_EQ(field<int16_t>(records[0], 74), 2);
    EXPECT_EQ(field<int16_t>(records[0], 76), 0);
    // D39.
    EXPECT_EQ(field<uint64_t>(records[1], 32), 1003u);
    EXPECT_EQ(field<uint64_t>(records[1], 40), 2004u);
    EXPECT_EQ(field<int16_t>(records[1], 76), 1);
    for (uint32_t pair = 1; pair < 257; ++pair) {
        ASSERT_STATUS(LANEPIPE_OK, begin());
        ASSERT_STATUS(LANEPIPE_OK, end());
    }
    expect_entry(take(region->header, 1).at(0), 0, first, 0);
    EXPECT_STREQ(reinterpret_cast<const char *>(&records[2]), "(unknown)");
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_on_fatal(&scopes, &thread));
    EXPECT_EQ(region->header.fatal_latched, 1u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_scope_stats_flush(&scopes, &thread));
    expect_entry(take(region->header, 1).at(0), 0, second, 1);
    EXPECT_EQ(region->state.total_record_count, 514u);
}

// W22.
TEST_F(Scopes, BeforeTheOrchestratorHasAnIndex) {
    give();
    begin_launch();
    thread.index = -1;
    EXPECT_STATUS(LANEPIPE_DROPPED, begin());
    EXPECT_EQ(thread.losses.refused, 1u);
    EXPECT_EQ(region->state.total_record_count, 1u);
    EXPECT_EQ(region->state.dropped_record_count, 1u);
    thread.index = 1;
    EXPECT_STATUS(LANEPIPE_OK, end());
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_flush(&scopes, &thread));
    EXPECT_EQ(take(region->header, 1).size(), 1u);
}

// W23: the ends of scopes that are too deep leave those that are not alone.
TEST_F(Scopes, TooDeep) {
    give();
    begin_launch();
    for (int scope = 0; scope < 64; ++scope)
        ASSERT_STATUS(LANEPIPE_OK, begin());
    EXPECT_STATUS(LANEPIPE_FULL, begin());
    EXPECT_EQ(depth(), 63);
    EXPECT_STATUS(LANEPIPE_FULL, end());
    EXPECT_EQ(depth(), 63);
    EXPECT_STATUS(LANEPIPE_OK, end());
    EXPECT_EQ(depth(), 62);
    EXPECT_EQ(region->state.total_record_count, 65u);
}

// W40: another text at the same address is another name.
TEST_F(Scopes, ANameIsReadAnew) {
    const uint64_t buffer = give();
    begin_launch();
    std::string file = "first.cpp";
    for (const char *name : {"first.cpp", "other.cpp"}) {
        file.replace(0, file.size(), name);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_set_pending_site(&scopes, file.c_str(), 1));
        ASSERT_STATUS(LANEPIPE_OK, begin());
        ASSERT_STATUS(LANEPIPE_OK, end());
    }
    const auto &records = buffer_at<ScopeStatsBuffer>(buffer).records;
    EXPECT_STREQ(reinterpret_cast<const char *>(&records[1]), "first.cpp");
    EXPECT_STREQ(reinterpret_cast<const char *>(&records[2]), "other.cpp");
}

TEST_F(Scopes, Disabled) {
    give();
    begin_launch();
    ASSERT_STATUS(LANEPIPE_OK, begin());
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_set_enabled(&scopes, 0));
    EXPECT_STATUS(LANEPIPE_CLOSED, begin());
    EXPECT_STATUS(LANEPIPE_CLOSED, end());
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_scope_stats_on_fatal(&scopes, &thread));
    EXPECT_EQ(region->header.fatal_latched, 0u);
    EXPECT_EQ(region->state.total_record_count, 1u);
    // Flushes do not depend on it.
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_flush(&scopes, &thread));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_scope_stats_set_enabled(&scopes, 1));
    give();
    EXPECT_STATUS(LANEPIPE_OK, end());
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_scope_stats_set_enabled(&scopes, 2));
}

TEST_F(Scopes, BadInput) {
    lanepipe_device_region_t bad = region_of(&region->header);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_init(nullptr, &bad));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_init(&scopes, nullptr));
    bad.arch = 2;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_scope_stats_init(&scopes, &bad));
    bad = region_of(&region->header);
    bad.struct_size = 4;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_scope_stats_init(&scopes, &bad));
    bad = region_of<ScopeStatsHeader>(nullptr);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_init(&scopes, &bad));
    EXPECT_STATUS(LANEPIPE_CLOSED, begin());
    EXPECT_STATUS(LANEPIPE_CLOSED, end());
    EXPECT_EQ(depth(), -1);
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_scope_stats_set_enabled(&scopes, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_scope_stats_set_pending_site(&scopes, "a", 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_scope_stats_note_heap_wrap(&scopes, 0));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_scope_stats_set_ring_capacity(&scopes, 0, 1, 1, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_scope_stats_set_tensormap_capacity(&scopes, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_scope_stats_flush(&scopes, &thread));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_finalize(nullptr));

    begin_launch();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_begin(nullptr, &thread, &sample));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_begin(&scopes, nullptr, &sample));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_begin(&scopes, &thread, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_end(&scopes, &thread, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_depth(&scopes, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_flush(&scopes, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_scope_stats_on_fatal(nullptr, &thread));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_scope_stats_note_heap_wrap(&scopes, 2));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_scope_stats_set_ring_capacity(&scopes, 4, 1, 1, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_scope_stats_set_ring_capacity(&scopes, -1, 1, 1, 1));
    sample.struct_size = 1;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, begin());
    EXPECT_EQ(region->state.total_record_count, 0u);
    EXPECT_EQ(depth(), -1);
    scopes.words[0] = 7;
    EXPECT_STATUS(LANEPIPE_E_STATE, begin());
}

} // namespace
