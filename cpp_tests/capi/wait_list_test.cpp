// Wait list and FIN half of the C interface: misuse, full lists, release arrays, failing completions, errors while
// producers face a full ring.
#include "support.h"

#include <array>
#include <cstring>
#include <deque>
#include <thread>

namespace {

using namespace capi;

constexpr uint32_t kVariants[] = {LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER,
                                  LANEPIPE_VARIANT_A2A3_HOST_BUILD_GRAPH, LANEPIPE_VARIANT_A5_TENSORMAP_AND_RINGBUFFER,
                                  LANEPIPE_VARIANT_A5_HOST_BUILD_GRAPH};

// A mailbox and a list with or without a side area, and a world that they work in.
class Bench {
  public:
    explicit Bench(bool native, uint32_t variant = LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER) {
        std::memset(mailbox_.data(), 0x5a, mailbox_.size() * 8);
        std::memset(list_.data(), 0x5a, list_.size() * 8);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_init_empty(mailbox()));
        if (native) {
            size_t size = 0;
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_side_required_size(2000, &size));
            memory_ = std::aligned_alloc(LANEPIPE_WAIT_SIDE_ALIGN, (size + 63) / 64 * 64);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_side_init(memory_, size, 2000, 0, &side));
        }
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_reset(list(), side));
        ops.struct_size = sizeof ops;
        ops.variant = variant;
        ops.flags = LANEPIPE_WAIT_COPY_KEEPS_REST;
        ops.context = this;
        ops.complete = [](void *self, void *slot, int32_t, int32_t *done) {
            return static_cast<Bench *>(self)->complete(slot, done);
        };
        ops.release = [](void *self, void *slot, int32_t) { static_cast<Bench *>(self)->released.push_back(slot); };
        ops.retire = [](void *self, void *) { ++static_cast<Bench *>(self)->retired; };
        ops.report = [](void *self, int32_t error, uint64_t token, uint64_t, uint32_t, int32_t) {
            static_cast<Bench *>(self)->reports.emplace_back(error, token);
        };
    }
    ~Bench() { std::free(memory_); }
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    lanepipe_mailbox_t *mailbox() { return reinterpret_cast<lanepipe_mailbox_t *>(mailbox_.data()); }
    lanepipe_wait_list_t *list() { return reinterpret_cast<lanepipe_wait_list_t *>(list_.data()); }

    void condition(uint64_t token, size_t counter, uint32_t expected = 1) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_push_condition(mailbox(), token,
                                                                       reinterpret_cast<uint64_t>(&counters[counter]),
                                                                       0, expected, 0, 0));
    }
    void done(uint64_t token) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_push_normal_done(mailbox(), token, slot_of(token)));
    }
    static uint64_t slot_of(uint64_t token) { return 0x10000 + token * 64; }

    lanepipe_wait_result_t drain(const lanepipe_wait_release_t *release = nullptr) {
        lanepipe_wait_result_t result{};
        result.struct_size = sizeof result;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_drain(list(), side, mailbox(), &ops, release, 3, &result));
        return result;
    }
    lanepipe_wait_result_t poll(const lanepipe_wait_release_t *release = nullptr,
                                lanepipe_status_t want = LANEPIPE_OK) {
        lanepipe_wait_result_t result{};
        result.struct_size = sizeof result;
        EXPECT_STATUS(want, lanepipe_wait_list_poll(list(), side, mailbox(), &ops, release, 3, &result));
        return result;
    }
    uint32_t count() {
        uint32_t tasks = 0;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_get_count(list(), &tasks));
        return tasks;
    }

    lanepipe_wait_ops_t ops{};
    lanepipe_wait_side_t *side = nullptr;
    std::vector<uint32_t> counters = std::vector<uint32_t>(4096);
    std::vector<void *> completed;
    std::vector<void *> released;
    std::vector<std::pair<int32_t, uint64_t>> reports;
    size_t retired = 0;
    uint64_t failing = UINT64_MAX;

  private:
    int32_t complete(void *slot, int32_t *done) {
        if (reinterpret_cast<uint64_t>(slot) == slot_of(failing))
            return 5;
        completed.push_back(slot);
        *done = 1;
        return 0;
    }

    std::vector<uint64_t> mailbox_ = std::vector<uint64_t>(LANEPIPE_MAILBOX_SIZE / 8);
    std::vector<uint64_t> list_ = std::vector<uint64_t>(LANEPIPE_WAIT_LIST_SIZE / 8);
    void *memory_ = nullptr;
};

class WaitList : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Sides, WaitList, testing::Bool(),
                         [](const auto &info) { return info.param ? "Native" : "Bare"; });

TEST_P(WaitList, ATaskCompletesOnceEverythingIsThere) {
    for (const uint32_t variant : kVariants) {
        Bench bench(GetParam(), variant);
        bench.condition(1, 0);
        bench.condition(1, 1, 3);
        bench.done(1);
        bench.done(2);
        auto result = bench.poll();
        EXPECT_EQ(4, result.drained);
        EXPECT_EQ(1, result.completed);
        bench.counters[0] = 1;
        bench.counters[1] = 2;
        EXPECT_EQ(0, bench.poll().completed);
        bench.counters[1] = 3;
        result = bench.poll();
        EXPECT_EQ(1, result.completed);
        EXPECT_EQ(1, result.resolved);
        EXPECT_EQ(2u, bench.completed.size());
        EXPECT_EQ(2u, bench.retired);
        EXPECT_EQ(0u, bench.count());
    }
}

TEST_P(WaitList, The65thTaskWaitsAndCompletes) {
    Bench bench(GetParam());
    for (uint64_t token = 0; token < 120; ++token)
        bench.condition(token, token);
    for (uint64_t token = 0; token < 120; ++token)
        bench.done(token);
    EXPECT_EQ(0, bench.drain().error);
    EXPECT_EQ(64u, bench.count());
    EXPECT_TRUE(bench.completed.empty());
    std::fill(bench.counters.begin(), bench.counters.end(), 1);
    for (int round = 0; round < 8; ++round)
        EXPECT_EQ(0, bench.poll().error);
    EXPECT_EQ(120u, bench.completed.size());
    EXPECT_EQ(120u, bench.retired);
}

TEST_P(WaitList, The65thConditionIsWaitedFor) {
    Bench bench(GetParam());
    for (size_t number = 0; number < 200; ++number)
        bench.condition(7, number);
    bench.done(7);
    EXPECT_EQ(0, bench.drain().error);
    std::fill(bench.counters.begin(), bench.counters.begin() + 199, 1);
    for (int round = 0; round < 8; ++round)
        bench.poll();
    EXPECT_TRUE(bench.completed.empty());
    bench.counters[199] = 1;
    bench.poll();
    bench.poll();
    EXPECT_EQ(1u, bench.completed.size());
}

TEST_P(WaitList, ABurstOf1000WithReleaseArraysOfAnyCapacity) {
    for (const int32_t capacity : {0, 1, 256}) {
        Bench bench(GetParam());
        std::vector<void *> slots(257, nullptr);
        int32_t count = 0;
        const lanepipe_wait_release_t release{slots.data(), &count, capacity, 0};
        for (uint64_t token = 0; token < 1000; ++token)
            bench.done(token);
        const auto result = bench.drain(&release);
        EXPECT_EQ(1000, result.drained);
        EXPECT_EQ(1000, result.completed);
        EXPECT_EQ(1000u, bench.released.size() + static_cast<size_t>(count));
        EXPECT_LE(count, capacity);
        EXPECT_EQ(nullptr, slots[static_cast<size_t>(capacity)]) << "beyond the capacity";
        if (capacity == 256) {
            EXPECT_EQ(bench.completed[255], bench.released[0]) << "last in, first out";
        } else {
            EXPECT_EQ(bench.completed[0], bench.released[0]);
        }
    }
    Bench bench(GetParam());
    bench.done(1);
    const lanepipe_wait_release_t none{nullptr, nullptr, 8, 0};
    bench.drain(&none);
    EXPECT_EQ(1u, bench.released.size());
}

TEST_P(WaitList, ACompletionThatFailsIsReportedAndTriedAgain) {
    Bench bench(GetParam());
    bench.failing = 2;
    bench.done(1);
    bench.done(2);
    bench.done(3);
    for (int round = 0; round < 2; ++round) {
        const auto result = bench.drain();
        EXPECT_EQ(5, result.error);
        EXPECT_EQ(2u, result.failed_token);
        EXPECT_EQ(reinterpret_cast<void *>(Bench::slot_of(2)), result.failed_slot);
    }
    EXPECT_EQ(1u, bench.completed.size());
    bench.failing = UINT64_MAX;
    EXPECT_EQ(2, bench.drain().drained);
    EXPECT_EQ(2u, bench.reports.size());
}

TEST_P(WaitList, UnknownKindsStayAndUnknownTypesFail) {
    Bench bench(GetParam());
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_push_condition(bench.mailbox(), 4, 0x1230, 5, 6, 2, -3));
    EXPECT_EQ(1, bench.drain().drained);
    const auto failed = bench.poll();
    EXPECT_EQ(LANEPIPE_WAIT_ERROR_INVALID, failed.error);
    EXPECT_EQ(4u, failed.failed_token);
    EXPECT_EQ(0x1230u, failed.failed_addr);
    EXPECT_EQ(2u, failed.failed_engine);
    EXPECT_EQ(-3, failed.failed_type);
    bench.done(9);
    lanepipe_mailbox_stats_t stats{};
    stats.struct_size = sizeof stats;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_get_stats(bench.mailbox(), &stats));
    const uint32_t kind = 7;
    std::memcpy(reinterpret_cast<char *>(bench.mailbox()) + 128 + stats.tail % 4096 * 64 + 44, &kind, sizeof kind);
    for (int round = 0; round < 2; ++round) {
        const auto result = bench.drain();
        EXPECT_EQ(LANEPIPE_WAIT_ERROR_REGISTRATION, result.error);
        EXPECT_EQ(0, result.drained);
    }
}

TEST_P(WaitList, WhoLosesTheLockGetsNothing) {
    Bench bench(GetParam());
    bench.done(1);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_try_lock(bench.list()));
    EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_wait_list_try_lock(bench.list()));
    EXPECT_EQ(0, bench.poll(nullptr, LANEPIPE_BUSY).drained);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_unlock(bench.list()));
    EXPECT_EQ(1, bench.poll().drained);
}

// Every call on the list from within every callback.
struct Nested {
    static int32_t complete(void *self, void *slot, int32_t, int32_t *done) {
        static_cast<Nested *>(self)->try_all(0);
        static_cast<Nested *>(self)->completed.push_back(slot);
        *done = 1;
        return 0;
    }
    static void release(void *self, void *, int32_t) { static_cast<Nested *>(self)->try_all(1); }
    static int32_t poll(void *self, const void *condition, int32_t *error) {
        static_cast<Nested *>(self)->try_all(2);
        int32_t state = 0;
        EXPECT_STATUS(LANEPIPE_OK,
                      lanepipe_wait_test_condition(LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER,
                                                   const_cast<void *>(condition), nullptr, nullptr, &state, error));
        return state;
    }
    static void retire(void *self, void *) { static_cast<Nested *>(self)->try_all(3); }
    static void invalidate(void *self, uintptr_t, size_t) { static_cast<Nested *>(self)->try_all(4); }
    static void report(void *self, int32_t, uint64_t, uint64_t, uint32_t, int32_t) {
        static_cast<Nested *>(self)->try_all(5);
    }

    void try_all(size_t callback) {
        called[callback] = true;
        uint32_t tasks = 0;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_get_count(bench->list(), &tasks));
        EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_wait_list_try_lock(bench->list()));
        lanepipe_wait_result_t result{};
        result.struct_size = sizeof result;
        result.drained = -1;
        EXPECT_STATUS(LANEPIPE_BUSY, lanepipe_wait_list_poll(bench->list(), bench->side, bench->mailbox(), &bench->ops,
                                                             nullptr, 0, &result));
        EXPECT_EQ(0, result.drained);
        result.drained = -1;
        EXPECT_STATUS(LANEPIPE_E_OVERLAP, lanepipe_wait_list_drain(bench->list(), bench->side, bench->mailbox(),
                                                                   &bench->ops, nullptr, 0, &result));
        EXPECT_EQ(0, result.drained);
        void *entry = reinterpret_cast<char *>(bench->list()) + 8;
        EXPECT_STATUS(LANEPIPE_E_OVERLAP, lanepipe_wait_list_find(bench->list(), bench->side, 1, &entry));
        int32_t error = 0;
        EXPECT_STATUS(LANEPIPE_E_OVERLAP,
                      lanepipe_wait_list_append(bench->list(), bench->side, entry, 64, 0, 1, 0, 0, &error));
        EXPECT_STATUS(LANEPIPE_E_OVERLAP, lanepipe_wait_list_reset(bench->list(), bench->side));
        lanepipe_wait_info_t info{};
        info.struct_size = sizeof info;
        EXPECT_STATUS(LANEPIPE_E_OVERLAP, lanepipe_wait_list_get_info(bench->list(), bench->side, &info));
    }

    Bench *bench = nullptr;
    std::array<bool, 6> called{};
    std::vector<void *> completed;
};

TEST(WaitListNested, CallbacksThatCallTheListAreRefused) {
    Bench bench(true);
    Nested nested;
    nested.bench = &bench;
    bench.ops.context = &nested;
    bench.ops.complete = Nested::complete;
    bench.ops.release = Nested::release;
    bench.ops.poll = Nested::poll;
    bench.ops.retire = Nested::retire;
    bench.ops.invalidate = Nested::invalidate;
    bench.ops.report = Nested::report;
    bench.condition(1, 0);
    bench.condition(1, 1);
    bench.done(1);
    bench.done(2);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_try_lock(bench.list()));
    bench.drain();
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_unlock(bench.list()));
    EXPECT_EQ(1u, nested.completed.size());
    bench.counters[0] = 1;
    bench.poll();
    bench.counters[1] = 1;
    bench.poll();
    EXPECT_EQ(2u, nested.completed.size());
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_push_condition(bench.mailbox(), 3, 64, 0, 1, 0, -3));
    EXPECT_EQ(LANEPIPE_WAIT_ERROR_INVALID, bench.poll().error);
    for (size_t callback = 0; callback < nested.called.size(); ++callback)
        EXPECT_TRUE(nested.called[callback]) << callback;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_reset(bench.list(), bench.side)) << "the area is free again";
}

TEST_P(WaitList, FindAppendAndInfo) {
    Bench bench(GetParam());
    for (uint64_t token = 10; token < 20; ++token)
        bench.condition(token, 0);
    bench.drain();
    void *entry = nullptr;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_find(bench.list(), bench.side, 13, &entry));
    EXPECT_EQ(reinterpret_cast<char *>(bench.list()) + 8 + 3 * 3104, entry);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_wait_list_find(bench.list(), bench.side, 99, &entry));
    int32_t error = -1;
    for (uint64_t number = 1; number < 64; ++number)
        EXPECT_STATUS(LANEPIPE_OK,
                      lanepipe_wait_list_append(bench.list(), bench.side, entry, 64 * number, 0, 1, 0, 0, &error));
    EXPECT_STATUS(LANEPIPE_FULL,
                  lanepipe_wait_list_append(bench.list(), bench.side, entry, 64 * 64, 0, 1, 0, 0, &error));
    EXPECT_EQ(LANEPIPE_WAIT_ERROR_REGISTRATION, error);
    lanepipe_wait_info_t info{};
    info.struct_size = sizeof info;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_get_info(bench.list(), bench.side, &info));
    EXPECT_EQ(10u, info.tasks);
    EXPECT_EQ(73u, info.conditions);
    EXPECT_EQ(10u, info.oldest_token);
}

TEST(WaitListMisuse, NullEverywhere) {
    Bench bench(true);
    lanepipe_wait_result_t result{};
    result.struct_size = sizeof result;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_drain(nullptr, nullptr, nullptr, nullptr, nullptr, 0, &result));
    EXPECT_STATUS(LANEPIPE_E_NULL,
                  lanepipe_wait_list_drain(bench.list(), nullptr, nullptr, nullptr, nullptr, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_drain(bench.list(), nullptr, nullptr, nullptr, nullptr, 0, &result));
    EXPECT_EQ(0, result.drained);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_poll(nullptr, nullptr, nullptr, nullptr, nullptr, 0, &result));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_reset(nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_try_lock(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_unlock(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_find(bench.list(), nullptr, 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_append(bench.list(), nullptr, nullptr, 0, 0, 0, 0, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_get_info(bench.list(), nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_list_get_count(bench.list(), nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_test_condition(0, nullptr, nullptr, nullptr, nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_side_required_size(1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_wait_side_init(nullptr, 0, 0, 0, nullptr));
}

TEST(WaitListMisuse, SizesFlagsAndAddresses) {
    Bench bench(true);
    lanepipe_wait_result_t result{};
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE,
                  lanepipe_wait_list_drain(bench.list(), nullptr, nullptr, nullptr, nullptr, 0, &result));
    result.struct_size = sizeof result;
    auto ops = bench.ops;
    ops.struct_size = 8;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE,
                  lanepipe_wait_list_drain(bench.list(), nullptr, nullptr, &ops, nullptr, 0, &result));
    ops = bench.ops;
    ops.variant = 4;
    EXPECT_STATUS(LANEPIPE_E_INVALID,
                  lanepipe_wait_list_poll(bench.list(), nullptr, nullptr, &ops, nullptr, 0, &result));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_wait_list_try_lock(bench.list())) << "a refused poll leaves no lock";
    ops = bench.ops;
    ops.flags = 2;
    EXPECT_STATUS(LANEPIPE_E_INVALID,
                  lanepipe_wait_list_drain(bench.list(), nullptr, nullptr, &ops, nullptr, 0, &result));
    auto *odd = reinterpret_cast<lanepipe_wait_list_t *>(reinterpret_cast<char *>(bench.list()) + 4);
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_wait_list_try_lock(odd));
    alignas(64) char not_a_side[64] = {};
    EXPECT_STATUS(LANEPIPE_E_CORRUPT,
                  lanepipe_wait_list_drain(bench.list(), reinterpret_cast<lanepipe_wait_side_t *>(not_a_side), nullptr,
                                           nullptr, nullptr, 0, &result));
    size_t size = 0;
    EXPECT_STATUS(LANEPIPE_E_TOO_LARGE, lanepipe_wait_side_required_size(LANEPIPE_WAIT_MAX_OVERFLOW + 1, &size));
    lanepipe_wait_side_t *side = nullptr;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_wait_side_init(not_a_side, sizeof not_a_side, 0, 0, &side));
}

// A task in the way that a scheduler keeps it, and a run that can end.
struct Deferred {
    std::atomic<int> left{0};
    std::atomic<bool> deferred{false};
    uint64_t token = 0;
};

struct Scheduler {
    Scheduler() {
        ops.struct_size = sizeof ops;
        ops.context = this;
        ops.has_payload = [](void *, void *) { return 1; };
        ops.token = [](void *, void *slot) { return static_cast<Deferred *>(slot)->token; };
        ops.mark_deferred = [](void *, void *slot) { static_cast<Deferred *>(slot)->deferred = true; };
        ops.is_deferred = [](void *, void *slot) { return int32_t{static_cast<Deferred *>(slot)->deferred}; };
        ops.subtask_done = [](void *, void *slot) {
            return int32_t{static_cast<Deferred *>(slot)->left.fetch_sub(1) == 1};
        };
        ops.should_abort = [](void *self) { return int32_t{static_cast<Scheduler *>(self)->over}; };
        ops.spin = [](void *) { std::this_thread::yield(); };
    }
    lanepipe_fin_ops_t ops{};
    std::atomic<bool> over{false};
    Bench *helper = nullptr;
};

struct alignas(64) Slab {
    explicit Slab(uint32_t conditions, uint64_t addr = 64) : count(conditions) {
        for (auto &entry : entries)
            entry = {addr, 0, 1, 0, 0, 0};
    }
    uint32_t count;
    int32_t error = 0;
    std::array<lanepipe_slab_entry_t, 64> entries;
    char pad[56];
};
static_assert(sizeof(Slab) == 2112);

lanepipe_fin_result_t fin_result() {
    lanepipe_fin_result_t result{};
    result.struct_size = sizeof result;
    return result;
}

TEST(Fin, MisuseIsAStatus) {
    Bench bench(true);
    Scheduler run;
    Deferred task;
    Slab slab(1);
    auto result = fin_result();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_fin_subtask(bench.mailbox(), nullptr, &task, &slab, &result));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_fin_subtask(bench.mailbox(), &run.ops, nullptr, &slab, &result));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, nullptr, &result));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, &slab, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_fin_subtask(nullptr, &run.ops, &task, &slab, &result));
    EXPECT_EQ(103, result.error) << "a task that defers without a mailbox";
    result.struct_size = 4;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, &slab, &result));
    result = fin_result();
    slab.count = 65;
    EXPECT_STATUS(LANEPIPE_E_CORRUPT, lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, &slab, &result));
    EXPECT_EQ(103, result.error);
    slab.error = 102;
    EXPECT_STATUS(LANEPIPE_E_CORRUPT, lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, &slab, &result));
    EXPECT_EQ(102, result.error);
}

TEST(Fin, ErrorLatchedWhileProducersFaceAFullRing) {
    Bench bench(true);
    for (int number = 0; number < 4096; ++number)
        bench.condition(1, 0);
    Scheduler run;
    std::deque<Deferred> tasks(3);
    std::atomic<int> aborted{0};
    std::vector<std::thread> producers;
    for (auto &task : tasks)
        producers.emplace_back([&bench, &run, &task, &aborted] {
            Slab slab(5);
            task.left = 1;
            auto result = fin_result();
            if (lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, &slab, &result) == LANEPIPE_CLOSED &&
                slab.count == 5)
                aborted.fetch_add(1);
        });
    run.over = true;
    for (auto &producer : producers)
        producer.join();
    EXPECT_EQ(3, aborted);
    for (const auto &task : tasks)
        EXPECT_EQ(1, task.left) << "an aborted subtask is not counted";
}

TEST(Fin, AProducerThatFacesAFullRingDrainsItByItself) {
    const lanepipe_fin_run_fn_t drains = [](void *self) {
        Bench &list = *static_cast<Scheduler *>(self)->helper;
        if (lanepipe_wait_list_try_lock(list.list()) != LANEPIPE_OK)
            return 0;
        const int32_t drained = list.drain().drained;
        lanepipe_wait_list_unlock(list.list());
        return drained;
    };
    const lanepipe_fin_run_fn_t polls = [](void *self) {
        return static_cast<Scheduler *>(self)->helper->poll().drained;
    };
    for (const auto help : {drains, polls}) {
        Bench bench(true);
        bench.ops.complete = nullptr;
        for (int number = 0; number < 4096; ++number)
            bench.condition(static_cast<uint64_t>(number % 64), static_cast<size_t>(number));
        Scheduler run;
        run.helper = &bench;
        run.ops.help = help;
        Deferred task;
        task.left = 1;
        task.token = 5;
        Slab slab(3, reinterpret_cast<uint64_t>(&bench.counters[0]));
        auto result = fin_result();
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, &slab, &result));
        EXPECT_EQ(static_cast<uint32_t>(LANEPIPE_FIN_HANDED_OVER), result.outcome);
        EXPECT_EQ(4u, result.pushed);
        EXPECT_EQ(3u, result.skipped);
        EXPECT_EQ(64u, bench.count());
    }
}

// Subtasks of many tasks end on several threads while another drains and polls: every task is completed once, after all
// of its conditions hold.
TEST(Fin, TasksOfManySubtasksOnManyThreads) {
    for (const bool native : {true, false}) {
        Bench bench(native);
        constexpr uint64_t kTasks = 3000;
        constexpr int kThreads = 3;
        std::deque<Deferred> tasks(kTasks);
        for (uint64_t token = 0; token < kTasks; ++token) {
            tasks[token].token = token;
            tasks[token].left = kThreads;
        }
        Scheduler run;
        std::atomic<size_t> inline_completed{0};
        // Nobody runs far ahead: each unfinished task takes a place until its last subtask ends.
        std::array<std::atomic<uint64_t>, kThreads> reached{};
        const auto is_ahead = [&reached](uint64_t token) {
            return std::any_of(reached.begin(), reached.end(),
                               [token](const auto &other) { return token > other.load() + 100; });
        };
        std::vector<std::thread> producers;
        for (int thread = 0; thread < kThreads; ++thread)
            producers.emplace_back([&, thread] {
                for (auto &task : tasks) {
                    while (is_ahead(task.token))
                        std::this_thread::yield();
                    const auto conditions = static_cast<uint32_t>((task.token + static_cast<uint64_t>(thread)) % 3);
                    Slab slab(task.token % 5 == 0 ? 0 : conditions, reinterpret_cast<uint64_t>(&bench.counters[0]));
                    auto result = fin_result();
                    EXPECT_STATUS(LANEPIPE_OK, lanepipe_fin_subtask(bench.mailbox(), &run.ops, &task, &slab, &result));
                    if (result.outcome == LANEPIPE_FIN_LAST_INLINE)
                        inline_completed.fetch_add(1);
                    reached[static_cast<size_t>(thread)] = task.token;
                }
            });
        size_t completed = 0;
        const auto end = std::chrono::steady_clock::now() + kHang;
        __atomic_store_n(&bench.counters[0], 1u, __ATOMIC_RELEASE);
        while (completed + inline_completed.load() < kTasks && std::chrono::steady_clock::now() < end) {
            const auto result = bench.poll();
            EXPECT_EQ(0, result.error);
            if (result.error != 0)
                break;
            completed += static_cast<size_t>(result.completed);
        }
        run.over = true;
        for (auto &producer : producers)
            producer.join();
        EXPECT_EQ(kTasks / 5, inline_completed.load());
        EXPECT_EQ(kTasks - kTasks / 5, completed);
        auto slots = bench.completed;
        std::sort(slots.begin(), slots.end());
        EXPECT_EQ(slots.end(), std::adjacent_find(slots.begin(), slots.end()));
        for (void *slot : slots)
            EXPECT_EQ(0, static_cast<Deferred *>(slot)->left.load());
    }
}

} // namespace
