// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Drop-in replacement of the C++ runtime's header of the same name. What does not wait stands here, inline, with the
// module's hooks in it; waits go down to lanepipe's device library, which keeps to the same protocol on the same words
// (src/device, whose edges the comments name). Adds no macro.
//
// One operation has one budget for all its waits. A buffer is the host's from the store of the tail on: a push gate
// that does not open in time is no failure of the publication, lanepipe_report() counts it.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_AICPU_PROFILER_DEVICE_ENGINE_H_
#define SRC_COMMON_PLATFORM_INCLUDE_AICPU_PROFILER_DEVICE_ENGINE_H_
#define LANEPIPE_COMPAT_DEVICE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include <lanepipe/lanepipe.h>

#include "aicpu/device_time.h"
#include "common/dfx_backpressure_device.h"
#include "common/memory_barrier.h"
#include "common/platform_config.h"

namespace lanepipe_compat {
namespace device_engine {

// What became of waits and refusals, per translation unit, which is per subsystem. Relaxed: threads that count at once
// may lose a count.
struct Report {
    uint32_t bad_queue;       // no header, or a ready queue index out of range: nothing was touched
    uint32_t ready_timed_out; // no room in the ready queue: not published
    uint32_t gate_timed_out;  // published, and the push gate stayed shut
    uint32_t free_timed_out;  // no free buffer
    uint32_t host_gone; // of the three above: after less than the budget, because the host let an earlier wait time out
};

// Internal to the translation unit: a static member of a template would keep a library that was opened with dlopen from
// being closed. Translation units that share one module of external linkage share one of these, whichever the linker
// takes.
[[maybe_unused]] static Report report;
[[maybe_unused]] static lanepipe_device_latch_t latch;

[[gnu::cold, maybe_unused]] static inline void count(uint32_t &counter) {
    __atomic_store_n(&counter, __atomic_load_n(&counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

// The meaning of SPIN_WAIT_HINT depends on the translation unit.
[[maybe_unused]] static inline void relax(void *) { SPIN_WAIT_HINT(); }
[[maybe_unused]] static inline uint64_t now(void *) { return get_sys_cnt_aicpu(); }

// Address of a field of shared memory, which may be declared volatile or plain.
template <typename Word, typename Field> inline Word *address_of(Field &field) {
    static_assert(std::is_integral<Field>::value && sizeof(Field) == sizeof(Word), "a field of the engine's width");
    return reinterpret_cast<Word *>(const_cast<std::remove_cv_t<Field> *>(std::addressof(field)));
}

template <typename Field> inline uint32_t load_own(const Field &field) {
    return __atomic_load_n(std::addressof(field), __ATOMIC_RELAXED);
}
template <typename Field> inline uint32_t load_acquire(const Field &field) {
    return __atomic_load_n(std::addressof(field), __ATOMIC_ACQUIRE);
}
template <typename Field> inline void store_release(Field &field, uint32_t value) {
    __atomic_store_n(std::addressof(field), value, __ATOMIC_RELEASE);
}

// One budget for all waits of an operation; nothing of it is used before something is waited for.
struct Spent {
    // Whether a host that let an earlier wait time out is waited for less.
    bool latched = true;
    uint64_t start = 0;
    uint32_t state = LANEPIPE_DEVICE_WAIT_FRESH;

    template <typename Step> bool run(uint64_t budget, uint32_t &counter, Step step) {
        lanepipe_device_wait_t wait{};
        wait.struct_size = sizeof wait;
        wait.state = state;
        wait.budget = budget;
        wait.start = start;
        wait.now = &now;
        wait.relax = &relax;
        wait.latch = latched ? &latch : nullptr;
        const lanepipe_status_t status = step(&wait);
        state = wait.state;
        start = wait.start;
        if (status == LANEPIPE_OK) {
            return true;
        }
        count(counter);
        if (state == LANEPIPE_DEVICE_WAIT_HOST_GONE) {
            count(report.host_gone);
        }
        return false;
    }
};

} // namespace device_engine
} // namespace lanepipe_compat

namespace profiling_device {

template <typename Module> struct DeviceProfilerEngine {
    using Context = typename Module::Context;
    using DataHeader = typename Module::DataHeader;
    using State = typename Module::State;
    using FreeQueue = typename Module::FreeQueue;
    using Buffer = typename Module::Buffer;
    using Spent = lanepipe_compat::device_engine::Spent;

    static_assert(Module::kSlotCount != 0 && (Module::kSlotCount & (Module::kSlotCount - 1)) == 0,
                  "kSlotCount must be a power of two: indices run freely and wrap at 2^32");
    static_assert(Module::kReadyQueueSize >= 2, "one entry of a ready queue stays empty");

    // Waits for room in the ready queue of a thread: its tail, where the next entry goes, and the head that was seen.
    // False, and nothing stored, without a header, for an index out of range, or when the budget is over, which this
    // wait always has whole.
    static bool wait_for_ready_queue_space(DataHeader *header, int thread_idx, uint32_t *tail_out, uint32_t *head_out) {
        Spent spent{false};
        return lanepipe_wait_ready(header, thread_idx, tail_out, head_out, spent);
    }

    // Waits for a slot in a free queue: its index and the tail that was seen. False, and nothing stored, without a
    // queue, with an empty one and no header, or when the budget is over, which this wait always has whole.
    static bool wait_for_free_queue_entry(DataHeader *header, FreeQueue *free_queue, uint32_t *head_out,
                                          uint32_t *tail_out) {
        Spent spent{false};
        return lanepipe_wait_free(header, free_queue, head_out, tail_out, spent);
    }

    // Publishes a buffer. 0: it is the host's. -1: nothing was published.
    static int enqueue_ready(Context ctx, uint64_t buffer_ptr, uint32_t buffer_seq) {
        Spent spent;
        return lanepipe_enqueue(ctx, buffer_ptr, buffer_seq, spent) ? 0 : -1;
    }

    // Takes the slot at `head`, which a wait or a look gave, and makes its buffer the active one.
    static Buffer *claim_free(Context ctx, State *state, FreeQueue *free_queue, uint32_t head, uint32_t next_seq) {
        namespace detail = lanepipe_compat::device_engine;
        // Relaxed: the tail was acquired.
        const uint64_t address = __atomic_load_n(
            detail::address_of<uint64_t>(free_queue->buffer_ptrs[head % Module::kSlotCount]), __ATOMIC_RELAXED);
        rmb();
        // [device.F2] Release: pairs with [layout.F2]; the slot was read.
        detail::store_release(free_queue->head, head + 1);
        if (address == 0) {
            Module::on_null_free_slot(ctx, state);
            return nullptr;
        }
        Buffer *buffer = reinterpret_cast<Buffer *>(static_cast<uintptr_t>(address));
        Module::set_count(buffer, 0);
        wmb();
        Module::set_current_ptr(state, address);
        Module::set_current_seq(state, next_seq);
        Module::on_pop_success(ctx, state, buffer);
        wmb();
        return buffer;
    }

    // Takes a buffer if one is there; never waits, signals nobody.
    static Buffer *try_pop_free(Context ctx, State *state, uint32_t next_seq) {
        namespace detail = lanepipe_compat::device_engine;
        if (state == nullptr) {
            return nullptr;
        }
        FreeQueue *free_queue = Module::free_queue(state);
        if (free_queue == nullptr) {
            return nullptr;
        }
        const uint32_t head = detail::load_own(free_queue->head);
        // [device.F1] Acquire: pairs with [layout.F1] before the slot is read.
        if (detail::load_acquire(free_queue->tail) == head) {
            return nullptr;
        }
        rmb();
        return claim_free(ctx, state, free_queue, head, next_seq);
    }

    // Takes a buffer, and waits for one if need be.
    static Buffer *pop_free(Context ctx, State *state, uint32_t next_seq) {
        Spent spent;
        return lanepipe_pop(ctx, state, next_seq, spent);
    }

    // Hands the active buffer to the host and takes another.
    static void switch_buffer(Context ctx, State *state) {
        Spent spent;
        lanepipe_switch(ctx, state, spent);
    }

    // Hands an active buffer with records to the host; nothing is active afterwards, and the sequence number has
    // advanced if it was published. False if its records were lost. An empty one stays active.
    static bool flush(Context ctx, State *state) {
        if (state == nullptr) {
            return true;
        }
        rmb();
        const uint64_t address = Module::current_ptr(state);
        if (address == 0 || Module::count(lanepipe_buffer(address)) == 0) {
            return true;
        }
        const uint32_t seq = Module::current_seq(state);
        Spent spent;
        const bool published = lanepipe_enqueue(ctx, address, seq, spent);
        if (!published) {
            lanepipe_give_up(ctx, state, lanepipe_buffer(address));
        }
        lanepipe_clear(ctx, state, published ? seq + 1 : seq);
        return published;
    }

    // Appends one record: `write(Buffer *, uint32_t index)` fills it, `index` is below `capacity`. False if it is
    // counted as dropped. The caller counts attempts.
    template <typename Write> static bool record(Context ctx, State *state, uint32_t capacity, Write write) {
        if (state == nullptr) {
            return false;
        }
        Spent spent;
        if (lanepipe_has_room(ctx, state, capacity, spent)) {
            Buffer *buffer = lanepipe_buffer(Module::current_ptr(state));
            const uint32_t index = Module::count(buffer);
            if (index < capacity) {
                write(buffer, index);
                wmb();
                Module::set_count(buffer, index + 1);
                return true;
            }
        }
        Module::account_dropped(ctx, state, 1);
        return false;
    }

    // The first buffer of a run if one is there, with sequence number 0; otherwise nothing is active. Never waits.
    // Forgets what an earlier run's host was taken for.
    static Buffer *init(Context ctx, State *state) {
        if (state == nullptr) {
            return nullptr;
        }
        lanepipe_forget_host();
        Buffer *buffer = try_pop_free(ctx, state, 0);
        if (buffer == nullptr) {
            lanepipe_clear(ctx, state, 0);
        }
        return buffer;
    }

    // The end of a run: as flush. An empty buffer stays active, for the host to find.
    static bool finalize(Context ctx, State *state) { return flush(ctx, state); }

    // Counts of waits in vain; see Report.
    static const lanepipe_compat::device_engine::Report &lanepipe_report() {
        return lanepipe_compat::device_engine::report;
    }

    // Forgets that a host was taken for dead.
    static void lanepipe_forget_host() { (void)lanepipe_device_latch_clear(&lanepipe_compat::device_engine::latch); }

    // The rest is the engine's own.

    static Buffer *lanepipe_buffer(uint64_t address) {
        return reinterpret_cast<Buffer *>(static_cast<uintptr_t>(address));
    }

    static bool lanepipe_wait_ready(DataHeader *header, int thread_idx, uint32_t *tail_out, uint32_t *head_out,
                                    Spent &spent) {
        namespace detail = lanepipe_compat::device_engine;
        if (header == nullptr || thread_idx < 0 || thread_idx >= static_cast<int>(PLATFORM_MAX_AICPU_THREADS)) {
            detail::count(detail::report.bad_queue);
            return false;
        }
        const uint32_t tail = detail::load_own(header->queue_tails[thread_idx]);
        // [device.R2] Acquire: pairs with [layout.D2]; the host has read the entry that is filled next.
        const uint32_t head = detail::load_acquire(header->queue_heads[thread_idx]);
        if (__builtin_expect(lanepipe_after(tail) == head, 0)) {
            return lanepipe_wait_ready_slow(header, thread_idx, tail_out, head_out, spent);
        }
        *tail_out = tail;
        *head_out = head;
        return true;
    }

    static uint32_t lanepipe_after(uint32_t tail) { return tail + 1 >= Module::kReadyQueueSize ? 0 : tail + 1; }

    static bool lanepipe_wait_free(DataHeader *header, FreeQueue *free_queue, uint32_t *head_out, uint32_t *tail_out,
                                   Spent &spent) {
        namespace detail = lanepipe_compat::device_engine;
        if (free_queue == nullptr) {
            return false;
        }
        const uint32_t head = detail::load_own(free_queue->head);
        // [device.F1] Acquire: pairs with [layout.F1] before the slot is read.
        const uint32_t tail = detail::load_acquire(free_queue->tail);
        if (__builtin_expect(tail == head, 0)) {
            return lanepipe_wait_free_slow(header, free_queue, head_out, tail_out, spent);
        }
        *head_out = head;
        *tail_out = tail;
        rmb();
        return true;
    }

    static bool lanepipe_enqueue(Context ctx, uint64_t buffer_ptr, uint32_t buffer_seq, Spent &spent) {
        namespace detail = lanepipe_compat::device_engine;
        DataHeader *header = Module::header(ctx);
        const int thread_idx = Module::ready_thread(ctx);
        uint32_t tail = 0;
        uint32_t head = 0;
        if (!lanepipe_wait_ready(header, thread_idx, &tail, &head, spent)) {
            return false;
        }
        Module::write_ready_entry(ctx, tail, buffer_ptr, buffer_seq);
        wmb();
        // [device.R1] Release: pairs with [layout.D1]; carries the entry, the records and their count.
        detail::store_release(header->queue_tails[thread_idx], lanepipe_after(tail));
        // [device.G2] Acquire: pairs with [layout.G2].
        if (__builtin_expect(detail::load_acquire(header->backpressure.rq_freeze_active) != 0, 0)) {
            lanepipe_push_gate_slow(header, spent);
        }
        rmb();
        return true;
    }

    static Buffer *lanepipe_pop(Context ctx, State *state, uint32_t next_seq, Spent &spent) {
        if (state == nullptr) {
            return nullptr;
        }
        DataHeader *header = Module::header(ctx);
        FreeQueue *free_queue = Module::free_queue(state);
        uint32_t head = 0;
        uint32_t tail = 0;
        if (!lanepipe_wait_free(header, free_queue, &head, &tail, spent)) {
            return nullptr;
        }
        return claim_free(ctx, state, free_queue, head, next_seq);
    }

    // Publishing comes before acquiring, so that a pool of one buffer does.
    static void lanepipe_switch(Context ctx, State *state, Spent &spent) {
        if (state == nullptr) {
            return;
        }
        const uint64_t address = Module::current_ptr(state);
        if (address == 0) {
            return;
        }
        const uint32_t seq = Module::current_seq(state);
        if (!lanepipe_enqueue(ctx, address, seq, spent)) {
            lanepipe_give_up(ctx, state, lanepipe_buffer(address));
            wmb();
            return;
        }
        lanepipe_clear(ctx, state, seq + 1);
        Buffer *replacement = lanepipe_pop(ctx, state, seq + 1, spent);
        if (replacement == nullptr) {
            Module::on_no_replacement(ctx, state);
        }
        Module::on_switch_complete(ctx, state, replacement);
    }

    // The records of a buffer that was not published are lost; it is empty now.
    static void lanepipe_give_up(Context ctx, State *state, Buffer *full) {
        Module::account_dropped(ctx, state, Module::count(full));
        Module::on_enqueue_failed(ctx, state, full);
        Module::set_count(full, 0);
    }

    static void lanepipe_clear(Context ctx, State *state, uint32_t next_seq) {
        Module::set_current_ptr(state, 0);
        Module::set_current_seq(state, next_seq);
        Module::on_current_cleared(ctx, state);
        wmb();
    }

    // Whether there is an active buffer, with room unless no replacement for a full one was to be had.
    static bool lanepipe_has_room(Context ctx, State *state, uint32_t capacity, Spent &spent) {
        if (Module::current_ptr(state) == 0) {
            return lanepipe_pop(ctx, state, Module::current_seq(state), spent) != nullptr;
        }
        if (Module::count(lanepipe_buffer(Module::current_ptr(state))) < capacity) {
            return true;
        }
        lanepipe_switch(ctx, state, spent);
        return Module::current_ptr(state) != 0 ||
               lanepipe_pop(ctx, state, Module::current_seq(state), spent) != nullptr;
    }

    static lanepipe_device_gates_t lanepipe_gates(DataHeader *header) {
        namespace detail = lanepipe_compat::device_engine;
        lanepipe_device_gates_t gates{};
        gates.struct_size = sizeof gates;
        // As many as there are, where the header of a test has fewer.
        constexpr size_t kHeads = std::extent<std::remove_reference_t<decltype(header->queue_heads)>>::value;
        gates.head_count = kHeads != 0 && kHeads < static_cast<size_t>(PLATFORM_MAX_AICPU_THREADS)
                               ? static_cast<uint32_t>(kHeads)
                               : static_cast<uint32_t>(PLATFORM_MAX_AICPU_THREADS);
        gates.heads = detail::address_of<uint32_t>(header->queue_heads[0]);
        gates.push_freeze = detail::address_of<uint32_t>(header->backpressure.rq_freeze_active);
        gates.push_contended = detail::address_of<uint32_t>(header->backpressure.rq_contended);
        gates.pop_freeze = detail::address_of<uint32_t>(header->backpressure.fq_freeze_active);
        gates.pop_contended = detail::address_of<uint32_t>(header->backpressure.fq_contended);
        return gates;
    }

    [[gnu::cold, gnu::noinline]] static bool
    lanepipe_wait_ready_slow(DataHeader *header, int thread_idx, uint32_t *tail_out, uint32_t *head_out, Spent &spent) {
        namespace detail = lanepipe_compat::device_engine;
        const lanepipe_device_gates_t gates = lanepipe_gates(header);
        lanepipe_device_ready_t ready{};
        ready.struct_size = sizeof ready;
        ready.size = Module::kReadyQueueSize;
        ready.head = detail::address_of<uint32_t>(header->queue_heads[thread_idx]);
        ready.tail = detail::address_of<uint32_t>(header->queue_tails[thread_idx]);
        return spent.run(Module::kBackpressureWaitCycles, detail::report.ready_timed_out,
                         [&](lanepipe_device_wait_t *wait) {
                             return lanepipe_device_ready_begin(&ready, &gates, wait, tail_out, head_out);
                         });
    }

    [[gnu::cold, gnu::noinline]] static bool lanepipe_wait_free_slow(DataHeader *header, FreeQueue *free_queue,
                                                                     uint32_t *head_out, uint32_t *tail_out,
                                                                     Spent &spent) {
        namespace detail = lanepipe_compat::device_engine;
        if (header == nullptr) {
            detail::count(detail::report.bad_queue);
            return false;
        }
        const lanepipe_device_gates_t gates = lanepipe_gates(header);
        lanepipe_device_free_t free{};
        free.struct_size = sizeof free;
        free.slot_count = Module::kSlotCount;
        free.head = detail::address_of<uint32_t>(free_queue->head);
        free.tail = detail::address_of<uint32_t>(free_queue->tail);
        free.slots = detail::address_of<uint64_t>(free_queue->buffer_ptrs[0]);
        return spent.run(Module::kBackpressureWaitCycles, detail::report.free_timed_out,
                         [&](lanepipe_device_wait_t *wait) {
                             return lanepipe_device_free_begin(&free, &gates, wait, head_out, tail_out);
                         });
    }

    // Whatever comes of it, the buffer is published.
    [[gnu::cold, gnu::noinline]] static void lanepipe_push_gate_slow(DataHeader *header, Spent &spent) {
        namespace detail = lanepipe_compat::device_engine;
        const lanepipe_device_gates_t gates = lanepipe_gates(header);
        spent.run(Module::kBackpressureWaitCycles, detail::report.gate_timed_out,
                  [&](lanepipe_device_wait_t *wait) { return lanepipe_device_push_gate(&gates, wait); });
    }
};

} // namespace profiling_device

#endif // SRC_COMMON_PLATFORM_INCLUDE_AICPU_PROFILER_DEVICE_ENGINE_H_
