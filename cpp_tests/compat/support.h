// What the compat suites share: toy modules, memory that counts and fails on demand, shadows whose release is counted,
// and the log as the suites see it. Works with the headers of the references and with lanepipe's alike.
#ifndef CPP_TESTS_COMPAT_SUPPORT_H_
#define CPP_TESTS_COMPAT_SUPPORT_H_

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/platform_config.h"
#include "host/buffer_pool_manager.h"
#include "log_capture.h"

namespace compat {

using log_capture::Level;
using Ptrs = std::vector<void *>;

inline size_t errors() { return log_capture::count(Level::kError); }
inline size_t warnings() { return log_capture::count(Level::kWarn); }

// Messages that an operator is to act on; LOG_DEBUG and the like are free everywhere but on the hot path.
inline size_t complaints() { return errors() + warnings(); }

// An address that nothing dereferences, distinct per n.
inline void *fake(uintptr_t n) { return reinterpret_cast<void *>(n * 0x1000); }

inline uintptr_t address(const void *ptr) { return reinterpret_cast<uintptr_t>(ptr); }

inline void *offset(void *ptr, size_t bytes) { return static_cast<char *>(ptr) + bytes; }

// Waits for something that another thread is bound to do. The limit only keeps a broken build from hanging.
template <typename Condition> bool eventually(const Condition &condition) {
    for (int i = 0; i < 20000; ++i) {
        if (condition()) {
            return true;
        }
        if (i < 1000) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    return condition();
}

// Runs `act` and expects at least one message of the level and none of ERROR or WARN otherwise. An event is reported
// the first time it occurs; repeats may be suppressed, so a case asks about one event per manager.
template <typename Act> void expect_logged(Level level, const char *what, const Act &act) {
    log_capture::reset();
    act();
    EXPECT_GE(log_capture::count(level), 1u) << what;
    EXPECT_EQ(complaints(), log_capture::count(level)) << what;
}

// Runs `act` and expects no message at all.
template <typename Act> void expect_silent(const char *what, const Act &act) {
    log_capture::reset();
    act();
    EXPECT_EQ(log_capture::total(), 0u) << what;
}

class LogTest : public ::testing::Test {
  protected:
    void SetUp() override { log_capture::reset(); }
};

// Modules.

struct ReadyInfo {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
    uint64_t sequence;
    int kind;
};

inline ReadyInfo info(void *dev_ptr, uint64_t sequence = 0) { return ReadyInfo{dev_ptr, nullptr, sequence, 0}; }

// The least that BufferPoolManager asks of a Module: two types that are merely named, an info with one pointer, a
// number of kinds.
struct BareInfo {
    void *dev_buffer_ptr;
};

struct BareModule {
    struct DataHeader;
    struct ReadyEntry;
    using ReadyBufferInfo = BareInfo;
    static constexpr int kBufferKinds = 1;
};

// A Module for the manager alone, with capacities of one's own. Its watermark per kind is a variable, because a Module
// has no objects; tests set it while no thread runs.
template <int Kinds, int Shards, uint32_t Ready, uint32_t Pool, uint32_t Lane> struct PoolModule {
    struct DataHeader;
    struct ReadyEntry;
    using ReadyBufferInfo = ReadyInfo;
    static constexpr int kBufferKinds = Kinds;
    static constexpr int kMaxCollectorThreads = Shards;
    static constexpr uint32_t kReadyQueueSize = Ready;
    static constexpr uint32_t kHostPoolQueueSize = Pool;
    static constexpr uint32_t kHostRecycledQueueSize = Lane;

    static inline int warm_target[Kinds] = {};
    static inline int seen_shard_count = 0;

    static int recycled_warm_target(int kind, int shard_count) {
        seen_shard_count = shard_count;
        return warm_target[kind];
    }

    static void reset() {
        for (int &target : warm_target) {
            target = 0;
        }
        seen_shard_count = 0;
    }
};

// Three kinds, four shards, three different odd capacities, so that a mix-up shows.
using OddModule = PoolModule<3, 4, 5, 7, 3>;

// Geometry of the existing subsystems (contract, appendix B); n is the largest number of device threads.
template <int N>
using ChipSwimlaneLike = PoolModule<4, N, N == 4 ? 992 : 1456, N == 4 ? 920 : 1366, N == 4 ? 576 : 864>;
template <int N> using PmuLike = PoolModule<1, N, N == 4 ? 144 : 216, N == 4 ? 144 : 216, N == 4 ? 144 : 216>;
template <int N> using ArgsDumpLike = PoolModule<1, N, N == 4 ? 64 : 80, N == 4 ? 32 : 40, N == 4 ? 32 : 40>;
template <int N> using DepGenLike = PoolModule<1, 1, 8, N == 4 ? 16 : 20, N == 4 ? 16 : 20>;

// Memory.

// Lets chosen calls of a callback fail; calls count from 1 since arm().
class Fault {
  public:
    // Calls first .. first + count - 1 fail.
    void arm(int first, int count = 1) {
        calls_ = 0;
        last_ = count == kForGood ? INT32_MAX : first + count - 1;
        first_ = first;
    }

    void disarm() { first_ = last_ = 0; }

    bool hit() {
        const int call = ++calls_;
        return call >= first_ && call <= last_;
    }

    int calls() const { return calls_; }

    static constexpr int kForGood = -1;

  private:
    std::atomic<int> calls_{0};
    std::atomic<int> first_{0};
    std::atomic<int> last_{0};
};

enum class Sharing {
    kIdentity, // SVM, the host uses the device's address
    kMapped,   // SVM, registration gives a second address of the same bytes
    kShadow,   // every host access is a copy; a direct access through a device address faults
};

inline const char *name_of(Sharing sharing) {
    return sharing == Sharing::kIdentity ? "Identity" : sharing == Sharing::kMapped ? "Mapped" : "Shadow";
}

struct SharingName {
    template <typename Info> std::string operator()(const Info &info) const { return name_of(info.param); }
};

// Device memory and the callbacks to it. Every call is counted and kept; what is freed twice or was never allocated is
// counted as a bad free. All members are thread-safe.
class Memory {
  public:
    enum class Op { kAlloc, kReg, kUnregister, kFree, kToDevice, kFromDevice };

    struct Call {
        Op op;
        const void *device; // the device address of the call
        const void *host;   // the other side of a copy; the host view given by a registration
        size_t size;
        int device_id;
        bool failed;
    };

    explicit Memory(Sharing sharing, size_t capacity = size_t{64} << 20);
    ~Memory();
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;

    Sharing sharing() const { return sharing_; }

    // What the callbacks do. A failing call has no effect.
    void *alloc(size_t size);
    int free(void *dev_ptr);
    int reg(void *dev_ptr, size_t size, int device_id, void **host_ptr_out);
    int unregister(void *dev_ptr, int device_id);
    int copy_to_device(void *dev_dst, const void *host_src, size_t size);
    int copy_from_device(void *host_dst, const void *dev_src, size_t size);

    // Callbacks of this kind of sharing. With kShadow `reg` makes a shadow with malloc and hands it to `manager`, as
    // the runtime does at start.
    template <typename Manager> profiling_common::MemoryOps ops(Manager &manager) {
        profiling_common::MemoryOps ops;
        ops.alloc = [this](size_t size) { return alloc(size); };
        ops.free_ = [this](void *ptr) { return free(ptr); };
        ops.reg = [this, &manager](void *dev_ptr, size_t size, int device_id, void **host_ptr_out) {
            const int rc = reg(dev_ptr, size, device_id, host_ptr_out);
            if (rc == 0 && sharing_ == Sharing::kShadow) {
                manager.add_malloc_shadow(*host_ptr_out);
            }
            return rc;
        };
        if (sharing_ == Sharing::kShadow) {
            ops.copy_to_device = [this](void *dst, const void *src, size_t size) {
                return copy_to_device(dst, src, size);
            };
            ops.copy_from_device = [this](void *dst, const void *src, size_t size) {
                return copy_from_device(dst, src, size);
            };
        }
        return ops;
    }

    // The bytes behind a device address, as the device sees them.
    template <typename T = char> T *bytes(const void *dev_ptr) const { return static_cast<T *>(view(dev_ptr)); }

    // An allocation of the size of a freed one gets the lowest such address back; otherwise addresses only grow.
    void reuse_addresses(bool on);

    size_t live() const;            // allocations that were not freed
    int bad_frees() const;          // frees of what is not allocated
    int frees_while_mapped() const; // frees of what is still registered with kMapped
    std::vector<Call> calls() const;
    std::vector<Call> calls(Op op) const;
    size_t count(Op op) const { return calls(op).size(); }
    void forget_calls();

    Fault alloc_fault;
    Fault reg_fault;
    Fault null_reg_fault; // a registration that returns 0 and a null pointer
    Fault unregister_fault;
    Fault free_fault;
    Fault to_fault;
    Fault from_fault;
    static constexpr int kFailedRc = -7;

  private:
    void *view(const void *dev_ptr) const;
    void *reused(size_t size);
    void keep(Op op, const void *device, const void *host, size_t size, int device_id, bool failed);

    const Sharing sharing_;
    const size_t capacity_;
    char *device_ = nullptr; // addresses handed out
    char *alias_ = nullptr;  // the same bytes, always accessible
    mutable std::mutex mutex_;
    size_t used_ = 0;
    bool reuse_ = false;
    std::map<void *, size_t> live_;
    std::map<void *, size_t> freed_;
    std::map<void *, size_t> mapped_;
    int bad_frees_ = 0;
    int frees_while_mapped_ = 0;
    std::vector<Call> calls_;
};

// A block from malloc whose releases with free() are counted. They have no effect until this object goes, so a second
// one is counted instead of corrupting the heap, and nothing else gets the address meanwhile.
class Shadow {
  public:
    explicit Shadow(size_t size = 64);
    ~Shadow();
    Shadow(const Shadow &) = delete;
    Shadow &operator=(const Shadow &) = delete;

    void *get() const { return ptr_; }
    int frees() const;

    // False where the linker cannot redirect free(); frees() is then meaningless.
    static bool counted();

  private:
    void *ptr_;
    size_t slot_;
};

} // namespace compat

#endif // CPP_TESTS_COMPAT_SUPPORT_H_
