// Device threads against the host half of the gates (3.4) on a thread of its own. Whatever they do to each other, the
// books balance. Bounded by counts; the clock counts looks.
#include "toys.h"

#include "aicpu/profiler_device_engine.h"
#include "platform_hooks.h"

#include <sched.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>

using namespace device_test;

namespace {

template <typename T> T load(const volatile T &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
template <typename T> void store(volatile T &word, T value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

constexpr uint32_t kRecords = 4; // Of a buffer.

struct Shape {
    size_t buffers_per_lane;
    int delay; // Ticks that the collector keeps a buffer.
    uint32_t records;
};

void PrintTo(const Shape &shape, std::ostream *out) {
    *out << shape.buffers_per_lane << " buffers per lane, kept " << shape.delay << " ticks";
}

using M = Toy<VolatileShape, 4, 2, UINT64_MAX / 2>;
using Engine = profiling_device::DeviceProfilerEngine<M>;

class Platform {
  public:
    Platform() {
        platform_hooks::hooks = {this,
                                 [](void *context) {
                                     auto &platform = *static_cast<Platform *>(context);
                                     const uint64_t now = platform.ticks_.fetch_add(1, std::memory_order_relaxed);
                                     // With fewer processors than threads the host would wait for its turn.
                                     if (now % 16 == 0) {
                                         sched_yield();
                                     }
                                     return now;
                                 },
                                 [](void *) { sched_yield(); }, nullptr};
    }
    ~Platform() { platform_hooks::hooks = {}; }

  private:
    std::atomic<uint64_t> ticks_{1};
};

struct DeviceLane {
    M::FreeQueue free_queue{};
    M::State state{};
    uint32_t total = 0;
    uint32_t dropped = 0; // Without a buffer; the module counts the others.
};

// Records of a lane are numbers that go up by one.
void produce(M::DataHeader *header, DeviceLane &lane, int thread, uint32_t records) {
    const M::Context context{header, thread, M::kMark};
    M::State *const state = &lane.state;
    const auto active = [state] { return reinterpret_cast<M::Buffer *>(state->pointer); };
    for (uint32_t number = 0; number < records; ++number) {
        ++lane.total;
        if (state->pointer == 0 && Engine::pop_free(context, state, state->seq) == nullptr) {
            ++lane.dropped;
            continue;
        }
        if (active()->count == kRecords) {
            Engine::switch_buffer(context, state);
            if (state->pointer == 0) {
                ++lane.dropped;
                continue;
            }
        }
        active()->records[active()->count] = number;
        active()->count = active()->count + 1;
    }
    if (state->pointer != 0 && active()->count != 0) {
        if (Engine::enqueue_ready(context, state->pointer, state->seq) != 0) {
            M::account_dropped(context, state, active()->count);
        }
        state->pointer = 0;
    }
}

class Host {
  public:
    Host(M::DataHeader *header, std::vector<std::unique_ptr<DeviceLane>> &lanes, const Shape &shape)
        : header_(header), lanes_(lanes), delay_(shape.delay), next_seq_(lanes.size()), next_number_(lanes.size()),
          collected_(lanes.size()) {
        spare_.resize(lanes.size());
        for (size_t index = 0; index < shape.buffers_per_lane * lanes.size(); ++index) {
            buffers_.emplace_back();
            spare_[index % lanes.size()].push_back(&buffers_.back());
        }
        top_up();
    }

    void run(const std::atomic<int> &producers) {
        bool last = false;
        while (true) {
            tick();
            if (last) {
                break;
            }
            last = producers.load(std::memory_order_acquire) == 0;
            if (idle_) {
                sched_yield();
            }
        }
    }

    uint64_t collected(size_t lane) const { return collected_[lane]; }
    uint64_t freezes() const { return freezes_; }
    bool whole() const {
        // Every buffer is in one place: here, in a free queue, or active (D10).
        size_t found = held_.size();
        for (const std::deque<M::Buffer *> &spare : spare_) {
            found += spare.size();
        }
        for (const auto &lane : lanes_) {
            found += lane->free_queue.tail - lane->free_queue.head;
            found += lane->state.pointer != 0;
        }
        return found == buffers_.size();
    }

  private:
    struct Held {
        M::Buffer *buffer;
        size_t lane;
        std::array<uint64_t, kRecords> records;
        uint32_t count;
        int age;
    };

    void tick() {
        ++ticks_;
        idle_ = true;
        for (size_t thread = 0; thread < lanes_.size(); ++thread) {
            drain(thread);
        }
        collect();
        check_gates();
        replenish();
        if (!frozen()) {
            top_up();
        }
    }

    void drain(size_t thread) {
        const uint32_t tail = load(header_->queue_tails[thread]);
        uint32_t head = header_->queue_heads[thread];
        ASSERT_LT(tail, M::kReadyQueueSize); // D1
        while (head != tail) {
            const ReadyEntry entry = header_->queues[thread][head];
            head = (head + 1) % M::kReadyQueueSize;
            store(header_->queue_heads[thread], head);
            idle_ = false;
            auto *const buffer = reinterpret_cast<M::Buffer *>(entry.pointer);
            Held held{buffer, thread, {}, buffer->count, ticks_};
            ASSERT_EQ(entry.thread, thread);
            ASSERT_EQ(entry.seq, next_seq_[thread]++); // D9
            ASSERT_LE(held.count, kRecords);
            for (uint32_t record = 0; record < held.count; ++record) {
                held.records[record] = buffer->records[record];
                ASSERT_EQ(held.records[record], next_number_[thread]++); // D3
            }
            collected_[thread] += held.count;
            for (const Held &other : held_) {
                ASSERT_NE(other.buffer, buffer); // D10
            }
            held_.push_back(held);
        }
    }

    // Nothing the host holds may change (D11).
    void collect() {
        while (!held_.empty() && ticks_ - held_.front().age >= delay_) {
            const Held &held = held_.front();
            ASSERT_EQ(held.buffer->count, held.count);
            for (uint32_t record = 0; record < held.count; ++record) {
                ASSERT_EQ(held.buffer->records[record], held.records[record]);
            }
            spare_[held.lane].push_back(held.buffer);
            held_.pop_front();
        }
    }

    bool frozen() const { return ready_frozen_ || free_frozen_; }

    void check_gates() {
        auto &gates = header_->backpressure;
        ASSERT_EQ(load(gates.rq_freeze_active), ready_frozen_ ? 1u : 0u); // D24
        ASSERT_EQ(load(gates.fq_freeze_active), free_frozen_ ? 1u : 0u);
        ASSERT_LE(load(gates.rq_contended), 1u); // D18
        ASSERT_LE(load(gates.fq_contended), 1u);
    }

    void replenish() {
        auto &gates = header_->backpressure;
        open(ready_frozen_, gates.rq_freeze_active, gates.rq_contended);
        open(free_frozen_, gates.fq_freeze_active, gates.fq_contended);
        if (!frozen()) {
            return;
        }
        for (size_t thread = 0; thread < lanes_.size(); ++thread) {
            if (load(header_->queue_tails[thread]) != header_->queue_heads[thread]) {
                return; // D25
            }
        }
        if (top_up()) {
            return;
        }
        if (ready_frozen_) {
            ready_frozen_ = false;
            store(gates.rq_freeze_active, 0u);
        }
        if (free_frozen_) {
            free_frozen_ = false;
            store(gates.fq_freeze_active, 0u);
        }
    }

    void open(bool &is_frozen, volatile uint32_t &freeze, volatile uint32_t &contended) {
        if (!is_frozen && load(contended) != 0) {
            is_frozen = true;
            ++freezes_;
            store(freeze, 1u);
            store(contended, 0u);
        }
    }

    bool top_up() {
        bool pushed = false;
        for (size_t lane = 0; lane < lanes_.size(); ++lane) {
            M::FreeQueue &queue = lanes_[lane]->free_queue;
            std::deque<M::Buffer *> &spare = spare_[lane];
            while (!spare.empty() && queue.tail - load(queue.head) < M::kSlotCount) {
                store(queue.buffer_ptrs[queue.tail % M::kSlotCount], address(spare.front()));
                store(queue.tail, static_cast<uint32_t>(queue.tail + 1));
                spare.pop_front();
                pushed = true;
            }
            EXPECT_LE(queue.tail - load(queue.head), M::kSlotCount); // D5
        }
        return pushed;
    }

    M::DataHeader *const header_;
    std::vector<std::unique_ptr<DeviceLane>> &lanes_;
    const int delay_;
    std::deque<M::Buffer> buffers_;
    std::vector<std::deque<M::Buffer *>> spare_; // Of each lane.
    std::deque<Held> held_;
    std::vector<uint32_t> next_seq_;
    std::vector<uint64_t> next_number_;
    std::vector<uint64_t> collected_;
    uint64_t freezes_ = 0;
    int ticks_ = 0;
    bool idle_ = false;
    bool ready_frozen_ = false;
    bool free_frozen_ = false;
};

class Threads : public ::testing::TestWithParam<Shape> {};

TEST_P(Threads, TheBooksBalance) {
    const Platform platform;
    const auto header = std::make_unique<M::DataHeader>();
    std::vector<std::unique_ptr<DeviceLane>> lanes;
    for (int thread = 0; thread < kThreads; ++thread) {
        lanes.push_back(std::make_unique<DeviceLane>());
        lanes.back()->state.free_queue = &lanes.back()->free_queue;
    }
    Host host(header.get(), lanes, GetParam());
    std::atomic<int> producers{kThreads};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            produce(header.get(), *lanes[static_cast<size_t>(thread)], thread, GetParam().records);
            producers.fetch_sub(1, std::memory_order_release);
        });
    }
    host.run(producers);
    for (std::thread &thread : threads) {
        thread.join();
    }
    for (size_t thread = 0; thread < lanes.size(); ++thread) {
        EXPECT_EQ(lanes[thread]->total, GetParam().records);
        EXPECT_EQ(host.collected(thread) + lanes[thread]->dropped + lanes[thread]->state.dropped, lanes[thread]->total);
        // A host that lives loses nothing.
        EXPECT_EQ(host.collected(thread), lanes[thread]->total);
    }
    EXPECT_TRUE(host.whole());
    if (GetParam().buffers_per_lane == 1) {
        EXPECT_GT(host.freezes(), 0u);
    }
}

INSTANTIATE_TEST_SUITE_P(Pools, Threads,
                         ::testing::Values(Shape{1, 0, 8001}, Shape{1, 3, 4002}, Shape{2, 5, 8003},
                                           Shape{6, 2, 16000}));

} // namespace
