// SPDX-License-Identifier: MIT OR Apache-2.0
#include "counter_registers.hpp"

#include <utility>
#include <vector>

namespace profile {
namespace {

// Where an architecture has its registers, and what the default type of events (pipe utilisation) selects.
struct Places {
    uint32_t first_counter; // eight bytes each, where they are read
    uint32_t first_cycles;  // low and high word
    uint32_t first_range;   // start low and high, stop low and high
    uint32_t first_selector;
    std::vector<uint32_t> events;
    std::vector<std::pair<uint32_t, uint32_t>> controls; // with the values that switch the counters on
};

const Places &places_of(const Arch &arch) {
    static const Places a2a3 = {528, 592, 672, 4736, {8, 10, 9, 11, 12, 13, 85, 84}, {{512, 7}}};
    static const Places a5 = {
        16912, 16992, 17056, 9472, {1281, 769, 1, 1793, 514, 515, 52, 53, 1812, 0}, {{16896, 7}, {9216, 1}}};
    return arch.id == LANEPIPE_ARCH_A5 ? a5 : a2a3;
}

constexpr uint32_t kCounterStep = 8;
constexpr uint32_t kWord = 4;

// Control registers hold something that no other core's hold.
uint32_t control_before(uint32_t core, uint32_t offset) { return (core + 1) << 16 | offset; }

} // namespace

CounterRegisters::CounterRegisters(const Arch &arch, uint32_t core) : arch_(arch), core_(core) {
    const Places &places = places_of(arch);
    for (const auto &[offset, on] : places.controls) {
        values_[offset] = control_before(core, offset);
    }
    // 0 is a valid event.
    for (uint32_t i = 0; i < places.events.size(); ++i) {
        values_[places.first_selector + i * kWord] = UINT32_MAX;
    }
}

uint32_t CounterRegisters::read(uint32_t offset) const {
    const Places &places = places_of(arch_);
    if (offset == places.first_cycles) {
        return static_cast<uint32_t>(counters.cycles);
    }
    if (offset == places.first_cycles + kWord) {
        return static_cast<uint32_t>(counters.cycles >> 32);
    }
    const uint32_t counter = (offset - places.first_counter) / kCounterStep;
    if (!arch_.has_staging_ring && offset >= places.first_counter && counter < arch_.counters) {
        return counters.counters[counter];
    }
    const auto value = values_.find(offset);
    return value == values_.end() ? 0 : value->second;
}

bool CounterRegisters::holds(uint32_t offset, uint32_t value) const {
    const auto found = values_.find(offset);
    return found != values_.end() && found->second == value;
}

bool CounterRegisters::is_selected() const {
    const Places &places = places_of(arch_);
    bool good = true;
    for (uint32_t i = 0; i < places.events.size(); ++i) {
        good = good && holds(places.first_selector + i * kWord, places.events[i]);
    }
    for (uint32_t i = 0; i < 4; ++i) {
        good = good && holds(places.first_range + i * kWord, i < 2 ? 0 : UINT32_MAX);
    }
    return good;
}

bool CounterRegisters::holds_controls(bool on) const {
    bool good = true;
    for (const auto &[offset, value] : places_of(arch_).controls) {
        good = good && holds(offset, on ? value : control_before(core_, offset));
    }
    return good;
}

} // namespace profile
