// A core in each language over the same ring, and what hooks it ran.
#ifndef LANEPIPE_CPP_TESTS_STAGING_CORE_H_
#define LANEPIPE_CPP_TESTS_STAGING_CORE_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A slot of the performance counters' ring.
typedef struct {
    uint64_t task_id;
    uint32_t func_id;
    uint32_t core_type;
    uint64_t total_cycles;
    uint32_t counters[10];
} counter_slot_t;

// A slot in the form of a task's times.
typedef struct {
    uint64_t start;
    uint64_t end;
    uint32_t task_id;
    uint32_t extra;
} time_slot_t;

// C99. The ring has `slots` slots; a null ring is passed over.
void c_core_counters(void *ring, uint32_t slots, uint32_t id);
void c_core_times(void *ring, uint32_t slots, uint32_t id);
// The hooks that the C core ran since the last call: b(arrier), i(d), w(rite-back).
const char *c_core_hooks(void);

#ifdef __cplusplus
}
#endif

#endif // LANEPIPE_CPP_TESTS_STAGING_CORE_H_
