// The pipeline flat out, with one, two and four lanes: buffers per second, and processor time of the host's threads per
// million buffers. The device publishes from one thread as fast as buffers come back.

#include "pipeline.h"

namespace {

using bench::PmuGeometry;

uint64_t buffers() { return bench::setting("LANEPIPE_BENCH_BUFFERS", 200000) / 4 * 4; }

struct Sample {
    double rate; // million buffers per second
    double cpu;  // seconds per million buffers
};

template <typename Pipeline> Sample flood(uint32_t rows) {
    Sample sample{};
    (void)bench::with<Pipeline>(rows, [&](Pipeline &pipeline) {
        const uint64_t each = buffers() / rows;
        pipeline.sink.expect(rows, each);
        const double cpu = pipeline.threads.cpu_ns();
        const uint64_t start = bench::now_ns();
        pipeline.device.flood(each);
        pipeline.sink.await();
        const double ns = static_cast<double>(bench::now_ns() - start);
        const double count = static_cast<double>(buffers());
        sample = {count * 1e3 / ns, (pipeline.threads.cpu_ns() - cpu) * 1e-3 / count};
        return 0.0;
    });
    return sample;
}

void compare(uint32_t rows) {
    using Ours = bench::Ours<PmuGeometry>;
    using Reference = bench::Reference<PmuGeometry>;
    (void)flood<Ours>(rows);
    (void)flood<Reference>(rows);
    std::vector<double> rates[2];
    std::vector<double> times[2];
    const auto note = [&](size_t side, Sample sample) {
        rates[side].push_back(sample.rate);
        times[side].push_back(sample.cpu);
    };
    for (uint64_t repetition = 0; repetition < bench::setting("LANEPIPE_BENCH_REPS", 7); ++repetition) {
        note(0, flood<Ours>(rows));
        note(1, flood<Reference>(rows));
    }
    for (size_t side = 0; side < 2; ++side) {
        const auto rate = std::minmax_element(rates[side].begin(), rates[side].end());
        std::printf("pipeline, %u lane(s): %-10s %8.3f M buffers/s (%.3f to %.3f), %6.3f CPU s per million\n", rows,
                    side == 0 ? "C++ wrapper" : "reference", bench::median(rates[side]), *rate.first, *rate.second,
                    bench::median(times[side]));
    }
    const std::string suffix = std::to_string(rows);
    bench::compare_rates(("pipeline_rate_" + suffix).c_str(), bench::median(rates[0]), bench::median(rates[1]));
    bench::compare_times(("pipeline_cpu_" + suffix).c_str(), bench::median(times[0]), bench::median(times[1]));
}

} // namespace

int main() {
    for (const uint32_t rows : {1U, 2U, 4U}) {
        compare(rows);
    }
    return 0;
}
