// SPDX-License-Identifier: MIT OR Apache-2.0
#include "pipeline.hpp"

#include <algorithm>
#include <cstring>

namespace replay {
namespace {

// What the C++ runtime uses, by kind.
constexpr std::array<uint32_t, kKinds> kRealCapacities = {1000, 16384, 16384, 1024};
constexpr std::array<uint32_t, kKinds> kBatchSizes = {4, 2, 4, 1};

size_t buffer_size(const Options &options, uint32_t kind) {
    return (content_size(kind, Pipeline::capacity(options, kind)) + 63) / 64 * 64;
}

std::string describe(const char *what, lanepipe::Status status, const lanepipe::Error &detail = lanepipe::Error()) {
    std::string text = std::string(what) + ": " + status.name();
    if (detail.message()[0] != '\0') {
        text += std::string(" (") + detail.message() + ")";
    }
    return text;
}

} // namespace

Pipeline::Pipeline(const Region &region, const Options &options, uint32_t shards, DeviceMemory &memory,
                   Collector &collector)
    : region_(region), options_(options), shards_(shards), memory_(memory), collector_(collector),
      threads_(Measure{&usages_}) {
    log_.quiet = options.quiet;
}

Pipeline::~Pipeline() {
    std::string ignored;
    (void)stop(ignored);
    (void)close(ignored);
}

uint32_t Pipeline::capacity(const Options &options, uint32_t kind) {
    return options.records_per_buffer != 0 ? options.records_per_buffer : kRealCapacities[kind];
}

uint64_t Pipeline::memory_needed(const Region &region, const Options &options) {
    uint64_t sum = (region.size() + 63) / 64 * 64;
    for (uint32_t i = 0; i < region.instances(); ++i) {
        sum += uint64_t{options.pool_buffers} * buffer_size(options, region.kind_of(i));
    }
    return sum;
}

bool Pipeline::open(std::string &error) {
    region_dev_ = memory_.alloc(region_.size());
    if (region_dev_ == nullptr || memory_.register_memory(region_dev_, region_.size(), 0, &region_host_) != 0) {
        error = "no memory for the shared region";
        return false;
    }
    std::memset(device_region(), 0, region_.size());
    view_ = RegionView(region_, region_host_);
    memory_.add_region(reinterpret_cast<uintptr_t>(region_dev_), region_.size());
    if (!create_pool(error)) {
        return false;
    }
    for (uint32_t i = 0; i < region_.instances(); ++i) {
        if (!seed(i, error)) {
            return false;
        }
    }
    return create_profiler(error);
}

bool Pipeline::create_pool(std::string &error) {
    uint32_t most = 0; // buffers of one kind: no lane has to hold more at the start
    for (const uint32_t units : {region_.cores, region_.threads}) {
        most = std::max(most, units * options_.pool_buffers);
    }
    lanepipe::PoolConfig config;
    config.shards = shards_;
    config.kinds = kKinds;
    config.ready_capacity = options_.ring;
    config.done_capacity = options_.ring;
    config.recycled_capacity = std::min<uint32_t>(LANEPIPE_MAX_RING_CAPACITY, std::max(1024u, 2 * most));
    config.flags = LANEPIPE_POOL_STRICT;
    config.log = lanepipe::log_sink(log_);
    lanepipe::Error detail;
    lanepipe::Status status = lanepipe::Pool<Payload>::create(config, pool_, &detail);
    if (!status.ok()) {
        error = describe("creating the pool", status, detail);
        return false;
    }
    lanepipe::Memory memory = lanepipe::memory_of(memory_);
    if (!memory_.shadow()) {
        memory.copy_to_device = nullptr;
        memory.copy_from_device = nullptr;
    }
    memory.shm_dev = region_dev_;
    memory.shm_host = region_host_;
    memory.shm_size = region_.size();
    status = pool_.set_memory(memory);
    if (!status.ok()) {
        error = describe("setting the memory", status);
    }
    return status.ok();
}

// Gives an instance its buffers: as many as fit into its free queue, the others into the lane of its shard. Filling one
// free queue after the other from common lanes would starve the last ones when buffers are few.
bool Pipeline::seed(uint32_t instance, std::string &error) {
    const uint32_t kind = region_.kind_of(instance);
    const size_t size = buffer_size(options_, kind);
    void *dev = nullptr;
    void *host = nullptr;
    lanepipe::Status status = pool_.allocate_block(size * options_.pool_buffers, dev, host);
    if (!status.ok()) {
        error = describe("allocating buffers", status);
        return false;
    }
    FreeQueue &queue = view_.instance(instance).free_queue;
    for (uint32_t i = 0; i < options_.pool_buffers; ++i) {
        auto *piece_dev = reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(dev) + i * size);
        lanepipe_buffer_t buffer{piece_dev, kind, 0};
        status = pool_.register_buffer(piece_dev, static_cast<char *>(host) + i * size, kind, &buffer.id);
        if (status.ok() && i < kSlotCount) {
            store_release(queue.slots[i], static_cast<uint64_t>(reinterpret_cast<uintptr_t>(piece_dev)));
            status = pool_.write_shared(&queue.slots[i], sizeof(queue.slots[i]));
        } else if (status.ok()) {
            size_t pushed = 0;
            status = pool_.push_recycled(collector_.owner(instance) % shards_, &buffer, 1, pushed);
        }
        if (!status.ok()) {
            error = describe("handing out buffers", status);
            return false;
        }
    }
    seeded_ += options_.pool_buffers;
    seeded_by_kind_[kind] += options_.pool_buffers;
    store_release(queue.tail, std::min(options_.pool_buffers, kSlotCount));
    status = pool_.write_shared(&queue.tail, sizeof(queue.tail));
    if (!status.ok()) {
        error = describe("filling a free queue", status);
    }
    return status.ok();
}

bool Pipeline::create_profiler(std::string &error) {
    std::vector<lanepipe_ready_queue_t> queues(region_.threads);
    for (uint32_t q = 0; q < region_.threads; ++q) {
        queues[q].entries = view_.queue(q);
        queues[q].head = &view_.queue_head(q);
        queues[q].tail = &view_.queue_tail(q);
        queues[q].capacity = region_.ready_slots;
        queues[q].entry_size = sizeof(ReadyEntry);
        queues[q].pointer_offset = offsetof(ReadyEntry, buffer_ptr);
    }
    std::vector<lanepipe_instance_t> instances(region_.instances());
    for (uint32_t i = 0; i < region_.instances(); ++i) {
        FreeQueue &queue = view_.instance(i).free_queue;
        instances[i].free_queue.head = &queue.head;
        instances[i].free_queue.tail = &queue.tail;
        instances[i].free_queue.slots = queue.slots;
        instances[i].free_queue.slot_count = kSlotCount;
        instances[i].kind = region_.kind_of(i);
        instances[i].queue = collector_.owner(i);
    }
    std::array<lanepipe_kind_t, kKinds> kinds{};
    for (uint32_t kind = 0; kind < kKinds; ++kind) {
        kinds[kind].buffer_size = buffer_size(options_, kind);
        kinds[kind].batch_size = kBatchSizes[kind];
        // Two spare buffers for each core of a shard, as the C++ runtime has it for tasks, and one of other kinds.
        kinds[kind].warm_target = !options_.grow  ? 0
                                  : kind == kTask ? std::min(1024u, 2 * ((region_.cores + shards_ - 1) / shards_))
                                                  : 1;
        kinds[kind].max_buffers = options_.grow ? 0 : seeded_by_kind_[kind];
    }
    lanepipe::ProfilerConfig config;
    config.queue_count = region_.threads;
    config.instance_count = region_.instances();
    config.kind_count = kKinds;
    config.collect_batch = 16;
    config.queues = queues.data();
    config.instances = instances.data();
    config.kinds = kinds.data();
    lanepipe::Error detail;
    const lanepipe::Status status = lanepipe::Profiler::create(pool_, config, collector_, threads_, profiler_, &detail);
    if (!status.ok()) {
        error = describe("creating the profiler", status, detail);
    }
    return status.ok();
}

bool Pipeline::start(std::string &error) {
    const lanepipe::Status status = profiler_.start();
    if (!status.ok()) {
        error = describe("starting the profiler", status);
        return false;
    }
    if (options_.fail_copy != 0) {
        memory_.arm(options_.fail_content_only ? DeviceMemory::Fail::kContentCopy : DeviceMemory::Fail::kAnyCopy,
                    options_.fail_copy, options_.fail_copy_count);
    }
    return true;
}

bool Pipeline::stop(std::string &error) {
    const lanepipe::Status status = profiler_ ? profiler_.stop() : lanepipe::Status();
    // What follows is book-keeping and shall not fail by order.
    memory_.arm(DeviceMemory::Fail::kNothing, 0, 0);
    if (!status.ok()) {
        error = describe("stopping the profiler", status);
    }
    return status.ok();
}

void Pipeline::note(uint64_t dev, uint64_t &place, DeviceWalk &walk, std::vector<bool> &seen) const {
    ++place;
    lanepipe_resolved_t resolved{};
    const void *pointer = reinterpret_cast<const void *>(static_cast<uintptr_t>(dev));
    if (!pool_.resolve(&pointer, 1, &resolved).ok() || resolved.id == 0) {
        ++walk.unknown;
        return;
    }
    if (resolved.id >= seen.size()) {
        seen.resize(resolved.id + 1);
    }
    if (seen[resolved.id]) {
        ++walk.duplicate;
    }
    seen[resolved.id] = true;
}

bool Pipeline::audit(lanepipe::Audit &audit, DeviceWalk &walk, std::string &error) {
    // The device is quiet, so the shadow may be brought up to date as a whole.
    lanepipe::Status status = pool_.read_shared(region_host_, region_.size());
    if (!status.ok()) {
        error = describe("reading the shared region", status);
        return false;
    }
    std::vector<bool> seen;
    for (uint32_t i = 0; i < region_.instances(); ++i) {
        const InstanceState &state = view_.instance(i);
        if (state.head.current_buf_ptr != 0) {
            note(state.head.current_buf_ptr, walk.current, walk, seen);
        }
        const FreeQueue &queue = state.free_queue;
        if (queue.tail - queue.head > kSlotCount) {
            ++walk.corrupt;
            continue;
        }
        for (uint32_t at = queue.head; at != queue.tail; ++at) {
            note(queue.slots[at % kSlotCount], walk.in_free_queues, walk, seen);
        }
    }
    walk.left_in_queue.assign(region_.threads, 0);
    for (uint32_t q = 0; q < region_.threads; ++q) {
        if (view_.queue_head(q) >= region_.ready_slots || view_.queue_tail(q) >= region_.ready_slots) {
            ++walk.corrupt;
            continue;
        }
        for (uint32_t at = view_.queue_head(q); at != view_.queue_tail(q); at = (at + 1) % region_.ready_slots) {
            note(view_.queue(q)[at].buffer_ptr, walk.in_ready_queues, walk, seen);
            ++walk.left_in_queue[q];
        }
    }
    status = pool_.audit(audit);
    // An unsound pool is a finding for the books, with the audit filled in.
    if (!status.ok() && status != LANEPIPE_E_CONSERVATION) {
        error = describe("auditing the pool", status);
        return false;
    }
    return true;
}

lanepipe::QueueStats Pipeline::queue_stats(uint32_t queue) const {
    lanepipe::QueueStats stats;
    (void)profiler_.get_queue_stats(queue, stats);
    return stats;
}

lanepipe::ShardStats Pipeline::shard_stats(uint32_t shard) const {
    lanepipe::ShardStats stats;
    (void)profiler_.get_shard_stats(shard, stats);
    return stats;
}

lanepipe::Fault Pipeline::fault() const {
    lanepipe::Fault fault;
    (void)profiler_.get_fault(fault);
    return fault;
}

bool Pipeline::close(std::string &error) {
    lanepipe::Status status = profiler_ ? profiler_.destroy() : lanepipe::Status();
    if (status.ok() && pool_) {
        status = pool_.release_all([this](void *base) { (void)memory_.free_memory(base); });
    }
    if (status.ok() && pool_) {
        status = pool_.destroy();
    }
    if (!status.ok()) {
        error = describe("closing the pipeline", status);
        return false;
    }
    if (region_dev_ != nullptr) {
        (void)memory_.free_memory(region_dev_);
        region_dev_ = nullptr;
    }
    return true;
}

} // namespace replay
