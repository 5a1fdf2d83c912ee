// Includes the list by name.
#include "pto_async_wait.h"
