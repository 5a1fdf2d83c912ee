// Whose headers this translation unit has.
#ifndef ORIGIN_H_
#define ORIGIN_H_

#include "host/profiler_base.h"

#ifdef LANEPIPE_SWAPPED_BUFFER_POOL
#define POOL_BY "lanepipe"
#else
#define POOL_BY "runtime"
#endif

#ifdef LANEPIPE_SWAPPED_PROFILER
#define PROFILER_BY "lanepipe"
#else
#define PROFILER_BY "runtime"
#endif

#endif // ORIGIN_H_
