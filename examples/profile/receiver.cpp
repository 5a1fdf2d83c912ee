// SPDX-License-Identifier: MIT OR Apache-2.0
#include "receiver.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "clock.hpp"

namespace profile {
namespace {

// Whether a record begins with what is expected; the rest of it says nothing.
template <typename Record> bool begins_with(const unsigned char *record, const Record &expected, size_t size) {
    return std::memcmp(record, &expected, size) == 0;
}

} // namespace

Receiver::Receiver(const Contents &contents, uint64_t slow_ms) : contents_(contents), slow_ms_(slow_ms) {
    const Load &load = contents.load();
    for (uint32_t subsystem = 0; subsystem < kSubsystems; ++subsystem) {
        sinks_[subsystem].receiver_ = this;
        sinks_[subsystem].subsystem_ = subsystem;
    }
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
        for (uint32_t i = 0; i < load.instances(flow); ++i) {
            instances_[flow].push_back(std::make_unique<Instance>());
            if (flow == kArgsDump) {
                instances_[flow].back()->arguments.source = load.source(i);
            }
        }
    }
}

void Receiver::Sink::take(const lanepipe_records_t &records) {
    const uint32_t kinds = subsystem_ == LANEPIPE_SUBSYSTEM_SWIMLANE ? kAicore + 1 : 1;
    const uint32_t flow = flow_of(subsystem_, records.kind);
    if (records.kind >= kinds || records.instance >= receiver_->instances_[flow].size() ||
        records.record_size != kRecordSizes[flow]) {
        receiver_->strangers_ += records.count;
        return;
    }
    receiver_->take(flow, records);
}

void Receiver::take(uint32_t flow, const lanepipe_records_t &records) {
    Instance &instance = *instances_[flow][records.instance];
    ReceivedBooks &books = instance.books;
    if (books.buffers == 0 || records.buffer_seq != instance.last_sequence) {
        ++books.buffers;
        instance.last_sequence = records.buffer_seq;
    }
    const auto *record = static_cast<const unsigned char *>(records.records);
    for (uint32_t i = 0; i < records.count; ++i, record += records.record_size) {
        check(flow, records.instance, record, records.payloads == nullptr ? nullptr : &records.payloads[i]);
    }
    books.bytes += uint64_t{records.count} * records.record_size;
    if ((records.flags & LANEPIPE_RECORDS_RECOVERED) != 0) {
        books.recovered += records.count;
    }
    progress_.fetch_add(records.count, std::memory_order_relaxed);
    if (slow_ms_ != 0) {
        sleep_ns(slow_ms_ * 1000000);
    }
}

// Moves on to the position of a record that arrived. False if that is past.
bool Receiver::is_due(uint64_t position, ReceivedBooks &books) const {
    if (position < books.next) {
        ++books.repeated;
        return false;
    }
    books.missing += position - books.next;
    books.next = position + 1;
    return true;
}

void Receiver::check(uint32_t flow, uint32_t index, const unsigned char *record, const lanepipe_payload_t *payload) {
    Instance &instance = *instances_[flow][index];
    ReceivedBooks &books = instance.books;
    const auto count = [&books](bool good) { ++(good ? books.records : books.damaged); };
    if (flow == kDepGen && (reinterpret_cast<const DepGenRecord *>(record)->flags & kDepGenIsOverflow) != 0) {
        count(matches_overflow(instance.chain, *reinterpret_cast<const DepGenOverflow *>(record)));
        return;
    }
    close_chain(instance);
    const uint64_t position = position_in(flow, record);
    if (flow == kArgsDump) {
        if (position >= books.next && !instance.arguments.seek(position)) {
            count(false);
        } else if (is_due(position, books)) {
            count(matches_argument(instance, position, *reinterpret_cast<const ArgsDumpRecord *>(record), payload));
        }
        return;
    }
    const Stream *stream = contents_.load().stream(flow, index);
    if (stream == nullptr || position >= stream->size()) {
        count(false);
    } else if (is_due(position, books)) {
        const Event event = stream->at(position);
        const bool good = flow == kDepGen ? matches_submit(instance.chain, event, position,
                                                           *reinterpret_cast<const DepGenRecord *>(record))
                                          : matches(flow, event, position, record);
        instance.chain.is_counted = good;
        count(good);
    }
}

void Receiver::close_chain(Instance &instance) {
    Chain &chain = instance.chain;
    if (chain.given < chain.submit.deps.size() && chain.is_counted) {
        --instance.books.records;
        ++instance.books.damaged;
    }
    chain.submit.deps.clear();
    chain.given = 0;
    chain.is_counted = false;
}

void Receiver::finish() {
    for (const auto &instance : instances_[kDepGen]) {
        close_chain(*instance);
    }
}

bool Receiver::matches(uint32_t flow, const Event &event, uint64_t position, const unsigned char *record) const {
    switch (flow) {
    case kTask:
        return begins_with(record, contents_.task(event, position), offsetof(TaskRecord, pad));
    case kAicore:
        return begins_with(record, contents_.aicore(event, position), sizeof(AicoreRecord));
    case kSched:
        return begins_with(record, contents_.sched(event, position), offsetof(SchedRecord, pad));
    case kOrch:
        return begins_with(record, contents_.orch(event, position), offsetof(OrchRecord, pad));
    case kPmu:
        return begins_with(record, contents_.pmu(event, position),
                           offsetof(PmuRecord, counters) + contents_.load().arch->counters * sizeof(uint32_t));
    default: {
        const ScopeRecord expected = contents_.scope(event, position);
        const auto *file = reinterpret_cast<const char *>(record);
        return std::strncmp(file, expected.file, sizeof(expected.file)) == 0 &&
               std::memcmp(record + offsetof(ScopeRecord, heap_start), &expected.heap_start,
                           sizeof(ScopeRecord) - offsetof(ScopeRecord, heap_start)) == 0;
    }
    }
}

bool Receiver::matches_submit(Chain &chain, const Event &event, uint64_t position, const DepGenRecord &record) const {
    Contents::Submit &submit = chain.submit;
    contents_.submit(event, position, submit);
    const auto deps = static_cast<uint32_t>(std::min<size_t>(submit.deps.size(), kDepGenBaseDeps));
    chain.token = event.token;
    chain.given = deps;
    return record.token == event.token &&
           record.flags == (submit.deps.size() > kDepGenBaseDeps ? kDepGenHasOverflow : 0) &&
           record.tensors == submit.types.size() && record.deps == deps &&
           std::equal(record.explicit_deps, record.explicit_deps + deps, submit.deps.begin()) &&
           std::equal(submit.types.begin(), submit.types.end(), record.arg_types) &&
           std::equal(submit.kernels, submit.kernels + 3, record.kernels) &&
           record.blocks == static_cast<uint32_t>(submit.blocks) &&
           std::equal(submit.tensors.begin(), submit.tensors.end(), &record.tensor[0][0]);
}

bool Receiver::matches_overflow(Chain &chain, const DepGenOverflow &record) const {
    const std::vector<uint64_t> &all = chain.submit.deps;
    const auto left = static_cast<uint32_t>(all.size()) - std::min(chain.given, static_cast<uint32_t>(all.size()));
    const uint32_t deps = std::min(left, kDepGenOverflowDeps);
    const uint32_t flags = kDepGenIsOverflow | (deps == left ? kDepGenLastOverflow : 0);
    const bool good = deps != 0 && record.token == chain.token && record.flags == flags && record.deps == deps &&
                      std::equal(record.explicit_deps, record.explicit_deps + deps, all.begin() + chain.given);
    chain.given += deps;
    return good;
}

// Goes on to argument number `wanted` of the thread. False if it makes no so many.
bool Receiver::Arguments::seek(uint64_t wanted) {
    for (;;) {
        for (; has_event && argument < event.arguments; ++argument) {
            if (Contents::is_dumped_at(event, argument)) {
                if (position == wanted) {
                    return true;
                }
                ++position;
            }
        }
        do {
            has_event = source->next(event);
            if (!has_event) {
                return false;
            }
        } while (event.type != Event::kTaskEvent && event.type != Event::kDispatchEvent);
        argument = 0;
    }
}

bool Receiver::matches_argument(Instance &instance, uint64_t position, const ArgsDumpRecord &record,
                                const lanepipe_payload_t *payload) const {
    const Arguments &at = instance.arguments;
    const ArgsDumpRecord expected = contents_.argument_record(at.event, position, at.argument);
    const uint32_t dims = expected.dims;
    const bool good = record.token == expected.token && record.role == expected.role &&
                      record.stage == expected.stage && record.dims == dims && record.argument == expected.argument &&
                      record.type == expected.type && record.truncated == expected.truncated &&
                      record.contiguous == expected.contiguous && record.payload_size == expected.payload_size &&
                      record.scalar == expected.scalar && record.kind == expected.kind &&
                      record.flags == expected.flags && record.function_count == expected.function_count &&
                      record.start_offset == expected.start_offset &&
                      std::equal(record.functions, record.functions + 3, expected.functions) &&
                      std::equal(record.shapes, record.shapes + dims, expected.shapes) &&
                      std::equal(record.strides, record.strides + dims, expected.strides);
    if (!good || expected.payload_size == 0) {
        return good;
    }
    if (payload == nullptr || payload->data == nullptr) {
        ++instance.books.payloads_lost;
        return true;
    }
    ++instance.books.payloads;
    instance.books.bytes += payload->size;
    return payload->size == expected.payload_size &&
           std::memcmp(payload->data, &contents_.payloads()[expected.start_offset], payload->size) == 0;
}

} // namespace profile
