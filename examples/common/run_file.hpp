// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A recorded run, as read from a .jsonl file.
#ifndef DEMO_RUN_FILE_HPP_
#define DEMO_RUN_FILE_HPP_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace demo {

constexpr uint32_t kMaxThreads = 64;
constexpr uint32_t kMaxCores = 1024;
constexpr uint32_t kMaxArguments = 32;
constexpr uint32_t kMaxScopeDepth = 64;

inline constexpr std::array<const char *, 7> kPhaseNames = {"dispatch", "resolve",       "complete",     "release",
                                                            "drain",    "drain_prepare", "drain_publish"};

// Something that a control thread sees or does. Times in cycles since the run's beginning.
struct Event {
    // A dispatch stands in no file: it is a task as its control thread meets it first.
    enum Type : uint32_t { kTaskEvent, kSchedEvent, kOrchEvent, kSubmitEvent, kScopeEvent, kDispatchEvent };
    static constexpr uint32_t kTypes = 5; // of a file

    Type type = kTaskEvent;
    uint32_t unit = 0; // core of a task, thread of a scheduler phase
    uint64_t token = 0;
    uint32_t reg = 0; // the core's own number of a task
    uint64_t dispatch = 0;
    uint64_t start = 0;
    uint64_t end = 0;
    uint64_t finish = 0;
    uint32_t phase = 0; // index in kPhaseNames
    uint32_t loop = 0;
    uint32_t tasks = 0;
    uint32_t hit = 0;
    uint32_t miss = 0;
    uint32_t index = 0; // of a submit
    uint32_t arguments = 0;
    bool begins = false; // a scope
    uint32_t depth = 0;
    uint32_t ring = 0;
    uint64_t heap_start = 0;
    uint64_t heap_end = 0;

    // When the event is over and its records are written.
    uint64_t recorded_at() const { return type == kTaskEvent ? finish : type == kDispatchEvent ? dispatch : end; }

    // The same event in a later round.
    void shift(uint64_t cycles) {
        dispatch += cycles;
        start += cycles;
        end += cycles;
        finish += cycles;
    }
};

struct Run {
    std::string name;
    std::string arch;
    uint64_t clock_hz = 0;
    uint32_t threads = 0;
    uint32_t cores = 0;
    std::vector<uint32_t> core_to_thread;
    std::vector<bool> is_cube; // by core
    std::vector<Event> events; // in the file's order
    uint64_t first_cycle = 0;  // where the counter stood when the run began
    uint64_t duration = 0;     // cycles
};

// Reads `path`. False, with a message of one line that names file and line, if it cannot be read or makes no sense.
bool load_run(const std::string &path, Run &run, std::string &error);

// Recorded runs in `directory`, sorted by name, without ".jsonl".
std::vector<std::string> list_runs(const std::string &directory);

} // namespace demo

#endif // DEMO_RUN_FILE_HPP_
