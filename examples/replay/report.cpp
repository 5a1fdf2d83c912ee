// SPDX-License-Identifier: MIT OR Apache-2.0
#include "report.hpp"

#include <cinttypes>
#include <string>

#include "summary.hpp"

namespace replay {
namespace {

double micros(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

struct RoleUsage {
    uint32_t threads = 0;
    uint64_t cpu_ns = 0;
    uint64_t voluntary = 0;
    uint64_t involuntary = 0;
};

std::array<RoleUsage, kRoleNames.size()> usage_by_role(const Outcome &outcome) {
    std::array<RoleUsage, kRoleNames.size()> roles;
    for (const ThreadUsage &usage : outcome.usages) {
        RoleUsage &role = roles[usage.role % roles.size()];
        ++role.threads;
        role.cpu_ns += usage.cpu_ns;
        role.voluntary += usage.voluntary_switches;
        role.involuntary += usage.involuntary_switches;
    }
    return roles;
}

void print_lane(std::FILE *file, const char *name, const LaneBooks &lane) {
    std::fprintf(file,
                 "  %-12s %11" PRIu64 " %11" PRIu64 " %9" PRIu64 " %8" PRIu64 "   %9" PRIu64 " %9" PRIu64 " %8" PRIu64
                 "\n",
                 name, lane.produced, lane.collected, lane.dropped(), lane.mismatch, lane.buffers_published,
                 lane.buffers_collected, lane.buffers_dropped + lane.buffers_published - lane.buffers_collected);
}

void print_wait(std::FILE *file, const char *name, const WaitStats &stats) {
    std::fprintf(file, "  %-22s %8" PRIu64 " times, %10.3f ms together, longest %8.3f ms%s\n", name, stats.count,
                 millis(stats.total_ns), millis(stats.max_ns), stats.given_up != 0 ? ", GIVEN UP" : "");
}

void print_usage(std::FILE *file, const Outcome &outcome) {
    std::fputs("host threads\n", file);
    uint64_t all = 0;
    const auto roles = usage_by_role(outcome);
    for (size_t i = 0; i < roles.size(); ++i) {
        all += roles[i].cpu_ns;
        std::fprintf(
            file,
            "  %-10s %2u  %9.3f ms CPU  %5.1f %% of a core, switches %" PRIu64 " voluntary %" PRIu64 " involuntary\n",
            kRoleNames[i], roles[i].threads, millis(roles[i].cpu_ns),
            100.0 * per_second(roles[i].cpu_ns, outcome.run_ns) / 1e9, roles[i].voluntary, roles[i].involuntary);
    }
    std::fprintf(file, "  all            %9.3f ms CPU  %5.1f %% of a core\n", millis(all),
                 100.0 * per_second(all, outcome.run_ns) / 1e9);
}

void json_lane(std::FILE *file, const LaneBooks &lane) {
    std::fprintf(file,
                 "\"produced\":%" PRIu64 ",\"collected\":%" PRIu64 ",\"dropped\":%" PRIu64
                 ",\"dropped_device\":%" PRIu64 ",\"dropped_host\":%" PRIu64 ",\"mismatch\":%" PRIu64
                 ",\"repeated\":%" PRIu64 ",\"buffers_published\":%" PRIu64 ",\"buffers_collected\":%" PRIu64
                 ",\"buffers_dropped\":%" PRIu64,
                 lane.produced, lane.collected, lane.dropped(), lane.dropped_device, lane.dropped_host, lane.mismatch,
                 lane.repeated, lane.buffers_published, lane.buffers_collected, lane.buffers_dropped);
}

void json_wait(std::FILE *file, const char *name, const WaitStats &stats) {
    std::fprintf(
        file, "\"%s\":{\"count\":%" PRIu64 ",\"total_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64 ",\"given_up\":%" PRIu64 "}",
        name, stats.count, stats.total_ns, stats.max_ns, stats.given_up);
}

void json_outcome(std::FILE *file, const Outcome &outcome) {
    std::fprintf(
        file,
        "{\"run\":%s,\"arch\":\"%s\",\"memory\":\"%s\",\"threads\":%u,\"cores\":%u,\"shards\":%u,\"balanced\":%s,"
        "\n \"total\":{",
        quoted(outcome.name).c_str(), outcome.arch.c_str(), outcome.shadow ? "shadow" : "svm", outcome.threads,
        outcome.cores, outcome.shards, outcome.balanced() ? "true" : "false");
    json_lane(file, outcome.total);
    std::fputs("},\n \"lanes\":[", file);
    const char *separator = "";
    for (const LaneBooks &lane : outcome.lanes) {
        std::fprintf(file, "%s\n  {\"thread\":%u,\"kind\":\"%s\",", separator, lane.thread, kKindNames[lane.kind]);
        json_lane(file, lane);
        std::fputs("}", file);
        separator = ",";
    }
    std::fputs("],\n \"queues\":[", file);
    separator = "";
    for (const lanepipe::QueueStats &q : outcome.queues) {
        std::fprintf(file,
                     "%s\n  {\"taken\":%" PRIu64 ",\"delivered\":%" PRIu64 ",\"rejected\":%" PRIu64
                     ",\"copy_failed\":%" PRIu64 ",\"refilled\":%" PRIu64 ",\"starved\":%" PRIu64
                     ",\"ready_full\":%" PRIu64 ",\"transfer_failed\":%" PRIu64 ",\"corrupt\":%" PRIu64 "}",
                     separator, q.taken, q.delivered, q.rejected, q.copy_failed, q.refilled, q.starved, q.ready_full,
                     q.transfer_failed, q.corrupt);
        separator = ",";
    }
    std::fputs("],\n \"threads_cpu\":[", file);
    separator = "";
    for (const ThreadUsage &usage : outcome.usages) {
        std::fprintf(file,
                     "%s\n  {\"role\":\"%s\",\"index\":%u,\"cpu_ns\":%" PRIu64 ",\"lifetime_ns\":%" PRIu64
                     ",\"voluntary_switches\":%" PRIu64 ",\"involuntary_switches\":%" PRIu64 "}",
                     separator, kRoleNames[usage.role % kRoleNames.size()], usage.index, usage.cpu_ns,
                     usage.end_ns - usage.begin_ns, usage.voluntary_switches, usage.involuntary_switches);
        separator = ",";
    }
    std::fprintf(file,
                 "],\n \"latency_ns\":{\"count\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64
                 ",\"max\":%" PRIu64 "},\n ",
                 outcome.latency.count(), outcome.latency.quantile(0.5), outcome.latency.quantile(0.9),
                 outcome.latency.quantile(0.99), outcome.latency.max());
    std::fprintf(file, "\"run_ns\":%" PRIu64 ",\"stop_ns\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"device_ns\":%" PRIu64,
                 outcome.run_ns, outcome.stop_ns, outcome.bytes, outcome.device_ns);
    std::fprintf(file, ",\"switches\":%" PRIu64 ",\"switch_ns\":%" PRIu64 ",\n \"waits\":{", outcome.switches,
                 outcome.switch_ns);
    json_wait(file, "ready_slot", outcome.ready_waits);
    std::fputs(",", file);
    json_wait(file, "free_buffer", outcome.free_waits);
    std::fputs(",", file);
    json_wait(file, "freeze", outcome.freeze_waits);
    const lanepipe::Audit &audit = outcome.audit;
    std::fprintf(file,
                 "},\n \"audit\":{\"total\":%" PRIu64 ",\"device\":%" PRIu64 ",\"done\":%" PRIu64
                 ",\"recycled\":%" PRIu64 ",\"retired\":%" PRIu64 ",\"quarantined\":%" PRIu64 ",\"errors\":%" PRIu64
                 "},\n ",
                 audit.total, audit.device, audit.done, audit.recycled, audit.retired, audit.quarantined, audit.errors);
    std::fprintf(file,
                 "\"at_device\":{\"free_queues\":%" PRIu64 ",\"current\":%" PRIu64 ",\"ready_queues\":%" PRIu64
                 "},\"seeded_buffers\":%" PRIu64 ",\"allocations\":%" PRIu64 ",\n ",
                 outcome.walk.in_free_queues, outcome.walk.current, outcome.walk.in_ready_queues, outcome.seeded,
                 outcome.allocations);
    std::fprintf(file,
                 "\"copies\":%" PRIu64 ",\"copied_bytes\":%" PRIu64 ",\"failed_copies\":%" PRIu64 ",\"findings\":[",
                 outcome.copies, outcome.copied_bytes, outcome.failed_copies);
    separator = "";
    for (const std::string &finding : outcome.findings) {
        std::fprintf(file, "%s\n  %s", separator, quoted(finding).c_str());
        separator = ",";
    }
    std::fputs("]}", file);
}

} // namespace

void print_report(std::FILE *file, const Outcome &outcome) {
    std::fprintf(file, "\n%s: %s, %s, %u control threads, %u cores, %u shards, %" PRIu64 " buffers at the start\n",
                 outcome.name.c_str(), outcome.arch.c_str(), outcome.shadow ? "host shadow memory" : "shared memory",
                 outcome.threads, outcome.cores, outcome.shards, outcome.seeded);
    std::fputs("                  ---------------- records ---------------   --------- buffers ---------\n"
               "  lane            produced   collected   dropped mismatch   published collected  dropped\n",
               file);
    for (const LaneBooks &lane : outcome.lanes) {
        if (lane.produced != 0) {
            const std::string name = std::to_string(lane.thread) + " " + kKindNames[lane.kind];
            print_lane(file, name.c_str(), lane);
        }
    }
    print_lane(file, "all", outcome.total);
    std::fprintf(file, "throughput  %.0f buffers/s, %.0f records/s, %.2f MB/s over %.3f s (of which %.3f ms stop)\n",
                 per_second(outcome.total.buffers_collected, outcome.run_ns),
                 per_second(outcome.total.collected, outcome.run_ns), per_second(outcome.bytes, outcome.run_ns) / 1e6,
                 seconds(outcome.run_ns), millis(outcome.stop_ns));
    std::fprintf(file, "latency     p50 %.1f  p90 %.1f  p99 %.1f  max %.1f us, published on the device to collected\n",
                 micros(outcome.latency.quantile(0.5)), micros(outcome.latency.quantile(0.9)),
                 micros(outcome.latency.quantile(0.99)), micros(outcome.latency.max()));
    print_usage(file, outcome);
    std::fprintf(file,
                 "device time parked (control threads ran %.3f s together, %.2f us for a buffer switch on average)\n",
                 seconds(outcome.device_ns), outcome.switches == 0 ? 0 : micros(outcome.switch_ns / outcome.switches));
    print_wait(file, "no ready slot", outcome.ready_waits);
    print_wait(file, "no free buffer", outcome.free_waits);
    print_wait(file, "freeze", outcome.freeze_waits);
    const lanepipe::Audit &audit = outcome.audit;
    std::fprintf(file,
                 "pool        %" PRIu64 " buffers: device %" PRIu64 " (free queues %" PRIu64 ", current %" PRIu64
                 ", ready queues %" PRIu64 "), done %" PRIu64 ", recycled %" PRIu64 ", retired %" PRIu64
                 ", quarantined %" PRIu64 "; %" PRIu64 " errors\n",
                 audit.total, audit.device, outcome.walk.in_free_queues, outcome.walk.current,
                 outcome.walk.in_ready_queues, audit.done, audit.recycled, audit.retired, audit.quarantined,
                 audit.errors);
    if (outcome.shadow) {
        std::fprintf(file, "copies      %" PRIu64 ", %.1f MB, %" PRIu64 " failed\n", outcome.copies,
                     static_cast<double>(outcome.copied_bytes) / 1e6, outcome.failed_copies);
    }
    if (outcome.fault.count != 0) {
        std::fprintf(file, "faults      %" PRIu64 ", the last one %s\n", outcome.fault.count,
                     lanepipe_status_name(outcome.fault.status));
    }
    print_findings(file, outcome.findings);
    std::fprintf(file,
                 "books       %s: collected %" PRIu64 " + dropped %" PRIu64 " + mismatch %" PRIu64 " %s %" PRIu64 "\n",
                 outcome.balanced() ? "balance" : "DO NOT BALANCE", outcome.total.collected, outcome.total.dropped(),
                 outcome.total.mismatch, outcome.total.balanced() ? "==" : "!=", outcome.total.produced);
}

bool write_json(std::FILE *file, const std::vector<Outcome> &outcomes) {
    return write_summary(file, outcomes, json_outcome);
}

} // namespace replay
