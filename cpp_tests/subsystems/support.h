// A control thread with a clock that runs only while it waits, a host in small, and regions as the layouts have them.
#ifndef LANEPIPE_TESTS_SUBSYSTEMS_SUPPORT_H_
#define LANEPIPE_TESTS_SUBSYSTEMS_SUPPORT_H_

#include "capi/status.h"
#include "subsystem_layout.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

namespace subsystems {

constexpr uint32_t kArch = kA5 ? LANEPIPE_ARCH_A5 : LANEPIPE_ARCH_A2A3;
constexpr uint64_t kBudget = 1000;

template <typename T> uint64_t address(const T *object) { return reinterpret_cast<uint64_t>(object); }

template <typename Header> lanepipe_device_region_t region_of(const Header *header, uint64_t budget = kBudget) {
    return {sizeof(lanepipe_device_region_t), kArch, address(header), budget};
}

// A control thread. `pause` is what the others do while it waits.
class Thread : public lanepipe_device_thread_t {
  public:
    explicit Thread(int32_t queue) : lanepipe_device_thread_t{} {
        struct_size = sizeof(lanepipe_device_thread_t);
        index = queue;
        context = this;
        now = [](void *self) { return static_cast<Thread *>(self)->time; };
        relax = [](void *self) {
            auto *const thread = static_cast<Thread *>(self);
            thread->time += 10;
            if (thread->pause)
                thread->pause();
        };
    }
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;

    // All records that were lost.
    uint32_t lost() const {
        return losses.no_room + losses.host_gone + losses.no_queue + losses.no_buffer + losses.refused;
    }

    uint64_t time = 0;
    std::function<void()> pause;
};

// What the host has of one kind of buffer.
template <typename Buffer> class Buffers {
  public:
    template <typename Queue> uint64_t give(Queue &queue) {
        buffers_.push_back(std::make_unique<Buffer>());
        give(queue, address(buffers_.back().get()));
        return address(buffers_.back().get());
    }
    template <typename Queue> void give(Queue &queue, uint64_t buffer) {
        constexpr uint32_t kSlots = sizeof(queue.buffer_ptrs) / sizeof(uint64_t);
        ASSERT_LT(queue.tail - queue.head, kSlots);
        queue.buffer_ptrs[queue.tail % kSlots] = buffer;
        queue.tail = queue.tail + 1;
    }

  private:
    std::vector<std::unique_ptr<Buffer>> buffers_;
};

// What the host finds in a ready queue; it is empty afterwards.
template <typename Header> std::vector<Entry> take(Header &header, size_t thread) {
    std::vector<Entry> entries;
    while (header.queue_heads[thread] != header.queue_tails[thread]) {
        entries.push_back(header.queues[thread][header.queue_heads[thread]]);
        header.queue_heads[thread] = (header.queue_heads[thread] + 1) % Header::kReadySize;
    }
    return entries;
}

// A ready queue for whose entries the host has no time.
template <typename Header> void fill(Header &header, size_t thread) {
    header.queue_heads[thread] = (header.queue_tails[thread] + 1) % Header::kReadySize;
}

template <typename Buffer> Buffer &buffer_at(uint64_t address) { return *reinterpret_cast<Buffer *>(address); }

// Bytes of a record, as what they are.
template <typename T, typename Record> T field(const Record &record, size_t offset) {
    T value;
    std::memcpy(&value, reinterpret_cast<const unsigned char *>(&record) + offset, sizeof value);
    return value;
}

inline void expect_entry(const Entry &entry, uint32_t index, uint64_t buffer, uint32_t seq) {
    EXPECT_EQ(entry.index, index);
    EXPECT_EQ(entry.buffer_ptr, buffer);
    EXPECT_EQ(entry.buffer_seq, seq);
}

} // namespace subsystems

#endif // LANEPIPE_TESTS_SUBSYSTEMS_SUPPORT_H_
