// The loops of one side. Its headers come first in the include path, BENCH_MAILBOX_SIDE is the name of its function,
// and the classes that both sides define have names of their own (see CMakeLists.txt).
#include "side.h"

#include "scheduler_loop.h"

#include <memory>
#include <thread>

namespace {

AICoreCompletionMailbox &of(void *mailbox) { return *static_cast<AICoreCompletionMailbox *>(mailbox); }
AsyncWaitList &list_of(void *list) { return static_cast<PTO2SchedulerState *>(list)->async_wait_list; }

void push(void *memory, uint64_t token, uint64_t count) {
    AICoreCompletionMailbox &mailbox = of(memory);
    for (uint64_t number = 0; number < count; ++number) {
        while (!mailbox.try_push_condition(PTO2TaskId{token}, number, number, 1, 0, 0)) {
            std::this_thread::yield();
        }
    }
}

void push_tasks(void *memory, uint64_t token, uint64_t count) {
    AICoreCompletionMailbox &mailbox = of(memory);
    DeferredCompletionEntry entries[bench_mailbox::kConditions] = {};
    const volatile DeferredCompletionEntry *const slab = entries;
    for (uint64_t task = 0; task < count; ++task) {
        for (uint32_t index = 0; index < bench_mailbox::kConditions; ++index) {
            const volatile DeferredCompletionEntry &entry = slab[index];
            while (!mailbox.try_push_condition(PTO2TaskId{token + task}, entry.addr, entry.backend_cookie,
                                               entry.expected_value, entry.engine, entry.completion_type)) {
                std::this_thread::yield();
            }
        }
        while (!mailbox.try_push_normal_done(PTO2TaskId{token + task}, 64)) {
            std::this_thread::yield();
        }
    }
}

uint64_t pop(void *memory, uint64_t most) {
    AICoreCompletionMailbox &mailbox = of(memory);
    AICoreCompletionMsgView view;
    uint64_t popped = 0;
    while (popped < most && mailbox.try_pop(view)) {
        __asm__ __volatile__("" : : "r"(&view) : "memory");
        ++popped;
    }
    return popped;
}

uint64_t has_pending(void *memory, uint64_t times) {
    AICoreCompletionMailbox &mailbox = of(memory);
    uint64_t yes = 0;
    for (uint64_t time = 0; time < times; ++time) {
        yes += mailbox.has_pending() ? 1 : 0;
    }
    return yes;
}

void init_empty(void *memory) {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    AICoreCompletionMailbox &mailbox = of(memory);
    mailbox.head.store(0, std::memory_order_relaxed);
    mailbox.tail.store(0, std::memory_order_relaxed);
    for (AICoreCompletionMailboxMessage &slot : mailbox.entries) {
        slot.seq.store(0, std::memory_order_relaxed);
    }
#else
    of(memory).init_empty();
#endif
}

void *list() {
    static const auto scheduler = std::make_unique<PTO2SchedulerState>();
    return scheduler.get();
}

void reset(void *list) {
    AsyncWaitList &waiting = list_of(list);
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    waiting.reset_for_reuse();
#else
    waiting.busy.store(0);
    waiting.count = 0;
    waiting.mpsc_skipped_count.store(0);
#endif
}

uint64_t lose_lock(void *list, uint64_t times) {
    AsyncWaitList &waiting = list_of(list);
    uint64_t won = 0;
    for (uint64_t time = 0; time < times; ++time) {
        won += waiting.try_lock() ? 1 : 0;
    }
    return won;
}

int64_t drain(void *list, void *mailbox) {
    AsyncWaitList &waiting = list_of(list);
    AsyncWaitList::DrainCompletionSink none;
    int32_t error = 0;
    const int32_t drained = waiting.drain_aicore_completion_mailbox_locked(&of(mailbox), none, error);
    return error == 0 ? drained : -error;
}

int64_t poll(void *list, void *mailbox) {
    auto &scheduler = *static_cast<PTO2SchedulerState *>(list);
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    static PTO2TaskSlotState *slots[256];
    int32_t count = 0;
    const AsyncPollResult result =
        scheduler.async_wait_list.poll_and_complete<false>(&of(mailbox), &scheduler, slots, count, 256);
#else
    const AsyncPollResult result = scheduler.async_wait_list.poll_and_complete<false>(&of(mailbox), &scheduler);
#endif
    return result.error_code == 0 ? result.completed : -result.error_code;
}

} // namespace

namespace bench_mailbox {

const HeaderSide &BENCH_MAILBOX_SIDE() {
    static const HeaderSide side = {push, push_tasks, pop,       has_pending, init_empty,
                                    list, reset,      lose_lock, drain,       poll};
    return side;
}

} // namespace bench_mailbox
