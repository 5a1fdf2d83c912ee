// Misuse of every function on collectors: the documented status, outputs left alone, nothing kept.
#include "device.h"

namespace {

using namespace collector;
using Config = lanepipe_collector_config_t;

struct BadConfig {
    const char *named; // in the message
    void (*spoil)(Config &);
    lanepipe_status_t status = LANEPIPE_E_INVALID;
};

const uint32_t kMap[2] = {0, 3};

int32_t copy_nothing(void *, void *, const void *, size_t) { return 0; }

const BadConfig kBadConfigs[] = {
    {"struct_size", [](Config &at) { at.struct_size -= 4; }, LANEPIPE_E_STRUCT_SIZE},
    {"struct_size", [](Config &at) { at.struct_size = 0; }, LANEPIPE_E_STRUCT_SIZE},
    {"struct_size", [](Config &at) { at.memory.struct_size = 1; }, LANEPIPE_E_STRUCT_SIZE},
    {"subsystem", [](Config &at) { at.subsystem = 5; }},
    {"arch", [](Config &at) { at.arch = 2; }},
    {"cores", [](Config &at) { at.cores = 0; }},
    {"cores", [](Config &at) { at.cores = 109; }},
    {"threads", [](Config &at) { at.threads = 0; }},
    {"threads", [](Config &at) { at.threads = 6; }},
    {"scheduler_threads", [](Config &at) { at.scheduler_threads = 4; }},
    {"orchestrator", [](Config &at) { at.orchestrator = 4; }},
    {"level", [](Config &at) { at.level = 1; }},
    {"shards", [](Config &at) { at.shards = 4; }},
    {"buffers", [](Config &at) { at.buffers_per_instance = LANEPIPE_COLLECTOR_MAX_BUFFERS + 1; }},
    {"buffers", [](Config &at) { at.max_buffers_per_instance = UINT32_MAX; }},
    {"max_buffers", [](Config &at) { at.buffers_per_instance = 4, at.max_buffers_per_instance = 3; }},
    {"flags", [](Config &at) { at.flags = 2; }},
    {"reserved", [](Config &at) { at.reserved = 1; }},
    {"core_to_thread", [](Config &at) { at.core_to_thread = kMap; }},
    {"arena_size", [](Config &at) { at.arena_size = LANEPIPE_COLLECTOR_MAX_ARENA + 64; }},
    {"arena_size", [](Config &at) { at.arena_size = 65; }},
    {"shared region", [](Config &at) { at.memory.shm_size = 64; }},
    {"alloc", [](Config &at) { at.memory.alloc = nullptr; }, LANEPIPE_E_NULL},
    {"log", [](Config &at) { at.log.max_level = 9; }},
    {"thread_create", [](Config &at) { at.thread_create = nullptr; }, LANEPIPE_E_NULL},
    {"thread_join", [](Config &at) { at.thread_join = nullptr; }, LANEPIPE_E_NULL},
    {"copy callback", [](Config &at) { at.memory.copy_to_device = &copy_nothing; }, LANEPIPE_E_NULL},
};

TEST(Create, RefusesBadConfigurations) {
    for (const BadConfig &bad : kBadConfigs) {
        Rig rig(LANEPIPE_SUBSYSTEM_PMU);
        Config config = rig.config;
        bad.spoil(config);
        lanepipe_error_t error{};
        error.struct_size = sizeof error;
        auto *untouched = reinterpret_cast<lanepipe_collector_t *>(capi::kUntouched);
        lanepipe_collector_t *made = untouched;
        EXPECT_STATUS(bad.status, lanepipe_collector_create(&config, &error, &made)) << bad.named;
        EXPECT_EQ(made, untouched);
        EXPECT_NE(std::string(error.message).find(bad.named), std::string::npos) << bad.named << ": " << error.message;
        EXPECT_EQ(rig.memory.live_blocks(), 0u) << bad.named;
    }
}

// Nothing is read of the map where there are no cores, or more than the architecture has.
TEST(Create, ReadsTheMapOfCoresOnly) {
    const auto *nowhere = reinterpret_cast<const uint32_t *>(64);
    for (const Layout &layout : kLayouts) {
        Rig rig(layout.subsystem);
        rig.config.core_to_thread = nowhere;
        const bool per_core =
            layout.subsystem == LANEPIPE_SUBSYSTEM_SWIMLANE || layout.subsystem == LANEPIPE_SUBSYSTEM_PMU;
        if (per_core) {
            rig.config.cores = 1 << 16;
        }
        lanepipe_collector_t *made = nullptr;
        const lanepipe_status_t status = lanepipe_collector_create(&rig.config, nullptr, &made);
        EXPECT_STATUS(per_core ? LANEPIPE_E_INVALID : LANEPIPE_OK, status) << layout.name;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_destroy(made));
    }
}

TEST(Create, RefusesBadPointers) {
    Rig rig(LANEPIPE_SUBSYSTEM_PMU);
    lanepipe_collector_t *made = nullptr;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_create(nullptr, nullptr, &made));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_create(&rig.config, nullptr, nullptr));
    const auto *odd = reinterpret_cast<const Config *>(reinterpret_cast<uintptr_t>(&rig.config) + 1);
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_collector_create(odd, nullptr, &made));
    EXPECT_EQ(made, nullptr);
}

// Memory of which so many allocations are left.
struct Limited {
    capi::Memory &memory;
    lanepipe_memory_t inner;
    int left;
};

TEST(Create, GivesEverythingBackWhenMemoryIsShort) {
    for (const Layout &layout : kLayouts) {
        for (int allocations = 0;; ++allocations) {
            ASSERT_LT(allocations, 100);
            Rig rig(layout.subsystem, capi::Mode::kIdentity);
            Limited limited{rig.memory, rig.config.memory, allocations};
            rig.config.memory.context = &limited;
            rig.config.memory.alloc = [](void *context, size_t size) -> void * {
                auto &at = *static_cast<Limited *>(context);
                return at.left-- > 0 ? at.inner.alloc(&at.memory, size) : nullptr;
            };
            rig.config.memory.free_memory = [](void *context, void *dev) {
                return static_cast<Limited *>(context)->memory.release(dev);
            };
            lanepipe_collector_t *made = nullptr;
            const lanepipe_status_t status = lanepipe_collector_create(&rig.config, nullptr, &made);
            if (status == LANEPIPE_OK) {
                EXPECT_GT(allocations, 1);
                EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_destroy(made));
                break;
            }
            EXPECT_STATUS(LANEPIPE_E_NO_MEMORY, status);
            EXPECT_EQ(made, nullptr);
            EXPECT_EQ(rig.memory.live_blocks(), 0u) << layout.name << ", " << allocations;
        }
    }
}

TEST(Calls, RefuseNull) {
    uint32_t state = 0;
    uint64_t number = 0;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_start(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_stop(nullptr, 0));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_recover(nullptr, &number));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_reconcile(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_get_state(nullptr, &state));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_get_collected(nullptr, &number));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_destroy(nullptr));
    Rig rig(LANEPIPE_SUBSYSTEM_SWIMLANE);
    rig.create();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_get_state(rig.collector, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_collector_get_collected(rig.collector, nullptr));
    auto *odd = reinterpret_cast<uint64_t *>(reinterpret_cast<uintptr_t>(&number) + 1);
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_collector_recover(rig.collector, odd));
}

// Every structure that is filled: null and a wrong size are refused, and nothing is written.
template <typename T, typename Call> void expect_checked(Call &&call) {
    EXPECT_STATUS(LANEPIPE_E_NULL, call(static_cast<T *>(nullptr)));
    T filled;
    std::memset(&filled, 0x5a, sizeof filled);
    filled.struct_size = sizeof filled + 4;
    const T before = filled;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, call(&filled));
    EXPECT_EQ(std::memcmp(&before, &filled, sizeof filled), 0);
}

TEST(Calls, CheckStructures) {
    Rig rig(LANEPIPE_SUBSYSTEM_SWIMLANE);
    rig.create();
    lanepipe_collector_t *at = rig.collector;
    expect_checked<lanepipe_collector_region_t>([&](auto *out) { return lanepipe_collector_get_region(at, out); });
    expect_checked<lanepipe_records_t>([&](auto *out) { return lanepipe_collector_read(at, 0, 0, 0, out); });
    expect_checked<lanepipe_kind_info_t>([&](auto *out) { return lanepipe_collector_get_kind(at, 0, out); });
    expect_checked<lanepipe_books_t>([&](auto *out) { return lanepipe_collector_get_books(at, 0, 0, out); });
    expect_checked<lanepipe_queue_stats_t>([&](auto *out) { return lanepipe_collector_get_queue_stats(at, 0, out); });
    expect_checked<lanepipe_shard_stats_t>([&](auto *out) { return lanepipe_collector_get_shard_stats(at, 0, out); });
    expect_checked<lanepipe_gate_stats_t>([&](auto *out) { return lanepipe_collector_get_gate_stats(at, out); });
    expect_checked<lanepipe_fault_t>([&](auto *out) { return lanepipe_collector_get_fault(at, out); });
}

template <typename T> T sized() {
    T value{};
    value.struct_size = sizeof value;
    return value;
}

TEST(Calls, CheckNumbers) {
    Rig rig(LANEPIPE_SUBSYSTEM_SWIMLANE);
    rig.config.level = 2;
    rig.create();
    auto books = sized<lanepipe_books_t>();
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_collector_get_books(rig.collector, 0, 0, &books));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_reconcile(rig.collector));
    auto run = sized<lanepipe_records_t>();
    auto kind = sized<lanepipe_kind_info_t>();
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_collector_get_kind(rig.collector, 4, &kind));
    // At this level nobody records phases.
    const std::pair<uint32_t, uint32_t> absent[] = {{4, 0}, {0, 2}, {1, 0}, {2, 0}, {0, 77}};
    for (const auto &[number, instance] : absent) {
        EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_collector_read(rig.collector, number, instance, 0, &run));
        EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_collector_get_books(rig.collector, number, instance, &books));
    }
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_collector_read(rig.collector, 0, 1, UINT64_MAX, &run));
    auto queue = sized<lanepipe_queue_stats_t>();
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_collector_get_queue_stats(rig.collector, 3, &queue));
    auto shard = sized<lanepipe_shard_stats_t>();
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_collector_get_shard_stats(rig.collector, 3, &shard));
}

TEST(Calls, KeepTheOrderOfStates) {
    Rig rig(LANEPIPE_SUBSYSTEM_DEP_GEN);
    rig.create();
    uint32_t state = 99;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_get_state(rig.collector, &state));
    EXPECT_EQ(state, LANEPIPE_PROFILER_STOPPED);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_stop(rig.collector, 0));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_start(rig.collector));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_get_state(rig.collector, &state));
    EXPECT_EQ(state, LANEPIPE_PROFILER_RUNNING);
    auto run = sized<lanepipe_records_t>();
    uint64_t recovered = capi::kUntouched;
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_collector_start(rig.collector));
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_collector_reconcile(rig.collector));
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_collector_recover(rig.collector, &recovered));
    EXPECT_EQ(recovered, capi::kUntouched);
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_collector_read(rig.collector, 0, 0, 0, &run));
    EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_collector_destroy(rig.collector));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_stop(rig.collector, LANEPIPE_FOREVER));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_recover(rig.collector, &recovered));
    EXPECT_EQ(recovered, 0u);
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_collector_start(rig.collector));
}

TEST(Start, LeavesNothingRunningWhenAThreadCannotBeMade) {
    Rig rig(LANEPIPE_SUBSYSTEM_PMU);
    rig.create();
    for (int failing = 0; failing < 8; ++failing) {
        rig.threads.reset(failing);
        EXPECT_STATUS(LANEPIPE_E_THREAD, lanepipe_collector_start(rig.collector));
        EXPECT_EQ(rig.threads.alive, 0);
    }
    rig.threads.reset();
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_start(rig.collector));
}

} // namespace
