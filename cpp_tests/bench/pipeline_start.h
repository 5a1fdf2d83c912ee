// Start of a pipeline with the largest subsystem's true geometry: time, registrations, memory. The free queues begin
// empty, so that each side fills them and warms its lanes.
#ifndef LANEPIPE_TESTS_BENCH_PIPELINE_START_H_
#define LANEPIPE_TESTS_BENCH_PIPELINE_START_H_

#include "pipeline.h"

namespace bench {

// ChipSwimlane: two kinds per core, and two with one producer for each control thread.
struct SwimlaneGeometry {
#if defined(RUNTIME_ARCH_A5)
    static constexpr uint32_t kCores = 108;
    static constexpr uint32_t kReady = 1456;
    static constexpr size_t kDone = 1366;
    static constexpr size_t kLane = 864;
    static constexpr const char *kArch = "a5";
    static constexpr bool kShadowed = true;
#else
    static constexpr uint32_t kCores = 72;
    static constexpr uint32_t kReady = 992;
    static constexpr size_t kDone = 920;
    static constexpr size_t kLane = 576;
    static constexpr const char *kArch = "a2a3";
    static constexpr bool kShadowed = false;
#endif
    static constexpr int kKinds = 4;
    static constexpr uint32_t kInstances = 2 * (kCores + kRows);
    static constexpr const char *kName = "ChipSwimlane";
    static constexpr size_t buffer_size(int kind) {
        constexpr size_t sizes[kKinds] = {32064, 1048640, 524352, 32832};
        return sizes[kind];
    }
    static constexpr int batch_size(int kind) {
        constexpr int sizes[kKinds] = {4, 2, 4, 1};
        return sizes[kind];
    }
    static constexpr int warm_target(int kind, int shards) {
        const int cores = (static_cast<int>(kCores) + shards - 1) / shards;
        return kind == 0 ? 2 * cores : kind == 3 ? 1 : 0;
    }
    // In the order of the subsystem's enumeration: task, AICore, scheduler phase, orchestrator phase.
    static constexpr Producer producer(uint32_t instance, uint32_t rows) {
        if (instance < 2 * kCores) {
            return {instance < kCores ? 0 : 3, instance % kCores / 3 % rows};
        }
        const uint32_t place = instance - 2 * kCores;
        return place < kRows ? Producer{1, place % rows} : Producer{2, rows - 1};
    }
};

struct Start {
    double returned_ms; // until start() returns
    double warm_ms;     // until the last allocation
    DeviceMemory::Use use;
};

template <typename Pipeline> Start started() {
    const auto pipeline = std::make_unique<Pipeline>(kRows, SwimlaneGeometry::kShadowed);
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
        compare_times((std::string("start_") + SwimlaneGeometry::kArch + "_" + what).c_str(),
                      median_of(sides[0], figure), median_of(sides[1], figure));
    };
    for (size_t side = 0; side < 2; ++side) {
        std::printf("start, %s: %-10s %.2f ms until start returns, %.2f ms until the last allocation\n",
                    SwimlaneGeometry::kArch, side == 0 ? "lanepipe" : "reference",
                    median_of(sides[side], [](const Start &start) { return start.returned_ms; }),
                    median_of(sides[side], [](const Start &start) { return start.warm_ms; }));
    }
    compare("ms", [](const Start &start) { return std::max(start.returned_ms, start.warm_ms); });
    compare("allocations", [](const Start &start) { return static_cast<double>(start.use.allocations); });
    if (!SwimlaneGeometry::kShadowed) {
        compare("registrations", [](const Start &start) { return static_cast<double>(start.use.registrations); });
    }
    compare("mb", [](const Start &start) { return static_cast<double>(start.use.bytes) * 1e-6; });
}

} // namespace bench

#endif // LANEPIPE_TESTS_BENCH_PIPELINE_START_H_
