// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the user asks for.
#ifndef PROFILE_OPTIONS_HPP_
#define PROFILE_OPTIONS_HPP_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common_options.hpp"
#include "records.hpp"

namespace profile {

struct Options : demo::CommonOptions {
    enum Memory { kByArch, kSvm, kShadow };

    std::array<bool, kSubsystems> subsystems = {true, true, true, true, true};
    uint32_t level = 4; // of the swimlane

    // Load
    bool recorded_pace = false;
    double speed = 1.0;
    uint64_t loops = 1;
    double flood = 0; // 0: recorded runs
    std::string arch = "a2a3";
    uint32_t cores = 0;   // 0: by arch
    uint32_t threads = 0; // 0: by arch
    double seconds = 0;   // 0: until all events are made
    uint64_t events = 1000000;
    uint32_t arguments = 3;
    uint32_t payload = 64;
    uint32_t deps = 2;

    // Host
    Memory memory = kByArch;
    uint32_t shards = 0;      // 0: the collector's choice, as are the next three
    uint32_t buffers = 0;     // of an instance
    uint32_t max_buffers = 0; // of an instance
    uint64_t arena = 0;       // bytes
    uint64_t device_memory = uint64_t{4096} << 20;
    uint64_t slow_collector_ms = 0;
    uint64_t fail_copy = 0; // of contents; 0: none
    uint64_t fail_copy_count = 1;

    // Device
    bool drop = false;
    double budget = 0;     // seconds; 0: the architecture's
    uint64_t mismatch = 0; // every so many tasks; 0: never
    bool flush = true;

    bool has(uint32_t subsystem) const { return subsystems[subsystem]; }
};

// False with a message of one line if `arguments` cannot be honoured.
bool parse_options(const std::vector<std::string> &arguments, Options &options, std::string &error);

// Text of --help.
std::string help_text();

} // namespace profile

#endif // PROFILE_OPTIONS_HPP_
