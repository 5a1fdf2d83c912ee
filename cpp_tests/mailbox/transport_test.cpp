// The ring in the hands of one thread (contract 2.10, 2.12, 2.13, 5.1, 5.3).
#include "support.h"

using namespace mailbox_test;

namespace {

class Transport : public ::testing::Test {
  protected:
    void fill_up(uint64_t first = 0) {
        for (uint64_t number = 0; number < kCapacity; ++number) {
            ASSERT_TRUE(push(*memory, numbered(first + number)));
        }
    }

    // Pops messages number first to first + count - 1.
    void expect(uint64_t first, uint64_t count) {
        for (uint64_t number = first; number < first + count; ++number) {
            View view;
            ASSERT_TRUE(memory->try_pop(view)) << number;
            ASSERT_EQ(view, numbered(number));
        }
    }

    void expect_empty() {
        View view = numbered(12345);
        EXPECT_FALSE(memory->try_pop(view));
        EXPECT_EQ(view, numbered(12345));
        EXPECT_FALSE(memory->has_pending());
    }

    Memory memory;
};

TEST_F(Transport, EmptyRingHasNothing) {
    expect_empty();
    EXPECT_EQ(memory.head(), 0u);
    EXPECT_EQ(memory.tail(), 0u);
}

TEST_F(Transport, M11EveryFieldIsCarriedVerbatim) {
    const uint64_t words[] = {0, 1, 0x8000000000000000, UINT64_MAX, 0x0123456789abcdef};
    for (const uint64_t word : words) {
        const auto half = static_cast<uint32_t>(word >> 3);
        ASSERT_TRUE(memory->try_push_condition(PTO2TaskId{word}, ~word, word ^ 0x55, half, ~half,
                                               static_cast<int32_t>(half ^ 0x80000000)));
        View view;
        ASSERT_TRUE(memory->try_pop(view));
        EXPECT_EQ(view.task_token.raw, word);
        EXPECT_EQ(view.addr, ~word);
        EXPECT_EQ(view.backend_cookie, word ^ 0x55);
        EXPECT_EQ(view.expected_value, half);
        EXPECT_EQ(view.engine, ~half);
        EXPECT_EQ(view.completion_type, static_cast<int32_t>(half ^ 0x80000000));
        EXPECT_EQ(view.kind, MSG_KIND_CONDITION);
    }
}

TEST_F(Transport, M11WithoutACookieItIsZero) {
    fill_up(); // Nothing of an earlier message shows through.
    expect(0, kCapacity);
    ASSERT_TRUE(memory->try_push_condition(PTO2TaskId{1}, 2, 3, 4, 5));
    View view = numbered(77);
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view.task_token.raw, 1u);
    EXPECT_EQ(view.addr, 2u);
    EXPECT_EQ(view.backend_cookie, 0u);
    EXPECT_EQ(view.expected_value, 3u);
    EXPECT_EQ(view.engine, 4u);
    EXPECT_EQ(view.completion_type, 5);
    EXPECT_EQ(view.kind, MSG_KIND_CONDITION);
}

TEST_F(Transport, M11TheCookieIsTheThirdArgument) {
    ASSERT_TRUE(memory->try_push_condition(PTO2TaskId{1}, 2, 3, 4, 5, 6));
    View view;
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view.backend_cookie, 3u);
    EXPECT_EQ(view.expected_value, 4u);
    EXPECT_EQ(view.engine, 5u);
    EXPECT_EQ(view.completion_type, 6);
}

TEST_F(Transport, M11ASentinelHasZerosBesideTokenAndAddress) {
    fill_up();
    expect(0, kCapacity);
    ASSERT_TRUE(memory->try_push_normal_done(PTO2TaskId::make(3, 9), UINT64_MAX));
    View view = numbered(77);
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view.task_token, PTO2TaskId::make(3, 9));
    EXPECT_EQ(view.addr, UINT64_MAX);
    EXPECT_EQ(view.backend_cookie, 0u);
    EXPECT_EQ(view.expected_value, 0u);
    EXPECT_EQ(view.engine, 0u);
    EXPECT_EQ(view.completion_type, 0);
    EXPECT_EQ(view.kind, MSG_KIND_TASK_NORMAL_DONE);
}

TEST_F(Transport, M1M2M3ComeOutOnceInTicketOrder) {
    uint64_t pushed = 0;
    uint64_t popped = 0;
    std::minstd_rand random(7);
    while (popped < 5 * kCapacity) {
        for (uint64_t burst = random() % 700; burst > 0 && pushed - popped < kCapacity; --burst) {
            ASSERT_TRUE(push(*memory, numbered(pushed++)));
        }
        const uint64_t burst = std::min<uint64_t>(random() % 700, pushed - popped);
        expect(popped, burst);
        popped += burst;
        ASSERT_EQ(memory.head(), pushed);
        ASSERT_EQ(memory.tail(), popped);
        ASSERT_EQ(memory->has_pending(), pushed != popped);
    }
}

TEST_F(Transport, M8ExactlyTheCapacityFits) {
    fill_up();
    EXPECT_FALSE(memory->try_push_condition(PTO2TaskId{1}, 2, 3, 4, 5));
    EXPECT_FALSE(memory->try_push_condition(PTO2TaskId{1}, 2, 3, 4, 5, 6));
    EXPECT_FALSE(memory->try_push_normal_done(PTO2TaskId{1}, 2));
    EXPECT_EQ(memory.head(), kCapacity);
    EXPECT_TRUE(memory->has_pending());
    expect(0, kCapacity);
    expect_empty();
}

TEST_F(Transport, M8AtEveryPhaseOfTheLap) {
    uint64_t number = 0;
    for (const uint64_t phase : {uint64_t{1}, uint64_t{63}, kCapacity / 2, kCapacity - 1}) {
        for (uint64_t step = 0; step < phase; ++step) {
            ASSERT_TRUE(push(*memory, numbered(number)));
            expect(number++, 1);
        }
        fill_up(number);
        ASSERT_FALSE(push(*memory, numbered(0)));
        expect(number, kCapacity);
        number += kCapacity;
        expect_empty();
    }
}

TEST_F(Transport, FullThenOnePopTakesExactlyOne) {
    fill_up();
    for (uint64_t number = 0; number < 3 * kCapacity; ++number) {
        ASSERT_FALSE(push(*memory, numbered(0)));
        expect(number, 1);
        ASSERT_TRUE(push(*memory, numbered(number + kCapacity)));
    }
    ASSERT_FALSE(memory->try_push_normal_done(PTO2TaskId{1}, 2));
}

TEST_F(Transport, M9AFailedPushIsInvisible) {
    fill_up();
    const Snapshot before(*memory);
    EXPECT_FALSE(memory->try_push_condition(PTO2TaskId{1}, 2, 3, 4, 5));
    EXPECT_FALSE(memory->try_push_condition(PTO2TaskId{1}, 2, 3, 4, 5, 6));
    EXPECT_FALSE(memory->try_push_normal_done(PTO2TaskId{1}, 2));
    EXPECT_TRUE(Snapshot(*memory) == before);
    expect(0, kCapacity);
}

TEST_F(Transport, M10AFailedPopIsInvisible) {
    const auto fails = [this](const char *when) {
        unsigned char bytes[sizeof(View)];
        View view = numbered(0xabcdef);
        std::memcpy(bytes, &view, sizeof view);
        const Snapshot before(*memory);
        EXPECT_FALSE(memory->try_pop(view)) << when;
        EXPECT_EQ(std::memcmp(bytes, &view, sizeof view), 0) << when;
        EXPECT_TRUE(Snapshot(*memory) == before) << when;
    };
    fails("empty, fresh");
    fill_up();
    expect(0, kCapacity);
    fails("empty, after a lap");
    memory->head.store(memory.head() + 1);
    fails("gap");
    ASSERT_TRUE(push(*memory, numbered(1)));
    fails("gap before a message");
}

TEST_F(Transport, M12SlotsCanBeWalkedWithoutPopping) {
    fill_up();
    for (uint64_t ticket = 0; ticket < kCapacity; ++ticket) {
        ASSERT_EQ(slot(*memory, ticket).seq.load(), ticket + 1);
        ASSERT_EQ(in_slot(*memory, ticket), numbered(ticket));
    }
    // Popped slots keep their content until the next lap comes by.
    expect(0, 1000);
    for (uint64_t ticket = 0; ticket < kCapacity; ++ticket) {
        ASSERT_EQ(slot(*memory, ticket).seq.load(), ticket + 1);
        ASSERT_EQ(in_slot(*memory, ticket), numbered(ticket));
    }
    for (uint64_t number = kCapacity; number < kCapacity + 1000; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    for (uint64_t ticket = 1000; ticket < kCapacity + 1000; ++ticket) {
        ASSERT_EQ(slot(*memory, ticket).seq.load(), ticket + 1);
        ASSERT_EQ(in_slot(*memory, ticket), numbered(ticket));
    }
}

TEST_F(Transport, M13CursorsRiseByOne) {
    for (uint64_t number = 0; number < 2 * kCapacity; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
        ASSERT_EQ(memory.head(), number + 1);
        ASSERT_EQ(memory.tail(), number);
        ASSERT_TRUE(memory->has_pending());
        ASSERT_EQ(memory.tail(), number);
        expect(number, 1);
        ASSERT_EQ(memory.head(), number + 1);
        ASSERT_EQ(memory.tail(), number + 1);
    }
}

TEST_F(Transport, M14WhatWasPushedIsSeen) {
    for (const uint64_t count : {uint64_t{1}, uint64_t{100}, kCapacity}) {
        const uint64_t first = memory.head();
        for (uint64_t number = first; number < first + count; ++number) {
            ASSERT_TRUE(push(*memory, numbered(number)));
            ASSERT_TRUE(memory->has_pending());
        }
        for (uint64_t number = first; number < first + count; ++number) {
            ASSERT_TRUE(memory->has_pending());
            expect(number, 1);
        }
        expect_empty();
    }
}

TEST_F(Transport, M15StaleGenerationsNeverMatch) {
    for (uint64_t lap = 0; lap < 3; ++lap) {
        fill_up(lap * kCapacity);
        expect(lap * kCapacity, kCapacity);
    }
    for (uint64_t number = 3 * kCapacity; number < 3 * kCapacity + 100; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    expect(3 * kCapacity, 100);
    expect_empty();
    // A claim uncovers a slot of the lap before, which must not be taken for the message.
    memory->head.store(memory.head() + 1);
    View view;
    EXPECT_FALSE(memory->try_pop(view));
    EXPECT_TRUE(memory->has_pending());
}

// L4, M6, M36, M37.
TEST_F(Transport, M6NothingPassesAGap) {
    ASSERT_TRUE(push(*memory, numbered(0)));
    const uint64_t gap = memory.head();
    memory->head.store(gap + 1);
    for (uint64_t number = 2; number < 3000; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    expect(0, 1);
    for (int again = 0; again < 3; ++again) {
        View view;
        ASSERT_FALSE(memory->try_pop(view));
        ASSERT_EQ(memory.tail(), gap);
        ASSERT_TRUE(memory->has_pending());
    }
    publish(*memory, gap, numbered(1));
    expect(1, 2999);
    expect_empty();
}

// L4: the value in `seq` alone decides, the payload is whatever is in the slot.
TEST_F(Transport, M6TheRightSequenceOpensTheGap) {
    memory->head.store(1);
    View view;
    for (const uint64_t wrong : {uint64_t{2}, kCapacity + 1, UINT64_MAX, uint64_t{1} << 63, uint64_t{0}}) {
        slot(*memory, 0).seq.store(wrong);
        EXPECT_FALSE(memory->try_pop(view)) << wrong;
        EXPECT_TRUE(memory->has_pending());
    }
    slot(*memory, 0).seq.store(1);
    EXPECT_TRUE(memory->try_pop(view));
    expect_empty();
}

TEST_F(Transport, M36AGapTakesUpOneTicketAndThenTheRingIsFull) {
    const uint64_t gap = memory.head();
    memory->head.store(gap + 1);
    for (uint64_t number = 1; number < kCapacity; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number))) << number;
    }
    for (int again = 0; again < 100; ++again) {
        ASSERT_FALSE(push(*memory, numbered(0)));
        View view;
        ASSERT_FALSE(memory->try_pop(view));
    }
    EXPECT_TRUE(memory->has_pending());
    publish(*memory, gap, numbered(0));
    expect(0, kCapacity);
    expect_empty();
    ASSERT_TRUE(push(*memory, numbered(kCapacity)));
    expect(kCapacity, 1);
}

TEST_F(Transport, M36SeveralGapsOpenInOrder) {
    for (uint64_t number = 0; number < 60; ++number) {
        if (number % 3 == 0) {
            memory->head.store(memory.head() + 1);
        } else {
            ASSERT_TRUE(push(*memory, numbered(number)));
        }
    }
    View view;
    EXPECT_FALSE(memory->try_pop(view));
    for (uint64_t number = 57;; number -= 3) { // The later ones first: nothing moves until the first is there.
        ASSERT_EQ(memory.tail(), 0u);
        publish(*memory, number, numbered(number));
        if (number == 0) {
            break;
        }
        ASSERT_FALSE(memory->try_pop(view));
    }
    expect(0, 60);
    expect_empty();
}

TEST_F(Transport, AUserMayWriteTheKind) {
    memory->head.store(1);
    View odd = numbered(1);
    odd.kind = 0xdeadbeef;
    publish(*memory, 0, odd);
    View view;
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view, odd);
}

// 2.13: `seq` ahead of the ticket after `tail` was stored backwards past overwritten slots.
TEST_F(Transport, ASequenceAheadIsNotTaken) {
    fill_up();
    expect(0, kCapacity);
    for (uint64_t number = kCapacity; number < kCapacity + 10; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    expect(kCapacity, 10);
    memory->tail.store(5);
    View view;
    EXPECT_FALSE(memory->try_pop(view));
    EXPECT_EQ(memory.tail(), 5u);
    EXPECT_TRUE(memory->has_pending());
}

// 2.13: within the lap, what the slots still hold is delivered again.
TEST_F(Transport, StoredBackwardsWithinTheLapTheTailDeliversAgain) {
    for (uint64_t number = 0; number < 100; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    expect(0, 100);
    expect_empty();
    memory->tail.store(40);
    EXPECT_TRUE(memory->has_pending());
    expect(40, 60);
    expect_empty();
}

// 5.1: consecutive tickets, from whatever value the cursors have at the start.
TEST_F(Transport, CursorsMayStartAnywhere) {
    for (const uint64_t start : {uint64_t{1}, uint64_t{4095}, uint64_t{4097}, uint64_t{1} << 32, uint64_t{1} << 62}) {
        memory->head.store(start);
        memory->tail.store(start);
        for (uint64_t number = start; number < start + kCapacity; ++number) {
            ASSERT_TRUE(push(*memory, numbered(number)));
        }
        ASSERT_FALSE(push(*memory, numbered(0)));
        for (uint64_t ticket = start; ticket < start + kCapacity; ++ticket) {
            ASSERT_EQ(slot(*memory, ticket).seq.load(), ticket + 1);
        }
        expect(start, kCapacity);
        expect_empty();
    }
}

// 2.13: past 2^64 push goes on as before. What is popped there depends on the implementation (W9).
TEST_F(Transport, PushKeepsWorkingPastTheWrap) {
    const uint64_t start = UINT64_MAX - 99;
    memory->head.store(start);
    memory->tail.store(start);
    for (uint64_t number = 0; number < kCapacity; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number))) << number;
        ASSERT_EQ(memory.head(), start + number + 1);
        ASSERT_EQ(slot(*memory, start + number).seq.load(), start + number + 1);
    }
    EXPECT_FALSE(push(*memory, numbered(0)));
}

TEST_F(Transport, UpToTheWrapPopWorksToo) {
    const uint64_t start = UINT64_MAX - 200;
    memory->head.store(start);
    memory->tail.store(start);
    for (uint64_t number = start; number < start + 200; ++number) {
        ASSERT_TRUE(push(*memory, numbered(number)));
    }
    expect(start, 200);
}

TEST_F(Transport, RefW9TheWrapPassesUnnoticed) {
    const uint64_t start = UINT64_MAX - 99;
    memory->head.store(start);
    memory->tail.store(start);
    uint64_t number = 0;
    for (int round = 0; round < 3; ++round) {
        for (int step = 0; step < 150; ++step) {
            ASSERT_TRUE(push(*memory, numbered(number + static_cast<uint64_t>(step))));
            ASSERT_TRUE(memory->has_pending());
        }
        expect(number, 150);
        number += 150;
        expect_empty();
    }
}

TEST_F(Transport, RefW9AFullRingAcrossTheWrap) {
    const uint64_t start = UINT64_MAX - 2000;
    memory->head.store(start);
    memory->tail.store(start);
    fill_up();
    EXPECT_FALSE(push(*memory, numbered(0)));
    EXPECT_TRUE(memory->has_pending());
    expect(0, kCapacity);
    expect_empty();
}

TEST_F(Transport, HasPendingChangesNothing) {
    ASSERT_TRUE(push(*memory, numbered(0)));
    const Snapshot before(*memory);
    for (int again = 0; again < 10; ++again) {
        EXPECT_TRUE(memory->has_pending());
    }
    EXPECT_TRUE(Snapshot(*memory) == before);
}

} // namespace
