// Rings of the C interface: misuse, capacities, order, and damaged memory.
#include "support.h"

namespace {

using namespace capi;

using Producer = lanepipe_ring_producer_t;
using Consumer = lanepipe_ring_consumer_t;

struct Ring {
    Ring(uint32_t capacity, uint32_t size) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_ring_create(capacity, size, &producer, &consumer));
    }
    ~Ring() { EXPECT_STATUS(LANEPIPE_OK, lanepipe_ring_destroy(producer, consumer)); }
    Producer *producer = nullptr;
    Consumer *consumer = nullptr;
};

TEST(RingMisuse, SizesOutOfRange) {
    const std::pair<uint32_t, uint32_t> bad[] = {{0, 8},
                                                 {8, 0},
                                                 {LANEPIPE_RING_MAX_CAPACITY + 1, 8},
                                                 {UINT32_MAX, 8},
                                                 {8, LANEPIPE_RING_MAX_ELEMENT_SIZE + 1},
                                                 {8, UINT32_MAX},
                                                 {UINT32_MAX, UINT32_MAX}};
    alignas(LANEPIPE_RING_ALIGN) static char memory[4096];
    for (const auto &[capacity, element] : bad) {
        SCOPED_TRACE(testing::Message() << capacity << " of " << element);
        size_t size = kUntouched;
        Producer *producer = nullptr;
        Consumer *consumer = nullptr;
        EXPECT_LT(lanepipe_ring_required_size(capacity, element, &size), 0);
        EXPECT_LT(lanepipe_ring_create(capacity, element, &producer, &consumer), 0);
        EXPECT_LT(lanepipe_ring_init(memory, sizeof memory, capacity, element, &producer, &consumer), 0);
        EXPECT_EQ(size, kUntouched);
        EXPECT_EQ(producer, nullptr);
        EXPECT_EQ(consumer, nullptr);
    }
}

TEST(RingMisuse, NullMisalignedAndShortMemory) {
    alignas(LANEPIPE_RING_ALIGN) static char memory[8192];
    size_t size = 0;
    Producer *producer = nullptr;
    Consumer *consumer = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_required_size(5, 24, &size));
    ASSERT_LE(size, sizeof memory);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_required_size(5, 24, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_init(nullptr, size, 5, 24, &producer, &consumer));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_init(memory, size, 5, 24, nullptr, &consumer));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_init(memory, size, 5, 24, &producer, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_create(5, 24, nullptr, &consumer));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_create(5, 24, &producer, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_attach(nullptr, size, &producer, &consumer));
    for (const size_t off : {1, 8, 32})
        EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_ring_init(memory + off, size, 5, 24, &producer, &consumer));
    for (const size_t length : {size_t{0}, size_t{1}, size - 1})
        EXPECT_LT(lanepipe_ring_init(memory, length, 5, 24, &producer, &consumer), 0);
    EXPECT_LT(lanepipe_ring_attach(memory, sizeof memory, &producer, &consumer), 0) << "no ring was made there";
    EXPECT_EQ(producer, nullptr);
    EXPECT_EQ(consumer, nullptr);
    uint64_t element[3] = {};
    size_t count = kUntouched;
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_push(nullptr, element, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_pop(nullptr, element, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_get_count(nullptr, &count));
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_ring_destroy(nullptr, nullptr));
    Ring ring(5, 24);
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_push(ring.producer, nullptr, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_push(ring.producer, element, 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_pop(ring.consumer, nullptr, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_pop(ring.consumer, element, 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_ring_get_count(ring.consumer, nullptr));
    EXPECT_LT(lanepipe_ring_destroy(ring.producer, nullptr), 0);
    EXPECT_LT(lanepipe_ring_destroy(nullptr, ring.consumer), 0);
    EXPECT_EQ(count, kUntouched);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_ring_get_count(ring.consumer, &count));
    EXPECT_EQ(count, 0u);
}

TEST(RingAttach, FindsTheRingAndRefusesDamage) {
    alignas(LANEPIPE_RING_ALIGN) static char memory[8192];
    size_t size = 0;
    Producer *producer = nullptr;
    Consumer *consumer = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_required_size(5, 8, &size));
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_init(memory, size, 5, 8, &producer, &consumer));
    const uint64_t in[3] = {11, 22, 33};
    size_t count = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_push(producer, in, 3, &count));
    Producer *second_producer = nullptr;
    Consumer *second_consumer = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_attach(memory, size, &second_producer, &second_consumer));
    uint64_t out[5] = {};
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_pop(second_consumer, out, 5, &count));
    EXPECT_EQ(count, 3u);
    EXPECT_EQ(out[2], 33u);
    for (size_t length = 0; length < size; length += 16)
        EXPECT_LT(lanepipe_ring_attach(memory, length, &second_producer, &second_consumer), 0);
    // A header of chance bits: a status, whatever it says.
    uint64_t seed = 1;
    for (int i = 0; i < 2000; ++i) {
        for (size_t at = 0; at < size; at += 8) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            std::memcpy(memory + at, &seed, 8);
        }
        EXPECT_LT(lanepipe_ring_attach(memory, size, &second_producer, &second_consumer), 0);
    }
}

TEST(RingOrder, HoldsExactlyItsCapacityInOrder) {
    for (const uint32_t capacity : {1u, 3u, 5u, 992u, 1456u})
        for (const uint32_t element : {1u, 8u, 24u, 40u, 4096u}) {
            SCOPED_TRACE(testing::Message() << capacity << " of " << element);
            Ring ring(capacity, element);
            std::vector<unsigned char> in((capacity + 1) * size_t{element});
            std::vector<unsigned char> out(in.size() + 1, 0xee);
            unsigned char next = 0;
            size_t count = 0;
            for (int round = 0; round < 5; ++round) {
                for (auto &byte : in)
                    byte = next++;
                ASSERT_STATUS(LANEPIPE_FULL, lanepipe_ring_push(ring.producer, in.data(), capacity + 1, &count));
                ASSERT_EQ(count, capacity);
                ASSERT_STATUS(LANEPIPE_FULL, lanepipe_ring_push(ring.producer, in.data(), 1, &count));
                ASSERT_EQ(count, 0u);
                ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_get_count(ring.consumer, &count));
                ASSERT_EQ(count, capacity);
                // One, then the rest: the batch wraps.
                ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_pop(ring.consumer, out.data(), 1, &count));
                if (capacity > 1) {
                    ASSERT_STATUS(LANEPIPE_OK,
                                  lanepipe_ring_pop(ring.consumer, out.data() + element, capacity + 9, &count));
                    ASSERT_EQ(count, capacity - 1);
                }
                ASSERT_TRUE(
                    std::equal(in.begin(), in.begin() + static_cast<long>(capacity * size_t{element}), out.begin()));
                ASSERT_EQ(out[capacity * size_t{element}], 0xee);
                ASSERT_STATUS(LANEPIPE_EMPTY, lanepipe_ring_pop(ring.consumer, out.data(), 1, &count));
                ASSERT_EQ(count, 0u);
                ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_push(ring.producer, in.data(), 1, &count));
                ASSERT_STATUS(LANEPIPE_OK, lanepipe_ring_pop(ring.consumer, out.data(), 1, &count));
                out[0] = out[capacity * size_t{element}] = 0xee;
            }
        }
}

TEST(RingOrder, HoldsBetweenTwoThreads) {
    Ring ring(7, 8);
    constexpr uint64_t kElements = 200000;
    std::thread producer([&] {
        uint64_t next = 0;
        while (next < kElements) {
            uint64_t batch[5];
            for (uint64_t i = 0; i < 5; ++i)
                batch[i] = next + i;
            size_t count = 0;
            const size_t wanted = std::min<uint64_t>(1 + next % 5, kElements - next);
            ASSERT_GE(lanepipe_ring_push(ring.producer, batch, wanted, &count), 0);
            next += count;
            if (count == 0)
                std::this_thread::yield();
        }
    });
    uint64_t next = 0;
    while (next < kElements) {
        uint64_t batch[3];
        size_t count = 0;
        ASSERT_GE(lanepipe_ring_pop(ring.consumer, batch, 3, &count), 0);
        for (size_t i = 0; i < count; ++i)
            ASSERT_EQ(batch[i], next++);
        if (count == 0)
            std::this_thread::yield();
    }
    producer.join();
}

} // namespace
