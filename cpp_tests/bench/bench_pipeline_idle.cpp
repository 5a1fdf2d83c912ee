// An idle pipeline of four lanes: what it uses after 100 ms of silence, how soon it sees the first entry then, and how
// long stop() takes.

#include "pipeline.h"

#include <random>

namespace {

using bench::PmuGeometry;
using Ours = bench::Ours<PmuGeometry>;
using Reference = bench::Reference<PmuGeometry>;

constexpr uint32_t kLanes = 4;
// By default the polling interval has grown to its cap by then.
constexpr double kQuietUs = 150e3;
constexpr double kWatchedUs = 100e3;
// Cap of the polling interval, and two wake-ups.
constexpr double kFirstLimitUs = 2000 + 100;

struct Silence {
    std::vector<double> core;  // of one processor, in percent
    std::vector<double> first; // us from publication to collection
};

template <typename Pipeline> Silence silence(uint64_t repetitions) {
    Silence found;
    (void)bench::with<Pipeline>(kLanes, [&](Pipeline &pipeline) {
        std::mt19937_64 random(1);
        std::uniform_real_distribution<double> phase(0, 2000);
        for (uint64_t repetition = 0; repetition < repetitions; ++repetition) {
            pipeline.sink.expect(kLanes, 4);
            pipeline.device.flood(4);
            pipeline.sink.await();
            bench::sleep_us(kQuietUs);
            const double cpu = pipeline.threads.cpu_ns();
            const uint64_t start = bench::now_ns();
            bench::sleep_us(kWatchedUs);
            const double ns = static_cast<double>(bench::now_ns() - start);
            found.core.push_back((pipeline.threads.cpu_ns() - cpu) * 100 / ns);
            bench::sleep_us(phase(random));
            pipeline.sink.expect_on(1, 1);
            bench::require(pipeline.device.publish(1, bench::now_ns()), "an idle device has no buffer");
            pipeline.sink.await();
            found.first.push_back(pipeline.sink.take_latencies(1).at(0) * 1e-3);
        }
        return 0.0;
    });
    return found;
}

template <typename Pipeline> std::vector<double> stops(uint64_t repetitions) {
    std::vector<double> times;
    for (uint64_t repetition = 0; repetition < repetitions; ++repetition) {
        const auto pipeline = std::make_unique<Pipeline>(kLanes);
        pipeline->start();
        bench::sleep_us(kQuietUs);
        const uint64_t start = bench::now_ns();
        pipeline->stop();
        times.push_back(static_cast<double>(bench::now_ns() - start) * 1e-6);
    }
    return times;
}

void show(const char *name, const Silence &found, const std::vector<double> &times) {
    std::printf("idle: %-10s %6.2f %% of a core; first entry p50 %6.0f us, p95 %6.0f us, worst %6.0f us; "
                "stop p50 %6.2f ms, p95 %6.2f ms\n",
                name, bench::median(found.core), bench::median(found.first), bench::percentile(found.first, 0.95),
                bench::percentile(found.first, 1), bench::median(times), bench::percentile(times, 0.95));
}

} // namespace

int main() {
    const uint64_t repetitions = bench::setting("LANEPIPE_BENCH_REPS", 20);
    const Silence ours = silence<Ours>(repetitions);
    const Silence theirs = silence<Reference>(repetitions);
    const std::vector<double> our_stops = stops<Ours>(repetitions);
    const std::vector<double> their_stops = stops<Reference>(repetitions);
    show("lanepipe", ours, our_stops);
    show("reference", theirs, their_stops);
    bench::compare_times("silence_percent", bench::median(ours.core), 1);
    bench::compare_times("silence_first_us", bench::percentile(ours.first, 1), kFirstLimitUs);
    bench::compare_times("stop_idle_ms", bench::median(our_stops), 2);
    bench::compare_times("stop_idle_reference_ms", bench::median(our_stops), bench::median(their_stops));
    return 0;
}
