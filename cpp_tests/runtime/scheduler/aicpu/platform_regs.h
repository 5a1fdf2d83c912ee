// Cache maintenance of the control threads. The simulation has coherent memory; the suites look at what would be done.
#ifndef AICPU_PLATFORM_REGS_H
#define AICPU_PLATFORM_REGS_H

#include <cstddef>
#include <cstdint>

namespace standin {

// Lines invalidated by the calling thread, while `lines` is set.
struct CacheLog {
    uintptr_t *lines = nullptr;
    size_t capacity = 0;
    size_t count = 0;
};

inline CacheLog &cache_log() {
    static thread_local CacheLog log;
    return log;
}

} // namespace standin

inline void cache_invalidate_range(const void *addr, size_t size) {
    standin::CacheLog &log = standin::cache_log();
    if (log.lines == nullptr) {
        return;
    }
    const uintptr_t first = reinterpret_cast<uintptr_t>(addr) & ~uintptr_t{63};
    for (uintptr_t line = first; line < reinterpret_cast<uintptr_t>(addr) + size; line += 64) {
        if (log.count < log.capacity) {
            log.lines[log.count] = line;
        }
        ++log.count;
    }
}

#endif // AICPU_PLATFORM_REGS_H
