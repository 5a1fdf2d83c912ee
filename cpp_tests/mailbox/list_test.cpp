// Drain, append, find and lock of the wait list (contract 3.1 to 3.5, 5.2).
#include "support.h"

#include <map>
#include <new>

using namespace mailbox_test;

namespace {

uint32_t engine_bits(const CompletionCondition &condition) {
    uint32_t bits;
    std::memcpy(&bits, &condition.engine, sizeof bits);
    return bits;
}

uint64_t address(const volatile void *pointer) { return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(pointer)); }

class List : public ::testing::Test {
  protected:
    Rig rig;
    uint32_t counters[64] = {};
};

// A default list, or one in memory on which no constructor ran (B6).
TEST(ListMemory, ThreeZeroWordsAreAnEmptyList) {
    auto bytes = std::make_unique<unsigned char[]>(sizeof(AsyncWaitList) + 64);
    std::memset(bytes.get(), 0xa5, sizeof(AsyncWaitList) + 64);
    auto *const list = unknown_origin(
        reinterpret_cast<AsyncWaitList *>((reinterpret_cast<uintptr_t>(bytes.get()) + 63) & ~uintptr_t{63}));
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    list->reset_for_reuse();
#else
    list->busy.store(0);
    list->count = 0;
    list->mpsc_skipped_count.store(0);
#endif
    EXPECT_EQ(list->busy.load(), 0);
    EXPECT_EQ(list->count, 0);
    EXPECT_EQ(list->mpsc_skipped_count.load(), 0u);
    EXPECT_EQ(list->find_entry_by_token(PTO2TaskId{0xa5a5a5a5a5a5a5a5}), nullptr);
    Memory mailbox;
    Task task(9);
    uint32_t counter = 0;
    ASSERT_TRUE(mailbox->try_push_condition(task.token(), address(&counter), 7, 8, 2, COMPLETION_TYPE_COUNTER));
    ASSERT_TRUE(mailbox->try_push_normal_done(task.token(), task.addr()));
    AsyncWaitList::DrainCompletionSink sink;
    int32_t error = -1;
    ASSERT_TRUE(list->try_lock());
    EXPECT_EQ(list->drain_aicore_completion_mailbox_locked(mailbox.get(), sink, error), 2);
    list->unlock();
    EXPECT_EQ(error, 0);
    ASSERT_EQ(list->count, 1);
    const AsyncWaitEntry &entry = list->entries[0];
    EXPECT_EQ(entry.slot_state, &task.slot);
    EXPECT_EQ(entry.task_token.raw, 9u);
    EXPECT_EQ(entry.condition_count, 1);
    EXPECT_EQ(entry.waiting_completion_count, 1);
    EXPECT_TRUE(entry.normal_done);
    EXPECT_FALSE(entry.conditions[0].satisfied);
    EXPECT_FALSE(entry.conditions[0].retired);
    EXPECT_EQ(entry.conditions[0].counter_addr, &counter);
    EXPECT_EQ(entry.conditions[0].backend_cookie, 7u);
    EXPECT_EQ(entry.conditions[0].expected_value, 8u);
}

TEST(ListMemory, UsableOnStackAndHeap) {
    const auto heap = std::make_unique<AsyncWaitList>();
    AsyncWaitList stack{};
    for (AsyncWaitList *list : {heap.get(), &stack}) {
        Memory mailbox;
        AsyncWaitList::DrainCompletionSink sink;
        int32_t error = -1;
        ASSERT_TRUE(mailbox->try_push_normal_done(PTO2TaskId{1}, 64));
        ASSERT_TRUE(list->try_lock());
        EXPECT_EQ(list->drain_aicore_completion_mailbox_locked(mailbox.get(), sink, error), 1);
        list->unlock();
        EXPECT_EQ(list->count, 1);
    }
}

TEST_F(List, EmptyRingDrainsNothing) {
    EXPECT_EQ(rig.drain(), 0);
    EXPECT_EQ(rig.list().count, 0);
}

TEST_F(List, M29NullMailboxDrainsNothing) {
    AsyncWaitList::DrainCompletionSink none;
    int32_t error = 77;
    EXPECT_EQ(rig.list().drain_aicore_completion_mailbox_locked(nullptr, none, error), 0);
    EXPECT_EQ(error, 0);
    AsyncWaitList::DrainCompletionSink sink = rig.sink();
    error = 77;
    EXPECT_EQ(rig.list().drain_aicore_completion_mailbox_locked(nullptr, sink, error), 0);
    EXPECT_EQ(error, 0);
}

// W21: without a mailbox too.
TEST_F(List, RefW21ANullMailboxClearsAnImpossibleCount) {
    AsyncWaitList::DrainCompletionSink none;
    for (const int32_t count : {-1, 65, 1000}) {
        rig.list().count = count;
        int32_t error = 77;
        EXPECT_EQ(rig.list().drain_aicore_completion_mailbox_locked(nullptr, none, error), 0);
        EXPECT_EQ(rig.list().count, 0);
    }
}

TEST_F(List, M22AConditionMakesAnEntry) {
    Task task(0x1234);
    rig.condition(task, &counters[0], 5, 0x99);
    EXPECT_EQ(rig.drain(), 1);
    ASSERT_EQ(rig.list().count, 1);
    const AsyncWaitEntry &entry = rig.list().entries[0];
    EXPECT_EQ(entry.task_token, task.token());
    EXPECT_EQ(entry.slot_state, nullptr);
    EXPECT_FALSE(entry.normal_done);
    ASSERT_EQ(entry.condition_count, 1);
    EXPECT_EQ(entry.waiting_completion_count, 1);
    const CompletionCondition &condition = entry.conditions[0];
    EXPECT_EQ(condition.engine, ASYNC_ENGINE_SDMA);
    EXPECT_EQ(condition.completion_type, COMPLETION_TYPE_COUNTER);
    EXPECT_FALSE(condition.satisfied);
    EXPECT_FALSE(condition.retired);
    EXPECT_EQ(condition.counter_addr, &counters[0]);
    EXPECT_EQ(condition.addr, address(&counters[0]));
    EXPECT_EQ(condition.backend_cookie, 0x99u);
    EXPECT_EQ(condition.expected_value, 5u);
}

TEST_F(List, M22ConditionsKeepArrivalOrder) {
    Task tasks[] = {Task(1), Task(2), Task(3)};
    for (uint32_t round = 0; round < 20; ++round) {
        for (Task &task : tasks) {
            rig.condition(task, &counters[round], round + 1, round);
        }
        if (round % 7 == 0) {
            EXPECT_GT(rig.drain(), 0);
        }
    }
    (void)rig.drain();
    ASSERT_EQ(rig.list().count, 3);
    for (const Task &task : tasks) {
        const AsyncWaitEntry *entry = rig.find(task);
        ASSERT_NE(entry, nullptr);
        ASSERT_EQ(entry->condition_count, 20);
        ASSERT_EQ(entry->waiting_completion_count, 20);
        for (uint32_t round = 0; round < 20; ++round) {
            EXPECT_EQ(entry->conditions[round].expected_value, round + 1);
            EXPECT_EQ(entry->conditions[round].counter_addr, &counters[round]);
            EXPECT_EQ(entry->conditions[round].backend_cookie, round);
        }
    }
}

TEST_F(List, M22NewEntriesAppearBehindTheLast) {
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 0; token < 64; ++token) {
        tasks.push_back(std::make_unique<Task>(token * 0x100000001));
        rig.condition(*tasks.back(), &counters[token], 1);
        EXPECT_EQ(rig.drain(), 1);
        ASSERT_EQ(rig.list().count, static_cast<int32_t>(token + 1));
        EXPECT_EQ(rig.list().entries[token].task_token, tasks.back()->token());
    }
    for (uint64_t token = 0; token < 64; ++token) {
        EXPECT_EQ(rig.find(*tasks[token]), &rig.list().entries[token]);
    }
    EXPECT_EQ(rig.find(0xffff), nullptr);
}

TEST_F(List, SentinelBindsTheSlot) {
    Task task(3);
    rig.condition(task, &counters[0], 1);
    rig.normal_done(task);
    EXPECT_EQ(rig.drain(), 2);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.list().entries[0].slot_state, &task.slot);
    EXPECT_TRUE(rig.list().entries[0].normal_done);
    EXPECT_EQ(rig.list().entries[0].waiting_completion_count, 1);
}

TEST_F(List, M32TheFirstSlotStays) {
    Task task(3);
    Task other(3);
    rig.condition(task, &counters[0], 1);
    rig.normal_done(task);
    (void)rig.drain();
    rig.normal_done(other);
    EXPECT_EQ(rig.drain(), 1);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.list().entries[0].slot_state, &task.slot);
    EXPECT_TRUE(rig.list().entries[0].normal_done);
}

TEST_F(List, M32AlsoForASlotSetByHand) {
    Task task(3);
    Task other(3);
    rig.condition(task, &counters[0], 1);
    (void)rig.drain();
    rig.list().entries[0].slot_state = &other.slot;
    rig.normal_done(task);
    (void)rig.drain();
    EXPECT_EQ(rig.list().entries[0].slot_state, &other.slot);
    EXPECT_TRUE(rig.list().entries[0].normal_done);
}

TEST_F(List, M28WithAnEmptySinkALoneSentinelWaits) {
    Task task(4);
    rig.normal_done(task);
    EXPECT_EQ(rig.drain(), 1);
    ASSERT_EQ(rig.list().count, 1);
    const AsyncWaitEntry &entry = rig.list().entries[0];
    EXPECT_EQ(entry.slot_state, &task.slot);
    EXPECT_EQ(entry.task_token, task.token());
    EXPECT_EQ(entry.condition_count, 0);
    EXPECT_EQ(entry.waiting_completion_count, 0);
    EXPECT_TRUE(entry.normal_done);
    EXPECT_TRUE(rig.completed.empty());
    // The next pass completes it.
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
    EXPECT_EQ(rig.list().count, 0);
}

TEST_F(List, ALoneSentinelCompletesInline) {
    Task task(4);
    rig.normal_done(task);
    AsyncWaitList::DrainCompletionSink sink = rig.sink();
    int32_t error = -1;
    EXPECT_EQ(rig.drain(sink, error), 1);
    EXPECT_EQ(error, 0);
    EXPECT_EQ(rig.times_completed(task), 1u);
    EXPECT_EQ(sink.inline_completed, 1);
    EXPECT_EQ(rig.list().count, 0);
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    ASSERT_EQ(rig.slot_count, 1);
    EXPECT_EQ(rig.slots[0], &task.slot);
#else
    EXPECT_EQ(sink.inline_resolved, 1);
    EXPECT_EQ(sink.error_code, 0);
#endif
#if SIMPLER_SCHED_PROFILING
    EXPECT_EQ(rig.threads, std::vector<int>{rig.thread_index});
#endif
    // The sink's counters go on when it is used again.
    Task next(5);
    rig.normal_done(next);
    EXPECT_EQ(rig.drain(sink, error), 1);
    EXPECT_EQ(sink.inline_completed, 2);
}

TEST_F(List, InlineCompletionLeavesWaitingTasksAlone) {
    Task waiting(1);
    Task done(2);
    rig.condition(waiting, &counters[0], 1);
    rig.normal_done(done);
    rig.normal_done(waiting);
    AsyncWaitList::DrainCompletionSink sink = rig.sink();
    int32_t error = -1;
    EXPECT_EQ(rig.drain(sink, error), 3);
    EXPECT_EQ(rig.times_completed(done), 1u);
    EXPECT_EQ(rig.times_completed(waiting), 0u);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_TRUE(rig.find(waiting)->normal_done);
}

#if STANDIN_TENSORMAP_AND_RINGBUFFER
TEST_F(List, M27InlineCompletionsFlushAFullArray) {
    for (const int32_t capacity : {1, 2, 256}) {
        Rig other;
        other.slot_capacity = capacity;
        std::vector<std::unique_ptr<Task>> tasks;
        constexpr size_t kBurst = 1000;
        for (uint64_t token = 0; token < kBurst; ++token) {
            tasks.push_back(std::make_unique<Task>(token));
            other.normal_done(*tasks.back());
        }
        AsyncWaitList::DrainCompletionSink sink = other.sink();
        int32_t error = -1;
        other.slots[static_cast<size_t>(capacity)] = reinterpret_cast<PTO2TaskSlotState *>(0x10);
        EXPECT_EQ(other.drain(sink, error), static_cast<int32_t>(kBurst));
        EXPECT_EQ(error, 0);
        EXPECT_EQ(sink.inline_completed, static_cast<int32_t>(kBurst));
        EXPECT_EQ(other.completed.size(), kBurst);
        EXPECT_GE(other.slot_count, 1);
        EXPECT_LE(other.slot_count, capacity);
        EXPECT_EQ(other.released.size() + static_cast<size_t>(other.slot_count), kBurst);
        EXPECT_EQ(other.slots[static_cast<size_t>(capacity)], reinterpret_cast<PTO2TaskSlotState *>(0x10));
        // Last in, first out.
        if (capacity == 2) {
            EXPECT_EQ(other.released[0], &tasks[1]->slot);
            EXPECT_EQ(other.released[1], &tasks[0]->slot);
        }
    }
}
#else
TEST_F(List, AFailedInlineCompletionStopsTheDrain) {
    Task first(1);
    Task node(2);
    Task behind(3);
    node.slot.task_kind = PTO2_TASK_GRAPH_NODE; // Of no graph.
    rig.normal_done(first);
    rig.normal_done(node);
    rig.normal_done(behind);
    AsyncWaitList::DrainCompletionSink sink = rig.sink();
    int32_t error = -1;
    const int32_t drained = rig.drain(sink, error);
    EXPECT_EQ(error, PTO2_ERROR_INVALID_ARGS);
    EXPECT_EQ(sink.error_code, PTO2_ERROR_INVALID_ARGS);
    EXPECT_GE(drained, 1);
    EXPECT_LE(drained, 2);
    EXPECT_EQ(rig.times_completed(first), 1u);
    EXPECT_EQ(rig.times_completed(behind), 0u);
    EXPECT_EQ(sink.inline_completed, 1);
    EXPECT_EQ(sink.inline_resolved, 1);
}

TEST_F(List, GraphNodesAreResolvedNotCompleted) {
    PTO2GraphRun *graph = nullptr;
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t node = 0; node < 5; ++node) {
        tasks.push_back(std::make_unique<Task>(PTO2TaskId::make(1, static_cast<uint32_t>(node)).raw));
        if (graph == nullptr) {
            graph = &tasks[0]->graph;
            graph->nodes_left.store(5);
        }
        tasks.back()->slot.task_kind = PTO2_TASK_GRAPH_NODE;
        tasks.back()->slot.graph = graph;
        rig.normal_done(*tasks.back());
    }
    AsyncWaitList::DrainCompletionSink sink = rig.sink();
    int32_t error = -1;
    EXPECT_EQ(rig.drain(sink, error), 5);
    EXPECT_EQ(sink.inline_resolved, 5);
    EXPECT_EQ(sink.inline_completed, 1);
}
#endif

// 3.5: the engine is cast unchecked, any type is stored, the pointer is set for counters alone.
TEST_F(List, AnyEngineAndTypeIsStored) {
    const uint32_t engines[] = {0, 3, 4, 7, 8, 0x80000000, UINT32_MAX};
    const int32_t types[] = {0, 1, 2, 3, -1, INT32_MAX, INT32_MIN};
    for (size_t index = 0; index < 7; ++index) {
        ASSERT_TRUE(rig.mailbox->try_push_condition(PTO2TaskId{5}, address(&counters[index]), index + 1, 3,
                                                    engines[index], types[index]));
    }
    EXPECT_EQ(rig.drain(), 7);
    ASSERT_EQ(rig.list().count, 1);
    const AsyncWaitEntry &entry = rig.list().entries[0];
    ASSERT_EQ(entry.condition_count, 7);
    EXPECT_EQ(entry.waiting_completion_count, 7);
    for (size_t index = 0; index < 7; ++index) {
        const CompletionCondition &condition = entry.conditions[index];
        EXPECT_EQ(engine_bits(condition), engines[index]);
        EXPECT_EQ(condition.completion_type, types[index]);
        EXPECT_EQ(condition.addr, address(&counters[index]));
        EXPECT_EQ(condition.counter_addr, types[index] == COMPLETION_TYPE_COUNTER ? &counters[index] : nullptr);
        EXPECT_EQ(condition.backend_cookie, index + 1);
    }
}

TEST_F(List, AnyTokenIsAToken) {
    for (const uint64_t token : {UINT64_MAX, uint64_t{0}, uint64_t{1} << 63}) {
        ASSERT_TRUE(rig.mailbox->try_push_condition(PTO2TaskId{token}, 1, 0, 0, 1));
    }
    EXPECT_EQ(rig.drain(), 3);
    EXPECT_EQ(rig.list().count, 3);
    EXPECT_NE(rig.find(UINT64_MAX), nullptr);
    EXPECT_NE(rig.find(0), nullptr);
    EXPECT_NE(rig.find(uint64_t{1} << 63), nullptr);
    EXPECT_EQ(rig.find(1), nullptr);
}

TEST_F(List, FindLooksAtLiveEntriesOnly) {
    rig.list().entries[0].task_token = PTO2TaskId{7};
    rig.list().entries[1].task_token = PTO2TaskId{8};
    EXPECT_EQ(rig.find(7), nullptr);
    rig.list().count = 1;
    EXPECT_EQ(rig.find(7), &rig.list().entries[0]);
    EXPECT_EQ(rig.find(8), nullptr);
    rig.list().entries[1].task_token = PTO2TaskId{7};
    rig.list().count = 2;
    EXPECT_EQ(rig.find(7), &rig.list().entries[0]);
}

// 3.5, called by itself.
TEST_F(List, AppendFillsAllFields) {
    rig.list().count = 1;
    AsyncWaitEntry &entry = rig.list().entries[0];
    std::memset(static_cast<void *>(&entry), 0xa5, sizeof entry);
    entry.slot_state = nullptr;
    entry.task_token = PTO2TaskId{1};
    entry.condition_count = 0;
    entry.waiting_completion_count = 0;
    entry.normal_done = false;
    int32_t error = 0;
    ASSERT_TRUE(rig.list().append_condition_locked(entry, address(&counters[3]), 11, 12, ASYNC_ENGINE_CCU,
                                                   COMPLETION_TYPE_COUNTER, error));
    ASSERT_TRUE(rig.list().append_condition_locked(entry, 21, 22, 23, ASYNC_ENGINE_URMA, 9, error));
    EXPECT_EQ(error, 0);
    EXPECT_EQ(entry.condition_count, 2);
    EXPECT_EQ(entry.waiting_completion_count, 2);
    EXPECT_EQ(entry.conditions[0].engine, ASYNC_ENGINE_CCU);
    EXPECT_EQ(entry.conditions[0].counter_addr, &counters[3]);
    EXPECT_EQ(entry.conditions[0].backend_cookie, 11u);
    EXPECT_EQ(entry.conditions[0].expected_value, 12u);
    EXPECT_FALSE(entry.conditions[0].satisfied);
    EXPECT_FALSE(entry.conditions[0].retired);
    EXPECT_EQ(entry.conditions[1].engine, ASYNC_ENGINE_URMA);
    EXPECT_EQ(entry.conditions[1].completion_type, 9);
    EXPECT_EQ(entry.conditions[1].counter_addr, nullptr);
    EXPECT_EQ(entry.conditions[1].addr, 21u);
}

// 3.5: with 64 pending conditions that cannot be merged or dropped, the 65th is refused or accepted (W19); either way
// the array is not overrun.
TEST_F(List, M21SixtyFourConditionsFit) {
    Task task(1);
    for (uint32_t index = 0; index < 64; ++index) {
        rig.condition(task, &counters[index], index + 1);
    }
    EXPECT_EQ(rig.drain(), 64);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.list().entries[0].condition_count, 64);
    EXPECT_EQ(rig.list().entries[0].waiting_completion_count, 64);
}

TEST_F(List, M21TheSixtyFifthConditionOverrunsNothing) {
    Task task(1);
    Task next(2);
    static uint32_t more[80];
    std::memset(more, 0, sizeof more);
    rig.exact_waiting = false;
    for (uint32_t &counter : more) {
        rig.condition(task, &counter, 1);
    }
    rig.condition(next, &counters[0], 1);
    int32_t error = 0;
    for (int again = 0; again < 100; ++again) {
        int32_t now = -1;
        (void)rig.drain(now);
        error = now != 0 ? now : error;
    }
    EXPECT_TRUE(error == 0 || error == PTO2_ERROR_ASYNC_REGISTRATION_FAILED) << error;
    ASSERT_GE(rig.list().count, 1);
    EXPECT_LE(rig.list().entries[0].condition_count, 64);
    EXPECT_EQ(rig.list().entries[0].conditions[0].counter_addr, &more[0]);
}

TEST_F(List, M20M23TheSixtyFifthTaskOverrunsNothing) {
    std::vector<std::unique_ptr<Task>> tasks;
    rig.exact_waiting = false;
    for (uint64_t token = 1; token <= 80; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[0], 1);
    }
    int32_t error = 0;
    for (int again = 0; again < 100; ++again) {
        int32_t now = -1;
        (void)rig.drain(now);
        error = now != 0 ? now : error;
    }
    EXPECT_TRUE(error == 0 || error == PTO2_ERROR_ASYNC_WAIT_OVERFLOW) << error;
    EXPECT_EQ(rig.list().count, 64);
    EXPECT_TRUE(rig.completed.empty());
}

TEST_F(List, M23AnUnknownKindIsAnError) {
    Task task(1);
    rig.condition(task, &counters[0], 1);
    const uint64_t ticket = rig.mailbox.head();
    rig.mailbox->head.store(ticket + 1);
    View odd = numbered(4);
    odd.kind = 2;
    publish(*rig.mailbox, ticket, odd);
    int32_t error = -1;
    const int32_t drained = rig.drain(error);
    EXPECT_EQ(error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    EXPECT_TRUE(drained == 1 || drained == 2);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.find(task)->condition_count, 1);
}

TEST_F(List, DrainStopsAtAGapAndGoesOnBehindIt) {
    Task first(1);
    Task second(2);
    rig.condition(first, &counters[0], 1);
    const uint64_t gap = rig.mailbox.head();
    rig.mailbox->head.store(gap + 1);
    rig.condition(second, &counters[1], 1);
    EXPECT_EQ(rig.drain(), 1);
    EXPECT_EQ(rig.drain(), 0);
    EXPECT_EQ(rig.list().count, 1);
    View late;
    late.task_token = first.token();
    late.addr = address(&counters[2]);
    late.expected_value = 9;
    publish(*rig.mailbox, gap, late);
    EXPECT_EQ(rig.drain(), 2);
    EXPECT_EQ(rig.list().count, 2);
    ASSERT_EQ(rig.find(first)->condition_count, 2);
    EXPECT_EQ(rig.find(first)->conditions[1].expected_value, 9u);
}

TEST_F(List, AFullRingOfMessagesOverAllEntries) {
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 0; token < 64; ++token) {
        tasks.push_back(std::make_unique<Task>(token + 1));
    }
    for (uint32_t round = 0; round < 63; ++round) {
        for (const auto &task : tasks) {
            rig.condition(*task, &counters[round], round + 1);
        }
    }
    for (const auto &task : tasks) {
        rig.normal_done(*task);
    }
    EXPECT_EQ(rig.drain(), static_cast<int32_t>(kCapacity));
    EXPECT_EQ(rig.list().count, 64);
    for (const auto &task : tasks) {
        const AsyncWaitEntry *const entry = rig.find(*task);
        ASSERT_NE(entry, nullptr);
        EXPECT_EQ(entry->condition_count, 63);
        EXPECT_TRUE(entry->normal_done);
        EXPECT_EQ(entry->slot_state, &task->slot);
        for (uint32_t round = 0; round < 63; ++round) {
            ASSERT_EQ(entry->conditions[round].expected_value, round + 1);
        }
    }
}

// M31.
TEST_F(List, M31TheLockIsTakenOnce) {
    EXPECT_TRUE(rig.list().try_lock());
    EXPECT_EQ(rig.list().busy.load(), 1);
    EXPECT_FALSE(rig.list().try_lock());
    EXPECT_EQ(rig.list().busy.load(), 1);
    rig.list().unlock();
    EXPECT_EQ(rig.list().busy.load(), 0);
    EXPECT_TRUE(rig.list().try_lock());
    rig.list().unlock();
    rig.list().busy.store(1);
    EXPECT_FALSE(rig.list().try_lock());
    rig.list().busy.store(0);
    EXPECT_TRUE(rig.list().try_lock());
}

TEST_F(List, M31LosingTheLockHasNoEffect) {
    Task task(1);
    rig.condition(task, &counters[0], 0);
    ASSERT_TRUE(rig.list().try_lock());
    const Polled polled = rig.poll();
    EXPECT_EQ(polled.completed, 0);
    EXPECT_EQ(polled.resolved, 0);
    EXPECT_EQ(polled.error, 0);
    EXPECT_EQ(polled.failed, nullptr);
    EXPECT_EQ(rig.mailbox.tail(), 0u);
    EXPECT_EQ(rig.list().count, 0);
    EXPECT_EQ(rig.list().busy.load(), 1);
    rig.list().unlock();
}

#if STANDIN_TENSORMAP_AND_RINGBUFFER
TEST_F(List, ResetForgetsEverything) {
    Task task(1);
    rig.condition(task, &counters[0], 1);
    rig.normal_done(task);
    (void)rig.drain();
    rig.list().busy.store(1);
    rig.list().mpsc_skipped_count.store(55);
    rig.list().reset_for_reuse();
    EXPECT_EQ(rig.list().busy.load(), 0);
    EXPECT_EQ(rig.list().count, 0);
    EXPECT_EQ(rig.list().mpsc_skipped_count.load(), 0u);
    EXPECT_EQ(rig.find(task), nullptr);
    counters[0] = 1;
    EXPECT_EQ(rig.polled(), 0);
    EXPECT_TRUE(rig.completed.empty());
    // The token starts anew.
    rig.condition(task, &counters[1], 3);
    (void)rig.drain();
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.find(task)->condition_count, 1);
    EXPECT_EQ(rig.find(task)->slot_state, nullptr);
}
#endif

TEST_F(List, TheStatisticIsTheCallers) {
    rig.skipped = 41;
    rig.list().mpsc_skipped_count.store(41);
    Task task(1);
    for (int round = 0; round < 3; ++round) {
        rig.condition(task, &counters[0], 1);
        (void)rig.drain();
        (void)rig.poll();
    }
    EXPECT_EQ(rig.list().mpsc_skipped_count.load(), 41u);
}

// 3.1: lists that users build by hand.

TEST_F(List, AnEntryMadeByHandIsFound) {
    Task task(0x77);
    AsyncWaitEntry &entry = rig.list().entries[0];
    entry.task_token = task.token();
    entry.slot_state = &task.slot;
    entry.condition_count = 0;
    entry.waiting_completion_count = 0;
    entry.normal_done = false;
    rig.list().count = 1;
    rig.condition(task, &counters[0], 2);
    EXPECT_EQ(rig.drain(), 1);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(entry.condition_count, 1);
    EXPECT_EQ(entry.slot_state, &task.slot);
    EXPECT_FALSE(entry.normal_done);
    rig.normal_done(task);
    EXPECT_EQ(rig.drain(), 1);
    EXPECT_TRUE(entry.normal_done);
    EXPECT_EQ(rig.polled(), 0);
    counters[0] = 2;
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(List, TokensChangedByHandAreHonoured) {
    Task first(1);
    Task second(2);
    Task third(3);
    rig.condition(first, &counters[0], 1);
    rig.condition(second, &counters[1], 1);
    (void)rig.drain();
    ASSERT_EQ(rig.list().count, 2);
    rig.find(first)->task_token = third.token();
    EXPECT_EQ(rig.find(first), nullptr);
    ASSERT_NE(rig.find(third), nullptr);
    rig.condition(third, &counters[2], 5);
    rig.condition(first, &counters[3], 6);
    (void)rig.drain();
    EXPECT_EQ(rig.list().count, 3);
    EXPECT_EQ(rig.find(third)->condition_count, 2);
    EXPECT_EQ(rig.find(first)->condition_count, 1);
}

TEST_F(List, EntriesRemovedByHandAreGone) {
    Task tasks[] = {Task(1), Task(2), Task(3), Task(4)};
    for (Task &task : tasks) {
        rig.condition(task, &counters[0], 1);
        rig.condition(task, &counters[1], 1);
    }
    (void)rig.drain();
    ASSERT_EQ(rig.list().count, 4);
    // As the poll pass does: by a copy of the last entry (B5).
    AsyncWaitEntry *const hole = rig.find(tasks[1]);
    *hole = rig.list().entries[3];
    rig.list().count = 3;
    EXPECT_EQ(rig.find(tasks[1]), nullptr);
    ASSERT_EQ(rig.find(tasks[3]), hole);
    EXPECT_EQ(hole->condition_count, 2);
    EXPECT_EQ(hole->conditions[1].counter_addr, &counters[1]);
    rig.condition(tasks[3], &counters[2], 7);
    rig.condition(tasks[1], &counters[3], 8);
    EXPECT_EQ(rig.drain(), 2);
    EXPECT_EQ(rig.list().count, 4);
    EXPECT_EQ(rig.find(tasks[3])->condition_count, 3);
    EXPECT_EQ(rig.find(tasks[1])->condition_count, 1);
    rig.list().count = 0;
    rig.condition(tasks[0], &counters[0], 1);
    EXPECT_EQ(rig.drain(), 1);
    EXPECT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.find(tasks[0])->condition_count, 1);
}

TEST_F(List, CopyingAnEntryCopiesWhatLives) {
    Task task(6);
    for (uint32_t index = 0; index < 64; ++index) {
        rig.condition(task, &counters[index], index, index + 7, index % 2 == 0 ? 0 : 1);
    }
    rig.normal_done(task);
    (void)rig.drain();
    AsyncWaitEntry &source = rig.list().entries[0];
    source.conditions[5].satisfied = true;
    source.conditions[5].retired = true;
    source.waiting_completion_count = 63;
    for (const int32_t live : {64, 1, 0}) {
        source.condition_count = live;
        const auto assigned = std::make_unique<AsyncWaitEntry>();
        *assigned = source;
        const auto constructed = std::make_unique<AsyncWaitEntry>(source);
        for (const AsyncWaitEntry *copy : {assigned.get(), constructed.get()}) {
            EXPECT_EQ(copy->slot_state, &task.slot);
            EXPECT_EQ(copy->task_token, task.token());
            EXPECT_EQ(copy->condition_count, live);
            EXPECT_EQ(copy->waiting_completion_count, 63);
            EXPECT_TRUE(copy->normal_done);
            for (int32_t index = 0; index < live; ++index) {
                EXPECT_EQ(copy->conditions[index].addr, source.conditions[index].addr);
                EXPECT_EQ(copy->conditions[index].completion_type, source.conditions[index].completion_type);
                EXPECT_EQ(copy->conditions[index].satisfied, source.conditions[index].satisfied);
                EXPECT_EQ(copy->conditions[index].retired, source.conditions[index].retired);
                EXPECT_EQ(copy->conditions[index].counter_addr, source.conditions[index].counter_addr);
                EXPECT_EQ(copy->conditions[index].backend_cookie, source.conditions[index].backend_cookie);
                EXPECT_EQ(copy->conditions[index].expected_value, source.conditions[index].expected_value);
            }
        }
    }
    source = *unknown_origin(&source); // Onto itself.
    EXPECT_EQ(source.task_token, task.token());
    EXPECT_EQ(source.condition_count, 0);
}

TEST_F(List, ConditionsChangedByHandAreHonoured) {
    Task task(6);
    rig.condition(task, &counters[0], 1);
    rig.condition(task, &counters[1], 1);
    rig.normal_done(task);
    (void)rig.drain();
    AsyncWaitEntry &entry = rig.list().entries[0];
    entry.conditions[0].expected_value = 5;
    entry.conditions[1].addr = address(&counters[9]);
    entry.conditions[1].counter_addr = &counters[9];
    counters[0] = 4;
    counters[1] = 1;
    EXPECT_EQ(rig.polled(), 0);
    counters[9] = 1;
    EXPECT_EQ(rig.polled(), 0);
    counters[0] = 5;
    EXPECT_EQ(rig.polled(), 1);
}

} // namespace
