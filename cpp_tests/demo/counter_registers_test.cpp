// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The registers of the five subsystems' demonstrator: it has to notice counters that are programmed wrongly or not put
// back.
#include "profile/counter_registers.hpp"

#include "lanepipe/lanepipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace profile {
namespace {

class CounterRegistersOf : public ::testing::TestWithParam<uint32_t> {
  protected:
    using Writes = std::vector<std::pair<uint32_t, uint32_t>>;

    static uint32_t read(void *self, uint64_t, uint32_t offset) {
        return static_cast<CounterRegistersOf *>(self)->registers_.read(offset);
    }
    static void write(void *self, uint64_t, uint32_t offset, uint32_t value) {
        auto &test = *static_cast<CounterRegistersOf *>(self);
        test.writes_.emplace_back(offset, value);
        test.registers_.write(offset, value);
    }

    // Programs a core and puts it back: what was written by either.
    std::pair<Writes, Writes> written() {
        alignas(64) static unsigned char region[1 << 18];
        std::fill(std::begin(region), std::end(region), static_cast<unsigned char>(0));
        lanepipe_device_region_t at{};
        at.struct_size = sizeof(at);
        at.arch = GetParam();
        at.base = reinterpret_cast<uintptr_t>(region);
        lanepipe_pmu_t pmu{};
        EXPECT_EQ(lanepipe_pmu_init(&pmu, &at, 1), LANEPIPE_OK);
        lanepipe_pmu_core_t core{};
        EXPECT_EQ(lanepipe_pmu_core_init(&core, 0, 4096), LANEPIPE_OK);
        lanepipe_pmu_registers_t access{};
        access.struct_size = sizeof(access);
        access.context = this;
        access.read = read;
        access.write = write;
        EXPECT_FALSE(registers_.is_programmed());
        EXPECT_FALSE(registers_.is_restored());
        EXPECT_EQ(lanepipe_pmu_core_program(&pmu, &core, &access), LANEPIPE_OK);
        EXPECT_TRUE(registers_.is_programmed());
        EXPECT_FALSE(registers_.is_restored());
        const Writes program = std::exchange(writes_, Writes());
        EXPECT_EQ(lanepipe_pmu_core_restore(&pmu, &core, &access), LANEPIPE_OK);
        EXPECT_TRUE(registers_.is_restored());
        EXPECT_FALSE(registers_.is_programmed());
        return {program, writes_};
    }

    const Arch &arch_ = GetParam() == kA5.id ? kA5 : kA2a3;
    CounterRegisters registers_{arch_, 5};
    Writes writes_;
};

TEST_P(CounterRegistersOf, EveryWriteOfTheDeviceHalfMatters) {
    const auto [program, restore] = written();
    EXPECT_EQ(program.size(), arch_.counters + 4 + restore.size());
    for (size_t left_out = 0; left_out < program.size() + restore.size(); ++left_out) {
        CounterRegisters registers(arch_, 5);
        for (size_t i = 0; i < program.size(); ++i) {
            if (i != left_out) {
                registers.write(program[i].first, program[i].second);
            }
        }
        EXPECT_EQ(registers.is_programmed(), left_out >= program.size()) << "write " << left_out;
        for (size_t i = 0; i < restore.size(); ++i) {
            if (program.size() + i != left_out) {
                registers.write(restore[i].first, restore[i].second);
            }
        }
        // Whether a control register was ever switched on does not show afterwards.
        const bool shows = left_out < arch_.counters + 4 || left_out >= program.size();
        EXPECT_EQ(registers.is_restored(), !shows) << "write " << left_out;
    }
}

INSTANTIATE_TEST_SUITE_P(BothArchitectures, CounterRegistersOf, ::testing::Values(kA2a3.id, kA5.id),
                         [](const auto &info) { return info.param == kA5.id ? kA5.name : kA2a3.name; });

} // namespace
} // namespace profile
