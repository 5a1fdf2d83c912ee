// Misuse of every function on pools: the documented status, a line in the log, outputs left alone, nothing corrupted.
#include "support.h"

#include "death_test_style.h"

#include <future>

// Sanitizers keep their own books in memory, and end the program without it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LANEPIPE_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LANEPIPE_TEST_SANITIZED 1
#endif
#endif

namespace {

using namespace capi;

constexpr uint32_t kSize = sizeof(lanepipe_pool_config_t);

// Collects what is said before a handle exists.
class GlobalLog {
  public:
    GlobalLog() {
        const lanepipe_log_sink_t sink = log.sink();
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(&sink));
    }
    ~GlobalLog() { EXPECT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(nullptr)); }
    Log log;
};

template <typename T> T *misaligned(T *pointer) {
    return reinterpret_cast<T *>(reinterpret_cast<uintptr_t>(pointer) + 1);
}

TEST(LogSink, RefusesMisuse) {
    Log log;
    lanepipe_log_sink_t sink = log.sink();
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_log_set_global(misaligned(&sink)));
    sink.max_level = LANEPIPE_LOG_DEBUG + 1;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_log_set_global(&sink));
    sink = log.sink();
    sink.reserved = 1;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_log_set_global(&sink));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(nullptr));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(nullptr));
    lanepipe_pool_t *pool = nullptr;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pool_create(nullptr, nullptr, &pool));
    EXPECT_EQ(log.text(), "") << "a refused or removed sink is in use";
}

TEST(LogSink, KeepsToItsLevel) {
    Log log;
    const lanepipe_log_sink_t quiet = log.sink(0);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(&quiet));
    lanepipe_pool_t *pool = nullptr;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pool_create(nullptr, nullptr, &pool));
    EXPECT_EQ(log.text(), "");
    const lanepipe_log_sink_t errors = log.sink(LANEPIPE_LOG_ERROR);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(&errors));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pool_create(nullptr, nullptr, &pool));
    EXPECT_EQ(log.count(LANEPIPE_LOG_ERROR), 1u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_log_set_global(nullptr));
}

struct BadPool {
    const char *field; // named in the message
    std::function<void(lanepipe_pool_config_t &)> spoil;
    lanepipe_status_t status = LANEPIPE_E_INVALID;
};

const BadPool kBadPools[] = {
    {"struct_size", [](auto &config) { config.struct_size = 0; }, LANEPIPE_E_STRUCT_SIZE},
    {"struct_size", [](auto &config) { config.struct_size = kSize - 4; }, LANEPIPE_E_STRUCT_SIZE},
    {"struct_size", [](auto &config) { config.struct_size = kSize + 8; }, LANEPIPE_E_STRUCT_SIZE},
    {"struct_size", [](auto &config) { config.struct_size = UINT32_MAX; }, LANEPIPE_E_STRUCT_SIZE},
    {"shards", [](auto &config) { config.shards = 0; }},
    {"shards", [](auto &config) { config.shards = LANEPIPE_MAX_SHARDS + 1; }},
    {"shards", [](auto &config) { config.shards = UINT32_MAX; }},
    {"kinds", [](auto &config) { config.kinds = 0; }},
    {"kinds", [](auto &config) { config.kinds = LANEPIPE_MAX_KINDS + 1; }},
    {"kinds", [](auto &config) { config.kinds = UINT32_MAX; }},
    {"payload_size", [](auto &config) { config.payload_size = 4; }},
    {"payload_size", [](auto &config) { config.payload_size = LANEPIPE_MAX_PAYLOAD + 8; }},
    {"payload_size", [](auto &config) { config.payload_size = UINT32_MAX - 7; }},
    {"ready_capacity", [](auto &config) { config.ready_capacity = 0; }},
    {"ready_capacity", [](auto &config) { config.ready_capacity = LANEPIPE_MAX_RING_CAPACITY + 1; }},
    {"ready_capacity", [](auto &config) { config.ready_capacity = UINT32_MAX; }},
    {"done_capacity", [](auto &config) { config.done_capacity = 0; }},
    {"done_capacity", [](auto &config) { config.done_capacity = UINT32_MAX; }},
    {"recycled_capacity", [](auto &config) { config.recycled_capacity = 0; }},
    {"recycled_capacity", [](auto &config) { config.recycled_capacity = UINT32_MAX; }},
    {"flags", [](auto &config) { config.flags = 8; }},
    {"STRICT", [](auto &config) { config.flags = LANEPIPE_POOL_STRICT | LANEPIPE_POOL_UNTRACKED; }},
    {"flags", [](auto &config) { config.flags = UINT32_MAX; }},
    {"block_granularity", [](auto &config) { config.block_granularity = 96; }},
    {"block_granularity", [](auto &config) { config.block_granularity = SIZE_MAX; }},
    {"max_level", [](auto &config) { config.log.max_level = LANEPIPE_LOG_DEBUG + 1; }},
    {"reserved", [](auto &config) { config.log.reserved = 1; }},
};

TEST(PoolCreate, NamesWhatIsWrong) {
    GlobalLog global;
    for (const BadPool &bad : kBadPools) {
        SCOPED_TRACE(bad.field);
        Log log;
        lanepipe_pool_config_t config = pool_config();
        config.log = log.sink();
        bad.spoil(config);
        lanepipe_error_t error{};
        error.struct_size = sizeof error;
        auto *pool = reinterpret_cast<lanepipe_pool_t *>(kUntouched);
        global.log.clear();
        EXPECT_STATUS(bad.status, lanepipe_pool_create(&config, &error, &pool));
        EXPECT_EQ(pool, reinterpret_cast<lanepipe_pool_t *>(kUntouched));
        EXPECT_EQ(error.status, bad.status);
        EXPECT_EQ(error.system_error, 0);
        EXPECT_EQ(error.reserved, 0u);
        EXPECT_NE(std::string(error.message).find(bad.field), std::string::npos) << error.message;
        EXPECT_EQ(log.count(LANEPIPE_LOG_ERROR) + global.log.count(LANEPIPE_LOG_ERROR), 1u);
    }
}

TEST(PoolCreate, RefusesMisuse) {
    GlobalLog global;
    const lanepipe_pool_config_t config = pool_config();
    lanepipe_error_t error{};
    error.struct_size = sizeof error;
    lanepipe_pool_t *pool = nullptr;
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_create(nullptr, &error, &pool));
    EXPECT_EQ(error.status, LANEPIPE_E_NULL);
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_create(&config, &error, nullptr));
    EXPECT_REFUSED(global.log, LANEPIPE_E_MISALIGNED, lanepipe_pool_create(misaligned(&config), &error, &pool));
    EXPECT_REFUSED(global.log, LANEPIPE_E_MISALIGNED, lanepipe_pool_create(&config, &error, misaligned(&pool)));
    EXPECT_EQ(pool, nullptr);
}

// The record is optional, and one that this library does not know is left alone.
TEST(PoolCreate, LeavesAnUnknownErrorRecordAlone) {
    lanepipe_pool_config_t config = pool_config();
    config.shards = 0;
    lanepipe_pool_t *pool = nullptr;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pool_create(&config, nullptr, &pool));
    for (const uint32_t size : {0u, 16u, uint32_t{sizeof(lanepipe_error_t)} + 8}) {
        lanepipe_error_t error{};
        error.struct_size = size;
        EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pool_create(&config, &error, &pool));
        EXPECT_EQ(error.status, 0);
        EXPECT_STREQ(error.message, "");
    }
}

#if !defined(LANEPIPE_TEST_SANITIZED)
// The largest geometry that the checks allow is beyond any machine: a status, not an abort.
TEST(PoolCreateDeathTest, SurvivesAGeometryBeyondMemory) {
    if (death_test::is_emulated()) {
        GTEST_SKIP() << "an emulator does not keep the emulated program to its limit";
    }
    death_test::in_new_process();
    const auto create = [] {
        lanepipe_pool_config_t config = pool_config();
        config.shards = LANEPIPE_MAX_SHARDS;
        config.kinds = LANEPIPE_MAX_KINDS;
        config.payload_size = LANEPIPE_MAX_PAYLOAD;
        config.ready_capacity = LANEPIPE_MAX_RING_CAPACITY;
        config.done_capacity = LANEPIPE_MAX_RING_CAPACITY;
        config.recycled_capacity = LANEPIPE_MAX_RING_CAPACITY;
        limit_memory(size_t{1} << 30);
        lanepipe_pool_t *pool = nullptr;
        const lanepipe_status_t status = lanepipe_pool_create(&config, nullptr, &pool);
        std::_Exit(status == LANEPIPE_E_NO_MEMORY && pool == nullptr ? 0 : 1);
    };
    EXPECT_EXIT(create(), testing::ExitedWithCode(0), "");
}
#endif

TEST(PoolNull, EveryFunctionRefusesANullHandle) {
    GlobalLog global;
    size_t count = kUntouched;
    uint32_t shards = 77;
    lanepipe_buffer_t buffer = untracked(1);
    const void *dev = buffer.dev;
    void *address = nullptr;
    lanepipe_resolved_t resolved{};
    lanepipe_pool_audit_t audit{};
    audit.struct_size = sizeof audit;
    Memory memory;
    const lanepipe_memory_t description = memory.description();
    lanepipe_pool_t *null = nullptr;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_destroy(null));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_set_memory(null, &description));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_set_shards(null, 1));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_get_shards(null, &shards));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_push_ready(null, 0, &buffer, nullptr, 1, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_wait_push_ready(null, 0, &buffer, nullptr, 1, 0, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_pop_ready(null, 0, &buffer, nullptr, 1, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_wait_pop_ready(null, 0, &buffer, nullptr, 1, 0, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_push_done(null, 0, &buffer, 1, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_pop_done(null, 0, &buffer, 1, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_recycle_done(null, 0, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_push_recycled(null, 0, &buffer, 1, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_pop_recycled(null, 0, 0, &buffer, 1, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_retire(null, 0, &buffer));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_get_recycled(null, 0, 0, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_set_warm_target(null, 0, 1));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_quarantine(null, 0, &buffer));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_take_retired(null, 0, 0, &buffer));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_recirculate(null, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_map_block(null, buffer.dev, buffer.dev, 64));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_get_base(null, dev, &address));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_claim(null, dev, &address));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_adopt_shadow(null, buffer.dev));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_free(null, buffer.dev));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_release_queued(null, nullptr, nullptr));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_clear_mappings(null));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_allocate(null, 0, 64, 1, 0, &count));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_allocate_block(null, 64, &address, &address));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_register(null, buffer.dev, buffer.dev, 0, &buffer.id));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_resolve(null, &dev, 1, &resolved));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_release_all(null, nullptr, nullptr));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_write_shared(null, memory.shm_host(), 4));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_read_shared(null, memory.shm_host(), 4));
    EXPECT_REFUSED(global.log, LANEPIPE_E_NULL, lanepipe_pool_audit(null, &audit));
    EXPECT_EQ(count, kUntouched);
    EXPECT_EQ(shards, 77u);
    EXPECT_EQ(address, nullptr);
    EXPECT_EQ(buffer.id, 0u);
}

TEST(PoolNull, EveryFunctionRefusesNullPointers) {
    lanepipe_pool_config_t config = pool_config();
    config.payload_size = 8;
    Pool pool(config);
    Log &log = pool.log;
    Memory memory;
    pool.use(memory);
    size_t count = kUntouched;
    lanepipe_buffer_t buffer = untracked(1);
    const void *dev = buffer.dev;
    uint64_t payload = 0;
    void *address = nullptr;
    lanepipe_resolved_t resolved{};
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_set_memory(pool.get(), nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_get_shards(pool.get(), nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_push_ready(pool.get(), 0, nullptr, &payload, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_push_ready(pool.get(), 0, &buffer, nullptr, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_push_ready(pool.get(), 0, &buffer, &payload, 1, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_wait_push_ready(pool.get(), 0, nullptr, &payload, 1, 0, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_wait_push_ready(pool.get(), 0, &buffer, nullptr, 1, 0, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL,
                   lanepipe_pool_wait_push_ready(pool.get(), 0, &buffer, &payload, 1, 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_pop_ready(pool.get(), 0, nullptr, &payload, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_pop_ready(pool.get(), 0, &buffer, nullptr, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_pop_ready(pool.get(), 0, &buffer, &payload, 1, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_wait_pop_ready(pool.get(), 0, nullptr, &payload, 1, 0, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_wait_pop_ready(pool.get(), 0, &buffer, nullptr, 1, 0, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_wait_pop_ready(pool.get(), 0, &buffer, &payload, 1, 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_push_done(pool.get(), 0, nullptr, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_push_done(pool.get(), 0, &buffer, 1, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_pop_done(pool.get(), 0, nullptr, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_pop_done(pool.get(), 0, &buffer, 1, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_recycle_done(pool.get(), 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_push_recycled(pool.get(), 0, nullptr, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_push_recycled(pool.get(), 0, &buffer, 1, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_pop_recycled(pool.get(), 0, 0, nullptr, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_pop_recycled(pool.get(), 0, 0, &buffer, 1, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_retire(pool.get(), 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_get_recycled(pool.get(), 0, 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_quarantine(pool.get(), 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_take_retired(pool.get(), 0, 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_recirculate(pool.get(), nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_map_block(pool.get(), nullptr, &payload, 64));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_get_base(pool.get(), dev, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_claim(pool.get(), dev, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_adopt_shadow(pool.get(), nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_allocate(pool.get(), 0, 64, 1, 0, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_allocate_block(pool.get(), 64, nullptr, &address));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_allocate_block(pool.get(), 64, &address, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_resolve(pool.get(), nullptr, 1, &resolved));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_resolve(pool.get(), &dev, 1, nullptr));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_write_shared(pool.get(), nullptr, 4));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_read_shared(pool.get(), nullptr, 4));
    EXPECT_REFUSED(log, LANEPIPE_E_NULL, lanepipe_pool_audit(pool.get(), nullptr));
    EXPECT_EQ(count, kUntouched);
    EXPECT_EQ(address, nullptr);
    EXPECT_EQ(memory.allocs, 0u) << "memory was allocated for a refused call";
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
}

// No elements need no arrays.
TEST(PoolNull, ZeroElementsNeedNoArrays) {
    Pool pool;
    size_t count = kUntouched;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 0, nullptr, nullptr, 0, &count));
    EXPECT_EQ(count, 0u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_wait_push_ready(pool.get(), 0, nullptr, nullptr, 0, 0, &count));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, nullptr, 0, &count));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), 0, nullptr, 0, &count));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_resolve(pool.get(), nullptr, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_ready(pool.get(), 0, nullptr, nullptr, 0, &count));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_done(pool.get(), 0, nullptr, 0, &count));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_recycled(pool.get(), 0, 0, nullptr, 0, &count));
    EXPECT_EQ(count, 0u);
}

TEST(PoolMisuse, RefusesMisalignedPointers) {
    Pool pool;
    Log &log = pool.log;
    Memory memory;
    const lanepipe_memory_t description = memory.description();
    lanepipe_buffer_t buffers[2] = {untracked(1), untracked(2)};
    size_t counts[2] = {kUntouched, kUntouched};
    const void *devs[2] = {};
    lanepipe_resolved_t resolved[2] = {};
    void *address[2] = {};
    uint32_t words[2] = {77, 77};
    lanepipe_pool_audit_t audit{};
    auto *buffer = misaligned(buffers);
    auto *count = misaligned(counts);
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_set_memory(pool.get(), misaligned(&description)));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_get_shards(pool.get(), misaligned(words)));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_push_ready(pool.get(), 0, buffer, nullptr, 1, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_push_ready(pool.get(), 0, buffers, nullptr, 1, count));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED,
                   lanepipe_pool_wait_push_ready(pool.get(), 0, buffer, nullptr, 1, 0, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_pop_ready(pool.get(), 0, buffer, nullptr, 1, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_pop_ready(pool.get(), 0, buffers, nullptr, 1, count));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED,
                   lanepipe_pool_wait_pop_ready(pool.get(), 0, buffer, nullptr, 1, 0, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_push_done(pool.get(), 0, buffer, 1, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_pop_done(pool.get(), 0, buffer, 1, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_recycle_done(pool.get(), 0, count));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_push_recycled(pool.get(), 0, buffer, 1, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_pop_recycled(pool.get(), 0, 0, buffer, 1, counts));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_retire(pool.get(), 0, buffer));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_get_recycled(pool.get(), 0, 0, count));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_quarantine(pool.get(), 0, buffer));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_take_retired(pool.get(), 0, 0, buffer));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_recirculate(pool.get(), count));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_get_base(pool.get(), buffers[0].dev, misaligned(address)));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_claim(pool.get(), buffers[0].dev, misaligned(address)));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_allocate(pool.get(), 0, 64, 1, 0, count));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED,
                   lanepipe_pool_allocate_block(pool.get(), 64, misaligned(address), address));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED,
                   lanepipe_pool_register(pool.get(), buffers[0].dev, buffers[0].dev, 0, misaligned(words)));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_resolve(pool.get(), misaligned(devs), 1, resolved));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_resolve(pool.get(), devs, 1, misaligned(resolved)));
    EXPECT_REFUSED(log, LANEPIPE_E_MISALIGNED, lanepipe_pool_audit(pool.get(), misaligned(&audit)));
    EXPECT_EQ(counts[0], kUntouched);
    EXPECT_EQ(audit_of(pool.get()).total, 0u) << "a refused registration took effect";
}

TEST(PoolMisuse, RefusesAbsurdCounts) {
    Pool pool;
    Log &log = pool.log;
    lanepipe_buffer_t buffer = untracked(1);
    const void *dev = buffer.dev;
    lanepipe_resolved_t resolved{};
    size_t count = kUntouched;
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE,
                   lanepipe_pool_push_ready(pool.get(), 0, &buffer, nullptr, SIZE_MAX, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE,
                   lanepipe_pool_wait_push_ready(pool.get(), 0, &buffer, nullptr, SIZE_MAX, 0, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE,
                   lanepipe_pool_pop_ready(pool.get(), 0, &buffer, nullptr, SIZE_MAX, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE,
                   lanepipe_pool_wait_pop_ready(pool.get(), 0, &buffer, nullptr, SIZE_MAX, 0, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_push_done(pool.get(), 0, &buffer, SIZE_MAX, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_pop_done(pool.get(), 0, &buffer, SIZE_MAX, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_push_recycled(pool.get(), 0, &buffer, SIZE_MAX, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_pop_recycled(pool.get(), 0, 0, &buffer, SIZE_MAX, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_resolve(pool.get(), &dev, SIZE_MAX, &resolved));
    EXPECT_EQ(count, kUntouched);
}

TEST(PoolMisuse, RefusesKindsOutOfRange) {
    Pool pool;
    Log &log = pool.log;
    Memory memory;
    pool.use(memory);
    size_t count = kUntouched;
    for (const uint32_t kind : {2u, 255u, 256u, UINT32_MAX}) {
        lanepipe_buffer_t buffers[2] = {untracked(1), untracked(2, kind)};
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_push_ready(pool.get(), 0, buffers, nullptr, 2, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND,
                       lanepipe_pool_wait_push_ready(pool.get(), 0, buffers, nullptr, 2, 0, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_push_done(pool.get(), 0, buffers, 2, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_push_recycled(pool.get(), 0, buffers, 2, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_retire(pool.get(), 0, &buffers[1]));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_quarantine(pool.get(), 0, &buffers[1]));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_take_retired(pool.get(), 0, kind, buffers));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_set_warm_target(pool.get(), kind, 1));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_pop_recycled(pool.get(), 0, kind, buffers, 2, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_get_recycled(pool.get(), 0, kind, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_KIND, lanepipe_pool_allocate(pool.get(), kind, 64, 1, 0, &count));
        uint32_t id = 77;
        EXPECT_REFUSED(log, LANEPIPE_E_KIND,
                       lanepipe_pool_register(pool.get(), buffers[0].dev, buffers[0].dev, kind, &id));
        EXPECT_EQ(id, 77u);
    }
    EXPECT_EQ(count, kUntouched);
    EXPECT_EQ(memory.allocs, 0u);
    lanepipe_buffer_t buffer{};
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_ready(pool.get(), 0, &buffer, nullptr, 1, &count));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_done(pool.get(), 0, &buffer, 1, &count));
}

TEST(PoolMisuse, RefusesNullBuffers) {
    Pool pool;
    Log &log = pool.log;
    const lanepipe_buffer_t null{};
    size_t count = kUntouched;
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_pool_push_ready(pool.get(), 0, &null, nullptr, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_pool_push_done(pool.get(), 0, &null, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_pool_push_recycled(pool.get(), 0, &null, 1, &count));
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_pool_retire(pool.get(), 0, &null));
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_pool_quarantine(pool.get(), 0, &null));
    EXPECT_REFUSED(log, LANEPIPE_E_INVALID, lanepipe_pool_register(pool.get(), nullptr, &count, 0, nullptr));
    EXPECT_EQ(count, kUntouched);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
}

TEST(PoolMisuse, RefusesBlocksThatEndBeyondTheAddressSpace) {
    Pool pool;
    char *end = reinterpret_cast<char *>(UINTPTR_MAX);
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_map_block(pool.get(), end - 62, end - 4096, 64));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_map_block(pool.get(), end - 4096, end - 62, 64));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_map_block(pool.get(), &pool, &pool, SIZE_MAX));
    lanepipe_resolved_t resolved{};
    const void *dev = end - 4096;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_resolve(pool.get(), &dev, 1, &resolved));
    EXPECT_EQ(resolved.known, 0u) << "a refused block is known";
}

TEST(PoolMisuse, RefusesShardCountsOutOfRange) {
    Pool pool;
    for (const uint32_t shards : {0u, 3u, UINT32_MAX})
        EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_set_shards(pool.get(), shards));
    uint32_t shards = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_get_shards(pool.get(), &shards));
    EXPECT_EQ(shards, 2u);
}

} // namespace
