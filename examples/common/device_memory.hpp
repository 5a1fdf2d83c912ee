// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Memory of the simulated device and the callbacks through which lanepipe reaches it.
#ifndef DEMO_DEVICE_MEMORY_HPP_
#define DEMO_DEVICE_MEMORY_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace demo {

// Where a device whose memory the host sees through shadows has it.
enum class ShadowAddresses {
    kShifted, // out of every address space that a process can have: a host access that forgets to copy faults
    kTrue,    // where it is, for device code that follows addresses itself
};

// One arena. With shared virtual memory its addresses are the device addresses.
class DeviceMemory {
  public:
    enum class Fail { kNothing, kAnyCopy, kContentCopy };

    DeviceMemory() = default;
    DeviceMemory(const DeviceMemory &) = delete;
    DeviceMemory &operator=(const DeviceMemory &) = delete;
    ~DeviceMemory();

    // Reserves `size` bytes. False if the system refuses.
    bool open(size_t size, bool shadow, ShadowAddresses addresses = ShadowAddresses::kShifted);

    bool shadow() const { return shadow_; }

    // The device's own way to its memory; null for an address that is none.
    void *at(uint64_t dev) const;

    // Copies inside regions, which both sides use at once, go word by word, and so do single words elsewhere, such as
    // the count of a buffer that is being filled; others are contents of buffers. Before the device runs.
    void add_region(uint64_t dev, size_t size) { regions_.emplace_back(dev, size); }

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
    // Allocations for which there was no room.
    uint64_t refused() const { return refused_; }

    // Copies that were asked for with an address outside device memory, or on the wrong side.
    uint64_t violations() const { return violations_; }

  private:
    struct Block {
        size_t size;
        void *shadow; // as the host sees it
        void *memory; // to be freed
    };

    static uint64_t address(const void *pointer) { return reinterpret_cast<uintptr_t>(pointer); }
    bool inside(uint64_t dev, size_t size) const;
    bool in_region(uint64_t dev) const;
    bool shall_fail(uint64_t dev);
    int32_t copy(const void *host, uint64_t dev, void *to, const void *from, size_t size);

    bool shadow_ = false;
    unsigned char *arena_ = nullptr;
    size_t size_ = 0;
    uint64_t bias_ = 0;
    std::vector<std::pair<uint64_t, size_t>> regions_;

    mutable std::mutex mutex_;
    size_t used_ = 0;
    std::map<uint64_t, Block> blocks_;             // by device address
    std::multimap<size_t, uint64_t> free_by_size_; // reused for the same size only

    std::atomic<uint64_t> copies_{0};
    std::atomic<uint64_t> copied_bytes_{0};
    std::atomic<uint64_t> failed_copies_{0};
    std::atomic<uint64_t> allocations_{0};
    std::atomic<uint64_t> violations_{0};
    std::atomic<uint64_t> refused_{0};
    std::atomic<Fail> fail_{Fail::kNothing};
    std::atomic<uint64_t> counted_{0};
    uint64_t fail_first_ = 0;
    uint64_t fail_count_ = 0;
};

} // namespace demo

#endif // DEMO_DEVICE_MEMORY_HPP_
