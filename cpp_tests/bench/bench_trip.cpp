// One buffer's trip through every host queue, by one thread: the C ABI of the shared library against the reference,
// which the compiler inlines into this program.

#include "bench.h"
#include "reference_module.h"

#include <memory>

namespace {

using bench::Payload;
using bench::require;
using bench::require_ok;

constexpr size_t kBatch = 16;
constexpr size_t kBuffers = 64;
constexpr uint32_t kKind = 2;

uint64_t trip_count() { return bench::setting("LANEPIPE_BENCH_TRIPS", 1000000) / kBatch * kBatch; }

template <typename Trips> double nanoseconds_per_trip(Trips &&trips) {
    bench::pin(1);
    const uint64_t start = bench::thread_ns();
    trips(trip_count());
    return static_cast<double>(bench::thread_ns() - start) / static_cast<double>(trip_count());
}

void ours(const bench::Pool &pool, std::vector<lanepipe_buffer_t> &buffers, uint64_t trips, size_t batch,
          uint32_t recycle_shard) {
    const uint32_t shard = 1;
    Payload payloads[kBatch] = {};
    lanepipe_pool_t *const handle = pool.get();
    for (uint64_t next = 0; next < trips; next += batch) {
        lanepipe_buffer_t *const here = &buffers[next % kBuffers];
        size_t count = 0;
        payloads[0].words[0] = next;
        require_ok(lanepipe_pool_push_ready(handle, shard, here, payloads, batch, &count), "push_ready");
        require_ok(lanepipe_pool_pop_ready(handle, shard, here, payloads, batch, &count), "pop_ready");
        require_ok(lanepipe_pool_push_done(handle, shard, here, batch, &count), "push_done");
        require_ok(lanepipe_pool_recycle_done(handle, recycle_shard, &count), "recycle_done");
        require_ok(lanepipe_pool_pop_recycled(handle, recycle_shard == LANEPIPE_ALL_SHARDS ? shard : recycle_shard,
                                              here->kind, here, batch, &count),
                   "pop_recycled");
        require(count == batch && payloads[0].words[0] == next, "a buffer is missing");
    }
}

void theirs(bench::ReferencePool &pool, std::vector<lanepipe_buffer_t> &buffers, uint64_t trips, bool all_shards) {
    const int shard = 1;
    bench::ReferenceItem item{};
    for (uint64_t next = 0; next < trips; ++next) {
        lanepipe_buffer_t &here = buffers[next % kBuffers];
        bool sound = pool.push_to_ready(bench::ReferenceItem{here.dev, here.kind, here.id, {{next, 0, 0, 0}}}, shard);
        sound = sound && pool.try_pop_ready(item, shard);
        sound = sound && pool.notify_copy_done(item.dev_buffer_ptr, static_cast<int>(item.kind), shard);
        sound = sound && (all_shards ? pool.drain_done_into_recycled() : pool.drain_done_into_recycled(shard)) == 1;
        here.dev = pool.pop_recycled(static_cast<int>(item.kind), shard);
        require(sound && here.dev != nullptr && item.payload.words[0] == next, "a buffer is missing");
    }
}

// Each sample is taken of a pool of its own, behind a different amount of other memory: which addresses agree in their
// low bits, and so look alike to the processor, is a matter of luck and not to be measured.
class Ballast {
  public:
    Ballast() : memory_(1024 + 832 * (++samples_ % 61)) {}

  private:
    static inline size_t samples_ = 0;
    std::vector<char> memory_;
};

double our_side(size_t batch, uint32_t recycle_shard) {
    const Ballast ballast;
    const bench::Pool pool(bench::geometry(sizeof(Payload)));
    std::vector<lanepipe_buffer_t> buffers = pool.tracked(kBuffers, kKind);
    const double time = nanoseconds_per_trip([&](uint64_t trips) { ours(pool, buffers, trips, batch, recycle_shard); });
    pool.require_balance();
    return time;
}

double their_side(bool all_shards) {
    const Ballast ballast;
    const auto pool = std::make_unique<bench::ReferencePool>();
    std::vector<lanepipe_buffer_t> buffers(kBuffers);
    for (size_t index = 0; index < kBuffers; ++index) {
        buffers[index] = lanepipe_buffer_t{bench::made_up_address(index), kKind, 0};
    }
    return nanoseconds_per_trip([&](uint64_t trips) { theirs(*pool, buffers, trips, all_shards); });
}

} // namespace

int main() {
    const std::vector<bench::Samples> times =
        bench::interleave("trip", "ns per buffer",
                          {
                              {"C ABI, item by item", [] { return our_side(1, 1); }},
                              {"C ABI, 16 per call", [] { return our_side(kBatch, 1); }},
                              {"reference, inlined", [] { return their_side(false); }},
                              {"C ABI, item by item, all shards", [] { return our_side(1, LANEPIPE_ALL_SHARDS); }},
                              {"C ABI, 16 per call, all shards", [] { return our_side(kBatch, LANEPIPE_ALL_SHARDS); }},
                              {"reference, inlined, all shards", [] { return their_side(true); }},
                          });
    bench::compare_times("trip_items", times[0], times[2]);
    bench::compare_times("trip_batches", times[1], times[2]);
    bench::compare_times("trip_all_shards_items", times[3], times[5]);
    bench::compare_times("trip_all_shards_batches", times[4], times[5]);
    return 0;
}
