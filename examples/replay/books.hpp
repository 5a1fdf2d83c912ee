// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The books of one run: what the device, the pipeline and the collector each counted, and whether it agrees.
#ifndef REPLAY_BOOKS_HPP_
#define REPLAY_BOOKS_HPP_

#include <cstdint>
#include <string>
#include <vector>

#include "lanepipe/lanepipe.hpp"

#include "collector.hpp"
#include "device.hpp"
#include "host_threads.hpp"
#include "pipeline.hpp"
#include "shared.hpp"

namespace replay {

// Records and buffers of one kind on one lane (control thread).
struct LaneBooks {
    uint32_t thread = 0;
    uint32_t kind = 0;
    uint64_t produced = 0;
    uint64_t collected = 0;
    uint64_t dropped_device = 0; // no free buffer, or no ready slot
    uint64_t dropped_host = 0;   // published, but rejected or not to be copied for good
    uint64_t mismatch = 0;
    uint64_t repeated = 0;
    uint64_t buffers_published = 0;
    uint64_t buffers_collected = 0;
    uint64_t buffers_dropped = 0;

    uint64_t dropped() const { return dropped_device + dropped_host; }
    bool balanced() const { return collected + dropped() + mismatch == produced; }
    void add(const LaneBooks &other);
};

struct Outcome {
    std::string name;
    std::string arch;
    bool shadow = false;
    uint32_t threads = 0;
    uint32_t cores = 0;
    uint32_t shards = 0;
    uint64_t planned_records = 0;

    std::vector<LaneBooks> lanes;
    LaneBooks total;
    std::vector<lanepipe::QueueStats> queues;
    std::vector<lanepipe::ShardStats> shard_stats;
    lanepipe::Fault fault;
    lanepipe::Audit audit;
    DeviceWalk walk;

    uint64_t run_ns = 0;  // program's begin to the last record collected
    uint64_t stop_ns = 0; // of that, in the pipeline's stop
    uint64_t bytes = 0;
    Histogram latency;
    std::vector<ThreadUsage> usages;
    WaitStats ready_waits;
    WaitStats free_waits;
    WaitStats freeze_waits;
    uint64_t device_ns = 0; // sum over control threads
    uint64_t switches = 0;
    uint64_t switch_ns = 0;
    uint64_t seeded = 0;
    uint64_t allocations = 0;
    uint64_t copies = 0;
    uint64_t copied_bytes = 0;
    uint64_t failed_copies = 0;
    uint64_t malformed = 0;

    std::vector<std::string> findings; // why the books do not balance
    bool balanced() const { return findings.empty(); }
};

// Takes the counts after the pipeline has stopped.
void take_books(const Region &region, const Device &device, const Collector &collector, const Pipeline &pipeline,
                Outcome &outcome);

// Compares them; fills `findings`.
void check_books(const Region &region, const Device &device, const Collector &collector, Outcome &outcome);

} // namespace replay

#endif // REPLAY_BOOKS_HPP_
