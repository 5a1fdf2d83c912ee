// The functions of the shared library that run.cpp calls, resolved at run time.
#pragma once

#include <lanepipe/lanepipe.h>

#include <dlfcn.h>

// One line per function.
#define LANEPIPE_LOAD_FUNCTIONS(X)                                                                                     \
    X(lanepipe_abi_version)                                                                                            \
    X(lanepipe_version)                                                                                                \
    X(lanepipe_status_name)                                                                                            \
    X(lanepipe_pool_create)                                                                                            \
    X(lanepipe_pool_destroy)                                                                                           \
    X(lanepipe_pool_set_memory)                                                                                        \
    X(lanepipe_pool_allocate)                                                                                          \
    X(lanepipe_pool_audit)                                                                                             \
    X(lanepipe_pool_release_all)                                                                                       \
    X(lanepipe_profiler_create)                                                                                        \
    X(lanepipe_profiler_start)                                                                                         \
    X(lanepipe_profiler_stop)                                                                                          \
    X(lanepipe_profiler_destroy)

struct Api {
#define LANEPIPE_LOAD_MEMBER(name) decltype(&::name) name = nullptr;
    LANEPIPE_LOAD_FUNCTIONS(LANEPIPE_LOAD_MEMBER)
#undef LANEPIPE_LOAD_MEMBER

    // Name of the first function that is missing, or null.
    const char *resolve(void *handle) {
#define LANEPIPE_LOAD_RESOLVE(function)                                                                                \
    function = reinterpret_cast<decltype(function)>(dlsym(handle, #function));                                         \
    if (function == nullptr)                                                                                           \
        return #function;
        LANEPIPE_LOAD_FUNCTIONS(LANEPIPE_LOAD_RESOLVE)
#undef LANEPIPE_LOAD_RESOLVE
        return nullptr;
    }
};

// What every thread does with the open library. Returns null or what went wrong. `thread` is 0 for the thread that
// opened it.
const char *run(const Api &api, unsigned thread);
