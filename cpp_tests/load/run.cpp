#include "api.h"

#include <cstring>

const char *run(const Api &api, unsigned) {
    if (api.lanepipe_abi_version() != LANEPIPE_ABI_VERSION)
        return "ABI version";
    if (std::strlen(api.lanepipe_version()) < 5)
        return "version";
    if (std::strcmp(api.lanepipe_status_name(LANEPIPE_E_NULL), "LANEPIPE_E_NULL") != 0)
        return "status name";
    return nullptr;
}
