// Test-side view of what unified_log.cpp received. All functions are thread-safe.
#ifndef CPP_TESTS_RUNTIME_LOG_CAPTURE_H_
#define CPP_TESTS_RUNTIME_LOG_CAPTURE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace log_capture {

enum class Level { kError = 0, kWarn, kTiming, kInfo, kDebug };
constexpr size_t kLevelCount = 5;

// Texts kept per level; older ones are dropped, so that a log flood costs no memory. Counts are never dropped.
constexpr size_t kKeptMessages = 256;

// Messages of one level since the last reset().
size_t count(Level level);

// Messages of all levels since the last reset().
size_t total();

// The newest kKeptMessages texts of one level, oldest first, including the file and line prefix.
std::vector<std::string> messages(Level level);

// True if one of the kept texts of the level contains `needle`.
bool contains(Level level, const std::string &needle);

// Forgets counts and texts.
void reset();

// Also print to stderr; initially on iff LANEPIPE_TEST_LOG_ECHO is set in the environment.
void set_echo(bool on);

} // namespace log_capture

#endif // CPP_TESTS_RUNTIME_LOG_CAPTURE_H_
