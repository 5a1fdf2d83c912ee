// Reaches the original header by a path.
#include "runtime/pto_async_wait.h"
