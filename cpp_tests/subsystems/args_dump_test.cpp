// ArgsDump through the C interface: DE 1.9, 3.6, 5.1, 5.2, D38; W19, W21, W36.
#include "support.h"

#include <cstring>
#include <numeric>

namespace {

using namespace subsystems;

constexpr uint64_t kArena = 1024;
constexpr uint8_t kUint8 = 5;
constexpr size_t kThreadsInUse = 2;

struct Region {
    DumpHeader header;
    DumpState states[kThreadsInUse];
};

class Dump : public testing::Test {
  protected:
    Dump() {
        region->header.dump_args_level = 2;
        for (size_t index = 0; index < kThreadsInUse; ++index) {
            region->states[index].arena_base = address(&arenas[index][0]);
            region->states[index].arena_size = kArena;
        }
        std::iota(std::begin(tensor), std::end(tensor), uint8_t{1});
        info.task_id = 9;
        info.dtype = kUint8;
        info.ndims = 1;
        info.buffer_addr = address(&tensor[0]);
        info.shapes[0] = 100;
        info.strides[0] = 1;
        info.func_count = 1;
        info.func_ids[0] = -1;
    }
    void begin(uint32_t threads = kThreadsInUse) {
        const lanepipe_device_region_t described = region_of(&region->header);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_args_dump_init(&dump, &described, threads));
    }
    uint64_t give(size_t index) { return buffers.give(region->states[index].free_queue); }
    lanepipe_status_t record() { return lanepipe_args_dump_record(&dump, &thread, &info); }

    std::unique_ptr<Region> region = std::make_unique<Region>();
    uint8_t arenas[kThreadsInUse][kArena] = {};
    uint8_t tensor[256];
    Buffers<DumpBuffer> buffers;
    lanepipe_args_dump_t dump{};
    lanepipe_args_dump_info_t info{};
    Thread thread{1};
};

TEST_F(Dump, RecordsSwitchAndFlush) {
    const uint64_t first = give(1);
    const uint64_t second = give(1);
    begin();
    uint32_t level = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_level(&dump, &level));
    EXPECT_EQ(level, 2u);
    ASSERT_STATUS(LANEPIPE_OK, record());
    EXPECT_EQ(std::memcmp(arenas[1], tensor, 100), 0);
    EXPECT_EQ(arenas[1][100], 0u);
    info.kind = 1;
    info.scalar_value = 0x1234;
    for (int scalar = 0; scalar < 256; ++scalar)
        ASSERT_STATUS(LANEPIPE_OK, record());
    expect_entry(take(region->header, 1).at(0), 1, first, 0);
    EXPECT_EQ(region->states[1].published_payload_count, 1u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_flush(&dump, &thread));
    expect_entry(take(region->header, 1).at(0), 1, second, 1);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_flush(&dump, &thread));
    const auto &records = buffer_at<DumpBuffer>(first).records;
    EXPECT_EQ(field<uint64_t>(records[0], 0), 9u);
    EXPECT_EQ(field<uint64_t>(records[0], 24), 0u);
    EXPECT_EQ(field<uint64_t>(records[0], 32), 100u);
    EXPECT_EQ(field<uint16_t>(records[0], 50), 0xffffu);
    EXPECT_EQ(field<uint64_t>(records[1], 32), 0u);
    EXPECT_EQ(field<uint64_t>(records[1], 40), 0x1234u);
    EXPECT_EQ(buffer_at<DumpBuffer>(second).count, 1u);
    EXPECT_EQ(thread.lost(), 0u);
}

TEST_F(Dump, ContentsBeyondTheArenaAreShortened) {
    give(1);
    begin();
    std::vector<uint8_t> large(2000, 3);
    info.buffer_addr = address(large.data());
    info.shapes[0] = 2000;
    ASSERT_STATUS(LANEPIPE_OK, record());
    EXPECT_EQ(thread.losses.truncated, 1u);
    EXPECT_EQ(region->states[1].arena_write_offset, kArena / 2);
}

// D38: the arena starts anew once the host has acknowledged what was published.
TEST_F(Dump, TheArenaStartsAnew) {
    give(1);
    begin();
    for (int payload = 0; payload < 10; ++payload)
        ASSERT_STATUS(LANEPIPE_OK, record());
    thread.pause = [this] {
        auto &state = region->states[1];
        EXPECT_EQ(arenas[1][0], 1u) << "written before the acknowledgement";
        if (region->header.backpressure.fq_contended != 0) {
            state.completed_payload_count = state.published_payload_count;
            take(region->header, 1);
            if (state.free_queue.head == state.free_queue.tail)
                give(1);
            region->header.backpressure.fq_contended = 0;
        }
    };
    tensor[0] = 77;
    ASSERT_STATUS(LANEPIPE_OK, record());
    EXPECT_EQ(region->states[1].published_payload_count, 10u);
    EXPECT_EQ(region->states[1].arena_write_offset, kArena + 100);
    EXPECT_EQ(arenas[1][0], 77u);
    EXPECT_EQ(thread.lost(), 0u);
}

TEST_F(Dump, AnArenaThatIsNotReleased) {
    give(1);
    begin();
    for (int payload = 0; payload < 10; ++payload)
        ASSERT_STATUS(LANEPIPE_OK, record());
    tensor[0] = 77;
    EXPECT_STATUS(LANEPIPE_DROPPED, record());
    EXPECT_EQ(thread.losses.refused, 1u);
    EXPECT_EQ(region->states[1].dropped_record_count, 1u);
    EXPECT_EQ(arenas[1][0], 1u);
}

TEST_F(Dump, NoBufferAndNoRoom) {
    begin();
    EXPECT_STATUS(LANEPIPE_DROPPED, record());
    EXPECT_EQ(thread.losses.no_buffer, 1u);
    region->header.backpressure.fq_contended = 0;
    give(1);
    ASSERT_STATUS(LANEPIPE_OK, record());
    fill(region->header, 1);
    EXPECT_STATUS(LANEPIPE_DROPPED, lanepipe_args_dump_flush(&dump, &thread));
    EXPECT_EQ(thread.losses.no_room + thread.losses.host_gone, 1u);
    // W36: what the host never gets is not waited for.
    EXPECT_EQ(region->states[1].published_payload_count, 0u);
    EXPECT_EQ(region->states[1].dropped_record_count, 2u);
}

// W19.
TEST_F(Dump, ALaunchKnowsItsOwnThreadsOnly) {
    begin();
    const auto old = std::move(region);
    region = std::make_unique<Region>();
    begin(1);
    EXPECT_STATUS(LANEPIPE_E_INVALID, record());
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_flush(&dump, &thread));
    EXPECT_EQ(old->states[1].dropped_record_count + region->states[1].dropped_record_count, 0u);
}

TEST_F(Dump, BadInput) {
    lanepipe_device_region_t bad = region_of(&region->header);
    uint32_t level = 5;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_init(nullptr, &bad, 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_init(&dump, nullptr, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_init(&dump, &bad, 0));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_init(&dump, &bad, PLATFORM_MAX_AICPU_THREADS + 1));
    bad.arch = 2;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_init(&dump, &bad, 1));
    bad = region_of(&region->header);
    bad.struct_size = 16;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_args_dump_init(&dump, &bad, 1));
    bad = region_of<DumpHeader>(nullptr);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_init(&dump, &bad, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, record());
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_args_dump_flush(&dump, &thread));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_level(&dump, &level));
    EXPECT_EQ(level, 0u);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_finalize(nullptr));

    give(1);
    begin();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_level(&dump, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_record(nullptr, &thread, &info));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_record(&dump, nullptr, &info));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_record(&dump, &thread, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_flush(nullptr, &thread));
    for (uint8_t lanepipe_args_dump_info_t::*field :
         {&lanepipe_args_dump_info_t::role, &lanepipe_args_dump_info_t::stage, &lanepipe_args_dump_info_t::kind}) {
        info.*field = 3;
        EXPECT_STATUS(LANEPIPE_E_INVALID, record());
        info.*field = 0;
    }
    thread.index = -1;
    EXPECT_STATUS(LANEPIPE_E_INVALID, record());
    thread.index = 1;
    EXPECT_EQ(region->states[1].dropped_record_count, 0u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_args_dump_finalize(&dump));
    EXPECT_STATUS(LANEPIPE_CLOSED, record());
    dump.words[0] = 3;
    EXPECT_STATUS(LANEPIPE_E_STATE, record());
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_args_dump_level(&dump, &level));
}

// 1.9, should_dump_task and should_dump_arg: at every level, and while off.
TEST_F(Dump, WhatIsWantedOfATask) {
    constexpr uint64_t kMarked = uint64_t{1} << 63 | 2;
    const auto wants_task = [&](uint64_t mask) {
        uint32_t wanted = 7;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_wants_task(&dump, mask, &wanted));
        return wanted;
    };
    const auto wants_arg = [&](uint64_t mask, int32_t index) {
        uint32_t wanted = 7;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_wants_arg(&dump, mask, index, &wanted));
        return wanted;
    };
    for (uint32_t level = 0; level <= 5; ++level) {
        if (level < 5) { // The last round is without a launch.
            region->header.dump_args_level = level;
            begin();
        } else {
            ASSERT_STATUS(LANEPIPE_OK, lanepipe_args_dump_finalize(&dump));
        }
        const uint32_t unmarked = level == 1 ? 0 : 1;
        EXPECT_EQ(wants_task(0), unmarked) << level;
        EXPECT_EQ(wants_task(kMarked), 1u) << level;
        for (const int32_t index : {1, 63})
            EXPECT_EQ(wants_arg(kMarked, index), 1u) << level << ", " << index;
        for (const int32_t index : {INT32_MIN, -1, 0, 2, 62, 64, 65, 127, INT32_MAX})
            EXPECT_EQ(wants_arg(kMarked, index), unmarked) << level << ", " << index;
        EXPECT_EQ(wants_arg(0, 1), unmarked) << level;
    }
}

// 1.9, has_dump_arg_flag.
TEST(DumpSelection, Marks) {
    const auto has = [](uint64_t mask, int32_t index) {
        uint32_t marked = 7;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_has_arg_flag(mask, index, &marked));
        return marked;
    };
    for (int32_t bit = 0; bit < 64; ++bit) {
        for (int32_t index = -70; index < 140; ++index) {
            EXPECT_EQ(has(uint64_t{1} << bit, index), bit == index ? 1u : 0u) << bit << ", " << index;
            EXPECT_EQ(has(~(uint64_t{1} << bit), index), index >= 0 && index < 64 && bit != index ? 1u : 0u);
        }
    }
    EXPECT_EQ(has(UINT64_MAX, INT32_MIN) + has(UINT64_MAX, INT32_MAX), 0u);
}

// 1.9, should_dump_arg_at_stage.
TEST(DumpSelection, Stages) {
    const uint32_t wanted_of[3][2] = {{1, 0}, {0, 1}, {1, 1}};
    for (uint32_t role = 0; role < 3; ++role) {
        for (uint32_t stage = 0; stage < 2; ++stage) {
            uint32_t wanted = 7;
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_wants_stage(role, stage, &wanted));
            EXPECT_EQ(wanted, wanted_of[role][stage]) << role << ", " << stage;
        }
    }
    uint32_t wanted = 7;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_wants_stage(3, 0, &wanted));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_wants_stage(0, 2, &wanted));
    EXPECT_EQ(wanted, 7u);
}

// 1.9, get_dump_arg_role_from_direction.
TEST(DumpSelection, Roles) {
    uint32_t role = 7;
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_role_of_direction(LANEPIPE_ARG_DIRECTION_SCALAR, &role));
    EXPECT_EQ(role, 7u);
    const uint32_t roles[][2] = {{LANEPIPE_ARG_DIRECTION_IN, LANEPIPE_ARGS_DUMP_ROLE_INPUT},
                                 {LANEPIPE_ARG_DIRECTION_OUT, LANEPIPE_ARGS_DUMP_ROLE_OUTPUT},
                                 {LANEPIPE_ARG_DIRECTION_INOUT, LANEPIPE_ARGS_DUMP_ROLE_INOUT}};
    for (const auto &[direction, wanted] : roles) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_role_of_direction(direction, &role));
        EXPECT_EQ(role, wanted) << direction;
    }
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_role_of_direction(4, &role));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_role_of_direction(UINT32_MAX, &role));
    EXPECT_EQ(role, 2u);
}

TEST_F(Dump, QuestionsWithBadInput) {
    begin();
    uint32_t found = 7;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_wants_task(nullptr, 1, &found));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_wants_task(&dump, 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_wants_arg(nullptr, 1, 0, &found));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_wants_arg(&dump, 1, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_has_arg_flag(1, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_wants_stage(0, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_role_of_direction(1, nullptr));
    dump.words[0] = 3;
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_args_dump_wants_task(&dump, 1, &found));
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_args_dump_wants_arg(&dump, 1, 0, &found));
    EXPECT_EQ(found, 7u);
}

class DumpTables : public testing::Test {
  protected:
    std::unique_ptr<lanepipe_args_dump_tables_t> tables = std::make_unique<lanepipe_args_dump_tables_t>();
    uint64_t mask = 5;
    uint64_t flags = 5;
    uint32_t count = 5;
    uint8_t dtypes[LANEPIPE_ARGS_DUMP_MAX_SCALARS] = {};
};

// W21: the tables are emptied once per run, and memory that is zero is empty.
TEST_F(DumpTables, MasksOfARun) {
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_get_task_mask(tables.get(), 3, &mask, &flags));
    EXPECT_EQ(mask | flags, 0u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_args_dump_tables_begin(tables.get(), 1));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_set_task_mask(tables.get(), 3, 6, 2));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_set_task_mask(tables.get(), 3, 0, 1));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_args_dump_tables_begin(tables.get(), 1));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_get_task_mask(tables.get(), 3, &mask, &flags));
    EXPECT_EQ(mask, 6u);
    EXPECT_EQ(flags, 2u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_get_task_mask(tables.get(), 3, nullptr, nullptr));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_args_dump_tables_begin(tables.get(), 2));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_get_task_mask(tables.get(), 3, &mask, nullptr));
    EXPECT_EQ(mask, 0u);
    tables->words[0] |= 1; // As a thread that is at it leaves it.
    EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_args_dump_tables_begin(tables.get(), 3));
}

TEST_F(DumpTables, AFullTable) {
    for (uint64_t task = 0; task < LANEPIPE_ARGS_DUMP_TABLES_TASKS; ++task)
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_args_dump_set_task_mask(tables.get(), task, task + 1, 0));
    EXPECT_STATUS(LANEPIPE_FULL, lanepipe_args_dump_set_task_mask(tables.get(), 1 << 20, 1, 0));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_get_task_mask(tables.get(), 1 << 20, &mask, &flags));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_set_task_mask(tables.get(), 17, 4, 9));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_get_task_mask(tables.get(), 17, &mask, &flags));
    EXPECT_EQ(mask, 4u);
    EXPECT_EQ(flags, 9u);
}

TEST_F(DumpTables, TypesOfScalars) {
    std::vector<uint8_t> given(33);
    std::iota(given.begin(), given.end(), uint8_t{1});
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_get_task_scalar_dtypes(tables.get(), 8, &count, dtypes));
    EXPECT_EQ(count, 5u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_set_task_scalar_dtypes(tables.get(), 8, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_set_task_scalar_dtypes(tables.get(), 8, 33, given.data()));
    // Nothing is read of more than there can be.
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_set_task_scalar_dtypes(tables.get(), 8, 33, nullptr));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_set_task_scalar_dtypes(tables.get(), 8, 32, given.data()));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_get_task_scalar_dtypes(tables.get(), 8, &count, dtypes));
    EXPECT_EQ(count, 32u);
    EXPECT_EQ(std::memcmp(dtypes, given.data(), 32), 0);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_set_task_scalar_dtypes(tables.get(), 8, 1, &given[4]));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_args_dump_get_task_scalar_dtypes(tables.get(), 8, &count, dtypes));
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(dtypes[0], 5u);
    EXPECT_EQ(dtypes[1], 2u) << "beyond the count";
}

TEST_F(DumpTables, BadInput) {
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_tables_begin(nullptr, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_tables_begin(tables.get(), 0));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_set_task_mask(nullptr, 1, 1, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_args_dump_set_task_mask(tables.get(), UINT64_MAX, 1, 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_get_task_mask(nullptr, 1, &mask, &flags));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_args_dump_get_task_mask(tables.get(), UINT64_MAX, &mask, &flags));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_set_task_scalar_dtypes(tables.get(), 1, 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_set_task_scalar_dtypes(nullptr, 1, 1, dtypes));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_get_task_scalar_dtypes(nullptr, 1, &count, dtypes));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_get_task_scalar_dtypes(tables.get(), 1, nullptr, dtypes));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_args_dump_get_task_scalar_dtypes(tables.get(), 1, &count, nullptr));
}

} // namespace
