// The suites' own instruments: a case that relies on them must not pass because they are blind.
#include "support.h"

#include <cstdlib>
#include <cstring>

namespace {

using namespace compat;

TEST(Support, ShadowCountsEachFree) {
    if (!Shadow::counted()) {
        GTEST_SKIP() << "free() is not redirected on this system";
    }
    Shadow first;
    Shadow second;
    EXPECT_EQ(first.frees(), 0);
    std::free(first.get());
    std::free(first.get());
    EXPECT_EQ(first.frees(), 2);
    EXPECT_EQ(second.frees(), 0);
}

TEST(Support, MemoryCountsWhatIsFreedTwiceOrNeverAllocated) {
    Memory memory(Sharing::kMapped);
    void *const ptr = memory.alloc(100);
    void *host = nullptr;
    ASSERT_EQ(memory.reg(ptr, 100, 2, &host), 0);
    EXPECT_NE(host, ptr);
    std::strcpy(static_cast<char *>(host), "same bytes");
    EXPECT_STREQ(memory.bytes(ptr), "same bytes");
    EXPECT_EQ(memory.free(ptr), 0);
    EXPECT_EQ(memory.frees_while_mapped(), 1);
    EXPECT_EQ(memory.live(), 0u);
    EXPECT_NE(memory.free(ptr), 0);
    EXPECT_NE(memory.free(fake(1)), 0);
    EXPECT_EQ(memory.bad_frees(), 2);
}

TEST(Support, MemoryReusesAnAddressOnlyOnDemand) {
    Memory memory(Sharing::kIdentity);
    void *const first = memory.alloc(100);
    memory.free(first);
    void *const second = memory.alloc(100);
    EXPECT_NE(second, first);
    memory.reuse_addresses(true);
    EXPECT_EQ(memory.alloc(100), first);
    EXPECT_NE(memory.alloc(100), first);
}

TEST(Support, ShadowedMemoryIsReachedByCopiesAlone) {
    Memory memory(Sharing::kShadow);
    char *const ptr = static_cast<char *>(memory.alloc(64));
    const char text[] = "through the copy";
    char back[sizeof(text)] = {};
    EXPECT_EQ(memory.copy_to_device(ptr + 8, text, sizeof(text)), 0);
    EXPECT_STREQ(memory.bytes(ptr + 8), text);
    memory.from_fault.arm(2, Fault::kForGood);
    EXPECT_EQ(memory.copy_from_device(back, ptr + 8, sizeof(text)), 0);
    EXPECT_STREQ(back, text);
    back[0] = 'x';
    EXPECT_EQ(memory.copy_from_device(back, ptr + 8, sizeof(text)), Memory::kFailedRc);
    EXPECT_EQ(memory.copy_from_device(back, ptr + 8, sizeof(text)), Memory::kFailedRc);
    EXPECT_EQ(back[0], 'x');
    EXPECT_EQ(memory.count(Memory::Op::kFromDevice), 3u);
}

} // namespace
