// PMU through the C interface: DE 1.7, 4.1, 5.1 to 5.3, D26, D27, D31; W1, W3, W19, W20, W26.
#include "support.h"

#include <lanepipe/staging_ring.h>

#include <map>

namespace {

using namespace subsystems;

constexpr uint32_t kCores = 3;
constexpr uint32_t kCapacity = PmuBuffer::kCapacity;
constexpr uint64_t kBase = 0x10000;

struct Region {
    PmuHeader header;
    PmuState states[kCores];
};
static_assert(offsetof(Region, states) == sizeof(PmuHeader));

struct alignas(64) Slot {
    uint64_t task_id;
    uint32_t func_id;
    uint32_t core_type;
    uint64_t cycles;
    uint32_t counters[10];
};

// Registers of all cores; one that nobody wrote reads as its offset.
class Registers : public lanepipe_pmu_registers_t {
  public:
    Registers() : lanepipe_pmu_registers_t{} {
        struct_size = sizeof(lanepipe_pmu_registers_t);
        context = this;
        read = [](void *self, uint64_t base, uint32_t offset) {
            auto &registers = *static_cast<Registers *>(self);
            ++registers.reads;
            const auto found = registers.values.find(base + offset);
            return found == registers.values.end() ? offset : found->second;
        };
        write = [](void *self, uint64_t base, uint32_t offset, uint32_t value) {
            static_cast<Registers *>(self)->values[base + offset] = value;
        };
    }
    std::map<uint64_t, uint32_t> values;
    uint32_t reads = 0;
};

class Pmu : public testing::Test {
  protected:
    Pmu() {
        for (uint32_t core = 0; core < kCores; ++core) {
            lanepipe_status_t status = lanepipe_pmu_core_init(&cores[core], static_cast<int32_t>(core), kBase);
            EXPECT_STATUS(LANEPIPE_OK, status);
#if defined(RUNTIME_ARCH_A5)
            region->states[core].aicore_ring_ptr = address(&rings[core][0]);
#endif
        }
    }

    void begin(uint32_t core_count = kCores) {
        const lanepipe_device_region_t described = region_of(&region->header);
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pmu_init(&pmu, &described, core_count));
    }
    uint64_t give(uint32_t core) { return buffers.give(region->states[core].free_queue); }

    // A task that the core has finished: its counters are where the architecture has them.
    lanepipe_status_t record(uint32_t core, uint32_t id) {
#if defined(RUNTIME_ARCH_A5)
        leave(core, id);
        return complete(core, id);
#else
        return lanepipe_pmu_record_task(&pmu, &thread, &cores[core], &registers, id, 7, LANEPIPE_CORE_TYPE_AIV);
#endif
    }
#if defined(RUNTIME_ARCH_A5)
    void leave(uint32_t core, uint32_t id) {
        auto *const slot = static_cast<Slot *>(lanepipe_staging_slot(&rings[core][0], 2, sizeof(Slot), id));
        slot->cycles = (uint64_t{5} << 32) | id;
        for (uint32_t counter = 0; counter < 10; ++counter)
            slot->counters[counter] = id + counter;
        lanepipe_staging_publish64(slot, &slot->task_id, id);
    }
    lanepipe_status_t complete(uint32_t core, uint32_t id) {
        return lanepipe_pmu_complete_record(&pmu, &thread, static_cast<int32_t>(core), id, id, 7,
                                            LANEPIPE_CORE_TYPE_AIV);
    }
#endif

    std::unique_ptr<Region> region = std::make_unique<Region>();
    Slot rings[kCores][2] = {};
    Buffers<PmuBuffer> buffers;
    Registers registers;
    lanepipe_pmu_t pmu{};
    lanepipe_pmu_core_t cores[kCores];
    Thread thread{2};
};

TEST_F(Pmu, RecordsSwitchAndFlush) {
    const uint64_t first = give(1);
    const uint64_t second = give(1);
    begin();
    for (uint32_t id = 1; id <= kCapacity + 1; ++id)
        ASSERT_STATUS(LANEPIPE_OK, record(1, id));
    // The record after the full buffer has published it.
    std::vector<Entry> entries = take(region->header, 2);
    ASSERT_EQ(entries.size(), 1u);
    expect_entry(entries[0], 1, first, 0);
    EXPECT_EQ(buffer_at<PmuBuffer>(first).count, kCapacity);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pmu_flush(&pmu, &thread, 1));
    entries = take(region->header, 2);
    ASSERT_EQ(entries.size(), 1u);
    expect_entry(entries[0], 1, second, 1);
    EXPECT_EQ(buffer_at<PmuBuffer>(second).count, 1u);
    EXPECT_EQ(region->states[1].current_buf_ptr, 0u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pmu_flush(&pmu, &thread, 1));
    EXPECT_EQ(region->states[1].total_record_count, kCapacity + 1);
    EXPECT_EQ(region->states[1].dropped_record_count, 0u);
    EXPECT_EQ(thread.lost(), 0u);

    const auto &stored = buffer_at<PmuBuffer>(second).records[0];
    EXPECT_EQ(field<uint64_t>(stored, 0), kCapacity + 1);
    EXPECT_EQ(field<uint32_t>(stored, 8), 7u);
    EXPECT_EQ(field<uint32_t>(stored, 12), LANEPIPE_CORE_TYPE_AIV);
#if defined(RUNTIME_ARCH_A5)
    EXPECT_EQ(field<uint64_t>(stored, 16), (uint64_t{5} << 32) | (kCapacity + 1));
    EXPECT_EQ(field<uint32_t>(stored, 24 + 9 * 4), kCapacity + 10);
#else
    EXPECT_EQ(field<uint64_t>(stored, 16), (uint64_t{596} << 32) | 592);
    EXPECT_EQ(field<uint32_t>(stored, 24 + 7 * 4), 584u);
#endif
    // Nothing was waited for, and so the clock not read.
    EXPECT_EQ(thread.time, 0u);
}

TEST_F(Pmu, ReasonsOfLosses) {
    give(0);
    give(1);
    begin();
    ASSERT_STATUS(LANEPIPE_OK, record(0, 1));
    ASSERT_STATUS(LANEPIPE_OK, record(1, 1));
    // The third core has no buffer.
    EXPECT_STATUS(LANEPIPE_DROPPED, record(2, 1));
    EXPECT_EQ(thread.losses.no_buffer, 1u);
    EXPECT_GE(thread.time, kBudget);
    EXPECT_EQ(region->states[2].dropped_record_count, 1u);
    EXPECT_EQ(region->header.backpressure.fq_contended, 1u);
    // A slot without a buffer is consumed.
    buffers.give(region->states[2].free_queue, 0);
    EXPECT_STATUS(LANEPIPE_DROPPED, record(2, 2));
    EXPECT_EQ(thread.losses.null_slots, 1u);
    EXPECT_EQ(region->states[2].free_queue.head, 1u);

    // The host lives again, but has no room; then it is taken for dead.
    region->header.backpressure.fq_contended = 0;
    fill(region->header, 2);
    EXPECT_STATUS(LANEPIPE_DROPPED, lanepipe_pmu_flush(&pmu, &thread, 0));
    EXPECT_EQ(thread.losses.no_room, 1u);
    const uint64_t before = thread.time;
    EXPECT_STATUS(LANEPIPE_DROPPED, lanepipe_pmu_flush(&pmu, &thread, 1));
    EXPECT_EQ(thread.losses.host_gone, 1u);
    EXPECT_LE(thread.time - before, kBudget / 2);
    EXPECT_EQ(region->states[0].dropped_record_count, 1u);
    EXPECT_EQ(region->states[0].current_buf_ptr, 0u);
}

TEST_F(Pmu, AGateThatStaysShutLosesNothing) {
    const uint64_t buffer = give(0);
    begin();
    ASSERT_STATUS(LANEPIPE_OK, record(0, 1));
    region->header.backpressure.rq_freeze_active = 1;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pmu_flush(&pmu, &thread, 0));
    EXPECT_EQ(thread.losses.gate_timeouts, 1u);
    EXPECT_EQ(thread.lost(), 0u);
    const std::vector<Entry> entries = take(region->header, 2);
    ASSERT_EQ(entries.size(), 1u);
    expect_entry(entries[0], 0, buffer, 0);
    EXPECT_EQ(region->states[0].dropped_record_count, 0u);
}

TEST_F(Pmu, AHostThatRefillsInTimeLosesNothing) {
    give(0);
    begin();
    thread.pause = [this] {
        auto &gates = region->header.backpressure;
        if (gates.fq_contended != 0) {
            gates.fq_contended = 0;
            give(0);
        }
    };
    for (uint32_t id = 1; id <= 3 * kCapacity; ++id)
        ASSERT_STATUS(LANEPIPE_OK, record(0, id));
    EXPECT_EQ(take(region->header, 2).size(), 2u);
    EXPECT_EQ(thread.lost(), 0u);
}

TEST_F(Pmu, AThreadWithoutReadyQueueLosesWhatItFlushes) {
    give(0);
    begin();
    thread.index = PLATFORM_MAX_AICPU_THREADS;
    ASSERT_STATUS(LANEPIPE_OK, record(0, 1));
    EXPECT_STATUS(LANEPIPE_DROPPED, lanepipe_pmu_flush(&pmu, &thread, 0));
    EXPECT_EQ(thread.losses.no_queue, 1u);
    EXPECT_EQ(region->states[0].dropped_record_count, 1u);
    EXPECT_EQ(thread.time, 0u);
}

// W19: a launch with fewer cores knows nothing of those of the last one; W20: nor of more than there are.
TEST_F(Pmu, ALaunchKnowsItsOwnCoresOnly) {
    give(1);
    begin();
    const auto old = std::move(region);
    region = std::make_unique<Region>();
    begin(1);
    EXPECT_STATUS(LANEPIPE_E_INVALID, record(1, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_flush(&pmu, &thread, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_flush(&pmu, &thread, -1));
    EXPECT_EQ(old->states[1].total_record_count, 0u);
    EXPECT_EQ(region->states[1].total_record_count, 0u);

    const lanepipe_device_region_t described = region_of(&region->header);
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_init(&pmu, &described, PLATFORM_MAX_CORES + 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_pmu_flush(&pmu, &thread, 0));
}

TEST_F(Pmu, AfterTheEndNothingIsTouched) {
    give(0);
    begin();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pmu_finalize(&pmu));
    EXPECT_STATUS(LANEPIPE_CLOSED, record(0, 1));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_pmu_flush(&pmu, &thread, 0));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_pmu_core_program(&pmu, &cores[0], &registers));
    EXPECT_EQ(region->states[0].total_record_count, 0u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pmu_finalize(&pmu));
}

TEST_F(Pmu, CountersAreProgrammedAndPutBack) {
    constexpr uint32_t kControl = kA5 ? 0x4200 : 512;
    begin();
    region->header.event_type = 4;
    registers.values[kBase + kControl] = 0x55;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pmu_core_program(&pmu, &cores[0], &registers));
    EXPECT_GT(registers.reads, 0u);
    const std::map<uint64_t, uint32_t> programmed = registers.values;
    EXPECT_NE(programmed.at(kBase + kControl), 0x55u);
    // What would be saved now is not what the core had.
    const uint32_t reads = registers.reads;
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_pmu_core_program(&pmu, &cores[0], &registers));
    EXPECT_EQ(registers.values, programmed);
    EXPECT_EQ(registers.reads, reads);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pmu_core_restore(&pmu, &cores[0], &registers));
    EXPECT_EQ(registers.values.at(kBase + kControl), 0x55u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pmu_core_program(&pmu, &cores[0], &registers));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pmu_core_restore(&pmu, &cores[0], &registers));

    registers.values.clear();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pmu_core_init(&cores[1], 1, 0));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pmu_core_program(&pmu, &cores[1], &registers));
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pmu_core_restore(&pmu, &cores[1], &registers));
    EXPECT_TRUE(registers.values.empty());
}

#if defined(RUNTIME_ARCH_A5)
// D27, D37, W26: what the core did not leave is a mismatch, whatever lies in the slot; the books balance.
TEST_F(Pmu, MismatchesHaveACounterOfTheirOwn) {
    leave(0, 3);
    give(0);
    begin();
    EXPECT_STATUS(LANEPIPE_MISMATCH, complete(0, 3)) << "left in an earlier launch";
    leave(0, 5);
    EXPECT_STATUS(LANEPIPE_MISMATCH, complete(0, 7));
    EXPECT_STATUS(LANEPIPE_OK, complete(0, 5));
    region->states[1].aicore_ring_ptr = 0;
    EXPECT_STATUS(LANEPIPE_DROPPED, complete(1, 5));
    EXPECT_EQ(thread.losses.refused, 1u);
    EXPECT_EQ(region->states[0].mismatch_record_count, 2u);
    EXPECT_EQ(region->states[0].total_record_count, 3u);
    EXPECT_EQ(region->states[0].dropped_record_count, 0u);
    EXPECT_EQ(region->states[1].dropped_record_count, 1u);
    EXPECT_STATUS(LANEPIPE_E_UNSUPPORTED,
                  lanepipe_pmu_record_task(&pmu, &thread, &cores[0], &registers, 1, 7, LANEPIPE_CORE_TYPE_AIC));
}
#else
// W26: a core without registers is no attempt.
TEST_F(Pmu, ACoreWithoutRegistersIsNotCounted) {
    give(0);
    begin();
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pmu_core_init(&cores[0], 0, 0));
    EXPECT_STATUS(LANEPIPE_EMPTY, record(0, 1));
    EXPECT_EQ(region->states[0].total_record_count, 0u);
    EXPECT_EQ(registers.reads, 0u);
    EXPECT_STATUS(LANEPIPE_E_UNSUPPORTED,
                  lanepipe_pmu_complete_record(&pmu, &thread, 0, 1, 1, 7, LANEPIPE_CORE_TYPE_AIC));
}
#endif

TEST_F(Pmu, BadInput) {
    const lanepipe_device_region_t described = region_of(&region->header);
    lanepipe_device_region_t bad = described;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_init(nullptr, &described, kCores));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_init(&pmu, nullptr, kCores));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_finalize(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_core_init(nullptr, 0, 0));
    bad.struct_size -= 1;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_pmu_init(&pmu, &bad, kCores));
    bad = described;
    bad.arch = 2;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_init(&pmu, &bad, kCores));
    bad = described;
    bad.base += 8;
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_pmu_init(&pmu, &bad, kCores));
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_pmu_finalize(reinterpret_cast<lanepipe_pmu_t *>(address(&pmu) + 4)));
    // A refused launch is off, whatever ran before.
    begin();
    bad = described;
    bad.base = 0;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_init(&pmu, &bad, kCores));
    EXPECT_STATUS(LANEPIPE_CLOSED, lanepipe_pmu_flush(&pmu, &thread, 0));
    // Memory that no init call has seen.
    pmu.words[0] = 42;
    EXPECT_STATUS(LANEPIPE_E_STATE, lanepipe_pmu_flush(&pmu, &thread, 0));

    begin();
    give(0);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_flush(nullptr, &thread, 0));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_flush(&pmu, nullptr, 0));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_flush(&pmu, &thread, kCores));
    thread.struct_size = 8;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, record(0, 1));
    thread.struct_size = sizeof(lanepipe_device_thread_t);
    const auto now = thread.now;
    thread.now = nullptr;
    EXPECT_STATUS(LANEPIPE_E_NULL, record(0, 1));
    thread.now = now;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_core_program(&pmu, nullptr, &registers));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_core_program(&pmu, &cores[0], nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_core_restore(nullptr, &cores[0], &registers));
    registers.reserved = 1;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_core_program(&pmu, &cores[0], &registers));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_core_restore(&pmu, &cores[0], &registers));
    EXPECT_EQ(registers.reads, 0u);
    registers.reserved = 0;
#if defined(RUNTIME_ARCH_A5)
    EXPECT_STATUS(LANEPIPE_E_INVALID, complete(kCores, 1));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_complete_record(&pmu, &thread, 0, 1, 1, 7, 2));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_complete_record(&pmu, nullptr, 0, 1, 1, 7, 0));
#else
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_record_task(&pmu, &thread, nullptr, &registers, 1, 7, 0));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_record_task(&pmu, &thread, &cores[0], nullptr, 1, 7, 0));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_pmu_record_task(&pmu, &thread, &cores[0], &registers, 1, 7, 2));
    registers.read = nullptr;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pmu_record_task(&pmu, &thread, &cores[0], &registers, 1, 7, 0));
    registers.struct_size = 0;
    EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_pmu_record_task(&pmu, &thread, &cores[0], &registers, 1, 7, 0));
#endif
    EXPECT_EQ(region->states[0].total_record_count, 0u);
    EXPECT_EQ(thread.lost(), 0u);
}

} // namespace
