// Push into the completion mailbox with 1, 2 and 4 producers: one message per call, and what a task defers, three
// conditions and their sentinel, in one or two claims.

#include "bench.h"
#include "mailbox/mailbox.h"

namespace {

using namespace bench_mailbox;
using bench::require;
using bench::require_ok;

void until_taken(lanepipe_status_t status) {
    if (status != LANEPIPE_FULL) {
        require_ok(status, "push");
        return;
    }
    std::this_thread::yield();
}

void c_push(const Memory &memory, uint64_t token, uint64_t messages) {
    for (uint64_t number = 0; number < messages; ++number) {
        lanepipe_status_t status;
        do {
            status = lanepipe_mailbox_try_push_condition(memory.handle(), token, number, number, 1, 0, 0);
            until_taken(status);
        } while (status == LANEPIPE_FULL);
    }
}

void c_push_slabs(const Memory &memory, uint64_t token, uint64_t messages) {
    const lanepipe_slab_entry_t entries[kConditions] = {};
    for (uint64_t task = 0; task < messages / (kConditions + 1); ++task) {
        for (uint32_t done = 0; done < kConditions;) {
            uint32_t pushed = 0;
            until_taken(lanepipe_mailbox_try_push_entries(memory.handle(), token + task, entries + done,
                                                          kConditions - done, &pushed));
            done += pushed;
        }
        lanepipe_status_t status;
        do {
            status = lanepipe_mailbox_try_push_normal_done(memory.handle(), token + task, 64);
            until_taken(status);
        } while (status == LANEPIPE_FULL);
    }
}

void c_push_tasks(const Memory &memory, uint64_t token, uint64_t messages) {
    const lanepipe_slab_entry_t entries[kConditions] = {};
    for (uint64_t task = 0; task < messages / (kConditions + 1); ++task) {
        for (uint32_t done = 0; done <= kConditions;) {
            uint32_t pushed = 0;
            until_taken(lanepipe_mailbox_try_push_task(memory.handle(), token + task, entries + done,
                                                       kConditions - done, 64, &pushed));
            done += pushed;
        }
    }
}

// The C++ header of one side: one message per call in both cases.
Push single(const HeaderSide &side) {
    return
        [&side](const Memory &memory, uint64_t token, uint64_t messages) { side.push(memory.get(), token, messages); };
}
Push tasks(const HeaderSide &side) {
    return [&side](const Memory &memory, uint64_t token, uint64_t messages) {
        side.push_tasks(memory.get(), token, messages / (kConditions + 1));
    };
}

// What is reported is without a consumer beside the producers: with one, the figures are those of the threads' contest
// for two processors. They are printed under other names.
void compare(unsigned producers, bool popped_meanwhile, const Memory &ours, const Memory &theirs,
             const Memory &drop_in) {
    const std::string suffix = (popped_meanwhile ? "_stream_" : "_") + std::to_string(producers);
    const auto side = [=](const char *name, const Memory &memory, Push push) {
        return bench::Side{name, [=, &memory] {
                               return popped_meanwhile ? stream(memory, producers, push)
                                                       : burst(memory, producers, push);
                           }};
    };
    std::vector<bench::Side> sides = {
        side("C ABI, one message per call", ours, c_push),
        side("reference, one message per call", theirs, single(reference_side())),
        side("C ABI, a slab and a sentinel", ours, c_push_slabs),
        side("C ABI, all of a task", ours, c_push_tasks),
        side("reference, conditions and sentinel", theirs, tasks(reference_side())),
    };
    sides.push_back(side("drop-in, one message per call", drop_in, single(compat_side())));
    sides.push_back(side("drop-in, conditions and sentinel", drop_in, tasks(compat_side())));
    const std::string title = std::to_string(producers) + (popped_meanwhile ? " producers, popped" : " producers");
    const std::vector<bench::Samples> times = bench::interleave(title.c_str(), "ns per message", sides);
    bench::compare_times(("mailbox_push" + suffix).c_str(), times[0], times[1]);
    bench::compare_times(("mailbox_slab" + suffix).c_str(), times[2], times[4]);
    bench::compare_times(("mailbox_task" + suffix).c_str(), times[3], times[4]);
    bench::compare_times(("mailbox_compat_push" + suffix).c_str(), times[5], times[1]);
    bench::compare_times(("mailbox_compat_task" + suffix).c_str(), times[6], times[4]);
}

} // namespace

int main() {
    const Memory ours;
    const Memory theirs;
    const Memory drop_in;
    for (const Memory *memory : {&ours, &theirs, &drop_in}) {
        memory->fill(0);
    }
    for (const bool popped_meanwhile : {false, true}) {
        for (const unsigned producers : {1U, 2U, 4U}) {
            compare(producers, popped_meanwhile, ours, theirs, drop_in);
        }
    }
    return 0;
}
