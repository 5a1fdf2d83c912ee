// One lane of a subsystem and the host's hands on it. Everything happens on one thread.
#ifndef LANEPIPE_TESTS_DEVICE_SUPPORT_H_
#define LANEPIPE_TESTS_DEVICE_SUPPORT_H_

#include "aicpu/profiler_device_engine.h"
#include "toys.h"
#include "world.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace device_test {

// One lane of a subsystem, and the host's hands on it.
template <typename M> class Lane {
  public:
    using Module = M;
    using Engine = profiling_device::DeviceProfilerEngine<M>;
    using Buffer = typename M::Buffer;
    static constexpr uint32_t kRing = M::kReadyQueueSize;
    static constexpr uint32_t kSlots = M::kSlotCount;
    static constexpr uint64_t kBudget = M::kBackpressureWaitCycles;

    explicit Lane(int thread = kThreads - 1) : header(new_header()), context{header, thread, M::kMark} {
        state.free_queue = &free_queue;
        recorder() = &record;
        record.shoot = [this] { return Shot{header->queue_tails[queue()], free_queue.head, state.pointer, state.seq}; };
        // About ten looks at the clock make a budget.
        world.step = kBudget / 10 + 1;
    }
    ~Lane() { recorder() = nullptr; }
    Lane(const Lane &) = delete;
    Lane &operator=(const Lane &) = delete;

    World world;
    Recorder record;
    typename M::DataHeader *const header;
    typename M::FreeQueue free_queue{};
    typename M::State state{};
    typename M::Context context;
    std::deque<Buffer> buffers;

    int queue() const { return context.thread < 0 || context.thread >= kThreads ? 0 : context.thread; }
    auto &flags() { return header->backpressure; }

    Buffer *fresh(uint32_t count = 99) {
        buffers.emplace_back();
        buffers.back().count = count;
        return &buffers.back();
    }
    void give(const Buffer *buffer) {
        ASSERT_LT(static_cast<uint32_t>(free_queue.tail - free_queue.head), kSlots);
        free_queue.buffer_ptrs[free_queue.tail % kSlots] = address(buffer);
        free_queue.tail = free_queue.tail + 1;
    }
    Buffer *give_fresh() {
        Buffer *const buffer = fresh();
        give(buffer);
        return buffer;
    }
    Buffer *activate(uint32_t count, uint32_t seq) {
        Buffer *const buffer = fresh(count);
        state.pointer = address(buffer);
        state.seq = seq;
        return buffer;
    }
    void place_ready(uint32_t head, uint32_t tail) {
        header->queue_heads[queue()] = head;
        header->queue_tails[queue()] = tail;
    }
    void fill_ready(uint32_t tail = 0) { place_ready((tail + 1) % kRing, tail); }
    uint32_t pending() { return (header->queue_tails[queue()] + kRing - header->queue_heads[queue()]) % kRing; }
    ReadyEntry take() {
        EXPECT_NE(pending(), 0u);
        const uint32_t head = header->queue_heads[queue()];
        const ReadyEntry entry = header->queues[queue()][head];
        header->queue_heads[queue()] = (head + 1) % kRing;
        return entry;
    }
    ReadyEntry newest() { return header->queues[queue()][(header->queue_tails[queue()] + kRing - 1) % kRing]; }

    std::function<bool()> ready_contended() {
        return [this] { return flags().rq_contended != 0; };
    }
    std::function<bool()> free_contended() {
        return [this] { return flags().fq_contended != 0; };
    }
    // The host's halves of a freeze, in its order.
    void freeze_ready() {
        flags().rq_freeze_active = 1;
        flags().rq_contended = 0;
    }
    void freeze_free() {
        flags().fq_freeze_active = 1;
        flags().fq_contended = 0;
    }
    void release() {
        flags().rq_freeze_active = 0;
        flags().fq_freeze_active = 0;
    }

    bool wait_ready() { return Engine::wait_for_ready_queue_space(header, context.thread, &tail, &head); }
    bool wait_free() { return Engine::wait_for_free_queue_entry(header, &free_queue, &head, &tail); }
    int enqueue(const Buffer *buffer, uint32_t seq) { return Engine::enqueue_ready(context, address(buffer), seq); }
    Buffer *try_pop(uint32_t seq) { return Engine::try_pop_free(context, &state, seq); }
    Buffer *pop(uint32_t seq) { return Engine::pop_free(context, &state, seq); }
    void switch_buffer() { Engine::switch_buffer(context, &state); }

    // Calls that take as long as the budget, counted from `start`; a lane may look at the clock before it begins.
    void expect_one_budget(uint64_t start) {
        EXPECT_GE(world.now - start, kBudget);
        EXPECT_LE(world.now - start, kBudget + 3 * world.step);
    }

    // Addresses do not come back: what an engine may remember of a lane is not what the next case is about.
    static typename M::DataHeader *new_header() {
        static std::deque<typename M::DataHeader> headers;
        headers.emplace_back();
        return &headers.back();
    }

    static constexpr uint32_t kUntouched = 0xdeadbeef;
    uint32_t tail = kUntouched;
    uint32_t head = kUntouched;
};

// A copy of everything shared, to see that nothing was changed.
template <typename M> class Unchanged {
  public:
    explicit Unchanged(Lane<M> &lane)
        : lane_(lane), header_(bytes(*lane.header)), free_queue_(bytes(lane.free_queue)), pointer_(lane.state.pointer),
          seq_(lane.state.seq), dropped_(lane.state.dropped) {}

    void check() const {
        EXPECT_EQ(bytes(*lane_.header), header_);
        EXPECT_EQ(bytes(lane_.free_queue), free_queue_);
        EXPECT_EQ(lane_.state.pointer, pointer_);
        EXPECT_EQ(lane_.state.seq, seq_);
        EXPECT_EQ(lane_.state.dropped, dropped_);
    }

  private:
    template <typename T> static std::vector<unsigned char> bytes(const T &object) {
        const auto *const first = reinterpret_cast<const unsigned char *>(&object);
        return {first, first + sizeof object};
    }

    Lane<M> &lane_;
    std::vector<unsigned char> header_;
    std::vector<unsigned char> free_queue_;
    uint64_t pointer_;
    uint32_t seq_;
    uint32_t dropped_;
};

} // namespace device_test

#endif // LANEPIPE_TESTS_DEVICE_SUPPORT_H_
