// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Drop-in replacement of the C++ runtime's header of the same name.
#pragma once

#include <lanepipe/compat/mailbox/transport.h>
