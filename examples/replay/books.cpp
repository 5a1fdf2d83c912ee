// SPDX-License-Identifier: MIT OR Apache-2.0
#include "books.hpp"

namespace replay {
namespace {

// States equalities; each that does not hold becomes a finding.
class Checker {
  public:
    explicit Checker(std::vector<std::string> &findings) : findings_(findings) {}

    void equal(const std::string &what, uint64_t left, uint64_t right) {
        if (left != right) {
            findings_.push_back(what + ": " + std::to_string(left) + " is not " + std::to_string(right));
        }
    }

    void zero(const std::string &what, uint64_t count) {
        if (count != 0) {
            findings_.push_back(what + ": " + std::to_string(count));
        }
    }

  private:
    std::vector<std::string> &findings_;
};

std::string instance_name(const Region &region, uint32_t instance) {
    return std::string(kKindNames[region.kind_of(instance)]) + " " + std::to_string(region.unit_of(instance));
}

const DeviceBooks &device_books(const Device &device, const Collector &collector, uint32_t instance) {
    return device.threads()[collector.owner(instance)]->books(instance);
}

void check_instance(const std::string &name, const DeviceBooks &device, const CollectedBooks &host, Checker &checker) {
    checker.equal(name + ": records published and dropped, against produced",
                  device.published_records + device.dropped_records, device.produced);
    // Sequence numbers are an account of their own: what is missing must be what was dropped.
    const uint64_t missing = host.missing + (device.produced - host.next);
    const uint64_t arrived = host.records + host.mismatch;
    checker.equal(name + ": records missing from the sequence, against dropped", missing,
                  device.dropped_records + (device.published_records - arrived));
    checker.zero(name + ": records repeated or out of order", host.repeated);
    checker.zero(name + ": records damaged", host.mismatch);
    checker.zero(name + ": null free slots", device.null_slots);
}

void check_queue(uint32_t q, const Outcome &outcome, Checker &checker) {
    const std::string name = "queue " + std::to_string(q);
    const lanepipe::QueueStats &stats = outcome.queues[q];
    uint64_t published = 0;
    uint64_t collected = 0;
    for (const LaneBooks &lane : outcome.lanes) {
        if (lane.thread == q) {
            published += lane.buffers_published;
            collected += lane.buffers_collected;
        }
    }
    checker.equal(name + ": buffers collected, lost and left, against published",
                  collected + stats.rejected + stats.copy_failed + outcome.walk.left_in_queue[q], published);
    checker.equal(name + ": buffers delivered, against collected", stats.delivered, collected);
    checker.equal(name + ": entries delivered, rejected and not copied, against taken",
                  stats.delivered + stats.rejected + stats.copy_failed, stats.taken);
    checker.zero(name + ": entries left after stop", outcome.walk.left_in_queue[q]);
    checker.zero(name + ": entries rejected", stats.rejected);
    checker.zero(name + ": corrupt indices", stats.corrupt);
}

void check_pool(const Outcome &outcome, Checker &checker) {
    const lanepipe::Audit &audit = outcome.audit;
    checker.zero("pool audit: errors", audit.errors);
    checker.equal("pool audit: sum of all places, against total",
                  audit.device + audit.drain + audit.ready + audit.collect + audit.done + audit.replenish +
                      audit.recycled + audit.retired + audit.quarantined,
                  audit.total);
    checker.equal("buffers found at the device, against the audit", outcome.walk.total(), audit.device);
    checker.zero("buffers in transit after stop", audit.drain + audit.ready + audit.collect + audit.replenish);
    checker.zero("addresses at the device that are no buffer", outcome.walk.unknown);
    checker.zero("buffers in two places at the device", outcome.walk.duplicate);
    checker.zero("device queues with corrupt indices", outcome.walk.corrupt);
}

} // namespace

void LaneBooks::add(const LaneBooks &other) {
    produced += other.produced;
    collected += other.collected;
    dropped_device += other.dropped_device;
    dropped_host += other.dropped_host;
    mismatch += other.mismatch;
    repeated += other.repeated;
    buffers_published += other.buffers_published;
    buffers_collected += other.buffers_collected;
    buffers_dropped += other.buffers_dropped;
}

void take_books(const Region &region, const Device &device, const Collector &collector, const Pipeline &pipeline,
                Outcome &outcome) {
    outcome.lanes.resize(size_t{region.threads} * kKinds);
    for (uint32_t thread = 0; thread < region.threads; ++thread) {
        for (uint32_t kind = 0; kind < kKinds; ++kind) {
            outcome.lanes[thread * kKinds + kind].thread = thread;
            outcome.lanes[thread * kKinds + kind].kind = kind;
        }
        outcome.queues.push_back(pipeline.queue_stats(thread));
        const DeviceThread &worker = *device.threads()[thread];
        outcome.ready_waits.add(worker.ready_waits());
        outcome.free_waits.add(worker.free_waits());
        outcome.freeze_waits.add(worker.freeze_waits());
        outcome.device_ns += worker.run_ns();
        outcome.switches += worker.switches();
        outcome.switch_ns += worker.switch_ns();
    }
    for (uint32_t i = 0; i < region.instances(); ++i) {
        const DeviceBooks &from = device_books(device, collector, i);
        const CollectedBooks &to = collector.books(i);
        LaneBooks books;
        books.produced = from.produced;
        books.collected = to.records;
        books.dropped_device = from.dropped_records;
        books.dropped_host = from.published_records - to.records - to.mismatch;
        books.mismatch = to.mismatch;
        books.repeated = to.repeated;
        books.buffers_published = from.published_buffers;
        books.buffers_collected = to.buffers;
        books.buffers_dropped = from.dropped_buffers;
        outcome.lanes[collector.owner(i) * kKinds + region.kind_of(i)].add(books);
        outcome.total.add(books);
    }
    for (uint32_t shard = 0; shard < pipeline.shards(); ++shard) {
        outcome.shard_stats.push_back(pipeline.shard_stats(shard));
    }
    outcome.fault = pipeline.fault();
    outcome.latency = collector.latency();
    outcome.bytes = collector.bytes();
    outcome.malformed = collector.malformed();
    outcome.usages = pipeline.usages().all();
    outcome.seeded = pipeline.seeded_buffers();
}

void check_books(const Region &region, const Device &device, const Collector &collector, Outcome &outcome) {
    Checker checker(outcome.findings);
    for (uint32_t i = 0; i < region.instances(); ++i) {
        check_instance(instance_name(region, i), device_books(device, collector, i), collector.books(i), checker);
    }
    for (uint32_t q = 0; q < region.threads; ++q) {
        check_queue(q, outcome, checker);
    }
    checker.equal("records produced, against planned", outcome.total.produced, outcome.planned_records);
    checker.equal("collected + dropped + mismatch, against total",
                  outcome.total.collected + outcome.total.dropped() + outcome.total.mismatch, outcome.total.produced);
    uint64_t by_shards = 0;
    for (const lanepipe::ShardStats &stats : outcome.shard_stats) {
        by_shards += stats.collected;
    }
    checker.equal("buffers collected by the shards' counters, against the collector", by_shards,
                  outcome.total.buffers_collected);
    checker.zero("lanes that gave up waiting",
                 outcome.ready_waits.given_up + outcome.free_waits.given_up + outcome.freeze_waits.given_up);
    check_pool(outcome, checker);
}

} // namespace replay
