// Layouts, names, signatures and default values (contract 2.1 to 2.10, 3.2, 3.3, appendix B).
#include "support.h"

#include <cstddef>
#include <new>
#include <type_traits>

namespace {

template <typename T, typename U> constexpr bool kSame = std::is_same<T, U>::value;

// 2.1.
static_assert(PTO2_ALIGN_SIZE == 64, "");
static_assert(AICORE_COMPLETION_MAILBOX_CAPACITY == 4096u &&
                  kSame<decltype(AICORE_COMPLETION_MAILBOX_CAPACITY), unsigned>,
              "");
static_assert(AICORE_COMPLETION_MAILBOX_MASK == 4095, "");
static_assert(MSG_KIND_CONDITION == 0u && kSame<decltype(MSG_KIND_CONDITION), unsigned>, "");
static_assert(MSG_KIND_TASK_NORMAL_DONE == 1u && kSame<decltype(MSG_KIND_TASK_NORMAL_DONE), unsigned>, "");
static_assert(MAX_ASYNC_WAITS == 64 && kSame<decltype(MAX_ASYNC_WAITS), const int32_t>, "");
static_assert(MAX_COMPLETIONS_PER_TASK == 64, "");
#if AICORE_COMPLETION_MAILBOX_CAPACITY != 4096 || AICORE_COMPLETION_MAILBOX_MASK != 4095 || MSG_KIND_CONDITION != 0 || \
    MSG_KIND_TASK_NORMAL_DONE != 1
#error "the macros are of use to the preprocessor"
#endif

// 2.3.
using Message = AICoreCompletionMailboxMessage;
static_assert(sizeof(Message) == 64 && alignof(Message) == 8, "");
static_assert(offsetof(Message, seq) == 0 && kSame<decltype(Message::seq), std::atomic<uint64_t>>, "");
static_assert(offsetof(Message, task_token) == 8 && kSame<decltype(Message::task_token), PTO2TaskId>, "");
static_assert(offsetof(Message, addr) == 16 && kSame<decltype(Message::addr), uint64_t>, "");
static_assert(offsetof(Message, backend_cookie) == 24 && kSame<decltype(Message::backend_cookie), uint64_t>, "");
static_assert(offsetof(Message, expected_value) == 32 && kSame<decltype(Message::expected_value), uint32_t>, "");
static_assert(offsetof(Message, engine) == 36 && kSame<decltype(Message::engine), uint32_t>, "");
static_assert(offsetof(Message, completion_type) == 40 && kSame<decltype(Message::completion_type), int32_t>, "");
static_assert(offsetof(Message, kind) == 44 && kSame<decltype(Message::kind), uint32_t>, "");
static_assert(offsetof(Message, _pad) == 48 && kSame<decltype(Message::_pad), uint32_t[3]>, "");
static_assert(std::is_trivially_default_constructible<Message>::value, "");
static_assert(std::is_trivially_destructible<Message>::value, "");
static_assert(std::is_standard_layout<Message>::value && std::is_aggregate<Message>::value, "");

// 2.4, L8.
using Mailbox = AICoreCompletionMailbox;
static_assert(sizeof(Mailbox) == 262272 && alignof(Mailbox) == 64 && sizeof(Mailbox) % 64 == 0, "");
static_assert(offsetof(Mailbox, head) == 0 && kSame<decltype(Mailbox::head), std::atomic<uint64_t>>, "");
static_assert(offsetof(Mailbox, _head_pad) == 8 && kSame<decltype(Mailbox::_head_pad), uint8_t[56]>, "");
static_assert(offsetof(Mailbox, tail) == 64 && kSame<decltype(Mailbox::tail), std::atomic<uint64_t>>, "");
static_assert(offsetof(Mailbox, _tail_pad) == 72 && kSame<decltype(Mailbox::_tail_pad), uint8_t[56]>, "");
static_assert(offsetof(Mailbox, entries) == 128 && kSame<decltype(Mailbox::entries), Message[4096]>, "");
static_assert(std::is_trivially_default_constructible<Mailbox>::value, "");
static_assert(std::is_trivially_destructible<Mailbox>::value, "");
static_assert(std::is_standard_layout<Mailbox>::value && std::is_aggregate<Mailbox>::value, "");
static_assert(!std::is_polymorphic<Mailbox>::value, "");
static_assert(sizeof(std::atomic<uint64_t>) == 8 && std::atomic<uint64_t>::is_always_lock_free, "");

// 2.5.
using View = AICoreCompletionMsgView;
static_assert(sizeof(View) == 40 && alignof(View) == 8 && std::is_standard_layout<View>::value, "");
static_assert(offsetof(View, task_token) == 0 && kSame<decltype(View::task_token), PTO2TaskId>, "");
static_assert(offsetof(View, addr) == 8 && kSame<decltype(View::addr), uint64_t>, "");
static_assert(offsetof(View, backend_cookie) == 16 && kSame<decltype(View::backend_cookie), uint64_t>, "");
static_assert(offsetof(View, expected_value) == 24 && kSame<decltype(View::expected_value), uint32_t>, "");
static_assert(offsetof(View, engine) == 28 && kSame<decltype(View::engine), uint32_t>, "");
static_assert(offsetof(View, completion_type) == 32 && kSame<decltype(View::completion_type), int32_t>, "");
static_assert(offsetof(View, kind) == 36 && kSame<decltype(View::kind), uint32_t>, "");

// 2.6, of the stand-in: what the suites build on.
static_assert(sizeof(DeferredCompletionEntry) == 32 && alignof(DeferredCompletionEntry) == 8, "");
static_assert(offsetof(DeferredCompletionEntry, addr) == 0 && offsetof(DeferredCompletionEntry, backend_cookie) == 8,
              "");
static_assert(offsetof(DeferredCompletionEntry, expected_value) == 16 &&
                  offsetof(DeferredCompletionEntry, engine) == 20,
              "");
static_assert(offsetof(DeferredCompletionEntry, completion_type) == 24 && offsetof(DeferredCompletionEntry, _pad) == 28,
              "");
static_assert(sizeof(DeferredCompletionSlab) == 2112 && alignof(DeferredCompletionSlab) == 64, "");
static_assert(offsetof(DeferredCompletionSlab, error_code) == 4 && offsetof(DeferredCompletionSlab, entries) == 8, "");
static_assert(sizeof(CompletionToken) == 32 && offsetof(CompletionToken, expected_value) == 8, "");
static_assert(offsetof(CompletionToken, engine) == 12 && offsetof(CompletionToken, completion_type) == 16, "");
static_assert(offsetof(CompletionToken, backend_cookie) == 24, "");
static_assert(sizeof(AsyncCtx) == 40 && offsetof(AsyncCtx, completion_error_code) == 8, "");
static_assert(offsetof(AsyncCtx, completion_entries) == 16 && offsetof(AsyncCtx, completion_capacity) == 24, "");
static_assert(offsetof(AsyncCtx, task_token) == 32, "");
static_assert(sizeof(LocalContext) == 48 && offsetof(LocalContext, async_ctx) == 8, "");

// 2.7.
static_assert(sizeof(CompletionPollState) == 1 && sizeof(CompletionPollResult) == 8, "");
static_assert(alignof(CompletionPollResult) == 4 && offsetof(CompletionPollResult, error_code) == 4, "");
static_assert(kSame<CompletionPollFn, CompletionPollResult (*)(const CompletionCondition &)>, "");
static_assert(kSame<CompletionRetireFn, void (*)(CompletionCondition &)>, "");
static_assert(sizeof(CompletionBackendOps) == 16 && alignof(CompletionBackendOps) == 8, "");
static_assert(offsetof(CompletionBackendOps, poll) == 0 &&
                  kSame<decltype(CompletionBackendOps::poll), CompletionPollFn>,
              "");
static_assert(offsetof(CompletionBackendOps, retire) == 8 &&
                  kSame<decltype(CompletionBackendOps::retire), CompletionRetireFn>,
              "");
static_assert(sizeof(AsyncEngine) == 4 && NUM_ASYNC_ENGINES == 4, "");

// 2.8.
using Condition = CompletionCondition;
static_assert(sizeof(Condition) == 48 && alignof(Condition) == 8 && std::is_standard_layout<Condition>::value, "");
static_assert(offsetof(Condition, engine) == 0 && kSame<decltype(Condition::engine), AsyncEngine>, "");
static_assert(offsetof(Condition, completion_type) == 4 && kSame<decltype(Condition::completion_type), int32_t>, "");
static_assert(offsetof(Condition, satisfied) == 8 && kSame<decltype(Condition::satisfied), bool>, "");
static_assert(offsetof(Condition, retired) == 9 && kSame<decltype(Condition::retired), bool>, "");
static_assert(offsetof(Condition, counter_addr) == 16 && kSame<decltype(Condition::counter_addr), volatile uint32_t *>,
              "");
static_assert(offsetof(Condition, addr) == 24 && kSame<decltype(Condition::addr), uint64_t>, "");
static_assert(offsetof(Condition, backend_cookie) == 32 && kSame<decltype(Condition::backend_cookie), uint64_t>, "");
static_assert(offsetof(Condition, expected_value) == 40 && kSame<decltype(Condition::expected_value), uint32_t>, "");
static_assert(kSame<decltype(&Condition::test), CompletionPollResult (Condition::*)() const>, "");
static_assert(kSame<decltype(&Condition::retire), void (Condition::*)()>, "");

using Entry = AsyncWaitEntry;
static_assert(sizeof(Entry) == 3104 && alignof(Entry) == 8 && std::is_standard_layout<Entry>::value, "");
static_assert(offsetof(Entry, slot_state) == 0 && kSame<decltype(Entry::slot_state), PTO2TaskSlotState *>, "");
static_assert(offsetof(Entry, task_token) == 8 && kSame<decltype(Entry::task_token), PTO2TaskId>, "");
static_assert(offsetof(Entry, conditions) == 16 && kSame<decltype(Entry::conditions), Condition[64]>, "");
static_assert(offsetof(Entry, condition_count) == 3088 && kSame<decltype(Entry::condition_count), int32_t>, "");
static_assert(offsetof(Entry, waiting_completion_count) == 3092 &&
                  kSame<decltype(Entry::waiting_completion_count), int32_t>,
              "");
static_assert(offsetof(Entry, normal_done) == 3096 && kSame<decltype(Entry::normal_done), bool>, "");
static_assert(std::is_copy_assignable<Entry>::value && std::is_copy_constructible<Entry>::value, "");

using List = AsyncWaitList;
static_assert(sizeof(List) == 198680 && alignof(List) == 8 && std::is_standard_layout<List>::value, "");
static_assert(offsetof(List, busy) == 0 && kSame<decltype(List::busy), std::atomic<int32_t>>, "");
static_assert(offsetof(List, entries) == 8 && kSame<decltype(List::entries), Entry[64]>, "");
static_assert(offsetof(List, count) == 198664 && kSame<decltype(List::count), int32_t>, "");
static_assert(offsetof(List, mpsc_skipped_count) == 198672 &&
                  kSame<decltype(List::mpsc_skipped_count), std::atomic<uint64_t>>,
              "");

using Result = AsyncPollResult;
static_assert(alignof(Result) == 8, "");
#if STANDIN_TENSORMAP_AND_RINGBUFFER
static_assert(sizeof(Result) == 16 && offsetof(Result, completed) == 0 && offsetof(Result, error_code) == 4, "");
static_assert(offsetof(Result, failed_slot_state) == 8, "");
#else
static_assert(sizeof(Result) == 24 && offsetof(Result, completed) == 0 && offsetof(Result, resolved) == 4, "");
static_assert(offsetof(Result, error_code) == 8 && offsetof(Result, failed_slot_state) == 16, "");
#endif

using Sink = AsyncWaitList::DrainCompletionSink;
static_assert(alignof(Sink) == 8 && offsetof(Sink, sched) == 0, "");
static_assert(kSame<decltype(Sink::sched), PTO2SchedulerState *>, "");
#if STANDIN_TENSORMAP_AND_RINGBUFFER
static_assert(sizeof(Sink) == (SIMPLER_SCHED_PROFILING ? 40 : 32), "");
static_assert(offsetof(Sink, deferred_release_slot_states) == 8 && offsetof(Sink, deferred_release_count) == 16, "");
static_assert(kSame<decltype(Sink::deferred_release_slot_states), PTO2TaskSlotState **>, "");
static_assert(kSame<decltype(Sink::deferred_release_count), int32_t *>, "");
static_assert(offsetof(Sink, deferred_release_capacity) == 24 && offsetof(Sink, inline_completed) == 28, "");
#if SIMPLER_SCHED_PROFILING
static_assert(offsetof(Sink, thread_idx) == 32, "");
#endif
#else
static_assert(sizeof(Sink) == 24, "");
static_assert(offsetof(Sink, inline_completed) == 8 && offsetof(Sink, inline_resolved) == 12, "");
static_assert(offsetof(Sink, error_code) == 16, "");
#if SIMPLER_SCHED_PROFILING
static_assert(offsetof(Sink, thread_idx) == 20, "");
#endif
#endif

// 2.10: member functions, by value or reference as written, not const.
static_assert(kSame<decltype(&Mailbox::has_pending), bool (Mailbox::*)()>, "");
static_assert(kSame<decltype(&Mailbox::try_push_normal_done), bool (Mailbox::*)(PTO2TaskId, uint64_t)>, "");
static_assert(kSame<decltype(&Mailbox::try_pop), bool (Mailbox::*)(View &)>, "");
constexpr bool (Mailbox::*kPushFive)(PTO2TaskId, uint64_t, uint32_t, uint32_t, int32_t) = &Mailbox::try_push_condition;
constexpr bool (Mailbox::*kPushSix)(PTO2TaskId, uint64_t, uint64_t, uint32_t, uint32_t,
                                    int32_t) = &Mailbox::try_push_condition;
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
static_assert(kSame<decltype(&Mailbox::init_empty), void (Mailbox::*)()>, "");
#endif

// 3.2, B4.
static_assert(kSame<decltype(&List::try_lock), bool (List::*)()>, "");
static_assert(kSame<decltype(&List::unlock), void (List::*)()>, "");
static_assert(kSame<decltype(&List::find_entry_by_token), Entry *(List::*)(PTO2TaskId)>, "");
static_assert(
    kSame<decltype(&List::drain_aicore_completion_mailbox_locked), int32_t (List::*)(Mailbox *, Sink &, int32_t &)>,
    "");
static_assert(kSame<decltype(&List::append_condition_locked),
                    bool (List::*)(Entry &, uint64_t, uint64_t, uint32_t, AsyncEngine, int32_t, int32_t &)>,
              "");
static_assert(kSame<decltype(&List::try_inline_complete_locked), bool (List::*)(Sink &, PTO2TaskSlotState &)>, "");
#if STANDIN_TENSORMAP_AND_RINGBUFFER
static_assert(kSame<decltype(&List::reset_for_reuse), void (List::*)()>, "");
#if SIMPLER_SCHED_PROFILING
using PollPass = Result (List::*)(Mailbox *, PTO2SchedulerState *, PTO2TaskSlotState **, int32_t &, int32_t, int);
#else
using PollPass = Result (List::*)(Mailbox *, PTO2SchedulerState *, PTO2TaskSlotState **, int32_t &, int32_t);
#endif
#else
#if SIMPLER_SCHED_PROFILING
using PollPass = Result (List::*)(Mailbox *, PTO2SchedulerState *, int);
#else
using PollPass = Result (List::*)(Mailbox *, PTO2SchedulerState *);
#endif
#endif
static_assert(kSame<decltype(&List::poll_and_complete<false>), PollPass>, "");
static_assert(kSame<decltype(&List::poll_and_complete<true>), PollPass>, "");

// 3.3.
static_assert(kSame<decltype(&counter_poll_op), CompletionPollFn> &&
                  kSame<decltype(&counter_retire_op), CompletionRetireFn>,
              "");
static_assert(kSame<decltype(&sdma_event_record_poll_op), CompletionPollFn>, "");
static_assert(kSame<decltype(&sdma_event_record_retire_op), CompletionRetireFn>, "");
static_assert(kSame<decltype(&completion_backend_ops_for), const CompletionBackendOps *(*)(int)>, "");
static_assert(kSame<decltype(&async_engine_name), const char *(*)(AsyncEngine)>, "");
#if !(STANDIN_ARCH_A5 && STANDIN_TENSORMAP_AND_RINGBUFFER)
static_assert(kSame<decltype(&mailbox_cache_line), uintptr_t (*)(const volatile void *)>, "");
#else
static_assert(kSame<decltype(&urma_event_handle_poll_op), CompletionPollFn>, "");
static_assert(kSame<decltype(&urma_event_handle_retire_op), CompletionRetireFn>, "");
#endif

TEST(Layout, DefaultView) {
    const View view;
    EXPECT_TRUE(view.task_token.is_invalid());
    EXPECT_EQ(view.addr, 0u);
    EXPECT_EQ(view.backend_cookie, 0u);
    EXPECT_EQ(view.expected_value, 0u);
    EXPECT_EQ(view.engine, 0u);
    EXPECT_EQ(view.completion_type, 0);
    EXPECT_EQ(view.kind, 0u);
}

TEST(Layout, DefaultCondition) {
    const Condition condition{};
    EXPECT_EQ(condition.engine, ASYNC_ENGINE_SDMA);
    EXPECT_EQ(condition.completion_type, COMPLETION_TYPE_COUNTER);
    EXPECT_FALSE(condition.satisfied);
    EXPECT_FALSE(condition.retired);
    EXPECT_EQ(condition.counter_addr, nullptr);
    EXPECT_EQ(condition.addr, 0u);
    EXPECT_EQ(condition.backend_cookie, 0u);
    EXPECT_EQ(condition.expected_value, 0u);
}

TEST(Layout, DefaultEntryAndList) {
    const auto list = std::make_unique<List>();
    EXPECT_EQ(list->busy.load(), 0);
    EXPECT_EQ(list->count, 0);
    EXPECT_EQ(list->mpsc_skipped_count.load(), 0u);
    const Entry &entry = list->entries[63];
    EXPECT_EQ(entry.slot_state, nullptr);
    EXPECT_TRUE(entry.task_token.is_invalid());
    EXPECT_EQ(entry.condition_count, 0);
    EXPECT_EQ(entry.waiting_completion_count, 0);
    EXPECT_FALSE(entry.normal_done);
    EXPECT_EQ(entry.conditions[63].counter_addr, nullptr);
    // Of braces too, B6.
    const auto braced = std::unique_ptr<List>(new List{});
    EXPECT_EQ(braced->count, 0);
}

TEST(Layout, DefaultSinkAndResult) {
    Sink sink{};
    EXPECT_EQ(sink.sched, nullptr);
    EXPECT_FALSE(sink.can_inline_complete());
    EXPECT_EQ(sink.inline_completed, 0);
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    EXPECT_EQ(sink.deferred_release_slot_states, nullptr);
    EXPECT_EQ(sink.deferred_release_count, nullptr);
    EXPECT_EQ(sink.deferred_release_capacity, 0);
#else
    EXPECT_EQ(sink.inline_resolved, 0);
    EXPECT_EQ(sink.error_code, 0);
#endif
#if SIMPLER_SCHED_PROFILING
    EXPECT_EQ(sink.thread_idx, 0);
#endif
    const auto scheduler = std::make_unique<PTO2SchedulerState>();
    sink.sched = scheduler.get();
    EXPECT_TRUE(static_cast<const Sink &>(sink).can_inline_complete());

    const auto result = [] { return Result{}; }();
    EXPECT_EQ(result.completed, 0);
    EXPECT_EQ(result.error_code, 0);
    EXPECT_EQ(result.failed_slot_state, nullptr);
#if !STANDIN_TENSORMAP_AND_RINGBUFFER
    EXPECT_EQ(result.resolved, 0);
#endif
}

// The message is at the same time read as a plain image.
TEST(Layout, FieldsOfAPublishedMessageByOffset) {
    mailbox_test::Memory memory;
    Mailbox &mailbox = *memory;
    ASSERT_TRUE(mailbox.try_push_condition(PTO2TaskId{0x1111111111111111}, 0x2222222222222222, 0x3333333333333333,
                                           0x44444444, 0x55555555, 0x66666666));
    ASSERT_TRUE(mailbox.try_push_normal_done(PTO2TaskId{0x7777777777777777}, 0x8888888888888888));
    const auto *const bytes = reinterpret_cast<const unsigned char *>(memory.get());
    const auto word = [bytes](size_t at) {
        uint64_t value;
        std::memcpy(&value, bytes + at, sizeof value);
        return value;
    };
    EXPECT_EQ(word(0), 2u);
    EXPECT_EQ(word(64), 0u);
    EXPECT_EQ(word(128), 1u);
    EXPECT_EQ(word(136), 0x1111111111111111u);
    EXPECT_EQ(word(144), 0x2222222222222222u);
    EXPECT_EQ(word(152), 0x3333333333333333u);
    EXPECT_EQ(word(160), 0x5555555544444444u);
    EXPECT_EQ(word(168), 0x0000000066666666u);
    EXPECT_EQ(word(192), 2u);
    EXPECT_EQ(word(200), 0x7777777777777777u);
    EXPECT_EQ(word(208), 0x8888888888888888u);
    EXPECT_EQ(word(216), 0u);
    EXPECT_EQ(word(224), 0u);
    EXPECT_EQ(word(232), 0x0000000100000000u);
}

TEST(Layout, PushesByTheirSignatures) {
    mailbox_test::Memory memory;
    View view;
    ASSERT_TRUE((memory.get()->*kPushFive)(PTO2TaskId{1}, 2, 3, 4, 5));
    ASSERT_TRUE((memory.get()->*kPushSix)(PTO2TaskId{1}, 2, 6, 3, 4, 5));
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view.backend_cookie, 0u);
    EXPECT_EQ(view.expected_value, 3u);
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view.backend_cookie, 6u);
    EXPECT_EQ(view.expected_value, 3u);
}

// L3: neither a placement-new that value-initialises nor one that does nothing may harm.
TEST(Layout, PlacementNewIsHarmless) {
    alignas(64) static unsigned char bytes[sizeof(Mailbox)];
    std::memset(bytes, 0, sizeof bytes);
    auto *mailbox = new (bytes) Mailbox();
    View view;
    EXPECT_FALSE(mailbox->has_pending());
    EXPECT_FALSE(mailbox->try_pop(view));
    EXPECT_TRUE(mailbox->try_push_normal_done(PTO2TaskId{1}, 2));
    EXPECT_TRUE(mailbox->try_pop(view));
    mailbox = new (bytes) Mailbox{};
    EXPECT_FALSE(mailbox->has_pending());
    EXPECT_TRUE(mailbox->try_push_normal_done(PTO2TaskId{1}, 2));
    EXPECT_TRUE(mailbox->try_pop(view));
    EXPECT_EQ(view.addr, 2u);
}

// B2.
TEST(Layout, AtomicsTakeOrders) {
    mailbox_test::Memory memory;
    memory->head.store(3, std::memory_order_relaxed);
    memory->tail.store(3, std::memory_order_release);
    EXPECT_EQ(memory->head.load(std::memory_order_acquire), 3u);
    EXPECT_EQ(memory->tail.fetch_add(0, std::memory_order_acq_rel), 3u);
    memory->entries[3].seq.store(4, std::memory_order_release);
    EXPECT_EQ(memory->entries[3].seq.load(std::memory_order_acquire), 4u);
}

TEST(Layout, EngineNames) {
    EXPECT_STREQ(async_engine_name(ASYNC_ENGINE_SDMA), "SDMA");
    EXPECT_STREQ(async_engine_name(ASYNC_ENGINE_ROCE), "ROCE");
    EXPECT_STREQ(async_engine_name(ASYNC_ENGINE_URMA), "URMA");
    EXPECT_STREQ(async_engine_name(ASYNC_ENGINE_CCU), "CCU");
    EXPECT_STREQ(async_engine_name(NUM_ASYNC_ENGINES), "UNKNOWN");
    EXPECT_STREQ(async_engine_name(static_cast<AsyncEngine>(7)), "UNKNOWN");
}

TEST(Layout, OpsTable) {
    const CompletionBackendOps *const counter = completion_backend_ops_for(COMPLETION_TYPE_COUNTER);
    ASSERT_NE(counter, nullptr);
    EXPECT_EQ(counter->poll, &counter_poll_op);
    EXPECT_EQ(counter->retire, &counter_retire_op);
    const CompletionBackendOps *const record = completion_backend_ops_for(COMPLETION_TYPE_SDMA_EVENT_RECORD);
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->poll, &sdma_event_record_poll_op);
    EXPECT_EQ(record->retire, &sdma_event_record_retire_op);
#ifdef COMPLETION_TYPE_URMA_EVENT_HANDLE
    const CompletionBackendOps *const handle = completion_backend_ops_for(COMPLETION_TYPE_URMA_EVENT_HANDLE);
    ASSERT_NE(handle, nullptr);
    EXPECT_EQ(handle->poll, &urma_event_handle_poll_op);
    EXPECT_EQ(handle->retire, &urma_event_handle_retire_op);
    constexpr int kLength = 3;
#else
    constexpr int kLength = 2;
#endif
    EXPECT_EQ(completion_backend_ops_for(kLength), nullptr);
    EXPECT_EQ(completion_backend_ops_for(-1), nullptr);
    EXPECT_EQ(completion_backend_ops_for(INT32_MAX), nullptr);
    EXPECT_EQ(completion_backend_ops_for(INT32_MIN), nullptr);
}

#if !(STANDIN_ARCH_A5 && STANDIN_TENSORMAP_AND_RINGBUFFER)
TEST(Layout, CacheLineRoundsDown) {
    EXPECT_EQ(mailbox_cache_line(reinterpret_cast<const void *>(uintptr_t{0})), 0u);
    EXPECT_EQ(mailbox_cache_line(reinterpret_cast<const void *>(uintptr_t{0x103f})), 0x1000u);
    EXPECT_EQ(mailbox_cache_line(reinterpret_cast<const void *>(uintptr_t{0x1040})), 0x1040u);
    EXPECT_EQ(mailbox_cache_line(reinterpret_cast<const void *>(UINTPTR_MAX)), UINTPTR_MAX - 63);
}
#endif

} // namespace
