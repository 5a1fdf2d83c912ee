// SPDX-License-Identifier: MIT OR Apache-2.0
#include "device_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "words.hpp"

namespace demo {
namespace {

constexpr uint64_t kAlignment = 64;

// Not canonical on x86-64 and outside the user half on AArch64, whatever the tag byte holds.
constexpr uint64_t kShadowBias = uint64_t{1} << 50;

void copy_words(void *to, const void *from, size_t size) {
    auto *target = static_cast<uint32_t *>(to);
    const auto *source = static_cast<const uint32_t *>(from);
    for (size_t i = 0; i < size / sizeof(uint32_t); ++i) {
        store_release(target[i], load_acquire(source[i]));
    }
}

} // namespace

DeviceMemory::~DeviceMemory() {
    for (const auto &[dev, block] : blocks_) {
        std::free(block.memory);
    }
    if (arena_ != nullptr) {
        munmap(arena_, size_);
    }
}

bool DeviceMemory::open(size_t size, bool shadow, ShadowAddresses addresses) {
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    arena_ = static_cast<unsigned char *>(memory);
    size_ = size;
    shadow_ = shadow;
    bias_ = shadow && addresses == ShadowAddresses::kShifted ? kShadowBias : 0;
    return true;
}

void *DeviceMemory::at(uint64_t dev) const {
    return inside(dev, 1) ? arena_ + (dev - bias_ - address(arena_)) : nullptr;
}

bool DeviceMemory::inside(uint64_t dev, size_t size) const {
    const uint64_t base = address(arena_) + bias_;
    return dev >= base && size <= size_ && dev - base <= size_ - size;
}

bool DeviceMemory::in_region(uint64_t dev) const {
    return std::any_of(regions_.begin(), regions_.end(),
                       [dev](const auto &region) { return dev >= region.first && dev - region.first < region.second; });
}

void DeviceMemory::arm(Fail what, uint64_t first, uint64_t count) {
    fail_first_ = first;
    fail_count_ = count;
    counted_ = 0;
    fail_ = what;
}

void *DeviceMemory::alloc(size_t size) {
    if (size > size_) {
        ++refused_;
        return nullptr;
    }
    const size_t rounded = (size + kAlignment - 1) / kAlignment * kAlignment;
    const std::lock_guard<std::mutex> lock(mutex_);
    uint64_t dev = 0;
    if (const auto found = free_by_size_.find(rounded); found != free_by_size_.end()) {
        dev = found->second;
        free_by_size_.erase(found);
    } else if (rounded <= size_ - used_) {
        dev = address(arena_) + bias_ + used_;
        used_ += rounded;
    } else {
        ++refused_;
        return nullptr;
    }
    ++allocations_;
    blocks_[dev] = Block{rounded, nullptr, nullptr};
    return reinterpret_cast<void *>(static_cast<uintptr_t>(dev));
}

int32_t DeviceMemory::register_memory(void *dev, size_t size, int32_t, void **host) {
    if (!shadow_) {
        *host = dev;
        return 0;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto block = blocks_.find(address(dev));
    if (block == blocks_.end() || size > block->second.size || block->second.shadow != nullptr) {
        return -1;
    }
    // Zeroed by the system where it is large, so that a shadow costs what is used of it.
    block->second.memory = std::calloc(1, block->second.size + kAlignment);
    if (block->second.memory == nullptr) {
        return -1;
    }
    const uint64_t aligned = (address(block->second.memory) + kAlignment - 1) / kAlignment * kAlignment;
    block->second.shadow = reinterpret_cast<void *>(static_cast<uintptr_t>(aligned));
    *host = block->second.shadow;
    return 0;
}

int32_t DeviceMemory::free_memory(void *dev) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto block = blocks_.find(address(dev));
    if (block == blocks_.end()) {
        ++violations_;
        return -1;
    }
    std::free(block->second.memory);
    free_by_size_.emplace(block->second.size, block->first);
    blocks_.erase(block);
    return 0;
}

uint64_t DeviceMemory::live_allocations() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return blocks_.size();
}

bool DeviceMemory::shall_fail(uint64_t dev) {
    const Fail what = fail_.load(std::memory_order_acquire);
    if (what == Fail::kNothing || (what == Fail::kContentCopy && in_region(dev))) {
        return false;
    }
    const uint64_t number = ++counted_;
    return number >= fail_first_ && number - fail_first_ < fail_count_;
}

int32_t DeviceMemory::copy(const void *host, uint64_t dev, void *to, const void *from, size_t size) {
    ++copies_;
    if (!inside(dev, size) || inside(address(host), 1)) {
        ++violations_;
        return -1;
    }
    if (shall_fail(dev)) {
        ++failed_copies_;
        return -1;
    }
    const bool is_shared = in_region(dev) || size == sizeof(uint32_t);
    if (is_shared && (dev | address(host) | size) % sizeof(uint32_t) == 0) {
        copy_words(to, from, size);
    } else {
        std::memcpy(to, from, size);
    }
    copied_bytes_ += size;
    return 0;
}

int32_t DeviceMemory::copy_to_device(void *dev, const void *host, size_t size) {
    return copy(host, address(dev), at(address(dev)), host, size);
}

int32_t DeviceMemory::copy_from_device(void *host, const void *dev, size_t size) {
    return copy(host, address(dev), host, at(address(dev)), size);
}

} // namespace demo
