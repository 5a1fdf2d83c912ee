// Instructions that the device engine's drop-in header costs against those of the plain C++ reference, counted by
// callgrind: of one switch, of a record that fits the buffer, and of a record in a stream with its switches.
#include "bench/bench.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

// Instructions of a whole run.
double run(const char *side, const char *module, const char *work, unsigned rounds) {
    const std::string command = std::string("valgrind --tool=callgrind --callgrind-out-file=/dev/null ") + side + " " +
                                module + " " + work + " " + std::to_string(rounds) + " 2>&1";
    FILE *const output = popen(command.c_str(), "r");
    bench::require(output != nullptr, "valgrind cannot be started");
    double collected = -1;
    std::array<char, 512> line;
    while (std::fgets(line.data(), line.size(), output) != nullptr) {
        const std::string text(line.data());
        const size_t at = text.find("Collected :");
        if (at != std::string::npos) {
            collected = std::atof(text.c_str() + at + 11);
        }
    }
    bench::require(pclose(output) == 0, "a counted program failed, or there is no valgrind");
    bench::require(collected > 0, "callgrind gave no count");
    return collected;
}

// Instructions of one round: what start and end cost is in both runs.
double round_of(const char *side, const char *module, const char *work) {
    constexpr unsigned kRounds = 4096;
    return (run(side, module, work, 2 * kRounds) - run(side, module, work, kRounds)) / kRounds;
}

void compare(const char *module, const char *work, const char *without) {
    const auto cost = [&](const char *side) {
        return round_of(side, module, work) - (without == nullptr ? 0.0 : round_of(side, module, without));
    };
    const double ours = cost(LANEPIPE_BENCH_DEVICE_COMPAT);
    const double theirs = cost(LANEPIPE_BENCH_DEVICE_REFERENCE);
    std::printf("bench device_%s_%s %.2f %.2f %.3f\n", work, module, ours, theirs, theirs / ours);
    std::fflush(stdout);
}

} // namespace

int main() {
    for (const char *module : {"pmu", "scope_stats"}) {
        compare(module, "switch", "host");
        compare(module, "append", nullptr);
        compare(module, "stream", nullptr);
    }
    return 0;
}
