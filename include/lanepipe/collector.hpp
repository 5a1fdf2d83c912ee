// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The host half of a profiling subsystem for C++17: RAII over lanepipe_collector_*, as lanepipe.hpp is over the rest.
#ifndef LANEPIPE_COLLECTOR_HPP_
#define LANEPIPE_COLLECTOR_HPP_

#include "lanepipe.hpp"

#if defined(LANEPIPE_HOST)

namespace lanepipe {

using Books = Sized<lanepipe_books_t>;
using CollectorRegion = Sized<lanepipe_collector_region_t>;
using KindInfo = Sized<lanepipe_kind_info_t>;
using Records = Sized<lanepipe_records_t>;

// A configuration that starts zeroed and with all sizes set.
struct CollectorConfig : Sized<lanepipe_collector_config_t> {
    constexpr CollectorConfig() noexcept { memory.struct_size = static_cast<uint32_t>(sizeof memory); }
};

namespace detail {

template <typename Sink> struct SinkCall {
    static void take(void *context, const lanepipe_records_t *records) noexcept {
        static_cast<Sink *>(context)->take(*records);
    }
};

} // namespace detail

// Owns a collector. Move-only. Memory callbacks, thread factory and sink outlive it.
class Collector {
  public:
    Collector() noexcept = default;
    Collector(Collector &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Collector &operator=(Collector &&other) noexcept {
        if (this != &other) {
            reset();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    Collector(const Collector &) = delete;
    Collector &operator=(const Collector &) = delete;

    // Stops without time limit: threads that call into the program must not outlive it.
    ~Collector() { reset(); }

    // Records are stored. `threads` has `create` and `join` as ThreadFactory has them, and may not throw; thread
    // factory and sink in `config` are overwritten. `collector` is replaced on success only.
    template <typename Threads>
    static Status create(const CollectorConfig &config, Threads &threads, Collector &collector,
                         Error *error = nullptr) noexcept {
        CollectorConfig bound = config;
        bound.sink = nullptr;
        bound.sink_context = nullptr;
        return make(bound, threads, collector, error);
    }

    // As above; `sink` takes the records: void take(const lanepipe_records_t &), called as lanepipe_collector_sink_fn_t
    // says.
    template <typename Threads, typename Sink>
    static Status create(const CollectorConfig &config, Threads &threads, Sink &sink, Collector &collector,
                         Error *error = nullptr) noexcept {
        CollectorConfig bound = config;
        bound.sink = &detail::SinkCall<Sink>::take;
        bound.sink_context = &sink;
        return make(bound, threads, collector, error);
    }

    Status start() noexcept { return lanepipe_collector_start(raw_); }
    Status stop(Timeout timeout = Timeout::forever()) noexcept { return lanepipe_collector_stop(raw_, timeout.ns()); }
    Status recover(uint64_t *records = nullptr) noexcept { return lanepipe_collector_recover(raw_, records); }
    Status reconcile() noexcept { return lanepipe_collector_reconcile(raw_); }

    // Destroys a stopped collector now. LANEPIPE_BUSY leaves it as it was.
    Status destroy() noexcept {
        const Status status = lanepipe_collector_destroy(raw_);
        if (status.ok()) {
            raw_ = nullptr;
        }
        return status;
    }

    explicit operator bool() const noexcept { return raw_ != nullptr; }
    lanepipe_collector_t *capi() const noexcept { return raw_; }

    Status get_region(CollectorRegion &region) const noexcept { return lanepipe_collector_get_region(raw_, &region); }
    Status get_kind(uint32_t kind, KindInfo &info) const noexcept {
        return lanepipe_collector_get_kind(raw_, kind, &info);
    }
    Status read(uint32_t kind, uint32_t instance, uint64_t position, Records &records) const noexcept {
        return lanepipe_collector_read(raw_, kind, instance, position, &records);
    }
    Status get_books(Books &books, uint32_t kind = LANEPIPE_ALL_KINDS,
                     uint32_t instance = LANEPIPE_ALL_INSTANCES) const noexcept {
        return lanepipe_collector_get_books(raw_, kind, instance, &books);
    }

    // Calls `visit(const lanepipe_records_t &)` for each stored run of an instance, in order; ends at the first status
    // that is not LANEPIPE_OK, which it returns unless the runs are through.
    template <typename Visit> Status for_each(uint32_t kind, uint32_t instance, Visit &&visit) const {
        Records records;
        for (uint64_t position = 0;; ++position) {
            if (const Status status = read(kind, instance, position, records); !status.ok()) {
                return status == LANEPIPE_EMPTY ? Status() : status;
            }
            visit(static_cast<const lanepipe_records_t &>(records));
        }
    }

    Status get_state(uint32_t &state) const noexcept { return lanepipe_collector_get_state(raw_, &state); }
    Status get_collected(uint64_t &records) const noexcept { return lanepipe_collector_get_collected(raw_, &records); }
    Status get_queue_stats(uint32_t queue, QueueStats &stats) const noexcept {
        return lanepipe_collector_get_queue_stats(raw_, queue, &stats);
    }
    Status get_shard_stats(uint32_t shard, ShardStats &stats) const noexcept {
        return lanepipe_collector_get_shard_stats(raw_, shard, &stats);
    }
    Status get_gate_stats(GateStats &stats) const noexcept { return lanepipe_collector_get_gate_stats(raw_, &stats); }
    Status get_fault(Fault &fault) const noexcept { return lanepipe_collector_get_fault(raw_, &fault); }

  private:
    explicit Collector(lanepipe_collector_t *raw) noexcept : raw_(raw) {}

    template <typename Threads>
    static Status make(CollectorConfig &bound, Threads &threads, Collector &collector, Error *error) noexcept {
        if (Status status = detail::check_abi(error); !status.ok()) {
            return status;
        }
        bound.thread_context = &threads;
        bound.thread_create = &detail::ThreadCalls<Threads>::create;
        bound.thread_join = &detail::ThreadCalls<Threads>::join;
        lanepipe_collector_t *raw = nullptr;
        const Status status = lanepipe_collector_create(&bound, error != nullptr ? error->capi() : nullptr, &raw);
        if (status.ok()) {
            collector = Collector(raw);
        }
        return status;
    }

    void reset() noexcept {
        if (raw_ != nullptr) {
            (void)stop();
            (void)destroy();
            raw_ = nullptr;
        }
    }

    lanepipe_collector_t *raw_ = nullptr;
};

} // namespace lanepipe

#endif // LANEPIPE_HOST

#endif // LANEPIPE_COLLECTOR_HPP_
