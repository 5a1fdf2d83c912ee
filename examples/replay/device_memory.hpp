// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Memory of the simulated device and the callbacks through which lanepipe reaches it.
#ifndef REPLAY_DEVICE_MEMORY_HPP_
#define REPLAY_DEVICE_MEMORY_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

namespace replay {

// One arena. With shared virtual memory its addresses are the device addresses. With host shadows device addresses are
// shifted out of every address space a process can have, so that a host access that forgets to copy faults.
class DeviceMemory {
  public:
    enum class Fail { kNothing, kAnyCopy, kContentCopy };

    DeviceMemory() = default;
    DeviceMemory(const DeviceMemory &) = delete;
    DeviceMemory &operator=(const DeviceMemory &) = delete;
    ~DeviceMemory();

    // Reserves `size` bytes. False if the system refuses.
    bool open(size_t size, bool shadow);

    bool shadow() const { return shadow_; }

    // The device's own way to its memory; null for an address that is none.
    void *at(uint64_t dev) const;

    // Copies inside the region, which both sides use at once, go word by word; others are contents of buffers.
    void set_region(const void *dev, size_t size) { region_ = std::make_pair(address(dev), size); }

    // From now on, the `first`-th of the copies in question and `count` - 1 after it fail.
    void arm(Fail what, uint64_t first, uint64_t count);

    // What lanepipe::memory_of wants.
    void *alloc(size_t size);
    int32_t register_memory(void *dev, size_t size, int32_t device_id, void **host);
    int32_t free_memory(void *dev);
    int32_t copy_to_device(void *dev, const void *host, size_t size);
    int32_t copy_from_device(void *host, const void *dev, size_t size);

    uint64_t copies() const { return copies_; }
    uint64_t copied_bytes() const { return copied_bytes_; }
    uint64_t failed_copies() const { return failed_copies_; }
    uint64_t allocations() const { return allocations_; }
    uint64_t live_allocations() const;

    // Copies that were asked for with an address outside device memory, or on the wrong side.
    uint64_t violations() const { return violations_; }

  private:
    struct Block {
        size_t size;
        void *shadow;
    };

    static uint64_t address(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer); }
    bool inside(uint64_t dev, size_t size) const;
    bool shall_fail(uint64_t dev);
    int32_t copy(const void *host, uint64_t dev, void *to, const void *from, size_t size);

    bool shadow_ = false;
    unsigned char *arena_ = nullptr;
    size_t size_ = 0;
    uint64_t bias_ = 0;
    std::pair<uint64_t, size_t> region_{};

    mutable std::mutex mutex_;
    size_t used_ = 0;
    std::map<uint64_t, Block> blocks_;             // by device address
    std::multimap<size_t, uint64_t> free_by_size_; // reused for the same size only

    std::atomic<uint64_t> copies_{0};
    std::atomic<uint64_t> copied_bytes_{0};
    std::atomic<uint64_t> failed_copies_{0};
    std::atomic<uint64_t> allocations_{0};
    std::atomic<uint64_t> violations_{0};
    std::atomic<Fail> fail_{Fail::kNothing};
    std::atomic<uint64_t> counted_{0};
    uint64_t fail_first_ = 0;
    uint64_t fail_count_ = 0;
};

} // namespace replay

#endif // REPLAY_DEVICE_MEMORY_HPP_
