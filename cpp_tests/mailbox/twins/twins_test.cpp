// A mailbox that is used through the C++ header and through the C interface at the same time: both are views of the
// same bytes, whichever side starts the ring, pushes, pops or asks (contract B9).
#include "support.h"

#include <lanepipe/lanepipe.h>

using namespace mailbox_test;

namespace {

static_assert(sizeof(lanepipe_message_t) == sizeof(View), "one layout");
static_assert(sizeof(lanepipe_slab_entry_t) == sizeof(DeferredCompletionEntry), "one layout");
static_assert(LANEPIPE_MAILBOX_SIZE == sizeof(Mailbox) && LANEPIPE_MAILBOX_CAPACITY == kCapacity, "one layout");

lanepipe_mailbox_t *handle(Mailbox &mailbox) { return reinterpret_cast<lanepipe_mailbox_t *>(&mailbox); }

// One of the two ways in.
enum class Way { kHeader, kC };

bool push(Way way, Mailbox &mailbox, const View &view) {
    if (way == Way::kHeader) {
        return mailbox_test::push(mailbox, view);
    }
    const lanepipe_status_t status =
        view.kind == MSG_KIND_TASK_NORMAL_DONE
            ? lanepipe_mailbox_try_push_normal_done(handle(mailbox), view.task_token.raw, view.addr)
            : lanepipe_mailbox_try_push_condition(handle(mailbox), view.task_token.raw, view.addr, view.backend_cookie,
                                                  view.expected_value, view.engine, view.completion_type);
    EXPECT_TRUE(status == LANEPIPE_OK || status == LANEPIPE_FULL) << status;
    return status == LANEPIPE_OK;
}

bool pop(Way way, Mailbox &mailbox, View &view) {
    if (way == Way::kHeader) {
        return mailbox.try_pop(view);
    }
    lanepipe_message_t message;
    const lanepipe_status_t status = lanepipe_mailbox_try_pop(handle(mailbox), &message);
    EXPECT_TRUE(status == LANEPIPE_OK || status == LANEPIPE_EMPTY || status == LANEPIPE_AGAIN) << status;
    if (status == LANEPIPE_OK) {
        std::memcpy(static_cast<void *>(&view), &message, sizeof view);
    }
    return status == LANEPIPE_OK;
}

bool has_pending(Way way, Mailbox &mailbox) {
    if (way == Way::kHeader) {
        return mailbox.has_pending();
    }
    const lanepipe_status_t status = lanepipe_mailbox_has_pending(handle(mailbox));
    EXPECT_TRUE(status == LANEPIPE_OK || status == LANEPIPE_EMPTY) << status;
    return status == LANEPIPE_OK;
}

class Twins : public ::testing::TestWithParam<std::tuple<Way, Way>> {
  protected:
    Way pushes() const { return std::get<0>(GetParam()); }
    Way pops() const { return std::get<1>(GetParam()); }

    Memory memory;
};
INSTANTIATE_TEST_SUITE_P(Ways, Twins,
                         ::testing::Combine(::testing::Values(Way::kHeader, Way::kC),
                                            ::testing::Values(Way::kHeader, Way::kC)));

TEST_P(Twins, LapsOfFullAndEmpty) {
    uint64_t number = 0;
    for (int lap = 0; lap < 4; ++lap) {
        const uint64_t first = number;
        for (uint64_t step = 0; step < kCapacity; ++step) {
            ASSERT_TRUE(push(pushes(), *memory, numbered(number++)));
            ASSERT_TRUE(has_pending(pops(), *memory));
        }
        ASSERT_FALSE(push(Way::kHeader, *memory, numbered(0)));
        ASSERT_FALSE(push(Way::kC, *memory, numbered(0)));
        for (uint64_t step = 0; step < kCapacity; ++step) {
            View view;
            ASSERT_TRUE(pop(pops(), *memory, view));
            ASSERT_EQ(view, numbered(first + step));
        }
        View view;
        ASSERT_FALSE(pop(Way::kHeader, *memory, view));
        ASSERT_FALSE(pop(Way::kC, *memory, view));
        ASSERT_FALSE(has_pending(Way::kHeader, *memory));
        ASSERT_FALSE(has_pending(Way::kC, *memory));
    }
}

TEST_P(Twins, AFailedPushOfOneLeavesRoomToTheOther) {
    for (uint64_t number = 0; number < kCapacity; ++number) {
        ASSERT_TRUE(push(pushes(), *memory, numbered(number)));
    }
    for (uint64_t number = 0; number < kCapacity; ++number) {
        ASSERT_FALSE(push(pushes(), *memory, numbered(0)));
        View view;
        ASSERT_TRUE(pop(pops(), *memory, view));
        ASSERT_EQ(view, numbered(number));
        const Way other = pushes() == Way::kC ? Way::kHeader : Way::kC;
        ASSERT_TRUE(push(other, *memory, numbered(kCapacity + number)));
        ASSERT_FALSE(push(pushes(), *memory, numbered(0)));
    }
}

TEST_P(Twins, GapsAndDiscardingAreSeenByBoth) {
    uint64_t number = 0;
    for (int round = 0; round < 5; ++round) {
        const uint64_t gap = memory.head();
        memory->head.store(gap + 1);
        ASSERT_TRUE(push(pushes(), *memory, numbered(++number)));
        View view;
        ASSERT_FALSE(pop(pops(), *memory, view));
        ASSERT_TRUE(has_pending(Way::kHeader, *memory));
        ASSERT_TRUE(has_pending(Way::kC, *memory));
        if (round % 2 == 0) {
            publish(*memory, gap, numbered(7));
            ASSERT_TRUE(pop(pops(), *memory, view));
            ASSERT_EQ(view, numbered(7));
            ASSERT_TRUE(pop(pops(), *memory, view));
            ASSERT_EQ(view, numbered(number));
        } else if (pops() == Way::kC) {
            ASSERT_EQ(lanepipe_mailbox_discard(handle(*memory)), LANEPIPE_OK);
        } else {
            discard(*memory);
        }
        ASSERT_FALSE(has_pending(Way::kHeader, *memory));
        ASSERT_FALSE(has_pending(Way::kC, *memory));
        for (uint64_t step = 0; step < kCapacity; ++step) {
            ASSERT_TRUE(push(pushes(), *memory, numbered(step)));
        }
        ASSERT_FALSE(push(pushes(), *memory, numbered(0)));
        for (uint64_t step = 0; step < kCapacity; ++step) {
            ASSERT_TRUE(pop(pops(), *memory, view));
            ASSERT_EQ(view, numbered(step));
        }
    }
}

// What one side starts, the other goes on with; and starts again.
TEST_P(Twins, EitherSideStarts) {
    for (const Pattern pattern : kPatterns) {
        fill(*memory, pattern);
        for (int run = 0; run < 4; ++run) {
            if ((run % 2 == 0) == (pushes() == Way::kC) || kReleases) {
                ASSERT_EQ(lanepipe_mailbox_init_empty(handle(*memory)), LANEPIPE_OK);
            } else {
                initialise(*memory);
            }
            ASSERT_FALSE(has_pending(Way::kHeader, *memory));
            ASSERT_FALSE(has_pending(Way::kC, *memory));
            const uint64_t count = run % 2 == 0 ? kCapacity : 3000;
            for (uint64_t number = 0; number < count; ++number) {
                ASSERT_TRUE(push(pushes(), *memory, numbered(number)));
            }
            for (uint64_t number = 0; number < count - 100; ++number) {
                View view;
                ASSERT_TRUE(pop(pops(), *memory, view));
                ASSERT_EQ(view, numbered(number));
            }
        }
    }
}

class TwinModel : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Seeds, TwinModel, ::testing::Range(1u, 5u));

// Random calls of both against a queue.
TEST_P(TwinModel, BothAreOneQueue) {
    std::mt19937 random(GetParam() * 31);
    Memory memory;
    std::deque<View> queue;
    uint64_t number = 0;
    for (int step = 0; step < 60000; ++step) {
        const bool filling = (step / 5000) % 2 == 0;
        const Way way = random() % 2 == 0 ? Way::kHeader : Way::kC;
        const unsigned dice = random() % 100;
        if (dice < 5) { // A whole slab at once.
            lanepipe_slab_entry_t entries[64];
            std::vector<View> views;
            const auto count = static_cast<uint32_t>(random() % 65);
            const bool whole = random() % 2 == 0;
            const PTO2TaskId token{++number};
            for (uint32_t index = 0; index < count; ++index) {
                View view = numbered(++number);
                view.task_token = token;
                view.kind = MSG_KIND_CONDITION;
                entries[index] = {view.addr,   view.backend_cookie,  view.expected_value,
                                  view.engine, view.completion_type, 0};
                views.push_back(view);
            }
            if (whole) {
                View view;
                view.task_token = token;
                view.addr = 4096;
                view.kind = MSG_KIND_TASK_NORMAL_DONE;
                views.push_back(view);
            }
            uint32_t pushed = 99;
            const lanepipe_status_t status =
                whole ? lanepipe_mailbox_try_push_task(handle(*memory), token.raw, entries, count, 4096, &pushed)
                      : lanepipe_mailbox_try_push_entries(handle(*memory), token.raw, entries, count, &pushed);
            const size_t fits = std::min(views.size(), kCapacity - queue.size());
            ASSERT_EQ(status, fits == views.size() ? LANEPIPE_OK : LANEPIPE_FULL);
            ASSERT_EQ(pushed, fits);
            queue.insert(queue.end(), views.begin(), views.begin() + static_cast<long>(fits));
        } else if (dice < 8) { // A batch.
            lanepipe_message_t messages[100];
            uint32_t popped = 0;
            const auto max = static_cast<uint32_t>(1 + random() % 100);
            const lanepipe_status_t status = lanepipe_mailbox_pop_batch(handle(*memory), messages, max, &popped);
            ASSERT_EQ(status, queue.empty() ? LANEPIPE_EMPTY : LANEPIPE_OK);
            popped = status == LANEPIPE_OK ? popped : 0;
            ASSERT_EQ(popped, std::min<size_t>(max, queue.size()));
            for (uint32_t index = 0; index < popped; ++index) {
                View view;
                std::memcpy(static_cast<void *>(&view), &messages[index], sizeof view);
                ASSERT_EQ(view, queue.front());
                queue.pop_front();
            }
        } else if (dice < 9) {
            lanepipe_message_t message;
            ASSERT_EQ(lanepipe_mailbox_peek(handle(*memory), &message), queue.empty() ? LANEPIPE_EMPTY : LANEPIPE_OK);
        } else if (dice % 10 < (filling ? 7u : 3u)) {
            const View view = numbered(++number);
            const bool fits = queue.size() < kCapacity;
            ASSERT_EQ(push(way, *memory, view), fits);
            if (fits) {
                queue.push_back(view);
            }
        } else {
            View view;
            ASSERT_EQ(pop(way, *memory, view), !queue.empty());
            if (!queue.empty()) {
                ASSERT_EQ(view, queue.front());
                queue.pop_front();
            }
        }
        ASSERT_EQ(memory.head() - memory.tail(), queue.size());
        ASSERT_EQ(has_pending(Way::kHeader, *memory), !queue.empty());
        ASSERT_EQ(has_pending(Way::kC, *memory), !queue.empty());
    }
}

// Producers of both kinds at once, on a ring that is full most of the time, and consumers of both kinds in turns.
class TwinThreads : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Producers, TwinThreads, ::testing::Values(2u, 4u));

TEST_P(TwinThreads, NothingIsLostDoubledOrMixed) {
    const unsigned producers = GetParam();
    const uint64_t each = 80000 / producers;
    Memory memory;
    AsyncWaitList lock{};
    std::atomic<bool> stop{false};
    std::vector<uint64_t> next(producers, 0);
    uint64_t taken = 0; // With `next`, under the lock.
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            const auto message = [producer](uint64_t number) { return numbered((uint64_t{producer} << 40) | number); };
            for (uint64_t number = 0; number < each && !stop.load();) {
                if (producer % 2 == 1 && number % 10 == 0 && number + 3 < each) {
                    // Three in one claim; their token says which is the first.
                    lanepipe_slab_entry_t entries[3];
                    const View first = message(number);
                    for (uint32_t index = 0; index < 3; ++index) {
                        entries[index] = {first.addr + index, 0, index, 0xfade, 0, 0};
                    }
                    uint32_t done = 0;
                    while (done < 3 && !stop.load()) {
                        uint32_t pushed = 0;
                        const lanepipe_status_t status = lanepipe_mailbox_try_push_entries(
                            handle(*memory), first.task_token.raw, entries + done, 3 - done, &pushed);
                        EXPECT_TRUE(status == LANEPIPE_OK || status == LANEPIPE_FULL);
                        done += pushed;
                        if (status == LANEPIPE_FULL) {
                            std::this_thread::yield();
                        }
                    }
                    number += 3;
                    continue;
                }
                while (!stop.load() && !push(producer % 2 == 0 ? Way::kHeader : Way::kC, *memory, message(number))) {
                    std::this_thread::yield();
                }
                ++number;
            }
        });
    }
    const auto take = [&](const View &view) {
        const auto producer = static_cast<unsigned>(view.task_token.raw >> 40);
        ASSERT_LT(producer, producers);
        const uint64_t expected = next[producer]++;
        ++taken;
        if (view.engine == 0xfade) {
            const View first = numbered(view.task_token.raw);
            ASSERT_EQ(view.addr, first.addr + view.expected_value);
            ASSERT_EQ((view.task_token.raw & ((uint64_t{1} << 40) - 1)) + view.expected_value, expected);
        } else {
            ASSERT_EQ(view, numbered((uint64_t{producer} << 40) | expected));
        }
    };
    const auto consume = [&](Way way) {
        for (bool all = false; !all;) {
            if (!lock.try_lock()) {
                std::this_thread::yield();
                continue;
            }
            View view;
            for (int burst = 0; burst < 100 && pop(way, *memory, view); ++burst) {
                take(view);
            }
            if (::testing::Test::HasFatalFailure()) {
                stop.store(true);
            }
            all = taken == each * producers || stop.load();
            lock.unlock();
        }
    };
    threads.emplace_back(consume, Way::kHeader);
    threads.emplace_back(consume, Way::kC);
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(taken, each * producers);
    EXPECT_FALSE(memory->has_pending());
    lanepipe_mailbox_stats_t stats{};
    stats.struct_size = sizeof stats;
    ASSERT_EQ(lanepipe_mailbox_get_stats(handle(*memory), &stats), LANEPIPE_OK);
    EXPECT_EQ(stats.pending, 0u);
    EXPECT_EQ(stats.overlaps, 0u);
}

// Messages of the C interface, drained by the header's list.
TEST(TwinList, TheListDrainsWhatTheCInterfacePushed) {
    Rig rig;
    uint32_t counters[64] = {};
    Task tasks[] = {Task(1), Task(2)};
    lanepipe_slab_entry_t entries[64];
    for (uint32_t index = 0; index < 64; ++index) {
        entries[index] = {static_cast<uint64_t>(reinterpret_cast<uintptr_t>(&counters[index])),
                          index,
                          1,
                          0,
                          COMPLETION_TYPE_COUNTER,
                          0};
    }
    uint32_t pushed = 0;
    ASSERT_EQ(lanepipe_mailbox_try_push_task(handle(*rig.mailbox), 1, entries, 64, tasks[0].addr(), &pushed),
              LANEPIPE_OK);
    ASSERT_EQ(pushed, 65u);
    ASSERT_EQ(lanepipe_mailbox_try_push_entries(handle(*rig.mailbox), 2, entries, 5, &pushed), LANEPIPE_OK);
    rig.condition(tasks[1], &counters[5], 1, 5);
    ASSERT_EQ(lanepipe_mailbox_try_push_normal_done(handle(*rig.mailbox), 2, tasks[1].addr()), LANEPIPE_OK);
    EXPECT_EQ(rig.drain(), 72);
    ASSERT_EQ(rig.list().count, 2);
    EXPECT_EQ(rig.find(1)->condition_count, 64);
    EXPECT_EQ(rig.find(2)->condition_count, 6);
    for (uint32_t index = 0; index < 6; ++index) {
        EXPECT_EQ(rig.find(2)->conditions[index].backend_cookie, index);
        counters[index] = 1;
    }
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(tasks[1]), 1u);
    for (uint32_t &counter : counters) {
        counter = 1;
    }
    EXPECT_EQ(rig.polled(), 1);
    EXPECT_EQ(rig.times_completed(tasks[0]), 1u);
}

} // namespace
