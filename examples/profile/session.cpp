// SPDX-License-Identifier: MIT OR Apache-2.0
#include "session.hpp"

#include <cstring>

#include "clock.hpp"
#include "progress.hpp"

namespace profile {
namespace {

constexpr uint64_t kMillisecond = 1000000;

// Puts the contents of tensors where the device can read them.
void *place_payloads(DeviceMemory &memory, const Contents &contents) {
    void *dev = memory.alloc(contents.payloads().size());
    if (dev != nullptr) {
        std::memcpy(memory.at(reinterpret_cast<uintptr_t>(dev)), contents.payloads().data(),
                    contents.payloads().size());
    }
    return dev;
}

uint64_t planned_events(const Load &load) {
    uint64_t sum = 0;
    for (const Load::Streams &program : load.programs) {
        for (const auto &stream : program) {
            sum += stream->size();
        }
    }
    return load.limit_ns != 0 ? 0 : sum;
}

SessionResult failed(SessionResult result, std::string message, std::string &error) {
    error = std::move(message);
    return result;
}

} // namespace

SessionResult run_session(const Load &load, const Options &options, Outcome &outcome, std::string &error) {
    const bool shadow =
        options.memory == Options::kByArch ? load.arch->has_host_shadow : options.memory == Options::kShadow;
    const uint64_t planned = planned_events(load);
    if (planned == 0 && load.limit_ns == 0) {
        return failed(SessionResult::kImpossible, load.name + " has no events", error);
    }
    if (options.shards > load.threads) {
        return failed(SessionResult::kImpossible,
                      "--shards " + std::to_string(options.shards) + " is more than the " +
                          std::to_string(load.threads) + " control threads of " + load.name,
                      error);
    }
    if (options.mismatch != 0 && !load.arch->has_staging_ring) {
        return failed(SessionResult::kImpossible,
                      std::string("--mismatch needs cores that hand their counters over themselves; those of ") +
                          load.arch->name + " do not (" + load.name + ")",
                      error);
    }
    if (options.fail_copy != 0 && !shadow) {
        return failed(SessionResult::kImpossible,
                      "failing copies need --memory shadow: nothing is copied with shared memory (" + load.name + ")",
                      error);
    }
    DeviceMemory memory;
    if (!memory.open(options.device_memory, shadow, ShadowAddresses::kTrue)) {
        return failed(SessionResult::kImpossible,
                      "the system refuses " + std::to_string(options.device_memory >> 20) + " MB for the device",
                      error);
    }
    const Contents contents(load, options);
    Receiver receiver(contents, options.slow_collector_ms);
    Host host(load, options, memory, receiver);
    void *payloads = place_payloads(memory, contents);
    if (payloads == nullptr || !host.open(error)) {
        return failed(memory.refused() != 0 ? SessionResult::kImpossible : SessionResult::kFailed,
                      memory.refused() != 0
                          ? load.name + " needs more than " + std::to_string(options.device_memory >> 20) +
                                " MB of --device-memory to start"
                          : error,
                      error);
    }
    Device device(contents, options, host.launches(), reinterpret_cast<uintptr_t>(payloads));
    if (!host.start(error) || !device.init(error)) {
        return SessionResult::kFailed;
    }
    if (options.fail_copy != 0) {
        memory.arm(DeviceMemory::Fail::kContentCopy, options.fail_copy, options.fail_copy_count);
    }
    Progress progress(load.name, planned, options.quiet);
    device.start();
    while (!device.finished()) {
        sleep_ns(kMillisecond);
        progress.show(device.progress(), receiver.progress());
    }
    device.join();
    const bool finished = host.finish(error);
    receiver.finish();
    progress.end();
    if (!finished) {
        return SessionResult::kFailed;
    }

    outcome.run_ns = now_ns() - device.start_ns();
    outcome.name = load.name;
    outcome.arch = load.arch->name;
    outcome.shadow = shadow;
    outcome.threads = load.threads;
    outcome.cores = load.cores;
    take_books(contents, options, device, host, receiver, outcome);
    if (!host.close(error)) {
        return SessionResult::kFailed;
    }
    (void)memory.free_memory(payloads);
    outcome.copies = memory.copies();
    outcome.copied_bytes = memory.copied_bytes();
    if (memory.live_allocations() != 0) {
        outcome.findings.push_back("allocations not given back: " + std::to_string(memory.live_allocations()));
    }
    if (memory.violations() != 0) {
        outcome.findings.push_back("copies or releases with addresses of the wrong side: " +
                                   std::to_string(memory.violations()));
    }
    return SessionResult::kDone;
}

} // namespace profile
