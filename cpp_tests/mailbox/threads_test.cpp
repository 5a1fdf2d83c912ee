// The ring in the hands of several producers and one consumer at a time (contract 1.3, 2.11, 5.1, 5.3). Counts bound
// every case; time decides nothing.
#include "support.h"

using namespace mailbox_test;

namespace {

constexpr uint64_t kPerProducer = 60000;

// Message `number` of a producer: all fields follow from both.
View from(unsigned producer, uint64_t number) { return numbered((uint64_t{producer} << 40) | number); }

void push_until_taken(Mailbox &mailbox, const View &view) {
    while (!push(mailbox, view)) {
        std::this_thread::yield();
    }
}

// Takes the messages of all producers, each producer's in its order, none twice, none lost.
class Order {
  public:
    explicit Order(unsigned producers) : next_(producers, 0) {}

    void take(const View &view) {
        const uint64_t number = view.task_token.raw & ((uint64_t{1} << 40) - 1);
        const auto producer = static_cast<unsigned>(view.task_token.raw >> 40);
        ASSERT_LT(producer, next_.size());
        ASSERT_EQ(view, from(producer, number));
        ASSERT_EQ(number, next_[producer]) << "producer " << producer;
        ++next_[producer];
        ++taken_;
    }

    uint64_t taken() const { return taken_; }

  private:
    std::vector<uint64_t> next_;
    uint64_t taken_ = 0;
};

class Threads : public ::testing::TestWithParam<unsigned> {
  protected:
    Memory memory;
};
INSTANTIATE_TEST_SUITE_P(Producers, Threads, ::testing::Values(1u, 2u, 4u, 8u));

TEST_P(Threads, M1M2M4M11NothingIsLostDoubledOrMixed) {
    const unsigned producers = GetParam();
    const uint64_t each = kPerProducer / producers;
    Gate gate(producers + 1);
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            gate.pass();
            for (uint64_t number = 0; number < each; ++number) {
                push_until_taken(*memory, from(producer, number));
            }
        });
    }
    Order order(producers);
    gate.pass();
    while (order.taken() < each * producers && !HasFatalFailure()) {
        View view;
        if (memory->try_pop(view)) {
            order.take(view);
        } else {
            std::this_thread::yield();
        }
    }
    if (HasFatalFailure()) {
        // Lets the producers end.
        for (View view; memory.head() < each * producers;) {
            (void)memory->try_pop(view);
        }
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_FALSE(memory->has_pending());
    EXPECT_EQ(memory.head(), each * producers);
    EXPECT_EQ(memory.tail(), each * producers);
}

// M3, M12 under load: what is popped is what lies in the slot of its ticket.
TEST_P(Threads, M3M12ThePoppedMessageIsTheOneInItsSlot) {
    const unsigned producers = GetParam();
    const uint64_t each = 20000 / producers;
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (uint64_t number = 0; number < each; ++number) {
                push_until_taken(*memory, from(producer, number));
            }
        });
    }
    for (uint64_t ticket = 0; ticket < each * producers;) {
        Message &message = slot(*memory, ticket);
        if (message.seq.load(std::memory_order_acquire) != ticket + 1) {
            std::this_thread::yield();
            continue;
        }
        const View lying = in_slot(*memory, ticket);
        View view;
        EXPECT_TRUE(memory->try_pop(view));
        EXPECT_EQ(view, lying);
        ++ticket;
        EXPECT_EQ(memory.tail(), ticket);
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
}

// M7: the bounds hold whenever they are looked at, on a ring that is full most of the time.
TEST_P(Threads, M7NeverMoreThanTheCapacity) {
    const unsigned producers = GetParam();
    const uint64_t each = 40000 / producers;
    std::atomic<bool> done{false};
    std::atomic<uint64_t> violations{0};
    std::thread watcher([&] {
        while (!done.load()) {
            const uint64_t upper_head = memory->head.load();
            const uint64_t upper_tail = memory->tail.load();
            const uint64_t lower_tail = memory->tail.load();
            const uint64_t lower_head = memory->head.load();
            if (static_cast<int64_t>(upper_head - upper_tail) > static_cast<int64_t>(kCapacity) ||
                static_cast<int64_t>(lower_head - lower_tail) < 0) {
                violations.fetch_add(1);
            }
            std::this_thread::yield();
        }
    });
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (uint64_t number = 0; number < each; ++number) {
                push_until_taken(*memory, from(producer, number));
            }
        });
    }
    Order order(producers);
    while (order.taken() < each * producers) {
        // Waits for a full ring, or for the producers' end.
        while (memory.head() < std::min(memory.tail() + kCapacity, each * producers)) {
            std::this_thread::yield();
        }
        View view;
        for (int burst = 0; burst < 500 && memory->try_pop(view); ++burst) {
            order.take(view);
            if (HasFatalFailure()) {
                break;
            }
        }
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    done.store(true);
    watcher.join();
    EXPECT_EQ(violations.load(), 0u);
}

// M5: subtasks on several threads announce their conditions, count themselves with an acq_rel counter, and the last
// one sends the sentinel: it comes out behind all conditions of its task.
TEST_P(Threads, M5ConditionsComeBeforeTheirSentinel) {
    const unsigned producers = GetParam();
    const uint64_t tasks = 20000 / producers;
    std::vector<std::atomic<unsigned>> ended(tasks);
    std::vector<std::thread> threads;
    Gate gate(producers + 1);
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            gate.pass();
            for (uint64_t task = 0; task < tasks; ++task) {
                const PTO2TaskId token{task};
                while (!memory->try_push_condition(token, producer, 0, 0, 0)) {
                    std::this_thread::yield();
                }
                if (ended[task].fetch_add(1, std::memory_order_acq_rel) + 1 == producers) {
                    while (!memory->try_push_normal_done(token, task)) {
                        std::this_thread::yield();
                    }
                }
            }
        });
    }
    std::vector<unsigned> conditions(tasks, 0);
    std::vector<bool> finished(tasks, false);
    uint64_t sentinels = 0;
    gate.pass();
    while (sentinels < tasks) {
        View view;
        if (!memory->try_pop(view)) {
            std::this_thread::yield();
            continue;
        }
        const uint64_t task = view.task_token.raw;
        EXPECT_FALSE(finished[task]);
        if (view.kind == MSG_KIND_CONDITION) {
            ++conditions[task];
        } else {
            EXPECT_EQ(conditions[task], producers) << task;
            finished[task] = true;
            ++sentinels;
        }
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_FALSE(memory->has_pending());
}

// Consumers take turns under a lock, as holders of `busy` do; has_pending() is asked without it by everybody.
TEST_P(Threads, M4ConsumersTakeTurns) {
    const unsigned producers = GetParam();
    const uint64_t each = kPerProducer / producers;
    AsyncWaitList lock{};
    Order order(producers);
    std::atomic<bool> sound{true};
    std::vector<std::thread> threads;
    const auto consume = [&] {
        bool all = false;
        while (!all) {
            if (!memory->has_pending()) {
                std::this_thread::yield();
            }
            if (!lock.try_lock()) {
                continue;
            }
            View view;
            for (int burst = 0; burst < 64 && memory->try_pop(view); ++burst) {
                order.take(view);
                if (HasFatalFailure()) {
                    sound.store(false);
                }
            }
            all = order.taken() >= each * producers || !sound.load();
            lock.unlock();
        }
    };
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (uint64_t number = 0; number < each && sound.load(); ++number) {
                while (sound.load() && !push(*memory, from(producer, number))) {
                    std::this_thread::yield();
                }
            }
        });
    }
    threads.emplace_back(consume);
    threads.emplace_back(consume);
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(order.taken(), each * producers);
}

// M34, M36, M37: one producer stops between claim and publication. The others go on until the ring is full, nothing is
// delivered meanwhile, and all of it afterwards.
TEST_P(Threads, M36AStoppedProducerHoldsUpDeliveryOnly) {
    const unsigned producers = GetParam();
    const uint64_t gap = memory->head.fetch_add(1);
    std::atomic<uint64_t> accepted{0};
    std::vector<std::thread> threads;
    std::vector<std::vector<View>> pushed(producers);
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (uint64_t number = 0; accepted.load() < kCapacity - 1; ++number) {
                const View view = from(producer, number);
                while (accepted.load() < kCapacity - 1) {
                    if (push(*memory, view)) {
                        accepted.fetch_add(1);
                        pushed[producer].push_back(view);
                        break;
                    }
                    std::this_thread::yield();
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(accepted.load(), kCapacity - 1);
    EXPECT_EQ(memory.head(), kCapacity);
    for (int again = 0; again < 50; ++again) {
        View view;
        EXPECT_FALSE(memory->try_pop(view));
        EXPECT_FALSE(push(*memory, numbered(0)));
    }
    const View late = numbered(uint64_t{200} << 40);
    publish(*memory, gap, late);
    View view;
    ASSERT_TRUE(memory->try_pop(view));
    EXPECT_EQ(view, late);
    Order order(producers);
    for (uint64_t count = 0; count < kCapacity - 1; ++count) {
        ASSERT_TRUE(memory->try_pop(view));
        ASSERT_NO_FATAL_FAILURE(order.take(view));
    }
    EXPECT_FALSE(memory->try_pop(view));
}

// M14: after a push that happened before, a question is answered with yes.
TEST(Visibility, M14APushThatHappenedBeforeIsSeen) {
    Memory memory;
    std::atomic<uint64_t> turn{0};
    constexpr uint64_t kRounds = 20000;
    std::thread producer([&] {
        for (uint64_t round = 0; round < kRounds; ++round) {
            while (turn.load(std::memory_order_acquire) != 2 * round) {
                std::this_thread::yield();
            }
            EXPECT_TRUE(push(*memory, numbered(round)));
            turn.store(2 * round + 1, std::memory_order_release);
        }
    });
    for (uint64_t round = 0; round < kRounds; ++round) {
        while (turn.load(std::memory_order_acquire) != 2 * round + 1) {
            std::this_thread::yield();
        }
        View view;
        EXPECT_TRUE(memory->has_pending());
        EXPECT_TRUE(memory->try_pop(view));
        EXPECT_EQ(view, numbered(round));
        turn.store(2 * round + 2, std::memory_order_release);
    }
    producer.join();
}

// W2: at most 64 messages are outstanding, so none may be refused.
TEST_P(Threads, RefSkipW2NoRefusalWhileTheRingIsNearlyEmpty) {
    const unsigned producers = GetParam();
    const uint64_t each = 200000 / producers;
    std::atomic<int64_t> credit{64};
    std::atomic<uint64_t> refused{0};
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (uint64_t number = 0; number < each; ++number) {
                while (credit.fetch_sub(1) <= 0) {
                    credit.fetch_add(1);
                    std::this_thread::yield();
                }
                while (!push(*memory, from(producer, number))) {
                    refused.fetch_add(1);
                }
            }
        });
    }
    Order order(producers);
    while (order.taken() < each * producers) {
        View view;
        if (!memory->try_pop(view)) {
            std::this_thread::yield();
            continue;
        }
        credit.fetch_add(1);
        order.take(view);
        if (HasFatalFailure()) {
            break;
        }
    }
    for (std::thread &thread : threads) {
        if (HasFatalFailure()) {
            credit.store(INT64_MAX / 2);
        }
        thread.join();
    }
    EXPECT_EQ(refused.load(), 0u);
}

// M31: of many contenders one gets in, and the others are not held up.
TEST(Lock, M31OneHolderAtATime) {
    const auto list = std::make_unique<AsyncWaitList>();
    constexpr int kThreads = 4;
    constexpr uint64_t kEach = 20000;
    std::atomic<int> inside{0};
    std::atomic<uint64_t> violations{0};
    uint64_t plain = 0;
    Gate gate(kThreads);
    std::vector<std::thread> threads;
    for (int index = 0; index < kThreads; ++index) {
        threads.emplace_back([&] {
            gate.pass();
            for (uint64_t got = 0; got < kEach;) {
                if (!list->try_lock()) {
                    std::this_thread::yield();
                    continue;
                }
                violations.fetch_add(inside.fetch_add(1) == 0 ? 0 : 1);
                ++plain;
                ++got;
                inside.fetch_sub(1);
                list->unlock();
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(violations.load(), 0u);
    EXPECT_EQ(plain, kThreads * kEach);
    EXPECT_EQ(list->busy.load(), 0);
}

} // namespace
