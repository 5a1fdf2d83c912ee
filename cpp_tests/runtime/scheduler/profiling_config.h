// Profiling switches. A build sets them on the command line or here; STANDIN_PROFILED_BY_HEADER is the latter.
#ifndef PROFILING_CONFIG_H
#define PROFILING_CONFIG_H

#ifdef STANDIN_PROFILED_BY_HEADER
#define SIMPLER_SCHED_PROFILING 1
#endif

#ifndef SIMPLER_DFX
#define SIMPLER_DFX 1
#endif
#ifndef SIMPLER_SCHED_PROFILING
#define SIMPLER_SCHED_PROFILING 0
#endif

#if SIMPLER_SCHED_PROFILING && !SIMPLER_DFX
#error "SIMPLER_SCHED_PROFILING needs SIMPLER_DFX"
#endif

#endif // PROFILING_CONFIG_H
