// What the suites of the device engine put behind the platform's clock, relax hint and barriers.
#ifndef CPP_TESTS_RUNTIME_DEVICE_PLATFORM_HOOKS_H_
#define CPP_TESTS_RUNTIME_DEVICE_PLATFORM_HOOKS_H_

#include <cstdint>

namespace platform_hooks {

enum class Barrier { kRead, kWrite };

// Set before the threads that run into them start. A null hook does nothing; the clock then stands still at 0.
struct Hooks {
    void *context = nullptr;
    uint64_t (*clock)(void *context) = nullptr;
    void (*hint)(void *context) = nullptr;
    void (*barrier)(void *context, Barrier barrier) = nullptr;
};

extern Hooks hooks;

inline void hint() {
    if (hooks.hint != nullptr) {
        hooks.hint(hooks.context);
    }
}

inline void barrier(Barrier barrier) {
    if (hooks.barrier != nullptr) {
        hooks.barrier(hooks.context, barrier);
    }
}

} // namespace platform_hooks

#endif // CPP_TESTS_RUNTIME_DEVICE_PLATFORM_HOOKS_H_
