// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Drop-in replacement of the C++ runtime's header of the same name: the same names, types and behaviour over lanepipe's
// pool. What goes beyond a call of the C interface stands here because it needs the Module: its traits, its types, and
// callbacks that are C++ functions.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_
#define SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <lanepipe/lanepipe.h>

#include "common/unified_log.h"

namespace profiling_common {

// Makes the framework's threads; empty means plain std::thread.
using ThreadFactory = std::function<std::thread(std::function<void()>)>;

// How device memory is reached. Any subset may be empty: without copies memory is shared.
struct MemoryOps {
    std::function<void *(size_t)> alloc;
    std::function<int(void *dev_ptr, size_t size, int device_id, void **host_ptr_out)> reg;
    std::function<int(void *)> free_;
    std::function<int(void *dev_dst, const void *host_src, size_t)> copy_to_device;
    std::function<int(void *host_dst, const void *dev_src, size_t)> copy_from_device;
};

// A buffer whose contents have been consumed.
struct DoneInfo {
    void *dev_ptr;
    int kind;
};

// Traits of a Module.

template <typename Module, typename = void> struct ProfilerModuleMaxCollectorThreads {
    static constexpr int value = 1;
};
template <typename Module>
struct ProfilerModuleMaxCollectorThreads<Module, std::void_t<decltype(Module::kMaxCollectorThreads)>> {
    static constexpr int value = static_cast<int>(Module::kMaxCollectorThreads);
};

template <typename Module, typename = void> struct ProfilerModuleHostQueueCapacity {
    static constexpr size_t value = 1024;
};
template <typename Module>
struct ProfilerModuleHostQueueCapacity<Module, std::void_t<decltype(Module::kReadyQueueSize)>> {
    static constexpr size_t value = Module::kReadyQueueSize == 0 ? 1 : static_cast<size_t>(Module::kReadyQueueSize);
};

template <typename Module, typename = void> struct ProfilerModuleHostPoolQueueCapacity {
    static constexpr size_t value = 1024;
};
template <typename Module>
struct ProfilerModuleHostPoolQueueCapacity<Module, std::void_t<decltype(Module::kHostPoolQueueSize)>> {
    static constexpr size_t value =
        Module::kHostPoolQueueSize == 0 ? 1 : static_cast<size_t>(Module::kHostPoolQueueSize);
};

template <typename Module, typename = void> struct ProfilerModuleHostRecycledQueueCapacity {
    static constexpr size_t value = ProfilerModuleHostPoolQueueCapacity<Module>::value;
};
template <typename Module>
struct ProfilerModuleHostRecycledQueueCapacity<Module, std::void_t<decltype(Module::kHostRecycledQueueSize)>> {
    static constexpr size_t value =
        Module::kHostRecycledQueueSize == 0 ? 1 : static_cast<size_t>(Module::kHostRecycledQueueSize);
};

template <typename Module>
auto profiler_module_recycled_warm_target_impl(int kind, int shard_count, int)
    -> decltype(static_cast<int>(Module::recycled_warm_target(kind, shard_count))) {
    return static_cast<int>(Module::recycled_warm_target(kind, shard_count));
}
template <typename Module>
auto profiler_module_recycled_warm_target_impl(int kind, int, long)
    -> decltype(static_cast<int>(Module::recycled_warm_target(kind))) {
    return static_cast<int>(Module::recycled_warm_target(kind));
}
template <typename Module> int profiler_module_recycled_warm_target_impl(int, int, ...) { return 0; }

// Buffers of `kind` that a lane is to hold at least; 0: none are kept ready.
template <typename Module> int profiler_module_recycled_warm_target(int kind, int shard_count) {
    return profiler_module_recycled_warm_target_impl<Module>(kind, shard_count, 0);
}

// Rings.

// Ring of exactly `Capacity` items between one producer and one consumer.
template <typename T, size_t Capacity> class SpscRing {
    static_assert(Capacity > 0, "a ring holds at least one item");
    static_assert(Capacity <= std::numeric_limits<size_t>::max() / 2, "the storage is rounded up");

  public:
    SpscRing() = default;
    SpscRing(const SpscRing &) = delete;
    SpscRing &operator=(const SpscRing &) = delete;

    bool push(const T &item) {
        const size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_seen_ >= Capacity) {
            // Acquire: the consumer has read the slots before its head.
            head_seen_ = head_.load(std::memory_order_acquire);
            if (tail - head_seen_ >= Capacity) {
                return false;
            }
        }
        slots_[tail & kMask] = item;
        // Release: the item comes first.
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    bool pop(T &out) {
        const size_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_seen_) {
            // Acquire: the producer has written the slots before its tail.
            tail_seen_ = tail_.load(std::memory_order_acquire);
            if (head == tail_seen_) {
                return false;
            }
        }
        out = slots_[head & kMask];
        // Release: the slot has been read.
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    bool empty() const { return size() == 0; }
    bool full() const { return size() >= Capacity; }

    size_t size() const {
        // The head first: the tail is never behind it then, though it may have run on by more than the ring holds.
        const size_t head = head_.load(std::memory_order_acquire);
        return std::min(tail_.load(std::memory_order_acquire) - head, Capacity);
    }

    // Drops what is stored. Consumer.
    void clear() {
        tail_seen_ = tail_.load(std::memory_order_acquire);
        head_.store(tail_seen_, std::memory_order_release);
    }

  private:
    static constexpr size_t round_up(size_t size) {
        size_t power = 1;
        while (power < size) {
            power *= 2;
        }
        return power;
    }
    static constexpr size_t kMask = round_up(Capacity) - 1;
    static constexpr size_t kLine = 64;

    // Free-running; a line for each side, with what it last saw of the other.
    alignas(kLine) std::atomic<size_t> tail_{0};
    size_t head_seen_ = 0;
    alignas(kLine) std::atomic<size_t> head_{0};
    size_t tail_seen_ = 0;
    alignas(kLine) std::array<T, kMask + 1> slots_{};
};

// Pointers of any thread, the last one first.
class RetiredPool {
  public:
    RetiredPool() = default;
    ~RetiredPool() { std::free(items_); }
    RetiredPool(const RetiredPool &) = delete;
    RetiredPool &operator=(const RetiredPool &) = delete;

    // False only if storage cannot grow.
    bool push(void *ptr) {
        const std::lock_guard<std::mutex> lock(mutex_);
        // realloc reports failure without exceptions.
        if (size_ == capacity_ && !grow()) {
            return false;
        }
        items_[size_++] = ptr;
        return true;
    }

    bool pop(void *&out) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (size_ == 0) {
            return false;
        }
        out = items_[--size_];
        return true;
    }

    void clear() {
        const std::lock_guard<std::mutex> lock(mutex_);
        size_ = 0;
    }

    bool empty() const { return size() == 0; }

    size_t size() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return size_;
    }

  private:
    bool grow() {
        constexpr size_t kLargest = std::numeric_limits<size_t>::max() / sizeof(void *);
        if (capacity_ > kLargest / 2) {
            return false;
        }
        const size_t capacity = std::max<size_t>(2 * capacity_, 16);
        void *const grown = std::realloc(items_, capacity * sizeof(void *));
        if (grown == nullptr) {
            return false;
        }
        items_ = static_cast<void **>(grown);
        capacity_ = capacity;
        return true;
    }

    mutable std::mutex mutex_;
    void **items_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

// Manager.

namespace lanepipe_detail {

template <typename Module, typename = void> struct ModuleName { static constexpr const char *value = "profiler"; };
template <typename Module> struct ModuleName<Module, std::void_t<decltype(Module::kSubsystemName)>> {
    static constexpr const char *value = Module::kSubsystemName;
};

} // namespace lanepipe_detail

// Buffers of one subsystem on their way through the host: rings between its threads, lanes of empty buffers, and what
// is known of device addresses.
template <typename Module> class BufferPoolManager {
  public:
    using ReadyBufferInfo = typename Module::ReadyBufferInfo;

    static constexpr int kMaxCollectorShards = ProfilerModuleMaxCollectorThreads<Module>::value;
    static constexpr size_t kReadyQueueCapacity = ProfilerModuleHostQueueCapacity<Module>::value;
    static constexpr size_t kHostQueueCapacity = kReadyQueueCapacity;
    static constexpr size_t kPoolQueueCapacity = ProfilerModuleHostPoolQueueCapacity<Module>::value;
    static constexpr size_t kRecycledQueueCapacity = ProfilerModuleHostRecycledQueueCapacity<Module>::value;

    static_assert(kMaxCollectorShards >= 1, "there is at least one shard");
    static_assert(Module::kBufferKinds > 0, "there is at least one buffer kind");
    static_assert(kMaxCollectorShards <= static_cast<int>(LANEPIPE_MAX_SHARDS), "more shards than a pool can have");
    static_assert(Module::kBufferKinds <= static_cast<int>(LANEPIPE_MAX_KINDS), "more kinds than a pool can have");
    static_assert(kReadyQueueCapacity <= LANEPIPE_MAX_RING_CAPACITY, "a ring is too large");
    static_assert(kPoolQueueCapacity <= LANEPIPE_MAX_RING_CAPACITY, "a ring is too large");
    static_assert(kRecycledQueueCapacity <= LANEPIPE_MAX_RING_CAPACITY, "a ring is too large");
    static_assert(std::is_trivially_copyable<ReadyBufferInfo>::value, "infos pass through the pool as bytes");

    BufferPoolManager() : context_(new Context) {
        lanepipe_pool_config_t config{};
        config.struct_size = static_cast<uint32_t>(sizeof(config));
        config.shards = static_cast<uint32_t>(kMaxCollectorShards);
        config.kinds = static_cast<uint32_t>(kKinds);
        config.payload_size = static_cast<uint32_t>(kPayloadSize);
        config.ready_capacity = static_cast<uint32_t>(kReadyQueueCapacity);
        config.done_capacity = static_cast<uint32_t>(kPoolQueueCapacity);
        config.recycled_capacity = static_cast<uint32_t>(kRecycledQueueCapacity);
        config.flags = LANEPIPE_POOL_UNTRACKED;
        config.block_granularity = 1;
        config.log.write = &write_log;
        config.log.max_level = LANEPIPE_LOG_WARN;
        lanepipe_error_t error{};
        error.struct_size = static_cast<uint32_t>(sizeof(error));
        if (lanepipe_pool_create(&config, &error, &pool_) != LANEPIPE_OK) {
            // The checks above leave lack of memory as the only reason, or a library of another version than this
            // header. Neither users nor this class have a state for "no manager": the original allocates here too, and
            // without exceptions ends the same way.
            LOG_ERROR("%s: no buffer pool: %s", kName, error.message);
            std::abort();
        }
    }

    // Calls nothing and leaves shadows and device memory alone: their owner may still look at them.
    ~BufferPoolManager() { (void)lanepipe_pool_destroy(pool_); }

    BufferPoolManager(const BufferPoolManager &) = delete;
    BufferPoolManager &operator=(const BufferPoolManager &) = delete;

    // The pool behind the manager, for the layer above.
    lanepipe_pool_t *lanepipe_handle_() const { return pool_; }

    // Configuration.

    void set_memory_context(MemoryOps ops, void *shared_mem_dev, void *shared_mem_host, size_t shm_size,
                            int device_id) {
        std::unique_ptr<Context> context(
            new Context{std::move(ops), shared_mem_dev, shared_mem_host, shm_size, device_id});
        lanepipe_memory_t memory{};
        memory.struct_size = static_cast<uint32_t>(sizeof(memory));
        memory.device_id = device_id;
        memory.context = context.get();
        memory.alloc = &Context::allocate;
        memory.register_memory = &Context::enroll;
        memory.free_memory = &Context::release;
        // Whether they are there is how the pool tells the memory modes apart.
        memory.copy_to_device = context->ops.copy_to_device ? &Context::copy_to : nullptr;
        memory.copy_from_device = context->ops.copy_from_device ? &Context::copy_from : nullptr;
        memory.shm_dev = shared_mem_dev;
        memory.shm_host = shared_mem_host;
        memory.shm_size = shm_size;
        // Refused, with a message, while a profiler runs on the pool: its threads use the context they started with.
        if (lanepipe_pool_set_memory(pool_, &memory) == LANEPIPE_OK) {
            context_.swap(context);
        }
    }

    void set_shard_count(int n) {
        if (n < 1 || n > kMaxCollectorShards) {
            LOG_ERROR("%s: shard count %d is not in 1 to %d", kName, n, kMaxCollectorShards);
            n = n < 1 ? 1 : kMaxCollectorShards;
        }
        if (lanepipe_pool_set_shards(pool_, static_cast<uint32_t>(n)) == LANEPIPE_OK) {
            lanepipe_set_warm_targets_();
        }
    }

    // As the Module has them now.
    void lanepipe_set_warm_targets_() {
        const int shards = shard_count();
        for (int kind = 0; kind < kKinds; ++kind) {
            const int target = profiler_module_recycled_warm_target<Module>(kind, shards);
            (void)lanepipe_pool_set_warm_target(pool_, static_cast<uint32_t>(kind),
                                                target <= 0 ? 0 : static_cast<uint32_t>(target));
        }
    }

    int shard_count() const {
        uint32_t shards = 0;
        (void)lanepipe_pool_get_shards(pool_, &shards);
        return static_cast<int>(shards);
    }

    void *shared_mem_dev() const { return context_->shm_dev; }
    void *shared_mem_host() const { return context_->shm_host; }
    int device_id() const { return context_->device_id; }

    // Ready rings.

    bool push_to_ready(const ReadyBufferInfo &info, int shard_index = 0) {
        const Element element(info);
        size_t pushed = 0;
        const lanepipe_status_t status =
            lanepipe_pool_push_ready(pool_, fold(shard_index), &element.buffer, element.payload(), 1, &pushed);
        if (status == LANEPIPE_FULL) {
            LOG_ERROR("%s: ready ring of shard %d is full", kName, shard_index);
        }
        return status == LANEPIPE_OK;
    }

    void wait_push_to_ready(const ReadyBufferInfo &info, int shard_index = 0) {
        const Element element(info);
        size_t pushed = 0;
        (void)lanepipe_pool_wait_push_ready(pool_, fold(shard_index), &element.buffer, element.payload(), 1,
                                            LANEPIPE_FOREVER, &pushed);
    }

    bool try_pop_ready(ReadyBufferInfo &out, int shard_index = 0) {
        Landing landing;
        size_t count = 0;
        return landing.deliver(
            lanepipe_pool_pop_ready(pool_, fold(shard_index), &landing.buffer, landing.payload, 1, &count), out);
    }

    bool wait_pop_ready(ReadyBufferInfo &out, std::chrono::milliseconds timeout, int shard_index = 0) {
        Landing landing;
        size_t count = 0;
        return landing.deliver(lanepipe_pool_wait_pop_ready(pool_, fold(shard_index), &landing.buffer, landing.payload,
                                                            1, nanoseconds(timeout), &count),
                               out);
    }

    // Done rings.

    bool notify_copy_done(void *dev_ptr, int kind, int shard_index = 0) {
        const lanepipe_buffer_t buffer = buffer_of(dev_ptr, kind);
        size_t pushed = 0;
        const lanepipe_status_t status = lanepipe_pool_push_done(pool_, fold(shard_index), &buffer, 1, &pushed);
        if (status == LANEPIPE_FULL) {
            LOG_ERROR("%s: done ring of shard %d is full (kind %d)", kName, shard_index, kind);
        }
        return status == LANEPIPE_OK;
    }

    bool try_pop_done(DoneInfo &out, int shard_index = 0) {
        lanepipe_buffer_t buffer;
        size_t count = 0;
        if (lanepipe_pool_pop_done(pool_, fold(shard_index), &buffer, 1, &count) != LANEPIPE_OK) {
            return false;
        }
        out = DoneInfo{buffer.dev, static_cast<int>(buffer.kind)};
        return true;
    }

    size_t drain_done_into_recycled(int shard_index) {
        size_t moved = 0;
        (void)lanepipe_pool_recycle_done(pool_, fold(shard_index), &moved);
        return moved;
    }

    size_t drain_done_into_recycled() {
        // What the Module answers may change from call to call.
        lanepipe_set_warm_targets_();
        size_t moved = 0;
        (void)lanepipe_pool_recycle_done(pool_, LANEPIPE_ALL_SHARDS, &moved);
        return moved;
    }

    // Recycled lanes, parked buffers.

    void *pop_recycled(int kind, int shard_index = 0) {
        lanepipe_buffer_t buffer;
        size_t count = 0;
        const lanepipe_status_t status =
            lanepipe_pool_pop_recycled(pool_, fold(shard_index), static_cast<uint32_t>(kind), &buffer, 1, &count);
        return status == LANEPIPE_OK ? buffer.dev : nullptr;
    }

    void *pop_recycled_for_startup(int kind) {
        if (!is_kind(kind)) {
            return nullptr;
        }
        const int shards = shard_count();
        void *found = nullptr;
        for (int shard = 0; shard < shards && found == nullptr; ++shard) {
            found = pop_recycled(kind, shard);
        }
        return found;
    }

    bool push_recycled(int kind, void *dev_ptr, int shard_index = 0) {
        const lanepipe_buffer_t buffer = buffer_of(dev_ptr, kind);
        size_t pushed = 0;
        const lanepipe_status_t status = lanepipe_pool_push_recycled(pool_, fold(shard_index), &buffer, 1, &pushed);
        if (status == LANEPIPE_FULL) {
            LOG_ERROR("%s: recycled lane of shard %d is full (kind %d)", kName, shard_index, kind);
        }
        return status == LANEPIPE_OK;
    }

    bool retire_unqueued_buffer(int kind, void *dev_ptr, int shard_index = 0) {
        if (dev_ptr == nullptr) {
            // There is nothing to park, and no release would report it.
            return is_kind(kind);
        }
        const lanepipe_buffer_t buffer = buffer_of(dev_ptr, kind);
        const lanepipe_status_t status = lanepipe_pool_retire(pool_, fold(shard_index), &buffer);
        if (status == LANEPIPE_E_NO_MEMORY) {
            LOG_ERROR("%s: buffer %p could not be parked (shard %d, kind %d)", kName, dev_ptr, shard_index, kind);
        }
        return status == LANEPIPE_OK;
    }

    size_t recycled_count(int kind, int shard_index) const { return recycled(kind, fold(shard_index)); }
    size_t recycled_count(int kind) const { return recycled(kind, LANEPIPE_ALL_SHARDS); }

    bool recycled_empty() const {
        for (int kind = 0; kind < kKinds; ++kind) {
            if (recycled_count(kind) != 0) {
                return false;
            }
        }
        return true;
    }

    // Allocation and mappings.

    size_t allocate_recycled_batch(int kind, size_t buffer_size, int count, int shard_index = -1) {
        if (count <= 0 || buffer_size == 0) {
            return 0;
        }
        size_t placed = 0;
        const uint32_t shard = shard_index < 0 ? LANEPIPE_ALL_SHARDS : static_cast<uint32_t>(shard_index);
        const lanepipe_status_t status = lanepipe_pool_allocate(pool_, static_cast<uint32_t>(kind), buffer_size,
                                                                static_cast<uint32_t>(count), shard, &placed);
        if (status == LANEPIPE_OK && placed == 0) {
            LOG_ERROR("%s: no buffer of a new block could be placed (kind %d)", kName, kind);
        }
        return placed;
    }

    void *alloc_and_register_block(size_t size, void **host_ptr_out) {
        if (host_ptr_out == nullptr) {
            LOG_ERROR("%s: a block is asked for without a place for its host address", kName);
            return nullptr;
        }
        void *dev = nullptr;
        *host_ptr_out = nullptr;
        (void)lanepipe_pool_allocate_block(pool_, size, &dev, host_ptr_out);
        return dev;
    }

    void register_mapping(void *dev_ptr, void *host_ptr) {
        if (lanepipe_pool_register(pool_, dev_ptr, host_ptr, 0, nullptr) != LANEPIPE_OK) {
            LOG_ERROR("%s: no memory for the mapping of %p", kName, dev_ptr);
        }
    }

    void *resolve_host_ptr(void *dev_ptr) const {
        const void *const asked = dev_ptr;
        lanepipe_resolved_t resolved{};
        (void)lanepipe_pool_resolve(pool_, &asked, 1, &resolved);
        if (resolved.known == 0) {
            LOG_ERROR("%s: no host address is known for device pointer %p", kName, dev_ptr);
        }
        return resolved.host;
    }

    void add_malloc_shadow(void *host_ptr) {
        if (host_ptr != nullptr && lanepipe_pool_adopt_shadow(pool_, host_ptr) != LANEPIPE_OK) {
            LOG_ERROR("%s: no memory to remember shadow %p", kName, host_ptr);
        }
    }

    void free_buffer(void *dev_ptr) {
        if (lanepipe_pool_free(pool_, dev_ptr) == LANEPIPE_OK) {
            note_release(dev_ptr);
        }
    }

    void *release_pointer_for(void *dev_ptr) const {
        void *base = dev_ptr;
        (void)lanepipe_pool_get_base(pool_, dev_ptr, &base);
        return base;
    }

    bool claim_release_pointer(void *dev_ptr, void **release_ptr_out) {
        if (release_ptr_out == nullptr) {
            return false;
        }
        *release_ptr_out = nullptr;
        if (lanepipe_pool_claim(pool_, dev_ptr, release_ptr_out) != LANEPIPE_OK) {
            return false;
        }
        note_release(*release_ptr_out);
        return true;
    }

    // Remembers from now on whether the allocation at base was released, or claimed for it, whatever is forgotten
    // since.
    void lanepipe_watch_release_(void *base, bool is_released) {
        watched_ = base;
        is_watched_released_ = is_released;
    }
    bool lanepipe_is_watched_released_() const { return is_watched_released_; }

    // Transfers.

    int mirror_shm_from_device() {
        const Context &context = *context_;
        if (!context.has_shm() || !context.ops.copy_from_device) {
            return 0;
        }
        return context.ops.copy_from_device(context.shm_host, context.shm_dev, context.shm_size);
    }

    int write_range_to_device(const volatile void *host_field_ptr, size_t size) {
        const Context &context = *context_;
        if (!context.has_shm() || !context.ops.copy_to_device) {
            return 0;
        }
        void *const dev = context.device_of(host_field_ptr, size);
        return dev == nullptr ? -1 : context.ops.copy_to_device(dev, const_cast<const void *>(host_field_ptr), size);
    }

    int read_range_from_device(volatile void *host_field_ptr, size_t size) {
        const Context &context = *context_;
        if (!context.has_shm() || !context.ops.copy_from_device) {
            return 0;
        }
        const void *const dev = context.device_of(host_field_ptr, size);
        return dev == nullptr ? -1 : context.ops.copy_from_device(const_cast<void *>(host_field_ptr), dev, size);
    }

    int copy_buffer_from_device(void *host_dst, void *dev_src, size_t size) {
        const auto &copy = context_->ops.copy_from_device;
        return copy ? copy(host_dst, dev_src, size) : 0;
    }

    int copy_buffer_to_device(void *dev_dst, const void *host_src, size_t size) {
        const auto &copy = context_->ops.copy_to_device;
        return copy ? copy(dev_dst, host_src, size) : 0;
    }

    // Release.

    // Of what is in host queues, each allocation once.
    template <typename ReleaseFn> void release_owned_buffers(const ReleaseFn &release_fn) {
        Release<ReleaseFn> release{*this, release_fn};
        if (lanepipe_pool_release_queued(pool_, &Release<ReleaseFn>::call, &release) == LANEPIPE_E_NO_MEMORY) {
            LOG_ERROR("%s: no memory to release the buffers in host queues", kName);
        }
    }

    // Shadows and tables; device memory has been freed.
    void clear_mappings() { (void)lanepipe_pool_clear_mappings(pool_); }

    // Every allocation ever mapped, shadows and tables.
    template <typename ReleaseFn> void release_all_owned(const ReleaseFn &release_fn) {
        Release<ReleaseFn> release{*this, release_fn};
        (void)lanepipe_pool_release_all(pool_, &Release<ReleaseFn>::call, &release);
    }

  private:
    static constexpr int kKinds = static_cast<int>(Module::kBufferKinds);
    static constexpr const char *kName = lanepipe_detail::ModuleName<Module>::value;
    static constexpr size_t kPayloadSize = (sizeof(ReadyBufferInfo) + 7) / 8 * 8;
    static_assert(kPayloadSize <= LANEPIPE_MAX_PAYLOAD, "the info is larger than an element of the pool can be");

    // What the pool's callbacks work with, until the next one takes its place. An exception in a callback cannot pass
    // through the library: noexcept ends the program with its message.
    struct Context {
        MemoryOps ops;
        void *shm_dev = nullptr;
        void *shm_host = nullptr;
        size_t shm_size = 0;
        int device_id = -1;

        Context() = default;
        Context(MemoryOps &&callbacks, void *dev, void *host, size_t size, int device)
            : ops(std::move(callbacks)), shm_dev(dev), shm_host(host), shm_size(size), device_id(device) {}

        bool has_shm() const { return shm_dev != nullptr && shm_host != nullptr && shm_size != 0; }

        // Device address of a field of the shared region; null, with a message, if it is not inside.
        void *device_of(const volatile void *field, size_t size) const {
            // Differences only, so that nothing can overflow.
            const uintptr_t offset = reinterpret_cast<uintptr_t>(field) - reinterpret_cast<uintptr_t>(shm_host);
            if (offset > shm_size || size > shm_size - offset) {
                LOG_ERROR("%s: %zu bytes at %p are not inside the shared region", kName, size,
                          const_cast<const void *>(field));
                return nullptr;
            }
            return static_cast<char *>(shm_dev) + offset;
        }

        static void *allocate(void *self, size_t size) noexcept {
            const MemoryOps &ops = static_cast<Context *>(self)->ops;
            if (!ops.alloc || !ops.reg) {
                LOG_ERROR("%s: device memory is asked for without an allocation or a registration callback", kName);
                return nullptr;
            }
            return ops.alloc(size);
        }
        static int32_t enroll(void *self, void *dev, size_t size, int32_t device, void **host) noexcept {
            return static_cast<Context *>(self)->ops.reg(dev, size, device, host);
        }
        static int32_t release(void *self, void *dev) noexcept {
            const auto &free_memory = static_cast<Context *>(self)->ops.free_;
            return free_memory ? free_memory(dev) : 0;
        }
        static int32_t copy_to(void *self, void *dst, const void *src, size_t size) noexcept {
            return static_cast<Context *>(self)->ops.copy_to_device(dst, src, size);
        }
        static int32_t copy_from(void *self, void *dst, const void *src, size_t size) noexcept {
            return static_cast<Context *>(self)->ops.copy_from_device(dst, src, size);
        }
    };

    // A reference to the caller's function, which may be of any sort, as a context. It runs with no lock held.
    template <typename ReleaseFn> struct Release {
        BufferPoolManager &manager;
        const ReleaseFn &function;
        static void call(void *self, void *base) noexcept {
            auto &release = *static_cast<Release *>(self);
            (void)release.function(base);
            // Not before: the function may ask whether it has been.
            release.manager.note_release(base);
        }
    };

    // An info on its way into a ready ring. Its bytes are passed from where they are, unless they need padding. The
    // kind is asked for by the collectors, who alone may look into the buffer.
    struct Element {
        explicit Element(const ReadyBufferInfo &source) : info(source), buffer(buffer_of(source.dev_buffer_ptr)) {
            if (kPayloadSize != sizeof(ReadyBufferInfo)) {
                std::memcpy(padded, &source, sizeof(ReadyBufferInfo));
            }
        }
        const void *payload() const {
            return kPayloadSize != sizeof(ReadyBufferInfo) ? static_cast<const void *>(padded) : &info;
        }

        const ReadyBufferInfo &info;
        lanepipe_buffer_t buffer;
        unsigned char padded[kPayloadSize != sizeof(ReadyBufferInfo) ? kPayloadSize : 1] = {};
    };

    // An info on its way out of a ready ring.
    struct Landing {
        bool deliver(lanepipe_status_t status, ReadyBufferInfo &out) const {
            if (status != LANEPIPE_OK) {
                return false;
            }
            std::memcpy(static_cast<void *>(&out), payload, sizeof(ReadyBufferInfo));
            return true;
        }

        lanepipe_buffer_t buffer;
        unsigned char payload[kPayloadSize];
    };

    // The pool does the rest of the folding.
    static uint32_t fold(int shard_index) { return shard_index < 0 ? 0 : static_cast<uint32_t>(shard_index); }

    static lanepipe_buffer_t buffer_of(const void *dev_ptr, int kind = 0) {
        return lanepipe_buffer_t{const_cast<void *>(dev_ptr), static_cast<uint32_t>(kind), 0};
    }

    static bool is_kind(int kind) {
        if (kind >= 0 && kind < kKinds) {
            return true;
        }
        LOG_ERROR("%s: kind %d is not in 0 to %d", kName, kind, kKinds - 1);
        return false;
    }

    static uint64_t nanoseconds(std::chrono::milliseconds timeout) {
        constexpr uint64_t kPerMillisecond = 1000000;
        if (timeout.count() <= 0) {
            return 0;
        }
        const auto count = static_cast<uint64_t>(timeout.count());
        return count > (LANEPIPE_FOREVER - 1) / kPerMillisecond ? LANEPIPE_FOREVER : count * kPerMillisecond;
    }

    static void write_log(void *, uint32_t level, const char *message) noexcept {
        if (level == LANEPIPE_LOG_ERROR) {
            LOG_ERROR("%s: %s", kName, message);
        } else {
            LOG_WARN("%s: %s", kName, message);
        }
    }

    size_t recycled(int kind, uint32_t shard) const {
        size_t count = 0;
        (void)lanepipe_pool_get_recycled(pool_, shard, static_cast<uint32_t>(kind), &count);
        return count;
    }

    void note_release(const void *base) {
        if (base != nullptr && base == watched_) {
            is_watched_released_ = true;
        }
    }

    lanepipe_pool_t *pool_ = nullptr;
    std::unique_ptr<Context> context_;
    void *watched_ = nullptr;
    bool is_watched_released_ = false;
};

} // namespace profiling_common

#endif // SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_
