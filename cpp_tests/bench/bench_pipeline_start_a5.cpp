// Start with the true geometry of an a5: five control threads, memory copied.

#define RUNTIME_ARCH_A5
#include "pipeline_start.h"

int main() {
    bench::compare_starts();
    return 0;
}
