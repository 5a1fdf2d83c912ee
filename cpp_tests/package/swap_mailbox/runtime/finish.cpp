#include "finish.h"

#include "pto_scheduler.h"

namespace {

PTO2SchedulerState scheduler{};

} // namespace

int finish_tasks(AICoreCompletionMailbox &mailbox) {
#if STANDIN_TENSORMAP_AND_RINGBUFFER
    PTO2TaskSlotState *released[256];
    int32_t count = 0;
    const AsyncPollResult result =
        scheduler.async_wait_list.poll_and_complete<false>(&mailbox, &scheduler, released, count, 256);
#else
    const AsyncPollResult result = scheduler.async_wait_list.poll_and_complete<false>(&mailbox, &scheduler);
#endif
    return result.error_code == PTO2_ERROR_NONE ? result.completed : -result.error_code;
}

const char *finish_mailbox_by() {
#ifdef LANEPIPE_COMPAT_MAILBOX_WAIT_LIST_H_
    return "lanepipe";
#else
    return "runtime";
#endif
}
