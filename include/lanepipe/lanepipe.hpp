// SPDX-License-Identifier: MIT OR Apache-2.0
//
// lanepipe for C++17: thin, header-only RAII over lanepipe.h.
//
// Needs neither exceptions nor RTTI, allocates nothing of its own (but for the threads of ThreadFactory), and adds no
// state: `capi()` gives the raw handle, and C and C++ calls can be mixed. Argument order, thread rules and meaning of
// every call are those of the C function that it forwards to; outputs come last and are written as that function says.
#ifndef LANEPIPE_LANEPIPE_HPP_
#define LANEPIPE_LANEPIPE_HPP_

#include "base.hpp"
#include "mailbox.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(LANEPIPE_HOST)
#include <chrono>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#endif

namespace lanepipe {

#if defined(LANEPIPE_HOST)

using PoolConfig = Sized<lanepipe_pool_config_t>;
using Memory = Sized<lanepipe_memory_t>;
using Audit = Sized<lanepipe_pool_audit_t>;
using ProfilerConfig = Sized<lanepipe_profiler_config_t>;
using QueueStats = Sized<lanepipe_queue_stats_t>;
using ShardStats = Sized<lanepipe_shard_stats_t>;
using GateStats = Sized<lanepipe_gate_stats_t>;
using Fault = Sized<lanepipe_fault_t>;

// A time limit. Durations convert; negative ones are 0.
class Timeout {
  public:
    template <typename Rep, typename Period>
    constexpr Timeout(std::chrono::duration<Rep, Period> limit) noexcept
        : ns_(limit.count() < 0
                  ? 0
                  : static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(limit).count())) {}

    static constexpr Timeout forever() noexcept { return Timeout(LANEPIPE_FOREVER); }

    constexpr uint64_t ns() const noexcept { return ns_; }

  private:
    explicit constexpr Timeout(uint64_t ns) noexcept : ns_(ns) {}
    uint64_t ns_;
};

// The payload of pools whose elements carry none.
struct NoPayload {};

template <typename Payload> constexpr uint32_t payload_size() noexcept {
    static_assert(std::is_trivially_copyable_v<Payload>, "payloads cross the C interface as bytes");
    if constexpr (std::is_same_v<Payload, NoPayload>) {
        return 0;
    } else {
        static_assert(sizeof(Payload) % 8 == 0, "the size of a payload is a multiple of 8");
        static_assert(alignof(Payload) <= 8, "payloads are aligned to 8");
        static_assert(sizeof(Payload) <= LANEPIPE_MAX_PAYLOAD, "payload above LANEPIPE_MAX_PAYLOAD");
        return static_cast<uint32_t>(sizeof(Payload));
    }
}

// Answers of a handler's `resolve`, one for each entry. An entry that is not answered is rejected.
template <typename Payload> class Sites {
  public:
    Sites(lanepipe_site_t *sites, size_t count) noexcept : sites_(sites), count_(count) {}

    size_t size() const noexcept { return count_; }

    // Entry `i` was published by `instance`; `content_size` bytes of its buffer are wanted on the host.
    void accept(size_t i, uint32_t instance, size_t content_size, const Payload &payload = Payload()) const noexcept {
        sites_[i].instance = instance;
        sites_[i].content_size = content_size;
        if constexpr (payload_size<Payload>() != 0) {
            std::memcpy(sites_[i].payload, &payload, sizeof(Payload));
        }
    }

    void reject(size_t i) const noexcept { sites_[i].instance = LANEPIPE_REJECT; }

    lanepipe_site_t *capi() const noexcept { return sites_; }

  private:
    lanepipe_site_t *sites_;
    size_t count_;
};

namespace detail {

template <typename T, typename = void> struct HasRegister : std::false_type {};
template <typename T>
struct HasRegister<T, std::void_t<decltype(std::declval<T &>().register_memory(
                          nullptr, size_t{}, int32_t{}, std::declval<void **>()))>> : std::true_type {};

template <typename T, typename = void> struct HasFree : std::false_type {};
template <typename T>
struct HasFree<T, std::void_t<decltype(std::declval<T &>().free_memory(nullptr))>> : std::true_type {};

template <typename T, typename = void> struct HasCopies : std::false_type {};
template <typename T>
struct HasCopies<T, std::void_t<decltype(std::declval<T &>().copy_to_device(nullptr, nullptr, size_t{})),
                                decltype(std::declval<T &>().copy_from_device(nullptr, nullptr, size_t{}))>>
    : std::true_type {};

template <typename T, typename = void> struct HasKindOf : std::false_type {};
template <typename T> struct HasKindOf<T, std::void_t<decltype(&T::kind_of)>> : std::true_type {};

template <typename T, typename = void> struct HasReleaseReady : std::false_type {};
template <typename T>
struct HasReleaseReady<T, std::void_t<decltype(std::declval<T &>().release_ready())>> : std::true_type {};

template <typename T, typename = void> struct HasRefresh : std::false_type {};
template <typename T> struct HasRefresh<T, std::void_t<decltype(std::declval<T &>().refresh())>> : std::true_type {};

template <typename T, typename = void> struct HasIdle : std::false_type {};
template <typename T>
struct HasIdle<T, std::void_t<decltype(std::declval<T &>().idle(uint32_t{}))>> : std::true_type {};

template <typename T> struct MemoryCalls {
    static void *alloc(void *context, size_t size) noexcept { return static_cast<T *>(context)->alloc(size); }
    static int32_t enroll(void *context, void *dev, size_t size, int32_t device_id, void **host) noexcept {
        return static_cast<T *>(context)->register_memory(dev, size, device_id, host);
    }
    static int32_t release(void *context, void *dev) noexcept { return static_cast<T *>(context)->free_memory(dev); }
    static int32_t to_device(void *context, void *dst, const void *src, size_t size) noexcept {
        return static_cast<T *>(context)->copy_to_device(dst, src, size);
    }
    static int32_t from_device(void *context, void *dst, const void *src, size_t size) noexcept {
        return static_cast<T *>(context)->copy_from_device(dst, src, size);
    }
};

template <typename Handler, typename Payload> struct HandlerCalls {
    static void resolve(void *context, uint32_t queue, const lanepipe_entry_t *entries, size_t count,
                        lanepipe_site_t *sites) noexcept {
        for (size_t i = 0; i < count; ++i) {
            sites[i].instance = LANEPIPE_REJECT;
        }
        static_cast<Handler *>(context)->resolve(queue, entries, count, Sites<Payload>(sites, count));
    }
    static void collect(void *context, uint32_t shard, const lanepipe_buffer_t *buffers, const void *payloads,
                        size_t count) noexcept {
        static_cast<Handler *>(context)->collect(shard, buffers, static_cast<const Payload *>(payloads), count);
    }
    static uint32_t kind_of(void *context, uint32_t shard, const lanepipe_buffer_t *buffer,
                            const void *payload) noexcept {
        return static_cast<Handler *>(context)->kind_of(shard, *buffer, *static_cast<const Payload *>(payload));
    }
    static uint32_t release_ready(void *context) noexcept {
        return static_cast<Handler *>(context)->release_ready() ? 1 : 0;
    }
    static void refresh(void *context) noexcept { static_cast<Handler *>(context)->refresh(); }
    static void idle(void *context, uint32_t shard) noexcept { static_cast<Handler *>(context)->idle(shard); }
};

template <typename Threads> struct ThreadCalls {
    static int32_t create(void *context, uint32_t role, uint32_t index, lanepipe_thread_entry_fn_t entry,
                          void *argument, void **thread) noexcept {
        return static_cast<Threads *>(context)->create(role, index, entry, argument, thread);
    }
    static void join(void *context, void *thread) noexcept { static_cast<Threads *>(context)->join(thread); }
};

template <typename Sink> struct SinkCalls {
    static void write(void *context, uint32_t level, const char *message) noexcept {
        static_cast<Sink *>(context)->write(level, message);
    }
};

inline Status check_abi(Error *error) noexcept {
    if (abi_matches()) {
        return LANEPIPE_OK;
    }
    if (error != nullptr) {
        error->set(LANEPIPE_E_VERSION, "header and library have different ABI versions");
    }
    return LANEPIPE_E_VERSION;
}

} // namespace detail

// A sink for PoolConfig::log and set_global_log. `sink` has `void write(uint32_t level, const char *message)`, called
// from several threads at once, and outlives its use.
template <typename Sink> lanepipe_log_sink_t log_sink(Sink &sink, uint32_t max_level = LANEPIPE_LOG_WARN) noexcept {
    lanepipe_log_sink_t raw{};
    raw.write = &detail::SinkCalls<Sink>::write;
    raw.context = &sink;
    raw.max_level = max_level;
    return raw;
}

inline Status set_global_log(const lanepipe_log_sink_t *sink) noexcept { return lanepipe_log_set_global(sink); }

// Callbacks of `device` for Pool::set_memory. Members used: `void *alloc(size_t)`; optional
// `int32_t register_memory(void *dev, size_t size, int32_t device_id, void **host)` and `int32_t free_memory(void
// *dev)`; both or neither of `int32_t copy_to_device(void *, const void *, size_t)` and `copy_from_device`. The caller
// sets the shared region, and takes single callbacks out by setting them to null.
template <typename Device> Memory memory_of(Device &device) noexcept {
    using Calls = detail::MemoryCalls<Device>;
    Memory memory;
    memory.context = &device;
    memory.alloc = &Calls::alloc;
    if constexpr (detail::HasRegister<Device>::value) {
        memory.register_memory = &Calls::enroll;
    }
    if constexpr (detail::HasFree<Device>::value) {
        memory.free_memory = &Calls::release;
    }
    if constexpr (detail::HasCopies<Device>::value) {
        memory.copy_to_device = &Calls::to_device;
        memory.copy_from_device = &Calls::from_device;
    }
    return memory;
}

// Owns a pool whose ready elements carry a Payload. Move-only. An empty one (default, moved from) can only be asked,
// destroyed or assigned to; calls on it give LANEPIPE_E_NULL.
template <typename Payload = NoPayload> class Pool {
  public:
    Pool() noexcept = default;
    Pool(Pool &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Pool &operator=(Pool &&other) noexcept {
        if (this != &other) {
            (void)destroy();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    // Profilers on the pool must be gone; a pool that is still used is leaked rather than pulled from under its
    // threads.
    ~Pool() { (void)destroy(); }

    // `config.payload_size` is overwritten. `pool` is replaced on success only.
    static Status create(const PoolConfig &config, Pool &pool, Error *error = nullptr) noexcept {
        if (Status status = detail::check_abi(error); !status.ok()) {
            return status;
        }
        PoolConfig typed = config;
        typed.payload_size = payload_size<Payload>();
        lanepipe_pool_t *raw = nullptr;
        const Status status = lanepipe_pool_create(&typed, error != nullptr ? error->capi() : nullptr, &raw);
        if (status.ok()) {
            pool = Pool(raw);
        }
        return status;
    }

    // Destroys the pool now. LANEPIPE_BUSY leaves it as it was.
    Status destroy() noexcept {
        const Status status = lanepipe_pool_destroy(raw_);
        if (status.ok()) {
            raw_ = nullptr;
        }
        return status;
    }

    explicit operator bool() const noexcept { return raw_ != nullptr; }
    lanepipe_pool_t *capi() const noexcept { return raw_; }

    Status set_memory(const Memory &memory) noexcept { return lanepipe_pool_set_memory(raw_, &memory); }
    Status set_shards(uint32_t shards) noexcept { return lanepipe_pool_set_shards(raw_, shards); }
    Status get_shards(uint32_t &shards) const noexcept { return lanepipe_pool_get_shards(raw_, &shards); }
    Status set_warm_target(uint32_t kind, uint32_t target) noexcept {
        return lanepipe_pool_set_warm_target(raw_, kind, target);
    }

    Status push_ready(uint32_t shard, const lanepipe_buffer_t *buffers, const Payload *payloads, size_t count,
                      size_t &pushed) noexcept {
        return lanepipe_pool_push_ready(raw_, shard, buffers, payloads, count, &pushed);
    }
    Status push_ready(uint32_t shard, const lanepipe_buffer_t *buffers, const Payload *payloads, size_t count,
                      Timeout timeout, size_t &pushed) noexcept {
        return lanepipe_pool_wait_push_ready(raw_, shard, buffers, payloads, count, timeout.ns(), &pushed);
    }
    Status pop_ready(uint32_t shard, lanepipe_buffer_t *buffers, Payload *payloads, size_t max,
                     size_t &count) noexcept {
        return lanepipe_pool_pop_ready(raw_, shard, buffers, payloads, max, &count);
    }
    Status pop_ready(uint32_t shard, lanepipe_buffer_t *buffers, Payload *payloads, size_t max, Timeout timeout,
                     size_t &count) noexcept {
        return lanepipe_pool_wait_pop_ready(raw_, shard, buffers, payloads, max, timeout.ns(), &count);
    }
    Status push_done(uint32_t shard, const lanepipe_buffer_t *buffers, size_t count, size_t &pushed) noexcept {
        return lanepipe_pool_push_done(raw_, shard, buffers, count, &pushed);
    }
    Status pop_done(uint32_t shard, lanepipe_buffer_t *buffers, size_t max, size_t &count) noexcept {
        return lanepipe_pool_pop_done(raw_, shard, buffers, max, &count);
    }
    Status recycle_done(uint32_t shard, size_t &moved) noexcept {
        return lanepipe_pool_recycle_done(raw_, shard, &moved);
    }
    Status push_recycled(uint32_t shard, const lanepipe_buffer_t *buffers, size_t count, size_t &pushed) noexcept {
        return lanepipe_pool_push_recycled(raw_, shard, buffers, count, &pushed);
    }
    Status pop_recycled(uint32_t shard, uint32_t kind, lanepipe_buffer_t *buffers, size_t max, size_t &count) noexcept {
        return lanepipe_pool_pop_recycled(raw_, shard, kind, buffers, max, &count);
    }
    Status retire(uint32_t shard, const lanepipe_buffer_t &buffer) noexcept {
        return lanepipe_pool_retire(raw_, shard, &buffer);
    }
    Status quarantine(uint32_t shard, const lanepipe_buffer_t &buffer) noexcept {
        return lanepipe_pool_quarantine(raw_, shard, &buffer);
    }
    Status take_retired(uint32_t shard, uint32_t kind, lanepipe_buffer_t &buffer) noexcept {
        return lanepipe_pool_take_retired(raw_, shard, kind, &buffer);
    }
    Status recirculate(size_t &placed) noexcept { return lanepipe_pool_recirculate(raw_, &placed); }
    Status get_recycled(uint32_t shard, uint32_t kind, size_t &count) const noexcept {
        return lanepipe_pool_get_recycled(raw_, shard, kind, &count);
    }
    Status allocate(uint32_t kind, size_t buffer_size, uint32_t count, uint32_t shard, size_t &placed) noexcept {
        return lanepipe_pool_allocate(raw_, kind, buffer_size, count, shard, &placed);
    }
    Status allocate_block(size_t size, void *&dev, void *&host) noexcept {
        return lanepipe_pool_allocate_block(raw_, size, &dev, &host);
    }
    Status map_block(void *dev, void *host, size_t size) noexcept {
        return lanepipe_pool_map_block(raw_, dev, host, size);
    }
    Status register_buffer(void *dev, void *host, uint32_t kind, uint32_t *id = nullptr) noexcept {
        return lanepipe_pool_register(raw_, dev, host, kind, id);
    }
    Status resolve(const void *const *dev, size_t count, lanepipe_resolved_t *resolved) const noexcept {
        return lanepipe_pool_resolve(raw_, dev, count, resolved);
    }

    Status get_base(const void *dev, void *&base) const noexcept { return lanepipe_pool_get_base(raw_, dev, &base); }
    Status claim(const void *dev, void *&base) noexcept { return lanepipe_pool_claim(raw_, dev, &base); }
    Status adopt_shadow(void *host) noexcept { return lanepipe_pool_adopt_shadow(raw_, host); }
    Status free(void *dev) noexcept { return lanepipe_pool_free(raw_, dev); }

    // Calls `release(base)` once for each allocation of which a buffer is in a queue, and empties the queues.
    template <typename Release> Status release_queued(Release &&release) noexcept {
        using Fn = std::remove_reference_t<Release>;
        return lanepipe_pool_release_queued(raw_, &call_release<Fn>, address_of(release));
    }
    // Calls `release(base)` once for each allocation that the pool knows, then forgets all of them.
    template <typename Release> Status release_all(Release &&release) noexcept {
        using Fn = std::remove_reference_t<Release>;
        return lanepipe_pool_release_all(raw_, &call_release<Fn>, address_of(release));
    }
    Status clear_mappings() noexcept { return lanepipe_pool_clear_mappings(raw_); }

    Status write_shared(const void *host_field, size_t size) noexcept {
        return lanepipe_pool_write_shared(raw_, host_field, size);
    }
    Status read_shared(void *host_field, size_t size) noexcept {
        return lanepipe_pool_read_shared(raw_, host_field, size);
    }
    Status audit(Audit &audit) const noexcept { return lanepipe_pool_audit(raw_, &audit); }

  private:
    explicit Pool(lanepipe_pool_t *raw) noexcept : raw_(raw) {}

    template <typename Fn> static void call_release(void *context, void *base) noexcept {
        (*static_cast<Fn *>(context))(base);
    }
    template <typename Fn> static void *address_of(Fn &function) noexcept {
        return const_cast<void *>(static_cast<const void *>(std::addressof(function)));
    }

    lanepipe_pool_t *raw_ = nullptr;
};

// Runs a thread's body and nothing else.
struct RunBody {
    template <typename Body> void operator()(uint32_t, uint32_t, Body &&body) const noexcept { body(); }
};

// Makes threads of std::thread for a profiler, which it outlives. On each new thread `around(role, index, body)` is
// called, from several threads at once: the place to bind a device context or to name the thread; it calls `body()`
// once.
template <typename Around = RunBody> class BasicThreadFactory {
  public:
    BasicThreadFactory() = default;
    explicit BasicThreadFactory(Around around) : around_(std::move(around)) {}

    int32_t create(uint32_t role, uint32_t index, lanepipe_thread_entry_fn_t entry, void *argument,
                   void **thread) noexcept {
        const auto run = [this, role, index, entry, argument] {
            around_(role, index, [entry, argument] { entry(argument); });
        };
#if defined(__cpp_exceptions)
        // std::thread reports failure by exception only.
        try {
            *thread = new std::thread(run);
            return 0;
        } catch (...) {
            return -1;
        }
#else
        std::thread *created = new (std::nothrow) std::thread(run);
        if (created == nullptr) {
            return -1;
        }
        *thread = created;
        return 0;
#endif
    }

    void join(void *thread) noexcept {
        std::thread *created = static_cast<std::thread *>(thread);
        created->join();
        delete created;
    }

  private:
    Around around_;
};

using ThreadFactory = BasicThreadFactory<>;

// Owns a profiler. Move-only. The pool, the handler and the thread factory outlive it.
class Profiler {
  public:
    Profiler() noexcept = default;
    Profiler(Profiler &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Profiler &operator=(Profiler &&other) noexcept {
        if (this != &other) {
            reset();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    Profiler(const Profiler &) = delete;
    Profiler &operator=(const Profiler &) = delete;

    // Stops without time limit: threads that call into the handler must not outlive it.
    ~Profiler() { reset(); }

    // `handler` has, called as `lanepipe_resolve_fn_t` and `lanepipe_collect_fn_t` say,
    //   void resolve(uint32_t queue, const lanepipe_entry_t *entries, size_t count, Sites<Payload> sites);
    //   void collect(uint32_t shard, const lanepipe_buffer_t *buffers, const Payload *payloads, size_t count);
    // and may have
    //   uint32_t kind_of(uint32_t shard, const lanepipe_buffer_t &buffer, const Payload &payload);
    //   bool release_ready();
    //   void refresh();
    //   void idle(uint32_t shard);
    // `threads` has `create` and `join` as ThreadFactory has them. Neither may throw. Contexts and callbacks in
    // `config` are overwritten. `profiler` is replaced on success only.
    template <typename Payload, typename Handler, typename Threads>
    static Status create(Pool<Payload> &pool, const ProfilerConfig &config, Handler &handler, Threads &threads,
                         Profiler &profiler, Error *error = nullptr) noexcept {
        if (Status status = detail::check_abi(error); !status.ok()) {
            return status;
        }
        ProfilerConfig bound = config;
        bound.context = &handler;
        bound.resolve = &detail::HandlerCalls<Handler, Payload>::resolve;
        bound.collect = &detail::HandlerCalls<Handler, Payload>::collect;
        bound.kind_of = nullptr;
        bound.release_ready = nullptr;
        bound.refresh = nullptr;
        bound.idle = nullptr;
        if constexpr (detail::HasKindOf<Handler>::value) {
            bound.kind_of = &detail::HandlerCalls<Handler, Payload>::kind_of;
        }
        if constexpr (detail::HasReleaseReady<Handler>::value) {
            bound.release_ready = &detail::HandlerCalls<Handler, Payload>::release_ready;
        }
        if constexpr (detail::HasRefresh<Handler>::value) {
            bound.refresh = &detail::HandlerCalls<Handler, Payload>::refresh;
        }
        if constexpr (detail::HasIdle<Handler>::value) {
            bound.idle = &detail::HandlerCalls<Handler, Payload>::idle;
        }
        bound.thread_context = &threads;
        bound.thread_create = &detail::ThreadCalls<Threads>::create;
        bound.thread_join = &detail::ThreadCalls<Threads>::join;
        lanepipe_profiler_t *raw = nullptr;
        const Status status =
            lanepipe_profiler_create(pool.capi(), &bound, error != nullptr ? error->capi() : nullptr, &raw);
        if (status.ok()) {
            profiler = Profiler(raw);
        }
        return status;
    }

    Status add_instance(const lanepipe_instance_t &instance, size_t buffer_size, uint32_t &index) noexcept {
        return lanepipe_profiler_add_instance(raw_, &instance, buffer_size, &index);
    }

    Status start() noexcept { return lanepipe_profiler_start(raw_); }
    Status stop(Timeout timeout = Timeout::forever()) noexcept { return lanepipe_profiler_stop(raw_, timeout.ns()); }

    // Destroys a stopped profiler now. LANEPIPE_BUSY leaves it as it was.
    Status destroy() noexcept {
        const Status status = lanepipe_profiler_destroy(raw_);
        if (status.ok()) {
            raw_ = nullptr;
        }
        return status;
    }

    explicit operator bool() const noexcept { return raw_ != nullptr; }
    lanepipe_profiler_t *capi() const noexcept { return raw_; }

    Status get_state(uint32_t &state) const noexcept { return lanepipe_profiler_get_state(raw_, &state); }
    Status get_queue_stats(uint32_t queue, QueueStats &stats) const noexcept {
        return lanepipe_profiler_get_queue_stats(raw_, queue, &stats);
    }
    Status get_shard_stats(uint32_t shard, ShardStats &stats) const noexcept {
        return lanepipe_profiler_get_shard_stats(raw_, shard, &stats);
    }
    Status get_gate_stats(GateStats &stats) const noexcept { return lanepipe_profiler_get_gate_stats(raw_, &stats); }
    Status get_fault(Fault &fault) const noexcept { return lanepipe_profiler_get_fault(raw_, &fault); }

  private:
    explicit Profiler(lanepipe_profiler_t *raw) noexcept : raw_(raw) {}

    void reset() noexcept {
        if (raw_ != nullptr) {
            (void)stop();
            (void)destroy();
            raw_ = nullptr;
        }
    }

    lanepipe_profiler_t *raw_ = nullptr;
};

#endif // LANEPIPE_HOST

} // namespace lanepipe

#endif // LANEPIPE_LANEPIPE_HPP_
