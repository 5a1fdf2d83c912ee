// aicore_completion_mailbox.h alone and twice: what it supplies without anything before it (B1).
#include "aicore_completion_mailbox.h"
#include "aicore_completion_mailbox.h"

#if defined(PTO_RUNTIME2_TYPES_H)
#error "pto_runtime2_types.h includes this header, and must not be included by it"
#endif

static_assert(sizeof(DeferredCompletionSlab) == 2112 && PTO2_ALIGN_SIZE == 64, "types header and constants");
static_assert(sizeof(PTO2TaskId) == 8 && MAX_COMPLETIONS_PER_TASK == 64, "task id");
static_assert(sizeof(std::atomic<uint64_t>) == 8 && AICORE_COMPLETION_MAILBOX_MASK == 4095, "atomic");

bool use(AICoreCompletionMailbox *mailbox, AICoreCompletionMsgView &view) {
    return mailbox->has_pending() && mailbox->try_push_condition(PTO2TaskId::make(1, 2), 3, 4, 5, 6) &&
           mailbox->try_push_condition(PTO2TaskId::make(1, 2), 3, 4, 5, 6, 7) &&
           mailbox->try_push_normal_done(PTO2TaskId::invalid(), 8) && mailbox->try_pop(view);
}
