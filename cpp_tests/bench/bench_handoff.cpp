// Ready hand-off between two threads, each of which waits for the other: items per second against the reference.

#include "bench.h"
#include "reference_module.h"

#include <chrono>
#include <memory>

namespace {

using bench::Payload;
using bench::require;
using bench::require_ok;

// What a collector waits before it looks around.
constexpr uint64_t kTickMs = 100;
constexpr size_t kBatch = 16;
// More than the ring holds, so that a buffer is not pushed again before it was taken.
constexpr size_t kBuffers = 2048;

uint64_t item_count() { return bench::setting("LANEPIPE_BENCH_ITEMS", 400000) / kBatch * kBatch; }

double rate(double seconds) { return static_cast<double>(item_count()) / seconds * 1e-6; }

double ours(const bench::Pool &pool, const std::vector<lanepipe_buffer_t> &buffers, size_t batch) {
    const uint64_t count = item_count();
    const auto produce = [&] {
        Payload payloads[kBatch] = {};
        for (uint64_t next = 0; next < count; next += batch) {
            for (size_t place = 0; place < batch; ++place) {
                payloads[place].words[0] = next + place;
            }
            size_t pushed = 0;
            require_ok(lanepipe_pool_wait_push_ready(pool.get(), 0, &buffers[next % kBuffers], payloads, batch,
                                                     LANEPIPE_FOREVER, &pushed),
                       "wait_push_ready");
        }
    };
    const auto consume = [&] {
        lanepipe_buffer_t taken[kBatch];
        Payload payloads[kBatch];
        for (uint64_t next = 0; next < count;) {
            size_t popped = 0;
            const lanepipe_status_t status =
                lanepipe_pool_wait_pop_ready(pool.get(), 0, taken, payloads, batch, kTickMs * 1000000, &popped);
            if (status == LANEPIPE_TIMED_OUT) {
                continue;
            }
            require_ok(status, "wait_pop_ready");
            for (size_t place = 0; place < popped; ++place, ++next) {
                require(payloads[place].words[0] == next, "an item is out of order");
                require(taken[place].dev == buffers[next % kBuffers].dev, "a payload has another's buffer");
            }
        }
    };
    return rate(bench::two_threads(produce, consume));
}

double reference(bench::ReferencePool &pool, const std::vector<lanepipe_buffer_t> &buffers) {
    const uint64_t count = item_count();
    const auto produce = [&] {
        for (uint64_t next = 0; next < count; ++next) {
            const lanepipe_buffer_t &buffer = buffers[next % kBuffers];
            pool.wait_push_to_ready(bench::ReferenceItem{buffer.dev, buffer.kind, buffer.id, {{next, 0, 0, 0}}});
        }
    };
    const auto consume = [&] {
        bench::ReferenceItem item{};
        for (uint64_t next = 0; next < count;) {
            if (!pool.wait_pop_ready(item, std::chrono::milliseconds(kTickMs))) {
                continue;
            }
            require(item.payload.words[0] == next, "an item is out of order");
            require(item.dev_buffer_ptr == buffers[next % kBuffers].dev, "a payload has another's buffer");
            ++next;
        }
    };
    return rate(bench::two_threads(produce, consume));
}

} // namespace

int main() {
    const bench::Pool pool(bench::geometry(sizeof(Payload)));
    const std::vector<lanepipe_buffer_t> buffers = pool.tracked(kBuffers);
    const auto their_pool = std::make_unique<bench::ReferencePool>();
    const std::vector<bench::Samples> rates =
        bench::interleave("hand-off", "M items/s",
                          {
                              {"C ABI, item by item", [&] { return ours(pool, buffers, 1); }},
                              {"C ABI, up to 16 per call", [&] { return ours(pool, buffers, kBatch); }},
                              {"reference", [&] { return reference(*their_pool, buffers); }},
                          });
    pool.require_balance();
    bench::compare_rates("handoff_items", rates[0], rates[2]);
    bench::compare_rates("handoff_batches", rates[1], rates[2]);
    return 0;
}
