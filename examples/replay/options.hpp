// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the user asks for.
#ifndef REPLAY_OPTIONS_HPP_
#define REPLAY_OPTIONS_HPP_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common_options.hpp"

namespace replay {

struct Options : demo::CommonOptions {
    enum Memory { kByArch, kSvm, kShadow };

    std::string trace;

    // Load
    bool recorded_pace = false;
    double speed = 1.0;
    uint64_t loops = 1;
    bool synthetic = false;
    std::string arch = "a2a3";
    uint32_t threads = 0; // 0: by arch
    uint32_t cores = 0;   // 0: by arch
    uint64_t events = 1000000;
    double rate_task = 105000;
    double rate_sched = 288000;
    double rate_orch = 1310000;

    // Geometry
    Memory memory = kByArch;
    uint32_t records_per_buffer = 0; // 0: as on hardware
    uint32_t pool_buffers = 8;
    bool grow = true;
    uint32_t shards = 0;      // 0: one for each thread
    uint32_t ready_slots = 0; // 0: by arch
    uint32_t ring = 1024;
    uint64_t device_memory = uint64_t{1024} << 20;

    // Behaviour and faults
    bool drop = false;
    double stall_limit = 60;
    uint64_t slow_collector_ms = 0;
    uint64_t fail_copy = 0;
    uint64_t fail_copy_count = 1;
    bool fail_content_only = false;
};

// False with a message of one line if `arguments` cannot be honoured.
bool parse_options(const std::vector<std::string> &arguments, Options &options, std::string &error);

// Text of --help.
std::string help_text();

} // namespace replay

#endif // REPLAY_OPTIONS_HPP_
