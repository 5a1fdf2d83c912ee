// Two pipelines over one simulated device: lanepipe's own through lanepipe.hpp, and the plain C++ reference. The device
// publishes into the queues of a shared region that has the layout of the C++ runtime's subsystems; the collectors read
// one line of each buffer.
#ifndef LANEPIPE_TESTS_BENCH_PIPELINE_H_
#define LANEPIPE_TESTS_BENCH_PIPELINE_H_

#include "bench.h"
#include "subsystems.h"

#include <lanepipe/lanepipe.hpp>

#include "common/dfx_backpressure_device.h"
#include "host/profiler_base.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

namespace bench {

struct alignas(32) Entry {
    uint64_t buffer_ptr;
    uint32_t kind;
    uint32_t instance;
    uint64_t published_ns; // 0: nobody asks
    uint64_t unused;
};

template <uint32_t Slots> struct alignas(128) FreeQueue {
    volatile uint64_t buffer_ptrs[Slots];
    volatile uint32_t head;
    volatile uint32_t tail;
};
static_assert(sizeof(FreeQueue<4>) == 128 && sizeof(FreeQueue<8>) == 128, "as in the C++ runtime");

// What stands in the shared region of a subsystem of geometry `G`.
template <typename G> struct Header {
    DfxBackpressureHeader backpressure;
    alignas(64) volatile uint32_t queue_heads[kRows];
    alignas(64) volatile uint32_t queue_tails[kRows];
    alignas(64) Entry queues[kRows][G::kReady];
    FreeQueue<G::kSlots> free_queues[G::kInstances];
};

// Device memory and how it is reached. Counts what the host asks for.
class DeviceMemory {
  public:
    // `shadowed`: the host has copies, and sees and changes the device's side through callbacks only.
    explicit DeviceMemory(bool shadowed) : shadowed_(shadowed) {}
    DeviceMemory(const DeviceMemory &) = delete;
    DeviceMemory &operator=(const DeviceMemory &) = delete;
    ~DeviceMemory() {
        for (void *block : blocks_) {
            std::free(block);
        }
    }

    bool shadowed() const { return shadowed_; }

    void *alloc(size_t size) {
        void *block = std::aligned_alloc(64, (size + 63) / 64 * 64);
        const std::lock_guard<std::mutex> lock(mutex_);
        blocks_.push_back(block);
        bytes_ += size;
        last_ns_ = now_ns();
        return block;
    }

    int32_t register_memory(void *dev, size_t, int32_t, void **host) {
        *host = dev;
        const std::lock_guard<std::mutex> lock(mutex_);
        ++registrations_;
        return 0;
    }

    static int32_t copy(void *to, const void *from, size_t size) {
        std::memcpy(to, from, size);
        return 0;
    }
    int32_t copy_to_device(void *to, const void *from, size_t size) { return copy(to, from, size); }
    int32_t copy_from_device(void *to, const void *from, size_t size) { return copy(to, from, size); }

    struct Use {
        size_t allocations;
        size_t registrations;
        size_t bytes;
        uint64_t last_ns; // when the last allocation was made
    };
    Use use() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return {blocks_.size(), registrations_, bytes_, last_ns_};
    }

  private:
    const bool shadowed_;
    mutable std::mutex mutex_;
    std::vector<void *> blocks_;
    size_t registrations_ = 0;
    size_t bytes_ = 0;
    uint64_t last_ns_ = 0;
};

// The threads of a pipeline, while it runs: how much processor time they have used.
class HostThreads {
  public:
    void add(std::thread &thread) {
        clockid_t clock{};
        require(pthread_getcpuclockid(thread.native_handle(), &clock) == 0, "a thread has no clock");
        const std::lock_guard<std::mutex> lock(mutex_);
        clocks_.push_back(clock);
    }

    // Before they end: a clock ends with its thread.
    void forget() {
        const std::lock_guard<std::mutex> lock(mutex_);
        clocks_.clear();
    }

    double cpu_ns() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        double sum = 0;
        for (const clockid_t clock : clocks_) {
            timespec time{};
            require(clock_gettime(clock, &time) == 0, "a thread's clock cannot be read");
            sum += static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
        }
        return sum;
    }

  private:
    mutable std::mutex mutex_;
    std::vector<clockid_t> clocks_;
};

// What the collectors do with a buffer, and who waits for a number of them.
class Sink {
  public:
    // One collector at a time for each shard.
    void take(size_t shard, const void *contents, uint64_t published_ns) {
        Line &line = lines_[shard];
        const auto *words = static_cast<const uint64_t *>(contents);
        uint64_t sum = 0;
        for (size_t word = 0; word < 8; ++word) {
            sum += __atomic_load_n(&words[word], __ATOMIC_RELAXED);
        }
        keep(sum);
        if (published_ns != 0) {
            line.latencies.push_back(static_cast<double>(now_ns() - published_ns));
        }
        // Relaxed: one thread's, and a count by which nothing is read.
        const uint64_t count = line.count.load(std::memory_order_relaxed) + 1;
        line.count.store(count, std::memory_order_relaxed);
        // Whoever takes the last one expected tells the waiting thread.
        if (count == line.expected) {
            const std::lock_guard<std::mutex> lock(mutex_);
            --unmet_;
            met_.notify_one();
        }
    }

    // Expects `count` more buffers on each of the first `shards` shards. At rest.
    void expect(size_t shards, uint64_t count) {
        const std::lock_guard<std::mutex> lock(mutex_);
        unmet_ = shards;
        for (size_t shard = 0; shard < shards; ++shard) {
            lines_[shard].expected = lines_[shard].count.load() + count;
        }
    }
    void expect_on(size_t shard, uint64_t count) {
        const std::lock_guard<std::mutex> lock(mutex_);
        unmet_ = 1;
        lines_[shard].latencies.reserve(count);
        lines_[shard].expected = lines_[shard].count.load() + count;
    }

    // Buffers taken so far. Any thread.
    uint64_t taken() const {
        uint64_t sum = 0;
        for (const Line &line : lines_) {
            sum += line.count.load(std::memory_order_relaxed);
        }
        return sum;
    }

    void await() {
        std::unique_lock<std::mutex> lock(mutex_);
        require(met_.wait_for(lock, std::chrono::seconds(60), [this] { return unmet_ == 0; }), "buffers are missing");
    }

    std::vector<double> take_latencies(size_t shard) { return std::exchange(lines_[shard].latencies, {}); }

  private:
    struct alignas(128) Line {
        std::atomic<uint64_t> count{0};
        uint64_t expected = 0;
        std::vector<double> latencies;
    };
    std::array<Line, kRows> lines_;
    std::mutex mutex_;
    std::condition_variable met_;
    size_t unmet_ = 0;
};

// The device: one thread at a time plays all of its control threads.
template <typename G> class Device {
  public:
    // `shared` is the device's side of the region.
    Device(Header<G> *shared, uint32_t rows) : shared_(shared), rows_(rows) {
        for (uint32_t instance = 0; instance < G::kInstances; ++instance) {
            producers_[G::producer(instance, rows).row].push_back(instance);
        }
    }

    // The device's side of the region.
    Header<G> &shared() const { return *shared_; }

    // Publishes one buffer of `row`, of the next producer that has an empty one; false if there is none, no room for
    // it, or a gate is shut. Asks for a freeze once per wait.
    bool publish(uint32_t row, uint64_t published_ns = 0) {
        Row &at = at_[row];
        DfxBackpressureHeader &gates = shared_->backpressure;
        if (load(gates.rq_freeze_active) != 0 || load(gates.fq_freeze_active) != 0) {
            return false;
        }
        const uint32_t tail = shared_->queue_tails[row];
        const uint32_t next = tail + 1 == G::kReady ? 0 : tail + 1;
        if (next == load(shared_->queue_heads[row])) {
            return ask(at, gates.rq_contended);
        }
        for (size_t tried = 0; tried < producers_[row].size(); ++tried) {
            const uint32_t instance = producers_[row][at.next];
            at.next = at.next + 1 == producers_[row].size() ? 0 : at.next + 1;
            auto &free_queue = shared_->free_queues[instance];
            const uint32_t head = free_queue.head;
            if (head == load(free_queue.tail)) {
                continue;
            }
            const uint64_t buffer = free_queue.buffer_ptrs[head % G::kSlots];
            store(free_queue.head, head + 1);
            __atomic_store_n(reinterpret_cast<uint64_t *>(buffer), uint64_t{tail}, __ATOMIC_RELAXED);
            shared_->queues[row][tail] =
                Entry{buffer, static_cast<uint32_t>(G::producer(instance, rows_).kind), instance, published_ns, 0};
            store(shared_->queue_tails[row], next);
            at.waits = false;
            return true;
        }
        return ask(at, gates.fq_contended);
    }

    // Publishes `count` buffers on every row, as fast as they are taken.
    void flood(uint64_t count) {
        std::array<uint64_t, kRows> left{};
        std::fill_n(left.begin(), rows_, count);
        for (uint32_t open = rows_; open != 0;) {
            bool any = false;
            for (uint32_t row = 0; row < rows_; ++row) {
                if (left[row] != 0 && publish(row)) {
                    any = true;
                    open -= --left[row] == 0 ? 1 : 0;
                }
            }
            if (!any) {
                std::this_thread::yield();
            }
        }
    }

  private:
    static uint32_t load(const volatile uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
    static void store(volatile uint32_t &word, uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

    struct Row {
        size_t next = 0;    // producer
        bool waits = false; // and has said so
    };

    static bool ask(Row &row, volatile uint32_t &contended) {
        if (!row.waits) {
            row.waits = true;
            store(contended, 1);
        }
        return false;
    }

    Header<G> *const shared_;
    const uint32_t rows_;
    std::array<std::vector<uint32_t>, kRows> producers_;
    std::array<Row, kRows> at_{};
};

// The shared region: one header, or the device's and the host's where they do not share memory.
template <typename G> struct Region {
    explicit Region(DeviceMemory &memory)
        : dev_owner(new Header<G>()), host_owner(memory.shadowed() ? new Header<G>() : nullptr), dev(dev_owner.get()),
          host(memory.shadowed() ? host_owner.get() : dev) {}

    const std::unique_ptr<Header<G>> dev_owner;
    const std::unique_ptr<Header<G>> host_owner;
    Header<G> *const dev;
    Header<G> *const host;
};

// What travels with a buffer.
struct Site {
    const void *host;
    uint64_t published_ns;
};

// lanepipe, at its defaults but for what a caller sets in `config` before the start.
template <typename G> class Ours {
  public:
    Ours(uint32_t rows, bool shadowed = false)
        : memory(shadowed), region_(memory), device(region_.dev, rows), rows_(rows) {
        lanepipe::PoolConfig geometry;
        geometry.shards = rows;
        geometry.kinds = G::kKinds;
        geometry.ready_capacity = G::kReady;
        geometry.done_capacity = G::kDone;
        geometry.recycled_capacity = G::kLane;
        lanepipe::Error error;
        require_ok(Pool::create(geometry, pool_, &error).value(), error.message());
        lanepipe::Memory calls = lanepipe::memory_of(memory);
        if (shadowed) {
            calls.register_memory = nullptr;
        } else {
            calls.copy_to_device = nullptr;
            calls.copy_from_device = nullptr;
        }
        calls.shm_dev = region_.dev;
        calls.shm_host = region_.host;
        calls.shm_size = sizeof(Header<G>);
        require_ok(pool_.set_memory(calls).value(), "set_memory");
        Header<G> &shared = *region_.host;
        for (uint32_t row = 0; row < rows; ++row) {
            queues_.push_back({shared.queues[row], word(shared.queue_heads[row]), word(shared.queue_tails[row]),
                               G::kReady, sizeof(Entry), offsetof(Entry, buffer_ptr), 0});
        }
        for (uint32_t instance = 0; instance < G::kInstances; ++instance) {
            auto &at = shared.free_queues[instance];
            const Producer producer = G::producer(instance, rows);
            instances_.push_back({{word(at.head), word(at.tail), const_cast<uint64_t *>(at.buffer_ptrs), G::kSlots, 0},
                                  static_cast<uint32_t>(producer.kind),
                                  producer.row});
        }
        for (int kind = 0; kind < G::kKinds; ++kind) {
            kinds_.push_back({G::buffer_size(kind), static_cast<uint32_t>(G::batch_size(kind)),
                              static_cast<uint32_t>(G::warm_target(kind, static_cast<int>(rows))), 0, 0});
        }
        config.queue_count = rows;
        config.queues = queues_.data();
        config.instance_count = G::kInstances;
        config.instances = instances_.data();
        config.kind_count = G::kKinds;
        config.kinds = kinds_.data();
        config.collect_batch = 16;
        DfxBackpressureHeader &gates = shared.backpressure;
        config.gates = {word(gates.rq_freeze_active), word(gates.rq_contended), word(gates.fq_freeze_active),
                        word(gates.fq_contended)};
    }

    // Lets the lanes hold as many buffers together as the device's free queues do. The reference's pool grows far
    // beyond that by itself under load; lanepipe's does not unless it is told to. Before the start.
    void warm_lanes() {
        for (uint32_t kind = 0; kind < kinds_.size(); ++kind) {
            const auto holds = [&](const lanepipe_instance_t &instance) { return instance.kind == kind; };
            const auto producers = static_cast<uint32_t>(std::count_if(instances_.begin(), instances_.end(), holds));
            const uint32_t share = (producers * G::kSlots + rows_ - 1) / rows_;
            kinds_[kind].warm_target = std::max(kinds_[kind].warm_target, share);
        }
    }

    void start() {
        lanepipe::Error error;
        require_ok(lanepipe::Profiler::create(pool_, config, *this, *this, profiler_, &error).value(), error.message());
        require_ok(profiler_.start().value(), "start");
    }

    void stop() {
        threads.forget();
        require_ok(profiler_.stop().value(), "stop");
        // Every buffer is in one place after a run, or the figure is that of a broken pipeline.
        lanepipe::Audit audit;
        require_ok(pool_.audit(audit).value(), "audit");
    }

    // The handler of the profiler.
    void resolve(uint32_t, const lanepipe_entry_t *entries, size_t count, lanepipe::Sites<Site> sites) {
        for (size_t at = 0; at < count; ++at) {
            Entry entry;
            std::memcpy(&entry, entries[at].bytes, sizeof entry);
            sites.accept(at, entry.instance, G::buffer_size(static_cast<int>(entry.kind)),
                         Site{entries[at].host, entry.published_ns});
        }
    }
    void collect(uint32_t shard, const lanepipe_buffer_t *, const Site *payloads, size_t count) {
        for (size_t at = 0; at < count; ++at) {
            sink.take(shard, payloads[at].host, payloads[at].published_ns);
        }
    }

    // Its thread factory.
    int32_t create(uint32_t role, uint32_t index, lanepipe_thread_entry_fn_t entry, void *argument, void **thread) {
        const int32_t status = factory_.create(role, index, entry, argument, thread);
        if (status == 0) {
            threads.add(*static_cast<std::thread *>(*thread));
        }
        return status;
    }
    void join(void *thread) { factory_.join(thread); }

    DeviceMemory memory;

  private:
    using Pool = lanepipe::Pool<Site>;

    static uint32_t *word(volatile uint32_t &at) { return const_cast<uint32_t *>(&at); }

    Region<G> region_;

  public:
    Device<G> device;
    Sink sink;
    HostThreads threads;
    lanepipe::ProfilerConfig config;

  private:
    const uint32_t rows_;
    std::vector<lanepipe_ready_queue_t> queues_;
    std::vector<lanepipe_instance_t> instances_;
    std::vector<lanepipe_kind_t> kinds_;
    lanepipe::ThreadFactory factory_;
    Pool pool_;
    lanepipe::Profiler profiler_;
};

struct ReadyInfo {
    void *dev_buffer_ptr;
    void *host_buffer_ptr;
    int kind;
    uint64_t published_ns;
};

// The subsystem as the reference wants it described.
template <typename G> struct Module {
    using DataHeader = Header<G>;
    using ReadyEntry = Entry;
    using ReadyBufferInfo = ReadyInfo;
    using FreeQueue = bench::FreeQueue<G::kSlots>;

    static constexpr int kBufferKinds = G::kKinds;
    static constexpr int kMaxCollectorThreads = kRows;
    static constexpr uint32_t kReadyQueueSize = G::kReady;
    static constexpr size_t kHostPoolQueueSize = G::kDone;
    static constexpr size_t kHostRecycledQueueSize = G::kLane;
    static constexpr uint32_t kSlotCount = G::kSlots;
    static constexpr const char *kSubsystemName = G::kName;

    // How many rows are in use: a module has no object to keep it in.
    static inline uint32_t rows = kRows;

    static DataHeader *header_from_shm(void *shm_host) { return static_cast<DataHeader *>(shm_host); }
    static int batch_size(int kind) { return G::batch_size(kind); }
    static int recycled_warm_target(int kind, int shard_count) { return G::warm_target(kind, shard_count); }
    static int kind_of(const ReadyBufferInfo &info) { return info.kind; }

    static std::optional<profiling_common::EntrySite<Module>> resolve_entry(void *, DataHeader *header, int,
                                                                            const ReadyEntry &entry) {
        const int kind = static_cast<int>(entry.kind);
        const ReadyInfo info{reinterpret_cast<void *>(entry.buffer_ptr), nullptr, kind, entry.published_ns};
        return profiling_common::EntrySite<Module>{kind, &header->free_queues[entry.instance], G::buffer_size(kind),
                                                   info};
    }

    template <typename Cb> static void for_each_instance(void *, DataHeader *header, Cb &&cb) {
        for (uint32_t instance = 0; instance < G::kInstances; ++instance) {
            const int kind = G::producer(instance, rows).kind;
            cb(kind, &header->free_queues[instance], G::buffer_size(kind));
        }
    }
};

template <typename G>
class ReferenceCollector : public profiling_common::ProfilerBase<ReferenceCollector<G>, Module<G>> {
  public:
    static constexpr int kIdleTimeoutSec = 30;
    static constexpr const char *kSubsystemName = G::kName;

    explicit ReferenceCollector(Sink &sink) : sink_(sink) {}

    void on_buffer_collected(const ReadyInfo &info, int shard) {
        sink_.take(static_cast<size_t>(shard), info.host_buffer_ptr, info.published_ns);
    }

  private:
    Sink &sink_;
};

template <typename G> class Reference {
  public:
    Reference(uint32_t rows, bool shadowed = false)
        : memory(shadowed), region_(memory), device(region_.dev, rows),
          collector_(std::make_unique<ReferenceCollector<G>>(sink)) {
        Module<G>::rows = rows;
        collector_->set_aicpu_thread_num(static_cast<int>(rows));
        std::function<int(void *, const void *, size_t)> copy;
        if (shadowed) {
            copy = &DeviceMemory::copy;
        }
        // Registration is a plain function there, and so counts for whatever memory is in use.
        current = &memory;
        collector_->set_memory_context([this](size_t size) { return memory.alloc(size); },
                                       shadowed ? nullptr : &register_current, nullptr, copy, copy, region_.dev,
                                       region_.host, sizeof(Header<G>), 0);
    }

    ~Reference() {
        collector_->manager().release_all_owned([](void *) {});
    }

    void start() {
        collector_->start([this](std::function<void()> body) {
            std::thread thread(std::move(body));
            threads.add(thread);
            return thread;
        });
    }

    void stop() {
        threads.forget();
        collector_->stop();
    }

    DeviceMemory memory;

  private:
    static inline DeviceMemory *current = nullptr;
    static int register_current(void *dev, size_t size, int device_id, void **host) {
        return current->register_memory(dev, size, device_id, host);
    }

    Region<G> region_;

  public:
    Device<G> device;
    Sink sink;
    HostThreads threads;

  private:
    std::unique_ptr<ReferenceCollector<G>> collector_;
};

// Makes one pipeline after the other.
template <typename Pipeline, typename Body> double with(uint32_t rows, Body &&body) {
    const auto pipeline = std::make_unique<Pipeline>(rows);
    pipeline->start();
    const double figure = body(*pipeline);
    pipeline->stop();
    return figure;
}

// What `body` returns in a process of its own. The reference looks addresses up while it registers others, as the C++
// runtime does, and crashes by it now and then; where it `may_crash`, such a run is repeated.
template <typename Sample, typename Body> Sample in_a_process(bool may_crash, Body &&body) {
    static_assert(std::is_trivially_copyable_v<Sample>);
    for (int attempt = 0; attempt < 5; ++attempt) {
        int ends[2];
        require(pipe(ends) == 0, "no pipe");
        const pid_t child = fork();
        require(child >= 0, "no process");
        if (child == 0) {
            const Sample sample = body();
            std::_Exit(write(ends[1], &sample, sizeof sample) == static_cast<ssize_t>(sizeof sample) ? 0 : 1);
        }
        close(ends[1]);
        Sample sample{};
        const bool came = read(ends[0], &sample, sizeof sample) == static_cast<ssize_t>(sizeof sample);
        close(ends[0]);
        int status = 0;
        require(waitpid(child, &status, 0) == child, "a process was lost");
        if (came && status == 0) {
            return sample;
        }
        require(may_crash && WIFSIGNALED(status), "a run failed");
        std::printf("the reference crashed\n");
    }
    require(false, "the reference crashes each time");
    return {};
}

inline void sleep_us(double us) { std::this_thread::sleep_for(std::chrono::duration<double, std::micro>(us)); }

inline double percentile(std::vector<double> values, double part) {
    require(!values.empty(), "nothing was measured");
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<size_t>(part * static_cast<double>(values.size())))];
}

} // namespace bench

#endif // LANEPIPE_TESTS_BENCH_PIPELINE_H_
