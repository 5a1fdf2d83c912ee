// Where the plain C++ reference has its barriers (2.5), between which accesses. Of the reference alone: lanepipe's are
// seen by its models and in its listing.
#include "support.h"

#include <string>

using namespace device_test;

namespace {

using M = Volatile;

class Barriers : public ::testing::Test {
  protected:
    Barriers() {
        lane.world.on_barrier = [this](platform_hooks::Barrier barrier) {
            trace.push_back((barrier == platform_hooks::Barrier::kRead ? "rmb" : "wmb") + words());
        };
        lane.record.on_call = [this](const Call &call) {
            if (!is_accessor(call.hook)) {
                trace.push_back(name(call.hook));
            }
        };
    }
    // Tail of the ready queue, head of the free queue, whether a buffer is active, its number.
    std::string words() {
        return " " + std::to_string(lane.header->queue_tails[lane.queue()]) + std::to_string(lane.free_queue.head) +
               (lane.state.pointer != 0 ? "a" : "-") + std::to_string(lane.state.seq);
    }

    Lane<M> lane;
    std::vector<std::string> trace;
};
using Trace = std::vector<std::string>;

TEST_F(Barriers, OfASwitch) {
    lane.activate(1, 7);
    lane.give_fresh();
    lane.switch_buffer();
    EXPECT_EQ(trace, (Trace{"write_ready_entry", "wmb 00a7", // B2
                            "rmb 10a7",                      // B8
                            "set_current_ptr", "set_current_seq", "on_current_cleared",
                            "wmb 10-8",              // B7
                            "rmb 10-8",              // B1
                            "rmb 10-8", "set_count", // B3: before the head
                            "wmb 11-8",              // B4
                            "set_current_ptr", "set_current_seq", "on_pop_success",
                            "wmb 11a8", // B5
                            "on_switch_complete"}));
}

TEST_F(Barriers, OfAFailedSwitch) {
    lane.activate(1, 7);
    lane.fill_ready();
    lane.switch_buffer();
    EXPECT_EQ(trace, (Trace{"account_dropped", "on_enqueue_failed", "set_count", "wmb 00a7"})); // B6
}

TEST_F(Barriers, OfATryPop) {
    lane.give_fresh();
    (void)lane.try_pop(3);
    EXPECT_EQ(trace, (Trace{"rmb 00-0", "rmb 00-0", "set_count", "wmb 01-0", "set_current_ptr", "set_current_seq",
                            "on_pop_success", "wmb 01a3"}));
}

TEST_F(Barriers, OfAClaimOfNothing) {
    lane.give(nullptr);
    (void)lane.try_pop(3);
    EXPECT_EQ(trace, (Trace{"rmb 00-0", "rmb 00-0", "on_null_free_slot"}));
}

} // namespace
