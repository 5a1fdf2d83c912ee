// What a device image supplies.
#include <cstdlib>

extern "C" void lanepipe_device_abort() { std::abort(); }
