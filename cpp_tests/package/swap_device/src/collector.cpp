#include "collector.h"

#include "aicpu/profiler_device_engine.h"

namespace {

struct NumberModule {
    struct Context {
        NumberHeader *header;
        int thread;
    };
    using DataHeader = NumberHeader;
    using State = NumberState;
    using FreeQueue = NumberFreeQueue;
    using Buffer = NumberBuffer;
    static constexpr uint32_t kReadyQueueSize = kReadySize;
    static constexpr uint32_t kSlotCount = kSlots;
    static constexpr uint64_t kBackpressureWaitCycles = PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES;

    static DataHeader *header(Context context) { return context.header; }
    static int ready_thread(Context context) { return context.thread; }
    static FreeQueue *free_queue(State *state) { return &state->free_queue; }
    static uint64_t current_ptr(State *state) { return state->current_buf_ptr; }
    static void set_current_ptr(State *state, uint64_t pointer) { state->current_buf_ptr = pointer; }
    static uint32_t current_seq(State *state) { return state->current_buf_seq; }
    static void set_current_seq(State *state, uint32_t seq) { state->current_buf_seq = seq; }
    static uint32_t count(Buffer *buffer) { return buffer->count; }
    static void set_count(Buffer *buffer, uint32_t count) { buffer->count = count; }
    static void write_ready_entry(Context context, uint32_t tail, uint64_t pointer, uint32_t seq) {
        context.header->queues[context.thread][tail] = {pointer, seq};
    }
    static void account_dropped(Context, State *state, uint32_t count) { state->dropped += count; }
    static void on_pop_success(Context, State *, Buffer *) {}
    static void on_current_cleared(Context, State *) {}
    static void on_no_replacement(Context, State *) {}
    static void on_null_free_slot(Context, State *) {}
    static void on_enqueue_failed(Context, State *, Buffer *) {}
    static void on_switch_complete(Context, State *, Buffer *) {}
};

using Engine = profiling_device::DeviceProfilerEngine<NumberModule>;

NumberBuffer *active(const NumberState &state) {
    return reinterpret_cast<NumberBuffer *>(static_cast<uintptr_t>(state.current_buf_ptr));
}

} // namespace

void record_number(NumberHeader &header, NumberState &state, uint32_t number) {
    const NumberModule::Context context{&header, 1};
    ++state.total;
    NumberBuffer *buffer = active(state);
    if (buffer == nullptr) {
        buffer = Engine::try_pop_free(context, &state, state.current_buf_seq);
    } else if (buffer->count >= kRecords) {
        Engine::switch_buffer(context, &state);
        buffer = active(state);
    }
    if (buffer == nullptr || buffer->count >= kRecords) {
        ++state.dropped;
        return;
    }
    buffer->numbers[buffer->count++] = number;
}

void flush_numbers(NumberHeader &header, NumberState &state) {
    NumberBuffer *const buffer = active(state);
    if (buffer == nullptr || buffer->count == 0) {
        return;
    }
    if (Engine::enqueue_ready({&header, 1}, state.current_buf_ptr, state.current_buf_seq) != 0) {
        state.dropped += buffer->count;
    }
    state.current_buf_ptr = 0;
}

const char *collector_engine_by() {
#ifdef LANEPIPE_SWAPPED_DEVICE_ENGINE
    return "lanepipe";
#else
    return "runtime";
#endif
}
