// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Time as the demonstrators use it: nanoseconds in 64 bits.
#ifndef DEMO_CLOCK_HPP_
#define DEMO_CLOCK_HPP_

#include <time.h>

#include <cstdint>

namespace demo {

inline uint64_t read_clock(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

inline uint64_t now_ns() { return read_clock(CLOCK_MONOTONIC); }

// CPU time of the calling thread.
inline uint64_t thread_cpu_ns() { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

inline void sleep_ns(uint64_t ns) {
    const timespec t{static_cast<time_t>(ns / 1000000000u), static_cast<long>(ns % 1000000000u)};
    nanosleep(&t, nullptr);
}

} // namespace demo

#endif // DEMO_CLOCK_HPP_
