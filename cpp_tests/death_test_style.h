// How the suites' death tests make their process.
#ifndef LANEPIPE_TESTS_DEATH_TEST_STYLE_H_
#define LANEPIPE_TESTS_DEATH_TEST_STYLE_H_

#include <gtest/gtest.h>

#include <cstdlib>

namespace death_test {

inline bool is_emulated() { return std::getenv("LANEPIPE_TEST_EMULATOR") != nullptr; }

// A process that starts anew, so that threads and limits of the test are its own. An emulated program cannot start
// itself again and is forked; there each test has a process of its own anyway.
inline void in_new_process() { GTEST_FLAG_SET(death_test_style, is_emulated() ? "fast" : "threadsafe"); }

} // namespace death_test

#endif // LANEPIPE_TESTS_DEATH_TEST_STYLE_H_
