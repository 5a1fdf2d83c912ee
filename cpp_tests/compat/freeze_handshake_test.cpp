// The hand-shake between top-ups and the refill of a freeze (contract, 5; W2): one thread stands still in a chosen
// transfer while another one ticks.
#include "device.h"

using namespace profiling_common;
using compat::errors;
using sim::Bed;
using sim::eventually;
using sim::kRows;
using sim::load;
using sim::OddModule;
using sim::Sharing;
using sim::store;
using sim::Trace;

namespace {

// Holds the thread whose transfer has the name, once, until opened.
class Barrier {
  public:
    explicit Barrier(std::string name) : name_(std::move(name)) {}

    void pass(const sim::Transfer &transfer) {
        if (transfer.name.compare(0, name_.size(), name_) != 0 || used_.exchange(true)) {
            return;
        }
        reached_ = true;
        eventually([this] { return open_.load(); });
    }

    bool wait_until_reached() const {
        return eventually([this] { return reached_.load(); });
    }
    void open() { open_ = true; }

  private:
    const std::string name_;
    std::atomic<bool> used_{false};
    std::atomic<bool> reached_{false};
    std::atomic<bool> open_{false};
};

class FreezeHandshake : public ::testing::TestWithParam<int> {
  protected:
    FreezeHandshake() {
        bed_.refill();
        // A round of the device: instance q has room for two, its lane holds them.
        for (int i = 0; i < 2; ++i) {
            void *const taken = bed_.take_free(0, q_);
            EXPECT_TRUE(bed_.manager->push_recycled(0, taken, q_));
        }
        entry_ = bed_.entry_of(bed_.new_buffer(), 0, q_, 1);
        carrier_ = reinterpret_cast<void *>(entry_.buffer_ptr);
    }

    // Starts process_entry on a thread of its own and returns once it stands in the transfer.
    void stop_in(const std::string &name) {
        barrier_ = std::make_unique<Barrier>(name);
        bed_.before_transfer([this](const sim::Transfer &transfer) { barrier_->pass(transfer); });
        bed_.record();
        drain_ = std::thread([this] { bed_.process(q_, entry_); });
        ASSERT_TRUE(barrier_->wait_until_reached());
    }

    void go_on() {
        barrier_->open();
        drain_.join();
    }

    void contend() { store(bed_.dev->backpressure.fq_contended, 1); }
    uint32_t freeze() { return load(bed_.dev->backpressure.fq_freeze_active); }

    size_t tail_pushes() const { return bed_.count(bed_.pushes(), ">free_tail"); }

    std::string instance() const { return "[0][" + std::to_string(q_) + "]"; }

    // Ticks until the gate closes; everything is in one place afterwards.
    void expect_sound_end() {
        for (int i = 0; i < 5; ++i) {
            bed_.tick();
        }
        EXPECT_EQ(freeze(), 0u);
        EXPECT_EQ(bed_.free_fill(0, q_), 4u);
        EXPECT_EQ(errors(), 0u);
        bed_.expect_conserved();
    }

    const int q_ = GetParam();
    Bed<OddModule> bed_{Sharing::kShadow};
    sim::ReadyEntry entry_{};
    void *carrier_ = nullptr;
    std::unique_ptr<Barrier> barrier_;
    std::thread drain_;
};
INSTANTIATE_TEST_SUITE_P(Shard, FreezeHandshake, ::testing::Range(0, kRows));

// Inside a top-up, wherever it stands: the freeze opens, but it neither refills nor closes.
TEST_P(FreezeHandshake, RefW2NoRefillWhileADrainThreadPushesASlot) {
    stop_in(">slot" + instance());
    contend();
    const size_t pushed = tail_pushes();
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
        EXPECT_EQ(freeze(), 1u);
        EXPECT_EQ(tail_pushes(), pushed);
    }
    EXPECT_EQ(bed_.free_fill(0, q_), 2u);
    go_on();
    expect_sound_end();
}

TEST_P(FreezeHandshake, RefW2NoRefillWhileADrainThreadPushesATail) {
    stop_in(">free_tail" + instance());
    contend();
    const size_t pushed = tail_pushes();
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
        EXPECT_EQ(freeze(), 1u);
        EXPECT_EQ(tail_pushes(), pushed);
    }
    go_on();
    expect_sound_end();
}

TEST_P(FreezeHandshake, RefW2NoRefillWhileADrainThreadReadsAHead) {
    stop_in("<free_head" + instance());
    contend();
    const size_t pushed = tail_pushes();
    for (int i = 0; i < 3; ++i) {
        bed_.tick();
        EXPECT_EQ(freeze(), 1u);
        EXPECT_EQ(tail_pushes(), pushed);
    }
    go_on();
    expect_sound_end();
}

// The tick returns at once instead of waiting: it is this thread that would have to let the other one go on.
TEST_P(FreezeHandshake, RefW2OtherQueuesAreNotRefilledEither) {
    const int other = (q_ + 1) % kRows;
    ASSERT_TRUE(bed_.manager->push_recycled(0, bed_.take_free(0, other), other));
    stop_in(">slot" + instance());
    contend();
    bed_.tick();
    EXPECT_EQ(bed_.free_fill(0, other), 3u);
    go_on();
    expect_sound_end();
    EXPECT_EQ(bed_.free_fill(0, other), 4u);
}

// Before its top-up a drain thread does not count: it will see the freeze.
TEST_P(FreezeHandshake, AThreadThatCopiesContentsSeesTheFreezeLater) {
    stop_in("<buffer");
    contend();
    bed_.tick();
    EXPECT_EQ(bed_.free_fill(0, q_), 4u);
    EXPECT_EQ(freeze(), 1u);
    const size_t pushed = tail_pushes();
    go_on();
    EXPECT_EQ(tail_pushes(), pushed);
    expect_sound_end();
}

// After its top-up neither: it waits for room in the ready ring, however long.
TEST_P(FreezeHandshake, AThreadThatWaitsForRoomHoldsNothingUp) {
    for (uint64_t i = 0; i < OddModule::kReadyQueueSize; ++i) {
        ASSERT_TRUE(bed_.manager->push_to_ready(sim::ReadyInfo{bed_.new_buffer(), nullptr, i, 0, 0, 0}, q_));
    }
    std::atomic<bool> returned{false};
    drain_ = std::thread([this, &returned] {
        bed_.process(q_, entry_);
        returned = true;
    });
    ASSERT_TRUE(eventually([this] { return bed_.free_fill(0, q_) == 4; }));
    void *const taken = bed_.take_free(0, q_);
    contend();
    // The last look at the free queue may still be under way in the other thread.
    EXPECT_TRUE(eventually([this] {
        bed_.tick();
        return bed_.free_fill(0, q_) == 4 && freeze() == 0;
    }));
    EXPECT_FALSE(returned);
    sim::ReadyInfo info{};
    EXPECT_TRUE(bed_.manager->try_pop_ready(info, q_));
    drain_.join();
    bed_.expect_conserved({taken, info.dev_buffer_ptr});
}

// While the refill is under way no top-up begins: the words are visible to the drain thread.
TEST_P(FreezeHandshake, NoTopUpBeginsDuringARefill) {
    barrier_ = std::make_unique<Barrier>(">slot" + instance());
    bed_.before_transfer([this](const sim::Transfer &transfer) { barrier_->pass(transfer); });
    bed_.record();
    contend();
    std::thread replenish([this] { bed_.tick(); });
    ASSERT_TRUE(barrier_->wait_until_reached());
    const size_t pushed = tail_pushes();
    bed_.process(q_, entry_);
    EXPECT_EQ(tail_pushes(), pushed);
    barrier_->open();
    replenish.join();
    expect_sound_end();
}

// From the moment the freeze is visible to the device none begins either.
TEST_P(FreezeHandshake, NoTopUpBeginsWhileTheGateOpens) {
    barrier_ = std::make_unique<Barrier>(">fqC");
    bed_.before_transfer([this](const sim::Transfer &transfer) { barrier_->pass(transfer); });
    bed_.record();
    contend();
    std::thread replenish([this] { bed_.tick(); });
    ASSERT_TRUE(barrier_->wait_until_reached());
    EXPECT_EQ(freeze(), 1u);
    bed_.process(q_, entry_);
    EXPECT_EQ(tail_pushes(), 0u);
    barrier_->open();
    replenish.join();
    expect_sound_end();
}

// A drain thread of any shard counts, live count and folding included.
TEST_P(FreezeHandshake, RefW2OneShardForAllQueuesCountsToo) {
    Bed<OddModule> bed(Sharing::kShadow, 1);
    bed.refill();
    ASSERT_TRUE(bed.manager->push_recycled(0, bed.take_free(0, q_), 0));
    const sim::ReadyEntry entry = bed.entry_of(bed.new_buffer(), 0, q_, 1);
    Barrier barrier(">slot" + instance());
    bed.before_transfer([&barrier](const sim::Transfer &transfer) { barrier.pass(transfer); });
    std::thread drain([&] { bed.process(q_, entry); });
    ASSERT_TRUE(barrier.wait_until_reached());
    store(bed.dev->backpressure.fq_contended, 1);
    bed.tick();
    EXPECT_EQ(load(bed.dev->backpressure.fq_freeze_active), 1u);
    EXPECT_EQ(bed.free_fill(0, q_), 3u);
    barrier.open();
    drain.join();
    for (int i = 0; i < 3; ++i) {
        bed.tick();
    }
    EXPECT_EQ(load(bed.dev->backpressure.fq_freeze_active), 0u);
    bed.expect_conserved();
}

// W14: the replenish thread's snapshot of the tails may be older than the tail that a drain thread has just read. Where
// both land in the same words, the drain thread consumes entries of the lap before.
TEST_P(FreezeHandshake, RefSkipW14AnOlderSnapshotOfTheTailsIsNotConsumed) {
    uint64_t published = 0;
    const auto publish_and_pop = [&](uint64_t count) {
        for (uint64_t i = 0; i < count; ++i, ++published) {
            ASSERT_TRUE(bed_.publish(q_, carrier_, 0, q_, published));
            sim::ReadyEntry entry{};
            ASSERT_TRUE(bed_.pop(q_, entry));
            ASSERT_EQ(entry.sequence, published);
        }
    };
    // Past the first lap no entry is null.
    publish_and_pop(OddModule::kReadyQueueSize + 2);
    contend();
    bed_.tick(false);

    std::atomic<bool> snapshot_taken{false};
    std::atomic<bool> land{false};
    std::atomic<bool> landed{false};
    std::atomic<std::thread::id> replenish_id{};
    const uint32_t old_tail = bed_.dev->queue_tails[q_];
    const void *const device_tail =
        static_cast<const char *>(bed_.dev_address) +
        (reinterpret_cast<const char *>(const_cast<uint32_t *>(&bed_.dev->queue_tails[q_])) -
         reinterpret_cast<const char *>(bed_.dev));
    bed_.after_transfer([&](const sim::Transfer &transfer) {
        const size_t at = compat::address(device_tail) - compat::address(transfer.device);
        if (transfer.to_device || at >= transfer.size) {
            return;
        }
        if (std::this_thread::get_id() == replenish_id.load()) {
            if (!snapshot_taken.exchange(true)) {
                // The transfer carries the tail as it was, and arrives late.
                eventually([&] { return land.load(); });
                store(*reinterpret_cast<volatile uint32_t *>(static_cast<char *>(transfer.host) + at), old_tail);
                landed = true;
            }
        } else if (land) {
            eventually([&] { return landed.load(); });
        }
    });
    std::thread replenish([&] {
        replenish_id = std::this_thread::get_id();
        bed_.tick(false);
    });
    ASSERT_TRUE(eventually([&] { return snapshot_taken.load(); }));
    publish_and_pop(3);
    land = true;
    sim::ReadyEntry entry{};
    EXPECT_FALSE(bed_.pop(q_, entry)) << "an entry of the lap before";
    replenish.join();
}

} // namespace
