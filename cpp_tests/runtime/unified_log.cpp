// The program's log functions for suites and benchmarks: count and keep instead of print.
#include "common/unified_log.h"
#include "log_capture.h"

#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>

namespace log_capture {
namespace {

struct Store {
    std::array<std::atomic<size_t>, kLevelCount> counts{};
    std::atomic<bool> echo{std::getenv("LANEPIPE_TEST_LOG_ECHO") != nullptr};
    std::mutex mutex;
    std::array<std::deque<std::string>, kLevelCount> texts;
};

// Static storage reached through a pointer: messages may arrive while other static objects are being destroyed.
Store &store() {
    static Store *const instance = new Store;
    return *instance;
}

constexpr const char *kLevelNames[kLevelCount] = {"ERROR", "WARN", "TIMING", "INFO", "DEBUG"};

void record(Level level, const char *func, const char *fmt, va_list args) {
    const size_t index = static_cast<size_t>(level);
    char text[1024];
    std::vsnprintf(text, sizeof(text), fmt, args);
    Store &s = store();
    {
        std::lock_guard<std::mutex> lock(s.mutex);
        std::deque<std::string> &kept = s.texts[index];
        if (kept.size() == kKeptMessages) {
            kept.pop_front();
        }
        kept.emplace_back(text);
        // Inside the lock, so that whoever sees the count finds the text.
        s.counts[index].fetch_add(1, std::memory_order_release);
    }
    if (s.echo.load(std::memory_order_relaxed)) {
        std::fprintf(stderr, "%s %s: %s\n", kLevelNames[index], func, text);
    }
}

} // namespace

size_t count(Level level) { return store().counts[static_cast<size_t>(level)].load(std::memory_order_acquire); }

size_t total() {
    size_t sum = 0;
    for (const std::atomic<size_t> &c : store().counts) {
        sum += c.load(std::memory_order_acquire);
    }
    return sum;
}

std::vector<std::string> messages(Level level) {
    Store &s = store();
    std::lock_guard<std::mutex> lock(s.mutex);
    const std::deque<std::string> &kept = s.texts[static_cast<size_t>(level)];
    return std::vector<std::string>(kept.begin(), kept.end());
}

bool contains(Level level, const std::string &needle) {
    for (const std::string &text : messages(level)) {
        if (text.find(needle) != std::string::npos) {
            return true;
        }
    }
    return false;
}

void reset() {
    Store &s = store();
    std::lock_guard<std::mutex> lock(s.mutex);
    for (size_t i = 0; i < kLevelCount; ++i) {
        s.texts[i].clear();
        s.counts[i].store(0, std::memory_order_release);
    }
}

void set_echo(bool on) { store().echo.store(on, std::memory_order_relaxed); }

} // namespace log_capture

#define LANEPIPE_DEFINE_LOG_FUNCTION(name, level)                                                                      \
    void name(const char *func, const char *fmt, ...) {                                                                \
        va_list args;                                                                                                  \
        va_start(args, fmt);                                                                                           \
        log_capture::record(level, func, fmt, args);                                                                   \
        va_end(args);                                                                                                  \
    }

extern "C" {
LANEPIPE_DEFINE_LOG_FUNCTION(unified_log_error, log_capture::Level::kError)
LANEPIPE_DEFINE_LOG_FUNCTION(unified_log_warn, log_capture::Level::kWarn)
LANEPIPE_DEFINE_LOG_FUNCTION(unified_log_timing, log_capture::Level::kTiming)
LANEPIPE_DEFINE_LOG_FUNCTION(unified_log_info, log_capture::Level::kInfo)
LANEPIPE_DEFINE_LOG_FUNCTION(unified_log_debug, log_capture::Level::kDebug)
}
