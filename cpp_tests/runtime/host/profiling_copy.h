// Copies between host shadow and device memory. The bodies belong to the platform; nothing in the framework calls them
// except through callbacks that a collector installed.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILING_COPY_H_
#define SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILING_COPY_H_

#include <cstddef>
#include <functional>

int profiling_copy_to_device(volatile void *dev_dst, const void *host_src, size_t size);
int profiling_copy_from_device(volatile void *host_dst, const volatile void *dev_src, size_t size);

// Same copies in the shapes that MemoryOps holds.
inline int profiling_copy_to_device_for_ops(void *dev_dst, const void *host_src, size_t size) {
    return profiling_copy_to_device(dev_dst, host_src, size);
}

inline int profiling_copy_from_device_for_ops(void *host_dst, const void *dev_src, size_t size) {
    return profiling_copy_from_device(host_dst, dev_src, size);
}

// Empty where host and device share their memory.
std::function<int(void *, const void *, size_t)> profiling_copy_to_device_or_null();
std::function<int(void *, const void *, size_t)> profiling_copy_from_device_or_null();

#endif // SRC_COMMON_PLATFORM_INCLUDE_HOST_PROFILING_COPY_H_
