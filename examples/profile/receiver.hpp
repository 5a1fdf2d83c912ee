// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Where records arrive: compares each with the event that it stands for.
#ifndef PROFILE_RECEIVER_HPP_
#define PROFILE_RECEIVER_HPP_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "contents.hpp"
#include "load.hpp"
#include "records.hpp"

namespace profile {

// What arrived from one instance. Positions tell what is missing, whatever device and collector say.
struct ReceivedBooks {
    uint64_t records = 0;  // good ones
    uint64_t damaged = 0;  // not what the event said
    uint64_t repeated = 0; // came a second time, or out of order
    uint64_t missing = 0;  // positions passed over
    uint64_t next = 0;     // position that is due
    uint64_t recovered = 0;
    uint64_t buffers = 0;
    uint64_t bytes = 0;
    uint64_t payloads = 0;
    uint64_t payloads_lost = 0;

    uint64_t arrived() const { return records + damaged + repeated; }
};

class Receiver {
  public:
    Receiver(const Contents &contents, uint64_t slow_ms);

    // Where a subsystem's collector delivers, as lanepipe::Collector wants it. One call at a time for an instance.
    class Sink {
      public:
        void take(const lanepipe_records_t &records);

      private:
        friend class Receiver;
        Receiver *receiver_ = nullptr;
        uint32_t subsystem_ = 0;
    };
    Sink &sink(uint32_t subsystem) { return sinks_[subsystem]; }

    // For any thread.
    uint64_t progress() const { return progress_.load(std::memory_order_relaxed); }

    // Nothing comes any more: what is incomplete stays so.
    void finish();

    // After the end.
    const ReceivedBooks &books(uint32_t flow, uint32_t instance) const { return instances_[flow][instance]->books; }
    // Records of instances or kinds that there are none of.
    uint64_t strangers() const { return strangers_; }

  private:
    // Follows a control thread's arguments: they come of the tasks of many cores.
    struct Arguments {
        std::unique_ptr<EventSource> source;
        Event event;
        uint32_t argument = 0;
        uint64_t position = 0;
        bool has_event = false;

        bool seek(uint64_t wanted);
    };

    // A submit of several slots whose rest is due.
    struct Chain {
        Contents::Submit submit;
        uint64_t token = 0;
        uint32_t given = 0;      // dependencies seen
        bool is_counted = false; // its first slot, as a good record
    };

    struct alignas(128) Instance {
        ReceivedBooks books;
        uint32_t last_sequence = 0;
        Arguments arguments;
        Chain chain;
    };

    void take(uint32_t flow, const lanepipe_records_t &records);
    void check(uint32_t flow, uint32_t index, const unsigned char *record, const lanepipe_payload_t *payload);
    bool is_due(uint64_t position, ReceivedBooks &books) const;
    bool matches(uint32_t flow, const Event &event, uint64_t position, const unsigned char *record) const;
    bool matches_submit(Chain &chain, const Event &event, uint64_t position, const DepGenRecord &record) const;
    // The submit's further slots are over: if some are due, its first one was not what the event said.
    static void close_chain(Instance &instance);
    bool matches_overflow(Chain &chain, const DepGenOverflow &record) const;
    bool matches_argument(Instance &instance, uint64_t position, const ArgsDumpRecord &record,
                          const lanepipe_payload_t *payload) const;

    const Contents &contents_;
    uint64_t slow_ms_;
    std::array<Sink, kSubsystems> sinks_;
    std::array<std::vector<std::unique_ptr<Instance>>, kFlows> instances_;
    std::atomic<uint64_t> progress_{0};
    std::atomic<uint64_t> strangers_{0};
};

} // namespace profile

#endif // PROFILE_RECEIVER_HPP_
