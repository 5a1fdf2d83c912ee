// Comes first in every source of a target that swaps MAILBOX with VARIANT a2a3_tensormap_and_ringbuffer.
#include <lanepipe/compat/mailbox/a2a3_tensormap_and_ringbuffer/mailbox/aicore_completion_mailbox.h>

#include <lanepipe/compat/mailbox/a2a3_tensormap_and_ringbuffer/wait/pto_async_wait.h>

#ifndef LANEPIPE_COMPAT_MAILBOX_WAIT_LIST_H_
#error "lanepipe: the C++ runtime's own pto_async_wait.h was included first"
#endif
