// The flood with the true geometry of an a2a3: four control threads, memory shared.

#include "flood.h"

int main() {
    bench::flood::compare_all();
    return 0;
}
