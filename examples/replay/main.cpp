// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The demonstrator: replays recorded runs, or a synthetic load, on a simulated device through lanepipe and checks the
// books. See --help.
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "lanepipe/lanepipe.hpp"

#include "load.hpp"
#include "options.hpp"
#include "report.hpp"
#include "run_file.hpp"
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

struct CloseFile {
    void operator()(std::FILE *file) const {
        if (file != stdout) {
            std::fclose(file);
        }
    }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// The nearest directory data/runs in `from` or above it.
std::string find_runs(std::filesystem::path from) {
    std::error_code failed;
    from = std::filesystem::absolute(from, failed);
    while (!failed && !from.empty()) {
        const std::filesystem::path candidate = from / "data" / "runs";
        if (std::filesystem::is_directory(candidate, failed)) {
            return candidate.string();
        }
        if (from == from.parent_path()) {
            break;
        }
        failed.clear();
        from = from.parent_path();
    }
    return std::string();
}

bool load_runs(const replay::Options &options, std::vector<replay::Run> &runs, std::string &error) {
    std::vector<std::string> wanted;
    for (const std::string &name : options.runs) {
        if (name == "all") {
            for (const std::string &each : replay::list_runs(options.runs_dir)) {
                wanted.push_back(each);
            }
        } else {
            wanted.push_back(name);
        }
    }
    if (wanted.empty()) {
        error = "no recorded runs in \"" + options.runs_dir + "\"; see --runs-dir";
        return false;
    }
    for (const std::string &name : wanted) {
        const bool is_file = name.find('/') != std::string::npos || name.find(".jsonl") != std::string::npos;
        const std::string path = is_file ? name : options.runs_dir + "/" + name + ".jsonl";
        runs.emplace_back();
        if (!replay::load_run(path, runs.back(), error)) {
            return false;
        }
    }
    return true;
}

int list(const std::vector<replay::Run> &runs) {
    std::printf("%-16s %-5s %7s %6s %7s %7s %7s %12s\n", "run", "arch", "threads", "cores", "tasks", "sched", "orch",
                "duration ms");
    for (const replay::Run &run : runs) {
        uint64_t counts[3] = {};
        for (const replay::Event &event : run.events) {
            ++counts[event.type];
        }
        std::printf("%-16s %-5s %7u %6u %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %12.3f\n", run.name.c_str(),
                    run.arch.c_str(), run.threads, run.cores, counts[replay::Event::kTaskEvent],
                    counts[replay::Event::kSchedEvent], counts[replay::Event::kOrchEvent],
                    1e3 * static_cast<double>(run.duration) / static_cast<double>(run.clock_hz));
    }
    return kBalanced;
}

// Opens what is to be written before anything runs, so that a wrong name costs no run.
bool open_output(const std::string &name, File &file, std::string &error) {
    if (!name.empty()) {
        file.reset(name == "-" ? stdout : std::fopen(name.c_str(), "w"));
        if (file == nullptr) {
            error = name + ": " + std::strerror(errno);
            return false;
        }
    }
    return true;
}

int replay_all(const replay::Options &options, const std::vector<replay::Run> &runs) {
    std::string error;
    File json;
    File trace_file;
    if (!open_output(options.json, json, error) || !open_output(options.trace, trace_file, error)) {
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
        if (options.runs_dir.empty()) {
            options.runs_dir = find_runs(".");
        }
        if (options.runs_dir.empty()) {
            options.runs_dir = find_runs(std::filesystem::path(argv[0]).parent_path());
        }
        if (options.runs.empty()) {
            options.runs.push_back("all");
        }
        if (!load_runs(options, runs, error)) {
            return refuse(error);
        }
        if (options.list_runs) {
            return list(runs);
        }
        if (!options.trace.empty() && runs.size() != 1) {
            return refuse("--trace shows one run; name one of the " + std::to_string(runs.size()));
        }
    }
    return replay_all(options, runs);
}
