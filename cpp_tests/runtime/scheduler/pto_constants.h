// Constants of the runtime.
#ifndef PTO_CONSTANTS_H
#define PTO_CONSTANTS_H

#include "runtime_variant.h"

#define PTO2_ALIGN_SIZE 64

#if STANDIN_TENSORMAP_AND_RINGBUFFER
#define PTO2_MAX_RING_DEPTH 4
#else
#define PTO2_MAX_RING_DEPTH 1
#endif

// AICPU threads, of which one orchestrates (tensormap_and_ringbuffer) or resolves (host_build_graph), and cores.
#if STANDIN_ARCH_A5
#define PTO2_MAX_AICPU_THREADS 5
#define PTO2_MAX_CORES 108
#else
#define PTO2_MAX_AICPU_THREADS 4
#define PTO2_MAX_CORES 72
#endif

#endif // PTO_CONSTANTS_H
