// The device engine's steps: a switch made of them, budgets that go over several calls, misuse of every function.
#include "support.h"

#include <array>
#include <functional>

namespace {

using namespace capi;

constexpr uint32_t kSize = 4;
constexpr uint32_t kSlots = 4;

// A lane's queues and gates, and a clock in whose pauses the host acts.
class Lane {
  public:
    Lane() {
        ready = {sizeof ready, kSize, &heads[1], &tail};
        free = {sizeof free, kSlots, &free_head, &free_tail, slots.data()};
        gates = {sizeof gates, static_cast<uint32_t>(heads.size()), heads.data(), &flags[0], &flags[1], &flags[2],
                 &flags[3]};
        wait.struct_size = sizeof wait;
        wait.budget = 100;
        wait.context = this;
        wait.now = [](void *self) { return static_cast<Lane *>(self)->time; };
        wait.relax = [](void *self) {
            auto *const lane = static_cast<Lane *>(self);
            ++lane->time;
            if (lane->pause)
                lane->pause();
        };
        wait.latch = &latch;
    }
    Lane(const Lane &) = delete;
    Lane &operator=(const Lane &) = delete;

    void put(uint64_t buffer) {
        slots[free_tail % kSlots] = buffer;
        ++free_tail;
    }
    void restart() { wait.state = LANEPIPE_DEVICE_WAIT_FRESH; }

    std::array<uint32_t, 3> heads{};
    uint32_t tail = 0;
    std::array<uint32_t, 4> flags{};
    std::array<uint64_t, kSlots> slots{};
    uint32_t free_head = 0;
    uint32_t free_tail = 0;
    uint64_t time = 0;
    std::function<void()> pause;
    lanepipe_device_latch_t latch{};
    lanepipe_device_ready_t ready;
    lanepipe_device_free_t free;
    lanepipe_device_gates_t gates;
    lanepipe_device_wait_t wait{};
};

TEST(Device, ASwitchOfSteps) {
    Lane lane;
    lane.put(0x1000);
    uint32_t tail = 9;
    uint32_t head = 9;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_ready_begin(&lane.ready, &lane.gates, &lane.wait, &tail, &head));
    EXPECT_EQ(tail, 0u);
    EXPECT_EQ(head, 0u);
    EXPECT_EQ(lane.tail, 0u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_ready_commit(&lane.ready, tail));
    EXPECT_EQ(lane.tail, 1u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_push_gate(&lane.gates, &lane.wait));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_free_begin(&lane.free, &lane.gates, &lane.wait, &head, &tail));
    EXPECT_EQ(head, 0u);
    EXPECT_EQ(tail, 1u);
    uint64_t buffer = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_free_take(&lane.free, head, &buffer));
    EXPECT_EQ(buffer, 0x1000u);
    EXPECT_EQ(lane.free_head, 1u);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_device_free_look(&lane.free, &head));
    lane.put(0);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_free_look(&lane.free, &head));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_free_take(&lane.free, head, &buffer));
    EXPECT_EQ(buffer, 0u);
    EXPECT_EQ(lane.wait.state, static_cast<uint32_t>(LANEPIPE_DEVICE_WAIT_FRESH));
    EXPECT_EQ(lane.time, 0u);
}

TEST(Device, TheStepsOfASwitchShareABudget) {
    Lane lane;
    lane.flags[0] = 1;
    lane.tail = 2;
    lane.heads[1] = 3;
    uint32_t tail = 0;
    // Sixty ticks for room, the rest at the gate, one look at the free queue.
    lane.pause = [&] {
        if (lane.time == 60)
            lane.heads[1] = 0;
    };
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_ready_begin(&lane.ready, &lane.gates, &lane.wait, &tail, nullptr));
    EXPECT_EQ(lane.wait.state, static_cast<uint32_t>(LANEPIPE_DEVICE_WAIT_RUNNING));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_ready_commit(&lane.ready, tail));
    EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_device_push_gate(&lane.gates, &lane.wait));
    EXPECT_EQ(lane.wait.state, static_cast<uint32_t>(LANEPIPE_DEVICE_WAIT_TIMED_OUT));
    EXPECT_LE(lane.time, 120u);
    const uint64_t time = lane.time;
    EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_device_free_begin(&lane.free, &lane.gates, &lane.wait, &tail, nullptr));
    EXPECT_EQ(lane.time, time);
    EXPECT_EQ(lane.flags[3], 1u);
}

TEST(Device, ADeadHostIsRememberedUntilItMovesOrIsForgotten) {
    for (int sign = 0; sign < 3; ++sign) {
        Lane lane;
        uint32_t head = 0;
        const auto wait = [&] {
            lane.restart();
            EXPECT_STATUS(LANEPIPE_TIMED_OUT,
                          lanepipe_device_free_begin(&lane.free, &lane.gates, &lane.wait, &head, nullptr));
            return lane.wait.state;
        };
        EXPECT_EQ(wait(), static_cast<uint32_t>(LANEPIPE_DEVICE_WAIT_TIMED_OUT));
        EXPECT_EQ(wait(), static_cast<uint32_t>(LANEPIPE_DEVICE_WAIT_HOST_GONE));
        switch (sign) {
        case 0:
            lane.heads[2] = 1;
            break;
        case 1:
            lane.flags[3] = 0;
            break;
        default:
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_latch_clear(&lane.latch));
        }
        EXPECT_EQ(wait(), static_cast<uint32_t>(LANEPIPE_DEVICE_WAIT_TIMED_OUT)) << sign;
    }
}

TEST(Device, AReleaseIsAskedForAndMeasuredFromTheCallersStart) {
    Lane lane;
    lane.time = 50;
    lane.wait.state = LANEPIPE_DEVICE_WAIT_RUNNING;
    lane.wait.start = 10;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_request_release(&lane.gates, &lane.wait));
    EXPECT_EQ(lane.flags[3], 1u);
    EXPECT_STATUS(LANEPIPE_TIMED_OUT, lanepipe_device_release(&lane.gates, &lane.wait));
    EXPECT_GE(lane.time, 110u);
    EXPECT_LE(lane.time, 130u);
    lane.flags[3] = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_release(&lane.gates, &lane.wait));
}

TEST(Device, WithoutGates) {
    Lane lane;
    uint32_t head = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_push_gate(nullptr, &lane.wait));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_release(nullptr, &lane.wait));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_device_request_release(nullptr, &lane.wait));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_free_begin(&lane.free, nullptr, &lane.wait, &head, nullptr));
    EXPECT_EQ(lane.time, 0u);
}

// Every call that takes the structures, on the lane as it stands.
std::vector<lanepipe_status_t> all_calls(Lane &lane) {
    uint32_t index = 0;
    uint64_t buffer = 0;
    lane.restart();
    return {lanepipe_device_ready_begin(&lane.ready, &lane.gates, &lane.wait, &index, nullptr),
            lanepipe_device_ready_commit(&lane.ready, 0),
            lanepipe_device_free_look(&lane.free, &index),
            lanepipe_device_free_begin(&lane.free, &lane.gates, &lane.wait, &index, nullptr),
            lanepipe_device_free_take(&lane.free, 0, &buffer),
            lanepipe_device_push_gate(&lane.gates, &lane.wait),
            lanepipe_device_release(&lane.gates, &lane.wait),
            lanepipe_device_request_release(&lane.gates, &lane.wait)};
}

TEST(DeviceMisuse, EachFieldIsChecked) {
    constexpr auto kOk = LANEPIPE_OK;
    const auto odd = [](uint32_t *word) { return reinterpret_cast<uint32_t *>(reinterpret_cast<uintptr_t>(word) + 1); };
    struct Case {
        std::function<void(Lane &)> spoil;
        lanepipe_status_t status;
        // Of the calls in their order: 1 if refused.
        std::array<int, 8> refused;
    };
    const std::array<int, 8> by_ready{1, 1}, by_free{0, 0, 1, 1, 1}, by_gates{1, 0, 0, 1, 0, 1, 1, 1};
    const std::vector<Case> cases = {
        {[](Lane &lane) { lane.ready.struct_size -= 4; }, LANEPIPE_E_STRUCT_SIZE, by_ready},
        {[](Lane &lane) { lane.ready.size = 1; }, LANEPIPE_E_INVALID, by_ready},
        {[](Lane &lane) { lane.ready.head = nullptr; }, LANEPIPE_E_NULL, by_ready},
        {[&](Lane &lane) { lane.ready.tail = odd(lane.ready.tail); }, LANEPIPE_E_MISALIGNED, by_ready},
        {[](Lane &lane) { lane.free.struct_size = 0; }, LANEPIPE_E_STRUCT_SIZE, by_free},
        {[](Lane &lane) { lane.free.slot_count = 3; }, LANEPIPE_E_INVALID, by_free},
        {[](Lane &lane) { lane.free.slot_count = 0; }, LANEPIPE_E_INVALID, by_free},
        {[](Lane &lane) { lane.free.tail = nullptr; }, LANEPIPE_E_NULL, by_free},
        {[](Lane &lane) { lane.free.slots = nullptr; }, LANEPIPE_E_NULL, by_free},
        {[](Lane &lane) { lane.gates.struct_size = 1; }, LANEPIPE_E_STRUCT_SIZE, by_gates},
        {[](Lane &lane) { lane.gates.heads = nullptr; }, LANEPIPE_E_NULL, by_gates},
        {[&](Lane &lane) { lane.gates.push_freeze = odd(lane.gates.push_freeze); }, LANEPIPE_E_MISALIGNED, by_gates},
        {[](Lane &lane) { lane.gates.pop_contended = nullptr; }, LANEPIPE_E_NULL, by_gates},
        {[](Lane &lane) { lane.wait.struct_size = 8; }, LANEPIPE_E_STRUCT_SIZE, by_gates},
        {[](Lane &lane) { lane.wait.now = nullptr; }, LANEPIPE_E_NULL, by_gates},
    };
    for (size_t number = 0; number < cases.size(); ++number) {
        Lane lane;
        lane.put(1);
        lane.put(2);
        cases[number].spoil(lane);
        const auto statuses = all_calls(lane);
        for (size_t call = 0; call < 7; ++call) {
            const lanepipe_status_t want = cases[number].refused[call] != 0 ? cases[number].status : kOk;
            EXPECT_EQ(statuses[call], want) << "case " << number << ", call " << call;
        }
        EXPECT_EQ(statuses[7], cases[number].refused[7] != 0 ? cases[number].status : kOk) << "case " << number;
    }
}

TEST(DeviceMisuse, NullEverywhere) {
    Lane lane;
    uint32_t index = 0;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_ready_begin(nullptr, &lane.gates, &lane.wait, &index, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_ready_begin(&lane.ready, &lane.gates, nullptr, &index, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_ready_begin(&lane.ready, &lane.gates, &lane.wait, nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_ready_commit(nullptr, 0));
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_device_ready_commit(&lane.ready, kSize));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_push_gate(&lane.gates, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_free_look(nullptr, &index));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_free_look(&lane.free, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_free_begin(nullptr, &lane.gates, &lane.wait, &index, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_free_begin(&lane.free, &lane.gates, &lane.wait, nullptr, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_free_take(nullptr, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_free_take(&lane.free, 0, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_request_release(&lane.gates, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_release(&lane.gates, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_device_latch_clear(nullptr));
    lane.wait.state = 7;
    EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_device_release(&lane.gates, &lane.wait));
    EXPECT_EQ(lane.tail, 0u);
    EXPECT_EQ(lane.free_head, 0u);
}

} // namespace
