// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The host's end of the pipeline: interprets ready entries, and checks every record of every buffer that arrives.
#ifndef REPLAY_COLLECTOR_HPP_
#define REPLAY_COLLECTOR_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lanepipe/lanepipe.hpp"

#include "layout.hpp"
#include "load.hpp"
#include "shared.hpp"
#include "trace.hpp"

namespace replay {

// Travels with a buffer from the drain thread to the collect thread.
struct Payload {
    void *host;
    uint64_t published_ns;
    uint32_t instance;
    uint32_t records;
    uint32_t buffer_sequence;
    uint32_t queue;
};
static_assert(sizeof(Payload) == 32);

// What became of one instance's records, seen from the collector. Sequence numbers tell what is missing, whatever the
// device says.
struct CollectedBooks {
    uint64_t buffers = 0;
    uint64_t records = 0;  // good ones
    uint64_t missing = 0;  // gaps in the sequence
    uint64_t mismatch = 0; // damaged, or not the record that belongs there
    uint64_t repeated = 0; // came a second time, or out of order
    uint64_t next = 0;     // sequence number that is due
};

class Collector {
  public:
    struct Config {
        Region region;
        uint32_t shards = 1;
        uint32_t capacities[kKinds]{};
        uint64_t slow_ms = 0;
        double trace_ns_per_cycle = 0;
    };

    Collector(const Config &config, const Load &load, Trace &trace);

    // The handler of lanepipe::Profiler.
    void resolve(uint32_t queue, const lanepipe_entry_t *entries, size_t count, lanepipe::Sites<Payload> sites);
    void collect(uint32_t shard, const lanepipe_buffer_t *buffers, const Payload *payloads, size_t count);

    // For any thread.
    uint64_t progress() const;

    // The rest is for after the end.
    const CollectedBooks &books(uint32_t instance) const { return books_[instance]; }
    Histogram latency() const;
    uint64_t bytes() const;
    uint64_t malformed() const { return malformed_; }
    uint32_t owner(uint32_t instance) const { return owners_[instance]; }

  private:
    // State of one shard's collect thread, on lines of its own.
    struct alignas(128) Shard {
        std::atomic<uint64_t> records{0};
        uint64_t bytes = 0;
        Histogram latency;
        TraceSink *trace = nullptr;
        TraceSink *drain_trace = nullptr;
        uint64_t next_span = 0;
    };

    bool acceptable(uint32_t queue, const ReadyEntry &entry, const lanepipe_entry_t &seen) const;
    void check(const Payload &payload, uint32_t kind, Shard &shard);
    void trace_record(uint32_t instance, const unsigned char *record, Shard &shard, uint32_t shard_index);

    Config config_;
    std::vector<uint32_t> owners_;
    std::vector<CollectedBooks> books_; // each entry belongs to the shard of its owner
    std::vector<std::unique_ptr<Shard>> shards_;
    std::atomic<uint64_t> malformed_{0};
};

} // namespace replay

#endif // REPLAY_COLLECTOR_HPP_
