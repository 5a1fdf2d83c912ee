/* The core's side in C99, with hooks of its own. */
#include "core.h"

static char hooks[16];
static unsigned hook_count;

static void note(char hook) {
    if (hook_count + 1 < sizeof hooks) {
        hooks[hook_count++] = hook;
        hooks[hook_count] = 0;
    }
}

#define LANEPIPE_STAGING_BARRIER() note('b')
#define LANEPIPE_STAGING_STORE_ID(address, value) (note('i'), __atomic_store_n((address), (value), __ATOMIC_RELEASE))
#define LANEPIPE_STAGING_WRITE_BACK(slot) ((void)(slot), note('w'))
#include <lanepipe/staging_ring.h>

void c_core_counters(void *ring, uint32_t slots, uint32_t id) {
    counter_slot_t *slot = (counter_slot_t *)lanepipe_staging_slot(ring, slots, sizeof(*slot), id);
    uint32_t i;
    if (slot == 0) {
        return;
    }
    slot->total_cycles = 1000u + id;
    for (i = 0; i < 10; ++i) {
        slot->counters[i] = id * 16u + i;
    }
    lanepipe_staging_publish64(slot, &slot->task_id, id);
}

void c_core_times(void *ring, uint32_t slots, uint32_t id) {
    time_slot_t *slot = (time_slot_t *)lanepipe_staging_slot(ring, slots, sizeof(*slot), id);
    if (slot == 0) {
        return;
    }
    slot->start = id;
    slot->end = id + 7u;
    slot->extra = ~id;
    lanepipe_staging_publish32(slot, &slot->task_id, id);
}

const char *c_core_hooks(void) {
    static char copy[sizeof hooks];
    unsigned i;
    for (i = 0; i < sizeof hooks; ++i) {
        copy[i] = hooks[i];
        hooks[i] = 0;
    }
    hook_count = 0;
    return copy;
}
