#include <lanepipe/lanepipe.h>

#include "probe.h"

/* C99 has no alignof. */
#define LANEPIPE_PROBE(type)                                                                                           \
    struct align_##type {                                                                                              \
        char byte;                                                                                                     \
        type value;                                                                                                    \
    };
#include "structs.inc"
#undef LANEPIPE_PROBE

#define LANEPIPE_PROBE(type) {#type, sizeof(type), offsetof(struct align_##type, value)},
static const probe_struct_t structs[] = {
#include "structs.inc"
    {"", 0, 0}, /* the device half may have none */
};

static const probe_t probe = {
    __STDC_VERSION__,
#ifdef LANEPIPE_HOST
    1,
#else
    0,
#endif
    LANEPIPE_ABI_VERSION,
    sizeof(lanepipe_status_t),
    sizeof(structs) / sizeof(structs[0]),
    structs,
};

const probe_t *PROBE(void) { return &probe; }
