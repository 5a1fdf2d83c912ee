// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The completion mailbox under several producers: bounded by a count of messages, LANEPIPE_SOAK_MESSAGES, each of which
// is checked.
#include "lanepipe/lanepipe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr uint32_t kProducers = 4;
constexpr uint64_t kMessages = 400000;
// Messages of a task: conditions, and the one that ends them.
constexpr uint64_t kTask = 8;
constexpr unsigned kProducerShift = 48;

uint64_t mix(uint64_t value) {
    value ^= value >> 31;
    return value * 0x9e3779b97f4a7c15u;
}

// What message `id` (a producer above kProducerShift, its running number below) carries; all of it follows from the id.
lanepipe_message_t message_of(uint64_t id) {
    lanepipe_message_t message{};
    message.task_token = mix(id / kTask);
    message.addr = id;
    if (id % kTask == kTask - 1) {
        message.kind = LANEPIPE_MESSAGE_NORMAL_DONE;
        return message;
    }
    message.kind = LANEPIPE_MESSAGE_CONDITION;
    message.backend_cookie = mix(id);
    message.expected_value = static_cast<uint32_t>(mix(id + 1));
    message.engine = static_cast<uint32_t>(mix(id + 2));
    message.completion_type = static_cast<int32_t>(mix(id + 3) >> 33);
    return message;
}

bool is_same(const lanepipe_message_t &one, const lanepipe_message_t &other) {
    return one.task_token == other.task_token && one.addr == other.addr && one.backend_cookie == other.backend_cookie &&
           one.expected_value == other.expected_value && one.engine == other.engine &&
           one.completion_type == other.completion_type && one.kind == other.kind;
}

// Pushes the tasks of one producer, by every call that there is.
class Producer {
  public:
    Producer(lanepipe_mailbox_t *mailbox, uint64_t number)
        : mailbox_(mailbox), first_(number << kProducerShift), random_(static_cast<uint32_t>(number) + 1) {}

    void run(uint64_t messages) {
        for (uint64_t task = 0; task < messages / kTask; ++task) {
            push_task(first_ + task * kTask);
        }
    }

    // How often the ring was full.
    uint64_t refused() const { return refused_; }
    // Statuses that no push may give.
    uint64_t wrong() const { return wrong_; }

  private:
    void push_task(uint64_t id) {
        std::array<lanepipe_slab_entry_t, kTask - 1> entries{};
        for (size_t index = 0; index < entries.size(); ++index) {
            const lanepipe_message_t message = message_of(id + index);
            entries[index].addr = message.addr;
            entries[index].backend_cookie = message.backend_cookie;
            entries[index].expected_value = message.expected_value;
            entries[index].engine = message.engine;
            entries[index].completion_type = message.completion_type;
        }
        const uint64_t token = message_of(id).task_token;
        const uint64_t done = id + entries.size();
        const uint32_t way = random_() % 3;
        uint32_t pushed = 0;
        while (pushed < entries.size() + (way == 0)) {
            const uint32_t left = static_cast<uint32_t>(entries.size()) - pushed;
            uint32_t now = 0;
            if (way == 0) {
                settle(lanepipe_mailbox_try_push_task(mailbox_, token, &entries[0] + pushed, left, done, &now));
            } else if (way == 1) {
                const uint32_t some = 1 + random_() % left;
                settle(lanepipe_mailbox_try_push_entries(mailbox_, token, &entries[pushed], some, &now));
            } else {
                const lanepipe_slab_entry_t &entry = entries[pushed];
                now = settle(lanepipe_mailbox_try_push_condition(mailbox_, token, entry.addr, entry.backend_cookie,
                                                                 entry.expected_value, entry.engine,
                                                                 entry.completion_type));
            }
            pushed += now;
        }
        while (way != 0 && !settle(lanepipe_mailbox_try_push_normal_done(mailbox_, token, done))) {
        }
    }

    // Whether all of it was pushed.
    bool settle(lanepipe_status_t status) {
        if (status == LANEPIPE_FULL) {
            ++refused_;
            std::this_thread::yield();
        } else {
            wrong_ += status != LANEPIPE_OK;
        }
        return status == LANEPIPE_OK;
    }

    lanepipe_mailbox_t *mailbox_;
    uint64_t first_;
    std::minstd_rand random_;
    uint64_t refused_ = 0;
    uint64_t wrong_ = 0;
};

// Takes `total` messages; each is the next one of its producer, as it was pushed. Stops at the first that is not, or
// when all producers have ended and there is none.
void consume(lanepipe_mailbox_t *mailbox, uint64_t total, const std::atomic<uint32_t> &ended,
             std::array<uint64_t, kProducers> &taken) {
    std::minstd_rand random(99);
    std::vector<lanepipe_message_t> messages(64);
    for (uint64_t count = 0; count < total;) {
        const bool all_pushed = ended.load(std::memory_order_acquire) == kProducers;
        uint32_t popped = 0;
        lanepipe_status_t status;
        if (random() % 4 == 0) {
            status = lanepipe_mailbox_try_pop(mailbox, &messages[0]);
            popped = status == LANEPIPE_OK;
        } else {
            const uint32_t most = 1 + random() % static_cast<uint32_t>(messages.size());
            status = lanepipe_mailbox_pop_batch(mailbox, &messages[0], most, &popped);
        }
        if (status == LANEPIPE_EMPTY || status == LANEPIPE_AGAIN) {
            ASSERT_FALSE(all_pushed) << count << " of " << total << " messages";
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(status, LANEPIPE_OK);
        for (uint32_t index = 0; index < popped; ++index, ++count) {
            const uint64_t id = messages[index].addr;
            const uint64_t producer = id >> kProducerShift;
            ASSERT_LT(producer, kProducers) << "message " << count;
            ASSERT_EQ(id, producer << kProducerShift | taken[producer]) << "message " << count;
            ASSERT_TRUE(is_same(messages[index], message_of(id))) << "message " << count << ", id " << id;
            ++taken[producer];
        }
    }
}

TEST(MailboxSoak, NothingIsLostDoubledOrOutOfOrder) {
    const char *const wanted = std::getenv("LANEPIPE_SOAK_MESSAGES");
    const uint64_t each =
        (wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : kMessages) / kProducers / kTask * kTask;
    ASSERT_NE(each, 0u) << "LANEPIPE_SOAK_MESSAGES";
    const uint64_t total = each * kProducers;

    std::vector<uint64_t> memory(LANEPIPE_MAILBOX_SIZE / sizeof(uint64_t));
    lanepipe_mailbox_t *mailbox = nullptr;
    ASSERT_EQ(lanepipe_mailbox_attach(&memory[0], LANEPIPE_MAILBOX_SIZE, LANEPIPE_ABI_VERSION, &mailbox), LANEPIPE_OK);
    ASSERT_EQ(lanepipe_mailbox_init_empty(mailbox), LANEPIPE_OK);

    std::vector<Producer> producers;
    for (uint32_t number = 0; number < kProducers; ++number) {
        producers.emplace_back(mailbox, number);
    }
    std::atomic<uint32_t> ended{0};
    std::vector<std::thread> threads;
    for (Producer &producer : producers) {
        threads.emplace_back([&producer, &ended, each] {
            producer.run(each);
            ended.fetch_add(1, std::memory_order_release);
        });
    }
    std::array<uint64_t, kProducers> taken{};
    consume(mailbox, total, ended, taken);
    if (HasFatalFailure()) {
        // The producers wait for room that nobody makes any more.
        std::fflush(nullptr);
        std::_Exit(1);
    }
    uint64_t refused = 0;
    for (uint32_t number = 0; number < kProducers; ++number) {
        threads[number].join();
        EXPECT_EQ(taken[number], each) << "producer " << number;
        EXPECT_EQ(producers[number].wrong(), 0u) << "producer " << number;
        refused += producers[number].refused();
    }
    lanepipe_message_t message;
    EXPECT_EQ(lanepipe_mailbox_try_pop(mailbox, &message), LANEPIPE_EMPTY);
    lanepipe_mailbox_stats_t stats{};
    stats.struct_size = sizeof(stats);
    ASSERT_EQ(lanepipe_mailbox_get_stats(mailbox, &stats), LANEPIPE_OK);
    EXPECT_EQ(stats.pending, 0u);
    EXPECT_EQ(stats.overlaps, 0u);
    std::printf("mailbox: %" PRIu64 " messages of %" PRIu32 " producers, %" PRIu64 " laps of %" PRIu32
                " slots; all fields and each producer's order checked; full %" PRIu64 " times, %" PRIu32 " gaps met\n",
                total, kProducers, total / LANEPIPE_MAILBOX_CAPACITY, LANEPIPE_MAILBOX_CAPACITY, refused, stats.gaps);
}

} // namespace
