// SPDX-License-Identifier: MIT OR Apache-2.0
#include "collector.hpp"

#include <cstring>
#include <string>

#include "shared.hpp"

namespace replay {

Collector::Collector(const Config &config, const Load &load, Trace &trace)
    : config_(config), owners_(config.region.instances()), books_(config.region.instances()) {
    const Region &region = config.region;
    for (uint32_t core = 0; core < region.cores; ++core) {
        owners_[region.task_instance(core)] = load.core_to_thread[core];
        owners_[region.aicore_instance(core)] = load.core_to_thread[core];
        trace.name_track(kProgramProcess, core_track(core), "core " + std::to_string(core));
    }
    for (uint32_t thread = 0; thread < region.threads; ++thread) {
        owners_[region.sched_instance(thread)] = thread;
        trace.name_track(kProgramProcess, scheduler_track(thread), "scheduler " + std::to_string(thread));
    }
    owners_[region.orch_instance()] = region.threads - 1;
    trace.name_track(kProgramProcess, orchestrator_track(), "orchestrator");
    trace.name_process(kProgramProcess, "program (time of the run)");
    for (uint32_t shard = 0; shard < config.shards; ++shard) {
        shards_.push_back(std::make_unique<Shard>());
        shards_.back()->trace = &trace.add_sink();
        shards_.back()->drain_trace = &trace.add_sink();
    }
}

bool Collector::acceptable(uint32_t queue, const ReadyEntry &entry, const lanepipe_entry_t &seen) const {
    return entry.instance < config_.region.instances() && entry.kind == config_.region.kind_of(entry.instance) &&
           entry.kind == seen.kind && owners_[entry.instance] == queue && entry.record_count != 0 &&
           entry.record_count <= config_.capacities[entry.kind];
}

void Collector::resolve(uint32_t queue, const lanepipe_entry_t *entries, size_t count, lanepipe::Sites<Payload> sites) {
    const uint32_t shard = queue % config_.shards;
    TraceSink &trace = *shards_[shard]->drain_trace;
    const uint64_t begin = trace.on ? now_ns() : 0;
    for (size_t i = 0; i < count; ++i) {
        ReadyEntry entry;
        std::memcpy(&entry, entries[i].bytes, sizeof(entry));
        if (!acceptable(queue, entry, entries[i])) {
            ++malformed_;
            sites.reject(i);
            continue;
        }
        sites.accept(i, entry.instance, content_size(entry.kind, entry.record_count),
                     Payload{entries[i].host, entry.published_ns, entry.instance, entry.record_count,
                             entry.buffer_sequence, queue});
    }
    if (trace.on) {
        trace.span(kHostProcess, host_track(LANEPIPE_ROLE_DRAIN, shard), begin, now_ns(), "resolve", "resolve",
                   "entries", count);
    }
}

void Collector::collect(uint32_t shard_index, const lanepipe_buffer_t *buffers, const Payload *payloads, size_t count) {
    Shard &shard = *shards_[shard_index];
    const uint64_t begin = now_ns();
    for (size_t i = 0; i < count; ++i) {
        shard.latency.add(now_ns() - payloads[i].published_ns);
        check(payloads[i], buffers[i].kind, shard);
        if (config_.slow_ms != 0) {
            sleep_ns(config_.slow_ms * 1000000);
        }
    }
    if (shard.trace->on) {
        shard.trace->span(kHostProcess, host_track(LANEPIPE_ROLE_COLLECT, shard_index), begin, now_ns(), "collect",
                          "collect", "buffers", count);
    }
}

void Collector::check(const Payload &payload, uint32_t kind, Shard &shard) {
    CollectedBooks &books = books_[payload.instance];
    const auto *header = static_cast<const BufferHeader *>(payload.host);
    const uint32_t size = kRecordSizes[kind];
    const auto *record = static_cast<const unsigned char *>(payload.host) + sizeof(BufferHeader);
    const bool torn = header->count != payload.records;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < payload.records; ++i, record += size) {
        uint32_t sequence;
        uint32_t checksum;
        std::memcpy(&sequence, record + size - 8, sizeof(sequence));
        std::memcpy(&checksum, record + size - 4, sizeof(checksum));
        if (torn || checksum != record_checksum(payload.instance, record, size)) {
            ++books.mismatch;
            ++books.next;
            continue;
        }
        // Sequence numbers wrap at 32 bits; the distance tells which side of the expected one a record is on.
        const auto ahead = static_cast<int32_t>(sequence - static_cast<uint32_t>(books.next));
        if (ahead < 0) {
            ++books.repeated;
            continue;
        }
        books.missing += static_cast<uint64_t>(ahead);
        books.next += static_cast<uint64_t>(ahead) + 1;
        ++books.records;
        ++seen;
        if (shard.trace->on) {
            trace_record(payload.instance, record, shard, payload.queue % config_.shards);
        }
    }
    ++books.buffers;
    shard.bytes += content_size(kind, payload.records);
    shard.records.store(shard.records.load(std::memory_order_relaxed) + seen, std::memory_order_relaxed);
}

void Collector::trace_record(uint32_t instance, const unsigned char *record, Shard &shard, uint32_t shard_index) {
    const uint32_t unit = config_.region.unit_of(instance);
    const auto at = [this](uint64_t cycles) {
        return static_cast<uint64_t>(static_cast<double>(cycles) * config_.trace_ns_per_cycle);
    };
    const uint64_t id = (uint64_t{shard_index} << 48) + ++shard.next_span;
    switch (config_.region.kind_of(instance)) {
    case kTask: {
        // Two tasks can be in flight on a core.
        TaskRecord task;
        std::memcpy(&task, record, sizeof(task));
        shard.trace->overlapping_span(kProgramProcess, core_track(unit), at(task.dispatch), at(task.finish), id, "task",
                                      "task", "token", task.token);
        break;
    }
    case kAicore: {
        AicoreRecord task;
        std::memcpy(&task, record, sizeof(task));
        shard.trace->span(kProgramProcess, core_track(unit), at(task.start), at(task.end), "execute", "aicore", "token",
                          task.token);
        break;
    }
    case kSchedPhase: {
        // Phases hold others.
        SchedRecord phase;
        std::memcpy(&phase, record, sizeof(phase));
        shard.trace->overlapping_span(kProgramProcess, scheduler_track(unit), at(phase.start), at(phase.end), id,
                                      kPhaseNames[phase.phase % kPhaseNames.size()], "sched", "tasks", phase.tasks);
        break;
    }
    default: {
        OrchRecord phase;
        std::memcpy(&phase, record, sizeof(phase));
        shard.trace->span(kProgramProcess, orchestrator_track(), at(phase.start), at(phase.end), "submit", "orch",
                          "token", phase.token);
        break;
    }
    }
}

uint64_t Collector::progress() const {
    uint64_t sum = 0;
    for (const auto &shard : shards_) {
        sum += shard->records.load(std::memory_order_relaxed);
    }
    return sum;
}

Histogram Collector::latency() const {
    Histogram all;
    for (const auto &shard : shards_) {
        all.add(shard->latency);
    }
    return all;
}

uint64_t Collector::bytes() const {
    uint64_t sum = 0;
    for (const auto &shard : shards_) {
        sum += shard->bytes;
    }
    return sum;
}

} // namespace replay
