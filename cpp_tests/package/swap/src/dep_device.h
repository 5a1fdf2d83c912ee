// Device memory, and the device's half of the queues with both gates.
#ifndef DEP_DEVICE_H_
#define DEP_DEVICE_H_

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "dep_layout.h"

class DeviceMemory {
  public:
    void *alloc(size_t size) {
        std::lock_guard<std::mutex> lock(mutex_);
        void *ptr = std::calloc(1, size);
        live_.insert(ptr);
        return ptr;
    }

    int free(void *ptr) {
        std::lock_guard<std::mutex> lock(mutex_);
        if (live_.erase(ptr) == 0) {
            ++bad_frees_;
            return -1;
        }
        std::free(ptr);
        return 0;
    }

    size_t live() const { return live_.size(); }
    int bad_frees() const { return bad_frees_; }

    // Word by word, because the other side is another thread.
    static int copy(void *dst, const void *src, size_t size) {
        for (size_t i = 0; i < size / sizeof(uint32_t); ++i) {
            __atomic_store_n(static_cast<uint32_t *>(dst) + i,
                             __atomic_load_n(static_cast<const uint32_t *>(src) + i, __ATOMIC_ACQUIRE),
                             __ATOMIC_RELEASE);
        }
        return 0;
    }

  private:
    std::mutex mutex_;
    std::set<void *> live_;
    int bad_frees_ = 0;
};

// Writes `total` numbered records and leaves the last, partly filled buffer as its current one.
class Device {
  public:
    Device(DepHeader *header, int queue) : header_(header), queue_(queue) {}

    void run(uint32_t total) {
        for (uint32_t i = 0; i < total; ++i) {
            if (buffer_ == nullptr) {
                buffer_ = take();
                header_->current_buffer = reinterpret_cast<uintptr_t>(buffer_);
            }
            buffer_->records[buffer_->count++] = i;
            if (buffer_->count == kDepRecords) {
                publish();
            }
        }
        store(header_->total_records, total);
    }

  private:
    static uint32_t load(const volatile uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
    static void store(volatile uint32_t &word, uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

    // Raises `contended` once per wait, and only if the host is late.
    template <typename Ready>
    static void wait(const Ready &ready, volatile uint32_t &contended, volatile uint32_t &freeze) {
        bool raised = false;
        for (int turns = 0; !ready() || load(freeze) != 0; ++turns) {
            if (turns > 100 && !raised && !ready()) {
                store(contended, 1);
                raised = true;
            }
            std::this_thread::sleep_for(std::chrono::microseconds(20));
        }
    }

    DepBuffer *take() {
        DepFreeQueue &queue = header_->free_queue;
        const uint32_t head = queue.head;
        wait([&] { return head != load(queue.tail); }, header_->backpressure.fq_contended,
             header_->backpressure.fq_freeze_active);
        auto *buffer = reinterpret_cast<DepBuffer *>(
            static_cast<uintptr_t>(__atomic_load_n(&queue.buffer_ptrs[head % kDepSlots], __ATOMIC_ACQUIRE)));
        store(queue.head, head + 1);
        buffer->count = 0;
        return buffer;
    }

    void publish() {
        const uint32_t tail = header_->queue_tails[queue_];
        const uint32_t next = (tail + 1) % kDepReadySize;
        wait([&] { return next != load(header_->queue_heads[queue_]); }, header_->backpressure.rq_contended,
             header_->backpressure.rq_freeze_active);
        const DepEntry entry{reinterpret_cast<uintptr_t>(buffer_), sequence_++, {}};
        DeviceMemory::copy(&header_->queues[queue_][tail], &entry, sizeof(entry));
        header_->current_buffer = 0;
        buffer_ = nullptr;
        store(header_->queue_tails[queue_], next);
    }

    DepHeader *header_;
    const int queue_;
    DepBuffer *buffer_ = nullptr;
    uint64_t sequence_ = 0;
};

#endif // DEP_DEVICE_H_
