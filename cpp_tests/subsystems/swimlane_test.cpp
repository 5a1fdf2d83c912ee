// The swimlane's four streams through the C interface: DE 1.6, 4.2, 5.1, 5.2, D26, D32 to D36; W11, W18, W19, W20, W41.
#include "support.h"

namespace {

using namespace subsystems;

constexpr uint32_t kCores = 2;

struct Region {
    SwimlaneHeader header;
    SwimlanePool tasks[kCores];
    SwimlanePool aicore[kCores];
    SwimlanePool sched[kThreads];
    SwimlanePool orch;
};
static_assert(offsetof(Region, tasks) == sizeof(SwimlaneHeader));

class Swimlane : public testing::Test {
  protected:
    Swimlane() {
        region->header.chip_swimlane_level = 4;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_core_init(&core, 1));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_aicore_init(&aicore));
        phase.struct_size = sizeof phase;
    }
    void begin(uint32_t cores = kCores) {
        const lanepipe_device_region_t described = region_of(&region->header);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_init(&swimlane, &described, cores, table));
    }
    void begin_phases() {
        begin();
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_init_phases(&swimlane, 3, 1));
    }
    lanepipe_status_t complete(int32_t index, uint32_t id) {
        return lanepipe_swimlane_complete_task(&swimlane, &thread, index, id, 100 + id, 200 + id);
    }
    // A task of the core from its dispatch to its record.
    lanepipe_status_t run(uint32_t id) {
        const lanepipe_status_t dispatched = lanepipe_swimlane_on_aicore_dispatch(&swimlane, &thread, &core, id);
        uint64_t record = 1;
        const lanepipe_status_t reserved = lanepipe_swimlane_aicore_reserve(&aicore, table[1], &record);
        EXPECT_EQ(reserved == LANEPIPE_OK, record != 0);
        const lanepipe_status_t known = dispatched == LANEPIPE_E_INVALID ? LANEPIPE_E_INVALID : LANEPIPE_OK;
        EXPECT_STATUS(known, lanepipe_swimlane_on_aicore_ack(&swimlane, &thread, &core, id));
        EXPECT_STATUS(reserved, lanepipe_swimlane_aicore_commit(record, 1000 + id, id, 10, 15, 20 + id));
        return dispatched;
    }

    std::unique_ptr<Region> region = std::make_unique<Region>();
    Buffers<TaskBuffer> task_buffers;
    Buffers<SchedBuffer> sched_buffers;
    Buffers<OrchBuffer> orch_buffers;
    Buffers<AicoreBuffer> aicore_buffers;
    uint64_t table[kCores] = {};
    lanepipe_swimlane_t swimlane{};
    lanepipe_swimlane_core_t core;
    lanepipe_swimlane_aicore_t aicore;
    lanepipe_swimlane_sched_phase_t phase{};
    Thread thread{2};
};

void expect_swimlane_entry(const Entry &entry, Kind kind, uint32_t index, uint64_t buffer, uint32_t seq) {
    EXPECT_EQ(entry.kind, static_cast<uint32_t>(kind));
    expect_entry(entry, index, buffer, seq);
}

TEST_F(Swimlane, ALaunchBegins) {
    const uint64_t task = task_buffers.give(region->tasks[1].free_queue);
    const uint64_t own = aicore_buffers.give(region->aicore[1].free_queue);
    begin();
    EXPECT_EQ(table[0], address(&region->aicore[0]));
    EXPECT_EQ(table[1], address(&region->aicore[1]));
    EXPECT_EQ(region->tasks[1].head.current_buf_ptr, task);
    EXPECT_EQ(region->aicore[1].head.current_buf_ptr, own);
    EXPECT_EQ(region->tasks[0].head.current_buf_ptr, 0u);
    uint32_t level = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_level(&swimlane, &level));
    EXPECT_EQ(level, 4u);
}

// The record that fills a buffer hands it over.
TEST_F(Swimlane, TasksSwitchAndFlush) {
    const uint64_t first = task_buffers.give(region->tasks[1].free_queue);
    const uint64_t second = task_buffers.give(region->tasks[1].free_queue);
    begin();
    for (uint32_t id = 0; id < TaskBuffer::kCapacity; ++id) {
        EXPECT_EQ(region->header.queue_tails[2], 0u);
        ASSERT_STATUS(LANEPIPE_OK, complete(1, id));
    }
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicpuTask, 1, first, 0);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_swimlane_flush_tasks(&swimlane, &thread, 1));
    ASSERT_STATUS(LANEPIPE_OK, complete(1, 5));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_flush_tasks(&swimlane, &thread, 1));
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicpuTask, 1, second, 1);
    const auto &stored = buffer_at<TaskBuffer>(second);
    EXPECT_EQ(stored.count, 1u);
    EXPECT_EQ(field<uint64_t>(stored.records[0], 0), 105u);
    EXPECT_EQ(field<uint64_t>(stored.records[0], 8), 205u);
    EXPECT_EQ(field<uint32_t>(stored.records[0], 16), 5u);
    EXPECT_EQ(region->tasks[1].head.total_record_count, TaskBuffer::kCapacity + 1);
    EXPECT_STATUS(LANEPIPE_DROPPED, complete(0, 1));
    EXPECT_EQ(thread.losses.no_buffer, 1u);
    EXPECT_EQ(region->tasks[0].head.dropped_record_count, 1u);
}

TEST_F(Swimlane, PhasesSwitchAndFlush) {
    const uint64_t first = sched_buffers.give(region->sched[2].free_queue);
    const uint64_t second = sched_buffers.give(region->sched[2].free_queue);
    const uint64_t submits = orch_buffers.give(region->orch.free_queue);
    begin_phases();
    EXPECT_EQ(region->header.num_sched_phase_threads, 3u);
    EXPECT_EQ(region->header.num_orch_phase_threads, 1u);
    phase.kind = LANEPIPE_SCHED_PHASE_GRAPH_PREPARE;
    phase.start_time = 1;
    phase.end_time = 2;
    phase.loop_iter = 3;
    phase.tasks_processed = 4;
    phase.data[1] = 6;
    phase.shared_at_start[2] = -7;
    phase.shared_at_end[0] = 8;
    phase.reserved = 9; // Not looked at.
    for (uint32_t count = 0; count <= SchedBuffer::kCapacity; ++count)
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicpuSchedPhase, 2, first, 0);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_flush_sched_phases(&swimlane, &thread));
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicpuSchedPhase, 2, second, 1);
    const auto &stored = buffer_at<SchedBuffer>(second).records[0];
    EXPECT_EQ(field<uint64_t>(stored, 8), 2u);
    EXPECT_EQ(field<uint32_t>(stored, 16), 3u);
    EXPECT_EQ(field<uint32_t>(stored, 20), 13u);
    EXPECT_EQ(field<uint32_t>(stored, 24), 4u);
    EXPECT_EQ(field<uint32_t>(stored, 32), 6u);
    EXPECT_EQ(field<int16_t>(stored, 40), -7);
    EXPECT_EQ(field<int16_t>(stored, 42), 8);

    Thread orchestrator(3);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_record_orch_phase(&swimlane, &orchestrator, 5, 6, 7, 8));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_flush_orch_phases(&swimlane, &orchestrator));
    expect_swimlane_entry(take(region->header, 3).at(0), Kind::kAicpuOrchPhase, 0, submits, 0);
    const auto &submit = buffer_at<OrchBuffer>(submits).records[0];
    EXPECT_EQ(field<uint64_t>(submit, 0), 5u);
    EXPECT_EQ(field<uint64_t>(submit, 8), 6u);
    EXPECT_EQ(field<uint64_t>(submit, 16), 7u);
    EXPECT_EQ(field<uint32_t>(submit, 24), 8u);
    // W18: an empty buffer stays the active one.
    orch_buffers.give(region->orch.free_queue);
    orch_buffers.give(region->orch.free_queue);
    begin_phases();
    const uint64_t active = region->orch.head.current_buf_ptr;
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_swimlane_flush_orch_phases(&swimlane, &orchestrator));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_record_orch_phase(&swimlane, &orchestrator, 5, 6, 7, 8));
    EXPECT_EQ(region->orch.head.current_buf_ptr, active);
    // Without an index nothing is counted.
    orchestrator.index = -1;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_record_orch_phase(&swimlane, &orchestrator, 5, 6, 7, 8));
    EXPECT_EQ(region->orch.head.total_record_count, 2u);
}

// D32, D35: the old buffer is published by the acknowledgement of the task that rotated it, not before.
TEST_F(Swimlane, ACoreRotates) {
    const uint64_t first = aicore_buffers.give(region->aicore[1].free_queue);
    const uint64_t second = aicore_buffers.give(region->aicore[1].free_queue);
    begin();
    for (uint32_t id = 1; id <= AicoreBuffer::kCapacity; ++id)
        ASSERT_STATUS(LANEPIPE_OK, run(id));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_on_aicore_dispatch(&swimlane, &thread, &core, 5000));
    EXPECT_EQ(region->aicore[1].head.current_buf_ptr, second);
    EXPECT_EQ(region->aicore[1].head.current_buf_seq, 1u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_on_aicore_ack(&swimlane, &thread, &core, 1));
    EXPECT_TRUE(take(region->header, 2).empty());
    uint64_t record = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_aicore_reserve(&aicore, table[1], &record));
    EXPECT_EQ(record, second);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_on_aicore_ack(&swimlane, &thread, &core, 5000));
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicoreTask, 1, first, 0);
    EXPECT_EQ(buffer_at<AicoreBuffer>(first).count, AicoreBuffer::kCapacity);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_aicore_commit(record, 77, 5000, 30, 40, 50));
    uint32_t published = 9;
    uint32_t lost = 9;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, &published, &lost));
    EXPECT_EQ(published, 1u);
    EXPECT_EQ(lost, 0u);
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicoreTask, 1, second, 1);
    const auto &stored = buffer_at<AicoreBuffer>(second);
    EXPECT_EQ(stored.count, 1u);
    EXPECT_EQ(field<uint64_t>(stored.records[0], 0), 40u);
    EXPECT_EQ(field<uint64_t>(stored.records[0], 8), 50u);
    EXPECT_EQ(field<uint64_t>(stored.records[0], 16), 77u);
    EXPECT_EQ(field<uint32_t>(stored.records[0], 24), 5000u);
    EXPECT_EQ(field<uint32_t>(stored.records[0], 28), 10u);
    EXPECT_EQ(region->aicore[1].head.total_record_count, AicoreBuffer::kCapacity + 1);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, nullptr, nullptr));
}

// W11: what the core had no place for is counted by the flush.
TEST_F(Swimlane, ACoreWithoutABuffer) {
    const uint64_t only = aicore_buffers.give(region->aicore[1].free_queue);
    begin();
    for (uint32_t id = 1; id <= AicoreBuffer::kCapacity; ++id)
        ASSERT_STATUS(LANEPIPE_OK, run(id));
    EXPECT_STATUS(LANEPIPE_DROPPED, run(2000));
    EXPECT_GE(thread.time, kBudget);
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicoreTask, 1, only, 0);
    EXPECT_STATUS(LANEPIPE_DROPPED, run(2001));
    uint32_t published = 9;
    uint32_t lost = 9;
    EXPECT_STATUS(LANEPIPE_DROPPED, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, &published, &lost));
    EXPECT_EQ(published, 0u);
    EXPECT_EQ(lost, 2u);
    EXPECT_EQ(thread.losses.no_buffer, 2u);
    EXPECT_EQ(region->aicore[1].head.dropped_record_count, 2u);
    EXPECT_EQ(region->aicore[1].head.total_record_count, AicoreBuffer::kCapacity + 2);
}

// A buffer that finds no room at its gate is told, and waits on.
TEST_F(Swimlane, ABufferWaitsOn) {
    aicore_buffers.give(region->aicore[1].free_queue);
    aicore_buffers.give(region->aicore[1].free_queue);
    begin();
    for (uint32_t id = 1; id <= AicoreBuffer::kCapacity; ++id)
        ASSERT_STATUS(LANEPIPE_OK, run(id));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_on_aicore_dispatch(&swimlane, &thread, &core, 5000));
    region->header.queue_heads[2] = 1;
    EXPECT_STATUS(LANEPIPE_FULL, lanepipe_swimlane_on_aicore_ack(&swimlane, &thread, &core, 5000));
    region->header.queue_heads[2] = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_on_aicore_ack(&swimlane, &thread, &core, 5000));
    EXPECT_EQ(take(region->header, 2).size(), 1u);
    EXPECT_EQ(thread.lost(), 0u);
}

// W14: what a flush could not hand over is counted as lost, and handed over by the next that finds room.
TEST_F(Swimlane, AFlushInVainIsRepeated) {
    const uint64_t only = aicore_buffers.give(region->aicore[1].free_queue);
    begin();
    ASSERT_STATUS(LANEPIPE_OK, run(1));
    ASSERT_STATUS(LANEPIPE_OK, run(2));
    region->header.queue_heads[2] = 1;
    uint32_t published = 9;
    uint32_t lost = 9;
    for (const uint32_t newly : {2u, 0u}) {
        EXPECT_STATUS(LANEPIPE_DROPPED, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, &published, &lost));
        EXPECT_EQ(published, 0u);
        EXPECT_EQ(lost, newly);
        EXPECT_EQ(region->aicore[1].head.dropped_record_count, 2u);
        EXPECT_EQ(region->aicore[1].head.current_buf_ptr, 0u);
        EXPECT_EQ(thread.losses.no_room, 2u);
    }
    region->header.queue_heads[2] = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, &published, &lost));
    EXPECT_EQ(published, 2u);
    EXPECT_EQ(lost, 0u);
    expect_swimlane_entry(take(region->header, 2).at(0), Kind::kAicoreTask, 1, only, 0);
    EXPECT_EQ(buffer_at<AicoreBuffer>(only).count, 2u);
    EXPECT_EQ(region->aicore[1].head.dropped_record_count, 0u);
    EXPECT_EQ(thread.losses.no_room, 0u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, &published, &lost));
}

TEST_F(Swimlane, CoreAssignments) {
    begin();
    const int32_t cores[] = {1, -1, PLATFORM_MAX_CORES};
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_write_core_assignments(&swimlane, 2, cores, 3));
    EXPECT_EQ(region->header.core_to_thread[1], 0) << "without phases";
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_init_phases(&swimlane, 3, 0));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_init_core_assignments(&swimlane, kCores));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_write_core_assignments(&swimlane, 2, cores, 3));
    EXPECT_EQ(region->header.num_phase_cores, kCores);
    EXPECT_EQ(region->header.core_to_thread[0], -1);
    EXPECT_EQ(region->header.core_to_thread[1], 2);
    EXPECT_EQ(region->header.core_to_thread[PLATFORM_MAX_CORES - 1], -1);
    EXPECT_EQ(region->header.backpressure.rq_freeze_active, 0u);
}

// W41: a launch without the swimlane touches no region, whatever the last one had.
TEST_F(Swimlane, ALaunchWithout) {
    begin_phases();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_finalize(&swimlane));
    uint32_t level = 9;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_level(&swimlane, &level));
    EXPECT_EQ(level, 0u);
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_record_orch_phase(&swimlane, &thread, 5, 6, 7, 8));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    EXPECT_STATUS(LANEPIPE_CLOSED, complete(0, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_on_aicore_dispatch(&swimlane, &thread, &core, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_on_aicore_ack(&swimlane, &thread, &core, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_init_phases(&swimlane, 3, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_init_core_assignments(&swimlane, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_write_core_assignments(&swimlane, 0, nullptr, 0));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_flush_tasks(&swimlane, &thread, 0));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_flush_sched_phases(&swimlane, &thread));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_swimlane_flush_orch_phases(&swimlane, &thread));
    EXPECT_EQ(region->orch.head.total_record_count + region->sched[2].head.total_record_count, 0u);
    EXPECT_EQ(region->tasks[0].head.total_record_count + region->aicore[1].head.total_record_count, 0u);
}

// W19, W20.
TEST_F(Swimlane, NoSuchInstance) {
    begin(1);
    EXPECT_STATUS(LANEPIPE_E_INVALID, complete(1, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, complete(-1, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, run(1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_flush_tasks(&swimlane, &thread, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_flush_core(&swimlane, &thread, &core, nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_record_orch_phase(&swimlane, &thread, 5, 6, 7, 8));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_init_phases(&swimlane, 2, 0));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_flush_sched_phases(&swimlane, &thread));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_flush_orch_phases(&swimlane, &thread));
    EXPECT_EQ(thread.lost(), 0u);
}

// What is open keeps its buffers.
TEST_F(Swimlane, PhasesAreOpenedOnce) {
    for (int buffer = 0; buffer < 2; ++buffer)
        sched_buffers.give(region->sched[2].free_queue);
    begin_phases();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    const uint64_t active = region->sched[2].head.current_buf_ptr;
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_swimlane_init_phases(&swimlane, 1, 0));
    EXPECT_EQ(region->sched[2].head.current_buf_ptr, active);
    EXPECT_EQ(region->header.num_sched_phase_threads, 3u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_flush_sched_phases(&swimlane, &thread));
    begin_phases();
}

// A refused launch is off, whatever ran before.
TEST_F(Swimlane, ABadTable) {
    const lanepipe_device_region_t described = region_of(&region->header);
    auto *const bad = reinterpret_cast<uint64_t *>(address(table) + 4);
    for (uint32_t cores : {0u, 1u, kCores}) {
        begin();
        EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_swimlane_init(&swimlane, &described, cores, bad));
        EXPECT_STATUS(LANEPIPE_CLOSED, complete(0, 1));
    }
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_init(&swimlane, &described, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_swimlane_init(&swimlane, &described, 0, table));
}

TEST_F(Swimlane, BadInput) {
    lanepipe_device_region_t bad = region_of(&region->header);
    const lanepipe_device_region_t good = bad;
    uint32_t level = 0;
    uint64_t record = 5;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_init(nullptr, &good, 1, table));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_init(&swimlane, nullptr, 1, table));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_init(&swimlane, &good, PLATFORM_MAX_CORES + 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED,
                  lanepipe_swimlane_init(&swimlane, &good, 1, reinterpret_cast<uint64_t *>(address(table) + 4)));
    bad.arch = 2;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_init(&swimlane, &bad, 1, table));
    bad = good;
    bad.struct_size = 0;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_swimlane_init(&swimlane, &bad, 1, table));
    bad = good;
    bad.base = 0;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_init(&swimlane, &bad, 1, table));
    EXPECT_EQ(table[0], 0u);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_finalize(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_core_init(nullptr, 0));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_aicore_init(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_aicore_reserve(nullptr, 0, &record));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_aicore_reserve(&aicore, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED,
                  lanepipe_swimlane_aicore_reserve(&aicore, address(&region->aicore[0]) + 8, &record));
    EXPECT_EQ(record, 5u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_swimlane_aicore_reserve(&aicore, 0, &record));
    EXPECT_EQ(record, 0u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_swimlane_aicore_commit(0, 1, 1, 1, 1, 1));
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_swimlane_aicore_commit(8, 1, 1, 1, 1, 1));

    begin_phases();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_level(&swimlane, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_level(nullptr, &level));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_init_phases(&swimlane, PLATFORM_MAX_AICPU_THREADS + 1, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_init_phases(&swimlane, 1, 2));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_on_aicore_dispatch(&swimlane, &thread, nullptr, 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_on_aicore_dispatch(&swimlane, nullptr, &core, 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_on_aicore_ack(&swimlane, &thread, nullptr, 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_complete_task(nullptr, &thread, 0, 1, 1, 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_record_orch_phase(&swimlane, nullptr, 1, 1, 1, 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_flush_core(&swimlane, &thread, nullptr, nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_flush_tasks(&swimlane, nullptr, 0));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_flush_sched_phases(nullptr, &thread));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_flush_orch_phases(nullptr, &thread));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_init_core_assignments(&swimlane, PLATFORM_MAX_CORES + 1));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_swimlane_write_core_assignments(&swimlane, 0, nullptr, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_write_core_assignments(&swimlane, -1, nullptr, 0));
    phase.kind = 3;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    phase.kind = 14;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    phase.struct_size = 0;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_swimlane_record_sched_phase(&swimlane, &thread, &phase));
    EXPECT_EQ(region->sched[2].head.total_record_count, 0u);
    swimlane.words[0] = 1;
    EXPECT_STATUS(LANEPIPE_E_STATE, complete(0, 1));
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_swimlane_level(&swimlane, &level));
}

} // namespace
