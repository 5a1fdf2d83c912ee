// Drain of a full mailbox over 64 waiting tasks, and a poll pass over 64 tasks with 8 pending conditions each.

#include "bench.h"
#include "mailbox/mailbox.h"

namespace {

using namespace bench_mailbox;
using bench::require;
using bench::require_ok;

constexpr uint64_t kTasks = 64;
constexpr uint64_t kPending = 8;
constexpr size_t kListSize = 198680;
constexpr uint64_t kRounds = 40;
constexpr uint64_t kPasses = 400;

// Counters that stay at 0, each in a line of its own.
struct Counters {
    struct alignas(64) Line {
        uint32_t value;
    };
    std::vector<Line> lines = std::vector<Line>(kTasks * 64);

    uint64_t address(uint64_t index) { return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(&lines[index])); }
};

void push_condition(const Memory &memory, uint64_t task, uint64_t addr) {
    require_ok(lanepipe_mailbox_try_push_condition(memory.handle(), task + 1, addr, 0, 1, 0, 0), "push");
}

// A full ring: conditions in groups of three, as subtasks list them, the groups of all tasks mixed; then the sentinels.
void fill_ring(const Memory &memory, Counters &counters) {
    for (uint64_t group = 0; group < 63; group += kConditions) {
        for (uint64_t task = 0; task < kTasks; ++task) {
            for (uint64_t condition = group; condition < group + kConditions; ++condition) {
                push_condition(memory, task, counters.address(task * 63 + condition));
            }
        }
    }
    for (uint64_t task = 0; task < kTasks; ++task) {
        require_ok(lanepipe_mailbox_try_push_normal_done(memory.handle(), task + 1, 64), "push");
    }
}

void fill_pending(const Memory &memory, Counters &counters) {
    for (uint64_t task = 0; task < kTasks; ++task) {
        for (uint64_t condition = 0; condition < kPending; ++condition) {
            push_condition(memory, task, counters.address(task * kPending + condition));
        }
        require_ok(lanepipe_mailbox_try_push_normal_done(memory.handle(), task + 1, 64), "push");
    }
}

// A wait list with a side area, through the C ABI.
class OurList {
  public:
    OurList() : list_(std::make_unique<unsigned char[]>(kListSize + 63)) {
        size_t size = 0;
        require_ok(lanepipe_wait_side_required_size(kOverflow, &size), "wait_side_required_size");
        side_memory_ = std::make_unique<unsigned char[]>(size + 63);
        require_ok(lanepipe_wait_side_init(aligned(side_memory_), size, kOverflow, 0, &side_), "wait_side_init");
        reset();
    }

    void reset() { require_ok(lanepipe_wait_list_reset(list(), side_), "wait_list_reset"); }

    int64_t drain(const Memory &memory) {
        const lanepipe_status_t status =
            lanepipe_wait_list_drain(list(), side_, memory.handle(), nullptr, nullptr, 0, &result_);
        require_ok(status, "wait_list_drain");
        return result_.error == 0 ? result_.drained : -result_.error;
    }

    int64_t poll(const Memory &memory) {
        lanepipe_wait_ops_t ops{};
        ops.struct_size = sizeof ops;
        ops.variant = LANEPIPE_VARIANT_A2A3_HOST_BUILD_GRAPH;
        ops.complete = [](void *, void *, int32_t, int32_t *done) {
            *done = 1;
            return 0;
        };
        require_ok(lanepipe_wait_list_poll(list(), side_, memory.handle(), &ops, nullptr, 0, &result_),
                   "wait_list_poll");
        return result_.error == 0 ? result_.completed : -result_.error;
    }

  private:
    static constexpr uint32_t kOverflow = 4096;

    static void *aligned(const std::unique_ptr<unsigned char[]> &bytes) {
        return reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(bytes.get()) + 63) & ~uintptr_t{63});
    }
    lanepipe_wait_list_t *list() const { return static_cast<lanepipe_wait_list_t *>(aligned(list_)); }

    std::unique_ptr<unsigned char[]> list_;
    std::unique_ptr<unsigned char[]> side_memory_;
    lanepipe_wait_side_t *side_ = nullptr;
    lanepipe_wait_result_t result_ = make_result();

    static lanepipe_wait_result_t make_result() {
        lanepipe_wait_result_t result{};
        result.struct_size = sizeof result;
        return result;
    }
};

using Call = std::function<int64_t(const Memory &)>;

// Nanoseconds per message.
double drain(const Memory &memory, Counters &counters, const std::function<void()> &reset, const Call &call) {
    bench::pin(1);
    std::vector<double> times;
    for (uint64_t round = 0; round < kRounds; ++round) {
        reset();
        fill_ring(memory, counters);
        const uint64_t start = bench::thread_ns();
        const int64_t drained = call(memory);
        times.push_back(static_cast<double>(bench::thread_ns() - start) / static_cast<double>(kCapacity));
        require(drained == static_cast<int64_t>(kCapacity), "a drain has left something");
    }
    return bench::median(times);
}

// Microseconds per pass over a list that was filled before.
double pass(const Memory &memory, Counters &counters, const std::function<void()> &reset, const Call &call) {
    bench::pin(1);
    reset();
    fill_pending(memory, counters);
    require(call(memory) == 0, "a task was completed");
    const uint64_t start = bench::thread_ns();
    for (uint64_t time = 0; time < kPasses; ++time) {
        require(call(memory) == 0, "a task was completed");
    }
    return static_cast<double>(bench::thread_ns() - start) / static_cast<double>(kPasses) * 1e-3;
}

} // namespace

int main() {
    const Memory memory;
    memory.fill(0);
    Counters counters;
    OurList ours;
    const auto our_reset = [&] { ours.reset(); };
    const auto header = [&](const HeaderSide &side, bool polls) {
        void *const list = side.list();
        const auto reset = [&side, list] { side.reset(list); };
        const auto call = [&side, list, polls](const Memory &from) {
            return polls ? side.poll(list, from.get()) : side.drain(list, from.get());
        };
        return [&, reset, call, polls] {
            return polls ? pass(memory, counters, reset, call) : drain(memory, counters, reset, call);
        };
    };
    std::vector<bench::Side> drains = {
        {"C ABI",
         [&] { return drain(memory, counters, our_reset, [&](const Memory &from) { return ours.drain(from); }); }},
        {"reference", header(reference_side(), false)},
    };
    std::vector<bench::Side> passes = {
        {"C ABI",
         [&] { return pass(memory, counters, our_reset, [&](const Memory &from) { return ours.poll(from); }); }},
        {"reference", header(reference_side(), true)},
    };
    drains.push_back({"drop-in header", header(compat_side(), false)});
    passes.push_back({"drop-in header", header(compat_side(), true)});
    const std::vector<bench::Samples> drained = bench::interleave("drain, 64 tasks", "ns per message", drains);
    bench::compare_times("mailbox_drain", drained[0], drained[1]);
    const std::vector<bench::Samples> passed = bench::interleave("poll pass, 64 x 8 pending", "us", passes);
    bench::compare_times("mailbox_pass", passed[0], passed[1]);
    bench::compare_times("mailbox_compat_drain", drained[2], drained[1]);
    bench::compare_times("mailbox_compat_pass", passed[2], passed[1]);
    return 0;
}
