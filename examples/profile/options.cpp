// SPDX-License-Identifier: MIT OR Apache-2.0
#include "options.hpp"

#include <algorithm>

#include "option_table.hpp"

namespace profile {
namespace {

bool apply_subsystems(Options &options, const std::string &text, std::string &error) {
    options.subsystems.fill(false);
    const std::vector<std::string> names(kSubsystemNames.begin(), kSubsystemNames.end());
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(',', begin), text.size());
        size_t subsystem = 0;
        if (!parse_word(text.substr(begin, end - begin), names, subsystem, error)) {
            return false;
        }
        options.subsystems[subsystem] = true;
        begin = end + 1;
    }
    return true;
}

template <uint64_t Options::*Field>
bool apply_megabytes(Options &options, const std::string &text, std::string &error) {
    uint64_t mib = 0;
    if (!parse_count(text, 1, 65536, mib, error)) {
        return false;
    }
    options.*Field = mib << 20;
    return true;
}

bool apply_arena(Options &options, const std::string &text, std::string &error) {
    uint64_t kib = 0;
    if (!parse_count(text, 1, uint64_t{LANEPIPE_COLLECTOR_MAX_ARENA} >> 10, kib, error)) {
        return false;
    }
    options.arena = kib << 10;
    return true;
}

bool apply_fail(Options &options, const std::string &text, std::string &error) {
    return parse_some(text, options.fail_copy, options.fail_copy_count, error);
}

OptionTable table_of(Options &options) {
    OptionTable table;
    add_common(table, options);
    table.add("subsystems", "LIST",
              "Which of swimlane,pmu,dep_gen,args_dump,scope_stats take part, separated by commas. Default: all.",
              OptionTable::bind(options, apply_subsystems));
    table.add(
        "level", "N",
        "Of the swimlane: 1 tasks as the cores saw them, 2 also as the control threads did, 3 scheduler phases, 4 "
        "orchestrator phases (default).",
        OptionTable::count(options.level, 1, 4));
    table.add("pace", "PACE",
              "Recorded runs. recorded: events happen when they did. flat-out (default): as fast as possible.",
              OptionTable::word(options.recorded_pace, {"flat-out", "recorded"}));
    table.add("speed", "X", "With --pace recorded: compress time by X, 0.001 to 1000000. Default 1.",
              OptionTable::real(options.speed, 0.001, 1e6));
    table.add("loops", "K", "Replay each run K times in a row, within one launch. Default 1.",
              OptionTable::count(options.loops, 1, 1000000));
    table.add(
        "flood", "F",
        "Make up a load instead of replaying a run: F times the worst rates measured on hardware (a second: 105 "
        "thousand tasks on each core, 288 thousand phases on each scheduler, 1.31 million submits and orchestrator "
        "phases), 0.0001 to 10000.",
        OptionTable::real(options.flood, 0.0001, 1e4));
    table.add(
        "arch", "ARCH",
        "Flood: a2a3 (default; 72 cores, 4 control threads, shared memory) or a5 (108 cores, 5 control threads, host "
        "shadow). A recorded run has its own.",
        OptionTable::word_text(options.arch, {"a2a3", "a5"}));
    table.add("cores", "N", "Flood: cores, at most the architecture's (default).",
              OptionTable::count(options.cores, 1, kMaxCores));
    table.add(
        "threads", "N",
        "Flood: control threads, 2 to the architecture's (default). The last one orchestrates, the others schedule.",
        OptionTable::count(options.threads, 2, kMaxThreads));
    table.add("seconds", "S", "Flood: end after S seconds, 0.001 to 86400.",
              OptionTable::real(options.seconds, 0.001, 86400));
    table.add(
        "events", "N",
        "Flood: end after N events, shared among all that happens by the rates. Default 1000000; without limit if "
        "--seconds is given.",
        OptionTable::count(options.events, 1, 1000000000000));
    table.add("arguments", "N", "Flood: arguments of each submit, 0 to 32. Default 3.",
              OptionTable::count(options.arguments, 0, kMaxArguments));
    table.add("payload", "BYTES", "Contents of each tensor that is dumped, 0 to 1048576. Default 64.",
              OptionTable::count(options.payload, 0, 1 << 20));
    table.add("deps", "N", "Dependencies of each submit, 0 to 5000; beyond 64 a submit takes several slots. Default 2.",
              OptionTable::count(options.deps, 0, 5000));
    table.add("memory", "MODE",
              "svm: host and device share memory. shadow: the host sees copies only. Default: as on the architecture.",
              OptionTable::word(options.memory, {"by-arch", "svm", "shadow"}));
    table.add(
        "shards", "N",
        "Drain and collect threads of each collector, at most one for each control thread. Default: one for each.",
        OptionTable::count(options.shards, 1, kMaxThreads));
    table.add("buffers", "N", "Buffers of each instance at the start, 1 to 64. Default: as on hardware.",
              OptionTable::count(options.buffers, 1, 64));
    table.add(
        "max-buffers", "N",
        "Most buffers of each instance on average, --buffers to 4096; at least as many as one can hold. Default: twice "
        "those at the start.",
        OptionTable::count(options.max_buffers, 1, 4096));
    table.add("arena", "KB", "Arena for contents of tensors, of each scheduler. Default 131072.",
              OptionTable::bind(options, apply_arena));
    table.add("device-memory", "MB", "Memory of the device. Default 4096; touched only as far as used.",
              OptionTable::bind(options, apply_megabytes<&Options::device_memory>));
    table.add("slow-collector", "MS", "Make the receivers of records sleep this long for every buffer.",
              OptionTable::count(options.slow_collector_ms, 0, 60000));
    table.add("fail-content-copy", "N[+M]",
              "Shadow memory: the N-th copy of buffer contents, and M-1 after it, fail. Contents lost end with 1.",
              OptionTable::bind(options, apply_fail));
    table.add("drop", nullptr, "A device that never waits for the host: it loses records and counts them.",
              OptionTable::flag(options.drop));
    table.add("budget", "S",
              "A device thread waits this long for the host, 0.001 to 3600 seconds, then drops. Default 30, as on "
              "hardware.",
              OptionTable::real(options.budget, 0.001, 3600));
    table.add(
        "mismatch", "N",
        "Architecture a5: a core keeps the counters of every N-th task to itself, which is a mismatch and no drop.",
        OptionTable::count(options.mismatch, 1, 1000000000));
    table.add("no-flush", nullptr,
              "A device that ends without handing over what it still holds; the host recovers what can be told.",
              OptionTable::flag(options.flush, false));
    return table;
}

bool check(const Options &options, const OptionTable &table, std::string &error) {
    const auto refuse = [&error](const std::string &message) {
        error = message;
        return false;
    };
    const bool is_flood = options.flood != 0;
    for (const char *name : {"arch", "cores", "threads", "seconds", "events", "arguments"}) {
        if (table.given(name) && !is_flood) {
            return refuse(std::string("--") + name + " needs --flood");
        }
    }
    for (const char *name : {"pace", "loops", "list-runs"}) {
        if (table.given(name) && is_flood) {
            return refuse(std::string("--") + name + " is for recorded runs and does not go with --flood");
        }
    }
    if (is_flood && !options.runs.empty()) {
        return refuse("--flood does not go with a recorded run (\"" + options.runs.front() + "\")");
    }
    if (table.given("speed") && !options.recorded_pace) {
        return refuse("--speed needs --pace recorded");
    }
    if (options.drop && table.given("budget")) {
        return refuse("--drop is a budget of 0 and excludes --budget");
    }
    if (table.given("max-buffers") && options.max_buffers < options.buffers) {
        return refuse("--max-buffers is less than --buffers");
    }
    if (table.given("mismatch") && !options.has(LANEPIPE_SUBSYSTEM_PMU)) {
        return refuse("--mismatch needs the subsystem pmu");
    }
    if (table.given("level") && !options.has(LANEPIPE_SUBSYSTEM_SWIMLANE)) {
        return refuse("--level needs the subsystem swimlane");
    }
    return true;
}

} // namespace

bool parse_options(const std::vector<std::string> &arguments, Options &options, std::string &error) {
    OptionTable table = table_of(options);
    if (!table.parse(arguments, options.runs, error) || !check(options, table, error)) {
        return false;
    }
    if (options.seconds != 0 && !table.given("events")) {
        options.events = UINT64_MAX;
    }
    return true;
}

std::string help_text() {
    Options options;
    return "usage: lanepipe_profile [OPTION]... [RUN]...\n"
           "\n"
           "Five profiling subsystems at once, lanepipe on both sides: simulated control threads and cores record\n"
           "through the device half, one collector per subsystem receives on the host. Every record that arrives is\n"
           "compared with the event that it stands for, then the books are checked. RUN is a name from --list-runs,\n"
           "a file, or \"all\" (default). Options take their value after a space or after \"=\".\n"
           "\n" +
           table_of(options).help() +
           "\nExit code: 0 if the books balance, 1 if they do not or something failed, 2 if an option cannot be\n"
           "honoured.\n";
}

} // namespace profile
