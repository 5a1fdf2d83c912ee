// Misuse of every function on profilers: the documented status, a line in the log, outputs left alone, nothing
// corrupted.
#include "rig.h"

#include "death_test_style.h"

#include <unistd.h>

namespace {

using namespace capi;

constexpr uint32_t kSize = sizeof(lanepipe_profiler_config_t);

// A configuration with arrays of its own to spoil.
struct Draft {
    explicit Draft(Rig &rig) : queues(rig.device.host_queues()), instances(rig.device.host_instances()) {
        config = rig.config();
        kinds.assign(config.kinds, config.kinds + config.kind_count);
        config.queues = queues.data();
        config.instances = instances.data();
        config.kinds = kinds.data();
    }
    lanepipe_profiler_config_t config;
    std::vector<lanepipe_ready_queue_t> queues;
    std::vector<lanepipe_instance_t> instances;
    std::vector<lanepipe_kind_t> kinds;
};

struct BadProfiler {
    const char *named; // in the message
    std::function<void(Draft &)> spoil;
    std::set<int32_t> status = {LANEPIPE_E_INVALID};
};

const std::set<int32_t> kRange = {LANEPIPE_E_INVALID, LANEPIPE_E_TOO_LARGE};
const std::set<int32_t> kKind = {LANEPIPE_E_INVALID, LANEPIPE_E_KIND};
const std::set<int32_t> kNull = {LANEPIPE_E_NULL};
const std::set<int32_t> kAlign = {LANEPIPE_E_MISALIGNED};
const std::set<int32_t> kStructSize = {LANEPIPE_E_STRUCT_SIZE};

template <typename T> void misalign(T *&pointer, size_t by = 1) {
    pointer = reinterpret_cast<T *>(reinterpret_cast<uintptr_t>(pointer) + by);
}

const BadProfiler kBadProfilers[] = {
    {"struct_size", [](Draft &at) { at.config.struct_size = 0; }, kStructSize},
    {"struct_size", [](Draft &at) { at.config.struct_size = kSize - 4; }, kStructSize},
    {"struct_size", [](Draft &at) { at.config.struct_size = kSize + 8; }, kStructSize},
    {"resolve", [](Draft &at) { at.config.resolve = nullptr; }, kNull},
    {"collect", [](Draft &at) { at.config.collect = nullptr; }, kNull},
    {"thread_create", [](Draft &at) { at.config.thread_create = nullptr; }, kNull},
    {"thread_join", [](Draft &at) { at.config.thread_join = nullptr; }, kNull},
    {"queues", [](Draft &at) { at.config.queues = nullptr; }, kNull},
    {"instances", [](Draft &at) { at.config.instances = nullptr; }, kNull},
    {"kinds", [](Draft &at) { at.config.kinds = nullptr; }, kNull},
    {"queues", [](Draft &at) { misalign(at.config.queues); }, kAlign},
    {"instances", [](Draft &at) { misalign(at.config.instances, 4); }, kAlign},
    {"kinds", [](Draft &at) { misalign(at.config.kinds, 4); }, kAlign},
    {"queue_count", [](Draft &at) { at.config.queue_count = 0; }},
    {"queue_count", [](Draft &at) { at.config.queue_count = LANEPIPE_MAX_QUEUES + 1; }, kRange},
    {"queue_count", [](Draft &at) { at.config.queue_count = UINT32_MAX; }, kRange},
    {"instance_count", [](Draft &at) { at.config.instance_count = 0; }},
    {"instance_count", [](Draft &at) { at.config.instance_count = LANEPIPE_MAX_INSTANCES + 1; }, kRange},
    {"instance_count", [](Draft &at) { at.config.instance_count = UINT32_MAX; }, kRange},
    {"kind", [](Draft &at) { at.config.kind_count = 0; }},
    {"kind", [](Draft &at) { at.config.kind_count = 1; }},
    {"kind", [](Draft &at) { at.config.kind_count = UINT32_MAX; }, kRange},
    {"collect_batch", [](Draft &at) { at.config.collect_batch = LANEPIPE_MAX_COLLECT + 1; }},
    {"collect_batch", [](Draft &at) { at.config.collect_batch = UINT32_MAX; }},
    {"reserved", [](Draft &at) { at.config.reserved = 1; }},
    {"flags", [](Draft &at) { at.config.flags = 8; }},
    {"max_instances", [](Draft &at) { at.config.max_instances = LANEPIPE_MAX_INSTANCES + 1; }},
    {"max_instances", [](Draft &at) { at.config.max_instances = 1; }},
    {"backpressure", [](Draft &at) { at.config.backpressure = 2; }},
    {"backpressure", [](Draft &at) { at.config.backpressure = UINT32_MAX; }},
    {"gate", [](Draft &at) { at.config.backpressure = LANEPIPE_BACKPRESSURE_COMMON; }, kNull},
    {"free queue", [](Draft &at) { at.instances[1].free_queue = at.instances[0].free_queue; }},
    {"poll_min_ns", [](Draft &at) { at.config.poll_min_ns = 2000001; }},
    {"poll_min_ns",
     [](Draft &at) {
         at.config.poll_min_ns = 100;
         at.config.poll_max_ns = 99;
     }},
    {"word", [](Draft &at) { at.queues[0].head = nullptr; }, kNull},
    {"word", [](Draft &at) { at.queues[0].tail = nullptr; }, kNull},
    {"word", [](Draft &at) { at.queues[0].entries = nullptr; }, kNull},
    {"word", [](Draft &at) { misalign(at.queues[0].head, 2); }, kAlign},
    {"word", [](Draft &at) { misalign(at.queues[0].tail); }, kAlign},
    {"word", [](Draft &at) { at.queues[0].entries = static_cast<char *>(at.queues[0].entries) + 4; }, kAlign},
    {"capacity", [](Draft &at) { at.queues[0].capacity = 0; }},
    {"capacity", [](Draft &at) { at.queues[0].capacity = UINT32_MAX; }, kRange},
    {"entry_size", [](Draft &at) { at.queues[0].entry_size = 0; }},
    {"entry_size", [](Draft &at) { at.queues[0].entry_size = 12; }},
    {"entry_size", [](Draft &at) { at.queues[0].entry_size = 264; }},
    {"entry_size", [](Draft &at) { at.queues[0].entry_size = UINT32_MAX - 7; }, kRange},
    {"pointer_offset", [](Draft &at) { at.queues[0].pointer_offset = 4; }},
    {"pointer_offset", [](Draft &at) { at.queues[0].pointer_offset = sizeof(Entry); }},
    {"pointer_offset", [](Draft &at) { at.queues[0].pointer_offset = UINT32_MAX - 7; }},
    {"reserved", [](Draft &at) { at.queues[0].reserved = 1; }},
    {"word", [](Draft &at) { at.instances[1].free_queue.head = nullptr; }, kNull},
    {"word", [](Draft &at) { at.instances[1].free_queue.tail = nullptr; }, kNull},
    {"word", [](Draft &at) { at.instances[1].free_queue.slots = nullptr; }, kNull},
    {"word", [](Draft &at) { misalign(at.instances[1].free_queue.head, 2); }, kAlign},
    {"word", [](Draft &at) { misalign(at.instances[1].free_queue.slots, 4); }, kAlign},
    {"slot_count", [](Draft &at) { at.instances[1].free_queue.slot_count = 0; }},
    {"slot_count", [](Draft &at) { at.instances[1].free_queue.slot_count = UINT32_MAX; }},
    {"slot_count", [](Draft &at) { at.instances[1].free_queue.slot_count = 1u << 31; }},
    {"reserved", [](Draft &at) { at.instances[1].free_queue.reserved = 1; }},
    {"kind", [](Draft &at) { at.instances[1].kind = 2; }, kKind},
    {"kind", [](Draft &at) { at.instances[1].kind = UINT32_MAX; }, kKind},
    {"queue", [](Draft &at) { at.instances[1].queue = 2; }},
    {"queue", [](Draft &at) { at.instances[1].queue = UINT32_MAX; }},
    {"buffer_size", [](Draft &at) { at.kinds[1].buffer_size = 0; }},
    {"batch_size", [](Draft &at) { at.kinds[1].batch_size = 0; }},
    {"reserved", [](Draft &at) { at.kinds[1].reserved = 1; }},
};

Shape two_queues() {
    Shape shape;
    shape.queues = 2;
    shape.kinds = 2;
    shape.shards = 2;
    shape.instances_per_queue = 2;
    return shape;
}

TEST(ProfilerCreate, NamesWhatIsWrong) {
    Rig rig(two_queues());
    for (const BadProfiler &bad : kBadProfilers) {
        Draft draft(rig);
        bad.spoil(draft);
        lanepipe_error_t error{};
        error.struct_size = sizeof error;
        auto *profiler = reinterpret_cast<lanepipe_profiler_t *>(kUntouched);
        rig.pool.log.clear();
        const lanepipe_status_t status = lanepipe_profiler_create(rig.pool.get(), &draft.config, &error, &profiler);
        SCOPED_TRACE(std::string(bad.named) + ": " + lanepipe_status_name(status) + ", " + error.message);
        EXPECT_EQ(bad.status.count(status), 1u);
        EXPECT_EQ(profiler, reinterpret_cast<lanepipe_profiler_t *>(kUntouched));
        EXPECT_EQ(error.status, status);
        EXPECT_NE(std::string(error.message).find(bad.named), std::string::npos);
        EXPECT_GE(rig.pool.log.count(LANEPIPE_LOG_ERROR), 1u);
    }
    // None of them left a mark on the pool.
    Draft draft(rig);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_create(rig.pool.get(), &draft.config, nullptr, &rig.profiler));
}

TEST(ProfilerCreate, RefusesMisuse) {
    Rig rig(two_queues());
    Log &log = rig.pool.log;
    const lanepipe_profiler_config_t config = rig.config();
    lanepipe_profiler_t *profiler = nullptr;
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_create(rig.pool.get(), nullptr, nullptr, &profiler));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_create(rig.pool.get(), &config, nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_profiler_create(nullptr, &config, nullptr, &profiler));
    EXPECT_EQ(profiler, nullptr);
}

TEST(ProfilerNull, EveryFunctionRefusesNullAndUnknownSizes) {
    Log global;
    const lanepipe_log_sink_t sink = global.sink();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(&sink));
    uint32_t state = 77;
    lanepipe_queue_stats_t queue{};
    queue.struct_size = sizeof queue;
    lanepipe_shard_stats_t shard{};
    shard.struct_size = sizeof shard;
    lanepipe_fault_t fault{};
    fault.struct_size = sizeof fault;
    lanepipe_gate_stats_t gates{};
    gates.struct_size = sizeof gates;
    uint32_t index = 77;
    lanepipe_instance_t instance{};
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_destroy(nullptr));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_start(nullptr));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_stop(nullptr, 0));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_get_state(nullptr, &state));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_get_queue_stats(nullptr, 0, &queue));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_get_shard_stats(nullptr, 0, &shard));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_get_fault(nullptr, &fault));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_get_gate_stats(nullptr, &gates));
    EXPECT_REFUSED(global, LANEPIPE_E_NULL, lanepipe_profiler_add_instance(nullptr, &instance, 64, &index));
    EXPECT_EQ(state, 77u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(nullptr));

    Rig rig(two_queues());
    rig.create();
    Log &log = rig.pool.log;
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_get_state(rig.profiler, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_get_queue_stats(rig.profiler, 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_get_shard_stats(rig.profiler, 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_get_fault(rig.profiler, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_get_gate_stats(rig.profiler, nullptr));
    // An instance of null words, and no place for its index.
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_add_instance(rig.profiler, nullptr, 64, &index));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_add_instance(rig.profiler, &instance, 64, &index));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_profiler_add_instance(rig.profiler, &instance, 64, nullptr));
    EXPECT_EQ(index, 77u);
    for (const uint32_t index : {2u, 64u, UINT32_MAX})
        EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_profiler_get_queue_stats(rig.profiler, index, &queue));
    for (const uint32_t index : {4u, 64u, UINT32_MAX})
        EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_profiler_get_shard_stats(rig.profiler, index, &shard));
    for (const int change : {-1000, -4, 8}) {
        const auto changed = [&](size_t size) { return change == -1000 ? 0 : static_cast<uint32_t>(size) + change; };
        queue.struct_size = changed(sizeof queue);
        shard.struct_size = changed(sizeof shard);
        fault.struct_size = changed(sizeof fault);
        gates.struct_size = changed(sizeof gates);
        queue.taken = shard.collected = fault.count = gates.freezes = kUntouched;
        EXPECT_REFUSED(log, LANEPIPE_E_STRUCT_SIZE, lanepipe_profiler_get_queue_stats(rig.profiler, 0, &queue));
        EXPECT_REFUSED(log, LANEPIPE_E_STRUCT_SIZE, lanepipe_profiler_get_shard_stats(rig.profiler, 0, &shard));
        EXPECT_REFUSED(log, LANEPIPE_E_STRUCT_SIZE, lanepipe_profiler_get_fault(rig.profiler, &fault));
        EXPECT_REFUSED(log, LANEPIPE_E_STRUCT_SIZE, lanepipe_profiler_get_gate_stats(rig.profiler, &gates));
        EXPECT_EQ(gates.freezes, kUntouched);
        EXPECT_EQ(queue.taken, kUntouched);
        EXPECT_EQ(shard.collected, kUntouched);
        EXPECT_EQ(fault.count, kUntouched);
    }
}

// Known free queues give their index, new ones are refused once there is no room, and numbers are checked.
TEST(ProfilerInstances, AreAddedOnceAndChecked) {
    Rig rig(two_queues());
    rig.create();
    Log &log = rig.pool.log;
    uint32_t index = 77;
    Draft draft(rig);
    for (uint32_t known = 0; known < draft.config.instance_count; ++known) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_add_instance(rig.profiler, &draft.instances[known], 64, &index));
        EXPECT_EQ(index, known);
    }
    index = 77;
    lanepipe_instance_t bad = draft.instances[0];
    bad.kind = 1 - bad.kind;
    EXPECT_REFUSED(log, LANEPIPE_E_DUPLICATE, lanepipe_profiler_add_instance(rig.profiler, &bad, 64, &index));
    bad = draft.instances[0];
    bad.kind = 2;
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_profiler_add_instance(rig.profiler, &bad, 64, &index));
    bad = draft.instances[0];
    bad.queue = 2;
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_profiler_add_instance(rig.profiler, &bad, 64, &index));
    bad = draft.instances[0];
    bad.free_queue.slot_count = 0;
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_profiler_add_instance(rig.profiler, &bad, 64, &index));
    uint32_t words[2] = {};
    bad = draft.instances[0];
    bad.free_queue.head = &words[0];
    bad.free_queue.tail = &words[1];
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE, lanepipe_profiler_add_instance(rig.profiler, &bad, 64, &index));
    EXPECT_EQ(index, 77u);
}

TEST(ProfilerState, StopWithoutStartAndTwice) {
    Rig rig(two_queues());
    rig.create();
    EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_STOPPED});
    rig.stop();
    rig.stop();
    EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_STOPPED});
    rig.start();
    EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_RUNNING});
    rig.stop();
    rig.stop();
    EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_STOPPED});
    EXPECT_EQ(rig.pool.log.count(LANEPIPE_LOG_ERROR), 0u) << rig.pool.log.text();
}

TEST(ProfilerState, WhileRunningNothingIsTakenAway) {
    Rig rig(two_queues());
    Log &log = rig.pool.log;
    rig.start();
    EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_profiler_start(rig.profiler));
    EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_profiler_destroy(rig.profiler));
    EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_pool_destroy(rig.pool.get()));
    const lanepipe_memory_t memory = rig.memory.description();
    EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_pool_set_memory(rig.pool.get(), &memory));
    EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_pool_set_shards(rig.pool.get(), 1));
    int released = 0;
    const auto release = [](void *count, void *) { ++*static_cast<int *>(count); };
    EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_pool_release_all(rig.pool.get(), release, &released));
    EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_pool_release_queued(rig.pool.get(), release, &released));
    EXPECT_REFUSED(log, LANEPIPE_E_STATE, lanepipe_pool_clear_mappings(rig.pool.get()));
    EXPECT_EQ(released, 0);
    // It runs on as if nothing had been asked.
    EXPECT_TRUE(rig.device.run(100));
    rig.stop();
    EXPECT_EQ(rig.collected(), 400u);
    rig.expect_books();
    rig.expect_conserved();
    EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_pool_destroy(rig.pool.get())) << "a profiler exists";
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(rig.pool.get(), 1));
}

TEST(ProfilerState, OneProfilerRunsOnAPoolAtATime) {
    Rig rig(two_queues());
    rig.create();
    const lanepipe_profiler_config_t config = rig.config();
    lanepipe_profiler_t *second = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_profiler_create(rig.pool.get(), &config, nullptr, &second));
    rig.start();
    EXPECT_REFUSED(rig.pool.log, LANEPIPE_E_STATE, lanepipe_profiler_start(second));
    EXPECT_TRUE(rig.device.run(50));
    // The refused one has no part in the run of the other.
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_stop(second, LANEPIPE_FOREVER));
    EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_RUNNING});
    EXPECT_REFUSED(rig.pool.log, LANEPIPE_E_STATE, lanepipe_pool_set_shards(rig.pool.get(), 1));
    EXPECT_TRUE(rig.device.run(50));
    rig.stop();
    EXPECT_EQ(rig.collected(), 400u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_start(second));
    EXPECT_TRUE(rig.device.run(50));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_stop(second, LANEPIPE_FOREVER));
    EXPECT_EQ(rig.collected(), 600u);
    rig.expect_conserved();
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_destroy(second));
}

// Ends that lanepipe's own threads hold between start and stop are not the caller's.
TEST(ProfilerState, CheckedPoolRefusesEndsThatItsThreadsHold) {
    Shape shape = two_queues();
    shape.flags = LANEPIPE_POOL_CHECK_OVERLAP;
    Rig rig(shape);
    rig.start();
    lanepipe_buffer_t buffer{};
    Payload payload{};
    size_t count = kUntouched;
    lanepipe_status_t status = LANEPIPE_OK;
    // The collect thread holds this end, at the latest when it sleeps.
    for (int tries = 0; tries < 1000 && status >= 0; ++tries) {
        status = lanepipe_pool_pop_ready(rig.pool.get(), 0, &buffer, &payload, 1, &count);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_TRUE(status == LANEPIPE_E_OVERLAP || status == LANEPIPE_E_OWNER) << lanepipe_status_name(status);
    rig.stop();
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_ready(rig.pool.get(), 0, &buffer, &payload, 1, &count));
}

// Whichever thread cannot be made: none is left, and a later start works.
TEST(ThreadFactory, FailureAtAnyCallLeavesNothingRunning) {
    Rig rig(two_queues());
    rig.start();
    const int calls = static_cast<int>(rig.threads.roles.size());
    std::multiset<uint32_t> roles;
    for (const auto &[role, index] : rig.threads.roles)
        roles.insert(role);
    EXPECT_EQ(roles, (std::multiset<uint32_t>{LANEPIPE_ROLE_SENTINEL, LANEPIPE_ROLE_DRAIN, LANEPIPE_ROLE_DRAIN,
                                              LANEPIPE_ROLE_REPLENISH, LANEPIPE_ROLE_COLLECT, LANEPIPE_ROLE_COLLECT}));
    EXPECT_EQ(calls, 6);
    rig.stop();
    const uint64_t total = rig.total();
    for (int k = 0; k < calls; ++k) {
        SCOPED_TRACE(k);
        rig.threads.reset(k);
        EXPECT_REFUSED(rig.pool.log, LANEPIPE_E_THREAD, lanepipe_profiler_start(rig.profiler));
        EXPECT_EQ(rig.threads.alive, 0);
        EXPECT_EQ(rig.state(), uint32_t{LANEPIPE_PROFILER_STOPPED});
        rig.expect_conserved();
        EXPECT_EQ(rig.total(), total);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(rig.pool.get(), 2)) << "the pool still counts as in use";
        rig.stop();
    }
    rig.start();
    EXPECT_TRUE(rig.device.run(100));
    rig.stop();
    EXPECT_EQ(rig.collected(), 400u);
    rig.expect_books();
    rig.expect_conserved();
    EXPECT_EQ(rig.memory.live_blocks() > 0, true);
}

// More entries wait than the ready ring holds, and a thread cannot be made: start must not wait for it.
TEST(ThreadFactoryDeathTest, FailureWithABacklogDoesNotHang) {
    death_test::in_new_process();
    const auto scenario = [] {
        alarm(30);
        Shape shape;
        shape.ready_capacity = 1;
        shape.free_slots = 16;
        shape.batch_size = 16;
        Rig rig(shape);
        rig.start();
        rig.stop();
        uint64_t published = 0;
        for (int k = 0; k < 4; ++k) {
            SCOPED_TRACE(k);
            while (rig.device.publish(0))
                ++published;
            rig.threads.reset(k);
            EXPECT_STATUS(LANEPIPE_E_THREAD, lanepipe_profiler_start(rig.profiler));
            EXPECT_EQ(rig.threads.alive, 0);
        }
        EXPECT_GE(published, 16u);
        rig.start();
        rig.stop();
        EXPECT_EQ(rig.collected(), published);
        rig.expect_conserved();
        std::_Exit(testing::Test::HasFailure() ? 1 : 0);
    };
    EXPECT_EXIT(scenario(), testing::ExitedWithCode(0), "");
}

} // namespace
