// The flood with the true geometry of an a5: five control threads, memory copied.

#define RUNTIME_ARCH_A5
#include "flood.h"

int main() {
    bench::flood::compare_all();
    return 0;
}
