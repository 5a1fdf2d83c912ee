// Host side of the profiling buffers: rings between the pipeline threads, lanes of empty buffers, the address tables
// and the release of everything that was allocated. Written from the host-pipeline contract ("HP n.m", "Wn", "Hn") in
// the way the C++ runtime works today, known weaknesses included: this is what a lanepipe replacement is measured
// against.
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
#include <functional>
#include <limits>
#include <mutex>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/unified_log.h"

namespace profiling_common {

// Creates the framework's threads; empty means plain std::thread.
using ThreadFactory = std::function<std::thread(std::function<void()>)>;

// Access to device memory. Any subset may be empty; without copy callbacks host and device share the bytes (SVM).
struct MemoryOps {
    std::function<void *(size_t)> alloc;
    std::function<int(void *dev_ptr, size_t size, int device_id, void **host_ptr_out)> reg;
    std::function<int(void *)> free_;
    std::function<int(void *dev_dst, const void *host_src, size_t)> copy_to_device;
    std::function<int(void *host_dst, const void *dev_src, size_t)> copy_from_device;
};

struct DoneInfo {
    void *dev_ptr;
    int kind;
};

// Optional Module members and their defaults (HP 3.2).

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

// Ranked by the last parameter: (kind, shard count), then (kind), then none.
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

template <typename Module> int profiler_module_recycled_warm_target(int kind, int shard_count) {
    return profiler_module_recycled_warm_target_impl<Module>(kind, shard_count, 0);
}

// Bounded ring for one producer and one consumer. Indices only grow; the slot is the index modulo the exact capacity.
template <typename T, size_t Capacity> class SpscRing {
    static_assert(Capacity > 0, "a ring holds at least one item");

  public:
    bool push(const T &item) {
        const uint64_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_.load(std::memory_order_acquire) >= Capacity) {
            return false;
        }
        items_[tail % Capacity] = item;
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    bool pop(T &out) {
        const uint64_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_.load(std::memory_order_acquire)) {
            return false;
        }
        out = items_[head % Capacity];
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    bool empty() const { return size() == 0; }

    bool full() const { return size() >= Capacity; }

    size_t size() const {
        // Head first: a tail read later is never behind it. Both may move on in between, hence the clamp.
        const uint64_t head = head_.load(std::memory_order_acquire);
        const uint64_t tail = tail_.load(std::memory_order_acquire);
        return static_cast<size_t>(std::min<uint64_t>(tail - head, Capacity));
    }

    void clear() {
        T discarded{};
        while (pop(discarded)) {
        }
    }

  private:
    alignas(64) std::atomic<uint64_t> head_{0};
    alignas(64) std::atomic<uint64_t> tail_{0};
    alignas(64) std::array<T, Capacity> items_{};
};

// Parking for buffers that nobody could publish. Raw storage, so that failing growth is a result, not an exception.
class RetiredPool {
  public:
    RetiredPool() = default;
    RetiredPool(const RetiredPool &) = delete;
    RetiredPool &operator=(const RetiredPool &) = delete;
    ~RetiredPool() { std::free(items_); }

    bool push(void *ptr) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (size_ == capacity_) {
            const size_t grown = capacity_ == 0 ? 16 : capacity_ * 2;
            void *storage = std::realloc(items_, grown * sizeof(void *));
            if (storage == nullptr) {
                return false;
            }
            items_ = static_cast<void **>(storage);
            capacity_ = grown;
        }
        items_[size_++] = ptr;
        return true;
    }

    bool pop(void *&out) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (size_ == 0) {
            return false;
        }
        out = items_[--size_];
        return true;
    }

    void clear() {
        std::lock_guard<std::mutex> lock(mutex_);
        size_ = 0;
    }

    bool empty() const { return size() == 0; }

    size_t size() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return size_;
    }

  private:
    mutable std::mutex mutex_;
    void **items_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

// Owns the queues of one subsystem's pipeline. Which thread may call what: HP 1.4 and the class letters of HP 2.5.
template <typename Module> class BufferPoolManager {
  public:
    using ReadyBufferInfo = typename Module::ReadyBufferInfo;

    static constexpr int kMaxCollectorShards = ProfilerModuleMaxCollectorThreads<Module>::value;
    static constexpr size_t kReadyQueueCapacity = ProfilerModuleHostQueueCapacity<Module>::value;
    static constexpr size_t kHostQueueCapacity = kReadyQueueCapacity;
    static constexpr size_t kPoolQueueCapacity = ProfilerModuleHostPoolQueueCapacity<Module>::value;
    static constexpr size_t kRecycledQueueCapacity = ProfilerModuleHostRecycledQueueCapacity<Module>::value;

    static_assert(kMaxCollectorShards >= 1, "a pipeline has at least one shard");
    static_assert(Module::kBufferKinds > 0, "a module has at least one buffer kind");

    BufferPoolManager() = default;
    BufferPoolManager(const BufferPoolManager &) = delete;
    BufferPoolManager &operator=(const BufferPoolManager &) = delete;

    // Configuration

    void set_memory_context(MemoryOps ops, void *shared_mem_dev, void *shared_mem_host, size_t shm_size,
                            int device_id) {
        ops_ = std::move(ops);
        shared_mem_dev_ = shared_mem_dev;
        shared_mem_host_ = shared_mem_host;
        shm_size_ = shm_size;
        device_id_ = device_id;
    }

    void set_shard_count(int n) {
        if (n < 1 || n > kMaxCollectorShards) {
            const int clamped = n < 1 ? 1 : kMaxCollectorShards;
            LOG_ERROR("shard count %d outside [1, %d], using %d", n, kMaxCollectorShards, clamped);
            n = clamped;
        }
        shard_count_ = n;
    }

    int shard_count() const { return shard_count_; }
    void *shared_mem_dev() const { return shared_mem_dev_; }
    void *shared_mem_host() const { return shared_mem_host_; }
    int device_id() const { return device_id_; }

    // Ready rings: drain -> collector

    bool push_to_ready(const ReadyBufferInfo &info, int shard_index = 0) {
        const size_t shard = fold(shard_index);
        if (!ready_[shard].push(info)) {
            LOG_ERROR("ready ring of shard %zu is full (%zu)", shard, kReadyQueueCapacity);
            return false;
        }
        raise(signals_[shard].item_epoch, signals_[shard].item_cv);
        return true;
    }

    void wait_push_to_ready(const ReadyBufferInfo &info, int shard_index = 0) {
        const size_t shard = fold(shard_index);
        Signal &signal = signals_[shard];
        for (;;) {
            const uint64_t seen = signal.space_epoch.load(std::memory_order_acquire);
            if (ready_[shard].push(info)) {
                break;
            }
            std::unique_lock<std::mutex> lock(signal.mutex);
            signal.space_cv.wait_for(lock, kRetryTick, [&signal, seen] {
                return signal.space_epoch.load(std::memory_order_acquire) != seen;
            });
        }
        raise(signal.item_epoch, signal.item_cv);
    }

    bool try_pop_ready(ReadyBufferInfo &out, int shard_index = 0) {
        const size_t shard = fold(shard_index);
        if (!ready_[shard].pop(out)) {
            return false;
        }
        raise(signals_[shard].space_epoch, signals_[shard].space_cv);
        return true;
    }

    bool wait_pop_ready(ReadyBufferInfo &out, std::chrono::milliseconds timeout, int shard_index = 0) {
        if (try_pop_ready(out, shard_index)) {
            return true;
        }
        if (timeout <= std::chrono::milliseconds::zero()) {
            return try_pop_ready(out, shard_index);
        }
        Signal &signal = signals_[fold(shard_index)];
        // Clamped, so that the deadline cannot overflow the clock.
        const auto deadline =
            std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24));
        for (;;) {
            const uint64_t seen = signal.item_epoch.load(std::memory_order_acquire);
            if (try_pop_ready(out, shard_index)) {
                return true;
            }
            bool raised;
            {
                std::unique_lock<std::mutex> lock(signal.mutex);
                raised = signal.item_cv.wait_until(lock, deadline, [&signal, seen] {
                    return signal.item_epoch.load(std::memory_order_acquire) != seen;
                });
            }
            if (!raised) {
                return try_pop_ready(out, shard_index);
            }
        }
    }

    // Done rings: collector -> replenish

    bool notify_copy_done(void *dev_ptr, int kind, int shard_index = 0) {
        const size_t shard = fold(shard_index);
        if (!done_[shard].push(DoneInfo{dev_ptr, kind})) {
            LOG_ERROR("done ring of shard %zu is full (%zu), kind %d", shard, kPoolQueueCapacity, kind);
            return false;
        }
        return true;
    }

    bool try_pop_done(DoneInfo &out, int shard_index = 0) { return done_[fold(shard_index)].pop(out); }

    size_t drain_done_into_recycled(int shard_index) {
        const int shard = static_cast<int>(fold(shard_index));
        size_t placed = 0;
        DoneInfo done{};
        while (done_[static_cast<size_t>(shard)].pop(done)) {
            if (push_recycled(done.kind, done.dev_ptr, shard) ||
                retire_unqueued_buffer(done.kind, done.dev_ptr, shard)) {
                ++placed;
            }
        }
        return placed;
    }

    size_t drain_done_into_recycled() {
        size_t placed = 0;
        for (int origin = 0; origin < shard_count_; ++origin) {
            DoneInfo done{};
            while (done_[static_cast<size_t>(origin)].pop(done)) {
                const int target = neediest_shard(done.kind, origin);
                if (push_recycled(done.kind, done.dev_ptr, target) ||
                    (target != origin && push_recycled(done.kind, done.dev_ptr, origin)) ||
                    retire_unqueued_buffer(done.kind, done.dev_ptr, origin)) {
                    ++placed;
                }
            }
        }
        return placed;
    }

    // Recycled lanes and retired pools

    void *pop_recycled(int kind, int shard_index = 0) {
        void *dev_ptr = nullptr;
        return lane(kind, fold(shard_index)).pop(dev_ptr) ? dev_ptr : nullptr;
    }

    void *pop_recycled_for_startup(int kind) {
        for (int shard = 0; shard < shard_count_; ++shard) {
            if (void *dev_ptr = pop_recycled(kind, shard)) {
                return dev_ptr;
            }
        }
        return nullptr;
    }

    bool push_recycled(int kind, void *dev_ptr, int shard_index = 0) {
        const size_t shard = fold(shard_index);
        if (!lane(kind, shard).push(dev_ptr)) {
            LOG_ERROR("recycled lane of shard %zu kind %d is full (%zu)", shard, kind, kRecycledQueueCapacity);
            return false;
        }
        return true;
    }

    bool retire_unqueued_buffer(int kind, void *dev_ptr, int shard_index = 0) {
        const size_t shard = fold(shard_index);
        if (!retired_[shard][static_cast<size_t>(kind)].push(dev_ptr)) {
            LOG_ERROR("cannot retire buffer %p of shard %zu kind %d", dev_ptr, shard, kind);
            return false;
        }
        return true;
    }

    size_t recycled_count(int kind, int shard_index) const { return lane(kind, fold(shard_index)).size(); }

    size_t recycled_count(int kind) const {
        size_t total = 0;
        for (int shard = 0; shard < shard_count_; ++shard) {
            total += recycled_count(kind, shard);
        }
        return total;
    }

    bool recycled_empty() const {
        for (int kind = 0; kind < Module::kBufferKinds; ++kind) {
            if (recycled_count(kind) != 0) {
                return false;
            }
        }
        return true;
    }

    // Allocation and address tables

    size_t allocate_recycled_batch(int kind, size_t buffer_size, int count, int shard_index = -1) {
        if (count <= 0 || buffer_size == 0) {
            return 0;
        }
        constexpr size_t kMaxSize = std::numeric_limits<size_t>::max();
        if (buffer_size > kMaxSize - (kCarveAlignment - 1)) {
            LOG_ERROR("batch of kind %d: buffer size %zu overflows when rounded up", kind, buffer_size);
            return 0;
        }
        const size_t stride = (buffer_size + kCarveAlignment - 1) / kCarveAlignment * kCarveAlignment;
        if (static_cast<size_t>(count) > kMaxSize / stride) {
            LOG_ERROR("batch of kind %d: %d buffers of %zu bytes overflow", kind, count, stride);
            return 0;
        }
        void *host_base = nullptr;
        void *dev_base = alloc_and_register_block(static_cast<size_t>(count) * stride, &host_base);
        if (dev_base == nullptr) {
            return 0;
        }
        size_t placed = 0;
        for (int i = 0; i < count; ++i) {
            void *dev_ptr = static_cast<char *>(dev_base) + static_cast<size_t>(i) * stride;
            const int shard = shard_index >= 0 ? shard_index : i;
            if (push_recycled(kind, dev_ptr, shard) || retire_unqueued_buffer(kind, dev_ptr, shard)) {
                ++placed;
            }
        }
        if (placed == 0) {
            LOG_ERROR("no buffer of the block at %p could be placed, kind %d", dev_base, kind);
        }
        return placed;
    }

    void *alloc_and_register_block(size_t size, void **host_ptr_out) {
        *host_ptr_out = nullptr;
        void *dev_ptr = ops_.alloc(size);
        if (dev_ptr == nullptr) {
            return nullptr;
        }
        void *host_ptr = nullptr;
        const int rc = ops_.reg(dev_ptr, size, device_id_, &host_ptr);
        if (rc != 0 || host_ptr == nullptr) {
            LOG_ERROR("registration of block %p (%zu bytes) failed: rc %d, host %p", dev_ptr, size, rc, host_ptr);
            if (ops_.free_) {
                ops_.free_(dev_ptr);
            }
            return nullptr;
        }
        {
            std::lock_guard<std::mutex> lock(table_mutex_);
            dev_to_host_[dev_ptr] = host_ptr;
            ranges_.push_back(BlockRange{static_cast<char *>(dev_ptr), size, static_cast<char *>(host_ptr)});
        }
        *host_ptr_out = host_ptr;
        return dev_ptr;
    }

    void register_mapping(void *dev_ptr, void *host_ptr) {
        std::lock_guard<std::mutex> lock(table_mutex_);
        dev_to_host_[dev_ptr] = host_ptr;
    }

    // Takes no lock although mappings can be added while drain threads look up: W1.
    void *resolve_host_ptr(void *dev_ptr) const {
        const auto exact = dev_to_host_.find(dev_ptr);
        if (exact != dev_to_host_.end()) {
            return exact->second;
        }
        if (const BlockRange *range = range_of(dev_ptr)) {
            return range->host + (static_cast<char *>(dev_ptr) - range->base);
        }
        LOG_ERROR("no host mapping for device pointer %p", dev_ptr);
        return nullptr;
    }

    void add_malloc_shadow(void *host_ptr) {
        if (host_ptr == nullptr) {
            return;
        }
        std::lock_guard<std::mutex> lock(table_mutex_);
        malloc_shadows_.insert(host_ptr);
    }

    void free_buffer(void *dev_ptr) {
        void *base = nullptr;
        void *shadow = nullptr;
        {
            std::lock_guard<std::mutex> lock(table_mutex_);
            if (dev_ptr == nullptr || !is_tracked(dev_ptr)) {
                return;
            }
            base = base_of(dev_ptr);
            if (!claimed_.insert(base).second) {
                return;
            }
            const auto exact = dev_to_host_.find(base);
            if (exact != dev_to_host_.end()) {
                shadow = exact->second;
                dev_to_host_.erase(exact);
            } else if (const BlockRange *range = range_of(base)) {
                shadow = range->host;
            }
            ranges_.erase(std::remove_if(ranges_.begin(), ranges_.end(),
                                         [base](const BlockRange &range) { return range.base == base; }),
                          ranges_.end());
        }
        if (ops_.free_) {
            ops_.free_(base);
        }
        bool owns_shadow;
        {
            std::lock_guard<std::mutex> lock(table_mutex_);
            claimed_.erase(base);
            owns_shadow = malloc_shadows_.erase(shadow) != 0;
        }
        if (owns_shadow) {
            std::free(shadow);
        }
    }

    void *release_pointer_for(void *dev_ptr) const {
        std::lock_guard<std::mutex> lock(table_mutex_);
        return base_of(dev_ptr);
    }

    bool claim_release_pointer(void *dev_ptr, void **release_ptr_out) {
        if (release_ptr_out == nullptr) {
            return false;
        }
        *release_ptr_out = nullptr;
        if (dev_ptr == nullptr) {
            return false;
        }
        std::lock_guard<std::mutex> lock(table_mutex_);
        if (!is_tracked(dev_ptr)) {
            return false;
        }
        *release_ptr_out = base_of(dev_ptr);
        return claimed_.insert(*release_ptr_out).second;
    }

    // Transfers between shadow and device; nothing to do where both are the same bytes

    int mirror_shm_from_device() {
        if (!has_shm() || !ops_.copy_from_device) {
            return 0;
        }
        return ops_.copy_from_device(shared_mem_host_, shared_mem_dev_, shm_size_);
    }

    int write_range_to_device(const volatile void *host_field_ptr, size_t size) {
        if (!has_shm() || !ops_.copy_to_device) {
            return 0;
        }
        size_t offset = 0;
        if (!offset_in_shm(host_field_ptr, size, offset)) {
            return -1;
        }
        return ops_.copy_to_device(static_cast<char *>(shared_mem_dev_) + offset,
                                   const_cast<const void *>(host_field_ptr), size);
    }

    int read_range_from_device(volatile void *host_field_ptr, size_t size) {
        if (!has_shm() || !ops_.copy_from_device) {
            return 0;
        }
        size_t offset = 0;
        if (!offset_in_shm(host_field_ptr, size, offset)) {
            return -1;
        }
        return ops_.copy_from_device(const_cast<void *>(host_field_ptr), static_cast<char *>(shared_mem_dev_) + offset,
                                     size);
    }

    int copy_buffer_from_device(void *host_dst, void *dev_src, size_t size) {
        return ops_.copy_from_device ? ops_.copy_from_device(host_dst, dev_src, size) : 0;
    }

    int copy_buffer_to_device(void *dev_dst, const void *host_src, size_t size) {
        return ops_.copy_to_device ? ops_.copy_to_device(dev_dst, host_src, size) : 0;
    }

    // Release. No lock is held while release_fn runs, it may call back into the manager (H37).

    template <typename ReleaseFn> void release_owned_buffers(const ReleaseFn &release_fn) {
        std::unordered_set<void *> seen;
        const auto release_once = [this, &seen, &release_fn](void *dev_ptr) {
            if (dev_ptr == nullptr) {
                return;
            }
            void *base = release_pointer_for(dev_ptr);
            if (seen.insert(base).second) {
                release_fn(base);
            }
        };
        void *dev_ptr = nullptr;
        for (auto &shard : recycled_) {
            for (auto &ring : shard) {
                while (ring.pop(dev_ptr)) {
                    release_once(dev_ptr);
                }
            }
        }
        for (auto &shard : retired_) {
            for (RetiredPool &pool : shard) {
                while (pool.pop(dev_ptr)) {
                    release_once(dev_ptr);
                }
            }
        }
        for (auto &ring : done_) {
            DoneInfo done{};
            while (ring.pop(done)) {
                release_once(done.dev_ptr);
            }
        }
        for (auto &ring : ready_) {
            ReadyBufferInfo info{};
            while (ring.pop(info)) {
                release_once(info.dev_buffer_ptr);
            }
        }
    }

    // Frees only shadows that a mapping still refers to: W23.
    void clear_mappings() {
        std::lock_guard<std::mutex> lock(table_mutex_);
        for (const auto &mapping : dev_to_host_) {
            if (malloc_shadows_.erase(mapping.second) != 0) {
                std::free(mapping.second);
            }
        }
        clear_tables();
    }

    template <typename ReleaseFn> void release_all_owned(const ReleaseFn &release_fn) {
        discard_queues();
        std::vector<void *> bases;
        {
            std::lock_guard<std::mutex> lock(table_mutex_);
            bases.reserve(dev_to_host_.size());
            for (const auto &mapping : dev_to_host_) {
                if (mapping.first != nullptr) {
                    bases.push_back(base_of(mapping.first));
                }
            }
        }
        std::sort(bases.begin(), bases.end(), std::less<void *>());
        bases.erase(std::unique(bases.begin(), bases.end()), bases.end());
        for (void *base : bases) {
            release_fn(base);
        }
        std::lock_guard<std::mutex> lock(table_mutex_);
        for (void *shadow : malloc_shadows_) {
            std::free(shadow);
        }
        clear_tables();
    }

  private:
    static constexpr size_t kShards = static_cast<size_t>(kMaxCollectorShards);
    static constexpr size_t kKinds = static_cast<size_t>(Module::kBufferKinds);
    static constexpr size_t kCarveAlignment = 64;
    // Upper bound for the damage of a notify that falls between a waiter's check and its sleep: W6.
    static constexpr std::chrono::milliseconds kRetryTick{100};

    using Lane = SpscRing<void *, kRecycledQueueCapacity>;

    struct BlockRange {
        char *base;
        size_t size;
        char *host;
    };

    // Wake-up of the two ends of one ready ring.
    struct Signal {
        std::mutex mutex;
        std::condition_variable item_cv;
        std::condition_variable space_cv;
        std::atomic<uint64_t> item_epoch{0};
        std::atomic<uint64_t> space_epoch{0};
    };

    static void raise(std::atomic<uint64_t> &epoch, std::condition_variable &cv) {
        epoch.fetch_add(1, std::memory_order_release);
        cv.notify_one();
    }

    size_t fold(int shard_index) const { return shard_index < 0 ? 0 : static_cast<size_t>(shard_index % shard_count_); }

    Lane &lane(int kind, size_t shard) { return recycled_[shard][static_cast<size_t>(kind)]; }
    const Lane &lane(int kind, size_t shard) const { return recycled_[shard][static_cast<size_t>(kind)]; }

    // Deficit-first routing (HP 2.5.4): strictly largest deficit, visited from the origin's successor round to itself.
    int neediest_shard(int kind, int origin) const {
        const int warm_target = profiler_module_recycled_warm_target<Module>(kind, shard_count_);
        if (warm_target <= 0) {
            return origin;
        }
        const size_t wanted = std::min(static_cast<size_t>(warm_target), kRecycledQueueCapacity);
        int best = origin;
        size_t best_deficit = 0;
        for (int step = 1; step <= shard_count_; ++step) {
            const int shard = (origin + step) % shard_count_;
            const size_t held = recycled_count(kind, shard);
            const size_t deficit = held < wanted ? wanted - held : 0;
            if (deficit > best_deficit) {
                best_deficit = deficit;
                best = shard;
            }
        }
        return best;
    }

    // Every carved buffer but the first of its block is found by this walk: W12.
    const BlockRange *range_of(const void *dev_ptr) const {
        const uintptr_t address = reinterpret_cast<uintptr_t>(dev_ptr);
        for (const BlockRange &range : ranges_) {
            const uintptr_t base = reinterpret_cast<uintptr_t>(range.base);
            if (address >= base && address - base < range.size) {
                return &range;
            }
        }
        return nullptr;
    }

    // The two below expect table_mutex_ to be held.
    bool is_tracked(void *dev_ptr) const { return range_of(dev_ptr) != nullptr || dev_to_host_.count(dev_ptr) != 0; }

    void *base_of(void *dev_ptr) const {
        const BlockRange *range = range_of(dev_ptr);
        return range != nullptr ? range->base : dev_ptr;
    }

    void clear_tables() {
        dev_to_host_.clear();
        ranges_.clear();
        claimed_.clear();
        malloc_shadows_.clear();
    }

    void discard_queues() {
        for (size_t shard = 0; shard < kShards; ++shard) {
            for (size_t kind = 0; kind < kKinds; ++kind) {
                recycled_[shard][kind].clear();
                retired_[shard][kind].clear();
            }
            done_[shard].clear();
            ready_[shard].clear();
        }
    }

    bool has_shm() const { return shared_mem_dev_ != nullptr && shared_mem_host_ != nullptr && shm_size_ != 0; }

    bool offset_in_shm(const volatile void *field, size_t size, size_t &offset_out) const {
        const uintptr_t address = reinterpret_cast<uintptr_t>(field);
        const uintptr_t base = reinterpret_cast<uintptr_t>(shared_mem_host_);
        // Subtractions only, so that no bound can wrap.
        if (address < base || address - base > shm_size_ || size > shm_size_ - (address - base)) {
            LOG_ERROR("range of %zu bytes at %#zx is outside the shared memory (%zu bytes at %p)", size,
                      static_cast<size_t>(address), shm_size_, shared_mem_host_);
            return false;
        }
        offset_out = address - base;
        return true;
    }

    MemoryOps ops_;
    void *shared_mem_dev_ = nullptr;
    void *shared_mem_host_ = nullptr;
    size_t shm_size_ = 0;
    int device_id_ = -1;
    int shard_count_ = kMaxCollectorShards;

    // Inline storage for all shards: W31.
    std::array<SpscRing<ReadyBufferInfo, kReadyQueueCapacity>, kShards> ready_;
    std::array<Signal, kShards> signals_;
    std::array<SpscRing<DoneInfo, kPoolQueueCapacity>, kShards> done_;
    std::array<std::array<Lane, kKinds>, kShards> recycled_;
    std::array<std::array<RetiredPool, kKinds>, kShards> retired_;

    mutable std::mutex table_mutex_;
    std::unordered_map<void *, void *> dev_to_host_;
    std::vector<BlockRange> ranges_;
    std::unordered_set<void *> claimed_;
    std::unordered_set<void *> malloc_shadows_;
};

} // namespace profiling_common

#endif // SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_
