// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The wait list and the FIN half of the C++ wrapper: types and forwarding; what the library does is tested elsewhere.
#include "lanepipe/mailbox.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

namespace {

using namespace lanepipe;

static_assert(std::is_trivially_copyable_v<WaitList> && std::is_trivially_copyable_v<WaitSide>);
static_assert(sizeof(WaitOps) == sizeof(lanepipe_wait_ops_t) && sizeof(FinOps) == sizeof(lanepipe_fin_ops_t));

struct Free {
    void operator()(void *memory) const { std::free(memory); }
};

// A mailbox and a list with a side area, and the slots that were completed.
class WaitListWrapper : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(Mailbox::attach(mailbox_memory_.data(), mailbox_memory_.size() * 8, mailbox).ok());
        ASSERT_TRUE(mailbox.init_empty().ok());
        size_t size = 0;
        ASSERT_TRUE(WaitSide::required_size(16, size).ok());
        const size_t whole = (size + WaitSide::alignment() - 1) / WaitSide::alignment() * WaitSide::alignment();
        side_memory_.reset(std::aligned_alloc(WaitSide::alignment(), whole));
        ASSERT_TRUE(WaitSide::init(side_memory_.get(), size, 16, 0, side).ok());
        ASSERT_TRUE(side);
        list = WaitList(reinterpret_cast<lanepipe_wait_list_t *>(list_memory_.data()), side);
        ASSERT_TRUE(list.reset().ok());
        ops.context = this;
        ops.complete = [](void *self, void *slot, int32_t, int32_t *done) {
            static_cast<WaitListWrapper *>(self)->completed.push_back(slot);
            *done = 1;
            return 0;
        };
    }

    Mailbox mailbox;
    WaitSide side;
    WaitList list;
    WaitOps ops;
    std::vector<void *> completed;

  private:
    std::vector<uint64_t> mailbox_memory_ = std::vector<uint64_t>(Mailbox::size() / 8);
    std::vector<uint64_t> list_memory_ = std::vector<uint64_t>(WaitList::size() / 8 + 1);
    std::unique_ptr<void, Free> side_memory_;
};

TEST_F(WaitListWrapper, DrainsUnderTheLock) {
    uint32_t counter = 0;
    ASSERT_TRUE(mailbox.push_condition(7, reinterpret_cast<uint64_t>(&counter), 0, 1, 0, 0).ok());
    ASSERT_TRUE(mailbox.push_normal_done(7, 0x40).ok());
    WaitResult result;
    {
        const std::unique_lock<WaitList> lock(list, std::try_to_lock);
        ASSERT_TRUE(lock.owns_lock());
        EXPECT_FALSE(list.try_lock());
        EXPECT_EQ(list.poll(mailbox, ops, nullptr, 0, result), LANEPIPE_BUSY);
        ASSERT_TRUE(list.drain(mailbox, ops, nullptr, 0, result).ok());
        EXPECT_EQ(result.drained, 2);
        EXPECT_EQ(result.resolved, 0);
        void *entry = nullptr;
        EXPECT_TRUE(list.find(7, entry).ok());
        int32_t error = -1;
        EXPECT_TRUE(list.append(entry, reinterpret_cast<uint64_t>(&counter), 0, 2, 0, 0, error).ok());
        EXPECT_EQ(error, 0);
        EXPECT_EQ(list.find(8, entry), LANEPIPE_EMPTY);
    }
    uint32_t tasks = 0;
    EXPECT_TRUE(list.get_count(tasks).ok());
    EXPECT_EQ(tasks, 1u);
    WaitInfo info;
    EXPECT_TRUE(list.get_info(info).ok());
    EXPECT_EQ(info.conditions, 2u);
    EXPECT_EQ(info.oldest_token, 7u);

    counter = 2;
    ASSERT_TRUE(list.poll(mailbox, ops, nullptr, 0, result).ok());
    EXPECT_EQ(result.completed, 1);
    EXPECT_EQ(completed, std::vector<void *>{reinterpret_cast<void *>(0x40)});
}

TEST_F(WaitListWrapper, AnEmptyListIsRefused) {
    const WaitList none;
    EXPECT_FALSE(none);
    EXPECT_FALSE(none.try_lock());
    WaitResult result;
    EXPECT_EQ(none.reset(), LANEPIPE_E_NULL);
    EXPECT_EQ(none.poll(mailbox, ops, nullptr, 0, result), LANEPIPE_E_NULL);
}

TEST_F(WaitListWrapper, ASubtaskThatDefersNothingIsTheCallersToComplete) {
    alignas(64) unsigned char slab[4096] = {};
    uint64_t slot = 0;
    FinOps fin;
    fin.has_payload = [](void *, void *) { return 1; };
    fin.token = [](void *, void *) { return uint64_t{7}; };
    fin.mark_deferred = [](void *, void *) {};
    fin.is_deferred = [](void *, void *) { return 0; };
    fin.subtask_done = [](void *, void *) { return 1; };
    FinResult result;
    ASSERT_TRUE(fin_subtask(mailbox, fin, &slot, slab, result).ok());
    EXPECT_EQ(result.outcome, LANEPIPE_FIN_LAST_INLINE);
    EXPECT_FALSE(mailbox.has_pending());
}

} // namespace
