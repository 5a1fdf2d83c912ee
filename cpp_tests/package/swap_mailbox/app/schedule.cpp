// Pushes the messages of a few tasks and has them completed.
//
//   schedule MAILBOX    "runtime" or "lanepipe": whose headers are expected to be compiled in
#include "aicore_completion_mailbox.h"
#include "finish.h"
#include "pto_runtime2_types.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

constexpr uint64_t kTasks = 20;

int failures = 0;

void expect(bool ok, const char *what) {
    if (!ok) {
        std::printf("failed: %s\n", what);
        ++failures;
    }
}

struct Task {
    PTO2TaskDescriptor descriptor{};
    PTO2TaskPayload payload{};
    PTO2TaskSlotState slot{};
};

AICoreCompletionMailbox mailbox{};
Task tasks[kTasks];
alignas(64) uint32_t counters[kTasks];

const char *mailbox_by() {
#ifdef LANEPIPE_COMPAT_MAILBOX_TRANSPORT_H_
    return "lanepipe";
#else
    return "runtime";
#endif
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::printf("usage: schedule MAILBOX\n");
        return 2;
    }
    expect(std::strcmp(mailbox_by(), argv[1]) == 0, "the program has the expected mailbox");
    expect(std::strcmp(finish_mailbox_by(), argv[1]) == 0, "the library has the expected mailbox");
    for (uint64_t index = 0; index < kTasks; ++index) {
        Task &task = tasks[index];
        task.descriptor.task_id = PTO2TaskId{index};
        task.slot.payload = &task.payload;
        task.slot.task = &task.descriptor;
        task.slot.total_required_subtasks = 1;
        const auto counter = reinterpret_cast<uintptr_t>(&counters[index]);
        expect(mailbox.try_push_condition(PTO2TaskId{index}, counter, 1, ASYNC_ENGINE_SDMA, COMPLETION_TYPE_COUNTER),
               "a condition is accepted");
        expect(mailbox.try_push_normal_done(PTO2TaskId{index}, reinterpret_cast<uintptr_t>(&task.slot)),
               "a task's end is accepted");
    }
    expect(mailbox.has_pending(), "messages are pending");
    expect(finish_tasks(mailbox) == 0, "no task completes before its condition holds");
    expect(!mailbox.has_pending(), "all messages are consumed");
    for (uint32_t &counter : counters) {
        counter = 1;
    }
    expect(finish_tasks(mailbox) == static_cast<int>(kTasks), "all tasks complete");
    return failures == 0 ? 0 : 1;
}
