// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The simulated device: control threads and cores that record through the device half, in the order of the runtime's
// scheduler.
#ifndef PROFILE_DEVICE_HPP_
#define PROFILE_DEVICE_HPP_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "contents.hpp"
#include "counter_registers.hpp"
#include "load.hpp"
#include "options.hpp"
#include "records.hpp"

namespace profile {

// Where the host put a subsystem: device addresses, as launch arguments carry them.
struct Launch {
    uint64_t base = 0;
    uint64_t table = 0;
};

// One instance's records, as the thread that makes them counts.
struct Tally {
    uint64_t offered = 0;
    uint64_t mismatch = 0;
};

// Time in which a thread waited for the host.
struct Parked {
    uint64_t count = 0;
    uint64_t total_ns = 0;
    uint64_t max_ns = 0;

    void add(const Parked &other);
};

class Device;

// One control thread, with the cores that it owns.
class ControlThread {
  public:
    ControlThread(Device &device, uint32_t index);

    // Body of the thread. `start_ns` is the instant at which the program begins.
    void run(uint64_t start_ns);

    // For any thread, while running.
    uint64_t progress() const { return progress_.load(std::memory_order_relaxed); }
    bool finished() const { return finished_.load(std::memory_order_acquire); }

    // After the end.
    const lanepipe_device_losses_t &losses(uint32_t subsystem) const { return ends_[subsystem].losses; }
    const Parked &parked(uint32_t subsystem) const { return parked_[subsystem]; }
    uint64_t run_ns() const { return run_ns_; }

  private:
    // The clock of the waits; notes when one began.
    struct Clock {
        uint64_t ns_per_tick = 1;
        uint32_t rounds = 0; // of the wait that goes on
        uint64_t since_ns = 0;
    };

    static uint64_t now(void *clock);
    static void relax(void *clock);

    template <typename Call> lanepipe_status_t hook(uint32_t subsystem, Call &&call);
    // The same for a record, which is counted.
    template <typename Call> void record(uint32_t flow, uint32_t instance, Call &&call);
    bool wait_for(const Event &event, uint64_t start_ns, uint64_t number) const;
    bool is_in_flight(const Event &event) const;
    void handle(const Event &event);
    void dispatch(const Event &task);
    void finish(const Event &task);
    void dump_arguments(const Event &task);
    void append_counters(const Event &task, uint64_t position);
    void schedule(const Event &phase);
    void submit(const Event &event);
    void scope(const Event &event);
    void prepare_orchestrator();
    void flush_scheduler();
    void end_cores();
    void flush_orchestrator();
    void end_orchestrator();
    bool is_orchestrator() const;

    Device &device_;
    uint32_t index_;
    std::vector<int32_t> cores_;
    Clock clock_;
    std::array<lanepipe_device_thread_t, kSubsystems> ends_;
    std::array<Parked, kSubsystems> parked_;
    std::array<uint64_t, kFlows> positions_{}; // of flows that are the thread's own
    Contents::Submit submit_;
    uint64_t in_flight_ = 0; // tasks
    bool is_over_ = false;   // the program, before its last event
    uint64_t run_ns_ = 0;
    std::atomic<uint64_t> progress_{0};
    std::atomic<bool> finished_{false};
};

class Device {
  public:
    // `payloads` is device memory that holds what Contents says.
    Device(const Contents &contents, const Options &options, const std::array<Launch, kSubsystems> &launches,
           uint64_t payloads);
    ~Device();

    // What the leading control thread does before the others record. False, with a message, if it is refused.
    bool init(std::string &error);
    void start();
    // Waits for all threads; the subsystems are off afterwards.
    void join();
    bool finished() const;
    uint64_t progress() const;
    uint64_t start_ns() const { return start_ns_; }

    // After the end.
    const Tally &tally(uint32_t flow, uint32_t instance) const { return tallies_[flow][instance]; }
    const ControlThread &thread(uint32_t index) const { return *threads_[index]; }
    // Cores whose counters were not programmed as the events' table says, or not restored before the core's exit.
    uint64_t misprogrammed() const { return misprogrammed_; }
    // Calls that told neither success nor loss, and what the last of them told.
    uint64_t refusals() const { return refusals_; }
    lanepipe_status_t last_refusal() const { return last_refusal_; }

  private:
    friend class ControlThread;

    // A core, and what its control thread keeps of it. Only that thread touches it.
    struct alignas(128) Core {
        Core(const Arch &arch, uint32_t index) : registers(arch, index) {}

        lanepipe_swimlane_core_t stream;
        lanepipe_swimlane_aicore_t local;
        lanepipe_pmu_core_t counters;
        uint64_t head = 0;                  // in the rotation table
        uint64_t staging = 0;               // the core's ring
        std::array<uint64_t, 4> reserved{}; // records of tasks in flight, by the core's number of the task
        uint64_t dispatched = 0;
        uint64_t finished = 0;
        AicoreRecord record{};   // of the last finished task
        bool has_record = false; // which is not committed yet
        CounterRegisters registers;
    };

    static uint32_t read_register(void *device, uint64_t base, uint32_t offset);
    static void write_register(void *device, uint64_t base, uint32_t offset, uint32_t value);

    bool has(uint32_t subsystem) const { return options_.has(subsystem); }
    lanepipe_device_region_t region(uint32_t subsystem) const;
    void note_refusal(lanepipe_status_t status);
    // Of a call that has no reason to tell anything but success.
    void expect_ok(lanepipe_status_t status);
    // The core: writes the record that it owes, if any.
    void commit_record(Core &core);

    const Contents &contents_;
    const Load &load_;
    const Options &options_;
    std::array<Launch, kSubsystems> launches_;
    uint64_t payloads_;
    lanepipe_swimlane_t swimlane_{};
    lanepipe_pmu_t pmu_{};
    lanepipe_dep_gen_t dep_gen_{};
    lanepipe_args_dump_t args_dump_{};
    lanepipe_scope_stats_t scope_stats_{};
    lanepipe_pmu_registers_t registers_{};
    std::vector<std::unique_ptr<Core>> cores_;
    std::array<std::vector<Tally>, kFlows> tallies_;
    std::atomic<uint64_t> refusals_{0};
    std::atomic<lanepipe_status_t> last_refusal_{LANEPIPE_OK};
    std::atomic<uint64_t> misprogrammed_{0};
    std::vector<std::unique_ptr<ControlThread>> threads_;
    std::vector<std::thread> running_;
    uint64_t start_ns_ = 0;
};

} // namespace profile

#endif // PROFILE_DEVICE_HPP_
