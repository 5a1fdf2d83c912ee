// That this program links shows that the headers can stand alone, twice in a unit and in many units. The cases compare
// what the language levels make of them.
#include <lanepipe/lanepipe.h>

#include "probe.h"

#include <gtest/gtest.h>

#include <string>

namespace {

void expect_same_structs(const probe_t *a, const probe_t *b) {
    EXPECT_EQ(a->abi, b->abi);
    EXPECT_EQ(a->status_size, b->status_size);
    ASSERT_EQ(a->struct_count, b->struct_count);
    for (size_t i = 0; i < a->struct_count; ++i) {
        EXPECT_STREQ(a->structs[i].type, b->structs[i].type);
        EXPECT_EQ(a->structs[i].size, b->structs[i].size) << a->structs[i].type;
        EXPECT_EQ(a->structs[i].alignment, b->structs[i].alignment) << a->structs[i].type;
    }
}

TEST(Header, LanguageLevelsAreThoseAsked) {
    EXPECT_EQ(probe_host_c99()->language, 199901L);
    EXPECT_EQ(probe_device_c99()->language, 199901L);
    EXPECT_EQ(probe_host_c11()->language, 201112L);
    EXPECT_EQ(probe_device_c11()->language, 201112L);
    EXPECT_EQ(probe_host_cpp17()->language, 201703L);
    EXPECT_EQ(probe_device_cpp17()->language, 201703L);
}

TEST(Header, HostIsTheDefaultAndDeviceExcludesIt) {
    EXPECT_EQ(probe_host_c99()->host, 1);
    EXPECT_EQ(probe_host_cpp17()->host, 1);
    EXPECT_EQ(probe_device_c99()->host, 0);
    EXPECT_EQ(probe_device_cpp17()->host, 0);
}

TEST(Header, StructuresAreTheSameInCAndCpp) {
    expect_same_structs(probe_host_c99(), probe_host_c11());
    expect_same_structs(probe_host_c99(), probe_host_cpp17());
    expect_same_structs(probe_device_c99(), probe_device_cpp17());
}

TEST(Header, StatusIsFourBytes) {
    EXPECT_EQ(probe_host_c99()->status_size, 4u);
    EXPECT_EQ(probe_host_cpp17()->status_size, 4u);
}

TEST(Header, LibraryHasTheHeadersAbi) { EXPECT_EQ(lanepipe_abi_version(), unsigned{LANEPIPE_ABI_VERSION}); }

} // namespace
