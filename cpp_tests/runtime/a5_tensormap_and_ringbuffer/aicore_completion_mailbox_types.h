// Completion slab of one (core, buffer), which kernels fill. Kernel compilers read this file too: it stays free of
// atomics and of the ring.
#ifndef SRC_A5_RUNTIME_TENSORMAP_AND_RINGBUFFER_RUNTIME_AICORE_COMPLETION_MAILBOX_TYPES_H_
#define SRC_A5_RUNTIME_TENSORMAP_AND_RINGBUFFER_RUNTIME_AICORE_COMPLETION_MAILBOX_TYPES_H_

#include <cstdint>

#include "completion_slab.h"

#define COMPLETION_TYPE_URMA_EVENT_HANDLE 2

#endif // SRC_A5_RUNTIME_TENSORMAP_AND_RINGBUFFER_RUNTIME_AICORE_COMPLETION_MAILBOX_TYPES_H_
