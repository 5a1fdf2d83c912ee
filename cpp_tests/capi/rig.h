// A whole pipeline for one case: memory, pool, simulated device, threads, a collector that checks what it gets, and the
// proof at rest that every buffer is in one place.
#ifndef LANEPIPE_TESTS_CAPI_RIG_H_
#define LANEPIPE_TESTS_CAPI_RIG_H_

#include "device.h"

namespace capi {

// What resolve hands to collect; fills a payload of 32 bytes.
struct Payload {
    uint64_t sequence;
    uint64_t host;
    uint32_t instance;
    uint32_t queue;
    uint32_t words;
    uint32_t kind;
};

inline lanepipe_pool_config_t pool_config_of(const Shape &shape) {
    lanepipe_pool_config_t config = pool_config();
    config.shards = shape.pool_shards;
    config.kinds = shape.kinds;
    config.payload_size = shape.payload_size;
    config.ready_capacity = shape.ready_capacity;
    config.done_capacity = shape.done_capacity;
    config.recycled_capacity = shape.recycled_capacity;
    config.flags = shape.flags;
    return config;
}

class Rig {
  public:
    explicit Rig(const Shape &shape)
        : shape(shape), memory(shape.mode, 256 * 1024), pool(pool_config_of(shape)), device(memory, shape),
          next_(device.instances.size()), counts_(device.instances.size()), busy_(shape.pool_shards) {
        pool.use(memory);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_set_shards(pool.get(), shape.shards));
        queues_ = device.host_queues();
        instances_ = device.host_instances();
        kinds_.assign(shape.kinds, {shape.buffer_size, shape.batch_size, shape.warm_target, shape.max_buffers, 0});
    }

    ~Rig() {
        if (profiler != nullptr) {
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_stop(profiler, LANEPIPE_FOREVER));
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_destroy(profiler));
        }
        const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
        EXPECT_EQ(memory.unknown_frees, 0u);
        EXPECT_EQ(memory.live_blocks(), 0u) << "an allocation was forgotten";
        EXPECT_EQ(memory.on_wrong_thread, 0u) << "allocation on a drain, collect or sentinel thread";
        EXPECT_EQ(memory.wide_writes, 0u) << "writes outside the host's words";
        EXPECT_EQ(threads.alive, 0);
    }

    lanepipe_profiler_config_t config() {
        lanepipe_profiler_config_t config{};
        config.struct_size = sizeof config;
        config.queue_count = static_cast<uint32_t>(queues_.size());
        config.instance_count = static_cast<uint32_t>(instances_.size());
        config.kind_count = static_cast<uint32_t>(kinds_.size());
        config.collect_batch = shape.collect_batch;
        config.queues = queues_.data();
        config.instances = instances_.data();
        config.kinds = kinds_.data();
        config.poll_max_ns = shape.poll_max_ns;
        // The interval never grows where a case has the longest one out of reach.
        config.quiet_ns = shape.poll_max_ns;
        config.context = this;
        config.resolve = [](void *self, uint32_t queue, const lanepipe_entry_t *entries, size_t count,
                            lanepipe_site_t *sites) {
            static_cast<Rig *>(self)->resolve(queue, entries, count, sites);
        };
        config.collect = [](void *self, uint32_t shard, const lanepipe_buffer_t *buffers, const void *payloads,
                            size_t count) { static_cast<Rig *>(self)->collect(shard, buffers, payloads, count); };
        config.thread_context = &threads;
        config.thread_create = &Threads::create;
        config.thread_join = &Threads::join;
        return config;
    }

    void create() {
        const lanepipe_profiler_config_t made = config();
        lanepipe_error_t error{};
        error.struct_size = sizeof error;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_profiler_create(pool.get(), &made, &error, &profiler));
        EXPECT_STREQ(error.message, "");
    }
    void start() {
        if (profiler == nullptr)
            create();
        threads.reset();
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_profiler_start(profiler));
    }
    void stop() { EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_stop(profiler, LANEPIPE_FOREVER)); }

    uint32_t state() const {
        uint32_t state = 99;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_get_state(profiler, &state));
        return state;
    }
    lanepipe_queue_stats_t stats(uint32_t queue) const {
        lanepipe_queue_stats_t stats{};
        stats.struct_size = sizeof stats;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_get_queue_stats(profiler, queue, &stats));
        return stats;
    }
    lanepipe_shard_stats_t shard_stats(uint32_t shard) const {
        lanepipe_shard_stats_t stats{};
        stats.struct_size = sizeof stats;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_get_shard_stats(profiler, shard, &stats));
        return stats;
    }
    lanepipe_fault_t fault() const {
        lanepipe_fault_t fault{};
        fault.struct_size = sizeof fault;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_profiler_get_fault(profiler, &fault));
        return fault;
    }
    uint64_t collected() const {
        uint64_t sum = 0;
        for (const auto &count : counts_)
            sum += count.load();
        return sum;
    }
    uint64_t collected(uint32_t instance) const { return counts_[instance]; }
    bool wait_collected(uint64_t count) {
        return eventually([&] { return collected() >= count; });
    }

    // The books of every queue, and of all of them with those of the shards.
    void expect_books() const {
        uint64_t delivered = 0;
        for (uint32_t q = 0; q < shape.queues; ++q) {
            const lanepipe_queue_stats_t at = stats(q);
            EXPECT_EQ(at.taken, at.delivered + at.rejected + at.copy_failed) << "queue " << q;
            delivered += at.delivered;
        }
        uint64_t taken = 0;
        for (uint32_t s = 0; s < shape.pool_shards; ++s)
            taken += shard_stats(s).collected;
        EXPECT_EQ(taken, delivered);
        EXPECT_EQ(collected(), delivered);
    }

    // At rest: the audit agrees with what the device holds and with what all queues give out.
    lanepipe_pool_audit_t expect_conserved() {
        const lanepipe_pool_audit_t audit = audit_of(pool.get());
        EXPECT_EQ(audit.errors, 0u);
        EXPECT_EQ(audit.ready + audit.drain + audit.collect + audit.replenish, 0u) << "held by nobody at rest";
        const std::vector<uint64_t> at_device = device.held();
        std::set<uint64_t> found(at_device.begin(), at_device.end());
        EXPECT_EQ(found.size(), at_device.size()) << "a buffer is at the device twice";
        EXPECT_EQ(audit.device, found.size());
        size_t queued = 0;
        for (uint32_t s = 0; s < shape.shards; ++s)
            for (uint32_t k = 0; k < shape.kinds; ++k)
                queued += visit_lane(s, k, found);
        EXPECT_EQ(found.size(), audit.device + queued) << "a lane holds what is elsewhere too";
        return audit;
    }

    // Bytes of buffers that the device or the host ever got, by kind.
    uint64_t total() { return audit_of(pool.get()).total; }

    const Shape shape;
    Memory memory;
    Pool pool;
    Device device;
    Threads threads;
    lanepipe_profiler_t *profiler = nullptr;
    // Runs in the collect callback before it looks at anything.
    std::function<void(uint32_t shard)> on_collect;
    // Runs in the resolve callback after it filled a site.
    std::function<void(const lanepipe_entry_t &, lanepipe_site_t &)> on_resolve;
    std::atomic<uint64_t> largest_batch{0};
    // A record that is not delivered, by instance and sequence number; the next one in order may follow.
    std::set<std::pair<uint32_t, uint64_t>> may_lack;
    // Any record may be lacking; those that come are in order all the same.
    bool gaps_allowed = false;
    // Buffers may carry no contents of this device.
    bool contents_checked = true;

  private:
    void resolve(uint32_t queue, const lanepipe_entry_t *entries, size_t count, lanepipe_site_t *sites) {
        ASSERT_GE(count, 1u);
        ASSERT_LE(count, size_t{LANEPIPE_MAX_ENTRIES});
        EXPECT_EQ(this_role, uint32_t{LANEPIPE_ROLE_DRAIN});
        for (size_t i = 0; i < count; ++i) {
            Entry entry;
            std::memcpy(&entry, entries[i].bytes, sizeof entry);
            EXPECT_EQ(sites[i].instance, LANEPIPE_REJECT);
            EXPECT_EQ(sites[i].content_size, 0u);
            EXPECT_EQ(entry.buffer, reinterpret_cast<uint64_t>(entries[i].dev));
            const bool own = entry.check == check_of(entry.sequence, entry.buffer, entry.instance) &&
                             entry.instance < device.instances.size();
            if (own) {
                sites[i].instance = entry.instance;
                sites[i].content_size = size_t{entry.words} * 8;
                const Payload payload{entry.sequence, reinterpret_cast<uint64_t>(entries[i].host),
                                      entry.instance, queue,
                                      entry.words,    entries[i].kind};
                const std::vector<char> zeros(shape.payload_size, 0);
                EXPECT_EQ(std::memcmp(sites[i].payload, zeros.data(), zeros.size()), 0);
                std::memcpy(sites[i].payload, &payload, std::min(sizeof payload, size_t{shape.payload_size}));
            }
            if (on_resolve)
                on_resolve(entries[i], sites[i]);
        }
    }

    void collect(uint32_t shard, const lanepipe_buffer_t *buffers, const void *payloads, size_t count) {
        EXPECT_EQ(this_role, uint32_t{LANEPIPE_ROLE_COLLECT});
        EXPECT_LT(shard, shape_shards());
        EXPECT_FALSE(busy_[shard].exchange(true)) << "two collect calls with one shard";
        if (on_collect)
            on_collect(shard);
        EXPECT_GE(count, 1u);
        EXPECT_LE(count, std::max<size_t>(shape.collect_batch, 1));
        if (count > largest_batch)
            largest_batch = count;
        for (size_t i = 0; i < count; ++i) {
            Payload payload{};
            std::memcpy(&payload, static_cast<const char *>(payloads) + i * shape.payload_size, sizeof payload);
            check(shard, buffers[i], payload);
        }
        busy_[shard] = false;
    }

    void check(uint32_t shard, const lanepipe_buffer_t &buffer, const Payload &payload) {
        ASSERT_LT(payload.instance, device.instances.size());
        EXPECT_EQ(payload.queue % shape_shards(), shard);
        EXPECT_EQ(buffer.kind, device.instances[payload.instance].kind);
        EXPECT_EQ(payload.kind, buffer.kind);
        EXPECT_NE(buffer.id, 0u);
        lanepipe_resolved_t resolved{};
        const void *dev = buffer.dev;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_resolve(pool.get(), &dev, 1, &resolved));
        EXPECT_EQ(reinterpret_cast<uint64_t>(resolved.host), payload.host);
        EXPECT_EQ(resolved.id, buffer.id);
        uint64_t expected = next_[payload.instance];
        while (expected < payload.sequence && (gaps_allowed || may_lack.count({payload.instance, expected}) != 0))
            ++expected;
        EXPECT_EQ(payload.sequence, expected) << "instance " << payload.instance << ": lost, doubled or out of order";
        if (contents_checked) {
            const auto *words = reinterpret_cast<const uint64_t *>(payload.host);
            for (uint32_t word = 0; word < payload.words; ++word)
                ASSERT_EQ(load(&words[word]), content_of(payload.instance, payload.sequence, word)) << "word " << word;
        }
        next_[payload.instance] = payload.sequence + 1;
        counts_[payload.instance].fetch_add(1);
    }

    uint32_t shape_shards() const {
        uint32_t shards = 0;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_get_shards(pool.get(), &shards));
        return shards;
    }

    size_t visit_lane(uint32_t shard, uint32_t kind, std::set<uint64_t> &found) {
        std::vector<lanepipe_buffer_t> buffers(shape.recycled_capacity);
        size_t count = 0;
        const lanepipe_status_t popped =
            lanepipe_pool_pop_recycled(pool.get(), shard, kind, buffers.data(), buffers.size(), &count);
        EXPECT_TRUE(popped == LANEPIPE_OK || popped == LANEPIPE_EMPTY);
        for (size_t i = 0; i < count; ++i)
            found.insert(address_of(buffers[i]));
        size_t back = 0;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), shard, buffers.data(), count, &back));
        EXPECT_EQ(back, count);
        return count;
    }

    std::vector<lanepipe_ready_queue_t> queues_;
    std::vector<lanepipe_instance_t> instances_;
    std::vector<lanepipe_kind_t> kinds_;
    std::vector<std::atomic<uint64_t>> next_;
    std::vector<std::atomic<uint64_t>> counts_;
    std::vector<std::atomic<bool>> busy_;
};

} // namespace capi

#endif // LANEPIPE_TESTS_CAPI_RIG_H_
