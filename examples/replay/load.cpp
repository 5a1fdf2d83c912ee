// SPDX-License-Identifier: MIT OR Apache-2.0
#include "load.hpp"

#include <algorithm>
#include <cmath>

namespace replay {
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
        if (event.type == Event::kSubmitEvent || event.type == Event::kScopeEvent) {
            continue; // other subsystems' records
        }
        const uint32_t thread = event.type == Event::kTaskEvent    ? run.core_to_thread[event.unit]
                                : event.type == Event::kSchedEvent ? event.unit
                                                                   : run.threads - 1;
        events[thread].push_back(event);
        load.planned_records += (event.type == Event::kTaskEvent ? 2 : 1) * loops;
    }
    for (std::vector<Event> &stream : events) {
        std::stable_sort(stream.begin(), stream.end(),
                         [](const Event &a, const Event &b) { return a.recorded_at() < b.recorded_at(); });
        auto source = std::make_unique<MergedSource>();
        source->add(std::make_shared<RecordedStream>(std::move(stream), loops, run.duration + 1));
        load.sources.push_back(std::move(source));
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
    std::vector<std::unique_ptr<MergedSource>> sources(load.threads);
    for (auto &source : sources) {
        source = std::make_unique<MergedSource>();
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
            const uint32_t thread = wish.type == Event::kTaskEvent    ? load.core_to_thread[unit]
                                    : wish.type == Event::kSchedEvent ? unit
                                                                      : load.threads - 1;
            sources[thread]->add(
                std::make_shared<SyntheticStream>(wish.type, unit, interval_of(load.clock_hz, wish.rate), events));
            load.planned_records += (wish.type == Event::kTaskEvent ? 2 : 1) * events;
        }
    }
    for (auto &source : sources) {
        load.sources.push_back(std::move(source));
    }
    return load;
}

} // namespace replay
