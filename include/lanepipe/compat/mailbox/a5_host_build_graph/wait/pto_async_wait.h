// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Drop-in replacement of the C++ runtime's header of the same name.
#pragma once

#define LANEPIPE_COMPAT_VARIANT LANEPIPE_VARIANT_A5_HOST_BUILD_GRAPH
#include <lanepipe/compat/mailbox/wait_list.h>
