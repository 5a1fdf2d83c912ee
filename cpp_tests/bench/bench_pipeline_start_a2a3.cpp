// Start with the true geometry of an a2a3: memory shared with the device.

#include "pipeline_start.h"

int main() {
    bench::compare_starts();
    return 0;
}
