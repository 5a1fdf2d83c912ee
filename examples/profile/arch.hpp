// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The two architectures as the hardware has them.
#ifndef PROFILE_ARCH_HPP_
#define PROFILE_ARCH_HPP_

#include <cstdint>
#include <string>

#include "lanepipe/lanepipe.h"

namespace profile {

struct Arch {
    const char *name;
    uint32_t id; // LANEPIPE_ARCH_*
    uint32_t cores;
    uint32_t threads;
    uint64_t clock_hz;
    bool has_staging_ring; // a core hands its counters over itself
    bool has_host_shadow;  // the host reaches device memory by copies only
    uint32_t counters;     // of a core
    uint32_t phase_cores;  // where the swimlane's header holds the number of cores, before their threads
};

inline constexpr Arch kA2a3 = {"a2a3", LANEPIPE_ARCH_A2A3, 72, 4, 50'000'000, false, false, 8, 127024};
inline constexpr Arch kA5 = {"a5", LANEPIPE_ARCH_A5, 108, 5, 1'000'000'000, true, true, 10, 233016};

// Null if there is no such architecture.
inline const Arch *find_arch(const std::string &name) {
    return name == kA2a3.name ? &kA2a3 : name == kA5.name ? &kA5 : nullptr;
}

} // namespace profile

#endif // PROFILE_ARCH_HPP_
