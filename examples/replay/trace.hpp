// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A trace in Chrome's JSON format, as Perfetto opens it.
//
// Three processes: "program" holds one span for each record that was collected, on the program's own time line;
// "device" and "host" show the pipeline at work on the wall clock. At recorded pace the time lines coincide.
#ifndef REPLAY_TRACE_HPP_
#define REPLAY_TRACE_HPP_

#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <vector>

namespace replay {

enum TraceProcess : uint32_t { kProgramProcess = 1, kDeviceProcess = 2, kHostProcess = 3 };

// Track numbers within a process.
constexpr uint32_t core_track(uint32_t core) { return 1 + core; }
constexpr uint32_t scheduler_track(uint32_t thread) { return 2001 + thread; }
constexpr uint32_t orchestrator_track() { return 3001; }
constexpr uint32_t device_thread_track(uint32_t thread) { return 1 + thread; }
constexpr uint32_t fill_track(uint32_t instance) { return 1001 + instance; }
constexpr uint32_t host_track(uint32_t role, uint32_t index) { return 1 + 100 * role + index; }

struct TraceEvent {
    char type; // X complete, i instant, b and e begin and end of a span that may overlap others
    uint32_t process;
    uint32_t track;
    uint64_t at_ns;
    uint64_t duration_ns;
    uint64_t id; // b and e
    const char *name;
    const char *category;
    const char *argument; // null for none
    uint64_t value;
};

// Events of one thread. Costs nothing while off.
class TraceSink {
  public:
    bool on = false;

    void span(uint32_t process, uint32_t track, uint64_t from_ns, uint64_t to_ns, const char *name,
              const char *category, const char *argument = nullptr, uint64_t value = 0) {
        if (on) {
            events_.push_back({'X', process, track, from_ns, to_ns - from_ns, 0, name, category, argument, value});
        }
    }

    // `id` is unique among overlapping spans.
    void overlapping_span(uint32_t process, uint32_t track, uint64_t from_ns, uint64_t to_ns, uint64_t id,
                          const char *name, const char *category, const char *argument, uint64_t value) {
        if (on) {
            events_.push_back({'b', process, track, from_ns, 0, id, name, category, argument, value});
            events_.push_back({'e', process, track, to_ns, 0, id, name, category, nullptr, 0});
        }
    }

    void instant(uint32_t process, uint32_t track, uint64_t at_ns, const char *name, const char *category,
                 const char *argument = nullptr, uint64_t value = 0) {
        if (on) {
            events_.push_back({'i', process, track, at_ns, 0, 0, name, category, argument, value});
        }
    }

    const std::vector<TraceEvent> &events() const { return events_; }

  private:
    std::vector<TraceEvent> events_;
};

class Trace {
  public:
    bool on = false;

    // A sink for one thread; stays where it is. Not for concurrent calls.
    TraceSink &add_sink();

    void name_process(uint32_t process, const std::string &name);
    void name_track(uint32_t process, uint32_t track, const std::string &name);

    // Writes everything, in time order on each track. Wall-clock events are counted from `origin_ns`. False if `file`
    // does not take it.
    bool write(std::FILE *file, uint64_t origin_ns) const;

  private:
    struct Name {
        uint32_t process;
        uint32_t track;
        std::string text;
    };
    std::deque<TraceSink> sinks_;
    std::vector<Name> processes_;
    std::vector<Name> tracks_;
};

} // namespace replay

#endif // REPLAY_TRACE_HPP_
