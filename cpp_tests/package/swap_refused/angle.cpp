// Reaches the original header past -iquote.
#include <host/buffer_pool_manager.h>

profiling_common::MemoryOps ops;
