// The C++ values against a library of another version: a program of its own, for whose header the library is the wrong
// one.
#include <lanepipe/lanepipe.h>

namespace {
constexpr unsigned kAnother = LANEPIPE_ABI_VERSION + 1;
}
#undef LANEPIPE_ABI_VERSION
#define LANEPIPE_ABI_VERSION kAnother

#include "support.h"

#include <lanepipe/subsystems.hpp>

namespace {

using namespace subsystems;

TEST(SubsystemsVersion, NothingBegins) {
    struct {
        uint64_t now() noexcept { return 0; }
    } clock;
    const auto header = std::make_unique<SwimlaneHeader>();
    const lanepipe::DeviceRegion region(kA5 ? lanepipe::Arch::kA5 : lanepipe::Arch::kA2a3, address(header.get()));
    lanepipe::DeviceThread thread(0, clock);
    lanepipe::Pmu pmu;
    EXPECT_EQ(pmu.begin(region, 0), LANEPIPE_E_VERSION);
    EXPECT_EQ(pmu.flush(thread, 0), LANEPIPE_CLOSED);
    lanepipe::DepGen dep_gen;
    EXPECT_EQ(dep_gen.begin(region), LANEPIPE_E_VERSION);
    EXPECT_EQ(dep_gen.flush(thread), LANEPIPE_CLOSED);
    lanepipe::ArgsDump dump;
    EXPECT_EQ(dump.begin(region, 1), LANEPIPE_E_VERSION);
    EXPECT_EQ(dump.flush(thread), LANEPIPE_CLOSED);
    lanepipe::ScopeStats scopes;
    EXPECT_EQ(scopes.begin_launch(region), LANEPIPE_E_VERSION);
    EXPECT_EQ(scopes.flush(thread), LANEPIPE_CLOSED);
    lanepipe::Swimlane swimlane;
    EXPECT_EQ(swimlane.begin(region, 0, nullptr), LANEPIPE_E_VERSION);
    EXPECT_EQ(swimlane.begin_phases(1, 0), LANEPIPE_E_VERSION);
    EXPECT_EQ(swimlane.flush_tasks(thread, 0), LANEPIPE_CLOSED);
    const auto tables = std::make_unique<lanepipe::ArgsDumpTables>();
    EXPECT_EQ(tables->begin(1), LANEPIPE_E_VERSION);
}

} // namespace
