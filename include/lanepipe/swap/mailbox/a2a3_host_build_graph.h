// Comes first in every source of a target that swaps MAILBOX with VARIANT a2a3_host_build_graph.
#include <lanepipe/compat/mailbox/a2a3_host_build_graph/mailbox/aicore_completion_mailbox.h>

#include <lanepipe/compat/mailbox/a2a3_host_build_graph/wait/pto_async_wait.h>
