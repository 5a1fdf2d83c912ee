// Objects of the five subsystems: none is taken for one of another kind.
#include "support.h"

namespace {

using namespace subsystems;

// A subsystem's object, and a call that looks at the object first and at the thread then.
struct Kind {
    const char *name;
    uint64_t mark; // Of a live one.
    lanepipe_status_t (*flush)(uint64_t mark);
};

template <typename Object, typename Flush> lanepipe_status_t flush_with(uint64_t mark, Flush &&flush) {
    Object object{};
    object.words[0] = mark;
    return flush(&object);
}

class Objects : public testing::Test {
  protected:
    template <typename Header, typename State> struct Region {
        Header header;
        State state;
    };

    template <typename Object, typename Init> static uint64_t mark_of(Init &&init) {
        Object object{};
        EXPECT_STATUS(LANEPIPE_OK, init(&object));
        return object.words[0];
    }

    Objects() {
        const auto pmu = std::make_unique<Region<PmuHeader, PmuState>>();
        const auto deps = std::make_unique<Region<DepGenHeader, DepGenState>>();
        const auto dump = std::make_unique<Region<DumpHeader, DumpState>>();
        const auto scopes = std::make_unique<Region<ScopeStatsHeader, ScopeStatsState>>();
        const auto swimlane = std::make_unique<SwimlaneHeader>();
        const lanepipe_device_region_t regions[] = {region_of(&pmu->header), region_of(&deps->header),
                                                    region_of(&dump->header), region_of(&scopes->header),
                                                    region_of(swimlane.get())};
        kinds = {
            {"pmu",
             mark_of<lanepipe_pmu_t>([&](lanepipe_pmu_t *object) { return lanepipe_pmu_init(object, &regions[0], 1); }),
             [](uint64_t mark) {
                 return flush_with<lanepipe_pmu_t>(
                     mark, [](lanepipe_pmu_t *object) { return lanepipe_pmu_flush(object, nullptr, 0); });
             }},
            {"dep_gen", mark_of<lanepipe_dep_gen_t>([&](lanepipe_dep_gen_t *object) {
                 return lanepipe_dep_gen_init(object, &regions[1]);
             }),
             [](uint64_t mark) {
                 return flush_with<lanepipe_dep_gen_t>(
                     mark, [](lanepipe_dep_gen_t *object) { return lanepipe_dep_gen_flush(object, nullptr); });
             }},
            {"args_dump", mark_of<lanepipe_args_dump_t>([&](lanepipe_args_dump_t *object) {
                 return lanepipe_args_dump_init(object, &regions[2], 1);
             }),
             [](uint64_t mark) {
                 return flush_with<lanepipe_args_dump_t>(
                     mark, [](lanepipe_args_dump_t *object) { return lanepipe_args_dump_flush(object, nullptr); });
             }},
            {"scope_stats", mark_of<lanepipe_scope_stats_t>([&](lanepipe_scope_stats_t *object) {
                 return lanepipe_scope_stats_init(object, &regions[3]);
             }),
             [](uint64_t mark) {
                 return flush_with<lanepipe_scope_stats_t>(
                     mark, [](lanepipe_scope_stats_t *object) { return lanepipe_scope_stats_flush(object, nullptr); });
             }},
            {"swimlane", mark_of<lanepipe_swimlane_t>([&](lanepipe_swimlane_t *object) {
                 return lanepipe_swimlane_init(object, &regions[4], 0, nullptr);
             }),
             [](uint64_t mark) {
                 return flush_with<lanepipe_swimlane_t>(mark, [](lanepipe_swimlane_t *object) {
                     return lanepipe_swimlane_flush_tasks(object, nullptr, 0);
                 });
             }},
        };
    }

    std::vector<Kind> kinds;
};

TEST_F(Objects, AreOfOneKind) {
    for (const Kind &live : kinds) {
        for (const Kind &used : kinds) {
            const lanepipe_status_t wanted = &live == &used ? LANEPIPE_E_NULL : LANEPIPE_E_STATE;
            EXPECT_EQ(used.flush(live.mark), wanted) << live.name << " as " << used.name;
        }
    }
}

} // namespace
