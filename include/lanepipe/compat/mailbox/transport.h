// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The completion mailbox of all four variants: layouts and names of the C++ runtime's aicore_completion_mailbox.h,
// pushes and pops in place. lanepipe's C interface works on the same bytes, at the same time. Included by a variant's
// header only.
//
// `head`, `tail` and the `seq` words are the whole truth; padding is neither read nor written here.
#ifndef LANEPIPE_COMPAT_MAILBOX_TRANSPORT_H_
#define LANEPIPE_COMPAT_MAILBOX_TRANSPORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <lanepipe/lanepipe.h>

#include "aicore_completion_mailbox_types.h"
#include "pto_constants.h"
#include "pto_task_id.h"

#define AICORE_COMPLETION_MAILBOX_CAPACITY 4096u
#define AICORE_COMPLETION_MAILBOX_MASK (AICORE_COMPLETION_MAILBOX_CAPACITY - 1)

#define MSG_KIND_CONDITION 0u
#define MSG_KIND_TASK_NORMAL_DONE 1u

// One slot of the ring.
struct AICoreCompletionMailboxMessage {
    std::atomic<uint64_t> seq;
    PTO2TaskId task_token;
    uint64_t addr;
    uint64_t backend_cookie;
    uint32_t expected_value;
    uint32_t engine;
    int32_t completion_type;
    uint32_t kind;
    uint32_t _pad[3];
};

// A popped message.
struct AICoreCompletionMsgView {
    PTO2TaskId task_token{PTO2TaskId::invalid()};
    uint64_t addr{0};
    uint64_t backend_cookie{0};
    uint32_t expected_value{0};
    uint32_t engine{0};
    int32_t completion_type{0};
    uint32_t kind{0};
};

namespace lanepipe_compat {

// What is known of the optimiser about a pointer ends here: the mailbox's declared alignment, which addresses need not
// have.
template <typename T> inline T *hidden(T *pointer) {
    __asm__("" : "+r"(pointer));
    return pointer;
}

} // namespace lanepipe_compat

// Bounded ring from many producers to one consumer. Zero bytes are an empty ring; 8-byte alignment suffices. No
// function waits.
struct AICoreCompletionMailbox {
    alignas(PTO2_ALIGN_SIZE) std::atomic<uint64_t> head;
    uint8_t _head_pad[PTO2_ALIGN_SIZE - sizeof(std::atomic<uint64_t>)];
    alignas(PTO2_ALIGN_SIZE) std::atomic<uint64_t> tail;
    uint8_t _tail_pad[PTO2_ALIGN_SIZE - sizeof(std::atomic<uint64_t>)];
    alignas(PTO2_ALIGN_SIZE) AICoreCompletionMailboxMessage entries[AICORE_COMPLETION_MAILBOX_CAPACITY];

    // Whether tickets are claimed beyond what was consumed, by a glance; true during a gap, too. Any thread.
    bool has_pending() {
        // Relaxed, both: nothing is read on the strength of the answer.
        const uint64_t consumed = tail.load(std::memory_order_relaxed);
        return static_cast<int64_t>(head.load(std::memory_order_relaxed) - consumed) > 0;
    }

    // Any thread; false, and nothing done, if the ring is full.
    bool try_push_condition(PTO2TaskId task_token, uint64_t addr, uint32_t expected_value, uint32_t engine,
                            int32_t completion_type) {
        return try_push_condition(task_token, addr, 0, expected_value, engine, completion_type);
    }

    bool try_push_condition(PTO2TaskId task_token, uint64_t addr, uint64_t backend_cookie, uint32_t expected_value,
                            uint32_t engine, int32_t completion_type) {
        return lanepipe_push(
            {task_token, addr, backend_cookie, expected_value, engine, completion_type, MSG_KIND_CONDITION});
    }

    // Any thread; false, and nothing done, if the ring is full.
    bool try_push_normal_done(PTO2TaskId task_token, uint64_t slot_state_addr) {
        return lanepipe_push({task_token, slot_state_addr, 0, 0, 0, 0, MSG_KIND_TASK_NORMAL_DONE});
    }

    // Consumer; false, and nothing stored, if the oldest ticket is not published.
    bool try_pop(AICoreCompletionMsgView &out) {
        // Relaxed: only the consumer moves it, and a change of the consumer is ordered by the caller.
        const uint64_t ticket = tail.load(std::memory_order_relaxed);
        const AICoreCompletionMailboxMessage *slot = lanepipe_slot(ticket);
        // [mailbox.C1] Acquire: pairs with [mailbox.P1].
        if (slot->seq.load(std::memory_order_acquire) != ticket + 1) {
            return false;
        }
        // The last ticket of all publishes what a slot holds that was never used.
        if (ticket + 1 == 0 && !has_pending()) {
            return false;
        }
        out.task_token = slot->task_token;
        out.addr = slot->addr;
        out.backend_cookie = slot->backend_cookie;
        out.expected_value = slot->expected_value;
        out.engine = slot->engine;
        out.completion_type = slot->completion_type;
        out.kind = slot->kind;
        // [mailbox.C2] Release: pairs with [mailbox.P2].
        tail.store(ticket + 1, std::memory_order_release);
        return true;
    }

    // Makes an empty ring of any bytes. Boot thread, while nobody else uses the mailbox; the caller publishes the
    // start.
    void init_empty() { lanepipe_mailbox_init_empty(reinterpret_cast<lanepipe_mailbox_t *>(this)); }

    AICoreCompletionMailboxMessage *lanepipe_slot(uint64_t ticket) {
        return lanepipe_compat::hidden(&entries[ticket & AICORE_COMPLETION_MAILBOX_MASK]);
    }

    bool lanepipe_push(const AICoreCompletionMsgView &message) {
        uint64_t ticket = 0;
        if (!lanepipe_claim(ticket)) {
            return false;
        }
        AICoreCompletionMailboxMessage *slot = lanepipe_slot(ticket);
        slot->task_token = message.task_token;
        slot->addr = message.addr;
        slot->backend_cookie = message.backend_cookie;
        slot->expected_value = message.expected_value;
        slot->engine = message.engine;
        slot->completion_type = message.completion_type;
        slot->kind = message.kind;
        // [mailbox.P1] Release: pairs with [mailbox.C1].
        slot->seq.store(ticket + 1, std::memory_order_release);
        return true;
    }

    // A ticket for the caller alone; false if the ring is full.
    bool lanepipe_claim(uint64_t &ticket) {
        // Relaxed: a guess, which the exchange validates.
        ticket = head.load(std::memory_order_relaxed);
        while (true) {
            // [mailbox.P2] Acquire: pairs with [mailbox.C2]; the consumer is done with the slots before this tail.
            const uint64_t used = ticket - tail.load(std::memory_order_acquire);
            if (used >= AICORE_COMPLETION_MAILBOX_CAPACITY) {
                // Too much as well if the tail is ahead, because the head has moved since it was read.
                const uint64_t moved = head.load(std::memory_order_relaxed);
                if (moved == ticket) {
                    return false;
                }
                ticket = moved;
                continue;
            }
            // Relaxed: hands out tickets, carries nothing.
            if (head.compare_exchange_weak(ticket, ticket + 1, std::memory_order_relaxed, std::memory_order_relaxed)) {
                return true;
            }
        }
    }
};

static_assert(sizeof(std::atomic<uint64_t>) == 8 && std::atomic<uint64_t>::is_always_lock_free, "layout");
static_assert((AICORE_COMPLETION_MAILBOX_CAPACITY & AICORE_COMPLETION_MAILBOX_MASK) == 0, "a power of two");
static_assert(sizeof(AICoreCompletionMailboxMessage) == 64 && alignof(AICoreCompletionMailboxMessage) == 8, "layout");
static_assert(offsetof(AICoreCompletionMailboxMessage, task_token) == 8 &&
                  offsetof(AICoreCompletionMailboxMessage, addr) == 16 &&
                  offsetof(AICoreCompletionMailboxMessage, backend_cookie) == 24 &&
                  offsetof(AICoreCompletionMailboxMessage, expected_value) == 32 &&
                  offsetof(AICoreCompletionMailboxMessage, engine) == 36 &&
                  offsetof(AICoreCompletionMailboxMessage, completion_type) == 40 &&
                  offsetof(AICoreCompletionMailboxMessage, kind) == 44 &&
                  offsetof(AICoreCompletionMailboxMessage, _pad) == 48,
              "layout");
static_assert(sizeof(AICoreCompletionMsgView) == 40 && alignof(AICoreCompletionMsgView) == 8, "layout");
static_assert(sizeof(AICoreCompletionMailbox) == 262272 && alignof(AICoreCompletionMailbox) == 64, "layout");
static_assert(offsetof(AICoreCompletionMailbox, _head_pad) == 8 && offsetof(AICoreCompletionMailbox, tail) == 64 &&
                  offsetof(AICoreCompletionMailbox, entries) == 128,
              "layout");
#if __cplusplus < 202002L
static_assert(std::is_trivially_default_constructible<AICoreCompletionMailbox>::value, "atomics are left as they are");
#endif
static_assert(std::is_aggregate<AICoreCompletionMailbox>::value &&
                  std::is_trivially_destructible<AICoreCompletionMailbox>::value,
              "byte-wise clearing and casts from raw memory stay meaningful");

#endif // LANEPIPE_COMPAT_MAILBOX_TRANSPORT_H_
