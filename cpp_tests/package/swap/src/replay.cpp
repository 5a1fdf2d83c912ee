// Runs the collector on a simulated device, with shared memory and with a host shadow, and checks the books.
//
//   replay POOL PROFILER    "runtime" or "lanepipe": whose headers are expected to be compiled in
#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>

#include "host/dep_collector.h"

#include "log_capture.h"
#include "origin.h"

namespace {

constexpr int kThreads = 3;
constexpr uint32_t kRecordsPerRun = 2000 * kDepRecords + 17;

int failures = 0;

void expect(bool ok, const char *what) {
    if (!ok) {
        std::printf("failed: %s\n", what);
        ++failures;
    }
}

void run(bool shadowed) {
    std::printf("%s memory\n", shadowed ? "shadowed" : "shared");
    log_capture::reset();
    DeviceMemory memory;
    std::atomic<int> threads{0};
    {
        DepCollector collector;
        expect(collector.init(memory, shadowed, kThreads), "init");
        collector.start([&threads](std::function<void()> body) {
            ++threads;
            return std::thread(std::move(body));
        });
        std::thread device([&collector] { Device(collector.device_header(), kThreads - 1).run(kRecordsPerRun); });
        device.join();
        collector.stop();
        expect(collector.reconcile_counters(), "collected + dropped == total");
        expect(collector.collected() == kRecordsPerRun, "every record is collected");
        expect(collector.in_order(), "records and buffers come in order");
        collector.finalize();
    }
    expect(threads == 3, "one drain, one replenish and one collect thread");
    expect(memory.live() == 0, "all device memory is given back");
    expect(memory.bad_frees() == 0, "nothing is freed twice");
    expect(log_capture::count(log_capture::Level::kError) == 0, "no error is logged");
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::printf("usage: replay POOL PROFILER\n");
        return 2;
    }
    std::printf("pool: %s, profiler: %s\n", POOL_BY, PROFILER_BY);
    expect(std::strcmp(POOL_BY, argv[1]) == 0, "the program has the expected pool");
    expect(std::strcmp(PROFILER_BY, argv[2]) == 0, "the program has the expected profiler");
    expect(std::strcmp(collector_pool_by(), argv[1]) == 0, "the library has the expected pool");
    expect(std::strcmp(collector_profiler_by(), argv[2]) == 0, "the library has the expected profiler");
    run(false);
    run(true);
    return failures == 0 ? 0 : 1;
}
