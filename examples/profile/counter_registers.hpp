// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The registers of one simulated core through which its counters are programmed and, on a2a3, read.
#ifndef PROFILE_COUNTER_REGISTERS_HPP_
#define PROFILE_COUNTER_REGISTERS_HPP_

#include <cstdint>
#include <map>

#include "arch.hpp"
#include "records.hpp"

namespace profile {

class CounterRegisters {
  public:
    CounterRegisters(const Arch &arch, uint32_t core);

    uint32_t read(uint32_t offset) const;
    void write(uint32_t offset, uint32_t value) { values_[offset] = value; }

    // What the counters show.
    PmuRecord counters{};

    // Whether the default events are selected, over all cycles, and the counters are on.
    bool is_programmed() const { return is_selected() && holds_controls(true); }
    // Whether, after that, the control registers are as they were at first.
    bool is_restored() const { return is_selected() && holds_controls(false); }

  private:
    bool holds(uint32_t offset, uint32_t value) const;
    bool is_selected() const;
    bool holds_controls(bool on) const;

    const Arch &arch_;
    uint32_t core_;
    std::map<uint32_t, uint32_t> values_; // by offset; what was never written reads 0
};

} // namespace profile

#endif // PROFILE_COUNTER_REGISTERS_HPP_
