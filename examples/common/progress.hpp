// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Tells how far a run is: one line that is written over on a terminal, a line now and then elsewhere.
#ifndef DEMO_PROGRESS_HPP_
#define DEMO_PROGRESS_HPP_

#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "clock.hpp"

namespace demo {

class Progress {
  public:
    // `planned` is what show() calls produced at the end; 0: nobody knows.
    Progress(std::string name, uint64_t planned, bool quiet)
        : name_(std::move(name)), planned_(planned), quiet_(quiet), tty_(isatty(STDERR_FILENO) != 0),
          interval_((tty_ ? 200 : 2000) * kMillisecond), last_(now_ns()) {}

    void show(uint64_t produced, uint64_t collected) {
        const uint64_t now = now_ns();
        if (!quiet_ && now - last_ >= interval_) {
            last_ = now;
            shown_ = true;
            std::fprintf(stderr, "%s%s:", tty_ ? "\r" : "", name_.c_str());
            if (planned_ != 0) {
                std::fprintf(stderr, " %3.0f %% ",
                             100.0 * static_cast<double>(produced) / static_cast<double>(planned_));
            }
            std::fprintf(stderr, " produced %" PRIu64 "  collected %" PRIu64 "%s", produced, collected,
                         tty_ ? "  " : "\n");
            std::fflush(stderr);
        }
    }

    void end() {
        if (shown_ && tty_) {
            std::fputs("\r\033[K", stderr);
        }
    }

  private:
    static constexpr uint64_t kMillisecond = 1000000;

    std::string name_;
    uint64_t planned_;
    bool quiet_;
    bool tty_;
    bool shown_ = false;
    uint64_t interval_;
    uint64_t last_;
};

} // namespace demo

#endif // DEMO_PROGRESS_HPP_
