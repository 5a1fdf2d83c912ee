#include "host/dep_collector.h"

#include "origin.h"

namespace {

constexpr int kBuffers = 24;

} // namespace

DepCollector::~DepCollector() {
    stop();
    finalize();
}

bool DepCollector::init(DeviceMemory &memory, bool shadowed, int aicpu_threads) {
    shadowed_ = shadowed;
    execution_complete_.store(false, std::memory_order_release);
    const auto alloc = [&memory](size_t size) { return memory.alloc(size); };
    const auto free = [&memory](void *ptr) { return memory.free(ptr); };
    std::function<int(void *, const void *, size_t)> copy;
    if (shadowed) {
        copy = DeviceMemory::copy;
    }
    set_aicpu_thread_num(aicpu_threads);
    set_memory_context(alloc, nullptr, free, copy, copy, nullptr, nullptr, 0, 0);
    profiling_common::InitRollbackGuard<decltype(manager_)> guard(manager_, free);

    void *region_host = nullptr;
    void *region_dev = alloc_paired_buffer(sizeof(DepHeader), &region_host);
    if (region_dev == nullptr) {
        return false;
    }
    auto *header = static_cast<DepHeader *>(region_host);
    const int owner = aicpu_threads - 1;
    for (int i = 0; i < kBuffers; ++i) {
        void *host = nullptr;
        void *dev = alloc_paired_buffer(sizeof(DepBuffer), &host);
        if (dev == nullptr) {
            return false;
        }
        DepFreeQueue &queue = header->free_queue;
        if (queue.tail < kDepSlots) {
            queue.buffer_ptrs[queue.tail] = reinterpret_cast<uintptr_t>(dev);
            queue.tail = queue.tail + 1;
        } else if (!manager_.push_recycled(0, dev, owner)) {
            manager_.retire_unqueued_buffer(0, dev, owner);
        }
    }
    if (shadowed && copy(region_dev, region_host, sizeof(DepHeader)) != 0) {
        return false;
    }
    guard.commit();
    set_memory_context(alloc, nullptr, free, copy, copy, region_dev, region_host, sizeof(DepHeader), 0);
    return true;
}

void DepCollector::take_records(const DepBuffer &buffer) {
    for (uint32_t i = 0; i < buffer.count; ++i) {
        in_order_ = in_order_ && buffer.records[i] == collected_;
        ++collected_;
    }
}

void DepCollector::on_buffer_collected(const DepReadyInfo &info) {
    in_order_ = in_order_ && info.sequence == next_sequence_++;
    take_records(*static_cast<const DepBuffer *>(info.host_buffer_ptr));
}

bool DepCollector::reconcile_counters() {
    if (shadowed_ && copy_from_device_(shm_host_, shm_dev_, shm_size_) != 0) {
        return false;
    }
    const auto *header = static_cast<const DepHeader *>(shm_host_);
    if (header->current_buffer != 0) {
        void *dev = reinterpret_cast<void *>(static_cast<uintptr_t>(header->current_buffer));
        void *host = manager_.resolve_host_ptr(dev);
        if (host == nullptr || (shadowed_ && copy_from_device_(host, dev, sizeof(DepBuffer)) != 0)) {
            return false;
        }
        take_records(*static_cast<const DepBuffer *>(host));
    }
    return collected_ + header->dropped_records == header->total_records;
}

void DepCollector::finalize() {
    if (shm_host_ == nullptr) {
        return;
    }
    const auto *header = static_cast<const DepHeader *>(shm_host_);
    const auto release = [this](uint64_t dev) {
        release_one_buffer(reinterpret_cast<void *>(static_cast<uintptr_t>(dev)), nullptr, free_cb_);
    };
    release(header->current_buffer);
    const DepFreeQueue &queue = header->free_queue;
    for (uint32_t i = queue.head; i != queue.tail; ++i) {
        release(queue.buffer_ptrs[i % kDepSlots]);
    }
    manager_.release_owned_buffers([this](void *dev) { release_one_buffer(dev, nullptr, free_cb_); });
    release_one_buffer(shm_dev_, nullptr, free_cb_);
    manager_.clear_mappings();
    clear_memory_context();
}

const char *collector_pool_by() { return POOL_BY; }
const char *collector_profiler_by() { return PROFILER_BY; }
