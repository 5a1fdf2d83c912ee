#include "platform_hooks.h"

#include "aicpu/device_time.h"

namespace platform_hooks {

Hooks hooks;

} // namespace platform_hooks

uint64_t get_sys_cnt_aicpu() {
    const platform_hooks::Hooks &hooks = platform_hooks::hooks;
    return hooks.clock == nullptr ? 0 : hooks.clock(hooks.context);
}
