#include <lanepipe/lanepipe.h>

uint32_t hidden_probe(void);

uint32_t hidden_probe(void) { return lanepipe_abi_version(); }
