// SPDX-License-Identifier: MIT OR Apache-2.0
#include "runs.hpp"

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace demo {
namespace {

std::string find_above(std::filesystem::path from) {
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

} // namespace

std::string find_runs(const std::string &program) {
    const std::string found = find_above(".");
    return found.empty() ? find_above(std::filesystem::path(program).parent_path()) : found;
}

bool load_runs(const std::string &directory, const std::vector<std::string> &names, std::vector<Run> &runs,
               std::string &error) {
    std::vector<std::string> wanted;
    for (const std::string &name : names) {
        if (name == "all") {
            for (const std::string &each : list_runs(directory)) {
                wanted.push_back(each);
            }
        } else {
            wanted.push_back(name);
        }
    }
    if (wanted.empty()) {
        error = "no recorded runs in \"" + directory + "\"; see --runs-dir";
        return false;
    }
    for (const std::string &name : wanted) {
        const bool is_file = name.find('/') != std::string::npos || name.find(".jsonl") != std::string::npos;
        const std::string path = is_file ? name : directory + "/" + name + ".jsonl";
        runs.emplace_back();
        if (!load_run(path, runs.back(), error)) {
            return false;
        }
    }
    return true;
}

void list_runs(const std::vector<Run> &runs) {
    std::printf("%-16s %-5s %7s %6s %7s %7s %7s %7s %7s %12s\n", "run", "arch", "threads", "cores", "tasks", "sched",
                "orch", "submits", "scopes", "duration ms");
    for (const Run &run : runs) {
        uint64_t counts[Event::kTypes] = {};
        for (const Event &event : run.events) {
            ++counts[event.type];
        }
        std::printf("%-16s %-5s %7u %6u", run.name.c_str(), run.arch.c_str(), run.threads, run.cores);
        for (const uint64_t count : counts) {
            std::printf(" %7" PRIu64, count);
        }
        std::printf(" %12.3f\n", 1e3 * static_cast<double>(run.duration) / static_cast<double>(run.clock_hz));
    }
}

} // namespace demo
