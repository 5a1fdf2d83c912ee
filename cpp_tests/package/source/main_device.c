/* A device image in small. */
#include <lanepipe/lanepipe.h>

#include <stdlib.h>

void lanepipe_device_abort(void) { abort(); }

int main(void) { return lanepipe_abi_version() == LANEPIPE_ABI_VERSION ? 0 : 1; }
