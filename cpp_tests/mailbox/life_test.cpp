// The life of deferred tasks on the stand-in runtime: kernel, slab, FIN path, gate, poll and release, alone and with
// several threads (contract 1.3, 1.4, 3.8 to 3.10, 4.1 to 4.4, M5, M24, M33).
#include "pto_async_kernel_api.h"
#include "support.h"

using namespace mailbox_test;

namespace {

uint64_t address(const volatile void *pointer) { return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(pointer)); }

// One scheduler thread's own things.
struct Thread {
    int index = 0;
    int32_t completed_this_turn = 0;
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    DeferredReleases releases;
#else
    FinishedQueue finished;
#endif
};

// A runtime that was started.
class Runtime {
  public:
    Runtime()
        : runtime_(std::make_unique<PTO2Runtime>()), shared_(std::make_unique<PTO2SharedMemoryHeader>())
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
          ,
          scheduler_(std::make_unique<PTO2SchedulerState>())
#endif
    {
        boot();
    }

    void boot() {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        boot_runtime(*runtime_, mailbox.get(), shared_.get());
#else
        boot_runtime(*runtime_, mailbox.get(), shared_.get(), scheduler_.get());
#endif
        SchedulerObserver &observer = scheduler_of(*runtime_).observer;
        observer.context = this;
        observer.completed = [](void *context, PTO2TaskSlotState &slot, int) {
            auto &runtime = *static_cast<Runtime *>(context);
            if (runtime.on_complete) {
                runtime.on_complete(slot);
            }
        };
    }

    void fin(Task &task, DeferredCompletionSlab &slab, Thread &thread) {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        complete_slot_task(runtime_.get(), task.slot, &slab, thread.index, thread.completed_this_turn,
                           thread.releases.slots, thread.releases.count);
#else
        complete_slot_task(runtime_.get(), task.slot, &slab, thread.index, thread.finished);
#endif
    }

    // One poll as a thread of the loop does it, with what it does about the result (4.3). False after an error.
    bool poll(Thread &thread) {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        const AsyncPollResult result =
            list().poll_and_complete<false>(runtime_->aicore_mailbox, &scheduler_of(*runtime_), thread.releases.slots,
                                            thread.releases.count, DeferredReleases::kCapacity
#if SIMPLER_SCHED_PROFILING
                                            ,
                                            thread.index
#endif
            );
#else
        const AsyncPollResult result =
            list().poll_and_complete<false>(runtime_->aicore_mailbox, &scheduler_of(*runtime_)
#if SIMPLER_SCHED_PROFILING
                                                                          ,
                                            thread.index
#endif
            );
#endif
        if (result.error_code != PTO2_ERROR_NONE) {
            latch_sched_error(*runtime_, result.error_code, thread.index);
            return false;
        }
        runtime_->completed_tasks.fetch_add(result.completed, std::memory_order_relaxed);
        return true;
    }

#if STANDIN_TENSORMAP_AND_RINGBUFFER
    // What a thread does while idle, and at its end.
    void release(Thread &thread) {
#if SIMPLER_SCHED_PROFILING
        release_deferred(scheduler_of(*runtime_), thread.releases.slots, thread.releases.count, thread.index);
#else
        release_deferred(scheduler_of(*runtime_), thread.releases.slots, thread.releases.count);
#endif
    }
#else
    // What P does with one thread's finished tasks.
    void resolve(Thread &thread) {
        while (PTO2TaskSlotState *const slot = thread.finished.pop()) {
#if SIMPLER_SCHED_PROFILING
            const TaskCompletionOutcome outcome = scheduler_->complete_task(*slot, thread.index);
#else
            const TaskCompletionOutcome outcome = scheduler_->complete_task(*slot);
#endif
            runtime_->completed_tasks.fetch_add(outcome.stream_tasks_completed, std::memory_order_relaxed);
        }
    }
#endif

    PTO2Runtime &get() { return *runtime_; }
    AsyncWaitList &list() { return scheduler_of(*runtime_).async_wait_list; }
    int32_t result() const { return run_result(*shared_); }
    const PTO2SharedMemoryHeader &shared() const { return *shared_; }

    Memory mailbox;
    std::function<void(PTO2TaskSlotState &)> on_complete;

  private:
    std::unique_ptr<PTO2Runtime> runtime_;
    std::unique_ptr<PTO2SharedMemoryHeader> shared_;
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
    std::unique_ptr<PTO2SchedulerState> scheduler_;
#endif
};

// What a kernel sees: its slab, through its arguments.
class Kernel {
  public:
    Kernel(DeferredCompletionSlab &slab, PTO2TaskId token) {
        local_.async_ctx.completion_count = &slab.count;
        local_.async_ctx.completion_error_code = &slab.error_code;
        local_.async_ctx.completion_entries = slab.entries;
        local_.async_ctx.completion_capacity = MAX_COMPLETIONS_PER_TASK;
        local_.async_ctx.task_token = token;
        arguments_[kLocalContextArg] = static_cast<int64_t>(reinterpret_cast<intptr_t>(&local_));
    }

    AsyncCtx context() { return get_async_ctx(arguments_); }

  private:
    LocalContext local_{};
    int64_t arguments_[kLocalContextArg + 1] = {};
};

class Life : public ::testing::Test {
  protected:
    Runtime runtime;
    Thread thread;
    DeferredCompletionSlab slab{};
    uint32_t counters[64] = {};
};

// Kernel side.

TEST_F(Life, AKernelFillsItsSlab) {
    Kernel kernel(slab, PTO2TaskId{5});
    AsyncCtx context = kernel.context();
    EXPECT_TRUE(async_ctx_is_deferred(context));
    save_expected_notification_counter(context, &counters[0], 3);
    const uint64_t posts[] = {7, 8};
    alignas(64) uint64_t records[16] = {};
    EXPECT_TRUE(send_request_entry(context, {true, COMPLETION_ENGINE_SDMA, 1, 2, address(records), 64, posts}));
    EXPECT_EQ(slab.count, 3u);
    EXPECT_EQ(slab.error_code, 0);
    EXPECT_EQ(slab.entries[0].addr, address(&counters[0]));
    EXPECT_EQ(slab.entries[0].expected_value, 3u);
    EXPECT_EQ(slab.entries[2].addr, address(&records[8]));
    EXPECT_EQ(slab.entries[2].backend_cookie, 8u);
    EXPECT_EQ(slab.entries[2].completion_type, COMPLETION_TYPE_SDMA_EVENT_RECORD);
    for (int step = 0; step < 61; ++step) {
        EXPECT_TRUE(register_completion_condition(context, CompletionToken{1, 2, 3, 4, 5}));
    }
    EXPECT_FALSE(register_completion_condition(context, CompletionToken{1, 2, 3, 4, 5}));
    EXPECT_EQ(slab.count, 64u);
    EXPECT_EQ(slab.error_code, PTO2_ERROR_ASYNC_WAIT_OVERFLOW);
}

TEST_F(Life, WithoutATokenNothingIsRegistered) {
    Kernel kernel(slab, PTO2TaskId::invalid());
    AsyncCtx context = kernel.context();
    EXPECT_FALSE(async_ctx_is_deferred(context));
    save_expected_notification_counter(context, &counters[0], 3);
    EXPECT_EQ(slab.count, 0u);
}

// FIN path.

TEST_F(Life, AFinOfADeferredTaskBecomesMessages) {
    Task task(0x123);
    Kernel kernel(slab, task.token());
    AsyncCtx context = kernel.context();
    for (uint32_t index = 0; index < 5; ++index) {
        ASSERT_TRUE(register_completion_condition(context, CompletionToken{address(&counters[index]), index + 1,
                                                                           COMPLETION_ENGINE_ROCE,
                                                                           COMPLETION_TYPE_COUNTER, index + 100}));
    }
    runtime.fin(task, slab, thread);
    EXPECT_EQ(slab.count, 0u);
    EXPECT_TRUE(task.slot.has_any_subtask_deferred());
    EXPECT_EQ(task.slot.completed_subtasks.load(), 1);
    EXPECT_EQ(thread.completed_this_turn, 0);
    ASSERT_EQ(runtime.mailbox.head(), 6u);
    for (uint32_t index = 0; index < 5; ++index) {
        View view;
        ASSERT_TRUE(runtime.mailbox->try_pop(view));
        EXPECT_EQ(view.kind, MSG_KIND_CONDITION);
        EXPECT_EQ(view.task_token, task.token());
        EXPECT_EQ(view.addr, address(&counters[index]));
        EXPECT_EQ(view.expected_value, index + 1);
        EXPECT_EQ(view.engine, COMPLETION_ENGINE_ROCE);
        EXPECT_EQ(view.backend_cookie, index + 100);
    }
    View view;
    ASSERT_TRUE(runtime.mailbox->try_pop(view));
    EXPECT_EQ(view.kind, MSG_KIND_TASK_NORMAL_DONE);
    EXPECT_EQ(view.addr, task.addr());
    EXPECT_EQ(runtime.list().mpsc_skipped_count.load(), 0u);
}

TEST_F(Life, AFinThatDefersNothingLeavesTheMailboxAlone) {
    Task task(1);
    std::memset(static_cast<void *>(runtime.mailbox.get()), 0xee, 64); // Would be full, or worse.
    runtime.fin(task, slab, thread);
    const auto *const bytes = reinterpret_cast<const unsigned char *>(runtime.mailbox.get());
    for (size_t at = 0; at < 64; ++at) {
        ASSERT_EQ(bytes[at], 0xee);
    }
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    EXPECT_EQ(thread.completed_this_turn, 1);
    ASSERT_EQ(thread.releases.count, 1);
    EXPECT_EQ(thread.releases.slots[0], &task.slot);
#else
    EXPECT_EQ(thread.finished.pop(), &task.slot);
#endif
}

TEST_F(Life, OnlyTheLastSubtaskSendsTheSentinel) {
    Task task(1, 3);
    Kernel kernel(slab, task.token());
    AsyncCtx context = kernel.context();
    save_expected_notification_counter(context, &counters[0], 1);
    runtime.fin(task, slab, thread);
    EXPECT_EQ(runtime.mailbox.head(), 1u);
    runtime.fin(task, slab, thread); // Defers nothing itself.
    EXPECT_EQ(runtime.mailbox.head(), 1u);
    runtime.fin(task, slab, thread);
    EXPECT_EQ(runtime.mailbox.head(), 2u);
    EXPECT_TRUE(async_poll_is_due(&runtime.get()));
    EXPECT_TRUE(runtime.poll(thread));
    counters[0] = 1;
    EXPECT_EQ(runtime.get().completed_tasks.load(), 0);
    EXPECT_TRUE(async_poll_is_due(&runtime.get())); // The list is not empty.
    EXPECT_TRUE(runtime.poll(thread));
    EXPECT_EQ(runtime.get().completed_tasks.load(), 1);
    EXPECT_FALSE(async_poll_is_due(&runtime.get()));
    EXPECT_EQ(task.slot.task_state.load(), PTO2_TASK_COMPLETED);
}

TEST_F(Life, ASlabErrorStopsTheRun) {
    Task task(1);
    slab.count = 1;
    slab.error_code = PTO2_ERROR_ASYNC_COMPLETION_INVALID;
    runtime.fin(task, slab, thread);
    EXPECT_EQ(runtime.result(), -PTO2_ERROR_ASYNC_COMPLETION_INVALID);
    EXPECT_TRUE(runtime.get().run_completed.load());
    EXPECT_EQ(task.slot.completed_subtasks.load(), 0);
    EXPECT_EQ(slab.count, 1u);
    EXPECT_EQ(runtime.mailbox.head(), 0u);
    // M33: the first one stays.
    slab.error_code = 0;
    slab.count = 65;
    runtime.fin(task, slab, thread);
    EXPECT_EQ(runtime.result(), -PTO2_ERROR_ASYNC_COMPLETION_INVALID);
}

TEST_F(Life, M33TheFirstErrorStays) {
    Task task(1);
    slab.count = 65;
    runtime.fin(task, slab, thread);
    EXPECT_EQ(runtime.result(), -PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
    ASSERT_TRUE(runtime.mailbox->try_push_condition(PTO2TaskId{1}, 0, 0, 0, 0));
    EXPECT_FALSE(runtime.poll(thread)); // 101.
    EXPECT_EQ(runtime.result(), -PTO2_ERROR_ASYNC_REGISTRATION_FAILED);
}

// M39: on a full ring the FIN thread spins, counts its spins, and goes on when somebody drains.
TEST_F(Life, M39AFullRingIsWaitedFor) {
    Task task(1);
    for (uint64_t number = 0; number < kCapacity; ++number) {
        ASSERT_TRUE(runtime.mailbox->try_push_normal_done(PTO2TaskId{number + 10}, 8));
    }
    std::thread fin([&] {
        Kernel kernel(slab, task.token());
        AsyncCtx context = kernel.context();
        save_expected_notification_counter(context, &counters[0], 1);
        runtime.fin(task, slab, thread);
    });
    while (runtime.list().mpsc_skipped_count.load() < 100) {
        std::this_thread::yield();
    }
    View view;
    for (uint64_t number = 0; number < kCapacity + 2; ++number) {
        while (!runtime.mailbox->try_pop(view)) {
            std::this_thread::yield();
        }
    }
    EXPECT_EQ(view.kind, MSG_KIND_TASK_NORMAL_DONE);
    EXPECT_EQ(view.addr, task.addr());
    fin.join();
    EXPECT_GE(runtime.list().mpsc_skipped_count.load(), 100u);
}

TEST_F(Life, BootForgetsTheRunBefore) {
    Task task(1);
    Kernel kernel(slab, task.token());
    AsyncCtx context = kernel.context();
    save_expected_notification_counter(context, &counters[0], 1);
    runtime.fin(task, slab, thread);
    runtime.mailbox->head.store(runtime.mailbox.head() + 2); // Claims of threads that were stopped.
    runtime.boot();
    EXPECT_FALSE(runtime.mailbox->has_pending());
    EXPECT_EQ(runtime.mailbox.head(), runtime.mailbox.tail());
    EXPECT_FALSE(async_poll_is_due(&runtime.get()));
    Task next(2);
    Kernel other(slab, next.token());
    AsyncCtx other_context = other.context();
    save_expected_notification_counter(other_context, &counters[1], 0);
    runtime.fin(next, slab, thread);
    EXPECT_TRUE(runtime.poll(thread));
    EXPECT_EQ(runtime.get().completed_tasks.load(), 1);
    EXPECT_EQ(runtime.list().count, 0);
}

TEST_F(Life, TheGateAsksListAndMailbox) {
    EXPECT_FALSE(async_poll_is_due(nullptr));
    EXPECT_FALSE(async_poll_is_due(&runtime.get()));
    runtime.mailbox->head.store(1); // A gap: due, though nothing can be popped.
    EXPECT_TRUE(async_poll_is_due(&runtime.get()));
    runtime.mailbox->tail.store(1);
    EXPECT_FALSE(async_poll_is_due(&runtime.get()));
    runtime.list().count = 1;
    EXPECT_TRUE(async_poll_is_due(&runtime.get()));
    runtime.list().count = 0;
    runtime.get().aicore_mailbox = nullptr;
    EXPECT_FALSE(async_poll_is_due(&runtime.get()));
}

// Whole lives. Three threads handle FINs, a peer raises counters later, and (T) the same threads try to be the consumer
// once per iteration, or (H) one more thread P does nothing else.

constexpr int kFinThreads = 3;
constexpr int16_t kSubtasks = 4;
constexpr uint32_t kTasks = 3000;
// At most so many tasks are under way: fewer than the list has places for, and than fill the ring.
constexpr uint32_t kWindow = 48;

class Lives {
  public:
    Lives() : states_(kTasks), started_(kTasks) {
        for (uint32_t index = 0; index < kTasks; ++index) {
            // Of four tasks, one defers nothing and one defers in some of its subtasks alone.
            tasks_.push_back(std::make_unique<Task>(PTO2TaskId::make(0, index).raw, kSubtasks));
        }
        runtime_.on_complete = [this](PTO2TaskSlotState &slot) {
            const auto index = slot.task->task_id.local();
            State &state = states_[index];
            for (int16_t subtask = 0; subtask < kSubtasks; ++subtask) {
                for (uint32_t condition = 0; condition < conditions(index, subtask); ++condition) {
                    if (__atomic_load_n(&state.counters[subtask], __ATOMIC_ACQUIRE) < condition + 1) {
                        early_.fetch_add(1);
                    }
                }
            }
            if (slot.completed_subtasks.load() != kSubtasks) {
                early_.fetch_add(1);
            }
            state.completions.fetch_add(1);
            completed_.fetch_add(1, std::memory_order_release);
        };
    }

    void run() {
        std::vector<std::thread> threads;
        for (int index = 0; index < kFinThreads; ++index) {
            threads_[index].index = index;
            threads.emplace_back([this, index] { scheduler_thread(threads_[index]); });
        }
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
        threads_[kFinThreads].index = kFinThreads;
        threads.emplace_back([this] { resolution_thread(threads_[kFinThreads]); });
#endif
        peer();
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(runtime_.result(), 0);
        EXPECT_EQ(completed_.load(), kTasks);
        EXPECT_EQ(early_.load(), 0u);
        for (uint32_t index = 0; index < kTasks; ++index) {
            ASSERT_EQ(states_[index].completions.load(), 1u) << index;
        }
        EXPECT_EQ(runtime_.list().count, 0);
        EXPECT_EQ(runtime_.list().busy.load(), 0);
        EXPECT_FALSE(runtime_.mailbox->has_pending());
        int32_t inline_completed = 0;
        for (const Thread &thread : threads_) {
            inline_completed += thread.completed_this_turn;
        }
        EXPECT_EQ(runtime_.get().completed_tasks.load() + inline_completed, static_cast<int32_t>(kTasks));
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        for (Thread &thread : threads_) {
            runtime_.release(thread);
        }
        for (uint32_t index = 0; index < kTasks; ++index) {
            ASSERT_EQ(tasks_[index]->slot.task_state.load(), PTO2_TASK_CONSUMED);
        }
#endif
    }

  private:
    struct State {
        uint32_t counters[kSubtasks] = {};
        std::atomic<uint32_t> completions{0};
    };

    static uint32_t conditions(uint32_t task, int16_t subtask) {
        switch (task % 4) {
        case 0:
            return 0;
        case 1:
            return subtask % 2 == 0 ? 2 : 0;
        default:
            return 1 + (task + static_cast<uint32_t>(subtask)) % 4;
        }
    }

    bool over() const { return completed_.load(std::memory_order_acquire) >= kTasks || failed_.load(); }

    // Whether the poll is due. A race detector reports the gate's plain read of the list's count (W25).
    bool due() {
#if MAILBOX_TEST_SANITIZED
        return true;
#else
        return async_poll_is_due(&runtime_.get());
#endif
    }

    void poll(Thread &thread) {
        if (due() && !runtime_.poll(thread)) {
            failed_.store(true);
        }
    }

    // Handles one subtask's end, if there is one to handle: the kernel has filled the slab just before.
    void handle_fin(Thread &thread) {
        uint32_t next = next_subtask_.load(std::memory_order_relaxed);
        do {
            if (next >= kTasks * kSubtasks ||
                next / kSubtasks >= completed_.load(std::memory_order_acquire) + kWindow) {
                return;
            }
        } while (!next_subtask_.compare_exchange_weak(next, next + 1));
        const uint32_t index = next / kSubtasks;
        const auto subtask = static_cast<int16_t>(next % kSubtasks);
        Task &task = *tasks_[index];
        DeferredCompletionSlab slab{};
        Kernel kernel(slab, task.token());
        AsyncCtx context = kernel.context();
        for (uint32_t condition = 0; condition < conditions(index, subtask); ++condition) {
            save_expected_notification_counter(context, &states_[index].counters[subtask], condition + 1);
        }
        started_[index].fetch_add(1, std::memory_order_release);
        runtime_.fin(task, slab, thread);
    }

    void scheduler_thread(Thread &thread) {
        while (!over()) {
            handle_fin(thread);
#if STANDIN_TENSORMAP_AND_RINGBUFFER
            poll(thread);
            if (thread.releases.count > 100) {
                runtime_.release(thread);
            }
#endif
            std::this_thread::yield();
        }
    }

#if !STANDIN_TENSORMAP_AND_RINGBUFFER
    void resolution_thread(Thread &thread) {
        while (!over()) {
            for (int index = 0; index < kFinThreads; ++index) {
                runtime_.resolve(threads_[index]);
            }
            poll(thread);
            std::this_thread::yield();
        }
    }
#endif

    // Raises each counter step by step, sometimes before the task has ended and sometimes after.
    void peer() {
        std::minstd_rand random(3);
        uint32_t done = 0;
        while (done < kTasks && !failed_.load()) {
            if (random() % 3 != 0 && started_[done].load(std::memory_order_acquire) == 0) {
                std::this_thread::yield();
                continue;
            }
            for (uint32_t &counter : states_[done].counters) {
                for (int step = 0; step < 4; ++step) {
                    send_notification(&counter, 1, pto::comm::NotifyOp::AtomicAdd);
                }
            }
            ++done;
        }
    }

    Runtime runtime_;
    Thread threads_[kFinThreads + 1];
    std::vector<std::unique_ptr<Task>> tasks_;
    std::vector<State> states_;
    std::vector<std::atomic<uint32_t>> started_;
    std::atomic<uint32_t> next_subtask_{0};
    std::atomic<uint32_t> completed_{0};
    std::atomic<uint32_t> early_{0};
    std::atomic<bool> failed_{false};
};

TEST(Lives, M5M24EveryTaskOnceAndNoneEarly) {
    const auto lives = std::make_unique<Lives>();
    lives->run();
}

} // namespace
