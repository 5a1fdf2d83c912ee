// The device's half of a subsystem by hand: words at the contract's offsets, one producer per instance. For a5.
#ifndef LANEPIPE_TESTS_COLLECTOR_DEVICE_H_
#define LANEPIPE_TESTS_COLLECTOR_DEVICE_H_

#include "capi/support.h"

#include <vector>

namespace collector {

// Where a kind's words lie, from appendix B and layouts.json.
struct Layout {
    uint32_t subsystem;
    uint32_t kind;
    const char *name;
    uint32_t heads, tails, ready_size; // of the header
    uint32_t state, state_size;        // the first state of the kind, for two cores and three threads
    uint32_t free, slots;              // free queue in a state: slots, then head, then tail
    uint32_t current, seq, total;      // in a state; total 0: there is none
    uint32_t count, records, record;   // in a buffer
    uint32_t queue;                    // of instance 0
};

constexpr uint32_t kSwimlaneHeader = 233152;
constexpr uint32_t kNoTotal = 0;

constexpr Layout kTask = {LANEPIPE_SUBSYSTEM_SWIMLANE,
                          LANEPIPE_KIND_AICPU_TASK,
                          "task",
                          232960,
                          232980,
                          1456,
                          kSwimlaneHeader,
                          192,
                          64,
                          4,
                          0,
                          8,
                          12,
                          32000,
                          0,
                          32,
                          0};
constexpr Layout kCore = {LANEPIPE_SUBSYSTEM_SWIMLANE,
                          LANEPIPE_KIND_AICORE_TASK,
                          "core",
                          232960,
                          232980,
                          1456,
                          kSwimlaneHeader + 2 * 192,
                          192,
                          64,
                          4,
                          0,
                          8,
                          12,
                          32768,
                          0,
                          32,
                          0};
constexpr Layout kSched = {LANEPIPE_SUBSYSTEM_SWIMLANE,
                           LANEPIPE_KIND_SCHED_PHASE,
                           "sched",
                           232960,
                           232980,
                           1456,
                           kSwimlaneHeader + 4 * 192,
                           192,
                           64,
                           4,
                           0,
                           8,
                           12,
                           1048576,
                           0,
                           64,
                           0};
constexpr Layout kOrch = {LANEPIPE_SUBSYSTEM_SWIMLANE,
                          LANEPIPE_KIND_ORCH_PHASE,
                          "orch",
                          232960,
                          232980,
                          1456,
                          kSwimlaneHeader + 9 * 192,
                          192,
                          64,
                          4,
                          0,
                          8,
                          12,
                          524288,
                          0,
                          32,
                          2};
constexpr Layout kPmu = {
    LANEPIPE_SUBSYSTEM_PMU, 0, "pmu", 34560, 34580, 216, 34688, 192, 0, 4, 128, 144, 148, 32768, 0, 64, 0};
constexpr Layout kDepGen = {
    LANEPIPE_SUBSYSTEM_DEP_GEN, 0, "dep_gen", 1280, 1300, 8, 1344, 192, 0, 4, 128, 136, 144, 0, 64, 4672, 2};
constexpr Layout kDump = {LANEPIPE_SUBSYSTEM_ARGS_DUMP,
                          0,
                          "args_dump",
                          12800,
                          12820,
                          80,
                          12928,
                          256,
                          0,
                          4,
                          128,
                          136,
                          kNoTotal,
                          32768,
                          0,
                          128,
                          0};
constexpr Layout kScopes = {
    LANEPIPE_SUBSYSTEM_SCOPE_STATS, 0, "scope_stats", 1280, 1300, 8, 1472, 192, 0, 8, 128, 136, 144, 0, 64, 80, 2};
constexpr Layout kLayouts[] = {kTask, kCore, kSched, kOrch, kPmu, kDepGen, kDump, kScopes};

// Instance 0 of a kind, played by one thread.
class Producer {
  public:
    Producer(capi::Memory &memory, uint64_t base, const Layout &layout) : memory_(memory), base_(base), at_(layout) {}

    template <typename T> T &state(uint32_t offset) { return word<T>(base_, at_.state + offset); }
    template <typename T> T &header(uint32_t offset) { return word<T>(base_, offset); }
    // A field of record `index` of the active buffer.
    template <typename T> T &field(uint32_t index, uint32_t offset) {
        return word<T>(state<uint64_t>(at_.current), at_.records + index * at_.record + offset);
    }

    // Takes the next buffer; waits for one.
    void take() {
        uint32_t &head = state<uint32_t>(at_.free + at_.slots * 8);
        uint32_t &tail = state<uint32_t>(at_.free + at_.slots * 8 + 4);
        ASSERT_TRUE(capi::eventually([&] { return __atomic_load_n(&tail, __ATOMIC_ACQUIRE) != head; }))
            << "no buffer comes";
        const auto buffer = __atomic_load_n(&state<uint64_t>(at_.free + head % at_.slots * 8), __ATOMIC_RELAXED);
        __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE);
        ASSERT_NE(buffer, 0u);
        word<uint32_t>(buffer, at_.count) = 0;
        state<uint64_t>(at_.current) = buffer;
    }

    // Writes `count` records, of which the first word is a number that counts on, and the rest is zero.
    void record(uint32_t count) {
        const auto buffer = state<uint64_t>(at_.current);
        uint32_t &filled = word<uint32_t>(buffer, at_.count);
        for (uint32_t i = 0; i < count; ++i) {
            std::memset(&field<char>(filled + i, 0), 0, at_.record);
            field<uint64_t>(filled + i, 0) = ++number_;
        }
        filled += count;
        if (at_.total != kNoTotal)
            state<uint32_t>(at_.total) += count;
    }

    // Publishes what was recorded; no buffer is active afterwards.
    void publish() {
        const auto buffer = state<uint64_t>(at_.current);
        entry(at_.queue, 0, at_.kind, buffer, state<uint32_t>(at_.seq));
        state<uint64_t>(at_.current) = 0;
        state<uint32_t>(at_.seq) += 1;
    }

    // Publishes an entry, whatever it says; waits for room.
    void entry(uint32_t queue, uint32_t index, uint32_t kind, uint64_t buffer, uint32_t seq) {
        const uint32_t &head = header<uint32_t>(at_.heads + queue * 4);
        uint32_t &tail = header<uint32_t>(at_.tails + queue * 4);
        const uint32_t next = (tail + 1) % at_.ready_size;
        ASSERT_TRUE(capi::eventually([&] { return __atomic_load_n(&head, __ATOMIC_ACQUIRE) != next; }));
        const uint32_t slot = (queue * at_.ready_size + tail) * 32;
        __atomic_store_n(&header<uint32_t>(slot), index, __ATOMIC_RELAXED);
        __atomic_store_n(&header<uint32_t>(slot + 4), kind, __ATOMIC_RELAXED);
        __atomic_store_n(&header<uint64_t>(slot + 8), buffer, __ATOMIC_RELAXED);
        __atomic_store_n(&header<uint32_t>(slot + 16), seq, __ATOMIC_RELAXED);
        __atomic_store_n(&tail, next, __ATOMIC_RELEASE);
    }

  private:
    template <typename T> T &word(uint64_t at, uint32_t offset) { return *memory_.at_device<T>(at + offset); }

    capi::Memory &memory_;
    const uint64_t base_;
    const Layout at_;
    uint64_t number_ = 0;
};

// A collector with all that it lives on, and the proof that it gives everything back.
class Rig {
  public:
    explicit Rig(uint32_t subsystem, capi::Mode mode = capi::Mode::kIdentity) : memory(mode) {
        config.struct_size = sizeof config;
        config.subsystem = subsystem;
        config.arch = LANEPIPE_ARCH_A5;
        config.cores = 2;
        config.threads = 3;
        config.scheduler_threads = 2;
        if (subsystem == LANEPIPE_SUBSYSTEM_SWIMLANE)
            config.level = 4;
        if (subsystem == LANEPIPE_SUBSYSTEM_ARGS_DUMP)
            config.level = 2;
        config.arena_size = 4096;
        config.memory = memory.description();
        config.memory.shm_dev = nullptr;
        config.memory.shm_host = nullptr;
        config.memory.shm_size = 0;
        config.log = log.sink();
        config.thread_context = &threads;
        config.thread_create = &capi::Threads::create;
        config.thread_join = &capi::Threads::join;
    }

    ~Rig() {
        if (collector != nullptr) {
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_stop(collector, LANEPIPE_FOREVER));
        }
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_destroy(collector));
        EXPECT_EQ(memory.live_blocks(), 0u) << "an allocation was forgotten";
        EXPECT_EQ(memory.unknown_frees, 0u);
        EXPECT_EQ(memory.on_wrong_thread, 0u) << "allocation on a drain, collect or sentinel thread";
        EXPECT_EQ(threads.alive, 0);
    }

    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    void create() {
        lanepipe_error_t error{};
        error.struct_size = sizeof error;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_collector_create(&config, &error, &collector)) << error.message;
    }

    lanepipe_collector_region_t region() const {
        lanepipe_collector_region_t region{};
        region.struct_size = sizeof region;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_get_region(collector, &region));
        return region;
    }

    lanepipe_books_t books(uint32_t kind = LANEPIPE_ALL_KINDS, uint32_t instance = LANEPIPE_ALL_INSTANCES) const {
        lanepipe_books_t books{};
        books.struct_size = sizeof books;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_reconcile(collector));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_collector_get_books(collector, kind, instance, &books));
        return books;
    }

    capi::Memory memory;
    capi::Threads threads;
    capi::Log log;
    lanepipe_collector_config_t config{};
    lanepipe_collector_t *collector = nullptr;
};

} // namespace collector

#endif // LANEPIPE_TESTS_COLLECTOR_DEVICE_H_
