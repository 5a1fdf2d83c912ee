// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The mailbox of the C++ wrapper: types and forwarding; what the library does is tested elsewhere.
#include "lanepipe/lanepipe.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <type_traits>
#include <vector>

namespace {

using lanepipe::Mailbox;
using lanepipe::Message;
using lanepipe::SlabEntry;

static_assert(std::is_trivially_copyable_v<Mailbox> && sizeof(Mailbox) == sizeof(void *));
static_assert(sizeof(lanepipe::MailboxStats) == sizeof(lanepipe_mailbox_stats_t));

TEST(MailboxWrapper, ForwardsEverything) {
    std::vector<uint64_t> memory(Mailbox::size() / 8, ~uint64_t{0});
    Mailbox mailbox;
    EXPECT_FALSE(mailbox);
    EXPECT_EQ(mailbox.init_empty(), LANEPIPE_E_NULL);
    EXPECT_FALSE(mailbox.has_pending());
    ASSERT_TRUE(Mailbox::attach(memory.data(), memory.size() * 8, mailbox).ok());
    ASSERT_TRUE(mailbox);
    EXPECT_EQ(static_cast<void *>(mailbox.capi()), memory.data());
    ASSERT_TRUE(mailbox.init_empty().ok());
    EXPECT_FALSE(mailbox.has_pending());

    ASSERT_TRUE(mailbox.push_condition(1, 2, 3, 4, 5, 6).ok());
    ASSERT_TRUE(mailbox.push_normal_done(1, 0x40).ok());
    EXPECT_TRUE(mailbox.has_pending());
    Message message{};
    ASSERT_TRUE(mailbox.peek(message).ok());
    ASSERT_TRUE(mailbox.pop(message).ok());
    EXPECT_EQ(message.task_token, 1u);
    EXPECT_EQ(message.addr, 2u);
    EXPECT_EQ(message.backend_cookie, 3u);
    EXPECT_EQ(message.expected_value, 4u);
    EXPECT_EQ(message.engine, 5u);
    EXPECT_EQ(message.completion_type, 6);
    EXPECT_EQ(message.kind, LANEPIPE_MESSAGE_CONDITION);
    ASSERT_TRUE(mailbox.pop(message).ok());
    EXPECT_EQ(message.kind, LANEPIPE_MESSAGE_NORMAL_DONE);
    EXPECT_EQ(message.addr, 0x40u);
    EXPECT_EQ(mailbox.pop(message), LANEPIPE_EMPTY);

    const SlabEntry entries[2] = {{8, 9, 10, 11, 12, 0}, {13, 14, 15, 16, 17, 0}};
    uint32_t pushed = 0;
    ASSERT_TRUE(mailbox.push_entries(2, entries, 2, pushed).ok());
    EXPECT_EQ(pushed, 2u);
    ASSERT_TRUE(mailbox.push_task(3, entries, 1, 0x80, pushed).ok());
    EXPECT_EQ(pushed, 2u);
    lanepipe::MailboxStats stats;
    ASSERT_TRUE(mailbox.get_stats(stats).ok());
    EXPECT_EQ(stats.pending, 4u);
    Message messages[8];
    uint32_t popped = 0;
    ASSERT_TRUE(mailbox.pop_batch(messages, 8, popped).ok());
    ASSERT_EQ(popped, 4u);
    EXPECT_EQ(messages[1].addr, 13u);
    EXPECT_EQ(messages[2].task_token, 3u);
    EXPECT_EQ(messages[3].addr, 0x80u);

    ASSERT_TRUE(mailbox.push_normal_done(1, 0x40).ok());
    ASSERT_TRUE(mailbox.discard().ok());
    EXPECT_FALSE(mailbox.has_pending());
}

TEST(MailboxWrapper, AttachRefusesWhatIsNoMailbox) {
    std::vector<uint64_t> memory(Mailbox::size() / 8 + 1);
    Mailbox mailbox;
    EXPECT_EQ(Mailbox::attach(nullptr, Mailbox::size(), mailbox), LANEPIPE_E_NULL);
    EXPECT_EQ(Mailbox::attach(memory.data(), Mailbox::size() - 1, mailbox), LANEPIPE_E_INVALID);
    char *odd = reinterpret_cast<char *>(memory.data()) + 1;
    EXPECT_EQ(Mailbox::attach(odd, Mailbox::size(), mailbox), LANEPIPE_E_MISALIGNED);
    EXPECT_FALSE(mailbox);
}

} // namespace
