// Single entries at random moments: a Poisson process of mean 1 ms on one of four lanes. Processor time of the host's
// threads against a thread that does nothing but sleep at the polling interval, and the time from publication to
// collection; for several polling intervals, beside the reference's only point.

#include "pipeline.h"

#include <sys/prctl.h>

#include <random>

namespace {

using bench::PmuGeometry;

constexpr uint32_t kLanes = 4;
constexpr uint32_t kLane = 2;
constexpr double kMeanNs = 1e6;
// What the sentinel sets for itself.
constexpr unsigned long kSlackNs = 1000;
constexpr uint64_t kDefaultUs = 50;

uint64_t arrivals() { return bench::setting("LANEPIPE_BENCH_ARRIVALS", 500); }

struct Sample {
    double core;   // of one processor, used by the host's threads
    double p50_us; // from publication to collection
    double p99_us;
};

void sleep_until(uint64_t moment) {
    const timespec time{static_cast<time_t>(moment / 1000000000), static_cast<long>(moment % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) != 0) {
    }
}

// The same moments for every side.
template <typename Pipeline> Sample arrive(Pipeline &pipeline, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::exponential_distribution<double> gap(1.0 / kMeanNs);
    pipeline.sink.expect_on(kLane, arrivals());
    const double cpu = pipeline.threads.cpu_ns();
    const uint64_t start = bench::now_ns();
    auto moment = static_cast<double>(start);
    std::thread device([&] {
        (void)prctl(PR_SET_TIMERSLACK, kSlackNs);
        for (uint64_t arrival = 0; arrival < arrivals(); ++arrival) {
            moment += gap(random);
            sleep_until(static_cast<uint64_t>(moment));
            while (!pipeline.device.publish(kLane, bench::now_ns())) {
                std::this_thread::yield();
            }
        }
    });
    device.join();
    pipeline.sink.await();
    const double ns = static_cast<double>(bench::now_ns() - start);
    const double used = pipeline.threads.cpu_ns() - cpu;
    const std::vector<double> latencies = pipeline.sink.take_latencies(kLane);
    return {used / ns, bench::percentile(latencies, 0.5) * 1e-3, bench::percentile(latencies, 0.99) * 1e-3};
}

// Interval 0: the defaults.
Sample ours(uint64_t interval_us, uint64_t seed) {
    bench::Ours<PmuGeometry> pipeline(kLanes);
    pipeline.config.poll_min_ns = interval_us * 1000;
    pipeline.config.poll_max_ns = interval_us * 1000;
    pipeline.start();
    const Sample sample = arrive(pipeline, seed);
    pipeline.stop();
    return sample;
}

Sample reference(uint64_t seed) {
    const auto pipeline = std::make_unique<bench::Reference<PmuGeometry>>(kLanes);
    pipeline->start();
    const Sample sample = arrive(*pipeline, seed);
    pipeline->stop();
    return sample;
}

// A thread that sleeps for the interval, over and over, for as long as a run of arrivals takes.
Sample pacer(uint64_t interval_us) {
    double core = 0;
    std::thread thread([&] {
        (void)prctl(PR_SET_TIMERSLACK, kSlackNs);
        const uint64_t start = bench::now_ns();
        const uint64_t end = start + static_cast<uint64_t>(kMeanNs) * arrivals();
        const uint64_t cpu = bench::thread_ns();
        uint64_t now = start;
        while (now < end) {
            sleep_until(now + interval_us * 1000);
            now = bench::now_ns();
        }
        core = static_cast<double>(bench::thread_ns() - cpu) / static_cast<double>(now - start);
    });
    thread.join();
    return {core, 0, 0};
}

struct Side {
    std::string name;
    std::function<Sample(uint64_t seed)> run;
    std::vector<double> core;
    std::vector<double> p50;
    std::vector<double> p99;
};

} // namespace

int main() {
    std::vector<Side> sides;
    sides.push_back({"lanepipe, defaults", [](uint64_t seed) { return ours(0, seed); }, {}, {}, {}});
    sides.push_back({"reference", reference, {}, {}, {}});
    const std::vector<uint64_t> intervals = {kDefaultUs, 100, 250, 1000};
    for (const uint64_t us : intervals) {
        const std::string at = std::to_string(us) + " us";
        sides.push_back({"lanepipe, " + at, [us](uint64_t seed) { return ours(us, seed); }, {}, {}, {}});
        sides.push_back({"pacer, " + at, [us](uint64_t) { return pacer(us); }, {}, {}, {}});
    }
    for (uint64_t repetition = 0; repetition < bench::setting("LANEPIPE_BENCH_REPS", 5); ++repetition) {
        for (Side &side : sides) {
            const Sample sample = side.run(repetition);
            side.core.push_back(sample.core);
            side.p50.push_back(sample.p50_us);
            side.p99.push_back(sample.p99_us);
        }
    }
    for (const Side &side : sides) {
        std::printf("jitter: %-22s %6.2f %% of a core, p50 %7.1f us, p99 %7.1f us\n", side.name.c_str(),
                    bench::median(side.core) * 100, bench::median(side.p50), bench::median(side.p99));
    }
    const auto core = [&](size_t side) { return bench::median(sides[side].core) * 100; };
    const auto p50 = [&](size_t side) { return bench::median(sides[side].p50); };
    constexpr double kWakeUpsUs = 30;
    bench::compare_times("jitter_cpu", core(0), core(3));
    bench::compare_times("jitter_p50_us", p50(0), kDefaultUs / 2.0 + kWakeUpsUs);
    for (size_t at = 0; at < intervals.size(); ++at) {
        const std::string us = std::to_string(intervals[at]);
        bench::compare_times(("jitter_cpu_" + us).c_str(), core(2 + 2 * at), core(3 + 2 * at));
        bench::compare_times(("jitter_p50_us_" + us).c_str(), p50(2 + 2 * at),
                             static_cast<double>(intervals[at]) / 2 + kWakeUpsUs);
    }
    return 0;
}
