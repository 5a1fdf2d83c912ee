// The core's side in C and in C++, the control thread's in the library, over the same bytes.
#include <gtest/gtest.h>
#include <lanepipe/lanepipe.h>
#include <lanepipe/staging_ring.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core.h"

namespace {

static_assert(sizeof(counter_slot_t) == 64 && sizeof(time_slot_t) == 24, "a slot's size is a multiple of 8");

// A ring of up to 8 slots; what it holds before it is cleared is what an earlier run left.
template <typename Slot> struct Ring {
    alignas(64) unsigned char bytes[8 * sizeof(Slot)];
    lanepipe_staging_ring_t view{};
    lanepipe_staging_books_t books{};

    explicit Ring(uint32_t slots) {
        std::memset(bytes, 0, sizeof bytes);
        view.struct_size = sizeof view;
        view.slot_count = slots;
        view.slot_size = sizeof(Slot);
        view.id_offset = offsetof(Slot, task_id);
        view.id_size = sizeof(Slot::task_id);
        view.slots = bytes;
        EXPECT_EQ(lanepipe_staging_ring_clear(&view), LANEPIPE_OK);
    }

    lanepipe_status_t take(uint32_t id, Slot *out) { return lanepipe_staging_ring_take(&view, id, &books, out); }
};

void cpp_core(void *ring, uint32_t slots, uint32_t id) {
    auto *slot = static_cast<counter_slot_t *>(lanepipe_staging_slot(ring, slots, sizeof(counter_slot_t), id));
    slot->total_cycles = 1000u + id;
    for (uint32_t i = 0; i < 10; ++i) {
        slot->counters[i] = id * 16u + i;
    }
    lanepipe_staging_publish64(slot, &slot->task_id, id);
}

void expect_counters(const counter_slot_t &slot, uint32_t id) {
    EXPECT_EQ(slot.task_id, id);
    EXPECT_EQ(slot.total_cycles, 1000u + id);
    for (uint32_t i = 0; i < 10; ++i) {
        EXPECT_EQ(slot.counters[i], id * 16u + i);
    }
}

TEST(Staging, AnySizeInBothLanguages) {
    for (uint32_t slots : {1u, 2u, 3u, 5u, 8u}) {
        Ring<counter_slot_t> ring(slots);
        for (uint32_t id = 1; id < 40; ++id) {
            (id % 2 ? cpp_core : c_core_counters)(ring.bytes, slots, id);
            counter_slot_t out{};
            ASSERT_EQ(ring.take(id, &out), LANEPIPE_OK) << id << " of " << slots;
            expect_counters(out, id);
            EXPECT_EQ(std::memcmp(&out, ring.bytes + id % slots * sizeof out, sizeof out), 0);
        }
        EXPECT_EQ(ring.books.total, 39u);
        EXPECT_EQ(ring.books.collected, 39u);
    }
}

TEST(Staging, NarrowIdBetweenPayload) {
    Ring<time_slot_t> ring(2);
    for (uint32_t id : {1u, 2u, 3u, 0x7FFFFFEFu}) {
        c_core_times(ring.bytes, 2, id);
        time_slot_t out{};
        ASSERT_EQ(ring.take(id, &out), LANEPIPE_OK);
        EXPECT_EQ(out.start, id);
        EXPECT_EQ(out.end, id + 7u);
        EXPECT_EQ(out.task_id, id);
        EXPECT_EQ(out.extra, ~id);
    }
}

TEST(Staging, HooksRunAroundTheIdOnly) {
    Ring<counter_slot_t> ring(2);
    c_core_hooks();
    c_core_counters(ring.bytes, 2, 1);
    EXPECT_EQ(c_core_hooks(), std::string("biw"));
    c_core_counters(nullptr, 2, 1);
    c_core_counters(ring.bytes, 0, 1);
    EXPECT_EQ(c_core_hooks(), std::string());
}

// Mismatch and drop are told apart, copy nothing, and the books balance.
TEST(Staging, BooksTellMismatchFromDrop) {
    Ring<counter_slot_t> ring(2);
    counter_slot_t out{};
    out.total_cycles = 5;
    EXPECT_EQ(ring.take(1, &out), LANEPIPE_MISMATCH);
    EXPECT_EQ(ring.take(0, &out), LANEPIPE_MISMATCH);
    c_core_counters(ring.bytes, 2, 1);
    EXPECT_EQ(ring.take(3, &out), LANEPIPE_MISMATCH);
    EXPECT_EQ(ring.take(3, nullptr), LANEPIPE_MISMATCH);
    EXPECT_EQ(out.total_cycles, 5u);
    EXPECT_EQ(ring.take(1, nullptr), LANEPIPE_DROPPED);
    EXPECT_EQ(ring.take(1, &out), LANEPIPE_OK);
    ring.view.slots = nullptr;
    EXPECT_EQ(ring.take(1, &out), LANEPIPE_DROPPED);
    EXPECT_EQ(ring.books.total, 7u);
    EXPECT_EQ(ring.books.collected, 1u);
    EXPECT_EQ(ring.books.dropped, 2u);
    EXPECT_EQ(ring.books.mismatch, 4u);
}

// Only the low half of a wide id is compared.
TEST(Staging, UpperHalfOfTheIdIsIgnored) {
    Ring<counter_slot_t> ring(2);
    c_core_counters(ring.bytes, 2, 1);
    reinterpret_cast<counter_slot_t *>(ring.bytes)[1].task_id |= uint64_t{7} << 32;
    counter_slot_t out{};
    EXPECT_EQ(ring.take(1, &out), LANEPIPE_OK);
}

TEST(Staging, MisuseCountsNothing) {
    Ring<counter_slot_t> ring(2);
    counter_slot_t out{};
    const lanepipe_staging_ring_t good = ring.view;
    EXPECT_EQ(lanepipe_staging_ring_take(nullptr, 1, &ring.books, &out), LANEPIPE_E_NULL);
    EXPECT_EQ(lanepipe_staging_ring_take(&ring.view, 1, nullptr, &out), LANEPIPE_E_NULL);
    EXPECT_EQ(lanepipe_staging_ring_clear(nullptr), LANEPIPE_E_NULL);
    ring.view.struct_size = 8;
    EXPECT_EQ(ring.take(1, &out), LANEPIPE_E_STRUCT_SIZE);
    ring.view = good;
    ring.view.slots = ring.bytes + 4;
    EXPECT_EQ(ring.take(1, &out), LANEPIPE_E_MISALIGNED);
    EXPECT_EQ(lanepipe_staging_ring_clear(&ring.view), LANEPIPE_E_MISALIGNED);
    ring.view.slots = nullptr;
    EXPECT_EQ(lanepipe_staging_ring_clear(&ring.view), LANEPIPE_E_NULL);
    for (uint32_t lanepipe_staging_ring_t::*field :
         {&lanepipe_staging_ring_t::slot_count, &lanepipe_staging_ring_t::slot_size,
          &lanepipe_staging_ring_t::id_size}) {
        ring.view = good;
        ring.view.*field = 0;
        EXPECT_EQ(ring.take(1, &out), LANEPIPE_E_INVALID);
    }
    ring.view = good;
    ring.view.id_offset = 60;
    EXPECT_EQ(ring.take(1, &out), LANEPIPE_E_INVALID);
    EXPECT_EQ(ring.books.total, 0u);
}

// A core of its own thread; two tasks in flight, the next one dispatched after the one before it in its slot was taken.
TEST(Staging, CoreAndControlThread) {
    constexpr uint32_t kTasks = 4000;
    for (uint32_t slots : {2u, 3u}) {
        Ring<counter_slot_t> ring(slots);
        std::atomic<uint32_t> dispatched{slots};
        std::atomic<uint32_t> finished{0};
        std::thread core([&] {
            for (uint32_t id = 1; id <= kTasks; ++id) {
                while (dispatched.load(std::memory_order_acquire) < id) {
                    std::this_thread::yield();
                }
                (id % 2 ? cpp_core : c_core_counters)(ring.bytes, slots, id);
                finished.store(id, std::memory_order_release);
            }
        });
        for (uint32_t id = 1; id <= kTasks; ++id) {
            while (finished.load(std::memory_order_acquire) < id) {
                std::this_thread::yield();
            }
            counter_slot_t out{};
            EXPECT_EQ(ring.take(id, &out), LANEPIPE_OK);
            EXPECT_EQ(out.total_cycles, 1000u + id);
            dispatched.store(id + slots, std::memory_order_release);
        }
        core.join();
        EXPECT_EQ(ring.books.collected, kTasks);
    }
}

} // namespace
