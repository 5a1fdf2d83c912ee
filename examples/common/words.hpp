// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Words that device and host both touch. Builtins because the words lie in plain memory of either side.
#ifndef DEMO_WORDS_HPP_
#define DEMO_WORDS_HPP_

#include <cstdint>

namespace demo {

inline uint32_t load_acquire(const uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
inline uint64_t load_acquire(const uint64_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); }
inline void store_release(uint32_t &word, uint32_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }
inline void store_release(uint64_t &word, uint64_t value) { __atomic_store_n(&word, value, __ATOMIC_RELEASE); }

} // namespace demo

#endif // DEMO_WORDS_HPP_
