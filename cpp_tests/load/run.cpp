// What every thread does with the open library: a whole run of a pipeline of its own, with a device of one queue.
#include "api.h"

#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

constexpr uint32_t kSlots = 4;
constexpr uint64_t kEntries = 300;
constexpr uint32_t kBuffers = 6;

struct Entry {
    uint64_t buffer;
    uint64_t number;
};

// The shared region of one device.
struct Region {
    Entry entries[kSlots];
    uint64_t free_slots[kSlots];
    uint32_t ready_head;
    uint32_t ready_tail;
    uint32_t free_head;
    uint32_t free_tail;
};

struct Pipeline {
    Region region{};
    uint64_t collected = 0;
    bool in_order = true;
};

void *allocate(void *, size_t size) { return std::aligned_alloc(64, (size + 63) / 64 * 64); }

void release(void *, void *block) { std::free(block); }

void resolve(void *, uint32_t, const lanepipe_entry_t *entries, size_t count, lanepipe_site_t *sites) {
    for (size_t i = 0; i < count; ++i) {
        sites[i].instance = 0;
        const Entry *entry = static_cast<const Entry *>(entries[i].bytes);
        std::memcpy(sites[i].payload, &entry->number, sizeof(entry->number));
    }
}

void collect(void *context, uint32_t, const lanepipe_buffer_t *, const void *payloads, size_t count) {
    Pipeline *pipeline = static_cast<Pipeline *>(context);
    for (size_t i = 0; i < count; ++i) {
        uint64_t number = 0;
        std::memcpy(&number, static_cast<const char *>(payloads) + i * sizeof(number), sizeof(number));
        pipeline->in_order &= number == pipeline->collected++;
    }
}

int32_t create_thread(void *, uint32_t, uint32_t, lanepipe_thread_entry_fn_t entry, void *argument, void **thread) {
    *thread = new std::thread(entry, argument);
    return 0;
}

void join_thread(void *, void *thread) {
    std::thread *joined = static_cast<std::thread *>(thread);
    joined->join();
    delete joined;
}

uint32_t load(uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }

// The device: takes a buffer from its free queue, publishes it on its ready queue.
void produce(Region &region) {
    for (uint64_t number = 0; number < kEntries; ++number) {
        while (load(region.free_tail) == region.free_head)
            std::this_thread::yield();
        const uint64_t buffer = __atomic_load_n(&region.free_slots[region.free_head % kSlots], __ATOMIC_RELAXED);
        __atomic_store_n(&region.free_head, region.free_head + 1, __ATOMIC_RELEASE);
        const uint32_t next = (region.ready_tail + 1) % kSlots;
        while (load(region.ready_head) == next)
            std::this_thread::yield();
        Entry &entry = region.entries[region.ready_tail];
        __atomic_store_n(&entry.buffer, buffer, __ATOMIC_RELAXED);
        __atomic_store_n(&entry.number, number, __ATOMIC_RELAXED);
        __atomic_store_n(&region.ready_tail, next, __ATOMIC_RELEASE);
    }
}

const char *run_pipeline(const Api &api, lanepipe_pool_t *pool, Pipeline &pipeline) {
    lanepipe_memory_t memory{};
    memory.struct_size = sizeof(memory);
    memory.alloc = allocate;
    size_t placed = 0;
    if (api.lanepipe_pool_set_memory(pool, &memory) != LANEPIPE_OK ||
        api.lanepipe_pool_allocate(pool, 0, 64, kBuffers, 0, &placed) != LANEPIPE_OK)
        return "memory";

    Region &region = pipeline.region;
    lanepipe_ready_queue_t queue{};
    queue.entries = region.entries;
    queue.head = &region.ready_head;
    queue.tail = &region.ready_tail;
    queue.capacity = kSlots;
    queue.entry_size = sizeof(Entry);
    lanepipe_instance_t instance{};
    instance.free_queue.head = &region.free_head;
    instance.free_queue.tail = &region.free_tail;
    instance.free_queue.slots = region.free_slots;
    instance.free_queue.slot_count = kSlots;
    lanepipe_kind_t kind{};
    kind.buffer_size = 64;
    kind.batch_size = 1;
    lanepipe_profiler_config_t config{};
    config.struct_size = sizeof(config);
    config.queue_count = 1;
    config.queues = &queue;
    config.instance_count = 1;
    config.instances = &instance;
    config.kind_count = 1;
    config.kinds = &kind;
    config.context = &pipeline;
    config.resolve = resolve;
    config.collect = collect;
    config.thread_create = create_thread;
    config.thread_join = join_thread;
    lanepipe_profiler_t *profiler = nullptr;
    if (api.lanepipe_profiler_create(pool, &config, nullptr, &profiler) != LANEPIPE_OK)
        return "profiler";
    if (api.lanepipe_profiler_start(profiler) != LANEPIPE_OK)
        return "start";
    produce(region);
    if (api.lanepipe_profiler_stop(profiler, LANEPIPE_FOREVER) != LANEPIPE_OK)
        return "stop";
    if (api.lanepipe_profiler_destroy(profiler) != LANEPIPE_OK)
        return "destroy of the profiler";
    if (pipeline.collected != kEntries || !pipeline.in_order)
        return "delivery";
    lanepipe_pool_audit_t audit{};
    audit.struct_size = sizeof(audit);
    if (api.lanepipe_pool_audit(pool, &audit) != LANEPIPE_OK || audit.total != kBuffers)
        return "audit";
    return nullptr;
}

} // namespace

const char *run(const Api &api, unsigned) {
    if (api.lanepipe_abi_version() != LANEPIPE_ABI_VERSION)
        return "ABI version";
    if (std::strlen(api.lanepipe_version()) < 5)
        return "version";
    if (std::strcmp(api.lanepipe_status_name(LANEPIPE_E_NULL), "LANEPIPE_E_NULL") != 0)
        return "status name";
    lanepipe_pool_config_t config{};
    config.struct_size = sizeof(config);
    config.shards = 1;
    config.kinds = 1;
    config.payload_size = 8;
    config.ready_capacity = config.done_capacity = config.recycled_capacity = 8;
    lanepipe_pool_t *pool = nullptr;
    if (api.lanepipe_pool_create(&config, nullptr, &pool) != LANEPIPE_OK)
        return "pool";
    Pipeline pipeline;
    const char *problem = run_pipeline(api, pool, pipeline);
    if (api.lanepipe_pool_release_all(pool, release, nullptr) != LANEPIPE_OK && problem == nullptr)
        problem = "release";
    if (api.lanepipe_pool_destroy(pool) != LANEPIPE_OK && problem == nullptr)
        problem = "destroy of the pool";
    return problem;
}
