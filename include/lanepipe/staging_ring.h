/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Staging ring, the core's side: the core leaves one record per task in a slot, its control thread takes it from there
 * (lanepipe_staging_ring_take, or the same words by any other means).
 *
 * Freestanding C99 and C++17; no function of the library is called. A core that compiles with qualifiers or cache
 * operations of its own defines these before it includes the header:
 *
 *   LANEPIPE_STAGING_GM             qualifier of pointers into the ring, by default nothing
 *   LANEPIPE_STAGING_FUNCTION       specifiers of the functions, by default static inline
 *   LANEPIPE_STAGING_STORE_ID(p, v) the store of the id, by default a release
 *   LANEPIPE_STAGING_BARRIER()      keeps the record's stores before the id's; by default nothing, so whoever replaces
 *                                   the store of the id by one that is no release defines it
 *   LANEPIPE_STAGING_WRITE_BACK(p)  writes the line at p back and waits for it; by default nothing, for coherent memory
 *
 * One thread per ring: the core. Nothing blocks, nothing fails. Of a task whose slot is a line, in this order:
 *
 *   slot = lanepipe_staging_slot(ring, slots, sizeof(*slot), id);
 *   if (slot != 0) { fill all of *slot but its id; lanepipe_staging_publish64(slot, &slot->task_id, id); }
 *   report the task as finished
 *
 * The control thread takes a task before it dispatches the one that shares its slot: task id + slots.
 */
#ifndef LANEPIPE_STAGING_RING_H_
#define LANEPIPE_STAGING_RING_H_

#include <stdint.h>

#ifndef LANEPIPE_STAGING_GM
#define LANEPIPE_STAGING_GM
#endif
#ifndef LANEPIPE_STAGING_FUNCTION
#define LANEPIPE_STAGING_FUNCTION static inline
#endif
#ifndef LANEPIPE_STAGING_STORE_ID
#define LANEPIPE_STAGING_STORE_ID(address, value) __atomic_store_n((address), (value), __ATOMIC_RELEASE)
#endif
#ifndef LANEPIPE_STAGING_BARRIER
#define LANEPIPE_STAGING_BARRIER() ((void)0)
#endif
#ifndef LANEPIPE_STAGING_WRITE_BACK
#define LANEPIPE_STAGING_WRITE_BACK(slot) ((void)(slot))
#endif

/* The slot of task id in the ring of `slots` slots of `slot_size` bytes at `ring`; null without a ring. */
LANEPIPE_STAGING_FUNCTION LANEPIPE_STAGING_GM void *
lanepipe_staging_slot(LANEPIPE_STAGING_GM void *ring, uint32_t slots, uint32_t slot_size, uint32_t id) {
    if (ring == 0 || slots == 0) {
        return 0;
    }
    return (LANEPIPE_STAGING_GM unsigned char *)ring + (uint64_t)(id % slots) * slot_size;
}

/* Publishes `slot` as that of task id; `where` is the slot's id word. The rest of the slot is filled. */
LANEPIPE_STAGING_FUNCTION void lanepipe_staging_publish32(LANEPIPE_STAGING_GM void *slot,
                                                          LANEPIPE_STAGING_GM uint32_t *where, uint32_t id) {
    LANEPIPE_STAGING_BARRIER();
    /* [staging.P1] Release: pairs with [staging.C1] of the control thread. */
    LANEPIPE_STAGING_STORE_ID(where, id);
    LANEPIPE_STAGING_WRITE_BACK(slot);
}

/* The same for an id word of 64 bits, whose upper half is 0. */
LANEPIPE_STAGING_FUNCTION void lanepipe_staging_publish64(LANEPIPE_STAGING_GM void *slot,
                                                          LANEPIPE_STAGING_GM uint64_t *where, uint32_t id) {
    LANEPIPE_STAGING_BARRIER();
    /* [staging.P1] Release: pairs with [staging.C1] of the control thread. */
    LANEPIPE_STAGING_STORE_ID(where, (uint64_t)id);
    LANEPIPE_STAGING_WRITE_BACK(slot);
}

#endif /* LANEPIPE_STAGING_RING_H_ */
