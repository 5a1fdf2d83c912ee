// Small stand-ins for a profiling subsystem: modules, a piece of "device" memory with or without a host shadow, copy
// callbacks that fail on demand, and a device thread.
#ifndef CPP_TESTS_REFERENCE_TOY_PIPELINE_H_
#define CPP_TESTS_REFERENCE_TOY_PIPELINE_H_

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "common/dfx_backpressure_device.h"
#include "host/profiler_base.h"

namespace toy {

constexpr int kQueues = PLATFORM_MAX_AICPU_THREADS;
constexpr int kInstances = PLATFORM_MAX_AICPU_THREADS;
constexpr uint32_t kReadySize = 8;
constexpr uint32_t kSlots = 4;

// What a device thread writes into a buffer. The size is no multiple of 64, so that carving has to round up.
struct Buffer {
    uint64_t queue;
    uint64_t sequence;
    uint64_t filler[7];
};

struct ReadyEntry {
    uint64_t buffer_ptr;
    uint64_t kind;
    uint64_t instance;
    uint64_t sequence;
};

struct ReadyInfo {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
    int kind;
    uint32_t queue;
    uint64_t sequence;
};

struct FreeQueue {
    volatile uint64_t buffer_ptrs[kSlots];
    volatile uint32_t head;
    volatile uint32_t tail;
};

template <int Kinds> struct Header {
    DfxBackpressureHeader backpressure;
    volatile uint32_t queue_heads[kQueues];
    volatile uint32_t queue_tails[kQueues];
    volatile uint32_t live_instances;
    ReadyEntry queues[kQueues][kReadySize];
    FreeQueue free_queues[Kinds][kInstances];
};

// Knobs are static because a Module has no objects. Tests set them before any thread runs.
template <int Kinds> struct Knobs {
    static inline int warm_target[Kinds] = {};
    static inline int batch = 1;
    static inline std::atomic<int> last_shard_count{0};
    static inline std::atomic<int> metadata_refreshes{0};

    static void reset() {
        for (int &target : warm_target) {
            target = 0;
        }
        batch = 1;
        last_shard_count = 0;
        metadata_refreshes = 0;
    }
};

template <int Kinds, uint32_t PoolSize, uint32_t LaneSize> struct ModuleBase {
    using DataHeader = Header<Kinds>;
    using ReadyEntry = toy::ReadyEntry;
    using ReadyBufferInfo = ReadyInfo;
    using FreeQueue = toy::FreeQueue;

    static constexpr int kBufferKinds = Kinds;
    static constexpr int kMaxCollectorThreads = PLATFORM_MAX_AICPU_THREADS;
    static constexpr uint32_t kReadyQueueSize = kReadySize;
    static constexpr uint32_t kHostPoolQueueSize = PoolSize;
    static constexpr uint32_t kHostRecycledQueueSize = LaneSize;
    static constexpr uint32_t kSlotCount = kSlots;
    static constexpr const char *kSubsystemName = "Toy";

    static DataHeader *header_from_shm(void *shm_host) { return static_cast<DataHeader *>(shm_host); }

    static int batch_size(int) { return Knobs<Kinds>::batch; }

    static int recycled_warm_target(int kind, int shard_count) {
        Knobs<Kinds>::last_shard_count = shard_count;
        return Knobs<Kinds>::warm_target[kind];
    }

    static int kind_of(const ReadyBufferInfo &info) { return info.kind; }

    static std::optional<profiling_common::EntrySite<ModuleBase>> resolve_entry(void *, DataHeader *header, int q,
                                                                                const ReadyEntry &entry) {
        if (entry.kind >= Kinds || entry.instance >= kInstances) {
            return std::nullopt;
        }
        const ReadyBufferInfo info{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)), nullptr,
                                   static_cast<int>(entry.kind), static_cast<uint32_t>(q), entry.sequence};
        return profiling_common::EntrySite<ModuleBase>{
            static_cast<int>(entry.kind), &header->free_queues[entry.kind][entry.instance], sizeof(Buffer), info};
    }

    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        for (int kind = 0; kind < Kinds; ++kind) {
            for (uint32_t i = 0; i < header->live_instances; ++i) {
                cb(kind, &header->free_queues[kind][i], sizeof(Buffer));
            }
        }
    }

    template <typename Mgr> static void refresh_replenish_metadata(Mgr &mgr, DataHeader *header) {
        ++Knobs<Kinds>::metadata_refreshes;
        mgr.read_range_from_device(&header->live_instances, sizeof(header->live_instances));
    }
};

// Two kinds and odd ring sizes, all different, so that a mix-up of capacities shows.
using Module = ModuleBase<2, 7, 5>;

// One kind, rings that hold every buffer of a test.
using WideModule = ModuleBase<1, 256, 256>;

// Word-wise atomic copies, because the other side is another thread; all lengths and addresses are multiples of 4.
inline void copy_words(void *dst, const void *src, size_t size) {
    for (size_t i = 0; i < size / sizeof(uint32_t); ++i) {
        __atomic_store_n(static_cast<uint32_t *>(dst) + i,
                         __atomic_load_n(static_cast<const uint32_t *>(src) + i, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
    }
}

inline uint32_t load_word(const volatile uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }

inline void store_word(volatile uint32_t &word, uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

// Lets chosen calls of a callback fail: calls are counted from 1 since arm().
class Fault {
  public:
    void arm(int first, int count = 1) {
        calls_ = 0;
        last_ = first + count - 1;
        first_ = first;
    }

    void disarm() { first_ = last_ = 0; }

    bool hit() {
        const int call = ++calls_;
        return call >= first_ && call <= last_;
    }

    int calls() const { return calls_; }

  private:
    std::atomic<int> calls_{0};
    std::atomic<int> first_{0};
    std::atomic<int> last_{0};
};

// Device memory: counts and remembers what is allocated, and frees the rest at the end.
class DeviceMemory {
  public:
    DeviceMemory() = default;
    DeviceMemory(const DeviceMemory &) = delete;
    DeviceMemory &operator=(const DeviceMemory &) = delete;

    ~DeviceMemory() {
        for (void *ptr : live_) {
            std::free(ptr);
        }
    }

    void *alloc(size_t size) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (alloc_fault.hit()) {
            return nullptr;
        }
        void *ptr = std::aligned_alloc(64, (size + 63) / 64 * 64);
        std::memset(ptr, 0, size);
        live_.insert(ptr);
        sizes_.push_back(size);
        return ptr;
    }

    int free(void *ptr) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (live_.erase(ptr) == 0) {
            ++bad_frees_;
            return -1;
        }
        std::free(ptr);
        return 0;
    }

    size_t live() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return live_.size();
    }

    // Byte counts of all allocations so far, in order.
    std::vector<size_t> sizes() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return sizes_;
    }

    // Frees of something that is not allocated, double frees included.
    int bad_frees() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return bad_frees_;
    }

    Fault alloc_fault;

  private:
    mutable std::mutex mutex_;
    std::set<void *> live_;
    std::vector<size_t> sizes_;
    int bad_frees_ = 0;
};

enum class Sharing { kSvm, kShadow };

// The shared region of one subsystem and the callbacks to reach it. On SVM `dev` and `host` are the same header.
template <typename Module> class Region {
  public:
    using DataHeader = typename Module::DataHeader;

    explicit Region(Sharing sharing) : shadowed_(sharing == Sharing::kShadow) {
        dev = static_cast<DataHeader *>(memory.alloc(sizeof(DataHeader)));
        host = shadowed_ ? static_cast<DataHeader *>(memory.alloc(sizeof(DataHeader))) : dev;
        dev->live_instances = kInstances;
        host->live_instances = kInstances;
    }

    bool shadowed() const { return shadowed_; }

    std::function<int(void *, const void *, size_t)> copy_to_device() {
        if (!shadowed_) {
            return nullptr;
        }
        return [this](void *dev_dst, const void *host_src, size_t size) {
            if (to_fault.hit()) {
                return -5;
            }
            copy_words(dev_dst, host_src, size);
            std::lock_guard<std::mutex> lock(mutex_);
            pushed_.push_back({static_cast<char *>(dev_dst) - reinterpret_cast<char *>(dev), size});
            return 0;
        };
    }

    std::function<int(void *, const void *, size_t)> copy_from_device() {
        if (!shadowed_) {
            return nullptr;
        }
        return [this](void *host_dst, const void *dev_src, size_t size) {
            if (from_fault.hit()) {
                return -6;
            }
            copy_words(host_dst, dev_src, size);
            return 0;
        };
    }

    // Offset in the region and size of every successful copy to the device since forget_pushes().
    std::vector<std::pair<ptrdiff_t, size_t>> pushes() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return pushed_;
    }

    void forget_pushes() {
        std::lock_guard<std::mutex> lock(mutex_);
        pushed_.clear();
    }

    // Offset of a word of the host's view.
    ptrdiff_t offset(const volatile void *field) const {
        return static_cast<const volatile char *>(field) - reinterpret_cast<const volatile char *>(host);
    }

    DeviceMemory memory;
    DataHeader *dev = nullptr;
    DataHeader *host = nullptr;
    Fault to_fault;
    Fault from_fault;

  private:
    const bool shadowed_;
    mutable std::mutex mutex_;
    std::vector<std::pair<ptrdiff_t, size_t>> pushed_;
};

// The device's half of one ready queue and free queue: no gates, it just waits. One thread at a time per queue.
template <typename Module> class DeviceLane {
  public:
    DeviceLane(typename Module::DataHeader *dev, int q, int kind, int instance)
        : dev_(dev), free_queue_(&dev->free_queues[kind][instance]), q_(q), kind_(kind), instance_(instance) {}

    // nullptr if the free queue is empty or the slot holds a null.
    Buffer *take_free() {
        const uint32_t head = free_queue_->head;
        if (head == load_word(free_queue_->tail)) {
            return nullptr;
        }
        const uint64_t ptr = __atomic_load_n(&free_queue_->buffer_ptrs[head % kSlots], __ATOMIC_ACQUIRE);
        store_word(free_queue_->head, head + 1);
        return reinterpret_cast<Buffer *>(static_cast<uintptr_t>(ptr));
    }

    bool publish(Buffer *buffer, uint64_t sequence) {
        const uint32_t tail = dev_->queue_tails[q_];
        if ((tail + 1) % kReadySize == load_word(dev_->queue_heads[q_])) {
            return false;
        }
        if (buffer != nullptr) {
            const Buffer content{static_cast<uint64_t>(q_), sequence, {}};
            copy_words(buffer, &content, sizeof(content));
        }
        const ReadyEntry entry{static_cast<uint64_t>(reinterpret_cast<uintptr_t>(buffer)), static_cast<uint64_t>(kind_),
                               static_cast<uint64_t>(instance_), sequence};
        copy_words(&dev_->queues[q_][tail], &entry, sizeof(entry));
        store_word(dev_->queue_tails[q_], (tail + 1) % kReadySize);
        return true;
    }

  private:
    typename Module::DataHeader *dev_;
    FreeQueue *free_queue_;
    const int q_;
    const int kind_;
    const int instance_;
};

} // namespace toy

#endif // CPP_TESTS_REFERENCE_TOY_PIPELINE_H_
