// What the shared part of the stand-in runtime and the suites ask about the variant they are compiled for.
#ifndef STANDIN_RUNTIME_VARIANT_H_
#define STANDIN_RUNTIME_VARIANT_H_

#define STANDIN_ARCH_A5 0
#define STANDIN_TENSORMAP_AND_RINGBUFFER 0

#endif // STANDIN_RUNTIME_VARIANT_H_
