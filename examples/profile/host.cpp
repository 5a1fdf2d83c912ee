// SPDX-License-Identifier: MIT OR Apache-2.0
#include "host.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace profile {
namespace {

constexpr std::chrono::seconds kStopTimeout{60};
constexpr uint32_t kAllArguments = 2; // of all tasks, with contents

std::string describe(uint32_t subsystem, const char *what, lanepipe::Status status, const char *detail = "") {
    std::string text = std::string(what) + " the collector of " + kSubsystemNames[subsystem] + ": " + status.name();
    return *detail == '\0' ? text : text + " (" + detail + ")";
}

} // namespace

Host::Host(const Load &load, const Options &options, DeviceMemory &memory, Receiver &receiver)
    : load_(load), options_(options), memory_(memory), receiver_(receiver) {
    log_.quiet = options.quiet;
}

bool Host::create(uint32_t subsystem, std::string &error) {
    End &end = ends_[subsystem];
    lanepipe::Memory memory = lanepipe::memory_of(memory_);
    if (!memory_.shadow()) {
        memory.copy_to_device = nullptr;
        memory.copy_from_device = nullptr;
    }
    lanepipe::CollectorConfig config;
    config.subsystem = subsystem;
    config.arch = load_.arch->id;
    config.cores = load_.cores;
    config.threads = load_.threads;
    config.scheduler_threads = load_.schedulers();
    config.level = subsystem == LANEPIPE_SUBSYSTEM_SWIMLANE    ? options_.level
                   : subsystem == LANEPIPE_SUBSYSTEM_ARGS_DUMP ? kAllArguments
                                                               : 0;
    config.shards = options_.shards;
    config.buffers_per_instance = options_.buffers;
    config.max_buffers_per_instance = options_.max_buffers;
    config.core_to_thread = load_.core_to_thread.data();
    config.arena_size = options_.arena;
    config.memory = memory;
    config.log = lanepipe::log_sink(log_);
    lanepipe::Error detail;
    lanepipe::Status status =
        lanepipe::Collector::create(config, end.threads, receiver_.sink(subsystem), end.collector, &detail);
    if (!status.ok()) {
        error = describe(subsystem, "creating", status, detail.message());
        return false;
    }
    lanepipe::CollectorRegion region;
    status = end.collector.get_region(region);
    if (!status.ok()) {
        error = describe(subsystem, "asking", status);
        return false;
    }
    launches_[subsystem] = Launch{region.base, region.table};
    memory_.add_region(region.base, region.size);
    return true;
}

bool Host::open(std::string &error) {
    for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
        if (options_.has(subsystem) && !create(subsystem, error)) {
            return false;
        }
    }
    return true;
}

bool Host::start(std::string &error) {
    for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
        lanepipe::Collector &collector = ends_[subsystem].collector;
        const lanepipe::Status status = collector ? collector.start() : lanepipe::Status();
        if (!status.ok()) {
            error = describe(subsystem, "starting", status);
            return false;
        }
    }
    return true;
}

bool Host::finish(std::string &error) {
    const auto each = [&](const char *what, auto &&call) {
        for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
            lanepipe::Collector &collector = ends_[subsystem].collector;
            const lanepipe::Status status = collector ? call(collector) : lanepipe::Status();
            if (!status.ok()) {
                error = describe(subsystem, what, status);
                return false;
            }
        }
        return true;
    };
    const bool stopped = each("stopping", [](lanepipe::Collector &collector) { return collector.stop(kStopTimeout); });
    // What follows is book-keeping and shall not fail by order.
    memory_.arm(DeviceMemory::Fail::kNothing, 0, 0);
    return stopped && each("recovering from", [](lanepipe::Collector &collector) { return collector.recover(); }) &&
           each("reconciling", [](lanepipe::Collector &collector) { return collector.reconcile(); });
}

bool Host::close(std::string &error) {
    for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
        const lanepipe::Status status = ends_[subsystem].collector.destroy();
        if (!status.ok()) {
            error = describe(subsystem, "destroying", status);
            return false;
        }
    }
    return true;
}

bool Host::books(uint32_t flow, uint32_t instance, lanepipe::Books &books) const {
    return ends_[subsystem_of(flow)].collector.get_books(books, kind_of(flow), instance).ok();
}

lanepipe::Books Host::books(uint32_t subsystem) const {
    lanepipe::Books books;
    (void)ends_[subsystem].collector.get_books(books);
    return books;
}

lanepipe::GateStats Host::gates(uint32_t subsystem) const {
    lanepipe::GateStats stats;
    (void)ends_[subsystem].collector.get_gate_stats(stats);
    return stats;
}

uint64_t Host::corrupt_queues(uint32_t subsystem) const {
    uint64_t sum = 0;
    for (uint32_t queue = 0; queue < load_.threads; ++queue) {
        lanepipe::QueueStats stats;
        (void)ends_[subsystem].collector.get_queue_stats(queue, stats);
        sum += stats.corrupt;
    }
    return sum;
}

bool Host::core_threads(std::vector<uint32_t> &threads) const {
    // The number of cores, then as many bytes as the architecture has cores, which is a multiple of four.
    std::vector<uint32_t> words(1 + load_.arch->cores / sizeof(uint32_t));
    const size_t size = words.size() * sizeof(uint32_t);
    auto *at = reinterpret_cast<void *>(launches_[LANEPIPE_SUBSYSTEM_SWIMLANE].base + load_.arch->phase_cores);
    if (!memory_.shadow()) {
        std::memcpy(words.data(), at, size);
    } else if (memory_.copy_from_device(words.data(), at, size) != 0) {
        return false;
    }
    const auto *bytes = reinterpret_cast<const int8_t *>(&words[1]);
    threads.assign(bytes, bytes + std::min(words[0], load_.arch->cores));
    return true;
}

} // namespace profile
