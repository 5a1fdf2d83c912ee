// The device under load: every producer fills a buffer in each of its periods, and a control thread that has to wait
// holds up all of its producers, of whatever subsystem.
#ifndef LANEPIPE_TESTS_BENCH_FLOOD_DEVICE_H_
#define LANEPIPE_TESTS_BENCH_FLOOD_DEVICE_H_

#include "pipeline.h"

#include <sched.h>

#include <cmath>
#include <numeric>
#include <queue>

namespace bench {

class FloodDevice {
  public:
    struct Result {
        uint64_t published = 0; // buffers
        uint64_t lost = 0;      // buffers' worth of records
        uint64_t parked_ns = 0; // sum over the control threads
        uint64_t signals = 0;   // freezes asked for
        uint64_t elapsed_ns = 0;
        uint32_t rows = 0; // control threads in use
    };

    // `drop`: a control thread never waits; what it cannot hand over or write is lost.
    explicit FloodDevice(bool drop) : drop_(drop) {}

    // Brings the producers of a subsystem whose host has `rows` shards. Single-shard subsystems are the orchestrator's.
    template <typename G> void add(Header<G> &shared, uint32_t rows, double fraction) {
        for (uint32_t instance = 0; instance < G::kInstances; ++instance) {
            if (G::flood(instance) == 0) {
                continue;
            }
            const Producer producer = G::producer(instance, rows);
            auto &free_queue = shared.free_queues[instance];
            auto lane = std::make_unique<Lane>();
            lane->ready_head = &shared.queue_heads[producer.row];
            lane->ready_tail = &shared.queue_tails[producer.row];
            lane->entries = shared.queues[producer.row];
            lane->ready_size = G::kReady;
            lane->free_head = &free_queue.head;
            lane->free_tail = &free_queue.tail;
            lane->slots = free_queue.buffer_ptrs;
            lane->slot_count = G::kSlots;
            lane->gates = &shared.backpressure;
            lane->entry = Entry{0, static_cast<uint32_t>(producer.kind), instance, 0, 0};
            lane->period_ns = 1e9 / (G::flood(instance) * fraction);
            Row &row = rows_[rows == 1 ? kRows - 1 : producer.row];
            row.lanes.push_back(lane.get());
            lanes_.push_back(std::move(lane));
        }
    }

    // Keeps the calling thread, and those that it makes later, off the device's processor, which is the last one: a
    // host thread that shared it would wait while the device polls.
    static bool leave_processor() {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (unsigned cpu = 0; cpu < processor(); ++cpu) {
            CPU_SET(cpu, &set);
        }
        return sched_setaffinity(0, sizeof set, &set) == 0;
    }

    // Plays the device for as long as an infinitely fast host would take `ns`.
    Result run(uint64_t ns) {
        std::thread player([this, ns] {
            // A refusal makes the device late when the host is busy, which shows as time elapsed.
            const sched_param priority{1};
            (void)sched_setscheduler(0, SCHED_FIFO, &priority);
            pin(processor());
            play(static_cast<double>(ns));
        });
        player.join();
        return result_;
    }

  private:
    static unsigned processor() { return std::thread::hardware_concurrency() - 1; }

    struct Lane {
        volatile uint32_t *ready_head;
        volatile uint32_t *ready_tail;
        Entry *entries;
        uint32_t ready_size;
        volatile uint32_t *free_head;
        volatile uint32_t *free_tail;
        volatile uint64_t *slots;
        uint32_t slot_count;
        DfxBackpressureHeader *gates;
        Entry entry; // buffer_ptr 0: none is active
        double period_ns;
        double due_ns;
    };

    struct Later {
        bool operator()(const Lane *a, const Lane *b) const { return a->due_ns > b->due_ns; }
    };

    enum class Step { kFill, kPublish, kPass, kTake };

    // A control thread.
    struct Row {
        std::vector<Lane *> lanes;
        std::priority_queue<Lane *, std::vector<Lane *>, Later> next;
        Lane *at = nullptr; // the lane that hands over
        Step step = Step::kFill;
        double parked_since_ns = -1;
        double shift_ns = 0; // by which waits have put everything off
    };

    static uint32_t load(const volatile uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
    static void store(volatile uint32_t &word, uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

    void play(double ns) {
        for (const auto &lane : lanes_) {
            (void)take(*lane);
        }
        double phase = 0;
        for (Row &row : rows_) {
            result_.rows += row.lanes.empty() ? 0 : 1;
            for (Lane *lane : row.lanes) {
                phase = std::fmod(phase + 0.618, 1.0);
                lane->due_ns = lane->period_ns * phase;
                row.next.push(lane);
            }
        }
        const uint64_t start = now_ns();
        for (double next = 0; next < std::numeric_limits<double>::infinity();) {
            const auto now = static_cast<double>(now_ns() - start);
            next = std::numeric_limits<double>::infinity();
            for (Row &row : rows_) {
                next = std::min(next, advance(row, now, ns));
            }
            // A parked thread looks every few microseconds; one that fills a buffer has nothing to do here.
            const double pause = std::min(next, now + 1e6) - now;
            if (pause > 1000 && next < std::numeric_limits<double>::infinity()) {
                sleep_us(pause * 1e-3);
            }
        }
        result_.elapsed_ns = now_ns() - start;
    }

    // Goes on with what is due; returns when to look again, infinity at the end.
    double advance(Row &row, double now, double end) {
        constexpr double kLookAgainNs = 5000;
        for (;;) {
            if (row.step == Step::kFill) {
                if (row.next.empty()) {
                    return std::numeric_limits<double>::infinity();
                }
                Lane *const lane = row.next.top();
                if (lane->due_ns >= end) {
                    row.next.pop();
                    continue;
                }
                if (lane->due_ns + row.shift_ns > now) {
                    return lane->due_ns + row.shift_ns;
                }
                row.next.pop();
                row.at = lane;
                row.step = lane->entry.buffer_ptr != 0 ? Step::kPublish : Step::kTake;
                result_.lost += lane->entry.buffer_ptr != 0 ? 0 : 1;
            }
            if (!hand_over(row)) {
                if (row.parked_since_ns < 0) {
                    row.parked_since_ns = now;
                }
                return now + kLookAgainNs;
            }
            if (row.parked_since_ns >= 0) {
                row.shift_ns += now - row.parked_since_ns;
                result_.parked_ns += static_cast<uint64_t>(now - row.parked_since_ns);
                row.parked_since_ns = -1;
            }
            row.step = Step::kFill;
            row.at->due_ns += row.at->period_ns;
            row.next.push(row.at);
        }
    }

    // Full buffer out, gate, empty buffer in. False if the thread has to wait.
    bool hand_over(Row &row) {
        Lane &lane = *row.at;
        if (row.step == Step::kPublish) {
            if (!publish(lane)) {
                ask(lane.gates->rq_contended, lane.gates->rq_freeze_active);
                result_.lost += drop_ ? 1 : 0;
                return drop_;
            }
            ++result_.published;
            row.step = Step::kPass;
        }
        if (row.step == Step::kPass) {
            if (load(lane.gates->rq_freeze_active) != 0 && !drop_) {
                return false;
            }
            row.step = Step::kTake;
        }
        if (!take(lane)) {
            ask(lane.gates->fq_contended, lane.gates->fq_freeze_active);
            return drop_;
        }
        return true;
    }

    static bool publish(Lane &lane) {
        const uint32_t tail = *lane.ready_tail;
        const uint32_t next = tail + 1 == lane.ready_size ? 0 : tail + 1;
        if (next == load(*lane.ready_head)) {
            return false;
        }
        lane.entries[tail] = lane.entry;
        store(*lane.ready_tail, next);
        lane.entry.buffer_ptr = 0;
        return true;
    }

    static bool take(Lane &lane) {
        const uint32_t head = *lane.free_head;
        if (head == load(*lane.free_tail)) {
            return false;
        }
        lane.entry.buffer_ptr = lane.slots[head % lane.slot_count];
        store(*lane.free_head, head + 1);
        __atomic_store_n(reinterpret_cast<uint64_t *>(lane.entry.buffer_ptr), uint64_t{head}, __ATOMIC_RELAXED);
        return true;
    }

    // Asks for a freeze unless one is under way.
    void ask(volatile uint32_t &contended, const volatile uint32_t &freeze) {
        if (load(contended) == 0 && load(freeze) == 0) {
            store(contended, 1);
            ++result_.signals;
        }
    }

    const bool drop_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::array<Row, kRows> rows_;
    Result result_;
};

} // namespace bench

#endif // LANEPIPE_TESTS_BENCH_FLOOD_DEVICE_H_
