#pragma once

#define REFERENCE_WAIT_RELEASES 0
#define REFERENCE_WAIT_URMA 0
#define REFERENCE_WAIT_CACHE_LINE 1
#include "reference_async_wait.h"
