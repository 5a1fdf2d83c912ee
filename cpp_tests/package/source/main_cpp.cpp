// A C++17 program that uses an installed or embedded lanepipe.
#include <lanepipe/lanepipe.h>
#if __has_include(<lanepipe/lanepipe.hpp>)
#include <lanepipe/lanepipe.hpp>
#endif

#include <cstring>
#include <iostream>

int main() {
    if (lanepipe_abi_version() != LANEPIPE_ABI_VERSION)
        return 1;
    if (std::strcmp(lanepipe_status_name(LANEPIPE_E_NULL), "LANEPIPE_E_NULL") != 0)
        return 1;
    std::cout << "C++: lanepipe " << lanepipe_version() << "\n";
    return 0;
}
