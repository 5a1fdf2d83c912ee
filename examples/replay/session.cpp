// SPDX-License-Identifier: MIT OR Apache-2.0
#include "session.hpp"

#include <cstdio>

#include "progress.hpp"
#include "shared.hpp"

namespace replay {
namespace {

constexpr uint64_t kMillisecond = 1000000;

// A geometry that follows from load and options; false if there is none.
bool plan(const Load &load, const Options &options, Region &region, uint32_t &shards, bool &shadow,
          std::string &error) {
    region.threads = load.threads;
    region.cores = load.cores;
    const bool a5 = load.arch == "a5";
    region.ready_slots = options.ready_slots != 0 ? options.ready_slots : a5 ? 1456 : 992;
    shards = options.shards != 0 ? options.shards : load.threads;
    shadow = options.memory == Options::kByArch ? a5 : options.memory == Options::kShadow;
    if (shards > load.threads) {
        error = "--shards " + std::to_string(shards) + " is more than the " + std::to_string(load.threads) +
                " control threads of " + load.name;
        return false;
    }
    if (options.fail_copy != 0 && !shadow) {
        error = "failing copies need --memory shadow: nothing is copied with shared memory (" + load.name + ")";
        return false;
    }
    const uint64_t needed = Pipeline::memory_needed(region, options);
    if (needed > options.device_memory) {
        error = load.name + " needs " + std::to_string((needed >> 20) + 1) + " MB of --device-memory to start";
        return false;
    }
    if (load.planned_records == 0) {
        error = load.name + " has no events";
        return false;
    }
    return true;
}

void trace_threads(const std::vector<ThreadUsage> &usages, Trace &trace) {
    trace.name_process(kHostProcess, "host");
    TraceSink &sink = trace.add_sink();
    for (const ThreadUsage &usage : usages) {
        const uint32_t track = host_track(usage.role, usage.index);
        const std::string name = kRoleNames[usage.role % kRoleNames.size()];
        trace.name_track(kHostProcess, track, name + " " + std::to_string(usage.index));
        sink.span(kHostProcess, track, usage.begin_ns, usage.end_ns, "thread", "thread", "cpu_ns", usage.cpu_ns);
    }
}

} // namespace

SessionResult run_session(Load &load, const Options &options, Trace &trace, std::FILE *trace_file, Outcome &outcome,
                          std::string &error) {
    Region region;
    uint32_t shards = 0;
    bool shadow = false;
    if (!plan(load, options, region, shards, shadow, error)) {
        return SessionResult::kImpossible;
    }
    DeviceMemory memory;
    if (!memory.open(options.device_memory, shadow)) {
        error = "the system refuses " + std::to_string(options.device_memory >> 20) + " MB for the device";
        return SessionResult::kImpossible;
    }

    Collector::Config collector_config;
    DeviceConfig device_config;
    for (uint32_t kind = 0; kind < kKinds; ++kind) {
        collector_config.capacities[kind] = Pipeline::capacity(options, kind);
        device_config.capacities[kind] = collector_config.capacities[kind];
    }
    collector_config.region = region;
    collector_config.shards = shards;
    collector_config.slow_ms = options.slow_collector_ms;
    collector_config.trace_ns_per_cycle = 1e9 / static_cast<double>(load.clock_hz) / options.speed;
    device_config.recorded_pace = options.recorded_pace;
    device_config.speed = options.speed;
    device_config.drop = options.drop;
    device_config.stall_limit_ns = static_cast<uint64_t>(options.stall_limit * 1e9);

    Collector collector(collector_config, load, trace);
    Pipeline pipeline(region, options, shards, memory, collector);
    if (!pipeline.open(error)) {
        return SessionResult::kFailed;
    }
    Device device(region, device_config, load, memory, pipeline.device_region(), trace);
    if (!pipeline.start(error)) {
        return SessionResult::kFailed;
    }
    Progress progress(load.name, load.planned_records, options.quiet);
    device.start(load);
    while (!device.finished()) {
        sleep_ns(kMillisecond);
        progress.show(device.progress(), collector.progress());
    }
    device.join();
    const uint64_t stop_begin = now_ns();
    const bool stopped = pipeline.stop(error);
    const uint64_t end = now_ns();
    progress.end();
    if (!stopped) {
        return SessionResult::kFailed;
    }

    outcome.name = load.name;
    outcome.arch = load.arch;
    outcome.shadow = shadow;
    outcome.threads = load.threads;
    outcome.cores = load.cores;
    outcome.shards = shards;
    outcome.planned_records = load.planned_records;
    outcome.run_ns = end - device.start_ns();
    outcome.stop_ns = end - stop_begin;
    if (!pipeline.audit(outcome.audit, outcome.walk, error)) {
        return SessionResult::kFailed;
    }
    take_books(region, device, collector, pipeline, outcome);
    outcome.allocations = memory.allocations();
    outcome.copies = memory.copies();
    outcome.copied_bytes = memory.copied_bytes();
    outcome.failed_copies = memory.failed_copies();
    check_books(region, device, collector, outcome);

    if (!pipeline.close(error)) {
        return SessionResult::kFailed;
    }
    if (memory.live_allocations() != 0) {
        outcome.findings.push_back("allocations not given back: " + std::to_string(memory.live_allocations()));
    }
    if (memory.violations() != 0) {
        outcome.findings.push_back("copies or releases with addresses of the wrong side: " +
                                   std::to_string(memory.violations()));
    }
    if (trace_file != nullptr) {
        trace_threads(outcome.usages, trace);
        if (!trace.write(trace_file, device.start_ns())) {
            error = "the trace could not be written";
            return SessionResult::kFailed;
        }
    }
    return SessionResult::kDone;
}

} // namespace replay
