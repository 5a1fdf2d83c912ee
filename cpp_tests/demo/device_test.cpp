// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The simulated device against the device half of the protocol; the test plays the host by hand.
#include "common/clock.hpp"
#include "replay/device.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace replay {
namespace {

// A number of orchestrator records.
class Records : public EventSource {
  public:
    explicit Records(uint64_t count) : left_(count) {}
    bool next(Event &event) override {
        event = Event();
        event.type = Event::kOrchEvent;
        event.token = left_;
        return left_-- != 0;
    }

  private:
    uint64_t left_;
};

// One control thread that produces on one instance; buffers of two records.
class ReplayDevice : public ::testing::Test {
  protected:
    static constexpr uint32_t kReadySlots = 4;

    ReplayDevice() {
        region_.threads = 1;
        region_.cores = 1;
        region_.ready_slots = kReadySlots;
        EXPECT_TRUE(memory_.open(size_t{1} << 20, false));
        void *base = memory_.alloc(region_.size());
        std::memset(base, 0, region_.size());
        view_ = RegionView(region_, base);
        load_.clock_hz = 1000000000;
        load_.threads = 1;
        load_.cores = 1;
        load_.core_to_thread = {0};
        config_.stall_limit_ns = 100'000'000'000;
        for (uint32_t &capacity : config_.capacities) {
            capacity = 2;
        }
        base_ = base;
    }

    void start(uint64_t records) {
        load_.sources.push_back(std::make_unique<Records>(records));
        device_ = std::make_unique<Device>(region_, config_, load_, memory_, base_, trace_);
        device_->start(load_);
    }

    void finish() { device_->join(); }

    InstanceState &state() { return view_.instance(region_.orch_instance()); }
    FreeQueue &free_queue() { return state().free_queue; }

    const DeviceBooks &books() { return device_->threads()[0]->books(region_.orch_instance()); }

    uint64_t new_buffer() {
        return reinterpret_cast<uintptr_t>(memory_.alloc(content_size(kOrchPhase, config_.capacities[kOrchPhase])));
    }

    void give(uint64_t buffer) {
        FreeQueue &queue = free_queue();
        store_release(queue.slots[queue.tail % kSlotCount], buffer);
        store_release(queue.tail, queue.tail + 1);
    }

    // The next entry of the ready queue; waits for it.
    ReadyEntry take() {
        const uint32_t head = view_.queue_head(0);
        until([&] { return load_acquire(view_.queue_tail(0)) != head; });
        const ReadyEntry entry = view_.queue(0)[head];
        store_release(view_.queue_head(0), (head + 1) % kReadySlots);
        return entry;
    }

    template <typename Condition> static void until(Condition &&condition) {
        while (!condition()) {
            sleep_ns(20000);
        }
    }

    static void let_it_run() { sleep_ns(20'000'000); }

    Region region_;
    DeviceConfig config_;
    Load load_;
    DeviceMemory memory_;
    RegionView view_;
    Trace trace_;
    void *base_ = nullptr;
    std::unique_ptr<Device> device_;
};

TEST_F(ReplayDevice, KeepsOneReadySlotEmptyAndDropsWhenToldTo) {
    config_.drop = true;
    for (int i = 0; i < 4; ++i) {
        give(new_buffer());
    }
    start(20);
    finish();
    EXPECT_EQ(view_.queue_tail(0), kReadySlots - 1);
    for (uint32_t i = 0; i < kReadySlots - 1; ++i) {
        const ReadyEntry &entry = view_.queue(0)[i];
        EXPECT_EQ(entry.instance, region_.orch_instance());
        EXPECT_EQ(entry.kind, static_cast<uint32_t>(kOrchPhase));
        EXPECT_EQ(entry.buffer_sequence, i);
        EXPECT_EQ(entry.record_count, 2u);
    }
    EXPECT_EQ(books().produced, 20u);
    EXPECT_EQ(books().published_records, 6u);
    EXPECT_EQ(books().dropped_records, 14u);
    EXPECT_EQ(state().head.total_records, 20u);
    EXPECT_EQ(state().head.dropped_records, 14u);
    EXPECT_EQ(view_.gates().rq_contended, 0u);
}

TEST_F(ReplayDevice, DropsRecordsWithoutABuffer) {
    config_.drop = true;
    start(5);
    finish();
    EXPECT_EQ(books().dropped_records, 5u);
    EXPECT_EQ(books().published_buffers, 0u);
    EXPECT_EQ(view_.queue_tail(0), 0u);
}

TEST_F(ReplayDevice, RaisesContentionAndWaitsForAReadySlot) {
    for (int i = 0; i < 4; ++i) {
        give(new_buffer());
    }
    start(8);
    until([&] { return load_acquire(view_.gates().rq_contended) == 1; });
    for (uint32_t i = 0; i < 4; ++i) {
        EXPECT_EQ(take().buffer_sequence, i);
    }
    finish();
    EXPECT_EQ(books().published_records, 8u);
    EXPECT_EQ(device_->threads()[0]->ready_waits().count, 1u);
}

TEST_F(ReplayDevice, RotatesOneBufferForEver) {
    give(new_buffer());
    start(200);
    for (uint32_t i = 0; i < 100; ++i) {
        const ReadyEntry entry = take();
        EXPECT_EQ(entry.buffer_sequence, i);
        EXPECT_EQ(entry.record_count, 2u);
        // Published before the next one is looked for: there is none.
        EXPECT_EQ(load_acquire(free_queue().head), free_queue().tail);
        const auto *header = static_cast<const BufferHeader *>(memory_.at(entry.buffer_ptr));
        EXPECT_EQ(header->count, 2u);
        give(entry.buffer_ptr);
    }
    finish();
    EXPECT_EQ(books().published_records, 200u);
    EXPECT_EQ(load_acquire(view_.gates().fq_contended), 1u);
}

TEST_F(ReplayDevice, FreeCountersWrap) {
    free_queue().head = std::numeric_limits<uint32_t>::max() - 1;
    free_queue().tail = free_queue().head;
    std::vector<uint64_t> given;
    for (int i = 0; i < 4; ++i) {
        given.push_back(new_buffer());
        give(given.back());
    }
    EXPECT_EQ(free_queue().tail, 2u);
    start(7);
    for (const uint64_t buffer : given) {
        EXPECT_EQ(take().buffer_ptr, buffer);
    }
    finish();
    EXPECT_EQ(free_queue().head, 2u);
    EXPECT_EQ(books().published_records, 7u);
}

TEST_F(ReplayDevice, ConsumesANullSlot) {
    config_.drop = true;
    give(0);
    give(new_buffer());
    start(3);
    finish();
    EXPECT_EQ(books().null_slots, 1u);
    EXPECT_EQ(books().dropped_records, 1u);
    EXPECT_EQ(books().published_records, 2u);
    EXPECT_EQ(free_queue().head, 2u);
}

TEST_F(ReplayDevice, ParksAtThePopGate) {
    store_release(view_.gates().fq_freeze_active, 1);
    start(2);
    until([&] { return load_acquire(view_.gates().fq_contended) == 1; });
    give(new_buffer());
    let_it_run();
    EXPECT_EQ(load_acquire(free_queue().head), 0u);
    store_release(view_.gates().fq_freeze_active, 0);
    EXPECT_EQ(take().record_count, 2u);
    finish();
}

TEST_F(ReplayDevice, ParksAtThePushGateAfterPublishing) {
    give(new_buffer());
    give(new_buffer());
    store_release(view_.gates().rq_freeze_active, 1);
    start(4);
    EXPECT_EQ(take().record_count, 2u);
    let_it_run();
    EXPECT_EQ(load_acquire(free_queue().head), 1u);
    store_release(view_.gates().rq_freeze_active, 0);
    EXPECT_EQ(take().record_count, 2u);
    finish();
    EXPECT_EQ(books().published_records, 4u);
    EXPECT_GE(device_->threads()[0]->freeze_waits().count, 1u);
}

TEST_F(ReplayDevice, GivingUpAtThePushGateKeepsThePublishedBuffer) {
    config_.stall_limit_ns = 20'000'000;
    give(new_buffer());
    store_release(view_.gates().rq_freeze_active, 1);
    start(3);
    finish();
    EXPECT_EQ(view_.queue_tail(0), 2u);
    EXPECT_EQ(view_.queue(0)[0].buffer_ptr, view_.queue(0)[1].buffer_ptr);
    EXPECT_EQ(state().head.current_buf_ptr, view_.queue(0)[0].buffer_ptr);
    EXPECT_EQ(books().dropped_records, 3u);
    EXPECT_EQ(books().published_records, 0u);
    EXPECT_EQ(device_->threads()[0]->freeze_waits().given_up, 2u);
}

TEST_F(ReplayDevice, GivesUpOnAFreeBufferOnce) {
    config_.stall_limit_ns = 10'000'000;
    start(50);
    finish();
    EXPECT_EQ(books().dropped_records, 50u);
    EXPECT_EQ(device_->threads()[0]->free_waits().given_up, 1u);
}

} // namespace
} // namespace replay
