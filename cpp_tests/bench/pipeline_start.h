// Start of a pipeline with the largest subsystem's true geometry: time, registrations, memory. The free queues begin
// empty, so that each side fills them and warms its lanes.
#ifndef LANEPIPE_TESTS_BENCH_PIPELINE_START_H_
#define LANEPIPE_TESTS_BENCH_PIPELINE_START_H_

#include "pipeline.h"

namespace bench {

struct Start {
    double returned_ms; // until start() returns
    double warm_ms;     // until the last allocation
    DeviceMemory::Use use;
};

template <typename Pipeline> Start started() {
    const auto pipeline = std::make_unique<Pipeline>(kRows, kShadowed);
    const uint64_t start = now_ns();
    pipeline->start();
    const double returned = static_cast<double>(now_ns() - start) * 1e-6;
    sleep_us(100e3);
    const DeviceMemory::Use use = pipeline->memory.use();
    pipeline->stop();
    return {returned, static_cast<double>(use.last_ns - start) * 1e-6, use};
}

inline void compare_starts() {
    using Starts = std::vector<Start>;
    Starts sides[2];
    for (uint64_t repetition = 0; repetition < setting("LANEPIPE_BENCH_REPS", 7); ++repetition) {
        sides[0].push_back(started<Ours<SwimlaneGeometry>>());
        sides[1].push_back(started<Reference<SwimlaneGeometry>>());
    }
    const auto median_of = [](const Starts &starts, auto &&figure) {
        std::vector<double> values;
        for (const Start &start : starts) {
            values.push_back(figure(start));
        }
        return median(values);
    };
    const auto compare = [&](const char *what, auto &&figure) {
        compare_times((std::string("start_") + kArch + "_" + what).c_str(), median_of(sides[0], figure),
                      median_of(sides[1], figure));
    };
    for (size_t side = 0; side < 2; ++side) {
        std::printf("start, %s: %-10s %.2f ms until start returns, %.2f ms until the last allocation\n", kArch,
                    side == 0 ? "lanepipe" : "reference",
                    median_of(sides[side], [](const Start &start) { return start.returned_ms; }),
                    median_of(sides[side], [](const Start &start) { return start.warm_ms; }));
    }
    compare("ms", [](const Start &start) { return std::max(start.returned_ms, start.warm_ms); });
    compare("allocations", [](const Start &start) { return static_cast<double>(start.use.allocations); });
    if (!kShadowed) {
        compare("registrations", [](const Start &start) { return static_cast<double>(start.use.registrations); });
    }
    compare("mb", [](const Start &start) { return static_cast<double>(start.use.bytes) * 1e-6; });
}

} // namespace bench

#endif // LANEPIPE_TESTS_BENCH_PIPELINE_START_H_
