// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The simulated device: control threads that fill buffers and hand them over as the device half of the protocol says.
#ifndef REPLAY_DEVICE_HPP_
#define REPLAY_DEVICE_HPP_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "device_memory.hpp"
#include "layout.hpp"
#include "load.hpp"
#include "trace.hpp"

namespace replay {

struct DeviceConfig {
    bool recorded_pace = false;
    double speed = 1.0;
    bool drop = false;             // drop instead of waiting
    uint64_t stall_limit_ns = 0;   // a wait that lasts longer is given up
    uint32_t capacities[kKinds]{}; // records in a buffer
};

// Waits at one kind of obstacle.
struct WaitStats {
    uint64_t count = 0;
    uint64_t total_ns = 0;
    uint64_t max_ns = 0;
    uint64_t given_up = 0;

    void add(uint64_t ns, bool gave_up);
    void add(const WaitStats &other);
};

// What became of one instance's records and buffers, seen from the device.
struct DeviceBooks {
    uint64_t produced = 0;
    uint64_t dropped_records = 0;
    uint64_t dropped_buffers = 0; // times a buffer's contents were dropped as a whole
    uint64_t published_records = 0;
    uint64_t published_buffers = 0;
    uint64_t null_slots = 0;
};

// One control thread and the instances that it owns.
class DeviceThread {
  public:
    DeviceThread(const Region &region, const DeviceConfig &config, const Load &load, uint32_t thread,
                 DeviceMemory &memory, RegionView view, TraceSink &trace);

    // Body of the thread. `start_ns` is the instant at which the program begins.
    void run(EventSource &source, uint64_t start_ns);

    // For any thread, while running.
    uint64_t progress() const { return progress_.load(std::memory_order_relaxed); }
    bool finished() const { return finished_.load(std::memory_order_acquire); }

    // The rest is for after the end.
    const DeviceBooks &books(uint32_t instance) const { return lanes_[instance].books; }
    const WaitStats &ready_waits() const { return ready_waits_; }
    const WaitStats &free_waits() const { return free_waits_; }
    const WaitStats &freeze_waits() const { return freeze_waits_; }
    uint64_t switches() const { return switches_; }
    uint64_t switch_ns() const { return switch_ns_; }
    uint64_t run_ns() const { return run_ns_; }

  private:
    // Device-private state of an instance, valid for those that this thread owns.
    struct Lane {
        InstanceState *state = nullptr;
        uint32_t instance = 0;
        uint32_t kind = 0;
        uint32_t capacity = 0;
        uint32_t count = 0;
        uint32_t buffer_sequence = 0;
        BufferHeader *buffer = nullptr;
        uint64_t buffer_dev = 0;
        uint64_t filling_since_ns = 0;
        DeviceBooks books;
    };

    void own(uint32_t instance);
    void record(const Event &event);
    template <typename Record> void append(uint32_t instance, Record record);
    void switch_buffer(Lane &lane);
    bool publish(Lane &lane);
    bool pop_free(Lane &lane);
    bool try_pop_free(Lane &lane);
    void drop_contents(Lane &lane);
    void flush(Lane &lane);
    template <typename Ready> bool wait(Ready &&ready, WaitStats &stats, const char *name);

    Region region_;
    DeviceConfig config_;
    uint64_t clock_hz_;
    uint32_t thread_;
    DeviceMemory &memory_;
    RegionView view_;
    TraceSink &trace_;
    std::vector<Lane> lanes_; // by instance
    WaitStats ready_waits_;
    WaitStats free_waits_;
    WaitStats freeze_waits_;
    // Gave up once and waits no more, so that a stuck pipeline does not cost a wait for each record.
    bool stuck_ = false;
    uint64_t switches_ = 0;
    uint64_t switch_ns_ = 0;
    uint64_t run_ns_ = 0;
    std::atomic<uint64_t> progress_{0};
    std::atomic<bool> finished_{false};
};

// All control threads.
class Device {
  public:
    Device(const Region &region, const DeviceConfig &config, const Load &load, DeviceMemory &memory,
           void *region_memory, Trace &trace);
    ~Device();

    void start(Load &load);
    void join();
    bool finished() const;
    uint64_t progress() const;
    uint64_t start_ns() const { return start_ns_; }

    const std::vector<std::unique_ptr<DeviceThread>> &threads() const { return threads_; }

  private:
    std::vector<std::unique_ptr<DeviceThread>> threads_;
    std::vector<std::thread> running_;
    uint64_t start_ns_ = 0;
};

} // namespace replay

#endif // REPLAY_DEVICE_HPP_
