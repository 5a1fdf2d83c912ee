// Records numbers and plays the host that takes them.
//
//   collect ENGINE    "runtime" or "lanepipe": whose engine is expected to be compiled in
#include "collector.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

constexpr uint32_t kNumbers = 1000 * kRecords + 5;

int failures = 0;

void expect(bool ok, const char *what) {
    if (!ok) {
        std::printf("failed: %s\n", what);
        ++failures;
    }
}

NumberHeader header{};
NumberState state{};
NumberBuffer buffers[3];
uint32_t collected = 0;
uint32_t sequence = 0;

void give(NumberBuffer *buffer) {
    NumberFreeQueue &queue = state.free_queue;
    queue.buffer_ptrs[queue.tail % kSlots] = reinterpret_cast<uintptr_t>(buffer);
    queue.tail = queue.tail + 1;
}

// Takes every buffer that is ready, and gives it back.
void collect() {
    while (header.queue_heads[1] != header.queue_tails[1]) {
        const uint32_t head = header.queue_heads[1];
        const NumberEntry entry = header.queues[1][head];
        auto *const buffer = reinterpret_cast<NumberBuffer *>(static_cast<uintptr_t>(entry.buffer_ptr));
        expect(entry.buffer_seq == sequence++, "buffers come in order");
        for (uint32_t index = 0; index < buffer->count; ++index) {
            expect(buffer->numbers[index] == collected++, "numbers come in order");
        }
        header.queue_heads[1] = (head + 1) % kReadySize;
        give(buffer);
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        std::printf("usage: collect ENGINE\n");
        return 2;
    }
    expect(std::strcmp(collector_engine_by(), argv[1]) == 0, "the library has the expected engine");
    for (NumberBuffer &buffer : buffers) {
        give(&buffer);
    }
    for (uint32_t number = 0; number < kNumbers; ++number) {
        record_number(header, state, number);
        if (number % (2 * kRecords) == 0) {
            collect();
        }
    }
    flush_numbers(header, state);
    collect();
    expect(collected == kNumbers && state.total == kNumbers && state.dropped == 0, "collected + dropped == total");
    return failures == 0 ? 0 : 1;
}
