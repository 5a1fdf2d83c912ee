// The steps by hand: entries out of a ready queue, buffers into a free queue, on shared memory and on host shadows.
#include "support.h"

namespace {

using namespace capi;

constexpr uint32_t kReady = 4;
constexpr uint32_t kSlots = 4;
constexpr size_t kBytes = 64;

struct Entry {
    uint64_t sequence;
    uint64_t buffer;
};

struct Region {
    uint32_t head, tail;
    uint32_t free_head[2], free_tail[2];
    uint32_t gate[4];
    Entry entries[kReady];
    uint64_t slots[2][kSlots];
};

class Steps : public testing::TestWithParam<Mode> {
  protected:
    Steps() : memory(GetParam()) {
        pool.use(memory);
        host = reinterpret_cast<Region *>(memory.shm_host());
        device = reinterpret_cast<Region *>(memory.shm_device());
        memory.allow_write(&device->head, sizeof device->head);
        memory.allow_write(device->free_tail, sizeof device->free_tail);
        memory.allow_write(device->slots, sizeof device->slots);
    }

    ~Steps() override {
        EXPECT_EQ(memory.wide_writes, 0u);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), nullptr, nullptr));
    }

    lanepipe_ready_queue_t ready() const {
        lanepipe_ready_queue_t view{};
        view.entries = host->entries;
        view.head = &host->head;
        view.tail = &host->tail;
        view.capacity = kReady;
        view.entry_size = sizeof(Entry);
        view.pointer_offset = offsetof(Entry, buffer);
        return view;
    }

    lanepipe_free_queue_t free_queue(int number = 0) const {
        lanepipe_free_queue_t view{};
        view.head = &host->free_head[number];
        view.tail = &host->free_tail[number];
        view.slots = host->slots[number];
        view.slot_count = kSlots;
        return view;
    }

    lanepipe_gates_t gates() const { return {&host->gate[0], nullptr, &host->gate[2], nullptr}; }

    lanepipe_status_t take(Entry &entry) {
        const lanepipe_ready_queue_t view = ready();
        return lanepipe_pool_take_entry(pool.get(), &view, 0, LANEPIPE_STEP_REFRESH, &entry);
    }

    lanepipe_status_t top_up(size_t &published, uint32_t shard = 0) {
        const lanepipe_free_queue_t view = free_queue();
        const lanepipe_gates_t words = gates();
        return lanepipe_pool_top_up(pool.get(), &view, &words, 0, shard, &published);
    }

    // The device fills its next free buffer and publishes it; false if it has none or the ready queue is full.
    bool device_publishes(uint64_t sequence) {
        const uint32_t next = (device->tail + 1) % kReady;
        // A device that has seen a head whose push reported failure could run into what the host has yet to take; here
        // it does not fill the rest of its ring before the host has tried again.
        if (device->free_head[0] == device->free_tail[0] || next == device->head || next == host->head)
            return false;
        EXPECT_LE(device->free_tail[0] - device->free_head[0], kSlots);
        const uint64_t buffer = device->slots[0][device->free_head[0] % kSlots];
        EXPECT_TRUE(with_device.insert(buffer).second) << "handed out twice";
        ++device->free_head[0];
        device->entries[device->tail] = {sequence, buffer};
        device->tail = next;
        return true;
    }

    // The host's part: one entry, its buffer to the lane, one top-up.
    bool turn(std::vector<uint64_t> &sequences) {
        Entry entry{};
        if (take(entry) != LANEPIPE_OK)
            return false;
        sequences.push_back(entry.sequence);
        EXPECT_EQ(with_device.erase(entry.buffer), 1u) << "an entry came twice";
        void *dev = reinterpret_cast<void *>(entry.buffer);
        lanepipe_resolved_t known{};
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_resolve(pool.get(), &dev, 1, &known));
        EXPECT_EQ(known.known, 1u);
        const lanepipe_buffer_t buffer{dev, 0, known.id};
        size_t moved = 0, published = 0;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), 0, &buffer, 1, &moved));
        const lanepipe_status_t status = top_up(published);
        EXPECT_TRUE(status == LANEPIPE_OK || status == LANEPIPE_E_CALLBACK);
        return true;
    }

    Memory memory;
    Pool pool;
    Region *host, *device;
    std::set<uint64_t> with_device;
};

INSTANTIATE_TEST_SUITE_P(Modes, Steps, testing::Values(Mode::kIdentity, Mode::kRegistered, Mode::kShadow),
                         [](const auto &info) { return name_of(info.param); });

TEST_P(Steps, CarryARun) {
    const lanepipe_free_queue_t view = free_queue();
    size_t published = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_refill(pool.get(), &view, 0, kBytes, 3, &published));
    EXPECT_EQ(published, kSlots);
    EXPECT_EQ(memory.asked(), (std::vector<size_t>{3 * kBytes, 3 * kBytes}));
    std::vector<uint64_t> sequences;
    Entry entry{};
    EXPECT_STATUS(LANEPIPE_EMPTY, take(entry));
    for (uint64_t sequence = 0; sequence < 1000;) {
        while (sequence < 1000 && device_publishes(sequence))
            ++sequence;
        while (turn(sequences)) {
        }
    }
    ASSERT_EQ(sequences.size(), 1000u);
    EXPECT_TRUE(std::is_sorted(sequences.begin(), sequences.end()));
    EXPECT_EQ(pool.log.count(LANEPIPE_LOG_ERROR), 0u) << pool.log.text();
    const auto audit = audit_of(pool.get());
    EXPECT_EQ(audit.device + audit.recycled, 6u);
    EXPECT_EQ(memory.copies == 0, GetParam() != Mode::kShadow);
    // The shadow is as fresh as the last step.
    EXPECT_EQ(host->tail, device->tail);
    EXPECT_EQ(host->free_tail[0] - host->free_head[0], kSlots);
}

class StepsThatCopy : public Steps {};

INSTANTIATE_TEST_SUITE_P(Modes, StepsThatCopy, testing::Values(Mode::kShadow),
                         [](const auto &info) { return name_of(info.param); });

TEST_P(StepsThatCopy, SurviveAFailureAtAnyPoint) {
    const lanepipe_free_queue_t view = free_queue();
    size_t published = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_refill(pool.get(), &view, 0, kBytes, 6, &published));
    uint64_t sequence = 0;
    std::vector<uint64_t> sequences;
    for (const bool land : {false, true})
        for (const int failing : {1, 2, 3})
            for (int first = 0; first < 14; ++first) {
                memory.first_failing_copy = memory.copies + first;
                memory.failing_copies = failing;
                memory.failing_copies_land = land;
                for (int round = 0; round < 8; ++round) {
                    sequence += device_publishes(sequence) ? 1 : 0;
                    turn(sequences);
                }
                memory.first_failing_copy = -1;
                while (turn(sequences)) {
                }
                // What was parked comes back as the replenish thread would bring it.
                ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_refill(pool.get(), &view, 0, 0, 0, &published));
                const auto audit = audit_of(pool.get());
                ASSERT_EQ(audit.quarantined, 0u);
                ASSERT_EQ(host->free_tail[0], device->free_tail[0]);
                ASSERT_EQ(device->free_tail[0] - device->free_head[0], kSlots) << "the queue starves";
                ASSERT_EQ(audit.total, 6u);
                ASSERT_EQ(audit.device, kSlots);
            }
    ASSERT_EQ(sequences.size(), sequence);
    EXPECT_TRUE(std::is_sorted(sequences.begin(), sequences.end()));
}

TEST_P(Steps, LeaveFreeQueuesAloneInAFreeze) {
    size_t published = kUntouched, placed = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, kBytes, 2, 0, &placed));
    for (const int gate : {0, 2}) {
        host->gate[gate] = 1;
        EXPECT_STATUS(LANEPIPE_BUSY, top_up(published));
        EXPECT_EQ(published, 0u);
        host->gate[gate] = 0;
    }
    EXPECT_STATUS(LANEPIPE_OK, top_up(published));
    EXPECT_EQ(published, 2u);
}

TEST_P(Steps, ReportAFaultOnce) {
    Entry entry{};
    device->tail = kReady;
    pool.log.clear();
    for (int i = 0; i < 100; ++i)
        EXPECT_STATUS(LANEPIPE_E_CORRUPT, take(entry));
    EXPECT_EQ(pool.log.count(LANEPIPE_LOG_ERROR), 1u) << pool.log.text();
    device->tail = 0;
    EXPECT_STATUS(LANEPIPE_EMPTY, take(entry));
    device->tail = UINT32_MAX;
    EXPECT_STATUS(LANEPIPE_E_CORRUPT, take(entry));
    EXPECT_EQ(pool.log.count(LANEPIPE_LOG_ERROR), 2u);
    device->tail = 1;
    for (int i = 0; i < 100; ++i)
        EXPECT_STATUS(LANEPIPE_AGAIN, take(entry));
    EXPECT_EQ(pool.log.count(LANEPIPE_LOG_ERROR), 2u);
    EXPECT_EQ(host->head, 0u);
}

// Two drain threads whose instances share one free queue: refills are never interleaved.
TEST_P(Steps, ShareAFreeQueue) {
    size_t placed = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, kBytes, 16, LANEPIPE_ALL_SHARDS, &placed));
    std::atomic<bool> stop{false};
    std::atomic<size_t> total{0};
    std::vector<std::thread> drains;
    for (uint32_t shard = 0; shard < 2; ++shard)
        drains.emplace_back([&, shard] {
            while (!stop) {
                size_t published = 0;
                const lanepipe_status_t status = top_up(published, shard);
                EXPECT_TRUE(status == LANEPIPE_OK || status == LANEPIPE_BUSY);
                total += published;
            }
        });
    std::set<uint64_t> seen;
    // The device takes all sixteen, one at a time.
    const auto load = [](uint32_t &word) { return __atomic_load_n(&word, __ATOMIC_ACQUIRE); };
    EXPECT_TRUE(eventually([&] {
        const uint32_t head = device->free_head[0];
        const uint32_t fill = load(device->free_tail[0]) - head;
        EXPECT_LE(fill, kSlots);
        if (fill != 0) {
            EXPECT_TRUE(seen.insert(__atomic_load_n(&device->slots[0][head % kSlots], __ATOMIC_RELAXED)).second);
            __atomic_store_n(&device->free_head[0], head + 1, __ATOMIC_RELEASE);
        }
        return seen.size() == 16;
    }));
    stop = true;
    for (std::thread &drain : drains)
        drain.join();
    EXPECT_EQ(total, 16u);
}

TEST_P(Steps, RefuseMisuse) {
    Entry entry{};
    const auto take_with = [&](auto &&change, uint32_t flags = 0) {
        lanepipe_ready_queue_t view = ready();
        change(view);
        return lanepipe_pool_take_entry(pool.get(), &view, 0, flags, &entry);
    };
    const auto keep = [](auto &) {};
    const lanepipe_ready_queue_t whole = ready();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pool_take_entry(nullptr, &whole, 0, 0, &entry));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, lanepipe_pool_take_entry(pool.get(), nullptr, 0, 0, &entry));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, lanepipe_pool_take_entry(pool.get(), &whole, 0, 0, nullptr));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_MISALIGNED,
                   lanepipe_pool_take_entry(pool.get(), &whole, 0, 0, reinterpret_cast<char *>(&entry) + 4));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, take_with(keep, 2));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, take_with([](auto &view) { view.head = nullptr; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, take_with([](auto &view) { view.capacity = 0; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, take_with([](auto &view) { view.entry_size = 12; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, take_with([](auto &view) { view.entry_size = 0; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, take_with([](auto &view) { view.entry_size = 264; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, take_with([](auto &view) { view.pointer_offset = sizeof(Entry); }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, take_with([](auto &view) { view.reserved = 1; }));

    size_t published = kUntouched;
    const auto fill = [&](auto &&change, uint32_t kind = 0) {
        lanepipe_free_queue_t view = free_queue();
        change(view);
        const lanepipe_status_t refilled = lanepipe_pool_refill(pool.get(), &view, kind, 0, 0, &published);
        EXPECT_STATUS(refilled, lanepipe_pool_top_up(pool.get(), &view, nullptr, kind, 0, &published));
        return refilled;
    };
    const lanepipe_free_queue_t sound = free_queue();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_pool_top_up(nullptr, &sound, nullptr, 0, 0, &published));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, lanepipe_pool_top_up(pool.get(), nullptr, nullptr, 0, 0, &published));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, lanepipe_pool_refill(pool.get(), &sound, 0, 0, 0, nullptr));
    const lanepipe_gates_t half{&host->gate[0], nullptr, nullptr, nullptr};
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, lanepipe_pool_top_up(pool.get(), &sound, &half, 0, 0, &published));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, fill([](auto &view) { view.tail = nullptr; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_NULL, fill([](auto &view) { view.slots = nullptr; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, fill([](auto &view) { view.slot_count = 0; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, fill([](auto &view) { view.reserved = 1; }));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_KIND, fill(keep, 2));
    EXPECT_EQ(published, kUntouched);
    EXPECT_STATUS(LANEPIPE_OK, fill(keep));
    EXPECT_EQ(published, 0u);
}

} // namespace
