// "host/buffer_pool_manager.h" of a target that swaps BUFFER_POOL: with -iquote on include/lanepipe/swap/buffer_pool it
// is found before any -I is looked at. LANEPIPE_SWAPPED_BUFFER_POOL tells that lanepipe's header is the one in use.
#ifndef LANEPIPE_SWAPPED_BUFFER_POOL
#define LANEPIPE_SWAPPED_BUFFER_POOL

// lanepipe_swap() defines the original's guard as 1 for the whole target, so that the original declares nothing however
// it is reached. The original itself defines the guard as empty.
#if defined(SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_)
#if SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_ + 0 != 1
#error "lanepipe: the C++ runtime's own host/buffer_pool_manager.h was included first"
#endif
#undef SRC_COMMON_PLATFORM_INCLUDE_HOST_BUFFER_POOL_MANAGER_H_
#endif

#include <lanepipe/compat/host/buffer_pool_manager.h>

#endif // LANEPIPE_SWAPPED_BUFFER_POOL
