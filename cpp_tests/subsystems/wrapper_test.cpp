// The C++ values over the subsystems: forwarding and life; what the library does is tested beside this.
#include "support.h"

#include <lanepipe/subsystems.hpp>

#include <new>

namespace {

using namespace subsystems;
using lanepipe::Arch;
using lanepipe::DeviceRegion;
using lanepipe::DeviceThread;

static_assert(!std::is_copy_constructible_v<lanepipe::Pmu> && !std::is_move_constructible_v<lanepipe::Swimlane>);
template <typename T> constexpr bool kCopies = std::is_copy_constructible_v<T> || std::is_copy_assignable_v<T>;
static_assert(!kCopies<lanepipe::PmuCore> && !kCopies<lanepipe::SwimlaneCore> && !kCopies<lanepipe::SwimlaneAicore>);
static_assert(!kCopies<DeviceThread>);
static_assert(sizeof(lanepipe::ScopeStats) == sizeof(lanepipe_scope_stats_t));

constexpr Arch kArchitecture = kA5 ? Arch::kA5 : Arch::kA2a3;

struct Clock {
    uint64_t now() noexcept { return time; }
    void relax() noexcept { time += 10; }
    uint64_t time = 0;
};

struct Readings {
    uint64_t now() noexcept { return time += 100; }
    uint64_t time = 0;
};

// One state, or states, behind a header.
template <typename Header, typename State, size_t Count = 1> struct Region {
    Header header;
    State states[Count];
    DeviceRegion described() { return DeviceRegion(kArchitecture, address(&header), kBudget); }
};

TEST(SubsystemsWrapper, Counters) {
    auto region = std::make_unique<Region<PmuHeader, PmuState>>();
    Buffers<PmuBuffer> buffers;
    buffers.give(region->states[0].free_queue);
    struct Registers {
        uint32_t read(uint64_t, uint32_t offset) noexcept { return offset; }
        void write(uint64_t, uint32_t, uint32_t) noexcept { ++writes; }
        int writes = 0;
    } access;
    lanepipe::PmuRegisters original(access);
    lanepipe::PmuRegisters registers(original);
    EXPECT_EQ(registers.context, &access);
    lanepipe::PmuCore core(0, 0x1000);
    Clock clock;
    DeviceThread thread(1, clock);
    lanepipe::Pmu pmu;
    EXPECT_EQ(pmu.flush(thread, 0), LANEPIPE_CLOSED);
    ASSERT_TRUE(pmu.begin(region->described(), 1).ok());
    ASSERT_TRUE(pmu.program(core, registers).ok());
    EXPECT_GT(access.writes, 0);
    EXPECT_TRUE(pmu.restore(core, registers).ok());
    const lanepipe::Status recorded = pmu.record_task(thread, core, registers, 4, 5, LANEPIPE_CORE_TYPE_AIC);
    EXPECT_EQ(recorded, kA5 ? LANEPIPE_E_UNSUPPORTED : LANEPIPE_OK);
    // Without a ring.
    const lanepipe::Status completed = pmu.complete_record(thread, 0, 4, 4, 5, LANEPIPE_CORE_TYPE_AIC);
    EXPECT_EQ(completed, kA5 ? LANEPIPE_DROPPED : LANEPIPE_E_UNSUPPORTED);
    EXPECT_EQ(thread.losses().refused, kA5 ? 1u : 0u);
    EXPECT_EQ(pmu.flush(thread, 0), kA5 ? LANEPIPE_EMPTY : LANEPIPE_OK);
    EXPECT_EQ(region->states[0].total_record_count, 1u);
    EXPECT_TRUE(pmu.end().ok());
    EXPECT_EQ(pmu.flush(thread, 0), LANEPIPE_CLOSED);
}

// A reference that outlives the object finds it off.
TEST(SubsystemsWrapper, ADestructorEnds) {
    auto region = std::make_unique<Region<DepGenHeader, DepGenState>>();
    alignas(lanepipe::DepGen) unsigned char memory[sizeof(lanepipe::DepGen)];
    auto *const dep_gen = new (memory) lanepipe::DepGen;
    ASSERT_TRUE(dep_gen->begin(region->described()).ok());
    lanepipe_dep_gen_t *const raw = dep_gen->capi();
    dep_gen->~DepGen();
    Clock clock;
    DeviceThread thread(1, clock);
    EXPECT_EQ(lanepipe_dep_gen_flush(raw, thread.capi()), LANEPIPE_CLOSED);
}

TEST(SubsystemsWrapper, TheOrchestrator) {
    auto deps = std::make_unique<Region<DepGenHeader, DepGenState>>();
    auto scopes_region = std::make_unique<Region<ScopeStatsHeader, ScopeStatsState>>();
    Buffers<DepGenBuffer> dep_buffers;
    Buffers<ScopeStatsBuffer> scope_buffers;
    dep_buffers.give(deps->states[0].free_queue);
    scope_buffers.give(scopes_region->states[0].free_queue);
    Clock clock;
    DeviceThread thread(-1, clock);

    lanepipe::DepGen dep_gen;
    ASSERT_TRUE(dep_gen.begin(deps->described()).ok());
    lanepipe::DepGenSubmit submit;
    EXPECT_EQ(dep_gen.record_submit(thread, submit), LANEPIPE_DROPPED);
    thread.set_index(2);
    EXPECT_EQ(thread.index(), 2);
    EXPECT_TRUE(dep_gen.record_submit(thread, submit).ok());
    EXPECT_TRUE(dep_gen.flush(thread).ok());
    EXPECT_EQ(take(deps->header, 2).size(), 1u);

    lanepipe::ScopeStats scopes;
    ASSERT_TRUE(scopes.begin_launch(scopes_region->described()).ok());
    EXPECT_TRUE(scopes.set_ring_capacity(0, 1, 100, 3).ok());
    EXPECT_TRUE(scopes.set_tensormap_capacity(4).ok());
    EXPECT_TRUE(scopes.set_pending_site("here.cpp", 1).ok());
    lanepipe::ScopeSample sample;
    EXPECT_TRUE(scopes.begin(thread, sample).ok());
    EXPECT_EQ(scopes.depth(), 0);
    EXPECT_TRUE(scopes.note_heap_wrap(LANEPIPE_HEAP_SIDE_ALLOC).ok());
    EXPECT_TRUE(scopes.end(thread, sample).ok());
    EXPECT_TRUE(scopes.set_enabled(false).ok());
    EXPECT_EQ(scopes.on_fatal(thread), LANEPIPE_CLOSED);
    EXPECT_TRUE(scopes.flush(thread).ok());
    EXPECT_TRUE(scopes.end_launch().ok());
    EXPECT_EQ(scopes.depth(), -1);
    const auto &records = buffer_at<ScopeStatsBuffer>(take(scopes_region->header, 2).at(0).buffer_ptr).records;
    EXPECT_EQ(field<uint64_t>(records[1], 40), 100u);
}

TEST(SubsystemsWrapper, ArgumentsAndTheirTables) {
    auto region = std::make_unique<Region<DumpHeader, DumpState>>();
    Buffers<DumpBuffer> buffers;
    region->header.dump_args_level = 1;
    buffers.give(region->states[0].free_queue);
    Clock clock;
    DeviceThread thread(0, clock);
    lanepipe::ArgsDump dump;
    EXPECT_EQ(dump.level(), 0u);
    ASSERT_TRUE(dump.begin(region->described(), 1).ok());
    EXPECT_EQ(dump.level(), 1u);
    EXPECT_TRUE(dump.wants_task(4) && !dump.wants_task(0));
    EXPECT_TRUE(dump.wants_arg(4, 2) && !dump.wants_arg(4, 1));
    EXPECT_TRUE(lanepipe::ArgsDump::has_arg_flag(4, 2) && !lanepipe::ArgsDump::has_arg_flag(4, 1));
    EXPECT_TRUE(
        lanepipe::ArgsDump::wants_stage(LANEPIPE_ARGS_DUMP_ROLE_OUTPUT, LANEPIPE_ARGS_DUMP_STAGE_AFTER_COMPLETION));
    EXPECT_FALSE(
        lanepipe::ArgsDump::wants_stage(LANEPIPE_ARGS_DUMP_ROLE_OUTPUT, LANEPIPE_ARGS_DUMP_STAGE_BEFORE_DISPATCH));
    uint32_t role = 7;
    EXPECT_EQ(lanepipe::ArgsDump::role_of_direction(LANEPIPE_ARG_DIRECTION_SCALAR, role), LANEPIPE_EMPTY);
    EXPECT_TRUE(lanepipe::ArgsDump::role_of_direction(LANEPIPE_ARG_DIRECTION_OUT, role).ok());
    EXPECT_EQ(role, LANEPIPE_ARGS_DUMP_ROLE_OUTPUT);
    // Where memory is not zero by itself.
    alignas(lanepipe::ArgsDumpInfo) unsigned char memory[sizeof(lanepipe::ArgsDumpInfo)];
    std::memset(memory, 0xff, sizeof memory);
    auto &info = *new (memory) lanepipe::ArgsDumpInfo;
    EXPECT_EQ(info.task_id | info.buffer_addr | info.shapes[4] | info.strides[4] | info.kind, 0u);
    info.kind = 1;
    EXPECT_TRUE(dump.record(thread, info).ok());
    EXPECT_TRUE(dump.flush(thread).ok());

    const auto tables = std::make_unique<lanepipe::ArgsDumpTables>();
    ASSERT_TRUE(tables->begin(1).ok());
    EXPECT_TRUE(tables->set_mask(3, 4, 5).ok());
    uint64_t mask = 0;
    uint64_t flags = 0;
    EXPECT_TRUE(tables->get_mask(3, mask, flags).ok());
    EXPECT_EQ(mask * 10 + flags, 45u);
    uint8_t dtypes[LANEPIPE_ARGS_DUMP_MAX_SCALARS] = {7, 8};
    uint32_t count = 0;
    EXPECT_TRUE(tables->set_scalar_dtypes(3, 2, dtypes).ok());
    dtypes[1] = 0;
    EXPECT_TRUE(tables->get_scalar_dtypes(3, count, dtypes).ok());
    EXPECT_EQ(count, 2u);
    EXPECT_EQ(dtypes[1], 8u);
}

TEST(SubsystemsWrapper, TheSwimlane) {
    struct Pools {
        SwimlaneHeader header;
        SwimlanePool task, aicore, sched[kThreads], orch;
    };
    auto region = std::make_unique<Pools>();
    region->header.chip_swimlane_level = 2;
    Buffers<AicoreBuffer> aicore_buffers;
    Buffers<TaskBuffer> task_buffers;
    Buffers<SchedBuffer> sched_buffers;
    aicore_buffers.give(region->aicore.free_queue);
    task_buffers.give(region->task.free_queue);
    sched_buffers.give(region->sched[1].free_queue);
    Readings clock;
    DeviceThread thread(1, clock);
    uint64_t table = 0;
    lanepipe::Swimlane swimlane;
    EXPECT_EQ(swimlane.level(), 0u);
    ASSERT_TRUE(swimlane.begin(DeviceRegion(kArchitecture, address(&region->header), kBudget), 1, &table).ok());
    ASSERT_TRUE(swimlane.begin_phases(2, 1).ok());
    EXPECT_EQ(swimlane.level(), 2u);
    lanepipe::SwimlaneCore core(0);
    lanepipe::SwimlaneAicore aicore;
    uint64_t record = 0;
    EXPECT_TRUE(swimlane.on_aicore_dispatch(thread, core, 1).ok());
    EXPECT_TRUE(aicore.reserve(table, record).ok());
    EXPECT_TRUE(swimlane.on_aicore_ack(thread, core, 1).ok());
    EXPECT_TRUE(aicore.commit(record, 1, 1, 1, 2, 3).ok());
    EXPECT_TRUE(swimlane.complete_task(thread, 0, 1, 2, 3).ok());
    lanepipe::SchedPhase phase;
    EXPECT_TRUE(swimlane.record_sched_phase(thread, phase).ok());
    // Without a relax of its own, the clock is all that passes.
    EXPECT_EQ(swimlane.record_orch_phase(thread, 1, 2, 3, 4), LANEPIPE_DROPPED);
    EXPECT_GE(clock.time, kBudget);
    EXPECT_TRUE(swimlane.init_core_assignments(1).ok());
    const int32_t cores[] = {0};
    EXPECT_TRUE(swimlane.write_core_assignments(1, cores, 1).ok());
    EXPECT_EQ(region->header.core_to_thread[0], 1);
    uint32_t published = 0;
    uint32_t lost = 0;
    EXPECT_TRUE(swimlane.flush_core(thread, core, published, lost).ok());
    EXPECT_EQ(published, 1u);
    EXPECT_TRUE(swimlane.flush_tasks(thread, 0).ok());
    EXPECT_TRUE(swimlane.flush_sched_phases(thread).ok());
    EXPECT_EQ(swimlane.flush_orch_phases(thread), LANEPIPE_EMPTY);
    EXPECT_EQ(take(region->header, 1).size(), 3u);
}

} // namespace
