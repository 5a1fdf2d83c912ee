// Host address of a device address with 4,096 blocks: uniform random interior pointers, half of them exact mappings,
// while another thread registers. The reference crashes if a thread registers during a lookup (W1), so its side runs
// without that thread, which favours it.

#include "bench.h"
#include "reference_module.h"

#include <memory>
#include <random>

namespace {

using bench::require;
using bench::require_ok;

constexpr size_t kBlocks = 4096;
constexpr size_t kBlockSize = size_t{1} << 16;
constexpr size_t kQueries = 65536;
constexpr size_t kBatch = 8;
// Host and device addresses differ by this, so that a wrong answer shows.
constexpr uintptr_t kHostOffset = uintptr_t{1} << 40;
constexpr uintptr_t kDeviceBase = uintptr_t{1} << 44;

// Hands out addresses as an allocator does: in ascending order, aligned to 64 bytes, with gaps. Nothing reads through
// them.
class Addresses {
  public:
    void *next(size_t size) {
        next_ += 64 * (1 + random_() % 64);
        const uintptr_t address = next_;
        next_ += size;
        return reinterpret_cast<void *>(address);
    }

  private:
    std::minstd_rand random_{1};
    uintptr_t next_ = kDeviceBase;
};

void *host_of(const void *dev) { return reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(dev) + kHostOffset); }

struct Queries {
    std::vector<void *> blocks;
    std::vector<void *> exact;
    std::vector<const void *> addresses;

    Queries() {
        Addresses addresses_of_blocks;
        for (size_t block = 0; block < kBlocks; ++block) {
            blocks.push_back(addresses_of_blocks.next(kBlockSize));
        }
        std::mt19937_64 random(2);
        const auto interior = [&random, this] {
            const uintptr_t base = reinterpret_cast<uintptr_t>(blocks[random() % kBlocks]);
            return reinterpret_cast<void *>(base + 8 * (random() % (kBlockSize / 8)));
        };
        for (size_t mapping = 0; mapping < kBlocks; ++mapping) {
            exact.push_back(interior());
        }
        for (size_t query = 0; query < kQueries; ++query) {
            addresses.push_back(random() % 2 == 0 ? exact[random() % exact.size()] : interior());
        }
    }
};

// Registers new buffers at some 100,000 per second until 16,384 are known, then the same ones over and over.
class Registering {
  public:
    explicit Registering(const bench::Pool &pool) : thread_([this, &pool] { run(pool); }) {}
    Registering(const Registering &) = delete;
    Registering &operator=(const Registering &) = delete;
    ~Registering() {
        stop_.store(true);
        thread_.join();
    }

    uint64_t registered() const { return registered_.load(); }

  private:
    void run(const bench::Pool &pool) {
        bench::pin(0);
        constexpr uintptr_t kBase = uintptr_t{1} << 45;
        uint64_t due = bench::now_ns();
        for (uint64_t step = 0; !stop_.load(std::memory_order_relaxed); ++step) {
            void *const dev = reinterpret_cast<void *>(kBase + step % 16384 * 4096);
            require_ok(lanepipe_pool_register(pool.get(), dev, host_of(dev), 0, nullptr), "register");
            registered_.fetch_add(1, std::memory_order_relaxed);
            due = std::max(due + 10000, bench::now_ns());
            while (bench::now_ns() < due) {
                bench::relax();
            }
        }
    }

    std::atomic<bool> stop_{false};
    std::atomic<uint64_t> registered_{0};
    std::thread thread_;
};

double ours(const bench::Pool &pool, const Queries &queries, size_t batch) {
    bench::pin(1);
    lanepipe_resolved_t resolved[kBatch];
    bool sound = true;
    const Registering other(pool);
    while (other.registered() == 0) {
        bench::relax();
    }
    const uint64_t start = bench::thread_ns();
    for (size_t query = 0; query < kQueries; query += batch) {
        const void *const *const addresses = &queries.addresses[query];
        sound = lanepipe_pool_resolve(pool.get(), addresses, batch, resolved) == LANEPIPE_OK && sound;
        for (size_t place = 0; place < batch; ++place) {
            sound = sound && resolved[place].host == host_of(addresses[place]);
        }
    }
    const double elapsed = static_cast<double>(bench::thread_ns() - start);
    require(sound, "a lookup was wrong");
    return elapsed / kQueries;
}

double theirs(const bench::ReferencePool &pool, const Queries &queries) {
    bench::pin(1);
    bool sound = true;
    // A tenth of the queries: the walk over the blocks takes that long.
    constexpr size_t kSome = kQueries / 10;
    const uint64_t start = bench::thread_ns();
    for (size_t query = 0; query < kSome; ++query) {
        void *const dev = const_cast<void *>(queries.addresses[query]);
        sound = pool.resolve_host_ptr(dev) == host_of(dev) && sound;
    }
    const double elapsed = static_cast<double>(bench::thread_ns() - start);
    require(sound, "a lookup of the reference was wrong");
    return elapsed / kSome;
}

int32_t register_memory(void *, void *dev, size_t, int32_t, void **host) {
    *host = host_of(dev);
    return 0;
}

void fill(const bench::Pool &pool, const Queries &queries) {
    Addresses addresses;
    lanepipe_memory_t memory{};
    memory.struct_size = sizeof memory;
    memory.context = &addresses;
    memory.alloc = [](void *context, size_t size) { return static_cast<Addresses *>(context)->next(size); };
    memory.register_memory = register_memory;
    require_ok(lanepipe_pool_set_memory(pool.get(), &memory), "set_memory");
    for (void *block : queries.blocks) {
        void *dev = nullptr;
        void *host = nullptr;
        require_ok(lanepipe_pool_allocate_block(pool.get(), kBlockSize, &dev, &host), "allocate_block");
        require(dev == block, "a block has another address");
    }
    for (void *dev : queries.exact) {
        require_ok(lanepipe_pool_register(pool.get(), dev, host_of(dev), 0, nullptr), "register");
    }
}

void fill(bench::ReferencePool &pool, const Queries &queries) {
    Addresses addresses;
    profiling_common::MemoryOps ops;
    ops.alloc = [&addresses](size_t size) { return addresses.next(size); };
    ops.reg = [](void *dev, size_t size, int device, void **host) {
        return register_memory(nullptr, dev, size, device, host);
    };
    pool.set_memory_context(std::move(ops), nullptr, nullptr, 0, 0);
    for (size_t block = 0; block < kBlocks; ++block) {
        void *host = nullptr;
        require(pool.alloc_and_register_block(kBlockSize, &host) == queries.blocks[block], "alloc_and_register_block");
    }
    for (void *dev : queries.exact) {
        pool.register_mapping(dev, host_of(dev));
    }
}

} // namespace

int main() {
    const Queries queries;
    const bench::Pool pool(bench::geometry(32));
    const auto their_pool = std::make_unique<bench::ReferencePool>();
    fill(pool, queries);
    fill(*their_pool, queries);
    std::printf("lookup: the reference runs without the registering thread, which would crash it (W1)\n");
    const std::vector<bench::Samples> times =
        bench::interleave("lookup", "ns",
                          {
                              {"resolve, one by one", [&] { return ours(pool, queries, 1); }},
                              {"resolve, 8 per call", [&] { return ours(pool, queries, kBatch); }},
                              {"reference, nobody registers", [&] { return theirs(*their_pool, queries); }},
                          });
    bench::compare_times("lookup_items", times[0], times[2]);
    bench::compare_times("lookup_batches", times[1], times[2]);
    return 0;
}
