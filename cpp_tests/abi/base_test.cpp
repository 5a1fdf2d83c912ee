// The ABI base: versions and status names.
#include <lanepipe/lanepipe.h>

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <set>
#include <string>

namespace {

constexpr int32_t kFirst = LANEPIPE_E_POISONED;
constexpr int32_t kLast = LANEPIPE_MISMATCH;
constexpr const char *kUnknown = "LANEPIPE_E_UNKNOWN_STATUS";

TEST(Version, LibraryHeaderAndBuildAgree) {
    EXPECT_EQ(lanepipe_abi_version(), unsigned{LANEPIPE_ABI_VERSION});
    EXPECT_STREQ(lanepipe_version(), LANEPIPE_TEST_VERSION);
}

TEST(Status, EveryNumberHasItsOwnName) {
    std::set<std::string> names;
    for (int32_t status = kFirst; status <= kLast; ++status) {
        const char *name = lanepipe_status_name(status);
        ASSERT_NE(name, nullptr);
        EXPECT_STRNE(name, kUnknown) << status;
        EXPECT_EQ(std::strncmp(name, status < 0 ? "LANEPIPE_E_" : "LANEPIPE_", status < 0 ? 11 : 9), 0) << name;
        EXPECT_TRUE(names.insert(name).second) << name;
    }
}

TEST(Status, NumbersAreFixed) {
    EXPECT_EQ(int{LANEPIPE_OK}, 0);
    EXPECT_STREQ(lanepipe_status_name(0), "LANEPIPE_OK");
    EXPECT_STREQ(lanepipe_status_name(3), "LANEPIPE_TIMED_OUT");
    EXPECT_STREQ(lanepipe_status_name(-1), "LANEPIPE_E_NULL");
    EXPECT_STREQ(lanepipe_status_name(-21), "LANEPIPE_E_POISONED");
}

TEST(Status, AnyOtherNumberIsUnknown) {
    for (int32_t status :
         {kFirst - 1, kLast + 1, 1000, -1000, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()})
        EXPECT_STREQ(lanepipe_status_name(status), kUnknown) << status;
}

TEST(Error, LayoutIsFixed) {
    EXPECT_EQ(offsetof(lanepipe_error_t, struct_size), 0u);
    EXPECT_EQ(offsetof(lanepipe_error_t, status), 4u);
    EXPECT_EQ(offsetof(lanepipe_error_t, system_error), 8u);
    EXPECT_EQ(offsetof(lanepipe_error_t, message), 16u);
    EXPECT_EQ(sizeof(lanepipe_error_t), 16u + LANEPIPE_ERROR_MESSAGE_SIZE);
}

} // namespace
