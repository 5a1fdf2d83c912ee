// What the contract lists as weaknesses of the C++ runtime's wait list and as acceptable to cure (contract 5.5, 6.2).
// RefW<n> must fail on the reference, RefSkipW<n> would crash there or fails only sometimes.
#include "support.h"

#include <set>

using namespace mailbox_test;

namespace {

uint64_t address(const volatile void *pointer) { return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(pointer)); }

class Cures : public ::testing::Test {
  protected:
    // Makes the next message one of an unknown kind.
    void push_odd() {
        const uint64_t ticket = rig.mailbox.head();
        rig.mailbox->head.store(ticket + 1);
        View odd;
        odd.task_token = PTO2TaskId{1};
        odd.kind = 2;
        publish(*rig.mailbox, ticket, odd);
    }

    // Poll passes until nothing comes any more.
    int32_t settle() {
        int32_t completed = 0;
        for (int again = 0; again < 50; ++again) {
            completed += rig.polled();
        }
        return completed;
    }

    Rig rig;
    uint32_t counters[256] = {};
};

// W13.

TEST_F(Cures, RefW13AMessageThatCannotBeStoredStays) {
    Task behind(3);
    push_odd();
    rig.condition(behind, &counters[0], 1);
    for (int again = 0; again < 5; ++again) {
        int32_t error = 0;
        EXPECT_EQ(rig.drain(error), 0);
        EXPECT_EQ(error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
        EXPECT_EQ(rig.mailbox.tail(), 0u);
        EXPECT_TRUE(rig.mailbox->has_pending());
        EXPECT_EQ(rig.list().count, 0);
    }
    // Put right, it goes on.
    slot(*rig.mailbox, 0).kind = MSG_KIND_CONDITION;
    EXPECT_EQ(rig.drain(), 2);
    EXPECT_EQ(rig.list().count, 2);
}

TEST_F(Cures, RefW13ThePassReportsItEachTime) {
    Task waiting(7);
    rig.condition(waiting, &counters[0], 0);
    rig.normal_done(waiting);
    push_odd();
    EXPECT_EQ(rig.poll().error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    EXPECT_EQ(rig.poll().error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    EXPECT_FALSE(rig.has_completed(waiting));
}

// A task whose message was lost must not complete as if it had not had it.
TEST_F(Cures, RefW13NoTaskCompletesWithoutItsLostCondition) {
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 1; token <= 64; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[0], 1);
    }
    // Whether or not these find a place, their counters have not come.
    for (uint64_t token = 65; token <= 200; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[1], 1);
        rig.normal_done(*tasks.back());
    }
    for (int again = 0; again < 500; ++again) {
        (void)rig.poll();
    }
    EXPECT_TRUE(rig.completed.empty());
}

// W15: the result of an inline completion counts where it cannot fail today, too.
#if STANDIN_TENSORMAP_AND_RINGBUFFER
TEST_F(Cures, RefW15AFailedInlineCompletionIsAnError) {
    Task task(1);
    rig.scheduler().refuse_inline = true;
    rig.normal_done(task);
    AsyncWaitList::DrainCompletionSink sink = rig.sink();
    int32_t error = 0;
    (void)rig.drain(sink, error);
    EXPECT_NE(error, 0);
    EXPECT_EQ(sink.inline_completed, 0);
}
#endif

// W17.

TEST_F(Cures, RefW17ASentinelWithoutASlotIsRefused) {
    ASSERT_TRUE(rig.mailbox->try_push_normal_done(PTO2TaskId{1}, 0));
    int32_t error = 0;
    (void)rig.drain(error);
    EXPECT_EQ(error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    EXPECT_EQ(rig.list().count, 0);
}

TEST_F(Cures, RefW17AlsoForATaskThatWaits) {
    Task task(1);
    rig.condition(task, &counters[0], 1);
    ASSERT_TRUE(rig.mailbox->try_push_normal_done(task.token(), 0));
    int32_t error = 0;
    (void)rig.drain(error);
    EXPECT_EQ(error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_FALSE(rig.list().entries[0].normal_done);
}

TEST_F(Cures, RefSkipW17InlineToo) {
    ASSERT_TRUE(rig.mailbox->try_push_normal_done(PTO2TaskId{1}, 0));
    EXPECT_EQ(rig.poll().error, PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    EXPECT_TRUE(rig.completed.empty());
}

// W18. Either column of 5.5 is fine for callers; the cure is that a completed task stays completed once.

TEST_F(Cures, W18ALateMessageOfARetiredTaskBreaksNothing) {
    Task task(1);
    Task other(2);
    rig.condition(task, &counters[0], 0);
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 1);
    rig.condition(task, &counters[0], 1);
    rig.condition(other, &counters[0], 1);
    rig.normal_done(other);
    (void)rig.poll();
    EXPECT_LE(rig.list().count, 2);
    counters[0] = 1;
    (void)rig.poll();
    EXPECT_EQ(rig.times_completed(other), 1u);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Cures, RefW18ASecondSentinelCompletesNothing) {
    Task task(1);
    rig.condition(task, &counters[0], 0);
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 1);
    rig.normal_done(task);
    (void)rig.poll();
    EXPECT_EQ(rig.times_completed(task), 1u);
    EXPECT_EQ(rig.list().count, 0);
}

// W19: subtasks of one task may ask for more conditions than one array holds.

TEST_F(Cures, RefW19AWideTaskWaitsForAllItsConditions) {
    rig.exact_waiting = false;
    Task task(1);
    constexpr uint32_t kConditions = 200;
    for (uint32_t index = 0; index < kConditions; ++index) {
        rig.condition(task, &counters[index], 1);
    }
    rig.normal_done(task);
    for (int again = 0; again < 20; ++again) {
        ASSERT_EQ(rig.polled(), 0);
    }
    for (uint32_t step = 0; step < kConditions; ++step) {
        ASSERT_FALSE(rig.has_completed(task)) << step;
        counters[(step * 77) % kConditions] = 1; // In an order of its own.
        for (int again = 0; again < 4; ++again) {
            (void)rig.polled();
        }
    }
    (void)settle();
    EXPECT_EQ(rig.times_completed(task), 1u);
    EXPECT_EQ(rig.list().count, 0);
    EXPECT_FALSE(rig.mailbox->has_pending());
}

TEST_F(Cures, RefW19SatisfiedConditionsMakeRoom) {
    rig.exact_waiting = false;
    Task task(1);
    for (uint32_t index = 0; index < 65; ++index) {
        rig.condition(task, &counters[index], index == 64 ? 1 : 0);
        if (index == 63) {
            EXPECT_EQ(rig.polled(), 0);
        }
    }
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 0);
    ASSERT_EQ(rig.list().count, 1);
    counters[64] = 1;
    EXPECT_EQ(settle(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Cures, RefW19EqualConditionsWaitForTheLargest) {
    rig.exact_waiting = false;
    Task task(1);
    for (uint32_t index = 0; index < 63; ++index) {
        rig.condition(task, &counters[index], 1);
    }
    for (const uint32_t threshold : {3u, 9u, 6u}) {
        rig.condition(task, &counters[63], threshold);
    }
    rig.normal_done(task);
    for (uint32_t index = 0; index < 63; ++index) {
        counters[index] = 1;
    }
    counters[63] = 8;
    EXPECT_EQ(settle(), 0);
    EXPECT_FALSE(rig.has_completed(task));
    counters[63] = 9;
    EXPECT_EQ(settle(), 1);
    EXPECT_EQ(rig.times_completed(task), 1u);
}

TEST_F(Cures, RefW19OthersGoOnBesideAWideTask) {
    rig.exact_waiting = false;
    Task wide(1);
    for (uint32_t index = 0; index < 100; ++index) {
        rig.condition(wide, &counters[index], 1);
    }
    rig.normal_done(wide);
    EXPECT_EQ(settle(), 0);
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 2; token < 30; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[200], 1);
        rig.normal_done(*tasks.back());
    }
    EXPECT_EQ(settle(), 0);
    counters[200] = 1;
    EXPECT_EQ(settle(), 28);
    for (const auto &task : tasks) {
        EXPECT_EQ(rig.times_completed(*task), 1u);
    }
    for (uint32_t index = 0; index < 100; ++index) {
        counters[index] = 1;
    }
    EXPECT_EQ(settle(), 1);
    EXPECT_EQ(rig.times_completed(wide), 1u);
}

// W20: more waiting tasks than places.

TEST_F(Cures, RefW20SixtyFiveTasksWhoseConditionsHold) {
    rig.exact_waiting = false;
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 1; token <= 200; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[0], 0);
        rig.normal_done(*tasks.back());
    }
    EXPECT_EQ(settle(), 200);
    for (const auto &task : tasks) {
        EXPECT_EQ(rig.times_completed(*task), 1u);
    }
    EXPECT_EQ(rig.list().count, 0);
}

TEST_F(Cures, RefW20TheSixtyFifthTaskWaitsForAPlace) {
    rig.exact_waiting = false;
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 1; token <= 70; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[token], 1);
        rig.normal_done(*tasks.back());
    }
    EXPECT_EQ(settle(), 0);
    EXPECT_LE(rig.list().count, 64);
    for (uint64_t token = 70; token >= 1; --token) {
        EXPECT_FALSE(rig.has_completed(*tasks[token - 1]));
        counters[token] = 1;
        (void)settle();
    }
    (void)settle();
    for (const auto &task : tasks) {
        EXPECT_EQ(rig.times_completed(*task), 1u) << task->token().raw;
    }
    EXPECT_EQ(rig.list().count, 0);
    EXPECT_FALSE(rig.mailbox->has_pending());
}

// L5 discards what was not drained, and nothing else.
TEST_F(Cures, RefW20AMovedTailForgetsNothingThatWasDrained) {
    rig.exact_waiting = false;
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 1; token <= 67; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[token], 1);
    }
    EXPECT_EQ(settle(), 0);
    rig.mailbox->tail.store(rig.mailbox->head.load());
    Task &held = *tasks[64];
    rig.normal_done(held);
    EXPECT_EQ(settle(), 0);
    EXPECT_FALSE(rig.has_completed(held)) << "its condition does not hold";
    counters[1] = 1;
    rig.normal_done(*tasks[0]);
    (void)settle();
    EXPECT_FALSE(rig.has_completed(held));
    counters[65] = 1;
    (void)settle();
    EXPECT_EQ(rig.times_completed(held), 1u);
}

// The sentinels of those that fill the list lie behind the message that finds no place.
TEST_F(Cures, RefW20TheSentinelsMayLieBehind) {
    rig.exact_waiting = false;
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 1; token <= 65; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[0], 0);
    }
    for (const auto &task : tasks) {
        rig.normal_done(*task);
    }
    EXPECT_EQ(settle(), 65);
    for (const auto &task : tasks) {
        EXPECT_EQ(rig.times_completed(*task), 1u);
    }
    EXPECT_EQ(rig.list().count, 0);
}

TEST_F(Cures, W20WithAnEmptySinkNothingIsCompleted) {
    rig.exact_waiting = false;
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 1; token <= 70; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
        rig.condition(*tasks.back(), &counters[0], 0);
        rig.normal_done(*tasks.back());
    }
    for (int again = 0; again < 20; ++again) {
        int32_t error = 0;
        (void)rig.drain(error);
    }
    EXPECT_TRUE(rig.completed.empty());
    EXPECT_EQ(rig.list().count, 64);
}

// W21: memory that nobody initialised, in the family whose boot does not.
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
TEST_F(Cures, RefW21AGarbageLockIsFree) {
    for (const int32_t garbage : {2, -1, 0x5a5a5a5a, INT32_MIN}) {
        rig.list().busy.store(garbage);
        EXPECT_TRUE(rig.list().try_lock()) << garbage;
        EXPECT_EQ(rig.list().busy.load(), 1);
        EXPECT_FALSE(rig.list().try_lock());
        rig.list().unlock();
    }
}

TEST_F(Cures, RefSkipW21AGarbageCountIsZero) {
    Task task(1);
    for (const int32_t garbage : {65, -1, 0x5a5a5a5a, INT32_MIN, INT32_MAX}) {
        rig.completed.clear();
        counters[0] = 0;
        rig.list().count = garbage;
        rig.condition(task, &counters[0], 1);
        EXPECT_EQ(rig.drain(), 1);
        ASSERT_EQ(rig.list().count, 1) << garbage;
        EXPECT_EQ(rig.find(task), &rig.list().entries[0]);
        rig.normal_done(task);
        counters[0] = 1;
        EXPECT_EQ(settle(), 1);
    }
}

TEST_F(Cures, RefSkipW21ADirtyListWorks) {
    for (const unsigned char byte : {0x00, 0xff, 0x5a, 0xa5}) {
        Rig dirty;
        std::memset(static_cast<void *>(&dirty.list()), byte, sizeof(AsyncWaitList));
        dirty.list().mpsc_skipped_count.store(0);
        dirty.mailbox->init_empty();
        Task task(1);
        counters[0] = 0;
        dirty.condition(task, &counters[0], 1);
        dirty.normal_done(task);
        EXPECT_EQ(dirty.polled(), 0);
        EXPECT_EQ(dirty.list().count, 1);
        counters[0] = 1;
        EXPECT_EQ(dirty.polled(), 1);
        EXPECT_EQ(dirty.times_completed(task), 1u);
    }
}

// An aborted run leaves tasks behind; the next one must not complete their slots.
TEST_F(Cures, RefW21LeftoversOfAnAbortedRunAreForgotten) {
    rig.mailbox->init_empty();
    Task old(1);
    rig.condition(old, &counters[0], 1);
    rig.normal_done(old);
    EXPECT_EQ(rig.polled(), 0);
    EXPECT_EQ(rig.list().count, 1);
    rig.mailbox->init_empty();
    counters[0] = 1;
    Task fresh(2);
    rig.condition(fresh, &counters[1], 1);
    rig.normal_done(fresh);
    (void)rig.poll();
    EXPECT_FALSE(rig.has_completed(old));
    counters[1] = 1;
    (void)settle();
    EXPECT_FALSE(rig.has_completed(old));
    EXPECT_EQ(rig.times_completed(fresh), 1u);
}

// A list made by hand carries no mark, and survives an initialised mailbox.
TEST_F(Cures, W21AHandMadeListSurvives) {
    Task task(1);
    AsyncWaitEntry &entry = rig.list().entries[0];
    entry.task_token = task.token();
    entry.slot_state = &task.slot;
    entry.condition_count = 0;
    entry.waiting_completion_count = 0;
    entry.normal_done = false;
    rig.list().count = 1;
    rig.mailbox->init_empty();
    rig.condition(task, &counters[0], 1);
    EXPECT_EQ(rig.drain(), 1);
    ASSERT_EQ(rig.list().count, 1);
    EXPECT_EQ(entry.condition_count, 1);
    EXPECT_EQ(entry.slot_state, &task.slot);
}

// So does one in the memory of a list of an earlier run.
TEST_F(Cures, W21AHandMadeListSurvivesInMemoryOfAnother) {
    const auto memory = std::make_unique<std::aligned_storage_t<sizeof(AsyncWaitList), alignof(AsyncWaitList)>>();
    for (int run = 0; run < 3; ++run) {
        rig.mailbox->init_empty();
        auto *const list = new (memory.get()) AsyncWaitList;
        list->entries[0].task_token = PTO2TaskId{1};
        list->entries[0].condition_count = 0;
        list->count = 1;
        AsyncWaitList::DrainCompletionSink none;
        int32_t error = -1;
        EXPECT_EQ(list->drain_aicore_completion_mailbox_locked(rig.mailbox.get(), none, error), 0);
        EXPECT_EQ(error, 0);
        EXPECT_EQ(list->count, 1);
        list->~AsyncWaitList();
    }
}
#endif

// W26: what a peer wrote before it raised a counter is visible to who saw the counter. Fails on the reference under a
// race detector alone.
TEST(Acquire, RefSkipW26AReadyCounterPublishesWhatCameBefore) {
    uint32_t counter = 0;
    uint64_t data = 0;
    AsyncWaitList list{};
    int32_t error = 0;
    ASSERT_TRUE(list.append_condition_locked(list.entries[0], address(&counter), 0, 1, ASYNC_ENGINE_SDMA,
                                             COMPLETION_TYPE_COUNTER, error));
    std::thread peer([&] {
        data = 77;
        __atomic_store_n(&counter, 1, __ATOMIC_RELEASE);
    });
    while (list.entries[0].conditions[0].test().state != CompletionPollState::READY) {
        std::this_thread::yield();
    }
    EXPECT_EQ(data, 77u);
    peer.join();
}

} // namespace
