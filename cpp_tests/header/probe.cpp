#include <lanepipe/lanepipe.h>

#include "probe.h"

#define LANEPIPE_PROBE(type) {#type, sizeof(type), alignof(type)},
static const probe_struct_t structs[] = {
#include "structs.inc"
    {"", 0, 0}, // The device half may have none.
};

static const probe_t probe = {
    __cplusplus,
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

extern "C" const probe_t *PROBE(void) { return &probe; }
