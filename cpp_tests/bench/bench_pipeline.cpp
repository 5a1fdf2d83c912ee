// The pipeline flat out, with one, two and four lanes: buffers per second, and processor time of the host's threads per
// million buffers. The device publishes from one thread as fast as buffers come back. lanepipe runs with lanes that
// hold as many buffers as the device's queues, and with the C++ runtime's watermarks; the reference's pool grows by
// itself.

#include "pipeline.h"

namespace {

using bench::PmuGeometry;

uint64_t buffers() { return bench::setting("LANEPIPE_BENCH_BUFFERS", 200000) / 4 * 4; }

enum class Make { kWarm, kPlain, kReference };
constexpr const char *kNames[] = {"lanepipe, warm lanes", "lanepipe", "reference"};

struct Sample {
    double rate; // million buffers per second
    double cpu;  // seconds per million buffers
    double held; // buffers' worth of device memory, at the end
};

template <typename Pipeline> Sample flood(Pipeline &pipeline, uint32_t rows) {
    pipeline.start();
    const uint64_t each = buffers() / rows;
    pipeline.sink.expect(rows, each);
    const double cpu = pipeline.threads.cpu_ns();
    const uint64_t start = bench::now_ns();
    pipeline.device.flood(each);
    pipeline.sink.await();
    const double ns = static_cast<double>(bench::now_ns() - start);
    const double count = static_cast<double>(buffers());
    const Sample sample = {count * 1e3 / ns, (pipeline.threads.cpu_ns() - cpu) * 1e-3 / count,
                           static_cast<double>(pipeline.memory.use().bytes / PmuGeometry::buffer_size(0))};
    pipeline.stop();
    return sample;
}

Sample flood(Make make, uint32_t rows) {
    return bench::in_a_process<Sample>(make == Make::kReference, [&] {
        if (make == Make::kReference) {
            return flood(*std::make_unique<bench::Reference<PmuGeometry>>(rows), rows);
        }
        const auto pipeline = std::make_unique<bench::Ours<PmuGeometry>>(rows);
        if (make == Make::kWarm) {
            pipeline->warm_lanes();
        }
        return flood(*pipeline, rows);
    });
}

void compare(uint32_t rows) {
    constexpr size_t kSides = std::size(kNames);
    std::vector<double> rates[kSides];
    std::vector<double> times[kSides];
    std::vector<double> held[kSides];
    for (uint64_t repetition = 0; repetition < bench::setting("LANEPIPE_BENCH_REPS", 9); ++repetition) {
        for (size_t side = 0; side < kSides; ++side) {
            const Sample sample = flood(static_cast<Make>(side), rows);
            rates[side].push_back(sample.rate);
            times[side].push_back(sample.cpu);
            held[side].push_back(sample.held);
        }
    }
    for (size_t side = 0; side < kSides; ++side) {
        const auto rate = std::minmax_element(rates[side].begin(), rates[side].end());
        std::printf("pipeline, %u lane(s): %-20s %8.3f M buffers/s (%.3f to %.3f), %6.3f CPU s per million, "
                    "%6.0f buffers\n",
                    rows, kNames[side], bench::median(rates[side]), *rate.first, *rate.second,
                    bench::median(times[side]), bench::median(held[side]));
    }
    for (size_t side = 0; side < 2; ++side) {
        const std::string suffix = std::string(side == 0 ? "" : "plain_") + std::to_string(rows);
        bench::compare_rates(("pipeline_rate_" + suffix).c_str(), rates[side], rates[2]);
        bench::compare_times(("pipeline_cpu_" + suffix).c_str(), times[side], times[2]);
    }
}

} // namespace

int main() {
    // A child would print what its parent has not yet printed.
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    for (const uint32_t rows : {1U, 2U, 4U}) {
        compare(rows);
    }
    return 0;
}
