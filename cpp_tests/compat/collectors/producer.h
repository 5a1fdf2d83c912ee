// The device's half of a collector's pipeline: one thread fills the buffers of the instances that it owns and passes
// both gates; without a bound, because tests let it finish.
#ifndef CPP_TESTS_COMPAT_COLLECTORS_PRODUCER_H_
#define CPP_TESTS_COMPAT_COLLECTORS_PRODUCER_H_

#include "args_dump.h"
#include "common.h"

#include "../support.h"

#include <thread>

namespace collectors {

template <typename C> class Producer {
  public:
    using M = typename C::Module;
    using Instance = typename M::Instance;

    Producer(compat::Memory &memory, void *region, int thread)
        : memory_(memory), region_(real<typename M::Region>(region)), thread_(thread) {}

    ~Producer() {
        stop_ = true;
        join();
    }

    void own(int kind, uint32_t index) {
        Instance *const instance = M::instance(region_, static_cast<uint32_t>(kind), index);
        if (instance != nullptr) {
            owned_.push_back(Owned{kind, index, instance});
        }
    }

    // `records` of each owned instance on a thread of its own. Without marks it waits for buffers and slots silently.
    void run(uint64_t records, bool mark = true) {
        done_ = false;
        mark_ = mark;
        thread_of_run_ = std::thread([this, records] {
            for (uint64_t i = 0; i < records; ++i) {
                for (Owned &owned : owned_) {
                    write(owned);
                }
            }
            done_ = true;
        });
    }

    // False if the run got stuck.
    bool finish() {
        const bool done =
            compat::eventually([this] { return done_.load(); }) || compat::eventually([this] { return done_.load(); });
        stop_ = true;
        join();
        stop_ = false;
        return done;
    }

    // One record of every owned instance on the calling thread, if its free queue has a buffer; the number written.
    size_t step() {
        size_t written = 0;
        for (Owned &owned : owned_) {
            const auto &queue = owned.instance->free_queue;
            if (owned.instance->current_buffer != 0 || queue.head != load(queue.tail)) {
                write(owned);
                ++written;
            }
        }
        return written;
    }

    // Publishes partly filled buffers, as the device does at the end of some runs.
    void flush() {
        for (Owned &owned : owned_) {
            if (owned.instance->current_buffer != 0) {
                publish(owned);
            }
        }
    }

    template <typename T> T *real(void *address) const {
        return memory_.sharing() == compat::Sharing::kIdentity ? static_cast<T *>(address)
                                                               : memory_.template bytes<T>(address);
    }

    const std::vector<Instance *> instances() const {
        std::vector<Instance *> all;
        for (const Owned &owned : owned_) {
            all.push_back(owned.instance);
        }
        return all;
    }

  private:
    struct Owned {
        int kind;
        uint32_t index;
        Instance *instance;
    };

    static uint32_t load(const volatile uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
    static void store(volatile uint32_t &word, uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

    DfxBackpressureHeader &gates() { return M::header_from_shm(region_)->backpressure; }

    Buffer *current(const Owned &owned) {
        return real<Buffer>(reinterpret_cast<void *>(static_cast<uintptr_t>(owned.instance->current_buffer)));
    }

    void write(Owned &owned) {
        Instance &instance = *owned.instance;
        const uint64_t record = instance.total_records;
        if constexpr (std::is_same<C, ArgsDump>::value) {
            write_payload(owned, record);
        }
        if (instance.current_buffer == 0 && !take(owned)) {
            instance.dropped_records = instance.dropped_records + 1;
            instance.total_records = record + 1;
            return;
        }
        Buffer *const buffer = current(owned);
        const uint32_t count = buffer->count;
        __atomic_store_n(&buffer->records[count], record, __ATOMIC_RELAXED);
        store(buffer->count, count + 1);
        instance.total_records = record + 1;
        if (count + 1 == records_in(M::buffer_bytes(owned.kind))) {
            publish(owned);
        }
    }

    bool take(Owned &owned) {
        auto &queue = owned.instance->free_queue;
        bool marked = false;
        while (!stop_) {
            const uint32_t head = queue.head;
            if (head != load(queue.tail)) {
                const uint64_t ptr = __atomic_load_n(&queue.buffer_ptrs[head % M::kSlotCount], __ATOMIC_ACQUIRE);
                store(queue.head, head + 1);
                if (ptr == 0) {
                    continue;
                }
                owned.instance->current_buffer = ptr;
                store(current(owned)->count, 0);
                return true;
            }
            if (!marked && mark_) {
                store(gates().fq_contended, 1);
                marked = true;
            }
            do {
                std::this_thread::yield();
            } while (!stop_ && load(gates().fq_freeze_active) != 0);
        }
        return false;
    }

    void publish(Owned &owned) {
        auto *const header = M::header_from_shm(region_);
        const uint32_t tail = header->queue_tails[thread_];
        bool marked = false;
        while ((tail + 1) % M::kReadyQueueSize == load(header->queue_heads[thread_])) {
            if (!marked && mark_) {
                store(gates().rq_contended, 1);
                marked = true;
            }
            if (stop_) {
                return;
            }
            std::this_thread::yield();
        }
        const ReadyEntry entry{
            owned.instance->current_buffer, static_cast<uint32_t>(owned.kind), owned.index, current(owned)->count, {}};
        const auto *from = reinterpret_cast<const uint64_t *>(&entry);
        auto *to = reinterpret_cast<uint64_t *>(&header->queues[thread_][tail]);
        for (size_t i = 0; i < sizeof(entry) / sizeof(uint64_t); ++i) {
            __atomic_store_n(to + i, from[i], __ATOMIC_RELAXED);
        }
        owned.instance->current_buffer = 0;
        store(header->queue_tails[thread_], (tail + 1) % M::kReadyQueueSize);
        while (!stop_ && load(gates().rq_freeze_active) != 0) {
            std::this_thread::yield();
        }
    }

    // The arena is full when its oldest payload is not on disk yet. The records that point to it are published first.
    void write_payload(Owned &owned, uint64_t record) {
        auto *const header = M::header_from_shm(region_);
        const uint64_t room = ArgsDump::arena_bytes() / 8;
        while (!stop_ && record - __atomic_load_n(&header->payloads_completed[owned.index], __ATOMIC_ACQUIRE) >= room) {
            if (owned.instance->current_buffer != 0) {
                publish(owned);
            }
            __atomic_store_n(&header->payloads_published[owned.index], record, __ATOMIC_RELEASE);
            store(gates().fq_contended, 1);
            while (!stop_ && (load(gates().fq_contended) != 0 || load(gates().fq_freeze_active) != 0)) {
                std::this_thread::yield();
            }
        }
        auto *const arena = real<char>(reinterpret_cast<void *>(static_cast<uintptr_t>(header->arena[owned.index])));
        __atomic_store_n(reinterpret_cast<uint64_t *>(arena + ArgsDump::arena_offset(record)),
                         ArgsDump::payload(owned.index, record), __ATOMIC_RELEASE);
    }

    void join() {
        if (thread_of_run_.joinable()) {
            thread_of_run_.join();
        }
    }

    compat::Memory &memory_;
    typename M::Region *const region_;
    const int thread_;
    std::vector<Owned> owned_;
    bool mark_ = true;
    std::atomic<bool> stop_{false};
    std::atomic<bool> done_{true};
    std::thread thread_of_run_;
};

} // namespace collectors

#endif // CPP_TESTS_COMPAT_COLLECTORS_PRODUCER_H_
