// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What reports and summaries of all demonstrators have.
#ifndef DEMO_SUMMARY_HPP_
#define DEMO_SUMMARY_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "lanepipe/lanepipe.hpp"

#include "output.hpp"

namespace demo {

inline double seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }
inline double millis(uint64_t ns) { return static_cast<double>(ns) / 1e6; }
inline double per_second(uint64_t count, uint64_t ns) { return ns == 0 ? 0 : static_cast<double>(count) / seconds(ns); }

// Prints why books do not balance, not too much of it.
inline void print_findings(std::FILE *file, const std::vector<std::string> &findings) {
    constexpr size_t kMost = 20;
    for (size_t i = 0; i < findings.size() && i < kMost; ++i) {
        std::fprintf(file, "  FINDING %s\n", findings[i].c_str());
    }
    if (findings.size() > kMost) {
        std::fprintf(file, "  FINDING ... and %zu more\n", findings.size() - kMost);
    }
}

// Writes a summary of all runs for machines; `write_one` writes an outcome as one JSON object. False if that failed.
template <typename Outcome, typename WriteOne>
bool write_summary(std::FILE *file, const std::vector<Outcome> &outcomes, WriteOne &&write_one) {
    const bool balanced =
        std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome &outcome) { return outcome.balanced(); });
    std::fprintf(file, "{\"version\":%s,\"balanced\":%s,\"runs\":[\n", quoted(lanepipe::version()).c_str(),
                 balanced ? "true" : "false");
    const char *separator = "";
    for (const Outcome &outcome : outcomes) {
        std::fputs(separator, file);
        write_one(file, outcome);
        separator = ",\n";
    }
    std::fputs("\n]}\n", file);
    return std::fflush(file) == 0 && std::ferror(file) == 0;
}

} // namespace demo

#endif // DEMO_SUMMARY_HPP_
