// SPDX-License-Identifier: MIT OR Apache-2.0
#include "device.hpp"

#include <algorithm>
#include <cstring>

#include "shared.hpp"

namespace replay {
namespace {

// A lane parked at a freeze, or waiting for a ready slot, gives up after this time. A wait for a free buffer has no
// such bound in the protocol; the demonstrator's own limit ends it if the pipeline is stuck.
constexpr uint64_t kBackstopNs = 30'000'000'000u;

// A device thread has a processor of its own, a simulated one shares it with the host: it yields first, then naps.
void relax(uint32_t round) {
    if (round < 64) {
        std::this_thread::yield();
    } else {
        sleep_ns(20000);
    }
}

// The kinds whose full buffer is handed over by the record that fills it; others wait for the next record.
constexpr bool switches_when_filled(uint32_t kind) { return kind == kTask; }

} // namespace

void WaitStats::add(uint64_t ns, bool gave_up) {
    ++count;
    total_ns += ns;
    max_ns = std::max(max_ns, ns);
    given_up += gave_up ? 1 : 0;
}

void WaitStats::add(const WaitStats &other) {
    count += other.count;
    total_ns += other.total_ns;
    max_ns = std::max(max_ns, other.max_ns);
    given_up += other.given_up;
}

DeviceThread::DeviceThread(const Region &region, const DeviceConfig &config, const Load &load, uint32_t thread,
                           DeviceMemory &memory, RegionView view, TraceSink &trace)
    : region_(region), config_(config), clock_hz_(load.clock_hz), thread_(thread), memory_(memory), view_(view),
      trace_(trace), lanes_(region.instances()) {
    for (uint32_t core = 0; core < region.cores; ++core) {
        if (load.core_to_thread[core] == thread) {
            own(region.task_instance(core));
            own(region.aicore_instance(core));
        }
    }
    own(region.sched_instance(thread));
    if (thread + 1 == region.threads) {
        own(region.orch_instance());
    }
}

void DeviceThread::own(uint32_t instance) {
    Lane &lane = lanes_[instance];
    lane.state = &view_.instance(instance);
    lane.instance = instance;
    lane.kind = region_.kind_of(instance);
    lane.capacity = config_.capacities[lane.kind];
}

void DeviceThread::run(EventSource &source, uint64_t start_ns) {
    const uint64_t begin = now_ns();
    const double ns_per_cycle = 1e9 / static_cast<double>(clock_hz_) / config_.speed;
    Event event;
    while (source.next(event)) {
        if (config_.recorded_pace) {
            const uint64_t due =
                start_ns + static_cast<uint64_t>(static_cast<double>(event.recorded_at()) * ns_per_cycle);
            for (uint64_t now = now_ns(); now < due; now = now_ns()) {
                sleep_ns(due - now);
            }
        }
        record(event);
    }
    for (Lane &lane : lanes_) {
        if (lane.state != nullptr) {
            flush(lane);
        }
    }
    run_ns_ = now_ns() - begin;
    finished_.store(true, std::memory_order_release);
}

void DeviceThread::record(const Event &event) {
    switch (event.type) {
    case Event::kTaskEvent:
        append(region_.aicore_instance(event.unit), AicoreRecord{event.start, event.end, event.token, 0, 0});
        append(region_.task_instance(event.unit), TaskRecord{event.dispatch, event.finish, event.token, 0, 0});
        break;
    case Event::kSchedEvent:
        append(
            region_.sched_instance(event.unit),
            SchedRecord{event.start, event.end, event.loop, event.phase, event.tasks, event.hit, event.miss, {}, 0, 0});
        break;
    case Event::kOrchEvent:
        append(region_.orch_instance(), OrchRecord{event.start, event.end, event.token, 0, 0});
        break;
    default: // other subsystems' records
        break;
    }
}

template <typename Record> void DeviceThread::append(uint32_t instance, Record record) {
    Lane &lane = lanes_[instance];
    record.sequence = static_cast<uint32_t>(lane.books.produced++);
    lane.state->head.total_records = lane.books.produced;
    progress_.store(progress_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);

    if (lane.buffer != nullptr && lane.count == lane.capacity) {
        switch_buffer(lane);
    }
    if (lane.buffer == nullptr && !pop_free(lane)) {
        ++lane.books.dropped_records;
        lane.state->head.dropped_records = lane.books.dropped_records;
        return;
    }
    if (lane.count == lane.capacity) {
        // The full buffer could not be handed over in time and nothing took its place.
        ++lane.books.dropped_records;
        lane.state->head.dropped_records = lane.books.dropped_records;
        return;
    }
    if (lane.count == 0 && trace_.on) {
        lane.filling_since_ns = now_ns();
    }
    record.checksum = record_checksum(instance, &record, sizeof(Record));
    auto *records = reinterpret_cast<unsigned char *>(lane.buffer + 1);
    std::memcpy(records + size_t{lane.count} * sizeof(Record), &record, sizeof(Record));
    lane.buffer->count = ++lane.count;
    if (switches_when_filled(lane.kind) && lane.count == lane.capacity) {
        switch_buffer(lane);
    }
}

// Publishing comes first, so that a pool of one buffer rotates for ever.
void DeviceThread::switch_buffer(Lane &lane) {
    const uint64_t begin = now_ns();
    if (publish(lane)) {
        pop_free(lane);
    }
    ++switches_;
    switch_ns_ += now_ns() - begin;
}

// Hands the current buffer over. False if that failed: its contents are dropped and it stays the current one.
bool DeviceThread::publish(Lane &lane) {
    Gates &gates = view_.gates();
    const uint32_t tail = view_.queue_tail(thread_); // written by this thread only
    const uint32_t next = (tail + 1) % region_.ready_slots;
    const auto has_slot = [&] { return load_acquire(view_.queue_head(thread_)) != next; };
    if (!has_slot()) {
        if (!config_.drop) {
            store_release(gates.rq_contended, 1);
        }
        if (config_.drop || stuck_ || !wait(has_slot, ready_waits_, "wait for a ready slot")) {
            stuck_ = true;
            drop_contents(lane);
            return false;
        }
    }
    // The instant is taken before the tail moves: from then on the host may be faster than this thread.
    const uint64_t now = now_ns();
    view_.queue(thread_)[tail] =
        ReadyEntry{lane.instance, lane.kind, lane.buffer_dev, lane.buffer_sequence, lane.count, now};
    store_release(view_.queue_tail(thread_), next);
    trace_.span(kDeviceProcess, fill_track(lane.instance), lane.filling_since_ns, now, "fill", "fill", "records",
                lane.count);
    trace_.instant(kDeviceProcess, device_thread_track(thread_), now, "publish", "switch", "instance", lane.instance);

    const auto open = [&] { return load_acquire(gates.rq_freeze_active) == 0; };
    if (!open() && !wait(open, freeze_waits_, "parked at the push gate")) {
        // The protocol's device half goes on as if it had not published.
        drop_contents(lane);
        return false;
    }
    lane.books.published_records += lane.count;
    ++lane.books.published_buffers;
    ++lane.buffer_sequence;
    lane.count = 0;
    lane.buffer = nullptr;
    lane.buffer_dev = 0;
    store_release(lane.state->head.current_buf_ptr, uint64_t{0});
    lane.state->head.current_buf_sequence = lane.buffer_sequence;
    return true;
}

// Takes an empty buffer as the current one. False if there is none, or none in time.
bool DeviceThread::pop_free(Lane &lane) {
    if (try_pop_free(lane)) {
        return true;
    }
    if (config_.drop || stuck_) {
        return false;
    }
    Gates &gates = view_.gates();
    store_release(gates.fq_contended, 1);
    const auto open = [&] { return load_acquire(gates.fq_freeze_active) == 0; };
    const auto popped = [&] { return open() && try_pop_free(lane); };
    stuck_ = !wait(popped, free_waits_, "wait for a free buffer");
    return !stuck_;
}

bool DeviceThread::try_pop_free(Lane &lane) {
    FreeQueue &queue = lane.state->free_queue;
    const uint32_t head = queue.head; // written by this thread only
    if (load_acquire(queue.tail) == head) {
        return false;
    }
    const uint64_t dev = load_acquire(queue.slots[head % kSlotCount]);
    store_release(queue.head, head + 1);
    lane.buffer = static_cast<BufferHeader *>(memory_.at(dev));
    if (lane.buffer == nullptr) {
        ++lane.books.null_slots;
        return false;
    }
    lane.buffer->count = 0;
    lane.count = 0;
    lane.buffer_dev = dev;
    store_release(lane.state->head.current_buf_ptr, dev);
    return true;
}

void DeviceThread::drop_contents(Lane &lane) {
    lane.books.dropped_records += lane.count;
    ++lane.books.dropped_buffers;
    lane.state->head.dropped_records = lane.books.dropped_records;
    lane.count = 0;
    lane.buffer->count = 0;
}

// Hands over what the instance still holds; an empty buffer stays with the device.
void DeviceThread::flush(Lane &lane) {
    if (lane.buffer != nullptr && lane.count != 0) {
        publish(lane);
    }
}

// Waits until `ready()`. The limits are those of the protocol and of the demonstrator, whichever is shorter.
template <typename Ready> bool DeviceThread::wait(Ready &&ready, WaitStats &stats, const char *name) {
    const bool bounded = &stats != &free_waits_;
    const uint64_t limit = bounded ? std::min(kBackstopNs, config_.stall_limit_ns) : config_.stall_limit_ns;
    const uint64_t begin = now_ns();
    bool good = ready();
    uint64_t now = begin;
    for (uint32_t round = 0; !good && now - begin < limit; ++round) {
        relax(round);
        good = ready();
        now = now_ns();
    }
    stats.add(now - begin, !good);
    trace_.span(kDeviceProcess, device_thread_track(thread_), begin, now, name, "wait");
    return good;
}

Device::Device(const Region &region, const DeviceConfig &config, const Load &load, DeviceMemory &memory,
               void *region_memory, Trace &trace) {
    trace.name_process(kDeviceProcess, "device");
    for (uint32_t thread = 0; thread < region.threads; ++thread) {
        trace.name_track(kDeviceProcess, device_thread_track(thread), "control thread " + std::to_string(thread));
        threads_.push_back(std::make_unique<DeviceThread>(region, config, load, thread, memory,
                                                          RegionView(region, region_memory), trace.add_sink()));
    }
    for (uint32_t i = 0; i < region.instances(); ++i) {
        const uint32_t kind = region.kind_of(i);
        trace.name_track(kDeviceProcess, fill_track(i),
                         std::string(kKindNames[kind]) + " buffer " + std::to_string(region.unit_of(i)));
    }
}

Device::~Device() { join(); }

void Device::start(Load &load) {
    start_ns_ = now_ns();
    for (size_t i = 0; i < threads_.size(); ++i) {
        DeviceThread *thread = threads_[i].get();
        EventSource *source = load.sources[i].get();
        running_.emplace_back([thread, source, start = start_ns_] { thread->run(*source, start); });
    }
}

void Device::join() {
    for (std::thread &thread : running_) {
        thread.join();
    }
    running_.clear();
}

bool Device::finished() const {
    return std::all_of(threads_.begin(), threads_.end(), [](const auto &thread) { return thread->finished(); });
}

uint64_t Device::progress() const {
    uint64_t sum = 0;
    for (const auto &thread : threads_) {
        sum += thread->progress();
    }
    return sum;
}

} // namespace replay
