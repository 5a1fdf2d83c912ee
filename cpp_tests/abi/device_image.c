/* A device image in small: supplies the abort hook and calls what the device archive offers. */
#include <lanepipe/lanepipe.h>

#include <stdio.h>
#include <stdlib.h>

void lanepipe_device_abort(void) { abort(); }

int main(void) {
    if (lanepipe_abi_version() != LANEPIPE_ABI_VERSION) {
        puts("header and archive have different ABI versions");
        return 1;
    }
    printf("lanepipe %s\n", lanepipe_version());
    return 0;
}
