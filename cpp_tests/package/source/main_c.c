/* A C99 program that uses an installed or embedded lanepipe. */
#include <lanepipe/lanepipe.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    if (lanepipe_abi_version() != LANEPIPE_ABI_VERSION)
        return 1;
    if (strcmp(lanepipe_status_name(LANEPIPE_OK), "LANEPIPE_OK") != 0)
        return 1;
    printf("C: lanepipe %s\n", lanepipe_version());
    return 0;
}
