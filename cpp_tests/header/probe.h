/* What one language level makes of the C header. */
#ifndef LANEPIPE_HEADER_PROBE_H_
#define LANEPIPE_HEADER_PROBE_H_

#include <stddef.h>

typedef struct {
    const char *type;
    size_t size;
    size_t alignment;
} probe_struct_t;

typedef struct {
    long language;
    int host;
    unsigned abi;
    size_t status_size;
    size_t struct_count;
    const probe_struct_t *structs;
} probe_t;

#ifdef __cplusplus
extern "C" {
#endif
const probe_t *probe_host_c99(void);
const probe_t *probe_host_c11(void);
const probe_t *probe_host_cpp17(void);
const probe_t *probe_device_c99(void);
const probe_t *probe_device_c11(void);
const probe_t *probe_device_cpp17(void);
#ifdef __cplusplus
}
#endif

#endif
