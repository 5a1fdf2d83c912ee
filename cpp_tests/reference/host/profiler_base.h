// Threads and algorithms of one profiling pipeline (HP 2.6-2.9, 3, 4, 5), written from the contract in the way the C++
// runtime works today, known weaknesses included.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_
#define SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/memory_barrier.h"
#include "common/platform_config.h"
#include "common/unified_log.h"
#include "host/buffer_pool_manager.h"
#include "host/profiling_copy.h"

namespace profiling_common {

using ProfAllocCallback = std::function<void *(size_t)>;
using ProfRegisterCallback = int (*)(void *dev_ptr, size_t size, int device_id, void **host_ptr_out);
using ProfUnregisterCallback = int (*)(void *dev_ptr, int device_id);
using ProfFreeCallback = std::function<int(void *)>;

// True iff the two-argument on_buffer_collected can be called from outside. To be asked only where Derived is complete.
template <typename Derived, typename ReadyBufferInfo, typename = void>
struct ProfilerDerivedShardAwareCollector : std::false_type {};
template <typename Derived, typename ReadyBufferInfo>
struct ProfilerDerivedShardAwareCollector<Derived, ReadyBufferInfo,
                                          std::void_t<decltype(std::declval<Derived *>()->on_buffer_collected(
                                              std::declval<const ReadyBufferInfo &>(), std::declval<int>()))>>
    : std::true_type {};

// Undoes a collector's init unless commit() is reached.
template <typename Manager> class InitRollbackGuard {
  public:
    using ReleaseFn = std::function<int(void *)>;

    InitRollbackGuard(Manager &manager, ReleaseFn release_fn) : manager_(manager), release_fn_(std::move(release_fn)) {}
    InitRollbackGuard(const InitRollbackGuard &) = delete;
    InitRollbackGuard &operator=(const InitRollbackGuard &) = delete;

    ~InitRollbackGuard() {
        if (committed_) {
            return;
        }
        const auto release = [this](void *ptr) {
            if (release_fn_) {
                release_fn_(ptr);
            }
        };
        for (void *ptr : direct_ptrs_) {
            release(ptr);
        }
        // Needed without a release function too: the shadows are the manager's to free.
        manager_.release_all_owned(release);
    }

    // Remembers an allocation that the manager does not track.
    void add_direct_ptr(void *p) {
        if (p != nullptr) {
            direct_ptrs_.push_back(p);
        }
    }

    void commit() { committed_ = true; }

  private:
    Manager &manager_;
    ReleaseFn release_fn_;
    std::vector<void *> direct_ptrs_;
    bool committed_ = false;
};

// What a ready entry stands for; buffer_size is the byte count pulled from the device.
template <typename Module> struct EntrySite {
    int kind;
    typename Module::FreeQueue *free_queue;
    size_t buffer_size;
    typename Module::ReadyBufferInfo info;
};

// The steps of the pipeline's threads, free of threads themselves. Each instantiates alone (HP 3.3).
template <typename Module> struct ProfilerAlgorithms {
    using DataHeader = typename Module::DataHeader;
    using ReadyEntry = typename Module::ReadyEntry;
    using ReadyBufferInfo = typename Module::ReadyBufferInfo;
    using FreeQueue = typename Module::FreeQueue;

    // Takes the oldest entry of device ready queue q (HP 3.5). `out` is meaningful only on true.
    template <typename Mgr>
    static bool try_pop_aicpu_entry(Mgr &mgr, DataHeader *header, int q, ReadyEntry &out,
                                    bool refresh_indices = false) {
        if (refresh_indices) {
            // The head is the host's own word; reading it back costs a transfer and defeats the rollback below: W10.
            if (mgr.read_range_from_device(&header->queue_heads[q], sizeof(header->queue_heads[q])) != 0 ||
                mgr.read_range_from_device(&header->queue_tails[q], sizeof(header->queue_tails[q])) != 0) {
                LOG_ERROR("%s: cannot refresh the indices of ready queue %d", Module::kSubsystemName, q);
                return false;
            }
            rmb();
        }
        const uint32_t head = header->queue_heads[q];
        const uint32_t tail = header->queue_tails[q];
        if (head >= Module::kReadyQueueSize || tail >= Module::kReadyQueueSize) {
            LOG_ERROR("%s: invalid indices of ready queue %d: head %u, tail %u", Module::kSubsystemName, q, head, tail);
            return false;
        }
        if (head == tail) {
            return false;
        }
        // Fetched only now that the tail proves it published: the index refresh carried no entries.
        rmb();
        if (mgr.read_range_from_device(&header->queues[q][head], sizeof(ReadyEntry)) != 0) {
            LOG_ERROR("%s: cannot refresh entry %u of ready queue %d", Module::kSubsystemName, head, q);
            return false;
        }
        rmb();
        out = header->queues[q][head];
        if (out.buffer_ptr == 0) {
            return false;
        }
        header->queue_heads[q] = (head + 1) % Module::kReadyQueueSize;
        wmb();
        if (mgr.write_range_to_device(&header->queue_heads[q], sizeof(header->queue_heads[q])) != 0) {
            header->queue_heads[q] = head;
            LOG_ERROR("%s: cannot advance the head of ready queue %d", Module::kSubsystemName, q);
            return false;
        }
        return true;
    }

    // Pulls the contents of a popped entry, refills its origin and hands it to the collector (HP 3.6). A buffer that
    // cannot be delivered is forgotten: W3.
    template <typename Mgr> static void process_entry(Mgr &mgr, DataHeader *header, int q, const ReadyEntry &entry) {
        std::optional<EntrySite<Module>> site = Module::resolve_entry(mgr.shared_mem_host(), header, q, entry);
        if (!site) {
            return;
        }
        ReadyBufferInfo &info = site->info;
        info.host_buffer_ptr = mgr.resolve_host_ptr(info.dev_buffer_ptr);
        if (info.host_buffer_ptr == nullptr) {
            return;
        }
        if (mgr.copy_buffer_from_device(info.host_buffer_ptr, info.dev_buffer_ptr, site->buffer_size) != 0) {
            LOG_ERROR("%s: cannot copy buffer %p of queue %d from the device", Module::kSubsystemName,
                      static_cast<void *>(info.dev_buffer_ptr), q);
            return;
        }
        // In a freeze the replenish thread refills. Only the time between check and use keeps the two apart: W2.
        if (header->backpressure.rq_freeze_active == 0 && header->backpressure.fq_freeze_active == 0) {
            top_up_free_queue(mgr, site->kind, site->free_queue, site->buffer_size, q);
        }
        // After the refill: the device gets its replacement even when the collector is slow.
        mgr.wait_push_to_ready(info, q);
    }

    template <typename Mgr> static uint64_t proactive_replenish(Mgr &mgr, DataHeader *header) {
        const uint64_t published = replenish_free_queues(mgr, header);
        return published + replenish_recycled_pools(mgr, header);
    }

    // Fills the free queue of every instance, allocating where the lanes are dry. Returns the buffers published.
    template <typename Mgr> static uint64_t replenish_free_queues(Mgr &mgr, DataHeader *header) {
        refresh_metadata<Module>(mgr, header, 0);
        uint64_t published = 0;
        Module::for_each_instance(mgr.shared_mem_host(), header,
                                  [&mgr, &published](int kind, FreeQueue *free_queue, size_t buffer_size) {
                                      published += top_up_free_queue(mgr, kind, free_queue, buffer_size, kAnyShard);
                                  });
        return published;
    }

    // Allocates for every live lane below its watermark. Returns the buffers placed.
    template <typename Mgr> static uint64_t replenish_recycled_pools(Mgr &mgr, DataHeader *header) {
        std::array<size_t, static_cast<size_t>(Module::kBufferKinds)> sizes{};
        Module::for_each_instance(mgr.shared_mem_host(), header, [&sizes](int kind, FreeQueue *, size_t buffer_size) {
            if (kind >= 0 && kind < Module::kBufferKinds && sizes[static_cast<size_t>(kind)] == 0) {
                sizes[static_cast<size_t>(kind)] = buffer_size;
            }
        });
        uint64_t placed = 0;
        for (int kind = 0; kind < Module::kBufferKinds; ++kind) {
            const size_t buffer_size = sizes[static_cast<size_t>(kind)];
            if (buffer_size == 0) {
                continue;
            }
            for (int shard = 0; shard < mgr.shard_count(); ++shard) {
                placed += replenish_lane(mgr, kind, buffer_size, shard);
            }
        }
        return placed;
    }

    // One tick of both gates (HP 5). `extra_release_ready` is the subsystem's own condition for the release.
    template <typename Mgr>
    static void update_backpressure_freeze(Mgr &mgr, DataHeader *header, bool extra_release_ready = true) {
        auto &bp = header->backpressure;
        open_gate_if_contended(mgr, &bp.rq_freeze_active, &bp.rq_contended, "push");
        open_gate_if_contended(mgr, &bp.fq_freeze_active, &bp.fq_contended, "pop");
        if (bp.rq_freeze_active == 0 && bp.fq_freeze_active == 0) {
            return;
        }
        // Lands in the words that drain threads refresh one by one: W14.
        if (mgr.read_range_from_device(&header->queue_tails[0], sizeof(header->queue_tails)) != 0) {
            return;
        }
        rmb();
        for (int row = 0; row < PLATFORM_MAX_AICPU_THREADS; ++row) {
            if (header->queue_heads[row] != header->queue_tails[row]) {
                return;
            }
        }
        // A pass that publishes nothing proves that the free queues hold all they can get.
        if (replenish_free_queues(mgr, header) != 0 || !extra_release_ready) {
            return;
        }
        close_gate(mgr, &bp.rq_freeze_active);
        close_gate(mgr, &bp.fq_freeze_active);
        LOG_WARN("%s: backpressure freeze released", Module::kSubsystemName);
    }

  private:
    static constexpr int kAnyShard = -1;

    template <typename M, typename Mgr>
    static auto refresh_metadata(Mgr &mgr, DataHeader *header, int)
        -> decltype(static_cast<void>(M::refresh_replenish_metadata(mgr, header))) {
        M::refresh_replenish_metadata(mgr, header);
    }
    template <typename M, typename Mgr> static void refresh_metadata(Mgr &, DataHeader *, long) {}

    // Publishes buffers until the queue is full or the source dry (HP 3.7). Shard -1: any lane, then the allocator.
    template <typename Mgr>
    static uint64_t top_up_free_queue(Mgr &mgr, int kind, FreeQueue *free_queue, size_t buffer_size, int shard) {
        uint64_t published = 0;
        while (!is_full(mgr, kind, free_queue)) {
            void *dev_ptr = take_empty_buffer(mgr, kind, buffer_size, shard);
            if (dev_ptr == nullptr) {
                break;
            }
            if (!publish(mgr, kind, free_queue, dev_ptr)) {
                LOG_ERROR("%s: buffer %p of kind %d could not be returned to its free queue", Module::kSubsystemName,
                          dev_ptr, kind);
                mgr.retire_unqueued_buffer(kind, dev_ptr, shard);
                break;
            }
            ++published;
        }
        return published;
    }

    template <typename Mgr> static bool is_full(Mgr &mgr, int kind, FreeQueue *free_queue) {
        if (mgr.read_range_from_device(&free_queue->head, sizeof(free_queue->head)) != 0) {
            LOG_ERROR("%s: cannot refresh the head of a free queue of kind %d", Module::kSubsystemName, kind);
            return true;
        }
        rmb();
        // Both counters wrap at 2^32; the difference stays right.
        const uint32_t head = free_queue->head;
        const uint32_t tail = free_queue->tail;
        return tail - head >= Module::kSlotCount;
    }

    template <typename Mgr> static void *take_empty_buffer(Mgr &mgr, int kind, size_t buffer_size, int shard) {
        if (shard >= 0) {
            return mgr.pop_recycled(kind, shard);
        }
        void *dev_ptr = mgr.pop_recycled_for_startup(kind);
        if (dev_ptr == nullptr &&
            mgr.allocate_recycled_batch(kind, buffer_size, Module::batch_size(kind), kAnyShard) != 0) {
            dev_ptr = mgr.pop_recycled_for_startup(kind);
        }
        return dev_ptr;
    }

    // Slot before tail, so that the device never sees a counted slot without its pointer.
    template <typename Mgr> static bool publish(Mgr &mgr, int kind, FreeQueue *free_queue, void *dev_ptr) {
        if (is_full(mgr, kind, free_queue)) {
            return false;
        }
        const uint32_t tail = free_queue->tail;
        volatile uint64_t *slot = &free_queue->buffer_ptrs[tail % Module::kSlotCount];
        const uint64_t old_slot = *slot;
        *slot = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(dev_ptr));
        wmb();
        if (mgr.write_range_to_device(slot, sizeof(*slot)) != 0) {
            *slot = old_slot;
            LOG_ERROR("%s: cannot push a free-queue slot of kind %d", Module::kSubsystemName, kind);
            return false;
        }
        free_queue->tail = tail + 1;
        wmb();
        if (mgr.write_range_to_device(&free_queue->tail, sizeof(free_queue->tail)) != 0) {
            // Taken as not landed, although it may have: W34.
            free_queue->tail = tail;
            *slot = old_slot;
            LOG_ERROR("%s: cannot push the free-queue tail of kind %d", Module::kSubsystemName, kind);
            return false;
        }
        return true;
    }

    template <typename Mgr> static uint64_t replenish_lane(Mgr &mgr, int kind, size_t buffer_size, int shard) {
        const int warm_target = profiler_module_recycled_warm_target<Module>(kind, mgr.shard_count());
        if (warm_target <= 0) {
            return 0;
        }
        size_t target = static_cast<size_t>(warm_target);
        if (target > Mgr::kRecycledQueueCapacity) {
            LOG_WARN("%s: watermark %zu of kind %d exceeds the lane, using %zu", Module::kSubsystemName, target, kind,
                     Mgr::kRecycledQueueCapacity);
            target = Mgr::kRecycledQueueCapacity;
        }
        const size_t held = mgr.recycled_count(kind, shard);
        if (held >= target) {
            return 0;
        }
        const size_t wanted = std::max<size_t>(Module::kSlotCount, target - held);
        const int count = static_cast<int>(std::min<size_t>(wanted, std::numeric_limits<int>::max()));
        return mgr.allocate_recycled_batch(kind, buffer_size, count, shard);
    }

    template <typename Mgr>
    static void open_gate_if_contended(Mgr &mgr, volatile uint32_t *freeze, volatile uint32_t *contended,
                                       const char *gate) {
        if (*freeze != 0) {
            return;
        }
        if (mgr.read_range_from_device(contended, sizeof(*contended)) != 0 || *contended == 0) {
            return;
        }
        // Freeze first: a device that waits for "contended or freeze" to clear must never see both at zero (H20).
        *freeze = 1;
        wmb();
        mgr.write_range_to_device(freeze, sizeof(*freeze));
        *contended = 0;
        mgr.write_range_to_device(contended, sizeof(*contended));
        LOG_WARN("%s: backpressure freeze triggered, %s gate", Module::kSubsystemName, gate);
    }

    template <typename Mgr> static void close_gate(Mgr &mgr, volatile uint32_t *freeze) {
        if (*freeze == 0) {
            return;
        }
        *freeze = 0;
        wmb();
        mgr.write_range_to_device(freeze, sizeof(*freeze));
    }
};

// Base of a collector: owns the manager and the threads between start() and stop().
template <typename Derived, typename Module> class ProfilerBase {
  public:
    using Manager = BufferPoolManager<Module>;
    using DataHeader = typename Module::DataHeader;
    using ReadyEntry = typename Module::ReadyEntry;
    using ReadyBufferInfo = typename Module::ReadyBufferInfo;

    ProfilerBase(const ProfilerBase &) = delete;
    ProfilerBase &operator=(const ProfilerBase &) = delete;

    // Shadowed by a subsystem that has a condition of its own for leaving a freeze. Asked every replenish tick.
    bool backpressure_release_ready() const { return true; }

    // Must precede any lane seeding: lane indices fold by the resulting shard count.
    void set_aicpu_thread_num(int aicpu_thread_num) {
        queue_count_ = aicpu_thread_num;
        shard_count_ = std::min(aicpu_thread_num, Manager::kMaxCollectorShards);
        manager_.set_shard_count(shard_count_);
        thread_num_set_ = true;
    }

    // Only stashes; the manager sees the context at start().
    void set_memory_context(const ProfAllocCallback &alloc_cb, ProfRegisterCallback register_cb,
                            const ProfFreeCallback &free_cb,
                            std::function<int(void *, const void *, size_t)> copy_to_device,
                            std::function<int(void *, const void *, size_t)> copy_from_device, void *shm_dev,
                            void *shm_host, size_t shm_size, int device_id) {
        alloc_cb_ = alloc_cb;
        register_cb_ = register_cb;
        free_cb_ = free_cb;
        copy_to_device_ = std::move(copy_to_device);
        copy_from_device_ = std::move(copy_from_device);
        shm_dev_ = shm_dev;
        shm_host_ = shm_host;
        shm_size_ = shm_size;
        device_id_ = device_id;
    }

    // Leaves the manager's context alone: W21.
    void clear_memory_context() {
        set_memory_context(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0, -1);
    }

    // Without shared memory (init failed, or finalised) a silent no-op. Not guarded against a second call: W20.
    void start(const ThreadFactory &thread_factory) {
        if (shm_host_ == nullptr) {
            return;
        }
        if (!thread_num_set_) {
            LOG_WARN("%s: thread number never set, using %d queues and %d shards", Derived::kSubsystemName,
                     queue_count_, shard_count_);
        }
        if (shard_count_ < 1 || shard_count_ > Manager::kMaxCollectorShards || queue_count_ < 1 ||
            queue_count_ > PLATFORM_MAX_AICPU_THREADS) {
            LOG_ERROR("%s: invalid thread counts: %d queues, %d shards", Derived::kSubsystemName, queue_count_,
                      shard_count_);
            return;
        }
        manager_.set_memory_context(build_memory_ops(), shm_dev_, shm_host_, shm_size_, device_id_);
        execution_complete_.store(false, std::memory_order_release);
        PipelineAlgorithms::proactive_replenish(manager_, Module::header_from_shm(manager_.shared_mem_host()));

        pipeline_running_.store(true, std::memory_order_release);
        for (int shard = 0; shard < shard_count_; ++shard) {
            drain_threads_.push_back(spawn_pipeline_thread(thread_factory, [this, shard] { run_drain_thread(shard); }));
        }
        replenish_threads_.push_back(spawn_pipeline_thread(thread_factory, [this] { run_replenish_thread(); }));
        for (int shard = 0; shard < shard_count_; ++shard) {
            collector_threads_.push_back(
                spawn_pipeline_thread(thread_factory, [this, shard] { run_collector_thread(shard); }));
        }
    }

    // Delivers what the device has published, then ends all threads (HP 4.4). An idle collector notices at its next
    // tick: W7.
    void stop() {
        pipeline_running_.store(false, std::memory_order_release);
        // Collectors outlive the drain threads, whose last pass may need room in the host rings.
        join_pipeline_threads(drain_threads_);
        join_pipeline_threads(replenish_threads_);
        execution_complete_.store(true, std::memory_order_release);
        join_pipeline_threads(collector_threads_);
    }

    Manager &manager() { return manager_; }
    const Manager &manager() const { return manager_; }

  protected:
    // Allocates device memory together with a host view of it (HP 4.6).
    void *alloc_paired_buffer(size_t size, void **host_ptr_out) {
        if (host_ptr_out == nullptr) {
            return nullptr;
        }
        *host_ptr_out = nullptr;
        if (!alloc_cb_) {
            return nullptr;
        }
        void *dev_ptr = alloc_cb_(size);
        if (dev_ptr == nullptr) {
            return nullptr;
        }
        void *host_ptr = nullptr;
        int rc = 0;
        if (register_cb_ != nullptr) {
            rc = register_cb_(dev_ptr, size, device_id_, &host_ptr);
        } else if (copy_to_device_) {
            rc = make_zeroed_shadow(manager_, copy_to_device_, dev_ptr, size, &host_ptr);
        } else {
            host_ptr = dev_ptr;
        }
        if (rc != 0 || host_ptr == nullptr) {
            LOG_ERROR("%s: no host view for %zu bytes at %p: rc %d", Derived::kSubsystemName, size, dev_ptr, rc);
            if (free_cb_) {
                free_cb_(dev_ptr);
            }
            return nullptr;
        }
        manager_.register_mapping(dev_ptr, host_ptr);
        *host_ptr_out = host_ptr;
        return dev_ptr;
    }

    // Releases the allocation behind dev_ptr, once, whatever pieces of it are passed. Unknown pointers are ignored:
    // W22.
    void release_one_buffer(void *dev_ptr, ProfUnregisterCallback unregister_cb, const ProfFreeCallback &free_cb) {
        void *base = nullptr;
        if (dev_ptr == nullptr || !manager_.claim_release_pointer(dev_ptr, &base)) {
            return;
        }
        if (unregister_cb != nullptr) {
            const int rc = unregister_cb(base, device_id_);
            if (rc != 0) {
                LOG_ERROR("%s: unregistering %p failed: rc %d", Derived::kSubsystemName, base, rc);
            }
        }
        if (free_cb) {
            free_cb(base);
        }
    }

    Manager manager_;
    std::atomic<bool> execution_complete_{false};
    void *shm_host_ = nullptr;
    void *shm_dev_ = nullptr;
    size_t shm_size_ = 0;
    int device_id_ = -1;
    ProfAllocCallback alloc_cb_;
    ProfRegisterCallback register_cb_ = nullptr;
    ProfFreeCallback free_cb_;
    std::function<int(void *, const void *, size_t)> copy_to_device_;
    std::function<int(void *, const void *, size_t)> copy_from_device_;
    int queue_count_ = PLATFORM_MAX_AICPU_THREADS;
    int shard_count_ = Manager::kMaxCollectorShards;
    bool thread_num_set_ = false;
    std::vector<std::thread> collector_threads_;

  private:
    friend Derived;

    using PipelineAlgorithms = ProfilerAlgorithms<Module>;

    static constexpr int kUnpausedScans = 64;
    static constexpr std::chrono::microseconds kPollPause{10};
    static constexpr std::chrono::milliseconds kCollectorTick{100};

    ProfilerBase() = default;
    ~ProfilerBase() = default;

    static std::thread spawn_pipeline_thread(const ThreadFactory &thread_factory, std::function<void()> body) {
        return thread_factory ? thread_factory(std::move(body)) : std::thread(std::move(body));
    }

    static void join_pipeline_threads(std::vector<std::thread> &threads) {
        for (std::thread &thread : threads) {
            if (thread.joinable()) {
                thread.join();
            }
        }
        threads.clear();
    }

    // A zeroed host copy, its zeros pushed to the device. The manager frees it.
    static int make_zeroed_shadow(Manager &manager,
                                  const std::function<int(void *, const void *, size_t)> &copy_to_device, void *dev_ptr,
                                  size_t size, void **host_ptr_out) {
        void *shadow = std::malloc(size);
        if (shadow == nullptr) {
            return -1;
        }
        std::memset(shadow, 0, size);
        const int rc = copy_to_device(dev_ptr, shadow, size);
        if (rc != 0) {
            std::free(shadow);
            return rc;
        }
        manager.add_malloc_shadow(shadow);
        *host_ptr_out = shadow;
        return 0;
    }

    // Copies of the callbacks: the running pipeline does not follow a later set_memory_context.
    MemoryOps build_memory_ops() {
        MemoryOps ops;
        ops.alloc = alloc_cb_;
        ops.free_ = free_cb_;
        ops.copy_to_device = copy_to_device_;
        ops.copy_from_device = copy_from_device_;
        if (register_cb_ != nullptr) {
            ops.reg = register_cb_;
        } else if (copy_to_device_) {
            ops.reg = [&manager = manager_, copy = copy_to_device_](void *dev_ptr, size_t size, int,
                                                                    void **host_ptr_out) {
                return make_zeroed_shadow(manager, copy, dev_ptr, size, host_ptr_out);
            };
        } else {
            ops.reg = [](void *dev_ptr, size_t, int, void **host_ptr_out) {
                *host_ptr_out = dev_ptr;
                return 0;
            };
        }
        return ops;
    }

    // Empties the device ready queues of one shard. False if all of them were empty.
    bool drain_shard_queues(DataHeader *header, int shard) {
        bool found = false;
        for (int q = shard; q < queue_count_; q += shard_count_) {
            ReadyEntry entry{};
            while (PipelineAlgorithms::try_pop_aicpu_entry(manager_, header, q, entry, true)) {
                PipelineAlgorithms::process_entry(manager_, header, q, entry);
                found = true;
            }
        }
        return found;
    }

    void run_drain_thread(int shard) {
        DataHeader *header = Module::header_from_shm(manager_.shared_mem_host());
        int empty_scans = 0;
        while (pipeline_running_.load(std::memory_order_acquire)) {
            if (drain_shard_queues(header, shard)) {
                empty_scans = 0;
            } else if (empty_scans < kUnpausedScans) {
                ++empty_scans;
            } else {
                std::this_thread::sleep_for(kPollPause);
            }
        }
        // What the device published before stop() was called is still delivered.
        drain_shard_queues(header, shard);
    }

    void run_replenish_thread() {
        DataHeader *header = Module::header_from_shm(manager_.shared_mem_host());
        while (pipeline_running_.load(std::memory_order_acquire)) {
            const size_t moved = manager_.drain_done_into_recycled();
            const uint64_t allocated = PipelineAlgorithms::replenish_recycled_pools(manager_, header);
            const bool release_ready = static_cast<const Derived *>(this)->backpressure_release_ready();
            PipelineAlgorithms::update_backpressure_freeze(manager_, header, release_ready);
            if (moved == 0 && allocated == 0) {
                std::this_thread::sleep_for(kPollPause);
            }
        }
    }

    void run_collector_thread(int shard) {
        using Clock = std::chrono::steady_clock;
        bool has_seen_buffer = false;
        bool idle = false;
        Clock::time_point idle_since{};
        ReadyBufferInfo info{};
        for (;;) {
            if (manager_.wait_pop_ready(info, kCollectorTick, shard)) {
                consume_ready_buffer(info, shard);
                has_seen_buffer = true;
                idle = false;
                continue;
            }
            if (execution_complete_.load(std::memory_order_acquire)) {
                break;
            }
            if (!has_seen_buffer) {
                continue;
            }
            const Clock::time_point now = Clock::now();
            if (!idle) {
                idle = true;
                idle_since = now;
            }
            if (now - idle_since >= std::chrono::seconds(Derived::kIdleTimeoutSec)) {
                LOG_ERROR("%s: collector %d saw no buffer for %d s", Derived::kSubsystemName, shard,
                          static_cast<int>(Derived::kIdleTimeoutSec));
                // One report per burst; the thread lives on and the next buffer re-arms it.
                has_seen_buffer = false;
                idle = false;
            }
        }
        while (manager_.try_pop_ready(info, shard)) {
            consume_ready_buffer(info, shard);
        }
    }

    void consume_ready_buffer(const ReadyBufferInfo &info, int shard) {
        Derived *derived = static_cast<Derived *>(this);
        if constexpr (ProfilerDerivedShardAwareCollector<Derived, ReadyBufferInfo>::value) {
            derived->on_buffer_collected(info, shard);
        } else {
            derived->on_buffer_collected(info);
        }
        int kind = 0;
        if constexpr (Module::kBufferKinds > 1) {
            kind = Module::kind_of(info);
        }
        // A refused buffer is forgotten: W4.
        manager_.notify_copy_done(info.dev_buffer_ptr, kind, shard);
    }

    std::atomic<bool> pipeline_running_{false};
    std::vector<std::thread> drain_threads_;
    std::vector<std::thread> replenish_threads_;
};

} // namespace profiling_common

#endif // SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_
