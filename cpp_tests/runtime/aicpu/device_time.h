// Clock of the control threads, in ticks of PLATFORM_PROF_SYS_CNT_FREQ. The program that is linked supplies it.
#ifndef SRC_COMMON_PLATFORM_INCLUDE_AICPU_DEVICE_TIME_H_
#define SRC_COMMON_PLATFORM_INCLUDE_AICPU_DEVICE_TIME_H_

#include <cstdint>

uint64_t get_sys_cnt_aicpu();

#endif // SRC_COMMON_PLATFORM_INCLUDE_AICPU_DEVICE_TIME_H_
