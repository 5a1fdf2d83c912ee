// Plain C++ reference of the device-side profiling engine, weaknesses included: the control flow by which a producer on
// the control processor hands full buffers to the host and takes empty ones. A subsystem plugs in a `Module` of types,
// constants and static hooks; the engine owns order, barriers and waits.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_AICPU_PROFILER_DEVICE_ENGINE_H_
#define SRC_COMMON_PLATFORM_INCLUDE_AICPU_PROFILER_DEVICE_ENGINE_H_

#include <cstdint>

#include "aicpu/device_time.h"
#include "common/dfx_backpressure_device.h"
#include "common/memory_barrier.h"
#include "common/platform_config.h"

namespace profiling_device {

template <typename Module> struct DeviceProfilerEngine {
    using Context = typename Module::Context;
    using DataHeader = typename Module::DataHeader;
    using State = typename Module::State;
    using FreeQueue = typename Module::FreeQueue;
    using Buffer = typename Module::Buffer;

    // Waits for room in ready queue `thread_idx`. A free slot may be used while the push gate is closed, too.
    static bool wait_for_ready_queue_space(DataHeader *header, int thread_idx, uint32_t *tail_out, uint32_t *head_out) {
        if (header == nullptr || thread_idx < 0 || thread_idx >= PLATFORM_MAX_AICPU_THREADS) {
            return false;
        }
        bool signalled = false;
        const uint64_t start = get_sys_cnt_aicpu();
        while (true) {
            const uint32_t tail = header->queue_tails[thread_idx];
            const uint32_t head = header->queue_heads[thread_idx];
            if ((tail + 1) % Module::kReadyQueueSize != head) {
                *tail_out = tail;
                *head_out = head;
                return true;
            }
            dfx_backpressure::mark_rq_contended(header, &signalled);
            if (get_sys_cnt_aicpu() - start >= Module::kBackpressureWaitCycles) {
                return false;
            }
            SPIN_WAIT_HINT();
        }
    }

    // Waits for a filled slot. An entry is taken whatever the gates say; only an empty queue leads to the pop gate.
    static bool wait_for_free_queue_entry(DataHeader *header, FreeQueue *free_queue, uint32_t *head_out,
                                          uint32_t *tail_out) {
        if (free_queue == nullptr) {
            return false;
        }
        bool signalled = false;
        while (true) {
            const uint32_t head = free_queue->head;
            const uint32_t tail = free_queue->tail;
            if (head != tail) {
                *head_out = head;
                *tail_out = tail;
                rmb(); // The tail is read before the slot it covers.
                return true;
            }
            dfx_backpressure::mark_fq_contended(header, &signalled);
            if (!dfx_backpressure::pop_freeze_barrier(header, Module::kBackpressureWaitCycles)) {
                return false;
            }
        }
    }

    // Publishes a buffer, then parks while the push gate is closed. 0, or -1.
    static int enqueue_ready(Context ctx, uint64_t buffer_ptr, uint32_t buffer_seq) {
        DataHeader *const header = Module::header(ctx);
        const int thread_idx = Module::ready_thread(ctx);
        uint32_t tail = 0;
        uint32_t head = 0;
        if (!wait_for_ready_queue_space(header, thread_idx, &tail, &head)) {
            return -1;
        }
        const uint32_t next = (tail + 1) % Module::kReadyQueueSize;
        Module::write_ready_entry(ctx, tail, buffer_ptr, buffer_seq);
        wmb(); // Records, count and entry before the tail that covers them.
        header->queue_tails[thread_idx] = next;
        if (!dfx_backpressure::push_freeze_barrier(header, Module::kBackpressureWaitCycles)) {
            return -1;
        }
        return 0;
    }

    // Takes slot `head`, which the caller has seen filled, and makes its buffer the active one.
    static Buffer *claim_free(Context ctx, State *state, FreeQueue *free_queue, uint32_t head, uint32_t next_seq) {
        const uint64_t address = free_queue->buffer_ptrs[head % Module::kSlotCount];
        rmb(); // The slot is read before the host may fill it again.
        free_queue->head = head + 1;
        if (address == 0) {
            Module::on_null_free_slot(ctx, state);
            return nullptr;
        }
        Buffer *const buffer = reinterpret_cast<Buffer *>(address);
        Module::set_count(buffer, 0);
        wmb(); // The count is reset before the buffer is the active one.
        Module::set_current_ptr(state, address);
        Module::set_current_seq(state, next_seq);
        Module::on_pop_success(ctx, state, buffer);
        wmb(); // Pointer and sequence number before later records.
        return buffer;
    }

    // Never waits and never signals: at start-up nobody may be there to answer.
    static Buffer *try_pop_free(Context ctx, State *state, uint32_t next_seq) {
        if (state == nullptr) {
            return nullptr;
        }
        FreeQueue *const free_queue = Module::free_queue(state);
        if (free_queue == nullptr) {
            return nullptr;
        }
        const uint32_t head = free_queue->head;
        const uint32_t tail = free_queue->tail;
        if (head == tail) {
            return nullptr;
        }
        rmb();
        return claim_free(ctx, state, free_queue, head, next_seq);
    }

    static Buffer *pop_free(Context ctx, State *state, uint32_t next_seq) {
        if (state == nullptr) {
            return nullptr;
        }
        FreeQueue *const free_queue = Module::free_queue(state);
        uint32_t head = 0;
        uint32_t tail = 0;
        if (!wait_for_free_queue_entry(Module::header(ctx), free_queue, &head, &tail)) {
            return nullptr;
        }
        return claim_free(ctx, state, free_queue, head, next_seq);
    }

    // Publishes before it acquires, so that a pool of one buffer goes round.
    static void switch_buffer(Context ctx, State *state) {
        if (state == nullptr) {
            return;
        }
        const uint64_t address = Module::current_ptr(state);
        if (address == 0) {
            return;
        }
        const uint32_t seq = Module::current_seq(state);
        if (enqueue_ready(ctx, address, seq) != 0) {
            Buffer *const full = reinterpret_cast<Buffer *>(address);
            Module::account_dropped(ctx, state, Module::count(full));
            Module::on_enqueue_failed(ctx, state, full);
            Module::set_count(full, 0);
            wmb();
            return;
        }
        Module::set_current_ptr(state, 0);
        Module::set_current_seq(state, seq + 1);
        Module::on_current_cleared(ctx, state);
        wmb(); // Pointer 0 and the new number are visible before the pop.
        Buffer *const next = pop_free(ctx, state, seq + 1);
        if (next == nullptr) {
            Module::on_no_replacement(ctx, state);
        }
        Module::on_switch_complete(ctx, state, next);
    }
};

} // namespace profiling_device

#endif // SRC_COMMON_PLATFORM_INCLUDE_AICPU_PROFILER_DEVICE_ENGINE_H_
