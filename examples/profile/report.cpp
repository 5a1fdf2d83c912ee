// SPDX-License-Identifier: MIT OR Apache-2.0
#include "report.hpp"

#include <cinttypes>
#include <string>
#include <utility>

#include "lanepipe/lanepipe.hpp"

#include "summary.hpp"

namespace profile {
namespace {

double megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::vector<std::pair<const char *, uint32_t>> reasons(const lanepipe_device_losses_t &losses) {
    return {{"no_room", losses.no_room},
            {"host_gone", losses.host_gone},
            {"no_queue", losses.no_queue},
            {"no_buffer", losses.no_buffer},
            {"refused", losses.refused},
            {"truncated", losses.truncated},
            {"gate_timeouts", losses.gate_timeouts},
            {"null_slots", losses.null_slots}};
}

void print_lane(std::FILE *file, const std::string &name, const LaneBooks &lane) {
    std::fprintf(file,
                 "  %-14s %11" PRIu64 " %11" PRIu64 " %9" PRIu64 " %8" PRIu64 " %9" PRIu64 " %8" PRIu64 " %10.2f\n",
                 name.c_str(), lane.total + lane.overflow, lane.collected, lane.dropped + lane.lost, lane.mismatch,
                 lane.recovered, lane.buffers, megabytes(lane.bytes));
}

void print_flow(std::FILE *file, uint32_t flow, const Outcome &outcome) {
    print_lane(file, kFlowNames[flow], outcome.flows[flow]);
    uint32_t lanes = 0;
    for (const LaneBooks &lane : outcome.lanes[flow]) {
        lanes += lane.total != 0 ? 1 : 0;
    }
    for (uint32_t thread = 0; thread < outcome.lanes[flow].size() && lanes > 1; ++thread) {
        if (outcome.lanes[flow][thread].total != 0) {
            print_lane(file, "  thread " + std::to_string(thread), outcome.lanes[flow][thread]);
        }
    }
}

void print_device(std::FILE *file, const std::string &name, const DeviceBooks &books) {
    if (books.parked.count != 0) {
        std::fprintf(file, "  %-14s parked %" PRIu64 " times, %.3f ms, longest %.3f ms\n", name.c_str(),
                     books.parked.count, millis(books.parked.total_ns), millis(books.parked.max_ns));
    }
    std::string text;
    for (const auto &[reason, count] : reasons(books.losses)) {
        if (count != 0) {
            text += std::string(text.empty() ? "losses: " : ", ") + reason + " " + std::to_string(count);
        }
    }
    if (!text.empty()) {
        std::fprintf(file, "  %-14s %s\n", name.c_str(), text.c_str());
    }
}

void print_subsystem(std::FILE *file, uint32_t subsystem, const Outcome &outcome) {
    const SubsystemBooks &books = outcome.subsystems[subsystem];
    std::fprintf(file, "  %-14s freezes %" PRIu64 ", %.3f ms; host %" PRIu64 " threads, %.3f ms CPU\n",
                 kSubsystemNames[subsystem], books.freezes, millis(books.frozen_ns), books.host_threads,
                 millis(books.host_cpu_ns));
    for (uint32_t thread = 0; thread < books.threads.size(); ++thread) {
        print_device(file, "  thread " + std::to_string(thread), books.threads[thread]);
    }
}

void json_lane(std::FILE *file, const LaneBooks &lane) {
    std::fprintf(file,
                 "\"total\":%" PRIu64 ",\"collected\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"mismatch\":%" PRIu64
                 ",\"overflow\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"recovered\":%" PRIu64 ",\"buffers\":%" PRIu64
                 ",\"bytes\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"repeated\":%" PRIu64,
                 lane.total, lane.collected, lane.dropped, lane.mismatch, lane.overflow, lane.lost, lane.recovered,
                 lane.buffers, lane.bytes, lane.damaged, lane.repeated);
}

void json_flow(std::FILE *file, uint32_t flow, const Outcome &outcome) {
    std::fprintf(file, "{\"flow\":\"%s\",\"subsystem\":\"%s\",", kFlowNames[flow], kSubsystemNames[subsystem_of(flow)]);
    json_lane(file, outcome.flows[flow]);
    std::fputs(",\"lanes\":[", file);
    const char *separator = "";
    for (const LaneBooks &lane : outcome.lanes[flow]) {
        std::fprintf(file, "%s\n    {", separator);
        json_lane(file, lane);
        std::fputs("}", file);
        separator = ",";
    }
    std::fputs("]}", file);
}

void json_device(std::FILE *file, const DeviceBooks &books) {
    std::fprintf(file,
                 "\"parked\":{\"count\":%" PRIu64 ",\"total_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64 "},\"losses\":{",
                 books.parked.count, books.parked.total_ns, books.parked.max_ns);
    const char *separator = "";
    for (const auto &[reason, count] : reasons(books.losses)) {
        std::fprintf(file, "%s\"%s\":%u", separator, reason, count);
        separator = ",";
    }
    std::fputs("}", file);
}

void json_subsystem(std::FILE *file, uint32_t subsystem, const Outcome &outcome) {
    const SubsystemBooks &books = outcome.subsystems[subsystem];
    std::fprintf(file, "{\"subsystem\":\"%s\",", kSubsystemNames[subsystem]);
    json_lane(file, books.sum);
    std::fprintf(file,
                 ",\n   \"freezes\":%" PRIu64 ",\"frozen_ns\":%" PRIu64 ",\"payloads\":%" PRIu64
                 ",\"lost_buffers\":%" PRIu64 ",\"host_threads\":%" PRIu64 ",\"host_cpu_ns\":%" PRIu64 ",\n   ",
                 books.freezes, books.frozen_ns, books.payloads, books.lost_buffers, books.host_threads,
                 books.host_cpu_ns);
    json_device(file, books.device);
    std::fputs(",\n   \"threads\":[", file);
    const char *separator = "";
    for (const DeviceBooks &thread : books.threads) {
        std::fprintf(file, "%s\n    {", separator);
        json_device(file, thread);
        std::fputs("}", file);
        separator = ",";
    }
    std::fputs("]}", file);
}

void json_outcome(std::FILE *file, const Outcome &outcome) {
    std::fprintf(file,
                 "{\"run\":%s,\"arch\":\"%s\",\"memory\":\"%s\",\"threads\":%u,\"cores\":%u,\"balanced\":%s,"
                 "\"events\":%" PRIu64 ",\"run_ns\":%" PRIu64 ",\"device_ns\":%" PRIu64 ",\"copies\":%" PRIu64
                 ",\"copied_bytes\":%" PRIu64 ",\n \"flows\":[",
                 quoted(outcome.name).c_str(), outcome.arch.c_str(), outcome.shadow ? "shadow" : "svm", outcome.threads,
                 outcome.cores, outcome.balanced() ? "true" : "false", outcome.events, outcome.run_ns,
                 outcome.device_ns, outcome.copies, outcome.copied_bytes);
    const char *separator = "";
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
        if (!outcome.lanes[flow].empty()) {
            std::fprintf(file, "%s\n  ", separator);
            json_flow(file, flow, outcome);
            separator = ",";
        }
    }
    std::fputs("],\n \"subsystems\":[", file);
    separator = "";
    for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
        if (outcome.takes_part[subsystem]) {
            std::fprintf(file, "%s\n  ", separator);
            json_subsystem(file, subsystem, outcome);
            separator = ",";
        }
    }
    std::fputs("],\n \"findings\":[", file);
    separator = "";
    for (const std::string &finding : outcome.findings) {
        std::fprintf(file, "%s\n  %s", separator, quoted(finding).c_str());
        separator = ",";
    }
    std::fputs("]}", file);
}

} // namespace

void print_report(std::FILE *file, const Outcome &outcome) {
    std::fprintf(file, "\n%s: %s, %s, %u control threads, %u cores, %" PRIu64 " events\n", outcome.name.c_str(),
                 outcome.arch.c_str(), outcome.shadow ? "host shadow memory" : "shared memory", outcome.threads,
                 outcome.cores, outcome.events);
    std::fprintf(file, "  %-14s %11s %11s %9s %8s %9s %8s %10s\n", "records", "total", "collected", "dropped",
                 "mismatch", "recovered", "buffers", "MB");
    LaneBooks all;
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
        if (!outcome.lanes[flow].empty()) {
            print_flow(file, flow, outcome);
            all.add(outcome.flows[flow]);
        }
    }
    print_lane(file, "all", all);
    uint64_t cpu_ns = 0;
    for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
        if (outcome.takes_part[subsystem]) {
            print_subsystem(file, subsystem, outcome);
            cpu_ns += outcome.subsystems[subsystem].host_cpu_ns;
        }
    }
    std::fprintf(file, "throughput  %.0f records/s, %.2f MB/s over %.3f s (device %.3f s), host %.3f ms CPU\n",
                 per_second(all.collected, outcome.run_ns), per_second(all.bytes, outcome.run_ns) / 1e6,
                 seconds(outcome.run_ns), seconds(outcome.device_ns), millis(cpu_ns));
    if (outcome.shadow) {
        std::fprintf(file, "copies      %" PRIu64 ", %.1f MB\n", outcome.copies, megabytes(outcome.copied_bytes));
    }
    print_findings(file, outcome.findings);
    std::fprintf(file,
                 "books       %s: collected %" PRIu64 " + dropped %" PRIu64 " + mismatch %" PRIu64 " %s %" PRIu64 "\n",
                 outcome.balanced() ? "balance" : "DO NOT BALANCE", all.collected, all.dropped + all.lost, all.mismatch,
                 all.balanced() ? "==" : "!=", all.total + all.overflow);
}

bool write_json(std::FILE *file, const std::vector<Outcome> &outcomes) {
    return write_summary(file, outcomes, json_outcome);
}

} // namespace profile
