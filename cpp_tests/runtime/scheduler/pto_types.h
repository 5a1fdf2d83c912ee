// Types that kernels and scheduler share.
#ifndef PTO_TYPES_H
#define PTO_TYPES_H

typedef enum {
    ASYNC_ENGINE_SDMA = 0,
    ASYNC_ENGINE_ROCE = 1,
    ASYNC_ENGINE_URMA = 2,
    ASYNC_ENGINE_CCU = 3,
    NUM_ASYNC_ENGINES = 4
} AsyncEngine;

#endif // PTO_TYPES_H
