// SPDX-License-Identifier: MIT OR Apache-2.0
#include "contents.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace profile {
namespace {

// Pieces of one table, at so many places.
constexpr uint64_t kPayloadPlaces = 251;

constexpr uint64_t kHardwareArena = uint64_t{128} << 20;

// Values of the runtime's ChipSwimlaneSchedPhaseKind, in the order of kPhaseNames.
constexpr std::array<uint32_t, kPhaseNames.size()> kPhaseKinds = {1, 6, 0, 2, 8, 9, 10};

constexpr uint8_t kUint8 = 5; // DataType
constexpr uint8_t kInput = 0;
constexpr uint8_t kOutput = 1;
constexpr uint8_t kBeforeDispatch = 0;
constexpr uint8_t kAfterCompletion = 1;
constexpr uint8_t kTensor = 0;
constexpr uint8_t kScalar = 1;

constexpr std::array<const char *, 4> kScopePaths = {"kernels/orchestration/main.cpp", "layer.cpp",
                                                     "a\\b\\attention.cpp",
                                                     "/a_file_whose_name_is_longer_than_a_record_has_room_for.cpp"};

uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t hash = (a + 0x9e3779b97f4a7c15u) ^ (b * 0xff51afd7ed558ccdu);
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53u;
    return hash ^ (hash >> 29);
}

uint32_t function_of(uint64_t token) { return static_cast<uint32_t>(token % 251); }

// Every fourth argument is a scalar, unless it is the output.
bool is_scalar(const Event &event, uint32_t argument) { return argument % 4 == 3 && argument + 1 != event.arguments; }

} // namespace

Contents::Contents(const Load &load, const Options &options)
    : load_(load), payload_(options.payload), arena_(options.arena != 0 ? options.arena : kHardwareArena),
      deps_(options.deps), payloads_(options.payload + kPayloadPlaces) {
    for (size_t i = 0; i < payloads_.size(); ++i) {
        payloads_[i] = static_cast<uint8_t>(mix(i, 17));
    }
}

TaskRecord Contents::task(const Event &event, uint64_t position) const {
    return TaskRecord{load_.base_cycle + event.dispatch, load_.base_cycle + event.finish, reg_of(position), {}};
}

AicoreRecord Contents::aicore(const Event &event, uint64_t position) const {
    return AicoreRecord{load_.base_cycle + event.start, load_.base_cycle + event.end, event.token, reg_of(position),
                        static_cast<uint32_t>(event.start - event.dispatch)};
}

SchedRecord Contents::sched(const Event &event, uint64_t position) const {
    SchedRecord record{};
    record.start = load_.base_cycle + event.start;
    record.end = load_.base_cycle + event.end;
    record.loop = event.loop;
    record.kind = kPhaseKinds[event.phase];
    record.tasks = event.tasks;
    record.data[0] = event.hit;
    record.data[1] = event.miss;
    for (uint32_t i = 0; i < 3; ++i) {
        record.shared_at_start[i] = static_cast<int16_t>(position >> (16 * i));
        record.shared_at_end[i] = static_cast<int16_t>(record.shared_at_start[i] ^ 0x5a5a);
    }
    return record;
}

OrchRecord Contents::orch(const Event &event, uint64_t position) const {
    return OrchRecord{load_.base_cycle + event.start, load_.base_cycle + event.end, event.token,
                      static_cast<uint32_t>(position), 0};
}

PmuRecord Contents::pmu(const Event &event, uint64_t position) const {
    PmuRecord record{};
    record.token = event.token;
    record.function = function_of(event.token);
    record.core_type = load_.is_cube[event.unit] ? 0 : 1;
    record.cycles = event.end - event.start;
    record.counters[0] = reg_of(position);
    for (uint32_t i = 1; i < load_.arch->counters; ++i) {
        record.counters[i] = static_cast<uint32_t>(mix(position * 16 + i, event.unit));
    }
    return record;
}

const char *Contents::scope_path(uint32_t depth) { return kScopePaths[depth % kScopePaths.size()]; }

ScopeRecord Contents::scope(const Event &event, uint64_t position) const {
    ScopeRecord record{};
    const std::string path = scope_path(event.depth);
    const size_t separator = path.find_last_of("/\\");
    const std::string name = separator == std::string::npos ? path : path.substr(separator + 1);
    std::memcpy(record.file, name.data(), std::min(name.size(), sizeof(record.file) - 1));
    record.heap_start = event.heap_start;
    record.heap_end = event.heap_end;
    record.line = scope_line(event.depth);
    record.task_start = static_cast<int32_t>(position);
    record.task_end = static_cast<int32_t>(position + 1);
    record.dep_pool_start = static_cast<int32_t>(mix(position, 3) & 0xffff);
    record.dep_pool_end = static_cast<int32_t>(mix(position, 4) & 0xffff);
    record.tensormap_used = static_cast<int32_t>(mix(position, 5) & 0xffff);
    record.depth = static_cast<int16_t>(event.depth);
    record.ring = static_cast<int16_t>(event.ring);
    record.phase = event.begins ? 0 : 1;
    return record;
}

void Contents::submit(const Event &event, uint64_t position, Submit &out) const {
    out.tensors.resize(size_t{event.arguments} * 128);
    for (size_t at = 0; at < out.tensors.size(); at += 8) {
        const uint64_t word = mix(position, at);
        std::memcpy(&out.tensors[at], &word, sizeof(word));
    }
    out.types.resize(event.arguments);
    for (uint32_t i = 0; i < event.arguments; ++i) {
        out.types[i] = static_cast<uint8_t>(mix(position, i) % 4);
    }
    out.deps.resize(deps_);
    for (uint32_t i = 0; i < deps_; ++i) {
        out.deps[i] = mix(event.token, position + i);
    }
    out.kernels[0] = static_cast<int32_t>(position);
    out.kernels[1] = static_cast<int32_t>(position >> 32);
    out.kernels[2] = -1;
    out.blocks = static_cast<int32_t>(1 + position % 24);
}

uint32_t Contents::slots_of_submit() const {
    return deps_ <= kDepGenBaseDeps ? 1 : 1 + (deps_ - kDepGenBaseDeps + kDepGenOverflowDeps - 1) / kDepGenOverflowDeps;
}

lanepipe_args_dump_info_t Contents::argument(const Event &event, uint64_t position, uint32_t argument) const {
    lanepipe_args_dump_info_t info{};
    const bool is_output = argument + 1 == event.arguments;
    info.task_id = event.token;
    info.role = is_output ? kOutput : kInput;
    info.stage = is_output ? kAfterCompletion : kBeforeDispatch;
    info.arg_index = argument;
    info.func_count = 3;
    for (uint32_t i = 0; i < 3; ++i) {
        info.func_ids[i] = static_cast<int32_t>((position >> (16 * i)) & 0xffff);
    }
    if (is_scalar(event, argument)) {
        info.kind = kScalar;
        info.scalar_value = mix(position, argument);
        return info;
    }
    info.kind = kTensor;
    info.capture_payload = 1;
    info.dtype = kUint8;
    info.ndims = 1;
    info.start_offset = position % kPayloadPlaces;
    info.shapes[0] = payload_;
    info.strides[0] = 1;
    return info;
}

ArgsDumpRecord Contents::argument_record(const Event &event, uint64_t position, uint32_t argument) const {
    const lanepipe_args_dump_info_t info = this->argument(event, position, argument);
    ArgsDumpRecord record{};
    record.token = info.task_id;
    record.role = info.role;
    record.stage = info.stage;
    record.dims = info.ndims;
    record.argument = info.arg_index;
    record.type = info.dtype;
    record.contiguous = 1;
    // What does not fit into the arena at all is cut to half of it.
    record.truncated = info.kind == kTensor && payload_ > arena_ ? 1 : 0;
    record.payload_size = record.truncated != 0 ? arena_ / 2 : info.kind == kTensor ? payload_ : 0;
    record.scalar = info.scalar_value;
    record.kind = info.kind;
    record.function_count = 3;
    for (uint32_t i = 0; i < 3; ++i) {
        record.functions[i] = static_cast<uint16_t>(info.func_ids[i]);
    }
    record.start_offset = info.start_offset;
    record.shapes[0] = info.shapes[0];
    record.strides[0] = info.strides[0];
    return record;
}

uint64_t position_in(uint32_t flow, const void *record) {
    const auto of = [record](auto &as) { std::memcpy(&as, record, sizeof(as)); };
    switch (flow) {
    case kTask: {
        TaskRecord as;
        of(as);
        return as.reg - 1;
    }
    case kAicore: {
        AicoreRecord as;
        of(as);
        return as.reg - 1;
    }
    case kSched: {
        SchedRecord as;
        of(as);
        const auto part = [&as](uint32_t i) {
            return uint64_t{static_cast<uint16_t>(as.shared_at_start[i])} << (16 * i);
        };
        return part(0) | part(1) | part(2);
    }
    case kOrch: {
        OrchRecord as;
        of(as);
        return as.submit;
    }
    case kPmu: {
        PmuRecord as;
        of(as);
        return as.counters[0] - 1;
    }
    case kDepGen: {
        const auto *as = static_cast<const DepGenRecord *>(record);
        return uint64_t{static_cast<uint32_t>(as->kernels[0])} | uint64_t{static_cast<uint32_t>(as->kernels[1])} << 32;
    }
    case kArgsDump: {
        ArgsDumpRecord as;
        of(as);
        return uint64_t{as.functions[0]} | uint64_t{as.functions[1]} << 16 | uint64_t{as.functions[2]} << 32;
    }
    default: {
        ScopeRecord as;
        of(as);
        return static_cast<uint32_t>(as.task_start);
    }
    }
}

} // namespace profile
