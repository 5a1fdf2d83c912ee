// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The demonstrator: replays recorded runs, or a synthetic load, on a simulated device through lanepipe and checks the
// books. See --help.
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
#include "trace.hpp"

namespace {

constexpr int kBalanced = 0;
constexpr int kUnbalanced = 1;
constexpr int kImpossible = 2;

int refuse(const std::string &message, int code = kImpossible) {
    std::fprintf(stderr, "lanepipe_replay: %s\n", message.c_str());
    return code;
}

int replay_all(const replay::Options &options, const std::vector<replay::Run> &runs) {
    std::string error;
    demo::File json;
    demo::File trace_file;
    if (!demo::open_output(options.json, json, error) || !demo::open_output(options.trace, trace_file, error)) {
        return refuse(error);
    }
    std::vector<replay::Outcome> outcomes;
    const size_t sessions = options.synthetic ? 1 : runs.size();
    int code = kBalanced;
    for (size_t i = 0; i < sessions; ++i) {
        replay::Load load =
            options.synthetic ? replay::synthetic_load(options) : replay::recorded_load(runs[i], options.loops);
        replay::Trace trace;
        trace.on = trace_file != nullptr;
        replay::Outcome outcome;
        switch (replay::run_session(load, options, trace, trace_file.get(), outcome, error)) {
        case replay::SessionResult::kImpossible:
            return refuse(error);
        case replay::SessionResult::kFailed:
            return refuse(load.name + ": " + error, kUnbalanced);
        case replay::SessionResult::kDone:
            break;
        }
        if (!options.quiet && json.get() != stdout) {
            replay::print_report(stdout, outcome);
            std::fflush(stdout);
        }
        if (!outcome.balanced()) {
            code = kUnbalanced;
            refuse(outcome.name + ": the books do not balance: " + outcome.findings.front());
        }
        outcomes.push_back(std::move(outcome));
    }
    if (json != nullptr && !replay::write_json(json.get(), outcomes)) {
        return refuse(options.json + ": the summary could not be written", kUnbalanced);
    }
    return code;
}

} // namespace

int main(int argc, char **argv) {
    replay::Options options;
    std::string error;
    if (!replay::parse_options(std::vector<std::string>(argv + 1, argv + argc), options, error)) {
        return refuse(error);
    }
    if (options.help) {
        std::fputs(replay::help_text().c_str(), stdout);
        return kBalanced;
    }
    if (!lanepipe::abi_matches()) {
        return refuse("header and library of lanepipe have different ABI versions", kUnbalanced);
    }
    std::vector<replay::Run> runs;
    if (!options.synthetic) {
        if (!demo::load_wanted(argv[0], options, runs, error)) {
            return refuse(error);
        }
        if (options.list_runs) {
            demo::list_runs(runs);
            return kBalanced;
        }
        if (!options.trace.empty() && runs.size() != 1) {
            return refuse("--trace shows one run; name one of the " + std::to_string(runs.size()));
        }
    }
    return replay_all(options, runs);
}
