#include "support.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iterator>

#if defined(COMPAT_WRAPS_FREE)
extern "C" {
void __real_free(void *ptr);
void __wrap_free(void *ptr);
}
#endif

namespace compat {

// Memory.

namespace {

// Word-wise atomic copies where both sides allow it, because the other end may be another thread.
void copy_bytes(void *dst, const void *src, size_t size) {
    const uintptr_t all = address(dst) | address(src) | size;
    if (all % sizeof(uint32_t) != 0) {
        std::memcpy(dst, src, size);
        return;
    }
    for (size_t i = 0; i < size / sizeof(uint32_t); ++i) {
        __atomic_store_n(static_cast<uint32_t *>(dst) + i,
                         __atomic_load_n(static_cast<const uint32_t *>(src) + i, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
    }
}

char *map(int file, size_t size, int protection) {
    void *const ptr = mmap(nullptr, size, protection, MAP_SHARED, file, 0);
    if (ptr == MAP_FAILED) {
        std::abort();
    }
    return static_cast<char *>(ptr);
}

} // namespace

// One file mapped twice: device addresses lie in the first mapping, which only SVM makes accessible.
Memory::Memory(Sharing sharing, size_t capacity) : sharing_(sharing), capacity_(capacity) {
    char name[] = "/tmp/device-memory-XXXXXX";
    const int file = mkstemp(name);
    if (file < 0 || unlink(name) != 0 || ftruncate(file, static_cast<off_t>(capacity_)) != 0) {
        std::abort();
    }
    alias_ = map(file, capacity_, PROT_READ | PROT_WRITE);
    device_ = map(file, capacity_, sharing_ == Sharing::kIdentity ? PROT_READ | PROT_WRITE : PROT_NONE);
    close(file);
}

Memory::~Memory() {
    munmap(device_, capacity_);
    munmap(alias_, capacity_);
}

void *Memory::view(const void *dev_ptr) const {
    const size_t at = address(dev_ptr) - address(device_);
    return at < capacity_ ? alias_ + at : nullptr;
}

void Memory::keep(Op op, const void *device, const void *host, size_t size, int device_id, bool failed) {
    calls_.push_back(Call{op, device, host, size, device_id, failed});
}

void *Memory::reused(size_t size) {
    for (auto block = freed_.begin(); block != freed_.end(); ++block) {
        if (block->second == size) {
            void *const ptr = block->first;
            freed_.erase(block);
            return ptr;
        }
    }
    return nullptr;
}

void *Memory::alloc(size_t size) {
    std::lock_guard<std::mutex> lock(mutex_);
    void *ptr = nullptr;
    if (!alloc_fault.hit()) {
        ptr = reuse_ ? reused(size) : nullptr;
        // A gap follows, so that the end of one block is not the start of the next.
        const size_t taken = size / 64 * 64 + 128;
        if (ptr == nullptr && size < capacity_ && taken <= capacity_ - used_) {
            ptr = device_ + used_;
            used_ += taken;
        }
    }
    if (ptr != nullptr) {
        live_[ptr] = size;
    }
    keep(Op::kAlloc, ptr, nullptr, size, -1, ptr == nullptr);
    return ptr;
}

int Memory::free(void *dev_ptr) {
    std::lock_guard<std::mutex> lock(mutex_);
    const bool failed = free_fault.hit();
    keep(Op::kFree, dev_ptr, nullptr, 0, -1, failed);
    if (failed) {
        return kFailedRc;
    }
    const auto block = live_.find(dev_ptr);
    if (block == live_.end()) {
        ++bad_frees_;
        return kFailedRc;
    }
    frees_while_mapped_ += mapped_.count(dev_ptr) != 0 ? 1 : 0;
    freed_.insert(*block);
    live_.erase(block);
    return 0;
}

int Memory::reg(void *dev_ptr, size_t size, int device_id, void **host_ptr_out) {
    std::lock_guard<std::mutex> lock(mutex_);
    void *host = nullptr;
    int rc = 0;
    if (reg_fault.hit()) {
        rc = kFailedRc;
    } else if (!null_reg_fault.hit()) {
        switch (sharing_) {
        case Sharing::kIdentity:
            host = dev_ptr;
            break;
        case Sharing::kMapped:
            host = view(dev_ptr);
            mapped_[dev_ptr] = size;
            break;
        case Sharing::kShadow:
            host = std::calloc(1, size);
            break;
        }
    }
    keep(Op::kReg, dev_ptr, host, size, device_id, host == nullptr);
    *host_ptr_out = host;
    return rc;
}

int Memory::unregister(void *dev_ptr, int device_id) {
    std::lock_guard<std::mutex> lock(mutex_);
    const bool failed = unregister_fault.hit();
    keep(Op::kUnregister, dev_ptr, nullptr, 0, device_id, failed);
    if (failed) {
        return kFailedRc;
    }
    mapped_.erase(dev_ptr);
    return 0;
}

int Memory::copy_to_device(void *dev_dst, const void *host_src, size_t size) {
    const bool failed = to_fault.hit();
    if (!failed) {
        copy_bytes(view(dev_dst), host_src, size);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    keep(Op::kToDevice, dev_dst, host_src, size, -1, failed);
    return failed ? kFailedRc : 0;
}

int Memory::copy_from_device(void *host_dst, const void *dev_src, size_t size) {
    const bool failed = from_fault.hit();
    if (!failed) {
        copy_bytes(host_dst, view(dev_src), size);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    keep(Op::kFromDevice, dev_src, host_dst, size, -1, failed);
    return failed ? kFailedRc : 0;
}

void Memory::reuse_addresses(bool on) {
    std::lock_guard<std::mutex> lock(mutex_);
    reuse_ = on;
}

size_t Memory::live() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return live_.size();
}

int Memory::bad_frees() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return bad_frees_;
}

int Memory::frees_while_mapped() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return frees_while_mapped_;
}

std::vector<Memory::Call> Memory::calls() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
}

std::vector<Memory::Call> Memory::calls(Op op) const {
    std::vector<Call> matching;
    for (const Call &call : calls()) {
        if (call.op == op) {
            matching.push_back(call);
        }
    }
    return matching;
}

void Memory::forget_calls() {
    std::lock_guard<std::mutex> lock(mutex_);
    calls_.clear();
}

// Shadows.

namespace {

// Fixed storage: free() must not allocate.
struct Watched {
    std::atomic<void *> ptr{nullptr};
    std::atomic<int> frees{0};
};
Watched watched[64];
std::atomic<size_t> watching{0};

} // namespace

Shadow::Shadow(size_t size) : ptr_(std::malloc(size)), slot_(0) {
    for (; slot_ < std::size(watched); ++slot_) {
        void *unused = nullptr;
        if (watched[slot_].ptr.compare_exchange_strong(unused, ptr_)) {
            watched[slot_].frees = 0;
            ++watching;
            return;
        }
    }
    std::abort();
}

Shadow::~Shadow() {
    watched[slot_].ptr = nullptr;
    --watching;
    std::free(ptr_);
}

int Shadow::frees() const { return watched[slot_].frees; }

bool Shadow::counted() {
    Shadow probe;
    // Through a volatile pointer, so that no compiler drops the call.
    void (*volatile release)(void *) = std::free;
    release(probe.get());
    return probe.frees() == 1;
}

} // namespace compat

#if defined(COMPAT_WRAPS_FREE)
// Linked with --wrap=free: every call of free() in the suites and in the library they link ends here.
void __wrap_free(void *ptr) {
    if (ptr != nullptr && compat::watching.load(std::memory_order_relaxed) != 0) {
        for (compat::Watched &entry : compat::watched) {
            if (entry.ptr.load(std::memory_order_relaxed) == ptr) {
                entry.frees.fetch_add(1);
                return;
            }
        }
    }
    __real_free(ptr);
}
#endif
