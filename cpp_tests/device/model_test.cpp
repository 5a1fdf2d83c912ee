// Random streams of records against a host that does something else at every poll: the books, and where each buffer is.
#include "support.h"

#include <map>
#include <random>

using namespace device_test;

namespace {

using M = Toy<VolatileShape, 3, 2, 1000>;

class Model : public ::testing::TestWithParam<unsigned> {
  protected:
    Model() : random(GetParam()) {
        // All counters are near their end.
        lane.free_queue.head = lane.free_queue.tail = 0 - 9u;
        lane.state.seq = 0 - 5u;
        next_seq = lane.state.seq;
        lane.place_ready(GetParam() % 3, GetParam() % 3);
        lane.world.limit = UINT64_MAX;
        lane.world.step = 0; // Nobody's patience ends.
        lane.world.host = [this] { host(); };
        for (unsigned buffer = 0; buffer <= GetParam() % 4; ++buffer) {
            spare.push_back(lane.fresh());
        }
    }

    bool chance(unsigned percent) { return random() % 100 < percent; }

    void host() {
        if (chance(40) && lane.pending() != 0) {
            const ReadyEntry entry = lane.take();
            auto *const buffer = reinterpret_cast<M::Buffer *>(entry.pointer);
            EXPECT_EQ(entry.seq, next_seq++); // D9
            for (uint32_t record = 0; record < buffer->count; ++record) {
                EXPECT_EQ(buffer->records[record], collected++); // D3, D11
            }
            spare.push_back(buffer);
        }
        if (chance(10) && lane.flags().rq_contended != 0 && lane.flags().rq_freeze_active == 0) {
            lane.freeze_ready();
        }
        if (chance(10) && lane.flags().fq_contended != 0 && lane.flags().fq_freeze_active == 0) {
            lane.freeze_free();
        }
        if (chance(40) && !spare.empty() && lane.free_queue.tail - lane.free_queue.head < M::kSlotCount) {
            lane.give(spare.front());
            spare.pop_front();
        }
        if (chance(20) && lane.pending() == 0) { // D25
            lane.release();
        }
    }

    // D10.
    void expect_each_buffer_once() {
        std::map<uint64_t, int> places;
        for (const M::Buffer *buffer : spare) {
            ++places[address(buffer)];
        }
        for (uint32_t at = lane.free_queue.head; at != lane.free_queue.tail; ++at) {
            ++places[uint64_t{lane.free_queue.buffer_ptrs[at % M::kSlotCount]}];
        }
        const uint32_t tail = lane.header->queue_tails[lane.queue()];
        ASSERT_LT(tail, M::kReadyQueueSize); // D1
        for (uint32_t at = lane.header->queue_heads[lane.queue()]; at != tail; at = (at + 1) % M::kReadyQueueSize) {
            ++places[lane.header->queues[lane.queue()][at].pointer];
        }
        if (lane.state.pointer != 0) {
            ++places[uint64_t{lane.state.pointer}];
        }
        ASSERT_EQ(places.size(), lane.buffers.size());
        for (const auto &[place, times] : places) {
            ASSERT_EQ(times, 1) << place;
        }
    }

    Lane<M> lane;
    std::mt19937 random;
    std::deque<M::Buffer *> spare;
    uint32_t next_seq = 0;
    uint64_t collected = 0;
};
INSTANTIATE_TEST_SUITE_P(Seeds, Model, ::testing::Range(1u, 9u));

TEST_P(Model, NothingIsLostOrDoubled) {
    constexpr uint64_t kRecords = 6000;
    for (uint64_t number = 0; number < kRecords; ++number) {
        if (lane.state.pointer == 0) {
            // At the start, or after a switch that found nothing.
            while ((chance(50) ? lane.try_pop(lane.state.seq) : lane.pop(lane.state.seq)) == nullptr) {
                host();
            }
        }
        auto *active = reinterpret_cast<M::Buffer *>(lane.state.pointer);
        // Often enough before it is full, too.
        if (active->count == 4 || chance(5)) {
            const uint32_t seq = lane.state.seq;
            lane.switch_buffer();
            ASSERT_EQ(lane.state.seq, seq + 1);
            ASSERT_NE(lane.state.pointer, 0u);
            active = reinterpret_cast<M::Buffer *>(lane.state.pointer);
            ASSERT_EQ(active->count, 0u); // D7
            expect_each_buffer_once();
        }
        active->records[active->count] = number;
        active->count = active->count + 1;
        lane.record.clear();
        if (chance(30)) {
            host();
        }
    }
    lane.switch_buffer();
    while (lane.pending() != 0) {
        host();
    }
    expect_each_buffer_once();
    EXPECT_EQ(collected, kRecords);
    EXPECT_EQ(lane.state.dropped, 0u);
    EXPECT_LT(lane.state.seq, kRecords); // Gone round.
}

} // namespace
