// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the device is to do: for each control thread its events in time order, and for each instance the events that its
// records stand for.
#ifndef PROFILE_LOAD_HPP_
#define PROFILE_LOAD_HPP_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arch.hpp"
#include "options.hpp"
#include "records.hpp"

namespace profile {

struct Load {
    using Streams = std::vector<std::shared_ptr<const Stream>>;

    std::string name;
    const Arch *arch = nullptr;
    uint64_t base_cycle = 1; // where the counter stands when the program begins; never 0
    uint32_t threads = 0;
    uint32_t cores = 0;
    std::vector<uint32_t> core_to_thread;
    std::vector<bool> is_cube; // by core
    double cycles_per_ns = 0;  // pace; 0: as fast as possible
    uint64_t limit_ns = 0;     // 0: until all events are made

    // A thread's events, dispatches among them. By thread; several streams are merged by time.
    std::vector<Streams> programs;
    // One stream for each core, scheduler, orchestrator; null where there is nothing.
    Streams tasks;
    Streams phases;
    std::shared_ptr<const Stream> orchestrations;
    std::shared_ptr<const Stream> submits;
    std::shared_ptr<const Stream> scopes;

    uint32_t schedulers() const { return threads - 1; }
    uint32_t orchestrator() const { return threads - 1; }
    uint32_t instances(uint32_t flow) const;
    // Ready queue of an instance.
    uint32_t owner(uint32_t flow, uint32_t instance) const;
    // The events behind an instance's records; null for arguments, which come of many cores' tasks, and where there are
    // none.
    const Stream *stream(uint32_t flow, uint32_t instance) const;
    // A new reader of a thread's events.
    std::unique_ptr<EventSource> source(uint32_t thread) const;
};

// Each is false, with a message of one line, if the architecture has no room for it.
bool recorded_load(const Run &run, const Options &options, Load &load, std::string &error);
bool flood_load(const Options &options, Load &load, std::string &error);

} // namespace profile

#endif // PROFILE_LOAD_HPP_
