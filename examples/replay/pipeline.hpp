// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The host side: device memory, pool and profiler for one run, from the first allocation to the last release.
#ifndef REPLAY_PIPELINE_HPP_
#define REPLAY_PIPELINE_HPP_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lanepipe/lanepipe.hpp"

#include "collector.hpp"
#include "device_memory.hpp"
#include "host_threads.hpp"
#include "layout.hpp"
#include "log_printer.hpp"
#include "options.hpp"

namespace replay {

// Buffers found at the device by walking all places where it can hold one.
struct DeviceWalk {
    uint64_t in_free_queues = 0;
    uint64_t current = 0;
    uint64_t in_ready_queues = 0;
    uint64_t unknown = 0;   // addresses that are no buffer of the pool
    uint64_t duplicate = 0; // in two places
    uint64_t corrupt = 0;   // queues whose indices make no sense
    std::vector<uint64_t> left_in_queue;

    uint64_t total() const { return in_free_queues + current + in_ready_queues; }
};

class Pipeline {
  public:
    // `memory` and `collector` outlive the pipeline.
    Pipeline(const Region &region, const Options &options, uint32_t shards, DeviceMemory &memory, Collector &collector);
    ~Pipeline();

    // Bytes of device memory that open() needs.
    static uint64_t memory_needed(const Region &region, const Options &options);
    static uint32_t capacity(const Options &options, uint32_t kind);

    // Each is false, with a message, if it fails.
    bool open(std::string &error);
    bool start(std::string &error);
    bool stop(std::string &error);

    // The device's own view of the region.
    void *device_region() const { return memory_.at(reinterpret_cast<uintptr_t>(region_dev_)); }

    // After stop().
    bool audit(lanepipe::Audit &audit, DeviceWalk &walk, std::string &error);
    lanepipe::QueueStats queue_stats(uint32_t queue) const;
    lanepipe::ShardStats shard_stats(uint32_t shard) const;
    lanepipe::Fault fault() const;

    // Gives everything back; false if the pool keeps something.
    bool close(std::string &error);

    uint32_t shards() const { return shards_; }
    uint64_t seeded_buffers() const { return seeded_; }
    const ThreadUsages &usages() const { return usages_; }
    uint64_t log_messages() const { return log_.messages(); }

  private:
    bool create_pool(std::string &error);
    bool seed(uint32_t instance, std::string &error);
    bool create_profiler(std::string &error);
    void note(uint64_t dev, uint64_t &place, DeviceWalk &walk, std::vector<bool> &seen) const;

    Region region_;
    Options options_;
    uint32_t shards_;
    DeviceMemory &memory_;
    Collector &collector_;
    LogPrinter log_;
    ThreadUsages usages_;
    HostThreads threads_;
    void *region_dev_ = nullptr;
    RegionView view_; // as the host sees it
    void *region_host_ = nullptr;
    uint64_t seeded_ = 0;
    std::array<uint32_t, kKinds> seeded_by_kind_{};
    lanepipe::Pool<Payload> pool_;
    lanepipe::Profiler profiler_; // gone before the pool
};

} // namespace replay

#endif // REPLAY_PIPELINE_HPP_
