// A simulated device after the fixed device half of the pipeline: ready queues with modulo indices and one empty slot,
// free queues with counters that wrap at 2^32. It writes its own words only.
#ifndef LANEPIPE_TESTS_CAPI_DEVICE_H_
#define LANEPIPE_TESTS_CAPI_DEVICE_H_

#include "support.h"

namespace capi {

struct Shape {
    Mode mode = Mode::kIdentity;
    uint32_t queues = 1;
    uint32_t kinds = 1;
    uint32_t shards = 1;              // live ones
    uint32_t instances_per_queue = 1; // kinds dealt in turn
    uint32_t ready_slots = 64;        // of the device
    uint32_t free_slots = 4;
    uint32_t first_counter = 0; // where free-queue counters start
    size_t buffer_size = 256;
    uint32_t batch_size = 8;
    uint32_t warm_target = 0;
    uint32_t max_buffers = 0; // per kind
    uint32_t collect_batch = 4;
    uint32_t ready_capacity = 64;
    uint32_t done_capacity = 64;
    uint32_t recycled_capacity = 64;
    uint32_t pool_shards = 4;
    uint32_t payload_size = 32;
    uint32_t flags = 0;
    uint64_t poll_max_ns = 0; // 0: the default
};

// As the device writes it. The address is not the first word, so that its offset matters.
struct Entry {
    uint64_t sequence;
    uint64_t buffer;
    uint32_t instance;
    uint32_t words;
    uint64_t check;
};

inline uint64_t check_of(uint64_t sequence, uint64_t buffer, uint32_t instance) {
    return sequence * 0x9e3779b97f4a7c15u ^ buffer ^ instance;
}

// Words of contents; a few of the buffer's, so that records differ in length.
inline uint32_t words_of(uint64_t sequence, size_t buffer_size) {
    return 2 + static_cast<uint32_t>(sequence % (buffer_size / 8 - 1));
}

inline uint64_t content_of(uint32_t instance, uint64_t sequence, uint32_t word) {
    return (uint64_t{instance} << 48) + (sequence << 8) + word;
}

template <typename T> T load(const T *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
template <typename T> void store(T *word, T value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

class Device {
  public:
    struct Instance {
        uint32_t kind;
        uint32_t queue;
        uint32_t *head;
        uint32_t *tail;
        uint64_t *slots;
        uint64_t current = 0;
        uint64_t sequence = 0; // published so far
    };
    struct Queue {
        uint32_t *head;
        uint32_t *tail;
        Entry *entries;
    };

    Device(Memory &memory, const Shape &shape) : memory_(memory), shape_(shape) {
        for (uint32_t q = 0; q < shape.queues; ++q) {
            Queue queue{place<uint32_t>(1), place<uint32_t>(1), place<Entry>(shape.ready_slots)};
            memory.allow_write(queue.head, 4);
            queues.push_back(queue);
        }
        for (uint32_t i = 0; i < shape.queues * shape.instances_per_queue; ++i) {
            Instance instance{};
            instance.kind = i % shape.kinds;
            instance.queue = i / shape.instances_per_queue;
            instance.head = place<uint32_t>(1);
            instance.tail = place<uint32_t>(1);
            instance.slots = place<uint64_t>(shape.free_slots);
            memory.allow_write(instance.tail, 4);
            memory.allow_write(instance.slots, 8 * shape.free_slots);
            *instance.head = *instance.tail = shape.first_counter;
            *shadow(instance.head) = *shadow(instance.tail) = shape.first_counter;
            instances.push_back(instance);
        }
    }

    // The host's view of a device word.
    template <typename T> T *shadow(T *word) const {
        return reinterpret_cast<T *>(memory_.shm_host() + (reinterpret_cast<char *>(word) - memory_.shm_device()));
    }

    std::vector<lanepipe_ready_queue_t> host_queues() const {
        std::vector<lanepipe_ready_queue_t> out;
        for (const Queue &queue : queues)
            out.push_back({shadow(queue.entries), shadow(queue.head), shadow(queue.tail), shape_.ready_slots,
                           sizeof(Entry), offsetof(Entry, buffer), 0});
        return out;
    }

    std::vector<lanepipe_instance_t> host_instances() const {
        std::vector<lanepipe_instance_t> out;
        for (const Instance &at : instances)
            out.push_back(
                {{shadow(at.head), shadow(at.tail), shadow(at.slots), shape_.free_slots, 0}, at.kind, at.queue});
        return out;
    }

    // Takes a buffer from the free queue; 0 if there is none.
    uint64_t pop_free(Instance &at) {
        const uint32_t head = *at.head;
        if (load(at.tail) == head)
            return 0;
        const uint64_t buffer = load(&at.slots[head % shape_.free_slots]);
        store(at.head, head + 1);
        return buffer;
    }

    // Whether each instance has a buffer to take.
    bool is_supplied() const {
        return std::all_of(instances.begin(), instances.end(),
                           [](const Instance &at) { return load(at.tail) != *at.head; });
    }

    // Stores an entry as it stands; false if the ready queue is full.
    bool push_entry(uint32_t queue, const Entry &entry) {
        Queue &at = queues[queue];
        const uint32_t tail = *at.tail;
        const uint32_t next = (tail + 1) % shape_.ready_slots;
        if (next == load(at.head))
            return false;
        copy_words(&at.entries[tail], &entry, sizeof entry);
        store(at.tail, next);
        return true;
    }

    // Fills and publishes one buffer of an instance; false if it has to wait.
    bool publish(uint32_t number) {
        Instance &at = instances[number];
        if (at.current == 0)
            at.current = pop_free(at);
        if (at.current == 0 || !push_entry(at.queue, fill(number)))
            return false;
        at.current = 0;
        ++at.sequence;
        return true;
    }

    // The next entry of an instance, its contents written to the current buffer.
    Entry fill(uint32_t number) const {
        const Instance &at = instances[number];
        auto *words = memory_.at_device<uint64_t>(at.current);
        const uint32_t count = words_of(at.sequence, shape_.buffer_size);
        for (uint32_t word = 0; word < count; ++word)
            store(&words[word], content_of(number, at.sequence, word));
        return {at.sequence, at.current, number, count, check_of(at.sequence, at.current, number)};
    }

    // One device thread per queue, each publishing `count` records on each of its instances (those in `only`, if any).
    // False if one of them hangs.
    bool run(uint64_t count, const std::set<uint32_t> &only = {}) {
        std::atomic<bool> hung{false};
        std::vector<std::thread> threads;
        for (uint32_t q = 0; q < shape_.queues; ++q)
            threads.emplace_back([&, q] {
                std::map<uint32_t, uint64_t> left;
                for (uint32_t i = 0; i < instances.size(); ++i)
                    if (instances[i].queue == q && (only.empty() || only.count(i) != 0))
                        left[i] = count;
                auto progress = std::chrono::steady_clock::now();
                while (!left.empty()) {
                    bool any = false;
                    for (auto at = left.begin(); at != left.end();) {
                        if (publish(at->first)) {
                            any = true;
                            --at->second;
                        }
                        at = at->second == 0 ? left.erase(at) : std::next(at);
                    }
                    if (any) {
                        progress = std::chrono::steady_clock::now();
                    } else if (std::chrono::steady_clock::now() - progress > kHang) {
                        hung = true;
                        return;
                    } else {
                        std::this_thread::yield();
                    }
                }
            });
        for (std::thread &thread : threads)
            thread.join();
        return !hung;
    }

    // Every address that the device holds: free slots, current buffers, entries that the host did not take.
    std::vector<uint64_t> held() const {
        std::vector<uint64_t> all;
        for (const Instance &at : instances) {
            EXPECT_LE(*at.tail - *at.head, shape_.free_slots);
            for (uint32_t counter = *at.head; counter != *at.tail; ++counter)
                all.push_back(at.slots[counter % shape_.free_slots]);
            if (at.current != 0)
                all.push_back(at.current);
        }
        for (const Queue &queue : queues)
            for (uint32_t index = *queue.head; index != *queue.tail; index = (index + 1) % shape_.ready_slots)
                all.push_back(queue.entries[index].buffer);
        return all;
    }

    std::vector<Queue> queues;
    std::vector<Instance> instances;

  private:
    // A cache line for each, so that neighbours do not hide a write that is too wide.
    template <typename T> T *place(size_t count) {
        auto *at = reinterpret_cast<T *>(memory_.shm_device() + used_);
        used_ += (count * sizeof(T) + 63) / 64 * 64;
        return at;
    }

    Memory &memory_;
    const Shape shape_;
    size_t used_ = 64;
};

} // namespace capi

#endif // LANEPIPE_TESTS_CAPI_DEVICE_H_
