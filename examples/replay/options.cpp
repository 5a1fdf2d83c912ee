// SPDX-License-Identifier: MIT OR Apache-2.0
#include "options.hpp"

#include "option_table.hpp"
#include "shared.hpp"

namespace replay {
namespace {

bool apply_records(Options &options, const std::string &text, std::string &error) {
    if (text == "real") {
        options.records_per_buffer = 0;
        return true;
    }
    if (!OptionTable::count(options.records_per_buffer, 1, 65536)(text, error)) {
        error += ", and not \"real\"";
        return false;
    }
    return true;
}

bool apply_device_memory(Options &options, const std::string &text, std::string &error) {
    uint64_t mib = 0;
    if (!parse_count(text, 1, 65536, mib, error)) {
        return false;
    }
    options.device_memory = mib << 20;
    return true;
}

bool apply_fail(Options &options, const std::string &text, std::string &error) {
    return parse_some(text, options.fail_copy, options.fail_copy_count, error);
}

bool apply_fail_content(Options &options, const std::string &text, std::string &error) {
    options.fail_content_only = true;
    return apply_fail(options, text, error);
}

OptionTable table_of(Options &options) {
    OptionTable table;
    add_common(table, options);
    table.add("trace", "FILE", "Write a trace of one run that opens in Perfetto. Grows with the number of records.",
              OptionTable::text(options.trace));
    table.add(
        "pace", "PACE",
        "recorded: events happen when they did (or, --synthetic, at the given rates). flat-out (default): as fast as "
        "possible.",
        OptionTable::word(options.recorded_pace, {"flat-out", "recorded"}));
    table.add("speed", "X", "With --pace recorded: compress time by X, 0.001 to 1000000. Default 1.",
              OptionTable::real(options.speed, 0.001, 1e6));
    table.add("loops", "K", "Replay each run K times in a row, without restart of the pipeline. Default 1.",
              OptionTable::count(options.loops, 1, 1000000000));
    table.add("synthetic", nullptr, "Make up a load instead of replaying a run.", OptionTable::flag(options.synthetic));
    table.add("arch", "ARCH",
              "Synthetic: a2a3 (default; 4 threads, 72 cores, svm) or a5 (5 threads, 108 cores, shadow).",
              OptionTable::word_text(options.arch, {"a2a3", "a5"}));
    table.add("threads", "N", "Synthetic: control threads, 1 to 64; the last one orchestrates.",
              OptionTable::count(options.threads, 1, kMaxThreads));
    table.add("cores", "N", "Synthetic: cores, 1 to 1024.", OptionTable::count(options.cores, 1, kMaxCores));
    table.add("events", "N", "Synthetic: events altogether, shared among the kinds by their rates. Default 1000000.",
              OptionTable::count(options.events, 1, 1000000000000));
    table.add("rate-task", "R", "Synthetic: tasks a second on each core; 0 for none. Default 105000.",
              OptionTable::real(options.rate_task, 0, 1e9));
    table.add("rate-sched", "R", "Synthetic: scheduler phases a second on each thread; 0 for none. Default 288000.",
              OptionTable::real(options.rate_sched, 0, 1e9));
    table.add("rate-orch", "R", "Synthetic: orchestrator phases a second; 0 for none. Default 1310000.",
              OptionTable::real(options.rate_orch, 0, 1e9));
    table.add(
        "memory", "MODE",
        "svm: host and device share memory. shadow: the host sees copies only, device addresses fault. Default: as on "
        "the run's arch.",
        OptionTable::word(options.memory, {"by-arch", "svm", "shadow"}));
    table.add(
        "records-per-buffer", "N",
        "Records in a buffer of any kind, or \"real\" for the numbers of the hardware. Default 16 for runs, real with "
        "--synthetic.",
        OptionTable::bind(options, apply_records));
    table.add("pool-buffers", "N", "Buffers of each instance that exist at the start, 1 to 4096. Default 8.",
              OptionTable::count(options.pool_buffers, 1, 4096));
    table.add(
        "no-grow", nullptr,
        "Never allocate buffers while running. With few buffers a lane can then wait for good, see --stall-limit.",
        OptionTable::flag(options.grow, false));
    table.add("shards", "N",
              "Drain and collect threads of the pipeline, at most one for each control thread (default).",
              OptionTable::count(options.shards, 1, kMaxThreads));
    table.add("ready-slots", "N", "Size of a device ready queue, one slot of it unused. Default 992 (a2a3), 1456 (a5).",
              OptionTable::count(options.ready_slots, 2, 65536));
    table.add("ring", "N", "Capacity of the host's ready and done rings. Default 1024.",
              OptionTable::count(options.ring, 1, 1 << 20));
    table.add("device-memory", "MB", "Memory of the device. Default 1024.",
              OptionTable::bind(options, apply_device_memory));
    table.add(
        "starved", "MODE",
        "What a lane does when it finds no free buffer or no ready slot. wait (default), or drop: lose records and "
        "count them.",
        OptionTable::word(options.drop, {"wait", "drop"}));
    table.add("stall-limit", "S",
              "A lane that waits this many seconds gives up and drops; the result is then 1. Default 60.",
              OptionTable::real(options.stall_limit, 0.001, 1e6));
    table.add("slow-collector", "MS", "Make the collector sleep this long for every buffer.",
              OptionTable::count(options.slow_collector_ms, 0, 60000));
    table.add("fail-copy", "N[+M]",
              "Shadow memory: the N-th copy callback of the running pipeline, and M-1 after it, fail.",
              OptionTable::bind(options, apply_fail));
    table.add("fail-content-copy", "N[+M]", "The same, counting only copies of buffer contents.",
              OptionTable::bind(options, apply_fail_content));
    return table;
}

bool check(const Options &options, const OptionTable &table, std::string &error) {
    const auto refuse = [&error](const std::string &message) {
        error = message;
        return false;
    };
    for (const char *name : {"arch", "threads", "cores", "events", "rate-task", "rate-sched", "rate-orch"}) {
        if (table.given(name) && !options.synthetic) {
            return refuse(std::string("--") + name + " needs --synthetic");
        }
    }
    if (options.synthetic && !options.runs.empty()) {
        return refuse("--synthetic does not go with a recorded run (\"" + options.runs.front() + "\")");
    }
    if (options.synthetic && table.given("loops")) {
        return refuse("--loops repeats recorded runs; use --events with --synthetic");
    }
    if (options.synthetic && options.rate_task + options.rate_sched + options.rate_orch <= 0) {
        return refuse("--synthetic needs a rate above 0");
    }
    if (table.given("speed") && !options.recorded_pace) {
        return refuse("--speed needs --pace recorded");
    }
    if (table.given("fail-copy") && table.given("fail-content-copy")) {
        return refuse("--fail-copy and --fail-content-copy exclude each other");
    }
    return true;
}

} // namespace

bool parse_options(const std::vector<std::string> &arguments, Options &options, std::string &error) {
    OptionTable table = table_of(options);
    if (!table.parse(arguments, options.runs, error)) {
        return false;
    }
    if (!table.given("records-per-buffer") && !options.synthetic) {
        options.records_per_buffer = 16;
    }
    return check(options, table, error);
}

std::string help_text() {
    Options options;
    return "usage: lanepipe_replay [OPTION]... [RUN]...\n"
           "\n"
           "A simulated device replays recorded runs through lanepipe's host pipeline, then the books are\n"
           "checked: every record collected, dropped and counted, or reported. RUN is a name from --list-runs,\n"
           "a file, or \"all\" (default). Options take their value after a space or after \"=\".\n"
           "\n" +
           table_of(options).help() +
           "\nExit code: 0 if the books balance, 1 if they do not or the pipeline failed, 2 if an option cannot be\n"
           "honoured.\n";
}

} // namespace replay
