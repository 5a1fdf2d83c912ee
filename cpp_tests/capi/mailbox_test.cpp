// Completion mailbox of the C interface: layout, misuse, the transport's rules on memory of any alignment and contents,
// and threads. Slots are walked as words, the way a user of the C++ runtime's type sees them.
#include "support.h"

#include <cstddef>
#include <memory>

namespace {

using namespace capi;

// Sizes and offsets of the contract, as every variant has them.
static_assert(LANEPIPE_MAILBOX_SIZE == 262272 && LANEPIPE_MAILBOX_ALIGN == 8);
static_assert(LANEPIPE_MAILBOX_CAPACITY == 4096 && LANEPIPE_SLAB_CAPACITY == 64);
static_assert(LANEPIPE_MESSAGE_CONDITION == 0 && LANEPIPE_MESSAGE_NORMAL_DONE == 1);
static_assert(sizeof(lanepipe_message_t) == 40 && alignof(lanepipe_message_t) == 8);
static_assert(offsetof(lanepipe_message_t, task_token) == 0 && offsetof(lanepipe_message_t, addr) == 8);
static_assert(offsetof(lanepipe_message_t, backend_cookie) == 16 && offsetof(lanepipe_message_t, expected_value) == 24);
static_assert(offsetof(lanepipe_message_t, engine) == 28 && offsetof(lanepipe_message_t, completion_type) == 32);
static_assert(offsetof(lanepipe_message_t, kind) == 36);
static_assert(sizeof(lanepipe_slab_entry_t) == 32 && alignof(lanepipe_slab_entry_t) == 8);
static_assert(offsetof(lanepipe_slab_entry_t, addr) == 0 && offsetof(lanepipe_slab_entry_t, backend_cookie) == 8);
static_assert(offsetof(lanepipe_slab_entry_t, expected_value) == 16 && offsetof(lanepipe_slab_entry_t, engine) == 20);
static_assert(offsetof(lanepipe_slab_entry_t, completion_type) == 24);
static_assert(sizeof(lanepipe_mailbox_stats_t) == 40);

constexpr uint64_t kFull = LANEPIPE_MAILBOX_CAPACITY;
constexpr size_t kWords = LANEPIPE_MAILBOX_SIZE / 8;
constexpr size_t kHead = 0;
constexpr size_t kTail = 8;

constexpr size_t seq_of(uint64_t ticket) { return 16 + (ticket % kFull) * 8; }

// Memory of a mailbox `offset` bytes behind a multiple of 64.
struct Image {
    explicit Image(size_t offset = 0) : memory(new uint64_t[kWords + 32]) {
        std::memset(memory.get(), 0, (kWords + 32) * 8);
        const uintptr_t start = reinterpret_cast<uintptr_t>(memory.get());
        words = memory.get() + ((64 - start % 64) % 64 + offset) / 8;
        EXPECT_STATUS(LANEPIPE_OK,
                      lanepipe_mailbox_attach(words, LANEPIPE_MAILBOX_SIZE, LANEPIPE_ABI_VERSION, &mailbox));
    }

    uint64_t get(size_t index) const { return __atomic_load_n(words + index, __ATOMIC_RELAXED); }
    void set(size_t index, uint64_t value) const { __atomic_store_n(words + index, value, __ATOMIC_RELAXED); }

    // Cursors, and bytes 0 to 47 of each slot.
    std::vector<uint64_t> visible() const {
        std::vector<uint64_t> seen{get(kHead), get(kTail)};
        for (uint64_t ticket = 0; ticket < kFull; ++ticket)
            for (size_t offset = 0; offset < 6; ++offset)
                seen.push_back(get(seq_of(ticket) + offset));
        return seen;
    }

    lanepipe_mailbox_stats_t stats() const {
        lanepipe_mailbox_stats_t stats{};
        stats.struct_size = sizeof stats;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_get_stats(mailbox, &stats));
        return stats;
    }

    std::unique_ptr<uint64_t[]> memory;
    uint64_t *words;
    lanepipe_mailbox_t *mailbox = nullptr;
};

uint64_t spread(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

// A message whose fields all depend on both numbers.
lanepipe_message_t make(uint64_t token, uint64_t number) {
    const uint64_t bits = spread(token << 40 ^ number);
    lanepipe_message_t message{};
    message.task_token = token;
    message.addr = number;
    message.backend_cookie = bits;
    message.expected_value = static_cast<uint32_t>(bits >> 3);
    message.engine = static_cast<uint32_t>(bits >> 17);
    message.completion_type = static_cast<int32_t>(bits >> 29);
    return message;
}

lanepipe_message_t done(uint64_t token, uint64_t slot) {
    lanepipe_message_t message{};
    message.task_token = token;
    message.addr = slot;
    message.kind = LANEPIPE_MESSAGE_NORMAL_DONE;
    return message;
}

lanepipe_slab_entry_t entry(uint64_t token, uint64_t number) {
    const lanepipe_message_t message = make(token, number);
    return {message.addr,   message.backend_cookie,  message.expected_value,
            message.engine, message.completion_type, 0xffffffffu};
}

lanepipe_status_t push(const Image &image, const lanepipe_message_t &message) {
    return lanepipe_mailbox_try_push_condition(image.mailbox, message.task_token, message.addr, message.backend_cookie,
                                               message.expected_value, message.engine, message.completion_type);
}

bool same(const lanepipe_message_t &a, const lanepipe_message_t &b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void fill(const Image &image, uint64_t count, uint64_t token = 1) {
    for (uint64_t number = 0; number < count; ++number)
        ASSERT_STATUS(LANEPIPE_OK, push(image, make(token, number)));
}

void drain(const Image &image, uint64_t count, uint64_t token = 1) {
    for (uint64_t number = 0; number < count; ++number) {
        lanepipe_message_t message;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_pop(image.mailbox, &message));
        ASSERT_TRUE(same(message, make(token, number))) << number;
    }
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_has_pending(image.mailbox));
}

TEST(MailboxMisuse, NullEverywhere) {
    Image image;
    lanepipe_message_t message = make(7, 7);
    const lanepipe_slab_entry_t entries[1] = {entry(1, 1)};
    uint32_t count = kUntouched;
    lanepipe_mailbox_t *mailbox = image.mailbox;
    lanepipe_mailbox_stats_t stats{};
    stats.struct_size = sizeof stats;
    const auto before = image.visible();
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_init_empty(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_discard(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_has_pending(nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_condition(nullptr, 1, 2, 3, 4, 5, 6));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_normal_done(nullptr, 1, 2));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_entries(nullptr, 1, entries, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_entries(mailbox, 1, nullptr, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_entries(mailbox, 1, entries, 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_task(nullptr, 1, entries, 1, 8, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_task(mailbox, 1, nullptr, 1, 8, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_push_task(mailbox, 1, entries, 1, 8, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_peek(nullptr, &message));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_peek(mailbox, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_pop(nullptr, &message));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_try_pop(mailbox, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_pop_batch(nullptr, &message, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_pop_batch(mailbox, nullptr, 1, &count));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_pop_batch(mailbox, &message, 1, nullptr));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_get_stats(nullptr, &stats));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_get_stats(mailbox, nullptr));
    EXPECT_EQ(image.visible(), before);
    EXPECT_TRUE(same(message, make(7, 7)));
    EXPECT_EQ(count, kUntouched);
    // Nothing is wanted of a null array without elements.
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_push_entries(mailbox, 1, nullptr, 0, &count));
    EXPECT_EQ(count, 0u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_pop_batch(mailbox, nullptr, 0, &count));
    EXPECT_EQ(count, 0u);
}

TEST(MailboxMisuse, AttachChecksVersionAddressAndLength) {
    Image image;
    char *memory = reinterpret_cast<char *>(image.words);
    lanepipe_mailbox_t *mailbox = nullptr;
    const size_t size = LANEPIPE_MAILBOX_SIZE;
    EXPECT_STATUS(LANEPIPE_E_VERSION, lanepipe_mailbox_attach(memory, size, LANEPIPE_ABI_VERSION + 1, &mailbox));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_attach(nullptr, size, LANEPIPE_ABI_VERSION, &mailbox));
    EXPECT_STATUS(LANEPIPE_E_NULL, lanepipe_mailbox_attach(memory, size, LANEPIPE_ABI_VERSION, nullptr));
    for (const size_t length : {size_t{0}, size_t{1}, size - 1})
        EXPECT_STATUS(LANEPIPE_E_INVALID, lanepipe_mailbox_attach(memory, length, LANEPIPE_ABI_VERSION, &mailbox));
    for (const size_t off : {1, 2, 4, 7, 9, 12}) {
        auto *wrong = reinterpret_cast<lanepipe_mailbox_t *>(memory + off);
        EXPECT_STATUS(LANEPIPE_E_MISALIGNED,
                      lanepipe_mailbox_attach(memory + off, size, LANEPIPE_ABI_VERSION, &mailbox));
        lanepipe_message_t message;
        EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_mailbox_init_empty(wrong));
        EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_mailbox_has_pending(wrong));
        EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_mailbox_try_push_condition(wrong, 1, 2, 3, 4, 5, 6));
        EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_mailbox_try_pop(wrong, &message));
    }
    EXPECT_EQ(mailbox, nullptr);
    for (const size_t off : {0, 8, 16, 40, 64}) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_attach(memory + off, size, LANEPIPE_ABI_VERSION, &mailbox));
        EXPECT_EQ(reinterpret_cast<char *>(mailbox), memory + off);
    }
    EXPECT_EQ(lanepipe_mailbox_size(), size);
    EXPECT_EQ(lanepipe_mailbox_align(), 64u);
    EXPECT_EQ(lanepipe_mailbox_capacity(), kFull);
}

TEST(MailboxMisuse, CountsAndSizesOutOfRange) {
    Image image;
    const std::vector<lanepipe_slab_entry_t> entries(65, entry(1, 1));
    uint32_t count = kUntouched;
    for (const uint32_t wanted : {65u, 1000u, UINT32_MAX}) {
        EXPECT_STATUS(LANEPIPE_E_TOO_LARGE,
                      lanepipe_mailbox_try_push_entries(image.mailbox, 1, entries.data(), wanted, &count));
        EXPECT_STATUS(LANEPIPE_E_TOO_LARGE,
                      lanepipe_mailbox_try_push_task(image.mailbox, 1, entries.data(), wanted, 8, &count));
    }
    const auto *off = reinterpret_cast<const lanepipe_slab_entry_t *>(reinterpret_cast<uintptr_t>(entries.data()) + 4);
    EXPECT_STATUS(LANEPIPE_E_MISALIGNED, lanepipe_mailbox_try_push_entries(image.mailbox, 1, off, 1, &count));
    EXPECT_EQ(count, kUntouched);
    lanepipe_mailbox_stats_t stats{};
    for (const uint32_t size : {0u, uint32_t{sizeof stats} - 4, uint32_t{sizeof stats} + 4}) {
        stats.struct_size = size;
        EXPECT_STATUS(LANEPIPE_E_STRUCT_SIZE, lanepipe_mailbox_get_stats(image.mailbox, &stats));
    }
    EXPECT_EQ(image.stats().pending, 0u);
}

class MailboxAt : public testing::TestWithParam<size_t> {};

INSTANTIATE_TEST_SUITE_P(Offsets, MailboxAt, testing::Values(0, 8, 16, 40));

TEST_P(MailboxAt, HoldsExactly4096AndFailedCallsChangeNothing) {
    Image image(GetParam());
    for (uint64_t lap = 0; lap < 3; ++lap) {
        fill(image, kFull);
        const auto before = image.visible();
        const lanepipe_slab_entry_t entries[2] = {entry(1, 1), entry(1, 2)};
        uint32_t count = kUntouched;
        EXPECT_STATUS(LANEPIPE_FULL, push(image, make(2, 2)));
        EXPECT_STATUS(LANEPIPE_FULL, lanepipe_mailbox_try_push_normal_done(image.mailbox, 2, 8));
        EXPECT_STATUS(LANEPIPE_FULL, lanepipe_mailbox_try_push_entries(image.mailbox, 2, entries, 2, &count));
        EXPECT_EQ(count, 0u);
        EXPECT_EQ(image.visible(), before);
        EXPECT_EQ(image.stats().pending, kFull);
        EXPECT_EQ(image.get(kHead) - image.get(kTail), kFull);
        drain(image, kFull);
        const auto empty = image.visible();
        lanepipe_message_t message = make(9, 9);
        EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_try_pop(image.mailbox, &message));
        EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_peek(image.mailbox, &message));
        EXPECT_TRUE(same(message, make(9, 9)));
        EXPECT_EQ(image.visible(), empty);
    }
}

TEST_P(MailboxAt, SlotsCanBeWalkedWithoutPopping) {
    Image image(GetParam());
    fill(image, 100);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_push_normal_done(image.mailbox, 3, 0xabcd));
    for (uint64_t ticket = 0; ticket <= 100; ++ticket) {
        ASSERT_EQ(image.get(seq_of(ticket)), ticket + 1);
        lanepipe_message_t message;
        std::memcpy(&message, image.words + seq_of(ticket) + 1, sizeof message);
        ASSERT_TRUE(same(message, ticket < 100 ? make(1, ticket) : done(3, 0xabcd)));
    }
}

TEST_P(MailboxAt, ATaskGoesThroughInOneClaimOrFromWhereItStopped) {
    Image image(GetParam());
    std::vector<lanepipe_slab_entry_t> entries;
    for (uint64_t number = 0; number < 64; ++number)
        entries.push_back(entry(5, number));
    for (uint64_t room = 0; room <= 66; room += room < 4 ? 1 : 31) {
        // All but `room` tickets are out, claimed by hand, and given up later.
        const uint64_t head = image.get(kHead);
        image.set(kHead, head + kFull - room);
        uint32_t pushed = kUntouched;
        const lanepipe_status_t status =
            lanepipe_mailbox_try_push_task(image.mailbox, 5, entries.data(), 64, 0x40, &pushed);
        EXPECT_EQ(pushed, std::min<uint64_t>(room, 65));
        EXPECT_STATUS(room >= 65 ? LANEPIPE_OK : LANEPIPE_FULL, status);
        image.set(kTail, head + kFull - room);
        if (pushed < 65) {
            uint32_t rest = kUntouched;
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_push_task(image.mailbox, 5, entries.data() + pushed,
                                                                      64 - pushed, 0x40, &rest));
            EXPECT_EQ(pushed + rest, 65u);
        }
        std::vector<lanepipe_message_t> seen(80);
        uint32_t popped = kUntouched;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_pop_batch(image.mailbox, seen.data(), 80, &popped));
        ASSERT_EQ(popped, 65u);
        for (uint64_t number = 0; number < 64; ++number)
            EXPECT_TRUE(same(seen[number], make(5, number)));
        EXPECT_TRUE(same(seen[64], done(5, 0x40)));
    }
}

TEST_P(MailboxAt, AGapHoldsUpWhatIsBehindItAndOnlyThat) {
    Image image(GetParam());
    image.set(kHead, 1);
    fill(image, kFull - 1);
    EXPECT_STATUS(LANEPIPE_FULL, push(image, make(1, 0)));
    lanepipe_message_t message = make(9, 9);
    uint32_t count = kUntouched;
    const auto before = image.visible();
    for (int attempt = 0; attempt < 3; ++attempt) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_has_pending(image.mailbox));
        EXPECT_STATUS(LANEPIPE_AGAIN, lanepipe_mailbox_try_pop(image.mailbox, &message));
        EXPECT_STATUS(LANEPIPE_AGAIN, lanepipe_mailbox_peek(image.mailbox, &message));
        EXPECT_STATUS(LANEPIPE_AGAIN, lanepipe_mailbox_pop_batch(image.mailbox, &message, 1, &count));
    }
    EXPECT_EQ(image.visible(), before);
    EXPECT_TRUE(same(message, make(9, 9)));
    EXPECT_EQ(count, kUntouched);
    EXPECT_EQ(image.stats().gap, 1u);
    EXPECT_EQ(image.stats().gaps, 1u);
    const lanepipe_message_t late = make(4, 4);
    std::memcpy(image.words + 17, &late, sizeof late);
    __atomic_store_n(image.words + 16, 1, __ATOMIC_RELEASE);
    EXPECT_EQ(image.stats().gap, 0u);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_try_pop(image.mailbox, &message));
    EXPECT_TRUE(same(message, late));
    drain(image, kFull - 1);
}

TEST_P(MailboxAt, DiscardWithWhateverIsOut) {
    Image image(GetParam());
    for (uint64_t unpublished = 0; unpublished < 3; ++unpublished) {
        fill(image, 10);
        image.set(kHead, image.get(kHead) + unpublished);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_discard(image.mailbox));
        EXPECT_EQ(image.get(kHead), image.get(kTail));
        EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_has_pending(image.mailbox));
        fill(image, kFull);
        EXPECT_STATUS(LANEPIPE_FULL, push(image, make(1, 0)));
        drain(image, kFull);
    }
}

TEST_P(MailboxAt, StartsOnAnyBytesAndGoesOnCountingOnItsOwn) {
    for (int pattern = 0; pattern < 5; ++pattern) {
        SCOPED_TRACE(pattern);
        Image image(GetParam());
        for (size_t index = 0; index < kWords; ++index) {
            const uint64_t seq = index >= 16 && index % 8 == 0 ? (index - 16) / 8 + 1 : 0;
            const uint64_t all[] = {0, UINT64_MAX, 0xaaaaaaaaaaaaaaaa, spread(index), seq};
            image.set(index, all[pattern]);
        }
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_init_empty(image.mailbox));
        EXPECT_EQ(image.get(kHead), 0u);
        EXPECT_EQ(image.get(kTail), 0u);
        uint32_t run = image.stats().run;
        EXPECT_NE(run, 0u);
        // A claim by hand on a slot that was dirty.
        image.set(kHead, 1);
        lanepipe_message_t message;
        EXPECT_STATUS(LANEPIPE_AGAIN, lanepipe_mailbox_try_pop(image.mailbox, &message));
        image.set(kHead, 0);
        for (uint64_t lap = 0; lap < 3; ++lap) {
            fill(image, kFull);
            EXPECT_STATUS(LANEPIPE_FULL, push(image, make(1, 0)));
            const uint64_t before = image.get(kHead);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_init_empty(image.mailbox));
            EXPECT_GT(image.get(kHead), before + kFull) << "the tickets go on, beyond what any slot can hold";
            EXPECT_EQ(image.get(kHead) % kFull, 0u);
            EXPECT_EQ(image.get(kTail), image.get(kHead));
            EXPECT_NE(image.stats().run, run);
            run = image.stats().run;
            EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_has_pending(image.mailbox));
        }
        // Other hands have been at it: everything is cleared.
        const uint64_t head = image.get(kHead);
        image.set(seq_of(head), head + 1);
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_init_empty(image.mailbox));
        EXPECT_EQ(image.get(kHead), 0u);
        EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_try_pop(image.mailbox, &message));
    }
}

TEST_P(MailboxAt, PaddingChangesNoResult) {
    Image image(GetParam());
    uint64_t seed = 1;
    uint64_t pushed = 0;
    uint64_t popped = 0;
    std::vector<uint64_t> earlier(16);
    for (int step = 0; step < 3000; ++step) {
        const uint64_t burst = spread(++seed) % 1500;
        if (spread(++seed) % 2 != 0) {
            for (uint64_t i = 0; i < burst; ++i) {
                const bool room = pushed - popped < kFull;
                ASSERT_STATUS(room ? LANEPIPE_OK : LANEPIPE_FULL, push(image, make(1, pushed)));
                pushed += room ? 1 : 0;
            }
        } else {
            for (uint64_t i = 0; i < burst; ++i) {
                lanepipe_message_t message;
                const bool any = popped < pushed;
                ASSERT_STATUS(any ? LANEPIPE_OK : LANEPIPE_EMPTY, lanepipe_mailbox_try_pop(image.mailbox, &message));
                ASSERT_TRUE(!any || same(message, make(1, popped)));
                popped += any ? 1 : 0;
            }
        }
        const uint64_t way = spread(++seed) % 4;
        for (size_t index = 0; index < 16; ++index) {
            const uint64_t before = image.get(index);
            if (index != kHead && index != kTail)
                image.set(index, way == 0   ? 0
                                 : way == 1 ? spread(++seed)
                                 : way == 2 ? earlier[index]
                                            : before ^ (uint64_t{1} << step % 64));
            earlier[index] = before;
        }
        for (uint64_t ticket = step % 7; ticket < kFull; ticket += 7) {
            image.set(seq_of(ticket) + 6, spread(++seed));
            image.set(seq_of(ticket) + 7, UINT64_MAX);
        }
        ASSERT_EQ(image.get(kHead), pushed);
        ASSERT_EQ(image.get(kTail), popped);
    }
}

TEST(Mailbox, GoesOnBehindTheLastTicket) {
    for (const uint64_t back : {uint64_t{1}, uint64_t{3}, kFull}) {
        Image image;
        image.set(kHead, 0 - back);
        image.set(kTail, 0 - back);
        lanepipe_message_t message;
        EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_try_pop(image.mailbox, &message));
        for (int lap = 0; lap < 2; ++lap) {
            fill(image, kFull);
            EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_has_pending(image.mailbox));
            EXPECT_STATUS(LANEPIPE_FULL, push(image, make(1, 0)));
            drain(image, kFull);
        }
    }
}

TEST(Mailbox, PeekLeavesTheMessage) {
    Image image;
    fill(image, 2);
    lanepipe_message_t message;
    for (int attempt = 0; attempt < 3; ++attempt) {
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_mailbox_peek(image.mailbox, &message));
        EXPECT_TRUE(same(message, make(1, 0)));
    }
    drain(image, 2);
}

// Producers push alone and in claims, the consumer takes one or many. Everything comes once, whole, in the order of its
// producer; the sentinel of a task after what its subtasks pushed before they counted themselves.
TEST(MailboxThreads, NothingIsLostDoubledOrMixed) {
    constexpr uint64_t kProducers = 4;
    constexpr uint64_t kTasks = 3000;
    Image image(8);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_mailbox_init_empty(image.mailbox));
    // Task t has kProducers subtasks; subtask p pushes p + 1 conditions and counts itself.
    std::vector<std::atomic<uint32_t>> counters(kTasks);
    std::vector<std::thread> producers;
    for (uint64_t producer = 0; producer < kProducers; ++producer) {
        producers.emplace_back([&, producer] {
            for (uint64_t task = 0; task < kTasks; ++task) {
                std::vector<lanepipe_slab_entry_t> entries;
                for (uint64_t i = 0; i <= producer; ++i)
                    entries.push_back(entry(task, producer * 100 + i));
                uint32_t sent = 0;
                while (sent < entries.size()) {
                    uint32_t pushed = 0;
                    const auto left = static_cast<uint32_t>(entries.size()) - sent;
                    const lanepipe_status_t status =
                        lanepipe_mailbox_try_push_entries(image.mailbox, task, entries.data() + sent, left, &pushed);
                    ASSERT_GE(status, LANEPIPE_OK);
                    sent += pushed;
                    if (status == LANEPIPE_FULL)
                        std::this_thread::yield();
                }
                if (counters[task].fetch_add(1, std::memory_order_acq_rel) + 1 == kProducers) {
                    while (lanepipe_mailbox_try_push_normal_done(image.mailbox, task, task * 64) == LANEPIPE_FULL)
                        std::this_thread::yield();
                }
            }
        });
    }
    std::vector<uint32_t> conditions(kTasks);
    std::vector<uint64_t> last(kProducers, 0);
    std::vector<lanepipe_message_t> batch(100);
    uint64_t finished = 0;
    while (finished < kTasks && !testing::Test::HasFailure()) {
        uint32_t popped = 0;
        const uint32_t max = finished % 3 == 0 ? 1 : 100;
        const lanepipe_status_t status = lanepipe_mailbox_pop_batch(image.mailbox, batch.data(), max, &popped);
        if (status == LANEPIPE_EMPTY || status == LANEPIPE_AGAIN) {
            std::this_thread::yield();
            continue;
        }
        ASSERT_STATUS(LANEPIPE_OK, status);
        for (uint32_t i = 0; i < popped; ++i) {
            const lanepipe_message_t &message = batch[i];
            ASSERT_LT(message.task_token, kTasks);
            if (message.kind == LANEPIPE_MESSAGE_NORMAL_DONE) {
                ASSERT_TRUE(same(message, done(message.task_token, message.task_token * 64)));
                ASSERT_EQ(conditions[message.task_token], 10u) << "conditions come before their sentinel";
                ++finished;
                continue;
            }
            ASSERT_TRUE(same(message, make(message.task_token, message.addr)));
            const uint64_t producer = message.addr / 100;
            const uint64_t order = (message.task_token + 1) * 1000 + message.addr;
            ASSERT_LT(last[producer], order);
            last[producer] = order;
            ++conditions[message.task_token];
        }
    }
    for (std::thread &producer : producers)
        producer.join();
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_mailbox_has_pending(image.mailbox));
    EXPECT_EQ(image.stats().overlaps, 0u);
}

// Two threads that both consume: nothing comes twice, findings are counted.
TEST(MailboxThreads, SecondConsumerGetsNothingThatIsNotItsOwn) {
    constexpr uint64_t kCount = 50000;
    Image image;
    std::atomic<bool> over{false};
    std::atomic<uint32_t> findings{0};
    std::vector<uint64_t> seen[2];
    std::vector<std::thread> consumers;
    for (auto &mine : seen) {
        consumers.emplace_back([&] {
            for (;;) {
                const bool last = over.load();
                lanepipe_message_t message;
                const lanepipe_status_t status = lanepipe_mailbox_try_pop(image.mailbox, &message);
                if (status == LANEPIPE_OK) {
                    EXPECT_TRUE(same(message, make(1, message.addr)));
                    mine.push_back(message.addr);
                } else if (status == LANEPIPE_E_OVERLAP) {
                    ++findings;
                } else if (last) {
                    return;
                } else {
                    std::this_thread::yield();
                }
            }
        });
    }
    for (uint64_t number = 0; number < kCount; ++number)
        while (push(image, make(1, number)) == LANEPIPE_FULL)
            std::this_thread::yield();
    over = true;
    for (std::thread &consumer : consumers)
        consumer.join();
    std::vector<uint64_t> all(seen[0]);
    all.insert(all.end(), seen[1].begin(), seen[1].end());
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), kCount);
    for (uint64_t number = 0; number < kCount; ++number)
        ASSERT_EQ(all[number], number);
    EXPECT_EQ(image.stats().overlaps, findings.load());
}

} // namespace
