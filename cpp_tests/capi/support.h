// What the suites of the C interface share: log capture, memory with faults on demand, a thread
// factory, and a pool that is audited and released at the end of each case.
#ifndef LANEPIPE_TESTS_CAPI_SUPPORT_H_
#define LANEPIPE_TESTS_CAPI_SUPPORT_H_

#include "status.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace capi {

// A misused call: the documented status and at least one line of level error.
#define EXPECT_REFUSED(log, want, call)                                                                                \
    do {                                                                                                               \
        (log).clear();                                                                                                 \
        EXPECT_STATUS(want, call);                                                                                     \
        EXPECT_GE((log).count(LANEPIPE_LOG_ERROR), 1u) << #call << " left no line";                                    \
    } while (false)

// Time that only a hang uses up.
constexpr std::chrono::seconds kHang{10};

template <typename Predicate> bool eventually(Predicate &&holds) {
    const auto end = std::chrono::steady_clock::now() + kHang;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    return true;
}

// Caps the address space; for children that try to use more.
inline void limit_memory(size_t bytes) {
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = bytes;
    setrlimit(RLIMIT_AS, &limit);
}

// What an output holds before a call that must leave it alone.
constexpr size_t kUntouched = 0x5a5a5a5a;

class Log {
  public:
    lanepipe_log_sink_t sink(uint32_t max_level = LANEPIPE_LOG_DEBUG) {
        lanepipe_log_sink_t sink{};
        sink.write = [](void *self, uint32_t level, const char *message) {
            static_cast<Log *>(self)->add(level, message);
        };
        sink.context = this;
        sink.max_level = max_level;
        return sink;
    }

    size_t count(uint32_t level) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return static_cast<size_t>(
            std::count_if(lines_.begin(), lines_.end(), [&](const auto &line) { return line.first == level; }));
    }

    bool contains(const std::string &text) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return std::any_of(lines_.begin(), lines_.end(),
                           [&](const auto &line) { return line.second.find(text) != std::string::npos; });
    }

    std::string text() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::string all;
        for (const auto &line : lines_)
            all += std::to_string(line.first) + ": " + line.second + "\n";
        return all;
    }

    void clear() {
        const std::lock_guard<std::mutex> lock(mutex_);
        lines_.clear();
    }

  private:
    void add(uint32_t level, const char *message) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lines_.emplace_back(level, message);
    }

    mutable std::mutex mutex_;
    std::vector<std::pair<uint32_t, std::string>> lines_;
};

// Role of the calling thread where the factory below made it.
constexpr uint32_t kOwnerRole = UINT32_MAX;
inline thread_local uint32_t this_role = kOwnerRole;

// How device memory looks to the host.
enum class Mode {
    kIdentity,   // one address for both
    kRegistered, // two addresses, same bytes
    kShadow,     // two memories; everything is copied
};

inline const char *name_of(Mode mode) {
    return mode == Mode::kIdentity ? "identity" : mode == Mode::kRegistered ? "registered" : "shadow";
}

// Concurrent copies of words that two sides use: each word whole.
inline void copy_words(void *to, const void *from, size_t size) {
    const auto both = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | size;
    if (both % 8 == 0) {
        for (size_t i = 0; i < size / 8; ++i)
            __atomic_store_n(static_cast<uint64_t *>(to) + i,
                             __atomic_load_n(static_cast<const uint64_t *>(from) + i, __ATOMIC_ACQUIRE),
                             __ATOMIC_RELEASE);
    } else if (both % 4 == 0) {
        for (size_t i = 0; i < size / 4; ++i)
            __atomic_store_n(static_cast<uint32_t *>(to) + i,
                             __atomic_load_n(static_cast<const uint32_t *>(from) + i, __ATOMIC_ACQUIRE),
                             __ATOMIC_RELEASE);
    } else {
        std::memcpy(to, from, size);
    }
}

// Device memory: an allocator that counts and fails on demand, and a shared region.
class Memory {
  public:
    explicit Memory(Mode mode = Mode::kIdentity, size_t shm_size = 64 * 1024)
        : mode_(mode), shm_size_(shm_size), shm_device_(zeroed(shm_size)),
          shm_host_(mode == Mode::kShadow ? zeroed(shm_size) : shm_device_) {}

    ~Memory() {
        for (const auto &block : live_)
            std::free(block.first);
        if (shm_host_ != shm_device_)
            std::free(shm_host_);
        std::free(shm_device_);
    }

    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;

    lanepipe_memory_t description() {
        lanepipe_memory_t memory{};
        memory.struct_size = sizeof memory;
        memory.device_id = 7;
        memory.context = this;
        memory.alloc = [](void *self, size_t size) { return static_cast<Memory *>(self)->alloc(size); };
        memory.free_memory = [](void *self, void *dev) { return static_cast<Memory *>(self)->release(dev); };
        if (mode_ == Mode::kRegistered)
            memory.register_memory = [](void *self, void *dev, size_t, int32_t device, void **host) {
                return static_cast<Memory *>(self)->enroll(dev, device, host);
            };
        if (mode_ == Mode::kShadow) {
            memory.copy_to_device = [](void *self, void *to, const void *from, size_t size) {
                return static_cast<Memory *>(self)->copy(to, from, size, true);
            };
            memory.copy_from_device = [](void *self, void *to, const void *from, size_t size) {
                return static_cast<Memory *>(self)->copy(to, from, size, false);
            };
        }
        memory.shm_dev = to_dev(shm_device_);
        memory.shm_host = shm_host_;
        memory.shm_size = shm_size_;
        return memory;
    }

    Mode mode() const { return mode_; }
    char *shm_host() { return shm_host_; }
    // Where the device itself finds an address of its own.
    template <typename T = char> T *at_device(uint64_t dev) const { return reinterpret_cast<T *>(dev - bias()); }
    char *shm_device() { return shm_device_; }

    // Host-to-device writes outside allowed words are counted, but for the zeros of a fresh block.
    void allow_write(const void *device_word, size_t size) {
        allowed_.emplace(reinterpret_cast<uintptr_t>(device_word), size);
    }

    size_t live_blocks() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return live_.size();
    }
    size_t live_bytes() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        size_t bytes = 0;
        for (const auto &block : live_)
            bytes += block.second;
        return bytes;
    }
    // Sizes asked for, oldest first.
    std::vector<size_t> asked() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return asked_;
    }
    int32_t release(void *dev) {
        note_thread();
        frees.fetch_add(1);
        const std::lock_guard<std::mutex> lock(mutex_);
        char *block = at_device(reinterpret_cast<uint64_t>(dev));
        if (live_.erase(block) == 0)
            unknown_frees.fetch_add(1);
        else
            std::free(block);
        return 0;
    }

    // Faults on demand.
    std::atomic<int> failing_allocs{0};     // so many calls from now on give null
    std::atomic<int> register_result{0};    // result of registration
    std::atomic<bool> register_null{false}; // registration succeeds and gives null
    // Which copies the next three apply to, by device address; all where it is empty. Set while no thread runs.
    std::function<bool(const void *dev, size_t size, bool outward)> selected;
    std::atomic<int64_t> first_failing_copy{-1}; // number of the copy call that fails first, from 0
    std::atomic<int64_t> failing_copies{0};      // and how many do
    std::atomic<bool> failing_copies_land{false};
    // What happened.
    std::atomic<size_t> allocs{0};
    std::atomic<size_t> frees{0};
    std::atomic<size_t> unknown_frees{0};
    std::atomic<int64_t> copies{0}; // of the selected ones
    std::atomic<size_t> wide_writes{0};
    std::atomic<size_t> on_wrong_thread{0};
    std::atomic<int32_t> device_seen{-1};

  private:
    static char *zeroed(size_t size) {
        const size_t rounded = (size + 63) / 64 * 64;
        auto *memory = static_cast<char *>(std::aligned_alloc(64, rounded));
        std::memset(memory, 0, rounded);
        return memory;
    }

    uint64_t bias() const { return mode_ == Mode::kRegistered ? uint64_t{1} << 52 : 0; }
    void *to_dev(char *at) const { return reinterpret_cast<void *>(reinterpret_cast<uint64_t>(at) + bias()); }

    // Allocation and registration are for the owner and the replenish thread only.
    void note_thread() {
        if (this_role != kOwnerRole && this_role != LANEPIPE_ROLE_REPLENISH)
            on_wrong_thread.fetch_add(1);
    }

    void *alloc(size_t size) {
        note_thread();
        allocs.fetch_add(1);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            asked_.push_back(size);
        }
        if (failing_allocs.load() > 0) {
            failing_allocs.fetch_sub(1);
            return nullptr;
        }
        if (size > (size_t{1} << 30))
            return nullptr;
        char *block = zeroed(size);
        // Not zero: only a shadow's zero fill may rely on it.
        std::memset(block, 0xa5, size);
        const std::lock_guard<std::mutex> lock(mutex_);
        live_[block] = size;
        return to_dev(block);
    }

    int32_t enroll(void *dev, int32_t device, void **host) {
        note_thread();
        device_seen = device;
        if (register_result != 0)
            return register_result;
        *host = register_null ? nullptr : at_device(reinterpret_cast<uint64_t>(dev));
        return 0;
    }

    int32_t copy(void *to, const void *from, size_t size, bool outward) {
        const bool counts = !selected || selected(outward ? to : from, size, outward);
        const int64_t number = counts ? copies.fetch_add(1) : 0;
        const int64_t first = first_failing_copy;
        const bool fails = counts && first >= 0 && number >= first && number < first + failing_copies;
        if (outward && !write_allowed(to, from, size))
            wide_writes.fetch_add(1);
        if (!fails || failing_copies_land)
            copy_words(to, from, size);
        return fails ? -5 : 0;
    }

    bool write_allowed(void *to, const void *from, size_t size) const {
        const auto address = reinterpret_cast<uintptr_t>(to);
        auto range = allowed_.upper_bound(address);
        if (range != allowed_.begin() && (--range, address + size <= range->first + range->second))
            return true;
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto *bytes = static_cast<const char *>(from);
        const auto block = live_.find(static_cast<char *>(to));
        return block != live_.end() && block->second == size &&
               std::all_of(bytes, bytes + size, [](char byte) { return byte == 0; });
    }

    const Mode mode_;
    const size_t shm_size_;
    char *const shm_device_;
    char *const shm_host_;
    mutable std::mutex mutex_;
    std::map<char *, size_t> live_;
    std::vector<size_t> asked_;
    std::map<uintptr_t, size_t> allowed_;
};

// A thread factory that can fail at one call.
class Threads {
  public:
    static int32_t create(void *self, uint32_t role, uint32_t index, lanepipe_thread_entry_fn_t entry, void *argument,
                          void **thread) {
        auto &threads = *static_cast<Threads *>(self);
        const int number = threads.created_++;
        if (number == threads.fail_at)
            return -1;
        threads.roles.emplace_back(role, index);
        threads.alive.fetch_add(1);
        *thread = new std::thread([&threads, role, entry, argument] {
            this_role = role;
            entry(argument);
            threads.alive.fetch_sub(1);
        });
        return 0;
    }

    static void join(void *, void *thread) {
        auto *joined = static_cast<std::thread *>(thread);
        joined->join();
        delete joined;
    }

    // Before each start.
    void reset(int failing = -1) {
        created_ = 0;
        fail_at = failing;
        roles.clear();
    }

    int fail_at = -1;
    std::atomic<int> alive{0};
    std::vector<std::pair<uint32_t, uint32_t>> roles;

  private:
    int created_ = 0;
};

inline lanepipe_pool_config_t pool_config() {
    lanepipe_pool_config_t config{};
    config.struct_size = sizeof config;
    config.shards = 2;
    config.kinds = 2;
    config.payload_size = 0;
    config.ready_capacity = 8;
    config.done_capacity = 8;
    config.recycled_capacity = 8;
    return config;
}

inline lanepipe_pool_audit_t audit_of(const lanepipe_pool_t *pool, lanepipe_status_t want = LANEPIPE_OK) {
    lanepipe_pool_audit_t audit{};
    audit.struct_size = sizeof audit;
    EXPECT_STATUS(want, lanepipe_pool_audit(pool, &audit));
    EXPECT_EQ(audit.total, audit.device + audit.drain + audit.ready + audit.collect + audit.done + audit.replenish +
                               audit.recycled + audit.retired + audit.quarantined);
    return audit;
}

// A pool with its log.
class Pool {
  public:
    explicit Pool(lanepipe_pool_config_t config = pool_config()) : config_(config) {
        config_.log = log.sink();
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_create(&config_, nullptr, &pool_));
    }
    ~Pool() { EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_destroy(pool_)); }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    lanepipe_pool_t *get() const { return pool_; }
    const lanepipe_pool_config_t &config() const { return config_; }
    void use(Memory &memory) {
        const lanepipe_memory_t description = memory.description();
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_set_memory(pool_, &description));
    }
    // Makes a buffer with an address of the caller's choice known.
    lanepipe_buffer_t enroll(uint64_t dev, uint32_t kind = 0) {
        lanepipe_buffer_t buffer{reinterpret_cast<void *>(dev), kind, 0};
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_register(pool_, buffer.dev, buffer.dev, kind, &buffer.id));
        return buffer;
    }
    size_t recycled(uint32_t shard, uint32_t kind = 0) const {
        size_t count = kUntouched;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_get_recycled(pool_, shard, kind, &count));
        return count;
    }

    Log log;

  private:
    lanepipe_pool_config_t config_;
    lanepipe_pool_t *pool_ = nullptr;
};

// A buffer that the pool does not track.
inline lanepipe_buffer_t untracked(uint64_t number, uint32_t kind = 0) {
    return {reinterpret_cast<void *>(number * 64), kind, 0};
}

inline uint64_t address_of(const lanepipe_buffer_t &buffer) { return reinterpret_cast<uint64_t>(buffer.dev); }

} // namespace capi

#endif // LANEPIPE_TESTS_CAPI_SUPPORT_H_
