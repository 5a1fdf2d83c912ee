// A Module of any geometry and the device that lies behind it: shared region and buffers with or without a host shadow,
// transfers that are recorded by name, fail, or land although they report failure, and the device's half of both
// queues.
#ifndef CPP_TESTS_COMPAT_DEVICE_H_
#define CPP_TESTS_COMPAT_DEVICE_H_

#include "support.h"

#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/dfx_backpressure_device.h"
#include "host/profiler_base.h"

namespace sim {

using compat::eventually;
using compat::Memory;
using compat::Sharing;
using Trace = std::vector<std::string>;

constexpr int kRows = PLATFORM_MAX_AICPU_THREADS;
constexpr int kInstances = kRows;
constexpr int kForGood = std::numeric_limits<int>::max();

// Flags of an entry that resolve_entry obeys.
constexpr uint64_t kReject = 1;      // no site
constexpr uint64_t kRawKind = 2;     // the kind is taken as it stands
constexpr uint64_t kNoFreeQueue = 4; // the site has no free queue

struct alignas(32) ReadyEntry {
    uint64_t buffer_ptr;
    int32_t kind;
    uint32_t instance;
    uint64_t sequence;
    uint64_t flags;
};

struct ReadyInfo {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
    uint64_t sequence;
    int kind;
    uint32_t queue;
    uint32_t instance;
};

// No multiples of 64, so that carving has to round up.
constexpr size_t buffer_size(int kind) {
    constexpr size_t kSizes[] = {72, 200, 136, 264};
    return kind >= 0 && kind < 4 ? kSizes[kind] : 8;
}

inline uint64_t content_word(uint64_t seed, size_t i) { return (seed + 1) * 0x9e3779b97f4a7c15u + i; }

// The words of a buffer follow from one number; the first one holds it.
inline void fill(void *buffer, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size / sizeof(uint64_t); ++i) {
        __atomic_store_n(static_cast<uint64_t *>(buffer) + i, i == 0 ? seed : content_word(seed, i), __ATOMIC_RELAXED);
    }
}

inline bool is_filled(const void *buffer, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size / sizeof(uint64_t); ++i) {
        if (__atomic_load_n(static_cast<const uint64_t *>(buffer) + i, __ATOMIC_RELAXED) !=
            (i == 0 ? seed : content_word(seed, i))) {
            return false;
        }
    }
    return true;
}

inline uint32_t load(const volatile uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
inline void store(volatile uint32_t &word, uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

enum class ModuleCall { kResolve, kForEachInstance, kBatchSize, kWarmTarget, kMetadata, kKindOf };

// Order of the members as in most subsystems.
template <int Kinds, uint32_t Ready, uint32_t Slots> struct CommonLayout {
    struct FreeQueue {
        volatile uint64_t buffer_ptrs[Slots];
        volatile uint32_t head;
        volatile uint32_t tail;
    };
    struct DataHeader {
        DfxBackpressureHeader backpressure;
        volatile uint32_t queue_heads[kRows];
        volatile uint32_t queue_tails[kRows];
        volatile uint32_t live_instances;
        sim::ReadyEntry queues[kRows][Ready];
        FreeQueue free_queues[Kinds][kInstances];
    };
};

// The same members elsewhere, with padding between them.
template <int Kinds, uint32_t Ready, uint32_t Slots> struct ShuffledLayout {
    struct FreeQueue {
        volatile uint32_t tail;
        uint32_t padding[13];
        volatile uint64_t buffer_ptrs[Slots];
        volatile uint32_t head;
        uint32_t more_padding;
    };
    struct DataHeader {
        FreeQueue free_queues[Kinds][kInstances];
        sim::ReadyEntry queues[kRows][Ready];
        volatile uint32_t queue_tails[kRows];
        volatile uint32_t live_instances;
        uint64_t padding;
        DfxBackpressureHeader backpressure;
        volatile uint32_t queue_heads[kRows];
    };
};

// Variables instead of constants are static, because a Module has no objects; they are set while no thread runs. `Tag`
// gives a test variables of its own.
template <int Kinds, int Shards, uint32_t Ready, uint32_t Done, uint32_t Lane, uint32_t Slots,
          template <int, uint32_t, uint32_t> class Layout = CommonLayout, typename Tag = void>
struct Module {
    using FreeQueue = typename Layout<Kinds, Ready, Slots>::FreeQueue;
    using DataHeader = typename Layout<Kinds, Ready, Slots>::DataHeader;
    using ReadyEntry = sim::ReadyEntry;
    using ReadyBufferInfo = sim::ReadyInfo;

    static constexpr int kBufferKinds = Kinds;
    static constexpr int kMaxCollectorThreads = Shards;
    static constexpr uint32_t kReadyQueueSize = Ready;
    static constexpr uint32_t kHostPoolQueueSize = Done;
    static constexpr uint32_t kHostRecycledQueueSize = Lane;
    static constexpr uint32_t kSlotCount = Slots;
    static constexpr const char *kSubsystemName = "Simulated";

    static inline int warm_target[Kinds] = {};
    static inline int batch[Kinds] = {};
    // What is pulled of a buffer; 0: all of it.
    static inline size_t content_size = 0;
    static inline std::atomic<int> seen_shard_count{0};
    static inline std::atomic<int> metadata_calls{0};
    static inline std::function<void(ModuleCall)> observer;

    static void reset() {
        for (int kind = 0; kind < Kinds; ++kind) {
            warm_target[kind] = 0;
            batch[kind] = 1;
        }
        content_size = 0;
        seen_shard_count = 0;
        metadata_calls = 0;
        observer = nullptr;
    }

    static DataHeader *header_from_shm(void *shm_host) { return static_cast<DataHeader *>(shm_host); }

    static int batch_size(int kind) {
        observe(ModuleCall::kBatchSize);
        return batch[kind];
    }

    static int recycled_warm_target(int kind, int shard_count) {
        observe(ModuleCall::kWarmTarget);
        seen_shard_count = shard_count;
        return warm_target[kind];
    }

    static int kind_of(const ReadyBufferInfo &info) {
        observe(ModuleCall::kKindOf);
        return info.kind;
    }

    static std::optional<profiling_common::EntrySite<Module>> resolve_entry(void *, DataHeader *header, int q,
                                                                            const ReadyEntry &entry) {
        observe(ModuleCall::kResolve);
        const bool known = entry.kind >= 0 && entry.kind < Kinds;
        if ((entry.flags & kReject) != 0 || entry.instance >= kInstances || (!known && (entry.flags & kRawKind) == 0)) {
            return std::nullopt;
        }
        FreeQueue *const free_queue =
            (entry.flags & kNoFreeQueue) != 0 ? nullptr : &header->free_queues[known ? entry.kind : 0][entry.instance];
        return profiling_common::EntrySite<Module>{
            entry.kind, free_queue, content_size == 0 ? buffer_size(entry.kind) : content_size,
            ReadyBufferInfo{reinterpret_cast<void *>(static_cast<uintptr_t>(entry.buffer_ptr)), nullptr, entry.sequence,
                            entry.kind, static_cast<uint32_t>(q), entry.instance}};
    }

    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        observe(ModuleCall::kForEachInstance);
        for (int kind = 0; kind < Kinds; ++kind) {
            for (uint32_t i = 0; i < load(header->live_instances); ++i) {
                cb(kind, &header->free_queues[kind][i], buffer_size(kind));
            }
        }
    }

    template <typename Mgr> static void refresh_replenish_metadata(Mgr &mgr, DataHeader *header) {
        observe(ModuleCall::kMetadata);
        ++metadata_calls;
        mgr.read_range_from_device(&header->live_instances, sizeof(header->live_instances));
    }

  private:
    static void observe(ModuleCall call) {
        if (observer) {
            observer(call);
        }
    }
};

// Two kinds and three different odd capacities, so that a mix-up shows.
using OddModule = Module<2, kRows, 8, 7, 5, 4>;
// Rings that hold every buffer of a test.
using WideModule = Module<1, kRows, 8, 256, 256, 4>;

enum class Verdict {
    kPass,
    kFail, // nothing is copied
    kLand, // copied, but reported as failed
};

// One call of a copy callback.
struct Transfer {
    bool to_device;
    const void *device;
    void *host; // only to be written to if the transfer comes from the device
    size_t size;
    std::string name; // "<" or ">", the field, for words to the device "=value"
};

// Region of one subsystem with its callbacks. `dev` is the header as the device sees it, `host` as the host sees it.
template <typename M> class Rig {
  public:
    using DataHeader = typename M::DataHeader;
    using FreeQueue = typename M::FreeQueue;
    using Copy = std::function<int(void *, const void *, size_t)>;

    explicit Rig(Sharing sharing, size_t capacity = size_t{16} << 20) : memory(sharing, capacity) {
        dev_address = memory.alloc(sizeof(DataHeader));
        dev = real<DataHeader>(dev_address);
        host = dev;
        if (shadowed()) {
            host = static_cast<DataHeader *>(std::aligned_alloc(64, (sizeof(DataHeader) + 63) / 64 * 64));
        }
        for (DataHeader *header : {dev, host}) {
            std::memset(static_cast<void *>(header), 0, sizeof(DataHeader));
            header->live_instances = kInstances;
        }
        memory.forget_calls();
    }

    ~Rig() {
        if (shadowed()) {
            std::free(host);
        }
    }

    Rig(const Rig &) = delete;
    Rig &operator=(const Rig &) = delete;

    bool shadowed() const { return memory.sharing() == Sharing::kShadow; }

    // What lies behind a device address, as the device sees it.
    template <typename T = void> T *real(void *address) const {
        if (memory.sharing() == Sharing::kIdentity) {
            return static_cast<T *>(address);
        }
        return static_cast<T *>(static_cast<void *>(memory.template bytes<char>(address)));
    }

    Copy to_device() {
        return !shadowed() ? Copy() : [this](void *dst, const void *src, size_t size) {
            Transfer transfer{true, dst, const_cast<void *>(src), size, std::string()};
            const bool named = wants_name();
            if (named) {
                transfer.name = ">" + field(dst, size) + value(src, size);
            }
            return run(transfer, named, [&] { return memory.copy_to_device(dst, src, size); });
        };
    }

    Copy from_device() {
        return !shadowed() ? Copy() : [this](void *dst, const void *src, size_t size) {
            Transfer transfer{false, src, dst, size, std::string()};
            const bool named = wants_name();
            if (named) {
                transfer.name = "<" + field(src, size);
            }
            return run(transfer, named, [&] { return memory.copy_from_device(dst, src, size); });
        };
    }

    // Lets the transfers whose name starts with `prefix` fail, the first-th to the last-th of them from now on.
    void fail(const std::string &prefix, int first = 1, int last = 1, Verdict verdict = Verdict::kFail) {
        std::lock_guard<std::mutex> lock(mutex_);
        plans_.push_back(Plan{prefix, first, last, verdict, 0});
        naming_ = true;
    }

    void fail_for_good(const std::string &prefix) { fail(prefix, 1, kForGood); }

    void heal() {
        std::lock_guard<std::mutex> lock(mutex_);
        plans_.clear();
    }

    // Names of the transfers since forget().
    void record() {
        std::lock_guard<std::mutex> lock(mutex_);
        recording_ = true;
        naming_ = true;
        trace_.clear();
    }

    Trace trace() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return trace_;
    }

    // The recorded transfers to the device only.
    Trace pushes() const {
        Trace pushed;
        for (const std::string &name : trace()) {
            if (name[0] == '>') {
                pushed.push_back(name);
            }
        }
        return pushed;
    }

    static size_t count(const Trace &trace, const std::string &prefix) {
        size_t n = 0;
        for (const std::string &name : trace) {
            n += name.compare(0, prefix.size(), prefix) == 0 ? 1 : 0;
        }
        return n;
    }

    static size_t position(const Trace &trace, const std::string &prefix) {
        for (size_t i = 0; i < trace.size(); ++i) {
            if (trace[i].compare(0, prefix.size(), prefix) == 0) {
                return i;
            }
        }
        return trace.size();
    }

    // Called on the thread of the transfer, before and after it; both are set while no thread runs.
    void before_transfer(std::function<void(const Transfer &)> hook) {
        naming_ = true;
        before_ = std::move(hook);
    }
    void after_transfer(std::function<void(const Transfer &)> hook) {
        naming_ = true;
        after_ = std::move(hook);
    }

    // A shared word in both views.
    template <typename Select> void set(const Select &select, uint32_t value) {
        store(select(*dev), value);
        store(select(*host), value);
    }

    // ---- the device's half; one thread at a time per queue

    // nullptr if the free queue is empty or the slot holds a null, which is consumed.
    void *take_free(int kind, int instance) {
        FreeQueue &queue = dev->free_queues[kind][instance];
        const uint32_t head = queue.head;
        if (head == load(queue.tail)) {
            return nullptr;
        }
        const uint64_t ptr = __atomic_load_n(&queue.buffer_ptrs[head % M::kSlotCount], __ATOMIC_ACQUIRE);
        store(queue.head, head + 1);
        return reinterpret_cast<void *>(static_cast<uintptr_t>(ptr));
    }

    uint32_t free_fill(int kind, int instance) const {
        const FreeQueue &queue = dev->free_queues[kind][instance];
        return load(queue.tail) - load(queue.head);
    }

    // What lies between head and tail of a free queue.
    std::vector<void *> free_content(int kind, int instance) const {
        const FreeQueue &queue = dev->free_queues[kind][instance];
        std::vector<void *> content;
        for (uint32_t i = queue.head; i != queue.tail && content.size() <= M::kSlotCount; ++i) {
            content.push_back(reinterpret_cast<void *>(static_cast<uintptr_t>(queue.buffer_ptrs[i % M::kSlotCount])));
        }
        return content;
    }

    bool ready_full(int q) const { return (dev->queue_tails[q] + 1) % M::kReadyQueueSize == load(dev->queue_heads[q]); }

    // False if the ready queue is full. The contents follow from the sequence number.
    bool publish(int q, void *buffer, int kind, int instance, uint64_t sequence, uint64_t flags = 0) {
        if (ready_full(q)) {
            return false;
        }
        if (buffer != nullptr && flags == 0) {
            fill(real(buffer), buffer_size(kind), sequence);
        }
        const uint32_t tail = dev->queue_tails[q];
        const ReadyEntry entry{static_cast<uint64_t>(reinterpret_cast<uintptr_t>(buffer)), kind,
                               static_cast<uint32_t>(instance), sequence, flags};
        put_entry(q, tail, entry);
        store(dev->queue_tails[q], (tail + 1) % M::kReadyQueueSize);
        return true;
    }

    void put_entry(int q, uint32_t slot, const ReadyEntry &entry) {
        const auto *words = reinterpret_cast<const uint64_t *>(&entry);
        auto *target = reinterpret_cast<uint64_t *>(&dev->queues[q][slot]);
        for (size_t i = 0; i < sizeof(entry) / sizeof(uint64_t); ++i) {
            __atomic_store_n(target + i, words[i], __ATOMIC_RELAXED);
        }
    }

    // Pointers of the entries that the host did not acknowledge.
    std::vector<void *> ready_content(int q) const {
        std::vector<void *> content;
        for (uint32_t i = dev->queue_heads[q]; i != dev->queue_tails[q]; i = (i + 1) % M::kReadyQueueSize) {
            content.push_back(reinterpret_cast<void *>(static_cast<uintptr_t>(dev->queues[q][i].buffer_ptr)));
        }
        return content;
    }

    Memory memory;
    void *dev_address = nullptr;
    DataHeader *dev = nullptr;
    DataHeader *host = nullptr;

  private:
    struct Plan {
        std::string prefix;
        int first;
        int last;
        Verdict verdict;
        int seen;
    };

    bool wants_name() const { return naming_.load(std::memory_order_acquire); }

    template <typename DoCopy> int run(const Transfer &transfer, bool named, const DoCopy &copy) {
        Verdict verdict = Verdict::kPass;
        if (named) {
            std::lock_guard<std::mutex> lock(mutex_);
            if (recording_) {
                trace_.push_back(transfer.name);
            }
            for (Plan &plan : plans_) {
                if (transfer.name.compare(0, plan.prefix.size(), plan.prefix) == 0) {
                    ++plan.seen;
                    if (plan.seen >= plan.first && plan.seen <= plan.last) {
                        verdict = plan.verdict;
                    }
                }
            }
        }
        if (named && before_) {
            before_(transfer);
        }
        int rc = verdict == Verdict::kFail ? Memory::kFailedRc : copy();
        if (named && after_) {
            after_(transfer);
        }
        return verdict == Verdict::kPass ? rc : Memory::kFailedRc;
    }

    static std::string value(const void *src, size_t size) {
        if (size != sizeof(uint32_t)) {
            return std::string();
        }
        return "=" + std::to_string(__atomic_load_n(static_cast<const uint32_t *>(src), __ATOMIC_RELAXED));
    }

    static std::string index(size_t i) { return "[" + std::to_string(i) + "]"; }

    // The field of the header that a range lies in; "wide" if it is in none.
    std::string field(const void *device, size_t size) const {
        const size_t at = compat::address(device) - compat::address(dev_address);
        if (at >= sizeof(DataHeader)) {
            return "buffer";
        }
        const char *const begin = reinterpret_cast<const char *>(dev) + at;
        const char *const end = begin + size;
        const auto within = [begin, end](const volatile void *member, size_t bytes) {
            const char *const from = static_cast<const char *>(const_cast<const void *>(member));
            return begin >= from && end <= from + bytes;
        };
        const auto nth = [begin](const volatile void *member, size_t element) {
            return static_cast<size_t>(begin - static_cast<const char *>(const_cast<const void *>(member))) / element;
        };
        const auto &gates = dev->backpressure;
        const std::pair<const volatile uint32_t *, const char *> words[] = {{&gates.rq_freeze_active, "rqF"},
                                                                            {&gates.rq_contended, "rqC"},
                                                                            {&gates.fq_freeze_active, "fqF"},
                                                                            {&gates.fq_contended, "fqC"},
                                                                            {&dev->live_instances, "live"}};
        for (const auto &word : words) {
            if (within(word.first, sizeof(uint32_t))) {
                return word.second;
            }
        }
        if (within(dev->queue_heads, sizeof(dev->queue_heads))) {
            return size == sizeof(uint32_t) ? "head" + index(nth(dev->queue_heads, sizeof(uint32_t))) : "heads";
        }
        if (within(dev->queue_tails, sizeof(dev->queue_tails))) {
            return size == sizeof(uint32_t) ? "tail" + index(nth(dev->queue_tails, sizeof(uint32_t))) : "tails";
        }
        for (size_t q = 0; q < kRows; ++q) {
            if (within(dev->queues[q], sizeof(dev->queues[q]))) {
                return "entry" + index(q) + index(nth(dev->queues[q], sizeof(ReadyEntry)));
            }
        }
        for (size_t kind = 0; kind < M::kBufferKinds; ++kind) {
            for (size_t i = 0; i < kInstances; ++i) {
                const FreeQueue &queue = dev->free_queues[kind][i];
                const std::string where = index(kind) + index(i);
                if (within(&queue.head, sizeof(queue.head))) {
                    return "free_head" + where;
                }
                if (within(&queue.tail, sizeof(queue.tail))) {
                    return "free_tail" + where;
                }
                if (within(queue.buffer_ptrs, sizeof(queue.buffer_ptrs))) {
                    return "slot" + where + index(nth(queue.buffer_ptrs, sizeof(uint64_t)));
                }
            }
        }
        return "wide";
    }

    mutable std::mutex mutex_;
    std::vector<Plan> plans_;
    Trace trace_;
    bool recording_ = false;
    std::atomic<bool> naming_{false};
    std::function<void(const Transfer &)> before_;
    std::function<void(const Transfer &)> after_;
};

// True if a transfer to the device covers only words that the framework owns (contract, 3.4).
inline bool is_narrow_push(const std::string &name) {
    for (const char *allowed : {">head[", ">free_tail[", ">slot[", ">rqF=", ">fqF=", ">rqC=0", ">fqC=0"}) {
        if (name.compare(0, std::strlen(allowed), allowed) == 0) {
            return true;
        }
    }
    return false;
}

// A Rig with a manager that no ProfilerBase starts: the algorithms are driven by hand.
template <typename M> class Bed : public Rig<M> {
  public:
    using Manager = profiling_common::BufferPoolManager<M>;
    using Algorithms = profiling_common::ProfilerAlgorithms<M>;

    explicit Bed(Sharing sharing, int shards = Manager::kMaxCollectorShards) : Rig<M>(sharing) {
        M::reset();
        profiling_common::MemoryOps ops = this->memory.ops(*manager);
        ops.copy_to_device = this->to_device();
        ops.copy_from_device = this->from_device();
        manager->set_memory_context(ops, this->dev_address, this->host, sizeof(*this->host), 0);
        manager->set_shard_count(shards);
        log_capture::reset();
    }

    ~Bed() { manager->clear_mappings(); }

    // A buffer of its own allocation, with a host view.
    void *new_buffer(int kind = 0) {
        void *const ptr = this->memory.alloc(buffer_size(kind));
        void *view = nullptr;
        EXPECT_EQ(this->memory.reg(ptr, buffer_size(kind), 0, &view), 0);
        if (this->shadowed()) {
            manager->add_malloc_shadow(view);
        }
        manager->register_mapping(ptr, view);
        pool.insert(ptr);
        return ptr;
    }

    std::vector<void *> seed(int kind, int shard, int count) {
        std::vector<void *> seeded;
        for (int i = 0; i < count; ++i) {
            seeded.push_back(new_buffer(kind));
            EXPECT_TRUE(manager->push_recycled(kind, seeded.back(), shard));
        }
        return seeded;
    }

    // Publishes a fresh buffer of instance q on queue q.
    void *publish_new(int q, uint64_t sequence, int kind = 0, uint64_t flags = 0) {
        void *const buffer = new_buffer(kind);
        EXPECT_TRUE(this->publish(q, buffer, kind, q, sequence, flags));
        return buffer;
    }

    bool pop(int q, ReadyEntry &out, bool refresh = true) {
        return Algorithms::try_pop_aicpu_entry(*manager, this->host, q, out, refresh);
    }

    // As popped from queue q: the host owns the buffer.
    ReadyEntry entry_of(void *buffer, int kind, int instance, uint64_t sequence, uint64_t flags = 0) {
        if (buffer != nullptr && flags == 0) {
            fill(this->real(buffer), buffer_size(kind), sequence);
        }
        return ReadyEntry{static_cast<uint64_t>(compat::address(buffer)), kind, static_cast<uint32_t>(instance),
                          sequence, flags};
    }

    void process(int q, const ReadyEntry &entry) { Algorithms::process_entry(*manager, this->host, q, entry); }

    void tick(bool extra = true) { Algorithms::update_backpressure_freeze(*manager, this->host, extra); }

    uint64_t refill() { return Algorithms::replenish_free_queues(*manager, this->host); }

    size_t allocations() const { return this->memory.count(Memory::Op::kAlloc); }

    // Sets head and tail of a free queue in both views.
    void set_free_counters(int kind, int instance, uint32_t head, uint32_t tail) {
        for (typename M::DataHeader *header : {this->dev, this->host}) {
            header->free_queues[kind][instance].head = head;
            header->free_queues[kind][instance].tail = tail;
        }
    }

    // Empties the host's queues; what they held, by allocation.
    std::multiset<void *> take_host_content() {
        std::multiset<void *> content;
        manager->release_owned_buffers([&content](void *ptr) { content.insert(ptr); });
        return content;
    }

    // Every place a buffer can be at rest: host queues (emptied), free queues, ready queues.
    std::multiset<void *> locate() {
        std::multiset<void *> places = take_host_content();
        for (int i = 0; i < kInstances; ++i) {
            for (int kind = 0; kind < M::kBufferKinds; ++kind) {
                for (void *ptr : this->free_content(kind, i)) {
                    places.insert(ptr);
                }
            }
            for (void *ptr : this->ready_content(i)) {
                places.insert(ptr);
            }
        }
        return places;
    }

    // Each buffer of new_buffer() and of one-buffer blocks is in exactly one place, the ones in `held` excepted.
    void expect_conserved(const std::vector<void *> &held = {}) {
        std::multiset<void *> places = locate();
        places.insert(held.begin(), held.end());
        std::multiset<void *> whole(pool.begin(), pool.end());
        for (const Memory::Call &call : this->memory.calls(Memory::Op::kAlloc)) {
            if (!call.failed && pool.count(const_cast<void *>(call.device)) == 0) {
                whole.insert(const_cast<void *>(call.device));
            }
        }
        EXPECT_EQ(places, whole);
    }

    std::unique_ptr<Manager> manager = std::make_unique<Manager>();
    std::set<void *> pool;
};

} // namespace sim

#endif // CPP_TESTS_COMPAT_DEVICE_H_
