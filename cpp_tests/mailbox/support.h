// What the suites of the completion mailbox share: memory of any content at any address, slots without assumptions on
// alignment, tasks, and a scheduler that remembers what it completed.
#ifndef LANEPIPE_TESTS_MAILBOX_SUPPORT_H_
#define LANEPIPE_TESTS_MAILBOX_SUPPORT_H_

#include "scheduler_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <ostream>
#include <random>
#include <thread>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define MAILBOX_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MAILBOX_TEST_SANITIZED 1
#endif
#endif
#ifndef MAILBOX_TEST_SANITIZED
#define MAILBOX_TEST_SANITIZED 0
#endif

inline bool operator==(const AICoreCompletionMsgView &left, const AICoreCompletionMsgView &right) {
    return left.task_token == right.task_token && left.addr == right.addr &&
           left.backend_cookie == right.backend_cookie && left.expected_value == right.expected_value &&
           left.engine == right.engine && left.completion_type == right.completion_type && left.kind == right.kind;
}

// For messages of GoogleTest.
inline void PrintTo(const AICoreCompletionMsgView &view, std::ostream *out) {
    *out << "{token " << view.task_token.raw << ", addr " << view.addr << ", cookie " << view.backend_cookie
         << ", expected " << view.expected_value << ", engine " << view.engine << ", type " << view.completion_type
         << ", kind " << view.kind << "}";
}

namespace mailbox_test {

using Mailbox = AICoreCompletionMailbox;
using Message = AICoreCompletionMailboxMessage;
using View = AICoreCompletionMsgView;

inline constexpr uint64_t kCapacity = AICORE_COMPLETION_MAILBOX_CAPACITY;
inline constexpr bool kReleases = STANDIN_TENSORMAP_AND_RINGBUFFER != 0;

// The optimiser learns nothing about the alignment of `pointer` from where it comes from.
template <typename T> T *unknown_origin(T *pointer) {
    __asm__ __volatile__("" : "+r"(pointer));
    return pointer;
}

inline Message &slot(Mailbox &mailbox, uint64_t ticket) {
    return *unknown_origin(&mailbox.entries[ticket & AICORE_COMPLETION_MAILBOX_MASK]);
}

// Defines the words that any initialiser must define, and no others: through init_empty() where the family has it.
inline void initialise(Mailbox &mailbox) {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    mailbox.head.store(0, std::memory_order_relaxed);
    mailbox.tail.store(0, std::memory_order_relaxed);
    for (uint64_t index = 0; index < kCapacity; ++index) {
        slot(mailbox, index).seq.store(0, std::memory_order_relaxed);
    }
#else
    mailbox.init_empty();
#endif
}

inline void discard(Mailbox &mailbox) {
    mailbox.tail.store(mailbox.head.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

// Byte patterns that memory may hold before anybody initialises it.
enum class Pattern { kZeros, kOnes, kNextSequence, kEveryLap, kAddresses, kRandom };

inline constexpr Pattern kPatterns[] = {Pattern::kZeros,    Pattern::kOnes,      Pattern::kNextSequence,
                                        Pattern::kEveryLap, Pattern::kAddresses, Pattern::kRandom};

inline void fill(Mailbox &mailbox, Pattern pattern, uint64_t seed = 1) {
    auto *const bytes = reinterpret_cast<unsigned char *>(unknown_origin(&mailbox));
    std::mt19937_64 random(seed);
    for (size_t at = 0; at < sizeof(Mailbox); at += sizeof(uint64_t)) {
        const uint64_t index = at < 128 ? 0 : (at - 128) / 64;
        uint64_t word = 0;
        switch (pattern) {
        case Pattern::kZeros:
            break;
        case Pattern::kOnes:
            word = UINT64_MAX;
            break;
        case Pattern::kNextSequence:
            word = index + 1; // What `seq` is compared with on the first lap.
            break;
        case Pattern::kEveryLap:
            word = index + 1 + kCapacity * (index % 5);
            break;
        case Pattern::kAddresses:
            word = 0x00007f0000000000u + at;
            break;
        case Pattern::kRandom:
            word = random();
            break;
        }
        std::memcpy(bytes + at, &word, sizeof word);
    }
}

// Scribbles over everything that is free for private use: both pads, `_pad` and the tail of each slot.
inline void scribble_padding(Mailbox &mailbox, Pattern pattern, uint64_t seed = 1) {
    auto *const bytes = reinterpret_cast<unsigned char *>(unknown_origin(&mailbox));
    static const auto source = std::make_unique<unsigned char[]>(sizeof(Mailbox) + alignof(Mailbox));
    auto *const other = reinterpret_cast<unsigned char *>(
        (reinterpret_cast<uintptr_t>(source.get()) + alignof(Mailbox) - 1) & ~uintptr_t{alignof(Mailbox) - 1});
    fill(*reinterpret_cast<Mailbox *>(other), pattern, seed);
    std::memcpy(bytes + 8, other + 8, 56);
    std::memcpy(bytes + 72, other + 72, 56);
    for (size_t index = 0; index < kCapacity; ++index) {
        std::memcpy(bytes + 128 + index * 64 + 48, other + 128 + index * 64 + 48, 16);
    }
}

// Memory of a mailbox, `offset` bytes behind a 64-aligned address. Starts as an empty ring with zeros elsewhere.
class Memory {
  public:
    explicit Memory(size_t offset = 0) : bytes_(std::make_unique<unsigned char[]>(sizeof(Mailbox) + 128)) {
        const uintptr_t base = (reinterpret_cast<uintptr_t>(bytes_.get()) + 63) & ~uintptr_t{63};
        mailbox_ = unknown_origin(reinterpret_cast<Mailbox *>(base + offset));
    }

    Mailbox &operator*() const { return *mailbox_; }
    Mailbox *operator->() const { return mailbox_; }
    Mailbox *get() const { return mailbox_; }

    uint64_t head() const { return mailbox_->head.load(std::memory_order_relaxed); }
    uint64_t tail() const { return mailbox_->tail.load(std::memory_order_relaxed); }

  private:
    std::unique_ptr<unsigned char[]> bytes_;
    Mailbox *mailbox_;
};

// The cursors and the public bytes of every slot.
struct Snapshot {
    uint64_t head;
    uint64_t tail;
    std::vector<unsigned char> slots;

    explicit Snapshot(Mailbox &mailbox) : head(mailbox.head.load()), tail(mailbox.tail.load()), slots(kCapacity * 48) {
        const auto *const bytes = reinterpret_cast<const unsigned char *>(unknown_origin(&mailbox));
        for (size_t index = 0; index < kCapacity; ++index) {
            std::memcpy(&slots[index * 48], bytes + 128 + index * 64, 48);
        }
    }

    bool operator==(const Snapshot &other) const {
        return head == other.head && tail == other.tail && slots == other.slots;
    }
};

// A message all of whose fields follow from one number, so that a mix of two shows.
inline View numbered(uint64_t number) {
    const auto mix = [number](uint64_t salt) {
        uint64_t word = number + salt * 0x9e3779b97f4a7c15u;
        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
        word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
        return word ^ (word >> 31);
    };
    View view;
    view.task_token = PTO2TaskId{number};
    view.addr = mix(1);
    view.kind = mix(2) % 4 == 0 ? MSG_KIND_TASK_NORMAL_DONE : MSG_KIND_CONDITION;
    if (view.kind == MSG_KIND_CONDITION) {
        view.backend_cookie = mix(3);
        view.expected_value = static_cast<uint32_t>(mix(4));
        view.engine = static_cast<uint32_t>(mix(5));
        view.completion_type = static_cast<int32_t>(static_cast<uint32_t>(mix(6)));
    }
    return view;
}

inline bool push(Mailbox &mailbox, const View &view) {
    if (view.kind == MSG_KIND_TASK_NORMAL_DONE) {
        return mailbox.try_push_normal_done(view.task_token, view.addr);
    }
    return mailbox.try_push_condition(view.task_token, view.addr, view.backend_cookie, view.expected_value, view.engine,
                                      view.completion_type);
}

// A message as it lies in its slot.
inline View in_slot(Mailbox &mailbox, uint64_t ticket) {
    Message &message = slot(mailbox, ticket);
    View view;
    view.task_token = message.task_token;
    view.addr = message.addr;
    view.backend_cookie = message.backend_cookie;
    view.expected_value = message.expected_value;
    view.engine = message.engine;
    view.completion_type = message.completion_type;
    view.kind = message.kind;
    return view;
}

// Fills the slot of a ticket that was claimed by hand, and publishes it.
inline void publish(Mailbox &mailbox, uint64_t ticket, const View &view) {
    Message &message = slot(mailbox, ticket);
    message.task_token = view.task_token;
    message.addr = view.addr;
    message.backend_cookie = view.backend_cookie;
    message.expected_value = view.expected_value;
    message.engine = view.engine;
    message.completion_type = view.completion_type;
    message.kind = view.kind;
    message.seq.store(ticket + 1, std::memory_order_release);
}

// A task with everything a completion looks at.
struct Task {
    PTO2TaskDescriptor descriptor{};
    PTO2TaskPayload payload{};
    PTO2TaskSlotState slot{};
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
    PTO2GraphRun graph{};
#endif

    explicit Task(uint64_t token = 1, int16_t subtasks = 1) {
        descriptor.task_id = PTO2TaskId{token};
        slot.payload = &payload;
        slot.task = &descriptor;
        slot.total_required_subtasks = subtasks;
    }
    Task(const Task &) = delete;
    Task &operator=(const Task &) = delete;

    PTO2TaskId token() const { return descriptor.task_id; }
    uint64_t addr() const { return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(&slot)); }
};

// What a poll pass gives, in either family. Where nothing counts graph nodes, as many are resolved as are completed.
struct Polled {
    int32_t completed;
    int32_t resolved;
    int32_t error;
    PTO2TaskSlotState *failed;
};

// A scheduler with its list, a mailbox, and one thread's release array.
class Rig {
  public:
    explicit Rig(size_t offset = 0) : mailbox(offset), scheduler_(std::make_unique<PTO2SchedulerState>()) {
        scheduler_->observer.context = this;
        scheduler_->observer.completed = [](void *context, PTO2TaskSlotState &slot, int thread) {
            auto &rig = *static_cast<Rig *>(context);
            rig.completed.push_back(&slot);
            rig.threads.push_back(thread);
            if (rig.on_complete) {
                rig.on_complete(slot);
            }
        };
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        scheduler_->observer.released = [](void *context, PTO2TaskSlotState &slot, int) {
            static_cast<Rig *>(context)->released.push_back(&slot);
        };
        scheduler_->reset_for_reuse();
#endif
        slots.resize(257);
    }

    AsyncWaitList &list() const { return scheduler_->async_wait_list; }
    PTO2SchedulerState &scheduler() const { return *scheduler_; }

    AsyncWaitList::DrainCompletionSink sink() {
        AsyncWaitList::DrainCompletionSink sink;
        sink.sched = scheduler_.get();
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        sink.deferred_release_slot_states = slots.data();
        sink.deferred_release_count = &slot_count;
        sink.deferred_release_capacity = slot_capacity;
#endif
#if SIMPLER_SCHED_PROFILING
        sink.thread_idx = thread_index;
#endif
        return sink;
    }

    // Drains with the lock held. What it returns is how far `tail` has moved, whatever happens to a failing message.
    int32_t drain(AsyncWaitList::DrainCompletionSink &sink, int32_t &error) {
        EXPECT_TRUE(list().try_lock());
        const uint64_t before = mailbox.tail();
        const int32_t drained = list().drain_aicore_completion_mailbox_locked(mailbox.get(), sink, error);
        EXPECT_EQ(static_cast<uint64_t>(drained), mailbox.tail() - before);
        list().unlock();
        check();
        return drained;
    }

    // Drains into the list, completing nothing.
    int32_t drain(int32_t &error) {
        AsyncWaitList::DrainCompletionSink none;
        return drain(none, error);
    }
    int32_t drain() {
        int32_t error = -1;
        const int32_t drained = drain(error);
        EXPECT_EQ(error, PTO2_ERROR_NONE);
        return drained;
    }

    Polled poll() { return poll(mailbox.get()); }

    Polled poll(Mailbox *from) {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
        const AsyncPollResult result =
            list().poll_and_complete<false>(from, scheduler_.get(), slots.data(), slot_count, slot_capacity
#if SIMPLER_SCHED_PROFILING
                                            ,
                                            thread_index
#endif
            );
        const int32_t resolved = result.completed;
#else
        const AsyncPollResult result = list().poll_and_complete<false>(from, scheduler_.get()
#if SIMPLER_SCHED_PROFILING
                                                                                 ,
                                                                       thread_index
#endif
        );
        const int32_t resolved = result.resolved;
#endif
        check();
        return Polled{result.completed, resolved, result.error_code, result.failed_slot_state};
    }

    // A poll pass that meets no error; the number of completed tasks.
    int32_t polled() {
        const Polled result = poll();
        EXPECT_EQ(result.error, PTO2_ERROR_NONE);
        return result.completed;
    }

    void condition(const Task &task, const volatile void *addr, uint32_t expected, uint64_t cookie = 0,
                   int32_t type = COMPLETION_TYPE_COUNTER) {
        ASSERT_TRUE(mailbox->try_push_condition(task.token(), static_cast<uint64_t>(reinterpret_cast<uintptr_t>(addr)),
                                                cookie, expected, COMPLETION_ENGINE_SDMA, type));
    }
    void normal_done(const Task &task) { ASSERT_TRUE(mailbox->try_push_normal_done(task.token(), task.addr())); }

    AsyncWaitEntry *find(uint64_t token) { return list().find_entry_by_token(PTO2TaskId{token}); }
    AsyncWaitEntry *find(const Task &task) { return list().find_entry_by_token(task.token()); }

    bool has_completed(const Task &task) const { return times_completed(task) != 0; }
    size_t times_completed(const Task &task) const {
        return static_cast<size_t>(std::count(completed.begin(), completed.end(), &task.slot));
    }

    // What holds of the list whenever nobody is in it.
    void check() {
        AsyncWaitList &waiting = list();
        ASSERT_GE(waiting.count, 0);
        ASSERT_LE(waiting.count, MAX_ASYNC_WAITS);
        for (int32_t i = 0; i < waiting.count; ++i) {
            const AsyncWaitEntry &entry = waiting.entries[i];
            for (int32_t j = 0; distinct_tokens && j < i; ++j) {
                ASSERT_NE(entry.task_token.raw, waiting.entries[j].task_token.raw) << i << " and " << j;
            }
            ASSERT_GE(entry.condition_count, 0);
            ASSERT_LE(entry.condition_count, MAX_COMPLETIONS_PER_TASK);
            int32_t unsatisfied = 0;
            for (int32_t c = 0; c < entry.condition_count; ++c) {
                const CompletionCondition &condition = entry.conditions[c];
                unsatisfied += condition.satisfied ? 0 : 1;
                ASSERT_EQ(condition.satisfied, condition.retired);
                if (condition.completion_type == COMPLETION_TYPE_COUNTER) {
                    ASSERT_EQ(reinterpret_cast<uintptr_t>(condition.counter_addr), condition.addr);
                } else {
                    ASSERT_EQ(condition.counter_addr, nullptr);
                }
            }
            if (exact_waiting) {
                ASSERT_EQ(entry.waiting_completion_count, unsatisfied) << "entry " << i;
            } else {
                ASSERT_GE(entry.waiting_completion_count, unsatisfied) << "entry " << i;
            }
        }
        ASSERT_EQ(waiting.mpsc_skipped_count.load(), skipped);
    }

    Memory mailbox;
    std::vector<PTO2TaskSlotState *> completed;
    std::vector<PTO2TaskSlotState *> released;
    std::vector<int> threads;
    std::function<void(PTO2TaskSlotState &)> on_complete;
    std::vector<PTO2TaskSlotState *> slots;
    int32_t slot_count = 0;
    int32_t slot_capacity = 256;
    int thread_index = 2;
    // Lists made by hand, and tasks of more conditions than an entry holds, have less to check.
    bool distinct_tokens = true;
    bool exact_waiting = true;
    uint64_t skipped = 0;

  private:
    std::unique_ptr<PTO2SchedulerState> scheduler_;
};

// Lets threads start their work at one moment.
class Gate {
  public:
    explicit Gate(unsigned threads) : missing_(threads) {}
    void pass() {
        missing_.fetch_sub(1);
        while (missing_.load() > 0) {
            std::this_thread::yield();
        }
    }

  private:
    std::atomic<int> missing_;
};

} // namespace mailbox_test

#endif // LANEPIPE_TESTS_MAILBOX_SUPPORT_H_
