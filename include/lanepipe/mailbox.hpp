// SPDX-License-Identifier: MIT OR Apache-2.0
//
// lanepipe for C++17: the completion mailbox, its wait list, and what a scheduler does when a subtask has ended.
//
// Objects stand in memory of the caller, as plain references to it. Calls forward to the C function of the same name.
#ifndef LANEPIPE_MAILBOX_HPP_
#define LANEPIPE_MAILBOX_HPP_

#include "base.hpp"

#include <cstddef>
#include <cstdint>

namespace lanepipe {

using Message = lanepipe_message_t;
using SlabEntry = lanepipe_slab_entry_t;
using MailboxStats = Sized<lanepipe_mailbox_stats_t>;

// A completion mailbox in memory of the caller, which outlives it; copies are the same mailbox. An empty one (default)
// has no messages, and calls on it give LANEPIPE_E_NULL.
class Mailbox {
  public:
    Mailbox() noexcept = default;

    static constexpr size_t size() noexcept { return LANEPIPE_MAILBOX_SIZE; }

    // Types `length` bytes at `memory` as a mailbox and looks at none of them; see init_empty(). `mailbox` is replaced
    // on success only.
    static Status attach(void *memory, size_t length, Mailbox &mailbox) noexcept {
        return lanepipe_mailbox_attach(memory, length, LANEPIPE_ABI_VERSION, &mailbox.raw_);
    }

    explicit operator bool() const noexcept { return raw_ != nullptr; }
    lanepipe_mailbox_t *capi() const noexcept { return raw_; }

    Status init_empty() const noexcept { return lanepipe_mailbox_init_empty(raw_); }
    Status discard() const noexcept { return lanepipe_mailbox_discard(raw_); }

    bool has_pending() const noexcept { return lanepipe_mailbox_has_pending(raw_) == LANEPIPE_OK; }

    Status push_condition(uint64_t task_token, uint64_t addr, uint64_t backend_cookie, uint32_t expected_value,
                          uint32_t engine, int32_t completion_type) const noexcept {
        return lanepipe_mailbox_try_push_condition(raw_, task_token, addr, backend_cookie, expected_value, engine,
                                                   completion_type);
    }
    Status push_normal_done(uint64_t task_token, uint64_t slot_state_addr) const noexcept {
        return lanepipe_mailbox_try_push_normal_done(raw_, task_token, slot_state_addr);
    }
    Status push_entries(uint64_t task_token, const SlabEntry *entries, uint32_t count,
                        uint32_t &pushed) const noexcept {
        return lanepipe_mailbox_try_push_entries(raw_, task_token, entries, count, &pushed);
    }
    Status push_task(uint64_t task_token, const SlabEntry *entries, uint32_t count, uint64_t slot_state_addr,
                     uint32_t &pushed) const noexcept {
        return lanepipe_mailbox_try_push_task(raw_, task_token, entries, count, slot_state_addr, &pushed);
    }

    Status peek(Message &message) const noexcept { return lanepipe_mailbox_peek(raw_, &message); }
    Status pop(Message &message) const noexcept { return lanepipe_mailbox_try_pop(raw_, &message); }
    Status pop_batch(Message *messages, uint32_t max, uint32_t &popped) const noexcept {
        return lanepipe_mailbox_pop_batch(raw_, messages, max, &popped);
    }

    Status get_stats(MailboxStats &stats) const noexcept { return lanepipe_mailbox_get_stats(raw_, &stats); }

  private:
    lanepipe_mailbox_t *raw_ = nullptr;
};

using WaitOps = Sized<lanepipe_wait_ops_t>;
using WaitResult = Sized<lanepipe_wait_result_t>;
using WaitInfo = Sized<lanepipe_wait_info_t>;
using WaitRelease = lanepipe_wait_release_t;

// What a wait list keeps besides its own memory, in memory of the caller that is aligned to alignment(). An empty one
// (default) stands for none.
class WaitSide {
  public:
    WaitSide() noexcept = default;

    static constexpr size_t alignment() noexcept { return LANEPIPE_WAIT_SIDE_ALIGN; }
    static Status required_size(uint32_t overflow, size_t &size) noexcept {
        return lanepipe_wait_side_required_size(overflow, &size);
    }

    // Makes one in `length` bytes at `memory`. `side` is replaced on success only.
    static Status init(void *memory, size_t length, uint32_t overflow, uint32_t flags, WaitSide &side) noexcept {
        return lanepipe_wait_side_init(memory, length, overflow, flags, &side.raw_);
    }

    explicit operator bool() const noexcept { return raw_ != nullptr; }
    lanepipe_wait_side_t *capi() const noexcept { return raw_; }

  private:
    lanepipe_wait_side_t *raw_ = nullptr;
};

// A wait list in memory of the caller, with its side area if it has one; copies are the same list. As a lockable
// (std::unique_lock, std::try_to_lock) it is what its consumer holds. Functions of WaitOps leave the list alone while
// they run: see lanepipe_wait_ops_t.
class WaitList {
  public:
    WaitList() noexcept = default;
    explicit WaitList(lanepipe_wait_list_t *list, WaitSide side = WaitSide()) noexcept : raw_(list), side_(side) {}

    static constexpr size_t size() noexcept { return LANEPIPE_WAIT_LIST_SIZE; }
    static constexpr size_t alignment() noexcept { return LANEPIPE_WAIT_LIST_ALIGN; }

    explicit operator bool() const noexcept { return raw_ != nullptr; }
    lanepipe_wait_list_t *capi() const noexcept { return raw_; }

    Status reset() const noexcept { return lanepipe_wait_list_reset(raw_, side_.capi()); }

    bool try_lock() const noexcept { return lanepipe_wait_list_try_lock(raw_) == LANEPIPE_OK; }
    void unlock() const noexcept { (void)lanepipe_wait_list_unlock(raw_); }

    Status find(uint64_t token, void *&entry) const noexcept {
        return lanepipe_wait_list_find(raw_, side_.capi(), token, &entry);
    }
    Status append(void *entry, uint64_t addr, uint64_t backend_cookie, uint32_t expected_value, uint32_t engine,
                  int32_t completion_type, int32_t &error) const noexcept {
        return lanepipe_wait_list_append(raw_, side_.capi(), entry, addr, backend_cookie, expected_value, engine,
                                         completion_type, &error);
    }

    // Under the lock. `release` may be null: completed slots are released at once.
    Status drain(Mailbox mailbox, const WaitOps &ops, const WaitRelease *release, int32_t thread,
                 WaitResult &result) const noexcept {
        return lanepipe_wait_list_drain(raw_, side_.capi(), mailbox.capi(), &ops, release, thread, &result);
    }
    // Takes the lock and gives it back.
    Status poll(Mailbox mailbox, const WaitOps &ops, const WaitRelease *release, int32_t thread,
                WaitResult &result) const noexcept {
        return lanepipe_wait_list_poll(raw_, side_.capi(), mailbox.capi(), &ops, release, thread, &result);
    }

    Status get_info(WaitInfo &info) const noexcept { return lanepipe_wait_list_get_info(raw_, side_.capi(), &info); }
    Status get_count(uint32_t &tasks) const noexcept { return lanepipe_wait_list_get_count(raw_, &tasks); }

  private:
    lanepipe_wait_list_t *raw_ = nullptr;
    WaitSide side_;
};

using FinOps = Sized<lanepipe_fin_ops_t>;
using FinResult = Sized<lanepipe_fin_result_t>;

// One subtask of the task at `slot` has ended; `slab` is that of its core and buffer.
inline Status fin_subtask(Mailbox mailbox, const FinOps &ops, void *slot, void *slab, FinResult &result) noexcept {
    return lanepipe_fin_subtask(mailbox.capi(), &ops, slot, slab, &result);
}

} // namespace lanepipe

#endif // LANEPIPE_MAILBOX_HPP_
