// What an image that links the device archive supplies beside the platform.
#include <cstdlib>

extern "C" void lanepipe_device_abort() { std::abort(); }
