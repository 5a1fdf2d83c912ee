// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What the five subsystems' demonstrator makes of recorded runs and of rates.
#include "profile/contents.hpp"
#include "profile/load.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace profile {
namespace {

Load recorded(const std::string &name, Options options = Options()) {
    Run run;
    std::string error;
    Load load;
    EXPECT_TRUE(load_run(LANEPIPE_DATA_DIR "/runs/" + name + ".jsonl", run, error)) << error;
    EXPECT_TRUE(recorded_load(run, options, load, error)) << error;
    return load;
}

Load flood(Options options) {
    std::string error;
    Load load;
    EXPECT_TRUE(flood_load(options, load, error)) << error;
    return load;
}

// A control thread sees a core's tasks one after the other, each dispatched before it is finished, and all it sees in
// the order of time.
void check_order(const Load &load) {
    for (uint32_t thread = 0; thread < load.threads; ++thread) {
        const std::unique_ptr<EventSource> source = load.source(thread);
        std::map<uint32_t, uint64_t> dispatched;
        std::map<uint32_t, uint64_t> finished;
        uint64_t last = 0;
        Event event;
        while (source->next(event)) {
            ASSERT_GE(event.recorded_at(), last);
            last = event.recorded_at();
            if (event.type == Event::kDispatchEvent) {
                ASSERT_EQ(load.core_to_thread[event.unit], thread);
                ASSERT_EQ(dispatched[event.unit], finished[event.unit]);
                ++dispatched[event.unit];
            } else if (event.type == Event::kTaskEvent) {
                ASSERT_EQ(++finished[event.unit], dispatched[event.unit]);
            } else {
                ASSERT_EQ(thread, event.type == Event::kSchedEvent ? event.unit : load.orchestrator());
            }
        }
        EXPECT_EQ(dispatched, finished);
    }
}

// Arguments that a thread dumps.
uint64_t arguments_of(const Load &load, uint32_t thread) {
    const std::unique_ptr<EventSource> source = load.source(thread);
    uint64_t count = 0;
    Event event;
    while (source->next(event)) {
        const bool is_task = event.type == Event::kTaskEvent || event.type == Event::kDispatchEvent;
        for (uint32_t argument = 0; is_task && argument < event.arguments; ++argument) {
            count += Contents::is_dumped_at(event, argument) ? 1 : 0;
        }
    }
    return count;
}

TEST(ProfileLoad, RecordedRunKeepsItsPlaceInTheGeometry) {
    const Load load = recorded("vector_5_a5");
    EXPECT_EQ(load.arch, &kA5);
    EXPECT_EQ(load.cores, 108u);
    EXPECT_EQ(load.threads, 5u);
    EXPECT_EQ(load.core_to_thread[10], 1u);
    EXPECT_EQ(load.tasks[10]->size(), 4u);
    EXPECT_EQ(load.tasks[11]->size(), 1u);
    EXPECT_EQ(load.tasks[107], nullptr);
    EXPECT_EQ(load.base_cycle, 1849278104590u);
    check_order(load);
}

TEST(ProfileLoad, EachArgumentOfASubmitIsDumpedOnceWhereItsFirstTaskRuns) {
    const Load load = recorded("spmd_sync_246");
    EXPECT_EQ(arguments_of(load, 0), 12u);
    EXPECT_EQ(arguments_of(load, 1), 42u);
    EXPECT_EQ(arguments_of(load, 2), 0u);
}

TEST(ProfileLoad, LoopsFollowEachOther) {
    Options options;
    options.loops = 3;
    const Load load = recorded("bgemm_512", options);
    check_order(load);
    EXPECT_EQ(load.submits->size(), 3u * 512);
    EXPECT_EQ(load.submits->at(512).token, load.submits->at(0).token);
    EXPECT_GT(load.submits->at(512).end, load.submits->at(511).end);
}

TEST(ProfileLoad, FloodSharesEventsByTheRates) {
    Options options;
    options.flood = 2;
    options.events = 1000000;
    const Load load = flood(options);
    check_order(load);
    uint64_t tasks = 0;
    for (const auto &core : load.tasks) {
        tasks += core->size();
    }
    uint64_t phases = 0;
    for (const auto &scheduler : load.phases) {
        phases += scheduler->size();
    }
    const uint64_t submits = load.submits->size();
    EXPECT_EQ(tasks + phases + submits + load.orchestrations->size() + load.scopes->size(), 1000000u);
    EXPECT_NEAR(static_cast<double>(tasks) / static_cast<double>(submits), 72 * 105.0 / 1310, 0.01);
    EXPECT_NEAR(static_cast<double>(phases) / static_cast<double>(submits), 3 * 288.0 / 1310, 0.01);
}

TEST(ProfileLoad, FloodKeepsItsPace) {
    Options options;
    options.flood = 0.1;
    options.arch = "a5";
    const Load load = flood(options);
    // 10,500 tasks a second on each core, in cycles of 1 GHz.
    const Event first = load.tasks[0]->at(0);
    const Event later = load.tasks[0]->at(1000);
    EXPECT_NEAR(static_cast<double>(later.dispatch - first.dispatch), 1000 * 1e9 / 10500, 1000);
}

TEST(ProfileLoad, FloodScopesAreClosedInTheOrderOfStacks) {
    Options options;
    options.flood = 1;
    const Load load = flood(options);
    uint32_t open = 0;
    for (uint64_t i = 0; i < 40; ++i) {
        const Event event = load.scopes->at(i);
        open -= event.begins ? 0 : 1;
        EXPECT_EQ(event.depth, open);
        open += event.begins ? 1 : 0;
    }
}

} // namespace
} // namespace profile
