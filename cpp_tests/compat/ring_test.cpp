// SpscRing and RetiredPool (contract 2.3), which users also use directly.
#include "support.h"

#include <memory>
#include <random>
#include <string>
#include <type_traits>

using namespace profiling_common;
using namespace compat;

namespace {

// Powers of two and what lies around them, and the odd capacities of the existing subsystems.
template <size_t N> using Size = std::integral_constant<size_t, N>;
using Capacities = ::testing::Types<Size<1>, Size<2>, Size<3>, Size<5>, Size<7>, Size<8>, Size<992>, Size<1456>>;
struct CapacityName {
    template <typename Capacity> static std::string GetName(int) { return std::to_string(Capacity::value); }
};

template <typename Capacity> class Ring : public ::testing::Test {
  protected:
    static constexpr size_t kCapacity = Capacity::value;
    using Type = SpscRing<size_t, kCapacity>;
    std::unique_ptr<Type> ring = std::make_unique<Type>();
};
TYPED_TEST_SUITE(Ring, Capacities, CapacityName);

TYPED_TEST(Ring, Signatures) {
    using Type = SpscRing<size_t, TypeParam::value>;
    static_assert(std::is_same<decltype(std::declval<Type &>().push(std::declval<const size_t &>())), bool>::value, "");
    static_assert(std::is_same<decltype(std::declval<Type &>().pop(std::declval<size_t &>())), bool>::value, "");
    static_assert(std::is_same<decltype(std::declval<const Type &>().empty()), bool>::value, "");
    static_assert(std::is_same<decltype(std::declval<const Type &>().full()), bool>::value, "");
    static_assert(std::is_same<decltype(std::declval<const Type &>().size()), size_t>::value, "");
    static_assert(std::is_same<decltype(std::declval<Type &>().clear()), void>::value, "");
}

// From every position within two laps of any physical size, because a limit that is right only at index 0 or only
// before the first wrap is a likely mistake.
TYPED_TEST(Ring, HoldsExactlyItsCapacityFromEveryPosition) {
    constexpr size_t kCapacity = TypeParam::value;
    const size_t positions = kCapacity < 16 ? 40 : 9;
    const size_t step = kCapacity < 16 ? 1 : kCapacity / 3;
    size_t next_in = 0;
    size_t next_out = 0;
    for (size_t position = 0; position < positions; ++position) {
        auto &ring = *this->ring;
        ASSERT_TRUE(ring.empty());
        for (size_t i = 0; i < kCapacity; ++i) {
            ASSERT_FALSE(ring.full());
            ASSERT_EQ(ring.size(), i);
            ASSERT_TRUE(ring.push(next_in++));
            ASSERT_FALSE(ring.empty());
        }
        ASSERT_TRUE(ring.full());
        ASSERT_EQ(ring.size(), kCapacity);
        ASSERT_FALSE(ring.push(4711));
        ASSERT_FALSE(ring.push(4712));
        ASSERT_EQ(ring.size(), kCapacity);
        for (size_t i = 0; i < kCapacity; ++i) {
            size_t out = 0;
            ASSERT_TRUE(ring.pop(out));
            ASSERT_EQ(out, next_out++);
            ASSERT_FALSE(ring.full());
            ASSERT_EQ(ring.size(), kCapacity - 1 - i);
        }
        size_t untouched = 4713;
        ASSERT_FALSE(ring.pop(untouched));
        ASSERT_EQ(untouched, 4713u);
        // Move on, so that the next round begins elsewhere.
        for (size_t i = 0; i < step; ++i) {
            size_t out = 0;
            ASSERT_TRUE(ring.push(next_in++));
            ASSERT_TRUE(ring.pop(out));
            ASSERT_EQ(out, next_out++);
        }
    }
}

TYPED_TEST(Ring, BehavesLikeABoundedQueue) {
    constexpr size_t kCapacity = TypeParam::value;
    std::mt19937 random(7);
    auto &ring = *this->ring;
    size_t in = 0;
    size_t out = 0;
    for (int round = 0; round < 400; ++round) {
        for (size_t burst = random() % (kCapacity + 2); burst > 0; --burst) {
            ASSERT_EQ(ring.push(in), in - out < kCapacity);
            in += in - out < kCapacity ? 1 : 0;
        }
        for (size_t burst = random() % (kCapacity + 2); burst > 0; --burst) {
            size_t value = 4711;
            ASSERT_EQ(ring.pop(value), in != out);
            ASSERT_EQ(value, in != out ? out : 4711);
            out += in != out ? 1 : 0;
        }
        ASSERT_EQ(ring.size(), in - out);
        ASSERT_EQ(ring.empty(), in == out);
        ASSERT_EQ(ring.full(), in - out == kCapacity);
    }
}

TYPED_TEST(Ring, ClearLeavesRoomForAllFromAnyFill) {
    constexpr size_t kCapacity = TypeParam::value;
    auto &ring = *this->ring;
    for (const size_t fill : {size_t{0}, size_t{1}, kCapacity / 2, kCapacity}) {
        for (size_t i = 0; i < fill; ++i) {
            ASSERT_TRUE(ring.push(i));
        }
        ring.clear();
        ASSERT_TRUE(ring.empty());
        ASSERT_EQ(ring.size(), 0u);
        for (size_t i = 0; i < kCapacity; ++i) {
            ASSERT_TRUE(ring.push(100 + i));
        }
        ASSERT_FALSE(ring.push(0));
        size_t out = 0;
        ASSERT_TRUE(ring.pop(out));
        ASSERT_EQ(out, 100u);
        ring.clear();
    }
}

// Whatever the consumer has seen before.
TYPED_TEST(Ring, AfterAClearThereIsNothingToPop) {
    constexpr size_t kCapacity = TypeParam::value;
    auto &ring = *this->ring;
    for (size_t fill = 1; fill <= kCapacity; ++fill) {
        for (const size_t popped : {size_t{0}, size_t{1}}) {
            for (size_t i = 0; i < fill; ++i) {
                ASSERT_TRUE(ring.push(i));
            }
            size_t out = 77;
            if (popped != 0) {
                ASSERT_TRUE(ring.pop(out));
            }
            ring.clear();
            out = 77;
            ASSERT_FALSE(ring.pop(out));
            ASSERT_EQ(out, 77u);
            ASSERT_EQ(ring.size(), 0u);
            ASSERT_TRUE(ring.push(5));
            ASSERT_TRUE(ring.pop(out));
            ASSERT_EQ(out, 5u);
            ASSERT_TRUE(ring.empty());
        }
        if (fill == 64) {
            break;
        }
    }
}

// Each end trusts its own exact answers: after "not full" the producer's push succeeds, after "not empty" the
// consumer's pop succeeds. A third thread sees sizes within bounds.
TYPED_TEST(Ring, TwoThreadsKeepOrderAndTheirOwnAnswersHold) {
    constexpr size_t kCapacity = TypeParam::value;
    constexpr size_t kItems = kCapacity < 16 ? 2000 : 60000;
    auto &ring = *this->ring;
    std::atomic<bool> finished{false};
    size_t broken_promises = 0;
    std::thread producer([&ring, &broken_promises] {
        for (size_t i = 0; i < kItems;) {
            if (ring.full()) {
                std::this_thread::yield();
                continue;
            }
            broken_promises += ring.push(i) ? 0 : 1;
            ++i;
        }
    });
    size_t too_large = 0;
    std::thread watcher([&ring, &finished, &too_large] {
        while (!finished) {
            too_large += ring.size() > kCapacity ? 1 : 0;
            std::this_thread::yield();
        }
    });
    size_t misplaced = 0;
    size_t refused = 0;
    for (size_t next = 0; next < kItems;) {
        if (ring.empty()) {
            std::this_thread::yield();
            continue;
        }
        size_t out = 0;
        refused += ring.pop(out) ? 0 : 1;
        misplaced += out != next ? 1 : 0;
        ++next;
    }
    producer.join();
    finished = true;
    watcher.join();
    EXPECT_EQ(broken_promises, 0u);
    EXPECT_EQ(refused, 0u);
    EXPECT_EQ(misplaced, 0u);
    EXPECT_EQ(too_large, 0u);
    EXPECT_TRUE(ring.empty());
}

// Payload and index travel together: an item must be complete when the consumer sees it.
TEST(RingContents, LargeItemsArriveWhole) {
    struct Item {
        uint64_t words[8];
    };
    constexpr uint64_t kItems = 3000;
    SpscRing<Item, 3> ring;
    std::thread producer([&ring] {
        for (uint64_t i = 0; i < kItems;) {
            Item item;
            for (uint64_t &word : item.words) {
                word = i;
            }
            if (ring.push(item)) {
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
    });
    uint64_t torn = 0;
    for (uint64_t i = 0; i < kItems;) {
        Item item{};
        if (!ring.pop(item)) {
            std::this_thread::yield();
            continue;
        }
        for (const uint64_t word : item.words) {
            torn += word != i ? 1 : 0;
        }
        ++i;
    }
    producer.join();
    EXPECT_EQ(torn, 0u);
}

// All that is asked of T is a default constructor and copy assignment.
TEST(RingContents, AnyCopyAssignableTypeFits) {
    SpscRing<std::string, 3> ring;
    const std::string text = "longer than any small-string buffer would hold inline";
    for (int lap = 0; lap < 5; ++lap) {
        for (int i = 0; i < 3; ++i) {
            EXPECT_TRUE(ring.push(text + std::to_string(i)));
        }
        EXPECT_FALSE(ring.push("one too many"));
        for (int i = 0; i < 3; ++i) {
            std::string out;
            EXPECT_TRUE(ring.pop(out));
            EXPECT_EQ(out, text + std::to_string(i));
        }
    }
}

TEST(RingContents, DoneInfosAndPointersFit) {
    SpscRing<DoneInfo, 2> done;
    EXPECT_TRUE(done.push(DoneInfo{fake(1), 3}));
    DoneInfo out{};
    EXPECT_TRUE(done.pop(out));
    EXPECT_EQ(out.dev_ptr, fake(1));
    EXPECT_EQ(out.kind, 3);
    SpscRing<void *, 1> lane;
    EXPECT_TRUE(lane.push(nullptr));
    void *ptr = fake(9);
    EXPECT_TRUE(lane.pop(ptr));
    EXPECT_EQ(ptr, nullptr);
}

// RetiredPool.

TEST(Retired, Signatures) {
    static_assert(!std::is_copy_constructible<RetiredPool>::value && !std::is_copy_assignable<RetiredPool>::value, "");
    static_assert(std::is_default_constructible<RetiredPool>::value, "");
    static_assert(std::is_same<decltype(std::declval<RetiredPool &>().push(nullptr)), bool>::value, "");
    static_assert(std::is_same<decltype(std::declval<RetiredPool &>().pop(std::declval<void *&>())), bool>::value, "");
    static_assert(std::is_same<decltype(std::declval<const RetiredPool &>().empty()), bool>::value, "");
    static_assert(std::is_same<decltype(std::declval<const RetiredPool &>().size()), size_t>::value, "");
}

TEST(Retired, IsLastInFirstOutWithoutALimit) {
    RetiredPool pool;
    void *out = fake(9);
    EXPECT_TRUE(pool.empty());
    EXPECT_FALSE(pool.pop(out));
    for (uintptr_t i = 1; i <= 5000; ++i) {
        ASSERT_TRUE(pool.push(fake(i)));
        ASSERT_EQ(pool.size(), i);
    }
    EXPECT_FALSE(pool.empty());
    for (uintptr_t i = 5000; i > 2500; --i) {
        ASSERT_TRUE(pool.pop(out));
        ASSERT_EQ(out, fake(i));
    }
    ASSERT_TRUE(pool.push(fake(9999)));
    ASSERT_TRUE(pool.pop(out));
    EXPECT_EQ(out, fake(9999));
    ASSERT_TRUE(pool.pop(out));
    EXPECT_EQ(out, fake(2500));
    EXPECT_EQ(pool.size(), 2499u);
}

TEST(Retired, ClearForgetsAndThePoolGoesOn) {
    RetiredPool pool;
    for (int round = 0; round < 3; ++round) {
        for (uintptr_t i = 1; i <= 100; ++i) {
            pool.push(fake(i));
        }
        pool.clear();
        EXPECT_TRUE(pool.empty());
        EXPECT_EQ(pool.size(), 0u);
        void *out = nullptr;
        EXPECT_FALSE(pool.pop(out));
    }
}

TEST(Retired, ManyThreadsLoseAndInventNothing) {
    constexpr uintptr_t kPerThread = 4000;
    constexpr int kThreads = 4;
    RetiredPool pool;
    std::atomic<size_t> refused{0};
    std::vector<Ptrs> taken(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&pool, &refused, &mine = taken[static_cast<size_t>(t)], t] {
            for (uintptr_t i = 0; i < kPerThread; ++i) {
                refused += pool.push(fake(static_cast<uintptr_t>(t) * kPerThread + i + 1)) ? 0 : 1;
                void *out = nullptr;
                if (i % 2 == 0 && pool.pop(out)) {
                    mine.push_back(out);
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    Ptrs all;
    for (const Ptrs &some : taken) {
        all.insert(all.end(), some.begin(), some.end());
    }
    EXPECT_EQ(pool.size(), kThreads * kPerThread - all.size());
    void *out = nullptr;
    while (pool.pop(out)) {
        all.push_back(out);
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(refused, 0u);
    EXPECT_EQ(all.size(), kThreads * kPerThread);
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

} // namespace
