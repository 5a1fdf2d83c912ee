// What a device image supplies.
#include <cstdlib>

#include "aicpu/device_time.h"

uint64_t get_sys_cnt_aicpu() {
    static uint64_t ticks = 0;
    return ++ticks;
}

extern "C" void lanepipe_device_abort() { std::abort(); }
