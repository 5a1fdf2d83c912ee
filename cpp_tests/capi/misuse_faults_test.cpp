// Misuse of pools beyond single arguments: strict checks, overlap of two threads on one end, callbacks that fail.
#include "rig.h"

namespace {

using namespace capi;

lanepipe_pool_config_t strict_config() {
    lanepipe_pool_config_t config = pool_config();
    config.flags = LANEPIPE_POOL_STRICT;
    return config;
}

TEST(Strict, RefusesUnknownPointers) {
    Pool pool(strict_config());
    Log &log = pool.log;
    const lanepipe_buffer_t known = pool.enroll(0x1000);
    lanepipe_buffer_t wrong_id = known;
    wrong_id.id += 1;
    lanepipe_buffer_t no_id = known;
    no_id.id = 0;
    lanepipe_buffer_t inside = known;
    inside.dev = reinterpret_cast<void *>(0x1008);
    for (const lanepipe_buffer_t &unknown : {untracked(7), wrong_id, no_id, inside}) {
        const lanepipe_buffer_t buffers[2] = {known, unknown};
        size_t count = kUntouched;
        EXPECT_REFUSED(log, LANEPIPE_E_UNKNOWN_POINTER,
                       lanepipe_pool_push_ready(pool.get(), 0, buffers, nullptr, 2, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_UNKNOWN_POINTER,
                       lanepipe_pool_wait_push_ready(pool.get(), 0, buffers, nullptr, 2, 0, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_UNKNOWN_POINTER, lanepipe_pool_push_done(pool.get(), 0, buffers, 2, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_UNKNOWN_POINTER, lanepipe_pool_push_recycled(pool.get(), 0, buffers, 2, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_UNKNOWN_POINTER, lanepipe_pool_retire(pool.get(), 0, &unknown));
        EXPECT_EQ(count, kUntouched);
    }
    const lanepipe_pool_audit_t audit = audit_of(pool.get());
    EXPECT_EQ(audit.device, 1u);
    EXPECT_EQ(audit.total, 1u);
}

TEST(Strict, RefusesABufferOfAnotherKind) {
    Pool pool(strict_config());
    lanepipe_buffer_t buffer = pool.enroll(0x1000, 0);
    buffer.kind = 1;
    size_t count = kUntouched;
    pool.log.clear();
    EXPECT_LT(lanepipe_pool_push_recycled(pool.get(), 0, &buffer, 1, &count), 0) << "a kind is never mixed";
    EXPECT_EQ(count, kUntouched);
    EXPECT_EQ(audit_of(pool.get()).recycled, 0u);
}

TEST(Strict, RefusesABufferThatIsInAnotherPlace) {
    Pool pool(strict_config());
    Log &log = pool.log;
    size_t count = 0;
    const auto refused_everywhere = [&](const lanepipe_buffer_t &buffer) {
        count = kUntouched;
        EXPECT_REFUSED(log, LANEPIPE_E_DUPLICATE, lanepipe_pool_push_ready(pool.get(), 1, &buffer, nullptr, 1, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_DUPLICATE,
                       lanepipe_pool_wait_push_ready(pool.get(), 1, &buffer, nullptr, 1, 0, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_DUPLICATE, lanepipe_pool_push_done(pool.get(), 1, &buffer, 1, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_DUPLICATE, lanepipe_pool_push_recycled(pool.get(), 1, &buffer, 1, &count));
        EXPECT_REFUSED(log, LANEPIPE_E_DUPLICATE, lanepipe_pool_retire(pool.get(), 1, &buffer));
        EXPECT_EQ(count, kUntouched);
        audit_of(pool.get());
    };
    const lanepipe_buffer_t a = pool.enroll(0x1000);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 0, &a, nullptr, 1, &count));
    refused_everywhere(a);
    const lanepipe_buffer_t b = pool.enroll(0x2000);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, &b, 1, &count));
    refused_everywhere(b);
    const lanepipe_buffer_t c = pool.enroll(0x3000);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), 0, &c, 1, &count));
    refused_everywhere(c);
    const lanepipe_buffer_t d = pool.enroll(0x4000);
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_retire(pool.get(), 0, &d));
    refused_everywhere(d);
}

TEST(Strict, RefusesABufferTwiceInOneCall) {
    Pool pool(strict_config());
    const lanepipe_buffer_t buffer = pool.enroll(0x1000);
    const lanepipe_buffer_t twice[2] = {buffer, buffer};
    size_t count = kUntouched;
    EXPECT_REFUSED(pool.log, LANEPIPE_E_DUPLICATE, lanepipe_pool_push_ready(pool.get(), 0, twice, nullptr, 2, &count));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_DUPLICATE, lanepipe_pool_push_done(pool.get(), 0, twice, 2, &count));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_DUPLICATE, lanepipe_pool_push_recycled(pool.get(), 0, twice, 2, &count));
    EXPECT_EQ(audit_of(pool.get()).total, 1u);
}

// The whole way round in strict mode: what a queue gave out may go into the next.
TEST(Strict, AcceptsARoundTrip) {
    Pool pool(strict_config());
    lanepipe_buffer_t buffer = pool.enroll(0x1000);
    size_t count = 0;
    for (int round = 0; round < 10; ++round) {
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 0, &buffer, nullptr, 1, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_ready(pool.get(), 0, &buffer, nullptr, 1, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_done(pool.get(), 0, &buffer, 1, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_done(pool.get(), 0, &buffer, 1, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_recycled(pool.get(), 0, &buffer, 1, &count));
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_recycled(pool.get(), 0, 0, &buffer, 1, &count));
    }
    EXPECT_EQ(pool.log.text(), "");
    EXPECT_EQ(audit_of(pool.get()).device, 1u);
}

// A thread that sleeps inside a call holds its end, so the overlap is certain once the refusal is seen.
TEST(Overlap, SecondConsumerIsRefused) {
    lanepipe_pool_config_t config = pool_config();
    config.flags = LANEPIPE_POOL_CHECK_OVERLAP;
    Pool pool(config);
    const lanepipe_buffer_t buffer = pool.enroll(0x1000);
    lanepipe_buffer_t got{};
    size_t got_count = 0;
    lanepipe_status_t outcome = LANEPIPE_E_PANIC;
    std::thread sleeper(
        [&] { outcome = lanepipe_pool_wait_pop_ready(pool.get(), 0, &got, nullptr, 1, LANEPIPE_FOREVER, &got_count); });
    lanepipe_buffer_t other = untracked(9);
    size_t count = kUntouched;
    lanepipe_status_t refused = LANEPIPE_OK;
    const bool seen = eventually([&] {
        size_t popped = kUntouched;
        refused = lanepipe_pool_pop_ready(pool.get(), 0, &other, nullptr, 1, &popped);
        if (refused == LANEPIPE_E_OVERLAP)
            count = popped;
        return refused < 0;
    });
    EXPECT_TRUE(seen);
    EXPECT_STATUS(LANEPIPE_E_OVERLAP, refused);
    EXPECT_EQ(count, kUntouched);
    EXPECT_EQ(address_of(other), 9u * 64);
    EXPECT_REFUSED(pool.log, LANEPIPE_E_OVERLAP,
                   lanepipe_pool_wait_pop_ready(pool.get(), 0, &other, nullptr, 1, 0, &count));
    // Other ends are free, and the sleeper is intact.
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_ready(pool.get(), 1, &other, nullptr, 1, &count));
    size_t pushed = 0;
    EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 0, &buffer, nullptr, 1, &pushed));
    sleeper.join();
    EXPECT_STATUS(LANEPIPE_OK, outcome);
    EXPECT_EQ(got_count, 1u);
    EXPECT_EQ(got.dev, buffer.dev);
    EXPECT_STATUS(LANEPIPE_EMPTY, lanepipe_pool_pop_ready(pool.get(), 0, &other, nullptr, 1, &count));
    audit_of(pool.get());
}

TEST(Overlap, SecondProducerIsRefused) {
    lanepipe_pool_config_t config = pool_config();
    config.flags = LANEPIPE_POOL_CHECK_OVERLAP;
    config.ready_capacity = 1;
    Pool pool(config);
    const lanepipe_buffer_t first = pool.enroll(0x1000);
    const lanepipe_buffer_t second = pool.enroll(0x2000);
    const lanepipe_buffer_t third = pool.enroll(0x3000);
    size_t count = 0;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_push_ready(pool.get(), 0, &first, nullptr, 1, &count));
    lanepipe_status_t outcome = LANEPIPE_E_PANIC;
    size_t pushed = 0;
    std::thread sleeper([&] {
        outcome = lanepipe_pool_wait_push_ready(pool.get(), 0, &second, nullptr, 1, LANEPIPE_FOREVER, &pushed);
    });
    lanepipe_status_t refused = LANEPIPE_OK;
    EXPECT_TRUE(eventually([&] {
        size_t unused = 0;
        refused = lanepipe_pool_push_ready(pool.get(), 0, &third, nullptr, 1, &unused);
        return refused < 0;
    }));
    EXPECT_STATUS(LANEPIPE_E_OVERLAP, refused);
    EXPECT_REFUSED(pool.log, LANEPIPE_E_OVERLAP,
                   lanepipe_pool_wait_push_ready(pool.get(), 0, &third, nullptr, 1, 0, &count));
    lanepipe_buffer_t got{};
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_ready(pool.get(), 0, &got, nullptr, 1, &count));
    EXPECT_EQ(got.dev, first.dev);
    sleeper.join();
    EXPECT_STATUS(LANEPIPE_OK, outcome);
    EXPECT_EQ(pushed, 1u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_pop_ready(pool.get(), 0, &got, nullptr, 1, &count));
    EXPECT_EQ(got.dev, second.dev);
    audit_of(pool.get());
}

TEST(SetMemory, RefusesMisuse) {
    Pool pool;
    Memory memory(Mode::kShadow);
    for (const uint32_t size : {0u, uint32_t{sizeof(lanepipe_memory_t)} - 4, uint32_t{sizeof(lanepipe_memory_t)} + 8}) {
        lanepipe_memory_t description = memory.description();
        description.struct_size = size;
        EXPECT_REFUSED(pool.log, LANEPIPE_E_STRUCT_SIZE, lanepipe_pool_set_memory(pool.get(), &description));
    }
    size_t placed = kUntouched;
    EXPECT_REFUSED(pool.log, LANEPIPE_E_STATE, lanepipe_pool_allocate(pool.get(), 0, 64, 1, 0, &placed));
    EXPECT_EQ(placed, kUntouched);
}

// By hand one direction is enough: the other does nothing. A profiler wants both or neither.
TEST(SetMemory, TakesOneDirectionForCallsByHand) {
    for (const bool outward : {true, false}) {
        Pool pool;
        Memory memory(Mode::kShadow);
        lanepipe_memory_t half = memory.description();
        (outward ? half.copy_from_device : half.copy_to_device) = nullptr;
        ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_memory(pool.get(), &half));
        memory.shm_host()[0] = 'h';
        memory.shm_device()[8] = 'd';
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_write_shared(pool.get(), memory.shm_host(), 1));
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_read_shared(pool.get(), memory.shm_host() + 8, 1));
        EXPECT_EQ(memory.shm_device()[0], outward ? 'h' : '\0');
        EXPECT_EQ(memory.shm_host()[8], outward ? '\0' : 'd');
        size_t placed = 0;
        memory.copies = 0;
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 64, 1, 0, &placed));
        EXPECT_EQ(memory.copies, outward ? 1 : 0) << "zeros go to the device where there is a way";
        const auto release = [](void *self, void *base) { static_cast<Memory *>(self)->release(base); };
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_release_all(pool.get(), release, &memory));
    }
    Shape shape;
    shape.mode = Mode::kShadow;
    Rig rig(shape);
    rig.create();
    lanepipe_memory_t half = rig.memory.description();
    half.copy_to_device = nullptr;
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_memory(rig.pool.get(), &half));
    EXPECT_REFUSED(rig.pool.log, LANEPIPE_E_NULL, lanepipe_profiler_start(rig.profiler));
}

TEST(Allocate, RefusesAbsurdSizes) {
    Pool pool;
    Memory memory;
    pool.use(memory);
    size_t placed = kUntouched;
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_allocate(pool.get(), 0, 0, 1, 0, &placed));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_allocate(pool.get(), 0, 64, 0, 0, &placed));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_allocate(pool.get(), 0, SIZE_MAX, 1, 0, &placed));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_allocate(pool.get(), 0, SIZE_MAX - 63, 2, 0, &placed));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_TOO_LARGE,
                   lanepipe_pool_allocate(pool.get(), 0, SIZE_MAX / 2, UINT32_MAX, 0, &placed));
    EXPECT_EQ(memory.allocs, 0u) << "an absurd size reached the allocator";
    // This one is expressible; the allocator declines.
    EXPECT_LT(lanepipe_pool_allocate(pool.get(), 0, 64, UINT32_MAX, 0, &placed), 0);
    void *dev = nullptr;
    void *host = nullptr;
    EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_allocate_block(pool.get(), 0, &dev, &host));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_allocate_block(pool.get(), SIZE_MAX, &dev, &host));
    EXPECT_EQ(placed, kUntouched);
    EXPECT_EQ(dev, nullptr);
    EXPECT_EQ(host, nullptr);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
}

// An allocator that hands out addresses without memory behind them: more buffers than the pool can track.
TEST(Allocate, RefusesMoreBuffersThanItCanTrack) {
    Pool pool;
    lanepipe_memory_t description{};
    description.struct_size = sizeof description;
    description.alloc = [](void *, size_t) { return reinterpret_cast<void *>(uint64_t{1} << 40); };
    static int freed;
    freed = 0;
    description.free_memory = [](void *, void *) { return ++freed; };
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_set_memory(pool.get(), &description));
    size_t placed = kUntouched;
    EXPECT_REFUSED(pool.log, LANEPIPE_E_TOO_LARGE, lanepipe_pool_allocate(pool.get(), 0, 64, UINT32_MAX, 0, &placed));
    EXPECT_EQ(placed, kUntouched);
    EXPECT_EQ(freed, 1);
    EXPECT_EQ(audit_of(pool.get()).total, 0u);
    ASSERT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 64, 4, 0, &placed));
    EXPECT_EQ(placed, 4u);
}

TEST(Allocate, ReportsCallbacksThatFail) {
    for (const Mode mode : {Mode::kIdentity, Mode::kRegistered, Mode::kShadow}) {
        SCOPED_TRACE(name_of(mode));
        Memory memory(mode);
        Pool pool;
        pool.use(memory);
        size_t placed = kUntouched;
        void *dev = nullptr;
        void *host = nullptr;
        memory.failing_allocs = 2;
        EXPECT_STATUS(LANEPIPE_E_NO_MEMORY, lanepipe_pool_allocate(pool.get(), 0, 64, 4, 0, &placed));
        EXPECT_STATUS(LANEPIPE_E_NO_MEMORY, lanepipe_pool_allocate_block(pool.get(), 64, &dev, &host));
        if (mode == Mode::kRegistered) {
            memory.register_result = 3;
            EXPECT_REFUSED(pool.log, LANEPIPE_E_CALLBACK, lanepipe_pool_allocate(pool.get(), 0, 64, 4, 0, &placed));
            EXPECT_REFUSED(pool.log, LANEPIPE_E_CALLBACK, lanepipe_pool_allocate_block(pool.get(), 64, &dev, &host));
            memory.register_result = 0;
            memory.register_null = true;
            EXPECT_REFUSED(pool.log, LANEPIPE_E_CALLBACK, lanepipe_pool_allocate(pool.get(), 0, 64, 4, 0, &placed));
            EXPECT_REFUSED(pool.log, LANEPIPE_E_CALLBACK, lanepipe_pool_allocate_block(pool.get(), 64, &dev, &host));
            memory.register_null = false;
            EXPECT_EQ(memory.frees, 4u) << "each refused allocation goes back once";
            EXPECT_EQ(memory.device_seen, 7);
        }
        if (mode == Mode::kShadow) {
            memory.first_failing_copy = memory.copies.load();
            memory.failing_copies = 1;
            EXPECT_REFUSED(pool.log, LANEPIPE_E_CALLBACK, lanepipe_pool_allocate(pool.get(), 0, 64, 4, 0, &placed));
            EXPECT_EQ(memory.frees, 1u);
        }
        EXPECT_EQ(memory.live_blocks(), 0u);
        EXPECT_EQ(memory.unknown_frees, 0u);
        EXPECT_EQ(placed, kUntouched);
        EXPECT_EQ(dev, nullptr);
        EXPECT_EQ(audit_of(pool.get()).total, 0u) << "a failed allocation left buffers behind";
        // Nothing stands in the way of the next one.
        EXPECT_STATUS(LANEPIPE_OK, lanepipe_pool_allocate(pool.get(), 0, 64, 4, 0, &placed));
        EXPECT_EQ(placed, 4u);
        EXPECT_EQ(pool.recycled(0), 4u);
    }
}

TEST(Shared, RefusesRangesOutsideTheRegion) {
    Memory memory(Mode::kShadow, 4096);
    Pool pool;
    pool.use(memory);
    char *region = memory.shm_host();
    const int64_t before = memory.copies;
    const std::pair<char *, size_t> outside[] = {{region - 1, 1},       {region + 4096, 1}, {region + 4095, 2},
                                                 {region, 4097},        {region, SIZE_MAX}, {region + 8, SIZE_MAX - 8},
                                                 {region - 8, SIZE_MAX}};
    for (const auto &[field, size] : outside) {
        EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_write_shared(pool.get(), field, size));
        EXPECT_REFUSED(pool.log, LANEPIPE_E_INVALID, lanepipe_pool_read_shared(pool.get(), field, size));
    }
    EXPECT_EQ(memory.copies, before);
    memory.first_failing_copy = before;
    memory.failing_copies = 2;
    EXPECT_REFUSED(pool.log, LANEPIPE_E_CALLBACK, lanepipe_pool_write_shared(pool.get(), region, 4));
    EXPECT_REFUSED(pool.log, LANEPIPE_E_CALLBACK, lanepipe_pool_read_shared(pool.get(), region, 4));
}

TEST(Audit, RefusesUnknownSizes) {
    Pool pool;
    for (const uint32_t size :
         {0u, uint32_t{sizeof(lanepipe_pool_audit_t)} - 4, uint32_t{sizeof(lanepipe_pool_audit_t)} + 8}) {
        lanepipe_pool_audit_t audit{};
        audit.struct_size = size;
        audit.total = kUntouched;
        EXPECT_REFUSED(pool.log, LANEPIPE_E_STRUCT_SIZE, lanepipe_pool_audit(pool.get(), &audit));
        EXPECT_EQ(audit.total, kUntouched);
    }
}

} // namespace
