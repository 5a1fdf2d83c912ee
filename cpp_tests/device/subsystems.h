// Modules of the five subsystems' shapes, with the hooks that the table of 1.5 gives them.
#ifndef LANEPIPE_TESTS_DEVICE_SUBSYSTEMS_H_
#define LANEPIPE_TESTS_DEVICE_SUBSYSTEMS_H_

#include "aicpu/profiler_device_engine.h"
#include "common/unified_log.h"
#include "subsystem_layout.h"

#include <algorithm>
#include <cstdint>

namespace subsystems {

// What all have in common. `Own` adds words(state), the entry and what it does differently.
template <typename Own, typename HeaderT, typename StateT, typename QueueT, typename BufferT, typename ContextT>
struct Common {
    using Context = ContextT;
    using DataHeader = HeaderT;
    using State = StateT;
    using FreeQueue = QueueT;
    using Buffer = BufferT;

    static constexpr uint32_t kReadyQueueSize = HeaderT::kReadySize;
    static constexpr uint32_t kSlotCount = sizeof(QueueT::buffer_ptrs) / sizeof(uint64_t);
    static constexpr uint64_t kBackpressureWaitCycles = PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES;

    static HeaderT *header(ContextT context) { return context.header; }
    static int ready_thread(ContextT context) { return context.thread_idx; }
    static QueueT *free_queue(StateT *state) { return &state->free_queue; }
    static uint64_t current_ptr(StateT *state) { return Own::words(state).current_buf_ptr; }
    static void set_current_ptr(StateT *state, uint64_t pointer) { Own::words(state).current_buf_ptr = pointer; }
    static uint32_t current_seq(StateT *state) { return Own::words(state).current_buf_seq; }
    static void set_current_seq(StateT *state, uint32_t seq) { Own::words(state).current_buf_seq = seq; }
    static uint32_t count(BufferT *buffer) { return buffer->count; }
    static void set_count(BufferT *buffer, uint32_t count) { buffer->count = count; }
    static void account_dropped(ContextT, StateT *state, uint32_t count) {
        auto &words = Own::words(state);
        words.dropped_record_count = words.dropped_record_count + count;
    }
    static void on_pop_success(ContextT, StateT *, BufferT *) {}
    static void on_current_cleared(ContextT, StateT *) {}
    static void on_no_replacement(ContextT, StateT *) {}
    static void on_null_free_slot(ContextT, StateT *) {}
    static void on_enqueue_failed(ContextT, StateT *, BufferT *) {}
    static void on_switch_complete(ContextT, StateT *, BufferT *) {}

    static Entry &entry(ContextT context, uint32_t tail) { return context.header->queues[context.thread_idx][tail]; }
    static StateT &words(StateT *state) { return *state; }
};

template <typename BufferT> struct SwimlaneContext {
    SwimlaneHeader *header;
    int thread_idx;
    uint32_t core_index;
    Kind kind;
    BufferT **current_buf; // May be null.
};

// One engine per kind of buffer, all on the same header and pool type.
template <Kind TheKind, typename BufferT>
struct Swimlane : Common<Swimlane<TheKind, BufferT>, SwimlaneHeader, SwimlanePool, FreeQueueOf<4>, BufferT,
                         SwimlaneContext<BufferT>> {
    using Context = SwimlaneContext<BufferT>;
    static constexpr bool kCaches = true;
    static constexpr Kind kKind = TheKind;
    static constexpr bool kPhase = TheKind == Kind::kAicpuSchedPhase || TheKind == Kind::kAicpuOrchPhase;

    static SwimlaneHead &words(SwimlanePool *pool) { return pool->head; }
    static void write_ready_entry(Context context, uint32_t tail, uint64_t pointer, uint32_t seq) {
        Entry &entry = Swimlane::entry(context, tail);
        entry.index = context.core_index;
        entry.kind = static_cast<uint32_t>(context.kind);
        entry.buffer_ptr = pointer;
        entry.buffer_seq = seq;
    }
    static void on_pop_success(Context context, SwimlanePool *, BufferT *buffer) {
        if (context.current_buf != nullptr) {
            *context.current_buf = buffer;
        }
    }
    static void on_current_cleared(Context context, SwimlanePool *) {
        if (context.current_buf != nullptr) {
            *context.current_buf = nullptr;
        }
    }
    static void on_no_replacement(Context, SwimlanePool *) {
        if (kPhase) {
            LOG_WARN("no free phase buffer");
        }
    }
    static void on_enqueue_failed(Context, SwimlanePool *, BufferT *) { LOG_ERROR("swimlane buffer not published"); }
    static void on_switch_complete(Context context, SwimlanePool *, BufferT *next) {
        if (next != nullptr) {
            LOG_INFO("core %u has a new buffer", context.core_index);
        }
    }
};
using SwimlaneTask = Swimlane<Kind::kAicpuTask, TaskBuffer>;
using SwimlaneSched = Swimlane<Kind::kAicpuSchedPhase, SchedBuffer>;
using SwimlaneOrch = Swimlane<Kind::kAicpuOrchPhase, OrchBuffer>;

struct PmuContext {
    PmuHeader *header;
    int thread_idx;
    int core_id;
};
struct Pmu : Common<Pmu, PmuHeader, PmuState, FreeQueueOf<4>, PmuBuffer, PmuContext> {
    static constexpr bool kCaches = false;

    static void write_ready_entry(Context context, uint32_t tail, uint64_t pointer, uint32_t seq) {
        Entry &entry = Pmu::entry(context, tail);
        entry.index = static_cast<uint32_t>(context.core_id);
        entry.buffer_ptr = pointer;
        entry.buffer_seq = seq;
    }
    static void on_enqueue_failed(Context context, PmuState *, PmuBuffer *) {
        LOG_ERROR("core %d: buffer not published", context.core_id);
    }
    static void on_switch_complete(Context context, PmuState *, PmuBuffer *next) {
        if (next != nullptr) {
            LOG_DEBUG("core %d has a new buffer", context.core_id);
        }
    }
};

template <typename HeaderT> struct LaneContext {
    HeaderT *header;
    int thread_idx;
};

struct DepGen : Common<DepGen, DepGenHeader, DepGenState, FreeQueueOf<4>, DepGenBuffer, LaneContext<DepGenHeader>> {
    static constexpr bool kCaches = false;

    static void write_ready_entry(Context context, uint32_t tail, uint64_t pointer, uint32_t seq) {
        Entry &entry = DepGen::entry(context, tail);
        entry.index = 0;
        entry.buffer_ptr = pointer;
        entry.buffer_seq = seq;
    }
    static void on_enqueue_failed(Context, DepGenState *, DepGenBuffer *full) {
        LOG_ERROR("%u records not published", static_cast<unsigned>(full->count));
    }
};

struct ArgsDump : Common<ArgsDump, DumpHeader, DumpState, FreeQueueOf<4>, DumpBuffer, LaneContext<DumpHeader>> {
    static constexpr bool kCaches = true;

    // Per thread and process; init() is that of a launch.
    struct Local {
        DumpBuffer *cached = nullptr;
        uint64_t switches = 0;
        bool warned_replacement = false;
        bool warned_enqueue = false;
    };
    static Local &local(int thread) {
        static Local locals[kThreads];
        return locals[thread];
    }
    static void init() {
        for (size_t thread = 0; thread < kThreads; ++thread) {
            local(static_cast<int>(thread)) = Local{};
        }
    }

    static void write_ready_entry(Context context, uint32_t tail, uint64_t pointer, uint32_t seq) {
        const auto *const buffer = reinterpret_cast<const DumpBuffer *>(pointer);
        const uint32_t count = std::min(uint32_t{buffer->count}, DumpBuffer::kCapacity);
        uint64_t payloads = 0;
        for (uint32_t record = 0; record < count; ++record) {
            payloads += buffer->records[record].kind == 0 && buffer->records[record].payload_size > 0;
        }
        DumpState &state = *states(context);
        state.published_payload_count = state.published_payload_count + payloads;
        wmb();
        Entry &entry = ArgsDump::entry(context, tail);
        entry.index = static_cast<uint32_t>(context.thread_idx);
        entry.buffer_ptr = pointer;
        entry.buffer_seq = seq;
    }
    // States lie behind the header.
    static DumpState *states(Context context) {
        return reinterpret_cast<DumpState *>(context.header + 1) + context.thread_idx;
    }
    static void account_dropped(Context, DumpState *state, uint32_t count) {
        if (state != nullptr && count != 0) {
            const uint32_t old = state->dropped_record_count;
            state->dropped_record_count = count > UINT32_MAX - old ? UINT32_MAX : old + count;
        }
    }
    static void on_pop_success(Context context, DumpState *, DumpBuffer *buffer) {
        local(context.thread_idx).cached = buffer;
    }
    static void on_current_cleared(Context context, DumpState *) { local(context.thread_idx).cached = nullptr; }
    static void on_no_replacement(Context context, DumpState *) {
        if (!local(context.thread_idx).warned_replacement) {
            local(context.thread_idx).warned_replacement = true;
            LOG_WARN("thread %d: no free buffer", context.thread_idx);
        }
    }
    static void on_enqueue_failed(Context context, DumpState *, DumpBuffer *) {
        if (!local(context.thread_idx).warned_enqueue) {
            local(context.thread_idx).warned_enqueue = true;
            LOG_WARN("thread %d: buffer not published", context.thread_idx);
        }
    }
    static void on_switch_complete(Context context, DumpState *, DumpBuffer *) { ++local(context.thread_idx).switches; }
};

struct ScopeStats : Common<ScopeStats, ScopeStatsHeader, ScopeStatsState, FreeQueueOf<8>, ScopeStatsBuffer,
                           LaneContext<ScopeStatsHeader>> {
    static constexpr bool kCaches = false;

    static void write_ready_entry(Context context, uint32_t tail, uint64_t pointer, uint32_t seq) {
        Entry &entry = ScopeStats::entry(context, tail);
        entry.index = 0;
        entry.buffer_ptr = pointer;
        entry.buffer_seq = seq;
    }
};

} // namespace subsystems

#endif // LANEPIPE_TESTS_DEVICE_SUBSYSTEMS_H_
