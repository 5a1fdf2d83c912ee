// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The demonstrator of the five subsystems: recorded runs or a flood on a simulated device, lanepipe on both sides,
// every record checked. See --help.
#include <cstdio>
#include <string>
#include <vector>

#include "lanepipe/lanepipe.hpp"

#include "load.hpp"
#include "options.hpp"
#include "output.hpp"
#include "report.hpp"
#include "runs.hpp"
#include "session.hpp"

namespace {

constexpr int kBalanced = 0;
constexpr int kUnbalanced = 1;
constexpr int kImpossible = 2;

int refuse(const std::string &message, int code = kImpossible) {
    std::fprintf(stderr, "lanepipe_profile: %s\n", message.c_str());
    return code;
}

int run_all(const profile::Options &options, const std::vector<demo::Run> &runs) {
    std::string error;
    demo::File json;
    if (!demo::open_output(options.json, json, error)) {
        return refuse(error);
    }
    // What cannot be run is told before anything runs.
    std::vector<profile::Load> loads;
    if (options.flood != 0) {
        loads.emplace_back();
        if (!profile::flood_load(options, loads.back(), error)) {
            return refuse(error);
        }
    }
    for (const demo::Run &run : runs) {
        loads.emplace_back();
        if (!profile::recorded_load(run, options, loads.back(), error)) {
            return refuse(error);
        }
    }
    std::vector<profile::Outcome> outcomes;
    int code = kBalanced;
    for (const profile::Load &load : loads) {
        profile::Outcome outcome;
        switch (profile::run_session(load, options, outcome, error)) {
        case profile::SessionResult::kImpossible:
            return refuse(error);
        case profile::SessionResult::kFailed:
            return refuse(load.name + ": " + error, kUnbalanced);
        case profile::SessionResult::kDone:
            break;
        }
        if (!options.quiet && json.get() != stdout) {
            profile::print_report(stdout, outcome);
            std::fflush(stdout);
        }
        if (!outcome.balanced()) {
            code = kUnbalanced;
            refuse(outcome.name + ": the books do not balance: " + outcome.findings.front());
        }
        outcomes.push_back(std::move(outcome));
    }
    if (json != nullptr && !profile::write_json(json.get(), outcomes)) {
        return refuse(options.json + ": the summary could not be written", kUnbalanced);
    }
    return code;
}

} // namespace

int main(int argc, char **argv) {
    profile::Options options;
    std::string error;
    if (!profile::parse_options(std::vector<std::string>(argv + 1, argv + argc), options, error)) {
        return refuse(error);
    }
    if (options.help) {
        std::fputs(profile::help_text().c_str(), stdout);
        return kBalanced;
    }
    if (!lanepipe::abi_matches()) {
        return refuse("header and library of lanepipe have different ABI versions", kUnbalanced);
    }
    std::vector<demo::Run> runs;
    if (options.flood == 0) {
        if (!demo::load_wanted(argv[0], options, runs, error)) {
            return refuse(error);
        }
        if (options.list_runs) {
            demo::list_runs(runs);
            return kBalanced;
        }
    }
    return run_all(options, runs);
}
