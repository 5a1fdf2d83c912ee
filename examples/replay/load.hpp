// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the device is to do: for each control thread a stream of events in time order.
#ifndef REPLAY_LOAD_HPP_
#define REPLAY_LOAD_HPP_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "options.hpp"
#include "shared.hpp"

namespace replay {

struct Load {
    std::string name;
    std::string arch;
    uint64_t clock_hz = 0;
    uint32_t threads = 0;
    uint32_t cores = 0;
    std::vector<uint32_t> core_to_thread;
    std::vector<std::unique_ptr<EventSource>> sources; // one for each thread
    uint64_t planned_records = 0;
};

Load recorded_load(const Run &run, uint64_t loops);
Load synthetic_load(const Options &options);

} // namespace replay

#endif // REPLAY_LOAD_HPP_
