// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A recorded run, as read from a .jsonl file.
#ifndef REPLAY_RUN_FILE_HPP_
#define REPLAY_RUN_FILE_HPP_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace replay {

inline constexpr std::array<const char *, 7> kPhaseNames = {"dispatch", "resolve",       "complete",     "release",
                                                            "drain",    "drain_prepare", "drain_publish"};

// Something a control thread records. Times in cycles since the run's beginning.
struct Event {
    enum Type : uint32_t { kTaskEvent, kSchedEvent, kOrchEvent };
    Type type = kTaskEvent;
    uint32_t unit = 0; // core of a task, thread of a scheduler phase
    uint64_t token = 0;
    uint64_t dispatch = 0;
    uint64_t start = 0;
    uint64_t end = 0;
    uint64_t finish = 0;
    uint32_t phase = 0; // index in kPhaseNames
    uint32_t loop = 0;
    uint32_t tasks = 0;
    uint32_t hit = 0;
    uint32_t miss = 0;

    // When the event is over and its records are written.
    uint64_t recorded_at() const { return type == kTaskEvent ? finish : end; }
};

struct Run {
    std::string name;
    std::string arch;
    uint64_t clock_hz = 0;
    uint32_t threads = 0;
    uint32_t cores = 0;
    std::vector<uint32_t> core_to_thread;
    std::vector<Event> events; // in the file's order
    uint64_t duration = 0;     // cycles
};

// Reads `path`. False, with a message of one line that names file and line, if it cannot be read or makes no sense.
bool load_run(const std::string &path, Run &run, std::string &error);

// Recorded runs in `directory`, sorted by name, without ".jsonl".
std::vector<std::string> list_runs(const std::string &directory);

} // namespace replay

#endif // REPLAY_RUN_FILE_HPP_
