// SPDX-License-Identifier: MIT OR Apache-2.0
#include "device.hpp"

#include <algorithm>
#include <string>

#include "clock.hpp"

namespace profile {
namespace {

// A core's registers: any address will do, since they are reached through callbacks only.
constexpr unsigned kRegisterShift = 16;

} // namespace

Device::Device(const Contents &contents, const Options &options, const std::array<Launch, kSubsystems> &launches,
               uint64_t payloads)
    : contents_(contents), load_(contents.load()), options_(options), launches_(launches), payloads_(payloads) {
    registers_.struct_size = sizeof(registers_);
    registers_.context = this;
    registers_.read = read_register;
    registers_.write = write_register;
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
        tallies_[flow].resize(load_.instances(flow));
    }
    for (uint32_t core = 0; core < load_.cores; ++core) {
        cores_.push_back(std::make_unique<Core>(*load_.arch, core));
    }
    for (uint32_t thread = 0; thread < load_.threads; ++thread) {
        threads_.push_back(std::make_unique<ControlThread>(*this, thread));
    }
}

Device::~Device() { join(); }

uint32_t Device::read_register(void *device, uint64_t base, uint32_t offset) {
    return static_cast<Device *>(device)->cores_[(base >> kRegisterShift) - 1]->registers.read(offset);
}

void Device::write_register(void *device, uint64_t base, uint32_t offset, uint32_t value) {
    static_cast<Device *>(device)->cores_[(base >> kRegisterShift) - 1]->registers.write(offset, value);
}

lanepipe_device_region_t Device::region(uint32_t subsystem) const {
    lanepipe_device_region_t region{};
    region.struct_size = sizeof(region);
    region.arch = load_.arch->id;
    region.base = launches_[subsystem].base;
    region.budget = options_.drop ? 0
                    : options_.budget != 0
                        ? static_cast<uint64_t>(options_.budget * static_cast<double>(load_.arch->clock_hz))
                        : LANEPIPE_DEVICE_BUDGET_OF_ARCH;
    return region;
}

void Device::note_refusal(lanepipe_status_t status) {
    last_refusal_ = status;
    ++refusals_;
}

void Device::expect_ok(lanepipe_status_t status) {
    if (status != LANEPIPE_OK) {
        note_refusal(status);
    }
}

void Device::commit_record(Core &core) {
    const AicoreRecord &record = core.record;
    const uint64_t place = core.reserved[record.reg % core.reserved.size()];
    if (core.has_record && place != 0) {
        expect_ok(lanepipe_swimlane_aicore_commit(place, record.token, record.reg,
                                                  record.start - record.receive_to_start, record.start, record.end));
    }
    core.has_record = false;
}

bool Device::init(std::string &error) {
    const auto refused = [&error](const char *what, lanepipe_status_t status) {
        error = std::string("the device's start of ") + what + ": " + lanepipe_status_name(status);
        return false;
    };
    lanepipe_status_t status = LANEPIPE_OK;
    if (has(LANEPIPE_SUBSYSTEM_SWIMLANE)) {
        const lanepipe_device_region_t at = region(LANEPIPE_SUBSYSTEM_SWIMLANE);
        auto *table = reinterpret_cast<uint64_t *>(launches_[LANEPIPE_SUBSYSTEM_SWIMLANE].table);
        status = lanepipe_swimlane_init(&swimlane_, &at, load_.cores, table);
        if (status == LANEPIPE_OK && options_.level >= 3) {
            status = lanepipe_swimlane_init_phases(&swimlane_, load_.schedulers(), 1);
        }
        if (status != LANEPIPE_OK) {
            return refused("the swimlane", status);
        }
        for (uint32_t i = 0; i < load_.cores; ++i) {
            cores_[i]->head = table[i];
            expect_ok(lanepipe_swimlane_core_init(&cores_[i]->stream, static_cast<int32_t>(i)));
            expect_ok(lanepipe_swimlane_aicore_init(&cores_[i]->local));
        }
    }
    if (has(LANEPIPE_SUBSYSTEM_ARGS_DUMP)) {
        const lanepipe_device_region_t at = region(LANEPIPE_SUBSYSTEM_ARGS_DUMP);
        status = lanepipe_args_dump_init(&args_dump_, &at, load_.schedulers());
        if (status != LANEPIPE_OK) {
            return refused("the arguments' dump", status);
        }
    }
    if (has(LANEPIPE_SUBSYSTEM_PMU)) {
        const lanepipe_device_region_t at = region(LANEPIPE_SUBSYSTEM_PMU);
        status = lanepipe_pmu_init(&pmu_, &at, load_.cores);
        const auto *table = reinterpret_cast<const uint64_t *>(launches_[LANEPIPE_SUBSYSTEM_PMU].table);
        for (uint32_t i = 0; i < load_.cores && status == LANEPIPE_OK; ++i) {
            Core &core = *cores_[i];
            core.staging = load_.arch->has_staging_ring ? table[i] : 0;
            expect_ok(
                lanepipe_pmu_core_init(&core.counters, static_cast<int32_t>(i), uint64_t{i + 1} << kRegisterShift));
            status = lanepipe_pmu_core_program(&pmu_, &core.counters, &registers_);
            misprogrammed_ += core.registers.is_programmed() ? 0 : 1;
        }
        if (status != LANEPIPE_OK) {
            return refused("the counters", status);
        }
    }
    if (has(LANEPIPE_SUBSYSTEM_DEP_GEN)) {
        const lanepipe_device_region_t at = region(LANEPIPE_SUBSYSTEM_DEP_GEN);
        status = lanepipe_dep_gen_init(&dep_gen_, &at);
        if (status != LANEPIPE_OK) {
            return refused("the submits", status);
        }
    }
    if (has(LANEPIPE_SUBSYSTEM_SCOPE_STATS)) {
        const lanepipe_device_region_t at = region(LANEPIPE_SUBSYSTEM_SCOPE_STATS);
        status = lanepipe_scope_stats_init(&scope_stats_, &at);
        if (status != LANEPIPE_OK) {
            return refused("the scopes", status);
        }
    }
    return true;
}

void Device::start() {
    start_ns_ = now_ns();
    for (const auto &thread : threads_) {
        running_.emplace_back([&thread, start = start_ns_] { thread->run(start); });
    }
}

void Device::join() {
    for (std::thread &thread : running_) {
        thread.join();
    }
    if (running_.empty()) {
        return;
    }
    running_.clear();
    // The leader, after the last call.
    if (has(LANEPIPE_SUBSYSTEM_SWIMLANE)) {
        expect_ok(lanepipe_swimlane_finalize(&swimlane_));
    }
    if (has(LANEPIPE_SUBSYSTEM_ARGS_DUMP)) {
        expect_ok(lanepipe_args_dump_finalize(&args_dump_));
    }
    if (has(LANEPIPE_SUBSYSTEM_PMU)) {
        expect_ok(lanepipe_pmu_finalize(&pmu_));
    }
}

bool Device::finished() const {
    return std::all_of(threads_.begin(), threads_.end(), [](const auto &thread) { return thread->finished(); });
}

uint64_t Device::progress() const {
    uint64_t sum = 0;
    for (const auto &thread : threads_) {
        sum += thread->progress();
    }
    return sum;
}

} // namespace profile
