// SPDX-License-Identifier: MIT OR Apache-2.0
#include "load.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace profile {
namespace {

constexpr double kTaskRate = 105000;           // on each core
constexpr double kPhaseRate = 288000;          // on each scheduler
constexpr double kSubmitRate = 1310000;        // on the orchestrator, as are its phases
constexpr double kScopeRate = kSubmitRate / 2; // as in the matrix multiplies: a scope for every four submits

// Cores of one cluster share a control thread.
uint32_t default_owner(uint32_t core, uint32_t schedulers) { return core / 3 % schedulers; }

// A core's tasks as its control thread meets them: each is dispatched, then seen finished.
class DispatchedStream : public Stream {
  public:
    explicit DispatchedStream(std::shared_ptr<const Stream> tasks) : tasks_(std::move(tasks)) {}

    uint64_t size() const override { return 2 * tasks_->size(); }
    Event at(uint64_t index) const override {
        Event event = tasks_->at(index / 2);
        if (index % 2 == 0) {
            event.type = Event::kDispatchEvent;
        }
        return event;
    }

  private:
    std::shared_ptr<const Stream> tasks_;
};

// Made-up tasks: of every `stride` of them one is the first of a submit and has its arguments.
class FloodTasks : public Stream {
  public:
    FloodTasks(uint32_t core, uint64_t interval, uint64_t events, uint64_t stride, uint32_t arguments)
        : tasks_(Event::kTaskEvent, core, interval, events), core_(core), stride_(stride), arguments_(arguments) {}

    uint64_t size() const override { return tasks_.size(); }
    Event at(uint64_t index) const override {
        Event event = tasks_.at(index);
        event.token |= uint64_t{core_} << 40;
        event.arguments = index % stride_ == 0 ? arguments_ : 0;
        return event;
    }

  private:
    SyntheticStream tasks_;
    uint32_t core_;
    uint64_t stride_;
    uint32_t arguments_;
};

// Made-up submits, with arguments.
class FloodSubmits : public Stream {
  public:
    FloodSubmits(uint64_t interval, uint64_t events, uint32_t arguments)
        : submits_(Event::kSubmitEvent, 0, interval, events), arguments_(arguments) {}

    uint64_t size() const override { return submits_.size(); }
    Event at(uint64_t index) const override {
        Event event = submits_.at(index);
        event.arguments = arguments_;
        return event;
    }

  private:
    SyntheticStream submits_;
    uint32_t arguments_;
};

// Made-up scopes, one in the other: two begin, two end.
class FloodScopes : public Stream {
  public:
    FloodScopes(uint64_t interval, uint64_t events) : scopes_(Event::kScopeEvent, 0, interval, events) {}

    uint64_t size() const override { return scopes_.size(); }
    Event at(uint64_t index) const override {
        Event event = scopes_.at(index);
        event.begins = index % 4 < 2;
        event.depth = index % 4 == 1 || index % 4 == 2 ? 1 : 0;
        event.ring = event.depth;
        event.heap_start = index * 64;
        event.heap_end = index * 64 + 4096;
        return event;
    }

  private:
    SyntheticStream scopes_;
};

// Gives the first task of each submit the submit's arguments. False if a submit has no task.
bool give_arguments(std::vector<std::vector<Event>> &tasks, const std::vector<Event> &submits, uint64_t &without) {
    std::unordered_map<uint64_t, Event *> first;
    for (std::vector<Event> &core : tasks) {
        for (Event &task : core) {
            Event *&found = first[task.token];
            if (found == nullptr || task.dispatch < found->dispatch) {
                found = &task;
            }
        }
    }
    for (const Event &submit : submits) {
        const auto task = first.find(submit.token);
        if (task == first.end()) {
            without = submit.token;
            return false;
        }
        task->second->arguments += submit.arguments;
    }
    return true;
}

bool fits(const Run &run, Load &load, std::string &error) {
    load.arch = find_arch(run.arch);
    if (load.arch == nullptr) {
        error = run.name + ": no such architecture as \"" + run.arch + "\"";
        return false;
    }
    if (run.cores > load.arch->cores || run.threads > load.arch->threads || run.threads < 2) {
        error = run.name + " has " + std::to_string(run.cores) + " cores and " + std::to_string(run.threads) +
                " control threads; " + run.arch + " takes up to " + std::to_string(load.arch->cores) + " and 2 to " +
                std::to_string(load.arch->threads);
        return false;
    }
    const auto schedules = [&run](uint32_t thread) { return thread + 1 < run.threads; };
    const bool good = std::all_of(run.core_to_thread.begin(), run.core_to_thread.end(), schedules) &&
                      std::all_of(run.events.begin(), run.events.end(), [&](const Event &event) {
                          return event.type != Event::kSchedEvent || schedules(event.unit);
                      });
    if (!good) {
        error = run.name + ": the last control thread orchestrates and can neither own cores nor schedule";
    }
    return good;
}

// Splits `total` by the weights of units, as differences of a running sum, so that the parts add up.
class Shares {
  public:
    Shares(uint64_t total, double weight) : total_(total), weight_(weight) {}

    uint64_t next(double weight) {
        if (total_ == UINT64_MAX) {
            return kUnlimited;
        }
        sum_ += weight;
        const auto upto = std::min(
            total_, static_cast<uint64_t>(std::llround(static_cast<double>(total_) * std::min(1.0, sum_ / weight_))));
        const uint64_t share = upto - given_;
        given_ = upto;
        return share;
    }

  private:
    static constexpr uint64_t kUnlimited = uint64_t{1} << 40;

    uint64_t total_;
    double weight_;
    double sum_ = 0;
    uint64_t given_ = 0;
};

} // namespace

uint32_t Load::instances(uint32_t flow) const {
    return is_per_core(flow) ? cores : flow == kSched || flow == kArgsDump ? schedulers() : 1;
}

uint32_t Load::owner(uint32_t flow, uint32_t instance) const {
    return is_per_core(flow)                     ? core_to_thread[instance]
           : flow == kSched || flow == kArgsDump ? instance
                                                 : orchestrator();
}

const Stream *Load::stream(uint32_t flow, uint32_t instance) const {
    switch (flow) {
    case kTask:
    case kAicore:
    case kPmu:
        return tasks[instance].get();
    case kSched:
        return phases[instance].get();
    case kOrch:
        return orchestrations.get();
    case kDepGen:
        return submits.get();
    case kScopeStats:
        return scopes.get();
    default:
        return nullptr;
    }
}

std::unique_ptr<EventSource> Load::source(uint32_t thread) const {
    auto source = std::make_unique<MergedSource>();
    for (const auto &stream : programs[thread]) {
        source->add(stream);
    }
    return source;
}

bool recorded_load(const Run &run, const Options &options, Load &load, std::string &error) {
    load = Load();
    if (!fits(run, load, error)) {
        return false;
    }
    load.name = run.name;
    load.base_cycle = std::max<uint64_t>(1, run.first_cycle);
    load.threads = run.threads;
    load.cores = load.arch->cores;
    load.core_to_thread = run.core_to_thread;
    load.is_cube = run.is_cube;
    for (uint32_t core = run.cores; core < load.cores; ++core) {
        load.core_to_thread.push_back(default_owner(core, load.schedulers()));
        load.is_cube.push_back(core % 3 == 0);
    }
    if (options.recorded_pace) {
        load.cycles_per_ns = static_cast<double>(run.clock_hz) / 1e9 * options.speed;
    }

    std::vector<Event> events = run.events;
    std::stable_sort(events.begin(), events.end(),
                     [](const Event &a, const Event &b) { return a.recorded_at() < b.recorded_at(); });
    std::vector<std::vector<Event>> tasks(load.cores);
    std::vector<std::vector<Event>> phases(load.schedulers());
    std::vector<Event> orchestrations;
    std::vector<Event> submits;
    std::vector<Event> scopes;
    for (const Event &event : events) {
        std::vector<Event> &to = event.type == Event::kTaskEvent     ? tasks[event.unit]
                                 : event.type == Event::kSchedEvent  ? phases[event.unit]
                                 : event.type == Event::kOrchEvent   ? orchestrations
                                 : event.type == Event::kSubmitEvent ? submits
                                                                     : scopes;
        to.push_back(event);
    }
    uint64_t without = 0;
    if (options.has(LANEPIPE_SUBSYSTEM_ARGS_DUMP) && !give_arguments(tasks, submits, without)) {
        error = run.name + ": no task has the token " + std::to_string(without) +
                " of a submit, so that nobody can dump its arguments; leave args_dump out of --subsystems";
        return false;
    }

    const auto stream = [&](std::vector<Event> of) -> std::shared_ptr<const Stream> {
        return of.empty() ? nullptr : std::make_shared<RecordedStream>(std::move(of), options.loops, run.duration + 1);
    };
    load.programs.resize(load.threads);
    const auto add = [&load](uint32_t thread, const std::shared_ptr<const Stream> &added) {
        if (added != nullptr) {
            load.programs[thread].push_back(added);
        }
    };
    for (uint32_t core = 0; core < load.cores; ++core) {
        load.tasks.push_back(stream(std::move(tasks[core])));
        if (load.tasks.back() != nullptr) {
            add(load.core_to_thread[core], std::make_shared<DispatchedStream>(load.tasks.back()));
        }
    }
    for (uint32_t thread = 0; thread < load.schedulers(); ++thread) {
        load.phases.push_back(stream(std::move(phases[thread])));
        add(thread, load.phases.back());
    }
    load.orchestrations = stream(std::move(orchestrations));
    load.submits = stream(std::move(submits));
    load.scopes = stream(std::move(scopes));
    for (const auto &added : {load.orchestrations, load.submits, load.scopes}) {
        add(load.orchestrator(), added);
    }
    return true;
}

bool flood_load(const Options &options, Load &load, std::string &error) {
    load = Load();
    load.name = "flood";
    load.arch = find_arch(options.arch);
    load.threads = options.threads != 0 ? options.threads : load.arch->threads;
    load.cores = options.cores != 0 ? options.cores : load.arch->cores;
    if (load.threads > load.arch->threads || load.cores > load.arch->cores) {
        error = options.arch + " has " + std::to_string(load.arch->cores) + " cores and " +
                std::to_string(load.arch->threads) + " control threads, not " + std::to_string(load.cores) + " and " +
                std::to_string(load.threads);
        return false;
    }
    const double hz = static_cast<double>(load.arch->clock_hz);
    load.cycles_per_ns = hz / 1e9;
    load.limit_ns = static_cast<uint64_t>(options.seconds * 1e9);
    for (uint32_t core = 0; core < load.cores; ++core) {
        load.core_to_thread.push_back(default_owner(core, load.schedulers()));
        load.is_cube.push_back(core % 3 == 0);
    }

    const auto interval = [&](double rate) { return interval_of(load.arch->clock_hz, rate * options.flood); };
    const double all_rates = load.cores * kTaskRate + load.schedulers() * kPhaseRate + 2 * kSubmitRate + kScopeRate;
    Shares shares(options.events, all_rates);
    const auto stride = static_cast<uint64_t>(std::max(1.0, std::round(load.cores * kTaskRate / kSubmitRate)));
    load.programs.resize(load.threads);
    for (uint32_t core = 0; core < load.cores; ++core) {
        load.tasks.push_back(
            std::make_shared<FloodTasks>(core, interval(kTaskRate), shares.next(kTaskRate), stride, options.arguments));
        load.programs[load.core_to_thread[core]].push_back(std::make_shared<DispatchedStream>(load.tasks.back()));
    }
    for (uint32_t thread = 0; thread < load.schedulers(); ++thread) {
        load.phases.push_back(std::make_shared<SyntheticStream>(Event::kSchedEvent, thread, interval(kPhaseRate),
                                                                shares.next(kPhaseRate)));
        load.programs[thread].push_back(load.phases.back());
    }
    load.orchestrations =
        std::make_shared<SyntheticStream>(Event::kOrchEvent, 0, interval(kSubmitRate), shares.next(kSubmitRate));
    load.submits = std::make_shared<FloodSubmits>(interval(kSubmitRate), shares.next(kSubmitRate), options.arguments);
    load.scopes = std::make_shared<FloodScopes>(interval(kScopeRate), shares.next(kScopeRate));
    for (const auto &added : {load.orchestrations, load.submits, load.scopes}) {
        load.programs[load.orchestrator()].push_back(added);
    }
    return true;
}

} // namespace profile
