// The header alone, before any other, with what it must bring along.
#include "aicpu/profiler_device_engine.h"
#include "aicpu/profiler_device_engine.h"

namespace probe {

struct Queue {
    uint64_t buffer_ptrs[SLOTS];
    uint32_t head = 0;
    uint32_t tail = 0;
};
struct Header {
    uint32_t queue_heads[PLATFORM_MAX_AICPU_THREADS] = {};
    uint32_t queue_tails[PLATFORM_MAX_AICPU_THREADS] = {};
    DfxBackpressureHeader backpressure = {0, 0, 0, 0};
};
struct Module {
    struct Context {
        Header *header;
    };
    struct State;
    struct Buffer; // Opaque.
    using DataHeader = Header;
    using FreeQueue = Queue;
    static constexpr uint32_t kReadyQueueSize = 8;
    static constexpr uint32_t kSlotCount = SLOTS;
    static constexpr uint64_t kBackpressureWaitCycles = PLATFORM_DFX_BACKPRESSURE_TIMEOUT_CYCLES;

    static DataHeader *header(Context context) { return context.header; }
    static int ready_thread(Context) { return 0; }
    static FreeQueue *free_queue(State *) { return nullptr; }
    static uint64_t current_ptr(State *) { return 0; }
    static void set_current_ptr(State *, uint64_t) {}
    static uint32_t current_seq(State *) { return 0; }
    static void set_current_seq(State *, uint32_t) {}
    static uint32_t count(Buffer *) { return 0; }
    static void set_count(Buffer *, uint32_t) {}
    static void write_ready_entry(Context, uint32_t, uint64_t, uint32_t) {}
    static void account_dropped(Context, State *, uint32_t) {}
    static void on_pop_success(Context, State *, Buffer *) {}
    static void on_current_cleared(Context, State *) {}
    // What these return is ignored.
    static int on_no_replacement(Context, State *) { return 1; }
    static bool on_null_free_slot(Context, State *) { return false; }
    static void on_enqueue_failed(Context, State *, Buffer *) {}
    static void on_switch_complete(Context, State *, Buffer *) {}
};
using Engine = profiling_device::DeviceProfilerEngine<Module>;

void run(Header *header, Module::State *state) {
    uint32_t head = 0;
    uint32_t tail = 0;
    bool signalled = false;
    (void)Engine::wait_for_ready_queue_space(header, 0, &tail, &head);
    (void)Engine::wait_for_free_queue_entry(header, nullptr, &head, &tail);
    (void)Engine::enqueue_ready({header}, 1, 2);
    (void)Engine::try_pop_free({header}, state, 1);
    (void)Engine::pop_free({header}, state, 1);
    Engine::switch_buffer({header}, state);
    dfx_backpressure::mark_fq_contended(header, &signalled);
    (void)dfx_backpressure::wait_for_release(header, get_sys_cnt_aicpu(), 1);
    SPIN_WAIT_HINT();
    rmb();
    wmb();
}

} // namespace probe
