// The types header alone: no atomics, no ring (2.6).
#include "aicore_completion_mailbox_types.h"

#if defined(_GLIBCXX_ATOMIC) || defined(AICORE_COMPLETION_MAILBOX_CAPACITY)
#error "kernel compilers read this header"
#endif

static_assert(sizeof(DeferredCompletionSlab) == 2112, "slab");
