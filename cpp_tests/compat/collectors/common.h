// What the five collectors share: the layout of buffers, free queues and instances, the platform's callbacks, and the
// accounts that each of them keeps. Geometry after appendix B of the contract.
#ifndef CPP_TESTS_COMPAT_COLLECTORS_COMMON_H_
#define CPP_TESTS_COMPAT_COLLECTORS_COMMON_H_

#include "host/profiler_base.h"

#include "common/dfx_backpressure_device.h"
#include "common/platform_config.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

namespace collectors {

constexpr bool kA5 = PLATFORM_MAX_AICPU_THREADS == 5;
constexpr int kThreads = PLATFORM_MAX_AICPU_THREADS;
constexpr int kCores = kA5 ? 108 : 72;

// Buffers have their true size divided by this; tests that run often raise it while no collector exists.
inline int &size_divisor() {
    static int divisor = 1;
    return divisor;
}
inline size_t scaled(size_t bytes) {
    return std::max<size_t>(128, bytes / static_cast<size_t>(size_divisor()) / 32 * 32);
}

// A word that the device may have corrupted, or writes at this moment, as a count.
inline uint32_t bounded(const volatile uint32_t &word, uint32_t limit) {
    const uint32_t value = __atomic_load_n(&word, __ATOMIC_RELAXED);
    return value < limit ? value : limit;
}

struct alignas(32) ReadyEntry {
    uint64_t buffer_ptr;
    uint32_t kind;
    uint32_t instance;
    uint32_t count;
    uint32_t reserved[3];
};
static_assert(sizeof(ReadyEntry) == 32, "shared with the device");

struct ReadyInfo {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
    int kind;
    uint32_t instance;
    uint32_t queue;
};

template <uint32_t Slots> struct alignas(64) FreeQueue {
    volatile uint64_t buffer_ptrs[Slots];
    volatile uint32_t head;
    volatile uint32_t tail;
    unsigned char padding[128 - 8 * Slots - 8];
};
static_assert(sizeof(FreeQueue<4>) == 128 && sizeof(FreeQueue<8>) == 128, "shared with the device");

// One producer of buffers of one kind. All but the free queue is the device's.
template <uint32_t Slots> struct Instance {
    FreeQueue<Slots> free_queue;
    volatile uint64_t current_buffer;
    volatile uint64_t total_records;
    volatile uint64_t dropped_records;
    unsigned char padding[40];
};

// Records are numbers that count up per instance over its whole life, dropped ones included.
struct Buffer {
    volatile uint32_t count;
    uint32_t reserved[3];
    uint64_t records[1];
};
constexpr size_t kBufferHeader = offsetof(Buffer, records);
constexpr uint32_t records_in(size_t bytes) { return static_cast<uint32_t>((bytes - kBufferHeader) / 8); }

struct Platform {
    profiling_common::ProfAllocCallback alloc;
    profiling_common::ProfRegisterCallback reg = nullptr;
    profiling_common::ProfUnregisterCallback unregister = nullptr;
    profiling_common::ProfFreeCallback free;
    std::function<int(void *, const void *, size_t)> copy_to_device;
    std::function<int(void *, const void *, size_t)> copy_from_device;
    int device_id = 0;
};

struct Config {
    int threads = kThreads;
    int cores = kCores;
    int level = 3;                // how many kinds of ChipSwimlane are on
    int buffers_per_instance = 6; // more than the slots of its free queue
};

// Delivered records. Each instance is fed by one shard at a time; sums are kept per shard.
class Tally {
  public:
    static constexpr int kKinds = 4;

    void reset(int shards) { collected_.assign(static_cast<size_t>(shards), 0); }

    // `left_over`: the owner reads the buffer that the device still fills. Its records may come a second time when the
    // device publishes it in a later run; then they are not counted again.
    void take(int shard, int kind, uint32_t instance, const void *view, size_t bytes, bool left_over = false) {
        const auto *buffer = static_cast<const Buffer *>(view);
        const uint32_t count = buffer->count;
        if (kind >= kKinds || instance >= kCores || count > records_in(bytes)) {
            ++mismatches_;
            return;
        }
        Progress &progress = progress_[static_cast<size_t>(kind)][instance];
        for (uint32_t i = 0; i < count; ++i) {
            const uint64_t record = buffer->records[i];
            if (record < progress.recovered) {
                continue;
            }
            // Dropped records leave gaps, but nothing comes twice or out of order.
            mismatches_ += record < progress.next ? 1 : 0;
            progress.next = record + 1;
            ++collected_.at(static_cast<size_t>(shard));
        }
        progress.recovered = left_over ? progress.next : progress.recovered;
        ++buffers_;
    }

    // Adds to what earlier runs have collected.
    void close_run() {
        for (uint64_t &sum : collected_) {
            total_ += sum;
            sum = 0;
        }
    }

    uint64_t total() const { return total_; }
    uint64_t mismatches() const { return mismatches_; }
    uint64_t buffers() const { return buffers_; }

  private:
    struct Progress {
        uint64_t next = 0;      // records below have come
        uint64_t recovered = 0; // records below were read by the owner
    };

    std::vector<uint64_t> collected_;
    std::array<std::array<Progress, kCores>, kKinds> progress_{};
    uint64_t total_ = 0;
    std::atomic<uint64_t> mismatches_{0};
    std::atomic<uint64_t> buffers_{0};
};

// What the device counted, and what came of it.
struct Account {
    uint64_t total = 0;
    uint64_t dropped = 0;
    uint64_t collected = 0;
    uint64_t mismatches = 0;
    uint64_t left_over = 0; // buffers fetched from the device after stop
};

// The first buffers of an instance go straight into its free queue, the surplus into the lane of its shard.
template <uint32_t Slots, typename Manager, typename Alloc>
bool prime(Instance<Slots> &instance, int kind, int count, int shard, Manager &manager, const Alloc &alloc) {
    for (int i = 0; i < count; ++i) {
        void *const buffer = alloc();
        if (buffer == nullptr) {
            return false;
        }
        FreeQueue<Slots> &queue = instance.free_queue;
        if (queue.tail - queue.head < Slots) {
            queue.buffer_ptrs[queue.tail % Slots] = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(buffer));
            queue.tail = queue.tail + 1;
        } else if (!manager.push_recycled(kind, buffer, shard) &&
                   !manager.retire_unqueued_buffer(kind, buffer, shard)) {
            return false;
        }
    }
    return true;
}

// What an instance holds: its current buffer and the slots between head and tail, however wrong these may be.
template <uint32_t Slots, typename Release> void release_instance(Instance<Slots> &instance, const Release &release) {
    const auto pointer = [](uint64_t word) { return reinterpret_cast<void *>(static_cast<uintptr_t>(word)); };
    release(pointer(instance.current_buffer));
    FreeQueue<Slots> &queue = instance.free_queue;
    const uint32_t head = queue.head;
    for (uint32_t i = 0; i < std::min<uint32_t>(queue.tail - head, Slots); ++i) {
        release(pointer(queue.buffer_ptrs[(head + i) % Slots]));
    }
}

} // namespace collectors

#endif // CPP_TESTS_COMPAT_COLLECTORS_COMMON_H_
