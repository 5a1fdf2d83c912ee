// The ring over memory of any content at any address: initialisers, discarding, padding, alignment (contract L3 to L7,
// 2.12, M16 to M19). Compiled without and with optimisation.
#include "support.h"

using namespace mailbox_test;

namespace {

// Some laps of the ring with all that can be seen from outside: order, fullness, gaps, walking.
void exercise(
    Mailbox &mailbox, const std::function<void(uint64_t)> &disturb = [](uint64_t) {}) {
    const uint64_t base = mailbox.head.load();
    ASSERT_EQ(mailbox.tail.load(), base);
    uint64_t pushed = base;
    uint64_t popped = base;
    const auto expect = [&](uint64_t count) {
        for (const uint64_t end = popped + count; popped < end; ++popped) {
            View view;
            ASSERT_TRUE(mailbox.try_pop(view)) << popped;
            ASSERT_EQ(view, numbered(popped));
        }
    };
    View view;
    ASSERT_FALSE(mailbox.has_pending());
    ASSERT_FALSE(mailbox.try_pop(view));
    for (int round = 0; round < 3; ++round) {
        disturb(pushed);
        while (pushed - popped < kCapacity) {
            ASSERT_TRUE(push(mailbox, numbered(pushed)));
            ++pushed;
            if (pushed % 1024 == 0) {
                disturb(pushed);
            }
        }
        ASSERT_FALSE(push(mailbox, numbered(0)));
        ASSERT_FALSE(mailbox.try_push_normal_done(PTO2TaskId{0}, 0));
        disturb(pushed);
        ASSERT_FALSE(push(mailbox, numbered(0)));
        ASSERT_TRUE(mailbox.has_pending());
        for (uint64_t ticket = popped; ticket < pushed; ticket += 117) {
            ASSERT_EQ(slot(mailbox, ticket).seq.load(), ticket + 1);
            ASSERT_EQ(in_slot(mailbox, ticket), numbered(ticket));
        }
        ASSERT_NO_FATAL_FAILURE(expect(1000));
        disturb(pushed);
        ASSERT_NO_FATAL_FAILURE(expect(kCapacity - 1000));
        ASSERT_FALSE(mailbox.try_pop(view));
        ASSERT_FALSE(mailbox.has_pending());
        // A claim by hand, messages behind it, and its publication.
        const uint64_t gap = mailbox.head.load();
        mailbox.head.store(gap + 1);
        ASSERT_TRUE(mailbox.has_pending());
        ASSERT_FALSE(mailbox.try_pop(view));
        disturb(gap);
        ASSERT_FALSE(mailbox.try_pop(view));
        ASSERT_TRUE(mailbox.has_pending());
        pushed = gap + 1;
        for (int step = 0; step < 10; ++step) {
            ASSERT_TRUE(push(mailbox, numbered(pushed++)));
        }
        ASSERT_FALSE(mailbox.try_pop(view));
        publish(mailbox, gap, numbered(gap));
        ASSERT_NO_FATAL_FAILURE(expect(11));
        ASSERT_FALSE(mailbox.try_pop(view));
    }
    ASSERT_EQ(mailbox.head.load(), pushed);
    ASSERT_EQ(mailbox.tail.load(), popped);
}

class Dirty : public ::testing::TestWithParam<Pattern> {};
INSTANTIATE_TEST_SUITE_P(Patterns, Dirty, ::testing::ValuesIn(kPatterns));

TEST_P(Dirty, M16InitialisedRingsAreEmptyAndSound) {
    Memory memory;
    fill(*memory, GetParam());
    initialise(*memory);
    EXPECT_EQ(memory.head(), 0u);
    EXPECT_EQ(memory.tail(), 0u);
    for (uint64_t index = 0; index < kCapacity; ++index) {
        ASSERT_EQ(slot(*memory, index).seq.load(), 0u);
    }
    exercise(*memory);
}

// A producer raises `head` before it stores `seq`: a sequence left over from another use must not release the message.
TEST_P(Dirty, M16AFormerSequenceDoesNotOpenAGap) {
    Memory memory;
    fill(*memory, GetParam());
    initialise(*memory);
    for (uint64_t ticket = 0; ticket < 2 * kCapacity; ++ticket) {
        memory->head.store(ticket + 1);
        View view;
        ASSERT_FALSE(memory->try_pop(view)) << ticket;
        publish(*memory, ticket, numbered(ticket));
        ASSERT_TRUE(memory->try_pop(view)) << ticket;
        ASSERT_EQ(view, numbered(ticket));
    }
}

TEST_P(Dirty, M16ClaimsByHandMayStartAtOne) {
    Memory memory;
    fill(*memory, GetParam());
    initialise(*memory);
    memory->head.store(1);
    View view;
    EXPECT_TRUE(memory->has_pending());
    EXPECT_FALSE(memory->try_pop(view));
    slot(*memory, 0).seq.store(1);
    EXPECT_TRUE(memory->try_pop(view));
    EXPECT_FALSE(memory->has_pending());
}

// The memory is initialised again and again, with leftovers of every kind in between. On memory that was initialised
// before, a counting implementation may go on from where it stood (W11).
TEST_P(Dirty, M16InitialisedAgainAndAgain) {
    Memory memory;
    fill(*memory, GetParam());
    for (uint64_t run = 0; run < 6; ++run) {
        initialise(*memory);
        ASSERT_EQ(memory.head(), memory.tail());
        View view;
        ASSERT_FALSE(memory->has_pending());
        ASSERT_FALSE(memory->try_pop(view));
        const uint64_t base = memory.head();
        ASSERT_NO_FATAL_FAILURE(exercise(*memory));
        const uint64_t left = run % 3 == 0 ? 0 : run % 3 == 1 ? 77 : kCapacity;
        for (uint64_t number = 0; number < left; ++number) {
            ASSERT_TRUE(push(*memory, numbered(number)));
        }
        if (run % 2 == 1 && left < kCapacity) {
            memory->head.store(memory.head() + 3); // Claims of a run that was aborted.
        }
        ASSERT_GE(memory.head(), base);
    }
}

#if !STANDIN_TENSORMAP_AND_RINGBUFFER
// Between two runs the memory was somebody else's.
TEST_P(Dirty, M16InitialisedAgainAfterStrangersWroteIt) {
    Memory memory;
    for (int run = 0; run < 4; ++run) {
        memory->init_empty();
        ASSERT_NO_FATAL_FAILURE(exercise(*memory));
        fill(*memory, GetParam(), static_cast<uint64_t>(run) + 5);
    }
}

// Memory that only looks initialised: private padding of one mailbox, cursors and slots of another.
TEST_P(Dirty, M16PaddingOfAnotherMailboxProvesNothing) {
    Memory used;
    used->init_empty();
    exercise(*used);
    Memory memory;
    fill(*memory, GetParam());
    auto *const from = reinterpret_cast<const unsigned char *>(used.get());
    auto *const to = reinterpret_cast<unsigned char *>(memory.get());
    std::memcpy(to + 8, from + 8, 56);
    std::memcpy(to + 72, from + 72, 56);
    memory->init_empty();
    ASSERT_EQ(memory.head(), memory.tail());
    // No slot may hold what a later ticket is compared with.
    for (uint64_t ticket = memory.head(); ticket < memory.head() + kCapacity; ++ticket) {
        ASSERT_NE(slot(*memory, ticket).seq.load(), ticket + 1);
    }
    exercise(*memory);
}
#endif

// L3.
TEST(Memory, ZerosAreAnEmptyRing) {
    Memory memory;
    fill(*memory, Pattern::kZeros);
    exercise(*memory);
}

TEST(Memory, CopiedMemoryIsTheSameRing) {
    Memory memory;
    for (uint64_t number = 0; number < 10; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    View view;
    ASSERT_TRUE(memory->try_pop(view));
    Memory copy(8 * (MAILBOX_TEST_SANITIZED ? 0 : 2));
    std::memcpy(reinterpret_cast<unsigned char *>(copy.get()), reinterpret_cast<unsigned char *>(memory.get()),
                sizeof(Mailbox));
    for (uint64_t number = 1; number < 10; ++number) {
        ASSERT_TRUE(copy->try_pop(view));
        ASSERT_EQ(view, numbered(number));
    }
    EXPECT_FALSE(copy->has_pending());
    exercise(*copy);
}

// M17, L5.
TEST(Memory, M17DiscardingEmptiesTheRing) {
    Memory memory;
    for (const uint64_t count : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, kCapacity, kCapacity - 1}) {
        for (uint64_t number = 0; number < count; ++number) {
            ASSERT_TRUE(push(*memory, numbered(number)));
        }
        discard(*memory);
        View view;
        ASSERT_FALSE(memory->has_pending()) << count;
        ASSERT_FALSE(memory->try_pop(view)) << count;
        ASSERT_NO_FATAL_FAILURE(exercise(*memory));
    }
}

TEST(Memory, M17ClaimsThatNobodyPublishedAreDiscardedToo) {
    Memory memory;
    for (const uint64_t claims : {uint64_t{1}, uint64_t{7}, kCapacity}) {
        memory->head.store(memory.head() + claims);
        for (int step = 0; step < 20 && claims < kCapacity; ++step) {
            ASSERT_TRUE(push(*memory, numbered(3)));
        }
        discard(*memory);
        View view;
        ASSERT_FALSE(memory->has_pending());
        ASSERT_FALSE(memory->try_pop(view));
        ASSERT_NO_FATAL_FAILURE(exercise(*memory));
    }
}

TEST(Memory, M17AFullRingIsUsableAtOnceAfterDiscarding) {
    Memory memory;
    for (int round = 0; round < 5; ++round) {
        for (uint64_t number = 0; number < kCapacity; ++number) {
            ASSERT_TRUE(push(*memory, numbered(number)));
        }
        ASSERT_FALSE(push(*memory, numbered(0)));
        discard(*memory);
    }
}

// A run of the other flavour on memory of this one: zeroing, then T's start.
TEST(Memory, M17CountsOnOverManyRuns) {
    Memory memory;
    for (uint64_t run = 0; run < 8; ++run) {
        discard(*memory);
        ASSERT_NO_FATAL_FAILURE(exercise(*memory));
        for (uint64_t number = 0; number < run * 500; ++number) {
            ASSERT_TRUE(push(*memory, numbered(number)));
        }
    }
}

// M18, L6. Other threads' hints and stale ones look like this.
TEST_P(Dirty, M18PaddingChangesNothing) {
    Memory memory;
    uint64_t seed = 1;
    exercise(*memory, [&](uint64_t) { scribble_padding(*memory, GetParam(), ++seed); });
}

TEST(Memory, M18PaddingOfAnEarlierMomentChangesNothing) {
    Memory memory;
    const auto saved = std::make_unique<unsigned char[]>(sizeof(Mailbox));
    auto *const bytes = reinterpret_cast<unsigned char *>(memory.get());
    uint64_t times = 0;
    exercise(*memory, [&](uint64_t) {
        const bool save = times++ % 2 == 0;
        const auto copy = [&](size_t at, size_t size) {
            if (save) {
                std::memcpy(saved.get() + at, bytes + at, size);
            } else {
                std::memcpy(bytes + at, saved.get() + at, size);
            }
        };
        copy(8, 56);
        copy(72, 56);
        for (size_t index = 0; index < kCapacity; ++index) {
            copy(128 + index * 64 + 48, 16);
        }
    });
}

// A full ring leaves hints behind; the cursors are moved behind their back (L4, L5).
TEST(Memory, M18HintsOfAFullRingDoNotOutliveDiscarding) {
    Memory memory;
    for (uint64_t number = 0; number < kCapacity; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    ASSERT_FALSE(push(*memory, numbered(0)));
    discard(*memory);
    for (uint64_t number = 0; number < kCapacity; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number))) << number;
    }
    ASSERT_FALSE(push(*memory, numbered(0)));
}

TEST(Memory, M18HintsOfALaterTailDoNotOutliveAReset) {
    Memory memory;
    for (uint64_t number = 0; number < 3 * kCapacity; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
        View view;
        ASSERT_TRUE(memory->try_pop(view));
    }
    // By hand, as a T image is rebuilt: only the words of 2.12.
    memory->head.store(0);
    memory->tail.store(0);
    for (uint64_t index = 0; index < kCapacity; ++index) {
        slot(*memory, index).seq.store(0);
    }
    for (uint64_t number = 0; number < kCapacity; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number))) << number;
    }
    ASSERT_FALSE(push(*memory, numbered(0)));
    for (uint64_t number = 0; number < kCapacity; ++number) {
        View view;
        ASSERT_TRUE(memory->try_pop(view));
        ASSERT_EQ(view, numbered(number));
    }
}

// M19, L7.
void at_offset(size_t offset) {
    if (MAILBOX_TEST_SANITIZED) {
        GTEST_SKIP() << "the sanitizer refuses what the contract allows";
    }
    Memory memory(offset);
    ASSERT_NO_FATAL_FAILURE(exercise(*memory));
    scribble_padding(*memory, Pattern::kRandom);
    ASSERT_NO_FATAL_FAILURE(exercise(*memory));
    for (const Pattern pattern : kPatterns) {
        fill(*memory, pattern);
        initialise(*memory);
        ASSERT_NO_FATAL_FAILURE(exercise(*memory));
    }
    discard(*memory);
    ASSERT_TRUE(memory->try_push_condition(PTO2TaskId{1}, 2, 3, 4, 5));
    View view;
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view.backend_cookie, 0u);

    // Through the list as well: its drain reads slots in its own ways.
    Rig rig(offset);
    uint32_t counter = 0;
    Task task(5);
    for (int step = 0; step < 60; ++step) {
        rig.condition(task, &counter, 1);
    }
    rig.normal_done(task);
    EXPECT_EQ(rig.polled(), 0);
    counter = 1;
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_TRUE(rig.has_completed(task));
}

TEST(Memory, M19At16Bytes) { at_offset(16); }
TEST(Memory, M19At32Bytes) { at_offset(32); }
#if defined(MAILBOX_TEST_UNOPTIMISED)
TEST(Memory, M19At8Bytes) { at_offset(8); }
TEST(Memory, M19At40Bytes) { at_offset(40); }
#else
TEST(Memory, RefSkipL7M19At8Bytes) { at_offset(8); }
TEST(Memory, RefSkipL7M19At40Bytes) { at_offset(40); }
#endif

} // namespace
