#ifndef PTO_ASYNC_WAIT_H
#define PTO_ASYNC_WAIT_H

#define REFERENCE_WAIT_RELEASES 1
#define REFERENCE_WAIT_URMA 1
#define REFERENCE_WAIT_CACHE_LINE 0
#include "reference_async_wait.h"

#endif // PTO_ASYNC_WAIT_H
