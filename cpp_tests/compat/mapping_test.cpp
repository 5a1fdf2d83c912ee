// Address tables of the manager (contract 2.5.6): exact mappings, block ranges, their precedence, and lookups while
// mappings are added.
#include "support.h"

#include <memory>
#include <random>

using namespace profiling_common;
using namespace compat;

namespace {

using Manager = BufferPoolManager<OddModule>;

// Blocks at addresses of the test's choice: nothing dereferences them.
class Mapping : public LogTest {
  protected:
    // A block range [dev, dev + size) with its host view.
    void add_block(void *dev, size_t size, void *host) { add_block(manager, dev, size, host); }

    static void add_block(Manager &to, void *dev, size_t size, void *host) {
        MemoryOps ops;
        ops.alloc = [dev](size_t) { return dev; };
        ops.reg = [host](void *, size_t, int, void **out) {
            *out = host;
            return 0;
        };
        to.set_memory_context(ops, nullptr, nullptr, 0, 0);
        void *out = nullptr;
        ASSERT_EQ(to.alloc_and_register_block(size, &out), dev);
        ASSERT_EQ(out, host);
    }

    Manager manager;
};

TEST_F(Mapping, ExactMappingsAreOneAddressEach) {
    manager.register_mapping(fake(1), fake(101));
    manager.register_mapping(offset(fake(1), 1), fake(102));
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), fake(101));
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(1), 1)), fake(102));
    EXPECT_EQ(errors(), 0u);
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(1), 2)), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(1), static_cast<size_t>(-1))), nullptr);
    // A host address is no device address.
    EXPECT_EQ(manager.resolve_host_ptr(fake(101)), nullptr);
}

TEST_F(Mapping, RegisteringAgainOverwrites) {
    manager.register_mapping(fake(1), fake(101));
    manager.register_mapping(fake(1), fake(102));
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), fake(102));
    manager.register_mapping(fake(1), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), nullptr);
    manager.register_mapping(fake(1), fake(103));
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), fake(103));
    EXPECT_EQ(log_capture::total(), 0u);
    // One mapping, however often it was registered.
    Ptrs released;
    manager.release_all_owned([&released](void *ptr) { released.push_back(ptr); });
    EXPECT_EQ(released, Ptrs{fake(1)});
}

TEST_F(Mapping, UnknownPointersAreReported) {
    manager.register_mapping(fake(1), fake(101));
    expect_logged(Level::kError, "unknown pointer", [this] { EXPECT_EQ(manager.resolve_host_ptr(fake(2)), nullptr); });
    Manager empty;
    expect_logged(Level::kError, "empty table", [&empty] { EXPECT_EQ(empty.resolve_host_ptr(fake(2)), nullptr); });
}

// A stored null is an answer, not a miss.
TEST_F(Mapping, ANullHostResolvesToNullSilently) {
    manager.register_mapping(fake(1), nullptr);
    add_block(fake(10), 256, fake(110));
    manager.register_mapping(offset(fake(10), 64), nullptr);
    expect_silent("stored null", [this] {
        EXPECT_EQ(manager.resolve_host_ptr(fake(1)), nullptr);
        EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 64)), nullptr);
    });
}

TEST_F(Mapping, NullInputIsUnknownUnlessItWasRegistered) {
    expect_logged(Level::kError, "null", [this] { EXPECT_EQ(manager.resolve_host_ptr(nullptr), nullptr); });
    manager.register_mapping(nullptr, fake(101));
    expect_silent("registered null", [this] { EXPECT_EQ(manager.resolve_host_ptr(nullptr), fake(101)); });
    manager.register_mapping(nullptr, nullptr);
    expect_silent("registered null", [this] { EXPECT_EQ(manager.resolve_host_ptr(nullptr), nullptr); });
}

TEST_F(Mapping, RangesCoverEveryByteAndEndExclusively) {
    add_block(fake(10), 1000, fake(110));
    for (const size_t at : {size_t{0}, size_t{1}, size_t{7}, size_t{64}, size_t{511}, size_t{999}}) {
        EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), at)), offset(fake(110), at));
    }
    EXPECT_EQ(errors(), 0u);
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 1000)), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), static_cast<size_t>(-1))), nullptr);
    EXPECT_GE(errors(), 1u);
}

TEST_F(Mapping, NeighbouringBlocksMeetWithoutAGap) {
    // In an order that is neither ascending nor descending.
    for (const uintptr_t i : {3, 1, 4, 2, 5}) {
        add_block(offset(fake(10), 100 * i), 100, fake(100 + i));
    }
    for (uintptr_t i = 1; i <= 5; ++i) {
        for (const size_t at : {size_t{0}, size_t{50}, size_t{99}}) {
            EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 100 * i + at)), offset(fake(100 + i), at));
            EXPECT_EQ(manager.release_pointer_for(offset(fake(10), 100 * i + at)), offset(fake(10), 100 * i));
        }
    }
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 600)), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 99)), nullptr);
}

TEST_F(Mapping, BlocksOfOneByteAndAtTheTopOfTheAddressSpace) {
    add_block(fake(1), 1, fake(101));
    EXPECT_EQ(manager.resolve_host_ptr(fake(1)), fake(101));
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(1), 1)), nullptr);
    void *const top = reinterpret_cast<void *>(uintptr_t{0} - 4096);
    add_block(top, 4096, fake(200));
    EXPECT_EQ(manager.resolve_host_ptr(offset(top, 4095)), offset(fake(200), 4095));
    EXPECT_EQ(manager.release_pointer_for(offset(top, 64)), top);
    EXPECT_EQ(manager.resolve_host_ptr(offset(top, static_cast<size_t>(-1))), nullptr);
    EXPECT_EQ(manager.resolve_host_ptr(fake(0)), nullptr);
}

// Exact first for lookups, range first for bases.
TEST_F(Mapping, PrecedenceOfExactMappingsAndRanges) {
    add_block(fake(10), 256, fake(110));
    manager.register_mapping(offset(fake(10), 64), fake(120));
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 64)), fake(120));
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 65)), offset(fake(110), 65));
    EXPECT_EQ(manager.release_pointer_for(offset(fake(10), 64)), fake(10));
    manager.register_mapping(fake(10), fake(130));
    EXPECT_EQ(manager.resolve_host_ptr(fake(10)), fake(130));
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 1)), offset(fake(110), 1));
    // The other order of registration makes no difference.
    Manager reverse;
    reverse.register_mapping(offset(fake(10), 64), fake(120));
    add_block(reverse, fake(10), 256, fake(110));
    EXPECT_EQ(reverse.resolve_host_ptr(offset(fake(10), 64)), fake(120));
    EXPECT_EQ(reverse.release_pointer_for(offset(fake(10), 64)), fake(10));
    EXPECT_EQ(log_capture::total(), 0u);
}

TEST_F(Mapping, ReleasePointersOfWhatIsInNoRange) {
    add_block(fake(10), 256, fake(110));
    manager.register_mapping(fake(1), fake(101));
    EXPECT_EQ(manager.release_pointer_for(fake(1)), fake(1));
    EXPECT_EQ(manager.release_pointer_for(fake(2)), fake(2));
    EXPECT_EQ(manager.release_pointer_for(nullptr), nullptr);
    EXPECT_EQ(manager.release_pointer_for(offset(fake(10), 256)), offset(fake(10), 256));
    EXPECT_EQ(manager.release_pointer_for(offset(fake(10), 255)), fake(10));
    EXPECT_EQ(complaints(), 0u);
}

// The device memory of a released block went back to the allocator, which gave its address out again.
TEST_F(Mapping, RefW23_AReusedAddressResolvesThroughTheNewBlock) {
    add_block(fake(10), 256, fake(110));
    void *base = nullptr;
    ASSERT_TRUE(manager.claim_release_pointer(fake(10), &base));
    add_block(fake(10), 512, fake(140));
    EXPECT_EQ(manager.resolve_host_ptr(fake(10)), fake(140));
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 64)), offset(fake(140), 64));
    EXPECT_EQ(manager.resolve_host_ptr(offset(fake(10), 300)), offset(fake(140), 300));
}

// Thousands of blocks and mappings, every lookup against a plain table.
TEST_F(Mapping, ManyBlocksAndMappings) {
    std::mt19937_64 random(5);
    struct Range {
        uintptr_t base;
        size_t size;
        uintptr_t host;
    };
    std::vector<Range> ranges;
    std::map<uintptr_t, uintptr_t> exact;
    for (uintptr_t i = 0; i < 2000; ++i) {
        // Disjoint, of very different sizes, in scattered order.
        const uintptr_t base = 0x10000000 + (i * 7919 % 2000) * 0x100000;
        const size_t size = size_t{1} << (random() % 20);
        const uintptr_t host = 0x7000000000 + i * 0x200000;
        add_block(reinterpret_cast<void *>(base), size, reinterpret_cast<void *>(host));
        ranges.push_back({base, size, host});
        exact[base] = host;
        const uintptr_t inside = base + random() % (2 * size);
        const uintptr_t value = random() % 4 == 0 ? 0 : 0x9000000000 + i;
        manager.register_mapping(reinterpret_cast<void *>(inside), reinterpret_cast<void *>(value));
        exact[inside] = value;
    }
    std::sort(ranges.begin(), ranges.end(), [](const Range &a, const Range &b) { return a.base < b.base; });
    const auto check = [&](uintptr_t at) {
        auto after = std::upper_bound(ranges.begin(), ranges.end(), at,
                                      [](uintptr_t value, const Range &range) { return value < range.base; });
        const Range *const range = after != ranges.begin() && at - std::prev(after)->base < std::prev(after)->size
                                       ? &*std::prev(after)
                                       : nullptr;
        const auto known = exact.find(at);
        const uintptr_t host = known != exact.end() ? known->second
                               : range != nullptr   ? range->host + (at - range->base)
                                                    : 0;
        ASSERT_EQ(address(manager.resolve_host_ptr(reinterpret_cast<void *>(at))), host);
        ASSERT_EQ(address(manager.release_pointer_for(reinterpret_cast<void *>(at))),
                  range != nullptr ? range->base : at);
    };
    for (const auto &mapping : exact) {
        check(mapping.first);
        check(mapping.first + 1);
        check(mapping.first - 1);
    }
    for (int i = 0; i < 20000; ++i) {
        const Range &range = ranges[random() % ranges.size()];
        check(range.base + random() % (range.size + 2));
    }
}

// Threads.

TEST_F(Mapping, SeveralThreadsRegisterAtOnce) {
    constexpr uintptr_t kPerThread = 3000;
    std::vector<std::thread> threads;
    for (uintptr_t t = 0; t < 4; ++t) {
        threads.emplace_back([this, t] {
            for (uintptr_t i = 0; i < kPerThread; ++i) {
                const uintptr_t n = t * kPerThread + i + 1;
                manager.register_mapping(fake(n), fake(n + 1000000));
                // One address that all of them write.
                manager.register_mapping(fake(999999), fake(t + 1));
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    for (uintptr_t n = 1; n <= 4 * kPerThread; ++n) {
        ASSERT_EQ(manager.resolve_host_ptr(fake(n)), fake(n + 1000000));
    }
    EXPECT_LE(address(manager.resolve_host_ptr(fake(999999))), address(fake(4)));
    size_t bases = 0;
    manager.release_all_owned([&bases](void *) { ++bases; });
    EXPECT_EQ(bases, 4 * kPerThread + 1);
    EXPECT_EQ(complaints(), 0u);
}

// Lookups of what is known stay right while blocks and mappings are added, and what was registered before a hand-over
// through a ready ring is known to the thread that receives it.
TEST_F(Mapping, RefSkipW1_LookupsAreRightWhileMappingsAreAdded) {
    constexpr uintptr_t kAdded = 3000;
    const auto device = [](uintptr_t n) { return reinterpret_cast<void *>(0x10000000 + n * 0x1000); };
    const auto host = [](uintptr_t n) { return reinterpret_cast<void *>(0x7000000000 + n * 0x1000); };
    MemoryOps ops;
    uintptr_t next = 0;
    ops.alloc = [&](size_t) { return device(next); };
    ops.reg = [&](void *, size_t, int, void **out) {
        *out = host(next);
        return 0;
    };
    manager.set_memory_context(ops, nullptr, nullptr, 0, 0);
    std::atomic<uintptr_t> published{0};
    std::atomic<uint64_t> wrong{0};
    const auto check = [&](uintptr_t n) {
        // Even numbers are blocks, odd ones exact mappings; every 64th address is overwritten later on.
        wrong += manager.resolve_host_ptr(device(n)) != host(n) ? 1 : 0;
        if (n % 2 == 0) {
            wrong += manager.resolve_host_ptr(offset(device(n), 0x801)) != offset(host(n), 0x801) ? 1 : 0;
            wrong += manager.release_pointer_for(offset(device(n), 0x801)) != device(n) ? 1 : 0;
        }
    };
    std::vector<std::thread> readers;
    for (unsigned r = 0; r < 2; ++r) {
        readers.emplace_back([&published, &check, r] {
            std::minstd_rand random(r + 1);
            for (;;) {
                const uintptr_t known = published.load(std::memory_order_acquire);
                if (known == kAdded) {
                    return;
                }
                for (int i = 0; i < 50 && known != 0; ++i) {
                    check(random() % known);
                }
                std::this_thread::yield();
            }
        });
    }
    std::thread drain([this, &check] {
        for (uintptr_t n = 0; n < kAdded; ++n) {
            ReadyInfo out{};
            while (!manager.wait_pop_ready(out, std::chrono::milliseconds(1000), 1)) {
            }
            check(out.sequence);
        }
    });
    for (; next < kAdded; ++next) {
        if (next % 2 == 0) {
            void *out = nullptr;
            manager.alloc_and_register_block(0x1000, &out);
        } else {
            manager.register_mapping(device(next), host(next));
        }
        // The same value again: readers see it before, during and after.
        manager.register_mapping(device(next / 64 * 64), host(next / 64 * 64));
        manager.wait_push_to_ready(info(device(next), next), 1);
        published.store(next + 1, std::memory_order_release);
    }
    drain.join();
    for (std::thread &reader : readers) {
        reader.join();
    }
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(complaints(), 0u);
}

// An overwritten mapping reads as one of its values at any time.
TEST_F(Mapping, RefSkipW1_OverwritingIsSeenWhole) {
    constexpr uintptr_t kRounds = 30000;
    manager.register_mapping(fake(1), fake(101));
    std::atomic<bool> finished{false};
    std::atomic<uint64_t> wrong{0};
    std::thread reader([this, &finished, &wrong] {
        while (!finished) {
            void *const seen = manager.resolve_host_ptr(fake(1));
            wrong += seen != fake(101) && seen != fake(102) && seen != nullptr ? 1 : 0;
        }
    });
    for (uintptr_t i = 0; i < kRounds; ++i) {
        manager.register_mapping(fake(1), i % 3 == 0 ? nullptr : fake(100 + i % 3));
    }
    finished = true;
    reader.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(complaints(), 0u);
}

} // namespace
