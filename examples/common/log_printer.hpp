// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Prints the library's messages, not too many of them.
#ifndef DEMO_LOG_PRINTER_HPP_
#define DEMO_LOG_PRINTER_HPP_

#include <atomic>
#include <cstdint>
#include <cstdio>

#include "lanepipe/lanepipe.hpp"

namespace demo {

class LogPrinter {
  public:
    bool quiet = false;

    // From any thread.
    void write(uint32_t level, const char *message) {
        const uint64_t number = ++messages_;
        if (!quiet && number <= kMaxMessages) {
            std::fprintf(stderr, "lanepipe %s: %s\n", level == LANEPIPE_LOG_ERROR ? "error" : "warning", message);
            if (number == kMaxMessages) {
                std::fputs("lanepipe: further messages are counted only\n", stderr);
            }
        }
    }

    uint64_t messages() const { return messages_; }

  private:
    static constexpr uint64_t kMaxMessages = 20;

    std::atomic<uint64_t> messages_{0};
};

} // namespace demo

#endif // DEMO_LOG_PRINTER_HPP_
