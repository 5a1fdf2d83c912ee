// Completion mailbox: a bounded ring with many producers and one consumer, over caller memory. Written from the
// completion-mailbox contract ("2.n", "Wn") in the way the C++ runtime works today, known weaknesses included: this is
// what a lanepipe replacement is measured against. Included by the variants' aicore_completion_mailbox.h, which
// say whether there is an init_empty().
#ifndef REFERENCE_MAILBOX_INIT_EMPTY
#error "include the variant's aicore_completion_mailbox.h"
#endif

#include <atomic>
#include <cstdint>

#include "aicore_completion_mailbox_types.h"
#include "pto_constants.h"
#include "pto_task_id.h"

#define AICORE_COMPLETION_MAILBOX_CAPACITY 4096u
#define AICORE_COMPLETION_MAILBOX_MASK (AICORE_COMPLETION_MAILBOX_CAPACITY - 1)

#define MSG_KIND_CONDITION 0u
#define MSG_KIND_TASK_NORMAL_DONE 1u

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

struct AICoreCompletionMsgView {
    PTO2TaskId task_token{PTO2TaskId::invalid()};
    uint64_t addr{0};
    uint64_t backend_cookie{0};
    uint32_t expected_value{0};
    uint32_t engine{0};
    int32_t completion_type{0};
    uint32_t kind{0};
};

struct AICoreCompletionMailbox {
    alignas(PTO2_ALIGN_SIZE) std::atomic<uint64_t> head;
    uint8_t _head_pad[PTO2_ALIGN_SIZE - sizeof(std::atomic<uint64_t>)];
    alignas(PTO2_ALIGN_SIZE) std::atomic<uint64_t> tail;
    uint8_t _tail_pad[PTO2_ALIGN_SIZE - sizeof(std::atomic<uint64_t>)];
    alignas(PTO2_ALIGN_SIZE) AICoreCompletionMailboxMessage entries[AICORE_COMPLETION_MAILBOX_CAPACITY];

    // Any thread; a hint (2.10.3).
    bool has_pending() {
        const uint64_t t = tail.load(std::memory_order_acquire);
        const uint64_t h = head.load(std::memory_order_acquire);
        return t < h;
    }

    // Producers.
    bool try_push_condition(PTO2TaskId task_token, uint64_t addr, uint32_t expected_value, uint32_t engine,
                            int32_t completion_type) {
        return try_push_condition(task_token, addr, 0, expected_value, engine, completion_type);
    }

    bool try_push_condition(PTO2TaskId task_token, uint64_t addr, uint64_t backend_cookie, uint32_t expected_value,
                            uint32_t engine, int32_t completion_type) {
        uint64_t ticket;
        if (!try_claim(ticket)) {
            return false;
        }
        AICoreCompletionMailboxMessage &slot = entries[ticket & AICORE_COMPLETION_MAILBOX_MASK];
        slot.task_token = task_token;
        slot.addr = addr;
        slot.backend_cookie = backend_cookie;
        slot.expected_value = expected_value;
        slot.engine = engine;
        slot.completion_type = completion_type;
        slot.kind = MSG_KIND_CONDITION;
        slot.seq.store(ticket + 1, std::memory_order_release);
        return true;
    }

    bool try_push_normal_done(PTO2TaskId task_token, uint64_t slot_state_addr) {
        uint64_t ticket;
        if (!try_claim(ticket)) {
            return false;
        }
        AICoreCompletionMailboxMessage &slot = entries[ticket & AICORE_COMPLETION_MAILBOX_MASK];
        slot.task_token = task_token;
        slot.addr = slot_state_addr;
        slot.backend_cookie = 0;
        slot.expected_value = 0;
        slot.engine = 0;
        slot.completion_type = 0;
        slot.kind = MSG_KIND_TASK_NORMAL_DONE;
        slot.seq.store(ticket + 1, std::memory_order_release);
        return true;
    }

    // The consumer.
    bool try_pop(AICoreCompletionMsgView &out) {
        const uint64_t t = tail.load(std::memory_order_relaxed);
        const uint64_t h = head.load(std::memory_order_relaxed);
        if (t >= h) {
            return false;
        }
        AICoreCompletionMailboxMessage &slot = entries[t & AICORE_COMPLETION_MAILBOX_MASK];
        if (slot.seq.load(std::memory_order_acquire) != t + 1) {
            return false;
        }
        out.task_token = slot.task_token;
        out.addr = slot.addr;
        out.backend_cookie = slot.backend_cookie;
        out.expected_value = slot.expected_value;
        out.engine = slot.engine;
        out.completion_type = slot.completion_type;
        out.kind = slot.kind;
        tail.store(t + 1, std::memory_order_release);
        return true;
    }

#if REFERENCE_MAILBOX_INIT_EMPTY
    // The boot thread, on memory of any content.
    void init_empty() {
        head.store(0, std::memory_order_relaxed);
        tail.store(0, std::memory_order_relaxed);
        for (AICoreCompletionMailboxMessage &slot : entries) {
            slot.seq.store(0, std::memory_order_relaxed);
        }
    }
#endif

    // One ticket, or false when the ring is full. `head` is sampled before `tail`, whose advance in between looks like
    // a full ring (W2).
    bool try_claim(uint64_t &ticket) {
        for (;;) {
            uint64_t h = head.load(std::memory_order_relaxed);
            const uint64_t t = tail.load(std::memory_order_acquire);
            if (h - t >= AICORE_COMPLETION_MAILBOX_CAPACITY) {
                return false;
            }
            if (head.compare_exchange_weak(h, h + 1, std::memory_order_relaxed, std::memory_order_relaxed)) {
                ticket = h;
                return true;
            }
        }
    }
};

static_assert((AICORE_COMPLETION_MAILBOX_CAPACITY & AICORE_COMPLETION_MAILBOX_MASK) == 0, "power of two");
static_assert(sizeof(AICoreCompletionMailboxMessage) == 64, "one line per slot");
static_assert(sizeof(AICoreCompletionMailbox) % PTO2_ALIGN_SIZE == 0, "whole lines");

#undef REFERENCE_MAILBOX_INIT_EMPTY
