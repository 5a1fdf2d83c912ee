// What an image supplies to the device archive.
#include <cstdlib>

extern "C" void lanepipe_device_abort() { std::abort(); }
