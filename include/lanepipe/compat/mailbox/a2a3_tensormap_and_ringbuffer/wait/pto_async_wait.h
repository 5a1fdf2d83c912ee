// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Drop-in replacement of the C++ runtime's header of the same name.
#ifndef PTO_ASYNC_WAIT_H
#define PTO_ASYNC_WAIT_H

#define LANEPIPE_COMPAT_VARIANT LANEPIPE_VARIANT_A2A3_TENSORMAP_AND_RINGBUFFER
#include <lanepipe/compat/mailbox/wait_list.h>

#endif // PTO_ASYNC_WAIT_H
