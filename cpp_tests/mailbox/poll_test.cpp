// The poll pass over lists that the drain built, and the backends behind it (contract 3.6, 3.7, 5.2). The pass itself
// stands in the scheduler's header; what is looked at is what the replaced headers contribute to it.
#include "support.h"

#include <set>

using namespace mailbox_test;

namespace {

uint64_t address(const volatile void *pointer) { return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(pointer)); }

CompletionCondition condition_of(int32_t type, uint64_t addr, uint64_t cookie, uint32_t expected) {
    AsyncWaitList list{};
    AsyncWaitEntry &entry = list.entries[0];
    int32_t error = 0;
    EXPECT_TRUE(list.append_condition_locked(entry, addr, cookie, expected, ASYNC_ENGINE_SDMA, type, error));
    return entry.conditions[0];
}

void expect_poll(const CompletionCondition &condition, CompletionPollState state, int32_t error = 0) {
    const CompletionPollResult result = condition.test();
    EXPECT_EQ(result.state, state);
    EXPECT_EQ(result.error_code, error);
}

constexpr CompletionPollState kPending = CompletionPollState::PENDING;
constexpr CompletionPollState kReady = CompletionPollState::READY;
constexpr CompletionPollState kFailed = CompletionPollState::FAILED;

// Backends.

TEST(Backends, ACounterIsReadyFromItsThresholdOn) {
    uint32_t counter = 0;
    const CompletionCondition condition = condition_of(COMPLETION_TYPE_COUNTER, address(&counter), 0, 10);
    for (const uint32_t value : {0u, 9u}) {
        counter = value;
        expect_poll(condition, kPending);
    }
    for (const uint32_t value : {10u, 11u, 0x7fffffffu, 0x80000000u, UINT32_MAX}) {
        counter = value;
        expect_poll(condition, kReady);
    }
}

TEST(Backends, CountersCompareUnsigned) {
    uint32_t counter = 0x7fffffff;
    const CompletionCondition condition = condition_of(COMPLETION_TYPE_COUNTER, address(&counter), 0, 0x80000000);
    expect_poll(condition, kPending);
    counter = 0x80000000;
    expect_poll(condition, kReady);
    // A negative notification is a large number, and a wrapped one a small one.
    counter = static_cast<uint32_t>(-1);
    expect_poll(condition, kReady);
    counter = 0;
    expect_poll(condition, kPending);
}

TEST(Backends, AThresholdOfZeroIsReadyAtOnce) {
    uint32_t counter = 0;
    expect_poll(condition_of(COMPLETION_TYPE_COUNTER, address(&counter), 0, 0), kReady);
}

TEST(Backends, ACounterWithoutAddressFails) {
    expect_poll(condition_of(COMPLETION_TYPE_COUNTER, 0, 5, 0), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    expect_poll(CompletionCondition{}, kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
}

// The pointer decides, not the number beside it.
TEST(Backends, ACounterIsReadThroughItsPointer) {
    uint32_t counter = 3;
    CompletionCondition condition{};
    condition.counter_addr = &counter;
    condition.expected_value = 3;
    expect_poll(condition, kReady);
    condition.addr = address(&counter);
    condition.counter_addr = nullptr;
    expect_poll(condition, kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
}

TEST(Backends, ARecordIsReadyFromItsPostOn) {
    alignas(64) uint64_t record[8] = {};
    const uint64_t post = (uint64_t{1} << 40) + 5;
    const CompletionCondition condition = condition_of(COMPLETION_TYPE_SDMA_EVENT_RECORD, address(record), post, 0);
    for (const uint64_t value : {uint64_t{0}, uint64_t{5}, post - 1}) {
        record[0] = value;
        expect_poll(condition, kPending);
    }
    for (const uint64_t value : {post, post + 1, UINT64_MAX}) {
        record[0] = value;
        expect_poll(condition, kReady);
        EXPECT_EQ(record[0], value); // Shared and monotonic: never cleared.
    }
}

TEST(Backends, ARecordNeedsAddressAndPost) {
    uint64_t record = 5;
    expect_poll(condition_of(COMPLETION_TYPE_SDMA_EVENT_RECORD, 0, 1, 0), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    expect_poll(condition_of(COMPLETION_TYPE_SDMA_EVENT_RECORD, address(&record), 0, 0), kFailed,
                PTO2_ERROR_ASYNC_COMPLETION_INVALID);
}

TEST(Backends, AnUnknownTypeFailsAlways) {
    uint32_t counter = 100;
    for (const int32_t type : {3, 4, -1, 1000, INT32_MAX, INT32_MIN}) {
        expect_poll(condition_of(type, address(&counter), 1, 0), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    }
#ifndef COMPLETION_TYPE_URMA_EVENT_HANDLE
    expect_poll(condition_of(2, address(&counter), 1, 0), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
#endif
}

TEST(Backends, SatisfiedIsReadyWhateverElse) {
    CompletionCondition condition = condition_of(99, 0, 0, 0);
    condition.satisfied = true;
    expect_poll(condition, kReady);
}

TEST(Backends, RetiringMarksAndChangesNothingElse) {
    uint64_t record = 9;
    for (const int32_t type : {0, 1, 2, 77, -5}) {
        CompletionCondition condition = condition_of(type, address(&record), 9, 1);
        EXPECT_FALSE(condition.retired);
        condition.retire();
        EXPECT_TRUE(condition.retired);
        EXPECT_FALSE(condition.satisfied);
        EXPECT_EQ(condition.addr, address(&record));
        EXPECT_EQ(condition.backend_cookie, 9u);
        condition.retire();
        EXPECT_TRUE(condition.retired);
        EXPECT_EQ(record, 9u);
    }
}

TEST(Backends, TestingChangesNothing) {
    uint32_t counter = 5;
    CompletionCondition condition = condition_of(COMPLETION_TYPE_COUNTER, address(&counter), 0, 5);
    expect_poll(condition, kReady);
    EXPECT_FALSE(condition.satisfied);
    EXPECT_FALSE(condition.retired);
    EXPECT_EQ(counter, 5u);
}

// Cache maintenance of a test by itself. Counter lines are the pass's own business.
TEST(Backends, RecordLinesAreInvalidatedOnlyWhereThatIsNeeded) {
    alignas(64) uint64_t record[16] = {};
    const CompletionCondition condition = condition_of(COMPLETION_TYPE_SDMA_EVENT_RECORD, address(&record[3]), 1, 0);
    uintptr_t lines[4];
    standin::cache_log() = {lines, 4, 0};
    expect_poll(condition, kPending);
    const size_t count = standin::cache_log().count;
    standin::cache_log() = {};
#if STANDIN_ARCH_A5
    EXPECT_EQ(count, 0u);
#else
    ASSERT_GE(count, 1u);
    EXPECT_EQ(lines[0], reinterpret_cast<uintptr_t>(record));
#endif
}

#ifdef COMPLETION_TYPE_URMA_EVENT_HANDLE

// A workspace with queues for a few ranks, of which one is used.
class Urma : public ::testing::Test {
  protected:
    static constexpr uint32_t kDepth = 8;
    static constexpr uint32_t kShift = 6;
    static constexpr uint32_t kRank = 2;

    Urma() {
        header.qp_num = 1;
        header.rank_count = 4;
        header.sq_ptr = address(work);
        header.scq_ptr = address(completion);
        completion[kRank].buf_addr = address(entries);
        completion[kRank].cqe_shift_size = kShift;
        completion[kRank].depth = kDepth;
        completion[kRank].tail_addr = address(&tail);
        completion[kRank].db_addr = address(&doorbell);
        work[kRank].tail_addr = address(&work_tail);
        // Every entry is still the hardware's: the owner bit equals the parity of the lap.
        for (uint32_t entry = 0; entry < kDepth; ++entry) {
            entries[entry][0] = 0;
        }
    }

    // The hardware completes entry n of its count.
    void complete(uint32_t n, uint32_t status = 0, uint32_t substatus = 0) {
        const uint32_t parity = (n / kDepth) & 1;
        entries[n % kDepth][0] = ((parity ^ 1) << 2) | (status << 24) | (substatus << 16);
    }

    CompletionCondition handle(uint32_t target, uint32_t rank = kRank) {
        return condition_of(COMPLETION_TYPE_URMA_EVENT_HANDLE,
                            pto2::urma_backend::encode_urma_event_handle(rank, target), address(&header), 0);
    }

    pto2::urma_backend::WorkspaceHeader header{};
    pto2::urma_backend::CompletionQueueContext completion[4] = {};
    pto2::urma_backend::WorkQueueContext work[4] = {};
    uint32_t entries[kDepth][16] = {};
    uint32_t tail = 0;
    uint32_t doorbell = 77;
    uint32_t work_tail = 88;
};

TEST_F(Urma, HandlesThatNameNothingAreReady) {
    expect_poll(condition_of(COMPLETION_TYPE_URMA_EVENT_HANDLE, 0, 0, 0), kReady);
    expect_poll(condition_of(COMPLETION_TYPE_URMA_EVENT_HANDLE, uint64_t{3} << 32, address(&header), 0), kReady);
    expect_poll(condition_of(COMPLETION_TYPE_URMA_EVENT_HANDLE, 5, 0, 0), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
}

TEST_F(Urma, WalksTheQueueAndWritesBack) {
    const CompletionCondition condition = handle(3);
    expect_poll(condition, kPending);
    EXPECT_EQ(tail, 0u);
    EXPECT_EQ(doorbell, 77u);
    complete(0);
    complete(1);
    expect_poll(condition, kPending);
    EXPECT_EQ(tail, 2u);
    EXPECT_EQ(doorbell, 2u);
    EXPECT_EQ(work_tail, 2u);
    complete(2);
    complete(3);
    expect_poll(condition, kReady);
    EXPECT_EQ(tail, 3u); // As far as needed.
    expect_poll(condition, kReady);
    EXPECT_EQ(tail, 3u);
}

TEST_F(Urma, GoesRoundTheQueue) {
    for (uint32_t lap = 0; lap < 5; ++lap) {
        for (uint32_t n = lap * kDepth; n < (lap + 1) * kDepth; ++n) {
            const CompletionCondition condition = handle(n + 1);
            expect_poll(condition, kPending);
            complete(n);
            expect_poll(condition, kReady);
            ASSERT_EQ(tail, n + 1);
        }
    }
}

TEST_F(Urma, AFailedEntryIsPassedAndReported) {
    complete(0);
    complete(1, 4);
    complete(2);
    expect_poll(handle(3), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    EXPECT_EQ(tail, 2u);
    EXPECT_EQ(work_tail, 2u);
    expect_poll(handle(3), kReady);
    complete(3, 0, 9);
    expect_poll(handle(4), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    EXPECT_EQ(tail, 4u);
}

TEST_F(Urma, ContextsThatMakeNoSenseFail) {
    const auto fails = [this] { expect_poll(handle(1), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID); };
    expect_poll(handle(1, 4), kFailed, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    const auto without = [&](auto &field, auto value) {
        const auto before = field;
        field = value;
        fails();
        field = before;
    };
    without(header.qp_num, 0u);
    without(header.sq_ptr, uint64_t{0});
    without(header.scq_ptr, uint64_t{0});
    without(completion[kRank].buf_addr, uint64_t{0});
    without(completion[kRank].tail_addr, uint64_t{0});
    without(completion[kRank].cqe_shift_size, 13u);
    without(completion[kRank].depth, 6u);
    without(completion[kRank].depth, 0u);
    expect_poll(handle(1), kPending);
}

TEST_F(Urma, DoorbellAndWorkQueueMayBeMissing) {
    completion[kRank].db_addr = 0;
    work[kRank].tail_addr = 0;
    complete(0);
    expect_poll(handle(1), kReady);
    EXPECT_EQ(tail, 1u);
    EXPECT_EQ(doorbell, 77u);
    EXPECT_EQ(work_tail, 88u);
}

TEST_F(Urma, CountsPastTheWrap) {
    tail = UINT32_MAX - 1;
    for (uint32_t entry = 0; entry < kDepth; ++entry) {
        entries[entry][0] = 1u << 2; // The hardware's in an odd lap.
    }
    complete(UINT32_MAX - 1);
    complete(UINT32_MAX);
    expect_poll(handle(UINT32_MAX), kReady);
    EXPECT_EQ(tail, UINT32_MAX);
    EXPECT_EQ(doorbell, 0xffffffu);
}

TEST_F(Urma, ThroughTheListOnceEach) {
    Rig rig;
    Task task(1);
    ASSERT_TRUE(rig.mailbox->try_push_condition(task.token(), pto2::urma_backend::encode_urma_event_handle(kRank, 2),
                                                address(&header), 0, COMPLETION_ENGINE_URMA,
                                                COMPLETION_TYPE_URMA_EVENT_HANDLE));
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 0);
    complete(0);
    EXPECT_EQ(rig.polled(), 0);
    EXPECT_EQ(tail, 1u);
    complete(1);
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

#endif

// The pass.

class Poll : public ::testing::Test {
  protected:
    Rig rig;
    uint32_t counters[64] = {};
};

TEST_F(Poll, NothingToDoIsNothingDone) {
    const Polled polled = rig.poll();
    EXPECT_EQ(polled.completed, 0);
    EXPECT_EQ(polled.resolved, 0);
    EXPECT_EQ(polled.error, 0);
    EXPECT_EQ(rig.list().busy.load(), 0);
}

TEST_F(Poll, M24CompletesOnceAndOnlyWhenAllHolds) {
    Task task(1);
    for (uint32_t index = 0; index < 8; ++index) {
        rig.condition(task, &counters[index], 1);
    }
    EXPECT_EQ(rig.polled(), 0);
    for (uint32_t index = 0; index < 4; ++index) {
        counters[index] = 1;
        EXPECT_EQ(rig.polled(), 0);
        EXPECT_EQ(rig.find(task)->waiting_completion_count, static_cast<int32_t>(7 - index));
    }
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 0);
    for (uint32_t index = 4; index < 8; ++index) {
        EXPECT_FALSE(rig.has_completed(task));
        counters[index] = 1;
        EXPECT_EQ(rig.polled(), index == 7 ? 1 : 0);
    }
    EXPECT_EQ(rig.times_completed(task), 1u);
    EXPECT_EQ(rig.list().count, 0);
    for (int again = 0; again < 5; ++again) {
        EXPECT_EQ(rig.polled(), 0);
    }
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Poll, M24ConditionsThatAllHoldWaitForTheSentinel) {
    Task task(1);
    rig.condition(task, &counters[0], 0);
    rig.condition(task, &counters[0], 0);
    EXPECT_EQ(rig.polled(), 0);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.find(task)->waiting_completion_count, 0);
    EXPECT_EQ(rig.polled(), 0);
    EXPECT_FALSE(rig.has_completed(task));
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Poll, M25RetiredWhenReadyAndNotPolledAgain) {
    Task task(1);
    rig.condition(task, &counters[0], 1);
    rig.condition(task, &counters[1], 1);
    rig.normal_done(task);
    counters[0] = 1;
    EXPECT_EQ(rig.polled(), 0);
    AsyncWaitEntry *const entry = rig.find(task);
    ASSERT_NE(entry, nullptr);
    // Whatever happens to the counter, the condition has held.
    counters[0] = 0;
    EXPECT_EQ(rig.polled(), 0);
    EXPECT_EQ(rig.find(task)->waiting_completion_count, 1);
    counters[1] = 1;
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Poll, M25RetiredBeforeTheTaskCompletes) {
    Task task(1);
    rig.condition(task, &counters[0], 0);
    rig.condition(task, &counters[1], 0);
    rig.normal_done(task);
    bool retired = false;
    rig.on_complete = [&](PTO2TaskSlotState &) {
        const AsyncWaitEntry *const entry = rig.find(task);
        retired = entry != nullptr;
        for (int32_t index = 0; entry != nullptr && index < entry->condition_count; ++index) {
            retired = retired && entry->conditions[index].satisfied && entry->conditions[index].retired;
        }
    };
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_TRUE(retired);
}

// M26: until then the address may be anything.
TEST_F(Poll, M26TheSlotIsNotTouchedBeforeCompletion) {
    const uint64_t made_up = 0x7123456789a0;
    ASSERT_TRUE(rig.mailbox->try_push_condition(PTO2TaskId{5}, address(&counters[0]), 1, 0, 0));
    ASSERT_TRUE(rig.mailbox->try_push_normal_done(PTO2TaskId{5}, made_up));
    for (int again = 0; again < 3; ++again) {
        EXPECT_EQ(rig.polled(), 0);
    }
    EXPECT_EQ(address(rig.find(5)->slot_state), made_up);
    Task task(5);
    rig.find(5)->slot_state = &task.slot;
    counters[0] = 1;
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Poll, M29ANullMailboxIsNoReasonNotToPoll) {
    Task task(1);
    rig.condition(task, &counters[0], 1);
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 0);
    counters[0] = 1;
    const Polled polled = rig.poll(nullptr);
    EXPECT_EQ(polled.completed, 1);
    EXPECT_EQ(polled.resolved, 1);
    EXPECT_EQ(polled.error, 0);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Poll, M30EveryEntryOncePerPassWhateverIsRemoved) {
    std::mt19937 random(11);
    for (int round = 0; round < 50; ++round) {
        std::vector<std::unique_ptr<Task>> tasks;
        std::set<uint64_t> due;
        for (uint64_t token = 0; token < 64; ++token) {
            tasks.push_back(std::make_unique<Task>(token + 1));
            const bool ready = random() % 2 == 0;
            for (uint32_t index = 0; index < 1 + random() % 5; ++index) {
                rig.condition(*tasks.back(), &counters[index], ready ? 0 : 1);
            }
            rig.normal_done(*tasks.back());
            if (ready) {
                due.insert(token + 1);
            }
        }
        rig.completed.clear();
        EXPECT_EQ(rig.polled(), static_cast<int32_t>(due.size()));
        std::set<uint64_t> completed;
        for (const auto &task : tasks) {
            if (rig.has_completed(*task)) {
                completed.insert(task->token().raw);
            } else {
                EXPECT_NE(rig.find(*task), nullptr);
            }
        }
        EXPECT_EQ(completed, due);
        EXPECT_EQ(rig.completed.size(), due.size());
        EXPECT_EQ(rig.list().count, static_cast<int32_t>(64 - due.size()));
        for (uint32_t &counter : counters) {
            counter = 1;
        }
        EXPECT_EQ(rig.polled(), static_cast<int32_t>(64 - due.size()));
        EXPECT_EQ(rig.list().count, 0);
        std::memset(counters, 0, sizeof counters);
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        // The array holds slots of tasks that end with the round.
        rig.slot_count = 0;
#endif
    }
}

TEST_F(Poll, DrainAndPassAreOneCall) {
    Task fast(1);
    Task deferred(2);
    rig.normal_done(fast);
    rig.condition(deferred, &counters[0], 0);
    rig.normal_done(deferred);
    const Polled polled = rig.poll();
    EXPECT_EQ(polled.completed, 2);
    EXPECT_EQ(polled.resolved, 2);
    EXPECT_EQ(rig.times_completed(fast), 1u);
    EXPECT_EQ(rig.times_completed(deferred), 1u);
    EXPECT_FALSE(rig.mailbox->has_pending());
#if SIMPLER_SCHED_PROFILING
    EXPECT_EQ(rig.threads, (std::vector<int>{rig.thread_index, rig.thread_index}));
#endif
}

TEST_F(Poll, AFailedConditionEndsThePass) {
    Task task(1);
    rig.condition(task, nullptr, 0);
    Polled polled = rig.poll();
    EXPECT_EQ(polled.error, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    EXPECT_EQ(polled.failed, nullptr); // The slot is not known yet.
    EXPECT_EQ(rig.list().busy.load(), 0);
    ASSERT_EQ(rig.list().count, 1);
    rig.normal_done(task);
    polled = rig.poll();
    EXPECT_EQ(polled.error, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    EXPECT_EQ(polled.failed, &task.slot);
    EXPECT_EQ(rig.list().count, 1);
    EXPECT_FALSE(rig.has_completed(task));
}

TEST_F(Poll, AnUnknownTypeIsStoredAndFailsInThePass) {
    Task task(1);
    rig.condition(task, &counters[0], 0, 1, 17);
    EXPECT_EQ(rig.drain(), 1);
    EXPECT_EQ(rig.poll().error, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    EXPECT_EQ(rig.list().count, 1);
}

TEST_F(Poll, InlineCompletionsCountEvenIfThePassFails) {
    Task bad(1);
    Task fast(2);
    rig.condition(bad, nullptr, 0);
    rig.normal_done(fast);
    const Polled polled = rig.poll();
    EXPECT_EQ(polled.error, PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    EXPECT_EQ(polled.completed, 1);
    EXPECT_EQ(rig.times_completed(fast), 1u);
}

TEST_F(Poll, AnErrorOfTheDrainUnlocks) {
    rig.mailbox->head.store(1);
    View odd = numbered(1);
    odd.kind = 9;
    publish(*rig.mailbox, 0, odd);
    const Polled polled = rig.poll();
    EXPECT_EQ(polled.error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    EXPECT_EQ(polled.completed, 0);
    EXPECT_EQ(rig.list().busy.load(), 0);
}

TEST_F(Poll, AHandMadeEntryWithoutConditionsCompletes) {
    Task task(0x99);
    AsyncWaitEntry &entry = rig.list().entries[0];
    entry.task_token = task.token();
    entry.slot_state = &task.slot;
    entry.condition_count = 0;
    entry.waiting_completion_count = 0;
    entry.normal_done = true;
    rig.list().count = 1;
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
    EXPECT_EQ(rig.list().count, 0);
}

TEST_F(Poll, AHandMadeEntryWaitsForItsCount) {
    Task task(0x99);
    AsyncWaitEntry &entry = rig.list().entries[0];
    entry.task_token = task.token();
    entry.slot_state = &task.slot;
    entry.condition_count = 0;
    entry.waiting_completion_count = 1;
    entry.normal_done = true;
    rig.list().count = 1;
    rig.exact_waiting = false;
    EXPECT_EQ(rig.polled(), 0);
    EXPECT_EQ(rig.list().count, 1);
    entry.waiting_completion_count = 0;
    EXPECT_EQ(rig.polled(), 1);
}

TEST_F(Poll, ASlotIsReusedByManyTasksInTurn) {
    Task task(1);
    for (uint64_t round = 0; round < 300; ++round) {
        task.descriptor.task_id = PTO2TaskId{round + 1};
        rig.completed.clear();
        counters[0] = 0;
        rig.condition(task, &counters[0], 1);
        rig.normal_done(task);
        ASSERT_EQ(rig.polled(), 0);
        counters[0] = 1;
        ASSERT_EQ(rig.polled(), 1);
        ASSERT_EQ(rig.times_completed(task), 1u);
        rig.slot_count = 0;
        task.slot.reset_for_reuse();
    }
}

#if STANDIN_TENSORMAP_AND_RINGBUFFER
TEST_F(Poll, M27ReleasesNeverPassTheCapacity) {
    for (const int32_t capacity : {1, 3, 256}) {
        Rig other;
        other.slot_capacity = capacity;
        other.slots[static_cast<size_t>(capacity)] = reinterpret_cast<PTO2TaskSlotState *>(0x10);
        std::vector<std::unique_ptr<Task>> tasks;
        int32_t total = 0;
        for (uint64_t burst = 0; burst < 10; ++burst) {
            for (uint64_t step = 0; step < 60; ++step) {
                tasks.push_back(std::make_unique<Task>(tasks.size() + 1));
                other.condition(*tasks.back(), &counters[0], 0);
                other.normal_done(*tasks.back());
                tasks.push_back(std::make_unique<Task>(tasks.size() + 1));
                other.normal_done(*tasks.back());
            }
            total += other.polled();
            ASSERT_GE(other.slot_count, 1);
            ASSERT_LE(other.slot_count, capacity);
            ASSERT_EQ(other.released.size() + static_cast<size_t>(other.slot_count), tasks.size());
            ASSERT_EQ(total, static_cast<int32_t>(tasks.size()));
        }
        EXPECT_EQ(other.completed.size(), tasks.size());
        EXPECT_EQ(other.slots[static_cast<size_t>(capacity)], reinterpret_cast<PTO2TaskSlotState *>(0x10));
        // Everything exactly once, between both.
        std::multiset<PTO2TaskSlotState *> seen(other.released.begin(), other.released.end());
        seen.insert(other.slots.begin(), other.slots.begin() + other.slot_count);
        for (const auto &task : tasks) {
            ASSERT_EQ(seen.count(&task->slot), 1u);
        }
    }
}
#else
TEST_F(Poll, AFailedCompletionLeavesTheEntry) {
    Task node(1);
    node.slot.task_kind = PTO2_TASK_GRAPH_NODE;
    rig.condition(node, &counters[0], 0);
    rig.normal_done(node);
    const Polled polled = rig.poll();
    EXPECT_EQ(polled.error, PTO2_ERROR_INVALID_ARGS);
    EXPECT_EQ(polled.failed, &node.slot);
    EXPECT_EQ(polled.completed, 0);
    EXPECT_EQ(polled.resolved, 0);
    EXPECT_EQ(rig.list().count, 1);
    EXPECT_EQ(rig.list().busy.load(), 0);
}

TEST_F(Poll, AFailedInlineCompletionEndsThePass) {
    Task node(1);
    Task waiting(2);
    node.slot.task_kind = PTO2_TASK_GRAPH_NODE;
    rig.condition(waiting, &counters[0], 0);
    rig.normal_done(waiting);
    rig.normal_done(node);
    const Polled polled = rig.poll();
    EXPECT_EQ(polled.error, PTO2_ERROR_INVALID_ARGS);
    EXPECT_EQ(rig.list().busy.load(), 0);
    EXPECT_FALSE(rig.has_completed(waiting));
}

TEST_F(Poll, GraphNodesCountAsResolved) {
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t node = 0; node < 4; ++node) {
        tasks.push_back(std::make_unique<Task>(PTO2TaskId::make(1, static_cast<uint32_t>(node)).raw));
        tasks.back()->slot.task_kind = PTO2_TASK_GRAPH_NODE;
        tasks.back()->slot.graph = &tasks[0]->graph;
        rig.condition(*tasks.back(), &counters[node], 1);
        rig.normal_done(*tasks.back());
    }
    tasks[0]->graph.nodes_left.store(4);
    for (uint64_t node = 0; node < 4; ++node) {
        counters[node] = 1;
        const Polled polled = rig.poll();
        EXPECT_EQ(polled.resolved, 1);
        EXPECT_EQ(polled.completed, node == 3 ? 1 : 0);
    }
}
#endif

} // namespace
