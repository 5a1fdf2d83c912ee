// Test-side control of profiling_copy.cpp. All functions are thread-safe.
#ifndef CPP_TESTS_RUNTIME_COPY_CONTROL_H_
#define CPP_TESTS_RUNTIME_COPY_CONTROL_H_

#include <cstddef>

namespace copy_control {

// Whether the selectors hand out copies (host shadow) or nothing (SVM, the initial state).
void set_shadowed(bool on);

// Copies made so far.
size_t count();

} // namespace copy_control

#endif // CPP_TESTS_RUNTIME_COPY_CONTROL_H_
