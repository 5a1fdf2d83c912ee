// Threads and algorithms of a profiling pipeline, with the C++ runtime's own names, on lanepipe.
//
// Templates call down: hooks of the Module, fields of the shared header and CRTP dispatch stand here, everything else
// is the library's. Each algorithm makes views of the words it works on from its arguments and keeps nothing.
//
// Names that start with lanepipe_ are no part of the interface.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_
#define SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/memory_barrier.h"
#include "common/platform_config.h"
#include "common/unified_log.h"
#include "host/buffer_pool_manager.h"
#include "host/profiling_copy.h"

#include <lanepipe/lanepipe.h>

namespace profiling_common {

using ProfAllocCallback = std::function<void *(size_t)>;
using ProfRegisterCallback = int (*)(void *dev_ptr, size_t size, int device_id, void **host_ptr_out);
using ProfUnregisterCallback = int (*)(void *dev_ptr, int device_id);
using ProfFreeCallback = std::function<int(void *)>;

// Whether on_buffer_collected(info, shard) can be called from outside. To be asked where Derived is complete.
template <typename Derived, typename ReadyBufferInfo, typename = void>
struct ProfilerDerivedShardAwareCollector : std::false_type {};
template <typename Derived, typename ReadyBufferInfo>
struct ProfilerDerivedShardAwareCollector<Derived, ReadyBufferInfo,
                                          std::void_t<decltype(std::declval<Derived *>()->on_buffer_collected(
                                              std::declval<const ReadyBufferInfo &>(), std::declval<int>()))>>
    : std::true_type {};

// What a ready entry stands for. buffer_size is the number of bytes to bring from the device.
template <typename Module> struct EntrySite {
    int kind;
    typename Module::FreeQueue *free_queue;
    size_t buffer_size;
    typename Module::ReadyBufferInfo info;
};

namespace lanepipe_detail {

// Whether the pool knows an address, as a mapping or inside a block.
inline bool is_tracked(const lanepipe_pool_t *pool, const void *dev_ptr) {
    lanepipe_resolved_t resolved{};
    return lanepipe_pool_resolve(pool, &dev_ptr, 1, &resolved) == LANEPIPE_OK && resolved.known != 0;
}

// Makes an allocation known to the manager, if it can be told and does not know it.
template <typename Manager>
auto track(Manager &manager, void *dev_ptr, int)
    -> decltype(manager.lanepipe_handle_(), manager.register_mapping(dev_ptr, nullptr), void()) {
    if (!is_tracked(manager.lanepipe_handle_(), dev_ptr)) {
        manager.register_mapping(dev_ptr, nullptr);
    }
}
template <typename Manager>
auto track(Manager &manager, void *dev_ptr, long) -> decltype(manager.register_mapping(dev_ptr, nullptr), void()) {
    manager.register_mapping(dev_ptr, nullptr);
}
template <typename Manager> void track(Manager &, void *, ...) {}

// The number of entries of a device ready queue, which not every algorithm may ask for; else no index is out of range.
template <typename Module, typename = void>
struct ReadyQueueSize : std::integral_constant<uint32_t, std::numeric_limits<uint32_t>::max()> {};
template <typename Module>
struct ReadyQueueSize<Module, std::void_t<decltype(Module::kReadyQueueSize)>>
    : std::integral_constant<uint32_t, static_cast<uint32_t>(Module::kReadyQueueSize)> {};

template <typename Module, typename Manager>
auto refresh_metadata(Manager &manager, typename Module::DataHeader *header, int)
    -> decltype(Module::refresh_replenish_metadata(manager, header), void()) {
    Module::refresh_replenish_metadata(manager, header);
}
template <typename Module, typename Manager> void refresh_metadata(Manager &, typename Module::DataHeader *, long) {}

template <typename Module> lanepipe_free_queue_t free_queue_view(typename Module::FreeQueue *queue) {
    lanepipe_free_queue_t view{};
    view.head = const_cast<uint32_t *>(&queue->head);
    view.tail = const_cast<uint32_t *>(&queue->tail);
    view.slots = const_cast<uint64_t *>(&queue->buffer_ptrs[0]);
    view.slot_count = static_cast<uint32_t>(Module::kSlotCount);
    return view;
}

// `entry` only tells where an entry has its address.
template <typename Module>
lanepipe_ready_queue_t ready_queue_view(typename Module::DataHeader *header, int q,
                                        const typename Module::ReadyEntry &entry) {
    using Entry = typename Module::ReadyEntry;
    static_assert(std::is_trivially_copyable<Entry>::value, "entries are copied as bytes");
    static_assert(sizeof(Entry) <= 256 && sizeof(Entry) % 8 == 0, "entries are read in words of 64 bits");
    static_assert(sizeof(entry.buffer_ptr) == 8, "an entry has a 64-bit address");
    const auto *address = reinterpret_cast<const volatile char *>(&entry.buffer_ptr);
    lanepipe_ready_queue_t view{};
    view.entries = const_cast<void *>(static_cast<const volatile void *>(&header->queues[q][0]));
    view.head = const_cast<uint32_t *>(&header->queue_heads[q]);
    view.tail = const_cast<uint32_t *>(&header->queue_tails[q]);
    view.capacity = static_cast<uint32_t>(Module::kReadyQueueSize);
    view.entry_size = static_cast<uint32_t>(sizeof(Entry));
    view.pointer_offset = static_cast<uint32_t>(address - reinterpret_cast<const volatile char *>(&entry));
    return view;
}

template <typename Module> lanepipe_gates_t gates_view(typename Module::DataHeader *header) {
    auto &words = header->backpressure;
    lanepipe_gates_t view{};
    view.rq_freeze = const_cast<uint32_t *>(&words.rq_freeze_active);
    view.rq_contended = const_cast<uint32_t *>(&words.rq_contended);
    view.fq_freeze = const_cast<uint32_t *>(&words.fq_freeze_active);
    view.fq_contended = const_cast<uint32_t *>(&words.fq_contended);
    return view;
}

// Shard indices below 0 count as 0; others are folded by the library.
inline uint32_t shard_of(int index) { return index < 0 ? 0u : static_cast<uint32_t>(index); }

// A thread of a profiler. Its body may outlive the attempt to start it.
class Worker {
  public:
    Worker(uint32_t its_role, uint32_t its_shard, lanepipe_thread_entry_fn_t entry, void *argument)
        : role(its_role), shard(its_shard), entry_(entry), argument_(argument) {}

    // The body.
    void run() {
        if (claim(kRuns)) {
            entry_(argument_);
            state_.store(kDone, std::memory_order_release);
        }
    }

    // Whether the body will never run: to be asked if the factory failed.
    bool give_up() { return claim(kGivenUp) || claim(kGivenUp, kLeft); }
    // The last copy of the body is gone.
    void leave() { claim(kLeft); }
    // Whether the body is gone and never ran; true once.
    bool take_over() { return claim(kNew, kLeft); }
    bool is_done() const { return state_.load(std::memory_order_acquire) == kDone; }

    const uint32_t role;
    const uint32_t shard;
    std::thread thread;

  private:
    enum State : int { kNew, kRuns, kDone, kGivenUp, kLeft };

    bool claim(State next, State from = kNew) {
        int expected = from;
        return state_.compare_exchange_strong(expected, next, std::memory_order_acq_rel);
    }

    const lanepipe_thread_entry_fn_t entry_;
    void *const argument_;
    std::atomic<int> state_{kNew};
};

// What a thread factory is given. A factory may drop it, or end its thread, without having called it.
class Body {
  public:
    explicit Body(std::shared_ptr<Worker> worker) : hold_(std::make_shared<Hold>(std::move(worker))) {}
    void operator()() const { hold_->worker->run(); }

  private:
    struct Hold {
        explicit Hold(std::shared_ptr<Worker> its_worker) : worker(std::move(its_worker)) {}
        Hold(const Hold &) = delete;
        Hold &operator=(const Hold &) = delete;
        ~Hold() { worker->leave(); }
        const std::shared_ptr<Worker> worker;
    };
    std::shared_ptr<Hold> hold_;
};

} // namespace lanepipe_detail

// Undoes a collector's init unless commit() is reached.
template <typename Manager> class InitRollbackGuard {
  public:
    using ReleaseFn = std::function<int(void *)>;

    InitRollbackGuard(Manager &manager, ReleaseFn release_fn)
        : lanepipe_manager_(manager), lanepipe_release_(std::move(release_fn)) {}
    // With a function that undoes the registration of an allocation; it is called before the release.
    InitRollbackGuard(Manager &manager, ReleaseFn release_fn, ReleaseFn unregister_fn)
        : lanepipe_manager_(manager), lanepipe_release_(std::move(release_fn)),
          lanepipe_unregister_(std::move(unregister_fn)) {}
    InitRollbackGuard(const InitRollbackGuard &) = delete;
    InitRollbackGuard &operator=(const InitRollbackGuard &) = delete;

    ~InitRollbackGuard() {
        if (lanepipe_committed_) {
            return;
        }
        const ReleaseFn release = [this](void *dev_ptr) {
            if (lanepipe_unregister_) {
                lanepipe_unregister_(dev_ptr);
            }
            return lanepipe_release_ ? lanepipe_release_(dev_ptr) : 0;
        };
        for (void *dev_ptr : lanepipe_direct_) {
            release(dev_ptr);
        }
        // Without a release function too: the manager frees its shadows.
        lanepipe_manager_.release_all_owned(release);
    }

    // Remembers an allocation that the manager does not track.
    void add_direct_ptr(void *p) {
        if (p != nullptr) {
            lanepipe_direct_.push_back(p);
        }
    }

    // From here on the allocations are the manager's to release.
    void commit() {
        if (!lanepipe_committed_) {
            lanepipe_committed_ = true;
            for (void *dev_ptr : lanepipe_direct_) {
                lanepipe_detail::track(lanepipe_manager_, dev_ptr, 0);
            }
        }
    }

  private:
    Manager &lanepipe_manager_;
    ReleaseFn lanepipe_release_;
    ReleaseFn lanepipe_unregister_;
    std::vector<void *> lanepipe_direct_;
    bool lanepipe_committed_ = false;
};

// The steps of the pipeline's threads, for whoever drives a pipeline by hand. Each can be instantiated alone.
template <typename Module> struct ProfilerAlgorithms {
    using DataHeader = typename Module::DataHeader;
    using ReadyEntry = typename Module::ReadyEntry;
    using ReadyBufferInfo = typename Module::ReadyBufferInfo;
    using FreeQueue = typename Module::FreeQueue;

    // Takes the oldest entry of device ready queue q; `out` is meaningful on true only.
    template <typename Mgr>
    static bool try_pop_aicpu_entry(Mgr &mgr, DataHeader *header, int q, ReadyEntry &out,
                                    bool refresh_indices = false) {
        if (q < 0 || q >= PLATFORM_MAX_AICPU_THREADS) {
            LOG_ERROR("%s: there is no ready queue %d", Module::kSubsystemName, q);
            return false;
        }
        const lanepipe_ready_queue_t view = lanepipe_detail::ready_queue_view<Module>(header, q, out);
        const uint32_t flags = refresh_indices ? LANEPIPE_STEP_REFRESH : 0;
        return lanepipe_pool_take_entry(mgr.lanepipe_handle_(), &view, static_cast<uint32_t>(q), flags, &out) ==
               LANEPIPE_OK;
    }

    // Brings the contents of an entry that was taken, gives its instance an empty buffer, and hands it to the
    // collector. Blocks while the ready ring is full. What cannot be delivered is parked.
    template <typename Mgr> static void process_entry(Mgr &mgr, DataHeader *header, int q, const ReadyEntry &entry) {
        std::optional<EntrySite<Module>> site = Module::resolve_entry(mgr.shared_mem_host(), header, q, entry);
        if (site && !is_kind(site->kind)) {
            LOG_ERROR("%s: entry of ready queue %d has impossible kind %d", Module::kSubsystemName, q, site->kind);
            site.reset();
        }
        if (!site) {
            quarantine(mgr, q, 0, reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)));
            return;
        }
        ReadyBufferInfo &info = site->info;
        info.host_buffer_ptr = mgr.resolve_host_ptr(info.dev_buffer_ptr);
        bool is_deliverable = false;
        if (info.host_buffer_ptr == nullptr) {
            quarantine(mgr, q, site->kind, info.dev_buffer_ptr);
        } else if (mgr.copy_buffer_from_device(info.host_buffer_ptr, info.dev_buffer_ptr, site->buffer_size) != 0) {
            LOG_ERROR("%s: contents of buffer %p, kind %d, ready queue %d, cannot be copied", Module::kSubsystemName,
                      static_cast<void *>(info.dev_buffer_ptr), site->kind, q);
            // The buffer is sound, and comes back into circulation.
            mgr.retire_unqueued_buffer(site->kind, info.dev_buffer_ptr, q);
        } else {
            is_deliverable = true;
        }
        // Before the hand-over, which may block: the device gets its buffer even when the collector is slow.
        if (site->free_queue != nullptr) {
            top_up(mgr, header, q, site->kind, site->free_queue);
        }
        if (is_deliverable) {
            mgr.wait_push_to_ready(info, q);
        }
    }

    // Fills free queues, then lanes. Returns the buffers published and placed.
    template <typename Mgr> static uint64_t proactive_replenish(Mgr &mgr, DataHeader *header) {
        const uint64_t published = replenish_free_queues(mgr, header);
        return published + replenish_recycled_pools(mgr, header);
    }

    // Fills the free queue of every instance, from lanes, parked buffers and new blocks. Returns the buffers published.
    template <typename Mgr> static uint64_t replenish_free_queues(Mgr &mgr, DataHeader *header) {
        lanepipe_detail::refresh_metadata<Module>(mgr, header, 0);
        uint64_t published = 0;
        Module::for_each_instance(mgr.shared_mem_host(), header,
                                  [&mgr, &published](int kind, FreeQueue *free_queue, size_t buffer_size) {
                                      published += refill(mgr, kind, free_queue, buffer_size);
                                  });
        return published;
    }

    // Allocates one block for every live lane below its watermark. Returns the buffers placed.
    template <typename Mgr> static uint64_t replenish_recycled_pools(Mgr &mgr, DataHeader *header) {
        std::array<size_t, static_cast<size_t>(Module::kBufferKinds)> buffer_sizes{};
        Module::for_each_instance(mgr.shared_mem_host(), header, [&buffer_sizes](int kind, FreeQueue *, size_t size) {
            if (is_kind(kind) && buffer_sizes[static_cast<size_t>(kind)] == 0) {
                buffer_sizes[static_cast<size_t>(kind)] = size;
            }
        });
        uint64_t placed = 0;
        for (int kind = 0; kind < Module::kBufferKinds; ++kind) {
            const size_t buffer_size = buffer_sizes[static_cast<size_t>(kind)];
            const size_t target = buffer_size == 0 ? 0 : watermark(mgr, kind);
            for (int shard = 0; target != 0 && shard < mgr.shard_count(); ++shard) {
                const size_t present = mgr.recycled_count(kind, shard);
                if (present < target) {
                    const size_t wanted = std::max<size_t>(Module::kSlotCount, target - present);
                    const size_t most = static_cast<size_t>(std::numeric_limits<int>::max());
                    const int count = static_cast<int>(std::min(wanted, most));
                    placed += mgr.allocate_recycled_batch(kind, buffer_size, count, shard);
                }
            }
        }
        return placed;
    }

    // One tick of both gates. `extra_release_ready` says whether the subsystem agrees that they open again.
    template <typename Mgr>
    static void update_backpressure_freeze(Mgr &mgr, DataHeader *header, bool extra_release_ready = true) {
        const lanepipe_gates_t gates = lanepipe_detail::gates_view<Module>(header);
        const lanepipe_status_t begun = lanepipe_pool_begin_freeze_tick(
            mgr.lanepipe_handle_(), &gates, const_cast<uint32_t *>(&header->queue_heads[0]),
            const_cast<uint32_t *>(&header->queue_tails[0]), PLATFORM_MAX_AICPU_THREADS,
            std::max<uint32_t>(1, lanepipe_detail::ReadyQueueSize<Module>::value));
        if (begun == LANEPIPE_OK) {
            // Ends the tick on the way of an exception, too; the gates stay shut then.
            struct End {
                ~End() { lanepipe_pool_end_freeze_tick(pool, &gates, published, release_ready); }
                lanepipe_pool_t *const pool;
                const lanepipe_gates_t &gates;
                const uint32_t release_ready;
                uint64_t published;
            } end = {mgr.lanepipe_handle_(), gates, extra_release_ready ? 1u : 0u, 1};
            end.published = replenish_free_queues(mgr, header);
        }
    }

  private:
    static constexpr bool is_kind(int kind) { return kind >= 0 && kind < Module::kBufferKinds; }

    // Parks a buffer whose address is not to be trusted: until teardown, and only if there is such a buffer.
    template <typename Mgr> static void quarantine(Mgr &mgr, int q, int kind, void *dev_ptr) {
        if (!lanepipe_detail::is_tracked(mgr.lanepipe_handle_(), dev_ptr) || dev_ptr == nullptr) {
            return;
        }
        lanepipe_buffer_t buffer{};
        buffer.dev = dev_ptr;
        buffer.kind = static_cast<uint32_t>(kind);
        if (lanepipe_pool_quarantine(mgr.lanepipe_handle_(), lanepipe_detail::shard_of(q), &buffer) != LANEPIPE_OK) {
            LOG_ERROR("%s: buffer %p of ready queue %d cannot be parked", Module::kSubsystemName, dev_ptr, q);
        }
    }

    // A failure is reported by the library; what was not published is parked or stays in its lane.
    template <typename Mgr> static void top_up(Mgr &mgr, DataHeader *header, int q, int kind, FreeQueue *free_queue) {
        const lanepipe_free_queue_t view = lanepipe_detail::free_queue_view<Module>(free_queue);
        lanepipe_gates_t gates{};
        gates.rq_freeze = const_cast<uint32_t *>(&header->backpressure.rq_freeze_active);
        gates.fq_freeze = const_cast<uint32_t *>(&header->backpressure.fq_freeze_active);
        size_t published = 0;
        lanepipe_pool_top_up(mgr.lanepipe_handle_(), &view, &gates, static_cast<uint32_t>(kind),
                             lanepipe_detail::shard_of(q), &published);
    }

    template <typename Mgr> static uint64_t refill(Mgr &mgr, int kind, FreeQueue *free_queue, size_t buffer_size) {
        if (!is_kind(kind) || free_queue == nullptr) {
            LOG_ERROR("%s: an instance has impossible kind %d or no free queue", Module::kSubsystemName, kind);
            return 0;
        }
        const lanepipe_free_queue_t view = lanepipe_detail::free_queue_view<Module>(free_queue);
        const int batch_size = Module::batch_size(kind);
        size_t published = 0;
        lanepipe_pool_refill(mgr.lanepipe_handle_(), &view, static_cast<uint32_t>(kind), buffer_size,
                             batch_size < 0 ? 0 : static_cast<uint32_t>(batch_size), &published);
        return published;
    }

    // Buffers below which a lane of the kind is refilled.
    template <typename Mgr> static size_t watermark(Mgr &mgr, int kind) {
        const int target = profiler_module_recycled_warm_target<Module>(kind, mgr.shard_count());
        if (target <= 0) {
            return 0;
        }
        if (static_cast<size_t>(target) > Mgr::kRecycledQueueCapacity) {
            const size_t capacity = Mgr::kRecycledQueueCapacity;
            LOG_WARN("%s: watermark %d of kind %d is above the lane's capacity %zu", Module::kSubsystemName, target,
                     kind, capacity);
            return capacity;
        }
        return static_cast<size_t>(target);
    }
};

// A collector's pipeline: the memory it works on, and its threads from start() to stop().
template <typename Derived, typename Module> class ProfilerBase {
  public:
    using Manager = BufferPoolManager<Module>;
    using DataHeader = typename Module::DataHeader;
    using ReadyEntry = typename Module::ReadyEntry;
    using ReadyBufferInfo = typename Module::ReadyBufferInfo;

    ProfilerBase(const ProfilerBase &) = delete;
    ProfilerBase &operator=(const ProfilerBase &) = delete;

    // Whether a freeze may end as far as the subsystem is concerned; a collector shadows it with its own.
    bool backpressure_release_ready() const { return true; }

    void set_aicpu_thread_num(int aicpu_thread_num) {
        queue_count_ = aicpu_thread_num;
        shard_count_ = std::min(aicpu_thread_num, static_cast<int>(Manager::kMaxCollectorShards));
        manager_.set_shard_count(shard_count_);
        thread_num_set_ = true;
    }

    // Takes effect with the next start().
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
        manager_.lanepipe_watch_release_(shm_dev_, false);
    }

    // The manager forgets its context too: nobody is to copy from memory that is freed.
    void clear_memory_context() {
        set_memory_context(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0, -1);
        manager_.set_memory_context(MemoryOps{}, nullptr, nullptr, 0, -1);
    }

    // Fills free queues and lanes, then starts 2n + 1 threads through the factory. Does nothing without shared memory.
    void start(const ThreadFactory &thread_factory) {
        if (shm_host_ == nullptr) {
            return;
        }
        if (lanepipe_is_running_) {
            LOG_ERROR("%s: start() of a pipeline that runs", Derived::kSubsystemName);
            return;
        }
        if (!thread_num_set_) {
            LOG_WARN("%s: the thread number was never set; %d queues, %d shards", Derived::kSubsystemName, queue_count_,
                     shard_count_);
        }
        if (shard_count_ < 1 || shard_count_ > Manager::kMaxCollectorShards || queue_count_ < 1 ||
            queue_count_ > PLATFORM_MAX_AICPU_THREADS) {
            LOG_ERROR("%s: cannot start with %d queues and %d shards", Derived::kSubsystemName, queue_count_,
                      shard_count_);
            return;
        }
        if (manager_.shard_count() != shard_count_) {
            manager_.set_shard_count(shard_count_);
        }
        manager_.set_memory_context(lanepipe_memory_ops(), shm_dev_, shm_host_, shm_size_, device_id_);
        execution_complete_.store(false, std::memory_order_release);
        DataHeader *header = Module::header_from_shm(manager_.shared_mem_host());
        ProfilerAlgorithms<Module>::proactive_replenish(manager_, header);
        if (lanepipe_create(header)) {
            lanepipe_run(thread_factory);
        }
    }

    // Delivers what the device has published, then ends all threads. Waits for a collector that hangs, and says so.
    void stop() {
        if (lanepipe_is_running_) {
            for (;;) {
                lanepipe_run_left();
                const lanepipe_status_t status = lanepipe_profiler_stop(lanepipe_profiler_, kLanepipePatienceNs);
                if (status == LANEPIPE_TIMED_OUT) {
                    lanepipe_report_stall();
                } else if (status == LANEPIPE_BUSY) {
                    // Somebody else is stopping it.
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                } else {
                    break;
                }
            }
            lanepipe_is_running_ = false;
            lanepipe_workers_.clear();
        }
        execution_complete_.store(true, std::memory_order_release);
    }

    Manager &manager() { return manager_; }
    const Manager &manager() const { return manager_; }

    // The profiler of the last start(), for lanepipe_profiler_get_queue_stats() and the like; null before the first.
    lanepipe_profiler_t *lanepipe_profiler_handle_() const { return lanepipe_profiler_; }

  protected:
    // Allocates device memory and finds its host view: registered, else a zeroed shadow, else the same address.
    void *alloc_paired_buffer(size_t size, void **host_ptr_out) {
        if (host_ptr_out == nullptr) {
            return nullptr;
        }
        *host_ptr_out = nullptr;
        void *dev_ptr = alloc_cb_ ? alloc_cb_(size) : nullptr;
        if (dev_ptr == nullptr) {
            return nullptr;
        }
        void *host_ptr = nullptr;
        int rc = 0;
        if (register_cb_ != nullptr) {
            rc = register_cb_(dev_ptr, size, device_id_, &host_ptr);
        } else if (copy_to_device_) {
            rc = lanepipe_make_shadow(manager_, copy_to_device_, dev_ptr, size, &host_ptr);
        } else {
            host_ptr = dev_ptr;
        }
        if (rc != 0 || host_ptr == nullptr) {
            LOG_ERROR("%s: %zu bytes at %p have no host view: %d", Derived::kSubsystemName, size, dev_ptr, rc);
            if (free_cb_) {
                free_cb_(dev_ptr);
            }
            return nullptr;
        }
        manager_.register_mapping(dev_ptr, host_ptr);
        *host_ptr_out = host_ptr;
        return dev_ptr;
    }

    // Releases the allocation that dev_ptr belongs to, once, whatever parts of it are passed. The shared region counts
    // as known even if the manager was never told of it.
    void release_one_buffer(void *dev_ptr, ProfUnregisterCallback unregister_cb, const ProfFreeCallback &free_cb) {
        if (dev_ptr == nullptr) {
            return;
        }
        void *base = nullptr;
        if (!manager_.claim_release_pointer(dev_ptr, &base)) {
            if (base != nullptr) {
                return;
            }
            if (dev_ptr != shm_dev_ || manager_.lanepipe_is_watched_released_()) {
                LOG_DEBUG("%s: %p is not the manager's to release", Derived::kSubsystemName, dev_ptr);
                return;
            }
            base = dev_ptr;
            manager_.lanepipe_watch_release_(base, true);
        }
        if (unregister_cb != nullptr) {
            const int rc = unregister_cb(base, device_id_);
            if (rc != 0) {
                LOG_ERROR("%s: %p cannot be unregistered: %d", Derived::kSubsystemName, base, rc);
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

  private:
    friend Derived;

    using LanepipeCopy = std::function<int(void *, const void *, size_t)>;

    // How long stop() waits before it reports what it waits for.
    static constexpr uint64_t kLanepipePatienceNs = 3'000'000'000;

    static_assert(PLATFORM_MAX_AICPU_THREADS <= LANEPIPE_MAX_QUEUES, "there are too many control threads");

    ProfilerBase() = default;

    ~ProfilerBase() {
        if (lanepipe_is_running_) {
            // The collector that the threads call is gone.
            LOG_ERROR("%s: destroyed while its threads run; its destructor has to call stop()",
                      Derived::kSubsystemName);
            std::terminate();
        }
        lanepipe_profiler_destroy(lanepipe_profiler_);
    }

    // A zeroed host copy whose zeros are on the device; the manager frees it.
    static int lanepipe_make_shadow(Manager &manager, const LanepipeCopy &copy_to_device, void *dev_ptr, size_t size,
                                    void **host_ptr_out) {
        void *shadow = std::calloc(1, std::max<size_t>(size, 1));
        if (shadow == nullptr) {
            return -1;
        }
        const int rc = copy_to_device(dev_ptr, shadow, size);
        if (rc != 0) {
            std::free(shadow);
            return rc;
        }
        manager.add_malloc_shadow(shadow);
        *host_ptr_out = shadow;
        return 0;
    }

    // Copies of the callbacks: what runs does not follow a later set_memory_context().
    MemoryOps lanepipe_memory_ops() {
        MemoryOps ops;
        ops.alloc = alloc_cb_;
        ops.free_ = free_cb_;
        ops.copy_to_device = copy_to_device_;
        ops.copy_from_device = copy_from_device_;
        if (register_cb_ != nullptr) {
            ops.reg = register_cb_;
        } else if (copy_to_device_) {
            ops.reg = [manager = &manager_, copy = copy_to_device_](void *dev_ptr, size_t size, int,
                                                                    void **host_ptr_out) {
                return lanepipe_make_shadow(*manager, copy, dev_ptr, size, host_ptr_out);
            };
        } else {
            ops.reg = [](void *dev_ptr, size_t, int, void **host_ptr_out) {
                *host_ptr_out = dev_ptr;
                return 0;
            };
        }
        return ops;
    }

    // Makes the profiler for one run, in place of the last one's.
    bool lanepipe_create(DataHeader *header) {
        lanepipe_profiler_destroy(lanepipe_profiler_);
        lanepipe_profiler_ = nullptr;
        lanepipe_header_ = header;
        lanepipe_is_collecting_ = std::make_unique<std::atomic<bool>[]>(static_cast<size_t>(shard_count_));
        std::array<lanepipe_ready_queue_t, PLATFORM_MAX_AICPU_THREADS> queues{};
        const ReadyEntry entry{};
        for (int q = 0; q < queue_count_; ++q) {
            queues[static_cast<size_t>(q)] = lanepipe_detail::ready_queue_view<Module>(header, q, entry);
        }
        std::array<lanepipe_kind_t, static_cast<size_t>(Module::kBufferKinds)> kinds{};
        for (int kind = 0; kind < Module::kBufferKinds; ++kind) {
            const int target = profiler_module_recycled_warm_target<Module>(kind, shard_count_);
            kinds[static_cast<size_t>(kind)].batch_size = lanepipe_count(Module::batch_size(kind));
            kinds[static_cast<size_t>(kind)].warm_target = lanepipe_count(target);
        }
        constexpr int idle_seconds = Derived::kIdleTimeoutSec;
        lanepipe_profiler_config_t config{};
        config.struct_size = static_cast<uint32_t>(sizeof(config));
        config.queue_count = static_cast<uint32_t>(queue_count_);
        config.kind_count = static_cast<uint32_t>(Module::kBufferKinds);
        config.flags = LANEPIPE_PROFILER_MERGED_SENTINEL | LANEPIPE_PROFILER_PREFILLED | LANEPIPE_PROFILER_EAGER;
        config.max_instances = LANEPIPE_MAX_INSTANCES;
        config.copy_tries = 1;
        config.backpressure = LANEPIPE_BACKPRESSURE_COMMON;
        config.queues = queues.data();
        config.kinds = kinds.data();
        config.idle_ns = 100'000'000 + uint64_t{1'000'000'000} * lanepipe_count(idle_seconds);
        config.gates = lanepipe_detail::gates_view<Module>(header);
        config.context = this;
        config.resolve = &lanepipe_resolve;
        config.collect = &lanepipe_collect;
        config.kind_of = &lanepipe_kind_of;
        config.release_ready = &lanepipe_release_ready;
        config.refresh = &lanepipe_refresh;
        config.idle = &lanepipe_idle;
        config.thread_context = this;
        config.thread_create = &lanepipe_thread_create;
        config.thread_join = &lanepipe_thread_join;
        if (lanepipe_profiler_create(manager_.lanepipe_handle_(), &config, nullptr, &lanepipe_profiler_) !=
            LANEPIPE_OK) {
            LOG_ERROR("%s: cannot start: the pipeline cannot be set up", Derived::kSubsystemName);
            return false;
        }
        lanepipe_add_instances();
        return true;
    }

    static uint32_t lanepipe_count(int value) { return value < 0 ? 0u : static_cast<uint32_t>(value); }

    void lanepipe_run(const ThreadFactory &thread_factory) {
        lanepipe_factory_ = &thread_factory;
        lanepipe_workers_.reserve(2 * static_cast<size_t>(shard_count_) + 1);
        const lanepipe_status_t status = lanepipe_profiler_start(lanepipe_profiler_);
        lanepipe_factory_ = nullptr;
        lanepipe_is_running_ = status == LANEPIPE_OK;
        if (!lanepipe_is_running_) {
            lanepipe_workers_.clear();
        }
        if (lanepipe_failure_ != nullptr) {
            // The factory threw when a thread ran already.
            if (lanepipe_is_running_) {
                stop();
            }
            const std::exception_ptr failure = std::exchange(lanepipe_failure_, nullptr);
#if defined(__cpp_exceptions)
            std::rethrow_exception(failure);
#endif
        }
        if (!lanepipe_is_running_) {
            LOG_ERROR("%s: cannot start: %s", Derived::kSubsystemName, lanepipe_status_name(status));
        }
    }

    // Index of an instance, known or new; LANEPIPE_REJECT if there is none.
    uint32_t lanepipe_instance(int kind, typename Module::FreeQueue *free_queue, size_t buffer_size, uint32_t queue) {
        lanepipe_instance_t instance{};
        instance.free_queue = lanepipe_detail::free_queue_view<Module>(free_queue);
        instance.kind = static_cast<uint32_t>(kind);
        instance.queue = queue;
        uint32_t index = LANEPIPE_REJECT;
        lanepipe_profiler_add_instance(lanepipe_profiler_, &instance, buffer_size, &index);
        return index;
    }

    static constexpr bool lanepipe_is_kind(int kind) { return kind >= 0 && kind < Module::kBufferKinds; }

    void lanepipe_add_instances() {
        Module::for_each_instance(manager_.shared_mem_host(), lanepipe_header_,
                                  [this](int kind, typename Module::FreeQueue *free_queue, size_t buffer_size) {
                                      if (lanepipe_is_kind(kind) && free_queue != nullptr) {
                                          lanepipe_instance(kind, free_queue, buffer_size, LANEPIPE_ANY_QUEUE);
                                      }
                                  });
    }

    // The functions below are called from the library, where nothing can be thrown through.

    static void lanepipe_resolve(void *self, uint32_t queue, const lanepipe_entry_t *entries, size_t count,
                                 lanepipe_site_t *sites) noexcept {
        auto &base = *static_cast<ProfilerBase *>(self);
        for (size_t i = 0; i < count; ++i) {
            base.lanepipe_resolve_one(queue, entries[i], sites[i]);
        }
    }

    void lanepipe_resolve_one(uint32_t queue, const lanepipe_entry_t &found, lanepipe_site_t &answer) {
        ReadyEntry entry{};
        std::memcpy(static_cast<void *>(&entry), found.bytes, sizeof(entry));
        std::optional<EntrySite<Module>> site =
            Module::resolve_entry(manager_.shared_mem_host(), lanepipe_header_, static_cast<int>(queue), entry);
        if (!site || !lanepipe_is_kind(site->kind)) {
            return;
        }
        answer.dev = site->info.dev_buffer_ptr;
        site->info.host_buffer_ptr =
            answer.dev == found.dev ? found.host : manager_.resolve_host_ptr(site->info.dev_buffer_ptr);
        // What is pulled of a buffer says nothing about its size: the enumeration tells.
        answer.instance = site->free_queue == nullptr ? LANEPIPE_NO_FREE_QUEUE
                                                      : lanepipe_instance(site->kind, site->free_queue, 0, queue);
        answer.kind = static_cast<uint32_t>(site->kind);
        answer.content_size = site->buffer_size;
        std::memcpy(answer.payload, static_cast<const void *>(&site->info), sizeof(site->info));
    }

    static ReadyBufferInfo lanepipe_info(const void *payload) {
        ReadyBufferInfo info{};
        std::memcpy(static_cast<void *>(&info), payload, sizeof(info));
        return info;
    }

    // One buffer per call: it goes back into circulation as soon as its own call has returned.
    static void lanepipe_collect(void *self, uint32_t shard, const lanepipe_buffer_t *, const void *payloads,
                                 size_t) noexcept {
        auto &base = *static_cast<ProfilerBase *>(self);
        auto *derived = static_cast<Derived *>(&base);
        const ReadyBufferInfo info = lanepipe_info(payloads);
        std::atomic<bool> &is_collecting = base.lanepipe_is_collecting_[shard];
        is_collecting.store(true, std::memory_order_relaxed);
        if constexpr (ProfilerDerivedShardAwareCollector<Derived, ReadyBufferInfo>::value) {
            derived->on_buffer_collected(info, static_cast<int>(shard));
        } else {
            derived->on_buffer_collected(info);
        }
        is_collecting.store(false, std::memory_order_relaxed);
    }

    static uint32_t lanepipe_kind_of(void *, uint32_t, const lanepipe_buffer_t *, const void *payload) noexcept {
        if constexpr (Module::kBufferKinds > 1) {
            const int kind = Module::kind_of(lanepipe_info(payload));
            if (!lanepipe_is_kind(kind)) {
                LOG_ERROR("%s: a collected buffer has impossible kind %d", Derived::kSubsystemName, kind);
            }
            return static_cast<uint32_t>(kind);
        } else {
            static_cast<void>(payload);
            return 0;
        }
    }

    // In every round of the replenish thread.
    static uint32_t lanepipe_release_ready(void *self) noexcept {
        auto &base = *static_cast<ProfilerBase *>(self);
        base.lanepipe_follow_module();
        return static_cast<const Derived &>(base).backpressure_release_ready() ? 1 : 0;
    }

    // Instances and watermarks may come and change while the threads run.
    void lanepipe_follow_module() {
        const auto now = std::chrono::steady_clock::now();
        if (now < lanepipe_next_look_) {
            return;
        }
        lanepipe_next_look_ = now + std::chrono::milliseconds(10);
        lanepipe_add_instances();
        manager_.lanepipe_set_warm_targets_();
    }

    static void lanepipe_refresh(void *self) noexcept {
        auto &base = *static_cast<ProfilerBase *>(self);
        lanepipe_detail::refresh_metadata<Module>(base.manager_, base.lanepipe_header_, 0);
        base.lanepipe_add_instances();
    }

    static void lanepipe_idle(void *, uint32_t shard) noexcept {
        constexpr int idle_seconds = Derived::kIdleTimeoutSec;
        LOG_ERROR("%s: collector %u has got no buffer for %d s", Derived::kSubsystemName, shard, idle_seconds);
    }

    static int32_t lanepipe_thread_create(void *self, uint32_t role, uint32_t shard, lanepipe_thread_entry_fn_t entry,
                                          void *argument, void **thread) noexcept {
        auto &base = *static_cast<ProfilerBase *>(self);
        if (base.lanepipe_failure_ != nullptr) {
            return -1;
        }
        std::shared_ptr<lanepipe_detail::Worker> worker;
#if defined(__cpp_exceptions)
        try {
#endif
            worker = std::make_shared<lanepipe_detail::Worker>(role, shard, entry, argument);
            std::function<void()> body = lanepipe_detail::Body(worker);
            const ThreadFactory &factory = *base.lanepipe_factory_;
            worker->thread = factory ? factory(std::move(body)) : std::thread(std::move(body));
#if defined(__cpp_exceptions)
        } catch (...) {
            base.lanepipe_failure_ = std::current_exception();
        }
#endif
        const bool is_there = worker != nullptr && worker->thread.joinable();
        // A thread that runs all the same is one that stop() has to wait for.
        if (!is_there && (worker == nullptr || worker->give_up())) {
            return -1;
        }
        *thread = worker.get();
        // There is room for all.
        base.lanepipe_workers_.push_back(std::move(worker));
        return 0;
    }

    static void lanepipe_thread_join(void *self, void *thread) noexcept {
        auto &base = *static_cast<ProfilerBase *>(self);
        auto &worker = *static_cast<lanepipe_detail::Worker *>(thread);
        if (worker.thread.joinable()) {
            worker.thread.join();
        }
        if (worker.role == LANEPIPE_ROLE_REPLENISH) {
            // What collectors get from here on is the rest.
            base.execution_complete_.store(true, std::memory_order_release);
        }
    }

    // Does in a plain thread what a thread of the factory left undone: the others wait for its part of the end.
    void lanepipe_run_left() {
        for (const auto &worker : lanepipe_workers_) {
            if (worker->take_over()) {
                LOG_ERROR("%s: the thread of role %u, shard %u ended without having run", Derived::kSubsystemName,
                          worker->role, worker->shard);
                if (worker->thread.joinable()) {
                    worker->thread.join();
                }
                worker->thread = std::thread([worker] { worker->run(); });
            }
        }
    }

    void lanepipe_report_stall() {
        for (const auto &worker : lanepipe_workers_) {
            if (worker->is_done()) {
                continue;
            }
            if (worker->role == LANEPIPE_ROLE_COLLECT) {
                if (lanepipe_is_collecting_[worker->shard].load(std::memory_order_relaxed)) {
                    LOG_ERROR("%s: stop() waits for shard %u: its collector does not return from on_buffer_collected()",
                              Derived::kSubsystemName, worker->shard);
                }
            } else {
                LOG_ERROR("%s: stop() waits for the %s thread of shard %u", Derived::kSubsystemName,
                          worker->role == LANEPIPE_ROLE_DRAIN ? "drain" : "replenish", worker->shard);
            }
        }
    }

    lanepipe_profiler_t *lanepipe_profiler_ = nullptr;
    DataHeader *lanepipe_header_ = nullptr;
    // During start() only.
    const ThreadFactory *lanepipe_factory_ = nullptr;
    std::exception_ptr lanepipe_failure_;
    std::vector<std::shared_ptr<lanepipe_detail::Worker>> lanepipe_workers_;
    // By shard: whether its collector is inside the callback.
    std::unique_ptr<std::atomic<bool>[]> lanepipe_is_collecting_;
    bool lanepipe_is_running_ = false;
    // When the replenish thread asks the Module again what may have changed.
    std::chrono::steady_clock::time_point lanepipe_next_look_;
};

} // namespace profiling_common

#endif // SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILER_BASE_H_
