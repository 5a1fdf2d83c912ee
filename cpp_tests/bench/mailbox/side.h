// The completion mailbox's headers as a benchmark sees them: one set of loops per side, compiled with that side's
// headers so that everything is inlined into them. header_side.cpp is compiled once per side, with the classes renamed.
#ifndef LANEPIPE_TESTS_BENCH_MAILBOX_SIDE_H_
#define LANEPIPE_TESTS_BENCH_MAILBOX_SIDE_H_

#include <cstddef>
#include <cstdint>

namespace bench_mailbox {

constexpr size_t kSize = 262272;
constexpr uint64_t kCapacity = 4096;
// Conditions of one subtask in the benchmarks of slabs.
constexpr uint32_t kConditions = 3;

// `mailbox` is the memory of a mailbox everywhere.
struct HeaderSide {
    // Pushes `count` conditions, one message per call; spins while the ring is full.
    void (*push)(void *mailbox, uint64_t token, uint64_t count);
    // Pushes what `count` tasks defer: kConditions conditions and a sentinel each.
    void (*push_tasks)(void *mailbox, uint64_t token, uint64_t count);
    // Pops up to `most` messages, one per call; how many there were.
    uint64_t (*pop)(void *mailbox, uint64_t most);
    // Asks `times` times; how often the answer was yes.
    uint64_t (*has_pending)(void *mailbox, uint64_t times);
    // Makes an empty ring of the memory, in the manner of host_build_graph.
    void (*init_empty)(void *mailbox);

    // A wait list with a scheduler, of which there is one per side.
    void *(*list)();
    // Empties the list.
    void (*reset)(void *list);
    // Tries `times` times to take a lock that is taken; how often that went well.
    uint64_t (*lose_lock)(void *list, uint64_t times);
    // Drains the mailbox into the list, completing nothing; the number of messages.
    int64_t (*drain)(void *list, void *mailbox);
    // One poll pass; the number of completed tasks.
    int64_t (*poll)(void *list, void *mailbox);
};

const HeaderSide &reference_side();
const HeaderSide &compat_side();

} // namespace bench_mailbox

#endif // LANEPIPE_TESTS_BENCH_MAILBOX_SIDE_H_
