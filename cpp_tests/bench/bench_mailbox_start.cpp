// Start of a mailbox: on memory of any content, against a plain clearing of as many bytes, and again on memory that was
// started before, against a microsecond and against the C++ runtime.

#include "bench.h"
#include "mailbox/mailbox.h"

namespace {

using namespace bench_mailbox;
using bench::require_ok;

constexpr int kStarts = 200;

// Nanoseconds per start, `before` each of which is not counted.
template <typename Before, typename Start> double start(Before &&before, Start &&start) {
    bench::pin(1);
    std::vector<double> times;
    for (int time = 0; time < kStarts; ++time) {
        before(time);
        const uint64_t begin = bench::now_ns();
        start();
        times.push_back(static_cast<double>(bench::now_ns() - begin));
    }
    return bench::median(times);
}

} // namespace

int main() {
    const Memory memory;
    const HeaderSide &reference = reference_side();
    const auto dirty = [&memory](int time) { memory.fill(0x5a + time % 7); };
    const auto used = [&memory](int) {
        require_ok(lanepipe_mailbox_try_push_normal_done(memory.handle(), 1, 64), "push");
    };
    const auto ours = [&memory] { require_ok(lanepipe_mailbox_init_empty(memory.handle()), "init_empty"); };
    const std::vector<bench::Samples> times = bench::interleave(
        "start", "ns",
        {
            {"C ABI, dirty memory", [&] { return start(dirty, ours); }},
            {"memset of as many bytes",
             [&] {
                 return start(dirty, [&] {
                     memory.fill(0);
                     bench::keep(memory);
                 });
             }},
            {"reference, any memory", [&] { return start(dirty, [&] { reference.init_empty(memory.get()); }); }},
            {"C ABI, started before",
             [&] {
                 ours();
                 return start(used, ours);
             }},
        });
    bench::compare_times("mailbox_start_dirty", times[0], times[1]);
    bench::compare_times("mailbox_start_reference", times[0], times[2]);
    // Against one microsecond.
    bench::compare_times("mailbox_restart", bench::median(times[3]), 1000.0);
    bench::compare_times("mailbox_restart_reference", times[3], times[2]);
    return 0;
}
