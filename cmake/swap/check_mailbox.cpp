// Compiled into every target that swaps MAILBOX: shows that the target's include paths lead to lanepipe's headers, by
// name as well as by what comes first in each source. Compiles to nothing.
#if __cplusplus < 201703L
#error "lanepipe_swap: the target must be compiled as C++17"
#endif

#ifndef LANEPIPE_COMPAT_MAILBOX_WAIT_LIST_H_
#error "lanepipe_swap: lanepipe's mailbox headers do not come first in this source"
#endif

// A second definition of the same classes, unless these are lanepipe's or declare nothing.
#include "aicore_completion_mailbox.h"
#include "pto_async_wait.h"
