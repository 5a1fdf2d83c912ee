// Completion slab of one (core, buffer), which kernels fill. Kernel compilers read this file too: it stays free of
// atomics and of the ring.
#pragma once

#include <cstdint>

#include "completion_slab.h"
