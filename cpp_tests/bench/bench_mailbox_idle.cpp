// What every thread of the runtime does on each iteration of its loop when nothing is deferred: asking an empty
// mailbox, popping from it, trying a lock that is taken. One thread alone, and a second one that does the same.

#include "bench.h"
#include "mailbox/mailbox.h"

namespace {

using namespace bench_mailbox;
using bench::require;

constexpr uint64_t kTimes = 200000;

// Nanoseconds per call of the slower of two threads that do the same at once.
double both(const std::function<void()> &calls) {
    return bench::two_threads(calls, calls) * 1e9 / static_cast<double>(kTimes);
}

void c_has_pending(const Memory &memory) {
    for (uint64_t time = 0; time < kTimes; ++time) {
        require(lanepipe_mailbox_has_pending(memory.handle()) == LANEPIPE_EMPTY, "the mailbox is not empty");
    }
}

void c_pop(const Memory &memory) {
    lanepipe_message_t message;
    for (uint64_t time = 0; time < kTimes; ++time) {
        require(lanepipe_mailbox_try_pop(memory.handle(), &message) == LANEPIPE_EMPTY, "the mailbox is not empty");
    }
}

void pop(const HeaderSide &side, const Memory &memory) {
    for (uint64_t time = 0; time < kTimes; ++time) {
        require(side.pop(memory.get(), 1) == 0, "the mailbox is not empty");
    }
}

} // namespace

int main() {
    const Memory ours;
    const Memory theirs;
    ours.fill(0);
    theirs.fill(0);
    const HeaderSide &reference = reference_side();
    std::vector<bench::Side> sides = {
        {"C ABI, has_pending", [&] { return both([&] { c_has_pending(ours); }); }},
        {"reference, has_pending",
         [&] { return both([&] { require(reference.has_pending(theirs.get(), kTimes) == 0, "not empty"); }); }},
        {"C ABI, failed pop", [&] { return both([&] { c_pop(ours); }); }},
        {"reference, failed pop", [&] { return both([&] { pop(reference, theirs); }); }},
    };
    void *const their_list = reference.list();
    reference.reset(their_list);
    require(reference.lose_lock(their_list, 1) == 1, "the lock was taken");
    sides.push_back({"reference, lost lock", [&] {
                         return both([&] { require(reference.lose_lock(their_list, kTimes) == 0, "not taken"); });
                     }});
    const Memory drop_in;
    drop_in.fill(0);
    const HeaderSide &compat = compat_side();
    void *const our_list = compat.list();
    compat.reset(our_list);
    require(compat.lose_lock(our_list, 1) == 1, "the lock was taken");
    sides.push_back({"drop-in header, has_pending", [&] {
                         return both([&] { require(compat.has_pending(drop_in.get(), kTimes) == 0, "not empty"); });
                     }});
    sides.push_back({"drop-in header, failed pop", [&] { return both([&] { pop(compat, drop_in); }); }});
    sides.push_back({"drop-in header, lost lock",
                     [&] { return both([&] { require(compat.lose_lock(our_list, kTimes) == 0, "not taken"); }); }});
    const std::vector<bench::Samples> times = bench::interleave("idle, two threads", "ns per call", sides);
    bench::compare_times("mailbox_idle_pending", times[0], times[1]);
    bench::compare_times("mailbox_idle_pop", times[2], times[3]);
    bench::compare_times("mailbox_compat_idle_pending", times[5], times[1]);
    bench::compare_times("mailbox_compat_idle_pop", times[6], times[3]);
    bench::compare_times("mailbox_compat_idle_lock", times[7], times[4]);
    return 0;
}
