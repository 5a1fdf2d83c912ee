// Modules without a subsystem behind them, which log every hook they are called by.
#ifndef LANEPIPE_TESTS_DEVICE_TOYS_H_
#define LANEPIPE_TESTS_DEVICE_TOYS_H_

#include "common/dfx_backpressure_device.h"
#include "common/platform_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <ostream>
#include <vector>

namespace device_test {

inline constexpr int kThreads = PLATFORM_MAX_AICPU_THREADS;
inline constexpr uint64_t kLongBudget = PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES;

enum class Hook {
    kHeader,
    kReadyThread,
    kFreeQueue,
    kCurrentPtr,
    kCurrentSeq,
    kCount,
    kWrite,
    kSetCurrentPtr,
    kSetCurrentSeq,
    kSetCount,
    kDropped,
    kPopSuccess,
    kCleared,
    kNoReplacement,
    kNullSlot,
    kEnqueueFailed,
    kComplete,
};

inline bool is_accessor(Hook hook) { return hook <= Hook::kCount; }

inline const char *name(Hook hook) {
    static const char *const names[] = {"header",
                                        "ready_thread",
                                        "free_queue",
                                        "current_ptr",
                                        "current_seq",
                                        "count",
                                        "write_ready_entry",
                                        "set_current_ptr",
                                        "set_current_seq",
                                        "set_count",
                                        "account_dropped",
                                        "on_pop_success",
                                        "on_current_cleared",
                                        "on_no_replacement",
                                        "on_null_free_slot",
                                        "on_enqueue_failed",
                                        "on_switch_complete"};
    return names[static_cast<int>(hook)];
}

// What lay in shared memory when a hook was called.
struct Shot {
    uint32_t ready_tail = 0;
    uint32_t free_head = 0;
    uint64_t pointer = 0;
    uint32_t seq = 0;
};

struct Call {
    Hook hook;
    std::array<uint64_t, 3> arguments;
    Shot shot;

    bool operator==(const Call &other) const { return hook == other.hook && arguments == other.arguments; }
};

inline Call call(Hook hook, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) { return {hook, {a, b, c}, {}}; }

inline void PrintTo(const Call &call, std::ostream *out) {
    *out << name(call.hook) << "(" << std::hex << call.arguments[0] << ", " << call.arguments[1] << ", "
         << call.arguments[2] << ")" << std::dec;
}

// Hooks called since the last clear().
struct Recorder {
    std::vector<Call> calls;
    std::function<Shot()> shoot;
    std::function<void(const Call &)> on_call;

    void add(Hook hook, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
        Call entry = call(hook, a, b, c);
        if (shoot) {
            entry.shot = shoot();
        }
        calls.push_back(entry);
        if (on_call) {
            on_call(entry);
        }
    }
    void clear() { calls.clear(); }
    // Without hooks that only tell the engine something.
    std::vector<Call> effects() const {
        std::vector<Call> found;
        std::copy_if(calls.begin(), calls.end(), std::back_inserter(found),
                     [](const Call &entry) { return !is_accessor(entry.hook); });
        return found;
    }
    size_t times(Hook hook) const {
        return static_cast<size_t>(
            std::count_if(calls.begin(), calls.end(), [hook](const Call &entry) { return entry.hook == hook; }));
    }
    const Call &only(Hook hook) const {
        EXPECT_EQ(times(hook), 1u) << name(hook);
        return *std::find_if(calls.begin(), calls.end(), [hook](const Call &entry) { return entry.hook == hook; });
    }
};

// Where hooks without a context log to.
inline Recorder *&recorder() {
    static Recorder *current = nullptr;
    return current;
}

inline void log(Hook hook, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
    if (recorder() != nullptr) {
        recorder()->add(hook, a, b, c);
    }
}

template <typename T> uint64_t address(const T *pointer) { return reinterpret_cast<uintptr_t>(pointer); }

struct ReadyEntry {
    uint64_t pointer;
    uint32_t seq;
    uint32_t thread;
};

// The three ways in which shared structures are declared.
struct VolatileShape {
    template <uint32_t Ring> struct Header {
        ReadyEntry queues[kThreads][Ring];
        volatile uint32_t queue_heads[kThreads];
        volatile uint32_t queue_tails[kThreads];
        DfxBackpressureHeader backpressure;
    };
    template <uint32_t Slots> struct FreeQueue {
        volatile uint64_t buffer_ptrs[Slots];
        volatile uint32_t head;
        volatile uint32_t tail;
    };
};

struct PlainShape {
    struct Backpressure {
        uint32_t fq_contended;
        uint32_t fq_freeze_active;
        uint32_t rq_contended;
        uint32_t rq_freeze_active;
    };
    template <uint32_t Ring> struct Header {
        Backpressure backpressure;
        uint32_t queue_tails[kThreads];
        uint32_t queue_heads[kThreads];
        ReadyEntry queues[kThreads][Ring];
    };
    template <uint32_t Slots> struct FreeQueue {
        uint32_t tail;
        uint32_t head;
        uint64_t buffer_ptrs[Slots];
    };
};

// No standard layout: initialisers, a base, members of two access levels.
struct DefaultedShape {
    struct Base {
        uint32_t before = 77;
    };
    template <uint32_t Ring> struct Header : Base {
        volatile uint32_t queue_heads[kThreads] = {};
        ReadyEntry queues[kThreads][Ring] = {};
        DfxBackpressureHeader backpressure = {0, 0, 0, 0};
        volatile uint32_t queue_tails[kThreads] = {};

      protected:
        uint32_t after = 78;
    };
    template <uint32_t Slots> struct FreeQueue : Base {
        volatile uint32_t head = 0;
        volatile uint64_t buffer_ptrs[Slots] = {};
        volatile uint32_t tail = 0;
    };
};

// A module that does what all do and logs each hook.
template <typename Shape, uint32_t Ring, uint32_t Slots, uint64_t Budget> struct Toy {
    using DataHeader = typename Shape::template Header<Ring>;
    using FreeQueue = typename Shape::template FreeQueue<Slots>;
    struct Context {
        DataHeader *header;
        int thread;
        uint64_t mark; // Every hook must get it unharmed.
    };
    struct State {
        volatile uint64_t pointer;
        volatile uint32_t seq;
        volatile uint32_t dropped;
        FreeQueue *free_queue;
    };
    struct Buffer {
        uint64_t records[4];
        volatile uint32_t count;
    };

    static constexpr uint32_t kReadyQueueSize = Ring;
    static constexpr uint32_t kSlotCount = Slots;
    static constexpr uint64_t kBackpressureWaitCycles = Budget;
    static constexpr uint64_t kMark = 0x6b72614d2174490a;

    static void check(const Context &context) { EXPECT_EQ(context.mark, kMark); }

    static DataHeader *header(Context context) {
        check(context);
        log(Hook::kHeader);
        return context.header;
    }
    static int ready_thread(Context context) {
        check(context);
        log(Hook::kReadyThread);
        return context.thread;
    }
    static FreeQueue *free_queue(State *state) {
        EXPECT_NE(state, nullptr);
        log(Hook::kFreeQueue);
        return state->free_queue;
    }
    static uint64_t current_ptr(State *state) {
        log(Hook::kCurrentPtr);
        return state->pointer;
    }
    static void set_current_ptr(State *state, uint64_t pointer) {
        log(Hook::kSetCurrentPtr, pointer);
        state->pointer = pointer;
    }
    static uint32_t current_seq(State *state) {
        log(Hook::kCurrentSeq);
        return state->seq;
    }
    static void set_current_seq(State *state, uint32_t seq) {
        log(Hook::kSetCurrentSeq, seq);
        state->seq = seq;
    }
    static uint32_t count(Buffer *buffer) {
        log(Hook::kCount, address(buffer));
        return buffer->count;
    }
    static void set_count(Buffer *buffer, uint32_t count) {
        log(Hook::kSetCount, address(buffer), count);
        buffer->count = count;
    }
    static void write_ready_entry(Context context, uint32_t tail, uint64_t pointer, uint32_t seq) {
        check(context);
        log(Hook::kWrite, tail, pointer, seq);
        context.header->queues[context.thread][tail] = {pointer, seq, static_cast<uint32_t>(context.thread)};
    }
    static void account_dropped(Context context, State *state, uint32_t count) {
        check(context);
        log(Hook::kDropped, address(state), count);
        state->dropped = state->dropped + count;
    }
    static void on_pop_success(Context context, State *state, Buffer *buffer) {
        check(context);
        log(Hook::kPopSuccess, address(state), address(buffer), buffer->count);
    }
    static void on_current_cleared(Context context, State *state) {
        check(context);
        log(Hook::kCleared, address(state));
    }
    static void on_no_replacement(Context context, State *state) {
        check(context);
        log(Hook::kNoReplacement, address(state));
    }
    static void on_null_free_slot(Context context, State *state) {
        check(context);
        log(Hook::kNullSlot, address(state));
    }
    static void on_enqueue_failed(Context context, State *state, Buffer *full) {
        check(context);
        log(Hook::kEnqueueFailed, address(state), address(full), full->count);
    }
    static void on_switch_complete(Context context, State *state, Buffer *next) {
        check(context);
        log(Hook::kComplete, address(state), address(next));
    }
};

using Volatile = Toy<VolatileShape, 8, 4, 1000>;
using Plain = Toy<PlainShape, 8, 4, 1000>;
using Defaulted = Toy<DefaultedShape, 5, 8, kLongBudget>;
using Smallest = Toy<VolatileShape, 2, 1, 1000>;
using Impatient = Toy<VolatileShape, 4, 2, 0>;

} // namespace device_test

#endif // LANEPIPE_TESTS_DEVICE_TOYS_H_
