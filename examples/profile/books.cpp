// SPDX-License-Identifier: MIT OR Apache-2.0
#include "books.hpp"

#include <algorithm>

namespace profile {
namespace {

// States equalities; each that does not hold becomes a finding.
class Checker {
  public:
    Checker(std::string name, std::vector<std::string> &findings) : name_(std::move(name)), findings_(findings) {}

    void equal(const char *what, uint64_t left, uint64_t right) {
        if (left != right) {
            findings_.push_back(name_ + ": " + what + ": " + std::to_string(left) + " is not " + std::to_string(right));
        }
    }

    void zero(const char *what, uint64_t count) {
        if (count != 0) {
            findings_.push_back(name_ + ": " + what + ": " + std::to_string(count));
        }
    }

  private:
    std::string name_;
    std::vector<std::string> &findings_;
};

uint64_t sum_of(const lanepipe_device_losses_t &losses) {
    return uint64_t{losses.no_room} + losses.host_gone + losses.no_queue + losses.no_buffer + losses.refused;
}

bool takes_part(uint32_t flow, const Options &options) {
    if (!options.has(subsystem_of(flow))) {
        return false;
    }
    switch (flow) {
    case kTask:
        return options.level >= 2;
    case kSched:
        return options.level >= 3;
    case kOrch:
        return options.level >= 4;
    default:
        return true;
    }
}

// Records that an instance's events stand for; UINT64_MAX if nobody knows beforehand.
uint64_t planned(const Load &load, uint32_t flow, uint32_t instance) {
    if (load.limit_ns != 0) {
        return UINT64_MAX;
    }
    if (flow != kArgsDump) {
        const Stream *stream = load.stream(flow, instance);
        return stream == nullptr ? 0 : stream->size();
    }
    uint64_t arguments = 0;
    for (uint32_t core = 0; core < load.cores; ++core) {
        const Stream *tasks = load.core_to_thread[core] == instance ? load.tasks[core].get() : nullptr;
        for (uint64_t i = 0; tasks != nullptr && i < tasks->size(); ++i) {
            arguments += tasks->at(i).arguments;
        }
    }
    return arguments;
}

// Submits or records that never arrive if the counts of losses are right. A submit that found no place counts as one,
// a buffer that is lost counts all slots in it.
uint64_t absent(const LaneBooks &lane, uint64_t slots, Checker &checker) {
    const uint64_t lost = lane.dropped + lane.mismatch + lane.lost;
    if (slots == 1) {
        checker.zero("further slots", lane.overflow);
        return lost;
    }
    const uint64_t without_place = lane.total - lane.overflow / (slots - 1);
    const uint64_t lost_slots = lost - without_place;
    checker.zero("further slots that are no whole submits", lane.overflow % (slots - 1));
    checker.zero("lost slots that are no whole submits", lost_slots % slots);
    if (lost == 0) {
        checker.equal("further slots, against those of the submits", lane.overflow, lane.total * (slots - 1));
    }
    return without_place + lost_slots / slots;
}

LaneBooks take_instance(const Contents &contents, uint32_t flow, uint32_t instance, const Device &device,
                        const Host &host, const Receiver &receiver, std::vector<std::string> &findings) {
    lanepipe::Books books;
    if (!host.books(flow, instance, books)) {
        Checker(std::string(kFlowNames[flow]) + " " + std::to_string(instance), findings)
            .zero("the collector has no books", 1);
        return LaneBooks();
    }
    return compare(flow, instance, flow == kDepGen ? contents.slots_of_submit() : 1,
                   planned(contents.load(), flow, instance), device.tally(flow, instance), books,
                   receiver.books(flow, instance), findings);
}

void take_subsystem(const Load &load, uint32_t subsystem, const Device &device, const Host &host, Outcome &outcome) {
    Checker checker(kSubsystemNames[subsystem], outcome.findings);
    SubsystemBooks &books = outcome.subsystems[subsystem];
    for (uint32_t thread = 0; thread < load.threads; ++thread) {
        const ControlThread &worker = device.thread(thread);
        books.threads.push_back(DeviceBooks{worker.losses(subsystem), worker.parked(subsystem)});
        books.device.add(books.threads.back());
        uint64_t dropped = 0;
        for (uint32_t flow = 0; flow < kFlows; ++flow) {
            if (subsystem_of(flow) == subsystem && !outcome.lanes[flow].empty()) {
                dropped += outcome.lanes[flow][thread].dropped;
            }
        }
        checker.equal(("losses by reason of control thread " + std::to_string(thread) + ", against dropped").c_str(),
                      sum_of(worker.losses(subsystem)), dropped);
    }
    checker.zero("free slots without a buffer", books.device.losses.null_slots);
    const lanepipe::GateStats gates = host.gates(subsystem);
    books.freezes = gates.freezes;
    books.frozen_ns = gates.frozen_ns;
    for (const ThreadUsage &usage : host.usages(subsystem)) {
        books.host_cpu_ns += usage.cpu_ns;
        ++books.host_threads;
    }
    const lanepipe::Books all = host.books(subsystem);
    books.payloads = all.payloads;
    books.lost_buffers = all.lost_buffers;
    checker.zero("ready entries refused", all.rejected);
    checker.zero("buffers whose contents could not be copied", books.lost_buffers);
    checker.zero("queues with corrupt indices", host.corrupt_queues(subsystem));
}

} // namespace

LaneBooks compare(uint32_t flow, uint32_t instance, uint64_t slots, uint64_t expected, const Tally &tally,
                  const lanepipe::Books &books, const ReceivedBooks &received, std::vector<std::string> &findings) {
    Checker checker(std::string(kFlowNames[flow]) + " " + std::to_string(instance), findings);
    LaneBooks lane;
    lane.total = tally.offered;
    lane.collected = books.collected;
    lane.dropped = books.dropped;
    lane.mismatch = books.mismatch;
    lane.overflow = books.overflow;
    lane.lost = books.lost;
    lane.recovered = books.recovered;
    lane.buffers = received.buffers;
    lane.bytes = received.bytes;
    lane.damaged = received.damaged;
    lane.repeated = received.repeated;

    if (expected != UINT64_MAX) {
        checker.equal("records offered by the device, against the events", tally.offered, expected);
    }
    if (flow != kArgsDump) { // which has no such counter
        checker.equal("total in the region, against offered by the device", books.total,
                      static_cast<uint32_t>(tally.offered));
    }
    checker.equal("mismatches in the region, against told to the device", books.mismatch, tally.mismatch);
    checker.equal("records at the receiver, against collected", received.arrived(), books.collected);
    checker.equal("recovered records at the receiver, against the collector's", received.recovered, books.recovered);
    checker.equal("collected + dropped + mismatch + lost, against total + overflow",
                  lane.collected + lane.dropped + lane.mismatch + lane.lost, lane.total + lane.overflow);
    // Positions are an account of their own: what is missing must be what was counted as lost.
    checker.equal("records missing from the sequence, against dropped, mismatch and lost",
                  received.missing + (tally.offered - received.next), absent(lane, slots, checker));
    checker.zero("records that are not what the event said", received.damaged);
    checker.zero("records repeated or out of order", received.repeated);
    checker.zero("contents of tensors lost", received.payloads_lost);
    checker.zero("buffers with more records than they hold", books.clamped);
    checker.zero("places without a record", books.empty);
    checker.zero("ready entries refused", books.rejected);
    checker.zero("records that the device still holds", books.unflushed);
    return lane;
}

void LaneBooks::add(const LaneBooks &other) {
    total += other.total;
    collected += other.collected;
    dropped += other.dropped;
    mismatch += other.mismatch;
    overflow += other.overflow;
    lost += other.lost;
    recovered += other.recovered;
    buffers += other.buffers;
    bytes += other.bytes;
    damaged += other.damaged;
    repeated += other.repeated;
}

void DeviceBooks::add(const DeviceBooks &other) {
    losses.no_room += other.losses.no_room;
    losses.host_gone += other.losses.host_gone;
    losses.no_queue += other.losses.no_queue;
    losses.no_buffer += other.losses.no_buffer;
    losses.refused += other.losses.refused;
    losses.truncated += other.losses.truncated;
    losses.gate_timeouts += other.losses.gate_timeouts;
    losses.null_slots += other.losses.null_slots;
    parked.add(other.parked);
}

void take_books(const Contents &contents, const Options &options, const Device &device, const Host &host,
                const Receiver &receiver, Outcome &outcome) {
    const Load &load = contents.load();
    outcome.takes_part = options.subsystems;
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
        if (!takes_part(flow, options)) {
            continue;
        }
        outcome.lanes[flow].resize(load.threads);
        for (uint32_t i = 0; i < load.instances(flow); ++i) {
            const LaneBooks books = take_instance(contents, flow, i, device, host, receiver, outcome.findings);
            outcome.lanes[flow][load.owner(flow, i)].add(books);
            outcome.flows[flow].add(books);
            outcome.subsystems[subsystem_of(flow)].sum.add(books);
        }
    }
    for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
        if (options.has(subsystem)) {
            take_subsystem(load, subsystem, device, host, outcome);
        }
    }
    outcome.events = device.progress();
    for (uint32_t thread = 0; thread < load.threads; ++thread) {
        outcome.device_ns = std::max(outcome.device_ns, device.thread(thread).run_ns());
    }
    Checker checker("run", outcome.findings);
    checker.zero("cores whose counters were not set up for the events, or not put back before their exit",
                 device.misprogrammed());
    if (options.has(LANEPIPE_SUBSYSTEM_SWIMLANE) && options.level >= 3) {
        std::vector<uint32_t> threads;
        checker.zero("the cores' threads cannot be read", host.core_threads(threads) ? 0 : 1);
        checker.zero("the region's threads of the cores are not those of the run",
                     threads == load.core_to_thread ? 0 : 1);
    }
    checker.zero("records of instances that there are not", receiver.strangers());
    checker.zero((std::string("calls that the device half refused, the last with ") +
                  lanepipe_status_name(device.last_refusal()))
                     .c_str(),
                 device.refusals());
}

} // namespace profile
