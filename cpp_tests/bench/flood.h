// The five subsystems, each alone and all together, under a device that fills buffers at a fraction of the rates at
// which hardware floods. The fraction f is the largest at which the reference parks the device for less than 1 % of its
// time; both sides run at f, lanepipe at 2f too. Then the same with a device that drops a buffer's records instead of
// waiting.
//
// One thread of high priority plays all control threads: hardware has processors of its own for them.

#ifndef LANEPIPE_TESTS_BENCH_FLOOD_H_
#define LANEPIPE_TESTS_BENCH_FLOOD_H_

#include "flood_device.h"
#include "pipeline.h"

namespace bench::flood {

inline uint64_t run_ns() { return setting("LANEPIPE_BENCH_FLOOD_MS", 300) * 1000000; }

// A started pipeline of either make.
class Host {
  public:
    virtual ~Host() = default;
    virtual double cpu_ns() const = 0;
    virtual uint64_t taken() const = 0;
    virtual size_t bytes() const = 0;
    virtual void stop() = 0;
};

template <typename Pipeline> class HostOf : public Host {
  public:
    explicit HostOf(uint32_t rows) : pipeline(rows, kShadowed) {}
    double cpu_ns() const override { return pipeline.threads.cpu_ns(); }
    uint64_t taken() const override { return pipeline.sink.taken(); }
    size_t bytes() const override { return pipeline.memory.use().bytes; }
    void stop() override { pipeline.stop(); }
    Pipeline pipeline;
};

using Hosts = std::vector<std::unique_ptr<Host>>;
enum class Make { kOurs, kReference };

template <typename G> void add(Make make, double fraction, Hosts &hosts, FloodDevice &device) {
    const auto begin = [&](auto host) {
        host->pipeline.start();
        device.add(host->pipeline.device.shared(), G::kMostRows, fraction);
        hosts.push_back(std::move(host));
    };
    if (make == Make::kOurs) {
        auto host = std::make_unique<HostOf<Ours<G>>>(G::kMostRows);
        host->pipeline.config.backpressure = LANEPIPE_BACKPRESSURE_COMMON;
        host->pipeline.warm_lanes();
        begin(std::move(host));
    } else {
        begin(std::make_unique<HostOf<Reference<G>>>(G::kMostRows));
    }
}

struct Sample {
    double parked;  // of the device's time
    double freezes; // asked for, per second
    double elapsed; // of what an infinitely fast host would take
    double core;    // of one processor, used by the host's threads
    double lost;    // of the buffers' worth of records
    double rate;    // buffers per second that the host collected
    double mib;     // of device memory, at the end
};

struct Scenario {
    const char *name;
    std::vector<void (*)(Make, double, Hosts &, FloodDevice &)> subsystems;
};

inline Sample run(const Scenario &scenario, Make make, double fraction, bool drop) {
    FloodDevice device(drop);
    require(FloodDevice::leave_processor(), "the device has no processor of its own");
    Hosts hosts;
    for (const auto &subsystem : scenario.subsystems) {
        subsystem(make, fraction, hosts, device);
    }
    const auto sum = [&](auto &&figure) {
        return std::accumulate(hosts.begin(), hosts.end(), 0.0,
                               [&](double total, const auto &host) { return total + figure(*host); });
    };
    const auto cpu = [](const Host &host) { return host.cpu_ns(); };
    const auto taken = [](const Host &host) { return static_cast<double>(host.taken()); };
    const auto bytes = [](const Host &host) { return static_cast<double>(host.bytes()); };
    const double cpu_before = sum(cpu);
    const FloodDevice::Result result = device.run(run_ns());
    const uint64_t limit = now_ns() + 60'000'000'000;
    while (sum(taken) < static_cast<double>(result.published)) {
        require(now_ns() < limit, "buffers are missing");
        sleep_us(100);
    }
    const double used = sum(cpu) - cpu_before;
    for (const auto &host : hosts) {
        host->stop();
    }
    require(sum(taken) == static_cast<double>(result.published), "buffers came twice");
    const auto elapsed = static_cast<double>(result.elapsed_ns);
    const auto published = static_cast<double>(result.published);
    const auto lost = static_cast<double>(result.lost);
    return {static_cast<double>(result.parked_ns) / (elapsed * result.rows),
            static_cast<double>(result.signals) * 1e9 / elapsed,
            elapsed / static_cast<double>(run_ns()),
            used / elapsed,
            lost / std::max(1.0, lost + published),
            published * 1e9 / elapsed,
            sum(bytes) / (1 << 20)};
}

inline Sample isolated(const Scenario &scenario, Make make, double fraction, bool drop) {
    return in_a_process<Sample>(make == Make::kReference, [&] { return run(scenario, make, fraction, drop); });
}

// Whether the reference keeps up with a device that is not late itself.
inline bool sustained(const Scenario &scenario, double fraction) {
    const Sample sample = isolated(scenario, Make::kReference, fraction, false);
    return sample.parked < 0.01 && sample.elapsed < 1.02;
}

// The largest fraction that the reference sustains, within a twelfth.
inline double largest_fraction(const Scenario &scenario) {
    constexpr double kLeast = 1.0 / 1024;
    constexpr double kMost = 64;
    double good = 1.0 / 16;
    while (good > kLeast && !sustained(scenario, good)) {
        good /= 2;
    }
    double bad = 2 * good;
    while (bad < kMost && sustained(scenario, bad)) {
        good = bad;
        bad *= 2;
    }
    while (bad > good * 13 / 12) {
        const double middle = std::sqrt(good * bad);
        (sustained(scenario, middle) ? good : bad) = middle;
    }
    return good;
}

struct Side {
    const char *name;
    Make make;
    double times; // f
    bool drop;
    std::vector<Sample> samples;

    double median_of(double Sample::*figure) const {
        std::vector<double> values;
        for (const Sample &sample : samples) {
            values.push_back(sample.*figure);
        }
        return median(values);
    }
};

inline void compare(const Scenario &scenario) {
    const double fraction = largest_fraction(scenario);
    std::vector<Side> sides = {
        {"reference, f", Make::kReference, 1, false, {}},
        {"lanepipe, f", Make::kOurs, 1, false, {}},
        {"lanepipe, 2f", Make::kOurs, 2, false, {}},
        {"reference, 2f", Make::kReference, 2, false, {}},
        {"reference, 2f, drops", Make::kReference, 2, true, {}},
        {"lanepipe, 2f, drops", Make::kOurs, 2, true, {}},
    };
    for (uint64_t repetition = 0; repetition < setting("LANEPIPE_BENCH_REPS", 3); ++repetition) {
        for (Side &side : sides) {
            side.samples.push_back(isolated(scenario, side.make, side.times * fraction, side.drop));
        }
    }
    std::printf("flood, %s, %s: f = %.4f of the flood\n", kArch, scenario.name, fraction);
    for (const Side &side : sides) {
        std::printf(
            "flood, %s, %s: %-21s %9.0f buffers/s, parked %6.2f %%, %7.1f freezes/s, elapsed %.3f, host %6.1f %% of "
            "a core, lost %6.2f %%, %6.0f MiB\n",
            kArch, scenario.name, side.name, side.median_of(&Sample::rate), 100 * side.median_of(&Sample::parked),
            side.median_of(&Sample::freezes), side.median_of(&Sample::elapsed), 100 * side.median_of(&Sample::core),
            100 * side.median_of(&Sample::lost), side.median_of(&Sample::mib));
    }
    const auto print = [&](const char *what, size_t ours, size_t theirs, double Sample::*figure) {
        compare_times((std::string("flood_") + kArch + "_" + scenario.name + "_" + what).c_str(),
                      100 * sides[ours].median_of(figure), 100 * sides[theirs].median_of(figure));
    };
    print("cpu", 1, 0, &Sample::core);
    print("parked", 1, 0, &Sample::parked);
    print("parked_twice", 2, 3, &Sample::parked);
    print("lost_twice", 5, 4, &Sample::lost);
}

inline void compare_all() {
    // A child would print what its parent has not yet printed.
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const auto swimlane = &add<SwimlaneGeometry>;
    const auto pmu = &add<PmuGeometry>;
    const auto dep_gen = &add<DepGenGeometry>;
    const auto args_dump = &add<ArgsDumpGeometry>;
    const auto scope_stats = &add<ScopeStatsGeometry>;
    for (const Scenario &scenario :
         {Scenario{"swimlane", {swimlane}}, Scenario{"pmu", {pmu}}, Scenario{"dep_gen", {dep_gen}},
          Scenario{"args_dump", {args_dump}}, Scenario{"scope_stats", {scope_stats}},
          Scenario{"all", {swimlane, pmu, dep_gen, args_dump, scope_stats}}}) {
        compare(scenario);
    }
}

} // namespace bench::flood

#endif // LANEPIPE_TESTS_BENCH_FLOOD_H_
