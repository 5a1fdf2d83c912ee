// SPDX-License-Identifier: MIT OR Apache-2.0
#include "load.hpp"

#include <algorithm>
#include <cmath>

namespace replay {
namespace {

class RecordedSource : public EventSource {
  public:
    RecordedSource(std::vector<Event> events, uint64_t loops, uint64_t period)
        : events_(std::move(events)), loops_(loops), period_(period) {}

    bool next(Event &event) override {
        if (at_ == events_.size()) {
            at_ = 0;
            ++loop_;
        }
        if (loop_ >= loops_ || events_.empty()) {
            return false;
        }
        event = events_[at_++];
        const uint64_t shift = loop_ * period_;
        event.dispatch += shift;
        event.start += shift;
        event.end += shift;
        event.finish += shift;
        return true;
    }

  private:
    std::vector<Event> events_;
    uint64_t loops_;
    uint64_t period_;
    size_t at_ = 0;
    uint64_t loop_ = 0;
};

// Units that each produce a given number of events at an even rate.
class SyntheticSource : public EventSource {
  public:
    struct Unit {
        Event::Type type;
        uint32_t unit;
        uint64_t interval; // cycles
        uint64_t left;
        uint64_t next_at;
        uint64_t made;
    };

    void add(Event::Type type, uint32_t unit, uint64_t interval, uint64_t events) {
        if (events != 0) {
            units_.push_back(Unit{type, unit, interval, events, interval, 0});
            std::push_heap(units_.begin(), units_.end(), later);
        }
    }

    bool next(Event &event) override {
        if (units_.empty()) {
            return false;
        }
        std::pop_heap(units_.begin(), units_.end(), later);
        Unit &unit = units_.back();
        event = Event();
        event.type = unit.type;
        event.unit = unit.unit;
        event.token = unit.made;
        event.loop = static_cast<uint32_t>(unit.made);
        event.tasks = 1;
        event.phase = static_cast<uint32_t>(unit.made % kPhaseNames.size());
        event.dispatch = unit.next_at - unit.interval;
        event.start = event.dispatch + unit.interval / 8;
        event.end = event.start + unit.interval / 2;
        event.finish = unit.next_at;
        ++unit.made;
        unit.next_at += unit.interval;
        if (--unit.left == 0) {
            units_.pop_back();
        } else {
            std::push_heap(units_.begin(), units_.end(), later);
        }
        return true;
    }

  private:
    static bool later(const Unit &a, const Unit &b) { return a.next_at > b.next_at; }

    std::vector<Unit> units_;
};

} // namespace

Load recorded_load(const Run &run, uint64_t loops) {
    Load load;
    load.name = run.name;
    load.arch = run.arch;
    load.clock_hz = run.clock_hz;
    load.threads = run.threads;
    load.cores = run.cores;
    load.core_to_thread = run.core_to_thread;
    std::vector<std::vector<Event>> events(run.threads);
    for (const Event &event : run.events) {
        const uint32_t thread = event.type == Event::kTaskEvent    ? run.core_to_thread[event.unit]
                                : event.type == Event::kSchedEvent ? event.unit
                                                                   : run.threads - 1;
        events[thread].push_back(event);
        load.planned_records += (event.type == Event::kTaskEvent ? 2 : 1) * loops;
    }
    for (std::vector<Event> &stream : events) {
        std::stable_sort(stream.begin(), stream.end(),
                         [](const Event &a, const Event &b) { return a.recorded_at() < b.recorded_at(); });
        load.sources.push_back(std::make_unique<RecordedSource>(std::move(stream), loops, run.duration + 1));
    }
    return load;
}

Load synthetic_load(const Options &options) {
    const bool a5 = options.arch == "a5";
    Load load;
    load.name = "synthetic";
    load.arch = options.arch;
    load.clock_hz = 1000000000;
    load.threads = options.threads != 0 ? options.threads : a5 ? 5 : 4;
    load.cores = options.cores != 0 ? options.cores : a5 ? 108 : 72;

    // Threads that own cores: all but the orchestrating one, unless there is no other.
    const uint32_t schedulers = load.threads > 1 ? load.threads - 1 : 1;
    for (uint32_t core = 0; core < load.cores; ++core) {
        load.core_to_thread.push_back(core / 3 % schedulers);
    }

    struct Wish {
        Event::Type type;
        uint32_t units;
        double rate;
    };
    const Wish wishes[] = {{Event::kTaskEvent, load.cores, options.rate_task},
                           {Event::kSchedEvent, schedulers, options.rate_sched},
                           {Event::kOrchEvent, 1, options.rate_orch}};
    double total_rate = 0;
    for (const Wish &wish : wishes) {
        total_rate += wish.units * wish.rate;
    }
    std::vector<std::unique_ptr<SyntheticSource>> sources(load.threads);
    for (auto &source : sources) {
        source = std::make_unique<SyntheticSource>();
    }
    // Shares are differences of a running sum, so that they add up to the number asked for.
    double sum = 0;
    uint64_t given = 0;
    for (const Wish &wish : wishes) {
        for (uint32_t unit = 0; unit < wish.units && wish.rate > 0; ++unit) {
            sum += wish.rate;
            const auto upto =
                std::min(options.events,
                         static_cast<uint64_t>(std::llround(static_cast<double>(options.events) * (sum / total_rate))));
            const uint64_t events = upto - given;
            given = upto;
            const auto interval =
                std::max<uint64_t>(1, static_cast<uint64_t>(static_cast<double>(load.clock_hz) / wish.rate));
            const uint32_t thread = wish.type == Event::kTaskEvent    ? load.core_to_thread[unit]
                                    : wish.type == Event::kSchedEvent ? unit
                                                                      : load.threads - 1;
            sources[thread]->add(wish.type, unit, interval, events);
            load.planned_records += (wish.type == Event::kTaskEvent ? 2 : 1) * events;
        }
    }
    for (auto &source : sources) {
        load.sources.push_back(std::move(source));
    }
    return load;
}

} // namespace replay
