// Random streams of calls against simple models: a queue for the ring, a map for the wait list.
#include "support.h"

#include <map>
#include <set>
#include <tuple>

using namespace mailbox_test;

namespace {

class Model : public ::testing::TestWithParam<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Seeds, Model, ::testing::Range(1u, 9u));

// M1 to M3, M6 to M18: pushes, pops, claims by hand, publications out of order, discarding, scribbled padding.
TEST_P(Model, TheRingIsAQueueWithGaps) {
    struct Expected {
        View view;
        bool published;
    };
    std::mt19937 random(GetParam());
    Memory memory;
    std::deque<Expected> queue;
    uint64_t base = 0; // Ticket of the first in the queue.
    uint64_t number = 0;
    // Phases that fill and phases that empty.
    for (int step = 0; step < 60000; ++step) {
        const bool filling = (step / 6000) % 2 == 0;
        switch (random() % 100) {
        default: {
            const bool pushing = (random() % 100) < (filling ? 70u : 30u);
            if (pushing) {
                const View view = numbered(++number);
                const bool fits = queue.size() < kCapacity;
                ASSERT_EQ(push(*memory, view), fits);
                if (fits) {
                    queue.push_back({view, true});
                }
            } else {
                View view = numbered(1);
                const bool there = !queue.empty() && queue.front().published;
                ASSERT_EQ(memory->try_pop(view), there);
                ASSERT_EQ(view, there ? queue.front().view : numbered(1));
                if (there) {
                    queue.pop_front();
                    ++base;
                }
            }
            break;
        }
        case 0: { // A claim by hand.
            if (queue.size() < kCapacity && random() % 4 == 0) {
                memory->head.store(memory.head() + 1);
                queue.push_back({numbered(++number), false});
            }
            break;
        }
        case 1:
        case 2: { // Publication of a claim, not always of the first.
            const size_t skip = random() % 3;
            size_t seen = 0;
            for (size_t index = 0; index < queue.size(); ++index) {
                if (!queue[index].published && seen++ >= skip) {
                    publish(*memory, base + index, queue[index].view);
                    queue[index].published = true;
                    break;
                }
            }
            break;
        }
        case 3:
            if (random() % 40 == 0) {
                discard(*memory);
                base += queue.size();
                queue.clear();
            }
            break;
        case 4:
            if (random() % 20 == 0) {
                scribble_padding(*memory, kPatterns[random() % 6], random());
            }
            break;
        case 5: { // A burst.
            for (unsigned burst = random() % 200; filling && burst > 0; --burst) {
                const View view = numbered(++number);
                const bool fits = queue.size() < kCapacity;
                ASSERT_EQ(push(*memory, view), fits);
                if (fits) {
                    queue.push_back({view, true});
                }
            }
            break;
        }
        case 6: {
            for (size_t index = 0; index < queue.size(); index += 61) {
                if (queue[index].published) {
                    ASSERT_EQ(slot(*memory, base + index).seq.load(), base + index + 1);
                    ASSERT_EQ(in_slot(*memory, base + index), queue[index].view);
                }
            }
            break;
        }
        }
        ASSERT_EQ(memory.tail(), base);
        ASSERT_EQ(memory.head(), base + queue.size());
        ASSERT_EQ(memory->has_pending(), !queue.empty());
    }
}

// M20 to M32: random tasks, conditions and counters, drains and passes.
TEST_P(Model, TheWaitListIsAMap) {
    struct Condition {
        size_t counter;
        uint32_t expected;
        bool satisfied;
        bool operator<(const Condition &other) const {
            return std::tie(counter, expected, satisfied) < std::tie(other.counter, other.expected, other.satisfied);
        }
        bool operator==(const Condition &other) const { return !(*this < other) && !(other < *this); }
    };
    struct Waiting {
        std::vector<Condition> conditions;
        bool normal_done = false;
        PTO2TaskSlotState *slot = nullptr;
    };
    struct Sent { // Not drained yet.
        uint64_t token;
        bool sentinel;
        Condition condition;
    };

    std::mt19937 random(GetParam() * 77);
    Rig rig;
    rig.slot_capacity = 7;
    std::vector<std::unique_ptr<Task>> tasks;
    std::vector<uint32_t> counters(40, 0);
    std::map<uint64_t, Waiting> waiting; // As the list must be.
    std::map<uint64_t, unsigned> open;   // Tasks whose sentinel has not been sent, with the conditions sent.
    std::deque<Sent> ring;
    std::set<uint64_t> completed;

    const auto task_of = [&](uint64_t token) -> Task & { return *tasks[token - 1]; };
    const auto compare = [&] {
        ASSERT_EQ(rig.list().count, static_cast<int32_t>(waiting.size()));
        for (const auto &[token, expected] : waiting) {
            const AsyncWaitEntry *const entry = rig.find(token);
            ASSERT_NE(entry, nullptr) << token;
            ASSERT_EQ(entry->normal_done, expected.normal_done);
            ASSERT_EQ(entry->slot_state, expected.slot);
            ASSERT_EQ(entry->condition_count, static_cast<int32_t>(expected.conditions.size()));
            for (size_t index = 0; index < expected.conditions.size(); ++index) {
                const CompletionCondition &condition = entry->conditions[index];
                ASSERT_EQ(condition.counter_addr, &counters[expected.conditions[index].counter]);
                ASSERT_EQ(condition.expected_value, expected.conditions[index].expected);
                ASSERT_EQ(condition.satisfied, expected.conditions[index].satisfied);
            }
        }
        ASSERT_EQ(rig.completed.size(), completed.size());
        for (const PTO2TaskSlotState *slot : rig.completed) {
            ASSERT_EQ(completed.count(slot->task->task_id.raw), 1u);
        }
    };
    const auto drain_model = [&](bool inline_completes) {
        for (; !ring.empty(); ring.pop_front()) {
            const Sent &sent = ring.front();
            const auto found = waiting.find(sent.token);
            if (!sent.sentinel) {
                waiting[sent.token].conditions.push_back(sent.condition);
            } else if (found != waiting.end()) {
                found->second.normal_done = true;
                found->second.slot = &task_of(sent.token).slot;
            } else if (inline_completes) {
                completed.insert(sent.token);
            } else {
                waiting[sent.token] = {{}, true, &task_of(sent.token).slot};
            }
        }
    };

    for (int step = 0; step < 6000; ++step) {
        switch (random() % 10) {
        case 0:
        case 1: // A new task, while there is room for all that have not completed.
            if (tasks.size() - completed.size() < 60) {
                tasks.push_back(std::make_unique<Task>(tasks.size() + 1));
                open[tasks.size()] = 0;
            }
            break;
        case 2:
        case 3:
        case 4: // A few conditions of an open task.
            if (!open.empty()) {
                auto place = open.begin();
                std::advance(place, static_cast<long>(random() % open.size()));
                for (unsigned count = random() % 6; count > 0 && place->second < 64; --count, ++place->second) {
                    const size_t counter = random() % counters.size();
                    const uint32_t expected = counters[counter] + random() % 5;
                    rig.condition(task_of(place->first), &counters[counter], expected);
                    ring.push_back({place->first, false, {counter, expected, false}});
                }
            }
            break;
        case 5: // The end of an open task.
            if (!open.empty()) {
                auto place = open.begin();
                std::advance(place, static_cast<long>(random() % open.size()));
                rig.normal_done(task_of(place->first));
                ring.push_back({place->first, true, {}});
                open.erase(place);
            }
            break;
        case 6:
        case 7:
            counters[random() % counters.size()] += random() % 3;
            break;
        case 8: { // A drain that completes nothing.
            const auto messages = static_cast<int32_t>(ring.size());
            ASSERT_EQ(rig.drain(), messages);
            drain_model(false);
            ASSERT_NO_FATAL_FAILURE(compare());
            break;
        }
        default: {
            const size_t before = completed.size();
            drain_model(true);
            for (auto place = waiting.begin(); place != waiting.end();) {
                bool all = place->second.normal_done;
                for (Condition &condition : place->second.conditions) {
                    condition.satisfied = condition.satisfied || counters[condition.counter] >= condition.expected;
                    all = all && condition.satisfied;
                }
                if (all) {
                    completed.insert(place->first);
                    place = waiting.erase(place);
                } else {
                    ++place;
                }
            }
            ASSERT_EQ(rig.polled(), static_cast<int32_t>(completed.size() - before));
            ASSERT_NO_FATAL_FAILURE(compare());
            break;
        }
        }
    }
    EXPECT_GT(completed.size(), 50u);
}

// Conditions of one token interleaved with those of others, drained one message at a time through a gap.
TEST_P(Model, DrainingOneByOneGivesTheSameList) {
    std::mt19937 random(GetParam() * 13);
    uint32_t counters[16] = {};
    Rig whole;
    Rig single;
    std::vector<std::unique_ptr<Task>> tasks;
    for (uint64_t token = 1; token <= 30; ++token) {
        tasks.push_back(std::make_unique<Task>(token));
    }
    std::vector<unsigned> sent(30, 0);
    for (int step = 0; step < 900; ++step) {
        const size_t index = random() % tasks.size();
        if (sent[index] < 64) {
            ++sent[index];
            const uint32_t counter = random() % 16;
            for (Rig *rig : {&whole, &single}) {
                rig->condition(*tasks[index], &counters[counter], static_cast<uint32_t>(step));
            }
            ASSERT_EQ(single.drain(), 1);
        }
    }
    (void)whole.drain();
    ASSERT_EQ(whole.list().count, single.list().count);
    for (const auto &task : tasks) {
        const AsyncWaitEntry *const left = whole.find(*task);
        const AsyncWaitEntry *const right = single.find(*task);
        ASSERT_EQ(left == nullptr, right == nullptr);
        if (left == nullptr) {
            continue;
        }
        ASSERT_EQ(left->condition_count, right->condition_count);
        for (int32_t index = 0; index < left->condition_count; ++index) {
            ASSERT_EQ(left->conditions[index].expected_value, right->conditions[index].expected_value);
            ASSERT_EQ(left->conditions[index].addr, right->conditions[index].addr);
        }
    }
}

} // namespace
